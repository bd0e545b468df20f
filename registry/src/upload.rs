//! Blobs on their way to a registry: mounted or sent, started again when broken. Takes a source of
//! bytes, gives how the blob came to be in the repository.

use std::pin::Pin;
use std::sync::{Arc, Mutex};
use std::task::{Context, Poll, ready};
use std::time::{Duration, Instant};

use bundle_oci::{Digest, Registry, RepositoryName};
use bytes::Bytes;
use futures_util::Stream;
use futures_util::stream::BoxStream;
use reqwest::header::HeaderValue;
use reqwest::{Method, Response, Url};

use crate::limits::PIECE;
use crate::lock::lock;
use crate::retry::Backoff;
use crate::token::Scope;
use crate::transport::{Received, announced, location};
use crate::{Client, Error, Limits};

/// Bytes to be sent.
pub trait BlobSource: Send + Sync {
    /// The bytes from the start, again for each attempt; `None` if they can be had only once and
    /// were. A source that sees at the end that its bytes are wrong ends with an error instead of
    /// the last piece, so that the registry never has the whole: what comes after the last byte
    /// is not looked at.
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
    /// Any [`Error`]; [`Error::Source`] if the source failed, after which nothing is tried again.
    pub async fn upload_blob(
        &self,
        registry: &Registry,
        repository: &RepositoryName,
        digest: Digest,
        size: u64,
        mount_from: Option<&RepositoryName>,
        source: &dyn BlobSource,
    ) -> Result<Uploaded, Error> {
        let upload = Upload { client: self, registry, repository, digest, size };
        let session = match mount_from {
            None => None,
            // A mount that is refused for want of a right, or fails, is no reason not to send the
            // bytes.
            Some(from) => match upload.open_session(Some(from)).await {
                Ok(Some(session)) => Some(session),
                Ok(None) => return Ok(Uploaded::Mounted),
                Err(error) if error.is_retryable() || matches!(error.status(), Some(400..=499)) => None,
                Err(error) => return Err(error),
            },
        };
        upload.run(session, source).await
    }
}

struct Upload<'a> {
    client: &'a Client,
    registry: &'a Registry,
    repository: &'a RepositoryName,
    digest: Digest,
    size: u64,
}

impl Upload<'_> {
    async fn run(&self, mut session: Option<Url>, source: &dyn BlobSource) -> Result<Uploaded, Error> {
        let client = self.client;
        let mut backoff = Backoff::new(&client.inner.limits);
        let spent = || Error::Source(std::io::Error::other("the bytes can be had only once, and were"));
        let mut stream = Some(source.open().ok_or_else(spent)?);
        // The token with which the registry has refused the bytes.
        let mut refused = None;
        loop {
            let failed = match self.attempt(session.take(), &mut stream, &mut refused).await {
                Ok(uploaded) => return Ok(uploaded),
                Err(failed) => failed,
            };
            if !(failed.may_pass || failed.error.is_retryable()) {
                return Err(failed.error);
            }
            stream = stream.or_else(|| source.open());
            let waited = match stream {
                Some(_) => client.wait_anyway(&mut backoff, self.registry, failed.error).await,
                None => Err(failed.error),
            };
            if self.is_there().await {
                return Ok(Uploaded::Found);
            }
            waited?;
        }
    }

    /// The answer to a PUT may get lost after the registry has taken everything.
    async fn is_there(&self) -> bool {
        let found = self.client.look_up_blob(self.registry, self.repository, self.digest).await;
        matches!(found, Ok(Some(_)))
    }

    /// Asks for an upload, or for a mount; `None` if the blob is in place without one.
    async fn open_session(&self, mount_from: Option<&RepositoryName>) -> Result<Option<Url>, Error> {
        let Self { client, registry, repository, digest, .. } = *self;
        let mut path = format!("{repository}/blobs/uploads/");
        let mut scope = Scope::push(repository);
        if let Some(from) = mount_from {
            path.push_str(&format!("?mount={digest}&from={from}"));
            scope = scope.and_pull(from);
        }
        let request = client.request(Method::POST, registry, &path, scope, self.doing());
        let Received { response, .. } = client.expect(request, &[201, 202]).await?;
        if response.status() == 201 {
            self.check(&response)?;
            return Ok(None);
        }
        let misbehaved = |what: &str| Error::misbehaved(registry.as_str(), what);
        let to = location(&response).ok_or_else(|| misbehaved("it opens an upload without saying where"))?;
        let url = session_url(response.url(), &to, digest);
        Ok(Some(url.ok_or_else(|| misbehaved("it sends an upload to another host"))?))
    }

    async fn attempt(
        &self,
        session: Option<Url>,
        stream: &mut Option<BoxStream<'static, std::io::Result<Bytes>>>,
        refused: &mut Option<HeaderValue>,
    ) -> Result<Uploaded, Failed> {
        let Self { client, registry, repository, size, .. } = *self;
        let url = match session {
            Some(url) => url,
            None => match self.open_session(None).await? {
                Some(url) => url,
                None => return Ok(Uploaded::Found),
            },
        };
        let authorization =
            client.authorization(registry, &Scope::push(repository), refused.as_ref()).await?;
        let watch = Arc::new(Watch(Mutex::new(State {
            phase: Phase::Sending,
            since: Instant::now(),
            failure: None,
        })));
        let mut request = client
            .http(&url)
            .put(url)
            .header("Content-Type", "application/octet-stream")
            // Harbor records the size from this header; a transfer in chunks would be recorded as
            // empty for ever (core's put_blob_upload.go).
            .header("Content-Length", size);
        // Only now: what fails before leaves the bytes to the next attempt.
        if let Some(stream) = stream.take().filter(|_| size > 0) {
            let body = Body { stream, piece: Bytes::new(), left: size, watch: watch.clone() };
            request = request.body(reqwest::Body::wrap_stream(body));
        } else {
            lock(&watch.0).phase = Phase::Sent;
            request = request.body(Bytes::new());
        }
        if let Some(header) = &authorization.header {
            request = request.header("Authorization", header);
        }
        let host = registry.as_str();
        let sent = tokio::select! {
            sent = request.send() => sent,
            waited = watch.stalled(&client.inner.limits, size) => {
                return Err(Error::Stalled { host: host.to_owned(), waited }.into());
            }
        };
        if let Some(error) = lock(&watch.0).failure.take() {
            return Err(Error::Source(error).into());
        }
        let response = sent.map_err(|error| client.failed(host, error))?;
        match response.status().as_u16() {
            200 | 201 | 204 => {
                self.check(&response)?;
                Ok(Uploaded::Sent)
            }
            status => {
                // One token may have expired; a second one that is refused is refused for good, and
                // so is a password.
                let token = authorization
                    .header
                    .as_ref()
                    .is_some_and(|header| header.as_bytes().starts_with(b"Bearer "));
                let expired = status == 401 && token && refused.is_none();
                if expired {
                    *refused = authorization.header;
                }
                let error = client.refusal(host, &self.doing(), authorization.anonymous, response).await;
                // The registry opened the session, so it is a matter of the session, not of the name.
                let lost = matches!(&error, Error::Answer(answer) if answer.lost_upload());
                Err(Failed { error, may_pass: expired || lost })
            }
        }
    }

    fn doing(&self) -> String {
        format!("take the blob {} into {}", self.digest, self.repository)
    }

    fn check(&self, response: &Response) -> Result<(), Error> {
        match announced(response) {
            Some(found) if found != self.digest => Err(Error::misbehaved(
                self.registry.as_str(),
                format!("it took the blob {} for {found}", self.digest),
            )),
            _ => Ok(()),
        }
    }
}

