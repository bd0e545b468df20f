//! Go's `fmt.Sprintf`.
//! Takes a format and values; gives Go's text, `%!d(string=x)` where they do not fit.

use super::directive::{Directive, Flags};
use super::float::format_float;
use super::quote::{quote, quote_ascii, quote_rune};
use super::types::{kind, type_name};
use crate::limits::{Budget, Limit};
use crate::metered::Metered;
use crate::{IntType, Value};

/// `fmt.Sprint` of one value, which is `%v`: what an action writes.
pub(crate) fn display(value: &Value, budget: &Budget) -> Result<String, Limit> {
    if let Value::String(text) = value {
        budget.bytes(text.len())?;
        return Ok(text.to_string());
    }
    let mut printer = Printer::new(budget);
    printer.argument(value, 'v', Flags::default())?;
    printer.finish()
}

/// `fmt.Sprint`: a space stands between two values of which neither is a string.
pub(crate) fn sprint(values: &[Value], budget: &Budget) -> Result<String, Limit> {
    let mut printer = Printer::new(budget);
    let is_string = |value: &Value| matches!(value, Value::String(_));
    for (index, value) in values.iter().enumerate() {
        if index > 0 && !is_string(value) && !is_string(&values[index - 1]) {
            printer.out.push(' ');
        }
        printer.argument(value, 'v', Flags::default())?;
    }
    printer.finish()
}

/// `fmt.Sprintln`.
pub(crate) fn sprintln(values: &[Value], budget: &Budget) -> Result<String, Limit> {
    let mut printer = Printer::new(budget);
    for (index, value) in values.iter().enumerate() {
        if index > 0 {
            printer.out.push(' ');
        }
        printer.argument(value, 'v', Flags::default())?;
    }
    printer.out.push('\n');
    printer.finish()
}

/// `fmt.Sprintf`. Errors in the format are written into the text, as in Go: `%!d(string=a)`.
pub(crate) fn sprintf(format: &str, values: &[Value], budget: &Budget) -> Result<String, Limit> {
    let mut printer = Printer::new(budget);
    let mut next = 0;
    let mut reordered = false;
    let mut rest = format;
    while let Some(percent) = rest.find('%') {
        printer.out.push_str(&rest[..percent]);
        let (directive, tail) = Directive::read(&rest[percent + 1..], values, next);
        rest = tail;
        next = directive.next;
        reordered = directive.reordered;
        printer.out.push_str(directive.complaint);
        let Some(verb) = directive.verb else {
            printer.out.push_str("%!(NOVERB)");
            break;
        };
        if verb == '%' {
            printer.out.push('%');
        } else if directive.bad_index {
            printer.error(verb, "BADINDEX");
        } else if let Some(value) = values.get(next) {
            next += 1;
            printer.argument(value, verb, directive.flags)?;
        } else {
            printer.error(verb, "MISSING");
        }
    }
    printer.out.push_str(rest);
    if !reordered && next < values.len() {
        printer.out.push_str("%!(EXTRA ");
        for (index, value) in values[next..].iter().enumerate() {
            if index > 0 {
                printer.out.push_str(", ");
            }
            printer.out.push_str(&type_name(value));
            if !value.is_nil() {
                printer.out.push('=');
                printer.argument(value, 'v', Flags::default())?;
            }
        }
        printer.out.push(')');
    }
    printer.finish()
}

struct Printer<'b> {
    out: Metered<'b>,
}

impl<'b> Printer<'b> {
    const fn new(budget: &'b Budget) -> Self {
        Self { out: Metered::new(budget) }
    }

    fn finish(self) -> Result<String, Limit> {
        self.out.finish()
    }

    fn error(&mut self, verb: char, problem: &str) {
        self.out.push_str("%!");
        self.out.push(verb);
        self.out.push('(');
        self.out.push_str(problem);
        self.out.push(')');
    }

    fn argument(&mut self, value: &Value, verb: char, flags: Flags) -> Result<(), Limit> {
        match verb {
            'T' => self.string(&type_name(value), 's', flags),
            // No address is the same twice; Go would write one.
            'p' if matches!(kind(value), "ptr" | "map" | "slice") => self.out.push_str("0xc000000000"),
            'p' => self.bad_verb(value, verb)?,
            _ => self.value(value, verb, flags, 0)?,
        }
        self.out.charge()
    }

    fn bad_verb(&mut self, value: &Value, verb: char) -> Result<(), Limit> {
        if value.is_nil() {
            self.error(verb, "<nil>");
            return Ok(());
        }
        self.out.push_str("%!");
        self.out.push(verb);
        self.out.push('(');
        self.out.push_str(&type_name(value));
        self.out.push('=');
        self.value(value, 'v', Flags::default(), 0)?;
        self.out.push(')');
        Ok(())
    }

