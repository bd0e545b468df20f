//! The address of an upload. Takes the `Location` that a registry sends, gives the address of the
//! next request, on the same registry.

use bundle_oci::Digest;
use reqwest::Url;

/// The address of an upload, whose query is kept byte for byte. Behind a proxy that ends TLS,
/// registries name themselves with the wrong scheme.
pub(crate) fn session_url(asked: &Url, location: &str) -> Option<Url> {
    let mut url = asked.join(location).ok()?;
    if url.host_str() != asked.host_str() || !url.username().is_empty() || url.password().is_some() {
        return None;
    }
    if !matches!(url.scheme(), "http" | "https") {
        return None;
    }
    if url.scheme() != asked.scheme() {
        let port = url.port();
        url.set_scheme(asked.scheme()).ok()?;
        url.set_port(port.or(asked.port())).ok()?;
    }
    if url.port_or_known_default() != asked.port_or_known_default() {
        return None;
    }
    url.set_fragment(None);
    Some(url)
}

/// The address that ends an upload.
pub(super) fn closing(mut url: Url, digest: Digest) -> Url {
    let query = match url.query() {
        Some(query) if !query.is_empty() => format!("{query}&digest={digest}"),
        _ => format!("digest={digest}"),
    };
    url.set_query(Some(&query));
    url
}

/// How many bytes an upload has (distribution-spec §Pushing a blob in chunks): `Range: 0-N` with
/// the last byte's offset. `0-0` is what distribution says of none and of one.
pub(super) fn stored(range: &str) -> Option<u64> {
    let range = range.trim();
    let (first, last) = range.strip_prefix("bytes=").unwrap_or(range).split_once('-')?;
    let (first, last): (u64, u64) = (first.trim().parse().ok()?, last.trim().parse().ok()?);
    match (first, last) {
        (0, 0) => Some(0),
        (0, last) => last.checked_add(1),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sessions_stay_with_the_registry_and_keep_their_state() {
        let asked: Url = "https://r.example:8443/v2/a/blobs/uploads/".parse().unwrap();
        let digest = Digest::of(b"");
        for (location, expected) in [
            (
                "/v2/a/blobs/uploads/1?_state=a%3D%3D-_",
                Some("https://r.example:8443/v2/a/blobs/uploads/1?_state=a%3D%3D-_&digest="),
            ),
            ("1?x=y#z", Some("https://r.example:8443/v2/a/blobs/uploads/1?x=y&digest=")),
            ("https://r.example:8443/u", Some("https://r.example:8443/u?digest=")),
            ("http://r.example/u", Some("https://r.example:8443/u?digest=")),
            ("http://r.example:8443/u?", Some("https://r.example:8443/u?digest=")),
            ("https://evil.example:8443/u", None),
            ("//evil.example/u", None),
            ("https://r.example:9/u", None),
            ("http://r.example:9/u", None),
            ("https://u@r.example:8443/u", None),
            ("ftp://r.example:8443/u", None),
        ] {
            let url = session_url(&asked, location).map(|url| closing(url, digest).to_string());
            let expected = expected.map(|start| format!("{start}{digest}"));
            assert_eq!(url, expected, "{location}");
        }
    }

    #[test]
    fn ranges_say_how_much_is_stored() {
        for (range, bytes) in [
            ("0-9", Some(10)),
            ("bytes=0-9", Some(10)),
            ("0-0", Some(0)),
            ("5-9", None),
            ("0-18446744073709551615", None),
            ("0", None),
            ("", None),
        ] {
            assert_eq!(stored(range), bytes, "{range}");
        }
    }
}
