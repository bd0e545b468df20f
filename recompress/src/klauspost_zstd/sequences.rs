//! The section of sequences of a block (RFC 8878 section 3.1.1.3.2): codes, which tables they take, and the stream.
//! Takes sequences, appends the section.

use super::bits::BitWriter;
use super::fse::{Distribution, SYMBOLS, Table, describe, high_bit, normalize, table_log};
use super::version::ZstdVersion;

/// The shortest match.
pub(super) const MIN_MATCH: u32 = 3;
/// The most states for sequences, as a power of two.
const MAX_LOG: u32 = 8;

/// Literals, and a match behind them.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Sequence {
    pub(super) literals: u32,
    /// The length of the match, less [`MIN_MATCH`].
    pub(super) length: u32,
    /// 1 to 3 for an offset of before, else the offset and 3.
    pub(super) offset: u32,
}

/// The three kinds of codes, in the order in which a section describes them.
const LITERALS: usize = 0;
const OFFSETS: usize = 1;
const LENGTHS: usize = 2;

const LITERALS_EXTRA: [u8; 36] = [
    0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 1, 1, 1, 1, 2, 2, 3, 3, 4, 6, 7, 8, 9, 10, 11, 12, 13,
    14, 15, 16,
];
const LENGTHS_EXTRA: [u8; 53] = [
    0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 1, 1, 1,
    1, 2, 2, 3, 3, 4, 4, 5, 7, 8, 9, 10, 11, 12, 13, 14, 15, 16,
];
/// The predefined distributions of RFC 8878 section 3.1.1.3.2.2.
const LITERALS_STATES: [i16; 36] = [
    4, 3, 2, 2, 2, 2, 2, 2, 2, 2, 2, 2, 2, 1, 1, 1, 2, 2, 2, 2, 2, 2, 2, 2, 2, 3, 2, 1, 1, 1, 1, 1, -1, -1,
    -1, -1,
];
const OFFSETS_STATES: [i16; 29] =
    [1, 1, 1, 1, 1, 1, 2, 2, 2, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, -1, -1, -1, -1, -1];
const LENGTHS_STATES: [i16; 53] = [
    1, 4, 3, 2, 2, 2, 2, 2, 2, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1,
    1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, -1, -1, -1, -1, -1, -1, -1,
];

/// How many bits follow the code.
fn extra(kind: usize, code: usize) -> u8 {
    match kind {
        LITERALS => LITERALS_EXTRA.get(code).copied().unwrap_or(0),
        LENGTHS => LENGTHS_EXTRA.get(code).copied().unwrap_or(0),
        _ => code as u8,
    }
}

fn literals_code(literals: u32) -> u8 {
    match literals {
        0..=15 => literals as u8,
        16..=23 => (16 + (literals - 16) / 2) as u8,
        24..=31 => (20 + (literals - 24) / 4) as u8,
        32..=47 => (22 + (literals - 32) / 8) as u8,
        48..=63 => 24,
        _ => high_bit(literals) as u8 + 19,
    }
}

/// The code of a length, less [`MIN_MATCH`].
fn length_code(length: u32) -> u8 {
    match length {
        0..=31 => length as u8,
        32..=39 => (32 + (length - 32) / 2) as u8,
        40..=47 => (36 + (length - 40) / 4) as u8,
        48..=63 => (38 + (length - 48) / 8) as u8,
        64..=95 => (40 + (length - 64) / 16) as u8,
        96..=127 => 42,
        _ => high_bit(length) as u8 + 36,
    }
}

/// Codes of one kind that a block had.
#[derive(Clone)]
struct Codes {
    /// 0 if they cannot be used again.
    symbols: usize,
    distribution: Distribution,
    table: Table,
    /// Whether there is one symbol only.
    run: bool,
}

impl Codes {
    fn none() -> Self {
        Self { symbols: 0, distribution: [0; SYMBOLS], table: Table::of_one(0, 0), run: true }
    }

    fn predefined(kind: usize) -> Self {
        let (states, log): (&[i16], _) = match kind {
            LITERALS => (&LITERALS_STATES, 6),
            OFFSETS => (&OFFSETS_STATES, 5),
            _ => (&LENGTHS_STATES, 6),
        };
        let mut distribution = [0; SYMBOLS];
        distribution[..states.len()].copy_from_slice(states);
        match Table::new(&distribution, states.len(), log, |code| extra(kind, code)) {
            Some(table) => Self { symbols: states.len(), distribution, table, run: false },
            None => unreachable!("a distribution that fills its table"),
        }
    }

