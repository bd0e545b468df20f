//! The names that `helm repo add` gives to repositories.
//! Takes Helm's `repositories.yaml`; gives the address of a name.

use std::path::{Path, PathBuf};

use bundle_input::{Dialect, InputError, read_yaml};
use bundle_oci::Printable;
use serde::Deserialize;

/// Why a repository's name says nothing.
#[derive(Debug, thiserror::Error)]
pub enum RepositoryNameError {
    /// Helm's file cannot be read.
    #[error(transparent)]
    Input(#[from] InputError),
    /// It does not have the name.
    #[error("{} knows no repository '{}'", Printable(&.path.display().to_string()), Printable(.name))]
    Unknown {
        /// The file.
        path: PathBuf,
        /// The name.
        name: String,
    },
}

/// The file that `helm repo add` writes; only the fields used here (helm, pkg/repo/repo.go).
#[derive(Deserialize)]
struct Repositories {
    #[serde(default)]
    repositories: Vec<Repository>,
}

#[derive(Deserialize)]
struct Repository {
    name: String,
    url: String,
}

/// The address of a repository that Helm knows by a name.
///
/// # Errors
/// Any [`RepositoryNameError`].
pub fn helm_repository(path: &Path, name: &str) -> Result<String, RepositoryNameError> {
    let known: Repositories = read_yaml(path, Dialect::Helm)?;
    let found = known.repositories.into_iter().find(|repository| repository.name == name);
    let unknown = || RepositoryNameError::Unknown { path: path.to_owned(), name: name.to_owned() };
    Ok(found.ok_or_else(unknown)?.url)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_of_repositories_are_those_of_helm() {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("repositories.yaml");
        // As `helm repo add` of Helm 3 writes it.
        let text = "apiVersion: \"\"\ngenerated: \"0001-01-01T00:00:00Z\"\nrepositories:\n- caFile: \"\"\n  certFile: \"\"\n  insecure_skip_tls_verify: false\n  keyFile: \"\"\n  name: stable\n  pass_credentials_all: false\n  password: \"\"\n  url: https://charts.example/stable\n  username: \"\"\n";
        std::fs::write(&path, text).unwrap();
        assert_eq!(helm_repository(&path, "stable").unwrap(), "https://charts.example/stable");
        let error = helm_repository(&path, "none").unwrap_err().to_string();
        assert!(error.ends_with("repositories.yaml knows no repository 'none'"), "{error}");
    }
}
