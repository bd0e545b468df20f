//! Image references as people write them, completed as Docker and Kubernetes complete them.
//! Takes text, gives a registry, a repository, and a tag or digest or both.

use std::fmt;
use std::str::FromStr;

use crate::{
    Digest, ParseDigestError, ParseRegistryError, ParseRepositoryError, ParseTagError, Registry,
    RepositoryName, Tag,
};

/// An image reference, completed as Docker and Kubernetes complete it: `nginx` is
/// `docker.io/library/nginx:latest`. It has a tag, a digest, or both; with both, the digest says
/// what is meant and the tag is a name for it.
///
/// ```
/// use bundle_oci::Reference;
/// let reference: Reference = "nginx:1.25".parse()?;
/// assert_eq!(reference.to_string(), "docker.io/library/nginx:1.25");
/// # Ok::<(), bundle_oci::ParseReferenceError>(())
/// ```
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Reference {
    registry: Registry,
    repository: RepositoryName,
    tag: Option<Tag>,
    digest: Option<Digest>,
}

impl Reference {
    /// `registry/repository:tag`.
    pub fn tagged(registry: Registry, repository: RepositoryName, tag: Tag) -> Self {
        Self { registry, repository, tag: Some(tag), digest: None }
    }

    /// `registry/repository@digest`.
    pub fn pinned(registry: Registry, repository: RepositoryName, digest: Digest) -> Self {
        Self { registry, repository, tag: None, digest: Some(digest) }
    }

    /// The registry that holds the repository.
    pub fn registry(&self) -> &Registry {
        &self.registry
    }

    /// The repository, without the registry.
    pub fn repository(&self) -> &RepositoryName {
        &self.repository
    }

    /// The tag, if the reference has one.
    pub fn tag(&self) -> Option<&Tag> {
        self.tag.as_ref()
    }

    /// The digest, if the reference is pinned.
    pub fn digest(&self) -> Option<Digest> {
        self.digest
    }

    /// The name under which Kubernetes' container runtimes look the image up: without the tag if
    /// there is a digest (containerd's CRI plugin drops it).
    pub fn runtime_name(&self) -> String {
        match (self.digest, &self.tag) {
            (Some(digest), _) => format!("{}/{}@{digest}", self.registry, self.repository),
            (None, Some(tag)) => format!("{}/{}:{tag}", self.registry, self.repository),
            (None, None) => format!("{}/{}", self.registry, self.repository),
        }
    }
}

/// Why a text is no reference.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum ParseReferenceError {
    /// Nothing at all.
    #[error("reference is empty")]
    Empty,
    /// A URL instead of a reference.
    #[error("reference must not start with a scheme such as https://")]
    Scheme,
    /// White space inside.
    #[error("reference has white space in it")]
    WhiteSpace,
    /// The part before the first slash.
    #[error(transparent)]
    Registry(#[from] ParseRegistryError),
    /// The path.
    #[error(transparent)]
    Repository(#[from] ParseRepositoryError),
    /// The part after the last colon.
    #[error(transparent)]
    Tag(#[from] ParseTagError),
    /// The part after the `@`.
    #[error(transparent)]
    Digest(#[from] ParseDigestError),
}

impl FromStr for Reference {
    type Err = ParseReferenceError;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        if text.is_empty() {
            return Err(ParseReferenceError::Empty);
        }
        if text.contains("://") {
            return Err(ParseReferenceError::Scheme);
        }
        if text.contains(char::is_whitespace) {
            return Err(ParseReferenceError::WhiteSpace);
        }
        let (name, digest) = match text.split_once('@') {
            Some((name, digest)) => (name, Some(digest.parse()?)),
            None => (text, None),
        };
        // A colon before the last slash belongs to the registry's port.
        let last = name.rfind('/').map_or(0, |slash| slash + 1);
        let (name, tag) = match name[last..].rfind(':') {
            Some(colon) => (&name[..last + colon], Some(name[last + colon + 1..].parse()?)),
            None => (name, None),
        };
        let (registry, path) = match name.split_once('/') {
            Some((first, rest)) if is_registry(first) => (first.parse()?, rest.to_owned()),
            _ => (Registry::docker_hub(), name.to_owned()),
        };
        let path = if registry == Registry::docker_hub() && !path.contains('/') {
            format!("library/{path}")
        } else {
            path
        };
        let tag = match (tag, digest) {
            (None, None) => Some(Tag::latest()),
            (tag, _) => tag,
        };
        Ok(Self { registry, repository: path.parse()?, tag, digest })
    }
}

/// Docker's rule for telling `registry/path` from `user/image`: the first component names a
/// registry if it has a dot or colon, or is `localhost`. Docker also takes one with an upper-case
/// letter for a registry; in small letters, as registries are written, it would be a user.
fn is_registry(component: &str) -> bool {
    component.contains(['.', ':']) || component == "localhost"
}

impl fmt::Display for Reference {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}/{}", self.registry, self.repository)?;
        if let Some(tag) = &self.tag {
            write!(f, ":{tag}")?;
        }
        if let Some(digest) = &self.digest {
            write!(f, "@{digest}")?;
        }
        Ok(())
    }
}