/// An attempt to upload that failed.
struct Failed {
    error: Error,
    /// Whether the next one has a chance that the error does not tell of.
    may_pass: bool,
}

impl From<Error> for Failed {
    fn from(error: Error) -> Self {
        Self { error, may_pass: false }
    }
}

/// The address of an upload, whose query is kept byte for byte. Behind a proxy that ends TLS,
/// registries name themselves with the wrong scheme.
fn session_url(asked: &Url, location: &str, digest: Digest) -> Option<Url> {
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
    let query = match url.query() {
        Some(query) if !query.is_empty() => format!("{query}&digest={digest}"),
        _ => format!("digest={digest}"),
    };
    url.set_query(Some(&query));
    Some(url)
}

/// How an upload goes on.
struct Watch(Mutex<State>);

struct State {
    phase: Phase,
    since: Instant,
    failure: Option<std::io::Error>,
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum Phase {
    /// The source is waited for, which may read from a slow pipe.
    Reading,
    /// The connection is waited for.
    Sending,
    /// The answer is waited for.
    Sent,
}

impl Watch {
    /// Returns when the registry has been waited for too long.
    async fn stalled(&self, limits: &Limits, size: u64) -> Duration {
        loop {
            let (phase, since) = {
                let state = lock(&self.0);
                (state.phase, state.since)
            };
            let limit = if phase == Phase::Sent { limits.commit(size) } else { limits.stall };
            let now = Instant::now();
            let deadline = if phase == Phase::Reading { now + limit } else { since + limit };
            if now >= deadline {
                return limit;
            }
            tokio::time::sleep_until(deadline.into()).await;
        }
    }

    fn enter(&self, phase: Phase) {
        let mut state = lock(&self.0);
        state.phase = phase;
        state.since = Instant::now();
    }
}

/// Exactly as many bytes as were announced, in pieces, with their progress watched.
struct Body {
    stream: BoxStream<'static, std::io::Result<Bytes>>,
    piece: Bytes,
    left: u64,
    watch: Arc<Watch>,
}

impl Body {
    fn fail(&self, error: std::io::Error) -> Poll<Option<std::io::Result<Bytes>>> {
        let kind = error.kind();
        lock(&self.watch.0).failure.get_or_insert(error);
        Poll::Ready(Some(Err(kind.into())))
    }
}

impl Stream for Body {
    type Item = std::io::Result<Bytes>;

    fn poll_next(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Option<Self::Item>> {
        if self.left == 0 {
            return Poll::Ready(None);
        }
        self.watch.enter(Phase::Reading);
        while self.piece.is_empty() {
            match ready!(self.stream.as_mut().poll_next(context)) {
                Some(Ok(piece)) => self.piece = piece,
                Some(Err(error)) => return self.fail(error),
                None => {
                    let end = std::io::ErrorKind::UnexpectedEof;
                    return self.fail(std::io::Error::new(
                        end,
                        format!("{} bytes are missing at the end", self.left),
                    ));
                }
            }
        }
        if self.piece.len() as u64 > self.left {
            return self.fail(std::io::Error::other("there are more bytes than announced"));
        }
        let length = self.piece.len().min(PIECE);
        let piece = self.piece.split_to(length);
        self.left -= length as u64;
        self.watch.enter(if self.left == 0 { Phase::Sent } else { Phase::Sending });
        Poll::Ready(Some(Ok(piece)))
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
            let url = session_url(&asked, location, digest).map(|url| url.to_string());
            let expected = expected.map(|start| format!("{start}{digest}"));
            assert_eq!(url, expected, "{location}");
        }
    }
}
