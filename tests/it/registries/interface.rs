//! The library's import in this process, against three destinations: a plain registry, a Harbor, and one
//! in memory that is made here. The last one shows what a third kind costs: this file, and no `match`
//! anywhere else.

use std::collections::{BTreeMap, BTreeSet, HashMap, HashSet};
use std::sync::{Arc, Mutex};

use bundle_format::{Blob, Target};
use bundle_importer::{
    Answer, Arrival, Arrived, Bundle, Cause, ConfirmRequest, Confirmation, Delivery, DeliveryError,
    DeliveryOptions, Destination, Finding, Found, ImportPlan, OnExistingTag, OnFailure, Outlook, Portion,
    Preparation, PrepareError, Presence, PushError, PushRules, Pushed, RecordedTag, Rollback, StateFile,
    Unmarked,
};
use bundle_oci::{Digest, MediaType, ProjectName, Registry, RegistryPath, RepositoryName};
use bundle_registry::{
    BlobSource, Client, CredentialStore, Error, FetchedManifest, Name, Silent, Stop, Uploaded,
};
use bundle_site::{HarborOptions, RegistryKind, connect};
use bundle_test_servers::{Check, DockerRegistry};
use bundle_trust::{Effective, StoreLocation};
use bytes::Bytes;
use futures_util::future::{BoxFuture, ready};
use futures_util::stream::BoxStream;
use futures_util::{FutureExt, StreamExt, TryStreamExt};

use crate::harbor::scene::HarborScene;
use crate::scene::Scene;

/// A destination that keeps everything in memory.
#[derive(Clone, Debug)]
struct InMemory {
    host: Registry,
    stored: Arc<Mutex<Stored>>,
}

#[derive(Debug, Default)]
struct Stored {
    blobs: HashMap<Digest, Bytes>,
    /// Which repository has which blob.
    places: HashSet<(RepositoryName, Digest)>,
    manifests: HashMap<(RepositoryName, Digest), (MediaType, Bytes)>,
    tags: BTreeMap<RepositoryName, BTreeMap<String, Digest>>,
    /// The calls, in order.
    done: Vec<&'static str>,
}

struct Again(Bytes);

impl BlobSource for Again {
    fn open(&self) -> Option<BoxStream<'static, std::io::Result<Bytes>>> {
        let bytes = self.0.clone();
        Some(futures_util::stream::once(async move { Ok(bytes) }).boxed())
    }
}

impl InMemory {
    fn new() -> Self {
        Self { host: "memory.example".parse().unwrap(), stored: Arc::default() }
    }

    fn digest(&self, repository: &RepositoryName, target: &Target, digest: Digest) -> Option<Digest> {
        let stored = self.stored.lock().unwrap();
        match &target.tag {
            Some(tag) => stored.tags.get(repository)?.get(tag.as_str()).copied(),
            None => stored.manifests.contains_key(&(repository.clone(), digest)).then_some(digest),
        }
    }
}

impl Destination for InMemory {
    fn registry(&self) -> &Registry {
        &self.host
    }

    fn root(&self) -> RegistryPath {
        self.host.clone().into()
    }

    fn repository(&self, target: &Target) -> Result<RepositoryName, Error> {
        Ok(target.path().unwrap())
    }

    fn rules(&self) -> PushRules {
        PushRules { uploads_per_project: Some(2), ..PushRules::default() }
    }

