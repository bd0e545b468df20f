//! A directive in a format of Go's `fmt`: `%`, flags, index, width, precision and verb.
//! Takes the text after the `%` and the values; gives the [`Directive`] and the rest of the text.

use crate::Value;
use crate::limits::FORMAT_WIDTH;

/// How a value is printed.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct Flags {
    pub(super) plus: bool,
    pub(super) minus: bool,
    pub(super) sharp: bool,
    pub(super) space: bool,
    pub(super) zero: bool,
    pub(super) width: Option<usize>,
    pub(super) precision: Option<usize>,
    /// `%#v`: the syntax of Go.
    pub(super) syntax: bool,
    /// `%+v`: structs with the names of their fields.
    pub(super) names: bool,
}

/// A directive, read up to its verb.
pub(super) struct Directive {
    pub(super) flags: Flags,
    pub(super) verb: Option<char>,
    pub(super) next: usize,
    pub(super) reordered: bool,
    pub(super) bad_index: bool,
    pub(super) complaint: &'static str,
}

impl Directive {
    pub(super) fn read<'t>(text: &'t str, values: &[Value], next: usize) -> (Self, &'t str) {
        let mut this = Self {
            flags: Flags::default(),
            verb: None,
            next,
            reordered: false,
            bad_index: false,
            complaint: "",
        };
        let mut rest = text;
        loop {
            match rest.as_bytes().first() {
                Some(b'#') => this.flags.sharp = true,
                Some(b'0') => this.flags.zero = true,
                Some(b'+') => this.flags.plus = true,
                Some(b'-') => this.flags.minus = true,
                Some(b' ') => this.flags.space = true,
                _ => break,
            }
            rest = &rest[1..];
        }
        rest = this.index(rest, values.len());
        if let Some(tail) = rest.strip_prefix('*') {
            rest = tail;
            match this.take_int(values) {
                Some(width) => {
                    this.flags.minus |= width < 0;
                    this.flags.width = Some(width.unsigned_abs() as usize);
                }
                None => this.complaint = "%!(BADWIDTH)",
            }
        } else {
            (this.flags.width, rest) = read_number(rest);
        }
        if let Some(tail) = rest.strip_prefix('.') {
            rest = this.index(tail, values.len());
            if let Some(tail) = rest.strip_prefix('*') {
                rest = tail;
                this.flags.precision = this.take_int(values).and_then(|value| usize::try_from(value).ok());
                if this.flags.precision.is_none() {
                    this.complaint = "%!(BADPREC)";
                }
            } else {
                let (number, tail) = read_number(rest);
                this.flags.precision = Some(number.unwrap_or(0));
                rest = tail;
            }
        }
        rest = this.index(rest, values.len());
        let mut chars = rest.chars();
        this.verb = chars.next();
        if this.verb == Some('v') {
            this.flags.syntax = std::mem::take(&mut this.flags.sharp);
            this.flags.names = std::mem::take(&mut this.flags.plus);
        }
        (this, chars.as_str())
    }

    /// `[n]`: which value is next.
    fn index<'t>(&mut self, text: &'t str, count: usize) -> &'t str {
        let Some(inner) = text.strip_prefix('[') else { return text };
        self.reordered = true;
        let Some((number, tail)) = inner.split_once(']') else {
            self.bad_index = true;
            return inner;
        };
        match number.parse::<usize>() {
            Ok(number) if (1..=count).contains(&number) => self.next = number - 1,
            _ => self.bad_index = true,
        }
        tail
    }

    fn take_int(&mut self, values: &[Value]) -> Option<i64> {
        let value = values.get(self.next);
        self.next += usize::from(value.is_some());
        match value {
            Some(Value::Int(value, _)) if value.unsigned_abs() <= FORMAT_WIDTH as u64 => Some(*value),
            _ => None,
        }
    }
}

fn read_number(text: &str) -> (Option<usize>, &str) {
    let length = text.find(|c: char| !c.is_ascii_digit()).unwrap_or(text.len());
    let number = text[..length].parse().ok().filter(|number| *number <= FORMAT_WIDTH);
    (number, &text[length..])
}
