mod create;
mod import;
mod inspect;
mod key;
mod lock;
mod receipt;
mod schema;
mod verify;
mod wanted;

use crate::exit::Failure;
pub(crate) use crate::output::{print, print_json};

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
    /// Show what an import proved to have delivered
    #[command(subcommand)]
    Receipt(receipt::Receipt),
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
            Self::Receipt(command) => command.run(),
            Self::Schema(command) => command.run(),
        }
    }
}
