//! Amazon's ECR, where a repository is made before the push. Takes the registry behind it and the repositories
//! that exist; the account is that of `aws ecr get-login-password`.

use std::collections::BTreeSet;
use std::io;

use super::access::{Asked, basic_challenge, is_user};
use crate::fault_proxy::FaultProxy;
use crate::http::Response;

/// ECR in front of a registry: Basic credentials of the user `AWS`, and 404 NAME_UNKNOWN for everything of a
/// repository that was not made, an upload's POST included (the text is in plexsystems/sinker#55; moby/moby#24473,
/// regclient/regclient#869).
///
/// # Errors
///
/// When no port can be had.
pub fn ecr(upstream: &str, repositories: &[&str], password: &str) -> io::Result<FaultProxy> {
    let front = FaultProxy::start(upstream)?;
    let repositories: BTreeSet<String> = repositories.iter().map(|&name| name.to_owned()).collect();
    let password = password.to_owned();
    front.answer_with(move |head| {
        if !is_user(head, "AWS", &password) {
            return Some(basic_challenge("https://123456789012.dkr.ecr.eu-central-1.amazonaws.com/"));
        }
        let name = Asked::of(head)?.repository;
        let message = format!(
            "The repository with name '{name}' does not exist in the registry with id '123456789012'"
        );
        (!repositories.contains(name)).then(|| Response::error(404, "NAME_UNKNOWN", &message))
    });
    Ok(front)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{Client, DockerRegistry, ImageSpec};

    #[test]
    fn a_push_makes_no_repository() {
        let registry = DockerRegistry::start().unwrap();
        let front = ecr(registry.host(), &["cache/app"], "s3cret").unwrap();
        assert_eq!(Client::new(front.host()).get("/v2/").unwrap().status, 401);
        let client = Client::new(front.host()).with_basic("AWS", "s3cret");
        let image = ImageSpec::oci().build();
        let refused = client.request("POST", "/v2/cache/other/blobs/uploads/", &[], b"").unwrap();
        assert_eq!(refused.status, 404);
        assert!(refused.text().contains("The repository with name 'cache/other' does not exist"));
        client.push("cache/app", "1", &image).unwrap();
        assert_eq!(client.manifest("cache/app", "1").unwrap().unwrap().digest, image.digest);
    }
}
