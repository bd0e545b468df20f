//! Huffman codes of limited length, as Go's `huffman_code.go` makes them: of all codes that are equally
//! short, the one that its boundary package-merge gives. Frequencies in, codes out.

/// The longest code that RFC 1951 allows.
const MAX_BITS: usize = 15;
/// Stands for "no more leaves" and "no more pairs", as in Go.
const NEVER: u32 = i32::MAX as u32;

/// The code of one symbol, already turned around for writing; length 0 for a symbol that does not occur.
#[derive(Clone, Copy, Default, Debug, PartialEq, Eq)]
pub(crate) struct Code {
    /// The bits, first bit lowest.
    pub(crate) bits: u16,
    /// How many.
    pub(crate) len: u8,
}

/// The codes of an alphabet of `N` symbols.
#[derive(Clone)]
pub(crate) struct Codes<const N: usize> {
    /// One for each symbol.
    pub(crate) codes: [Code; N],
    /// The symbols that occur, as frequency and symbol, rarest first.
    list: [(u32, u16); N],
    /// Plain Huffman trees are tried first.
    trees: bool,
}

impl<const N: usize> Codes<N> {
    /// Codes for nothing yet.
    pub(crate) fn new() -> Self {
        Self::with_trees(false)
    }

    /// The same; `trees` says that of all codes that are equally short a plain Huffman tree decides, as long
    /// as it is not too deep.
    pub(crate) fn with_trees(trees: bool) -> Self {
        Codes { codes: [Code::default(); N], list: [(0, 0); N], trees }
    }

    /// Codes of the given lengths, in the order of the symbols (RFC 1951 3.2.2).
    pub(crate) fn of_lengths(lengths: &[u8; N]) -> Self {
        let mut codes = Self::new();
        codes.assign(lengths);
        codes
    }

    /// Makes the codes for these frequencies, none longer than `max_bits` (at most 15).
    pub(crate) fn generate(&mut self, freq: &[u32; N], max_bits: usize) {
        let mut count = 0;
        for (symbol, &f) in freq.iter().enumerate() {
            if f != 0 {
                self.list[count] = (f, symbol as u16);
                count += 1;
            }
        }
        if count <= 2 {
            self.codes = [Code::default(); N];
            for (i, &(_, symbol)) in self.list[..count].iter().enumerate() {
                self.codes[usize::from(symbol)] = Code { bits: i as u16, len: 1 };
            }
            return;
        }
        let list = &mut self.list[..count];
        list.sort_unstable();
        let tree = if self.trees { tree_counts(list, max_bits) } else { None };
        let counts = tree.unwrap_or_else(|| bit_counts(list, max_bits.min(MAX_BITS)));
        let mut lengths = [0u8; N];
        let mut rest = &list[..];
        for (bits, &n) in counts.iter().enumerate() {
            let (left, those) = rest.split_at(rest.len() - n as usize);
            for &(_, symbol) in those {
                lengths[usize::from(symbol)] = bits as u8;
            }
            rest = left;
        }
        self.assign(&lengths);
    }

    /// How many bits these frequencies take.
    pub(crate) fn bit_length(&self, freq: &[u32; N]) -> usize {
        freq.iter().zip(&self.codes).map(|(&f, code)| f as usize * usize::from(code.len)).sum()
    }

    fn assign(&mut self, lengths: &[u8; N]) {
        let mut counts = [0u16; MAX_BITS + 1];
        for &len in lengths {
            counts[usize::from(len)] += 1;
        }
        counts[0] = 0;
        let mut next = [0u16; MAX_BITS + 1];
        for len in 1..=MAX_BITS {
            next[len] = (next[len - 1] + counts[len - 1]) << 1;
        }
        for (code, &len) in self.codes.iter_mut().zip(lengths) {
            *code = Code::default();
            if len != 0 {
                let bits = next[usize::from(len)].reverse_bits() >> (16 - len);
                *code = Code { bits, len };
                next[usize::from(len)] += 1;
            }
        }
    }
}

