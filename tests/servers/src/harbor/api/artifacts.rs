//! Artifacts, their tags and accessories. None of this is subject to the vulnerability policy, and none of it
//! counts as a pull.

use std::collections::BTreeSet;
use std::io::Read;

use serde::Deserialize;
use serde_json::{Value, json};

use super::Call;
use super::listing::{Keywords, Pattern};
use crate::harbor::answer::{Answer, Code, Refusal};
use crate::harbor::artifact::tags_of;
use crate::harbor::label::Label;
use crate::harbor::lock;
use crate::harbor::registry::is_tag;
use crate::harbor::request::read_json;
use crate::harbor::scan::REPORT_TYPE;
use crate::harbor::state::{Accessory, Artifact, Repository, State, is_digest, project_part};

#[derive(Deserialize)]
struct NewTag {
    name: String,
}

/// Lists artifacts that are tagged or no index's child; with `q=base=*` untagged children too. Accessories are in no
/// list. All this is in the query, so that a page is cut from what is shown and the total counts what is shown
/// (`pkg/artifact/dao/dao.go querySetter`, with `setBaseQuery` and `setAccessoryQuery`, by List and Count; since 2.6).
pub(super) fn list(call: &Call<'_>, project: &str, repository: &str) -> Result<Answer, Refusal> {
    let mut state = lock(&call.core.state);
    call.require_in_named(&state, project, "list", "artifact")?;
    let names: Vec<String> =
        state.repositories.get(repository).map(|known| known.name.clone()).into_iter().collect();
    list_of(call, &mut state, &names)
}

/// The same for all repositories of a project (`handler/project.go ListArtifactsOfProject`, since 2.11).
pub(super) fn list_in_project(call: &Call<'_>, project: &str) -> Result<Answer, Refusal> {
    let mut state = lock(&call.core.state);
    let id = call.permitted_project(&state, project, "list", "artifact")?;
    let names: Vec<String> = state
        .repositories
        .values()
        .filter(|known| known.project == id)
        .map(|known| known.name.clone())
        .collect();
    list_of(call, &mut state, &names)
}

fn list_of(call: &Call<'_>, state: &mut State, repositories: &[String]) -> Result<Answer, Refusal> {
    let keywords = call.keywords()?;
    let everything = match keywords.get("base") {
        None => false,
        Some(Pattern::Exact(value)) if value == "*" => true,
        Some(_) => {
            return Err(Refusal::bad_request(
                "the value of \"base\" query can only be exact match value with \"*\"",
            ));
        }
    };
    let labels = wanted_labels(&keywords)?;
    let mut found: Vec<(String, Artifact)> = Vec::new();
    for known in repositories.iter().filter_map(|name| state.repositories.get(name)) {
        let shown = Shown::of(state, known);
        let listed = known
            .artifacts
            .values()
            .filter(|artifact| !shown.accessories.contains(artifact.digest.as_str()))
            .filter(|artifact| everything || shown.has(artifact))
            .filter(|artifact| is_wanted(known, artifact, &keywords))
            .filter(|artifact| labels.iter().all(|label| state.labels.has(*label, artifact.id)));
        found.extend(listed.map(|artifact| (known.name.clone(), artifact.clone())));
    }
    found.sort_by_key(|(_, artifact)| std::cmp::Reverse((artifact.pushed, artifact.id)));
    call.page_of(found, |(name, artifact)| written(call, state, &name, &artifact))
}

/// `q=labels=(1 2)`: those that carry all of them (`pkg/artifact/dao/dao.go setLabelQuery`).
fn wanted_labels(keywords: &Keywords) -> Result<Vec<i64>, Refusal> {
    let wrong = || {
        Refusal::bad_request(
            "the value of \"labels\" query can only be integer list with intersetion relationship",
        )
    };
    match keywords.get("labels") {
        None => Ok(Vec::new()),
        Some(Pattern::AllOf(ids)) => ids.iter().map(|id| id.parse().map_err(|_| wrong())).collect(),
        Some(_) => Err(wrong()),
    }
}

