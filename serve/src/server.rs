//! The HTTP server over a [`Store`]: accepts, authenticates, answers, and ends in good order.
//! Takes a listener and a future that ends it; gives how many clients were cut off at the end.

use std::convert::Infallible;
use std::io;
use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::{Duration, Instant};

use bundle_format::Program;
use hyper::body::Incoming;
use hyper::header::{AUTHORIZATION, HeaderMap, HeaderName, USER_AGENT};
use hyper::server::conn::http1;
use hyper::service::service_fn;
use hyper::{Method, Request, Response};
use hyper_util::rt::{TokioIo, TokioTimer};
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::{Semaphore, watch};
use tokio::task::JoinSet;

use crate::answer::{Reply, answer};
use crate::body::{Body, Record};
use crate::clients::{Clients, Place};
use crate::entrance::Entrance;
use crate::metrics::Metrics;
use crate::page::Door;
use crate::problem::Problem;
use crate::route::{Query, Route};
use crate::stall_timeout::StallTimeout;
use crate::{Access, Ending, Event, Identity, Limits, Observer, Store, Users};

/// Answers requests for the content of a [`Store`].
pub struct Server {
    store: Arc<Store>,
    entrance: Arc<Entrance>,
    metrics: Arc<Metrics>,
    observer: Arc<dyn Observer>,
    limits: Limits,
}

impl Server {
    /// A server of what `store` holds. With `users`, it asks for a password; with `identity`, it
    /// speaks TLS. `program` is what its metrics name.
    pub fn new(
        store: Arc<Store>,
        users: Option<Users>,
        identity: Option<Identity>,
        observer: Arc<dyn Observer>,
        program: Program,
    ) -> Self {
        let limits = store.limits;
        let entrance = Arc::new(Entrance::new(users, identity));
        Self { store, entrance, metrics: Arc::new(Metrics::new(program)), observer, limits }
    }

    /// The certificate and users, which may change while the server runs.
    pub fn entrance(&self) -> Arc<Entrance> {
        self.entrance.clone()
    }

    /// Serves until `stop` is ready. Then no connection is accepted any more, and answers that are
    /// on their way are finished. Returns how many were not, within [`Limits::grace`].
    pub async fn run(self, listener: TcpListener, stop: impl Future<Output = ()>) -> usize {
        let server = Arc::new(self);
        let places = Arc::new(Semaphore::new(server.limits.connections));
        let clients = Clients::new(server.limits.client_connections, server.limits.client_passwords);
        let (stopping, stopped) = watch::channel(());
        let mut connections = JoinSet::new();
        tokio::pin!(stop);
        loop {
            let accepted = async {
                let place = places.clone().acquire_owned().await;
                (listener.accept().await, place)
            };
            let (accepted, place) = tokio::select! {
                accepted = accepted => accepted,
                () = &mut stop => break,
            };
            while connections.try_join_next().is_some() {}
            match accepted {
                Ok((stream, peer)) => {
                    let Some(client) = clients.admit(peer.ip()) else {
                        server.metrics.turned_away.fetch_add(1, Ordering::Relaxed);
                        continue;
                    };
                    let (server, stopped) = (server.clone(), stopped.clone());
                    connections.spawn(async move {
                        let _place = place;
                        server.metrics.accepted.fetch_add(1, Ordering::Relaxed);
                        server.metrics.connections.fetch_add(1, Ordering::Relaxed);
                        server.connection(stream, &client, peer, stopped).await;
                        server.metrics.connections.fetch_sub(1, Ordering::Relaxed);
                    });
                }
                Err(error) => {
                    if lasts(&error) {
                        server.observer.event(&Event::Refused(&error));
                        // No file is free; one is when a connection ends.
                        tokio::time::sleep(PAUSE).await;
                    }
                }
            }
        }
        drop(listener);
        drop(stopped);
        drop(stopping);
        let all_done = async { while connections.join_next().await.is_some() {} };
        if tokio::time::timeout(server.limits.grace, all_done).await.is_ok() {
            return 0;
        }
        connections.len()
    }

