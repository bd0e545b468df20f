//! Writes YAML byte for byte as Helm's `toYaml` does.
//! Takes a value; gives a text, within a budget.

use std::sync::Arc;

use base64::Engine as _;
use base64::prelude::BASE64_STANDARD;

use super::order::compare_keys;
use super::scalar::Dialect;
use super::style::{Context, Style, is_break, is_printable};
use crate::functions::Failure;
use crate::go::float::{format_float, format_json};
use crate::go::{integer, json};
use crate::limits::Budget;
use crate::metered::Metered;
use crate::{Limit, Limits, Struct, Value};

/// Writes `value` byte for byte as Helm's `toYaml` does, but with the line feed at its end. Values without a
/// YAML form, such as an infinite number, give an empty text, as in Helm.
///
/// # Errors
///
/// A value that nests deeper, or has more text, than [`Limits::DEFAULT`] allows.
pub fn to_yaml(value: &Value) -> Result<String, Limit> {
    match encode_yaml(value, &Budget::new(Limits::DEFAULT, None)) {
        Ok(text) => Ok(text),
        Err(Failure::Limit(limit)) => Err(limit),
        Err(_) => Ok(String::new()),
    }
}

/// As `sigs.k8s.io/yaml` writes it: by way of JSON, with version 2 of go-yaml.
pub(crate) fn encode_yaml(value: &Value, budget: &Budget) -> Result<String, Failure> {
    write(value, Dialect::V2, budget)
}

/// As version 3 of go-yaml writes it, with two spaces of indentation for lists too.
pub(crate) fn encode_pretty_yaml(value: &Value, budget: &Budget) -> Result<String, Failure> {
    write(value, Dialect::V3, budget)
}

fn write(value: &Value, dialect: Dialect, budget: &Budget) -> Result<String, Failure> {
    let mut writer =
        Writer { out: Metered::new(budget), column: 0, whitespace: true, indention: true, dialect };
    writer.node(value, None, Place::Root, 0)?;
    if writer.column > 0 {
        writer.break_line();
    }
    Ok(writer.out.finish()?)
}

/// Where a node stands.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Place {
    Root,
    Item,
    Value,
}

struct Writer<'b> {
    out: Metered<'b>,
    column: usize,
    /// Whether the last thing written was a space, or an indicator that needs none behind it.
    whitespace: bool,
    /// Whether nothing but indentation and indicators stands in this line.
    indention: bool,
    dialect: Dialect,
}

