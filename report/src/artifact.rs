//! Artifacts, targets and bundles as reports name them.
//! Take the format's values, give their JSON form.

use bundle_format::{Artifact, Base, BundleId, OtherPlatform, Sequence, Target};
use schemars::JsonSchema;
use serde::Serialize;

/// One thing that a bundle delivers to one place.
#[derive(Clone, Debug, Serialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct ArtifactEntry {
    /// image, chart, signature, attestation, sbom or artifact.
    pub kind: String,
    /// The reference at the source.
    pub source: String,
    /// The place at the destination.
    pub target: TargetEntry,
    /// The digest of the manifest or index.
    pub digest: String,
    /// The media type of the manifest or index.
    pub media_type: String,
    /// The platforms, as os/architecture[/variant]. Absent for what runs nowhere.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub platforms: Vec<String>,
    /// The digest at the source, if only chosen platforms were taken.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub derived_from: Option<String>,
    /// The digest of the artifact that this one is attached to.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub subject: Option<String>,
    /// The files, lists and charts that ask for it.
    pub reasons: Vec<String>,
}

impl From<&Artifact> for ArtifactEntry {
    fn from(artifact: &Artifact) -> Self {
        Self {
            kind: artifact.kind.as_str().to_owned(),
            source: artifact.source.to_string(),
            target: (&artifact.target).into(),
            digest: artifact.digest.to_string(),
            media_type: artifact.media_type.to_string(),
            platforms: artifact.platforms.iter().map(ToString::to_string).collect(),
            derived_from: artifact.derived_from.map(|digest| digest.to_string()),
            subject: artifact.subject.map(|digest| digest.to_string()),
            reasons: artifact.reasons.clone(),
        }
    }
}

/// An image of an index that its config takes for another platform. Nodes choose by the index.
#[derive(Clone, Debug, Serialize, JsonSchema)]
pub struct OtherPlatformEntry {
    /// The reference of the artifact at the source.
    pub image: String,
    /// The digest of the image manifest.
    pub digest: String,
    /// The platform in the index.
    pub index: String,
    /// The platform in the config; null if it names two.
    pub config: Option<String>,
    /// Both, as a sentence.
    #[serde(skip)]
    pub text: String,
}

impl From<&OtherPlatform> for OtherPlatformEntry {
    fn from(other: &OtherPlatform) -> Self {
        Self {
            image: other.image.to_string(),
            digest: other.manifest.to_string(),
            index: other.index.to_string(),
            config: other.config.clone(),
            text: other.to_string(),
        }
    }
}

/// A place at the destination.
#[derive(Clone, Debug, Serialize, JsonSchema)]
pub struct TargetEntry {
    /// The Harbor project.
    pub project: String,
    /// The repository inside the project.
    pub repository: String,
    /// The tag. Absent for what is only pulled by digest.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub tag: Option<String>,
}

impl From<&Target> for TargetEntry {
    fn from(target: &Target) -> Self {
        Self {
            project: target.project.to_string(),
            repository: target.repository.to_string(),
            tag: target.tag.as_ref().map(ToString::to_string),
        }
    }
}

impl std::fmt::Display for TargetEntry {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{}/{}", self.project, self.repository)?;
        self.tag.iter().try_for_each(|tag| write!(f, ":{tag}"))
    }
}

/// The bases of a delta.
#[derive(Clone, Debug, Serialize, JsonSchema)]
pub struct BaseEntry {
    /// The stream.
    pub stream: String,
    /// The bundle's number in the stream. Absent for a lockfile.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub sequence: Option<u64>,
    /// The digest of the bundle's statement or of the lockfile.
    pub digest: String,
    /// Its name for people.
    #[serde(skip)]
    #[schemars(skip)]
    pub name: String,
}

impl From<&Base> for BaseEntry {
    fn from(base: &Base) -> Self {
        Self {
            stream: base.stream.to_string(),
            sequence: base.sequence.map(u64::from),
            digest: base.digest.to_string(),
            name: base.to_string(),
        }
    }
}

/// The first digits of a digest with its algorithm, for people: `sha256:0123456789ab`.
pub(crate) fn shortened(digest: &str) -> String {
    match digest.split_once(':') {
        Some((algorithm, digits)) => format!("{algorithm}:{}", digits.chars().take(12).collect::<String>()),
        None => digest.to_owned(),
    }
}

/// A sequence for people, with the date beside it if it is a time.
pub(crate) fn dated(sequence: u64) -> String {
    Sequence::try_from(sequence).map_or_else(|_| sequence.to_string(), Sequence::dated)
}

/// The identity of a bundle.
#[derive(Clone, Debug, Serialize, JsonSchema)]
pub struct BundleEntry {
    /// The stream.
    pub stream: String,
    /// The bundle's number in the stream.
    pub sequence: u64,
    /// The digest of the statement.
    pub statement: String,
}

impl From<&BundleId> for BundleEntry {
    fn from(bundle: &BundleId) -> Self {
        Self {
            stream: bundle.stream.to_string(),
            sequence: bundle.sequence.into(),
            statement: bundle.statement.to_string(),
        }
    }
}

impl std::fmt::Display for BundleEntry {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{} {} ({})", self.stream, dated(self.sequence), self.statement)
    }
}
