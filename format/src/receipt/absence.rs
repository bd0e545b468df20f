//! The absence notice of an import that could not be: signed JSON that names what the bundle builds on and the far side
//! has no longer. Takes and gives its bytes; its signature lies beside it, as a receipt's does.

use std::collections::HashSet;

use bundle_oci::json::Bounds;
use bundle_oci::{Digest, RegistryPath};
use serde::{Deserialize, Serialize};

use crate::object::{self, Object};
use crate::{BundleId, CompactBase, Limits, PublicKey, SignatureBytes, SiteName, Timestamp};

/// The version of the notice that this crate reads and writes.
const ABSENCE_VERSION: u32 = 1;

/// The bytes of all blobs in a notice: 16 MiB, less what stands before them.
const MOST_NAMED: usize = 15 << 20;
/// The bytes of a blob in a notice beside its repository: a digest, a length and the names of fields.
const BESIDE_A_NAME: usize = 160;

/// What a bundle builds on and the far side has no longer, although a receipt once proved it (docs/format.md
/// §Absence notices): it goes back to the connected side, whose next bundle does not build on it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, rename_all = "camelCase")]
pub struct AbsenceNotice {
    absence_version: u32,
    /// The bundle that could not be imported for it.
    #[serde(deserialize_with = "object::one")]
    pub bundle: BundleId,
    /// The name of the site.
    pub site: SiteName,
    /// The registry that lacks the blobs, with the path below which all repositories are.
    pub registry: RegistryPath,
    /// When it was noticed, by the importing machine's clock.
    pub noticed: Timestamp,
    /// The blobs, each with a repository that lacks it: at least one.
    #[serde(deserialize_with = "object::many")]
    pub blobs: Vec<CompactBase>,
}

/// Why bytes are no absence notice that can be used.
#[derive(Debug, thiserror::Error)]
pub enum AbsenceError {
    /// A version of the notice from another time.
    #[error("absence notice is of version {0}, and this program reads version {ABSENCE_VERSION}")]
    Version(u64),
    /// No JSON of the expected shape.
    #[error("absence notice is not valid")]
    Json(#[from] serde_json::Error),
    /// More bytes or blobs than [`Limits`] allow.
    #[error("absence notice has {found} {what}, more than the {limit} allowed")]
    TooMany {
        /// What was counted.
        what: &'static str,
        /// How many there are.
        found: u64,
        /// How many there may be.
        limit: u64,
    },
    /// One blob twice in a repository.
    #[error("absence notice names {0} twice in one repository")]
    Repeated(Digest),
    /// Nothing is absent.
    #[error("absence notice names no blob")]
    Empty,
    /// No trusted key made the signature, or the notice was changed afterwards.
    #[error("absence notice is not signed by the site's key, or was changed after it was signed")]
    Signature,
}

impl AbsenceNotice {
    /// A notice of these blobs; each pair of blob and repository is named once. What would make it longer than a reader
    /// takes is left out: the next bundle's notice names it.
    pub fn new(
        bundle: BundleId,
        site: SiteName,
        registry: RegistryPath,
        noticed: Timestamp,
        mut blobs: Vec<CompactBase>,
    ) -> Self {
        let key = |blob: &CompactBase| (blob.repository.clone(), blob.digest);
        blobs.sort_by_key(key);
        blobs.dedup_by_key(|blob| key(blob));
        let mut room = MOST_NAMED;
        let fits = blobs.iter().take_while(|blob| {
            let length = BESIDE_A_NAME + blob.repository.as_str().len();
            room.checked_sub(length).inspect(|rest| room = *rest).is_some()
        });
        blobs.truncate(fits.count());
        Self { absence_version: ABSENCE_VERSION, bundle, site, registry, noticed, blobs }
    }

    /// Whether it says what another says, at whatever time.
    pub fn repeats(&self, other: &Self) -> bool {
        Self { noticed: other.noticed, ..self.clone() } == *other
    }

    /// Reads a notice. Whether its signature holds is for [`AbsenceNotice::verify`] to say.
    ///
    /// # Errors
    /// It is too large, of another version, or not consistent.
    pub fn parse(bytes: &[u8], limits: &Limits) -> Result<Self, AbsenceError> {
        #[derive(Deserialize)]
        #[serde(rename_all = "camelCase")]
        struct Versioned {
            absence_version: u64,
        }

        over("bytes", bytes.len() as u64, limits.absence)?;
        bundle_oci::json::check(bytes, Bounds::STATEMENT, &[], &[])?;
        let versioned: Versioned = serde_json::from_slice(bytes)?;
        if versioned.absence_version != u64::from(ABSENCE_VERSION) {
            return Err(AbsenceError::Version(versioned.absence_version));
        }
        let Object(notice) = serde_json::from_slice::<Object<Self>>(bytes)?;
        over("blobs", notice.blobs.len() as u64, limits.blobs as u64)?;
        let mut seen = HashSet::with_capacity(notice.blobs.len());
        let twice = notice.blobs.iter().find(|blob| !seen.insert((&blob.repository, blob.digest)));
        match twice {
            Some(blob) => Err(AbsenceError::Repeated(blob.digest)),
            None if notice.blobs.is_empty() => Err(AbsenceError::Empty),
            None => Ok(notice),
        }
    }

