//! Docker Hub's limit on pulls. Takes the registry behind it and how many pulls are left; counts as the Hub
//! counts, says so in every answer, and refuses when nothing is left.

use std::io;
use std::ops::Deref;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use super::access::Asked;
use crate::client::Client;
use crate::fault_proxy::FaultProxy;
use crate::http::{RequestHead, Response};

/// Six hours, in seconds.
const WINDOW: u64 = 21_600;

/// A registry with the Hub's limit.
pub struct DockerHub {
    front: FaultProxy,
    left: Arc<AtomicU64>,
}

impl DockerHub {
    /// Lets so many more pulls through, as the passing of time does.
    pub fn allow(&self, pulls: u64) {
        self.left.fetch_add(pulls, Ordering::SeqCst);
    }

    /// Pulls that are left.
    pub fn left(&self) -> u64 {
        self.left.load(Ordering::SeqCst)
    }
}

impl Deref for DockerHub {
    type Target = FaultProxy;

    fn deref(&self) -> &FaultProxy {
        &self.front
    }
}

/// Docker Hub's limit in front of a registry: a GET of a manifest is a pull, by tag or by digest; a HEAD, a
/// blob and a list are not (docs.docker.com "Docker Hub pull usage and limits"; camallo/dkregistry-rs#201).
/// `ratelimit-limit` and `ratelimit-remaining` come with every manifest, as `curl --head
/// …/ratelimitpreview/test/manifests/latest` shows them (docker/docs, content/manuals/docker-hub/usage). When
/// none is left a GET is 429 TOOMANYREQUESTS, with `Retry-After` if it is given, in seconds.
///
/// # Errors
///
/// When no port can be had.
pub fn docker_hub(upstream: &str, pulls: u64, retry_after: Option<u64>) -> io::Result<DockerHub> {
    let front = FaultProxy::start(upstream)?;
    let left = Arc::new(AtomicU64::new(pulls));
    let registry = Client::new(upstream);
    let counted = Arc::clone(&left);
    front.answer_with(move |head| {
        Asked::of(head).filter(|asked| asked.noun == "manifests" && Asked::action(head) == "pull")?;
        if head.method == "GET" {
            let one_less =
                counted.fetch_update(Ordering::SeqCst, Ordering::SeqCst, |left| left.checked_sub(1));
            if one_less.is_err() {
                return Some(refusal(pulls, retry_after));
            }
        }
        let answer = forwarded(&registry, head)?;
        Some(limits(answer, pulls, counted.load(Ordering::SeqCst)))
    });
    Ok(DockerHub { front, left })
}

fn refusal(pulls: u64, retry_after: Option<u64>) -> Response {
    let message =
        "You have reached your unauthenticated pull rate limit. https://www.docker.com/increase-rate-limit";
    let response = limits(Response::error(429, "TOOMANYREQUESTS", message), pulls, 0);
    match retry_after {
        Some(seconds) => response.with_header("Retry-After", &seconds.to_string()),
        None => response,
    }
}

fn limits(response: Response, pulls: u64, left: u64) -> Response {
    response
        .with_header("ratelimit-limit", &format!("{pulls};w={WINDOW}"))
        .with_header("ratelimit-remaining", &format!("{left};w={WINDOW}"))
        .with_header("docker-ratelimit-source", "192.0.2.7")
}

/// The registry's own answer. A HEAD has no body here, so its length is that of the manifest.
fn forwarded(registry: &Client, head: &RequestHead) -> Option<Response> {
    let accept: Vec<(&str, &str)> =
        head.headers.iter().filter(|(name, _)| name.eq_ignore_ascii_case("accept")).collect();
    // A manifest is asked for whole either way: the proxy leaves the body of a HEAD out and keeps its length.
    registry.request("GET", &head.path_and_query, &accept, b"").ok()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{DockerRegistry, ImageSpec};

    #[test]
    fn the_hub_counts_what_is_fetched_and_not_what_is_looked_for() {
        let registry = DockerRegistry::start().unwrap();
        let image = ImageSpec::oci().build();
        registry.client().push("library/a", "1", &image).unwrap();
        let hub = docker_hub(registry.host(), 2, Some(7)).unwrap();
        let client = Client::new(hub.host());
        let path = "/v2/library/a/manifests/1";
        let head = client.head(path).unwrap();
        assert_eq!((head.status, head.header("docker-content-digest")), (200, Some(image.digest.as_str())));
        assert_eq!(head.header("content-length"), Some(image.bytes.len().to_string().as_str()));
        assert_eq!(head.header("ratelimit-limit"), Some("2;w=21600"));
        assert_eq!(head.header("ratelimit-remaining"), Some("2;w=21600"));
        assert_eq!(client.get(path).unwrap().header("ratelimit-remaining"), Some("1;w=21600"));
        client.get(&format!("/v2/library/a/manifests/{}", image.digest)).unwrap();
        assert_eq!(client.get("/v2/library/a/tags/list").unwrap().status, 200);
        let refused = client.get(path).unwrap();
        assert_eq!((refused.status, refused.header("retry-after")), (429, Some("7")));
        assert!(refused.text().contains("TOOMANYREQUESTS"));
        assert_eq!(client.head(path).unwrap().status, 200);
        hub.allow(1);
        assert_eq!(client.get(path).unwrap().status, 200);
        assert_eq!(hub.left(), 0);
    }
}
