//! How fast one upload to a registry goes, and after how long something on the way ends a request.
//! Takes what happened to uploads, gives how the next blob is sent.

use std::collections::HashMap;
use std::sync::Mutex;
use std::time::Duration;

use bundle_oci::Registry;

use crate::Limits;
use crate::limits::{MOST_BREAKS, SMALLEST_SAMPLE};
use crate::lock::lock;

/// The state of the lines to all registries.
#[derive(Debug)]
pub(crate) struct Lines {
    limits: Limits,
    known: Mutex<HashMap<Registry, Line>>,
}

#[derive(Clone, Copy, Debug, Default)]
struct Line {
    /// Bytes per second of one upload among the others.
    rate: Option<u64>,
    /// After how long a request was ended before it was done.
    cut_after: Option<Duration>,
    /// No request broke that had at most so many bytes; doubled once enough of them arrived.
    most: Option<u64>,
    /// How many requests broke.
    breaks: u32,
    /// How many requests of that size arrived since.
    arrived: u32,
    /// The bytes of the largest request that arrived.
    largest: u64,
    /// The registry takes no pieces.
    whole_only: bool,
}

/// How often a blob's bytes can be had.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Flow {
    /// Again for each attempt.
    Again,
    /// Once. Over a good line, more is under way than is kept.
    Once,
    /// Once, and all that is under way is kept.
    Kept,
}

/// How a blob is sent.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Way {
    /// By one PUT.
    Whole,
    /// By PATCHes and an empty PUT.
    Pieces,
}

impl Line {
    /// How long one request may take.
    fn time(&self, limits: &Limits) -> Duration {
        let time = limits.piece_time;
        self.cut_after.map_or(time, |cut| time.min(cut / 3)).max(Duration::from_millis(100))
    }

    /// The bytes that a request moves in its time.
    fn fits(&self, limits: &Limits) -> Option<u64> {
        let bytes = u128::from(self.rate?) * self.time(limits).as_millis() / 1000;
        let bytes = u64::try_from(bytes).unwrap_or(u64::MAX).min(self.most.unwrap_or(u64::MAX));
        Some(bytes.max(limits.smallest_piece))
    }

    /// The most bytes of one request that sends what can be read only once, from `offset` on.
    fn most_of_once(&self, limits: &Limits, offset: u64, flow: Flow) -> u64 {
        let fast = self.rate.is_none_or(|rate| rate >= limits.quick_rate);
        let (Flow::Once, 0, true) = (flow, self.breaks, fast) else { return limits.held_piece };
        match self.rate {
            Some(rate) if self.largest >= limits.trial_piece => {
                rate.saturating_mul(limits.quick_upload.as_secs()).max(limits.held_piece)
            }
            _ if offset == 0 => limits.trial_piece.max(limits.held_piece),
            _ => limits.held_piece,
        }
    }
}

impl Lines {
    pub(crate) fn new(limits: Limits) -> Self {
        Self { limits, known: Mutex::default() }
    }

    fn of(&self, registry: &Registry) -> Line {
        lock(&self.known).get(registry).copied().unwrap_or_default()
    }

    fn change(&self, registry: &Registry, change: impl FnOnce(&mut Line)) {
        change(lock(&self.known).entry(registry.clone()).or_default());
    }

    /// How a blob of so many bytes is sent. One that can be read only once is sent in pieces that
    /// are kept until the registry has them, unless the line is so good that it is there in a moment.
    pub(crate) fn way(&self, registry: &Registry, size: u64, flow: Flow) -> Way {
        let line = self.of(registry);
        let limits = &self.limits;
        let most = match (line.fits(limits), flow) {
            _ if line.whole_only => u64::MAX,
            (Some(fits), Flow::Again) => fits,
            (None, Flow::Again) => limits.whole_upload,
            (fits, _) => fits.unwrap_or(u64::MAX).min(line.most_of_once(limits, 0, flow)),
        };
        let whole = size <= most;
        if whole { Way::Whole } else { Way::Pieces }
    }

    /// The bytes of the piece that begins at `offset` of a blob of so many.
    pub(crate) fn piece(&self, registry: &Registry, offset: u64, size: u64, flow: Flow) -> u64 {
        let (line, left) = (self.of(registry), size - offset);
        let (first, most) = match flow {
            Flow::Again => (self.limits.first_piece, u64::MAX),
            Flow::Once | Flow::Kept => {
                let most = line.most_of_once(&self.limits, offset, flow);
                (most, most)
            }
        };
        let fits = line.fits(&self.limits).unwrap_or(first);
        let piece = fits.min(most);
        let most = most.min(line.most.unwrap_or(u64::MAX)).max(piece);
        // No small rest that costs a request of its own.
        if left <= piece.saturating_add(piece / 2).min(most) { left } else { piece }
    }

