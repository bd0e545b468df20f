//! Real registries as child processes that die with their handles.
//! Takes a port, a store and credentials; gives the address, once the registry answers.

use std::fmt::Write as _;
use std::fs::File;
use std::io::{self, BufRead, BufReader, Write};
use std::net::{Ipv4Addr, TcpListener};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::sync::mpsc;
use std::thread;
use std::time::Duration;

use tempfile::TempDir;

use crate::client::Client;

const DOCKER_REGISTRY: &str = "/usr/bin/docker-registry";

/// How long a registry may take to answer for the first time; a loaded machine is slow, a broken
/// configuration exits at once.
const STARTUP_LIMIT: Duration = Duration::from_secs(60);

/// How often a registry is started anew because another process took the port that was just free.
const PORT_ATTEMPTS: usize = 8;

/// Debian's `docker-registry` (distribution 2.8) with a filesystem store, deletion enabled.
///
/// It implements no referrers API, answers range requests, and lists tags on one page.
#[derive(Debug)]
pub struct DockerRegistry {
    server: Server,
    credentials: Option<(String, String)>,
}

impl DockerRegistry {
    /// Starts one with an empty temporary store and open to everyone.
    ///
    /// # Errors
    ///
    /// As [`DockerRegistryOptions::start`].
    pub fn start() -> io::Result<DockerRegistry> {
        DockerRegistry::options().start()
    }

    /// To start one that is different.
    pub fn options() -> DockerRegistryOptions {
        DockerRegistryOptions { store: None, credentials: None, read_only: false, any_urls: false }
    }

    /// `127.0.0.1:PORT`.
    pub fn host(&self) -> &str {
        &self.server.host
    }

    /// The directory of the filesystem store (`docker/registry/v2/…` is below it).
    pub fn store(&self) -> &Path {
        &self.server.store
    }

    /// A client with the registry's credentials.
    pub fn client(&self) -> Client {
        let client = Client::new(self.host());
        match &self.credentials {
            Some((user, password)) => client.with_basic(user, password),
            None => client,
        }
    }

    /// The registry's log so far.
    ///
    /// # Errors
    ///
    /// When the log cannot be read.
    pub fn log(&self) -> io::Result<String> {
        self.server.log()
    }
}

/// How a [`DockerRegistry`] is to be.
#[derive(Clone, Debug)]
pub struct DockerRegistryOptions {
    store: Option<PathBuf>,
    credentials: Option<(String, String)>,
    read_only: bool,
    any_urls: bool,
}

impl DockerRegistryOptions {
    /// Uses this directory, which may hold an earlier registry's store, and leaves it behind.
    pub fn store(mut self, directory: impl Into<PathBuf>) -> DockerRegistryOptions {
        self.store = Some(directory.into());
        self
    }

    /// Asks everyone for this user and password (basic authentication).
    pub fn basic_auth(mut self, user: &str, password: &str) -> DockerRegistryOptions {
        self.credentials = Some((user.to_owned(), password.to_owned()));
        self
    }

    /// Refuses writes with 405, as the registry's maintenance mode does.
    pub fn read_only(mut self) -> DockerRegistryOptions {
        self.read_only = true;
        self
    }

    /// Takes manifests whose layers name any address: `validation: disabled`, as Harbor configures its registry
    /// (`make/photon/prepare/templates/registry/config.yml.jinja`). Otherwise a manifest with addresses is refused
    /// (distribution, `docs/content/about/configuration.md` §urls).
    pub fn any_urls(mut self) -> DockerRegistryOptions {
        self.any_urls = true;
        self
    }

