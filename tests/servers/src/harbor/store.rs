//! Blobs and uploads on disk.
//! Takes the bytes of an upload piece by piece; gives a blob under its digest.

use std::collections::BTreeMap;
use std::fs::{self, File};
use std::io::{self, Read, Write as _};
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex};

use tempfile::TempDir;

use super::lock;
use crate::blob::Hashing;

const BUFFER: usize = 256 * 1024;

/// A directory of blobs by digest, and of uploads under way.
pub(super) struct Store {
    directory: PathBuf,
    uploads: Mutex<BTreeMap<String, Arc<Mutex<Upload>>>>,
    /// Removed with the store, where the double made it itself.
    _temporary: Option<TempDir>,
}

/// An upload session.
pub(super) struct Upload {
    pub(super) repository: String,
    /// Harbor's note of the last `PATCH`, to account for a `PUT` without a length.
    pub(super) accepted: u64,
    content: Hashing<File>,
    path: PathBuf,
}

/// Why a body was not stored whole.
pub(super) enum Broken {
    /// The client's connection ended; what had come is stored.
    Connection,
    /// The disk failed.
    Disk(io::Error),
}

impl Store {
    /// A store in `directory`, or in a temporary one.
    pub(super) fn open(directory: Option<&Path>) -> io::Result<Store> {
        let (directory, temporary) = match directory {
            Some(directory) => (directory.to_owned(), None),
            None => {
                let temporary = tempfile::tempdir()?;
                (temporary.path().to_owned(), Some(temporary))
            }
        };
        fs::create_dir_all(directory.join("blobs"))?;
        fs::create_dir_all(directory.join("uploads"))?;
        Ok(Store { directory, uploads: Mutex::default(), _temporary: temporary })
    }

    /// The blob's file and size; `None` when there is none.
    pub(super) fn blob(&self, digest: &str) -> io::Result<Option<(File, u64)>> {
        match File::open(self.blob_path(digest)) {
            Ok(file) => {
                let size = file.metadata()?.len();
                Ok(Some((file, size)))
            }
            Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(None),
            Err(error) => Err(error),
        }
    }

    pub(super) fn has_blob(&self, digest: &str) -> bool {
        self.blob_path(digest).exists()
    }

    /// Removes a blob, as garbage collection does.
    pub(super) fn remove_blob(&self, digest: &str) -> io::Result<()> {
        match fs::remove_file(self.blob_path(digest)) {
            Err(error) if error.kind() != io::ErrorKind::NotFound => Err(error),
            _ => Ok(()),
        }
    }

    /// A new session under that identifier.
    pub(super) fn begin(&self, id: &str, repository: &str) -> io::Result<()> {
        let path = self.directory.join("uploads").join(id);
        let content = Hashing::new(File::create_new(&path)?);
        let upload = Upload { repository: repository.to_owned(), accepted: 0, content, path };
        lock(&self.uploads).insert(id.to_owned(), Arc::new(Mutex::new(upload)));
        Ok(())
    }

    pub(super) fn upload(&self, id: &str) -> Option<Arc<Mutex<Upload>>> {
        lock(&self.uploads).get(id).cloned()
    }

    pub(super) fn uploads(&self) -> Vec<String> {
        lock(&self.uploads).keys().cloned().collect()
    }

    /// Ends a session and removes what it stored.
    pub(super) fn cancel(&self, id: &str) {
        if let Some(upload) = lock(&self.uploads).remove(id) {
            // The directory is a test's; what cannot be removed goes with it.
            fs::remove_file(&lock(&upload).path).ok();
        }
    }

    /// Makes the upload the blob it is, if it is `digest`; ends the session in either case.
    pub(super) fn commit(&self, id: &str, upload: &Upload, digest: &str) -> io::Result<bool> {
        let right = upload.content.digest() == digest;
        if right {
            fs::rename(&upload.path, self.blob_path(digest))?;
        } else {
            fs::remove_file(&upload.path)?;
        }
        lock(&self.uploads).remove(id);
        Ok(right)
    }

    fn blob_path(&self, digest: &str) -> PathBuf {
        self.directory.join("blobs").join(digest.replacen(':', "-", 1))
    }
}

impl Upload {
    /// Appends a body, as far as it comes.
    pub(super) fn append(&mut self, body: &mut dyn Read) -> Result<(), Broken> {
        let mut buffer = vec![0; BUFFER];
        loop {
            let n = match body.read(&mut buffer) {
                Ok(0) => return Ok(()),
                Ok(n) => n,
                Err(_) => return Err(Broken::Connection),
            };
            self.content.write_all(&buffer[..n]).map_err(Broken::Disk)?;
        }
    }

    pub(super) fn size(&self) -> u64 {
        self.content.size()
    }
}
