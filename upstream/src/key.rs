//! Public keys of signers. Takes PEM files as cosign and OpenSSL write them; gives [`PublicKeys`], which check
//! signatures.

use std::fmt;

use aws_lc_rs::encoding::{AsDer, PublicKeyX509Der};
use aws_lc_rs::signature::{
    ECDSA_P256_SHA256_ASN1, ECDSA_P384_SHA256_ASN1, ECDSA_P384_SHA384_ASN1, ECDSA_P521_SHA256_ASN1,
    ECDSA_P521_SHA512_ASN1, ED25519, ParsedPublicKey, RSA_PKCS1_2048_8192_SHA256, VerificationAlgorithm,
};
use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use bundle_oci::Digest;

use crate::{Fault, Found, Limits, sigstore, simple};

/// How a kind of key signs. cosign takes SHA-256 for all keys (pkg/cosign/keys.go), sigstore-go the hash of
/// the curve's size (pkg/verify/signature.go has both).
const WAYS: [(&str, &[&dyn VerificationAlgorithm]); 5] = [
    ("ECDSA P-256", &[&ECDSA_P256_SHA256_ASN1]),
    ("ECDSA P-384", &[&ECDSA_P384_SHA384_ASN1, &ECDSA_P384_SHA256_ASN1]),
    ("ECDSA P-521", &[&ECDSA_P521_SHA512_ASN1, &ECDSA_P521_SHA256_ASN1]),
    ("Ed25519", &[&ED25519]),
    ("RSA", &[&RSA_PKCS1_2048_8192_SHA256]),
];

/// A public key.
#[derive(Clone)]
pub struct PublicKey {
    kind: &'static str,
    /// The same key, once for each way to sign with it.
    ways: Vec<ParsedPublicKey>,
    fingerprint: Digest,
}

/// Why a text is no public key.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum KeyError {
    /// No PEM block of a public key.
    #[error("has no public key in PEM form (-----BEGIN PUBLIC KEY-----)")]
    None,
    /// A secret in the place of a public key.
    #[error("has a private key; the public key is asked for")]
    Private,
    /// A block that is no key.
    #[error(
        "its block {0} is not a public key of ECDSA (P-256, P-384, P-521), Ed25519 or RSA (2,048 bits and more)"
    )]
    Block(usize),
    /// More than [`Limits::keys`].
    #[error("has more than {0} keys")]
    TooMany(usize),
    /// More than [`Limits::key_file`].
    #[error("has more than {0} bytes")]
    TooLarge(usize),
}

impl PublicKey {
    /// A key from its SubjectPublicKeyInfo (RFC 5280 §4.1), or nothing if it is of no kind that is known.
    pub(crate) fn from_der(der: &[u8]) -> Option<Self> {
        WAYS.iter().find_map(|&(kind, algorithms)| {
            let ways: Result<Vec<_>, _> =
                algorithms.iter().map(|&algorithm| ParsedPublicKey::new(algorithm, der)).collect();
            let ways = ways.ok()?;
            // The text may have had the key in another form; the fingerprint is of one form only.
            let canonical: PublicKeyX509Der<'_> = ways.first()?.as_der().ok()?;
            (canonical.as_ref() == der).then(|| Self { kind, ways, fingerprint: Digest::of(der) })
        })
    }

    /// The SHA-256 of the key's SubjectPublicKeyInfo, which a Sigstore bundle has as its hint.
    pub fn fingerprint(&self) -> Digest {
        self.fingerprint
    }

    /// Whether a signature over these bytes is by this key.
    pub(crate) fn verifies(&self, message: &[u8], signature: &[u8]) -> bool {
        self.ways.iter().any(|way| way.verify_sig(message, signature).is_ok())
    }
}

impl PartialEq for PublicKey {
    fn eq(&self, other: &Self) -> bool {
        self.fingerprint == other.fingerprint
    }
}

impl Eq for PublicKey {}

impl fmt::Debug for PublicKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} {}", self.kind, self.fingerprint)
    }
}

/// The public keys of one signer: one, or an old and a new one while it changes. At least one.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PublicKeys(Vec<PublicKey>);

impl PublicKeys {
    /// Reads all PEM blocks of a text.
    ///
    /// # Errors
    /// Any [`KeyError`].
    pub fn from_pem(text: &str) -> Result<Self, KeyError> {
        let limits = Limits::DEFAULT;
        if text.len() > limits.key_file {
            return Err(KeyError::TooLarge(limits.key_file));
        }
        if text.contains("PRIVATE KEY-----") {
            return Err(KeyError::Private);
        }
        let mut keys = Vec::new();
        for (position, block) in text.split("-----BEGIN PUBLIC KEY-----").skip(1).enumerate() {
            if position == limits.keys {
                return Err(KeyError::TooMany(limits.keys));
            }
            let body = block.split_once("-----END PUBLIC KEY-----").map(|(body, _)| body);
            let body: Option<String> =
                body.map(|body| body.chars().filter(|it| !it.is_ascii_whitespace()).collect());
            let der = body.and_then(|body| STANDARD.decode(body).ok());
            let key = der.as_deref().and_then(PublicKey::from_der);
            keys.push(key.ok_or(KeyError::Block(position + 1))?);
        }
        if keys.is_empty() { Err(KeyError::None) } else { Ok(Self(keys)) }
    }

