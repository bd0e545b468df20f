//! The note for operators of a job's last run: a JSON file and metrics.
//! Takes a report, gives both.

use std::borrow::Cow;
use std::path::Path;

use bundle_bundler::MissingImage;
use bundle_format::{FileError, Program, Sequence, StreamName, Timestamp};
use bundle_oci::{Digest, hide_logins};
use bundle_os::{begins_with_field, may_replace, replace_own};
use serde::de::DeserializeOwned;
use serde::{Deserialize, Serialize};
use serde_json::Value;

use crate::ledger::{ExportLedger, ImportLedger};
use crate::metrics::Metrics;
use crate::outbox::{Outbox, OutboxError};
use crate::pruning::PruneStatus;

/// The note for operators of the connected side.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct ExportStatus {
    /// The stream.
    pub stream: StreamName,
    /// The last bundle that was written.
    pub last: Option<StreamStatus>,
    /// The number of the newest bundle that is known to have arrived.
    pub arrived: Option<Sequence>,
    /// How many bundles in the outbox are not known to have arrived.
    pub under_way: usize,
    /// The size of all bundles in the outbox, in bytes.
    pub outbox_bytes: u64,
    /// When the job last ended well.
    pub succeeded: Option<Timestamp>,
    /// The images that were gone at their registries then, and did not stop it (`missing` in bundle.yaml).
    pub missing: Vec<MissingStatus>,
}

/// An image that is gone at its registry.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct MissingStatus {
    /// The reference, or the choice of tags that matches none any more.
    pub image: String,
    /// Where it would go.
    pub target: String,
    /// The digest that is carried instead; nothing if the image is left out.
    pub kept: Option<Digest>,
}

impl MissingStatus {
    pub(crate) fn of(image: &MissingImage) -> Self {
        Self { image: image.image.clone(), target: image.target.clone(), kept: image.kept }
    }
}

/// The note for operators of the disconnected side.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct ImportStatus {
    /// The last bundle of each stream that was imported.
    pub streams: Vec<StreamStatus>,
    /// The bundles that wait in the inbox, and what for.
    pub waiting: Vec<(String, String)>,
    /// How many more bundles there are in the inbox, which this run did not look at.
    pub left: usize,
    /// The bundles that this run refused, and why.
    pub refused: Vec<(String, String)>,
    /// How many bundles were ever refused.
    pub refused_in_all: u64,
    /// When the job last ended well.
    pub succeeded: Option<Timestamp>,
    /// How the last removal ended, if the job removes anything.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub pruned: Option<PruneStatus>,
}

/// A stream and its last bundle.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct StreamStatus {
    /// The stream.
    pub stream: StreamName,
    /// The bundle's place in it.
    pub sequence: Sequence,
    /// The digest of its statement.
    pub statement: Digest,
    /// When it was made.
    pub created: Timestamp,
    /// When it was imported, on the disconnected side.
    pub imported: Option<Timestamp>,
    /// The size of its archive in bytes.
    pub bytes: u64,
    /// The number of its images that are blocked, on the disconnected side.
    pub blocked: Option<u64>,
}

impl ExportStatus {
    pub(crate) fn of(
        stream: &StreamName,
        ledger: &ExportLedger,
        outbox: &Outbox,
        arrived: Option<Sequence>,
    ) -> Result<Self, OutboxError> {
        let bundles = outbox.bundles()?;
        let last = ledger.last.get(stream).map(|last| StreamStatus {
            stream: stream.clone(),
            sequence: last.sequence,
            statement: last.statement,
            created: last.created,
            imported: None,
            bytes: last.bytes,
            blocked: None,
        });
        Ok(Self {
            stream: stream.clone(),
            last,
            arrived,
            under_way: bundles.iter().filter(|sent| Some(sent.sequence) > arrived).count(),
            outbox_bytes: bundles.iter().map(|sent| sent.bytes).sum(),
            succeeded: ledger.succeeded,
            missing: ledger.missing.get(stream).cloned().unwrap_or_default(),
        })
    }

