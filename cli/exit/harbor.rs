//! Projects, accounts and values of a Harbor.
//! Takes findings and the errors of `site`, gives identifiers and hints.

use bundle_chart::{IngressError, OverlayError, RenderError};
use bundle_handout::ValuesError;
use bundle_importer::{Finding, PrepareError};
use bundle_oci::{Printable, ProjectName};
use bundle_site::{BootstrapError, ConnectError, HarborFileError, RescanError};

use super::chart::load_id;
use super::registry::{registry_hint, registry_id};
use super::{Failure, Id, chain};
use crate::size::Bytes;

/// The remedy for a finding.
pub(crate) fn advice(finding: &Finding, host: &str) -> String {
    match finding {
        Finding::Nobody => {
            "give an account with --credentials FILE, or in BUNDLE_USERNAME and BUNDLE_PASSWORD".to_owned()
        }
        Finding::NoAdministrator => {
            "give the account of an administrator, for this once, with --credentials FILE, or in BUNDLE_USERNAME and BUNDLE_PASSWORD".to_owned()
        }
        Finding::ReadOnly => {
            "wait until the maintenance is over, or have an administrator turn it off (Configuration, System Settings)"
                .to_owned()
        }
        Finding::ProxyCache { project } => format!(
            "give the proxy cache another name; then an administrator makes a plain project: bundle harbor bootstrap --to {host} --project {project}"
        ),
        Finding::Hidden { project } | Finding::MayNotCreate { project } => bootstrap(host, project),
        Finding::MissingRights { project, lacks_pull, .. } => {
            // Harbor's common/security/robot: only a robot of a single project may pull where it may push.
            let why = if *lacks_pull { "the right to push does not include the right to pull, which is needed too; " } else { "" };
            format!("{why}{}", bootstrap(host, project))
        }
        Finding::MayNotReconcile { project, .. } => format!(
            "have an administrator run: bundle harbor bootstrap --to {host} --project {project}; or keep it as it is with 'existingProjects: leave' in harbor.yaml"
        ),
        Finding::Quota { project, used, needed, .. } => format!(
            "raise the quota of {project} to {} or more, in Harbor or with 'quota' in harbor.yaml; or try it with --ignore-quota",
            Bytes(used.saturating_add(*needed))
        ),
        Finding::Immutable { .. } => {
            "give the image another tag on the connected side, or leave it out with --on-existing-tag skip".to_owned()
        }
        Finding::Conflict { .. } => {
            "move the tags with --on-existing-tag overwrite, or leave them with --on-existing-tag skip".to_owned()
        }
    }
}

fn bootstrap(host: &str, project: &ProjectName) -> String {
    format!("have an administrator run: bundle harbor bootstrap --to {host} --project {project}")
}

impl From<ConnectError> for Failure {
    fn from(error: ConnectError) -> Self {
        match error {
            ConnectError::Registry(error) => error.into(),
            ConnectError::NoHarbor { .. } => Self::new(Id::Usage, &error)
                .hint("if it is a Harbor nevertheless, use --registry-kind harbor"),
            ConnectError::Path { .. } => {
                Self::new(Id::Usage, &error).hint("leave the path out: the projects are in the bundle")
            }
        }
    }
}

impl From<HarborFileError> for Failure {
    fn from(error: HarborFileError) -> Self {
        Self::new(Id::FileInvalid, &error)
    }
}

impl From<PrepareError> for Failure {
    fn from(error: PrepareError) -> Self {
        let again = "nothing was pushed yet; run the same command again to resume";
        match &error {
            PrepareError::Refused { source, .. } => {
                let hint = registry_hint(source).unwrap_or_else(|| again.to_owned());
                Self { id: registry_id(source), lines: vec![chain(&error)], hint: Some(hint) }
            }
            PrepareError::NotKept { .. } => Self::new(Id::RegistryBroken, &error).hint(again),
            PrepareError::Rights { project, .. } => Self::new(Id::MissingRights, &error).hint(format!(
                "have an administrator run `bundle harbor bootstrap --project {project}`, which gives the importer's account its rights"
            )),
            PrepareError::ProxyCache(_) => {
                Self::new(Id::Policy, &error).hint("another run has just created it; choose another name")
            }
        }
    }
}

impl From<RescanError> for Failure {
    fn from(error: RescanError) -> Self {
        match error {
            RescanError::Registry(error) => error.into(),
            RescanError::Forbidden => Self::new(Id::MissingRights, &error)
                .hint("use the importer's account, or that of an administrator"),
        }
    }
}