/// How many of the symbols in `list` (three or more, rarest first) get codes of how many bits in a Huffman
/// tree; none if that is deeper than `max_bits`.
fn tree_counts(list: &[(u32, u16)], max_bits: usize) -> Option<[u32; MAX_BITS + 1]> {
    const MOST: usize = 288;
    let n = list.len();
    // Leaves are nodes from 0 on, inner nodes from n on, both in the order of their frequencies.
    let mut parent = [0u16; 2 * MOST];
    let mut freq = [0u32; MOST];
    let (mut leaf, mut node) = (0, 0);
    for k in 0..n - 1 {
        let mut sum = 0;
        for _ in 0..2 {
            if leaf < n && (node >= k || list[leaf].0 <= freq[node]) {
                sum += list[leaf].0;
                parent[leaf] = (n + k) as u16;
                leaf += 1;
            } else {
                sum += freq[node];
                parent[n + node] = (n + k) as u16;
                node += 1;
            }
        }
        freq[k] = sum;
    }
    let mut depth = [0usize; MOST];
    let mut counts = [0; MAX_BITS + 1];
    for k in (0..2 * n - 2).rev() {
        let d = depth[usize::from(parent[k]) - n] + 1;
        if k >= n {
            depth[k - n] = d;
        } else if d <= max_bits {
            counts[d] += 1;
        } else {
            return None;
        }
    }
    Some(counts)
}

#[derive(Clone, Copy, Default)]
struct Level {
    /// The frequency of the last node of this level.
    last: u32,
    /// The frequency of the next leaf.
    next_leaf: u32,
    /// The frequency of the next pair from the level below.
    next_pair: u32,
    /// How many nodes are still wanted before going up.
    needed: u32,
}

/// How many of the symbols in `list` (three or more, rarest first) get codes of how many bits.
fn bit_counts(list: &[(u32, u16)], max_bits: usize) -> [u32; MAX_BITS + 1] {
    let n = list.len();
    let freq = |i: usize| list.get(i).map_or(NEVER, |&(f, _)| f);
    let max_bits = max_bits.min(n - 1);
    let mut levels = [Level::default(); MAX_BITS + 2];
    // leaves[i][j]: how many leaves are left of the level j ancestor of the rightmost node of level i.
    let mut leaves = [[0u32; MAX_BITS + 1]; MAX_BITS + 1];
    for level in 1..=max_bits {
        levels[level] = Level {
            last: freq(1),
            next_leaf: freq(2),
            next_pair: if level == 1 { NEVER } else { freq(0) + freq(1) },
            needed: 0,
        };
        leaves[level][level] = 2;
    }
    levels[max_bits].needed = 2 * n as u32 - 4;
    let mut level = max_bits;
    loop {
        let l = &mut levels[level];
        if l.next_pair == NEVER && l.next_leaf == NEVER {
            // Neither leaves nor pairs are left; nobody comes back to this level or below.
            l.needed = 0;
            levels[level + 1].next_pair = NEVER;
            level += 1;
            continue;
        }
        let before = l.last;
        let steals = l.next_leaf >= l.next_pair;
        if steals {
            l.last = l.next_pair;
        } else {
            l.last = l.next_leaf;
            leaves[level][level] += 1;
            l.next_leaf = freq(leaves[level][level] as usize);
        }
        l.needed -= 1;
        let (needed, last) = (l.needed, l.last);
        if steals {
            let (below, here) = leaves.split_at_mut(level);
            here[0][..level].copy_from_slice(&below[level - 1][..level]);
            levels[level - 1].needed = 2;
        }
        if needed == 0 {
            if level == max_bits {
                break;
            }
            levels[level + 1].next_pair = before + last;
            level += 1;
        } else {
            while levels[level - 1].needed > 0 {
                level -= 1;
            }
        }
    }
    let mut counts = [0; MAX_BITS + 1];
    for (bits, level) in (1..=max_bits).rev().enumerate() {
        counts[bits + 1] = leaves[max_bits][level] - leaves[max_bits][level - 1];
    }
    counts
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn few_symbols_take_one_bit_each() {
        let mut codes = Codes::<5>::new();
        codes.generate(&[0, 7, 0, 1, 0], 15);
        assert_eq!(codes.codes.map(|c| c.len), [0, 1, 0, 1, 0]);
        assert_eq!((codes.codes[1].bits, codes.codes[3].bits), (0, 1));
    }

    #[test]
    fn no_code_is_longer_than_the_limit_and_the_tree_is_full() {
        let mut freq = [0u32; 20];
        let (mut a, mut b) = (1, 1);
        for f in &mut freq {
            *f = a;
            (a, b) = (b, a + b);
        }
        for limit in [7, 15] {
            let mut codes = Codes::<20>::new();
            codes.generate(&freq, limit);
            let filled: u32 = codes.codes.iter().map(|c| 1 << (15 - c.len)).sum();
            assert_eq!(filled, 1 << 15);
            assert!(codes.codes.iter().all(|c| usize::from(c.len) <= limit));
        }
    }
}
