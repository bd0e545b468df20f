//! Lists that do not say all: of tags without a link to the next page, and of referrers that are no index, not
//! there, or not of the registry that was asked for. Takes the registry behind it, gives one that lists so.

use std::io;

use serde_json::json;

use super::access::Asked;
use crate::blob::sha256;
use crate::client::Client;
use crate::fault_proxy::FaultProxy;
use crate::http::Response;
use crate::manifest::{Manifest, OCI_INDEX};

/// How a referrers API answers.
#[derive(Clone, Debug)]
pub enum ReferrersAnswer {
    /// An index of these for each subject, whether or not the registry has them.
    Listed(Vec<Manifest>),
    /// An index without manifests, as for a subject to which nothing is attached.
    Empty,
    /// 200 and this body.
    Body(String),
    /// 200 and `{}`: a gateway that answers what it does not know.
    EmptyObject,
    /// 200 and a web page: the start page of a registry's web interface stands for every path it does not know.
    Page,
    /// 200 and nothing.
    Nothing,
    /// A status with a body of the distribution specification's form: 401, 403, 406 and 500 are in reports.
    Status(u16),
}

impl ReferrersAnswer {
    fn response(&self) -> Response {
        match self {
            ReferrersAnswer::Listed(manifests) => index(manifests),
            ReferrersAnswer::Empty => index(&[]),
            ReferrersAnswer::Body(body) => {
                Response::new(200).with_header("Content-Type", OCI_INDEX).with_body(body.clone())
            }
            ReferrersAnswer::EmptyObject => Response::json(200, "{}"),
            ReferrersAnswer::Page => Response::new(200)
                .with_header("Content-Type", "text/html; charset=utf-8")
                .with_body("<!doctype html><html><head><title>Registry</title></head><body></body></html>\n"),
            ReferrersAnswer::Nothing => Response::new(200),
            ReferrersAnswer::Status(status) => {
                Response::error(*status, "UNKNOWN", "the referrers are not told")
            }
        }
    }
}

/// distribution-spec v1.1 §Listing Referrers.
fn index(manifests: &[Manifest]) -> Response {
    let descriptors: Vec<_> = manifests
        .iter()
        .map(|manifest| {
            json!({
                "mediaType": manifest.media_type,
                "digest": manifest.digest,
                "size": manifest.bytes.len(),
                "artifactType": manifest.artifact_type,
            })
        })
        .collect();
    let body = json!({"schemaVersion": 2, "mediaType": OCI_INDEX, "manifests": descriptors});
    Response::new(200).with_header("Content-Type", OCI_INDEX).with_body(body.to_string())
}

/// A registry whose referrers API answers so, for every subject.
///
/// # Errors
///
/// When no port can be had.
pub fn referrers(upstream: &str, answer: ReferrersAnswer) -> io::Result<FaultProxy> {
    let front = FaultProxy::start(upstream)?;
    front.answer_with(move |head| {
        Asked::of(head).filter(|asked| asked.noun == "referrers").map(|_| answer.response())
    });
    Ok(front)
}

/// Azure's registry with an artifact manifest of before OCI 1.1, as `oras` up to 1.0 pushed them and it keeps them: it
/// is listed as attached to each subject, and served under its own type, which no registry of today takes (image-spec
/// v1.1.0-rc2, `artifact.md`; dropped in v1.1.0-rc4). Gives the front and the digest of the artifact.
///
/// # Errors
///
/// When no port can be had.
pub fn azure(upstream: &str, subject: &Manifest) -> io::Result<(FaultProxy, String)> {
    const TYPE: &str = "application/vnd.oci.artifact.manifest.v1+json";
    let subject =
        json!({"mediaType": subject.media_type, "digest": subject.digest, "size": subject.bytes.len()});
    let document =
        json!({"mediaType": TYPE, "artifactType": "signature/example", "blobs": [], "subject": subject});
    let bytes = document.to_string().into_bytes();
    let digest = sha256(&bytes);
    let listed = json!({"mediaType": TYPE, "digest": digest, "size": bytes.len(), "artifactType": "signature/example"});
    let list = json!({"schemaVersion": 2, "mediaType": OCI_INDEX, "manifests": [listed]});
    let front = referrers(upstream, ReferrersAnswer::Body(list.to_string()))?;
    let path = format!("/manifests/{digest}");
    front.answer_with(move |head| {
        let asked = head.path().ends_with(&path);
        asked.then(|| Response::new(200).with_header("Content-Type", TYPE).with_body(bytes.clone()))
    });
    Ok((front, digest))
}