/// What Harbor lists of a repository (`pkg/artifact/dao`): neither an untagged child nor an accessory.
pub(in crate::harbor) struct Shown<'a> {
    tagged: BTreeSet<&'a str>,
    children: BTreeSet<i64>,
    accessories: BTreeSet<&'a str>,
}

impl<'a> Shown<'a> {
    pub(in crate::harbor) fn of(state: &'a State, repository: &'a Repository) -> Self {
        let accessories = state.accessories.iter().filter(|it| it.repository == repository.name);
        Self {
            tagged: repository.tags.values().map(|tag| tag.digest.as_str()).collect(),
            children: repository
                .artifacts
                .values()
                .flat_map(|it| &it.references)
                .map(|it| it.child_id)
                .collect(),
            accessories: accessories.map(|it| it.digest.as_str()).collect(),
        }
    }

    pub(in crate::harbor) fn has(&self, artifact: &Artifact) -> bool {
        let digest = artifact.digest.as_str();
        (self.tagged.contains(digest) || !self.children.contains(&artifact.id))
            && !self.accessories.contains(digest)
    }
}

fn is_wanted(repository: &Repository, artifact: &Artifact, keywords: &Keywords) -> bool {
    let tags = || tags_of(repository, &artifact.digest);
    let by_tag = match keywords.get("tags") {
        None => true,
        Some(Pattern::Exact(value)) if value == "*" => !tags().is_empty(),
        Some(Pattern::Exact(value)) if value == "nil" => tags().is_empty(),
        Some(_) => tags().iter().any(|tag| keywords.admits("tags", tag)),
    };
    by_tag && keywords.admits("digest", &artifact.digest) && keywords.admits("type", &artifact.kind)
}

pub(super) fn get(
    call: &Call<'_>,
    project: &str,
    repository: &str,
    reference: &str,
) -> Result<Answer, Refusal> {
    let mut state = lock(&call.core.state);
    call.require_in_named(&state, project, "read", "artifact")?;
    let artifact = state.artifact(repository, reference)?.clone();
    Ok(Answer::json(200, &written(call, &mut state, repository, &artifact)))
}

pub(super) fn delete(
    call: &Call<'_>,
    project: &str,
    repository: &str,
    reference: &str,
) -> Result<Answer, Refusal> {
    let mut state = lock(&call.core.state);
    call.require_in_named(&state, project, "delete", "artifact")?;
    state.delete_artifact(repository, reference)?;
    Ok(Answer::empty(200))
}

/// `POST …/artifacts?from=`: a copy inside Harbor.
pub(super) fn copy(call: &Call<'_>, project: &str, repository: &str) -> Result<Answer, Refusal> {
    let mut state = lock(&call.core.state);
    call.require_in_named(&state, project, "create", "artifact")?;
    refuse_proxy(&state, repository)?;
    let from = call.request.query.filled("from").unwrap_or_default();
    let (source, reference) = match from.split_once('@') {
        Some((name, digest)) => (name.split(':').next().unwrap_or_default(), digest),
        None => from.split_once(':').unwrap_or((from, "")),
    };
    if !source.contains('/') || (from.contains('@') && !is_digest(reference)) {
        return Err(Refusal::bad_request(format!("invalid input: {from}")));
    }
    call.require_in_named(&state, project_part(source), "read", "artifact")?;
    state.copy_artifact(call.core, source, reference, repository)?;
    Ok(Answer::created(&call.below(reference)))
}

fn refuse_proxy(state: &State, repository: &str) -> Result<(), Refusal> {
    if state.project_of(repository)?.is_proxy() {
        let message = "the operation isn't supported for a proxy cache project";
        return Err(Refusal::new(Code::MethodNotAllowed, message));
    }
    Ok(())
}

