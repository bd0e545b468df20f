//! Makes and changes a Harbor's projects so that they are run as `harbor.yaml` says.
//! Takes live state and settings, gives a plan of steps, then carries it out.

use bundle_format::Timestamp;
use bundle_harbor::{
    Account, Harbor, ImmutableRule, NewProject, Policy, Prevention, Project, RetentionPolicy, Right,
    StorageLimit,
};
use bundle_oci::ProjectName;
use bundle_registry::Error;

use bundle_importer::{Change, Finding, PrepareError, ProjectOutlook};

use crate::difference::{differences, new_lists, texts};
use crate::{Difference, ExistingProjects, HarborSettings, LiveProject, LiveState, ProjectState, TagPattern};

/// The steps for a Harbor's projects before anything is pushed into them.
#[derive(Clone, Debug)]
pub struct ReconcilePlan {
    /// The projects, in the order in which they were asked for.
    pub projects: Vec<ProjectStep>,
}

/// The step for one project.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ProjectStep {
    /// Its name.
    pub name: ProjectName,
    /// The change.
    pub change: ProjectChange,
}

/// The change of a project.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum ProjectChange {
    /// It is made.
    Create {
        /// How it is run.
        policy: Policy,
        /// How much it may store; none for as much as this Harbor gives to any.
        limit: Option<StorageLimit>,
        /// Which of its tags must not move.
        immutable_tags: Vec<TagPattern>,
        /// Its exceptions and retention rules, as differences to a project that has none.
        more: Vec<Difference>,
    },
    /// It is changed in these points.
    Reconcile(Vec<Difference>),
    /// It is left, although it differs in these points.
    Leave(Vec<Difference>),
    /// It is as it should be.
    Keep,
}

impl ProjectStep {
    /// The limit that the project gets, if it gets one.
    pub fn limit(&self) -> Option<StorageLimit> {
        match &self.change {
            ProjectChange::Create { limit, .. } => *limit,
            ProjectChange::Reconcile(differences) => {
                differences.iter().find_map(|difference| match difference {
                    Difference::Quota { should, .. } => Some(*should),
                    _ => None,
                })
            }
            ProjectChange::Leave(_) | ProjectChange::Keep => None,
        }
    }
}

impl ProjectStep {
    /// The retention rules that the project gets, if it gets any.
    pub(crate) fn retention(&self) -> Option<&RetentionPolicy> {
        let differences = match &self.change {
            ProjectChange::Create { more, .. } => more,
            ProjectChange::Reconcile(differences) => differences,
            ProjectChange::Leave(_) | ProjectChange::Keep => return None,
        };
        differences.iter().find_map(|difference| match difference {
            Difference::Retention { should, .. } => Some(should),
            _ => None,
        })
    }
}

/// The rights that a change needs.
const UPDATE: Right = Right::new("project", "update");
const LIST_RULES: Right = Right::new("immutable-tag", "list");
const CREATE_RULE: Right = Right::new("immutable-tag", "create");
const CREATE_RETENTION: Right = Right::new("tag-retention", "create");
const UPDATE_RETENTION: Right = Right::new("tag-retention", "update");

