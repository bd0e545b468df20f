//! The times of a connection's certificate, for those who report when it ends. Takes the certificates that are
//! trusted, gives a TLS configuration that verifies as all connections do and notes the times it sees.

use std::sync::{Arc, Mutex};
use std::time::{Duration, SystemTime};

use crate::certificate::{Verifier, configured};
use crate::host_certificates::Identity;
use crate::lock::lock;
use rustls::client::danger::{HandshakeSignatureValid, ServerCertVerified, ServerCertVerifier};
use rustls::pki_types::{CertificateDer, ServerName, UnixTime};
use rustls::{CertificateError, ClientConfig, DigitallySignedStruct, SignatureScheme};

/// As [`client_config`](crate::certificate::client_config), for one connection whose certificate's times are noted.
pub(crate) fn watched_config(
    given: &[CertificateDer<'static>],
    identity: Option<Identity>,
) -> Result<(ClientConfig, Arc<Watch>), rustls::Error> {
    let watch = Arc::new(Watch { verifier: Verifier::new(given)?, times: Mutex::default() });
    Ok((configured(Arc::clone(&watch) as _, identity)?, watch))
}

/// From when and until when the certificates of a connection are good, as far as that is known: of several
/// in a chain, the first that ends.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct CertificateTimes {
    /// The certificate is not good before; known only of one that is not good yet.
    pub not_before: Option<SystemTime>,
    /// The certificate is not good after.
    pub not_after: Option<SystemTime>,
}

/// Verifies as [`Verifier`] does, and notes the times of the certificate.
#[derive(Debug)]
pub(crate) struct Watch {
    verifier: Verifier,
    times: Mutex<CertificateTimes>,
}

impl Watch {
    /// The recorded times.
    pub(crate) fn times(&self) -> CertificateTimes {
        *lock(&self.times)
    }

    /// Takes the times from how a verification failed.
    fn note(&self, result: &Result<ServerCertVerified, rustls::Error>) -> bool {
        let mut times = lock(&self.times);
        match result {
            Err(rustls::Error::InvalidCertificate(CertificateError::ExpiredContext {
                not_after, ..
            })) => {
                times.not_after = Some(SystemTime::UNIX_EPOCH + Duration::from_secs(not_after.as_secs()));
                true
            }
            Err(rustls::Error::InvalidCertificate(CertificateError::NotValidYetContext {
                not_before,
                ..
            })) => {
                times.not_before = Some(SystemTime::UNIX_EPOCH + Duration::from_secs(not_before.as_secs()));
                true
            }
            _ => false,
        }
    }
}

/// Years after now at which a certificate's end is asked for, the nearest first: what verifies says only
/// when it no longer would.
const LATER: [u64; 4] = [1, 5, 30, 100];
const YEAR: u64 = 365 * 24 * 60 * 60;

impl ServerCertVerifier for Watch {
    fn verify_server_cert(
        &self,
        end_entity: &CertificateDer<'_>,
        intermediates: &[CertificateDer<'_>],
        server_name: &ServerName<'_>,
        ocsp_response: &[u8],
        now: UnixTime,
    ) -> Result<ServerCertVerified, rustls::Error> {
        let verify =
            |at| self.verifier.verify_server_cert(end_entity, intermediates, server_name, ocsp_response, at);
        let verified = verify(now);
        if self.note(&verified) || verified.is_err() {
            return verified;
        }
        for years in LATER {
            let later = Duration::from_secs(now.as_secs().saturating_add(years * YEAR));
            if self.note(&verify(UnixTime::since_unix_epoch(later))) {
                break;
            }
        }
        verified
    }

    fn verify_tls12_signature(
        &self,
        message: &[u8],
        certificate: &CertificateDer<'_>,
        signature: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, rustls::Error> {
        self.verifier.verify_tls12_signature(message, certificate, signature)
    }

    fn verify_tls13_signature(
        &self,
        message: &[u8],
        certificate: &CertificateDer<'_>,
        signature: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, rustls::Error> {
        self.verifier.verify_tls13_signature(message, certificate, signature)
    }

    fn supported_verify_schemes(&self) -> Vec<SignatureScheme> {
        self.verifier.supported_verify_schemes()
    }
}
