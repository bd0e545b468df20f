//! Garbage collection (Harbor `jobservice/job/impl/gc`).
//! Takes the state and the time; removes untagged artifacts if so wished, and blobs that nothing uses.

use std::collections::BTreeSet;
use std::io;

use super::blob::{BlobStatus, GC_WINDOW};
use super::state::State;
use super::store::Store;

impl State {
    /// Removes content that no project has and that was not touched for two hours; before that, content that
    /// projects have without an artifact that needs it; and before that, if requested, artifacts without a
    /// tag.
    pub(super) fn collect_garbage(&mut self, store: &Store, delete_untagged: bool) -> io::Result<()> {
        if delete_untagged {
            self.remove_untagged();
        }
        let old = self.now().plus_seconds(-GC_WINDOW);
        let projects: Vec<i64> = self.projects.keys().copied().collect();
        for project in projects {
            let abandoned: BTreeSet<String> = self
                .projects
                .get(&project)
                .into_iter()
                .flat_map(|project| &project.blobs)
                .filter(|(_, since)| **since <= old)
                .map(|(digest, _)| digest.clone())
                .collect();
            self.release_blobs(project, abandoned);
            self.refresh_quota(project);
        }
        let owned: BTreeSet<&String> = self.projects.values().flat_map(|p| p.blobs.keys()).collect();
        let unowned: Vec<String> = self
            .blobs
            .iter()
            .filter(|(digest, row)| !owned.contains(digest) && row.updated <= old)
            .map(|(digest, _)| digest.clone())
            .collect();
        unowned.iter().try_for_each(|digest| self.sweep(store, digest))
    }

    /// Removes one blob or manifest, wherever it is.
    pub(super) fn sweep(&mut self, store: &Store, digest: &str) -> io::Result<()> {
        self.blobs.remove(digest);
        self.backend.manifests.values_mut().for_each(|manifests| drop(manifests.remove(digest)));
        store.remove_blob(digest)
    }

    /// Artifacts that have no tag, are no index's children and no accessories.
    fn remove_untagged(&mut self) {
        let mut untagged = Vec::new();
        for repository in self.repositories.values() {
            let children: BTreeSet<i64> = repository
                .artifacts
                .values()
                .flat_map(|artifact| artifact.references.iter().map(|reference| reference.child_id))
                .collect();
            for artifact in repository.artifacts.values() {
                let tagged = repository.tags.values().any(|tag| tag.digest == artifact.digest);
                if !tagged
                    && !children.contains(&artifact.id)
                    && !self.is_accessory(&repository.name, &artifact.digest)
                {
                    untagged.push((repository.name.clone(), artifact.digest.clone()));
                }
            }
        }
        for (repository, digest) in untagged {
            // Chosen so that nothing speaks against it; what does is left.
            self.delete_artifact(&repository, &digest).ok();
        }
    }

    /// Puts a blob where collection has it at that point.
    pub(super) fn set_blob_status(&mut self, digest: &str, status: BlobStatus) {
        let now = self.now();
        if let Some(row) = self.blobs.get_mut(digest) {
            row.status = status;
            row.updated = now;
        }
    }
}
