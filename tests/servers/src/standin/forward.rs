//! A forward proxy as companies have them. Takes the server to which it redirects any host, and perhaps a
//! login; gives the requests that were sent to it, secrets that were not for it included.

use std::io::{self, BufReader, Write};
use std::net::{Shutdown, TcpStream};
use std::sync::{Arc, Mutex, PoisonError};
use std::thread;

use super::accept::Acceptor;
use crate::client::base64;
use crate::http::{Headers, RequestHead, Response, ResponseHead};

/// How a client used a forward proxy.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Through {
    /// `CONNECT host:port`, with the header fields that came with it.
    Tunnel {
        /// `host:port`.
        to: String,
        /// The headers of the CONNECT, not of the requests inside.
        headers: Headers,
    },
    /// A plain request in absolute form, which the proxy reads whole.
    Plain {
        /// `GET`, `PUT`, …
        method: String,
        /// `host` or `host:port`.
        to: String,
        /// With the client's own fields.
        headers: Headers,
    },
}

impl Through {
    /// The header fields that the proxy could read.
    pub fn headers(&self) -> &Headers {
        match self {
            Through::Tunnel { headers, .. } | Through::Plain { headers, .. } => headers,
        }
    }
}

/// A forward proxy (RFC 9110 §7.6, §9.3.6) on a free loopback port; it dies with its handle.
pub struct ForwardProxy {
    acceptor: Acceptor,
    shared: Arc<Shared>,
}

struct Shared {
    route: String,
    /// The value of `Proxy-Authorization` that lets through.
    login: Option<String>,
    seen: Mutex<Vec<Through>>,
}

impl ForwardProxy {
    /// A proxy that connects to `route` (`host:port`) for any host: it resolves names, not the client.
    ///
    /// # Errors
    ///
    /// When no port can be had.
    pub fn start(route: &str) -> io::Result<ForwardProxy> {
        ForwardProxy::with(route, None)
    }

    /// One that answers 407 with a Basic challenge to all without this name and password.
    ///
    /// # Errors
    ///
    /// When no port can be had.
    pub fn with_login(route: &str, user: &str, password: &str) -> io::Result<ForwardProxy> {
        ForwardProxy::with(route, Some(format!("Basic {}", base64(format!("{user}:{password}").as_bytes()))))
    }

    /// One that answers 407 to everyone, and takes no other login than that of a Windows account: Squid with
    /// `auth_param negotiate` and `auth_param ntlm` only (squid-cache.org, Config/auth_param), Microsoft's and others.
    ///
    /// # Errors
    ///
    /// When no port can be had.
    pub fn for_windows_accounts(route: &str) -> io::Result<ForwardProxy> {
        ForwardProxy::with(route, Some("NTLM".to_owned()))
    }

    fn with(route: &str, login: Option<String>) -> io::Result<ForwardProxy> {
        let shared = Arc::new(Shared { route: route.to_owned(), login, seen: Mutex::default() });
        let serving = Arc::clone(&shared);
        let acceptor = Acceptor::start(move |client| serving.serve(client))?;
        Ok(ForwardProxy { acceptor, shared })
    }

    /// `127.0.0.1:PORT`.
    pub fn host(&self) -> String {
        self.acceptor.host()
    }

    /// Every use since the start, refused ones included.
    pub fn seen(&self) -> Vec<Through> {
        self.shared.seen.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }
}

impl Shared {
    /// One use a connection: after it the connection is the tunnel's, or closed.
    fn serve(&self, client: &TcpStream) -> io::Result<()> {
        let mut reader = BufReader::new(client.try_clone()?);
        let Some(head) = RequestHead::read(&mut reader)? else { return Ok(()) };
        let headers = head.headers.clone();
        let tunnel = head.method == "CONNECT";
        let through = if tunnel {
            Through::Tunnel { to: head.path_and_query.clone(), headers }
        } else {
            let to = headers.get("host").unwrap_or_default().to_owned();
            Through::Plain { method: head.method.clone(), to, headers }
        };
        self.seen.lock().unwrap_or_else(PoisonError::into_inner).push(through);
        if self.login.is_some() && head.headers.get("proxy-authorization") != self.login.as_deref() {
            let refusal = match self.login.as_deref() {
                Some("NTLM") => Response::new(407)
                    .with_header("Proxy-Authenticate", "Negotiate")
                    .with_header("Proxy-Authenticate", "NTLM"),
                _ => Response::new(407).with_header("Proxy-Authenticate", "Basic realm=\"proxy\""),
            };
            return refuse(client, refusal);
        }
        let Ok(upstream) = TcpStream::connect(&self.route) else {
            return refuse(client, Response::new(502));
        };
        if tunnel {
            let connected = ResponseHead { status: 200, headers: Headers::new() };
            connected.write(&mut &*client)?;
        } else {
            let mut forwarded = head;
            for hop_by_hop in ["connection", "proxy-connection", "proxy-authorization", "keep-alive"] {
                forwarded.headers.remove(hop_by_hop);
            }
            forwarded.headers.add("Connection", "close");
            forwarded.write(&mut &upstream)?;
        }
        splice(reader, client, &upstream)
    }
}

