//! Labels of projects and of the system, and those of artifacts. Answers `/labels` and `…/artifacts/{reference}/labels`
//! (Harbor `handler/label.go`, and AddLabel and RemoveLabel of `handler/artifact.go`).

use std::io::Read;

use serde::Deserialize;

use super::{Call, parse_id};
use crate::harbor::answer::{Answer, Refusal};
use crate::harbor::label::Label;
use crate::harbor::lock;
use crate::harbor::request::read_json;
use crate::harbor::state::State;

#[derive(Default, Deserialize)]
#[serde(default)]
struct LabelRequest {
    id: i64,
    name: String,
    description: String,
    color: String,
    scope: String,
    project_id: i64,
}

/// A label of the system needs a right in the system, one of a project a right there.
fn require(call: &Call<'_>, state: &State, project: Option<i64>, action: &str) -> Result<(), Refusal> {
    match project {
        None => state.require_in_system(call.identity, action, "label"),
        Some(id) => state.require(call.identity, Some(id), action, "label"),
    }
}

pub(super) fn list(call: &Call<'_>) -> Result<Answer, Refusal> {
    let state = lock(&call.core.state);
    let query = &call.request.query;
    let project = match query.filled("scope") {
        Some("g") => None,
        Some("p") => match query.filled("project_id").and_then(|id| id.parse().ok()).unwrap_or(0) {
            0 => {
                return Err(Refusal::bad_request("must with project ID when to query project labels"));
            }
            id => Some(id),
        },
        scope => return Err(Refusal::bad_request(format!("invalid scope: {}", scope.unwrap_or_default()))),
    };
    if project.is_some() {
        require(call, &state, project, "list")?;
    }
    let part = query.filled("name").unwrap_or_default().to_lowercase();
    let found = state.labels.iter().filter(|label| label.project == project);
    let found = found.filter(|label| label.name.to_lowercase().contains(&part));
    call.page(found.map(Label::written).collect())
}

pub(super) fn create(call: &Call<'_>, body: &mut dyn Read) -> Result<Answer, Refusal> {
    let request: LabelRequest = read_json(body)?;
    let mut state = lock(&call.core.state);
    let project = match request.scope.as_str() {
        "g" => None,
        "p" => Some(request.project_id),
        _ => return Err(Refusal::bad_request("unsupported label scope")),
    };
    require(call, &state, project, "create")?;
    let (id, now) = (state.next_id(), state.now());
    let LabelRequest { name, description, color, .. } = request;
    state.labels.insert(Label { id, name, description, color, project, created: now, updated: now })?;
    Ok(Answer::created(&call.below(id)))
}

pub(super) fn get(call: &Call<'_>, id: &str) -> Result<Answer, Refusal> {
    let id = parse_id(id)?;
    let state = lock(&call.core.state);
    let label = state.labels.get(id)?;
    require(call, &state, label.project, "read")?;
    Ok(Answer::json(200, &label.written()))
}

pub(super) fn update(call: &Call<'_>, id: &str, body: &mut dyn Read) -> Result<Answer, Refusal> {
    let id = parse_id(id)?;
    let request: LabelRequest = read_json(body)?;
    let mut state = lock(&call.core.state);
    let known = state.labels.get(id)?.clone();
    require(call, &state, known.project, "update")?;
    let LabelRequest { name, description, color, .. } = request;
    let updated = state.now();
    state.labels.update(Label { name, description, color, updated, ..known })?;
    Ok(Answer::empty(200))
}

/// It is taken from all artifacts first.
pub(super) fn delete(call: &Call<'_>, id: &str) -> Result<Answer, Refusal> {
    let id = parse_id(id)?;
    let mut state = lock(&call.core.state);
    let project = state.labels.get(id)?.project;
    require(call, &state, project, "delete")?;
    state.labels.remove(id);
    Ok(Answer::empty(200))
}

/// A label of another project is not found; one of the system may be added anywhere.
pub(super) fn add(
    call: &Call<'_>,
    project: &str,
    repository: &str,
    reference: &str,
    body: &mut dyn Read,
) -> Result<Answer, Refusal> {
    let request: LabelRequest = read_json(body)?;
    let mut state = lock(&call.core.state);
    call.require_in_named(&state, project, "create", "artifact-label")?;
    let project = state.project_named(project).map(|project| project.id).unwrap_or_default();
    let label = state.labels.get(request.id)?;
    if label.project.is_some_and(|id| id != project) {
        return Err(Refusal::not_found(format!("project id {project}, label {} not found", label.id)));
    }
    let artifact = state.artifact(repository, reference)?.id;
    state.labels.add_to(request.id, artifact)?;
    Ok(Answer::empty(200))
}

pub(super) fn take(
    call: &Call<'_>,
    project: &str,
    repository: &str,
    reference: &str,
    label: &str,
) -> Result<Answer, Refusal> {
    let label = parse_id(label)?;
    let mut state = lock(&call.core.state);
    call.require_in_named(&state, project, "delete", "artifact-label")?;
    let artifact = state.artifact(repository, reference)?.id;
    state.labels.remove_from(label, artifact)?;
    Ok(Answer::empty(200))
}
