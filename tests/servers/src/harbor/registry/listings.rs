//! Tags, repositories, referrers.
//! Answers `/v2/…/tags/list`, `/v2/_catalog` and `/v2/…/referrers/` with their pages.

use serde_json::{Value, json};

use crate::harbor::answer::{Answer, Refusal};
use crate::harbor::lock;
use crate::harbor::request::Request;
use crate::harbor::server::Core;
use crate::harbor::state::is_digest;
use crate::manifest::OCI_INDEX;

/// All tags of a repository; what has no tag is not listed.
pub(super) fn tags(core: &Core, request: &Request<'_>, repository: &str) -> Answer {
    let state = lock(&core.state);
    let answer = |page: Page| {
        let body = json!({"name": repository, "tags": page.items});
        page.answer(request, &body)
    };
    let limit = match limit(request) {
        Ok(limit) => limit,
        Err(refusal) => return refusal.into(),
    };
    if limit == Some(0) {
        return answer(Page::default());
    }
    match state.repository(repository) {
        Ok(found) => {
            let last = request.query.filled("last");
            let names = found.tags.keys().filter(|tag| last.is_none_or(|last| tag.as_str() > last));
            answer(Page::of(names, limit))
        }
        Err(refusal) => refusal.into(),
    }
}

/// All repositories with an artifact that the caller may see.
pub(super) fn catalog(core: &Core, request: &Request<'_>) -> Answer {
    let state = lock(&core.state);
    let limit = match limit(request) {
        Ok(limit) => limit,
        Err(refusal) => return refusal.into(),
    };
    let names: Vec<&String> = state
        .repositories
        .values()
        .filter(|repository| !repository.artifacts.is_empty())
        .map(|repository| &repository.name)
        .collect();
    let last = request.query.filled("last");
    if let Some(last) = last
        && limit.is_some()
        && !names.iter().any(|name| *name == last)
    {
        return Refusal::bad_request(format!("the last: {last} should be a valid repository name.")).into();
    }
    let names =
        names.into_iter().filter(|name| limit.is_none() || last.is_none_or(|last| name.as_str() > last));
    let page = Page::of(names, limit);
    let body = json!({"repositories": page.items});
    page.answer(request, &body)
}

/// Lists the manifest's referrers, as an index (Harbor `server/registry/referrers.go`).
pub(super) fn referrers(core: &Core, request: &Request<'_>, repository: &str, reference: &str) -> Answer {
    if !is_digest(reference) {
        let message = format!("unsupported digest {reference}: invalid checksum digest format");
        return Refusal::bad_request(message).into();
    }
    let state = lock(&core.state);
    let wanted = request.query.filled("artifactType");
    let mut total = 0;
    let mut manifests: Vec<Value> = Vec::new();
    for accessory in &state.accessories {
        if accessory.repository != repository || accessory.subject_digest != reference {
            continue;
        }
        total += 1;
        let artifact = match state.artifact(repository, &accessory.digest) {
            Ok(artifact) => artifact,
            Err(refusal) => return refusal.into(),
        };
        if wanted.is_some_and(|wanted| wanted != artifact.artifact_type) {
            continue;
        }
        let size = state.backend.manifest(repository, &artifact.digest).map_or(0, |m| m.bytes.len());
        let mut descriptor = json!({
            "mediaType": artifact.manifest_media_type,
            "digest": artifact.digest,
            "size": size,
        });
        if !artifact.artifact_type.is_empty() {
            descriptor["artifactType"] = json!(artifact.artifact_type);
        }
        if !artifact.annotations.is_empty() {
            descriptor["annotations"] = json!(artifact.annotations);
        }
        manifests.push(descriptor);
    }
    let index = json!({"schemaVersion": 2, "mediaType": OCI_INDEX, "manifests": manifests});
    let answer = Answer::json(200, &index)
        .with_header("Content-Type", OCI_INDEX)
        .with_header("X-Total-Count", &total.to_string());
    if wanted.is_some() { answer.with_header("Oci-Filters-Applied", "artifactType") } else { answer }
}

fn limit(request: &Request<'_>) -> Result<Option<usize>, Refusal> {
    request
        .query
        .filled("n")
        .map(|n| n.parse().map_err(|_| Refusal::bad_request("the N must be a positive int type")))
        .transpose()
}

/// A part of a listing, and whether there is more.
#[derive(Default)]
struct Page {
    items: Vec<String>,
    limit: usize,
    more: bool,
}

impl Page {
    fn of<'a>(names: impl Iterator<Item = &'a String>, limit: Option<usize>) -> Page {
        let mut names = names.cloned();
        let limit = limit.unwrap_or(usize::MAX);
        let items: Vec<String> = names.by_ref().take(limit).collect();
        Page { more: !items.is_empty() && names.next().is_some(), items, limit }
    }

    fn answer(self, request: &Request<'_>, body: &Value) -> Answer {
        let answer = Answer::json(200, body).with_header("Content-Type", "application/json; charset=utf-8");
        match self.items.last().filter(|_| self.more) {
            Some(last) => {
                let link = format!("<{}?last={last}&n={}>; rel=\"next\"", request.head.path(), self.limit);
                answer.with_header("Link", &link)
            }
            None => answer,
        }
    }
}
