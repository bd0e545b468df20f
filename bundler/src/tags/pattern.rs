//! A request for the tags of a repository that a selection chooses.
//! Takes a line such as `nginx:1.27.* => tools/nginx`, or the parts of an entry; gives a [`TagPattern`], which makes a
//! request for each tag.

use std::fmt;

use bundle_format::Target;
use bundle_oci::{ParseReferenceError, ProjectName, Reference, Registry, RepositoryName, Tag};

use super::glob::ParseGlobError;
use super::select::TagSelection;
use crate::exclude::{is_excluded, split_pattern};
use crate::{CacheLayout, Exclude, ImagePolicy, Item, ItemError, Platforms, Reason, Rename, Request};

/// A repository and a choice of its tags, and the name that they get on the other side: a line of a list with a
/// pattern in place of a tag.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct TagItem {
    /// The registry.
    pub registry: Registry,
    /// The repository.
    pub repository: RepositoryName,
    /// Which of its tags.
    pub tags: TagSelection,
    /// The new name, if it gets one.
    pub rename: Option<Rename>,
}

/// Why a repository and a choice of its tags cannot be had.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum ParseTagItemError {
    /// The repository.
    #[error(transparent)]
    Reference(#[from] ParseReferenceError),
    /// The pattern.
    #[error(transparent)]
    Glob(#[from] ParseGlobError),
    /// A tag or digest beside a choice of tags.
    #[error("a reference with a tag or digest cannot have a choice of tags")]
    Tagged,
    /// A new name with a tag.
    #[error("new name of several tags must not have a tag")]
    RenameTag,
}

impl TagItem {
    /// Whether a line is meant as one, and not as a reference.
    pub(crate) fn is_meant(line: &str) -> bool {
        let reference = line.split_once("=>").map_or(line, |(reference, _)| reference);
        split_pattern(reference.trim()).is_some()
    }

    /// A repository, with a pattern of tags after a colon or without, and a further choice of them.
    ///
    /// # Errors
    /// Any [`ParseTagItemError`].
    pub fn new(
        reference: &str,
        mut tags: TagSelection,
        rename: Option<Rename>,
    ) -> Result<Self, ParseTagItemError> {
        let name = match split_pattern(reference) {
            Some((name, glob)) if tags.globs.is_empty() => {
                tags.globs.push(glob.parse()?);
                name
            }
            Some(_) => return Err(ParseTagItemError::Tagged),
            None => reference,
        };
        let whole: Reference = name.parse()?;
        if name.rsplit('/').next().is_some_and(|last| last.contains([':', '@'])) {
            return Err(ParseTagItemError::Tagged);
        }
        if rename.as_ref().is_some_and(|rename| rename.tag().is_some()) {
            return Err(ParseTagItemError::RenameTag);
        }
        let (registry, repository) = (whole.registry().clone(), whole.repository().clone());
        Ok(Self { registry, repository, tags, rename })
    }

    /// Reads a line of a list: `repository:pattern`, or `repository:pattern => new-name`.
    pub(crate) fn parse(line: &str) -> Result<Self, ItemError> {
        let (reference, rename) = match line.split_once("=>") {
            Some((reference, rename)) => (reference.trim(), Some(rename.trim().parse()?)),
            None => (line.trim(), None),
        };
        Ok(Self::new(reference, TagSelection::default(), rename)?)
    }

    /// Where the tags go inside `project`, as [`Item::place_by`]; without a tag.
    ///
    /// # Errors
    /// The name would be too long, or its host cannot be part of a name.
    pub fn place_by(&self, project: &ProjectName, layout: &CacheLayout) -> Result<Target, ItemError> {
        let (registry, repository) = (self.registry.clone(), self.repository.clone());
        let reference = Reference::tagged(registry, repository, Tag::latest());
        let item = Item { reference, rename: self.rename.clone() };
        Ok(Target { tag: None, ..item.place_by(project, layout)? })
    }
}

/// A request for the tags of a repository that a selection chooses. Which these are, the registry or a lock says.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct TagPattern {
    /// The registry.
    pub registry: Registry,
    /// The repository.
    pub repository: RepositoryName,
    /// Which of its tags.
    pub tags: TagSelection,
    /// Where they go; without a tag.
    pub target: Target,
    /// Which platforms of them.
    pub platforms: Platforms,
    /// The policy for them.
    pub policy: ImagePolicy,
    /// The tags that are left out, among other images.
    pub exclude: Vec<Exclude>,
    /// The places that ask for them.
    pub reasons: Vec<Reason>,
}

