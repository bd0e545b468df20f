//! The commands: one file for each, and what they share.
//! Takes parsed arguments, gives the result of the command that they name.

mod chart;
mod completion;
pub(crate) mod config;
mod convert;
mod create;
mod doctor;
mod expand;
mod extract;
mod harbor;
mod images;
mod import;
mod inspect;
mod key;
mod lock;
mod login;
mod manual;
mod mirror_config;
mod prune;
mod receipt;
mod reference;
mod repair;
mod review;
mod scan;
mod schema;
mod serve;
mod stream;
mod support;
mod sync;
mod trust;
mod verify;
mod wanted;
mod whereabouts;

use std::io::IsTerminal;

use crate::exit::{Code, Failure};
pub(crate) use crate::output::{print, print_json};

#[derive(clap::Subcommand)]
pub(crate) enum Command {
    /// Generate and show signing keys
    #[command(subcommand)]
    Key(key::Key),
    /// Resolve references to digests, and write them to bundle.lock
    Lock(lock::Lock),
    /// List the images of charts and lists, with the reason for each
    Images(images::Images),
    /// Write a bundle.yaml from another tool's file
    ///
    /// Reads hauler's manifests, zarf.yaml, oc-mirror's ImageSetConfiguration, the YAML of skopeo sync and regsync,
    /// imgpkg's ImagesLock, locks of helm dt and plain lists of images.
    Convert(convert::Convert),
    /// Pack images into one signed file
    Create(create::Create),
    /// Check every byte of a bundle
    Verify(verify::Verify),
    /// Rebuild a bundle with damaged or missing files from its parity
    Repair(repair::Repair),
    /// Write a compact or compressed bundle as the plain archive
    Expand(expand::Expand),
    /// Show what is inside a bundle
    Inspect(inspect::Inspect),
    /// Compare two bundles, receipts or lockfiles
    Diff(review::Diff),
    /// Write a report for approval, with what a bundle changes
    ///
    /// One HTML page for browsers and paper, Markdown, CSV or JSON.
    Report(review::Report),
    /// Scan the images of a bundle for vulnerabilities
    ///
    /// Trivy, Grype or another scanner reads the images directly from the file. Critical and high findings block an
    /// image (exit code 5), medium ones warn; exceptions have an owner and a last day.
    Scan(scan::Scan),
    /// Import a bundle's images into a registry
    Import(import::Import),
    /// Set up Harbor, and compare it with receipts
    ///
    /// Creates its projects and robot accounts, and reports what differs from the policy file and from receipts.
    #[command(subcommand)]
    Harbor(harbor::Harbor),
    /// Show, list or shorten import receipts
    #[command(subcommand)]
    Receipt(receipt::Receipt),
    /// Add a co-signature to a bundle
    Sign(review::Sign),
    /// Manage the keys this site trusts
    Trust(trust::Trust),
    /// Serve the images of bundles as a read-only registry
    ///
    /// The images are read directly from the files; nothing is unpacked.
    Serve(serve::Serve),
    /// Extract images or charts from a bundle, without a registry
    Extract(extract::Extract),
    /// Generate registry-mirror configuration for nodes
    ///
    /// For K3s, RKE2, containerd and CRI-O.
    MirrorConfig(mirror_config::MirrorConfig),
    /// Check whether a site is ready for imports
    ///
    /// Checks names, certificates, the clock, Harbor, disks, keys, secrets and the files of nodes.
    Doctor(doctor::Doctor),
    /// Report which bundle brought an image, and where it is
    ///
    /// When it was imported, at which sites, who signed the bundle and who asked for the image; what no receipt knows,
    /// and what the newest bundle no longer has. From receipts, bundles and the registry. Exit code 1 if nothing knows
    /// it, 6 if something could not be read.
    Where(whereabouts::Where),
    /// Remove images that no kept bundle wants
    ///
    /// Only what receipts of the stream say was brought, that is as it was brought, and that nothing uses. A plan is
    /// written first, for people to review.
    Prune(prune::Prune),
    /// Run the scheduled export or import job once
    #[command(subcommand)]
    Sync(sync::Sync),
    /// Show or repair the history of a stream
    ///
    /// The history is what rollback protection compares new bundles with: at the registry and in the state file.
    #[command(subcommand)]
    Stream(stream::Stream),
    /// Store the login for a registry
    ///
    /// It is stored where Docker and Podman keep theirs.
    Login(login::Login),
    /// Remove the login for a registry
    Logout(login::Logout),
    /// Print the JSON Schema of a configuration file, or check a file
    ///
    /// Of bundle.yaml, harbor.yaml, trust.yaml or sync.yaml.
    Schema(schema::Schema),
    /// Show the settings and where each comes from
    #[command(subcommand)]
    Config(config::Config),
    /// Collect logs and settings in one archive, without secrets
    ///
    /// Also the version, and the status files of the jobs.
    Support(support::Support),
    /// Print the completion script for bash, zsh or fish
    ///
    /// bash reads it from ~/.local/share/bash-completion/completions/bundle, zsh from a file `_bundle` in a directory
    /// of $fpath, fish from ~/.config/fish/completions/bundle.fish. The packages have them for all users.
    Completion(completion::Completion),
    /// Write the manual pages, one for each command
    #[command(hide = true)]
    Manual(manual::Manual),
    /// Print one page of docs/reference, as it is made from this program
    #[command(hide = true)]
    Reference(reference::Reference),
}

