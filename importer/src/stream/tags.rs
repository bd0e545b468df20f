//! The tags that a stream's bundles set, as the registry's record keeps them: by these, and by these only, the
//! stream's next bundle moves a tag without being asked. Takes a record and a plan, gives and writes a list.

use std::collections::{BTreeMap, BTreeSet};

use bundle_format::{BundleId, Sequence, StreamName, Timestamp};
use bundle_oci::{Digest, Tag};
use bundle_registry::Error;
use bytes::Bytes;
use serde::{Deserialize, Serialize};

use crate::stream::place::{Document, Layer, Place};
use crate::stream::record::{Crowded, LIST, Recorded};
use crate::stream::recorded::Disbelief;
use crate::{Decision, Destination, HistoryError, ImportPlan, Limits, Record};

/// The type of the artifact and its layer.
const TYPE: &str = "application/vnd.bundle.tags.v1+json";
const VERSION: u64 = 1;
/// How many lists are fetched, the newest first, where some cannot be read.
const MOST_FETCHED: usize = 16;
/// How many manifests of lists are looked at. Where the site has a key, a list that it did not sign is not fetched, so
/// that one costs whoever forges it more than the reader.
const MOST_LOOKED_AT: usize = 1000;

/// The tags that a stream set, as far as they are known.
#[derive(Clone, Debug, Default)]
pub(crate) struct StreamTags {
    /// The digests that the stream gave to a tag last, by `project/repository:tag`: that of the newest bundle, and
    /// that from which it moves the tag, for it may have been interrupted; more where imports ran at once.
    pub(crate) set: BTreeMap<String, Vec<Digest>>,
    /// How many there are: no more than [`Limits::listed_tags`], for whoever can push there can write lists.
    count: usize,
    /// The bundles that the lists are of, and who signed them.
    pub(crate) bundles: Vec<ListedBundle>,
    /// The number that the next list gets; none if there is no next one.
    next: Option<Sequence>,
    /// The lists that count for nothing.
    pub(crate) ignored: BTreeSet<String>,
    /// The repository where too many of them do.
    pub(crate) crowded: Option<Crowded>,
}

/// How far an import is with the tags that it moves.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Moves {
    /// It is going to move them. One that it does not come to is still what the stream made of it.
    Ahead,
    /// It has moved them. A later change back is by another owner.
    Done,
}

/// The bundle that a list was written for.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, rename_all = "camelCase")]
pub struct ListedBundle {
    /// The bundle.
    pub bundle: BundleId,
    /// When it was made.
    pub created: Timestamp,
    /// The names of the keys that signed it, as the importing site calls them.
    pub signers: Vec<String>,
}

/// The list of the tags, as it is kept.
#[derive(Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields, rename_all = "camelCase")]
struct List {
    tags_version: u64,
    of: ListedBundle,
    tags: Vec<(String, Digest)>,
}

impl StreamTags {
    /// The tags that a stream set.
    ///
    /// # Errors
    /// The registry cannot be asked.
    pub(crate) async fn recall(
        record: &Record,
        destination: &dyn Destination,
        stream: &StreamName,
    ) -> Result<Self, Error> {
        // The stream's history reports unreadable entries of the record.
        let recorded = record.look(destination, stream, None, &mut BTreeSet::new()).await?;
        let mut ignored = BTreeSet::new();
        let known = Self::read(record, &recorded, destination, stream, &mut ignored).await?;
        Ok(Self { ignored, ..known })
    }

