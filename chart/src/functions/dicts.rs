//! Template functions for maps (Sprig).
//! Take and give maps as Go's `map[string]interface {}`; `set` changes its argument.

use std::sync::Arc;

use super::call::text;
use super::{Call, Failure, Function};
use crate::go::types::{is_true, kind, type_name};
use crate::limits::{Budget, Limit};
use crate::{List, Map, MapType, Value};

pub(super) const FUNCTIONS: &[Function] = &[
    Function::variadic("dict", 0, dict),
    Function::fixed("get", 2, |call| {
        Ok(call.map(0)?.get(call.string(1)?).unwrap_or_else(|| Value::from("")))
    }),
    Function::fixed("set", 3, |call| {
        if call.value(0).is_nil() {
            return Err(Failure::message("assignment to entry in nil map"));
        }
        let map = call.map(0)?;
        call.budget().values(1)?;
        map.insert(call.string(1)?, call.value(2).clone());
        Ok(Value::Map(map))
    }),
    Function::fixed("unset", 2, |call| {
        let map = call.map(0)?;
        map.remove(call.string(1)?);
        Ok(Value::Map(map))
    }),
    Function::fixed("hasKey", 2, |call| Ok(Value::Bool(call.map(0)?.contains(call.string(1)?)))),
    Function::variadic("pluck", 1, |call| {
        let key = call.string(0)?;
        let mut found = Vec::new();
        for index in 1..call.count() {
            found.extend(call.map(index)?.get(key));
        }
        Ok(Value::list(found))
    }),
    // In no order in Go; an order is one of those that it could be.
    Function::variadic("keys", 0, |call| {
        let mut keys: Vec<Arc<str>> = Vec::new();
        for index in 0..call.count() {
            keys.append(&mut call.map(index)?.keys());
        }
        call.budget().values(keys.len())?;
        Ok(Value::strings(keys))
    }),
    Function::fixed("values", 1, |call| {
        let entries = call.map(0)?.entries();
        call.budget().values(entries.len())?;
        Ok(Value::list(entries.into_iter().map(|(_, value)| value).collect::<Vec<_>>()))
    }),
    Function::variadic("pick", 1, |call| {
        call.budget().maps(1)?;
        let (from, picked) = (call.map(0)?, Map::new());
        for index in 1..call.count() {
            let key = call.string(index)?;
            if let Some(value) = from.get(key) {
                picked.insert(key, value);
            }
        }
        Ok(Value::Map(picked))
    }),
    Function::variadic("omit", 1, |call| {
        let entries = call.map(0)?.entries();
        call.budget().maps(1)?;
        call.budget().values(entries.len())?;
        let kept = Map::from_iter(entries);
        for index in 1..call.count() {
            kept.remove(call.string(index)?);
        }
        Ok(Value::Map(kept))
    }),
    Function::variadic("merge", 1, |call| merge(call, Precedence::Destination)),
    Function::variadic("mustMerge", 1, |call| merge(call, Precedence::Destination)),
    Function::variadic("mergeOverwrite", 1, |call| merge(call, Precedence::Source)),
    Function::variadic("mustMergeOverwrite", 1, |call| merge(call, Precedence::Source)),
    Function::fixed("deepCopy", 1, deep_copy),
    Function::fixed("mustDeepCopy", 1, deep_copy),
    Function::variadic("dig", 0, dig),
];

fn dict(call: &Call<'_>) -> Result<Value, Failure> {
    call.budget().maps(1)?;
    call.budget().values(call.count())?;
    let map = Map::new();
    for pair in call.rest(0).chunks(2) {
        let key: Arc<str> = match &pair[0] {
            Value::String(key) => Arc::clone(key),
            other => text(other, call.budget())?.into(),
        };
        map.insert(key, pair.get(1).cloned().unwrap_or_else(|| Value::from("")));
    }
    Ok(Value::Map(map))
}

/// Which of two values stays where both maps have one.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Precedence {
    Destination,
    Source,
}

/// Merges every further map into the first, which is changed, and the maps inside it too.
fn merge(call: &Call<'_>, precedence: Precedence) -> Result<Value, Failure> {
    let destination = call.map(0)?;
    for index in 1..call.count() {
        merge_into(&destination, &call.map(index)?, precedence, call.budget(), 0)?;
    }
    Ok(Value::Map(destination))
}

/// Merges as mergo does. A value that is the zero of its type, `false` and `0` too, is replaced in either
/// case.
fn merge_into(
    destination: &Map,
    source: &Map,
    precedence: Precedence,
    budget: &Budget,
    depth: usize,
) -> Result<(), Limit> {
    let depth = budget.descend(depth)?;
    for (key, value) in source.entries() {
        budget.values(1)?;
        let overwrites = precedence == Precedence::Source;
        if value.is_nil() {
            if overwrites {
                destination.insert(key, Value::Nil);
            }
            continue;
        }
        let old = destination.get(&key).unwrap_or_default();
        match (&old, &value) {
            (Value::Map(old), Value::Map(value)) => {
                // An empty map takes the other's entries, but stays the map that it is.
                merge_into(old, value, precedence, budget, depth)?;
                if !old.is_empty() {
                    continue;
                }
            }
            (old, Value::List(_)) if is_true(old) => {
                if overwrites {
                    destination.insert(key, value);
                }
                continue;
            }
            _ => {}
        }
        if overwrites || !is_true(&old) {
            destination.insert(key, value);
        }
    }
    Ok(())
}

fn deep_copy(call: &Call<'_>) -> Result<Value, Failure> {
    Ok(copied(call.value(0), call.budget(), 0)?)
}

fn copied(value: &Value, budget: &Budget, depth: usize) -> Result<Value, Limit> {
    let depth = budget.descend(depth)?;
    Ok(match value {
        Value::List(list) => {
            budget.values(list.len())?;
            let items: Result<Vec<_>, _> = list.iter().map(|item| copied(item, budget, depth)).collect();
            Value::List(List::new(items?, list.list_type()))
        }
        Value::Map(map) => {
            budget.maps(1)?;
            budget.values(map.len())?;
            let copy = Map::with_type(map.map_type());
            for (key, value) in map.entries() {
                copy.insert(key, copied(&value, budget, depth)?);
            }
            Value::Map(copy)
        }
        other => other.clone(),
    })
}

/// `dig "a" "b" default map`: the value at `map.a.b`, or the default if a key is missing.
fn dig(call: &Call<'_>) -> Result<Value, Failure> {
    let [keys @ .., default, value] = call.rest(0) else {
        return Err(Failure::message("dig needs at least three arguments"));
    };
    if keys.is_empty() {
        return Err(Failure::message("dig needs at least three arguments"));
    }
    let mut value = value.clone();
    for key in keys {
        // Go asserts the type here: `chartutil.Values` is another one.
        let Value::Map(map) = &value else { return Err(no_map(&value)) };
        if map.map_type() != MapType::Any {
            return Err(no_map(&value));
        }
        let Value::String(key) = key else {
            let found = type_name(key);
            return Err(Failure::Message(format!(
                "interface conversion: interface {{}} is {found}, not string"
            )));
        };
        match map.get(key) {
            Some(next) => value = next,
            None => return Ok(default.clone()),
        }
    }
    Ok(value)
}

fn no_map(value: &Value) -> Failure {
    let found = match kind(value) {
        "invalid" => "nil".into(),
        _ => type_name(value),
    };
    Failure::Message(format!(
        "interface conversion: interface {{}} is {found}, not map[string]interface {{}}"
    ))
}
