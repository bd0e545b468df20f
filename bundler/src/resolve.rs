use std::collections::{BTreeMap, HashMap, HashSet};
use std::sync::atomic::{AtomicUsize, Ordering};

use bundle_format::{Artifact, Kind, Target};
use bundle_oci::{
    Digest, Manifest, ManifestError, MediaType, Platform, Reference, Registry, RepositoryName, Tag,
};
use bundle_registry::{Client, Error, FetchedManifest, Name, Progress};
use bytes::Bytes;
use futures_util::{StreamExt, TryStreamExt};
use serde::Deserialize;

use crate::{Platforms, Request};

/// How references are resolved.
#[derive(Clone, Copy, Debug)]
pub struct ResolveOptions {
    /// Whether signatures and the like come along.
    pub referrers: Referrers,
    /// What a locked digest that is gone means.
    pub pins: Pins,
    /// How many images are looked at at once.
    pub jobs: usize,
}

/// Whether what is attached to an artifact travels with it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Referrers {
    /// It does.
    Carry,
    /// It stays.
    Leave,
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
    /// Where each artifact's blobs are read from.
    pub origins: HashMap<Digest, (Registry, RepositoryName)>,
}

/// All images that could not be resolved.
#[derive(Debug, thiserror::Error)]
#[error("{} of the images cannot be resolved", .0.len())]
pub struct ResolveErrors(pub Vec<ResolveError>);

/// One image that could not be resolved.
#[derive(Debug, thiserror::Error)]
#[error("{reference} ({})", .reasons.join(", "))]
pub struct ResolveError {
    /// The image.
    pub reference: Reference,
    /// Who asked for it.
    pub reasons: Vec<String>,
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
    #[error("the locked digest {0} is gone from the registry")]
    Gone(Digest),
    /// The lock does not know the image.
    #[error("the lock does not have it")]
    NotLocked,
    /// Indexes nested too deeply.
    #[error("its indexes are nested too deeply")]
    TooDeep,
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

/// Resolves each request to a digest, and fetches every manifest that belongs to it.
///
/// # Errors
/// All images that could not be resolved, not only the first.
pub async fn resolve(
    client: &Client,
    requests: &[Request],
    pins: &HashMap<(Reference, Target), Digest>,
    options: ResolveOptions,
    progress: &dyn Progress,
) -> Result<Resolved, ResolveErrors> {
    // Several targets may want the same image; it is looked up once.
    let mut groups: BTreeMap<(Reference, Option<Digest>, String), Vec<&Request>> = BTreeMap::new();
    let mut order = Vec::new();
    for request in requests {
        let pin = pins.get(&(request.reference.clone(), request.target.clone())).copied();
        let key = (request.reference.clone(), pin, format!("{:?}", request.platforms));
        let group = groups.entry(key.clone()).or_default();
        if group.is_empty() {
            order.push(key);
        }
        group.push(request);
    }
    let tags = TagCache::default();
    let done = AtomicUsize::new(0);
    progress.looked_at(0, order.len());
    let found: Vec<_> = futures_util::stream::iter(&order)
        .map(|key| {
            let group = &groups[key];
            let (tags, pin, done, all) = (&tags, key.1, &done, order.len());
            async move {
                let found = resolve_one(client, tags, group[0], pin, options, progress).await;
                progress.looked_at(done.fetch_add(1, Ordering::Relaxed) + 1, all);
                (group, found)
            }
        })
        .buffered(options.jobs.max(1))
        .collect()
        .await;
    let mut resolved = Resolved::default();
    let mut errors = Vec::new();
    for (group, found) in found {
        match found {
            Ok(image) => image.deliver(group, &mut resolved),
            Err(cause) => errors.push(ResolveError {
                reference: group[0].reference.clone(),
                reasons: group.iter().flat_map(|request| request.reasons.clone()).collect(),
                cause,
            }),
        }
    }
    if errors.is_empty() { Ok(resolved) } else { Err(ResolveErrors(errors)) }
}

/// An image with all that belongs to it, before it is given its targets.
struct Image {
    kind: Kind,
    root: FetchedManifest,
    platforms: Vec<Platform>,
    derived_from: Option<Digest>,
    contents: HashMap<Digest, Bytes>,
    attached: Vec<Attached>,
}

struct Attached {
    kind: Kind,
    tag: Option<Tag>,
    subject: Digest,
    manifest: FetchedManifest,
}

impl Image {
    fn deliver(self, group: &[&Request], resolved: &mut Resolved) {
        let source = &group[0].reference;
        let origin = (source.registry().clone(), source.repository().clone());
        for digest in self.contents.keys() {
            resolved.origins.entry(*digest).or_insert_with(|| origin.clone());
        }
        for request in group {
            resolved.chosen.insert(request.target.clone(), request.platforms.clone());
            resolved.asked.insert(request.target.clone(), request.reference.clone());
            resolved.artifacts.push(Artifact {
                kind: self.kind,
                source: source.clone(),
                target: request.target.clone(),
                digest: self.root.digest,
                media_type: self.root.media_type.clone(),
                platforms: self.platforms.clone(),
                derived_from: self.derived_from,
                subject: None,
                reasons: request.reasons.clone(),
            });
            for attached in &self.attached {
                let source = match &attached.tag {
                    Some(tag) => Reference::tagged(origin.0.clone(), origin.1.clone(), tag.clone()),
                    None => Reference::pinned(origin.0.clone(), origin.1.clone(), attached.manifest.digest),
                };
                let target = Target { tag: attached.tag.clone(), ..request.target.clone() };
                let known = |artifact: &Artifact| {
                    artifact.target == target && artifact.digest == attached.manifest.digest
                };
                if resolved.artifacts.iter().any(known) {
                    continue;
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
                    reasons: vec![format!("{} of {}", attached.kind.as_str(), request.reference)],
                });
            }
        }
        resolved.contents.extend(self.contents);
    }
}

