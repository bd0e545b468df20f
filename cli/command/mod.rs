mod create;
mod extract;
mod import;
mod inspect;
mod key;
mod lock;
mod mirror_config;
mod schema;
mod serve;
mod verify;
mod wanted;

use crate::exit::Failure;

#[derive(clap::Subcommand)]
pub(crate) enum Command {
    /// Make and show signing keys
    #[command(subcommand)]
    Key(key::Key),
    /// Resolve references to digests, and write them to bundle.lock
    Lock(lock::Lock),
    /// Pack images into one signed file
    Create(create::Create),
    /// Check every byte of a bundle
    Verify(verify::Verify),
    /// Show what is inside a bundle
    Inspect(inspect::Inspect),
    /// Put a bundle's images into a registry
    Import(import::Import),
    /// Serve bundles' images as a read-only registry, straight from the files
    Serve(serve::Serve),
    /// Take images or charts out of a bundle, without a registry
    Extract(extract::Extract),
    /// Write the files with which nodes find a bundle's images at Harbor, or another mirror
    MirrorConfig(mirror_config::MirrorConfig),
    /// Print the JSON Schema of bundle.yaml
    Schema(schema::Schema),
}

impl Command {
    pub(crate) async fn run(self) -> Result<(), Failure> {
        match self {
            Self::Key(command) => command.run(),
            Self::Lock(command) => command.run().await,
            Self::Create(command) => command.run().await,
            Self::Verify(command) => command.run(),
            Self::Inspect(command) => command.run(),
            Self::Import(command) => command.run().await,
            Self::Serve(command) => command.run().await,
            Self::Extract(command) => command.run(),
            Self::MirrorConfig(command) => command.run(),
            Self::Schema(command) => command.run(),
        }
    }
}

/// Writes a result. A reader that went away has seen enough.
pub(crate) fn print(text: &str) {
    use std::io::Write;
    let mut out = std::io::stdout().lock();
    let _ = out.write_all(text.as_bytes()).and_then(|()| out.flush());
}

pub(crate) fn print_json(value: &serde_json::Value) {
    print(&format!("{value:#}\n"));
}