impl ReconcilePlan {
    /// Compares what a Harbor is like with what is wanted, and says what stands in the way.
    pub fn new(live_state: &LiveState, settings: &HarborSettings) -> (Self, Vec<Finding>) {
        let now = Timestamp::now();
        let mut projects = Vec::new();
        let mut findings = Vec::new();
        for (name, state) in &live_state.projects {
            let wanted = settings.wanted(name);
            let change = match state {
                ProjectState::Missing => {
                    if !live_state.may_create {
                        findings.push(Finding::MayNotCreate { project: name.clone() });
                    }
                    ProjectChange::Create {
                        policy: wanted.policy(),
                        limit: wanted.quota,
                        more: new_lists(&wanted, now),
                        immutable_tags: wanted.immutable_tags,
                    }
                }
                ProjectState::Hidden => {
                    findings.push(Finding::Hidden { project: name.clone() });
                    continue;
                }
                ProjectState::There(live) if live.project.proxy_cache => {
                    findings.push(Finding::ProxyCache { project: name.clone() });
                    continue;
                }
                ProjectState::There(live) => {
                    let differences = differences(live, &wanted, now);
                    let finding = missing_rights(live_state, live, &differences);
                    let can_wait = differences.iter().all(Difference::can_wait);
                    match settings.existing {
                        _ if differences.is_empty() => ProjectChange::Keep,
                        ExistingProjects::Leave => ProjectChange::Leave(differences),
                        ExistingProjects::Reconcile if can_wait && finding.is_some() => {
                            ProjectChange::Leave(differences)
                        }
                        ExistingProjects::Reconcile => {
                            findings.extend(finding);
                            ProjectChange::Reconcile(differences)
                        }
                    }
                }
            };
            projects.push(ProjectStep { name: name.clone(), change });
        }
        (Self { projects }, findings)
    }

    /// Whether nothing is to be changed.
    pub fn is_empty(&self) -> bool {
        self.projects.iter().all(|step| matches!(step.change, ProjectChange::Keep | ProjectChange::Leave(_)))
    }
}

/// The rights that changes need and this account lacks. Whether it may set quotas, only an
/// administrator knows beforehand.
fn missing_rights(live_state: &LiveState, live: &LiveProject, differences: &[Difference]) -> Option<Finding> {
    let mut needed = Vec::new();
    for difference in differences {
        match difference {
            Difference::Access { .. }
            | Difference::AutoScan { .. }
            | Difference::Prevention { .. }
            | Difference::Exceptions { .. } => {
                needed.push(UPDATE);
            }
            Difference::Retention { should, .. } => {
                needed.push(if should.id.is_some() { UPDATE_RETENTION } else { CREATE_RETENTION });
            }
            Difference::ImmutableTags(_) => needed.extend([LIST_RULES, CREATE_RULE]),
            Difference::Quota { .. } => {}
        }
    }
    needed.sort_unstable();
    needed.dedup();
    let rights = match live_state.account {
        Account::Administrator(_) => Vec::new(),
        _ => live.rights.missing(&needed),
    };
    (!rights.is_empty()).then(|| Finding::MayNotReconcile {
        project: live.project.name.clone(),
        rights: names(&rights),
        differences: texts(differences),
    })
}

/// Rights in Harbor's words: `repository:push`.
pub(crate) fn names(rights: &[Right]) -> Vec<String> {
    rights.iter().map(Right::to_string).collect()
}

/// A project's policy in a few words.
pub fn policy_text(policy: &Policy) -> String {
    let scan = if policy.auto_scan { "automatic scan" } else { "no automatic scan" };
    let prevention = match policy.prevention {
        Prevention::Never => "pulls never prevented".to_owned(),
        Prevention::From(severity) => format!("pulls blocked from severity {severity}"),
    };
    format!("{}, {scan}, {prevention}", policy.access)
}

impl ProjectStep {
    /// The same for people and machines.
    pub fn outlook(&self) -> ProjectOutlook {
        let change = match &self.change {
            ProjectChange::Create { policy, limit, immutable_tags, more } => Change::Create {
                more: texts(more),
                policy: policy_text(policy),
                quota: limit.map(|limit| limit.to_string()),
                immutable_tags: immutable_tags.iter().map(|pattern| pattern.as_str().to_owned()).collect(),
            },
            ProjectChange::Reconcile(differences) => Change::Reconcile(texts(differences)),
            ProjectChange::Leave(differences) => Change::Leave(texts(differences)),
            ProjectChange::Keep => Change::Keep,
        };
        ProjectOutlook { name: self.name.clone(), change }
    }
}

