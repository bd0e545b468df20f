//! The state file on this machine: the newest bundle of each stream of each registry, or path of one.
//! Takes a path, gives entries by registry and stream; written whole, under a lock.

use std::collections::BTreeMap;
use std::fs::{File, TryLockError};
use std::io::Read;
use std::path::{Path, PathBuf};

use bundle_format::{FileError, Sequence, StreamName, replace_file};
use bundle_oci::{Digest, RegistryPath};
use bundle_os::{Access, begins_with_field, create_directory, may_replace, open_or_create};
use serde::{Deserialize, Serialize};

use crate::{HistoryNotice, Limits, Newest};

/// The file that remembers the newest accepted bundle of each stream at each registry. As long as
/// it is open, other imports with this file wait.
#[derive(Debug)]
pub struct StateFile {
    path: PathBuf,
    document: Document,
    set_aside: Option<PathBuf>,
    /// Holds the lock, unless the file is only looked into.
    _lock: Option<File>,
}

/// Why the state cannot be kept.
#[derive(Debug, thiserror::Error)]
pub enum StateError {
    /// A file that cannot be read or locked.
    #[error("state {} cannot be {doing}", .path.display())]
    Io {
        /// The file.
        path: PathBuf,
        /// The action that failed.
        doing: &'static str,
        /// The operating system's error.
        source: std::io::Error,
    },
    /// A file of another time.
    #[error("state {} is of version {found}, and this program reads version {VERSION}", .path.display())]
    Version {
        /// The file.
        path: PathBuf,
        /// Its version.
        found: u64,
    },
    /// A file that cannot be written.
    #[error(transparent)]
    Write(#[from] FileError),
}

const VERSION: u64 = 1;
#[derive(Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields, rename_all = "camelCase")]
struct Document {
    state_version: u64,
    registries: BTreeMap<RegistryPath, BTreeMap<StreamName, Entry>>,
}

#[derive(Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields, rename_all = "camelCase")]
struct Entry {
    sequence: Sequence,
    statements: Vec<Digest>,
}

impl Document {
    fn empty() -> Self {
        Self { state_version: VERSION, registries: BTreeMap::new() }
    }
}

impl StateFile {
    /// Opens the file, or starts a new one. `waiting` is called if another import has it open. A
    /// file that cannot be understood is set aside under another name: what it knew, the registry
    /// knows as well.
    ///
    /// # Errors
    /// Any [`StateError`].
    pub fn open(path: &Path, waiting: impl FnOnce()) -> Result<Self, StateError> {
        let io = |doing| move |source| StateError::Io { path: path.to_owned(), doing, source };
        // A damaged file is set aside; a file of another program is not touched.
        may_replace(path, |start, _| {
            let damaged = start.iter().all(|byte| *byte == 0) || start.trim_ascii() == b"null";
            damaged || begins_with_field(start, "stateVersion")
        })?;
        if let Some(directory) = path.parent().filter(|directory| !directory.as_os_str().is_empty()) {
            create_directory(directory, Access::Owner).map_err(io("made"))?;
        }
        let mut beside = path.as_os_str().to_owned();
        beside.push(".lock");
        let lock = open_or_create(Path::new(&beside), Access::Owner).map_err(io("locked"))?;
        match lock.try_lock() {
            Ok(()) => {}
            Err(TryLockError::WouldBlock) => {
                waiting();
                lock.lock().map_err(io("locked"))?;
            }
            // Some network file systems have no locks; two imports at once are then the user's care.
            Err(TryLockError::Error(_)) => {}
        }
        let (document, set_aside) = match read(path)?.as_deref().map(parse) {
            None => (Document::empty(), None),
            Some(Ok(document)) => (document, None),
            Some(Err(Some(found))) => return Err(StateError::Version { path: path.to_owned(), found }),
            Some(Err(None)) => {
                let mut aside = path.as_os_str().to_owned();
                aside.push(".corrupt");
                let aside = PathBuf::from(aside);
                std::fs::rename(path, &aside).map_err(io("set aside"))?;
                (Document::empty(), Some(aside))
            }
        };
        Ok(Self { path: path.to_owned(), document, set_aside, _lock: Some(lock) })
    }

    /// Reads the file without a lock and changes nothing. A file that cannot be parsed counts as empty.
    ///
    /// # Errors
    /// The file cannot be read, or is of another time.
    pub fn look(path: &Path) -> Result<Self, StateError> {
        let document = match read(path)?.as_deref().map(parse) {
            Some(Err(Some(found))) => return Err(StateError::Version { path: path.to_owned(), found }),
            Some(Ok(document)) => document,
            Some(Err(None)) | None => Document::empty(),
        };
        Ok(Self { path: path.to_owned(), document, set_aside: None, _lock: None })
    }

    /// Where the earlier file is now, if it could not be understood.
    pub fn set_aside(&self) -> Option<&Path> {
        self.set_aside.as_deref()
    }

    /// A notice about the file for the user.
    pub fn notice(&self) -> Option<HistoryNotice> {
        let aside = self.set_aside.clone()?;
        Some(HistoryNotice::SetAside { file: self.path.clone(), aside })
    }

    /// The file's record of a stream.
    pub fn newest(&self, registry: &RegistryPath, stream: &StreamName) -> Option<Newest> {
        let entry = self.document.registries.get(registry)?.get(stream)?;
        Some(Newest { sequence: entry.sequence, statements: entry.statements.clone() })
    }