    async fn connection(
        self: &Arc<Self>,
        stream: TcpStream,
        client: &Place,
        peer: SocketAddr,
        stopped: watch::Receiver<()>,
    ) {
        // Small answers are not to wait for more; a connection that cannot be told so works too.
        let _ = stream.set_nodelay(true);
        let stream = StallTimeout::new(stream, self.limits.stall, self.limits.progress);
        match self.entrance.identity() {
            None => self.talk(stream, client, peer, stopped).await,
            Some(Identity(acceptor)) => {
                let handshake = tokio::time::timeout(self.limits.handshake, acceptor.accept(stream));
                if let Ok(Ok(stream)) = handshake.await {
                    self.talk(stream, client, peer, stopped).await;
                }
            }
        }
    }

    async fn talk<S>(
        self: &Arc<Self>,
        stream: S,
        client: &Place,
        peer: SocketAddr,
        mut stopped: watch::Receiver<()>,
    ) where
        S: AsyncRead + AsyncWrite + Unpin + Send,
    {
        let service =
            service_fn(
                |request| async move { Ok::<_, Infallible>(self.respond(request, client, peer).await) },
            );
        let mut http = http1::Builder::new();
        http.timer(TokioTimer::new())
            .header_read_timeout(self.limits.head)
            .max_headers(self.limits.headers)
            .max_buf_size(self.limits.head_bytes);
        let connection = http.serve_connection(TokioIo::new(stream), service);
        tokio::pin!(connection);
        // How a connection ends is the client's affair; what became of answers is recorded.
        tokio::select! {
            _ = connection.as_mut() => {}
            _ = stopped.changed() => {
                connection.as_mut().graceful_shutdown();
                let _ = connection.await;
            }
        }
    }

    async fn respond(&self, request: Request<Incoming>, client: &Place, peer: SocketAddr) -> Response<Body> {
        let started = Instant::now();
        let (method, headers) = (request.method(), request.headers());
        let route = Route::parse(request.uri().path());
        let kind = route.as_ref().map_or("none", Route::kind);
        let known = match &route {
            Ok(Route::Health) => Ok(None),
            _ => self.user(headers, client).await,
        };
        let (user, reply) = match known {
            Err(problem) => (None, Err(problem)),
            Ok(user) => {
                let door = Door { tls: self.entrance.identity().is_some(), login: user.is_some() };
                let reply = async {
                    if *method != Method::GET && *method != Method::HEAD {
                        return Err(Problem::read_only());
                    }
                    let query = Query::parse(request.uri().query())?;
                    answer(&self.store, &self.metrics, &route?, &query, method, headers, door).await
                };
                (user, reply.await)
            }
        };
        let reply = reply.unwrap_or_else(|problem| Reply::problem(&problem)).finish(method);
        let text = |name: HeaderName| {
            headers
                .get(name)
                .map(|value| String::from_utf8_lossy(value.as_bytes()).into_owned())
                .unwrap_or_default()
        };
        let access = Access {
            peer,
            user,
            method: method.to_string(),
            target: request.uri().path_and_query().map(ToString::to_string).unwrap_or_default(),
            agent: text(USER_AGENT),
            status: reply.status.as_u16(),
            bytes: 0,
            ending: Ending::Left,
            took: Duration::ZERO,
        };
        let (metrics, observer) = (self.metrics.clone(), self.observer.clone());
        let record = Record { access, started, kind, metrics, observer };
        let mut response = Response::new(Body::new(reply.part, record));
        *response.status_mut() = reply.status;
        *response.headers_mut() = reply.headers;
        response
    }

    /// Returns the user, if the server authenticates.
    async fn user(&self, headers: &HeaderMap, client: &Place) -> Result<Option<String>, Problem> {
        let Some(users) = self.entrance.users() else {
            return Ok(None);
        };
        let header = headers.get(AUTHORIZATION).and_then(|value| value.to_str().ok());
        let user = match header {
            Some(header) => users.check(header, &client.passwords).await,
            None => None,
        };
        user.map(Some).ok_or_else(Problem::unauthorized)
    }
}