    fn prepare<'a>(&'a self, _: BTreeSet<ProjectName>, _: usize) -> Answer<'a, Box<dyn Preparation>> {
        ready(Ok(Box::new(InMemoryPreparation(self.clone())) as Box<dyn Preparation>)).boxed()
    }

    fn digest_at<'a>(&'a self, target: &'a Target, digest: Digest) -> Answer<'a, Option<Digest>> {
        ready(self.repository(target).map(|repository| self.digest(&repository, target, digest))).boxed()
    }

    fn has_blob<'a>(&'a self, repository: &'a RepositoryName, digest: Digest) -> Answer<'a, bool> {
        ready(Ok(self.stored.lock().unwrap().places.contains(&(repository.clone(), digest)))).boxed()
    }

    fn put_blob<'a>(
        &'a self,
        repository: &'a RepositoryName,
        blob: Blob,
        holder: Option<&'a RepositoryName>,
        source: &'a dyn BlobSource,
    ) -> Answer<'a, Uploaded> {
        async move {
            let held = |stored: &Stored| {
                holder.is_some_and(|holder| stored.places.contains(&(holder.clone(), blob.digest)))
            };
            if held(&self.stored.lock().unwrap()) {
                let mut stored = self.stored.lock().unwrap();
                stored.places.insert((repository.clone(), blob.digest));
                return Ok(Uploaded::Mounted);
            }
            let stream = source.open().expect("a file gives its bytes again");
            let pieces: Vec<Bytes> = stream.try_collect().await.map_err(Error::Source)?;
            let bytes = Bytes::from(pieces.concat());
            assert_eq!(Digest::of(&bytes), blob.digest);
            let mut stored = self.stored.lock().unwrap();
            stored.blobs.insert(blob.digest, bytes);
            stored.places.insert((repository.clone(), blob.digest));
            stored.done.push("blob");
            Ok(Uploaded::Sent)
        }
        .boxed()
    }

    fn blob(&self, _: &RepositoryName, blob: Blob) -> Box<dyn BlobSource> {
        Box::new(Again(self.stored.lock().unwrap().blobs.get(&blob.digest).cloned().unwrap_or_default()))
    }

    fn put_manifest<'a>(
        &'a self,
        repository: &'a RepositoryName,
        name: &'a Name,
        media_type: &'a MediaType,
        bytes: Bytes,
    ) -> Answer<'a, ()> {
        let digest = Digest::of(&bytes);
        let mut stored = self.stored.lock().unwrap();
        stored.manifests.insert((repository.clone(), digest), (media_type.clone(), bytes));
        if let Name::Tag(tag) = name {
            stored.tags.entry(repository.clone()).or_default().insert(tag.to_string(), digest);
        }
        stored.done.push(if matches!(name, Name::Tag(_)) { "tag" } else { "manifest" });
        ready(Ok(())).boxed()
    }

    fn manifest<'a>(&'a self, repository: &'a RepositoryName, name: &'a Name) -> Answer<'a, FetchedManifest> {
        let stored = self.stored.lock().unwrap();
        let digest = match name {
            Name::Digest(digest) => *digest,
            Name::Tag(tag) => stored.tags[repository][tag.as_str()],
        };
        let (media_type, bytes) = stored.manifests[&(repository.clone(), digest)].clone();
        ready(Ok(FetchedManifest { bytes, digest, media_type })).boxed()
    }

    fn tags<'a>(&'a self, target: &'a Target) -> Answer<'a, Vec<RecordedTag>> {
        let stored = self.stored.lock().unwrap();
        let tags = stored.tags.get(&target.path().unwrap()).into_iter().flatten();
        let tags = tags.map(|(tag, _)| RecordedTag { tag: tag.parse().unwrap(), annotations: None });
        ready(Ok(tags.collect())).boxed()
    }

    fn attach<'a>(&'a self, _: &'a Pushed, _: usize) -> BoxFuture<'a, Result<(), PushError>> {
        self.stored.lock().unwrap().done.push("attach");
        ready(Ok(())).boxed()
    }

    fn explain<'a>(&'a self, _: &'a PushError) -> BoxFuture<'a, Option<Cause>> {
        ready(None).boxed()
    }
}

#[derive(Debug)]
struct InMemoryPreparation(InMemory);

impl Preparation for InMemoryPreparation {
    fn find<'a>(&'a self, target: &'a Target, digest: Digest) -> Answer<'a, Found> {
        let found = self.0.digest(&target.path().unwrap(), target, digest);
        let found = found.map_or(Found::Absent, |digest| Found::Manifest { digest, immutable: true });
        ready(Ok(found)).boxed()
    }

