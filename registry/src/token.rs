use std::collections::{BTreeMap, HashMap};
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use base64::Engine as _;
use bundle_oci::{Registry, RepositoryName};
use reqwest::Url;
use reqwest::header::HeaderValue;
use serde::Deserialize;

use crate::challenge::Challenge;
use crate::credentials::Credential;
use crate::secret::Secret;
use crate::{Client, CredentialStore, Error};

/// What a request needs to be allowed to do: actions on repositories (the distribution project's
/// token scope documentation).
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

    /// The repository whose namespace chooses the credential.
    fn repository(&self) -> &str {
        self.0.keys().next().map_or("", String::as_str)
    }
}

/// Knows how each registry wants to be asked, and keeps its tokens.
pub(crate) struct Authenticator {
    credentials: CredentialStore,
    challenges: Mutex<HashMap<Registry, Challenge>>,
    /// One lock for each scope, held while its token is fetched, so that all tasks share one
    /// request.
    tokens: Mutex<HashMap<(Registry, Scope), TokenSlot>>,
}

type TokenSlot = Arc<tokio::sync::Mutex<Option<Token>>>;

#[derive(Clone)]
struct Token {
    header: HeaderValue,
    expires: Instant,
}

/// The header that a request is to carry.
pub(crate) struct Authorization {
    pub(crate) header: Option<HeaderValue>,
    pub(crate) anonymous: bool,
}

impl Authenticator {
    pub(crate) fn new(credentials: CredentialStore) -> Self {
        Self { credentials, challenges: Mutex::default(), tokens: Mutex::default() }
    }

    /// Remembers how a registry wants to be asked; true if that is news or the token it refused
    /// could be replaced.
    pub(crate) async fn challenged(&self, registry: &Registry, scope: &Scope, challenge: Challenge) {
        lock(&self.challenges).insert(registry.clone(), challenge);
        let slot = lock(&self.tokens).get(&(registry.clone(), scope.clone())).cloned();
        if let Some(slot) = slot {
            *slot.lock().await = None;
        }
    }
}

fn lock<T>(mutex: &Mutex<T>) -> std::sync::MutexGuard<'_, T> {
    // The maps stay whole even if a thread panics between two statements.
    mutex.lock().unwrap_or_else(std::sync::PoisonError::into_inner)
}

impl Client {
    /// The header for a request to `registry`, as far as is known how it wants to be asked.
    pub(crate) async fn authorization(
        &self,
        registry: &Registry,
        scope: &Scope,
    ) -> Result<Authorization, Error> {
        let auth = &self.inner.auth;
        let challenge = lock(&auth.challenges).get(registry).cloned();
        match challenge {
            None => Ok(Authorization { header: None, anonymous: true }),
            Some(Challenge::Basic) => {
                let credential = auth.credentials.find(registry.as_str(), scope.repository()).await?;
                let header = match &credential {
                    Some(Credential::Password { user, password }) => Some(basic(registry, user, password)?),
                    Some(Credential::IdentityToken(_)) | None => None,
                };
                Ok(Authorization { anonymous: header.is_none(), header })
            }
            Some(Challenge::Bearer { realm, service }) => {
                let slot = lock(&auth.tokens).entry((registry.clone(), scope.clone())).or_default().clone();
                let mut slot = slot.lock().await;
                let credential = auth.credentials.find(registry.as_str(), scope.repository()).await?;
                let anonymous = credential.is_none();
                if let Some(token) = slot.as_ref().filter(|token| Instant::now() < token.expires) {
                    return Ok(Authorization { header: Some(token.header.clone()), anonymous });
                }
                let token = self.fetch_token(registry, scope, &realm, service.as_deref(), credential).await?;
                let header = token.header.clone();
                *slot = Some(token);
                Ok(Authorization { header: Some(header), anonymous })
            }
        }
    }

