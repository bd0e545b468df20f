//! Makes and changes a Harbor's projects so that they are run as `harbor.yaml` says.
//! Takes live state and settings, gives a plan of steps, then carries it out.

use std::fmt;

use bundle_harbor::{
    Access, Account, Harbor, ImmutableRule, NewProject, Policy, Prevention, Right, StorageLimit,
};
use bundle_oci::ProjectName;
use bundle_registry::Error;

use bundle_importer::{Change, Finding, PrepareError, ProjectOutlook};

use crate::{
    ExistingProjects, HarborSettings, LiveProject, LiveState, ProjectState, Setting, TagPattern,
    WantedProject,
};

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

/// A point in which a project is not as it should be.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Difference {
    /// Pull access without an account.
    Access {
        /// As it is.
        is: Access,
        /// As it should be.
        should: Access,
    },
    /// Whether images are scanned when they are pushed.
    AutoScan {
        /// As it should be; it is the other.
        should: bool,
    },
    /// Which images may not be pulled.
    Prevention {
        /// As it is.
        is: Prevention,
        /// As it should be.
        should: Prevention,
    },
    /// How much may be stored.
    Quota {
        /// As it is.
        is: StorageLimit,
        /// As it should be.
        should: StorageLimit,
    },
    /// Tags that could still be moved.
    ImmutableTags(TagPattern),
}

impl fmt::Display for Difference {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Access { is, should } => write!(f, "access is {is}, should be {should}"),
            Self::AutoScan { should: true } => f.write_str("automatic scan is off, should be on"),
            Self::AutoScan { should: false } => f.write_str("automatic scan is on, should be off"),
            Self::Prevention { is, should } => {
                write!(f, "prevention of pulls is {is}, should be {should}")
            }
            Self::Quota { is, should } => write!(f, "quota is {is}, should be {should}"),
            Self::ImmutableTags(pattern) => write!(f, "tags {} are not immutable", pattern.as_str()),
        }
    }
}

/// The rights that a change needs.
const UPDATE: Right = Right::new("project", "update");
const LIST_RULES: Right = Right::new("immutable-tag", "list");
const CREATE_RULE: Right = Right::new("immutable-tag", "create");