/// Makes and changes projects, and looks at each of them again. `push_rights` are those that the
/// account must have in what was made, or it could not go on.
///
/// # Errors
/// Any [`PrepareError`]; a second run goes on where this one ended.
pub async fn reconcile(
    harbor: &Harbor,
    account: &Account,
    plan: &ReconcilePlan,
    settings: &HarborSettings,
    push_rights: &[Right],
) -> Result<(), PrepareError> {
    // The change that may be forbidden comes first: the account's right to set quotas is not known.
    for step in &plan.projects {
        if let ProjectChange::Reconcile(differences) = &step.change {
            for difference in differences {
                if let Difference::Quota { should, .. } = difference {
                    let failed = |source| PrepareError::Refused { project: step.name.clone(), source };
                    set_quota(harbor, &step.name, *should).await.map_err(failed)?;
                }
            }
        }
    }
    for step in &plan.projects {
        let failed = |source| PrepareError::Refused { project: step.name.clone(), source };
        match &step.change {
            ProjectChange::Keep | ProjectChange::Leave(_) => continue,
            ProjectChange::Create { policy, limit, immutable_tags, more: _ } => {
                let new = NewProject { name: &step.name, policy: *policy, limit: *limit };
                harbor.create_project(new).await.map_err(failed)?;
                for pattern in immutable_tags {
                    let rule = ImmutableRule::for_tags(pattern.as_str());
                    harbor.add_immutable_rule(&step.name, &rule).await.map_err(failed)?;
                }
            }
            ProjectChange::Reconcile(differences) => {
                let live = harbor.project(&step.name).await.map_err(failed)?;
                let policy = changed(live.policy, differences);
                if policy != live.policy {
                    harbor.set_policy(&step.name, policy).await.map_err(failed)?;
                }
                for difference in differences {
                    if let Difference::ImmutableTags(pattern) = difference {
                        let rule = ImmutableRule::for_tags(pattern.as_str());
                        harbor.add_immutable_rule(&step.name, &rule).await.map_err(failed)?;
                    }
                }
                set_lists(harbor, &live, differences).await.map_err(failed)?;
            }
        }
        check(harbor, account, step, settings, push_rights).await?;
    }
    Ok(())
}

/// Looks at a project again that was made or changed. An account that another client created meanwhile is
/// changed as needed, once.
async fn check(
    harbor: &Harbor,
    account: &Account,
    step: &ProjectStep,
    settings: &HarborSettings,
    push_rights: &[Right],
) -> Result<(), PrepareError> {
    let project = || step.name.clone();
    let failed = |source| PrepareError::Refused { project: project(), source };
    let wanted = settings.wanted(&step.name);
    let mut live = LiveProject::look(harbor, account, &step.name).await.map_err(failed)?;
    if live.project.proxy_cache {
        return Err(PrepareError::ProxyCache(project()));
    }
    let now = Timestamp::now();
    let mut left = differences(&live, &wanted, now);
    // Harbor sets another limit than was asked for, where the account may not choose it.
    if let Some(Difference::Quota { should, .. }) =
        left.iter().find(|left| matches!(left, Difference::Quota { .. }))
    {
        set_quota(harbor, &step.name, *should).await.map_err(failed)?;
    }
    if !left.is_empty() {
        let policy = changed(live.project.policy, &left);
        if policy != live.project.policy {
            harbor.set_policy(&step.name, policy).await.map_err(failed)?;
        }
        set_lists(harbor, &live.project, &left).await.map_err(failed)?;
        live = LiveProject::look(harbor, account, &step.name).await.map_err(failed)?;
        left = differences(&live, &wanted, now);
        // An account that may add a rule need not be able to list them.
        if live.immutable.is_none() {
            left.retain(|left| !matches!(left, Difference::ImmutableTags(_)));
        }
        if !left.is_empty() {
            return Err(PrepareError::NotKept { project: project(), differences: texts(&left) });
        }
    }
    let rights = live.rights.missing(push_rights);
    if rights.is_empty() {
        Ok(())
    } else {
        Err(PrepareError::Rights { project: project(), rights: names(&rights) })
    }
}

