//! The lockfile: references resolved to digests, for people to review and for `create` to keep to.
//! Takes and gives its YAML; gives the digests that requests are pinned to.

use std::collections::{HashMap, HashSet};
use std::path::Path;

use bundle_format::{Kind, StreamName, Target};
use bundle_oci::{Digest, MediaType, Platform, Printable, Reference, Registry, RepositoryName, Tag};
use serde::{Deserialize, Serialize};
use serde_saphyr::{Location, Spanned};

use crate::lock_census::LockCensus;
use crate::{ConfigError, Limits, Platforms, Request, TagPattern};
use bundle_input::{Dialect, TextError, YamlError, parse_yaml, read_text};

/// References resolved to digests, for people to review and for `create` to keep to.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Lock {
    /// The version of this file's form, 1.
    pub version: u32,
    /// The stream's name.
    pub name: StreamName,
    /// The artifacts to deliver, sorted by target.
    pub artifacts: Vec<LockEntry>,
    /// What choices of tags came to.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub patterns: Vec<LockPattern>,
    /// The images that were gone and are left out.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub missing: Vec<LockMissing>,
}

/// A choice of tags in a lock.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct LockPattern {
    /// The repository and the choice, as text.
    pub pattern: String,
    /// Where the tags go: `project/repository`.
    pub target: String,
    /// The tags, in the order of their versions; none if there were none and the choice is skipped.
    pub tags: Vec<Tag>,
}

/// An image that was gone when the lock was made, and that its policy leaves out.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct LockMissing {
    /// The requested reference.
    pub reference: Reference,
    /// Where it would go: `project/repository:tag`.
    pub target: String,
}

/// One artifact of a lock.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, rename_all = "camelCase")]
pub struct LockEntry {
    /// The requested reference.
    pub reference: Reference,
    /// The local source that it was read from, if no registry was asked.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub from: Option<String>,
    /// Where it goes: `project/repository:tag`.
    pub target: String,
    /// The kind of artifact.
    pub kind: Kind,
    /// The digest of the reference at its source.
    pub digest: Digest,
    /// The digest to deliver, if that is not the whole.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub delivered: Option<Digest>,
    /// The type of what is delivered.
    pub media_type: MediaType,
    /// The platforms that were chosen; empty for all that there are.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub only: Vec<Platform>,
    /// The platforms.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub platforms: Vec<Platform>,
    /// The size of all its blobs in bytes.
    pub size: u64,
    /// How many blobs these are, its manifests among them.
    pub blobs: u64,
    /// The places that asked for it.
    pub why: Vec<String>,
}

