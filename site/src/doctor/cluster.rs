//! The checks of a cluster's pull secrets: each namespace has its own, of the right type and for the right
//! host. Takes what is wanted, asks `kubectl`, gives checks. The content of a secret is read and never shown.

use std::collections::{BTreeMap, BTreeSet};

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use bundle_oci::{ProjectName, Registry};
use serde::Deserialize;
use zeroize::Zeroizing;

use super::check::{Check, CheckName, Outcome, Skipped, Trouble};
use crate::bootstrap::kubectl;
use crate::bootstrap::secrets::pull_secret;
use crate::{HarborSettings, KubectlError, Namespace};

/// The type of a secret that pods pull with (kubernetes.io/docs/concepts/configuration/secret, "Types of
/// Secret").
const PULL_TYPE: &str = "kubernetes.io/dockerconfigjson";

/// A secret that a namespace is to have.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct WantedSecret {
    /// The namespace.
    pub namespace: Namespace,
    /// The secret's name.
    pub name: &'static str,
}

/// The cluster's wanted secrets.
pub struct ClusterChecks<'a> {
    /// The secrets.
    pub secrets: BTreeSet<WantedSecret>,
    /// The registry's host as pods name it.
    pub host: &'a Registry,
    /// Whether it is known that there is a cluster: then one that does not answer fails.
    pub expected: bool,
}

/// The pull secrets that `bootstrap` makes for these projects.
pub fn wanted_secrets<'a>(
    settings: &HarborSettings,
    projects: impl IntoIterator<Item = &'a ProjectName>,
) -> BTreeSet<WantedSecret> {
    let namespaces = projects.into_iter().flat_map(|project| settings.wanted(project).namespaces);
    namespaces
        .map(|namespace| {
            let name = pull_secret(&namespace, &settings.harbor_namespace);
            WantedSecret { namespace, name }
        })
        .collect()
}

#[derive(Deserialize)]
struct Secret {
    #[serde(rename = "type", default)]
    kind: String,
    #[serde(default)]
    data: BTreeMap<String, Zeroizing<String>>,
}

/// Looks at the secrets of a cluster.
pub async fn look_at_cluster(wanted: &ClusterChecks<'_>) -> Vec<Check> {
    let cluster = |outcome| vec![CheckName::Cluster.of("kubectl", outcome)];
    let namespaces = match kubectl::read(&["get", "namespaces", "--output", "name"]).await {
        Ok(namespaces) => namespaces,
        Err(KubectlError::Start(error))
            if error.kind() == std::io::ErrorKind::NotFound && !wanted.expected =>
        {
            return cluster(Outcome::NotRun(Skipped::NoProgram("kubectl")));
        }
        Err(error) if !wanted.expected => {
            return cluster(Outcome::NotRun(Skipped::NoCluster(bundle_oci::chain(&error))));
        }
        Err(error) => return cluster(Outcome::Failed(error.into())),
    };
    let namespaces = String::from_utf8_lossy(&namespaces);
    let namespaces: BTreeSet<&str> =
        namespaces.lines().filter_map(|line| line.trim().strip_prefix("namespace/")).collect();
    let mut checks = cluster(Outcome::Passed(match namespaces.len() {
        1 => "1 namespace".to_owned(),
        many => format!("{many} namespaces"),
    }));
    for secret in &wanted.secrets {
        let outcome = match namespaces.contains(secret.namespace.as_str()) {
            false => Outcome::Warned(Trouble::NoNamespace(secret.namespace.to_string())),
            true => look_at_secret(secret, wanted.host).await,
        };
        checks.push(CheckName::PullSecret.of(format!("{} in {}", secret.name, secret.namespace), outcome));
    }
    checks
}

async fn look_at_secret(secret: &WantedSecret, host: &Registry) -> Outcome {
    let arguments = [
        "get",
        "secret",
        secret.name,
        "--namespace",
        secret.namespace.as_str(),
        "--ignore-not-found",
        "--output",
        "json",
    ];
    match kubectl::read(&arguments).await {
        Ok(found) => judge(&found, host),
        Err(error) => Outcome::Failed(error.into()),
    }
}

/// Judges a secret as `kubectl` prints it; nothing if there is none.
fn judge(found: &[u8], host: &Registry) -> Outcome {
    if found.trim_ascii().is_empty() {
        return Outcome::Failed(Trouble::NoSecret);
    }
    let Ok(secret) = serde_json::from_slice::<Secret>(found) else {
        return Outcome::Failed(Trouble::NoObject);
    };
    if secret.kind != PULL_TYPE {
        return Outcome::Failed(Trouble::SecretType(secret.kind));
    }
    let config = secret.data.get(".dockerconfigjson").and_then(|data| STANDARD.decode(data.as_bytes()).ok());
    let config = Zeroizing::new(config.unwrap_or_default());
    #[derive(Deserialize)]
    struct Config {
        #[serde(default)]
        auths: BTreeMap<String, serde::de::IgnoredAny>,
    }
    let auths = serde_json::from_slice::<Config>(&config).map(|config| config.auths).unwrap_or_default();
    if auths.contains_key(host.as_str()) {
        return Outcome::Passed(format!("for {host}"));
    }
    let hosts: Vec<&str> = auths.keys().map(String::as_str).collect();
    let found = if hosts.is_empty() { "no host".to_owned() } else { hosts.join(", ") };
    Outcome::Failed(Trouble::SecretHost { found, host: host.to_string() })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn secret(kind: &str, config: &str) -> Vec<u8> {
        let data = STANDARD.encode(config);
        serde_json::json!({"type": kind, "data": {".dockerconfigjson": data}}).to_string().into_bytes()
    }

    #[test]
    fn a_pull_secret_is_of_the_right_type_and_for_the_right_host() {
        let host: Registry = "harbor.example".parse().unwrap();
        let ours = r#"{"auths": {"harbor.example": {"auth": "c2VjcmV0"}}}"#;
        for (found, expected) in [
            (secret(PULL_TYPE, ours), None),
            (secret("Opaque", ours), Some("it is of the type Opaque")),
            (secret(PULL_TYPE, r#"{"auths": {"other.example": {}}}"#), Some("it is for other.example")),
            (secret(PULL_TYPE, "{}"), Some("it is for no host")),
            (secret(PULL_TYPE, "not JSON"), Some("it is for no host")),
            (b"\n".to_vec(), Some("there is no such secret")),
            (b"Error".to_vec(), Some("kubectl printed something else")),
        ] {
            match (judge(&found, &host), expected) {
                (Outcome::Passed(_), None) => {}
                (Outcome::Failed(trouble), Some(expected)) => {
                    let said = trouble.to_string();
                    assert!(said.starts_with(expected) && !said.contains("c2VjcmV0"), "{said}");
                }
                (other, expected) => panic!("{other:?}, not {expected:?}"),
            }
        }
    }

    #[test]
    fn each_namespace_is_to_have_the_secret_that_bootstrap_makes_for_it() {
        let projects: Vec<ProjectName> =
            ["cache", "platform", "team-a", "harbor"].map(|name| name.parse().unwrap()).into();
        let wanted = wanted_secrets(&HarborSettings::default(), &projects);
        let said: Vec<String> =
            wanted.iter().map(|secret| format!("{}/{}", secret.namespace, secret.name)).collect();
        assert_eq!(said, ["harbor/harbor-pull", "team-a/harbor-registry"]);
    }
}
