//! A registry that answers as a test says, byte for byte, and remembers each request.
//! Takes answers in order, gives its address and what it was asked.

use std::io::{BufRead, BufReader, Read, Write};
use std::net::{TcpListener, TcpStream};
use std::sync::{Arc, Mutex};

use bundle_oci::Registry;

/// A registry on this machine that answers as a test says, and remembers what it was asked.
pub(crate) struct Server {
    port: u16,
    seen: Arc<Mutex<Vec<Asked>>>,
}

/// One request, as it came.
#[derive(Clone, Debug)]
pub(crate) struct Asked {
    pub(crate) line: String,
    headers: Vec<(String, String)>,
    pub(crate) body: Vec<u8>,
}

impl Asked {
    pub(crate) fn header(&self, name: &str) -> Option<&str> {
        let found = self.headers.iter().find(|(key, _)| key.eq_ignore_ascii_case(name));
        found.map(|(_, value)| value.as_str())
    }
}

/// An answer, byte for byte.
pub(crate) struct Answer {
    head: String,
    body: Vec<u8>,
    then: Then,
}

/// The action after an answer.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Then {
    Listen,
    Cut,
    /// The connection stays open, and nothing comes.
    Silence,
    /// The body comes byte by byte.
    Drip,
}

impl Answer {
    pub(crate) fn new(status: u16, body: impl Into<Vec<u8>>) -> Self {
        let body = body.into();
        let head = format!("HTTP/1.1 {status} x\r\nContent-Length: {}\r\n", body.len());
        Self { head, body, then: Then::Listen }
    }

    /// Announces more than is sent.
    pub(crate) fn cut(status: u16, announced: usize, body: impl Into<Vec<u8>>) -> Self {
        let head = format!("HTTP/1.1 {status} x\r\nContent-Length: {announced}\r\n");
        Self { head, body: body.into(), then: Then::Cut }
    }

    /// Announces nothing; the end of the connection is the end of the body.
    pub(crate) fn unannounced(status: u16, body: impl Into<Vec<u8>>) -> Self {
        let head = format!("HTTP/1.1 {status} x\r\nConnection: close\r\n");
        Self { head, body: body.into(), then: Then::Cut }
    }

    /// Announces more than it sends, and keeps the connection.
    pub(crate) fn silent(status: u16, announced: usize, body: impl Into<Vec<u8>>) -> Self {
        Self { then: Then::Silence, ..Self::cut(status, announced, body) }
    }

    /// No answer at all.
    pub(crate) fn hang_up() -> Self {
        Self { head: String::new(), body: Vec::new(), then: Then::Cut }
    }

    /// No answer at all, but the connection stays.
    pub(crate) fn never() -> Self {
        Self { then: Then::Silence, ..Self::hang_up() }
    }

    /// Sends its body byte by byte, each in time, for longer than anyone waits.
    pub(crate) fn dripping(status: u16, body: impl Into<Vec<u8>>) -> Self {
        Self { then: Then::Drip, ..Self::new(status, body) }
    }

    pub(crate) fn with(mut self, name: &str, value: &str) -> Self {
        self.head.push_str(&format!("{name}: {value}\r\n"));
        self
    }
}

impl Server {
    /// Answers every request with what `answer` makes of it and of the number of requests before.
    pub(crate) fn start(answer: impl Fn(&Asked, usize) -> Answer + Send + Sync + 'static) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let port = listener.local_addr().unwrap().port();
        let seen = Arc::new(Mutex::new(Vec::new()));
        let answer = Arc::new(answer);
        let log = seen.clone();
        std::thread::spawn(move || {
            for stream in listener.incoming() {
                let (answer, log) = (answer.clone(), log.clone());
                std::thread::spawn(move || serve(stream.unwrap(), &*answer, &log));
            }
        });
        Self { port, seen }
    }

    pub(crate) fn registry(&self) -> Registry {
        format!("127.0.0.1:{}", self.port).parse().unwrap()
    }

    /// The same machine under another name, which is another host to the client.
    pub(crate) fn other_name(&self) -> String {
        format!("localhost:{}", self.port)
    }

    pub(crate) fn seen(&self) -> Vec<Asked> {
        self.seen.lock().unwrap().clone()
    }

    /// How many requests started like this.
    pub(crate) fn count(&self, start: &str) -> usize {
        self.seen().iter().filter(|asked| asked.line.starts_with(start)).count()
    }
}

fn serve(stream: TcpStream, answer: &dyn Fn(&Asked, usize) -> Answer, log: &Mutex<Vec<Asked>>) {
    let mut reader = BufReader::new(stream.try_clone().unwrap());
    let mut writer = stream;
    loop {
        let mut line = Vec::new();
        // The client may leave at any time.
        if reader.read_until(b'\n', &mut line).unwrap_or(0) == 0 {
            return;
        }
        let Ok(line) = String::from_utf8(line) else {
            // Someone speaks TLS.
            let _ = writer.write_all(b"HTTP/1.1 400 Bad Request\r\n\r\n");
            return;
        };
        let mut asked = Asked { line: line.trim_end().to_owned(), headers: Vec::new(), body: Vec::new() };
        loop {
            let mut line = String::new();
            if reader.read_line(&mut line).unwrap_or(0) == 0 {
                return;
            }
            let Some((name, value)) = line.split_once(':') else { break };
            asked.headers.push((name.trim().to_owned(), value.trim().to_owned()));
        }
        let length = asked.header("content-length").map_or(0, |text| text.parse().unwrap());
        let whole =
            (&mut reader).take(length).read_to_end(&mut asked.body).is_ok_and(|read| read as u64 == length);
        let before = {
            let mut log = log.lock().unwrap();
            log.push(asked.clone());
            log.len() - 1
        };
        if !whole {
            return;
        }
        let answer = answer(&asked, before);
        let head = if answer.head.is_empty() { String::new() } else { format!("{}\r\n", answer.head) };
        if answer.then == Then::Drip {
            let _ = writer.write_all(head.as_bytes());
            for byte in &answer.body {
                // Until the client has had enough.
                if writer.write_all(&[*byte]).is_err() {
                    return;
                }
                std::thread::sleep(std::time::Duration::from_millis(5));
            }
            continue;
        }
        let body: &[u8] = if asked.line.starts_with("HEAD") { &[] } else { &answer.body };
        if writer.write_all(&[head.as_bytes(), body].concat()).is_err() || answer.then == Then::Cut {
            return;
        }
        if answer.then == Then::Silence {
            // Until the client has had enough.
            let _ = reader.read(&mut [0]);
            return;
        }
    }
}
