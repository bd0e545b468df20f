//! The pull secret of Kubernetes that carries a robot's account.
//! Takes a name and a secret, gives Kubernetes' YAML or Docker's JSON.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use bundle_harbor::RobotSecret;
use bundle_oci::Registry;
use serde_json::json;
use zeroize::Zeroizing;

use crate::Namespace;

/// The name that every pod of the platform has in `imagePullSecrets`.
pub const PULL_SECRET: &str = "harbor-registry";

/// The same in the namespace of Harbor itself: its chart, released as `harbor`, makes a Secret
/// `harbor-registry` of another kind (goharbor/harbor-helm, templates/registry/registry-secret.yaml).
pub const HARBORS_PULL_SECRET: &str = "harbor-pull";

/// The labels that Kubernetes recommends, of each secret, without the instance.
const LABELS: &str = concat!(
    "    app.kubernetes.io/name: bundle\n",
    "    app.kubernetes.io/version: \"",
    env!("CARGO_PKG_VERSION"),
    "\"\n",
    "    app.kubernetes.io/component: pull-secret\n",
    "    app.kubernetes.io/part-of: bundle\n",
    "    app.kubernetes.io/managed-by: bundle\n",
);

/// The name of the pull secret in a namespace.
pub(crate) fn pull_secret(namespace: &Namespace, harbors: &Namespace) -> &'static str {
    if namespace == harbors { HARBORS_PULL_SECRET } else { PULL_SECRET }
}

/// An account of a registry, as Docker's clients, Podman's and Kubernetes' keep it.
pub struct PullAccount<'a> {
    /// The registry's host as its clients name it.
    pub host: &'a Registry,
    /// The account's whole name.
    pub user: &'a str,
    /// Its secret.
    pub secret: &'a RobotSecret,
}

impl PullAccount<'_> {
    /// The account in the form of Docker's `config.json`.
    pub fn docker_config(&self) -> Zeroizing<String> {
        let pair = Zeroizing::new(format!("{}:{}", self.user, self.secret.reveal()));
        let auth = Zeroizing::new(STANDARD.encode(pair.as_bytes()));
        let entry = json!({"username": self.user, "password": self.secret.reveal(), "auth": *auth});
        Zeroizing::new(format!("{}\n", json!({"auths": {self.host.as_str(): entry}})))
    }

    /// The account as Kubernetes secrets, one document for each namespace and name.
    pub fn kubernetes(
        &self,
        secrets: impl IntoIterator<Item = (Namespace, &'static str)>,
    ) -> Zeroizing<String> {
        let config = Zeroizing::new(STANDARD.encode(self.docker_config().trim_end()));
        // Namespaces and base64 need no quotes in YAML.
        let documents = secrets.into_iter().map(|(namespace, name)| {
            format!(
                "apiVersion: v1\n\
                 kind: Secret\n\
                 metadata:\n  name: {name}\n  namespace: \"{namespace}\"\n  labels:\n\
                 {LABELS}    app.kubernetes.io/instance: {name}\n\
                 type: kubernetes.io/dockerconfigjson\n\
                 data:\n  .dockerconfigjson: {}\n",
                *config
            )
        });
        Zeroizing::new(documents.collect::<Vec<_>>().join("---\n"))
    }
}

/// Letters and digits; 62 of them.
const ALPHABET: &[u8] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789";
const LENGTH: usize = 40;

/// A new secret for a robot account, of 238 bits. Harbor asks for an upper-case letter, a lower-case
/// letter and a digit.
///
/// # Errors
/// The system has no random numbers.
pub fn new_secret() -> Result<RobotSecret, getrandom::Error> {
    loop {
        let mut text = Zeroizing::new(String::with_capacity(LENGTH));
        let mut random = Zeroizing::new([0_u8; 64]);
        while text.len() < LENGTH {
            getrandom::fill(&mut *random)?;
            // Values above the last whole multiple of 62 would make the first letters likelier.
            let even = random.iter().filter(|byte| usize::from(**byte) < ALPHABET.len() * 4);
            let room = LENGTH - text.len();
            text.extend(
                even.take(room).map(|byte| char::from(ALPHABET[usize::from(*byte) % ALPHABET.len()])),
            );
        }
        let has = |kind: fn(&u8) -> bool| text.as_bytes().iter().any(kind);
        if has(u8::is_ascii_uppercase) && has(u8::is_ascii_lowercase) && has(u8::is_ascii_digit) {
            return Ok(RobotSecret::new(text.to_string()));
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_pull_secret_is_what_kubernetes_reads() {
        let secret = RobotSecret::new("Secret123".to_owned());
        let host = "harbor.example:8443".parse().unwrap();
        let account = PullAccount { host: &host, user: "robot$pull-a", secret: &secret };
        let harbors = "harbor".parse().unwrap();
        let namespaces: Vec<Namespace> = ["a", "a-dev", "harbor"].map(|name| name.parse().unwrap()).into();
        let named = namespaces.iter().map(|namespace| (namespace.clone(), pull_secret(namespace, &harbors)));
        let text = account.kubernetes(named);
        assert_eq!(text.matches("---\n").count(), 2);
        assert_eq!(text.matches("name: harbor-registry\n").count(), 2);
        assert!(text.contains("namespace: \"a-dev\"\n"));
        // Harbor's chart has a secret of the other name there.
        assert!(text.contains("name: harbor-pull\n  namespace: \"harbor\"\n"));
        let labels = text.lines().filter(|line| line.starts_with("    app.kubernetes.io/")).count();
        assert_eq!(labels, 3 * 6);
        let data = text.lines().find_map(|line| line.strip_prefix("  .dockerconfigjson: ")).unwrap();
        let config: serde_json::Value = serde_json::from_slice(&STANDARD.decode(data).unwrap()).unwrap();
        let entry = &config["auths"]["harbor.example:8443"];
        assert_eq!(entry["username"], "robot$pull-a");
        assert_eq!(STANDARD.decode(entry["auth"].as_str().unwrap()).unwrap(), b"robot$pull-a:Secret123");
    }

    #[test]
    fn new_secrets_are_what_harbor_accepts_and_each_is_another() {
        let mut seen = std::collections::HashSet::new();
        for _ in 0..100 {
            let secret = new_secret().unwrap();
            assert_eq!(secret.reveal().len(), LENGTH);
            assert!(seen.insert(secret.reveal().to_owned()));
        }
    }
}
