//! The arguments that say whose bundles are accepted, and where the trust store is. Gives what
//! `bundle_trust` makes of them; no rule of trust is decided here.

use std::path::{Path, PathBuf};

use bundle_format::{PublicKey, SignatureBytes};
use bundle_trust::{Effective, StoreLocation, StoreNotFound, load_keys, read_signature};

use crate::environment::{self, HOME, XDG_CONFIG_HOME};
use crate::exit::Failure;
use crate::output::tell;

/// The trusted keys.
#[derive(clap::Args)]
pub(crate) struct TrustArguments {
    /// Public key or trust.yaml to verify the signature with [default: the keys of `bundle trust`]. Keys
    /// that the trust store has revoked are always refused
    #[arg(long, value_name = "PUBKEY|FILE")]
    trust: Option<PathBuf>,

    #[command(flatten)]
    store: StoreArguments,

    /// Additional signature, for a bundle read from standard input (repeatable); files beside a bundle
    /// are found automatically
    #[arg(long, value_name = "FILE")]
    signature: Vec<PathBuf>,
}

impl TrustArguments {
    /// The effective policy, with the store's revocations.
    pub(crate) fn effective(&self) -> Result<Effective, Failure> {
        self.store.effective(self.trust.as_deref())
    }

    /// The same again, without a word about a store that is not used.
    pub(crate) fn effective_again(&self) -> Result<Effective, Failure> {
        Ok(Effective::load(self.trust.as_deref(), &self.store.find()?)?)
    }

    /// The countersignatures of a pipe's bundle.
    pub(crate) fn countersignatures(&self) -> Result<Vec<SignatureBytes>, Failure> {
        Ok(self.signature.iter().map(|path| read_signature(path)).collect::<Result<_, _>>()?)
    }
}

/// Where the trust store is.
#[derive(Clone, Debug, clap::Args)]
pub(crate) struct StoreArguments {
    /// Trust store of this site; `none` ignores its revocations [default: bundle/trust.yaml in
    /// XDG_CONFIG_HOME or ~/.config]
    #[arg(long, value_name = "FILE|none")]
    trust_store: Option<PathBuf>,
}

impl StoreArguments {
    /// The store of a command that changes it.
    pub(crate) fn of(trust_store: Option<PathBuf>) -> Self {
        Self { trust_store }
    }

    /// Where the store is, which may be nowhere.
    pub(crate) fn find(&self) -> Result<StoreLocation, StoreNotFound> {
        let named = self.trust_store.as_deref().filter(|path| !path.as_os_str().is_empty());
        let (config, home) = (environment::value(XDG_CONFIG_HOME), environment::value(HOME));
        let (config, home) = (config.map(PathBuf::from), home.map(PathBuf::from));
        StoreLocation::find(named, config.as_deref(), home.as_deref())
    }

    /// The place of the store; prints a warning if it is disabled.
    pub(crate) fn location(&self) -> Result<StoreLocation, Failure> {
        let store = self.find()?;
        if store == StoreLocation::Waived {
            tell(
                "warning: the trust store is not used, so keys that `bundle trust` has revoked are accepted",
            );
        }
        Ok(store)
    }

    /// The policy of `file` or of the store, with the store's revocations.
    pub(crate) fn effective(&self, file: Option<&Path>) -> Result<Effective, Failure> {
        Ok(Effective::load(file, &self.location()?)?)
    }

    /// Public keys of receipts and bases. Without any, the store is not asked for.
    pub(crate) fn keys(&self, files: &[PathBuf]) -> Result<Vec<PublicKey>, Failure> {
        if files.is_empty() {
            return Ok(Vec::new());
        }
        Ok(load_keys(files, &self.location()?)?)
    }
}
