//! HTTP/1.1 messages (RFC 9112): heads, header fields and body framing, as far as registries use them.
//! Takes and gives bytes of a connection; an error is a connection that ends.

use std::io::{self, BufRead, Read, Write};

/// The most a head may take, in bytes, so that a peer's endless head ends the connection, not the memory.
const HEAD_LIMIT: u64 = 256 * 1024;

/// Header fields in the order of the wire; names compare without case.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Headers(Vec<(String, String)>);

impl Headers {
    /// No fields.
    pub fn new() -> Headers {
        Headers::default()
    }

    /// The first field's value of that name.
    pub fn get(&self, name: &str) -> Option<&str> {
        self.iter().find(|(n, _)| n.eq_ignore_ascii_case(name)).map(|(_, v)| v)
    }

    /// Adds a field, leaving others of the same name.
    pub fn add(&mut self, name: impl Into<String>, value: impl Into<String>) {
        self.0.push((name.into(), value.into()));
    }

    /// Replaces all fields of that name by this one.
    pub fn set(&mut self, name: impl Into<String>, value: impl Into<String>) {
        let name = name.into();
        self.remove(&name);
        self.0.push((name, value.into()));
    }

    /// Takes all fields of that name out.
    pub fn remove(&mut self, name: &str) {
        self.0.retain(|(n, _)| !n.eq_ignore_ascii_case(name));
    }

    /// All fields, name and value.
    pub fn iter(&self) -> impl Iterator<Item = (&str, &str)> {
        self.0.iter().map(|(n, v)| (n.as_str(), v.as_str()))
    }

    fn has_token(&self, name: &str, token: &str) -> bool {
        self.iter()
            .filter(|(n, _)| n.eq_ignore_ascii_case(name))
            .any(|(_, v)| v.split(',').any(|part| part.trim().eq_ignore_ascii_case(token)))
    }

    fn content_length(&self) -> io::Result<Option<u64>> {
        self.get("content-length")
            .map(|v| v.trim().parse().map_err(|_| malformed(&format!("Content-Length {v:?}"))))
            .transpose()
    }

    fn read(lines: &mut impl BufRead) -> io::Result<Headers> {
        let mut headers = Headers::new();
        loop {
            let line = read_line(lines)?.ok_or(io::ErrorKind::UnexpectedEof)?;
            if line.is_empty() {
                return Ok(headers);
            }
            let (name, value) = line.split_once(':').ok_or_else(|| malformed(&line))?;
            headers.add(name.trim(), value.trim());
        }
    }

    fn write(&self, out: &mut Vec<u8>) {
        for (name, value) in self.iter() {
            out.extend_from_slice(format!("{name}: {value}\r\n").as_bytes());
        }
        out.extend_from_slice(b"\r\n");
    }
}

/// A request without its body.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RequestHead {
    /// `GET`, `PUT`, …
    pub method: String,
    /// Path and query as the client wrote them.
    pub path_and_query: String,
    /// The request's header fields.
    pub headers: Headers,
    http_1_0: bool,
}

impl RequestHead {
    pub(crate) fn new(method: &str, path_and_query: &str) -> RequestHead {
        RequestHead {
            method: method.to_owned(),
            path_and_query: path_and_query.to_owned(),
            headers: Headers::new(),
            http_1_0: false,
        }
    }

    /// The target before the `?`.
    pub fn path(&self) -> &str {
        self.path_and_query.split('?').next().unwrap_or_default()
    }

    /// The first query parameter of that name, as written (percent-encoding stays).
    pub fn query(&self, name: &str) -> Option<&str> {
        let (_, query) = self.path_and_query.split_once('?')?;
        query.split('&').filter_map(|pair| pair.split_once('=')).find(|(n, _)| *n == name).map(|(_, v)| v)
    }

    /// Reads a head; `None` when the peer closed the connection before a first byte.
    pub(crate) fn read(reader: &mut impl BufRead) -> io::Result<Option<RequestHead>> {
        let mut lines = reader.take(HEAD_LIMIT);
        let line = loop {
            match read_line(&mut lines)? {
                None => return Ok(None),
                // RFC 9112 §2.2: a server ignores an empty line before the request line.
                Some(line) if line.is_empty() => {}
                Some(line) => break line,
            }
        };
        let mut parts = line.splitn(3, ' ');
        let (Some(method), Some(target), Some(version)) = (parts.next(), parts.next(), parts.next()) else {
            return Err(malformed(&line));
        };
        let http_1_0 = match version {
            "HTTP/1.1" => false,
            "HTTP/1.0" => true,
            _ => return Err(malformed(&line)),
        };
        // A client that takes the proxy for a forward proxy sends the absolute form.
        let path_and_query = match target.strip_prefix("http://") {
            Some(rest) => rest.find('/').map_or("/", |slash| &rest[slash..]),
            None => target,
        };
        Ok(Some(RequestHead {
            method: method.to_owned(),
            path_and_query: path_and_query.to_owned(),
            headers: Headers::read(&mut lines)?,
            http_1_0,
        }))
    }

