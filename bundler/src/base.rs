//! The blobs that a delta omits, and whether a plan has anything new. Takes a plan and the inventories of the
//! other side; makes inventories of bases that users name.

use std::collections::{HashMap, HashSet};
use std::path::{Path, PathBuf};
use std::str::FromStr;
use std::time::Duration;

use bundle_format::{
    Artifact, Base, Blob, Limits, ParseShortError, PublicKey, Sequence, ShortReceipt, Target, Timestamp,
};
use bundle_oci::{Digest, Reference, RepositoryName};
use bundle_registry::{Client, Progress};
use futures_util::StreamExt;

use crate::inventory::{InventoryEntry, Locked};
use crate::resolve::Known;
use crate::{
    ImagePolicy, Inventory, InventoryError, Pins, Plan, PlanError, Platforms, Reason, Referrers, Request,
    ResolveOptions, StatementHead, UpstreamPolicy, resolve,
};

/// Whether a plan delivers anything that its bases do not have.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Unchanged {
    /// It does.
    No,
    /// Each artifact is in place already: there is nothing to send.
    Yes,
}

impl Plan {
    /// Leaves out of the archive what the bases prove to be on the other side. A blob counts only if
    /// a base has it in a repository that this plan delivers it to: the importer looks nowhere else
    /// for it, and so can never be made to mount what is another's (docs/format.md §Deltas).
    ///
    /// # Errors
    /// The statement would not be valid.
    pub fn build_on(&mut self, bases: &[Inventory], limits: &Limits) -> Result<Unchanged, PlanError> {
        let mut held: HashMap<RepositoryName, HashSet<Digest>> = HashMap::new();
        for (base, artifact) in bases.iter().flat_map(|base| base.artifacts.iter().map(move |it| (base, it)))
        {
            if let (Ok(repository), Some(blobs)) = (artifact.target.path(), base.blobs_of(artifact)) {
                held.entry(repository).or_default().extend(blobs.map(|blob| blob.digest));
            }
        }
        let unchanged = self.unchanged_since(bases);
        let mut proven: HashSet<Digest> = HashSet::new();
        for artifact in &self.statement().artifacts {
            let Some(there) = artifact.target.path().ok().and_then(|repository| held.get(&repository)) else {
                continue;
            };
            let blobs = self.graph().extent(artifact.digest);
            proven.extend(blobs.iter().map(|blob| blob.digest).filter(|digest| there.contains(digest)));
        }
        let manifests = &self.graph().manifests;
        let (requires, blobs): (Vec<Blob>, Vec<Blob>) = self
            .graph()
            .blobs
            .iter()
            // Manifests are small, and an importer reads them to know what the rest is for.
            .partition(|blob| proven.contains(&blob.digest) && !manifests.contains_key(&blob.digest));
        self.leave_out(blobs, requires, bases.iter().map(|base| base.base.clone()).collect(), limits)?;
        Ok(unchanged)
    }

    /// Whether each artifact is what the newest of the bases has at its target.
    pub fn unchanged_since(&self, bases: &[Inventory]) -> Unchanged {
        let mut order: Vec<&Inventory> = bases.iter().collect();
        // A lock has no number; what is known of bundles says more than it does.
        order.sort_by_key(|base| base.base.sequence);
        let mut newest: HashMap<&Target, HashSet<Digest>> = HashMap::new();
        for artifact in order.iter().flat_map(|base| &base.artifacts).filter(|artifact| !artifact.partial) {
            let there = newest.entry(&artifact.target).or_default();
            // A tag has one digest, the last; what has no tag stays.
            if artifact.target.tag.is_some() {
                there.clear();
            }
            there.insert(artifact.digest);
        }
        let known = |artifact: &Artifact| {
            newest.get(&artifact.target).is_some_and(|there| there.contains(&artifact.digest))
        };
        if self.statement().artifacts.iter().all(known) { Unchanged::Yes } else { Unchanged::No }
    }
}

/// A base as a person names it: a bundle, a receipt or a lock; or the short receipt of a bundle
/// together with it, `SHORT=FILE`, so that a word on the telephone says which one arrived.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct NamedBase {
    path: PathBuf,
    short: Option<ShortReceipt>,
}

