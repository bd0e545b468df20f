//! Huffman codes of literals (RFC 8878 section 4.2) as klauspost's `huff0` chooses and uses them again.
//! Takes literals, gives their streams with or without a new code, or says that they are better left alone.

use super::bits::BitWriter;
use super::fse::high_bit;
use super::weights::describe_weights;

/// The longest code of a literal, in bits.
const MAX_BITS: u8 = 11;
/// The shortest limit on a code.
const MIN_BITS: u8 = 5;
/// From this many literals on there are four streams.
pub(super) const FOUR_STREAMS: usize = 1024;
/// A code must save at least this part of the literals, as a shift.
const LEAST_SAVING: u32 = 4;
const NODES: usize = 512;

/// What becomes of literals.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Coded {
    /// They are better left as they are.
    Raw,
    /// They are one byte over and over.
    Run,
    /// The streams, behind the description of a new code.
    New,
    /// The streams, in the code of before.
    Again,
}

#[derive(Clone, Copy, Default)]
struct Code {
    value: u16,
    bits: u8,
}

/// A code of all literals up to the last that occurs; empty is none.
#[derive(Clone, Default)]
struct Codes(Vec<Code>);

impl Codes {
    /// The bytes that this many of each literal need.
    fn size(&self, counts: &[u32]) -> usize {
        let bits = self.0.iter().zip(counts).map(|(code, count)| u32::from(code.bits).wrapping_mul(*count));
        (bits.fold(7u32, u32::wrapping_add) >> 3) as usize
    }

    /// Whether each literal that occurs has a code.
    fn fits(&self, counts: &[u32]) -> bool {
        let has_code = |i: usize| self.0.get(i).is_some_and(|code| code.bits > 0);
        !self.0.is_empty() && counts.iter().enumerate().all(|(i, &count)| count == 0 || has_code(i))
    }

    fn write(&self, literals: &[u8], out: &mut Vec<u8>) {
        let mut table = [Code::default(); 256];
        table[..self.0.len()].copy_from_slice(&self.0);
        let mut bits = BitWriter::new(out);
        let (pairs, single) = literals.as_chunks::<2>();
        let (last, pairs) = match single {
            [last] => (Some(*last), pairs),
            _ => (None, pairs),
        };
        if let Some(last) = last {
            let code = table[usize::from(last)];
            bits.add(u32::from(code.value), u32::from(code.bits));
        }
        for &[first, second] in pairs.iter().rev() {
            let (first, second) = (table[usize::from(first)], table[usize::from(second)]);
            let both = u32::from(second.value) | u32::from(first.value) << second.bits;
            bits.add(both, u32::from(second.bits + first.bits));
        }
        bits.close();
    }
}

/// The coder of literals of one frame.
pub(super) struct Huffman {
    /// Whether the code of before may be used again.
    reuse: bool,
    previous: Codes,
    /// What the last literals became.
    pub(super) out: Vec<u8>,
    nodes: Vec<Node>,
}

/// The coder gives up, as the real one then does with an error.
pub(super) struct GivesUp;

impl Huffman {
    pub(super) fn new() -> Self {
        Self {
            reuse: false,
            previous: Codes::default(),
            out: Vec::new(),
            nodes: vec![Node::default(); NODES + 1],
        }
    }

    /// From now on, or until [`Huffman::allow_reuse`], codes of before are forgotten.
    pub(super) fn forbid_reuse(&mut self) {
        self.reuse = false;
    }

    /// A code was written, and may be used again.
    pub(super) fn allow_reuse(&mut self) {
        self.reuse = true;
    }

