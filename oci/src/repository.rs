//! Names of repositories, without their registry.
//! Takes text, gives a name within the distribution specification's grammar.

use std::str::FromStr;
use std::sync::Arc;

/// A repository's name without its registry: path components of lower-case letters and digits,
/// joined inside by `.`, `_`, `__` or dashes, and separated by slashes (distribution-spec
/// §Pulling manifests). At most 255 characters, as Harbor's registry allows. Copies share the text: a plan names
/// each repository for every blob.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct RepositoryName(Arc<str>);

impl RepositoryName {
    /// The last path component: `nginx` of `library/nginx`.
    pub fn last_component(&self) -> &str {
        self.0.rsplit('/').next().unwrap_or(&self.0)
    }

    /// This repository under `prefix`.
    ///
    /// # Errors
    /// The joined name is too long.
    pub fn under(&self, prefix: &str) -> Result<Self, ParseRepositoryError> {
        format!("{prefix}/{self}").parse()
    }
}

/// Why a text is no repository name.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum ParseRepositoryError {
    /// Nothing, or more than 255 characters.
    #[error("repository name has {0} characters where 1 to 255 are allowed")]
    Length(usize),
    /// An upper-case letter, which registries refuse.
    #[error("repository name must be lower case")]
    UpperCase,
    /// A component that the grammar does not allow.
    #[error("repository name has an invalid part '{}'", crate::Printable(.0))]
    Component(String),
}

impl FromStr for RepositoryName {
    type Err = ParseRepositoryError;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let length = text.chars().count();
        if length == 0 || length > 255 {
            return Err(ParseRepositoryError::Length(length));
        }
        if text.bytes().any(|byte| byte.is_ascii_uppercase()) {
            return Err(ParseRepositoryError::UpperCase);
        }
        match text.split('/').find(|part| !is_component(part)) {
            Some(part) => Err(ParseRepositoryError::Component(part.to_owned())),
            None => Ok(Self(text.into())),
        }
    }
}

/// `[a-z0-9]+((\.|_|__|-+)[a-z0-9]+)*`
fn is_component(part: &str) -> bool {
    let alphanumeric = |byte: &u8| byte.is_ascii_lowercase() || byte.is_ascii_digit();
    let bytes = part.as_bytes();
    let (Some(first), Some(last)) = (bytes.first(), bytes.last()) else {
        return false;
    };
    if !alphanumeric(first) || !alphanumeric(last) {
        return false;
    }
    bytes.split(alphanumeric).all(|separator| {
        matches!(separator, b"" | b"." | b"_" | b"__") || separator.iter().all(|&byte| byte == b'-')
    })
}

crate::string_type!(RepositoryName);

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn repositories_follow_the_distribution_grammar() {
        for good in ["nginx", "library/nginx", "a.b_c__d---e/f0", "cache/registry.example_5000/app"] {
            assert_eq!(good.parse::<RepositoryName>().unwrap().as_str(), good);
        }
        for bad in ["/a", "a/", "a//b", "..", "a/../b", "a..b", "a___b", "_a", "a-", "a b", "ä", "a.-b"] {
            assert!(
                matches!(bad.parse::<RepositoryName>(), Err(ParseRepositoryError::Component(_))),
                "{bad:?}"
            );
        }
        assert_eq!("Nginx".parse::<RepositoryName>(), Err(ParseRepositoryError::UpperCase));
        assert_eq!("a".repeat(256).parse::<RepositoryName>(), Err(ParseRepositoryError::Length(256)));
    }

    #[test]
    fn the_last_component_names_the_image() {
        let name: RepositoryName = "goharbor/harbor-core".parse().unwrap();
        assert_eq!(name.last_component(), "harbor-core");
        assert_eq!(name.under("platform").unwrap().as_str(), "platform/goharbor/harbor-core");
    }
}
