//! Registries' answers and connections.
//! Takes the errors of the client, gives identifiers and hints.

use bundle_oci::{ManifestError, Printable, Registry};
use bundle_registry::{
    AddressError, CertificateProblem, CredentialError, Error as RegistryError, ProxyProblem, Refusal,
};

use super::{Failure, Id, chain};
use crate::output::name;

/// For a manifest of a kind that no registry takes any more.
pub(super) const SCHEMA_1: &str = "pull the image and push it again with a current tool";

/// Which of the registry's answers, or what on the way to it, is to blame.
pub(super) fn registry_id(error: &RegistryError) -> Id {
    match error {
        RegistryError::Answer(answer) => match answer.refusal() {
            Refusal::Quota => Id::Quota,
            Refusal::ReadOnly => Id::ReadOnly,
            Refusal::Unauthorized | Refusal::Denied => Id::Unauthorized,
            Refusal::NotFound => Id::NotFound,
            Refusal::RateLimited => Id::RateLimited,
            Refusal::MissingContent
            | Refusal::ImmutableTag
            | Refusal::Rule
            | Refusal::TooLarge
            | Refusal::ServerError
            | Refusal::Invalid => Id::RegistryRefused,
        },
        RegistryError::Foreign { last, .. } => registry_id(last),
        RegistryError::Source(_) => Id::FileSystem,
        RegistryError::Interrupted | RegistryError::Setup(_) | RegistryError::Certificates(_) => Id::Failed,
        RegistryError::Credentials(_) => Id::Credentials,
        RegistryError::Address { .. }
        | RegistryError::HostCertificates { .. }
        | RegistryError::Path { .. } => Id::Usage,
        RegistryError::Blocked { .. } => Id::Blocked,
        RegistryError::Unreachable { .. }
        | RegistryError::Slow { .. }
        | RegistryError::Cut { .. }
        | RegistryError::Stalled { .. } => Id::Unreachable,
        RegistryError::UnknownHost { .. } => Id::UnknownHost,
        RegistryError::Proxy { .. } => Id::Proxy,
        RegistryError::Handshake { .. } | RegistryError::Certificate { .. } => Id::Certificate,
        RegistryError::PlainHttp { .. } | RegistryError::HttpsOnly { .. } => Id::PlainHttp,
        RegistryError::Withheld { .. } => Id::Unauthorized,
        RegistryError::WebPage { .. }
        | RegistryError::Unusable { .. }
        | RegistryError::NotARegistry { .. }
        | RegistryError::Misbehaved { .. }
        | RegistryError::Redirect { .. }
        | RegistryError::Realm { .. }
        | RegistryError::LayerAddress { .. }
        | RegistryError::FileSize { .. }
        | RegistryError::Manifest { .. }
        | RegistryError::WrongContent { .. } => Id::RegistryBroken,
    }
}

