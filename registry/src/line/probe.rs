//! Probes of a host before any request: addresses, connections, its certificate's times, its clock, and
//! whether a proxy in front of it allows a request. Takes a registry, gives facts; nothing of the registry's
//! content is read or changed, and only [`Client::held_upload`] opens an upload, which it takes back.

use std::io;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::{Duration, Instant, SystemTime};

use bundle_oci::{Registry, RepositoryName};
use bytes::Bytes;
use futures_util::StreamExt;
use reqwest::{Body, Method, Url};
use rustls::pki_types::ServerName;
use tokio::net::TcpStream;
use tokio::time::timeout;
use tokio_rustls::TlsConnector;

use crate::limits::{HELD_PIECE, REFUSAL_TIME};
use crate::token::Scope;
use crate::transport::{Received, location};
use crate::upload::session_url;
use crate::{CertificateTimes, Client, Error, proxy, redirect};

/// A host's clock, as one answer showed it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ServerTime {
    /// The header `Date` of the answer, in whole seconds (RFC 9110 §6.6.1); none if it has none.
    pub date: Option<SystemTime>,
    /// When the request was made, by the clock here.
    pub asked: SystemTime,
    /// When the answer came, by the clock here.
    pub answered: SystemTime,
}

/// The outcome of a slow upload.
#[derive(Debug)]
pub enum Held {
    /// It arrived.
    Whole,
    /// It was ended.
    Cut {
        /// After how long.
        after: Duration,
        /// How.
        cause: Box<Error>,
    },
}

impl Client {
    /// The address of a registry's API, with the scheme that it is asked by.
    async fn api(&self, registry: &Registry) -> Result<Url, Error> {
        let address = format!("{}://{}/v2/", self.scheme(registry).await, registry.endpoint());
        address.parse().map_err(|_| Error::misbehaved(registry.as_str(), "its address is not one"))
    }

    /// The proxy through which a registry is asked, without its login.
    ///
    /// # Errors
    /// The registry's name makes no address.
    pub async fn proxy_to(&self, registry: &Registry) -> Result<Option<String>, Error> {
        let url = self.api(registry).await?;
        let proxy = self.inner.proxies.proxy_for(&url).filter(|_| !redirect::is_loopback(&url));
        Ok(proxy.map(proxy::shown))
    }

    /// Whether a registry is asked by HTTPS.
    pub async fn encrypts(&self, registry: &Registry) -> bool {
        self.scheme(registry).await == "https"
    }

    /// All addresses of a host, as the system's resolver gives them.
    ///
    /// # Errors
    /// [`Error::UnknownHost`] if there is none, or no answer in [`crate::Limits::connect`].
    pub async fn addresses(&self, registry: &Registry) -> Result<Vec<SocketAddr>, Error> {
        let url = self.api(registry).await?;
        let unknown = |cause: String| Error::UnknownHost { host: registry.to_string(), cause };
        let looked_up = tokio::task::spawn_blocking(move || url.socket_addrs(|| None));
        let waited = self.inner.limits.connect;
        let mut found = match timeout(waited, looked_up).await {
            Ok(Ok(found)) => found.map_err(|error| unknown(error.to_string()))?,
            Ok(Err(error)) => return Err(unknown(error.to_string())),
            Err(_) => return Err(unknown(format!("no answer for {} seconds", waited.as_secs()))),
        };
        found.sort_unstable();
        found.dedup();
        if found.is_empty() { Err(unknown("it has no address".to_owned())) } else { Ok(found) }
    }

    /// Whether an address takes connections.
    ///
    /// # Errors
    /// The network's error, or [`io::ErrorKind::TimedOut`] after [`crate::Limits::connect`].
    pub async fn connects(&self, address: SocketAddr) -> io::Result<()> {
        self.dial(address).await.map(drop)
    }

    async fn dial(&self, address: SocketAddr) -> io::Result<TcpStream> {
        let connected = timeout(self.inner.limits.connect, TcpStream::connect(address)).await;
        connected.map_err(|_| io::Error::from(io::ErrorKind::TimedOut))?
    }

    /// When the certificate of the host at `address` begins and ends, as far as that can be known of it. The
    /// connection is for this only. A certificate that is not trusted gives its times, too; any request
    /// reports why it is not trusted.
    ///
    /// # Errors
    /// Certificates that are given cannot be used.
    pub async fn certificate_times(
        &self,
        registry: &Registry,
        address: SocketAddr,
    ) -> Result<CertificateTimes, Error> {
        let (config, watch) = self.watched_tls(registry.as_str())?;
        let name = self.api(registry).await?.host_str().unwrap_or_default().to_owned();
        let name = name.trim_matches(['[', ']']).to_owned();
        if let (Ok(name), Ok(stream)) = (ServerName::try_from(name), self.dial(address).await) {
            let connector = TlsConnector::from(Arc::new(config));
            // The verifier has recorded its fault.
            let _ = timeout(self.inner.limits.connect, connector.connect(name, stream)).await;
        }
        Ok(watch.times())
    }

