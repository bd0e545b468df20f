//! Looks up one image with every manifest that belongs to it.
//! Takes a request and the digest of a lock; gives an [`Image`], or why it cannot be resolved.

use std::collections::{HashMap, HashSet};
use std::sync::Mutex;

use bundle_format::{Kind, reason};
use bundle_oci::{ConfigPlatform, Descriptor, Digest, Manifest, ManifestError, Platform, Reference, Tag};
use bundle_registry::{Client, Error, FetchedManifest, Name};
use bytes::Bytes;
use futures_util::{StreamExt, TryStreamExt};
use tokio::sync::Semaphore;

use super::content::{parse, platform_of};
use super::error::{ResolveCause, list};
use super::image::Image;
use super::run::{Known, Pins, ResolveOptions};
use crate::choose::missing;
use crate::foreign::ForeignCarrier;
use crate::kind::kind_of;
use crate::local::{LocalCause, LocalImage};
use crate::notice::MissingImage;
use crate::policy::{ForeignLayers, MissingImages, MissingPlatforms, Referrers, SignedIndexes};
use crate::referrer::{Anew, FoundReferrer, TagCache, UnobtainableReferrer};
use crate::store::Store;
use crate::upstream::SignatureCheck;
use crate::{Limits, LocalError, Notice, Platforms, ReferrerOutcome, Request, UpstreamPolicy};

/// The reason of an image whose tag is gone, in the statement's words.
const KEPT: &str = "tag: gone upstream, its last digest is carried";

/// The state that all look-ups of images share.
pub(crate) struct Resolver<'a> {
    pub(crate) client: &'a Client,
    /// The local sources of the references that no registry is asked for.
    pub(super) locals: HashMap<&'a Reference, &'a LocalImage>,
    pub(super) known: Known<'a>,
    /// The rules about publishers' signatures.
    pub(crate) upstream: &'a UpstreamPolicy,
    /// What is attached to manifests whose signatures were checked.
    pub(crate) checked: Mutex<HashMap<(Reference, Digest), Vec<FoundReferrer>>>,
    pub(crate) tags: TagCache,
    /// Possible referrers that are not carried.
    pub(crate) unobtainable: Mutex<Vec<UnobtainableReferrer>>,
    /// The notices.
    pub(super) notices: Mutex<Vec<Notice>>,
    pub(crate) options: ResolveOptions,
    pub(crate) store: Store,
    /// Manifests of unknown size are fetched so many at once: each may take as much memory as a
    /// manifest can.
    pub(super) slots: Semaphore,
}

