//! The trust policy: the keys whose bundles are accepted, and their projects. Takes an unverified head, a
//! policy and the time; gives [`Trusted`] (docs/format.md §Verification).

use std::fmt;
use std::str::FromStr;

use bundle_oci::{Digest, ProjectName};

use crate::{
    Limits, PublicKey, SignatureBytes, Statement, StatementError, StreamName, Timestamp, Unverified,
};

/// The keys whose bundles are accepted, and the projects that they may write to.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct TrustPolicy {
    /// The keys, each once.
    pub keys: Vec<TrustedKey>,
    /// How many of them must have signed, at least one.
    pub signatures: usize,
    /// The treatment of an expired bundle.
    pub expiry: Expiry,
}

/// The treatment of an expired bundle.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Default)]
pub enum Expiry {
    /// It is refused.
    #[default]
    Enforce,
    /// It is accepted, and [`Trusted::is_expired`] says so.
    Ignore,
}

/// One key and what it may do.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct TrustedKey {
    /// The name of the key.
    pub name: String,
    /// The key itself.
    pub key: PublicKey,
    /// The projects it may write to.
    pub projects: Vec<ProjectPattern>,
    /// The streams whose bundles it may sign; any, if it does not say. Without, a key of one small
    /// project could use up the numbers of another's stream, and nothing would be new enough.
    pub streams: Option<Vec<StreamName>>,
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
            streams: None,
            since: None,
            until: None,
            revoked: false,
        };
        Self { keys: vec![key], signatures: 1, expiry: Expiry::Enforce }
    }

    /// Steps 3 to 5 of docs/format.md §Verification: signatures, statement, scope. Nothing of the statement
    /// is looked at before a key that is not revoked has signed it. Signatures by keys that are not trusted
    /// do not count; one by a revoked key refuses the bundle, even with other signatures.
    ///
    /// # Errors
    /// Any [`TrustError`].
    pub fn check(
        &self,
        head: Unverified,
        countersignatures: &[SignatureBytes],
        now: Timestamp,
        limits: &Limits,
    ) -> Result<Trusted, TrustError> {
        if countersignatures.len() > limits.countersignatures {
            return Err(TrustError::TooMany {
                found: countersignatures.len(),
                most: limits.countersignatures,
            });
        }
        let Unverified { statement: bytes, signature } = head;
        let signatures = [&[signature], countersignatures].concat();
        let signers = self.signers(&bytes, &signatures)?;
        let statement = Statement::parse(&bytes, limits)?;
        let (good, bad): (Vec<_>, Vec<_>) =
            signers.into_iter().map(|signer| signer.may_sign(&statement, now)).partition(Result::is_ok);
        let good: Vec<&TrustedKey> = good.into_iter().flatten().collect();
        let demanded = self.signatures.max(1);
        if good.len() < demanded {
            let signers = good.into_iter().map(|key| key.name.clone()).collect();
            return Err(match bad.into_iter().find_map(Result::err) {
                Some(refusal) => refusal,
                None => TrustError::TooFew { demanded: self.signatures, signers },
            });
        }
        let speaks_for_sources =
            good.iter().filter(|key| key.may_write(&ProjectName::cache())).count() >= demanded;
        let expired = statement.expires.filter(|expires| now > *expires);
        if let (Some(expires), Expiry::Enforce) = (expired, self.expiry) {
            return Err(TrustError::Expired(expires));
        }
        let is_kept_out = |key: &&TrustedKey| !key.may_sign_for(&statement.stream);
        let kept_out = self.keys.iter().filter(is_kept_out).map(|key| key.key.fingerprint()).collect();
        Ok(Trusted {
            digest: Digest::of(&bytes),
            signer_keys: good.iter().map(|key| key.key.fingerprint()).collect(),
            kept_out,
            signers: good.into_iter().map(|key| key.name.clone()).collect(),
            speaks_for_sources,
            size: bytes.len() as u64,
            expired: expired.is_some(),
            statement,
        })
    }

    /// The trusted keys that signed a message, at least one, and none that is revoked.
    pub(crate) fn signers(
        &self,
        message: &[u8],
        signatures: &[SignatureBytes],
    ) -> Result<Vec<&TrustedKey>, TrustError> {
        let signed =
            |trusted: &&TrustedKey| signatures.iter().any(|signature| trusted.key.verify(message, signature));
        let signers: Vec<&TrustedKey> = self.keys.iter().filter(signed).collect();
        if signers.is_empty() {
            let trusted = self.keys.iter().map(|key| key.name.clone()).collect();
            return Err(TrustError::Stranger { trusted });
        }
        match signers.iter().find(|signer| signer.revoked) {
            Some(revoked) => Err(TrustError::Revoked(revoked.name.clone())),
            None => Ok(signers),
        }
    }
}

