//! A double of Harbor 2.15: its API and its registry as far as importers need them, with the behaviour that naive
//! clients do not expect. Written after Harbor's sources at v2.15.2 and distribution v2.8.3; where a comment names
//! a file, it is one of theirs. Answers of the API are checked against Harbor's description where it is at hand.
//! Replication policies are described and never run. Missing: groups, webhooks, sessions, SBOMs, digests other than SHA-256, TLS.

mod access;
mod answer;
mod api;
mod artifact;
mod blob;
mod clock;
mod description;
mod document;
mod gc;
mod immutable;
mod label;
mod page;
mod policy;
mod quota;
mod registry;
mod request;
mod retention;
mod robot;
mod roles;
mod scan;
mod server;
mod state;
mod store;
mod switches;
mod token;

use std::io;
use std::net::{Ipv4Addr, SocketAddr};
use std::ops::Deref;
use std::path::PathBuf;
use std::sync::{Arc, Mutex, MutexGuard, OnceLock, PoisonError};

pub use self::blob::BlobStatus;
use self::description::Description;
pub use self::roles::Role;
pub use self::scan::{Findings, Severity};
use self::server::Core;
use self::state::{ADMIN, State};
pub use self::state::{ProjectCreation, Redirect};
use self::store::Store;
pub use self::switches::{ArtifactView, BlobView, Credentials, Robot, Switches};
use crate::client::Client;
use crate::fault_proxy::{Fault, FaultProxy, Matcher, Rule, Upstream};
use crate::http::RequestHead;

/// The default administrator's password of a Harbor.
const ADMIN_PASSWORD: &str = "Harbor12345";

/// A Harbor on a free loopback port, in threads of this process. It dies with its handle.
///
/// Tests drive it as its administrator through [`Harbor::admin`], change and inspect its state through the
/// [`Switches`] that it is, and make it fail through [`Harbor::faults`]: connections that break, answers that
/// do not come, and any other [`Fault`](crate::Fault). [`Harbor::before`] changes its state in the middle of
/// things.
///
/// ```
/// use bundle_test_servers::{Harbor, ImageSpec};
///
/// let harbor = Harbor::start()?;
/// harbor.add_project("platform");
/// let image = ImageSpec::oci().build();
/// harbor.admin().push("platform/app", "v1", &image)?;
/// assert_eq!(harbor.tags("platform/app")["v1"], image.digest);
/// # Ok::<(), std::io::Error>(())
/// ```
///
/// # Panics
///
/// When the handle is dropped and Harbor's description of its API, where it is at hand, does not allow an answer
/// that was given: the double is wrong then.
pub struct Harbor {
    switches: Switches,
    listener: FaultProxy,
}

/// The settings of a [`Harbor`].
#[derive(Debug, Default)]
pub struct HarborOptions {
    directory: Option<PathBuf>,
    address: Option<SocketAddr>,
    admin_password: Option<String>,
}

impl HarborOptions {
    /// Keeps the blobs in this directory instead of a temporary one.
    pub fn directory(mut self, directory: impl Into<PathBuf>) -> HarborOptions {
        self.directory = Some(directory.into());
        self
    }

    /// Listens there instead of on a free loopback port.
    pub fn address(mut self, address: SocketAddr) -> HarborOptions {
        self.address = Some(address);
        self
    }

    /// The administrator's password.
    pub fn admin_password(mut self, password: &str) -> HarborOptions {
        self.admin_password = Some(password.to_owned());
        self
    }