fn refuse(mut client: &TcpStream, response: Response) -> io::Result<()> {
    let mut headers = response.headers;
    headers.add("Content-Length", "0");
    headers.add("Connection", "close");
    ResponseHead { status: response.status, headers }.write(&mut client)?;
    client.shutdown(Shutdown::Write)
}

/// Carries bytes both ways until either side ends.
pub(super) fn splice(
    mut from_client: BufReader<TcpStream>,
    client: &TcpStream,
    upstream: &TcpStream,
) -> io::Result<()> {
    let mut to_upstream = upstream.try_clone()?;
    let up = thread::spawn(move || {
        io::copy(&mut from_client, &mut to_upstream).ok();
        to_upstream.shutdown(Shutdown::Write).ok();
    });
    let mut to_client = client.try_clone()?;
    io::copy(&mut &*upstream, &mut to_client).ok();
    to_client.flush()?;
    client.shutdown(Shutdown::Both).ok();
    up.join().ok();
    Ok(())
}

#[cfg(test)]
mod tests {
    use std::io::Read as _;

    use super::*;
    use crate::{Client, DockerRegistry};

    #[test]
    fn plain_requests_reach_the_server_and_are_seen_with_their_fields() {
        let registry = DockerRegistry::start().unwrap();
        let proxy = ForwardProxy::start(registry.host()).unwrap();
        // The absolute form, as clients send it to a proxy.
        let client = Client::new(proxy.host()).with_basic("me", "s3cret");
        let answer = client
            .request("GET", "http://registry.example/v2/", &[("Host", "registry.example")], b"")
            .unwrap();
        assert_eq!(answer.status, 200);
        let [Through::Plain { method, to, headers }] = &proxy.seen()[..] else {
            panic!("{:?}", proxy.seen())
        };
        assert_eq!((method.as_str(), to.as_str()), ("GET", "registry.example"));
        assert!(headers.get("authorization").is_some());
    }

    #[test]
    fn a_tunnel_carries_what_the_proxy_does_not_see() {
        let registry = DockerRegistry::start().unwrap();
        let proxy = ForwardProxy::start(registry.host()).unwrap();
        let mut stream = TcpStream::connect(proxy.host()).unwrap();
        stream
            .write_all(b"CONNECT registry.example:443 HTTP/1.1\r\nHost: registry.example:443\r\n\r\n")
            .unwrap();
        let mut reader = BufReader::new(stream.try_clone().unwrap());
        assert_eq!(ResponseHead::read(&mut reader).unwrap().status, 200);
        stream.write_all(b"GET /v2/ HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n").unwrap();
        let mut answer = String::new();
        reader.read_to_string(&mut answer).unwrap();
        assert!(answer.starts_with("HTTP/1.1 200"), "{answer}");
        assert!(matches!(&proxy.seen()[..], [Through::Tunnel { to, .. }] if to == "registry.example:443"));
    }

    #[test]
    fn a_login_is_asked_for_and_not_passed_on() {
        let proxy = ForwardProxy::with_login("127.0.0.1:1", "DOM\\me", "s3cret").unwrap();
        let client = Client::new(proxy.host());
        let refused = client.get("/v2/").unwrap();
        assert_eq!(
            (refused.status, refused.header("proxy-authenticate")),
            (407, Some("Basic realm=\"proxy\""))
        );
        let login = format!("Basic {}", base64(b"DOM\\me:s3cret"));
        let answer = client.request("GET", "/v2/", &[("Proxy-Authorization", &login)], b"").unwrap();
        assert_eq!(answer.status, 502);
        assert_eq!(proxy.seen().len(), 2);
    }
}
