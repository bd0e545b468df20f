use std::fmt;
use std::str::FromStr;

use bundle_oci::Digest;

use crate::{Limits, ProjectName, PublicKey, SignatureBytes, Statement, StatementError, Timestamp};

/// Whose bundles are accepted, and for which projects.
#[derive(Clone, Debug)]
pub struct TrustPolicy {
    /// The keys. One of them must have signed.
    pub keys: Vec<TrustedKey>,
}

/// One key and what it may do.
#[derive(Clone, Debug)]
pub struct TrustedKey {
    /// What people call the key.
    pub name: String,
    /// The key itself.
    pub key: PublicKey,
    /// The projects it may write to.
    pub projects: Vec<ProjectPattern>,
    /// Bundles made before are refused.
    pub since: Option<Timestamp>,
    /// Bundles made, or read, after are refused.
    pub until: Option<Timestamp>,
    /// A revoked key stays in the file so that the refusal can say its name.
    pub revoked: bool,
}

impl TrustPolicy {
    /// Trusts one key for every project.
    pub fn single(name: &str, key: PublicKey) -> Self {
        let all = ProjectPattern("*".to_owned());
        let key = TrustedKey {
            name: name.to_owned(),
            key,
            projects: vec![all],
            since: None,
            until: None,
            revoked: false,
        };
        Self { keys: vec![key] }
    }

    /// Steps 3 to 5 of docs/format.md §Verification: signature, statement, scope. Nothing of the
    /// statement is looked at before a key that is not revoked has signed it.
    ///
    /// # Errors
    /// Any [`TrustError`].
    pub fn check(
        &self,
        bytes: Vec<u8>,
        signature: SignatureBytes,
        now: Timestamp,
        limits: &Limits,
    ) -> Result<Trusted, TrustError> {
        let signer =
            self.keys.iter().find(|trusted| trusted.key.verify(&bytes, &signature)).ok_or_else(|| {
                TrustError::Stranger { trusted: self.keys.iter().map(|key| key.name.clone()).collect() }
            })?;
        if signer.revoked {
            return Err(TrustError::Revoked(signer.name.clone()));
        }
        let statement = Statement::parse(&bytes, limits)?;
        let early = signer.since.is_some_and(|since| statement.created < since);
        let late = signer.until.is_some_and(|until| statement.created > until || now > until);
        if early || late {
            return Err(TrustError::KeyTime {
                key: signer.name.clone(),
                since: signer.since,
                until: signer.until,
            });
        }
        for artifact in &statement.artifacts {
            if !signer.projects.iter().any(|pattern| pattern.matches(&artifact.target.project)) {
                return Err(TrustError::Scope {
                    key: signer.name.clone(),
                    project: artifact.target.project.clone(),
                });
            }
        }
        if let Some(expires) = statement.expires
            && now > expires
        {
            return Err(TrustError::Expired(expires));
        }
        Ok(Trusted {
            digest: Digest::of(&bytes),
            signer: signer.name.clone(),
            projects: signer.projects.clone(),
            size: bytes.len() as u64,
            statement,
        })
    }
}

/// A statement whose signature, version and scope hold. Only [`TrustPolicy::check`] makes one.
#[derive(Clone, Debug)]
pub struct Trusted {
    statement: Statement,
    digest: Digest,
    size: u64,
    signer: String,
    projects: Vec<ProjectPattern>,
}

impl Trusted {
    /// The statement.
    pub fn statement(&self) -> &Statement {
        &self.statement
    }

    /// The digest of the statement's bytes, which names the bundle.
    pub fn digest(&self) -> Digest {
        self.digest
    }

    /// The length of the statement's bytes.
    pub fn size(&self) -> u64 {
        self.size
    }

    /// The name of the key that signed.
    pub fn signer(&self) -> &str {
        &self.signer
    }

    /// Whether the key that signed may say what the names of other registries mean. Who mirrors
    /// these is the project `cache`; a tenant's key, though it may name any source, has no say in
    /// what `docker.io/library/nginx` is on a node.
    pub fn speaks_for_sources(&self) -> bool {
        let cache = ProjectName::cache();
        self.projects.iter().any(|pattern| pattern.matches(&cache))
    }
}

