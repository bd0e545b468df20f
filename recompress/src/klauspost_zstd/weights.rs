//! The description of a Huffman code in Zstandard (RFC 8878 section 4.2.1): weights, in FSE or four bits each.
//! Takes the weights of all symbols but the last, appends the description.

use super::bits::BitWriter;
use super::fse::{SYMBOLS, Table, describe, normalize, table_log};

/// The most states, as a power of two.
const MAX_LOG: u32 = 6;
/// The most weights that have four bits each.
const MAX_RAW: usize = 128;

/// Appends the description of a code of `weights.len() + 1` symbols; none if it has none.
pub(super) fn describe_weights(weights: &[u8], out: &mut Vec<u8>) -> Option<()> {
    if weights.len() >= 2
        && let Some(coded) = coded(weights).filter(|coded| coded.len() < (weights.len() + 1) >> 1)
    {
        out.push(coded.len() as u8);
        out.extend_from_slice(&coded);
        return Some(());
    }
    if weights.len() > MAX_RAW || weights.is_empty() {
        return None;
    }
    out.push(128 | (weights.len() - 1) as u8);
    for pair in weights.chunks(2) {
        out.push(pair[0] << 4 | pair.get(1).copied().unwrap_or(0));
    }
    Some(())
}

/// The weights in FSE with two states; none where that does not pay.
fn coded(weights: &[u8]) -> Option<Vec<u8>> {
    let mut counts = [0u32; 16];
    for &weight in weights {
        counts[usize::from(weight & 15)] += 1;
    }
    let symbols = counts.iter().rposition(|&count| count > 0)? + 1;
    let most = *counts.iter().max()? as usize;
    if most == weights.len() || most == 1 || most < weights.len() >> 7 {
        return None;
    }
    let len = weights.len() as u32;
    let log = table_log(len, symbols as u32, 1, MAX_LOG);
    let distribution = normalize(&counts[..symbols], len, log)?;
    let mut out = Vec::new();
    describe(&distribution, symbols, log, &mut out)?;
    let table = Table::new(&distribution, symbols, log, |_| 0)?;
    if weights.len() <= 2 {
        return None;
    }
    let mut bits = BitWriter::new(&mut out);
    // The states take turns, from the end on; that of the first weight is the first.
    let mut states = [None, None];
    for (i, &weight) in weights.iter().enumerate().rev() {
        let symbol = table.symbols[usize::from(weight) % SYMBOLS];
        match &mut states[i % 2] {
            Some(state) => table.step(state, symbol, &mut bits),
            state => *state = Some(table.start(weight)),
        }
    }
    for state in states.into_iter().rev() {
        bits.add(u32::from(state?), log);
    }
    bits.close();
    (out.len() < weights.len()).then_some(out)
}
