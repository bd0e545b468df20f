//! Artifacts as Harbor's own API shows them, which counts as no pull and is hidden by no policy.
//! Takes a project and repository, gives artifacts with tags, scans and accessories.

use std::collections::BTreeMap;

use bundle_oci::ProjectName;
use bundle_oci::{Digest, RepositoryName, Tag};
use bundle_registry::{Error, Name};
use serde::Deserialize;

use crate::client::{REPORTS, encoded};
use crate::scan::WireReport;
use crate::{Harbor, ScanSummary};

/// An artifact as Harbor's own API shows it. Unlike a look at its manifest, this counts as no pull,
/// and no policy against vulnerable images hides it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Artifact {
    /// Its digest.
    pub digest: Digest,
    /// Its tags.
    pub tags: Vec<ArtifactTag>,
    /// Whether Harbor lists tags of it that are no tags by the specification, and so not among these.
    pub has_other_tags: bool,
    /// The artifacts that are attached to it: signatures, attestations and the like.
    pub accessories: Vec<Accessory>,
    /// The manifests that it lists, if it is an index.
    pub children: Vec<Digest>,
    /// When it was pulled last, as Harbor writes it (RFC 3339); the year 1 if never.
    pub pulled: Option<String>,
    /// The findings of a scan, if one has ended or runs.
    pub scan: Option<ScanSummary>,
    /// Whether it can be scanned at all, by what scans its project.
    pub scannable: bool,
    /// The annotations of its manifest, if Harbor returns them.
    pub annotations: Option<BTreeMap<String, String>>,
}

/// A tag of an artifact.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ArtifactTag {
    /// Its name.
    pub name: Tag,
    /// Whether a rule keeps it from being moved.
    pub immutable: bool,
    /// When the artifact was pulled last by this tag, as [`Artifact::pulled`].
    pub pulled: Option<String>,
}

/// An artifact that is attached to another one.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Accessory {
    /// Its digest.
    pub digest: Digest,
    /// Harbor's name of its kind, such as `signature.cosign` (its pkg/accessory/model).
    pub kind: String,
}

impl Accessory {
    /// Whether Harbor made it itself: an SBOM by its own scanner.
    pub fn is_of_harbor(&self) -> bool {
        self.kind == "sbom.harbor"
    }
}

#[derive(Deserialize)]
pub(crate) struct Wire {
    digest: Digest,
    #[serde(default)]
    tags: Option<Vec<WireTag>>,
    #[serde(default)]
    accessories: Option<Vec<WireAccessory>>,
    #[serde(default)]
    scan_overview: Option<BTreeMap<String, WireReport>>,
    #[serde(default)]
    addition_links: Option<BTreeMap<String, serde::de::IgnoredAny>>,
    #[serde(default)]
    annotations: Option<BTreeMap<String, String>>,
    #[serde(default)]
    references: Option<Vec<WireReference>>,
    #[serde(default)]
    pull_time: Option<String>,
}

#[derive(Deserialize)]
struct WireTag {
    name: String,
    #[serde(default)]
    immutable: bool,
    #[serde(default)]
    pull_time: Option<String>,
}

#[derive(Deserialize)]
struct WireAccessory {
    digest: Digest,
    #[serde(default, rename = "type")]
    kind: String,
}

#[derive(Deserialize)]
struct WireReference {
    child_digest: Digest,
}

impl From<Wire> for Artifact {
    fn from(wire: Wire) -> Self {
        let listed = wire.tags.unwrap_or_default();
        let count = listed.len();
        let tags = listed.into_iter().filter_map(|tag| {
            let (immutable, pulled) = (tag.immutable, tag.pull_time);
            Some(ArtifactTag { name: tag.name.parse().ok()?, immutable, pulled })
        });
        let tags: Vec<ArtifactTag> = tags.collect();
        let accessories = wire.accessories.unwrap_or_default().into_iter();
        let accessories = accessories.map(|it| Accessory { digest: it.digest, kind: it.kind });
        Self {
            digest: wire.digest,
            has_other_tags: tags.len() < count,
            tags,
            accessories: accessories.collect(),
            children: wire.references.unwrap_or_default().into_iter().map(|it| it.child_digest).collect(),
            pulled: wire.pull_time,
            scan: wire.scan_overview.and_then(|mut reports| reports.remove(REPORTS)).map(WireReport::read),
            // Harbor links the report of what it can scan, whether there is one or not
            // (handler/assembler/report.go).
            scannable: wire.addition_links.is_some_and(|links| links.contains_key("vulnerabilities")),
            annotations: wire.annotations.filter(|annotations| !annotations.is_empty()),
        }
    }
}

