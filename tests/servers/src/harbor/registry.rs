//! `/v2/`: the distribution specification as Harbor serves it. Harbor's core checks rights and policies, and
//! passes on to the registry behind it.

mod blobs;
mod listings;
mod manifests;
mod uploads;

use std::io::Read;

use super::access::Identity;
use super::answer::{Answer, Code, Refusal, RegistryError};
use super::lock;
use super::request::Request;
use super::server::Core;
use super::state::{is_digest, project_part};
use super::token::SERVICE;

pub(super) use self::blobs::{STORAGE, serve_storage};

/// The object of a path below `/v2/`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Target {
    Ping,
    Catalog,
    Tags { repository: String },
    Manifest { repository: String, reference: String },
    Blob { repository: String, digest: String },
    Upload { repository: String, id: Option<String> },
    Referrers { repository: String, reference: String },
}

impl Target {
    /// Harbor `lib/patterns.go`; `None` for what Harbor does not recognise.
    pub(super) fn parse(path: &str) -> Option<Target> {
        let rest = path.strip_prefix("/v2/")?;
        if rest.is_empty() {
            return Some(Target::Ping);
        }
        if rest == "_catalog" {
            return Some(Target::Catalog);
        }
        let split = |marker: &str| {
            let (name, after) = rest.rsplit_once(marker)?;
            is_repository_name(name).then(|| (name.to_owned(), after.to_owned()))
        };
        if let Some((repository, reference)) = split("/manifests/") {
            return Some(Target::Manifest { repository, reference });
        }
        if let Some((repository, reference)) = split("/referrers/") {
            return Some(Target::Referrers { repository, reference });
        }
        if let Some((repository, after)) = split("/tags/list")
            && after.is_empty()
        {
            return Some(Target::Tags { repository });
        }
        if let Some((repository, after)) = split("/blobs/uploads") {
            let id = after.trim_matches('/');
            return Some(Target::Upload { repository, id: (!id.is_empty()).then(|| id.to_owned()) });
        }
        let (repository, digest) = split("/blobs/")?;
        is_digest(&digest).then_some(Target::Blob { repository, digest })
    }

    pub(super) fn repository(&self) -> Option<String> {
        match self {
            Target::Ping | Target::Catalog => None,
            Target::Tags { repository }
            | Target::Manifest { repository, .. }
            | Target::Blob { repository, .. }
            | Target::Upload { repository, .. }
            | Target::Referrers { repository, .. } => Some(repository.clone()),
        }
    }

    /// Harbor `middleware/artifactinfo`, which comes before anyone asks for credentials.
    pub(super) fn check_names(&self, request: &Request<'_>) -> Result<(), Refusal> {
        let invalid =
            |name: &str| Refusal::bad_request(format!("bad request: invalid repository name: {name}"));
        if let Some(repository) = self.repository()
            && !repository.contains('/')
        {
            return Err(invalid(&repository));
        }
        match self {
            Target::Manifest { reference, .. } | Target::Referrers { reference, .. }
                if !is_digest(reference) && !is_tag(reference) =>
            {
                Err(Refusal::not_found("invalid reference format"))
            }
            Target::Upload { .. } => match request.query.filled("from") {
                Some(from) if !from.contains('/') => Err(invalid(from)),
                _ => Ok(()),
            },
            _ => Ok(()),
        }
    }
}

/// Answers a request below `/v2`.
pub(super) fn answer(core: &Core, request: &Request<'_>, identity: &Identity, body: &mut dyn Read) -> Answer {
    let target = Target::parse(&request.path);
    if let Err(refused) = authorize(core, request, identity, target.as_ref()) {
        return refused;
    }
    let mut answer = dispatch(core, request, identity, target, body);
    if lock(&core.state).config.relative_locations
        && let Some(location) = answer.headers.get("location")
        && let Some(path) = location.strip_prefix(&core.url(request))
        && path.starts_with("/v2/")
    {
        let path = path.to_owned();
        answer.headers.set("Location", path);
    }
    answer
}

