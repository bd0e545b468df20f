//! The client and how it is set up: connections, schemes, mirrors. Takes settings, gives a
//! [`Client`] that is cheap to clone and shared by all tasks.

use std::collections::{HashMap, HashSet};
use std::fmt;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use bundle_oci::{Digest, Registry, RepositoryName};
use bytes::Bytes;
use reqwest::Url;
use rustls::pki_types::CertificateDer;

use crate::cache::ContentCache;
use crate::certificate;
use crate::host_certificates::HostCertificates;
use crate::limits::LARGEST_CA_FILE;
use crate::line::certificate_times;
use crate::line::{Lines, Passes};
use crate::lock::lock;
use crate::redirect::{self, CarefulResolver};
use crate::target::{Target, Targets};
use crate::token::Authenticator;
use crate::transport::authority;
use crate::{CredentialStore, Error, Fallback, Limits, Proxies, RateLimit, Retry, Routes, Stop};

/// A client for any number of registries, cheap to clone.
#[derive(Clone)]
pub struct Client {
    pub(crate) inner: Arc<Inner>,
}

pub(crate) struct Inner {
    connections: Connections,
    connector: Connector,
    /// The connections to hosts that have certificates of their own, or none.
    own_connections: Mutex<HashMap<String, Option<Connections>>>,
    pub(crate) limits: Limits,
    pub(crate) stop: Stop,
    pub(crate) proxies: Proxies,
    pub(crate) auth: Authenticator,
    plain_http: HashSet<Registry>,
    https: HashSet<Registry>,
    /// Whether certificates were given, so that even this machine may speak HTTPS.
    own_certificates: bool,
    /// Which of this machine's registries were found to speak HTTPS.
    local_https: Mutex<HashMap<Registry, bool>>,
    pub(crate) routes: Routes,
    pub(crate) cache: Option<ContentCache>,
    /// The last rate limit of each registry.
    pub(crate) rate_limits: Mutex<HashMap<Registry, RateLimit>>,
    pub(crate) lines: Lines,
    pub(crate) passes: Passes,
    pub(crate) targets: Targets,
    pub(crate) on_retry: Box<dyn Fn(&Retry<'_>) + Send + Sync>,
    pub(crate) on_fallback: Box<dyn Fn(&Fallback<'_>) + Send + Sync>,
    /// Hosts that have no referrers API.
    pub(crate) without_referrers: Mutex<HashSet<Registry>>,
    /// Registries that refuse to mount a blob from its own repository.
    pub(crate) without_mount: Mutex<HashSet<Registry>>,
    /// The shortest time to the head of an answer, by host.
    pub(crate) round_trips: Mutex<HashMap<String, Duration>>,
    /// Pages of lists that may be in memory.
    pub(crate) lists: tokio::sync::Semaphore,
    /// Hosts that have answered, with any status.
    pub(crate) answered: Mutex<HashSet<String>>,
    /// Registries behind a mirror that cannot be reached themselves.
    pub(crate) unreachable: Mutex<HashSet<Registry>>,
}

/// Connections that trust the same certificates.
#[derive(Clone)]
struct Connections {
    http: reqwest::Client,
    /// For this machine itself, past any proxy.
    local: reqwest::Client,
    /// Follows redirects to hosts that a registry chose: resolves names carefully.
    elsewhere: reqwest::Client,
}

/// The settings of connections.
struct Connector {
    agent: String,
    limits: Limits,
    proxies: Proxies,
    certificates: Vec<CertificateDer<'static>>,
    /// Where certificates of single hosts are.
    directories: Vec<PathBuf>,
}

impl Connector {
    /// Connections that trust what was given and what belongs to one host.
    fn connect(&self, own: Option<HostCertificates>) -> Result<Connections, Error> {
        let mut certificates = self.certificates.clone();
        let identity = own.and_then(|own| {
            certificates.extend(own.roots);
            own.identity
        });
        let tls = certificate::client_config(&certificates, identity).map_err(Error::Certificates)?;
        let proxy = || {
            let proxies = self.proxies.clone();
            reqwest::Proxy::custom(move |url| proxies.proxy_for(url).cloned())
        };
        let http = || {
            // One connection per blob: HTTP/2 would share one window among all of them. Digests
            // describe the bytes on the wire, so nothing may be unpacked on the way, whichever
            // features another crate switches on.
            reqwest::Client::builder()
                .http1_only()
                .no_gzip()
                .no_brotli()
                .no_zstd()
                .no_deflate()
                .redirect(reqwest::redirect::Policy::none())
                .retry(reqwest::retry::never())
                .no_proxy()
                .referer(false)
                .connect_timeout(self.limits.connect)
                .tcp_keepalive(Duration::from_secs(30))
                .pool_max_idle_per_host(256)
                .user_agent(&self.agent)
                .tls_backend_preconfigured(tls.clone())
        };
        Ok(Connections {
            http: http().proxy(proxy()).build().map_err(Error::Setup)?,
            local: http().build().map_err(Error::Setup)?,
            elsewhere: http()
                .proxy(proxy())
                .dns_resolver(Arc::new(CarefulResolver))
                .build()
                .map_err(Error::Setup)?,
        })
    }
}

/// How a [`Client`] is set up.
pub struct ClientBuilder {
    limits: Limits,
    stop: Stop,
    proxies: Proxies,
    plain_http: HashSet<Registry>,
    https: HashSet<Registry>,
    certificates: Vec<CertificateDer<'static>>,
    routes: Routes,
    mirrors: Vec<(Registry, Registry, Option<RepositoryName>)>,
    targets: HashMap<Registry, Target>,
    certificate_directories: Vec<PathBuf>,
    cache: Option<PathBuf>,
    credentials: CredentialStore,
    user_agent: Option<String>,
    on_retry: Box<dyn Fn(&Retry<'_>) + Send + Sync>,
    on_fallback: Box<dyn Fn(&Fallback<'_>) + Send + Sync>,
}

impl ClientBuilder {
    /// Replaces the limits.
    #[must_use]
    pub fn limits(mut self, limits: Limits) -> Self {
        self.limits = limits;
        self
    }

    /// Ends everything when it is asked to: what waits for a registry then fails with
    /// [`Error::Interrupted`], and nothing more is sent.
    #[must_use]
    pub fn stop(mut self, stop: Stop) -> Self {
        self.stop = stop;
        self
    }

    /// Speaks to registries through proxies. By default, no proxy is used.
    #[must_use]
    pub fn proxies(mut self, proxies: Proxies) -> Self {
        self.proxies = proxies;
        self
    }

    /// Allows a registry to be spoken to without encryption. This machine itself always is, unless
    /// [`ClientBuilder::https`] says otherwise; once certificates are given, it is first asked
    /// whether it speaks HTTPS.
    #[must_use]
    pub fn plain_http(mut self, registry: Registry) -> Self {
        self.plain_http.insert(registry);
        self
    }

    /// Speaks HTTPS to a registry even if it is on this machine.
    #[must_use]
    pub fn https(mut self, registry: Registry) -> Self {
        self.https.insert(registry);
        self
    }

    /// Trusts the certificates in a PEM file besides the system's.
    ///
    /// # Errors
    /// The file cannot be read or has no certificate.
    pub fn ca_file(self, path: &Path) -> std::io::Result<Self> {
        self.ca_pem(&bundle_os::read(path, LARGEST_CA_FILE)?)
    }

    /// Trusts certificates in PEM besides the system's.
    ///
    /// # Errors
    /// There is no certificate, or one that is not valid.
    pub fn ca_pem(mut self, pem: &[u8]) -> std::io::Result<Self> {
        let certificates = certificate::from_pem(pem)
            .map_err(|error| std::io::Error::new(std::io::ErrorKind::InvalidData, error))?;
        if certificates.is_empty() {
            return Err(std::io::Error::new(std::io::ErrorKind::InvalidData, "no certificate in PEM"));
        }
        self.certificates.extend(certificates);
        Ok(self)
    }

    /// Looks into these directories for a registry's own certificates, in `HOST` or `HOST:PORT`
    /// below them: `*.crt` are trusted for that registry, and it is shown `*.cert` with the `*.key`
    /// of the same name. The first directory that has one for the registry counts.
    #[must_use]
    pub fn certificate_directories(mut self, directories: Vec<PathBuf>) -> Self {
        self.certificate_directories = directories;
        self
    }

    /// Reads repositories from where these routes lead. A mirror that is given by itself counts more.
    #[must_use]
    pub fn routes(mut self, routes: Routes) -> Self {
        self.routes = routes;
        self
    }

    /// Reads what is asked of `registry` from another one first, below `prefix` there. Nothing is
    /// pushed to a mirror.
    #[must_use]
    pub fn mirror(mut self, registry: Registry, to: Registry, prefix: Option<RepositoryName>) -> Self {
        self.mirrors.push((registry, to, prefix));
        self
    }

    /// Says how a registry is used that is pushed to.
    #[must_use]
    pub fn target(mut self, registry: Registry, target: Target) -> Self {
        self.targets.insert(registry, target);
        self
    }

    /// Keeps manifests and what [`Client::keep`] is given in a directory across runs. A tag is then
    /// looked up before its manifest is fetched, which registries with limits do not count.
    #[must_use]
    pub fn cache(mut self, directory: impl Into<PathBuf>) -> Self {
        self.cache = Some(directory.into());
        self
    }

    /// Shows registries these credentials.
    #[must_use]
    pub fn credentials(mut self, credentials: CredentialStore) -> Self {
        self.credentials = credentials;
        self
    }

    /// Names the program to registries, instead of `bundle/` and the version.
    #[must_use]
    pub fn user_agent(mut self, name: impl Into<String>) -> Self {
        self.user_agent = Some(name.into());
        self
    }

    /// Reports each failed attempt that will be repeated.
    #[must_use]
    pub fn on_retry(mut self, tell: impl Fn(&Retry<'_>) + Send + Sync + 'static) -> Self {
        self.on_retry = Box::new(tell);
        self
    }

    /// Reports each time that a mirror, or the registry behind it, could not be read from.
    #[must_use]
    pub fn on_fallback(mut self, tell: impl Fn(&Fallback<'_>) + Send + Sync + 'static) -> Self {
        self.on_fallback = Box::new(tell);
        self
    }

    /// The client.
    ///
    /// # Errors
    /// [`Error::Certificates`] or [`Error::Setup`]: certificates or proxies cannot be used.
    pub fn build(self) -> Result<Client, Error> {
        let mut routes = self.routes;
        for (registry, to, prefix) in self.mirrors {
            routes.mirror(registry, to, prefix);
        }
        let own_certificates = !self.certificates.is_empty();
        let agent =
            self.user_agent.unwrap_or_else(|| concat!("bundle/", env!("CARGO_PKG_VERSION")).to_owned());
        let connector = Connector {
            agent,
            limits: self.limits,
            proxies: self.proxies.clone(),
            certificates: self.certificates,
            directories: self.certificate_directories,
        };
        let inner = Inner {
            connections: connector.connect(None)?,
            connector,
            own_connections: Mutex::default(),
            limits: self.limits,
            stop: self.stop,
            proxies: self.proxies,
            auth: Authenticator::new(self.credentials),
            plain_http: self.plain_http,
            https: self.https,
            own_certificates,
            local_https: Mutex::default(),
            routes,
            cache: self.cache.map(|directory| ContentCache::new(directory, self.limits.cache)),
            rate_limits: Mutex::default(),
            lines: Lines::new(self.limits),
            passes: Passes::default(),
            targets: Targets::new(self.targets),
            on_retry: self.on_retry,
            on_fallback: self.on_fallback,
            without_referrers: Mutex::default(),
            without_mount: Mutex::default(),
            round_trips: Mutex::default(),
            lists: tokio::sync::Semaphore::new(crate::limits::LISTS_AT_ONCE),
            answered: Mutex::default(),
            unreachable: Mutex::default(),
        };
        Ok(Client { inner: Arc::new(inner) })
    }
}

impl Client {
    /// A client to be set up.
    pub fn builder() -> ClientBuilder {
        ClientBuilder::default()
    }

    /// What ends this client early.
    pub fn stop(&self) -> &Stop {
        &self.inner.stop
    }

    /// Returns the content that an earlier run kept for a digest, if it is right and has at most `largest`
    /// bytes.
    pub fn kept(&self, digest: Digest, largest: u64) -> Option<Bytes> {
        let kept = self.inner.cache.as_ref()?.get(digest, largest)?;
        tracing::debug!(digest = %digest, bytes = kept.len(), "cache hit");
        Some(kept)
    }

    /// Keeps content for later runs, if there is a place. Its digest must have been checked.
    pub fn keep(&self, digest: Digest, bytes: &[u8]) {
        if let Some(cache) = &self.inner.cache {
            cache.put(digest, bytes);
        }
    }

    /// Returns the last note under a name, if there is a cache, of at most `largest` bytes. Its content is
    /// not verified.
    pub fn noted(&self, name: &str, largest: u64) -> Option<Bytes> {
        self.inner.cache.as_ref()?.noted(name, largest)
    }

    /// Notes something for later runs, if there is a place, instead of what was there.
    pub fn note(&self, name: &str, bytes: &[u8]) {
        if let Some(cache) = &self.inner.cache {
            cache.note(name, bytes);
        }
    }

    /// How long a registry took at least from a request to the head of its answer, if it has answered.
    pub fn round_trip(&self, registry: &Registry) -> Option<Duration> {
        lock(&self.inner.round_trips).get(registry.as_str()).copied()
    }

    /// The last rate limit that a registry announced.
    pub fn rate_limit(&self, registry: &Registry) -> Option<RateLimit> {
        lock(&self.inner.rate_limits).get(registry).copied()
    }

    /// Which of the connections serves an address that was not chosen by a registry.
    pub(crate) fn http(&self, url: &Url) -> Result<reqwest::Client, Error> {
        let Connections { http, local, .. } = self.connections(url)?;
        Ok(if redirect::is_loopback(url) { local } else { http })
    }

    /// Which of the connections serves an address that a registry redirects to.
    pub(crate) fn elsewhere(&self, url: &Url) -> Result<reqwest::Client, Error> {
        let Connections { local, elsewhere, .. } = self.connections(url)?;
        Ok(if redirect::is_loopback(url) { local } else { elsewhere })
    }

    fn connections(&self, url: &Url) -> Result<Connections, Error> {
        let inner = &self.inner;
        if url.scheme() != "https" || inner.connector.directories.is_empty() {
            return Ok(inner.connections.clone());
        }
        let host = authority(url);
        let mut own = lock(&inner.own_connections);
        let found = match own.get(&host) {
            Some(known) => known.clone(),
            None => {
                let hub = if host == "registry-1.docker.io" { "docker.io" } else { host.as_str() };
                let found = HostCertificates::find(&inner.connector.directories, &[hub, host.as_str()])?;
                let made = found.map(|found| inner.connector.connect(Some(found))).transpose()?;
                own.insert(host, made.clone());
                made
            }
        };
        Ok(found.unwrap_or_else(|| inner.connections.clone()))
    }

    /// The TLS configuration of connections to a host, and what notes the times of its certificate.
    pub(crate) fn watched_tls(
        &self,
        host: &str,
    ) -> Result<(rustls::ClientConfig, Arc<certificate_times::Watch>), Error> {
        let connector = &self.inner.connector;
        let mut certificates = connector.certificates.clone();
        let own = HostCertificates::find(&connector.directories, &[host])?;
        let identity = own.and_then(|own| {
            certificates.extend(own.roots);
            own.identity
        });
        certificate_times::watched_config(&certificates, identity).map_err(Error::Certificates)
    }

    /// Whether there are certificates for a registry of this machine, which then may speak HTTPS.
    fn has_certificates(&self, registry: &Registry) -> bool {
        let inner = &self.inner;
        inner.own_certificates
            || matches!(
                HostCertificates::find(&inner.connector.directories, &[registry.as_str()]),
                Ok(Some(_)) | Err(_)
            )
    }

    /// `https`, or `http` for this machine and where it was allowed.
    pub(crate) async fn scheme(&self, registry: &Registry) -> &'static str {
        if !self.allows_plain(registry) {
            return "https";
        }
        let asked = self.has_certificates(registry) || self.inner.routes.is_insecure(registry);
        if self.inner.plain_http.contains(registry) || !asked {
            return "http";
        }
        let known = lock(&self.inner.local_https).get(registry).copied();
        let encrypted = match known {
            Some(encrypted) => encrypted,
            None => {
                let Ok(url) = format!("https://{}/v2/", registry.endpoint()).parse::<Url>() else {
                    return "https";
                };
                // The request itself reports a certificate that cannot be used.
                let Ok(http) = self.http(&url) else { return "https" };
                let encrypted = match self.send(registry.as_str(), http.get(url)).await {
                    Ok(_) | Err(Error::Certificate { .. }) => true,
                    Err(Error::PlainHttp { .. }) => false,
                    // The request itself will fail and report it.
                    Err(_) => return "http",
                };
                lock(&self.inner.local_https).insert(registry.clone(), encrypted);
                encrypted
            }
        };
        if encrypted { "https" } else { "http" }
    }

    /// Whether an address with this host may be spoken to without encryption.
    pub(crate) fn may_be_plain(&self, url: &Url) -> bool {
        let host = url.host_str().unwrap_or_default();
        let text = url.port().map_or(host.to_owned(), |port| format!("{host}:{port}"));
        text.parse::<Registry>().is_ok_and(|registry| self.allows_plain(&registry))
    }

    fn allows_plain(&self, registry: &Registry) -> bool {
        let allowed = registry.is_loopback()
            || self.inner.plain_http.contains(registry)
            || self.inner.routes.is_insecure(registry);
        allowed && !self.inner.https.contains(registry)
    }
}

impl fmt::Debug for Client {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Client")
    }
}

impl Default for ClientBuilder {
    fn default() -> Self {
        Self {
            limits: Limits::default(),
            stop: Stop::default(),
            proxies: Proxies::default(),
            plain_http: HashSet::new(),
            https: HashSet::new(),
            certificates: Vec::new(),
            routes: Routes::default(),
            mirrors: Vec::new(),
            targets: HashMap::new(),
            certificate_directories: Vec::new(),
            cache: None,
            credentials: CredentialStore::default(),
            user_agent: None,
            on_retry: Box::new(|_| {}),
            on_fallback: Box::new(|_| {}),
        }
    }
}

impl fmt::Debug for ClientBuilder {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("ClientBuilder")
    }
}
