use std::collections::{HashMap, HashSet};
use std::fmt;
use std::path::Path;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use backon::BackoffBuilder;
use bundle_oci::{Registry, RepositoryName};
use reqwest::Method;

use crate::redirect::CarefulResolver;
use crate::token::{Authenticator, Scope};
use crate::{CredentialStore, Error, Limits};

/// A client for any number of registries, cheap to clone.
#[derive(Clone)]
pub struct Client {
    pub(crate) inner: Arc<Inner>,
}

pub(crate) struct Inner {
    pub(crate) http: reqwest::Client,
    /// Follows redirects to hosts that a registry chose: resolves names carefully.
    pub(crate) elsewhere: reqwest::Client,
    pub(crate) limits: Limits,
    pub(crate) auth: Authenticator,
    plain_http: HashSet<Registry>,
    mirrors: HashMap<Registry, (Registry, Option<RepositoryName>)>,
    on_retry: Option<RetryListener>,
    /// Hosts that answered the referrers API with 404.
    pub(crate) without_referrers: Mutex<HashSet<Registry>>,
}

type RetryListener = Box<dyn Fn(&Retry<'_>) + Send + Sync>;

/// An attempt that failed and will be made again.
#[derive(Debug)]
pub struct Retry<'a> {
    /// The registry.
    pub host: &'a str,
    /// Why the attempt failed.
    pub cause: &'a Error,
    /// How long until the next one.
    pub wait: Duration,
}

/// How a [`Client`] is set up.
#[derive(Default)]
pub struct ClientBuilder {
    limits: Limits,
    plain_http: HashSet<Registry>,
    certificates: Vec<reqwest::Certificate>,
    mirrors: HashMap<Registry, (Registry, Option<RepositoryName>)>,
    credentials: CredentialStore,
    on_retry: Option<RetryListener>,
}

impl ClientBuilder {
    /// Replaces the limits.
    #[must_use]
    pub fn limits(mut self, limits: Limits) -> Self {
        self.limits = limits;
        self
    }

    /// Allows a registry to be spoken to without encryption. This machine itself always is.
    #[must_use]
    pub fn plain_http(mut self, registry: Registry) -> Self {
        self.plain_http.insert(registry);
        self
    }

    /// Trusts the certificates in a PEM file besides the system's.
    ///
    /// # Errors
    /// The file cannot be read or has no certificate.
    pub fn ca_file(mut self, path: &Path) -> std::io::Result<Self> {
        let pem = std::fs::read(path)?;
        let certificates = reqwest::Certificate::from_pem_bundle(&pem)
            .map_err(|error| std::io::Error::new(std::io::ErrorKind::InvalidData, error))?;
        if certificates.is_empty() {
            return Err(std::io::Error::new(std::io::ErrorKind::InvalidData, "no certificate in PEM"));
        }
        self.certificates.extend(certificates);
        Ok(self)
    }

    /// Reads what is asked of `registry` from another one first, below `prefix` there.
    #[must_use]
    pub fn mirror(mut self, registry: Registry, to: Registry, prefix: Option<RepositoryName>) -> Self {
        self.mirrors.insert(registry, (to, prefix));
        self
    }

    /// Shows registries these credentials.
    #[must_use]
    pub fn credentials(mut self, credentials: CredentialStore) -> Self {
        self.credentials = credentials;
        self
    }

    /// Tells of each attempt that failed and will be made again.
    #[must_use]
    pub fn on_retry(mut self, tell: impl Fn(&Retry<'_>) + Send + Sync + 'static) -> Self {
        self.on_retry = Some(Box::new(tell));
        self
    }

    /// The client.
    ///
    /// # Errors
    /// [`Error::Setup`]: the system's certificates or proxies cannot be used.
    pub fn build(self) -> Result<Client, Error> {
        let http = || {
            // One connection per blob: HTTP/2 would share one window among all of them.
            reqwest::Client::builder()
                .http1_only()
                .redirect(reqwest::redirect::Policy::none())
                .retry(reqwest::retry::never())
                .referer(false)
                .connect_timeout(self.limits.connect)
                .tcp_keepalive(Duration::from_secs(30))
                .pool_max_idle_per_host(256)
                .user_agent(concat!("bundle/", env!("CARGO_PKG_VERSION")))
                .tls_certs_merge(self.certificates.clone())
        };
        let elsewhere = http().dns_resolver(Arc::new(CarefulResolver)).build().map_err(Error::Setup)?;
        let http = http().build().map_err(Error::Setup)?;
        let inner = Inner {
            http,
            elsewhere,
            limits: self.limits,
            auth: Authenticator::new(self.credentials),
            plain_http: self.plain_http,
            mirrors: self.mirrors,
            on_retry: self.on_retry,
            without_referrers: Mutex::default(),
        };
        Ok(Client { inner: Arc::new(inner) })
    }
}

impl Client {
    /// A client to be set up.
    pub fn builder() -> ClientBuilder {
        ClientBuilder::default()
    }

