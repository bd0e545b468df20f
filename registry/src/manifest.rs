//! Manifests: resolving a tag to a digest, fetching and pushing. Takes repository and name, gives
//! bytes whose digest was checked.

use std::fmt;

use bundle_oci::{Digest, Manifest, ManifestError, MediaType, Reference, Registry, RepositoryName, Tag};
use bytes::Bytes;
use reqwest::Method;

use crate::answer::is_web_page;
use crate::retry::Backoff;
use crate::routes::By;
use crate::token::Scope;
use crate::transport::{Received, announced, content_type};
use crate::{Client, Error};

/// The name of a manifest in a request.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Name {
    /// A tag, which may move.
    Tag(Tag),
    /// A digest, which may not.
    Digest(Digest),
}

impl Name {
    /// The name in a reference: its digest, or else its tag.
    pub fn of(reference: &Reference) -> Self {
        match (reference.digest(), reference.tag()) {
            (Some(digest), _) => Self::Digest(digest),
            (None, Some(tag)) => Self::Tag(tag.clone()),
            (None, None) => Self::Tag(Tag::latest()),
        }
    }
}

impl fmt::Display for Name {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Tag(tag) => write!(f, ":{tag}"),
            Self::Digest(digest) => write!(f, "@{digest}"),
        }
    }
}

impl Name {
    fn by(&self) -> By {
        match self {
            Self::Tag(_) => By::Tag,
            Self::Digest(_) => By::Digest,
        }
    }

    fn path(&self, repository: &RepositoryName) -> String {
        match self {
            Self::Tag(tag) => format!("{repository}/manifests/{tag}"),
            Self::Digest(digest) => format!("{repository}/manifests/{digest}"),
        }
    }
}

/// A registry's answer about a manifest, without its content.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ManifestInfo {
    /// The manifest's digest.
    pub digest: Digest,
    /// The manifest's type, if the registry says one of the four.
    pub media_type: Option<MediaType>,
    /// The manifest's size in bytes, if the registry says it.
    pub size: Option<u64>,
}

/// A manifest's bytes, with their computed digest.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct FetchedManifest {
    /// The bytes as the registry has them.
    pub bytes: Bytes,
    /// Their digest.
    pub digest: Digest,
    /// Their type.
    pub media_type: MediaType,
}

/// The result of pushing a manifest.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Pushed {
    /// Whether the registry keeps the list of referrers itself (distribution-spec §Pushing
    /// Manifests with Subject).
    pub subject_recognised: bool,
}

/// The four types that are carried, and schema 1, which is asked for only to be told apart.
const ACCEPT: &str = "application/vnd.oci.image.index.v1+json, application/vnd.oci.image.manifest.v1+json, \
    application/vnd.docker.distribution.manifest.list.v2+json, \
    application/vnd.docker.distribution.manifest.v2+json, \
    application/vnd.docker.distribution.manifest.v1+prettyjws;q=0.1";

impl Client {
    /// Asks for what a reference means now, without fetching it if the registry says enough.
    ///
    /// # Errors
    /// Any [`Error`]; HTTP 404 if there is no such manifest.
    pub async fn resolve(&self, reference: &Reference) -> Result<ManifestInfo, Error> {
        let (registry, repository) = (reference.registry(), reference.repository());
        let name = Name::of(reference);
        let error = match self.look_up(registry, repository, &name).await {
            Ok(Some(info)) if info.media_type.is_some() => return Ok(info),
            Ok(_) => None,
            // Some registries and proxies know HEAD badly; GET has the last word.
            Err(error) if matches!(error.status(), Some(400 | 405 | 501)) => Some(error),
            Err(error) => return Err(error),
        };
        let fetched =
            self.manifest(registry, repository, &name).await.map_err(|other| error.unwrap_or(other))?;
        Ok(ManifestInfo {
            digest: fetched.digest,
            media_type: Some(fetched.media_type),
            size: Some(fetched.bytes.len() as u64),
        })
    }

    /// Asks what a registry has under a name; `None` if there is nothing.
    ///
    /// # Errors
    /// Any [`Error`].
    pub async fn manifest_exists(
        &self,
        registry: &Registry,
        repository: &RepositoryName,
        name: &Name,
    ) -> Result<Option<ManifestInfo>, Error> {
        let reference = match name {
            Name::Tag(tag) => Reference::tagged(registry.clone(), repository.clone(), tag.clone()),
            Name::Digest(digest) => Reference::pinned(registry.clone(), repository.clone(), *digest),
        };
        match self.resolve(&reference).await {
            Ok(info) => Ok(Some(info)),
            Err(error) => self.absent(registry, repository, error),
        }
    }

