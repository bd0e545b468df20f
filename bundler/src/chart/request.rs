//! A request for a chart: [`ChartRequest`], with its source and values. Made from `bundle.yaml`
//! or the command line.

use std::fmt;
use std::path::PathBuf;
use std::str::FromStr;
use std::sync::Arc;

use bundle_chart::{Constraint, Grade, KubeVersion, Rules, ValueSet};
use bundle_oci::{
    ParseRegistryError, ParseRepositoryError, Printable, ProjectName, Registry, RepositoryName,
};

use crate::{CacheLayout, Exclude, ImagePolicy, Platforms, Reason};

/// A chart whose images someone wants in the bundle, and the chart itself.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ChartRequest {
    /// Where it is.
    pub source: ChartSource,
    /// The project for the chart and its images.
    pub project: ProjectName,
    /// How images are named there, if that is `cache`.
    pub layout: CacheLayout,
    /// Which platforms of the images.
    pub platforms: Platforms,
    /// The values that it will be installed with; empty for its defaults.
    pub values: ValueSet,
    /// Further values that it may be installed with.
    pub value_sets: Vec<ValueSet>,
    /// The version of Kubernetes that it is rendered for. Without one it is rendered for two, and a note
    /// names the images that differ.
    pub kube_version: Option<KubeVersion>,
    /// Further APIs that Kubernetes serves.
    pub api_versions: Vec<String>,
    /// Images that are left out.
    pub exclude: Vec<Exclude>,
    /// Which of its images travel.
    pub carry: Carry,
    /// Facts about charts and operators that charts do not state, with the built-in ones.
    pub rules: Arc<Rules>,
    /// How far links in a chart's directory may lead, if not only inside it.
    pub root: Option<PathBuf>,
    /// The treatment of a chart without images.
    pub empty: Empty,
    /// The policy for its images.
    pub policy: ImagePolicy,
    /// The place that asks for it.
    pub reason: Reason,
}

/// Where a chart is.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum ChartSource {
    /// In a Helm repository: a web server with an `index.yaml`.
    Repository {
        /// The repository's address, without a slash at its end.
        address: String,
        /// The chart's name.
        name: String,
        /// The accepted versions; by default the newest release.
        range: Option<String>,
    },
    /// In an OCI registry.
    Registry {
        /// The registry.
        registry: Registry,
        /// The repository, whose last part is the chart's name.
        repository: RepositoryName,
        /// The accepted versions; by default the newest release.
        range: Option<String>,
    },
    /// A directory or an archive.
    Path(PathBuf),
    /// No chart, but files and directories of manifests.
    Manifests(Vec<PathBuf>),
}

/// Which images of a chart travel; each one includes those before it.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Carry {
    /// Those that a rendering with the values given asks for.
    Rendered,
    /// Those that a rendering asks for once a switch is turned, too.
    Switched,
    /// Those that values and definitions name, too.
    Declared,
    /// Those that annotations and texts name, too, if they exist.
    #[default]
    All,
}

impl Carry {
    /// Whether an image of a grade travels.
    pub const fn takes(self, grade: Grade) -> bool {
        match grade {
            Grade::Rendered => true,
            Grade::Switched => !matches!(self, Self::Rendered),
            Grade::Declared => matches!(self, Self::Declared | Self::All),
            Grade::Annotated | Grade::Mentioned => matches!(self, Self::All),
        }
    }

    /// Its name in bundle.yaml.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Rendered => "rendered",
            Self::Switched => "switched",
            Self::Declared => "declared",
            Self::All => "all",
        }
    }
}

/// A word that is no [`Carry`].
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("'{}' is not one of rendered, switched, declared, all", Printable(.0))]
pub struct ParseCarryError(String);

impl FromStr for Carry {
    type Err = ParseCarryError;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let all = [Self::Rendered, Self::Switched, Self::Declared, Self::All];
        all.into_iter().find(|carry| carry.as_str() == text).ok_or_else(|| ParseCarryError(text.to_owned()))
    }
}

/// The treatment of a chart without images.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Empty {
    /// An error: likely something was overlooked.
    Refuse,
    /// Fine.
    Allow,
}

