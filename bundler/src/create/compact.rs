//! Fetches an archive into a file of its own, then encodes it: what was fetched outlives a run that ends early.
//! Takes a plan and what the other side has; gives a compact bundle under its name, and the file is gone.

use std::fs::File;
use std::ops::Range;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use bundle_format::{CompactEncoder, Limits, UnreadBase};
use bundle_registry::{Client, Error, Progress, Stop};

use crate::compact::bases::UpstreamBases;
use crate::compact::choose::Choice;
use crate::create::configs::Configs;
use crate::create::run::expect;
use crate::create::{anywhere, in_order};
use crate::sink::compact::CompactSink;
use crate::sink::head::SinkHead;
use crate::sink::parts::Parts;
use crate::sink::shard::CreateShard;
use crate::sink::target::{Compacting, Compaction, InOrder, Way, Whole};
use crate::{CreateError, OutputError, Plan};

/// How much is read at once, in bytes.
const PIECE: usize = 1 << 20;

/// The bases of a plan, and what encodes with them.
pub(crate) fn encoder(client: &Client, plan: &Plan, compaction: Compaction) -> (Choice, CompactEncoder) {
    let Compaction { effort, bases, at_hand, scratch } = compaction;
    at_hand.add(Arc::new(UpstreamBases::new(client, plan)));
    (Choice::of(plan, &bases), CompactEncoder::new(at_hand, scratch, effort, &Limits::V1))
}

/// What came of encoding.
#[derive(Default)]
pub(crate) struct Encoding {
    /// How many bytes it has.
    pub(crate) size: u64,
    /// The bases that could not be read.
    pub(crate) unread: Vec<UnreadBase>,
}

/// Fetches what is not fetched yet, and encodes all of it.
pub(crate) async fn write(
    client: &Client,
    head: SinkHead,
    compacting: Compacting,
    configs: &Arc<Configs>,
    jobs: usize,
    progress: Arc<dyn Progress>,
) -> Result<Encoding, CreateError> {
    let Compacting { whole, parts, compaction } = compacting;
    let whole = match whole {
        Whole::Fetched(path) if is_of(&path, &head) => {
            note_configs(&path, &head, configs, &(0..head.plan().layout().size()))?;
            path
        }
        Whole::Fetched(path) => {
            std::fs::remove_file(&path).map_err(|source| failed(&path, "removed", source))?;
            let parts = Parts::open(&path, crate::Shape::default())?;
            fetch(client, &head, parts, configs, jobs, &progress).await?
        }
        Whole::Fetching(parts) => fetch(client, &head, parts, configs, jobs, &progress).await?,
    };
    let size = head.plan().layout().size();
    encode_file(client, head, (whole, 0..size), parts, (None, compaction), jobs, progress).await
}

/// A shard of a compact bundle.
pub(crate) struct Piece {
    /// Where its part of the archive is collected.
    pub(crate) whole: PathBuf,
    /// The volumes of its encoding.
    pub(crate) parts: Parts,
    pub(crate) shard: CreateShard,
    pub(crate) compaction: Compaction,
}

/// Fetches what is not fetched yet of a shard's entries, and encodes them.
pub(crate) async fn write_shard(
    client: &Client,
    head: SinkHead,
    piece: Piece,
    configs: &Arc<Configs>,
    jobs: usize,
    progress: Arc<dyn Progress>,
) -> Result<Encoding, CreateError> {
    let Piece { whole, parts, shard, compaction } = piece;
    let range = shard.entries(head.plan().layout());
    let length = range.end - range.start;
    let is_fetched =
        bundle_os::open(&whole).and_then(|file| file.metadata()).is_ok_and(|it| it.len() == length);
    if is_fetched {
        note_configs(&whole, &head, configs, &range)?;
    } else {
        let begun = Parts::open_entries(&whole, shard)?.begin_shard(&head)?;
        expect(head.plan(), &*progress, |blob| begun.wants(blob));
        anywhere::write(client, head.clone(), begun, configs, jobs, progress.clone()).await?;
    }
    encode_file(client, head, (whole, range), parts, (Some(shard), compaction), jobs, progress).await
}