    /// Reads a notice that one of `keys` has signed.
    ///
    /// # Errors
    /// Any [`AbsenceError`]. Nothing of the notice is looked at before its signature holds.
    pub fn verify(
        bytes: &[u8],
        signature: &SignatureBytes,
        keys: &[PublicKey],
        limits: &Limits,
    ) -> Result<Self, AbsenceError> {
        over("bytes", bytes.len() as u64, limits.absence)?;
        if !keys.iter().any(|key| key.verify(bytes, signature)) {
            return Err(AbsenceError::Signature);
        }
        Self::parse(bytes, limits)
    }

    /// The notice's bytes, to be signed and written.
    pub fn to_bytes(&self) -> Vec<u8> {
        serde_json::to_vec(self).expect("a notice has no map with keys other than strings")
    }
}

fn over(what: &'static str, found: u64, limit: u64) -> Result<(), AbsenceError> {
    if found > limit { Err(AbsenceError::TooMany { what, found, limit }) } else { Ok(()) }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::testing::{key, receipt};

    fn notice() -> AbsenceNotice {
        let of = receipt();
        let blob = |number: u8, repository: &str| CompactBase {
            digest: Digest::of(&[number]),
            size: 7,
            repository: repository.parse().unwrap(),
        };
        let blobs = vec![blob(2, "cache/b"), blob(1, "cache/a"), blob(2, "cache/b"), blob(2, "cache/a")];
        AbsenceNotice::new(of.bundle, of.site, of.registry, of.imported, blobs)
    }

    #[test]
    fn a_notice_names_each_blob_of_a_repository_once_and_reads_back_as_written() {
        let notice = notice();
        assert_eq!(notice.blobs.len(), 3);
        let bytes = notice.to_bytes();
        let signature = key().sign(&bytes);
        let read = AbsenceNotice::verify(&bytes, &signature, &[key().public()], &Limits::V1).unwrap();
        assert_eq!(read, notice);
        let later = AbsenceNotice { noticed: Timestamp::now(), ..read };
        assert!(later.repeats(&notice));
    }

    #[test]
    fn a_notice_of_all_that_a_large_registry_lost_is_one_that_can_be_read() {
        let of = receipt();
        let blobs = (0..200_000_u32)
            .map(|number| CompactBase {
                digest: Digest::of(&number.to_le_bytes()),
                size: u64::MAX,
                repository: "cache/docker.io/library/nginx".parse().unwrap(),
            })
            .collect();
        let notice = AbsenceNotice::new(of.bundle, of.site, of.registry, of.imported, blobs);
        assert!(notice.blobs.len() > 50_000);
        assert_eq!(AbsenceNotice::parse(&notice.to_bytes(), &Limits::V1).unwrap(), notice);
    }

    #[test]
    fn only_the_sites_key_makes_a_notice_that_is_believed() {
        let bytes = notice().to_bytes();
        let stranger = crate::PrivateKey::from_seed(&[9; 32]);
        let read = |signature: &SignatureBytes| {
            AbsenceNotice::verify(&bytes, signature, &[key().public()], &Limits::V1)
        };
        assert!(matches!(read(&stranger.sign(&bytes)), Err(AbsenceError::Signature)));
    }

    #[test]
    fn what_is_not_understood_is_refused() {
        let altered = |change: fn(&mut serde_json::Value)| {
            let mut value = serde_json::to_value(notice()).unwrap();
            change(&mut value);
            AbsenceNotice::parse(&serde_json::to_vec(&value).unwrap(), &Limits::V1).unwrap_err()
        };
        use AbsenceError as E;
        assert!(matches!(altered(|n| n["absenceVersion"] = 2.into()), E::Version(2)));
        assert!(matches!(altered(|n| n["more"] = 1.into()), E::Json(_)));
        assert!(matches!(altered(|n| n["blobs"] = serde_json::json!([])), E::Empty));
        assert!(matches!(altered(|n| n["blobs"][0] = n["blobs"][1].clone()), E::Repeated(_)));
        assert!(matches!(altered(|n| n["blobs"][0]["repository"] = "../up".into()), E::Json(_)));
    }
}