    pub(crate) fn write(&self, to: &mut impl Write) -> io::Result<()> {
        let mut bytes = format!("{} {} HTTP/1.1\r\n", self.method, self.path_and_query).into_bytes();
        self.headers.write(&mut bytes);
        to.write_all(&bytes)
    }

    pub(crate) fn is_http_1_0(&self) -> bool {
        self.http_1_0
    }

    pub(crate) fn wants_close(&self) -> bool {
        self.http_1_0 || self.headers.has_token("connection", "close")
    }

    /// RFC 9112 §6.3: a request without either header has no body.
    pub(crate) fn framing(&self) -> io::Result<Framing> {
        if self.headers.has_token("transfer-encoding", "chunked") {
            return Ok(Framing::Chunked);
        }
        Ok(Framing::Length(self.headers.content_length()?.unwrap_or(0)))
    }
}

/// A response without its body.
#[derive(Clone, Debug)]
pub(crate) struct ResponseHead {
    pub(crate) status: u16,
    pub(crate) headers: Headers,
}

impl ResponseHead {
    /// Reads a head, passing over interim (1xx) ones.
    pub(crate) fn read(reader: &mut impl BufRead) -> io::Result<ResponseHead> {
        loop {
            let mut lines = reader.take(HEAD_LIMIT);
            let line = read_line(&mut lines)?.ok_or(io::ErrorKind::UnexpectedEof)?;
            let status = line
                .strip_prefix("HTTP/1.")
                .and_then(|rest| rest.split(' ').nth(1))
                .and_then(|code| code.parse().ok())
                .ok_or_else(|| malformed(&line))?;
            let headers = Headers::read(&mut lines)?;
            if status >= 200 {
                return Ok(ResponseHead { status, headers });
            }
        }
    }

    pub(crate) fn write(&self, to: &mut impl Write) -> io::Result<()> {
        let mut bytes = format!("HTTP/1.1 {} {}\r\n", self.status, reason(self.status)).into_bytes();
        self.headers.write(&mut bytes);
        to.write_all(&bytes)
    }

    /// RFC 9112 §6.3, for the answer to `method`.
    pub(crate) fn framing(&self, method: &str) -> io::Result<Framing> {
        if method == "HEAD" || !self.may_have_body() {
            return Ok(Framing::Length(0));
        }
        if self.headers.has_token("transfer-encoding", "chunked") {
            return Ok(Framing::Chunked);
        }
        Ok(self.headers.content_length()?.map_or(Framing::UntilClose, Framing::Length))
    }

    pub(crate) fn declared_length(&self) -> io::Result<Option<u64>> {
        self.headers.content_length()
    }

    pub(crate) fn may_have_body(&self) -> bool {
        !matches!(self.status, 204 | 304)
    }
}

/// A whole response: what a [`Client`](crate::Client) received, or what a scripted answer sends.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Response {
    /// The status code.
    pub status: u16,
    /// The header fields; framing fields of a scripted answer are the proxy's business.
    pub headers: Headers,
    /// The body, unframed.
    pub body: Vec<u8>,
}

impl Response {
    /// A response with no headers and no body.
    pub fn new(status: u16) -> Response {
        Response { status, headers: Headers::new(), body: Vec::new() }
    }

    /// A response with a JSON body.
    pub fn json(status: u16, body: impl Into<Vec<u8>>) -> Response {
        Response::new(status).with_header("Content-Type", "application/json").with_body(body)
    }

    /// A response in the distribution-spec's error form (§Error Codes).
    pub fn error(status: u16, code: &str, message: &str) -> Response {
        let body = serde_json::json!({"errors": [{"code": code, "message": message}]});
        Response::json(status, body.to_string())
    }

    /// The response with one more header.
    pub fn with_header(mut self, name: &str, value: &str) -> Response {
        self.headers.add(name, value);
        self
    }

