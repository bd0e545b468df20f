//! Requests, image by image: references, the names they get, platforms, policy. Takes texts and gives
//! [`Request`]s, of which those for the same image become one.

use std::collections::{BTreeMap, HashSet};
use std::fmt;

use crate::local::LocalImage;
use crate::{CacheLayout, ImagePolicy, Limits, LocalAddress, ParseTagItemError, Reason};
use bundle_format::Target;
use bundle_oci::ProjectName;
use bundle_oci::{
    Digest, ParseReferenceError, ParseRepositoryError, ParseTagError, Platform, Reference, Registry,
    RepositoryName, Tag,
};

/// One thing that someone wants in the bundle, and where they want it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Request {
    /// The reference at its source.
    pub reference: Reference,
    /// The local source that it is read from, instead of the registry of its reference.
    pub local: Option<LocalImage>,
    /// Where it goes.
    pub target: Target,
    /// Which platforms of it.
    pub platforms: Platforms,
    /// The policy for it.
    pub policy: ImagePolicy,
    /// The places that ask for it.
    pub reasons: Vec<Reason>,
}

impl Request {
    /// Whether it is for a single file of this machine or of a web server.
    pub(crate) fn is_file(&self) -> bool {
        self.local.as_ref().is_some_and(LocalImage::is_file)
    }
}

/// A choice of platforms.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Default)]
pub enum Platforms {
    /// The image as it is.
    #[default]
    All,
    /// These only, at least one; see [`Platforms::only`].
    Only(Vec<Platform>),
}

impl Platforms {
    /// These only, sorted and each once, so that the same choice is equal however it was written. None if it
    /// is empty: an image without any platform is a mistake.
    pub fn only(mut platforms: Vec<Platform>) -> Option<Self> {
        platforms.sort();
        platforms.dedup();
        (!platforms.is_empty()).then_some(Self::Only(platforms))
    }
}

impl fmt::Display for Platforms {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::All => f.write_str("all platforms"),
            Self::Only(platforms) => {
                let texts: Vec<_> = platforms.iter().map(Platform::to_string).collect();
                f.write_str(&texts.join(", "))
            }
        }
    }
}

/// A reference and the name that it gets on the other side: a line of a list, `ref` or
/// `ref => new-name`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Item {
    /// The reference at its source.
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
    /// The target is too long for a registry.
    #[error("under its project, the {0}")]
    Target(ParseRepositoryError),
    /// The source's host cannot be part of a name in the project `cache`.
    #[error("host '{0}' cannot be part of a repository's name")]
    Host(Registry),
    /// The new name is not there.
    #[error("new name is empty")]
    RenameEmpty,
    /// The new name's repository.
    #[error("new name: {0}")]
    RenameRepository(ParseRepositoryError),
    /// The new name's tag.
    #[error("new name: {0}")]
    RenameTag(ParseTagError),
    /// A new name with a digest.
    #[error("new name must not have a digest")]
    RenameDigest,
    /// A new name with a registry's port.
    #[error("new name must not have a registry")]
    RenameRegistry,
    /// A local source where only references can be.
    #[error("a local source belongs to the images of bundle.yaml or on the command line")]
    Local,
    /// A choice of tags.
    #[error(transparent)]
    Tags(#[from] ParseTagItemError),
    /// One image more than [`Limits::images`].
    #[error("more than {} images", Limits::DEFAULT.images)]
    TooMany,
}

impl std::str::FromStr for Item {
    type Err = ItemError;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let (reference, rename) = match text.split_once("=>") {
            Some((reference, rename)) => (reference.trim(), Some(rename.trim().parse()?)),
            None => (text.trim(), None),
        };
        if LocalAddress::parse(reference).is_some() {
            return Err(ItemError::Local);
        }
        Ok(Self { reference: reference.parse()?, rename })
    }
}

impl std::str::FromStr for Rename {
    type Err = ItemError;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        if text.is_empty() {
            return Err(ItemError::RenameEmpty);
        }
        if text.contains('@') {
            return Err(ItemError::RenameDigest);
        }
        let (repository, tag) = match text.rsplit_once(':') {
            Some((_, rest)) if rest.contains('/') => return Err(ItemError::RenameRegistry),
            Some((repository, tag)) => (repository, Some(tag.parse().map_err(ItemError::RenameTag)?)),
            None => (text, None),
        };
        Ok(Self { repository: repository.parse().map_err(ItemError::RenameRepository)?, tag })
    }
}

