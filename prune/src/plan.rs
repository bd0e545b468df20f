//! The plan of a removal: a pure function of what a stream brought, what kept bundles want, what is there, and what
//! runs. Gives what can go, what it frees, and what stays although no kept bundle wants it, with the reason.

use std::collections::{BTreeMap, BTreeSet, HashMap, HashSet};
use std::fmt;

use bundle_format::{BundleId, StreamName, Timestamp};
use bundle_oci::{Digest, Tag};
use serde::{Deserialize, Serialize};

use crate::{InUse, Ledger, LiveArtifact, LiveTag, Repository, Wanted};

/// What a plan is made of.
#[derive(Clone, Copy, Debug)]
pub struct Question<'a> {
    /// What receipts say.
    pub ledger: &'a Ledger,
    /// The stream whose images may go.
    pub stream: &'a StreamName,
    /// What the kept bundles of all streams want.
    pub wanted: &'a Wanted,
    /// What is there, of each repository that the stream brought something to.
    pub live: &'a BTreeMap<Repository, Vec<LiveArtifact>>,
    /// What runs.
    pub in_use: &'a InUse,
    /// An image that was pulled at this time or later stays; none if pulls do not matter.
    pub pulled_since: Option<Timestamp>,
}

/// Something that can go.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, rename_all = "camelCase")]
pub struct Removal {
    /// Where it is.
    #[serde(with = "crate::document::repository")]
    pub repository: Repository,
    /// The artifact.
    pub digest: Digest,
    /// Its tags that go; none if it has none.
    pub tags: Vec<Tag>,
    /// Whether the artifact goes too, because nothing needs it. Otherwise only the tags do.
    pub whole: bool,
    /// What goes with it: accessories, and children of an index that nothing else refers to.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub with: Vec<Digest>,
    /// The newest bundle that brought it.
    pub brought_by: BundleId,
    /// When it was pulled last; none if never.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub pulled: Option<Timestamp>,
    /// The bytes of all that it consists of, whoever else has them too.
    pub bytes: u64,
}

/// Something that the stream brought and no kept bundle wants, and that stays nevertheless.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, rename_all = "camelCase")]
pub struct Left {
    /// Where it is.
    #[serde(with = "crate::document::repository")]
    pub repository: Repository,
    /// What is there.
    pub digest: Digest,
    /// The tag that stays; none if it is the artifact.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub tag: Option<Tag>,
    /// Why.
    pub why: Why,
}

/// Why something stays.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub enum Why {
    /// Somebody else moved the tag: the stream did not bring this digest under it.
    Moved,
    /// A rule of the project makes the tag immutable.
    Immutable,
    /// It was pulled lately.
    Pulled(Timestamp),
    /// It may run, under this name.
    InUse(String),
    /// Something is attached to it that the stream did not bring.
    Attached(Digest),
    /// It would take something along that a kept bundle wants.
    Shared(Digest),
    /// An index that stays lists it.
    Listed(Digest),
    /// It has a tag that somebody else set.
    Tagged(Tag),
    /// It has a tag that the plan does not name.
    NotReviewed(Tag),
    /// A kept bundle wants it now.
    Wanted,
    /// Harbor refused, in its words.
    Refused(String),
}

impl Why {
    /// Its stable name for machines.
    pub fn name(&self) -> &'static str {
        match self {
            Self::Moved => "moved",
            Self::Immutable => "immutable",
            Self::Pulled(_) => "pulled",
            Self::InUse(_) => "in-use",
            Self::Attached(_) => "attached",
            Self::Shared(_) => "shared",
            Self::Listed(_) => "listed",
            Self::Tagged(_) => "tagged",
            Self::NotReviewed(_) => "not-reviewed",
            Self::Wanted => "wanted",
            Self::Refused(_) => "refused",
        }
    }
}

