//! Certificates for one registry where Docker, Podman and containerd look for them:
//! `/etc/docker/certs.d/HOST[:PORT]/` and the like (docs.docker.com, "Verify repository client with
//! certificates"; containers-certs.d(5)). Takes directories and a host, gives what is in the first
//! that has something.

use std::path::{Path, PathBuf};

use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, PrivateKeyDer};

use crate::Error;
use crate::certificate::from_pem;
use crate::limits::{LARGEST_CA_FILE, MOST_HOST_FILES};

/// The additional roots of trust for one registry, and the client's certificate for it.
#[derive(Debug)]
pub(crate) struct HostCertificates {
    pub(crate) roots: Vec<CertificateDer<'static>>,
    /// A certificate of the client with its issuers, and its key.
    pub(crate) identity: Option<Identity>,
}

pub(crate) type Identity = (Vec<CertificateDer<'static>>, PrivateKeyDer<'static>);

impl HostCertificates {
    /// Reads the first directory for a host, if there is one: `*.crt` are authorities, `*.cert` with
    /// a `*.key` of the same name are the client's.
    ///
    /// # Errors
    /// [`Error::HostCertificates`] for a file that cannot be read or used.
    pub(crate) fn find(directories: &[PathBuf], hosts: &[&str]) -> Result<Option<Self>, Error> {
        for directory in directories {
            for host in hosts {
                let path = directory.join(host);
                if path.is_dir() {
                    return Self::read(&path).map(Some);
                }
            }
        }
        Ok(None)
    }

    fn read(directory: &Path) -> Result<Self, Error> {
        let failed = |path: &Path, why: String| Error::HostCertificates { path: path.to_owned(), why };
        let unread = |path: &Path, error: std::io::Error| failed(path, error.to_string());
        let entries = std::fs::read_dir(directory).map_err(|error| unread(directory, error))?;
        let mut paths: Vec<PathBuf> =
            entries.take(MOST_HOST_FILES).filter_map(|entry| Some(entry.ok()?.path())).collect();
        paths.sort();
        let mut found = Self { roots: Vec::new(), identity: None };
        let pem = |path: &Path| {
            let bytes = bundle_os::read(path, LARGEST_CA_FILE).map_err(|error| unread(path, error))?;
            Ok::<_, Error>(zeroize::Zeroizing::new(bytes))
        };
        let certificates = |path: &Path| {
            let certificates = from_pem(&pem(path)?).unwrap_or_default();
            if certificates.is_empty() {
                return Err(failed(path, "it has no certificate in PEM".to_owned()));
            }
            Ok(certificates)
        };
        for path in &paths {
            match path.extension().and_then(|extension| extension.to_str()) {
                Some("crt") => found.roots.extend(certificates(path)?),
                Some("cert") => {
                    let key = path.with_extension("key");
                    if !key.exists() {
                        return Err(failed(&key, "it is missing beside the client's certificate".to_owned()));
                    }
                    let chain = certificates(path)?;
                    let secret = PrivateKeyDer::from_pem_slice(&pem(&key)?)
                        .map_err(|_| failed(&key, "it has no private key in PEM".to_owned()))?;
                    found.identity.get_or_insert((chain, secret));
                }
                Some("key") if !path.with_extension("cert").exists() => {
                    let missing = path.with_extension("cert");
                    return Err(failed(&missing, "it is missing beside the client's key".to_owned()));
                }
                _ => {}
            }
        }
        Ok(found)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn incomplete_directories_are_named_and_others_passed_over() {
        let directory = tempfile::tempdir().unwrap();
        let places = [directory.path().join("a"), directory.path().join("b")];
        let host = places[1].join("r.example:5000");
        std::fs::create_dir_all(&host).unwrap();
        let find = || HostCertificates::find(&places, &["r.example:5000"]);
        assert!(find().unwrap().unwrap().roots.is_empty());
        assert!(HostCertificates::find(&places, &["r.example"]).unwrap().is_none());
        for (name, text, culprit) in [
            ("ca.crt", "no certificate", "ca.crt"),
            ("client.cert", "no certificate", "client.key"),
            ("client.key", "no key", "client.cert"),
        ] {
            std::fs::write(host.join(name), text).unwrap();
            let error = find().unwrap_err();
            assert!(
                matches!(&error, Error::HostCertificates { path, .. } if path.ends_with(culprit)),
                "{error}"
            );
            std::fs::remove_file(host.join(name)).unwrap();
        }
    }
}