impl Writer<'_> {
    /// A node inside a collection that is indented by `indent`; the root is inside none.
    fn node(
        &mut self,
        value: &Value,
        indent: Option<usize>,
        place: Place,
        depth: usize,
    ) -> Result<(), Failure> {
        let depth = self.out.descend(depth)?;
        match value {
            Value::List(list) if list.is_nil() && self.dialect == Dialect::V2 => {
                self.plain("null", Folding { indent: 0, allowed: false })
            }
            Value::List(list) if list.is_empty() => self.indicator("[]", true, false),
            Value::List(list) => self.sequence(list, indent, place, depth)?,
            Value::Map(map) => self.mapping(map.entries(), indent, depth)?,
            Value::Struct(fields) => self.mapping(struct_entries(fields), indent, depth)?,
            Value::String(text) => self.string(text, indent, Context::Value),
            other => {
                let text = self.plain_text(other)?;
                match other {
                    Value::Bytes(_) | Value::Time(_) | Value::Version(_) => {
                        self.string(&text, indent, Context::Value);
                    }
                    _ => self.plain(&text, Folding { indent: 0, allowed: false }),
                }
            }
        }
        Ok(())
    }

    fn plain_text(&self, value: &Value) -> Result<String, Failure> {
        Ok(match value {
            Value::Bool(value) => value.to_string(),
            Value::Int(value, _) => value.to_string(),
            Value::Float(value) => self.float(*value)?,
            Value::Bytes(bytes) => BASE64_STANDARD.encode(bytes),
            Value::Time(time) => time.format("2006-01-02T15:04:05.999999999Z07:00"),
            Value::Version(version) => version.to_string(),
            _ => "null".to_owned(),
        })
    }

    /// On the way through JSON whole floats become integers.
    fn float(&self, value: f64) -> Result<String, Failure> {
        if self.dialect == Dialect::V2 {
            if !value.is_finite() {
                return Err(Failure::message("json: unsupported value"));
            }
            let json = format_json(value);
            if let Some(whole) = integer::parse_any_base(&json) {
                return Ok(whole.to_string());
            }
            if integer::parse_magnitude(&json).is_some() {
                return Ok(json);
            }
        }
        Ok(match value {
            f64::INFINITY => ".inf".to_owned(),
            f64::NEG_INFINITY => "-.inf".to_owned(),
            value if value.is_nan() => ".nan".to_owned(),
            value => format_float(value, 'g', None),
        })
    }

    fn sequence(
        &mut self,
        items: &[Value],
        indent: Option<usize>,
        place: Place,
        depth: usize,
    ) -> Result<(), Failure> {
        // In a map a list is not indented, unless it starts in the line of an indicator.
        let flush = self.dialect == Dialect::V2 && place == Place::Value && !self.indention;
        let inner = match indent {
            None => 0,
            Some(indent) if flush => indent,
            Some(indent) => indent + 2,
        };
        for item in items {
            self.indent(inner);
            self.indicator("-", true, true);
            self.node(item, Some(inner), Place::Item, depth)?;
        }
        Ok(())
    }

    fn mapping(
        &mut self,
        mut entries: Vec<(Arc<str>, Value)>,
        indent: Option<usize>,
        depth: usize,
    ) -> Result<(), Failure> {
        if entries.is_empty() {
            self.indicator("{}", true, false);
            return Ok(());
        }
        let dialect = self.dialect;
        entries.sort_by(|(left, _), (right, _)| compare_keys(left, right, dialect));
        let inner = indent.map_or(0, |indent| indent + 2);
        for (key, value) in entries {
            self.indent(inner);
            // A longer key, or one of several lines, has a line of its own.
            if key.len() <= 128 && !key.contains(is_break) {
                self.string(&key, Some(inner), Context::SimpleKey);
                self.indicator(":", false, false);
            } else {
                self.indicator("?", true, true);
                self.string(&key, Some(inner), Context::Value);
                self.indent(inner);
                self.indicator(":", true, true);
            }
            self.node(&value, Some(inner), Place::Value, depth)?;
        }
        Ok(())
    }

    /// Starts a line, unless there is nothing but indentation in this one yet.
    fn indent(&mut self, indent: usize) {
        if !self.indention || self.column > indent || (self.column == indent && !self.whitespace) {
            self.break_line();
        }
        while self.column < indent {
            self.put(' ');
        }
        self.whitespace = true;
        self.indention = true;
    }

    fn break_line(&mut self) {
        self.out.push('\n');
        self.column = 0;
        if self.dialect == Dialect::V3 {
            self.indention = true;
        }
    }

    fn put(&mut self, c: char) {
        self.out.push(c);
        self.column += 1;
    }

    fn indicator(&mut self, text: &str, needs_space: bool, keeps_indention: bool) {
        if needs_space && !self.whitespace {
            self.put(' ');
        }
        for c in text.chars() {
            self.put(c);
        }
        // After `-`, `?` and `:` a space is still needed; these stand for indentation.
        self.whitespace = false;
        self.indention = self.indention && keeps_indention;
    }

    /// A text that needs no quotes.
    fn plain(&mut self, text: &str, folding: Folding) {
        if !self.whitespace {
            self.put(' ');
        }
        let mut chars = text.chars().peekable();
        let mut before = '\0';
        while let Some(c) = chars.next() {
            let next = chars.peek().copied();
            if c == ' ' && before != ' ' && next != Some(' ') && self.is_full(folding) {
                self.indent(folding.indent);
            } else {
                self.put(c);
                self.indention = false;
            }
            before = c;
        }
        self.whitespace = false;
        self.indention = false;
    }

    /// Whether a line is so long that the next space ends it.
    fn is_full(&self, folding: Folding) -> bool {
        folding.allowed && self.dialect == Dialect::V2 && self.column > WIDTH
    }

    fn string(&mut self, text: &str, indent: Option<usize>, context: Context) {
        // A scalar's further lines are indented once more than what it stands in.
        let folding =
            Folding { indent: indent.map_or(2, |indent| indent + 2), allowed: context == Context::Value };
        match Style::of(text, context, self.dialect) {
            Style::Plain => self.plain(text, folding),
            Style::Single => self.single_quoted(text, folding),
            Style::Double => self.double_quoted(text, folding),
            Style::Literal => self.literal(text, folding.indent),
        }
    }

    fn single_quoted(&mut self, text: &str, folding: Folding) {
        self.indicator("'", true, false);
        let mut chars = text.chars().peekable();
        let mut before = '\0';
        while let Some(c) = chars.next() {
            let next = chars.peek().copied();
            if is_break(c) {
                // Only breaks that are no line feeds come here.
                self.put(c);
                self.column = 0;
                self.indention = true;
            } else if c == ' ' {
                let inside = before != '\0' && next.is_some();
                if inside && before != ' ' && next != Some(' ') && self.is_full(folding) {
                    self.indent(folding.indent);
                } else {
                    self.put(c);
                }
            } else {
                if is_break(before) {
                    self.indent(folding.indent);
                }
                if c == '\'' {
                    self.put('\'');
                }
                self.put(c);
                self.indention = false;
            }
            before = c;
        }
        self.indicator("'", false, false);
    }

    fn double_quoted(&mut self, text: &str, folding: Folding) {
        self.indicator("\"", true, false);
        // go-yaml escapes all of a text that starts with a byte order mark.
        let escape_all = text.starts_with('\u{feff}');
        let mut chars = text.chars().peekable();
        let mut after_space = false;
        let mut at_start = true;
        while let Some(c) = chars.next() {
            let next = chars.peek().copied();
            if c == ' ' && !escape_all {
                if !at_start && next.is_some() && !after_space && self.is_full(folding) {
                    self.indent(folding.indent);
                    if next == Some(' ') {
                        self.put('\\');
                    }
                } else {
                    self.put(c);
                }
                after_space = true;
                at_start = false;
                continue;
            }
            after_space = false;
            at_start = false;
            if is_printable(c) && !escape_all && !is_break(c) && c != '"' && c != '\\' {
                self.put(c);
                continue;
            }
            let escape = match c {
                '\0' => "\\0",
                '\x07' => "\\a",
                '\x08' => "\\b",
                '\t' => "\\t",
                '\n' => "\\n",
                '\x0b' => "\\v",
                '\x0c' => "\\f",
                '\r' => "\\r",
                '\x1b' => "\\e",
                '"' => "\\\"",
                '\\' => "\\\\",
                '\u{85}' => "\\N",
                '\u{a0}' => "\\_",
                '\u{2028}' => "\\L",
                '\u{2029}' => "\\P",
                c => &match u32::from(c) {
                    code @ 0..=0xff => format!("\\x{code:02X}"),
                    code @ 0x100..=0xffff => format!("\\u{code:04X}"),
                    code => format!("\\U{code:08X}"),
                },
            };
            for c in escape.chars() {
                self.put(c);
            }
        }
        self.indicator("\"", false, false);
    }

    fn literal(&mut self, text: &str, indent: usize) {
        self.indicator("|", true, false);
        if text.starts_with([' ', '\n']) || text.starts_with(is_break) {
            self.put('2');
        }
        let mut ends = text.chars().rev();
        match (ends.next().is_some_and(is_break), ends.next().is_none_or(is_break)) {
            (false, _) => self.put('-'),
            (true, true) => self.put('+'),
            (true, false) => {}
        }
        self.break_line();
        self.indention = true;
        self.whitespace = true;
        let mut breaks = true;
        for c in text.chars() {
            if c == '\n' {
                self.break_line();
                self.indention = true;
                breaks = true;
            } else if is_break(c) {
                self.put(c);
                self.column = 0;
                self.indention = true;
                breaks = true;
            } else {
                if std::mem::take(&mut breaks) {
                    self.indent(indent);
                }
                self.put(c);
                self.indention = false;
            }
        }
    }
}

