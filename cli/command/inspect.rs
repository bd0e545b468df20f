use std::collections::BTreeMap;
use std::path::PathBuf;

use bundle_format::{Cursor, Graph, Limits, Medium, Statement, Unverified};
use bundle_importer::{Bundle, load_trust};
use bundle_oci::Digest;
use serde_json::json;

use crate::command::{print, print_json, quoted};
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
        let (statement, signers, graph) = match &self.trust {
            Some(trust) => {
                let bundle = Bundle::open(&self.bundle, &load_trust(trust)?, &limits)?;
                let signers = bundle.trusted().signers().to_vec();
                (bundle.statement().clone(), signers, Some(bundle.graph().clone()))
            }
            None => {
                let failed = |error: std::io::Error| {
                    Failure::text(Code::Usage, format!("{} cannot be opened: {error}", self.bundle.display()))
                };
                let medium = Medium::open(&self.bundle, &limits)?;
                let mut cursor = Cursor::new(&medium).map_err(failed)?;
                let head = Unverified::read(&mut cursor, &limits)
                    .map_err(|error| Failure::new(Code::NotTrusted, &error))?;
                let statement = Statement::parse(&head.statement, &limits)
                    .map_err(|error| Failure::new(Code::NotTrusted, &error))?;
                (statement, Vec::new(), None)
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
                "verified": !signers.is_empty(),
                "signers": signers,
                "stream": statement.stream,
                "sequence": statement.sequence,
                "created": statement.created,
                "expires": statement.expires,
                "previous": statement.previous,
                "base": statement.base,
                "requires": statement.requires.len(),
                "blobs": statement.blobs.len(),
                "blobBytes": statement.blob_bytes(),
                "artifacts": artifacts,
            }));
            return Ok(());
        }
        let mut text = String::new();
        if signers.is_empty() {
            text.push_str(&format!("{WARNING}\n"));
        } else {
            text.push_str(&format!("signed by {}\n", quoted(&signers)));
        }
        text.push_str(&format!(
            "stream {}, sequence {}, created {}\n",
            statement.stream, statement.sequence, statement.created
        ));
        if let Some(expires) = statement.expires {
            text.push_str(&format!("cannot be imported after {expires}\n"));
        }
        if !statement.requires.is_empty() {
            let base: Vec<String> = statement.base.iter().map(ToString::to_string).collect();
            let bytes = statement.requires.iter().map(|blob| blob.size).sum();
            text.push_str(&format!(
                "a delta: {} ({}) must be there already, from {}\n",
                count(statement.requires.len(), "blob"),
                Bytes(bytes),
                base.join(", ")
            ));
        }
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
        if signers.is_empty() {
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
        let all: Vec<Digest> = graph.extent(artifact.digest).iter().map(|blob| blob.digest).collect();
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
