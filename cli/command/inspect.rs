use std::collections::BTreeMap;
use std::fs::File;
use std::path::PathBuf;

use bundle_format::{Graph, Limits, Statement, Unverified};
use bundle_importer::{Bundle, load_trust};
use bundle_oci::Digest;
use serde_json::json;

use crate::command::{print, print_json};
use crate::exit::{Code, Failure};
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
                    Failure::text(Code::Usage, format!("{} cannot be opened: {error}", self.bundle.display()))
                };
                let mut file = File::open(&self.bundle).map_err(failed)?;
                let head = Unverified::read(&mut file, &limits)
                    .map_err(|error| Failure::new(Code::NotTrusted, &error))?;
                let statement = Statement::parse(&head.statement, &limits)
                    .map_err(|error| Failure::new(Code::NotTrusted, &error))?;
                (statement, None, None)
            }
        };
        let sizes = graph.as_ref().map(|graph| sizes(graph, &statement));
        if self.json {
            let artifacts: Vec<_> = statement
                .artifacts
                .iter()
                .map(|artifact| {
                    let size = sizes.as_ref().and_then(|sizes| sizes.get(&artifact.digest));
                    let mut value = json!(artifact);
                    value["size"] = json!(size.map(|size| size.whole));
                    value["ownSize"] = json!(size.map(|size| size.own));
                    value
                })
                .collect();
            print_json(&json!({
                "verified": signer.is_some(),
                "signer": signer,
                "stream": statement.stream,
                "sequence": statement.sequence,
                "created": statement.created,
                "blobs": statement.blobs.len(),
                "blobBytes": statement.blob_bytes(),
                "artifacts": artifacts,
            }));
            return Ok(());
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
        for artifact in &statement.artifacts {
            projects.entry(&artifact.target.project).or_default().push(artifact);
        }
        for (project, artifacts) in projects {
            text.push_str(&format!("\nproject {project}: {}\n", count(artifacts.len(), "artifact")));
            for artifact in artifacts {
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
                if let Some(size) = sizes.as_ref().and_then(|sizes| sizes.get(&artifact.digest)) {
                    text.push_str(&format!(
                        "    {}, of which {} is shared with others\n",
                        Bytes(size.whole),
                        Bytes(size.whole - size.own)
                    ));
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
        print(&text);
        Ok(())
    }
}

struct Size {
    whole: u64,
    own: u64,
}

/// The size of each artifact, and of what no other artifact names.
fn sizes(graph: &Graph, statement: &Statement) -> BTreeMap<Digest, Size> {
    let blob_sizes: BTreeMap<Digest, u64> = graph.blobs.iter().map(|blob| (blob.digest, blob.size)).collect();
    let mut users: BTreeMap<Digest, u32> = BTreeMap::new();
    let mut named: BTreeMap<Digest, Vec<Digest>> = BTreeMap::new();
    for artifact in &statement.artifacts {
        if named.contains_key(&artifact.digest) {
            continue;
        }
        let all = graph.reached(artifact.digest);
        for digest in &all {
            *users.entry(*digest).or_default() += 1;
        }
        named.insert(artifact.digest, all);
    }
    let size = |digest: &Digest| blob_sizes.get(digest).copied().unwrap_or_default();
    named
        .into_iter()
        .map(|(digest, all)| {
            let whole = all.iter().map(size).sum();
            let own = all.iter().filter(|digest| users.get(digest) == Some(&1)).map(size).sum();
            (digest, Size { whole, own })
        })
        .collect()
}
