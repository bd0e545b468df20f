//! The result of a scan, read again for those who approve the bundle: by whose key, on which bundle, and what it says of
//! each image. Takes a file, keys and the bundle's statement; gives verdicts by image, or why there are none.

use std::collections::HashMap;
use std::path::Path;

use bundle_format::PublicKey;
use bundle_oci::Digest;
use bundle_trust::{SignatureFileError, read_signature};
use serde::Deserialize;

use crate::record::signature_path;
use crate::{Exception, Judged, Limits, RecordError, ScanRecord};

/// A result that is about one certain bundle.
#[derive(Clone, Debug)]
pub struct SeenScan {
    record: ScanRecord,
    digest: Digest,
    signer: Option<PublicKey>,
    /// Positions by the image's name and digest.
    places: HashMap<(String, Digest), usize>,
}

/// An exception of a result, and what it covers.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Used<'a> {
    /// The exception.
    pub exception: &'a Exception,
    /// The images in which it covers something, in the order of the result.
    pub images: Vec<&'a str>,
}

impl SeenScan {
    /// Reads the result of the scan of the bundle with this statement. With `keys`, one of them must have made the
    /// signature beside it.
    ///
    /// # Errors
    /// Any [`RecordError`].
    pub fn read(
        path: &Path,
        keys: &[PublicKey],
        statement: Digest,
        limits: &Limits,
    ) -> Result<Self, RecordError> {
        #[derive(Deserialize)]
        #[serde(rename_all = "camelCase")]
        struct Versioned {
            scan_version: u64,
        }

        let failed = |source| RecordError::Read { path: path.to_owned(), source };
        let most = if keys.is_empty() { limits.unsigned_record } else { limits.record };
        let bytes = bundle_os::read(path, most).map_err(failed)?;
        let signer = match keys {
            [] => None,
            keys => Some(signer(path, &bytes, keys)?),
        };
        let json = |source| RecordError::Json { path: path.to_owned(), source };
        let versioned: Versioned = serde_json::from_slice(&bytes).map_err(json)?;
        if versioned.scan_version != u64::from(ScanRecord::VERSION) {
            return Err(RecordError::Version { path: path.to_owned(), found: versioned.scan_version });
        }
        let record: ScanRecord = serde_json::from_slice(&bytes).map_err(json)?;
        if record.bundle.statement != statement {
            return Err(RecordError::OtherBundle { path: path.to_owned(), found: record.bundle });
        }
        let places = record.images.iter().enumerate();
        let places = places.map(|(at, image)| ((image.image.clone(), image.digest), at)).collect();
        Ok(Self { digest: Digest::of(&bytes), record, signer, places })
    }

    /// The result.
    pub fn record(&self) -> &ScanRecord {
        &self.record
    }

    /// The digest of its file.
    pub fn digest(&self) -> Digest {
        self.digest
    }

    /// The key that signed it; none if no key was checked.
    pub fn signer(&self) -> Option<&PublicKey> {
        self.signer.as_ref()
    }

    /// What it says of an image of this name at the destination, and this digest.
    pub fn on(&self, name: &str, digest: Digest) -> Option<&Judged> {
        let place = self.places.get(&(name.to_owned(), digest))?;
        self.record.images.get(*place)
    }

    /// The exceptions that cover something, in the order of their last day.
    pub fn used(&self) -> Vec<Used<'_>> {
        let mut places: HashMap<&Exception, usize> = HashMap::new();
        let mut all: Vec<Used<'_>> = Vec::new();
        for image in &self.record.images {
            for exception in image.exceptions() {
                let place = *places.entry(exception).or_insert_with(|| {
                    all.push(Used { exception, images: Vec::new() });
                    all.len() - 1
                });
                if all[place].images.last() != Some(&image.image.as_str()) {
                    all[place].images.push(&image.image);
                }
            }
        }
        // As dates are written, their order as texts is that of days.
        all.sort_by(|one, other| {
            let key = |it: &Used<'_>| (it.exception.expires.clone(), it.exception.vulnerability.clone());
            key(one).cmp(&key(other))
        });
        all
    }
}

/// Which of the keys signed.
fn signer(path: &Path, bytes: &[u8], keys: &[PublicKey]) -> Result<PublicKey, RecordError> {
    let unsigned = || RecordError::NotSigned(path.to_owned());
    let signature = match read_signature(&signature_path(path)) {
        Err(SignatureFileError::Read { source, .. }) if source.kind() == std::io::ErrorKind::NotFound => {
            return Err(unsigned());
        }
        read => read?,
    };
    keys.iter().find(|key| key.verify(bytes, &signature)).cloned().ok_or_else(unsigned)
}

#[cfg(test)]
mod tests {
    use bundle_format::PrivateKey;
    use bundle_trust::Signer;

    use super::*;
    use crate::record::tests::record;
    use crate::{WrittenScan, write_record};

    #[test]
    fn a_result_counts_for_its_bundle_and_by_its_key() {
        let directory = tempfile::tempdir().unwrap();
        let places = WrittenScan::places(&directory.path().join("nightly.tar"), None);
        let (key, stranger) = (PrivateKey::from_seed(&[1; 32]), PrivateKey::from_seed(&[2; 32]).public());
        let public = key.public();
        let mut record = record();
        let statement = record.bundle.statement;
        write_record(&places, &mut record, Some(&Signer::Key(key))).unwrap();
        let read =
            |keys: &[PublicKey], statement| SeenScan::read(&places.record, keys, statement, &Limits::DEFAULT);
        let seen = read(&[stranger.clone(), public.clone()], statement).unwrap();
        assert_eq!((seen.record(), seen.signer()), (&record, Some(&public)));
        assert_eq!(seen.digest(), Digest::of(&std::fs::read(&places.record).unwrap()));
        assert!(read(&[], statement).unwrap().signer().is_none());
        assert!(matches!(read(&[stranger], statement), Err(RecordError::NotSigned(_))));
        let other = Digest::of(b"another bundle");
        for keys in [&[][..], std::slice::from_ref(&public)] {
            assert!(matches!(read(keys, other), Err(RecordError::OtherBundle { .. })));
        }
        write_record(&places, &mut record, None).unwrap();
        assert!(matches!(read(&[public], statement), Err(RecordError::NotSigned(_))));
        std::fs::write(&places.record, "{\"scanVersion\":2}").unwrap();
        assert!(matches!(read(&[], statement), Err(RecordError::Version { found: 2, .. })));
        std::fs::write(&places.record, "{\"receiptVersion\":1}").unwrap();
        assert!(matches!(read(&[], statement), Err(RecordError::Json { .. })));
    }

    #[test]
    fn an_image_is_found_by_name_and_digest_and_exceptions_with_their_images() {
        let directory = tempfile::tempdir().unwrap();
        let places = WrittenScan::places(&directory.path().join("nightly.tar"), None);
        let mut record = record();
        write_record(&places, &mut record, None).unwrap();
        let seen = SeenScan::read(&places.record, &[], record.bundle.statement, &Limits::DEFAULT).unwrap();
        let digest = record.images[0].digest;
        assert_eq!(seen.on("cache/a:1", digest), Some(&record.images[0]));
        assert_eq!(seen.on("cache/a:2", digest), None);
        assert_eq!(seen.on("cache/a:1", Digest::of(b"other")), None);
        let used = seen.used();
        assert_eq!((used.len(), used[0].exception.owner.as_str()), (1, "o"));
        assert_eq!(used[0].images, ["cache/a:1"]);
    }
}