fn struct_entries(fields: &Struct) -> Vec<(Arc<str>, Value)> {
    let mut entries = Vec::new();
    for field in &fields.fields {
        match &field.value {
            Value::Struct(inner) if field.embedded => entries.append(&mut struct_entries(inner)),
            value if field.omit_empty && json::is_empty(value) => {}
            value => entries.push((field.json.into(), value.clone())),
        }
    }
    entries
}

/// The column behind which a space becomes the end of a line.
const WIDTH: usize = 80;

/// How a scalar goes on in the next line, if it may.
#[derive(Clone, Copy, Debug)]
struct Folding {
    indent: usize,
    allowed: bool,
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::{Map, yaml::parse_values};

    fn pretty(value: &Value) -> String {
        encode_pretty_yaml(value, &Budget::new(Limits::DEFAULT, None)).unwrap()
    }

    fn strings<const N: usize>(items: [&str; N]) -> Value {
        Value::strings(items)
    }

    /// Each text is what Helm 3.22 writes.
    #[test]
    fn strings_are_quoted_where_helm_quotes_them() {
        let cases = [
            ("plain text", "plain text"),
            ("", "\"\""),
            ("true", "\"true\""),
            ("yes", "\"yes\""),
            ("y", "\"y\""),
            ("null", "\"null\""),
            ("~", "\"~\""),
            ("12", "\"12\""),
            ("1.5", "\"1.5\""),
            ("0x1f", "\"0x1f\""),
            ("1e3", "\"1e3\""),
            ("1_000", "\"1_000\""),
            ("12:30", "\"12:30\""),
            ("2001-12-14", "\"2001-12-14\""),
            ("1.2.3", "1.2.3"),
            ("1Gi", "1Gi"),
            ("-", "'-'"),
            ("- a", "'- a'"),
            ("-a", "-a"),
            ("a: b", "'a: b'"),
            ("a:b", "a:b"),
            ("a:", "'a:'"),
            ("a #b", "'a #b'"),
            ("a#b", "a#b"),
            ("#a", "'#a'"),
            ("*a", "'*a'"),
            ("&a", "'&a'"),
            ("!a", "'!a'"),
            ("%a", "'%a'"),
            ("@a", "'@a'"),
            ("`a", "'`a'"),
            ("{a}", "'{a}'"),
            ("[a]", "'[a]'"),
            ("a, b", "a, b"),
            ("a{b}", "a{b}"),
            ("\"a\"", "'\"a\"'"),
            ("it's", "it's"),
            ("'a", "'''a'"),
            (" a", "' a'"),
            ("a ", "'a '"),
            ("---", "'---'"),
            ("--- a", "'--- a'"),
            ("? a", "'? a'"),
            ("?a", "?a"),
            ("a\tb", "\"a\\tb\""),
            ("a\u{1}b", "\"a\\x01b\""),
            ("é ✓", "é ✓"),
            ("😀", "\"\\U0001F600\""),
            ("\u{feff}a", "\"\\uFEFF\\x61\""),
            ("a\u{a0}b", "a\u{a0}b"),
            ("a\\b", "a\\b"),
            ("<<", "<<"),
            ("=", "="),
            (".", "."),
            ("one\ntwo", "|-\n  one\n  two"),
            ("one\ntwo\n", "|\n  one\n  two"),
            ("one\n\n", "|+\n  one\n"),
            ("\n", "|2+\n"),
            (" one\ntwo", "|2-\n   one\n  two"),
            ("one \ntwo", "\"one \\ntwo\""),
            ("one\n two", "|-\n  one\n   two"),
            ("one\ntwo ", "\"one\\ntwo \""),
            ("one\n\ttwo", "\"one\\n\\ttwo\""),
            ("one\r\ntwo", "\"one\\r\\ntwo\""),
        ];
        for (text, expected) in cases {
            assert_eq!(to_yaml(&Value::from(text)).unwrap(), format!("{expected}\n"), "{text:?}");
        }
    }

