//! What is searched for: an image by any part of its name that ends it, a digest or its first digits, or both.
//! Takes text as a person writes it, says what fits.

use std::fmt;
use std::str::FromStr;

use bundle_format::Target;
use bundle_oci::{Digest, Printable, RegistryPath};

use crate::Limits;

/// What is searched for.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Subject {
    text: String,
    name: Option<Name>,
    /// The first digits of a digest.
    digits: Option<String>,
    /// Whether the digits alone may be a name as well: `deadbeef` is both.
    is_either: bool,
}

/// The end of a repository's name, and a tag.
#[derive(Clone, Debug, PartialEq, Eq)]
struct Name {
    /// The name, and the same as repositories of `cache` have it.
    ends: Vec<String>,
    tag: Option<String>,
}

/// A text that names nothing that can be searched for.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum ParseSubjectError {
    /// It is empty, too long, or has characters that no name has.
    #[error("'{}' is neither the name of an image nor a digest", Printable(.0))]
    Neither(String),
    /// Too few digits, by which many digests would fit.
    #[error("a digest needs at least {} hexadecimal digits", Limits::DEFAULT.digits)]
    Short,
}

impl Subject {
    /// Everything.
    pub fn all() -> Self {
        Self { text: String::new(), name: None, digits: None, is_either: false }
    }

    /// Whether everything is searched for.
    pub fn is_all(&self) -> bool {
        self.name.is_none() && self.digits.is_none()
    }

    /// Whether a digest is searched for, in whatever place.
    pub fn is_by_digest(&self) -> bool {
        self.digits.is_some()
    }

    /// Whether the place fits: the end of `registry/project/repository`, and the tag if one was named.
    pub fn is_place(&self, registry: Option<&RegistryPath>, target: &Target) -> bool {
        let Some(name) = &self.name else { return true };
        if name.tag.as_deref().is_some_and(|tag| target.tag.as_ref().is_none_or(|it| it.as_str() != tag)) {
            return false;
        }
        name.is_end_of(registry, target)
    }

    /// Whether anything in the place's repository may fit.
    pub(crate) fn may_be_in(&self, registry: Option<&RegistryPath>, target: &Target) -> bool {
        let name = self.name.as_ref().filter(|_| !self.is_either);
        name.is_none_or(|name| name.is_end_of(registry, target))
    }

    /// How an artifact fits: itself, by one of its parts, or not at all. `parts` are all blobs and manifests that it
    /// consists of.
    pub(crate) fn fits(
        &self,
        registry: Option<&RegistryPath>,
        target: &Target,
        digest: Digest,
        parts: impl Iterator<Item = Digest>,
    ) -> Option<Fit> {
        let Some(digits) = &self.digits else {
            return self.is_place(registry, target).then_some(Fit::Itself);
        };
        let is_place = self.is_place(registry, target);
        if self.is_either && is_place {
            return Some(Fit::Itself);
        }
        if !self.is_either && !is_place {
            return None;
        }
        let starts = |digest: &Digest| digest.hex().starts_with(digits.as_str());
        if starts(&digest) {
            return Some(Fit::Itself);
        }
        let mut parts = parts;
        parts.find(starts).map(Fit::Part)
    }
}

/// How an artifact fits.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Fit {
    /// It is what is searched for.
    Itself,
    /// This is a part of it: a platform's manifest, a config, a layer.
    Part(Digest),
}

impl fmt::Display for Subject {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if self.is_all() { f.write_str("anything") } else { f.write_str(&self.text) }
    }
}

impl FromStr for Subject {
    type Err = ParseSubjectError;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let neither = || ParseSubjectError::Neither(text.chars().take(100).collect());
        if text.is_empty() || text.len() > Limits::DEFAULT.subject {
            return Err(neither());
        }
        let (name, digest) = match text.split_once('@') {
            Some((name, digest)) => (Some(name), Some(digest)),
            None if text.starts_with("sha256:") => (None, Some(text)),
            None => (Some(text), None),
        };
        let is_hex = |text: &str| text.bytes().all(|byte| matches!(byte, b'0'..=b'9' | b'a'..=b'f'));
        let digits = match digest {
            None => None,
            Some(digest) => {
                let digits = digest.strip_prefix("sha256:").unwrap_or(digest);
                if !is_hex(digits) || digits.len() > 64 {
                    return Err(neither());
                }
                if digits.len() < Limits::DEFAULT.digits {
                    return Err(ParseSubjectError::Short);
                }
                Some(digits.to_owned())
            }
        };
        let name = name.map(|name| Name::read(name).ok_or_else(neither)).transpose()?;
        let text = text.to_owned();
        // A docker ID, as `docker images` shows it, is digits alone.
        if digits.is_none() && (Limits::DEFAULT.digits..=64).contains(&text.len()) && is_hex(&text) {
            return Ok(Self { digits: Some(text.clone()), text, name, is_either: true });
        }
        Ok(Self { text, name, digits, is_either: false })
    }
}

