//! Names of Harbor's projects: the first component of every target's repository.
//! Takes text, gives a name that Harbor would take.

use std::fmt;
use std::str::FromStr;
use std::sync::Arc;

/// A Harbor project's name: lower-case letters and digits, joined inside by single `.`, `_` or
/// `-`, at most 255 characters (Harbor's `src/server/v2.0/handler/project.go`).
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct ProjectName(Arc<str>);

impl ProjectName {
    /// The project for mirrored upstream images.
    pub fn cache() -> Self {
        Self("cache".into())
    }

    /// The project for the platform team's own images.
    pub fn platform() -> Self {
        Self("platform".into())
    }

    /// Whether this is the project for mirrored upstream images.
    pub fn is_cache(&self) -> bool {
        &*self.0 == "cache"
    }

    /// The name as text.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

/// A text that is no project name.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("project name must be lower-case letters and digits, joined inside by single '.', '_' or '-'")]
pub struct ParseProjectError;

impl FromStr for ProjectName {
    type Err = ParseProjectError;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let part = |part: &str| {
            !part.is_empty() && part.bytes().all(|byte| byte.is_ascii_lowercase() || byte.is_ascii_digit())
        };
        if text.len() <= 255 && text.split(['.', '_', '-']).all(part) {
            Ok(Self(text.into()))
        } else {
            Err(ParseProjectError)
        }
    }
}

impl fmt::Display for ProjectName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl fmt::Debug for ProjectName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

crate::serde_as_text!(ProjectName);

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn projects_follow_harbors_grammar() {
        for good in ["cache", "tenant-a", "a.b_c", "0"] {
            assert_eq!(good.parse::<ProjectName>().unwrap().as_str(), good);
        }
        for bad in ["", "A", "a--b", "-a", "a/b", "..", "a..b", "ä", &"a".repeat(256)] {
            assert!(bad.parse::<ProjectName>().is_err(), "{bad:?}");
        }
    }
}
