//! The record of accepted bundles in the registry itself: one tag of `bundle-state` for each.
//! Takes a registry and a bundle's name, gives the newest record, or writes one.

use std::collections::{BTreeMap, BTreeSet};

use bundle_format::{Blob, BundleId, RECORD_REPOSITORY, Sequence, Statement, StreamName, Target};
use bundle_oci::ProjectName;
use bundle_oci::{Digest, Manifest, MediaType, RepositoryName, Tag};
use bundle_registry::{BlobSource, Error, Name};
use bytes::Bytes;
use futures_util::StreamExt;
use futures_util::stream::BoxStream;
use serde_json::json;

use crate::{Destination, Newest, RecordedTag};

/// What a registry itself remembers of streams, so that a lost disk does not forget: the repository
/// `bundle-state` of a project has a small artifact for each accepted bundle, under the tag
/// `<stream>.<sequence>.<start of the digest>` (docs/format.md §Record in the registry). Tags are
/// only added, so that it works where tags cannot move, and with an account that can only push.
#[derive(Clone, Debug)]
pub struct Record {
    projects: Vec<ProjectName>,
}

/// How many tags of one stream are looked at, the highest first, where some cannot be read.
const MOST_LOOKED_AT: usize = 1000;
/// What the artifact is.
const ARTIFACT_TYPE: &str = "application/vnd.bundle.accepted.v1+json";
/// The type and content of a config that says nothing (image-spec, manifest.md §Guidance for an
/// Empty Descriptor).
const EMPTY_TYPE: &str = "application/vnd.oci.empty.v1+json";
const EMPTY: &[u8] = b"{}";
const STREAM: &str = "bundle.stream";
const SEQUENCE: &str = "bundle.sequence";
const STATEMENT: &str = "bundle.statement";

impl Record {
    /// Where the record of a bundle is kept: in those of the projects `cache` and `platform` that it
    /// writes to, for tenants cannot push there; or else in the first of its projects by name. The
    /// account that imports the bundle can push to all of them.
    pub fn of(statement: &Statement) -> Self {
        let mut projects: Vec<&ProjectName> =
            statement.artifacts.iter().map(|artifact| &artifact.target.project).collect();
        projects.sort();
        projects.dedup();
        let shared: Vec<&ProjectName> = projects
            .iter()
            .copied()
            .filter(|project| project.is_cache() || **project == ProjectName::platform())
            .collect();
        let chosen = if shared.is_empty() { projects.into_iter().take(1).collect() } else { shared };
        Self { projects: chosen.into_iter().cloned().collect() }
    }

    /// The projects that have the record.
    pub fn projects(&self) -> &[ProjectName] {
        &self.projects
    }

    /// The newest bundle of a stream, as far as the registry knows. What is in its place and cannot be read
    /// counts for nothing, and is added to `unreadable`: whoever can push there once could stop the stream for
    /// good otherwise.
    ///
    /// # Errors
    /// The registry cannot be asked.
    pub async fn newest(
        &self,
        destination: &dyn Destination,
        stream: &StreamName,
        unreadable: &mut BTreeSet<String>,
    ) -> Result<Option<Newest>, Error> {
        let mut newest = None;
        for project in &self.projects {
            let place = Place::of(destination, project)?;
            let tags = place.tags().await?;
            let of_stream: Vec<(Sequence, &RecordedTag)> =
                tags.iter().filter_map(|known| Some((sequence_of(&known.tag, stream)?, known))).collect();
            let mut of_stream = of_stream;
            of_stream.sort_by_key(|(sequence, _)| std::cmp::Reverse(*sequence));
            let mut highest: Option<Sequence> = None;
            for (sequence, RecordedTag { tag, annotations }) in of_stream.into_iter().take(MOST_LOOKED_AT) {
                if highest.is_some_and(|highest| sequence < highest) {
                    break;
                }
                let bundle = match annotations {
                    Some(annotations) => bundle_of(annotations),
                    None => match place.bundle(tag).await {
                        // Distribution lists a tag a moment before it has it (registry/storage/tagstore.go): the
                        // record that another import is writing now counts as one that is written later.
                        Err(error) if error.status() == Some(404) => continue,
                        bundle => bundle?,
                    },
                };
                match bundle {
                    Some(bundle) if tag_of(&bundle).as_ref() == Some(tag) => {
                        newest = Newest::merge(newest, Some(Newest::after(None, &bundle)));
                        highest = Some(sequence);
                    }
                    _ => {
                        unreadable.insert(format!("{}:{tag}", place.repository));
                    }
                }
            }
        }
        Ok(newest)
    }

