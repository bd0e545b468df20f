//! Tag immutability rules of a project: read and made (Harbor's `src/server/v2.0/handler/immutable.go`).
//! Takes a project, gives its rules, or adds one.

use bundle_oci::ProjectName;
use bundle_registry::{Error, Method};
use serde::Deserialize;
use serde_json::json;

use crate::Harbor;

/// A rule by which tags cannot be moved or removed once they are set. Harbor uses the first repositories and
/// the first tags of a rule's selectors only (its pkg/immutable/match/rule/match.go).
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ImmutableRule {
    /// Which repositories, without their project, as a pattern in which `**` is anything.
    pub repositories: String,
    /// Which tags, as such a pattern.
    pub tags: String,
    /// Whether the rule is switched off.
    pub disabled: bool,
}

#[derive(Deserialize)]
struct Wire {
    #[serde(default)]
    disabled: bool,
    #[serde(default)]
    tag_selectors: Option<Vec<WireSelector>>,
    #[serde(default)]
    scope_selectors: Option<WireScope>,
}

#[derive(Deserialize)]
struct WireScope {
    #[serde(default)]
    repository: Option<Vec<WireSelector>>,
}

#[derive(Deserialize)]
struct WireSelector {
    #[serde(default)]
    decoration: String,
    #[serde(default)]
    pattern: String,
}

impl ImmutableRule {
    /// Tags of any repository that match `tags`.
    pub fn for_tags(tags: &str) -> Self {
        Self { repositories: "**".to_owned(), tags: tags.to_owned(), disabled: false }
    }

    /// None for a rule that excludes instead of naming, which this type does not support.
    fn read(wire: Wire) -> Option<Self> {
        let first = |selectors: Option<Vec<WireSelector>>, decoration: &str| {
            let first = selectors?.into_iter().next()?;
            (first.decoration == decoration).then_some(first.pattern)
        };
        let repositories = first(wire.scope_selectors?.repository, "repoMatches")?;
        let tags = first(wire.tag_selectors, "matches")?;
        Some(Self { repositories, tags, disabled: wire.disabled })
    }
}

impl Harbor {
    /// The rules of a project.
    ///
    /// # Errors
    /// Any [`Error`]; HTTP 403 without the right to list them.
    pub async fn immutable_rules(&self, project: &ProjectName) -> Result<Vec<ImmutableRule>, Error> {
        let doing = format!("list the immutable tags of {project}");
        let path = format!("/projects/{project}/immutabletagrules");
        let rules: Vec<Wire> = self.list(&path, &doing).await?;
        Ok(rules.into_iter().filter_map(ImmutableRule::read).collect())
    }

    /// Adds a rule. An existing rule is no error.
    ///
    /// # Errors
    /// Any [`Error`].
    pub async fn add_immutable_rule(&self, project: &ProjectName, rule: &ImmutableRule) -> Result<(), Error> {
        let selector = |decoration: &str, pattern: &str| json!([{"kind": "doublestar", "decoration": decoration, "pattern": pattern}]);
        let body = json!({
            "action": "immutable",
            "template": "immutable_template",
            "disabled": rule.disabled,
            "priority": 0,
            "tag_selectors": selector("matches", &rule.tags),
            "scope_selectors": {"repository": selector("repoMatches", &rule.repositories)},
        });
        let doing = format!("make tags of {project} immutable");
        let path = format!("/projects/{project}/immutabletagrules");
        match self.call(Method::Post, &path, &doing, Some(&body)).await {
            Ok(_) => Ok(()),
            Err(error) if error.status() == Some(409) => Ok(()),
            Err(error) => Err(error),
        }
    }
}