    /// About how many bits the codes of these counts need; the highest number if they have no such code.
    fn size(&self, counts: &[u32]) -> u32 {
        const ACCURACY: u32 = 8;
        if self.symbols < counts.len() || self.run {
            return u32::MAX;
        }
        let log = self.table.log;
        let bad = (log + 1) << ACCURACY;
        let mut cost = 0u32;
        for (i, &count) in counts.iter().enumerate().filter(|(_, count)| **count > 0) {
            if self.distribution[i] == 0 {
                return u32::MAX;
            }
            let bits = self.table.symbols[i].bits;
            let least = bits >> 16;
            let below = ((least + 1) << 16).wrapping_sub(bits.wrapping_add(1 << log));
            let below = below.wrapping_shl(ACCURACY) >> log;
            let one = ((least + 1) << ACCURACY).wrapping_sub(below);
            if one > bad {
                return u32::MAX;
            }
            cost = cost.wrapping_add(count.wrapping_mul(one));
        }
        cost >> ACCURACY
    }
}

/// What a match costs in bits with the predefined tables.
pub(super) struct Costs {
    offsets: [i32; SYMBOLS],
    lengths: [i32; SYMBOLS],
}

impl Costs {
    pub(super) fn new() -> Self {
        let costs = |kind| {
            let symbols = Codes::predefined(kind).table.symbols;
            symbols.map(|symbol| i32::from(symbol.extra) + (symbol.bits >> 16) as i32)
        };
        Self { offsets: costs(OFFSETS), lengths: costs(LENGTHS) }
    }

    /// Of a match of this length, less [`MIN_MATCH`], and offset as in [`Sequence::offset`].
    pub(super) fn of(&self, length: u32, offset: u32) -> i32 {
        let at = |code: u8| usize::from(code) % SYMBOLS;
        self.offsets[at(high_bit(offset) as u8)] + self.lengths[at(length_code(length))]
    }
}

/// Which tables a block has, as a section says it.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Choice {
    Predefined = 0,
    Run = 1,
    New = 2,
    Again = 3,
}

/// The codes of the block before, and those that are predefined.
pub(super) struct Coder {
    counts_states: bool,
    predefined: [Codes; 3],
    previous: [Codes; 3],
    codes: Vec<[u8; 3]>,
}

impl Coder {
    pub(super) fn new(version: ZstdVersion) -> Self {
        Self {
            counts_states: version.counts_states(),
            predefined: [LITERALS, OFFSETS, LENGTHS].map(Codes::predefined),
            previous: [(); 3].map(|()| Codes::none()),
            codes: Vec::new(),
        }
    }

    /// Forgets the codes of before.
    pub(super) fn reset(&mut self) {
        self.previous.iter_mut().for_each(|codes| codes.symbols = 0);
    }

    /// Appends the section of at least one sequence. What may be used again by the next block is to be handed to
    /// [`Coder::keep`] if the section is written. None where the encoder gives up.
    pub(super) fn write(&mut self, sequences: &[Sequence], out: &mut Vec<u8>) -> Option<Used> {
        match sequences.len() {
            len @ ..128 => out.push(len as u8),
            len @ 128..0x7f00 => out.extend([128 + (len >> 8) as u8, len as u8]),
            len => out.extend([255, (len - 0x7f00) as u8, ((len - 0x7f00) >> 8) as u8]),
        }
        let mut counts = [[0u32; SYMBOLS]; 3];
        self.codes.clear();
        for sequence in sequences {
            let codes = [
                literals_code(sequence.literals),
                high_bit(sequence.offset) as u8,
                length_code(sequence.length),
            ];
            for (counts, &code) in counts.iter_mut().zip(&codes) {
                counts[usize::from(code) % SYMBOLS] += 1;
            }
            self.codes.push(codes);
        }
        let modes = out.len();
        out.push(0);
        let mut used = Used([const { None }; 3]);
        for kind in [LITERALS, OFFSETS, LENGTHS] {
            let (choice, codes) = self.choose(kind, &counts[kind], sequences.len() as u32)?;
            out[modes] |= (choice as u8) << (6 - 2 * kind);
            match choice {
                Choice::Run => out.push(self.codes[0][kind]),
                Choice::New => describe(&codes.distribution, codes.symbols, codes.table.log, out)?,
                Choice::Predefined | Choice::Again => {}
            }
            used.0[kind] = Some((choice, codes));
        }
        let [Some((_, literals)), Some((_, offsets)), Some((_, lengths))] = &used.0 else {
            return None;
        };
        stream(sequences, &self.codes, [&literals.table, &offsets.table, &lengths.table], out);
        Some(used)
    }

    /// The section was written.
    pub(super) fn keep(&mut self, used: Used) {
        for (previous, used) in self.previous.iter_mut().zip(used.0) {
            match used {
                Some((Choice::New | Choice::Run, codes)) => *previous = codes,
                Some((Choice::Predefined, _)) => previous.symbols = 0,
                _ => {}
            }
        }
    }