impl Harbor {
    /// Looks up an artifact; none if it, its repository or its project is not there.
    ///
    /// # Errors
    /// Any [`Error`]; HTTP 403 without the right to read artifacts in the project, or if there is no such
    /// project.
    pub async fn artifact(
        &self,
        project: &ProjectName,
        repository: &RepositoryName,
        name: &Name,
    ) -> Result<Option<Artifact>, Error> {
        let reference = match name {
            Name::Tag(tag) => tag.to_string(),
            Name::Digest(digest) => digest.to_string(),
        };
        let path = format!(
            "/projects/{project}/repositories/{}/artifacts/{reference}\
             ?with_tag=true&with_immutable_status=true&with_accessory=true&with_scan_overview=true",
            encoded(repository)
        );
        let found: Wire = match self.get(&path, &format!("look up {project}/{repository}{name}")).await {
            Ok(found) => found,
            Err(error) if error.status() == Some(404) => return Ok(None),
            Err(error) => return Err(error),
        };
        match name {
            Name::Digest(digest) if *digest != found.digest => Err(Error::WrongContent {
                host: self.registry().to_string(),
                expected: *digest,
                found: found.digest,
            }),
            _ => Ok(Some(found.into())),
        }
    }
}

impl Harbor {
    /// The tagged artifacts of a repository, and those that belong to nothing else; none if it is not
    /// there.
    ///
    /// # Errors
    /// Any [`Error`]; HTTP 403 without the right to list artifacts in the project.
    pub async fn artifacts(
        &self,
        project: &ProjectName,
        repository: &RepositoryName,
    ) -> Result<Vec<Artifact>, Error> {
        self.listed(project, repository, "with_tag=true").await
    }

    /// All artifacts of a repository, an index's children too, with the status of their tags. Accessories are in
    /// those that they are attached to only (controller/artifact, List).
    ///
    /// # Errors
    /// Any [`Error`]; HTTP 403 without the right to list artifacts in the project.
    pub async fn all_artifacts(
        &self,
        project: &ProjectName,
        repository: &RepositoryName,
    ) -> Result<Vec<Artifact>, Error> {
        let query = "q=base%3D*&with_tag=true&with_immutable_status=true&with_accessory=true";
        self.listed(project, repository, query).await
    }

    async fn listed(
        &self,
        project: &ProjectName,
        repository: &RepositoryName,
        query: &str,
    ) -> Result<Vec<Artifact>, Error> {
        let path = format!("/projects/{project}/repositories/{}/artifacts?{query}", encoded(repository));
        match self.list::<Wire>(&path, &format!("list {project}/{repository}")).await {
            Ok(found) => Ok(found.into_iter().map(Artifact::from).collect()),
            Err(error) if error.status() == Some(404) => Ok(Vec::new()),
            Err(error) => Err(error),
        }
    }
}

#[derive(Deserialize)]
struct WireRepository {
    /// With the project before it.
    name: String,
}

impl Harbor {
    /// The names of a project's repositories, without the project's; none if it is not there.
    ///
    /// # Errors
    /// Any [`Error`]; HTTP 403 without the right to list repositories in the project.
    pub async fn repositories(&self, project: &ProjectName) -> Result<Vec<RepositoryName>, Error> {
        let path = format!("/projects/{project}/repositories");
        let found = match self.list::<WireRepository>(&path, &format!("list {project}")).await {
            Ok(found) => found,
            Err(error) if error.status() == Some(404) => return Ok(Vec::new()),
            Err(error) => return Err(error),
        };
        let misbehaved = |name: &str| Error::Misbehaved {
            host: self.registry().to_string(),
            what: format!("{} is not a repository of the project {project}", bundle_oci::Printable(name)),
        };
        found
            .into_iter()
            .map(|repository| {
                let inside = repository.name.strip_prefix(project.as_str());
                let inside =
                    inside.and_then(|rest| rest.strip_prefix('/')).and_then(|name| name.parse().ok());
                inside.ok_or_else(|| misbehaved(&repository.name))
            })
            .collect()
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn an_artifact_is_read_as_harbor_writes_it() {
        let digest = Digest::of(b"x");
        let wire: Wire = serde_json::from_value(json!({
            "digest": digest,
            "tags": [{"name": "1.0", "immutable": true, "push_time": "2026-11-24T09:00:00Z"}],
            "accessories": [{"digest": digest, "type": "signature.cosign"}],
            "references": [{"child_digest": Digest::of(b"child"), "child_id": 2}],
            "pull_time": "0001-01-01T00:00:00.000Z",
            "annotations": {"a": "b"},
            "addition_links": {"vulnerabilities": {"href": "/x", "absolute": false}},
            "scan_overview": {REPORTS: {"scan_status": "Success", "severity": "Low"}},
        }))
        .unwrap();
        let artifact = Artifact::from(wire);
        assert!(artifact.tags[0].immutable && artifact.scannable);
        assert_eq!(artifact.children, [Digest::of(b"child")]);
        assert!(!artifact.accessories[0].is_of_harbor() && artifact.tags[0].pulled.is_none());
        assert_eq!(artifact.pulled.as_deref(), Some("0001-01-01T00:00:00.000Z"));
        assert_eq!(artifact.annotations.unwrap()["a"], "b");
        assert_eq!(artifact.scan.unwrap().severity, crate::Severity::Low);
        let bare = Artifact::from(serde_json::from_value::<Wire>(json!({"digest": digest})).unwrap());
        assert!(!bare.scannable && bare.tags.is_empty() && bare.scan.is_none());
    }
}
