//! Ed25519 keys as PEM, signatures and fingerprints.
//! Takes PEM and passphrases, gives keys that sign and verify bytes.

use std::fmt;

use bundle_oci::Digest;
use ed25519_dalek::pkcs8::spki::der::pem::LineEnding;
use ed25519_dalek::pkcs8::{
    DecodePrivateKey, DecodePublicKey, EncodePrivateKey, EncodePublicKey, KeypairBytes,
};
use ed25519_dalek::{Signer as _, SigningKey, VerifyingKey};
use pkcs8::{EncryptedPrivateKeyInfoRef, SecretDocument, pkcs5};
use zeroize::Zeroizing;

/// A raw Ed25519 signature (RFC 8032 §5.1.6).
#[derive(Clone, Copy, PartialEq, Eq)]
pub struct SignatureBytes([u8; Self::LENGTH]);

impl SignatureBytes {
    /// Its length in bytes.
    pub const LENGTH: usize = 64;
}

/// Bytes of another length than a signature has.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("a signature has {length} bytes, and these are {0}", length = SignatureBytes::LENGTH)]
pub struct SignatureLengthError(usize);

impl From<[u8; Self::LENGTH]> for SignatureBytes {
    fn from(bytes: [u8; Self::LENGTH]) -> Self {
        Self(bytes)
    }
}

impl TryFrom<&[u8]> for SignatureBytes {
    type Error = SignatureLengthError;

    fn try_from(bytes: &[u8]) -> Result<Self, Self::Error> {
        bytes.try_into().map(Self).map_err(|_| SignatureLengthError(bytes.len()))
    }
}

impl AsRef<[u8]> for SignatureBytes {
    fn as_ref(&self) -> &[u8] {
        &self.0
    }
}

impl fmt::Debug for SignatureBytes {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("SignatureBytes(…)")
    }
}

/// The key that signs bundles: Ed25519, as PKCS#8 PEM (RFC 8410), wiped from memory on drop.
pub struct PrivateKey(SigningKey);

/// The key that checks signatures: Ed25519, as SPKI PEM (RFC 8410).
#[derive(Clone, PartialEq, Eq)]
pub struct PublicKey(VerifyingKey);

/// Why a key cannot be used.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum KeyError {
    /// No PEM of an Ed25519 private key.
    #[error("not an Ed25519 private key in PKCS#8 PEM")]
    NotPrivate,
    /// No PEM of an Ed25519 public key.
    #[error("not an Ed25519 public key in SPKI PEM")]
    NotPublic,
    /// A private key where a public one belongs.
    #[error("this is a private key, where the public one belongs")]
    PrivateForPublic,
    /// A public key where a private one belongs.
    #[error("this is a public key, where the private one belongs")]
    PublicForPrivate,
    /// An encrypted key without a passphrase.
    #[error("key is encrypted and needs a passphrase")]
    NeedsPassphrase,
    /// A passphrase that does not open the key.
    #[error("wrong passphrase")]
    WrongPassphrase,
    /// A key that is encrypted in a way that is not read, such as PBES1.
    #[error("key is encrypted in a way that is not supported: PBES2 is")]
    Encryption,
    /// The machine gave no random bytes.
    #[error("the system's random number generator failed")]
    Random,
    /// The key could not be written as PEM.
    #[error("key cannot be written as PEM")]
    Encode,
}

impl PrivateKey {
    /// A new key from the system's random number generator.
    ///
    /// # Errors
    /// [`KeyError::Random`].
    pub fn generate() -> Result<Self, KeyError> {
        let mut seed = Zeroizing::new([0; 32]);
        getrandom::fill(seed.as_mut_slice()).map_err(|_| KeyError::Random)?;
        Ok(Self::from_seed(&seed))
    }

    /// The key that a seed determines, for tests and examples.
    pub fn from_seed(seed: &[u8; 32]) -> Self {
        Self(SigningKey::from_bytes(seed))
    }

    /// Reads PKCS#8 PEM, encrypted or not, as `openssl genpkey -algorithm ed25519` writes it.
    ///
    /// # Errors
    /// [`KeyError`]; [`KeyError::NeedsPassphrase`] asks for another call with one.
    pub fn from_pem(pem: &str, passphrase: Option<&str>) -> Result<Self, KeyError> {
        if pem.contains("BEGIN PUBLIC KEY") {
            return Err(KeyError::PublicForPrivate);
        }
        let pem = pem.trim();
        let key = if pem.contains("BEGIN ENCRYPTED PRIVATE KEY") {
            let (_, sealed) = SecretDocument::from_pem(pem).map_err(|_| KeyError::NotPrivate)?;
            let sealed = EncryptedPrivateKeyInfoRef::try_from(sealed.as_bytes());
            let sealed = sealed.map_err(|_| KeyError::Encryption)?;
            if sealed.encryption_algorithm.pbes2().is_none() {
                return Err(KeyError::Encryption);
            }
            let passphrase = passphrase.ok_or(KeyError::NeedsPassphrase)?;
            let opened = sealed.decrypt(passphrase).map_err(|error| match error {
                pkcs8::Error::EncryptedPrivateKey(pkcs5::Error::UnsupportedAlgorithm { .. }) => {
                    KeyError::Encryption
                }
                _ => KeyError::WrongPassphrase,
            })?;
            SigningKey::from_pkcs8_der(opened.as_bytes()).map_err(|_| KeyError::NotPrivate)?
        } else {
            SigningKey::from_pkcs8_pem(pem).map_err(|_| KeyError::NotPrivate)?
        };
        Ok(Self(key))
    }

