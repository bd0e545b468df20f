//! Tag retention rules of a project (Harbor's `src/server/v2.0/handler/retention.go`), read and never written.
//! Takes a project, gives the rules by which Harbor itself removes tags.

use std::collections::BTreeMap;

use bundle_oci::ProjectName;
use bundle_registry::Error;
use serde::Deserialize;

use crate::Harbor;

/// A rule of a project that says which tags stay; Harbor removes the others when the policy runs.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RetentionRule {
    /// Its template, such as `latestPushedK` or `nDaysSinceLastPull`.
    pub template: String,
    /// Its numbers, such as `latestPushedK 10`.
    pub parameters: String,
    /// When the policy runs by itself, as cron; none if only people start it.
    pub schedule: Option<String>,
}

#[derive(Deserialize)]
struct WireMetadata {
    #[serde(default)]
    metadata: BTreeMap<String, String>,
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
    params: Option<BTreeMap<String, serde_json::Value>>,
}

#[derive(Deserialize)]
struct WireTrigger {
    #[serde(default)]
    settings: Option<BTreeMap<String, serde_json::Value>>,
}

impl Harbor {
    /// The retention rules of a project that are not switched off; none if it has no policy.
    ///
    /// # Errors
    /// Any [`Error`]; HTTP 403 without the right to read them.
    pub async fn retention_rules(&self, project: &ProjectName) -> Result<Vec<RetentionRule>, Error> {
        let found: WireMetadata =
            self.get(&format!("/projects/{project}"), &format!("look up the project {project}")).await?;
        let id = found.metadata.get("retention_id").filter(|id| !id.is_empty());
        let Some(id) = id.and_then(|id| id.parse::<i64>().ok()) else { return Ok(Vec::new()) };
        let doing = format!("read the retention rules of {project}");
        let policy: WirePolicy = match self.get(&format!("/retentions/{id}"), &doing).await {
            Err(error) if error.status() == Some(404) => return Ok(Vec::new()),
            policy => policy?,
        };
        Ok(read(policy))
    }
}

fn read(policy: WirePolicy) -> Vec<RetentionRule> {
    let settings = policy.trigger.and_then(|trigger| trigger.settings);
    let cron = settings.as_ref().and_then(|settings| settings.get("cron")?.as_str());
    let schedule = cron.filter(|cron| !cron.is_empty()).map(str::to_owned);
    let rules = policy.rules.unwrap_or_default().into_iter().filter(|rule| !rule.disabled);
    let rules = rules.map(|rule| RetentionRule {
        template: rule.template,
        parameters: rule
            .params
            .unwrap_or_default()
            .iter()
            .map(|(name, value)| format!("{name} {value}"))
            .collect::<Vec<_>>()
            .join(", "),
        schedule: schedule.clone(),
    });
    rules.collect()
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn rules_are_read_as_harbor_writes_them() {
        // As its tests/apitests/python/library/retention.py makes them.
        let policy = serde_json::from_value(json!({
            "id": 1, "algorithm": "or",
            "rules": [
                {"id": 1, "priority": 1, "action": "retain", "template": "latestPushedK", "params": {"latestPushedK": 3},
                 "tag_selectors": [], "scope_selectors": {}},
                {"disabled": true, "template": "always"},
            ],
            "trigger": {"kind": "Schedule", "settings": {"cron": "0 0 0 * * *"}, "references": {}},
            "scope": {"level": "project", "ref": 1},
        }));
        let rules = read(policy.unwrap());
        assert_eq!(rules.len(), 1);
        assert_eq!(rules[0].template, "latestPushedK");
        assert_eq!(rules[0].parameters, "latestPushedK 3");
        assert_eq!(rules[0].schedule.as_deref(), Some("0 0 0 * * *"));
        assert!(read(serde_json::from_value(json!({})).unwrap()).is_empty());
    }
}
