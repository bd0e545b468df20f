//! Upload sessions, with the traps of distribution 2.8 (`registry/handlers/blobupload.go`).
//! Answers POST, PATCH, PUT, GET and DELETE of an upload, and mounts.

use std::io::Read;
use std::sync::{Arc, Mutex};

use serde_json::json;

use crate::blob::sha256;
use crate::harbor::answer::{Answer, Code, Refusal, RegistryError};
use crate::harbor::lock;
use crate::harbor::quota::Reservation;
use crate::harbor::request::Request;
use crate::harbor::server::Core;
use crate::harbor::state::{State, is_digest};
use crate::harbor::store::{Broken, Upload};

/// Begins an upload, or mounts a blob from another repository.
pub(super) fn begin(core: &Core, request: &Request<'_>, repository: &str) -> Answer {
    let mut state = lock(&core.state);
    let mount = request.query.filled("mount");
    if let Err(refusal) = reserve_to_begin(&mut state, repository, mount) {
        return refusal.into();
    }
    if let (Some(digest), Some(from)) = (mount, request.query.filled("from"))
        && is_digest(digest)
        && state.backend.has_link(from, digest)
        && core.store.has_blob(digest)
    {
        state.backend.link(repository, digest);
        if let Err(refusal) = state.associate(repository, digest) {
            return refusal.into();
        }
        return created(core, request, repository, digest);
    }
    let id = format!("{:08x}-0000-4000-8000-{:012x}", state.next_id(), state.now().seconds());
    drop(state);
    if let Err(error) = core.store.begin(&id, repository) {
        return Refusal::from(error).into();
    }
    progress(core, request, repository, &id, 202, 0)
}

/// Harbor `middleware/quota/post_initiate_blob_upload.go`. The reservation for a mount that then becomes an
/// upload stays counted, until the quota is next refreshed.
fn reserve_to_begin(state: &mut State, repository: &str, mount: Option<&str>) -> Result<(), Refusal> {
    let project = state.project_of(repository)?;
    refuse_proxy(state, repository)?;
    let size = match mount {
        None => 0,
        Some(digest) => match state.blobs.get(digest) {
            Some(row) if !project.blobs.contains_key(digest) => row.size,
            _ => return Ok(()),
        },
    };
    let project = project.id;
    state.reserve(project, size).map(|_| ())
}

/// Only the proxy pushes into a proxy cache.
pub(super) fn refuse_proxy(state: &State, repository: &str) -> Result<(), Refusal> {
    let project = state.project_of(repository)?;
    if !project.is_proxy() {
        return Ok(());
    }
    let message = format!("denied: can not push artifact to a proxy project: {}", project.name);
    Err(Refusal::new(Code::Denied, message))
}

/// `PATCH`. `Content-Range` is not looked at.
pub(super) fn append(
    core: &Core,
    request: &Request<'_>,
    repository: &str,
    id: &str,
    body: &mut dyn Read,
) -> Answer {
    let upload = match resume(core, request, repository, id) {
        Ok(upload) => upload,
        Err(answer) => return answer,
    };
    let content_type = request.header("content-type").unwrap_or_default();
    if !matches!(content_type, "" | "application/octet-stream") {
        return RegistryError::Unknown.about(json!({}));
    }
    let mut upload = lock(&upload);
    if let Err(answer) = store(&mut upload, body) {
        return answer;
    }
    // Harbor notes the size of the `Range` it answers.
    upload.accepted = upload.size();
    progress(core, request, repository, id, 202, upload.size())
}

/// `PUT`, with or without a body.
pub(super) fn complete(
    core: &Core,
    request: &Request<'_>,
    repository: &str,
    id: &str,
    body: &mut dyn Read,
) -> Answer {
    let digest = request.query.get("digest").unwrap_or_default().to_owned();
    // The size that counts for ever is that of this request's body, where it has one: chunks sent before are
    // forgotten then (Harbor `middleware/blob/put_blob_upload.go`).
    let size = request
        .content_length()
        .filter(|&length| length > 0)
        .or_else(|| core.store.upload(id).map(|upload| lock(&upload).accepted))
        .unwrap_or(0);
    let reservation = {
        let mut state = lock(&core.state);
        let reserved = reserve_to_complete(&mut state, repository, &digest, size).and_then(|reservation| {
            let probed = state.probe_blob(&digest);
            match (probed, reservation) {
                (Err(refusal), Some(reservation)) => {
                    state.give_back(reservation);
                    Err(refusal)
                }
                (probed, reservation) => probed.map(|()| reservation),
            }
        });
        match reserved {
            Ok(reservation) => reservation,
            Err(refusal) => return refusal.into(),
        }
    };
    let stored = finish(core, request, repository, id, &digest, body);
    let mut state = lock(&core.state);
    if let Err(answer) = stored {
        if let Some(reservation) = reservation {
            state.give_back(reservation);
        }
        return answer;
    }
    state.backend.link(repository, &digest);
    state.ensure_blob(&digest, "application/octet-stream", size);
    match state.associate(repository, &digest) {
        Ok(()) => created(core, request, repository, &digest),
        Err(refusal) => refusal.into(),
    }
}

