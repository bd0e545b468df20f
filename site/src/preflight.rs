//! The checks of a Harbor and an account that run before anything is written.
//! Takes live state and settings, gives steps and findings, all at once.

use bundle_harbor::{Account, Right};
use bundle_importer::Finding;

use crate::reconcile::names;
use crate::{HarborSettings, LiveState, ProjectState, ReconcilePlan};

/// Without these, nothing can be pushed into a project.
pub const PUSH_RIGHTS: [Right; 5] = [
    Right::new("project", "read"),
    Right::new("repository", "pull"),
    Right::new("repository", "push"),
    Right::new("artifact", "read"),
    Right::new("artifact", "list"),
];

/// Returns the steps for the projects, and the failed checks that apply to any import into them.
pub fn preflight(live: &LiveState, settings: &HarborSettings) -> (ReconcilePlan, Vec<Finding>) {
    let (reconcile, mut findings) = ReconcilePlan::new(live, settings);
    if live.account == Account::Nobody {
        findings.push(Finding::Nobody);
    }
    if live.system.read_only == Some(true) {
        findings.push(Finding::ReadOnly);
    }
    findings.extend(missing_rights(live));
    (reconcile, findings)
}

/// The rights that an import needs and this account lacks, in projects that it can look at.
fn missing_rights(live: &LiveState) -> Vec<Finding> {
    let mut findings = Vec::new();
    for (name, state) in &live.projects {
        if let ProjectState::There(live) = state {
            let rights = live.rights.missing(&PUSH_RIGHTS);
            if !rights.is_empty() && !live.project.proxy_cache {
                findings.push(Finding::MissingRights {
                    project: name.clone(),
                    lacks_pull: rights.contains(&Right::new("repository", "pull")),
                    rights: names(&rights),
                });
            }
        }
    }
    findings
}
