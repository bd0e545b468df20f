//! Projects.
//! Answers `/projects`: creation with a quota, metadata as strings, and who sees which.

use std::collections::BTreeMap;
use std::io::Read;

use serde::Deserialize;
use serde_json::{Value, json};

use super::Call;
use super::allowlist::{self, AllowlistRequest};
use super::listing::Keywords;
use crate::harbor::access::Identity;
use crate::harbor::answer::{Answer, Code, Refusal};
use crate::harbor::lock;
use crate::harbor::policy::threshold_name;
use crate::harbor::quota::Quota;
use crate::harbor::request::read_json;
use crate::harbor::robot::{Level, Place};
use crate::harbor::roles::Role;
use crate::harbor::state::{ADMIN, Project, ProjectCreation, State, project_not_found};

/// The metadata that the API knows, all of them strings; others are dropped.
const METADATA: [&str; 12] = [
    "public",
    "enable_content_trust",
    "enable_content_trust_cosign",
    "prevent_vul",
    "severity",
    "auto_scan",
    "auto_sbom_generation",
    "reuse_sys_cve_allowlist",
    "retention_id",
    "proxy_speed_kb",
    "max_upstream_conn",
    "proxy_cache_local_on_not_found",
];

#[derive(Default, Deserialize)]
#[serde(default)]
struct ProjectRequest {
    project_name: String,
    public: Option<bool>,
    metadata: Option<BTreeMap<String, Option<String>>>,
    cve_allowlist: Option<AllowlistRequest>,
    storage_limit: Option<i64>,
    registry_id: Option<i64>,
}

impl ProjectRequest {
    fn known_metadata(&mut self) -> BTreeMap<String, String> {
        self.metadata
            .take()
            .unwrap_or_default()
            .into_iter()
            .filter(|(key, _)| METADATA.contains(&key.as_str()))
            .filter_map(|(key, value)| Some((key, value?)))
            .collect()
    }
}

/// `HEAD /projects?project_name=`
pub(super) fn exists(call: &Call<'_>) -> Result<Answer, Refusal> {
    let state = lock(&call.core.state);
    state.require_authenticated(call.identity)?;
    let name = call.request.query.filled("project_name").ok_or_else(|| {
        Refusal::new(Code::Unprocessable, "validation failure list:\nproject_name in query is required")
    })?;
    state.project_named(name).map(|_| Answer::empty(200)).ok_or_else(|| project_not_found(name))
}

pub(super) fn list(call: &Call<'_>) -> Result<Answer, Refusal> {
    let state = lock(&call.core.state);
    let keywords = call.keywords()?;
    let mut found: Vec<&Project> = state
        .projects
        .values()
        .filter(|project| is_listed(&state, call.identity, project))
        .filter(|project| is_wanted(call, &keywords, project))
        .collect();
    found.sort_by(|a, b| a.name.cmp(&b.name));
    call.page(found.into_iter().map(|project| written(&state, call.identity, project)).collect())
}

/// Whether the project is in the lists of that identity (Harbor `handler/project.go ListProjects`).
fn is_listed(state: &State, identity: &Identity, project: &Project) -> bool {
    if project.is_public() || state.may_in_system(identity, "list", "project") {
        return true;
    }
    match identity {
        Identity::Anonymous | Identity::Bearer(_) => false,
        Identity::User(name) => project.role_of(name).is_some(),
        Identity::Robot(id) => state.robots.get(id).is_some_and(|robot| {
            robot.covers_every_project()
                || robot.permissions.iter().any(|p| p.place == Place::Project(project.id))
        }),
    }
}

fn is_wanted(call: &Call<'_>, keywords: &Keywords, project: &Project) -> bool {
    let query = &call.request.query;
    keywords.admits("name", &project.name)
        && query.filled("name").is_none_or(|part| project.name.contains(part))
        && query.filled("owner").is_none_or(|owner| project.owner == owner)
        && query.filled("public").is_none_or(|public| project.is_public() == (public == "true"))
}

