//! Makes a site's robot accounts, delivers their secrets, and rotates them.
//! Takes settings and the places for secrets; gives steps before anything is made.

use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};

use bundle_format::{FileError, replace_secret};
use bundle_harbor::{Account, Harbor, Permission, Right, Robot, RobotLifetime, RobotSecret, RobotSpec};
use bundle_importer::{Finding, PrepareError};
use bundle_input::TextError;
use bundle_oci::{ProjectName, Registry};
use bundle_registry::Error;

use crate::bootstrap::kept::{ClientAs, apply_kept};
use crate::bootstrap::kubectl;
use crate::bootstrap::secrets::pull_secret;
use crate::difference::system_difference;
use crate::{
    Difference, HarborSettings, LABEL_RIGHTS, LiveState, Namespace, PullAccount, ReconcilePlan, new_secret,
    reconcile,
};

/// The rights of the importer's robot in each project that it writes to, and no more: it can neither remove
/// content or tags nor change a project's policy. The last six are for labels, which say where content came from.
pub const IMPORTER_RIGHTS: [Right; 21] = [
    Right::new("project", "read"),
    Right::new("metadata", "read"),
    Right::new("metadata", "list"),
    Right::new("quota", "read"),
    Right::new("scanner", "read"),
    Right::new("repository", "read"),
    Right::new("repository", "list"),
    Right::new("repository", "pull"),
    Right::new("repository", "push"),
    Right::new("artifact", "read"),
    Right::new("artifact", "list"),
    Right::new("tag", "list"),
    Right::new("immutable-tag", "list"),
    Right::new("tag-retention", "read"),
    Right::new("scan", "create"),
    LABEL_RIGHTS[0],
    LABEL_RIGHTS[1],
    LABEL_RIGHTS[2],
    LABEL_RIGHTS[3],
    LABEL_RIGHTS[4],
    LABEL_RIGHTS[5],
];

const PULL: Right = Right::new("repository", "pull");

/// The steps of `bundle harbor bootstrap`: projects, the importer's robot, and for each project with
/// namespaces a robot that pulls.
#[derive(Clone, Debug)]
pub struct BootstrapPlan {
    /// The live state of the Harbor.
    pub live: LiveState,
    /// The steps for the projects.
    pub reconcile: ReconcilePlan,
    /// The change of the system's exceptions, if any.
    pub system: Option<Difference>,
    /// The steps for the robots, the importer's first.
    pub robots: Vec<RobotStep>,
    /// The preflight checks that failed.
    pub findings: Vec<Finding>,
}

/// The step for one robot.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RobotStep {
    /// Its purpose.
    pub purpose: Purpose,
    /// The wanted account.
    pub spec: RobotSpec,
    /// The change.
    pub change: RobotChange,
}

/// The purpose of a robot.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Purpose {
    /// It imports bundles.
    Importer,
    /// It pulls for nodes, from the project `cache` alone: what a node may pull, any pod on it can run.
    Nodes,
    /// It pulls for the pods of some namespaces.
    Pull {
        /// The project whose robot it is.
        project: ProjectName,
        /// The namespaces.
        namespaces: BTreeSet<Namespace>,
    },
}

impl Purpose {
    /// The name of the file that its secret goes into.
    pub fn file(&self) -> String {
        match self {
            Self::Importer => "importer.json".to_owned(),
            Self::Nodes => format!("{}.json", ProjectName::cache()),
            Self::Pull { project, .. } => format!("{project}.yaml"),
        }
    }
}

/// The change of a robot.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum RobotChange {
    /// It is made.
    Create,
    /// Its rights or its end are changed; its secret stays.
    Update(Box<Robot>),
    /// It is as it should be.
    Keep(Box<Robot>),
}

/// Where secrets go.
#[derive(Clone, Debug)]
pub struct SecretPlaces<'a> {
    /// The directory for files.
    pub directory: &'a Path,
    /// The registry's host as pods and importers name it.
    pub host: &'a Registry,
    /// The destination of a pull secret.
    pub delivery: SecretDelivery,
    /// The namespace in which Harbor itself runs.
    pub harbor_namespace: &'a Namespace,
}

impl SecretPlaces<'_> {
    /// The pull secret's name in each of these namespaces.
    pub fn secret_names<'a>(
        &self,
        namespaces: impl IntoIterator<Item = &'a Namespace>,
    ) -> impl Iterator<Item = (Namespace, &'static str)> {
        namespaces
            .into_iter()
            .map(|namespace| (namespace.clone(), pull_secret(namespace, self.harbor_namespace)))
    }
}

