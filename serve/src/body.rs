//! The content of an answer on its way, and the record of how sending it ended. Takes a part of a blob, gives
//! HTTP frames; writes one log entry, for any end.

use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};
use std::time::Instant;

use bytes::Bytes;
use futures_util::Stream;
use hyper::body::{Frame, SizeHint};

use crate::metrics::Metrics;
use crate::sending::{Sending, Unreadable};
use crate::{Access, Ending, Event, Observer};

/// The content of an answer, and the record of how it ended.
pub(crate) struct Body {
    part: Part,
    expected: u64,
    ending: Ending,
    record: Record,
}

/// Content.
pub(crate) enum Part {
    /// Bytes that are there.
    Whole(Bytes),
    /// A part of a blob, and its length.
    Steps(Pin<Box<dyn Stream<Item = Result<Bytes, Unreadable>> + Send>>, u64),
}

impl Part {
    pub(crate) const EMPTY: Self = Self::Whole(Bytes::new());

    /// A part of a blob of which `first` was read already.
    pub(crate) fn steps(first: Option<Bytes>, sending: Sending, length: u64) -> Self {
        let steps = futures_util::stream::try_unfold((first, sending), |(first, mut sending)| async move {
            match first {
                Some(bytes) => Ok(Some((bytes, (None, sending)))),
                None => Ok(sending.next().await?.map(|bytes| (bytes, (None, sending)))),
            }
        });
        Self::Steps(Box::pin(steps), length)
    }
}

/// The log record of an answer, written at its end.
pub(crate) struct Record {
    pub(crate) access: Access,
    pub(crate) started: Instant,
    pub(crate) kind: &'static str,
    pub(crate) metrics: Arc<Metrics>,
    pub(crate) observer: Arc<dyn Observer>,
}

impl Body {
    pub(crate) fn new(part: Part, record: Record) -> Self {
        let expected = match &part {
            Part::Whole(bytes) => bytes.len() as u64,
            Part::Steps(_, length) => *length,
        };
        Self { part, expected, ending: Ending::Left, record }
    }
}

impl hyper::body::Body for Body {
    type Data = Bytes;
    type Error = Unreadable;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, Unreadable>>> {
        let next = match &mut self.part {
            Part::Whole(bytes) if bytes.is_empty() => Poll::Ready(None),
            Part::Whole(bytes) => Poll::Ready(Some(Ok(std::mem::take(bytes)))),
            Part::Steps(steps, _) => steps.as_mut().poll_next(context),
        };
        match &next {
            Poll::Ready(Some(Ok(bytes))) => {
                self.record.access.bytes += bytes.len() as u64;
                self.record.metrics.sent(bytes.len() as u64);
            }
            Poll::Ready(Some(Err(Unreadable))) => self.ending = Ending::Broken,
            Poll::Ready(None) | Poll::Pending => {}
        }
        next.map(|next| next.map(|bytes| bytes.map(Frame::data)))
    }

    fn is_end_stream(&self) -> bool {
        matches!(&self.part, Part::Whole(bytes) if bytes.is_empty())
    }

    fn size_hint(&self) -> SizeHint {
        SizeHint::with_exact(self.expected - self.record.access.bytes)
    }
}

impl Drop for Body {
    fn drop(&mut self) {
        let access = &mut self.record.access;
        if access.bytes == self.expected {
            self.ending = Ending::Complete;
        }
        access.ending = self.ending;
        access.took = self.record.started.elapsed();
        self.record.metrics.answered(self.record.kind, access.status, access.ending);
        self.record.observer.event(&Event::Answered(access));
    }
}
