//! How a blob's bytes are known to be right.
//!
//! A blob's digest says what the whole of it is, but is known to hold only when the last byte was read; and a
//! file can change, or a stick fail, between one read and the next. So a blob is read and hashed once, when
//! it is first asked for, and of each piece of it a mark is kept: a message authentication code under a key
//! that only this process knows. From then on every piece that is read, for any client and any part of the
//! blob, is compared with its mark before it leaves. While the blob is still being hashed, pieces leave as
//! soon as they have a mark, but the last ones of an answer are held back until the digest was found right.

use std::sync::{PoisonError, RwLock};
use std::time::{Duration, Instant};

use aws_lc_rs::aead::{AES_128_GCM, Aad, LessSafeKey, NONCE_LEN, Nonce, UnboundKey};
use tokio::sync::watch;

/// The bytes that have one mark.
pub(crate) const PIECE: u64 = 64 << 10;

/// Makes marks: AES-GCM over no text, that is GMAC (NIST SP 800-38D), cut to 64 bits. Marks never
/// leave the process, so that a place being marked again with other bytes gives nothing away.
pub(crate) struct Marker(LessSafeKey);

impl Marker {
    pub(crate) fn new() -> Result<Self, getrandom::Error> {
        let mut secret = zeroize::Zeroizing::new([0; 16]);
        getrandom::fill(&mut *secret)?;
        let key = UnboundKey::new(&AES_128_GCM, &*secret).expect("16 bytes are a key of AES-128");
        Ok(Self(LessSafeKey::new(key)))
    }

    /// The mark of `piece`, which begins at the byte with this number of the bundle `bundle`.
    pub(crate) fn mark(&self, bundle: u32, number: u64, piece: &[u8]) -> u64 {
        let mut place = [0; NONCE_LEN];
        place[..4].copy_from_slice(&bundle.to_be_bytes());
        place[4..].copy_from_slice(&number.to_be_bytes());
        let nonce = Nonce::assume_unique_for_key(place);
        let tag = self.0.seal_in_place_separate_tag(nonce, Aad::from(piece), &mut []);
        let tag = tag.expect("a piece is shorter than the 2^61 bytes that GCM allows");
        let (mark, _) = tag.as_ref().split_first_chunk().expect("a tag has 16 bytes");
        u64::from_be_bytes(*mark)
    }
}

/// How far a blob is proven.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum State {
    /// Not requested yet.
    Unknown,
    /// It is being hashed; so many pieces have a mark.
    Reading(usize),
    /// Its digest was found right; every piece has its mark.
    Proven,
    /// It could not be read, or has another digest.
    Failed(Instant),
}

/// The state of one blob's verification.
pub(crate) struct Proof {
    state: watch::Sender<State>,
    marks: RwLock<Vec<u64>>,
}

/// The blob cannot be proven at the moment.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Unproven;

impl Proof {
    pub(crate) fn new() -> Self {
        Self { state: watch::Sender::new(State::Unknown), marks: RwLock::default() }
    }

    /// Takes over the task of hashing the blob. True for one caller only, until the proof fails;
    /// then for one again after a while.
    pub(crate) fn take_on(&self, again: Duration) -> bool {
        self.state.send_if_modified(|state| {
            let free = match state {
                State::Unknown => true,
                State::Reading(_) | State::Proven => false,
                State::Failed(when) => when.elapsed() >= again,
            };
            if free {
                self.marks.write().unwrap_or_else(PoisonError::into_inner).clear();
                *state = State::Reading(0);
            }
            free
        })
    }

    /// Adds the marks of the next pieces.
    pub(crate) fn add(&self, marks: &[u64]) {
        let mut all = self.marks.write().unwrap_or_else(PoisonError::into_inner);
        all.extend_from_slice(marks);
        self.state.send_replace(State::Reading(all.len()));
    }

    /// Ends the task of hashing.
    pub(crate) fn end(&self, state: State) {
        self.marks.write().unwrap_or_else(PoisonError::into_inner).shrink_to_fit();
        self.state.send_replace(state);
    }

    /// Takes note that the medium no longer gives what was proven.
    pub(crate) fn doubt(&self) {
        self.state.send_if_modified(|state| {
            let proven = *state == State::Proven;
            if proven {
                *state = State::Unknown;
            }
            proven
        });
    }

    /// Waits until the pieces before `pieces` have marks, or until the whole blob is proven.
    pub(crate) async fn wait(&self, until: Until) -> Result<(), Unproven> {
        let enough = |state: &State| match *state {
            State::Proven | State::Failed(_) => true,
            State::Reading(marked) => matches!(until, Until::Pieces(pieces) if marked >= pieces),
            // Doubted meanwhile: the next request verifies it again.
            State::Unknown => true,
        };
        let mut state = self.state.subscribe();
        match state.wait_for(enough).await.as_deref() {
            Ok(State::Proven | State::Reading(_)) => Ok(()),
            Ok(State::Failed(_) | State::Unknown) | Err(_) => Err(Unproven),
        }
    }

    /// How far the blob is proven now.
    pub(crate) fn state(&self) -> State {
        *self.state.borrow()
    }

    /// Whether a piece, by its place in the blob, has this mark.
    pub(crate) fn matches(&self, piece: usize, mark: u64) -> bool {
        self.marks.read().unwrap_or_else(PoisonError::into_inner).get(piece) == Some(&mark)
    }
}

/// The state that must be reached before bytes are sent.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Until {
    /// So many pieces have marks.
    Pieces(usize),
    /// The digest was found right.
    Proven,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_mark_is_that_of_one_piece_at_one_place() {
        let marker = Marker::new().unwrap();
        let mark = marker.mark(0, 512, b"piece");
        assert_eq!(marker.mark(0, 512, b"piece"), mark);
        assert_ne!(marker.mark(0, 512, b"Piece"), mark);
        assert_ne!(marker.mark(0, 1024, b"piece"), mark);
        assert_ne!(marker.mark(1, 512, b"piece"), mark);
        assert_ne!(Marker::new().unwrap().mark(0, 512, b"piece"), mark);
    }

    #[tokio::test]
    async fn one_hashes_and_all_wait() {
        let proof = Proof::new();
        assert!(proof.take_on(Duration::ZERO));
        assert!(!proof.take_on(Duration::ZERO));
        proof.add(&[1, 2]);
        assert_eq!(proof.wait(Until::Pieces(2)).await, Ok(()));
        assert!(proof.matches(0, 1) && proof.matches(1, 2));
        assert!(!proof.matches(1, 1) && !proof.matches(2, 3));
        let (whole, ()) = tokio::join!(proof.wait(Until::Proven), async {
            proof.add(&[3]);
            proof.end(State::Proven);
        });
        assert_eq!(whole, Ok(()));
        proof.doubt();
        assert_eq!(proof.wait(Until::Pieces(1)).await, Err(Unproven));
        assert!(proof.take_on(Duration::ZERO));
        assert!(!proof.matches(0, 1), "marks of an earlier proof are gone");
        proof.end(State::Failed(Instant::now()));
        assert!(!proof.take_on(Duration::from_secs(3600)));
        assert!(proof.take_on(Duration::ZERO));
    }
}