    async fn fetch_token(
        &self,
        registry: &Registry,
        scope: &Scope,
        realm: &str,
        service: Option<&str>,
        credential: Option<Credential>,
    ) -> Result<Token, Error> {
        #[derive(Deserialize)]
        struct Answered {
            token: Option<String>,
            access_token: Option<String>,
            expires_in: Option<u64>,
        }

        let refuse = |why| Error::Realm { host: registry.to_string(), realm: realm.to_owned(), why };
        let mut url: Url = realm.parse().map_err(|_| refuse("it is not an address"))?;
        if url.scheme() != "https" && !(url.scheme() == "http" && self.may_be_plain(&url)) {
            return Err(refuse("it is not https"));
        }
        if !url.username().is_empty() || url.password().is_some() {
            return Err(refuse("it carries a user name"));
        }
        // The scheme guards the secret on the way; this rule guards it from the wrong receiver.
        let credential = match credential {
            Some(credential) if self.belongs(registry, &url) => Some(credential),
            Some(_) => return Err(refuse("the credentials are for another host")),
            None => None,
        };
        let request = match credential {
            Some(Credential::IdentityToken(token)) => {
                let scopes: Vec<String> = scope.texts().collect();
                let mut form = Url::parse("form:").map_err(|_| refuse("it is not an address"))?;
                form.query_pairs_mut()
                    .append_pair("grant_type", "refresh_token")
                    .append_pair("client_id", "bundle")
                    .append_pair("service", service.unwrap_or_default())
                    .append_pair("scope", &scopes.join(" "))
                    .append_pair("refresh_token", token.reveal());
                self.inner
                    .http
                    .post(url)
                    .header("Content-Type", "application/x-www-form-urlencoded")
                    .body(form.query().unwrap_or_default().to_owned())
            }
            other => {
                {
                    let mut pairs = url.query_pairs_mut();
                    if let Some(service) = service {
                        pairs.append_pair("service", service);
                    }
                    for scope in scope.texts() {
                        pairs.append_pair("scope", &scope);
                    }
                }
                let request = self.inner.http.get(url);
                match other {
                    Some(Credential::Password { user, password }) => {
                        request.header("Authorization", basic(registry, &user, &password)?)
                    }
                    _ => request,
                }
            }
        };
        let response = self.send(registry.as_str(), request).await?;
        if response.status() != 200 {
            return Err(self.answer(registry.as_str(), "give a token", true, response).await);
        }
        let misbehaved =
            || Error::Misbehaved { host: registry.to_string(), what: "its token cannot be used".to_owned() };
        let body = self.body(registry.as_str(), response, self.inner.limits.body).await?;
        let answered: Answered = serde_json::from_slice(&body).map_err(|_| misbehaved())?;
        let text = answered
            .token
            .filter(|text| !text.is_empty())
            .or(answered.access_token)
            .ok_or_else(misbehaved)?;
        let text = Secret::new(text);
        let header = sensitive(&format!("Bearer {}", text.reveal())).ok_or_else(misbehaved)?;
        // Without a word, a token lives for 60 seconds; a little less is kept for the way.
        let lifetime = answered.expires_in.unwrap_or(60).clamp(20, 3600) - 10;
        Ok(Token { header, expires: Instant::now() + Duration::from_secs(lifetime) })
    }

    /// Whether a token service may see the registry's credentials: it is the registry's own host,
    /// Docker Hub's, the registry's parent domain, or one with an entry of its own.
    fn belongs(&self, registry: &Registry, realm: &Url) -> bool {
        let realm = realm.host_str().unwrap_or_default().trim_start_matches('[').trim_end_matches(']');
        let host = registry.host();
        realm == host
            || (host == "docker.io" && realm == "auth.docker.io")
            || (realm.contains('.') && host.ends_with(&format!(".{realm}")))
            || self.inner.auth.credentials.knows(realm)
    }
}

fn basic(registry: &Registry, user: &str, password: &Secret) -> Result<HeaderValue, Error> {
    let pair = Secret::new(format!("{user}:{}", password.reveal()));
    let encoded = base64::engine::general_purpose::STANDARD.encode(pair.reveal());
    sensitive(&format!("Basic {encoded}")).ok_or_else(|| Error::Misbehaved {
        host: registry.to_string(),
        what: "its credentials cannot be sent".to_owned(),
    })
}

/// Refuses line breaks, and keeps the value out of debug output.
fn sensitive(text: &str) -> Option<HeaderValue> {
    let mut header = HeaderValue::from_str(text).ok().filter(|_| text.len() <= 64 << 10)?;
    header.set_sensitive(true);
    Some(header)
}
