//! Manifests: what Harbor asks before it takes or gives one, and what it makes of one.
//! Answers GET, HEAD, PUT and DELETE of `/v2/…/manifests/`.

use std::io::Read;

use serde_json::json;

use super::uploads::refuse_proxy;
use crate::blob::sha256;
use crate::harbor::access::Identity;
use crate::harbor::answer::{Answer, Code, Refusal, RegistryError};
use crate::harbor::document::{DOCKER_FOREIGN_LAYER, Descriptor, Document, is_index, is_oci};
use crate::harbor::lock;
use crate::harbor::quota::Reservation;
use crate::harbor::request::{Request, read_body};
use crate::harbor::server::Core;
use crate::harbor::state::{State, StoredManifest, is_digest};

/// The largest manifest the registry takes (distribution `maxManifestBodySize`).
const MANIFEST_LIMIT: usize = 4 << 20;

pub(super) fn get(
    core: &Core,
    request: &Request<'_>,
    identity: &Identity,
    repository: &str,
    reference: &str,
) -> Answer {
    let mut state = lock(&core.state);
    if let Err(refusal) = state.check_policies(request, identity, repository, reference) {
        return refusal.into();
    }
    let digest = match state.artifact(repository, reference) {
        Ok(artifact) => artifact.digest.clone(),
        Err(refusal) => return refusal.into(),
    };
    let quoted = format!("\"{digest}\"");
    if request.header("if-none-match").is_some_and(|tag| tag == digest || tag == quoted) {
        return Answer::empty(304);
    }
    let Some(stored) = state.backend.manifest(repository, &digest).cloned() else {
        return RegistryError::ManifestUnknown.about(json!({"name": repository, "revision": digest}));
    };
    // The core asks the registry by digest, so docker's manifests are never converted, and OCI's are refused
    // to who does not say that they are accepted; `*/*` does not say it.
    if is_oci(&stored.media_type) && !accepts(request, &stored.media_type) {
        let error = match is_index(&stored.media_type) {
            true => RegistryError::IndexNotAccepted,
            false => RegistryError::ManifestNotAccepted,
        };
        return error.into();
    }
    if request.method() == "GET" {
        state.count_pull(repository, reference, &digest);
    }
    Answer::empty(200)
        .with_header("Content-Type", &stored.media_type)
        .with_header("Docker-Content-Digest", &digest)
        .with_header("Etag", &quoted)
        .with_body(stored.bytes.to_vec())
}

fn accepts(request: &Request<'_>, media_type: &str) -> bool {
    request
        .head
        .headers
        .iter()
        .filter(|(name, _)| name.eq_ignore_ascii_case("accept"))
        .flat_map(|(_, value)| value.split(','))
        .any(|accepted| accepted.split(';').next().unwrap_or_default().trim() == media_type)
}

pub(super) fn put(
    core: &Core,
    request: &Request<'_>,
    repository: &str,
    reference: &str,
    body: &mut dyn Read,
) -> Answer {
    let bytes = match read_body(body) {
        Ok(bytes) => bytes,
        Err(error) => return Refusal::from(error).into(),
    };
    let mut state = lock(&core.state);
    let put = Put { digest: sha256(&bytes), bytes, repository, reference };
    match put.checked(&mut state, request) {
        Err(refusal) => refusal.into(),
        Ok((document, reservation)) => {
            let answer = put.carry_out(core, &mut state, &document);
            if answer.status == 201 {
                let location = format!("{}/v2/{repository}/manifests/{}", core.url(request), put.digest);
                return answer.with_header("Location", &location);
            }
            if let Some(reservation) = reservation {
                state.give_back(reservation);
            }
            answer
        }
    }
}

/// A manifest on its way in.
struct Put<'a> {
    repository: &'a str,
    reference: &'a str,
    bytes: Vec<u8>,
    digest: String,
}

