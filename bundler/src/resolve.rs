//! From references to digests: each request is looked up once, with every manifest that belongs to it, its
//! platforms are chosen, and what is attached to it is found. Takes requests and what a lock says of them;
//! gives [`Resolved`], or why each image that failed did.
//!
//! - What a lock says is kept to; an image that it does not know is resolved, or refused if the lock is
//!   demanded.
//! - Of an index, the manifests for the platforms that are wanted make a new index, which says all else that
//!   the first one said. A reference with a digest, and an index that is signed where that is the policy,
//!   stay whole.
//! - A bundle has one digest of each source.

use std::collections::{BTreeMap, HashMap, HashSet};
use std::sync::Mutex;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use bundle_format::{Artifact, Kind, Target, reason};
use bundle_oci::{
    Descriptor, Digest, Manifest, ManifestError, Platform, Reference, Registry, RepositoryName, Tag,
};
use bundle_registry::{Client, Error, FetchedManifest, Name, Progress};
use bytes::Bytes;
use futures_util::{StreamExt, TryStreamExt};
use serde::Deserialize;
use tokio::sync::Semaphore;

use crate::choose::missing;
use crate::foreign::ForeignCarrier;
use crate::kind::kind_of;
use crate::policy::{ForeignLayers, MissingPlatforms, Referrers, SignedIndexes};
use crate::referrer::{Anew, FoundReferrer, TagCache, UnobtainableReferrer};
use crate::request::places;
use crate::store::Store;
use crate::{ImagePolicy, Limits, Notice, Platforms, Reason, ReferrerOutcome, Request};

/// How references are resolved.
#[derive(Clone, Copy, Debug)]
pub struct ResolveOptions {
    /// What a locked digest that is gone means.
    pub pins: Pins,
    /// How many images are looked at at once.
    pub jobs: usize,
    /// How long what a registry said of referrers counts at most, where the client keeps it across runs; zero to
    /// ask each time.
    pub referrers_max_age: Duration,
}

/// What becomes of a reference that the lock does not know, or whose locked digest is gone.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Pins {
    /// It is resolved, and people are told.
    Prefer,
    /// It is an error.
    Demand,
}

/// References resolved to digests, with all their manifests.
#[derive(Debug, Default)]
pub struct Resolved {
    /// What will be delivered.
    pub artifacts: Vec<Artifact>,
    /// The platforms that were chosen for each target, for the lock.
    pub chosen: HashMap<Target, Platforms>,
    /// What was asked for at each target, for the lock.
    pub asked: HashMap<Target, Reference>,
    /// The bytes of every manifest, and of configs that were looked into.
    pub contents: HashMap<Digest, Bytes>,
    /// What became of each image's signatures and platforms, in the statement's words; they are the last of
    /// its artifact's reasons.
    pub marks: HashMap<(Target, Digest), Vec<String>>,
    /// Where each artifact's blobs are read from.
    pub origins: HashMap<Digest, (Registry, RepositoryName)>,
    /// Where else the layers are that are marked non-distributable and carried, as the manifests say.
    pub addresses: HashMap<Digest, Vec<String>>,
    /// What may be attached to the images and is not carried.
    pub unobtainable: Vec<UnobtainableReferrer>,
    /// What is to be said of the images.
    pub notices: Vec<Notice>,
}

/// All images that could not be resolved.
#[derive(Debug, thiserror::Error)]
#[error("{} of the images cannot be resolved", .0.len())]
pub struct ResolveErrors(pub Vec<ResolveError>);

/// One image that could not be resolved.
#[derive(Debug, thiserror::Error)]
#[error("{reference} ({})", places(.reasons))]
pub struct ResolveError {
    /// The image.
    pub reference: Reference,
    /// Who asked for it.
    pub reasons: Vec<Reason>,
    /// Why not.
    #[source]
    pub cause: ResolveCause,
}

