//! Registries: a host and an optional port, in one spelling.
//! Takes text, gives a host that can be connected to; Docker Hub's names are one.

use std::net::{IpAddr, Ipv6Addr};
use std::str::FromStr;
use std::sync::Arc;

/// A registry's host and optional port, lower case: `docker.io`, `localhost:5000`, `[::1]:5000`. Copies share the text.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Registry(Arc<str>);

impl Registry {
    /// Docker Hub, under the name that references use.
    pub fn docker_hub() -> Self {
        Self("docker.io".into())
    }

    /// The host that speaks the registry protocol for this name: Docker Hub's is not `docker.io`.
    pub fn endpoint(&self) -> &str {
        match &*self.0 {
            "docker.io" => "registry-1.docker.io",
            other => other,
        }
    }

    /// The host without its port, an IPv6 address without its brackets.
    pub fn host(&self) -> &str {
        let host = match self.0.rfind(':') {
            Some(colon) if !self.0[colon..].contains(']') => &self.0[..colon],
            _ => &self.0,
        };
        host.trim_start_matches('[').trim_end_matches(']')
    }

    /// Whether the host is this machine itself, so that plain HTTP gives nothing away.
    pub fn is_loopback(&self) -> bool {
        let host = self.host();
        host == "localhost"
            || host.parse::<IpAddr>().is_ok_and(|address| address.to_canonical().is_loopback())
    }
}

/// Why a text names no registry.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum ParseRegistryError {
    /// A scheme, path or login where only a host and port belong.
    #[error("registry must be HOST or HOST:PORT, without scheme, path or user")]
    NotAHost,
    /// A host that is no DNS name and no address.
    #[error("registry has an invalid host name")]
    Host,
    /// A port that is no number from 1 to 65535, or has zeros before it.
    #[error("registry has an invalid port")]
    Port,
}

impl FromStr for Registry {
    type Err = ParseRegistryError;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        if text.contains(['/', '@', '?', '#']) {
            return Err(ParseRegistryError::NotAHost);
        }
        let (host, port) = if let Some(rest) = text.strip_prefix('[') {
            let (address, rest) = rest.split_once(']').ok_or(ParseRegistryError::Host)?;
            let address: Ipv6Addr = address.parse().map_err(|_| ParseRegistryError::Host)?;
            // As RFC 5952 writes it.
            let host = format!("[{address}]");
            match rest.strip_prefix(':') {
                Some(port) => (host, Some(port)),
                None if rest.is_empty() => (host, None),
                None => return Err(ParseRegistryError::Port),
            }
        } else {
            let (host, port) = match text.split_once(':') {
                Some((host, port)) => (host, Some(port)),
                None => (text, None),
            };
            if !is_domain(host) {
                return Err(ParseRegistryError::Host);
            }
            (host.to_ascii_lowercase(), port)
        };
        let valid_port = |port: &str| {
            port.bytes().all(|byte| byte.is_ascii_digit())
                && !port.starts_with('0')
                && port.parse::<u16>().is_ok()
        };
        if port.is_some_and(|port| !valid_port(port)) {
            return Err(ParseRegistryError::Port);
        }
        // Docker's own names for its hub, which all mean `docker.io` in a reference.
        let host = match host.as_str() {
            "index.docker.io" | "registry-1.docker.io" if port.is_none() => "docker.io",
            other => other,
        };
        Ok(Self(match port {
            Some(port) => format!("{host}:{port}").into(),
            None => host.into(),
        }))
    }
}

/// RFC 1123 §2.1 labels, at most 253 characters together.
fn is_domain(host: &str) -> bool {
    let label = |label: &str| {
        (1..=63).contains(&label.len())
            && label.bytes().all(|byte| byte.is_ascii_alphanumeric() || byte == b'-' || byte == b'_')
            && !label.starts_with('-')
            && !label.ends_with('-')
    };
    let last = host.rsplit('.').next().unwrap_or_default();
    let hexadecimal = |text: &str| text.bytes().all(|byte| byte.is_ascii_hexdigit());
    let number = last.bytes().all(|byte| byte.is_ascii_digit())
        || last.strip_prefix("0x").or_else(|| last.strip_prefix("0X")).is_some_and(hexadecimal);
    // Clients read a host that ends in a number as an address (WHATWG URL §3.5), and `127.1` or `0x7f.1` are
    // spellings of one that has another name here.
    let spelled =
        !number || host.parse::<std::net::Ipv4Addr>().is_ok_and(|address| address.to_string() == host);
    host.len() <= 253 && host.split('.').all(label) && spelled
}

crate::string_type!(Registry);

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn registries_are_hosts_with_ports() {
        for (text, host, loopback) in [
            ("docker.io", "docker.io", false),
            ("localhost:5000", "localhost", true),
            ("127.0.0.1:80", "127.0.0.1", true),
            ("[::1]:5000", "::1", true),
            ("[::ffff:127.0.0.1]:80", "::ffff:127.0.0.1", true),
            ("[fe80::1]", "fe80::1", false),
            ("127.0.0.1.example.com", "127.0.0.1.example.com", false),
        ] {
            let registry: Registry = text.parse().unwrap();
            assert_eq!((registry.as_str(), registry.host(), registry.is_loopback()), (text, host, loopback));
        }
        assert_eq!("Example.COM:443".parse::<Registry>().unwrap().as_str(), "example.com:443");
        assert_eq!("index.docker.io".parse(), Ok(Registry::docker_hub()));
        assert_eq!("[0:0::1]:80".parse::<Registry>().unwrap().as_str(), "[::1]:80");
        assert_eq!("[FE80::A]".parse::<Registry>().unwrap().as_str(), "[fe80::a]");
    }

    #[test]
    fn what_is_no_host_is_refused() {
        for (text, error) in [
            ("https://a.b", ParseRegistryError::NotAHost),
            ("user@a.b", ParseRegistryError::NotAHost),
            ("a..b", ParseRegistryError::Host),
            ("", ParseRegistryError::Host),
            ("-a.b", ParseRegistryError::Host),
            ("a b", ParseRegistryError::Host),
            ("a:0", ParseRegistryError::Port),
            ("a:0443", ParseRegistryError::Port),
            ("a:65536", ParseRegistryError::Port),
            ("a:", ParseRegistryError::Port),
            ("a:+1", ParseRegistryError::Port),
            ("[::1]x", ParseRegistryError::Port),
            ("[::g]", ParseRegistryError::Host),
        ] {
            assert_eq!(text.parse::<Registry>(), Err(error), "{text:?}");
        }
    }

    #[test]
    fn an_address_has_one_spelling_and_a_name_has_no_final_dot() {
        for good in ["127.0.0.1", "127.0.0.1:5000", "a.b1", "1.example", "0x7f.example", "a0x7f", "1a"] {
            assert!(good.parse::<Registry>().is_ok(), "{good}");
        }
        for bad in [
            "127.1",
            "127.1:5000",
            "0x7f.1",
            "0x7f.0.0.1",
            "127.0.0.0x1",
            "2130706433",
            "0X",
            "1.2.3.4.5",
            "127.0.0.01",
            "a.9",
            "a.b.",
            "127.0.0.1.",
        ] {
            assert_eq!(bad.parse::<Registry>(), Err(ParseRegistryError::Host), "{bad}");
        }
    }
}
