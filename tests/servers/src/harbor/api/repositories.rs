//! Repositories.
//! Lists and deletes them; a repository exists as long as it has artifacts.

use std::collections::BTreeSet;

use serde_json::{Value, json};

use super::{Call, artifacts};
use crate::harbor::answer::{Answer, Refusal};
use crate::harbor::lock;
use crate::harbor::state::{Repository, State};

/// Lists repositories of all projects whose repositories the caller may list.
pub(super) fn list_all(call: &Call<'_>) -> Result<Answer, Refusal> {
    let state = lock(&call.core.state);
    let seen: BTreeSet<i64> = state
        .projects
        .keys()
        .copied()
        .filter(|&project| state.may(call.identity, project, "list", "repository"))
        .collect();
    page(call, &state, state.repositories.values().filter(|r| seen.contains(&r.project)))
}

pub(super) fn list(call: &Call<'_>, project: &str) -> Result<Answer, Refusal> {
    let state = lock(&call.core.state);
    call.require_in_named(&state, project, "list", "repository")?;
    state.project_of(project)?;
    page(call, &state, state.repositories_in(project))
}

fn page<'a>(
    call: &Call<'_>,
    state: &State,
    repositories: impl Iterator<Item = &'a Repository>,
) -> Result<Answer, Refusal> {
    let keywords = call.keywords()?;
    let mut found: Vec<&Repository> = repositories.filter(|r| keywords.admits("name", &r.name)).collect();
    // The newest first, as without a `sort`.
    found.sort_by_key(|repository| std::cmp::Reverse((repository.updated, repository.id)));
    if call.request.query.filled("sort") == Some("name") {
        found.sort_by(|a, b| a.name.cmp(&b.name));
    }
    call.page(found.into_iter().map(|repository| written(state, repository)).collect())
}

pub(super) fn get(call: &Call<'_>, project: &str, name: &str) -> Result<Answer, Refusal> {
    let state = lock(&call.core.state);
    call.require_in_named(&state, project, "read", "repository")?;
    Ok(Answer::json(200, &written(&state, state.repository(name)?)))
}

pub(super) fn delete(call: &Call<'_>, project: &str, name: &str) -> Result<Answer, Refusal> {
    let mut state = lock(&call.core.state);
    call.require_in_named(&state, project, "delete", "repository")?;
    state.delete_repository(name)?;
    Ok(Answer::empty(200))
}

fn written(state: &State, repository: &Repository) -> Value {
    let shown = artifacts::Shown::of(state, repository);
    let count = repository.artifacts.values().filter(|artifact| shown.has(artifact)).count();
    json!({
        "id": repository.id,
        "project_id": repository.project,
        "name": repository.name,
        "artifact_count": count,
        "pull_count": repository.pulls,
        "creation_time": repository.created.to_string(),
        "update_time": repository.updated.to_string(),
    })
}
