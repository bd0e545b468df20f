//! A project's metadata, one key at a time and checked, unlike in the project itself.
//! Answers `/projects/{name}/metadatas` as `server/v2.0/handler/project_metadata.go` does.

use std::collections::BTreeMap;
use std::io::Read;

use serde_json::json;

use super::Call;
use crate::harbor::answer::{Answer, Code, Refusal};
use crate::harbor::lock;
use crate::harbor::policy::threshold_name;
use crate::harbor::request::read_json;
use crate::harbor::state::{Project, State, project_not_found};

pub(super) fn list(call: &Call<'_>, project: &str) -> Result<Answer, Refusal> {
    let mut state = lock(&call.core.state);
    let project = permitted(call, &mut state, project, "list")?;
    Ok(Answer::json(200, &json!(project.metadata)))
}

pub(super) fn get(call: &Call<'_>, project: &str, key: &str) -> Result<Answer, Refusal> {
    let mut state = lock(&call.core.state);
    let project = permitted(call, &mut state, project, "read")?;
    let found: BTreeMap<_, _> = project.metadata.get_key_value(key).into_iter().collect();
    Ok(Answer::json(200, &json!(found)))
}

pub(super) fn add(call: &Call<'_>, project: &str, body: &mut dyn Read) -> Result<Answer, Refusal> {
    let given: BTreeMap<String, String> = read_json(body)?;
    let mut state = lock(&call.core.state);
    let project = permitted(call, &mut state, project, "create")?;
    let mut given = given.into_iter();
    let (Some((key, value)), None) = (given.next(), given.next()) else {
        return Err(Refusal::bad_request("only allow one key/value pair"));
    };
    let value = checked(&key, &value)?;
    if project.metadata.contains_key(&key) {
        let message = format!("metadata {key} already exists for project {}", project.id);
        return Err(Refusal::new(Code::Conflict, message));
    }
    project.metadata.insert(key, value);
    Ok(Answer::empty(200))
}

/// Changes a key that is there; where it is not, Harbor says that it did and does nothing.
pub(super) fn update(
    call: &Call<'_>,
    project: &str,
    key: &str,
    body: &mut dyn Read,
) -> Result<Answer, Refusal> {
    let given: BTreeMap<String, String> = read_json(body)?;
    let mut state = lock(&call.core.state);
    let project = permitted(call, &mut state, project, "update")?;
    let value = checked(key, given.get(key).map_or("", String::as_str))?;
    if let Some(known) = project.metadata.get_mut(key) {
        *known = value;
    }
    Ok(Answer::empty(200))
}

pub(super) fn delete(call: &Call<'_>, project: &str, key: &str) -> Result<Answer, Refusal> {
    let mut state = lock(&call.core.state);
    permitted(call, &mut state, project, "delete")?.metadata.remove(key);
    Ok(Answer::empty(200))
}

fn permitted<'a>(
    call: &Call<'_>,
    state: &'a mut State,
    project: &str,
    action: &str,
) -> Result<&'a mut Project, Refusal> {
    let id = call.permitted_project(state, project, action, "metadata")?;
    state.projects.get_mut(&id).ok_or_else(|| project_not_found(project))
}

/// Harbor `handler/project_metadata.go validate`.
fn checked(key: &str, value: &str) -> Result<String, Refusal> {
    let invalid = || Refusal::bad_request(format!("invalid value: {value}"));
    match key {
        "public"
        | "enable_content_trust"
        | "enable_content_trust_cosign"
        | "auto_sbom_generation"
        | "prevent_vul"
        | "auto_scan"
        | "reuse_sys_cve_allowlist"
        | "proxy_cache_local_on_not_found" => match value {
            "1" | "t" | "T" | "TRUE" | "true" | "True" => Ok("true".to_owned()),
            "0" | "f" | "F" | "FALSE" | "false" | "False" => Ok("false".to_owned()),
            _ => Err(invalid()),
        },
        "severity" => match threshold_name(value) {
            "Unknown" => Err(invalid()),
            name => Ok(name.to_lowercase()),
        },
        "proxy_speed_kb" | "max_upstream_conn" => {
            value.parse::<i32>().map(|number| number.to_string()).map_err(|_| invalid())
        }
        _ => Err(Refusal::bad_request(format!("invalid key: {key}"))),
    }
}
