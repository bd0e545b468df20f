//! The directory where finished bundles wait to be carried over, until a receipt says that they arrived.
//! Takes the directory and a stream, gives paths; removes only what a receipt names.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use crate::listing;
use bundle_format::{Sequence, StreamName, VolumeNames};

/// Where finished bundles of a stream wait to be carried over, and stay until they arrived:
/// `STREAM-SEQUENCE.tar`, with `.zst` behind it or in volumes.
#[derive(Clone, Debug)]
pub struct Outbox {
    directory: PathBuf,
    stream: StreamName,
}

/// A bundle in the outbox.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Sent {
    /// Its place in the stream.
    pub sequence: Sequence,
    /// The path to open it by.
    pub path: PathBuf,
    /// All its files, that which makes it look complete first.
    pub files: Vec<PathBuf>,
    /// The size of the files in bytes.
    pub bytes: u64,
}

/// An outbox that cannot be used.
#[derive(Debug, thiserror::Error)]
#[error("{} cannot be {doing}", .path.display())]
pub struct OutboxError {
    /// The directory or file.
    pub path: PathBuf,
    /// The action that failed.
    pub doing: &'static str,
    /// The operating system's error.
    pub source: std::io::Error,
}

impl Outbox {
    /// The outbox of a stream in a directory, which is made if it is not there.
    ///
    /// # Errors
    /// The directory cannot be made.
    pub fn open(directory: &Path, stream: &StreamName) -> Result<Self, OutboxError> {
        let failed = |source| OutboxError { path: directory.to_owned(), doing: "made", source };
        std::fs::create_dir_all(directory).map_err(failed)?;
        Ok(Self { directory: directory.to_owned(), stream: stream.clone() })
    }

    /// The path of the bundle with this number.
    pub fn path(&self, sequence: Sequence, compress: bool) -> PathBuf {
        let end = if compress { ".zst" } else { "" };
        self.directory.join(format!("{}-{sequence}.tar{end}", self.stream))
    }

    /// The finished bundles, oldest first.
    ///
    /// # Errors
    /// The directory cannot be read.
    pub fn bundles(&self) -> Result<Vec<Sent>, OutboxError> {
        Ok(self.sets()?.into_iter().filter(|(_, is_whole)| *is_whole).map(|(sent, _)| sent).collect())
    }

    /// The files of each bundle, oldest first, and whether they are complete.
    fn sets(&self) -> Result<Vec<(Sent, bool)>, OutboxError> {
        #[derive(Default)]
        struct Parts {
            archive: bool,
            index: bool,
            volumes: usize,
            of: usize,
        }

        let mut found: BTreeMap<Sequence, (Sent, Parts)> = BTreeMap::new();
        for (name, path, bytes) in self.files()? {
            let Some((sequence, rest)) = self.read(&name) else { continue };
            let (sent, parts) = found.entry(sequence).or_insert_with(|| {
                let path = self.path(sequence, false);
                (Sent { sequence, path, files: Vec::new(), bytes: 0 }, Parts::default())
            });
            sent.bytes = sent.bytes.saturating_add(bytes);
            match rest {
                ".tar" | ".tar.zst" => {
                    parts.archive = true;
                    sent.path = path.clone();
                    sent.files.insert(0, path);
                }
                ".tar.volumes.json" | ".tar.zst.volumes.json" => {
                    parts.index = true;
                    sent.path = self.path(sequence, rest == ".tar.zst.volumes.json");
                    sent.files.insert(0, path);
                }
                _ => {
                    if let Some((_, _, of)) = VolumeNames::read(&path) {
                        parts.volumes += 1;
                        parts.of = of;
                    }
                    sent.files.push(path);
                }
            }
        }
        let is_whole =
            |parts: &Parts| parts.archive || (parts.index && parts.volumes > 0 && parts.volumes == parts.of);
        Ok(found.into_values().map(|(sent, parts)| (sent, is_whole(&parts))).collect())
    }

    /// The numbers of bundles that an earlier run began and did not finish.
    ///
    /// # Errors
    /// The directory cannot be read.
    pub fn begun(&self) -> Result<Vec<(Sequence, PathBuf)>, OutboxError> {
        let begun = self.files()?.into_iter().filter_map(|(name, _, _)| {
            let inner = name.strip_prefix('.')?.strip_suffix(".journal")?;
            let (sequence, rest) = self.read(inner)?;
            (rest == ".tar" || rest == ".tar.zst").then(|| (sequence, self.directory.join(inner)))
        });
        let mut begun: Vec<_> = begun.collect();
        begun.sort();
        Ok(begun)
    }

    /// Removes what an earlier run began.
    ///
    /// # Errors
    /// A file cannot be removed.
    pub fn give_up(&self, sequence: Sequence) -> Result<(), OutboxError> {
        for (name, path, _) in self.files()? {
            let inner = name.strip_prefix('.').and_then(|inner| self.read(inner));
            if inner.is_some_and(|(found, _)| found == sequence) {
                remove(&path)?;
            }
        }
        Ok(())
    }

