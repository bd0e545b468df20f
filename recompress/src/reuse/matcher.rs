//! Finds runs: stretches of tokens that a stream has in common with its bases. Takes the sequences of the stream as they
//! are read, gives runs; whether a model comes out at the same bits with them is for others to see.

use std::io;
use std::sync::Arc;

use super::base::{Anchor, BaseTokens, Cursor};
use super::record::LEAST_LEVEL;
use super::sequence::Sequence;
use super::{Run, SHORTEST_READ, SHORTEST_WRITTEN};

/// After a run the same place of the base is tried again behind so many sequences.
const PATIENCE: u32 = 64;

/// Finds runs.
pub(crate) struct Matcher {
    bases: Vec<Option<Base>>,
    hash: u64,
    /// The plain bytes before the next sequence.
    at: u64,
    open: Option<Run>,
    /// The base of the last run, how far before its bytes those of the base are, and how often it is still tried.
    last: (usize, i64, u32),
}

/// A base, a place among its tokens, and where they can be found.
struct Base {
    level: u32,
    cursor: Cursor,
    anchors: Vec<Anchor>,
}

impl Matcher {
    /// Takes the bases by their positions; some may have no tokens.
    pub(crate) fn new(bases: &[Option<Arc<BaseTokens>>]) -> io::Result<Self> {
        let base = |base: &Arc<BaseTokens>| {
            Ok(Base { level: base.level, cursor: base.cursor(), anchors: base.anchors()? })
        };
        let bases = bases.iter().map(|one| one.as_ref().map(base).transpose()).collect::<io::Result<_>>()?;
        Ok(Self { bases, hash: 0, at: 0, open: None, last: (0, 0, 0) })
    }

    /// Takes the next sequences.
    pub(crate) fn add(&mut self, sequences: &[Sequence], runs: &mut Vec<Run>) -> io::Result<()> {
        for &sequence in sequences {
            self.hash = sequence.hash(self.hash);
            if let Some(run) = &mut self.open {
                if let Some(Base { cursor, .. }) = &mut self.bases[run.base]
                    && cursor.peek()? == Some(sequence)
                    && sequence.is_known()
                {
                    cursor.skip(sequence);
                    run.length += sequence.plain();
                    self.at += sequence.plain();
                    continue;
                }
                self.close(SHORTEST_WRITTEN, runs);
            }
            self.at += sequence.plain();
            if self.hash >> (64 - LEAST_LEVEL) == 0 && self.find()? {
                continue;
            }
            self.again()?;
        }
        Ok(())
    }

    /// Ends the run in hand, for its bytes are wanted now. The next sequences may go on with it.
    pub(crate) fn cut(&mut self, runs: &mut Vec<Run>) {
        let Some(run) = self.open else { return };
        self.close(SHORTEST_READ, runs);
        self.open = Some(Run { at: self.at, from: run.from + run.length, length: 0, ..run });
    }

    fn close(&mut self, shortest: u64, runs: &mut Vec<Run>) {
        let Some(run) = self.open.take() else { return };
        if run.length >= shortest {
            runs.push(run);
        }
        let patience = if run.length >= SHORTEST_READ { PATIENCE } else { self.last.2 };
        self.last = (run.base, run.from as i64 - run.at as i64, patience);
    }

    /// Looks for the last sequences in the bases.
    #[cold]
    fn find(&mut self) -> io::Result<bool> {
        for (number, base) in self.bases.iter_mut().enumerate() {
            let Some(base) = base else { continue };
            if self.hash >> (64 - base.level) != 0 {
                continue;
            }
            let place = base.anchors.partition_point(|anchor| anchor.hash < self.hash);
            let Some(anchor) = base.anchors.get(place).filter(|anchor| anchor.hash == self.hash) else {
                continue;
            };
            if base.cursor.seek(anchor.plain)? == Some(0) {
                self.open = Some(Run { at: self.at, base: number, from: anchor.plain, length: 0 });
                return Ok(true);
            }
        }
        Ok(false)
    }

    /// Tries the place of the base where the last run would go on now.
    fn again(&mut self) -> io::Result<()> {
        let (number, shift, patience) = &mut self.last;
        if *patience == 0 {
            return Ok(());
        }
        *patience -= 1;
        let Some(from) = self.at.checked_add_signed(*shift) else { return Ok(()) };
        let Some(Some(Base { cursor, .. })) = self.bases.get_mut(*number) else { return Ok(()) };
        if cursor.seek(from)? == Some(0) {
            self.open = Some(Run { at: self.at, base: *number, from, length: 0 });
        }
        Ok(())
    }
}
