//! The report of `where`: where an image is or was, which bundles brought it, and what could not be read.
//! Takes the answer of a search, gives a model.

use bundle_oci::Printable;
use schemars::JsonSchema;
use serde::Serialize;

use crate::artifact::{dated, shortened};
use crate::table::{Align, Table};
use crate::{BundleEntry, Report, TargetEntry, count};

/// `where`: the places of an image or a digest.
#[derive(Clone, Debug, Serialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct WhereReport {
    /// What was searched for.
    pub subject: String,
    /// The registry that was looked at. Absent if none was.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub to: Option<String>,
    /// The number of receipts that were read and are signed by a site's key.
    pub receipts: usize,
    /// The number of bundles that were read and are trusted.
    pub bundles: usize,
    /// The places, by registry and name; of one tag the newest artifact first.
    pub places: Vec<PlaceEntry>,
    /// Receipts, bundles and records that could not be read or are not believed. With any of them, the answer may lack
    /// something, and the exit code is 6.
    pub problems: Vec<ProblemEntry>,
    /// Whether text shows whole digests.
    #[serde(skip)]
    #[schemars(skip)]
    pub long: bool,
}

/// A place where an artifact is or was.
#[derive(Clone, Debug, Serialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct PlaceEntry {
    /// The registry. Absent for what only a bundle names that was imported nowhere, as far as anything says.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub registry: Option<String>,
    /// The place in the registry.
    pub target: TargetEntry,
    /// The digest of the manifest or index.
    pub digest: String,
    /// The digest that was searched for, if it is a part of this artifact: a platform's manifest, a config or a layer.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub part: Option<String>,
    /// The sites whose receipts name it.
    pub sites: Vec<String>,
    /// The imports that put it there, oldest first.
    pub brought: Vec<BringingEntry>,
    /// The first import that names it, if none put it there: it was there before, or was left out.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub first: Option<BringingEntry>,
    /// The number of bundles that name it there.
    pub bundles: usize,
    /// The files, lists and charts that asked for it, as the newest bundle says that was read.
    pub reasons: Vec<String>,
    /// The streams whose bundles name it.
    pub streams: Vec<StandingEntry>,
    /// The newest bundles of streams that set this tag to this digest, as the registry's record says.
    pub recorded: Vec<BundleEntry>,
    /// there, other (the tag has another digest), untagged (the artifact is there, its tag is not), gone, or unknown
    /// (nobody looked).
    pub now: NowWord,
    /// The digest that the tag has now, if it is another one.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub now_digest: Option<String>,
    /// Whether anything that was read says where it comes from.
    pub known: bool,
}

/// What is in a place now.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
pub enum NowWord {
    /// Nobody looked.
    Unknown,
    /// The artifact, under its tag if it has one.
    There,
    /// The tag has another digest.
    Other,
    /// The artifact is there, and its tag is not.
    Untagged,
    /// Nothing.
    Gone,
}

/// An import of an artifact.
#[derive(Clone, Debug, Serialize, JsonSchema)]
pub struct BringingEntry {
    /// The bundle.
    pub bundle: BundleEntry,
    /// When the import ended.
    pub imported: String,
    /// pushed, moved, present, skipped or missing.
    pub outcome: String,
    /// The names of the keys that signed the bundle, as the site calls them.
    pub signers: Vec<String>,
    /// The site.
    pub site: String,
    /// The file of the receipt.
    pub receipt: String,
}

/// A stream and an artifact that its bundles name.
#[derive(Clone, Debug, Serialize, JsonSchema)]
pub struct StandingEntry {
    /// The newest bundle that names it.
    pub last: BundleEntry,
    /// The names of the keys that signed that one.
    pub signers: Vec<String>,
    /// The newest bundle of the stream there.
    pub newest: BundleEntry,
    /// Whether that one still has it.
    pub wanted: bool,
}

/// Something that could not be read or is not believed.
#[derive(Clone, Debug, Serialize, JsonSchema)]
pub struct ProblemEntry {
    /// receipt, bundle, record or accepted (a bundle that the registry accepted, of which nothing else was read).
    pub kind: String,
    /// The file, the entry or the bundle.
    pub name: String,
    /// The cause.
    pub message: String,
}

impl ProblemEntry {
    /// One line for people.
    pub(crate) fn text(&self) -> String {
        let what = match self.kind.as_str() {
            "accepted" => "accepted bundle",
            "record" => "registry's record",
            kind => kind,
        };
        format!("not read: {what} {}: {}\n", Printable(&self.name), Printable(&self.message))
    }
}

