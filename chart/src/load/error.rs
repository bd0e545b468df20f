//! Why a chart cannot be loaded.
//! Every [`LoadError`] names the files on the way to what is wrong.

use bundle_oci::Printable;

use crate::MetadataError;
use crate::yaml::YamlError;

/// A chart that cannot be loaded.
#[derive(Debug, thiserror::Error)]
#[error("{}: {cause}", joined(.places))]
pub struct LoadError {
    /// The archive or directory, and the members on the way to what is wrong: `a.tgz`,
    /// `charts/b.tgz`, `Chart.yaml`.
    pub places: Vec<String>,
    /// The cause.
    #[source]
    pub cause: LoadCause,
}

/// Why a chart cannot be loaded.
#[derive(Debug, thiserror::Error)]
pub enum LoadCause {
    /// The file or directory cannot be read.
    #[error("it cannot be read")]
    Read(#[source] std::io::Error),
    /// The bytes are no gzip.
    #[error("it is not a gzipped tar archive")]
    Gzip(#[source] std::io::Error),
    /// The archive's entries cannot be read.
    #[error("the archive is damaged")]
    Tar(#[source] std::io::Error),
    /// A link, device or something else that is no file.
    #[error("it is not a regular file; a chart may have only regular files")]
    NotAFile,
    /// A link that leads out of the chart's directory.
    #[error("it points outside the chart's directory")]
    Escape,
    /// A path that is absolute, has `..`, or names a drive.
    #[error("its path points outside the chart")]
    Path,
    /// A path with bytes that no file of a chart has.
    #[error("its path is too long or has characters that are not allowed")]
    PathText,
    /// A file that is not inside the archive's one directory.
    #[error("it is not inside the archive's directory")]
    OutsideBase,
    /// A file that is too large.
    #[error("it has more than {0} bytes")]
    FileSize(u64),
    /// An archive that is too large.
    #[error("the archive has more than {0} bytes")]
    ArchiveSize(u64),
    /// Files that are too large together.
    #[error("the chart's files have more than {0} bytes")]
    Unpacked(u64),
    /// Too many files.
    #[error("the chart has more than {0} files")]
    Files(usize),
    /// Charts inside charts without end.
    #[error("subcharts are nested more than {0} deep")]
    Depth(usize),
    /// No file at all.
    #[error("it contains no file")]
    Empty,
    /// No `Chart.yaml`.
    #[error("Chart.yaml is missing")]
    NoMetadata,
    /// A `Chart.yaml`, `requirements.yaml` or lock that says something wrong.
    #[error("{0}")]
    Metadata(#[from] MetadataError),
    /// YAML that cannot be read.
    #[error("{}", Printable(&.0.to_string()))]
    Yaml(YamlError),
    /// Bytes that are no text.
    #[error("line {0}: it is not UTF-8")]
    Encoding(usize),
    /// A `values.yaml` that is no map.
    #[error("it is not a map")]
    NoMap,
    /// A `.helmignore` that Helm refuses.
    #[error("line {0}: the pattern is not one that Helm reads")]
    Ignore(usize),
}

impl LoadError {
    pub(super) fn new(place: impl Into<String>, cause: impl Into<LoadCause>) -> Self {
        Self { places: vec![place.into()], cause: cause.into() }
    }

    /// Names what the place was found in.
    #[must_use]
    pub(super) fn inside(mut self, place: impl Into<String>) -> Self {
        self.places.insert(0, place.into());
        self
    }
}

fn joined(places: &[String]) -> String {
    places.iter().map(|place| Printable(place).to_string()).collect::<Vec<_>>().join(": ")
}
