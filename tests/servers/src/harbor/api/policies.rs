//! Policies by which Harbor itself removes and copies artifacts: retention of tags, replication, which is described and
//! never run. Answers `/retentions` and `/replication/policies` (handler/retention.go, replication.go).

use std::io::Read;

use serde::Deserialize;
use serde_json::json;

use super::{Call, parse_id};
use crate::harbor::answer::{Answer, Refusal};
use crate::harbor::lock;
use crate::harbor::request::read_json;
use crate::harbor::retention::Policy;

/// The project's metadata has the number of its retention policy.
pub(super) fn retention(call: &Call<'_>, id: &str) -> Result<Answer, Refusal> {
    let id = parse_id(id)?;
    let state = lock(&call.core.state);
    let found = state.retentions.get(&id);
    state.require(call.identity, found.map(|policy| policy.scope.reference), "read", "tag-retention")?;
    match found {
        Some(policy) => Ok(Answer::json(200, &json!(policy))),
        None => Err(Refusal::not_found(format!("no such Retention policy with id {id}"))),
    }
}

/// One to a project. The order of the checks is Harbor's: conflicts come before rights.
pub(super) fn create_retention(call: &Call<'_>, body: &mut dyn Read) -> Result<Answer, Refusal> {
    let mut policy: Policy = read_json(body)?;
    let mut state = lock(&call.core.state);
    policy.check()?;
    let project = policy.scope.reference;
    state.require(call.identity, Some(project), "create", "tag-retention")?;
    if policy.scope.level != "project" {
        return Err(Refusal::bad_request(format!(
            "bad request: scope {} is not support",
            policy.scope.level
        )));
    }
    let id = state.next_id();
    let Some(known) = state.projects.get_mut(&project) else {
        return Err(Refusal::bad_request(format!("bad request: invalid Project id {project}")));
    };
    if let Some(old) = known.metadata.get("retention_id") {
        let message = format!("bad request: project {project} already has retention policy {old}");
        return Err(Refusal::bad_request(message));
    }
    known.metadata.insert("retention_id".to_owned(), id.to_string());
    policy.id = id;
    state.retentions.insert(id, policy);
    Ok(Answer::created(&call.below(id)))
}

pub(super) fn update_retention(call: &Call<'_>, id: &str, body: &mut dyn Read) -> Result<Answer, Refusal> {
    let id = parse_id(id)?;
    let mut policy: Policy = read_json(body)?;
    let mut state = lock(&call.core.state);
    policy.check()?;
    policy.id = id;
    let project = policy.scope.reference;
    state.require(call.identity, Some(project), "update", "tag-retention")?;
    let known = state.projects.get(&project).and_then(|project| project.metadata.get("retention_id"));
    if known != Some(&id.to_string()) {
        return Err(Refusal::not_found(format!("the retention policy id {id} does not match")));
    }
    state.retentions.insert(id, policy);
    Ok(Answer::empty(200))
}

#[derive(Default, Deserialize)]
#[serde(default)]
struct Execution {
    dry_run: bool,
}

/// Follows the policy at once; Harbor's jobservice does so later.
pub(super) fn execute_retention(call: &Call<'_>, id: &str, body: &mut dyn Read) -> Result<Answer, Refusal> {
    let id = parse_id(id)?;
    let execution: Execution = read_json(body)?;
    let mut state = lock(&call.core.state);
    let Some(policy) = state.retentions.get(&id).cloned() else {
        return Err(Refusal::bad_request(format!("bad request: no such Retention policy with id {id}")));
    };
    state.require(call.identity, Some(policy.scope.reference), "update", "tag-retention")?;
    state.run_retention(&policy, execution.dry_run);
    let number = state.next_id();
    Ok(Answer::created(&call.below(number)))
}

pub(super) fn replications(call: &Call<'_>) -> Result<Answer, Refusal> {
    let state = lock(&call.core.state);
    state.require_in_system(call.identity, "list", "replication-policy")?;
    call.page(state.replications.clone())
}