impl Report for WhereReport {
    fn text(&self) -> String {
        let mut table = Table::new([
            ("IMAGE", Align::Left),
            ("DIGEST", Align::Left),
            ("BROUGHT BY", Align::Left),
            ("IMPORTED", Align::Left),
            ("SITE", Align::Left),
            ("SIGNED BY", Align::Left),
            ("NOW", Align::Left),
        ]);
        for place in &self.places {
            let by = place.brought.last();
            let bundle = match (by, &place.first) {
                (Some(by), _) => named(&by.bundle),
                (None, Some(_)) => "there before".to_owned(),
                (None, None) => "unknown".to_owned(),
            };
            let bundle = match (place.registry.is_none(), place.streams.first()) {
                (true, Some(standing)) => named(&standing.last),
                _ => bundle,
            };
            let signers = match (by, place.streams.first()) {
                (Some(by), _) => by.signers.join(", "),
                (None, Some(standing)) if place.first.is_none() => standing.signers.join(", "),
                _ => String::new(),
            };
            let digest = if self.long { place.digest.clone() } else { shortened(&place.digest) };
            table.row(
                [
                    place.target.to_string(),
                    digest,
                    bundle,
                    by.map_or_else(String::new, |by| by.imported.clone()),
                    place.sites.join(", "),
                    signers,
                    place.now_text(),
                ],
                place.notes(),
            );
        }
        let mut text = table.text();
        for problem in &self.problems {
            text.push_str(&problem.text());
        }
        text.push_str(&format!(
            "{} of {}; read {} and {}{}\n",
            count(self.places.len(), "place"),
            Printable(&self.subject),
            count(self.receipts, "receipt"),
            count(self.bundles, "bundle"),
            self.to.as_ref().map_or_else(String::new, |to| format!(", looked at {to}"))
        ));
        text
    }
}

/// A bundle without its digest.
fn named(bundle: &BundleEntry) -> String {
    format!("{} {}", bundle.stream, dated(bundle.sequence))
}

impl PlaceEntry {
    fn now_text(&self) -> String {
        match (self.now, &self.now_digest) {
            (NowWord::Unknown, _) => String::new(),
            (NowWord::There, _) => "there".to_owned(),
            (NowWord::Other, Some(digest)) => format!("tag has {}", shortened(digest)),
            (NowWord::Other, None) => "tag has another digest".to_owned(),
            (NowWord::Untagged, _) => "untagged".to_owned(),
            (NowWord::Gone, _) => "gone".to_owned(),
        }
    }

    /// What else is to be said, one line each.
    fn notes(&self) -> Vec<String> {
        let mut notes = Vec::new();
        match &self.registry {
            Some(registry) => notes.push(format!("at {registry}")),
            None => notes.push("no receipt says that the bundle was imported".to_owned()),
        }
        notes.extend(self.part.as_ref().map(|part| format!("{part} is a part of it")));
        if self.brought.is_empty()
            && let Some(first) = &self.first
        {
            let how = match first.outcome.as_str() {
                "present" => "it was there before",
                "skipped" => "it was left out, because its tag had another digest, by",
                _ => "it was not delivered by",
            };
            notes.push(format!("{how} bundle {}, imported {}", named(&first.bundle), first.imported));
        }
        if let [earlier @ .., _] = self.brought.as_slice() {
            let earlier = earlier.iter().map(|it| format!("{} ({})", named(&it.bundle), it.imported));
            let earlier: Vec<String> = earlier.collect();
            if !earlier.is_empty() {
                notes.push(format!("also brought by {}", earlier.join(", ")));
            }
        }
        if !self.reasons.is_empty() {
            notes.push(format!("asked for by {}", self.reasons.join(", ")));
        }
        for standing in &self.streams {
            let (last, newest) = (named(&standing.last), named(&standing.newest));
            if standing.wanted {
                notes.push(format!("in {newest}, the newest bundle of its stream"));
            } else {
                notes.push(format!(
                    "last in {last}; {newest}, the newest bundle of its stream, no longer has it"
                ));
            }
        }
        for bundle in &self.recorded {
            notes.push(format!("the registry's record says that the stream '{}' set the tag", bundle.stream));
        }
        if !self.known {
            notes.push("nothing that was read says who brought it".to_owned());
        }
        notes
    }
}
