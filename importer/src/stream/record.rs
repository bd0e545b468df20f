//! The record of accepted bundles in the registry itself: one tag of `bundle-state` for each.
//! Takes a registry and a bundle's name, gives the newest record, or writes one.

use std::collections::{BTreeMap, BTreeSet};

use bundle_format::{BundleId, RECORD_REPOSITORY, Sequence, Statement, StreamName};
use bundle_oci::{ProjectName, RepositoryName, Tag};
use bundle_registry::Error;

use crate::stream::place::{Document, Place, misbehaved, read_tag};
use crate::stream::recorded::{Disbelief, Records};
use crate::stream::repair::is_mark;
use crate::{Destination, HistoryError, Newest, RecordedTag};

/// The registry's own record of streams, which survives a lost disk: the repository `bundle-state` of a
/// project has a small artifact for each accepted bundle, under the tag `<stream>.<sequence>.<start of the
/// digest>` (docs/format.md §Record in the registry). Tags are only added, so that it works where tags cannot
/// move, and with an account that can only push.
#[derive(Clone, Debug)]
pub struct Record {
    projects: Vec<ProjectName>,
    /// The keys whose records are believed; all readable records if none are given.
    records: Option<Records>,
}

/// A registry's record of one stream.
#[derive(Clone, Debug, Default)]
pub(crate) struct Recorded {
    /// The newest bundle that was accepted and not taken back.
    pub(crate) newest: Option<Newest>,
    /// The tags of the bundles that were taken back, as far as anybody looked.
    pub(crate) taken_back: BTreeSet<String>,
    /// The lists of the tags that the stream set: the project's place, the list's number, and its tag.
    pub(crate) lists: Vec<(usize, Sequence, Tag)>,
    /// The first repository where too many entries counted for nothing.
    pub(crate) crowded: Option<Crowded>,
}

/// A repository of the record in which so many entries of a stream count for nothing that those below them were not
/// looked at: nobody knows what the newest is that counts.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error(
    "{repository} has more than {looked} {kind} of the stream '{stream}' that count for nothing, so what counts \
     below them is not known and the bundle is not accepted; the first is {first}"
)]
pub struct Crowded {
    /// The repository.
    pub repository: RepositoryName,
    /// The stream.
    pub stream: StreamName,
    /// What they claim to be.
    pub kind: &'static str,
    /// How many were looked at.
    pub looked: usize,
    /// The tag of the first.
    pub first: Tag,
}

