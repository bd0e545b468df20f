//! The adapter for a registry of the distribution specification. It describes nothing, needs no preparation,
//! and lists accessories under their subject's tag.

use std::collections::BTreeSet;

use bundle_format::{Blob, Target};
use bundle_oci::{Digest, MediaType, ProjectName, Registry, RegistryPath, RepositoryName};
use bundle_registry::{BlobSource, Client, Error, FetchedManifest, Name, Uploaded};
use bytes::Bytes;
use futures_util::FutureExt;
use futures_util::future::BoxFuture;

use super::{
    Answer, Cause, ConfirmRequest, Confirmation, Destination, Finding, Found, Outlook, Preparation,
    PrepareError, PushRules, RecordedTag, Unmarked,
};
use crate::push::fallback_tags;
use crate::push::source::Copied;
use crate::{Bundle, ImportPlan, Presence, PushError, Pushed};

/// A plain registry. A path below its host is the client's own matter.
#[derive(Clone, Debug)]
pub struct PlainRegistry {
    client: Client,
    registry: Registry,
}

impl PlainRegistry {
    /// The registry at `registry`.
    pub fn new(client: Client, registry: Registry) -> Self {
        Self { client, registry }
    }
}

/// The name that a target names, or `digest` for one without a tag.
fn name_of(target: &Target, digest: Digest) -> Name {
    match &target.tag {
        Some(tag) => Name::Tag(tag.clone()),
        None => Name::Digest(digest),
    }
}

impl Destination for PlainRegistry {
    fn registry(&self) -> &Registry {
        &self.registry
    }

    fn root(&self) -> RegistryPath {
        self.client.root(&self.registry)
    }

    fn repository(&self, target: &Target) -> Result<RepositoryName, Error> {
        target.path().map_err(|_| Error::Misbehaved {
            host: self.registry.to_string(),
            what: "a target's name is too long".to_owned(),
        })
    }

    fn rules(&self) -> PushRules {
        PushRules {
            asks_by_mounting: true,
            round_trip: self.client.round_trip(&self.registry),
            ..PushRules::default()
        }
    }

    fn prepare<'a>(
        &'a self,
        _projects: BTreeSet<ProjectName>,
        _jobs: usize,
    ) -> Answer<'a, Box<dyn Preparation>> {
        async move {
            self.client.ping(&self.registry).await?;
            Ok(Box::new(NoPreparation { registry: self.clone() }) as Box<dyn Preparation>)
        }
        .boxed()
    }

    fn digest_at<'a>(&'a self, target: &'a Target, digest: Digest) -> Answer<'a, Option<Digest>> {
        async move {
            let (repository, name) = (self.repository(target)?, name_of(target, digest));
            let info = self.client.manifest_exists(&self.registry, &repository, &name).await?;
            Ok(info.map(|info| info.digest))
        }
        .boxed()
    }

    fn has_blob<'a>(&'a self, repository: &'a RepositoryName, digest: Digest) -> Answer<'a, bool> {
        self.client.has_blob(&self.registry, repository, digest).boxed()
    }

    fn put_blob<'a>(
        &'a self,
        repository: &'a RepositoryName,
        blob: Blob,
        holder: Option<&'a RepositoryName>,
        source: &'a dyn BlobSource,
    ) -> Answer<'a, Uploaded> {
        async move {
            let Blob { digest, size } = blob;
            let mut holder = holder;
            loop {
                let put = self.client.upload_blob(&self.registry, repository, digest, size, holder, source);
                let uploaded = put.await?;
                let found = uploaded == Uploaded::Found;
                if found || self.client.keeps_blob(&self.registry, repository, digest, size).await? {
                    return Ok(uploaded);
                }
                // If the mount fails, the bytes are sent.
                if uploaded != Uploaded::Mounted || holder.take().is_none() {
                    let what = format!(
                        "it says that it stored the blob {digest} in {repository}, and does not have it"
                    );
                    return Err(Error::Misbehaved { host: self.registry.to_string(), what });
                }
            }
        }
        .boxed()
    }

    fn blob(&self, repository: &RepositoryName, blob: Blob) -> Box<dyn BlobSource> {
        Box::new(Copied {
            client: self.client.clone(),
            registry: self.registry.clone(),
            holder: repository.clone(),
            blob,
        })
    }

    fn put_manifest<'a>(
        &'a self,
        repository: &'a RepositoryName,
        name: &'a Name,
        media_type: &'a MediaType,
        bytes: Bytes,
    ) -> Answer<'a, ()> {
        async move {
            self.client.push_manifest(&self.registry, repository, name, media_type, bytes).await.map(drop)
        }
        .boxed()
    }

    fn manifest<'a>(&'a self, repository: &'a RepositoryName, name: &'a Name) -> Answer<'a, FetchedManifest> {
        self.client.manifest(&self.registry, repository, name).boxed()
    }

    fn tags<'a>(&'a self, target: &'a Target) -> Answer<'a, Vec<RecordedTag>> {
        async move {
            let repository = self.repository(target)?;
            match self.client.tags(&self.registry, &repository).await {
                Ok(tags) if tags.truncated => Err(Error::Misbehaved {
                    host: self.registry.to_string(),
                    what: format!("{repository} has more tags than can be read"),
                }),
                Ok(tags) => {
                    Ok(tags.tags.into_iter().map(|tag| RecordedTag { tag, annotations: None }).collect())
                }
                Err(error) if error.status() == Some(404) => Ok(Vec::new()),
                Err(error) => Err(error),
            }
        }
        .boxed()
    }

    fn attach<'a>(&'a self, pushed: &'a Pushed, jobs: usize) -> BoxFuture<'a, Result<(), PushError>> {
        fallback_tags::list(&self.client, &self.registry, pushed.plan(), pushed.graph(), jobs).boxed()
    }

    fn explain<'a>(&'a self, _error: &'a PushError) -> BoxFuture<'a, Option<Cause>> {
        futures_util::future::ready(None).boxed()
    }
}

/// A plain registry has nothing to prepare.
#[derive(Debug)]
pub struct NoPreparation {
    registry: PlainRegistry,
}

impl Preparation for NoPreparation {
    fn find<'a>(&'a self, target: &'a Target, digest: Digest) -> Answer<'a, Found> {
        async move {
            let PlainRegistry { client, registry } = &self.registry;
            let (repository, name) = (self.registry.repository(target)?, name_of(target, digest));
            Ok(match client.manifest_info(registry, &repository, &name).await? {
                Some(info) => Found::Manifest { digest: info.digest, immutable: false },
                None => Found::Absent,
            })
        }
        .boxed()
    }

    fn presence<'a>(&'a self, _repository: &'a RepositoryName, _digest: Digest) -> Answer<'a, Presence> {
        futures_util::future::ready(Ok(Presence::Unknown)).boxed()
    }

    fn weigh(&mut self, _bundle: &Bundle, _plan: &ImportPlan) {}

    fn findings(&self) -> &[Finding] {
        &[]
    }

    fn outlook(&self) -> Option<&Outlook> {
        None
    }

    fn make(&self) -> BoxFuture<'_, Result<(), PrepareError>> {
        futures_util::future::ready(Ok(())).boxed()
    }

    fn mark(&self, _jobs: usize) -> BoxFuture<'_, Vec<Unmarked>> {
        futures_util::future::ready(Vec::new()).boxed()
    }

    fn confirm<'a>(&'a self, _request: ConfirmRequest) -> Answer<'a, Confirmation> {
        futures_util::future::ready(Ok(Confirmation::default())).boxed()
    }
}
