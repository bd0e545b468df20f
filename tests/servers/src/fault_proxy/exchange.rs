//! One request and its response, with what the rules do to them.
//! Takes a head and the connection; says whether the connection can carry another request.

use std::io::{self, BufReader, Cursor, Read};
use std::net::{Shutdown, TcpStream};
use std::sync::Arc;
use std::thread;
use std::time::Duration;

use super::rule::{Behaviour, Fault};
use super::traffic::{Direction, Record};
use super::{Service, Shared, Stalled, Upstream};
use crate::http::{Body, BodyWriter, RequestHead, Response, ResponseHead};

const BUFFER: usize = 128 * 1024;

/// The next state of the client's connection.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Next {
    KeepAlive,
    Close,
}

pub(super) struct Exchange<'a> {
    shared: &'a Shared,
    from_client: &'a mut BufReader<TcpStream>,
    to_client: &'a TcpStream,
    record: Arc<Record>,
    behaviour: Behaviour,
}

/// A response on its way, from upstream or a script.
struct Incoming {
    head: ResponseHead,
    length: Option<u64>,
    body: Box<dyn Read>,
}

impl Incoming {
    fn scripted(response: Response) -> Incoming {
        Incoming {
            head: ResponseHead { status: response.status, headers: response.headers },
            length: Some(response.body.len() as u64),
            body: Box::new(Cursor::new(response.body)),
        }
    }
}

