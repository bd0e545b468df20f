use bundle_oci::{Digest, MediaType, Registry, RepositoryName, Tag};
use reqwest::{Method, Response};
use serde::Deserialize;

use crate::token::Scope;
use crate::{Client, Error};

/// A repository's tags.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Tags {
    /// The tags, in the registry's order.
    pub tags: Vec<Tag>,
    /// Whether there are more than were read.
    pub truncated: bool,
}

/// What the referrers API says of a manifest that is attached to another.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct ReferrerDescriptor {
    /// The type of the manifest.
    pub media_type: MediaType,
    /// Its digest.
    pub digest: Digest,
}

impl Client {
    /// Lists a repository's tags (distribution-spec §Listing Tags).
    ///
    /// # Errors
    /// Any [`Error`].
    pub async fn tags(&self, registry: &Registry, repository: &RepositoryName) -> Result<Tags, Error> {
        #[derive(Deserialize)]
        struct Page {
            #[serde(default)]
            tags: Option<Vec<String>>,
        }

        self.at_places(registry, repository, |host, path| async move {
            let mut all = Tags::default();
            let mut next = Some(format!("{path}/tags/list?n=1000"));
            for _ in 0..self.inner.limits.pages {
                let Some(page) = next.take() else {
                    return Ok(all);
                };
                let doing = format!("list the tags of {path}");
                let request = self.request(Method::GET, &host, &page, Scope::pull(&path), doing);
                let response = self.expect(request, &[200]).await?;
                next = next_page(&response);
                let body = self.body(host.as_str(), response, self.inner.limits.body).await?;
                let page: Page =
                    serde_json::from_slice(&body).map_err(|_| misbehaved(&host, "list of tags"))?;
                let tags = page.tags.unwrap_or_default();
                if tags.is_empty() {
                    return Ok(all);
                }
                all.tags.extend(tags.iter().filter_map(|tag| tag.parse().ok()));
            }
            all.truncated = next.is_some();
            Ok(all)
        })
        .await
    }

    /// Lists the manifests that are attached to another (distribution-spec §Listing Referrers).
    /// `None` if the registry has no such API.
    ///
    /// # Errors
    /// Any [`Error`].
    pub async fn referrers(
        &self,
        registry: &Registry,
        repository: &RepositoryName,
        digest: Digest,
    ) -> Result<Option<Vec<ReferrerDescriptor>>, Error> {
        #[derive(Deserialize)]
        struct Index {
            manifests: Vec<ReferrerDescriptor>,
        }

        let without = |host: &Registry| {
            let hosts = self.inner.without_referrers.lock();
            hosts.unwrap_or_else(std::sync::PoisonError::into_inner).contains(host)
        };
        if without(registry) {
            return Ok(None);
        }
        let found = self.at_places(registry, repository, |host, path| async move {
            let mut all = Vec::new();
            let mut next = Some(format!("{path}/referrers/{digest}"));
            for _ in 0..self.inner.limits.pages {
                let Some(page) = next.take() else {
                    break;
                };
                let doing = format!("list the referrers of {path}@{digest}");
                let request = self.request(Method::GET, &host, &page, Scope::pull(&path), doing);
                let response = self.expect(request, &[200]).await?;
                next = next_page(&response);
                let body = self.body(host.as_str(), response, self.inner.limits.body).await?;
                let index: Index =
                    serde_json::from_slice(&body).map_err(|_| misbehaved(&host, "list of referrers"))?;
                all.extend(index.manifests);
            }
            Ok(all)
        });
        match found.await {
            Ok(all) => Ok(Some(all)),
            // Registries without the API take the path for another or refuse it.
            Err(error) if matches!(error.status(), Some(400 | 404 | 405)) => {
                let hosts = self.inner.without_referrers.lock();
                hosts.unwrap_or_else(std::sync::PoisonError::into_inner).insert(registry.clone());
                Ok(None)
            }
            Err(error) => Err(error),
        }
    }
}

fn misbehaved(host: &Registry, what: &str) -> Error {
    Error::Misbehaved { host: host.to_string(), what: format!("its {what} is not valid") }
}

/// The path below `/v2/` that a `Link` header names (RFC 8288). Whatever host it names, the same
/// registry is asked.
fn next_page(response: &Response) -> Option<String> {
    next_link(response.headers().get("Link")?.to_str().ok()?)
}

fn next_link(header: &str) -> Option<String> {
    let (target, parameters) = header.trim().strip_prefix('<')?.split_once('>')?;
    let next = parameters.split([';', ',']).any(|parameter| {
        let parameter = parameter.trim();
        parameter.eq_ignore_ascii_case("rel=next") || parameter.eq_ignore_ascii_case("rel=\"next\"")
    });
    if !next {
        return None;
    }
    let (_, path) = target.split_once("/v2/").or_else(|| target.split_once("v2/"))?;
    Some(path.to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn links_lead_to_pages_of_the_same_registry() {
        for (header, path) in [
            ("</v2/a/tags/list?last=x&n=1000>; rel=\"next\"", Some("a/tags/list?last=x&n=1000")),
            ("<https://evil.example/v2/a/tags/list?last=x>;rel=next", Some("a/tags/list?last=x")),
            ("</v2/a/tags/list>; rel=\"prev\"", None),
            ("nonsense", None),
        ] {
            assert_eq!(next_link(header).as_deref(), path, "{header}");
        }
    }
}
