//! FSE, the entropy coder of Zstandard (RFC 8878 section 4.1), as klauspost's encoder chooses its tables.
//! Takes how often each symbol occurs, gives a normal distribution, its description and the table of states.

use super::bits::BitWriter;

/// There is no larger code than that of match lengths.
pub(super) const SYMBOLS: usize = 64;
/// The most states are those of sequences.
const STATES: usize = 256;
/// The fewest states, as a power of two.
const MIN_LOG: u32 = 5;

/// How often each symbol occurs in all states; -1 for one state at the end.
pub(super) type Distribution = [i16; SYMBOLS];

/// The number of the highest bit, and -1 of 0, as `u32`.
pub(super) fn high_bit(value: u32) -> u32 {
    31u32.wrapping_sub(value.leading_zeros())
}

/// The number of states, as a power of two, for `len` symbols of which the last is `symbols - 1`.
/// `less` is what the length is taken smaller for the lower bound, `most` the highest.
pub(super) fn table_log(len: u32, symbols: u32, less: u32, most: u32) -> u32 {
    let from_len = high_bit(len.wrapping_sub(less)).wrapping_add(1);
    let from_symbols = high_bit(symbols.wrapping_sub(1)).wrapping_add(2);
    let least = u32::from(from_len.min(from_symbols) as u8);
    let highest = (high_bit(len.wrapping_sub(1)) as u8).wrapping_sub(2);
    most.min(u32::from(highest)).max(least).clamp(MIN_LOG, most)
}

/// What must be exceeded to round up, of small numbers of states.
const ROUND_UP: [u64; 8] = [0, 473_195, 504_333, 520_860, 550_000, 700_000, 750_000, 830_000];

/// Shares out the states; none where the encoder gives up.
pub(super) fn normalize(counts: &[u32], total: u32, log: u32) -> Option<Distribution> {
    let mut states = [0i16; SYMBOLS];
    let scale = 62 - log;
    let step = (1u64 << 62).checked_div(u64::from(total))?;
    let unit = 1u64 << (scale - 20);
    let mut left = 1i16 << log;
    let (mut largest, mut most) = (0, 0);
    let low = total >> log;
    for (i, (&count, state)) in counts.iter().zip(&mut states).enumerate() {
        if count == 0 {
            continue;
        }
        if count <= low {
            *state = -1;
            left -= 1;
            continue;
        }
        let exact = u64::from(count).wrapping_mul(step);
        let mut share = (exact >> scale) as i16;
        if let Some(&round_up) = ROUND_UP.get(share as usize)
            && exact - ((share as u64) << scale) > unit * round_up
        {
            share += 1;
        }
        if share > most {
            (most, largest) = (share, i);
        }
        *state = share;
        left -= share;
    }
    if -left >= states[largest] >> 1 {
        return normalize_hard(counts, total, log);
    }
    states[largest] += left;
    Some(states)
}

/// The other way, where rounding took too much.
fn normalize_hard(counts: &[u32], mut total: u32, log: u32) -> Option<Distribution> {
    const NOT_YET: i16 = -2;
    let mut states = [0i16; SYMBOLS];
    let low = total >> log;
    let mut one = (total * 3) >> (log + 1);
    let mut shared = 0u32;
    for (&count, state) in counts.iter().zip(&mut states).filter(|(count, _)| **count > 0) {
        *state = match count {
            _ if count <= low => -1,
            _ if count <= one => 1,
            _ => NOT_YET,
        };
        if *state != NOT_YET {
            shared += 1;
            total -= count;
        }
    }
    let mut to_share = (1u32 << log).checked_sub(shared)?;
    if total.checked_div(to_share)? > one {
        one = (total * 3).checked_div(to_share * 2)?;
        for (&count, state) in counts.iter().zip(&mut states) {
            if *state == NOT_YET && count <= one {
                *state = 1;
                shared += 1;
                total -= count;
            }
        }
        to_share = (1u32 << log).checked_sub(shared)?;
    }
    if shared == counts.len() as u32 + 1 {
        let (mut best, mut most) = (0, 0);
        for (i, &count) in counts.iter().enumerate() {
            if count > most {
                (best, most) = (i, count);
            }
        }
        states[best] += to_share as i16;
        return Some(states);
    }
    if total == 0 {
        let mut symbols = (0..counts.len()).cycle();
        if !states.iter().any(|&state| state > 0) {
            return None;
        }
        while to_share > 0 {
            let state = &mut states[symbols.next()?];
            if *state > 0 {
                to_share -= 1;
                *state += 1;
            }
        }
        return Some(states);
    }
    let scale = 62 - log;
    let middle = (1u64 << (scale - 1)) - 1;
    let step = ((1u64 << scale).wrapping_mul(u64::from(to_share)).wrapping_add(middle)) / u64::from(total);
    let mut so_far = middle;
    for (&count, state) in counts.iter().zip(&mut states).filter(|(_, state)| **state == NOT_YET) {
        let end = so_far.wrapping_add(u64::from(count).wrapping_mul(step));
        let weight = ((end >> scale) as u32).wrapping_sub((so_far >> scale) as u32);
        if weight < 1 {
            return None;
        }
        *state = weight as i16;
        so_far = end;
    }
    Some(states)
}

