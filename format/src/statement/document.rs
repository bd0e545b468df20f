//! The signed JSON at a bundle's head: its fields, and the rules between them.
//! Takes a draft or bytes, gives a [`Statement`] that is consistent in itself.

use std::collections::{HashMap, HashSet};
use std::fmt;
use std::sync::Arc;

use bundle_oci::json::Bounds;
use bundle_oci::{Digest, MediaType, Platform, Printable, Reference};
use serde::{Deserialize, Serialize};

use crate::statement::census::Census;
use crate::statement::index::index_blob;
use crate::{Limits, Named, Sequence, StreamName, Target, Timestamp, object};

/// The version of the format that this crate reads and writes.
pub const FORMAT_VERSION: u32 = 1;

/// The repository in a project in which importers keep their record of accepted bundles
/// (docs/format.md §Record in the registry).
pub const RECORD_REPOSITORY: &str = "bundle-state";

/// The signed JSON at a bundle's head, which determines every byte of the archive that is not
/// blob content (docs/format.md §Statement).
///
/// A value of this type is consistent in itself: it comes from [`Statement::parse`] or [`Draft::seal`], and
/// is immutable. [`crate::Trusted`] proves that it is signed.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Statement(Arc<Terms>);

impl Serialize for Statement {
    fn serialize<S: serde::Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        self.0.serialize(serializer)
    }
}

impl std::ops::Deref for Statement {
    type Target = Terms;

    fn deref(&self) -> &Terms {
        &self.0
    }
}

/// The fields of a [`Statement`].
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, rename_all = "camelCase")]
pub struct Terms {
    /// [`FORMAT_VERSION`].
    pub format_version: u32,
    /// The series that this bundle belongs to.
    pub stream: StreamName,
    /// The bundle's place in the series.
    pub sequence: Sequence,
    /// When the bundle was made.
    pub created: Timestamp,
    /// When the bundle stops being importable.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub expires: Option<Timestamp>,
    /// The digest of the statement before this one in the series.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub previous: Option<Digest>,
    /// The bases of a delta; empty for a bundle that stands alone.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub base: Vec<Base>,
    /// Digest and size of `index.json`.
    pub index: Blob,
    /// The artifacts that the bundle delivers, in order.
    #[serde(deserialize_with = "object::many")]
    pub artifacts: Vec<Artifact>,
    /// Every blob in the archive, in order (docs/format.md §Order of blobs).
    pub blobs: Vec<Blob>,
    /// The blobs that a delta leaves out because the other side has them.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub requires: Vec<Blob>,
}

/// The fields of a statement before they are checked.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Draft {
    /// The series that the bundle belongs to.
    pub stream: StreamName,
    /// The bundle's place in the series.
    pub sequence: Sequence,
    /// When the bundle is made.
    pub created: Timestamp,
    /// When the bundle stops being importable.
    pub expires: Option<Timestamp>,
    /// The digest of the statement before this one in the series.
    pub previous: Option<Digest>,
    /// The bases of a delta.
    pub base: Vec<Base>,
    /// The artifacts that the bundle delivers, in order.
    pub artifacts: Vec<Artifact>,
    /// Every blob in the archive, in order.
    pub blobs: Vec<Blob>,
    /// The blobs that a delta leaves out.
    pub requires: Vec<Blob>,
}

impl Draft {
    /// The statement that says so.
    ///
    /// # Errors
    /// Any [`StatementError`]: it would not be consistent, or could not be read again.
    pub fn seal(self, limits: &Limits) -> Result<Statement, StatementError> {
        let sizes = self.blobs.iter().chain(&self.requires).map(|blob| (blob.digest, blob.size)).collect();
        let index = index_blob(named(&self.artifacts, &sizes));
        drop(sizes);
        let terms = Terms {
            format_version: FORMAT_VERSION,
            stream: self.stream,
            sequence: self.sequence,
            created: self.created,
            expires: self.expires,
            previous: self.previous,
            base: self.base,
            index,
            artifacts: self.artifacts,
            blobs: self.blobs,
            requires: self.requires,
        };
        terms.check(limits)?;
        let bytes = serde_json::to_vec(&terms).expect("a statement has no map with keys other than strings");
        // There is one of them in memory at a time.
        drop(terms);
        // A reader must accept the written bytes.
        Statement::parse(&bytes, limits)
    }
}

