//! Go's encoding/json.
//! Reads and writes values with Go's escapes and number texts.

use std::fmt;

use base64::Engine as _;
use base64::prelude::BASE64_STANDARD;
use serde::de::{Deserialize, Deserializer, MapAccess, SeqAccess, Visitor};

use super::float::format_json;
use crate::functions::Failure;
use crate::limits::Budget;
use crate::metered::Metered;
use crate::{Map, Struct, Value};

/// How JSON is written.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Style {
    /// Whether every value has a line of its own, indented by two spaces.
    pub(crate) pretty: bool,
    /// Whether `<`, `>` and `&` are escaped, as `encoding/json` does unless told otherwise.
    pub(crate) escape_html: bool,
}

impl Style {
    pub(crate) const COMPACT: Self = Self { pretty: false, escape_html: true };
    pub(crate) const PRETTY: Self = Self { pretty: true, escape_html: true };
    pub(crate) const RAW: Self = Self { pretty: false, escape_html: false };
}

/// `json.Marshal`: fails for infinite numbers.
pub(crate) fn encode(value: &Value, style: Style, budget: &Budget) -> Result<String, Failure> {
    let mut writer = Writer { out: Metered::new(budget), style };
    writer.value(value, 0)?;
    Ok(writer.out.finish()?)
}

/// `json.Unmarshal` into an `interface{}`: every number is a float.
pub(crate) fn decode(text: &str) -> Result<Value, serde_json::Error> {
    serde_json::from_str::<Decoded>(text).map(|decoded| decoded.0)
}

struct Writer<'b> {
    out: Metered<'b>,
    style: Style,
}

impl Writer<'_> {
    fn value(&mut self, value: &Value, depth: usize) -> Result<(), Failure> {
        let depth = self.out.descend(depth)?;
        match value {
            Value::Nil => self.out.push_str("null"),
            Value::List(list) if list.is_nil() => self.out.push_str("null"),
            Value::Bool(truth) => self.out.push_str(if *truth { "true" } else { "false" }),
            Value::Int(number, _) => self.out.push_str(&number.to_string()),
            Value::Float(number) if !number.is_finite() => {
                let number = super::float::format_float(*number, 'g', None);
                return Err(Failure::message(format!("json: unsupported value: {number}")));
            }
            Value::Float(number) => self.out.push_str(&format_json(*number)),
            Value::String(text) => push_quoted(&mut self.out, text, self.style.escape_html),
            Value::Bytes(bytes) => {
                self.out.push('"');
                BASE64_STANDARD.encode_string(bytes, &mut self.out);
                self.out.push('"');
            }
            Value::List(list) => {
                self.out.push('[');
                for (index, item) in list.iter().enumerate() {
                    self.next_item(index == 0, depth);
                    self.value(item, depth)?;
                }
                self.close(']', list.is_empty(), depth - 1);
            }
            Value::Map(map) => {
                let entries = map.entries();
                self.out.push('{');
                for (index, (key, item)) in entries.iter().enumerate() {
                    self.next_item(index == 0, depth);
                    self.key(key);
                    self.value(item, depth)?;
                }
                self.close('}', entries.is_empty(), depth - 1);
            }
            Value::Struct(fields) => {
                self.out.push('{');
                let empty = self.fields(fields, true, depth)?;
                self.close('}', empty, depth - 1);
            }
            Value::Time(time) => {
                let text = time.format("2006-01-02T15:04:05.999999999Z07:00");
                push_quoted(&mut self.out, &text, true);
            }
            Value::Version(version) => push_quoted(&mut self.out, &version.to_string(), true),
        }
        Ok(())
    }

    /// The fields of a struct and of those embedded in it. Returns whether none was written.
    fn fields(&mut self, fields: &Struct, mut first: bool, depth: usize) -> Result<bool, Failure> {
        for field in &fields.fields {
            if field.embedded
                && let Value::Struct(inner) = &field.value
            {
                first = self.fields(inner, first, depth)?;
                continue;
            }
            if field.omit_empty && is_empty(&field.value) {
                continue;
            }
            self.next_item(first, depth);
            first = false;
            self.key(field.json);
            self.value(&field.value, depth)?;
        }
        Ok(first)
    }

    fn key(&mut self, key: &str) {
        push_quoted(&mut self.out, key, self.style.escape_html);
        self.out.push_str(if self.style.pretty { ": " } else { ":" });
    }

    fn next_item(&mut self, first: bool, depth: usize) {
        if !first {
            self.out.push(',');
        }
        self.indent(depth);
    }

    fn close(&mut self, bracket: char, empty: bool, depth: usize) {
        if !empty {
            self.indent(depth);
        }
        self.out.push(bracket);
    }

    fn indent(&mut self, depth: usize) {
        if self.style.pretty {
            self.out.push('\n');
            self.out.extend(std::iter::repeat_n("  ", depth));
        }
    }
}

/// Whether `omitempty` leaves a value out.
pub(crate) fn is_empty(value: &Value) -> bool {
    match value {
        Value::Struct(_) | Value::Time(_) | Value::Version(_) => false,
        value => !super::types::is_true(value),
    }
}

