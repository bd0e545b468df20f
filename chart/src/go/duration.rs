//! Go's `time.Duration`.
//! Reads and writes texts such as `1h30m`.

const NANOSECOND_UNITS: [(&str, i64); 8] = [
    ("ns", 1),
    ("us", 1_000),
    ("µs", 1_000),
    ("μs", 1_000),
    ("ms", 1_000_000),
    ("s", 1_000_000_000),
    ("m", 60_000_000_000),
    ("h", 3_600_000_000_000),
];

/// `time.ParseDuration`: nanoseconds of a text like `-1h30.5m`.
pub(crate) fn parse_duration(text: &str) -> Option<i64> {
    let (sign, mut rest) = match text.strip_prefix('-') {
        Some(rest) => (-1, rest),
        None => (1, text.strip_prefix('+').unwrap_or(text)),
    };
    if rest == "0" {
        return Some(0);
    }
    if rest.is_empty() {
        return None;
    }
    let mut total = 0i128;
    while !rest.is_empty() {
        let length = rest.find(|c: char| !c.is_ascii_digit() && c != '.').unwrap_or(rest.len());
        let (number, tail) = rest.split_at(length);
        let unit_length = tail.find(|c: char| c.is_ascii_digit() || c == '.').unwrap_or(tail.len());
        let (unit, tail) = tail.split_at(unit_length);
        let (_, scale) = NANOSECOND_UNITS.iter().find(|(name, _)| *name == unit)?;
        let (whole, fraction) = number.split_once('.').unwrap_or((number, ""));
        if whole.is_empty() && fraction.is_empty() {
            return None;
        }
        let whole: i128 = if whole.is_empty() { 0 } else { whole.parse().ok()? };
        let fraction: f64 = if fraction.is_empty() { 0.0 } else { format!("0.{fraction}").parse().ok()? };
        total = total.checked_add(whole.checked_mul(i128::from(*scale))?)?;
        total = total.checked_add((fraction * *scale as f64) as i128)?;
        rest = tail;
    }
    i64::try_from(sign * total).ok()
}

/// `Duration.String`.
pub(crate) fn format_duration(nanoseconds: i64) -> String {
    let size = nanoseconds.unsigned_abs();
    let sign = if nanoseconds < 0 { "-" } else { "" };
    let decimal = |value: u64, unit: u64| {
        let fraction = format!("{:0width$}", value % unit, width = unit.ilog10() as usize);
        match fraction.trim_end_matches('0') {
            "" => format!("{}", value / unit),
            digits => format!("{}.{digits}", value / unit),
        }
    };
    match size {
        0 => "0s".to_owned(),
        1..1_000 => format!("{sign}{size}ns"),
        1_000..1_000_000 => format!("{sign}{}µs", decimal(size, 1_000)),
        1_000_000..1_000_000_000 => format!("{sign}{}ms", decimal(size, 1_000_000)),
        _ => {
            let (minutes, rest) = (size / 60_000_000_000, size % 60_000_000_000);
            let seconds = decimal(rest, 1_000_000_000);
            match (minutes / 60, minutes % 60) {
                (0, 0) => format!("{sign}{seconds}s"),
                (0, minutes) => format!("{sign}{minutes}m{seconds}s"),
                (hours, minutes) => format!("{sign}{hours}h{minutes}m{seconds}s"),
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn durations_are_read_and_written_as_in_go() {
        let cases = [
            ("1h30m", Some(5_400_000_000_000), "1h30m0s"),
            ("-1.5s", Some(-1_500_000_000), "-1.5s"),
            ("100ms", Some(100_000_000), "100ms"),
            ("1us", Some(1_000), "1µs"),
            ("90s", Some(90_000_000_000), "1m30s"),
            ("0", Some(0), "0s"),
            ("1", None, ""),
            ("1d", None, ""),
            ("", None, ""),
        ];
        for (text, nanoseconds, written) in cases {
            assert_eq!(parse_duration(text), nanoseconds, "{text}");
            if let Some(nanoseconds) = nanoseconds {
                assert_eq!(format_duration(nanoseconds), written);
            }
        }
    }
}