/// The bases of a delta. It is named for people: what counts is that the required blobs are there.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, rename_all = "camelCase")]
pub struct Base {
    /// The stream that it belongs to.
    pub stream: StreamName,
    /// The bundle's place in the stream; a lock has none.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub sequence: Option<Sequence>,
    /// The digest of the bundle's statement, or of the lock's file.
    pub digest: Digest,
}

impl fmt::Display for Base {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.sequence {
            Some(sequence) => write!(f, "{} {}", self.stream, sequence.dated_with(&self.digest)),
            None => write!(f, "the lock of {} ({})", self.stream, self.digest),
        }
    }
}

/// A blob's digest and size in bytes; in JSON a pair `[digest, size]`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(from = "(Digest, u64)", into = "(Digest, u64)")]
pub struct Blob {
    /// The content's digest.
    pub digest: Digest,
    /// The content's length in bytes.
    pub size: u64,
}

impl From<(Digest, u64)> for Blob {
    fn from((digest, size): (Digest, u64)) -> Self {
        Self { digest, size }
    }
}

impl From<Blob> for (Digest, u64) {
    fn from(blob: Blob) -> Self {
        (blob.digest, blob.size)
    }
}

/// The kind of artifact that users see.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Kind {
    /// A container image, of one platform or several.
    Image,
    /// A Helm chart.
    Chart,
    /// A signature of another artifact.
    Signature,
    /// An attestation about another artifact.
    Attestation,
    /// A software bill of materials of another artifact.
    Sbom,
    /// Anything else that a registry holds.
    Artifact,
}

impl Kind {
    /// Its name for people, in the singular.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Image => "image",
            Self::Chart => "chart",
            Self::Signature => "signature",
            Self::Attestation => "attestation",
            Self::Sbom => "sbom",
            Self::Artifact => "artifact",
        }
    }
}

/// One thing that the bundle delivers to one place.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, rename_all = "camelCase")]
pub struct Artifact {
    /// The kind of artifact.
    pub kind: Kind,
    /// Where it came from.
    pub source: Reference,
    /// Where it goes.
    #[serde(deserialize_with = "object::one")]
    pub target: Target,
    /// The digest of its manifest or index.
    pub digest: Digest,
    /// The media type of its manifest or index, one of [`MediaType::MANIFESTS`].
    pub media_type: MediaType,
    /// The platforms; empty for an artifact that does not run.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub platforms: Vec<Platform>,
    /// The digest at the source, if only chosen platforms were taken from it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub derived_from: Option<Digest>,
    /// The digest of the artifact that this one is attached to.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub subject: Option<Digest>,
    /// Why it is here: the places that asked for it.
    pub reasons: Vec<String>,
}