/// Why a text says no place of a chart.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum ParseChartSourceError {
    /// A scheme that no repository has.
    #[error("repository must start with https://, http:// or oci://")]
    Scheme,
    /// A login in the address.
    #[error("repository carries a user name")]
    Login,
    /// The chart's name.
    #[error("chart's name may have letters, digits, '-', '_' and '.'")]
    Name,
    /// The registry of an `oci://` address.
    #[error(transparent)]
    Registry(#[from] ParseRegistryError),
    /// The path of an `oci://` address.
    #[error(transparent)]
    Repository(#[from] ParseRepositoryError),
    /// The versions.
    #[error("'{}' is not a version or a range of versions", Printable(.0))]
    Range(String),
}

impl ChartSource {
    /// A chart in a repository at an address.
    ///
    /// # Errors
    /// Any [`ParseChartSourceError`].
    pub fn in_repository(
        address: &str,
        name: &str,
        range: Option<String>,
    ) -> Result<Self, ParseChartSourceError> {
        if let Some(range) = &range
            && range.parse::<Constraint>().is_err()
        {
            return Err(ParseChartSourceError::Range(range.clone()));
        }
        let allowed = |byte: u8| byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'_' | b'.');
        if name.is_empty() || !name.bytes().all(allowed) || name.starts_with('.') {
            return Err(ParseChartSourceError::Name);
        }
        let address = address.trim_end_matches('/');
        let Some((scheme, rest)) = address.split_once("://") else {
            return Err(ParseChartSourceError::Scheme);
        };
        if rest.split('/').next().is_some_and(|host| host.contains('@')) {
            return Err(ParseChartSourceError::Login);
        }
        match scheme {
            "https" | "http" => {
                Ok(Self::Repository { address: address.to_owned(), name: name.to_owned(), range })
            }
            "oci" => {
                let (host, path) = rest.split_once('/').unwrap_or((rest, ""));
                let path = if path.is_empty() { name.to_owned() } else { format!("{path}/{name}") };
                Ok(Self::Registry { registry: host.parse()?, repository: path.parse()?, range })
            }
            _ => Err(ParseChartSourceError::Scheme),
        }
    }

    /// The versions that were asked for, if any were.
    pub(crate) fn range(&self) -> Option<&str> {
        match self {
            Self::Repository { range, .. } | Self::Registry { range, .. } => range.as_deref(),
            Self::Path(_) | Self::Manifests(_) => None,
        }
    }

    /// Whether it can be had without a network.
    pub fn is_local(&self) -> bool {
        matches!(self, Self::Path(_) | Self::Manifests(_))
    }
}

impl fmt::Display for ChartSource {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Repository { address, name, .. } => {
                write!(f, "{} of {}", Printable(name), Printable(address))?;
            }
            Self::Registry { registry, repository, .. } => write!(f, "oci://{registry}/{repository}")?,
            Self::Path(path) => write!(f, "{}", Printable(&path.display().to_string()))?,
            Self::Manifests(paths) => {
                let paths: Vec<String> = paths.iter().map(|path| path.display().to_string()).collect();
                write!(f, "manifests {}", Printable(&paths.join(", ")))?;
            }
        }
        match self.range() {
            Some(range) => write!(f, " {}", Printable(range)),
            None => Ok(()),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn repositories_are_told_apart_by_their_scheme() {
        for (address, name, range, shown) in [
            ("https://charts.example/stable/", "app", None, Ok("app of https://charts.example/stable")),
            ("oci://ghcr.io/org/charts", "app", Some("1.x"), Ok("oci://ghcr.io/org/charts/app 1.x")),
            ("oci://registry.example:5000", "app", None, Ok("oci://registry.example:5000/app")),
            ("charts.example", "app", None, Err("repository must start with https://, http:// or oci://")),
            ("file:///srv", "app", None, Err("repository must start with https://, http:// or oci://")),
            ("https://u:p@a.example", "app", None, Err("repository carries a user name")),
            (
                "https://a.example",
                "../x",
                None,
                Err("chart's name may have letters, digits, '-', '_' and '.'"),
            ),
            ("https://a.example", "app", Some("new"), Err("'new' is not a version or a range of versions")),
        ] {
            let parsed = ChartSource::in_repository(address, name, range.map(str::to_owned));
            let parsed = parsed.map(|source| source.to_string()).map_err(|error| error.to_string());
            assert_eq!(parsed, shown.map(str::to_owned).map_err(str::to_owned), "{address}");
        }
    }
}
