//! The commands for Harbor, and what they share: which Harbor, which account, which projects.
//! Takes their arguments, gives a client of Harbor's API, settings and project names.

mod bootstrap;
mod check;
mod diff;
mod rescan;
mod rotate;
mod trivy;
mod values;

use std::collections::BTreeSet;
use std::path::PathBuf;

use crate::connection::{Connection, Login, To};
use crate::exit::{Code, Failure};
use crate::progress::{Running, progress};
use crate::trust::TrustArguments;
use bundle_format::Limits;
use bundle_harbor::Harbor as Client;
use bundle_importer::Bundle;
use bundle_oci::ProjectName;
use bundle_registry::{Client as RegistryClient, CredentialStore};
use bundle_site::HarborSettings;

#[derive(clap::Subcommand)]
pub(crate) enum Harbor {
    /// Create projects, robot accounts and pull secrets for Kubernetes (needs an administrator's account;
    /// run again for new projects)
    Bootstrap(bootstrap::Bootstrap),
    /// Check that an account has all rights that an import needs
    Check(check::Check),
    /// Rotate the secrets of accounts that `bootstrap` created (needs an administrator's account)
    Rotate(rotate::Rotate),
    /// Compare Harbor with receipts
    Diff(diff::Diff),
    /// Have images scanned again after Harbor's scanner got newer databases, and report what is blocked now
    Rescan(rescan::Rescan),
    /// Print Helm values that make Harbor use the vulnerability databases of a bundle
    TrivyValues(trivy::TrivyValues),
    /// Generate Helm values that point a chart's images to your registry
    Values(values::Values),
}

impl Harbor {
    pub(crate) async fn run(self) -> Result<(), Failure> {
        match self {
            Self::Bootstrap(command) => command.run().await,
            Self::Check(command) => command.run().await,
            Self::Rotate(command) => command.run().await,
            Self::Diff(command) => command.run().await,
            Self::Rescan(command) => command.run().await,
            Self::TrivyValues(command) => command.run(),
            Self::Values(command) => command.run(),
        }
    }
}

/// Which Harbor, and as whom.
#[derive(clap::Args)]
struct Place {
    /// Address of the Harbor, such as `https://harbor.example`
    #[arg(long, value_name = "URL|HOST[:PORT]")]
    to: To,

    /// Project policy file [default: harbor.yaml, if it exists]
    #[arg(long, value_name = "FILE")]
    harbor: Option<PathBuf>,

    #[command(flatten)]
    login: Login,

    #[command(flatten)]
    connection: Connection,
}

impl Place {
    fn settings(&self) -> Result<HarborSettings, Failure> {
        crate::command::import::settings(self.harbor.as_deref())
    }

    fn host(&self) -> &str {
        self.to.registry.as_str()
    }

    /// The client for the Harbor with another account.
    fn client_as(&self, user: &str, secret: &str, progress: &Running) -> Result<RegistryClient, Failure> {
        let registry = self.to.registry.clone();
        let store = CredentialStore::default().with_login(registry, user.to_owned(), secret.to_owned());
        self.connection.client_to_as(&self.to, store, true, progress)
    }

    async fn connect(&self, doing: &'static str) -> Result<(Client, Running), Failure> {
        self.to.refuse_path()?;
        let progress = progress(doing);
        let client = self.connection.client_to(&self.to, &self.login, true, &progress).await?;
        match Client::detect(&client, &self.to.registry).await? {
            Some(harbor) => Ok((harbor, progress)),
            None => Err(Failure::text(
                Code::Network,
                format!("{} is not a Harbor: it does not answer to /api/v2.0/ping as one", self.to),
            )),
        }
    }
}

/// Which projects.
#[derive(clap::Args)]
struct Projects {
    /// Project besides cache, platform and those in harbor.yaml; repeatable
    #[arg(long = "project", value_name = "NAME")]
    projects: Vec<ProjectName>,

    /// Also include the projects that this bundle writes to
    #[arg(long, value_name = "FILE")]
    bundle: Option<PathBuf>,

    #[command(flatten)]
    trust: TrustArguments,
}

impl Projects {
    fn names(&self, settings: &HarborSettings) -> Result<BTreeSet<ProjectName>, Failure> {
        let mut names: BTreeSet<ProjectName> = settings.projects().cloned().collect();
        names.extend([ProjectName::cache(), ProjectName::platform()]);
        names.extend(self.projects.iter().cloned());
        if let Some(path) = &self.bundle {
            let bundle = Bundle::open(path, &self.trust.effective()?, &Limits::V1)
                .map_err(|error| Failure::from(error).of(path))?;
            names.extend(bundle.statement().artifacts.iter().map(|artifact| artifact.target.project.clone()));
        }
        Ok(names)
    }
}
