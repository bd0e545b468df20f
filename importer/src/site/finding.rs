//! What is behind a refusal in the middle of an import, found by asking Harbor's own API.

use std::fmt;

use bundle_harbor::{Account, Harbor, Right};
use bundle_oci::ProjectName;
use bundle_registry::{Error, Refusal};

use crate::destination::project_of;
use crate::site::reconcile::listed;
use crate::{LiveProject, PUSH_RIGHTS, PushError};

/// What is behind a refusal in the middle of an import. To Harbor's registry a missing right, a
/// missing project and a disabled account are the same: HTTP 401.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Diagnosis {
    /// The account was disabled, removed, has ended, or has another secret by now.
    AccountGone,
    /// The project is gone, or hidden.
    ProjectGone(ProjectName),
    /// The account has lost these rights. Those of a robot end with the project, even if it is made
    /// anew (Harbor keeps them by its number).
    RightsGone {
        /// In which project.
        project: ProjectName,
        /// Which.
        rights: Vec<Right>,
    },
}

impl fmt::Display for Diagnosis {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::AccountGone => f.write_str(
                "Harbor no longer knows the account: it was disabled or removed, has ended, or its secret was changed",
            ),
            Self::ProjectGone(project) => {
                write!(f, "the project {project} is gone, or can no longer be seen by this account")
            }
            Self::RightsGone { project, rights } => write!(
                f,
                "the account has lost {} in the project {project}; a robot's rights end when a project is removed",
                listed(rights)
            ),
        }
    }
}

/// Asks a Harbor what is behind a refusal; none if it is what it says.
pub async fn diagnose(harbor: &Harbor, error: &PushError) -> Option<Diagnosis> {
    let (repository, source) = match error {
        PushError::Blob { repository, source, .. } | PushError::Manifest { repository, source, .. } => {
            (repository, source)
        }
        PushError::Damage(_)
        | PushError::Moved { .. }
        | PushError::NotAttached { .. }
        | PushError::Gone { .. }
        | PushError::Spool(_)
        | PushError::Task(_) => return None,
    };
    if !matches!(source.refusal(), Some(Refusal::Unauthorized | Refusal::Denied | Refusal::NotFound)) {
        return None;
    }
    let project: ProjectName = project_of(repository).parse().ok()?;
    // What cannot be asked either is told by the error itself.
    let account = harbor.account().await.ok()?;
    if account == Account::Nobody {
        return Some(Diagnosis::AccountGone);
    }
    match LiveProject::look(harbor, &account, &project).await {
        Ok(live) => {
            let rights = live.rights.missing(&PUSH_RIGHTS);
            (!rights.is_empty()).then_some(Diagnosis::RightsGone { project, rights })
        }
        Err(Error::Answer(answer)) if matches!(answer.status, 403 | 404) => {
            match harbor.project_exists(&project).await {
                Ok(Some(true)) => Some(Diagnosis::RightsGone { project, rights: PUSH_RIGHTS.to_vec() }),
                _ => Some(Diagnosis::ProjectGone(project)),
            }
        }
        Err(_) => None,
    }
}
