//! Errors of the checks of a site.
//! Takes troubles and reasons, gives identifiers and hints.

use bundle_registry::{CertificateProblem, Error as RegistryError};
use bundle_site::{CheckName, KubectlError, Skipped, Trouble};

use super::registry::{registry_hint, registry_id};
use super::{Failure, Id, advice, chain};
use crate::destination::what_is_wrong;
use crate::output::name;

/// Where time servers are, for people behind a gap.
const SET_THE_CLOCK: &str =
    "set the clock of this machine (`timedatectl`; `chronyc tracking`), from a time server of the site";

impl Failure {
    /// The error of a check at `host`.
    pub(crate) fn trouble(trouble: Trouble, host: &str) -> Self {
        let failure = |id: Id, trouble: &Trouble| Self::new(id, trouble);
        match trouble {
            Trouble::Registry(error) => error.into(),
            Trouble::Unanswered(_) => failure(Id::Unreachable, &trouble).hint(format!(
                "is {host} the right machine, does it run, and does a firewall between let its port through?"
            )),
            Trouble::Partly(_) => failure(Id::Unreachable, &trouble).hint(format!(
                "take the addresses that do not answer out of the site's DNS or /etc/hosts, or bring them up: one of so many tries for {host} fails"
            )),
            Trouble::Certificate { ref error, .. } => {
                let mut hint = registry_hint(error).unwrap_or_default();
                if let RegistryError::Certificate {
                    problem: CertificateProblem::Expired | CertificateProblem::NotYetValid,
                    ..
                } = error
                {
                    hint = format!("if the time is wrong here, {SET_THE_CLOCK}; otherwise give {host} a new certificate");
                }
                Self { id: registry_id(error), lines: vec![trouble.to_string()], hint: Some(hint) }
            }
            Trouble::Ends { .. } => failure(Id::Certificate, &trouble)
                .hint(format!("give {host} a new certificate before: nodes and jobs stop pulling and pushing with it")),
            Trouble::Clock { .. } => failure(Id::Clock, &trouble).hint(format!("{SET_THE_CLOCK}; or that of {host}")),
            Trouble::Version { .. } => failure(Id::RegistryBroken, &trouble)
                .hint("import a small bundle with --dry-run first, and read what it says"),
            Trouble::Unhealthy(_) => failure(Id::Unhealthy, &trouble).hint(
                "kubectl -n harbor get pods, and kubectl -n harbor logs of the pod of the component; just after a start, wait a minute",
            ),
            Trouble::Finding(ref finding) => {
                let hint = advice(finding, host);
                Self { hint: Some(hint), lines: vec![what_is_wrong(finding)], ..Self::findings(std::slice::from_ref(finding), host) }
            }
            Trouble::Exceptions { .. } => failure(Id::Drift, &trouble)
                .hint("have their owners renew or remove them in harbor.yaml, then run bundle harbor bootstrap"),
            Trouble::Undone(_) => failure(Id::Drift, &trouble)
                .hint("run bundle harbor bootstrap with an administrator's account, which sets what harbor.yaml says"),
            Trouble::Room { .. } => failure(Id::NoSpace, &trouble).hint("make room, or use a larger disk"),
            Trouble::RequestSize(_) => failure(Id::RegistryRefused, &trouble).hint(format!(
                "have the size of a request allowed by {host} and by each proxy before it (nginx: client_max_body_size 0; \
                 ingress-nginx: nginx.ingress.kubernetes.io/proxy-body-size: \"0\")"
            )),
            Trouble::RequestTime { ref source, .. } => {
                let hint = "raise the timeout of the ingress or load balancer before the registry (Traefik: \
                            entryPoints.websecure.transport.respondingTimeouts.readTimeout; nginx: client_body_timeout, \
                            proxy_send_timeout); imports send in pieces meanwhile, which is slower";
                Self { id: registry_id(source), lines: vec![chain(&trouble)], hint: Some(hint.to_owned()) }
            }
            Trouble::Unreadable { .. } => failure(Id::FileUnreadable, &trouble),
            Trouble::Open { ref path, .. } => {
                failure(Id::FileOpenToAll, &trouble).hint(format!("chmod 600 {}", name(path)))
            }
            Trouble::Store(error) => error.into(),
            Trouble::TooFewKeys { .. } => failure(Id::NoTrustedKey, &trouble)
                .hint("`bundle trust list` shows their times; `bundle trust add KEY.pub --name NAME` adds one, `bundle trust accept` takes a rotation"),
            Trouble::KeyEnds { .. } => failure(Id::KeyScope, &trouble)
                .hint("have the connected side sign a rotation to the next key (`bundle trust rotate`) before"),
            Trouble::Kubectl(ref error) => {
                let hint = match error {
                    KubectlError::Start(_) => "install kubectl, or on a K3s server link it: ln -s k3s /usr/local/bin/kubectl",
                    KubectlError::TooMuch(_) => "does `kubectl` name the program itself here, and no script that prints more?",
                    KubectlError::Io(_) | KubectlError::Slow(_) | KubectlError::Failed(_) => {
                        "does `kubectl get namespaces` work here? KUBECONFIG names the file with the cluster's address and account; K3s writes /etc/rancher/k3s/k3s.yaml"
                    }
                };
                failure(Id::CommandFailed, &trouble).hint(hint)
            }
            Trouble::NoNamespace(ref namespace) => failure(Id::PullSecret, &trouble)
                .hint(format!("kubectl create namespace {namespace}, if the tenant is in this cluster")),
            Trouble::NoSecret => failure(Id::PullSecret, &trouble).hint(
                "kubectl apply -f harbor-secrets/NAME.yaml, which `bundle harbor bootstrap` wrote; if the file is lost, `bundle harbor rotate NAME` writes it anew",
            ),
            Trouble::SecretType(_) | Trouble::SecretHost { .. } | Trouble::NoObject => failure(Id::PullSecret, &trouble)
                .hint("kubectl delete it, and apply that of `bundle harbor bootstrap`; pods that name the registry otherwise: --pull-host, there and here"),
            Trouble::OtherAddress { .. } => failure(Id::UnknownHost, &trouble).hint(
                "one of them is of another time: correct the site's DNS, /etc/hosts of the nodes, or coredns-custom in kube-system",
            ),
            Trouble::PodsDoNotKnow => failure(Id::UnknownHost, &trouble)
                .hint(format!("name {host} in the ConfigMap coredns-custom in kube-system, or in the site's DNS")),
            Trouble::NodeFile(_) => failure(Id::NodeDeviates, &trouble)
                .hint("write the files anew with `bundle mirror-config -o DIR`, copy them to the node, and restart its container runtime"),
        }
    }
}

/// The option with which a skipped check runs.
pub(crate) fn how_to_run(check: CheckName, why: &Skipped) -> Option<&'static str> {
    match (check, why) {
        (_, Skipped::NoAccount) => {
            Some("give an account with --credentials FILE, or in BUNDLE_USERNAME and BUNDLE_PASSWORD")
        }
        (CheckName::RequestTime, Skipped::NotAsked) => {
            Some("--ingress-time 120 holds an upload open for 120 seconds")
        }
        (CheckName::Node, Skipped::NotAsked) => Some("--root / needs --to and --bundle FILE"),
        _ => None,
    }
}
