//! Huffman codes and blocks as Jean-loup Gailly's `trees.c` makes them, in zlib and in GNU gzip alike: the
//! same frequencies must give the same lengths, ties included, and the same choice of block type.
//!
//! After madler/zlib `trees.c` (1.3.1, unchanged in this since 1.1) and gzip 1.12 `trees.c`.

use super::BitWriter;
use super::codes::{
    BL_CODES, CODE_LENGTH_EXTRA, CODE_LENGTH_ORDER, D_CODES, DISTANCE_BASE, DISTANCE_EXTRA, END_BLOCK,
    FIXED_CODES, FIXED_LENGTHS, L_CODES, LENGTH_BASE, LENGTH_CODE, LENGTH_EXTRA, distance_code_of,
    fixed_distance, reversed,
};

const HEAP: usize = 2 * L_CODES + 1;
const MAX_BITS: usize = 15;
const MAX_CODE_LENGTH_BITS: usize = 7;
/// Symbols that fit in one block, at most (memLevel 9, and GNU gzip).
const SYMBOLS: usize = 1 << 15;
const REPEAT: usize = 16;
const ZEROS_SHORT: usize = 17;
const ZEROS_LONG: usize = 18;

/// Which block types may be chosen.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Codes {
    /// The shortest of the three.
    Any,
    /// Fixed codes, or stored (`Z_FIXED`).
    Fixed,
}

/// One block: the symbols that are collected, how often each code comes, and what its codes become.
pub(crate) struct Block {
    /// (distance << 8) | (length - 3), or a literal.
    symbols: Box<[u32; SYMBOLS]>,
    count: usize,
    /// How many symbols make a block full.
    full: usize,
    matches: usize,
    literals: Tree<HEAP>,
    distances: Tree<{ 2 * D_CODES + 1 }>,
    lengths: Tree<{ 2 * BL_CODES + 1 }>,
    heap: Heap,
    codes: Codes,
    pub(crate) bits: BitWriter,
}

impl Block {
    /// A block that is full after `full` symbols, at most 32,767.
    pub(crate) fn new(full: usize, codes: Codes) -> Self {
        let symbols = vec![0; SYMBOLS].into_boxed_slice();
        let mut block = Self {
            // The length is the array's.
            symbols: symbols.try_into().expect("as many symbols as the array has"),
            count: 0,
            full: full.min(SYMBOLS - 1),
            matches: 0,
            literals: Tree::new(),
            distances: Tree::new(),
            lengths: Tree::new(),
            heap: Heap { nodes: [0; HEAP], depth: [0; HEAP], len: 0, max: 0 },
            codes,
            bits: BitWriter::default(),
        };
        block.clear();
        block
    }

    /// Whether no symbol is in the block yet.
    pub(crate) fn is_empty(&self) -> bool {
        self.count == 0
    }

    /// How many symbols the block has.
    #[inline(always)]
    pub(crate) fn len(&self) -> usize {
        self.count
    }

    /// How many of them are matches.
    pub(crate) fn matches(&self) -> usize {
        self.matches
    }

    /// How often each distance code comes.
    pub(crate) fn distance_counts(&self) -> &[u16] {
        &self.distances.freq[..D_CODES]
    }

    /// Adds a literal; true if the block is full.
    #[inline(always)]
    pub(crate) fn literal(&mut self, byte: u8) -> bool {
        self.symbols[self.count & (SYMBOLS - 1)] = u32::from(byte);
        self.count += 1;
        self.literals.freq[byte as usize] += 1;
        self.count == self.full
    }

    /// Adds a match of (length - 3) at a distance; true if the block is full.
    #[inline(always)]
    pub(crate) fn copy(&mut self, distance: usize, length: u8) -> bool {
        self.symbols[self.count & (SYMBOLS - 1)] = ((distance as u32) << 8) | u32::from(length);
        self.count += 1;
        self.matches += 1;
        self.literals.freq[257 + LENGTH_CODE[length as usize] as usize] += 1;
        self.distances.freq[distance_code_of(distance - 1)] += 1;
        self.count == self.full
    }