impl TagPattern {
    /// The tags that are chosen, of those that there are.
    pub(super) fn select(&self, tags: &[Tag]) -> Vec<Tag> {
        self.tags.select(tags, |tag| is_excluded(&self.exclude, &self.reference(tag)))
    }

    /// Those of the tags of a lock that are not excluded.
    pub(super) fn left_of(&self, tags: &[Tag]) -> Vec<Tag> {
        tags.iter().filter(|tag| !is_excluded(&self.exclude, &self.reference(tag))).cloned().collect()
    }

    fn reference(&self, tag: &Tag) -> Reference {
        Reference::tagged(self.registry.clone(), self.repository.clone(), tag.clone())
    }

    /// The request for one of the tags.
    pub(super) fn request(&self, tag: &Tag) -> Request {
        Request {
            reference: self.reference(tag),
            local: None,
            target: Target { tag: Some(tag.clone()), ..self.target.clone() },
            platforms: self.platforms.clone(),
            policy: self.policy,
            reasons: self.reasons.clone(),
        }
    }

    /// The choice as a lock has it: with what is excluded from this repository.
    pub(crate) fn key(&self) -> String {
        let concerns = |exclude: &&Exclude| exclude.concerns(&self.registry, &self.repository);
        let mut without: Vec<&str> = self.exclude.iter().filter(concerns).map(Exclude::text).collect();
        without.sort_unstable();
        without.dedup();
        match without.as_slice() {
            [] => self.to_string(),
            without => format!("{self} without {}", without.join(", ")),
        }
    }
}

impl fmt::Display for TagPattern {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}/{}{}", self.registry, self.repository, self.tags)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_line_with_a_pattern_is_a_choice_of_tags() {
        let item = TagItem::parse("nginx:1.27.* => tools/nginx").unwrap();
        let place = |project: &str| {
            let target = item.place_by(&project.parse().unwrap(), &CacheLayout::default());
            target.unwrap().to_string()
        };
        assert_eq!((item.registry.as_str(), item.tags.to_string().as_str()), ("docker.io", ":1.27.*"));
        assert_eq!(place("cache"), "cache/tools/nginx");
        let item = TagItem::parse("r.example:5000/a/b:v?").unwrap();
        let target = item.place_by(&"cache".parse().unwrap(), &CacheLayout::default()).unwrap();
        assert_eq!(target.to_string(), "cache/r.example_5000/a/b");
        for (line, meant) in
            [("nginx:1.*", true), ("a => b:*", false), ("nginx:1", false), ("a*", false), ("x:5*/a", false)]
        {
            assert_eq!(TagItem::is_meant(line), meant, "{line}");
        }
    }

    #[test]
    fn a_tag_beside_a_choice_of_tags_is_refused() {
        let newest = || TagSelection { newest: std::num::NonZeroUsize::new(3), ..TagSelection::default() };
        for wrong in ["nginx:1", "nginx:latest", "r.example:5000/a:1", "a/b:latest"] {
            assert_eq!(TagItem::new(wrong, newest(), None), Err(ParseTagItemError::Tagged), "{wrong}");
        }
        let digest = format!("nginx@{}", bundle_oci::Digest::of(b""));
        assert_eq!(TagItem::new(&digest, newest(), None), Err(ParseTagItemError::Tagged));
        let globs = TagSelection::of_glob("1.*".parse().unwrap());
        assert_eq!(TagItem::new("nginx:2.*", globs, None), Err(ParseTagItemError::Tagged));
        assert!(TagItem::new("r.example:5000/a", newest(), None).is_ok());
        assert_eq!(TagItem::new("nginx:1.*", newest(), None).unwrap().tags.to_string(), ":1.* newest 3");
        let error = TagItem::parse("a:1.* => b:1").unwrap_err();
        assert_eq!(error.to_string(), "new name of several tags must not have a tag");
        assert_eq!(TagItem::parse("a:1.* =>").unwrap_err().to_string(), "new name is empty");
    }
}
