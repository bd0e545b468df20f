use std::sync::{Arc, Mutex};
use std::time::Instant;

use bundle_oci::{Digest, Registry, RepositoryName};
use bytes::Bytes;
use futures_util::StreamExt;
use futures_util::stream::BoxStream;
use reqwest::{Method, Response, Url};

use crate::token::Scope;
use crate::transport::location;
use crate::{Client, Error};

/// Bytes to be sent.
pub trait BlobSource: Send + Sync {
    /// The bytes from the start, again for each attempt; `None` if they can be had only once and
    /// were. A source that sees at the end that its bytes are wrong ends with an error instead of
    /// the last piece, so that the registry never has the whole.
    fn open(&self) -> Option<BoxStream<'static, std::io::Result<Bytes>>>;
}

/// How a blob came to be in a repository.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Uploaded {
    /// The registry took it from another of its repositories.
    Mounted,
    /// Its bytes were sent.
    Sent,
    /// It was found there after an attempt that seemed to fail.
    Found,
}

impl Client {
    /// Puts a blob into a repository: by mounting it from `mount_from` if that works, or else with
    /// one PUT (distribution-spec §POST then PUT, §Mounting a blob). A broken upload is looked up
    /// and started again from the first byte: how much of it a registry kept cannot be relied on.
    ///
    /// # Errors
    /// Any [`Error`].
    pub async fn upload_blob(
        &self,
        registry: &Registry,
        repository: &RepositoryName,
        digest: Digest,
        size: u64,
        mount_from: Option<&RepositoryName>,
        source: &dyn BlobSource,
    ) -> Result<Uploaded, Error> {
        let mut waits = self.waits();
        let mut mount_from = mount_from;
        loop {
            let error = match self.upload_once(registry, repository, digest, size, mount_from, source).await {
                Ok(uploaded) => return Ok(uploaded),
                Err(error) => error,
            };
            // A mount that is refused for want of a right is no reason not to send the bytes.
            if mount_from.take().is_some() && matches!(error.status(), Some(400..=499)) {
                continue;
            }
            // A token may expire, and a session be lost, in the middle of an upload.
            let again = error.is_retryable() || matches!(error.status(), Some(401 | 404 | 416));
            let Some(wait) = waits.next().filter(|_| again) else {
                return Err(error);
            };
            self.wait(registry, &error, wait).await;
            if matches!(self.has_blob(registry, repository, digest).await, Ok(true)) {
                return Ok(Uploaded::Found);
            }
        }
    }

    async fn upload_once(
        &self,
        registry: &Registry,
        repository: &RepositoryName,
        digest: Digest,
        size: u64,
        mount_from: Option<&RepositoryName>,
        source: &dyn BlobSource,
    ) -> Result<Uploaded, Error> {
        let mut path = format!("{repository}/blobs/uploads/");
        let mut scope = Scope::push(repository);
        if let Some(from) = mount_from {
            path.push_str(&format!("?mount={digest}&from={from}"));
            scope = scope.and_pull(from);
        }
        let doing = format!("take the blob {digest} into {repository}");
        let request = self.request(Method::POST, registry, &path, scope, doing.clone());
        let response = self.expect(request, &[201, 202]).await?;
        if response.status() == 201 {
            return Ok(Uploaded::Mounted);
        }
        let url = self.session(registry, &response, digest)?;
        let authorization = self.authorization(registry, &Scope::push(repository)).await?;
        let Some(stream) = source.open() else {
            return Err(Error::Misbehaved {
                host: registry.to_string(),
                what: "the upload broke, and its bytes can be had only once".to_owned(),
            });
        };
        let watch = Arc::new(Watch::default());
        let body = watched(stream, size, watch.clone());
        let mut request = self
            .inner
            .http
            .put(url)
            .header("Content-Type", "application/octet-stream")
            .header("Content-Length", size)
            .body(reqwest::Body::wrap_stream(body));
        if let Some(header) = authorization.header {
            request = request.header("Authorization", header);
        }
        let sent = tokio::select! {
            sent = request.send() => sent,
            waited = self.watch(&watch) => return Err(Error::Stalled { host: registry.to_string(), waited }),
        };
        if let Some(error) = watch.lock().failure.take() {
            return Err(Error::Source(error));
        }
        let response = sent.map_err(|error| Error::from_exchange(registry.as_str(), error))?;
        match response.status().as_u16() {
            201 | 204 => Ok(Uploaded::Sent),
            _ => Err(self.answer(registry.as_str(), &doing, authorization.anonymous, response).await),
        }
    }

