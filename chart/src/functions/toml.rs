//! Template function `toToml` (BurntSushi/toml).
//! Takes a value; gives its TOML.
//!
//! The crate `toml` could write this too, with other bytes: it does not indent tables, and writes some texts
//! between other quotes. Charts put the SHA-256 of such a text into annotations, which must be Helm's.

use super::Failure;
use crate::go::float::format_float;
use crate::go::time::Time;
use crate::go::types::type_name;
use crate::limits::Budget;
use crate::metered::Metered;
use crate::{Map, Struct, Value};

/// Writes TOML as Helm's library does: a table's plain values first, then its tables, indented.
pub(super) fn encode_toml(value: &Value, budget: &Budget) -> Result<String, Failure> {
    let mut writer = Writer { out: Metered::new(budget) };
    writer.entry(&mut Vec::new(), value, 0)?;
    Ok(writer.out.finish()?)
}

struct Writer<'b> {
    out: Metered<'b>,
}

impl Writer<'_> {
    /// A value under a key, on lines of its own.
    fn entry(&mut self, key: &mut Vec<String>, value: &Value, depth: usize) -> Result<(), Failure> {
        let depth = self.out.descend(depth)?;
        match value {
            Value::Nil if key.is_empty() => Err(Failure::message("toml: cannot encode a nil value")),
            Value::Nil => Ok(()),
            Value::Map(map) => self.table(key, &map.entries(), depth),
            Value::Struct(fields) => self.table(key, &struct_entries(fields), depth),
            Value::List(list) if is_table_array(list)? => {
                if key.is_empty() {
                    return Err(Failure::message("toml: top-level values must be Go maps or structs"));
                }
                for item in list.iter() {
                    self.newline();
                    self.header(key, "[[", "]]");
                    self.fields(key, &entries_of(item), depth)?;
                }
                Ok(())
            }
            value if key.is_empty() => self.element(value, depth),
            value => {
                self.indent(key.len() - 1);
                self.out.push_str(&quoted_key(key.last().map_or("", String::as_str)));
                self.out.push_str(" = ");
                self.element(value, depth)?;
                self.newline();
                Ok(())
            }
        }
    }

    fn table(
        &mut self,
        key: &mut Vec<String>,
        entries: &[(std::sync::Arc<str>, Value)],
        depth: usize,
    ) -> Result<(), Failure> {
        if key.len() == 1 {
            self.newline();
        }
        if !key.is_empty() {
            self.header(key, "[", "]");
        }
        self.fields(key, entries, depth)
    }

    fn fields(
        &mut self,
        key: &mut Vec<String>,
        entries: &[(std::sync::Arc<str>, Value)],
        depth: usize,
    ) -> Result<(), Failure> {
        for tables in [false, true] {
            for (name, value) in entries {
                if is_table(value)? == tables {
                    key.push(name.to_string());
                    self.entry(key, value, depth)?;
                    key.pop();
                }
            }
        }
        Ok(())
    }

    fn header(&mut self, key: &[String], open: &str, close: &str) {
        self.indent(key.len() - 1);
        let names: Vec<_> = key.iter().map(|name| quoted_key(name)).collect();
        self.out.push_str(&format!("{open}{}{close}", names.join(".")));
        self.newline();
    }

    /// A value in one line.
    fn element(&mut self, value: &Value, depth: usize) -> Result<(), Failure> {
        let depth = self.out.descend(depth)?;
        match value {
            Value::String(text) => self.out.push_str(&quoted(text)),
            Value::Bool(value) => self.out.push_str(if *value { "true" } else { "false" }),
            Value::Int(value, _) => self.out.push_str(&value.to_string()),
            Value::Float(value) => self.out.push_str(&float_text(*value)),
            Value::Bytes(bytes) => {
                let numbers: Vec<_> = bytes.iter().map(u8::to_string).collect();
                self.out.push_str(&format!("[{}]", numbers.join(", ")));
            }
            Value::List(list) => {
                self.out.push('[');
                for (index, item) in list.iter().enumerate() {
                    if index > 0 {
                        self.out.push_str(", ");
                    }
                    self.element(item, depth)?;
                }
                self.out.push(']');
            }
            Value::Map(_) | Value::Struct(_) => {
                let mut entries = Vec::new();
                for tables in [false, true] {
                    for (name, value) in entries_of(value) {
                        if !value.is_nil() && is_table(&value)? == tables {
                            entries.push((name, value));
                        }
                    }
                }
                self.out.push('{');
                for (index, (name, value)) in entries.iter().enumerate() {
                    if index > 0 {
                        self.out.push_str(", ");
                    }
                    self.out.push_str(&quoted_key(name));
                    self.out.push_str(" = ");
                    self.element(value, depth)?;
                }
                self.out.push('}');
            }
            Value::Time(time) => self.out.push_str(&time.format("2006-01-02T15:04:05.999999999Z07:00")),
            Value::Version(version) => self.out.push_str(&quoted(&version.to_string())),
            Value::Nil => {
                let found = type_name(value);
                return Err(Failure::Message(format!("toml: unexpected type: {found}")));
            }
        }
        Ok(())
    }

    fn newline(&mut self) {
        if !self.out.is_empty() {
            self.out.push('\n');
        }
    }

    fn indent(&mut self, depth: usize) {
        self.out.extend(std::iter::repeat_n("  ", depth));
    }
}

