//! Quotas of projects.
//! Answers `/quotas`: the hard limit and what is used, for administrators.

use std::collections::BTreeMap;
use std::io::Read;

use serde::Deserialize;
use serde_json::{Value, json};

use super::{Call, parse_id};
use crate::harbor::answer::{Answer, Refusal};
use crate::harbor::lock;
use crate::harbor::quota::Quota;
use crate::harbor::request::read_json;
use crate::harbor::state::{Project, State};

#[derive(Default, Deserialize)]
#[serde(default)]
struct QuotaRequest {
    hard: BTreeMap<String, i64>,
}

pub(super) fn list(call: &Call<'_>) -> Result<Answer, Refusal> {
    let state = lock(&call.core.state);
    state.require_in_system(call.identity, "list", "quota")?;
    let query = &call.request.query;
    let of_projects = query.filled("reference").is_none_or(|reference| reference == "project");
    let wanted = query.filled("reference_id");
    let quotas = state
        .projects
        .values()
        .filter(|project| of_projects && wanted.is_none_or(|id| id == project.id.to_string()))
        .map(written)
        .collect();
    call.page(quotas)
}

pub(super) fn get(call: &Call<'_>, id: &str) -> Result<Answer, Refusal> {
    let state = lock(&call.core.state);
    state.require_in_system(call.identity, "read", "quota")?;
    let id = parse_id(id)?;
    let project = state.projects.values().find(|project| project.quota.id == id);
    project.map(|project| Answer::json(200, &written(project))).ok_or_else(|| not_found(id))
}

/// A limit below what is used is taken.
pub(super) fn update(call: &Call<'_>, id: &str, body: &mut dyn Read) -> Result<Answer, Refusal> {
    let request: QuotaRequest = read_json(body)?;
    let mut state: std::sync::MutexGuard<'_, State> = lock(&call.core.state);
    state.require_in_system(call.identity, "update", "quota")?;
    if request.hard.is_empty() {
        return Err(Refusal::bad_request("hard required in body"));
    }
    let (id, now) = (parse_id(id)?, state.now());
    let project =
        state.projects.values_mut().find(|project| project.quota.id == id).ok_or_else(|| not_found(id))?;
    if let Some(unknown) = request.hard.keys().find(|resource| *resource != "storage") {
        return Err(Refusal::bad_request(format!("resource {unknown} not support")));
    }
    for &hard in request.hard.values() {
        Quota::validate(hard)?;
        project.quota.hard = hard;
        project.quota.updated = now;
    }
    Ok(Answer::empty(200))
}

fn not_found(id: i64) -> Refusal {
    Refusal::not_found(format!("quota {id} not found"))
}

fn written(project: &Project) -> Value {
    json!({
        "id": project.quota.id,
        "ref": {"id": project.id, "name": project.name, "owner_name": project.owner},
        "hard": {"storage": project.quota.hard},
        "used": {"storage": project.quota.used},
        "creation_time": project.created.to_string(),
        "update_time": project.quota.updated.to_string(),
    })
}