    /// The address of an upload, from a `Location` whose query is kept byte for byte. Behind a
    /// proxy that ends TLS, registries name themselves with the wrong scheme.
    fn session(&self, registry: &Registry, response: &Response, digest: Digest) -> Result<Url, Error> {
        let misbehaved = |what: &str| Error::Misbehaved { host: registry.to_string(), what: what.to_owned() };
        let to = location(response).ok_or_else(|| misbehaved("it opens an upload without saying where"))?;
        session_url(response.url(), &to, digest)
            .ok_or_else(|| misbehaved("it sends an upload to another host"))
    }

    /// Returns when nothing has moved for too long.
    async fn watch(&self, watch: &Watch) -> std::time::Duration {
        let limits = &self.inner.limits;
        loop {
            let (moved, finished) = {
                let state = watch.lock();
                (state.moved, state.finished)
            };
            let limit = if finished { limits.commit } else { limits.stall };
            let deadline = moved + limit;
            if Instant::now() >= deadline {
                return limit;
            }
            tokio::time::sleep_until(deadline.into()).await;
        }
    }
}

fn session_url(asked: &Url, location: &str, digest: Digest) -> Option<Url> {
    let mut url = asked.join(location).ok()?;
    if url.host_str() != asked.host_str() || !url.username().is_empty() || url.password().is_some() {
        return None;
    }
    if url.scheme() != asked.scheme() {
        url.set_scheme(asked.scheme()).ok()?;
        url.set_port(asked.port()).ok()?;
    }
    if url.port_or_known_default() != asked.port_or_known_default() {
        return None;
    }
    let query = match url.query() {
        Some(query) if !query.is_empty() => format!("{query}&digest={digest}"),
        _ => format!("digest={digest}"),
    };
    url.set_query(Some(&query));
    Some(url)
}

/// How an upload goes on: when the connection last took bytes, and what the source said.
struct Watch(Mutex<WatchState>);

struct WatchState {
    moved: Instant,
    finished: bool,
    failure: Option<std::io::Error>,
}

impl Default for Watch {
    fn default() -> Self {
        Self(Mutex::new(WatchState { moved: Instant::now(), finished: false, failure: None }))
    }
}

impl Watch {
    fn lock(&self) -> std::sync::MutexGuard<'_, WatchState> {
        self.0.lock().unwrap_or_else(std::sync::PoisonError::into_inner)
    }
}

fn watched(
    stream: BoxStream<'static, std::io::Result<Bytes>>,
    size: u64,
    watch: Arc<Watch>,
) -> impl futures_util::Stream<Item = std::io::Result<Bytes>> {
    let mut left = size;
    stream.map(move |piece| {
        let mut state = watch.lock();
        state.moved = Instant::now();
        match piece {
            Ok(bytes) => {
                left = left.saturating_sub(bytes.len() as u64);
                state.finished = left == 0;
                Ok(bytes)
            }
            Err(error) => {
                let kind = error.kind();
                state.failure = Some(error);
                Err(kind.into())
            }
        }
    })
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
                "/v2/a/blobs/uploads/1?_state=a%3D%3D",
                Some("https://r.example:8443/v2/a/blobs/uploads/1?_state=a%3D%3D&digest="),
            ),
            ("https://r.example:8443/u", Some("https://r.example:8443/u?digest=")),
            ("http://r.example/u", Some("https://r.example:8443/u?digest=")),
            ("https://evil.example:8443/u", None),
            ("https://r.example:9/u", None),
            ("https://u@r.example:8443/u", None),
        ] {
            let url = session_url(&asked, location, digest).map(|url| url.to_string());
            let expected = expected.map(|start| format!("{start}{digest}"));
            assert_eq!(url, expected, "{location}");
        }
    }
}
