//! The commands for Harbor, and what they share: which Harbor, which account, which projects.
//! Takes their arguments, gives a client of Harbor's API, settings and project names.

mod bootstrap;
mod check;
mod diff;
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
use bundle_site::HarborSettings;

#[derive(clap::Subcommand)]
pub(crate) enum Harbor {
    /// Make projects, the importer's account, and pull accounts with their Kubernetes secrets
    /// (with an administrator's account; again whenever a project is new)
    Bootstrap(bootstrap::Bootstrap),
    /// Tell whether an account may do all that an import needs
    Check(check::Check),
    /// Give accounts that `bootstrap` made a new secret (with an administrator's account)
    Rotate(rotate::Rotate),
    /// Compare Harbor with what a receipt says was delivered
    Diff(diff::Diff),
    /// Print Harbor's chart values for vulnerability databases that came in a bundle
    TrivyValues(trivy::TrivyValues),
    /// Write the values with which a chart in a bundle asks your registry for the bundle's images
    Values(values::Values),
}

impl Harbor {
    pub(crate) async fn run(self) -> Result<(), Failure> {
        match self {
            Self::Bootstrap(command) => command.run().await,
            Self::Check(command) => command.run().await,
            Self::Rotate(command) => command.run().await,
            Self::Diff(command) => command.run().await,
            Self::TrivyValues(command) => command.run(),
            Self::Values(command) => command.run(),
        }
    }
}

/// Which Harbor, and as whom.
#[derive(clap::Args)]
struct Place {
    /// The Harbor, such as `https://harbor.example`
    #[arg(long, value_name = "URL|HOST[:PORT]")]
    to: To,

    /// How projects are run [default: harbor.yaml, if it is there]
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

    async fn connect(&self, doing: &'static str) -> Result<(Client, Running), Failure> {
        self.to.refuse_path()?;
        let progress = progress(doing);
        let client = self.connection.client_to(&self.to, &self.login, true, &progress).await?;
        match Client::detect(&client, &self.to.registry).await? {
            Some(harbor) => Ok((harbor, progress)),
            None => Err(Failure::text(
                Code::Network,
                format!("{} is no Harbor: it does not answer to /api/v2.0/ping as one", self.to),
            )),
        }
    }
}

/// Which projects.
#[derive(clap::Args)]
struct Projects {
    /// A project, beside cache, platform and those in harbor.yaml
    #[arg(long = "project", value_name = "NAME")]
    projects: Vec<ProjectName>,

    /// The projects of this bundle too
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
            let bundle = Bundle::open(path, &self.trust.effective()?, &Limits::V1)?;
            names.extend(bundle.statement().artifacts.iter().map(|artifact| artifact.target.project.clone()));
        }
        Ok(names)
    }
}