    /// Asks for a manifest's digest only. Rate limits count what is sent, not what is asked for
    /// like this.
    ///
    /// # Errors
    /// Any [`Error`]. `Ok(None)` if there is no such manifest, or the registry does not say its
    /// digest.
    pub async fn manifest_info(
        &self,
        registry: &Registry,
        repository: &RepositoryName,
        name: &Name,
    ) -> Result<Option<ManifestInfo>, Error> {
        match self.look_up(registry, repository, name).await {
            Err(error) => self.absent(registry, repository, error),
            found => found,
        }
    }

    /// Nothing, if that is what an error of a lookup comes down to.
    pub(crate) fn absent<T>(
        &self,
        registry: &Registry,
        repository: &RepositoryName,
        error: Error,
    ) -> Result<Option<T>, Error> {
        let path = self.path_at(registry, repository)?;
        let absent = error.status() == Some(404) || self.is_unknown(registry, &path, &error);
        if absent { Ok(None) } else { Err(error) }
    }

    /// `None` if the registry does not say the digest.
    async fn look_up(
        &self,
        registry: &Registry,
        repository: &RepositoryName,
        name: &Name,
    ) -> Result<Option<ManifestInfo>, Error> {
        self.at_places(registry, repository, name.by(), |host, path| async move {
            let doing = format!("look up {path}{name}");
            let scope = self.scope_to_pull(&host, &path);
            let request = self.request(Method::HEAD, &host, &name.path(&path), scope, doing.clone());
            let request = request.header("Accept", ACCEPT).following();
            let Received { response, sender, .. } = self.expect(request, &[200]).await?;
            self.note_rate_limit(&host, &response);
            let announced = announced(&response);
            if is_web_page(content_type(&response).as_deref(), b"") {
                return Err(Error::WebPage { host: sender, doing, title: None });
            }
            let digest = match (name, announced) {
                (Name::Digest(asked), Some(found)) if *asked != found => {
                    return Err(Error::WrongContent { host: sender, expected: *asked, found });
                }
                (Name::Digest(asked), _) => Some(*asked),
                (Name::Tag(_), announced) => announced,
            };
            let header = |name| response.headers().get(name).and_then(|value| value.to_str().ok());
            let media_type: Option<MediaType> = header("Content-Type").and_then(|text| text.parse().ok());
            let media_type = media_type.filter(|kind| kind.is_index() || kind.is_image_manifest());
            let size = header("Content-Length").and_then(|text| text.parse().ok());
            Ok(digest.map(|digest| ManifestInfo { digest, media_type, size }))
        })
        .await
    }

    /// Fetches a manifest.
    ///
    /// # Errors
    /// Any [`Error`]; [`Error::WrongContent`] for bytes of another digest than asked for, or than the
    /// registry names; [`Error::Manifest`] for other types than the four.
    pub async fn manifest(
        &self,
        registry: &Registry,
        repository: &RepositoryName,
        name: &Name,
    ) -> Result<FetchedManifest, Error> {
        self.manifest_within(registry, repository, name, Manifest::LARGEST).await
    }

    /// As [`Client::manifest`], of at most so many bytes.
    ///
    /// # Errors
    /// Any of those; a longer one counts as misbehaviour.
    pub async fn manifest_within(
        &self,
        registry: &Registry,
        repository: &RepositoryName,
        name: &Name,
        largest: usize,
    ) -> Result<FetchedManifest, Error> {
        if self.inner.cache.is_some()
            && let Some(known) = self.kept_manifest(registry, repository, name, largest).await
        {
            return Ok(known);
        }
        let fetched = self.fetch_manifest(registry, repository, name, largest).await?;
        // One whose type only the registry says could not be read without it.
        if Manifest::media_type(&fetched.bytes, None).is_ok_and(|kind| kind == fetched.media_type) {
            self.keep(fetched.digest, &fetched.bytes);
        }
        Ok(fetched)
    }