    /// How many of the last bytes of a request are kept until it is answered.
    pub(crate) fn keeps(&self, offset: u64, length: u64, flow: Flow) -> u64 {
        let limits = &self.limits;
        match flow {
            Flow::Again => 0,
            _ if offset == 0 && length <= limits.trial_piece => limits.trial_piece.max(limits.held_piece),
            _ => limits.held_piece,
        }
    }

    /// Records that so many bytes arrived in this time.
    pub(crate) fn moved(&self, registry: &Registry, bytes: u64, took: Duration) {
        let (found, least) = (rate(bytes, took), self.limits.smallest_piece);
        let sample = bytes >= SMALLEST_SAMPLE || (bytes >= least && took >= Duration::from_secs(1));
        self.change(registry, |line| {
            line.largest = line.largest.max(bytes);
            if line.most.is_some_and(|most| bytes >= most) {
                line.arrived = line.arrived.saturating_add(1);
                // Something that ends every request of some size does it again and again, and many
                // registries drop the whole upload then: each time, larger pieces are tried later.
                if line.arrived >= 1 << line.breaks.min(MOST_BREAKS) {
                    line.most = line.most.and_then(|most| most.checked_mul(2));
                    line.arrived = 0;
                }
            }
        });
        self.change(registry, |line| match line.rate {
            Some(rate) if sample || (bytes >= least && found > rate) => {
                line.rate = Some(rate / 2 + found / 2)
            }
            None if sample => line.rate = Some(found),
            _ => {}
        });
    }

    /// Records that an upload broke off, after so many bytes were handed to the connection.
    pub(crate) fn broke(&self, registry: &Registry, bytes: u64, took: Duration) {
        let least = self.limits.smallest_piece;
        // A connection that breaks at once does not show how long a request may take.
        let long = took >= Duration::from_secs(1);
        self.change(registry, |line| {
            let found = rate(bytes.max(least), took.max(Duration::from_secs(1)));
            line.rate = Some(line.rate.map_or(found, |rate| rate.min(found)));
            line.most = Some(line.most.unwrap_or(u64::MAX).min(bytes / 2).max(least));
            line.breaks = line.breaks.saturating_add(1);
            line.arrived = 0;
            if long {
                line.cut_after = Some(line.cut_after.map_or(took, |cut| cut.min(took)));
            }
        });
    }

    /// Records that the registry takes no pieces.
    pub(crate) fn takes_whole_only(&self, registry: &Registry) {
        self.change(registry, |line| line.whole_only = true);
    }

    /// After how long something on the way ended a request, if it did.
    pub(crate) fn cut_after(&self, registry: &Registry) -> Option<Duration> {
        self.of(registry).cut_after
    }
}

fn rate(bytes: u64, took: Duration) -> u64 {
    let rate = u128::from(bytes) * 1000 / took.as_millis().max(1);
    u64::try_from(rate).unwrap_or(u64::MAX)
}

#[cfg(test)]
mod tests {
    use super::*;

    const MIB: u64 = 1 << 20;

    #[test]
    fn blobs_are_sent_whole_as_long_as_a_request_is_short() {
        let lines = Lines::new(Limits::default());
        let registry: Registry = "r.example".parse().unwrap();
        let second = Duration::from_secs(1);
        assert_eq!(lines.way(&registry, 32 * MIB, Flow::Again), Way::Whole);
        assert_eq!(lines.way(&registry, 33 * MIB, Flow::Again), Way::Pieces);
        assert_eq!(lines.piece(&registry, 0, 1000 * MIB, Flow::Again), 8 * MIB);
        // A fast line takes almost anything at once.
        lines.moved(&registry, 100 * MIB, second);
        assert_eq!(lines.way(&registry, 2000 * MIB, Flow::Again), Way::Whole);
        assert_eq!(lines.way(&registry, 2001 * MIB, Flow::Again), Way::Pieces);
        lines.takes_whole_only(&registry);
        assert_eq!(lines.way(&registry, 5000 * MIB, Flow::Again), Way::Whole);
    }