    /// Asks a registry for nothing, without credentials, and looks at its clock. Every answer will do.
    ///
    /// # Errors
    /// The registry cannot be reached, or its connection is not trusted.
    pub async fn server_time(&self, registry: &Registry) -> Result<ServerTime, Error> {
        let url = self.api(registry).await?;
        let http = self.http(&url)?;
        let asked = SystemTime::now();
        let response = self.send(registry.as_str(), http.get(url)).await?;
        let answered = SystemTime::now();
        let date = response.headers().get("Date").and_then(|value| value.to_str().ok());
        let date = date.and_then(|text| httpdate::parse_http_date(text).ok());
        Ok(ServerTime { date, asked, answered })
    }

    /// Announces a request of so many bytes, sends none of them, and gives the status of the answer: what
    /// stands before a registry and limits the size of requests refuses it by its head alone, with 413. The
    /// request is for an upload that does not exist and carries no credentials, so that nothing comes of it.
    /// None if there is no answer in two seconds: the bytes are waited for, and so taken.
    ///
    /// # Errors
    /// The registry cannot be reached, or its connection is not trusted.
    pub async fn announced_size(&self, registry: &Registry, bytes: u64) -> Result<Option<u16>, Error> {
        let url = self.api(registry).await?;
        let url = url
            .join("bundle-doctor/none/blobs/uploads/none")
            .map_err(|_| Error::misbehaved(registry.as_str(), "its address is not one"))?;
        let body = Body::wrap_stream(futures_util::stream::pending::<io::Result<Bytes>>());
        let request = self
            .http(&url)?
            .request(Method::PATCH, url)
            .header("Content-Type", "application/octet-stream")
            .header("Content-Length", bytes)
            .body(body);
        match timeout(REFUSAL_TIME, self.send(registry.as_str(), request)).await {
            Ok(Ok(response)) => Ok(Some(response.status().as_u16())),
            Ok(Err(error)) => Err(error),
            Err(_) => Ok(None),
        }
    }

    /// Sends an upload of a few bytes that takes `time`, and takes it back at the end. A proxy in front of a
    /// registry may end it earlier. It does not create the repository.
    ///
    /// # Errors
    /// No upload can be opened there.
    pub async fn held_upload(
        &self,
        registry: &Registry,
        repository: &RepositoryName,
        time: Duration,
    ) -> Result<Held, Error> {
        let path = self.path_at(registry, repository)?;
        let scope = Scope::push(&path);
        let doing = "take an upload";
        let open =
            self.request(Method::POST, registry, &format!("{path}/blobs/uploads/"), scope.clone(), doing);
        let Received { response, .. } = self.expect(open, &[202]).await?;
        let misbehaved = |what: &str| Error::misbehaved(registry.as_str(), what);
        let to = location(&response).ok_or_else(|| misbehaved("it opens an upload without saying where"))?;
        let asked = response.url().clone();
        let session =
            session_url(&asked, &to).ok_or_else(|| misbehaved("it sends an upload to another host"))?;
        let authorization = self.authorization(registry, &scope, None).await?;
        let authorized = |request: reqwest::RequestBuilder| match &authorization.header {
            Some(header) => request.header("Authorization", header),
            None => request,
        };
        let seconds = time.as_secs();
        let piece = Bytes::from_static(&[0; HELD_PIECE]);
        let body = futures_util::stream::iter(0..seconds).then(move |_| {
            let piece = piece.clone();
            async move {
                tokio::time::sleep(Duration::from_secs(1)).await;
                Ok::<_, io::Error>(piece)
            }
        });
        let request = authorized(self.http(&session)?.request(Method::PATCH, session.clone()))
            .header("Content-Type", "application/octet-stream")
            .header("Content-Length", seconds * HELD_PIECE as u64)
            .body(Body::wrap_stream(body));
        let begun = Instant::now();
        let ended = timeout(time + self.inner.limits.answer, request.send()).await;
        let after = begun.elapsed();
        let (held, session) = match ended {
            Ok(Ok(response)) if response.status().is_success() => {
                let next = location(&response).and_then(|to| session_url(&asked, &to));
                (Held::Whole, next.unwrap_or(session))
            }
            Ok(Ok(response)) => {
                let cause = self.refusal(registry.as_str(), doing, false, response).await;
                (Held::Cut { after, cause: Box::new(cause) }, session)
            }
            Ok(Err(error)) => {
                let cause = self.failed(registry.as_str(), error);
                (Held::Cut { after, cause: Box::new(cause) }, session)
            }
            Err(_) => {
                let cause = Error::Stalled { host: registry.to_string(), waited: self.inner.limits.answer };
                (Held::Cut { after, cause: Box::new(cause) }, session)
            }
        };
        // Not all accounts may: the registry forgets it by itself then.
        let cancel = authorized(self.http(&session)?.request(Method::DELETE, session));
        let _ = timeout(self.inner.limits.answer, cancel.send()).await;
        Ok(held)
    }
}