    /// Adds a bundle to the record.
    ///
    /// # Errors
    /// The registry cannot be written to.
    pub async fn remember(&self, destination: &dyn Destination, bundle: &BundleId) -> Result<(), Error> {
        let tag = tag_of(bundle).ok_or_else(|| misbehaved(destination, "a bundle makes no tag"))?;
        let media_type: MediaType =
            MediaType::IMAGE_MANIFEST.parse().map_err(|_| misbehaved(destination, "no media type"))?;
        let manifest = Bytes::from(manifest_of(bundle));
        let empty = Digest::of(EMPTY);
        for project in &self.projects {
            let place = Place::of(destination, project)?;
            let target = place.target(&tag);
            // A tag that cannot move must not even be set to what it is.
            if destination.digest_at(&target, empty).await?.is_some() {
                continue;
            }
            let repository = &place.repository;
            if !destination.has_blob(repository, empty).await? {
                let blob = Blob { digest: empty, size: EMPTY.len() as u64 };
                destination.put_blob(repository, blob, None, &Empty).await?;
            }
            let name = Name::Tag(tag.clone());
            destination.put_manifest(repository, &name, &media_type, manifest.clone()).await?;
        }
        Ok(())
    }
}

/// All repositories that an import of a statement writes to, sorted, with those of the record.
pub fn repositories(statement: &Statement) -> Vec<RepositoryName> {
    let record = Record::of(statement);
    let names = record
        .projects
        .iter()
        .filter_map(|project| RECORD_REPOSITORY.parse::<RepositoryName>().ok()?.under(project.as_str()).ok());
    let mut all: Vec<RepositoryName> =
        statement.artifacts.iter().filter_map(|artifact| artifact.target.path().ok()).chain(names).collect();
    all.sort();
    all.dedup();
    all
}

/// The record's repository in one project.
struct Place<'a> {
    destination: &'a dyn Destination,
    project: &'a ProjectName,
    /// The name inside the project.
    name: RepositoryName,
    /// The whole name.
    repository: RepositoryName,
}

impl<'a> Place<'a> {
    fn of(destination: &'a dyn Destination, project: &'a ProjectName) -> Result<Self, Error> {
        let too_long = || misbehaved(destination, "the name of the record is too long");
        let name: RepositoryName = RECORD_REPOSITORY.parse().map_err(|_| too_long())?;
        let target = Target { project: project.clone(), repository: name.clone(), tag: None };
        let repository = destination.repository(&target)?;
        Ok(Self { destination, project, name, repository })
    }

    fn target(&self, tag: &Tag) -> Target {
        Target { project: self.project.clone(), repository: self.name.clone(), tag: Some(tag.clone()) }
    }

    async fn tags(&self) -> Result<Vec<RecordedTag>, Error> {
        let target = Target { project: self.project.clone(), repository: self.name.clone(), tag: None };
        self.destination.tags(&target).await
    }

    async fn bundle(&self, tag: &Tag) -> Result<Option<BundleId>, Error> {
        let fetched = self.destination.manifest(&self.repository, &Name::Tag(tag.clone())).await?;
        Ok(match Manifest::parse(&fetched.bytes, &fetched.media_type) {
            Ok(Manifest::Image(image)) => bundle_of(&image.annotations),
            _ => None,
        })
    }
}

fn misbehaved(destination: &dyn Destination, what: impl Into<String>) -> Error {
    Error::Misbehaved { host: destination.registry().to_string(), what: what.into() }
}