impl<'a> Exchange<'a> {
    pub(super) fn new(
        shared: &'a Shared,
        from_client: &'a mut BufReader<TcpStream>,
        to_client: &'a TcpStream,
        head: &RequestHead,
        refusal: Option<Response>,
    ) -> Exchange<'a> {
        let record = shared.traffic.arrived(head);
        let behaviour = match refusal {
            Some(answer) => Behaviour { answer: Some(answer), ..Behaviour::default() },
            None => shared.behaviour(head),
        };
        Exchange { shared, from_client, to_client, record, behaviour }
    }

    pub(super) fn run(&mut self, head: &RequestHead) -> io::Result<Next> {
        if head.headers.get("expect").is_some_and(|e| e.eq_ignore_ascii_case("100-continue")) {
            ResponseHead { status: 100, headers: Default::default() }.write(&mut &*self.to_client)?;
        }
        if self.behaviour.modifiers.iter().any(|m| matches!(m, Fault::Hold))
            && self.shared.gate.stall() == Stalled::Closed
        {
            return Ok(Next::Close);
        }
        let scripted = match (self.behaviour.answer.take(), &self.shared.upstream) {
            (Some(answer), _) => Some(answer),
            (None, Upstream::Nothing) => {
                Some(Response::error(404, "NOT_FOUND", "nothing is behind this proxy"))
            }
            (None, Upstream::Service(service)) => return self.serve(head, &**service),
            (None, Upstream::Server(_)) => None,
        };
        let upstream = match (&scripted, &self.shared.upstream) {
            (None, Upstream::Server(host)) => match TcpStream::connect(host) {
                Ok(stream) => Some(stream),
                Err(error) => {
                    self.upload(head, None)?;
                    return self.respond(head, Incoming::scripted(bad_gateway(&error)));
                }
            },
            _ => None,
        };
        if let Some(stream) = &upstream {
            stream.set_nodelay(true)?;
            // An upstream that closes early may have answered; its answer is read below.
            self.forwarded_head(head).write(&mut &*stream).ok();
        }
        if self.upload(head, upstream.as_ref())? == Next::Close {
            return Ok(Next::Close);
        }
        let incoming = match (scripted, upstream) {
            (Some(response), _) => Incoming::scripted(response),
            (None, Some(stream)) => {
                self.incoming(head, stream).unwrap_or_else(|error| Incoming::scripted(bad_gateway(&error)))
            }
            // Without a server behind it there is always a script.
            (None, None) => return Ok(Next::Close),
        };
        self.respond(head, incoming)
    }

    /// Lets a server of this process answer.
    fn serve(&mut self, head: &RequestHead, service: &dyn Service) -> io::Result<Next> {
        let mut upload = self.incoming_body(head)?;
        let served = service.serve(head, &mut upload);
        io::copy(&mut upload, &mut io::sink()).ok();
        if upload.broken {
            return Ok(Next::Close);
        }
        let incoming = Incoming {
            head: ResponseHead { status: served.status, headers: served.headers },
            length: Some(served.length),
            body: served.body,
        };
        self.respond(head, incoming)
    }

    fn forwarded_head(&self, head: &RequestHead) -> RequestHead {
        let mut forwarded = head.clone();
        for hop_by_hop in ["connection", "keep-alive", "proxy-connection", "expect", "te", "upgrade"] {
            forwarded.headers.remove(hop_by_hop);
        }
        forwarded.headers.add("Connection", "close");
        if let Upstream::Server(upstream) = &self.shared.upstream {
            forwarded.headers.set("Host", upstream.as_str());
        }
        if self.behaviour.modifiers.iter().any(|m| matches!(m, Fault::IgnoreRange)) {
            forwarded.headers.remove("range");
            forwarded.headers.remove("if-range");
        }
        forwarded
    }

    fn incoming_body(&mut self, head: &RequestHead) -> io::Result<Upload<'_>> {
        Ok(Upload {
            shared: self.shared,
            record: &self.record,
            body: Body::new(&mut *self.from_client, head.framing()?),
            limit: match self.behaviour.fault {
                Some(Fault::ResetUploadAfter(n)) => Some((n, AtLimit::Break)),
                Some(Fault::StallUploadAfter(n)) => Some((n, AtLimit::Stall)),
                _ => None,
            },
            passed: 0,
            broken: false,
        })
    }

    /// Reads the request's body and passes it upstream, where there is one that still listens.
    fn upload(&mut self, head: &RequestHead, mut upstream: Option<&TcpStream>) -> io::Result<Next> {
        let chunked = head.framing()? == crate::http::Framing::Chunked;
        let mut upload = self.incoming_body(head)?;
        let mut buffer = vec![0; BUFFER];
        loop {
            let n = match upload.read(&mut buffer) {
                Ok(n) => n,
                Err(_) if upload.broken => return Ok(Next::Close),
                Err(error) => return Err(error),
            };
            if n == 0 {
                break;
            }
            if let Some(mut stream) = upstream
                && BodyWriter::new(&mut stream, chunked).write(&buffer[..n]).is_err()
            {
                upstream = None;
            }
        }
        if let Some(mut stream) = upstream {
            // It may have closed after an early answer, which is still to be read.
            BodyWriter::new(&mut stream, chunked).finish().ok();
        }
        Ok(Next::KeepAlive)
    }

    fn incoming(&self, head: &RequestHead, stream: TcpStream) -> io::Result<Incoming> {
        let mut reader = BufReader::with_capacity(BUFFER, stream);
        let mut answer = ResponseHead::read(&mut reader)?;
        let framing = answer.framing(&head.method)?;
        let length = answer.declared_length()?;
        if let (Some(location), Upstream::Server(upstream)) =
            (answer.headers.get("location"), &self.shared.upstream)
        {
            let rewritten =
                location.replacen(&format!("//{upstream}"), &format!("//{}", self.shared.host), 1);
            answer.headers.set("Location", rewritten);
        }
        Ok(Incoming { head: answer, length, body: Box::new(Body::new(reader, framing)) })
    }

    fn respond(&mut self, head: &RequestHead, incoming: Incoming) -> io::Result<Next> {
        let Incoming { head: mut answer, length, mut body } = incoming;
        if matches!(self.behaviour.fault, Some(Fault::SwallowResponse)) {
            io::copy(&mut body, &mut io::sink())?;
            return Ok(Next::Close);
        }
        for hop_by_hop in ["connection", "keep-alive", "transfer-encoding", "content-length"] {
            answer.headers.remove(hop_by_hop);
        }
        let (mut length, body) = self.changed_body(length, body)?;
        let has_body = head.method != "HEAD" && answer.may_have_body();
        let mut close = head.wants_close() || matches!(self.behaviour.fault, Some(Fault::LyingLength(_)));
        let mut set = Vec::new();
        for modifier in &self.behaviour.modifiers {
            match modifier {
                Fault::Delay(by) => thread::sleep(*by),
                Fault::DropHeader(name) if name.eq_ignore_ascii_case("content-length") => length = None,
                Fault::DropHeader(name) => answer.headers.remove(name),
                Fault::SetHeader(name, value) => {
                    // A length that is not the body's can only end with the connection.
                    close |= name.eq_ignore_ascii_case("content-length");
                    set.push((name.clone(), value.clone()));
                }
                _ => {}
            }
        }
        let chunked = has_body && length.is_none() && !head.is_http_1_0();
        match length {
            Some(length) if answer.may_have_body() => {
                answer.headers.add("Content-Length", length.to_string())
            }
            _ if chunked => answer.headers.add("Transfer-Encoding", "chunked"),
            _ => {}
        }
        close |= has_body && length.is_none() && !chunked;
        for (name, value) in set {
            answer.headers.set(name, value);
        }
        if close {
            answer.headers.add("Connection", "close");
        }
        self.record.set_status(answer.status);
        answer.write(&mut &*self.to_client)?;
        if has_body && self.download(body, chunked)? == Next::Close {
            return Ok(Next::Close);
        }
        if close {
            // Closing outright with request bytes unread would reset the connection under the response.
            self.to_client.shutdown(Shutdown::Write)?;
        }
        Ok(if close { Next::Close } else { Next::KeepAlive })
    }

    /// The body and its declared length with the fault applied that changes them.
    fn changed_body(
        &self,
        length: Option<u64>,
        mut body: Box<dyn Read>,
    ) -> io::Result<(Option<u64>, Box<dyn Read>)> {
        Ok(match self.behaviour.fault {
            Some(Fault::WrongBytes { at }) => (length, Box::new(Flipped { body, at, passed: 0 })),
            Some(Fault::LongerBy(n)) => (length.map(|l| l + n), Box::new(body.chain(io::repeat(0).take(n)))),
            Some(Fault::EndlessBody) => (None, Box::new(body.chain(io::repeat(0)))),
            Some(Fault::LyingLength(delta)) => (length.map(|l| l.saturating_add_signed(delta)), body),
            Some(Fault::ShorterBy(n)) => {
                let length = match length {
                    Some(length) => length,
                    None => {
                        let mut whole = Vec::new();
                        body.read_to_end(&mut whole)?;
                        let length = whole.len() as u64;
                        body = Box::new(Cursor::new(whole));
                        length
                    }
                };
                let length = length.saturating_sub(n);
                (Some(length), Box::new(body.take(length)))
            }
            _ => (length, body),
        })
    }

    fn download(&self, mut body: Box<dyn Read>, chunked: bool) -> io::Result<Next> {
        let mut writer = BodyWriter::new(self.to_client, chunked);
        let mut limit = match self.behaviour.fault {
            Some(Fault::ResetAfter(n) | Fault::StallAfter(n)) => Some(n),
            _ => None,
        };
        let drip = self.behaviour.modifiers.iter().find_map(|modifier| match modifier {
            Fault::Drip(pause) => Some(*pause),
            _ => None,
        });
        let rate = self.behaviour.modifiers.iter().find_map(|modifier| match modifier {
            Fault::Rate(rate) => Some((*rate).max(1)),
            _ => None,
        });
        let mut passed = 0;
        let piece = match (drip, rate) {
            (Some(_), _) => 1,
            // A tenth of a second.
            (None, Some(rate)) => usize::try_from(rate / 10).unwrap_or(BUFFER).clamp(1, BUFFER),
            (None, None) => BUFFER,
        };
        let mut buffer = vec![0; piece];
        loop {
            if let Some(pause) = drip {
                thread::sleep(pause);
            }
            if limit == Some(passed) {
                let stalled = matches!(self.behaviour.fault, Some(Fault::StallAfter(_)));
                if !stalled || self.shared.gate.stall() == Stalled::Closed {
                    return Ok(Next::Close);
                }
                limit = None;
            }
            let room = room(limit, passed).min(buffer.len());
            let n = body.read(&mut buffer[..room])?;
            if n == 0 {
                break;
            }
            passed += n as u64;
            self.shared.traffic.count(&self.record, Direction::Download, n);
            writer.write(&buffer[..n])?;
            if let Some(rate) = rate {
                thread::sleep(Duration::from_secs_f64(n as f64 / rate as f64));
            }
        }
        writer.finish()?;
        Ok(Next::KeepAlive)
    }
}