    /// Codes literals to [`Huffman::out`]; more than one.
    pub(super) fn compress(&mut self, literals: &[u8]) -> Result<Coded, GivesUp> {
        self.out.clear();
        if !self.reuse {
            self.previous.0.clear();
        }
        let mut counts = [0u32; 256];
        count(literals, &mut counts);
        let symbols = counts.iter().rposition(|&count| count > 0).map_or(0, |last| last + 1);
        let counts = &counts[..symbols];
        let most = counts.iter().max().copied().unwrap_or(0) as usize;
        let wanted = literals.len() - (literals.len() >> LEAST_SAVING);
        if most >= literals.len() {
            return Ok(if literals.len() <= 1 { Coded::Raw } else { Coded::Run });
        }
        if most == 1 || most < literals.len() >> 7 {
            return Ok(Coded::Raw);
        }
        let (codes, longest) = self.build(counts, literals.len()).ok_or(GivesUp)?;
        if self.reuse && self.previous.fits(counts) {
            let (old, new) = (self.previous.size(counts), codes.size(counts));
            if old <= new || 12 >= wanted {
                let fits = streams(&self.previous, literals, &mut self.out);
                let coded = if fits && self.out.len() < wanted { Coded::Again } else { Coded::Raw };
                return Ok(coded);
            }
        }
        let weights: Vec<u8> = codes.0[..symbols - 1]
            .iter()
            .map(|code| if code.bits == 0 { 0 } else { longest + 1 - code.bits })
            .collect();
        if describe_weights(&weights, &mut self.out).is_none()
            || !streams(&codes, literals, &mut self.out)
            || self.out.len() >= wanted
        {
            return Ok(Coded::Raw);
        }
        self.previous = codes;
        Ok(Coded::New)
    }

    /// Builds a code for at least two literals, and gives the length of its longest.
    fn build(&mut self, counts: &[u32], len: usize) -> Option<(Codes, u8)> {
        let limit = limit(len as u32, counts.len() as u32);
        let nodes = &mut self.nodes[..];
        sort(counts, nodes);
        // Node 0 is a barrier; the literals are from 1 on, those with the highest counts first.
        let leaves = 1 + counts.len();
        let mut last = counts.len();
        while nodes[last].count == 0 {
            last = last.checked_sub(1)?;
        }
        let root = leaves + last - 2;
        nodes[0].count = 1 << 31;
        nodes[leaves..=root].iter_mut().for_each(|node| node.count = 1 << 30);
        let (mut low, mut inner, mut made) = (last, leaves, leaves);
        while made <= root {
            let mut take = |nodes: &[Node]| {
                if nodes[low].count < nodes[inner].count {
                    low -= 1;
                    low + 1
                } else {
                    inner += 1;
                    inner - 1
                }
            };
            let (one, other) = if made == leaves {
                (last, last - 1)
            } else {
                let one = take(nodes);
                (one, take(nodes))
            };
            if made == leaves {
                low = last - 2;
            }
            nodes[made].count = nodes[one].count.wrapping_add(nodes[other].count);
            nodes[one].parent = made as u16;
            nodes[other].parent = made as u16;
            made += 1;
        }
        nodes[root].bits = 0;
        for node in (leaves..root).rev().chain(1..=last) {
            nodes[node].bits = nodes[usize::from(nodes[node].parent)].bits + 1;
        }
        let longest = shorten(&mut nodes[1..], last - 1, limit)?;
        if longest > MAX_BITS {
            return None;
        }
        let mut per_length = [0u16; MAX_BITS as usize + 1];
        let mut codes = vec![Code::default(); counts.len()];
        for node in &nodes[1..=last] {
            *per_length.get_mut(usize::from(node.bits))? += 1;
            codes[usize::from(node.symbol)].bits = node.bits;
        }
        let mut next = [0u16; MAX_BITS as usize + 1];
        let mut least = 0u16;
        for bits in (1..=usize::from(longest)).rev() {
            next[bits] = least;
            least = least.wrapping_add(per_length[bits]) >> 1;
        }
        for code in &mut codes {
            let next = &mut next[usize::from(code.bits)];
            code.value = if code.bits == 0 { 0 } else { *next };
            *next += 1;
        }
        Some((Codes(codes), longest))
    }
}

/// Counts literals in four tables at once, so that equal neighbours do not wait for each other.
fn count(literals: &[u8], counts: &mut [u32; 256]) {
    let mut tables = [[0u32; 256]; 4];
    let (fours, rest) = literals.as_chunks::<4>();
    for four in fours {
        for (table, &literal) in tables.iter_mut().zip(four) {
            table[usize::from(literal)] += 1;
        }
    }
    rest.iter().for_each(|&literal| counts[usize::from(literal)] += 1);
    for table in &tables {
        counts.iter_mut().zip(table).for_each(|(count, more)| *count += more);
    }
}