/// How long nothing is accepted after the system ran out of resources.
const PAUSE: Duration = Duration::from_millis(200);

/// Whether an error of `accept` is about this process rather than about one connection.
fn lasts(error: &io::Error) -> bool {
    !matches!(
        error.kind(),
        io::ErrorKind::ConnectionAborted | io::ErrorKind::ConnectionReset | io::ErrorKind::Interrupted
    )
}

#[cfg(test)]
mod tests {
    use tokio::io::{AsyncReadExt, AsyncWriteExt};
    use tokio::net::TcpSocket;

    use super::*;

    struct Silent;

    impl Observer for Silent {
        fn event(&self, _: &Event<'_>) {}
    }

    /// A server without bundles, and its address.
    async fn serving(limits: Limits, users: Option<Users>) -> SocketAddr {
        let store = Arc::new(Store::new(Vec::new(), limits, Arc::new(Silent)).unwrap());
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        let server =
            Server::new(store, users, None, Arc::new(Silent), Program { version: "0", commit: None });
        tokio::spawn(server.run(listener, std::future::pending()));
        address
    }

    async fn connect(from: &str, to: SocketAddr) -> TcpStream {
        let socket = TcpSocket::new_v4().unwrap();
        socket.bind(from.parse().unwrap()).unwrap();
        socket.connect(to).await.unwrap()
    }

    /// The answer to a request, or nothing if the connection was closed.
    async fn ask(mut stream: TcpStream, login: &str) -> String {
        let request = format!("GET /v2/ HTTP/1.1\r\nHost: r\r\n{login}Connection: close\r\n\r\n");
        let mut answer = String::new();
        // A connection that was closed at once is an answer, too.
        let _ = stream.write_all(request.as_bytes()).await;
        let _ = stream.read_to_string(&mut answer).await;
        answer
    }

    #[tokio::test]
    async fn one_address_cannot_keep_the_places_of_the_others() {
        let limits = Limits { client_connections: 3, ..Limits::default() };
        let address = serving(limits, None).await;
        let mut idle = Vec::new();
        for _ in 0..3 {
            idle.push(connect("127.0.0.2:0", address).await);
        }
        let more = ask(connect("127.0.0.2:0", address).await, "").await;
        assert_eq!(more, "");
        let other = ask(connect("127.0.0.3:0", address).await, "").await;
        assert!(other.starts_with("HTTP/1.1 200"), "{other}");
    }

    #[tokio::test]
    async fn who_guesses_passwords_does_not_stand_before_those_who_know_theirs() {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("htpasswd");
        let hash = bcrypt::hash("right", 6).unwrap();
        std::fs::write(&path, format!("user:{hash}\n")).unwrap();
        let limits = Limits { passwords: 1, client_passwords: 1, ..Limits::default() };
        let address = serving(limits, Some(Users::load(&path, 1).unwrap())).await;
        let basic = |password: &str| {
            use base64::Engine;
            let login = base64::engine::general_purpose::STANDARD.encode(format!("user:{password}"));
            format!("Authorization: Basic {login}\r\n")
        };
        let done = Arc::new(std::sync::atomic::AtomicUsize::new(0));
        for number in 0..60 {
            let (done, login) = (done.clone(), basic(&format!("guess {number}")));
            let stream = connect("127.0.0.2:0", address).await;
            tokio::spawn(async move {
                let answer = ask(stream, &login).await;
                assert!(answer.starts_with("HTTP/1.1 401"), "{answer}");
                done.fetch_add(1, Ordering::Relaxed);
            });
        }
        // They are all there before the one who knows.
        while done.load(Ordering::Relaxed) == 0 {
            tokio::task::yield_now().await;
        }
        let answer = ask(connect("127.0.0.3:0", address).await, &basic("right")).await;
        assert!(answer.starts_with("HTTP/1.1 200"), "{answer}");
        let before = done.load(Ordering::Relaxed);
        assert!(before < 30, "{before} of 60 guesses were hashed first");
    }
}
