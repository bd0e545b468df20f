use std::collections::BTreeMap;
use std::fs::File;
use std::path::PathBuf;

use bundle_format::{Limits, Statement, Unverified};
use bundle_importer::{Bundle, Share, load_trust, shares};
use serde_json::json;

use crate::command::{print, print_json};
use crate::exit::{Code, Failure};
use crate::output::name;
use crate::size::{Bytes, count};

#[derive(clap::Args)]
pub(crate) struct Inspect {
    /// The bundle
    bundle: PathBuf,

    /// Whose bundles are right: a public key, or a trust.yaml
    #[arg(long, value_name = "PUBKEY|FILE")]
    trust: Option<PathBuf>,

    /// Print as JSON
    #[arg(long)]
    json: bool,
}

const WARNING: &str = "NOT VERIFIED: no --trust was given, so anybody may have written what follows.";

impl Inspect {
    pub(crate) fn run(self) -> Result<(), Failure> {
        let limits = Limits::V1;
        let (statement, signer, graph) = match &self.trust {
            Some(trust) => {
                let bundle = Bundle::open(&self.bundle, &load_trust(trust)?, &limits)?;
                let signer = bundle.trusted().signer().to_owned();
                (bundle.statement().clone(), Some(signer), Some(bundle.graph().clone()))
            }
            None => {
                let failed = |error: std::io::Error| {
                    Failure::text(Code::Usage, format!("{} cannot be opened: {error}", name(&self.bundle)))
                };
                let mut file = File::open(&self.bundle).map_err(failed)?;
                let head = Unverified::read(&mut file, &limits)
                    .map_err(|error| Failure::new(Code::NotTrusted, &error))?;
                let statement = Statement::parse(&head.statement, &limits)
                    .map_err(|error| Failure::new(Code::NotTrusted, &error))?;
                (statement, None, None)
            }
        };
        let shares = graph.as_ref().map(|graph| shares(&statement.artifacts, graph));
        let share = |position: usize| shares.as_ref().and_then(|shares| shares.get(position));
        if self.json {
            let artifacts: Vec<_> = statement
                .artifacts
                .iter()
                .enumerate()
                .map(|(position, artifact)| {
                    let mut value = json!(artifact);
                    if let Some(Share { size, own, with }) = share(position) {
                        let with = with.iter();
                        let with = with.map(
                            |(other, bytes)| json!({"target": other.target.to_string(), "bytes": bytes}),
                        );
                        value["size"] = json!(size);
                        value["ownSize"] = json!(own);
                        value["sharedWith"] = with.collect();
                    }
                    value
                })
                .collect();
            return print_json(&json!({
                "verified": signer.is_some(),
                "signer": signer,
                "stream": statement.stream,
                "sequence": statement.sequence,
                "created": statement.created,
                "blobs": statement.blobs.len(),
                "blobBytes": statement.blob_bytes(),
                "artifacts": artifacts,
            }));
        }
        let mut text = String::new();
        match &signer {
            Some(signer) => text.push_str(&format!("signed by '{signer}'\n")),
            None => text.push_str(&format!("{WARNING}\n")),
        }
        text.push_str(&format!(
            "stream {}, sequence {}, created {}\n",
            statement.stream, statement.sequence, statement.created
        ));
        let mut projects: BTreeMap<_, Vec<_>> = BTreeMap::new();
        for (position, artifact) in statement.artifacts.iter().enumerate() {
            projects.entry(&artifact.target.project).or_default().push((position, artifact));
        }
        for (project, artifacts) in projects {
            text.push_str(&format!("\nproject {project}: {}\n", count(artifacts.len(), "artifact")));
            for (position, artifact) in artifacts {
                text.push_str(&format!("  {}\n", artifact.target));
                let platforms: Vec<_> = artifact.platforms.iter().map(ToString::to_string).collect();
                text.push_str(&format!(
                    "    {} {} {}\n",
                    artifact.kind.as_str(),
                    artifact.digest,
                    platforms.join(" ")
                ));
                text.push_str(&format!(
                    "    from {}, because of {}\n",
                    artifact.source,
                    artifact.reasons.join(", ")
                ));
                if let Some(share) = share(position) {
                    text.push_str(&format!("    {}\n", extent(share)));
                }
            }
        }
        text.push_str(&format!(
            "\n{}, {}, {}\n",
            count(statement.artifacts.len(), "artifact"),
            count(statement.blobs.len(), "blob"),
            Bytes(statement.blob_bytes())
        ));
        if signer.is_none() {
            text.push_str(&format!("{WARNING}\n"));
        }
        print(&text)
    }
}

fn extent(share: &Share<'_>) -> String {
    let size = Bytes(share.size);
    let Some((first, _)) = share.with.first() else {
        return format!("{size}, shared with no other");
    };
    let others = match share.with.len() - 1 {
        0 => String::new(),
        1 => " and one other".to_owned(),
        more => format!(" and {more} others"),
    };
    format!("{size}, of which {} is shared with {}{others}", Bytes(share.size - share.own), first.target)
}
