//! Blobs on their way here: looking one up, and downloading one from any offset, resumed where the
//! connection broke. Takes repository, digest and size; gives exactly so many bytes, unverified.

use std::collections::VecDeque;
use std::fmt;

use bundle_oci::{Digest, Registry, RepositoryName};
use bytes::{Buf, Bytes};
use reqwest::{Method, Response};

use crate::answer::is_web_page;
use crate::retry::Backoff;
use crate::routes::{By, Place};
use crate::transport::{Pace, Received, content_type, refuse_encoding, shown};
use crate::{Client, Error, FallbackTo};

/// A registry's answer about a blob, without its content.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct BlobInfo {
    /// The blob's size, if the registry says it: those on object storage only say where it is.
    pub size: Option<u64>,
}

/// A blob on its way here: exactly the bytes from an offset to its size. Broken connections are
/// opened again where they broke; that the bytes are right is for the receiver to see.
pub struct Download {
    client: Client,
    /// The registry that sends the bytes: a mirror first, if there is one.
    registry: Registry,
    repository: RepositoryName,
    /// Where else it can be read from: other mirrors, and the registry itself at the end.
    others: VecDeque<Place>,
    /// Where it can be read from if no registry gives it; none for what registries alone have.
    addresses: Option<VecDeque<String>>,
    /// The address that it is read from, after the registry.
    address: Option<String>,
    /// The errors of the registries asked before.
    tried: Vec<Error>,
    /// Why it may not be read at all.
    refused: Option<Error>,
    digest: Digest,
    size: u64,
    position: u64,
    response: Option<Response>,
    /// The last bytes, until the end of the body is seen.
    last: Bytes,
    /// The host that really sends: object storage, after a redirect.
    sender: String,
    pace: Pace,
    /// Bytes to pass over because the registry sends the blob from its start.
    skip: u64,
    /// Whether a range was refused.
    without_ranges: bool,
    backoff: Backoff,
    /// Bytes since the last failure.
    came: u64,
    /// How often the bytes had another digest.
    restarts: usize,
}

impl Client {
    /// Whether a repository has a blob, with its metadata.
    ///
    /// # Errors
    /// Any [`Error`] but a missing blob.
    pub async fn blob_exists(
        &self,
        registry: &Registry,
        repository: &RepositoryName,
        digest: Digest,
    ) -> Result<Option<BlobInfo>, Error> {
        let backoff = Backoff::new(&self.inner.limits);
        let path = self.path_at(registry, repository)?;
        let found = self.retrying(registry, backoff, || self.look_up_blob(registry, &path, digest)).await;
        match found {
            Err(error) => self.absent(registry, repository, error),
            found => found,
        }
    }

    /// Whether a registry has a blob that it says it stored. A registry that does not say is believed; one
    /// that denies it is asked once more, because some store a little later than they answer.
    ///
    /// # Errors
    /// The name is not valid at that registry.
    pub async fn keeps_blob(
        &self,
        registry: &Registry,
        repository: &RepositoryName,
        digest: Digest,
        size: u64,
    ) -> Result<bool, Error> {
        let path = self.path_at(registry, repository)?;
        for again in [true, false] {
            match self.look_up_blob(registry, &path, digest).await {
                Ok(Some(BlobInfo { size: Some(found) })) if found != size => {}
                Ok(None) => {}
                Ok(Some(_)) | Err(_) => return Ok(true),
            }
            if again {
                tokio::time::sleep(self.inner.limits.backoff).await;
            }
        }
        Ok(false)
    }

