//! Errors of a `bundle.yaml`, a list or a lock.
//! Takes the name of the file, the place and the path of the field; gives a [`ConfigError`] that shows them.

use std::path::PathBuf;

use bundle_chart::ParseKubeVersionError;
use bundle_format::ParseStreamError;
use bundle_input::{TextError, YamlError};
use bundle_oci::{
    ParsePlatformError, ParseProjectError, ParseRegistryError, Printable, ProjectName, Registry,
};
use bundle_upstream::{IdentityError, KeyError};
use serde_saphyr::Location;

use crate::chart::{ParseCarryError, ParseChartSourceError};
use crate::list::ListError;
use crate::policy::ParsePolicyError;
use crate::{
    FileError, ItemError, Limits, LocalItemError, ParseActionError, ParseExclusionError, ParseGlobError,
    ParseLayoutError, ParseModeError, ParseRangeError, ParseSourceError,
};

use super::sources::ParseMirrorError;

/// Why a configuration, a list or a lock cannot be used.
#[derive(Debug, thiserror::Error)]
pub enum ConfigError {
    /// A file that cannot be had.
    #[error(transparent)]
    Text(#[from] TextError),
    /// YAML that is not valid, or not of the form that it must have.
    #[error(transparent)]
    Yaml(#[from] YamlError),
    /// A lock that a newer program made.
    #[error(transparent)]
    NewerLock(YamlError),
    /// A value that is not what the field needs.
    #[error("{}:{line}:{column}: {field}: {error}", Printable(.name))]
    Field {
        /// The file's name.
        name: String,
        /// The line, from 1.
        line: u64,
        /// The column, from 1.
        column: u64,
        /// The field's path: `projects.cache.images[2]`.
        field: String,
        /// The cause.
        error: FieldError,
    },
    /// A file that a field names and that cannot be had.
    #[error("{}:{line}:{column}: {field}", Printable(.name))]
    NamedList {
        /// The file's name.
        name: String,
        /// The line, from 1.
        line: u64,
        /// The column, from 1.
        column: u64,
        /// The field's path: `projects.cache.lists[0]`.
        field: String,
        /// The error in the file.
        source: Box<ConfigError>,
    },
    /// A list with bad lines.
    #[error(transparent)]
    List(#[from] ListError),
    /// A list of images in the place of a bundle.yaml.
    #[error("{} is a list of images, not a bundle.yaml", Printable(.0))]
    IsAList(String),
    /// A file that another program can read.
    #[error("{}:{line}:{column}: version: the file is of version {version}, and this program reads version 1", Printable(.name))]
    Version {
        /// The file's name.
        name: String,
        /// The line, from 1.
        line: u64,
        /// The column, from 1.
        column: u64,
        /// The version of its form.
        version: u32,
    },
    /// More than [`Limits::images`].
    #[error("{} and its lists ask for more than {} images", Printable(.0), Limits::DEFAULT.images)]
    TooMany(String),
    /// A file in the place of a lock.
    #[error("{} exists and is not a lockfile; it is not overwritten", Printable(&.0.to_string_lossy()))]
    NotALock(PathBuf),
    /// Nothing to do.
    #[error("{} names no image", Printable(.0))]
    Empty(String),
}

/// A fault in a field's value.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum FieldError {
    /// The stream's name.
    #[error(transparent)]
    Stream(#[from] ParseStreamError),
    /// A platform.
    #[error(transparent)]
    Platform(#[from] ParsePlatformError),
    /// A choice of no platform.
    #[error("no platform is chosen")]
    NoPlatform,
    /// The naming in `cache`.
    #[error(transparent)]
    Layout(#[from] ParseLayoutError),
    /// A tenant's name.
    #[error(transparent)]
    Project(#[from] ParseProjectError),
    /// A tenant called like one of the two projects that are not a tenant's.
    #[error("the project '{0}' cannot be a tenant's project")]
    Reserved(ProjectName),
    /// A reference or a new name.
    #[error(transparent)]
    Item(#[from] ItemError),
    /// No name of a list.
    #[error("name of a list is empty")]
    NoList,
    /// No path of manifests.
    #[error("path of manifests is empty")]
    NoManifests,
    /// A chart without a place, or with two.
    #[error("a chart needs either 'repo' and 'name', or 'path'")]
    ChartPlace,
    /// A repository and no chart in it.
    #[error("a chart in a repository needs a 'name'")]
    ChartName,
    /// A version of a chart that is here.
    #[error("'version' cannot be combined with 'path'")]
    ChartVersion,
    /// Where a chart is.
    #[error(transparent)]
    ChartSource(#[from] ParseChartSourceError),
    /// A value set called like one that is always there, or like nothing.
    #[error("a value set needs a name other than 'defaults' and 'values'")]
    ValueSetName,
    /// A version of Kubernetes.
    #[error(transparent)]
    KubeVersion(#[from] ParseKubeVersionError),
    /// Which images of a chart travel.
    #[error(transparent)]
    Carry(#[from] ParseCarryError),
    /// An image policy.
    #[error(transparent)]
    Policy(#[from] ParsePolicyError),
    /// A local source.
    #[error(transparent)]
    Local(#[from] LocalItemError),
    /// The name of a file.
    #[error(transparent)]
    File(#[from] FileError),
    /// The mode of a file.
    #[error(transparent)]
    Mode(#[from] ParseModeError),
    /// A file without a place, or with two.
    #[error("a file needs either 'path', or 'url' and 'sha256'")]
    FilePlace,
    /// A file of a web server without a digest.
    #[error("a file on a web server needs its 'sha256'")]
    NoSha256,
    /// A digest that is none.
    #[error("is not 64 hexadecimal digits in lower case")]
    Sha256,
    /// A word in place of a list of platforms.
    #[error("must be a list of platforms, or 'all'")]
    PlatformsWord,
    /// A mirror.
    #[error(transparent)]
    Mirror(#[from] ParseMirrorError),
    /// A second mirror of one registry.
    #[error("{0} is given two mirrors, and is read through one")]
    TwoMirrors(Registry),
    /// A registry.
    #[error(transparent)]
    Registry(#[from] ParseRegistryError),
    /// No name of a file.
    #[error("name of a file is empty")]
    NoFile,
    /// A user name or password where a file's name belongs.
    #[error("must be the name of a file; user names and passwords do not belong here")]
    SecretHere,
    /// A pattern of tags.
    #[error(transparent)]
    Glob(#[from] ParseGlobError),
    /// A range of versions.
    #[error(transparent)]
    Range(#[from] ParseRangeError),
    /// A choice of no tag.
    #[error("no pattern of tags is given")]
    NoTags,
    /// A choice of tags of a local source.
    #[error("a local source has no choice of tags")]
    LocalChoice,
    /// A number out of its bounds.
    #[error("must be a number from 1 to {0}")]
    Number(u32),
    /// A setting of a choice of tags where none is made.
    #[error("needs 'tags', 'semver' or 'newest', or a pattern in 'ref'")]
    NoChoice,
    /// Images to leave out.
    #[error(transparent)]
    Exclude(#[from] ParseExclusionError),
    /// The images that a rule is about.
    #[error(transparent)]
    Source(#[from] ParseSourceError),
    /// What a rule does.
    #[error(transparent)]
    Action(#[from] ParseActionError),
    /// A rule that asks for a signature and says nobody's.
    #[error("a rule needs 'cosign' to say whose signature counts, or 'action: ignore'")]
    NoSigner,
    /// A rule that asks for no signature and names a signer.
    #[error("'action: ignore' looks at no signature, so 'cosign' does not belong here")]
    SignerIgnored,
    /// A rule behind another one that means all its images.
    #[error("the rule in line {0} is about all these images, and the first rule counts")]
    RuleUnused(u64),
    /// More rules than a file may have.
    #[error("more than {0} rules")]
    TooManyRules(usize),
    /// A signer that is neither a key nor an identity.
    #[error("a signer has 'key', or 'identity', 'issuer' and 'trustedRoot'")]
    SignerParts,
    /// An identity, or the file of the trusted root.
    #[error("{}{error}", .file.as_ref().map(|file| format!("{} ", Printable(file))).unwrap_or_default())]
    Identity {
        /// The file, if it is what is wrong.
        file: Option<String>,
        /// What is wrong.
        error: IdentityError,
    },
    /// A file of public keys.
    #[error("{} {error}", Printable(.file))]
    Key {
        /// The file.
        file: String,
        /// What is wrong with it.
        error: KeyError,
    },
}

/// The error of the field called `field` (its path) at `place` in the file called `name`.
pub(crate) fn wrong(name: &str, place: Location, field: String, error: impl Into<FieldError>) -> ConfigError {
    let (line, column) = (place.line(), place.column());
    ConfigError::Field { name: name.to_owned(), line, column, field, error: error.into() }
}
