//! Nexus with its repositories in the path. Takes the registry behind it, the name of the one repository that it
//! has, and an account.

use std::io;

use super::access::{Asked, basic_challenge, is_user};
use crate::fault_proxy::FaultProxy;
use crate::http::Response;

/// Nexus Repository from 3.83 with path-based routing in front of a registry: `/v2/REPOSITORY/IMAGE/…`
/// (sonatype/nexus-public#703), a Basic challenge at everything (#836), and 404 for a path whose first part is no
/// repository of it.
///
/// # Errors
///
/// When no port can be had.
pub fn nexus(upstream: &str, repository: &str, user: &str, password: &str) -> io::Result<FaultProxy> {
    let front = FaultProxy::start(upstream)?;
    let (repository, user, password) = (repository.to_owned(), user.to_owned(), password.to_owned());
    front.answer_with(move |head| {
        if !is_user(head, &user, &password) {
            return Some(basic_challenge("Sonatype Nexus Repository Manager"));
        }
        let asked = Asked::of(head)?;
        let elsewhere = asked.repository.split_once('/').is_none_or(|(first, _)| first != repository);
        elsewhere.then(|| Response::error(404, "NAME_UNKNOWN", "repository name not known to registry"))
    });
    Ok(front)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{Client, DockerRegistry, ImageSpec};

    #[test]
    fn images_are_below_a_repository_and_nowhere_else() {
        let registry = DockerRegistry::start().unwrap();
        let front = nexus(registry.host(), "docker-hosted", "ci", "s3cret").unwrap();
        assert_eq!(Client::new(front.host()).get("/v2/docker-hosted/app/manifests/1").unwrap().status, 401);
        let client = Client::new(front.host()).with_basic("ci", "s3cret");
        let image = ImageSpec::oci().build();
        client.push("docker-hosted/app", "1", &image).unwrap();
        assert_eq!(registry.client().contents().unwrap()["docker-hosted/app"]["1"], image.digest);
        assert!(client.push("app", "1", &image).is_err());
    }
}