fn entries_of(value: &Value) -> Vec<(std::sync::Arc<str>, Value)> {
    match value {
        Value::Map(map) => map.entries(),
        Value::Struct(fields) => struct_entries(fields),
        _ => Vec::new(),
    }
}

fn struct_entries(fields: &Struct) -> Vec<(std::sync::Arc<str>, Value)> {
    let mut entries = Vec::new();
    for field in &fields.fields {
        match &field.value {
            Value::Struct(inner) if field.embedded => entries.append(&mut struct_entries(inner)),
            value => entries.push((field.name.into(), value.clone())),
        }
    }
    entries
}

fn is_table(value: &Value) -> Result<bool, Failure> {
    match value {
        Value::Map(_) | Value::Struct(_) => Ok(true),
        Value::List(list) => is_table_array(list),
        _ => Ok(false),
    }
}

fn is_table_array(list: &[Value]) -> Result<bool, Failure> {
    if list.iter().any(Value::is_nil) {
        return Err(Failure::message("toml: cannot encode array with nil element"));
    }
    Ok(!list.is_empty() && list.iter().all(|item| matches!(item, Value::Map(_) | Value::Struct(_))))
}

fn float_text(value: f64) -> String {
    if value.is_nan() {
        return "nan".to_owned();
    }
    if value.is_infinite() {
        return if value < 0.0 { "-inf" } else { "inf" }.to_owned();
    }
    let text = format_float(value, 'g', None);
    if text.contains(['e', '.']) { text } else { text + ".0" }
}

fn quoted_key(key: &str) -> String {
    let bare = |c: char| c.is_ascii_alphanumeric() || c == '_' || c == '-';
    if !key.is_empty() && key.chars().all(bare) { key.to_owned() } else { quoted(key) }
}

fn quoted(text: &str) -> String {
    let mut out = String::from('"');
    for c in text.chars() {
        match c {
            '"' => out.push_str("\\\""),
            '\\' => out.push_str("\\\\"),
            '\x08' => out.push_str("\\b"),
            '\t' => out.push_str("\\t"),
            '\n' => out.push_str("\\n"),
            '\x0c' => out.push_str("\\f"),
            '\r' => out.push_str("\\r"),
            '\0'..='\x1f' | '\x7f' => out.push_str(&format!("\\u{:04x}", u32::from(c))),
            c => out.push(c),
        }
    }
    out.push('"');
    out
}

/// Reads TOML; what is wrong comes back as a text.
pub(super) fn decode_toml(text: &str) -> Result<Map, String> {
    let table: toml::Table = text.parse().map_err(|error: toml::de::Error| error.message().to_owned())?;
    Ok(map_of(table))
}

fn map_of(table: toml::Table) -> Map {
    table.into_iter().map(|(key, value)| (key, decoded(value))).collect()
}

fn decoded(value: toml::Value) -> Value {
    match value {
        toml::Value::String(text) => Value::from(text),
        toml::Value::Integer(value) => Value::int64(value),
        toml::Value::Float(value) => Value::Float(value),
        toml::Value::Boolean(value) => Value::Bool(value),
        toml::Value::Datetime(time) => {
            let text = time.to_string();
            let layouts = ["2006-01-02T15:04:05Z07:00", "2006-01-02T15:04:05", "2006-01-02", "15:04:05"];
            let time = layouts.iter().find_map(|layout| Time::parse(layout, &text));
            time.map_or_else(|| Value::from(text), Value::Time)
        }
        toml::Value::Array(items) => {
            // Go's library gives tables in a list a type of their own, which templates see as a list.
            Value::list(items.into_iter().map(decoded).collect::<Vec<_>>())
        }
        toml::Value::Table(table) => Value::Map(map_of(table)),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::Limits;
    use crate::yaml::parse_values;

    fn toml(yaml: &str) -> Result<String, Failure> {
        let value = parse_values(yaml, &Limits::DEFAULT).unwrap();
        encode_toml(&value, &Budget::new(Limits::DEFAULT, None))
    }

    /// Each text is what Helm 3.22 writes.
    #[test]
    fn tables_follow_plain_values() {
        assert_eq!(
            toml("b: {x: 1, m: {l: [a, {k: v}]}}\na: text\nc: [{z: true}, {z: null}]\n'd e': 1.5\n").unwrap(),
            "a = \"text\"\n\"d e\" = 1.5\n\n[b]\n  x = 1.0\n  [b.m]\n    l = [\"a\", {k = \"v\"}]\n\n[[c]]\n  z = true\n\n[[c]]\n"
        );
        assert!(toml("a: [null]").is_err());
    }

    #[test]
    fn toml_is_read() {
        let map = decode_toml("a = 1\n[b.c]\nd = [1.5, 'x']\n[[e]]\nf = true\n").unwrap();
        let text = encode_toml(&Value::Map(map), &Budget::new(Limits::DEFAULT, None)).unwrap();
        assert_eq!(text, "a = 1\n\n[b]\n  [b.c]\n    d = [1.5, \"x\"]\n\n[[e]]\n  f = true\n");
        assert!(decode_toml("a = ").is_err());
    }
}