/// A request's body on its way in: counted, and cut or stalled where the rules say.
struct Upload<'a> {
    shared: &'a Shared,
    record: &'a Record,
    body: Body<&'a mut BufReader<TcpStream>>,
    limit: Option<(u64, AtLimit)>,
    passed: u64,
    /// The rest will not come.
    broken: bool,
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum AtLimit {
    Break,
    Stall,
}

impl Read for Upload<'_> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        if self.broken {
            return Err(io::ErrorKind::ConnectionReset.into());
        }
        if let Some((limit, then)) = self.limit
            && limit == self.passed
        {
            if then == AtLimit::Break || self.shared.gate.stall() == Stalled::Closed {
                self.broken = true;
                return Err(io::ErrorKind::ConnectionReset.into());
            }
            self.limit = None;
        }
        let room = room(self.limit.map(|(limit, _)| limit), self.passed).min(buffer.len());
        let n = self.body.read(&mut buffer[..room]).inspect_err(|_| self.broken = true)?;
        self.passed += n as u64;
        self.shared.traffic.count(self.record, Direction::Upload, n);
        Ok(n)
    }
}

/// How much of the buffer may be filled before the limit.
fn room(limit: Option<u64>, passed: u64) -> usize {
    limit.and_then(|limit| usize::try_from(limit - passed).ok()).map_or(BUFFER, |room| room.min(BUFFER))
}

fn bad_gateway(error: &io::Error) -> Response {
    Response::error(502, "UNKNOWN", &format!("the fault proxy's upstream: {error}"))
}

/// A body with one bit changed.
struct Flipped {
    body: Box<dyn Read>,
    at: u64,
    passed: u64,
}

impl Read for Flipped {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let n = self.body.read(buffer)?;
        let place = self.at.checked_sub(self.passed).and_then(|place| usize::try_from(place).ok());
        if let Some(byte) = place.and_then(|place| buffer[..n].get_mut(place)) {
            *byte ^= 1;
        }
        self.passed += n as u64;
        Ok(n)
    }
}
