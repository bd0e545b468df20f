//! Which of a repository's tags are meant: by patterns, by a range of versions, and by how new they are.
//! Takes the tags that there are; gives those that are chosen, in the order of their versions.

use std::collections::HashSet;
use std::fmt;
use std::num::NonZeroUsize;
use std::str::FromStr;

use bundle_chart::{Constraint, Version};
use bundle_oci::{Printable, Tag};

use super::glob::TagGlob;
use crate::Limits;

/// A range of versions as Helm, skopeo and Flux write it: `>=1.25 <2`, `~1.27`, `1.x || 2.x`.
#[derive(Clone, Debug)]
pub struct VersionRange {
    text: String,
    range: Constraint,
}

/// A text that is no range of versions.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("'{}' is not a range of versions such as '>=1.25 <2'", Printable(.0))]
pub struct ParseRangeError(String);

impl FromStr for VersionRange {
    type Err = ParseRangeError;

    fn from_str(text: &str) -> Result<Self, ParseRangeError> {
        let range = text.parse().map_err(|_| ParseRangeError(text.to_owned()))?;
        Ok(Self { text: text.trim().to_owned(), range })
    }
}

impl PartialEq for VersionRange {
    fn eq(&self, other: &Self) -> bool {
        self.text == other.text
    }
}

impl Eq for VersionRange {}

/// A choice among a repository's tags.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct TagSelection {
    /// A tag matches one of these; every tag if there is none.
    pub globs: Vec<TagGlob>,
    /// A tag is a version of this range. One with a hyphen is a pre-release, which the range must name, unless the
    /// part from the hyphen on is the variant that a pattern names.
    pub range: Option<VersionRange>,
    /// Only the newest so many versions, after all else.
    pub newest: Option<NonZeroUsize>,
    /// How many tags may be chosen; [`Limits::tags`] if nothing is said.
    pub most: Option<NonZeroUsize>,
}

impl TagSelection {
    /// The tags that a pattern matches.
    pub fn of_glob(glob: TagGlob) -> Self {
        Self { globs: vec![glob], ..Self::default() }
    }

    /// Whether it says nothing, so that a repository without a tag would be one with all tags.
    pub fn is_empty(&self) -> bool {
        self.globs.is_empty() && self.range.is_none() && self.newest.is_none()
    }

    /// How many tags may be chosen.
    pub(crate) fn limit(&self) -> usize {
        match (self.most, self.newest) {
            (Some(most), _) => most.get(),
            // A version may have two tags: 1.2.3 and v1.2.3.
            (None, Some(newest)) => Limits::DEFAULT.tags.max(2 * newest.get()),
            (None, None) => Limits::DEFAULT.tags,
        }
    }

    /// The chosen tags in the order of their versions, those that are none first. `excluded` is asked for each tag
    /// that would be chosen otherwise.
    pub(crate) fn select(&self, tags: &[Tag], excluded: impl Fn(&Tag) -> bool) -> Vec<Tag> {
        let all = TagGlob::any();
        let globs = if self.globs.is_empty() { std::slice::from_ref(&all) } else { &self.globs };
        let by_version = self.range.is_some() || self.newest.is_some();
        let whole = if by_version { whole_versions(tags, globs) } else { HashSet::new() };
        let matches = |tag: &Tag| -> Option<Option<Version>> {
            globs.iter().filter(|glob| glob.matches(tag.as_str())).find_map(|glob| {
                if !by_version {
                    return Some(None);
                }
                let variant = glob.variant();
                let found = TagVersion::of(tag.as_str(), variant)?;
                let moves = found.numbers == 2 && whole.contains(&found.prefix(variant));
                let fits = match &self.range {
                    Some(range) => range.range.allows(&found.version),
                    None => !found.version.is_prerelease() || glob.before_variant().contains('-'),
                };
                (fits && !moves).then_some(Some(found.version))
            })
        };
        let mut chosen: Vec<(Option<Version>, Tag)> = tags
            .iter()
            .filter(|tag| !is_of_referrers(tag.as_str()))
            .filter_map(|tag| Some((matches(tag)?, tag.clone())))
            .filter(|(_, tag)| !excluded(tag))
            .collect();
        for (version, tag) in &mut chosen {
            if version.is_none() {
                *version = TagVersion::of(tag.as_str(), "").map(|found| found.version);
            }
        }
        chosen.sort_by(|(one, tag), (other, other_tag)| {
            let order = match (one, other) {
                (Some(one), Some(other)) => one.compare(other),
                (one, other) => one.is_some().cmp(&other.is_some()),
            };
            order.then_with(|| tag.cmp(other_tag))
        });
        chosen.dedup_by(|(_, tag), (_, other)| tag == other);
        if let Some(newest) = self.newest {
            let mut versions = 0;
            let mut from = chosen.len();
            for (position, (version, _)) in chosen.iter().enumerate().rev() {
                let later = chosen.get(position + 1).and_then(|(later, _)| later.as_ref());
                let is_same = match (version, later) {
                    (Some(version), Some(later)) => version.compare(later).is_eq(),
                    _ => false,
                };
                versions += usize::from(!is_same);
                if versions > newest.get() {
                    break;
                }
                from = position;
            }
            chosen.drain(..from);
        }
        chosen.into_iter().map(|(_, tag)| tag).collect()
    }

