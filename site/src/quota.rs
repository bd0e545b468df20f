//! The bytes that an import adds to each project of a Harbor, against those that it may store.
//! Takes live state and a plan, gives storage by project, and findings where it does not fit.

use std::collections::{BTreeMap, BTreeSet, HashMap, HashSet};

use bundle_harbor::{StorageLimit, StorageUse};
use bundle_importer::{Bundle, Decision, Finding, ImportPlan, Presence, ProjectStorage};
use bundle_oci::{Digest, ProjectName};

use crate::harbor::project_of;
use crate::{LiveState, ProjectState, ProjectStep, ReconcilePlan};

/// Whether a bundle that may be too large for a quota is tried.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Default)]
pub enum QuotaCheck {
    /// It is refused before anything is written.
    #[default]
    Enforce,
    /// It is tried. Harbor stops it where the quota ends.
    Ignore,
}

/// The check of one project's storage.
pub(crate) fn exceeds(storage: &ProjectStorage) -> Option<Finding> {
    let (used, limit) = (storage.used?, storage.limit?);
    let after = used.checked_add(storage.adds);
    (storage.adds > 0 && after.is_none_or(|after| after > limit)).then(|| Finding::Quota {
        project: storage.project.clone(),
        limit,
        used,
        needed: storage.adds,
    })
}

/// The bytes that each project gets, against those that it may hold.
pub(crate) fn storage(
    bundle: &Bundle,
    import: &ImportPlan,
    live: &LiveState,
    reconcile: &ReconcilePlan,
) -> Vec<ProjectStorage> {
    let adds = added(bundle, import);
    let storage = |(name, state): &(ProjectName, ProjectState)| {
        let adds = *adds.get(name.as_str())?;
        let wanted = reconcile.projects.iter().find(|step| step.name == *name).and_then(ProjectStep::limit);
        let storage = match state {
            // Only administrators can read Harbor's default quota.
            ProjectState::Missing => wanted.map(|limit| StorageUse { limit, used: 0 }),
            ProjectState::Hidden => None,
            ProjectState::There(live) => {
                live.storage.map(|now| StorageUse { limit: wanted.unwrap_or(now.limit), ..now })
            }
        };
        let limit = storage.and_then(|storage| match storage.limit {
            StorageLimit::Unlimited => None,
            StorageLimit::Bytes(bytes) => Some(bytes),
        });
        let used = storage.map(|storage| storage.used);
        Some(ProjectStorage { project: name.clone(), adds, used, limit })
    };
    live.projects.iter().filter_map(storage).collect()
}

/// The most bytes that each project gets. Harbor counts each blob once for a project, manifests
/// among them.
fn added<'a>(bundle: &Bundle, import: &'a ImportPlan) -> BTreeMap<&'a str, u64> {
    let owned = present_blobs(bundle, import);
    let owns = |project: &str, digest| owned.get(project).is_some_and(|blobs| blobs.contains(&digest));
    let mut adds: BTreeMap<&str, u64> = BTreeMap::new();
    for step in &import.blobs {
        let mut projects: BTreeMap<&str, bool> = BTreeMap::new();
        for place in &step.places {
            let there = projects.entry(project_of(&place.repository)).or_default();
            *there |= place.presence == Presence::There;
        }
        for (project, there) in projects {
            if !there && !owns(project, step.blob.digest) {
                *adds.entry(project).or_default() += step.blob.size;
            }
        }
    }
    let manifests: BTreeSet<(&str, Digest)> =
        import.manifests.iter().map(|(digest, repository)| (project_of(repository), *digest)).collect();
    for (project, digest) in manifests {
        if let Some(node) = bundle.graph().manifests.get(&digest)
            && !owns(project, digest)
        {
            *adds.entry(project).or_default() += node.size;
        }
    }
    adds
}

/// The blobs that each project has already: those of the artifacts that are present.
fn present_blobs<'a>(bundle: &Bundle, import: &'a ImportPlan) -> HashMap<&'a str, HashSet<Digest>> {
    let extent = |root| bundle.graph().extent(root).into_iter().map(|blob| blob.digest);
    let mut owned: HashMap<&str, HashSet<Digest>> = HashMap::new();
    for step in import.steps.iter().filter(|step| step.decision == Decision::Present) {
        let root = step.digest;
        owned.entry(project_of(&step.repository)).or_default().extend(extent(root));
    }
    owned
}