    /// Writes the block and begins the next. `plain` is what it stands for, if that is still in the window.
    /// `plain_len` is its length in any case. (`_tr_flush_block`)
    pub(crate) fn flush(&mut self, plain: Option<&[u8]>, plain_len: usize, last: bool, out: &mut Vec<u8>) {
        let mut bits = Bits { dynamic: 0, fixed: 0 };
        self.literals.build(&LITERALS, L_CODES, &mut self.heap, &mut bits);
        self.distances.build(&DISTANCES, D_CODES, &mut self.heap, &mut bits);
        let sent = self.build_lengths(&mut bits);

        let fixed = (bits.fixed + 3 + 7) >> 3;
        let dynamic = (bits.dynamic + 3 + 7) >> 3;
        let use_fixed = fixed <= dynamic || self.codes == Codes::Fixed;
        let shortest = if use_fixed { fixed } else { dynamic };
        match plain {
            Some(plain) if plain_len as i64 + 4 <= shortest => self.bits.stored(plain, last, out),
            _ if use_fixed => self.write_fixed(last, fixed as usize, out),
            _ => self.write_dynamic(last, sent, dynamic as usize, out),
        }
        self.clear();
        if last {
            self.bits.align(out);
        }
    }

    /// Begins another stream.
    pub(crate) fn reset(&mut self) {
        self.bits = BitWriter::default();
        self.clear();
    }

    fn clear(&mut self) {
        self.literals.freq[..L_CODES].fill(0);
        self.distances.freq[..D_CODES].fill(0);
        self.lengths.freq[..BL_CODES].fill(0);
        self.literals.freq[END_BLOCK] = 1;
        self.count = 0;
        self.matches = 0;
    }

    /// The code for the lengths of both codes; gives how many of its lengths are sent, less one.
    /// (`build_bl_tree`)
    fn build_lengths(&mut self, bits: &mut Bits) -> usize {
        let freq = &mut self.lengths.freq;
        self.literals.run_lengths(|symbol, _, _| freq[symbol] += 1);
        self.distances.run_lengths(|symbol, _, _| freq[symbol] += 1);
        self.lengths.build(&CODE_LENGTHS, BL_CODES, &mut self.heap, bits);
        let mut sent = BL_CODES - 1;
        while sent >= 3 && self.lengths.len[CODE_LENGTH_ORDER[sent] as usize] == 0 {
            sent -= 1;
        }
        bits.dynamic += 3 * (sent as i64 + 1) + 5 + 5 + 4;
        sent
    }

    fn write_dynamic(&mut self, last: bool, sent: usize, size: usize, out: &mut Vec<u8>) {
        let bits = &mut self.bits;
        bits.put(4 + u64::from(last), 3, out);
        bits.put((self.literals.max_code + 1 - 257) as u64, 5, out);
        bits.put(self.distances.max_code as u64, 5, out);
        bits.put((sent + 1 - 4) as u64, 4, out);
        for &symbol in &CODE_LENGTH_ORDER[..=sent] {
            bits.put(u64::from(self.lengths.len[symbol as usize]), 3, out);
        }
        let lengths = &self.lengths;
        let mut send = |symbol: usize, extra: u64, count: u32| {
            bits.put(u64::from(lengths.code[symbol]), u32::from(lengths.len[symbol]), out);
            bits.put(extra, count, out);
        };
        self.literals.run_lengths(&mut send);
        self.distances.run_lengths(&mut send);
        let literals = Packed::of(&self.literals.code[..L_CODES], |n| self.literals.len[n] as u8);
        let distances = Packed::of(&self.distances.code[..D_CODES], |n| self.distances.len[n] as u8);
        self.write_symbols(&literals, &distances, size, out);
    }

    fn write_fixed(&mut self, last: bool, size: usize, out: &mut Vec<u8>) {
        self.bits.put(2 + u64::from(last), 3, out);
        let distances: [u16; D_CODES] = std::array::from_fn(fixed_distance);
        let literals = Packed::of(&FIXED_CODES[..L_CODES], |n| FIXED_LENGTHS[n]);
        self.write_symbols(&literals, &Packed::of(&distances, |_| 5), size, out);
    }