fn changed(mut policy: Policy, differences: &[Difference]) -> Policy {
    for difference in differences {
        match difference {
            Difference::Access { should, .. } => policy.access = *should,
            Difference::AutoScan { should } => policy.auto_scan = *should,
            Difference::Prevention { should, .. } => policy.prevention = *should,
            Difference::Quota { .. }
            | Difference::ImmutableTags(_)
            | Difference::Exceptions { .. }
            | Difference::Retention { .. } => {}
        }
    }
    policy
}

/// Sets the lists of a project that differ.
async fn set_lists(harbor: &Harbor, project: &Project, differences: &[Difference]) -> Result<(), Error> {
    for difference in differences {
        match difference {
            Difference::Exceptions { should, .. } => harbor.set_allowlist(&project.name, should).await?,
            Difference::Retention { should, .. } => harbor.set_retention(project, should).await?,
            _ => {}
        }
    }
    Ok(())
}

async fn set_quota(harbor: &Harbor, name: &ProjectName, limit: StorageLimit) -> Result<(), Error> {
    let id = harbor.project(name).await?.id;
    match harbor.quota(id).await? {
        Some(quota) if quota.limit != limit => harbor.set_quota(quota.id, limit).await,
        _ => Ok(()),
    }
}

#[cfg(test)]
mod tests {
    use bundle_harbor::{Access, Rights, Severity};

    use super::*;
    use crate::difference::tests::{LISTS, live, settings};

    #[test]
    fn an_account_that_may_not_set_exceptions_imports_nevertheless() {
        let stated = settings(LISTS);
        let mut project = live(Access::Private, true, Prevention::From(Severity::High));
        project.rights = Rights::default();
        let there = live_state(ProjectState::There(Box::new(project)), true);
        let (plan, findings) = ReconcilePlan::new(&there, &stated);
        assert!(findings.is_empty() && plan.is_empty());
        assert!(matches!(&plan.projects[0].change, ProjectChange::Leave(left) if left.len() == 2));
    }

    fn live_state(state: ProjectState, may_create: bool) -> LiveState {
        LiveState {
            system: bundle_harbor::SystemInfo::default(),
            account: Account::Robot,
            may_create,
            projects: vec![("cache".parse().unwrap(), state)],
        }
    }

    #[test]
    fn what_stands_in_the_way_is_found_before_anything_is_written() {
        let silent = HarborSettings::default();
        let findings =
            |live_state: &LiveState, settings: &HarborSettings| ReconcilePlan::new(live_state, settings).1;
        assert!(matches!(
            findings(&live_state(ProjectState::Missing, false), &silent)[..],
            [Finding::MayNotCreate { .. }]
        ));
        assert!(findings(&live_state(ProjectState::Missing, true), &silent).is_empty());
        assert!(matches!(
            findings(&live_state(ProjectState::Hidden, true), &silent)[..],
            [Finding::Hidden { .. }]
        ));
        let mut proxy = live(Access::Private, true, Prevention::From(Severity::High));
        proxy.project.proxy_cache = true;
        assert!(matches!(
            findings(&live_state(ProjectState::There(Box::new(proxy)), true), &silent)[..],
            [Finding::ProxyCache { .. }]
        ));
        let mut open = live(Access::Public, true, Prevention::From(Severity::High));
        open.rights = Rights::default();
        let there = live_state(ProjectState::There(Box::new(open)), true);
        let found = findings(&there, &silent);
        assert!(
            matches!(&found[..], [Finding::MayNotReconcile { rights, .. }] if rights[..] == [UPDATE.to_string()]),
            "{found:?}"
        );
        let leave = settings("existingProjects: leave\n");
        let (plan, findings) = ReconcilePlan::new(&there, &leave);
        assert!(findings.is_empty() && plan.is_empty());
        assert!(
            matches!(&plan.projects[0].change, ProjectChange::Leave(differences) if differences.len() == 1)
        );
    }
}