    /// As [`Client::blob_exists`], in one attempt, by the name on the registry.
    pub(crate) async fn look_up_blob(
        &self,
        registry: &Registry,
        repository: &RepositoryName,
        digest: Digest,
    ) -> Result<Option<BlobInfo>, Error> {
        let doing = format!("look up the blob {digest} of {repository}");
        let path = format!("{repository}/blobs/{digest}");
        let scope = self.scope_to_pull(registry, repository);
        let request = self.request(Method::HEAD, registry, &path, scope, doing);
        // Registries on object storage answer with its address, which need not be one that we can
        // reach (distribution's blobserver.go redirects HEAD like GET).
        match self.expect(request, &[200, 302, 307]).await {
            Ok(received) => Ok(Some(BlobInfo { size: announced_size(&received.response) })),
            Err(error) if error.status() == Some(404) => Ok(None),
            Err(error) => Err(error),
        }
    }

    /// Whether a repository has a blob.
    ///
    /// # Errors
    /// Any [`Error`] but a missing blob.
    pub async fn has_blob(
        &self,
        registry: &Registry,
        repository: &RepositoryName,
        digest: Digest,
    ) -> Result<bool, Error> {
        Ok(self.blob_exists(registry, repository, digest).await?.is_some())
    }

    /// Starts to fetch a blob from `offset` on.
    pub fn blob(
        &self,
        registry: &Registry,
        repository: &RepositoryName,
        digest: Digest,
        size: u64,
        offset: u64,
    ) -> Download {
        let limits = &self.inner.limits;
        let (mut others, refused) = match self.places(registry, repository, By::Digest) {
            Ok((mirrors, origin)) => (VecDeque::from_iter(mirrors.into_iter().chain([origin])), None),
            Err(error) => (VecDeque::new(), Some(error)),
        };
        let first = others.pop_front().unwrap_or_else(|| (registry.clone(), repository.clone()));
        let (registry, repository) = first;
        let backoff = if others.is_empty() { Backoff::new(limits) } else { Backoff::none(limits) };
        Download {
            client: self.clone(),
            sender: registry.to_string(),
            registry,
            repository,
            others,
            addresses: None,
            address: None,
            tried: Vec::new(),
            refused,
            digest,
            size,
            position: offset.min(size),
            response: None,
            last: Bytes::new(),
            pace: Pace::default(),
            skip: 0,
            without_ranges: false,
            backoff,
            came: 0,
            restarts: 0,
        }
    }
}

impl Download {
    /// Lets it be read from these addresses in turn, if no registry gives it: those that a manifest
    /// names for layers that are marked non-distributable (image-spec, descriptor.md §urls). They
    /// are asked by the rules of redirects.
    pub fn or_at(self, addresses: &[String]) -> Self {
        Self { addresses: Some(addresses.iter().cloned().collect()), ..self }
    }

    /// Lets it be read from this address and from nowhere else: a file of a web server.
    pub(crate) fn only_at(self, address: &str) -> Self {
        let backoff = Backoff::new(&self.client.inner.limits);
        let registry = self.others.back().map_or(self.registry, |(origin, _)| origin.clone());
        Self { registry, address: Some(address.to_owned()), others: VecDeque::new(), backoff, ..self }
    }

    /// The registry that the bytes come from: the mirror, as long as it is read from.
    pub fn host(&self) -> &Registry {
        &self.registry
    }

    /// The offset of the bytes that come next.
    pub fn position(&self) -> u64 {
        self.position
    }

    /// How many bytes are still to come.
    pub fn left(&self) -> u64 {
        self.size - self.position
    }

    /// The next bytes, or `None` after the last one. Dropping the future loses no byte.
    ///
    /// # Errors
    /// Any [`Error`], after as many attempts without progress as the limits allow.
    pub async fn next(&mut self) -> Result<Option<Bytes>, Error> {
        if let Some(refused) = self.refused.take() {
            return Err(refused);
        }
        loop {
            match self.attempt().await {
                Ok(bytes) => return Ok(bytes),
                Err(error) => self.recover(error).await?,
            }
        }
    }

    /// The error for content with another digest: for a receiver that cannot start again.
    pub fn wrong_content(&self, found: Digest) -> Error {
        Error::WrongContent { host: self.sender.clone(), expected: self.digest, found }
    }