impl TrustedKey {
    fn may_write(&self, project: &ProjectName) -> bool {
        self.projects.iter().any(|pattern| pattern.matches(project))
    }

    fn may_sign_for(&self, stream: &StreamName) -> bool {
        self.streams.as_ref().is_none_or(|streams| streams.contains(stream))
    }

    /// The key itself, if it may sign this statement.
    fn may_sign(&self, statement: &Statement, now: Timestamp) -> Result<&Self, TrustError> {
        let early = self.since.is_some_and(|since| statement.created < since);
        let late = self.until.is_some_and(|until| statement.created > until || now > until);
        if early || late {
            return Err(TrustError::KeyTime { key: self.name.clone(), since: self.since, until: self.until });
        }
        if !self.may_sign_for(&statement.stream) {
            return Err(TrustError::Stream { key: self.name.clone(), stream: statement.stream.clone() });
        }
        for artifact in &statement.artifacts {
            let project = &artifact.target.project;
            if !self.may_write(project) {
                return Err(TrustError::Scope { key: self.name.clone(), project: project.clone() });
            }
        }
        Ok(self)
    }
}

/// A statement whose signature, version and scope hold. Only [`TrustPolicy::check`] makes one.
#[derive(Clone, Debug)]
pub struct Trusted {
    statement: Statement,
    digest: Digest,
    size: u64,
    signers: Vec<String>,
    signer_keys: Vec<Digest>,
    kept_out: Vec<Digest>,
    speaks_for_sources: bool,
    expired: bool,
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

    /// The names of the keys that signed.
    pub fn signers(&self) -> &[String] {
        &self.signers
    }

    /// The fingerprints of the keys that signed.
    pub fn signer_keys(&self) -> &[Digest] {
        &self.signer_keys
    }

    /// The fingerprints of the keys of the policy that may not sign for the bundle's stream.
    pub fn kept_out(&self) -> &[Digest] {
        &self.kept_out
    }

    /// Whether the bundle's own time is over, which [`Expiry::Ignore`] lets pass.
    pub fn is_expired(&self) -> bool {
        self.expired
    }

