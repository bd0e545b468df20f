//! The referrers API: what is attached to a manifest (distribution-spec §Listing Referrers). Takes
//! repository and digest, gives descriptors.

use bundle_oci::{Digest, MediaType, Printable, Registry, RepositoryName};
use serde::Deserialize;
use serde::de::IgnoredAny;

use crate::lock::lock;
use crate::retry::Backoff;
use crate::routes::By;
use crate::{Blame, Client, Error, FallbackTo};

/// An entry of the referrers API.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ReferrerDescriptor {
    /// The type of the manifest, if the list says it.
    pub media_type: Option<MediaType>,
    /// Its digest.
    pub digest: Digest,
    /// Its size in bytes, if the list says it.
    pub size: Option<u64>,
}

/// A registry's answer about the referrers of a manifest.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum ReferrerList {
    /// All of them.
    Listed(Vec<ReferrerDescriptor>),
    /// These, and others that are listed without a digest by which they could be fetched.
    Partly {
        /// Those that can be fetched.
        found: Vec<ReferrerDescriptor>,
        /// The fault of one of the others, as a message.
        why: String,
    },
    /// The registry has no referrers API, or answers with something else: the tag schema says
    /// (distribution-spec §Unavailable Referrers API).
    Unsupported,
    /// There is an API, and it does not answer. Whether something is attached is not known.
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
    manifests: Option<Option<Vec<WireEntry>>>,
}

/// Distinguishes null from a missing field.
fn present<'de, D: serde::Deserializer<'de>, T: Deserialize<'de>>(
    deserializer: D,
) -> Result<Option<T>, D::Error> {
    T::deserialize(deserializer).map(Some)
}

/// An entry of a list. One that is wrong makes none of the others so.
#[derive(Deserialize)]
#[serde(untagged)]
enum WireEntry {
    Descriptor(WireDescriptor),
    Other(IgnoredAny),
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct WireDescriptor {
    #[serde(default)]
    media_type: Option<String>,
    digest: String,
    #[serde(default)]
    size: Option<u64>,
}

/// The shown part of an invalid digest, in characters.
const SHOWN: usize = 80;

impl WireEntry {
    /// The descriptor, or what is wrong with it.
    fn read(self) -> Result<ReferrerDescriptor, String> {
        let WireDescriptor { media_type, digest, size } = match self {
            Self::Descriptor(descriptor) => descriptor,
            Self::Other(_) => {
                return Err("the list of its referrers has an entry without a digest".to_owned());
            }
        };
        let media_type = media_type.and_then(|text| text.parse().ok());
        match digest.parse() {
            Ok(digest) => Ok(ReferrerDescriptor { media_type, digest, size }),
            Err(_) => {
                let digest: String = digest.chars().take(SHOWN).collect();
                Err(format!(
                    "the list of its referrers has '{}', which is no SHA-256 digest",
                    Printable(&digest)
                ))
            }
        }
    }
}

/// How one registry answered.
enum Listing {
    /// All that can be fetched, and what is wrong with one of the others.
    All(Vec<ReferrerDescriptor>, Option<String>),
    /// No index; nothing of a list came before.
    NoIndex,
}

impl Client {
    /// Lists the manifests that are attached to another (distribution-spec §Listing Referrers). Those with
    /// another digest than SHA-256 are reported, since they cannot be fetched.
    ///
    /// A mirror that lists nothing has no say: pull-through caches list only what was pushed to
    /// them (Harbor before August 2026), so the registry itself is asked.
    ///
    /// # Errors
    /// The registry cannot be reached, or credentials cannot be had. An answer of a registry is never an
    /// error.
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
            let answered = match self.list_referrers(&mirror, &path, digest).await {
                Ok(Listing::All(found, why)) if !found.is_empty() || why.is_some() => {
                    return Ok(listed(found, why));
                }
                Ok(Listing::All(..)) => Ok(()),
                Ok(Listing::NoIndex) => Err(None),
                Err(error) => Err(Some(error)),
            };
            mirrored = Some((mirror, answered));
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

    /// The list of one registry, without its mirrors.
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
            Ok(Listing::All(found, why)) => Ok(self::listed(found, why)),
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
        let (mut all, mut wrong, mut count) = (Vec::new(), None, 0);
        let mut next = Some(format!("{path}/referrers/{digest}"));
        for page in 0..limits.pages {
            let Some(address) = next.take() else {
                return Ok(Listing::All(all, wrong));
            };
            let what = format!("the referrers of {path}@{digest}");
            let read = self.page::<Wire>(host, &address, self.scope_to_pull(host, path), &what).await;
            let read = match read {
                // Something that answers 200 to everything: `{}`, a web page, or nothing.
                Err(Error::WebPage { .. } | Error::Unusable { .. }) if page == 0 => {
                    return Ok(Listing::NoIndex);
                }
                // An error on a later page leaves a partial list.
                Err(error @ Error::Answer(_)) if page > 0 && !error.is_retryable() => {
                    let why = format!("the next page of the list of its referrers: {error}");
                    return Ok(Listing::All(all, Some(why)));
                }
                read => read?,
            };
            let index = read.body.manifests.is_some() || read.body.schema_version == Some(2);
            if page == 0 && !index {
                return Ok(Listing::NoIndex);
            }
            let found = read.body.manifests.flatten().unwrap_or_default();
            // A page may be empty and lead to others, where a registry filters what it lists.
            next = read.next;
            if next.as_ref() == Some(&address) {
                next = None;
                wrong =
                    wrong.or(Some("a page of the list of its referrers names itself as the next".to_owned()));
            }
            count += found.len();
            for entry in found {
                match entry.read() {
                    Ok(descriptor) => all.push(descriptor),
                    Err(why) => wrong = wrong.or(Some(why)),
                }
            }
            if count > limits.referrers {
                break;
            }
        }
        if next.is_none() && count <= limits.referrers {
            return Ok(Listing::All(all, wrong));
        }
        Err(Error::unusable(
            host.as_str(),
            format!("sends a list of the referrers of {digest} that does not end"),
        ))
    }
}

fn listed(found: Vec<ReferrerDescriptor>, why: Option<String>) -> ReferrerList {
    match why {
        None => ReferrerList::Listed(found),
        Some(why) => ReferrerList::Partly { found, why },
    }
}

/// Maps an error to a list: an answer of the registry is no reason to stop.
fn outcome(error: Error) -> Result<ReferrerList, Error> {
    match &error {
        Error::Answer(answer) if matches!(answer.status, 400 | 404 | 405 | 501) => {
            Ok(ReferrerList::Unsupported)
        }
        _ if matches!(error.blame(), Blame::Refused(_) | Blame::Misbehaved | Blame::NotFollowed) => {
            Ok(ReferrerList::Unobtainable { why: bundle_oci::chain(&error) })
        }
        _ => Err(error),
    }
}