fn dispatch(
    core: &Core,
    request: &Request<'_>,
    identity: &Identity,
    target: Option<Target>,
    body: &mut dyn Read,
) -> Answer {
    let method = request.method();
    match (target, method) {
        (Some(Target::Ping), _) => Answer::json(200, &serde_json::json!({})),
        (Some(Target::Catalog), "GET") => listings::catalog(core, request),
        (Some(Target::Tags { repository }), "GET") => listings::tags(core, request, &repository),
        (Some(Target::Referrers { repository, reference }), "GET") => {
            listings::referrers(core, request, &repository, &reference)
        }
        (Some(Target::Manifest { repository, reference }), "GET" | "HEAD") => {
            manifests::get(core, request, identity, &repository, &reference)
        }
        (Some(Target::Manifest { repository, reference }), "PUT") => {
            manifests::put(core, request, &repository, &reference, body)
        }
        (Some(Target::Manifest { repository, reference }), "DELETE") => {
            manifests::delete(core, &repository, &reference)
        }
        (Some(Target::Blob { repository, digest }), "GET" | "HEAD") => {
            blobs::get(core, request, &repository, &digest)
        }
        (Some(Target::Blob { repository, digest }), "DELETE") => blobs::unlink(core, &repository, &digest),
        (Some(Target::Upload { repository, id: None }), "POST") => uploads::begin(core, request, &repository),
        (Some(Target::Upload { repository, id: Some(id) }), "PATCH") => {
            uploads::append(core, request, &repository, &id, body)
        }
        (Some(Target::Upload { repository, id: Some(id) }), "PUT") => {
            uploads::complete(core, request, &repository, &id, body)
        }
        (Some(Target::Upload { repository, id: Some(id) }), "GET" | "HEAD") => {
            uploads::status(core, request, &repository, &id)
        }
        (Some(Target::Upload { repository, id: Some(id) }), "DELETE") => {
            uploads::cancel(core, request, &repository, &id)
        }
        _ => RegistryError::MethodNotAllowed.into(),
    }
}

/// Harbor `server/middleware/v2auth`: every refusal is 401, and only a client that sent no credentials is reported
/// where to get a token.
fn authorize(
    core: &Core,
    request: &Request<'_>,
    identity: &Identity,
    target: Option<&Target>,
) -> Result<(), Answer> {
    let state = lock(&core.state);
    let unrecognized = || format!("un-recognized request: {} {}", request.method(), request.path);
    let Some(target) = target else { return Err(unauthorized("", &unrecognized())) };
    let Some(repository) = target.repository() else {
        let basic = *target == Target::Catalog;
        let (allowed, message) = match target {
            Target::Catalog => {
                (state.may_in_system(identity, "read", "catalog"), "unauthorized to list catalog")
            }
            _ => (state.is_authenticated(identity), "unauthorized"),
        };
        if allowed {
            return Ok(());
        }
        return Err(unauthorized(&challenge(core, request, &[], basic), message));
    };
    let action = match request.method() {
        "GET" | "HEAD" => "pull",
        "POST" | "PATCH" | "PUT" => "push",
        "DELETE" => "delete",
        _ => return Err(unauthorized("", &unrecognized())),
    };
    let mut accesses = vec![(repository, action)];
    if let ("POST", Target::Upload { .. }, Some(from)) =
        (request.method(), target, request.query.filled("from"))
    {
        accesses.push((from.to_owned(), "pull"));
    }
    let anonymous_read = action == "pull" && request.header("authorization").is_none_or(str::is_empty);
    for (repository, action) in &accesses {
        if anonymous_read {
            // Even in a public project (goharbor/harbor#11271).
            let message = "authorize header needed to send HEAD to repository";
            return Err(unauthorized(&challenge(core, request, &accesses, false), message));
        }
        let project = project_part(repository);
        if state.project_named(project).is_none() {
            return Err(unauthorized("", &format!("project {project} not found")));
        }
        if !state.may_in_repository(identity, repository, action) {
            let message = format!("unauthorized to access repository: {repository}, action: {action}");
            return Err(unauthorized(&challenge(core, request, &accesses, false), &message));
        }
    }
    Ok(())
}

