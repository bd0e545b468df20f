//! The system: health, version, settings, garbage collection.
//! Answers `/health`, `/systeminfo`, `/configurations` and `/system/gc`.

use std::io::Read;

use serde::Deserialize;
use serde_json::{Map, Value, json};

use super::{Call, parse_id};
use crate::harbor::access::Identity;
use crate::harbor::answer::{Answer, Code, Refusal};
use crate::harbor::lock;
use crate::harbor::request::read_json;
use crate::harbor::roles::{ROBOT_PROJECT, ROBOT_SYSTEM};
use crate::harbor::state::{Collection, ProjectCreation};

/// The version that the double is modelled on.
const VERSION: &str = "v2.15.2-080b0220";

pub(super) fn ping() -> Answer {
    Answer::empty(200).with_header("Content-Type", "text/plain; charset=utf-8").with_body("Pong")
}

/// Always 200; what is wrong is in the body.
pub(super) fn health(call: &Call<'_>) -> Answer {
    let state = lock(&call.core.state);
    let mut names = vec!["core", "database", "jobservice", "portal", "redis", "registry", "registryctl"];
    if state.scanner.present {
        names.push("trivy");
    }
    let unhealthy = &state.config.unhealthy;
    let components: Vec<Value> = names
        .iter()
        .map(|name| match unhealthy.get(*name) {
            None => json!({"name": name, "status": "healthy"}),
            Some(error) => json!({"name": name, "status": "unhealthy", "error": error}),
        })
        .collect();
    let all = names.iter().all(|name| !unhealthy.contains_key(*name));
    let status = if all { "healthy" } else { "unhealthy" };
    Answer::json(200, &json!({"status": status, "components": components}))
}

/// Only authenticated accounts get the version and the read-only mode.
pub(super) fn info(call: &Call<'_>) -> Answer {
    let state = lock(&call.core.state);
    let mut info = json!({
        "auth_mode": "db_auth",
        "primary_auth_mode": false,
        "self_registration": false,
        "banner_message": "",
        "oidc_provider_name": "",
    });
    if state.is_authenticated(call.identity) {
        let url = call.core.url(call.request);
        info["harbor_version"] = json!(VERSION);
        info["registry_url"] = json!(url.trim_start_matches("http://"));
        info["external_url"] = json!(url);
        info["read_only"] = json!(state.config.read_only);
        info["project_creation_restriction"] = json!(restriction(state.config.project_creation));
        info["registry_storage_provider_name"] = json!("filesystem");
        info["has_ca_root"] = json!(false);
        info["notification_enable"] = json!(true);
        info["current_time"] = json!(state.now().to_string());
    }
    Answer::json(200, &info)
}

fn restriction(creation: ProjectCreation) -> &'static str {
    match creation {
        ProjectCreation::Everyone => "everyone",
        ProjectCreation::AdminOnly => "adminonly",
    }
}

/// The double speaks plain HTTP and has no certificate authority.
pub(super) fn certificate() -> Result<Answer, Refusal> {
    Err(Refusal::not_found("resource not found: cert not found in path: /etc/core/ca/ca.crt"))
}

/// For those who may read `system-volumes` in the system (handler/systeminfo.go, GetVolumes).
pub(super) fn volumes(call: &Call<'_>) -> Result<Answer, Refusal> {
    let state = lock(&call.core.state);
    state.require_in_system(call.identity, "read", "system-volumes")?;
    let (total, free) = state.config.volume;
    Ok(Answer::json(200, &json!({"storage": [{"total": total, "free": free}]})))
}

/// The permissions that robots can get; for administrators, of the system or of a project.
pub(super) fn permissions(call: &Call<'_>) -> Result<Answer, Refusal> {
    let state = lock(&call.core.state);
    state.require_authenticated(call.identity)?;
    let in_system = state.is_admin(call.identity);
    let in_project = matches!(call.identity, Identity::User(name)
        if state.projects.values().any(|p| p.role_of(name).is_some_and(|role| role.id() == 1)));
    if !in_system && !in_project {
        return Err(Refusal::new(
            Code::Forbidden,
            "forbidden: only admins(system and project) can access permissions",
        ));
    }
    let written = |policies: &[(&str, &[&str])]| -> Vec<Value> {
        policies
            .iter()
            .flat_map(|(resource, actions)| {
                actions.iter().map(move |action| json!({"resource": resource, "action": action}))
            })
            .collect()
    };
    let mut permissions = json!({"project": written(ROBOT_PROJECT)});
    if in_system {
        permissions["system"] = json!(written(ROBOT_SYSTEM));
    }
    Ok(Answer::json(200, &permissions))
}

/// For people only: robots are refused.
pub(super) fn current_user(call: &Call<'_>) -> Result<Answer, Refusal> {
    let state = lock(&call.core.state);
    state.require_authenticated(call.identity)?;
    let Identity::User(name) = call.identity else {
        let message = "get current user not available for security context: robot";
        return Err(Refusal::new(Code::Precondition, message));
    };
    let user = state.users.get(name).ok_or_else(|| Refusal::not_found(format!("user {name} not found")))?;
    Ok(Answer::json(
        200,
        &json!({
            "user_id": user.id,
            "username": name,
            "realname": name,
            "email": format!("{name}@example.org"),
            "sysadmin_flag": user.is_admin,
            "admin_role_in_auth": false,
            "creation_time": user.created.to_string(),
            "update_time": user.created.to_string(),
        }),
    ))
}

