//! The runs of a stream that is made: which tokens of which base come next. Shared between an encoder, which takes
//! them, and who gives it its plain bytes.

use std::collections::VecDeque;
use std::io;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use super::Run;
use super::base::{BaseTokens, Cursor};

/// Runs that an encoder shares with who knows them.
#[derive(Clone)]
pub(crate) struct Shared(Arc<Mutex<Follow>>);

impl Shared {
    /// Takes the bases by their positions; some may have no tokens.
    pub(crate) fn new(bases: &[Option<Arc<BaseTokens>>]) -> Self {
        let bases = bases.iter().map(|base| base.as_ref().map(BaseTokens::cursor)).collect();
        let none = Follow {
            bases,
            runs: VecDeque::new(),
            base: 0,
            left: 0,
            literals: 0,
            copy: None,
            taken: 0,
            trouble: None,
        };
        Self(Arc::new(Mutex::new(none)))
    }

    pub(crate) fn lock(&self) -> MutexGuard<'_, Follow> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// In the place of a match: no run goes on here, for no match is so long.
const UNKNOWN: Option<(usize, usize)> = Some((usize::MAX, 1));

/// What comes next in a run.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Piece {
    /// So many literals.
    Literals(usize),
    /// A match of a length at a distance.
    Copy(usize, usize),
    /// The run is over.
    Over,
}

/// Why runs cannot be followed.
#[derive(Debug)]
pub(crate) enum Trouble {
    /// The tokens of this base cannot be read.
    Read(io::Error),
    /// A run does not begin or end with a token, is not of known tokens, or there is no such base.
    Damaged,
}

/// The runs to come, and the one that is being taken.
pub(crate) struct Follow {
    bases: Vec<Option<Cursor>>,
    runs: VecDeque<Run>,
    base: usize,
    /// How many plain bytes of the present run are left, with those of the tokens in hand.
    left: u64,
    /// The tokens in hand.
    literals: usize,
    copy: Option<(usize, usize)>,
    taken: u64,
    trouble: Option<Trouble>,
}

impl Follow {
    /// Adds a run behind the others.
    pub(crate) fn push(&mut self, run: Run) {
        self.runs.push_back(run);
    }

    /// Where the next run begins.
    pub(crate) fn next(&self) -> Option<u64> {
        self.runs.front().map(|run| run.at)
    }

    /// Whether a run is being taken.
    pub(crate) fn is_running(&self) -> bool {
        self.left > 0
    }

    /// Begins the next run.
    pub(crate) fn begin(&mut self) {
        let Some(run) = self.runs.pop_front() else { return };
        (self.base, self.left, self.literals, self.copy) = (run.base, run.length, 0, None);
        let Some(Some(cursor)) = self.bases.get_mut(run.base) else { return self.fail() };
        match cursor.seek(run.from) {
            Ok(Some(0)) => {}
            Ok(Some(within)) => {
                self.load();
                // It may begin behind some of the literals.
                match usize::try_from(within) {
                    Ok(within) if within <= self.literals => self.literals -= within,
                    _ => self.fail(),
                }
            }
            Ok(None) => self.fail(),
            Err(error) => self.stop(Trouble::Read(error)),
        }
    }

    /// What comes next: at most `room` literals, or a match of at most `ahead` bytes.
    #[inline(always)]
    pub(crate) fn take(&mut self, room: usize, ahead: usize) -> Piece {
        if self.literals == 0 && self.copy.is_none() {
            if self.left == 0 {
                return Piece::Over;
            }
            self.load();
        }
        if self.literals > 0 {
            let literals = self.literals.min(room).min(usize::try_from(self.left).unwrap_or(usize::MAX));
            self.literals -= literals;
            self.left -= literals as u64;
            self.taken += literals as u64;
            if self.left == 0 {
                (self.literals, self.copy) = (0, None);
            }
            return Piece::Literals(literals);
        }
        match self.copy.take() {
            Some((length, distance)) if length as u64 <= self.left && length <= ahead => {
                self.left -= length as u64;
                self.taken += length as u64;
                Piece::Copy(length, distance)
            }
            _ => {
                if self.trouble.is_none() {
                    self.fail();
                }
                Piece::Over
            }
        }
    }

    /// Takes the next tokens of the base in hand.
    #[inline(always)]
    fn load(&mut self) {
        let Some(Some(cursor)) = self.bases.get_mut(self.base) else { return self.fail() };
        match cursor.peek() {
            Ok(Some(sequence)) => {
                cursor.skip(sequence);
                let copy = sequence.copy();
                (self.literals, self.copy) =
                    (sequence.literals(), if sequence.is_known() { copy } else { UNKNOWN });
            }
            Ok(None) => {}
            Err(error) => self.stop(Trouble::Read(error)),
        }
    }

    /// The runs are wrong: none is taken any more.
    #[cold]
    pub(crate) fn fail(&mut self) {
        self.stop(Trouble::Damaged);
    }

    fn stop(&mut self, trouble: Trouble) {
        self.runs.clear();
        (self.left, self.literals, self.copy) = (0, 0, None);
        self.trouble.get_or_insert(trouble);
    }

    /// How many plain bytes the tokens of bases stood for so far.
    pub(crate) fn taken(&self) -> u64 {
        self.taken
    }

    /// At the end of the stream: what was wrong, if anything was.
    pub(crate) fn end(&mut self) -> Result<(), Trouble> {
        if self.is_running() || !self.runs.is_empty() {
            self.fail();
        }
        self.trouble.take().map_or(Ok(()), Err)
    }
}