    /// (`compress_block`)
    fn write_symbols(&mut self, literals: &Packed, distances: &Packed, size: usize, out: &mut Vec<u8>) {
        let mut bulk = self.bits.bulk(size, out);
        for &symbol in &self.symbols[..self.count] {
            let low = (symbol & 0xff) as usize;
            let distance = (symbol >> 8) as usize;
            if distance == 0 {
                let code = literals.0[low];
                bulk.put(u64::from(code >> 8), code & 0xff);
                continue;
            }
            let length_code = LENGTH_CODE[low] as usize;
            let code = literals.0[257 + length_code];
            let (mut bits, mut count) = (u64::from(code >> 8), code & 0xff);
            bits |= ((low - LENGTH_BASE[length_code] as usize) as u64) << count;
            count += u32::from(LENGTH_EXTRA[length_code]);
            let distance_code = distance_code_of(distance - 1);
            let code = distances.0[distance_code];
            bits |= u64::from(code >> 8) << count;
            count += code & 0xff;
            bits |= ((distance - 1 - DISTANCE_BASE[distance_code] as usize) as u64) << count;
            count += u32::from(DISTANCE_EXTRA[distance_code]);
            bulk.put(bits, count);
        }
        let end = literals.0[END_BLOCK];
        bulk.put(u64::from(end >> 8), end & 0xff);
        bulk.end();
    }
}

/// (code << 8) | length, for a single look-up a symbol.
struct Packed([u32; 512]);

impl Packed {
    fn of(codes: &[u16], length: impl Fn(usize) -> u8) -> Self {
        let mut packed = [0; 512];
        for (n, &code) in codes.iter().enumerate() {
            packed[n] = (u32::from(code) << 8) | u32::from(length(n));
        }
        Self(packed)
    }
}

/// Lengths in bits of the block so far, with either kind of codes.
struct Bits {
    dynamic: i64,
    fixed: i64,
}

/// What is fixed about one of the three codes.
struct Kind {
    fixed: Option<fn(usize) -> u8>,
    extra: &'static [u8],
    extra_base: usize,
    max_length: usize,
}

const LITERALS: Kind =
    Kind { fixed: Some(|n| FIXED_LENGTHS[n]), extra: &LENGTH_EXTRA, extra_base: 257, max_length: MAX_BITS };
const DISTANCES: Kind =
    Kind { fixed: Some(|_| 5), extra: &DISTANCE_EXTRA, extra_base: 0, max_length: MAX_BITS };
const CODE_LENGTHS: Kind =
    Kind { fixed: None, extra: &CODE_LENGTH_EXTRA, extra_base: 0, max_length: MAX_CODE_LENGTH_BITS };

/// Nodes by frequency, and the depth under each, which breaks ties.
struct Heap {
    nodes: [u16; HEAP],
    depth: [u8; HEAP],
    len: usize,
    max: usize,
}

impl Heap {
    fn smaller(&self, freq: &[u16], n: u16, m: u16) -> bool {
        let (a, b) = (freq[n as usize], freq[m as usize]);
        a < b || (a == b && self.depth[n as usize] <= self.depth[m as usize])
    }

    /// (`pqdownheap`)
    fn down(&mut self, freq: &[u16], mut at: usize) {
        let node = self.nodes[at];
        let mut son = at << 1;
        while son <= self.len {
            if son < self.len && self.smaller(freq, self.nodes[son + 1], self.nodes[son]) {
                son += 1;
            }
            if self.smaller(freq, node, self.nodes[son]) {
                break;
            }
            self.nodes[at] = self.nodes[son];
            at = son;
            son <<= 1;
        }
        self.nodes[at] = node;
    }
}

/// One Huffman code. Nodes above the symbols are inner nodes while it is built.
struct Tree<const NODES: usize> {
    freq: [u16; NODES],
    /// The father while the tree is built, then the length: `trees.c` has a union, and a stale father may
    /// be read as a length only behind `max_code`, where a guard is set.
    len: [u16; NODES],
    code: [u16; NODES],
    max_code: usize,
}