impl Command {
    /// Whether it waits for the network, so that more than one thread is of use.
    pub(crate) fn moves_data(&self) -> bool {
        match self {
            Self::Lock(_)
            | Self::Images(_)
            | Self::Create(_)
            | Self::Import(_)
            | Self::Harbor(_)
            | Self::Serve(_)
            | Self::Login(_)
            | Self::MirrorConfig(_)
            | Self::Doctor(_)
            | Self::Logout(_)
            | Self::Stream(_)
            | Self::Prune(_)
            | Self::Where(_)
            | Self::Scan(_)
            | Self::Sync(_) => true,
            Self::Key(_)
            | Self::Convert(_)
            | Self::Verify(_)
            | Self::Repair(_)
            | Self::Expand(_)
            | Self::Inspect(_)
            | Self::Diff(_)
            | Self::Report(_)
            | Self::Receipt(_)
            | Self::Sign(_)
            | Self::Trust(_)
            | Self::Extract(_)
            | Self::Schema(_)
            | Self::Config(_)
            | Self::Support(_)
            | Self::Completion(_)
            | Self::Manual(_)
            | Self::Reference(_) => false,
        }
    }

    /// Its name on the command line.
    pub(crate) fn name(&self) -> &'static str {
        match self {
            Self::Key(_) => "key",
            Self::Lock(_) => "lock",
            Self::Images(_) => "images",
            Self::Convert(_) => "convert",
            Self::Create(_) => "create",
            Self::Verify(_) => "verify",
            Self::Repair(_) => "repair",
            Self::Expand(_) => "expand",
            Self::Inspect(_) => "inspect",
            Self::Diff(_) => "diff",
            Self::Report(_) => "report",
            Self::Scan(_) => "scan",
            Self::Import(_) => "import",
            Self::Harbor(_) => "harbor",
            Self::Receipt(_) => "receipt",
            Self::Sign(_) => "sign",
            Self::Trust(_) => "trust",
            Self::Serve(_) => "serve",
            Self::Extract(_) => "extract",
            Self::MirrorConfig(_) => "mirror-config",
            Self::Doctor(_) => "doctor",
            Self::Prune(_) => "prune",
            Self::Where(_) => "where",
            Self::Sync(_) => "sync",
            Self::Stream(_) => "stream",
            Self::Login(_) => "login",
            Self::Logout(_) => "logout",
            Self::Schema(_) => "schema",
            Self::Config(_) => "config",
            Self::Support(_) => "support",
            Self::Completion(_) => "completion",
            Self::Manual(_) => "manual",
            Self::Reference(_) => "reference",
        }
    }

    /// Whether it works for long, so that it says how to go on when it is interrupted. `serve` and prompts wait for
    /// signals themselves.
    pub(crate) fn takes_time(&self) -> bool {
        matches!(
            self,
            Self::Create(_)
                | Self::Verify(_)
                | Self::Repair(_)
                | Self::Expand(_)
                | Self::Import(_)
                | Self::Extract(_)
                | Self::Scan(_)
                | Self::Sync(_)
        )
    }

    pub(crate) async fn run(self) -> Result<(), Failure> {
        match self {
            Self::Key(command) => command.run(),
            Self::Lock(command) => command.run().await,
            Self::Images(command) => command.run().await,
            Self::Convert(command) => command.run(),
            Self::Create(command) => command.run().await,
            Self::Verify(command) => command.run(),
            Self::Repair(command) => command.run(),
            Self::Expand(command) => command.run(),
            Self::Inspect(command) => command.run(),
            Self::Diff(command) => command.run(),
            Self::Report(command) => command.run(),
            Self::Scan(command) => command.run().await,
            Self::Import(command) => command.run().await,
            Self::Harbor(command) => command.run().await,
            Self::Receipt(command) => command.run(),
            Self::Sign(command) => command.run(),
            Self::Trust(command) => command.run(),
            Self::Serve(command) => command.run().await,
            Self::Extract(command) => command.run(),
            Self::MirrorConfig(command) => command.run().await,
            Self::Doctor(command) => command.run().await,
            Self::Prune(command) => command.run().await,
            Self::Where(command) => command.run().await,
            Self::Sync(command) => command.run().await,
            Self::Stream(command) => command.run().await,
            Self::Login(command) => command.run().await,
            Self::Logout(command) => command.run().await,
            Self::Schema(command) => command.run(),
            Self::Config(command) => command.run(),
            Self::Support(command) => command.run(),
            Self::Completion(command) => command.run(),
            Self::Manual(command) => command.run(),
            Self::Reference(command) => command.run(),
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