pub(super) fn create(call: &Call<'_>, body: &mut dyn Read) -> Result<Answer, Refusal> {
    let mut request: ProjectRequest = read_json(body)?;
    let mut state = lock(&call.core.state);
    let privileged = may_create(&state, call.identity)?;
    if request.registry_id.is_some() && !privileged {
        return Err(Refusal::new(Code::Forbidden, "Only system admin can create proxy cache project"));
    }
    if request.project_name.len() > 255 {
        return Err(Refusal::new(
            Code::Unprocessable,
            "validation failure list:\nproject_name in body should be at most 255 chars long",
        ));
    }
    let public = request.public;
    let mut metadata = request.known_metadata();
    let public = metadata
        .remove("public")
        .filter(|value| !value.is_empty())
        .unwrap_or_else(|| public.unwrap_or(false).to_string());
    if public != "true" && public != "false" {
        return Err(Refusal::bad_request(format!(
            "metadata.public should only be 'true' or 'false', but got: '{public}'"
        )));
    }
    metadata.insert("public".to_owned(), public);
    for key in ["proxy_speed_kb", "max_upstream_conn", "retention_id"] {
        metadata.remove(key);
    }
    let limit = match request.storage_limit {
        Some(limit) if privileged && limit != 0 => limit,
        _ => state.config.storage_per_project,
    };
    if request.registry_id.is_some() {
        // The double has no registries to be a cache of; a test makes such a project itself.
        return Err(Refusal::new(Code::Unknown, "failed to get the registry"));
    }
    Quota::validate(limit)
        .map_err(|refusal| Refusal::bad_request(format!("bad request: {}", refusal.message)))?;
    let name = request.project_name;
    check_name(&name)?;
    if state.project_named(&name).is_some() {
        return Err(Refusal::new(Code::Conflict, format!("The project named {name} already exists")));
    }
    let owner = match call.identity {
        Identity::User(name) => name.clone(),
        _ => ADMIN.to_owned(),
    };
    let id = state.insert_project(&name, &owner, metadata, None);
    if let Some(project) = state.projects.get_mut(&id) {
        project.quota.hard = limit;
    }
    let by_name = call.has_flag("X-Resource-Name-In-Location");
    Ok(Answer::created(&if by_name { call.below(name) } else { call.below(id) }))
}

/// Whether the caller may create a project; and if so, whether with a quota of choice.
fn may_create(state: &State, identity: &Identity) -> Result<bool, Refusal> {
    state.require_authenticated(identity)?;
    if let Identity::Robot(id) = identity
        && state.robots.get(id).is_none_or(|robot| robot.level() == Level::Project)
    {
        return Err(Refusal::new(Code::Forbidden, "Only system level robot can create project"));
    }
    let privileged = state.may_in_system(identity, "create", "project");
    if !privileged && state.config.project_creation == ProjectCreation::AdminOnly {
        return Err(Refusal::new(Code::Forbidden, "Only system admin can create project"));
    }
    Ok(privileged)
}

/// Harbor `pkg/project/manager.go`.
fn check_name(name: &str) -> Result<(), Refusal> {
    if name.is_empty() {
        return Err(Refusal::bad_request(format!(
            "Project name {name} is illegal in length. (greater than 255 or less than 1)"
        )));
    }
    if !is_plain_name(name) {
        return Err(Refusal::bad_request("project name is not in lower case or contains illegal characters"));
    }
    Ok(())
}

/// `^[a-z0-9]+(?:[._-][a-z0-9]+)*$`, for projects and robots alike.
pub(super) fn is_plain_name(name: &str) -> bool {
    name.split(['.', '_', '-'])
        .all(|word| !word.is_empty() && word.bytes().all(|b| b.is_ascii_lowercase() || b.is_ascii_digit()))
}

pub(super) fn get(call: &Call<'_>, name_or_id: &str) -> Result<Answer, Refusal> {
    let state = lock(&call.core.state);
    let id = call.permitted_project(&state, name_or_id, "read", "")?;
    let project = state.projects.get(&id).ok_or_else(|| project_not_found(name_or_id))?;
    Ok(Answer::json(200, &written(&state, call.identity, project)))
}

/// Takes over what the request names and leaves the rest as it is.
pub(super) fn update(call: &Call<'_>, name_or_id: &str, body: &mut dyn Read) -> Result<Answer, Refusal> {
    let mut request: ProjectRequest = read_json(body)?;
    let mut state = lock(&call.core.state);
    let id = call.permitted_project(&state, name_or_id, "update", "")?;
    let now = state.now();
    let project = state.projects.get_mut(&id).ok_or_else(|| project_not_found(name_or_id))?;
    if let Some(allowlist) = &request.cve_allowlist
        && allowlist.project_id != 0
        && allowlist.project_id != id
    {
        return Err(Refusal::bad_request(format!(
            "project_id in cve_allowlist must be {id} but it's {}",
            allowlist.project_id
        )));
    }
    let mut metadata = request.known_metadata();
    // Go's model omits empty values.
    metadata.retain(|key, value| key != "public" || !value.is_empty());
    if !project.is_proxy() {
        metadata.remove("proxy_speed_kb");
        metadata.remove("max_upstream_conn");
    }
    if let Some(retention) = metadata.get("retention_id")
        && project.metadata.get("retention_id") != Some(retention)
    {
        return Err(Refusal::bad_request(
            "the retention_id in the request's payload when updating a project should be omitted, \
             alternatively passing the one that has already been associated to this project",
        ));
    }
    let allowlist = request.cve_allowlist.map(AllowlistRequest::read).transpose()?;
    project.metadata.extend(metadata);
    project.updated = now;
    if let Some(allowlist) = allowlist {
        project.allowlist = allowlist;
    }
    Ok(Answer::empty(200))
}

