//! The double's clock, which tests can put forward instead of waiting.
//! Gives the time that tokens, robots and the garbage collection go by.

use std::fmt;
use std::sync::atomic::{AtomicI64, Ordering};
use std::time::{Duration, SystemTime, UNIX_EPOCH};

/// The machine's time and what tests added to it.
#[derive(Debug, Default)]
pub(super) struct Clock {
    ahead_milliseconds: AtomicI64,
}

impl Clock {
    pub(super) fn now(&self) -> Time {
        let since = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
        Time(milliseconds(since).saturating_add(self.ahead_milliseconds.load(Ordering::SeqCst)))
    }

    pub(super) fn advance(&self, by: Duration) {
        self.ahead_milliseconds.fetch_add(milliseconds(by), Ordering::SeqCst);
    }
}

/// Milliseconds since 1970. Displays as Harbor's API writes times: RFC 3339, UTC, milliseconds.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct Time(i64);

impl Time {
    /// Go's zero time in Harbor's answers: an artifact that was never pulled.
    pub(super) const NEVER: Time = Time(-62_135_596_800_000);

    pub(super) fn seconds(self) -> i64 {
        self.0.div_euclid(1000)
    }

    pub(super) fn plus_seconds(self, seconds: i64) -> Time {
        Time(self.0.saturating_add(seconds.saturating_mul(1000)))
    }
}

impl fmt::Display for Time {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (days, in_day) = (self.0.div_euclid(86_400_000), self.0.rem_euclid(86_400_000));
        let (year, month, day) = civil(days);
        let (seconds, milliseconds) = (in_day / 1000, in_day % 1000);
        let (hour, minute, second) = (seconds / 3600, seconds / 60 % 60, seconds % 60);
        write!(f, "{year:04}-{month:02}-{day:02}T{hour:02}:{minute:02}:{second:02}.{milliseconds:03}Z")
    }
}

fn milliseconds(duration: Duration) -> i64 {
    i64::try_from(duration.as_millis()).unwrap_or(i64::MAX)
}

/// The Gregorian date of a day counted from 1970-01-01. Years are counted from March, so that the leap day is
/// a year's last, in eras of 400 years.
fn civil(days: i64) -> (i64, i64, i64) {
    let days = days + 719_468;
    let (era, day_of_era) = (days.div_euclid(146_097), days.rem_euclid(146_097));
    let year_of_era = (day_of_era - day_of_era / 1460 + day_of_era / 36_524 - day_of_era / 146_096) / 365;
    let day_of_year = day_of_era - (365 * year_of_era + year_of_era / 4 - year_of_era / 100);
    let month_from_march = (5 * day_of_year + 2) / 153;
    let day = day_of_year - (153 * month_from_march + 2) / 5 + 1;
    let month = if month_from_march < 10 { month_from_march + 3 } else { month_from_march - 9 };
    (era * 400 + year_of_era + i64::from(month <= 2), month, day)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn times_are_written_as_rfc_3339() {
        for (milliseconds, text) in [
            (0, "1970-01-01T00:00:00.000Z"),
            (951_782_400_123, "2000-02-29T00:00:00.123Z"),
            (1_795_609_445_999, "2026-11-25T12:24:05.999Z"),
        ] {
            assert_eq!(Time(milliseconds).to_string(), text);
        }
        assert_eq!(Time::NEVER.to_string(), "0001-01-01T00:00:00.000Z");
    }

    #[test]
    fn a_clock_put_forward_is_ahead() {
        let clock = Clock::default();
        let before = clock.now();
        clock.advance(Duration::from_secs(7200));
        assert!(clock.now().seconds() >= before.seconds() + 7200);
    }
}