    /// The response with this body.
    pub fn with_body(mut self, body: impl Into<Vec<u8>>) -> Response {
        self.body = body.into();
        self
    }

    /// The first header's value of that name.
    pub fn header(&self, name: &str) -> Option<&str> {
        self.headers.get(name)
    }

    /// The body as text, for assertions and messages.
    pub fn text(&self) -> String {
        String::from_utf8_lossy(&self.body).into_owned()
    }
}

/// How the end of a body is known.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Framing {
    Length(u64),
    Chunked,
    UntilClose,
}

/// Reads one body off a connection and stops at its end; a connection that ends early is an error.
pub(crate) struct Body<R> {
    reader: R,
    framing: Framing,
    /// The rest of the body, or of the chunk being read.
    left: u64,
    started: bool,
    ended: bool,
}

impl<R: BufRead> Body<R> {
    pub(crate) fn new(reader: R, framing: Framing) -> Body<R> {
        let left = if let Framing::Length(length) = framing { length } else { 0 };
        Body { reader, framing, left, started: false, ended: framing == Framing::Length(0) }
    }

    fn next_chunk(&mut self) -> io::Result<()> {
        if self.started && !read_line(&mut self.reader)?.ok_or(io::ErrorKind::UnexpectedEof)?.is_empty() {
            return Err(malformed("chunk longer than its size"));
        }
        self.started = true;
        let line = read_line(&mut self.reader)?.ok_or(io::ErrorKind::UnexpectedEof)?;
        let size = line.split(';').next().unwrap_or_default().trim();
        self.left = u64::from_str_radix(size, 16).map_err(|_| malformed(&line))?;
        if self.left == 0 {
            Headers::read(&mut self.reader)?;
            self.ended = true;
        }
        Ok(())
    }
}

impl<R: BufRead> Read for Body<R> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        if buffer.is_empty() {
            return Ok(0);
        }
        if !self.ended && self.framing == Framing::Chunked && self.left == 0 {
            self.next_chunk()?;
        }
        if self.ended {
            return Ok(0);
        }
        if self.framing == Framing::UntilClose {
            let n = self.reader.read(buffer)?;
            self.ended = n == 0;
            return Ok(n);
        }
        let want = buffer.len().min(usize::try_from(self.left).unwrap_or(usize::MAX));
        let n = self.reader.read(&mut buffer[..want])?;
        if n == 0 {
            return Err(io::ErrorKind::UnexpectedEof.into());
        }
        self.left -= n as u64;
        self.ended = self.left == 0 && self.framing != Framing::Chunked;
        Ok(n)
    }
}

/// Writes body bytes, in chunks when the length was not declared.
pub(crate) struct BodyWriter<W> {
    to: W,
    chunked: bool,
}

impl<W: Write> BodyWriter<W> {
    pub(crate) fn new(to: W, chunked: bool) -> BodyWriter<W> {
        BodyWriter { to, chunked }
    }

    pub(crate) fn write(&mut self, bytes: &[u8]) -> io::Result<()> {
        // An empty chunk would end the body.
        if !self.chunked || bytes.is_empty() {
            return self.to.write_all(bytes);
        }
        let mut chunk = format!("{:x}\r\n", bytes.len()).into_bytes();
        chunk.extend_from_slice(bytes);
        chunk.extend_from_slice(b"\r\n");
        self.to.write_all(&chunk)
    }

    pub(crate) fn finish(&mut self) -> io::Result<()> {
        if self.chunked {
            self.to.write_all(b"0\r\n\r\n")?;
        }
        self.to.flush()
    }
}

/// A line without its end; `None` at the end of the input.
fn read_line(reader: &mut impl BufRead) -> io::Result<Option<String>> {
    let mut line = Vec::new();
    if reader.take(HEAD_LIMIT).read_until(b'\n', &mut line)? == 0 {
        return Ok(None);
    }
    if line.pop() != Some(b'\n') {
        return Err(io::ErrorKind::UnexpectedEof.into());
    }
    if line.last() == Some(&b'\r') {
        line.pop();
    }
    String::from_utf8(line).map(Some).map_err(|_| malformed("bytes that are not text"))
}

fn malformed(what: &str) -> io::Error {
    io::Error::new(io::ErrorKind::InvalidData, format!("malformed HTTP message: {what}"))
}

