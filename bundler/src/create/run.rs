//! The one way to make a bundle of a plan.
//! Takes a plan, its signature and a [`Sink`](crate::Sink); gives a whole bundle under its name.

use std::collections::HashSet;
use std::sync::Arc;

use bundle_format::{Blob, OtherPlatform, SignatureBytes, image_extents};
use bundle_registry::{Client, ImageExtent, Progress};

use crate::create::configs::Configs;
use crate::create::{anywhere, compact, in_order};
use crate::sink::compact::CompactSink;
use crate::sink::head::SinkHead;
use crate::sink::target::Way;
use crate::{CreateError, Plan, Sink};

/// What is known of a bundle only once it is made.
#[derive(Clone, Debug)]
pub struct Created {
    /// The images that were found to be for other platforms than their indexes say: nothing is refused for that.
    pub other_platforms: Vec<OtherPlatform>,
    /// The bytes of a compact encoding in files; none if the bundle is not compact, or went into a pipe.
    pub compact_size: Option<u64>,
}

/// Fetches every blob, `jobs` at once, writes the bundle to `sink` and makes it complete: a file or
/// the volumes get their final names last.
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
) -> Result<Created, CreateError> {
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
    let mut compact_size = None;
    match sink.begin(&head)? {
        Way::Anywhere(files) => anywhere::write(client, head, files, &configs, jobs, progress).await?,
        Way::InOrder(writer) => in_order::write(client, head, writer, &configs, jobs, progress).await?,
        Way::Compact(compacting) => {
            let written = compact::write(client, head, *compacting, &configs, jobs, progress).await?;
            compact_size = Some(written);
        }
        Way::CompactPipe(pipe, compaction) => {
            let (choice, encoder) = compact::encoder(client, &plan, compaction);
            let writer = Box::new(CompactSink::pipe(pipe.0, &head, choice, encoder)?);
            in_order::write(client, head, writer, &configs, jobs, progress).await?;
        }
    }
    Ok(Created { other_platforms: configs.other_platforms(&plan), compact_size })
}
