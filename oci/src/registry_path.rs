//! A registry with the path below which all repositories of one use of it are, as in
//! `gitlab.example/group/project`. Takes and gives that text.

use std::fmt;
use std::str::FromStr;

use crate::{ParseRegistryError, ParseRepositoryError, Registry, RepositoryName};

/// A registry, or the part of it below a path. Two paths of one host are two places.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct RegistryPath {
    registry: Registry,
    below: Option<RepositoryName>,
}

impl RegistryPath {
    /// The part of a registry below a path; all of it without one.
    pub fn new(registry: Registry, below: Option<RepositoryName>) -> Self {
        Self { registry, below }
    }

    /// The registry.
    pub fn registry(&self) -> &Registry {
        &self.registry
    }

    /// The path, if it is not all of the registry.
    pub fn below(&self) -> Option<&RepositoryName> {
        self.below.as_ref()
    }
}

impl From<Registry> for RegistryPath {
    fn from(registry: Registry) -> Self {
        Self { registry, below: None }
    }
}

impl fmt::Display for RegistryPath {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.below {
            Some(below) => write!(f, "{}/{below}", self.registry),
            None => self.registry.fmt(f),
        }
    }
}

/// Why a text names no registry with a path.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum ParseRegistryPathError {
    /// The host.
    #[error(transparent)]
    Registry(#[from] ParseRegistryError),
    /// The error in the path.
    #[error("path after the host: {0}")]
    Path(#[from] ParseRepositoryError),
}

impl FromStr for RegistryPath {
    type Err = ParseRegistryPathError;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let (host, path) = text.split_once('/').map_or((text, None), |(host, path)| (host, Some(path)));
        Ok(Self { registry: host.parse()?, below: path.map(str::parse).transpose()? })
    }
}

crate::serde_as_text!(RegistryPath);

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_host_alone_and_a_host_with_a_path_read_back_as_they_were_written() {
        for text in ["a.example", "a.example:5000", "a.example/group", "127.0.0.1:5000/group/sub-project"] {
            let path: RegistryPath = text.parse().unwrap();
            assert_eq!(path.to_string(), text);
            assert_eq!(path.below().is_some(), text.contains('/'));
        }
        for text in ["", "/a", "a.example/", "a.example/A", "a.example//b", "https://a.example/b"] {
            assert!(text.parse::<RegistryPath>().is_err(), "{text}");
        }
    }
}
