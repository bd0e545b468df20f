mod chart;
mod create;
mod diff;
mod extract;
mod harbor;
mod images;
mod import;
mod inspect;
mod key;
mod lock;
mod login;
mod mirror_config;
mod receipt;
mod schema;
mod serve;
mod sign;
mod sync;
mod trust;
mod verify;
mod wanted;

use std::io::IsTerminal;

use crate::exit::{Code, Failure};
pub(crate) use crate::output::{print, print_json};

#[derive(clap::Subcommand)]
pub(crate) enum Command {
    /// Make and show signing keys
    #[command(subcommand)]
    Key(key::Key),
    /// Resolve references to digests, and write them to bundle.lock
    Lock(lock::Lock),
    /// Show the images of charts and lists, and why each is there
    Images(images::Images),
    /// Create a bundle: pack images into one signed file
    Create(create::Create),
    /// Verify every byte of a bundle
    Verify(verify::Verify),
    /// Show what is inside a bundle
    Inspect(inspect::Inspect),
    /// Compare two bundles, receipts or lock files
    Diff(diff::Diff),
    /// Import a bundle into a registry
    Import(import::Import),
    /// Set up a Harbor, look after its accounts, and compare it with what was delivered
    #[command(subcommand)]
    Harbor(harbor::Harbor),
    /// Show or shorten an import receipt
    #[command(subcommand)]
    Receipt(receipt::Receipt),
    /// Add a second person's signature to a bundle
    Sign(sign::Sign),
    /// Manage the keys this site trusts
    Trust(trust::Trust),
    /// Serve bundles' images as a read-only registry, straight from the files
    Serve(serve::Serve),
    /// Extract images or charts from a bundle, without a registry
    Extract(extract::Extract),
    /// Generate registry-mirror configuration for K3s, RKE2, containerd or CRI-O
    MirrorConfig(mirror_config::MirrorConfig),
    /// Run the scheduled export or import job once
    #[command(subcommand)]
    Sync(sync::Sync),
    /// Store the account for a registry, where Docker and Podman keep it
    Login(login::Login),
    /// Remove the account for a registry
    Logout(login::Logout),
    /// Print the JSON Schema of bundle.yaml, harbor.yaml, trust.yaml or sync.yaml, or check such a file
    Schema(schema::Schema),
}

impl Command {
    pub(crate) async fn run(self) -> Result<(), Failure> {
        match self {
            Self::Key(command) => command.run(),
            Self::Lock(command) => command.run().await,
            Self::Images(command) => command.run().await,
            Self::Create(command) => command.run().await,
            Self::Verify(command) => command.run(),
            Self::Inspect(command) => command.run(),
            Self::Diff(command) => command.run(),
            Self::Import(command) => command.run().await,
            Self::Harbor(command) => command.run().await,
            Self::Receipt(command) => command.run(),
            Self::Sign(command) => command.run(),
            Self::Trust(command) => command.run(),
            Self::Serve(command) => command.run().await,
            Self::Extract(command) => command.run(),
            Self::MirrorConfig(command) => command.run(),
            Self::Sync(command) => command.run().await,
            Self::Login(command) => command.run().await,
            Self::Logout(command) => command.run().await,
            Self::Schema(command) => command.run(),
        }
    }
}

/// Makes sure that what is read from standard input comes from somewhere.
pub(crate) fn refuse_terminal() -> Result<(), Failure> {
    if std::io::stdin().is_terminal() {
        return Err(Failure::text(Code::Usage, "a bundle is not read from a terminal")
            .hint("name a file, or pipe the bundle in"));
    }
    Ok(())
}

/// `'ops' and 'transfer'`.
pub(crate) fn quoted(names: &[String]) -> String {
    let names: Vec<String> = names.iter().map(|name| format!("'{name}'")).collect();
    names.join(" and ")
}
