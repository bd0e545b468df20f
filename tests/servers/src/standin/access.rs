//! The common parts of registries with logins: challenges, Basic credentials, and tokens with scopes. A token
//! here is its own claim in plain text behind base64: stand-ins check scopes, not signatures.

use crate::client::{base64, base64_decoded};
use crate::http::{RequestHead, Response};

/// Name and password of the `Authorization` header, if it is Basic (RFC 7617).
pub(super) fn basic(head: &RequestHead) -> Option<(String, String)> {
    let encoded = head.headers.get("authorization")?.strip_prefix("Basic ")?;
    let text = String::from_utf8(base64_decoded(encoded)?).ok()?;
    let (name, password) = text.split_once(':')?;
    Some((name.to_owned(), password.to_owned()))
}

/// Whether the request shows this name and password.
pub(super) fn is_user(head: &RequestHead, user: &str, password: &str) -> bool {
    basic(head).is_some_and(|(name, secret)| name == user && secret == password)
}

/// A token that grants these actions on these repositories.
pub(super) fn token(user: &str, access: &[(String, Vec<String>)]) -> String {
    let grants: Vec<String> =
        access.iter().map(|(name, actions)| format!("{name}:{}", actions.join(","))).collect();
    base64(format!("{user} {}", grants.join(" ")).as_bytes())
}

/// Whether the request's token grants an action on a repository; `None` without any token.
pub(super) fn grants(head: &RequestHead, repository: &str, action: &str) -> Option<bool> {
    let encoded = head.headers.get("authorization")?.strip_prefix("Bearer ")?;
    let text = String::from_utf8(base64_decoded(encoded)?).ok()?;
    let granted = text.split(' ').skip(1).filter_map(|grant| grant.rsplit_once(':'));
    Some(
        granted
            .into_iter()
            .any(|(name, actions)| name == repository && actions.split(',').any(|one| one == action)),
    )
}

/// Every `scope` of a token request, as repository and actions (distribution `docs/spec/auth/scope.md`).
pub(super) fn scopes(head: &RequestHead) -> Vec<(String, Vec<String>)> {
    let query = head.path_and_query.split_once('?').map_or("", |(_, query)| query);
    let values = query.split('&').filter_map(|pair| pair.strip_prefix("scope="));
    let texts = values.map(decoded).collect::<Vec<_>>();
    let each = texts.iter().flat_map(|text| text.split(' '));
    each.filter_map(|scope| {
        let (name, actions) = scope.strip_prefix("repository:")?.rsplit_once(':')?;
        Some((name.to_owned(), actions.split(',').map(str::to_owned).collect()))
    })
    .collect()
}

/// 401 with a Bearer challenge.
pub(super) fn bearer_challenge(realm: &str, service: &str, scope: Option<&str>) -> Response {
    let scope = scope.map_or(String::new(), |scope| format!(",scope=\"{scope}\""));
    Response::error(401, "UNAUTHORIZED", "access to the requested resource is not authorized")
        .with_header("Www-Authenticate", &format!("Bearer realm=\"{realm}\",service=\"{service}\"{scope}"))
}

/// 401 with a Basic challenge.
pub(super) fn basic_challenge(realm: &str) -> Response {
    Response::error(401, "UNAUTHORIZED", "authentication required")
        .with_header("Www-Authenticate", &format!("Basic realm=\"{realm}\""))
}

/// A request below `/v2/` about one repository.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Asked<'a> {
    pub(super) repository: &'a str,
    /// `manifests`, `blobs`, `tags` or `referrers`.
    pub(super) noun: &'a str,
    /// The path after the noun: a tag, a digest, `list`, `uploads/…`.
    pub(super) rest: &'a str,
}

impl<'a> Asked<'a> {
    /// Parses a path; `None` for `/v2/` itself and paths without a repository.
    pub(super) fn of(head: &'a RequestHead) -> Option<Asked<'a>> {
        let path = head.path().strip_prefix("/v2/")?;
        ["/manifests/", "/blobs/", "/tags/", "/referrers/"].into_iter().find_map(|noun| {
            let (repository, rest) = path.split_once(noun)?;
            Some(Asked { repository, noun: noun.trim_matches('/'), rest })
        })
    }

    /// The action that the request needs: `pull`, or `push` for what writes.
    pub(super) fn action(head: &RequestHead) -> &'static str {
        if matches!(head.method.as_str(), "GET" | "HEAD") { "pull" } else { "push" }
    }
}

/// The host and port that the client asked, from the `Host` header.
pub(super) fn own_host(head: &RequestHead) -> &str {
    head.headers.get("host").unwrap_or_default()
}

/// Percent-decoded, `+` as a space.
fn decoded(text: &str) -> String {
    let mut bytes = Vec::new();
    let mut rest = text.as_bytes();
    while let Some((&first, after)) = rest.split_first() {
        let hex = after.get(..2).and_then(|two| std::str::from_utf8(two).ok());
        match (first, hex.and_then(|hex| u8::from_str_radix(hex, 16).ok())) {
            (b'%', Some(byte)) => {
                bytes.push(byte);
                rest = &after[2..];
                continue;
            }
            (b'+', _) => bytes.push(b' '),
            _ => bytes.push(first),
        }
        rest = after;
    }
    String::from_utf8_lossy(&bytes).into_owned()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn scopes_are_read_however_clients_write_them() {
        let of = |query: &str| scopes(&RequestHead::new("GET", &format!("/auth?service=x&{query}")));
        let both = vec![("a/b".to_owned(), vec!["pull".to_owned(), "push".to_owned()])];
        assert_eq!(of("scope=repository%3Aa%2Fb%3Apull%2Cpush"), both);
        assert_eq!(of("scope=repository:a/b:pull,push"), both);
        assert_eq!(of("scope=repository:a:pull&scope=repository:b:push").len(), 2);
        assert_eq!(of("scope=repository:a:pull+repository:b:push").len(), 2);
        assert_eq!(of("account=me"), []);
    }

    #[test]
    fn a_token_grants_what_it_was_made_for() {
        let mut head = RequestHead::new("GET", "/v2/a/b/blobs/uploads/");
        assert_eq!(grants(&head, "a/b", "pull"), None);
        let token = token("me", &[("a/b".to_owned(), vec!["pull".to_owned()])]);
        head.headers.set("Authorization", format!("Bearer {token}"));
        assert_eq!(grants(&head, "a/b", "pull"), Some(true));
        assert_eq!(grants(&head, "a/b", "push"), Some(false));
        assert_eq!(grants(&head, "a", "pull"), Some(false));
        assert_eq!(Asked::of(&head), Some(Asked { repository: "a/b", noun: "blobs", rest: "uploads/" }));
    }
}