/// A pull-through cache as Harbor's proxy projects were before August 2026 (goharbor/harbor#20808, mended by
/// #23237): manifests, tags and blobs are the upstream's, the referrers API is its own and lists what was pushed
/// to it, which is nothing; pushes are refused (`src/server/middleware/repoproxy/proxy.go`).
///
/// # Errors
///
/// When no port can be had.
pub fn pull_through(upstream: &str) -> io::Result<FaultProxy> {
    let front = referrers(upstream, ReferrersAnswer::Empty)?;
    front.answer_with(|head| {
        (Asked::action(head) == "push")
            .then(|| Response::error(403, "DENIED", "can not push artifact to a proxy project"))
    });
    Ok(front)
}

/// A registry that cuts its lists of tags at `most` and sends no `Link`, nor heeds `last`: distribution-spec v1.0
/// asked for neither, and quay.io gave regctl the first 50 for ever (regclient/regclient#272).
///
/// # Errors
///
/// When no port can be had.
pub fn tags_without_link(upstream: &str, most: usize) -> io::Result<FaultProxy> {
    let front = FaultProxy::start(upstream)?;
    let registry = Client::new(upstream);
    front.answer_with(move |head| {
        let asked = Asked::of(head).filter(|asked| asked.noun == "tags")?;
        let mut tags = registry.tags(asked.repository).ok()?;
        tags.truncate(most);
        Some(Response::json(200, json!({"name": asked.repository, "tags": tags}).to_string()))
    });
    Ok(front)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{DockerRegistry, ImageSpec};

    #[test]
    fn referrers_are_answered_as_asked_for_and_all_else_is_the_registrys() {
        let registry = DockerRegistry::start().unwrap();
        let image = ImageSpec::oci().build();
        registry.client().push("a", "1", &image).unwrap();
        let referrer = image.referrer("application/spdx+json", b"{}");
        let path = format!("/v2/a/referrers/{}", image.digest);
        for (answer, status, part) in [
            (ReferrersAnswer::Listed(vec![referrer.clone()]), 200, referrer.digest.as_str()),
            (ReferrersAnswer::Empty, 200, "\"manifests\":[]"),
            (ReferrersAnswer::EmptyObject, 200, "{}"),
            (ReferrersAnswer::Page, 200, "<html>"),
            (ReferrersAnswer::Nothing, 200, ""),
            (ReferrersAnswer::Status(406), 406, "UNKNOWN"),
        ] {
            let front = referrers(registry.host(), answer).unwrap();
            let client = Client::new(front.host());
            let response = client.get(&path).unwrap();
            assert_eq!(response.status, status);
            assert!(response.text().contains(part), "{}", response.text());
            assert_eq!(client.manifest("a", "1").unwrap().unwrap().digest, image.digest);
        }
    }

    #[test]
    fn a_cache_gives_what_the_upstream_has_but_its_referrers_and_takes_nothing() {
        let registry = DockerRegistry::start().unwrap();
        let image = ImageSpec::oci().build();
        registry.client().push("a", "1", &image).unwrap();
        registry.client().push_referrers("a", &image, &[image.referrer("text/plain", b"x")]).unwrap();
        let front = pull_through(registry.host()).unwrap();
        let client = Client::new(front.host());
        let listed = client.get(&format!("/v2/a/referrers/{}", image.digest)).unwrap();
        assert!(listed.status == 200 && listed.text().contains("\"manifests\":[]"));
        assert!(client.manifest("a", &image.referrers_tag()).unwrap().is_some());
        assert!(client.push("a", "2", &ImageSpec::oci().label("x", "y").build()).is_err());
    }

    #[test]
    fn a_cut_list_says_nothing_of_the_rest() {
        let registry = DockerRegistry::start().unwrap();
        let image = ImageSpec::oci().build();
        for tag in ["1", "2", "3"] {
            registry.client().push("a", tag, &image).unwrap();
        }
        let front = tags_without_link(registry.host(), 2).unwrap();
        let answer = Client::new(front.host()).get("/v2/a/tags/list?n=1000&last=2").unwrap();
        assert_eq!(answer.header("link"), None);
        assert!(answer.text().contains(r#"["1","2"]"#), "{}", answer.text());
    }
}