pub(super) fn tags(
    call: &Call<'_>,
    project: &str,
    repository: &str,
    reference: &str,
) -> Result<Answer, Refusal> {
    let state = lock(&call.core.state);
    call.require_in_named(&state, project, "list", "tag")?;
    let artifact = state.artifact(repository, reference)?;
    let known = state.repository(repository)?;
    let with_status = call.option("with_immutable_status", false);
    let keywords = call.keywords()?;
    let tags = tags_of(known, &artifact.digest)
        .iter()
        .filter(|tag| keywords.admits("name", tag))
        .map(|tag| written_tag(&state, known, artifact, tag, with_status))
        .collect();
    call.page(tags)
}

/// A tag that is there is never moved by this; a push moves it.
pub(super) fn create_tag(
    call: &Call<'_>,
    project: &str,
    repository: &str,
    reference: &str,
    body: &mut dyn Read,
) -> Result<Answer, Refusal> {
    let new: NewTag = read_json(body)?;
    let mut state = lock(&call.core.state);
    call.require_in_named(&state, project, "create", "tag")?;
    refuse_proxy(&state, repository)?;
    let digest = state.artifact(repository, reference)?.digest.clone();
    if !is_tag(&new.name) {
        return Err(Refusal::bad_request(format!("bad request: invalid tag name: {}", new.name)));
    }
    let known = state.repository(repository)?;
    if known.tags.contains_key(&new.name) {
        let message = format!("tag {} already exists under the repository {}", new.name, known.id);
        return Err(Refusal::new(Code::Conflict, message));
    }
    state.set_tag(repository, &digest, &new.name);
    Ok(Answer::empty(201))
}

pub(super) fn delete_tag(
    call: &Call<'_>,
    project: &str,
    repository: &str,
    reference: &str,
    tag: &str,
) -> Result<Answer, Refusal> {
    let mut state = lock(&call.core.state);
    call.require_in_named(&state, project, "delete", "tag")?;
    let artifact = state.artifact(repository, reference)?;
    let (id, digest) = (artifact.id, artifact.digest.clone());
    let is_there = state.repository(repository)?.tags.get(tag).is_some_and(|t| t.digest == digest);
    if !is_there {
        return Err(Refusal::not_found(format!("tag {tag} attached to artifact {id} not found")));
    }
    state.require_mutable(repository, tag)?;
    if let Some(known) = state.repositories.get_mut(repository) {
        known.tags.remove(tag);
    }
    Ok(Answer::empty(200))
}

pub(super) fn accessories(
    call: &Call<'_>,
    project: &str,
    repository: &str,
    reference: &str,
) -> Result<Answer, Refusal> {
    let state = lock(&call.core.state);
    call.require_in_named(&state, project, "list", "accessory")?;
    let artifact = state.artifact(repository, reference)?;
    let keywords = call.keywords()?;
    let found = accessories_of(&state, artifact)
        .filter(|accessory| keywords.admits("type", accessory.kind))
        .map(written_accessory)
        .collect();
    call.page(found)
}

fn accessories_of<'a>(state: &'a State, artifact: &Artifact) -> impl Iterator<Item = &'a Accessory> {
    let id = artifact.id;
    state.accessories.iter().filter(move |accessory| accessory.subject_id == id)
}

