//! Platforms (`linux/arm64`), with the spellings that mean the same made one.
//! Takes text or a descriptor's fields, gives one spelling of each platform.

use std::fmt;
use std::str::FromStr;

/// The platform that an image runs on (image-spec, image-index.md §platform), with the spellings that mean
/// the same made one, as containerd does: `x86_64` is `amd64`, `aarch64` and `arm64/v8` are `arm64`, `arm` is
/// `arm/v7`.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Platform {
    os: String,
    architecture: String,
    variant: Option<String>,
    os_version: Option<String>,
}

impl Platform {
    /// From the fields of an index or of an image's config.
    ///
    /// # Errors
    /// A field is empty, longer than 64 characters or has characters other than letters, digits,
    /// `_`, `.` and `-`.
    pub fn new(
        os: &str,
        architecture: &str,
        variant: Option<&str>,
        os_version: Option<&str>,
    ) -> Result<Self, ParsePlatformError> {
        let variant = variant.filter(|variant| !variant.is_empty());
        let os_version = os_version.filter(|version| !version.is_empty());
        for field in [Some(os), Some(architecture), variant, os_version].into_iter().flatten() {
            let valid = |byte: u8| byte.is_ascii_alphanumeric() || matches!(byte, b'_' | b'.' | b'-');
            if field.is_empty() || field.len() > 64 || !field.bytes().all(valid) {
                return Err(ParsePlatformError);
            }
        }
        let os = match os.to_ascii_lowercase().as_str() {
            "macos" => "darwin".to_owned(),
            other => other.to_owned(),
        };
        let variant = variant.map(str::to_ascii_lowercase);
        let (architecture, variant) = match (architecture.to_ascii_lowercase().as_str(), variant.as_deref()) {
            ("x86_64" | "x86-64" | "amd64", Some("v1") | None) => ("amd64".to_owned(), None),
            ("x86_64" | "x86-64", _) => ("amd64".to_owned(), variant),
            ("aarch64" | "arm64", Some("8" | "v8") | None) => ("arm64".to_owned(), None),
            ("aarch64", _) => ("arm64".to_owned(), variant),
            ("i386" | "i486" | "i586" | "i686" | "x86", _) => ("386".to_owned(), None),
            ("armhf", _) => ("arm".to_owned(), Some("v7".to_owned())),
            ("armel", _) => ("arm".to_owned(), Some("v6".to_owned())),
            ("arm", None | Some("7")) => ("arm".to_owned(), Some("v7".to_owned())),
            ("arm", Some(digit @ ("5" | "6" | "8"))) => ("arm".to_owned(), Some(format!("v{digit}"))),
            (other, _) => (other.to_owned(), variant),
        };
        Ok(Self { os, architecture, variant, os_version: os_version.map(str::to_owned) })
    }

    /// The bytes of memory that its texts take.
    pub(crate) fn weight(&self) -> usize {
        let texts =
            [Some(&self.os), Some(&self.architecture), self.variant.as_ref(), self.os_version.as_ref()];
        texts.into_iter().flatten().map(|text| crate::manifest::allocated(text.capacity())).sum()
    }

    /// Whether an image for `self` is what someone wants who asked for `wanted`: what `wanted`
    /// leaves open (the version of the operating system, or its last parts) is not compared: an image for
    /// Windows' build `10.0.20348` is one for any of its revisions (containerd/platforms, `platform_windows_compat.go`).
    pub fn satisfies(&self, wanted: &Self) -> bool {
        self.os == wanted.os
            && self.architecture == wanted.architecture
            && self.variant == wanted.variant
            && wanted.os_version.as_ref().is_none_or(|wanted| {
                let found = self.os_version.as_deref().unwrap_or_default();
                found
                    .strip_prefix(wanted.as_str())
                    .is_some_and(|rest| rest.is_empty() || rest.starts_with('.'))
            })
    }

