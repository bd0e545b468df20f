//! The signed document by which one key names its successor.
//! Takes the document, its signatures and a policy; gives the policy with the new key in it.

use bundle_oci::json::Bounds;
use bundle_oci::{Digest, Printable};
use serde::{Deserialize, Serialize};

use crate::{Limits, PublicKey, SignatureBytes, Timestamp, TrustError, TrustPolicy, TrustedKey};

/// The version of the rotation that this crate reads and writes.
pub const ROTATION_VERSION: u32 = 1;

/// A trusted key's statement that another key replaces it (docs/format.md §Key rotation): JSON, signed by the
/// old key, with the raw signature in a file of its own beside it.
///
/// The new key gets at most the old one's scope.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, rename_all = "camelCase")]
pub struct Rotation {
    /// [`ROTATION_VERSION`].
    pub rotation_version: u32,
    /// The fingerprint of the old key, which signs.
    pub from: Digest,
    /// The name of the new key.
    pub name: String,
    /// The new key, as SPKI PEM.
    pub key: String,
    /// Until when the old key stays trusted; for ever, if it does not say.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub retires: Option<Timestamp>,
}

/// Why a rotation is not accepted.
#[derive(Debug, thiserror::Error)]
pub enum RotationError {
    /// A version of the document from another time.
    #[error("rotation is of version {0}, and this program reads version {ROTATION_VERSION}")]
    Version(u64),
    /// No JSON of the expected shape.
    #[error("rotation is not valid")]
    Json(#[from] serde_json::Error),
    /// A name that is empty, too long or not printable.
    #[error("rotation gives the new key a name that is not printable")]
    Name,
    /// A key that cannot be used.
    #[error("rotation has a key that cannot be used")]
    Key(#[from] crate::KeyError),
    /// No trusted key made the signature, or the document was changed afterwards.
    #[error("rotation is not signed by a trusted key, or was changed after it was signed")]
    Stranger,
    /// A key that signed was revoked.
    #[error("rotation is signed by the key '{0}', which is revoked")]
    Revoked(String),
    /// A key that signed is past its time.
    #[error("rotation is signed by the key '{0}', whose validity period is over")]
    Retired(String),
    /// Fewer keys signed than must.
    #[error("rotation is signed by {} of the {demanded} keys that are required", .signers.len())]
    TooFew {
        /// How many must sign.
        demanded: usize,
        /// The names of the keys that did.
        signers: Vec<String>,
    },
    /// Signed by trusted keys, but not by the one that is to be replaced.
    #[error("rotation of the key {0} is not signed by that key")]
    NotByItself(Digest),
    /// A new key that the site knows already and does not trust.
    #[error("rotation names the key '{0}', which is revoked here")]
    RevokedNew(String),
    /// Another key has the name.
    #[error("rotation names the key '{0}', and another key has this name here")]
    NameTaken(String),
}

impl Rotation {
    /// The document's bytes, to be signed and written.
    pub fn to_bytes(&self) -> Vec<u8> {
        serde_json::to_vec(self).expect("a rotation has no map with keys other than strings")
    }

    /// Checks a rotation against the keys that are trusted now, and gives the policy with the new
    /// key in it. A rotation that was accepted before changes nothing.
    ///
    /// # Errors
    /// Any [`RotationError`]. Nothing of the document is looked at before a key that is not revoked
    /// has signed it.
    pub fn accept(
        bytes: &[u8],
        signatures: &[SignatureBytes],
        policy: &TrustPolicy,
        now: Timestamp,
        limits: &Limits,
    ) -> Result<(Self, TrustPolicy), RotationError> {
        let signers = policy.signers(bytes, signatures).map_err(|error| match error {
            TrustError::Revoked(name) => RotationError::Revoked(name),
            _ => RotationError::Stranger,
        })?;
        let rotation = Self::parse(bytes, limits)?;
        let key = PublicKey::from_pem(&rotation.key)?;
        if let Some(retired) = signers.iter().find(|signer| signer.until.is_some_and(|until| now > until)) {
            return Err(RotationError::Retired(retired.name.clone()));
        }
        if signers.len() < policy.signatures {
            let signers = signers.into_iter().map(|signer| signer.name.clone()).collect();
            return Err(RotationError::TooFew { demanded: policy.signatures, signers });
        }
        let Some(old) = signers.into_iter().find(|signer| signer.key.fingerprint() == rotation.from) else {
            return Err(RotationError::NotByItself(rotation.from));
        };
        let mut after = policy.clone();
        if let Some(known) = policy.keys.iter().find(|known| known.key == key) {
            if known.revoked {
                return Err(RotationError::RevokedNew(known.name.clone()));
            }
        } else if policy.keys.iter().any(|known| known.name == rotation.name) {
            return Err(RotationError::NameTaken(rotation.name));
        } else {
            after.keys.push(TrustedKey {
                name: rotation.name.clone(),
                key,
                projects: old.projects.clone(),
                streams: old.streams.clone(),
                since: None,
                until: None,
                revoked: false,
            });
        }
        for known in &mut after.keys {
            // A later word must not give the old key more time than an earlier one.
            if known.key == old.key
                && let Some(retires) = rotation.retires
            {
                known.until = Some(known.until.map_or(retires, |until| until.min(retires)));
            }
        }
        Ok((rotation, after))
    }

    fn parse(bytes: &[u8], limits: &Limits) -> Result<Self, RotationError> {
        #[derive(Deserialize)]
        #[serde(rename_all = "camelCase")]
        struct Versioned {
            rotation_version: u64,
        }

        // Two readers must not take the same bytes for two things (docs/format.md §JSON).
        bundle_oci::json::check(bytes, Bounds::STATEMENT, &[], &[])?;
        let versioned: Versioned = serde_json::from_slice(bytes)?;
        if versioned.rotation_version != u64::from(ROTATION_VERSION) {
            return Err(RotationError::Version(versioned.rotation_version));
        }
        let rotation: Self = serde_json::from_slice(bytes)?;
        let name = &rotation.name;
        if name.is_empty() || name.len() > limits.reasons || Printable(name).to_string() != *name {
            return Err(RotationError::Name);
        }
        Ok(rotation)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::PrivateKey;

    fn key(seed: u8) -> PrivateKey {
        PrivateKey::from_seed(&[seed; 32])
    }

    fn rotation(from: u8, to: u8) -> Rotation {
        Rotation {
            rotation_version: ROTATION_VERSION,
            from: key(from).public().fingerprint(),
            name: format!("key-{to}"),
            key: key(to).public().to_pem().unwrap(),
            retires: Some(Timestamp::from_unix(1_900_000_000).unwrap()),
        }
    }

    fn accept(
        rotation: &Rotation,
        signers: &[u8],
        policy: &TrustPolicy,
    ) -> Result<TrustPolicy, RotationError> {
        let bytes = rotation.to_bytes();
        let signatures: Vec<_> = signers.iter().map(|&seed| key(seed).sign(&bytes)).collect();
        let now = Timestamp::from_unix(1_800_000_000).unwrap();
        Rotation::accept(&bytes, &signatures, policy, now, &Limits::V1).map(|(_, policy)| policy)
    }

    #[test]
    fn the_old_key_gives_the_new_one_its_place_and_no_more() {
        let mut policy = TrustPolicy::single("key-1", key(1).public());
        policy.keys[0].projects = vec!["tenant-a".parse().unwrap()];
        let after = accept(&rotation(1, 2), &[1], &policy).unwrap();
        assert_eq!(after.keys.len(), 2);
        assert_eq!(after.keys[1].projects, policy.keys[0].projects);
        assert_eq!(after.keys[0].until, Timestamp::from_unix(1_900_000_000).ok());
        // Twice is once, and the chain goes on.
        assert_eq!(accept(&rotation(1, 2), &[1], &after).unwrap().keys.len(), 2);
        assert_eq!(accept(&rotation(2, 3), &[2], &after).unwrap().keys.len(), 3);
    }

    #[test]
    fn nobody_else_replaces_a_key() {
        use RotationError as E;
        let mut policy = TrustPolicy::single("key-1", key(1).public());
        policy.keys.extend(TrustPolicy::single("key-2", key(2).public()).keys);
        assert!(matches!(accept(&rotation(1, 3), &[9], &policy), Err(E::Stranger)));
        assert!(matches!(accept(&rotation(1, 3), &[2], &policy), Err(E::NotByItself(_))));
        assert!(matches!(
            accept(&Rotation { name: "key-2".to_owned(), ..rotation(1, 3) }, &[1], &policy),
            Err(E::NameTaken(_))
        ));
        assert!(matches!(
            accept(&Rotation { name: "\u{1b}".to_owned(), ..rotation(1, 3) }, &[1], &policy),
            Err(E::Name)
        ));
        policy.signatures = 2;
        assert!(matches!(accept(&rotation(1, 3), &[1], &policy), Err(E::TooFew { .. })));
        assert_eq!(accept(&rotation(1, 3), &[1, 2], &policy).unwrap().keys.len(), 3);
        policy.signatures = 1;
        policy.keys[1].revoked = true;
        assert!(matches!(accept(&rotation(2, 3), &[2], &policy), Err(E::Revoked(_))));
        assert!(matches!(accept(&rotation(1, 2), &[1], &policy), Err(E::RevokedNew(_))));
    }

    #[test]
    fn a_retired_key_cannot_rotate() {
        let mut policy = TrustPolicy::single("key-1", key(1).public());
        policy.keys[0].until = Timestamp::from_unix(1_700_000_000).ok();
        let refused = accept(&rotation(1, 2), &[1], &policy);
        assert!(matches!(refused, Err(RotationError::Retired(_))));
    }
}