/// Why an image could not be resolved.
#[derive(Debug, thiserror::Error)]
pub enum ResolveCause {
    /// The registry.
    #[error(transparent)]
    Registry(#[from] Error),
    /// There is no such tag.
    #[error("{host} has no such image{}", nearest(.tags))]
    NotFound {
        /// The registry.
        host: String,
        /// Tags that look like the one that was asked for.
        tags: Vec<Tag>,
    },
    /// A manifest that cannot be used.
    #[error("manifest {digest} cannot be used")]
    Manifest {
        /// The manifest.
        digest: Digest,
        /// What is wrong.
        source: ManifestError,
    },
    /// The image is not made for a platform that is wanted.
    #[error("there is no {wanted}; the image is made for {}", list(.available))]
    Platform {
        /// The platform.
        wanted: Platform,
        /// The platforms that there are.
        available: Vec<Platform>,
    },
    /// The lock demands what is gone.
    #[error("the locked digest {0} no longer exists in the registry")]
    Gone(Digest),
    /// The lock does not know the image.
    #[error("it is not in the lockfile")]
    NotLocked,
    /// Indexes nested too deeply.
    #[error("its indexes are nested too deeply")]
    TooDeep,
    /// What is attached to it, as the registry says, cannot be had.
    #[error("{referrer}, which the registry lists as attached to {subject}, cannot be fetched")]
    Referrer {
        /// What is attached.
        referrer: Digest,
        /// What it is attached to.
        subject: Digest,
        /// Why not.
        source: Error,
    },
    /// Two choices of platforms, or two locked digests, of one source.
    #[error(
        "it would be carried for {platforms} and, because of {}, for {others}; a bundle has one digest of each source",
        places(.reasons)
    )]
    TwoDigests {
        /// For which platforms it is wanted here.
        platforms: Platforms,
        /// For which ones it is wanted elsewhere.
        others: Platforms,
        /// Who wants it elsewhere.
        reasons: Vec<Reason>,
    },
    /// A tag, and the same tag with a digest that it does not have.
    #[error("{target} would be both {first}, as {} have it, and {second}", .reasons.join(", "))]
    TwoMeanings {
        /// Where both go.
        target: Target,
        /// What is there already.
        first: Digest,
        /// Who asked for that.
        reasons: Vec<String>,
        /// What this one means.
        second: Digest,
    },
    /// What is attached to it is required, and does not travel.
    #[error("its signatures or other referrers are required: {0}")]
    Required(ReferrerOutcome),
    /// More than [`Limits::manifests`].
    #[error("the manifests, configs and referrers of all images take more than {} MiB together", .0 >> 20)]
    TooMuch(u64),
    /// More platforms than the format carries for one artifact.
    #[error("it is made for {found} platforms, and a bundle carries at most {limit} for one image")]
    Platforms {
        /// How many there are.
        found: usize,
        /// How many there may be.
        limit: usize,
    },
    /// More artifacts than the format carries.
    #[error("it has so many referrers that the bundle would have more than {0} artifacts")]
    TooManyArtifacts(usize),
}

fn nearest(tags: &[Tag]) -> String {
    if tags.is_empty() { String::new() } else { format!("; there are the tags {}", list(tags)) }
}

fn list(items: &[impl ToString]) -> String {
    if items.is_empty() {
        return "no platform".to_owned();
    }
    items.iter().map(ToString::to_string).collect::<Vec<_>>().join(", ")
}

/// Requests that differ in their targets and reasons only.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
struct Group<'a> {
    reference: &'a Reference,
    pin: Option<Digest>,
    platforms: &'a Platforms,
    policy: ImagePolicy,
}

