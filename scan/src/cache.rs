//! What was found before: a file for each manifest, scanner, database and VEX file, so that tomorrow only new images
//! are scanned, and all of them after a new database.
//! Takes a directory of the user's own; gives findings, or nothing. A file that cannot be read or written costs a scan.

use std::path::PathBuf;

use bundle_oci::Digest;
use bundle_os::{Access, create_directory, replace_file};
use serde::{Deserialize, Serialize};

use crate::{Findings, Identity, Limits};

/// The version of the files. A new reading of scanners' output raises it.
const VERSION: u32 = 1;

/// Findings of earlier scans.
#[derive(Clone, Debug)]
pub struct Cache {
    directory: PathBuf,
    /// Whether nothing is taken from it, so that all is scanned again.
    renew: bool,
}

#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields, rename_all = "camelCase")]
struct File {
    scan_cache_version: u32,
    key: Key,
    findings: Findings,
}

/// All that the findings depend on.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, rename_all = "camelCase")]
struct Key {
    scanner: Identity,
    manifest: Digest,
}

impl Cache {
    /// The cache in a directory, which need not exist. With `renew`, what it knows is scanned again.
    pub fn new(directory: PathBuf, renew: bool) -> Self {
        Self { directory, renew }
    }

    /// What was found in a manifest by this scanner with this database.
    pub fn find(&self, scanner: &Identity, manifest: Digest) -> Option<Findings> {
        if self.renew {
            return None;
        }
        let key = Key { scanner: scanner.clone(), manifest };
        let bytes = bundle_os::read(&self.place(&key)?, Limits::DEFAULT.output).ok()?;
        let file: File = serde_json::from_slice(&bytes).ok()?;
        (file.scan_cache_version == VERSION && file.key == key).then_some(file.findings)
    }

    /// Keeps what was found.
    pub fn keep(&self, scanner: &Identity, manifest: Digest, findings: &Findings) {
        let key = Key { scanner: scanner.clone(), manifest };
        let Some(place) = self.place(&key) else { return };
        let file = File { scan_cache_version: VERSION, key, findings: findings.clone() };
        let Ok(bytes) = serde_json::to_vec(&file) else { return };
        // The parents are made as the user's other directories are; only the last one needs to be closed to others.
        if let Some(above) = self.directory.parent() {
            let _ = std::fs::create_dir_all(above);
        }
        let _ = create_directory(&self.directory, Access::Owner);
        let _ = replace_file(&place, &bytes);
    }

    fn place(&self, key: &Key) -> Option<PathBuf> {
        let name = Digest::of(&serde_json::to_vec(key).ok()?);
        Some(self.directory.join(format!("{}.json", name.hex())))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn another_scanner_database_or_manifest_is_scanned_again() {
        let directory = tempfile::tempdir().unwrap();
        let cache = Cache::new(directory.path().join("a/scans"), false);
        let scanner = Identity {
            name: "trivy".to_owned(),
            version: "0.74.0".to_owned(),
            database: Some("2026-11-28T00:00:00Z".to_owned()),
            vex: None,
        };
        let (one, other) = (Digest::of(b"1"), Digest::of(b"2"));
        let findings = Findings { recognised: true, all: Vec::new() };
        assert_eq!(cache.find(&scanner, one), None);
        cache.keep(&scanner, one, &findings);
        assert_eq!(cache.find(&scanner, one), Some(findings.clone()));
        assert_eq!(cache.find(&scanner, other), None);
        assert_eq!(Cache::new(directory.path().join("a/scans"), true).find(&scanner, one), None);
        for changed in [
            Identity { version: "0.75.0".to_owned(), ..scanner.clone() },
            Identity { database: Some("2026-11-29T00:00:00Z".to_owned()), ..scanner.clone() },
            Identity { vex: Some(one), ..scanner.clone() },
        ] {
            assert_eq!(cache.find(&changed, one), None);
        }
        let file =
            std::fs::read_dir(directory.path().join("a/scans")).unwrap().next().unwrap().unwrap().path();
        std::fs::write(file, "{").unwrap();
        assert_eq!(cache.find(&scanner, one), None);
    }
}
