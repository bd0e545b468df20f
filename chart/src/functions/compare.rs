//! Template functions that compare and index (Go's text/template).
//! Take values; give booleans, or what an index names.

use super::{Call, Failure, Function};
use crate::go::types::{is_true, kind, type_name};
use crate::{IntType, List, MapType, Value};

pub(super) const FUNCTIONS: &[Function] = &[
    Function::fixed("not", 1, |call| Ok(Value::Bool(!is_true(call.value(0))))),
    Function::variadic("eq", 1, |call| {
        if call.count() < 2 {
            return Err(Failure::message("missing argument for comparison"));
        }
        for other in call.rest(1) {
            if equal(call.value(0), other)? {
                return Ok(Value::Bool(true));
            }
        }
        Ok(Value::Bool(false))
    }),
    Function::fixed("ne", 2, |call| Ok(Value::Bool(!equal(call.value(0), call.value(1))?))),
    Function::fixed("lt", 2, |call| Ok(Value::Bool(less(call.value(0), call.value(1))?))),
    Function::fixed("le", 2, |call| Ok(Value::Bool(less_or_equal(call.value(0), call.value(1))?))),
    Function::fixed("gt", 2, |call| Ok(Value::Bool(!less_or_equal(call.value(0), call.value(1))?))),
    Function::fixed("ge", 2, |call| Ok(Value::Bool(!less(call.value(0), call.value(1))?))),
    Function::fixed("len", 1, length),
    Function::variadic("index", 1, index),
    Function::variadic("call", 1, |call| match call.value(0) {
        Value::Nil => Err(Failure::message("call of nil")),
        other => Err(Failure::Message(format!("non-function of type {}", type_name(other)))),
    }),
];

/// The kinds that Go compares: those with an order or at least equality.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Basic {
    Bool,
    Int,
    Unsigned,
    Float,
    String,
}

const fn basic(value: &Value) -> Option<Basic> {
    match value {
        Value::Bool(_) => Some(Basic::Bool),
        Value::Int(_, IntType::Uint8 | IntType::Uint64) => Some(Basic::Unsigned),
        Value::Int(..) => Some(Basic::Int),
        Value::Float(_) => Some(Basic::Float),
        Value::String(_) => Some(Basic::String),
        _ => None,
    }
}

fn incompatible(left: &Value, right: &Value) -> Failure {
    let (left, right) = (type_name(left), type_name(right));
    Failure::Message(format!("incompatible types for comparison: {left} and {right}"))
}

fn equal(left: &Value, right: &Value) -> Result<bool, Failure> {
    match (left, right) {
        // Integers of any two types compare; a number and a float do not.
        (Value::Int(left, _), Value::Int(right, _)) => Ok(left == right),
        (Value::Bool(left), Value::Bool(right)) => Ok(left == right),
        (Value::Float(left), Value::Float(right)) => Ok(left == right),
        (Value::String(left), Value::String(right)) => Ok(left == right),
        (Value::Nil, Value::Nil) => Ok(true),
        (Value::Nil, _) | (_, Value::Nil) => Ok(false),
        (Value::Time(left), Value::Time(right)) => Ok(left == right),
        (Value::Version(left), Value::Version(right)) => Ok(std::sync::Arc::ptr_eq(left, right)),
        (left, right) if basic(left) == basic(right) && kind(left) == kind(right) => {
            Err(Failure::Message(format!("non-comparable type {}", type_name(right))))
        }
        (left, right) => Err(incompatible(left, right)),
    }
}

fn less(left: &Value, right: &Value) -> Result<bool, Failure> {
    let (Some(left_kind), Some(right_kind)) = (basic(left), basic(right)) else {
        return Err(Failure::message("invalid type for comparison"));
    };
    match (left, right) {
        (Value::Int(left, _), Value::Int(right, _)) => Ok(left < right),
        (Value::Float(left), Value::Float(right)) => Ok(left < right),
        (Value::String(left), Value::String(right)) => Ok(left < right),
        _ if left_kind == right_kind => Err(Failure::message("invalid type for comparison")),
        (left, right) => Err(incompatible(left, right)),
    }
}

fn less_or_equal(left: &Value, right: &Value) -> Result<bool, Failure> {
    Ok(less(left, right)? || equal(left, right)?)
}

fn length(call: &Call<'_>) -> Result<Value, Failure> {
    let length = match call.value(0) {
        Value::String(text) => text.len(),
        Value::Bytes(bytes) => bytes.len(),
        Value::List(list) => list.len(),
        Value::Map(map) => map.len(),
        Value::Nil => return Err(Failure::message("len of nil pointer")),
        other => return Err(Failure::Message(format!("len of type {}", type_name(other)))),
    };
    // No length comes near 2^63.
    Ok(Value::int(length as i64))
}

/// `index x 1 2 3` is `x[1][2][3]`.
fn index(call: &Call<'_>) -> Result<Value, Failure> {
    if call.value(0).is_nil() {
        return Err(Failure::message("index of untyped nil"));
    }
    let mut item = call.value(0).clone();
    for key in call.rest(1) {
        item = index_once(&item, key)?;
    }
    Ok(item)
}

fn index_once(item: &Value, key: &Value) -> Result<Value, Failure> {
    match item {
        Value::Nil => Err(Failure::message("index of nil pointer")),
        Value::Map(map) => {
            let key = match key {
                Value::String(key) => key,
                Value::Nil => return Err(Failure::message("value is nil; should be of type string")),
                other => {
                    let found = type_name(other);
                    return Err(Failure::Message(format!("value has type {found}; should be string")));
                }
            };
            Ok(map.get(key).unwrap_or_else(|| missing(map.map_type())))
        }
        Value::List(list) => {
            let position = position(key, list.len())?;
            Ok(list[position].clone())
        }
        Value::String(text) => {
            let position = position(key, text.len())?;
            Ok(Value::Int(i64::from(text.as_bytes()[position]), IntType::Uint8))
        }
        Value::Bytes(bytes) => {
            let position = position(key, bytes.len())?;
            Ok(Value::Int(i64::from(bytes[position]), IntType::Uint8))
        }
        other => Err(Failure::Message(format!("can't index item of type {}", type_name(other)))),
    }
}

/// Go's result for a missing key of a map: the zero of its values' type.
pub(crate) fn missing(map_type: MapType) -> Value {
    match map_type {
        MapType::Any | MapType::Values => Value::Nil,
        MapType::String => Value::from(""),
        MapType::Files => Value::Bytes([].into()),
    }
}

/// A place in a list of `length` items.
fn position(key: &Value, length: usize) -> Result<usize, Failure> {
    match key {
        Value::Int(index, _) => match usize::try_from(*index) {
            Ok(index) if index < length => Ok(index),
            _ => Err(Failure::Message(format!("index out of range: {index}"))),
        },
        Value::Nil => Err(Failure::message("cannot index slice/array with nil")),
        other => Err(Failure::Message(format!("cannot index slice/array with type {}", type_name(other)))),
    }
}

/// Part of a list, of the same type.
pub(super) fn part(list: &List, start: usize, end: usize) -> Value {
    Value::List(List::new(&list[start..end], list.list_type()))
}