    /// The text for Prometheus.
    pub fn metrics(&self, end: RunEnd<'_>) -> String {
        let mut metrics = Metrics::new(end.program, "bundle_export", "export");
        metrics.run(end.at, self.succeeded, end.exit_code);
        let labels = [("stream", self.stream.to_string())];
        if let Some(last) = &self.last {
            metrics.last(std::slice::from_ref(last));
        }
        if let Some(arrived) = self.arrived {
            let help = "The number of the newest bundle that is known to have arrived.";
            metrics.gauge("arrived_sequence", help, &[(&labels, u64::from(arrived))]);
        }
        let help = "Bundles in the outbox that are not known to have arrived.";
        metrics.gauge("under_way_bundles", help, &[(&labels, self.under_way as u64)]);
        let help = "The size of all bundles in the outbox.";
        metrics.gauge("outbox_bytes", help, &[(&labels, self.outbox_bytes)]);
        let of_stream =
            |handling: &str| [("stream", self.stream.to_string()), ("handling", handling.to_owned())];
        let count =
            |kept: bool| self.missing.iter().filter(|image| image.kept.is_some() == kept).count() as u64;
        let (kept, skipped) = (of_stream("keep-last"), of_stream("skip"));
        let help = "Images that are gone at their registries and did not stop the last run that ended well.";
        metrics.gauge("missing_images", help, &[(&kept, count(true)), (&skipped, count(false))]);
        metrics.text()
    }
}

impl ImportStatus {
    pub(crate) fn of(
        ledger: &ImportLedger,
        waiting: Vec<(String, String)>,
        left: usize,
        refused: Vec<(String, String)>,
    ) -> Self {
        let streams = ledger.last.iter().map(|(stream, last)| StreamStatus {
            stream: stream.clone(),
            sequence: last.sequence,
            statement: last.statement,
            created: last.created,
            imported: Some(last.imported),
            bytes: last.bytes,
            blocked: Some(last.blocked),
        });
        Self {
            streams: streams.collect(),
            waiting,
            left,
            refused,
            refused_in_all: ledger.refused,
            succeeded: ledger.succeeded,
            pruned: ledger.pruned.clone(),
        }
    }

    /// The text for Prometheus.
    pub fn metrics(&self, end: RunEnd<'_>) -> String {
        let mut metrics = Metrics::new(end.program, "bundle_import", "import");
        metrics.run(end.at, self.succeeded, end.exit_code);
        metrics.last(&self.streams);
        let none: [(&str, String); 0] = [];
        let help = "Bundles in the inbox that wait for something.";
        metrics.gauge("waiting_bundles", help, &[(&none, (self.waiting.len() + self.left) as u64)]);
        metrics.counter("refused_bundles_total", "Bundles that were refused.", self.refused_in_all);
        if let Some(pruned) = &self.pruned {
            let seconds = |moment: Timestamp| moment.unix().unsigned_abs();
            let help = "When the job last removed what no kept bundle wants.";
            metrics.gauge("prune_last_run_timestamp_seconds", help, &[(&none, seconds(pruned.ended))]);
            if let Some(succeeded) = pruned.succeeded {
                let help = "When such a removal last ended well.";
                metrics.gauge("prune_last_success_timestamp_seconds", help, &[(&none, seconds(succeeded))]);
            }
            let help = "Artifacts and tags that no kept bundle wants and that the last removal left.";
            metrics.gauge("prune_left_artifacts", help, &[(&none, pruned.left)]);
            let help = "Artifacts and tags that were removed.";
            metrics.counter("pruned_artifacts_total", help, pruned.removed_in_all);
        }
        metrics.text()
    }
}

/// How a run of a job ended.
#[derive(Clone, Copy, Debug)]
pub struct RunEnd<'a> {
    /// Which program ran.
    pub program: Program,
    /// When.
    pub at: Timestamp,
    /// The exit code of the program.
    pub exit_code: u8,
    /// The error, if the run failed.
    pub error: Option<&'a str>,
}

