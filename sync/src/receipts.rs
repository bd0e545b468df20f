//! Receipts that came back from the other side: read, checked, and put aside if they are invalid. Takes the
//! directory and keys, gives what arrived.

use std::path::{Path, PathBuf};

use crate::absence::ABSENT;
use crate::listing;
use crate::lost::{Absences, Lost};
use crate::outbox::{Outbox, OutboxError};
use bundle_bundler::{EverySite, Inventory};
use bundle_format::{
    AbsenceError, AbsenceNotice, BundleId, Limits, PublicKey, ReceiptError, Sequence, ShortReceipt,
    StreamName, replace_file,
};
use bundle_importer::signature_path;
use bundle_oci::{Printable, chain};
use bundle_trust::{load_absence_notice, load_receipt};

/// The directory for refused receipts, beside the others.
const REFUSED: &str = "refused";

/// The receipts that came back from the other side.
#[derive(Debug, Default)]
pub(crate) struct Receipts {
    /// The newest bundle that is known to have arrived, and what is there since.
    pub(crate) newest: Option<Inventory>,
    /// Receipts that were refused.
    pub(crate) refused: Vec<RefusedReceipt>,
    /// Receipts that cannot be read, or whose signature cannot: it may follow.
    pub(crate) waiting: Vec<PathBuf>,
    /// Directories of sites without a receipt of the stream.
    pub(crate) silent: Vec<PathBuf>,
    /// What is gone there although a receipt proved it: `newest` is without it.
    pub(crate) lost: Lost,
}

/// A receipt that was refused; it lies in `refused` beside the others, with the reason.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RefusedReceipt {
    /// The file, where it was.
    pub path: PathBuf,
    /// The cause.
    pub reason: String,
}

impl Receipts {
    /// Reads all receipts of a stream: `*.json`, which one of `keys` must have signed; `*.txt` with typed
    /// short receipts, one a line, of bundles that are still in the outbox; and `*.absent`, signed notices of what is
    /// gone. Those of other streams are left alone.
    pub(crate) fn read(
        directory: &Path,
        keys: &[PublicKey],
        stream: &StreamName,
        outbox: &Outbox,
    ) -> Result<Self, OutboxError> {
        let failed = |source| OutboxError { path: directory.to_owned(), doing: "read", source };
        let files = listing::files(directory).map_err(failed)?;
        let mut receipts = Self::default();
        let mut absences = Absences::default();
        for path in files.into_iter().filter(|file| !file.name.starts_with('.')).map(|file| file.path) {
            let end = path.extension().and_then(|end| end.to_str());
            let read = match end {
                Some("json") => signed(&path, keys, stream),
                Some("txt") => typed(&path, stream, outbox),
                Some(ABSENT) => noticed(&path, keys).map(|notice| {
                    notice.map_or(Read::Waits, |notice| {
                        absences.add(notice, stream);
                        Read::OfAnother
                    })
                }),
                _ => continue,
            };
            match read {
                Ok(Read::Of(inventory)) => receipts.take(*inventory),
                Ok(Read::OfAnother) => {}
                Ok(Read::Waits) => receipts.waiting.push(path),
                Err(reason) => receipts.refused.push(RefusedReceipt { path, reason }),
            }
        }
        (receipts.newest, receipts.lost) = absences.apply(receipts.newest.take());
        Ok(receipts)
    }

    /// Reads the receipts of many sites, each with a directory of its own: `newest` is then what all of them have, with
    /// the number of the bundle that arrived at all of them. As long as one has no receipt, that is nothing.
    pub(crate) fn read_sites(
        directory: &Path,
        keys: &[PublicKey],
        stream: &StreamName,
        outbox: &Outbox,
    ) -> Result<Self, OutboxError> {
        let failed = |source| OutboxError { path: directory.to_owned(), doing: "read", source };
        let mut sites = EverySite::default();
        let mut all = Self::default();
        for site in listing::directories(directory).map_err(failed)? {
            if site.name.starts_with('.') || site.name == REFUSED {
                continue;
            }
            let Self { newest, refused, waiting, lost, .. } = Self::read(&site.path, keys, stream, outbox)?;
            all.refused.extend(refused);
            all.waiting.extend(waiting);
            all.lost.add(lost);
            match newest {
                Some(newest) => sites.add(newest),
                None => all.silent.push(site.path),
            }
        }
        all.newest = sites.shared().filter(|_| all.silent.is_empty());
        Ok(all)
    }

    /// The number of the newest bundle that is known to have arrived.
    pub(crate) fn arrived(&self) -> Option<Sequence> {
        self.newest.as_ref()?.base.sequence
    }

