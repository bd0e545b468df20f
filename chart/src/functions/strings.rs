//! Template functions for texts (Sprig).
//! Take and give texts.

use std::sync::Arc;

use super::call::text;
use super::{Call, Failure, Function};
use crate::go::format::{display, sprintf};
use crate::go::quote::quote;
use crate::{List, ListType, Map, MapType, Value};

pub(super) const FUNCTIONS: &[Function] = &[
    Function::fixed("trim", 1, |call| call.give(call.string(0)?.trim())),
    Function::fixed("trimAll", 2, trim_all),
    Function::fixed("trimall", 2, trim_all),
    Function::fixed("trimPrefix", 2, |call| {
        let text = call.string(1)?;
        call.give(text.strip_prefix(call.string(0)?).unwrap_or(text))
    }),
    Function::fixed("trimSuffix", 2, |call| {
        let text = call.string(1)?;
        call.give(text.strip_suffix(call.string(0)?).unwrap_or(text))
    }),
    Function::fixed("upper", 1, |call| call.give(map_chars(call.string(0)?, upper))),
    Function::fixed("lower", 1, |call| call.give(map_chars(call.string(0)?, lower))),
    Function::fixed("contains", 2, |call| Ok(Value::Bool(call.string(1)?.contains(call.string(0)?)))),
    Function::fixed("hasPrefix", 2, |call| Ok(Value::Bool(call.string(1)?.starts_with(call.string(0)?)))),
    Function::fixed("hasSuffix", 2, |call| Ok(Value::Bool(call.string(1)?.ends_with(call.string(0)?)))),
    Function::fixed("trunc", 2, trunc),
    Function::fixed("substr", 3, substr),
    Function::fixed("repeat", 2, repeat),
    Function::fixed("replace", 3, replace),
    Function::fixed("indent", 2, |call| call.give(indented("", call)?)),
    Function::fixed("nindent", 2, |call| call.give(indented("\n", call)?)),
    Function::variadic("quote", 0, |call| joined(call, |value| Ok(quote(&text(value, call.budget())?)))),
    // Sprig prints these with %v, so bytes stay a list of numbers.
    Function::variadic("squote", 0, |call| {
        joined(call, |value| Ok(format!("'{}'", display(value, call.budget())?)))
    }),
    Function::variadic("cat", 0, cat),
    Function::fixed("join", 2, |call| {
        let parts = texts(call.value(1), call)?;
        call.give(parts.join(call.string(0)?))
    }),
    Function::fixed("split", 2, |call| numbered(call, call.string(1)?, call.string(0)?, -1)),
    Function::fixed("splitn", 3, |call| numbered(call, call.string(2)?, call.string(0)?, call.int(1)?)),
    Function::fixed("splitList", 2, |call| {
        let parts = split(call, call.string(1)?, call.string(0)?, -1)?;
        Ok(Value::strings(parts))
    }),
    Function::fixed("toString", 1, |call| call.give(call.text(0)?)),
    Function::fixed("toStrings", 1, |call| Ok(Value::strings(texts(call.value(0), call)?))),
    Function::fixed("sortAlpha", 1, |call| {
        let mut parts = match call.value(0) {
            list @ (Value::List(_) | Value::Bytes(_)) => texts(list, call)?,
            other => vec![text(other, call.budget())?.into()],
        };
        parts.sort();
        Ok(Value::strings(parts))
    }),
];

/// Go's change of case is character by character, so `ß` stays.
pub(super) fn map_chars(text: &str, change: fn(char) -> char) -> String {
    text.chars().map(change).collect()
}

pub(super) fn upper(c: char) -> char {
    let mut changed = c.to_uppercase();
    match (changed.next(), changed.next()) {
        (Some(single), None) => single,
        _ => c,
    }
}

pub(super) fn lower(c: char) -> char {
    let mut changed = c.to_lowercase();
    match (changed.next(), changed.next()) {
        (Some(single), None) => single,
        // The only one with two, whose second is a combining mark.
        (Some(single), _) => single,
        _ => c,
    }
}

fn trim_all(call: &Call<'_>) -> Result<Value, Failure> {
    let cutset = call.string(0)?;
    call.give(call.string(1)?.trim_matches(|c| cutset.contains(c)))
}

/// Cuts between bytes, as Go does; what is left of a character at the cut becomes `U+FFFD`.
fn bytes_to_text(bytes: &[u8]) -> String {
    String::from_utf8_lossy(bytes).into_owned()
}

fn trunc(call: &Call<'_>) -> Result<Value, Failure> {
    let (count, text) = (call.int(0)?, call.string(1)?);
    let kept = usize::try_from(count.unsigned_abs()).unwrap_or(usize::MAX);
    if kept >= text.len() {
        return Ok(call.value(1).clone());
    }
    let bytes = text.as_bytes();
    call.give(bytes_to_text(if count < 0 { &bytes[bytes.len() - kept..] } else { &bytes[..kept] }))
}

