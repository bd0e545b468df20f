//! The body of an upload: a stretch of a source, in pieces that a slow line takes in time, with
//! its progress watched. Takes a reader and a length, gives exactly so many bytes or an error.

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
}

impl Reader {
    pub(super) fn new(stream: BoxStream<'static, std::io::Result<Bytes>>) -> Self {
        Self { stream, rest: Bytes::new() }
    }

    /// Bytes that are known, and nothing after them.
    pub(super) fn of(bytes: Vec<Bytes>) -> Self {
        Self::new(futures_util::stream::iter(bytes.into_iter().map(Ok)).boxed())
    }

    /// The same, with bytes that were taken put back before it.
    pub(super) fn after(self, pieces: Vec<Bytes>) -> Self {
        let Self { stream, rest } = self;
        let before = pieces.into_iter().chain(std::iter::once(rest)).map(Ok);
        Self::new(futures_util::stream::iter(before).chain(stream).boxed())
    }

    /// Passes over the first bytes.
    pub(super) async fn skip(&mut self, mut bytes: u64) -> std::io::Result<()> {
        while bytes > 0 {
            let taken = self.next(bytes).await?;
            bytes -= taken.len() as u64;
        }
        Ok(())
    }

    /// Takes so many bytes into memory.
    pub(super) async fn take(&mut self, mut bytes: u64) -> std::io::Result<Vec<Bytes>> {
        let mut taken = Vec::new();
        while bytes > 0 {
            let piece = self.next(bytes).await?;
            bytes -= piece.len() as u64;
            taken.push(piece);
        }
        Ok(taken)
    }

    /// At least one byte, and at most so many.
    async fn next(&mut self, most: u64) -> std::io::Result<Bytes> {
        while self.rest.is_empty() {
            self.rest = self.stream.next().await.ok_or_else(|| too_few(most))??;
        }
        Ok(self.rest.split_to(self.rest.len().min(usize::try_from(most).unwrap_or(usize::MAX))))
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
    /// The reader, once its stretch was sent.
    reader: Option<Reader>,
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
    pub(super) fn new(phase: Phase) -> Arc<Self> {
        let state = State { phase, since: Instant::now(), failure: None, handed: 0, reader: None };
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

    /// The reader behind the stretch that was sent.
    pub(super) fn reader(&self) -> Option<Reader> {
        lock(&self.0).reader.take()
    }

    fn enter(&self, phase: Phase) {
        let mut state = lock(&self.0);
        state.phase = phase;
        state.since = Instant::now();
    }
}

/// Exactly as many bytes as were announced, in pieces, with their progress watched.
pub(super) struct Body {
    reader: Option<Reader>,
    left: u64,
    /// Whether the source ends here, so that more bytes are a fault of its own.
    whole: bool,
    watch: Arc<Watch>,
}

impl Body {
    pub(super) fn new(reader: Reader, length: u64, whole: bool, watch: Arc<Watch>) -> Self {
        Self { reader: Some(reader), left: length, whole, watch }
    }

    fn fail(&self, error: std::io::Error) -> Poll<Option<std::io::Result<Bytes>>> {
        let kind = error.kind();
        lock(&self.watch.0).failure.get_or_insert(error);
        Poll::Ready(Some(Err(kind.into())))
    }
}

impl Stream for Body {
    type Item = std::io::Result<Bytes>;

    fn poll_next(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Option<Self::Item>> {
        let (left, whole) = (self.left, self.whole);
        if left == 0 {
            return Poll::Ready(None);
        }
        self.watch.enter(Phase::Reading);
        let Some(reader) = &mut self.reader else {
            return Poll::Ready(None);
        };
        while reader.rest.is_empty() {
            match ready!(reader.stream.as_mut().poll_next(context)) {
                Some(Ok(piece)) => reader.rest = piece,
                Some(Err(error)) => return self.fail(error),
                None => return self.fail(too_few(left)),
            }
        }
        let rest = reader.rest.len();
        if whole && rest as u64 > left {
            return self.fail(std::io::Error::other("there are more bytes than announced"));
        }
        let length = rest.min(PIECE).min(usize::try_from(left).unwrap_or(usize::MAX));
        let piece = reader.rest.split_to(length);
        self.left -= length as u64;
        let done = self.left == 0;
        self.watch.enter(if done { Phase::Sent } else { Phase::Sending });
        let reader = if done { self.reader.take() } else { None };
        let mut state = lock(&self.watch.0);
        state.handed += length as u64;
        if reader.is_some() {
            state.reader = reader;
        }
        drop(state);
        Poll::Ready(Some(Ok(piece)))
    }
}
