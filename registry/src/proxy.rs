//! The proxies that the environment names, read as Go's tools read them (golang.org/x/net http/httpproxy),
//! and SOCKS5. Takes the variables, gives the proxy for an address, or an error for an entry that is not
//! understood: an exception that is skipped sends passwords to a proxy.

use std::fmt;
use std::net::IpAddr;

use reqwest::Url;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;

use crate::limits::{
    LONGEST_PROXY_HEAD, LONGEST_PROXY_VARIABLE, LONGEST_SCHEME, MOST_PROXY_EXCEPTIONS, MOST_SCHEMES,
};
use crate::{ProxyProblem, redirect};

/// A proxy, or an exception from it, that the environment names and that cannot be used. Its text
/// never quotes an address of a proxy, which may have a password in it.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum ProxyError {
    /// No address.
    #[error("{0} is not the address of a proxy")]
    Address(&'static str),
    /// A proxy that speaks something else.
    #[error("{variable} names a {scheme} proxy; http, https and socks5 proxies are supported")]
    Scheme {
        /// The variable.
        variable: &'static str,
        /// The scheme of the address.
        scheme: String,
    },
    /// An exception that is not understood.
    #[error(
        "{variable} has the entry '{}', which is not a host name, *.domain, .domain, IP address, CIDR range or one of these with a port",
        bundle_oci::Printable(.entry)
    )]
    Exception {
        /// The variable.
        variable: &'static str,
        /// The entry.
        entry: String,
    },
    /// More than anyone writes.
    #[error("{0} is too long")]
    TooLong(&'static str),
}

/// Which requests go through a proxy, and through which one. Requests to this machine never do.
#[derive(Clone, Default)]
pub struct Proxies {
    http: Option<Proxy>,
    https: Option<Proxy>,
    exceptions: Vec<Exception>,
}

#[derive(Clone)]
struct Proxy {
    url: Url,
}

/// A host that is spoken to past the proxy.
#[derive(Clone, Debug, PartialEq, Eq)]
enum Exception {
    All,
    Range {
        network: IpAddr,
        bits: u8,
    },
    Address {
        address: IpAddr,
        port: Option<u16>,
    },
    /// `suffix` starts with a dot; with `itself`, the name without it counts too.
    Domain {
        suffix: String,
        itself: bool,
        port: Option<u16>,
    },
}

impl Proxies {
    /// Reads `HTTPS_PROXY`, `HTTP_PROXY`, `ALL_PROXY` and `NO_PROXY`; where one is not set, the
    /// same in small letters.
    ///
    /// # Errors
    /// Any [`ProxyError`].
    pub fn from_environment(variable: impl Fn(&str) -> Option<String>) -> Result<Self, ProxyError> {
        let first = |names: [&'static str; 2]| {
            names.into_iter().find_map(|name| {
                let value = variable(name).filter(|value| !value.trim().is_empty())?;
                Some((name, value))
            })
        };
        let proxy = |names| match first(names) {
            Some((name, value)) => read_proxy(name, &value).map(Some),
            None => Ok(None),
        };
        let all = proxy(["ALL_PROXY", "all_proxy"])?;
        let https = proxy(["HTTPS_PROXY", "https_proxy"])?.or(all.clone());
        let http = proxy(["HTTP_PROXY", "http_proxy"])?.or(all);
        let exceptions = match first(["NO_PROXY", "no_proxy"]) {
            Some((name, value)) => read_exceptions(name, &value)?,
            None => Vec::new(),
        };
        Ok(Self { http, https, exceptions })
    }

    /// The proxy through which an address is asked.
    pub(crate) fn proxy_for(&self, url: &Url) -> Option<&Url> {
        let proxy = match url.scheme() {
            "https" => self.https.as_ref()?,
            _ => self.http.as_ref()?,
        };
        if redirect::is_loopback(url) {
            return None;
        }
        let host = url.host_str()?.trim_start_matches('[').trim_end_matches(']').to_ascii_lowercase();
        let port = url.port_or_known_default()?;
        let excepted = self.exceptions.iter().any(|exception| exception.covers(&host, port));
        (!excepted).then_some(&proxy.url)
    }
}

