//! Projects, accounts and values of a Harbor.

use bundle_chart::{IngressError, OverlayError, RenderError};
use bundle_handout::ValuesError;
use bundle_importer::{BootstrapError, HarborFileError, SeedError};
use bundle_oci::Printable;

use super::chart::load_code;
use super::registry::{registry_code, registry_hint};
use super::{Code, Failure, chain};

impl From<HarborFileError> for Failure {
    fn from(error: HarborFileError) -> Self {
        Self::new(Code::Usage, &error)
    }
}

impl From<SeedError> for Failure {
    fn from(error: SeedError) -> Self {
        let again = "nothing was pushed yet; run the same command again to go on";
        match &error {
            SeedError::Harbor { source, .. } => {
                let hint = registry_hint(source).unwrap_or_else(|| again.to_owned());
                Self { code: registry_code(source), lines: vec![chain(&error)], hint: Some(hint) }
            }
            SeedError::NotKept { .. } => Self::new(Code::Network, &error).hint(again),
            SeedError::Rights { project, .. } => Self::new(Code::Policy, &error).hint(format!(
                "have an administrator run `bundle harbor bootstrap --project {project}`, which gives the importer's account its rights"
            )),
            SeedError::ProxyCache(_) => {
                Self::new(Code::Policy, &error).hint("someone made it just now; give it another name")
            }
        }
    }
}

impl From<BootstrapError> for Failure {
    fn from(error: BootstrapError) -> Self {
        match error {
            BootstrapError::Seed(error) => error.into(),
            BootstrapError::File(error) => error.into(),
            BootstrapError::Robot { ref source, .. } => {
                let again = "run the same command again to go on";
                let hint = registry_hint(source).unwrap_or_else(|| again.to_owned());
                Self { code: registry_code(source), lines: vec![chain(&error)], hint: Some(hint) }
            }
            BootstrapError::NoRobot(_) => {
                Self::new(Code::Usage, &error).hint("make it with `bundle harbor bootstrap`")
            }
            BootstrapError::Random(_) => Self::new(Code::Failed, &error),
            BootstrapError::Kubectl { ref path, .. } => {
                let hint =
                    format!("the old secret no longer works; run: kubectl apply -f {}", path.display());
                Self::new(Code::Failed, &error).hint(hint)
            }
        }
    }
}

impl From<ValuesError> for Failure {
    fn from(error: ValuesError) -> Self {
        let failure = |code| Self::new(code, &error);
        match error {
            ValuesError::Extract(error) => error.into(),
            ValuesError::NoChart { .. } => failure(Code::Incomplete).hint(
                "name one of those with --chart; or list it in bundle.yaml, below charts, so that it travels with its images",
            ),
            ValuesError::SeveralCharts(_) => failure(Code::Usage).hint("say which with --chart NAME:VERSION"),
            ValuesError::Load(ref error) => failure(load_code(&error.cause)),
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
                Self { hint, ..failure(Code::Usage) }
            }
            ValuesError::Ingress(IngressError::None) => {
                failure(Code::Usage).hint("switch it on with -f or --set, or leave --ingress-host out")
            }
            ValuesError::Ingress(IngressError::Several(_) | IngressError::NoValue(_)) => {
                failure(Code::Usage).hint("give the hosts with -f or --set, and leave --ingress-host out")
            }
            ValuesError::Absent { .. } => failure(Code::Incomplete).hint(
                "name the bundle that has them too; or carry them: give the chart in bundle.yaml the values that you give it here",
            ),
            ValuesError::Unmapped { .. } => failure(Code::Incomplete).hint(
                "with --keep-unmapped they keep their names, and nodes find them by `bundle mirror-config`; with --kustomization FILE, kustomize replaces them in what Helm renders",
            ),
        }
    }
}