impl Name {
    /// Whether it is the end of `registry/project/repository`.
    fn is_end_of(&self, registry: Option<&RegistryPath>, target: &Target) -> bool {
        let repository = format!("{}/{}", target.project, target.repository);
        let whole =
            registry.map_or_else(|| repository.clone(), |registry| format!("{registry}/{repository}"));
        let is_end =
            |end: &String| whole.strip_suffix(end).is_some_and(|rest| rest.is_empty() || rest.ends_with('/'));
        self.ends.iter().any(is_end)
    }

    fn read(text: &str) -> Option<Self> {
        let (name, tag) = match text.rsplit_once(':') {
            Some((name, tag)) if !tag.contains('/') => (name, Some(tag)),
            _ => (text, None),
        };
        let is_part = |part: &str| {
            !part.is_empty()
                && part.bytes().all(|byte| byte.is_ascii_alphanumeric() || b"._-:".contains(&byte))
        };
        let is_tag = |tag: &str| is_part(tag) && !tag.contains(':');
        if !name.split('/').all(is_part) || !tag.is_none_or(is_tag) {
            return None;
        }
        let mut ends = vec![name.to_owned()];
        // In the project `cache`, a host's colon is an underscore.
        if name.contains(':') {
            ends.push(name.replace(':', "_"));
        }
        if let Some(short) = name.strip_prefix("docker.io/").filter(|rest| !rest.contains('/')) {
            ends.push(format!("docker.io/library/{short}"));
        }
        Some(Self { ends, tag: tag.map(str::to_owned) })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn fits(subject: &str, target: &str) -> bool {
        let registry: RegistryPath = "harbor.example".parse().unwrap();
        let subject: Subject = subject.parse().unwrap();
        let parts = [Digest::of(b"layer")].into_iter();
        subject.fits(Some(&registry), &target.parse().unwrap(), Digest::of(b"image"), parts).is_some()
    }

    #[test]
    fn an_image_is_found_by_any_end_of_its_name() {
        let nginx = "cache/docker.io/library/nginx:1.25";
        for name in [
            "nginx",
            "nginx:1.25",
            "library/nginx",
            "docker.io/library/nginx:1.25",
            "docker.io/nginx",
            "cache/docker.io/library/nginx",
            "harbor.example/cache/docker.io/library/nginx:1.25",
        ] {
            assert!(fits(name, nginx), "{name}");
        }
        for name in
            ["ginx", "nginx:1.2", "cache/nginx", "docker.io", "other.example/cache/docker.io/library/nginx"]
        {
            assert!(!fits(name, nginx), "{name}");
        }
        assert!(fits("r.example:5000/app", "cache/r.example_5000/app:1"));
        // What is only pulled by digest has no tag.
        assert!(fits("app", "tenant-a/app") && !fits("app:1", "tenant-a/app"));
    }

    #[test]
    fn a_digest_is_found_by_its_first_digits_and_so_is_what_it_is_a_part_of() {
        let (image, layer) = (Digest::of(b"image"), Digest::of(b"layer"));
        for digest in [image, layer] {
            let hex = digest.hex();
            for text in
                [hex.clone(), hex[..8].to_owned(), format!("sha256:{}", &hex[..12]), digest.to_string()]
            {
                assert!(fits(&text, "cache/a:1"), "{text}");
            }
        }
        assert!(fits(&format!("a@{image}"), "cache/a:1"));
        assert!(!fits(&format!("b@{image}"), "cache/a:1"));
        assert!(!fits("00000000", "cache/a:1"));
        // Digits alone may be a name.
        assert!(fits("deadbeef", "cache/deadbeef:1"));
        assert!(!fits("sha256:deadbeef", "cache/deadbeef:1"));
    }

    #[test]
    fn what_names_nothing_is_refused() {
        let read = |text: &str| text.parse::<Subject>();
        assert_eq!(read("sha256:0123456"), Err(ParseSubjectError::Short));
        for text in
            ["", "/", "a//b", "a b", "nginx:", "sha256:xyz01234", "a@", "a@md5:00000000", "\u{1b}[31m"]
        {
            assert!(read(text).is_err(), "{text}");
        }
        assert!(read(&"a".repeat(1025)).is_err());
        let error = read("\u{1b}[31m").unwrap_err().to_string();
        assert!(!error.contains('\u{1b}'), "{error}");
    }
}
