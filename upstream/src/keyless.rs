//! Signatures without a long-lived key: a certificate of minutes, which an authority gave to an identity, and the entry
//! in a public log that shows when it was used. Takes a trusted root that lies in a file, an issuer and an identity;
//! gives whose signature a Sigstore bundle has. No network: all that is needed is in the bundle and in the root.

use std::fmt;
use std::sync::Arc;

use bundle_oci::Digest;
use sigstore_verify::trust_root::TrustedRoot;
use sigstore_verify::types::{Bundle, Sha256Hash};
use sigstore_verify::{VerificationPolicy, Verifier};

use crate::{Fault, Found, Limits, older, sigstore, simple};

/// An identity, and the authorities that may vouch for it.
#[derive(Clone)]
pub struct Identity {
    verifier: Arc<Verifier>,
    /// The digest of the root's text: what the same root is.
    root: Digest,
    issuer: String,
    subject: Subject,
}

/// The identities that count.
#[derive(Clone, Debug, PartialEq, Eq)]
enum Subject {
    /// This one.
    Exactly(String),
    /// Those that begin so.
    Below(String),
}

/// Why there is no such identity.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum IdentityError {
    /// The root is none, or has something in it that cannot be used.
    #[error("cannot be used as a trusted root of Sigstore: {0}")]
    Root(String),
    /// A root without a log or an authority: nothing would ever count.
    #[error("has no certificate authority, no transparency log or no log of certificates")]
    Empty,
    /// No identity.
    #[error("an identity is an address or a URI; '*' stands at its end, after the name of a host or more")]
    Identity,
    /// No issuer.
    #[error("an issuer is a URI, such as https://token.actions.githubusercontent.com")]
    Issuer,
}

impl Identity {
    /// The identity `identity`, which `issuer` knows, by the authorities of the text of a `trusted_root.json`. A `*` at the
    /// identity's end stands for any text.
    ///
    /// # Errors
    /// Any [`IdentityError`].
    pub fn new(root: &str, issuer: &str, identity: &str) -> Result<Self, IdentityError> {
        let wrong = |error: &dyn std::error::Error| IdentityError::Root(bundle_oci::chain(error));
        let parsed = TrustedRoot::from_json(root).map_err(|error| wrong(&error))?;
        if parsed.certificate_authorities.is_empty() || parsed.tlogs.is_empty() || parsed.ctlogs.is_empty() {
            return Err(IdentityError::Empty);
        }
        let verifier = Verifier::new(&parsed).map_err(|error| wrong(&error))?;
        if !issuer.starts_with("https://") && !issuer.starts_with("http://") {
            return Err(IdentityError::Issuer);
        }
        Ok(Self {
            verifier: Arc::new(verifier),
            root: Digest::of(root.as_bytes()),
            issuer: issuer.to_owned(),
            subject: Subject::parse(identity)?,
        })
    }

    /// Who signed the manifest or index with this digest, as a signature proves.
    ///
    /// # Errors
    /// Why it proves nothing.
    pub fn check(&self, digest: Digest, found: Found<'_>) -> Result<String, Fault> {
        // Chain, SCT, log entry with promise or proof and checkpoint, time, signature; the identity is compared below.
        let policy = VerificationPolicy::any_identity().require_issuer(self.issuer.clone());
        let unread = |_| Fault::Malformed("it is no Sigstore bundle");
        let unproved = |error: sigstore_verify::Error| {
            Fault::NotProved(bundle_oci::chain(&error).chars().take(Limits::DEFAULT.reason).collect())
        };
        let (proved, claims) = match found {
            Found::Bundle(bytes) => {
                let bundle = sigstore::read(bytes)?;
                if !bundle.has_certificate() {
                    return Err(Fault::Key);
                }
                let text =
                    std::str::from_utf8(bytes).map_err(|_| Fault::Malformed("it is no Sigstore bundle"))?;
                let parsed = Bundle::from_json(text).map_err(unread)?;
                let hash = Sha256Hash::from_hex(&digest.hex()).map_err(unread)?;
                let proved = self.verifier.verify(hash, &parsed, &policy).map_err(unproved)?;
                (proved, bundle.envelope.claims(digest))
            }
            Found::Simple { payload, signature, beside } => {
                let read = simple::read(payload, signature)?;
                let bundle =
                    Bundle::from_json(&older::bundle(payload, signature, beside)?).map_err(unread)?;
                let proved = self.verifier.verify(payload, &bundle, &policy).map_err(unproved)?;
                (proved, read.claims(digest))
            }
        };
        // The library says what it checked; less than all of it is no proof.
        if !(proved.certificate_verified() && proved.sct_verified() && proved.tlog_verified()) {
            return Err(Fault::NotProved("not all of it was checked".to_owned()));
        }
        let by = proved.identity().map(|name| name.as_str().to_owned()).unwrap_or_default();
        if !self.subject.holds(&by) {
            return Err(Fault::OtherIdentity(by.chars().take(Limits::DEFAULT.reason).collect()));
        }
        claims?;
        Ok(by)
    }
}