    fn value(&mut self, value: &Value, verb: char, flags: Flags, depth: usize) -> Result<(), Limit> {
        let depth = self.out.descend(depth)?;
        match value {
            Value::Nil if verb == 'v' && flags.syntax && depth > 1 => self.pad("interface {}(nil)", flags),
            Value::Nil if verb == 'v' || depth > 1 => self.pad("<nil>", flags),
            Value::Nil => self.bad_verb(value, verb)?,
            Value::Bool(truth) => match verb {
                't' | 'v' => self.pad(if *truth { "true" } else { "false" }, flags),
                _ => self.bad_verb(value, verb)?,
            },
            Value::Int(number, int_type) => match self.integer(*number, *int_type, verb, flags) {
                true => {}
                false => self.bad_verb(value, verb)?,
            },
            Value::Float(number) => match self.float(*number, verb, flags) {
                true => {}
                false => self.bad_verb(value, verb)?,
            },
            Value::String(text) => match verb {
                'v' if flags.syntax => self.string(text, 'q', flags),
                'v' => self.string(text, 's', flags),
                's' | 'x' | 'X' | 'q' => self.string(text, verb, flags),
                _ => self.bad_verb(value, verb)?,
            },
            Value::Bytes(bytes) => match verb {
                's' | 'q' => self.string(&String::from_utf8_lossy(bytes), verb, flags),
                'x' | 'X' => self.hexadecimal(bytes, verb, flags),
                _ => self.bytes(bytes, verb, flags),
            },
            Value::List(list) => {
                if flags.syntax {
                    self.out.push_str(&type_name(value));
                }
                let (open, separator, close) = if flags.syntax { ('{', ", ", '}') } else { ('[', " ", ']') };
                self.out.push(open);
                for (index, item) in list.iter().enumerate() {
                    if index > 0 {
                        self.out.push_str(separator);
                    }
                    self.value(item, verb, flags, depth)?;
                }
                self.out.push(close);
            }
            Value::Map(map) => {
                self.out.push_str(&if flags.syntax { type_name(value) } else { "map".into() });
                let (open, separator, close) = if flags.syntax { ('{', ", ", '}') } else { ('[', " ", ']') };
                self.out.push(open);
                for (index, (key, item)) in map.entries().into_iter().enumerate() {
                    if index > 0 {
                        self.out.push_str(separator);
                    }
                    self.value(&Value::String(key), verb, flags, depth)?;
                    self.out.push(':');
                    self.value(&item, verb, flags, depth)?;
                }
                self.out.push(close);
            }
            Value::Struct(fields) => {
                let pointer = fields.type_name.starts_with('*');
                if pointer && depth > 1 {
                    self.out.push_str("0xc000000000");
                    return Ok(());
                }
                if pointer {
                    self.out.push('&');
                }
                if flags.syntax {
                    self.out.push_str(fields.type_name.trim_start_matches('*'));
                }
                self.out.push('{');
                for (index, field) in fields.fields.iter().enumerate() {
                    if index > 0 {
                        self.out.push_str(if flags.syntax { ", " } else { " " });
                    }
                    if flags.names || flags.syntax {
                        self.out.push_str(field.name);
                        self.out.push(':');
                    }
                    self.value(&field.value, verb, flags, depth)?;
                }
                self.out.push('}');
            }
            Value::Time(time) => self.named(&time.to_string(), value, verb, flags)?,
            Value::Version(version) => self.named(&version.to_string(), value, verb, flags)?,
        }
        Ok(())
    }

    /// Prints a value that has a `String` method of its own.
    fn named(&mut self, text: &str, value: &Value, verb: char, flags: Flags) -> Result<(), Limit> {
        match verb {
            'v' | 's' => self.string(text, 's', flags),
            'x' | 'X' | 'q' => self.string(text, verb, flags),
            _ => {
                self.out.push_str("%!");
                self.out.push(verb);
                self.out.push('(');
                self.out.push_str(&type_name(value));
                self.out.push('=');
                self.out.push_str(text);
                self.out.push(')');
            }
        }
        Ok(())
    }

    fn pad(&mut self, text: &str, flags: Flags) {
        let missing = flags.width.unwrap_or(0).saturating_sub(text.chars().count());
        if flags.minus {
            self.out.push_str(text);
            self.out.extend(std::iter::repeat_n(' ', missing));
        } else {
            self.out.extend(std::iter::repeat_n(if flags.zero { '0' } else { ' ' }, missing));
            self.out.push_str(text);
        }
    }

