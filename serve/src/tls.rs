//! The certificate and key with which the server proves who it is.
//! Takes two PEM files, gives an acceptor.

use std::path::{Path, PathBuf};
use std::sync::Arc;

use rustls::ServerConfig;
use rustls::pki_types::pem::PemObject as _;
use rustls::pki_types::{CertificateDer, PrivateKeyDer, pem};
use tokio_rustls::TlsAcceptor;
use zeroize::Zeroizing;

use crate::limits::IDENTITY_FILE;

/// A certificate and its key, with which the server proves who it is.
#[derive(Clone)]
pub struct Identity(pub(crate) TlsAcceptor);

/// Why a certificate cannot be used.
#[derive(Debug, thiserror::Error)]
pub enum IdentityError {
    /// A file that cannot be read: it must be a regular file of bounded size, for a FIFO could hang the server.
    #[error("{} cannot be read", .path.display())]
    Read {
        /// The file.
        path: PathBuf,
        /// The operating system's error.
        source: std::io::Error,
    },
    /// A file that is no PEM of this kind.
    #[error("{} has no {what}", .path.display())]
    Pem {
        /// The file.
        path: PathBuf,
        /// The expected content.
        what: &'static str,
        /// The parser's error.
        source: pem::Error,
    },
    /// Certificate and key that cannot be used together.
    #[error("{} and its key cannot be used", .path.display())]
    Pair {
        /// The certificate's file.
        path: PathBuf,
        /// The cause.
        source: rustls::Error,
    },
}

impl Identity {
    /// Reads a certificate, followed by those of its authorities, and its private key from PEM
    /// files.
    ///
    /// # Errors
    /// Any [`IdentityError`].
    pub fn load(certificate: &Path, key: &Path) -> Result<Self, IdentityError> {
        let wrong = |path: &Path, what| {
            let path = path.to_owned();
            move |source| IdentityError::Pem { path, what, source }
        };
        let read = |path: &Path| {
            let failed = |source| IdentityError::Read { path: path.to_owned(), source };
            bundle_os::read(path, IDENTITY_FILE).map(Zeroizing::new).map_err(failed)
        };
        let chain = CertificateDer::pem_slice_iter(&read(certificate)?)
            .collect::<Result<Vec<_>, _>>()
            .and_then(|chain| if chain.is_empty() { Err(pem::Error::NoItemsFound) } else { Ok(chain) })
            .map_err(wrong(certificate, "certificate"))?;
        let key = PrivateKeyDer::from_pem_slice(&read(key)?).map_err(wrong(key, "private key"))?;
        let provider = Arc::new(rustls::crypto::aws_lc_rs::default_provider());
        let mut config = ServerConfig::builder_with_provider(provider)
            .with_safe_default_protocol_versions()
            .and_then(|config| config.with_no_client_auth().with_single_cert(chain, key))
            .map_err(|source| IdentityError::Pair { path: certificate.to_owned(), source })?;
        config.alpn_protocols = vec![b"http/1.1".to_vec()];
        Ok(Self(TlsAcceptor::from(Arc::new(config))))
    }
}

impl std::fmt::Debug for Identity {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Identity(***)")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_certificate_or_key_that_is_no_bounded_regular_file_is_refused_without_waiting() {
        let directory = tempfile::tempdir().unwrap();
        let (fifo, long) = (directory.path().join("fifo"), directory.path().join("long"));
        assert!(std::process::Command::new("mkfifo").arg(&fifo).status().unwrap().success());
        std::fs::write(&long, vec![b'a'; IDENTITY_FILE as usize + 1]).unwrap();
        for path in [fifo.as_path(), &long, Path::new("/dev/zero")] {
            // A FIFO that was opened as a file is would wait for its writer for ever.
            assert!(matches!(Identity::load(path, path), Err(IdentityError::Read { .. })), "{path:?}");
        }
    }
}