    /// The streams of a registry that the file knows.
    pub fn streams(&self, registry: &RegistryPath) -> Vec<StreamName> {
        self.document
            .registries
            .get(registry)
            .map(|streams| streams.keys().cloned().collect())
            .unwrap_or_default()
    }

    /// Sets a stream back to a newest bundle, or to none, and syncs it to disk. Only for a person's own
    /// decision: [`StateFile::remember`] is what imports use.
    ///
    /// # Errors
    /// The file cannot be written.
    pub fn set_back(
        &mut self,
        registry: &RegistryPath,
        stream: &StreamName,
        newest: Option<Newest>,
    ) -> Result<(), StateError> {
        if let Some(newest) = newest {
            return self.remember(registry, stream, newest);
        }
        if let Some(streams) = self.document.registries.get_mut(registry) {
            streams.remove(stream);
        }
        self.write()
    }

    /// Records a stream's bundle, and syncs it to disk.
    ///
    /// # Errors
    /// The file cannot be written.
    pub fn remember(
        &mut self,
        registry: &RegistryPath,
        stream: &StreamName,
        newest: Newest,
    ) -> Result<(), StateError> {
        if self.newest(registry, stream).as_ref() == Some(&newest) {
            return Ok(());
        }
        let entry = Entry { sequence: newest.sequence, statements: newest.statements };
        self.document.registries.entry(registry.clone()).or_default().insert(stream.clone(), entry);
        self.write()
    }

    fn write(&self) -> Result<(), StateError> {
        let mut bytes = serde_json::to_vec_pretty(&self.document).map_err(|error| StateError::Io {
            path: self.path.clone(),
            doing: "written",
            source: error.into(),
        })?;
        bytes.push(b'\n');
        Ok(replace_file(&self.path, &bytes)?)
    }
}

/// The file's bytes, if there is one.
fn read(path: &Path) -> Result<Option<Vec<u8>>, StateError> {
    let io = |source| StateError::Io { path: path.to_owned(), doing: "read", source };
    let file = match bundle_os::open(path) {
        Ok(file) => file,
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => return Ok(None),
        Err(error) => return Err(io(error)),
    };
    let mut bytes = Vec::new();
    file.take(Limits::DEFAULT.state_file + 1).read_to_end(&mut bytes).map_err(io)?;
    Ok(Some(bytes))
}

/// The version, if it is another one, is the better message; nothing, if the bytes make no sense.
fn parse(bytes: &[u8]) -> Result<Document, Option<u64>> {
    #[derive(Deserialize)]
    #[serde(rename_all = "camelCase")]
    struct Versioned {
        state_version: u64,
    }

    if bytes.len() as u64 > Limits::DEFAULT.state_file {
        return Err(None);
    }
    let versioned: Versioned = serde_json::from_slice(bytes).map_err(|_| None)?;
    if versioned.state_version != VERSION {
        return Err(Some(versioned.state_version));
    }
    let document: Document = serde_json::from_slice(bytes).map_err(|_| None)?;
    let empty = |entry: &Entry| entry.statements.is_empty();
    if document.registries.values().flat_map(BTreeMap::values).any(empty) { Err(None) } else { Ok(document) }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn newest(sequence: u64) -> Newest {
        Newest { sequence: sequence.try_into().unwrap(), statements: vec![Digest::of(b"a")] }
    }

    #[test]
    fn what_was_remembered_is_there_again_for_its_registry_only() {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("new/state.json");
        let (registry, stream): (RegistryPath, StreamName) =
            ("a.example/group".parse().unwrap(), "s".parse().unwrap());
        let mut state = StateFile::open(&path, || ()).unwrap();
        assert_eq!(state.newest(&registry, &stream), None);
        state.remember(&registry, &stream, newest(7)).unwrap();
        drop(state);
        let state = StateFile::open(&path, || ()).unwrap();
        assert_eq!(state.newest(&registry, &stream), Some(newest(7)));
        for other in ["b.example", "a.example", "a.example/group/sub", "a.example/other"] {
            assert_eq!(state.newest(&other.parse().unwrap(), &stream), None, "{other}");
        }
    }

    #[test]
    fn a_file_that_makes_no_sense_is_set_aside_and_one_of_another_time_is_refused() {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("state.json");
        for corrupt in [
            "",
            "{",
            "null",
            "{\"stateVersion\":1}",
            "{\"stateVersion\":1,\"registries\":{\"a\":{\"s\":{\"sequence\":0,\"statements\":[]}}}}",
        ] {
            std::fs::write(&path, corrupt).unwrap();
            let state = StateFile::open(&path, || ()).unwrap();
            let aside = state.set_aside().unwrap();
            assert_eq!(std::fs::read_to_string(aside).unwrap(), corrupt);
            assert!(!path.exists());
        }
        std::fs::write(&path, "{\"stateVersion\":2,\"new\":1}").unwrap();
        assert!(matches!(StateFile::open(&path, || ()), Err(StateError::Version { found: 2, .. })));
    }

    #[test]
    fn a_second_import_waits_for_the_first() {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("state.json");
        let first = StateFile::open(&path, || ()).unwrap();
        let (sender, receiver) = std::sync::mpsc::channel();
        std::thread::scope(|scope| {
            scope.spawn(|| StateFile::open(&path, || sender.send(()).unwrap()).unwrap());
            receiver.recv().unwrap();
            drop(first);
        });
    }
}
