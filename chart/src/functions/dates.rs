//! Template functions for dates (Sprig).
//! Take times and layouts; give texts. `now` is always the same moment.

use super::call::wrong_type;
use super::{Call, Failure, Function};
use crate::go::duration::{format_duration, parse_duration};
use crate::go::time::Time;
use crate::{IntType, Value};

pub(super) const FUNCTIONS: &[Function] = &[
    Function::fixed("now", 0, |_| Ok(Value::Time(Time::NOW))),
    Function::fixed("date", 2, |call| call.give(moment(call.value(1)).format(call.string(0)?))),
    Function::fixed("dateInZone", 3, date_in_zone),
    Function::fixed("date_in_zone", 3, date_in_zone),
    Function::fixed("htmlDate", 1, |call| call.give(moment(call.value(0)).format("2006-01-02"))),
    Function::fixed("htmlDateInZone", 2, |call| {
        call.string(1)?;
        call.give(moment(call.value(0)).format("2006-01-02"))
    }),
    Function::fixed("dateModify", 2, date_modify),
    Function::fixed("date_modify", 2, date_modify),
    Function::fixed("mustDateModify", 2, must_date_modify),
    Function::fixed("must_date_modify", 2, must_date_modify),
    Function::fixed("toDate", 2, |call| {
        let time = Time::parse(call.string(0)?, call.string(1)?);
        Ok(Value::Time(time.unwrap_or_else(Time::zero)))
    }),
    Function::fixed("mustToDate", 2, |call| match Time::parse(call.string(0)?, call.string(1)?) {
        Some(time) => Ok(Value::Time(time)),
        None => Err(Failure::Message(format!(
            "parsing time {:?} as {:?}: cannot parse it",
            call.string(1)?,
            call.string(0)?
        ))),
    }),
    Function::fixed("unixEpoch", 1, |call| call.give(time(call, 0)?.unix().to_string())),
    Function::fixed("ago", 1, |call| {
        let nanoseconds = Time::NOW.unix_nanoseconds() - moment(call.value(0)).unix_nanoseconds();
        let seconds = (nanoseconds + 500_000_000).div_euclid(1_000_000_000);
        call.give(format_duration(saturated(seconds * 1_000_000_000)))
    }),
    Function::fixed("duration", 1, |call| {
        let seconds = match call.value(0) {
            Value::String(text) => text.parse().unwrap_or(0),
            Value::Int(seconds, IntType::Int64) => *seconds,
            _ => 0,
        };
        call.give(format_duration(seconds.wrapping_mul(1_000_000_000)))
    }),
    Function::fixed("durationRound", 1, duration_round),
];

/// A date as Sprig takes it: a time, or a number of seconds since 1970; all else is now.
fn moment(value: &Value) -> Time {
    match value {
        Value::Time(time) => time.in_utc(),
        Value::Int(seconds, IntType::Int | IntType::Int32 | IntType::Int64) => {
            Time::from_unix(*seconds).unwrap_or_else(Time::zero)
        }
        _ => Time::NOW,
    }
}

/// Every zone is UTC: there is no database of zones here, and Go takes UTC for those it does not know.
fn date_in_zone(call: &Call<'_>) -> Result<Value, Failure> {
    call.string(2)?;
    call.give(moment(call.value(1)).format(call.string(0)?))
}

fn time(call: &Call<'_>, index: usize) -> Result<Time, Failure> {
    match call.value(index) {
        Value::Time(time) => Ok(*time),
        other => Err(wrong_type(index, "time.Time", other)),
    }
}

fn date_modify(call: &Call<'_>) -> Result<Value, Failure> {
    let time = time(call, 1)?;
    let moved = parse_duration(call.string(0)?).and_then(|duration| time.add(duration));
    Ok(Value::Time(moved.unwrap_or(time)))
}

fn must_date_modify(call: &Call<'_>) -> Result<Value, Failure> {
    let (duration, time) = (call.string(0)?, time(call, 1)?);
    match parse_duration(duration).and_then(|duration| time.add(duration)) {
        Some(time) => Ok(Value::Time(time)),
        None => Err(Failure::Message(format!("time: invalid duration {duration:?}"))),
    }
}

fn saturated(nanoseconds: i128) -> i64 {
    i64::try_from(nanoseconds).unwrap_or(if nanoseconds < 0 { i64::MIN } else { i64::MAX })
}

/// The largest unit only: `2h10m` is `2h`.
fn duration_round(call: &Call<'_>) -> Result<Value, Failure> {
    const HOUR: u64 = 3_600_000_000_000;
    const UNITS: [(u64, &str); 6] = [
        (365 * 24 * HOUR, "y"),
        (30 * 24 * HOUR, "mo"),
        (24 * HOUR, "d"),
        (HOUR, "h"),
        (HOUR / 60, "m"),
        (HOUR / 3600, "s"),
    ];
    let nanoseconds = match call.value(0) {
        Value::String(text) => parse_duration(text).unwrap_or(0),
        Value::Int(nanoseconds, IntType::Int64) => *nanoseconds,
        Value::Time(time) => saturated(Time::NOW.unix_nanoseconds() - time.unix_nanoseconds()),
        _ => 0,
    };
    let size = nanoseconds.unsigned_abs();
    let unit = UNITS.iter().find(|(unit, _)| size > *unit);
    call.give(unit.map_or_else(|| "0s".to_owned(), |(unit, name)| format!("{}{name}", size / unit)))
}
