//! How registries are reached: the arguments for connections and accounts. Gives clients and
//! credentials.

use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use bundle_bundler::Sources;
use bundle_oci::{Registry, RegistryPath, RepositoryName};
use bundle_registry::{
    Client, ClientBuilder, CredentialError, CredentialStore, Limits, Progress, Proxies, Routes, Target,
};

use crate::environment::{self, BUNDLE_PASSWORD, BUNDLE_USERNAME, HOME};
use crate::exit::{Code, Failure};
use crate::interrupt;
use crate::notes;
use crate::settings;
use crate::sources::SourceArguments;
use bundle_input::Span;

/// How registries are reached.
#[derive(clap::Args)]
pub(crate) struct Connection {
    /// Use plain HTTP for this registry (always allowed for localhost); repeatable
    #[arg(long, value_name = "HOST[:PORT]")]
    plain_http: Vec<Registry>,

    /// Trust the CA certificates in this PEM file, besides the system's
    #[arg(long, value_name = "FILE")]
    ca_file: Option<PathBuf>,

    /// Number of parallel transfers [default: 8, and up to 32 small requests over a line with a long
    /// round trip]
    #[arg(short, long, value_name = "N", value_parser = clap::value_parser!(u16).range(1..=64))]
    jobs: Option<u16>,

    /// Retry a connection after this many seconds without data
    #[arg(long, value_name = "SECONDS", default_value_t = 60, value_parser = clap::value_parser!(u64).range(1..=3600))]
    stall_timeout: u64,

    /// Retries without progress before giving up [default: 6, or 2 for a host that has never answered]
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u16).range(0..=100))]
    retries: Option<u16>,

    /// Wait until a registry's rate limit ends, at most this long [without a value: 6h]
    #[arg(long, value_name = "TIME", num_args = 0..=1, require_equals = true, default_missing_value = "6h")]
    wait_for_limit: Option<Span>,

    /// Cache manifests and configs of sources in this directory, for later runs
    #[arg(long, value_name = "DIR")]
    cache: Option<PathBuf>,
}

/// Where a bundle goes: a host, or its address as a browser shows it, and a path below which all
/// repositories are.
#[derive(Clone, Debug)]
pub(crate) struct To {
    pub(crate) registry: Registry,
    pub(crate) below: Option<RepositoryName>,
    scheme: Option<Scheme>,
}

impl To {
    /// Whether its address says plain HTTP.
    pub(crate) fn is_plain(&self) -> bool {
        self.scheme == Some(Scheme::Http)
    }

    /// The host with its path.
    pub(crate) fn root(&self) -> RegistryPath {
        RegistryPath::new(self.registry.clone(), self.below.clone())
    }

    /// Makes sure that there is no path, for a registry whose projects are in the bundle.
    pub(crate) fn refuse_path(&self) -> Result<(), Failure> {
        match &self.below {
            None => Ok(()),
            Some(below) => Err(Failure::text(
                Code::Usage,
                format!("{} is a Harbor, and takes no path such as '{below}'", self.registry),
            )
            .hint("leave the path out: the projects are in the bundle")),
        }
    }
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Scheme {
    Https,
    /// An explicit `http://`, which counts as `--plain-http`.
    Http,
}

impl std::str::FromStr for To {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let (scheme, rest) = match text.split_once("://") {
            Some(("https", rest)) => (Some(Scheme::Https), rest),
            Some(("http", rest)) => (Some(Scheme::Http), rest),
            Some(_) => return Err("must be a host, https://HOST or http://HOST".to_owned()),
            None => (None, text),
        };
        if rest.contains('@') {
            return Err("must have no user name or password; store them with `bundle login`".to_owned());
        }
        let rest = rest.strip_suffix('/').unwrap_or(rest);
        let (host, path) = rest.split_once('/').map_or((rest, None), |(host, path)| (host, Some(path)));
        let below = match path {
            Some("v2") => return Err("/v2 is the path of the registry's API; leave it out".to_owned()),
            Some(path) => Some(path.parse().map_err(|error| format!("path after the host: {error}"))?),
            None => None,
        };
        Ok(Self { registry: host.parse().map_err(|error| format!("{error}"))?, below, scheme })
    }
}

