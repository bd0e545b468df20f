//! The switches with which tests change a Harbor behind its API, and read its state there. Takes and gives
//! nothing over HTTP: a test holds the handle and calls its functions.

use std::collections::BTreeMap;
use std::io;
use std::sync::Arc;
use std::time::Duration;

use super::blob::BlobStatus;
use super::immutable::{ImmutableRule, RuleContent, Selector};
use super::robot::{Access, Level, NewRobot, Permission, Place};
use super::server::Core;
use super::state::{ADMIN, Member, Project, ProjectCreation, Redirect, State, User};
use super::{Findings, Role, lock};
use crate::contents::Contents;

/// A hand on a Harbor's state, past its API and its rights; every [`Harbor`](crate::Harbor) is one. It can be
/// cloned into hooks, and does not keep the Harbor running.
#[derive(Clone)]
pub struct Switches {
    pub(super) core: Arc<Core>,
}

/// A name and its secret.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Credentials {
    /// A user's name, or a robot's with its prefix.
    pub name: String,
    /// The password, or the robot's secret.
    pub secret: String,
}

/// A robot to be made.
#[derive(Clone, Debug)]
pub struct Robot {
    name: String,
    level: Level,
    permissions: Vec<(Option<String>, Vec<String>)>,
}

impl Robot {
    /// A robot of the system without permissions.
    pub fn of_system(name: &str) -> Robot {
        Robot { name: name.to_owned(), level: Level::System, permissions: Vec::new() }
    }

    /// A robot of a project, with permissions there; each is `resource:action`.
    pub fn of_project(name: &str, project: &str, access: &[&str]) -> Robot {
        let robot = Robot { level: Level::Project, ..Robot::of_system(name) };
        robot.in_project(project, access)
    }

    /// The robot with permissions in the system.
    pub fn in_system(self, access: &[&str]) -> Robot {
        self.with(None, access)
    }

    /// The robot with permissions in a project, or with `*` in all of them.
    pub fn in_project(self, project: &str, access: &[&str]) -> Robot {
        self.with(Some(project.to_owned()), access)
    }

    fn with(mut self, project: Option<String>, access: &[&str]) -> Robot {
        self.permissions.push((project, access.iter().map(|&a| a.to_owned()).collect()));
        self
    }
}

/// An artifact as Harbor knows it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ArtifactView {
    /// `sha256:<hex>`.
    pub digest: String,
    /// `IMAGE`, `CHART`, …
    pub kind: String,
    /// Names in its repository.
    pub tags: Vec<String>,
    /// How often the manifest was fetched.
    pub pulls: u64,
    /// Digest → type of what belongs to it.
    pub accessories: BTreeMap<String, String>,
}

/// A blob as Harbor and its registry know it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct BlobView {
    /// The size that quotas count, which a wrong way to push makes too small.
    pub size: u64,
    /// The stored bytes; `None` for a manifest, which is not stored as a blob, and for removed content.
    pub stored: Option<u64>,
    /// Where garbage collection is with it.
    pub status: BlobStatus,
}

/// Projects.
impl Switches {
    /// Makes a private project.
    pub fn add_project(&self, name: &str) {
        self.add_project_with(name, &[]);
    }

    /// Makes a project with that metadata besides `public`, which is `false` if not given.
    pub fn add_project_with(&self, name: &str, metadata: &[(&str, &str)]) {
        self.insert_project(name, metadata, None);
    }

    /// Makes a project that is a cache of some other registry.
    pub fn add_proxy_project(&self, name: &str) {
        self.insert_project(name, &[], Some(1));
    }

    fn insert_project(&self, name: &str, metadata: &[(&str, &str)], registry_id: Option<i64>) {
        let given = metadata.iter().map(|&(key, value)| (key.to_owned(), value.to_owned()));
        let metadata = [("public".to_owned(), "false".to_owned())].into_iter().chain(given).collect();
        self.state(|state| state.insert_project(name, ADMIN, metadata, registry_id));
    }

    /// Deletes a project with all that is in it, if it is there, and makes an empty one of that name. The
    /// registry's storage stays; robots of the old project are gone or void.
    pub fn recreate_project(&self, name: &str) {
        self.state(|state| {
            let metadata = match state.project_named(name) {
                Some(project) => project.metadata.clone(),
                None => BTreeMap::from([("public".to_owned(), "false".to_owned())]),
            };
            if let Some(id) = state.project_named(name).map(|project| project.id) {
                state.remove_project(id);
            }
            state.insert_project(name, ADMIN, metadata, None);
        });
    }

