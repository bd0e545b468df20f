use std::path::PathBuf;

use bundle_site::{drift, extra};
use serde_json::json;

use super::Place;
use crate::command::receipt::ReceiptFile;
use crate::command::{print, print_json};
use crate::exit::{Code, Failure};
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

    /// Another receipt whose artifacts are known, for --extra; repeatable
    #[arg(long, value_name = "FILE", requires = "extra")]
    known: Vec<PathBuf>,

    /// Print as JSON
    #[arg(long)]
    json: bool,
}

impl Diff {
    pub(crate) async fn run(self) -> Result<(), Failure> {
        let receipt = self.receipt.load()?;
        if receipt.registry != self.place.to.registry {
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
        drop(progress);
        if self.json {
            let drift: Vec<_> =
                found.iter().map(|each| json!({"what": each.name(), "message": each.to_string()})).collect();
            print_json(&json!({
                "bundle": receipt.bundle,
                "imported": receipt.imported,
                "verified": self.receipt.is_verified(),
                "drift": drift,
            }))?;
        } else {
            let mut text = format!("bundle {}, imported {}\n", receipt.bundle, receipt.imported);
            for each in &found {
                text.push_str(&format!("{each}\n"));
            }
            if found.is_empty() {
                text.push_str(&format!(
                    "{} and {} are as the receipt says\n",
                    count(receipt.artifacts.len(), "artifact"),
                    count(receipt.policies.len(), "project")
                ));
            }
            print(&text)?;
        }
        if found.is_empty() {
            return Ok(());
        }
        let text = format!("Harbor differs from the receipt in {}", count(found.len(), "point"));
        Err(Failure::text(Code::Incomplete, text)
            .hint("find out who changed it; to bring back what was delivered, import the bundle again"))
    }
}
