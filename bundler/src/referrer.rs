//! The artifacts that are attached to images: signatures, attestations, SBOMs and the like, found by the referrers API, its
//! fallback tag and cosign's tags. Takes manifests; gives what travels with them, and notes what cannot be had.

use std::collections::{BTreeMap, HashMap, HashSet};
use std::fmt;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, PoisonError};

use bundle_format::Kind;
use bundle_oci::{Digest, Manifest, Printable, Reference, Registry, RepositoryName, Tag};
use bundle_registry::{Blame, Client, FetchedManifest, Name, ReferrerList};
use futures_util::{StreamExt, TryStreamExt};
use tokio::sync::OnceCell;

use crate::kept_referrers::{self, KeptReferrer};
use crate::kind::kind_of;
use crate::resolve::{Image, Resolver, Source, parse};
use crate::{Limits, Notice, ReferrerOutcome, ResolveCause};

/// The artifacts that are attached to a manifest, and travels with it.
#[derive(Clone)]
pub(crate) struct FoundReferrer {
    pub(crate) kind: Kind,
    pub(crate) tag: Option<Tag>,
    pub(crate) subject: Digest,
    pub(crate) manifest: FetchedManifest,
}

/// Whether an earlier run's answer about referrers may be used.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(crate) enum Anew {
    /// It does.
    No,
    /// Registries are asked.
    Yes,
}

/// Lists of tags by repository, each fetched once, for all tasks.
#[derive(Default)]
pub(crate) struct TagCache {
    known: Mutex<HashMap<(Registry, RepositoryName), KnownTags>>,
    /// How many tags are kept.
    kept: AtomicUsize,
}

/// The most tags that are kept, of all repositories together. Where there are more, each one that is wanted
/// is asked for.
const MOST_TAGS: usize = 200_000;

/// `None` inside if the repository does not list its tags, or has too many.
///
/// The digests in tags that name one; of other tags, the digest of the text: a registry may have a hundred
/// thousand long ones.
type KnownTags = Arc<OnceCell<Option<HashSet<Digest>>>>;

impl TagCache {
    async fn of(&self, client: &Client, reference: &Reference) -> KnownTags {
        let key = (reference.registry().clone(), reference.repository().clone());
        let (registry, repository) = key.clone();
        let known = self.known.lock().unwrap_or_else(PoisonError::into_inner).entry(key).or_default().clone();
        let fetch = || async {
            let tags = client
                .tags(&registry, &repository)
                .await
                .ok()
                .filter(|tags| !tags.truncated && !tags.may_be_cut)
                // A list without the tag that was just read is incomplete.
                .filter(|tags| reference.tag().is_none_or(|tag| tags.tags.contains(tag)));
            let named = tags?.tags.into_iter().filter(|tag| tag.as_str().starts_with("sha256-"));
            let named: HashSet<Digest> = named.map(|tag| Digest::of(tag.as_str().as_bytes())).collect();
            let before = self.kept.fetch_add(named.len(), Ordering::Relaxed);
            (before + named.len() <= MOST_TAGS).then_some(named)
        };
        known.get_or_init(fetch).await;
        known
    }
}

/// A possible referrer of an image that is not carried, because the registry does not provide it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct UnobtainableReferrer {
    /// The image.
    pub reference: Reference,
    /// The manifest that it is attached to.
    pub subject: Digest,
    /// The referrer, if it is one that the registry lists.
    pub referrer: Option<Digest>,
    /// Why not.
    pub why: String,
}

impl fmt::Display for UnobtainableReferrer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.referrer {
            Some(referrer) => {
                write!(
                    f,
                    "{}: the referrer {referrer} is not carried: {}",
                    self.reference,
                    Printable(&self.why)
                )
            }
            None => write!(f, "{}: its referrers are not known: {}", self.reference, Printable(&self.why)),
        }
    }
}

