//! `/api/v2.0`: Harbor's own API.
//! Takes a request below it; finds the handler, the caller's rights, and the answer.

mod allowlist;
mod artifacts;
mod labels;
mod listing;
mod members;
mod metadata;
mod policies;
mod projects;
mod quotas;
mod repositories;
mod rights;
mod robots;
mod rules;
mod scans;
mod system;

pub(super) use artifacts::Shown;

use std::io::Read;

use super::access::Identity;
use super::answer::{Answer, Code, Refusal};
use super::request::{Request, percent_decoded};
use super::server::{API, Core};
use super::state::{State, project_not_found};

/// A call of the API.
struct Call<'a> {
    core: &'a Core,
    request: &'a Request<'a>,
    identity: &'a Identity,
}

/// Answers a request below `/api/v2.0`.
pub(super) fn answer(core: &Core, request: &Request<'_>, identity: &Identity, body: &mut dyn Read) -> Answer {
    let call = Call { core, request, identity };
    let path = request.path.strip_prefix(API).unwrap_or_default();
    let segments: Vec<&str> = path.trim_matches('/').split('/').collect();
    route(&call, &segments, body).unwrap_or_else(Answer::from)
}

fn route(call: &Call<'_>, segments: &[&str], body: &mut dyn Read) -> Result<Answer, Refusal> {
    match (call.request.method(), segments) {
        ("GET", ["ping"]) => Ok(system::ping()),
        ("GET", ["health"]) => Ok(system::health(call)),
        ("GET", ["systeminfo"]) => Ok(system::info(call)),
        ("GET", ["systeminfo", "getcert"]) => system::certificate(),
        ("GET", ["systeminfo", "volumes"]) => system::volumes(call),
        ("GET", ["permissions"]) => system::permissions(call),
        ("GET", ["users", "current"]) => system::current_user(call),
        ("GET", ["users", "current", "permissions"]) => rights::current(call),
        ("GET", ["configurations"]) => system::configurations(call),
        ("PUT", ["configurations"]) => system::configure(call, body),
        ("GET", ["system", "CVEAllowlist"]) => allowlist::get_system(call),
        ("PUT", ["system", "CVEAllowlist"]) => allowlist::set_system(call, body),
        ("POST", ["system", "scanAll", "schedule"]) => scans::scan_all(call, body),
        ("GET", ["scans", "all", "metrics"]) => scans::metrics(call),
        ("GET", ["system", "gc"]) => system::collections(call),
        ("GET", ["system", "gc", "schedule"]) => system::schedule(call),
        ("POST", ["system", "gc", "schedule"]) => system::collect(call, body),
        ("GET", ["system", "gc", id]) => system::collection(call, id),

        ("HEAD", ["projects"]) => projects::exists(call),
        ("GET", ["projects"]) => projects::list(call),
        ("POST", ["projects"]) => projects::create(call, body),
        ("GET", ["projects", project]) => projects::get(call, project),
        ("PUT", ["projects", project]) => projects::update(call, project, body),
        ("DELETE", ["projects", project]) => projects::delete(call, project),
        ("GET", ["projects", project, "_deletable"]) => projects::deletable(call, project),
        ("GET", ["projects", project, "summary"]) => projects::summary(call, project),
        ("GET", ["projects", project, "scanner"]) => scans::scanner(call, project),
        ("GET", ["projects", project, "metadatas"]) => metadata::list(call, project),
        ("POST", ["projects", project, "metadatas"]) => metadata::add(call, project, body),
        ("GET", ["projects", project, "metadatas", key]) => metadata::get(call, project, key),
        ("PUT", ["projects", project, "metadatas", key]) => metadata::update(call, project, key, body),
        ("DELETE", ["projects", project, "metadatas", key]) => metadata::delete(call, project, key),
        ("GET", ["projects", project, "members"]) => members::list(call, project),
        ("POST", ["projects", project, "members"]) => members::create(call, project, body),
        ("GET", ["projects", project, "immutabletagrules"]) => rules::list(call, project),
        ("POST", ["projects", project, "immutabletagrules"]) => rules::create(call, project, body),
        ("PUT", ["projects", project, "immutabletagrules", id]) => rules::update(call, project, id, body),
        ("DELETE", ["projects", project, "immutabletagrules", id]) => rules::delete(call, project, id),

        ("GET", ["repositories"]) => repositories::list_all(call),
        ("GET", ["projects", project, "repositories"]) => repositories::list(call, project),
        ("GET", ["projects", project, "artifacts"]) => artifacts::list_in_project(call, project),
        (_, ["projects", project, "repositories", name, rest @ ..]) => {
            // The name is encoded twice; the path was decoded once.
            let name = format!("{project}/{}", percent_decoded(name));
            in_repository(call, project, &name, rest, body)
        }

        ("GET", ["labels"]) => labels::list(call),
        ("POST", ["labels"]) => labels::create(call, body),
        ("GET", ["labels", id]) => labels::get(call, id),
        ("PUT", ["labels", id]) => labels::update(call, id, body),
        ("DELETE", ["labels", id]) => labels::delete(call, id),

        ("GET", ["robots"]) => robots::list(call),
        ("POST", ["robots"]) => robots::create(call, body),
        ("GET", ["robots", id]) => robots::get(call, id),
        ("PUT", ["robots", id]) => robots::update(call, id, body),
        ("PATCH", ["robots", id]) => robots::refresh_secret(call, id, body),
        ("DELETE", ["robots", id]) => robots::delete(call, id),

        ("POST", ["retentions"]) => policies::create_retention(call, body),
        ("GET", ["retentions", id]) => policies::retention(call, id),
        ("PUT", ["retentions", id]) => policies::update_retention(call, id, body),
        ("POST", ["retentions", id, "executions"]) => policies::execute_retention(call, id, body),
        ("GET", ["replication", "policies"]) => policies::replications(call),

        ("GET", ["quotas"]) => quotas::list(call),
        ("GET", ["quotas", id]) => quotas::get(call, id),
        ("PUT", ["quotas", id]) => quotas::update(call, id, body),

        _ => Err(Refusal::not_found(format!("path {} was not found", call.request.path))),
    }
}

