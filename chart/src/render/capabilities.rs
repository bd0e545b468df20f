//! `.Capabilities`: the version of Kubernetes and what it serves.
//! Takes a [`KubeVersion`] and further API versions; gives the object that templates see.

use std::fmt;
use std::str::FromStr;

use crate::{Field, List, ListType, Struct, Value};

/// A version of Kubernetes.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct KubeVersion {
    parts: Vec<u64>,
}

/// A text that is no version of Kubernetes.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("a version of Kubernetes has at least two numbers, like 1.31 or v1.31.2")]
pub struct ParseKubeVersionError;

impl Default for KubeVersion {
    /// The default of Helm 3.22 without a cluster: the version of the Kubernetes library that it is built
    /// with.
    fn default() -> Self {
        Self { parts: vec![1, 37, 0] }
    }
}

impl FromStr for KubeVersion {
    type Err = ParseKubeVersionError;

    /// As Kubernetes reads it: what follows the numbers is skipped.
    fn from_str(text: &str) -> Result<Self, ParseKubeVersionError> {
        let text = text.trim_start();
        let text = text.strip_prefix('v').unwrap_or(text);
        let end = text.bytes().position(|byte| !byte.is_ascii_digit() && byte != b'.').unwrap_or(text.len());
        let numbers = text.get(..end).unwrap_or_default().trim_end_matches('.');
        let parts: Result<Vec<u64>, _> = numbers.split('.').map(str::parse).collect();
        match parts {
            Ok(parts) if parts.len() >= 2 => Ok(Self { parts }),
            _ => Err(ParseKubeVersionError),
        }
    }
}

impl fmt::Display for KubeVersion {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let parts: Vec<_> = self.parts.iter().map(u64::to_string).collect();
        write!(f, "v{}", parts.join("."))
    }
}

/// The version of Helm whose behaviour this crate has.
const HELM: &str = "v3.22.0";

/// `.Capabilities`.
pub(super) fn capabilities(kube_version: &KubeVersion, further: &[String]) -> Value {
    let part = |position: usize| Value::from(kube_version.parts[position].to_string());
    let kube_version = structure(
        "chartutil.KubeVersion",
        // A version has two parts or more.
        vec![("Version", Value::from(kube_version.to_string())), ("Major", part(0)), ("Minor", part(1))],
    );
    let versions = API_VERSIONS.iter().copied().chain(further.iter().map(String::as_str));
    let versions: Vec<Value> = versions.map(Value::from).collect();
    let helm_version = structure(
        "version.BuildInfo",
        vec![
            ("Version", Value::from(HELM)),
            ("GitCommit", Value::from("")),
            ("GitTreeState", Value::from("")),
            ("GoVersion", Value::from("")),
        ],
    );
    structure(
        "*chartutil.Capabilities",
        vec![
            ("KubeVersion", kube_version),
            ("APIVersions", Value::List(List::new(versions, ListType::VersionSet))),
            ("HelmVersion", helm_version),
        ],
    )
}

/// A struct whose fields have no other names in JSON.
fn structure(type_name: &'static str, fields: Vec<(&'static str, Value)>) -> Value {
    let field = |(name, value)| Field { name, json: name, omit_empty: false, embedded: false, value };
    Value::Struct(std::sync::Arc::new(Struct { type_name, fields: fields.into_iter().map(field).collect() }))
}

/// The API versions that Helm 3.22 assumes without a cluster.
const API_VERSIONS: &[&str] = &[
    "v1",
    "admissionregistration.k8s.io/v1",
    "admissionregistration.k8s.io/v1alpha1",
    "admissionregistration.k8s.io/v1beta1",
    "internal.apiserver.k8s.io/v1alpha1",
    "apps/v1",
    "apps/v1beta1",
    "apps/v1beta2",
    "authentication.k8s.io/v1",
    "authentication.k8s.io/v1alpha1",
    "authentication.k8s.io/v1beta1",
    "authorization.k8s.io/v1",
    "authorization.k8s.io/v1beta1",
    "autoscaling/v1",
    "autoscaling/v2",
    "batch/v1",
    "batch/v1beta1",
    "certificates.k8s.io/v1",
    "certificates.k8s.io/v1beta1",
    "certificates.k8s.io/v1alpha1",
    "coordination.k8s.io/v1alpha2",
    "coordination.k8s.io/v1beta1",
    "coordination.k8s.io/v1",
    "discovery.k8s.io/v1",
    "discovery.k8s.io/v1beta1",
    "events.k8s.io/v1",
    "events.k8s.io/v1beta1",
    "extensions/v1beta1",
    "flowcontrol.apiserver.k8s.io/v1",
    "flowcontrol.apiserver.k8s.io/v1beta1",
    "flowcontrol.apiserver.k8s.io/v1beta2",
    "flowcontrol.apiserver.k8s.io/v1beta3",
    "lifecycle.k8s.io/v1alpha1",
    "networking.k8s.io/v1",
    "networking.k8s.io/v1beta1",
    "node.k8s.io/v1",
    "node.k8s.io/v1alpha1",
    "node.k8s.io/v1beta1",
    "policy/v1",
    "policy/v1beta1",
    "rbac.authorization.k8s.io/v1",
    "rbac.authorization.k8s.io/v1beta1",
    "rbac.authorization.k8s.io/v1alpha1",
    "resource.k8s.io/v1",
    "resource.k8s.io/v1beta2",
    "resource.k8s.io/v1beta1",
    "resource.k8s.io/v1alpha3",
    "scheduling.k8s.io/v1alpha3",
    "scheduling.k8s.io/v1beta1",
    "scheduling.k8s.io/v1",
    "storage.k8s.io/v1beta1",
    "storage.k8s.io/v1",
    "storage.k8s.io/v1alpha1",
    "storagemigration.k8s.io/v1",
    "storagemigration.k8s.io/v1beta1",
    "apiextensions.k8s.io/v1beta1",
    "apiextensions.k8s.io/v1",
];

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn versions_of_kubernetes_are_read_as_kubernetes_does() {
        for (text, shown) in [
            ("1.31", Some("v1.31")),
            ("v1.31.2", Some("v1.31.2")),
            ("1.30.4-gke.100", Some("v1.30.4")),
            ("v1.29.1+k3s2", Some("v1.29.1")),
            ("1", None),
            ("", None),
            ("latest", None),
            ("1..2", None),
        ] {
            let parsed = text.parse::<KubeVersion>().ok().map(|version| version.to_string());
            assert_eq!(parsed.as_deref(), shown, "{text}");
        }
    }
}
