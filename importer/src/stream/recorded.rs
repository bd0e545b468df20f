//! One record of an accepted bundle, as the manifest that a registry keeps: its bundle, its signer, and
//! whether it is believed (docs/format.md §Record in the registry). Takes a bundle's name and the site's key,
//! gives bytes; takes annotations, gives the bundle's name or why it counts for nothing.

use std::collections::{BTreeMap, HashSet};
use std::fmt::{self, Write as _};
use std::sync::Arc;

use bundle_format::{BundleId, PublicKey, SignatureBytes, Trusted};
use bundle_oci::{Digest, Tag};
use bundle_trust::{SignError, Signer};

use crate::stream::record::{annotations_of, bundle_of, tag_of};

const SIGNERS: &str = "bundle.signers";
const SIGNATURE: &str = "bundle.signature";

/// The start of the signed text. No other document that the site's key signs begins so: receipts are JSON
/// objects.
const DOMAIN: &str = "bundle.accepted.v1";

/// How many signers of a bundle a record names at most; a bundle has at most 33 signatures.
const MOST_SIGNERS: usize = 64;

/// Why what is in a record's place counts for nothing.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Disbelief {
    /// It is no record, or one of another bundle than its tag says.
    NoRecord,
    /// The site has a key, and it did not sign the record.
    Unsigned,
    /// None of the keys that signed the bundle may sign for its stream.
    Signer,
}

impl fmt::Display for Disbelief {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::NoRecord => "is no record of an accepted bundle",
            Self::Unsigned => "is not signed with this site's key",
            Self::Signer => "is of a bundle whose signers may not sign for the stream",
        })
    }
}

/// Whose entries of a record count.
#[derive(Clone, Debug, Default)]
pub enum RecordKeys {
    /// Anybody's: the site has no key.
    #[default]
    Any,
    /// Those that the site's key signed. It signs new ones.
    Site(Arc<Signer>),
    /// Those that one of these keys signed, for who only reads.
    Public(Vec<PublicKey>),
}

impl From<Option<Arc<Signer>>> for RecordKeys {
    fn from(site: Option<Arc<Signer>>) -> Self {
        site.map_or(Self::Any, Self::Site)
    }
}

/// The keys whose records are believed, and the key for new ones.
#[derive(Clone, Debug)]
pub(crate) struct Records {
    keys: RecordKeys,
    /// The signers of the bundle to accept.
    signers: Vec<Digest>,
    /// The keys of the trust policy that may not sign for its stream.
    kept_out: HashSet<Digest>,
}

impl Records {
    /// Those of the stream of a bundle; with the site's key, only records that it signed.
    pub(crate) fn of(trusted: &Trusted, site: Option<Arc<Signer>>) -> Self {
        let kept_out = trusted.kept_out().iter().copied().collect();
        Self { keys: site.into(), signers: trusted.signer_keys().to_vec(), kept_out }
    }

    /// Whether records are signed.
    pub(crate) fn are_signed(&self) -> bool {
        !matches!(self.keys, RecordKeys::Any)
    }

