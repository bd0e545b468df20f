//! Makes the files of parity for a bundle that is complete: reads it once, and writes digests and parity.
//! Takes the bundle's bytes and open files; gives nothing but what is in them then.

use std::fs::File;
use std::io;
use std::ops::Range;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Mutex, PoisonError};

use bundle_oci::Digest;

use crate::ParityShare;
use crate::parity::code;
use crate::parity::shape::{BLOCK, Shape, TooManyShards};
use crate::parity::table::{self, short};

/// Each has the blocks of some rows in memory.
const THREADS: usize = 2;

/// Fills a buffer with what is stored, from a place on.
type Read<'a> = dyn Fn(&mut [u8], u64) -> io::Result<()> + Sync + 'a;

/// The parity to make for a bundle whose sizes are known.
#[derive(Clone, Debug)]
pub struct ParityPlan {
    shape: Shape,
}

impl ParityPlan {
    /// Parity for a bundle in one file of `size` bytes.
    pub fn of_file(statement: Digest, size: u64, share: ParityShare) -> Self {
        let parity = share.of(crate::parity::shape::SHARDS_OF_A_FILE);
        Self { shape: Shape::of_file(statement, size, parity) }
    }

    /// Parity for these volumes, one behind the other.
    ///
    /// # Errors
    /// There are too many of them.
    pub fn of_volumes(
        statement: Digest,
        volumes: Vec<Range<u64>>,
        share: ParityShare,
    ) -> Result<Self, TooManyShards> {
        let parity = share.of(volumes.len());
        Ok(Self { shape: Shape::of_volumes(statement, volumes, parity)? })
    }

    /// How many files there are beside the first one: one for each shard of parity of a set of volumes.
    pub fn volumes(&self) -> usize {
        if self.shape.description.volumes { self.shape.parity() } else { 0 }
    }

    /// How many bytes all files have together.
    pub fn size(&self) -> u64 {
        self.shape.total()
    }

    /// How long the file `NAME.parity` is.
    pub fn table_size(&self) -> u64 {
        self.shape.second() + crate::parity::shape::DESCRIPTION
    }

    /// How long each of the other files is.
    pub fn volume_size(&self) -> u64 {
        self.shape.length()
    }

    /// Writes the parity of what `read` gives into `NAME.parity` and as many other files as there are to
    /// be.
    ///
    /// # Errors
    /// The bundle cannot be read, or a file cannot be written.
    pub fn write(&self, read: &Read<'_>, table: &File, volumes: &[&File]) -> io::Result<()> {
        let shape = &self.shape;
        if volumes.len() != self.volumes() {
            return Err(io::Error::other("parity was planned for another number of files"));
        }
        table.set_len(self.table_size())?;
        volumes.iter().try_for_each(|file| file.set_len(shape.length()))?;
        let next = AtomicU64::new(0);
        let failed = Mutex::new(None);
        let work = || {
            while failed.lock().unwrap_or_else(PoisonError::into_inner).is_none() {
                let first = next.fetch_add(1, Ordering::Relaxed).saturating_mul(shape.rows_at_once());
                if first >= shape.rows() {
                    break;
                }
                let rows = first..(first + shape.rows_at_once()).min(shape.rows());
                if let Err(error) = self.rows(read, table, volumes, &rows) {
                    *failed.lock().unwrap_or_else(PoisonError::into_inner) = Some(error);
                }
            }
        };
        std::thread::scope(|scope| {
            for _ in 1..std::thread::available_parallelism().map_or(1, usize::from).min(THREADS) {
                // Fewer threads make it slower, and no less thorough.
                if std::thread::Builder::new().spawn_scoped(scope, work).is_err() {
                    break;
                }
            }
            work();
        });
        if let Some(error) = failed.into_inner().unwrap_or_else(PoisonError::into_inner) {
            return Err(error);
        }
        table::close(table, shape)?;
        let description = shape.description.to_bytes();
        bundle_os::write_all_at(table, &description, shape.second())?;
        bundle_os::write_all_at(table, &description, 0)?;
        table.sync_all()?;
        volumes.iter().try_for_each(|file| file.sync_all())
    }

    fn rows(&self, read: &Read<'_>, table: &File, volumes: &[&File], rows: &Range<u64>) -> io::Result<()> {
        let shape = &self.shape;
        let length = (shape.length() - rows.start * BLOCK).min((rows.end - rows.start) * BLOCK) as usize;
        let digests = |block: &[u8]| block.chunks(BLOCK as usize).map(short).collect::<Vec<_>>();
        let mut data: Vec<Vec<u8>> = Vec::with_capacity(shape.data.len());
        for shard in 0..shape.data.len() {
            let bytes = shape.bytes(shard, rows);
            let mut block = vec![0; length];
            read(&mut block[..(bytes.end - bytes.start) as usize], bytes.start)?;
            table::write(table, shape, shard, rows.start, &digests(&block))?;
            data.push(block);
        }
        let data: Vec<&[u8]> = data.iter().map(Vec::as_slice).collect();
        let parity = code::encode(&data, shape.parity(), length).map_err(io::Error::other)?;
        for (number, block) in parity.iter().enumerate() {
            table::write(table, shape, data.len() + number, rows.start, &digests(block))?;
            match volumes.get(number) {
                Some(file) => bundle_os::write_all_at(file, block, rows.start * BLOCK)?,
                None => bundle_os::write_all_at(table, block, shape.place_of(number) + rows.start * BLOCK)?,
            }
        }
        Ok(())
    }
}
