//! The one way to make a bundle of a plan.
//! Takes a plan, its signature and a [`Sink`](crate::Sink); gives a whole bundle under its name.

use std::sync::Arc;

use bundle_format::SignatureBytes;
use bundle_registry::{Client, Progress};

use crate::create::{anywhere, in_order};
use crate::sink::head::SinkHead;
use crate::sink::target::Way;
use crate::{CreateError, Plan, Sink};

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
) -> Result<(), CreateError> {
    progress.total(plan.statement().blob_bytes());
    let head = SinkHead::new(plan, *signature);
    match sink.begin(&head)? {
        Way::Anywhere(files) => anywhere::write(client, head, files, jobs, progress).await,
        Way::InOrder(writer) => in_order::write(client, head, writer, jobs, progress).await,
    }
}