pub(super) fn configurations(call: &Call<'_>) -> Result<Answer, Refusal> {
    let state = lock(&call.core.state);
    state.require_in_system(call.identity, "read", "configuration")?;
    let config = &state.config;
    let mut items = Map::new();
    for (name, value) in [
        ("auth_mode", json!("db_auth")),
        ("read_only", json!(config.read_only)),
        ("token_expiration", json!(config.token_expiration_minutes)),
        ("project_creation_restriction", json!(restriction(config.project_creation))),
        ("robot_name_prefix", json!(config.robot_prefix)),
        ("storage_per_project", json!(config.storage_per_project)),
    ] {
        items.insert(name.to_owned(), json!({"value": value, "editable": true}));
    }
    Ok(Answer::json(200, &Value::Object(items)))
}

#[derive(Default, Deserialize)]
#[serde(default)]
struct ConfigurationRequest {
    read_only: Option<bool>,
    token_expiration: Option<i64>,
    project_creation_restriction: Option<String>,
    robot_name_prefix: Option<String>,
    storage_per_project: Option<i64>,
}

/// Takes over what the request names; the one modification that read-only mode allows.
pub(super) fn configure(call: &Call<'_>, body: &mut dyn Read) -> Result<Answer, Refusal> {
    let request: ConfigurationRequest = read_json(body)?;
    let mut state = lock(&call.core.state);
    state.require_in_system(call.identity, "update", "configuration")?;
    let config = &mut state.config;
    if let Some(restriction) = request.project_creation_restriction {
        config.project_creation = match restriction.as_str() {
            "everyone" => ProjectCreation::Everyone,
            "adminonly" => ProjectCreation::AdminOnly,
            other => return Err(Refusal::bad_request(format!("invalid value: {other}"))),
        };
    }
    config.read_only = request.read_only.unwrap_or(config.read_only);
    config.token_expiration_minutes = request.token_expiration.unwrap_or(config.token_expiration_minutes);
    config.storage_per_project = request.storage_per_project.unwrap_or(config.storage_per_project);
    if let Some(prefix) = request.robot_name_prefix {
        config.robot_prefix = prefix;
    }
    Ok(Answer::empty(200))
}

/// Collections that ran, the last one first.
pub(super) fn collections(call: &Call<'_>) -> Result<Answer, Refusal> {
    let state = lock(&call.core.state);
    state.require_in_system(call.identity, "list", "garbage-collection")?;
    call.page(state.collections.iter().rev().map(written).collect())
}

pub(super) fn collection(call: &Call<'_>, id: &str) -> Result<Answer, Refusal> {
    let state = lock(&call.core.state);
    state.require_in_system(call.identity, "read", "garbage-collection")?;
    let id = parse_id(id)?;
    let found = state.collections.iter().find(|collection| collection.id == id);
    found
        .map(|collection| Answer::json(200, &written(collection)))
        .ok_or_else(|| Refusal::not_found(format!("garbage collection execution {id} not found")))
}

/// The double keeps no schedule.
pub(super) fn schedule(call: &Call<'_>) -> Result<Answer, Refusal> {
    let state = lock(&call.core.state);
    state.require_in_system(call.identity, "read", "garbage-collection")?;
    Ok(Answer::empty(200))
}

#[derive(Default, Deserialize)]
#[serde(default)]
struct ScheduleRequest {
    schedule: Schedule,
    parameters: Map<String, Value>,
}

#[derive(Default, Deserialize)]
#[serde(default)]
struct Schedule {
    #[serde(rename = "type")]
    kind: String,
}

/// Collects at once, for `Manual`; other schedules are taken and do nothing.
pub(super) fn collect(call: &Call<'_>, body: &mut dyn Read) -> Result<Answer, Refusal> {
    let request: ScheduleRequest = read_json(body)?;
    let mut state = lock(&call.core.state);
    state.require_in_system(call.identity, "create", "garbage-collection")?;
    if request.schedule.kind != "Manual" {
        return Ok(Answer::created("/api/v2.0/system/gc/0"));
    }
    let id = state.next_id();
    let started = state.now();
    let untagged = request.parameters.get("delete_untagged").and_then(Value::as_bool).unwrap_or(true);
    if request.parameters.get("dry_run").and_then(Value::as_bool) != Some(true) {
        state.collect_garbage(&call.core.store, untagged)?;
    }
    let parameters = Value::Object(request.parameters).to_string();
    state.collections.push(Collection { id, status: "Success", parameters, started });
    Ok(Answer::created(&format!("/api/v2.0/system/gc/{id}")))
}

fn written(collection: &Collection) -> Value {
    json!({
        "id": collection.id,
        "job_name": "GARBAGE_COLLECTION",
        "job_kind": "MANUAL",
        "job_parameters": collection.parameters,
        "job_status": collection.status,
        "schedule": {"type": "Manual", "next_scheduled_time": "0001-01-01T00:00:00.000Z"},
        "creation_time": collection.started.to_string(),
        "update_time": collection.started.to_string(),
    })
}