/// A lock that cannot be written as YAML.
#[derive(Debug, thiserror::Error)]
#[error("the lockfile cannot be written as YAML")]
pub struct LockTextError(#[from] serde_saphyr::SerializeError);

const HEADER: &str = "# Written by `bundle lock`: what each reference meant then. `bundle create` keeps to it.\n\
    # Review the changes, commit the file, and run `bundle lock` again to take new versions.\n";

/// The size in bytes up to which a lock is read at once: whatever is in it takes little.
const SMALL: usize = 1 << 20;

/// The only version there is.
const VERSION: u32 = 1;

impl Lock {
    /// The file's text; the same lock gives the same bytes.
    ///
    /// # Errors
    /// The values cannot be written as YAML.
    pub fn to_yaml(&self) -> Result<String, LockTextError> {
        // A value folded over lines would make diffs of several lines for one change.
        let options = serde_saphyr::ser_options! { prefer_block_scalars: false };
        Ok(format!("{HEADER}{}", serde_saphyr::to_string_with_options(self, options)?))
    }

    /// Reads a file of at most [`bundle_input::Limits::lock`] bytes.
    ///
    /// # Errors
    /// [`ConfigError::Text`] or [`ConfigError::Yaml`].
    pub fn load(path: &Path) -> Result<Self, ConfigError> {
        Self::parse(&read_text(path, bundle_input::Limits::DEFAULT.lock)?, &path.display().to_string())
    }

    /// Checks that `path` may become a lock: it is missing, or a lock. A mistyped name must not overwrite a
    /// list or a bundle.yaml.
    ///
    /// # Errors
    /// [`ConfigError::NotALock`], or what is there cannot be read.
    pub fn may_replace(path: &Path) -> Result<(), ConfigError> {
        let text = match read_text(path, bundle_input::Limits::DEFAULT.lock) {
            Ok(text) => text,
            Err(TextError::Read { source, .. }) if source.kind() == std::io::ErrorKind::NotFound => {
                return Ok(());
            }
            Err(error) => return Err(error.into()),
        };
        // One that is of another version, or that a merge left with conflicts, is one nevertheless.
        let is_ours = text.trim().is_empty() || HEADER.lines().next() == text.lines().next();
        if is_ours || Self::parse(&text, "").is_ok() {
            Ok(())
        } else {
            Err(ConfigError::NotALock(path.to_owned()))
        }
    }

    /// Reads the text of a file called `name`.
    ///
    /// # Errors
    /// [`ConfigError::Yaml`].
    pub fn parse(text: &str, name: &str) -> Result<Self, ConfigError> {
        if text.len() > SMALL {
            // Documents that would take too much memory are refused before they are parsed.
            parse_yaml::<LockCensus>(text, name, Dialect::Lock)?.check(name)?;
        }
        let file: LockFile = parse_yaml(text, name, Dialect::Lock).map_err(|error| {
            // Another version may well have other fields: which it is says more than the first.
            match parse_yaml::<OnlyVersion>(text, name, Dialect::Lock) {
                Ok(OnlyVersion { version }) if version.value != VERSION => unknown_version(name, &version),
                _ => error.into(),
            }
        })?;
        if file.version.value != VERSION {
            return Err(unknown_version(name, &file.version));
        }
        let wrong = |place: Location, message: String| Err(YamlError::at(name, place, message).into());
        let tags: usize = file.patterns.iter().map(|pattern| pattern.tags.len() + 1).sum();
        for (what, found) in [("tags of patterns", tags), ("missing images", file.missing.len())] {
            if found > Limits::DEFAULT.images {
                let most = Limits::DEFAULT.images;
                return wrong(Location::UNKNOWN, format!("{found} {what}, more than {most}"));
            }
        }
        let mut seen = HashSet::new();
        for (count, artifact) in file.artifacts.iter().enumerate() {
            let LockEntry { reference, target, .. } = &artifact.value;
            if count == Limits::DEFAULT.images {
                return wrong(artifact.referenced, format!("more than {count} artifacts"));
            }
            if !seen.insert((reference, target)) {
                let message = format!("{reference} for {} is there twice", Printable(target));
                return wrong(artifact.referenced, message);
            }
        }
        let artifacts = file.artifacts.into_iter().map(|artifact| artifact.value).collect();
        let LockFile { name, patterns, missing, .. } = file;
        Ok(Self { version: VERSION, name, artifacts, patterns, missing })
    }

    /// The locked digest of each request that the lock has.
    pub fn pins(&self, requests: &[Request]) -> HashMap<(Reference, Target), Digest> {
        let known: HashMap<_, _> =
            self.artifacts.iter().map(|entry| ((&entry.reference, entry.target.as_str()), entry)).collect();
        // One artifact that was asked for by its tag and by its tag and digest has one entry.
        let by_tag: HashMap<_, _> = self
            .artifacts
            .iter()
            .filter_map(|entry| Some(((name_of(&entry.reference)?, entry.target.as_str()), entry)))
            .collect();
        let pin = |request: &Request| {
            let target = request.target.to_string();
            let twin = || {
                let entry = by_tag.get(&(name_of(&request.reference)?, target.as_str()))?;
                request.reference.digest().is_none_or(|digest| digest == entry.digest).then_some(entry)
            };
            let entry = known.get(&(&request.reference, target.as_str())).or_else(twin).copied()?;
            let only: &[Platform] = match &request.platforms {
                Platforms::All => &[],
                Platforms::Only(platforms) => platforms,
            };
            (entry.only == only).then(|| ((request.reference.clone(), request.target.clone()), entry.digest))
        };
        requests.iter().filter_map(pin).collect()
    }
}

impl Lock {
    /// What a choice of tags came to.
    pub(crate) fn pattern(&self, pattern: &TagPattern) -> Option<&LockPattern> {
        let (key, target) = (pattern.key(), pattern.target.to_string());
        self.patterns.iter().find(|known| known.pattern == key && known.target == target)
    }

    /// Whether an image was gone, and left out.
    pub(crate) fn leaves_out(&self, reference: &Reference, target: &Target) -> bool {
        let target = target.to_string();
        self.missing.iter().any(|known| known.reference == *reference && known.target == target)
    }

    /// The digest of what was asked for by this name for this target.
    pub(crate) fn digest(&self, reference: &Reference, target: &Target) -> Option<Digest> {
        let target = target.to_string();
        let known = |entry: &&LockEntry| entry.reference == *reference && entry.target == target;
        self.artifacts.iter().find(known).map(|entry| entry.digest)
    }
}

/// A reference's registry, repository and tag.
fn name_of(reference: &Reference) -> Option<(&Registry, &RepositoryName, &Tag)> {
    Some((reference.registry(), reference.repository(), reference.tag()?))
}

fn unknown_version(name: &str, version: &Spanned<u32>) -> ConfigError {
    let message = format!("lock is of version {}, and this program reads version {VERSION}", version.value);
    let error = YamlError::at(name, version.referenced, message);
    if version.value > VERSION { ConfigError::NewerLock(error) } else { error.into() }
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct LockFile {
    version: Spanned<u32>,
    name: StreamName,
    artifacts: Vec<Spanned<LockEntry>>,
    #[serde(default)]
    patterns: Vec<LockPattern>,
    #[serde(default)]
    missing: Vec<LockMissing>,
}

#[derive(Deserialize)]
struct OnlyVersion {
    version: Spanned<u32>,
}