    /// The annotations of a bundle's record. The same bundle gives the same: to remember it twice changes nothing.
    ///
    /// # Errors
    /// It cannot be signed.
    pub(crate) fn annotations(&self, bundle: &BundleId) -> Result<BTreeMap<&'static str, String>, SignError> {
        let signers: Vec<String> = self.signers.iter().take(MOST_SIGNERS).map(Digest::to_string).collect();
        let signers = signers.join(",");
        let mut annotations = annotations_of(bundle);
        self.sign(&mut annotations, &lines(bundle, &signers))?;
        annotations.insert(SIGNERS, signers);
        Ok(annotations)
    }

    /// Those that these keys signed, for which no bundle is accepted.
    pub(crate) fn by(keys: RecordKeys) -> Self {
        Self { keys, signers: Vec::new(), kept_out: HashSet::new() }
    }

    /// Adds the site's signature over lines of text to annotations, where the site has a key. The first line says
    /// what is signed.
    ///
    /// # Errors
    /// It cannot be signed.
    pub(crate) fn sign(
        &self,
        annotations: &mut BTreeMap<&'static str, String>,
        lines: &[String],
    ) -> Result<(), SignError> {
        if let RecordKeys::Site(site) = &self.keys {
            let signature = site.sign(&message(lines))?;
            annotations.insert(SIGNATURE, hex(signature.as_ref()));
        }
        Ok(())
    }

    /// Whether annotations have the site's signature over these lines, or the site has no key.
    pub(crate) fn has_signed(&self, annotations: &BTreeMap<String, String>, lines: &[String]) -> bool {
        let is_by = |message: &[u8], signature: &SignatureBytes| match &self.keys {
            RecordKeys::Any => true,
            RecordKeys::Site(site) => site.public().verify(message, signature),
            RecordKeys::Public(keys) => keys.iter().any(|key| key.verify(message, signature)),
        };
        if !self.are_signed() {
            return true;
        }
        let signature = annotations.get(SIGNATURE).and_then(|text| signature_of(text));
        // No line break can move text from one line into the next.
        let are_lines = lines.iter().all(|line| !line.contains('\n'));
        are_lines && signature.is_some_and(|signature| is_by(&message(lines), &signature))
    }

    /// The bundle that a record says was accepted, if it is believed.
    ///
    /// # Errors
    /// It counts for nothing.
    pub(crate) fn read(
        &self,
        annotations: &BTreeMap<String, String>,
        tag: &Tag,
    ) -> Result<BundleId, Disbelief> {
        let bundle = bundle_of(annotations).filter(|bundle| tag_of(bundle).as_ref() == Some(tag));
        let bundle = bundle.ok_or(Disbelief::NoRecord)?;
        let signers = annotations.get(SIGNERS).map_or("", String::as_str);
        if !self.has_signed(annotations, &lines(&bundle, signers)) {
            return Err(Disbelief::Unsigned);
        }
        let named: Vec<Digest> =
            signers.split(',').take(MOST_SIGNERS).filter_map(|digest| digest.parse().ok()).collect();
        // Old records name no signers.
        if !named.is_empty() && named.iter().all(|signer| self.kept_out.contains(signer)) {
            return Err(Disbelief::Signer);
        }
        Ok(bundle)
    }
}

/// The signed lines of a record.
fn lines(bundle: &BundleId, signers: &str) -> Vec<String> {
    let BundleId { stream, sequence, statement } = bundle;
    vec![
        DOMAIN.to_owned(),
        stream.to_string(),
        sequence.to_string(),
        statement.to_string(),
        signers.to_owned(),
    ]
}

/// Lines as they are signed, each with its end.
fn message(lines: &[String]) -> Vec<u8> {
    lines.iter().flat_map(|line| [line.as_str(), "\n"]).collect::<String>().into_bytes()
}

fn hex(bytes: &[u8]) -> String {
    let mut text = String::with_capacity(2 * bytes.len());
    for byte in bytes {
        // Writing to a string does not fail.
        let _ = write!(text, "{byte:02x}");
    }
    text
}

fn signature_of(text: &str) -> Option<SignatureBytes> {
    let digits = text.bytes().all(|byte| matches!(byte, b'0'..=b'9' | b'a'..=b'f'));
    if !digits || text.len() != 2 * SignatureBytes::LENGTH {
        return None;
    }
    let byte = |at: usize| u8::from_str_radix(text.get(at..at + 2)?, 16).ok();
    let bytes: Option<Vec<u8>> = (0..text.len()).step_by(2).map(byte).collect();
    bytes?.as_slice().try_into().ok()
}

#[cfg(test)]
mod tests {
    use bundle_format::PrivateKey;

    use super::*;

    fn bundle() -> BundleId {
        BundleId {
            stream: "nightly".parse().unwrap(),
            sequence: 42.try_into().unwrap(),
            statement: Digest::of(b"statement"),
        }
    }

    fn records(site: Option<u8>, kept_out: &[&[u8]]) -> Records {
        Records {
            keys: site.map(|seed| Arc::new(Signer::Key(PrivateKey::from_seed(&[seed; 32])))).into(),
            signers: vec![Digest::of(b"tenant")],
            kept_out: kept_out.iter().map(|key| Digest::of(key)).collect(),
        }
    }

