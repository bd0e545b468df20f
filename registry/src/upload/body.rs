//! The body of an upload: a stretch of a source, in pieces that a slow line takes in time, with
//! its progress watched. Takes a reader and a length, gives exactly so many bytes or an error.

use std::collections::VecDeque;
use std::pin::Pin;
use std::sync::{Arc, Mutex};
use std::task::{Context, Poll, ready};
use std::time::{Duration, Instant};

use bytes::Bytes;
use futures_util::stream::BoxStream;
use futures_util::{Stream, StreamExt};

use crate::Limits;
use crate::limits::PIECE;
use crate::lock::lock;

/// A source that is being read, and what was read of it and not taken yet.
pub(super) struct Reader {
    stream: BoxStream<'static, std::io::Result<Bytes>>,
    rest: Bytes,
    /// How many bytes were taken.
    at: u64,
}

impl Reader {
    pub(super) fn new(stream: BoxStream<'static, std::io::Result<Bytes>>) -> Self {
        Self { stream, rest: Bytes::new(), at: 0 }
    }

    /// Which of the source's bytes comes next.
    pub(super) fn at(&self) -> u64 {
        self.at
    }

    /// Passes over the bytes before this one.
    pub(super) async fn skip_to(&mut self, offset: u64) -> std::io::Result<()> {
        while self.at < offset {
            let left = offset - self.at;
            while self.rest.is_empty() {
                self.rest = self.stream.next().await.ok_or_else(|| too_few(left))??;
            }
            self.take(usize::try_from(left).unwrap_or(usize::MAX));
        }
        Ok(())
    }

    /// At most so many of the bytes that were read.
    fn take(&mut self, most: usize) -> Bytes {
        let taken = self.rest.split_to(self.rest.len().min(most));
        self.at += taken.len() as u64;
        taken
    }

    /// The same, with bytes that were taken put back before it.
    fn after(self, kept: Kept) -> Self {
        let Self { stream, rest, at } = self;
        let at = at - kept.bytes as u64;
        let before = kept.pieces.into_iter().chain(std::iter::once(rest)).map(Ok);
        Self { stream: futures_util::stream::iter(before).chain(stream).boxed(), rest: Bytes::new(), at }
    }
}

/// The last bytes that were handed to a connection, of what can be read only once: those that may
/// not have arrived if it breaks.
#[derive(Default)]
struct Kept {
    pieces: VecDeque<Bytes>,
    bytes: usize,
    most: usize,
}

impl Kept {
    fn add(&mut self, piece: &Bytes) {
        if self.most == 0 {
            return;
        }
        self.bytes += piece.len();
        self.pieces.push_back(piece.clone());
        while self.bytes > self.most
            && let Some(first) = self.pieces.pop_front()
        {
            self.bytes -= first.len();
        }
    }
}

fn too_few(missing: u64) -> std::io::Error {
    std::io::Error::new(std::io::ErrorKind::UnexpectedEof, format!("{missing} bytes are missing at the end"))
}

/// How an upload goes on.
pub(super) struct Watch(Mutex<State>);

struct State {
    phase: Phase,
    since: Instant,
    failure: Option<std::io::Error>,
    handed: u64,
    reader: Option<Reader>,
    kept: Kept,
}

impl State {
    fn enter(&mut self, phase: Phase) {
        self.phase = phase;
        self.since = Instant::now();
    }

    fn fail(&mut self, error: std::io::Error) -> Poll<Option<std::io::Result<Bytes>>> {
        let kind = error.kind();
        self.failure.get_or_insert(error);
        Poll::Ready(Some(Err(kind.into())))
    }
}

#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) enum Phase {
    /// The source is waited for, which may read from a slow pipe.
    Reading,
    /// The connection is waited for.
    Sending,
    /// The answer is waited for.
    Sent,
}

impl Watch {
    /// Watches a reader's bytes being sent, and keeps the last of them, at most so many. Without a
    /// reader there is only an answer to wait for.
    pub(super) fn new(reader: Option<Reader>, keep: u64) -> Arc<Self> {
        let phase = if reader.is_some() { Phase::Sending } else { Phase::Sent };
        let most = usize::try_from(keep).unwrap_or(usize::MAX);
        let kept = Kept { most, ..Kept::default() };
        let state = State { phase, since: Instant::now(), failure: None, handed: 0, reader, kept };
        Arc::new(Self(Mutex::new(state)))
    }

    /// Returns when the registry has been waited for too long.
    pub(super) async fn stalled(&self, limits: &Limits, size: u64) -> Duration {
        loop {
            let (phase, since) = {
                let state = lock(&self.0);
                (state.phase, state.since)
            };
            let limit = if phase == Phase::Sent { limits.commit(size) } else { limits.stall };
            let now = Instant::now();
            let deadline = if phase == Phase::Reading { now + limit } else { since + limit };
            if now >= deadline {
                return limit;
            }
            tokio::time::sleep_until(deadline.into()).await;
        }
    }

    /// Why the source failed, if it did.
    pub(super) fn failure(&self) -> Option<std::io::Error> {
        lock(&self.0).failure.take()
    }

    /// How many bytes the connection took.
    pub(super) fn handed(&self) -> u64 {
        lock(&self.0).handed
    }

    /// The reader behind the bytes that were sent.
    pub(super) fn reader(&self) -> Option<Reader> {
        lock(&self.0).reader.take()
    }

    /// The reader with those bytes put back that were kept.
    pub(super) fn reader_before(&self) -> Option<Reader> {
        let mut state = lock(&self.0);
        let kept = std::mem::take(&mut state.kept);
        state.reader.take().map(|reader| reader.after(kept))
    }
}

/// Exactly as many bytes as were announced, in pieces, with their progress watched.
pub(super) struct Body {
    left: u64,
    /// Whether the source ends here, so that more bytes are a fault of its own.
    whole: bool,
    watch: Arc<Watch>,
}

impl Body {
    /// The bytes of the reader that is watched.
    pub(super) fn new(length: u64, whole: bool, watch: Arc<Watch>) -> Self {
        Self { left: length, whole, watch }
    }
}

impl Stream for Body {
    type Item = std::io::Result<Bytes>;

    fn poll_next(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Option<Self::Item>> {
        let (left, whole) = (self.left, self.whole);
        if left == 0 {
            return Poll::Ready(None);
        }
        let watch = self.watch.clone();
        let mut state = lock(&watch.0);
        state.enter(Phase::Reading);
        // Once an upload has failed, its reader is in use elsewhere.
        let Some(reader) = &mut state.reader else {
            return Poll::Ready(Some(Err(std::io::ErrorKind::BrokenPipe.into())));
        };
        while reader.rest.is_empty() {
            match ready!(reader.stream.as_mut().poll_next(context)) {
                Some(Ok(piece)) => reader.rest = piece,
                Some(Err(error)) => return state.fail(error),
                None => return state.fail(too_few(left)),
            }
        }
        if whole && reader.rest.len() as u64 > left {
            return state.fail(std::io::Error::other("there are more bytes than announced"));
        }
        let piece = reader.take(PIECE.min(usize::try_from(left).unwrap_or(usize::MAX)));
        self.left -= piece.len() as u64;
        state.handed += piece.len() as u64;
        state.kept.add(&piece);
        state.enter(if self.left == 0 { Phase::Sent } else { Phase::Sending });
        Poll::Ready(Some(Ok(piece)))
    }
}