async fn resolve_one(
    client: &Client,
    tags: &TagCache,
    request: &Request,
    pin: Option<Digest>,
    options: ResolveOptions,
    progress: &dyn Progress,
) -> Result<Image, ResolveCause> {
    let reference = &request.reference;
    let (registry, repository) = (reference.registry(), reference.repository());
    if options.pins == Pins::Demand && pin.is_none() {
        return Err(ResolveCause::NotLocked);
    }
    let name = pin.map_or_else(|| Name::of(reference), Name::Digest);
    let original = match client.manifest(registry, repository, &name).await {
        Err(error) if error.status() == Some(404) => match pin {
            Some(pin) if options.pins == Pins::Demand => return Err(ResolveCause::Gone(pin)),
            Some(pin) => {
                progress.note(&format!(
                    "{reference}: the locked digest {pin} is gone; taking what the tag means now"
                ));
                fetch_named(client, reference).await?
            }
            None => return Err(not_found(client, reference, error).await),
        },
        other => other?,
    };
    let manifest = parse(&original)?;
    let mut image = Image {
        kind: Kind::Image,
        root: original.clone(),
        platforms: Vec::new(),
        derived_from: None,
        contents: HashMap::new(),
        attached: Vec::new(),
    };
    match &manifest {
        Manifest::Image(single) => {
            image.kind = kind_of(single.kind(), single.artifact_type.is_some());
            if image.kind == Kind::Image {
                let config = &single.config;
                let bytes = small_blob(client, reference, config.digest, config.size).await?;
                image.platforms.extend(platform_of(&bytes));
                image.contents.insert(config.digest, bytes);
            }
            if let Platforms::Only(wanted) = &request.platforms
                && image.kind == Kind::Image
                && !image
                    .platforms
                    .iter()
                    .any(|platform| wanted.iter().any(|wanted| platform.satisfies(wanted)))
            {
                return Err(ResolveCause::Platform { wanted: wanted[0].clone(), available: image.platforms });
            }
        }
        Manifest::Index(index) => {
            if let Platforms::Only(wanted) = &request.platforms {
                let chosen = choose(index, wanted)?;
                if chosen.len() < index.children.len() && reference.digest().is_some() {
                    progress
                        .note(&format!("{reference}: pinned by digest, so all its platforms are carried"));
                } else if chosen.len() < index.children.len() {
                    image.derived_from = Some(original.digest);
                    image.root = derive(client, reference, index, &original, &chosen).await?;
                }
            }
            image.platforms = match parse(&image.root)? {
                Manifest::Index(index) => index
                    .children
                    .iter()
                    .filter_map(|child| child.platform.clone())
                    .filter(|platform| !platform.is_unknown())
                    .collect(),
                Manifest::Image(_) => index
                    .children
                    .iter()
                    .filter(|child| child.descriptor.digest == image.root.digest)
                    .filter_map(|child| child.platform.clone())
                    .collect(),
            };
        }
    }
    let mut subjects = vec![image.root.digest];
    gather(client, reference, &image.root, &mut image.contents, &mut subjects).await?;
    if options.referrers == Referrers::Carry {
        if image.derived_from.is_some() {
            let lost = referrers_of(client, tags, reference, original.digest).await?;
            if !lost.is_empty() {
                progress.note(&format!(
                    "{reference}: its signatures are for all platforms together and do not fit a part; \
                     use all platforms to carry them"
                ));
            }
        }
        attach(client, tags, reference, subjects, &mut image).await?;
    }
    Ok(image)
}

