//! Template functions for addresses (Go's `net/url`).
//! Take a URL or its parts; give the other.

use super::{Call, Failure, Function};
use crate::go::types::kind;
use crate::{Map, Value};

pub(super) const FUNCTIONS: &[Function] = &[
    Function::fixed("urlParse", 1, |call| {
        let url = Url::parse(call.string(0)?)
            .map_err(|problem| Failure::Message(format!("unable to parse url: parse {problem}")))?;
        let entry = |name: &'static str, text: String| (name, Value::from(text));
        Ok(Value::Map(Map::from_iter([
            entry("hostname", url.hostname().to_owned()),
            entry("userinfo", url.userinfo.as_ref().map(Userinfo::text).unwrap_or_default()),
            entry("scheme", url.scheme),
            entry("host", url.host),
            entry("path", url.path),
            entry("query", url.query),
            entry("opaque", url.opaque),
            entry("fragment", url.fragment),
        ])))
    }),
    Function::fixed("urlJoin", 1, join),
];

/// The parts of a URL by the rules of Go's `net/url`.
#[derive(Debug, Default, PartialEq)]
struct Url {
    scheme: String,
    opaque: String,
    userinfo: Option<Userinfo>,
    host: String,
    path: String,
    query: String,
    fragment: String,
}

#[derive(Debug, PartialEq)]
struct Userinfo {
    name: String,
    password: Option<String>,
}

impl Userinfo {
    fn parse(text: &str) -> Option<Self> {
        let (name, password) = match text.split_once(':') {
            Some((name, password)) => (name, Some(unescaped(password)?)),
            None => (text, None),
        };
        Some(Self { name: unescaped(name)?, password })
    }

    fn text(&self) -> String {
        let name = escaped(&self.name, "$&+,;=");
        match &self.password {
            Some(password) => format!("{name}:{}", escaped(password, "$&+,;=")),
            None => name,
        }
    }
}

impl Url {
    /// Parses a URL; errors are in Go's words.
    fn parse(text: &str) -> Result<Self, String> {
        let wrong = |problem: &str| format!("{text:?}: {problem}");
        if text.contains(|c: char| c.is_ascii_control()) {
            return Err(wrong("net/url: invalid control character in URL"));
        }
        let mut url = Self::default();
        let (rest, fragment) = text.split_once('#').unwrap_or((text, ""));
        url.fragment = unescaped(fragment).ok_or_else(|| wrong("invalid URL escape"))?;
        let mut rest = rest;
        if let Some(colon) = rest.find(|c: char| !(c.is_ascii_alphanumeric() || "+-.".contains(c)))
            && rest[colon..].starts_with(':')
        {
            if colon == 0 {
                return Err(wrong("missing protocol scheme"));
            }
            if rest.starts_with(|c: char| c.is_ascii_alphabetic()) {
                url.scheme = rest[..colon].to_ascii_lowercase();
                rest = &rest[colon + 1..];
            }
        }
        let (path, query) = rest.split_once('?').unwrap_or((rest, ""));
        url.query = query.to_owned();
        rest = path;
        if !rest.starts_with('/') {
            if !url.scheme.is_empty() {
                url.opaque = rest.to_owned();
                return Ok(url);
            }
            if rest.split('/').next().is_some_and(|segment| segment.contains(':')) {
                return Err(wrong("first path segment in URL cannot contain colon"));
            }
        }
        let has_authority = !url.scheme.is_empty() || !rest.starts_with("///");
        if let Some(after) = rest.strip_prefix("//").filter(|_| has_authority) {
            let (authority, path) = after.split_at(after.find('/').unwrap_or(after.len()));
            rest = path;
            let host = match authority.rsplit_once('@') {
                Some((userinfo, host)) => {
                    url.userinfo =
                        Some(Userinfo::parse(userinfo).ok_or_else(|| wrong("net/url: invalid userinfo"))?);
                    host
                }
                None => authority,
            };
            let port = host.rsplit_once(':').filter(|(_, port)| !port.contains(']')).map(|(_, port)| port);
            if let Some(port) = port.filter(|port| !port.bytes().all(|byte| byte.is_ascii_digit())) {
                return Err(wrong(&format!("invalid port {:?} after host", format!(":{port}"))));
            }
            if host.contains(' ') {
                return Err(wrong("invalid character \" \" in host name"));
            }
            url.host = host.to_owned();
        }
        url.path = unescaped(rest).ok_or_else(|| wrong("invalid URL escape"))?;
        Ok(url)
    }

    fn hostname(&self) -> &str {
        if let Some(inner) = self.host.strip_prefix('[') {
            return inner.split_once(']').map_or(inner, |(address, _)| address);
        }
        self.host.split_once(':').map_or(&self.host, |(name, _)| name)
    }

