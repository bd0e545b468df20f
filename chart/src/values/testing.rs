//! Values for tests, from JSON.
//! Takes a text; gives a value or a map.

use crate::{Map, Value};

/// Reads JSON, with integers as `int64`.
pub(crate) fn parse_json(text: &str) -> Value {
    fn value(json: serde_json::Value) -> Value {
        match json {
            serde_json::Value::Null => Value::Nil,
            serde_json::Value::Bool(flag) => Value::Bool(flag),
            serde_json::Value::Number(number) => match number.as_i64() {
                Some(number) => Value::int64(number),
                None => Value::Float(number.as_f64().unwrap()),
            },
            serde_json::Value::String(text) => Value::from(text),
            serde_json::Value::Array(items) => Value::list(items.into_iter().map(value).collect::<Vec<_>>()),
            serde_json::Value::Object(entries) => {
                Value::Map(entries.into_iter().map(|(key, inner)| (key, value(inner))).collect())
            }
        }
    }
    value(serde_json::from_str(text).unwrap())
}

/// The map of a JSON text.
pub(crate) fn map(text: &str) -> Map {
    parse_json(text).as_map().unwrap().clone()
}

/// Writes JSON with sorted keys.
pub(crate) fn json(value: &Value) -> String {
    fn tree(value: &Value) -> serde_json::Value {
        match value {
            Value::Nil => serde_json::Value::Null,
            Value::Bool(flag) => (*flag).into(),
            Value::Int(number, _) => (*number).into(),
            Value::Float(number) if number.fract() == 0.0 => serde_json::json!(*number as i64),
            Value::Float(number) => serde_json::json!(number),
            Value::String(text) => (&**text).into(),
            Value::List(list) => list.iter().map(tree).collect(),
            Value::Map(map) => {
                map.entries().into_iter().map(|(key, value)| (key.to_string(), tree(&value))).collect()
            }
            other => panic!("{other:?}"),
        }
    }
    tree(value).to_string()
}
