//! A proxy in front of a registry, or of nothing, that misbehaves as its rules say and remembers what it saw.
//! Takes rules from a test; gives the requests, in order, and counts of bytes.

mod exchange;
mod rule;
mod service;
mod traffic;

use std::collections::BTreeMap;
use std::io::{self, BufReader};
use std::net::{Ipv4Addr, Shutdown, SocketAddr, TcpListener, TcpStream};
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::thread::{self, JoinHandle};
use std::time::Duration;

use self::exchange::{Exchange, Next};
use self::rule::{ActiveRule, Behaviour};
pub use self::rule::{Fault, Matcher, Rule};
pub(crate) use self::service::{Served, Service};
use self::traffic::Traffic;
pub use self::traffic::{Direction, Recorded};
use crate::http::{RequestHead, Response};

/// An HTTP/1.1 proxy on a free loopback port, one thread per client connection, one upstream connection per
/// request. It dies with its handle, and its clients' connections with it.
///
/// ```
/// use bundle_test_servers::{Client, Fault, FaultProxy, Matcher, Response, Rule};
///
/// let proxy = FaultProxy::scripted()?;
/// proxy.answer_with(|head| (head.path() == "/v2/").then(|| Response::new(200)));
/// proxy.add(Rule::new(Matcher::path("/v2/a/"), Fault::Status(Response::new(503))).once());
///
/// let client = Client::new(proxy.host());
/// assert_eq!(client.get("/v2/a/tags/list")?.status, 503);
/// assert_eq!(client.get("/v2/a/tags/list")?.status, 404);
/// assert_eq!(proxy.requests().len(), 2);
/// # Ok::<(), std::io::Error>(())
/// ```
pub struct FaultProxy {
    shared: Arc<Shared>,
    address: SocketAddr,
    accepting: Option<JoinHandle<()>>,
}

impl FaultProxy {
    /// A proxy in front of the server at `host:port`.
    ///
    /// # Errors
    ///
    /// When no port can be had.
    pub fn start(upstream: &str) -> io::Result<FaultProxy> {
        FaultProxy::listen((Ipv4Addr::LOCALHOST, 0).into(), Some(upstream))
    }

    /// A proxy in front of nothing: what no rule answers is 404.
    ///
    /// # Errors
    ///
    /// When no port can be had.
    pub fn scripted() -> io::Result<FaultProxy> {
        FaultProxy::listen((Ipv4Addr::LOCALHOST, 0).into(), None)
    }

    /// A proxy at a given address.
    ///
    /// # Errors
    ///
    /// When the address cannot be had.
    pub fn listen(address: SocketAddr, upstream: Option<&str>) -> io::Result<FaultProxy> {
        FaultProxy::in_front_of(
            address,
            upstream.map_or(Upstream::Nothing, |u| Upstream::Server(u.to_owned())),
        )
    }

    pub(crate) fn in_front_of(address: SocketAddr, upstream: Upstream) -> io::Result<FaultProxy> {
        let listener = TcpListener::bind(address)?;
        let address = listener.local_addr()?;
        let shared = Arc::new(Shared {
            host: address.to_string(),
            upstream,
            rules: Mutex::default(),
            connect_delay: Mutex::default(),
            crowd: Mutex::default(),
            traffic: Traffic::default(),
            gate: Gate::default(),
            connections: Mutex::default(),
            connections_ever: AtomicU64::new(0),
            stopping: AtomicBool::new(false),
        });
        let accepting = thread::spawn({
            let shared = Arc::clone(&shared);
            move || shared.accept(&listener)
        });
        Ok(FaultProxy { shared, address, accepting: Some(accepting) })
    }

    /// `127.0.0.1:PORT`.
    pub fn host(&self) -> &str {
        &self.shared.host
    }

    /// Adds a rule after those there are. All modifiers among the matching rules take effect
    /// ([`Fault::Delay`], [`Fault::Hold`], [`Fault::SetHeader`], [`Fault::DropHeader`],
    /// [`Fault::IgnoreRange`], [`Fault::Drip`], [`Fault::Rate`]), and of the others only the first that is not used up; only
    /// rules that take effect are used up.
    pub fn add(&self, rule: Rule) {
        lock(&self.shared.rules).push(Arc::new(ActiveRule::new(rule)));
    }

