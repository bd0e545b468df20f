//! `GET /v2/`: whether a host is a registry and accepts the credentials. Takes a registry, gives
//! [`Ping`].

use bundle_oci::Registry;
use reqwest::Method;

use crate::retry::Backoff;
use crate::token::Scope;
use crate::transport::Received;
use crate::{Client, Error};

/// How a registry takes us.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Ping {
    /// It asks for no credentials.
    Open,
    /// It accepts the stored credentials.
    Authenticated,
    /// It gives tokens to those without credentials too; what is public may be read.
    Anonymous,
}

impl Client {
    /// Asks whether the registry is one and accepts our credentials (distribution-spec
    /// §Determining Support).
    ///
    /// # Errors
    /// [`Error::NotARegistry`], [`Error::Certificate`], [`Error::PlainHttp`] and
    /// [`Error::HttpsOnly`] besides all others; HTTP 401 if credentials are needed or not accepted.
    pub async fn ping(&self, registry: &Registry) -> Result<Ping, Error> {
        self.retrying(registry, Backoff::new(&self.inner.limits), || self.ping_once(registry)).await
    }

    async fn ping_once(&self, registry: &Registry) -> Result<Ping, Error> {
        let host = registry.as_str();
        // The slash at the end counts: Harbor knows `/v2/` only (v2auth/access.go).
        let request = self.request(Method::GET, registry, "", Scope::none(), "answer as a registry");
        let challenged = |client: &Client| client.inner.auth.knows_challenge(registry);
        let Received { response, anonymous, .. } = self.authorized(&request).await?;
        let status = response.status().as_u16();
        let content_type = response.headers().get("Content-Type").and_then(|value| value.to_str().ok());
        let web_page = content_type.is_some_and(|text| text.starts_with("text/html"));
        match status {
            200 if web_page => Err(Error::NotARegistry { host: host.to_owned(), status }),
            200 if challenged(self) && !anonymous => Ok(Ping::Authenticated),
            200 if challenged(self) => Ok(Ping::Anonymous),
            200 => Ok(Ping::Open),
            404 | 405 => Err(Error::NotARegistry { host: host.to_owned(), status }),
            400..=499 if web_page => Err(Error::NotARegistry { host: host.to_owned(), status }),
            _ => Err(self.refusal(host, "answer as a registry", anonymous, response).await),
        }
    }
}
