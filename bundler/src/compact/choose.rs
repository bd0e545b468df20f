//! Chooses for each layer of a plan the blobs that it may be a difference to: of what the other side has at
//! the same target, and of what lies before it in the same bundle.

use std::collections::{HashMap, HashSet};

use bundle_format::{Blob, CompactBase, CompactWriter};
use bundle_oci::{Digest, RepositoryName};

use crate::{Inventory, Plan};

/// Bases for one layer from the other side, and from the same bundle.
const MOST_OUTER: usize = 4;
const MOST_EARLIER: usize = 2;
/// How many images' first layers are remembered.
const MOST_BOTTOMS: usize = 64;
/// How many blobs may be made one after the other for one. Readers allow twice as many.
const MOST_LINKS: usize = 8;

/// Which bases a compact bundle has, and for which layers.
#[derive(Debug, Default)]
pub(crate) struct Choice {
    /// The bases of the other side that may be used.
    pub(crate) outer: Vec<CompactBase>,
    bases: HashMap<Digest, Vec<Chosen>>,
    /// How many layers may be the difference to a blob of the same bundle.
    pub(crate) users: HashMap<Digest, usize>,
}

/// A base of one layer.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Chosen {
    /// This one of the other side's.
    Outer(u32),
    /// A blob that lies before the layer in the archive.
    Earlier(Digest),
}

impl Choice {
    /// Looks for bases among the inventories of the other side, the newest first, and in the plan itself.
    pub(crate) fn of(plan: &Plan, inventories: &[Inventory]) -> Self {
        let mut newest: Vec<&Inventory> = inventories.iter().collect();
        newest.sort_by_key(|inventory| std::cmp::Reverse(inventory.base.sequence));
        let mut held: HashMap<RepositoryName, Vec<Blob>> = HashMap::new();
        for inventory in newest {
            for artifact in &inventory.artifacts {
                let (Ok(repository), Some(blobs)) = (artifact.target.path(), inventory.blobs_of(artifact))
                else {
                    continue;
                };
                let held = held.entry(repository).or_default();
                let known: HashSet<Digest> = held.iter().map(|blob| blob.digest).collect();
                held.extend(blobs.filter(|blob| is_layer(blob) && !known.contains(&blob.digest)));
            }
        }
        Self::among(plan, &held)
    }

    fn among(plan: &Plan, held: &HashMap<RepositoryName, Vec<Blob>>) -> Self {
        let mut choice = Self::default();
        let position: HashMap<Digest, usize> =
            plan.statement().blobs.iter().enumerate().map(|(at, blob)| (blob.digest, at)).collect();
        let mut outer: HashMap<(RepositoryName, Digest), u32> = HashMap::new();
        let mut links: HashMap<Digest, usize> = HashMap::new();
        // What earlier artifacts of a repository consist of.
        let mut earlier: HashMap<RepositoryName, Vec<Vec<Blob>>> = HashMap::new();
        // The first layers of all images so far: different images often stand on versions of one base image.
        let mut bottoms: Vec<Blob> = Vec::new();
        for artifact in &plan.statement().artifacts {
            let Ok(repository) = artifact.target.path() else { continue };
            let manifests = &plan.graph().manifests;
            let layers: Vec<Blob> = plan
                .graph()
                .extent(artifact.digest)
                .into_iter()
                .filter(|blob| is_layer(blob) && !manifests.contains_key(&blob.digest))
                .collect();
            let there = held.get(&repository).map(Vec::as_slice).unwrap_or_default();
            let before = earlier.entry(repository.clone()).or_default();
            for (at, layer) in layers.iter().enumerate() {
                if !position.contains_key(&layer.digest) || choice.bases.contains_key(&layer.digest) {
                    continue;
                }
                let mut chosen = Vec::new();
                for base in nearest(there, at, layer.size, MOST_OUTER) {
                    let index = *outer.entry((repository.clone(), base.digest)).or_insert_with(|| {
                        let base = CompactBase {
                            digest: base.digest,
                            size: base.size,
                            repository: repository.clone(),
                        };
                        choice.outer.push(base);
                        choice.outer.len() as u32 - 1
                    });
                    chosen.push(Chosen::Outer(index));
                }
                let mut near: Vec<&Blob> =
                    before.iter().rev().flat_map(|image| nearest(image, at, layer.size, 1)).collect();
                if chosen.is_empty() && near.is_empty() {
                    // The same layer of another platform, or of another image's base image.
                    near.extend(alike(&layers[..at], layer.size));
                    if at == 0 {
                        near.extend(alike(&bottoms, layer.size));
                    }
                }
                let mut taken = 0;
                for base in near {
                    let depth = links.get(&base.digest).copied().unwrap_or_default() + 1;
                    let lies_before = match (position.get(&base.digest), position.get(&layer.digest)) {
                        (Some(base), Some(layer)) => base < layer,
                        _ => false,
                    };
                    let is_new = !chosen.contains(&Chosen::Earlier(base.digest));
                    if lies_before && is_new && depth <= MOST_LINKS && taken < MOST_EARLIER {
                        let links = links.entry(layer.digest).or_default();
                        *links = depth.max(*links);
                        *choice.users.entry(base.digest).or_default() += 1;
                        chosen.push(Chosen::Earlier(base.digest));
                        taken += 1;
                    }
                }
                choice.bases.insert(layer.digest, chosen);
            }
            bottoms.extend(layers.first());
            bottoms.drain(..bottoms.len().saturating_sub(MOST_BOTTOMS));
            before.push(layers);
        }
        choice
    }

