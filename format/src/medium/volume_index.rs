//! The index beside a set's volumes: which bytes each of them has, and what each should be.
//! Takes and gives its JSON (docs/format.md §Volumes).

use std::ops::Range;

use bundle_oci::{Digest, json::Bounds};
use serde::{Deserialize, Serialize};

use crate::Limits;

/// The version of the volumes' index that this crate reads and writes.
pub const VOLUMES_VERSION: u32 = 1;

/// The bytes and digests of a set's volumes, from `NAME.volumes.json` beside them. It is not signed: the
/// statement's digests check the content of the volumes. It gives the offset of each volume, and shows which
/// of several is damaged.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, rename_all = "camelCase")]
pub struct VolumeIndex {
    /// [`VOLUMES_VERSION`].
    pub volumes_version: u32,
    /// The digest of the statement: the set's identity.
    pub statement: Digest,
    /// The volumes in their order.
    pub volumes: Vec<VolumeEntry>,
}

/// One volume of an index.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, rename_all = "camelCase")]
pub struct VolumeEntry {
    /// Its size in bytes.
    pub size: u64,
    /// Its digest.
    pub digest: Digest,
}

/// Why bytes are no index of volumes.
#[derive(Debug, thiserror::Error)]
pub enum VolumeIndexError {
    /// A version from another time.
    #[error("index of volumes is of version {0}, and this program reads version {VOLUMES_VERSION}")]
    Version(u64),
    /// No JSON of the expected shape.
    #[error("index of volumes is not valid")]
    Json(#[from] serde_json::Error),
    /// No volume, one that is empty, too many, or more bytes than can be.
    #[error("index of volumes has impossible numbers")]
    Numbers,
}

impl VolumeIndex {
    /// Reads an index.
    ///
    /// # Errors
    /// Any [`VolumeIndexError`].
    pub fn parse(bytes: &[u8], limits: &Limits) -> Result<Self, VolumeIndexError> {
        #[derive(Deserialize)]
        #[serde(rename_all = "camelCase")]
        struct Versioned {
            volumes_version: u64,
        }

        // Two readers must not take the same bytes for two things (docs/format.md §JSON).
        bundle_oci::json::check(bytes, Bounds::STATEMENT, &[], &[])?;
        let versioned: Versioned = serde_json::from_slice(bytes)?;
        if versioned.volumes_version != u64::from(VOLUMES_VERSION) {
            return Err(VolumeIndexError::Version(versioned.volumes_version));
        }
        let index: Self = serde_json::from_slice(bytes)?;
        let total = index.volumes.iter().try_fold(0_u64, |sum, volume| sum.checked_add(volume.size));
        let sound = !index.volumes.is_empty()
            && index.volumes.len() <= limits.volumes
            && index.volumes.iter().all(|volume| volume.size > 0)
            && total.is_some_and(|total| total < 1 << 53);
        if sound { Ok(index) } else { Err(VolumeIndexError::Numbers) }
    }

    /// The index's bytes.
    pub fn to_bytes(&self) -> Vec<u8> {
        serde_json::to_vec(self).expect("an index has no map with keys other than strings")
    }

    /// Where each volume's bytes belong in the archive.
    pub fn ranges(&self) -> Vec<Range<u64>> {
        let mut start = 0;
        let volumes = self.volumes.iter();
        volumes
            .map(|volume| {
                let end = start + volume.size;
                std::mem::replace(&mut start, end)..end
            })
            .collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_index_that_cannot_be_is_refused() {
        let entry = |size| VolumeEntry { size, digest: Digest::of(b"") };
        let index = |volumes| VolumeIndex { volumes_version: 1, statement: Digest::of(b"x"), volumes };
        let good = index(vec![entry(10), entry(5)]);
        assert_eq!(VolumeIndex::parse(&good.to_bytes(), &Limits::V1).unwrap(), good);
        assert_eq!(good.ranges(), [0..10, 10..15]);
        for bad in [vec![], vec![entry(0)], vec![entry(u64::MAX), entry(2)], vec![entry(1); 20_000]] {
            assert!(VolumeIndex::parse(&index(bad).to_bytes(), &Limits::V1).is_err());
        }
        assert!(matches!(
            VolumeIndex::parse(br#"{"volumesVersion":2}"#, &Limits::V1),
            Err(VolumeIndexError::Version(2))
        ));
    }
}
