//! The tools whose files are read, and how a file's tool is recognised.
//! Takes the text of a file; gives a [`Tool`].

use std::fmt;

use super::document::{Document, documents};
use super::{ConvertError, hauler, imageset, imgpkg, skopeo, zarf};

/// A tool whose files can be converted.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Tool {
    /// Hauler's manifests: `kind: Images`, `Charts`, `Files`.
    Hauler,
    /// `zarf.yaml`.
    Zarf,
    /// oc-mirror's `ImageSetConfiguration`.
    OcMirror,
    /// The file of `skopeo sync --src yaml`.
    Skopeo,
    /// `regsync.yml`.
    Regsync,
    /// imgpkg's `ImagesLock` and `BundleLock`.
    Imgpkg,
    /// The `Images.lock` of `helm dt`.
    HelmDt,
    /// A list: a reference, `SOURCE=TARGET` or `image=REFERENCE` on a line.
    List,
}

impl Tool {
    /// All of them.
    pub const ALL: [Self; 8] = [
        Self::Hauler,
        Self::Zarf,
        Self::OcMirror,
        Self::Skopeo,
        Self::Regsync,
        Self::Imgpkg,
        Self::HelmDt,
        Self::List,
    ];

    /// Its name on the command line.
    pub fn name(self) -> &'static str {
        match self {
            Self::Hauler => "hauler",
            Self::Zarf => "zarf",
            Self::OcMirror => "oc-mirror",
            Self::Skopeo => "skopeo",
            Self::Regsync => "regsync",
            Self::Imgpkg => "imgpkg",
            Self::HelmDt => "helm-dt",
            Self::List => "list",
        }
    }

    /// The names of all, for messages.
    pub(super) fn names() -> String {
        Self::ALL.map(Self::name).join(", ")
    }

    /// The tool that reads the file called `name`.
    pub(super) fn recognise(text: &str, name: &str) -> Result<Self, ConvertError> {
        if is_list(text) {
            return Ok(Self::List);
        }
        for document in documents(text, name)? {
            if let Some(tool) = Self::of(&document)? {
                return Ok(tool);
            }
        }
        Err(ConvertError::Unknown { name: name.to_owned() })
    }

    /// The tool whose form a document has, if any has.
    pub(super) fn of(document: &Document) -> Result<Option<Self>, ConvertError> {
        let head = document.head()?;
        if head.api_version.starts_with(hauler::API_GROUP)
            || head.api_version.starts_with(hauler::COLLECTIONS)
        {
            return Ok(Some(Self::Hauler));
        }
        if zarf::KINDS.contains(&head.kind.as_str()) {
            return Ok(Some(Self::Zarf));
        }
        if head.kind == imageset::KIND {
            return Ok(Some(Self::OcMirror));
        }
        if head.api_version.starts_with(imgpkg::API_GROUP) {
            return Ok(Some(Self::Imgpkg));
        }
        if head.kind == "ImagesLock" {
            return Ok(Some(Self::HelmDt));
        }
        if head.others.contains_key("sync") {
            return Ok(Some(Self::Regsync));
        }
        let asks = |key: &String| skopeo::FIELDS.contains(&key.as_str());
        if head.others.values().any(|keys| keys.0.iter().any(asks)) {
            return Ok(Some(Self::Skopeo));
        }
        Ok(None)
    }
}

impl fmt::Display for Tool {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}

/// Whether every line could be one of a list: a word without a colon at its end. YAML has keys and items.
fn is_list(text: &str) -> bool {
    let mut lines =
        text.lines().map(str::trim).filter(|line| !line.is_empty() && !line.starts_with('#')).peekable();
    lines.peek().is_some()
        && lines.all(|line| {
            let line = line.split(" #").next().unwrap_or_default().trim_end();
            !line.contains(char::is_whitespace) && !line.ends_with(':') && !line.starts_with("---")
        })
}