    /// Whether something for `self` can be for `said` as well: a variant counts if both say one, and
    /// `with_variant` whether `self` does; so does a version of the operating system.
    pub(crate) fn can_be(&self, said: &Self, with_variant: bool) -> bool {
        let open = !with_variant || said.variant.is_none();
        self.os == said.os
            && self.architecture == said.architecture
            && (open || self.variant == said.variant)
            && self.is_of_version(said)
    }

    /// Whether two descriptors can mean the same: all is, but for a version of the operating system that only
    /// one of them says.
    pub fn is_same(&self, other: &Self) -> bool {
        self.os == other.os
            && self.architecture == other.architecture
            && self.variant == other.variant
            && self.is_of_version(other)
    }

    fn is_of_version(&self, other: &Self) -> bool {
        self.os_version.is_none() || other.os_version.is_none() || self.os_version == other.os_version
    }

    /// Whether this is `unknown/unknown`, which buildx gives to attestations inside an index.
    pub fn is_unknown(&self) -> bool {
        self.os == "unknown" && self.architecture == "unknown"
    }
}

/// A text that is no platform.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("platform must be OS/ARCHITECTURE or OS/ARCHITECTURE/VARIANT, such as linux/amd64 or linux/arm/v7")]
pub struct ParsePlatformError;

impl FromStr for Platform {
    type Err = ParsePlatformError;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let (os, rest) = text.split_once('/').ok_or(ParsePlatformError)?;
        // `windows/amd64:10.0.17763.1` has an index's os.version after the colon.
        let (rest, os_version) = match rest.split_once(':') {
            Some((rest, version)) if !version.is_empty() => (rest, Some(version)),
            Some(_) => return Err(ParsePlatformError),
            None => (rest, None),
        };
        let (architecture, variant) = match rest.split_once('/') {
            Some((architecture, variant)) if !variant.is_empty() => (architecture, Some(variant)),
            Some(_) => return Err(ParsePlatformError),
            None => (rest, None),
        };
        Self::new(os, architecture, variant, os_version)
    }
}

impl fmt::Display for Platform {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}/{}", self.os, self.architecture)?;
        if let Some(variant) = &self.variant {
            write!(f, "/{variant}")?;
        }
        if let Some(version) = &self.os_version {
            write!(f, ":{version}")?;
        }
        Ok(())
    }
}

impl fmt::Debug for Platform {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

crate::serde_as_text!(Platform);

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn spellings_that_mean_the_same_are_one() {
        for (text, normal) in [
            ("linux/amd64", "linux/amd64"),
            ("Linux/x86_64", "linux/amd64"),
            ("linux/aarch64", "linux/arm64"),
            ("linux/arm64/v8", "linux/arm64"),
            ("linux/arm", "linux/arm/v7"),
            ("linux/arm/v6", "linux/arm/v6"),
            ("linux/amd64/v3", "linux/amd64/v3"),
            ("windows/amd64:10.0.17763.1", "windows/amd64:10.0.17763.1"),
        ] {
            let platform: Platform = text.parse().unwrap();
            assert_eq!(platform.to_string(), normal);
            assert_eq!(normal.parse::<Platform>().unwrap(), platform);
        }
        for bad in
            ["linux", "linux/", "/amd64", "linux/arm/", "linux/a b", "linux/amd64/v1/x", "linux/amd64:"]
        {
            assert!(bad.parse::<Platform>().is_err(), "{bad:?}");
        }
    }

    #[test]
    fn an_open_version_matches_any() {
        let platform = |text: &str| text.parse::<Platform>().unwrap();
        let windows = platform("windows/amd64:10.0.17763.1");
        assert!(windows.satisfies(&platform("windows/amd64")));
        assert!(!windows.satisfies(&platform("windows/amd64:10.0.1")));
        let revision = platform("windows/amd64:10.0.20348.2227");
        assert!(revision.satisfies(&platform("windows/amd64:10.0.20348")));
        assert!(!revision.satisfies(&platform("windows/amd64:10.0.2034")));
        assert!(!platform("windows/amd64").satisfies(&platform("windows/amd64:10.0.20348")));
        assert!(!platform("linux/arm/v6").satisfies(&platform("linux/arm")));
    }
}
