//! Tokens and passwords in requests: asks token services, keeps tokens until they expire, and
//! decides which host may see which credential. Takes a scope, gives the `Authorization` header.

use std::collections::{BTreeMap, HashMap, HashSet};
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use base64::Engine as _;
use bundle_oci::{Registry, RepositoryName};
use reqwest::header::HeaderValue;
use reqwest::{RequestBuilder, Url};
use serde::Deserialize;

use crate::answer::is_web_page;
use crate::challenge::Challenge;
use crate::credentials::Credential;
use crate::limits::LONGEST_HEADER;
use crate::lock::lock;
use crate::mask::Sent;
use crate::redirect;
use crate::secret::Secret;
use crate::transport::{authority, content_type, shown};
use crate::{Answer, Client, CredentialError, CredentialStore, Error};

/// The access that a request needs: actions on repositories (the distribution project's token scope
/// documentation).
#[derive(Clone, Debug, Default, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub(crate) struct Scope(BTreeMap<String, &'static str>);

impl Scope {
    pub(crate) fn none() -> Self {
        Self::default()
    }

    pub(crate) fn pull(repository: &RepositoryName) -> Self {
        Self(BTreeMap::from([(repository.to_string(), "pull")]))
    }

    pub(crate) fn push(repository: &RepositoryName) -> Self {
        Self(BTreeMap::from([(repository.to_string(), "pull,push")]))
    }

    pub(crate) fn and_pull(mut self, repository: &RepositoryName) -> Self {
        self.0.entry(repository.to_string()).or_insert("pull");
        self
    }

    fn texts(&self) -> impl Iterator<Item = String> {
        self.0.iter().map(|(repository, actions)| format!("repository:{repository}:{actions}"))
    }

    /// The repository whose namespace chooses the credential: where something is pushed to, or
    /// else the only one.
    fn repository(&self) -> &str {
        let pushed = self.0.iter().find(|(_, actions)| actions.contains("push"));
        pushed.or_else(|| self.0.iter().next()).map_or("", |(repository, _)| repository)
    }
}

/// Knows how each registry wants to be asked, and keeps its tokens.
pub(crate) struct Authenticator {
    credentials: CredentialStore,
    challenges: Mutex<HashMap<Registry, Challenge>>,
    /// Those that get user and password with every request, for any challenge.
    password_at_once: Mutex<HashSet<Registry>>,
    tokens: Mutex<HashMap<(Registry, Scope), Arc<TokenSlot>>>,
    /// The secrets that no error may show.
    pub(crate) sent: Sent,
}

/// The lock is held while a token is fetched, so that all tasks share one request.
#[derive(Default)]
struct TokenSlot(tokio::sync::Mutex<TokenState>);

#[derive(Default)]
struct TokenState {
    token: Option<Token>,
    /// Shared by all who wait for the answer: a wrong password that is tried by sixteen tasks
    /// locks accounts.
    refused: Option<(Instant, Refused)>,
}

#[derive(Clone)]
struct Token {
    header: HeaderValue,
    expires: Instant,
    anonymous: bool,
}

#[derive(Clone)]
struct Refused {
    answer: Box<Answer>,
    /// The token service's host, if the credentials were not for it.
    withheld_from: Option<String>,
}

/// The answer of a token service.
enum Fetched {
    Token(Token),
    Refused(Refused),
}

impl Refused {
    fn error(self, registry: &Registry) -> Error {
        match self.withheld_from {
            Some(realm) => Error::Withheld { host: registry.to_string(), realm, answer: self.answer },
            None => Error::Answer(self.answer),
        }
    }
}

/// The header that a request is to carry.
pub(crate) struct Authorization {
    pub(crate) header: Option<HeaderValue>,
    pub(crate) anonymous: bool,
}

impl Authorization {
    /// No header.
    pub(crate) fn none() -> Self {
        Self { header: None, anonymous: true }
    }
}

impl Authenticator {
    pub(crate) fn new(credentials: CredentialStore) -> Self {
        Self {
            credentials,
            challenges: Mutex::default(),
            password_at_once: Mutex::default(),
            tokens: Mutex::default(),
            sent: Sent::default(),
        }
    }

