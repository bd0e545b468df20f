//! Scanning a Harbor's images again, after its scanner got newer databases: an image that could be pulled yesterday may
//! be blocked today. Takes projects, has their images scanned, gives those whose verdict changed.

use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::time::{Duration, Instant};

use bundle_format::Verdict;
use bundle_harbor::{Account, Artifact, Harbor, Policy, Right, ScanState, ScanSummary};
use bundle_oci::{Digest, ProjectName, RepositoryName, Tag};
use bundle_registry::Error;
use futures_util::{StreamExt, TryStreamExt};

use crate::scan::verdict;
use crate::{Limits, LiveProject};

/// How images are scanned again.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum RescanWay {
    /// Harbor scans everything that it has, in one go.
    All,
    /// One image after the other, in the projects that were asked for.
    Each,
}

/// The images of some projects before and after they were scanned again.
#[derive(Clone, Debug)]
pub struct Rescan {
    /// How they were scanned.
    pub way: RescanWay,
    /// The images, by project and repository.
    pub images: Vec<RescannedImage>,
    /// The projects whose images this account may not have scanned.
    pub forbidden: Vec<ProjectName>,
    /// The projects in which exceptions may let pass what this says is blocked.
    pub exempted: Vec<ProjectName>,
}

/// An image before and after.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RescannedImage {
    /// Its project.
    pub project: ProjectName,
    /// Its repository.
    pub repository: RepositoryName,
    /// Its digest.
    pub digest: Digest,
    /// Its tags, or those of the indexes that list it.
    pub tags: Vec<Tag>,
    /// The verdict of its project's policy before.
    pub before: Verdict,
    /// The same after.
    pub after: Verdict,
    /// What was found, if a scan has ended.
    pub summary: Option<ScanSummary>,
    /// Whether its scan has not ended.
    pub unfinished: bool,
}

impl RescannedImage {
    /// Its name for people: with its first tag, or its digest.
    pub fn name(&self) -> String {
        let Self { project, repository, digest, tags, .. } = self;
        match tags.first() {
            Some(tag) => format!("{project}/{repository}:{tag}"),
            None => format!("{project}/{repository}@{digest}"),
        }
    }
}

