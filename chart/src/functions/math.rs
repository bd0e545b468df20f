//! Template functions for numbers (Sprig).
//! Take numbers as loosely as `spf13/cast`; give `int64` or `float64`.

use super::decimal::Decimal;
use super::{Call, Failure, Function};
use crate::go::format::display;
use crate::go::{float, integer};
use crate::{List, ListType, Value};

pub(super) const FUNCTIONS: &[Function] = &[
    Function::fixed("atoi", 1, |call| {
        // Like Go's, it takes what a sign and decimal digits make, and 0 for all else.
        Ok(Value::int(call.string(0)?.parse().unwrap_or(0)))
    }),
    Function::fixed("int", 1, |call| Ok(Value::int(to_int(call.value(0))))),
    Function::fixed("int64", 1, |call| Ok(Value::int64(to_int(call.value(0))))),
    Function::fixed("float64", 1, |call| Ok(Value::Float(to_float(call.value(0))))),
    Function::fixed("toDecimal", 1, |call| {
        let text = display(call.value(0), call.budget())?;
        Ok(Value::int64(integer::parse_base(&text, 8).unwrap_or(0)))
    }),
    Function::fixed("add1", 1, |call| Ok(Value::int64(to_int(call.value(0)).wrapping_add(1)))),
    Function::variadic("add", 0, |call| Ok(Value::int64(ints(call).fold(0, i64::wrapping_add)))),
    Function::fixed("sub", 2, |call| {
        Ok(Value::int64(to_int(call.value(0)).wrapping_sub(to_int(call.value(1)))))
    }),
    Function::fixed("div", 2, |call| divided(call, i64::wrapping_div)),
    Function::fixed("mod", 2, |call| divided(call, i64::wrapping_rem)),
    Function::variadic("mul", 1, |call| Ok(Value::int64(ints(call).fold(1, i64::wrapping_mul)))),
    Function::variadic("max", 1, |call| Ok(Value::int64(ints(call).max().unwrap_or(0)))),
    Function::variadic("biggest", 1, |call| Ok(Value::int64(ints(call).max().unwrap_or(0)))),
    Function::variadic("min", 1, |call| Ok(Value::int64(ints(call).min().unwrap_or(0)))),
    Function::variadic("maxf", 1, |call| Ok(Value::Float(floats(call).reduce(f64::max).unwrap_or(0.0)))),
    Function::variadic("minf", 1, |call| Ok(Value::Float(floats(call).reduce(f64::min).unwrap_or(0.0)))),
    Function::fixed("add1f", 1, |call| {
        let sum = Decimal::from(to_float(call.value(0))).add(&Decimal::from(1.0));
        Ok(Value::Float(sum.to_float()))
    }),
    Function::variadic("addf", 0, |call| {
        let sum = floats(call).fold(Decimal::from(0.0), |sum, value| sum.add(&Decimal::from(value)));
        Ok(Value::Float(sum.to_float()))
    }),
    Function::variadic("subf", 1, |call| decimals(call, |left, right| Some(left.subtract(right)))),
    Function::variadic("mulf", 1, |call| decimals(call, |left, right| Some(left.multiply(right)))),
    Function::variadic("divf", 1, |call| decimals(call, Decimal::divide)),
    Function::fixed("floor", 1, |call| Ok(Value::Float(to_float(call.value(0)).floor()))),
    Function::fixed("ceil", 1, |call| Ok(Value::Float(to_float(call.value(0)).ceil()))),
    Function::variadic("round", 2, round),
    Function::fixed("until", 1, |call| {
        let count = call.int(0)?;
        int_list(steps(call, 0, count, if count < 0 { -1 } else { 1 })?)
    }),
    Function::fixed("untilStep", 3, |call| int_list(steps(call, call.int(0)?, call.int(1)?, call.int(2)?)?)),
    Function::variadic("seq", 0, seq),
    // The least of what it could give.
    Function::fixed("randInt", 2, |call| {
        let (min, max) = (call.int(0)?, call.int(1)?);
        if max <= min {
            return Err(Failure::message("invalid argument to Intn"));
        }
        Ok(Value::int(min))
    }),
];