    /// Learns how a registry wants to be asked. Harbor answers with a Basic challenge to a token
    /// that lacks a right (v2auth/auth.go); that is no reason to send passwords from then on.
    pub(crate) fn challenged(&self, registry: &Registry, challenge: Challenge) {
        let mut challenges = lock(&self.challenges);
        match (challenges.get(registry), &challenge) {
            (Some(Challenge::Bearer { .. }), Challenge::Basic) => {}
            _ => {
                challenges.insert(registry.clone(), challenge);
            }
        }
    }

    /// Whether a registry is shown user and password with every request.
    pub(crate) fn is_password_shown(&self, registry: &Registry) -> bool {
        lock(&self.password_at_once).contains(registry)
    }

    /// Whether a registry has asked for credentials.
    pub(crate) fn knows_challenge(&self, registry: &Registry) -> bool {
        lock(&self.challenges).contains_key(registry)
    }

    /// A store of credentials that is configured and not installed, which may have what is needed.
    pub(crate) fn missing_store(&self, registry: &str) -> Option<CredentialError> {
        self.credentials.missing_store(registry)
    }

    async fn credential(
        &self,
        registry: &Registry,
        repository: &str,
    ) -> Result<Option<Credential>, CredentialError> {
        self.credentials.find(registry.as_str(), repository).await
    }
}

impl Client {
    /// From now on, shows a registry user and password with every request, without a token. A token
    /// of Harbor expires, and is void when its project is made again; a password asks for one
    /// round trip less, too.
    pub fn password_at_once(&self, registry: &Registry) {
        lock(&self.inner.auth.password_at_once).insert(registry.clone());
    }

    /// The header for a request to `registry`, as far as is known how it wants to be asked.
    /// A header that the registry has just refused is not used again.
    pub(crate) async fn authorization(
        &self,
        registry: &Registry,
        scope: &Scope,
        refused: Option<&HeaderValue>,
    ) -> Result<Authorization, Error> {
        let auth = &self.inner.auth;
        let challenge = if lock(&auth.password_at_once).contains(registry) {
            Some(Challenge::Basic)
        } else {
            lock(&auth.challenges).get(registry).cloned()
        };
        match challenge {
            None => Ok(Authorization::none()),
            Some(Challenge::Basic) => {
                let header = match &auth.credential(registry, scope.repository()).await? {
                    Some(Credential::Password { user, password }) => {
                        Some(self.basic(registry, user, password)?)
                    }
                    Some(Credential::RegistryToken(token)) => Some(self.bearer(registry, token)?),
                    Some(Credential::IdentityToken(_)) | None => None,
                };
                Ok(Authorization { anonymous: header.is_none(), header })
            }
            Some(Challenge::Bearer { realm, service }) => {
                if let Some(Credential::RegistryToken(token)) =
                    &auth.credential(registry, scope.repository()).await?
                {
                    let header = self.bearer(registry, token)?;
                    return Ok(Authorization { header: Some(header), anonymous: false });
                }
                let token = self.token(registry, scope, &realm, service.as_deref(), refused).await?;
                Ok(Authorization { header: Some(token.header), anonymous: token.anonymous })
            }
        }
    }

    /// The header with the login that is stored for a host, for any challenge.
    pub(crate) async fn stored_login(
        &self,
        host: &Registry,
        path: &str,
    ) -> Result<Option<HeaderValue>, Error> {
        match &self.inner.auth.credential(host, path).await? {
            Some(Credential::Password { user, password }) => Ok(Some(self.basic(host, user, password)?)),
            Some(Credential::IdentityToken(_) | Credential::RegistryToken(_)) | None => Ok(None),
        }
    }

