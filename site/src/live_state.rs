//! The live state of a Harbor, as far as this account may read it. Takes a client and project names, gives
//! values; every request is a GET or HEAD.

use std::collections::BTreeMap;

use bundle_format::ProjectPolicy;
use bundle_harbor::{
    Access, Account, Harbor, ImmutableRule, Prevention, Project, RetentionPolicy, Right, Rights, Scanner,
    StorageLimit, StorageUse, SystemInfo,
};
use bundle_oci::{Printable, ProjectName};
use bundle_registry::Error;
use futures_util::{StreamExt, TryStreamExt};

use crate::TagPattern;
use crate::scan::receipt_severity;

/// The live state of a Harbor before any change.
#[derive(Clone, Debug)]
pub struct LiveState {
    /// The system information.
    pub system: SystemInfo,
    /// The account.
    pub account: Account,
    /// Whether we may make projects.
    pub may_create: bool,
    /// The state of each project, in the order in which they were asked for.
    pub projects: Vec<(ProjectName, ProjectState)>,
}

/// The state of one project.
#[derive(Clone, Debug)]
pub enum ProjectState {
    /// No project has this name.
    Missing,
    /// There may be one, but this account may not look at it.
    Hidden,
    /// There is one.
    There(Box<LiveProject>),
}

/// A project as it is.
#[derive(Clone, Debug)]
pub struct LiveProject {
    /// The project itself.
    pub project: Project,
    /// The rights of this account in it.
    pub rights: Rights,
    /// How much it stores and may store; none if this account may not know.
    pub storage: Option<StorageUse>,
    /// The scanner.
    pub scanner: ScannerState,
    /// The rules for immutable tags; none if this account may not list them.
    pub immutable: Option<Vec<ImmutableRule>>,
    /// What Harbor itself keeps of its tags; none if this account may not know.
    pub retention: Option<RetentionPolicy>,
}

/// Whether a project's images are scanned.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum ScannerState {
    /// They are, by this.
    Scans(Scanner),
    /// Nothing scans them, and so no pull is prevented.
    Absent,
    /// This account may not know.
    Unknown,
}

impl LiveState {
    /// Looks at a Harbor and some of its projects. Nothing is written.
    ///
    /// # Errors
    /// Any [`Error`] but that something may not be looked at.
    pub async fn of(
        harbor: &Harbor,
        projects: impl IntoIterator<Item = ProjectName>,
        jobs: usize,
    ) -> Result<Self, Error> {
        let account = harbor.account().await?;
        let system = harbor.system_info().await?;
        let mut live = Self { system, account, may_create: false, projects: Vec::new() };
        if live.account == Account::Nobody {
            return Ok(live);
        }
        let account = &live.account;
        live.projects = futures_util::stream::iter(projects)
            .map(|project| async move {
                let state = state(harbor, account, &project).await?;
                Ok::<_, Error>((project, state))
            })
            .buffered(jobs.max(1))
            .try_collect()
            .await?;
        if live.projects.iter().any(|(_, state)| matches!(state, ProjectState::Missing)) {
            live.may_create = may_create(harbor, &live).await?;
        }
        Ok(live)
    }

    /// The state of a project that was asked for.
    pub fn project(&self, name: &ProjectName) -> Option<&ProjectState> {
        self.projects.iter().find(|(project, _)| project == name).map(|(_, state)| state)
    }
}

impl LiveProject {
    /// How the project is run, for a receipt. A severity that Harbor does not know blocks everything, and so
    /// is reported as the lowest.
    pub fn policy(&self) -> ProjectPolicy {
        let policy = self.project.policy;
        ProjectPolicy {
            public: policy.access == Access::Public,
            scan_on_push: policy.auto_scan,
            blocked_from: match policy.prevention {
                Prevention::Never => None,
                Prevention::From(severity) => {
                    Some(receipt_severity(severity).unwrap_or(bundle_format::Severity::Unknown))
                }
            },
            quota: self.storage.and_then(|storage| match storage.limit {
                StorageLimit::Unlimited => None,
                StorageLimit::Bytes(bytes) => Some(bytes),
            }),
            immutable_tags: self
                .immutable
                .iter()
                .flatten()
                .filter(|rule| !rule.disabled && rule.repositories == "**")
                .map(|rule| rule.tags.clone())
                // A receipt has only what can be shown.
                .filter(|pattern| pattern.parse::<TagPattern>().is_ok())
                .collect(),
        }
    }