/// Why bytes are no statement that can be acted on.
#[derive(Debug, thiserror::Error)]
pub enum StatementError {
    /// A version of the format from another time.
    #[error("bundle is of format version {0}, and this program reads version {FORMAT_VERSION}")]
    Version(u64),
    /// No JSON of the expected shape.
    #[error("statement is not valid")]
    Json(#[from] serde_json::Error),
    /// White space or other bytes around the JSON object.
    #[error("statement has bytes before or after its JSON object")]
    Surroundings,
    /// More of something than [`Limits`] allow.
    #[error("statement has {found} {what}, more than the {limit} allowed")]
    TooMany {
        /// The objects counted.
        what: &'static str,
        /// How many there are.
        found: u64,
        /// How many there may be.
        limit: u64,
    },
    /// No artifact, and so nothing to deliver.
    #[error("statement names no artifact")]
    Empty,
    /// A blob that is listed twice, or both present and required.
    #[error("statement lists the blob {0} twice")]
    RepeatedBlob(Digest),
    /// Two artifacts for one target.
    #[error("statement sends two artifacts to {0}")]
    RepeatedTarget(Target),
    /// One source with two digests.
    #[error("statement gives {0} two digests")]
    TwoDigests(Reference),
    /// A source pinned by a digest that is neither the artifact's nor the one it was derived from.
    #[error("statement gives {0} content with another digest")]
    SourceDigest(Reference),
    /// An artifact that is in no blob list.
    #[error("statement names {target} with {digest}, which is not among its blobs")]
    AbsentArtifact {
        /// Where the artifact goes.
        target: Target,
        /// Its digest.
        digest: Digest,
    },
    /// A media type that no manifest has.
    #[error("statement names {0} with a media type that no manifest has")]
    MediaType(Target),
    /// A target whose whole path is longer than a repository's name can be.
    #[error("statement names the target {0}, which is too long")]
    LongTarget(Target),
    /// The importer's own record, which no bundle may write.
    #[error("statement names the target {0}, where the importer keeps its own record")]
    Record(Target),
    /// A reason that is empty, too long or not printable.
    #[error("statement gives {0} a reason that is not printable")]
    Reason(Target),
    /// Sizes that add up to more than 2^53.
    #[error("statement's sizes overflow")]
    Size,
    /// Required blobs without a base.
    #[error("statement requires blobs but names no base")]
    Base,
    /// An `index.json` other than the one that follows from the artifacts.
    #[error("statement's digest of index.json is not the one that follows from its artifacts")]
    Index,
}

impl Statement {
    /// Reads a statement and checks that it is consistent.
    ///
    /// # Errors
    /// Any [`StatementError`]; the bytes are an attacker's until their signature holds, and may
    /// come from a careless tool afterwards.
    pub fn parse(bytes: &[u8], limits: &Limits) -> Result<Self, StatementError> {
        #[derive(Deserialize)]
        #[serde(rename_all = "camelCase")]
        struct Versioned {
            format_version: u64,
        }

        over("bytes", bytes.len() as u64, limits.statement)?;
        if bytes.first() != Some(&b'{') || bytes.last() != Some(&b'}') {
            return Err(StatementError::Surroundings);
        }
        // Another version may have other fields, and the version is the better message.
        // Two readers must not take the same bytes for two things (docs/format.md §JSON).
        bundle_oci::json::check(bytes, Bounds::STATEMENT, &[], &[])?;
        let versioned: Versioned = serde_json::from_slice(bytes)?;
        if versioned.format_version != u64::from(FORMAT_VERSION) {
            return Err(StatementError::Version(versioned.format_version));
        }
        // Documents that would take too much memory are refused before they are parsed.
        Census::of(bytes)?.check(limits)?;
        let mut terms: Terms = serde_json::from_slice(bytes)?;
        // A list that is read item by item has capacity for up to twice as many.
        terms.blobs.shrink_to_fit();
        terms.requires.shrink_to_fit();
        terms.artifacts.shrink_to_fit();
        terms.check(limits)?;
        Ok(Self(Arc::new(terms)))
    }

    /// The same as a draft, from which another statement can be made.
    pub fn draft(&self) -> Draft {
        let Terms { format_version: _, index: _, stream, sequence, created, expires, .. } = &*self.0;
        Draft {
            stream: stream.clone(),
            sequence: *sequence,
            created: *created,
            expires: *expires,
            previous: self.previous,
            base: self.base.clone(),
            artifacts: self.artifacts.clone(),
            blobs: self.blobs.clone(),
            requires: self.requires.clone(),
        }
    }

    /// The statement's bytes, to be signed and written.
    pub fn to_bytes(&self) -> Vec<u8> {
        serde_json::to_vec(self).expect("a statement has no map with keys other than strings")
    }