fn in_repository(
    call: &Call<'_>,
    project: &str,
    name: &str,
    rest: &[&str],
    body: &mut dyn Read,
) -> Result<Answer, Refusal> {
    match (call.request.method(), rest) {
        ("GET", []) => repositories::get(call, project, name),
        ("DELETE", []) => repositories::delete(call, project, name),
        ("GET", ["artifacts"]) => artifacts::list(call, project, name),
        ("POST", ["artifacts"]) => artifacts::copy(call, project, name),
        ("GET", ["artifacts", reference]) => artifacts::get(call, project, name, reference),
        ("DELETE", ["artifacts", reference]) => artifacts::delete(call, project, name, reference),
        ("GET", ["artifacts", reference, "tags"]) => artifacts::tags(call, project, name, reference),
        ("POST", ["artifacts", reference, "tags"]) => {
            artifacts::create_tag(call, project, name, reference, body)
        }
        ("DELETE", ["artifacts", reference, "tags", tag]) => {
            artifacts::delete_tag(call, project, name, reference, tag)
        }
        ("GET", ["artifacts", reference, "accessories"]) => {
            artifacts::accessories(call, project, name, reference)
        }
        ("POST", ["artifacts", reference, "labels"]) => labels::add(call, project, name, reference, body),
        ("DELETE", ["artifacts", reference, "labels", label]) => {
            labels::take(call, project, name, reference, label)
        }
        ("POST", ["artifacts", reference, "scan"]) => scans::start(call, project, name, reference, body),
        ("GET", ["artifacts", reference, "additions", "vulnerabilities"]) => {
            scans::vulnerabilities(call, project, name, reference)
        }
        _ => Err(Refusal::not_found(format!("path {} was not found", call.request.path))),
    }
}

impl Call<'_> {
    /// The project that a path names by name or number: what looks like a number is one, unless the client
    /// says otherwise (Harbor `handler/util.go parseProjectNameOrID`).
    fn project_id(&self, state: &State, name_or_id: &str) -> Option<i64> {
        match name_or_id.parse() {
            Ok(id) if !self.has_flag("X-Is-Resource-Name") => Some(id),
            _ => state.project_named(name_or_id).map(|project| project.id),
        }
    }

    /// The same, after making sure that the caller may do that there.
    fn permitted_project(
        &self,
        state: &State,
        name_or_id: &str,
        action: &str,
        resource: &str,
    ) -> Result<i64, Refusal> {
        let id = self.project_id(state, name_or_id);
        state.require(self.identity, id, action, resource)?;
        id.filter(|id| state.projects.contains_key(id)).ok_or_else(|| project_not_found(name_or_id))
    }

    /// For paths that take a project's name only.
    fn require_in_named(
        &self,
        state: &State,
        project: &str,
        action: &str,
        resource: &str,
    ) -> Result<(), Refusal> {
        state.require(self.identity, state.project_named(project).map(|p| p.id), action, resource)
    }

    fn has_flag(&self, header: &str) -> bool {
        self.request.header(header).is_some_and(|value| value.eq_ignore_ascii_case("true"))
    }

    /// A query parameter that is on, or off, or left to its default.
    fn option(&self, name: &str, default: bool) -> bool {
        match self.request.query.filled(name) {
            Some(value) => matches!(value, "true" | "1"),
            None => default,
        }
    }

    /// The path of what was just created below this one.
    fn below(&self, id: impl std::fmt::Display) -> String {
        format!("{}/{id}", self.request.head.path().trim_end_matches('/'))
    }
}

fn parse_id(text: &str) -> Result<i64, Refusal> {
    text.parse().map_err(|_| Refusal::new(Code::Unprocessable, format!("{text} must be of type int64")))
}