/// Where operators look.
#[derive(Clone, Copy, Debug)]
pub struct Boards<'a> {
    /// A JSON file for people and scripts.
    pub status: Option<&'a Path>,
    /// A file for Prometheus' textfile collector.
    pub metrics: Option<&'a Path>,
}

impl Boards<'_> {
    /// Makes sure that what has these names is an earlier status and earlier metrics, or nothing. To be called
    /// before a run: at its end it would be late.
    ///
    /// # Errors
    /// There is something else.
    pub fn may_replace(&self) -> Result<(), FileError> {
        self.status.map_or(Ok(()), |path| may_replace(path, is_status))?;
        self.metrics.map_or(Ok(()), |path| may_replace(path, are_metrics))
    }

    /// Writes the result of the connected side's job for operators.
    ///
    /// # Errors
    /// A file cannot be written.
    pub fn export(&self, status: &ExportStatus, end: RunEnd<'_>) -> Result<(), FileError> {
        self.tell(status, &status.metrics(end), end)
    }

    /// Writes the result of the disconnected side's job for operators.
    ///
    /// # Errors
    /// A file cannot be written.
    pub fn import(&self, status: &ImportStatus, end: RunEnd<'_>) -> Result<(), FileError> {
        self.tell(status, &status.metrics(end), end)
    }

    fn tell<S: Serialize>(&self, status: &S, metrics: &str, end: RunEnd<'_>) -> Result<(), FileError> {
        let RunEnd { at, exit_code, error, .. } = end;
        if let Some(path) = self.status {
            let error = error.map(Cow::Borrowed);
            let document = Document { status_version: 1, ended: at, exit_code, error, status };
            let failed = |error: serde_json::Error| FileError { path: path.to_owned(), source: error.into() };
            let mut text = serde_json::to_string_pretty(&document).map_err(failed)?;
            text.push('\n');
            write(path, &text, is_status)?;
        }
        self.metrics.map_or(Ok(()), |path| write(path, metrics, are_metrics))
    }
}

/// The JSON file.
#[derive(Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
struct Document<'a, S> {
    status_version: u32,
    ended: Timestamp,
    exit_code: u8,
    error: Option<Cow<'a, str>>,
    status: S,
}

/// What a job wrote into its status file, for somebody else to read: without fields that no job writes, and without
/// passwords in its texts. Nothing, if it is no status file.
pub fn status_for_others(text: &str) -> Option<String> {
    fn known<S: Serialize + DeserializeOwned>(text: &str) -> Option<Value> {
        let document: Document<'_, S> = serde_json::from_str(text).ok()?;
        serde_json::to_value(&document).ok()
    }
    let mut document = known::<ExportStatus>(text).or_else(|| known::<ImportStatus>(text))?;
    hide(&mut document);
    Some(format!("{document:#}\n"))
}

/// A document of ours is not deep.
fn hide(value: &mut Value) {
    match value {
        Value::String(text) => *text = hide_logins(text).into_owned(),
        Value::Array(values) => values.iter_mut().for_each(hide),
        Value::Object(fields) => fields.values_mut().for_each(hide),
        Value::Null | Value::Bool(_) | Value::Number(_) => {}
    }
}

fn is_status(start: &[u8], _: u64) -> bool {
    begins_with_field(start, "statusVersion")
}

fn are_metrics(start: &[u8], _: u64) -> bool {
    start.starts_with(b"# HELP")
}