    /// Adds a rule that lets a closure answer any request it returns a response for; it may be a token
    /// service, or a whole registry.
    pub fn answer_with(&self, answer: impl Fn(&RequestHead) -> Option<Response> + Send + Sync + 'static) {
        self.add(Rule::new(Matcher::any(), Fault::Answer(Arc::new(answer))));
    }

    /// Removes all rules.
    pub fn clear_rules(&self) {
        lock(&self.shared.rules).clear();
    }

    /// Lets each new connection wait before its first request, as its handshake would on a long line.
    pub fn delay_connections(&self, by: Duration) {
        *lock(&self.shared.connect_delay) = by;
    }

    /// Deals with at most so many requests at once, and answers the others at once in this way: as nginx does with
    /// `limit_conn`, whose `limit_conn_status` is 503 unless it is set, and which counts connections "that have
    /// requests currently being processed" (ngx_http_limit_conn_module).
    pub fn admit_at_once(&self, most: usize, refusal: Response) {
        lock(&self.shared.crowd).limit = Some((most, refusal));
    }

    /// How many requests were refused for others that were being dealt with.
    pub fn refused(&self) -> usize {
        lock(&self.shared.crowd).refused
    }

    /// Every request since the start or the last [`FaultProxy::clear`], in the order of arrival. A request
    /// is complete here before the client has the last byte of its response.
    pub fn requests(&self) -> Vec<Recorded> {
        self.shared.traffic.requests()
    }

    /// Forgets the requests and sets all counts to zero. Rules and hooks stay.
    pub fn clear(&self) {
        self.shared.traffic.clear();
    }

    /// Body bytes of that direction since the start or the last [`FaultProxy::clear`].
    pub fn bytes(&self, direction: Direction) -> u64 {
        self.shared.traffic.bytes(direction)
    }

    /// Connections clients ever made.
    pub fn connections(&self) -> u64 {
        self.shared.connections_ever.load(Ordering::SeqCst)
    }

    /// Runs the hook once, when the body bytes of that direction reach `threshold`. The bytes that reach it
    /// are held back until the hook returns; other connections go on.
    pub fn on_bytes(&self, direction: Direction, threshold: u64, hook: impl FnOnce() + Send + 'static) {
        self.shared.traffic.on_bytes(direction, threshold, Box::new(hook));
    }

    /// Runs the hook once, when the `nth` request (from 1) has arrived and before it is dealt with.
    pub fn on_request(&self, nth: u64, hook: impl FnOnce() + Send + 'static) {
        self.shared.traffic.on_request(nth, Box::new(hook));
    }

    /// Waits until at least one transfer is stalled by [`Fault::StallAfter`] or [`Fault::StallUploadAfter`],
    /// or one request is held by [`Fault::Hold`].
    pub fn wait_for_stall(&self) {
        self.shared.gate.wait_for_stall();
    }

    /// Lets all transfers and requests go on that are stalled or held now.
    pub fn release(&self) {
        self.shared.gate.release();
    }
}

impl Drop for FaultProxy {
    fn drop(&mut self) {
        self.shared.stopping.store(true, Ordering::SeqCst);
        self.shared.gate.close();
        for stream in lock(&self.shared.connections).values() {
            // The client may have closed it already.
            stream.shutdown(Shutdown::Both).ok();
        }
        // Wakes the accepting thread, which sees that the proxy is stopping.
        let woken = TcpStream::connect(self.address).is_ok();
        if let (true, Some(accepting)) = (woken, self.accepting.take()) {
            accepting.join().ok();
        }
    }
}

/// The server that answers a request without a rule.
pub(crate) enum Upstream {
    /// 404.
    Nothing,
    /// The server at `host:port`.
    Server(String),
    /// A server of this process.
    Service(Arc<dyn Service>),
}

struct Shared {
    host: String,
    upstream: Upstream,
    rules: Mutex<Vec<Arc<ActiveRule>>>,
    connect_delay: Mutex<Duration>,
    crowd: Mutex<Crowd>,
    traffic: Traffic,
    gate: Gate,
    /// The clients' connections, to be shut down with the proxy.
    connections: Mutex<BTreeMap<u64, TcpStream>>,
    connections_ever: AtomicU64,
    stopping: AtomicBool,
}

