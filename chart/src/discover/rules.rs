//! Facts about charts and operators that charts do not state: [`Rules`]. Ours are in `rules.yaml`; users add
//! theirs in a file of the same form.

use std::sync::OnceLock;

use bundle_oci::Reference;
use schemars::JsonSchema;
use serde::Deserialize;

use crate::metadata::scalar_text;
use crate::yaml::parse_values;
use crate::{Limits, Map, Value};

/// Facts about charts and operators that charts do not state.
#[derive(Clone, Debug, Default, PartialEq, Eq, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, rename_all = "camelCase", default)]
pub struct Rules {
    /// Hosts that are registries and nothing else: `quay.io`, `*.gcr.io`.
    pub registries: Vec<String>,
    /// Operators that make an image of the version in their custom resource.
    pub operators: Vec<OperatorRule>,
    /// Images whose tags end with what the nodes are.
    pub node_images: Vec<String>,
    /// The operating systems of the nodes: `ubuntu22.04`.
    pub operating_systems: Vec<String>,
    /// Names of fields that hold images, a `*` at one end or none.
    pub image_fields: Vec<String>,
    /// Names without a tag that look like images and are not, with or without a `*` at the end.
    pub ignore: Vec<String>,
}

/// An operator that makes an image of the version in its custom resource.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, rename_all = "camelCase")]
pub struct OperatorRule {
    /// The resource's kind.
    pub kind: String,
    /// The group of its `apiVersion`; any if it is left out.
    #[serde(default)]
    pub api_group: Option<String>,
    /// Registry and repository of the image.
    pub image: String,
    /// The path of the field that has the tag: `spec.version`. If a field `image` beside it says something, the
    /// operator takes that.
    pub tag: String,
}

impl Rules {
    /// The rules that come with the program, and these.
    #[must_use]
    pub fn with_shipped(&self) -> Self {
        let mut all = shipped().clone();
        all.extend(self.clone());
        all
    }

    /// Adds further rules.
    pub fn extend(&mut self, more: Self) {
        self.registries.extend(more.registries);
        self.operators.extend(more.operators);
        self.node_images.extend(more.node_images);
        self.operating_systems.extend(more.operating_systems);
        self.image_fields.extend(more.image_fields);
        self.ignore.extend(more.ignore);
    }

    /// The images that an operator makes of a custom resource.
    pub(super) fn operands(&self, object: &Map) -> Vec<(Reference, String)> {
        let text = |key: &str| object.get(key).and_then(|value| value.as_str().map(str::to_owned));
        let (Some(kind), version) = (text("kind"), text("apiVersion").unwrap_or_default()) else {
            return Vec::new();
        };
        let group = version.split('/').next().unwrap_or_default();
        let rules = self.operators.iter().filter(|rule| {
            rule.kind == kind && rule.api_group.as_deref().is_none_or(|wanted| wanted == group)
        });
        rules
            .filter_map(|rule| {
                let (parents, last) = rule.tag.rsplit_once('.').unwrap_or(("", &rule.tag));
                let mut parents = parents.split('.').filter(|key| !key.is_empty());
                let parent = parents.try_fold(object.clone(), |map, key| map.get(key)?.as_map().cloned())?;
                let says = |key: &str| {
                    parent.get(key).as_ref().and_then(scalar_text).filter(|text| !text.is_empty())
                };
                let tag = says(last)?;
                // An image that the resource names itself takes the place of the operator's own.
                if says("image").is_some() {
                    return None;
                }
                Some((format!("{}:{tag}", rule.image).parse().ok()?, rule.tag.clone()))
            })
            .collect()
    }

    /// The tags that an operator makes of one where it adds what the nodes are.
    pub(super) fn on_nodes(&self, image: &Reference) -> Vec<Reference> {
        let name = format!("{}/{}", image.registry(), image.repository());
        let Some(tag) = image.tag().filter(|_| self.node_images.contains(&name)) else { return Vec::new() };
        let has = |system: &&String| tag.as_str().ends_with(system.as_str());
        if self.operating_systems.iter().any(|system| has(&system)) {
            return Vec::new();
        }
        self.operating_systems
            .iter()
            .filter_map(|system| format!("{name}:{}-{system}", tag.as_str()).parse().ok())
            .collect()
    }