    /// Starts the registry and waits until it answers.
    ///
    /// # Errors
    ///
    /// When `docker-registry` (or `htpasswd`, where credentials are set) is not installed, or does not
    /// answer; the message has the log.
    pub fn start(self) -> io::Result<DockerRegistry> {
        let scratch = tempfile::tempdir()?;
        let store = self.store.clone().unwrap_or_else(|| scratch.path().join("store"));
        std::fs::create_dir_all(&store)?;
        let htpasswd = match &self.credentials {
            Some((user, password)) => Some(write_htpasswd(scratch.path(), user, password)?),
            None => None,
        };
        let server = Server::start(scratch, store, "listening on", |host, scratch, store| {
            let config = scratch.join("config.yml");
            std::fs::write(&config, self.configuration(host, store, htpasswd.as_deref()))?;
            let mut command = Command::new(DOCKER_REGISTRY);
            command.arg("serve").arg(config);
            Ok(command)
        })?;
        Ok(DockerRegistry { server, credentials: self.credentials })
    }

    fn configuration(&self, host: &str, store: &Path, htpasswd: Option<&Path>) -> String {
        // No blob descriptor cache: tests change the store under the registry, and it is to notice.
        let mut yaml = format!(
            "version: 0.1\n\
             log: {{level: info, formatter: text, accesslog: {{disabled: true}}}}\n\
             http: {{addr: '{host}', secret: not-a-secret}}\n\
             storage:\n  \
               filesystem: {{rootdirectory: '{}'}}\n  \
               delete: {{enabled: true}}\n  \
               maintenance:\n    \
                 uploadpurging: {{enabled: false}}\n    \
                 readonly: {{enabled: {}}}\n",
            store.display(),
            self.read_only
        );
        if self.any_urls {
            yaml.push_str("validation: {disabled: true}\n");
        }
        if let Some(path) = htpasswd {
            // Writing to a String does not fail.
            writeln!(yaml, "auth: {{htpasswd: {{realm: test, path: '{}'}}}}", path.display())
                .expect("a string grows");
        }
        yaml
    }
}

fn write_htpasswd(directory: &Path, user: &str, password: &str) -> io::Result<PathBuf> {
    // docker-registry takes bcrypt only; -C 4 is its least cost, and every request pays it.
    let output = Command::new("htpasswd").args(["-BbnC", "4", user, password]).output()?;
    if !output.status.success() {
        return Err(io::Error::other(String::from_utf8_lossy(&output.stderr).into_owned()));
    }
    let path = directory.join("htpasswd");
    std::fs::write(&path, output.stdout)?;
    Ok(path)
}

/// go-containerregistry's `crane registry serve`: another implementation to test against. It has
/// no referrers API (the command leaves the library's switched off); blobs are on disk, manifests in memory.
#[derive(Debug)]
pub struct CraneRegistry {
    server: Server,
}

impl CraneRegistry {
    /// Starts one with an empty temporary store; `None` when `crane` is neither on `PATH` nor in
    /// `~/go/bin`.
    ///
    /// # Errors
    ///
    /// When `crane` does not answer; the message has the log.
    pub fn start() -> io::Result<Option<CraneRegistry>> {
        let Some(crane) = bundle_test_needs::program("crane") else { return Ok(None) };
        let scratch = tempfile::tempdir()?;
        let store = scratch.path().join("store");
        std::fs::create_dir_all(&store)?;
        let server = Server::start(scratch, store, "serving on", |host, _, store| {
            let mut command = Command::new(&crane);
            command.args(["registry", "serve", "--address", host, "--disk"]).arg(store);
            Ok(command)
        })?;
        Ok(Some(CraneRegistry { server }))
    }

    /// `127.0.0.1:PORT`.
    pub fn host(&self) -> &str {
        &self.server.host
    }

    /// The directory of the blobs.
    pub fn store(&self) -> &Path {
        &self.server.store
    }

    /// A client for the registry.
    pub fn client(&self) -> Client {
        Client::new(self.host())
    }

    /// The registry's log so far.
    ///
    /// # Errors
    ///
    /// When the log cannot be read.
    pub fn log(&self) -> io::Result<String> {
        self.server.log()
    }
}

#[derive(Debug)]
struct Server {
    host: String,
    store: PathBuf,
    child: Child,
    scratch: TempDir,
}

