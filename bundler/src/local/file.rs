//! Single files, which travel as OCI artifacts as ORAS makes them: a manifest with an artifact type, the empty
//! config, and one layer whose title is the file's name (image-spec, manifest.md §Guidelines for Artifact
//! Usage). Takes a path, or the address and digest of a file on a web server; gives a store of one artifact.

use std::collections::BTreeMap;
use std::fmt;
use std::path::{Path, PathBuf};
use std::str::FromStr;

use bundle_oci::{Digest, Manifest, MediaType, Printable, hide_logins};
use bundle_registry::Client;
use bytes::Bytes;
use serde::Serialize;

use super::compression::digest;
use super::content::Content;
use super::error::{LocalCause, LocalError};
use super::store::{Blobs, Found, LocalStore};

/// The artifact type of a file.
const ARTIFACT_TYPE: &str = "application/vnd.bundle.file.v1";
/// The type of its bytes.
const FILE_TYPE: &str = "application/octet-stream";
/// The type of an empty config (image-spec, manifest.md §Guidance for an Empty Descriptor).
const EMPTY_TYPE: &str = "application/vnd.oci.empty.v1+json";
const EMPTY: &[u8] = b"{}";
/// The name under which `oras pull` writes it.
const TITLE: &str = "org.opencontainers.image.title";
/// Whether it may be executed: 0755, or 0644.
const MODE: &str = "bundle.file.mode";

/// Where a file is.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum FileOrigin {
    /// On this machine.
    Path {
        /// The file.
        path: PathBuf,
        /// As it was written.
        written: String,
    },
    /// On a web server.
    Web {
        /// Its address.
        address: String,
        /// The digest that its bytes must have.
        sha256: Digest,
    },
}

/// A file to carry.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct LocalFile {
    /// Where it is.
    pub origin: FileOrigin,
    /// Its name on the other side; without one, that which it has.
    pub title: Option<String>,
    /// Its mode on the other side; without one, 0755 if it may be executed here.
    pub mode: Option<FileMode>,
}

/// The modes that a file has when it is taken out of a bundle.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum FileMode {
    /// 0644.
    Plain,
    /// 0755.
    Executable,
}

/// Why a file cannot be carried.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum FileError {
    /// A name that is none.
    #[error("'{}' cannot be the name of a file", Printable(.0))]
    Title(String),
    /// A name that makes no name of a repository.
    #[error("'{}' makes no name of a repository", Printable(.0))]
    Repository(String),
    /// An address that says nothing about a size.
    #[error("the server does not say how large it is")]
    Size,
}

impl FileMode {
    /// As it stands in a manifest and in `bundle.yaml`.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Plain => "0644",
            Self::Executable => "0755",
        }
    }
}

/// A text that is neither of the two modes.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("'{}' is not one of '0644', '0755'", Printable(.0))]
pub struct ParseModeError(String);

impl FromStr for FileMode {
    type Err = ParseModeError;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let fits = |mode: &Self| mode.as_str() == text;
        [Self::Plain, Self::Executable].into_iter().find(fits).ok_or_else(|| ParseModeError(text.to_owned()))
    }
}

/// Its path or address, as it was written.
impl fmt::Display for FileOrigin {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Path { written, .. } => Printable(written).fmt(f),
            Self::Web { address, .. } => Printable(&hide_logins(without_query(address))).fmt(f),
        }
    }
}

/// Queries of addresses can be passwords.
fn without_query(address: &str) -> &str {
    address.split(['?', '#']).next().unwrap_or(address)
}

impl FileOrigin {
    /// The same, with its path taken from `directory`.
    pub(crate) fn below(self, directory: &Path) -> Self {
        match self {
            Self::Path { path, written } => Self::Path { path: directory.join(path), written },
            Self::Web { .. } => self,
        }
    }
}

impl LocalFile {
    /// The file's name on the other side.
    ///
    /// # Errors
    /// It has none that can be a file's anywhere.
    pub fn title(&self) -> Result<String, FileError> {
        let own = || match &self.origin {
            FileOrigin::Path { path, written } => {
                let name = path.file_name().and_then(|name| name.to_str());
                name.map(str::to_owned).ok_or_else(|| FileError::Title(written.clone()))
            }
            FileOrigin::Web { address, .. } => {
                let path = without_query(address).trim_end_matches('/');
                Ok(path.rsplit('/').next().unwrap_or_default().to_owned())
            }
        };
        let title = self.title.clone().map_or_else(own, Ok)?;
        let plain = (1..=255).contains(&title.len())
            && !matches!(title.as_str(), "." | "..")
            && !title.contains(['/', '\\', ':'])
            && !title.chars().any(char::is_control);
        if plain { Ok(title) } else { Err(FileError::Title(title)) }
    }