    /// Whether the rules list this as no image.
    pub(super) fn ignores(&self, image: &Reference) -> bool {
        let name = format!("{}/{}", image.registry(), image.repository());
        self.ignore.iter().any(|pattern| matches(pattern, &name))
    }

    /// Whether the rules list this field as one of images.
    pub(super) fn is_image_field(&self, name: &str) -> bool {
        self.image_fields.iter().any(|pattern| matches(pattern, name))
    }
}

fn matches(pattern: &str, name: &str) -> bool {
    match (pattern.strip_prefix('*'), pattern.strip_suffix('*')) {
        (Some(end), _) => name.ends_with(end),
        (None, Some(start)) => name.starts_with(start),
        (None, None) => name == pattern,
    }
}

/// The rules that come with the program.
pub(crate) fn shipped() -> &'static Rules {
    static SHIPPED: OnceLock<Rules> = OnceLock::new();
    SHIPPED.get_or_init(|| {
        let value = parse_values(include_str!("rules.yaml"), &Limits::DEFAULT);
        // A test reads the file with every field.
        value.ok().and_then(|value| serde_json::from_value(json(&value)).ok()).unwrap_or_default()
    })
}

fn json(value: &Value) -> serde_json::Value {
    match value {
        Value::String(text) => serde_json::Value::from(&**text),
        Value::Bool(flag) => serde_json::Value::from(*flag),
        Value::List(items) => items.iter().map(json).collect(),
        Value::Map(map) => map.entries().iter().map(|(key, value)| (key.to_string(), json(value))).collect(),
        _ => serde_json::Value::Null,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::values::testing::map;

    #[test]
    fn the_shipped_rules_can_be_read() {
        let rules = shipped();
        assert!(rules.registries.len() > 10 && rules.operators.len() > 5 && !rules.node_images.is_empty());
    }

    #[test]
    fn an_operator_makes_an_image_of_the_version_in_its_resource() {
        let found = |json: &str| -> Vec<String> {
            shipped().operands(&map(json)).iter().map(|(image, _)| image.to_string()).collect()
        };
        assert_eq!(
            found(
                r#"{"apiVersion":"elasticsearch.k8s.elastic.co/v1","kind":"Elasticsearch","spec":{"version":"8.17.0"}}"#
            ),
            ["docker.elastic.co/elasticsearch/elasticsearch:8.17.0"]
        );
        let own = r#"{"apiVersion":"monitoring.coreos.com/v1","kind":"Prometheus","spec":{"version":"v3","image":"q.io/a/prometheus:v3"}}"#;
        assert!(found(own).is_empty() && found(&own.replace("q.io/a/prometheus:v3", "")).len() == 1);
        assert!(
            found(r#"{"apiVersion":"other/v1","kind":"Elasticsearch","spec":{"version":"8"}}"#).is_empty()
        );
        assert!(
            found(r#"{"apiVersion":"elasticsearch.k8s.elastic.co/v1","kind":"Elasticsearch","spec":{}}"#)
                .is_empty()
        );
    }

    #[test]
    fn users_add_what_their_nodes_are_and_what_is_no_image() {
        let own = Rules {
            operating_systems: vec!["ubuntu22.04".to_owned()],
            ignore: vec!["docker.io/library/sw*".to_owned()],
            image_fields: vec!["*_RUNNER".to_owned()],
            ..Rules::default()
        };
        let rules = own.with_shipped();
        let nodes = |image: &str| -> Vec<String> {
            rules.on_nodes(&image.parse().unwrap()).iter().map(ToString::to_string).collect()
        };
        assert_eq!(nodes("nvcr.io/nvidia/driver:550.54"), ["nvcr.io/nvidia/driver:550.54-ubuntu22.04"]);
        assert!(nodes("nvcr.io/nvidia/driver:550.54-ubuntu22.04").is_empty());
        assert!(nodes("a/b:1").is_empty());
        assert!(
            rules.ignores(&"swift:5.1".parse().unwrap()) && !rules.ignores(&"a/swift:5.1".parse().unwrap())
        );
        assert!(rules.is_image_field("JOB_RUNNER"));
    }
}
