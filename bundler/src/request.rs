use std::collections::BTreeMap;

use bundle_format::{ProjectName, Target};
use bundle_oci::{
    ParseReferenceError, ParseRepositoryError, ParseTagError, Platform, Reference, RepositoryName, Tag,
};

/// One thing that someone wants in the bundle, and where they want it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Request {
    /// What it is at its source.
    pub reference: Reference,
    /// Where it goes.
    pub target: Target,
    /// Which platforms of it.
    pub platforms: Platforms,
    /// The places that ask for it: `bundle.yaml:12`.
    pub reasons: Vec<String>,
}

/// A choice of platforms.
#[derive(Clone, Debug, PartialEq, Eq, Default)]
pub enum Platforms {
    /// The image as it is.
    #[default]
    All,
    /// These only.
    Only(Vec<Platform>),
}

/// A reference and the name that it gets on the other side: a line of a list, `ref` or
/// `ref => new-name`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Item {
    /// What it is at its source.
    pub reference: Reference,
    /// The new name, if it gets one.
    pub rename: Option<Rename>,
}

/// A name on the other side: a repository inside the project, and perhaps a tag.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Rename {
    repository: RepositoryName,
    tag: Option<Tag>,
}

/// Why an item cannot be had or placed.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum ItemError {
    /// The reference.
    #[error(transparent)]
    Reference(#[from] ParseReferenceError),
    /// The new name's repository, or one too long for the registry.
    #[error(transparent)]
    Repository(#[from] ParseRepositoryError),
    /// The new name's tag.
    #[error("new name: {0}")]
    Tag(#[from] ParseTagError),
    /// A new name with a digest.
    #[error("new name must not have a digest")]
    RenameDigest,
}

impl std::str::FromStr for Item {
    type Err = ItemError;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let (reference, rename) = match text.split_once("=>") {
            Some((reference, rename)) => (reference.trim(), Some(rename.trim().parse()?)),
            None => (text.trim(), None),
        };
        Ok(Self { reference: reference.parse()?, rename })
    }
}

impl std::str::FromStr for Rename {
    type Err = ItemError;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        if text.contains('@') {
            return Err(ItemError::RenameDigest);
        }
        let (repository, tag) = match text.rsplit_once(':') {
            Some((repository, tag)) => (repository, Some(tag.parse()?)),
            None => (text, None),
        };
        Ok(Self { repository: repository.parse()?, tag })
    }
}

impl Item {
    /// Where the item goes inside `project` (docs/format.md §Targets): in `cache` under its
    /// source's host and path, elsewhere under the last part of its path.
    ///
    /// # Errors
    /// The name would be too long, or its host cannot be part of a name.
    pub fn place(&self, project: &ProjectName) -> Result<Target, ItemError> {
        let reference = &self.reference;
        let (repository, tag) = match &self.rename {
            Some(rename) => (rename.repository.clone(), rename.tag.clone()),
            None if project.is_cache() => {
                let host = reference.registry().as_str().replace(':', "_").replace(['[', ']'], "");
                (format!("{host}/{}", reference.repository()).parse()?, None)
            }
            None => (reference.repository().last_component().parse()?, None),
        };
        let tag = tag.or_else(|| reference.tag().cloned());
        let target = Target { project: project.clone(), repository, tag };
        target.path()?;
        Ok(target)
    }
}

/// Two sources for one target.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error(
    "{target} would be both {} ({}) and {} ({})",
    .first.reference, .first.reasons.join(", "), .second.reference, .second.reasons.join(", ")
)]
pub struct Conflict {
    /// The target.
    pub target: Target,
    /// Who asked first.
    pub first: Box<Request>,
    /// Who asked for something else.
    pub second: Box<Request>,
}

/// Makes one request of those that ask for the same thing at the same place.
///
/// # Errors
/// Two requests want different things at the same place.
pub fn merge(requests: Vec<Request>) -> Result<Vec<Request>, Conflict> {
    let mut places: BTreeMap<_, usize> = BTreeMap::new();
    let mut merged: Vec<Request> = Vec::new();
    for request in requests {
        // Without a tag, the digest is the name, and several can live in one repository.
        let untagged = request.target.tag.is_none().then_some(request.reference.digest()).flatten();
        match places.entry((request.target.clone(), untagged)) {
            std::collections::btree_map::Entry::Vacant(place) => {
                place.insert(merged.len());
                merged.push(request);
            }
            std::collections::btree_map::Entry::Occupied(place) => {
                let first = &mut merged[*place.get()];
                if first.reference != request.reference || first.platforms != request.platforms {
                    return Err(Conflict {
                        target: request.target.clone(),
                        first: Box::new(first.clone()),
                        second: Box::new(request),
                    });
                }
                for reason in request.reasons {
                    if !first.reasons.contains(&reason) {
                        first.reasons.push(reason);
                    }
                }
            }
        }
    }
    Ok(merged)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn place(item: &str, project: &str) -> String {
        let item: Item = item.parse().unwrap();
        item.place(&project.parse().unwrap()).unwrap().to_string()
    }

    #[test]
    fn targets_follow_the_naming() {
        for (item, project, target) in [
            ("nginx:1.25", "cache", "cache/docker.io/library/nginx:1.25"),
            ("registry.example:5000/app:1", "cache", "cache/registry.example_5000/app:1"),
            ("goharbor/harbor-core:v2", "platform", "platform/harbor-core:v2"),
            ("quay.io/a/b/c:1", "tenant-a", "tenant-a/c:1"),
            ("quay.io/a/b:1 => tools/bee", "tenant-a", "tenant-a/tools/bee:1"),
            ("quay.io/a/b:1 => bee:2", "cache", "cache/bee:2"),
        ] {
            assert_eq!(place(item, project), target);
        }
        let digest = bundle_oci::Digest::of(b"");
        assert_eq!(place(&format!("a/b@{digest}"), "platform"), "platform/b");
        assert_eq!("a => b@c".parse::<Item>(), Err(ItemError::RenameDigest));
    }

    fn request(reference: &str, target: &str) -> Request {
        let item: Item = reference.parse().unwrap();
        Request {
            target: item.place(&target.parse().unwrap()).unwrap(),
            reference: item.reference,
            platforms: Platforms::All,
            reasons: vec![format!("here: {reference}")],
        }
    }

    #[test]
    fn two_sources_for_one_target_are_told_with_their_places() {
        let conflict =
            merge(vec![request("a/app:1", "platform"), request("b/app:1", "platform")]).unwrap_err();
        assert_eq!(
            conflict.to_string(),
            "platform/app:1 would be both docker.io/a/app:1 (here: a/app:1) and docker.io/b/app:1 (here: b/app:1)"
        );
        let merged =
            merge(vec![request("a/app:1", "platform"), request("docker.io/a/app:1", "platform")]).unwrap();
        assert_eq!(merged.len(), 1);
        assert_eq!(merged[0].reasons.len(), 2);
    }
}
