//! GitLab's registry, whose images are below a project and whose tokens are GitLab's. Takes the registry behind
//! it, one project and an account; gives the registry and GitLab itself, at a port of its own.

use std::io;
use std::ops::Deref;

use super::access::{Asked, bearer_challenge, grants, is_user, scopes, token};
use crate::client::Client;
use crate::fault_proxy::FaultProxy;
use crate::http::{RequestHead, Response};

/// A GitLab with its registry.
pub struct GitLab {
    /// The registry, as images name it.
    pub registry: FaultProxy,
    /// GitLab itself, which gives the tokens.
    pub web: FaultProxy,
}

impl Deref for GitLab {
    type Target = FaultProxy;

    fn deref(&self) -> &FaultProxy {
        &self.registry
    }
}

/// GitLab in front of a registry, after its `app/controllers/jwt_controller.rb` and
/// `app/services/auth/container_registry_authentication_service.rb`: the realm is `/jwt/auth` at GitLab's own
/// address, for the service `container_registry`; repositories are the project's path and up to two names below
/// it, and a scope for any other grants nothing and is 403 DENIED where nothing else is asked for. There is no
/// referrers API, and the tag `sha256-HEX` is taken for the digest `sha256:HEX` (oras-project/oras-go#1396).
///
/// # Errors
///
/// When no port can be had.
pub fn gitlab(upstream: &str, project: &str, user: &str, password: &str) -> io::Result<GitLab> {
    let (registry, web) = (FaultProxy::start(upstream)?, FaultProxy::scripted()?);
    let realm = format!("http://{}/jwt/auth", web.host());
    let behind = Client::new(upstream);
    registry.answer_with(move |head| answer(head, &realm, &behind));
    let (project, user, password) = (project.to_owned(), user.to_owned(), password.to_owned());
    web.answer_with(move |head| (head.path() == "/jwt/auth").then(|| jwt(head, &project, &user, &password)));
    Ok(GitLab { registry, web })
}

fn jwt(head: &RequestHead, project: &str, user: &str, password: &str) -> Response {
    if !is_user(head, user, password) {
        return Response::error(401, "UNAUTHORIZED", "HTTP Basic: Access denied.");
    }
    if head.query("service") != Some("container_registry") {
        return Response::new(404);
    }
    let asked = scopes(head);
    let wanted = asked.len();
    let access: Vec<_> = asked.into_iter().filter(|(name, _)| belongs(name, project)).collect();
    if wanted > 0 && access.is_empty() {
        return Response::error(403, "DENIED", "access forbidden");
    }
    Response::json(200, serde_json::json!({"token": token(user, &access)}).to_string())
}

/// The project's own path, or one or two names below it.
fn belongs(name: &str, project: &str) -> bool {
    name.strip_prefix(project)
        .is_some_and(|below| below.is_empty() || (below.starts_with('/') && below.matches('/').count() <= 2))
}

fn answer(head: &RequestHead, realm: &str, behind: &Client) -> Option<Response> {
    let service = "container_registry";
    let Some(asked) = Asked::of(head) else {
        return grants(head, "", "").is_none().then(|| bearer_challenge(realm, service, None));
    };
    let action = Asked::action(head);
    if !grants(head, asked.repository, action).unwrap_or_default() {
        let wanted = if action == "push" { "pull,push" } else { "pull" };
        let scope = format!("repository:{}:{wanted}", asked.repository);
        return Some(bearer_challenge(realm, service, Some(&scope)));
    }
    match (asked.noun, asked.rest.strip_prefix("sha256-")) {
        ("referrers", _) => Some(Response::new(404).with_body("404 page not found\n")),
        ("manifests", Some(hex)) if hex.len() == 64 && action == "pull" => {
            behind.get(&format!("/v2/{}/manifests/sha256:{hex}", asked.repository)).ok()
        }
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{DockerRegistry, ImageSpec};

    #[test]
    fn tokens_are_gitlabs_and_only_the_project_is_written_to() {
        let registry = DockerRegistry::start().unwrap();
        let gitlab = gitlab(registry.host(), "group/project", "deploy", "s3cret").unwrap();
        let challenge = Client::new(gitlab.host()).get("/v2/group/project/app/manifests/1").unwrap();
        let expected = format!(
            "Bearer realm=\"http://{}/jwt/auth\",service=\"container_registry\",scope=\"repository:group/project/app:pull\"",
            gitlab.web.host()
        );
        assert_eq!((challenge.status, challenge.header("www-authenticate")), (401, Some(expected.as_str())));
        let web = Client::new(gitlab.web.host()).with_basic("deploy", "s3cret");
        let ask = |name: &str| {
            web.get(&format!("/jwt/auth?service=container_registry&scope=repository:{name}:pull,push"))
                .unwrap()
        };
        assert_eq!(ask("group/other/app").status, 403);
        assert_eq!(ask("group/project/a/b/c").status, 403);
        let body: serde_json::Value = serde_json::from_slice(&ask("group/project/app").body).unwrap();
        let client = Client::new(gitlab.host())
            .with_authorization(&format!("Bearer {}", body["token"].as_str().unwrap()));
        let image = ImageSpec::oci().build();
        client.push("group/project/app", "1", &image).unwrap();
        let itself = client.manifest("group/project/app", &image.referrers_tag()).unwrap().unwrap();
        assert_eq!(itself.digest, image.digest);
        assert_eq!(
            client.get(&format!("/v2/group/project/app/referrers/{}", image.digest)).unwrap().status,
            404
        );
    }
}