/// How many tags of one stream are looked at, the highest first, where some cannot be read.
const MOST_LOOKED_AT: usize = 1000;
/// The artifact's type.
const ARTIFACT_TYPE: &str = "application/vnd.bundle.accepted.v1+json";
const STREAM: &str = "bundle.stream";
const SEQUENCE: &str = "bundle.sequence";
const STATEMENT: &str = "bundle.statement";
/// The suffix of a record's tag whose bundle was taken back.
pub(super) const TAKEN_BACK: &str = ".taken-back";
/// The suffix of the tag of a list of the tags that a stream set.
pub(super) const LIST: &str = ".tags";

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
        Self { projects: chosen.into_iter().cloned().collect(), records: None }
    }

    /// The records of these projects.
    pub fn in_projects(projects: Vec<ProjectName>) -> Self {
        Self { projects, records: None }
    }

    /// The same, with the keys whose records are believed, and the key for new ones.
    pub(crate) fn believed(self, records: Records) -> Self {
        Self { records: Some(records), ..self }
    }

    /// The keys whose records are believed.
    pub(super) fn records(&self) -> Option<&Records> {
        self.records.as_ref()
    }

    /// The projects that have the record.
    pub fn projects(&self) -> &[ProjectName] {
        &self.projects
    }

    /// Reads a stream's record, and whether the bundle with the tag `asked` was taken back. A record in the
    /// place of the newest bundle that cannot be read is ignored and added to `unreadable`: otherwise an
    /// account that can push there once could stop the stream for good. A mark that the site's key did not
    /// sign is treated alike. There is a bound on those that are looked at; see [`Recorded::crowded`].
    ///
    /// # Errors
    /// The registry cannot be asked.
    pub(crate) async fn look(
        &self,
        destination: &dyn Destination,
        stream: &StreamName,
        asked: Option<&Tag>,
        unreadable: &mut BTreeSet<String>,
    ) -> Result<Recorded, Error> {
        let mut listed = Vec::new();
        for project in &self.projects {
            let place = Place::of(destination, project)?;
            let tags = place.tags().await?;
            listed.push((place, tags));
        }
        let mut recorded = Recorded::default();
        let mut marks = Marks { records: self.records.as_ref(), found: BTreeMap::new() };
        for (position, (place, tags)) in listed.iter().enumerate() {
            for known in tags {
                let tag = &known.tag;
                if let Some(of) = tag.as_str().strip_suffix(TAKEN_BACK) {
                    if number_of(of, stream).is_some() {
                        marks.found.entry(of).or_default().push((place, known));
                    }
                } else if let Some(of) = tag.as_str().strip_suffix(LIST) {
                    recorded
                        .lists
                        .extend(number_of(of, stream).map(|number| (position, number, tag.clone())));
                }
            }
        }
        if let Some(asked) = asked
            && marks.are_right(asked.as_str(), unreadable).await?
        {
            recorded.taken_back.insert(asked.to_string());
        }
        for (place, tags) in &listed {
            let mut of_stream: Vec<(Sequence, &RecordedTag)> = tags
                .iter()
                .filter_map(|known| Some((number_of(known.tag.as_str(), stream)?, known)))
                .collect();
            of_stream.sort_by_key(|(sequence, _)| std::cmp::Reverse(*sequence));
            let mut highest: Option<Sequence> = None;
            let first = of_stream.first().map(|(_, known)| known.tag.clone());
            for (at, (sequence, known)) in of_stream.into_iter().enumerate() {
                if highest.is_some_and(|highest| sequence < highest) {
                    break;
                }
                if at >= MOST_LOOKED_AT {
                    // What is below may be newer than the bundle: that nothing is known must not be said of it.
                    if let (None, Some(first)) = (highest, first) {
                        let (repository, stream) = (place.repository.clone(), stream.clone());
                        let crowded =
                            Crowded { repository, stream, kind: "records", looked: MOST_LOOKED_AT, first };
                        recorded.crowded.get_or_insert(crowded);
                    }
                    break;
                }
                if marks.are_right(known.tag.as_str(), unreadable).await? {
                    recorded.taken_back.insert(known.tag.to_string());
                    continue;
                }
                let Some(bundle) = place.bundle(known, self.records.as_ref()).await? else { continue };
                match bundle {
                    Ok(bundle) => {
                        recorded.newest = Newest::merge(recorded.newest, Some(Newest::after(None, &bundle)));
                        highest = Some(sequence);
                    }
                    Err(name) => {
                        unreadable.insert(name);
                    }
                }
            }
        }
        Ok(recorded)
    }

    /// Adds a bundle to the record.
    ///
    /// # Errors
    /// The registry cannot be written to.
    pub(crate) async fn remember(
        &self,
        destination: &dyn Destination,
        bundle: &BundleId,
    ) -> Result<(), HistoryError> {
        let failed = |source| HistoryError::Record { doing: "written", source };
        let tag = tag_of(bundle).ok_or_else(|| failed(misbehaved(destination, "a bundle makes no tag")))?;
        let annotations = match &self.records {
            Some(records) => records.annotations(bundle)?,
            None => annotations_of(bundle),
        };
        let document = Document { artifact_type: ARTIFACT_TYPE, layer: None, annotations };
        for project in &self.projects {
            let place = Place::of(destination, project).map_err(failed)?;
            match &self.records {
                // A record by another key, or without one, is replaced.
                Some(records) if records.are_signed() => {
                    place.replace(&tag, &document, |there| records.read(there, &tag).is_ok()).await
                }
                _ => place.put(&tag, &document).await,
            }
            .map_err(failed)?;
        }
        Ok(())
    }
}

/// The marks of bundles that were taken back, by the tags of their records.
struct Marks<'a> {
    records: Option<&'a Records>,
    found: BTreeMap<&'a str, Vec<(&'a Place<'a>, &'a RecordedTag)>>,
}