fn challenge(core: &Core, request: &Request<'_>, accesses: &[(String, &str)], basic: bool) -> String {
    if basic || request.header("authorization").is_some_and(|value| !value.is_empty()) {
        return r#"Basic realm="harbor""#.to_owned();
    }
    let mut challenge = format!(r#"Bearer realm="{}/service/token",service="{SERVICE}""#, core.url(request));
    let scopes: Vec<String> = accesses
        .iter()
        .map(|(repository, action)| {
            let actions = if *action == "push" { "pull,push" } else { action };
            format!("repository:{repository}:{actions}")
        })
        .collect();
    if !scopes.is_empty() {
        challenge.push_str(&format!(r#",scope="{}""#, scopes.join(" ")));
    }
    challenge
}

fn unauthorized(challenge: &str, message: &str) -> Answer {
    // Harbor wraps the error in itself, and says everything twice.
    let answer: Answer = Refusal::new(Code::Unauthorized, format!("{message}: {message}")).into();
    answer.with_header("Www-Authenticate", challenge)
}

/// distribution `reference.NameRegexp`: components in lower case, before them possibly a host.
fn is_repository_name(name: &str) -> bool {
    let mut components = name.split('/').peekable();
    let Some(first) = components.next() else { return false };
    let as_host = components.peek().is_some() && is_host(first);
    (as_host || is_component(first)) && components.all(is_component)
}

fn is_host(text: &str) -> bool {
    let (name, port) = text.split_once(':').unwrap_or((text, "0"));
    !port.is_empty()
        && port.bytes().all(|b| b.is_ascii_digit())
        && name.split('.').all(|label| {
            !label.is_empty()
                && !label.starts_with('-')
                && !label.ends_with('-')
                && label.bytes().all(|b| b.is_ascii_alphanumeric() || b == b'-')
        })
}

/// `[a-z0-9]+(?:(?:\.|_|__|-+)[a-z0-9]+)*`
fn is_component(text: &str) -> bool {
    let is_word = |b: u8| b.is_ascii_lowercase() || b.is_ascii_digit();
    let separators = text.split(|c: char| c.is_ascii() && is_word(c as u8)).filter(|s| !s.is_empty());
    text.bytes().next().is_some_and(is_word)
        && text.bytes().next_back().is_some_and(is_word)
        && separators.into_iter().all(|s| matches!(s, "." | "_" | "__") || s.bytes().all(|b| b == b'-'))
}

/// distribution `reference.TagRegexp`: `[\w][\w.-]{0,127}`.
pub(super) fn is_tag(text: &str) -> bool {
    let is_word = |b: u8| b.is_ascii_alphanumeric() || b == b'_';
    text.len() <= 128
        && text.bytes().next().is_some_and(is_word)
        && text.bytes().all(|b| is_word(b) || matches!(b, b'.' | b'-'))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn paths_name_what_they_are_about() {
        let digest = format!("sha256:{}", "a".repeat(64));
        let repository = "platform/docker.io/library/nginx".to_owned();
        for (path, target) in [
            ("/v2/".to_owned(), Some(Target::Ping)),
            ("/v2".to_owned(), None),
            ("/v2/_catalog".to_owned(), Some(Target::Catalog)),
            (format!("/v2/{repository}/tags/list"), Some(Target::Tags { repository: repository.clone() })),
            (
                format!("/v2/{repository}/blobs/{digest}"),
                Some(Target::Blob { repository: repository.clone(), digest }),
            ),
            (format!("/v2/{repository}/blobs/sha256:12"), None),
            (
                format!("/v2/{repository}/blobs/uploads/"),
                Some(Target::Upload { repository: repository.clone(), id: None }),
            ),
            ("/v2/Platform/X/tags/list".to_owned(), None),
            (
                "/v2/a/manifests/manifests/1".to_owned(),
                Some(Target::Manifest { repository: "a/manifests".to_owned(), reference: "1".to_owned() }),
            ),
        ] {
            assert_eq!(Target::parse(&path), target, "{path}");
        }
    }

    #[test]
    fn components_have_single_separators_but_for_dashes_and_two_underscores() {
        for (text, valid) in [
            ("nginx", true),
            ("a.b_c-d", true),
            ("a__b", true),
            ("a---b", true),
            ("a..b", false),
            ("a___b", false),
            ("-a", false),
            ("a-", false),
            ("A", false),
            ("", false),
        ] {
            assert_eq!(is_component(text), valid, "{text:?}");
        }
    }
}
