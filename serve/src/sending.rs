use std::sync::Arc;
use std::sync::atomic::Ordering;

use bundle_oci::Digest;
use bytes::Bytes;

use crate::catalog::Content;
use crate::proof::{PIECE, Proof, Until};
use crate::store::Store;

/// A part of a blob on its way to a client, step by step.
pub(crate) struct Sending {
    store: Arc<Store>,
    proof: Arc<Proof>,
    content: Content,
    at: u64,
    until: u64,
}

/// The bytes cannot be had, or are not those that were signed.
#[derive(Debug, thiserror::Error)]
#[error("the bundle cannot be read, or is damaged")]
pub(crate) struct Unreadable;

/// The most bytes of one step.
const LARGEST: usize = 8 * PIECE as usize;
/// The fewest. Below, sending costs more than the memory is worth.
const SMALLEST: usize = 8 << 10;

impl Sending {
    /// The bytes `from..until` of a blob.
    pub(crate) fn new(store: &Arc<Store>, digest: Digest, content: Content, from: u64, until: u64) -> Self {
        store.streams.fetch_add(1, Ordering::Relaxed);
        let proof = store.prove(digest, content);
        Self { store: store.clone(), proof, content, at: from, until }
    }

    /// The next bytes, or `None` after the last.
    ///
    /// # Errors
    /// They cannot be sent; nothing may follow.
    pub(crate) async fn next(&mut self) -> Result<Option<Bytes>, Unreadable> {
        if self.at == self.until {
            if self.content.size == 0 {
                // There is no last piece that could be held back.
                self.proof.wait(Until::Proven).await.map_err(|_| Unreadable)?;
            }
            return Ok(None);
        }
        let until = self.step_end();
        let need =
            if until == self.until { Until::Proven } else { Until::Pieces(until.div_ceil(PIECE) as usize) };
        self.proof.wait(need).await.map_err(|_| Unreadable)?;
        let read = self.store.read(self.proof.clone(), self.content, self.at, until).await;
        let bytes = read.ok_or(Unreadable)?;
        self.at = until;
        Ok(Some(bytes))
    }

    /// Where this step ends: with few answers after some whole pieces, with many within a piece,
    /// so that all of them together stay within [`crate::Limits::in_flight`].
    fn step_end(&self) -> u64 {
        let streams = self.store.streams.load(Ordering::Relaxed).max(1);
        let step = (self.store.limits.in_flight / streams).clamp(SMALLEST, LARGEST) as u64;
        let end = self.at + step;
        let aligned = end - end % PIECE;
        let end = if aligned > self.at { aligned } else { end };
        // A step ends with a piece or within one, so that no piece is read for a few bytes.
        let piece_end = (self.at / PIECE + 1) * PIECE;
        if step < PIECE { end.min(piece_end).min(self.until) } else { end.min(self.until) }
    }
}

impl Drop for Sending {
    fn drop(&mut self) {
        self.store.streams.fetch_sub(1, Ordering::Relaxed);
    }
}
