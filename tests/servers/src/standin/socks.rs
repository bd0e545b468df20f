//! A SOCKS5 proxy (RFC 1928, and RFC 1929 for the login). Takes the server to which it connects for any host;
//! gives the requested addresses, names as names.

use std::io::{self, BufReader, Read, Write};
use std::net::{Ipv4Addr, Ipv6Addr, TcpStream};
use std::sync::{Arc, Mutex, PoisonError};

use super::accept::Acceptor;
use super::forward::splice;

/// A client's request to a SOCKS5 proxy.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SocksRequest {
    /// A name (`socks5h` and most clients), or an address that the client resolved itself.
    pub host: String,
    /// The port.
    pub port: u16,
    /// Name and password, where they were sent.
    pub login: Option<(String, String)>,
}

/// A SOCKS5 proxy on a free loopback port; it dies with its handle.
pub struct SocksProxy {
    acceptor: Acceptor,
    shared: Arc<Shared>,
}

struct Shared {
    route: String,
    login: Option<(String, String)>,
    seen: Mutex<Vec<SocksRequest>>,
}

impl SocksProxy {
    /// A proxy that connects to `route` (`host:port`) for any address, and accepts clients with `login`, or
    /// all without one.
    ///
    /// # Errors
    ///
    /// When no port can be had.
    pub fn start(route: &str, login: Option<(&str, &str)>) -> io::Result<SocksProxy> {
        let shared = Arc::new(Shared {
            route: route.to_owned(),
            login: login.map(|(user, password)| (user.to_owned(), password.to_owned())),
            seen: Mutex::default(),
        });
        let serving = Arc::clone(&shared);
        let acceptor = Acceptor::start(move |client| serving.serve(client))?;
        Ok(SocksProxy { acceptor, shared })
    }

    /// `127.0.0.1:PORT`.
    pub fn host(&self) -> String {
        self.acceptor.host()
    }

    /// Every request since the start that came as far as an address.
    pub fn seen(&self) -> Vec<SocksRequest> {
        self.shared.seen.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }
}

impl Shared {
    fn serve(&self, client: &TcpStream) -> io::Result<()> {
        let mut reader = BufReader::new(client.try_clone()?);
        let mut writer = client;
        let [5, methods] = bytes(&mut reader)? else { return Ok(()) };
        let offered = text(&mut reader, methods)?;
        let method = if self.login.is_some() { 2 } else { 0 };
        if !offered.as_bytes().contains(&method) {
            return writer.write_all(&[5, 0xff]);
        }
        writer.write_all(&[5, method])?;
        let mut login = None;
        if method == 2 {
            let [1, length] = bytes(&mut reader)? else { return Ok(()) };
            let user = text(&mut reader, length)?;
            let [length] = bytes(&mut reader)?;
            login = Some((user, text(&mut reader, length)?));
            let right = login == self.login;
            writer.write_all(&[1, u8::from(!right)])?;
            if !right {
                return Ok(());
            }
        }
        let [5, 1, 0, kind] = bytes(&mut reader)? else { return Ok(()) };
        let host = match kind {
            1 => Ipv4Addr::from(bytes::<4>(&mut reader)?).to_string(),
            4 => Ipv6Addr::from(bytes::<16>(&mut reader)?).to_string(),
            _ => {
                let [length] = bytes(&mut reader)?;
                text(&mut reader, length)?
            }
        };
        let port = u16::from_be_bytes(bytes(&mut reader)?);
        self.seen.lock().unwrap_or_else(PoisonError::into_inner).push(SocksRequest { host, port, login });
        let Ok(upstream) = TcpStream::connect(&self.route) else {
            // RFC 1928 §6: connection refused.
            return writer.write_all(&[5, 5, 0, 1, 0, 0, 0, 0, 0, 0]);
        };
        writer.write_all(&[5, 0, 0, 1, 127, 0, 0, 1, 0, 0])?;
        splice(reader, client, &upstream)
    }
}

fn bytes<const N: usize>(reader: &mut impl Read) -> io::Result<[u8; N]> {
    let mut buffer = [0; N];
    reader.read_exact(&mut buffer)?;
    Ok(buffer)
}

fn text(reader: &mut impl Read, length: u8) -> io::Result<String> {
    let mut buffer = vec![0; usize::from(length)];
    reader.read_exact(&mut buffer)?;
    String::from_utf8(buffer).map_err(|_| io::ErrorKind::InvalidData.into())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::DockerRegistry;

    /// Asks for `registry.example:80` and gives the connection, past the greeting.
    fn asked(proxy: &SocksProxy, login: Option<(&str, &str)>) -> io::Result<TcpStream> {
        let mut stream = TcpStream::connect(proxy.host())?;
        stream.write_all(&[5, 1, if login.is_some() { 2 } else { 0 }])?;
        bytes::<2>(&mut stream)?;
        if let Some((user, password)) = login {
            let user_length = u8::try_from(user.len()).unwrap();
            let password_length = u8::try_from(password.len()).unwrap();
            let message =
                [&[1, user_length], user.as_bytes(), &[password_length], password.as_bytes()].concat();
            stream.write_all(&message)?;
            assert_eq!(bytes::<2>(&mut stream)?, [1, 0]);
        }
        stream.write_all(&[&[5, 1, 0, 3, 16][..], b"registry.example", &80_u16.to_be_bytes()].concat())?;
        assert_eq!(bytes::<10>(&mut stream)?[..2], [5, 0]);
        Ok(stream)
    }

    #[test]
    fn a_name_is_asked_for_as_a_name_and_the_bytes_go_through() {
        let registry = DockerRegistry::start().unwrap();
        for login in [None, Some(("me", "s3cret"))] {
            let proxy = SocksProxy::start(registry.host(), login).unwrap();
            let mut stream = asked(&proxy, login).unwrap();
            stream.write_all(b"GET /v2/ HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n").unwrap();
            let mut answer = String::new();
            stream.read_to_string(&mut answer).unwrap();
            assert!(answer.starts_with("HTTP/1.1 200"), "{answer}");
            let seen = proxy.seen();
            assert_eq!((seen[0].host.as_str(), seen[0].port, seen.len()), ("registry.example", 80, 1));
            assert_eq!(seen[0].login.is_some(), login.is_some());
        }
    }
}
