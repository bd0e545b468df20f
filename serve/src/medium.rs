//! Where a bundle's bytes lie, and looking for them again after a stick was pulled out and put back.
//! Takes a path, gives bytes by place, or says that the medium is gone.

use std::io;
use std::path::PathBuf;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

use bundle_format::{BlobPlace, Layer, Lent};

use crate::{Event, Observer};

/// Where a bundle's bytes lie. They can be looked for again after a stick was pulled out and put
/// back in.
pub trait Reopen: Send + Sync {
    /// Its name for people: a path.
    fn name(&self) -> String;

    /// Opens it.
    ///
    /// # Errors
    /// It is not there, or cannot be read.
    fn open(&self) -> io::Result<Arc<dyn Layer>>;
}

/// A bundle in one file, or in volumes beside each other, and what it needs if it is compact.
#[derive(Clone, Debug)]
pub struct FileMedium(pub PathBuf, pub Lent);

impl Reopen for FileMedium {
    fn name(&self) -> String {
        self.0.display().to_string()
    }

    fn open(&self) -> io::Result<Arc<dyn Layer>> {
        let medium = bundle_format::Medium::open(&self.0, &bundle_format::Limits::V1);
        let medium = medium.map_err(io::Error::other)?;
        match medium.missing().first() {
            Some(missing) => Err(io::Error::other(format!("{} is missing", missing.display()))),
            None => {
                medium.lend(&self.1);
                Ok(Arc::new(medium))
            }
        }
    }
}

/// A medium that is opened again when it fails.
pub(crate) struct Reopening {
    medium: Box<dyn Reopen>,
    /// How long the bundle is. Content that is found again is verified like before: every piece proves itself
    /// ([`crate::proof`]).
    size: u64,
    again: Duration,
    observer: Arc<dyn Observer>,
    slot: Mutex<Slot>,
}

struct Slot {
    reader: Arc<dyn Layer>,
    /// Whether the last reads gave what was asked for.
    health: Health,
    looked: Instant,
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum Health {
    Good,
    /// It gave other bytes than before; perhaps the right ones are in another file by now.
    Doubtful,
    Gone,
}

impl Reopening {
    pub(crate) fn new(
        medium: Box<dyn Reopen>,
        reader: Arc<dyn Layer>,
        size: u64,
        again: Duration,
        observer: Arc<dyn Observer>,
    ) -> Self {
        let slot = Slot { reader, health: Health::Good, looked: Instant::now() };
        Self { medium, size, again, observer, slot: Mutex::new(slot) }
    }

    /// Fills `buffer` from a blob's byte `from` on if that can be done without waiting, and says
    /// whether it did.
    pub(crate) fn read_at_once(&self, place: BlobPlace, buffer: &mut [u8], from: u64) -> bool {
        let reader = {
            let slot = self.slot();
            (slot.health == Health::Good).then(|| slot.reader.clone())
        };
        reader.is_some_and(|reader| place.read_at_once(&reader, buffer, from))
    }

    /// Fills `buffer` from a blob's byte `from` on, if need be after opening the medium again.
    pub(crate) fn read(&self, place: BlobPlace, buffer: &mut [u8], from: u64) -> io::Result<()> {
        self.read_with(|reader| place.read_at(reader, buffer, from))
    }

    fn read_with(&self, mut read: impl FnMut(&dyn Layer) -> io::Result<()>) -> io::Result<()> {
        let reader = self.reader();
        let error = match read(&reader) {
            Ok(()) => return Ok(()),
            Err(error) => error,
        };
        match self.fresh(&reader, &error) {
            Some(fresh) => read(&fresh),
            None => Err(error),
        }
    }

    /// Takes note that a read gave other bytes than those that were proven.
    pub(crate) fn doubt(&self) {
        let mut slot = self.slot();
        if slot.health == Health::Good {
            slot.health = Health::Doubtful;
        }
    }

    /// Whether the medium is there and gives what it gave before.
    pub(crate) fn is_good(&self) -> bool {
        self.slot().health == Health::Good
    }

    fn reader(&self) -> Arc<dyn Layer> {
        let mut slot = self.slot();
        if slot.health != Health::Good && slot.looked.elapsed() >= self.again {
            self.look(&mut slot);
        }
        slot.reader.clone()
    }

    /// Another reader than the one that failed, if there is one.
    fn fresh(&self, failed: &Arc<dyn Layer>, error: &io::Error) -> Option<Arc<dyn Layer>> {
        let mut slot = self.slot();
        if Arc::ptr_eq(&slot.reader, failed) {
            if slot.health != Health::Gone {
                slot.health = Health::Gone;
                self.observer.event(&Event::Lost { bundle: &self.medium.name(), error });
            } else if slot.looked.elapsed() < self.again {
                return None;
            }
            self.look(&mut slot);
        }
        (slot.health == Health::Good).then(|| slot.reader.clone())
    }

    fn look(&self, slot: &mut Slot) {
        slot.looked = Instant::now();
        let found = self.medium.open().and_then(|reader| Ok((reader.size()?, reader)));
        if let Ok((size, reader)) = found
            && size == self.size
        {
            slot.reader = reader;
            if std::mem::replace(&mut slot.health, Health::Good) == Health::Gone {
                self.observer.event(&Event::Found { bundle: &self.medium.name() });
            }
        }
    }

    fn slot(&self) -> std::sync::MutexGuard<'_, Slot> {
        // Each field is right by itself whenever a panic could come between.
        self.slot.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::event::Deaf;

    #[test]
    fn a_file_that_comes_back_is_found_again() {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("b.tar");
        std::fs::write(&path, b"0123456789").unwrap();
        let medium = FileMedium(path.clone(), Lent::default());
        let reader = medium.open().unwrap();
        let reopening = Reopening::new(Box::new(medium), reader, 10, Duration::ZERO, Arc::new(Deaf));
        let read = || {
            let mut buffer = [0; 4];
            reopening.read_with(|reader| reader.read_exact_at(&mut buffer, 6)).map(|()| buffer)
        };
        assert_eq!(read().unwrap(), *b"6789");
        std::fs::OpenOptions::new().write(true).truncate(true).open(&path).unwrap();
        assert!(read().is_err());
        assert!(!reopening.is_good());
        std::fs::remove_file(&path).unwrap();
        assert!(read().is_err());
        std::fs::write(&path, b"0123456789 and more").unwrap();
        assert!(read().is_err(), "a file of another length is another bundle");
        std::fs::write(&path, b"0123456789").unwrap();
        assert_eq!(read().unwrap(), *b"6789");
        assert!(reopening.is_good());
    }

    #[test]
    fn a_file_that_is_doubted_is_opened_again() {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("b.tar");
        std::fs::write(&path, b"wrong").unwrap();
        let medium = FileMedium(path.clone(), Lent::default());
        let reader = medium.open().unwrap();
        let reopening = Reopening::new(Box::new(medium), reader, 5, Duration::ZERO, Arc::new(Deaf));
        std::fs::remove_file(&path).unwrap();
        std::fs::write(&path, b"right").unwrap();
        let mut buffer = [0; 5];
        reopening.read_with(|reader| reader.read_exact_at(&mut buffer, 0)).unwrap();
        assert_eq!(&buffer, b"wrong");
        reopening.doubt();
        reopening.read_with(|reader| reader.read_exact_at(&mut buffer, 0)).unwrap();
        assert_eq!(&buffer, b"right");
    }
}
