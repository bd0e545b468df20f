//! How many uploads each project of a Harbor gets at a time.

use std::collections::HashMap;

use bundle_oci::RepositoryName;
use tokio::sync::{Semaphore, SemaphorePermit};

use crate::destination::project_of;
use crate::{Destination, ImportPlan, Limits};

/// How many more changes each project of a Harbor may be burdened with at a time. Other registries
/// have no projects, and no quotas that many changes would fight for.
#[derive(Debug)]
pub(crate) struct Rooms(HashMap<String, Semaphore>);

impl Rooms {
    pub(crate) fn new(destination: &Destination, plan: &ImportPlan, limits: &Limits) -> Self {
        if let Destination::Plain { .. } = destination {
            return Self(HashMap::new());
        }
        let projects = plan.manifests.iter().map(|(_, repository)| project_of(repository).to_owned());
        Self(projects.map(|project| (project, Semaphore::new(limits.uploads_per_project))).collect())
    }

    /// Waits until the project can be burdened with one more change, and takes that place as long as
    /// the permit is kept.
    pub(crate) async fn enter(&self, repository: &RepositoryName) -> Option<SemaphorePermit<'_>> {
        // Nobody closes it.
        self.0.get(project_of(repository))?.acquire().await.ok()
    }
}
