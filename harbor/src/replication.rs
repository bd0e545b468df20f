//! Replication policies (Harbor's `src/server/v2.0/handler/replication.go`), read and never written. Takes nothing,
//! gives those that carry deletions to another registry.

use bundle_registry::Error;
use serde::Deserialize;

use crate::Harbor;

/// A policy by which Harbor copies artifacts to or from another registry.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ReplicationPolicy {
    /// Its name.
    pub name: String,
    /// The name of the registry that it copies to; none if it copies into this Harbor.
    pub to: Option<String>,
    /// Whether what is removed here is removed there too.
    pub replicates_deletion: bool,
    /// The names that it is about, as patterns; all if there is none.
    pub names: Vec<String>,
}

#[derive(Deserialize)]
struct Wire {
    #[serde(default)]
    name: String,
    #[serde(default)]
    dest_registry: Option<WireRegistry>,
    #[serde(default)]
    replicate_deletion: bool,
    #[serde(default)]
    deletion: bool,
    #[serde(default)]
    enabled: bool,
    #[serde(default)]
    filters: Option<Vec<WireFilter>>,
}

#[derive(Deserialize)]
struct WireRegistry {
    #[serde(default)]
    id: i64,
    #[serde(default)]
    name: String,
}

#[derive(Deserialize)]
struct WireFilter {
    #[serde(default, rename = "type")]
    kind: String,
    #[serde(default)]
    value: serde_json::Value,
}

impl Harbor {
    /// The replication policies that are switched on.
    ///
    /// # Errors
    /// Any [`Error`]; HTTP 403 for all but administrators and robots with the right.
    pub async fn replication_policies(&self) -> Result<Vec<ReplicationPolicy>, Error> {
        let found: Vec<Wire> = self.list("/replication/policies", "list the replication policies").await?;
        Ok(found.into_iter().filter(|policy| policy.enabled).map(read).collect())
    }
}

fn read(wire: Wire) -> ReplicationPolicy {
    let names = wire.filters.unwrap_or_default().into_iter().filter(|filter| filter.kind == "name");
    ReplicationPolicy {
        name: wire.name,
        // This Harbor itself has the number 0.
        to: wire.dest_registry.filter(|registry| registry.id != 0).map(|registry| registry.name),
        replicates_deletion: wire.replicate_deletion || wire.deletion,
        names: names.filter_map(|filter| filter.value.as_str().map(str::to_owned)).collect(),
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn a_policy_says_where_deletions_go() {
        // As the interface of people sends it, and `harbor-v2.15.2-swagger.yaml` describes it.
        let push = json!({
            "id": 1, "name": "to-site-b", "enabled": true, "replicate_deletion": true, "deletion": false,
            "src_registry": {"id": 0, "name": "Local"}, "dest_registry": {"id": 2, "name": "site-b", "type": "harbor"},
            "filters": [{"type": "name", "value": "cache/**"}, {"type": "label", "value": ["a"]}],
            "trigger": {"type": "event_based", "trigger_settings": {"cron": ""}},
        });
        let policy = read(serde_json::from_value(push).unwrap());
        assert_eq!(policy.to.as_deref(), Some("site-b"));
        assert!(policy.replicates_deletion);
        assert_eq!(policy.names, ["cache/**"]);
        let pull = json!({"name": "from", "dest_registry": {"id": 0, "name": "Local"}, "filters": null});
        let policy = read(serde_json::from_value(pull).unwrap());
        assert!(policy.to.is_none() && !policy.replicates_deletion);
    }
}