    /// The size of all blobs in the archive together, in bytes.
    pub fn blob_bytes(&self) -> u64 {
        self.blobs.iter().map(|blob| blob.size).sum()
    }
}

impl Terms {
    /// Checks the rules that the shape of the JSON does not express.
    ///
    /// # Errors
    /// Any [`StatementError`] but those about JSON.
    fn check(&self, limits: &Limits) -> Result<(), StatementError> {
        Census::of_terms(self).check(limits)?;
        if self.artifacts.is_empty() {
            return Err(StatementError::Empty);
        }
        if !self.requires.is_empty() && self.base.is_empty() {
            return Err(StatementError::Base);
        }
        let mut sizes = HashMap::with_capacity(self.blobs.len());
        let mut total = 0_u64;
        for blob in self.blobs.iter().chain(&self.requires) {
            total =
                total.checked_add(blob.size).filter(|total| *total < 1 << 53).ok_or(StatementError::Size)?;
            if sizes.insert(blob.digest, blob.size).is_some() {
                return Err(StatementError::RepeatedBlob(blob.digest));
            }
        }
        let mut targets = HashSet::with_capacity(self.artifacts.len());
        let mut sources = HashMap::with_capacity(self.artifacts.len());
        for artifact in &self.artifacts {
            let target = &artifact.target;
            // Without a tag, the digest is the name.
            let name = (target, target.tag.is_none().then_some(artifact.digest));
            if !targets.insert(name) {
                return Err(StatementError::RepeatedTarget(target.clone()));
            }
            if *sources.entry(&artifact.source).or_insert(artifact.digest) != artifact.digest {
                return Err(StatementError::TwoDigests(artifact.source.clone()));
            }
            // A runtime believes the digest in a name; `derivedFrom` says that platforms were chosen.
            let is_promised = |pinned| artifact.digest == pinned || artifact.derived_from == Some(pinned);
            if !artifact.source.digest().is_none_or(is_promised) {
                return Err(StatementError::SourceDigest(artifact.source.clone()));
            }
            if !sizes.contains_key(&artifact.digest) {
                return Err(StatementError::AbsentArtifact {
                    target: target.clone(),
                    digest: artifact.digest,
                });
            }
            if !MediaType::MANIFESTS.contains(&artifact.media_type.as_str()) {
                return Err(StatementError::MediaType(target.clone()));
            }
            if target.repository.as_str() == RECORD_REPOSITORY {
                return Err(StatementError::Record(target.clone()));
            }
            if target.path().is_err() {
                return Err(StatementError::LongTarget(target.clone()));
            }
            let showable = |text: &String| {
                !text.is_empty() && text.len() <= limits.reasons && Printable(text).to_string() == *text
            };
            if artifact.reasons.len() > limits.reasons || !artifact.reasons.iter().all(showable) {
                return Err(StatementError::Reason(target.clone()));
            }
        }
        if self.index != index_blob(named(&self.artifacts, &sizes)) {
            return Err(StatementError::Index);
        }
        Ok(())
    }

    /// The bytes of `index.json`, which follow from the artifacts and their blobs' sizes
    /// (docs/format.md §index.json; image-spec, image-layout.md).
    pub fn index_json(&self) -> Vec<u8> {
        let blobs = self.blobs.iter().chain(&self.requires);
        crate::index_json(named(&self.artifacts, &blobs.map(|blob| (blob.digest, blob.size)).collect()))
    }
}

fn named<'a>(artifacts: &'a [Artifact], sizes: &HashMap<Digest, u64>) -> impl Iterator<Item = Named<'a>> {
    artifacts.iter().map(|artifact| Named {
        name: artifact.source.runtime_name(),
        artifact,
        size: sizes.get(&artifact.digest).copied().unwrap_or_default(),
    })
}

/// A text as a statement takes it for a reason: what cannot be shown is escaped, and the start of
/// what is too long is cut, for a file's own name stands at its end.
pub fn reason(text: &str) -> String {
    const LONGEST: usize = 240;
    let escaped = |character: char| -> String {
        if Printable::shows(character) { character.into() } else { character.escape_unicode().collect() }
    };
    let shown: Vec<String> = text.chars().map(escaped).collect();
    let mut left = LONGEST;
    let fits = |part: &&String| {
        let room = left.checked_sub(part.chars().count());
        left = room.unwrap_or_default();
        room.is_some()
    };
    let kept = shown.iter().rev().take_while(fits).count();
    let cut = if kept < shown.len() { "…" } else { "" };
    format!("{cut}{}", shown[shown.len() - kept..].concat())
}

