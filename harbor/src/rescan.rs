//! Scanning again what was scanned: everything, or one artifact after the other, and what is known of a project's
//! artifacts now (Harbor's `src/server/v2.0/handler/scan_all.go`). Takes a project, gives its artifacts with scans.

use bundle_oci::{ProjectName, RepositoryName};
use bundle_registry::{Error, Method};
use serde::Deserialize;
use serde_json::json;

use crate::artifact::Wire;
use crate::{Artifact, Harbor};

/// How far a scan of everything has come.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Deserialize)]
#[serde(default)]
pub struct ScanAllProgress {
    /// How many scans it consists of, as far as is known.
    pub total: u64,
    /// How many of them have ended.
    pub completed: u64,
    /// Whether it goes on.
    pub ongoing: bool,
}

#[derive(Deserialize)]
struct WirePlaced {
    /// With the project before it.
    repository_name: String,
    #[serde(flatten)]
    artifact: Wire,
}

impl Harbor {
    /// Has every artifact of this Harbor scanned, in all projects. A scan of everything that goes on already is no
    /// error.
    ///
    /// # Errors
    /// Any [`Error`]; HTTP 403 without the right `scan-all:create` in the system, 412 without a scanner.
    pub async fn scan_all(&self) -> Result<(), Error> {
        let body = json!({"schedule": {"type": "Manual"}});
        let doing = "scan all artifacts again";
        match self.call(Method::Post, "/system/scanAll/schedule", doing, Some(&body)).await {
            Ok(_) => Ok(()),
            Err(error) if error.status() == Some(409) => Ok(()),
            Err(error) => Err(error),
        }
    }

    /// How far the last scan of everything has come.
    ///
    /// # Errors
    /// Any [`Error`]; HTTP 403 without the right `scan-all:read` in the system.
    pub async fn scan_all_progress(&self) -> Result<ScanAllProgress, Error> {
        self.get("/scans/all/metrics", "say how far the scan of all artifacts is").await
    }

    /// All artifacts of a project with their scans, an index's children too.
    ///
    /// # Errors
    /// Any [`Error`]; HTTP 403 without the right to list artifacts, 404 from a Harbor before 2.11.
    pub async fn scanned(&self, project: &ProjectName) -> Result<Vec<(RepositoryName, Artifact)>, Error> {
        let query = "q=base%3D*&with_tag=true&with_accessory=false&with_scan_overview=true";
        let path = format!("/projects/{project}/artifacts?{query}");
        let found: Vec<WirePlaced> = self.list(&path, &format!("list the scans of {project}")).await?;
        let place = |placed: WirePlaced| {
            let inside = placed.repository_name.strip_prefix(project.as_str());
            let inside = inside.and_then(|rest| rest.strip_prefix('/')).and_then(|name| name.parse().ok());
            match inside {
                Some(repository) => Ok((repository, Artifact::from(placed.artifact))),
                None => Err(self.misbehaved(format!(
                    "{} is not a repository of the project {project}",
                    bundle_oci::Printable(&placed.repository_name)
                ))),
            }
        };
        found.into_iter().map(place).collect()
    }
}
