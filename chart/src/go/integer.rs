//! Go's reading of integers (strconv.ParseInt).
//! Takes a text and a base; gives the number or Go's error.

/// `strconv.ParseInt(text, 0, 64)`: decimal, `0x`, `0o`, `0b` and a leading zero for octal, with
/// underscores between digits.
pub(crate) fn parse_any_base(text: &str) -> Option<i64> {
    let (negative, digits) = match text.as_bytes().first()? {
        b'-' => (true, &text[1..]),
        b'+' => (false, &text[1..]),
        _ => (false, text),
    };
    let value = parse_magnitude(digits)?;
    match negative {
        true => 0i64.checked_sub_unsigned(value),
        false => i64::try_from(value).ok(),
    }
}

/// `strconv.ParseUint(text, 0, 64)`: as [`parse_any_base`], without a sign.
pub(crate) fn parse_magnitude(text: &str) -> Option<u64> {
    let bytes = text.as_bytes();
    let (base, digits) = match (bytes.first()?, bytes.get(1)) {
        (b'0', Some(b'x' | b'X')) => (16, &text[2..]),
        (b'0', Some(b'o' | b'O')) => (8, &text[2..]),
        (b'0', Some(b'b' | b'B')) => (2, &text[2..]),
        (b'0', Some(_)) => (8, &text[1..]),
        _ => (10, text),
    };
    if !underscores_fit(text) {
        return None;
    }
    let mut value = 0u64;
    let mut any = false;
    for digit in digits.chars().filter(|c| *c != '_') {
        value = value.checked_mul(base)?.checked_add(u64::from(digit.to_digit(base as u32)?))?;
        any = true;
    }
    any.then_some(value)
}

/// `strconv.ParseInt(text, base, 64)` for a given base, in which no prefix and no underscore is read.
pub(crate) fn parse_base(text: &str, base: u32) -> Option<i64> {
    // Unlike Go, `from_str_radix` is never asked for an empty text's sign alone: it refuses both.
    i64::from_str_radix(text, base).ok()
}

/// Underscores stand between digits, or between the base's prefix and a digit.
fn underscores_fit(text: &str) -> bool {
    if !text.contains('_') {
        return true;
    }
    let bytes = text.as_bytes();
    let prefixed = bytes.len() >= 2 && bytes[0] == b'0' && bytes[1].is_ascii_alphabetic();
    let octal = bytes[0] == b'0';
    // Decimal numbers may have none with an implied base only if they start with a digit, as here.
    let mut before = if prefixed || octal { b'0' } else { b'_' };
    for &byte in if prefixed { &bytes[2..] } else { bytes } {
        if byte == b'_' && before == b'_' {
            return false;
        }
        before = byte;
    }
    before != b'_'
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn bases_and_underscores_are_those_of_go() {
        let cases = [
            ("0", Some(0)),
            ("12", Some(12)),
            ("-12", Some(-12)),
            ("+7", Some(7)),
            ("010", Some(8)),
            ("08", None),
            ("0o17", Some(15)),
            ("0x1F", Some(31)),
            ("-0b101", Some(-5)),
            ("1_000", Some(1000)),
            ("_1", None),
            ("1__0", None),
            ("1_", None),
            ("0x_1f", Some(31)),
            ("", None),
            ("-", None),
            ("0x", None),
            ("9223372036854775807", Some(i64::MAX)),
            ("9223372036854775808", None),
            ("-9223372036854775808", Some(i64::MIN)),
        ];
        for (text, value) in cases {
            assert_eq!(parse_any_base(text), value, "{text}");
        }
    }
}