    /// Removes bundles that arrived: those up to `arrived`, but for the newest `keep` of them and
    /// those whose number `needed` says is needed. Returns how many.
    ///
    /// # Errors
    /// A file cannot be removed.
    pub fn prune(
        &self,
        arrived: Sequence,
        keep: usize,
        needed: impl Fn(Sequence) -> bool,
    ) -> Result<usize, OutboxError> {
        let old = self.sets()?.into_iter().filter(|(sent, _)| sent.sequence <= arrived);
        let (whole, rests): (Vec<_>, Vec<_>) = old.partition(|(_, is_whole)| *is_whole);
        let mut removed = 0;
        for (sent, _) in whole.iter().take(whole.len().saturating_sub(keep)) {
            if needed(sent.sequence) {
                continue;
            }
            // The file that makes it look complete goes first: half a bundle must not look like one.
            sent.files.iter().try_for_each(|path| remove(path))?;
            removed += 1;
        }
        // These are leftovers of a killed run, or sets with removed volumes.
        rests.iter().flat_map(|(sent, _)| &sent.files).try_for_each(|path| remove(path))?;
        Ok(removed)
    }

    fn files(&self) -> Result<Vec<(String, PathBuf, u64)>, OutboxError> {
        let failed = |source| OutboxError { path: self.directory.clone(), doing: "read", source };
        let files = listing::files(&self.directory).map_err(failed)?;
        Ok(files.into_iter().map(|file| (file.name, file.path, file.metadata.len())).collect())
    }

    /// The number in a file's name, and what follows it.
    fn read<'a>(&self, name: &'a str) -> Option<(Sequence, &'a str)> {
        let rest = name.strip_prefix(&format!("{}-", self.stream))?;
        let digits = rest.bytes().take_while(u8::is_ascii_digit).count();
        let (number, end) = rest.split_at(digits);
        if number.starts_with('0') || !end.starts_with(".tar") {
            return None;
        }
        Some((number.parse().ok()?, end))
    }
}

fn remove(path: &Path) -> Result<(), OutboxError> {
    match std::fs::remove_file(path) {
        Err(source) if source.kind() != std::io::ErrorKind::NotFound => {
            Err(OutboxError { path: path.to_owned(), doing: "removed", source })
        }
        _ => Ok(()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn outbox(files: &[&str]) -> (tempfile::TempDir, Outbox) {
        let directory = tempfile::tempdir().unwrap();
        for file in files {
            std::fs::write(directory.path().join(file), "12345").unwrap();
        }
        let outbox = Outbox::open(directory.path(), &"nightly".parse().unwrap()).unwrap();
        (directory, outbox)
    }

    fn numbers(outbox: &Outbox) -> Vec<u64> {
        outbox.bundles().unwrap().iter().map(|sent| sent.sequence.into()).collect()
    }

    #[test]
    fn only_finished_bundles_of_the_stream_count() {
        let (_directory, outbox) = outbox(&[
            "nightly-9.tar",
            "nightly-10.tar.zst",
            "nightly-11.tar.001-of-002",
            "nightly-11.tar.002-of-002",
            "nightly-11.tar.volumes.json",
            "nightly-12.tar.001-of-002",
            "nightly-15.tar.002-of-002",
            "nightly-15.tar.volumes.json",
            ".nightly-13.tar.journal",
            ".nightly-13.tar.partial",
            "nightly-2-8.tar",
            "nightly-07.tar",
            "weekly-1.tar",
            "nightly-14.tar.0123456789abcdef.sig",
            "notes.txt",
        ]);
        assert_eq!(numbers(&outbox), [9, 10, 11]);
        let sets = outbox.bundles().unwrap();
        assert!(sets[1].path.ends_with("nightly-10.tar.zst"));
        assert!(sets[2].path.ends_with("nightly-11.tar") && sets[2].bytes == 15);
        assert!(sets[2].files[0].ends_with("nightly-11.tar.volumes.json"));
        let begun: Vec<u64> = outbox.begun().unwrap().into_iter().map(|(number, _)| number.into()).collect();
        assert_eq!(begun, [13]);
        outbox.give_up(13.try_into().unwrap()).unwrap();
        assert!(outbox.begun().unwrap().is_empty());
    }

    #[test]
    fn what_arrived_is_removed_but_for_a_few() {
        let mut names: Vec<String> = (1..8).map(|number| format!("nightly-{number}.tar")).collect();
        names.remove(3);
        // Of 4, and of 9, the first volume was removed.
        names.extend([4, 9].map(|number| format!("nightly-{number}.tar.002-of-002")));
        let (directory, outbox) = outbox(&names.iter().map(String::as_str).collect::<Vec<_>>());
        let removed = outbox.prune(5.try_into().unwrap(), 2, |number| u64::from(number) == 2).unwrap();
        assert_eq!((removed, numbers(&outbox)), (1, vec![2, 3, 5, 6, 7]));
        assert!(!directory.path().join("nightly-4.tar.002-of-002").exists());
        assert!(directory.path().join("nightly-9.tar.002-of-002").exists());
    }
}
