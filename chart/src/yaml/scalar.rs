//! The type of an unquoted scalar in Helm's YAML. Takes a text; gives a null, boolean, number, time or string
//! as go-yaml reads it.

use crate::go::time::Time;
use crate::go::{float, integer};

/// The meaning of an unquoted text.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) enum Scalar {
    Null,
    Bool(bool),
    Int(i64),
    /// An integer that only an unsigned one can hold.
    Unsigned(u64),
    Float(f64),
    /// It looks like a time. Helm reads it as a string, and quotes it when it writes it.
    Timestamp,
    String,
}

/// Which of its two YAML libraries Helm uses: version 2 nearly everywhere, 3 in `toYamlPretty`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Dialect {
    V2,
    V3,
}

/// Resolves an unquoted text by the rules of go-yaml, which are those of YAML 1.1 without numbers in
/// base 60.
pub(super) fn resolve(text: &str, dialect: Dialect) -> Scalar {
    match text {
        "" | "~" | "null" | "Null" | "NULL" => return Scalar::Null,
        "true" | "True" | "TRUE" => return Scalar::Bool(true),
        "false" | "False" | "FALSE" => return Scalar::Bool(false),
        _ if dialect == Dialect::V2 && is_old_bool(text) => {
            return Scalar::Bool(
                matches!(text.as_bytes()[0], b'y' | b'Y') || text.eq_ignore_ascii_case("on"),
            );
        }
        ".nan" | ".NaN" | ".NAN" => return Scalar::Float(f64::NAN),
        ".inf" | ".Inf" | ".INF" | "+.inf" | "+.Inf" | "+.INF" => return Scalar::Float(f64::INFINITY),
        "-.inf" | "-.Inf" | "-.INF" => return Scalar::Float(f64::NEG_INFINITY),
        _ => {}
    }
    match text.as_bytes()[0] {
        b'.' => float::parse_float(text).map_or(Scalar::String, Scalar::Float),
        b'+' | b'-' | b'0'..=b'9' => resolve_number(text),
        _ => Scalar::String,
    }
}

fn resolve_number(text: &str) -> Scalar {
    if is_timestamp(text) {
        return Scalar::Timestamp;
    }
    let plain = text.replace('_', "");
    if let Some(value) = integer::parse_any_base(&plain) {
        return Scalar::Int(value);
    }
    if let Some(value) = integer::parse_magnitude(&plain) {
        return Scalar::Unsigned(value);
    }
    if is_yaml_float(&plain)
        && let Some(value) = float::parse_float(&plain)
    {
        return Scalar::Float(value);
    }
    Scalar::String
}

/// YAML 1.1's other words for true and false.
pub(super) fn is_old_bool(text: &str) -> bool {
    const WORDS: [&str; 16] =
        ["y", "Y", "yes", "Yes", "YES", "on", "On", "ON", "n", "N", "no", "No", "NO", "off", "Off", "OFF"];
    WORDS.contains(&text)
}

/// `[-+]?(\.[0-9]+|[0-9]+(\.[0-9]*)?)([eE][-+]?[0-9]+)?`
fn is_yaml_float(text: &str) -> bool {
    let digits = |text: &str| !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_digit());
    let text = text.strip_prefix(['-', '+']).unwrap_or(text);
    let (mantissa, exponent) = match text.split_once(['e', 'E']) {
        Some((mantissa, exponent)) => (mantissa, Some(exponent)),
        None => (text, None),
    };
    let mantissa_fits = match mantissa.split_once('.') {
        Some(("", fraction)) => digits(fraction),
        Some((whole, fraction)) => digits(whole) && (fraction.is_empty() || digits(fraction)),
        None => digits(mantissa),
    };
    mantissa_fits && exponent.is_none_or(|text| digits(text.strip_prefix(['-', '+']).unwrap_or(text)))
}

fn is_timestamp(text: &str) -> bool {
    const LAYOUTS: [&str; 4] = [
        "2006-1-2T15:4:5.999999999Z07:00",
        "2006-1-2t15:4:5.999999999Z07:00",
        "2006-1-2 15:4:5.999999999",
        "2006-1-2",
    ];
    let year = text.bytes().take_while(u8::is_ascii_digit).count();
    year == 4
        && text[4..].starts_with('-')
        && LAYOUTS.iter().any(|layout| Time::parse(layout, text).is_some())
}

/// A number in base 60, like `12:30`, which others may read as one: it is written in quotes.
pub(super) fn is_base_60(text: &str) -> bool {
    let unsigned = text.strip_prefix(['-', '+']).unwrap_or(text);
    let mut parts = unsigned.split(':');
    let first = parts.next().unwrap_or_default();
    let starts = first.starts_with(|c: char| c.is_ascii_digit())
        && first.bytes().all(|byte| byte.is_ascii_digit() || byte == b'_');
    let rest: Vec<&str> = parts.collect();
    let Some((last, middle)) = rest.split_last() else { return false };
    let (last, fraction) = last.split_once('.').unwrap_or((last, ""));
    let sixty = |part: &str| match part.as_bytes() {
        [digit] => digit.is_ascii_digit(),
        [tens, digit] => (b'0'..=b'5').contains(tens) && digit.is_ascii_digit(),
        _ => false,
    };
    starts
        && middle.iter().all(|part| sixty(part))
        && sixty(last)
        && fraction.bytes().all(|byte| byte.is_ascii_digit() || byte == b'_')
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn texts_stand_for_what_helm_takes_them_for() {
        let cases = [
            ("yes", Scalar::Bool(true)),
            ("off", Scalar::Bool(false)),
            ("y", Scalar::Bool(true)),
            ("TRUE", Scalar::Bool(true)),
            ("tRue", Scalar::String),
            ("~", Scalar::Null),
            ("0777", Scalar::Int(511)),
            ("0o17", Scalar::Int(15)),
            ("08", Scalar::Float(8.0)),
            ("0x1F", Scalar::Int(31)),
            ("1_000", Scalar::Int(1000)),
            ("18446744073709551615", Scalar::Unsigned(u64::MAX)),
            ("1e3", Scalar::Float(1000.0)),
            (".5", Scalar::Float(0.5)),
            ("1.2.3", Scalar::String),
            ("12:30", Scalar::String),
            ("2001-12-14", Scalar::Timestamp),
            ("2001-12-14T21:59:43Z", Scalar::Timestamp),
            ("2001-13-14", Scalar::String),
            ("<<", Scalar::String),
            ("-", Scalar::String),
            (".inf", Scalar::Float(f64::INFINITY)),
            ("1Gi", Scalar::String),
        ];
        for (text, scalar) in cases {
            assert_eq!(resolve(text, Dialect::V2), scalar, "{text}");
        }
        assert_eq!(resolve("yes", Dialect::V3), Scalar::String);
    }

    #[test]
    fn base_60_is_known() {
        for (text, expected) in
            [("12:30", true), ("1:2:3.5", true), ("12:60", false), ("a:10", false), ("12", false)]
        {
            assert_eq!(is_base_60(text), expected, "{text}");
        }
    }
}
