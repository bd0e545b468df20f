//! Quay, where the request for a token makes the repository. Takes the registry behind it and one account;
//! gives the repositories that were made.

use std::collections::BTreeSet;
use std::io;
use std::ops::Deref;
use std::sync::{Arc, Mutex, PoisonError};

use super::access::{Asked, bearer_challenge, grants, is_user, own_host, scopes, token};
use crate::fault_proxy::FaultProxy;
use crate::http::{RequestHead, Response};

/// A Quay.
pub struct Quay {
    front: FaultProxy,
    made: Arc<Mutex<BTreeSet<String>>>,
}

impl Quay {
    /// The repositories that exist.
    pub fn repositories(&self) -> BTreeSet<String> {
        self.made.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }
}

impl Deref for Quay {
    type Target = FaultProxy;

    fn deref(&self) -> &FaultProxy {
        &self.front
    }
}

/// Quay in front of a registry, after quay/quay `endpoints/v2/v2auth.py` and `endpoints/v2/__init__.py`: a token
/// request with `push` in its scope makes the repository if the account may, and grants what was asked; one for
/// `pull` alone of a repository that does not exist gets a token that grants nothing, with which everything is
/// 401 and never 404 (`_require_repo_permission`; helm/helm#31567, #32156). The challenge of what reads says
/// `pull`, of what writes `pull,push`. The account may make repositories in every namespace here.
///
/// # Errors
///
/// When no port can be had.
pub fn quay(upstream: &str, user: &str, password: &str) -> io::Result<Quay> {
    let front = FaultProxy::start(upstream)?;
    let made = Arc::new(Mutex::new(BTreeSet::new()));
    let known = Arc::clone(&made);
    let account = (user.to_owned(), password.to_owned());
    front.answer_with(move |head| {
        let mut known = known.lock().unwrap_or_else(PoisonError::into_inner);
        match head.path() {
            "/v2/auth" => Some(authorize(head, &account, &mut known)),
            "/v2/" if grants(head, "", "").is_some() => Some(Response::json(200, "true")),
            _ => refusal(head, &known),
        }
    });
    Ok(Quay { front, made })
}

fn authorize(
    head: &RequestHead,
    (user, password): &(String, String),
    made: &mut BTreeSet<String>,
) -> Response {
    let known = is_user(head, user, password);
    if !known && head.headers.get("authorization").is_some() {
        return Response::error(401, "UNAUTHORIZED", "Invalid Username or Password");
    }
    let mut access = Vec::new();
    for (repository, asked) in scopes(head) {
        if known && asked.iter().any(|action| action == "push") {
            made.insert(repository.clone());
        }
        let granted = if known && made.contains(&repository) { asked } else { Vec::new() };
        access.push((repository, granted));
    }
    if !known && access.is_empty() {
        return Response::error(401, "UNAUTHORIZED", "access to the requested resource is not authorized");
    }
    Response::json(200, serde_json::json!({"token": token(user, &access)}).to_string())
}

/// The refusal of what the request's token does not grant.
fn refusal(head: &RequestHead, made: &BTreeSet<String>) -> Option<Response> {
    let host = own_host(head);
    let realm = format!("http://{host}/v2/auth");
    let Some(asked) = Asked::of(head) else { return Some(bearer_challenge(&realm, host, None)) };
    let action = Asked::action(head);
    let granted = grants(head, asked.repository, action).unwrap_or_default();
    let wanted = if action == "push" { "pull,push" } else { "pull" };
    let scope = format!("repository:{}:{wanted}", asked.repository);
    (!granted || !made.contains(asked.repository)).then(|| bearer_challenge(&realm, host, Some(&scope)))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{Client, DockerRegistry, ImageSpec};

    fn token_for(client: &Client, scope: &str) -> Client {
        let answer = client.get(&format!("/v2/auth?service=x&scope={scope}")).unwrap();
        assert_eq!(answer.status, 200, "{}", answer.text());
        let body: serde_json::Value = serde_json::from_slice(&answer.body).unwrap();
        Client::new(client.host()).with_authorization(&format!("Bearer {}", body["token"].as_str().unwrap()))
    }

    #[test]
    fn a_repository_is_made_by_asking_to_push_and_absent_ones_are_401() {
        let registry = DockerRegistry::start().unwrap();
        let quay = quay(registry.host(), "robot", "s3cret").unwrap();
        let client = Client::new(quay.host());
        let known = client.clone().with_basic("robot", "s3cret");
        assert_eq!(client.clone().with_basic("robot", "no").get("/v2/auth?service=x").unwrap().status, 401);
        let reader = token_for(&known, "repository:platform/app:pull");
        let looked = reader.head("/v2/platform/app/manifests/1").unwrap();
        assert_eq!(looked.status, 401);
        assert!(
            looked.header("www-authenticate").unwrap().ends_with("scope=\"repository:platform/app:pull\"")
        );
        assert!(quay.repositories().is_empty());
        let writer = token_for(&known, "repository:platform/app:pull,push");
        assert!(quay.repositories().contains("platform/app"));
        assert_eq!(writer.head("/v2/platform/app/manifests/1").unwrap().status, 404);
        let image = ImageSpec::oci().build();
        writer.push("platform/app", "1", &image).unwrap();
        assert_eq!(writer.manifest("platform/app", "1").unwrap().unwrap().digest, image.digest);
        assert_eq!(writer.head("/v2/platform/other/manifests/1").unwrap().status, 401);
    }
}
