//! Where a registry may redirect a request: the rules, and a resolver that leaves out addresses of
//! metadata services. Takes two addresses, gives a verdict.

use std::net::{IpAddr, SocketAddr};

use reqwest::Url;
use reqwest::dns::{Addrs, Name, Resolve, Resolving};

/// Resolves the names of hosts that a registry sends us to, and leaves out addresses at which no
/// storage is: link-local ones, where clouds serve their machines' secrets, and the like.
pub(crate) struct CarefulResolver;

impl Resolve for CarefulResolver {
    fn resolve(&self, name: Name) -> Resolving {
        Box::pin(async move {
            let found = tokio::net::lookup_host((name.as_str(), 0)).await?;
            let allowed: Vec<SocketAddr> = found.filter(|address| is_storage(address.ip())).collect();
            if allowed.is_empty() {
                return Err("the name has no address that is followed".into());
            }
            Ok(Box::new(allowed.into_iter()) as Addrs)
        })
    }
}

fn is_storage(address: IpAddr) -> bool {
    match address.to_canonical() {
        IpAddr::V4(address) => {
            !(address.is_link_local()
                || address.is_unspecified()
                || address.is_multicast()
                || address.is_broadcast())
        }
        IpAddr::V6(address) => {
            !(address.is_unicast_link_local() || address.is_unspecified() || address.is_multicast())
        }
    }
}

fn literal(url: &Url) -> Option<IpAddr> {
    url.host_str()?.trim_start_matches('[').trim_end_matches(']').parse().ok()
}

/// Whether an address is on this machine.
pub(crate) fn is_loopback(url: &Url) -> bool {
    url.host_str() == Some("localhost")
        || literal(url).is_some_and(|address| address.to_canonical().is_loopback())
}

/// Whether a redirect may be followed: from HTTPS only to HTTPS, and from plain HTTP only where
/// that stays on this machine or on a host for which plain HTTP was allowed.
pub(crate) fn check(from: &Url, to: &Url, may_be_plain: bool) -> Result<(), &'static str> {
    check_host(is_loopback(from), to)?;
    match (from.scheme(), to.scheme()) {
        (_, "https") => {}
        ("https", "http") => return Err("it downgrades https to http"),
        ("http", "http") if is_loopback(to) || may_be_plain => {}
        ("http", "http") => return Err("it points to another host without encryption"),
        _ => return Err("it does not point to an http or https address"),
    }
    if !to.username().is_empty() || to.password().is_some() {
        return Err("it contains a user name");
    }
    Ok(())
}

/// Whether a host that a registry names may be asked at all: this machine only by this machine's
/// own registries, and never where clouds serve their machines' secrets.
pub(crate) fn check_host(from_loopback: bool, to: &Url) -> Result<(), &'static str> {
    if is_loopback(to) && !from_loopback {
        return Err("it points to this machine");
    }
    if literal(to).is_some_and(|address| !is_storage(address)) {
        return Err("it points to a link-local or unspecified address");
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn redirects_never_lose_encryption_or_reach_metadata_services() {
        for (from, to, allowed) in [
            ("https://a.example/x", "https://storage.example/y", true),
            ("https://a.example/x", "https://10.0.0.7/y", true),
            ("https://a.example/x", "http://a.example/y", false),
            ("https://a.example/x", "https://169.254.169.254/latest", false),
            ("https://a.example/x", "https://[::ffff:169.254.169.254]/latest", false),
            ("https://a.example/x", "https://[fe80::1]/", false),
            ("https://a.example/x", "https://localhost:6443/y", false),
            ("https://a.example/x", "https://[::ffff:127.0.0.1]/y", false),
            ("https://a.example/x", "https://0.0.0.0/y", false),
            ("https://a.example/x", "https://2852039166/latest", false),
            ("https://a.example/x", "file:///etc/passwd", false),
            ("https://a.example/x", "https://u:p@b.example/", false),
            ("http://127.0.0.1:5000/x", "http://localhost:5001/y", true),
            ("http://127.0.0.1:5000/x", "http://b.example/y", false),
            ("http://a.example/x", "http://127.0.0.1/y", false),
        ] {
            let verdict = check(&from.parse().unwrap(), &to.parse().unwrap(), false);
            assert_eq!(verdict.is_ok(), allowed, "{from} to {to}");
        }
    }
}
