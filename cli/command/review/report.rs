//! `report`: what a bundle has and what it changes, for people who approve it.
//! Takes a bundle and an earlier bundle, receipt or lockfile; writes HTML, Markdown, CSV or JSON, or prints a table.

use std::cell::RefCell;
use std::path::{Path, PathBuf};

use bundle_bundler::{Inventory, InventoryDiff};
use bundle_format::{Limits, PublicKey, replace_file};
use bundle_importer::deduplication_of;
use bundle_oci::Digest;
use bundle_report::{
    BaseEntry, ChangeSummary, OtherPlatformEntry, ReviewForm, ReviewReport, SignerEntry, WrittenReport,
};
use bundle_scan::CarriedSboms;
use bundle_trust::Effective;

use super::rows::{Contents, entries, side};
use super::scanned::ScanArguments;
use crate::exit::{Code, Failure};
use crate::opened::{Depth, LookArguments, Opened};
use crate::output::{self, name};

/// Write a report for approval: what a bundle has, and what it changes
#[derive(clap::Args)]
pub(crate) struct Report {
    /// Bundle to report on
    #[arg(value_name = "BUNDLE")]
    bundle: PathBuf,

    /// Earlier bundle, receipt or lockfile to compare it with [default: show the bundle alone]
    #[arg(long, value_name = "FILE")]
    since: Option<PathBuf>,

    /// Public key that signed the file of --since, repeatable [default: the keys that verify the bundle]
    #[arg(long, value_name = "PUBKEY", requires = "since")]
    since_trust: Vec<PathBuf>,

    /// Report to write; the ending says the form: .html, .md, .csv or .json [default: a table on standard output]
    #[arg(short, long, value_name = "FILE")]
    output: Option<PathBuf>,

    #[command(flatten)]
    scan: ScanArguments,

    #[command(flatten)]
    look: LookArguments,
}

impl Report {
    pub(crate) fn run(self) -> Result<(), Failure> {
        let form = match self.output.as_deref() {
            Some(path) => Some((path, form_of(path)?)),
            None => None,
        };
        let trusted = self.look.trusted()?;
        let opened = self.look.open(&self.bundle, trusted.as_ref(), Depth::Manifests)?;
        let statement = opened.digest;
        let since = match &self.since {
            Some(path) => Some(Inventory::load(path, &self.since_keys(trusted.as_ref())?, &Limits::V1)?),
            None => None,
        };
        let mut report = review(&self.bundle, opened, since.as_ref());
        let keys = trusted_keys(trusted.as_ref());
        report.scan = self.scan.judge(&mut report.rows, statement, &self.look.store, keys)?;
        let Some((path, form)) = form else { return output::report(&report) };
        let text = form.render(&report).map_err(|error| Failure::new(Code::Failed, &error))?;
        replace_file(path, text.as_bytes())?;
        let digest = Digest::of(text.as_bytes()).to_string();
        output::report(&WrittenReport::of(&report, name(path), form, digest))
    }

    /// The keys that may have signed the earlier file: those that are named for it, or the bundle's.
    fn since_keys(&self, trusted: Option<&Effective>) -> Result<Vec<PublicKey>, Failure> {
        if !self.since_trust.is_empty() {
            return self.look.store.keys(&self.since_trust);
        }
        Ok(trusted_keys(trusted))
    }
}

/// The keys that may sign the bundle, without those that are revoked.
fn trusted_keys(trusted: Option<&Effective>) -> Vec<PublicKey> {
    let keys = trusted.into_iter().flat_map(|trusted| &trusted.policy().keys);
    keys.filter(|key| !key.revoked).map(|key| key.key.clone()).collect()
}

fn form_of(path: &Path) -> Result<ReviewForm, Failure> {
    ReviewForm::of_name(path).ok_or_else(|| {
        let text = format!("the ending of {} is none of .html, .md, .csv and .json", name(path));
        Failure::text(Code::Usage, text)
    })
}

fn review(path: &Path, opened: Opened, since: Option<&Inventory>) -> ReviewReport {
    let verified = opened.is_verified();
    let Opened { statement, digest, signers, archive, graph, others, sizes } = opened;
    let graph = graph.unwrap_or_default();
    let shares = deduplication_of(&statement.artifacts, &graph);
    let after = Inventory::of_statement(&statement, digest, &graph, verified);
    let sboms =
        archive.as_ref().map(|archive| CarriedSboms::new(archive, &graph, bundle_scan::Limits::DEFAULT));
    let contents = Contents { statement: &statement, shares: &shares, sboms: sboms.map(RefCell::new) };
    let rows = entries(since, &after, Some(&contents));
    let mut summary = ChangeSummary::of(&rows);
    if let Some(since) = since {
        let diff = InventoryDiff::between(since, &after);
        summary.new_bytes = diff.new_bytes;
        summary.new_blobs = diff.new_blobs;
        summary.dropped_bytes = diff.dropped_bytes;
    }
    // Without the directory, the report is the same wherever the bundle lies.
    let file = path.file_name().map_or_else(|| name(path), |file| name(Path::new(file)));
    ReviewReport {
        file,
        verified,
        signers: signers
            .into_iter()
            .map(|(name, key)| SignerEntry { name, fingerprint: key.to_string() })
            .collect(),
        stream: statement.stream.to_string(),
        sequence: statement.sequence.into(),
        created: statement.created.to_string(),
        expires: statement.expires.map(|time| time.to_string()),
        statement: digest.to_string(),
        previous: statement.previous.map(|digest| digest.to_string()),
        base: statement.base.iter().map(BaseEntry::from).collect(),
        requires: statement.requires.len(),
        required_bytes: statement.requires.iter().map(|blob| blob.size).sum(),
        blobs: statement.blobs.len(),
        blob_bytes: statement.blob_bytes(),
        compact_size: sizes.map(|sizes| sizes.file),
        since: since.map(side),
        summary,
        rows,
        other_platforms: others.iter().map(OtherPlatformEntry::from).collect(),
        scan: None,
    }
}