/// The address of a proxy without its login.
pub(crate) fn shown(proxy: &Url) -> String {
    let scheme = proxy.scheme().replace("socks5h", "socks5");
    let port = proxy.port().map(|port| format!(":{port}")).unwrap_or_default();
    format!("{scheme}://{}{port}", proxy.host_str().unwrap_or_default())
}

/// The problem of a proxy that answered 407, by its `Proxy-Authenticate` headers (RFC 9110 §11.7.1). This
/// client supports Basic only.
pub(crate) fn login_problem(proxy: &Url, asked: &[&str]) -> ProxyProblem {
    let mut schemes: Vec<String> = Vec::new();
    for scheme in asked.iter().flat_map(|header| schemes_of(header)) {
        if !schemes.contains(&scheme) && schemes.len() < MOST_SCHEMES {
            schemes.push(scheme);
        }
    }
    let basic = schemes.iter().any(|scheme| scheme.eq_ignore_ascii_case("basic"));
    if !basic && !schemes.is_empty() {
        return ProxyProblem::Schemes(schemes.join(" and "));
    }
    if proxy.username().is_empty() { ProxyProblem::Credentials } else { ProxyProblem::Login }
}

/// The schemes of one header's challenges. Parameters have an equals sign, and commas inside quotes end nothing.
fn schemes_of(header: &str) -> Vec<String> {
    let mut quoted = false;
    let parts = header.split(|letter| {
        quoted ^= letter == '"';
        letter == ',' && !quoted
    });
    parts
        .filter_map(|part| part.split_whitespace().next())
        .filter(|word| word.len() <= LONGEST_SCHEME)
        .filter(|word| word.bytes().all(|byte| byte.is_ascii_alphanumeric() || byte == b'-'))
        .map(str::to_owned)
        .collect()
}

/// Asks a proxy once more for a tunnel, without a login, and gives the `Proxy-Authenticate` headers of its refusal;
/// none if it cannot be asked so.
pub(crate) async fn asks_for(proxy: &Url, target: &Url) -> Option<Vec<String>> {
    // A proxy over TLS reports only that it refuses.
    if proxy.scheme() != "http" {
        return None;
    }
    let host = proxy.host_str()?.trim_start_matches('[').trim_end_matches(']');
    let mut stream = TcpStream::connect((host, proxy.port_or_known_default()?)).await.ok()?;
    let to = format!("{}:{}", target.host_str()?, target.port_or_known_default()?);
    stream.write_all(format!("CONNECT {to} HTTP/1.1\r\nHost: {to}\r\n\r\n").as_bytes()).await.ok()?;
    let mut head = Vec::new();
    while head.len() < LONGEST_PROXY_HEAD && !head.windows(4).any(|end| end == b"\r\n\r\n") {
        if stream.read_buf(&mut head).await.ok()? == 0 {
            break;
        }
    }
    let head = String::from_utf8_lossy(&head);
    let mut lines = head.split("\r\n").take_while(|line| !line.is_empty());
    if lines.next()?.split(' ').nth(1) != Some("407") {
        return None;
    }
    let fields = lines.filter_map(|line| line.split_once(':'));
    let asked = fields.filter(|(name, _)| name.eq_ignore_ascii_case("proxy-authenticate"));
    Some(asked.map(|(_, value)| value.trim().to_owned()).collect())
}

