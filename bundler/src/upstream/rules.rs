//! The rules about publishers' signatures, as `policy` of a `bundle.yaml` has them. Takes rules in the order of
//! the file; gives the one that an image falls under, which is the first that means it.

use std::fmt;
use std::str::FromStr;
use std::sync::Arc;

use bundle_oci::{Digest, Printable, Reference};
use bundle_upstream::{Fault, Found, Identity, PublicKeys};

use super::SourcePattern;
use crate::Reason;

/// What becomes of an image whose signature is not verified.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum SignatureAction {
    /// It is an error.
    #[default]
    Require,
    /// It is carried, with a notice.
    Warn,
    /// Signatures are not looked at.
    Ignore,
}

/// A word that is no action.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("'{}' is not one of require, warn, ignore", Printable(.0))]
pub struct ParseActionError(String);

impl FromStr for SignatureAction {
    type Err = ParseActionError;

    fn from_str(text: &str) -> Result<Self, ParseActionError> {
        match text {
            "require" => Ok(Self::Require),
            "warn" => Ok(Self::Warn),
            "ignore" => Ok(Self::Ignore),
            _ => Err(ParseActionError(text.to_owned())),
        }
    }
}

/// A signer by cosign whose signatures count.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum CosignSigner {
    /// The holder of a key.
    Keys {
        /// The file of the public keys, as the rule has it.
        file: String,
        /// The keys, each of which counts.
        keys: PublicKeys,
    },
    /// An identity, which proves itself by certificates of minutes.
    Identity(Identity),
}

impl CosignSigner {
    /// Who signed the manifest or index with this digest, as a signature proves.
    pub(crate) fn check(&self, digest: Digest, found: Found<'_>) -> Result<String, Fault> {
        match self {
            Self::Keys { keys, .. } => {
                let key = keys.check(digest, found)?;
                Ok(format!("key {}", key.fingerprint()))
            }
            Self::Identity(identity) => Ok(format!("identity {}", identity.check(digest, found)?)),
        }
    }
}

impl fmt::Display for CosignSigner {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Keys { file, .. } => write!(f, "the cosign key {}", Printable(file)),
            Self::Identity(identity) => write!(f, "the identity {}", Printable(&identity.to_string())),
        }
    }
}

/// One rule.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SignatureRule {
    /// The images that it is about.
    pub pattern: SourcePattern,
    /// Whose signatures count; nothing if none is looked at.
    pub signer: Option<CosignSigner>,
    /// What becomes of an image without one.
    pub action: SignatureAction,
    /// The place of the rule.
    pub place: Reason,
}

/// The rules about publishers' signatures, in the order in which they count. Copies share them.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct UpstreamPolicy(Arc<Vec<SignatureRule>>);

impl UpstreamPolicy {
    /// The rules in the order of their file.
    pub fn new(rules: Vec<SignatureRule>) -> Self {
        Self(Arc::new(rules))
    }

    /// The rule that an image falls under: the first that means it.
    pub fn rule_for(&self, image: &Reference) -> Option<&SignatureRule> {
        self.0.iter().find(|rule| rule.pattern.holds(image))
    }
}
