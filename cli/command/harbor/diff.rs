//! `harbor diff`: compares Harbor with receipts, and lists what no receipt names.
//! Takes a Harbor and receipts, gives each point in which they differ; writes nothing.

use std::collections::HashSet;
use std::path::PathBuf;

use bundle_importer::ProveError;
use bundle_report::{DriftEntry, DriftReport};
use bundle_site::{Deliveries, Drift, drift, extra, prove_again, undone};

use super::Place;
use crate::command::receipt::ReceiptFiles;
use crate::exit::{Code, Failure, Id};
use crate::output;
use crate::size::count;

#[derive(clap::Args)]
pub(crate) struct Diff {
    #[command(flatten)]
    receipts: ReceiptFiles,

    #[command(flatten)]
    place: Place,

    /// Also list artifacts and tags in the receipts' projects that no receipt names
    #[arg(long)]
    extra: bool,

    /// Also read everything that the receipts are for back from Harbor, and hash it
    #[arg(long)]
    prove: bool,

    /// Another receipt whose artifacts are known, for --extra; repeatable
    #[arg(long, value_name = "FILE", requires = "extra")]
    known: Vec<PathBuf>,
}

impl Diff {
    pub(crate) async fn run(self) -> Result<(), Failure> {
        let mut deliveries = Deliveries::default();
        let mut elsewhere = 0;
        let here = self.place.to.root();
        self.receipts.each(self.receipts.paths(), |path, receipt, listed| {
            if receipt.registry == here {
                deliveries.add(receipt);
            } else if listed {
                // One directory may have the receipts of several sites.
                elsewhere += 1;
            } else {
                let text = format!("the receipt is of {}, not of {}", receipt.registry, self.place.to);
                return Err(Failure::text(Code::Usage, text).of(path).hint("name that one with --to"));
            }
            Ok(())
        })?;
        self.receipts.each(&self.known, |_, receipt, _| {
            deliveries.know(&receipt);
            Ok(())
        })?;
        let Some(receipt) = deliveries.newest() else {
            let text = format!("there is no receipt of {}", self.place.to);
            return Err(Failure::text(Code::Usage, text)
                .hint("name the directory of receipts, and Harbor as the import did"));
        };
        let settings = self.place.settings()?;
        let (harbor, progress) = self.place.connect("comparing").await?;
        let mut found = drift(&harbor, &receipt, self.place.connection.jobs()).await?;
        found.extend(undone(&harbor, &settings, receipt.policies.keys()).await?);
        if self.extra {
            found.extend(extra(&harbor, &deliveries, self.place.connection.jobs()).await?);
        }
        let proved = match self.prove {
            true => prove_again(&harbor, &receipt, self.place.connection.jobs(), &**progress).await,
            false => Ok(HashSet::new()),
        };
        if elsewhere > 0 {
            progress.note(&format!("{} of other registries left alone", count(elsewhere, "receipt")));
        }
        drop(progress);
        let drift = found
            .iter()
            .map(|each| DriftEntry { what: each.name().to_owned(), message: each.to_string() })
            .collect();
        output::report(&DriftReport {
            bundle: (&receipt.bundle).into(),
            imported: receipt.imported.to_string(),
            verified: self.receipts.is_verified(),
            receipts: deliveries.receipts(),
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
        if found.iter().all(|each| matches!(each, Drift::Settings { .. })) {
            let text = format!("Harbor differs from harbor.yaml in {}", count(found.len(), "point"));
            return Err(Failure::text(Id::Drift, text).hint(
                "run `bundle harbor bootstrap` with an administrator's account, which sets what harbor.yaml says",
            ));
        }
        let text = format!(
            "Harbor differs from {} in {}",
            if deliveries.receipts() == 1 { "the receipt" } else { "the receipts" },
            count(found.len(), "point")
        );
        Err(Failure::text(Id::Drift, text)
            .hint("find out who changed it; to bring back what was delivered, import the bundle again"))
    }
}