    #[test]
    fn collections_are_laid_out_as_helm_does() {
        let cases = [
            "a: 1\n",
            "a:\n- b\n- c: 1\n  d: 2\n- - e\n  - f\n",
            "a:\n  b:\n    c: []\n    d: {}\n",
            "- a\n- - - b\n- c:\n  - d\n",
            "a: |-\n  one\n  two\nb:\n- |\n  three\n- c: |-\n    four\n    five\n",
            "a1: 1\na2: 2\na10: 3\n",
            "A: 1\nB: 2\na: 3\n",
            "a: null\nb: true\nc: \"true\"\n",
            "? |-\n  two\n  lines\n: a: 1\n",
            "\"12\": 2\n'a: b': 1\n",
        ];
        for text in cases {
            let value = parse_values(text, &Limits::DEFAULT).unwrap();
            assert_eq!(to_yaml(&value).unwrap(), text);
        }
        let long = "k".repeat(129);
        let value = Value::Map(Map::from_iter([(long.as_str(), strings(["a"]))]));
        assert_eq!(to_yaml(&value).unwrap(), format!("? {long}\n: - a\n"));
    }

    #[test]
    fn lists_are_indented_in_pretty_yaml() {
        let value = parse_values("a:\n- b\n- c: [1.5]\n  d: x\ne: {f: 'yes'}\n", &Limits::DEFAULT).unwrap();
        assert_eq!(pretty(&value), "a:\n  - b\n  - c:\n      - 1.5\n    d: x\ne:\n  f: \"yes\"\n");
        assert_eq!(pretty(&Value::Float(1e6)), "1e+06\n");
    }

