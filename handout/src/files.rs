//! Single files in a bundle: OCI artifacts whose layers have a title, as ORAS and `files:` of `bundle.yaml` make
//! them. Takes a trusted bundle; gives the list of its files, and one of them as a file, verified, with the mode
//! 0644 or 0755 and no other.

use std::collections::BTreeMap;
use std::path::Path;

use bundle_format::{Archive, Artifact, Blob, Kind, Medium, Target};
use bundle_importer::Bundle;
use bundle_oci::{Digest, Manifest};
use bundle_os::Access;
use serde::Deserialize;

use crate::ChoiceError;
use crate::extract::{CopyError, ExtractError, PartialFile, copy, file_of};

/// The repository of the program itself inside its project (`bundle create --with-program`).
pub const PROGRAM: &str = "files/bundle";

/// The name under which a layer is a file (ORAS, and image-spec, annotations.md).
const TITLE: &str = "org.opencontainers.image.title";
/// The mode of the file, 0755 or anything else (docs/format.md §Files).
const MODE: &str = "bundle.file.mode";
const EXECUTABLE: &str = "0755";

/// A file in a bundle.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct CarriedFile {
    /// Its name, which can lead to no other directory.
    pub name: String,
    /// The artifact that has it.
    pub target: Target,
    /// The digest of its bytes.
    pub digest: Digest,
    /// How many bytes it has.
    pub size: u64,
    /// Whether it gets the mode 0755.
    pub executable: bool,
}

/// The fields of a manifest that make its layers files.
#[derive(Deserialize)]
struct Titled {
    #[serde(default)]
    layers: Option<Vec<TitledLayer>>,
}

#[derive(Deserialize)]
struct TitledLayer {
    digest: Digest,
    size: u64,
    #[serde(default)]
    annotations: Option<BTreeMap<String, String>>,
}

/// The files of a bundle, in its order. Layers whose title is no name of a file are left out.
///
/// # Errors
/// Any [`ExtractError`].
pub fn carried_files(bundle: &Bundle) -> Result<Vec<CarriedFile>, ExtractError> {
    let archive = file_of(bundle)?;
    let mut files = Vec::new();
    for artifact in &bundle.statement().artifacts {
        if artifact.kind != Kind::Artifact || artifact.subject.is_some() {
            continue;
        }
        let Some(manifest) = manifest(bundle, archive, artifact)? else { continue };
        for TitledLayer { digest, size, annotations } in manifest.layers.into_iter().flatten() {
            let mut annotations = annotations.unwrap_or_default();
            let executable = annotations.get(MODE).is_some_and(|mode| mode == EXECUTABLE);
            let Some(name) = annotations.remove(TITLE).filter(|name| is_plain(name)) else { continue };
            files.push(CarriedFile { name, target: artifact.target.clone(), digest, size, executable });
        }
    }
    Ok(files)
}

fn manifest(
    bundle: &Bundle,
    archive: &Archive<Medium>,
    artifact: &Artifact,
) -> Result<Option<Titled>, ExtractError> {
    let node = bundle.graph().manifests.get(&artifact.digest);
    let Some(Manifest::Image(_)) = node.map(|node| &node.manifest) else { return Ok(None) };
    let Some(blob) = archive.blob(artifact.digest) else { return Ok(None) };
    let mut bytes = Vec::new();
    copy(archive, blob, &mut bytes, &|_, _| Ok(()))
        .map_err(|error: CopyError| error.at(Path::new("memory")))?;
    // It was parsed when the bundle was opened; annotations of another form are nobody's files.
    Ok(serde_json::from_slice(&bytes).ok())
}

/// Whether a text is the name of a file in any directory, and of no other place.
fn is_plain(name: &str) -> bool {
    (1..=255).contains(&name.len())
        && !matches!(name, "." | "..")
        && !name.contains(['/', '\\', ':'])
        && !name.chars().any(char::is_control)
}