    async fn token(
        &self,
        registry: &Registry,
        scope: &Scope,
        realm: &str,
        service: Option<&str>,
        refused: Option<&HeaderValue>,
    ) -> Result<Token, Error> {
        let asked = Instant::now();
        let slot =
            lock(&self.inner.auth.tokens).entry((registry.clone(), scope.clone())).or_default().clone();
        let mut state = slot.0.lock().await;
        let usable = |token: &&Token| Instant::now() < token.expires && Some(&token.header) != refused;
        if let Some(token) = state.token.as_ref().filter(usable) {
            return Ok(token.clone());
        }
        if let Some((_, refused)) = state.refused.as_ref().filter(|(when, _)| *when >= asked) {
            return Err(refused.clone().error(registry));
        }
        match self.fetch_token(registry, scope, realm, service).await? {
            Fetched::Token(token) => {
                *state = TokenState { token: Some(token.clone()), refused: None };
                Ok(token)
            }
            Fetched::Refused(refused) => {
                *state = TokenState { token: None, refused: Some((Instant::now(), refused.clone())) };
                Err(refused.error(registry))
            }
        }
    }

    async fn fetch_token(
        &self,
        registry: &Registry,
        scope: &Scope,
        realm: &str,
        service: Option<&str>,
    ) -> Result<Fetched, Error> {
        let realm_shown = self.mask(shown(realm));
        let refuse = |why| Error::Realm { host: registry.to_string(), realm: realm_shown.clone(), why };
        let url: Url = realm.parse().map_err(|_| refuse("it is not an address"))?;
        if url.scheme() != "https" && !(url.scheme() == "http" && self.may_be_plain(&url)) {
            return Err(refuse("it is not https"));
        }
        if !url.username().is_empty() || url.password().is_some() {
            return Err(refuse("it contains a user name"));
        }
        redirect::check_host(registry.is_loopback(), &url).map_err(refuse)?;
        // With its port: the registry itself may be another port of the host.
        let realm_host = authority(&url);
        let (credential, withheld) = self.credential_for(registry, scope, &url).await?;
        let anonymous = credential.is_none();
        let request = self.token_request(registry, scope, url, service, credential)?;
        let response = self.send(&realm_host, request).await?;
        let doing = format!("give a token for {registry}");
        match response.status().as_u16() {
            200 => {}
            300..=399 => return Err(refuse("it redirects")),
            _ => {
                let mut answer = self.answer(&realm_host, &doing, anonymous, response).await;
                answer.from_token_service = true;
                let withheld_from = withheld.then(|| realm_host.clone());
                return Ok(Fetched::Refused(Refused { answer, withheld_from }));
            }
        }
        let content_type = content_type(&response);
        let body = self.body(&realm_host, response, self.inner.limits.body).await?;
        if is_web_page(content_type.as_deref(), &body) {
            return Err(Error::WebPage { host: realm_host, doing, title: self.masked_title(&body) });
        }
        let unusable = || Error::unusable(&realm_host, format!("sends no usable token for {registry}"));
        let (header, lifetime) = read_token(&body, self.inner.limits.token).ok_or_else(unusable)?;
        if let Ok(text) = header.to_str() {
            self.inner.auth.sent.remember(text.trim_start_matches("Bearer "));
        }
        Ok(Fetched::Token(Token { header, expires: Instant::now() + lifetime, anonymous }))
    }

    /// The credential that the token service may see, and whether one was kept from it.
    async fn credential_for(
        &self,
        registry: &Registry,
        scope: &Scope,
        realm: &Url,
    ) -> Result<(Option<Credential>, bool), Error> {
        let auth = &self.inner.auth;
        let host = host_of(realm);
        if belongs(registry, realm) {
            return Ok((auth.credential(registry, scope.repository()).await?, false));
        }
        // The one under which the user logged in to the token service itself.
        for name in [realm.port().map(|port| format!("{host}:{port}")), Some(host.to_owned())] {
            if let Some(service) = name.filter(|name| auth.credentials.knows(name))
                && let Ok(service) = service.parse()
                && let Some(credential) = auth.credential(&service, "").await?
            {
                return Ok((Some(credential), false));
            }
        }
        Ok((None, auth.credential(registry, scope.repository()).await?.is_some()))
    }

