//! Template functions for types (Sprig).
//! Take values; give Go's names of their kinds and types.

use super::Function;
use crate::Value;
use crate::go::types::{deep_equal, kind, type_name};

pub(super) const FUNCTIONS: &[Function] = &[
    Function::fixed("typeOf", 1, |call| call.give(type_name(call.value(0)))),
    Function::fixed("typeIs", 2, |call| Ok(Value::Bool(type_name(call.value(1)) == call.string(0)?))),
    Function::fixed("typeIsLike", 2, |call| {
        let found = type_name(call.value(1));
        Ok(Value::Bool(
            found.strip_prefix('*').unwrap_or(&found) == call.string(0)? || found == call.string(0)?,
        ))
    }),
    Function::fixed("kindOf", 1, |call| call.give(kind(call.value(0)))),
    Function::fixed("kindIs", 2, |call| Ok(Value::Bool(kind(call.value(1)) == call.string(0)?))),
    Function::fixed("deepEqual", 2, |call| {
        Ok(Value::Bool(deep_equal(call.value(0), call.value(1), call.budget(), 0)?))
    }),
];
