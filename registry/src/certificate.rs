//! Which TLS certificates are trusted: the system's authorities and those that were given, which
//! may be a registry's own. Takes PEM, gives the TLS configuration of the connections.

use std::sync::Arc;

use crate::host_certificates::Identity;
use rustls::client::danger::{HandshakeSignatureValid, ServerCertVerified, ServerCertVerifier};
use rustls::client::verify_server_name;
use rustls::crypto::{self, CryptoProvider, aws_lc_rs};
use rustls::pki_types::pem::{self, PemObject};
use rustls::pki_types::{CertificateDer, ServerName, UnixTime};
use rustls::server::ParsedCertificate;
use rustls::{CertificateError, ClientConfig, DigitallySignedStruct, OtherError, SignatureScheme};

/// Reads all certificates of a PEM file.
pub(crate) fn from_pem(pem: &[u8]) -> Result<Vec<CertificateDer<'static>>, pem::Error> {
    CertificateDer::pem_slice_iter(pem).collect()
}

/// TLS towards registries: the system's authorities are trusted, and these certificates.
/// With an identity, registries that ask for a certificate are shown it.
pub(crate) fn client_config(
    given: &[CertificateDer<'static>],
    identity: Option<Identity>,
) -> Result<ClientConfig, rustls::Error> {
    let mut config = configured(Arc::new(Verifier::new(given)?), identity)?;
    config.alpn_protocols = vec![b"http/1.1".to_vec()];
    Ok(config)
}

pub(crate) fn configured(
    verifier: Arc<dyn ServerCertVerifier>,
    identity: Option<Identity>,
) -> Result<ClientConfig, rustls::Error> {
    let builder = ClientConfig::builder_with_provider(Arc::new(aws_lc_rs::default_provider()))
        .with_safe_default_protocol_versions()?
        .dangerous()
        .with_custom_certificate_verifier(verifier);
    Ok(match identity {
        Some((chain, key)) => builder.with_client_auth_cert(chain, key)?,
        None => builder.with_no_client_auth(),
    })
}

/// Accepts what an authority issued, and a given certificate itself, even if it is an authority's:
/// such is what `openssl req -x509` makes, and what containerd, Docker and curl accept of a
/// registry once it is given to them. RFC 5280 section 4.2.1.9 would have two certificates there.
#[derive(Debug)]
pub(crate) struct Verifier {
    /// Nothing on a system without authorities, if none was given either: plain HTTP still works there.
    issued: Option<rustls_platform_verifier::Verifier>,
    provider: Arc<CryptoProvider>,
    given: Vec<CertificateDer<'static>>,
}

impl Verifier {
    pub(crate) fn new(given: &[CertificateDer<'static>]) -> Result<Self, rustls::Error> {
        let (given, provider) = (given.to_vec(), Arc::new(aws_lc_rs::default_provider()));
        let issued =
            rustls_platform_verifier::Verifier::new_with_extra_roots(given.clone(), Arc::clone(&provider));
        let issued = match issued {
            Ok(issued) => Some(issued),
            // Only the certificates that are given can be wrong. Without any, the system has none.
            Err(_) if given.is_empty() => None,
            Err(error) => return Err(error),
        };
        Ok(Self { issued, provider, given })
    }
}

impl ServerCertVerifier for Verifier {
    fn verify_server_cert(
        &self,
        end_entity: &CertificateDer<'_>,
        intermediates: &[CertificateDer<'_>],
        server_name: &ServerName<'_>,
        ocsp_response: &[u8],
        now: UnixTime,
    ) -> Result<ServerCertVerified, rustls::Error> {
        let Some(issued) = &self.issued else {
            let none = OtherError(Arc::new(NoAuthorities));
            return Err(rustls::Error::InvalidCertificate(CertificateError::Other(none)));
        };
        match issued.verify_server_cert(end_entity, intermediates, server_name, ocsp_response, now) {
            // Its time was looked at before its kind. Its name was not.
            Err(rustls::Error::InvalidCertificate(CertificateError::Other(_)))
                if self.given.contains(end_entity) =>
            {
                verify_server_name(&ParsedCertificate::try_from(end_entity)?, server_name)?;
                Ok(ServerCertVerified::assertion())
            }
            verified => verified,
        }
    }

    fn verify_tls12_signature(
        &self,
        message: &[u8],
        certificate: &CertificateDer<'_>,
        signature: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, rustls::Error> {
        let supported = &self.provider.signature_verification_algorithms;
        crypto::verify_tls12_signature(message, certificate, signature, supported)
    }

    fn verify_tls13_signature(
        &self,
        message: &[u8],
        certificate: &CertificateDer<'_>,
        signature: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, rustls::Error> {
        let supported = &self.provider.signature_verification_algorithms;
        crypto::verify_tls13_signature(message, certificate, signature, supported)
    }

    fn supported_verify_schemes(&self) -> Vec<SignatureScheme> {
        self.provider.signature_verification_algorithms.supported_schemes()
    }
}

/// The system has no certificate authorities, and none was given.
#[derive(Debug, thiserror::Error)]
#[error("there are no certificate authorities")]
pub(crate) struct NoAuthorities;
