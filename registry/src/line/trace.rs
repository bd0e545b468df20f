//! Events of the client for a log: each request with its answer, retries, mirrors, what a cache had. Takes what
//! happened, gives `tracing` events in which no query, no header and no secret stands.

use std::time::Duration;

use bundle_oci::Printable;
use reqwest::{Client as Http, Method, Request, RequestBuilder, Response, Url};
use tracing::{debug, enabled, info};

use crate::limits::LOGGED_PATH;
use crate::{Client, Error, Fallback, FallbackTo, Retry};

/// A request that is going to be sent, as a log may show it.
pub(crate) struct Asked {
    method: Method,
    url: Option<Url>,
    /// The bytes of its body, where they are known.
    bytes: Option<u64>,
}

impl Asked {
    /// A request of a method for an address, with a body of so many bytes.
    pub(crate) fn new(method: Method, url: Url, bytes: u64) -> Self {
        Self { method, url: Some(url), bytes: Some(bytes) }
    }

    /// What the log says of a request, and the request.
    pub(crate) fn of(builder: RequestBuilder) -> (Self, Http, reqwest::Result<Request>) {
        let (http, request) = builder.build_split();
        let asked = match &request {
            Ok(request) => Self {
                method: request.method().clone(),
                url: Some(request.url().clone()),
                bytes: request.body().and_then(|body| Some(body.as_bytes()?.len() as u64)),
            },
            Err(_) => Self { method: Method::GET, url: None, bytes: None },
        };
        (asked, http, request)
    }
}

impl Client {
    /// The path of an address as a log shows it: the query may be a signature or a token.
    fn logged_path(&self, asked: &Asked) -> String {
        let path = asked.url.as_ref().map_or("", Url::path);
        let end = path.char_indices().nth(LOGGED_PATH).map_or(path.len(), |(at, _)| at);
        Printable(&self.mask(path[..end].to_owned())).to_string()
    }

    /// Logs a request that was answered.
    pub(crate) fn log_answer(&self, host: &str, asked: &Asked, response: &Response, took: Duration) {
        if !enabled!(tracing::Level::DEBUG) {
            return;
        }
        let received = match asked.method {
            Method::HEAD => None,
            _ => response.content_length(),
        };
        debug!(
            method = asked.method.as_str(),
            host = self.mask(host.to_owned()),
            path = self.logged_path(asked),
            status = response.status().as_u16(),
            sent = asked.bytes.filter(|bytes| *bytes > 0),
            received,
            ms = milliseconds(took),
            "request"
        );
    }

    /// Logs a request that was not answered.
    pub(crate) fn log_failure(&self, host: &str, asked: &Asked, error: &Error, took: Duration) {
        if !enabled!(tracing::Level::DEBUG) {
            return;
        }
        debug!(
            method = asked.method.as_str(),
            host = self.mask(host.to_owned()),
            path = self.logged_path(asked),
            error = self.mask(bundle_oci::chain(error)),
            ms = milliseconds(took),
            "request failed"
        );
    }
}

/// Logs an attempt that will be made again.
pub(crate) fn retry(retry: &Retry<'_>) {
    info!(
        host = retry.host,
        attempt = retry.attempt,
        wait_ms = milliseconds(retry.wait),
        cause = bundle_oci::chain(retry.cause),
        "retry"
    );
}

/// Logs that another place is read from.
pub(crate) fn fallback(fallback: &Fallback<'_>) {
    let to = match fallback.to {
        FallbackTo::Registry => fallback.registry,
        FallbackTo::Mirror => fallback.mirror,
    };
    info!(
        mirror = fallback.mirror.as_str(),
        registry = fallback.registry.as_str(),
        reads_from = to.as_str(),
        cause = bundle_oci::chain(fallback.cause),
        "mirror fallback"
    );
}

fn milliseconds(time: Duration) -> u64 {
    u64::try_from(time.as_millis()).unwrap_or(u64::MAX)
}
