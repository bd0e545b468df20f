//! The plan for one repository: which tags can go, and which artifacts as a whole with what they take along.
//! Takes what the stream brought there and what is there; gives rows, and what stays with the reason.

use std::collections::{BTreeMap, BTreeSet, HashMap};

use bundle_format::{BundleId, Timestamp};
use bundle_oci::{Digest, Tag};

use crate::ledger::Given;
use crate::plan::question::Question;
use crate::plan::there::There;
use crate::{Left, LiveTag, Removal, Repository, Why};

/// The plan for one repository.
pub(super) struct Here<'a> {
    pub(super) question: &'a Question<'a>,
    pub(super) repository: &'a Repository,
    pub(super) own: &'a HashMap<Digest, BundleId>,
    pub(super) tags: Option<&'a BTreeMap<Tag, Given>>,
    pub(super) there: There<'a>,
}

impl Here<'_> {
    pub(super) fn plan(&self) -> (Vec<Removal>, Vec<Left>) {
        let mut left = Vec::new();
        // What has no tag that stays, was brought, and is wanted by nobody: it can go as a whole.
        let mut whole: BTreeSet<Digest> = BTreeSet::new();
        let mut loose: BTreeMap<Digest, Vec<&LiveTag>> = BTreeMap::new();
        for artifact in self.there.artifacts.values() {
            let mut foreign = None;
            let mut stays = artifact.has_other_tags;
            let mut tags = Vec::new();
            for tag in &artifact.tags {
                match self.judge(artifact.digest, tag) {
                    Judgement::Loose => tags.push(tag),
                    Judgement::Foreign => foreign = Some(tag.name.clone()),
                    Judgement::Wanted => stays = true,
                    Judgement::Left(why) => {
                        stays = true;
                        left.push(self.left(artifact.digest, Some(&tag.name), why));
                    }
                }
            }
            let is_own = self.own.contains_key(&artifact.digest);
            let wanted = self.question.wanted.has_manifest(self.repository, artifact.digest);
            if is_own && !wanted && !stays {
                match foreign {
                    // With a tag of the stream's beside it that goes, somebody may wonder that this stays.
                    Some(tag) if !tags.is_empty() => {
                        left.push(self.left(artifact.digest, None, Why::Tagged(tag)));
                    }
                    Some(_) => {}
                    None => {
                        whole.insert(artifact.digest);
                    }
                }
            }
            if !tags.is_empty() {
                loose.insert(artifact.digest, tags);
            }
        }
        self.hold(&mut whole, &mut loose, &mut left);
        let mut removals = Vec::new();
        for digest in self.in_order(&whole) {
            // Held above if it could not be said.
            let Ok(with) = self.falls(digest, &whole) else { continue };
            let tags = loose.remove(&digest).unwrap_or_default();
            removals.extend(self.removal(digest, &tags, true, with));
        }
        for (digest, tags) in loose {
            removals.extend(self.removal(digest, &tags, false, BTreeSet::new()));
        }
        (removals, left)
    }

    /// Whether a tag can go, whatever its artifact is.
    fn judge(&self, digest: Digest, tag: &LiveTag) -> Judgement {
        let Some(given) = self.tags.and_then(|tags| tags.get(&tag.name)) else { return Judgement::Foreign };
        if self.question.wanted.has_tag(self.repository, &tag.name) {
            Judgement::Wanted
        } else if !given.digests.contains(&digest) {
            Judgement::Left(Why::Moved)
        } else if tag.immutable {
            Judgement::Left(Why::Immutable)
        } else {
            Judgement::Loose
        }
    }

    /// Takes out what must stay, until nothing more has to: what runs or was pulled, what an index lists that stays,
    /// and what would take something along that is not the stream's.
    fn hold(
        &self,
        whole: &mut BTreeSet<Digest>,
        loose: &mut BTreeMap<Digest, Vec<&LiveTag>>,
        left: &mut Vec<Left>,
    ) {
        loop {
            let held = whole.iter().find_map(|digest| {
                // A child without a tag is its index's, and is said with it.
                if let Some(parent) = self.there.parents(*digest).find(|parent| !whole.contains(parent)) {
                    return Some((*digest, Hold::Listed(parent)));
                }
                let why = match self.falls(*digest, whole) {
                    Ok(with) => self.used(*digest, &with, loose.get(digest)),
                    Err(why) => Some(why),
                };
                Some((*digest, Hold::Left(why?)))
            });
            let Some((digest, hold)) = held else { break };
            whole.remove(&digest);
            match hold {
                Hold::Listed(parent) => {
                    if loose.contains_key(&digest) {
                        left.push(self.left(digest, None, Why::Listed(parent)));
                    }
                }
                Hold::Left(why) => {
                    // Its tags stay with it: who pulls it does so by one of them.
                    loose.remove(&digest);
                    left.push(self.left(digest, None, why));
                }
            }
        }
        // Tags of what stays: a tag that is used stays too.
        loose.retain(|digest, tags| {
            if whole.contains(digest) {
                return true;
            }
            tags.retain(|tag| {
                let why = self.tag_in_use(tag).or_else(|| self.pulled(tag.pulled));
                if let Some(why) = why {
                    left.push(self.left(*digest, Some(&tag.name), why));
                    return false;
                }
                true
            });
            !tags.is_empty()
        });
    }

    /// What Harbor removes with an artifact when those of `whole` go: its accessories, and the children that have no
    /// tag and no parent that stays (its controller/artifact, deleteDeeply).
    fn falls(&self, root: Digest, whole: &BTreeSet<Digest>) -> Result<BTreeSet<Digest>, Why> {
        let mut with = BTreeSet::new();
        let mut next = vec![root];
        while let Some(digest) = next.pop() {
            let Some(artifact) = self.there.artifacts.get(&digest) else { continue };
            for accessory in artifact.accessories.iter().filter(|it| !it.of_harbor) {
                let attached = accessory.digest;
                if self.question.wanted.has_manifest(self.repository, attached) {
                    return Err(Why::Shared(attached));
                }
                if !self.own.contains_key(&attached) {
                    return Err(Why::Attached(attached));
                }
            }
            next.extend(
                artifact
                    .accessories
                    .iter()
                    .map(|accessory| accessory.digest)
                    .filter(|attached| with.insert(*attached)),
            );
            for child in &artifact.children {
                let tagged = self
                    .there
                    .artifacts
                    .get(child)
                    .is_some_and(|it| !it.tags.is_empty() || it.has_other_tags);
                let held = self
                    .there
                    .parents(*child)
                    .any(|parent| parent != root && !whole.contains(&parent) && !with.contains(&parent));
                if tagged || held || *child == root || with.contains(child) {
                    continue;
                }
                if self.question.wanted.has_manifest(self.repository, *child) {
                    return Err(Why::Shared(*child));
                }
                with.insert(*child);
                next.push(*child);
            }
        }
        Ok(with)
    }

    /// Why an artifact that could go is left to those who use it.
    fn used(&self, digest: Digest, with: &BTreeSet<Digest>, tags: Option<&Vec<&LiveTag>>) -> Option<Why> {
        let ledger = self.question.ledger;
        let in_use = self.question.in_use;
        let digests = std::iter::once(digest).chain(with.iter().copied());
        let extent = ledger.extent(digest).map(|blob| blob.digest);
        let runs = digests.clone().chain(extent).find_map(|digest| in_use.digest(digest));
        if let Some(name) = runs {
            return Some(Why::InUse(name.to_owned()));
        }
        if let Some(why) = tags.into_iter().flatten().find_map(|tag| self.tag_in_use(tag)) {
            return Some(why);
        }
        self.pulled(self.last_pull(digest, with))
    }

    /// The newest pull of an artifact, of its tags, and of what goes with it.
    fn last_pull(&self, digest: Digest, with: &BTreeSet<Digest>) -> Option<Timestamp> {
        let all = std::iter::once(&digest).chain(with);
        let all = all.filter_map(|digest| self.there.artifacts.get(digest));
        all.flat_map(|it| it.tags.iter().map(|tag| tag.pulled).chain([it.pulled])).flatten().max()
    }

    fn tag_in_use(&self, tag: &LiveTag) -> Option<Why> {
        self.question.in_use.tag(self.repository, &tag.name).map(Why::InUse)
    }

    fn pulled(&self, at: Option<Timestamp>) -> Option<Why> {
        let (at, since) = (at?, self.question.pulled_since?);
        (at >= since).then_some(Why::Pulled(at))
    }

    /// Those that go as a whole, indexes before what they list: Harbor refuses to remove what is listed.
    fn in_order(&self, whole: &BTreeSet<Digest>) -> Vec<Digest> {
        let mut ordered = Vec::with_capacity(whole.len());
        let mut placed: BTreeSet<Digest> = BTreeSet::new();
        while ordered.len() < whole.len() {
            let before = ordered.len();
            for digest in whole {
                let is_next = !placed.contains(digest)
                    && self
                        .there
                        .parents(*digest)
                        .all(|parent| !whole.contains(&parent) || placed.contains(&parent));
                if is_next {
                    placed.insert(*digest);
                    ordered.push(*digest);
                }
            }
            // Manifests name each other by digest, so that there is no circle; what says so is not removed.
            if ordered.len() == before {
                break;
            }
        }
        ordered
    }

    fn removal(
        &self,
        digest: Digest,
        tags: &[&LiveTag],
        whole: bool,
        with: BTreeSet<Digest>,
    ) -> Option<Removal> {
        let ledger = self.question.ledger;
        let pulled = match whole {
            true => self.last_pull(digest, &with),
            false => tags.iter().filter_map(|tag| tag.pulled).max(),
        };
        Some(Removal {
            repository: self.repository.clone(),
            digest,
            tags: tags.iter().map(|tag| tag.name.clone()).collect(),
            whole,
            with: with.into_iter().collect(),
            brought_by: self.own.get(&digest)?.clone(),
            pulled,
            bytes: ledger.extent(digest).map(|blob| blob.size).sum(),
        })
    }

    fn left(&self, digest: Digest, tag: Option<&Tag>, why: Why) -> Left {
        Left { repository: self.repository.clone(), digest, tag: tag.cloned(), why }
    }
}

/// Whether a tag can go.
enum Judgement {
    /// It can, if nobody uses it.
    Loose,
    /// It was never the stream's.
    Foreign,
    /// A kept bundle names it.
    Wanted,
    /// It stays, and that is said.
    Left(Why),
}

/// Why an artifact does not go as a whole.
enum Hold {
    /// An index that stays lists it.
    Listed(Digest),
    /// Another reason, which holds its tags too.
    Left(Why),
}
