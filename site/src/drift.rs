//! The differences between a Harbor and a receipt. Takes a receipt and a client that only reads, gives each
//! difference.

use std::collections::HashSet;
use std::fmt;

use bundle_format::{Delivered, ProjectPolicy, Receipt, Target, Timestamp};
use bundle_harbor::{Account, Harbor};
use bundle_oci::{ByteCount, Digest, ProjectName};
use bundle_registry::{Error, Progress};
use futures_util::{StreamExt, TryStreamExt};

use bundle_format::RECORD_REPOSITORY;
use bundle_importer::{Destination, ProveError, prove};

use crate::difference::{differences, system_difference};
use crate::{Deliveries, Difference, HarborOptions, HarborSettings, HarborSite, LiveProject, WantedProject};

/// A point in which a Harbor is no longer what a receipt says.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Drift {
    /// An artifact is no longer there.
    Gone(Box<Delivered>),
    /// A tag names something else.
    Moved {
        /// The artifacts that were delivered.
        delivered: Box<Delivered>,
        /// The digest that the tag has now.
        found: Digest,
    },
    /// An artifact that no receipt names.
    Extra {
        /// Its target; without a tag if it has none.
        target: Target,
        /// Its digest.
        digest: Digest,
    },
    /// A project is no longer there, or can no longer be seen.
    ProjectGone(ProjectName),
    /// Exceptions or retention rules are not as `harbor.yaml` says.
    Settings {
        /// The project; none for the whole system.
        project: Option<ProjectName>,
        /// In which point.
        difference: String,
    },
    /// A project is run otherwise.
    Policy {
        /// The project.
        project: ProjectName,
        /// In which point.
        what: &'static str,
        /// As the receipt says.
        was: String,
        /// As it is.
        is: String,
    },
}

impl Drift {
    /// The drift's name for machines.
    pub fn name(&self) -> &'static str {
        match self {
            Self::Gone(_) => "gone",
            Self::Moved { .. } => "moved",
            Self::Extra { .. } => "extra",
            Self::ProjectGone(_) => "project-gone",
            Self::Policy { .. } | Self::Settings { .. } => "policy",
        }
    }
}

impl fmt::Display for Drift {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Gone(delivered) => write!(f, "{} is gone; it was {}", delivered.target, delivered.digest),
            Self::Moved { delivered, found } => {
                write!(f, "{} is {found}; it was {}", delivered.target, delivered.digest)
            }
            Self::Extra { target, digest } => write!(f, "{target} is {digest}, which no receipt names"),
            Self::ProjectGone(project) => write!(f, "the project {project} is gone, or hidden"),
            Self::Settings { project: Some(project), difference } => {
                write!(f, "the project {project}: {difference}")
            }
            Self::Settings { project: None, difference } => write!(f, "the system: {difference}"),
            Self::Policy { project, what, was, is } => {
                write!(f, "the project {project}: {what} is {is}; it was {was}")
            }
        }
    }
}

/// Compares a Harbor with what a receipt says was delivered, and how its projects were left.
///
/// # Errors
/// Any [`Error`] but that something is gone.
pub async fn drift(harbor: &Harbor, receipt: &Receipt, jobs: usize) -> Result<Vec<Drift>, Error> {
    let destination = HarborSite::new(harbor.clone(), HarborOptions::default());
    let account = harbor.account().await?;
    let mut all = Vec::new();
    for (project, was) in &receipt.policies {
        match LiveProject::look(harbor, &account, project).await {
            Ok(live) => all.extend(changed(project, was, &live.policy(), &account)),
            Err(error) if matches!(error.status(), Some(403 | 404)) => {
                all.push(Drift::ProjectGone(project.clone()));
            }
            Err(error) => return Err(error),
        }
    }
    let in_place = receipt.artifacts.iter().filter(|artifact| artifact.outcome.is_in_place());
    let found: Vec<Option<Drift>> = futures_util::stream::iter(in_place)
        .map(|delivered| {
            let destination = &destination;
            async move {
                let found = match destination.digest_at(&delivered.target, delivered.digest).await {
                    Ok(found) => found,
                    // Harbor says this of a project that is not there.
                    Err(error) if error.status() == Some(403) => None,
                    Err(error) => return Err(error),
                };
                Ok(match found {
                    Some(found) if found == delivered.digest => None,
                    Some(found) => Some(Drift::Moved { delivered: Box::new(delivered.clone()), found }),
                    None => Some(Drift::Gone(Box::new(delivered.clone()))),
                })
            }
        })
        .buffered(jobs.max(1) * 4)
        .try_collect()
        .await?;
    all.extend(found.into_iter().flatten());
    Ok(all)
}

