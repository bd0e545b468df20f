//! Progress for programs.
//! Takes what is known of a run at one moment, gives one JSON object.

use schemars::JsonSchema;
use serde::Serialize;

/// The object that `--progress json` prints on standard error, one a line: about once a second, and at the end of
/// each stage.
#[derive(Clone, Debug, Serialize, JsonSchema)]
pub struct ProgressReport {
    /// The version of the progress report: 1.
    pub version: u32,
    /// The progress.
    pub progress: ProgressBody,
}

/// How far a run is.
#[derive(Clone, Debug, Serialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct ProgressBody {
    /// The stage: resolving, fetching, importing, proving, verifying, extracting, repairing and others.
    pub stage: String,
    /// Whether the stage ended with this. If it failed, the counts are below the whole.
    pub ended: bool,
    /// The bytes that are where they belong. Never more than `bytesTotal`; less than before if bytes came in vain.
    pub bytes_done: u64,
    /// The bytes in all, once that is known.
    pub bytes_total: Option<u64>,
    /// Those of `bytesDone` that need not move, because they are there.
    pub bytes_present: u64,
    /// The images that are complete.
    pub images_done: usize,
    /// The images in all; 0 if that is not known.
    pub images_total: usize,
    /// The names of the images whose bytes move, the latest first; at most 16.
    pub current: Vec<String>,
    /// Bytes per second over the last 20 seconds, once that is known.
    pub bytes_per_second: Option<u64>,
    /// The seconds to the end of the stage at this rate, if that can be said.
    pub seconds_left: Option<u64>,
    /// The seconds since the stage began.
    pub seconds: f64,
}

impl ProgressReport {
    /// A report of this version.
    pub fn new(progress: ProgressBody) -> Self {
        Self { version: 1, progress }
    }
}
