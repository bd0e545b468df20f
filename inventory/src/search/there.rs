//! What is in a registry now, of the places that fit: known ones, and those that nothing names.
//! Takes a destination that is only read; what Harbor shows through its own interface counts as no pull.

use std::collections::{BTreeMap, BTreeSet};

use bundle_format::{RECORD_REPOSITORY, Target};
use bundle_harbor::{Artifact, Harbor};
use bundle_oci::{Digest, ProjectName, RegistryPath, RepositoryName, Tag};
use bundle_registry::Error;
use futures_util::{StreamExt, TryStreamExt};

use crate::Subject;
use crate::search::answer::Now;
use crate::search::known::Known;
use crate::search::question::{Far, SearchError};
use crate::subject::Fit;

/// Looks at the places that fit.
///
/// # Errors
/// The registry cannot be asked, or too much fits.
pub(super) async fn look(far: &Far, subject: &Subject, known: &mut Known<'_>) -> Result<(), SearchError> {
    let root = far.destination.root();
    match &far.harbor {
        Some(harbor) => harbor_has(harbor, far.jobs, &root, subject, known).await,
        None => registry_has(far, &root, subject, known).await,
    }
}

/// A Harbor lists all that it has.
async fn harbor_has(
    harbor: &Harbor,
    jobs: usize,
    root: &RegistryPath,
    subject: &Subject,
    known: &mut Known<'_>,
) -> Result<(), SearchError> {
    let targets = known.targets(root);
    let mut repositories: BTreeSet<(ProjectName, RepositoryName)> =
        targets.keys().map(|target| (target.project.clone(), target.repository.clone())).collect();
    for project in harbor.projects().await? {
        let names = match harbor.repositories(&project).await {
            // A public project of others, of which one sees no more than the name.
            Err(error) if matches!(error.status(), Some(401 | 403)) => continue,
            names => names?,
        };
        let fits = |name: &RepositoryName| {
            let target = Target { project: project.clone(), repository: name.clone(), tag: None };
            name.as_str() != RECORD_REPOSITORY && subject.may_be_in(Some(root), &target)
        };
        repositories.extend(names.into_iter().filter(fits).map(|name| (project.clone(), name)));
    }
    let listed: Vec<((ProjectName, RepositoryName), Vec<Artifact>)> =
        futures_util::stream::iter(repositories)
            .map(|(project, name)| async move {
                let artifacts = match harbor.all_artifacts(&project, &name).await {
                    // A project that is gone, and what a receipt says was in it.
                    Err(error) if matches!(error.status(), Some(403 | 404)) => Vec::new(),
                    artifacts => artifacts?,
                };
                Ok::<_, Error>(((project, name), artifacts))
            })
            .buffer_unordered(jobs.max(1))
            .try_collect()
            .await?;
    for ((project, repository), artifacts) in listed {
        let here =
            |tag: Option<Tag>| Target { project: project.clone(), repository: repository.clone(), tag };
        let of_here =
            targets.iter().filter(|(target, _)| target.project == project && target.repository == repository);
        let named: BTreeSet<Digest> = of_here.clone().flat_map(|(_, digests)| digests).copied().collect();
        let there = There::of(&artifacts);
        for (target, digests) in of_here {
            for digest in digests {
                known.set_now(root, target, *digest, Fit::Itself, there.now(target, *digest))?;
            }
        }
        for artifact in &artifacts {
            let fit = |target: &Target| {
                let parts = artifact.children.iter().copied();
                subject.fits(Some(root), target, artifact.digest, parts)
            };
            for tag in &artifact.tags {
                let target = here(Some(tag.name.clone()));
                if let Some(fit) = fit(&target)
                    && !targets.get(&target).is_some_and(|digests| digests.contains(&artifact.digest))
                {
                    known.set_now(root, &target, artifact.digest, fit, Now::There)?;
                }
            }
            // Without a tag it is an index's, or was under a tag that moved; both are said with those.
            let alone = artifact.tags.is_empty()
                && !named.contains(&artifact.digest)
                && !there.listed.contains(&artifact.digest);
            let target = here(None);
            if alone && let Some(fit) = fit(&target) {
                known.set_now(root, &target, artifact.digest, fit, Now::There)?;
            }
        }
    }
    Ok(())
}

/// One repository as it is.
struct There {
    tags: BTreeMap<Tag, Digest>,
    digests: BTreeSet<Digest>,
    /// Those that an index lists.
    listed: BTreeSet<Digest>,
}

impl There {
    fn of(artifacts: &[Artifact]) -> Self {
        let tags = artifacts.iter().flat_map(|it| it.tags.iter().map(|tag| (tag.name.clone(), it.digest)));
        let accessories =
            artifacts.iter().flat_map(|it| it.accessories.iter().map(|accessory| accessory.digest));
        let listed: BTreeSet<Digest> = artifacts.iter().flat_map(|it| it.children.iter().copied()).collect();
        Self {
            tags: tags.collect(),
            digests: artifacts.iter().map(|it| it.digest).chain(accessories).collect(),
            listed,
        }
    }

    fn now(&self, target: &Target, digest: Digest) -> Now {
        let is_there = self.digests.contains(&digest);
        match target.tag.as_ref().map(|tag| self.tags.get(tag)) {
            Some(Some(found)) if *found != digest => Now::Other(*found),
            Some(None) if is_there => Now::Untagged,
            Some(Some(_)) => Now::There,
            None if is_there => Now::There,
            _ => Now::Gone,
        }
    }
}

/// Any other registry is asked for the places that something names, and for the other tags of their repositories.
async fn registry_has(
    far: &Far,
    root: &RegistryPath,
    subject: &Subject,
    known: &mut Known<'_>,
) -> Result<(), SearchError> {
    let targets = known.targets(root);
    let destination = &*far.destination;
    let found: Vec<(Target, Digest, Option<Digest>)> = futures_util::stream::iter(
        targets.iter().flat_map(|(target, digests)| digests.iter().map(move |digest| (target, *digest))),
    )
    .map(|(target, digest)| async move {
        Ok::<_, Error>((target.clone(), digest, destination.digest_at(target, digest).await?))
    })
    .buffer_unordered(far.jobs.max(1))
    .try_collect()
    .await?;
    for (target, digest, there) in found {
        let now = match there {
            Some(there) if there == digest => Now::There,
            Some(other) => Now::Other(other),
            None => Now::Gone,
        };
        known.set_now(root, &target, digest, Fit::Itself, now)?;
    }
    let repositories: BTreeSet<Target> =
        targets.keys().map(|target| Target { tag: None, ..target.clone() }).collect();
    for repository in repositories {
        for found in destination.tags(&repository).await? {
            let target = Target { tag: Some(found.tag), ..repository.clone() };
            if targets.contains_key(&target) || !subject.may_be_in(Some(root), &target) {
                continue;
            }
            let Some(digest) = destination.digest_at(&target, Digest::of(&[])).await? else { continue };
            if let Some(fit) = subject.fits(Some(root), &target, digest, std::iter::empty()) {
                known.set_now(root, &target, digest, fit, Now::There)?;
            }
        }
    }
    Ok(())
}