    /// Asks whether the registry is one and accepts our credentials (distribution-spec
    /// §Determining Support).
    ///
    /// # Errors
    /// Any [`Error`]; a host that is no registry answers with something else than 200.
    pub async fn ping(&self, registry: &Registry) -> Result<(), Error> {
        self.retrying(registry, || async {
            let request = self.request(Method::GET, registry, "", Scope::none(), "answer as a registry");
            self.expect(request, &[200]).await.map(drop)
        })
        .await
    }

    /// `https`, or `http` for this machine and where it was allowed.
    pub(crate) fn scheme(&self, registry: &Registry) -> &'static str {
        if registry.is_loopback() || self.inner.plain_http.contains(registry) { "http" } else { "https" }
    }

    /// Whether an address with this host may be spoken to without encryption.
    pub(crate) fn may_be_plain(&self, url: &reqwest::Url) -> bool {
        let host = url.host_str().unwrap_or_default();
        let text = url.port().map_or(host.to_owned(), |port| format!("{host}:{port}"));
        text.parse::<Registry>().is_ok_and(|registry| self.scheme(&registry) == "http")
    }

    /// Where a repository is read from, in order: the mirror, then the registry itself.
    pub(crate) fn places(
        &self,
        registry: &Registry,
        repository: &RepositoryName,
    ) -> Vec<(Registry, RepositoryName)> {
        let mirror = self.inner.mirrors.get(registry).and_then(|(to, prefix)| match prefix {
            Some(prefix) => repository.under(prefix.as_str()).ok().map(|path| (to.clone(), path)),
            None => Some((to.clone(), repository.clone())),
        });
        mirror.into_iter().chain([(registry.clone(), repository.clone())]).collect()
    }

    /// Reads from the first place that has what is asked for.
    pub(crate) async fn at_places<T, F: Future<Output = Result<T, Error>>>(
        &self,
        registry: &Registry,
        repository: &RepositoryName,
        read: impl Fn(Registry, RepositoryName) -> F,
    ) -> Result<T, Error> {
        let mut places = self.places(registry, repository).into_iter();
        let mut answer = None;
        for (host, path) in places.by_ref() {
            match self.retrying(&host, || read(host.clone(), path.clone())).await {
                Ok(found) => return Ok(found),
                // The last place is the registry itself, whose answer counts.
                Err(error) => answer = Some(error),
            }
        }
        Err(answer.expect("the registry itself is always among the places"))
    }

    /// Makes attempts until one succeeds, fails for good, or there were too many.
    pub(crate) async fn retrying<T, F: Future<Output = Result<T, Error>>>(
        &self,
        registry: &Registry,
        attempt: impl Fn() -> F,
    ) -> Result<T, Error> {
        let mut waits = self.waits();
        loop {
            match attempt().await {
                Err(error) if error.is_retryable() => match waits.next() {
                    Some(wait) => self.wait(registry, &error, wait).await,
                    None => return Err(error),
                },
                done => return done,
            }
        }
    }

    /// The waits between attempts: exponential, with jitter.
    pub(crate) fn waits(&self) -> backon::ExponentialBackoff {
        backon::ExponentialBuilder::new()
            .with_min_delay(self.inner.limits.backoff)
            .with_max_delay(self.inner.limits.longest_wait)
            .with_max_times(self.inner.limits.attempts)
            .with_jitter()
            .build()
    }

    /// Waits as long as the registry asks to, or else as long as planned.
    pub(crate) async fn wait(&self, registry: &Registry, cause: &Error, planned: Duration) {
        let wait = cause.retry_after().unwrap_or(planned).min(self.inner.limits.longest_wait);
        if let Some(tell) = &self.inner.on_retry {
            tell(&Retry { host: registry.as_str(), cause, wait });
        }
        tokio::time::sleep(wait).await;
    }
}

impl fmt::Debug for Client {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Client")
    }
}