fn reason(status: u16) -> &'static str {
    match status {
        100 => "Continue",
        200 => "OK",
        201 => "Created",
        202 => "Accepted",
        204 => "No Content",
        206 => "Partial Content",
        301 => "Moved Permanently",
        302 => "Found",
        304 => "Not Modified",
        307 => "Temporary Redirect",
        308 => "Permanent Redirect",
        400 => "Bad Request",
        401 => "Unauthorized",
        403 => "Forbidden",
        404 => "Not Found",
        405 => "Method Not Allowed",
        412 => "Precondition Failed",
        413 => "Content Too Large",
        416 => "Range Not Satisfiable",
        429 => "Too Many Requests",
        500 => "Internal Server Error",
        502 => "Bad Gateway",
        503 => "Service Unavailable",
        504 => "Gateway Timeout",
        507 => "Insufficient Storage",
        _ => "Unnamed",
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn body(framing: Framing, mut wire: &[u8]) -> io::Result<(Vec<u8>, Vec<u8>)> {
        let mut content = Vec::new();
        Body::new(&mut wire, framing).read_to_end(&mut content)?;
        Ok((content, wire.to_vec()))
    }

    #[test]
    fn a_request_head_ends_at_the_empty_line() {
        let mut wire: &[u8] = b"\r\nPOST /v2/a/blobs/uploads/?mount=x&from=y HTTP/1.1\r\nHost: h\r\ncontent-length:4\r\n\r\nbody";
        let head = RequestHead::read(&mut wire).unwrap().unwrap();
        assert_eq!((head.method.as_str(), head.path()), ("POST", "/v2/a/blobs/uploads/"));
        assert_eq!((head.query("from"), head.query("nothing")), (Some("y"), None));
        assert_eq!(head.framing().unwrap(), Framing::Length(4));
        assert_eq!(wire, b"body");
    }

    #[test]
    fn a_closed_connection_is_no_request_and_half_a_head_is_an_error() {
        assert!(RequestHead::read(&mut &b""[..]).unwrap().is_none());
        for wire in ["GET / HT", "GET / HTTP/1.1\r\n", "GET / HTTP/1.1\r\nHost: h\r\n", "GET /\r\n\r\n"] {
            assert!(RequestHead::read(&mut wire.as_bytes()).is_err(), "{wire:?}");
        }
    }

    #[test]
    fn a_response_head_passes_over_interim_ones() {
        let mut wire: &[u8] = b"HTTP/1.1 100 Continue\r\n\r\nHTTP/1.1 201 Created\r\nLocation: /x\r\n\r\n";
        let head = ResponseHead::read(&mut wire).unwrap();
        assert_eq!((head.status, head.headers.get("location")), (201, Some("/x")));
        assert_eq!(head.framing("GET").unwrap(), Framing::UntilClose);
        assert_eq!(head.framing("HEAD").unwrap(), Framing::Length(0));
    }

    #[test]
    fn a_body_stops_at_its_end() {
        let of = |framing, wire: &[u8]| {
            let (content, rest) = body(framing, wire).unwrap();
            (String::from_utf8(content).unwrap(), String::from_utf8(rest).unwrap())
        };
        assert_eq!(of(Framing::Length(4), b"abcdrest"), ("abcd".into(), "rest".into()));
        assert_eq!(of(Framing::Length(0), b"rest"), ("".into(), "rest".into()));
        assert_eq!(
            of(Framing::Chunked, b"3;x=y\r\nabc\r\n1\r\nd\r\n0\r\nT: v\r\n\r\nrest"),
            ("abcd".into(), "rest".into())
        );
        assert_eq!(of(Framing::UntilClose, b"abcd"), ("abcd".into(), "".into()));
    }

    #[test]
    fn a_body_that_ends_early_is_an_error() {
        assert!(body(Framing::Length(5), b"abcd").is_err());
        assert!(body(Framing::Chunked, b"4\r\nabcd\r\n").is_err());
        assert!(body(Framing::Chunked, b"4\r\nabcdef\r\n0\r\n\r\n").is_err());
    }

    #[test]
    fn a_chunked_body_reads_back() {
        let mut wire = Vec::new();
        let mut writer = BodyWriter::new(&mut wire, true);
        for part in [&b"abc"[..], b"", b"defghijklmnopqrstu"] {
            writer.write(part).unwrap();
        }
        writer.finish().unwrap();
        assert_eq!(body(Framing::Chunked, &wire).unwrap().0, b"abcdefghijklmnopqrstu");
    }
}