    /// As a registry keeps them.
    fn kept(annotations: BTreeMap<&'static str, String>) -> BTreeMap<String, String> {
        annotations.into_iter().map(|(name, value)| (name.to_owned(), value)).collect()
    }

    fn annotations(records: &Records) -> BTreeMap<String, String> {
        let annotations = records.annotations(&bundle()).unwrap();
        assert_eq!(annotations, records.annotations(&bundle()).unwrap());
        kept(annotations)
    }

    #[test]
    fn a_signature_is_for_the_lines_that_were_signed_and_no_others() {
        let lines = |texts: &[&str]| texts.iter().map(|text| (*text).to_owned()).collect::<Vec<_>>();
        let site = records(Some(1), &[]);
        let mut signed = BTreeMap::new();
        site.sign(&mut signed, &lines(&["bundle.taken-back.v1", "a", "b"])).unwrap();
        let signed = kept(signed);
        assert!(site.has_signed(&signed, &lines(&["bundle.taken-back.v1", "a", "b"])));
        for other in [
            &["bundle.taken-back.v1", "a", "c"][..],
            &["bundle.tags.v1", "a", "b"],
            &["bundle.taken-back.v1", "a\nb"],
            &["bundle.taken-back.v1\na", "b"],
        ] {
            assert!(!site.has_signed(&signed, &lines(other)), "{other:?}");
        }
        // A record's signature is none of a mark.
        let record = annotations(&site);
        assert!(!site.has_signed(&record, &lines(&["bundle.taken-back.v1", "nightly", "42"])));
        assert!(records(None, &[]).has_signed(&BTreeMap::new(), &lines(&["bundle.tags.v1"])));
    }

    #[test]
    fn a_record_reads_back_as_it_was_written_and_only_this_sites_key_makes_one() {
        let tag = tag_of(&bundle()).unwrap();
        for site in [None, Some(1)] {
            let records = records(site, &[]);
            assert_eq!(records.read(&annotations(&records), &tag), Ok(bundle()));
        }
        let signed = annotations(&records(Some(1), &[]));
        // A site without a key believes all records, as before.
        assert_eq!(records(None, &[]).read(&signed, &tag), Ok(bundle()));
        let unsigned = annotations(&records(None, &[]));
        let others = annotations(&records(Some(2), &[]));
        let mut moved = signed.clone();
        moved.insert("bundle.sequence".to_owned(), "43".to_owned());
        let moved_tag: Tag = tag.to_string().replace(".42.", ".43.").parse().unwrap();
        let mut signed_by_others = signed.clone();
        signed_by_others.insert(SIGNERS.to_owned(), Digest::of(b"ops").to_string());
        let site = records(Some(1), &[]);
        for (wrong, tag) in
            [(&unsigned, &tag), (&others, &tag), (&moved, &moved_tag), (&signed_by_others, &tag)]
        {
            assert_eq!(site.read(wrong, tag), Err(Disbelief::Unsigned));
        }
        assert_eq!(site.read(&signed, &moved_tag), Err(Disbelief::NoRecord));
        // Who only has public keys reads the same.
        let public = |seed: u8| PrivateKey::from_seed(&[seed; 32]).public();
        let reader = Records::by(RecordKeys::Public(vec![public(3), public(1)]));
        assert_eq!(reader.read(&signed, &tag), Ok(bundle()));
        for wrong in [&unsigned, &others] {
            assert_eq!(reader.read(wrong, &tag), Err(Disbelief::Unsigned));
        }
    }

    #[test]
    fn a_record_of_a_key_that_may_not_sign_for_the_stream_counts_for_nothing() {
        let tag = tag_of(&bundle()).unwrap();
        for site in [None, Some(1)] {
            let written = annotations(&records(site, &[]));
            assert_eq!(records(site, &[b"tenant"]).read(&written, &tag), Err(Disbelief::Signer));
            assert_eq!(records(site, &[b"other"]).read(&written, &tag), Ok(bundle()));
        }
    }

    #[test]
    fn no_receipt_is_taken_for_a_record() {
        let text = message(&lines(&bundle(), ""));
        assert!(!text.starts_with(b"{") && !text.starts_with(b" "));
        assert!(serde_json::from_slice::<serde_json::Value>(&text).is_err());
    }
}
