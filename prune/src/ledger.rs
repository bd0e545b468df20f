//! What receipts and statements say of one registry: the places that each bundle named, and what its import
//! brought. Takes receipts in any order, gives the bundles to keep, what they want, and what a stream brought.

use std::collections::{BTreeMap, BTreeSet, HashMap, HashSet};
use std::fmt;
use std::hash::Hash;

use bundle_format::{Blob, BundleId, Outcome, Receipt, Sequence, Statement, StreamName, Target, Timestamp};
use bundle_inventory::StreamRecord;
use bundle_oci::{Digest, ProjectName, RepositoryName, Tag};

/// A repository of a Harbor: its project, and its name inside it.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Repository {
    /// The project.
    pub project: ProjectName,
    /// The name without the project.
    pub name: RepositoryName,
}

impl Repository {
    /// The repository of a target.
    pub fn of(target: &Target) -> Self {
        Self { project: target.project.clone(), name: target.repository.clone() }
    }
}

impl fmt::Display for Repository {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}/{}", self.project, self.name)
    }
}

/// What receipts and statements say. Each target, digest and blob is in it once, however many receipts repeat it.
#[derive(Debug, Default)]
pub struct Ledger {
    targets: Numbered<Target>,
    digests: Numbered<Digest>,
    blobs: Numbered<Digest>,
    /// By the number of the blob.
    sizes: Vec<u64>,
    /// All that an artifact consists of, by the number of its digest.
    extents: HashMap<u32, Box<[u32]>>,
    streams: BTreeMap<StreamName, BTreeMap<(Sequence, Digest), Entry>>,
}

/// What is known of one bundle.
#[derive(Debug, Default)]
struct Entry {
    /// When it was imported last; none if only its statement is known.
    imported: Option<Timestamp>,
    named: Vec<Named>,
}

/// An artifact that a bundle named.
#[derive(Clone, Copy, Debug)]
struct Named {
    target: u32,
    digest: u32,
    /// When this import put it there; none if it did not.
    brought: Option<Timestamp>,
}

/// The bundles of a stream whose artifacts stay.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Kept {
    /// The bundles, the newest first.
    pub bundles: Vec<BundleId>,
    /// Those of them of which neither a receipt nor a statement is known, so that what they want is not.
    pub unknown: Vec<BundleId>,
}

/// What kept bundles want.
#[derive(Clone, Debug, Default)]
pub struct Wanted {
    tags: HashSet<(Repository, Tag)>,
    manifests: HashSet<(Repository, Digest)>,
    blobs: HashSet<Digest>,
}

/// What a stream brought.
#[derive(Clone, Debug, Default)]
pub(crate) struct Brought {
    /// Each tag with what the stream gave it last.
    pub(crate) tags: BTreeMap<Repository, BTreeMap<Tag, Given>>,
    /// The artifacts of each repository, with the newest bundle that brought each.
    pub(crate) artifacts: BTreeMap<Repository, HashMap<Digest, BundleId>>,
}

/// What a stream gave a tag.
#[derive(Clone, Debug, Default)]
pub(crate) struct Given {
    /// The import that did it last, and the number of its bundle.
    last: Option<(Timestamp, Sequence)>,
    /// The digest; several if two imports did at once. A tag that has an earlier one again was moved by somebody else.
    pub(crate) digests: BTreeSet<Digest>,
}

impl Given {
    fn add(&mut self, at: (Timestamp, Sequence), digest: Digest) {
        if self.last < Some(at) {
            self.digests.clear();
            self.last = Some(at);
        }
        if self.last == Some(at) {
            self.digests.insert(digest);
        }
    }
}

