//! Resolves all requests, several at a time.
//! Takes requests and the digests of a lock; gives [`Resolved`], in the order of the requests.

use std::collections::{BTreeMap, HashMap, HashSet};
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use bundle_format::{Artifact, Target};
use bundle_oci::{Digest, Reference, Registry, RepositoryName, chain};
use bundle_registry::{Client, Progress};
use bytes::Bytes;
use futures_util::StreamExt;
use tokio::sync::Semaphore;
use tracing::info;

use super::error::{ResolveCause, ResolveError, ResolveErrors};
use super::resolver::Resolver;
use crate::local::LocalImage;
use crate::referrer::{TagCache, UnobtainableReferrer};
use crate::store::Store;
use crate::{
    ImagePolicy, Limits, Lock, LockMissing, LockPattern, Notice, Platforms, Request, SignatureCheck,
    UpstreamPolicy,
};

/// How references are resolved.
#[derive(Clone, Copy, Debug)]
pub struct ResolveOptions {
    /// The treatment of a locked digest that is gone.
    pub pins: Pins,
    /// How many images are looked at at once.
    pub jobs: usize,
    /// How long what a registry said of referrers counts at most, where the client keeps it across runs; zero to
    /// ask each time.
    pub referrers_max_age: Duration,
}

/// The treatment of a reference that the lock does not have, or whose locked digest is gone.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Pins {
    /// It is resolved, with a note.
    Prefer,
    /// It is an error.
    Demand,
}

/// References resolved to digests, with all their manifests.
#[derive(Debug, Default)]
pub struct Resolved {
    /// The artifacts to deliver.
    pub artifacts: Vec<Artifact>,
    /// The platforms that were chosen for each target, for the lock.
    pub chosen: HashMap<Target, Platforms>,
    /// The requested reference of each target, for the lock.
    pub asked: HashMap<Target, Reference>,
    /// The bytes of every manifest, and of configs that were looked into.
    pub contents: HashMap<Digest, Bytes>,
    /// The outcomes for each image's signatures and platforms, in the statement's words; they are the last of
    /// its artifact's reasons.
    pub marks: HashMap<(Target, Digest), Vec<String>>,
    /// Where each artifact's blobs are read from.
    pub origins: HashMap<Digest, Origin>,
    /// Where else the layers are that are marked non-distributable and carried, as the manifests say.
    pub addresses: HashMap<Digest, Vec<String>>,
    /// Possible referrers of the images that are not carried.
    pub unobtainable: Vec<UnobtainableReferrer>,
    /// Notices about the images.
    pub notices: Vec<Notice>,
    /// What choices of tags came to, for the lock.
    pub patterns: Vec<LockPattern>,
    /// The images that are gone and left out, for the lock.
    pub missing: Vec<LockMissing>,
    /// What came of the checks of publishers' signatures, in the order of the images.
    pub signatures: Vec<SignatureCheck>,
}

/// What is known of the requests' images from before.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Known<'a> {
    /// The digests to keep to.
    pub(crate) pins: &'a HashMap<(Reference, Target), Digest>,
    /// The lock that has them.
    pub(crate) lock: Option<&'a Lock>,
    /// What an earlier run found, for images that are gone now.
    pub(crate) earlier: Option<&'a Lock>,
}

impl Known<'_> {
    /// Whether the lock says that all of these were gone, and are left out.
    pub(super) fn left_out(&self, group: &[&Request]) -> bool {
        let is_left_out =
            |lock: &Lock| group.iter().all(|request| lock.leaves_out(&request.reference, &request.target));
        self.lock.is_some_and(is_left_out)
    }

    /// The last digest of one of these requests for the same image.
    pub(super) fn last(&self, group: &[&Request]) -> Option<Digest> {
        let known = |lock: &Lock| group.iter().find_map(|it| lock.digest(&it.reference, &it.target));
        self.earlier.and_then(known).or_else(|| self.lock.and_then(known))
    }
}

/// Where the blobs of an image are read from. Those of one image share it.
#[derive(Clone, Debug)]
pub enum Origin {
    /// A repository of a registry.
    Registry(Arc<(Registry, RepositoryName)>),
    /// A local source.
    Local(LocalImage),
}

/// Requests that differ in their targets and reasons only.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
struct Group<'a> {
    reference: &'a Reference,
    pin: Option<Digest>,
    platforms: &'a Platforms,
    policy: ImagePolicy,
}

/// The local sources by the references that are read from them.
fn locals(requests: &[Request]) -> Result<HashMap<&Reference, &LocalImage>, ResolveErrors> {
    let mut sources: HashMap<&Reference, &Request> = HashMap::new();
    for request in requests {
        let first = *sources.entry(&request.reference).or_insert(request);
        if first.local != request.local {
            let cause = ResolveCause::TwoSources { reasons: first.reasons.clone() };
            let (reference, reasons) = (request.reference.clone(), request.reasons.clone());
            return Err(ResolveErrors(vec![ResolveError { reference, reasons, cause }]));
        }
    }
    let local = sources.into_iter().filter_map(|(reference, first)| Some((reference, first.local.as_ref()?)));
    Ok(local.collect())
}

/// Resolves each request to a digest, and fetches every manifest that belongs to it.
///
/// # Errors
/// All images that could not be resolved, not only the first.
pub(crate) async fn resolve(
    client: &Client,
    requests: &[Request],
    known: Known<'_>,
    upstream: &UpstreamPolicy,
    options: ResolveOptions,
    progress: &dyn Progress,
) -> Result<Resolved, ResolveErrors> {
    // Several targets may want the same image; it is looked up once.
    let mut groups: BTreeMap<Group<'_>, Vec<&Request>> = BTreeMap::new();
    let mut order = Vec::new();
    for request in requests {
        let pin = known.pins.get(&(request.reference.clone(), request.target.clone())).copied();
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
    let locals = locals(requests)?;
    let resolver = Resolver {
        client,
        locals,
        known,
        upstream,
        checked: Mutex::default(),
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
                let found = resolver.image(group, pin).await;
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
        match &found {
            Ok(Some(image)) => info!(reference = %request.reference, digest = %image.root.digest, "resolved"),
            Ok(None) => info!(reference = %request.reference, "missing at the source"),
            Err(cause) => info!(reference = %request.reference, cause = chain(cause), "not resolved"),
        }
        let cause = match found {
            Ok(None) => {
                let missing = |it: &&Request| LockMissing {
                    reference: it.reference.clone(),
                    target: it.target.to_string(),
                };
                resolved.missing.extend(group.iter().map(missing));
                continue;
            }
            Ok(Some(image)) => {
                resolved.signatures.extend(image.signature.clone());
                match sources.entry(&request.reference).or_insert((image.root.digest, request)) {
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
                }
            }
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