    /// Looks at a project.
    ///
    /// # Errors
    /// Any [`Error`]; HTTP 403 if the account may not read it or there is no such project.
    pub async fn look(harbor: &Harbor, account: &Account, name: &ProjectName) -> Result<Self, Error> {
        let project = harbor.project(name).await?;
        let rights = match account {
            // An administrator has them all, and Harbor lists only those of roles.
            Account::Administrator(_) => Rights::all(),
            _ => harbor.project_rights(project.id).await?,
        };
        let storage = unless_forbidden(harbor.storage(name).await)?.flatten();
        let scanner = match unless_forbidden(harbor.scanner(name).await)? {
            Some(Some(scanner)) => ScannerState::Scans(scanner),
            Some(None) => ScannerState::Absent,
            None => ScannerState::Unknown,
        };
        let immutable = match rights.have(Right::new("immutable-tag", "list")) {
            true => unless_forbidden(harbor.immutable_rules(name).await)?,
            false => None,
        };
        let retention = match rights.have(Right::new("tag-retention", "read")) {
            true => unless_forbidden(harbor.retention(&project).await)?.map(Option::unwrap_or_default),
            // A project without one says so to everybody.
            false => project.retention.is_none().then(RetentionPolicy::default),
        };
        Ok(Self { project, rights, storage, scanner, immutable, retention })
    }
}

async fn state(harbor: &Harbor, account: &Account, name: &ProjectName) -> Result<ProjectState, Error> {
    let exists = harbor.project_exists(name).await?;
    if exists == Some(false) {
        return Ok(ProjectState::Missing);
    }
    match LiveProject::look(harbor, account, name).await {
        Ok(live) => Ok(ProjectState::There(Box::new(live))),
        // An administrator is refused nothing, so there is nothing.
        Err(error) if error.status() == Some(404) => Ok(ProjectState::Missing),
        Err(error) if error.status() == Some(403) => Ok(ProjectState::Hidden),
        Err(error) => Err(error),
    }
}

/// A robot needs the right, a person only where Harbor keeps it to administrators
/// (handler/project.go, CreateProject).
async fn may_create(harbor: &Harbor, live: &LiveState) -> Result<bool, Error> {
    Ok(match live.account {
        Account::Administrator(_) => true,
        Account::Nobody => false,
        Account::User(_) if live.system.project_creation_restriction.as_deref() == Some("everyone") => true,
        Account::User(_) | Account::Robot => {
            harbor.system_rights().await?.have(Right::new("project", "create"))
        }
    })
}

/// The account's name at Harbor, for people.
pub fn account_text(account: &Account) -> String {
    match account {
        Account::Administrator(name) => format!("{}, an administrator", Printable(name)),
        Account::User(name) => Printable(name).to_string(),
        Account::Robot => "a robot account".to_owned(),
        Account::Nobody => "nobody".to_owned(),
    }
}

/// None for what the account may not know.
fn unless_forbidden<T>(result: Result<T, Error>) -> Result<Option<T>, Error> {
    match result {
        Ok(found) => Ok(Some(found)),
        Err(error) if error.status() == Some(403) => Ok(None),
        Err(error) => Err(error),
    }
}

/// How projects are run now, for a receipt.
///
/// # Errors
/// Any [`Error`].
pub(crate) async fn policies(
    harbor: &Harbor,
    account: &Account,
    projects: impl IntoIterator<Item = ProjectName>,
) -> Result<BTreeMap<ProjectName, ProjectPolicy>, Error> {
    let mut policies = BTreeMap::new();
    for project in projects {
        let live = LiveProject::look(harbor, account, &project).await?;
        policies.insert(project, live.policy());
    }
    Ok(policies)
}
