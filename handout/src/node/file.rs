//! A file of a node's configuration, who may read it, and writing a tree of them whole or not at all.
//! Takes file contents; gives a directory that appears under its name when all is written.

use std::fmt;
use std::fs::File;
use std::io::{self, Write};
use std::path::{Path, PathBuf};

use bundle_os::{Access, create_new, set_directory_access};
use serde::Serialize;
use zeroize::Zeroizing;

/// A file of a node's configuration.
pub struct NodeFile {
    /// Where it belongs on the node, without the leading slash.
    pub path: String,
    /// The text.
    pub content: Zeroizing<String>,
    /// The read access.
    pub secrecy: Secrecy,
}

/// Read access to a file.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Secrecy {
    /// Its owner alone, for it has a password.
    Owner,
    /// Everyone.
    Everyone,
}

impl fmt::Debug for NodeFile {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("NodeFile")
            .field("path", &self.path)
            .field("secrecy", &self.secrecy)
            .finish_non_exhaustive()
    }
}

impl NodeFile {
    pub(super) fn new(path: impl Into<String>, content: impl Into<String>) -> Self {
        Self { path: path.into(), content: Zeroizing::new(content.into()), secrecy: Secrecy::Everyone }
    }

    pub(super) fn secret_if(self, secret: bool) -> Self {
        let secrecy = if secret { Secrecy::Owner } else { Secrecy::Everyone };
        Self { secrecy, ..self }
    }
}

/// A value of ours as YAML. Our types have texts, lists and maps with text keys only, which every
/// serializer can write.
pub(super) fn yaml(value: &impl Serialize) -> String {
    serde_saphyr::to_string(value).expect("texts, lists and maps are YAML")
}

/// As [`yaml`], as TOML.
pub(super) fn toml(value: &impl Serialize) -> String {
    ::toml::to_string(value).expect("texts, lists and maps are TOML")
}

/// Why files cannot be written.
#[derive(Debug, thiserror::Error)]
pub enum WriteError {
    /// The directory is there already.
    #[error("{} exists already", .0.display())]
    Exists(PathBuf),
    /// The system refused.
    #[error("{} cannot be written", .path.display())]
    Io {
        /// The file or directory.
        path: PathBuf,
        /// The operating system's error.
        source: io::Error,
    },
}

/// Writes the files below the directory `to`, which must not be there. It has its name only when
/// all are written and synced.
///
/// # Errors
/// Any [`WriteError`].
pub fn write_tree(files: &[NodeFile], to: &Path) -> Result<(), WriteError> {
    if to.symlink_metadata().is_ok() {
        return Err(WriteError::Exists(to.to_owned()));
    }
    let failed = |source| WriteError::Io { path: to.to_owned(), source };
    let parent = match to.parent() {
        Some(parent) if !parent.as_os_str().is_empty() => parent,
        _ => Path::new("."),
    };
    std::fs::create_dir_all(parent).map_err(failed)?;
    // Other users cannot write into it before it has its name.
    let partial = tempfile::Builder::new().prefix(".bundle-").suffix(".partial").tempdir_in(parent);
    let partial = partial.map_err(failed)?;
    for file in files {
        write(file, partial.path()).map_err(failed)?;
    }
    set_directory_access(partial.path(), Access::Everyone).map_err(failed)?;
    std::fs::rename(partial.path(), to).map_err(|error| match error.kind() {
        io::ErrorKind::AlreadyExists | io::ErrorKind::DirectoryNotEmpty | io::ErrorKind::NotADirectory => {
            WriteError::Exists(to.to_owned())
        }
        _ => failed(error),
    })?;
    let _ = partial.keep();
    File::open(parent).and_then(|parent| parent.sync_all()).map_err(failed)
}

fn write(file: &NodeFile, root: &Path) -> io::Result<()> {
    let path = root.join(&file.path);
    if let Some(parent) = path.parent() {
        std::fs::create_dir_all(parent)?;
    }
    let access = match file.secrecy {
        Secrecy::Owner => Access::Owner,
        Secrecy::Everyone => Access::Everyone,
    };
    let mut out = create_new(&path, access)?;
    out.write_all(file.content.as_bytes())?;
    out.sync_all()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_tree_is_written_whole_or_not_at_all_and_secrets_are_the_owners() {
        let directory = tempfile::tempdir().unwrap();
        let to = directory.path().join("node");
        let secret = NodeFile::new("etc/a/secret", "password").secret_if(true);
        let files = [secret, NodeFile::new("etc/b", "plain")];
        write_tree(&files, &to).unwrap();
        let mode = |path: &str| bundle_os::mode(&to.join(path).metadata().unwrap());
        assert_eq!((mode("etc/a/secret"), mode("etc/b") & 0o400), (0o600, 0o400));
        assert!(matches!(write_tree(&files, &to), Err(WriteError::Exists(_))));
        let link = directory.path().join("link");
        std::os::unix::fs::symlink("elsewhere", &link).unwrap();
        assert!(matches!(write_tree(&files, &link), Err(WriteError::Exists(_))));
        assert!(!directory.path().join("elsewhere").exists());
        assert_eq!(directory.path().read_dir().unwrap().count(), 2);
        assert!(!format!("{:?}", files[0]).contains("password"));
    }
}