    /// Starts again from the first byte, because the bytes that came have another digest.
    ///
    /// # Errors
    /// [`Error::WrongContent`], if there were enough attempts.
    pub async fn restart(&mut self, found: Digest) -> Result<(), Error> {
        self.position = 0;
        let error = self.wrong_content(found);
        self.restarts += 1;
        if self.restarts > self.client.inner.limits.restarts {
            return self.turn_to_origin(error);
        }
        self.recover(error).await
    }

    async fn recover(&mut self, error: Error) -> Result<(), Error> {
        self.response = None;
        self.pace = Pace::default();
        self.last.clear();
        self.came = 0;
        match self.client.wait(&mut self.backoff, &self.registry, error).await {
            Ok(()) => Ok(()),
            Err(error) => self.turn_to_origin(error),
        }
    }

    fn turn_to_origin(&mut self, error: Error) -> Result<(), Error> {
        let Some((registry, repository)) = self.others.pop_front() else {
            return self.turn_to_address(error);
        };
        self.client.fell_back(&self.registry, &registry, FallbackTo::Registry, &error);
        (self.registry, self.repository) = (registry, repository);
        self.without_ranges = false;
        self.restarts = 0;
        let limits = &self.client.inner.limits;
        self.backoff = if self.others.is_empty() { Backoff::new(limits) } else { Backoff::none(limits) };
        Ok(())
    }

    fn turn_to_address(&mut self, error: Error) -> Result<(), Error> {
        let Some(addresses) = &mut self.addresses else { return Err(error) };
        self.address = addresses.pop_front();
        if self.address.is_none() {
            let tried = std::mem::take(&mut self.tried);
            return Err(Error::Foreign { tried, last: Box::new(error) });
        }
        self.tried.push(error);
        self.without_ranges = false;
        self.restarts = 0;
        self.backoff = Backoff::few(&self.client.inner.limits);
        Ok(())
    }

    async fn attempt(&mut self) -> Result<Option<Bytes>, Error> {
        if self.response.is_none() {
            if self.position == self.size {
                return Ok(None);
            }
            self.connect().await?;
        }
        while let Some(response) = &mut self.response {
            let piece = self.client.piece(&self.sender, response, &mut self.pace).await;
            if !self.last.is_empty() {
                match piece {
                    Ok(Some(more)) if more.is_empty() => continue,
                    Ok(Some(_)) => return Err(self.too_many()),
                    Ok(None) | Err(_) => {}
                }
                self.response = None;
                self.position = self.size;
                tracing::debug!(host = %self.sender, digest = %self.digest, bytes = self.size, "blob fetched");
                return Ok(Some(std::mem::take(&mut self.last)));
            }
            let Some(mut piece) = piece? else {
                let what = format!("it sent {} of the {} bytes of {}", self.position, self.size, self.digest);
                return Err(Error::misbehaved(&self.sender, what));
            };
            let skipped = piece.len().min(usize::try_from(self.skip).unwrap_or(usize::MAX));
            self.skip -= skipped as u64;
            piece.advance(skipped);
            if piece.is_empty() {
                continue;
            }
            let left = self.size - self.position;
            if piece.len() as u64 > left {
                return Err(self.too_many());
            }
            if piece.len() as u64 == left {
                self.last = piece;
                continue;
            }
            self.position += piece.len() as u64;
            self.came += piece.len() as u64;
            let limits = &self.client.inner.limits;
            if self.came >= limits.progress {
                self.backoff.progress(limits);
            }
            return Ok(Some(piece));
        }
        Ok(None)
    }

    fn too_many(&self) -> Error {
        Error::misbehaved(
            &self.sender,
            format!("it sends more than the {} bytes of {}", self.size, self.digest),
        )
    }

