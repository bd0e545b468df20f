//! Methods of Go values: `.Files.Get`, `.Capabilities.APIVersions.Has`.
//! Takes a receiver and a name; gives the function, if the type has one.

use super::call::wrong_type;
use super::files;
use super::{Call, Failure, Function};
use crate::go::time::{Time, month_name, weekday_name};
use crate::template::trace;
use crate::yaml::encode_yaml;
use crate::{IntType, ListType, Map, MapType, Value, Version};

/// The method of a value's type, if it has one with this name. The receiver is its first argument.
pub(crate) fn method(receiver: &Value, name: &str) -> Option<&'static Function> {
    let methods = match receiver {
        Value::Map(map) => match map.map_type() {
            MapType::Values => VALUES,
            MapType::Files => FILES,
            MapType::Any | MapType::String => return None,
        },
        Value::List(list) if list.list_type() == ListType::VersionSet => VERSION_SET,
        Value::Struct(fields) if fields.type_name == KUBE_VERSION => KUBE_VERSION_METHODS,
        Value::Time(_) => TIME,
        Value::Version(_) => VERSION,
        _ => return None,
    };
    methods.iter().find(|method| method.name == name)
}

/// Go's name of the type of `.Capabilities.KubeVersion`.
pub(crate) const KUBE_VERSION: &str = "chartutil.KubeVersion";

const VALUES: &[Function] = &[
    Function::fixed("AsMap", 1, |call| Ok(Value::Map(call.map(0)?))),
    Function::fixed("YAML", 1, |call| {
        Ok(Value::from(encode_yaml(&Value::Map(call.map(0)?), call.budget())?))
    }),
    Function::fixed("Table", 2, |call| {
        let table = call.string(1)?.split('.').try_fold(call.map(0)?, |table, name| match table.get(name) {
            Some(Value::Map(table)) => Ok(table),
            _ => Err(Failure::Message(format!("{name:?} is not a table"))),
        });
        Ok(Value::Map(table?.as_type(MapType::Values)))
    }),
    Function::fixed("PathValue", 2, |call| {
        let path = call.string(1)?;
        if path.is_empty() {
            return Err(Failure::message("YAML path cannot be empty"));
        }
        let (tables, key) = path.rsplit_once('.').map_or(("", path), |(tables, key)| (tables, key));
        let mut names = tables.split('.').filter(|name| !name.is_empty());
        let table = names.try_fold(call.map(0)?, |table: Map, name| match table.get(name) {
            Some(Value::Map(table)) => Some(table),
            _ => None,
        });
        match table.and_then(|table| table.get(key)) {
            Some(value) if value.as_map().is_none() => Ok(value),
            _ => Err(Failure::Message(format!("{key:?} is not a value"))),
        }
    }),
];

const FILES: &[Function] = &[
    Function::fixed("Get", 2, files::get),
    Function::fixed("GetBytes", 2, files::get_bytes),
    Function::fixed("Glob", 2, files::glob),
    Function::fixed("AsConfig", 1, files::as_config),
    Function::fixed("AsSecrets", 1, files::as_secrets),
    Function::fixed("Lines", 2, files::lines),
];

const VERSION_SET: &[Function] = &[Function::fixed("Has", 2, |call| {
    let wanted = call.string(1)?;
    let list = call.items(0, "look into")?;
    let has = list.iter().any(|item| item.as_str() == Some(wanted));
    if !has {
        trace::lacked_api(wanted);
    }
    Ok(Value::Bool(has))
})];

const KUBE_VERSION_METHODS: &[Function] =
    &[Function::fixed("String", 1, kube_version), Function::fixed("GitVersion", 1, kube_version)];

fn kube_version(call: &Call<'_>) -> Result<Value, Failure> {
    match call.value(0) {
        Value::Struct(fields) => Ok(fields.field("Version").cloned().unwrap_or_default()),
        _ => Ok(Value::Nil),
    }
}

