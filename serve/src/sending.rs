//! A part of a blob on its way to a client, read and checked step by step.
//! Takes a blob and a range; the last piece of a whole blob is held back until its digest is right.

use std::ops::Range;
use std::sync::Arc;
use std::sync::atomic::Ordering;

use bundle_oci::Digest;
use bytes::Bytes;

use crate::catalog::Content;
use crate::proof::{PIECE, Proof, Until};
use crate::shelf::Held;
use crate::store::Store;

/// A part of a blob on its way to a client, step by step.
pub(crate) struct Sending {
    store: Arc<Store>,
    held: Arc<Held>,
    proof: Arc<Proof>,
    content: Content,
    at: u64,
    until: u64,
}

/// The bytes cannot be had, or are not those that were signed.
#[derive(Debug, thiserror::Error)]
#[error("the bundle cannot be read, or is damaged")]
pub(crate) struct Unreadable;

/// The fewest bytes of one step. Below, sending costs more than the memory is worth.
const SMALLEST: u64 = PIECE / 8;

impl Sending {
    /// The bytes of a range of a blob.
    pub(crate) fn new(
        store: &Arc<Store>,
        held: &Arc<Held>,
        digest: Digest,
        content: Content,
        range: Range<u64>,
    ) -> Self {
        store.streams.fetch_add(1, Ordering::Relaxed);
        let proof = store.prove(held, digest, content);
        Self { store: store.clone(), held: held.clone(), proof, content, at: range.start, until: range.end }
    }

    /// The next bytes, or `None` after the last.
    ///
    /// # Errors
    /// They cannot be sent; nothing may follow.
    pub(crate) async fn next(&mut self) -> Result<Option<Bytes>, Unreadable> {
        if self.at == self.until {
            if self.content.size() == 0 {
                // There is no last piece that could be withheld.
                self.proof.wait(Until::Proven).await.map_err(|_| Unreadable)?;
            }
            return Ok(None);
        }
        let until = self.step_end();
        let need =
            if until == self.until { Until::Proven } else { Until::Pieces(until.div_ceil(PIECE) as usize) };
        self.proof.wait(need).await.map_err(|_| Unreadable)?;
        let read = self.store.read(&self.held, &self.proof, self.content, self.at, until).await;
        let bytes = read.ok_or(Unreadable)?;
        self.at = until;
        Ok(Some(bytes))
    }

    /// Where this step ends: with a piece, or if there are very many answers, with a fraction of
    /// one, so that all of them together stay within [`crate::Limits::in_flight`]. A fraction costs
    /// reading the whole piece each time, which processors have more of than memory.
    fn step_end(&self) -> u64 {
        let streams = self.store.streams.load(Ordering::Relaxed).max(1);
        let share = (self.store.limits.in_flight / streams) as u64;
        let unit = [PIECE, PIECE / 2, PIECE / 4].into_iter().find(|&unit| unit <= share).unwrap_or(SMALLEST);
        let end = self.at + unit;
        (end - end % unit).min(self.until)
    }
}

impl Drop for Sending {
    fn drop(&mut self) {
        self.store.streams.fetch_sub(1, Ordering::Relaxed);
    }
}