/// Writes one stream, or four with their lengths; false if a length has no room.
fn streams(codes: &Codes, literals: &[u8], out: &mut Vec<u8>) -> bool {
    if literals.len() < FOUR_STREAMS {
        codes.write(literals, out);
        return true;
    }
    let lengths = out.len();
    out.extend_from_slice(&[0; 6]);
    for (i, part) in literals.chunks(literals.len().div_ceil(4)).enumerate() {
        let start = out.len();
        codes.write(part, out);
        let Ok(len) = u16::try_from(out.len() - start) else {
            return false;
        };
        if i < 3 {
            out[lengths + 2 * i..lengths + 2 * i + 2].copy_from_slice(&len.to_le_bytes());
        }
    }
    true
}

/// The limit on the length of codes.
fn limit(len: u32, symbols: u32) -> u8 {
    let from_len = high_bit(len).wrapping_add(1);
    let from_symbols = high_bit(symbols.wrapping_sub(1)).wrapping_add(2);
    let least = from_len.min(from_symbols) as u8;
    let highest = (high_bit(len.wrapping_sub(1)) as u8).wrapping_sub(1);
    MAX_BITS.min(highest).max(least).clamp(MIN_BITS, MAX_BITS)
}

#[derive(Clone, Copy, Default)]
struct Node {
    count: u32,
    parent: u16,
    symbol: u8,
    bits: u8,
}

/// Sorts literals from node 1 on, the highest counts first, equal counts in the order of the literals.
fn sort(counts: &[u32], nodes: &mut [Node]) {
    // Buckets by the length of the count in bits, the longest first.
    let mut begins = [0usize; 34];
    for &count in counts {
        begins[high_bit(count + 1) as usize] += 1;
    }
    for n in (1..33).rev() {
        begins[n - 1] += begins[n];
    }
    let mut ends = begins;
    for (i, &count) in counts.iter().enumerate() {
        let bucket = high_bit(count + 1) as usize + 1;
        let mut at = ends[bucket];
        ends[bucket] += 1;
        while at > begins[bucket] && count > nodes[at].count {
            nodes[at + 1] = nodes[at];
            at -= 1;
        }
        nodes[at + 1] = Node { count, parent: 0, symbol: i as u8, bits: 0 };
    }
}

/// Makes codes no longer than `limit`, and gives the length of the longest. `nodes` are sorted, the last that
/// counts is `last`.
fn shorten(nodes: &mut [Node], last: usize, limit: u8) -> Option<u8> {
    const NONE: usize = usize::MAX;
    let longest = nodes[last].bits;
    if longest <= limit {
        return Some(longest);
    }
    let over = u32::from(longest - limit);
    let mut cost = 0i64;
    let mut n = last;
    while nodes[n].bits > limit {
        cost += (1i64 << over) - (1i64 << (longest - nodes[n].bits));
        nodes[n].bits = limit;
        n = n.checked_sub(1)?;
    }
    while nodes[n].bits == limit {
        n = n.checked_sub(1)?;
    }
    cost >>= over;

    // The last node of each length, by how much shorter than the limit it is.
    let mut last_of = [NONE; MAX_BITS as usize + 2];
    let mut bits = limit;
    for at in (0..=n).rev() {
        if nodes[at].bits < bits {
            bits = nodes[at].bits;
            last_of[usize::from(limit - bits)] = at;
        }
    }
    while cost > 0 {
        let mut shorter = high_bit(cost as u32) as usize + 1;
        while shorter > 1 {
            let (high, low) = (*last_of.get(shorter)?, last_of[shorter - 1]);
            if high != NONE && (low == NONE || nodes[high].count <= nodes[low].count.wrapping_mul(2)) {
                break;
            }
            shorter -= 1;
        }
        while shorter <= usize::from(MAX_BITS) && last_of[shorter] == NONE {
            shorter += 1;
        }
        cost -= 1 << (shorter - 1);
        let at = *last_of.get(shorter)?;
        if last_of[shorter - 1] == NONE {
            last_of[shorter - 1] = at;
        }
        nodes.get_mut(at)?.bits += 1;
        last_of[shorter] = match at.checked_sub(1) {
            Some(before) if usize::from(nodes[before].bits) + shorter == usize::from(limit) => before,
            _ => NONE,
        };
    }
    while cost < 0 {
        let at = if last_of[1] == NONE {
            while nodes[n].bits == limit {
                n = n.checked_sub(1)?;
            }
            n + 1
        } else {
            last_of[1] + 1
        };
        nodes.get_mut(at)?.bits -= 1;
        last_of[1] = at;
        cost += 1;
    }
    Some(limit)
}