    /// Sets a project's metadata as it stands, right or wrong.
    pub fn set_metadata(&self, project: &str, key: &str, value: &str) {
        self.project(project, |project| project.metadata.insert(key.to_owned(), value.to_owned()));
    }

    /// A project's metadata; `None` where there is no such project.
    pub fn metadata(&self, project: &str) -> Option<BTreeMap<String, String>> {
        self.state(|state| state.project_named(project).map(|project| project.metadata.clone()))
    }

    /// The names of all projects, sorted.
    pub fn projects(&self) -> Vec<String> {
        let mut names: Vec<String> =
            self.state(|state| state.projects.values().map(|project| project.name.clone()).collect());
        names.sort();
        names
    }

    /// Sets a project's limit, in bytes; -1 is none.
    pub fn set_quota(&self, project: &str, bytes: i64) {
        self.project(project, |project| project.quota.hard = bytes);
    }

    /// A project's limit and what it uses, in bytes.
    pub fn quota(&self, project: &str) -> (i64, i64) {
        self.project(project, |project| (project.quota.hard, project.quota.used))
    }

    /// Leaves no room for a further byte.
    pub fn exhaust_quota(&self, project: &str) {
        self.project(project, |project| project.quota.hard = project.quota.used.max(1));
    }

    /// Makes tags immutable; patterns are doublestars, and the repositories' are without the project.
    pub fn add_immutable_rule(&self, project: &str, repositories: &str, tags: &str) {
        let selector = |decoration: &str, pattern: &str| Selector {
            kind: "doublestar".to_owned(),
            decoration: decoration.to_owned(),
            pattern: pattern.to_owned(),
        };
        let content = RuleContent {
            action: "immutable".to_owned(),
            template: "immutable_template".to_owned(),
            priority: 0,
            tag_selectors: vec![selector("matches", tags)],
            scope_selectors: [("repository".to_owned(), vec![selector("repoMatches", repositories)])].into(),
        };
        let id = self.state(State::next_id);
        self.project(project, |project| project.rules.push(ImmutableRule { id, disabled: false, content }));
    }

    /// A project's own CVE allowlist, and when it ends.
    pub fn allowlist(&self, project: &str) -> (Vec<String>, Option<i64>) {
        self.project(project, |project| {
            (project.allowlist.items.iter().cloned().collect(), project.allowlist.expires_at)
        })
    }

    /// The system's CVE allowlist.
    pub fn system_allowlist(&self) -> Vec<String> {
        self.state(|state| state.config.allowlist.items.iter().cloned().collect())
    }

    /// Adds a replication policy to another registry, by events. The double copies nothing.
    pub fn replicate_to(&self, registry: &str, names: &str, replicates_deletion: bool) {
        self.state(|state| {
            let id = state.next_id();
            state.replications.push(serde_json::json!({
                "id": id, "name": format!("to-{registry}"), "enabled": true, "override": true,
                "replicate_deletion": replicates_deletion,
                "src_registry": {"id": 0, "name": "Local", "type": "harbor"},
                "dest_registry": {"id": id, "name": registry, "type": "harbor"},
                "filters": [{"type": "name", "value": names}],
                "trigger": {"type": "event_based", "trigger_settings": {"cron": ""}},
            }));
        });
    }

    /// Exempts CVEs from the project's vulnerability policy, which then does not use the system's list.
    pub fn allow_cves(&self, project: &str, ids: &[&str]) {
        self.project(project, |project| {
            project.metadata.insert("reuse_sys_cve_allowlist".to_owned(), "false".to_owned());
            project.allowlist.items = ids.iter().map(|&id| id.to_owned()).collect();
        });
    }
}

/// People and robots.
impl Switches {
    /// Makes a user.
    pub fn add_user(&self, name: &str, password: &str) -> Credentials {
        self.state(|state| {
            let user = User {
                id: state.next_id(),
                password: password.to_owned(),
                is_admin: false,
                created: state.now(),
            };
            state.users.insert(name.to_owned(), user);
        });
        Credentials { name: name.to_owned(), secret: password.to_owned() }
    }