/// Encodes a file with these bytes of the archive, and removes it.
async fn encode_file(
    client: &Client,
    head: SinkHead,
    (whole, range): (PathBuf, Range<u64>),
    parts: Parts,
    (shard, compaction): (Option<CreateShard>, Compaction),
    jobs: usize,
    progress: Arc<dyn Progress>,
) -> Result<Encoding, CreateError> {
    let (choice, encoder) = encoder(client, head.plan(), compaction);
    let unread = encoder.unread();
    progress.stage("encoding", range.end - range.start);
    let (stop, telling) = (client.stop().clone(), progress.clone());
    let encode = move || {
        let sink = CompactSink::files(parts, &head, shard, choice, encoder)?.with_threads(jobs);
        let size = encode((&whole, range), sink, &head, &stop, &*telling)?;
        // The next run would find it of no use.
        std::fs::remove_file(&whole).map_err(|source| failed(&whole, "removed", source))?;
        Ok::<_, CreateError>(Encoding { size, unread: unread.all() })
    };
    tokio::task::spawn_blocking(encode).await?
}

async fn fetch(
    client: &Client,
    head: &SinkHead,
    parts: Parts,
    configs: &Arc<Configs>,
    jobs: usize,
    progress: &Arc<dyn Progress>,
) -> Result<PathBuf, CreateError> {
    let path = parts.path().to_owned();
    match parts.begin(head)? {
        Way::Anywhere(files) => {
            anywhere::write(client, head.clone(), files, configs, jobs, progress.clone()).await?;
        }
        Way::InOrder(writer) => {
            in_order::write(client, head.clone(), writer, configs, jobs, progress.clone()).await?;
        }
        // Plain files take bytes in one of the two ways.
        Way::Compact(_) | Way::CompactPipe(..) | Way::Shard(_) => {}
    }
    Ok(path)
}

/// Whether a file has the archive of this plan: its statement, and the length.
fn is_of(path: &Path, head: &SinkHead) -> bool {
    let Ok(mut file) = bundle_os::open(path) else { return false };
    let right_length = file.metadata().is_ok_and(|it| it.len() == head.plan().layout().size());
    let found = bundle_format::Unverified::read(&mut file, &Limits::V1);
    right_length && found.is_ok_and(|found| found.statement == head.statement())
}

/// Looks into the configs that an earlier run fetched.
fn note_configs(
    path: &Path,
    head: &SinkHead,
    configs: &Configs,
    range: &Range<u64>,
) -> Result<(), CreateError> {
    let file = bundle_os::open(path).map_err(|source| failed(path, "read", source))?;
    let plan = head.plan();
    for (entry, blob) in plan.layout().blobs().iter().zip(&plan.statement().blobs) {
        let is_here = range.start <= entry.offset && entry.offset + entry.size <= range.end;
        if is_here && configs.seeks(*blob) {
            let mut bytes = vec![0; blob.size as usize];
            let read = bundle_os::read_exact_at(&file, &mut bytes, entry.offset - range.start);
            read.map_err(|source| failed(path, "read", source))?;
            configs.note(blob.digest, &bytes);
        }
    }
    Ok(())
}

/// Gives the sink these bytes of the archive, from the first to the last.
fn encode(
    (whole, range): (&Path, Range<u64>),
    mut sink: CompactSink,
    head: &SinkHead,
    stop: &Stop,
    progress: &dyn Progress,
) -> Result<u64, CreateError> {
    let file: File = bundle_os::open(whole).map_err(|source| failed(whole, "read", source))?;
    let mut piece = vec![0; PIECE];
    let mut at = range.start;
    while at < range.end {
        if stop.is_asked() {
            return Err(CreateError::Stopped(Error::Interrupted));
        }
        let length = (range.end - at).min(PIECE as u64) as usize;
        bundle_os::read_exact_at(&file, &mut piece[..length], at - range.start)
            .map_err(|source| failed(whole, "read", source))?;
        sink.append(&piece[..length])?;
        at += length as u64;
        progress.advance(head.digest(), length as u64);
    }
    Ok(sink.complete(head)?)
}

fn failed(path: &Path, doing: &'static str, source: std::io::Error) -> CreateError {
    OutputError::Io { path: path.to_owned(), doing, source }.into()
}
