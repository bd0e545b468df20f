//! The interface of a destination, in the order of an import: look without harm, prepare, put blobs
//! and manifests, set tags, attach, confirm. A new kind of destination is one implementation of
//! [`Destination`] and one of [`Preparation`]; nothing else decides by kind.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt;
use std::time::Duration;

use bundle_format::{Blob, ProjectPolicy, Target};
use bundle_oci::{Digest, MediaType, ProjectName, Registry, RegistryPath, RepositoryName, Tag};
use bundle_registry::{BlobSource, Error, FetchedManifest, Name, Uploaded};
use bytes::Bytes;
use futures_util::future::BoxFuture;

use crate::{
    Bundle, Cause, Finding, ImportPlan, Outlook, PrepareError, Presence, PushError, Pushed, ScanReport,
    Unmarked,
};

/// An answer of a destination, as a future.
pub type Answer<'a, T> = BoxFuture<'a, Result<T, Error>>;

/// Where a bundle goes. All methods that look change nothing and do not count as pulls where the
/// destination counts pulls.
pub trait Destination: fmt::Debug + Send + Sync {
    /// The host.
    fn registry(&self) -> &Registry;

    /// The host with the path below which all repositories are, as receipts and the state file name it.
    fn root(&self) -> RegistryPath;

    /// The whole name of a target's repository there.
    ///
    /// # Errors
    /// The name is too long.
    fn repository(&self, target: &Target) -> Result<RepositoryName, Error>;

    /// How it wants to be written to.
    fn rules(&self) -> PushRules;

    /// Looks at what an import into these projects needs there, before artifacts are looked for.
    fn prepare<'a>(
        &'a self,
        projects: BTreeSet<ProjectName>,
        jobs: usize,
    ) -> Answer<'a, Box<dyn Preparation>>;

    /// The digest that a target has now: that of its tag, or `digest` itself if the target has no tag
    /// and the digest exists. `None` if there is nothing.
    fn digest_at<'a>(&'a self, target: &'a Target, digest: Digest) -> Answer<'a, Option<Digest>>;

    /// Whether a repository has a blob.
    fn has_blob<'a>(&'a self, repository: &'a RepositoryName, digest: Digest) -> Answer<'a, bool>;

    /// Puts a blob into a repository: from `holder`, another repository there, if that works, or else
    /// from `source`.
    fn put_blob<'a>(
        &'a self,
        repository: &'a RepositoryName,
        blob: Blob,
        holder: Option<&'a RepositoryName>,
        source: &'a dyn BlobSource,
    ) -> Answer<'a, Uploaded>;

    /// The bytes of a blob that a repository has.
    fn blob(&self, repository: &RepositoryName, blob: Blob) -> Box<dyn BlobSource>;

    /// Puts a manifest into a repository under a digest or a tag.
    fn put_manifest<'a>(
        &'a self,
        repository: &'a RepositoryName,
        name: &'a Name,
        media_type: &'a MediaType,
        bytes: Bytes,
    ) -> Answer<'a, ()>;

    /// Reads a manifest.
    fn manifest<'a>(&'a self, repository: &'a RepositoryName, name: &'a Name) -> Answer<'a, FetchedManifest>;

    /// The tags of a target's repository; none if there is no such repository.
    fn tags<'a>(&'a self, target: &'a Target) -> Answer<'a, Vec<RecordedTag>>;

    /// Attaches what belongs to something, such as signatures, to its subject. All tags are set.
    fn attach<'a>(&'a self, pushed: &'a Pushed, jobs: usize) -> BoxFuture<'a, Result<(), PushError>>;

    /// The cause of an error in the middle of an import, if the destination can be asked.
    fn explain<'a>(&'a self, error: &'a PushError) -> BoxFuture<'a, Option<Cause>>;
}

/// The checks and preparations of one destination for one bundle, before anything is pushed.
pub trait Preparation: fmt::Debug + Send + Sync {
    /// Looks a target up, for the decision about it.
    fn find<'a>(&'a self, target: &'a Target, digest: Digest) -> Answer<'a, Found>;

    /// Whether a repository has a blob, if the destination is to be asked before the import begins.
    fn presence<'a>(&'a self, repository: &'a RepositoryName, digest: Digest) -> Answer<'a, Presence>;

    /// Weighs what the import will add against what the destination may hold. Called once, when the
    /// steps and the blobs' presence are known.
    fn weigh(&mut self, bundle: &Bundle, plan: &ImportPlan);

    /// The preflight checks that failed: with one of these, nothing is written.
    fn findings(&self) -> &[Finding];

    /// The destination's description for users; `None` if it has no more than any registry.
    fn outlook(&self) -> Option<&Outlook>;

    /// Prepares the destination, for example makes projects.
    fn make(&self) -> BoxFuture<'_, Result<(), PrepareError>>;

    /// Marks the artifacts that are in place with the bundle that brought them, where the destination shows such marks
    /// to people. Gives what is not marked, which is no failure of the import.
    fn mark(&self, jobs: usize) -> BoxFuture<'_, Vec<Unmarked>>;

    /// Looks at what the destination makes of the artifacts that are in place.
    fn confirm<'a>(&'a self, request: ConfirmRequest) -> Answer<'a, Confirmation>;
}

/// The content of a target.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Found {
    /// Nothing.
    Absent,
    /// Unknown: the destination does not answer, or the account may not read it; the push shows it.
    Unknown,
    /// A manifest.
    Manifest {
        /// Its digest.
        digest: Digest,
        /// Whether its tag must not move.
        immutable: bool,
    },
}

/// How a destination wants to be written to.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Default)]
pub struct PushRules {
    /// The most uploads into one project at a time; `None` for as many as there are jobs.
    pub uploads_per_project: Option<usize>,
    /// The time after which a blob is looked for again before a manifest names it; `None` if no
    /// garbage collection runs beside an import.
    pub recheck_after: Option<Duration>,
    /// Whether HTTP 404 for a manifest that is pushed means that content of it was collected.
    pub not_found_is_lost_content: bool,
    /// Whether a blob is not looked for before its upload begins: the upload asks to mount it from where it is
    /// thought to be, from its own repository too, and that finds it in the same round trip.
    pub asks_by_mounting: bool,
    /// How long an answer took at least so far; `None` if nothing was asked.
    pub round_trip: Option<Duration>,
}

/// A tag of the record of accepted bundles.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RecordedTag {
    /// The tag.
    pub tag: Tag,
    /// The annotations of its manifest, where these are known without reading it.
    pub annotations: Option<BTreeMap<String, String>>,
}

/// The request of [`Preparation::confirm`].
#[derive(Clone, Copy, Debug)]
pub struct ConfirmRequest {
    /// Whether a receipt is made, which names policies and scans as far as they are known.
    pub receipt: bool,
    /// How many requests are made at once.
    pub jobs: usize,
}

/// The destination's confirmation of a delivery.
#[derive(Clone, Debug, Default)]
pub struct Confirmation {
    /// How its projects are run.
    pub policies: BTreeMap<ProjectName, ProjectPolicy>,
    /// The scanners' results, if they were requested.
    pub scans: Option<ScanReport>,
}

/// The first component of a repository's name: its project.
pub(crate) fn project_of(repository: &RepositoryName) -> &str {
    let whole = repository.as_str();
    whole.split_once('/').map_or(whole, |(project, _)| project)
}
