//! Template functions for empty values: `default`, `coalesce`, `ternary` (Sprig).
//! Take values; give one of them.

use super::{Call, Failure, Function};
use crate::Value;
use crate::go::types::is_true;

pub(super) const FUNCTIONS: &[Function] = &[
    // The value to fall back to comes first, so that a pipeline can end in it.
    Function::variadic("default", 1, |call| match call.rest(1).first() {
        Some(given) if is_true(given) => Ok(given.clone()),
        _ => Ok(call.value(0).clone()),
    }),
    Function::fixed("empty", 1, |call| Ok(Value::Bool(!is_true(call.value(0))))),
    Function::variadic("coalesce", 0, |call| {
        Ok(call.rest(0).iter().find(|value| is_true(value)).cloned().unwrap_or_default())
    }),
    Function::variadic("all", 0, |call| Ok(Value::Bool(call.rest(0).iter().all(is_true)))),
    Function::variadic("any", 0, |call| Ok(Value::Bool(call.rest(0).iter().any(is_true)))),
    Function::fixed("ternary", 3, ternary),
];

fn ternary(call: &Call<'_>) -> Result<Value, Failure> {
    let chosen = if call.bool(2)? { 0 } else { 1 };
    Ok(call.value(chosen).clone())
}
