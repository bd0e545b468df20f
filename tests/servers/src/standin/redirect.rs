//! Registries that are a name only: registry.k8s.io, and the names that Scarf keeps for projects.
//! They take the host of the registry behind them, and answer with redirects to it.

use std::io;

use super::access::{Asked, bearer_challenge, own_host};
use crate::fault_proxy::FaultProxy;
use crate::http::{RequestHead, Response};

/// The path below which the registries behind registry.k8s.io have its repositories (`UPSTREAM_REGISTRY_PATH`
/// of kubernetes/registry.k8s.io's deployment).
pub const KUBERNETES_PATH: &str = "k8s-artifacts-prod/images";

/// A correlation identifier of 32 hexadecimal digits, which is all that its tokens are.
const TRACE: &str = "4bf92f3577b34da6a3ce929d0e0e4736";

/// registry.k8s.io in front of a regional registry, after `cmd/archeio/internal/app/handlers.go`
/// (kubernetes/registry.k8s.io at 4c891774): only GET and HEAD; `/v2/` asks for a token that anyone gets;
/// manifests, lists of tags and blobs are 307 to the region, below [`KUBERNETES_PATH`], without the query and
/// with `rid` instead; there is no `_catalog`.
///
/// # Errors
///
/// When no port can be had.
pub fn kubernetes(region: &str) -> io::Result<FaultProxy> {
    let front = FaultProxy::scripted()?;
    let region = region.to_owned();
    front.answer_with(move |head| Some(archeio(head, &region)));
    Ok(front)
}

fn archeio(head: &RequestHead, region: &str) -> Response {
    if !matches!(head.method.as_str(), "GET" | "HEAD") {
        return text(405, "Only GET and HEAD are allowed.\n");
    }
    match head.path() {
        "/v2/" | "/v2" if head.headers.get("authorization").is_some_and(|value| value.ends_with(TRACE)) => {
            Response::new(200).with_header("Docker-Distribution-Api-Version", "registry/2.0")
        }
        "/v2/" | "/v2" => {
            let host = own_host(head);
            bearer_challenge(&format!("http://{host}/token"), host, None)
        }
        "/token" => Response::json(200, format!("{{\"token\":\"{TRACE}\",\"expires_in\":3600}}")),
        "/v2/_catalog" => text(404, "_catalog is not supported\n"),
        path => match path.strip_prefix("/v2/") {
            Some(path) => {
                let place = format!("http://{region}/v2/{KUBERNETES_PATH}/{path}?rid={TRACE}");
                Response::new(307).with_header("Location", &place)
            }
            None => text(404, "404 page not found\n"),
        },
    }
}

/// Whom Scarf redirects.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Agents {
    /// Docker and old containerd, by their `User-Agent`; others get the backend's answers through the gateway.
    Known,
    /// Everyone, as gateways did before they knew agents, and as other vanity names do.
    All,
}

/// A name that Scarf keeps (cr.l5d.io, cr.fluentbit.io, lscr.io), after `src/Scarf/Gateway/Rule/Docker.hs`
/// (scarf-sh/gateway at 1d7fef7d): `/v2/`, manifests, blobs and tags are redirected to the backend with path and
/// query, or passed through with the backend's challenge as it is, whose realm is of the backend
/// (getwud/wud#143); referrers are no rule of it and 404, as is `_catalog`.
///
/// # Errors
///
/// When no port can be had.
pub fn scarf(backend: &str, agents: Agents) -> io::Result<FaultProxy> {
    let front = FaultProxy::start(backend)?;
    let backend = backend.to_owned();
    front.answer_with(move |head| {
        let matched = head.path() == "/v2/" || Asked::of(head).is_some_and(|asked| asked.noun != "referrers");
        if !matched {
            return Some(text(404, "not found\n"));
        }
        let agent = head.headers.get("user-agent").unwrap_or_default();
        let known = agent.starts_with("docker/") || agent.contains("containerd/1.6");
        let place = format!("http://{backend}{}", head.path_and_query);
        (known || agents == Agents::All).then(|| Response::new(302).with_header("Location", &place))
    });
    Ok(front)
}

fn text(status: u16, body: &str) -> Response {
    Response::new(status).with_header("Content-Type", "text/plain; charset=utf-8").with_body(body)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{Client, DockerRegistry, ImageSpec};

    #[test]
    fn kubernetes_asks_for_a_token_and_redirects_all_that_is_of_a_repository() {
        let front = kubernetes("region.example").unwrap();
        let client = Client::new(front.host());
        let challenge = client.get("/v2/").unwrap();
        assert_eq!(challenge.status, 401);
        assert!(challenge.header("www-authenticate").unwrap().contains("/token\""));
        let token = client.get("/token?service=x").unwrap();
        assert!(token.text().contains(TRACE));
        let with = client.clone().with_authorization(&format!("Bearer {TRACE}"));
        assert_eq!(with.get("/v2/").unwrap().status, 200);
        for path in [
            "pause/manifests/3.10",
            "pause/tags/list?n=1000",
            "pause/referrers/sha256:0",
            "pause/blobs/sha256:0",
        ] {
            let answer = client.get(&format!("/v2/{path}")).unwrap();
            assert_eq!(answer.status, 307, "{path}");
            let place = answer.header("location").unwrap();
            assert!(
                place.starts_with("http://region.example/v2/k8s-artifacts-prod/images/pause/"),
                "{place}"
            );
            assert!(place.contains("?rid=") && !place.contains("n=1000"), "{place}");
        }
        assert_eq!(client.get("/v2/_catalog").unwrap().status, 404);
        assert_eq!(client.request("PUT", "/v2/pause/manifests/1", &[], b"").unwrap().status, 405);
    }

    #[test]
    fn scarf_redirects_whom_it_knows_and_serves_the_others_itself() {
        let backend = DockerRegistry::start().unwrap();
        let image = ImageSpec::oci().build();
        backend.client().push("linkerd/proxy", "1", &image).unwrap();
        let front = scarf(backend.host(), Agents::Known).unwrap();
        let client = Client::new(front.host());
        assert_eq!(client.manifest("linkerd/proxy", "1").unwrap().unwrap().digest, image.digest);
        let docker = [("User-Agent", "docker/27.4.0 go/go1.22.10")];
        let answer = client.request("GET", "/v2/linkerd/proxy/manifests/1", &docker, b"").unwrap();
        assert_eq!(answer.status, 302);
        let place = format!("http://{}/v2/linkerd/proxy/manifests/1", backend.host());
        assert_eq!(answer.header("location"), Some(place.as_str()));
        assert_eq!(client.get("/v2/linkerd/proxy/referrers/sha256:0").unwrap().status, 404);
        let all = scarf(backend.host(), Agents::All).unwrap();
        assert_eq!(Client::new(all.host()).get("/v2/").unwrap().status, 302);
    }
}