impl<const NODES: usize> Tree<NODES> {
    fn new() -> Self {
        Self { freq: [0; NODES], len: [0; NODES], code: [0; NODES], max_code: 0 }
    }

    /// (`build_tree`)
    fn build(&mut self, kind: &Kind, symbols: usize, heap: &mut Heap, bits: &mut Bits) {
        heap.len = 0;
        heap.max = HEAP;
        let mut max_code = -1i32;
        for n in 0..symbols {
            if self.freq[n] == 0 {
                self.len[n] = 0;
                continue;
            }
            heap.len += 1;
            heap.nodes[heap.len] = n as u16;
            heap.depth[n] = 0;
            max_code = n as i32;
        }
        // Two codes at least are sent, for readers that need them.
        while heap.len < 2 {
            let node = if max_code < 2 {
                max_code += 1;
                max_code as usize
            } else {
                0
            };
            heap.len += 1;
            heap.nodes[heap.len] = node as u16;
            self.freq[node] = 1;
            heap.depth[node] = 0;
            bits.dynamic -= 1;
            if let Some(fixed) = kind.fixed {
                bits.fixed -= i64::from(fixed(node));
            }
        }
        self.max_code = max_code as usize;

        for n in (1..=heap.len / 2).rev() {
            heap.down(&self.freq, n);
        }
        let mut node = symbols;
        loop {
            let n = heap.nodes[1];
            heap.nodes[1] = heap.nodes[heap.len];
            heap.len -= 1;
            heap.down(&self.freq, 1);
            let m = heap.nodes[1];
            heap.max -= 2;
            heap.nodes[heap.max + 1] = n;
            heap.nodes[heap.max] = m;
            let (n, m) = (n as usize, m as usize);
            self.freq[node] = self.freq[n].wrapping_add(self.freq[m]);
            heap.depth[node] = heap.depth[n].max(heap.depth[m]) + 1;
            self.len[n] = node as u16;
            self.len[m] = node as u16;
            heap.nodes[1] = node as u16;
            node += 1;
            heap.down(&self.freq, 1);
            if heap.len < 2 {
                break;
            }
        }
        heap.max -= 1;
        heap.nodes[heap.max] = heap.nodes[1];

        let counts = self.lengths(kind, heap, bits);
        self.number(&counts);
    }

    /// (`gen_bitlen`)
    fn lengths(&mut self, kind: &Kind, heap: &Heap, bits: &mut Bits) -> [u16; MAX_BITS + 1] {
        let mut counts = [0u16; MAX_BITS + 1];
        let mut overflow = 0i32;
        self.len[heap.nodes[heap.max] as usize] = 0;
        for &node in &heap.nodes[heap.max + 1..] {
            let node = node as usize;
            let mut length = self.len[self.len[node] as usize] as usize + 1;
            if length > kind.max_length {
                length = kind.max_length;
                overflow += 1;
            }
            self.len[node] = length as u16;
            if node > self.max_code {
                continue;
            }
            counts[length] += 1;
            let extra = if node >= kind.extra_base { kind.extra[node - kind.extra_base] } else { 0 };
            let freq = i64::from(self.freq[node]);
            bits.dynamic += freq * (length as i64 + i64::from(extra));
            if let Some(fixed) = kind.fixed {
                bits.fixed += freq * i64::from(fixed(node) + extra);
            }
        }
        if overflow == 0 {
            return counts;
        }
        while overflow > 0 {
            let mut length = kind.max_length - 1;
            while counts[length] == 0 {
                length -= 1;
            }
            counts[length] -= 1;
            counts[length + 1] += 2;
            counts[kind.max_length] -= 1;
            overflow -= 2;
        }
        let mut at = HEAP;
        for length in (1..=kind.max_length).rev() {
            let mut left = counts[length];
            while left != 0 {
                at -= 1;
                let node = heap.nodes[at] as usize;
                if node > self.max_code {
                    continue;
                }
                if self.len[node] as usize != length {
                    let more = length as i64 - i64::from(self.len[node]);
                    bits.dynamic += more * i64::from(self.freq[node]);
                    self.len[node] = length as u16;
                }
                left -= 1;
            }
        }
        counts
    }