    /// The keys.
    pub fn keys(&self) -> &[PublicKey] {
        &self.0
    }

    /// The key that signed the manifest or index with this digest, as a signature says.
    ///
    /// The name of an image that a signature has is not looked at: images are copied, and signatures with them.
    /// An entry in a transparency log is neither needed nor looked at, since the key is known.
    ///
    /// # Errors
    /// What is wrong with the signature.
    pub fn check(&self, digest: Digest, found: Found<'_>) -> Result<&PublicKey, Fault> {
        let by = |message: &[u8], signature: &[u8]| {
            self.0.iter().find(|key| key.verifies(message, signature)).ok_or(Fault::OtherKey)
        };
        match found {
            Found::Simple { payload, signature, .. } => {
                let signed = simple::read(payload, signature)?;
                let key = by(payload, &signed.signature)?;
                signed.claims(digest)?;
                Ok(key)
            }
            Found::Bundle(bytes) => {
                let bundle = sigstore::read(bytes)?;
                if bundle.has_certificate() {
                    return Err(Fault::Certificate);
                }
                let key = by(&bundle.envelope.signed_bytes(), &bundle.envelope.signature)?;
                bundle.envelope.claims(digest)?;
                Ok(key)
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use aws_lc_rs::rand::SystemRandom;
    use aws_lc_rs::rsa;
    use aws_lc_rs::signature::{
        ECDSA_P256_SHA256_ASN1_SIGNING, ECDSA_P384_SHA384_ASN1_SIGNING, EcdsaKeyPair, EcdsaSigningAlgorithm,
        Ed25519KeyPair, KeyPair, RSA_PKCS1_SHA256,
    };

    use super::*;

    fn pem(der: &[u8]) -> String {
        format!("-----BEGIN PUBLIC KEY-----\n{}\n-----END PUBLIC KEY-----\n", STANDARD.encode(der))
    }

    fn der(key: &impl AsDer<PublicKeyX509Der<'static>>) -> Vec<u8> {
        key.as_der().unwrap().as_ref().to_vec()
    }

    fn ecdsa(algorithm: &'static EcdsaSigningAlgorithm) -> (String, Vec<u8>) {
        let pair = EcdsaKeyPair::generate(algorithm).unwrap();
        let signature = pair.sign(&SystemRandom::new(), b"message").unwrap().as_ref().to_vec();
        (pem(&der(pair.public_key())), signature)
    }

    #[test]
    fn keys_of_every_kind_that_cosign_takes_verify_their_own_signature_and_no_other() {
        let ed25519 = Ed25519KeyPair::generate().unwrap();
        let rsa = rsa::KeyPair::generate(rsa::KeySize::Rsa2048).unwrap();
        let mut by_rsa = vec![0; rsa.public_modulus_len()];
        rsa.sign(&RSA_PKCS1_SHA256, &SystemRandom::new(), b"message", &mut by_rsa).unwrap();
        let made = [
            ("ECDSA P-256", ecdsa(&ECDSA_P256_SHA256_ASN1_SIGNING)),
            ("ECDSA P-384", ecdsa(&ECDSA_P384_SHA384_ASN1_SIGNING)),
            ("Ed25519", (pem(&der(ed25519.public_key())), ed25519.sign(b"message").as_ref().to_vec())),
            ("RSA", (pem(&der(rsa.public_key())), by_rsa)),
        ];
        for (kind, (text, signature)) in &made {
            let keys = PublicKeys::from_pem(text).unwrap();
            let [key] = keys.keys() else { panic!("one key is expected") };
            assert_eq!(key.kind, *kind);
            assert!(key.verifies(b"message", signature), "{kind}");
            assert!(!key.verifies(b"messagE", signature), "{kind}");
            for (other, (_, signature)) in made.iter().filter(|(other, _)| other != kind) {
                assert!(!key.verifies(b"message", signature), "{kind} {other}");
            }
        }
    }

    #[test]
    fn a_file_has_several_keys_and_never_a_private_one() {
        let (first, _) = ecdsa(&ECDSA_P256_SHA256_ASN1_SIGNING);
        let (second, _) = ecdsa(&ECDSA_P384_SHA384_ASN1_SIGNING);
        let both = PublicKeys::from_pem(&format!("# ours\n{first}\n{second}")).unwrap();
        assert_eq!(both.keys().len(), 2);
        let small = rsa::KeyPair::generate(rsa::KeySize::Rsa2048).unwrap();
        assert!(PublicKeys::from_pem(&pem(&der(small.public_key()))).is_ok());
        for (text, error) in [
            (String::new(), KeyError::None),
            ("ssh-ed25519 AAAA".to_owned(), KeyError::None),
            (
                "-----BEGIN ENCRYPTED SIGSTORE PRIVATE KEY-----\nAA==\n-----END ENCRYPTED SIGSTORE PRIVATE KEY-----"
                    .to_owned(),
                KeyError::Private,
            ),
            (format!("{first}{}", pem(b"no key")), KeyError::Block(2)),
            (first.replace("-----END", "----END"), KeyError::Block(1)),
            (first.repeat(17), KeyError::TooMany(16)),
            ("x".repeat(65 << 10), KeyError::TooLarge(64 << 10)),
        ] {
            assert_eq!(PublicKeys::from_pem(&text).unwrap_err(), error, "{text:.80}");
        }
    }
}
