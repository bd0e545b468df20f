//! Template functions for lists (Sprig).
//! Take and give lists as Go's `[]interface {}`.

use std::borrow::Cow;

use super::compare::part;
use super::math::to_int;
use super::{Call, Failure, Function};
use crate::go::types::{deep_equal, is_true, kind};
use crate::{List, ListType, Value};

pub(super) const FUNCTIONS: &[Function] = &[
    Function::variadic("list", 0, list),
    Function::variadic("tuple", 0, list),
    Function::fixed("append", 2, append),
    Function::fixed("push", 2, append),
    Function::fixed("mustAppend", 2, append),
    Function::fixed("mustPush", 2, append),
    Function::fixed("prepend", 2, prepend),
    Function::fixed("mustPrepend", 2, prepend),
    Function::fixed("first", 1, first),
    Function::fixed("mustFirst", 1, first),
    Function::fixed("last", 1, last),
    Function::fixed("mustLast", 1, last),
    Function::fixed("rest", 1, rest),
    Function::fixed("mustRest", 1, rest),
    Function::fixed("initial", 1, initial),
    Function::fixed("mustInitial", 1, initial),
    Function::fixed("reverse", 1, reverse),
    Function::fixed("mustReverse", 1, reverse),
    Function::fixed("uniq", 1, uniq),
    Function::fixed("mustUniq", 1, uniq),
    Function::variadic("without", 1, without),
    Function::variadic("mustWithout", 1, without),
    Function::fixed("has", 2, has),
    Function::fixed("mustHas", 2, has),
    Function::variadic("slice", 1, slice),
    Function::variadic("mustSlice", 1, slice),
    Function::variadic("concat", 0, concat),
    Function::fixed("compact", 1, compact),
    Function::fixed("mustCompact", 1, compact),
    Function::fixed("chunk", 2, chunk),
    Function::fixed("mustChunk", 2, chunk),
];

fn list(call: &Call<'_>) -> Result<Value, Failure> {
    call.budget().values(call.count())?;
    Ok(Value::list(call.rest(0)))
}

fn append(call: &Call<'_>) -> Result<Value, Failure> {
    let mut items = call.items(0, "push on")?.into_owned();
    items.push(call.value(1).clone());
    Ok(Value::list(items))
}

fn prepend(call: &Call<'_>) -> Result<Value, Failure> {
    let items = call.items(0, "prepend on")?;
    let all: Vec<_> = std::iter::once(call.value(1).clone()).chain(items.iter().cloned()).collect();
    Ok(Value::list(all))
}

fn first(call: &Call<'_>) -> Result<Value, Failure> {
    Ok(call.items(0, "find first on")?.first().cloned().unwrap_or_default())
}

fn last(call: &Call<'_>) -> Result<Value, Failure> {
    Ok(call.items(0, "find last on")?.last().cloned().unwrap_or_default())
}

fn rest(call: &Call<'_>) -> Result<Value, Failure> {
    let items = call.items(0, "find rest on")?;
    Ok(items.get(1..).map_or_else(no_list, Value::list))
}

fn initial(call: &Call<'_>) -> Result<Value, Failure> {
    let items = call.items(0, "find initial on")?;
    Ok(items.split_last().map_or_else(no_list, |(_, items)| Value::list(items)))
}

fn reverse(call: &Call<'_>) -> Result<Value, Failure> {
    let items = call.items(0, "find reverse on")?;
    Ok(Value::list(items.iter().rev().cloned().collect::<Vec<_>>()))
}

fn holds(call: &Call<'_>, list: &[Value], value: &Value) -> Result<bool, Failure> {
    for item in list {
        if deep_equal(value, item, call.budget(), 0)? {
            return Ok(true);
        }
    }
    Ok(false)
}

fn uniq(call: &Call<'_>) -> Result<Value, Failure> {
    let mut kept = Vec::new();
    for item in call.items(0, "find uniq on")?.iter() {
        if !holds(call, &kept, item)? {
            kept.push(item.clone());
        }
    }
    Ok(Value::list(kept))
}

fn without(call: &Call<'_>) -> Result<Value, Failure> {
    let mut kept = Vec::new();
    for item in call.items(0, "find without on")?.iter() {
        if !holds(call, call.rest(1), item)? {
            kept.push(item.clone());
        }
    }
    Ok(Value::list(kept))
}

fn has(call: &Call<'_>) -> Result<Value, Failure> {
    if call.value(1).is_nil() {
        return Ok(Value::Bool(false));
    }
    let items = call.items(1, "find has on")?;
    Ok(Value::Bool(holds(call, &items, call.value(0))?))
}

/// Sprig's `slice`, which replaces Go's: for lists only, and with places of any type.
fn slice(call: &Call<'_>) -> Result<Value, Failure> {
    let Value::List(list) = call.value(0) else {
        let kind = kind(call.value(0));
        return Err(Failure::Message(format!("list should be type of slice or array but {kind}")));
    };
    if list.is_empty() {
        return Ok(Value::Nil);
    }
    let start = if call.count() > 1 { to_int(call.value(1)) } else { 0 };
    let end = if call.count() > 2 { to_int(call.value(2)) } else { list.len() as i64 };
    match (usize::try_from(start), usize::try_from(end)) {
        (Ok(start), Ok(end)) if start <= end && end <= list.len() => Ok(part(list, start, end)),
        _ => Err(Failure::message("reflect.Value.Slice: slice index out of bounds")),
    }
}

fn concat(call: &Call<'_>) -> Result<Value, Failure> {
    let mut all = Vec::new();
    for index in 0..call.count() {
        let items = match call.value(index) {
            Value::List(_) | Value::Bytes(_) => call.items(index, "concat")?,
            Value::Nil => return Err(Failure::message("nil is not a list")),
            other => {
                return Err(Failure::Message(format!("Cannot concat type {} as list", kind(other))));
            }
        };
        all.extend(Cow::into_owned(items));
    }
    Ok(if all.is_empty() { no_list() } else { Value::list(all) })
}

/// Sprig's result where it makes no list.
fn no_list() -> Value {
    Value::List(List::nil(ListType::Any))
}

fn compact(call: &Call<'_>) -> Result<Value, Failure> {
    let items = call.items(0, "compact on")?;
    Ok(Value::list(items.iter().filter(|item| is_true(item)).cloned().collect::<Vec<_>>()))
}

fn chunk(call: &Call<'_>) -> Result<Value, Failure> {
    let items = call.items(1, "chunk")?;
    let Some(size) = usize::try_from(call.int(0)?).ok().filter(|size| *size > 0) else {
        return Err(Failure::message("runtime error: makeslice: len out of range"));
    };
    let chunks: Vec<_> = items.chunks(size).map(Value::list).collect();
    Ok(Value::List(List::new(chunks, ListType::Lists)))
}