/// Why a bundle is not trusted.
#[derive(Debug, thiserror::Error)]
pub enum TrustError {
    /// No trusted key made the signature, or the statement was changed afterwards.
    #[error("bundle is not signed by a trusted key ({}), or was changed after it was signed", .trusted.join(", "))]
    Stranger {
        /// The names of the keys that were tried.
        trusted: Vec<String>,
    },
    /// The key that signed was revoked.
    #[error("bundle is signed by the key '{0}', which is revoked")]
    Revoked(String),
    /// The key that signed is outside its time.
    #[error("bundle is signed by the key '{key}' outside its time{}{}", bound("from", .since), bound("until", .until))]
    KeyTime {
        /// The key's name.
        key: String,
        /// From when it is trusted.
        since: Option<Timestamp>,
        /// Until when it is trusted.
        until: Option<Timestamp>,
    },
    /// The key that signed may not write to a project.
    #[error("bundle writes to the project '{project}', which the key '{key}' may not")]
    Scope {
        /// The key's name.
        key: String,
        /// The project.
        project: ProjectName,
    },
    /// The bundle's own time is over.
    #[error("bundle expired at {0}")]
    Expired(Timestamp),
    /// The statement is signed, but not one that can be acted on.
    #[error(transparent)]
    Statement(#[from] StatementError),
}

fn bound(word: &str, moment: &Option<Timestamp>) -> String {
    moment.map(|moment| format!(", {word} {moment}")).unwrap_or_default()
}

/// A project's name, in which `*` stands for any characters.
#[derive(Clone, PartialEq, Eq)]
pub struct ProjectPattern(String);

impl ProjectPattern {
    /// Whether the pattern means `project`.
    pub fn matches(&self, project: &ProjectName) -> bool {
        let mut parts = self.0.split('*');
        let first = parts.next().unwrap_or_default();
        let Some(mut rest) = project.as_str().strip_prefix(first) else {
            return false;
        };
        let mut last = None;
        for part in parts {
            if let Some(skipped) = last.replace(part) {
                let skipped: &str = skipped;
                let Some(at) = rest.find(skipped) else {
                    return false;
                };
                rest = &rest[at + skipped.len()..];
            }
        }
        match last {
            Some(last) => rest.ends_with(last),
            None => rest.is_empty(),
        }
    }
}

impl FromStr for ProjectPattern {
    type Err = crate::ParseProjectError;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        text.replace('*', "a").parse::<ProjectName>()?;
        Ok(Self(text.to_owned()))
    }
}

impl fmt::Display for ProjectPattern {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl fmt::Debug for ProjectPattern {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

crate::serde_as_text!(ProjectPattern);

#[cfg(test)]
mod tests {
    use super::*;
    use crate::testing::statement;

    fn key(seed: u8) -> crate::PrivateKey {
        crate::PrivateKey::from_seed(&[seed; 32])
    }

    fn check(policy: &TrustPolicy, seed: u8) -> Result<Trusted, TrustError> {
        let bytes = statement(&[b"layer"]).to_bytes();
        let signature = key(seed).sign(&bytes);
        policy.check(bytes, signature, Timestamp::from_unix(2_000_000_000).unwrap(), &Limits::V1)
    }

    #[test]
    fn only_a_trusted_key_makes_a_trusted_statement() {
        let policy = TrustPolicy::single("ops", key(1).public());
        let trusted = check(&policy, 1).unwrap();
        assert_eq!(trusted.signer(), "ops");
        assert!(trusted.speaks_for_sources());
        assert!(matches!(check(&policy, 2), Err(TrustError::Stranger { .. })));
    }

    #[test]
    fn a_key_is_held_to_its_time_and_projects() {
        let mut policy = TrustPolicy::single("ops", key(1).public());
        policy.keys[0].projects = vec!["tenant-*".parse().unwrap()];
        assert!(matches!(check(&policy, 1), Err(TrustError::Scope { .. })));
        policy.keys[0].projects = vec!["*".parse().unwrap()];
        policy.keys[0].until = Some(Timestamp::from_unix(1_900_000_000).unwrap());
        assert!(matches!(check(&policy, 1), Err(TrustError::KeyTime { .. })));
        policy.keys[0].revoked = true;
        assert!(matches!(check(&policy, 1), Err(TrustError::Revoked(_))));
    }

    #[test]
    fn patterns_match_whole_names() {
        for (pattern, project, expected) in [
            ("cache", "cache", true),
            ("cache", "cache2", false),
            ("tenant-*", "tenant-a", true),
            ("tenant-*", "my-tenant-a", false),
            ("*", "anything", true),
            ("a*b*c", "a-b-b-c", true),
            ("a*b*c", "a-c-b", false),
            ("*-dev", "a-dev", true),
            ("a*a", "a", false),
        ] {
            let pattern: ProjectPattern = pattern.parse().unwrap();
            assert_eq!(pattern.matches(&project.parse().unwrap()), expected, "{pattern} {project}");
        }
        assert!("Tenant".parse::<ProjectPattern>().is_err());
    }
}