impl From<BootstrapError> for Failure {
    fn from(error: BootstrapError) -> Self {
        match error {
            BootstrapError::Prepare(error) => error.into(),
            BootstrapError::File(error) => error.into(),
            BootstrapError::Robot { ref source, .. } => {
                let again = "run the same command again to resume";
                let hint = registry_hint(source).unwrap_or_else(|| again.to_owned());
                Self { id: registry_id(source), lines: vec![chain(&error)], hint: Some(hint) }
            }
            BootstrapError::System(ref source) => {
                let hint = registry_hint(source).unwrap_or_else(|| "run the same command again".to_owned());
                Self { id: registry_id(source), lines: vec![chain(&error)], hint: Some(hint) }
            }
            BootstrapError::NoRobot(_) => {
                Self::new(Id::Usage, &error).hint("create it with `bundle harbor bootstrap`")
            }
            BootstrapError::Random(_) => Self::new(Id::Failed, &error),
            BootstrapError::Kubectl { ref path, replaced, .. } => {
                let path = path.display();
                let hint = match replaced {
                    true => format!("the old secret no longer works; run: kubectl apply -f {path}"),
                    false => format!("if its namespace is missing, create it; then run the same command again, or: kubectl apply -f {path}"),
                };
                Self::new(Id::CommandFailed, &error).hint(hint)
            }
            BootstrapError::Dead(ref path) => Self::new(Id::Credentials, &error).hint(format!(
                "the account is disabled or expired, or got another secret elsewhere: remove {}, or make a new one with `bundle harbor rotate`",
                path.display()
            )),
            BootstrapError::Unreadable(_) => Self::new(Id::FileInvalid, &error),
            BootstrapError::Other { ref path, .. } => Self::new(Id::FileInvalid, &error)
                .hint(format!("move {} away, or name another directory with --secrets", path.display())),
            BootstrapError::Several(errors) => {
                let failures = errors.into_iter().map(Self::from);
                failures.reduce(Self::and).unwrap_or_else(|| Self::text(Id::Failed, "nothing was applied"))
            }
        }
    }
}

impl From<ValuesError> for Failure {
    fn from(error: ValuesError) -> Self {
        let failure = |id| Self::new(id, &error);
        match error {
            ValuesError::Extract(error) => error.into(),
            ValuesError::NoChart { .. } => failure(Id::ImageMissing).hint(
                "name one of those with --chart; or list it in bundle.yaml, below charts, so that it is carried with its images",
            ),
            ValuesError::SecretTaken { .. } => {
                failure(Id::ChartInput).hint("choose another name with --pull-secret, and make the secret under it")
            }
            ValuesError::SeveralCharts(_) => failure(Id::Usage).hint("choose one with --chart NAME:VERSION"),
            ValuesError::Load(ref error) => failure(load_id(&error.cause)),
            ValuesError::Overlay(ref cause) | ValuesError::Ingress(IngressError::Overlay(ref cause)) => {
                let hint = match cause {
                    OverlayError::Render(RenderError::Template { wanted: Some(value), .. }) => {
                        Some(format!("give the chart that value: --set {}=…", Printable(value)))
                    }
                    OverlayError::Render(RenderError::KubeVersion { wanted, .. }) => {
                        Some(format!("say for which Kubernetes it is: --kube-version, within {}", Printable(wanted)))
                    }
                    OverlayError::Render(RenderError::Library) => {
                        Some("name the charts that use it instead".to_owned())
                    }
                    OverlayError::Render(_) | OverlayError::Trials(_) | OverlayError::Limit(_) => None,
                };
                Self { hint, ..failure(Id::ChartInput) }
            }
            ValuesError::Ingress(IngressError::None) => {
                failure(Id::ChartInput).hint("switch it on with -f or --set, or leave --ingress-host out")
            }
            ValuesError::Ingress(IngressError::Several(_) | IngressError::NoValue(_)) => {
                failure(Id::ChartInput).hint("give the hosts with -f or --set, and leave --ingress-host out")
            }
            ValuesError::Absent { .. } => failure(Id::ImageMissing).hint(
                "name the bundle that has them too; or carry them: give the chart in bundle.yaml the values that you give it here",
            ),
            ValuesError::Unmapped { .. } => failure(Id::Incomplete).hint(
                "with --keep-unmapped they keep their names, and nodes find them by `bundle mirror-config`; with --kustomization FILE, kustomize replaces them in what Helm renders",
            ),
        }
    }
}
