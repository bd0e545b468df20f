//! A directory or an archive with files of known names: an OCI image layout, or what `docker save` writes.
//! Takes a path; gives the content of the files in it, and of no file outside.

use std::path::{Path, PathBuf};
use std::sync::Arc;

use bundle_oci::json::{self, Bounds};
use serde::de::DeserializeOwned;

use super::compression::{Compression, unpack};
use super::content::Content;
use super::error::LocalCause;
use super::tar::TarIndex;
use crate::Limits;

/// Files by their names.
#[derive(Debug)]
pub(super) enum Tree {
    /// A directory, by its path without links.
    Directory(PathBuf),
    /// An archive.
    Archive(TarIndex),
}

impl Tree {
    /// A directory.
    pub(super) fn directory(path: &Path) -> Result<Self, LocalCause> {
        let root = path.canonicalize()?;
        if !root.is_dir() {
            return Err(std::io::Error::from(std::io::ErrorKind::NotADirectory).into());
        }
        Ok(Self::Directory(root))
    }

    /// An archive, which may be compressed. What people unpacked is read as well.
    pub(super) fn archive(path: &Path, limits: &Limits) -> Result<Self, LocalCause> {
        if path.is_dir() {
            return Self::directory(path);
        }
        let file = Arc::new(bundle_os::open(path)?);
        let size = file.metadata()?.len();
        let whole = Content::Part { file: file.clone(), offset: 0, size };
        let file = match Compression::of(&whole)? {
            Compression::None => file,
            compression => Arc::new(unpack(&whole, compression, limits.unpacked_archive)?),
        };
        Ok(Self::Archive(TarIndex::read(file, limits)?))
    }

    /// The content of a file in it, if there is one.
    pub(super) fn find(&self, name: &str) -> Result<Option<Content>, LocalCause> {
        match self {
            Self::Archive(index) => index.find(name),
            Self::Directory(root) => {
                let wrong = |what| LocalCause::Entry { name: name.to_owned(), what };
                if name.starts_with('/') || name.split('/').any(|part| part == "..") {
                    return Err(wrong("has a path that leads out of the directory"));
                }
                let path = match root.join(name).canonicalize() {
                    Ok(path) => path,
                    Err(error) if error.kind() == std::io::ErrorKind::NotFound => return Ok(None),
                    Err(error) => return Err(error.into()),
                };
                if !path.starts_with(root) {
                    return Err(wrong("is a link that leads out of the directory"));
                }
                let found = path.metadata()?;
                if !found.is_file() {
                    return Err(wrong("is not a file"));
                }
                Ok(Some(Content::Whole { path, size: found.len() }))
            }
        }
    }

    /// The bytes of a document in it, if there is one.
    pub(super) fn read(&self, name: &str, limit: u64) -> Result<Option<Vec<u8>>, LocalCause> {
        let Some(content) = self.find(name)? else { return Ok(None) };
        let found = content.size();
        if found > limit {
            return Err(LocalCause::TooLarge { file: name.to_owned(), found, limit });
        }
        Ok(Some(content.read()?))
    }

    /// A JSON document in it, if there is one, that every reader understands alike.
    pub(super) fn json<T: DeserializeOwned>(
        &self,
        name: &str,
        limit: u64,
        known: &[&str],
        free: &[&str],
    ) -> Result<Option<T>, LocalCause> {
        let Some(bytes) = self.read(name, limit)? else { return Ok(None) };
        let wrong = |source| LocalCause::Json { file: name.to_owned(), source };
        json::check(&bytes, Bounds::MANIFEST, known, free).map_err(wrong)?;
        serde_json::from_slice(&bytes).map(Some).map_err(wrong)
    }
}
