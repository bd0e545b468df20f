//! `receipt`: shows and shortens receipts; the arguments of commands that write one.
//! Takes a receipt's file and keys, gives its contents or its short form.

use std::path::{Path, PathBuf};
use std::sync::Arc;

use bundle_format::{Limits, Outcome, Receipt as Document, ShortReceipt, SiteName};
use bundle_importer::{may_replace_receipt, write_receipt};
use bundle_inventory::{Night, nights};
use bundle_oci::Registry;
use bundle_report::{
    BundleEntry, NightEntry, ReceiptLogReport, ReceiptReport, ReceiptSetReport, ShortReceiptEntry,
    ShortReceiptReport, ShortReceiptSetReport,
};
use bundle_trust::{Signer, load_private, load_receipt};

use crate::command::key::ask_passphrase;
use crate::command::whereabouts::{incomplete, problem};
use crate::exit::{Code, Failure, Id};
use crate::output;
use crate::several::Failed;
use crate::size::count;
use crate::trust::StoreArguments;

/// The arguments for an import's receipt.
#[derive(clap::Args)]
pub(crate) struct ReceiptArguments {
    /// Receipt to write, for --base on the connected side. For several bundles a directory, in which each has
    /// BUNDLE.receipt.json
    #[arg(long, value_name = "FILE")]
    receipt: Option<PathBuf>,

    /// Private key of this site, to sign the receipt with; the signature is written to FILE.sig. Records of
    /// accepted bundles in the registry are signed with it too, and others no longer count
    #[arg(long, value_name = "FILE", requires = "receipt")]
    receipt_key: Option<PathBuf>,

    /// Name of this site in the receipt [default: the registry]
    #[arg(long, value_name = "NAME")]
    site: Option<SiteName>,
}

/// A receipt that is going to be written, with all that could be wrong found out.
pub(crate) struct Requested {
    path: PathBuf,
    signer: Option<Arc<Signer>>,
}

impl ReceiptArguments {
    /// The name of the site.
    pub(crate) fn site(&self, registry: &Registry) -> Result<SiteName, Failure> {
        match &self.site {
            Some(site) => Ok(site.clone()),
            None => registry.as_str().parse().map_err(|error| Failure::new(Code::Usage, &error)),
        }
    }

    /// Whether there is to be a receipt.
    pub(crate) fn is_wanted(&self) -> bool {
        self.receipt.is_some()
    }

    /// Looks at the places and the key before any work. Gives an answer for each bundle.
    pub(crate) fn requested(&self, bundles: &[PathBuf]) -> Result<Vec<Option<Requested>>, Failure> {
        let Some(path) = &self.receipt else { return Ok(bundles.iter().map(|_| None).collect()) };
        let paths = match bundles {
            [_] => vec![path.clone()],
            _ => each(path, bundles)?,
        };
        paths.iter().try_for_each(|path| may_be_written(path))?;
        let signer = match &self.receipt_key {
            Some(key) => Some(Arc::new(Signer::Key(load_private(key, ask_passphrase)?))),
            None => None,
        };
        Ok(paths.into_iter().map(|path| Some(Requested { path, signer: signer.clone() })).collect())
    }
}

/// The receipts of several bundles, each named after its bundle.
fn each(directory: &Path, bundles: &[PathBuf]) -> Result<Vec<PathBuf>, Failure> {
    if !directory.is_dir() {
        let text =
            format!("--receipt {} is no directory, and each bundle has a receipt", directory.display());
        return Err(
            Failure::text(Code::Usage, text).hint("make the directory, or import the bundles one by one")
        );
    }
    let mut paths = Vec::new();
    for bundle in bundles {
        let mut file = match bundle.file_name() {
            Some(name) if bundle.as_os_str() != "-" => name.to_owned(),
            _ => "stdin".into(),
        };
        file.push(".receipt.json");
        let path = directory.join(file);
        if paths.contains(&path) {
            let text = format!("two bundles would have the receipt {}", path.display());
            return Err(Failure::text(Code::Usage, text).hint("import the bundles one by one"));
        }
        paths.push(path);
    }
    Ok(paths)
}

/// Whether a receipt can be written here.
fn may_be_written(path: &Path) -> Result<(), Failure> {
    let directory = path.parent().filter(|directory| !directory.as_os_str().is_empty());
    let wrong = match directory {
        _ if path.is_dir() => Some("it is a directory"),
        Some(directory) if !directory.is_dir() => Some("there is no such directory"),
        _ => None,
    };
    if let Some(wrong) = wrong {
        let text = format!("receipt {} cannot be written: {wrong}", path.display());
        return Err(Failure::text(Code::Usage, text));
    }
    Ok(may_replace_receipt(path)?)
}

impl Requested {
    /// The site's key.
    pub(crate) fn site_key(&self) -> Option<Arc<Signer>> {
        self.signer.clone()
    }

    /// Signs the receipt, and writes it.
    pub(crate) fn write(self, receipt: &Document) -> Result<(), Failure> {
        let bytes = receipt.to_bytes();
        let signature = self.signer.map(|signer| signer.sign(&bytes)).transpose()?;
        write_receipt(&self.path, &bytes, signature.as_ref())?;
        Ok(())
    }
}

#[derive(clap::Subcommand)]
pub(crate) enum Receipt {
    /// Show receipts
    Show {
        #[command(flatten)]
        files: SignedReceipts,
    },
    /// List receipts, one line an import
    Log {
        #[command(flatten)]
        files: ReceiptFiles,
    },
    /// Print the short form of receipts, for a phone call or a QR code
    Short {
        #[command(flatten)]
        files: SignedReceipts,
    },
}

