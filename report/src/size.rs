//! Numbers for people: bytes, times, counts.
//! Take a number, give text.

use std::fmt;
use std::time::Duration;

pub use bundle_oci::ByteCount as Bytes;

/// A time for people: `1m 05s`, `0.4 s`.
#[derive(Clone, Copy, Debug)]
pub struct Took(
    /// The time.
    pub Duration,
);

impl fmt::Display for Took {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let seconds = self.0.as_secs();
        match seconds {
            0..60 => write!(f, "{:.1} s", self.0.as_secs_f64()),
            60..3600 => write!(f, "{}m {:02}s", seconds / 60, seconds % 60),
            _ => write!(f, "{}h {:02}m", seconds / 3600, seconds / 60 % 60),
        }
    }
}

/// `1 image`, `2 images`.
pub fn count(number: usize, noun: &str) -> String {
    if number == 1 { format!("1 {noun}") } else { format!("{number} {noun}s") }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_are_for_people() {
        let times = [400, 65_000, 3_660_000].map(|millis| Took(Duration::from_millis(millis)).to_string());
        assert_eq!(times, ["0.4 s", "1m 05s", "1h 01m"]);
        assert_eq!((count(1, "image"), count(0, "image")), ("1 image".to_owned(), "0 images".to_owned()));
    }
}
