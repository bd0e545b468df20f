//! Keyless signatures as cosign wrote them before its version 3: the certificate and the log's promise are annotations
//! beside the payload (cosign, specs/SIGNATURE_SPEC.md §Properties). Takes these texts; gives a Sigstore bundle of version
//! 0.1, which has the same parts, so that one library checks both.

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use bundle_oci::Digest;
use serde::Deserialize;
use serde_json::json;

use crate::{Fault, Limits};

/// What is beside a payload.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Annotations<'a> {
    /// [`CERTIFICATE_ANNOTATION`]: the certificate in PEM form.
    pub certificate: Option<&'a str>,
    /// [`LOG_ANNOTATION`]: the log's entry and its promise.
    pub log: Option<&'a str>,
}

/// The annotation of a layer with the certificate of its signature.
pub const CERTIFICATE_ANNOTATION: &str = "dev.sigstore.cosign/certificate";

/// The annotation of a layer with the entry of its signature in a transparency log.
pub const LOG_ANNOTATION: &str = "dev.sigstore.cosign/bundle";

#[derive(Deserialize)]
#[serde(rename_all = "PascalCase")]
struct Log {
    signed_entry_timestamp: String,
    payload: Entry,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Entry {
    body: String,
    integrated_time: i64,
    log_index: u64,
    #[serde(rename = "logID")]
    log_id: String,
}

/// The bundle; nothing of it is checked.
pub(crate) fn bundle(payload: &[u8], signature: &str, beside: Annotations<'_>) -> Result<String, Fault> {
    let (Some(certificate), Some(log)) = (beside.certificate, beside.log) else {
        return Err(match beside.certificate {
            Some(_) => Fault::Malformed("it has a certificate and no entry of a log"),
            None => Fault::Key,
        });
    };
    let limit = Limits::DEFAULT.bundle;
    if (certificate.len() + log.len() + payload.len() + signature.len()) as u64 > limit {
        return Err(Fault::TooLarge { what: "its annotations", limit });
    }
    let der = der(certificate).ok_or(Fault::Malformed("its certificate is not in PEM form"))?;
    let Log { signed_entry_timestamp, payload: entry } =
        serde_json::from_str(log).map_err(|_| Fault::Malformed("its entry of a log cannot be read"))?;
    let log_id = bytes(&entry.log_id).ok_or(Fault::Malformed("its entry of a log names no log"))?;
    let hash = bytes(&Digest::of(payload).hex()).unwrap_or_default();
    let bundle = json!({
        "mediaType": "application/vnd.dev.sigstore.bundle+json;version=0.1",
        "verificationMaterial": {
            "x509CertificateChain": {"certificates": [{"rawBytes": STANDARD.encode(der)}]},
            "tlogEntries": [{
                "logIndex": entry.log_index.to_string(),
                "logId": {"keyId": STANDARD.encode(log_id)},
                "kindVersion": {"kind": "hashedrekord", "version": "0.0.1"},
                "integratedTime": entry.integrated_time.to_string(),
                "inclusionPromise": {"signedEntryTimestamp": signed_entry_timestamp},
                "canonicalizedBody": entry.body,
            }],
        },
        "messageSignature": {
            "messageDigest": {"algorithm": "SHA2_256", "digest": STANDARD.encode(hash)},
            "signature": signature,
        },
    });
    Ok(bundle.to_string())
}

/// The first certificate of a PEM text.
fn der(pem: &str) -> Option<Vec<u8>> {
    let (_, rest) = pem.split_once("-----BEGIN CERTIFICATE-----")?;
    let (body, _) = rest.split_once("-----END CERTIFICATE-----")?;
    let body: String = body.chars().filter(|it| !it.is_ascii_whitespace()).collect();
    STANDARD.decode(body).ok()
}

/// Bytes in hexadecimal digits.
fn bytes(hex: &str) -> Option<Vec<u8>> {
    if !hex.len().is_multiple_of(2) || !hex.bytes().all(|it| it.is_ascii_hexdigit()) {
        return None;
    }
    (0..hex.len()).step_by(2).map(|at| u8::from_str_radix(hex.get(at..at + 2)?, 16).ok()).collect()
}
