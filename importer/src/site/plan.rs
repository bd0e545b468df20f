//! What an import will do to a Harbor: its projects, its storage, and what goes into them.

use std::collections::{BTreeMap, BTreeSet, HashMap, HashSet};

use bundle_harbor::{Account, Artifact, Harbor, Right, StorageLimit, StorageUse};
use bundle_oci::Digest;
use bundle_oci::ProjectName;
use bundle_registry::{Error, Name};
use futures_util::{StreamExt, TryStreamExt};

use crate::destination::{project_of, repository_of};
use crate::{
    Bundle, Decision, HarborSettings, ImportPlan, LiveProject, Obstacle, OnExistingTag, PlanError, Presence,
    ProjectState, ProjectStep, ScannerState, SeedPlan, Step, Survey,
};

/// What an import will do to a Harbor: its projects first, then what goes into them.
#[derive(Clone, Debug)]
pub struct HarborPlan {
    /// What the Harbor is like.
    pub survey: Survey,
    /// What becomes of its projects.
    pub seed: SeedPlan,
    /// What goes into them. Incomplete if there are obstacles.
    pub import: ImportPlan,
    /// The bytes against the quotas, for each project that gets any.
    pub storage: Vec<ProjectStorage>,
    /// What stands in the way. With one of these, nothing is written.
    pub obstacles: Vec<Obstacle>,
    /// What people should know and nothing waits for.
    pub notes: Vec<Note>,
}

/// The bytes that a project gets against those that it may hold.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ProjectStorage {
    /// The project.
    pub project: ProjectName,
    /// The most that the bundle can add.
    pub adds: u64,
    /// How much it holds and may hold, once its quota is as wanted; none if this account may not
    /// know.
    pub storage: Option<StorageUse>,
}

/// What people should know before an import.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Note {
    /// Nothing scans a project's images, so that none is held back.
    NoScanner {
        /// The project.
        project: ProjectName,
    },
    /// Some vulnerabilities are exempted from holding images back.
    Exemptions {
        /// The project.
        project: ProjectName,
    },
    /// A bundle that may not fit, and is imported on someone's word.
    MayExceed(ProjectStorage),
}

/// Whether a bundle that may be too large for a quota is tried.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Default)]
pub enum QuotaCheck {
    /// It is refused before anything is written.
    #[default]
    Enforce,
    /// It is tried. Harbor stops it where the quota ends.
    Ignore,
}

/// Without these, nothing can be brought into a project.
pub const PUSH_RIGHTS: [Right; 5] = [
    Right::new("project", "read"),
    Right::new("repository", "pull"),
    Right::new("repository", "push"),
    Right::new("artifact", "read"),
    Right::new("artifact", "list"),
];

impl HarborPlan {
    /// Compares a bundle with what a Harbor has. Nothing is written, and nothing counts as a pull.
    ///
    /// # Errors
    /// Any [`PlanError`] but those that are obstacles.
    pub async fn against(
        bundle: &Bundle,
        harbor: &Harbor,
        settings: &HarborSettings,
        on_existing: OnExistingTag,
        quota: QuotaCheck,
        jobs: usize,
    ) -> Result<Self, PlanError> {
        let projects: BTreeSet<ProjectName> =
            bundle.statement().artifacts.iter().map(|artifact| artifact.target.project.clone()).collect();
        let survey = Survey::of(harbor, projects, jobs).await?;
        let (seed, mut obstacles) = SeedPlan::new(&survey, settings);
        if survey.account == Account::Nobody {
            obstacles.push(Obstacle::Nobody);
        }
        if survey.system.read_only == Some(true) {
            obstacles.push(Obstacle::ReadOnly);
        }
        obstacles.extend(missing_rights(&survey));
        let steps = steps(bundle, harbor, &survey, on_existing, jobs, &mut obstacles).await?;
        let mut import = ImportPlan::of(bundle, steps);
        look_for_blobs(&mut import, harbor, &survey, jobs).await?;
        if obstacles.is_empty() {
            import.check_base(bundle, harbor.client(), harbor.registry(), jobs).await?;
        }
        let mut notes = notes(&survey);
        let storage = storage(bundle, &import, &survey, &seed);
        for storage in &storage {
            match (storage.exceeds(), quota) {
                (Some(obstacle), QuotaCheck::Enforce) => obstacles.push(obstacle),
                (Some(_), QuotaCheck::Ignore) => notes.push(Note::MayExceed(storage.clone())),
                (None, _) => {}
            }
        }
        Ok(Self { survey, seed, import, storage, obstacles, notes })
    }
}