    /// Reads the newest lists of a record.
    ///
    /// # Errors
    /// The registry cannot be asked.
    pub(crate) async fn read(
        record: &Record,
        recorded: &Recorded,
        destination: &dyn Destination,
        stream: &StreamName,
        unreadable: &mut BTreeSet<String>,
    ) -> Result<Self, Error> {
        let mut lists: Vec<&(usize, Sequence, Tag)> = recorded.lists.iter().collect();
        lists.sort_by_key(|(project, number, _)| (std::cmp::Reverse(*number), *project));
        // A bundle that writes to fewer projects than the one before left its list in fewer.
        let mut known = Self::default();
        let mut last = 0;
        let mut highest: BTreeMap<usize, Sequence> = BTreeMap::new();
        let (mut seen, mut looked, mut fetched) = (BTreeSet::new(), 0_usize, 0_usize);
        let records = record.records().filter(|records| records.are_signed());
        for (position, number, tag) in lists {
            if highest.get(position).is_some_and(|highest| number < highest) {
                continue;
            }
            // The same list is in each of the projects.
            if seen.contains(tag) {
                last = last.max(u64::from(*number));
                highest.insert(*position, *number);
                continue;
            }
            let Some(project) = record.projects().get(*position) else { continue };
            let place = Place::of(destination, project)?;
            if looked >= MOST_LOOKED_AT {
                // The site's own list may be below: what is not known to be the stream's must not be said to be.
                if records.is_some() && !highest.contains_key(position) {
                    let (repository, stream, first) = (place.repository, stream.clone(), tag.clone());
                    let kind = "lists of tags";
                    known.crowded.get_or_insert(Crowded { repository, stream, kind, looked, first });
                }
                continue;
            }
            if fetched >= MOST_FETCHED {
                break;
            }
            looked += 1;
            let is_signed = |annotations: &BTreeMap<String, String>, digest: Digest| {
                // A signed list under other tags of its number is a copy that somebody made to use up the bound.
                let is_named = || tag.as_str().ends_with(&format!(".{}{LIST}", digest.short()));
                records.is_none_or(|records| {
                    is_named() && records.has_signed(annotations, &signed_lines(stream, *number, digest))
                })
            };
            let bytes = match place.layer(tag, TYPE, Limits::DEFAULT.tag_list, is_signed).await {
                // Another import is writing it just now: it says the same, or is of the same number.
                Err(error) if error.status() == Some(404) => continue,
                bytes => bytes?,
            };
            let name = || format!("{}:{tag}", place.repository);
            let bytes = match bytes {
                Layer::Bytes(bytes) => bytes,
                Layer::Unsigned => {
                    unreadable.insert(format!("{}, which {},", name(), Disbelief::Unsigned));
                    continue;
                }
                Layer::Unreadable => {
                    // Without a key nobody knows who wrote it: the next list is above it in any case.
                    if records.is_none() {
                        fetched += 1;
                        last = last.max(u64::from(*number));
                    }
                    unreadable.insert(name());
                    continue;
                }
            };
            fetched += 1;
            last = last.max(u64::from(*number));
            let list = serde_json::from_slice::<List>(&bytes).ok();
            let most = Limits::DEFAULT.listed_tags;
            let is_right = |list: &List| {
                list.tags_version == VERSION && list.of.bundle.stream == *stream && list.tags.len() <= most
            };
            match list.filter(is_right) {
                Some(list) => {
                    for (target, digest) in list.tags {
                        known.add(target, digest);
                    }
                    known.bundles.push(list.of);
                    highest.insert(*position, *number);
                    seen.insert(tag);
                }
                None => {
                    unreadable.insert(name());
                }
            }
        }
        known.next = last.saturating_add(1).try_into().ok();
        Ok(known)
    }

    fn add(&mut self, target: String, digest: Digest) {
        if self.count < Limits::DEFAULT.listed_tags {
            let digests = self.set.entry(target).or_default();
            if !digests.contains(&digest) {
                digests.push(digest);
                self.count += 1;
            }
        }
    }

    /// Whether the stream set this tag to this digest, and so to what is there now.
    pub(crate) fn has(&self, target: &bundle_format::Target, found: Digest) -> bool {
        self.set.get(&target.to_string()).is_some_and(|digests| digests.contains(&found))
    }

