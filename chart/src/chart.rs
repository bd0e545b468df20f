//! A chart with all charts inside it: [`Chart`] and its [`File`]s.
//! Made by [`Chart::from_archive`] and [`Chart::from_directory`]; says which dependencies are missing.

use std::sync::Arc;

use crate::{Constraint, Dependency, Map, Metadata, Version};

/// A chart with all charts inside it.
#[derive(Clone, Debug, Default)]
pub struct Chart {
    pub(crate) metadata: Metadata,
    /// The dependencies that the lock file pins.
    pub(crate) lock: Vec<Dependency>,
    pub(crate) templates: Vec<File>,
    pub(crate) values: Map,
    pub(crate) schema: Option<File>,
    /// Files that are no template, no chart, and that Helm itself does not read.
    pub(crate) extra: Vec<File>,
    pub(crate) dependencies: Vec<Chart>,
    /// All files as they were.
    pub(crate) files: Vec<File>,
    /// Those of the charts inside that are not among the files.
    pub(crate) added: Vec<Chart>,
}

/// A file of a chart; its bytes are shared by its clones.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct File {
    name: Arc<str>,
    data: Data,
}

/// The bytes of a file.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub(crate) enum Data {
    Text(Arc<str>),
    /// They are no UTF-8.
    Bytes(Arc<[u8]>),
}

impl Data {
    fn of(data: Vec<u8>) -> Self {
        match String::from_utf8(data) {
            Ok(text) => Self::Text(text.into()),
            Err(error) => Self::Bytes(error.into_bytes().into()),
        }
    }

    fn bytes(&self) -> &[u8] {
        match self {
            Self::Text(text) => text.as_bytes(),
            Self::Bytes(bytes) => bytes,
        }
    }
}

impl File {
    /// A file, without the mark that some editors put at the start of a text.
    pub(crate) fn new(name: impl Into<Arc<str>>, mut data: Vec<u8>) -> Self {
        if data.starts_with(b"\xef\xbb\xbf") {
            data.drain(..3);
        }
        Self { name: name.into(), data: Data::of(data) }
    }

    /// The same with other, equal bytes.
    pub(crate) fn with(self, data: Data) -> Self {
        Self { data, ..self }
    }

    /// The same bytes under another name.
    pub(crate) fn shared(name: &str, file: &Self) -> Self {
        Self { name: name.into(), data: file.data.clone() }
    }

    /// The path inside the chart, with slashes.
    pub fn name(&self) -> &str {
        &self.name
    }

    /// The bytes.
    pub fn data(&self) -> &[u8] {
        self.data.bytes()
    }

    /// Where the bytes are: equal files of a chart have them at one place.
    pub(crate) fn address(&self) -> usize {
        self.data().as_ptr() as usize
    }

    pub(crate) fn content(&self) -> Data {
        self.data.clone()
    }

    pub(crate) fn shared_data(&self) -> Arc<[u8]> {
        match &self.data {
            Data::Text(text) => Arc::from(Arc::clone(text)),
            Data::Bytes(bytes) => Arc::clone(bytes),
        }
    }

    /// The text, with a sign of their own for bytes that are no UTF-8.
    pub(crate) fn shared_text(&self) -> Arc<str> {
        match &self.data {
            Data::Text(text) => Arc::clone(text),
            Data::Bytes(bytes) => String::from_utf8_lossy(bytes).into(),
        }
    }

    /// The text, or the first line that is no UTF-8.
    pub(crate) fn text(&self) -> Result<&str, usize> {
        match &self.data {
            Data::Text(text) => Ok(text),
            Data::Bytes(bytes) => {
                let good = std::str::from_utf8(bytes).err().map_or(0, |error| error.valid_up_to());
                let good = bytes.get(..good).unwrap_or_default();
                Err(good.iter().filter(|&&byte| byte == b'\n').count() + 1)
            }
        }
    }
}

/// A chart that is depended on and not there.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct MissingDependency {
    /// Its name.
    pub name: String,
    /// The range of versions that will do, as the chart says it.
    pub range: String,
    /// The version that the chart's lock names, if there is a lock that fits.
    pub locked: Option<String>,
    /// The repository's address: `https://…`, `oci://…`, `file://…`; empty if the chart ought to
    /// hold it.
    pub repository: String,
}

impl Chart {
    /// The content of its `Chart.yaml`.
    pub const fn metadata(&self) -> &Metadata {
        &self.metadata
    }

    /// The charts inside it, as they lie in `charts/`.
    pub fn dependencies(&self) -> &[Self] {
        &self.dependencies
    }

    /// Its default values; the charts inside it have their own.
    pub const fn values(&self) -> &Map {
        &self.values
    }

    /// All its files as they are in its archive or directory, those in `charts/` included.
    pub fn files(&self) -> &[File] {
        &self.files
    }

    /// The charts that it depends on and that are not inside it. Helm refuses to install a chart
    /// that lacks one; it does not look further down.
    pub fn missing_dependencies(&self) -> Vec<MissingDependency> {
        let missing = |dependency: &&Dependency| {
            !self.dependencies.iter().any(|chart| chart.metadata.name == dependency.name)
        };
        let mut found: Vec<MissingDependency> = Vec::new();
        for dependency in self.metadata.dependencies.iter().filter(missing) {
            let entry = MissingDependency {
                name: dependency.name.clone(),
                range: dependency.version.clone(),
                locked: self.locked(dependency),
                repository: dependency.repository.clone(),
            };
            // One chart under several aliases is missing once.
            if !found.contains(&entry) {
                found.push(entry);
            }
        }
        found
    }

    /// The version that the lock has for a dependency, unless the dependency wants another one by now.
    fn locked(&self, dependency: &Dependency) -> Option<String> {
        let range: Constraint = dependency.version.parse().ok()?;
        let fits = |locked: &&Dependency| {
            locked.name == dependency.name
                && locked.version.parse::<Version>().is_ok_and(|version| range.allows(&version))
        };
        self.lock.iter().find(fits).map(|locked| locked.version.clone())
    }

    /// Puts a chart that was missing inside this one.
    pub fn add_dependency(&mut self, chart: Self) {
        self.added.push(chart.clone());
        self.dependencies.push(chart);
    }
}