impl ProjectStorage {
    fn exceeds(&self) -> Option<Obstacle> {
        let storage = self.storage?;
        let StorageLimit::Bytes(limit) = storage.limit else { return None };
        let after = storage.used.checked_add(self.adds);
        (self.adds > 0 && after.is_none_or(|after| after > limit)).then(|| Obstacle::Quota {
            project: self.project.clone(),
            limit: storage.limit,
            used: storage.used,
            needed: self.adds,
        })
    }
}

fn live<'a>(survey: &'a Survey, project: &ProjectName) -> Option<&'a LiveProject> {
    match survey.project(project)? {
        ProjectState::There(live) => Some(live),
        ProjectState::Missing | ProjectState::Hidden => None,
    }
}

/// The rights that an import needs and this account lacks, in projects that it can look at.
pub fn missing_rights(survey: &Survey) -> Vec<Obstacle> {
    let mut obstacles = Vec::new();
    for (name, state) in &survey.projects {
        if let ProjectState::There(live) = state {
            let rights = live.rights.missing(&PUSH_RIGHTS);
            if !rights.is_empty() && !live.project.proxy_cache {
                obstacles.push(Obstacle::MissingRights { project: name.clone(), rights });
            }
        }
    }
    obstacles
}

/// What becomes of each artifact. Those of projects that cannot be looked at are taken for absent.
async fn steps(
    bundle: &Bundle,
    harbor: &Harbor,
    survey: &Survey,
    on_existing: OnExistingTag,
    jobs: usize,
    obstacles: &mut Vec<Obstacle>,
) -> Result<Vec<Step>, PlanError> {
    let artifacts = &bundle.statement().artifacts;
    let found: Vec<Option<Artifact>> = futures_util::stream::iter(artifacts)
        .map(|artifact| async move {
            let target = &artifact.target;
            let readable = live(survey, &target.project)
                .is_some_and(|live| live.rights.have(Right::new("artifact", "read")));
            if !readable {
                return Ok(None);
            }
            let name = match &target.tag {
                Some(tag) => Name::Tag(tag.clone()),
                None => Name::Digest(artifact.digest),
            };
            harbor.artifact(&target.project, &target.repository, &name).await
        })
        .buffered(jobs.max(1) * 4)
        .try_collect::<Vec<_>>()
        .await?;
    let mut steps = Vec::new();
    for (position, (artifact, found)) in artifacts.iter().zip(found).enumerate() {
        let target = &artifact.target;
        let decision = match found {
            None => Decision::Push,
            Some(found) if found.digest == artifact.digest => Decision::Present,
            Some(found) => {
                let immutable =
                    found.tags.iter().any(|tag| Some(&tag.name) == target.tag.as_ref() && tag.immutable);
                let (bundle, registry) = (artifact.digest, found.digest);
                match on_existing {
                    OnExistingTag::Skip => Decision::Skip(registry),
                    OnExistingTag::Error if !immutable => {
                        obstacles.push(Obstacle::Conflict { target: target.clone(), bundle, registry });
                        continue;
                    }
                    OnExistingTag::Overwrite if !immutable => Decision::Move(registry),
                    OnExistingTag::Error | OnExistingTag::Overwrite => {
                        obstacles.push(Obstacle::Immutable { target: target.clone(), bundle, registry });
                        continue;
                    }
                }
            }
        };
        let repository = repository_of(harbor.registry(), target)?;
        steps.push(Step { artifact: position, repository, decision });
    }
    Ok(steps)
}

