//! Lists the streams in a registry's record, and takes bundles back out of it after a mistake. Takes a
//! destination and its projects; gives each stream, and adds who took back which bundle, when and why.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use bundle_format::{BundleId, Sequence, StreamName, Timestamp};
use bundle_oci::{Digest, ProjectName, Tag};
use bundle_registry::Error;
use bundle_trust::Signer;

use crate::stream::place::{Document, Place, read_tag};
use crate::stream::record::{TAKEN_BACK, annotations_of, bundle_of, tag_of};
use crate::stream::recorded::{Disbelief, RecordKeys, Records};
use crate::stream::tags::{ListedBundle, StreamTags};
use crate::{Destination, HistoryError, Newest, Record, RecordedTag};

/// How many bundles of a stream are read, the newest first.
const MOST_READ: usize = 1000;
/// The artifact's type.
const ARTIFACT_TYPE: &str = "application/vnd.bundle.taken-back.v1+json";
const BY: &str = "bundle.taken-back.by";
const AT: &str = "bundle.taken-back.at";
const REASON: &str = "bundle.taken-back.reason";

/// A registry's record of one stream.
#[derive(Clone, Debug)]
pub struct RecordedStream {
    /// The stream.
    pub stream: StreamName,
    /// The accepted bundles, the newest first; at most as many as were asked for.
    pub bundles: Vec<RecordedBundle>,
    /// How many more there are.
    pub more: usize,
    /// The bundles with their signers, as far as they are known.
    pub listed: Vec<ListedBundle>,
    /// The digests that the stream gave to tags last, by `project/repository:tag`, as far as they are known.
    pub tags: BTreeMap<String, Vec<Digest>>,
}

/// A bundle of the record.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RecordedBundle {
    /// The bundle.
    pub bundle: BundleId,
    /// The withdrawal, if it was taken back.
    pub taken_back: Option<TakenBack>,
}

/// The withdrawal of a bundle that was accepted by mistake.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct TakenBack {
    /// The person who took it back.
    pub by: String,
    /// When, by that machine's clock.
    pub at: Timestamp,
    /// Why.
    pub reason: String,
}

/// The tags of one stream by number, each with the positions of the projects where it was found: whoever can push to
/// one of them can write a tag of the same name, which must not hide what another has.
type Tags = BTreeMap<(Sequence, String), Vec<(usize, RecordedTag)>>;

impl RecordedStream {
    /// Reads the record in these projects of `stream`, or of all streams, by name. Unreadable entries are
    /// added to `unreadable`.
    ///
    /// # Errors
    /// The registry cannot be asked.
    pub async fn read(
        destination: &dyn Destination,
        projects: &[ProjectName],
        stream: Option<&StreamName>,
        most: usize,
        keys: RecordKeys,
        unreadable: &mut BTreeSet<String>,
    ) -> Result<Vec<Self>, Error> {
        let mut streams =
            Self::accepted(destination, projects, stream, most, keys.clone(), unreadable).await?;
        let record = Record::in_projects(projects.to_vec()).believed(Records::by(keys));
        for known in &mut streams {
            let tags = StreamTags::recall(&record, destination, &known.stream).await?;
            unreadable.extend(tags.ignored);
            known.listed = tags.bundles;
            known.tags = tags.set;
        }
        Ok(streams)
    }

    /// The same without the bundles' signers, for which manifests would have to be read.
    ///
    /// # Errors
    /// The registry cannot be asked.
    pub async fn accepted(
        destination: &dyn Destination,
        projects: &[ProjectName],
        stream: Option<&StreamName>,
        most: usize,
        keys: RecordKeys,
        unreadable: &mut BTreeSet<String>,
    ) -> Result<Vec<Self>, Error> {
        let records = Records::by(keys);
        let mut accepted: BTreeMap<StreamName, Tags> = BTreeMap::new();
        let mut back: BTreeMap<String, Vec<(usize, RecordedTag)>> = BTreeMap::new();
        for (position, project) in projects.iter().enumerate() {
            for known in Place::of(destination, project)?.tags().await? {
                let tag = known.tag.as_str().to_owned();
                if let Some(of) = tag.strip_suffix(TAKEN_BACK) {
                    back.entry(of.to_owned()).or_default().push((position, known));
                } else if let Some((name, number)) = read_tag(&tag)
                    && stream.is_none_or(|stream| *stream == name)
                {
                    let tags = accepted.entry(name).or_default();
                    tags.entry((number, tag)).or_default().push((position, known));
                }
            }
        }
        let mut streams = Vec::new();
        for (name, tags) in accepted {
            let mut bundles = Vec::new();
            let all = tags.len();
            for ((_, tag), places) in tags.into_iter().rev().take(most.min(MOST_READ)) {
                let (mut believed, mut disbelieved) = (None, Vec::new());
                for (position, known) in places {
                    let Some(project) = projects.get(position) else { continue };
                    match Place::of(destination, project)?.bundle(&known, Some(&records)).await? {
                        Some(Ok(bundle)) => {
                            believed = Some(bundle);
                            break;
                        }
                        Some(Err(name)) => disbelieved.push(name),
                        None => {}
                    }
                }
                let Some(bundle) = believed else {
                    unreadable.extend(disbelieved);
                    continue;
                };
                let mut mark = None;
                for (position, known) in back.get(&tag).into_iter().flatten() {
                    let project = projects.get(*position);
                    mark = taken_back(destination, project, known, &records, &tag, unreadable).await?;
                    if mark.is_some() {
                        break;
                    }
                }
                bundles.push(RecordedBundle { bundle, taken_back: mark });
            }
            let more = all.saturating_sub(most.min(MOST_READ));
            streams.push(Self { stream: name, bundles, more, listed: Vec::new(), tags: BTreeMap::new() });
        }
        Ok(streams)
    }

