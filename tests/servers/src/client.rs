//! A registry client small enough to be checked by reading: one plain connection per request, no retries, no
//! cache. Takes a registry's host and a path; gives status, headers and body as they came.

use std::io::{self, BufReader, Read, Write};
use std::net::TcpStream;

use crate::blob::sha256;
use crate::http::{Body, Headers, RequestHead, Response, ResponseHead};
use crate::manifest::{DOCKER_LIST, DOCKER_MANIFEST, OCI_INDEX, OCI_MANIFEST};

/// The manifest media types a client says it accepts.
pub const MANIFEST_TYPES: [&str; 4] = [OCI_INDEX, OCI_MANIFEST, DOCKER_LIST, DOCKER_MANIFEST];

/// Talks to one registry on the loopback.
#[derive(Clone, Debug)]
pub struct Client {
    host: String,
    authorization: Option<String>,
}

impl Client {
    /// A client without credentials for the registry at `host:port`.
    pub fn new(host: impl Into<String>) -> Client {
        Client { host: host.into(), authorization: None }
    }

    /// The client with a user and a password, sent with every request.
    pub fn with_basic(self, user: &str, password: &str) -> Client {
        let credentials = base64(format!("{user}:{password}").as_bytes());
        Client { authorization: Some(format!("Basic {credentials}")), ..self }
    }

    /// The client with this `Authorization` header, sent with every request.
    pub fn with_authorization(self, value: &str) -> Client {
        Client { authorization: Some(value.to_owned()), ..self }
    }

    /// `host:port` of the registry.
    pub fn host(&self) -> &str {
        &self.host
    }

    /// `GET`, with the whole body; manifests are asked for in every format.
    ///
    /// # Errors
    ///
    /// When no complete response arrives. A status is never an error.
    pub fn get(&self, path_and_query: &str) -> io::Result<Response> {
        self.request("GET", path_and_query, &[], b"")
    }

    /// `HEAD`.
    ///
    /// # Errors
    ///
    /// As [`Client::get`].
    pub fn head(&self, path_and_query: &str) -> io::Result<Response> {
        self.request("HEAD", path_and_query, &[], b"")
    }

    /// `DELETE`.
    ///
    /// # Errors
    ///
    /// As [`Client::get`].
    pub fn delete(&self, path_and_query: &str) -> io::Result<Response> {
        self.request("DELETE", path_and_query, &[], b"")
    }

    /// Any request with a body in memory.
    ///
    /// # Errors
    ///
    /// As [`Client::get`].
    pub fn request(
        &self,
        method: &str,
        path_and_query: &str,
        headers: &[(&str, &str)],
        body: &[u8],
    ) -> io::Result<Response> {
        self.send(method, path_and_query, headers, body.len() as u64, |to| to.write_all(body))?.collect()
    }

    /// `GET` with a body that is read as it arrives.
    ///
    /// # Errors
    ///
    /// When no response arrives.
    pub fn download(&self, path_and_query: &str) -> io::Result<Download> {
        self.send("GET", path_and_query, &[], 0, |_| Ok(()))
    }

    /// The manifest a tag or a digest refers to; `None` when there is none. The digest is of the bytes
    /// received, not of the registry's headers.
    ///
    /// # Errors
    ///
    /// When no complete response arrives, or it is neither 200 nor 404.
    pub fn manifest(&self, repository: &str, reference: &str) -> io::Result<Option<FetchedManifest>> {
        let response = self.get(&format!("/v2/{repository}/manifests/{reference}"))?;
        match response.status {
            200 => Ok(Some(FetchedManifest {
                digest: sha256(&response.body),
                media_type: response.header("content-type").unwrap_or_default().to_owned(),
                bytes: response.body,
            })),
            404 => Ok(None),
            _ => Err(unexpected("manifest", &response)),
        }
    }

    /// Removes a manifest or, on registries that can, a tag.
    ///
    /// # Errors
    ///
    /// When the registry does not answer 202.
    pub fn delete_manifest(&self, repository: &str, reference: &str) -> io::Result<()> {
        let response = self.delete(&format!("/v2/{repository}/manifests/{reference}"))?;
        if response.status == 202 { Ok(()) } else { Err(unexpected("delete", &response)) }
    }

    /// All repositories of the registry, sorted.
    ///
    /// # Errors
    ///
    /// When the registry does not list them.
    pub fn catalog(&self) -> io::Result<Vec<String>> {
        self.pages("/v2/_catalog?n=1000", "repositories")
    }

    /// All tags of a repository, sorted; none when the repository is unknown.
    ///
    /// # Errors
    ///
    /// When the registry does not list them.
    pub fn tags(&self, repository: &str) -> io::Result<Vec<String>> {
        self.pages(&format!("/v2/{repository}/tags/list"), "tags")
    }

