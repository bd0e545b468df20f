//! Finds the cause of a refusal in the middle of an import through Harbor's own API. Takes the error and a
//! client, gives a cause if Harbor names one.

use bundle_harbor::{Account, Harbor};
use bundle_importer::{Cause, PushError};
use bundle_oci::ProjectName;
use bundle_registry::{Error, Refusal};

use crate::harbor::project_of;
use crate::reconcile::names;
use crate::{LiveProject, PUSH_RIGHTS};

/// Asks a Harbor what is behind a refusal; none if it is what it says. To Harbor's registry a missing
/// right, a missing project and a disabled account are the same: HTTP 401.
pub(crate) async fn find(harbor: &Harbor, error: &PushError) -> Option<Cause> {
    let (repository, source) = match error {
        PushError::Blob { repository, source, .. } | PushError::Manifest { repository, source, .. } => {
            (repository, source)
        }
        PushError::Damage(_)
        | PushError::Foreign { .. }
        | PushError::Incomplete { .. }
        | PushError::Moved { .. }
        | PushError::NotAttached { .. }
        | PushError::Gone { .. }
        | PushError::Scratch(_)
        | PushError::Task(_) => return None,
    };
    if !matches!(source.refusal(), Some(Refusal::Unauthorized | Refusal::Denied | Refusal::NotFound)) {
        return None;
    }
    let project: ProjectName = project_of(repository).parse().ok()?;
    // If the API fails too, the error itself is reported.
    let account = harbor.account().await.ok()?;
    if account == Account::Nobody {
        return Some(Cause::AccountGone);
    }
    match LiveProject::look(harbor, &account, &project).await {
        Ok(live) => {
            let rights = live.rights.missing(&PUSH_RIGHTS);
            (!rights.is_empty()).then_some(Cause::RightsGone { project, rights: names(&rights) })
        }
        Err(Error::Answer(answer)) if matches!(answer.status, 403 | 404) => {
            match harbor.project_exists(&project).await {
                Ok(Some(true)) => Some(Cause::RightsGone { project, rights: names(&PUSH_RIGHTS) }),
                _ => Some(Cause::ProjectGone(project)),
            }
        }
        Err(_) => None,
    }
}
