//! A statement of in-toto in an envelope of DSSE, the form in which cosign signs images from version 3 on.
//! Takes an envelope; gives the bytes that its signature is over, and whether it signs an image.

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use bundle_oci::Digest;
use serde::Deserialize;

use crate::Fault;
use crate::simple::{shortened, signature_of};

/// The only payload that a signature of an image has (in-toto/attestation, spec/v1/envelope.md).
const PAYLOAD_TYPE: &str = "application/vnd.in-toto+json";

/// The statements' versions that cosign writes (in-toto/attestation, spec/v1/statement.md).
const STATEMENTS: [&str; 2] = ["https://in-toto.io/Statement/v1", "https://in-toto.io/Statement/v0.1"];

/// The predicate that says no more than that the image is signed (cosign, pkg/types/predicate.go).
const SIGNED: &str = "https://sigstore.dev/cosign/sign/v1";

/// An envelope as JSON has it (secure-systems-lab/dsse, envelope.md).
#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
pub(crate) struct EnvelopeText {
    payload: String,
    payload_type: String,
    signatures: Vec<SignatureText>,
}

#[derive(Deserialize)]
struct SignatureText {
    sig: String,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Statement {
    #[serde(rename = "_type")]
    version: String,
    subject: Vec<Subject>,
    predicate_type: String,
}

#[derive(Deserialize)]
struct Subject {
    digest: SubjectDigest,
}

#[derive(Deserialize)]
struct SubjectDigest {
    sha256: Option<String>,
}

/// An envelope with its one signature, which nobody has checked.
pub(crate) struct Envelope {
    payload: Vec<u8>,
    pub(crate) signature: Vec<u8>,
}

impl Envelope {
    /// An envelope from its text. In a Sigstore bundle it has one signature.
    pub(crate) fn read(text: &EnvelopeText) -> Result<Self, Fault> {
        if text.payload_type != PAYLOAD_TYPE {
            return Err(Fault::Malformed("its envelope has no statement of in-toto"));
        }
        let [signature] = text.signatures.as_slice() else {
            return Err(Fault::Malformed("its envelope has not exactly one signature"));
        };
        let payload = STANDARD.decode(&text.payload);
        Ok(Self {
            payload: payload.map_err(|_| Fault::Malformed("its payload is not base64"))?,
            signature: signature_of(&signature.sig)?,
        })
    }

    /// What is signed: the pre-authentication encoding (secure-systems-lab/dsse, protocol.md).
    pub(crate) fn signed_bytes(&self) -> Vec<u8> {
        let head = format!("DSSEv1 {} {PAYLOAD_TYPE} {} ", PAYLOAD_TYPE.len(), self.payload.len());
        [head.as_bytes(), &self.payload].concat()
    }

    /// Whether it signs this image.
    pub(crate) fn claims(&self, digest: Digest) -> Result<(), Fault> {
        let statement: Statement = serde_json::from_slice(&self.payload)
            .map_err(|_| Fault::Malformed("its statement is not one of in-toto"))?;
        if !STATEMENTS.contains(&statement.version.as_str()) {
            return Err(Fault::Malformed("its statement is of another version of in-toto"));
        }
        let hex = digest.hex();
        let mut named = statement.subject.iter().filter_map(|subject| subject.digest.sha256.as_deref());
        if !named.clone().any(|named| named == hex) {
            let first = named.next().map_or("without a SHA-256".to_owned(), |it| format!("sha256:{it}"));
            return Err(Fault::OtherImage(shortened(&first)));
        }
        if statement.predicate_type != SIGNED {
            return Err(Fault::Attestation(shortened(&statement.predicate_type)));
        }
        Ok(())
    }
}
