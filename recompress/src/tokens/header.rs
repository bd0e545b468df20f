//! The header of a block with dynamic codes (RFC 1951 section 3.2.7), as it is read, as it is written, and
//! as the difference from the header that zlib would have written for the same symbols.

use std::io;

use super::coder::{Chance, Coder};
use crate::deflate::BitWriter;
use crate::deflate::codes::{BL_CODES, CODE_LENGTH_ORDER, D_CODES, L_CODES};
use crate::deflate::trees::{Run, code_lengths, runs};

/// Lengths of the codes of a block, and how they are sent.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Header {
    /// Lengths of the literal and length codes that are sent, 257 to 286.
    pub(crate) literals: Vec<u8>,
    /// Lengths of the distance codes that are sent, 1 to 30.
    pub(crate) distances: Vec<u8>,
    /// The runs in which they are sent.
    pub(crate) runs: Vec<Run>,
    /// Lengths of the codes of the runs.
    pub(crate) lengths: [u8; BL_CODES],
    /// How many of these are sent, 4 to 19.
    pub(crate) sent: usize,
}

/// Probabilities of what differs.
#[derive(Default)]
pub(crate) struct HeaderChances {
    all: Chance,
    again: Chance,
    /// The header before, for programs that use one for many blocks.
    before: Option<Header>,
    counts: Chance,
    same: [[Chance; 3]; 16],
    length: [[Chance; 16]; 16],
    way: [Chance; 4],
    run: [[Chance; 4]; 3],
    lengths: Chance,
    sent: Chance,
}

impl Header {
    /// What zlib would send for symbols that come so often.
    fn predicted(literals: &[u16; L_CODES], distances: &[u16; D_CODES]) -> Self {
        let literals = code_lengths(literals);
        let distances = code_lengths(distances);
        let mut header = Self { literals, distances, runs: Vec::new(), lengths: [0; BL_CODES], sent: 0 };
        header.runs = header.separate_runs();
        (header.lengths, header.sent) = header.predicted_lengths();
        header
    }

    /// Runs that end with the literal and length codes, as zlib's.
    fn separate_runs(&self) -> Vec<Run> {
        let mut all = runs(&self.literals);
        all.extend(runs(&self.distances));
        all
    }

    /// Runs over both kinds of codes, as Go's.
    fn joint_runs(&self) -> Vec<Run> {
        let both: Vec<u8> = self.literals.iter().chain(&self.distances).copied().collect();
        runs(&both)
    }

    fn predicted_lengths(&self) -> ([u8; BL_CODES], usize) {
        let mut counts = [0u16; BL_CODES];
        self.runs.iter().for_each(|run| counts[run.symbol as usize] += 1);
        let mut lengths = [0; BL_CODES];
        let built = code_lengths(&counts);
        lengths[..built.len()].copy_from_slice(&built);
        (lengths, sent(&lengths))
    }

