//! Tag retention: which artifacts a policy's rules keep, and what becomes of the others. Takes a policy as it was
//! written; removes what no rule retains (Harbor `pkg/retention`).

use std::collections::{BTreeMap, BTreeSet};

use serde::{Deserialize, Serialize};
use serde_json::Value;

use super::answer::{Code, Refusal};
use super::artifact::tags_of;
use super::immutable::pattern_matches;
use super::state::{Artifact, Repository, State};
use super::switches::Switches;

/// Harbor `pkg/retention/policy/models.go Metadata`.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(default)]
pub(super) struct Policy {
    pub(super) id: i64,
    pub(super) algorithm: String,
    pub(super) rules: Vec<Rule>,
    pub(super) trigger: Trigger,
    pub(super) scope: Scope,
}

#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(default)]
pub(super) struct Rule {
    id: i64,
    priority: i64,
    #[serde(skip_serializing_if = "std::ops::Not::not")]
    disabled: bool,
    action: String,
    template: String,
    params: BTreeMap<String, Value>,
    tag_selectors: Vec<Selector>,
    scope_selectors: BTreeMap<String, Vec<Selector>>,
}

#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(default)]
struct Selector {
    kind: String,
    decoration: String,
    pattern: String,
    #[serde(skip_serializing_if = "String::is_empty")]
    extras: String,
}

#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(default)]
pub(super) struct Trigger {
    pub(super) kind: String,
    pub(super) settings: BTreeMap<String, Value>,
    pub(super) references: BTreeMap<String, Value>,
}

#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(default)]
pub(super) struct Scope {
    pub(super) level: String,
    #[serde(rename = "ref")]
    pub(super) reference: i64,
}

impl Policy {
    pub(super) fn templates(&self) -> Vec<String> {
        self.rules.iter().map(|rule| rule.template.clone()).collect()
    }

    /// `handler/retention.go` CreateRetention and UpdateRetention, and `ValidateRetentionPolicy`.
    pub(super) fn check(&self) -> Result<(), Refusal> {
        if self.rules.len() > 15 {
            return Err(Refusal::bad_request("bad request: only 15 rules are allowed at most"));
        }
        let content = |rule: &Rule| Rule { id: 0, ..rule.clone() };
        for (number, rule) in self.rules.iter().enumerate() {
            if let Some(old) = self.rules.iter().take(number).position(|old| content(old) == content(rule)) {
                let message = format!("conflict: rule {number} is conflict with rule {old}");
                return Err(Refusal::new(Code::Conflict, message));
            }
        }
        let cron = self.trigger.settings.get("cron").and_then(Value::as_str).unwrap_or_default();
        let fields = cron.split(' ').count();
        if self.trigger.kind == "Schedule" && !cron.is_empty() && (fields != 6 || !cron.starts_with("0 ")) {
            return Err(Refusal::bad_request(format!(
                "invalid cron string for scheduled tag retention: {cron}"
            )));
        }
        Ok(())
    }
}

impl Rule {
    fn is_of(&self, repository: &str) -> bool {
        let selectors = self.scope_selectors.get("repository");
        let selects = |selector: &Selector| match selector.decoration.as_str() {
            "repoExcludes" => !pattern_matches(&selector.pattern, repository),
            _ => selector.pattern.is_empty() || pattern_matches(&selector.pattern, repository),
        };
        selectors.into_iter().flatten().all(selects)
    }

    /// `lib/selector/selectors/doublestar`: an artifact without a tag is selected unless `extras` say otherwise.
    fn selects(&self, tags: &[String]) -> bool {
        self.tag_selectors.iter().all(|selector| {
            let untagged = match selector.extras.as_str() {
                "" => selector.decoration != "excludes",
                extras => extras.contains("true") == (selector.decoration != "excludes"),
            };
            let matches =
                |tag: &String| selector.pattern.is_empty() || pattern_matches(&selector.pattern, tag);
            match (tags.is_empty(), selector.decoration.as_str()) {
                (true, _) => untagged,
                (false, "excludes") => tags.iter().any(|tag| !matches(tag)),
                (false, _) => tags.iter().any(matches),
            }
        })
    }

    /// `pkg/retention/policy/rule`: the digests that it retains of a repository's candidates.
    fn retained(&self, mut candidates: Vec<Candidate>, now: i64) -> Vec<String> {
        let number = self.params.get(&self.template).and_then(Value::as_i64).unwrap_or(10).max(0);
        let count = usize::try_from(number).unwrap_or(usize::MAX);
        let since = now - number * 86_400;
        match self.template.as_str() {
            "latestPushedK" => {
                candidates.sort_by_key(|candidate| std::cmp::Reverse(candidate.pushed));
                candidates.truncate(count);
            }
            "latestPulledN" => {
                candidates.sort_by_key(|candidate| std::cmp::Reverse(candidate.pulled));
                candidates.truncate(count);
            }
            "nDaysSinceLastPush" => candidates.retain(|candidate| candidate.pushed >= since),
            "nDaysSinceLastPull" => candidates.retain(|candidate| candidate.pulled >= since),
            _ => {}
        }
        candidates.into_iter().map(|candidate| candidate.digest).collect()
    }
}

