//! Combines receipts of a registry: the newest result for each tag and each project. Takes receipts in any
//! order and one at a time, gives one receipt of all that is to be there now.

use std::collections::{BTreeMap, HashMap, HashSet};

use bundle_format::{Blob, Delivered, Outcome, ProjectPolicy, Receipt, Sequence, Target, Timestamp};
use bundle_oci::{Digest, ProjectName};

/// The combined receipts of one registry. It holds each result once, however many receipts repeat it.
#[derive(Debug, Default)]
pub struct Deliveries {
    receipts: usize,
    /// The newest receipt, without its lists.
    head: Option<(Age, Receipt)>,
    words: HashMap<Place, (Age, Delivered)>,
    policies: BTreeMap<ProjectName, (Age, ProjectPolicy)>,
    blobs: Vec<Blob>,
    positions: HashMap<Digest, u32>,
    tags: HashSet<(Target, Digest)>,
}

/// A receipt's place in time: by the importing machine's clock, and then by the bundle's number.
type Age = (Timestamp, Sequence);

/// The subject of a result: a tag, or an artifact without one.
type Place = (Target, Option<Digest>);

impl Deliveries {
    /// Adds what a receipt says.
    pub fn add(&mut self, mut receipt: Receipt) {
        self.know(&receipt);
        self.receipts += 1;
        let age = (receipt.imported, receipt.bundle.sequence);
        let own: Vec<u32> = receipt.blobs.iter().map(|blob| self.position(*blob)).collect();
        for mut artifact in std::mem::take(&mut receipt.artifacts) {
            // It was not touched: the earlier result still holds.
            if artifact.outcome == Outcome::Missing {
                continue;
            }
            artifact
                .blobs
                .iter_mut()
                .for_each(|blob| *blob = own.get(*blob as usize).copied().unwrap_or(*blob));
            let digest = artifact.target.tag.is_none().then_some(artifact.digest);
            let place = (artifact.target.clone(), digest);
            if self.words.get(&place).is_none_or(|(known, _)| *known <= age) {
                self.words.insert(place, (age, artifact));
            }
        }
        for (project, policy) in std::mem::take(&mut receipt.policies) {
            if self.policies.get(&project).is_none_or(|(known, _)| *known <= age) {
                self.policies.insert(project, (age, policy));
            }
        }
        receipt.blobs.clear();
        if self.head.as_ref().is_none_or(|(known, _)| *known <= age) {
            self.head = Some((age, receipt));
        }
    }

    /// Takes note of what a receipt names, so that it is no stranger's; nothing of it need be there.
    pub fn know(&mut self, receipt: &Receipt) {
        for blob in &receipt.blobs {
            self.position(*blob);
        }
        self.tags.extend(receipt.artifacts.iter().map(|artifact| (artifact.target.clone(), artifact.digest)));
    }

    /// How many receipts were added.
    pub fn receipts(&self) -> usize {
        self.receipts
    }

    /// The newest words as one receipt, under the head of the newest; none if nothing was added.
    pub fn newest(&self) -> Option<Receipt> {
        let (_, head) = self.head.as_ref()?;
        let mut all: Vec<&Delivered> = self.words.values().map(|(_, delivered)| delivered).collect();
        all.sort_by_cached_key(|delivered| delivered.target.to_string());
        let (mut blobs, mut positions) = (Vec::new(), HashMap::new());
        let artifacts = all.into_iter().map(|delivered| {
            let mut own: Vec<u32> = delivered
                .blobs
                .iter()
                .filter_map(|known| {
                    let blob = self.blobs.get(*known as usize)?;
                    Some(*positions.entry(*known).or_insert_with(|| {
                        blobs.push(*blob);
                        u32::try_from(blobs.len() - 1).unwrap_or(u32::MAX)
                    }))
                })
                .collect();
            own.sort_unstable();
            Delivered { blobs: own, ..delivered.clone() }
        });
        let artifacts = artifacts.collect();
        let policies = self.policies.iter().map(|(project, (_, policy))| (project.clone(), policy.clone()));
        Some(Receipt { artifacts, blobs, policies: policies.collect(), ..head.clone() })
    }

    /// The projects that artifacts went into.
    pub(crate) fn projects(&self) -> std::collections::BTreeSet<&ProjectName> {
        self.tags.iter().map(|(target, _)| &target.project).collect()
    }

    /// Whether some receipt says this of a tag.
    pub(crate) fn names(&self, target: &Target, digest: Digest) -> bool {
        self.tags.contains(&(target.clone(), digest))
    }