fn push_quoted(out: &mut String, text: &str, escape_html: bool) {
    out.push('"');
    for c in text.chars() {
        match c {
            '"' => out.push_str("\\\""),
            '\\' => out.push_str("\\\\"),
            '\x08' => out.push_str("\\b"),
            '\x0c' => out.push_str("\\f"),
            '\n' => out.push_str("\\n"),
            '\r' => out.push_str("\\r"),
            '\t' => out.push_str("\\t"),
            '\0'..='\x1f' | '\u{2028}' | '\u{2029}' => out.push_str(&format!("\\u{:04x}", u32::from(c))),
            '<' | '>' | '&' if escape_html => out.push_str(&format!("\\u{:04x}", u32::from(c))),
            c => out.push(c),
        }
    }
    out.push('"');
}

/// A value as it comes out of JSON.
struct Decoded(Value);

impl<'de> Deserialize<'de> for Decoded {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_any(DecodedVisitor)
    }
}

struct DecodedVisitor;

impl<'de> Visitor<'de> for DecodedVisitor {
    type Value = Decoded;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a JSON value")
    }

    fn visit_unit<E>(self) -> Result<Decoded, E> {
        Ok(Decoded(Value::Nil))
    }

    fn visit_bool<E>(self, value: bool) -> Result<Decoded, E> {
        Ok(Decoded(Value::Bool(value)))
    }

    fn visit_i64<E>(self, value: i64) -> Result<Decoded, E> {
        Ok(Decoded(Value::Float(value as f64)))
    }

    fn visit_u64<E>(self, value: u64) -> Result<Decoded, E> {
        Ok(Decoded(Value::Float(value as f64)))
    }

    fn visit_f64<E>(self, value: f64) -> Result<Decoded, E> {
        Ok(Decoded(Value::Float(value)))
    }

    fn visit_str<E>(self, text: &str) -> Result<Decoded, E> {
        Ok(Decoded(Value::string(text)))
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut items: A) -> Result<Decoded, A::Error> {
        let mut list = Vec::new();
        while let Some(Decoded(item)) = items.next_element()? {
            list.push(item);
        }
        Ok(Decoded(Value::list(list)))
    }

    fn visit_map<A: MapAccess<'de>>(self, mut entries: A) -> Result<Decoded, A::Error> {
        let map = Map::new();
        while let Some((key, Decoded(value))) = entries.next_entry::<String, Decoded>()? {
            map.insert(key, value);
        }
        Ok(Decoded(Value::Map(map)))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{Field, Limits};

    fn encoded(value: &Value, style: Style) -> String {
        encode(value, style, &Budget::new(Limits::DEFAULT, None)).unwrap()
    }

    #[test]
    fn json_is_written_as_go_writes_it() {
        let map = Map::from_iter([
            ("b", Value::list([Value::Float(1e6), Value::Float(0.5), Value::int(3), Value::Nil])),
            ("a", Value::from("<&>\"\u{2028}\n\u{1}")),
            ("c", Value::Map(Map::new())),
        ]);
        let value = Value::Map(map);
        assert_eq!(
            encoded(&value, Style::COMPACT),
            "{\"a\":\"\\u003c\\u0026\\u003e\\\"\\u2028\\n\\u0001\",\"b\":[1000000,0.5,3,null],\"c\":{}}"
        );
        assert_eq!(encoded(&"<".into(), Style::RAW), "\"<\"");
        assert_eq!(
            encoded(&Value::Map(Map::from_iter([("a", Value::list([Value::Bool(true)]))])), Style::PRETTY),
            "{\n  \"a\": [\n    true\n  ]\n}"
        );
        assert!(encode(&Value::Float(f64::NAN), Style::RAW, &Budget::new(Limits::DEFAULT, None)).is_err());
    }

    #[test]
    fn structs_are_written_under_their_json_names() {
        let field =
            |name, json, omit_empty, embedded, value| Field { name, json, omit_empty, embedded, value };
        let inner = Struct {
            type_name: "chart.Metadata",
            fields: vec![
                field("Name", "name", true, false, "x".into()),
                field("Home", "home", true, false, "".into()),
            ],
        };
        let outer = Struct {
            type_name: "struct",
            fields: vec![
                field("Metadata", "", false, true, Value::Struct(inner.into())),
                field("IsRoot", "IsRoot", false, false, Value::Bool(true)),
            ],
        };
        assert_eq!(encoded(&Value::Struct(outer.into()), Style::COMPACT), r#"{"name":"x","IsRoot":true}"#);
    }

    #[test]
    fn json_is_read_with_floats() {
        let value = decode(r#"{"a": [1, -2.5, "x", null, true], "a": {"b": 1e3}}"#).unwrap();
        assert_eq!(encoded(&value, Style::RAW), r#"{"a":{"b":1000}}"#);
        assert!(decode("{").is_err());
        assert!(decode("1 2").is_err());
    }
}