pub(super) fn over(what: &'static str, found: u64, limit: u64) -> Result<(), StatementError> {
    if found > limit { Err(StatementError::TooMany { what, found, limit }) } else { Ok(()) }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::testing::statement;

    fn altered(change: impl FnOnce(&mut serde_json::Value)) -> Result<Statement, StatementError> {
        let mut value = serde_json::to_value(statement(&[b"layer"])).unwrap();
        change(&mut value);
        Statement::parse(&serde_json::to_vec(&value).unwrap(), &Limits::V1)
    }

    #[test]
    fn every_text_makes_a_reason_that_a_statement_takes() {
        for text in ["images.txt:1", "a\nb\u{200b}.txt:1", &"漢".repeat(5_000), &"\u{1b}".repeat(5_000), "x"]
        {
            let mut draft = statement(&[b"layer"]).draft();
            draft.artifacts[0].reasons = vec![reason(text)];
            draft.seal(&Limits::V1).unwrap();
        }
        assert_eq!(reason("images.txt:1"), "images.txt:1");
        assert_eq!(reason("a\nb:1"), "a\\u{a}b:1");
        assert!(reason(&format!("{}/images.txt:12", "directory/".repeat(100))).ends_with("/images.txt:12"));
    }

    #[test]
    fn a_statement_reads_back_as_it_was_written() {
        let statement = statement(&[b"one", b"two"]);
        let bytes = statement.to_bytes();
        assert_eq!(Statement::parse(&bytes, &Limits::V1).unwrap(), statement);
    }

    #[test]
    fn what_is_not_understood_is_refused() {
        use StatementError as E;
        assert!(matches!(altered(|s| s["formatVersion"] = 2.into()), Err(E::Version(2))));
        assert!(matches!(altered(|s| s["extra"] = 1.into()), Err(E::Json(_))));
        assert!(matches!(altered(|s| s["artifacts"][0]["extra"] = 1.into()), Err(E::Json(_))));
        assert!(matches!(altered(|s| s["sequence"] = 0.into()), Err(E::Json(_))));
        assert!(matches!(altered(|s| s["sequence"] = "1".into()), Err(E::Json(_))));
        assert!(matches!(altered(|s| s["blobs"][0][1] = (1.5).into()), Err(E::Json(_))));
        assert!(matches!(altered(|s| s["blobs"][0][1] = (1_u64 << 60).into()), Err(E::Size)));
        assert!(matches!(altered(|s| s["artifacts"] = serde_json::json!([])), Err(E::Empty)));
        assert!(matches!(altered(|s| s["index"][1] = 1.into()), Err(E::Index)));
        assert!(matches!(
            altered(|s| s["artifacts"][0]["reasons"] = serde_json::json!(["\u{1b}[2J"])),
            Err(E::Reason(_))
        ));
        assert!(matches!(
            altered(|s| s["artifacts"][0]["target"]["project"] = "../x".into()),
            Err(E::Json(_))
        ));
        assert!(matches!(
            altered(|s| {
                let blob = s["blobs"][0].clone();
                s["blobs"].as_array_mut().unwrap().push(blob);
            }),
            Err(E::RepeatedBlob(_))
        ));
        assert!(matches!(
            altered(|s| {
                let artifact = s["artifacts"][0].clone();
                s["artifacts"].as_array_mut().unwrap().push(artifact);
            }),
            Err(E::RepeatedTarget(_))
        ));
    }

    #[test]
    fn bytes_around_the_object_and_repeated_keys_are_refused() {
        let bytes = statement(&[b"layer"]).to_bytes();
        let text = String::from_utf8(bytes).unwrap();
        for bad in [format!("{text}\n"), format!(" {text}"), format!("{text}{text}")] {
            assert!(Statement::parse(bad.as_bytes(), &Limits::V1).is_err());
        }
        let twice = text.replacen("{\"formatVersion\":1,", "{\"formatVersion\":1,\"formatVersion\":1,", 1);
        assert!(matches!(Statement::parse(twice.as_bytes(), &Limits::V1), Err(StatementError::Json(_))));
        let deep =
            format!("{{\"formatVersion\":1,\"index\":{}{}}}", "[".repeat(200_000), "]".repeat(200_000));
        assert!(matches!(Statement::parse(deep.as_bytes(), &Limits::V1), Err(StatementError::Json(_))));
    }
}
