//! Manifests and configs kept across runs: what a digest names cannot change, and registries count
//! what is fetched. Takes a directory, gives back what was kept if its digest is still right.

use std::path::{Path, PathBuf};
use std::sync::Mutex;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::SystemTime;

use bundle_oci::Digest;
use bytes::Bytes;

use crate::lock::lock;

/// A directory of small contents by digest. Its content is verified, and nothing depends on it: an entry that
/// cannot be read or written is fetched again.
#[derive(Debug)]
pub(crate) struct ContentCache {
    directory: PathBuf,
    /// The bytes of all files together.
    limit: u64,
    /// The bytes that are there, once they were counted.
    stored: Mutex<Option<u64>>,
}

/// Names of files that are being written.
static WRITTEN: AtomicU64 = AtomicU64::new(0);

impl ContentCache {
    pub(crate) fn new(directory: PathBuf, limit: u64) -> Self {
        Self { directory, limit, stored: Mutex::new(None) }
    }

    /// Returns the cached content of a digest, of at most `largest` bytes.
    pub(crate) fn get(&self, digest: Digest, largest: u64) -> Option<Bytes> {
        let path = self.path(digest);
        let bytes = bundle_os::read(&path, largest).ok()?;
        if Digest::of(&bytes) != digest {
            let _ = std::fs::remove_file(&path);
            return None;
        }
        // Recently used files are removed last.
        if let Ok(file) = std::fs::File::options().append(true).open(&path) {
            let _ = file.set_modified(SystemTime::now());
        }
        Some(bytes.into())
    }

    /// Keeps bytes whose digest was checked.
    pub(crate) fn put(&self, digest: Digest, bytes: &[u8]) {
        let path = self.path(digest);
        if !path.exists() {
            self.write(&path, bytes);
        }
    }

    /// Returns the last note under a name, of at most `largest` bytes. Its content is not verified.
    pub(crate) fn noted(&self, name: &str, largest: u64) -> Option<Bytes> {
        Some(bundle_os::read(&self.note_path(name), largest).ok()?.into())
    }

    /// Notes something under a name, instead of what was there.
    pub(crate) fn note(&self, name: &str, bytes: &[u8]) {
        self.write(&self.note_path(name), bytes);
    }

    fn write(&self, path: &Path, bytes: &[u8]) {
        if bytes.len() as u64 > self.limit / 16 {
            return;
        }
        let mut stored = lock(&self.stored);
        let before = match *stored {
            Some(bytes) => bytes,
            None => self.files().iter().map(|(_, _, size)| size).sum(),
        };
        let mut after = before + bytes.len() as u64;
        if after > self.limit {
            after = self.prune() + bytes.len() as u64;
        }
        *stored = Some(after);
        drop(stored);
        let name = format!("{}-{}.new", std::process::id(), WRITTEN.fetch_add(1, Ordering::Relaxed));
        let written = self.directory.join(name);
        // It need not outlive a crash: what is damaged is fetched again.
        let kept = std::fs::create_dir_all(&self.directory)
            .and_then(|()| std::fs::write(&written, bytes))
            .and_then(|()| std::fs::rename(&written, path));
        if kept.is_err() {
            let _ = std::fs::remove_file(&written);
        }
    }

    fn path(&self, digest: Digest) -> PathBuf {
        self.directory.join(format!("sha256-{}", digest.hex()))
    }

    fn note_path(&self, name: &str) -> PathBuf {
        self.directory.join(format!("note-{}", Digest::of(name.as_bytes()).hex()))
    }

    /// All files of ours with their age and size.
    fn files(&self) -> Vec<(PathBuf, SystemTime, u64)> {
        let Ok(entries) = std::fs::read_dir(&self.directory) else { return Vec::new() };
        let ours = |path: &Path| {
            let name = path.file_name().and_then(|name| name.to_str()).unwrap_or_default();
            name.starts_with("sha256-") || name.starts_with("note-") || name.ends_with(".new")
        };
        entries
            .filter_map(|entry| {
                let entry = entry.ok().filter(|entry| ours(&entry.path()))?;
                let metadata = entry.metadata().ok().filter(std::fs::Metadata::is_file)?;
                Some((entry.path(), metadata.modified().ok()?, metadata.len()))
            })
            .collect()
    }

    /// Removes the oldest half; gives the bytes that are left.
    fn prune(&self) -> u64 {
        let mut files = self.files();
        files.sort_by_key(|(_, modified, _)| *modified);
        let mut left: u64 = files.iter().map(|(_, _, size)| size).sum();
        for (path, _, size) in files {
            if left <= self.limit / 2 {
                break;
            }
            if std::fs::remove_file(path).is_ok() {
                left -= size;
            }
        }
        left
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_kept_is_checked_and_bounded() {
        let directory = tempfile::tempdir().unwrap();
        let cache = ContentCache::new(directory.path().join("cache"), 1600);
        let contents: Vec<Vec<u8>> = (0..40u8).map(|number| vec![number; 100]).collect();
        let digest = |bytes: &[u8]| Digest::of(bytes);
        cache.put(digest(&contents[0]), &contents[0]);
        assert_eq!(cache.get(digest(&contents[0]), 100).unwrap(), contents[0]);
        assert_eq!(cache.get(digest(&contents[0]), 99), None);
        std::fs::write(cache.path(digest(&contents[0])), b"damaged").unwrap();
        assert_eq!(cache.get(digest(&contents[0]), 100), None);
        for bytes in &contents {
            cache.put(digest(bytes), bytes);
        }
        let sizes: Vec<u64> = cache.files().into_iter().map(|(_, _, size)| size).collect();
        assert!(sizes.iter().sum::<u64>() <= 1600 && sizes.len() >= 8, "{sizes:?}");
        assert_eq!(cache.noted("a", 100), None);
        cache.note("a", b"first");
        cache.note("a", b"second");
        assert_eq!(cache.noted("a", 100).unwrap(), b"second".as_slice());
        assert_eq!(cache.noted("a", 3), None);
        // Content larger than its share of the cache is not kept.
        cache.put(digest(&[1; 101]), &[1; 101]);
        assert_eq!(cache.get(digest(&[1; 101]), 101), None);
    }
}