    /// Some tags that come near to what is asked for: those that begin as the pattern does, the newest first.
    pub(super) fn nearest(&self, tags: &[Tag]) -> Vec<Tag> {
        let wanted = self.globs.first().map(TagGlob::to_string).unwrap_or_default();
        let begins = |tag: &Tag| {
            tag.as_str().bytes().zip(wanted.bytes()).take_while(|(found, wanted)| found == wanted).count()
        };
        let mut near: Vec<(usize, Option<Version>, &Tag)> = tags
            .iter()
            .filter(|tag| !is_of_referrers(tag.as_str()))
            .map(|tag| (begins(tag), TagVersion::of(tag.as_str(), "").map(|found| found.version), tag))
            .collect();
        near.sort_by(|(begins, version, tag), (other_begins, other_version, other_tag)| {
            let by_version = match (version, other_version) {
                (Some(version), Some(other)) => other.compare(version),
                (version, other) => other.is_some().cmp(&version.is_some()),
            };
            other_begins.cmp(begins).then(by_version).then_with(|| other_tag.cmp(tag))
        });
        near.into_iter().take(SHOWN).map(|(_, _, tag)| tag.clone()).collect()
    }
}

/// How many tags an error names.
const SHOWN: usize = 5;

/// As a person would write it, without the repository's name before it: `:1.27.* newest 3`.
impl fmt::Display for TagSelection {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.globs.as_slice() {
            [] => {}
            [glob] => write!(f, ":{glob}")?,
            globs => {
                let globs: Vec<String> = globs.iter().map(TagGlob::to_string).collect();
                write!(f, ":({})", globs.join("|"))?;
            }
        }
        if let Some(range) = &self.range {
            write!(f, " semver '{}'", range.text)?;
        }
        match self.newest {
            Some(newest) => write!(f, " newest {newest}"),
            None => Ok(()),
        }
    }
}

/// A tag that is a version.
struct TagVersion {
    version: Version,
    /// How many numbers it has: 2 or 3.
    numbers: usize,
}

impl TagVersion {
    /// The version before a variant. One number alone is none: `16` and `20240101` may be anything.
    fn of(tag: &str, variant: &str) -> Option<Self> {
        let text = tag.strip_suffix(variant)?;
        let version: Version = text.parse().ok()?;
        let core = text.split(['-', '+']).next().unwrap_or_default();
        let numbers = core.split('.').count();
        (numbers >= 2).then_some(Self { version, numbers })
    }

    /// The first two numbers, with the variant.
    fn prefix<'a>(&self, variant: &'a str) -> (&'a str, u64, u64) {
        (variant, self.version.major, self.version.minor)
    }
}

/// The first two numbers of the releases that have three: beside 1.27.3, the tag 1.27 is no version but one that
/// moves with the newest of them.
fn whole_versions<'a>(tags: &[Tag], globs: &'a [TagGlob]) -> HashSet<(&'a str, u64, u64)> {
    let mut whole = HashSet::new();
    for glob in globs {
        let variant = glob.variant();
        let versions = tags.iter().filter_map(|tag| TagVersion::of(tag.as_str(), variant));
        let versions = versions.filter(|found| found.numbers == 3 && !found.version.is_prerelease());
        whole.extend(versions.map(|found| found.prefix(variant)));
    }
    whole
}

/// Whether a tag is one of those under which registries without referrers keep what is attached to images: of
/// cosign, and of the distribution specification's fallback. They travel with their images.
fn is_of_referrers(tag: &str) -> bool {
    let Some(rest) = tag.strip_prefix("sha256-") else { return false };
    rest.len() >= 64 && rest.as_bytes()[..64].iter().all(u8::is_ascii_hexdigit)
}

#[cfg(test)]
mod tests {
    use super::*;

    const NGINX: [&str; 17] = [
        "1",
        "1.27",
        "1.27.0",
        "1.27.2",
        "1.27.10",
        "1.27.3",
        "1.27.3-alpine",
        "1.27.10-alpine",
        "1.27.3-alpine3.20",
        "1.27-alpine",
        "1.28.0-rc1",
        "1.26.2",
        "2.0.0",
        "latest",
        "alpine",
        "mainline",
        "stable-perl",
    ];

    fn tags(names: &[&str]) -> Vec<Tag> {
        names.iter().map(|name| name.parse().unwrap()).collect()
    }

    fn selection(globs: &[&str], range: &str, newest: usize) -> TagSelection {
        TagSelection {
            globs: globs.iter().map(|glob| glob.parse().unwrap()).collect(),
            range: (!range.is_empty()).then(|| range.parse().unwrap()),
            newest: NonZeroUsize::new(newest),
            most: None,
        }
    }