impl fmt::Display for Why {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Moved => f.write_str("somebody else moved the tag"),
            Self::Immutable => f.write_str("the tag is immutable"),
            Self::Pulled(at) => write!(f, "it was pulled {at}"),
            Self::InUse(name) => write!(f, "it may be running as {}", bundle_oci::Printable(name)),
            Self::Attached(digest) => write!(f, "{digest} is attached to it, which the stream did not bring"),
            Self::Shared(digest) => write!(f, "it holds {digest}, which a kept bundle wants"),
            Self::Listed(digest) => write!(f, "the index {digest} lists it"),
            Self::Tagged(tag) => write!(f, "somebody else gave it the tag {tag}"),
            Self::NotReviewed(tag) => write!(f, "it has the tag {tag}, which the plan does not name"),
            Self::Wanted => f.write_str("a kept bundle wants it"),
            Self::Refused(text) => write!(f, "Harbor refused: {}", bundle_oci::Printable(text)),
        }
    }
}

/// What a removal frees once Harbor has collected its garbage: each blob once, and none that anything known still
/// needs. Images that people pushed may share blobs with it, which receipts do not know.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Freed {
    /// How many blobs.
    pub blobs: u64,
    /// Their bytes.
    pub bytes: u64,
}

/// Plans the removal: everything that the stream brought, that is as it brought it, and that nothing needs. In the
/// order in which it can be done, indexes before their children.
pub fn plan(question: &Question<'_>) -> (Vec<Removal>, Vec<Left>, Freed) {
    let brought = question.ledger.brought(question.stream);
    let (mut removals, mut left) = (Vec::new(), Vec::new());
    let mut falling: HashSet<(&Repository, Digest)> = HashSet::new();
    for (repository, artifacts) in question.live {
        let (Some(own), tags) = (brought.artifacts.get(repository), brought.tags.get(repository)) else {
            continue;
        };
        let here = Here { question, repository, own, tags, there: There::of(artifacts) };
        let (gone, stays) = here.plan();
        for removal in gone.iter().filter(|removal| removal.whole) {
            falling.insert((repository, removal.digest));
            falling.extend(removal.with.iter().map(|digest| (repository, *digest)));
        }
        removals.extend(gone);
        left.extend(stays);
    }
    let freed = freed(question, &falling);
    (removals, left, freed)
}

/// The blobs of what falls, without those of what stays.
fn freed(question: &Question<'_>, falling: &HashSet<(&Repository, Digest)>) -> Freed {
    let ledger = question.ledger;
    let mut needed = ledger.blobs_of_others(question.stream);
    for (repository, artifacts) in question.live {
        for artifact in artifacts.iter().filter(|it| !falling.contains(&(repository, it.digest))) {
            needed.extend(ledger.extent(artifact.digest).map(|blob| blob.digest));
        }
    }
    let mut counted = HashSet::new();
    let mut freed = Freed::default();
    for blob in falling.iter().flat_map(|(_, digest)| ledger.extent(*digest)) {
        if !needed.contains(&blob.digest)
            && !question.wanted.has_blob(blob.digest)
            && counted.insert(blob.digest)
        {
            freed.blobs += 1;
            freed.bytes = freed.bytes.saturating_add(blob.size);
        }
    }
    freed
}

/// One repository as it is.
struct There<'a> {
    artifacts: BTreeMap<Digest, &'a LiveArtifact>,
    /// The indexes that list each manifest.
    parents: HashMap<Digest, BTreeSet<Digest>>,
}

impl<'a> There<'a> {
    fn of(artifacts: &'a [LiveArtifact]) -> Self {
        let mut parents: HashMap<Digest, BTreeSet<Digest>> = HashMap::new();
        for artifact in artifacts {
            for child in &artifact.children {
                parents.entry(*child).or_default().insert(artifact.digest);
            }
        }
        Self { artifacts: artifacts.iter().map(|it| (it.digest, it)).collect(), parents }
    }

    fn parents(&self, digest: Digest) -> impl Iterator<Item = Digest> + '_ {
        self.parents.get(&digest).into_iter().flatten().copied()
    }
}

/// The plan for one repository.
struct Here<'a> {
    question: &'a Question<'a>,
    repository: &'a Repository,
    own: &'a HashMap<Digest, BundleId>,
    tags: Option<&'a BTreeMap<Tag, BTreeSet<Digest>>>,
    there: There<'a>,
}