/// Why images are not scanned again.
#[derive(Debug, thiserror::Error)]
pub enum RescanError {
    /// Harbor refused, or could not be asked.
    #[error(transparent)]
    Registry(#[from] Error),
    /// The account may start no scan anywhere.
    #[error("this account lacks scan:create in all of these projects, and scan-all:create in the system")]
    Forbidden,
}

type Key = (ProjectName, RepositoryName, Digest);

/// One look at the images of projects.
struct Look {
    /// What can be scanned and is no index, whose children are judged one by one.
    images: BTreeMap<Key, (Vec<Tag>, Option<ScanSummary>)>,
}

impl Look {
    async fn at(harbor: &Harbor, projects: &[LiveProject], jobs: usize) -> Result<Self, Error> {
        let listed: Vec<(ProjectName, Vec<(RepositoryName, Artifact)>)> =
            futures_util::stream::iter(projects)
                .map(|live| async move {
                    let name = live.project.name.clone();
                    let found = harbor.scanned(&name).await?;
                    Ok::<_, Error>((name, found))
                })
                .buffered(jobs.max(1))
                .try_collect()
                .await?;
        let mut images = BTreeMap::new();
        for (project, artifacts) in listed {
            let mut parents: HashMap<(RepositoryName, Digest), Vec<Tag>> = HashMap::new();
            for (repository, artifact) in &artifacts {
                for child in &artifact.children {
                    let tags = artifact.tags.iter().map(|tag| tag.name.clone());
                    parents.entry((repository.clone(), *child)).or_default().extend(tags);
                }
            }
            let single = artifacts.into_iter().filter(|(_, it)| it.children.is_empty());
            for (repository, artifact) in single.filter(|(_, it)| it.scannable || it.scan.is_some()) {
                let mut tags: Vec<Tag> = artifact.tags.into_iter().map(|tag| tag.name).collect();
                tags.extend(parents.remove(&(repository.clone(), artifact.digest)).unwrap_or_default());
                images.insert((project.clone(), repository, artifact.digest), (tags, artifact.scan));
            }
        }
        Ok(Self { images })
    }
}

/// Has the images of projects scanned again, waits at most so long, and compares.
///
/// # Errors
/// Any [`RescanError`]. A scan that does not end, or fails, is no error.
pub async fn rescan(
    harbor: &Harbor,
    projects: &[ProjectName],
    wait: Duration,
    jobs: usize,
    limits: &Limits,
) -> Result<Rescan, RescanError> {
    let deadline = Instant::now() + wait;
    let account = harbor.account().await?;
    let mut live = Vec::new();
    for project in projects {
        match LiveProject::look(harbor, &account, project).await {
            Ok(found) => live.push(found),
            // One that is not there yet has no images.
            Err(error) if matches!(error.status(), Some(403 | 404)) => {}
            Err(error) => return Err(error.into()),
        }
    }
    let before = Look::at(harbor, &live, jobs).await?;
    let way = match may_scan_all(harbor, &account).await? {
        true => RescanWay::All,
        false => RescanWay::Each,
    };
    let may_scan = |live: &LiveProject| live.rights.have(Right::new("scan", "create"));
    let forbidden: Vec<ProjectName> = match way {
        RescanWay::All => Vec::new(),
        RescanWay::Each => {
            live.iter().filter(|live| !may_scan(live)).map(|live| live.project.name.clone()).collect()
        }
    };
    if !live.is_empty() && forbidden.len() == live.len() {
        return Err(RescanError::Forbidden);
    }
    // The images whose scans are waited for one by one.
    let mut awaited: BTreeSet<Key> = BTreeSet::new();
    match way {
        RescanWay::All => harbor.scan_all().await?,
        RescanWay::Each => {
            let wanted = before.images.keys().filter(|(project, ..)| !forbidden.contains(project));
            let started = wanted.map(|key| async move {
                match harbor.start_scan(&key.0, &key.1, key.2).await {
                    Ok(()) => Ok(Some(key.clone())),
                    // Harbor takes BuildKit's attestations for images until it is to scan one.
                    Err(Error::Answer(_)) => Ok(None),
                    Err(error) => Err(error),
                }
            });
            let started =
                futures_util::stream::iter(started.collect::<Vec<_>>()).buffer_unordered(jobs.max(1));
            let started: Vec<Option<Key>> = started.try_collect().await?;
            awaited.extend(started.into_iter().flatten());
        }
    }
    let mut pause = limits.scan_wait;
    let after = loop {
        let ongoing = match way {
            RescanWay::All => harbor.scan_all_progress().await?.ongoing,
            RescanWay::Each => false,
        };
        // With a scan of everything, images are looked at once it has ended.
        if !ongoing || Instant::now() >= deadline {
            let after = Look::at(harbor, &live, jobs).await?;
            let left = after.images.iter().any(|(key, (_, scan))| {
                let known = before.images.get(key).and_then(|(_, scan)| scan.as_ref());
                is_unfinished(scan.as_ref(), known, awaited.contains(key))
            });
            if !left || Instant::now() >= deadline {
                break after;
            }
        }
        tokio::time::sleep(pause.min(deadline.saturating_duration_since(Instant::now()))).await;
        pause = (pause * 2).min(limits.longest_scan_wait);
    };
    let policies: BTreeMap<&ProjectName, Policy> =
        live.iter().map(|live| (&live.project.name, live.project.policy)).collect();
    let images = after.images.into_iter().filter_map(|(key, (tags, scan))| {
        let policy = *policies.get(&key.0)?;
        let known = before.images.get(&key).and_then(|(_, scan)| scan.as_ref());
        let judged = |scan: Option<&ScanSummary>| match scan {
            Some(scan) if scan.state == ScanState::Done => verdict(policy, scan),
            _ => Verdict::Unscanned,
        };
        let unfinished = is_unfinished(scan.as_ref(), known, awaited.contains(&key));
        if known.is_none() && scan.is_none() && !unfinished {
            return None;
        }
        let (before, after) = (judged(known), judged(scan.as_ref()));
        let (project, repository, digest) = key;
        let summary = scan.filter(|scan| scan.state == ScanState::Done);
        Some(RescannedImage { project, repository, digest, tags, before, after, summary, unfinished })
    });
    let exempted = live.iter().filter(|live| live.project.exemptions);
    let exempted = exempted.map(|live| live.project.name.clone()).collect();
    Ok(Rescan { way, images: images.collect(), forbidden, exempted })
}

/// Whether a scan still runs, or has not begun where it was asked for: a new one takes the old report away before it has
/// one of its own.
fn is_unfinished(scan: Option<&ScanSummary>, before: Option<&ScanSummary>, awaited: bool) -> bool {
    match scan {
        Some(scan) if scan.state == ScanState::Running => true,
        None => awaited,
        Some(scan) => {
            let old = before.and_then(|scan| scan.report.as_deref());
            awaited && old.is_some() && old == scan.report.as_deref()
        }
    }
}

async fn may_scan_all(harbor: &Harbor, account: &Account) -> Result<bool, Error> {
    Ok(match account {
        Account::Administrator(_) => true,
        Account::Nobody => false,
        Account::User(_) | Account::Robot => {
            let needed = [Right::new("scan-all", "create"), Right::new("scan-all", "read")];
            harbor.system_rights().await?.missing(&needed).is_empty()
        }
    })
}
