//! `trust`: manages the keys that this site trusts.
//! Takes public keys and names, changes the store and gives what it has.

use crate::limits::ROTATION;
use std::path::{Path, PathBuf};

use bundle_format::{
    ProjectPattern, ROTATION_VERSION, Rotation, SignatureBytes, StreamName, Timestamp, TrustedKey,
};
use bundle_importer::signature_path;
use bundle_oci::Printable;
use bundle_os::{begins_with_field, may_replace, replace_own};
use bundle_report::{
    AcceptReport, RequireReport, RevokeReport, RotationReport, TrustListReport, TrustReport, TrustedKeyEntry,
};
use bundle_trust::{KeyScope, TrustStore, read_countersignatures, read_signature};
use bundle_trust::{Signer, load_private, load_public};

use crate::command::key::ask_passphrase;
use crate::exit::{Code, Failure};
use crate::output::{self, name as name_of};
use crate::trust::StoreArguments;

/// The keys whose bundles this site accepts.
#[derive(clap::Args)]
pub(crate) struct Trust {
    #[command(subcommand)]
    action: Action,

    /// Trust store of this site [default: bundle/trust.yaml in XDG_CONFIG_HOME or ~/.config]
    // Its older name stays.
    #[arg(long, alias = "store", value_name = "FILE", global = true)]
    trust_store: Option<PathBuf>,
}

#[derive(clap::Subcommand)]
enum Action {
    /// Trust a key
    Add {
        /// The public key
        key: PathBuf,
        /// Name of the key in reports and errors
        #[arg(long)]
        name: String,
        /// Project that the key may write to; * matches any characters; repeatable [default: *]
        #[arg(long = "project", value_name = "PATTERN")]
        projects: Vec<ProjectPattern>,
        /// Stream that the key may sign for; repeatable [default: any]
        #[arg(long = "stream", value_name = "NAME")]
        streams: Vec<StreamName>,
        /// Refuse bundles created before this RFC 3339 time
        #[arg(long, value_name = "TIME")]
        since: Option<Timestamp>,
        /// Refuse bundles created after this RFC 3339 time, and all bundles from then on
        #[arg(long, value_name = "TIME")]
        until: Option<Timestamp>,
    },
    /// List the keys
    List,
    /// Revoke a key; it stays in the list, so that errors can name it
    Revoke {
        /// Name or fingerprint of the key
        key: String,
    },
    /// Require this many signatures, by different keys, on each bundle
    Require {
        /// Number of signatures
        signatures: usize,
    },
    /// Replace a signing key, on the connected side: the old key signs the new one
    Rotate {
        /// Old private key, which signs
        #[arg(long, value_name = "FILE")]
        key: PathBuf,
        /// New public key
        #[arg(long, value_name = "FILE")]
        new: PathBuf,
        /// Name of the new key
        #[arg(long)]
        name: String,
        /// RFC 3339 time until which the old key stays trusted [default: until it is revoked]
        #[arg(long, value_name = "TIME")]
        retire: Option<Timestamp>,
        /// Document to write; its signature is written to FILE.sig
        #[arg(short, long, value_name = "FILE")]
        output: PathBuf,
    },
    /// Accept the key that `bundle trust rotate` wrote, on the importing side
    Accept {
        /// Document that `bundle trust rotate` wrote
        rotation: PathBuf,
    },
}

impl Trust {
    pub(crate) fn run(self) -> Result<(), Failure> {
        let open = || -> Result<TrustStore, Failure> {
            match StoreArguments::of(self.trust_store.clone()).find()?.path() {
                Some(path) => Ok(TrustStore::open(path)?),
                None => Err(Failure::text(Code::Usage, "the trust store is set to 'none'")
                    .hint("name its file with --trust-store FILE or BUNDLE_TRUST_STORE")),
            }
        };
        match &self.action {
            Action::Add { key, name, projects, streams, since, until } => {
                if name.is_empty() || Printable(name).to_string() != *name {
                    return Err(Failure::text(Code::Usage, "a key's name must be printable"));
                }
                let key = load_public(key)?;
                let all = "*".parse().map_err(|error| Failure::new(Code::Failed, &error))?;
                let projects = if projects.is_empty() { vec![all] } else { projects.clone() };
                let streams = (!streams.is_empty()).then(|| streams.clone());
                let scope = KeyScope { projects, streams, since: *since, until: *until };
                open()?.add(name, &key, scope)?;
                output::report(&TrustReport {
                    name: name.clone(),
                    fingerprint: key.fingerprint().to_string(),
                })?;
            }
            Action::List => list(&open()?)?,
            Action::Revoke { key } => {
                open()?.revoke(key)?;
                output::report(&RevokeReport { revoked: Printable(key).to_string() })?;
            }
            Action::Require { signatures } => {
                open()?.demand(*signatures)?;
                output::report(&RequireReport { signatures: *signatures })?;
            }
            Action::Rotate { key, new, name, retire, output } => {
                rotate(key, new, name, *retire, output)?;
            }
            Action::Accept { rotation } => {
                let failed = |error: std::io::Error| {
                    Failure::text(Code::Usage, format!("{} cannot be read: {error}", rotation.display()))
                };
                let bytes = bundle_os::read(rotation, ROTATION).map_err(failed)?;
                let mut signatures = read_countersignatures(rotation)?;
                signatures.push(read_signature(&signature_path(rotation))?);
                let accepted = open()?.rotate(&bytes, &signatures, Timestamp::now())?;
                let (name, replaces) = (accepted.name.clone(), accepted.from.to_string());
                output::report(&AcceptReport { name, replaces })?;
            }
        }
        Ok(())
    }
}

fn list(store: &TrustStore) -> Result<(), Failure> {
    if store.is_empty() {
        return output::report(&TrustListReport { signatures: 1, keys: Vec::new() });
    }
    let policy = store.policy()?;
    let keys = policy.keys.iter().map(entry).collect();
    output::report(&TrustListReport { signatures: policy.signatures, keys })
}

fn entry(key: &TrustedKey) -> TrustedKeyEntry {
    let texts = |streams: &Vec<StreamName>| streams.iter().map(ToString::to_string).collect();
    TrustedKeyEntry {
        name: key.name.clone(),
        fingerprint: key.key.fingerprint().to_string(),
        projects: key.projects.iter().map(ToString::to_string).collect(),
        streams: key.streams.as_ref().map(texts),
        since: key.since.map(|time| time.to_string()),
        until: key.until.map(|time| time.to_string()),
        revoked: key.revoked,
    }
}

fn rotate(old: &Path, new: &Path, name: &str, retires: Option<Timestamp>, to: &Path) -> Result<(), Failure> {
    let old = load_private(old, ask_passphrase)?;
    let key = load_public(new)?;
    let rotation = Rotation {
        rotation_version: ROTATION_VERSION,
        from: old.public().fingerprint(),
        name: name.to_owned(),
        key: key.to_pem().map_err(|error| Failure::new(Code::Failed, &error))?,
        retires,
    };
    let bytes = rotation.to_bytes();
    let signature = Signer::Key(old).sign(&bytes)?;
    let beside = signature_path(to);
    may_replace(to, |start, _| begins_with_field(start, "rotationVersion"))?;
    replace_own(&beside, signature.as_ref(), |_, length| length == SignatureBytes::LENGTH as u64)?;
    replace_own(to, &bytes, |start, _| begins_with_field(start, "rotationVersion"))?;
    output::report(&RotationReport { document: name_of(to), signature: name_of(&signature_path(to)) })
}