    /// Writes PKCS#8 PEM, version 1, for OpenSSL 3.0 does not read the version 2 that carries the
    /// public key too.
    ///
    /// # Errors
    /// [`KeyError::Encode`].
    pub fn to_pem(&self, passphrase: Option<&str>) -> Result<Zeroizing<String>, KeyError> {
        let pair = KeypairBytes { secret_key: self.0.to_bytes(), public_key: None };
        let Some(passphrase) = passphrase else {
            return pair.to_pkcs8_pem(LineEnding::LF).map_err(|_| KeyError::Encode);
        };
        // scrypt with log2(N) = 14, the most that OpenSSL's default memory limit opens.
        pair.to_pkcs8_encrypted_pem(passphrase, LineEnding::LF).map_err(|_| KeyError::Encode)
    }

    /// The public half.
    pub fn public(&self) -> PublicKey {
        PublicKey(self.0.verifying_key())
    }

    /// Signs a message.
    pub fn sign(&self, message: &[u8]) -> SignatureBytes {
        SignatureBytes(self.0.sign(message).to_bytes())
    }
}

impl fmt::Debug for PrivateKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "PrivateKey({})", self.public().fingerprint())
    }
}

impl PublicKey {
    /// Reads SPKI PEM, as `openssl pkey -pubout` writes it.
    ///
    /// # Errors
    /// [`KeyError::NotPublic`] or [`KeyError::PrivateForPublic`].
    pub fn from_pem(pem: &str) -> Result<Self, KeyError> {
        if pem.contains("PRIVATE KEY") {
            return Err(KeyError::PrivateForPublic);
        }
        VerifyingKey::from_public_key_pem(pem.trim()).map(Self).map_err(|_| KeyError::NotPublic)
    }

    /// Writes SPKI PEM.
    ///
    /// # Errors
    /// [`KeyError::Encode`].
    pub fn to_pem(&self) -> Result<String, KeyError> {
        self.0.to_public_key_pem(LineEnding::LF).map_err(|_| KeyError::Encode)
    }

    /// The SHA-256 of the SPKI DER, which `openssl pkey -pubin -outform DER | sha256sum` shows too.
    pub fn fingerprint(&self) -> Digest {
        // RFC 8410 §4: the DER of an Ed25519 key is this prefix and the 32 bytes.
        let mut der = vec![0x30, 0x2a, 0x30, 0x05, 0x06, 0x03, 0x2b, 0x65, 0x70, 0x03, 0x21, 0x00];
        der.extend_from_slice(self.0.as_bytes());
        Digest::of(&der)
    }

    /// Whether `signature` is this key's over `message`. Strict: small-order and non-canonical
    /// points are refused, so that no signature fits two messages.
    pub fn verify(&self, message: &[u8], signature: &SignatureBytes) -> bool {
        self.0.verify_strict(message, &ed25519_dalek::Signature::from_bytes(&signature.0)).is_ok()
    }
}

impl fmt::Debug for PublicKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "PublicKey({})", self.fingerprint())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn keys_survive_their_files() {
        let key = PrivateKey::generate().unwrap();
        for passphrase in [None, Some("correct horse")] {
            let pem = key.to_pem(passphrase).unwrap();
            let read = PrivateKey::from_pem(&pem, passphrase).unwrap();
            assert_eq!(read.public(), key.public());
        }
        let encrypted = key.to_pem(Some("a")).unwrap();
        assert_eq!(PrivateKey::from_pem(&encrypted, None).unwrap_err(), KeyError::NeedsPassphrase);
        assert_eq!(PrivateKey::from_pem(&encrypted, Some("b")).unwrap_err(), KeyError::WrongPassphrase);
        let public = key.public().to_pem().unwrap();
        assert_eq!(PublicKey::from_pem(&public).unwrap(), key.public());
        // openssl pkcs8 -topk8 -v1 PBE-SHA1-3DES
        let old = "-----BEGIN ENCRYPTED PRIVATE KEY-----\n\
            MFgwHAYKKoZIhvcNAQwBAzAOBAhFxuCK5I5shwICCAAEON+vD+oOJKqMXtLzk5pW\n\
            UsZeDoQa5Z+8khsXQ3fBsnFII72sPYtBn3RpAunLg9DAoF1/f3n+1A2q\n\
            -----END ENCRYPTED PRIVATE KEY-----\n";
        assert_eq!(PrivateKey::from_pem(old, Some("secret")).unwrap_err(), KeyError::Encryption);
    }

    #[test]
    fn keys_in_each_others_place_are_told() {
        let key = PrivateKey::from_seed(&[1; 32]);
        let private = key.to_pem(None).unwrap();
        let public = key.public().to_pem().unwrap();
        assert_eq!(PublicKey::from_pem(&private).unwrap_err(), KeyError::PrivateForPublic);
        assert_eq!(PrivateKey::from_pem(&public, None).unwrap_err(), KeyError::PublicForPrivate);
        assert_eq!(PublicKey::from_pem("hello").unwrap_err(), KeyError::NotPublic);
    }

    #[test]
    fn a_private_key_is_pkcs8_version_1() {
        let pem = PrivateKey::from_seed(&[1; 32]).to_pem(None).unwrap();
        assert_eq!(
            pem.as_str(),
            "-----BEGIN PRIVATE KEY-----\nMC4CAQAwBQYDK2VwBCIEIAEBAQEBAQEBAQEBAQEBAQEBAQEBAQEBAQEBAQEBAQEB\n-----END PRIVATE KEY-----\n"
        );
    }

    #[test]
    fn debug_output_has_no_secret() {
        let key = PrivateKey::from_seed(&[0x41; 32]);
        assert_eq!(format!("{key:?}"), format!("PrivateKey({})", key.public().fingerprint()));
    }
}
