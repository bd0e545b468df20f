//! Sending one blob: mounted, whole or in pieces, until it is there or there is no hope. Takes a
//! [`BlobSource`], gives [`Uploaded`].

use std::time::Instant;

use bundle_oci::{Digest, Registry, RepositoryName};
use bytes::Bytes;
use futures_util::stream::BoxStream;
use reqwest::header::HeaderValue;
use reqwest::{Method, Response, Url};

use super::body::{Body, Reader, Watch};
use super::session::{closing, session_url};
use crate::line::trace::Asked;
use crate::line::{Flow, Way};
use crate::lock::lock;
use crate::retry::Backoff;
use crate::token::Scope;
use crate::transport::{Received, announced, location};
use crate::{Client, Error};

/// Bytes to be sent.
pub trait BlobSource: Send + Sync {
    /// The bytes from the start, again for each attempt; `None` if they can be had only once and
    /// were. A source that sees at the end that its bytes are wrong ends with an error instead of
    /// the last piece, so that the registry never has the whole: what comes after the last byte
    /// is not looked at.
    fn open(&self) -> Option<BoxStream<'static, std::io::Result<Bytes>>>;

    /// Whether the bytes can be had again.
    fn is_repeatable(&self) -> bool {
        true
    }

    /// For bytes that can be read only once: whether all that are under way are kept, even where the line is
    /// so good that fewer suffice. Slower, and for those whom such a line has failed.
    fn is_kept(&self) -> bool {
        false
    }
}

/// How a blob came to be in a repository.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Uploaded {
    /// The registry took it from another of its repositories.
    Mounted,
    /// Its bytes were sent.
    Sent,
    /// It was found there: it was asked to be mounted from its own repository, or an attempt seemed to fail.
    Found,
}

impl Client {
    /// Puts a blob into a repository: by mounting it from `mount_from` if that works, or else with
    /// one PUT (distribution-spec §POST then PUT, §Mounting a blob), or in pieces where one request
    /// would take too long (§Pushing a blob in chunks). A PUT that breaks is looked up and started
    /// again from the first byte; pieces go on where the registry says that they ended.
    ///
    /// To mount it from `repository` itself is to ask whether it is there, and to begin its upload
    /// otherwise, in one round trip.
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
        let path = self.path_at(registry, repository)?;
        let mount_from = match mount_from {
            Some(from) => Some(&self.path_at(registry, from)?),
            None => None,
        };
        let upload = Upload { client: self, registry, repository: &path, digest, size };
        let itself = mount_from == Some(&path);
        let session = match mount_from {
            None => None,
            Some(_) if itself && lock(&self.inner.without_mount).contains(registry) => {
                if upload.is_there().await {
                    return Ok(Uploaded::Found);
                }
                None
            }
            // A mount that is refused for want of a right, or fails, is no reason not to send the
            // bytes.
            Some(from) => match upload.open_session(Some(from)).await {
                Ok(Some(session)) => Some(session),
                Ok(None) => {
                    self.touched(registry, &path);
                    return Ok(if itself { Uploaded::Found } else { Uploaded::Mounted });
                }
                Err(error) if error.is_retryable() || matches!(error.status(), Some(400..=499)) => {
                    if itself && matches!(error.status(), Some(400 | 404 | 405 | 409 | 422)) {
                        lock(&self.inner.without_mount).insert(registry.clone());
                    }
                    None
                }
                Err(error) => return Err(error),
            },
        };
        let uploaded = upload.run(session, source).await?;
        self.touched(registry, &path);
        Ok(uploaded)
    }
}

pub(super) struct Upload<'a> {
    pub(super) client: &'a Client,
    pub(super) registry: &'a Registry,
    pub(super) repository: &'a RepositoryName,
    pub(super) digest: Digest,
    pub(super) size: u64,
}

