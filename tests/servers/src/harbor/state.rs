//! All that the double knows: what Harbor keeps in its database, and what its registry keeps in its storage.
//! One lock holds it; rules that need several of its parts are functions here.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use serde_json::Value;

use super::answer::{Code, Refusal};
use super::blob::BlobRow;
use super::clock::{Clock, Time};
use super::immutable::ImmutableRule;
use super::label::Labels;
use super::quota::Quota;
use super::retention::Policy;
use super::robot::Robot;
use super::roles::Role;
use super::scan::Scanner;
use super::token::Token;

/// Everything, behind one lock.
pub(super) struct State {
    pub(super) clock: Clock,
    pub(super) config: Config,
    pub(super) projects: BTreeMap<i64, Project>,
    /// By name.
    pub(super) users: BTreeMap<String, User>,
    pub(super) robots: BTreeMap<i64, Robot>,
    /// By full name, `project/path`.
    pub(super) repositories: BTreeMap<String, Repository>,
    /// By digest; one row for a blob in any number of projects.
    pub(super) blobs: BTreeMap<String, BlobRow>,
    pub(super) accessories: Vec<Accessory>,
    pub(super) labels: Labels,
    pub(super) scanner: Scanner,
    pub(super) collections: Vec<Collection>,
    /// Retention policies by number; a project's metadata names its own.
    pub(super) retentions: BTreeMap<i64, Policy>,
    /// Replication policies.
    pub(super) replications: Vec<Value>,
    pub(super) tokens: BTreeMap<String, Arc<Token>>,
    pub(super) backend: Backend,
    next_id: i64,
}

/// The settings of Harbor that the double obeys.
#[derive(Clone, Debug)]
pub(super) struct Config {
    pub(super) read_only: bool,
    pub(super) token_expiration_minutes: i64,
    pub(super) project_creation: ProjectCreation,
    pub(super) robot_prefix: String,
    pub(super) storage_per_project: i64,
    pub(super) redirect: Redirect,
    /// Whether the registry's `Location` is a path instead of a URL, as charts may set it.
    pub(super) relative_locations: bool,
    /// For projects without a list of their own.
    pub(super) allowlist: Allowlist,
    /// Components that `/health` reports as unhealthy, with the error.
    pub(super) unhealthy: BTreeMap<String, String>,
    /// The size of the disk of core and what is free of it, in bytes.
    pub(super) volume: (u64, u64),
}

/// The accounts that may create projects besides administrators and permitted robots.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ProjectCreation {
    /// Every user.
    Everyone,
    /// No other account.
    AdminOnly,
}

/// How blobs are served.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Redirect {
    /// By Harbor, as on a file system.
    Off,
    /// By the object store, to which `HEAD` and `GET` of a blob are redirected with 307.
    ToStorage,
}

#[derive(Debug)]
pub(super) struct Project {
    pub(super) id: i64,
    pub(super) name: String,
    /// A user's name.
    pub(super) owner: String,
    /// Set for a proxy cache.
    pub(super) registry_id: Option<i64>,
    pub(super) metadata: BTreeMap<String, String>,
    pub(super) created: Time,
    pub(super) updated: Time,
    pub(super) quota: Quota,
    pub(super) rules: Vec<ImmutableRule>,
    pub(super) members: Vec<Member>,
    /// Blobs, manifests among them, that count for this project, and since when (`project_blob`).
    pub(super) blobs: BTreeMap<String, Time>,
    pub(super) allowlist: Allowlist,
}

impl Project {
    pub(super) fn is_on(&self, key: &str) -> bool {
        // Go's strconv.ParseBool.
        self.metadata
            .get(key)
            .is_some_and(|v| matches!(v.as_str(), "1" | "t" | "T" | "TRUE" | "true" | "True"))
    }

    pub(super) fn is_public(&self) -> bool {
        self.is_on("public")
    }

    pub(super) fn is_proxy(&self) -> bool {
        self.registry_id.is_some()
    }

    pub(super) fn role_of(&self, user: &str) -> Option<Role> {
        self.members.iter().find(|member| member.user == user).map(|member| member.role)
    }
}

#[derive(Clone, Debug)]
pub(super) struct Member {
    pub(super) id: i64,
    pub(super) user: String,
    pub(super) role: Role,
}

/// CVEs that the vulnerability policy overlooks.
#[derive(Clone, Debug, Default)]
pub(super) struct Allowlist {
    pub(super) items: BTreeSet<String>,
    pub(super) expires_at: Option<i64>,
}

#[derive(Debug)]
pub(super) struct User {
    pub(super) id: i64,
    pub(super) password: String,
    pub(super) is_admin: bool,
    pub(super) created: Time,
}

#[derive(Debug)]
pub(super) struct Repository {
    pub(super) id: i64,
    pub(super) project: i64,
    pub(super) name: String,
    /// By digest.
    pub(super) artifacts: BTreeMap<String, Artifact>,
    pub(super) tags: BTreeMap<String, Tag>,
    pub(super) pulls: u64,
    pub(super) created: Time,
    pub(super) updated: Time,
}