    fn string(&mut self, text: &str, verb: char, flags: Flags) {
        if matches!(verb, 'x' | 'X') {
            return self.hexadecimal(text.as_bytes(), verb, flags);
        }
        let cut = match flags.precision {
            Some(precision) => text.char_indices().nth(precision).map_or(text, |(end, _)| &text[..end]),
            None => text,
        };
        if verb == 's' {
            return self.pad(cut, flags);
        }
        let raw = flags.sharp && !cut.contains(|c: char| c == '`' || (c.is_control() && c != '\t'));
        let quoted = match (raw, flags.plus) {
            (true, _) => format!("`{cut}`"),
            (false, true) => quote_ascii(cut),
            (false, false) => quote(cut),
        };
        self.pad(&quoted, flags);
    }

    fn hexadecimal(&mut self, bytes: &[u8], verb: char, flags: Flags) {
        let bytes = &bytes[..flags.precision.map_or(bytes.len(), |precision| precision.min(bytes.len()))];
        let mut text = String::with_capacity(2 * bytes.len());
        for (index, byte) in bytes.iter().enumerate() {
            if flags.space && index > 0 {
                text.push(' ');
            }
            if flags.sharp && (flags.space || index == 0) {
                text.push('0');
                text.push(verb);
            }
            text.push_str(&if verb == 'x' { format!("{byte:02x}") } else { format!("{byte:02X}") });
        }
        self.pad(&text, flags);
    }

    /// A `[]byte` as a list of numbers.
    fn bytes(&mut self, bytes: &[u8], verb: char, flags: Flags) {
        // A template that prints `.` prints all files of the chart, byte by byte.
        let plain = matches!(verb, 'v' | 'd') && flags == Flags::default();
        self.out.push_str(if flags.syntax { "[]byte{" } else { "[" });
        for (index, byte) in bytes.iter().enumerate() {
            if index > 0 {
                self.out.push_str(if flags.syntax { ", " } else { " " });
            }
            if flags.syntax {
                self.out.push_str(&format!("{byte:#x}"));
            } else if plain {
                push_digits(&mut self.out, *byte);
            } else if !self.integer(i64::from(*byte), IntType::Uint8, verb, flags) {
                self.out.push_str(&format!("%!{verb}(uint8={byte})"));
            }
        }
        self.out.push(if flags.syntax { '}' } else { ']' });
    }

    /// `false` if the verb is not for integers.
    fn integer(&mut self, number: i64, int_type: IntType, verb: char, flags: Flags) -> bool {
        let unsigned = matches!(int_type, IntType::Uint8 | IntType::Uint64);
        let negative = number < 0 && !unsigned;
        let size = if unsigned { number as u64 } else { number.unsigned_abs() };
        let (digits, prefix) = match verb {
            'v' if flags.syntax && unsigned => (format!("{size:x}"), "0x"),
            'v' | 'd' => (size.to_string(), ""),
            'b' => (format!("{size:b}"), if flags.sharp { "0b" } else { "" }),
            'o' => (format!("{size:o}"), if flags.sharp { "0" } else { "" }),
            'O' => (format!("{size:o}"), "0o"),
            'x' => (format!("{size:x}"), if flags.sharp { "0x" } else { "" }),
            'X' => (format!("{size:X}"), if flags.sharp { "0X" } else { "" }),
            'c' | 'q' | 'U' => {
                let code = u32::try_from(number).ok();
                let c = code.and_then(char::from_u32).unwrap_or(char::REPLACEMENT_CHARACTER);
                let text = match verb {
                    'c' => c.to_string(),
                    'q' => quote_rune(c),
                    _ if flags.sharp => format!("U+{size:04X} '{c}'"),
                    _ => format!("U+{size:04X}"),
                };
                self.pad(&text, flags);
                return true;
            }
            _ => return false,
        };
        let sign = match (negative, flags.plus, flags.space) {
            (true, ..) => "-",
            (false, true, _) => "+",
            (false, false, true) => " ",
            _ => "",
        };
        let least = match (flags.precision, flags.width) {
            (Some(0), _) if size == 0 => {
                self.pad("", Flags { zero: false, ..flags });
                return true;
            }
            (Some(precision), _) => precision,
            (None, Some(width)) if flags.zero && !flags.minus => width.saturating_sub(sign.len()),
            _ => 0,
        };
        let zeros = "0".repeat(least.saturating_sub(digits.len()));
        self.pad(&format!("{sign}{prefix}{zeros}{digits}"), Flags { zero: false, ..flags });
        true
    }

