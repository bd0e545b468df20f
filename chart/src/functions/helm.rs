//! Helm's own template functions: `toYaml`, `fromYaml`, `lookup`, `required` and others.
//! `lookup` finds nothing, as with `helm template`.

use super::decoded::Format;
use super::encoding::or_empty;
use super::toml::{decode_toml, encode_toml};
use super::{Call, Failure, Function, Lookup};
use crate::go::json::decode;
use crate::limits::Limit;
use crate::template::trace;
use crate::yaml::{Nodes, decode_yaml, encode_pretty_yaml, encode_yaml};
use crate::{Map, Value};

pub(super) const FUNCTIONS: &[Function] = &[
    Function::fixed("required", 2, |call| match call.value(1) {
        Value::Nil => Err(Failure::Refused(call.string(0)?.to_owned())),
        Value::String(text) if text.is_empty() => Err(Failure::Refused(call.string(0)?.to_owned())),
        value => Ok(value.clone()),
    }),
    Function::fixed("fail", 1, |call| Err(Failure::Refused(call.string(0)?.to_owned()))),
    // There is no cluster to look into: Helm gives the same when it renders without one.
    Function::fixed("lookup", 4, |call| {
        for index in 0..4 {
            call.string(index)?;
        }
        trace::looked_up();
        Ok(Value::Map(match (call.context.lookup, call.string(3)?) {
            (Lookup::Nothing, _) | (Lookup::Anything, "") => Map::new(),
            (Lookup::Anything, name) => object(call, name)?,
        }))
    }),
    // Helm looks no name up either, unless DNS is enabled.
    Function::fixed("getHostByName", 1, |call| {
        call.string(0)?;
        Ok(Value::from(""))
    }),
    Function::fixed("toYaml", 1, |call| {
        let text = or_empty(encode_yaml(call.value(0), call.budget()))?;
        Ok(Value::from(text.strip_suffix('\n').unwrap_or(&text)))
    }),
    Function::fixed("toYamlPretty", 1, |call| {
        let text = or_empty(encode_pretty_yaml(call.value(0), call.budget()))?;
        Ok(Value::from(text.strip_suffix('\n').unwrap_or(&text)))
    }),
    Function::fixed("fromYaml", 1, |call| {
        Ok(Value::Map(match decoded_yaml(call)? {
            Decoded::Value(Value::Map(map)) => map,
            Decoded::Value(Value::Nil) => Map::new(),
            Decoded::Value(other) => error_map(&yaml_not_into(&other, "map[string]interface {}")),
            Decoded::Malformed(message) => error_map(&message),
        }))
    }),
    Function::fixed("fromYamlArray", 1, |call| {
        Ok(match decoded_yaml(call)? {
            Decoded::Value(list @ Value::List(_)) => list,
            Decoded::Value(Value::Nil) => Value::list([]),
            Decoded::Value(other) => Value::list([Value::from(yaml_not_into(&other, "[]interface {}"))]),
            Decoded::Malformed(message) => Value::list([Value::from(message)]),
        })
    }),
    Function::fixed("fromJson", 1, |call| {
        Ok(Value::Map(match decoded_json(call)? {
            Ok(Value::Map(map)) => map,
            Ok(Value::Nil) => Map::new(),
            Ok(other) => error_map(&not_into(&other, "map[string]interface {}")),
            Err(error) => error_map(&error.to_string()),
        }))
    }),
    Function::fixed("fromJsonArray", 1, |call| {
        Ok(match decoded_json(call)? {
            Ok(list @ Value::List(_)) => list,
            Ok(Value::Nil) => Value::list([]),
            Ok(other) => Value::list([Value::from(not_into(&other, "[]interface {}"))]),
            Err(error) => Value::list([Value::from(error.to_string())]),
        })
    }),
    // Errors are returned as text, as in Helm.
    Function::fixed("toToml", 1, |call| match encode_toml(call.value(0), call.budget()) {
        Ok(text) => Ok(Value::from(text)),
        Err(Failure::Message(message)) => call.give(message),
        Err(other) => Err(other),
    }),
    Function::fixed("fromToml", 1, |call| {
        pay_for_reading(call)?;
        Ok(Value::Map(match decode_toml(call.string(0)?) {
            Ok(map) => map,
            Err(message) => error_map(&message),
        }))
    }),
];

