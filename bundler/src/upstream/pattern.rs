//! Which images a rule is about: all, those below a path, or one repository. Takes `ghcr.io/acme/*`; says of a
//! reference whether it is meant. A rule is about all tags of a repository, because a digest has none.

use std::fmt;
use std::str::FromStr;

use bundle_oci::{ParseReferenceError, Reference};

/// The sources that a rule is about.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum SourcePattern {
    /// `*`: all.
    All,
    /// `ghcr.io/*`, `ghcr.io/acme/*`: all repositories whose name starts like this, a slash at its end.
    Below(String),
    /// `ghcr.io/acme/app`: one repository.
    Repository(String),
}

/// Why a text is no pattern of sources.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum ParseSourceError {
    /// The name of a repository.
    #[error(transparent)]
    Reference(#[from] ParseReferenceError),
    /// A tag or a digest.
    #[error("a rule is about all tags of a repository; leave out the tag or digest")]
    Tag,
    /// A `*` that is not the last part of the path.
    #[error("'*' stands alone, or for the whole rest of a path: HOST/*, HOST/PATH/*")]
    Star,
}

impl SourcePattern {
    /// Whether it means this image.
    pub fn holds(&self, image: &Reference) -> bool {
        let name = || format!("{}/{}", image.registry(), image.repository());
        match self {
            Self::All => true,
            Self::Below(prefix) => name().starts_with(prefix),
            Self::Repository(repository) => name() == *repository,
        }
    }

    /// Whether it means every image that the other one means.
    pub(crate) fn covers(&self, other: &Self) -> bool {
        match (self, other) {
            (Self::All, _) => true,
            (_, Self::All) => false,
            (Self::Below(prefix), Self::Below(name) | Self::Repository(name)) => name.starts_with(prefix),
            (Self::Repository(one), Self::Repository(two)) => one == two,
            (Self::Repository(_), Self::Below(_)) => false,
        }
    }
}

impl FromStr for SourcePattern {
    type Err = ParseSourceError;

    fn from_str(text: &str) -> Result<Self, ParseSourceError> {
        if text == "*" {
            return Ok(Self::All);
        }
        let (path, is_below) = match text.strip_suffix("/*") {
            // Something below it must be a name.
            Some(path) => (format!("{path}/x"), true),
            None => (text.to_owned(), false),
        };
        if path.contains('*') {
            return Err(ParseSourceError::Star);
        }
        let last = path.rsplit('/').next().unwrap_or_default();
        if last.contains([':', '@']) {
            return Err(ParseSourceError::Tag);
        }
        let reference: Reference = path.parse()?;
        let name = format!("{}/{}", reference.registry(), reference.repository());
        Ok(match name.strip_suffix('x').filter(|_| is_below) {
            Some(prefix) => Self::Below(prefix.to_owned()),
            None => Self::Repository(name),
        })
    }
}

impl fmt::Display for SourcePattern {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::All => f.write_str("*"),
            Self::Below(prefix) => write!(f, "{prefix}*"),
            Self::Repository(name) => f.write_str(name),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_rule_is_about_all_images_or_a_path_or_one_repository() {
        for (pattern, image, holds) in [
            ("*", "a/b:1", true),
            ("ghcr.io/*", "ghcr.io/acme/app:1", true),
            ("ghcr.io/*", "ghcr.io.evil.example/acme/app:1", false),
            ("ghcr.io/acme/*", "ghcr.io/acme/app/part:1", true),
            ("ghcr.io/acme/*", "ghcr.io/acme-evil/app:1", false),
            ("ghcr.io/acme/*", "ghcr.io/acme:1", false),
            ("ghcr.io/acme/app", "ghcr.io/acme/app:1", true),
            ("ghcr.io/acme/app", "ghcr.io/acme/app2:1", false),
            ("r.example:5000/*", "r.example:5000/b:2.1", true),
            ("acme/*", "docker.io/acme/app", true),
            ("nginx", "docker.io/library/nginx:1.27", true),
        ] {
            let parsed: SourcePattern = pattern.parse().unwrap();
            assert_eq!(parsed.holds(&image.parse().unwrap()), holds, "{pattern} {image}");
        }
        let pinned = format!("ghcr.io/acme/app@{}", bundle_oci::Digest::of(b""));
        let app: SourcePattern = "ghcr.io/acme/app".parse().unwrap();
        assert!(app.holds(&pinned.parse().unwrap()), "a digest is no way around a rule");
        for (wrong, error) in [
            ("ghcr.io/acme/app:1", ParseSourceError::Tag),
            (pinned.as_str(), ParseSourceError::Tag),
            ("ghcr.io/*/app", ParseSourceError::Star),
            ("ghcr.io/acme*", ParseSourceError::Star),
            ("*/app", ParseSourceError::Star),
        ] {
            assert_eq!(wrong.parse::<SourcePattern>(), Err(error), "{wrong}");
        }
        for wrong in ["", "/*", "ghcr.io/Acme/*", "a b"] {
            assert!(wrong.parse::<SourcePattern>().is_err(), "{wrong}");
        }
    }

    #[test]
    fn a_pattern_covers_what_it_means_wholly() {
        let covers = |one: &str, two: &str| {
            let (one, two): (SourcePattern, SourcePattern) = (one.parse().unwrap(), two.parse().unwrap());
            one.covers(&two)
        };
        assert!(covers("*", "ghcr.io/*") && covers("ghcr.io/*", "ghcr.io/acme/*"));
        assert!(covers("ghcr.io/acme/*", "ghcr.io/acme/app") && covers("nginx", "docker.io/library/nginx"));
        assert!(!covers("ghcr.io/acme/*", "ghcr.io/*") && !covers("ghcr.io/*", "*"));
        assert!(!covers("ghcr.io/acme/app", "ghcr.io/acme/app/*"));
    }
}