    /// Adds the tags that a plan is going to set, or has set, to the list, and writes it. A tag that existed
    /// before and does not change was set by somebody else.
    ///
    /// # Errors
    /// The registry cannot be written to, or the list cannot be signed.
    pub(crate) async fn extend(
        mut self,
        record: &Record,
        destination: &dyn Destination,
        of: ListedBundle,
        plan: &ImportPlan,
        moves: Moves,
    ) -> Result<(), HistoryError> {
        let pushed = plan.steps.iter().filter(|step| step.decision.is_push() && step.target.tag.is_some());
        let own: BTreeMap<String, Vec<Digest>> = pushed
            .map(|step| {
                // An import that ends before it moves the tag leaves it as the stream set it before.
                let before = match (moves, step.decision) {
                    (Moves::Ahead, Decision::Move(found)) if self.has(&step.target, found) => Some(found),
                    _ => None,
                };
                (step.target.to_string(), before.into_iter().chain([step.digest]).collect())
            })
            .collect();
        let is_known = |(target, digests): (&String, &Vec<Digest>)| {
            self.set.get(target).is_some_and(|known| {
                known.len() == digests.len() && digests.iter().all(|digest| known.contains(digest))
            })
        };
        // Another import of the bundle has written it meanwhile.
        if own.iter().all(is_known) && self.bundles.contains(&of) {
            return Ok(());
        }
        for (target, digests) in &own {
            self.set.insert(target.clone(), digests.clone());
        }
        let mut tags: Vec<(String, Digest)> = self
            .set
            .into_iter()
            .flat_map(|(target, digests)| digests.into_iter().map(move |digest| (target.clone(), digest)))
            .collect();
        // Beyond the bound, the tags that this bundle set are kept first.
        if tags.len() > Limits::DEFAULT.listed_tags {
            tags.sort_by_key(|(target, _)| !own.contains_key(target));
            tags.truncate(Limits::DEFAULT.listed_tags);
            tags.sort();
        }
        // The size of a pair beside its name: the digest, quotes, brackets and commas.
        let mut bytes = 4096_u64;
        tags.retain(|(target, _)| {
            bytes += target.len() as u64 + 80;
            bytes <= Limits::DEFAULT.tag_list
        });
        let stream = of.bundle.stream.clone();
        let mut annotations = super::record::annotations_of(&of.bundle);
        let Ok(bytes) = serde_json::to_vec(&List { tags_version: VERSION, of, tags }) else { return Ok(()) };
        let Some(number) = self.next else { return Ok(()) };
        let digest = Digest::of(&bytes);
        let tag = format!("{stream}.{number}.{}{LIST}", digest.short()).parse::<Tag>();
        let Ok(tag) = tag else { return Ok(()) };
        if let Some(records) = record.records() {
            records.sign(&mut annotations, &signed_lines(&stream, number, digest))?;
        }
        let document = Document { artifact_type: TYPE, layer: Some((TYPE, Bytes::from(bytes))), annotations };
        let written = |source| HistoryError::Record { doing: "written", source };
        for project in record.projects() {
            let place = Place::of(destination, project).map_err(written)?;
            place.add(&tag, &document).await.map_err(written)?;
        }
        Ok(())
    }
}

/// The lines of a list that the site's key signs: its kind, its stream and number, and the digest of its
/// bytes.
fn signed_lines(stream: &StreamName, number: Sequence, digest: Digest) -> Vec<String> {
    vec!["bundle.tags.v1".to_owned(), stream.to_string(), number.to_string(), digest.to_string()]
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_list_of_tags_has_an_end() {
        let mut tags = StreamTags::default();
        let most = Limits::DEFAULT.listed_tags;
        let digest = |at: usize| Digest::of(&at.to_be_bytes());
        for at in 0..most + 10 {
            tags.add(format!("cache/a:{at}"), digest(at));
        }
        // A known tag counts once, and tags beyond the bound count as set by another owner.
        tags.add("cache/a:0".to_owned(), digest(0));
        let target = |at: usize| format!("cache/a:{at}").parse().unwrap();
        assert!(tags.has(&target(0), digest(0)) && tags.has(&target(most - 1), digest(most - 1)));
        assert!(!tags.has(&target(most), digest(most)));
        assert_eq!((tags.count, tags.set.len()), (most, most));
    }
}