impl Subject {
    fn parse(text: &str) -> Result<Self, IdentityError> {
        let (subject, prefix) = match text.strip_suffix('*') {
            Some(prefix) => (Self::Below(prefix.to_owned()), prefix),
            None => (Self::Exactly(text.to_owned()), text),
        };
        // `https://*` would be everybody.
        let host = prefix.split_once("://").map_or(prefix, |(_, rest)| rest);
        let whole = matches!(subject, Self::Exactly(_)) || host.contains('/');
        if host.is_empty() || prefix.contains('*') || !whole || prefix.chars().any(char::is_control) {
            return Err(IdentityError::Identity);
        }
        Ok(subject)
    }

    fn holds(&self, identity: &str) -> bool {
        match self {
            Self::Exactly(one) => one == identity,
            Self::Below(prefix) => identity.starts_with(prefix.as_str()),
        }
    }
}

impl fmt::Display for Identity {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.subject {
            Subject::Exactly(one) => f.write_str(one),
            Subject::Below(prefix) => write!(f, "{prefix}*"),
        }
    }
}

impl fmt::Debug for Identity {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Identity({self} by {})", self.issuer)
    }
}

/// The same identity by the same authorities.
impl PartialEq for Identity {
    fn eq(&self, other: &Self) -> bool {
        (self.root, &self.issuer, &self.subject) == (other.root, &other.issuer, &other.subject)
    }
}

impl Eq for Identity {}

#[cfg(test)]
mod tests {
    use bundle_test_servers::{KeylessSignature, OlderSignature, Sigstore};
    use serde_json::{Value, json};

    use super::*;
    use crate::Annotations;

    const ISSUER: &str = "https://token.actions.githubusercontent.com";
    const WORKFLOW: &str = "https://github.com/acme/app/.github/workflows/release.yml@refs/tags/*";

    fn identity(root: &Value, issuer: &str, identity: &str) -> Identity {
        Identity::new(&root.to_string(), issuer, identity).unwrap()
    }

    fn check(identity: &Identity, image: Digest, bundle: &Value) -> Result<String, Fault> {
        identity.check(image, Found::Bundle(bundle.to_string().as_bytes()))
    }

    fn scene() -> (Sigstore, Identity, Digest) {
        let sigstore = Sigstore::new();
        let acme = identity(&sigstore.trusted_root(), ISSUER, WORKFLOW);
        (sigstore, acme, Digest::of(b"image"))
    }

    #[test]
    fn a_signature_counts_for_its_image_its_identity_and_its_issuer_only() {
        let (sigstore, acme, image) = scene();
        let right = KeylessSignature::default();
        let sign = |signature: &KeylessSignature| sigstore.sign(&image.to_string(), signature);
        let bundle = sign(&right);
        assert_eq!(check(&acme, image, &bundle).unwrap(), right.identity);
        assert!(matches!(check(&acme, Digest::of(b"other"), &bundle), Err(Fault::NotProved(_))));
        let person = KeylessSignature { identity: "ops@acme.example".to_owned(), ..right.clone() };
        assert_eq!(
            check(&acme, image, &sign(&person)),
            Err(Fault::OtherIdentity("ops@acme.example".to_owned()))
        );
        let ops = identity(&sigstore.trusted_root(), ISSUER, "ops@acme.example");
        assert_eq!(check(&ops, image, &sign(&person)).unwrap(), "ops@acme.example");
        let evil = "https://github.com/acme/app/.github/workflows/release.yml.evil@refs/tags/v1".to_owned();
        let evil = KeylessSignature { identity: evil, ..right.clone() };
        assert!(matches!(check(&acme, image, &sign(&evil)), Err(Fault::OtherIdentity(_))));
        let other = KeylessSignature { issuer: "https://evil.example".to_owned(), ..right.clone() };
        assert!(matches!(check(&acme, image, &sign(&other)), Err(Fault::NotProved(_))));
        // What says something else of the image is no signature of it.
        let provenance = "https://slsa.dev/provenance/v1".to_owned();
        let attestation = KeylessSignature { predicate: provenance.clone(), ..right };
        assert_eq!(check(&acme, image, &sign(&attestation)), Err(Fault::Attestation(provenance)));
    }