impl Resolver<'_> {
    /// Looks up the image of requests that differ in their targets and reasons only; nothing if it is gone, and its
    /// policy leaves it out then.
    pub(super) async fn image(
        &self,
        group: &[&Request],
        pin: Option<Digest>,
    ) -> Result<Option<Image>, ResolveCause> {
        let Some(request) = group.first() else { return Ok(None) };
        let reference = &request.reference;
        let policy = request.policy;
        if self.options.pins == Pins::Demand && pin.is_none() {
            if policy.missing_images == MissingImages::Skip && self.known.left_out(group) {
                self.say_missing(group, None);
                return Ok(None);
            }
            return Err(ResolveCause::NotLocked);
        }
        // A signature that is required and missing may have been made since.
        let anew = if policy.referrers == Referrers::Require { Anew::Yes } else { Anew::No };
        let Some((original, is_last)) = self.original(group, reference, pin).await? else { return Ok(None) };
        let manifest = parse(&original)?;
        let mut image = Image {
            kind: Kind::Image,
            root: original.clone(),
            platforms: Vec::new(),
            derived_from: None,
            contents: HashSet::new(),
            attached: Vec::new(),
            foreign: None,
            signature: None,
            marks: if is_last { vec![reason(KEPT)] } else { Vec::new() },
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
                // Artifacts without a platform, such as packages, are carried for any choice of platforms.
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
                        // The index is left out, so the image's facts must hold without it.
                        if let Manifest::Image(single) = parse(&image.root)?
                            && single.config.media_type.is_image_config()
                            && single.config.size <= Limits::DEFAULT.config
                        {
                            let bytes = self.config(reference, &single.config).await?;
                            image.contents.insert(single.config.digest);
                            if let Ok(Some(config)) = ConfigPlatform::read(&bytes)
                                && let Some(listed) =
                                    found.iter().flatten().find(|listed| !config.can_be(listed))
                            {
                                let told = config.platform();
                                let mark = format!("platforms: {listed} upstream, {told} in the config");
                                image.marks.push(reason(&mark));
                                found = Some(vec![told.clone()]);
                            }
                        }
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
        // Nothing is attached to a file, and nobody else signs it.
        if !request.is_file() {
            image.signature = self.check_signature(reference, &original, &image.root, anew).await?;
            image.marks.extend(image.signature.iter().map(SignatureCheck::mark));
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
            // Nothing can be attached to a file, whatever is required of images.
            _ if request.is_file() => Vec::new(),
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
        Ok(Some(image))
    }

    /// Takes note of an image that is gone, for each of its targets.
    fn say_missing(&self, group: &[&Request], kept: Option<Digest>) {
        for request in group {
            self.say(Notice::Missing(MissingImage {
                image: request.reference.to_string(),
                target: request.target.to_string(),
                kept,
                why: request.reasons.clone(),
            }));
        }
    }

    /// Takes note of something that people should know.
    pub(crate) fn say(&self, notice: Notice) {
        self.notices.lock().unwrap_or_else(std::sync::PoisonError::into_inner).push(notice);
    }

    /// The manifest that the reference names, or named when it was locked; whether it is what the tag meant last,
    /// because the tag is gone. Nothing if it is gone, and the policy leaves it out.
    async fn original(
        &self,
        group: &[&Request],
        reference: &Reference,
        pin: Option<Digest>,
    ) -> Result<Option<(FetchedManifest, bool)>, ResolveCause> {
        let policy = group.first().map(|request| request.policy.missing_images).unwrap_or_default();
        let is_gone = |error: &Error| self.client.says_gone(reference.registry(), error);
        if let Some(pin) = pin {
            match self.named(reference, &Name::Digest(pin)).await {
                Err(ResolveCause::Registry(error)) if error.status() == Some(404) => {
                    if self.options.pins == Pins::Demand {
                        if policy == MissingImages::Skip && is_gone(&error) {
                            self.say_missing(group, None);
                            return Ok(None);
                        }
                        return Err(ResolveCause::Gone(pin));
                    }
                    self.say(Notice::LockedDigestGone { image: reference.clone(), digest: pin });
                }
                Err(ResolveCause::Local(LocalError { cause: LocalCause::Missing(digest), source_name }))
                    if digest == pin =>
                {
                    if self.options.pins == Pins::Demand {
                        return Err(ResolveCause::LocalGone { digest, place: source_name });
                    }
                    self.say(Notice::LockedDigestGone { image: reference.clone(), digest: pin });
                }
                found => return Ok(Some((found?, false))),
            }
        }
        if let Some(local) = self.locals.get(reference) {
            return Ok(Some((self.named(reference, &Name::Digest(local.root())).await?, false)));
        }
        let error = match self.named(reference, &Name::of(reference)).await {
            Err(ResolveCause::Registry(error)) if error.status() == Some(404) => error,
            found => return Ok(Some((found?, false))),
        };
        // A 404 that is no registry's word may be an outage. It is reported as it is.
        if policy != MissingImages::Fail && !is_gone(&error) {
            return Err(error.into());
        }
        match policy {
            MissingImages::Skip => {
                self.say_missing(group, None);
                Ok(None)
            }
            MissingImages::KeepLast if reference.digest().is_none() => {
                let Some(last) = self.known.last(group) else {
                    return Err(not_found(self.client, reference, error).await);
                };
                match self.named(reference, &Name::Digest(last)).await {
                    Err(ResolveCause::Registry(error)) if error.status() == Some(404) => {
                        Err(ResolveCause::LastGone(last))
                    }
                    found => {
                        let found = found?;
                        self.say_missing(group, Some(last));
                        Ok(Some((found, true)))
                    }
                }
            }
            MissingImages::Fail | MissingImages::KeepLast => {
                Err(not_found(self.client, reference, error).await)
            }
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
        let manifest = self.source(reference).manifest(reference, name, None).await?;
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
        let manifest = self.source(reference).manifest(reference, &name, Some(largest)).await?;
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
        let bytes = self.source(reference).small(reference, digest, size).await?;
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
    // The error of a registry without such a repository is reported as it is.
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