    fn choose(&self, kind: usize, counts: &[u32; SYMBOLS], total: u32) -> Option<(Choice, Codes)> {
        let symbols = counts.iter().rposition(|&count| count > 0)? + 1;
        let counts = &counts[..symbols];
        if counts[symbols - 1] == total {
            let table = Table::of_one(symbols as u8 - 1, extra(kind, symbols - 1));
            return Some((Choice::Run, Codes { table, symbols, ..Codes::none() }));
        }
        let log = table_log(total, symbols as u32, 0, MAX_LOG);
        let distribution = normalize(counts, total, log)?;
        let table = Table::new(&distribution, symbols, log, |code| extra(kind, code))?;
        let new = Codes { symbols, distribution, table, run: false };

        let (predefined, previous) = (&self.predefined[kind], &self.previous[kind]);
        let size = new.size(counts);
        let header = (((symbols as u32 * log) >> 3) + 3) * 8;
        let new_size = size.wrapping_add(header);
        let mut new_size = new_size.wrapping_add(new_size.wrapping_add(2 * 8 * 16) >> 4);
        let mut predefined_size = predefined.size(counts);
        let mut previous_size = previous.size(counts);
        let mut beside_previous = new_size;
        if self.counts_states {
            let mut header = Vec::new();
            if previous_size != u32::MAX && describe(&distribution, symbols, log, &mut header).is_some() {
                beside_previous = size.wrapping_add(header.len() as u32 * 8);
            }
            new_size = new_size.wrapping_add(log);
            beside_previous = beside_previous.wrapping_add(log);
            if predefined_size != u32::MAX {
                predefined_size = predefined_size.wrapping_add(predefined.table.log);
            }
            if previous_size != u32::MAX {
                previous_size = previous_size.wrapping_add(previous.table.log);
            }
        }
        Some(if predefined_size <= previous_size && predefined_size <= new_size {
            (Choice::Predefined, predefined.clone())
        } else if previous_size <= beside_previous {
            (Choice::Again, previous.clone())
        } else {
            (Choice::New, new)
        })
    }
}

/// What a section used.
pub(super) struct Used([Option<(Choice, Codes)>; 3]);

/// Writes the stream of all sequences, from the last to the first.
fn stream(sequences: &[Sequence], codes: &[[u8; 3]], tables: [&Table; 3], out: &mut Vec<u8>) {
    let [literals, offsets, lengths] = tables;
    let mut bits = BitWriter::new(out);
    let mut states: Option<[u16; 3]> = None;
    for (sequence, codes) in sequences.iter().zip(codes).rev() {
        let [literals_code, offset_code, length_code] = *codes;
        let at = |table: &Table, code: u8| table.symbols[usize::from(code) % SYMBOLS];
        let (literal, offset) = (at(literals, literals_code), at(offsets, offset_code));
        let length = at(lengths, length_code);
        match &mut states {
            Some([literals_state, offset_state, length_state]) => {
                offsets.step(offset_state, offset, &mut bits);
                lengths.step(length_state, length, &mut bits);
                literals.step(literals_state, literal, &mut bits);
            }
            states => {
                *states = Some([
                    literals.start(literals_code),
                    offsets.start(offset_code),
                    lengths.start(length_code),
                ]);
            }
        }
        bits.add(sequence.literals, u32::from(literal.extra));
        bits.add(sequence.length, u32::from(length.extra));
        bits.add(sequence.offset, u32::from(offset.extra));
    }
    let [literals_state, offset_state, length_state] = states.unwrap_or_default();
    bits.add(length_state.into(), lengths.log);
    bits.add(offset_state.into(), offsets.log);
    bits.add(literals_state.into(), literals.log);
    bits.close();
}

#[cfg(test)]
mod tests {
    use super::*;

    /// RFC 8878 table 3: the literals of codes from 16 on begin here.
    #[test]
    fn codes_are_those_of_the_specification() {
        let begins = [16, 18, 20, 22, 24, 28, 32, 40, 48, 64, 128, 256, 512, 1024, 2048, 4096, 8192];
        for (i, &begin) in begins.iter().enumerate() {
            assert_eq!(literals_code(begin), 16 + i as u8);
            assert_eq!(literals_code(begin - 1), 15 + i as u8);
        }
        let begins = [35, 37, 39, 41, 43, 47, 51, 59, 67, 83, 99, 131, 259, 515, 1027, 2051, 4099];
        for (i, &begin) in begins.iter().enumerate() {
            assert_eq!(length_code(begin - MIN_MATCH), 32 + i as u8);
            assert_eq!(length_code(begin - MIN_MATCH - 1), 31 + i as u8);
        }
    }
}
