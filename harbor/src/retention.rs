//! Tag retention: a project's rules by which Harbor itself removes artifacts (Harbor's
//! `src/server/v2.0/handler/retention.go` and `src/pkg/retention`). Takes a project, gives its policy, or sets it.

use std::collections::BTreeMap;
use std::fmt;

use bundle_oci::ProjectName;
use bundle_registry::{Error, Method};
use serde::Deserialize;
use serde_json::{Value, json};

use crate::{Harbor, Project};

/// A project's policy. In a repository that a rule names, Harbor removes each artifact that no rule retains; in one
/// that none names, it removes nothing (its `pkg/retention/launcher.go` and `policy/action/performer.go`). What is
/// immutable stays.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct RetentionPolicy {
    /// Harbor's number for it; none for one that is to be made.
    pub id: Option<i64>,
    /// The rules, those that are switched off too.
    pub rules: Vec<RetentionRule>,
    /// When it runs by itself, as cron with seconds; none if only people start it.
    pub schedule: Option<String>,
}

/// A rule of a policy: what it retains, in which repositories and of which tags.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct RetentionRule {
    /// What it retains.
    pub keeps: Keeps,
    /// Which repositories, without their project, as a pattern in which `**` is anything; none for a rule that says it
    /// in another way.
    pub repositories: Option<String>,
    /// Which tags, as such a pattern; none for a rule that says it in another way. Of artifacts without a tag, such a
    /// rule is about all (Harbor's `lib/selector/selectors/doublestar`).
    pub tags: Option<String>,
    /// Whether it is switched off.
    pub disabled: bool,
}

/// What a rule retains (Harbor's `pkg/retention/policy/rule`).
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Keeps {
    /// Everything.
    Always,
    /// In each repository, as many of those that were pushed last.
    LatestPushed(u32),
    /// In each repository, as many of those that were pulled last.
    LatestPulled(u32),
    /// What was pushed within so many days.
    PushedWithin(u32),
    /// What was pulled within so many days.
    PulledWithin(u32),
    /// Another template, with its numbers.
    Other(String),
}

impl Keeps {
    /// Harbor's name for the template, and its number.
    pub fn template(&self) -> (&str, Option<u32>) {
        match self {
            Self::Always => ("always", None),
            Self::LatestPushed(number) => ("latestPushedK", Some(*number)),
            Self::LatestPulled(number) => ("latestPulledN", Some(*number)),
            Self::PushedWithin(days) => ("nDaysSinceLastPush", Some(*days)),
            Self::PulledWithin(days) => ("nDaysSinceLastPull", Some(*days)),
            Self::Other(text) => (text, None),
        }
    }
}

impl fmt::Display for Keeps {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.template() {
            (template, Some(number)) => write!(f, "{template} {number}"),
            (template, None) => f.write_str(template),
        }
    }
}

impl fmt::Display for RetentionRule {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}", self.keeps)?;
        for (noun, pattern) in [("repositories", &self.repositories), ("tags", &self.tags)] {
            match pattern.as_deref() {
                Some("**") => {}
                Some(pattern) => write!(f, " of {noun} {pattern}")?,
                None => write!(f, " of some {noun}")?,
            }
        }
        if self.disabled { f.write_str(" (off)") } else { Ok(()) }
    }
}

#[derive(Deserialize)]
struct WirePolicy {
    #[serde(default)]
    rules: Option<Vec<WireRule>>,
    #[serde(default)]
    trigger: Option<WireTrigger>,
}

#[derive(Deserialize)]
struct WireRule {
    #[serde(default)]
    disabled: bool,
    #[serde(default)]
    template: String,
    #[serde(default)]
    params: Option<BTreeMap<String, Value>>,
    #[serde(default)]
    tag_selectors: Option<Vec<WireSelector>>,
    #[serde(default)]
    scope_selectors: Option<BTreeMap<String, Vec<WireSelector>>>,
}