    /// Makes a user a member.
    pub fn add_member(&self, project: &str, user: &str, role: Role) {
        let id = self.state(State::next_id);
        self.project(project, |project| {
            project.members.retain(|member| member.user != user);
            project.members.push(Member { id, user: user.to_owned(), role });
        });
    }

    /// Makes a robot that lives for thirty days.
    ///
    /// # Panics
    ///
    /// When a project is not there, or a robot of that name is.
    pub fn add_robot(&self, robot: Robot) -> Credentials {
        self.state(|state| {
            let permissions: Vec<Permission> = robot
                .permissions
                .iter()
                .map(|(project, access)| {
                    let place = match project {
                        None => Place::System,
                        Some(name) => state.place("project", name).expect("the project is there"),
                    };
                    Permission { place, access: access.iter().map(|access| parse_access(access)).collect() }
                })
                .collect();
            let project = match permissions.first().map(|permission| permission.place) {
                Some(Place::Project(id)) if robot.level == Level::Project => Some(id),
                _ => None,
            };
            let new = NewRobot {
                name: robot.name,
                description: String::new(),
                project,
                duration: 30,
                permissions,
                creator_type: "local",
                creator: 1,
            };
            let (id, secret) = state.insert_robot(new).expect("no robot has that name");
            let name = state.robot(id).map(|robot| state.robot_name(robot)).unwrap_or_default();
            Credentials { name, secret }
        })
    }

    /// Switches a robot off; `name` is with its prefix.
    pub fn disable_robot(&self, name: &str) {
        self.robot(name, |robot| robot.disabled = true);
    }

    /// Switches a robot on.
    pub fn enable_robot(&self, name: &str) {
        self.robot(name, |robot| robot.disabled = false);
    }

    /// Lets a robot's time be over.
    pub fn expire_robot(&self, name: &str) {
        self.robot(name, |robot| robot.expires_at = 1);
    }

    /// The names of all robots with their prefix, sorted.
    pub fn robots(&self) -> Vec<String> {
        let mut names: Vec<String> =
            self.state(|state| state.robots.values().map(|robot| state.robot_name(robot)).collect());
        names.sort();
        names
    }

    /// Lets all bearer tokens be over.
    pub fn expire_tokens(&self) {
        self.state(|state| state.tokens.clear());
    }
}

/// The system.
impl Switches {
    /// Forbids all writes, or allows them again.
    pub fn set_read_only(&self, read_only: bool) {
        self.state(|state| state.config.read_only = read_only);
    }

    /// Sets who may create projects besides administrators and permitted robots.
    pub fn set_project_creation(&self, creation: ProjectCreation) {
        self.state(|state| state.config.project_creation = creation);
    }

    /// Sets the minutes that a token lives.
    pub fn set_token_expiration(&self, minutes: i64) {
        self.state(|state| state.config.token_expiration_minutes = minutes);
    }

    /// Sets the prefix of robots' names.
    pub fn set_robot_prefix(&self, prefix: &str) {
        self.state(|state| prefix.clone_into(&mut state.config.robot_prefix));
    }

    /// Sets how blobs are served.
    pub fn set_redirect(&self, redirect: Redirect) {
        self.state(|state| state.config.redirect = redirect);
    }

    /// Lets the registry's `Location` be a path instead of a URL.
    pub fn set_relative_locations(&self, relative: bool) {
        self.state(|state| state.config.relative_locations = relative);
    }

    /// Lets a component be unhealthy; `/health` says so and why.
    pub fn set_unhealthy(&self, component: &str, error: &str) {
        self.state(|state| state.config.unhealthy.insert(component.to_owned(), error.to_owned()));
    }

    /// Sets the size of the disk of core and what is free of it, in bytes.
    pub fn set_volume(&self, total: u64, free: u64) {
        self.state(|state| state.config.volume = (total, free));
    }

    /// Puts the clock forward: tokens and robots expire, blobs become old enough to be collected.
    pub fn advance(&self, by: Duration) {
        self.state(|state| state.clock.advance(by));
    }

    /// Takes Trivy away.
    pub fn remove_scanner(&self) {
        self.state(|state| state.scanner.present = false);
    }

    /// Says what a scan of that manifest will find.
    pub fn set_findings(&self, digest: &str, findings: Findings) {
        self.state(|state| state.scanner.set_findings(digest, findings));
    }

