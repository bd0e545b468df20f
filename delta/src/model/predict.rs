//! Prediction of bits: takes slots of contexts, gives the mixed probability, and learns the bit afterwards.
//! Counters and mixer are those of lpaq (Matt Mahoney), in integers, so that all machines agree.

use super::INPUTS;

/// The largest count of a counter: how slowly it learns at last.
const COUNT_MAX: u32 = 255;
/// The weight that a mixer starts with: 65536 is one.
const WEIGHT: i32 = 18_000;
/// The largest weight: inputs below 2^11, so that products fit.
const WEIGHT_MAX: i32 = (1 << 19) - 1;
/// How fast a mixer learns.
const RATE: i32 = 6;

/// Counters and mixers.
pub(crate) struct Predictor {
    /// One table per input for first bits, then one per input for the others. A counter is a probability of 22 bits
    /// and a count of 10 bits.
    counters: Vec<u32>,
    log: u32,
    /// One set of weights per mixer.
    weights: Vec<[i32; INPUTS]>,
    stretch: Vec<i16>,
    squash: Vec<u16>,
    /// 2^14 / (2 n + 3) for each count n, at most 4095.
    reciprocal: Vec<i32>,
}

impl Predictor {
    /// Takes the base-2 logarithm of a table's counters and the number of mixers.
    pub(crate) fn new(log: u32, mixers: usize) -> Predictor {
        let squash: Vec<u16> = (-2048..2048).map(squash).collect();
        let mut stretch = vec![0i16; 4096];
        let mut next = 0;
        for x in -2047..=2047i16 {
            let value = usize::from(squash[(i32::from(x) + 2048) as usize]);
            while next <= value {
                stretch[next] = x;
                next += 1;
            }
        }
        while next < 4096 {
            stretch[next] = 2047;
            next += 1;
        }
        Predictor {
            counters: vec![1 << 31; (2 * INPUTS) << log],
            log,
            weights: vec![[WEIGHT; INPUTS]; mixers],
            stretch,
            squash,
            reciprocal: (0..=COUNT_MAX as i32).map(|count| (16_384 / (2 * count + 3)).min(4095)).collect(),
        }
    }

    /// Codes one bit. `hashes` has one context per input. `node` is 0 for a byte's first bit (whether it is zero at
    /// all), then 1 and the bits before: the first four of them and the last four have sixteen counters together.
    #[inline]
    pub(crate) fn code(
        &mut self,
        bits: &mut impl super::Bits,
        bit: bool,
        hashes: &[u32; INPUTS],
        node: u32,
        mixer: usize,
    ) -> bool {
        let mask = (1u32 << self.log) - 1;
        let (first, line, within) = match node {
            0 => (0, 0, 0),
            1..16 => (INPUTS, 0, node),
            16..32 => (INPUTS, node, 1),
            32..64 => (INPUTS, node >> 1, node & 1 | 2),
            64..128 => (INPUTS, node >> 2, node & 3 | 4),
            _ => (INPUTS, node >> 3, node & 7 | 8),
        };
        let (change, low) = if first == 0 { (0, 0) } else { (line.wrapping_mul(0x9e37_79b1), 15) };
        let tables = &mut self.counters[first << self.log..][..INPUTS << self.log];
        let mut slots = [0u32; INPUTS];
        for (number, (slot, hash)) in slots.iter_mut().zip(hashes).enumerate() {
            *slot = (number as u32) << self.log | ((hash ^ change) & !low | within) & mask;
        }
        let counters = slots.map(|slot| tables[slot as usize]);
        let inputs = counters.map(|counter| i32::from(self.stretch[(counter >> 20) as usize]));
        let weights = &mut self.weights[mixer];
        let mut sum = 0i32;
        for (input, weight) in inputs.iter().zip(&*weights) {
            sum += (input * weight) >> 4;
        }
        let sum = (sum >> 12).clamp(-2047, 2047);
        let one = u32::from(self.squash[(sum + 2048) as usize]).clamp(1, 4095);
        let bit = bits.bit(bit, one);
        let error = ((i32::from(bit) << 12) - one as i32) * RATE;
        for (input, weight) in inputs.iter().zip(weights) {
            *weight = (*weight + ((input * error + 0x8000) >> 16)).clamp(-WEIGHT_MAX, WEIGHT_MAX);
        }
        // The lowest probability that a counter reaches is above zero, the highest below one.
        let target = if bit { (1 << 22) - 1 } else { 0 };
        let shares = counters.map(|counter| self.reciprocal[(counter & 255) as usize]);
        for ((slot, counter), share) in slots.iter().zip(counters).zip(shares) {
            let probability = (counter >> 10) as i32;
            let probability = probability + ((((target - probability) >> 3) * share) >> 10);
            let count = ((counter & 1023) + 1).min(COUNT_MAX);
            tables[*slot as usize] = (probability as u32) << 10 | count;
        }
        bit
    }
}

/// 4096 / (1 + e^-x), where 256 is one in x, interpolated between 33 points.
fn squash(x: i32) -> u16 {
    const POINTS: [i32; 33] = [
        1, 2, 3, 6, 10, 16, 27, 45, 73, 120, 194, 310, 488, 747, 1101, 1546, 2047, 2549, 2994, 3348, 3607,
        3785, 3901, 3975, 4022, 4050, 4068, 4079, 4085, 4089, 4092, 4093, 4094,
    ];
    if x > 2047 {
        return 4095;
    }
    if x < -2047 {
        return 0;
    }
    let within = x & 127;
    let point = ((x >> 7) + 16) as usize;
    ((POINTS[point] * (128 - within) + POINTS[point + 1] * within + 64) >> 7) as u16
}