    fn token_request(
        &self,
        registry: &Registry,
        scope: &Scope,
        mut url: Url,
        service: Option<&str>,
        credential: Option<Credential>,
    ) -> Result<RequestBuilder, Error> {
        // The token service of another host is one that a registry chose.
        let own = registry.endpoint().starts_with(host_of(&url));
        let http = if own { self.http(&url)? } else { self.elsewhere(&url)? };
        if let Some(Credential::IdentityToken(token)) = &credential {
            self.inner.auth.sent.remember(token.reveal());
            let scopes: Vec<String> = scope.texts().collect();
            let mut form = url::form_urlencoded::Serializer::new(String::new());
            form.append_pair("grant_type", "refresh_token")
                .append_pair("client_id", "bundle")
                .append_pair("service", service.unwrap_or_default())
                .append_pair("scope", &scopes.join(" "))
                .append_pair("refresh_token", token.reveal());
            return Ok(http
                .post(url)
                .header("Content-Type", "application/x-www-form-urlencoded")
                .body(form.finish()));
        }
        if service.is_some() || scope.texts().next().is_some() {
            let mut pairs = url.query_pairs_mut();
            pairs.extend_pairs(service.map(|service| ("service", service)));
            pairs.extend_pairs(scope.texts().map(|text| ("scope", text)));
        }
        let request = http.get(url);
        Ok(match &credential {
            Some(Credential::Password { user, password }) => {
                request.header("Authorization", self.basic(registry, user, password)?)
            }
            _ => request,
        })
    }

    /// The header with a token that is stored for the registry itself.
    fn bearer(&self, registry: &Registry, token: &Secret) -> Result<HeaderValue, Error> {
        self.inner.auth.sent.remember(token.reveal());
        let too_long = CredentialError::TooLong { registry: registry.to_string() };
        sensitive(&format!("Bearer {}", token.reveal())).ok_or(Error::Credentials(too_long))
    }

    /// The header with a user and password.
    fn basic(&self, registry: &Registry, user: &str, password: &Secret) -> Result<HeaderValue, Error> {
        let pair = Secret::new(format!("{user}:{}", password.reveal()));
        let encoded = Secret::new(base64::engine::general_purpose::STANDARD.encode(pair.reveal()));
        let sent = &self.inner.auth.sent;
        for secret in [password, &encoded, &pair] {
            sent.remember(secret.reveal());
        }
        let too_long = CredentialError::TooLong { registry: registry.to_string() };
        sensitive(&format!("Basic {}", encoded.reveal())).ok_or(Error::Credentials(too_long))
    }
}

/// The header for a token and how long it can be used. The registry's clock is not asked.
fn read_token(body: &[u8], longest: usize) -> Option<(HeaderValue, Duration)> {
    #[derive(Deserialize)]
    struct Answered {
        token: Option<Secret>,
        access_token: Option<Secret>,
        expires_in: Option<f64>,
    }

    let answered: Answered = serde_json::from_slice(body).ok()?;
    let token = answered.token.filter(|token| !token.reveal().is_empty()).or(answered.access_token)?;
    let text = token.reveal();
    // RFC 6750 §2.1 allows less still; what matters is that nothing breaks out of the header.
    if text.is_empty() || text.len() > longest || !text.bytes().all(|byte| byte.is_ascii_graphic()) {
        return None;
    }
    // Without a word, or with less, a token lives for 60 seconds (the distribution project's token
    // specification); a little is kept for the way.
    let seconds = answered.expires_in.unwrap_or(60.0).clamp(60.0, 3600.0);
    let header = sensitive(&format!("Bearer {text}"))?;
    Some((header, Duration::from_secs_f64(seconds * 0.9)))
}

fn host_of(url: &Url) -> &str {
    url.host_str().unwrap_or_default().trim_start_matches('[').trim_end_matches(']')
}