/// Receipts, and whom they must be of.
#[derive(clap::Args)]
pub(crate) struct SignedReceipts {
    /// Receipts to read
    #[arg(value_name = "FILE", required = true)]
    receipts: Vec<PathBuf>,

    /// Public key of the site that signed the receipts; each signature is FILE.sig
    #[arg(long, value_name = "PUBKEY")]
    trust: Vec<PathBuf>,

    #[command(flatten)]
    store: StoreArguments,
}

/// Several receipts of a site.
#[derive(clap::Args)]
pub(crate) struct ReceiptFiles {
    /// Receipts to read, in any order; of a directory, all *.json in it. The newest word on each tag and project
    /// counts
    #[arg(value_name = "FILE|DIR", required = true)]
    receipts: Vec<PathBuf>,

    /// Public key of the site that signed the receipts; each signature is FILE.sig
    #[arg(long, value_name = "PUBKEY")]
    trust: Vec<PathBuf>,

    #[command(flatten)]
    store: StoreArguments,
}

impl ReceiptFiles {
    /// Whether a key was given that must have signed them.
    pub(crate) fn is_verified(&self) -> bool {
        !self.trust.is_empty()
    }

    /// Reads the receipts one after the other, and those of `known` after them. `take` gets each with the file
    /// that was named, and whether it is one of a directory.
    pub(crate) fn each(
        &self,
        paths: &[PathBuf],
        mut take: impl FnMut(&Path, Document, bool) -> Result<(), Failure>,
    ) -> Result<(), Failure> {
        let keys = self.store.keys(&self.trust)?;
        for path in paths {
            if !path.is_dir() {
                take(path, load_receipt(path, &keys, &Limits::V1)?, false)?;
                continue;
            }
            let unreadable = |error| {
                Failure::text(Id::FileSystem, format!("{} cannot be read: {error}", output::name(path)))
            };
            let entries = std::fs::read_dir(path).map_err(unreadable)?;
            for entry in entries {
                let file = entry.map_err(unreadable)?.path();
                if file.extension().is_some_and(|end| end == "json") {
                    take(&file, load_receipt(&file, &keys, &Limits::V1)?, true)?;
                }
            }
        }
        Ok(())
    }

    /// The files and directories that were named.
    pub(crate) fn paths(&self) -> &[PathBuf] {
        &self.receipts
    }
}

impl Receipt {
    pub(crate) fn run(self) -> Result<(), Failure> {
        match self {
            Self::Show { files: SignedReceipts { receipts, trust, store } } => {
                let keys = store.keys(&trust)?;
                let show = |path: &Path| {
                    let receipt = load_receipt(path, &keys, &Limits::V1)?;
                    Ok(ReceiptReport { file: output::name(path), verified: !trust.is_empty(), receipt })
                };
                if let [receipt] = receipts.as_slice() {
                    return output::report(&show(receipt)?);
                }
                let (receipts, failed) = Failed::each(&receipts, show);
                output::report(&ReceiptSetReport { receipts, failed: failed.entries() })?;
                failed.end()
            }
            Self::Log { files } => {
                let keys = files.store.keys(&files.trust)?;
                let log = nights(&files.receipts, &keys)?;
                let unread = log.problems.len();
                output::report(&ReceiptLogReport {
                    verified: files.is_verified(),
                    nights: log.nights.iter().map(night).collect(),
                    problems: log.problems.iter().map(problem).collect(),
                })?;
                if unread > 0 { Err(incomplete(unread)) } else { Ok(()) }
            }
            Self::Short { files: SignedReceipts { receipts, trust, store } } => {
                let keys = store.keys(&trust)?;
                let shortened = |path: &Path| short(&load_receipt(path, &keys, &Limits::V1)?);
                if let [receipt] = receipts.as_slice() {
                    return output::report(&ShortReceiptReport { short: shortened(receipt)? });
                }
                let (receipts, failed) = Failed::each(&receipts, |path| {
                    Ok(ShortReceiptEntry { file: output::name(path), short: shortened(path)? })
                });
                output::report(&ShortReceiptSetReport { receipts, failed: failed.entries() })?;
                failed.end()
            }
        }
    }
}

/// An import as the log has it.
fn night(night: &Night) -> NightEntry {
    let overrides = night.overrides.iter();
    let overrides =
        overrides.map(|it| format!("the rule '{}' was overridden: {}", it.rule.as_str(), it.reason));
    NightEntry {
        file: output::name(&night.file),
        imported: night.imported.to_string(),
        bundle: BundleEntry::from(&night.bundle),
        previous: night.previous.as_ref().map(BundleEntry::from),
        gap: night.is_gap,
        site: night.site.to_string(),
        registry: night.registry.to_string(),
        signers: night.signers.clone(),
        pushed: night.count(Outcome::Pushed),
        moved: night.count(Outcome::Moved),
        present: night.count(Outcome::Present),
        missing: night.count(Outcome::Skipped) + night.count(Outcome::Missing),
        blocked: night.blocked,
        overrides: overrides.collect(),
    }
}

/// The short form of a receipt.
fn short(receipt: &Document) -> Result<String, Failure> {
    if receipt.is_whole() {
        return Ok(ShortReceipt::of(&receipt.bundle).to_string());
    }
    let missing = receipt.artifacts.iter().filter(|artifact| !artifact.outcome.is_in_place()).count();
    let text = format!(
        "{} of {} was not imported, and a short receipt cannot say which",
        count(missing, "artifact"),
        receipt.bundle
    );
    Err(Failure::text(Code::Incomplete, text).hint("transfer the receipt itself"))
}