/// An object as a cluster might have it, with nothing in it.
fn object(call: &Call<'_>, name: &str) -> Result<Map, Failure> {
    let metadata = Map::from_iter([("name", Value::from(name)), ("namespace", Value::from(call.string(2)?))]);
    Ok(Map::from_iter([
        ("apiVersion", Value::from(call.string(0)?)),
        ("kind", Value::from(call.string(1)?)),
        ("metadata", Value::Map(metadata)),
        ("data", Value::Map(Map::new())),
        ("spec", Value::Map(Map::new())),
        ("status", Value::Map(Map::new())),
    ]))
}

/// Pays for the values in a JSON or TOML text before it is read: each stands behind one of these.
pub(super) fn pay_for_reading(call: &Call<'_>) -> Result<(), Failure> {
    pay(call, count_values(call)?)
}

fn count_values(call: &Call<'_>) -> Result<usize, Failure> {
    let separators = call.string(0)?.bytes().filter(|byte| matches!(byte, b',' | b'[' | b'{' | b'\n'));
    Ok(separators.count())
}

fn pay(call: &Call<'_>, count: usize) -> Result<(), Failure> {
    call.budget().values(count)?;
    // Half of the values may be maps.
    Ok(call.budget().maps(count / 2)?)
}

/// The value of a JSON text. A rendering pays for it as if it was read anew.
fn decoded_json(call: &Call<'_>) -> Result<Result<Value, serde_json::Error>, Failure> {
    let Value::String(text) = call.value(0) else {
        pay_for_reading(call)?;
        return Ok(decode(call.string(0)?));
    };
    let texts = &call.context.texts;
    if let Some((value, count)) = texts.get(Format::Json, text) {
        pay(call, count)?;
        return Ok(Ok(value));
    }
    let count = count_values(call)?;
    pay(call, count)?;
    Ok(decode(text).map(|value| texts.keep(Format::Json, text, value, count)))
}

/// Helm returns errors of reading under a key of the result.
fn error_map(message: &str) -> Map {
    Map::from_iter([("Error", Value::from(message))])
}

fn not_into(value: &Value, target: &str) -> String {
    let found = match value {
        Value::Map(_) => "object",
        Value::List(_) => "array",
        Value::Bool(_) => "bool",
        Value::String(_) => "string",
        _ => "number",
    };
    format!("json: cannot unmarshal {found} into Go value of type {target}")
}

/// YAML goes through JSON.
fn yaml_not_into(value: &Value, target: &str) -> String {
    format!("error unmarshaling JSON: while decoding JSON: {}", not_into(value, target))
}

/// The value of a YAML text. A malformed one does not end the rendering: templates get the message.
enum Decoded {
    Value(Value),
    Malformed(String),
}

fn decoded_yaml(call: &Call<'_>) -> Result<Decoded, Failure> {
    let limits = call.budget().limits();
    let text = match call.value(0) {
        Value::String(text) => Some(text),
        _ => None,
    };
    if let Some((value, count)) = text.and_then(|text| call.context.texts.get(Format::Yaml, text)) {
        pay(call, count)?;
        return Ok(Decoded::Value(value));
    }
    let Nodes { value, count, too_many } = decode_yaml(call.string(0)?, limits);
    if too_many {
        return Err(Limit::YamlNodes(limits.yaml_nodes).into());
    }
    pay(call, count)?;
    Ok(match value {
        Ok(value) => Decoded::Value(match text {
            Some(text) => call.context.texts.keep(Format::Yaml, text, value, count),
            None => value,
        }),
        Err(error) => Decoded::Malformed(format!(
            "error converting YAML to JSON: yaml: line {}: {}",
            error.line, error.message
        )),
    })
}

/// `.Files.AsConfig` and others write maps too.
pub(super) fn yaml_text(value: &Value, call: &Call<'_>) -> Result<Value, Failure> {
    let text = or_empty(encode_yaml(value, call.budget()))?;
    Ok(Value::from(text.strip_suffix('\n').unwrap_or(&text)))
}