    /// A listing with all its pages (distribution-spec §Listing Tags: `Link` with `rel="next"`).
    fn pages(&self, first: &str, member: &str) -> io::Result<Vec<String>> {
        let mut names = Vec::new();
        let mut next = Some(first.to_owned());
        while let Some(page) = next {
            let response = self.get(&page)?;
            if response.status == 404 {
                break;
            }
            if response.status != 200 {
                return Err(unexpected(member, &response));
            }
            let mut listing: serde_json::Value = serde_json::from_slice(&response.body)?;
            // A repository whose tags are all deleted has `"tags": null` in docker's registry.
            let listed: Option<Vec<String>> = serde_json::from_value(listing[member].take())?;
            names.extend(listed.unwrap_or_default());
            next = response.header("link").and_then(|link| {
                let target = link.strip_prefix('<')?.split('>').next()?;
                Some(target.strip_prefix(&format!("http://{}", self.host)).unwrap_or(target).to_owned())
            });
        }
        names.sort();
        Ok(names)
    }

    /// Sends a request whose body `write_body` writes, `length` bytes of it.
    pub(crate) fn send(
        &self,
        method: &str,
        path_and_query: &str,
        headers: &[(&str, &str)],
        length: u64,
        write_body: impl FnOnce(&mut TcpStream) -> io::Result<()>,
    ) -> io::Result<Download> {
        let mut head = RequestHead::new(method, path_and_query);
        head.headers.add("Host", self.host.as_str());
        head.headers.add("Connection", "close");
        head.headers.add("Accept", format!("{}, */*", MANIFEST_TYPES.join(", ")));
        if let Some(authorization) = &self.authorization {
            head.headers.add("Authorization", authorization.as_str());
        }
        if !matches!(method, "GET" | "HEAD" | "DELETE") {
            head.headers.add("Content-Length", length.to_string());
        }
        for &(name, value) in headers {
            head.headers.set(name, value);
        }
        let mut stream = TcpStream::connect(&self.host)?;
        stream.set_nodelay(true)?;
        head.write(&mut stream)?;
        let written = write_body(&mut stream);
        let mut reader = BufReader::with_capacity(64 * 1024, stream);
        // A server may answer, and close, before it has read all; then the answer is the better news.
        let answer = match (ResponseHead::read(&mut reader), written) {
            (Ok(answer), _) => answer,
            (Err(_), Err(error)) | (Err(error), Ok(())) => return Err(error),
        };
        let framing = answer.framing(method)?;
        Ok(Download { status: answer.status, headers: answer.headers, body: Body::new(reader, framing) })
    }
}

/// A response whose body is read as it arrives.
pub struct Download {
    /// The status code.
    pub status: u16,
    /// The header fields.
    pub headers: Headers,
    body: Body<BufReader<TcpStream>>,
}

impl Download {
    fn collect(mut self) -> io::Result<Response> {
        let mut body = Vec::new();
        self.body.read_to_end(&mut body)?;
        Ok(Response { status: self.status, headers: self.headers, body })
    }
}

impl Read for Download {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        self.body.read(buffer)
    }
}

/// A manifest as a registry served it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct FetchedManifest {
    /// `sha256:<hex>` of the bytes.
    pub digest: String,
    /// The response's `Content-Type`.
    pub media_type: String,
    /// The document.
    pub bytes: Vec<u8>,
}

pub(crate) fn unexpected(what: &str, response: &Response) -> io::Error {
    io::Error::other(format!("{what}: the registry answered {}: {}", response.status, response.text()))
}

const ALPHABET: &[u8; 64] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";

/// RFC 4648 §4, read back; `None` for what is not of that form.
pub(crate) fn base64_decoded(text: &str) -> Option<Vec<u8>> {
    let digits = text.trim_end_matches('=');
    if !text.len().is_multiple_of(4) || text.len() - digits.len() > 2 {
        return None;
    }
    let mut bytes = Vec::new();
    for group in digits.as_bytes().chunks(4) {
        let mut bits = 0;
        for digit in group {
            bits = bits << 6 | ALPHABET.iter().position(|a| a == digit)?;
        }
        bits <<= 6 * (4 - group.len());
        // Cannot be more than 24 bits: four digits of six.
        bytes.extend((0..group.len() - 1).map(|place| (bits >> (16 - 8 * place) & 0xff) as u8));
    }
    Some(bytes)
}

/// Base64 with padding (RFC 4648 §4), as Basic credentials and credential files have it.
pub fn base64(bytes: &[u8]) -> String {
    let mut text = String::new();
    for group in bytes.chunks(3) {
        let bits = group.iter().fold(0, |bits, &b| bits << 8 | usize::from(b)) << (8 * (3 - group.len()));
        for place in 0..4 {
            let symbol = char::from(ALPHABET[bits >> (18 - 6 * place) & 0x3f]);
            text.push(if place <= group.len() { symbol } else { '=' });
        }
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn base64_is_that_of_the_rfc() {
        let vectors = [("", ""), ("f", "Zg=="), ("fo", "Zm8="), ("foo", "Zm9v"), ("foobar", "Zm9vYmFy")];
        for (plain, encoded) in vectors {
            assert_eq!(base64(plain.as_bytes()), encoded);
            assert_eq!(base64_decoded(encoded).as_deref(), Some(plain.as_bytes()));
        }
        for wrong in ["Zg", "Zg=", "Z===", "Zm9v!m9v"] {
            assert_eq!(base64_decoded(wrong), None, "{wrong}");
        }
    }
}
