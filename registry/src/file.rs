//! Files from web servers, as Helm's repositories are. Takes an address and a limit, gives the
//! bytes; of a file that may be large, a [`Download`] from any offset.

use bundle_oci::{Digest, Registry, RepositoryName};
use bytes::{Bytes, BytesMut};
use reqwest::{Method, Url};

use crate::blob::announced_size;
use crate::redirect;
use crate::retry::Backoff;
use crate::transport::{Pace, Received, location, refuse_encoding, shown};
use crate::{Client, Download, Error};

/// Why a text is no address of a file.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum AddressError {
    /// No address.
    #[error("it is not an address")]
    Url,
    /// Another scheme.
    #[error("it is neither https nor http")]
    Scheme,
    /// Plain HTTP to a host for which it was not allowed.
    #[error("it is not https")]
    Plain,
    /// A login in the address, where logs and error messages would show it.
    #[error("it contains a user name or password")]
    Login,
}

impl Client {
    /// Fetches a file of at most `limit` bytes from a web server, as Helm's repositories are. The
    /// host is shown the credentials that are stored for it; where it redirects to is not.
    ///
    /// # Errors
    /// Any [`Error`]; [`Error::Address`] for an address that is not asked, [`Error::FileSize`]
    /// for a file that is too large.
    pub async fn file(&self, address: &str, limit: usize) -> Result<Bytes, Error> {
        let (url, host) = self.web_address(address)?;
        let backoff = Backoff::new(&self.inner.limits);
        self.retrying(&host, backoff, || self.fetch_file(&host, &url, limit)).await
    }

    /// The size of a file on a web server, if the server says it. No credentials are sent.
    ///
    /// # Errors
    /// Any [`Error`]; [`Error::Address`] for an address that is not asked.
    pub async fn file_size(&self, address: &str) -> Result<Option<u64>, Error> {
        let (_, host) = self.web_address(address)?;
        let repository = file_repository(&host)?;
        let backoff = Backoff::new(&self.inner.limits);
        let ask = || async {
            let doing = format!("send {}", shown(address));
            let scope = self.scope_to_pull(&host, &repository);
            let request = self
                .request(Method::GET, &host, "", scope, doing.clone())
                .header("Accept-Encoding", "identity");
            let received = self.ask_address(&request, address).await?;
            let Received { response, sender, anonymous } = self.follow(&request, received).await?;
            if response.status() != 200 {
                return Err(self.refusal(&sender, &doing, anonymous, response).await);
            }
            Ok(announced_size(&response))
        };
        self.retrying(&host, backoff, ask).await
    }

    /// Starts to fetch a file of a web server, of which digest and size are known, from `offset` on. No
    /// credentials are sent.
    ///
    /// # Errors
    /// [`Error::Address`] for an address that is not asked.
    pub fn file_from(
        &self,
        address: &str,
        digest: Digest,
        size: u64,
        offset: u64,
    ) -> Result<Download, Error> {
        let (_, host) = self.web_address(address)?;
        let repository = file_repository(&host)?;
        Ok(self.blob(&host, &repository, digest, size, offset).only_at(address))
    }

    /// The parts of an address that may be asked.
    fn web_address(&self, address: &str) -> Result<(Url, Registry), Error> {
        let refused = |why| Error::Address { address: shown(address), why };
        let url: Url = address.parse().map_err(|_| refused(AddressError::Url))?;
        if !matches!(url.scheme(), "https" | "http") {
            return Err(refused(AddressError::Scheme));
        }
        if url.scheme() == "http" && !self.may_be_plain(&url) {
            return Err(refused(AddressError::Plain));
        }
        if !url.username().is_empty() || url.password().is_some() {
            return Err(refused(AddressError::Login));
        }
        let host = url.host_str().unwrap_or_default();
        let host = url.port().map_or(host.to_owned(), |port| format!("{host}:{port}"));
        let host: Registry = host.parse().map_err(|_| refused(AddressError::Url))?;
        Ok((url, host))
    }

    async fn fetch_file(&self, host: &Registry, url: &Url, limit: usize) -> Result<Bytes, Error> {
        let doing = format!("send {}", shown(url.as_str()));
        let header = self.stored_login(host, url.path().trim_start_matches('/')).await?;
        let anonymous = header.is_none();
        let mut request = self.http(url)?.get(url.clone()).header("Accept-Encoding", "identity");
        if let Some(header) = header {
            request = request.header("Authorization", header);
        }
        let mut response = self.send(host.as_str(), request).await?;
        let mut sender = host.to_string();
        let mut hops = 0;
        while matches!(response.status().as_u16(), 301..=303 | 307 | 308) {
            let to = location(&response).unwrap_or_default();
            let refuse = |why| Error::Redirect { host: sender.clone(), to: shown(&to), why };
            let next: Url = response.url().join(&to).map_err(|_| refuse("it is not an address"))?;
            redirect::check(response.url(), &next, self.may_be_plain(&next)).map_err(refuse)?;
            if hops == self.inner.limits.redirects {
                return Err(refuse("there were too many redirects before"));
            }
            hops += 1;
            sender = next.host_str().unwrap_or_default().to_owned();
            let request = self.elsewhere(&next)?.get(next).header("Accept-Encoding", "identity");
            response = self.send(&sender, request).await?;
        }
        if response.status() != 200 {
            return Err(self.refusal(&sender, &doing, anonymous, response).await);
        }
        let too_large = || Error::FileSize { address: shown(url.as_str()), limit };
        if announced_size(&response).is_some_and(|size| size > limit as u64) {
            return Err(too_large());
        }
        refuse_encoding(&sender, &response)?;
        let mut body = BytesMut::new();
        let mut pace = Pace::default();
        while let Some(piece) = self.piece(&sender, &mut response, &mut pace).await? {
            if piece.len() > limit - body.len() {
                return Err(too_large());
            }
            body.extend_from_slice(&piece);
        }
        Ok(body.freeze())
    }
}

/// A name for a client that knows content by its repository; no server is asked for it.
fn file_repository(host: &Registry) -> Result<RepositoryName, Error> {
    "file".parse().map_err(|_| Error::misbehaved(host.as_str(), "its files have no name"))
}