fn read_proxy(variable: &'static str, text: &str) -> Result<Proxy, ProxyError> {
    let text = text.trim();
    if text.len() > LONGEST_PROXY_VARIABLE {
        return Err(ProxyError::TooLong(variable));
    }
    let (scheme, rest) = text.split_once("://").unwrap_or(("http", text));
    // As Go does, the proxy looks names up: behind one, this machine often cannot.
    let scheme = match scheme.to_ascii_lowercase().as_str() {
        scheme @ ("http" | "https") => scheme.to_owned(),
        "socks5" | "socks5h" => "socks5h".to_owned(),
        other => return Err(ProxyError::Scheme { variable, scheme: other.to_owned() }),
    };
    // A Windows account has a backslash (`DOMAIN\user`), which URLs take for a slash.
    let (login, host) = match rest.rsplit_once('@') {
        Some((login, host)) => (format!("{}@", encoded_login(login)), host),
        None => (String::new(), rest),
    };
    let wrong = || ProxyError::Address(variable);
    let url: Url = format!("{scheme}://{login}{host}").parse().map_err(|_| wrong())?;
    let bare = matches!(url.path(), "" | "/") && url.query().is_none() && url.fragment().is_none();
    if url.host_str().is_none_or(str::is_empty) || !bare {
        return Err(wrong());
    }
    Ok(Proxy { url })
}

/// User and password with everything escaped that would end them; what is escaped stays so.
fn encoded_login(login: &str) -> String {
    let mut encoded = String::new();
    for byte in login.bytes() {
        match byte {
            b'%' | b':' | b'-' | b'.' | b'_' | b'~' => encoded.push(char::from(byte)),
            byte if byte.is_ascii_alphanumeric() => encoded.push(char::from(byte)),
            byte => encoded.push_str(&format!("%{byte:02X}")),
        }
    }
    encoded
}

fn read_exceptions(variable: &'static str, text: &str) -> Result<Vec<Exception>, ProxyError> {
    let mut exceptions = Vec::new();
    for entry in text.split(',') {
        let entry = entry.trim().to_ascii_lowercase();
        if entry.is_empty() {
            continue;
        }
        if exceptions.len() == MOST_PROXY_EXCEPTIONS {
            return Err(ProxyError::TooLong(variable));
        }
        let exception = Exception::read(&entry).ok_or(ProxyError::Exception { variable, entry })?;
        exceptions.push(exception);
    }
    Ok(exceptions)
}

impl Exception {
    fn read(entry: &str) -> Option<Self> {
        if entry == "*" {
            return Some(Self::All);
        }
        if let Some((network, bits)) = entry.split_once('/') {
            let network: IpAddr = network.parse().ok()?;
            let bits: u8 = bits.parse().ok()?;
            let most = if network.is_ipv4() { 32 } else { 128 };
            return (bits <= most).then_some(Self::Range { network, bits });
        }
        if let Ok(address) = entry.parse::<IpAddr>() {
            return Some(Self::Address { address, port: None });
        }
        let (host, port) = match entry.rsplit_once(':').filter(|_| !entry.ends_with(']')) {
            Some((host, port)) => (host, Some(port.parse::<u16>().ok().filter(|port| *port > 0)?)),
            None => (entry, None),
        };
        let bracketed = host.strip_prefix('[').and_then(|host| host.strip_suffix(']'));
        if let Ok(address) = bracketed.unwrap_or(host).parse::<IpAddr>() {
            return Some(Self::Address { address, port });
        }
        let (name, itself) = match host.strip_prefix("*.").or_else(|| host.strip_prefix('.')) {
            Some(name) => (name, false),
            None => (host, true),
        };
        let label = |label: &str| {
            let plain = |byte: u8| byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'_');
            !label.is_empty() && label.bytes().all(plain)
        };
        // A name of numbers alone, such as `10.0`, is an address that is not whole.
        let numbers = name.split('.').all(|label| label.bytes().all(|byte| byte.is_ascii_digit()));
        let sound = name.split('.').all(label) && !numbers;
        sound.then(|| Self::Domain { suffix: format!(".{name}"), itself, port })
    }

    fn covers(&self, host: &str, asked: u16) -> bool {
        let address = host.parse::<IpAddr>().ok().map(|address| address.to_canonical());
        match self {
            Self::All => true,
            Self::Range { network, bits } => {
                address.is_some_and(|address| is_within(address, network.to_canonical(), *bits))
            }
            Self::Address { address: excepted, port } => {
                address == Some(excepted.to_canonical()) && port.is_none_or(|port| port == asked)
            }
            Self::Domain { suffix, itself, port } => {
                let named = host.ends_with(suffix.as_str()) || (*itself && host == &suffix[1..]);
                address.is_none() && named && port.is_none_or(|port| port == asked)
            }
        }
    }
}