    /// Whether enough of the keys that signed may define the names of other registries. Only keys for the
    /// project `cache` may mirror these; a tenant's key, though it may name any source, does not decide which
    /// image a node gets for `docker.io/library/nginx`.
    pub fn speaks_for_sources(&self) -> bool {
        self.speaks_for_sources
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
    /// More countersignatures than are looked at.
    #[error("bundle has {found} countersignatures, and at most {most} are looked at")]
    TooMany {
        /// How many there are.
        found: usize,
        /// How many there may be.
        most: usize,
    },
    /// Fewer keys signed than must.
    #[error("bundle is signed by {} ({}), and {demanded} signatures are required", counted(.signers.len()), .signers.join(", "))]
    TooFew {
        /// How many must sign.
        demanded: usize,
        /// The names of the keys that did.
        signers: Vec<String>,
    },
    /// A key that signed was revoked.
    #[error("bundle is signed by the key '{0}', which is revoked")]
    Revoked(String),
    /// The key that signed is outside its validity period.
    #[error("bundle is signed by the key '{key}' outside its validity period{}{}", bound("from", .since), bound("until", .until))]
    KeyTime {
        /// The key's name.
        key: String,
        /// From when it is trusted.
        since: Option<Timestamp>,
        /// Until when it is trusted.
        until: Option<Timestamp>,
    },
    /// The key that signed may not write to a project.
    #[error("bundle writes to the project '{project}', which the key '{key}' is not allowed to write to")]
    Scope {
        /// The key's name.
        key: String,
        /// The project.
        project: ProjectName,
    },
    /// The key that signed may not sign for a stream.
    #[error("bundle is of the stream '{stream}', for which the key '{key}' may not sign")]
    Stream {
        /// The key's name.
        key: String,
        /// The stream.
        stream: StreamName,
    },
    /// The bundle's own time is over.
    #[error("bundle expired at {0}")]
    Expired(Timestamp),
    /// The statement is signed, but not one that can be acted on.
    #[error(transparent)]
    Statement(#[from] StatementError),
}

fn counted(keys: usize) -> String {
    if keys == 1 { "one key".to_owned() } else { format!("{keys} keys") }
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
    type Err = bundle_oci::ParseProjectError;

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

bundle_oci::serde_as_text!(ProjectPattern);

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
        let head = Unverified { statement: bytes, signature };
        policy.check(head, &[], Timestamp::from_unix(2_000_000_000).unwrap(), &Limits::V1)
    }

    #[test]
    fn only_a_trusted_key_makes_a_trusted_statement() {
        let policy = TrustPolicy::single("ops", key(1).public());
        let trusted = check(&policy, 1).unwrap();
        assert_eq!(trusted.signers(), ["ops"]);
        assert!(trusted.speaks_for_sources());
        assert!(matches!(check(&policy, 2), Err(TrustError::Stranger { .. })));
    }

    #[test]
    fn a_key_is_held_to_its_time_projects_and_streams() {
        let mut policy = TrustPolicy::single("ops", key(1).public());
        policy.keys[0].projects = vec!["tenant-*".parse().unwrap()];
        assert!(matches!(check(&policy, 1), Err(TrustError::Scope { .. })));
        policy.keys[0].projects = vec!["*".parse().unwrap()];
        policy.keys[0].streams = Some(vec!["another".parse().unwrap()]);
        assert!(matches!(check(&policy, 1), Err(TrustError::Stream { .. })));
        policy.keys[0].streams = Some(vec![statement(&[b"layer"]).stream.clone()]);
        check(&policy, 1).unwrap();
        policy.keys[0].until = Some(Timestamp::from_unix(1_900_000_000).unwrap());
        assert!(matches!(check(&policy, 1), Err(TrustError::KeyTime { .. })));
        policy.keys[0].revoked = true;
        assert!(matches!(check(&policy, 1), Err(TrustError::Revoked(_))));
    }

    #[test]
    fn a_threshold_counts_different_keys_that_may_sign() {
        let mut policy = TrustPolicy::single("ops", key(1).public());
        policy.keys.extend(TrustPolicy::single("transfer", key(2).public()).keys);
        policy.signatures = 2;
        let bytes = statement(&[b"layer"]).to_bytes();
        let check = |policy: &TrustPolicy, seeds: &[u8]| {
            let mut signatures: Vec<_> = seeds.iter().map(|&seed| key(seed).sign(&bytes)).collect();
            let head = Unverified { statement: bytes.clone(), signature: signatures.remove(0) };
            policy.check(head, &signatures, Timestamp::from_unix(1_900_000_000).unwrap(), &Limits::V1)
        };
        assert_eq!(check(&policy, &[1, 2]).unwrap().signers(), ["ops", "transfer"]);
        assert_eq!(check(&policy, &[9, 2, 1]).unwrap().signers(), ["ops", "transfer"]);
        for twice in [&[1][..], &[1, 1], &[1, 9], &[1, 1, 9]] {
            assert!(
                matches!(check(&policy, twice), Err(TrustError::TooFew { demanded: 2, .. })),
                "{twice:?}"
            );
        }
        policy.keys[1].projects = vec!["tenant-*".parse().unwrap()];
        assert!(matches!(check(&policy, &[1, 2]), Err(TrustError::Scope { .. })));
        policy.signatures = 1;
        assert_eq!(check(&policy, &[1, 2]).unwrap().signers(), ["ops"]);
        policy.keys[1].revoked = true;
        assert!(matches!(check(&policy, &[1, 2]), Err(TrustError::Revoked(name)) if name == "transfer"));
    }

    #[test]
    fn an_expired_bundle_is_refused_unless_its_time_is_ignored() {
        let mut policy = TrustPolicy::single("ops", key(1).public());
        let expires = Timestamp::from_unix(1_900_000_000).unwrap();
        let draft = crate::Draft { expires: Some(expires), ..statement(&[b"layer"]).draft() };
        let statement = draft.seal(&Limits::V1).unwrap();
        let bytes = statement.to_bytes();
        let check = |policy: &TrustPolicy, now: i64| {
            let head = Unverified { statement: bytes.clone(), signature: key(1).sign(&bytes) };
            policy.check(head, &[], Timestamp::from_unix(now).unwrap(), &Limits::V1)
        };
        assert!(!check(&policy, 1_900_000_000).unwrap().is_expired());
        assert!(matches!(check(&policy, 1_900_000_001), Err(TrustError::Expired(_))));
        policy.expiry = Expiry::Ignore;
        assert!(check(&policy, 1_900_000_001).unwrap().is_expired());
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