/// Compares exceptions and retention rules, which no receipt has, with what `harbor.yaml` says of them now.
///
/// # Errors
/// Any [`Error`] but that a project is gone.
pub async fn undone(
    harbor: &Harbor,
    settings: &HarborSettings,
    projects: impl IntoIterator<Item = &ProjectName>,
) -> Result<Vec<Drift>, Error> {
    let wanted = projects.into_iter().map(|project| (project, settings.wanted(project)));
    let wanted: Vec<(&ProjectName, WantedProject)> =
        wanted.filter(|(_, it)| it.exceptions.is_some() || it.retention.is_some()).collect();
    if wanted.is_empty() && settings.system_exceptions.is_none() {
        return Ok(Vec::new());
    }
    let (account, now) = (harbor.account().await?, Timestamp::now());
    let mut all = Vec::new();
    for (project, wanted) in wanted {
        let live = match LiveProject::look(harbor, &account, project).await {
            Ok(live) => live,
            Err(error) if matches!(error.status(), Some(403 | 404)) => continue,
            Err(error) => return Err(error),
        };
        let found = differences(&live, &wanted, now).into_iter().filter(Difference::can_wait);
        all.extend(found.map(|difference| Drift::Settings {
            project: Some(project.clone()),
            difference: difference.to_string(),
        }));
    }
    let system = system_difference(harbor, settings).await?;
    all.extend(system.map(|it| Drift::Settings { project: None, difference: it.to_string() }));
    Ok(all)
}

/// Reads all that is in place by a receipt back from a Harbor, and hashes it. Gives what a policy holds back.
///
/// # Errors
/// The first thing that is not what its digest says, or cannot be read.
pub async fn prove_again(
    harbor: &Harbor,
    receipt: &Receipt,
    jobs: usize,
    progress: &dyn Progress,
) -> Result<HashSet<Target>, ProveError> {
    let destination = HarborSite::new(harbor.clone(), HarborOptions::default());
    prove(&destination, receipt, jobs, progress).await
}

/// The artifacts in the projects of receipts that none of the receipts names, and tags that none names:
/// pushes by other clients. The record of accepted bundles is the importer's own.
///
/// # Errors
/// Any [`Error`].
pub async fn extra(harbor: &Harbor, receipts: &Deliveries, jobs: usize) -> Result<Vec<Drift>, Error> {
    let mut all = Vec::new();
    for project in receipts.projects() {
        let repositories = harbor.repositories(project).await?;
        let repositories = repositories.into_iter().filter(|name| name.as_str() != RECORD_REPOSITORY);
        let listed: Vec<_> = futures_util::stream::iter(repositories.collect::<Vec<_>>())
            .map(|repository| async move {
                let artifacts = harbor.artifacts(project, &repository).await?;
                Ok::<_, Error>((repository, artifacts))
            })
            .buffered(jobs.max(1))
            .try_collect()
            .await?;
        for (repository, artifacts) in listed {
            for artifact in artifacts {
                let target = |tag| Target { project: project.clone(), repository: repository.clone(), tag };
                for tag in &artifact.tags {
                    let target = target(Some(tag.name.clone()));
                    if !receipts.names(&target, artifact.digest) {
                        all.push(Drift::Extra { target, digest: artifact.digest });
                    }
                }
                if artifact.tags.is_empty() && !receipts.has(artifact.digest) {
                    all.push(Drift::Extra { target: target(None), digest: artifact.digest });
                }
            }
        }
    }
    Ok(all)
}

fn changed(project: &ProjectName, was: &ProjectPolicy, is: &ProjectPolicy, account: &Account) -> Vec<Drift> {
    let access = |public: bool| if public { "public" } else { "private" }.to_owned();
    let switch = |on: bool| if on { "on" } else { "off" }.to_owned();
    let prevention = |from: Option<bundle_format::Severity>| {
        from.map_or("never", bundle_format::Severity::as_str).to_owned()
    };
    let quota =
        |bytes: Option<u64>| bytes.map_or("unlimited".to_owned(), |bytes| ByteCount(bytes).to_string());
    let tags = |patterns: &[String]| match patterns {
        [] => "none".to_owned(),
        patterns => patterns.join(", "),
    };
    let mut points = vec![
        ("access", access(was.public), access(is.public)),
        ("automatic scan", switch(was.scan_on_push), switch(is.scan_on_push)),
        ("prevention of pulls", prevention(was.blocked_from), prevention(is.blocked_from)),
        ("quota", quota(was.quota), quota(is.quota)),
    ];
    // Another account may not see as much as the one that wrote the receipt.
    if matches!(account, Account::Administrator(_)) || !is.immutable_tags.is_empty() {
        points.push(("immutable tags", tags(&was.immutable_tags), tags(&is.immutable_tags)));
    }
    points
        .into_iter()
        .filter(|(_, was, is)| was != is)
        .map(|(what, was, is)| Drift::Policy { project: project.clone(), what, was, is })
        .collect()
}

#[cfg(test)]
mod tests {
    use bundle_format::Severity;

    use super::*;

    #[test]
    fn each_point_in_which_a_project_changed_is_told() {
        let was = ProjectPolicy {
            public: false,
            scan_on_push: true,
            blocked_from: Some(Severity::High),
            quota: Some(10),
            immutable_tags: vec!["v*".to_owned()],
        };
        let is = ProjectPolicy {
            public: true,
            scan_on_push: false,
            blocked_from: None,
            quota: None,
            immutable_tags: Vec::new(),
        };
        let project = "cache".parse().unwrap();
        let admin = Account::Administrator("admin".to_owned());
        let texts: Vec<String> =
            changed(&project, &was, &is, &admin).iter().map(ToString::to_string).collect();
        assert_eq!(
            texts,
            [
                "the project cache: access is public; it was private",
                "the project cache: automatic scan is off; it was on",
                "the project cache: prevention of pulls is never; it was high",
                "the project cache: quota is unlimited; it was 10 B",
                "the project cache: immutable tags is none; it was v*",
            ]
        );
        assert!(changed(&project, &was, &was, &admin).is_empty());
    }
}
