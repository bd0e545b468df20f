//! What receipts, bundles and a record say of the places that fit. Takes them one by one, in that order; gives
//! places with the bundles that brought them.

use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;

use bundle_format::{
    Artifact, Blob, BundleId, Outcome, Receipt, Sequence, StreamName, Target, Timestamp, Trusted,
};
use bundle_oci::{Digest, ProjectName, RegistryPath};

use crate::search::answer::{At, Bringing, Now, Place, Problem, Standing};
use crate::search::question::SearchError;
use crate::subject::Fit;
use crate::{Limits, StreamRecord, Subject};

type Key = (Option<RegistryPath>, Target, Digest);
type BundleKey = (Sequence, Digest);

fn whole(bundle: &BundleId) -> (StreamName, Sequence, Digest) {
    (bundle.stream.clone(), bundle.sequence, bundle.statement)
}

/// What is known so far.
#[derive(Debug)]
pub(super) struct Known<'a> {
    subject: &'a Subject,
    places: BTreeMap<Key, Found>,
    /// The bundles of each stream that a registry has, as far as receipts and its record say, with those of which
    /// the content is known.
    streams: BTreeMap<(Option<RegistryPath>, StreamName), BTreeMap<BundleKey, bool>>,
    /// The registries that have a bundle.
    imported: BTreeMap<(StreamName, Sequence, Digest), BTreeSet<RegistryPath>>,
    projects: BTreeMap<RegistryPath, BTreeSet<ProjectName>>,
    receipts: usize,
    bundles: usize,
}

/// A place so far.
#[derive(Debug)]
struct Found {
    place: Place,
    /// The bundles that name it, by stream, with the signers of the newest.
    named: BTreeMap<StreamName, BTreeMap<BundleKey, Vec<String>>>,
    /// The newest bundle whose reasons these are.
    asked: Option<Timestamp>,
}

impl Found {
    fn at(registry: Option<RegistryPath>, target: Target, digest: Digest, fit: Fit) -> Self {
        let part = match fit {
            Fit::Itself => None,
            Fit::Part(part) => Some(part),
        };
        let place = Place {
            registry,
            target,
            digest,
            part,
            sites: BTreeSet::new(),
            brought: Vec::new(),
            first: None,
            bundles: 0,
            reasons: Vec::new(),
            streams: Vec::new(),
            now: Now::Unknown,
            recorded: Vec::new(),
        };
        Self { place, named: BTreeMap::new(), asked: None }
    }

    fn is_named_by(&mut self, bundle: &BundleId, signers: &[String]) {
        let named = self.named.entry(bundle.stream.clone()).or_default();
        let key = (bundle.sequence, bundle.statement);
        // Only the newest one's signers are of interest; a place that every night names has many bundles.
        let is_newest = named.keys().next_back().is_none_or(|newest| *newest <= key);
        named.insert(key, if is_newest { signers.to_vec() } else { Vec::new() });
    }
}

impl<'a> Known<'a> {
    pub(super) fn of(subject: &'a Subject) -> Self {
        Self {
            subject,
            places: BTreeMap::new(),
            streams: BTreeMap::new(),
            imported: BTreeMap::new(),
            projects: BTreeMap::new(),
            receipts: 0,
            bundles: 0,
        }
    }

    /// How many receipts and bundles were read.
    pub(super) fn counts(&self) -> (usize, usize) {
        (self.receipts, self.bundles)
    }