fn substr(call: &Call<'_>) -> Result<Value, Failure> {
    let (start, end, text) = (call.int(0)?, call.int(1)?, call.string(2)?);
    let length = text.len() as i64;
    let (start, end) = match (start, end) {
        (..0, end) => (0, end),
        (start, end) if end < 0 || end > length => (start, length),
        (start, end) => (start, end),
    };
    let range = usize::try_from(start).ok().zip(usize::try_from(end).ok());
    match range.and_then(|(start, end)| text.as_bytes().get(start..end)) {
        Some(part) => call.give(bytes_to_text(part)),
        None => Err(Failure::message("slice bounds out of range")),
    }
}

fn repeat(call: &Call<'_>) -> Result<Value, Failure> {
    let text = call.string(1)?;
    let Ok(count) = usize::try_from(call.int(0)?) else {
        return Err(Failure::message("strings: negative Repeat count"));
    };
    call.budget().bytes(text.len().saturating_mul(count))?;
    Ok(Value::string(text.repeat(count)))
}

fn replace(call: &Call<'_>) -> Result<Value, Failure> {
    let (old, new, text) = (call.string(0)?, call.string(1)?, call.string(2)?);
    if !old.is_empty() && !text.contains(old) {
        return Ok(call.value(2).clone());
    }
    let count = if old.is_empty() { text.chars().count() + 1 } else { text.matches(old).count() };
    call.budget().bytes(text.len().saturating_add(new.len().saturating_mul(count)))?;
    Ok(Value::string(text.replace(old, new)))
}

fn indented(start: &str, call: &Call<'_>) -> Result<String, Failure> {
    let text = call.string(1)?;
    let Ok(spaces) = usize::try_from(call.int(0)?) else {
        return Err(Failure::message("strings: negative Repeat count"));
    };
    let lines = text.matches('\n').count() + 1;
    // It is paid for in full when it is given; this stops what would not fit into memory.
    call.budget().bytes(lines.saturating_mul(spaces))?;
    let padding = " ".repeat(spaces);
    let mut out = String::with_capacity(start.len() + text.len() + lines * spaces);
    out.push_str(start);
    out.push_str(&padding);
    for (index, line) in text.split('\n').enumerate() {
        if index > 0 {
            out.push('\n');
            out.push_str(&padding);
        }
        out.push_str(line);
    }
    Ok(out)
}

/// The texts of all arguments but `nil`, with a space between them.
fn joined(call: &Call<'_>, write: impl Fn(&Value) -> Result<String, Failure>) -> Result<Value, Failure> {
    let values = call.rest(0).iter().filter(|value| !value.is_nil());
    let texts: Result<Vec<_>, _> = values.map(write).collect();
    call.give(texts?.join(" "))
}

fn cat(call: &Call<'_>) -> Result<Value, Failure> {
    let values: Vec<_> = call.rest(0).iter().filter(|value| !value.is_nil()).cloned().collect();
    let format = "%v ".repeat(values.len());
    Ok(Value::string(sprintf(format.trim_end(), &values, call.budget())?))
}

/// Sprig's `strslice`: every item but `nil` as a text; what is no list is a list of one.
pub(super) fn texts(value: &Value, call: &Call<'_>) -> Result<Vec<Arc<str>>, Failure> {
    match value {
        Value::Nil => Ok(Vec::new()),
        Value::List(_) | Value::Bytes(_) => {
            let items = super::call::items(value, "join")?;
            call.budget().values(items.len())?;
            let items = items.iter().filter(|item| !item.is_nil());
            items
                .map(|item| match item {
                    Value::String(text) => Ok(Arc::clone(text)),
                    other => Ok(text(other, call.budget())?.into()),
                })
                .collect()
        }
        other => Ok(vec![text(other, call.budget())?.into()]),
    }
}

/// `strings.SplitN`: an empty separator parts all characters; a negative count means all parts.
fn split<'t>(call: &Call<'_>, text: &'t str, separator: &str, count: i64) -> Result<Vec<&'t str>, Failure> {
    let parts = if separator.is_empty() { text.len() } else { text.matches(separator).count() + 1 };
    call.budget().values(parts)?;
    let most = match count {
        0 => return Ok(Vec::new()),
        ..0 => usize::MAX,
        count => usize::try_from(count).unwrap_or(usize::MAX),
    };
    if !separator.is_empty() {
        return Ok(text.splitn(most, separator).collect());
    }
    let mut parts = Vec::new();
    let mut rest = text;
    while let Some(c) = rest.chars().next() {
        if parts.len() + 1 == most {
            break;
        }
        let (first, tail) = rest.split_at(c.len_utf8());
        parts.push(first);
        rest = tail;
    }
    if !rest.is_empty() {
        parts.push(rest);
    }
    Ok(parts)
}

/// A map of the parts under `_0`, `_1` and so on.
fn numbered(call: &Call<'_>, text: &str, separator: &str, count: i64) -> Result<Value, Failure> {
    call.budget().maps(1)?;
    let map = Map::with_type(MapType::String);
    for (index, part) in split(call, text, separator, count)?.into_iter().enumerate() {
        map.insert(format!("_{index}"), Value::from(part));
    }
    Ok(Value::Map(map))
}

/// A `[]string` of what a regular expression found; nothing found is no list at all.
pub(super) fn string_list(parts: Vec<&str>) -> Value {
    if parts.is_empty() {
        return Value::List(List::nil(ListType::String));
    }
    let parts: Vec<Value> = parts.into_iter().map(Value::from).collect();
    Value::List(List::new(parts, ListType::String))
}