#[derive(Deserialize)]
struct WireSelector {
    #[serde(default)]
    decoration: String,
    #[serde(default)]
    pattern: String,
    #[serde(default)]
    extras: String,
}

#[derive(Deserialize)]
struct WireTrigger {
    #[serde(default)]
    settings: Option<BTreeMap<String, Value>>,
}

impl From<WireRule> for RetentionRule {
    fn from(wire: WireRule) -> Self {
        let parameters = wire.params.unwrap_or_default();
        let number = || {
            let number = parameters.get(&wire.template)?;
            number
                .as_u64()
                .or_else(|| number.as_str()?.parse().ok())
                .and_then(|number| u32::try_from(number).ok())
        };
        let keeps = match (wire.template.as_str(), number()) {
            ("always", _) => Keeps::Always,
            ("latestPushedK", Some(number)) => Keeps::LatestPushed(number),
            ("latestPulledN", Some(number)) => Keeps::LatestPulled(number),
            ("nDaysSinceLastPush", Some(days)) => Keeps::PushedWithin(days),
            ("nDaysSinceLastPull", Some(days)) => Keeps::PulledWithin(days),
            (template, _) => {
                let numbers = parameters.iter().map(|(name, value)| format!(" {name} {value}"));
                Keeps::Other(format!("{template}{}", numbers.collect::<String>()))
            }
        };
        // A selector's extras say whether artifacts without a tag are selected, which those of ours are.
        let one = |selectors: Option<&Vec<WireSelector>>, decoration: &str| match selectors?.as_slice() {
            [one] if one.decoration == decoration && !one.extras.contains("false") => {
                Some(one.pattern.clone())
            }
            _ => None,
        };
        let scopes = wire.scope_selectors.as_ref();
        Self {
            keeps,
            repositories: one(scopes.and_then(|scopes| scopes.get("repository")), "repoMatches"),
            tags: one(wire.tag_selectors.as_ref(), "matches"),
            disabled: wire.disabled,
        }
    }
}

impl RetentionRule {
    /// As Harbor's tests/apitests/python/library/retention.py writes them.
    fn wire(&self, number: usize) -> Value {
        let selector = |decoration: &str, pattern: &Option<String>| {
            let pattern = pattern.as_deref().unwrap_or("**");
            json!([{"kind": "doublestar", "decoration": decoration, "pattern": pattern}])
        };
        let (template, parameter) = self.keeps.template();
        let parameters = parameter.map_or_else(|| json!({}), |parameter| json!({template: parameter}));
        json!({
            "id": number, "priority": number, "disabled": self.disabled, "action": "retain", "template": template,
            "params": parameters, "tag_selectors": selector("matches", &self.tags),
            "scope_selectors": {"repository": selector("repoMatches", &self.repositories)},
        })
    }
}

impl RetentionPolicy {
    fn read(id: i64, wire: WirePolicy) -> Self {
        let settings = wire.trigger.and_then(|trigger| trigger.settings);
        let cron = settings.as_ref().and_then(|settings| settings.get("cron")?.as_str());
        let rules = wire.rules.unwrap_or_default().into_iter().map(RetentionRule::from);
        let schedule = cron.filter(|cron| !cron.is_empty()).map(str::to_owned);
        Self { id: Some(id), rules: rules.collect(), schedule }
    }

    fn wire(&self, project: i64) -> Value {
        let rules: Vec<Value> = self.rules.iter().zip(1..).map(|(rule, number)| rule.wire(number)).collect();
        let cron = self.schedule.as_deref().unwrap_or_default();
        let mut wire = json!({
            "algorithm": "or", "rules": rules,
            "trigger": {"kind": "Schedule", "settings": {"cron": cron}, "references": {}},
            "scope": {"level": "project", "ref": project},
        });
        if let Some(id) = self.id {
            wire["id"] = json!(id);
        }
        wire
    }
}