const NOT_DELETABLE: &str = "the project contains repositories, can not be deleted";

pub(super) fn delete(call: &Call<'_>, name_or_id: &str) -> Result<Answer, Refusal> {
    let mut state = lock(&call.core.state);
    let id = call.permitted_project(&state, name_or_id, "delete", "")?;
    if repository_count(&state, id) > 0 {
        return Err(Refusal::new(Code::Precondition, format!("precondition failed: {NOT_DELETABLE}")));
    }
    state.remove_project(id);
    Ok(Answer::empty(200))
}

pub(super) fn deletable(call: &Call<'_>, name_or_id: &str) -> Result<Answer, Refusal> {
    let state = lock(&call.core.state);
    let id = call.permitted_project(&state, name_or_id, "delete", "")?;
    Ok(Answer::json(
        200,
        &match repository_count(&state, id) {
            0 => json!({"deletable": true}),
            _ => json!({"deletable": false, "message": NOT_DELETABLE}),
        },
    ))
}

/// The quota is in it only for accounts that may read it.
pub(super) fn summary(call: &Call<'_>, name_or_id: &str) -> Result<Answer, Refusal> {
    let state = lock(&call.core.state);
    let id = call.permitted_project(&state, name_or_id, "read", "")?;
    let project = state.projects.get(&id).ok_or_else(|| project_not_found(name_or_id))?;
    let mut summary = json!({"repo_count": repository_count(&state, id)});
    if state.may(call.identity, id, "read", "quota") {
        summary["quota"] =
            json!({"hard": {"storage": project.quota.hard}, "used": {"storage": project.quota.used}});
    }
    if state.may(call.identity, id, "list", "member") {
        for (role, field) in [
            (Role::ProjectAdmin, "project_admin_count"),
            (Role::Maintainer, "maintainer_count"),
            (Role::Developer, "developer_count"),
            (Role::Guest, "guest_count"),
            (Role::LimitedGuest, "limited_guest_count"),
        ] {
            match project.members.iter().filter(|member| member.role == role).count() {
                0 => {}
                count => summary[field] = json!(count),
            }
        }
    }
    Ok(Answer::json(200, &summary))
}

fn repository_count(state: &State, project: i64) -> usize {
    state.repositories.values().filter(|repository| repository.project == project).count()
}

/// A project as the API shows it; what is empty is left out.
fn written(state: &State, identity: &Identity, project: &Project) -> Value {
    let mut metadata = json!(project.metadata);
    if let Some(severity) = project.metadata.get("severity") {
        metadata["severity"] = json!(threshold_name(severity).to_lowercase());
    }
    let mut allowlist = allowlist::written(&project.allowlist);
    allowlist["project_id"] = json!(project.id);
    let mut written = json!({
        "project_id": project.id,
        "name": project.name,
        "owner_id": state.users.get(&project.owner).map_or(1, |user| user.id),
        "owner_name": project.owner,
        "creation_time": project.created.to_string(),
        "update_time": project.updated.to_string(),
        "repo_count": repository_count(state, project.id),
        "metadata": metadata,
        "cve_allowlist": allowlist,
    });
    if let Some(registry) = project.registry_id {
        written["registry_id"] = json!(registry);
    }
    if let Identity::User(name) = identity
        && let Some(role) = project.role_of(name)
    {
        written["current_user_role_id"] = json!(role.id());
        written["current_user_role_ids"] = json!([role.id()]);
    }
    written
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_have_single_separators() {
        for (name, valid) in [
            ("platform", true),
            ("tenant-a", true),
            ("a.b_c-1", true),
            ("a--b", false),
            ("a__b", false),
            ("-a", false),
            ("a.", false),
            ("Platform", false),
            ("", false),
            ("a/b", false),
        ] {
            assert_eq!(is_plain_name(name), valid, "{name:?}");
        }
    }
}
