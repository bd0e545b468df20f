//! A request as the double's parts see it: decoded path, decoded query, and the body still to be read.
//! Takes a head and a reader; gives an error instead of a guess where the encoding is wrong.

use std::io::{self, Read};

use serde::de::DeserializeOwned;

use super::answer::{Code, Refusal};
use crate::http::RequestHead;

/// The longest body of an API call or a manifest that is read; beego's default is far above.
const BODY_LIMIT: u64 = 16 << 20;

/// A request without its body.
#[derive(Debug)]
pub(super) struct Request<'a> {
    pub(super) head: &'a RequestHead,
    /// The path, percent-decoded once, as Go's `URL.Path`.
    pub(super) path: String,
    pub(super) query: Query,
}

impl<'a> Request<'a> {
    pub(super) fn new(head: &'a RequestHead) -> Request<'a> {
        let query = head.path_and_query.split_once('?').map_or("", |(_, query)| query);
        Request { head, path: percent_decoded(head.path()), query: Query::parse(query) }
    }

    pub(super) fn method(&self) -> &str {
        &self.head.method
    }

    pub(super) fn header(&self, name: &str) -> Option<&str> {
        self.head.headers.get(name)
    }

    /// `Host`, or this double's own address for a client that sent none.
    pub(super) fn host<'b>(&'b self, own: &'b str) -> &'b str {
        self.header("host").unwrap_or(own)
    }

    pub(super) fn user_agent(&self) -> &str {
        self.header("user-agent").unwrap_or_default()
    }

    /// The declared length of the body; `None` for a chunked one.
    pub(super) fn content_length(&self) -> Option<u64> {
        self.header("content-length").and_then(|length| length.trim().parse().ok())
    }
}

/// Reads a small body whole.
pub(super) fn read_body(body: &mut dyn Read) -> io::Result<Vec<u8>> {
    let mut bytes = Vec::new();
    body.take(BODY_LIMIT).read_to_end(&mut bytes)?;
    Ok(bytes)
}

/// Reads a JSON body as go-openapi binds one: what is missing, no JSON, or of other types is 422.
pub(super) fn read_json<T: DeserializeOwned>(body: &mut dyn Read) -> Result<T, Refusal> {
    let bytes = read_body(body)?;
    let invalid = |why: &str| {
        Refusal::new(
            Code::Unprocessable,
            format!("validation failure list:\nparsing body failed, because {why}"),
        )
    };
    if bytes.is_empty() {
        return Err(invalid("body in body is required"));
    }
    serde_json::from_slice(&bytes).map_err(|error| invalid(&error.to_string()))
}

/// Query parameters, decoded, in the order of the wire.
#[derive(Debug, Default)]
pub(super) struct Query(Vec<(String, String)>);

impl Query {
    fn parse(query: &str) -> Query {
        let decoded = |text: &str| percent_decoded(&text.replace('+', " "));
        Query(
            query
                .split('&')
                .filter(|pair| !pair.is_empty())
                .map(|pair| pair.split_once('=').unwrap_or((pair, "")))
                .map(|(name, value)| (decoded(name), decoded(value)))
                .collect(),
        )
    }

    /// The first value of that name.
    pub(super) fn get(&self, name: &str) -> Option<&str> {
        self.0.iter().find(|(n, _)| n == name).map(|(_, value)| value.as_str())
    }

    /// The first value of that name that is not empty.
    pub(super) fn filled(&self, name: &str) -> Option<&str> {
        self.get(name).filter(|value| !value.is_empty())
    }

    /// All values of that name.
    pub(super) fn all<'a>(&'a self, name: &'a str) -> impl Iterator<Item = &'a str> {
        self.0.iter().filter(move |(n, _)| n == name).map(|(_, value)| value.as_str())
    }

    /// The pairs with some replaced or added, as a query string that is not encoded: how Harbor writes the
    /// links of its pages (`handler/base.go Links`).
    pub(super) fn with(&self, replacements: &[(&str, String)]) -> String {
        let mut pairs = self.0.clone();
        for (name, value) in replacements {
            pairs.retain(|(n, _)| n != name);
            pairs.push(((*name).to_owned(), value.clone()));
        }
        pairs.sort();
        pairs.iter().map(|(name, value)| format!("{name}={value}")).collect::<Vec<_>>().join("&")
    }
}

/// RFC 3986 §2.1; what is no triplet stays as it is.
pub(super) fn percent_decoded(text: &str) -> String {
    let bytes = text.as_bytes();
    let mut decoded = Vec::with_capacity(bytes.len());
    let mut at = 0;
    while let Some(&byte) = bytes.get(at) {
        let triplet = bytes.get(at + 1..at + 3).filter(|_| byte == b'%');
        let value = triplet
            .and_then(|hex| std::str::from_utf8(hex).ok())
            .and_then(|hex| u8::from_str_radix(hex, 16).ok());
        decoded.push(value.unwrap_or(byte));
        at += if value.is_some() { 3 } else { 1 };
    }
    String::from_utf8_lossy(&decoded).into_owned()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_path_is_decoded_once() {
        for (raw, decoded) in [
            ("/a/b%2Fc", "/a/b/c"),
            ("/a/b%252Fc", "/a/b%2Fc"),
            ("/sha256%3aab", "/sha256:ab"),
            ("/100%", "/100%"),
            ("/%zz", "/%zz"),
        ] {
            assert_eq!(percent_decoded(raw), decoded);
        }
    }

    #[test]
    fn a_query_is_decoded_and_written_back_undecoded() {
        let query = Query::parse("q=name%3D%7B%27a%27+%27b%27%7D&page=1");
        assert_eq!(query.get("q"), Some("name={'a' 'b'}"));
        assert_eq!(query.with(&[("page", "2".into())]), "page=2&q=name={'a' 'b'}");
    }
}
