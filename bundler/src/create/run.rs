//! The one way to make a bundle of a plan.
//! Takes a plan, its signature and a [`Sink`](crate::Sink); gives a whole bundle under its name.

use std::sync::Arc;

use bundle_format::{OtherPlatform, SignatureBytes};
use bundle_registry::{Client, Progress};

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
    let configs = Arc::new(Configs::of(&plan));
    let head = SinkHead::new(plan.clone(), *signature);
    match sink.begin(&head)? {
        Way::Anywhere(files) => anywhere::write(client, head, files, &configs, jobs, progress).await?,
        Way::InOrder(writer) => in_order::write(client, head, writer, &configs, jobs, progress).await?,
    }
    Ok(configs.other_platforms(&plan))
}
