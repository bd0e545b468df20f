use std::path::PathBuf;

use bundle_format::{SignatureBytes, TrustPolicy};
use bundle_trust::{TrustStore, load_trust, read_signature};

use crate::exit::{Code, Failure};
use crate::place;

/// Whose bundles are accepted.
#[derive(clap::Args)]
pub(crate) struct TrustArguments {
    /// Whose bundles are accepted: a public key, or a trust.yaml [default: the keys of `bundle trust`]
    #[arg(long, value_name = "PUBKEY|FILE")]
    trust: Option<PathBuf>,

    /// A countersignature of a bundle that comes through a pipe; beside a file they are found
    #[arg(long, value_name = "FILE")]
    signature: Vec<PathBuf>,
}

/// The file that `bundle trust` keeps.
pub(crate) fn default_store() -> Result<PathBuf, Failure> {
    place::config("trust.yaml")
}

impl TrustArguments {
    /// What is trusted. What the store has revoked is refused, whatever other file is given.
    pub(crate) fn policy(&self) -> Result<TrustPolicy, Failure> {
        let Some(path) = &self.trust else {
            let path = default_store()?;
            let store = TrustStore::open(&path)?;
            if store.is_empty() {
                let text = format!("no key is trusted: no --trust is given, and {} has none", path.display());
                return Err(Failure::text(Code::Usage, text)
                    .hint("`bundle trust add KEY.pub --name NAME`, or --trust <PUBKEY|FILE>"));
            }
            return Ok(store.policy()?);
        };
        let mut policy = load_trust(path)?;
        // Without a home there is no store.
        if let Ok(path) = default_store() {
            TrustStore::open(&path)?.enforce(&mut policy)?;
        }
        Ok(policy)
    }

    /// The countersignatures of a pipe's bundle.
    pub(crate) fn countersignatures(&self) -> Result<Vec<SignatureBytes>, Failure> {
        Ok(self.signature.iter().map(|path| read_signature(path)).collect::<Result<_, _>>()?)
    }
}