/// Harbor `middleware/quota/put_blob_upload.go`: a blob that the project has is free.
fn reserve_to_complete(
    state: &mut State,
    repository: &str,
    digest: &str,
    size: u64,
) -> Result<Option<Reservation>, Refusal> {
    let project = state.project_of(repository)?;
    if size == 0 || project.blobs.contains_key(digest) {
        return Ok(None);
    }
    let project = project.id;
    state.reserve(project, size).map(Some)
}

/// The registry's part of a `PUT`.
fn finish(
    core: &Core,
    request: &Request<'_>,
    repository: &str,
    id: &str,
    digest: &str,
    body: &mut dyn Read,
) -> Result<(), Answer> {
    let upload = resume(core, request, repository, id)?;
    if !is_digest(digest) {
        // The session stays, so that it can be tried again.
        return Err(RegistryError::DigestInvalid.about(json!("digest parsing failed")));
    }
    let mut upload = lock(&upload);
    store(&mut upload, body)?;
    match core.store.commit(id, &upload, digest) {
        Ok(true) => Ok(()),
        Ok(false) => Err(RegistryError::DigestInvalid.about(json!({"Digest": digest}))),
        Err(error) => Err(Refusal::from(error).into()),
    }
}

/// `GET` of a session: how far it is.
pub(super) fn status(core: &Core, request: &Request<'_>, repository: &str, id: &str) -> Answer {
    match resume(core, request, repository, id) {
        Ok(upload) => progress(core, request, repository, id, 204, lock(&upload).size()),
        Err(answer) => answer,
    }
}

pub(super) fn cancel(core: &Core, request: &Request<'_>, repository: &str, id: &str) -> Answer {
    match resume(core, request, repository, id) {
        Ok(_) => {
            core.store.cancel(id);
            Answer::empty(204).with_header("Docker-Upload-Uuid", id)
        }
        Err(answer) => answer,
    }
}

/// The session, if the request continues it where it is. A session that is further than the client's `_state`
/// is dropped: this happens after a `PATCH` that broke off.
fn resume(
    core: &Core,
    request: &Request<'_>,
    repository: &str,
    id: &str,
) -> Result<Arc<Mutex<Upload>>, Answer> {
    let state = request.query.get("_state").unwrap_or_default();
    let offset =
        read_state(state, repository, id).ok_or_else(|| Answer::from(RegistryError::BlobUploadInvalid))?;
    let upload = core
        .store
        .upload(id)
        .filter(|upload| lock(upload).repository == repository)
        .ok_or_else(|| Answer::from(RegistryError::BlobUploadUnknown))?;
    if lock(&upload).size() != offset {
        core.store.cancel(id);
        return Err(RegistryError::BlobUploadInvalid.into());
    }
    Ok(upload)
}

fn store(upload: &mut Upload, body: &mut dyn Read) -> Result<(), Answer> {
    upload.append(body).map_err(|broken| match broken {
        // The client does not read this answer; nginx logs it as 499.
        Broken::Connection => RegistryError::Unknown.into(),
        Broken::Disk(error) => Refusal::from(error).into(),
    })
}

/// Where to go on, and how far it is.
fn progress(
    core: &Core,
    request: &Request<'_>,
    repository: &str,
    id: &str,
    status: u16,
    size: u64,
) -> Answer {
    let location = format!(
        "{}/v2/{repository}/blobs/uploads/{id}?_state={}",
        core.url(request),
        write_state(repository, id, size)
    );
    Answer::empty(status)
        .with_header("Location", &location)
        .with_header("Docker-Upload-Uuid", id)
        .with_header("Range", &format!("0-{}", size.saturating_sub(1)))
}

fn created(core: &Core, request: &Request<'_>, repository: &str, digest: &str) -> Answer {
    let location = format!("{}/v2/{repository}/blobs/{digest}", core.url(request));
    Answer::created(&location).with_header("Docker-Content-Digest", digest)
}

/// The offset, signed with what it is the offset of.
fn write_state(repository: &str, id: &str, offset: u64) -> String {
    let signature = sha256(format!("not-a-secret {repository} {id} {offset}").as_bytes());
    format!("{}-{offset}", signature.trim_start_matches("sha256:"))
}

fn read_state(state: &str, repository: &str, id: &str) -> Option<u64> {
    let offset = state.rsplit_once('-')?.1.parse().ok()?;
    (write_state(repository, id, offset) == state).then_some(offset)
}
