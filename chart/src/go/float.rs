//! Go's formatting of floating-point numbers (strconv).
//! Takes a number, a verb and a precision; gives Go's text.

use crate::limits::FLOAT_DIGITS;

/// `strconv.FormatFloat(value, verb, precision, 64)` for the verbs `e`, `E`, `f`, `g` and `G`.
/// Without a precision it is the shortest text that reads back as the same number.
pub(crate) fn format_float(value: f64, verb: char, precision: Option<usize>) -> String {
    if value.is_nan() {
        return "NaN".to_owned();
    }
    if value.is_infinite() {
        return if value > 0.0 { "+Inf" } else { "-Inf" }.to_owned();
    }
    match (verb, precision) {
        ('e' | 'E', Some(precision)) => Decimal::rounded(value, precision).exponential(verb),
        ('e' | 'E', None) => Decimal::shortest(value).exponential(verb),
        ('f', Some(precision)) => {
            // Rust rounds the exact value half to even, as Go does.
            let exact = precision.min(FLOAT_DIGITS);
            format!("{value:.exact$}") + &"0".repeat(precision - exact)
        }
        ('f', None) => Decimal::shortest(value).positional(),
        (_, precision) => {
            let decimal = match precision {
                Some(precision) => Decimal::rounded(value, precision.max(1) - 1).without_zeros(),
                None => Decimal::shortest(value),
            };
            let count = decimal.digits.len();
            // Go's rule for the form that is easier to read; 6 stands for the shortest precision.
            let threshold = match precision.map(|precision| precision.max(1)) {
                Some(precision) if precision > count && count as i64 >= decimal.point => count,
                Some(precision) => precision,
                None => 6,
            };
            let exponent = decimal.point - 1;
            if exponent < -4 || exponent >= threshold as i64 {
                return decimal.exponential(if verb == 'G' { 'E' } else { 'e' });
            }
            decimal.positional()
        }
    }
}

/// A number as Go's `encoding/json` writes it: as JavaScript does.
pub(crate) fn format_json(value: f64) -> String {
    let size = value.abs();
    if size != 0.0 && !(1e-6..1e21).contains(&size) {
        let text = format_float(value, 'e', None);
        // e-09 becomes e-9.
        return match text.split_once("e-0") {
            Some((mantissa, digit)) => format!("{mantissa}e-{digit}"),
            None => text,
        };
    }
    format_float(value, 'f', None)
}

/// `strconv.ParseFloat(text, 64)`.
pub(crate) fn parse_float(text: &str) -> Option<f64> {
    let unsigned = text.strip_prefix(['+', '-']).unwrap_or(text);
    if unsigned.starts_with("0x") || unsigned.starts_with("0X") {
        return parse_hexadecimal(unsigned).map(|value| if text.starts_with('-') { -value } else { value });
    }
    // Go reads the same words, in any case, and the same decimal forms; it reads underscores only
    // with a base's prefix.
    let value: f64 = text.parse().ok()?;
    // Too large a number is an error in Go.
    let is_word = unsigned.starts_with(['i', 'I', 'n', 'N']);
    (value.is_finite() || is_word).then_some(value)
}

/// A hexadecimal float like `0x1.8p3`; the exponent is required.
fn parse_hexadecimal(text: &str) -> Option<f64> {
    let (mantissa, exponent) = text[2..].split_once(['p', 'P'])?;
    let (whole, fraction) = mantissa.split_once('.').unwrap_or((mantissa, ""));
    let digits = format!("{whole}{fraction}").replace('_', "");
    // More than 15 digits do not fit, and do not occur.
    let value = u64::from_str_radix(&digits, 16).ok()?;
    let exponent: i32 = exponent.parse().ok()?;
    Some(value as f64 * 2f64.powi(exponent.checked_sub(4 * i32::try_from(fraction.len()).ok()?)?))
}

/// The decimal digits of a number that is `0.d₁d₂d₃… × 10^point`.
struct Decimal {
    negative: bool,
    digits: String,
    point: i64,
}

impl Decimal {
    fn shortest(value: f64) -> Self {
        Self::parse(&format!("{value:e}"))
    }

    fn rounded(value: f64, precision: usize) -> Self {
        let exact = precision.min(FLOAT_DIGITS);
        let mut decimal = Self::parse(&format!("{value:.exact$e}"));
        decimal.digits.push_str(&"0".repeat(precision - exact));
        decimal
    }