    fn presence<'a>(&'a self, repository: &'a RepositoryName, digest: Digest) -> Answer<'a, Presence> {
        async move {
            Ok(match self.0.has_blob(repository, digest).await? {
                true => Presence::There,
                false => Presence::Absent,
            })
        }
        .boxed()
    }

    fn weigh(&mut self, _: &Bundle, _: &ImportPlan) {}

    fn findings(&self) -> &[Finding] {
        &[]
    }

    fn outlook(&self) -> Option<&Outlook> {
        None
    }

    fn make(&self) -> BoxFuture<'_, Result<(), PrepareError>> {
        self.0.stored.lock().unwrap().done.push("make");
        ready(Ok(())).boxed()
    }

    fn mark(&self, _: usize) -> BoxFuture<'_, Vec<Unmarked>> {
        ready(Vec::new()).boxed()
    }

    fn confirm<'a>(&'a self, _: ConfirmRequest) -> Answer<'a, Confirmation> {
        ready(Ok(Confirmation::default())).boxed()
    }
}

fn options(scene: &Scene, on_existing: OnExistingTag) -> DeliveryOptions {
    DeliveryOptions {
        on_existing,
        only: None,
        on_failure: OnFailure::Stop,
        rollback: Rollback::Refuse,
        allow_future: false,
        portion: Portion::default(),
        receipt: Some("plant".parse().unwrap()),
        prove: false,
        site_key: None,
        state: scene.path("state.json"),
        jobs: 4,
        adapts_jobs: false,
        stop: Stop::default(),
        limits: bundle_importer::Limits::DEFAULT,
    }
}

/// Imports `b.tar` in this process.
fn import(
    scene: &Scene,
    destination: Arc<dyn Destination>,
    on_existing: OnExistingTag,
) -> Result<Box<Arrived>, DeliveryError> {
    let policy = Effective::load(Some(&scene.path("key.pub")), &StoreLocation::Waived).unwrap();
    let bundle = Bundle::open(&scene.path("b.tar"), &policy, &bundle_format::Limits::V1).unwrap();
    let options = options(scene, on_existing);
    tokio::runtime::Runtime::new().unwrap().block_on(async {
        let state = StateFile::open(&options.state, || ()).unwrap();
        let delivery = Delivery::plan(bundle, destination, state, &options).await?;
        match delivery.carry_out(&options, Arc::new(Silent)).await? {
            Arrival::Whole(arrived) => Ok(arrived),
            Arrival::Part(remaining) => panic!("{remaining:?} is still to come"),
        }
    })
}

fn at(host: &str, kind: RegistryKind, credentials: CredentialStore) -> Arc<dyn Destination> {
    let client = Client::builder().credentials(credentials).build().unwrap();
    let registry: Registry = host.parse().unwrap();
    let connected = connect(&client, &registry, None, kind, HarborOptions::default(), None);
    tokio::runtime::Runtime::new().unwrap().block_on(connected).unwrap()
}