    async fn connect(&mut self) -> Result<(), Error> {
        let client = self.client.clone();
        let (registry, digest) = (&self.registry, self.digest);
        let repository = &self.repository;
        // With both ends: go-containerregistry's registry answers 416 to a range without its last byte. A
        // registry that answers 416 to any range sends the blob from the start.
        let range = (self.position > 0 && !self.without_ranges)
            .then(|| format!("bytes={}-{}", self.position, self.size - 1));
        let doing = match (&self.address, &self.addresses) {
            (Some(address), None) => format!("send {}", shown(address)),
            _ => format!("send the blob {digest} of {repository}"),
        };
        let path = format!("{repository}/blobs/{digest}");
        let mut request = client.request(
            Method::GET,
            registry,
            &path,
            client.scope_to_pull(registry, repository),
            doing.clone(),
        );
        request = request.header("Accept-Encoding", "identity");
        if let Some(range) = &range {
            request = request.header("Range", range);
        }
        let received = match &self.address {
            Some(address) => client.ask_address(&request, address).await?,
            None => client.authorized(&request).await?,
        };
        let Received { response, sender, anonymous } = client.follow(&request, received).await?;
        self.sender = sender;
        let host = self.sender.as_str();
        refuse_encoding(host, &response)?;
        let (skip, expected) = match response.status().as_u16() {
            200 => (self.position, self.size),
            206 => {
                let header = response.headers().get("Content-Range").and_then(|value| value.to_str().ok());
                let (first, size) = header.and_then(content_range).unwrap_or_default();
                if first != self.position || size != self.size {
                    return Err(Error::misbehaved(
                        host,
                        "it sends another part of a blob than was asked for",
                    ));
                }
                (0, self.size - self.position)
            }
            416 => {
                let what = format!("it has no bytes of {digest} from {} to {}", self.position, self.size);
                let error = Error::misbehaved(host, what);
                self.without_ranges = true;
                return Err(error);
            }
            _ => return Err(client.refusal(host, &doing, anonymous, response).await),
        };
        match announced_size(&response) {
            Some(length) if length != expected => {
                if is_web_page(content_type(&response).as_deref(), b"") {
                    return Err(Error::WebPage { host: host.to_owned(), doing, title: None });
                }
                let what = format!("it announces {length} bytes of {digest} where there are {expected}");
                Err(Error::misbehaved(host, what))
            }
            _ => {
                self.skip = skip;
                self.response = Some(response);
                Ok(())
            }
        }
    }
}

impl fmt::Debug for Download {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Download({} of {} from {})", self.digest, self.repository, self.registry)
    }
}

/// The size in `Content-Length`, of an answer to HEAD as well.
pub(crate) fn announced_size(response: &Response) -> Option<u64> {
    if !response.status().is_success() {
        return None;
    }
    response.headers().get("Content-Length")?.to_str().ok()?.parse().ok()
}

/// The first byte and the whole size, if the range goes to the end (RFC 9110 §14.4). A `*` for
/// the size says that it ends where the range does.
fn content_range(header: &str) -> Option<(u64, u64)> {
    let (range, size) = header.trim().strip_prefix("bytes ")?.split_once('/')?;
    let (first, last) = range.split_once('-')?;
    let (first, last): (u64, u64) = (first.parse().ok()?, last.parse().ok()?);
    let end = last.checked_add(1)?;
    let whole = size == "*" || size.parse() == Ok(end);
    (whole && first < end).then_some((first, end))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_ranges_to_the_end_are_taken() {
        assert_eq!(content_range("bytes 5-9/10"), Some((5, 10)));
        assert_eq!(content_range("bytes 5-9/*"), Some((5, 10)));
        for bad in [
            "bytes 5-8/10",
            "bytes 5-9/9",
            "bytes 10-9/10",
            "5-9/10",
            "bytes */10",
            "bytes 5-18446744073709551615/0",
            "",
        ] {
            assert_eq!(content_range(bad), None, "{bad}");
        }
    }
}