    #[test]
    fn each_authority_of_the_root_has_its_part_in_the_proof() {
        let (sigstore, _, image) = scene();
        let (root, stranger) = (sigstore.trusted_root(), Sigstore::new().trusted_root());
        let bundle = sigstore.sign(&image.to_string(), &KeylessSignature::default());
        for part in ["certificateAuthorities", "tlogs", "ctlogs"] {
            let mut mixed = root.clone();
            mixed[part] = stranger[part].clone();
            let found = check(&identity(&mixed, ISSUER, WORKFLOW), image, &bundle);
            assert!(matches!(found, Err(Fault::NotProved(_))), "{part}: {found:?}");
            mixed[part] = json!([]);
            let none = Identity::new(&mixed.to_string(), ISSUER, WORKFLOW);
            assert_eq!(none.unwrap_err(), IdentityError::Empty, "{part}");
        }
        // An authority counts for its time only.
        let mut ended = root.clone();
        ended["certificateAuthorities"][0]["validFor"]["end"] = json!("2026-05-01T00:00:00Z");
        assert!(matches!(
            check(&identity(&ended, ISSUER, WORKFLOW), image, &bundle),
            Err(Fault::NotProved(_))
        ));
    }

    #[test]
    fn a_signature_after_the_certificate_or_without_the_logs_counts_for_nothing() {
        let (sigstore, acme, image) = scene();
        let right = KeylessSignature::default();
        for wrong in [
            KeylessSignature { after: 601, ..right.clone() },
            KeylessSignature { after: -1, ..right.clone() },
            KeylessSignature { logged: false, ..right.clone() },
        ] {
            let found = check(&acme, image, &sigstore.sign(&image.to_string(), &wrong));
            assert!(matches!(found, Err(Fault::NotProved(_))), "{wrong:?}: {found:?}");
        }
        let bundle = sigstore.sign(&image.to_string(), &right);
        let other = sigstore.sign(&image.to_string(), &right);
        let entry = "/verificationMaterial/tlogEntries/0";
        for (path, value) in [
            ("/verificationMaterial/tlogEntries".to_owned(), json!([])),
            (entry.to_owned(), other["verificationMaterial"]["tlogEntries"][0].clone()),
            (format!("{entry}/integratedTime"), json!("1780315206")),
            (format!("{entry}/inclusionPromise"), Value::Null),
            (format!("{entry}/inclusionProof"), Value::Null),
            (format!("{entry}/inclusionProof/hashes"), json!([])),
            (format!("{entry}/inclusionProof/checkpoint/envelope"), json!("rekor.test - 1\n2\nAAAA\n\n")),
            (format!("{entry}/canonicalizedBody"), json!("e30=")),
            (
                "/verificationMaterial/certificate".to_owned(),
                other["verificationMaterial"]["certificate"].clone(),
            ),
            (
                "/dsseEnvelope/signatures/0/sig".to_owned(),
                other["dsseEnvelope"]["signatures"][0]["sig"].clone(),
            ),
        ] {
            let mut changed = bundle.clone();
            *changed.pointer_mut(&path).unwrap() = value;
            let found = check(&acme, image, &changed);
            assert!(matches!(found, Err(Fault::NotProved(_) | Fault::Malformed(_))), "{path}: {found:?}");
        }
    }

    #[test]
    fn hostile_bytes_are_refused_and_no_byte_of_a_signature_is_free() {
        let (sigstore, acme, image) = scene();
        let text = sigstore.sign(&image.to_string(), &KeylessSignature::default()).to_string();
        let of = |bytes: &[u8]| acme.check(image, Found::Bundle(bytes));
        for bytes in [&b""[..], b"{}", b"null", &[0xff; 9], "[".repeat(10_000).as_bytes()] {
            assert!(matches!(of(bytes), Err(Fault::Malformed(_))));
        }
        let long = format!("{text}{}", " ".repeat(1 << 20));
        assert!(matches!(of(long.as_bytes()), Err(Fault::TooLarge { .. })));
        let key = json!({"mediaType": "application/vnd.dev.sigstore.bundle.v0.3+json",
            "verificationMaterial": {"publicKey": {"hint": "a"}}, "dsseEnvelope": {"payload": "e30=",
            "payloadType": "application/vnd.in-toto+json", "signatures": [{"sig": "AAAA"}]}});
        assert_eq!(of(key.to_string().as_bytes()), Err(Fault::Key));
        // Certificate, signature and log entry: base64 that is changed anywhere is no proof, whatever it becomes.
        let start = text.find("\"rawBytes\":\"").unwrap() + 12;
        for position in (start..start + 600).step_by(13) {
            let mut changed = text.clone().into_bytes();
            changed[position] = if changed[position] == b'A' { b'B' } else { b'A' };
            assert!(of(&changed).is_err(), "{position}");
        }
    }