/// Resolves each request to a digest, and fetches every manifest that belongs to it.
///
/// # Errors
/// All images that could not be resolved, not only the first.
pub(crate) async fn resolve(
    client: &Client,
    requests: &[Request],
    pins: &HashMap<(Reference, Target), Digest>,
    options: ResolveOptions,
    progress: &dyn Progress,
) -> Result<Resolved, ResolveErrors> {
    // Several targets may want the same image; it is looked up once.
    let mut groups: BTreeMap<Group<'_>, Vec<&Request>> = BTreeMap::new();
    let mut order = Vec::new();
    for request in requests {
        let pin = pins.get(&(request.reference.clone(), request.target.clone())).copied();
        let key = Group {
            reference: &request.reference,
            pin,
            platforms: &request.platforms,
            policy: request.policy,
        };
        let group = groups.entry(key).or_default();
        if group.is_empty() {
            order.push(key);
        }
        group.push(request);
    }
    let resolver = Resolver {
        client,
        options,
        store: Store::new(&Limits::DEFAULT),
        tags: TagCache::default(),
        unobtainable: Mutex::default(),
        notices: Mutex::default(),
        slots: Semaphore::new(options.jobs.max(1)),
    };
    let done = AtomicUsize::new(0);
    progress.looked_at(0, order.len());
    let mut found = futures_util::stream::iter(&order)
        .map(|key| {
            let (resolver, group, pin) = (&resolver, &groups[key], key.pin);
            let (done, all) = (&done, order.len());
            async move {
                let found = resolver.image(group[0], pin).await;
                progress.looked_at(done.fetch_add(1, Ordering::Relaxed) + 1, all);
                (group, found)
            }
        })
        .buffered(options.jobs.max(1));
    let mut resolved = Resolved::default();
    let mut errors: Vec<ResolveError> = Vec::new();
    let mut delivered = HashSet::new();
    let mut sources: HashMap<&Reference, (Digest, &Request)> = HashMap::new();
    while let Some((group, found)) = found.next().await {
        let request = group[0];
        let cause = match found {
            Ok(image) => match sources.entry(&request.reference).or_insert((image.root.digest, request)) {
                (digest, _) if *digest == image.root.digest => {
                    match image.push_into(group, &mut resolved, &mut delivered) {
                        Ok(()) => continue,
                        Err(cause) => cause,
                    }
                }
                (_, first) => ResolveCause::TwoDigests {
                    platforms: request.platforms.clone(),
                    others: first.platforms.clone(),
                    reasons: first.reasons.clone(),
                },
            },
            Err(cause) => cause,
        };
        let is_last = matches!(cause, ResolveCause::TooMuch(_) | ResolveCause::TooManyArtifacts(_));
        errors.push(ResolveError {
            reference: request.reference.clone(),
            reasons: group.iter().flat_map(|request| request.reasons.clone()).collect(),
            cause,
        });
        if is_last {
            break;
        }
    }
    drop(found);
    resolved.unobtainable =
        resolver.unobtainable.into_inner().unwrap_or_else(std::sync::PoisonError::into_inner);
    resolved.notices = resolver.notices.into_inner().unwrap_or_else(std::sync::PoisonError::into_inner);
    resolved.notices.sort_by_key(ToString::to_string);
    resolved.contents = resolver.store.into_contents();
    if errors.is_empty() { Ok(resolved) } else { Err(ResolveErrors(errors)) }
}

/// An image with all that belongs to it, before it is given its targets.
pub(crate) struct Image {
    kind: Kind,
    root: FetchedManifest,
    platforms: Vec<Platform>,
    derived_from: Option<Digest>,
    /// The manifests and configs that were looked into.
    pub(crate) contents: HashSet<Digest>,
    pub(crate) attached: Vec<FoundReferrer>,
    /// What carries its layers that are marked non-distributable, if they are wanted.
    foreign: Option<ForeignCarrier>,
    /// What became of its signatures and platforms, for the statement.
    marks: Vec<String>,
}