    #[test]
    fn what_comes_once_is_kept_until_it_arrived_unless_it_is_there_in_a_moment() {
        let lines = Lines::new(Limits::default());
        let registry: Registry = "r.example".parse().unwrap();
        let second = Duration::from_secs(1);
        let way = |size, flow| lines.way(&registry, size * MIB, flow);
        let piece = |offset, flow| lines.piece(&registry, offset * MIB, 2000 * MIB, flow) / MIB;
        // Nothing is known yet: all of the first request is kept.
        assert_eq!((way(24, Flow::Once), way(25, Flow::Once)), (Way::Whole, Way::Pieces));
        assert_eq!((piece(0, Flow::Once), piece(0, Flow::Kept), piece(8, Flow::Once)), (24, 8, 8));
        assert_eq!(lines.keeps(0, 24 * MIB, Flow::Once), 24 * MIB);
        // It was fast, and small.
        lines.moved(&registry, 10 * MIB, second / 10);
        assert_eq!((piece(0, Flow::Once), piece(24, Flow::Once)), (24, 8));
        // Five seconds of a line that is good.
        lines.moved(&registry, 24 * MIB, second * 24 / 100);
        assert_eq!((way(500, Flow::Once), way(501, Flow::Once)), (Way::Whole, Way::Pieces));
        assert_eq!((piece(0, Flow::Once), piece(24, Flow::Once), piece(24, Flow::Kept)), (500, 500, 8));
        assert_eq!(lines.keeps(0, 500 * MIB, Flow::Once), 8 * MIB);
        // One that is slow is not hurried.
        for _ in 0..10 {
            lines.moved(&registry, 24 * MIB, second);
        }
        assert_eq!((piece(0, Flow::Once), piece(24, Flow::Once)), (8, 8));
        // One break, and it is not relied on.
        lines.moved(&registry, 2000 * MIB, second);
        assert!(piece(24, Flow::Once) > 8);
        lines.broke(&registry, 100 * MIB, second);
        assert_eq!((way(9, Flow::Once), piece(24, Flow::Once)), (Way::Pieces, 8));
    }

    #[test]
    fn the_more_often_pieces_of_a_size_broke_the_later_they_are_tried_again() {
        let lines = Lines::new(Limits::default());
        let registry: Registry = "r.example".parse().unwrap();
        let moment = Duration::from_millis(50);
        // Pieces over 20 MiB are cut, and the bytes sent before are lost each time.
        let mut breaks = 0;
        let mut offset = 0;
        while offset < 1000 * MIB {
            let piece = lines.piece(&registry, offset, 1000 * MIB, Flow::Again);
            if piece > 20 * MIB {
                lines.broke(&registry, 20 * MIB, moment);
                breaks += 1;
                offset = 0;
            } else {
                lines.moved(&registry, piece, moment);
                offset += piece;
            }
            assert!(breaks < 10, "the blob never arrives");
        }
        assert!(breaks > 0);
    }

    #[test]
    fn pieces_fit_a_line_that_is_cut_and_leave_no_small_rest() {
        let lines = Lines::new(Limits::default());
        let registry: Registry = "r.example".parse().unwrap();
        // Traefik 3 reads a request for 60 seconds (entryPoints, respondingTimeouts.readTimeout).
        lines.broke(&registry, 60 * MIB, Duration::from_secs(60));
        assert_eq!(lines.cut_after(&registry), Some(Duration::from_secs(60)));
        assert_eq!(lines.piece(&registry, 0, 1000 * MIB, Flow::Again), 20 * MIB);
        assert_eq!(lines.piece(&registry, 0, 30 * MIB, Flow::Again), 30 * MIB);
        // A stricter one.
        lines.broke(&registry, 3 * MIB, Duration::from_secs(6));
        assert_eq!(lines.piece(&registry, 0, 1000 * MIB, Flow::Again), MIB);
        assert_eq!(lines.way(&registry, 2 * MIB, Flow::Again), Way::Pieces);
        // Bytes that arrive let pieces grow again.
        lines.moved(&registry, 2 * MIB, Duration::from_secs(4));
        assert_eq!(lines.piece(&registry, 0, 1000 * MIB, Flow::Again), MIB);
        // However slow, a piece has a size.
        lines.broke(&registry, 0, Duration::from_secs(60));
        assert_eq!(lines.piece(&registry, 0, 1000 * MIB, Flow::Again), 256 << 10);
    }
}