impl Marks<'_> {
    /// Whether there is a mark for this record that counts. Where the site has a key, each is read that matters: one
    /// that others made would let the stream go back, or keep out a bundle that is still to come.
    async fn are_right(&self, record: &str, unreadable: &mut BTreeSet<String>) -> Result<bool, Error> {
        let Some(found) = self.found.get(record) else { return Ok(false) };
        let Some(records) = self.records.filter(|records| records.are_signed()) else { return Ok(true) };
        for (place, known) in found {
            let annotations = match &known.annotations {
                Some(annotations) => Some(annotations.clone()),
                None => match place.annotations(&known.tag).await {
                    Err(error) if error.status() == Some(404) => continue,
                    annotations => annotations?,
                },
            };
            if annotations.is_some_and(|annotations| is_mark(records, &annotations, record)) {
                return Ok(true);
            }
            let why = Disbelief::Unsigned;
            unreadable.insert(format!("{}:{}, which {why},", place.repository, known.tag));
        }
        Ok(false)
    }
}

impl Place<'_> {
    /// The bundle of a tag of the record, or the name of what cannot be read as one; nothing if the tag is
    /// not there any more.
    pub(super) async fn bundle(
        &self,
        known: &RecordedTag,
        records: Option<&Records>,
    ) -> Result<Option<Result<BundleId, String>>, Error> {
        let fetched;
        let annotations = match &known.annotations {
            Some(annotations) => Some(annotations),
            None => match self.annotations(&known.tag).await {
                // Distribution lists a tag a moment before it has it (registry/storage/tagstore.go): the
                // record that another import is writing now counts as one that is written later.
                Err(error) if error.status() == Some(404) => return Ok(None),
                annotations => {
                    fetched = annotations?;
                    fetched.as_ref()
                }
            },
        };
        let name = format!("{}:{}", self.repository, known.tag);
        let Some(annotations) = annotations else { return Ok(Some(Err(name))) };
        let read = match records {
            Some(records) => records.read(annotations, &known.tag),
            None => bundle_of(annotations)
                .filter(|bundle| tag_of(bundle).as_ref() == Some(&known.tag))
                .ok_or(Disbelief::NoRecord),
        };
        Ok(Some(read.map_err(|why| match why {
            Disbelief::NoRecord => name,
            why => format!("{name}, which {why},"),
        })))
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

pub(super) fn tag_of(bundle: &BundleId) -> Option<Tag> {
    format!("{}.{}.{}", bundle.stream, bundle.sequence, bundle.statement.short()).parse().ok()
}

/// The number in a tag of this stream.
fn number_of(tag: &str, stream: &StreamName) -> Option<Sequence> {
    read_tag(tag).filter(|(name, _)| name == stream).map(|(_, number)| number)
}

/// The annotations that name a bundle.
pub(super) fn annotations_of(bundle: &BundleId) -> BTreeMap<&'static str, String> {
    BTreeMap::from([
        (STREAM, bundle.stream.to_string()),
        (SEQUENCE, bundle.sequence.to_string()),
        (STATEMENT, bundle.statement.to_string()),
    ])
}

pub(super) fn bundle_of(annotations: &BTreeMap<String, String>) -> Option<BundleId> {
    let value = |name| annotations.get(name);
    Some(BundleId {
        stream: value(STREAM)?.parse().ok()?,
        sequence: value(SEQUENCE)?.parse().ok()?,
        statement: value(STATEMENT)?.parse().ok()?,
    })
}

#[cfg(test)]
mod tests {
    use bundle_oci::Digest;

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
        let number = |tag: &str| number_of(tag, &nightly).map(u64::from);
        for (stream, sequence) in [("nightly", 42), ("nightly", (1 << 53) - 1)] {
            let tag = tag_of(&bundle(stream, sequence)).unwrap();
            assert_eq!(number(tag.as_str()), Some(sequence));
        }
        let longest = tag_of(&bundle(&"a".repeat(64), (1 << 53) - 1)).unwrap();
        for end in [LIST, TAKEN_BACK] {
            assert!(format!("{longest}{end}").parse::<Tag>().is_ok());
        }
        for other in ["nightly.1", "weekly", "night"] {
            assert_eq!(number(tag_of(&bundle(other, 42)).unwrap().as_str()), None, "{other}");
        }
        for other in [
            "latest",
            "nightly.42",
            "nightly.042.0123456789ab",
            "nightly.42.0123456789AB",
            "nightly.x.0123456789ab",
            "nightly.42.0123456789ab.tags",
            "nightly.42.0123456789ab.taken-back",
        ] {
            assert_eq!(number(other), None, "{other}");
        }
    }
}
