//! The adapter for Harbor: a registry whose look-ups go through its own API, for a look at a manifest
//! itself may be refused or count as a pull.

use std::collections::BTreeSet;

use bundle_format::{Blob, Target};
use bundle_harbor::Harbor;
use bundle_importer::{
    Answer, Cause, Destination, PlainRegistry, Preparation, PushError, PushRules, Pushed, RecordedTag,
};
use bundle_oci::{Digest, MediaType, ProjectName, Registry, RegistryPath, RepositoryName};
use bundle_registry::{BlobSource, Error, FetchedManifest, Name, Uploaded};
use bytes::Bytes;
use futures_util::FutureExt;
use futures_util::future::BoxFuture;

use crate::preparation::HarborPreparation;
use crate::{HarborSettings, Limits, LiveState, QuotaCheck, ScanWait, accessory, cause};

/// How an import into a Harbor is done.
#[derive(Clone, Debug, Default)]
pub struct HarborOptions {
    /// How its projects are run.
    pub settings: HarborSettings,
    /// Whether a bundle that may not fit into its quotas is tried.
    pub quota: QuotaCheck,
    /// The wait for its scans; none if it is not requested.
    pub scans: Option<ScanWait>,
    /// How it is asked; [`Limits::DEFAULT`] unless there is a reason.
    pub limits: Limits,
}

/// A Harbor as a destination.
#[derive(Clone, Debug)]
pub struct HarborSite {
    harbor: Harbor,
    /// Its registry, as any other has one.
    registry: PlainRegistry,
    options: HarborOptions,
}

impl HarborSite {
    /// The destination of a Harbor.
    pub fn new(harbor: Harbor, options: HarborOptions) -> Self {
        let registry = PlainRegistry::new(harbor.client().clone(), harbor.registry().clone());
        Self { harbor, registry, options }
    }
}

/// The name that a target has, or `digest` for one without a tag.
pub(crate) fn name_of(target: &Target, digest: Digest) -> Name {
    match &target.tag {
        Some(tag) => Name::Tag(tag.clone()),
        None => Name::Digest(digest),
    }
}

/// The project of a whole repository name.
pub(crate) fn project_of(repository: &RepositoryName) -> &str {
    let whole = repository.as_str();
    whole.split_once('/').map_or(whole, |(project, _)| project)
}

impl Destination for HarborSite {
    fn registry(&self) -> &Registry {
        self.harbor.registry()
    }

    fn root(&self) -> RegistryPath {
        self.registry.root()
    }

    fn repository(&self, target: &Target) -> Result<RepositoryName, Error> {
        self.registry.repository(target)
    }

    fn rules(&self) -> PushRules {
        let limits = &self.options.limits;
        PushRules {
            uploads_per_project: Some(limits.uploads_per_project),
            recheck_after: Some(limits.recheck_after),
            // Harbor says NOT_FOUND while it removes the manifest itself.
            not_found_is_lost_content: true,
            // A lookup is what keeps a blob from its garbage collection (head_blob.go).
            asks_by_mounting: false,
            round_trip: self.harbor.client().round_trip(self.harbor.registry()),
        }
    }

    fn prepare<'a>(
        &'a self,
        projects: BTreeSet<ProjectName>,
        jobs: usize,
    ) -> Answer<'a, Box<dyn Preparation>> {
        async move {
            let live = LiveState::of(&self.harbor, projects, jobs).await?;
            let preparation = HarborPreparation::new(self.harbor.clone(), self.options.clone(), live);
            Ok(Box::new(preparation) as Box<dyn Preparation>)
        }
        .boxed()
    }

    fn digest_at<'a>(&'a self, target: &'a Target, digest: Digest) -> Answer<'a, Option<Digest>> {
        async move {
            let name = name_of(target, digest);
            let found = self.harbor.artifact(&target.project, &target.repository, &name).await?;
            Ok(found.map(|artifact| artifact.digest))
        }
        .boxed()
    }

    fn has_blob<'a>(&'a self, repository: &'a RepositoryName, digest: Digest) -> Answer<'a, bool> {
        self.registry.has_blob(repository, digest)
    }

    fn put_blob<'a>(
        &'a self,
        repository: &'a RepositoryName,
        blob: Blob,
        holder: Option<&'a RepositoryName>,
        source: &'a dyn BlobSource,
    ) -> Answer<'a, Uploaded> {
        self.registry.put_blob(repository, blob, holder, source)
    }

    fn blob(&self, repository: &RepositoryName, blob: Blob) -> Box<dyn BlobSource> {
        self.registry.blob(repository, blob)
    }

    fn put_manifest<'a>(
        &'a self,
        repository: &'a RepositoryName,
        name: &'a Name,
        media_type: &'a MediaType,
        bytes: Bytes,
    ) -> Answer<'a, ()> {
        self.registry.put_manifest(repository, name, media_type, bytes)
    }

    fn manifest<'a>(&'a self, repository: &'a RepositoryName, name: &'a Name) -> Answer<'a, FetchedManifest> {
        self.registry.manifest(repository, name)
    }

    /// Harbor's registry would say of a project that does not exist yet what it says to strangers.
    fn tags<'a>(&'a self, target: &'a Target) -> Answer<'a, Vec<RecordedTag>> {
        async move {
            if self.harbor.project_exists(&target.project).await? == Some(false) {
                return Ok(Vec::new());
            }
            let artifacts = self.harbor.artifacts(&target.project, &target.repository).await?;
            let tags = artifacts.into_iter().flat_map(|artifact| {
                let annotations = artifact.annotations;
                artifact
                    .tags
                    .into_iter()
                    .map(move |tag| RecordedTag { tag: tag.name, annotations: annotations.clone() })
            });
            Ok(tags.collect())
        }
        .boxed()
    }

    fn attach<'a>(&'a self, pushed: &'a Pushed, jobs: usize) -> BoxFuture<'a, Result<(), PushError>> {
        accessory::attach(&self.harbor, pushed, jobs).boxed()
    }

    fn explain<'a>(&'a self, error: &'a PushError) -> BoxFuture<'a, Option<Cause>> {
        cause::find(&self.harbor, error).boxed()
    }
}