    fn text(&self) -> String {
        let mut out = String::new();
        if !self.scheme.is_empty() {
            out += &format!("{}:", self.scheme);
        }
        if !self.opaque.is_empty() {
            out += &self.opaque;
        } else {
            if !self.scheme.is_empty() || !self.host.is_empty() || self.userinfo.is_some() {
                if !self.host.is_empty() || !self.path.is_empty() || self.userinfo.is_some() {
                    out += "//";
                }
                if let Some(userinfo) = &self.userinfo {
                    out += &format!("{}@", userinfo.text());
                }
                out += &escaped(&self.host, "!$&'()*+,;=:[]<>\"");
            }
            let path = escaped(&self.path, "$&+,/:;=@!'()*");
            if !path.is_empty() && !path.starts_with('/') && !self.host.is_empty() {
                out.push('/');
            }
            out += &path;
        }
        if !self.query.is_empty() {
            out += &format!("?{}", self.query);
        }
        if !self.fragment.is_empty() {
            out += &format!("#{}", escaped(&self.fragment, "$&+,/:;=?@!()*'"));
        }
        out
    }
}

fn join(call: &Call<'_>) -> Result<Value, Failure> {
    let parts = call.map(0)?;
    let part = |key: &str| match parts.get(key) {
        None => Ok(String::new()),
        Some(Value::String(text)) => Ok(text.to_string()),
        Some(other) => Err(Failure::Message(format!(
            "unable to parse {key} key, must be of type string, but {} found",
            kind(&other)
        ))),
    };
    let userinfo = match part("userinfo")?.as_str() {
        "" => None,
        text => {
            Some(Userinfo::parse(text).ok_or_else(|| Failure::message("unable to parse userinfo in dict"))?)
        }
    };
    let url = Url {
        scheme: part("scheme")?,
        opaque: part("opaque")?,
        userinfo,
        host: part("host")?,
        path: part("path")?,
        query: part("query")?,
        fragment: part("fragment")?,
    };
    call.give(url.text())
}

/// `url.QueryEscape`
pub(super) fn query_escaped(text: &str) -> String {
    escaped(text, " ").replace(' ', "+")
}

/// Escapes all but letters, digits, `-_.~` and the marks that are allowed here.
fn escaped(text: &str, allowed: &str) -> String {
    let mut out = String::with_capacity(text.len());
    for byte in text.bytes() {
        let c = char::from(byte);
        if c.is_ascii_alphanumeric() || "-_.~".contains(c) || (c.is_ascii() && allowed.contains(c)) {
            out.push(c);
        } else {
            out.push_str(&format!("%{byte:02X}"));
        }
    }
    out
}

/// `None` if a `%` is not followed by two digits.
fn unescaped(text: &str) -> Option<String> {
    if !text.contains('%') {
        return Some(text.to_owned());
    }
    let mut bytes = Vec::with_capacity(text.len());
    let mut rest = text.as_bytes();
    while let Some((byte, tail)) = rest.split_first() {
        rest = tail;
        if *byte != b'%' {
            bytes.push(*byte);
            continue;
        }
        let digits = std::str::from_utf8(tail.get(..2)?).ok()?;
        bytes.push(u8::from_str_radix(digits, 16).ok().filter(|_| !digits.starts_with('+'))?);
        rest = &tail[2..];
    }
    Some(String::from_utf8_lossy(&bytes).into_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn urls_have_gos_parts() {
        let url = Url::parse("HTTPS://us%20er:pw@[::1]:8080/a%2Fb/c?q=1&r#f").unwrap();
        assert_eq!(url.scheme, "https");
        assert_eq!(url.userinfo.as_ref().unwrap().text(), "us%20er:pw");
        assert_eq!((url.host.as_str(), url.hostname()), ("[::1]:8080", "::1"));
        assert_eq!((url.path.as_str(), url.query.as_str(), url.fragment.as_str()), ("/a/b/c", "q=1&r", "f"));
        assert_eq!(Url::parse("mailto:a@b").unwrap().opaque, "a@b");
        assert_eq!(Url::parse("a/b").unwrap().path, "a/b");
        assert_eq!(Url::parse("//host/p").unwrap().host, "host");
        for wrong in ["a:b", "1:b", ":a", "http://h:x/", "http://h/%zz", "http://a b/"] {
            assert!(Url::parse(wrong).is_err() || wrong == "a:b", "{wrong}");
        }
    }

    #[test]
    fn urls_are_put_together() {
        for text in ["http://u:p@h:1/a%20b?q#f", "mailto:x", "/a", "//h/a"] {
            assert_eq!(Url::parse(text).unwrap().text(), text);
        }
        assert_eq!(query_escaped("a b&c/é"), "a+b%26c%2F%C3%A9");
    }
}