impl Image {
    /// Gives the image its targets. One that has it already, by its tag or by tag and digest, gets further reasons.
    fn push_into(
        self,
        group: &[&Request],
        resolved: &mut Resolved,
        delivered: &mut HashSet<(Target, Digest)>,
    ) -> Result<(), ResolveCause> {
        let source = &group[0].reference;
        let origin = (source.registry().clone(), source.repository().clone());
        for digest in self.contents {
            resolved.origins.entry(digest).or_insert_with(|| origin.clone());
        }
        let foreign = self.foreign.map(|ForeignCarrier { artifact, addresses }| {
            for (digest, addresses) in addresses {
                resolved.addresses.entry(digest).or_insert(addresses);
            }
            resolved.origins.entry(artifact.manifest.digest).or_insert_with(|| origin.clone());
            artifact
        });
        let attached = self.attached.iter().map(|attached| (attached, attached.kind.as_str()));
        let attached: Vec<(&FoundReferrer, &str)> =
            attached.chain(foreign.iter().map(|carrier| (carrier, "non-distributable layers"))).collect();
        for request in group {
            // Several digests without a tag can live in one repository.
            let may_be_there = request.target.tag.is_some() && resolved.asked.contains_key(&request.target);
            if may_be_there
                && let Some(there) = resolved
                    .artifacts
                    .iter_mut()
                    .find(|artifact| artifact.subject.is_none() && artifact.target == request.target)
            {
                let marks = resolved.marks.get(&(request.target.clone(), there.digest)).map_or(0, Vec::len);
                let asked = there.reasons.len().saturating_sub(marks);
                if there.digest != self.root.digest {
                    return Err(ResolveCause::TwoMeanings {
                        target: request.target.clone(),
                        first: there.digest,
                        reasons: there.reasons[..asked].to_vec(),
                        second: self.root.digest,
                    });
                }
                let room = Limits::DEFAULT.reasons.saturating_sub(asked);
                let more: Vec<String> = Reason::texts(&request.reasons).into_iter().take(room).collect();
                there.reasons.splice(asked..asked, more);
                continue;
            }
            resolved.chosen.insert(request.target.clone(), request.platforms.clone());
            resolved.asked.insert(request.target.clone(), request.reference.clone());
            delivered.insert((request.target.clone(), self.root.digest));
            resolved.artifacts.push(Artifact {
                kind: self.kind,
                source: source.clone(),
                target: request.target.clone(),
                digest: self.root.digest,
                media_type: self.root.media_type.clone(),
                platforms: self.platforms.clone(),
                derived_from: self.derived_from,
                subject: None,
                reasons: Reason::texts(&request.reasons).into_iter().chain(self.marks.clone()).collect(),
            });
            let named = (request.target.clone(), self.root.digest);
            resolved.marks.insert(named, self.marks.clone());
            for &(attached, what) in &attached {
                let source = match &attached.tag {
                    Some(tag) => Reference::tagged(origin.0.clone(), origin.1.clone(), tag.clone()),
                    None => Reference::pinned(origin.0.clone(), origin.1.clone(), attached.manifest.digest),
                };
                let target = Target { tag: attached.tag.clone(), ..request.target.clone() };
                if !delivered.insert((target.clone(), attached.manifest.digest)) {
                    continue;
                }
                let most = bundle_format::Limits::V1.artifacts;
                if resolved.artifacts.len() >= most {
                    return Err(ResolveCause::TooManyArtifacts(most));
                }
                resolved.artifacts.push(Artifact {
                    kind: attached.kind,
                    source,
                    target,
                    digest: attached.manifest.digest,
                    media_type: attached.manifest.media_type.clone(),
                    platforms: Vec::new(),
                    derived_from: None,
                    subject: Some(attached.subject),
                    reasons: vec![reason(&format!("{what} of {}", request.reference))],
                });
            }
        }
        Ok(())
    }
}

/// What looks images up, and what all of them share.
pub(crate) struct Resolver<'a> {
    pub(crate) client: &'a Client,
    pub(crate) tags: TagCache,
    /// What may be attached and is not carried.
    pub(crate) unobtainable: Mutex<Vec<UnobtainableReferrer>>,
    /// What is to be said.
    notices: Mutex<Vec<Notice>>,
    pub(crate) options: ResolveOptions,
    pub(crate) store: Store,
    /// Manifests of unknown size are fetched so many at once: each may take as much memory as a
    /// manifest can.
    slots: Semaphore,
}