fn written(call: &Call<'_>, state: &mut State, repository: &str, artifact: &Artifact) -> Value {
    let overview = wants_report(call).then(|| state.scan_overview(repository, artifact)).flatten();
    let mut written = json!({
        "id": artifact.id,
        "type": artifact.kind,
        "media_type": artifact.media_type,
        "manifest_media_type": artifact.manifest_media_type,
        "repository_name": repository,
        "digest": artifact.digest,
        "size": artifact.size,
        "push_time": artifact.pushed.to_string(),
        "pull_time": artifact.pulled.to_string(),
        "extra_attrs": artifact.extra_attrs,
    });
    let known = state.repositories.get(repository);
    if let Some(known) = known {
        written["project_id"] = json!(known.project);
        written["repository_id"] = json!(known.id);
    }
    if !artifact.artifact_type.is_empty() {
        written["artifact_type"] = json!(artifact.artifact_type);
    }
    if !artifact.annotations.is_empty() {
        written["annotations"] = json!(artifact.annotations);
    }
    let references: Vec<Value> = artifact
        .references
        .iter()
        .map(|reference| {
            let mut written = json!({
                "parent_id": artifact.id,
                "child_id": reference.child_id,
                "child_digest": reference.child_digest,
            });
            if let Some(platform) = &reference.platform {
                let mut known = json!({});
                for name in ["architecture", "os", "variant"] {
                    if let Some(value) = platform.get(name) {
                        known[name] = value.clone();
                    }
                }
                written["platform"] = known;
            }
            if !reference.annotations.is_empty() {
                written["annotations"] = json!(reference.annotations);
            }
            if !reference.urls.is_empty() {
                written["urls"] = json!(reference.urls);
            }
            written
        })
        .collect();
    if !references.is_empty() {
        written["references"] = json!(references);
    }
    if let (true, Some(known)) = (call.option("with_tag", true), known) {
        let with_status = call.option("with_immutable_status", false);
        let tags: Vec<Value> = tags_of(known, &artifact.digest)
            .iter()
            .map(|tag| written_tag(state, known, artifact, tag, with_status))
            .collect();
        if !tags.is_empty() {
            written["tags"] = json!(tags);
        }
    }
    if call.option("with_accessory", true) {
        let accessories: Vec<Value> = accessories_of(state, artifact).map(written_accessory).collect();
        if !accessories.is_empty() {
            written["accessories"] = json!(accessories);
        }
    }
    if call.option("with_label", false) {
        let labels: Vec<Value> = state.labels.of(artifact.id).map(Label::written).collect();
        if !labels.is_empty() {
            written["labels"] = json!(labels);
        }
    }
    if state.is_scannable(repository, artifact) {
        let href = format!("{}/additions/vulnerabilities", artifact_path(repository, &artifact.digest));
        written["addition_links"] = json!({"vulnerabilities": {"href": href, "absolute": false}});
    }
    if let Some(overview) = overview {
        written["scan_overview"] = overview;
    }
    written
}

/// The overview is given in the form that the client accepts, and this double gives one form.
fn wants_report(call: &Call<'_>) -> bool {
    call.option("with_scan_overview", false)
        && call
            .request
            .header("x-accept-vulnerabilities")
            .is_none_or(|accepted| accepted.split(',').any(|accepted| accepted.trim() == REPORT_TYPE))
}

fn artifact_path(repository: &str, reference: &str) -> String {
    let (project, name) = repository.split_once('/').unwrap_or((repository, ""));
    format!("/api/v2.0/projects/{project}/repositories/{}/artifacts/{reference}", name.replace('/', "%252F"))
}

fn written_tag(
    state: &State,
    repository: &Repository,
    artifact: &Artifact,
    tag: &str,
    with_status: bool,
) -> Value {
    let mut written = json!({
        "artifact_id": artifact.id,
        "repository_id": repository.id,
        "name": tag,
        "immutable": with_status && state.is_immutable_tag(&repository.name, tag),
    });
    if let Some(known) = repository.tags.get(tag) {
        written["id"] = json!(known.id);
        written["push_time"] = json!(known.pushed.to_string());
        written["pull_time"] = json!(known.pulled.to_string());
    }
    written
}

fn written_accessory(accessory: &Accessory) -> Value {
    json!({
        "id": accessory.id,
        "artifact_id": accessory.artifact_id,
        "subject_artifact_id": accessory.subject_id,
        "subject_artifact_digest": accessory.subject_digest,
        "subject_artifact_repo": accessory.repository,
        "size": accessory.size,
        "digest": accessory.digest,
        "type": accessory.kind,
        "icon": "",
        "creation_time": accessory.created.to_string(),
    })
}