pub(super) fn registry_hint(error: &RegistryError) -> Option<String> {
    match error {
        RegistryError::Address { address, why: AddressError::Plain } => {
            let host = address.split('/').nth(2).unwrap_or_default();
            Some(format!("if plain HTTP is intended, allow it with --plain-http {}", Printable(host)))
        }
        RegistryError::Certificate { host, problem } => match problem {
            CertificateProblem::UnknownIssuer => {
                Some("give the certificate of the registry's authority with --ca-file FILE".to_owned())
            }
            CertificateProblem::NoAuthorities => Some(
                "install the package ca-certificates, or give the certificate of the registry's authority with --ca-file FILE"
                    .to_owned(),
            ),
            CertificateProblem::SelfSigned => {
                Some(format!("if it is {host}'s own certificate, give that file with --ca-file FILE"))
            }
            CertificateProblem::Expired | CertificateProblem::NotYetValid => Some(format!(
                "check this machine's clock; if it is right, the operator of {host} must renew the certificate"
            )),
            CertificateProblem::WrongName => {
                Some(format!(
                    "ask for {host} by the name that its certificate is for; a captive portal between here and {host} has another name, too"
                ))
            }
            CertificateProblem::Other(_) => None,
        },
        RegistryError::Address { address, why: AddressError::Login } => {
            let host = address.split('@').nth(1).and_then(|rest| rest.split('/').next()).unwrap_or_default();
            Some(format!("put them into a credential file, as `docker login {}` does", Printable(host)))
        }
        RegistryError::Withheld { realm, .. } => {
            Some(format!("store credentials for {} as well, with `docker login`", Printable(realm)))
        }
        RegistryError::HttpsOnly { host } => Some(match host.parse::<Registry>() {
            Ok(registry) if registry.is_loopback() => {
                "give the certificate of the registry's authority with --ca-file FILE: \
                 without one, registries on this machine are asked without encryption"
                    .to_owned()
            }
            _ => format!("leave out --plain-http {host}"),
        }),
        RegistryError::PlainHttp { host } => {
            Some(format!("if plain HTTP is intended, allow it with --plain-http {host}"))
        }
        RegistryError::NotARegistry { host, .. } => {
            Some(format!("is {host} the registry's host and port? It must answer to /v2/"))
        }
        RegistryError::Answer(answer) if answer.refusal() == Refusal::Quota => {
            Some("raise the project's quota, or remove unused artifacts from it".to_owned())
        }
        RegistryError::Answer(answer) if answer.refusal() == Refusal::ReadOnly => {
            Some("wait until the maintenance is over, or have an administrator turn it off".to_owned())
        }
        RegistryError::Answer(answer)
            if answer.host.ends_with(".amazonaws.com") && answer.refusal() == Refusal::NotFound =>
        {
            Some(
                "Amazon ECR makes no repositories for a push; `bundle import FILE --to HOST --list-repositories` \
                 prints the names to create with `aws ecr create-repository --repository-name NAME`"
                    .to_owned(),
            )
        }
        RegistryError::Answer(answer) if answer.refusal() == Refusal::TooLarge => Some(format!(
            "have the size of a request allowed by {} and by each proxy before it (nginx: client_max_body_size 0; \
             ingress-nginx: nginx.ingress.kubernetes.io/proxy-body-size: \"0\")",
            answer.host
        )),
        RegistryError::Answer(answer) if answer.from_token_service && answer.anonymous => Some(format!(
            "{} gives tokens to those who log in only; log in at the registry with `bundle login`",
            answer.host
        )),
        RegistryError::Answer(answer) if answer.from_token_service => Some(format!(
            "{} is the token service, not the registry: is the account allowed to do this, and its password current?",
            answer.host
        )),
        RegistryError::Answer(answer) => match answer.status {
            401 | 403 if answer.anonymous => Some(format!(
                "log in with `bundle login {0}` or `docker login {0}`, or name a file of credentials in REGISTRY_AUTH_FILE",
                answer.host
            )),
            401 => Some(format!("log in again at {}; the password or token may have expired", answer.host)),
            403 => Some("the account lacks a right that this needs".to_owned()),
            404 => Some(
                "check the name; private repositories also answer \"not found\" without login"
                    .to_owned(),
            ),
            429 => Some(format!(
                "log in at {} for a higher limit, wait with --wait-for-limit, and keep what was fetched with --cache DIR",
                answer.host
            )),
            _ => None,
        },
        RegistryError::Unreachable { host, .. } => {
            Some(format!("check the address {host}, and that the registry is running; behind a proxy, set HTTPS_PROXY"))
        }
        RegistryError::Foreign { .. } => Some(
            "the layer is marked non-distributable: have its address reached from here (behind a proxy, set HTTPS_PROXY), \
             or leave such layers out: without --include-foreign, or with foreignLayers: leave for this image"
                .to_owned(),
        ),
        RegistryError::UnknownHost { host, .. } => Some(format!(
            "check the spelling of {host} and this machine's DNS; where only a proxy knows the name, set HTTPS_PROXY"
        )),
        RegistryError::Proxy { proxy, host, problem } => Some(match problem {
            ProxyProblem::Unreachable(_) => format!(
                "check {proxy} in HTTPS_PROXY or HTTP_PROXY; to ask {host} without a proxy, add it to NO_PROXY"
            ),
            ProxyProblem::Credentials => format!(
                "put user and password into the proxy's address, as in http://USER:PASSWORD@{}; a Windows account is DOMAIN\\USER",
                proxy.split("://").nth(1).unwrap_or_default()
            ),
            ProxyProblem::Login => format!(
                "correct user and password in the proxy's address, as in http://USER:PASSWORD@{}; a Windows account is DOMAIN\\USER, \
                 and % is written %25",
                proxy.split("://").nth(1).unwrap_or_default()
            ),
            ProxyProblem::Schemes(_) => format!(
                "proxies are shown Basic logins only: run a local proxy that logs in at {proxy}, such as CNTLM or px, and set \
                 HTTPS_PROXY and HTTP_PROXY to its address, as in http://127.0.0.1:3128; or have {host} exempted from the login"
            ),
            ProxyProblem::Refused => format!(
                "the operator of the proxy must allow {host}; to bypass the proxy, add the host to NO_PROXY"
            ),
        }),
        RegistryError::Handshake { host, .. } => Some(format!(
            "if {host} asks for a client certificate, put client.cert and client.key into /etc/docker/certs.d/{host}/"
        )),
        RegistryError::WebPage { host, .. } => Some(format!(
            "a captive portal, a login page or a proxy may be between here and {host}; open it in a browser, or check the address"
        )),
        RegistryError::Cut { after, .. } => Some(format!(
            "an ingress or load balancer before the registry ends requests after about {} seconds: raise its timeout \
             (Traefik: entryPoints.websecure.transport.respondingTimeouts.readTimeout; nginx: client_body_timeout, \
             proxy_send_timeout), or use a faster line",
            after.as_secs()
        )),
        RegistryError::Manifest { source: ManifestError::Schema1, .. } => Some(SCHEMA_1.to_owned()),
        RegistryError::Slow { .. } => Some("run it again; the received data is kept".to_owned()),
        _ => None,
    }
}

/// The hint for a registry that is read from, of which there may be a mirror.
pub(super) fn source_hint(error: &RegistryError) -> Option<String> {
    let hint = registry_hint(error)?;
    Some(match error {
        RegistryError::Unreachable { .. } => format!("{hint}; where only a mirror is reached, use --mirror"),
        _ => hint,
    })
}

impl From<CredentialError> for Failure {
    fn from(error: CredentialError) -> Self {
        let hint = match &error {
            CredentialError::Open { path, .. } => Some(format!("chmod 600 {}", name(path))),
            CredentialError::NoRegistry { .. } => {
                Some("store the login with `bundle login`, and name its file".to_owned())
            }
            _ => None,
        };
        let id = match &error {
            CredentialError::Open { .. } => Id::FileOpenToAll,
            _ => Id::Credentials,
        };
        Self { id, lines: vec![chain(&error)], hint }
    }
}

impl From<RegistryError> for Failure {
    fn from(error: RegistryError) -> Self {
        Self { id: registry_id(&error), lines: vec![chain(&error)], hint: registry_hint(&error) }
    }
}