const TIME: &[Function] = &[
    Function::fixed("Format", 2, |call| call.give(time(call, 0)?.format(call.string(1)?))),
    Function::fixed("String", 1, |call| call.give(time(call, 0)?.to_string())),
    Function::fixed("Unix", 1, |call| Ok(Value::int64(time(call, 0)?.unix()))),
    Function::fixed("UnixMilli", 1, |call| fraction(call, 1_000_000)),
    Function::fixed("UnixMicro", 1, |call| fraction(call, 1_000)),
    Function::fixed("UnixNano", 1, |call| fraction(call, 1)),
    Function::fixed("Year", 1, |call| Ok(Value::int(time(call, 0)?.civil().year().into()))),
    Function::fixed("Month", 1, |call| call.give(month_name(time(call, 0)?.civil().month()))),
    Function::fixed("Day", 1, |call| Ok(Value::int(time(call, 0)?.civil().day().into()))),
    Function::fixed("Hour", 1, |call| Ok(Value::int(time(call, 0)?.civil().hour().into()))),
    Function::fixed("Minute", 1, |call| Ok(Value::int(time(call, 0)?.civil().minute().into()))),
    Function::fixed("Second", 1, |call| Ok(Value::int(time(call, 0)?.civil().second().into()))),
    Function::fixed("Nanosecond", 1, |call| {
        Ok(Value::int(time(call, 0)?.civil().subsec_nanosecond().into()))
    }),
    Function::fixed("YearDay", 1, |call| Ok(Value::int(time(call, 0)?.civil().day_of_year().into()))),
    Function::fixed("Weekday", 1, |call| call.give(weekday_name(time(call, 0)?.civil().weekday()))),
    Function::fixed("UTC", 1, |call| Ok(Value::Time(time(call, 0)?.in_utc()))),
    Function::fixed("Local", 1, |call| Ok(Value::Time(time(call, 0)?.in_utc()))),
    Function::fixed("IsZero", 1, |call| Ok(Value::Bool(time(call, 0)?.is_zero()))),
    Function::fixed("Before", 2, |call| compare_times(call, |left, right| left < right)),
    Function::fixed("After", 2, |call| compare_times(call, |left, right| left > right)),
    Function::fixed("Equal", 2, |call| compare_times(call, |left, right| left == right)),
    Function::fixed("AddDate", 4, |call| {
        let (years, months, days) = (call.int(1)?, call.int(2)?, call.int(3)?);
        match time(call, 0)?.add_date(years, months, days) {
            Some(time) => Ok(Value::Time(time)),
            None => Err(Failure::message("time beyond the calendar")),
        }
    }),
];

fn time(call: &Call<'_>, index: usize) -> Result<Time, Failure> {
    match call.value(index) {
        Value::Time(time) => Ok(*time),
        other => Err(wrong_type(index, "time.Time", other)),
    }
}

fn fraction(call: &Call<'_>, unit: i128) -> Result<Value, Failure> {
    let count = time(call, 0)?.unix_nanoseconds().div_euclid(unit);
    Ok(Value::int64(i64::try_from(count).unwrap_or(i64::MAX)))
}

fn compare_times(call: &Call<'_>, compare: fn(i128, i128) -> bool) -> Result<Value, Failure> {
    let (left, right) = (time(call, 0)?, time(call, 1)?);
    Ok(Value::Bool(compare(left.unix_nanoseconds(), right.unix_nanoseconds())))
}

const VERSION: &[Function] = &[
    Function::fixed("Major", 1, |call| Ok(unsigned(version(call, 0)?.major))),
    Function::fixed("Minor", 1, |call| Ok(unsigned(version(call, 0)?.minor))),
    Function::fixed("Patch", 1, |call| Ok(unsigned(version(call, 0)?.patch))),
    Function::fixed("Prerelease", 1, |call| call.give(version(call, 0)?.pre.as_str())),
    Function::fixed("Metadata", 1, |call| call.give(version(call, 0)?.metadata.as_str())),
    Function::fixed("Original", 1, |call| call.give(version(call, 0)?.original())),
    Function::fixed("String", 1, |call| call.give(version(call, 0)?.to_string())),
    Function::fixed("Compare", 2, |call| Ok(Value::int(version(call, 0)?.compare(version(call, 1)?) as i64))),
    Function::fixed("Equal", 2, |call| Ok(Value::Bool(version(call, 0)?.compare(version(call, 1)?).is_eq()))),
    Function::fixed("LessThan", 2, |call| {
        Ok(Value::Bool(version(call, 0)?.compare(version(call, 1)?).is_lt()))
    }),
    Function::fixed("LessThanEqual", 2, |call| {
        Ok(Value::Bool(version(call, 0)?.compare(version(call, 1)?).is_le()))
    }),
    Function::fixed("GreaterThan", 2, |call| {
        Ok(Value::Bool(version(call, 0)?.compare(version(call, 1)?).is_gt()))
    }),
    Function::fixed("GreaterThanEqual", 2, |call| {
        Ok(Value::Bool(version(call, 0)?.compare(version(call, 1)?).is_ge()))
    }),
    Function::fixed("IncMajor", 1, |call| {
        let version = version(call, 0)?;
        raised(version.major.saturating_add(1), 0, 0)
    }),
    Function::fixed("IncMinor", 1, |call| {
        let version = version(call, 0)?;
        raised(version.major, version.minor.saturating_add(1), 0)
    }),
    Function::fixed("IncPatch", 1, |call| {
        let version = version(call, 0)?;
        // The version after a pre-release is its release.
        let patch = if version.is_prerelease() { version.patch } else { version.patch.saturating_add(1) };
        raised(version.major, version.minor, patch)
    }),
];

fn version<'a>(call: &Call<'a>, index: usize) -> Result<&'a Version, Failure> {
    match call.value(index) {
        Value::Version(version) => Ok(version),
        other => Err(wrong_type(index, "*semver.Version", other)),
    }
}

fn unsigned(value: u64) -> Value {
    Value::Int(i64::try_from(value).unwrap_or(i64::MAX), IntType::Uint64)
}

fn raised(major: u64, minor: u64, patch: u64) -> Result<Value, Failure> {
    match format!("{major}.{minor}.{patch}").parse::<Version>() {
        Ok(version) => Ok(Value::Version(version.into())),
        Err(error) => Err(Failure::Message(error.to_string())),
    }
}
