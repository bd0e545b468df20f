//! Files for what is made of recipes: blobs and uncompressed bases. They have no names, and are gone when the
//! process is. The latest are kept up to a number of bytes, so that a blob that is read in pieces is made once.

use std::collections::HashMap;
use std::fs::File;
use std::hash::Hash;
use std::io;
use std::path::PathBuf;
use std::sync::{Arc, Mutex, PoisonError};

/// A place for files without names.
#[derive(Clone, Debug)]
pub struct ScratchSpace {
    directory: PathBuf,
}

impl ScratchSpace {
    /// Files in this directory, which must exist.
    pub fn at(directory: impl Into<PathBuf>) -> Self {
        Self { directory: directory.into() }
    }

    /// A new file, empty.
    ///
    /// # Errors
    /// It cannot be made.
    pub fn file(&self) -> io::Result<File> {
        tempfile::tempfile_in(&self.directory).map_err(|error| {
            io::Error::new(error.kind(), format!("{}: no scratch file: {error}", self.directory.display()))
        })
    }
}

impl Default for ScratchSpace {
    /// The system's directory for temporary files (`TMPDIR`).
    fn default() -> Self {
        Self::at(std::env::temp_dir())
    }
}

/// Things that were made and lie in files, the latest of them.
#[derive(Debug)]
pub(crate) struct Kept<K, V = File>(Mutex<Shelf<K, V>>);

#[derive(Debug)]
struct Shelf<K, V> {
    files: HashMap<K, Slot<V>>,
    clock: u64,
    bytes: u64,
    limit: u64,
}

/// A file that is made by whoever asks first; all others wait for it.
#[derive(Debug)]
struct Slot<V> {
    file: Shared<V>,
    size: u64,
    used: u64,
}

type Shared<V> = Arc<Mutex<Option<Arc<V>>>>;

impl<K: Copy + Eq + Hash, V> Kept<K, V> {
    /// Keeps files of so many bytes together; those in use count, and are not taken away.
    pub(crate) fn new(limit: u64) -> Self {
        Self(Mutex::new(Shelf { files: HashMap::new(), clock: 0, bytes: 0, limit }))
    }

    /// The file of `key`, made if it is not here.
    pub(crate) fn get<E>(&self, key: K, size: u64, make: impl FnOnce() -> Result<V, E>) -> Result<Arc<V>, E> {
        let slot = self.slot(key, size);
        let mut file = slot.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(file) = &*file {
            return Ok(file.clone());
        }
        let made = Arc::new(make()?);
        *file = Some(made.clone());
        Ok(made)
    }

    /// The slot of `key`, with the least recently used others gone if there is no room for all.
    fn slot(&self, key: K, size: u64) -> Shared<V> {
        let mut shelf = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let shelf = &mut *shelf;
        shelf.clock += 1;
        if let Some(slot) = shelf.files.get_mut(&key) {
            slot.used = shelf.clock;
            return slot.file.clone();
        }
        shelf.bytes += size;
        while shelf.bytes > shelf.limit {
            let oldest = shelf.files.iter().min_by_key(|(_, slot)| slot.used).map(|(key, _)| *key);
            let Some(slot) = oldest.and_then(|key| shelf.files.remove(&key)) else { break };
            shelf.bytes -= slot.size;
        }
        let slot = Slot { file: Shared::default(), size, used: shelf.clock };
        let file = slot.file.clone();
        shelf.files.insert(key, slot);
        file
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_latest_files_are_kept_and_each_is_made_once() {
        let kept = Kept::new(100);
        let made = std::cell::Cell::new(0);
        let get = |key: u32, size| {
            kept.get(key, size, || {
                made.set(made.get() + 1);
                ScratchSpace::default().file()
            })
            .unwrap()
        };
        for key in [1, 1, 2, 1] {
            get(key, 40);
        }
        assert_eq!(made.get(), 2);
        get(3, 40);
        get(1, 40);
        assert_eq!(made.get(), 3, "1 was used later than 2");
        get(2, 40);
        assert_eq!(made.get(), 4);
        get(4, 1000);
        get(4, 1000);
        assert_eq!(made.get(), 5, "what is larger than all is kept while nothing else is asked for");
    }
}
