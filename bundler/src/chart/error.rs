//! Why the images of a chart cannot be told.
//! Every [`ChartError`] names the chart and who asked for it.

use crate::{ItemError, Reason};
use std::path::PathBuf;

use bundle_chart::{LoadError, RenderError};
use bundle_input::{TextError, YamlError};
use bundle_oci::{Digest, Platform, Printable, Reference};

/// All charts whose images cannot be told.
#[derive(Debug, thiserror::Error)]
#[error("{} of the charts cannot be used", .0.len())]
pub struct ChartErrors(pub Vec<ChartError>);

/// A chart whose images cannot be told.
#[derive(Debug, thiserror::Error)]
#[error("chart {chart} ({reason})")]
pub struct ChartError {
    /// The chart.
    pub chart: String,
    /// The requester.
    pub reason: Reason,
    /// Why not.
    #[source]
    pub cause: ChartCause,
}

/// Why a chart's images cannot be told.
#[derive(Debug, thiserror::Error)]
pub enum ChartCause {
    /// The registry or repository.
    #[error(transparent)]
    Registry(#[from] bundle_registry::Error),
    /// Something that looks like one of its images, and whose registry cannot be asked.
    #[error("cannot check whether {image} is one of its images")]
    Confirm {
        /// The likely image.
        image: Reference,
        /// The registry's answer, or the error that prevented one.
        #[source]
        error: bundle_registry::Error,
    },
    /// An image that a rendering with the values given asks for, and that does not exist.
    #[error("{image}{} does not exist, and {place} asks for it{}", or(.readings), begin(.tags))]
    Absent {
        /// The image.
        image: Reference,
        /// The other readings of the same fields, which do not exist either.
        readings: Vec<Reference>,
        /// Tags that begin like its tag.
        tags: Vec<String>,
        /// The place that asks for it.
        place: String,
    },
    /// An image that a rendering asks for, and that is not made for a platform that is wanted.
    #[error("{image} is not made for {wanted}, and {place} asks for it; it is made for {}", list(.available))]
    Platform {
        /// The image.
        image: Reference,
        /// The platform.
        wanted: Box<Platform>,
        /// The platforms that there are.
        available: Vec<Platform>,
        /// The place that asks for it.
        place: String,
    },
    /// A file that cannot be had.
    #[error(transparent)]
    Text(#[from] TextError),
    /// A file of manifests that is no YAML.
    #[error("{}:{}:{}: {}", Printable(&.file.display().to_string()), .error.line, .error.column, Printable(&.error.message))]
    Manifest {
        /// The file.
        file: PathBuf,
        /// The cause.
        error: bundle_chart::yaml::YamlError,
    },
    /// A directory of manifests that cannot be read.
    #[error("{} cannot be read", Printable(&.path.display().to_string()))]
    Walk {
        /// The directory.
        path: PathBuf,
        /// Why not.
        #[source]
        error: std::io::Error,
    },
    /// More files of manifests than the limits allow.
    #[error("there are more than {0} files of manifests")]
    ManifestFiles(usize),
    /// A chart that is needed, is not on this machine, and may not be fetched.
    #[error("it is not on this machine, and the network is not used")]
    Offline,
    /// Files that are no chart.
    #[error(transparent)]
    Load(#[from] LoadError),
    /// A repository's index that cannot be read.
    #[error("the repository's index cannot be read")]
    Index(#[from] YamlError),
    /// The repository does not have the chart.
    #[error("the repository has no such chart")]
    NoChart,
    /// The repository has other versions.
    #[error("this version does not exist{}", known(.versions))]
    NoVersion {
        /// The newest versions that there are.
        versions: Vec<String>,
    },
    /// An archive that is not the one of the index.
    #[error("{} has the digest {found}, and {expected} in the repository's index", Printable(.address))]
    Digest {
        /// The archive's address.
        address: String,
        /// The digest in the index.
        expected: Digest,
        /// The digest of the content.
        found: Digest,
    },
    /// An artifact of another kind.
    #[error("the content is not a chart")]
    NoContent,
    /// A dependency that cannot be had.
    #[error("it depends on {} {}, which cannot be fetched: {cause}", Printable(.name), Printable(.version))]
    Dependency {
        /// The dependency.
        name: String,
        /// Its version, or the versions that will do.
        version: String,
        /// Why not.
        cause: Box<ChartCause>,
    },
    /// A repository that only Helm's configuration on some machine knows.
    #[error("its repository {} is an alias of a local Helm configuration", Printable(.0))]
    Alias(String),
    /// A repository that is a directory beside a chart that is in none.
    #[error("its repository is {}, which is allowed only for a chart in a directory", Printable(.0))]
    Beside(String),
    /// A chart that does not say where to have it.
    #[error("it is missing in charts/")]
    NoRepository,
    /// A repository with an invalid address.
    #[error("its repository {}: {why}", Printable(.address))]
    Source {
        /// The address.
        address: String,
        /// The cause.
        why: super::ParseChartSourceError,
    },
    /// A chart that does not render.
    #[error("it does not render (value set {})", Printable(.value_set))]
    Render {
        /// The values that it was rendered with.
        value_set: String,
        /// Why not.
        #[source]
        error: Box<RenderError>,
    },
    /// A chart in which nothing looks like an image.
    #[error("no image was found in it")]
    NoImage,
    /// A name that the chart or an image of it cannot have on the other side.
    #[error("{what} cannot be placed: {error}")]
    Place {
        /// The chart or the image.
        what: String,
        /// Why not.
        error: ItemError,
    },
    /// The lock does not know the chart.
    #[error("it is not in the lockfile")]
    NotLocked,
    /// The lock knows it with other content.
    #[error("it has changed: the lock has {locked}, and it is {found} now")]
    Changed {
        /// The digest in the lock.
        locked: Digest,
        /// The digest now.
        found: Digest,
    },
    /// A chart that cannot be packed.
    #[error("it cannot be packed")]
    Pack(#[source] std::io::Error),
    /// A part of the program ended before it should.
    #[error("a task ended early")]
    Task(#[from] tokio::task::JoinError),
}

fn or(readings: &[Reference]) -> String {
    readings.iter().map(|reading| format!(" (or {reading})")).collect()
}

fn begin(tags: &[String]) -> String {
    if tags.is_empty() { String::new() } else { format!("; tags that begin so: {}", tags.join(", ")) }
}

fn list(platforms: &[Platform]) -> String {
    if platforms.is_empty() {
        return "no platform".to_owned();
    }
    platforms.iter().map(Platform::to_string).collect::<Vec<_>>().join(", ")
}

fn known(versions: &[String]) -> String {
    if versions.is_empty() {
        return String::new();
    }
    let shown: Vec<String> = versions.iter().map(|version| Printable(version).to_string()).collect();
    format!("; there are {}", shown.join(", "))
}
