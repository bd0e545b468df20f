//! How the registries of a `bundle.yaml`'s images are reached: mirrors, plain HTTP, an authority's certificates,
//! and the file with the credentials.
//! Takes the fields as they are written; gives [`Sources`], or an error with line, column and field.

use std::fmt;
use std::path::{Path, PathBuf};
use std::str::FromStr;

use bundle_oci::{ParseRegistryError, ParseRepositoryError, Registry, RepositoryName};
use serde::de::{MapAccess, Visitor};
use serde::{Deserialize, Deserializer};
use serde_saphyr::Spanned;

use super::error::{ConfigError, FieldError, wrong};

/// How the registries of the images are reached.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Sources {
    /// The mirrors, at most one for each registry.
    pub mirrors: Vec<SourceMirror>,
    /// The registries that are reached without encryption.
    pub plain_http: Vec<Registry>,
    /// A PEM file of authorities that are trusted beside the system's.
    pub ca_file: Option<PathBuf>,
    /// A file with credentials, in Docker's form.
    pub credentials: Option<PathBuf>,
}

impl Sources {
    /// Makes paths that are relative to a file relative to the current directory.
    pub(super) fn resolve(&mut self, directory: &Path) {
        for path in [&mut self.ca_file, &mut self.credentials].into_iter().flatten() {
            *path = directory.join(&*path);
        }
    }
}

/// A registry that has another one's images: `docker.io=harbor.example/dockerhub`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SourceMirror {
    /// The registry that is mirrored.
    pub from: Registry,
    /// Its mirror.
    pub to: Registry,
    /// The repository below which the mirror has the images.
    pub prefix: Option<RepositoryName>,
}

/// Why a text is no mirror. What was written is not repeated: it may have a password.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum ParseMirrorError {
    /// No equals sign.
    #[error("mirror must be HOST=HOST/PREFIX")]
    Form,
    /// A scheme.
    #[error("mirror must be {0}, without https:// and the like")]
    Scheme(&'static str),
    /// A login.
    #[error("mirror must have no user name or password; they belong in a credential file")]
    Login,
    /// A host.
    #[error(transparent)]
    Registry(#[from] ParseRegistryError),
    /// The path on the mirror.
    #[error(transparent)]
    Prefix(#[from] ParseRepositoryError),
}

impl SourceMirror {
    /// The mirror of `from` at `to`, a host with or without a path; `form` is how a person writes it.
    fn new(from: &str, to: &str, form: &'static str) -> Result<Self, ParseMirrorError> {
        if [from, to].iter().any(|text| text.contains('@')) {
            return Err(ParseMirrorError::Login);
        }
        if [from, to].iter().any(|text| text.contains("://")) {
            return Err(ParseMirrorError::Scheme(form));
        }
        let (to, prefix) = match to.split_once('/') {
            Some((to, prefix)) => (to, Some(prefix.parse()?)),
            None => (to, None),
        };
        Ok(Self { from: from.parse()?, to: to.parse()?, prefix })
    }
}

impl FromStr for SourceMirror {
    type Err = ParseMirrorError;

    fn from_str(text: &str) -> Result<Self, ParseMirrorError> {
        let (from, to) = text.split_once('=').ok_or(ParseMirrorError::Form)?;
        Self::new(from, to, "HOST=HOST/PREFIX")
    }
}

/// Mirrors in the order of the file.
pub(super) struct Mirrors(Vec<(Spanned<String>, Spanned<String>)>);

impl<'de> Deserialize<'de> for Mirrors {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct MirrorsVisitor;

        impl<'de> Visitor<'de> for MirrorsVisitor {
            type Value = Mirrors;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("a map from registries to their mirrors")
            }

            fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Mirrors, A::Error> {
                let mut mirrors = Vec::new();
                while let Some(entry) = map.next_entry()? {
                    mirrors.push(entry);
                }
                Ok(Mirrors(mirrors))
            }
        }

        deserializer.deserialize_map(MirrorsVisitor)
    }
}

/// The fields of a `bundle.yaml` that say how registries are reached, as they are written.
pub(super) struct SourceFields {
    pub(super) mirrors: Option<Mirrors>,
    pub(super) plain_http: Vec<Spanned<String>>,
    pub(super) ca_file: Option<Spanned<String>>,
    pub(super) credentials: Option<Spanned<String>>,
}

impl SourceFields {
    /// The settings; `name` is the file's.
    pub(super) fn read(self, name: &str) -> Result<Sources, ConfigError> {
        let mut sources = Sources::default();
        for (from, to) in self.mirrors.map(|mirrors| mirrors.0).unwrap_or_default() {
            let mirror = SourceMirror::new(&from.value, &to.value, "HOST or HOST/PREFIX");
            let field = || "mirrors".to_owned();
            let mirror =
                mirror.map_err(|error| wrong(name, to.referenced, field(), FieldError::Mirror(error)))?;
            if sources.mirrors.iter().any(|known| known.from == mirror.from) {
                return Err(wrong(name, from.referenced, field(), FieldError::TwoMirrors(mirror.from)));
            }
            sources.mirrors.push(mirror);
        }
        for (position, registry) in self.plain_http.into_iter().enumerate() {
            let field = || format!("plainHttp[{position}]");
            let parsed = registry.value.parse::<Registry>();
            let parsed = parsed
                .map_err(|error| wrong(name, registry.referenced, field(), FieldError::Registry(error)))?;
            sources.plain_http.push(parsed);
        }
        let file = |written: Option<Spanned<String>>, field: &str| -> Result<Option<PathBuf>, ConfigError> {
            let Some(written) = written else { return Ok(None) };
            let place = written.referenced;
            if written.value.is_empty() {
                return Err(wrong(name, place, field.to_owned(), FieldError::NoFile));
            }
            // The message of a file that is missing would show a password that stands here.
            if field == "credentials" && written.value.contains([':', '@', '\n']) {
                return Err(wrong(name, place, field.to_owned(), FieldError::SecretHere));
            }
            Ok(Some(written.value.into()))
        };
        sources.ca_file = file(self.ca_file, "caFile")?;
        sources.credentials = file(self.credentials, "credentials")?;
        Ok(sources)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_mirror_is_a_host_with_or_without_a_path() {
        let mirror: SourceMirror = "docker.io=harbor.example:8443/a/b".parse().unwrap();
        assert_eq!((mirror.from.as_str(), mirror.to.as_str()), ("docker.io", "harbor.example:8443"));
        assert_eq!(mirror.prefix.unwrap().as_str(), "a/b");
        for (wrong, message) in [
            ("docker.io", "mirror must be HOST=HOST/PREFIX"),
            ("docker.io=https://h", "mirror must be HOST=HOST/PREFIX, without https:// and the like"),
            (
                "docker.io=user:secret@h",
                "mirror must have no user name or password; they belong in a credential file",
            ),
            ("docker.io=h/A", "repository name must be lower case"),
        ] {
            assert_eq!(wrong.parse::<SourceMirror>().unwrap_err().to_string(), message);
        }
    }
}