impl Repository {
    /// The name without the project, as rules and the API's paths have it.
    pub(super) fn short_name(&self) -> &str {
        self.name.split_once('/').map_or("", |(_, rest)| rest)
    }
}

#[derive(Clone, Debug)]
pub(super) struct Tag {
    pub(super) id: i64,
    pub(super) digest: String,
    pub(super) pushed: Time,
    pub(super) pulled: Time,
}

#[derive(Clone, Debug)]
pub(super) struct Artifact {
    pub(super) id: i64,
    pub(super) digest: String,
    /// `IMAGE`, `CHART`, …
    pub(super) kind: String,
    /// The config's, or an index's own.
    pub(super) media_type: String,
    pub(super) manifest_media_type: String,
    pub(super) artifact_type: String,
    pub(super) size: u64,
    pub(super) pushed: Time,
    pub(super) pulled: Time,
    pub(super) pulls: u64,
    pub(super) annotations: BTreeMap<String, String>,
    pub(super) extra_attrs: Value,
    pub(super) references: Vec<Reference>,
    /// The references of the manifest (`artifact_blob`).
    pub(super) blobs: Vec<String>,
}

impl Artifact {
    pub(super) fn is_index(&self) -> bool {
        super::document::is_index(&self.manifest_media_type)
    }
}

/// A child of an index.
#[derive(Clone, Debug)]
pub(super) struct Reference {
    pub(super) child_id: i64,
    pub(super) child_digest: String,
    pub(super) platform: Option<Value>,
    pub(super) annotations: BTreeMap<String, String>,
    pub(super) urls: Vec<String>,
}

/// An artifact that belongs to another: a signature, an SBOM, a referrer.
#[derive(Clone, Debug)]
pub(super) struct Accessory {
    pub(super) id: i64,
    pub(super) repository: String,
    pub(super) artifact_id: i64,
    pub(super) digest: String,
    pub(super) size: u64,
    /// `signature.cosign`, `subject.accessory`, …
    pub(super) kind: &'static str,
    pub(super) subject_digest: String,
    /// 0 until the subject is pushed.
    pub(super) subject_id: i64,
    pub(super) created: Time,
}

/// A garbage collection that ran.
#[derive(Clone, Debug)]
pub(super) struct Collection {
    pub(super) id: i64,
    pub(super) status: &'static str,
    pub(super) parameters: String,
    pub(super) started: Time,
}

/// The storage of the registry behind the core. It knows no projects, users or tags, and keeps content that
/// the core deletes until it is collected.
#[derive(Debug, Default)]
pub(super) struct Backend {
    /// Repository → digests of blobs linked there.
    pub(super) links: BTreeMap<String, BTreeSet<String>>,
    /// Repository → digest → manifest.
    pub(super) manifests: BTreeMap<String, BTreeMap<String, StoredManifest>>,
}

#[derive(Clone, Debug)]
pub(super) struct StoredManifest {
    pub(super) media_type: String,
    pub(super) bytes: Arc<[u8]>,
}

impl Backend {
    pub(super) fn has_link(&self, repository: &str, digest: &str) -> bool {
        self.links.get(repository).is_some_and(|links| links.contains(digest))
    }

    pub(super) fn link(&mut self, repository: &str, digest: &str) {
        self.links.entry(repository.to_owned()).or_default().insert(digest.to_owned());
    }

    pub(super) fn manifest(&self, repository: &str, digest: &str) -> Option<&StoredManifest> {
        self.manifests.get(repository)?.get(digest)
    }
}

impl State {
    /// A Harbor just installed: its administrator, and the public project `library`.
    pub(super) fn new(admin_password: &str) -> State {
        let mut state = State {
            clock: Clock::default(),
            config: Config {
                read_only: false,
                token_expiration_minutes: 30,
                project_creation: ProjectCreation::Everyone,
                robot_prefix: "robot$".to_owned(),
                storage_per_project: Quota::UNLIMITED,
                redirect: Redirect::Off,
                relative_locations: false,
                allowlist: Allowlist::default(),
                unhealthy: BTreeMap::new(),
                volume: (100 << 30, 60 << 30),
            },
            projects: BTreeMap::new(),
            users: BTreeMap::new(),
            robots: BTreeMap::new(),
            repositories: BTreeMap::new(),
            blobs: BTreeMap::new(),
            accessories: Vec::new(),
            labels: Labels::default(),
            scanner: Scanner::default(),
            collections: Vec::new(),
            retentions: BTreeMap::new(),
            replications: Vec::new(),
            tokens: BTreeMap::new(),
            backend: Backend::default(),
            next_id: 1,
        };
        state.users.insert(
            ADMIN.to_owned(),
            User { id: 1, password: admin_password.to_owned(), is_admin: true, created: state.now() },
        );
        state.insert_project("library", ADMIN, [("public".to_owned(), "true".to_owned())].into(), None);
        state
    }

