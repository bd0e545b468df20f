use bundle_oci::{Digest, Registry, RepositoryName};
use bytes::Bytes;
use reqwest::{Method, Response, Url};

use crate::redirect;
use crate::token::Scope;
use crate::transport::location;
use crate::{Client, Error};

/// A blob on its way here: exactly the bytes from an offset to its size. Broken connections are
/// opened again where they broke; that the bytes are right is for the receiver to see.
pub struct Download {
    client: Client,
    places: Vec<(Registry, RepositoryName)>,
    place: usize,
    digest: Digest,
    size: u64,
    position: u64,
    response: Option<Response>,
    /// Bytes to pass over because the registry sends the blob from its start.
    skip: u64,
    waits: backon::ExponentialBackoff,
}

impl Client {
    /// Whether a repository has a blob.
    ///
    /// # Errors
    /// Any [`Error`] but that there is none.
    pub async fn has_blob(
        &self,
        registry: &Registry,
        repository: &RepositoryName,
        digest: Digest,
    ) -> Result<bool, Error> {
        let found = self.retrying(registry, || async {
            let doing = format!("look up the blob {digest} of {repository}");
            let path = format!("{repository}/blobs/{digest}");
            let request = self.request(Method::HEAD, registry, &path, Scope::pull(repository), doing);
            // Registries on object storage answer with its address, without asking it.
            self.expect(request, &[200, 307, 302]).await
        });
        match found.await {
            Ok(_) => Ok(true),
            Err(error) if error.status() == Some(404) => Ok(false),
            Err(error) => Err(error),
        }
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
        Download {
            client: self.clone(),
            places: self.places(registry, repository),
            place: 0,
            digest,
            size,
            position: offset.min(size),
            response: None,
            skip: 0,
            waits: self.waits(),
        }
    }
}

impl Download {
    /// The host that the bytes come from.
    pub fn host(&self) -> &Registry {
        &self.places[self.place].0
    }

    /// The next bytes, or `None` after the last one.
    ///
    /// # Errors
    /// Any [`Error`], after as many attempts without progress as the limits allow.
    pub async fn next(&mut self) -> Result<Option<Bytes>, Error> {
        loop {
            match self.attempt().await {
                Ok(bytes) => return Ok(bytes),
                Err(error) => {
                    self.response = None;
                    let wait = if error.is_retryable() { self.waits.next() } else { None };
                    if let Some(wait) = wait {
                        let host = self.host().clone();
                        self.client.wait(&host, &error, wait).await;
                    } else if self.place + 1 < self.places.len() {
                        self.place += 1;
                        self.waits = self.client.waits();
                    } else {
                        return Err(error);
                    }
                }
            }
        }
    }

    async fn attempt(&mut self) -> Result<Option<Bytes>, Error> {
        if self.position == self.size {
            return Ok(None);
        }
        if self.response.is_none() {
            self.response = Some(self.connect().await?);
        }
        let host = self.places[self.place].0.to_string();
        let waited = self.client.inner.limits.stall;
        while let Some(response) = &mut self.response {
            let chunk = tokio::time::timeout(waited, response.chunk())
                .await
                .map_err(|_| Error::Stalled { host: host.clone(), waited })?
                .map_err(|error| Error::from_exchange(&host, error))?;
            let Some(mut chunk) = chunk else {
                let what = format!("it sent {} bytes of a blob of {}", self.position, self.size);
                return Err(Error::Misbehaved { host, what });
            };
            if self.skip > 0 {
                let skipped = self.skip.min(chunk.len() as u64);
                self.skip -= skipped;
                bytes::Buf::advance(&mut chunk, skipped as usize);
            }
            if chunk.is_empty() {
                continue;
            }
            if chunk.len() as u64 > self.size - self.position {
                let what = format!("it sends more than the {} bytes of {}", self.size, self.digest);
                return Err(Error::Misbehaved { host, what });
            }
            self.position += chunk.len() as u64;
            self.waits = self.client.waits();
            return Ok(Some(chunk));
        }
        Ok(None)
    }

    async fn connect(&mut self) -> Result<Response, Error> {
        let (registry, repository) = &self.places[self.place];
        let host = registry.as_str();
        let digest = self.digest;
        let range = (self.position > 0).then(|| format!("bytes={}-", self.position));
        let doing = format!("send the blob {digest} of {repository}");
        let path = format!("{repository}/blobs/{digest}");
        let mut request =
            self.client.request(Method::GET, registry, &path, Scope::pull(repository), doing.clone());
        if let Some(range) = &range {
            request = request.header("Range", range);
        }
        let mut response = self.client.expect(request, &[200, 206, 301, 302, 303, 307, 308]).await?;
        let mut hops = 0;
        while response.status().is_redirection() {
            let to = location(&response).unwrap_or_default();
            let refuse = |why| Error::Redirect {
                host: host.to_owned(),
                to: to.split('?').next().unwrap_or_default().to_owned(),
                why,
            };
            let url: Url = response.url().join(&to).map_err(|_| refuse("it is not an address"))?;
            redirect::check(response.url(), &url, self.client.may_be_plain(&url)).map_err(refuse)?;
            if hops == self.client.inner.limits.redirects {
                return Err(refuse("there were too many redirects before"));
            }
            hops += 1;
            // No credentials: they belong to the registry, not to where it sends us.
            let mut request = self.client.inner.elsewhere.get(url);
            if let Some(range) = &range {
                request = request.header("Range", range);
            }
            response = self.client.send(host, request).await?;
        }
        let misbehaved = |what: String| Error::Misbehaved { host: host.to_owned(), what };
        if let Some(encoding) = response.headers().get("Content-Encoding")
            && encoding != "identity"
        {
            return Err(misbehaved("it compresses the transfer of a blob".to_owned()));
        }
        self.skip = 0;
        let expected = match response.status().as_u16() {
            200 => {
                self.skip = self.position;
                self.size
            }
            206 => {
                let header = response.headers().get("Content-Range").and_then(|value| value.to_str().ok());
                if header.and_then(content_range) != Some((self.position, self.size)) {
                    return Err(misbehaved("it sends another part of a blob than was asked for".to_owned()));
                }
                self.size - self.position
            }
            _ => return Err(self.client.answer(host, &doing, false, response).await),
        };
        match response.content_length() {
            Some(length) if length != expected => {
                Err(misbehaved(format!("it announces {length} bytes of {digest} where there are {expected}")))
            }
            _ => Ok(response),
        }
    }
}

/// The first byte and the whole size, if the range goes to the end (RFC 9110 §14.4).
fn content_range(header: &str) -> Option<(u64, u64)> {
    let (range, size) = header.trim().strip_prefix("bytes ")?.split_once('/')?;
    let (first, last) = range.split_once('-')?;
    let (first, last, size): (u64, u64, u64) = (first.parse().ok()?, last.parse().ok()?, size.parse().ok()?);
    (last.checked_add(1)? == size).then_some((first, size))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_ranges_to_the_end_are_taken() {
        assert_eq!(content_range("bytes 5-9/10"), Some((5, 10)));
        for bad in ["bytes 5-8/10", "bytes 5-9/*", "5-9/10", "bytes 5-18446744073709551615/0", ""] {
            assert_eq!(content_range(bad), None, "{bad}");
        }
    }
}
