//! Go's names of types.
//! Takes a value; gives what `%T` and `kindOf` print.

use std::borrow::Cow;

use crate::limits::{Budget, Limit};
use crate::{IntType, ListType, MapType, Value};

/// Go's name of the value's type, as `%T` writes it.
pub(crate) fn type_name(value: &Value) -> Cow<'static, str> {
    Cow::Borrowed(match value {
        Value::Nil => "<nil>",
        Value::Bool(_) => "bool",
        Value::Int(_, int_type) => int_type_name(*int_type),
        Value::Float(_) => "float64",
        Value::String(_) => "string",
        Value::Bytes(_) => "[]uint8",
        Value::List(list) => match list.list_type() {
            ListType::Any => "[]interface {}",
            ListType::String => "[]string",
            ListType::Int => "[]int",
            ListType::Lists => "[][]interface {}",
            ListType::VersionSet => "chartutil.VersionSet",
            ListType::Named(name) => name,
        },
        Value::Map(map) => match map.map_type() {
            MapType::Any => "map[string]interface {}",
            MapType::String => "map[string]string",
            MapType::Values => "chartutil.Values",
            MapType::Files => "engine.files",
        },
        Value::Struct(fields) => fields.type_name,
        Value::Time(_) => "time.Time",
        Value::Version(_) => "*semver.Version",
    })
}

pub(crate) const fn int_type_name(int_type: IntType) -> &'static str {
    match int_type {
        IntType::Int => "int",
        IntType::Int64 => "int64",
        IntType::Int32 => "int32",
        IntType::Uint8 => "uint8",
        IntType::Uint64 => "uint64",
    }
}

/// Go's `reflect.Kind` of the value, as `kindOf` writes it.
pub(crate) fn kind(value: &Value) -> &'static str {
    match value {
        Value::Nil => "invalid",
        Value::Bool(_) => "bool",
        Value::Int(_, int_type) => int_type_name(*int_type),
        Value::Float(_) => "float64",
        Value::String(_) => "string",
        Value::Bytes(_) | Value::List(_) => "slice",
        Value::Map(_) => "map",
        Value::Struct(fields) if fields.type_name.starts_with('*') => "ptr",
        Value::Struct(_) | Value::Time(_) => "struct",
        Value::Version(_) => "ptr",
    }
}

/// Whether `if` takes a value for true: it is not the zero of its type.
pub(crate) fn is_true(value: &Value) -> bool {
    match value {
        Value::Nil => false,
        Value::Bool(value) => *value,
        Value::Int(value, _) => *value != 0,
        Value::Float(value) => *value != 0.0,
        Value::String(text) => !text.is_empty(),
        Value::Bytes(bytes) => !bytes.is_empty(),
        Value::List(list) => !list.is_empty(),
        Value::Map(map) => !map.is_empty(),
        Value::Struct(_) | Value::Time(_) | Value::Version(_) => true,
    }
}

/// `reflect.DeepEqual`: an `int` never equals an `int64`, nor a list of strings one of anything.
pub(crate) fn deep_equal(left: &Value, right: &Value, budget: &Budget, depth: usize) -> Result<bool, Limit> {
    let depth = budget.descend(depth)?;
    Ok(match (left, right) {
        (Value::Nil, Value::Nil) => true,
        (Value::Bool(left), Value::Bool(right)) => left == right,
        (Value::Int(left, left_type), Value::Int(right, right_type)) => {
            left == right && left_type == right_type
        }
        (Value::Float(left), Value::Float(right)) => left == right,
        (Value::String(left), Value::String(right)) => left == right,
        (Value::Bytes(left), Value::Bytes(right)) => left == right,
        (Value::List(left), Value::List(right)) => {
            let same_type = left.list_type() == right.list_type() && left.is_nil() == right.is_nil();
            if !same_type || left.len() != right.len() {
                return Ok(false);
            }
            for (left, right) in left.iter().zip(right.iter()) {
                if !deep_equal(left, right, budget, depth)? {
                    return Ok(false);
                }
            }
            true
        }
        (Value::Map(left), Value::Map(right)) => {
            if left.map_type() != right.map_type() || left.len() != right.len() {
                return Ok(false);
            }
            if left.is_same(right) {
                return Ok(true);
            }
            for ((left_key, left), (right_key, right)) in left.entries().iter().zip(right.entries().iter()) {
                if left_key != right_key || !deep_equal(left, right, budget, depth)? {
                    return Ok(false);
                }
            }
            true
        }
        (Value::Struct(left), Value::Struct(right)) => {
            if left.type_name != right.type_name || left.fields.len() != right.fields.len() {
                return Ok(false);
            }
            for (left, right) in left.fields.iter().zip(&right.fields) {
                if !deep_equal(&left.value, &right.value, budget, depth)? {
                    return Ok(false);
                }
            }
            true
        }
        (Value::Time(left), Value::Time(right)) => left == right,
        (Value::Version(left), Value::Version(right)) => left == right,
        _ => false,
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{Limits, List, Map};

    #[test]
    fn equality_is_that_of_types_too() {
        let budget = Budget::new(Limits::DEFAULT, None);
        let list = |items: &[Value], list_type| Value::List(List::new(items, list_type));
        let map = |value: Value| Value::Map(Map::from_iter([("a", value)]));
        let cases = [
            (Value::int(1), Value::int(1), true),
            (Value::int(1), Value::int64(1), false),
            (Value::int(1), Value::Float(1.0), false),
            (Value::Nil, Value::Nil, true),
            (map(Value::int(1)), map(Value::int(1)), true),
            (map(Value::int(1)), map(Value::int(2)), false),
            (list(&["a".into()], ListType::Any), list(&["a".into()], ListType::Any), true),
            (list(&["a".into()], ListType::Any), list(&["a".into()], ListType::String), false),
        ];
        for (left, right, equal) in cases {
            assert_eq!(deep_equal(&left, &right, &budget, 0), Ok(equal), "{left:?} {right:?}");
        }
    }

    #[test]
    fn a_map_in_itself_is_not_compared_for_ever() {
        let budget = Budget::new(Limits::DEFAULT, None);
        let (left, right) = (Map::new(), Map::new());
        left.insert("a", Value::Map(left.clone()));
        right.insert("a", Value::Map(right.clone()));
        let result = deep_equal(&Value::Map(left.clone()), &Value::Map(right.clone()), &budget, 0);
        assert_eq!(result, Err(Limit::ValueDepth(Limits::DEFAULT.value_depth)));
        left.remove("a");
        right.remove("a");
    }
}