/// Sprig's `toInt64`: what is no number is 0, and a text with a leading zero is octal.
pub(super) fn to_int(value: &Value) -> i64 {
    match value {
        Value::Int(value, _) => *value,
        // Go's conversion has no meaning for what does not fit; this is what amd64 gives.
        Value::Float(value) if value.is_finite() && value.abs() < 9.223_372_036_854_775e18 => *value as i64,
        Value::Float(_) => i64::MIN,
        Value::Bool(value) => i64::from(*value),
        Value::String(text) => integer::parse_any_base(without_zero_decimals(text)).unwrap_or(0),
        _ => 0,
    }
}

/// `1.00` is `1`, but `1.50` stays.
fn without_zero_decimals(text: &str) -> &str {
    match text.trim_end_matches('0').strip_suffix('.') {
        Some(whole) if text.len() > whole.len() + 1 => whole,
        _ => text,
    }
}

pub(super) fn to_float(value: &Value) -> f64 {
    match value {
        Value::Int(value, _) => *value as f64,
        Value::Float(value) => *value,
        Value::Bool(value) => f64::from(u8::from(*value)),
        Value::String(text) => float::parse_float(text).unwrap_or(0.0),
        _ => 0.0,
    }
}

fn ints<'a>(call: &Call<'a>) -> impl Iterator<Item = i64> + use<'a> {
    call.rest(0).iter().map(to_int)
}

fn floats<'a>(call: &Call<'a>) -> impl Iterator<Item = f64> + use<'a> {
    call.rest(0).iter().map(to_float)
}

fn divided(call: &Call<'_>, divide: fn(i64, i64) -> i64) -> Result<Value, Failure> {
    match to_int(call.value(1)) {
        0 => Err(Failure::message("runtime error: integer divide by zero")),
        divisor => Ok(Value::int64(divide(to_int(call.value(0)), divisor))),
    }
}

/// Computes with decimal numbers from left to right, so that 0.1 and 0.2 are 0.3.
fn decimals(call: &Call<'_>, compute: fn(&Decimal, &Decimal) -> Option<Decimal>) -> Result<Value, Failure> {
    let mut result = Decimal::from(to_float(call.value(0)));
    for value in call.rest(1) {
        let operand = Decimal::from(to_float(value));
        result = compute(&result, &operand).ok_or_else(|| Failure::message("decimal division by 0"))?;
    }
    Ok(Value::Float(result.to_float()))
}

fn round(call: &Call<'_>) -> Result<Value, Failure> {
    let (value, places) = (to_float(call.value(0)), call.int(1)?);
    let round_on = if call.count() > 2 { call.float(2)? } else { 0.5 };
    let scale = 10f64.powi(i32::try_from(places.clamp(-400, 400)).unwrap_or(0));
    let scaled = scale * value;
    let rounded = if scaled.fract() >= round_on { scaled.ceil() } else { scaled.floor() };
    Ok(Value::Float(rounded / scale))
}

fn steps(call: &Call<'_>, start: i64, stop: i64, step: i64) -> Result<Vec<i64>, Failure> {
    let mut values = Vec::new();
    let mut next = start;
    while if stop < start { step < 0 && next > stop } else { step > 0 && next < stop } {
        call.budget().values(1)?;
        values.push(next);
        match next.checked_add(step) {
            Some(after) => next = after,
            None => break,
        }
    }
    Ok(values)
}

fn int_list(values: Vec<i64>) -> Result<Value, Failure> {
    let values: Vec<_> = values.into_iter().map(Value::int).collect();
    Ok(Value::List(List::new(values, ListType::Int)))
}

/// Like the shell's: `seq 5`, `seq 2 5` or `seq 0 2 10`, with the last one included.
fn seq(call: &Call<'_>) -> Result<Value, Failure> {
    let direction = |start, end| if end < start { -1 } else { 1 };
    let (start, step, end) = match call.count() {
        1 => (1, direction(1, call.int(0)?), call.int(0)?),
        2 => (call.int(0)?, direction(call.int(0)?, call.int(1)?), call.int(1)?),
        3 => (call.int(0)?, call.int(1)?, call.int(2)?),
        _ => return Ok(Value::from("")),
    };
    if call.count() == 3 && end < start && step > 0 {
        return Ok(Value::from(""));
    }
    let values = steps(call, start, end.saturating_add(direction(start, end)), step)?;
    let values: Vec<_> = values.iter().map(i64::to_string).collect();
    call.give(values.join(" "))
}
