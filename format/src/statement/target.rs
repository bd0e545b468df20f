//! Where an artifact lands: project, repository and tag.
//! Takes text `project/repository:tag`, gives its parts.

use std::fmt;
use std::str::FromStr;

use bundle_oci::{ProjectName, Registry, RepositoryName, Tag};
use serde::{Deserialize, Serialize};

/// Where an artifact lands on the disconnected side: `project/repository:tag`, or without a tag
/// what is only pulled by digest.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Target {
    /// The Harbor project.
    pub project: ProjectName,
    /// The repository inside the project.
    pub repository: RepositoryName,
    /// The tag, if the artifact gets one.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub tag: Option<Tag>,
}

impl Target {
    /// `project/repository` as the registry knows it.
    ///
    /// # Errors
    /// Both together are longer than a repository's name can be.
    pub fn path(&self) -> Result<RepositoryName, bundle_oci::ParseRepositoryError> {
        self.repository.under(self.project.as_str())
    }

    /// Under which name a registry's repositories lie in the project `cache`: that of its host, in
    /// which a port's colon is an underscore, for a repository's name has no colon. None for hosts
    /// such as `::1`, which start with one.
    pub fn mirror_place(registry: &Registry) -> Option<RepositoryName> {
        registry.as_str().replace(':', "_").replace(['[', ']'], "").parse().ok()
    }
}

/// A text that is no target.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("target must be PROJECT/REPOSITORY or PROJECT/REPOSITORY:TAG")]
pub struct ParseTargetError;

impl FromStr for Target {
    type Err = ParseTargetError;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let (project, path) = text.split_once('/').ok_or(ParseTargetError)?;
        let (repository, tag) = match path.rsplit_once(':') {
            Some((repository, tag)) => (repository, Some(tag.parse().map_err(|_| ParseTargetError)?)),
            None => (path, None),
        };
        Ok(Self {
            project: project.parse().map_err(|_| ParseTargetError)?,
            repository: repository.parse().map_err(|_| ParseTargetError)?,
            tag,
        })
    }
}

impl fmt::Display for Target {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}/{}", self.project, self.repository)?;
        match &self.tag {
            Some(tag) => write!(f, ":{tag}"),
            None => Ok(()),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_target_reads_back_as_it_is_written() {
        for text in ["cache/docker.io/library/nginx:1.25", "cache/r.example_5000/app", "tenant-a/app:x"] {
            assert_eq!(text.parse::<Target>().unwrap().to_string(), text);
        }
        for bad in ["", "cache", "cache/", "Cache/app", "cache/App", "cache/app:", "cache/app:a/b", "/app"] {
            assert_eq!(bad.parse::<Target>(), Err(ParseTargetError), "{bad}");
        }
    }
}