    /// Whether some receipt has these bytes.
    pub(crate) fn has(&self, digest: Digest) -> bool {
        self.positions.contains_key(&digest)
    }

    fn position(&mut self, blob: Blob) -> u32 {
        *self.positions.entry(blob.digest).or_insert_with(|| {
            self.blobs.push(blob);
            u32::try_from(self.blobs.len() - 1).unwrap_or(u32::MAX)
        })
    }
}

#[cfg(test)]
mod tests {
    use bundle_format::BundleId;

    use super::*;

    fn digest(of: &str) -> Digest {
        Digest::of(of.as_bytes())
    }

    /// A receipt of artifacts of one blob each, imported at a second.
    fn receipt(imported: i64, artifacts: &[(&str, &str, Outcome)]) -> Receipt {
        let blobs = artifacts.iter().filter(|(.., outcome)| outcome.is_in_place());
        let blobs: Vec<Blob> = blobs.map(|(_, of, _)| Blob { digest: digest(of), size: 1 }).collect();
        let delivered = |(target, of, outcome): &(&str, &str, Outcome)| {
            let (repository, tag) = target.split_once(':').unwrap();
            let position = blobs.iter().position(|blob| blob.digest == digest(of)).map(|it| it as u32);
            Delivered {
                target: Target {
                    project: "cache".parse().unwrap(),
                    repository: repository.parse().unwrap(),
                    tag: (!tag.is_empty()).then(|| tag.parse().unwrap()),
                },
                digest: digest(of),
                outcome: *outcome,
                found: None,
                blobs: position.filter(|_| outcome.is_in_place()).into_iter().collect(),
                read_back: None,
                scan: None,
            }
        };
        Receipt {
            receipt_version: 1,
            bundle: BundleId {
                stream: "s".parse().unwrap(),
                sequence: Sequence::try_from(imported.unsigned_abs()).unwrap(),
                statement: digest("statement"),
            },
            previous: None,
            site: "plant".parse().unwrap(),
            registry: "harbor.example".parse().unwrap(),
            imported: Timestamp::from_unix(imported).unwrap(),
            signers: Vec::new(),
            artifacts: artifacts.iter().map(delivered).collect(),
            blobs: blobs.clone(),
            policies: BTreeMap::new(),
            overrides: Vec::new(),
        }
    }

    #[test]
    fn the_newest_word_on_each_tag_counts_in_whatever_order_receipts_come() {
        let nights = || {
            [
                receipt(
                    10,
                    &[
                        ("a:1", "old", Outcome::Pushed),
                        ("b:1", "b", Outcome::Pushed),
                        ("c:", "c", Outcome::Pushed),
                    ],
                ),
                receipt(
                    20,
                    &[
                        ("a:1", "new", Outcome::Moved),
                        ("b:1", "x", Outcome::Missing),
                        ("c:", "d", Outcome::Pushed),
                    ],
                ),
                receipt(15, &[("a:1", "between", Outcome::Moved), ("e:1", "e", Outcome::Present)]),
            ]
        };
        for order in [[0, 1, 2], [2, 1, 0], [1, 0, 2]] {
            let mut deliveries = Deliveries::default();
            for night in order {
                deliveries.add(nights()[night].clone());
            }
            let newest = deliveries.newest().unwrap();
            assert_eq!((deliveries.receipts(), newest.imported.unix()), (3, 20));
            let mut words: Vec<(String, Digest)> =
                newest.artifacts.iter().map(|it| (it.target.to_string(), it.digest)).collect();
            words.sort();
            let mut expected = vec![
                ("cache/a:1".to_owned(), digest("new")),
                ("cache/b:1".to_owned(), digest("b")),
                ("cache/c".to_owned(), digest("c")),
                ("cache/c".to_owned(), digest("d")),
                ("cache/e:1".to_owned(), digest("e")),
            ];
            expected.sort();
            assert_eq!(words, expected);
            // Each has its own blobs, and nothing of what was replaced is left.
            for (delivered, mut blobs) in newest.in_place() {
                assert_eq!(blobs.next().unwrap().digest, delivered.digest);
            }
            assert_eq!(newest.blobs.len(), 5);
            assert!(deliveries.has(digest("old")) && !deliveries.has(digest("other")));
        }
    }

    #[test]
    fn a_tag_that_was_left_to_somebody_else_is_no_longer_judged() {
        let mut deliveries = Deliveries::default();
        deliveries.add(receipt(20, &[("a:1", "new", Outcome::Skipped)]));
        deliveries.add(receipt(10, &[("a:1", "old", Outcome::Pushed)]));
        assert!(deliveries.newest().unwrap().in_place().next().is_none());
    }
}