    /// `false` if the verb is not for floats.
    fn float(&mut self, number: f64, verb: char, flags: Flags) -> bool {
        let (form, default) = match verb {
            'v' | 'g' => ('g', None),
            'G' => ('G', None),
            'e' | 'E' => (verb, Some(6)),
            'f' | 'F' => ('f', Some(6)),
            _ => return false,
        };
        let text = format_float(number, form, flags.precision.or(default));
        let (mut sign, digits) = match text.strip_prefix(['-', '+']) {
            Some(digits) => (&text[..1], digits),
            None => ("+", text.as_str()),
        };
        if !number.is_finite() {
            let sign = match sign {
                "+" if flags.plus => "+",
                "+" if flags.space => " ",
                "+" if number.is_nan() || !flags.plus => {
                    if number.is_nan() {
                        ""
                    } else {
                        "+"
                    }
                }
                sign => sign,
            };
            self.pad(&format!("{sign}{digits}"), Flags { zero: false, ..flags });
            return true;
        }
        if sign == "+" {
            sign = match (flags.plus, flags.space) {
                (true, _) => "+",
                (false, true) => " ",
                _ => "",
            };
        }
        let digits = if flags.sharp { with_point(digits, form, flags.precision) } else { digits.to_owned() };
        let width = flags.width.unwrap_or(0);
        if flags.zero && !flags.minus && width > sign.len() + digits.len() {
            let zeros = "0".repeat(width - sign.len() - digits.len());
            self.out.push_str(&format!("{sign}{zeros}{digits}"));
        } else {
            self.pad(&format!("{sign}{digits}"), Flags { zero: false, ..flags });
        }
        true
    }
}

fn push_digits(out: &mut String, byte: u8) {
    for (least, unit) in [(100, 100), (10, 10), (0, 1)] {
        if byte >= least {
            out.push(char::from(b'0' + byte / unit % 10));
        }
    }
}