    /// The newest bundle that counts.
    pub fn newest(&self) -> Option<Newest> {
        let counting = self.bundles.iter().filter(|bundle| bundle.taken_back.is_none());
        counting.fold(None, |newest, each| Newest::merge(newest, Some(Newest::after(None, &each.bundle))))
    }

    /// The bundles that count and are newer than `sequence`; all of them, if there is none.
    pub fn above(&self, sequence: Option<Sequence>) -> Vec<BundleId> {
        let counting = self.bundles.iter().filter(|bundle| bundle.taken_back.is_none());
        let above = counting.filter(|each| sequence.is_none_or(|sequence| each.bundle.sequence > sequence));
        above.map(|each| each.bundle.clone()).collect()
    }
}

/// Takes bundles back: the record of each of these projects gets an entry with the person, the time and the
/// reason, and they no longer count. Nothing is removed, so that it works where tags cannot be.
///
/// With the site's key, the marks are signed: importers that have it believe no others.
///
/// # Errors
/// The registry cannot be written to, or a mark cannot be signed.
pub async fn take_back(
    destination: &dyn Destination,
    projects: &[ProjectName],
    bundles: &[BundleId],
    mark: &TakenBack,
    site_key: Option<Arc<Signer>>,
) -> Result<(), HistoryError> {
    let records = Records::by(site_key.into());
    for project in projects {
        let place = Place::of(destination, project)?;
        // Only where a bundle itself is recorded: the account need not be able to write anywhere else.
        let known: BTreeSet<Tag> = place.tags().await?.into_iter().map(|known| known.tag).collect();
        for bundle in bundles {
            let Some(record) = tag_of(bundle).filter(|record| known.contains(record)) else { continue };
            let Ok(tag) = format!("{record}{TAKEN_BACK}").parse::<Tag>() else { continue };
            let mut annotations = annotations_of(bundle);
            annotations.extend([
                (BY, mark.by.clone()),
                (AT, mark.at.to_string()),
                (REASON, mark.reason.clone()),
            ]);
            let (by, at, reason) = (&mark.by, &mark.at.to_string(), &mark.reason);
            records.sign(&mut annotations, &signed_lines(bundle, by, at, reason))?;
            let document = Document { artifact_type: ARTIFACT_TYPE, layer: None, annotations };
            if !known.contains(&tag) {
                place.add(&tag, &document).await?;
            } else if records.are_signed() {
                // A mark by another key, or without one, is replaced.
                let record = record.as_str();
                place.replace(&tag, &document, |there| is_mark(&records, there, record)).await?;
            }
        }
    }
    Ok(())
}

/// The lines of a mark that the site's key signs.
fn signed_lines(bundle: &BundleId, by: &str, at: &str, reason: &str) -> Vec<String> {
    let BundleId { stream, sequence, statement } = bundle;
    let named = [stream.to_string(), sequence.to_string(), statement.to_string()];
    let told = [by.to_owned(), at.to_owned(), reason.to_owned()];
    std::iter::once("bundle.taken-back.v1".to_owned()).chain(named).chain(told).collect()
}

/// Whether these are the annotations of a mark for the bundle with this record, signed by the site if it has a key.
pub(super) fn is_mark(records: &Records, annotations: &BTreeMap<String, String>, record: &str) -> bool {
    let text = |name| annotations.get(name).map_or("", String::as_str);
    bundle_of(annotations).is_some_and(|bundle| {
        tag_of(&bundle).is_some_and(|tag| tag.as_str() == record)
            && records.has_signed(annotations, &signed_lines(&bundle, text(BY), text(AT), text(REASON)))
    })
}

/// The withdrawal of a bundle: the person, the time and the reason; nothing if the site has a key and did not
/// sign it.
async fn taken_back(
    destination: &dyn Destination,
    project: Option<&ProjectName>,
    known: &RecordedTag,
    records: &Records,
    record: &str,
    unreadable: &mut BTreeSet<String>,
) -> Result<Option<TakenBack>, Error> {
    let annotations = match (&known.annotations, project) {
        (Some(annotations), _) => annotations.clone(),
        (None, Some(project)) => {
            Place::of(destination, project)?.annotations(&known.tag).await?.unwrap_or_default()
        }
        (None, None) => BTreeMap::new(),
    };
    if records.are_signed() && !is_mark(records, &annotations, record) {
        unreadable.insert(format!("{}, which {},", known.tag, Disbelief::Unsigned));
        return Ok(None);
    }
    let text = |name| annotations.get(name).cloned().unwrap_or_else(|| "unknown".to_owned());
    let at = annotations.get(AT).and_then(|at| at.parse().ok());
    let at = at.or_else(|| Timestamp::from_unix(0).ok()).unwrap_or_else(Timestamp::now);
    Ok(Some(TakenBack { by: text(BY), at, reason: text(REASON) }))
}