impl Ledger {
    /// Adds what a receipt says.
    pub fn add(&mut self, receipt: &Receipt) {
        let own: Vec<u32> = receipt.blobs.iter().map(|blob| self.blob(*blob)).collect();
        let mut named = Vec::with_capacity(receipt.artifacts.len());
        for artifact in &receipt.artifacts {
            let (target, digest) = (self.targets.of(&artifact.target), self.digests.of(&artifact.digest));
            // A digest has the same extent everywhere.
            if !artifact.blobs.is_empty() {
                self.extents.entry(digest).or_insert_with(|| {
                    artifact.blobs.iter().filter_map(|at| own.get(*at as usize).copied()).collect()
                });
            }
            let brought = matches!(artifact.outcome, Outcome::Pushed | Outcome::Moved);
            let brought = brought.then_some(receipt.imported);
            named.push(Named { target, digest, brought });
        }
        let entry = self.entry(&receipt.bundle);
        entry.imported = entry.imported.max(Some(receipt.imported));
        entry.named.extend(named);
    }

    /// Adds what a bundle's statement wants. It brought nothing by itself.
    pub fn add_statement(&mut self, bundle: &BundleId, statement: &Statement) {
        let mut named = Vec::with_capacity(statement.artifacts.len());
        for artifact in &statement.artifacts {
            let (target, digest) = (self.targets.of(&artifact.target), self.digests.of(&artifact.digest));
            named.push(Named { target, digest, brought: None });
        }
        self.entry(bundle).named.extend(named);
    }

    fn entry(&mut self, bundle: &BundleId) -> &mut Entry {
        let stream = self.streams.entry(bundle.stream.clone()).or_default();
        stream.entry((bundle.sequence, bundle.statement)).or_default()
    }

    fn blob(&mut self, blob: Blob) -> u32 {
        let number = self.blobs.of(&blob.digest);
        if number as usize == self.sizes.len() {
            self.sizes.push(blob.size);
        }
        number
    }

    /// Whether a bundle is in it.
    pub fn knows(&self, bundle: &BundleId) -> bool {
        let stream = self.streams.get(&bundle.stream);
        stream.is_some_and(|bundles| bundles.contains_key(&(bundle.sequence, bundle.statement)))
    }