impl Resolver<'_> {
    async fn image(&self, request: &Request, pin: Option<Digest>) -> Result<Image, ResolveCause> {
        let reference = &request.reference;
        if self.options.pins == Pins::Demand && pin.is_none() {
            return Err(ResolveCause::NotLocked);
        }
        let policy = request.policy;
        // A signature that is required and missing may have been made since.
        let anew = if policy.referrers == Referrers::Require { Anew::Yes } else { Anew::No };
        let original = self.original(reference, pin).await?;
        let manifest = parse(&original)?;
        let mut image = Image {
            kind: Kind::Image,
            root: original.clone(),
            platforms: Vec::new(),
            derived_from: None,
            contents: HashSet::new(),
            attached: Vec::new(),
            foreign: None,
            marks: Vec::new(),
        };
        let mut lacking: Vec<Platform> = Vec::new();
        match &manifest {
            Manifest::Image(single) => {
                image.kind = kind_of(single.kind(), single.artifact_type.is_some());
                if image.kind == Kind::Image {
                    let bytes = self.config(reference, &single.config).await?;
                    image.platforms.extend(platform_of(&bytes));
                    image.contents.insert(single.config.digest);
                }
                // What has no platform, a package or another artifact, is carried whatever is wanted.
                if let Platforms::Only(wanted) = &request.platforms
                    && !image.platforms.is_empty()
                {
                    lacking = missing(&image.platforms, wanted);
                    if let (Some(first), true) = (lacking.first(), lacking.len() == wanted.len()) {
                        let (wanted, available) = (first.clone(), image.platforms);
                        return Err(ResolveCause::Platform { wanted, available });
                    }
                }
            }
            Manifest::Index(index) => {
                let mut found = None;
                if let Platforms::Only(wanted) = &request.platforms {
                    let choice = self.choose(reference, index, wanted).await?;
                    lacking = choice.missing;
                    let chosen = choice.positions;
                    if chosen.len() == index.children.len() {
                        found = Some(choice.platforms);
                    } else if reference.digest().is_some() {
                        self.say(Notice::PinnedWhole { image: reference.clone() });
                    } else if policy.signed_indexes == SignedIndexes::Whole
                        && !self.referrers_of(reference, original.digest, anew).await?.is_empty()
                    {
                        self.say(Notice::SignedWhole { image: reference.clone() });
                    } else {
                        found = Some(choice.platforms);
                        image.derived_from = Some(original.digest);
                        image.root = self.derive(reference, index, &original, &chosen).await?;
                    }
                }
                image.platforms = found.unwrap_or_else(|| {
                    let named = index.children.iter().filter_map(|child| child.platform.clone());
                    named.filter(|platform| !platform.is_unknown()).collect()
                });
            }
        }
        let (found, limit) = (image.platforms.len(), bundle_format::Limits::V1.platforms);
        if found > limit {
            return Err(ResolveCause::Platforms { found, limit });
        }
        let mut subjects = vec![image.root.digest];
        self.gather(reference, &image.root, &mut image.contents, &mut subjects).await?;
        if policy.foreign_layers == ForeignLayers::Include {
            image.foreign = ForeignCarrier::of(&image.root, &self.store)?;
        }
        if let Some(first) = lacking.first() {
            if policy.missing_platforms == MissingPlatforms::Fail {
                let (wanted, available) = (first.clone(), image.platforms);
                return Err(ResolveCause::Platform { wanted, available });
            }
            image.marks.push(reason(&format!("platforms: no {} upstream", list(&lacking))));
            self.say(Notice::MissingPlatforms { image: reference.clone(), missing: lacking });
        }
        let outcomes = match policy.referrers {
            Referrers::Leave => vec![ReferrerOutcome::Left],
            Referrers::Carry | Referrers::Require => {
                let split = image.derived_from.is_some()
                    && !self.referrers_of(reference, original.digest, anew).await?.is_empty();
                if split {
                    self.say(Notice::IndexSignatures { image: reference.clone() });
                }
                self.attach(reference, subjects, &mut image, anew).await?;
                self.outcomes(reference, &image, split)
            }
        };
        if policy.referrers == Referrers::Require
            && let Some(lost) =
                outcomes.iter().find(|outcome| !matches!(outcome, ReferrerOutcome::Carried(_)))
        {
            return Err(ResolveCause::Required(lost.clone()));
        }
        image.marks.extend(outcomes.iter().map(|outcome| reason(&format!("referrers: {outcome}"))));
        Ok(image)
    }

    /// Takes note of something that people should know.
    pub(crate) fn say(&self, notice: Notice) {
        self.notices.lock().unwrap_or_else(std::sync::PoisonError::into_inner).push(notice);
    }

    /// What the reference means, or meant when it was locked.
    async fn original(
        &self,
        reference: &Reference,
        pin: Option<Digest>,
    ) -> Result<FetchedManifest, ResolveCause> {
        if let Some(pin) = pin {
            match self.named(reference, &Name::Digest(pin)).await {
                Err(ResolveCause::Registry(error)) if error.status() == Some(404) => {
                    if self.options.pins == Pins::Demand {
                        return Err(ResolveCause::Gone(pin));
                    }
                    self.say(Notice::LockedDigestGone { image: reference.clone(), digest: pin });
                }
                other => return other,
            }
        }
        match self.named(reference, &Name::of(reference)).await {
            Err(ResolveCause::Registry(error)) if error.status() == Some(404) => {
                Err(not_found(self.client, reference, error).await)
            }
            other => other,
        }
    }

    /// Fetches a manifest of unknown size.
    pub(crate) async fn named(
        &self,
        reference: &Reference,
        name: &Name,
    ) -> Result<FetchedManifest, ResolveCause> {
        // The semaphore is never closed.
        let _slot = self.slots.acquire().await;
        let manifest = self.client.manifest(reference.registry(), reference.repository(), name).await?;
        self.store.keep_manifest(manifest.clone(), 0)?;
        Ok(manifest)
    }

    /// A manifest by its digest, fetched unless it is known; with its size, if a descriptor that
    /// must be right says it.
    pub(crate) async fn manifest(
        &self,
        reference: &Reference,
        digest: Digest,
        size: Option<u64>,
    ) -> Result<FetchedManifest, ResolveCause> {
        if let Some(known) = self.store.manifest(digest) {
            return Ok(known);
        }
        let name = Name::Digest(digest);
        let Some(size) = size else {
            return self.named(reference, &name).await;
        };
        let largest = usize::try_from(size).unwrap_or(usize::MAX);
        if largest > Manifest::LARGEST {
            return Err(ResolveCause::Manifest { digest, source: ManifestError::TooLarge(largest) });
        }
        self.store.reserve(size)?;
        let (registry, repository) = (reference.registry(), reference.repository());
        let manifest = self.client.manifest_within(registry, repository, &name, largest).await?;
        self.store.keep_manifest(manifest.clone(), size)?;
        Ok(manifest)
    }

    pub(crate) async fn child(
        &self,
        reference: &Reference,
        child: &Descriptor,
    ) -> Result<FetchedManifest, ResolveCause> {
        let fetched = self.manifest(reference, child.digest, Some(child.size)).await?;
        Ok(FetchedManifest { media_type: child.media_type.clone(), ..fetched })
    }

    pub(crate) async fn config(
        &self,
        reference: &Reference,
        config: &Descriptor,
    ) -> Result<Bytes, ResolveCause> {
        let &Descriptor { digest, size, .. } = config;
        if let Some(known) = self.store.config(digest) {
            return Ok(known);
        }
        if size > Limits::DEFAULT.config {
            let what = format!("an image's config has {size} bytes");
            return Err(Error::Misbehaved { host: reference.registry().to_string(), what }.into());
        }
        self.store.reserve(size)?;
        let bytes = whole_blob(self.client, reference, digest, size).await?;
        self.store.keep_config(digest, bytes.clone());
        Ok(bytes)
    }

    /// The single chosen manifest, or an index of the chosen ones that keeps all else that the
    /// original index says.
    async fn derive(
        &self,
        reference: &Reference,
        index: &bundle_oci::Index,
        original: &FetchedManifest,
        chosen: &[usize],
    ) -> Result<FetchedManifest, ResolveCause> {
        if let [only] = chosen {
            return self.child(reference, &index.children[*only].descriptor).await;
        }
        let wrong =
            |source| ResolveCause::Manifest { digest: original.digest, source: ManifestError::Json(source) };
        let mut value: serde_json::Value = serde_json::from_slice(&original.bytes).map_err(wrong)?;
        if let Some(children) = value["manifests"].as_array_mut() {
            let mut position = 0;
            children.retain(|_| {
                position += 1;
                chosen.contains(&(position - 1))
            });
        }
        let bytes = Bytes::from(serde_json::to_vec(&value).map_err(wrong)?);
        let digest = Digest::of(&bytes);
        let derived = FetchedManifest { digest, bytes, media_type: original.media_type.clone() };
        self.store.keep_manifest(derived.clone(), 0)?;
        Ok(derived)
    }

    /// Fetches all manifests below one, and takes note of the manifests that may have referrers.
    pub(crate) async fn gather(
        &self,
        reference: &Reference,
        root: &FetchedManifest,
        contents: &mut HashSet<Digest>,
        subjects: &mut Vec<Digest>,
    ) -> Result<(), ResolveCause> {
        let mut level = vec![root.clone()];
        for _ in 0..=bundle_format::Limits::V1.index_depth {
            let mut below = Vec::new();
            for fetched in level {
                if let Manifest::Index(index) = parse(&fetched)? {
                    below.extend(index.children);
                }
                contents.insert(fetched.digest);
            }
            below.retain(|child| !contents.contains(&child.descriptor.digest));
            let mut seen = HashSet::new();
            below.retain(|child| seen.insert(child.descriptor.digest));
            if below.is_empty() {
                return Ok(());
            }
            let subject = |child: &bundle_oci::Child| child.attests().is_none();
            subjects.extend(below.iter().filter(|child| subject(child)).map(|child| child.descriptor.digest));
            level = futures_util::stream::iter(&below)
                .map(|child| self.child(reference, &child.descriptor))
                .buffered(8)
                .try_collect()
                .await?;
        }
        Err(ResolveCause::TooDeep)
    }
}