    fn take(&mut self, inventory: Inventory) {
        if self.arrived() < inventory.base.sequence {
            self.newest = Some(inventory);
        }
    }
}

/// The content of a file.
enum Read {
    /// The receipt of a bundle of this stream.
    Of(Box<Inventory>),
    /// Nothing about this stream.
    OfAnother,
    /// Nothing yet.
    Waits,
}

/// A receipt, if it is of this stream.
fn signed(path: &Path, keys: &[PublicKey], stream: &StreamName) -> Result<Read, String> {
    use bundle_trust::ReceiptFileError as E;
    match load_receipt(path, keys, &Limits::V1) {
        Ok(receipt) if receipt.bundle.stream == *stream => {
            Ok(Read::Of(Box::new(Inventory::of_receipt(receipt, true))))
        }
        Ok(_) => Ok(Read::OfAnother),
        // Copied without its signature, or before it.
        Err(E::Read { .. } | E::Signature(_)) => Ok(Read::Waits),
        Err(E::Receipt { source: ReceiptError::Json(error), .. }) if error.is_eof() => Ok(Read::Waits),
        Err(E::Receipt { source, .. }) => Err(chain(&source)),
        Err(error @ E::Absence { .. }) => Err(chain(&error)),
    }
}

/// A notice of what is gone; none if it is not there whole.
fn noticed(path: &Path, keys: &[PublicKey]) -> Result<Option<AbsenceNotice>, String> {
    use bundle_trust::ReceiptFileError as E;
    match load_absence_notice(path, keys, &Limits::V1) {
        Ok(notice) => Ok(Some(notice)),
        Err(E::Read { .. } | E::Signature(_)) => Ok(None),
        Err(E::Absence { source: AbsenceError::Json(error), .. }) if error.is_eof() => Ok(None),
        Err(error) => Err(chain(&error)),
    }
}

/// The newest bundle of this stream that a file of short receipts says has arrived.
fn typed(path: &Path, stream: &StreamName, outbox: &Outbox) -> Result<Read, String> {
    let text = bundle_os::read_text(path, crate::limits::Limits::DEFAULT.short_receipts)
        .map_err(|error| error.to_string())?;
    let mut newest: Option<Inventory> = None;
    for line in text.lines().map(str::trim).filter(|line| !line.is_empty() && !line.starts_with('#')) {
        let short: ShortReceipt = line.parse().map_err(|error| format!("{error}"))?;
        if short.stream() != stream {
            continue;
        }
        let bundles = outbox.bundles().map_err(|error| chain(&error))?;
        let Some(sent) = bundles.into_iter().find(|sent| sent.sequence == short.sequence()) else {
            continue;
        };
        let inventory = Inventory::load(&sent.path, &[], &Limits::V1).map_err(|error| chain(&error))?;
        let named = |bundle: BundleId| short.names(&bundle);
        if !inventory.bundle().is_some_and(named) {
            return Err(format!("{short} is not the short receipt of {}", sent.path.display()));
        }
        if newest.as_ref().and_then(|newest| newest.base.sequence) < inventory.base.sequence {
            newest = Some(inventory);
        }
    }
    Ok(newest.map_or(Read::OfAnother, |newest| Read::Of(Box::new(newest))))
}

impl RefusedReceipt {
    /// Moves the receipt and its signature out of the way, and writes the reason beside it.
    pub(crate) fn put_aside(&self) -> Result<(), OutboxError> {
        let failed = |doing| {
            let path = self.path.clone();
            move |source| OutboxError { path, doing, source }
        };
        let Some(name) = self.path.file_name() else { return Ok(()) };
        let directory = self.path.with_file_name(REFUSED);
        std::fs::create_dir_all(&directory).map_err(failed("moved"))?;
        let mut to = directory.join(name);
        let mut number = 2_u32;
        // Refused files are kept: an operator may want to know their source.
        while to.symlink_metadata().is_ok() {
            let mut other = std::ffi::OsString::from(format!("{number}."));
            other.push(name);
            to = directory.join(other);
            number += 1;
        }
        let mut reason = to.clone().into_os_string();
        reason.push(".reason.txt");
        let text = format!("{}\n", Printable(&self.reason));
        let written = replace_file(Path::new(&reason), text.as_bytes());
        written.map_err(|error| OutboxError { path: error.path, doing: "written", source: error.source })?;
        // The receipt goes last: a run that is killed in between refuses it again.
        let (from, beside) = (signature_path(&self.path), signature_path(&to));
        match std::fs::rename(from, beside) {
            Err(error) if error.kind() != std::io::ErrorKind::NotFound => return Err(failed("moved")(error)),
            _ => {}
        }
        std::fs::rename(&self.path, &to).map_err(failed("moved"))
    }
}
