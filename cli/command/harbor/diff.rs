//! `harbor diff`: compares Harbor with a receipt, and lists what no receipt names.
//! Takes a Harbor and receipts, gives each point in which they differ; writes nothing.

use std::collections::HashSet;
use std::path::PathBuf;

use bundle_importer::ProveError;
use bundle_report::{DriftEntry, DriftReport};
use bundle_site::{drift, extra, prove_again};

use super::Place;
use crate::command::receipt::ReceiptFile;
use crate::exit::{Code, Failure, Id};
use crate::output;
use crate::size::count;

#[derive(clap::Args)]
pub(crate) struct Diff {
    #[command(flatten)]
    receipt: ReceiptFile,

    #[command(flatten)]
    place: Place,

    /// Also list artifacts and tags in the receipt's projects that no receipt names
    #[arg(long)]
    extra: bool,

    /// Also read everything that the receipt is for back from Harbor, and hash it
    #[arg(long)]
    prove: bool,

    /// Another receipt whose artifacts are known, for --extra; repeatable
    #[arg(long, value_name = "FILE", requires = "extra")]
    known: Vec<PathBuf>,
}

impl Diff {
    pub(crate) async fn run(self) -> Result<(), Failure> {
        let receipt = self.receipt.load()?;
        if receipt.registry != self.place.to.root() {
            let text = format!("the receipt is of {}, not of {}", receipt.registry, self.place.to);
            return Err(Failure::text(Code::Usage, text).hint("name that one with --to"));
        }
        let (harbor, progress) = self.place.connect("comparing").await?;
        let mut found = drift(&harbor, &receipt, self.place.connection.jobs()).await?;
        if self.extra {
            let mut receipts = vec![receipt.clone()];
            for path in &self.known {
                receipts.push(self.receipt.load_other(path)?);
            }
            found.extend(extra(&harbor, &receipts, self.place.connection.jobs()).await?);
        }
        let proved = match self.prove {
            true => prove_again(&harbor, &receipt, self.place.connection.jobs(), &**progress).await,
            false => Ok(HashSet::new()),
        };
        drop(progress);
        let drift = found
            .iter()
            .map(|each| DriftEntry { what: each.name().to_owned(), message: each.to_string() })
            .collect();
        output::report(&DriftReport {
            bundle: (&receipt.bundle).into(),
            imported: receipt.imported.to_string(),
            verified: self.receipt.is_verified(),
            artifacts: receipt.artifacts.len(),
            projects: receipt.policies.len(),
            drift,
        })?;
        // Missing artifacts cannot be read back, and are reported as missing.
        let held = match proved {
            Err(ProveError::Registry { .. }) if !found.is_empty() => HashSet::new(),
            proved => proved?,
        };
        if found.is_empty() && !held.is_empty() {
            let text = format!("{} not read back, for a policy holds it back", count(held.len(), "artifact"));
            return Err(Failure::text(Code::Incomplete, text)
                .hint("scan the images in Harbor, or exempt their vulnerabilities, and look again"));
        }
        if found.is_empty() {
            return Ok(());
        }
        let text = format!("Harbor differs from the receipt in {}", count(found.len(), "point"));
        Err(Failure::text(Id::Drift, text)
            .hint("find out who changed it; to bring back what was delivered, import the bundle again"))
    }
}