async fn not_found(client: &Client, reference: &Reference, error: Error) -> ResolveCause {
    let Some(wanted) = reference.tag() else {
        return error.into();
    };
    // What a registry that has no such repository says is told as it is.
    let Ok(mut tags) = client.tags(reference.registry(), reference.repository()).await else {
        return error.into();
    };
    let common =
        |tag: &Tag| tag.as_str().bytes().zip(wanted.as_str().bytes()).take_while(|(a, b)| a == b).count();
    tags.tags.retain(|tag| !tag.as_str().starts_with("sha256-"));
    tags.tags.sort_by_key(|tag| (std::cmp::Reverse(common(tag)), std::cmp::Reverse(tag.clone())));
    tags.tags.truncate(5);
    ResolveCause::NotFound { host: reference.registry().to_string(), tags: tags.tags }
}

pub(crate) fn parse(fetched: &FetchedManifest) -> Result<Manifest, ResolveCause> {
    Manifest::parse(&fetched.bytes, &fetched.media_type)
        .map_err(|source| ResolveCause::Manifest { digest: fetched.digest, source })
}

/// A blob that fits into memory.
pub(crate) async fn whole_blob(
    client: &Client,
    reference: &Reference,
    digest: Digest,
    size: u64,
) -> Result<Bytes, Error> {
    if let Some(known) = client.kept(digest, size) {
        return Ok(known);
    }
    let mut download = client.blob(reference.registry(), reference.repository(), digest, size, 0);
    loop {
        let mut bytes = Vec::new();
        while let Some(piece) = download.next().await? {
            bytes.extend_from_slice(&piece);
        }
        let found = Digest::of(&bytes);
        if found == digest {
            client.keep(digest, &bytes);
            return Ok(bytes.into_boxed_slice().into());
        }
        download.restart(found).await?;
    }
}

/// The platform that an image's config names (image-spec, config.md §Properties).
pub(crate) fn platform_of(config: &[u8]) -> Option<Platform> {
    #[derive(Deserialize)]
    struct Config {
        os: String,
        architecture: String,
        variant: Option<String>,
        #[serde(rename = "os.version")]
        os_version: Option<String>,
    }
    let config: Config = serde_json::from_slice(config).ok()?;
    Platform::new(&config.os, &config.architecture, config.variant.as_deref(), config.os_version.as_deref())
        .ok()
}