/// The size of a note beside its text, in bytes.
const NOTE: usize = 512;

/// How many characters of an error a statement has.
const LONGEST_WHY: usize = 120;

/// Whether a registry answered, so that asking once more changes nothing.
pub(crate) fn is_answer(error: &bundle_registry::Error) -> bool {
    matches!(error.blame(), Blame::Refused(_) | Blame::Misbehaved | Blame::NotFollowed)
}

impl Resolver<'_> {
    /// Finds what is attached to these manifests of an image, and to that again.
    pub(crate) async fn attach(
        &self,
        reference: &Reference,
        mut subjects: Vec<Digest>,
        image: &mut Image,
        anew: Anew,
    ) -> Result<(), ResolveCause> {
        let mut seen: HashSet<Digest> = subjects.iter().copied().collect();
        for _ in 0..Limits::DEFAULT.referrer_depth {
            let found: Vec<Vec<FoundReferrer>> = futures_util::stream::iter(&subjects)
                .map(|&subject| self.referrers_of(reference, subject, anew))
                .buffered(8)
                .try_collect()
                .await?;
            subjects.clear();
            for attached in found.into_iter().flatten() {
                if seen.insert(attached.manifest.digest) {
                    subjects.push(attached.manifest.digest);
                    let mut below = Vec::new();
                    match self.gather(reference, &attached.manifest, &mut image.contents, &mut below).await {
                        Err(ResolveCause::Registry(error)) if is_answer(&error) => {
                            let digest = attached.manifest.digest;
                            self.lose(reference, attached.subject, Some(digest), bundle_oci::chain(&error))?;
                            continue;
                        }
                        other => other?,
                    }
                }
                image.attached.push(attached);
            }
            if subjects.is_empty() {
                break;
            }
        }
        Ok(())
    }

    /// The referrers of a manifest, as the check of its signatures found them or as they are looked up now.
    pub(crate) async fn referrers_of(
        &self,
        reference: &Reference,
        subject: Digest,
        anew: Anew,
    ) -> Result<Vec<FoundReferrer>, ResolveCause> {
        match self.remembered(reference, subject) {
            Some(found) => Ok(found),
            None => self.look_up_referrers(reference, subject, anew).await,
        }
    }

    /// What [`Self::remember`] keeps of a manifest.
    fn remembered(&self, reference: &Reference, subject: Digest) -> Option<Vec<FoundReferrer>> {
        let checked = self.checked.lock().unwrap_or_else(PoisonError::into_inner);
        checked.get(&(reference.clone(), subject)).cloned()
    }

    /// Keeps the referrers of a manifest for the rest of this run, so that they are asked for once.
    pub(crate) fn remember(&self, reference: &Reference, subject: Digest, found: &[FoundReferrer]) {
        let mut checked = self.checked.lock().unwrap_or_else(PoisonError::into_inner);
        checked.insert((reference.clone(), subject), found.to_vec());
    }

    /// The referrers of a manifest, from the registry, or from an earlier run if that is still valid and not
    /// overridden by `anew`.
    pub(crate) async fn look_up_referrers(
        &self,
        reference: &Reference,
        subject: Digest,
        anew: Anew,
    ) -> Result<Vec<FoundReferrer>, ResolveCause> {
        let longest = self.options.referrers_max_age;
        if anew == Anew::No
            && matches!(self.source(reference), Source::Registry(_))
            && let Some(kept) = kept_referrers::recall(self.client, reference, subject, longest)
            && let Some(found) = self.as_kept(reference, subject, &kept).await
        {
            return Ok(found);
        }
        let found = self.listed_referrers(reference, subject).await?;
        let all = self.unobtainable.lock().unwrap_or_else(PoisonError::into_inner);
        let lost = all.iter().any(|lost| lost.reference == *reference && lost.subject == subject);
        drop(all);
        if !lost && matches!(self.source(reference), Source::Registry(_)) {
            kept_referrers::keep(self.client, reference, subject, &found);
        }
        Ok(found)
    }

    /// The manifests of an earlier run's referrers; none if one of them can no longer be fetched.
    async fn as_kept(
        &self,
        reference: &Reference,
        subject: Digest,
        kept: &[KeptReferrer],
    ) -> Option<Vec<FoundReferrer>> {
        let mut found = Vec::new();
        for KeptReferrer { digest, kind, tag } in kept.iter().cloned() {
            let manifest = self.manifest(reference, digest, None).await.ok()?;
            parse(&manifest).ok()?;
            found.push(FoundReferrer { kind, tag, subject, manifest });
        }
        Some(found)
    }

    /// The artifacts that are attached to a manifest: by the referrers API or its fallback tag (distribution-spec
    /// §Referrers Tag Schema), and by cosign's tags.
    async fn listed_referrers(
        &self,
        reference: &Reference,
        subject: Digest,
    ) -> Result<Vec<FoundReferrer>, ResolveCause> {
        let mut found = Vec::new();
        let fallback = format!("sha256-{}", subject.hex());
        let mut listed = match self.source(reference).referrers(reference, subject).await? {
            ReferrerList::Listed(found) => {
                Some(found.into_iter().map(|referrer| referrer.digest).collect::<Vec<_>>())
            }
            ReferrerList::Partly { found, why } => {
                self.lose(reference, subject, None, why)?;
                Some(found.into_iter().map(|referrer| referrer.digest).collect())
            }
            ReferrerList::Unsupported => None,
            ReferrerList::Unobtainable { why } => {
                self.lose(reference, subject, None, why)?;
                None
            }
        };
        if let (None, Ok(tag)) = (&listed, fallback.parse::<Tag>())
            && let Some(index) = self.tagged(reference, subject, &tag).await?
        {
            match parse(&index) {
                Ok(Manifest::Index(index)) => {
                    listed = Some(index.children.iter().map(|child| child.descriptor.digest).collect());
                }
                Ok(Manifest::Image(_)) => {
                    self.lose(reference, subject, None, format!("the tag {tag} is no list of referrers"))?;
                }
                Err(error) => {
                    self.lose(reference, subject, None, format!("{tag}: {}", bundle_oci::chain(&error)))?;
                }
            }
        }
        for digest in listed.unwrap_or_default() {
            let manifest = match self.manifest(reference, digest, None).await {
                // An answer about one referrer is no reason to leave the image behind.
                Err(ResolveCause::Registry(error)) if is_answer(&error) => {
                    self.lose(reference, subject, Some(digest), bundle_oci::chain(&error))?;
                    continue;
                }
                Err(ResolveCause::Registry(source)) => {
                    return Err(ResolveCause::Referrer { referrer: digest, subject, source });
                }
                other => other?,
            };
            let parsed = match parse(&manifest) {
                Ok(parsed) => parsed,
                Err(error) => {
                    self.lose(reference, subject, Some(digest), bundle_oci::chain(&error))?;
                    continue;
                }
            };
            if parsed.subject().is_none_or(|descriptor| descriptor.digest != subject) {
                continue;
            }
            let kind = match &parsed {
                Manifest::Image(image) => kind_of(image.kind(), true),
                Manifest::Index(_) => Kind::Artifact,
            };
            found.push(FoundReferrer { kind, tag: None, subject, manifest });
        }
        for (suffix, kind) in [("sig", Kind::Signature), ("att", Kind::Attestation), ("sbom", Kind::Sbom)] {
            if let Ok(tag) = format!("{fallback}.{suffix}").parse::<Tag>()
                && let Some(manifest) = self.tagged(reference, subject, &tag).await?
            {
                found.push(FoundReferrer { kind, tag: Some(tag), subject, manifest });
            }
        }
        Ok(found)
    }

    /// The outcomes for an image's possible referrers; `split` if its index was cut and the signatures of the
    /// whole index are left out.
    pub(crate) fn outcomes(&self, reference: &Reference, image: &Image, split: bool) -> Vec<ReferrerOutcome> {
        let mut seen = HashSet::new();
        let mut carried: BTreeMap<&'static str, usize> = BTreeMap::new();
        for attached in image.attached.iter().filter(|attached| seen.insert(attached.manifest.digest)) {
            *carried.entry(attached.kind.as_str()).or_default() += 1;
        }
        let carried: Vec<_> = carried.into_iter().collect();
        let all = self.unobtainable.lock().unwrap_or_else(PoisonError::into_inner);
        let mut lost: Vec<&str> =
            all.iter().filter(|lost| lost.reference == *reference).map(|lost| lost.why.as_str()).collect();
        lost.sort_unstable();
        let mut outcomes = Vec::new();
        if split {
            outcomes.push(ReferrerOutcome::Split);
        }
        match lost.first() {
            Some(why) => {
                // A reason of a statement has an end, and the first words say most.
                let why: String = why.chars().take(LONGEST_WHY).collect();
                outcomes.push(ReferrerOutcome::NotObtainable { why, carried });
            }
            None if !carried.is_empty() => outcomes.push(ReferrerOutcome::Carried(carried)),
            None if !split => outcomes.push(ReferrerOutcome::NoneUpstream),
            None => {}
        }
        outcomes
    }

    /// Takes note of what may be attached and is not carried.
    ///
    /// # Errors
    /// [`ResolveCause::TooMuch`]: a registry chooses how much there is to note.
    fn lose(
        &self,
        reference: &Reference,
        subject: Digest,
        referrer: Option<Digest>,
        why: String,
    ) -> Result<(), ResolveCause> {
        self.store.reserve(2 * (why.len() + NOTE) as u64)?;
        let lost = UnobtainableReferrer { reference: reference.clone(), subject, referrer, why };
        let mut all = self.unobtainable.lock().unwrap_or_else(PoisonError::into_inner);
        // A registry says the same of each of an image's manifests.
        let told = all.iter().any(|known| known.reference == *reference && known.why == lost.why);
        if !told {
            self.say(Notice::Unobtainable(lost.clone()));
        }
        all.push(lost);
        Ok(())
    }

    /// The manifest of a tag that may be missing. Registries count pulls, not HEAD requests: HEAD is used
    /// where the list of tags does not have the tag.
    async fn tagged(
        &self,
        reference: &Reference,
        subject: Digest,
        tag: &Tag,
    ) -> Result<Option<FetchedManifest>, ResolveCause> {
        let (registry, repository) = (reference.registry(), reference.repository());
        let name = Name::Tag(tag.clone());
        match self.source(reference).knows(tag) {
            Some(true) => return self.named(reference, &name).await.map(Some),
            Some(false) => return Ok(None),
            None => {}
        }
        match self.tags.of(self.client, reference).await.get() {
            Some(Some(tags)) if !tags.contains(&Digest::of(tag.as_str().as_bytes())) => return Ok(None),
            Some(Some(_)) => {}
            _ => match self.client.manifest_exists(registry, repository, &name).await {
                Ok(None) => return Ok(None),
                Ok(Some(_)) => {}
                Err(error) if is_answer(&error) => {
                    self.lose(reference, subject, None, bundle_oci::chain(&error))?;
                    return Ok(None);
                }
                Err(error) => return Err(error.into()),
            },
        }
        match self.named(reference, &name).await {
            Ok(manifest) => Ok(Some(manifest)),
            Err(ResolveCause::Registry(error)) if error.status() == Some(404) => Ok(None),
            Err(ResolveCause::Registry(error)) if is_answer(&error) => {
                self.lose(reference, subject, None, format!("{tag}: {}", bundle_oci::chain(&error)))?;
                Ok(None)
            }
            Err(error) => Err(error),
        }
    }
}