#[test]
fn a_third_destination_is_one_file_and_keeps_the_order_of_an_import() {
    let scene = Scene::with_images();
    scene.create("b.tar");
    let memory = InMemory::new();
    let arrived = import(&scene, Arc::new(memory.clone()), OnExistingTag::Error).unwrap();
    assert!(arrived.report.pushed >= 4, "{:?}", arrived.report);
    assert!(arrived.receipt.unwrap().is_whole());
    {
        let stored = memory.stored.lock().unwrap();
        let at = |what: &str, last: bool| {
            let mut positions = stored.done.iter().enumerate().filter(|(_, done)| **done == what);
            if last { positions.next_back() } else { positions.next() }.map(|(at, _)| at).unwrap()
        };
        assert_eq!(at("make", false), 0);
        // The record of accepted bundles is a tag, and the first.
        assert!(at("manifest", true) < at("tag", false), "{:?}", stored.done);
        assert!(at("tag", true) < at("attach", false), "{:?}", stored.done);
        for ((repository, _), (_, bytes)) in &stored.manifests {
            let manifest: serde_json::Value = serde_json::from_slice(bytes).unwrap();
            for blob in manifest["layers"].as_array().into_iter().flatten() {
                let digest: Digest = blob["digest"].as_str().unwrap().parse().unwrap();
                assert!(stored.places.contains(&(repository.clone(), digest)), "{repository} lacks {digest}");
            }
        }
    }
    // Again: nothing is sent.
    let again = import(&scene, Arc::new(memory.clone()), OnExistingTag::Error).unwrap();
    assert_eq!((again.report.pushed, again.report.sent), (0, 0));
    // Its tags are immutable: the one table says so, and nothing is written.
    let writes = memory.stored.lock().unwrap().done.len();
    let (repository, tag) = {
        let mut stored = memory.stored.lock().unwrap();
        let (repository, tags) =
            stored.tags.iter_mut().find(|(name, _)| !name.as_str().contains("bundle-state")).unwrap();
        let (tag, digest) = tags.iter_mut().next().unwrap();
        *digest = Digest::of(b"another");
        (repository.clone(), tag.clone())
    };
    for on_existing in [OnExistingTag::Error, OnExistingTag::Overwrite] {
        let Err(DeliveryError::Findings { findings, .. }) =
            import(&scene, Arc::new(memory.clone()), on_existing)
        else {
            panic!("{repository}:{tag} was moved")
        };
        assert!(matches!(findings[..], [Finding::Immutable { .. }]), "{findings:?}");
    }
    assert_eq!(memory.stored.lock().unwrap().done.len(), writes);
}

#[test]
fn a_delivery_that_is_asked_to_end_ends_there_and_sets_no_tag() {
    let scene = Scene::with_images();
    scene.create("b.tar");
    let target = DockerRegistry::start().unwrap();
    let plain = at(target.host(), RegistryKind::Plain, CredentialStore::default());
    let policy = Effective::load(Some(&scene.path("key.pub")), &StoreLocation::Waived).unwrap();
    let bundle = Bundle::open(&scene.path("b.tar"), &policy, &bundle_format::Limits::V1).unwrap();
    let options = options(&scene, OnExistingTag::Error);
    let ended = tokio::runtime::Runtime::new().unwrap().block_on(async {
        let state = StateFile::open(&options.state, || ()).unwrap();
        let delivery = Delivery::plan(bundle, plain, state, &options).await.unwrap();
        options.stop.now();
        delivery.carry_out(&options, Arc::new(Silent)).await
    });
    assert!(matches!(ended, Err(DeliveryError::Interrupted)), "{ended:?}");
    assert_eq!(target.client().contents().unwrap().len(), 0);
}

#[test]
fn the_library_imports_into_a_plain_registry_and_a_harbor_in_process() {
    let scene = Scene::with_images();
    scene.create("b.tar");
    let target = DockerRegistry::start().unwrap();
    let plain = at(target.host(), RegistryKind::Auto, CredentialStore::default());
    let arrived = import(&scene, plain, OnExistingTag::Error).unwrap();
    assert!(arrived.scans.is_none());
    assert_eq!(target.client().check_complete(Check::Hash).unwrap(), []);

    let it = HarborScene::start();
    let admin = it.harbor.admin_credentials();
    let registry: Registry = it.harbor.host().parse().unwrap();
    let login = CredentialStore::default().with_login(registry, admin.name.clone(), admin.secret.clone());
    let harbor = at(it.harbor.host(), RegistryKind::Auto, login);
    let arrived = import(&it.scene, harbor, OnExistingTag::Error).unwrap();
    let receipt = arrived.receipt.unwrap();
    assert!(!receipt.policies.is_empty() && arrived.scans.is_some());
    assert!(receipt.artifacts.iter().all(|artifact| artifact.outcome.is_in_place()));
}
