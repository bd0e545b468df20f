//! The tags that a stream's bundles set, as the registry's record keeps them: by these, and by these only, the
//! stream's next bundle moves a tag without being asked. Takes a record and a plan, gives and writes a list.

use std::collections::{BTreeMap, BTreeSet};

use bundle_format::{BundleId, Sequence, StreamName, Timestamp};
use bundle_oci::{Digest, Tag};
use bundle_registry::Error;
use bytes::Bytes;
use serde::{Deserialize, Serialize};

use crate::stream::place::{Document, Place};
use crate::stream::record::{LIST, Recorded};
use crate::{Decision, Destination, ImportPlan, Limits, Record};

/// The type of the artifact and its layer.
const TYPE: &str = "application/vnd.bundle.tags.v1+json";
const VERSION: u64 = 1;
/// How many lists are looked at, the newest first, where some cannot be read.
const MOST_LOOKED_AT: usize = 16;

/// The tags that a stream set, as far as they are known.
#[derive(Clone, Debug, Default)]
pub(crate) struct StreamTags {
    /// The digests that the stream gave to a tag last, by `project/repository:tag`: that of the newest bundle, and
    /// that from which it moves the tag, for it may have been interrupted; more where imports ran at once.
    set: BTreeMap<String, BTreeSet<Digest>>,
    /// The bundles that the lists are of, and who signed them.
    pub(crate) bundles: Vec<ListedBundle>,
    /// The number that the next list gets; none if there is no next one.
    next: Option<Sequence>,
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
        let recorded = record.look(destination, stream, &mut BTreeSet::new()).await?;
        Self::read(record, &recorded, destination, stream, &mut BTreeSet::new()).await
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
        let (mut seen, mut looked) = (BTreeSet::new(), 0);
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
            looked += 1;
            if looked > MOST_LOOKED_AT {
                break;
            }
            let Some(project) = record.projects().get(*position) else { continue };
            let place = Place::of(destination, project)?;
            let bytes = match place.layer(tag, TYPE, Limits::DEFAULT.tag_list).await {
                // Another import is writing it just now: it says the same, or is of the same number.
                Err(error) if error.status() == Some(404) => continue,
                bytes => bytes?,
            };
            last = last.max(u64::from(*number));
            let list = bytes.and_then(|bytes| serde_json::from_slice::<List>(&bytes).ok());
            match list.filter(|list| list.tags_version == VERSION && list.of.bundle.stream == *stream) {
                Some(list) => {
                    for (target, digest) in list.tags {
                        known.set.entry(target).or_default().insert(digest);
                    }
                    known.bundles.push(list.of);
                    highest.insert(*position, *number);
                    seen.insert(tag);
                }
                None => {
                    unreadable.insert(format!("{}:{tag}", place.repository));
                }
            }
        }
        known.next = last.saturating_add(1).try_into().ok();
        Ok(known)
    }

    /// Whether the stream set this tag to this digest, and so to what is there now.
    pub(crate) fn has(&self, target: &bundle_format::Target, found: Digest) -> bool {
        self.set.get(&target.to_string()).is_some_and(|digests| digests.contains(&found))
    }

    /// Adds the tags that a plan is going to set to the list, and writes it. A tag that existed before and
    /// does not change was set by somebody else.
    ///
    /// # Errors
    /// The registry cannot be written to.
    pub(crate) async fn extend(
        mut self,
        record: &Record,
        destination: &dyn Destination,
        of: ListedBundle,
        plan: &ImportPlan,
    ) -> Result<(), Error> {
        let pushed = plan.steps.iter().filter(|step| step.decision.is_push() && step.target.tag.is_some());
        let own: BTreeMap<String, BTreeSet<Digest>> = pushed
            .map(|step| {
                // An import that ends before it moves the tag leaves it as the stream set it before.
                let before = match step.decision {
                    Decision::Move(found) if self.has(&step.target, found) => Some(found),
                    _ => None,
                };
                (step.target.to_string(), before.into_iter().chain([step.digest]).collect())
            })
            .collect();
        let before = self.set.clone();
        self.set.extend(own.clone());
        // Another import of the bundle has written it meanwhile.
        if self.set == before && self.bundles.contains(&of) {
            return Ok(());
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
        let annotations = super::record::annotations_of(&of.bundle);
        let Ok(bytes) = serde_json::to_vec(&List { tags_version: VERSION, of, tags }) else { return Ok(()) };
        let number =
            self.next.map(|number| format!("{stream}.{number}.{}{LIST}", Digest::of(&bytes).short()));
        let Some(tag) = number.and_then(|tag| tag.parse::<Tag>().ok()) else { return Ok(()) };
        let document = Document { artifact_type: TYPE, layer: Some((TYPE, Bytes::from(bytes))), annotations };
        for project in record.projects() {
            Place::of(destination, project)?.add(&tag, &document).await?;
        }
        Ok(())
    }
}
