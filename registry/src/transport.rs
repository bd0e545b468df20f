//! One request and its answer: credentials, one challenge, timeouts, bounded bodies. Takes a
//! [`Request`], gives a response or the error that its answer stands for.

use std::time::SystemTime;

use bundle_oci::{Digest, Registry};
use bytes::{Bytes, BytesMut};
use reqwest::{Method, RequestBuilder, Response, Url};

use crate::answer::parse_retry_after;
use crate::challenge::Challenge;
use crate::lock::lock;
use crate::token::{Authorization, Scope};
use crate::{Answer, Client, Error};

/// A request that may be sent a second time with better credentials.
pub(crate) struct Request<'a> {
    pub(crate) method: Method,
    pub(crate) registry: &'a Registry,
    /// The path with its slash at the start, and the query.
    pub(crate) path: String,
    pub(crate) scope: Scope,
    pub(crate) doing: String,
    pub(crate) headers: Vec<(&'static str, String)>,
    pub(crate) body: Bytes,
}

impl Request<'_> {
    pub(crate) fn header(mut self, name: &'static str, value: impl Into<String>) -> Self {
        self.headers.push((name, value.into()));
        self
    }

    pub(crate) fn body(mut self, body: Bytes) -> Self {
        self.body = body;
        self
    }
}