impl Shared {
    fn accept(self: &Arc<Shared>, listener: &TcpListener) {
        for stream in listener.incoming() {
            if self.stopping.load(Ordering::SeqCst) {
                return;
            }
            // A client that was gone before it was accepted is no failure of the proxy.
            let Ok(stream) = stream else { continue };
            let shared = Arc::clone(self);
            thread::spawn(move || {
                let id = shared.connections_ever.fetch_add(1, Ordering::SeqCst);
                // A failure here is a closed connection, which is what the client sees too.
                shared.serve(id, stream).ok();
                lock(&shared.connections).remove(&id);
            });
        }
    }

    fn serve(&self, id: u64, stream: TcpStream) -> io::Result<()> {
        stream.set_nodelay(true)?;
        lock(&self.connections).insert(id, stream.try_clone()?);
        if self.stopping.load(Ordering::SeqCst) {
            return stream.shutdown(Shutdown::Both);
        }
        let delay = *lock(&self.connect_delay);
        if !delay.is_zero() {
            thread::sleep(delay);
        }
        let mut reader = BufReader::with_capacity(64 * 1024, stream.try_clone()?);
        let served = loop {
            match RequestHead::read(&mut reader) {
                Ok(Some(head)) => {
                    let refusal = lock(&self.crowd).enter();
                    let admitted = refusal.is_none();
                    let next = Exchange::new(self, &mut reader, &stream, &head, refusal).run(&head);
                    lock(&self.crowd).under_way -= usize::from(admitted);
                    match next {
                        Ok(Next::KeepAlive) => {}
                        Ok(Next::Close) => break Ok(()),
                        Err(error) => break Err(error),
                    }
                }
                Ok(None) => break Ok(()),
                Err(error) => break Err(error),
            }
        };
        // Unread bytes of an upload make the kernel answer further ones with a reset.
        stream.shutdown(Shutdown::Both).ok();
        served
    }

    fn behaviour(&self, head: &RequestHead) -> Behaviour {
        // Off the lock: a scripted answer may look at the proxy.
        let rules = lock(&self.rules).clone();
        Behaviour::choose(&rules, head)
    }
}

/// The requests that are being dealt with.
#[derive(Default)]
struct Crowd {
    limit: Option<(usize, Response)>,
    under_way: usize,
    refused: usize,
}

impl Crowd {
    /// The answer to one that is too many; otherwise it is counted.
    fn enter(&mut self) -> Option<Response> {
        match &self.limit {
            Some((most, refusal)) if self.under_way >= *most => {
                self.refused += 1;
                Some(refusal.clone())
            }
            _ => {
                self.under_way += 1;
                None
            }
        }
    }
}

/// Where stalled transfers wait.
#[derive(Default)]
struct Gate {
    state: Mutex<GateState>,
    changed: Condvar,
}

#[derive(Default)]
struct GateState {
    stalled: usize,
    releases: u64,
    closed: bool,
}

/// The outcome of a stalled transfer.
#[derive(PartialEq, Eq)]
enum Stalled {
    Released,
    Closed,
}

impl Gate {
    fn stall(&self) -> Stalled {
        let mut state = lock(&self.state);
        let releases = state.releases;
        state.stalled += 1;
        self.changed.notify_all();
        while !state.closed && state.releases == releases {
            state = self.changed.wait(state).unwrap_or_else(PoisonError::into_inner);
        }
        state.stalled -= 1;
        if state.closed { Stalled::Closed } else { Stalled::Released }
    }

    fn wait_for_stall(&self) {
        let mut state = lock(&self.state);
        while state.stalled == 0 {
            state = self.changed.wait(state).unwrap_or_else(PoisonError::into_inner);
        }
    }

    fn release(&self) {
        lock(&self.state).releases += 1;
        self.changed.notify_all();
    }

    fn close(&self) {
        lock(&self.state).closed = true;
        self.changed.notify_all();
    }
}

/// A hook or an answer that panics fails its own test; the proxy's state is whole between statements.
fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

#[cfg(test)]
mod tests;