    #[test]
    fn numbers_go_through_json() {
        let cases = [
            (Value::Float(1.0), "1"),
            (Value::Float(1e6), "1000000"),
            (Value::Float(1_234_567.5), "1.2345675e+06"),
            (Value::Float(0.1), "0.1"),
            (Value::Float(1e20), "1e+20"),
            (Value::Float(1e19), "10000000000000000000"),
            (Value::Float(1e21), "1e+21"),
            (Value::Float(1e-7), "1e-07"),
            (Value::Float(-0.0), "0"),
            (Value::int(5), "5"),
        ];
        for (value, expected) in cases {
            assert_eq!(to_yaml(&value).unwrap(), format!("{expected}\n"));
        }
        assert_eq!(to_yaml(&Value::Float(f64::NAN)).unwrap(), "");
    }

    #[test]
    fn a_map_that_holds_itself_is_not_written_for_ever() {
        let map = Map::new();
        map.insert("a", Value::Map(map.clone()));
        assert!(matches!(to_yaml(&Value::Map(map.clone())), Err(Limit::ValueDepth(_))));
        map.remove("a");
    }

    fn values() -> impl Strategy<Value = Value> {
        let leaf = prop_oneof![
            Just(Value::Nil),
            any::<bool>().prop_map(Value::Bool),
            (-1e9..1e9).prop_map(Value::Float),
            "[ -~é\\n\\t\u{85}\u{feff}😀:#'\"-]{0,100}".prop_map(Value::from),
            "(word |it's |a: |  |\\n| #){0,40}".prop_map(Value::from),
        ];
        leaf.prop_recursive(4, 40, 6, |inner| {
            prop_oneof![
                proptest::collection::vec(inner.clone(), 0..6).prop_map(Value::list),
                proptest::collection::vec(("[a-z :\\n]{0,140}", inner), 0..6)
                    .prop_map(|entries| Value::Map(Map::from_iter(entries))),
            ]
        })
    }

    proptest! {
        #[test]
        fn what_is_written_reads_back_as_the_same(value in values()) {
            let text = to_yaml(&value).unwrap();
            let read = parse_values(&text, &Limits::DEFAULT).map_err(|error| format!("{error}\n{text}")).unwrap();
            let json = |value: &Value| {
                json::encode(value, json::Style::RAW, &Budget::new(Limits::DEFAULT, None)).unwrap()
            };
            prop_assert_eq!(json(&read), json(&value), "{}", text);
        }
    }
}
