//! The referrers API: what is attached to a manifest (distribution-spec §Listing Referrers). Takes
//! repository and digest, gives descriptors.

use std::collections::BTreeMap;

use bundle_oci::{Digest, MediaType, Registry, RepositoryName};
use serde::Deserialize;

use crate::lock::lock;
use crate::token::Scope;
use crate::{Client, Error};

/// What the referrers API says of a manifest that is attached to another.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ReferrerDescriptor {
    /// The type of the manifest.
    pub media_type: MediaType,
    /// Its digest.
    pub digest: Digest,
    /// Its size in bytes.
    pub size: u64,
    /// What kind of artifact it is.
    pub artifact_type: Option<MediaType>,
    /// Its annotations.
    pub annotations: BTreeMap<String, String>,
}

#[derive(Deserialize)]
struct Wire {
    // Some registries send null for none.
    #[serde(default)]
    manifests: Option<Vec<WireDescriptor>>,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct WireDescriptor {
    media_type: String,
    digest: String,
    size: u64,
    #[serde(default)]
    artifact_type: Option<String>,
    #[serde(default)]
    annotations: Option<BTreeMap<String, String>>,
}

impl WireDescriptor {
    fn read(self) -> Option<ReferrerDescriptor> {
        Some(ReferrerDescriptor {
            media_type: self.media_type.parse().ok()?,
            digest: self.digest.parse().ok()?,
            size: self.size,
            artifact_type: self.artifact_type.and_then(|text| text.parse().ok()),
            annotations: self.annotations.unwrap_or_default(),
        })
    }
}

impl Client {
    /// Lists the manifests that are attached to another (distribution-spec §Listing Referrers).
    /// `None` if the registry has no such API. Those with another digest than SHA-256 are left
    /// out, since they could not be fetched.
    ///
    /// # Errors
    /// Any [`Error`]; a list that is longer than the limits allow counts as misbehaviour.
    pub async fn referrers(
        &self,
        registry: &Registry,
        repository: &RepositoryName,
        digest: Digest,
    ) -> Result<Option<Vec<ReferrerDescriptor>>, Error> {
        if lock(&self.inner.without_referrers).contains(registry) {
            return Ok(None);
        }
        let limits = &self.inner.limits;
        let found = self.at_places(registry, repository, |host, path| async move {
            let mut all = Vec::new();
            let mut next = Some(format!("{path}/referrers/{digest}"));
            for _ in 0..limits.pages {
                let Some(address) = next.take() else {
                    return Ok(all);
                };
                let what = format!("the referrers of {path}@{digest}");
                let page = self.page::<Wire>(&host, &address, Scope::pull(&path), &what).await?;
                let found = page.body.manifests.unwrap_or_default();
                next = page.next.filter(|next| *next != address && !found.is_empty());
                all.extend(found.into_iter().filter_map(WireDescriptor::read));
                if all.len() > limits.referrers {
                    break;
                }
            }
            if next.is_none() && all.len() <= limits.referrers {
                return Ok(all);
            }
            Err(Error::misbehaved(
                host.as_str(),
                format!("its list of the referrers of {digest} does not end"),
            ))
        });
        match found.await {
            Ok(all) => Ok(Some(all)),
            // A 404 without a code is from a registry that does not know the path at all; those
            // with one may be about this repository only.
            Err(Error::Answer(answer)) if matches!(answer.status, 400 | 404 | 405 | 501) => {
                if answer.status != 400 && answer.code.is_none() {
                    lock(&self.inner.without_referrers).insert(registry.clone());
                }
                Ok(None)
            }
            Err(error) => Err(error),
        }
    }
}
