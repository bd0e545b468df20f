//! When a bundle stops being importable, as people write it: a time, or a span after its creation.
//! Takes text and the time of creation, gives the time.

use std::str::FromStr;

use bundle_format::Timestamp;

/// When a bundle stops being importable: at a time, or so long after its creation.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Expires {
    /// At this time.
    At(Timestamp),
    /// So many seconds after its creation.
    After(i64),
}

/// A text or time that says no end.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum ExpiresError {
    /// A text of another form.
    #[error("must be a time like 2026-12-24T09:00:00Z, or like 12h, 30d, 8w")]
    Form,
    /// No time at all.
    #[error("the expiry must be after the creation time")]
    Nothing,
    /// A time before the creation, or beyond all calendars.
    #[error("the expiry of a bundle created at {0} must be later, and before the year 9999")]
    Time(Timestamp),
}

impl FromStr for Expires {
    type Err = ExpiresError;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        for (unit, seconds) in [("h", 3_600), ("d", 86_400), ("w", 604_800)] {
            if let Some(number) = text.strip_suffix(unit).and_then(|number| number.parse::<u32>().ok()) {
                return match number {
                    0 => Err(ExpiresError::Nothing),
                    _ => Ok(Self::After(i64::from(number) * seconds)),
                };
            }
        }
        text.parse().map(Self::At).map_err(|_| ExpiresError::Form)
    }
}

impl Expires {
    /// The end of a bundle that is made at `created`.
    ///
    /// # Errors
    /// [`ExpiresError::Time`].
    pub fn after(self, created: Timestamp) -> Result<Timestamp, ExpiresError> {
        let end = match self {
            Self::At(at) => at,
            Self::After(seconds) => Timestamp::from_unix(created.unix().saturating_add(seconds))
                .map_err(|_| ExpiresError::Time(created))?,
        };
        if end <= created { Err(ExpiresError::Time(created)) } else { Ok(end) }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_end_is_a_time_or_a_while() {
        let created = Timestamp::from_unix(1_000_000).unwrap();
        for (text, end) in [("12h", 1_043_200), ("30d", 3_592_000), ("8w", 5_838_400), ("1000001", 1_000_001)]
        {
            assert_eq!(text.parse::<Expires>().unwrap().after(created).unwrap().unix(), end, "{text}");
        }
        assert_eq!("0d".parse::<Expires>(), Err(ExpiresError::Nothing));
        for bad in ["", "d", "1y", "-1d", "soon"] {
            assert_eq!(bad.parse::<Expires>(), Err(ExpiresError::Form), "{bad}");
        }
        assert_eq!("1000000".parse::<Expires>().unwrap().after(created), Err(ExpiresError::Time(created)));
        assert!(Expires::After(i64::MAX).after(created).is_err());
    }
}