/// `%#g`: always a decimal point, and trailing zeros up to the precision.
fn with_point(digits: &str, form: char, precision: Option<usize>) -> String {
    let (mantissa, exponent) = match digits.find(['e', 'E']) {
        Some(at) => digits.split_at(at),
        None => (digits, ""),
    };
    let mut out = mantissa.to_owned();
    if !out.contains('.') {
        out.push('.');
    }
    if matches!(form, 'g' | 'G') {
        let written = mantissa.trim_start_matches(['0', '.']).chars().filter(char::is_ascii_digit).count();
        let written = if written == 0 { 1 } else { written };
        out.push_str(&"0".repeat(precision.unwrap_or(6).saturating_sub(written)));
    }
    out.push_str(exponent);
    out
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{Limits, List, ListType, Map};

    fn formatted(format: &str, values: &[Value]) -> String {
        sprintf(format, values, &Budget::new(Limits::DEFAULT, None)).unwrap()
    }

    /// Each text is what Go 1.26 writes.
    #[test]
    fn formats_are_those_of_go() {
        let list = Value::list([Value::int(1), "a".into(), Value::Nil, Value::Float(1.5)]);
        let map = Value::Map(Map::from_iter([("b", Value::int(2)), ("a", Value::list([]))]));
        let strings = Value::List(List::new([Value::from("x y"), "z".into()], ListType::String));
        let cases: [(&str, &[Value], &str); 44] = [
            ("%v", &[Value::Nil], "<nil>"),
            ("%s", &[Value::Nil], "%!s(<nil>)"),
            ("%d", &["a".into()], "%!d(string=a)"),
            ("%s", &[Value::int(5)], "%!s(int=5)"),
            ("%d", &[Value::Float(5.0)], "%!d(float64=5)"),
            ("%s", &[Value::Float(1e6)], "%!s(float64=1e+06)"),
            ("%v %v", &[list.clone(), map.clone()], "[1 a <nil> 1.5] map[a:[] b:2]"),
            ("%d", std::slice::from_ref(&list), "[1 %!d(string=a) <nil> %!d(float64=1.5)]"),
            ("%q", std::slice::from_ref(&strings), r#"["x y" "z"]"#),
            ("%#v", std::slice::from_ref(&map), r#"map[string]interface {}{"a":[]interface {}{}, "b":2}"#),
            ("%#v", std::slice::from_ref(&strings), r#"[]string{"x y", "z"}"#),
            ("%T %T", &[list.clone(), Value::Nil], "[]interface {} <nil>"),
            ("%v", &[Value::Bool(true)], "true"),
            ("%t", &[Value::int(1)], "%!t(int=1)"),
            ("%d", &[Value::Bool(true)], "%!d(bool=true)"),
            ("%5d|%-5d|%05d|%+d|% d", &[42, 42, 42, 42, 42].map(Value::int), "   42|42   |00042|+42| 42"),
            ("%05d", &[Value::int(-42)], "-0042"),
            (
                "%x %X %#x %o %b %c %U",
                &[255, 255, 255, 8, 5, 65, 65].map(Value::int),
                "ff FF 0xff 10 101 A U+0041",
            ),
            ("%.3d", &[Value::int(7)], "007"),
            (
                "%f %.2f %e %g",
                &[1.5, 1.005, 1500.0, 1e21].map(Value::Float),
                "1.500000 1.00 1.500000e+03 1e+21",
            ),
            ("%8.2f|%-8.2f|%08.2f", &[1.5, 1.5, -1.5].map(Value::Float), "    1.50|1.50    |-0001.50"),
            ("%#g %#.3g", &[1.0, 1.0].map(Value::Float), "1.00000 1.00"),
            ("%s|%5s|%-5s|%.1s", &["ab", "ab", "ab", "éa"].map(Value::from), "ab|   ab|ab   |é"),
            ("%05s", &["ab".into()], "000ab"),
            ("%q %#q %+q", &["a\n", "a`", "é"].map(Value::from), r#""a\n" "a`" "\u00e9""#),
            ("%x", &["az".into()], "617a"),
            ("% x", &["az".into()], "61 7a"),
            ("%v", &[Value::Bytes([0, 9, 10, 99, 100, 255].as_slice().into())], "[0 9 10 99 100 255]"),
            ("%s", &[Value::Bytes(b"ab".as_slice().into())], "ab"),
            ("%d %d", &[Value::int(1)], "1 %!d(MISSING)"),
            ("%d", &[Value::int(1), "a".into(), Value::Nil], "1%!(EXTRA string=a, <nil>)"),
            ("%[2]d %[1]d", &[1, 2].map(Value::int), "2 1"),
            ("%[3]d", &[Value::int(1)], "%!d(BADINDEX)"),
            ("%*d|%-*d", &[4, 1, 3, 2].map(Value::int), "   1|2  "),
            ("%", &[], "%!(NOVERB)"),
            ("100%%", &[], "100%"),
            ("%z", &[Value::int(1)], "%!z(int=1)"),
            ("%!", &[Value::int(1)], "%!!(int=1)"),
            ("plain", &[], "plain"),
            ("%v", &[Value::Float(100_000_000.0)], "1e+08"),
            ("%.0f", &[Value::Float(2.5)], "2"),
            ("%6.2f%%", &[Value::Float(12.345)], " 12.35%"),
            ("%v", &[Value::Int(7, IntType::Uint64)], "7"),
            ("%s", std::slice::from_ref(&strings), "[x y z]"),
        ];
        for (format, values, text) in cases {
            assert_eq!(formatted(format, values), text, "{format}");
        }
    }

    proptest::proptest! {
        #[test]
        fn no_format_breaks_the_printer(format in "(%[-+# 0]{0,3}[0-9*]{0,6}(\\.[0-9*]{0,6})?(\\[[0-9]\\])?[vTdsqxXeEfFgGtcUbop%z]|x){0,4}") {
            let values = [
                Value::int(-3), Value::Float(1.5e300), "é\n".into(), Value::Nil, Value::Bool(true),
                Value::list([Value::int(1), "a".into()]), Value::Bytes([1, 200].as_slice().into()),
            ];
            let budget = Budget::new(Limits { bytes: 1 << 22, ..Limits::DEFAULT }, None);
            let _ = sprintf(&format, &values, &budget);
        }
    }

    #[test]
    fn print_parts_what_are_no_strings() {
        let budget = Budget::new(Limits::DEFAULT, None);
        let values = [Value::int(1), Value::int(2), "a".into(), "b".into(), Value::int(3), Value::Bool(true)];
        assert_eq!(sprint(&values, &budget).unwrap(), "1 2ab3 true");
        assert_eq!(sprintln(&values[..3], &budget).unwrap(), "1 2 a\n");
    }

    #[test]
    fn a_value_that_doubles_at_every_level_is_not_written_out() {
        let mut value = Value::from("0123456789");
        for _ in 0..60 {
            value = Value::list([value.clone(), value]);
        }
        let budget = Budget::new(Limits { bytes: 1 << 20, ..Limits::DEFAULT }, None);
        assert_eq!(display(&value, &budget), Err(Limit::Bytes(1 << 20)));
    }
}
