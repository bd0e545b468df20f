//! The referrers API: what is attached to a manifest (distribution-spec §Listing Referrers). Takes
//! repository and digest, gives descriptors.

use bundle_oci::{Digest, MediaType, Registry, RepositoryName};
use serde::Deserialize;

use crate::lock::lock;
use crate::retry::Backoff;
use crate::routes::By;
use crate::{Blame, Client, Error, FallbackTo};

/// What the referrers API says of a manifest that is attached to another.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ReferrerDescriptor {
    /// The type of the manifest.
    pub media_type: MediaType,
    /// Its digest.
    pub digest: Digest,
    /// Its size in bytes.
    pub size: u64,
}

/// What a registry says of the manifests that are attached to one.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum ReferrerList {
    /// All of them.
    Listed(Vec<ReferrerDescriptor>),
    /// The registry has no referrers API, or answers with something else: the tag schema says
    /// (distribution-spec §Unavailable Referrers API).
    Unsupported,
    /// There is an API, and it does not tell. Whether something is attached is not known.
    Unobtainable {
        /// Why not, as a message.
        why: String,
    },
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Wire {
    schema_version: Option<u64>,
    // Some registries send null for none.
    #[serde(default, deserialize_with = "present")]
    manifests: Option<Option<Vec<WireDescriptor>>>,
}

/// Tells null from nothing.
fn present<'de, D: serde::Deserializer<'de>, T: Deserialize<'de>>(
    deserializer: D,
) -> Result<Option<T>, D::Error> {
    T::deserialize(deserializer).map(Some)
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct WireDescriptor {
    media_type: String,
    digest: String,
    size: u64,
}

impl WireDescriptor {
    fn read(self) -> Option<ReferrerDescriptor> {
        Some(ReferrerDescriptor {
            media_type: self.media_type.parse().ok()?,
            digest: self.digest.parse().ok()?,
            size: self.size,
        })
    }
}

/// How one registry answered.
enum Listing {
    All(Vec<ReferrerDescriptor>),
    /// No index; nothing of a list came before.
    NoIndex,
}

impl Client {
    /// Lists the manifests that are attached to another (distribution-spec §Listing Referrers).
    /// Those with another digest than SHA-256 are left out, since they could not be fetched.
    ///
    /// A mirror that lists nothing has no say: pull-through caches list only what was pushed to
    /// them (Harbor before August 2026), so the registry itself is asked.
    ///
    /// # Errors
    /// The registry cannot be reached, or credentials cannot be had. Whatever a registry answers
    /// is none.
    pub async fn referrers(
        &self,
        registry: &Registry,
        repository: &RepositoryName,
        digest: Digest,
    ) -> Result<ReferrerList, Error> {
        if lock(&self.inner.without_referrers).contains(registry) {
            return Ok(ReferrerList::Unsupported);
        }
        let (mirrors, (origin, here)) = self.places(registry, repository, By::Digest)?;
        let mut mirrored = None;
        for (mirror, path) in mirrors {
            let listed = match self.list_referrers(&mirror, &path, digest).await {
                Ok(Listing::All(found)) if !found.is_empty() => return Ok(ReferrerList::Listed(found)),
                Ok(Listing::All(_)) => Ok(()),
                Ok(Listing::NoIndex) => Err(None),
                Err(error) => Err(Some(error)),
            };
            mirrored = Some((mirror, listed));
        }
        let Some((mirror, mirrored)) = mirrored else {
            return self.referrers_at(&origin, &here, digest).await;
        };
        if !lock(&self.inner.unreachable).contains(registry) {
            match self.referrers_at(&origin, &here, digest).await {
                Err(cause) if cause.blame() == Blame::Unreachable => {
                    if lock(&self.inner.unreachable).insert(registry.clone()) {
                        self.fell_back(&mirror, registry, FallbackTo::Mirror, &cause);
                    }
                }
                answered => return answered,
            }
        }
        match mirrored {
            Ok(()) => {
                let why = format!("{registry} is not reached, and its mirror {mirror} lists only its own");
                Ok(ReferrerList::Unobtainable { why })
            }
            // A mirror fetches tags from the registry that it stands for.
            Err(None) => Ok(ReferrerList::Unsupported),
            Err(Some(error)) => outcome(error),
        }
    }

    /// What one registry itself says.
    async fn referrers_at(
        &self,
        registry: &Registry,
        repository: &RepositoryName,
        digest: Digest,
    ) -> Result<ReferrerList, Error> {
        // Some APIs fail for good: each subject would be waited for.
        let backoff = Backoff::few(&self.inner.limits);
        let listed =
            self.retrying(registry, backoff, || self.list_referrers(registry, repository, digest)).await;
        match listed {
            Ok(Listing::All(found)) => Ok(ReferrerList::Listed(found)),
            Ok(Listing::NoIndex) => Ok(ReferrerList::Unsupported),
            Err(error) => {
                // A 404 without a code is from a registry that does not know the path at all;
                // those with one may be about this repository only.
                if let Error::Answer(answer) = &error
                    && matches!(answer.status, 404 | 405 | 501)
                    && answer.code.is_none()
                {
                    lock(&self.inner.without_referrers).insert(registry.clone());
                }
                outcome(error)
            }
        }
    }

    async fn list_referrers(
        &self,
        host: &Registry,
        path: &RepositoryName,
        digest: Digest,
    ) -> Result<Listing, Error> {
        let limits = &self.inner.limits;
        let mut all = Vec::new();
        let mut next = Some(format!("{path}/referrers/{digest}"));
        for page in 0..limits.pages {
            let Some(address) = next.take() else {
                return Ok(Listing::All(all));
            };
            let what = format!("the referrers of {path}@{digest}");
            let read = self.page::<Wire>(host, &address, self.scope_to_pull(host, path), &what).await;
            let read = match read {
                // Something that answers 200 to everything: `{}`, a web page, or nothing.
                Err(Error::WebPage { .. } | Error::Unusable { .. }) if page == 0 => {
                    return Ok(Listing::NoIndex);
                }
                read => read?,
            };
            let index = read.body.manifests.is_some() || read.body.schema_version == Some(2);
            if page == 0 && !index {
                return Ok(Listing::NoIndex);
            }
            let found = read.body.manifests.flatten().unwrap_or_default();
            next = read.next.filter(|next| *next != address && !found.is_empty());
            all.extend(found.into_iter().filter_map(WireDescriptor::read));
            if all.len() > limits.referrers {
                break;
            }
        }
        if next.is_none() && all.len() <= limits.referrers {
            return Ok(Listing::All(all));
        }
        Err(Error::unusable(
            host.as_str(),
            format!("sends a list of the referrers of {digest} that does not end"),
        ))
    }
}

/// What an error means for the list: an answer of the registry is no reason to stop.
fn outcome(error: Error) -> Result<ReferrerList, Error> {
    match &error {
        Error::Answer(answer) if matches!(answer.status, 400 | 404 | 405 | 501) => {
            Ok(ReferrerList::Unsupported)
        }
        _ if matches!(error.blame(), Blame::Refused(_) | Blame::Misbehaved | Blame::NotFollowed) => {
            Ok(ReferrerList::Unobtainable { why: error.to_string() })
        }
        _ => Err(error),
    }
}