    #[test]
    fn a_signature_in_cosigns_older_form_counts_for_the_same() {
        let (sigstore, acme, image) = scene();
        let right = KeylessSignature::default();
        let of = |image: Digest, signed: &OlderSignature, log: Option<&str>| {
            let beside = Annotations { certificate: Some(&signed.certificate), log };
            let (payload, signature) = (signed.payload.as_bytes(), signed.signature.as_str());
            acme.check(image, Found::Simple { payload, signature, beside })
        };
        let signed = sigstore.sign_older(&image.to_string(), &right);
        let log = Some(signed.log.as_str());
        assert_eq!(of(image, &signed, log).unwrap(), right.identity);
        assert!(matches!(of(Digest::of(b"other"), &signed, log), Err(Fault::OtherImage(_))));
        assert!(matches!(of(image, &signed, None), Err(Fault::Malformed(_))));
        // Another signature's entry in the log, its certificate or its payload prove nothing of this one.
        let other = sigstore.sign_older(&Digest::of(b"other").to_string(), &right);
        assert!(matches!(of(image, &signed, Some(&other.log)), Err(Fault::NotProved(_))));
        let mixed = |change: fn(&mut OlderSignature, &OlderSignature)| {
            let mut mixed = signed.clone();
            change(&mut mixed, &other);
            of(Digest::of(b"other"), &mixed, log)
        };
        assert!(matches!(mixed(|it, other| it.payload.clone_from(&other.payload)), Err(Fault::NotProved(_))));
        assert!(matches!(
            mixed(|it, other| it.signature.clone_from(&other.signature)),
            Err(Fault::NotProved(_))
        ));
        assert!(matches!(
            mixed(|it, other| it.certificate.clone_from(&other.certificate)),
            Err(Fault::NotProved(_))
        ));
        let later = signed.log.replace("1780315205", "1780315206");
        assert!(matches!(of(image, &signed, Some(&later)), Err(Fault::NotProved(_))));
        for wrong in [
            KeylessSignature { after: 601, ..right.clone() },
            KeylessSignature { logged: false, ..right.clone() },
            KeylessSignature { issuer: "https://evil.example".to_owned(), ..right.clone() },
        ] {
            let signed = sigstore.sign_older(&image.to_string(), &wrong);
            assert!(matches!(of(image, &signed, Some(&signed.log)), Err(Fault::NotProved(_))), "{wrong:?}");
        }
        let stranger = Sigstore::new().sign_older(&image.to_string(), &right);
        assert!(matches!(of(image, &stranger, Some(&stranger.log)), Err(Fault::NotProved(_))));
        let person = KeylessSignature { identity: "ops@acme.example".to_owned(), ..right };
        let person = sigstore.sign_older(&image.to_string(), &person);
        assert!(matches!(of(image, &person, Some(&person.log)), Err(Fault::OtherIdentity(_))));
    }

    #[test]
    fn mistakes_in_a_rule_are_told() {
        let root = Sigstore::new().trusted_root().to_string();
        for wrong in ["", "*", "https://*", "https://github.com*", "a*b", "https://github.com/*/app*", "a\n"]
        {
            assert_eq!(
                Identity::new(&root, ISSUER, wrong).unwrap_err(),
                IdentityError::Identity,
                "{wrong:?}"
            );
        }
        for right in ["ops@acme.example", "https://github.com/acme/*", WORKFLOW] {
            assert_eq!(Identity::new(&root, ISSUER, right).unwrap().to_string(), right);
        }
        assert_eq!(Identity::new(&root, "github", WORKFLOW).unwrap_err(), IdentityError::Issuer);
        for text in ["", "{}", "[]", "no JSON"] {
            assert!(Identity::new(text, ISSUER, WORKFLOW).is_err(), "{text}");
        }
    }
}
