//! Artifactory, which forbids what does not exist. Takes the registry behind it, the key of the one repository
//! that it has, and an account.

use std::io;

use super::access::{Asked, basic_challenge, is_user};
use crate::client::Client;
use crate::fault_proxy::FaultProxy;
use crate::http::Response;

/// Artifactory's Docker API by repository path in front of a registry. An absent manifest is 403 with the code
/// UNAUTHORIZED, for GET and HEAD (sigstore/cosign#2973 has the answer; google/go-containerregistry#1691); a path
/// whose first part is no repository key is 404 (jfrog/charts#908).
///
/// # Errors
///
/// When no port can be had.
pub fn artifactory(upstream: &str, key: &str, user: &str, password: &str) -> io::Result<FaultProxy> {
    let front = FaultProxy::start(upstream)?;
    let registry = Client::new(upstream);
    let (key, user, password) = (key.to_owned(), user.to_owned(), password.to_owned());
    front.answer_with(move |head| {
        if !is_user(head, &user, &password) {
            return Some(basic_challenge("Artifactory Realm"));
        }
        let asked = Asked::of(head)?;
        if asked.repository.split_once('/').is_none_or(|(first, _)| first != key) {
            return Some(Response::error(404, "NAME_UNKNOWN", "Not Found"));
        }
        if asked.noun != "manifests" || Asked::action(head) != "pull" {
            return None;
        }
        let there = registry.head(&head.path_and_query).ok()?.status != 404;
        let message = format!(
            "The client does not have permission for manifest: Download request for repo:path '{}/{}/list.manifest.json' is forbidden for user: '{user}'.",
            asked.repository.replacen('/', ":", 1),
            asked.rest
        );
        (!there).then(|| Response::error(403, "UNAUTHORIZED", &message))
    });
    Ok(front)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{DockerRegistry, ImageSpec};

    #[test]
    fn an_absent_tag_is_forbidden_and_a_push_below_the_key_is_not() {
        let registry = DockerRegistry::start().unwrap();
        let front = artifactory(registry.host(), "docker-local", "ci", "s3cret").unwrap();
        let anyone = Client::new(front.host());
        assert!(anyone.get("/v2/").unwrap().header("www-authenticate").unwrap().starts_with("Basic"));
        let client = anyone.with_basic("ci", "s3cret");
        let absent = client.get("/v2/docker-local/app/manifests/1").unwrap();
        assert_eq!(absent.status, 403);
        assert!(absent.text().contains("'docker-local:app/1/list.manifest.json'"), "{}", absent.text());
        let image = ImageSpec::oci().build();
        client.push("docker-local/app", "1", &image).unwrap();
        assert_eq!(client.head("/v2/docker-local/app/manifests/1").unwrap().status, 200);
        assert!(client.push("app", "1", &image).is_err());
    }
}