fn tag_of(bundle: &BundleId) -> Option<Tag> {
    format!("{}.{}.{}", bundle.stream, bundle.sequence, bundle.statement.short()).parse().ok()
}

/// The sequence in a tag of this stream. Streams may have dots and numbers in their names too, so
/// the tag is read from its end.
fn sequence_of(tag: &Tag, stream: &StreamName) -> Option<Sequence> {
    let (start, digest) = tag.as_str().rsplit_once('.')?;
    let (name, sequence) = start.rsplit_once('.')?;
    let hex = digest.len() == 12 && digest.bytes().all(|byte| matches!(byte, b'0'..=b'9' | b'a'..=b'f'));
    let sequence: Sequence = sequence.parse().ok().filter(|_| hex && !sequence.starts_with('0'))?;
    (name == stream.to_string()).then_some(sequence)
}

/// The same bundle gives the same bytes: to remember it twice changes nothing.
fn manifest_of(bundle: &BundleId) -> Vec<u8> {
    let empty = json!({"mediaType": EMPTY_TYPE, "digest": Digest::of(EMPTY), "size": EMPTY.len()});
    let annotations: BTreeMap<&str, String> = BTreeMap::from([
        (STREAM, bundle.stream.to_string()),
        (SEQUENCE, bundle.sequence.to_string()),
        (STATEMENT, bundle.statement.to_string()),
    ]);
    let manifest = json!({
        "schemaVersion": 2,
        "mediaType": MediaType::IMAGE_MANIFEST,
        "artifactType": ARTIFACT_TYPE,
        "config": empty,
        "layers": [empty],
        "annotations": annotations,
    });
    manifest.to_string().into_bytes()
}

fn bundle_of(annotations: &BTreeMap<String, String>) -> Option<BundleId> {
    let value = |name| annotations.get(name);
    Some(BundleId {
        stream: value(STREAM)?.parse().ok()?,
        sequence: value(SEQUENCE)?.parse().ok()?,
        statement: value(STATEMENT)?.parse().ok()?,
    })
}

struct Empty;

impl BlobSource for Empty {
    fn open(&self) -> Option<BoxStream<'static, std::io::Result<Bytes>>> {
        Some(futures_util::stream::once(async { Ok(Bytes::from_static(EMPTY)) }).boxed())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn bundle(stream: &str, sequence: u64) -> BundleId {
        BundleId {
            stream: stream.parse().unwrap(),
            sequence: sequence.try_into().unwrap(),
            statement: Digest::of(b"statement"),
        }
    }

    #[test]
    fn a_tag_belongs_to_one_stream_only() {
        let nightly: StreamName = "nightly".parse().unwrap();
        for (stream, sequence) in [("nightly", 42), ("nightly", (1 << 53) - 1)] {
            let tag = tag_of(&bundle(stream, sequence)).unwrap();
            assert_eq!(sequence_of(&tag, &nightly).map(u64::from), Some(sequence));
        }
        let longest = "a".repeat(64);
        assert!(tag_of(&bundle(&longest, (1 << 53) - 1)).is_some());
        for other in ["nightly.1", "weekly", "night"] {
            assert_eq!(sequence_of(&tag_of(&bundle(other, 42)).unwrap(), &nightly), None, "{other}");
        }
        for other in [
            "latest",
            "nightly.42",
            "nightly.042.0123456789ab",
            "nightly.42.0123456789AB",
            "nightly.x.0123456789ab",
        ] {
            assert_eq!(sequence_of(&other.parse().unwrap(), &nightly), None, "{other}");
        }
    }

    #[test]
    fn a_record_reads_back_as_it_was_written() {
        let written = bundle("nightly", 42);
        let bytes = manifest_of(&written);
        assert_eq!(bytes, manifest_of(&written));
        let manifest = Manifest::parse(&bytes, &MediaType::IMAGE_MANIFEST.parse().unwrap()).unwrap();
        let Manifest::Image(image) = manifest else { panic!("it is an index") };
        assert_eq!(bundle_of(&image.annotations), Some(written));
    }
}
