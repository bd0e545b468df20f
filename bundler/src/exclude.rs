//! Images that are left out although something asks for them: `exclude` of a file, a project, a list or a
//! chart, and `--exclude`.
//! Takes texts with the places that have them; says which images they hold, and which of them held none.

use std::str::FromStr;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use bundle_oci::{ParseReferenceError, Reference, Registry, RepositoryName};

use crate::tags::{ParseGlobError, TagGlob};
use crate::{Notice, Reason};

/// Images that are left out, though something asks for them: `a/b:1`, `a/b` with any tag, `a/b:*-alpine`
/// with tags of a pattern, or `harbor.example/*`, all below.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Exclusion {
    /// This tag or digest of an image.
    Image(Reference),
    /// An image with any tag.
    Repository(Registry, RepositoryName),
    /// An image with the tags of a pattern.
    Tags(Registry, RepositoryName, TagGlob),
    /// All images whose name starts like this, a slash at its end.
    Below(String),
}

/// Why a text excludes nothing.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum ParseExclusionError {
    /// The name.
    #[error(transparent)]
    Reference(#[from] ParseReferenceError),
    /// The pattern of tags.
    #[error(transparent)]
    Tags(#[from] ParseGlobError),
}

impl Exclusion {
    /// Whether it means this image.
    pub(crate) fn holds(&self, image: &Reference) -> bool {
        let is_of = |registry: &Registry, repository: &RepositoryName| {
            registry == image.registry() && repository == image.repository()
        };
        match self {
            Self::Image(excluded) => excluded == image,
            Self::Repository(registry, repository) => is_of(registry, repository),
            Self::Tags(registry, repository, tags) => {
                is_of(registry, repository) && image.tag().is_some_and(|tag| tags.matches(tag.as_str()))
            }
            Self::Below(prefix) => format!("{}/{}", image.registry(), image.repository()).starts_with(prefix),
        }
    }
}

impl FromStr for Exclusion {
    type Err = ParseExclusionError;

    fn from_str(text: &str) -> Result<Self, ParseExclusionError> {
        if let Some(prefix) = text.strip_suffix('*').filter(|prefix| prefix.ends_with('/')) {
            // Something below it must be a name.
            let first = format!("{prefix}x").parse::<Reference>()?;
            let whole = format!("{}/{}", first.registry(), first.repository());
            return Ok(Self::Below(whole.trim_end_matches('x').to_owned()));
        }
        if let Some((name, tags)) = split_pattern(text) {
            let name: Reference = name.parse()?;
            return Ok(Self::Tags(name.registry().clone(), name.repository().clone(), tags.parse()?));
        }
        let reference: Reference = text.parse()?;
        let tagged = text.rsplit('/').next().is_some_and(|last| last.contains([':', '@']));
        Ok(match tagged {
            true => Self::Image(reference),
            false => Self::Repository(reference.registry().clone(), reference.repository().clone()),
        })
    }
}

/// A repository and a pattern of its tags, if a text has a pattern where a reference has a tag.
pub(crate) fn split_pattern(text: &str) -> Option<(&str, &str)> {
    let (name, tags) = text.rsplit_once(':')?;
    (TagGlob::is_meant(tags) && !tags.contains(['/', '@'])).then_some((name, tags))
}

/// One entry of an `exclude`, with the place that has it. Its copies know together whether it held an image.
#[derive(Clone, Debug)]
pub struct Exclude {
    exclusion: Exclusion,
    text: String,
    place: Reason,
    held: Arc<AtomicBool>,
}

impl PartialEq for Exclude {
    fn eq(&self, other: &Self) -> bool {
        (&self.exclusion, &self.place) == (&other.exclusion, &other.place)
    }
}

impl Eq for Exclude {}

impl Exclude {
    /// An entry that `place` has.
    ///
    /// # Errors
    /// [`ParseExclusionError`].
    pub fn new(text: &str, place: Reason) -> Result<Self, ParseExclusionError> {
        Ok(Self { exclusion: text.parse()?, text: text.to_owned(), place, held: Arc::default() })
    }

    /// Whether it means this image; if so, it is remembered.
    pub fn holds(&self, image: &Reference) -> bool {
        let holds = self.exclusion.holds(image);
        if holds {
            self.count();
        }
        holds
    }

    /// The entry as it was written.
    pub(crate) fn text(&self) -> &str {
        &self.text
    }

    /// Whether it may mean images of a repository.
    pub(crate) fn concerns(&self, registry: &Registry, repository: &RepositoryName) -> bool {
        match &self.exclusion {
            Exclusion::Image(image) => (image.registry(), image.repository()) == (registry, repository),
            Exclusion::Repository(of, name) | Exclusion::Tags(of, name, _) => {
                (of, name) == (registry, repository)
            }
            Exclusion::Below(prefix) => format!("{registry}/{repository}").starts_with(prefix),
        }
    }

    /// An entry of a choice of tags: a pattern of them.
    ///
    /// # Errors
    /// [`ParseGlobError`].
    pub(crate) fn of_tags(
        text: &str,
        (registry, repository): (Registry, RepositoryName),
        place: Reason,
    ) -> Result<Self, ParseGlobError> {
        let exclusion = Exclusion::Tags(registry, repository, text.parse()?);
        Ok(Self { exclusion, text: text.to_owned(), place, held: Arc::default() })
    }

    /// Takes note that it held an image, or that nobody knows whether it would.
    pub(crate) fn count(&self) {
        self.held.store(true, Ordering::Relaxed);
    }

    /// A notice if it has held no image. To be asked once all images are known.
    pub(crate) fn unused(&self) -> Option<Notice> {
        let notice = || Notice::ExcludeUnused { exclude: self.text.clone(), place: self.place.clone() };
        (!self.held.load(Ordering::Relaxed)).then(notice)
    }
}

/// Whether one of them means this image. All that do remember it.
pub fn is_excluded(excludes: &[Exclude], image: &Reference) -> bool {
    excludes.iter().filter(|exclude| exclude.holds(image)).count() > 0
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn images_are_excluded_by_tag_by_name_by_pattern_or_by_what_they_lie_below() {
        for (exclusion, image, held) in [
            ("a/b:1", "docker.io/a/b:1", true),
            ("a/b:1", "a/b:2", false),
            ("a/b", "a/b:2", true),
            ("a/b", "a/bc:2", false),
            ("a/b:*-alpine", "a/b:2-alpine", true),
            ("a/b:*-alpine", "a/b:2", false),
            ("a/b:*-alpine", "a/c:2-alpine", false),
            ("r.example:5000/b:2.*", "r.example:5000/b:2.1", true),
            ("harbor.example/*", "harbor.example/x/y:1", true),
            ("harbor.example:443/x/*", "harbor.example:443/x/y:1", true),
            ("harbor.example/*", "harbor.example.org/x:1", false),
            ("bitnami/*", "docker.io/bitnami/redis:7", true),
        ] {
            let parsed: Exclusion = exclusion.parse().unwrap();
            assert_eq!(parsed.holds(&image.parse().unwrap()), held, "{exclusion} {image}");
        }
        for wrong in ["*", "a/B", "a b", "/*", "a/*/b", "a:*/b", "a:[*]"] {
            assert!(wrong.parse::<Exclusion>().is_err(), "{wrong}");
        }
    }

    #[test]
    fn copies_of_an_entry_know_together_whether_it_held_an_image() {
        let exclude = Exclude::new("a/b", Reason::File { name: "f".to_owned(), line: 3 }).unwrap();
        let copy = exclude.clone();
        assert!(!copy.holds(&"a/c".parse().unwrap()));
        assert_eq!(exclude.unused().unwrap().to_string(), "f:3: exclude 'a/b' matches no image");
        assert!(is_excluded(&[copy.clone(), copy], &"a/b:1".parse().unwrap()));
        assert_eq!(exclude.unused(), None);
    }
}