fn is_within(address: IpAddr, network: IpAddr, bits: u8) -> bool {
    fn same<const N: usize>(one: [u8; N], other: [u8; N], bits: u8) -> bool {
        (0..usize::from(bits).min(N * 8)).all(|bit| {
            let mask = 0x80 >> (bit % 8);
            one[bit / 8] & mask == other[bit / 8] & mask
        })
    }
    match (address, network) {
        (IpAddr::V4(address), IpAddr::V4(network)) => same(address.octets(), network.octets(), bits),
        (IpAddr::V6(address), IpAddr::V6(network)) => same(address.octets(), network.octets(), bits),
        _ => false,
    }
}

impl fmt::Debug for Proxies {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Proxies")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(pairs: &[(&str, &str)]) -> Result<Proxies, ProxyError> {
        Proxies::from_environment(|name| {
            pairs.iter().find(|(key, _)| *key == name).map(|(_, value)| (*value).to_owned())
        })
    }

    #[test]
    fn proxies_that_are_not_understood_are_refused_without_their_secrets() {
        let check =
            |address: &str| read(&[("HTTPS_PROXY", address)]).map(|_| ()).map_err(|error| error.to_string());
        for good in [
            "",
            "proxy.example:3128",
            "http://u:p@proxy.example:3128",
            "https://proxy.example",
            "https://proxy.example/",
            "socks5://secret@proxy.example:1080",
            "SOCKS5H://proxy.example",
        ] {
            assert_eq!(check(good), Ok(()), "{good}");
        }
        for bad in ["::bad::", "http://", "http://secret@:3128", "http://proxy.example/secret"] {
            assert_eq!(check(bad).unwrap_err(), "HTTPS_PROXY is not the address of a proxy", "{bad}");
        }
        assert_eq!(
            check("socks4://secret@proxy.example:1080").unwrap_err(),
            "HTTPS_PROXY names a socks4 proxy; http, https and socks5 proxies are supported"
        );
    }

    #[test]
    fn a_windows_account_stays_whole() {
        let proxies = read(&[("HTTP_PROXY", r"http://CORP\jane:p@ss/w#rd%21@proxy.example:8080")]).unwrap();
        let proxy = proxies.proxy_for(&"http://r.example/v2/".parse().unwrap()).unwrap();
        assert_eq!((proxy.host_str(), proxy.port()), (Some("proxy.example"), Some(8080)));
        assert_eq!((proxy.username(), proxy.password()), ("CORP%5Cjane", Some("p%40ss%2Fw%23rd%21")));
        assert_eq!(shown(proxy), "http://proxy.example:8080");
    }

    #[test]
    fn a_proxy_that_wants_a_login_is_told_from_one_that_takes_none_of_ours() {
        let with = "http://u:p@proxy.example".parse().unwrap();
        let without = "http://proxy.example".parse().unwrap();
        for (asked, problem) in [
            (vec![], "asks for credentials (HTTP 407)"),
            (vec!["Basic realm=\"a, NTLM\""], "asks for credentials (HTTP 407)"),
            (vec!["Negotiate", "NTLM", "basic realm=\"x\""], "asks for credentials (HTTP 407)"),
            (vec!["NTLM"], "accepts only NTLM logins (HTTP 407)"),
            (vec!["Negotiate, NTLM"], "accepts only Negotiate and NTLM logins (HTTP 407)"),
            (
                vec!["Digest realm=\"a\", nonce=\"b,c\", qop=\"auth\"", "NTLM", "NTLM"],
                "accepts only Digest and NTLM logins (HTTP 407)",
            ),
            (vec!["\u{1b}[31m x"], "asks for credentials (HTTP 407)"),
        ] {
            assert_eq!(login_problem(&without, &asked).to_string(), problem, "{asked:?}");
        }
        assert_eq!(login_problem(&with, &["Basic realm=\"a\""]), ProxyProblem::Login);
        assert_eq!(login_problem(&with, &["NTLM"]), ProxyProblem::Schemes("NTLM".to_owned()));
    }

    /// As `golang.org/x/net/http/httpproxy` decides (proxy.go, `config.init` and `useProxy`).
    #[test]
    fn exceptions_are_those_of_gos_tools() {
        for (exceptions, url, proxied) in [
            ("", "https://r.example/", true),
            ("*", "https://r.example/", false),
            ("r.example", "https://r.example/", false),
            ("R.EXAMPLE", "https://r.example:8443/", false),
            ("r.example", "https://a.r.example/", false),
            ("r.example", "https://ar.example/", true),
            (".r.example", "https://r.example/", true),
            (".r.example", "https://a.r.example/", false),
            ("*.r.example", "https://r.example/", true),
            ("*.r.example", "https://a.b.r.example/", false),
            ("r.example:8443", "https://r.example:8443/", false),
            ("r.example:8443", "https://r.example/", true),
            ("r.example:443", "https://r.example/", false),
            ("*.r.example:5000", "http://a.r.example:5000/", false),
            ("10.0.0.0/8", "https://10.1.2.3/", false),
            ("10.0.0.0/8", "https://11.1.2.3/", true),
            ("10.0.0.0/8", "https://ten.example/", true),
            ("10.1.2.3", "https://10.1.2.3:8443/", false),
            ("10.1.2.3:443", "https://10.1.2.3:8443/", true),
            ("fd00::/8", "https://[fd00::1]/", false),
            ("fd00::1", "https://[fd00::1]/", false),
            ("[fd00::1]:443", "https://[fd00::1]/", false),
            ("[fd00::1]", "https://[fd00::1]:8443/", false),
            ("other.example, r.example ,", "https://r.example/", false),
            ("0.3.example", "https://a.0.3.example/", false),
            ("", "https://localhost:5000/", false),
            ("", "https://127.0.0.9/", false),
        ] {
            let proxies = read(&[
                ("https_proxy", "p.example:1"),
                ("http_proxy", "p.example:1"),
                ("NO_PROXY", exceptions),
            ]);
            let url: Url = url.parse().unwrap();
            assert_eq!(proxies.unwrap().proxy_for(&url).is_some(), proxied, "{exceptions} {url}");
        }
    }

    #[test]
    fn exceptions_that_are_not_understood_are_refused() {
        for bad in [
            "r.example other.example",
            "r.*",
            "10.0.*",
            "10.0",
            "10.0.0.0/33",
            "https://r.example",
            "r.example:https",
            "r.example:0",
            ":8080",
            "*r.example",
            ".",
            "a..b",
            "r.example;other.example",
        ] {
            let error = read(&[("no_proxy", bad)]).unwrap_err();
            assert!(matches!(&error, ProxyError::Exception { entry, .. } if entry == bad), "{bad}: {error}");
        }
    }

    #[test]
    fn each_scheme_has_its_proxy_and_the_rest_is_for_all() {
        let proxies = read(&[("ALL_PROXY", "socks5://s.example"), ("HTTP_PROXY", "h.example")]).unwrap();
        let host = |url: &str| {
            let url: Url = url.parse().unwrap();
            proxies.proxy_for(&url).map(shown)
        };
        assert_eq!(host("https://r.example").as_deref(), Some("socks5://s.example"));
        assert_eq!(host("http://r.example").as_deref(), Some("http://h.example"));
    }
}