impl Client {
    /// A request for a path below `/v2/`. `doing` completes "asked to …".
    pub(crate) fn request<'a>(
        &self,
        method: Method,
        registry: &'a Registry,
        path: &str,
        scope: Scope,
        doing: impl Into<String>,
    ) -> Request<'a> {
        Request {
            method,
            registry,
            path: format!("/v2/{path}"),
            scope,
            doing: doing.into(),
            headers: Vec::new(),
            body: Bytes::new(),
        }
    }

    /// Sends a request and takes one of these statuses for success.
    pub(crate) async fn expect(&self, request: Request<'_>, statuses: &[u16]) -> Result<Response, Error> {
        let host = request.registry.as_str();
        let (response, anonymous) = self.authorized(&request).await?;
        if statuses.contains(&response.status().as_u16()) {
            return Ok(response);
        }
        Err(self.refusal(host, &request.doing, anonymous, response).await)
    }

    /// Sends a request; answers one challenge.
    pub(crate) async fn authorized(&self, request: &Request<'_>) -> Result<(Response, bool), Error> {
        let registry = request.registry;
        let address = format!("{}://{}{}", self.scheme(registry).await, registry.endpoint(), request.path);
        let url: Url =
            address.parse().map_err(|_| Error::misbehaved(registry.as_str(), "its address is not one"))?;
        let first = self.authorization(registry, &request.scope, None).await?;
        let response = self.exchange(request, &url, &first).await?;
        if response.status() != 401 {
            return Ok((response, first.anonymous));
        }
        let headers = response.headers().get_all("WWW-Authenticate").iter();
        match Challenge::best(headers.filter_map(|header| header.to_str().ok())) {
            Some(challenge) => self.inner.auth.challenged(registry, challenge),
            // A token may be older than the project (Harbor 2.15), whatever the answer says.
            None if first.header.is_none() => return Ok((response, first.anonymous)),
            None => {}
        }
        let second = self.authorization(registry, &request.scope, first.header.as_ref()).await?;
        if second.header == first.header {
            return Ok((response, first.anonymous));
        }
        // What is read to its end leaves a connection that can be used again.
        let _ = self.body(registry.as_str(), response, self.inner.limits.error_body).await;
        Ok((self.exchange(request, &url, &second).await?, second.anonymous))
    }

    async fn exchange(
        &self,
        request: &Request<'_>,
        url: &Url,
        authorization: &Authorization,
    ) -> Result<Response, Error> {
        let mut builder = self.http(url).request(request.method.clone(), url.clone());
        for (name, value) in &request.headers {
            builder = builder.header(*name, value);
        }
        if let Some(header) = &authorization.header {
            builder = builder.header("Authorization", header);
        }
        if matches!(request.method, Method::PUT | Method::POST | Method::PATCH) {
            builder = builder.header("Content-Length", request.body.len()).body(request.body.clone());
        }
        self.send(request.registry.as_str(), builder).await
    }

    /// Waits for the head of an answer.
    pub(crate) async fn send(&self, host: &str, request: RequestBuilder) -> Result<Response, Error> {
        let waited = self.inner.limits.answer;
        match tokio::time::timeout(waited, request.send()).await {
            Ok(Ok(response)) => {
                let mut answered = lock(&self.inner.answered);
                if !answered.contains(host) {
                    answered.insert(host.to_owned());
                }
                Ok(response)
            }
            Ok(Err(error)) => Err(Error::from_exchange(host, error, &self.inner.limits)),
            Err(_) => Err(Error::Stalled { host: host.to_owned(), waited }),
        }
    }

    /// The next piece of a body.
    pub(crate) async fn piece(&self, host: &str, response: &mut Response) -> Result<Option<Bytes>, Error> {
        let waited = self.inner.limits.stall;
        match tokio::time::timeout(waited, response.chunk()).await {
            Ok(Ok(piece)) => Ok(piece),
            Ok(Err(error)) => Err(Error::from_exchange(host, error, &self.inner.limits)),
            Err(_) => Err(Error::Stalled { host: host.to_owned(), waited }),
        }
    }

    /// Reads a body of at most `limit` bytes.
    pub(crate) async fn body(
        &self,
        host: &str,
        mut response: Response,
        limit: usize,
    ) -> Result<BytesMut, Error> {
        refuse_encoding(host, &response)?;
        let mut body = BytesMut::new();
        while let Some(piece) = self.piece(host, &mut response).await? {
            if piece.len() > limit - body.len() {
                let what = format!("it sends more than {limit} bytes where less belongs");
                return Err(Error::misbehaved(host, what));
            }
            body.extend_from_slice(&piece);
        }
        Ok(body)
    }

    /// Makes an error of an answer.
    pub(crate) async fn refusal(
        &self,
        host: &str,
        doing: &str,
        anonymous: bool,
        response: Response,
    ) -> Error {
        if response.status().is_redirection() {
            let (to, why) = (target(&response), "only blobs may lie elsewhere");
            return Error::Redirect { host: host.to_owned(), to, why };
        }
        if response.status().is_success() {
            return Error::misbehaved(
                host,
                format!("it answers with HTTP {} when asked to {doing}", response.status().as_u16()),
            );
        }
        let encrypted = response.url().scheme() == "https";
        let answer = self.answer(host, doing, anonymous, response).await;
        // What Go's net/http and nginx say, in text or as a title.
        let says = |words: &str| answer.message.as_ref().is_some_and(|text| text.contains(words));
        if !encrypted && answer.status == 400 && (says("to an HTTPS server") || says("to HTTPS port")) {
            return Error::HttpsOnly { host: host.to_owned() };
        }
        Error::Answer(answer)
    }

    /// Reads what a registry has to say to its refusal.
    pub(crate) async fn answer(
        &self,
        host: &str,
        doing: &str,
        anonymous: bool,
        mut response: Response,
    ) -> Box<Answer> {
        let status = response.status().as_u16();
        let header = |name| response.headers().get(name).and_then(|value| value.to_str().ok());
        let retry_after = header("Retry-After").and_then(|text| parse_retry_after(text, SystemTime::now()));
        let request_id = header("X-Request-Id").filter(|id| id.len() <= 128).map(str::to_owned);
        let mut body = Vec::new();
        // A body that is too long or breaks off still says something at its start.
        while let Ok(Some(piece)) = self.piece(host, &mut response).await {
            let room = self.inner.limits.error_body.saturating_sub(body.len());
            body.extend_from_slice(&piece[..piece.len().min(room)]);
            if room <= piece.len() {
                break;
            }
        }
        Box::new(Answer { retry_after, request_id, ..Answer::new(host, doing, status, anonymous, &body) })
    }
}

/// Digests describe bytes as they are stored.
pub(crate) fn refuse_encoding(host: &str, response: &Response) -> Result<(), Error> {
    match response.headers().get("Content-Encoding") {
        Some(encoding) if encoding != "identity" => {
            Err(Error::misbehaved(host, "it compresses the transfer, which it was not asked to"))
        }
        _ => Ok(()),
    }
}

/// The `Location` header as text.
pub(crate) fn location(response: &Response) -> Option<String> {
    response.headers().get("Location")?.to_str().ok().map(str::to_owned)
}

/// The digest that a registry says its content has.
pub(crate) fn announced(response: &Response) -> Option<Digest> {
    response.headers().get("Docker-Content-Digest")?.to_str().ok()?.parse().ok()
}

/// Where a redirect leads, without what may be a secret.
pub(crate) fn target(response: &Response) -> String {
    shown(&location(response).unwrap_or_default())
}

/// An address without its query.
pub(crate) fn shown(address: &str) -> String {
    address.split(['?', '#']).next().unwrap_or_default().to_owned()
}
