//! The proxies that the environment names. Takes the variables, gives an error for those that the
//! HTTP client would pass over.

use reqwest::Url;

/// A proxy that the environment names and that cannot be used.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum ProxyError {
    /// No address.
    #[error("{0} is not the address of a proxy")]
    Address(&'static str),
    /// A proxy that speaks something else than HTTP.
    #[error("{variable} names a {scheme} proxy, and only http and https ones are spoken to")]
    Scheme {
        /// The variable.
        variable: &'static str,
        /// What the address starts with.
        scheme: String,
    },
}

const VARIABLES: [&str; 6] =
    ["HTTPS_PROXY", "https_proxy", "HTTP_PROXY", "http_proxy", "ALL_PROXY", "all_proxy"];

/// Makes sure that the proxies which the environment names are ones. The HTTP client passes over
/// those that it does not understand, and goes where people meant it not to.
///
/// # Errors
/// Any [`ProxyError`], which never quotes the address: it may have a password in it.
pub fn check_proxies(variable: impl Fn(&str) -> Option<String>) -> Result<(), ProxyError> {
    for name in VARIABLES {
        let Some(address) = variable(name).filter(|address| !address.is_empty()) else { continue };
        let whole = if address.contains("://") { address } else { format!("http://{address}") };
        let url: Url = whole.parse().map_err(|_| ProxyError::Address(name))?;
        if !matches!(url.scheme(), "http" | "https") {
            return Err(ProxyError::Scheme { variable: name, scheme: url.scheme().to_owned() });
        }
        if url.host_str().is_none_or(str::is_empty) {
            return Err(ProxyError::Address(name));
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn proxies_that_would_be_passed_over_are_refused_without_their_secrets() {
        let check = |address: &str| {
            check_proxies(|name| (name == "HTTPS_PROXY").then(|| address.to_owned()))
                .map_err(|error| error.to_string())
        };
        for good in ["", "proxy.example:3128", "http://u:p@proxy.example:3128", "https://proxy.example"] {
            assert_eq!(check(good), Ok(()), "{good}");
        }
        for bad in ["::bad::", "http://", "http://secret@:3128"] {
            assert_eq!(check(bad).unwrap_err(), "HTTPS_PROXY is not the address of a proxy", "{bad}");
        }
        assert_eq!(
            check("socks5://secret@proxy.example:1080").unwrap_err(),
            "HTTPS_PROXY names a socks5 proxy, and only http and https ones are spoken to"
        );
    }
}
