//! The content of a registry, and its missing or damaged parts. Takes a client of a registry; gives its
//! repositories and tags, and every problem of their content.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt;
use std::io::{self, Write as _};

use serde::Deserialize;

use crate::blob::{Hashing, sha256};
use crate::client::Client;

/// Repository → tag → digest.
pub type Contents = BTreeMap<String, BTreeMap<String, String>>;

/// All tags of the registry at `host`, with the digests of the manifests' bytes.
///
/// # Errors
///
/// When the registry does not answer as it should.
pub fn contents(host: &str) -> io::Result<Contents> {
    Client::new(host).contents()
}

/// Everything wrong below any tag of the registry at `host`; an empty list means it is complete.
///
/// # Errors
///
/// When the registry cannot list its tags.
pub fn check_complete(host: &str, check: Check) -> io::Result<Vec<Problem>> {
    Client::new(host).check_complete(check)
}

/// How closely a blob is looked at.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Check {
    /// It is there and has the size its descriptor says.
    Head,
    /// It is downloaded, and its digest computed.
    Hash,
}

/// Something below a tag that is not as it should be.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Problem {
    /// The repository looked into.
    pub repository: String,
    /// The tag the walk began at.
    pub tag: String,
    /// The manifest or blob it is about.
    pub digest: String,
    /// The cause.
    pub wrong: Wrong,
}

/// A fault of a manifest or a blob.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Wrong {
    /// The registry answered this status instead of 200.
    Status(u16),
    /// The bytes have another digest.
    Digest(String),
    /// Not of the size the descriptor says.
    Size {
        /// The descriptor's.
        expected: u64,
        /// The registry's.
        found: u64,
    },
    /// The connection failed, or the document cannot be read.
    Unreadable(String),
}

impl fmt::Display for Problem {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}:{}: {}: ", self.repository, self.tag, self.digest)?;
        match &self.wrong {
            Wrong::Status(status) => write!(f, "the registry answered {status}"),
            Wrong::Digest(found) => write!(f, "the bytes are {found}"),
            Wrong::Size { expected, found } => write!(f, "{found} bytes instead of {expected}"),
            Wrong::Unreadable(why) => f.write_str(why),
        }
    }
}

impl Client {
    /// All tags of the registry, with the digests of the manifests' bytes. A repository without tags is not
    /// listed.
    ///
    /// # Errors
    ///
    /// When the registry does not answer as it should.
    pub fn contents(&self) -> io::Result<Contents> {
        let mut contents = Contents::new();
        for repository in self.catalog()? {
            for tag in self.tags(&repository)? {
                if let Some(manifest) = self.manifest(&repository, &tag)? {
                    contents.entry(repository.clone()).or_default().insert(tag, manifest.digest);
                }
            }
        }
        Ok(contents)
    }

    /// Everything wrong below any tag; an empty list means the registry is complete.
    ///
    /// # Errors
    ///
    /// When the registry cannot list its tags.
    pub fn check_complete(&self, check: Check) -> io::Result<Vec<Problem>> {
        let mut problems = Vec::new();
        for repository in self.catalog()? {
            for tag in self.tags(&repository)? {
                problems.extend(self.check(&repository, &tag, check));
            }
        }
        Ok(problems)
    }

    /// Everything wrong with a tag (or digest) and all below it.
    pub fn check(&self, repository: &str, tag: &str, check: Check) -> Vec<Problem> {
        let mut walk =
            Walk { client: self, repository, tag, check, seen: BTreeSet::new(), problems: Vec::new() };
        walk.manifest(tag, None);
        walk.problems
    }
}

struct Walk<'a> {
    client: &'a Client,
    repository: &'a str,
    tag: &'a str,
    check: Check,
    seen: BTreeSet<String>,
    problems: Vec<Problem>,
}