/// An artifact as `pkg/retention/dep/client.go GetCandidates` sees it: by the latest of its own times and its tags'.
#[derive(Clone)]
struct Candidate {
    digest: String,
    tags: Vec<String>,
    pushed: i64,
    pulled: i64,
}

impl Candidate {
    fn of(repository: &Repository, artifact: &Artifact) -> Candidate {
        let of_it = || repository.tags.values().filter(|tag| tag.digest == artifact.digest);
        Candidate {
            digest: artifact.digest.clone(),
            tags: tags_of(repository, &artifact.digest),
            pushed: of_it()
                .map(|tag| tag.pushed)
                .chain([artifact.pushed])
                .max()
                .unwrap_or(artifact.pushed)
                .seconds(),
            pulled: of_it()
                .map(|tag| tag.pulled)
                .chain([artifact.pulled])
                .max()
                .unwrap_or(artifact.pulled)
                .seconds(),
        }
    }
}

impl State {
    /// The policy that a project's metadata names.
    pub(super) fn retention_of(&self, project: &str) -> Option<&Policy> {
        let id = self.project_named(project)?.metadata.get("retention_id")?;
        self.retentions.get(&id.parse().ok()?)
    }

    /// Follows a policy: in repositories of which a rule speaks, what none retains is removed; immutable tags stay.
    pub(super) fn run_retention(&mut self, policy: &Policy, dry_run: bool) {
        let now = self.now().seconds();
        let project = policy.scope.reference;
        let mut gone: Vec<(String, String)> = Vec::new();
        for repository in self.repositories.values().filter(|repository| repository.project == project) {
            let name = repository.short_name();
            let rules: Vec<&Rule> =
                policy.rules.iter().filter(|rule| !rule.disabled && rule.is_of(name)).collect();
            if rules.is_empty() {
                continue;
            }
            // `ListAllArtifacts`: neither accessories nor the untagged children of indexes.
            let shown = super::api::Shown::of(self, repository);
            let listed = repository.artifacts.values().filter(|artifact| shown.has(artifact));
            let candidates: Vec<Candidate> =
                listed.map(|artifact| Candidate::of(repository, artifact)).collect();
            let retained: BTreeSet<String> = rules
                .iter()
                .flat_map(|rule| {
                    let selected = candidates.iter().filter(|it| rule.selects(&it.tags)).cloned();
                    rule.retained(selected.collect(), now)
                })
                .collect();
            let others = candidates.into_iter().filter(|it| !retained.contains(&it.digest));
            gone.extend(others.map(|it| (repository.name.clone(), it.digest)));
        }
        for (repository, digest) in gone.into_iter().filter(|_| !dry_run) {
            // An immutable tag is an error of this artifact alone.
            drop(self.delete_artifact(&repository, &digest));
        }
    }
}

/// Retention.
impl Switches {
    /// Gives a project a retention rule, such as `latestPushedK` 10, that runs every night by its schedule. The double
    /// runs it when [`Switches::run_retention`] is called.
    pub fn set_retention(&self, project: &str, template: &str, number: i64) {
        self.state(|state| {
            let id = state.next_id();
            let selector = |decoration: &str| serde_json::json!([{"kind": "doublestar", "decoration": decoration, "pattern": "**"}]);
            let project = state.project_named_mut(project).expect("the project is there");
            project.metadata.insert("retention_id".to_owned(), id.to_string());
            let reference = project.id;
            let policy = serde_json::json!({
                "id": id, "algorithm": "or",
                "rules": [{
                    "id": 1, "priority": 1, "action": "retain", "template": template, "params": {template: number},
                    "tag_selectors": selector("matches"), "scope_selectors": {"repository": selector("repoMatches")},
                }],
                "trigger": {"kind": "Schedule", "settings": {"cron": "0 0 0 * * *"}, "references": {}},
                "scope": {"level": "project", "ref": reference},
            });
            state.retentions.insert(id, serde_json::from_value(policy).expect("a policy"));
        });
    }

    /// Follows a project's retention policy now, if it has one.
    pub fn run_retention(&self, project: &str) {
        self.state(|state| {
            if let Some(policy) = state.retention_of(project).cloned() {
                state.run_retention(&policy, false);
            }
        });
    }

    /// The rules of a project's retention policy, in Harbor's words, such as `latestPushedK`.
    pub fn retention(&self, project: &str) -> Vec<String> {
        self.state(|state| state.retention_of(project).map(Policy::templates).unwrap_or_default())
    }
}