    /// Starts it; it answers from then on.
    ///
    /// # Errors
    ///
    /// When the address or the directory cannot be had.
    pub fn start(self) -> io::Result<Harbor> {
        let password = self.admin_password.as_deref().unwrap_or(ADMIN_PASSWORD);
        let core = Arc::new(Core {
            state: Mutex::new(State::new(password)),
            store: Store::open(self.directory.as_deref())?,
            log: Mutex::default(),
            host: OnceLock::new(),
            description: Description::at_hand(),
            violations: Mutex::default(),
        });
        let address = self.address.unwrap_or_else(|| (Ipv4Addr::LOCALHOST, 0).into());
        let listener = FaultProxy::in_front_of(address, Upstream::Service(Arc::clone(&core) as _))?;
        // No other code sets it.
        core.host.set(listener.host().to_owned()).ok();
        Ok(Harbor { switches: Switches { core }, listener })
    }
}

/// A request that the double dealt with.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct HarborRequest {
    /// `GET`, `PUT`, …
    pub method: String,
    /// As the client wrote them.
    pub path_and_query: String,
    /// `User-Agent`.
    pub user_agent: String,
    /// The user's or robot's name; empty for the anonymous, and for wrong credentials.
    pub identity: String,
    /// The status of the answer.
    pub status: u16,
}

impl Harbor {
    /// Starts one as it is after installation: an administrator, the public project `library`, Trivy.
    ///
    /// # Errors
    ///
    /// When no port or no temporary directory can be had.
    pub fn start() -> io::Result<Harbor> {
        Harbor::options().start()
    }

    /// To start another one.
    pub fn options() -> HarborOptions {
        HarborOptions::default()
    }

    /// `127.0.0.1:PORT`.
    pub fn host(&self) -> &str {
        self.listener.host()
    }

    /// A client without credentials.
    pub fn anonymous(&self) -> Client {
        Client::new(self.host())
    }

    /// A client with the administrator's credentials.
    pub fn admin(&self) -> Client {
        let credentials = self.admin_credentials();
        self.anonymous().with_basic(&credentials.name, &credentials.secret)
    }

    /// A client with those credentials.
    pub fn client(&self, credentials: &Credentials) -> Client {
        self.anonymous().with_basic(&credentials.name, &credentials.secret)
    }

    /// The administrator's credentials.
    pub fn admin_credentials(&self) -> Credentials {
        let state = lock(&self.core.state);
        let secret = state.users.get(ADMIN).map(|user| user.password.clone()).unwrap_or_default();
        Credentials { name: ADMIN.to_owned(), secret }
    }

    /// The listener of the double: rules, hooks and counts of connections and bytes are set and read there.
    /// Harbor never sees a request that a rule answers, and [`Harbor::requests`] does not list it.
    pub fn faults(&self) -> &FaultProxy {
        &self.listener
    }

    /// Does something to this Harbor when the `nth` request (from 1) that matches has come, and before it is
    /// dealt with.
    pub fn before(&self, matcher: Matcher, nth: usize, action: impl Fn(&Switches) + Send + Sync + 'static) {
        let switches = self.switches.clone();
        let act = move |_: &RequestHead| {
            action(&switches);
            None
        };
        let rule = Rule::new(matcher, Fault::Answer(Arc::new(act)));
        self.faults().add(rule.after(nth.saturating_sub(1)).once());
    }

    /// All requests that Harbor answered, in that order.
    pub fn requests(&self) -> Vec<HarborRequest> {
        lock(&self.core.log).clone()
    }

    /// Forgets the requests, and what [`Harbor::faults`] counted.
    pub fn forget_requests(&self) {
        lock(&self.core.log).clear();
        self.listener.clear();
    }
}

impl Deref for Harbor {
    type Target = Switches;

    fn deref(&self) -> &Switches {
        &self.switches
    }
}

impl Drop for Harbor {
    fn drop(&mut self) {
        let violations = lock(&self.core.violations);
        // A test that fails already needs no second reason.
        if !violations.is_empty() && !std::thread::panicking() {
            panic!(
                "Harbor's description does not allow these answers of the double:\n{}",
                violations.join("\n")
            );
        }
    }
}

/// A handler that panics fails its own test; the state is whole between statements.
fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

#[cfg(test)]
mod tests;
