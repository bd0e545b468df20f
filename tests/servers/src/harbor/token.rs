//! Bearer tokens for `/v2/`, and the service that gives them.
//! Takes credentials and scopes; gives a token that says what is granted, and reads it again.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use serde_json::json;

use super::access::Identity;
use super::answer::{Answer, Code, Refusal};
use super::clock::Time;
use super::request::Request;
use super::state::{State, project_part};
use crate::blob::sha256;
use crate::client::base64;

/// The service that a token is for.
pub(super) const SERVICE: &str = "harbor-registry";

/// Clocks may differ that many seconds (Harbor `common/const.go JwtLeeway`).
const LEEWAY: i64 = 60;

/// A token that was given.
#[derive(Debug)]
pub(super) struct Token {
    /// Empty for the anonymous.
    pub(super) subject: String,
    issued: Time,
    expires: Time,
    /// Project → actions: Harbor keys a token's access by the first part of the repository's name, so that a
    /// token for one repository is good for all of its project (`common/security/v2token`).
    access: BTreeMap<String, BTreeSet<String>>,
}

impl Token {
    pub(super) fn allows(&self, project: &str, action: &str) -> bool {
        self.access.get(project).is_some_and(|actions| actions.contains(action))
    }
}

/// A repository that a request names, and the one it mounts from.
pub(super) fn repositories_of(request: &Request<'_>) -> Vec<String> {
    let mut repositories = Vec::new();
    if let Some(repository) = super::registry::Target::parse(&request.path).and_then(|t| t.repository()) {
        repositories.push(repository);
        repositories.extend(request.query.filled("from").map(str::to_owned));
    }
    repositories
}

impl State {
    /// The token, unless it is unknown, expired, or older than the request's project: a token of a deleted
    /// project does not count for the new one of that name (Harbor `middleware/security/v2_token.go`).
    pub(super) fn valid_token(&self, token: &str, request: &Request<'_>) -> Option<Arc<Token>> {
        let token = self.tokens.get(token)?;
        if token.expires.plus_seconds(LEEWAY) < self.now() {
            return None;
        }
        for repository in repositories_of(request) {
            let project = self.project_named(project_part(&repository))?;
            if token.issued.plus_seconds(LEEWAY) < project.created {
                return None;
            }
        }
        Some(Arc::clone(token))
    }

    /// `GET /service/token`. The actions that are asked for do not matter: a token carries all that its owner
    /// may do in the project. Wrong credentials with a scope do not fail either: they give a token without
    /// rights.
    pub(super) fn give_token(&mut self, request: &Request<'_>, identity: &Identity) -> Answer {
        if request.query.get("service") != Some(SERVICE) {
            let service = request.query.get("service").unwrap_or_default();
            return Answer::empty(400).with_body(format!("Unable to handle service: {service}"));
        }
        let scopes: Vec<&str> =
            request.query.all("scope").flat_map(|s| s.split(' ')).filter(|s| !s.is_empty()).collect();
        if !self.is_authenticated(identity) && scopes.is_empty() {
            return Answer::empty(401);
        }
        let mut access = BTreeMap::new();
        let mut claims = Vec::new();
        for scope in scopes {
            // `type:name:actions`, and a name may hold a port's colon.
            let (kind, rest) = scope.split_once(':').unwrap_or((scope, ""));
            let name = rest.rsplit_once(':').map_or(rest, |(name, _)| name);
            let actions: BTreeSet<String> = match self.project_named(project_part(name)) {
                Some(project) if kind == "repository" && name.contains('/') => ["pull", "push", "delete"]
                    .into_iter()
                    .filter(|action| self.may(identity, project.id, action, "repository"))
                    .map(str::to_owned)
                    .collect(),
                _ => BTreeSet::new(),
            };
            claims.push(json!({"type": kind, "name": name, "actions": actions}));
            access.insert(project_part(name).to_owned(), actions);
        }
        let now = self.now();
        let seconds = self.config.token_expiration_minutes * 60;
        let token = Token {
            subject: self.name_of(identity),
            issued: now,
            expires: now.plus_seconds(seconds),
            access,
        };
        let text = self.written(&token, &json!(claims));
        self.tokens.insert(text.clone(), Arc::new(token));
        let issued_at = format!("{}Z", now.to_string().split('.').next().unwrap_or_default());
        Answer::json(
            200,
            &json!({"token": text, "access_token": "", "expires_in": seconds, "issued_at": issued_at}),
        )
    }

    /// The token in the form of RFC 7519. The signature is empty: the double knows its own tokens.
    fn written(&mut self, token: &Token, access: &serde_json::Value) -> String {
        let claims = json!({
            "iss": "harbor-token-issuer",
            "sub": token.subject,
            "aud": SERVICE,
            "exp": token.expires.seconds(),
            "nbf": token.issued.seconds(),
            "iat": token.issued.seconds(),
            "jti": self.next_id().to_string(),
            "access": access,
        });
        let url_safe = |bytes: &[u8]| base64(bytes).trim_end_matches('=').replace('+', "-").replace('/', "_");
        let head = url_safe(br#"{"alg":"RS256","typ":"JWT"}"#);
        let claims = url_safe(claims.to_string().as_bytes());
        let signature = url_safe(sha256(claims.as_bytes()).as_bytes());
        format!("{head}.{claims}.{signature}")
    }
}

/// `POST /service/token`, which beego answers for the missing method.
pub(super) fn no_oauth() -> Answer {
    Refusal::new(Code::MethodNotAllowed, "method not allowed").into()
}