    /// The bundles of a stream.
    pub(crate) fn bundles(&self, stream: &StreamName) -> impl Iterator<Item = (Sequence, Digest)> + '_ {
        self.streams.get(stream).into_iter().flat_map(|bundles| bundles.keys().copied())
    }

    /// The streams, by name.
    pub fn streams(&self) -> impl Iterator<Item = &StreamName> {
        self.streams.keys()
    }

    /// The projects that artifacts go to.
    pub fn projects(&self) -> BTreeSet<ProjectName> {
        self.targets.all.iter().map(|target| target.project.clone()).collect()
    }

    /// The newest bundle of a stream of which there is a receipt.
    pub fn newest(&self, stream: &StreamName) -> Option<BundleId> {
        let bundles = self.streams.get(stream)?;
        let ((sequence, statement), _) = bundles.iter().rev().find(|(_, entry)| entry.imported.is_some())?;
        Some(BundleId { stream: stream.clone(), sequence: *sequence, statement: *statement })
    }

    /// The bundles of a stream to keep: those with the `keep` highest numbers, and the `keep` that were imported
    /// last, which are others after somebody went back. Bundles that were taken back are none of them. Where that is
    /// in doubt, both are kept: those that are the newest with such bundles, and those that are without.
    pub fn kept(&self, stream: &StreamName, keep: usize, record: &StreamRecord) -> Kept {
        let doubted = record.taken_back.union(&record.doubted).copied().collect();
        let (sure, careful) = (
            self.kept_without(stream, keep, record, &record.taken_back),
            self.kept_without(stream, keep, record, &doubted),
        );
        let keys: BTreeSet<(Sequence, Digest)> = sure.union(&careful).copied().collect();
        let mut kept = Kept::default();
        for (sequence, statement) in keys.into_iter().rev() {
            let bundle = BundleId { stream: stream.clone(), sequence, statement };
            if !self.knows(&bundle) {
                kept.unknown.push(bundle.clone());
            }
            kept.bundles.push(bundle);
        }
        kept
    }

    fn kept_without(
        &self,
        stream: &StreamName,
        keep: usize,
        record: &StreamRecord,
        taken_back: &BTreeSet<(Sequence, Digest)>,
    ) -> BTreeSet<(Sequence, Digest)> {
        let known = self.streams.get(stream);
        let counts = |key: &&(Sequence, Digest)| !taken_back.contains(*key);
        let all: BTreeSet<(Sequence, Digest)> = known
            .iter()
            .flat_map(|bundles| bundles.keys())
            .chain(&record.accepted)
            .filter(counts)
            .copied()
            .collect();
        // Two bundles with one number count as one: neither is older.
        let numbers: BTreeSet<Sequence> = all.iter().map(|(number, _)| *number).collect();
        let newest: BTreeSet<Sequence> = numbers.into_iter().rev().take(keep.max(1)).collect();
        let mut imported: Vec<(Timestamp, (Sequence, Digest))> = known
            .iter()
            .flat_map(|bundles| bundles.iter())
            .filter(|(key, _)| counts(key))
            .filter_map(|(key, entry)| Some((entry.imported?, *key)))
            .collect();
        imported.sort();
        let last: BTreeSet<(Sequence, Digest)> =
            imported.into_iter().rev().take(keep.max(1)).map(|(_, key)| key).collect();
        all.into_iter().filter(|key| newest.contains(&key.0) || last.contains(key)).collect()
    }

    /// What these bundles want.
    pub fn wanted<'a>(&self, bundles: impl IntoIterator<Item = &'a BundleId>) -> Wanted {
        let mut wanted = Wanted::default();
        for bundle in bundles {
            let stream = self.streams.get(&bundle.stream);
            let entry = stream.and_then(|bundles| bundles.get(&(bundle.sequence, bundle.statement)));
            for named in entry.iter().flat_map(|entry| &entry.named) {
                let (Some(target), Some(digest)) =
                    (self.targets.get(named.target), self.digests.get(named.digest))
                else {
                    continue;
                };
                let repository = Repository::of(target);
                if let Some(tag) = &target.tag {
                    wanted.tags.insert((repository.clone(), tag.clone()));
                }
                for blob in self.extent(*digest) {
                    wanted.manifests.insert((repository.clone(), blob.digest));
                    wanted.blobs.insert(blob.digest);
                }
                wanted.manifests.insert((repository, *digest));
            }
        }
        wanted
    }

    /// What the bundles of a stream brought, all of them.
    pub(crate) fn brought(&self, stream: &StreamName) -> Brought {
        let mut brought = Brought::default();
        for ((sequence, statement), entry) in self.streams.get(stream).into_iter().flatten() {
            let bundle = BundleId { stream: stream.clone(), sequence: *sequence, statement: *statement };
            for named in &entry.named {
                let Some(at) = named.brought else { continue };
                let (Some(target), Some(digest)) =
                    (self.targets.get(named.target), self.digests.get(named.digest))
                else {
                    continue;
                };
                let repository = Repository::of(target);
                if let Some(tag) = &target.tag {
                    let tags = brought.tags.entry(repository.clone()).or_default();
                    tags.entry(tag.clone()).or_default().add((at, *sequence), *digest);
                }
                brought.artifacts.entry(repository).or_default().insert(*digest, bundle.clone());
            }
        }
        brought
    }

    /// The repositories that a stream brought something to.
    pub fn repositories(&self, stream: &StreamName) -> BTreeSet<Repository> {
        let entries = self.streams.get(stream).into_iter().flatten();
        let named = entries.flat_map(|(_, entry)| entry.named.iter().filter(|named| named.brought.is_some()));
        named.filter_map(|named| self.targets.get(named.target)).map(Repository::of).collect()
    }

    /// All blobs of an artifact, its manifests too, as far as a receipt says them.
    pub fn extent(&self, digest: Digest) -> impl Iterator<Item = Blob> + '_ {
        let number = self.digests.positions.get(&digest);
        let extent = number.and_then(|number| self.extents.get(number));
        extent.into_iter().flatten().filter_map(|at| {
            Some(Blob { digest: *self.blobs.get(*at)?, size: *self.sizes.get(*at as usize)? })
        })
    }

    /// The blobs that bundles of other streams named, kept or not.
    pub(crate) fn blobs_of_others(&self, stream: &StreamName) -> HashSet<Digest> {
        let others = self.streams.iter().filter(|(name, _)| *name != stream);
        let named = others.flat_map(|(_, bundles)| bundles.values()).flat_map(|entry| &entry.named);
        let digests: HashSet<u32> = named.map(|named| named.digest).collect();
        let digests = digests.into_iter().filter_map(|digest| self.digests.get(digest).copied());
        digests.flat_map(|digest| self.extent(digest)).map(|blob| blob.digest).collect()
    }
}

