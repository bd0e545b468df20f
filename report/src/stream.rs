//! The reports of `stream show` and `stream repair`, of either side. Takes what is known of streams, gives
//! models.

use schemars::JsonSchema;
use serde::Serialize;

use crate::artifact::dated;
use crate::{BundleEntry, Bytes, Report, count};

/// `stream show --to`: what a registry and this machine remember of streams.
#[derive(Clone, Debug, Serialize, JsonSchema)]
pub struct RecordedStreamsReport {
    /// The registry.
    pub to: String,
    /// The streams, by name.
    pub streams: Vec<RecordedStreamEntry>,
    /// Entries of the record that cannot be read.
    pub unreadable: Vec<String>,
}

/// A stream, as the far side knows it.
#[derive(Clone, Debug, Serialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct RecordedStreamEntry {
    /// The stream.
    pub stream: String,
    /// The newest sequence in this machine's state file; null if it knows none.
    pub state: Option<u64>,
    /// The accepted bundles in the registry's record, the newest first.
    pub bundles: Vec<RecordedBundleEntry>,
    /// The number of older bundles that are not listed.
    pub more: usize,
}

/// A bundle that a registry's record has.
#[derive(Clone, Debug, Serialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct RecordedBundleEntry {
    /// The bundle.
    #[serde(flatten)]
    pub bundle: BundleEntry,
    /// When it was made; null if it is not known.
    pub created: Option<String>,
    /// The names of the keys that signed; empty if they are not known.
    pub signers: Vec<String>,
    /// The person who took it back, the time and the reason; null if it counts.
    pub taken_back: Option<TakenBackEntry>,
}

/// The withdrawal of a bundle from the record.
#[derive(Clone, Debug, Serialize, JsonSchema)]
pub struct TakenBackEntry {
    /// The person who took it back.
    pub by: String,
    /// When.
    pub at: String,
    /// Why.
    pub reason: String,
}

impl Report for RecordedStreamsReport {
    fn text(&self) -> String {
        let mut text = String::new();
        for stream in &self.streams {
            text.push_str(&format!("stream {}\n", stream.stream));
            match stream.bundles.iter().find(|each| each.taken_back.is_none()) {
                Some(newest) => text.push_str(&format!("  last accepted  {}\n", newest.text())),
                None => text.push_str("  last accepted  none in the registry's record\n"),
            }
            match stream.state {
                Some(sequence) => text.push_str(&format!("  state file     {}\n", dated(sequence))),
                None => text.push_str("  state file     does not know the stream\n"),
            }
            for each in &stream.bundles {
                text.push_str(&format!("  {}\n", each.text()));
                if let Some(TakenBackEntry { by, at, reason }) = &each.taken_back {
                    text.push_str(&format!("    taken back by {by} at {at}: {reason}\n"));
                }
            }
            if stream.more > 0 {
                text.push_str(&format!("  and {} older\n", count(stream.more, "bundle")));
            }
        }
        if self.streams.is_empty() {
            text.push_str(&format!("{} has no record of a stream\n", self.to));
        }
        for name in &self.unreadable {
            text.push_str(&format!("{name} is not a record of an accepted bundle and counts for nothing\n"));
        }
        text
    }
}

impl RecordedBundleEntry {
    fn text(&self) -> String {
        let BundleEntry { sequence, statement, .. } = &self.bundle;
        let mut text = format!("{} {statement}", dated(*sequence));
        if let Some(created) = &self.created {
            text.push_str(&format!(", created {created}"));
        }
        if !self.signers.is_empty() {
            text.push_str(&format!(", signed by {}", self.signers.join(", ")));
        }
        text
    }
}

/// `stream show`: the connected side's record of its stream.
#[derive(Clone, Debug, Serialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct ExportedStreamReport {
    /// The stream.
    pub stream: String,
    /// The last bundle that the job wrote; null if it remembers none.
    pub last: Option<BundleEntry>,
    /// When that bundle was made; null if it remembers none.
    pub created: Option<String>,
    /// The bundles in the outbox, oldest first.
    pub outbox: Vec<OutboxEntry>,
    /// The newest bundle that is known to have arrived.
    pub arrived: Option<BundleEntry>,
}

/// A bundle in the outbox.
#[derive(Clone, Debug, Serialize, JsonSchema)]
pub struct OutboxEntry {
    /// The number in the stream.
    pub sequence: u64,
    /// The file.
    pub file: String,
    /// The size of its files in bytes.
    pub bytes: u64,
}

impl Report for ExportedStreamReport {
    fn text(&self) -> String {
        let mut text = format!("stream {}\n", self.stream);
        match (&self.last, &self.created) {
            (Some(last), Some(created)) => {
                text.push_str(&format!("  last written  {last}, created {created}\n"));
            }
            _ => text.push_str("  last written  none that the job remembers\n"),
        }
        match &self.arrived {
            Some(arrived) => text.push_str(&format!("  arrived       {arrived}\n")),
            None => text.push_str("  arrived       none, according to the receipts\n"),
        }
        for OutboxEntry { sequence, file, bytes } in &self.outbox {
            text.push_str(&format!("  in the outbox {}, {}: {file}\n", dated(*sequence), Bytes(*bytes)));
        }
        text
    }
}

/// `stream repair`: what was taken back.
#[derive(Clone, Debug, Serialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct StreamRepairReport {
    /// The stream.
    pub stream: String,
    /// The bundles that no longer count.
    pub taken_back: Vec<BundleEntry>,
    /// The sequences of the outbox's bundles that were moved aside; always empty on the far side.
    pub withdrawn: Vec<u64>,
    /// The newest sequence from now on; null for none.
    pub newest: Option<u64>,
}

impl Report for StreamRepairReport {
    fn text(&self) -> String {
        let mut text = String::new();
        for bundle in &self.taken_back {
            text.push_str(&format!("taken back: {bundle}\n"));
        }
        for sequence in &self.withdrawn {
            text.push_str(&format!("moved out of the outbox: {}\n", dated(*sequence)));
        }
        match self.newest {
            Some(newest) => {
                text.push_str(&format!("stream {}: the newest bundle is {}\n", self.stream, dated(newest)));
            }
            None => text
                .push_str(&format!("stream {}: no bundle counts; the next one is the first\n", self.stream)),
        }
        text
    }
}