    /// Says what scans of all other manifests will find; nothing, if not said.
    pub fn set_default_findings(&self, findings: Findings) {
        self.state(|state| state.scanner.set_default(findings));
    }

    /// Ends the scans under way.
    pub fn finish_scans(&self) {
        self.state(|state| state.scanner.finish_all());
    }

    /// Collects garbage, leaving untagged artifacts.
    ///
    /// # Errors
    ///
    /// When a file cannot be removed.
    pub fn collect_garbage(&self) -> io::Result<()> {
        self.state(|state| state.collect_garbage(&self.core.store, false))
    }

    /// Lets garbage collection be in the middle of a blob or manifest.
    pub fn set_blob_status(&self, digest: &str, status: BlobStatus) {
        self.state(|state| state.set_blob_status(digest, status));
    }

    /// Lets garbage collection have taken a blob or manifest, used or not.
    ///
    /// # Errors
    ///
    /// When its file cannot be removed.
    pub fn sweep(&self, digest: &str) -> io::Result<()> {
        self.state(|state| state.sweep(&self.core.store, digest))
    }
}

/// Reads the state.
impl Switches {
    /// A repository's tags and their digests; none where there is no such repository.
    pub fn tags(&self, repository: &str) -> BTreeMap<String, String> {
        self.contents().remove(repository).unwrap_or_default()
    }

    /// All repositories with their tags.
    pub fn contents(&self) -> Contents {
        self.state(|state| {
            state
                .repositories
                .values()
                .map(|repository| {
                    let tags = repository.tags.iter().map(|(name, tag)| (name.clone(), tag.digest.clone()));
                    (repository.name.clone(), tags.collect())
                })
                .collect()
        })
    }

    /// The artifact behind a tag or a digest.
    pub fn artifact(&self, repository: &str, reference: &str) -> Option<ArtifactView> {
        self.state(|state| {
            let artifact = state.artifact(repository, reference).ok()?;
            let known = state.repository(repository).ok()?;
            let accessories = state
                .accessories
                .iter()
                .filter(|accessory| accessory.subject_id == artifact.id)
                .map(|accessory| (accessory.digest.clone(), accessory.kind.to_owned()));
            Some(ArtifactView {
                digest: artifact.digest.clone(),
                kind: artifact.kind.clone(),
                tags: super::artifact::tags_of(known, &artifact.digest),
                pulls: artifact.pulls,
                accessories: accessories.collect(),
            })
        })
    }

    /// How often manifests were fetched, in all.
    pub fn pulls(&self) -> u64 {
        self.state(|state| state.repositories.values().map(|repository| repository.pulls).sum())
    }

    /// The blob or manifest of that digest.
    pub fn blob(&self, digest: &str) -> Option<BlobView> {
        let stored = self.core.store.blob(digest).ok().flatten().map(|(_, size)| size);
        self.state(|state| {
            state.blobs.get(digest).map(|row| BlobView { size: row.size, stored, status: row.status })
        })
    }

    /// Whether the registry has the blob in that very repository.
    pub fn has_blob_in(&self, repository: &str, digest: &str) -> bool {
        self.state(|state| state.backend.has_link(repository, digest))
    }

    /// The upload sessions that are open.
    pub fn open_uploads(&self) -> Vec<String> {
        self.core.store.uploads()
    }

    pub(super) fn state<T>(&self, act: impl FnOnce(&mut State) -> T) -> T {
        act(&mut lock(&self.core.state))
    }

    /// A test that names a project that is not there is wrong.
    pub(super) fn project<T>(&self, name: &str, act: impl FnOnce(&mut Project) -> T) -> T {
        self.state(|state| act(state.project_named_mut(name).expect("the project is there")))
    }

    fn robot(&self, name: &str, act: impl FnOnce(&mut super::robot::Robot)) {
        self.state(|state| {
            let bare = name.strip_prefix(&state.config.robot_prefix).unwrap_or(name);
            act(state.robots.values_mut().find(|robot| robot.name == bare).expect("the robot is there"));
        });
    }
}

fn parse_access(access: &str) -> Access {
    let (resource, action) = access.split_once(':').expect("an access is resource:action");
    Access { resource: resource.to_owned(), action: action.to_owned(), effect: String::new() }
}
