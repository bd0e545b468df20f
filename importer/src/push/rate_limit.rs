//! How many uploads each project of a destination gets at a time.
//! Takes a project's name, gives a permit.

use std::collections::HashMap;

use bundle_oci::RepositoryName;
use tokio::sync::{Semaphore, SemaphorePermit};

use crate::ImportPlan;
use crate::destination::project_of;

/// The uploads that may run at a time in each project. Without a limit, any number may.
#[derive(Debug)]
pub(crate) struct RateLimit(HashMap<String, Semaphore>);

impl RateLimit {
    pub(crate) fn new(uploads_per_project: Option<usize>, plan: &ImportPlan) -> Self {
        let Some(uploads) = uploads_per_project else { return Self(HashMap::new()) };
        let projects = plan.manifests.iter().map(|(_, repository)| project_of(repository).to_owned());
        Self(projects.map(|project| (project, Semaphore::new(uploads.max(1)))).collect())
    }

    /// Waits until one more upload may run in the repository's project, and counts it as long as the
    /// permit is kept.
    pub(crate) async fn enter(&self, repository: &RepositoryName) -> Option<SemaphorePermit<'_>> {
        // The semaphore is never closed.
        self.0.get(project_of(repository))?.acquire().await.ok()
    }
}
