//! Obstacles between a client and a registry: an ingress that ends long requests, a captive portal, an
//! address at which nothing listens, and servers that know no HEAD.

use std::io;
use std::net::{Ipv4Addr, TcpListener};

use super::access::Asked;
use crate::fault_proxy::{Fault, FaultProxy, Matcher, Rule};
use crate::http::Response;

/// An ingress that ends the reading of a request after a time: Traefik 3, and with it K3s, after 60 seconds
/// (`entryPoints.*.transport.respondingTimeouts.readTimeout`; coollabsio/coolify#5358 has the registry's log:
/// `client disconnected during blob PATCH … unexpected EOF`). The time is bytes here, `most` of one body being
/// what the line carries in it, so that no test waits: a request whose body is longer loses its connection there.
///
/// # Errors
///
/// When no port can be had.
pub fn ingress(upstream: &str, most: u64) -> io::Result<FaultProxy> {
    let front = FaultProxy::start(upstream)?;
    let longer = move |head: &crate::RequestHead| {
        let length = head.headers.get("content-length").and_then(|length| length.parse::<u64>().ok());
        // Without a length it is cut where it turns out to be longer.
        length.is_none_or(|length| length > most) && Asked::action(head) == "push"
    };
    front.add(Rule::new(Matcher::path("/blobs/uploads/").and(longer), Fault::ResetUploadAfter(most)));
    Ok(front)
}

/// A captive portal: 200 and a web page for every request and path (RFC 8952 §1 describes such networks;
/// those without TLS get the page instead of the requested content).
///
/// # Errors
///
/// When no port can be had.
pub fn captive_portal() -> io::Result<FaultProxy> {
    let front = FaultProxy::scripted()?;
    front.answer_with(|_| {
        let page = "<!DOCTYPE html>\n<html><head><title>Welcome to Airport WiFi</title></head>\n<body><form action=\"/login\">Please accept the terms</form></body></html>\n";
        Some(Response::new(200).with_header("Content-Type", "text/html").with_body(page))
    });
    Ok(front)
}

/// An address at which nothing listens: connections to it are refused.
///
/// # Errors
///
/// When no port can be had.
pub fn dead() -> io::Result<String> {
    Ok(TcpListener::bind((Ipv4Addr::LOCALHOST, 0))?.local_addr()?.to_string())
}

/// A registry that answers HEAD with 405, of manifests and of blobs: registries in reports do
/// (distribution/distribution#1485, carvel-dev/imgpkg#131, and those for which containerd asks again with GET).
///
/// # Errors
///
/// When no port can be had.
pub fn without_head(upstream: &str) -> io::Result<FaultProxy> {
    let front = FaultProxy::start(upstream)?;
    front.answer_with(|head| {
        (head.method == "HEAD").then(|| Response::error(405, "UNSUPPORTED", "The operation is unsupported."))
    });
    Ok(front)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{Client, DockerRegistry, ImageSpec, LayerSpec, Manifest};

    #[test]
    fn an_ingress_cuts_long_bodies_and_no_others() {
        let registry = DockerRegistry::start().unwrap();
        let front = ingress(registry.host(), 50_000).unwrap();
        let client = Client::new(front.host());
        client.push("a", "1", &ImageSpec::oci().layer(LayerSpec::new(1, 10_000)).build()).unwrap();
        assert!(client.push("a", "2", &ImageSpec::oci().layer(LayerSpec::new(2, 200_000)).build()).is_err());
        let cut = front.requests().into_iter().rfind(|request| request.request_body_bytes > 0).unwrap();
        assert_eq!((cut.request_body_bytes, cut.status), (50_000, None));
    }

    #[test]
    fn a_portal_answers_everything_with_its_page_and_a_dead_address_nothing() {
        let front = captive_portal().unwrap();
        for path in ["/v2/", "/v2/a/manifests/1"] {
            let answer = Client::new(front.host()).get(path).unwrap();
            assert!(answer.status == 200 && answer.text().contains("<html>"));
        }
        let error = Client::new(dead().unwrap()).get("/v2/").map(|answer| answer.status).unwrap_err();
        assert_eq!(error.kind(), io::ErrorKind::ConnectionRefused);
    }

    #[test]
    fn head_is_not_known_and_get_is() {
        let registry = DockerRegistry::start().unwrap();
        let image = ImageSpec::oci().build();
        registry.client().push("a", "1", &image).unwrap();
        let front = without_head(registry.host()).unwrap();
        let client = Client::new(front.host());
        assert_eq!(client.head("/v2/a/manifests/1").unwrap().status, 405);
        assert_eq!(client.manifest("a", "1").unwrap().unwrap().digest, image.digest);
    }

    /// The real registry, and no stand-in: without `validation.manifests.urls` it takes no layer with an address
    /// elsewhere, and says so with 500 and two errors in one answer (distribution/distribution#2232, #2795).
    #[test]
    fn the_real_registry_refuses_foreign_layers_with_500_and_more_than_one_error() {
        let registry = DockerRegistry::start().unwrap();
        let client = registry.client();
        let config = ImageSpec::docker().build();
        client.push("a", "1", &config).unwrap();
        let text = String::from_utf8(config.bytes).unwrap();
        let mut document: serde_json::Value = serde_json::from_str(&text).unwrap();
        document["layers"] = serde_json::json!([{
            "mediaType": "application/vnd.docker.image.rootfs.foreign.diff.tar.gzip",
            "size": 103_153_235,
            "digest": format!("sha256:{}", "d5".repeat(32)),
            "urls": ["https://mcr.microsoft.com/v2/windows/nanoserver/blobs/sha256:d5"],
        }]);
        let foreign = Manifest { bytes: document.to_string().into_bytes(), ..ImageSpec::docker().build() };
        let headers = [("Content-Type", foreign.media_type.as_str())];
        let answer = client.request("PUT", "/v2/a/manifests/2", &headers, &foreign.bytes).unwrap();
        let body: serde_json::Value = serde_json::from_slice(&answer.body).unwrap();
        assert_eq!(answer.status, 500, "{body}");
        assert!(body["errors"].as_array().unwrap().len() > 1, "{body}");
        assert!(answer.text().contains("MANIFEST_BLOB_UNKNOWN"), "{body}");
    }
}