    /// Opens the file: hashes one of this machine, and asks a server for the size of its own.
    pub(super) async fn open(&self, client: &Client) -> Result<LocalStore, LocalError> {
        let failed = |cause: LocalCause| cause.of(&self.origin);
        let title = self.title().map_err(|error| failed(error.into()))?;
        let (digest, size, executable, place) = match &self.origin {
            FileOrigin::Path { path, .. } => {
                let path = path.clone();
                let task = tokio::task::spawn_blocking(move || look_at(path));
                let (digest, size, executable, content) = task
                    .await
                    .map_err(|error| failed(std::io::Error::other(error).into()))?
                    .map_err(failed)?;
                (digest, size, executable, Ok(content))
            }
            FileOrigin::Web { address, sha256 } => {
                let size = client.file_size(address).await;
                let size = size.map_err(|error| failed(LocalCause::Web(error)))?;
                let size = size.ok_or_else(|| failed(FileError::Size.into()))?;
                (*sha256, size, false, Err(address.clone()))
            }
        };
        let mode = self.mode.unwrap_or(if executable { FileMode::Executable } else { FileMode::Plain });
        let manifest = manifest(&title, mode, digest, size).map_err(failed)?;
        let root = Digest::of(&manifest);
        let media_type = Manifest::media_type(&manifest, Some(MediaType::IMAGE_MANIFEST))
            .map_err(|source| failed(LocalCause::Manifest { digest: root, source }))?;
        let mut store = LocalStore::new(self.origin.to_string(), Blobs::Nowhere);
        store.known.insert(root, Content::Memory(manifest));
        store.known.insert(Digest::of(EMPTY), Content::Memory(Bytes::from_static(EMPTY)));
        match place {
            Ok(content) => drop(store.known.insert(digest, content)),
            Err(address) => drop(store.web.insert(digest, address)),
        }
        store.images.push(Found { names: Vec::new(), tag: None, root, media_type });
        Ok(store)
    }
}

fn look_at(path: PathBuf) -> Result<(Digest, u64, bool, Content), LocalCause> {
    let found = bundle_os::open(&path)?.metadata()?;
    let executable = bundle_os::mode(&found) & 0o100 != 0;
    let content = Content::Whole { path, size: found.len() };
    Ok((digest(&content)?, found.len(), executable, content))
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct FileManifest<'a> {
    schema_version: u8,
    media_type: &'static str,
    artifact_type: &'static str,
    config: Part<'a>,
    layers: [Part<'a>; 1],
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct Part<'a> {
    media_type: &'static str,
    digest: Digest,
    size: u64,
    #[serde(skip_serializing_if = "BTreeMap::is_empty")]
    annotations: BTreeMap<&'static str, &'a str>,
}

/// The manifest of a file: the same file gives the same bytes.
fn manifest(title: &str, mode: FileMode, digest: Digest, size: u64) -> Result<Bytes, LocalCause> {
    let made = FileManifest {
        schema_version: 2,
        media_type: MediaType::IMAGE_MANIFEST,
        artifact_type: ARTIFACT_TYPE,
        config: Part {
            media_type: EMPTY_TYPE,
            digest: Digest::of(EMPTY),
            size: EMPTY.len() as u64,
            annotations: BTreeMap::new(),
        },
        layers: [Part {
            media_type: FILE_TYPE,
            digest,
            size,
            annotations: BTreeMap::from([(MODE, mode.as_str()), (TITLE, title)]),
        }],
    };
    let bytes = serde_json::to_vec(&made);
    bytes.map(Bytes::from).map_err(|source| LocalCause::Json { file: "manifest".to_owned(), source })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn file(path: &str, title: Option<&str>) -> LocalFile {
        let origin = FileOrigin::Path { path: path.into(), written: path.to_owned() };
        LocalFile { origin, title: title.map(str::to_owned), mode: None }
    }

    #[test]
    fn a_file_has_the_name_that_leads_nowhere_else() {
        assert_eq!(file("dir/k3s", None).title().unwrap(), "k3s");
        assert_eq!(file("dir/k3s", Some("k3s-v1")).title().unwrap(), "k3s-v1");
        let address = "https://get.example/rke2/rke2.tar.gz?token=secret".to_owned();
        let web = LocalFile {
            origin: FileOrigin::Web { address, sha256: Digest::of(b"") },
            title: None,
            mode: None,
        };
        assert_eq!(web.title().unwrap(), "rke2.tar.gz");
        assert_eq!(web.origin.to_string(), "https://get.example/rke2/rke2.tar.gz");
        let address = "https://user:hunter2@get.example/k3s".to_owned();
        let origin = FileOrigin::Web { address, sha256: Digest::of(b"") };
        assert_eq!(origin.to_string(), "https://***@get.example/k3s");
        for title in ["", ".", "..", "a/b", "/etc/passwd", "a\\b", "a\nb", "C:x"] {
            assert_eq!(file("k3s", Some(title)).title(), Err(FileError::Title(title.to_owned())));
        }
        assert!(file("..", None).title().is_err());
    }

    #[test]
    fn the_manifest_of_a_file_is_what_oras_pulls_and_stays_the_same() {
        let made = manifest("k3s", FileMode::Executable, Digest::of(b"k3s"), 3).unwrap();
        let text = std::str::from_utf8(&made).unwrap();
        let digest = Digest::of(b"k3s");
        assert_eq!(
            text,
            format!(
                "{{\"schemaVersion\":2,\"mediaType\":\"application/vnd.oci.image.manifest.v1+json\",\
                 \"artifactType\":\"application/vnd.bundle.file.v1\",\
                 \"config\":{{\"mediaType\":\"application/vnd.oci.empty.v1+json\",\
                 \"digest\":\"sha256:44136fa355b3678a1146ad16f7e8649e94fb4fc21fe77e8310c060f61caaff8a\",\"size\":2}},\
                 \"layers\":[{{\"mediaType\":\"application/octet-stream\",\"digest\":\"{digest}\",\"size\":3,\
                 \"annotations\":{{\"bundle.file.mode\":\"0755\",\"org.opencontainers.image.title\":\"k3s\"}}}}]}}"
            )
        );
    }
}