/// Why a named base cannot be used.
#[derive(Debug, thiserror::Error)]
pub enum BaseError {
    /// A short receipt without the bundle that it names.
    #[error("{0} says which bundle arrived, but not what is in it")]
    OnlyShort(ShortReceipt),
    /// A short receipt that is mistyped.
    #[error(transparent)]
    Short(#[from] ParseShortError),
    /// A short receipt of another bundle.
    #[error("{short} is not the short receipt of {}, which is {found}", .path.display())]
    Other {
        /// The short receipt.
        short: ShortReceipt,
        /// The file.
        path: PathBuf,
        /// The kind of the file.
        found: Box<Base>,
    },
    /// The file.
    #[error(transparent)]
    Inventory(#[from] InventoryError),
}

impl FromStr for NamedBase {
    type Err = BaseError;

    fn from_str(text: &str) -> Result<Self, BaseError> {
        // A file may be called anything, so what is there is meant.
        if Path::new(text).exists() {
            return Ok(Self { path: text.into(), short: None });
        }
        if let Some((short, path)) = text.split_once('=') {
            return Ok(Self { path: path.into(), short: Some(short.parse()?) });
        }
        match text.parse() {
            Ok(short) => Err(BaseError::OnlyShort(short)),
            Err(error @ (ParseShortError::Check | ParseShortError::Digit(_))) => Err(error.into()),
            Err(ParseShortError::Form) => Ok(Self { path: text.into(), short: None }),
        }
    }
}

impl NamedBase {
    /// Reads the file. With `keys`, a bundle or receipt must be signed by one of them. For a lock or a short
    /// receipt it has the stream only.
    ///
    /// # Errors
    /// Any [`BaseError`].
    pub fn load(&self, keys: &[PublicKey], limits: &Limits) -> Result<Inventory, BaseError> {
        let inventory = Inventory::load(&self.path, keys, limits)?;
        if let Some(short) = &self.short {
            let fits = match inventory.bundle() {
                Some(bundle) => short.names(&bundle),
                None => *short.stream() == inventory.base.stream,
            };
            if !fits {
                return Err(BaseError::Other {
                    short: short.clone(),
                    path: self.path.clone(),
                    found: Box::new(inventory.base),
                });
            }
        }
        Ok(inventory)
    }
}

/// Completes the inventory of a lock by fetching the manifests of its artifacts from their sources. A
/// manifest that is gone from its source counts as missing on the other side.
pub async fn complete(client: &Client, inventory: &mut Inventory, jobs: usize, progress: &dyn Progress) {
    let open: Vec<(usize, Locked)> = inventory
        .artifacts
        .iter()
        .enumerate()
        .filter_map(|(position, held)| Some((position, held.locked.clone()?)))
        .collect();
    let targets: Vec<(Target, Digest)> =
        inventory.artifacts.iter().map(|held| (held.target.clone(), held.digest)).collect();
    let found: Vec<(usize, Option<Vec<Blob>>)> = futures_util::stream::iter(open)
        .map(|(position, locked)| {
            let (target, digest) = targets[position].clone();
            async move { (position, blobs_of(client, locked, target, digest, progress).await) }
        })
        .buffered(jobs.max(1))
        .collect()
        .await;
    for (position, blobs) in found {
        if blobs.is_none() {
            let InventoryEntry { target, locked, .. } = &inventory.artifacts[position];
            let is_local = locked.as_ref().is_some_and(|locked| locked.is_local);
            let why = if is_local {
                "the lock names no registry for it"
            } else {
                "its locked digest no longer exists"
            };
            progress.note(&format!("{target}: {why}, so all of it is sent"));
        }
        inventory.note_blobs(position, blobs);
    }
}

async fn blobs_of(
    client: &Client,
    locked: Locked,
    target: Target,
    digest: Digest,
    progress: &dyn Progress,
) -> Option<Vec<Blob>> {
    let Locked { reference, digest: pinned, only, is_local } = locked;
    if is_local {
        return None;
    }
    let request = Request {
        reference: reference.clone(),
        local: None,
        target: target.clone(),
        platforms: Platforms::only(only).unwrap_or_default(),
        policy: ImagePolicy { referrers: Referrers::Leave, ..ImagePolicy::default() },
        reasons: vec![Reason::Lock],
    };
    let pins: HashMap<(Reference, Target), Digest> = HashMap::from([((reference, target), pinned)]);
    let options = ResolveOptions { pins: Pins::Demand, jobs: 1, referrers_max_age: Duration::ZERO };
    let known = Known { pins: &pins, lock: None, earlier: None };
    let resolved =
        resolve(client, &[request], known, &UpstreamPolicy::default(), options, progress).await.ok()?;
    let head = StatementHead {
        stream: Default::default(),
        sequence: Sequence::try_from(1).ok()?,
        created: Timestamp::from_unix(0).ok()?,
        expires: None,
        previous: None,
    };
    let plan = Plan::new(resolved, &head, &Limits::V1).ok()?;
    Some(plan.graph().extent(digest)).filter(|blobs| !blobs.is_empty())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::inventory::InventoryKind;
    use crate::plan::testing::{digest, plan};

    /// `target digest: blobs`
    fn inventory(sequence: u64, artifacts: &[(&str, &str, &[&str])]) -> Inventory {
        let blob = |name: &&str| Blob { digest: digest(name), size: name.len() as u64 };
        let entries = artifacts.iter().map(|(target, name, _)| InventoryEntry {
            target: target.parse().unwrap(),
            digest: digest(name),
            blobs: None,
            size: 0,
            platforms: None,
            lacks: Vec::new(),
            kind: None,
            subject: None,
            locked: None,
            partial: false,
        });
        let base = Base {
            stream: "s".parse().unwrap(),
            sequence: sequence.try_into().ok(),
            digest: Digest::of(&sequence.to_be_bytes()),
        };
        let (origin, known) = (InventoryKind::Receipt, Vec::new());
        let mut made = Inventory { origin, base, verified: true, artifacts: entries.collect(), known };
        for (at, (_, _, blobs)) in artifacts.iter().enumerate() {
            made.note_blobs(at, Some(blobs.iter().map(blob).collect()));
        }
        made
    }

    fn required(plan: &Plan) -> Vec<Digest> {
        plan.statement().requires.iter().map(|blob| blob.digest).collect()
    }

    #[test]
    fn a_blob_is_left_out_only_where_its_own_repository_has_it() {
        // Two images in two repositories; both have the layer "base".
        let images = [("cache/a:2", &["base", "a2"][..]), ("cache/b:1", &["base", "b1"])];
        for (held, expected) in [
            (&[("cache/a:1", "a1", &["base", "old"][..])][..], &["base"][..]),
            (&[("cache/c:1", "c", &["base", "a2", "b1"])], &[]),
            (&[("platform/a:1", "c", &["base", "a2"])], &[]),
            (&[("cache/a:1", "a1", &["b1"])], &[]),
            (&[("cache/a:1", "a1", &["base"]), ("cache/b:0", "b0", &["b1"])], &["base", "b1"]),
        ] {
            let mut plan = plan(&images);
            assert_eq!(plan.build_on(&[inventory(1, held)], &Limits::V1).unwrap(), Unchanged::No);
            assert_eq!(
                required(&plan),
                expected.iter().map(|name| digest(name)).collect::<Vec<_>>(),
                "{held:?}"
            );
            assert_eq!(plan.statement().base.len(), 1);
        }
    }

    #[test]
    fn several_bases_count_together_and_the_newest_says_what_a_tag_is() {
        let images = [("cache/a:1", &["base", "a"][..])];
        let whole = plan(&images);
        let name = whole.statement().artifacts[0].digest;
        let mut now = inventory(2, &[("cache/a:1", "x", &["base"])]);
        now.artifacts[0].digest = name;
        let old = inventory(1, &[("cache/a:1", "other", &["a"])]);
        let mut both = plan(&images);
        let bases = [now.clone(), old.clone()];
        assert_eq!(both.build_on(&bases, &Limits::V1).unwrap(), Unchanged::Yes);
        assert_eq!(required(&both), [digest("base"), digest("a")]);
        let mut moved_back = old;
        moved_back.base.sequence = 3.try_into().ok();
        assert_eq!(plan(&images).build_on(&[now, moved_back], &Limits::V1).unwrap(), Unchanged::No);
    }

    #[test]
    fn manifests_always_travel() {
        let images = [("cache/a:1", &["base"][..])];
        let mut plan = plan(&images);
        let artifact = plan.statement().artifacts[0].digest;
        let mut base = inventory(1, &[("cache/a:1", "x", &["base"])]);
        base.known.push(Blob { digest: artifact, size: 1 });
        base.artifacts[0].blobs = Some((0..base.known.len() as u32).collect());
        plan.build_on(&[base], &Limits::V1).unwrap();
        assert_eq!(required(&plan), [digest("base")]);
    }
}
