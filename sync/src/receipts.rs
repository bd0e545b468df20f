use std::path::{Path, PathBuf};

use bundle_bundler::{Inventory, load_receipt};
use bundle_format::{BundleId, Limits, PublicKey, ReceiptError, Sequence, ShortReceipt, StreamName};

use crate::outbox::{Outbox, OutboxError};

/// What came back from the other side.
#[derive(Debug, Default)]
pub(crate) struct Receipts {
    /// The newest bundle that is known to have arrived, and what is there since.
    pub(crate) newest: Option<Inventory>,
    /// Receipts that cannot be believed.
    pub(crate) refused: Vec<RefusedReceipt>,
}

/// A receipt that cannot be believed; it lies in `refused` beside the others, with the reason.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RefusedReceipt {
    /// The file, where it was.
    pub path: PathBuf,
    /// What is wrong with it.
    pub reason: String,
}

/// The largest file of short receipts, in bytes: some hundred of them.
const LARGEST: u64 = 64 << 10;

impl Receipts {
    /// Reads all receipts of a stream: `*.json`, which one of `keys` must have signed; and `*.txt`
    /// with short receipts that somebody typed, one a line, of bundles that are still in the outbox.
    /// Those of other streams are left alone.
    pub(crate) fn read(
        directory: &Path,
        keys: &[PublicKey],
        stream: &StreamName,
        outbox: &Outbox,
    ) -> Result<Self, OutboxError> {
        let failed = |doing| move |source| OutboxError { path: directory.to_owned(), doing, source };
        std::fs::create_dir_all(directory).map_err(failed("made"))?;
        let mut files: Vec<PathBuf> = Vec::new();
        for entry in std::fs::read_dir(directory).map_err(failed("read"))? {
            let path = entry.map_err(failed("read"))?.path();
            let hidden = path.file_name().is_some_and(|name| name.to_string_lossy().starts_with('.'));
            if !hidden && path.is_file() {
                files.push(path);
            }
        }
        files.sort();
        let mut receipts = Self::default();
        for path in files {
            let end = path.extension().and_then(|end| end.to_str());
            let read = match end {
                Some("json") => signed(&path, keys, stream),
                Some("txt") => typed(&path, stream, outbox),
                _ => continue,
            };
            match read {
                Ok(Some(inventory)) => receipts.take(inventory),
                Ok(None) => {}
                Err(reason) => receipts.refused.push(RefusedReceipt { path, reason }),
            }
        }
        Ok(receipts)
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

/// A receipt, if it is of this stream.
fn signed(path: &Path, keys: &[PublicKey], stream: &StreamName) -> Result<Option<Inventory>, String> {
    use bundle_bundler::ReceiptFileError as E;
    match load_receipt(path, keys, &Limits::V1) {
        Ok(receipt) if receipt.bundle.stream == *stream => Ok(Some(Inventory::of_receipt(&receipt, true))),
        Ok(_) => Ok(None),
        // Copied without its signature, or before it: it may follow.
        Err(E::Read { .. } | E::SignatureLength { .. }) => Ok(None),
        Err(E::Receipt { source: ReceiptError::Json(error), .. }) if error.is_eof() => Ok(None),
        Err(error) => Err(chain(&error)),
    }
}

/// The newest bundle of this stream that a file of short receipts says has arrived.
fn typed(path: &Path, stream: &StreamName, outbox: &Outbox) -> Result<Option<Inventory>, String> {
    let text = bundle_files::read_text(path, LARGEST).map_err(|error| error.to_string())?;
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
    Ok(newest)
}

/// An error and its causes on one line.
pub(crate) fn chain(error: &dyn std::error::Error) -> String {
    let mut text = error.to_string();
    let mut cause = error.source();
    while let Some(current) = cause {
        let next = current.to_string();
        // Some errors repeat their cause in their own message.
        if !text.ends_with(&next) {
            text.push_str(": ");
            text.push_str(&next);
        }
        cause = current.source();
    }
    text
}

impl RefusedReceipt {
    /// Moves the receipt and its signature out of the way, and writes the reason beside it.
    pub(crate) fn put_aside(&self) -> Result<(), OutboxError> {
        let failed = |doing| {
            let path = self.path.clone();
            move |source| OutboxError { path, doing, source }
        };
        let Some(name) = self.path.file_name() else { return Ok(()) };
        let directory = self.path.with_file_name("refused");
        std::fs::create_dir_all(&directory).map_err(failed("moved"))?;
        let to = directory.join(name);
        std::fs::rename(&self.path, &to).map_err(failed("moved"))?;
        let beside = bundle_importer::signature_path(&self.path);
        if beside.exists() {
            std::fs::rename(&beside, bundle_importer::signature_path(&to)).map_err(failed("moved"))?;
        }
        let mut reason = to.into_os_string();
        reason.push(".reason.txt");
        std::fs::write(reason, format!("{}\n", self.reason)).map_err(failed("moved"))
    }
}