/// The file of this name: its own, or that of its artifact: `k3s`, `files/k3s`, `files/k3s:v1.37.0`,
/// `platform/files/k3s:v1.37.0`.
///
/// # Errors
/// [`ChoiceError::NoFile`], [`ChoiceError::Files`].
pub fn choose_file<'a>(files: &'a [CarriedFile], wanted: &str) -> Result<&'a CarriedFile, ChoiceError> {
    let named = |file: &&CarriedFile| {
        let target = file.target.to_string();
        let (project, repository) = (&file.target.project, file.target.repository.as_str());
        let inside = target.strip_prefix(&format!("{project}/")).unwrap_or(&target);
        [file.name.as_str(), &target, inside, repository].contains(&wanted)
    };
    let mut found = files.iter().filter(named);
    let shown = |file: &CarriedFile| format!("{} ({})", file.target, file.name);
    match (found.next(), found.next()) {
        (Some(file), None) => Ok(file),
        (Some(_), Some(_)) => Err(ChoiceError::Files {
            wanted: wanted.to_owned(),
            files: files.iter().filter(named).map(shown).collect(),
        }),
        (None, _) => {
            Err(ChoiceError::NoFile { wanted: wanted.to_owned(), files: files.iter().map(shown).collect() })
        }
    }
}

/// Writes a file of the bundle to `to`, which must not be there. It has its name only when all is written,
/// verified and synced.
///
/// # Errors
/// Any [`ExtractError`].
pub fn extract_file(
    bundle: &Bundle,
    file: &CarriedFile,
    to: &Path,
    progress: &(dyn Fn(Blob, u64) -> std::io::Result<()> + Sync),
) -> Result<(), ExtractError> {
    let archive = file_of(bundle)?;
    let absent = || ExtractError::Absent { target: file.target.clone(), count: 1 };
    let blob = archive.blob(file.digest).ok_or_else(absent)?;
    let mut partial = PartialFile::new(to)?;
    copy(archive, blob, &mut partial.0, progress).map_err(|error| error.at(to))?;
    partial.finish_as(to, if file.executable { Access::Program } else { Access::Everyone })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn file(name: &str, target: &str) -> CarriedFile {
        let (digest, target) = (Digest::of(name.as_bytes()), target.parse().unwrap());
        CarriedFile { name: name.to_owned(), target, digest, size: 1, executable: false }
    }

    #[test]
    fn a_file_is_found_by_its_name_and_by_that_of_its_artifact() {
        let files = [
            file("k3s", "platform/files/k3s:v1.37.0"),
            file("install.sh", "platform/files/k3s-install:v1.37.0"),
            file("install.sh", "tenant-a/files/rke2-install:latest"),
        ];
        for wanted in ["k3s", "files/k3s", "files/k3s:v1.37.0", "platform/files/k3s:v1.37.0"] {
            assert_eq!(choose_file(&files, wanted), Ok(&files[0]), "{wanted}");
        }
        assert_eq!(choose_file(&files, "files/rke2-install"), Ok(&files[2]));
        assert_eq!(
            choose_file(&files, "install.sh").unwrap_err().to_string(),
            "bundle has several files 'install.sh': platform/files/k3s-install:v1.37.0 (install.sh), \
             tenant-a/files/rke2-install:latest (install.sh)"
        );
        assert_eq!(
            choose_file(&files[..1], "k3").unwrap_err().to_string(),
            "bundle has no file 'k3'; it has platform/files/k3s:v1.37.0 (k3s)"
        );
    }

    #[test]
    fn a_title_that_leads_elsewhere_is_no_file() {
        for name in ["", ".", "..", "/etc/passwd", "../x", "a/b", "a\\b", "a\u{1b}[2J"] {
            assert!(!is_plain(name), "{name:?}");
        }
        assert!(is_plain("rke2-images.linux-amd64.tar.zst"));
    }
}
