//! The result of `scan` in what people see who approve a bundle.
//! Takes the file of a result and keys; gives what it says of each row, as reports have it.

use std::path::PathBuf;

use bundle_format::PublicKey;
use bundle_oci::Digest;
use bundle_report::{ReviewRow, ReviewScan, RowScan};
use bundle_scan::{Judged, Limits, SeenScan};

use crate::command::scan::{counts, exception_entry, finding_row};
use crate::exit::Failure;
use crate::output::name;
use crate::trust::StoreArguments;

/// The result of a scan.
#[derive(clap::Args)]
pub(crate) struct ScanArguments {
    /// Result of `bundle scan` on the bundle (NAME.scan.json), whose verdicts are shown
    #[arg(long, value_name = "FILE")]
    scan: Option<PathBuf>,

    /// Public key that signed the file of --scan, repeatable [default: the keys that verify the bundle]
    #[arg(long, value_name = "PUBKEY", requires = "scan")]
    scan_trust: Vec<PathBuf>,
}

impl ScanArguments {
    /// Puts the verdicts into the rows of the bundle with this statement. `keys` may sign the result if none is named for
    /// it; without any, it is taken unverified.
    pub(crate) fn judge(
        &self,
        rows: &mut [ReviewRow],
        statement: Digest,
        store: &StoreArguments,
        keys: Vec<PublicKey>,
    ) -> Result<Option<ReviewScan>, Failure> {
        let Some(path) = &self.scan else { return Ok(None) };
        let keys = if self.scan_trust.is_empty() { keys } else { store.keys(&self.scan_trust)? };
        let seen = SeenScan::read(path, &keys, statement, &Limits::DEFAULT)?;
        for row in rows {
            let Some(digest) = row.digest_after.as_ref().and_then(|digest| digest.parse().ok()) else {
                continue;
            };
            let found = seen.on(&row.scanned_name(), digest);
            row.scan = match (found, row.kind.as_deref()) {
                (Some(judged), _) => Some(row_scan(judged)),
                (None, Some("image")) => Some(RowScan::missing()),
                (None, _) => None,
            };
        }
        let record = seen.record();
        // Without the directory, the report is the same wherever the result lies.
        let file = path.file_name().map_or_else(|| name(path), |file| name(file.as_ref()));
        let scan = ReviewScan {
            file,
            digest: seen.digest().to_string(),
            signer: seen.signer().map(|key| key.fingerprint().to_string()),
            scanner: record.scanner.name.clone(),
            scanner_version: record.scanner.version.clone(),
            database: record.scanner.database.clone(),
            vex: record.scanner.vex.map(|digest| digest.to_string()),
            scanned: record.scanned.to_string(),
            block: record.block.to_string(),
            exceptions: Vec::new(),
            exceptions_more: 0,
            expired: record.expired.iter().map(exception_entry).collect(),
        };
        let used = seen.used();
        let used = used.iter().map(|it| {
            let images = it.images.iter().map(|&image| image.to_owned()).collect();
            (exception_entry(it.exception), images)
        });
        Ok(Some(scan.with_exceptions(used)))
    }
}

fn row_scan(judged: &Judged) -> RowScan {
    let scan = RowScan {
        verdict: judged.verdict.as_str().to_owned(),
        counts: counts(judged.counts),
        errors: judged.errors(),
        unrecognised: judged.is_unrecognised(),
        findings: Vec::new(),
        findings_more: 0,
    };
    scan.with_findings(judged.findings().into_iter().map(finding_row))
}