/// Whether a token service may see the registry's credentials: it is the registry itself, by host and port,
/// or at HTTPS's own port beside it, as GitLab's is; a pair that is known; or the registry's parent domain,
/// as gitlab.com is of registry.gitlab.com. Sisters are not: under azurecr.io they are strangers. Other ports
/// of the host do not count: any user of the host can listen at one.
fn belongs(registry: &Registry, realm: &Url) -> bool {
    let host = registry.host();
    let address = |text: &str| text.parse::<std::net::IpAddr>().is_ok();
    let named = host_of(realm);
    let https = realm.scheme() == "https" && realm.port_or_known_default() == Some(443);
    let own_port = registry.as_str().rsplit_once(':').and_then(|(_, port)| port.parse::<u16>().ok());
    let port = realm.port_or_known_default();
    if named == host {
        return https || port == own_port || (own_port.is_none() && port == Some(80));
    }
    let parent = host.split_once('.').is_some_and(|(_, parent)| parent == named);
    https
        && ((host == "docker.io" && named == "auth.docker.io")
            || (parent && !address(named) && !address(host) && named.contains('.')))
}

/// Refuses what is no header, and keeps the value out of debug output.
fn sensitive(text: &str) -> Option<HeaderValue> {
    let mut header = HeaderValue::from_str(text).ok().filter(|_| text.len() <= LONGEST_HEADER)?;
    header.set_sensitive(true);
    Some(header)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn credentials_are_shown_to_their_own_host_only() {
        for (registry, realm, allowed) in [
            ("r.example", "https://r.example/token", true),
            ("r.example", "http://r.example/token", true),
            ("r.example:5000", "https://r.example:5000/token", true),
            ("r.example:5000", "https://r.example/jwt/auth", true),
            ("r.example:5000", "http://r.example:5000/token", true),
            ("r.example:5000", "https://r.example:5001/token", false),
            ("r.example:5000", "http://r.example/token", false),
            ("r.example", "https://r.example:8443/token", false),
            ("[fd00::1]:5000", "https://[fd00::1]:5000/token", true),
            ("docker.io", "https://auth.docker.io/token", true),
            ("docker.io", "https://auth.docker.io:8443/token", false),
            ("registry.gitlab.com", "https://gitlab.com/jwt/auth", true),
            ("registry.gitlab.com", "https://gitlab.com:8443/jwt/auth", false),
            ("mine.azurecr.io", "https://yours.azurecr.io/token", false),
            ("r.example", "https://example/token", false),
            ("r.example", "https://evil.example/token", false),
            ("r.example", "https://r.example.evil.example/token", false),
            ("10.0.0.1", "https://0.0.1/token", false),
            ("docker.io", "https://auth.docker.io.evil.example/token", false),
        ] {
            let realm = realm.parse().unwrap();
            assert_eq!(belongs(&registry.parse().unwrap(), &realm), allowed, "{registry} {realm}");
        }
    }

    #[test]
    fn tokens_that_break_out_of_a_header_are_refused() {
        let lifetime = |body: &str| read_token(body.as_bytes(), 100).map(|(_, lifetime)| lifetime.as_secs());
        assert_eq!(lifetime(r#"{"token":"a.b-c"}"#), Some(54));
        assert_eq!(lifetime(r#"{"token":"","access_token":"a","expires_in":100}"#), Some(90));
        assert_eq!(lifetime(r#"{"token":"a","expires_in":1e300}"#), Some(3240));
        assert_eq!(lifetime(r#"{"token":"a","expires_in":-5}"#), Some(54));
        for bad in [r#"{"token":"a\r\nX: y"}"#, r#"{"token":"a b"}"#, r#"{"token":"é"}"#, "{}", "[]", ""] {
            assert_eq!(lifetime(bad), None, "{bad}");
        }
        assert_eq!(lifetime(&format!(r#"{{"token":"{}"}}"#, "a".repeat(101))), None);
    }

    #[test]
    fn a_mount_asks_for_both_repositories() {
        let scope = Scope::push(&"z/to".parse().unwrap()).and_pull(&"a/from".parse().unwrap());
        let texts: Vec<String> = scope.texts().collect();
        assert_eq!(texts, ["repository:a/from:pull", "repository:z/to:pull,push"]);
        assert_eq!(scope.repository(), "z/to");
    }
}