    /// (`gen_codes`)
    fn number(&mut self, counts: &[u16; MAX_BITS + 1]) {
        let mut next = [0u16; MAX_BITS + 1];
        let mut code = 0u16;
        for length in 1..=MAX_BITS {
            code = (code + counts[length - 1]) << 1;
            next[length] = code;
        }
        for n in 0..=self.max_code {
            let length = self.len[n] as usize;
            if length != 0 {
                self.code[n] = reversed(next[length], length as u32);
                next[length] += 1;
            }
        }
    }

    /// The lengths as they are sent: calls `send` with a symbol of the code for lengths, its extra bits and
    /// their number. (`scan_tree` and `send_tree`)
    fn run_lengths(&self, send: impl FnMut(usize, u64, u32)) {
        run_lengths(&self.len[..=self.max_code], send);
    }
}

/// Lengths of codes as zlib sends them. (`scan_tree` and `send_tree`)
fn run_lengths<T: Copy + Into<u16>>(lengths: &[T], mut send: impl FnMut(usize, u64, u32)) {
    {
        // No length equals the guard, which ends the last run.
        let length_at = |n: usize| lengths.get(n).map_or(u16::MAX, |&length| length.into());
        let (mut before, mut next) = (u16::MAX, length_at(0));
        let mut count = 0;
        let (mut most, mut least) = if next == 0 { (138, 3) } else { (7, 4) };
        for n in 0..lengths.len() {
            let length = next;
            next = length_at(n + 1);
            count += 1;
            if count < most && length == next {
                continue;
            }
            if count < least {
                (0..count).for_each(|_| send(length as usize, 0, 0));
            } else if length != 0 {
                if length != before {
                    send(length as usize, 0, 0);
                    count -= 1;
                }
                send(REPEAT, count - 3, 2);
            } else if count <= 10 {
                send(ZEROS_SHORT, count - 3, 3);
            } else {
                send(ZEROS_LONG, count - 11, 7);
            }
            count = 0;
            before = length;
            (most, least) = if next == 0 {
                (138, 3)
            } else if length == next {
                (6, 3)
            } else {
                (7, 4)
            };
        }
    }
}

/// A symbol of the code for lengths, with its extra bits.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(crate) struct Run {
    pub(crate) symbol: u8,
    pub(crate) extra: u8,
}

impl Run {
    /// How many extra bits follow.
    pub(crate) fn extra_bits(self) -> u32 {
        CODE_LENGTH_EXTRA.get(self.symbol as usize).map_or(0, |&bits| u32::from(bits))
    }

    /// For how many codes it stands.
    pub(crate) fn covers(self) -> usize {
        match self.symbol as usize {
            REPEAT | ZEROS_SHORT => 3 + self.extra as usize,
            ZEROS_LONG => 11 + self.extra as usize,
            _ => 1,
        }
    }
}

/// The runs in which zlib sends these lengths.
pub(crate) fn runs(lengths: &[u8]) -> Vec<Run> {
    let mut runs = Vec::new();
    run_lengths(lengths, |symbol, extra, _| runs.push(Run { symbol: symbol as u8, extra: extra as u8 }));
    runs
}

/// The lengths that zlib gives to codes that come so often, up to the last code that it sends.
pub(crate) fn code_lengths<const N: usize>(counts: &[u16; N]) -> Vec<u8> {
    let kind = match N {
        L_CODES => &LITERALS,
        D_CODES => &DISTANCES,
        _ => &CODE_LENGTHS,
    };
    let mut tree = Tree::<HEAP>::new();
    tree.freq[..N].copy_from_slice(counts);
    let mut heap = Heap { nodes: [0; HEAP], depth: [0; HEAP], len: 0, max: 0 };
    tree.build(kind, N, &mut heap, &mut Bits { dynamic: 0, fixed: 0 });
    let least = if N == L_CODES { END_BLOCK } else { 0 };
    tree.len[..=tree.max_code.max(least)].iter().map(|&length| length as u8).collect()
}
