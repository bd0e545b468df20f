//! `bundle schema`: the JSON Schema of a person's file, and a check of such a file by the reader that
//! the other commands use.

use std::path::PathBuf;

use bundle_bundler::{Config, bundle_schema};
use bundle_site::{HarborSettings, harbor_schema};
use bundle_sync::{SyncConfig, sync_schema};
use bundle_trust::{Effective, StoreLocation, trust_schema};

use crate::command::{print, print_json};
use crate::exit::Failure;
use crate::output::name;

#[derive(clap::Args)]
pub(crate) struct Schema {
    /// File to describe
    #[arg(value_enum, default_value_t = Kind::Bundle)]
    kind: Kind,

    /// Check this file, and those that it names, instead of printing the schema
    #[arg(long, value_name = "FILE")]
    check: Option<PathBuf>,
}

/// A file that people write.
#[derive(Clone, Copy, clap::ValueEnum)]
enum Kind {
    /// bundle.yaml
    Bundle,
    /// harbor.yaml
    Harbor,
    /// trust.yaml
    Trust,
    /// sync.yaml
    Sync,
}

impl Schema {
    pub(crate) fn run(self) -> Result<(), Failure> {
        let Some(path) = &self.check else {
            return print_json(&match self.kind {
                Kind::Bundle => bundle_schema(),
                Kind::Harbor => harbor_schema(),
                Kind::Trust => trust_schema(),
                Kind::Sync => sync_schema(),
            });
        };
        match self.kind {
            Kind::Bundle => drop(Config::load(path)?),
            Kind::Harbor => drop(HarborSettings::load(path)?),
            // Only the file is checked here; no key is trusted.
            Kind::Trust => drop(Effective::load(Some(path), &StoreLocation::Waived)?),
            Kind::Sync => drop(SyncConfig::load(path)?),
        }
        print(&format!("{} is valid\n", name(path)))
    }
}