    /// The manifest, if it was kept in an earlier run. The registry resolves a tag to its digest.
    async fn kept_manifest(
        &self,
        registry: &Registry,
        repository: &RepositoryName,
        name: &Name,
        largest: usize,
    ) -> Option<FetchedManifest> {
        let digest = match name {
            Name::Digest(digest) => *digest,
            // If the look-up fails, GET decides.
            Name::Tag(_) => self.look_up(registry, repository, name).await.ok()??.digest,
        };
        let bytes = self.kept(digest, largest as u64)?;
        let media_type = Manifest::media_type(&bytes, None).ok()?;
        Some(FetchedManifest { bytes, digest, media_type })
    }

    async fn fetch_manifest(
        &self,
        registry: &Registry,
        repository: &RepositoryName,
        name: &Name,
        largest: usize,
    ) -> Result<FetchedManifest, Error> {
        self.at_places(registry, repository, name.by(), |host, path| async move {
            let doing = format!("send {path}{name}");
            let scope = self.scope_to_pull(&host, &path);
            let request = self.request(Method::GET, &host, &name.path(&path), scope, doing.clone());
            let request = request.header("Accept", ACCEPT).following();
            let Received { response, sender, .. } = self.expect(request, &[200]).await?;
            self.note_rate_limit(&host, &response);
            let announced = announced(&response);
            let content_type = content_type(&response);
            // Without the room to grow that it arrived in: manifests are kept.
            let bytes = Bytes::copy_from_slice(&self.body(&sender, response, largest).await?);
            let digest = Digest::of(&bytes);
            if is_web_page(content_type.as_deref(), &bytes) {
                return Err(Error::WebPage { host: sender, doing, title: self.masked_title(&bytes) });
            }
            let unusable =
                |source| Error::Manifest { host: sender.clone(), what: format!("{path}{name}"), source };
            let media_type = Manifest::media_type(&bytes, content_type.as_deref());
            // Before the digest, because that of schema 1 is not of its bytes.
            if let Err(source @ ManifestError::Schema1) = media_type {
                return Err(unusable(source));
            }
            let asked = match name {
                Name::Digest(digest) => Some(*digest),
                Name::Tag(_) => None,
            };
            for expected in [asked, announced].into_iter().flatten() {
                if expected != digest {
                    return Err(Error::WrongContent { host: sender, expected, found: digest });
                }
            }
            Ok(FetchedManifest { bytes, digest, media_type: media_type.map_err(unusable)? })
        })
        .await
    }

    /// Pushes a manifest as it is. The blobs and manifests that it names must be there already.
    ///
    /// # Errors
    /// Any [`Error`]; an answer with another digest counts as misbehaviour.
    pub async fn push_manifest(
        &self,
        registry: &Registry,
        repository: &RepositoryName,
        name: &Name,
        media_type: &MediaType,
        bytes: Bytes,
    ) -> Result<Pushed, Error> {
        let mut backoff = Backoff::new(&self.inner.limits);
        loop {
            match self.push_manifest_once(registry, repository, name, media_type, bytes.clone()).await {
                // Distribution reads a link that another client is just writing as one to nothing, and
                // says that the digest is wrong. The digest is right: it was made of these bytes.
                Err(error) if error.is_wrong_digest() => {
                    self.wait_anyway(&mut backoff, registry, error).await?
                }
                pushed => return pushed,
            }
        }
    }

    async fn push_manifest_once(
        &self,
        registry: &Registry,
        repository: &RepositoryName,
        name: &Name,
        media_type: &MediaType,
        bytes: Bytes,
    ) -> Result<Pushed, Error> {
        let digest = Digest::of(&bytes);
        let path = self.path_at(registry, repository)?;
        let repository = &path;
        self.retrying(registry, Backoff::new(&self.inner.limits), || {
            let bytes = bytes.clone();
            async move {
                let doing = format!("store the manifest {repository}{name}");
                let request = self.request(
                    Method::PUT,
                    registry,
                    &name.path(repository),
                    Scope::push(repository),
                    doing,
                );
                let request = request.header("Content-Type", media_type.as_str()).body(bytes);
                let Received { response, .. } = self.expect(request, &[201, 202, 200]).await?;
                if let Some(found) = announced(&response).filter(|found| *found != digest) {
                    return Err(Error::WrongContent { host: registry.to_string(), expected: digest, found });
                }
                self.touched(registry, repository);
                Ok(Pushed { subject_recognised: response.headers().contains_key("OCI-Subject") })
            }
        })
        .await
    }
}