/// Describes a distribution of 2^`log` states over `symbols` symbols.
pub(super) fn describe(states: &Distribution, symbols: usize, log: u32, out: &mut Vec<u8>) -> Option<()> {
    let size = 1i32 << log;
    let (mut bits, mut count) = (log - MIN_LOG, 4);
    let (mut left, mut threshold, mut width) = (size + 1, size, log + 1);
    let (mut symbol, mut after_zero) = (0usize, false);
    let flush = |bits: &mut u32, out: &mut Vec<u8>| {
        out.extend_from_slice(&(*bits as u16).to_le_bytes());
        *bits >>= 16;
    };
    while left > 1 {
        if after_zero {
            let mut start = symbol;
            while *states.get(symbol)? == 0 {
                symbol += 1;
            }
            while symbol >= start + 24 {
                start += 24;
                bits = bits.wrapping_add(0xffff << count);
                flush(&mut bits, out);
            }
            while symbol >= start + 3 {
                start += 3;
                bits = bits.wrapping_add(3 << count);
                count += 2;
            }
            bits = bits.wrapping_add(((symbol - start) as u32) << count);
            count += 2;
            if count > 16 {
                flush(&mut bits, out);
                count -= 16;
            }
        }
        let mut state = i32::from(*states.get(symbol)?);
        symbol += 1;
        let max = (2 * threshold - 1) - left;
        left -= state.abs();
        state += 1;
        if state >= threshold {
            state += max;
        }
        bits = bits.wrapping_add((state as u32) << count);
        count += width;
        if state < max {
            count -= 1;
        }
        after_zero = state == 1;
        if left < 1 {
            return None;
        }
        while left < threshold {
            width -= 1;
            threshold >>= 1;
        }
        if count > 16 {
            flush(&mut bits, out);
            count -= 16;
        }
    }
    out.extend_from_slice(&bits.to_le_bytes()[..count.div_ceil(8) as usize]);
    (symbol <= symbols).then_some(())
}

/// What becomes of the state with a symbol.
#[derive(Clone, Copy, Default)]
pub(super) struct Symbol {
    pub(super) bits: u32,
    state: i16,
    /// Bits that follow the state in a stream of sequences.
    pub(super) extra: u8,
}

/// A table of states.
#[derive(Clone)]
pub(super) struct Table {
    pub(super) log: u32,
    states: [u16; STATES],
    pub(super) symbols: [Symbol; SYMBOLS],
}

impl Table {
    /// The table of one symbol only.
    pub(super) fn of_one(symbol: u8, extra: u8) -> Self {
        let mut symbols = [Symbol::default(); SYMBOLS];
        symbols[usize::from(symbol) % SYMBOLS].extra = extra;
        Self { log: 0, states: [0; STATES], symbols }
    }

    /// The table of a distribution over `symbols` symbols, with the extra bits of each; none if it does not fill it.
    pub(super) fn new(
        distribution: &Distribution,
        symbols: usize,
        log: u32,
        extra: impl Fn(usize) -> u8,
    ) -> Option<Self> {
        let size = 1usize << log;
        let distribution = distribution.get(..symbols)?;
        let mut at = [0u8; STATES];
        let mut begins = [0usize; SYMBOLS + 1];
        let mut high = size;
        for (i, &states) in distribution.iter().enumerate() {
            if states == -1 {
                high = high.checked_sub(1)?;
                *at.get_mut(high)? = i as u8;
            }
            begins[i + 1] = begins[i] + usize::from(states.unsigned_abs());
        }
        if begins[symbols] != size || size > STATES {
            return None;
        }
        let step = (size >> 1) + (size >> 3) + 3;
        let mut position = 0;
        for (i, &states) in distribution.iter().enumerate() {
            for _ in 0..states {
                at[position] = i as u8;
                position = (position + step) & (size - 1);
                while position >= high {
                    position = (position + step) & (size - 1);
                }
            }
        }
        if position != 0 {
            return None;
        }
        let mut table = Self { log, states: [0; STATES], symbols: [Symbol::default(); SYMBOLS] };
        let mut next = begins;
        for (state, &symbol) in at[..size].iter().enumerate() {
            let next = &mut next[usize::from(symbol)];
            table.states[*next] = (size + state) as u16;
            *next += 1;
        }
        let mut total = 0i32;
        for (i, &states) in distribution.iter().enumerate() {
            let symbol = &mut table.symbols[i];
            symbol.extra = extra(i);
            match states {
                0 => {}
                -1 | 1 => {
                    symbol.bits = (log << 16) - (1 << log);
                    symbol.state = (total - 1) as i16;
                    total += 1;
                }
                _ => {
                    let bits = log - high_bit(states as u32 - 1);
                    symbol.bits = (bits << 16) - ((states as u32) << bits);
                    symbol.state = (total - i32::from(states)) as i16;
                    total += i32::from(states);
                }
            }
        }
        Some(table)
    }

    /// The state to start with, of which the first symbol comes out at the end.
    #[inline(always)]
    pub(super) fn start(&self, symbol: u8) -> u16 {
        let symbol = self.symbols[usize::from(symbol) % SYMBOLS];
        let bits = (symbol.bits + (1 << 15)) >> 16;
        let state = (bits << 16) - symbol.bits;
        self.states[((state >> bits) as i32 + i32::from(symbol.state)) as usize % STATES]
    }

    /// Writes what leads from the next state to this one, and goes there.
    #[inline(always)]
    pub(super) fn step(&self, state: &mut u16, symbol: Symbol, bits: &mut BitWriter<'_>) {
        let count = (u32::from(*state) + symbol.bits) >> 16;
        let next = i32::from(*state >> (count & 15)) + i32::from(symbol.state);
        bits.add(u32::from(*state), count & 15);
        *state = self.states[next as usize % STATES];
    }
}
