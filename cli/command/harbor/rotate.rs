//! `harbor rotate`: gives accounts new secrets.
//! Takes harbor.yaml and the accounts' names; gives secrets to the places that bootstrap uses.

use std::collections::BTreeSet;

use bundle_oci::ProjectName;
use bundle_report::{RotateReport, RotatedAccount};
use bundle_site::{Purpose, rotate};

use super::Place;
use super::bootstrap::{Secrets, delivered};
use crate::exit::{Code, Failure};
use crate::output;

#[derive(clap::Args)]
pub(crate) struct Rotate {
    /// Account: `importer`, or a project for its pull account
    #[arg(value_name = "importer|PROJECT", required = true)]
    accounts: Vec<String>,

    #[command(flatten)]
    place: Place,

    #[command(flatten)]
    secrets: Secrets,
}

/// Where `bundle mirror-config` puts the password of the nodes' account.
const NODE_FILES: &str = "/etc/rancher/k3s/registries.yaml, /etc/rancher/rke2/registries.yaml, \
     /etc/containerd/certs.d/*/hosts.toml, /etc/crio/bundle-mirror-auth.json";

impl Rotate {
    pub(crate) async fn run(self) -> Result<(), Failure> {
        let settings = self.place.settings()?;
        let mut wanted = Vec::new();
        for account in self.accounts.iter().collect::<BTreeSet<_>>() {
            if account == "importer" {
                wanted.push((settings.robots.importer.clone(), Purpose::Importer));
                continue;
            }
            let project: ProjectName = account
                .parse()
                .map_err(|error| Failure::text(Code::Usage, format!("'{account}': {error}")))?;
            let namespaces = settings.wanted(&project).namespaces;
            let name = format!("{}{project}", settings.robots.pull_prefix);
            if namespaces.is_empty() && project.is_cache() {
                wanted.push((name, Purpose::Nodes));
                continue;
            }
            if namespaces.is_empty() {
                return Err(Failure::text(Code::Usage, format!("the project {project} has no pull account"))
                    .hint("give it 'namespaces' in harbor.yaml, and run `bundle harbor bootstrap`"));
            }
            wanted.push((name, Purpose::Pull { project, namespaces }));
        }
        let (harbor, progress) = self.place.connect("rotating").await?;
        let places = self.secrets.places(&self.place.to.registry, &settings)?;
        let mut accounts = Vec::new();
        for (name, purpose) in wanted {
            let place = rotate(&harbor, &name, &purpose, &places).await?;
            if purpose == Purpose::Nodes {
                progress.note(&format!("nodes still have {name}'s old password, which no longer works: make their files again with `bundle mirror-config --credentials`, and copy them ({NODE_FILES})"));
            }
            let step = RotateReport { accounts: vec![RotatedAccount { name, secret: delivered(&place) }] };
            // People see each at once: the old secret no longer works.
            if !output::is_json() {
                output::report(&step)?;
            }
            accounts.extend(step.accounts);
        }
        if output::is_json() {
            output::report(&RotateReport { accounts })?;
        }
        Ok(())
    }
}