impl Wanted {
    /// Whether a kept bundle names this tag, with whatever digest.
    pub fn has_tag(&self, repository: &Repository, tag: &Tag) -> bool {
        self.tags.contains(&(repository.clone(), tag.clone()))
    }

    /// Whether a kept bundle wants this manifest in this repository, by itself or as a part of another.
    pub fn has_manifest(&self, repository: &Repository, digest: Digest) -> bool {
        self.manifests.contains(&(repository.clone(), digest))
    }

    /// Whether a kept bundle wants this blob anywhere.
    pub(crate) fn has_blob(&self, digest: Digest) -> bool {
        self.blobs.contains(&digest)
    }
}

/// Values, each with a number.
#[derive(Debug)]
struct Numbered<T> {
    all: Vec<T>,
    positions: HashMap<T, u32>,
}

impl<T> Default for Numbered<T> {
    fn default() -> Self {
        Self { all: Vec::new(), positions: HashMap::new() }
    }
}

impl<T: Clone + Eq + Hash> Numbered<T> {
    fn of(&mut self, value: &T) -> u32 {
        if let Some(number) = self.positions.get(value) {
            return *number;
        }
        // Receipts have fewer than 2^32 of them together, by their number and their limits.
        let number = u32::try_from(self.all.len()).unwrap_or(u32::MAX);
        self.all.push(value.clone());
        self.positions.insert(value.clone(), number);
        number
    }

    fn get(&self, number: u32) -> Option<&T> {
        self.all.get(number as usize)
    }
}

#[cfg(test)]
pub(crate) mod tests {
    use bundle_format::Delivered;

    use super::*;

    pub(crate) fn digest(of: &str) -> Digest {
        Digest::of(of.as_bytes())
    }

    pub(crate) fn bundle(stream: &str, sequence: u64) -> BundleId {
        BundleId {
            stream: stream.parse().unwrap(),
            sequence: sequence.try_into().unwrap(),
            statement: digest(&format!("{stream} {sequence}")),
        }
    }

    /// A receipt of artifacts `repository:tag` or `repository`, each of its manifest, a layer of its own, and `base`.
    pub(crate) fn receipt(bundle: &BundleId, imported: i64, artifacts: &[(&str, &str, Outcome)]) -> Receipt {
        let mut blobs: Vec<Blob> = Vec::new();
        let mut position = |blob: Blob| match blobs.iter().position(|known| known.digest == blob.digest) {
            Some(at) => at as u32,
            None => {
                blobs.push(blob);
                blobs.len() as u32 - 1
            }
        };
        let artifacts = artifacts.iter().map(|(target, of, outcome)| {
            let mut own = Vec::new();
            if outcome.is_in_place() {
                own.push(position(Blob { digest: digest(of), size: 100 }));
                own.push(position(Blob { digest: digest(&format!("layer of {of}")), size: 1000 }));
                own.push(position(Blob { digest: digest("base"), size: 5000 }));
                own.sort_unstable();
            }
            let found = matches!(outcome, Outcome::Moved | Outcome::Skipped).then(|| digest("before"));
            let target = format!("cache/{target}").parse().unwrap();
            Delivered {
                target,
                digest: digest(of),
                outcome: *outcome,
                found,
                blobs: own,
                read_back: None,
                scan: None,
            }
        });
        let artifacts = artifacts.collect();
        let receipt = Receipt {
            receipt_version: 1,
            bundle: bundle.clone(),
            previous: None,
            site: "plant".parse().unwrap(),
            registry: "harbor.example".parse().unwrap(),
            imported: Timestamp::from_unix(imported).unwrap(),
            signers: Vec::new(),
            artifacts,
            blobs,
            policies: BTreeMap::new(),
            overrides: Vec::new(),
        };
        receipt.check(&bundle_format::Limits::V1).unwrap();
        receipt
    }