impl Here<'_> {
    fn plan(&self) -> (Vec<Removal>, Vec<Left>) {
        let mut left = Vec::new();
        // What has no tag that stays, was brought, and is wanted by nobody: it can go as a whole.
        let mut whole: BTreeSet<Digest> = BTreeSet::new();
        let mut loose: BTreeMap<Digest, Vec<&LiveTag>> = BTreeMap::new();
        for artifact in self.there.artifacts.values() {
            let mut foreign = None;
            let mut stays = false;
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
        } else if !given.contains(&digest) {
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
                let tagged = self.there.artifacts.get(child).is_some_and(|child| !child.tags.is_empty());
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

#[cfg(test)]
mod tests {
    use bundle_format::Outcome;
    use proptest::prelude::*;

    use super::*;
    use crate::ledger::tests::{bundle, digest, receipt};
    use crate::{LiveAccessory, Recorded};

    /// An artifact `of`, as the double of a Harbor has it.
    fn live(of: &str, tags: &[&str]) -> LiveArtifact {
        let tag = |name: &&str| LiveTag { name: name.parse().unwrap(), immutable: false, pulled: None };
        let tags = tags.iter().map(tag).collect();
        LiveArtifact { digest: digest(of), tags, pulled: None, children: Vec::new(), accessories: Vec::new() }
    }

    fn at(name: &str) -> Repository {
        Repository { project: "cache".parse().unwrap(), name: name.parse().unwrap() }
    }

    /// The nights of streams, and what is in the repositories of `cache`.
    #[derive(Default)]
    struct Scene {
        ledger: Ledger,
        live: BTreeMap<Repository, Vec<LiveArtifact>>,
        in_use: InUse,
        pulled_since: Option<Timestamp>,
    }

    impl Scene {
        fn night(mut self, stream: &str, number: u64, artifacts: &[(&str, &str, Outcome)]) -> Self {
            self.ledger.add(&receipt(&bundle(stream, number), number as i64, artifacts));
            self
        }

        fn has(mut self, repository: &str, artifacts: Vec<LiveArtifact>) -> Self {
            self.live.insert(at(repository), artifacts);
            self
        }

        fn plan(&self, keep: usize) -> (Vec<Removal>, Vec<Left>, Freed) {
            let streams: Vec<StreamName> = self.ledger.streams().cloned().collect();
            let kept: Vec<BundleId> = streams
                .iter()
                .flat_map(|stream| self.ledger.kept(stream, keep, &Recorded::default()).bundles)
                .collect();
            plan(&Question {
                ledger: &self.ledger,
                stream: &"s".parse().unwrap(),
                wanted: &self.ledger.wanted(&kept),
                live: &self.live,
                in_use: &self.in_use,
                pulled_since: self.pulled_since,
            })
        }

        /// What goes, as `repository:tags` with `!` if the artifact goes too, and what stays with its reason.
        fn lines(&self, keep: usize) -> (Vec<String>, Vec<String>) {
            let (removals, left, _) = self.plan(keep);
            let gone = removals.iter().map(|it| {
                let tags: Vec<&str> = it.tags.iter().map(Tag::as_str).collect();
                format!("{}:{}{}", it.repository.name, tags.join(","), if it.whole { "!" } else { "" })
            });
            let left = left.iter().map(|it| {
                let tag = it.tag.as_ref().map_or(String::new(), |tag| format!(":{tag}"));
                format!("{}{tag} {}", it.repository.name, it.why.name())
            });
            (gone.collect(), left.collect())
        }
    }

    use Outcome::{Moved, Present, Pushed, Skipped};

    #[test]
    fn what_no_kept_bundle_wants_goes_and_its_own_bytes_are_counted_once() {
        let scene = Scene::default()
            .night("s", 1, &[("a:1", "a1", Pushed), ("b:1", "b1", Pushed), ("c:latest", "c1", Pushed)])
            .night("s", 2, &[("a:2", "a2", Pushed), ("b:1", "b1", Present), ("c:latest", "c2", Moved)])
            .has("a", vec![live("a1", &["1"]), live("a2", &["2"])])
            .has("b", vec![live("b1", &["1"])])
            .has("c", vec![live("c1", &[]), live("c2", &["latest"])]);
        assert_eq!(scene.lines(1), (vec!["a:1!".to_owned(), "c:!".to_owned()], vec![]));
        let (removals, _, freed) = scene.plan(1);
        // Manifest and layer of each, and not the base that all share.
        assert_eq!(freed, Freed { blobs: 4, bytes: 2200 });
        assert_eq!(removals[0].bytes, 6100);
        assert_eq!(removals[0].brought_by, bundle("s", 1));
        assert_eq!(scene.lines(2), (vec![], vec![]));
    }

    #[test]
    fn nothing_goes_that_people_pushed_moved_tagged_or_signed() {
        let mut signed = live("d1", &["1"]);
        signed.accessories.push(LiveAccessory { digest: digest("their signature"), of_harbor: false });
        let mut theirs = live("their index", &["x"]);
        theirs.children.push(digest("e1"));
        let scene = Scene::default()
            .night(
                "s",
                1,
                &[
                    ("a:1", "a1", Present),
                    ("b:1", "b1", Pushed),
                    ("c:1", "c1", Pushed),
                    ("d:1", "d1", Pushed),
                    ("e:1", "e1", Pushed),
                    ("f:1", "f1", Skipped),
                ],
            )
            .night("s", 2, &[("z:1", "z", Pushed)])
            .has("a", vec![live("a1", &["1"]), live("own", &["dev"])])
            .has("b", vec![live("other", &["1"])])
            .has("c", vec![live("c1", &["1", "stable"])])
            .has("d", vec![signed])
            .has("e", vec![live("e1", &["1"]), theirs])
            .has("f", vec![live("theirs", &["1"])]);
        let (gone, left) = scene.lines(1);
        // Tags of the stream's own go; the artifacts stay with what people made of them.
        assert_eq!(gone, ["c:1", "e:1"]);
        assert_eq!(left, ["b:1 moved", "c tagged", "d attached", "e listed"]);
    }

    #[test]
    fn what_another_stream_wants_is_wanted() {
        let scene = Scene::default()
            .night("s", 1, &[("a:1", "a1", Pushed), ("b:1", "b1", Pushed)])
            .night("s", 2, &[("z:1", "z", Pushed)])
            .night("t", 1, &[("a:1", "a1", Present)])
            .has("a", vec![live("a1", &["1"])])
            .has("b", vec![live("b1", &["1"])]);
        assert_eq!(scene.lines(1), (vec!["b:1!".to_owned()], vec![]));
    }

    #[test]
    fn what_runs_was_pulled_lately_or_is_immutable_stays_and_is_said() {
        let time = |at| Timestamp::from_unix(at).unwrap();
        let mut pulled = live("a1", &["1"]);
        pulled.pulled = Some(time(500));
        let mut long_ago = live("b1", &["1"]);
        long_ago.pulled = Some(time(499));
        let mut fixed = live("c1", &["1", "2"]);
        fixed.tags[0].immutable = true;
        let mut by_tag = live("e2", &["1", "2"]);
        by_tag.tags[0].pulled = Some(time(600));
        let mut scene = Scene::default()
            .night(
                "s",
                1,
                &[
                    ("a:1", "a1", Pushed),
                    ("b:1", "b1", Pushed),
                    ("c:1", "c1", Pushed),
                    ("c:2", "c1", Pushed),
                    ("d:1", "d1", Pushed),
                    ("e:1", "e2", Pushed),
                    ("f:1", "f1", Pushed),
                ],
            )
            .night("s", 2, &[("e:2", "e2", Pushed)])
            .has("a", vec![pulled])
            .has("b", vec![long_ago])
            .has("c", vec![fixed])
            .has("d", vec![live("d1", &["1"])])
            .has("e", vec![by_tag])
            .has("f", vec![live("f1", &["1"])]);
        scene.pulled_since = Some(time(500));
        scene.in_use.add("harbor.example/cache/d:1").unwrap();
        scene.in_use.add(&format!("docker.io/x/y@{}", digest("layer of f1"))).unwrap();
        let (gone, mut left) = scene.lines(1);
        left.sort();
        assert_eq!(gone, ["b:1!", "c:2"]);
        assert_eq!(left, ["a pulled", "c:1 immutable", "d in-use", "e:1 pulled", "f in-use"]);
        scene.pulled_since = None;
        assert_eq!(scene.lines(1).0, ["a:1!", "b:1!", "c:2", "e:1"]);
    }

    #[test]
    fn an_index_takes_along_only_what_nothing_else_needs() {
        let index = |of: &str, tags: &[&str], children: &[&str]| {
            let mut index = live(of, tags);
            index.children = children.iter().map(|child| digest(child)).collect();
            index
        };
        let mut attached = index("i4", &["4"], &["p6"]);
        attached.accessories.push(LiveAccessory { digest: digest("sig"), of_harbor: false });
        attached.accessories.push(LiveAccessory { digest: digest("sbom"), of_harbor: true });
        let scene = Scene::default()
            .night(
                "s",
                1,
                &[
                    ("a:1", "i1", Pushed),
                    ("a:2", "i2", Pushed),
                    ("a:4", "i4", Pushed),
                    ("a:p1", "p1", Pushed),
                    ("a", "sig", Pushed),
                ],
            )
            .night("s", 2, &[("a:3", "i3", Pushed), ("a", "p4", Pushed)])
            .has(
                "a",
                vec![
                    index("i1", &["1"], &["p1", "p2"]),
                    index("i2", &["2"], &["p3", "p4"]),
                    index("i3", &["3"], &["p2", "p5"]),
                    attached,
                    live("p1", &["p1"]),
                    live("p2", &[]),
                    live("p3", &[]),
                    live("p4", &[]),
                    live("p5", &[]),
                    live("p6", &[]),
                ],
            );
        let (removals, left, _) = scene.plan(1);
        let with = |of: &str| -> BTreeSet<Digest> {
            let removal = removals.iter().find(|it| it.digest == digest(of)).unwrap();
            removal.with.iter().copied().collect()
        };
        // p2 is i3's too, and p1 has a tag of its own, which goes after its index.
        assert!(with("i1").is_empty());
        assert_eq!(with("i4"), [digest("p6"), digest("sig"), digest("sbom")].into());
        let position = |of: &str| removals.iter().position(|it| it.digest == digest(of));
        assert!(position("i1") < position("p1"));
        // i2 would take p4 along, which the kept bundle has by its digest.
        assert_eq!(position("i2"), None);
        let of_i2 = left.iter().find(|it| it.digest == digest("i2")).unwrap();
        assert_eq!(of_i2.why, Why::Shared(digest("p4")));
    }

    /// A small world: which image is behind each tag, night by night, and what people do in between.
    #[derive(Clone, Debug)]
    struct World {
        nights: Vec<Vec<(u8, u8, u8)>>,
        people: Vec<(u8, u8, u8)>,
        keep: usize,
    }

    fn world() -> impl Strategy<Value = World> {
        let image = || (0..3_u8, 0..3_u8, 0..6_u8);
        let nights = prop::collection::vec(prop::collection::vec(image(), 1..5), 1..8);
        (nights, prop::collection::vec(image(), 0..6), 1..4_usize).prop_map(|(nights, people, keep)| World {
            nights,
            people,
            keep,
        })
    }

    impl World {
        /// Plays the nights of two streams in turn, with people pushing between them. Gives the scene, what people
        /// pushed last, and what each stream's last `keep` nights named.
        #[expect(clippy::type_complexity, reason = "one test reads it")]
        fn play(&self) -> (Scene, BTreeMap<(u8, u8), u8>, HashSet<(u8, u8)>, HashSet<(u8, u8, u8)>) {
            let mut scene = Scene::default();
            let mut tags: BTreeMap<(u8, u8), (u8, bool)> = BTreeMap::new();
            let mut stored: BTreeSet<(u8, u8)> = BTreeSet::new();
            let mut brought: HashSet<(u8, u8, u8)> = HashSet::new();
            let mut people = self.people.iter();
            let mut named: BTreeMap<&str, Vec<Vec<(u8, u8, u8)>>> = BTreeMap::new();
            for (at, night) in self.nights.iter().enumerate() {
                let stream = if at % 3 == 2 { "t" } else { "s" };
                if let Some((repository, tag, image)) = people.next() {
                    tags.insert((*repository, *tag), (*image, true));
                    stored.insert((*repository, *image));
                }
                let mut artifacts: BTreeMap<(u8, u8), (u8, Outcome)> = BTreeMap::new();
                for (repository, tag, image) in night {
                    let place = (*repository, *tag);
                    if artifacts.contains_key(&place) {
                        continue;
                    }
                    let outcome = match tags.get(&place) {
                        Some((there, _)) if there == image => Present,
                        Some(_) => Moved,
                        None => Pushed,
                    };
                    if outcome != Present {
                        tags.insert(place, (*image, false));
                        stored.insert((*repository, *image));
                        if stream == "s" {
                            brought.insert((*repository, *tag, *image));
                        }
                    }
                    artifacts.insert(place, (*image, outcome));
                }
                let names: Vec<(String, String, Outcome)> = artifacts
                    .iter()
                    .map(|((repository, tag), (image, outcome))| {
                        (format!("r{repository}:{tag}"), format!("r{repository} {image}"), *outcome)
                    })
                    .collect();
                let names: Vec<(&str, &str, Outcome)> =
                    names.iter().map(|(target, of, outcome)| (&**target, &**of, *outcome)).collect();
                scene = scene.night(stream, at as u64 + 1, &names);
                let images =
                    artifacts.iter().map(|((repository, tag), (image, _))| (*repository, *tag, *image));
                named.entry(stream).or_default().push(images.collect());
            }
            for (repository, tag, image) in people {
                tags.insert((*repository, *tag), (*image, true));
                stored.insert((*repository, *image));
            }
            for repository in 0..3_u8 {
                let images = stored.iter().filter(|(at, _)| *at == repository);
                let artifacts = images.map(|(_, image)| {
                    let own = tags.iter().filter(|((at, _), (there, _))| *at == repository && there == image);
                    let names: Vec<String> = own.map(|((_, tag), _)| tag.to_string()).collect();
                    let names: Vec<&str> = names.iter().map(String::as_str).collect();
                    live(&format!("r{repository} {image}"), &names)
                });
                let artifacts = artifacts.collect();
                scene = scene.has(&format!("r{repository}"), artifacts);
            }
            let kept: HashSet<(u8, u8)> = named
                .values()
                .flat_map(|nights| nights.iter().rev().take(self.keep).flatten())
                .map(|(repository, _, image)| (*repository, *image))
                .collect();
            let theirs = tags.into_iter().filter(|(_, (_, is_theirs))| *is_theirs);
            let theirs = theirs.map(|(place, (image, _))| (place, image)).collect();
            (scene, theirs, kept, brought)
        }
    }

    proptest! {
        #[test]
        fn a_plan_has_nothing_that_was_not_brought_is_wanted_or_was_moved_since(world in world()) {
            let (scene, theirs, kept, brought) = world.play();
            let (removals, _, _) = scene.plan(world.keep);
            let mut gone = HashSet::new();
            for removal in &removals {
                let repository: u8 = removal.repository.name.as_str()[1..].parse().unwrap();
                let image = (0..6_u8).find(|image| digest(&format!("r{repository} {image}")) == removal.digest);
                let image = image.unwrap();
                let is_own = brought.iter().any(|(at, _, it)| (*at, *it) == (repository, image));
                prop_assert!(is_own, "not brought: {removal:?}");
                for tag in &removal.tags {
                    let tag: u8 = tag.as_str().parse().unwrap();
                    prop_assert!(brought.contains(&(repository, tag, image)), "{tag} not brought: {removal:?}");
                    // What people pushed last under a tag is the stream's only if the stream had brought just that.
                    if let Some(there) = theirs.get(&(repository, tag)) {
                        prop_assert_eq!(*there, image);
                    }
                }
                if removal.whole {
                    prop_assert!(!kept.contains(&(repository, image)), "wanted: {removal:?}");
                    let own = theirs.iter().any(|((at, tag), there)| {
                        let tag: Tag = tag.to_string().parse().unwrap();
                        *at == repository && *there == image && !removal.tags.contains(&tag)
                    });
                    prop_assert!(!own, "has a tag of people: {removal:?}");
                    prop_assert!(gone.insert((repository, image)), "twice: {removal:?}");
                }
            }
            // With all nights kept, nothing that any night names goes.
            let all = World { keep: 100, ..world.clone() };
            let (scene, _, kept, _) = all.play();
            for removal in scene.plan(100).0 {
                let wanted = kept.iter().any(|(at, image)| digest(&format!("r{at} {image}")) == removal.digest);
                prop_assert!(!wanted, "{removal:?}");
            }
        }
    }

    #[test]
    fn a_year_of_nights_with_pruning_ends_with_what_the_last_three_bundles_want() {
        let keep = 3;
        let mut scene = Scene::default();
        // What people pushed: a repository of their own, and a tag beside the stream's.
        let theirs = [("own", "own", "1"), ("r0", "theirs", "dev")];
        for (repository, of, tag) in theirs {
            scene = scene.has(repository, vec![live(of, &[tag])]);
        }
        let mut last: Vec<BTreeSet<(String, String)>> = Vec::new();
        let mut most = 0;
        for night in 1..=365_u64 {
            // Three repositories: a new tag each night, a tag that moves each third night, and a tag that stays.
            let images = [
                ("r0".to_owned(), format!("{night}"), format!("r0 {night}")),
                ("r1".to_owned(), "latest".to_owned(), format!("r1 {}", night / 3)),
                ("r2".to_owned(), "stable".to_owned(), "r2".to_owned()),
            ];
            let mut artifacts = Vec::new();
            for (repository, tag, of) in &images {
                let there = scene.live.entry(at(repository)).or_default();
                let before = there.iter().position(|it| it.tags.iter().any(|it| it.name.as_str() == tag));
                let outcome = match before {
                    Some(position) if there[position].digest == digest(of) => Present,
                    Some(position) => {
                        there[position].tags.retain(|it| it.name.as_str() != tag);
                        Moved
                    }
                    None => Pushed,
                };
                if outcome != Present {
                    there.push(live(of, &[tag.as_str()]));
                }
                artifacts.push((format!("{repository}:{tag}"), of.clone(), outcome));
            }
            let names: Vec<(&str, &str, Outcome)> =
                artifacts.iter().map(|(target, of, outcome)| (&**target, &**of, *outcome)).collect();
            scene = scene.night("s", night, &names);
            last.push(images.iter().map(|(repository, _, of)| (repository.clone(), of.clone())).collect());
            for removal in scene.plan(keep).0 {
                let there = scene.live.get_mut(&removal.repository).unwrap();
                for artifact in there.iter_mut().filter(|it| it.digest == removal.digest) {
                    artifact.tags.retain(|tag| !removal.tags.contains(&tag.name));
                    assert!(!removal.whole || artifact.tags.is_empty());
                }
                there.retain(|it| !removal.whole || it.digest != removal.digest);
            }
            most = most.max(scene.live.values().map(Vec::len).sum());
        }
        let expected: BTreeSet<(String, Digest)> = last
            .iter()
            .rev()
            .take(keep)
            .flatten()
            .map(|(repository, of)| (repository.clone(), digest(of)))
            .chain(theirs.map(|(repository, of, _)| (repository.to_owned(), digest(of))))
            .collect();
        let there: BTreeSet<(String, Digest)> = scene
            .live
            .iter()
            .flat_map(|(repository, all)| all.iter().map(|it| (repository.name.to_string(), it.digest)))
            .collect();
        assert_eq!(there, expected);
        assert!(most < 12, "the site grew to {most} artifacts");
    }
}