/// The destination of a pull secret.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Default)]
pub enum SecretDelivery {
    /// It is kept in a file.
    #[default]
    File,
    /// `kubectl` applies it, and no file keeps it.
    Kubectl,
}

/// Where a secret went.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum SecretPlace {
    /// Into a file.
    File(PathBuf),
    /// Into the cluster: the secret's name in each namespace.
    Cluster(BTreeMap<Namespace, &'static str>),
}

/// Why a Harbor is not set up, or a secret not changed.
#[derive(Debug, thiserror::Error)]
pub enum BootstrapError {
    /// A project.
    #[error(transparent)]
    Prepare(#[from] PrepareError),
    /// A robot.
    #[error("robot account {name} cannot be {doing}")]
    Robot {
        /// Its name without prefix.
        name: String,
        /// The action that failed.
        doing: &'static str,
        /// Why it failed.
        source: Error,
    },
    /// The system's exceptions.
    #[error("the system's exceptions cannot be set")]
    System(#[source] Error),
    /// There is no such robot.
    #[error("there is no robot account {0}")]
    NoRobot(String),
    /// A secret cannot be kept, and so was not changed.
    #[error(transparent)]
    File(#[from] FileError),
    /// The system has no random numbers.
    #[error("no secret can be made")]
    Random(#[source] getrandom::Error),
    /// `kubectl` did not take a secret. It is in the file.
    #[error("the secret in {} cannot be applied", .path.display())]
    Kubectl {
        /// The file.
        path: PathBuf,
        /// Whether another secret of the account ended, which pods may still have.
        replaced: bool,
        /// Why not.
        source: kubectl::KubectlError,
    },
    /// A file that an earlier run left has an account's secret that Harbor does not accept.
    #[error("the secret in {} was not applied: Harbor does not accept it", .0.display())]
    Dead(PathBuf),
    /// A file that an earlier run left cannot be read.
    #[error(transparent)]
    Unreadable(#[from] TextError),
    /// A file that an earlier run left has no secret of the account.
    #[error("{} has no secret of {user}", .path.display())]
    Other {
        /// The file.
        path: PathBuf,
        /// The account.
        user: String,
    },
    /// Several of these; all else was done.
    #[error("{} secrets cannot be applied", .0.len())]
    Several(Vec<BootstrapError>),
}

impl BootstrapPlan {
    /// Compares a Harbor with what is wanted of it. Nothing is written.
    ///
    /// # Errors
    /// Any [`Error`] but those that are findings.
    pub async fn new(
        harbor: &Harbor,
        settings: &HarborSettings,
        projects: &BTreeSet<ProjectName>,
        now: i64,
        jobs: usize,
    ) -> Result<Self, Error> {
        let mut all: BTreeSet<ProjectName> = projects.clone();
        for project in projects {
            let wanted = settings.wanted(project);
            if !wanted.namespaces.is_empty() {
                all.extend(wanted.pulls);
            }
        }
        let live = LiveState::of(harbor, all.iter().cloned(), jobs).await?;
        let (reconcile, mut findings) = ReconcilePlan::new(&live, settings);
        match live.account {
            Account::Administrator(_) => {}
            Account::Nobody => findings.push(Finding::Nobody),
            Account::User(_) | Account::Robot => findings.push(Finding::NoAdministrator),
        }
        if live.system.read_only == Some(true) {
            findings.push(Finding::ReadOnly);
        }
        let mut robots = Vec::new();
        if findings.is_empty() {
            let (prefix, existing) = (harbor.robot_prefix().await?, harbor.robots().await?);
            for (purpose, spec) in wanted_robots(settings, &all) {
                let name = format!("{prefix}{}", spec.name);
                let found = existing.iter().find(|robot| robot.name == name);
                let change = match found {
                    None => RobotChange::Create,
                    Some(robot) => {
                        let wanted = updated(robot, &spec, &purpose, now);
                        let robot = Box::new(wanted.clone().unwrap_or_else(|| robot.clone()));
                        if wanted.is_some() { RobotChange::Update(robot) } else { RobotChange::Keep(robot) }
                    }
                };
                robots.push(RobotStep { purpose, spec, change });
            }
        }
        let system = match findings.is_empty() {
            true => system_difference(harbor, settings).await?,
            false => None,
        };
        Ok(Self { live, reconcile, system, robots, findings })
    }

    /// The projects that have a name which is no namespace's, and none given.
    pub fn without_namespace<'a>(
        &'a self,
        settings: &'a HarborSettings,
    ) -> impl Iterator<Item = &'a ProjectName> {
        let shared = |project: &ProjectName| project.is_cache() || *project == ProjectName::platform();
        let names = self.live.projects.iter().map(|(name, _)| name);
        names.filter(move |name| !shared(name) && settings.wanted(name).namespaces.is_empty())
    }
}

/// The robots that projects need: the importer's, with its rights in all of them, and one for each that
/// has namespaces.
fn wanted_robots(settings: &HarborSettings, projects: &BTreeSet<ProjectName>) -> Vec<(Purpose, RobotSpec)> {
    let robots = &settings.robots;
    let everywhere = projects.iter().flat_map(|project| {
        IMPORTER_RIGHTS.into_iter().map(move |right| Permission::project(project, right))
    });
    let importer = RobotSpec {
        name: robots.importer.clone(),
        description: "bundle: brings bundles in".to_owned(),
        lifetime: robots.importer_lifetime,
        permissions: everywhere.collect(),
    };
    let mut wanted = vec![(Purpose::Importer, importer)];
    for project in projects {
        let settings = settings.wanted(project);
        let for_nodes = project.is_cache() && settings.namespaces.is_empty();
        if settings.namespaces.is_empty() && !for_nodes {
            continue;
        }
        let sources = settings.pulls.iter().chain([project]);
        let spec = RobotSpec {
            name: format!("{}{project}", robots.pull_prefix),
            description: match for_nodes {
                true => "bundle: pulls for nodes".to_owned(),
                false => format!("bundle: pulls for {project}"),
            },
            lifetime: robots.pull_lifetime,
            permissions: sources.map(|source| Permission::project(source, PULL)).collect(),
        };
        let purpose = match for_nodes {
            true => Purpose::Nodes,
            false => Purpose::Pull { project: project.clone(), namespaces: settings.namespaces },
        };
        wanted.push((purpose, spec));
    }
    wanted
}

const DAY: i64 = 24 * 60 * 60;

/// Returns the changed robot, if a change is needed. The importer's robot keeps its rights in other projects,
/// which another bootstrap gave it; one that pulls gets exactly the wanted rights.
fn updated(robot: &Robot, spec: &RobotSpec, purpose: &Purpose, now: i64) -> Option<Robot> {
    let mut wanted = robot.clone();
    match purpose {
        Purpose::Importer => wanted.permissions.extend(spec.permissions.iter().cloned()),
        Purpose::Nodes | Purpose::Pull { .. } => wanted.permissions = spec.permissions.clone(),
    }
    match spec.lifetime {
        RobotLifetime::Forever => wanted.days = -1,
        RobotLifetime::Days(days) => {
            let days = i64::from(days);
            let left = robot.expires_at.saturating_sub(now);
            // Harbor counts a robot's days from its making on (handler/robot.go, updateV2Robot). One
            // that has most of its time before it is left alone.
            if robot.days == -1 {
                wanted.days = days;
            } else if left < days.saturating_mul(DAY) * 2 / 3 {
                let made = robot.expires_at.saturating_sub(robot.days.saturating_mul(DAY));
                let age = now.saturating_sub(made).max(0) / DAY;
                wanted.days = age.saturating_add(days);
            }
        }
    }
    (wanted != *robot).then_some(wanted)
}

/// Sets a Harbor up. `told` hears of each secret that was delivered. A secret that `kubectl` does not take, for
/// example because its namespace is not there yet, holds up no other, and is applied by the next run. `client_as`
/// asks whether Harbor still accepts what an earlier run kept in a file.
///
/// # Errors
/// Any [`BootstrapError`]; a second run goes on where this one ended.
pub async fn bootstrap(
    harbor: &Harbor,
    plan: &BootstrapPlan,
    settings: &HarborSettings,
    places: &SecretPlaces<'_>,
    client_as: &ClientAs<'_>,
    mut told: impl FnMut(&RobotStep, &SecretPlace),
) -> Result<(), BootstrapError> {
    reconcile(harbor, &plan.live.account, &plan.reconcile, settings, &[]).await?;
    if let Some(Difference::Exceptions { should, .. }) = &plan.system {
        harbor.set_system_allowlist(should).await.map_err(BootstrapError::System)?;
    }
    let mut unapplied = Vec::new();
    let mut tell = |step: &RobotStep, delivered: Result<SecretPlace, BootstrapError>| match delivered {
        Ok(place) => {
            told(step, &place);
            Ok(())
        }
        Err(error @ (BootstrapError::Kubectl { .. } | BootstrapError::Dead(_))) => {
            unapplied.push(error);
            Ok(())
        }
        Err(error) => Err(error),
    };
    for step in &plan.robots {
        let failed = |doing| {
            let name = step.spec.name.clone();
            move |source| BootstrapError::Robot { name, doing, source }
        };
        let (id, name) = match &step.change {
            RobotChange::Create => {
                let secret = new_secret().map_err(BootstrapError::Random)?;
                // Before Harbor is asked: what has no place must not be made.
                let pending = pending(places, &step.purpose);
                replace_secret(&pending, b"")?;
                let created = harbor.create_robot(&step.spec).await;
                let created = match created {
                    Ok(created) => created,
                    Err(error) => {
                        // A lost answer may have been a success.
                        if !error.is_retryable() {
                            let _ = std::fs::remove_file(&pending);
                        }
                        return Err(failed("made")(error));
                    }
                };
                let robot = (created.id, created.name.as_str());
                let issued = Issued { secret, replaces: false };
                tell(step, issue(harbor, robot, &step.spec.name, &step.purpose, issued, places).await)?;
                continue;
            }
            RobotChange::Update(robot) => {
                harbor.update_robot(robot).await.map_err(failed("changed"))?;
                (robot.id, robot.name.as_str())
            }
            RobotChange::Keep(robot) => (robot.id, robot.name.as_str()),
        };
        // An earlier run made the robot and ended before its secret was kept.
        if pending(places, &step.purpose).exists() {
            let secret = new_secret().map_err(BootstrapError::Random)?;
            let issued = Issued { secret, replaces: true };
            tell(step, issue(harbor, (id, name), &step.spec.name, &step.purpose, issued, places).await)?;
        } else if let (SecretDelivery::Kubectl, Purpose::Pull { namespaces, .. }) =
            (places.delivery, &step.purpose)
        {
            // An earlier run kept the secret in a file, by request or because a namespace was missing.
            let path = places.directory.join(step.purpose.file());
            if path.exists() {
                tell(step, apply_kept(harbor, &path, name, namespaces, places, client_as).await)?;
            }
        }
    }
    match unapplied.len() {
        0 => Ok(()),
        1 => Err(unapplied.remove(0)),
        _ => Err(BootstrapError::Several(unapplied)),
    }
}

/// Gives a robot a new secret. The old one ends at once.
///
/// # Errors
/// Any [`BootstrapError`].
pub async fn rotate(
    harbor: &Harbor,
    name: &str,
    purpose: &Purpose,
    places: &SecretPlaces<'_>,
) -> Result<SecretPlace, BootstrapError> {
    let failed = |source| BootstrapError::Robot { name: name.to_owned(), doing: "found", source };
    let whole = format!("{}{name}", harbor.robot_prefix().await.map_err(failed)?);
    let robots = harbor.robots().await.map_err(failed)?;
    let robot = robots.into_iter().find(|robot| robot.name == whole);
    let robot = robot.ok_or_else(|| BootstrapError::NoRobot(whole))?;
    let issued = Issued { secret: new_secret().map_err(BootstrapError::Random)?, replaces: true };
    issue(harbor, (robot.id, &robot.name), name, purpose, issued, places).await
}

/// A secret on its way to an account.
struct Issued {
    secret: RobotSecret,
    /// Whether the account had another one that pods may have.
    replaces: bool,
}

/// The name that a secret has until Harbor has it too.
fn pending(places: &SecretPlaces<'_>, purpose: &Purpose) -> PathBuf {
    places.directory.join(format!("{}.new", purpose.file()))
}

/// Keeps a secret, gives it to Harbor, and puts it in its place. In this order it cannot get lost: after a
/// crash it is in a file, under one name or the other.
async fn issue(
    harbor: &Harbor,
    (id, user): (i64, &str),
    name: &str,
    purpose: &Purpose,
    Issued { secret, replaces }: Issued,
    places: &SecretPlaces<'_>,
) -> Result<SecretPlace, BootstrapError> {
    let account = PullAccount { host: places.host, user, secret: &secret };
    let text = match purpose {
        Purpose::Importer | Purpose::Nodes => account.docker_config(),
        Purpose::Pull { namespaces, .. } => account.kubernetes(places.secret_names(namespaces)),
    };
    let (pending, path) = (pending(places, purpose), places.directory.join(purpose.file()));
    replace_secret(&pending, text.as_bytes())?;
    let failed =
        |source| BootstrapError::Robot { name: name.to_owned(), doing: "given a new secret", source };
    harbor.set_robot_secret(id, &secret).await.map_err(failed)?;
    let moved = |source| FileError { path: path.clone(), source };
    match (places.delivery, purpose) {
        (SecretDelivery::Kubectl, Purpose::Pull { namespaces, .. }) => {
            if let Err(source) = kubectl::apply(&text).await {
                std::fs::rename(&pending, &path).map_err(moved)?;
                return Err(BootstrapError::Kubectl { path, replaced: replaces, source });
            }
            std::fs::remove_file(&pending).map_err(moved)?;
            // One that an earlier run kept there is of the secret that just ended.
            match std::fs::remove_file(&path) {
                Err(error) if error.kind() != std::io::ErrorKind::NotFound => return Err(moved(error).into()),
                _ => {}
            }
            Ok(SecretPlace::Cluster(places.secret_names(namespaces).collect()))
        }
        (SecretDelivery::File, _) | (SecretDelivery::Kubectl, Purpose::Importer | Purpose::Nodes) => {
            std::fs::rename(&pending, &path).map_err(moved)?;
            Ok(SecretPlace::File(path))
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn project(name: &str) -> ProjectName {
        name.parse().unwrap()
    }

    fn robot(days: i64, expires_at: i64, permissions: BTreeSet<Permission>) -> Robot {
        Robot {
            id: 1,
            name: "robot$x".to_owned(),
            description: String::new(),
            disabled: false,
            days,
            expires_at,
            created: String::new(),
            permissions,
        }
    }

    #[test]
    fn a_tenants_robot_pulls_from_its_own_project_and_cache_only() {
        let projects = BTreeSet::from(["cache", "platform", "tenant-a", "tenant-b"].map(project));
        let robots = wanted_robots(&HarborSettings::default(), &projects);
        let names: Vec<_> = robots.iter().map(|(_, spec)| spec.name.as_str()).collect();
        assert_eq!(names, ["bundle-importer", "pull-cache", "pull-tenant-a", "pull-tenant-b"]);
        assert_eq!(robots[1].0, Purpose::Nodes);
        let cache = Permission::project(&project("cache"), PULL);
        assert_eq!(robots[1].1.permissions, BTreeSet::from([cache]));
        let expected: BTreeSet<Permission> =
            ["cache", "tenant-a"].map(|name| Permission::project(&project(name), PULL)).into();
        assert_eq!(robots[2].1.permissions, expected);
        let importer = &robots[0].1.permissions;
        assert_eq!(importer.len(), 4 * IMPORTER_RIGHTS.len());
        let label = |permission: &Permission| matches!(&*permission.resource, "label" | "artifact-label");
        for forbidden in ["delete", "update"] {
            let others = importer.iter().filter(|permission| !label(permission));
            assert!(others.into_iter().all(|permission| permission.action != forbidden));
        }
    }

    #[test]
    fn a_robot_is_changed_only_where_it_differs() {
        let spec = |lifetime| RobotSpec {
            name: "x".to_owned(),
            description: String::new(),
            lifetime,
            permissions: BTreeSet::from([Permission::project(&project("cache"), PULL)]),
        };
        let pull = Purpose::Pull { project: project("a"), namespaces: BTreeSet::new() };
        let same = spec(RobotLifetime::Days(90)).permissions;
        let (now, day) = (1_000 * DAY, DAY);
        let change = |robot: &Robot, lifetime, purpose: &Purpose| {
            updated(robot, &spec(lifetime), purpose, now).map(|robot| (robot.days, robot.permissions.len()))
        };
        let ninety = RobotLifetime::Days(90);
        // Fresh, old, and ended.
        assert_eq!(change(&robot(90, now + 90 * day, same.clone()), ninety, &pull), None);
        assert_eq!(change(&robot(90, now + 30 * day, same.clone()), ninety, &pull), Some((150, 1)));
        assert_eq!(change(&robot(90, now - 10 * day, same.clone()), ninety, &pull), Some((190, 1)));
        assert_eq!(
            change(&robot(90, now + 90 * day, same.clone()), RobotLifetime::Forever, &pull),
            Some((-1, 1))
        );
        assert_eq!(change(&robot(-1, -1, same.clone()), RobotLifetime::Forever, &pull), None);
        // Excess rights are taken from a robot that pulls, and left to the importer.
        let mut more = same.clone();
        more.insert(Permission::project(&project("platform"), PULL));
        assert_eq!(change(&robot(-1, -1, more.clone()), RobotLifetime::Forever, &pull), Some((-1, 1)));
        assert_eq!(change(&robot(-1, -1, more), RobotLifetime::Forever, &Purpose::Importer), None);
    }
}
