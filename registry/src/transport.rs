use std::time::{Duration, SystemTime};

use bundle_oci::Registry;
use bytes::BytesMut;
use reqwest::{Method, RequestBuilder, Response};
use serde::Deserialize;

use crate::challenge::Challenge;
use crate::token::Scope;
use crate::{Answer, Client, Error};

/// A request without a body, which may be sent a second time with better credentials.
pub(crate) struct Request<'a> {
    method: Method,
    registry: &'a Registry,
    url: String,
    scope: Scope,
    doing: String,
    headers: Vec<(&'static str, String)>,
    body: bytes::Bytes,
}

impl Request<'_> {
    pub(crate) fn header(mut self, name: &'static str, value: impl Into<String>) -> Self {
        self.headers.push((name, value.into()));
        self
    }

    pub(crate) fn body(mut self, body: bytes::Bytes) -> Self {
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
        let url = format!("{}://{}/v2/{path}", self.scheme(registry), registry.endpoint());
        Request {
            method,
            registry,
            url,
            scope,
            doing: doing.into(),
            headers: Vec::new(),
            body: bytes::Bytes::new(),
        }
    }

    /// Sends a request and takes one of these statuses for success.
    pub(crate) async fn expect(&self, request: Request<'_>, statuses: &[u16]) -> Result<Response, Error> {
        let host = request.registry.as_str();
        let (response, anonymous) = self.authorized(&request).await?;
        if statuses.contains(&response.status().as_u16()) {
            return Ok(response);
        }
        if response.status().is_redirection() {
            let to = location(&response).unwrap_or_default();
            let to = to.split('?').next().unwrap_or_default().to_owned();
            return Err(Error::Redirect { host: host.to_owned(), to, why: "only blobs may lie elsewhere" });
        }
        Err(self.answer(host, &request.doing, anonymous, response).await)
    }

    /// Sends a request; answers one challenge.
    async fn authorized(&self, request: &Request<'_>) -> Result<(Response, bool), Error> {
        let registry = request.registry;
        let mut challenged = false;
        loop {
            let authorization = self.authorization(registry, &request.scope).await?;
            let mut builder = self.inner.http.request(request.method.clone(), &request.url);
            for (name, value) in &request.headers {
                builder = builder.header(*name, value);
            }
            if let Some(header) = authorization.header {
                builder = builder.header("Authorization", header);
            }
            if matches!(request.method, Method::PUT | Method::POST) {
                builder = builder.header("Content-Length", request.body.len()).body(request.body.clone());
            }
            let response = self.send(registry.as_str(), builder).await?;
            if response.status() != 401 || challenged {
                return Ok((response, authorization.anonymous));
            }
            let challenges = response.headers().get_all("WWW-Authenticate").iter();
            let challenge = challenges.filter_map(|header| Challenge::parse(header.to_str().ok()?)).next();
            let Some(challenge) = challenge else {
                return Ok((response, authorization.anonymous));
            };
            self.inner.auth.challenged(registry, &request.scope, challenge).await;
            challenged = true;
        }
    }

    /// Waits for the head of an answer.
    pub(crate) async fn send(&self, host: &str, request: RequestBuilder) -> Result<Response, Error> {
        let waited = self.inner.limits.answer;
        match tokio::time::timeout(waited, request.send()).await {
            Ok(Ok(response)) => Ok(response),
            Ok(Err(error)) => Err(Error::from_exchange(host, error)),
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
        let waited = self.inner.limits.stall;
        let mut body = BytesMut::new();
        loop {
            let chunk = tokio::time::timeout(waited, response.chunk())
                .await
                .map_err(|_| Error::Stalled { host: host.to_owned(), waited })?
                .map_err(|error| Error::from_exchange(host, error))?;
            let Some(chunk) = chunk else {
                return Ok(body);
            };
            if body.len() + chunk.len() > limit {
                let what = format!("it sends more than {limit} bytes where less belongs");
                return Err(Error::Misbehaved { host: host.to_owned(), what });
            }
            body.extend_from_slice(&chunk);
        }
    }

    /// Makes an error of an answer; reads what the registry has to say, if that is JSON.
    pub(crate) async fn answer(&self, host: &str, doing: &str, anonymous: bool, response: Response) -> Error {
        #[derive(Deserialize)]
        struct Errors {
            errors: Vec<One>,
        }
        #[derive(Deserialize)]
        struct One {
            code: Option<String>,
            message: Option<String>,
        }

        let status = response.status().as_u16();
        let retry_after = response.headers().get("Retry-After").and_then(|value| value.to_str().ok());
        let retry_after = retry_after.and_then(|text| parse_retry_after(text, SystemTime::now()));
        // A proxy's page or a body that breaks off says nothing that the status does not.
        let body = self.body(host, response, 64 << 10).await.unwrap_or_default();
        let first =
            serde_json::from_slice::<Errors>(&body).ok().and_then(|errors| errors.errors.into_iter().next());
        let (code, message) = first.map_or((None, None), |first| (first.code, first.message));
        Error::Answer(Box::new(Answer {
            host: host.to_owned(),
            doing: doing.to_owned(),
            status,
            code: code.filter(|text| !text.is_empty()),
            message: message.filter(|text| !text.is_empty()),
            retry_after,
            anonymous,
        }))
    }
}

/// The `Location` header as text.
pub(crate) fn location(response: &Response) -> Option<String> {
    response.headers().get("Location")?.to_str().ok().map(str::to_owned)
}

/// Seconds or a date (RFC 9110 §10.2.3).
fn parse_retry_after(text: &str, now: SystemTime) -> Option<Duration> {
    if let Ok(seconds) = text.trim().parse() {
        return Some(Duration::from_secs(seconds));
    }
    Some(httpdate::parse_http_date(text).ok()?.duration_since(now).unwrap_or_default())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn retry_after_is_seconds_or_a_date() {
        let now = SystemTime::UNIX_EPOCH + Duration::from_secs(784_111_777);
        assert_eq!(parse_retry_after("120", now), Some(Duration::from_secs(120)));
        assert_eq!(parse_retry_after("Sun, 06 Nov 1994 08:49:47 GMT", now), Some(Duration::from_secs(10)));
        assert_eq!(parse_retry_after("Sun, 06 Nov 1994 08:49:00 GMT", now), Some(Duration::ZERO));
        assert_eq!(parse_retry_after("soon", now), None);
        assert_eq!(parse_retry_after("-1", now), None);
    }
}