    /// Reads Rust's exponential form, like `-1.25e-7`.
    fn parse(text: &str) -> Self {
        let (negative, text) = match text.strip_prefix('-') {
            Some(rest) => (true, rest),
            None => (false, text),
        };
        let (mantissa, exponent) = text.split_once('e').unwrap_or((text, "0"));
        let digits = mantissa.replace('.', "");
        let point = if digits.bytes().all(|digit| digit == b'0') {
            // Zero has the exponent 0 in every form.
            1
        } else {
            exponent.parse::<i64>().unwrap_or(0) + 1
        };
        Self { negative, digits, point }
    }

    fn without_zeros(mut self) -> Self {
        let kept = self.digits.trim_end_matches('0').len().max(1);
        self.digits.truncate(kept);
        self
    }

    fn exponential(&self, verb: char) -> String {
        let sign = if self.negative { "-" } else { "" };
        let (first, rest) = self.digits.split_at(1);
        let dot = if rest.is_empty() { "" } else { "." };
        let exponent = self.point - 1;
        let exponent_sign = if exponent < 0 { '-' } else { '+' };
        format!("{sign}{first}{dot}{rest}{verb}{exponent_sign}{:02}", exponent.abs())
    }

    /// All digits and no more, as many zeros as their place needs.
    fn positional(&self) -> String {
        let sign = if self.negative { "-" } else { "" };
        let count = self.digits.len() as i64;
        if self.point <= 0 {
            let zeros = "0".repeat(self.point.unsigned_abs() as usize);
            return format!("{sign}0.{zeros}{}", self.digits);
        }
        if self.point >= count {
            let zeros = "0".repeat((self.point - count) as usize);
            return format!("{sign}{}{zeros}", self.digits);
        }
        let (whole, fraction) = self.digits.split_at(self.point as usize);
        format!("{sign}{whole}.{fraction}")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn floats_are_written_as_go_writes_them() {
        let cases: [(f64, char, Option<usize>, &str); 22] = [
            (0.0, 'g', None, "0"),
            (-0.0, 'g', None, "-0"),
            (1.0, 'g', None, "1"),
            (100_000.0, 'g', None, "100000"),
            (1_000_000.0, 'g', None, "1e+06"),
            (123_456_789.0, 'g', None, "1.23456789e+08"),
            (0.0001, 'g', None, "0.0001"),
            (0.00001, 'g', None, "1e-05"),
            (1.5, 'g', None, "1.5"),
            (6.54321, 'g', Some(3), "6.54"),
            (100_000.0, 'g', Some(2), "1e+05"),
            (1e21, 'f', None, "1000000000000000000000"),
            (0.1, 'f', Some(2), "0.10"),
            (2.5, 'f', Some(0), "2"),
            (12_345.678, 'e', Some(2), "1.23e+04"),
            (0.0, 'e', Some(3), "0.000e+00"),
            (12.0, 'e', None, "1.2e+01"),
            (1e-10, 'g', None, "1e-10"),
            (1e100, 'G', None, "1E+100"),
            (0.05, 'f', None, "0.05"),
            (1234.5, 'f', None, "1234.5"),
            (f64::INFINITY, 'g', None, "+Inf"),
        ];
        for (value, verb, precision, text) in cases {
            assert_eq!(format_float(value, verb, precision), text, "{value} {verb} {precision:?}");
        }
    }

    #[test]
    fn json_numbers_are_those_of_javascript() {
        let cases = [
            (1_000_000.0, "1000000"),
            (1e20, "100000000000000000000"),
            (1e21, "1e+21"),
            (1e-6, "0.000001"),
            (1e-7, "1e-7"),
            (0.5, "0.5"),
            (-3.0, "-3"),
        ];
        for (value, text) in cases {
            assert_eq!(format_json(value), text);
        }
    }

    #[test]
    fn floats_are_read_as_go_reads_them() {
        let cases = [
            ("1.5", Some(1.5)),
            (".5", Some(0.5)),
            ("5.", Some(5.0)),
            ("1e3", Some(1000.0)),
            ("0x1.8p1", Some(3.0)),
            ("1e999", None),
            ("inf", Some(f64::INFINITY)),
            ("1_0", None),
            ("", None),
            ("a", None),
        ];
        for (text, value) in cases {
            assert_eq!(parse_float(text), value, "{text}");
        }
    }
}