    fn sequences(kept: &Kept) -> Vec<u64> {
        kept.bundles.iter().map(|bundle| bundle.sequence.into()).collect()
    }

    #[test]
    fn the_newest_by_number_and_the_last_by_time_are_kept_and_what_was_taken_back_is_not() {
        let mut ledger = Ledger::default();
        let s: StreamName = "s".parse().unwrap();
        for number in 1..=6 {
            ledger.add(&receipt(&bundle("s", number), 100 + number as i64, &[("a:1", "a", Outcome::Pushed)]));
        }
        let mut recorded = StreamRecord::default();
        assert_eq!(sequences(&ledger.kept(&s, 3, &recorded)), [6, 5, 4]);
        // Somebody went back to the second bundle.
        ledger.add(&receipt(&bundle("s", 2), 200, &[("a:1", "a", Outcome::Moved)]));
        assert_eq!(sequences(&ledger.kept(&s, 3, &recorded)), [6, 5, 4, 2]);
        let key = |number| (bundle("s", number).sequence, bundle("s", number).statement);
        recorded.taken_back.insert(key(6));
        assert_eq!(sequences(&ledger.kept(&s, 3, &recorded)), [5, 4, 3, 2]);
        // Somebody marked the fifth, and perhaps nobody who may: it stays, and so does what would without it.
        recorded.doubted.insert(key(5));
        assert_eq!(sequences(&ledger.kept(&s, 3, &recorded)), [5, 4, 3, 2]);
        assert_eq!(sequences(&ledger.kept(&s, 1, &recorded)), [5, 4, 2]);
        recorded.doubted.clear();
        // The registry accepted a bundle whose receipt is not here.
        recorded.accepted.extend([key(9), key(5)]);
        let kept = ledger.kept(&s, 3, &recorded);
        assert_eq!(sequences(&kept), [9, 5, 4, 2]);
        assert_eq!(kept.unknown, [bundle("s", 9)]);
        // At least one bundle is kept in any case.
        assert_eq!(sequences(&ledger.kept(&s, 0, &StreamRecord::default())), [6, 2]);
    }

    #[test]
    fn what_was_there_before_was_not_brought_and_what_was_left_out_is_wanted_still() {
        let mut ledger = Ledger::default();
        ledger.add(&receipt(
            &bundle("s", 1),
            1,
            &[
                ("a:1", "a", Outcome::Pushed),
                ("b:1", "b", Outcome::Present),
                ("c:1", "c", Outcome::Skipped),
                ("d:1", "d", Outcome::Missing),
            ],
        ));
        let brought = ledger.brought(&"s".parse().unwrap());
        let names: Vec<String> = brought.tags.keys().map(ToString::to_string).collect();
        assert_eq!(names, ["cache/a"]);
        let wanted = ledger.wanted([&bundle("s", 1)]);
        for name in ["a", "b", "c", "d"] {
            let repository = Repository { project: "cache".parse().unwrap(), name: name.parse().unwrap() };
            assert!(wanted.has_tag(&repository, &"1".parse().unwrap()), "{name}");
            assert!(wanted.has_manifest(&repository, digest(name)), "{name}");
        }
        assert_eq!(ledger.extent(digest("a")).map(|blob| blob.size).sum::<u64>(), 6100);
        assert!(ledger.blobs_of_others(&"s".parse().unwrap()).is_empty());
        assert!(ledger.blobs_of_others(&"t".parse().unwrap()).contains(&digest("base")));
    }
}
