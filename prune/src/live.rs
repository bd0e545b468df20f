//! What is in the repositories of a Harbor now: artifacts, tags, pulls, attachments. Takes a client that only reads
//! and repositories, gives plain values.

use std::collections::BTreeMap;

use bundle_format::Timestamp;
use bundle_harbor::{Artifact, Harbor};
use bundle_oci::{Digest, Tag};
use bundle_registry::Error;
use futures_util::{StreamExt, TryStreamExt};

use crate::Repository;

/// An artifact that is there.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct LiveArtifact {
    /// Its digest.
    pub digest: Digest,
    /// Its tags.
    pub tags: Vec<LiveTag>,
    /// Whether it has tags that cannot be named here, and so stays.
    pub has_other_tags: bool,
    /// When it was pulled last, by whatever name; none if never.
    pub pulled: Option<Timestamp>,
    /// The manifests that it lists, if it is an index.
    pub children: Vec<Digest>,
    /// What is attached to it.
    pub accessories: Vec<LiveAccessory>,
}

/// A tag that is there.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct LiveTag {
    /// Its name.
    pub name: Tag,
    /// Whether a rule keeps it from being removed.
    pub immutable: bool,
    /// When the artifact was pulled last by it; none if never.
    pub pulled: Option<Timestamp>,
}

/// What is attached to an artifact.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct LiveAccessory {
    /// Its digest.
    pub digest: Digest,
    /// Whether Harbor made it itself.
    pub of_harbor: bool,
}

/// Harbor writes the year 1 for "never", which is before all times.
fn time(text: Option<String>) -> Option<Timestamp> {
    text?.parse().ok().filter(|time: &Timestamp| time.unix() > 0)
}

impl From<Artifact> for LiveArtifact {
    fn from(found: Artifact) -> Self {
        let tag = |tag: bundle_harbor::ArtifactTag| LiveTag {
            name: tag.name,
            immutable: tag.immutable,
            pulled: time(tag.pulled),
        };
        let accessory = |accessory: bundle_harbor::Accessory| LiveAccessory {
            digest: accessory.digest,
            of_harbor: accessory.is_of_harbor(),
        };
        Self {
            digest: found.digest,
            has_other_tags: found.has_other_tags,
            tags: found.tags.into_iter().map(tag).collect(),
            pulled: time(found.pulled),
            children: found.children,
            accessories: found.accessories.into_iter().map(accessory).collect(),
        }
    }
}

/// Lists these repositories. Nothing of it counts as a pull. One that does not exist is empty.
///
/// # Errors
/// Any [`Error`]; HTTP 403 without the right to list artifacts, or if there is no such project.
pub async fn look(
    harbor: &Harbor,
    repositories: impl IntoIterator<Item = Repository>,
    jobs: usize,
) -> Result<BTreeMap<Repository, Vec<LiveArtifact>>, Error> {
    futures_util::stream::iter(repositories)
        .map(|repository| async move {
            let found = harbor.all_artifacts(&repository.project, &repository.name).await?;
            Ok((repository, found.into_iter().map(LiveArtifact::from).collect()))
        })
        .buffer_unordered(jobs.max(1))
        .try_collect()
        .await
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_year_one_is_never() {
        let parse = |text: &str| time(Some(text.to_owned())).map(Timestamp::unix);
        assert_eq!(parse("0001-01-01T00:00:00.000Z"), None);
        assert_eq!(parse("1970-01-01T00:00:00.000Z"), None);
        assert_eq!(parse("2026-11-24T09:00:00.123Z"), Some(1_795_510_800));
        assert_eq!(time(None), None);
    }
}