impl fmt::Debug for Reference {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

crate::serde_as_text!(Reference);

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn references_are_completed_as_docker_does() {
        let digest = Digest::of(b"");
        for (text, whole) in [
            ("nginx", "docker.io/library/nginx:latest".to_owned()),
            ("nginx:1.25", "docker.io/library/nginx:1.25".to_owned()),
            ("bitnami/redis", "docker.io/bitnami/redis:latest".to_owned()),
            ("docker.io/nginx", "docker.io/library/nginx:latest".to_owned()),
            ("index.docker.io/library/nginx", "docker.io/library/nginx:latest".to_owned()),
            ("localhost/app", "localhost/app:latest".to_owned()),
            ("quay.io/a/b:v1", "quay.io/a/b:v1".to_owned()),
            ("localhost:5000/a:b", "localhost:5000/a:b".to_owned()),
            ("[::1]:5000/a", "[::1]:5000/a:latest".to_owned()),
        ] {
            assert_eq!(text.parse::<Reference>().unwrap().to_string(), whole);
        }
        let pinned = format!("nginx:1.25@{digest}");
        let reference: Reference = pinned.parse().unwrap();
        assert_eq!(reference.to_string(), format!("docker.io/library/{pinned}"));
        assert_eq!(reference.runtime_name(), format!("docker.io/library/nginx@{digest}"));
    }

    #[test]
    fn what_is_no_reference_is_refused() {
        for (text, error) in [
            ("", ParseReferenceError::Empty),
            ("https://quay.io/a", ParseReferenceError::Scheme),
            ("a b", ParseReferenceError::WhiteSpace),
            ("quay.io/", ParseReferenceError::Repository(ParseRepositoryError::Length(0))),
            ("a:", ParseReferenceError::Tag(ParseTagError::Length(0))),
            ("nginx@sha256:12", ParseReferenceError::Digest(ParseDigestError::Length(2))),
            ("quay.io/Foo", ParseReferenceError::Repository(ParseRepositoryError::UpperCase)),
            ("A/a", ParseReferenceError::Repository(ParseRepositoryError::UpperCase)),
        ] {
            assert_eq!(text.parse::<Reference>(), Err(error), "{text:?}");
        }
    }

    #[test]
    fn in_documents_of_programs_a_name_has_one_spelling() {
        fn read<T: serde::de::DeserializeOwned>(text: &str) -> Option<T> {
            serde_json::from_value(text.into()).ok()
        }
        assert!(read::<Reference>("docker.io/library/nginx:1.25").is_some());
        for short in
            ["nginx:1.25", "docker.io/nginx:1.25", "index.docker.io/library/nginx:1.25", "Quay.io/a:1"]
        {
            assert_eq!(read::<Reference>(short), None, "{short}");
        }
        assert_eq!(read::<Registry>("Quay.io"), None);
        assert_eq!(read::<Registry>("[0::1]:5000"), None);
        assert_eq!(read::<crate::Platform>("linux/x86_64"), None);
        assert!(read::<crate::Platform>("linux/arm/v7").is_some());
    }

    proptest! {
        #[test]
        fn parsing_never_panics_and_is_stable(text in "[a-zA-Z0-9./:@\\[\\]_ é-]{0,60}") {
            if let Ok(reference) = text.parse::<Reference>() {
                let again: Reference = reference.to_string().parse().unwrap();
                prop_assert_eq!(again, reference);
            }
        }
    }
}
