//! SBOMs that the scanner makes of images that carry none, each in a file of its own that `bundle create --sboms` reads.
//! Takes images, a registry that serves them and a directory; writes files and says what became of each manifest.

use std::collections::HashSet;
use std::path::{Path, PathBuf};
use std::str::FromStr;

use bundle_format::{FileError, Kind, Statement, replace_file};
use bundle_oci::Digest;
use bundle_os::{Access, create_directory};
use futures_util::stream::{self, StreamExt};

use super::document::read_sbom;
use crate::{Limits, ScanImage, Scanner};

/// The form of an SBOM that is made.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum SbomForm {
    /// SPDX 2, which Harbor shows.
    Spdx,
    /// CycloneDX.
    CycloneDx,
}

/// A word that is no form.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("the form must be spdx or cyclonedx")]
pub struct UnknownForm;

impl FromStr for SbomForm {
    type Err = UnknownForm;

    fn from_str(text: &str) -> Result<Self, UnknownForm> {
        match text {
            "spdx" => Ok(Self::Spdx),
            "cyclonedx" => Ok(Self::CycloneDx),
            _ => Err(UnknownForm),
        }
    }
}

impl SbomForm {
    /// The word for it.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Spdx => "spdx",
            Self::CycloneDx => "cyclonedx",
        }
    }

    /// The file of a manifest's SBOM (bundler, src/local/sboms.rs).
    fn file(self, directory: &Path, manifest: Digest) -> PathBuf {
        let ending = match self {
            Self::Spdx => "spdx",
            Self::CycloneDx => "cdx",
        };
        directory.join(format!("{}.{ending}.json", manifest.hex()))
    }
}

/// What became of the SBOMs.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct MadeSboms {
    /// How many were made now.
    pub made: usize,
    /// How many were there before.
    pub known: usize,
    /// How many images carry one of their publisher's.
    pub carried: usize,
    /// The images of which none could be made, and why not.
    pub failed: Vec<(String, String)>,
}

/// Why SBOMs cannot be written.
#[derive(Debug, thiserror::Error)]
pub enum MakeSbomsError {
    /// The directory cannot be made.
    #[error("the directory {} cannot be made", .path.display())]
    Directory {
        /// The directory.
        path: PathBuf,
        /// The operating system's error.
        source: std::io::Error,
    },
    /// A file cannot be written.
    #[error(transparent)]
    File(#[from] FileError),
}

/// Has the scanner make an SBOM of each manifest that has none: neither one that the bundle carries, nor one in the
/// directory. The images are at the registry `host`.
///
/// # Errors
/// Any [`MakeSbomsError`].
pub async fn make_sboms(
    statement: &Statement,
    images: &[ScanImage],
    host: &str,
    scanner: &Scanner,
    (form, directory): (SbomForm, &Path),
    jobs: usize,
    done: impl Fn(&str),
) -> Result<MadeSboms, MakeSbomsError> {
    let failed = |source| MakeSbomsError::Directory { path: directory.to_owned(), source };
    if !directory.is_dir() {
        create_directory(directory, Access::Everyone).map_err(failed)?;
    }
    let sboms = statement.artifacts.iter().filter(|artifact| artifact.kind == Kind::Sbom);
    let subjects: HashSet<Digest> = sboms.filter_map(|artifact| artifact.subject).collect();
    let mut all = MadeSboms::default();
    let (mut seen, mut open) = (HashSet::new(), Vec::new());
    for image in images {
        let has = |digest: Digest| subjects.contains(&digest);
        if has(image.digest) || image.parts.iter().any(|part| has(part.digest)) {
            all.carried += 1;
            continue;
        }
        for part in image.parts.iter().filter(|part| seen.insert(part.digest)) {
            let path = form.file(directory, part.digest);
            match path.exists() {
                true => all.known += 1,
                false => open.push((image.name(), image.reference(part, host), path)),
            }
        }
    }
    let running = open.into_iter().map(|(name, reference, path)| async move {
        (name, scanner.sbom(&reference, form, &Limits::DEFAULT).await, path)
    });
    let mut results = stream::iter(running).buffer_unordered(jobs.max(1));
    while let Some((name, made, path)) = results.next().await {
        match made.map(|bytes| (read_sbom(&bytes, &Limits::DEFAULT), bytes)) {
            Ok((Ok(Some(_)), bytes)) => {
                replace_file(&path, &bytes)?;
                all.made += 1;
                done(&name);
            }
            Ok((Ok(None), _)) => all.failed.push((name, "the scanner's output is no SBOM".to_owned())),
            Ok((Err(error), _)) => all.failed.push((name, bundle_oci::chain(&error))),
            Err(error) => all.failed.push((name, bundle_oci::chain(&error))),
        }
    }
    all.failed.sort();
    Ok(all)
}
