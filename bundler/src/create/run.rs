//! The one way to make a bundle of a plan.
//! Takes a plan, its signature and a [`Sink`](crate::Sink); gives a whole bundle under its name.

use std::collections::HashSet;
use std::sync::Arc;

use bundle_format::{Blob, OtherPlatform, SignatureBytes, UnreadBase, image_extents};
use bundle_registry::{Client, ImageExtent, Progress};

use crate::create::configs::Configs;
use crate::create::{anywhere, compact, in_order, shard};
use crate::sink::compact::CompactSink;
use crate::sink::head::SinkHead;
use crate::sink::shard::ShardState;
use crate::sink::target::Way;
use crate::{CreateError, Plan, Sink};

/// What is known of a bundle only once it is made.
#[derive(Clone, Debug)]
pub struct Created {
    /// The images that were found to be for other platforms than their indexes say: nothing is refused for that.
    pub other_platforms: Vec<OtherPlatform>,
    /// The bytes of a compact encoding in files; none if the bundle is not compact, or went into a pipe.
    pub compact_size: Option<u64>,
    /// The bases of a compact encoding that could not be read, so that what is like them is sent in full.
    pub unread_bases: Vec<UnreadBase>,
    /// The state of the bundle, if only one of its shards was written.
    pub shard: Option<ShardState>,
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
    let configs = Arc::new(Configs::of(&plan));
    let head = SinkHead::new(plan.clone(), *signature);
    let way = sink.begin(&head)?;
    if !matches!(way, Way::Shard(_)) {
        expect(&plan, &*progress, |_| true);
    }
    let (mut compact_size, mut unread_bases, mut shard) = (None, Vec::new(), None);
    match way {
        Way::Anywhere(files) => anywhere::write(client, head, files, &configs, jobs, progress).await?,
        Way::InOrder(writer) => in_order::write(client, head, writer, &configs, jobs, progress).await?,
        Way::Compact(compacting) => {
            let encoding = compact::write(client, head, *compacting, &configs, jobs, progress).await?;
            (compact_size, unread_bases) = (Some(encoding.size), encoding.unread);
        }
        Way::CompactPipe(pipe, compaction) => {
            let (choice, encoder) = compact::encoder(client, &plan, compaction);
            let unread = encoder.unread();
            let writer = Box::new(CompactSink::pipe(pipe.0, &head, choice, encoder)?);
            in_order::write(client, head, writer, &configs, jobs, progress).await?;
            unread_bases = unread.all();
        }
        Way::Shard(sharded) => {
            let (state, encoding) = shard::write(client, head, *sharded, &configs, jobs, progress).await?;
            shard = Some(state);
            if let Some(encoding) = encoding {
                (compact_size, unread_bases) = (Some(encoding.size), encoding.unread);
            }
        }
    }
    Ok(Created { other_platforms: configs.other_platforms(&plan), compact_size, unread_bases, shard })
}

/// Says what is going to be fetched: of all blobs, those at these positions.
pub(crate) fn expect(plan: &Plan, progress: &dyn Progress, wanted: impl Fn(usize) -> bool) {
    let blobs = plan.statement().blobs.iter().enumerate().filter(|(position, _)| wanted(*position));
    let carried: HashSet<Blob> = blobs.map(|(_, blob)| *blob).collect();
    progress.total(carried.iter().map(|blob| blob.size).sum());
    let images = image_extents(&plan.statement().artifacts, plan.graph(), |blob| carried.contains(blob));
    let image = |(name, blobs): (String, Vec<Blob>)| ImageExtent {
        name,
        blobs: blobs.into_iter().map(|blob| (blob.digest, blob.size)).collect(),
    };
    let images = images.into_iter().filter(|(_, blobs)| !blobs.is_empty());
    progress.images(&images.map(image).collect::<Vec<_>>());
}
