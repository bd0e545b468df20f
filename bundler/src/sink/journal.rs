//! The journal beside a partial file: which plan it belongs to, and how many bytes of each blob
//! are written. It is only a hint: what it says is hashed again before it is relied on.

use std::collections::HashMap;
use std::fs::File;
use std::io::{Read, Seek, Write};
use std::path::{Path, PathBuf};
use std::sync::Mutex;

use bundle_oci::Digest;

use crate::sink::names::open_own;
use crate::{Limits, OutputError};

const FIRST_LINE: &str = "bundle-journal 1";

/// An open journal.
#[derive(Debug)]
pub(crate) struct Journal {
    file: Mutex<File>,
    path: PathBuf,
}

impl Journal {
    /// Opens the journal at `path`, or makes an empty one.
    pub(crate) fn open(path: PathBuf) -> Result<Self, OutputError> {
        Ok(Self { file: Mutex::new(open_own(&path)?), path })
    }

    /// Removes the journal of a run that was killed when its file had its final name already.
    pub(crate) fn clear(path: &Path, partial: &Path) {
        let mut start = [0; FIRST_LINE.len()];
        let ours = bundle_os::open(path).and_then(|mut file| file.read_exact(&mut start));
        if ours.is_ok() && start == FIRST_LINE.as_bytes() && partial.symlink_metadata().is_err() {
            let _ = std::fs::remove_file(path);
        }
    }

    /// The statement's digest, and how many bytes of each blob are written, by its position.
    pub(crate) fn read(&self) -> Option<(Digest, HashMap<usize, u64>)> {
        let mut file = self.file.lock().ok()?;
        let mut text = String::new();
        file.rewind().ok()?;
        (&*file).take(Limits::DEFAULT.journal).read_to_string(&mut text).ok()?;
        let mut lines = text.split_inclusive('\n').filter_map(|line| line.strip_suffix('\n'));
        let digest = lines.next()?.strip_prefix(FIRST_LINE)?.trim().parse().ok()?;
        let mut written: HashMap<usize, u64> = HashMap::new();
        for line in lines {
            let Some((blob, bytes)) = line.split_once(' ') else { continue };
            if let (Ok(blob), Ok(bytes)) = (blob.parse(), bytes.parse()) {
                written.insert(blob, bytes);
            }
        }
        Some((digest, written))
    }

    /// Begins anew, for the plan with this statement.
    pub(crate) fn start(&self, statement: Digest) -> Result<(), OutputError> {
        let mut file = self.file.lock().unwrap_or_else(std::sync::PoisonError::into_inner);
        file.set_len(0).and_then(|()| file.rewind()).map_err(|source| self.failed("emptied", source))?;
        writeln!(file, "{FIRST_LINE} {statement}").map_err(|source| self.failed("written", source))
    }

    /// Notes that the first `bytes` of a blob are written.
    pub(crate) fn note(&self, blob: usize, bytes: u64) -> Result<(), OutputError> {
        let mut file = self.file.lock().unwrap_or_else(std::sync::PoisonError::into_inner);
        let line = format!("{blob} {bytes}\n");
        file.seek(std::io::SeekFrom::End(0))
            .and_then(|_| file.write_all(line.as_bytes()))
            .map_err(|source| self.failed("written", source))
    }

    /// A journal that stays is recognised as another file's and emptied.
    pub(crate) fn remove(&self) {
        let _ = std::fs::remove_file(&self.path);
    }

    fn failed(&self, doing: &'static str, source: std::io::Error) -> OutputError {
        OutputError::Io { path: self.path.clone(), doing, source }
    }
}
