use std::collections::HashMap;
use std::path::PathBuf;
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use bundle_oci::{Registry, RepositoryName};
use bundle_registry::{Client, CredentialStore, Fallback, FallbackTo, Limits, Progress};

use crate::exit::{Code, Failure, chain};
use crate::size::Took;

/// How registries are reached.
#[derive(clap::Args)]
pub(crate) struct Connection {
    /// Allow HTTP without encryption for this registry (this machine itself always may)
    #[arg(long, value_name = "HOST[:PORT]")]
    plain_http: Vec<Registry>,

    /// Trust the certificates in this PEM file besides the system's
    #[arg(long, value_name = "FILE")]
    ca_file: Option<PathBuf>,

    /// How many images or blobs are moved at once
    #[arg(short, long, value_name = "N", default_value_t = 8, value_parser = clap::value_parser!(u16).range(1..=64))]
    pub(crate) jobs: u16,

    /// Try again when nothing moved on a connection for so long
    #[arg(long, value_name = "SECONDS", default_value_t = 60, value_parser = clap::value_parser!(u64).range(1..=3600))]
    stall_timeout: u64,

    /// How often to try again without progress before giving up
    #[arg(long, value_name = "N", default_value_t = 6, value_parser = clap::value_parser!(u16).range(0..=100))]
    retries: u16,
}

/// `docker.io=harbor.example/dockerhub`.
#[derive(Clone, Debug)]
pub(crate) struct Mirror {
    from: Registry,
    to: Registry,
    prefix: Option<RepositoryName>,
}

impl std::str::FromStr for Mirror {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let (from, to) = text.split_once('=').ok_or("mirror must be HOST=HOST/PREFIX")?;
        let (to, prefix) = match to.split_once('/') {
            Some((to, prefix)) => (to, Some(prefix.parse().map_err(|error| format!("{error}"))?)),
            None => (to, None),
        };
        let host = |text: &str| text.parse::<Registry>().map_err(|error| error.to_string());
        Ok(Self { from: host(from)?, to: host(to)?, prefix })
    }
}

impl Connection {
    pub(crate) fn jobs(&self) -> usize {
        usize::from(self.jobs)
    }

    pub(crate) fn client(&self, mirrors: &[Mirror], progress: &Arc<dyn Progress>) -> Result<Client, Failure> {
        let credentials = CredentialStore::from_environment(|name| std::env::var(name).ok())
            .map_err(|error| Failure::new(Code::Usage, &error))?;
        let stall = Duration::from_secs(self.stall_timeout);
        let defaults = Limits::default();
        let limits = Limits {
            stall,
            answer: defaults.answer.min(stall),
            attempts: usize::from(self.retries),
            ..defaults
        };
        let mut builder = Client::builder().credentials(credentials).limits(limits);
        for registry in &self.plain_http {
            builder = builder.plain_http(registry.clone());
        }
        if let Some(path) = &self.ca_file {
            builder = builder.ca_file(path).map_err(|error| {
                Failure::text(Code::Usage, format!("{} cannot be used: {error}", path.display()))
            })?;
        }
        for mirror in mirrors {
            builder = builder.mirror(mirror.from.clone(), mirror.to.clone(), mirror.prefix.clone());
        }
        let notes = Arc::new(Notes { progress: progress.clone(), told: Mutex::default() });
        let told = notes.clone();
        builder = builder.on_retry(move |retry| {
            let text = chain(retry.cause);
            told.tell(&text, &format!("{text}; trying again in {}", Took(retry.wait)));
        });
        builder = builder.on_fallback(move |fallback| {
            let Fallback { mirror, registry, to, cause } = fallback;
            let text = match to {
                FallbackTo::Mirror => format!(
                    "{}; what its mirror {mirror} lacks, signatures too, counts as absent",
                    chain(*cause)
                ),
                // A mirror need not have everything.
                FallbackTo::Registry if cause.status() == Some(404) => return,
                FallbackTo::Registry => format!("{}; reading from {registry} itself", chain(*cause)),
            };
            notes.tell(&text, &text);
        });
        builder.build().map_err(Failure::from)
    }
}

/// Notes about the network. When a host fails, every transfer says the same at once.
struct Notes {
    progress: Arc<dyn Progress>,
    told: Mutex<HashMap<String, Instant>>,
}

/// How long the same note is not worth repeating.
const STALE: Duration = Duration::from_secs(10);

impl Notes {
    fn tell(&self, about: &str, text: &str) {
        let mut told = self.told.lock().unwrap_or_else(std::sync::PoisonError::into_inner);
        told.retain(|_, at| at.elapsed() < STALE);
        if told.contains_key(about) {
            return;
        }
        told.insert(about.to_owned(), Instant::now());
        self.progress.note(text);
    }
}