/// Looks where the blobs are already. To look also keeps Harbor's garbage collection from them.
async fn look_for_blobs(
    import: &mut ImportPlan,
    harbor: &Harbor,
    survey: &Survey,
    jobs: usize,
) -> Result<(), Error> {
    // What is not there has nothing in it, and what may not be pulled cannot be looked into.
    let open: HashSet<&str> = survey
        .projects
        .iter()
        .filter(|(name, _)| {
            live(survey, name).is_some_and(|live| live.rights.have(Right::new("repository", "pull")))
        })
        .map(|(name, _)| name.as_str())
        .collect();
    let open = &open;
    let places = import.blobs.iter_mut().flat_map(|step| {
        let digest = step.blob.digest;
        step.places.iter_mut().map(move |place| (digest, place))
    });
    futures_util::stream::iter(places)
        .map(|(digest, place)| async move {
            let repository = &place.repository;
            let there = open.contains(project_of(repository))
                && harbor.client().has_blob(harbor.registry(), repository, digest).await?;
            place.presence = if there { Presence::There } else { Presence::Absent };
            Ok::<_, Error>(())
        })
        .buffer_unordered(jobs.max(1) * 4)
        .try_collect()
        .await
}

/// The bytes that each project gets, against those that it may hold.
fn storage(bundle: &Bundle, import: &ImportPlan, survey: &Survey, seed: &SeedPlan) -> Vec<ProjectStorage> {
    let adds = added(bundle, import);
    let storage = |(name, state): &(ProjectName, ProjectState)| {
        let adds = *adds.get(name.as_str())?;
        let wanted = seed.projects.iter().find(|step| step.name == *name).and_then(ProjectStep::limit);
        let storage = match state {
            // What Harbor gives to any project is known to administrators only.
            ProjectState::Missing => wanted.map(|limit| StorageUse { limit, used: 0 }),
            ProjectState::Hidden => None,
            ProjectState::There(live) => {
                live.storage.map(|now| StorageUse { limit: wanted.unwrap_or(now.limit), ..now })
            }
        };
        Some(ProjectStorage { project: name.clone(), adds, storage })
    };
    survey.projects.iter().filter_map(storage).collect()
}

/// The most bytes that each project gets. Harbor counts each blob once for a project, manifests
/// among them.
fn added<'a>(bundle: &Bundle, import: &'a ImportPlan) -> BTreeMap<&'a str, u64> {
    let owned = present_blobs(bundle, import);
    let owns = |project: &str, digest| owned.get(project).is_some_and(|blobs| blobs.contains(&digest));
    let mut adds: BTreeMap<&str, u64> = BTreeMap::new();
    for step in &import.blobs {
        let mut projects: BTreeMap<&str, bool> = BTreeMap::new();
        for place in &step.places {
            let there = projects.entry(project_of(&place.repository)).or_default();
            *there |= place.presence == Presence::There;
        }
        for (project, there) in projects {
            if !there && !owns(project, step.blob.digest) {
                *adds.entry(project).or_default() += step.blob.size;
            }
        }
    }
    let manifests: BTreeSet<(&str, Digest)> =
        import.manifests.iter().map(|(digest, repository)| (project_of(repository), *digest)).collect();
    for (project, digest) in manifests {
        if let Some(node) = bundle.graph().manifests.get(&digest)
            && !owns(project, digest)
        {
            *adds.entry(project).or_default() += node.size;
        }
    }
    adds
}

/// What each project has already, for artifacts that are present there consist of it.
fn present_blobs<'a>(bundle: &Bundle, import: &'a ImportPlan) -> HashMap<&'a str, HashSet<Digest>> {
    let extent = |root| bundle.graph().extent(root).into_iter().map(|blob| blob.digest);
    let mut owned: HashMap<&str, HashSet<Digest>> = HashMap::new();
    for step in import.steps.iter().filter(|step| step.decision == Decision::Present) {
        let root = bundle.statement().artifacts[step.artifact].digest;
        owned.entry(project_of(&step.repository)).or_default().extend(extent(root));
    }
    owned
}

fn notes(survey: &Survey) -> Vec<Note> {
    let mut notes = Vec::new();
    for (name, state) in &survey.projects {
        let ProjectState::There(live) = state else { continue };
        if live.scanner == ScannerState::Absent {
            notes.push(Note::NoScanner { project: name.clone() });
        }
        if live.project.exemptions {
            notes.push(Note::Exemptions { project: name.clone() });
        }
    }
    notes
}