    fn chosen(names: &[&str], globs: &[&str], range: &str, newest: usize) -> String {
        let chosen = selection(globs, range, newest).select(&tags(names), |_| false);
        chosen.iter().map(Tag::to_string).collect::<Vec<_>>().join(" ")
    }

    #[test]
    fn a_pattern_alone_takes_every_tag_that_it_matches() {
        assert_eq!(
            chosen(&NGINX, &["1.27.*"], "", 0),
            "1.27.0 1.27.2 1.27.3-alpine 1.27.3-alpine3.20 1.27.3 1.27.10-alpine 1.27.10"
        );
        assert_eq!(
            chosen(&NGINX, &["*-alpine", "2.*"], "", 0),
            "1.27-alpine 1.27.3-alpine 1.27.10-alpine 2.0.0"
        );
        assert_eq!(chosen(&NGINX, &["3.*"], "", 0), "");
    }

    #[test]
    fn a_range_takes_whole_versions_and_no_moving_tags_variants_or_pre_releases() {
        assert_eq!(chosen(&NGINX, &[], ">=1.27 <2", 0), "1.27.0 1.27.2 1.27.3 1.27.10");
        assert_eq!(chosen(&NGINX, &[], "~1.27.3", 0), "1.27.3 1.27.10");
        // A range that names a pre-release takes all of them, as everywhere.
        assert_eq!(chosen(&NGINX, &[], ">=1.28.0-0 <2", 0), "1.28.0-rc1");
        assert_eq!(chosen(&["v1.2.3", "1.2.4", "V1.2.5", "x1.2.3"], &[], ">=1", 0), "v1.2.3 1.2.4");
        // Where versions have two numbers, they are versions.
        assert_eq!(chosen(&["16", "16.3", "16.4", "15.8", "16.4-bookworm"], &[], "16.x", 0), "16.3 16.4");
        assert_eq!(chosen(&["20240101", "2024.01.15", "24.04"], &[], ">=1", 0), "24.04 2024.01.15");
    }

    #[test]
    fn the_newest_are_so_by_version_and_pre_releases_only_if_the_pattern_names_them() {
        assert_eq!(chosen(&NGINX, &[], "", 3), "1.27.3 1.27.10 2.0.0");
        assert_eq!(chosen(&NGINX, &["1.27.*"], "", 2), "1.27.3 1.27.10");
        assert_eq!(chosen(&NGINX, &["1.28.0-*"], "", 1), "1.28.0-rc1");
        assert_eq!(chosen(&NGINX, &[], "<2", 1), "1.27.10");
        assert_eq!(chosen(&NGINX, &[], "", 100), "1.26.2 1.27.0 1.27.2 1.27.3 1.27.10 2.0.0");
        // Two tags of one version are one version.
        assert_eq!(chosen(&["v1.2.3", "1.2.3", "1.2.2", "1.2.1"], &[], "", 2), "1.2.2 1.2.3 v1.2.3");
        assert_eq!(chosen(&["latest"], &[], "", 3), "");
    }

    #[test]
    fn a_variant_that_a_pattern_names_is_no_pre_release() {
        assert_eq!(chosen(&NGINX, &["*-alpine"], ">=1.25 <2", 0), "1.27.3-alpine 1.27.10-alpine");
        assert_eq!(chosen(&NGINX, &["*-alpine"], "", 1), "1.27.10-alpine");
    }

    #[test]
    fn what_is_excluded_makes_room_and_what_is_attached_is_no_image() {
        let signature = format!("sha256-{}.sig", "ab".repeat(32));
        let names = ["1.0.0", "1.1.0", "1.2.0", &signature];
        assert_eq!(chosen(&names, &["*"], "", 0), "1.0.0 1.1.0 1.2.0");
        let newest = selection(&[], "", 2).select(&tags(&names), |tag| tag.as_str() == "1.2.0");
        assert_eq!(newest, tags(&["1.0.0", "1.1.0"]));
    }

    #[test]
    fn the_nearest_tags_begin_as_the_pattern_does_and_are_the_newest() {
        let near = |glob: &[&str]| {
            let near = selection(glob, "", 0).nearest(&tags(&NGINX));
            near.iter().map(Tag::to_string).collect::<Vec<_>>().join(" ")
        };
        assert_eq!(near(&["1.26.9*"]), "1.26.2 1.28.0-rc1 1.27.10 1.27.10-alpine 1.27.3");
        assert_eq!(near(&[]), "2.0.0 1.28.0-rc1 1.27.10 1.27.10-alpine 1.27.3");
    }

    #[test]
    fn a_selection_reads_as_it_was_written() {
        for (selection, text) in [
            (selection(&["1.27.*"], "", 0), ":1.27.*"),
            (selection(&["1.*", "2.*"], ">=1 <3", 4), ":(1.*|2.*) semver '>=1 <3' newest 4"),
            (selection(&[], "", 2), " newest 2"),
        ] {
            assert_eq!(selection.to_string(), text);
        }
        assert_eq!(
            "new".parse::<VersionRange>().unwrap_err().to_string(),
            "'new' is not a range of versions such as '>=1.25 <2'"
        );
    }
}
