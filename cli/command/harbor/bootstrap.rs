//! `harbor bootstrap`: makes projects, robot accounts and their secrets.
//! Takes harbor.yaml and bundles; gives the steps, and secrets to files or the cluster.

use std::path::PathBuf;

use bundle_format::Timestamp;
use bundle_oci::Registry;
use bundle_registry::Error;
use bundle_report::{BootstrapReport, RobotStep as RobotEntry, SecretStep};
use bundle_site::{
    BootstrapPlan, HarborSettings, Purpose, RobotChange, RobotStep, SecretDelivery, SecretPlace,
    SecretPlaces, bootstrap, expired,
};

use super::{Place, Projects};
use crate::command::print;
use crate::destination;
use crate::exit::{Code, Failure};
use crate::output;

#[derive(clap::Args)]
pub(crate) struct Bootstrap {
    #[command(flatten)]
    place: Place,

    #[command(flatten)]
    projects: Projects,

    #[command(flatten)]
    secrets: Secrets,

    /// Print the plan, and write nothing
    #[arg(long)]
    dry_run: bool,
}

/// Where secrets go.
#[derive(clap::Args)]
pub(crate) struct Secrets {
    /// Directory for credential files and Kubernetes secrets; only their owner can read them
    #[arg(long, value_name = "DIR", default_value = "harbor-secrets")]
    secrets: PathBuf,

    /// Apply Kubernetes secrets with `kubectl apply` instead of writing files
    #[arg(long)]
    apply: bool,

    /// Harbor's host for pods [default: that of --to]
    #[arg(long, value_name = "HOST[:PORT]")]
    pull_host: Option<Registry>,
}

impl Secrets {
    pub(crate) fn places<'a>(
        &'a self,
        host: &'a Registry,
        settings: &'a HarborSettings,
    ) -> Result<SecretPlaces<'a>, Failure> {
        bundle_os::create_directory(&self.secrets, bundle_os::Access::Owner).map_err(|error| {
            Failure::text(Code::Usage, format!("{} cannot be made: {error}", self.secrets.display()))
        })?;
        Ok(SecretPlaces {
            directory: &self.secrets,
            host: self.pull_host.as_ref().unwrap_or(host),
            delivery: if self.apply { SecretDelivery::Kubectl } else { SecretDelivery::File },
            harbor_namespace: &settings.harbor_namespace,
        })
    }
}

/// Where a secret went.
pub(crate) fn delivered(delivered: &SecretPlace) -> SecretStep {
    match delivered {
        SecretPlace::File(path) => {
            SecretStep { file: Some(path.display().to_string()), namespaces: Vec::new(), names: Vec::new() }
        }
        SecretPlace::Cluster(namespaces) => SecretStep {
            file: None,
            namespaces: namespaces.keys().map(|namespace| namespace.as_str().to_owned()).collect(),
            names: namespaces.values().map(|&name| name.to_owned()).collect(),
        },
    }
}

impl Bootstrap {
    pub(crate) async fn run(self) -> Result<(), Failure> {
        let settings = self.place.settings()?;
        let projects = self.projects.names(&settings)?;
        let (harbor, progress) = self.place.connect("setting up").await?;
        let (now, jobs) = (Timestamp::now().unix(), self.place.connection.jobs());
        let plan = BootstrapPlan::new(&harbor, &settings, &projects, now, jobs).await?;
        if !plan.findings.is_empty() {
            return Err(Failure::findings(&plan.findings, self.place.host()));
        }
        for project in plan.without_namespace(&settings) {
            progress.note(&format!(
                "the name of the project {project} is not a valid namespace, so it gets no pull account; give it 'namespaces' in harbor.yaml"
            ));
        }
        for note in expired(&settings, plan.live.projects.iter().map(|(name, _)| name), Timestamp::now()) {
            progress.note(&note.to_string());
        }
        let mut report = BootstrapReport {
            projects: plan
                .reconcile
                .projects
                .iter()
                .map(|step| destination::project(&step.outlook()))
                .collect(),
            system_exceptions: plan.system.as_ref().map(ToString::to_string),
            robots: plan.robots.iter().map(robot).collect(),
            secrets: Vec::new(),
            written: !self.dry_run,
        };
        if self.dry_run {
            return output::report(&report);
        }
        // People see what is going to be done before it is, and each secret as soon as it is written.
        let people = !output::is_json();
        if people {
            print(&report.plan_text())?;
        }
        let places = self.secrets.places(&self.place.to.registry, &settings)?;
        let mut printed = Ok(());
        let told = |_: &RobotStep, place: &SecretPlace| {
            let step = delivered(place);
            if people {
                let first = report.secrets.is_empty();
                let head = if first { "secrets, which Harbor never shows again\n" } else { "" };
                let now = print(&format!("{head}{}", step.text()));
                printed = std::mem::replace(&mut printed, Ok(())).and(now);
            }
            report.secrets.push(step);
        };
        let client_as = |user: &str, secret: &str| {
            let client = self.place.client_as(user, secret, &progress);
            client.map_err(|failure| Error::Source(std::io::Error::other(failure.said())))
        };
        let done = bootstrap(&harbor, &plan, &settings, &places, &client_as, told).await;
        // Written files are reported even if the rest failed.
        if !people {
            output::report(&report)?;
        }
        done?;
        printed
    }
}

fn robot(step: &RobotStep) -> RobotEntry {
    let word = match &step.change {
        RobotChange::Create => "create",
        RobotChange::Update(_) => "change",
        RobotChange::Keep(_) => "keep",
    };
    let projects = |action: &str| {
        let mut names: Vec<&str> = step
            .spec
            .permissions
            .iter()
            .filter(|permission| permission.resource == "repository" && permission.action == action)
            .filter_map(|permission| Some(permission.project.as_ref()?.as_str()))
            .collect();
        names.dedup();
        names.join(", ")
    };
    let mut purpose = match &step.purpose {
        Purpose::Importer => format!("imports bundles into {}", projects("push")),
        Purpose::Nodes => format!("pulls for nodes from {}", projects("pull")),
        Purpose::Pull { .. } => format!("pulls from {}", projects("pull")),
    };
    if let RobotChange::Update(robot) | RobotChange::Keep(robot) = &step.change {
        if robot.disabled {
            purpose.push_str("; it is disabled");
        }
        if let Some(end) = Timestamp::from_unix(robot.expires_at).ok().filter(|_| robot.days != -1)
            && matches!(step.change, RobotChange::Keep(_))
        {
            purpose.push_str(&format!("; ends {end}"));
        }
    }
    RobotEntry { name: step.spec.name.clone(), change: word.to_owned(), purpose }
}
