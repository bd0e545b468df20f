//! The client of one Harbor: its host, its account, and calls below `/api/v2.0`.
//! Every noun of the API has a file of its own beside this one.

use std::fmt;

use bundle_oci::{Registry, RepositoryName};
use bundle_registry::{Call, Client, Error, Method, Reply};
use serde::Serialize;
use serde::de::DeserializeOwned;
use tracing::info;

use crate::Limits;

/// A Harbor, and the account with which it is spoken to. Cheap to clone.
#[derive(Clone)]
pub struct Harbor {
    client: Client,
    registry: Registry,
    limits: Limits,
}

impl Harbor {
    /// Takes it that `registry` is a Harbor. From then on, `client` shows it user and password with
    /// every request, to `/v2/` too.
    pub fn at(client: &Client, registry: &Registry) -> Self {
        client.password_at_once(registry);
        Self { client: client.clone(), registry: registry.clone(), limits: Limits::default() }
    }

    /// The client that speaks to the same host's `/v2/`.
    pub fn client(&self) -> &Client {
        &self.client
    }

    /// The host.
    pub fn registry(&self) -> &Registry {
        &self.registry
    }

    /// Reads what is at a path below `/api/v2.0`.
    pub(crate) async fn get<T: DeserializeOwned>(&self, path: &str, doing: &str) -> Result<T, Error> {
        self.call(Method::Get, path, doing, None::<&()>).await?.json()
    }

    /// Makes a call for a path below `/api/v2.0`, with `body` as JSON.
    pub(crate) async fn call(
        &self,
        method: Method,
        path: &str,
        doing: &str,
        body: Option<&impl Serialize>,
    ) -> Result<Reply, Error> {
        // Without the header, a project with a number for a name is looked up by that number
        // (Harbor's handler/util.go, parseProjectNameOrID).
        let mut call = Call::new(method, format!("/api/v2.0{path}"), doing)
            .header("Accept", "application/json")
            .header("X-Is-Resource-Name", "true")
            .header(ACCEPT_REPORTS, REPORTS);
        if let Some(body) = body {
            let invalid = |error| Error::Source(std::io::Error::other(error));
            call = call.json(body).map_err(invalid)?;
        }
        let reply = self.client.call(&self.registry, &call).await?;
        // Each request is in the client's log; the body, which may be a secret, is in none.
        if !matches!(method, Method::Get) {
            info!(host = %self.registry, doing, "changed");
        }
        Ok(reply)
    }

    /// Reads all pages of a list below `/api/v2.0`. A list with less than what Harbor counts in it is an error: who
    /// took it for whole would take the rest for absent.
    pub(crate) async fn list<T: DeserializeOwned>(&self, path: &str, doing: &str) -> Result<Vec<T>, Error> {
        let separator = if path.contains('?') { '&' } else { '?' };
        let size = self.limits.page_size;
        let mut all = Vec::new();
        let mut empty = 0;
        for page in 1..=self.limits.pages {
            let path = format!("{path}{separator}page={page}&page_size={size}");
            let reply = self.call(Method::Get, &path, doing, None::<&()>).await?;
            // Some of Harbor's lists are null when they are empty.
            let found = reply.json::<Option<Vec<T>>>()?.unwrap_or_default();
            empty = if found.is_empty() { empty + 1 } else { 0 };
            let is_short = found.len() < size;
            all.extend(found);
            // A short page is the last one only where Harbor does not say how many entries there are.
            let Some(total) = reply.total else {
                if is_short {
                    return Ok(all);
                }
                continue;
            };
            if all.len() as u64 >= total {
                return Ok(all);
            }
            if empty >= self.limits.empty_pages {
                let shown = all.len();
                return Err(
                    self.misbehaved(format!("it shows {shown} of {total} entries when asked to {doing}"))
                );
            }
        }
        Err(self.misbehaved(format!("its list does not end when asked to {doing}")))
    }

    pub(crate) fn misbehaved(&self, what: impl Into<String>) -> Error {
        Error::Misbehaved { host: self.registry.to_string(), what: what.into() }
    }
}

impl fmt::Debug for Harbor {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Harbor({})", self.registry)
    }
}

/// The form of scan reports that is understood. Harbor returns the summary under the same name.
const ACCEPT_REPORTS: &str = "X-Accept-Vulnerabilities";
pub(crate) const REPORTS: &str = "application/vnd.security.vulnerability.report; version=1.1";

/// A repository's name as a part of a path: encoded twice, because Harbor decodes it once more than
/// its router does (handler/artifact.go, Prepare).
pub(crate) fn encoded(repository: &RepositoryName) -> String {
    repository.as_str().replace('/', "%252F")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_repositorys_slashes_are_encoded_twice() {
        assert_eq!(encoded(&"docker.io/library/nginx".parse().unwrap()), "docker.io%252Flibrary%252Fnginx");
        assert_eq!(encoded(&"web-app".parse().unwrap()), "web-app");
    }
}
