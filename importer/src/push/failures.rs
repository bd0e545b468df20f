//! Failed pushes where an import goes on: the blobs and manifests that failed in each repository, and the
//! artifacts that are therefore left out.

use std::collections::HashMap;
use std::sync::Mutex;

use bundle_format::Graph;
use bundle_oci::{Digest, RepositoryName, chain};

use crate::push::run::lock;
use crate::{Decision, ImportPlan, OnFailure, PushError, Unstored};

/// The blobs and manifests that could not be stored.
#[derive(Debug)]
pub(super) struct Failures {
    on_failure: OnFailure,
    failed: Mutex<HashMap<(Digest, RepositoryName), String>>,
}

impl Failures {
    pub(super) fn new(on_failure: OnFailure) -> Self {
        Self { on_failure, failed: Mutex::default() }
    }

    /// Takes note of a failure that concerns this repository alone, so that the import goes on.
    ///
    /// # Errors
    /// The same error, if the import must end: partial imports are not allowed, or the destination did not
    /// answer, which concerns everything.
    pub(super) fn note(
        &self,
        digest: Digest,
        repository: &RepositoryName,
        error: PushError,
    ) -> Result<(), PushError> {
        let answered = match &error {
            PushError::Blob { source, .. }
            | PushError::Manifest { source, .. }
            | PushError::Foreign { source, .. }
            | PushError::Incomplete { source, .. } => source.status().is_some(),
            _ => false,
        };
        if self.on_failure == OnFailure::Stop || !answered {
            return Err(error);
        }
        lock(&self.failed).entry((digest, repository.clone())).or_insert_with(|| chain(&error));
        Ok(())
    }

    /// Takes note that a blob failed in another repository as well, for its bytes cannot be had again.
    pub(super) fn spread(&self, digest: Digest, from: &RepositoryName, to: &RepositoryName) {
        let mut failed = lock(&self.failed);
        if let Some(reason) = failed.get(&(digest, from.clone())).cloned() {
            failed.insert((digest, to.clone()), reason);
        }
    }

    /// Whether a blob failed anywhere.
    pub(super) fn has(&self, blob: Digest) -> bool {
        lock(&self.failed).keys().any(|(failed, _)| *failed == blob)
    }

    /// Whether one of these failed in a repository; then what needs it fails there, too.
    pub(super) fn inherit(
        &self,
        digest: Digest,
        needs: impl IntoIterator<Item = Digest>,
        repository: &RepositoryName,
    ) -> bool {
        let mut failed = lock(&self.failed);
        if failed.is_empty() {
            return false;
        }
        let reason = needs.into_iter().find_map(|needed| failed.get(&(needed, repository.clone())).cloned());
        let Some(reason) = reason else { return false };
        failed.insert((digest, repository.clone()), reason);
        true
    }

    /// Leaves the artifacts out of a plan that could not be stored, and says which.
    pub(super) fn omit(self, plan: &mut ImportPlan, graph: &Graph) -> Vec<Unstored> {
        let failed = self.failed.into_inner().unwrap_or_else(std::sync::PoisonError::into_inner);
        let mut unstored = Vec::new();
        if failed.is_empty() {
            return unstored;
        }
        for step in plan.steps.iter_mut().filter(|step| step.decision.is_push()) {
            let reason = graph
                .extent(step.digest)
                .into_iter()
                .find_map(|blob| failed.get(&(blob.digest, step.repository.clone())));
            if let Some(reason) = reason {
                step.decision = Decision::Omit;
                unstored.push(Unstored { target: step.target.to_string(), reason: reason.clone() });
            }
        }
        unstored
    }
}
