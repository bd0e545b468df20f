//! How fast bytes move, and how long the rest takes. Takes counts with the time of each, so that no clock is
//! asked here; gives nothing as long as it would be a guess.

use std::collections::VecDeque;
use std::time::{Duration, Instant};

/// The time that counts: long enough that a batch every few seconds is no stall, short enough that a line that
/// has become slow shows.
const WINDOW: Duration = Duration::from_secs(20);
/// The first bytes say little about the rate.
const SETTLED: Duration = Duration::from_secs(3);
/// What moves within this time counts as one.
const BUCKET: Duration = Duration::from_millis(250);
/// A longer time is no prediction.
const LONGEST: Duration = Duration::from_secs(100 * 24 * 3600);

/// The bytes that moved of late.
#[derive(Debug)]
pub(crate) struct Rate {
    since: Instant,
    moved: VecDeque<(Instant, u64)>,
}

impl Rate {
    /// Begins to measure.
    pub(crate) fn new(now: Instant) -> Self {
        Self { since: now, moved: VecDeque::new() }
    }

    /// Some bytes have moved.
    pub(crate) fn add(&mut self, now: Instant, bytes: u64) {
        match self.moved.back_mut() {
            Some((at, sum)) if now.saturating_duration_since(*at) < BUCKET => *sum += bytes,
            _ => self.moved.push_back((now, bytes)),
        }
        while self.moved.front().is_some_and(|(at, _)| now.saturating_duration_since(*at) > WINDOW) {
            self.moved.pop_front();
        }
    }

    /// Bytes per second, once that is known. It is 0 if nothing moves any more.
    pub(crate) fn per_second(&self, now: Instant) -> Option<u64> {
        let time = now.saturating_duration_since(self.since);
        if time < SETTLED || (self.moved.is_empty() && time < WINDOW) {
            return None;
        }
        let of_late = self.moved.iter().filter(|(at, _)| now.saturating_duration_since(*at) <= WINDOW);
        let bytes: u64 = of_late.map(|(_, bytes)| bytes).sum();
        Some((bytes as f64 / time.min(WINDOW).as_secs_f64()) as u64)
    }

    /// How long so many more bytes take, if the rate says anything about that.
    pub(crate) fn left(&self, now: Instant, bytes: u64) -> Option<Duration> {
        let rate = self.per_second(now).filter(|rate| *rate > 0)?;
        let left = Duration::from_secs(bytes.div_ceil(rate));
        (left < LONGEST).then_some(left)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn after(rate: &mut Rate, start: Instant, step: u64, bytes: u64, millis: u64) -> Instant {
        let mut at = 0;
        while at + step <= millis {
            at += step;
            rate.add(start + Duration::from_millis(at), bytes);
        }
        start + Duration::from_millis(millis)
    }

    #[test]
    fn a_slow_line_is_measured_and_its_end_foretold() {
        let start = Instant::now();
        let mut rate = Rate::new(start);
        // 80 kB/s in pieces of 16 kB.
        let now = after(&mut rate, start, 200, 16_000, 2_900);
        assert_eq!((rate.per_second(now), rate.left(now, 8_000_000)), (None, None), "too early to say");
        let now = after(&mut rate, start + Duration::from_millis(3_000), 200, 16_000, 57_000);
        let per_second = rate.per_second(now).unwrap();
        assert!((76_000..=84_000).contains(&per_second), "{per_second}");
        let left = rate.left(now, 8_000_000).unwrap().as_secs();
        assert!((95..=106).contains(&left), "{left}");
    }

    #[test]
    fn a_batch_every_few_seconds_is_no_stall() {
        let start = Instant::now();
        let mut rate = Rate::new(start);
        // 512 KiB at 80 kB/s come every 6.5 seconds.
        let now = after(&mut rate, start, 6_554, 512 << 10, 120_000);
        let per_second = rate.per_second(now).unwrap();
        assert!((50_000..=110_000).contains(&per_second), "{per_second}");
    }

    #[test]
    fn a_line_that_stands_still_has_no_end() {
        let start = Instant::now();
        let mut rate = Rate::new(start);
        let now = after(&mut rate, start, 100, 1_000_000, 30_000);
        assert!((9_000_000..11_000_000).contains(&rate.per_second(now).unwrap()));
        let later = now + WINDOW + Duration::from_secs(1);
        assert_eq!((rate.per_second(later), rate.left(later, 1)), (Some(0), None));
        // One byte in that time: no 53 years.
        rate.add(later, 1);
        assert_eq!(rate.left(later, 8 << 30), None);
    }

    #[test]
    fn nothing_is_said_before_anything_moves() {
        let start = Instant::now();
        let rate = Rate::new(start);
        assert_eq!(rate.per_second(start + Duration::from_secs(10)), None);
        assert_eq!(rate.per_second(start + Duration::from_secs(21)), Some(0));
    }
}
