//! The certificate and key with which the server proves who it is.
//! Takes two PEM files, gives an acceptor.

use std::path::{Path, PathBuf};
use std::sync::Arc;

use rustls::ServerConfig;
use rustls::pki_types::pem::PemObject as _;
use rustls::pki_types::{CertificateDer, PrivateKeyDer, pem};
use tokio_rustls::TlsAcceptor;

/// A certificate and its key, with which the server proves who it is.
#[derive(Clone)]
pub struct Identity(pub(crate) TlsAcceptor);

/// Why a certificate cannot be used.
#[derive(Debug, thiserror::Error)]
pub enum IdentityError {
    /// A file that cannot be read, or is no PEM of this kind.
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
        let chain = CertificateDer::pem_file_iter(certificate)
            .and_then(Iterator::collect::<Result<Vec<_>, _>>)
            .and_then(|chain| if chain.is_empty() { Err(pem::Error::NoItemsFound) } else { Ok(chain) })
            .map_err(wrong(certificate, "certificate"))?;
        let key = PrivateKeyDer::from_pem_file(key).map_err(wrong(key, "private key"))?;
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