fn write(path: &Path, text: &str, is_ours: impl Fn(&[u8], u64) -> bool) -> Result<(), FileError> {
    if let Some(directory) = path.parent().filter(|directory| !directory.as_os_str().is_empty()) {
        let made = std::fs::create_dir_all(directory);
        made.map_err(|source| FileError { path: directory.to_owned(), source })?;
    }
    replace_own(path, text.as_bytes(), is_ours)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn others_get_what_a_job_writes_and_nothing_else() {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("status.json");
        let status = ImportStatus {
            streams: vec![StreamStatus {
                stream: "nightly".parse().unwrap(),
                sequence: 42.try_into().unwrap(),
                statement: Digest::of(b""),
                created: Timestamp::from_unix(100).unwrap(),
                imported: None,
                bytes: 12345,
                blocked: Some(1),
            }],
            waiting: vec![("a.tar".to_owned(), "https://u:hunter2@h fails".to_owned())],
            left: 0,
            refused: Vec::new(),
            refused_in_all: 3,
            succeeded: None,
            pruned: None,
        };
        let end = RunEnd {
            program: Program { version: "1.2.3", commit: None },
            at: Timestamp::from_unix(300).unwrap(),
            exit_code: 4,
            error: Some("u:hunter2@h cannot be reached"),
        };
        Boards { status: Some(&path), metrics: None }.import(&status, end).unwrap();
        let text = std::fs::read_to_string(&path).unwrap();
        let others = status_for_others(&text).unwrap();
        assert!(others.contains("\"***@h cannot") && others.contains("https://***@h fails"), "{others}");
        // Everything else stays.
        let hidden = text.replace("u:hunter2", "***");
        let value = |text: &str| serde_json::from_str::<Value>(text).unwrap();
        assert_eq!(value(&others), value(&hidden));
        let more = text.replacen('{', "{\"token\": \"hunter2\",", 2);
        assert_eq!(status_for_others(&more).unwrap(), others);
        for other in ["root:x:0:0:root:/root:/bin/sh", "{\"exitCode\":4}", "", "[1]"] {
            assert_eq!(status_for_others(other), None, "{other}");
        }
    }

    #[test]
    fn metrics_are_prometheus_text() {
        let last = StreamStatus {
            stream: "nightly".parse().unwrap(),
            sequence: 42.try_into().unwrap(),
            statement: Digest::of(b""),
            created: Timestamp::from_unix(100).unwrap(),
            imported: Timestamp::from_unix(200).ok(),
            bytes: 12345,
            blocked: Some(1),
        };
        let status = ImportStatus {
            streams: vec![last],
            waiting: vec![("a.tar".to_owned(), "half copied".to_owned())],
            left: 0,
            refused: Vec::new(),
            refused_in_all: 3,
            succeeded: Timestamp::from_unix(250).ok(),
            pruned: Some(PruneStatus {
                ended: Timestamp::from_unix(280).unwrap(),
                succeeded: Timestamp::from_unix(280).ok(),
                removed: 2,
                left: 1,
                removed_in_all: 7,
                records: Vec::new(),
                error: None,
            }),
        };
        let text = status.metrics(RunEnd {
            program: Program { version: "1.2.3", commit: None },
            at: Timestamp::from_unix(300).unwrap(),
            exit_code: 6,
            error: None,
        });
        for line in [
            "bundle_build_info{commit=\"unknown\",component=\"import\",version=\"1.2.3\"} 1",
            "# TYPE bundle_import_last_run_timestamp_seconds gauge",
            "bundle_import_last_run_timestamp_seconds 300",
            "bundle_import_last_success_timestamp_seconds 250",
            "bundle_import_last_exit_code 6",
            "bundle_import_bundle_sequence{stream=\"nightly\"} 42",
            "bundle_import_bundle_created_timestamp_seconds{stream=\"nightly\"} 100",
            "bundle_import_bundle_imported_timestamp_seconds{stream=\"nightly\"} 200",
            "bundle_import_bundle_bytes{stream=\"nightly\"} 12345",
            "bundle_import_blocked_images{stream=\"nightly\"} 1",
            "bundle_import_waiting_bundles 1",
            "# TYPE bundle_import_refused_bundles_total counter",
            "bundle_import_refused_bundles_total 3",
            "bundle_import_prune_last_run_timestamp_seconds 280",
            "bundle_import_prune_last_success_timestamp_seconds 280",
            "bundle_import_prune_left_artifacts 1",
            "# TYPE bundle_import_pruned_artifacts_total counter",
            "bundle_import_pruned_artifacts_total 7",
        ] {
            assert!(text.lines().any(|it| it == line), "{line} is not in\n{text}");
        }
        assert!(text.lines().all(|line| line.starts_with('#') || line.split(' ').count() == 2), "{text}");
    }
}