async fn fetch_named(client: &Client, reference: &Reference) -> Result<FetchedManifest, ResolveCause> {
    let name = Name::of(reference);
    match client.manifest(reference.registry(), reference.repository(), &name).await {
        Err(error) if error.status() == Some(404) => Err(not_found(client, reference, error).await),
        other => Ok(other?),
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

fn parse(fetched: &FetchedManifest) -> Result<Manifest, ResolveCause> {
    Manifest::parse(&fetched.bytes, &fetched.media_type)
        .map_err(|source| ResolveCause::Manifest { digest: fetched.digest, source })
}

/// The positions of the children for the wanted platforms, and of the attestations of these.
fn choose(index: &bundle_oci::Index, wanted: &[Platform]) -> Result<Vec<usize>, ResolveCause> {
    let mut chosen = HashSet::new();
    for wanted in wanted {
        let fits = |platform: &Platform| platform.satisfies(wanted);
        let found: Vec<_> =
            index.children.iter().filter(|child| child.platform.as_ref().is_some_and(fits)).collect();
        if found.is_empty() {
            let mut available: Vec<Platform> =
                index.children.iter().filter_map(|child| child.platform.clone()).collect();
            available.retain(|platform| !platform.is_unknown());
            return Err(ResolveCause::Platform { wanted: wanted.clone(), available });
        }
        chosen.extend(found.iter().map(|child| child.descriptor.digest));
    }
    let wanted = |child: &bundle_oci::Child| {
        chosen.contains(&child.descriptor.digest)
            || child.attests().is_some_and(|digest| chosen.contains(&digest))
    };
    Ok((0..index.children.len()).filter(|&position| wanted(&index.children[position])).collect())
}

/// The single chosen manifest, or an index of the chosen ones that keeps all else that the
/// original index says.
async fn derive(
    client: &Client,
    reference: &Reference,
    index: &bundle_oci::Index,
    original: &FetchedManifest,
    chosen: &[usize],
) -> Result<FetchedManifest, ResolveCause> {
    if let [only] = chosen {
        let child = &index.children[*only].descriptor;
        return fetch_child(client, reference, child).await;
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
    Ok(FetchedManifest { digest: Digest::of(&bytes), bytes, media_type: original.media_type.clone() })
}

async fn fetch_child(
    client: &Client,
    reference: &Reference,
    child: &bundle_oci::Descriptor,
) -> Result<FetchedManifest, ResolveCause> {
    let name = Name::Digest(child.digest);
    let mut fetched = client.manifest(reference.registry(), reference.repository(), &name).await?;
    fetched.media_type = child.media_type.clone();
    Ok(fetched)
}

/// Fetches all manifests below one, and takes note of the manifests that may have referrers.
async fn gather(
    client: &Client,
    reference: &Reference,
    root: &FetchedManifest,
    contents: &mut HashMap<Digest, Bytes>,
    subjects: &mut Vec<Digest>,
) -> Result<(), ResolveCause> {
    let mut level = vec![root.clone()];
    for _ in 0..=bundle_format::Limits::V1.index_depth {
        let mut below = Vec::new();
        for fetched in level {
            if let Manifest::Index(index) = parse(&fetched)? {
                below.extend(index.children);
            }
            contents.insert(fetched.digest, fetched.bytes);
        }
        below.retain(|child| !contents.contains_key(&child.descriptor.digest));
        let mut seen = HashSet::new();
        below.retain(|child| seen.insert(child.descriptor.digest));
        if below.is_empty() {
            return Ok(());
        }
        subjects.extend(
            below.iter().filter(|child| child.attests().is_none()).map(|child| child.descriptor.digest),
        );
        level = futures_util::stream::iter(&below)
            .map(|child| fetch_child(client, reference, &child.descriptor))
            .buffered(8)
            .try_collect()
            .await?;
    }
    Err(ResolveCause::TooDeep)
}

/// Lists of tags by repository, fetched once.
#[derive(Default)]
struct TagCache(tokio::sync::Mutex<KnownTags>);

type KnownTags = HashMap<(Registry, RepositoryName), Option<HashSet<Tag>>>;

impl TagCache {
    /// The repository's tags; `None` if it does not tell, or there are too many to tell.
    async fn of(&self, client: &Client, reference: &Reference) -> Option<HashSet<Tag>> {
        let key = (reference.registry().clone(), reference.repository().clone());
        if let Some(known) = self.0.lock().await.get(&key) {
            return known.clone();
        }
        let tags = client.tags(&key.0, &key.1).await.ok().filter(|tags| !tags.truncated);
        let tags: Option<HashSet<Tag>> = tags.map(|tags| tags.tags.into_iter().collect());
        self.0.lock().await.insert(key, tags.clone());
        tags
    }
}

/// Signatures of signatures end here.
const REFERRER_DEPTH: usize = 3;

async fn attach(
    client: &Client,
    tags: &TagCache,
    reference: &Reference,
    mut subjects: Vec<Digest>,
    image: &mut Image,
) -> Result<(), ResolveCause> {
    let mut seen: HashSet<Digest> = subjects.iter().copied().collect();
    for _ in 0..REFERRER_DEPTH {
        let found: Vec<Vec<Attached>> = futures_util::stream::iter(&subjects)
            .map(|&subject| referrers_of(client, tags, reference, subject))
            .buffered(8)
            .try_collect()
            .await?;
        subjects.clear();
        for attached in found.into_iter().flatten() {
            if seen.insert(attached.manifest.digest) {
                subjects.push(attached.manifest.digest);
                let mut below = Vec::new();
                gather(client, reference, &attached.manifest, &mut image.contents, &mut below).await?;
            }
            image.attached.push(attached);
        }
        if subjects.is_empty() {
            break;
        }
    }
    Ok(())
}

/// What is attached to a manifest: by the referrers API or its fallback tag (distribution-spec
/// §Referrers Tag Schema), and by cosign's tags.
async fn referrers_of(
    client: &Client,
    tags: &TagCache,
    reference: &Reference,
    subject: Digest,
) -> Result<Vec<Attached>, ResolveCause> {
    let (registry, repository) = (reference.registry(), reference.repository());
    let mut found = Vec::new();
    let fallback = format!("sha256-{}", subject.hex());
    let all_tags = tags.of(client, reference).await;
    let may_exist = |tag: &Tag| all_tags.as_ref().is_none_or(|tags| tags.contains(tag));
    let mut listed = client
        .referrers(registry, repository, subject)
        .await?
        .map(|found| found.into_iter().map(|referrer| referrer.digest).collect::<Vec<_>>());
    if let (None, Ok(tag)) = (&listed, fallback.parse::<Tag>())
        && may_exist(&tag)
        && let Some(index) = existing(client, reference, &tag).await?
        && let Ok(Manifest::Index(index)) = parse(&index)
    {
        listed = Some(index.children.iter().map(|child| child.descriptor.digest).collect());
    }
    for digest in listed.unwrap_or_default() {
        let manifest = client.manifest(registry, repository, &Name::Digest(digest)).await?;
        let parsed = parse(&manifest)?;
        if parsed.subject().is_none_or(|descriptor| descriptor.digest != subject) {
            continue;
        }
        let kind = match &parsed {
            Manifest::Image(image) => kind_of(image.kind(), true),
            Manifest::Index(_) => Kind::Artifact,
        };
        found.push(Attached { kind, tag: None, subject, manifest });
    }
    for (suffix, kind) in [("sig", Kind::Signature), ("att", Kind::Attestation), ("sbom", Kind::Sbom)] {
        if let Ok(tag) = format!("{fallback}.{suffix}").parse::<Tag>()
            && may_exist(&tag)
            && let Some(manifest) = existing(client, reference, &tag).await?
        {
            found.push(Attached { kind, tag: Some(tag), subject, manifest });
        }
    }
    Ok(found)
}

async fn existing(
    client: &Client,
    reference: &Reference,
    tag: &Tag,
) -> Result<Option<FetchedManifest>, ResolveCause> {
    match client.manifest(reference.registry(), reference.repository(), &Name::Tag(tag.clone())).await {
        Ok(manifest) => Ok(Some(manifest)),
        Err(error) if error.status() == Some(404) => Ok(None),
        Err(error) => Err(error.into()),
    }
}

/// What an artifact of this type is to people.
fn kind_of(media_type: &MediaType, is_artifact: bool) -> Kind {
    let text = media_type.as_str();
    if text == "application/vnd.cncf.helm.config.v1+json" {
        Kind::Chart
    } else if !is_artifact
        && matches!(
            text,
            "application/vnd.oci.image.config.v1+json" | "application/vnd.docker.container.image.v1+json"
        )
    {
        Kind::Image
    } else if text.contains("spdx") || text.contains("cyclonedx") || text.contains("sbom") {
        Kind::Sbom
    } else if text.contains("in-toto") || text.contains("attestation") {
        Kind::Attestation
    } else if text.contains("signature") || text.contains("cosign") || text.contains("sigstore") {
        Kind::Signature
    } else {
        Kind::Artifact
    }
}

/// The largest config that is looked into, in bytes.
const LARGEST_CONFIG: u64 = 8 << 20;

async fn small_blob(
    client: &Client,
    reference: &Reference,
    digest: Digest,
    size: u64,
) -> Result<Bytes, ResolveCause> {
    if size > LARGEST_CONFIG {
        let host = reference.registry().to_string();
        let what = format!("an image's config has {size} bytes");
        return Err(Error::Misbehaved { host, what }.into());
    }
    Ok(whole_blob(client, reference, digest, size).await?)
}

/// A blob that fits into memory.
pub(crate) async fn whole_blob(
    client: &Client,
    reference: &Reference,
    digest: Digest,
    size: u64,
) -> Result<Bytes, Error> {
    let mut download = client.blob(reference.registry(), reference.repository(), digest, size, 0);
    loop {
        let mut bytes = Vec::new();
        while let Some(piece) = download.next().await? {
            bytes.extend_from_slice(&piece);
        }
        let found = Digest::of(&bytes);
        if found == digest {
            return Ok(bytes.into());
        }
        download.restart(found).await?;
    }
}

/// The platform that an image's config names (image-spec, config.md §Properties).
fn platform_of(config: &[u8]) -> Option<Platform> {
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
