//! The one way to make a bundle of a plan.
//! Takes a plan, its signature and a [`Sink`](crate::Sink); gives a whole bundle under its name.

use std::collections::HashSet;
use std::sync::Arc;

use bundle_format::{Blob, OtherPlatform, SignatureBytes, image_extents};
use bundle_registry::{Client, ImageExtent, Progress};

use crate::create::configs::Configs;
use crate::create::{anywhere, in_order};
use crate::sink::head::SinkHead;
use crate::sink::target::Way;
use crate::{CreateError, Plan, Sink};

/// Fetches every blob, `jobs` at once, writes the bundle to `sink` and makes it complete: a file or
/// the volumes get their final names last. Gives the images that were found to be for other platforms than their
/// indexes say: nothing is refused for that.
///
/// # Errors
/// Any [`CreateError`]. Bytes fetched into an uncompressed file stay for the next run.
pub async fn create(
    client: &Client,
    plan: Arc<Plan>,
    signature: &SignatureBytes,
    sink: Sink,
    jobs: usize,
    progress: Arc<dyn Progress>,
) -> Result<Vec<OtherPlatform>, CreateError> {
    progress.total(plan.statement().blob_bytes());
    let carried: HashSet<Blob> = plan.statement().blobs.iter().copied().collect();
    let images = image_extents(&plan.statement().artifacts, plan.graph(), |blob| carried.contains(blob));
    let image = |(name, blobs): (String, Vec<Blob>)| ImageExtent {
        name,
        blobs: blobs.into_iter().map(|blob| (blob.digest, blob.size)).collect(),
    };
    progress.images(&images.into_iter().map(image).collect::<Vec<_>>());
    let configs = Arc::new(Configs::of(&plan));
    let head = SinkHead::new(plan.clone(), *signature);
    match sink.begin(&head)? {
        Way::Anywhere(files) => anywhere::write(client, head, files, &configs, jobs, progress).await?,
        Way::InOrder(writer) => in_order::write(client, head, writer, &configs, jobs, progress).await?,
    }
    Ok(configs.other_platforms(&plan))
}