impl Rename {
    /// The repository inside the project.
    pub fn repository(&self) -> &RepositoryName {
        &self.repository
    }

    /// The tag, if it has one.
    pub fn tag(&self) -> Option<&Tag> {
        self.tag.as_ref()
    }
}

impl Item {
    /// Where the item goes inside `project` (docs/format.md §Targets): in `cache` under its
    /// source's host and path, elsewhere under the last part of its path.
    ///
    /// # Errors
    /// The name would be too long, or its host cannot be part of a name.
    pub fn place(&self, project: &ProjectName) -> Result<Target, ItemError> {
        self.place_by(project, &CacheLayout::default())
    }

    /// As [`Item::place`], with another naming in `cache`.
    ///
    /// # Errors
    /// The name would be too long, or its host cannot be part of a name.
    pub fn place_by(&self, project: &ProjectName, layout: &CacheLayout) -> Result<Target, ItemError> {
        let reference = &self.reference;
        let (repository, tag) = match &self.rename {
            Some(rename) => (rename.repository.clone(), rename.tag.clone()),
            None if project.is_cache() => (layout.place(reference)?, None),
            None => (reference.repository().last_component().parse().map_err(ItemError::Target)?, None),
        };
        let tag = tag.or_else(|| reference.tag().cloned());
        let target = Target { project: project.clone(), repository, tag };
        target.path().map_err(ItemError::Target)?;
        Ok(target)
    }
}

/// Two sources for one target, or two choices of platforms of one source.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Conflict {
    /// The target.
    pub target: Target,
    /// The first request.
    pub first: Box<Request>,
    /// The request that differs.
    pub second: Box<Request>,
}

impl fmt::Display for Conflict {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { target, first, second } = self;
        let same = first.reference == second.reference && first.local == second.local;
        let one = |request: &Request| {
            let platforms = if same { format!(" for {}", request.platforms) } else { String::new() };
            format!("{}{platforms} ({})", request.reference, places(&request.reasons))
        };
        write!(f, "{target} would be both {} and {}", one(first), one(second))
    }
}

impl std::error::Error for Conflict {}

/// Makes one request of those that ask for the same thing at the same place. It keeps as many reasons as a
/// statement may have, and the number of the others.
///
/// An image by its tag and by tag and digest stays two requests, which [`crate::Resolved`] has as one artifact.
///
/// # Errors
/// Two requests want different things at the same place.
pub fn merge(requests: Vec<Request>) -> Result<Vec<Request>, Conflict> {
    let mut places: BTreeMap<_, usize> = BTreeMap::new();
    // The same image by its tag and by tag and digest: only the registry knows whether it is the same.
    let mut pinned: BTreeMap<(Target, Option<Digest>), usize> = BTreeMap::new();
    let mut merged: Vec<(Request, HashSet<Reason>)> = Vec::new();
    for request in requests {
        // Without a tag, the digest is the name, and several can live in one repository.
        let untagged = request.target.tag.is_none().then_some(request.reference.digest()).flatten();
        match places.entry((request.target.clone(), untagged)) {
            std::collections::btree_map::Entry::Vacant(place) => {
                place.insert(merged.len());
                let known = request.reasons.iter().cloned().collect();
                merged.push((request, known));
            }
            std::collections::btree_map::Entry::Occupied(place) => {
                let mut at = *place.get();
                let (first, _) = &merged[at];
                if first.reference != request.reference
                    && first.platforms == request.platforms
                    && is_pinned_twin(&first.reference, &request.reference)
                {
                    let twin = (request.target.clone(), request.reference.digest());
                    match pinned.get(&twin) {
                        Some(known) => at = *known,
                        None => {
                            pinned.insert(twin, merged.len());
                            let known = request.reasons.iter().cloned().collect();
                            merged.push((request, known));
                            continue;
                        }
                    }
                }
                let (first, known) = &mut merged[at];
                if first.reference != request.reference
                    || first.platforms != request.platforms
                    || first.local != request.local
                {
                    return Err(Conflict {
                        target: request.target.clone(),
                        first: Box::new(first.clone()),
                        second: Box::new(request),
                    });
                }
                first.policy = first.policy.stricter(request.policy);
                let new = request.reasons.into_iter().filter(|reason| known.insert(reason.clone()));
                first.reasons.extend(new);
            }
        }
    }
    let most = Limits::DEFAULT.reasons;
    let bounded = |(mut request, _): (Request, HashSet<Reason>)| {
        if request.reasons.len() > most {
            let more = request.reasons.len() - (most - 1);
            request.reasons.truncate(most - 1);
            request.reasons.push(Reason::More(more));
        }
        request
    };
    Ok(merged.into_iter().map(bounded).collect())
}

