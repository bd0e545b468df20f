//! Methods of `.Files`.
//! Take names and patterns; give contents as texts, maps or secrets.

use base64::Engine as _;
use base64::prelude::BASE64_STANDARD;

use super::glob::Glob;
use super::helm::yaml_text;
use super::paths::base;
use super::{Call, Failure};
use crate::{Map, MapType, Value};

// The methods of `.Files`; the receiver is the first argument, and a map of bytes.

pub(super) fn get(call: &Call<'_>) -> Result<Value, Failure> {
    call.give(String::from_utf8_lossy(&bytes(call)?))
}

pub(super) fn get_bytes(call: &Call<'_>) -> Result<Value, Failure> {
    Ok(Value::Bytes(bytes(call)?))
}

fn files(call: &Call<'_>) -> Map {
    call.value(0).as_map().cloned().unwrap_or_default()
}

fn bytes(call: &Call<'_>) -> Result<std::sync::Arc<[u8]>, Failure> {
    Ok(match files(call).get(call.string(1)?) {
        Some(Value::Bytes(bytes)) => bytes,
        _ => [].into(),
    })
}

/// The files whose names match; all of them if the pattern is malformed, as in Helm.
pub(super) fn glob(call: &Call<'_>) -> Result<Value, Failure> {
    let glob = Glob::parse(call.string(1)?);
    let found = Map::with_type(MapType::Files);
    for (name, content) in files(call).entries() {
        call.budget().steps(name.len())?;
        if glob.as_ref().is_none_or(|glob| glob.matches(&name)) {
            found.insert(name, content);
        }
    }
    Ok(Value::Map(found))
}

/// The contents as YAML under the files' names without directories.
pub(super) fn as_config(call: &Call<'_>) -> Result<Value, Failure> {
    as_yaml(call, |bytes| String::from_utf8_lossy(bytes).into_owned())
}

/// As [`as_config`], in base64.
pub(super) fn as_secrets(call: &Call<'_>) -> Result<Value, Failure> {
    as_yaml(call, |bytes| BASE64_STANDARD.encode(bytes))
}

fn as_yaml(call: &Call<'_>, text: fn(&[u8]) -> String) -> Result<Value, Failure> {
    let map = Map::with_type(MapType::String);
    for (name, content) in files(call).entries() {
        if let Value::Bytes(bytes) = content {
            call.budget().bytes(bytes.len())?;
            map.insert(base(&name), Value::from(text(&bytes)));
        }
    }
    yaml_text(&Value::Map(map), call)
}

pub(super) fn lines(call: &Call<'_>) -> Result<Value, Failure> {
    let bytes = bytes(call)?;
    if bytes.is_empty() {
        return Ok(Value::strings([] as [&str; 0]));
    }
    call.budget().bytes(bytes.len())?;
    let text = String::from_utf8_lossy(&bytes);
    Ok(Value::strings(text.strip_suffix('\n').unwrap_or(&text).split('\n')))
}