impl ReconcilePlan {
    /// Compares what a Harbor is like with what is wanted, and says what stands in the way.
    pub fn new(live_state: &LiveState, settings: &HarborSettings) -> (Self, Vec<Finding>) {
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
                    let differences = differences(live, &wanted);
                    match settings.existing {
                        _ if differences.is_empty() => ProjectChange::Keep,
                        ExistingProjects::Leave => ProjectChange::Leave(differences),
                        ExistingProjects::Reconcile => {
                            findings.extend(missing_rights(live_state, live, &differences));
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

/// The differences between a project and its settings. A default is a floor: it makes a project stricter, and
/// never less strict than someone has made it by hand.
fn differences(live: &LiveProject, wanted: &WantedProject) -> Vec<Difference> {
    let is = live.project.policy;
    let mut differences = Vec::new();
    let access = match wanted.access {
        Setting::Stated(should) => should,
        Setting::Default(should) => should.min(is.access),
    };
    if access != is.access {
        differences.push(Difference::Access { is: is.access, should: access });
    }
    let auto_scan = match wanted.auto_scan {
        Setting::Stated(should) => should,
        Setting::Default(should) => should || is.auto_scan,
    };
    if auto_scan != is.auto_scan {
        differences.push(Difference::AutoScan { should: auto_scan });
    }
    let prevention = match wanted.prevention {
        Setting::Default(should) if is.prevention.strictness() >= should.strictness() => is.prevention,
        Setting::Stated(should) | Setting::Default(should) => should,
    };
    if prevention != is.prevention {
        differences.push(Difference::Prevention { is: is.prevention, should: prevention });
    }
    if let (Some(should), Some(storage)) = (wanted.quota, live.storage)
        && should != storage.limit
    {
        differences.push(Difference::Quota { is: storage.limit, should });
    }
    for pattern in &wanted.immutable_tags {
        let rule = ImmutableRule::for_tags(pattern.as_str());
        if !live.immutable.as_ref().is_some_and(|rules| rules.contains(&rule)) {
            differences.push(Difference::ImmutableTags(pattern.clone()));
        }
    }
    differences
}

/// The rights that changes need and this account lacks. Whether it may set quotas, only an
/// administrator knows beforehand.
fn missing_rights(live_state: &LiveState, live: &LiveProject, differences: &[Difference]) -> Option<Finding> {
    let mut needed = Vec::new();
    for difference in differences {
        match difference {
            Difference::Access { .. } | Difference::AutoScan { .. } | Difference::Prevention { .. } => {
                needed.push(UPDATE);
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

/// Differences in words.
pub(crate) fn texts(differences: &[Difference]) -> Vec<String> {
    differences.iter().map(Difference::to_string).collect()
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
            ProjectChange::Create { policy, limit, immutable_tags } => Change::Create {
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
            ProjectChange::Create { policy, limit, immutable_tags } => {
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
    let mut left = differences(&live, &wanted);
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
        live = LiveProject::look(harbor, account, &step.name).await.map_err(failed)?;
        left = differences(&live, &wanted);
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
            Difference::Quota { .. } | Difference::ImmutableTags(_) => {}
        }
    }
    policy
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
    use bundle_harbor::{Project, Rights, Severity, StorageUse};

    use super::*;
    use crate::ScannerState;

    fn settings(text: &str) -> HarborSettings {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("harbor.yaml");
        std::fs::write(&path, text).unwrap();
        HarborSettings::load(&path).unwrap()
    }

    fn live(access: Access, auto_scan: bool, prevention: Prevention) -> LiveProject {
        LiveProject {
            project: Project {
                id: 1,
                name: "cache".parse().unwrap(),
                proxy_cache: false,
                policy: Policy { access, auto_scan, prevention },
                exemptions: false,
            },
            rights: Rights::all(),
            storage: Some(StorageUse { limit: StorageLimit::Bytes(1 << 30), used: 0 }),
            scanner: ScannerState::Absent,
            immutable: Some(vec![ImmutableRule::for_tags("v*")]),
        }
    }

    fn texts(live: &LiveProject, settings: &HarborSettings) -> Vec<String> {
        let wanted = settings.wanted(&live.project.name);
        differences(live, &wanted).iter().map(Difference::to_string).collect()
    }

    #[test]
    fn what_nobody_stated_makes_a_project_stricter_and_never_less_strict() {
        let silent = HarborSettings::default();
        let open = live(Access::Public, false, Prevention::Never);
        assert_eq!(
            texts(&open, &silent),
            [
                "access is public, should be private",
                "automatic scan is off, should be on",
                "prevention of pulls is never, should be high"
            ]
        );
        let strict = live(Access::Private, true, Prevention::From(Severity::Medium));
        assert!(texts(&strict, &silent).is_empty());
        let lax = live(Access::Private, true, Prevention::From(Severity::Critical));
        assert_eq!(texts(&lax, &silent), ["prevention of pulls is critical, should be high"]);
    }

    #[test]
    fn what_is_stated_is_made_exactly_so() {
        let stated = settings(
            "projects:\n  cache: {access: public, autoScan: false, preventPulls: never, quota: 2GiB, immutableTags: ['v*', '1.*']}\n",
        );
        let strict = live(Access::Private, true, Prevention::From(Severity::Medium));
        assert_eq!(
            texts(&strict, &stated),
            [
                "access is private, should be public",
                "automatic scan is on, should be off",
                "prevention of pulls is medium, should be never",
                "quota is 1GiB, should be 2GiB",
                "tags 1.* are not immutable"
            ]
        );
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
