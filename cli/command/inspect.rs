use std::collections::BTreeMap;
use std::path::PathBuf;

use bundle_format::{Cursor, Limits, Medium, Statement, Unverified};
use bundle_importer::{Bundle, OpenError, Sharing, sharing};
use bundle_trust::{Effective, TrustStoreError};
use serde_json::json;

use crate::command::{print, print_json, quoted};
use crate::exit::{Code, Failure};
use crate::output::name;
use crate::output::tell;
use crate::size::{Bytes, count};
use crate::trust::StoreArguments;

#[derive(clap::Args)]
pub(crate) struct Inspect {
    /// The bundle
    bundle: PathBuf,

    /// Accept bundles signed by this public key, or as this trust.yaml says [default: the keys of
    /// `bundle trust`; if there are none, nothing is verified]
    #[arg(long, value_name = "PUBKEY|FILE")]
    trust: Option<PathBuf>,

    /// Show what a bundle says without asking who signed it
    #[arg(long, conflicts_with = "trust")]
    unverified: bool,

    #[command(flatten)]
    store: StoreArguments,

    /// Print as JSON
    #[arg(long)]
    json: bool,
}

const WARNING: &str = "NOT VERIFIED: no key was checked, so anybody may have written what follows.";

impl Inspect {
    pub(crate) fn run(self) -> Result<(), Failure> {
        let limits = Limits::V1;
        let (statement, signers, graph) = match self.trusted()? {
            Some(trusted) => {
                let bundle = Bundle::open(&self.bundle, &trusted, &limits).map_err(|error| {
                    let stranger = matches!(error, OpenError::Trust(_));
                    let failure = Failure::from(error);
                    match stranger && self.trust.is_none() {
                        true => failure.also_hint("to see what it says, trusting nobody: --unverified"),
                        false => failure,
                    }
                })?;
                let signers = bundle.trusted().signers().to_vec();
                (bundle.statement().clone(), signers, Some(bundle.graph().clone()))
            }
            None => {
                let failed = |error: std::io::Error| {
                    Failure::text(Code::Usage, format!("{} cannot be opened: {error}", name(&self.bundle)))
                };
                let medium = Medium::open(&self.bundle, &limits)?;
                let mut cursor = Cursor::new(&medium).map_err(failed)?;
                let head = Unverified::read(&mut cursor, &limits).map_err(OpenError::Damage)?;
                let statement = Statement::parse(&head.statement, &limits)
                    .map_err(|error| Failure::new(Code::NotTrusted, &error))?;
                (statement, Vec::new(), None)
            }
        };
        let shares = graph.as_ref().map(|graph| sharing(&statement.artifacts, graph));
        let share = |position: usize| shares.as_ref().and_then(|shares| shares.get(position));
        if self.json {
            let artifacts: Vec<_> = statement
                .artifacts
                .iter()
                .enumerate()
                .map(|(position, artifact)| {
                    let mut value = json!(artifact);
                    if let Some(Sharing { size, own, with, more }) = share(position) {
                        let with = with.iter();
                        let with = with.map(
                            |(other, bytes)| json!({"target": other.target.to_string(), "bytes": bytes}),
                        );
                        value["size"] = json!(size);
                        value["ownSize"] = json!(own);
                        value["sharedWith"] = with.collect();
                        value["sharedWithMore"] = json!(more);
                    }
                    value
                })
                .collect();
            return print_json(&json!({
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
        if signers.is_empty() {
            text.push_str(&format!("{WARNING}\n"));
        }
        print(&text)
    }
}

impl Inspect {
    /// Who must have signed the bundle; nobody, if neither the arguments nor the store name a key.
    fn trusted(&self) -> Result<Option<Effective>, Failure> {
        if self.unverified {
            return Ok(None);
        }
        if let (None, Err(error)) = (&self.trust, self.store.find()) {
            // Nothing is trusted, so nothing is let through.
            tell(&format!("note: {error}"));
            return Ok(None);
        }
        match Effective::load(self.trust.as_deref(), &self.store.location()?) {
            Ok(effective) => Ok(Some(effective)),
            Err(TrustStoreError::NoKey(_)) => Ok(None),
            Err(error) => Err(error.into()),
        }
    }
}

fn extent(share: &Sharing<'_>) -> String {
    let size = Bytes(share.size);
    let Some((first, _)) = share.with.first() else {
        return format!("{size}, shared with no other");
    };
    let others = match share.with.len() - 1 {
        _ if share.more => " and many others".to_owned(),
        0 => String::new(),
        1 => " and one other".to_owned(),
        more => format!(" and {more} others"),
    };
    format!("{size}, of which {} is shared with {}{others}", Bytes(share.size - share.own), first.target)
}