    pub(super) fn now(&self) -> Time {
        self.clock.now()
    }

    /// A number that no other thing has.
    pub(super) fn next_id(&mut self) -> i64 {
        let id = self.next_id;
        self.next_id += 1;
        id
    }

    pub(super) fn insert_project(
        &mut self,
        name: &str,
        owner: &str,
        metadata: BTreeMap<String, String>,
        registry_id: Option<i64>,
    ) -> i64 {
        let (id, now) = (self.next_id(), self.now());
        let quota =
            Quota { id: self.next_id(), hard: self.config.storage_per_project, used: 0, updated: now };
        let member = Member { id: self.next_id(), user: owner.to_owned(), role: Role::ProjectAdmin };
        let project = Project {
            id,
            name: name.to_owned(),
            owner: owner.to_owned(),
            registry_id,
            metadata,
            created: now,
            updated: now,
            quota,
            rules: Vec::new(),
            members: vec![member],
            blobs: BTreeMap::new(),
            allowlist: Allowlist::default(),
        };
        self.projects.insert(id, project);
        id
    }

    pub(super) fn project_named(&self, name: &str) -> Option<&Project> {
        self.projects.values().find(|project| project.name == name)
    }

    pub(super) fn project_named_mut(&mut self, name: &str) -> Option<&mut Project> {
        self.projects.values_mut().find(|project| project.name == name)
    }

    /// The project that a repository's name begins with.
    pub(super) fn project_of(&self, repository: &str) -> Result<&Project, Refusal> {
        let name = project_part(repository);
        self.project_named(name).ok_or_else(|| project_not_found(name))
    }

    pub(super) fn project_of_mut(&mut self, repository: &str) -> Result<&mut Project, Refusal> {
        let name = project_part(repository);
        self.project_named_mut(name).ok_or_else(|| project_not_found(name))
    }

    pub(super) fn repository(&self, name: &str) -> Result<&Repository, Refusal> {
        self.repositories.get(name).ok_or_else(|| Refusal::not_found(format!("repository {name} not found")))
    }

    /// The artifact behind a tag or a digest (Harbor `controller/artifact GetByReference`).
    pub(super) fn artifact(&self, repository: &str, reference: &str) -> Result<&Artifact, Refusal> {
        if is_digest(reference) {
            return self
                .repositories
                .get(repository)
                .and_then(|r| r.artifacts.get(reference))
                .ok_or_else(|| Refusal::not_found(format!("artifact {repository}@{reference} not found")));
        }
        let found = self.repository(repository)?;
        found
            .tags
            .get(reference)
            .and_then(|tag| found.artifacts.get(&tag.digest))
            .ok_or_else(|| Refusal::not_found(format!("artifact {repository}:{reference} not found")))
    }

    /// The repository, created when it is new.
    pub(super) fn ensure_repository(&mut self, name: &str) -> Result<(), Refusal> {
        if self.repositories.contains_key(name) {
            return Ok(());
        }
        let project = self.project_of(name)?.id;
        let (id, now) = (self.next_id(), self.now());
        self.repositories.insert(
            name.to_owned(),
            Repository {
                id,
                project,
                name: name.to_owned(),
                artifacts: BTreeMap::new(),
                tags: BTreeMap::new(),
                pulls: 0,
                created: now,
                updated: now,
            },
        );
        Ok(())
    }

    pub(super) fn is_accessory(&self, repository: &str, digest: &str) -> bool {
        self.accessories.iter().any(|a| a.repository == repository && a.digest == digest)
    }

    /// Removes the project and all that Harbor's database has of it; the registry's storage keeps its own.
    pub(super) fn remove_project(&mut self, id: i64) {
        let gone: BTreeSet<String> =
            self.repositories.values().filter(|r| r.project == id).map(|r| r.name.clone()).collect();
        self.repositories.retain(|name, _| !gone.contains(name));
        self.accessories.retain(|accessory| !gone.contains(&accessory.repository));
        self.labels.forget_project(id);
        self.robots.retain(|_, robot| robot.project != Some(id));
        self.projects.remove(&id);
    }
}

pub(super) const ADMIN: &str = "admin";

pub(super) fn project_part(repository: &str) -> &str {
    repository.split('/').next().unwrap_or_default()
}

pub(super) fn project_not_found(name: &str) -> Refusal {
    Refusal::new(Code::NotFound, format!("project {name} not found"))
}

/// `sha256:` and 64 lower-case hexadecimal digits; the double knows no other algorithm.
pub(super) fn is_digest(text: &str) -> bool {
    text.strip_prefix("sha256:")
        .is_some_and(|hex| hex.len() == 64 && hex.bytes().all(|b| matches!(b, b'0'..=b'9' | b'a'..=b'f')))
}
