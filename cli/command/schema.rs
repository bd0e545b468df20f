//! `bundle schema`: the JSON Schema of a person's file, and a check of such a file by the reader that
//! the other commands use.

use std::path::{Path, PathBuf};

use bundle_bundler::{Config, bundle_schema};
use bundle_input::{SettingsFile, settings_schema};
use bundle_report::SchemaCheckReport;
use bundle_site::{HarborSettings, harbor_schema};
use bundle_sync::{SyncConfig, sync_schema};
use bundle_trust::{Effective, StoreLocation, trust_schema};

use crate::command::print_json;
use crate::exit::{Failure, Id};
use crate::output::{self, name};
use crate::several::Failed;

#[derive(clap::Args)]
pub(crate) struct Schema {
    /// File to describe
    #[arg(value_enum, default_value_t = Kind::Bundle)]
    kind: Kind,

    /// Check this file, and those that it names, instead of printing the schema; repeatable
    #[arg(long, value_name = "FILE")]
    check: Vec<PathBuf>,
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
    /// config.yaml
    Config,
}

fn absent(path: &Path) -> Failure {
    Failure::text(Id::FileUnreadable, format!("{} does not exist", name(path)))
}

impl Schema {
    pub(crate) fn run(self) -> Result<(), Failure> {
        if self.check.is_empty() {
            return print_json(&match self.kind {
                Kind::Bundle => bundle_schema(),
                Kind::Harbor => harbor_schema(),
                Kind::Trust => trust_schema(),
                Kind::Sync => sync_schema(),
                Kind::Config => settings_schema(),
            });
        }
        let (valid, failed) = Failed::each(&self.check, |path| self.checked(path));
        if let [_] = self.check.as_slice() {
            // The error says all.
            failed.end()?;
            return output::report(&SchemaCheckReport { valid, failed: Vec::new() });
        }
        output::report(&SchemaCheckReport { valid, failed: failed.entries() })?;
        failed.end()
    }

    /// The file's name, if it is valid.
    fn checked(&self, path: &Path) -> Result<String, Failure> {
        match self.kind {
            Kind::Bundle => drop(Config::load(path)?),
            Kind::Harbor => drop(HarborSettings::load(path)?),
            // Only the file is checked here; no key is trusted.
            Kind::Trust => drop(Effective::load(Some(path), &StoreLocation::Waived)?),
            Kind::Sync => drop(SyncConfig::load(path)?),
            Kind::Config => drop(SettingsFile::load(path)?.ok_or_else(|| absent(path))?),
        }
        Ok(name(path))
    }
}