impl Put<'_> {
    fn tag(&self) -> Option<&str> {
        (!is_digest(self.reference)).then_some(self.reference)
    }

    /// The checks of Harbor's core, in its order (`server/registry/route.go`): proxy cache, immutable tags,
    /// quota, garbage collection.
    fn checked(
        &self,
        state: &mut State,
        request: &Request<'_>,
    ) -> Result<(Document, Option<Reservation>), Refusal> {
        refuse_proxy(state, self.repository)?;
        if let Some(tag) = self.tag()
            && state.is_immutable_tag(self.repository, tag)
        {
            let name = self.repository.split_once('/').map_or("", |(_, name)| name);
            return Err(Refusal::new(
                Code::Precondition,
                format!("Failed to process request due to '{name}:{tag}' configured as immutable."),
            ));
        }
        let content_type = request.header("content-type").unwrap_or_default();
        let document = Document::parse(content_type, &self.bytes).map_err(|error| {
            Refusal::new(Code::ManifestInvalid, format!("unmarshal manifest failed: {error}"))
        })?;
        let reservation = self.reserve(state, &document)?;
        match state.probe_blob(&self.digest) {
            Ok(()) => Ok((document, reservation)),
            Err(refusal) => {
                if let Some(reservation) = reservation {
                    state.give_back(reservation);
                }
                Err(refusal)
            }
        }
    }

    /// Harbor `middleware/quota/put_manifest.go`: a manifest that the project has is free, and so are its
    /// blobs that the project has.
    fn reserve(&self, state: &mut State, document: &Document) -> Result<Option<Reservation>, Refusal> {
        let project = state.project_of(self.repository)?;
        if project.blobs.contains_key(&self.digest) {
            return Ok(None);
        }
        let mut missing: Vec<&Descriptor> = document
            .references()
            .filter(|d| !project.blobs.contains_key(&d.digest) && d.media_type != DOCKER_FOREIGN_LAYER)
            .collect();
        missing.sort_by(|a, b| a.digest.cmp(&b.digest));
        missing.dedup_by(|a, b| a.digest == b.digest);
        let size = missing.iter().fold(self.bytes.len() as u64, |sum, d| sum.saturating_add(d.size));
        let project = project.id;
        state.reserve(project, size).map(Some)
    }

    /// The registry's part, and what the core does after it.
    fn carry_out(&self, core: &Core, state: &mut State, document: &Document) -> Answer {
        if self.bytes.len() > MANIFEST_LIMIT {
            return RegistryError::ManifestInvalid.into();
        }
        if self.tag().is_none() && self.reference != self.digest {
            return RegistryError::DigestInvalid.into();
        }
        let missing: Vec<_> = document
            .references()
            .filter(|descriptor| !self.is_there(core, state, document, descriptor))
            .map(|descriptor| json!(descriptor.digest))
            .collect();
        if !missing.is_empty() {
            return RegistryError::ManifestBlobUnknown.about_each(missing);
        }
        let stored =
            StoredManifest { media_type: document.media_type.clone(), bytes: self.bytes.clone().into() };
        state
            .backend
            .manifests
            .entry(self.repository.to_owned())
            .or_default()
            .insert(self.digest.clone(), stored);
        if let Err(refusal) = state.ensure_artifact(core, self.repository, &self.digest, document, self.tag())
        {
            return refusal.into();
        }
        let answer = Answer::empty(201).with_header("Docker-Content-Digest", &self.digest);
        match &document.subject {
            Some(subject) => answer.with_header("Oci-Subject", &subject.digest),
            None => answer,
        }
    }

    /// Whether the registry has what the manifest names in this very repository.
    fn is_there(&self, core: &Core, state: &State, document: &Document, descriptor: &Descriptor) -> bool {
        if is_index(&document.media_type) || is_manifest(&descriptor.media_type) {
            return state.backend.manifest(self.repository, &descriptor.digest).is_some();
        }
        let linked = state.backend.has_link(self.repository, &descriptor.digest)
            && core.store.has_blob(&descriptor.digest);
        // Foreign layers are elsewhere.
        linked || !descriptor.urls.is_empty()
    }
}

fn is_manifest(media_type: &str) -> bool {
    crate::client::MANIFEST_TYPES.contains(&media_type)
}

/// Harbor's core removes what its database knows; the registry's storage is left to garbage collection.
pub(super) fn delete(core: &Core, repository: &str, reference: &str) -> Answer {
    if !is_digest(reference) {
        let message = format!("unsupported digest {reference}: invalid checksum digest format");
        return Refusal::new(Code::Unsupported, message).into();
    }
    let mut state = lock(&core.state);
    match state.delete_artifact(repository, reference) {
        Ok(()) => Answer::empty(202),
        Err(refusal) => refusal.into(),
    }
}