    /// Codes the header: what differs from the one that is predicted. `actual` is `None` when reading.
    pub(crate) fn code(
        coder: &mut impl Coder,
        chances: &mut HeaderChances,
        literals: &[u16; L_CODES],
        distances: &[u16; D_CODES],
        actual: Option<&Self>,
    ) -> io::Result<Self> {
        let mut header = Self::predicted(literals, distances);
        let actual = actual.cloned();
        let same = actual.as_ref() == Some(&header);
        if coder.bit(&mut chances.all, same)? {
            return Ok(header);
        }
        if let Some(before) = &chances.before
            && coder.bit(&mut chances.again, actual.as_ref() == Some(before))?
        {
            return Ok(before.clone());
        }
        // When reading there is nothing to compare with, and what is given is ignored.
        let actual = actual.unwrap_or_else(|| header.clone());
        let same = actual.literals.len() == header.literals.len()
            && actual.distances.len() == header.distances.len();
        if !coder.bit(&mut chances.counts, same)? {
            let literals = coder.raw((actual.literals.len() - 257) as u32, 5)? as usize + 257;
            let distances = coder.raw((actual.distances.len() - 1) as u32, 5)? as usize + 1;
            header.literals.resize(literals.min(L_CODES), 0);
            header.distances.resize(distances.min(D_CODES), 0);
        }
        for (lengths, actual) in
            [(&mut header.literals, &actual.literals), (&mut header.distances, &actual.distances)]
        {
            let mut state = 0;
            for (n, length) in lengths.iter_mut().enumerate() {
                let actual = actual.get(n).copied().unwrap_or(0);
                let predicted = usize::from(*length & 15);
                let same = coder.bit(&mut chances.same[predicted][state], actual == *length)?;
                if !same {
                    *length = coder.tree(&mut chances.length[predicted], u32::from(actual))? as u8;
                }
                state = if same { state.saturating_sub(1) } else { 2 };
            }
        }
        header.code_runs(coder, chances, &actual)?;
        let (lengths, _) = header.predicted_lengths();
        header.lengths = lengths;
        if !coder.bit(&mut chances.lengths, actual.lengths == lengths)? {
            for (length, actual) in header.lengths.iter_mut().zip(actual.lengths) {
                *length = coder.raw(u32::from(actual), 3)? as u8;
            }
        }
        header.sent = sent(&header.lengths);
        if !coder.bit(&mut chances.sent, actual.sent == header.sent)? {
            header.sent = (coder.raw((actual.sent - 4) as u32, 4)? as usize + 4).min(BL_CODES);
        }
        chances.before = Some(header.clone());
        Ok(header)
    }

    fn code_runs(
        &mut self,
        coder: &mut impl Coder,
        chances: &mut HeaderChances,
        actual: &Self,
    ) -> io::Result<()> {
        let separate = self.separate_runs();
        if coder.bit(&mut chances.way[0], actual.runs == separate)? {
            self.runs = separate;
            return Ok(());
        }
        let joint = self.joint_runs();
        if coder.bit(&mut chances.way[1], actual.runs == joint)? {
            self.runs = joint;
            return Ok(());
        }
        let total = self.literals.len() + self.distances.len();
        let mut given = actual.runs.iter();
        let mut done = 0;
        self.runs.clear();
        while done < total {
            // 0: the length itself, 1 to 3: symbols 16 to 18.
            let run = given.next().copied().unwrap_or_default();
            let kind = coder.tree(&mut chances.run[0], u32::from(run.symbol.saturating_sub(15)))? as u8;
            let run = if kind == 0 {
                let length = self.literals.iter().chain(&self.distances).nth(done).copied().unwrap_or(0);
                Run { symbol: length, extra: 0 }
            } else {
                let run = Run { symbol: 15 + kind, extra: run.extra };
                Run { extra: coder.raw(u32::from(run.extra), run.extra_bits())? as u8, ..run }
            };
            done += run.covers();
            self.runs.push(run);
        }
        Ok(())
    }

    /// Writes the header, behind the three bits of the block's type.
    pub(crate) fn write(&self, bits: &mut BitWriter, out: &mut Vec<u8>) {
        bits.put((self.literals.len() - 257) as u64, 5, out);
        bits.put((self.distances.len() - 1) as u64, 5, out);
        bits.put((self.sent - 4) as u64, 4, out);
        for &symbol in &CODE_LENGTH_ORDER[..self.sent] {
            bits.put(u64::from(self.lengths[symbol as usize]), 3, out);
        }
        let codes = crate::deflate::codes::numbered(&self.lengths);
        for run in &self.runs {
            let symbol = run.symbol as usize;
            bits.put(u64::from(codes[symbol]), u32::from(self.lengths[symbol]), out);
            bits.put(u64::from(run.extra), run.extra_bits(), out);
        }
    }
}

/// How many lengths are sent, without the zeros at the end.
fn sent(lengths: &[u8; BL_CODES]) -> usize {
    let last = CODE_LENGTH_ORDER.iter().rposition(|&symbol| lengths[symbol as usize] != 0);
    last.map_or(4, |last| (last + 1).max(4))
}