impl std::fmt::Display for To {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match &self.below {
            Some(below) => write!(f, "{}/{below}", self.registry),
            None => write!(f, "{}", self.registry),
        }
    }
}

/// The account for a registry or Harbor.
#[derive(clap::Args)]
pub(crate) struct Login {
    /// Credentials: a robot account as Harbor exports it, or a config.json of Docker [default:
    /// BUNDLE_USERNAME and BUNDLE_PASSWORD, or those of `docker login`]
    #[arg(long, value_name = "FILE")]
    credentials: Option<PathBuf>,
}

impl Login {
    /// The file with credentials, if one is named.
    pub(crate) fn file(&self) -> Option<&std::path::Path> {
        self.credentials.as_deref()
    }

    /// Whether an account was given with this command, so that it should be known.
    pub(crate) fn is_given(&self) -> bool {
        self.credentials.is_some() || environment::text(BUNDLE_USERNAME).is_some()
    }

    async fn store(&self, registry: &Registry) -> Result<CredentialStore, Failure> {
        let wrong = |error: CredentialError| Failure::from(error);
        let store = CredentialStore::from_environment(environment::lookup).map_err(wrong)?;
        if let Some(path) = &self.credentials {
            return store.with_file(registry.clone(), path).await.map_err(wrong);
        }
        match (environment::text(BUNDLE_USERNAME), environment::text(BUNDLE_PASSWORD)) {
            (None, None) => match settings::current().credentials.get(registry.as_str()) {
                Some((path, _)) => store.with_file(registry.clone(), path).await.map_err(wrong),
                None => Ok(store),
            },
            (Some(user), Some(password)) if !user.is_empty() && !password.is_empty() => {
                Ok(store.with_login(registry.clone(), user, password))
            }
            _ => Err(Failure::text(Code::Usage, "BUNDLE_USERNAME and BUNDLE_PASSWORD must be set together")
                .hint("set both, or neither and use --credentials FILE")),
        }
    }
}

impl Connection {
    /// For one question that is not worth a wait.
    pub(crate) fn brief(ca_file: Option<PathBuf>) -> Self {
        Self {
            plain_http: Vec::new(),
            ca_file,
            jobs: None,
            stall_timeout: 10,
            retries: Some(0),
            wait_for_limit: None,
            cache: None,
        }
    }

    pub(crate) fn jobs(&self) -> usize {
        self.jobs.map_or(8, usize::from)
    }

    /// Whether the number of parallel transfers is not given.
    pub(crate) fn adapts_jobs(&self) -> bool {
        self.jobs.is_none()
    }

    /// The client for the registries that images come from, of which `file` is what a bundle.yaml says. Without
    /// `--cache`, contents are kept in `cache`, if that is given.
    pub(crate) fn client(
        &self,
        arguments: &SourceArguments,
        file: &Sources,
        cache: Option<PathBuf>,
        progress: &Arc<dyn Progress>,
    ) -> Result<Client, Failure> {
        let mut builder = self.builder_for(arguments.credentials(file)?, Some(file), progress)?;
        if let Some(cache) = self.cache.clone().or(cache) {
            builder = builder.cache(cache);
        }
        let routes = Routes::from_environment(|name| std::env::var(name).ok())
            .map_err(|error| Failure::new(Code::Usage, &error))?;
        builder = builder.routes(routes);
        for mirror in arguments.mirrors(file)? {
            builder = builder.mirror(mirror.from, mirror.to, mirror.prefix);
        }
        builder.build().map_err(Failure::from)
    }

    /// The client for a registry with these credentials only.
    pub(crate) fn client_as(
        &self,
        credentials: CredentialStore,
        progress: &Arc<dyn Progress>,
    ) -> Result<Client, Failure> {
        self.builder(credentials, progress)?.build().map_err(Failure::from)
    }

    /// The client for the registry that images go to; with `pushes`, something may be pushed.
    pub(crate) async fn client_to(
        &self,
        to: &To,
        login: &Login,
        pushes: bool,
        progress: &Arc<dyn Progress>,
    ) -> Result<Client, Failure> {
        self.client_to_as(to, login.store(&to.registry).await?, pushes, progress)
    }