impl Walk<'_> {
    fn manifest(&mut self, reference: &str, size: Option<u64>) {
        if !self.seen.insert(reference.to_owned()) {
            return;
        }
        match self.read_manifest(reference, size) {
            Ok(parts) => {
                for child in parts.manifests {
                    self.manifest(&child.digest, Some(child.size));
                }
                for blob in parts.config.into_iter().chain(parts.layers) {
                    self.blob(&blob);
                }
            }
            Err(wrong) => self.report(reference, wrong),
        }
    }

    fn read_manifest(&self, reference: &str, size: Option<u64>) -> Result<Parts, Wrong> {
        let response = self.client.get(&format!("/v2/{}/manifests/{reference}", self.repository))?;
        if response.status != 200 {
            return Err(Wrong::Status(response.status));
        }
        if reference.contains(':') {
            verify(reference, size, sha256(&response.body), response.body.len() as u64)?;
        }
        serde_json::from_slice(&response.body).map_err(|e| Wrong::Unreadable(e.to_string()))
    }

    fn blob(&mut self, blob: &Part) {
        // Layers an image's publisher does not let registries distribute are elsewhere by design.
        if !blob.urls.is_empty() || !self.seen.insert(blob.digest.clone()) {
            return;
        }
        if let Err(wrong) = self.read_blob(blob) {
            self.report(&blob.digest, wrong);
        }
    }

    fn read_blob(&self, blob: &Part) -> Result<(), Wrong> {
        let path = format!("/v2/{}/blobs/{}", self.repository, blob.digest);
        match self.check {
            Check::Head => {
                let response = self.client.head(&path)?;
                if response.status != 200 {
                    return Err(Wrong::Status(response.status));
                }
                let found = response.header("content-length").and_then(|l| l.parse().ok()).unwrap_or(0);
                verify(&blob.digest, Some(blob.size), blob.digest.clone(), found)
            }
            Check::Hash => {
                let mut download = self.client.download(&path)?;
                if download.status != 200 {
                    return Err(Wrong::Status(download.status));
                }
                let mut hasher = Hashing::new(io::sink());
                io::copy(&mut download, &mut hasher)?;
                hasher.flush()?;
                let (found, size, _) = hasher.finish();
                verify(&blob.digest, Some(blob.size), found, size)
            }
        }
    }

    fn report(&mut self, digest: &str, wrong: Wrong) {
        self.problems.push(Problem {
            repository: self.repository.to_owned(),
            tag: self.tag.to_owned(),
            digest: digest.to_owned(),
            wrong,
        });
    }
}

fn verify(digest: &str, size: Option<u64>, found: String, found_size: u64) -> Result<(), Wrong> {
    match size {
        Some(expected) if expected != found_size => Err(Wrong::Size { expected, found: found_size }),
        _ if digest != found => Err(Wrong::Digest(found)),
        _ => Ok(()),
    }
}

impl From<io::Error> for Wrong {
    fn from(error: io::Error) -> Wrong {
        Wrong::Unreadable(error.to_string())
    }
}

/// The references of a manifest or an index.
#[derive(Deserialize)]
struct Parts {
    #[serde(default)]
    manifests: Vec<Part>,
    config: Option<Part>,
    #[serde(default)]
    layers: Vec<Part>,
}

#[derive(Deserialize)]
struct Part {
    digest: String,
    size: u64,
    #[serde(default)]
    urls: Vec<String>,
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{DockerRegistry, ImageSpec, LayerSpec};

    #[test]
    fn a_missing_and_a_damaged_blob_are_found() {
        let registry = DockerRegistry::start().unwrap();
        let client = registry.client();
        let image =
            ImageSpec::oci().layer(LayerSpec::new(1, 50_000)).layer(LayerSpec::new(2, 50_000)).build();
        client.push("a/b", "1", &image).unwrap();
        assert_eq!(client.contents().unwrap()["a/b"]["1"], image.digest);
        assert_eq!(client.check_complete(Check::Head).unwrap(), []);
        let stored = |digest: &str| {
            let hex = digest.trim_start_matches("sha256:");
            registry.store().join(format!("docker/registry/v2/blobs/sha256/{}/{hex}/data", &hex[..2]))
        };
        let damaged = &image.blobs[1];
        let mut bytes = damaged.bytes().unwrap();
        bytes[1000] ^= 1;
        std::fs::write(stored(&damaged.digest), bytes).unwrap();
        std::fs::remove_file(stored(&image.blobs[2].digest)).unwrap();
        let found: Vec<(String, Wrong)> =
            client.check_complete(Check::Hash).unwrap().into_iter().map(|p| (p.digest, p.wrong)).collect();
        assert_eq!(found.len(), 2);
        assert!(found[0].0 == damaged.digest && matches!(found[0].1, Wrong::Digest(_)), "{found:?}");
        assert!(found[1].0 == image.blobs[2].digest && found[1].1 == Wrong::Status(404), "{found:?}");
        assert_eq!(client.check_complete(Check::Head).unwrap().len(), 1);
    }
}