impl Server {
    /// Starts what `command` makes for a free port, until one says `ready` in its log and answers `/v2/`.
    fn start(
        scratch: TempDir,
        store: PathBuf,
        ready: &'static str,
        command: impl Fn(&str, &Path, &Path) -> io::Result<Command>,
    ) -> io::Result<Server> {
        let log_path = scratch.path().join("log");
        for _ in 0..PORT_ATTEMPTS {
            let host = free_host()?;
            let (output, input) = io::pipe()?;
            let mut child = command(&host, scratch.path(), &store)?
                .stdin(Stdio::null())
                .stdout(input.try_clone()?)
                .stderr(input)
                .spawn()?;
            let (is_ready, logging) = keep_log(output, File::create(&log_path)?, ready);
            // The log too: on a port lost to another process, that process may be a registry and answer.
            if is_ready.recv_timeout(STARTUP_LIMIT).is_ok() && Client::new(host.as_str()).get("/v2/").is_ok()
            {
                return Ok(Server { host, store, child, scratch });
            }
            // It may have exited by itself, and then there is nothing to kill.
            child.kill().ok();
            child.wait()?;
            logging.join().ok();
            if !std::fs::read_to_string(&log_path)?.contains("address already in use") {
                break;
            }
        }
        Err(io::Error::other(format!("the registry did not start: {}", std::fs::read_to_string(&log_path)?)))
    }

    fn log(&self) -> io::Result<String> {
        std::fs::read_to_string(self.scratch.path().join("log"))
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        // It may be gone already; a drop cannot report errors.
        self.child.kill().ok();
        self.child.wait().ok();
    }
}

/// Copies a process' output to its log, line by line, in a thread that ends with the process. The channel reports
/// the first line with `ready` in it; it closes without a message if the process ends before.
fn keep_log(
    output: io::PipeReader,
    mut log: File,
    ready: &'static str,
) -> (mpsc::Receiver<()>, thread::JoinHandle<()>) {
    let (sender, receiver) = mpsc::channel();
    let logging = thread::spawn(move || {
        let mut sender = Some(sender);
        let mut output = BufReader::new(output);
        let mut line = Vec::new();
        while output.read_until(b'\n', &mut line).is_ok_and(|read| read > 0) {
            // Without a log the registry can still be tested.
            log.write_all(&line).ok();
            if String::from_utf8_lossy(&line).contains(ready)
                && let Some(sender) = sender.take()
            {
                sender.send(()).ok();
            }
            line.clear();
        }
    });
    (receiver, logging)
}

fn free_host() -> io::Result<String> {
    Ok(TcpListener::bind((Ipv4Addr::LOCALHOST, 0))?.local_addr()?.to_string())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{ImageSpec, LayerSpec};

    #[test]
    fn a_registry_with_credentials_refuses_others() {
        let registry = DockerRegistry::options().basic_auth("robot", "s3cret").start().unwrap();
        let answer = Client::new(registry.host()).get("/v2/").unwrap();
        assert_eq!(answer.status, 401);
        assert!(answer.header("www-authenticate").unwrap().starts_with("Basic"));
        assert_eq!(registry.client().get("/v2/").unwrap().status, 200);
    }

    #[test]
    fn a_store_survives_its_registry_and_a_read_only_one_takes_nothing() {
        let directory = tempfile::tempdir().unwrap();
        let image = ImageSpec::oci().layer(LayerSpec::new(1, 10)).build();
        let first = DockerRegistry::options().store(directory.path()).start().unwrap();
        first.client().push("a", "1", &image).unwrap();
        drop(first);
        let second = DockerRegistry::options().store(directory.path()).read_only().start().unwrap();
        assert_eq!(second.client().contents().unwrap()["a"]["1"], image.digest);
        assert!(second.client().push("b", "1", &image).is_err());
        let gone = second.host().to_owned();
        drop(second);
        assert!(Client::new(gone).get("/v2/").is_err());
    }

    #[test]
    fn a_registry_that_cannot_start_says_why() {
        let file = tempfile::NamedTempFile::new().unwrap();
        assert!(DockerRegistry::options().store(file.path()).start().is_err());
    }
}