    /// The bases of a blob, the most similar one first.
    pub(crate) fn bases_of(&self, digest: Digest) -> &[Chosen] {
        self.bases.get(&digest).map(Vec::as_slice).unwrap_or_default()
    }
}

/// What layers come to in a compact bundle, in parts of a thousand: those with a base at the other side, those
/// with one in the same bundle, and all others. Measured on layers of Debian some months apart; a guess for others.
const EXPECTED: [u64; 3] = [120, 400, 820];

impl Plan {
    /// A guess of how many bytes a compact bundle will have, before anything is fetched.
    pub fn compact_estimate(&self, inventories: &[Inventory]) -> u64 {
        let choice = Choice::of(self, inventories);
        let rest = self.layout().size() - self.statement().blob_bytes();
        let blob = |blob: &Blob| {
            let bases = choice.bases_of(blob.digest);
            let expected = match () {
                () if bases.iter().any(|base| matches!(base, Chosen::Outer(_))) => EXPECTED[0],
                () if !bases.is_empty() => EXPECTED[1],
                () => EXPECTED[2],
            };
            blob.size * expected / 1000
        };
        rest / 8 + self.statement().blobs.iter().map(blob).sum::<u64>()
    }
}

fn is_layer(blob: &Blob) -> bool {
    CompactWriter::<Vec<u8>>::wants_recipe(blob.size)
}

/// Those of an image's layers that one at this place and of this size is most likely a new version of.
fn nearest(layers: &[Blob], at: usize, size: u64, most: usize) -> Vec<&Blob> {
    let mut order: Vec<(usize, &Blob)> = layers.iter().enumerate().collect();
    let far = |position: usize, blob: &Blob| {
        let (less, more) = (blob.size.min(size).max(1), blob.size.max(size));
        // The same place and nearly the same size tell most.
        (more / less).min(64) * 2 + (position.abs_diff(at) as u64).min(64)
    };
    order.sort_by_key(|(position, blob)| (far(*position, blob), *position));
    order.into_iter().take(most).map(|(_, blob)| blob).collect()
}

/// The latest of these layers whose size differs by no more than half.
fn alike(layers: &[Blob], size: u64) -> Option<&Blob> {
    let is_alike = |blob: &&Blob| {
        let (less, more) = (blob.size.min(size), blob.size.max(size));
        more <= less.saturating_add(less / 2)
    };
    layers.iter().rev().find(is_alike)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_layer_at_the_same_place_and_of_a_like_size_comes_first() {
        let blob = |number: u8, size| Blob { digest: Digest::of(&[number]), size };
        let layers = [blob(0, 30_000_000), blob(1, 500_000), blob(2, 40_000_000), blob(3, 9_000)];
        let first = |at, size| *nearest(&layers, at, size, 1)[0];
        assert_eq!(first(0, 31_000_000), layers[0]);
        assert_eq!(first(1, 600_000), layers[1]);
        assert_eq!(first(2, 44_000_000), layers[2]);
        assert_eq!(first(1, 41_000_000), layers[0], "a layer was put in between");
        assert_eq!(nearest(&layers, 0, 1, 9).len(), 4);
        assert_eq!(alike(&layers, 33_000_000), Some(&layers[2]), "the latest");
        assert_eq!(alike(&layers, 50_000), None);
    }
}
