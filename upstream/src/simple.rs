//! cosign's simple signing: a JSON document that names a digest, signed as it is (cosign, specs/SIGNATURE_SPEC.md
//! §Simple Signing). Takes the document and its signature; gives what it claims.

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use bundle_oci::Digest;
use serde::Deserialize;

use crate::{Fault, Limits};

/// What such a document says it is.
const TYPE: &str = "cosign container image signature";

#[derive(Deserialize)]
struct Document {
    critical: Critical,
}

#[derive(Deserialize)]
struct Critical {
    image: Image,
    r#type: String,
}

#[derive(Deserialize)]
struct Image {
    #[serde(rename = "docker-manifest-digest")]
    digest: String,
}

/// A document that can be read, and its signature, which nobody has checked.
pub(crate) struct Simple {
    pub(crate) signature: Vec<u8>,
    document: Document,
}

/// Reads a document and its signature.
pub(crate) fn read(payload: &[u8], signature: &str) -> Result<Simple, Fault> {
    let limits = Limits::DEFAULT;
    if payload.len() as u64 > limits.payload {
        return Err(Fault::TooLarge { what: "its payload", limit: limits.payload });
    }
    let signature = signature_of(signature)?;
    let document = serde_json::from_slice(payload)
        .map_err(|_| Fault::Malformed("its payload is no document of cosign's simple signing"))?;
    Ok(Simple { signature, document })
}

impl Simple {
    /// Whether it is about this image. Its reference of an image is not looked at.
    pub(crate) fn claims(&self, digest: Digest) -> Result<(), Fault> {
        let Critical { image, r#type } = &self.document.critical;
        if r#type != TYPE {
            return Err(Fault::Malformed("its payload says that it is no signature of an image"));
        }
        if image.digest != digest.to_string() {
            return Err(Fault::OtherImage(shortened(&image.digest)));
        }
        Ok(())
    }
}

/// The bytes of a signature in base64.
pub(crate) fn signature_of(text: &str) -> Result<Vec<u8>, Fault> {
    let limit = Limits::DEFAULT.signature_text;
    if text.len() > limit {
        return Err(Fault::TooLarge { what: "its signature", limit: limit as u64 });
    }
    STANDARD.decode(text).map_err(|_| Fault::Malformed("its signature is not base64"))
}

/// A text of a signer, short enough for a line.
pub(crate) fn shortened(text: &str) -> String {
    text.chars().take(100).collect()
}