/// Whether two references have the same tag, and one of them a digest beside it.
fn is_pinned_twin(first: &Reference, second: &Reference) -> bool {
    first.registry() == second.registry()
        && first.repository() == second.repository()
        && first.tag() == second.tag()
        && first.digest().is_some() != second.digest().is_some()
}

/// The places that ask for something, as many as can be read at a glance.
pub(crate) fn places(reasons: &[Reason]) -> String {
    const SHOWN: usize = 5;
    let shown = reasons.iter().take(SHOWN).map(Reason::to_string).collect::<Vec<_>>().join(", ");
    match reasons.len().checked_sub(SHOWN) {
        None | Some(0) => shown,
        Some(more) => format!("{shown} and {more} more"),
    }
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

    #[test]
    fn what_makes_no_name_is_refused() {
        let long = format!("quay.io/{}:1", "a".repeat(250));
        for (item, project, message) in [
            ("[::1]:5000/a", "cache", "host '[::1]:5000' cannot be part of a repository's name"),
            (
                &long,
                "cache",
                "under its project, the repository name has 258 characters where 1 to 255 are allowed",
            ),
            (
                &long,
                "tenant-a",
                "under its project, the repository name has 259 characters where 1 to 255 are allowed",
            ),
        ] {
            let item: Item = item.parse().unwrap();
            assert_eq!(item.place(&project.parse().unwrap()).unwrap_err().to_string(), message);
        }
        assert_eq!(place("[::1]:5000/a", "tenant-a"), "tenant-a/a:latest");
        assert_eq!(place("[::1]:5000/a => b", "cache"), "cache/b:latest");
        assert_eq!(place("[2001:db8::1]:5000/a", "cache"), "cache/2001_db8__1_5000/a:latest");
    }

    fn request(reference: &str, target: &str) -> Request {
        let item: Item = reference.parse().unwrap();
        Request {
            target: item.place(&target.parse().unwrap()).unwrap(),
            reference: item.reference,
            local: None,
            platforms: Platforms::All,
            policy: ImagePolicy::default(),
            reasons: vec![Reason::Chart { chart: "here".to_owned(), place: reference.to_owned() }],
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

    #[test]
    fn reasons_are_as_many_as_a_statement_takes() {
        let of_list = |line: usize| Reason::File { name: "list".to_owned(), line: line as u64 };
        let wanted = |line: usize| Request { reasons: vec![of_list(line)], ..request("a/app:1", "platform") };
        let most = Limits::DEFAULT.reasons;
        for (lines, last) in [(most, "list:983"), (most + 1, "and 2 more"), (100_000, "and 99017 more")] {
            let merged = merge((0..lines).chain(0..lines).map(wanted).collect()).unwrap();
            assert_eq!(merged[0].reasons.len(), most);
            assert_eq!(merged[0].reasons.last().unwrap().to_string(), last);
        }
        let few: Vec<Reason> = (0..7).map(|line| Reason::File { name: "l".to_owned(), line }).collect();
        assert_eq!(places(&few), "l:0, l:1, l:2, l:3, l:4 and 2 more");
        assert_eq!(places(&few[..5]), "l:0, l:1, l:2, l:3, l:4");
    }

    #[test]
    fn two_choices_of_platforms_for_one_target_are_told_with_the_platforms() {
        let platforms = |texts: &[&str]| {
            Platforms::only(texts.iter().map(|text| text.parse().unwrap()).collect()).unwrap()
        };
        let all = request("a/app:1", "platform");
        let some = Request { platforms: platforms(&["linux/arm64", "linux/amd64"]), ..all.clone() };
        assert_eq!(
            merge(vec![all, some.clone()]).unwrap_err().to_string(),
            "platform/app:1 would be both docker.io/a/app:1 for all platforms (here: a/app:1) \
             and docker.io/a/app:1 for linux/amd64, linux/arm64 (here: a/app:1)"
        );
        let turned = Request { platforms: platforms(&["linux/x86_64", "linux/arm64"]), ..some.clone() };
        assert_eq!(merge(vec![some, turned]).unwrap().len(), 1);
        assert_eq!(Platforms::only(Vec::new()), None);
    }
}