impl Upload<'_> {
    async fn run(&self, mut session: Option<Url>, source: &dyn BlobSource) -> Result<Uploaded, Error> {
        let client = self.client;
        let mut backoff = Backoff::new(&client.inner.limits);
        let mut reader = Some(Reader::new(source.open().ok_or_else(spent)?));
        // The token with which the registry has refused the bytes.
        let mut refused = None;
        let mut wrong = 0;
        loop {
            let flow = flow(source);
            let way = client.inner.lines.way(self.registry, self.size, flow);
            let opened = session.take();
            let keep = client.inner.lines.keeps(0, self.size, flow);
            let sent = match way {
                Way::Whole => self.whole(opened, keep, &mut reader, &mut refused).await,
                Way::Pieces => self.in_pieces(opened, source, &mut reader, &mut refused, &mut backoff).await,
            };
            let failed = match sent {
                Ok(uploaded) => return Ok(uploaded),
                Err(failed) => failed,
            };
            // Several clients that send one blob at a time disturb each other in some registries.
            let disturbed = failed.error.is_wrong_digest() && wrong < client.inner.limits.restarts;
            wrong += usize::from(disturbed);
            if !(failed.may_pass || disturbed || failed.error.is_retryable()) {
                return Err(failed.error);
            }
            reader = reader.filter(|reader| reader.at() == 0).or_else(|| source.open().map(Reader::new));
            let waited = match reader {
                Some(_) => client.wait_anyway(&mut backoff, self.registry, failed.error).await,
                None => Err(failed.error),
            };
            if self.is_there().await {
                return Ok(Uploaded::Found);
            }
            waited.map_err(|error| self.cut(error))?;
        }
    }

    /// Says of an upload that was given up after how long it was ended, if that is why.
    pub(super) fn cut(&self, error: Error) -> Error {
        match self.client.inner.lines.cut_after(self.registry) {
            Some(after) if error.is_cut() => {
                Error::Cut { host: self.registry.to_string(), after, cause: Box::new(error) }
            }
            _ => error,
        }
    }

    /// The answer to a PUT may get lost after the registry has taken everything.
    async fn is_there(&self) -> bool {
        let found = self.client.look_up_blob(self.registry, self.repository, self.digest).await;
        matches!(found, Ok(Some(_)))
    }

    /// Asks for an upload, or for a mount; `None` if the blob is in place without one.
    pub(super) async fn open_session(
        &self,
        mount_from: Option<&RepositoryName>,
    ) -> Result<Option<Url>, Error> {
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
        let url = session_url(response.url(), &to);
        Ok(Some(url.ok_or_else(|| misbehaved("it sends an upload to another host"))?))
    }

    /// Sends all bytes with one PUT.
    async fn whole(
        &self,
        session: Option<Url>,
        keep: u64,
        reader: &mut Option<Reader>,
        refused: &mut Option<HeaderValue>,
    ) -> Result<Uploaded, Failed> {
        let url = match session {
            Some(url) => url,
            None => match self.open_session(None).await? {
                Some(url) => url,
                None => return Ok(Uploaded::Found),
            },
        };
        let body = Stretch { offset: 0, length: self.size, whole: true, keep };
        // Harbor records the size from the length of this request; a transfer in chunks would be
        // recorded as empty for ever (core's put_blob_upload.go).
        let sent = self.exchange(Method::PUT, closing(url, self.digest), body, reader, refused).await?;
        self.check(&sent)?;
        Ok(Uploaded::Sent)
    }

    /// Sends a stretch of the bytes with one request.
    pub(super) async fn exchange(
        &self,
        method: Method,
        url: Url,
        stretch: Stretch,
        reader: &mut Option<Reader>,
        refused: &mut Option<HeaderValue>,
    ) -> Result<Response, Failed> {
        let Self { client, registry, repository, .. } = *self;
        let Stretch { offset, length, whole, keep } = stretch;
        let authorization =
            client.authorization(registry, &Scope::push(repository), refused.as_ref()).await?;
        let asked = Asked::new(method.clone(), url.clone(), length);
        let mut request = client
            .http(&url)?
            .request(method.clone(), url)
            .header("Content-Type", "application/octet-stream")
            .header("Content-Length", length);
        if method == Method::PATCH {
            // distribution-spec §Pushing a blob in chunks.
            request = request.header("Content-Range", format!("{offset}-{}", offset + length - 1));
        }
        if let Some(header) = &authorization.header {
            request = request.header("Authorization", header);
        }
        let host = registry.as_str();
        let pass = client.inner.passes.enter(host, &client.inner.limits).await;
        // Only now: what fails before leaves the bytes to the next attempt.
        let sends = length > 0;
        let watch = Watch::new(if sends { Some(reader.take().ok_or_else(spent)?) } else { None }, keep);
        request = if sends {
            request.body(reqwest::Body::wrap_stream(Body::new(length, whole, watch.clone())))
        } else {
            request.body(Bytes::new())
        };
        let started = Instant::now();
        let sent = tokio::select! {
            sent = request.send() => sent.map_err(|error| client.failed(host, error)),
            waited = watch.stalled(&client.inner.limits, length) => {
                Err(Error::Stalled { host: host.to_owned(), waited })
            }
            () = client.inner.stop.asked() => Err(Error::Interrupted),
        };
        match &sent {
            Ok(response) => {
                client.log_answer(host, &asked, response, started.elapsed());
                pass.answered(response.status().as_u16());
            }
            Err(error) => client.log_failure(host, &asked, error, started.elapsed()),
        }
        drop(pass);
        if let Some(error) = watch.failure() {
            return Err(Error::Source(error).into());
        }
        let lines = &client.inner.lines;
        let sent = match sent {
            Ok(response) if response.status().is_success() => {
                if sends {
                    *reader = watch.reader();
                }
                lines.moved(registry, length, started.elapsed());
                return Ok(response);
            }
            _ if sends => {
                *reader = watch.reader_before();
                sent
            }
            _ => sent,
        };
        let response = match sent {
            Ok(response) => response,
            Err(error) => {
                if !matches!(error, Error::Interrupted) {
                    lines.broke(registry, watch.handed(), started.elapsed());
                }
                return Err(error.into());
            }
        };
        let status = response.status().as_u16();
        // One token may have expired; a second one that is refused is refused for good, and so is a
        // password.
        let token =
            authorization.header.as_ref().is_some_and(|header| header.as_bytes().starts_with(b"Bearer "));
        let expired = status == 401 && token && refused.is_none();
        if expired {
            *refused = authorization.header;
        }
        let error = client.refusal(host, &self.doing(), authorization.anonymous, response).await;
        if error.is_cut() {
            lines.broke(registry, watch.handed(), started.elapsed());
        }
        // The registry opened the session, so it is a matter of the session, not of the name.
        let lost = matches!(&error, Error::Answer(answer) if answer.lost_upload());
        Err(Failed { error, may_pass: expired || lost })
    }

    pub(super) fn doing(&self) -> String {
        format!("take the blob {} into {}", self.digest, self.repository)
    }

    pub(super) fn check(&self, response: &Response) -> Result<(), Error> {
        match announced(response) {
            Some(found) if found != self.digest => Err(Error::misbehaved(
                self.registry.as_str(),
                format!("it took the blob {} for {found}", self.digest),
            )),
            _ => Ok(()),
        }
    }
}

pub(super) fn flow(source: &dyn BlobSource) -> Flow {
    match (source.is_repeatable(), source.is_kept()) {
        (true, _) => Flow::Again,
        (false, false) => Flow::Once,
        (false, true) => Flow::Kept,
    }
}

/// The error for bytes that can be read once and are needed again.
pub(super) fn spent() -> Error {
    Error::Source(std::io::Error::other("the bytes can be had only once, and were"))
}

/// The bytes of one request.
#[derive(Clone, Copy)]
pub(super) struct Stretch {
    pub(super) offset: u64,
    pub(super) length: u64,
    /// Whether these are all bytes of the blob.
    pub(super) whole: bool,
    /// How many of the bytes that were handed to the connection are kept in case that it breaks.
    pub(super) keep: u64,
}

/// An attempt to upload that failed.
pub(super) struct Failed {
    pub(super) error: Error,
    /// Whether another attempt may succeed, though the error is not a transient one.
    pub(super) may_pass: bool,
}

impl From<Error> for Failed {
    fn from(error: Error) -> Self {
        Self { error, may_pass: false }
    }
}
