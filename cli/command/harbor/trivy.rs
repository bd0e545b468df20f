//! `harbor trivy-values`: values for vulnerability databases that came in a bundle.
//! Takes bundles and a host, gives YAML for Harbor's chart and for trivy.

use std::path::PathBuf;

use bundle_format::Limits;
use bundle_importer::Bundle;
use bundle_report::FileReport;
use bundle_site::TrivyDatabases;

use crate::connection::To;
use crate::exit::{Code, Failure};
use crate::output;
use crate::trust::TrustArguments;

#[derive(clap::Args)]
pub(crate) struct TrivyValues {
    /// Bundle with the databases
    bundle: PathBuf,

    /// Harbor that the databases were imported into
    #[arg(long, value_name = "URL|HOST[:PORT]")]
    to: To,

    #[command(flatten)]
    trust: TrustArguments,
}

impl TrivyValues {
    pub(crate) fn run(self) -> Result<(), Failure> {
        self.to.refuse_path()?;
        let bundle = Bundle::open(&self.bundle, &self.trust.effective()?, &Limits::V1)
            .map_err(|error| Failure::from(error).of(&self.bundle))?;
        let databases = TrivyDatabases::of(bundle.statement());
        if databases.is_empty() {
            let text = format!("{} has none of Trivy's databases", self.bundle.display());
            return Err(Failure::text(Code::Incomplete, text).hint(
                "list ghcr.io/aquasecurity/trivy-db:2 and ghcr.io/aquasecurity/trivy-java-db:1 in bundle.yaml",
            ));
        }
        output::report(&FileReport { text: databases.values(&self.to.registry) })
    }
}