    /// The projects of a registry that receipts name.
    pub(super) fn projects(&self, registry: &RegistryPath) -> impl Iterator<Item = ProjectName> + '_ {
        self.projects.get(registry).into_iter().flatten().cloned()
    }

    fn found(&mut self, key: Key, fit: Fit) -> Result<&mut Found, SearchError> {
        let most = Limits::DEFAULT.places;
        if self.places.len() >= most && !self.places.contains_key(&key) {
            return Err(SearchError::TooMany(most, self.subject.to_string()));
        }
        let (registry, target, digest) = key.clone();
        Ok(self.places.entry(key).or_insert_with(|| Found::at(registry, target, digest, fit)))
    }

    pub(super) fn add_receipt(&mut self, path: &Path, receipt: &Receipt) -> Result<(), SearchError> {
        self.receipts += 1;
        let (registry, bundle) = (&receipt.registry, &receipt.bundle);
        let stream = self.streams.entry((Some(registry.clone()), bundle.stream.clone())).or_default();
        stream.insert((bundle.sequence, bundle.statement), true);
        self.imported.entry(whole(bundle)).or_default().insert(registry.clone());
        let projects = receipt.artifacts.iter().map(|artifact| artifact.target.project.clone());
        self.projects.entry(registry.clone()).or_default().extend(projects);
        for artifact in &receipt.artifacts {
            let parts = artifact.blobs.iter().filter_map(|at| Some(receipt.blobs.get(*at as usize)?.digest));
            let fit = self.subject.fits(Some(registry), &artifact.target, artifact.digest, parts);
            let Some(fit) = fit else { continue };
            let bringing = Bringing {
                bundle: bundle.clone(),
                imported: receipt.imported,
                outcome: artifact.outcome,
                signers: receipt.signers.clone(),
                site: receipt.site.clone(),
                receipt: path.to_owned(),
            };
            let found =
                self.found((Some(registry.clone()), artifact.target.clone(), artifact.digest), fit)?;
            found.is_named_by(bundle, &receipt.signers);
            found.place.sites.insert(receipt.site.clone());
            if matches!(artifact.outcome, Outcome::Pushed | Outcome::Moved) {
                found.place.brought.push(bringing);
            } else if found.place.first.as_ref().is_none_or(|first| receipt.imported < first.imported) {
                found.place.first = Some(bringing);
            }
        }
        Ok(())
    }

    /// Adds what the registry's record says, which one of the site's keys signed.
    pub(super) fn add_record(&mut self, root: &RegistryPath, stream: &StreamName, record: &StreamRecord) {
        let known = self.streams.entry((Some(root.clone()), stream.clone())).or_default();
        known.retain(|key, _| !record.taken_back.contains(key));
        for key in record.accepted.difference(&record.taken_back) {
            known.entry(*key).or_insert(false);
            self.imported.entry((stream.clone(), key.0, key.1)).or_default().insert(root.clone());
        }
        let newest = record.newest(stream);
        for (target, digests) in &record.tags {
            let Ok(target) = target.parse::<Target>() else { continue };
            for digest in digests {
                let parts = std::iter::empty();
                let fit = self.subject.fits(Some(root), &target, *digest, parts);
                let Some(fit) = fit else { continue };
                let Ok(found) = self.found((Some(root.clone()), target.clone(), *digest), fit) else {
                    return;
                };
                found.place.recorded.extend(newest.clone());
            }
        }
    }

    pub(super) fn add_bundle(
        &mut self,
        trusted: &Trusted,
        extent: impl Fn(Digest) -> Vec<Blob>,
    ) -> Result<(), SearchError> {
        self.bundles += 1;
        let statement = trusted.statement();
        let bundle = BundleId::of(statement, trusted.digest());
        let registries = self.imported.get(&whole(&bundle)).cloned().unwrap_or_default();
        // Not imported anywhere, as far as anything says.
        let registries: Vec<Option<RegistryPath>> = match registries.is_empty() {
            true => vec![None],
            false => registries.into_iter().map(Some).collect(),
        };
        for registry in registries {
            let stream = self.streams.entry((registry.clone(), bundle.stream.clone())).or_default();
            stream.insert((bundle.sequence, bundle.statement), true);
            for artifact in &statement.artifacts {
                let Artifact { target, digest, reasons, .. } = artifact;
                let parts = || match self.subject.is_by_digest() {
                    true => extent(*digest),
                    false => Vec::new(),
                };
                let parts = parts().into_iter().map(|blob| blob.digest);
                let Some(fit) = self.subject.fits(registry.as_ref(), target, *digest, parts) else {
                    continue;
                };
                let found = self.found((registry.clone(), target.clone(), *digest), fit)?;
                found.is_named_by(&bundle, trusted.signers());
                if found.asked < Some(statement.created) {
                    found.asked = Some(statement.created);
                    found.place.reasons.clone_from(reasons);
                }
            }
        }
        Ok(())
    }

    /// The bundles that the registry accepted and of which nothing else is here.
    pub(super) fn accepted_only(&self) -> Vec<Problem> {
        let mut problems = Vec::new();
        for ((_, stream), bundles) in &self.streams {
            let only: Vec<&BundleKey> =
                bundles.iter().filter(|(_, is_known)| !**is_known).map(|(key, _)| key).collect();
            if let Some((sequence, statement)) = only.last() {
                let bundle = BundleId { stream: stream.clone(), sequence: *sequence, statement: *statement };
                let why = match only.len() {
                    1 => "neither its receipt nor the bundle was read".to_owned(),
                    count => format!(
                        "neither its receipt nor the bundle was read, nor those of {} before it",
                        count - 1
                    ),
                };
                problems.push(Problem { at: At::Accepted(bundle), why });
            }
        }
        problems
    }

    /// The targets of a registry that fit and that something names, with their digests.
    pub(super) fn targets(&self, registry: &RegistryPath) -> BTreeMap<Target, BTreeSet<Digest>> {
        let mut targets: BTreeMap<Target, BTreeSet<Digest>> = BTreeMap::new();
        for (at, target, digest) in self.places.keys() {
            if at.as_ref() == Some(registry) {
                targets.entry(target.clone()).or_default().insert(*digest);
            }
        }
        targets
    }

    /// Says what is in a place now; one that nothing named is added.
    pub(super) fn set_now(
        &mut self,
        registry: &RegistryPath,
        target: &Target,
        digest: Digest,
        fit: Fit,
        now: Now,
    ) -> Result<(), SearchError> {
        let found = self.found((Some(registry.clone()), target.clone(), digest), fit)?;
        found.place.now = now;
        Ok(())
    }

    /// The places: by registry, repository and tag, and of one tag the newest first.
    pub(super) fn places(self) -> Vec<Place> {
        let Self { places, streams, .. } = self;
        let mut all: Vec<(Option<Sequence>, Place)> = Vec::with_capacity(places.len());
        for ((registry, ..), Found { mut place, named, .. }) in places {
            place.brought.sort_by_key(|it| (it.imported, it.bundle.sequence));
            place.bundles = named.values().map(BTreeMap::len).sum();
            let mut highest = None;
            for (stream, bundles) in named {
                let Some(((sequence, statement), signers)) = bundles.into_iter().next_back() else {
                    continue;
                };
                let last = BundleId { stream: stream.clone(), sequence, statement };
                let newest =
                    streams.get(&(registry.clone(), stream.clone())).and_then(|it| it.keys().next_back());
                let newest = newest.map_or_else(
                    || last.clone(),
                    |(sequence, statement)| BundleId { stream, sequence: *sequence, statement: *statement },
                );
                highest = highest.max(Some(sequence));
                place.streams.push(Standing { last, signers, newest });
            }
            all.push((highest, place));
        }
        all.sort_by(|(a, one), (b, other)| {
            let name = |place: &Place| (place.registry.clone(), place.target.clone());
            name(one).cmp(&name(other)).then(b.cmp(a))
        });
        all.into_iter().map(|(_, place)| place).collect()
    }
}
