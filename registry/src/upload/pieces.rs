//! A blob in pieces: PATCH after PATCH, each small enough for the line, and an empty PUT at the end
//! (distribution-spec §Pushing a blob in chunks). Takes a source, goes on where the registry says
//! that it ended.
//!
//! The last PUT is empty because Harbor records a blob's size from the length of that request, or,
//! where that is nothing, from what the last PATCH was answered (middleware/blob/put_blob_upload.go).

use reqwest::header::HeaderValue;
use reqwest::{Method, Url};

use super::body::Reader;
use super::send::{Failed, Stretch, Upload, flow, spent};
use super::session::{closing, session_url, stored};
use super::{BlobSource, Uploaded};
use crate::Error;
use crate::retry::Backoff;
use crate::token::Scope;
use crate::transport::location;

impl Upload<'_> {
    /// Sends the bytes piece by piece.
    pub(super) async fn in_pieces(
        &self,
        session: Option<Url>,
        source: &dyn BlobSource,
        reader: &mut Option<Reader>,
        refused: &mut Option<HeaderValue>,
        backoff: &mut Backoff,
    ) -> Result<Uploaded, Failed> {
        let Self { client, registry, size, .. } = *self;
        let mut url = match session {
            Some(url) => url,
            None => match self.open_session(None).await? {
                Some(url) => url,
                None => return Ok(Uploaded::Found),
            },
        };
        let mut offset = 0;
        while offset < size {
            let flow = flow(source);
            let length = client.inner.lines.piece(registry, offset, size, flow);
            let end = offset + length;
            let stretch = Stretch {
                offset,
                length,
                whole: false,
                keep: client.inner.lines.keeps(offset, length, flow),
            };
            let failed = match self.patch(&url, stretch, reader, refused).await {
                Ok(next) => {
                    backoff.progress(&client.inner.limits);
                    (url, offset) = (next, end);
                    continue;
                }
                Err(failed) => failed,
            };
            if offset == 0 && failed.takes_no_pieces() {
                client.inner.lines.takes_whole_only(registry);
                return Err(Failed { may_pass: true, ..failed });
            }
            if !(failed.may_pass || failed.error.is_retryable()) {
                return Err(failed);
            }
            let why = failed.error.to_string();
            client.wait_anyway(backoff, registry, failed.error).await.map_err(|error| self.cut(error))?;
            let found = self.status(&url, refused).await.filter(|(_, at)| (offset..=end).contains(at));
            let Some((next, at)) = found else {
                // The upload is gone: from the first byte, with smaller pieces.
                let what = format!("it dropped an upload that broke off ({why})");
                return Err(Failed { error: Error::misbehaved(registry.as_str(), what), may_pass: true });
            };
            if at > offset {
                backoff.progress(&client.inner.limits);
            }
            (url, offset) = (next, at);
            let kept = reader.take().filter(|reader| reader.at() <= at);
            let again = kept.or_else(|| source.open().map(Reader::new));
            let again = reader.insert(again.ok_or_else(spent)?);
            again.skip_to(at).await.map_err(Error::Source)?;
        }
        let nothing = Stretch { offset, length: 0, whole: false, keep: 0 };
        let sent = self.exchange(Method::PUT, closing(url, self.digest), nothing, reader, refused).await?;
        self.check(&sent)?;
        Ok(Uploaded::Sent)
    }

    /// Sends one piece; gives where the next one goes.
    async fn patch(
        &self,
        url: &Url,
        stretch: Stretch,
        reader: &mut Option<Reader>,
        refused: &mut Option<HeaderValue>,
    ) -> Result<Url, Failed> {
        let response = self.exchange(Method::PATCH, url.clone(), stretch, reader, refused).await?;
        let range = response.headers().get("Range").and_then(|value| value.to_str().ok());
        let end = stretch.offset + stretch.length;
        if range.and_then(stored).is_some_and(|found| found != end) {
            let what = format!("it took {} of {end} bytes of an upload", range.unwrap_or_default());
            return Err(Error::misbehaved(self.registry.as_str(), what).into());
        }
        let next = match location(&response) {
            Some(to) => session_url(response.url(), &to),
            None => Some(url.clone()),
        };
        let misbehaved = || Error::misbehaved(self.registry.as_str(), "it sends an upload to another host");
        Ok(next.ok_or_else(misbehaved)?)
    }

    /// Where an upload goes on, and how many bytes the registry has of it (distribution-spec
    /// §Pushing a blob in chunks, GET). distribution up to 2.8 drops an upload of which a piece
    /// broke off, so that there is none.
    async fn status(&self, url: &Url, refused: &Option<HeaderValue>) -> Option<(Url, u64)> {
        let Self { client, registry, repository, .. } = *self;
        let scope = Scope::push(repository);
        let authorization = client.authorization(registry, &scope, refused.as_ref()).await.ok()?;
        let mut request = client.http(url).ok()?.get(url.clone());
        if let Some(header) = &authorization.header {
            request = request.header("Authorization", header);
        }
        let response = client.send(registry.as_str(), request).await.ok()?;
        if !matches!(response.status().as_u16(), 200 | 202 | 204) {
            return None;
        }
        let next = match location(&response) {
            Some(to) => session_url(response.url(), &to)?,
            None => url.clone(),
        };
        let range = response.headers().get("Range").and_then(|value| value.to_str().ok());
        Some((next, range.and_then(stored)?))
    }
}

impl Failed {
    /// Whether the registry knows no uploads in pieces: it refuses the method or the request.
    fn takes_no_pieces(&self) -> bool {
        matches!(self.error.status(), Some(400 | 404 | 405 | 411 | 415 | 416 | 501))
    }
}
