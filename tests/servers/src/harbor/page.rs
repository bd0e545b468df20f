//! Pages for people, that show what arrived. Plain text: they are read in a terminal as often as in a browser.
//! Takes the state; gives projects, repositories, tags and findings, one a line.

use std::fmt::Write as _;

use super::answer::Answer;
use super::artifact::tags_of;
use super::lock;
use super::quota::Quota;
use super::server::Core;
use super::state::{Project, State};

/// `GET /` and `GET /status`.
pub(super) fn status(core: &Core) -> Answer {
    let text = render(&lock(&core.state)).unwrap_or_default();
    Answer::empty(200).with_header("Content-Type", "text/plain; charset=utf-8").with_body(text)
}

/// `GET /requests`: what was asked so far, by whom, and with which answer.
pub(super) fn requests(core: &Core) -> Answer {
    let mut text = String::new();
    for request in lock(&core.log).iter() {
        let who = if request.identity.is_empty() { "-" } else { &request.identity };
        text.push_str(&format!("{} {} {} {who}\n", request.status, request.method, request.path_and_query));
    }
    Answer::empty(200).with_header("Content-Type", "text/plain; charset=utf-8").with_body(text)
}

fn render(state: &State) -> Result<String, std::fmt::Error> {
    let mut page = String::new();
    let mode = if state.config.read_only { "read-only" } else { "read-write" };
    let scanner = if state.scanner.present { "Trivy" } else { "none" };
    writeln!(page, "Harbor double, {mode}, scanner: {scanner}")?;
    for project in state.projects.values() {
        render_project(state, project, &mut page)?;
    }
    writeln!(page, "\nrobots")?;
    for robot in state.robots.values() {
        let state_of = if robot.may_enter(state.now()) { "" } else { " (cannot log in)" };
        writeln!(page, "  {}{state_of}", state.robot_name(robot))?;
        for permission in &robot.permissions {
            let Some((kind, namespace)) = state.place_names(permission.place) else { continue };
            let access: Vec<String> =
                permission.access.iter().map(|a| format!("{}:{}", a.resource, a.action)).collect();
            writeln!(page, "    {kind} {namespace}: {}", access.join(" "))?;
        }
    }
    Ok(page)
}

fn render_project(state: &State, project: &Project, page: &mut String) -> std::fmt::Result {
    let kind = if project.is_proxy() { " (proxy cache)" } else { "" };
    writeln!(page, "\nproject {}{kind}", project.name)?;
    let metadata: Vec<String> = project.metadata.iter().map(|(k, v)| format!("{k}={v}")).collect();
    writeln!(page, "  policies: {}", metadata.join(" "))?;
    match project.quota.hard {
        Quota::UNLIMITED => writeln!(page, "  storage:  {} bytes, no limit", project.quota.used)?,
        hard => writeln!(page, "  storage:  {} of {hard} bytes", project.quota.used)?,
    }
    for rule in &project.rules {
        let first = |selectors: Option<&Vec<super::immutable::Selector>>| {
            selectors.and_then(|s| s.first()).map_or(String::new(), |s| s.pattern.clone())
        };
        let repositories = first(rule.content.scope_selectors.get("repository"));
        let tags = first(Some(&rule.content.tag_selectors));
        let off = if rule.disabled { " (off)" } else { "" };
        writeln!(page, "  immutable: tags {tags} of {repositories}{off}")?;
    }
    for repository in state.repositories_in(&project.name) {
        writeln!(page, "  {}", repository.name)?;
        for artifact in repository.artifacts.values() {
            let names = tags_of(repository, &artifact.digest);
            let name = match (names.is_empty(), state.is_accessory(&repository.name, &artifact.digest)) {
                (false, false) => names.join(", "),
                (_, true) => "(accessory)".to_owned(),
                (true, false) => "(untagged)".to_owned(),
            };
            let verdict = state.scanner.verdict(&artifact.digest).unwrap_or_else(|| "not scanned".to_owned());
            writeln!(
                page,
                "    {name:<24} {} {:<8} {verdict}; pulled {} times",
                artifact.digest, artifact.kind, artifact.pulls
            )?;
        }
    }
    Ok(())
}