impl Harbor {
    /// The retention policy of a project; none if it has none.
    ///
    /// # Errors
    /// Any [`Error`]; HTTP 403 without the right to read it.
    pub async fn retention(&self, project: &Project) -> Result<Option<RetentionPolicy>, Error> {
        let Some(id) = project.retention else { return Ok(None) };
        let doing = format!("read the retention rules of {}", project.name);
        match self.get(&format!("/retentions/{id}"), &doing).await {
            Ok(found) => Ok(Some(RetentionPolicy::read(id, found))),
            Err(error) if error.status() == Some(404) => Ok(None),
            Err(error) => Err(error),
        }
    }

    /// The rules of a project that are not switched off, and when they run by themselves; none if it has no policy.
    ///
    /// # Errors
    /// As [`Harbor::retention`].
    pub async fn retention_rules(
        &self,
        project: &ProjectName,
    ) -> Result<(Vec<RetentionRule>, Option<String>), Error> {
        let policy = self.retention(&self.project(project).await?).await?.unwrap_or_default();
        Ok((policy.rules.into_iter().filter(|rule| !rule.disabled).collect(), policy.schedule))
    }

    /// Sets the policy of the project with this number: makes it, or replaces that whose number it has.
    ///
    /// # Errors
    /// Any [`Error`]; HTTP 403 without the right; 400 for a project that got a policy meanwhile.
    pub async fn set_retention(&self, project: &Project, policy: &RetentionPolicy) -> Result<(), Error> {
        let doing = format!("set the retention rules of {}", project.name);
        let body = policy.wire(project.id);
        match policy.id {
            Some(id) => self.call(Method::Put, &format!("/retentions/{id}"), &doing, Some(&body)).await,
            None => self.call(Method::Post, "/retentions", &doing, Some(&body)).await,
        }
        .map(drop)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn rules_are_read_as_harbor_writes_them() {
        // As its tests/apitests/python/library/retention.py makes them.
        let policy = serde_json::from_value(json!({
            "id": 1, "algorithm": "or",
            "rules": [
                {"id": 1, "priority": 1, "action": "retain", "template": "latestPushedK", "params": {"latestPushedK": 3},
                 "tag_selectors": [{"kind": "doublestar", "decoration": "matches", "pattern": "v*"}],
                 "scope_selectors": {"repository": [{"kind": "doublestar", "decoration": "repoMatches", "pattern": "**"}]}},
                {"disabled": true, "template": "always"},
                {"template": "lastXDays", "params": {"lastXDays": 5}},
            ],
            "trigger": {"kind": "Schedule", "settings": {"cron": "0 0 0 * * *"}, "references": {}},
            "scope": {"level": "project", "ref": 1},
        }));
        let policy = RetentionPolicy::read(1, policy.unwrap());
        let texts: Vec<String> = policy.rules.iter().map(ToString::to_string).collect();
        assert_eq!(
            texts,
            [
                "latestPushedK 3 of tags v*",
                "always of some repositories of some tags (off)",
                "lastXDays lastXDays 5 of some repositories of some tags"
            ]
        );
        assert_eq!(policy.schedule.as_deref(), Some("0 0 0 * * *"));
        assert!(RetentionPolicy::read(1, serde_json::from_value(json!({})).unwrap()).rules.is_empty());
    }

    #[test]
    fn a_policy_reads_back_as_it_was_written() {
        let keeps = [
            Keeps::Always,
            Keeps::LatestPushed(1),
            Keeps::LatestPulled(2),
            Keeps::PushedWithin(3),
            Keeps::PulledWithin(4),
        ];
        let rules = keeps.map(|keeps| RetentionRule {
            keeps,
            repositories: Some("base/**".to_owned()),
            tags: Some("**".to_owned()),
            disabled: false,
        });
        let policy =
            RetentionPolicy { id: Some(7), rules: rules.to_vec(), schedule: Some("0 0 2 * * *".to_owned()) };
        let wire = serde_json::from_value(policy.wire(3)).unwrap();
        assert_eq!(RetentionPolicy::read(7, wire), policy);
    }
}