    /// The client for a registry with an address, without an account.
    pub(crate) fn anonymous_client(&self, to: &To, progress: &Arc<dyn Progress>) -> Result<Client, Failure> {
        self.client_to_as(to, CredentialStore::default(), false, progress)
    }

    /// The same with these credentials only.
    pub(crate) fn client_to_as(
        &self,
        to: &To,
        credentials: CredentialStore,
        pushes: bool,
        progress: &Arc<dyn Progress>,
    ) -> Result<Client, Failure> {
        let target = Target { below: to.below.clone(), pushes };
        let mut builder = self.builder(credentials, progress)?.target(to.registry.clone(), target);
        match to.scheme {
            Some(Scheme::Https) => builder = builder.https(to.registry.clone()),
            Some(Scheme::Http) => builder = builder.plain_http(to.registry.clone()),
            None => {}
        }
        builder.build().map_err(Failure::from)
    }

    fn builder(
        &self,
        credentials: CredentialStore,
        progress: &Arc<dyn Progress>,
    ) -> Result<ClientBuilder, Failure> {
        self.builder_for(credentials, None, progress)
    }

    /// A client's builder. The arguments precede what a file says.
    fn builder_for(
        &self,
        credentials: CredentialStore,
        file: Option<&Sources>,
        progress: &Arc<dyn Progress>,
    ) -> Result<ClientBuilder, Failure> {
        let proxies = Proxies::from_environment(environment::lookup)
            .map_err(|error| Failure::new(Code::Usage, &error))?;
        let stall = Duration::from_secs(self.stall_timeout);
        let defaults = Limits::default();
        let retries = self.retries.map(usize::from);
        let limits = Limits {
            stall,
            answer: defaults.answer.min(stall),
            attempts: retries.unwrap_or(defaults.attempts),
            first_attempts: retries.unwrap_or(defaults.first_attempts),
            limit_wait: self.wait_for_limit.map_or(Duration::ZERO, |Span(wait)| wait),
            ..defaults
        };
        let mut builder = Client::builder()
            .credentials(credentials)
            .limits(limits)
            .stop(interrupt::stop().clone())
            .proxies(proxies)
            .certificate_directories(certificate_directories());
        for registry in self.plain_http.iter().chain(file.iter().flat_map(|file| &file.plain_http)) {
            builder = builder.plain_http(registry.clone());
        }
        if let Some(path) = self.ca_file.as_ref().or(file.and_then(|file| file.ca_file.as_ref())) {
            builder = builder.ca_file(path).map_err(|error| {
                Failure::text(Code::Usage, format!("{} cannot be used: {error}", path.display()))
            })?;
        }
        Ok(notes::attach(builder, progress))
    }
}

/// Where Docker's and Podman's tools look for a registry's certificates, the user's first
/// (containers-certs.d(5)).
fn certificate_directories() -> Vec<PathBuf> {
    let home = environment::path(HOME).filter(|path| path.is_absolute());
    let own = home.map(|home| home.join(".config/containers/certs.d"));
    let shared = ["/etc/containers/certs.d", "/etc/docker/certs.d"].map(PathBuf::from);
    own.into_iter().chain(shared).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_destination_is_a_host_or_its_address() {
        for (text, host, scheme) in [
            ("harbor.example", "harbor.example", None),
            ("https://harbor.example/", "harbor.example", Some(Scheme::Https)),
            ("https://harbor.example:8443", "harbor.example:8443", Some(Scheme::Https)),
            ("http://127.0.0.1:5000", "127.0.0.1:5000", Some(Scheme::Http)),
        ] {
            let to: To = text.parse().unwrap();
            assert_eq!((to.registry.as_str(), to.scheme), (host, scheme));
        }
        let to: To = "https://gitlab.example/group/project/".parse().unwrap();
        assert_eq!(
            (to.registry.as_str(), to.to_string().as_str()),
            ("gitlab.example", "gitlab.example/group/project")
        );
        for bad in ["ftp://a", "https://u@a", "u:p@a", "https://", "a/B", "a//b", "a/b?c"] {
            assert!(bad.parse::<To>().is_err(), "{bad}");
        }
    }
}
