//! Requests to an API beside `/v2/`, such as Harbor's, through the same connections, credentials,
//! limits and retries. Takes a [`Call`], gives a [`Reply`].

use bundle_oci::Registry;
use bytes::Bytes;
use serde::Serialize;
use serde::de::DeserializeOwned;

use crate::answer::{is_web_page, title};
use crate::mask::ANY_LENGTH;
use crate::retry::Backoff;
use crate::token::Scope;
use crate::transport::{Received, Request, content_type, location};
use crate::{Client, Error};

/// A request to an API that a registry offers beside `/v2/`, such as Harbor's. It goes through the
/// same connections, credentials, limits and retries as everything else.
#[derive(Clone, Debug)]
pub struct Call {
    method: Method,
    path: String,
    doing: String,
    headers: Vec<(&'static str, String)>,
    body: Bytes,
}

/// The HTTP method of a [`Call`].
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Method {
    /// Reads.
    Get,
    /// Asks whether there is something to read.
    Head,
    /// Makes something new, or starts something. Never repeated by itself.
    Post,
    /// Replaces.
    Put,
    /// Changes a part. Never repeated by itself.
    Patch,
    /// Removes. Once repeated, it may be answered that there is nothing any more.
    Delete,
}

/// A successful answer.
#[derive(Clone, Debug)]
pub struct Reply {
    host: String,
    doing: String,
    /// The HTTP status, from 200 to 299.
    pub status: u16,
    /// The header `Location`.
    pub location: Option<String>,
    /// The header `X-Total-Count`: how many entries a list has on all its pages.
    pub total: Option<u64>,
    /// The body, at most as long as [`crate::Limits::body`], without the credentials that were sent.
    pub body: Bytes,
    web_page: bool,
}

impl Call {
    /// A call for `path`, which starts with a slash and may have a query. `doing` completes "asked
    /// to …".
    pub fn new(method: Method, path: impl Into<String>, doing: impl Into<String>) -> Self {
        let (path, doing) = (path.into(), doing.into());
        Self { method, path, doing, headers: Vec::new(), body: Bytes::new() }
    }

    /// Adds a header.
    #[must_use]
    pub fn header(mut self, name: &'static str, value: impl Into<String>) -> Self {
        self.headers.push((name, value.into()));
        self
    }

    /// Sends a value as JSON.
    ///
    /// # Errors
    /// The value has no JSON form.
    pub fn json(self, value: &impl Serialize) -> Result<Self, serde_json::Error> {
        let body = Bytes::from(serde_json::to_vec(value)?);
        Ok(Self { body, ..self.header("Content-Type", "application/json") })
    }
}

impl Reply {
    /// Reads the body as JSON.
    ///
    /// # Errors
    /// [`Error::Misbehaved`] if it is not of the expected form.
    pub fn json<T: DeserializeOwned>(&self) -> Result<T, Error> {
        if self.web_page || is_web_page(None, &self.body) {
            let (host, doing) = (self.host.clone(), self.doing.clone());
            return Err(Error::WebPage { host, doing, title: title(&self.body) });
        }
        serde_json::from_slice(&self.body).map_err(|error| {
            let what =
                format!("its answer is not valid when asked to {} (column {})", self.doing, error.column());
            Error::misbehaved(&self.host, what)
        })
    }
}

impl Client {
    /// Makes a call. One that only reads, replaces or removes is repeated after a transient error; after any other
    /// error the caller must look up the result.
    ///
    /// # Errors
    /// Any [`Error`]; any answer but a success is one.
    pub async fn call(&self, registry: &Registry, call: &Call) -> Result<Reply, Error> {
        match call.method {
            Method::Post | Method::Patch => self.call_once(registry, call).await,
            Method::Get | Method::Head | Method::Put | Method::Delete => {
                let backoff = Backoff::new(&self.inner.limits);
                self.retrying(registry, backoff, || self.call_once(registry, call)).await
            }
        }
    }

    async fn call_once(&self, registry: &Registry, call: &Call) -> Result<Reply, Error> {
        let method = match call.method {
            Method::Get => reqwest::Method::GET,
            Method::Head => reqwest::Method::HEAD,
            Method::Post => reqwest::Method::POST,
            Method::Put => reqwest::Method::PUT,
            Method::Patch => reqwest::Method::PATCH,
            Method::Delete => reqwest::Method::DELETE,
        };
        let request = Request {
            method,
            registry,
            path: call.path.clone(),
            scope: Scope::none(),
            doing: call.doing.clone(),
            headers: call.headers.clone(),
            body: call.body.clone(),
            follows: false,
        };
        let host = registry.as_str();
        let Received { response, anonymous, .. } = self.authorized(&request).await?;
        if !response.status().is_success() {
            return Err(self.refusal(host, &call.doing, anonymous, response).await);
        }
        let total = response.headers().get("X-Total-Count").and_then(|value| value.to_str().ok());
        let total = total.and_then(|text| text.parse().ok());
        let (status, location) = (response.status().as_u16(), location(&response));
        let web_page = is_web_page(content_type(&response).as_deref(), b"");
        let body = self.body(host, response, self.inner.limits.body).await?.freeze();
        let body = self.inner.auth.sent.mask_body(body, ANY_LENGTH);
        Ok(Reply {
            host: host.to_owned(),
            doing: call.doing.clone(),
            status,
            location,
            total,
            body,
            web_page,
        })
    }
}
