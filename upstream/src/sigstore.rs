//! A Sigstore bundle of version 0.3 (sigstore/protobuf-specs, protos/sigstore_bundle.proto). Takes its JSON;
//! gives the envelope in it, and whether a certificate or a key is to verify it.

use serde::Deserialize;
use serde::de::IgnoredAny;

use crate::dsse::{Envelope, EnvelopeText};
use crate::{BUNDLE_TYPE, Fault, Limits};

/// The media type of the same version as some tools still write it.
const OLDER_TYPE: &str = "application/vnd.dev.sigstore.bundle+json;version=0.3";

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Document {
    media_type: String,
    verification_material: Material,
    dsse_envelope: Option<EnvelopeText>,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Material {
    public_key: Option<IgnoredAny>,
    certificate: Option<IgnoredAny>,
    x509_certificate_chain: Option<IgnoredAny>,
}

/// A bundle that can be read. Nothing of it is checked.
pub(crate) struct Bundle {
    material: Material,
    pub(crate) envelope: Envelope,
}

impl Bundle {
    /// Whether it is to be verified with a certificate that it has.
    pub(crate) fn has_certificate(&self) -> bool {
        let Material { public_key, certificate, x509_certificate_chain } = &self.material;
        certificate.is_some() || x509_certificate_chain.is_some() || public_key.is_none()
    }
}

/// Reads a bundle.
pub(crate) fn read(bytes: &[u8]) -> Result<Bundle, Fault> {
    let limit = Limits::DEFAULT.bundle;
    if bytes.len() as u64 > limit {
        return Err(Fault::TooLarge { what: "its bundle", limit });
    }
    let document: Document =
        serde_json::from_slice(bytes).map_err(|_| Fault::Malformed("it is no Sigstore bundle"))?;
    if ![BUNDLE_TYPE, OLDER_TYPE].contains(&document.media_type.as_str()) {
        return Err(Fault::Malformed("it is a Sigstore bundle of another version than 0.3"));
    }
    let envelope = document.dsse_envelope.ok_or(Fault::Malformed("its bundle has no envelope"))?;
    Ok(Bundle { material: document.verification_material, envelope: Envelope::read(&envelope)? })
}

#[cfg(test)]
mod tests {
    use aws_lc_rs::encoding::{AsDer, PublicKeyX509Der};
    use aws_lc_rs::rand::SystemRandom;
    use aws_lc_rs::signature::{ECDSA_P256_SHA256_ASN1_SIGNING, EcdsaKeyPair, KeyPair};
    use base64::Engine;
    use base64::engine::general_purpose::STANDARD;
    use bundle_oci::Digest;
    use serde_json::{Value, json};

    use crate::{Annotations, Fault, Found, PublicKeys};

    /// What cosign 2.6.1 wrote for an image of one file, with `sign --key --tlog-upload=false`, once without and
    /// once with `--new-bundle-format`.
    const KEY: &str = "-----BEGIN PUBLIC KEY-----
MFkwEwYHKoZIzj0CAQYIKoZIzj0DAQcDQgAEwBs0Z1Ai7ukHMSQgZDnR74SLkQ4U
8InqnVP+RumpKXXYlZ2PfdQsYhEUvoWawZdhmbWJKDf15KnVaNdStSqkNw==
-----END PUBLIC KEY-----
";
    const IMAGE: &str = "sha256:e251867c294154fb79972b86b8872e8e5ad1ac451b2196166c161a02280e300c";
    const PAYLOAD: &str = r#"{"critical":{"identity":{"docker-reference":"127.0.0.1:5999/team/app"},"image":{"docker-manifest-digest":"sha256:e251867c294154fb79972b86b8872e8e5ad1ac451b2196166c161a02280e300c"},"type":"cosign container image signature"},"optional":null}"#;
    const SIGNATURE: &str =
        "MEUCIAl00ouOVaAcF3pMSWkBYsI13Z6O6s2stJ0NM34F2dxwAiEA/wcnwOrTB1oSR4TSXPHggh5ld5MtYLvNZ4gXvBF1ack=";
    const BUNDLE: &str = r#"{"mediaType":"application/vnd.dev.sigstore.bundle.v0.3+json", "verificationMaterial":{"publicKey":{"hint":"kGsu//HMfMOu0nADKWCdBJTi8WXIqKi0GaYNj92wgJ4="}}, "dsseEnvelope":{"payload":"eyJfdHlwZSI6Imh0dHBzOi8vaW4tdG90by5pby9TdGF0ZW1lbnQvdjEiLCJzdWJqZWN0IjpbeyJkaWdlc3QiOnsic2hhMjU2IjoiZTI1MTg2N2MyOTQxNTRmYjc5OTcyYjg2Yjg4NzJlOGU1YWQxYWM0NTFiMjE5NjE2NmMxNjFhMDIyODBlMzAwYyJ9fV0sInByZWRpY2F0ZVR5cGUiOiJodHRwczovL3NpZ3N0b3JlLmRldi9jb3NpZ24vc2lnbi92MSJ9", "payloadType":"application/vnd.in-toto+json", "signatures":[{"sig":"MEYCIQCqcwLzbAEg0kSsmIViaeRSxxAv5kInnNuaVmCwqGt1fwIhAPK31Y+ideU0DBfakyv/HdmOUHLEuCZXImWWTpj4bHHX"}]}}"#;

    fn simple<'a>(payload: &'a str, signature: &'a str) -> Found<'a> {
        Found::Simple { payload: payload.as_bytes(), signature, beside: Annotations::default() }
    }

    #[test]
    fn what_cosign_writes_is_verified_for_its_image_and_its_key_only() {
        let keys = PublicKeys::from_pem(KEY).unwrap();
        let image: Digest = IMAGE.parse().unwrap();
        let other = Digest::of(b"another image");
        let both = [simple(PAYLOAD, SIGNATURE), Found::Bundle(BUNDLE.as_bytes())];
        for found in both {
            let key = keys.check(image, found).unwrap();
            // The hint of the bundle.
            assert_eq!(
                STANDARD.encode(key.fingerprint().as_bytes()),
                "kGsu//HMfMOu0nADKWCdBJTi8WXIqKi0GaYNj92wgJ4="
            );
            assert_eq!(keys.check(other, found), Err(Fault::OtherImage(IMAGE.to_owned())));
        }
        let pair = EcdsaKeyPair::generate(&ECDSA_P256_SHA256_ASN1_SIGNING).unwrap();
        let strangers = strangers(&pair);
        for found in both {
            assert_eq!(strangers.check(image, found), Err(Fault::OtherKey));
        }
        // The name of the image is signed too, and whoever changes it has to sign again.
        let renamed = PAYLOAD.replace("team/app", "team/other");
        assert_eq!(keys.check(image, simple(&renamed, SIGNATURE)), Err(Fault::OtherKey));
    }

    fn strangers(pair: &EcdsaKeyPair) -> PublicKeys {
        let der: PublicKeyX509Der<'static> = pair.public_key().as_der().unwrap();
        let text = format!(
            "-----BEGIN PUBLIC KEY-----\n{}\n-----END PUBLIC KEY-----\n",
            STANDARD.encode(der.as_ref())
        );
        PublicKeys::from_pem(&text).unwrap()
    }

    /// A bundle with this statement, signed by the pair.
    fn bundle_of(pair: &EcdsaKeyPair, statement: &Value) -> Value {
        let payload = serde_json::to_vec(statement).unwrap();
        let head = format!("DSSEv1 28 application/vnd.in-toto+json {} ", payload.len());
        let signature = pair.sign(&SystemRandom::new(), &[head.as_bytes(), &payload].concat()).unwrap();
        json!({
            "mediaType": "application/vnd.dev.sigstore.bundle.v0.3+json",
            "verificationMaterial": {"publicKey": {"hint": "any"}},
            "dsseEnvelope": {
                "payload": STANDARD.encode(&payload),
                "payloadType": "application/vnd.in-toto+json",
                "signatures": [{"sig": STANDARD.encode(signature.as_ref())}],
            },
        })
    }

    #[test]
    fn a_bundle_counts_only_if_every_part_of_it_is_that_of_an_images_signature() {
        let pair = EcdsaKeyPair::generate(&ECDSA_P256_SHA256_ASN1_SIGNING).unwrap();
        let keys = strangers(&pair);
        let image = Digest::of(b"image");
        let check = |bundle: &Value| {
            let bytes = serde_json::to_vec(bundle).unwrap();
            keys.check(image, Found::Bundle(&bytes)).map(|_| ())
        };
        let statement = json!({
            "_type": "https://in-toto.io/Statement/v1",
            "subject": [{"digest": {"sha512": "00"}}, {"digest": {"sha256": image.hex()}}],
            "predicateType": "https://sigstore.dev/cosign/sign/v1",
            "predicate": {},
        });
        let right = bundle_of(&pair, &statement);
        assert_eq!(check(&right), Ok(()));
        let with = |path: &str, value: Value| {
            let mut changed = right.clone();
            *changed.pointer_mut(path).unwrap() = value;
            check(&changed).unwrap_err().to_string()
        };
        let certificate = json!({"certificate": {"rawBytes": "AA=="}});
        assert_eq!(with("/verificationMaterial", certificate), Fault::Certificate.to_string());
        assert_eq!(with("/verificationMaterial", json!({})), Fault::Certificate.to_string());
        assert!(with("/mediaType", json!("application/vnd.dev.sigstore.bundle.v0.4+json")).contains("0.3"));
        assert!(with("/dsseEnvelope", json!(null)).contains("no envelope"));
        assert!(with("/dsseEnvelope/payloadType", json!("text/plain")).contains("no statement"));
        assert!(with("/dsseEnvelope/signatures", json!([])).contains("exactly one"));
        let two = json!([right["dsseEnvelope"]["signatures"][0], {"sig": ""}]);
        assert!(with("/dsseEnvelope/signatures", two).contains("exactly one"));
        assert_eq!(with("/dsseEnvelope/payload", json!("e30=")), Fault::OtherKey.to_string());
        let said = |path: &str, value: Value| {
            let mut changed = statement.clone();
            *changed.pointer_mut(path).unwrap() = value;
            check(&bundle_of(&pair, &changed)).unwrap_err()
        };
        let provenance = "https://slsa.dev/provenance/v1";
        assert_eq!(said("/predicateType", json!(provenance)), Fault::Attestation(provenance.to_owned()));
        assert_eq!(said("/subject", json!([])), Fault::OtherImage("without a SHA-256".to_owned()));
        assert!(matches!(said("/_type", json!("x")), Fault::Malformed(_)));
        assert!(matches!(said("/subject", json!("x")), Fault::Malformed(_)));
    }

    #[test]
    fn hostile_bytes_are_refused_within_bounds() {
        let keys = PublicKeys::from_pem(KEY).unwrap();
        let image: Digest = IMAGE.parse().unwrap();
        let long = format!("{PAYLOAD}{}", " ".repeat(64 << 10));
        assert!(matches!(keys.check(image, simple(&long, SIGNATURE)), Err(Fault::TooLarge { .. })));
        assert!(matches!(keys.check(image, simple(PAYLOAD, &"A".repeat(5000))), Err(Fault::TooLarge { .. })));
        let large = format!("{BUNDLE}{}", " ".repeat(1 << 20));
        assert!(matches!(keys.check(image, Found::Bundle(large.as_bytes())), Err(Fault::TooLarge { .. })));
        let deep = "[".repeat(10_000);
        for text in ["", "{}", "null", "[]", &deep, "\u{0}", r#"{"critical":{"critical":{}}}"#] {
            assert!(
                matches!(keys.check(image, simple(text, SIGNATURE)), Err(Fault::Malformed(_))),
                "{text:.20}"
            );
            assert!(
                matches!(keys.check(image, Found::Bundle(text.as_bytes())), Err(Fault::Malformed(_))),
                "{text:.20}"
            );
        }
        // Every single byte counts.
        for position in 0..PAYLOAD.len() {
            let mut altered = PAYLOAD.as_bytes().to_vec();
            altered[position] ^= 1;
            let found =
                Found::Simple { payload: &altered, signature: SIGNATURE, beside: Annotations::default() };
            assert!(keys.check(image, found).is_err(), "{position}");
        }
    }
}
