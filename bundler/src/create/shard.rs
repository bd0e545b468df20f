//! Writes one shard of a bundle that several runs write together, and makes the bundle complete if it was the last.
//! Takes a plan that all shards have alike; fetches only the blobs of the shard's volumes, or of its compact part.

use std::sync::Arc;

use bundle_registry::{Client, Progress};

use crate::CreateError;
use crate::create::configs::Configs;
use crate::create::run::expect;
use crate::create::{anywhere, compact};
use crate::sink::head::SinkHead;
use crate::sink::parts::Parts;
use crate::sink::shard::{self, ShardState, Sharded};
use crate::sink::target::Shape;

/// Writes the shard; for a compact one, says what came of encoding it.
pub(crate) async fn write(
    client: &Client,
    head: SinkHead,
    mut sharded: Sharded,
    configs: &Arc<Configs>,
    jobs: usize,
    progress: Arc<dyn Progress>,
) -> Result<(ShardState, Option<compact::Encoding>), CreateError> {
    let Some(compaction) = sharded.compaction.take() else {
        {
            let begun = Parts::open_shard(&sharded.path, sharded.size, sharded.shard)?.begin_shard(&head)?;
            if !begun.is_empty() {
                expect(head.plan(), &*progress, |blob| begun.wants(blob));
                anywhere::write(client, head.clone(), begun, configs, jobs, progress.clone()).await?;
            }
        }
        let complete = move || shard::complete_volumes(&sharded, &head);
        return Ok((tokio::task::spawn_blocking(complete).await??, None));
    };
    let range = sharded.shard.entries(head.plan().layout());
    let is_done = range.is_empty()
        || shard::is_complete(&sharded.path, head.digest())?
        || shard::is_written(&sharded, &head)?;
    let mut encoding = compact::Encoding::default();
    if !is_done {
        shard::clear(&sharded.base())?;
        let whole = shard::whole_of(&sharded, head.digest());
        let shape = Shape { volumes: Some(sharded.size), ..Shape::default() };
        let parts = Parts::open(&sharded.base(), shape)?;
        let part = compact::Piece { whole, parts, shard: sharded.shard, compaction };
        encoding = compact::write_shard(client, head.clone(), part, configs, jobs, progress).await?;
    }
    let complete = move || shard::complete_compact(&sharded, &head);
    Ok((tokio::task::spawn_blocking(complete).await??, Some(encoding)))
}
