//! The reports of `create`, `create --dry-run` and `lock`. Takes the facts of a plan or a lockfile, gives
//! models.

use std::collections::HashMap;
use std::time::Duration;

use bundle_format::UnreadBase;
use schemars::JsonSchema;
use serde::Serialize;

use crate::artifact::dated;
use crate::table::{Align, Table};
use crate::{ArtifactEntry, Bytes, OtherPlatformEntry, Report, Took, count};

/// How much a bundle carries, beside its numbers in JSON.
#[derive(Clone, Copy, Debug, Default)]
pub struct Saving {
    /// The number of artifacts.
    pub artifacts: usize,
    /// The number of blobs.
    pub blobs: usize,
    /// The size of the bundle in bytes.
    pub size: u64,
    /// The bytes that are not carried twice because artifacts share blobs.
    pub deduplicated: u64,
    /// The number of blobs that the other side has.
    pub requires: usize,
    /// Their bytes.
    pub required_bytes: u64,
}

impl Saving {
    fn text(&self) -> String {
        let delta = match self.requires {
            0 => String::new(),
            blobs => format!(
                ", {} ({}) omitted because the base has them",
                count(blobs, "blob"),
                Bytes(self.required_bytes)
            ),
        };
        format!(
            "{}, {}, {} ({} deduplicated){delta}",
            count(self.artifacts, "artifact"),
            count(self.blobs, "blob"),
            Bytes(self.size),
            Bytes(self.deduplicated)
        )
    }
}

/// An image that is gone at its registry, with what its `missing` did.
#[derive(Clone, Debug, Serialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct MissingEntry {
    /// The reference, or the choice of tags that matches none any more.
    pub image: String,
    /// The target.
    pub target: String,
    /// The digest that is carried instead (keep-last); null if the image is left out (skip).
    pub kept: Option<String>,
    /// The places that ask for it.
    pub why: Vec<String>,
}

/// A publisher's signature that was looked for, as `policy` of bundle.yaml asks.
#[derive(Clone, Debug, Serialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct SignatureEntry {
    /// The image.
    pub image: String,
    /// The digest that it has at its registry: of its index, if it has one.
    pub digest: String,
    /// The rule's place.
    pub rule: String,
    /// Whose signature is asked for; null if the rule ignores signatures.
    pub signer: Option<String>,
    /// verified, notVerified (the rule only warns) or ignored.
    pub outcome: String,
    /// The key that signed; null unless verified.
    pub by: Option<String>,
    /// The digest that is signed; null unless verified.
    pub signed: Option<String>,
    /// What was found instead; null unless notVerified.
    pub why: Option<String>,
}

/// How many signatures were verified, in a line; nothing if no rule asks for any.
fn signatures_text(signatures: &[SignatureEntry]) -> String {
    if signatures.is_empty() {
        return String::new();
    }
    let number = |outcome: &str| signatures.iter().filter(|entry| entry.outcome == outcome).count();
    let more = [(number("notVerified"), "not verified"), (number("ignored"), "not looked at")];
    let more = more.into_iter().filter(|(number, _)| *number > 0);
    let more: String = more.map(|(number, words)| format!(", {number} {words}")).collect();
    format!("signatures of publishers: {} verified{more}\n", number("verified"))
}

/// A layer that the other side has, and that `create --compact` could not read.
#[derive(Clone, Debug, Serialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct UnreadBaseEntry {
    /// The layer's digest.
    pub digest: String,
    /// The repository that has it at the destination.
    pub repository: String,
    /// The layer's size in bytes.
    pub size: u64,
    /// What its source said.
    pub why: String,
}

impl From<&UnreadBase> for UnreadBaseEntry {
    fn from(unread: &UnreadBase) -> Self {
        let UnreadBase { base, why } = unread;
        Self {
            digest: base.digest.to_string(),
            repository: base.repository.to_string(),
            size: base.size,
            why: why.clone(),
        }
    }
}

/// The state of a bundle that several runs write together, after one of them.
#[derive(Clone, Debug, Serialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct ShardEntry {
    /// The shard that was written, such as 0/3.
    pub shard: String,
    /// How many volumes it has.
    pub volumes: usize,
    /// How many volumes are still to come from other shards; of a compact bundle, how many shards. 0 if the bundle is
    /// complete.
    pub missing: usize,
}

impl ShardEntry {
    fn text(&self, compact: bool) -> String {
        let state = match self.missing {
            0 => "the bundle is complete".to_owned(),
            missing => format!("{} still to come", count(missing, if compact { "shard" } else { "volume" })),
        };
        format!("shard {} is written, {}; {state}\n", self.shard, count(self.volumes, "volume"))
    }
}

/// `create`: the bundle that was written.
#[derive(Clone, Debug, Serialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct CreateReport {
    /// Whether anything changed since the bases; true.
    pub changed: bool,
    /// The file, or - for standard output.
    pub output: String,
    /// The digest of the statement.
    pub statement: String,
    /// The stream.
    pub stream: String,
    /// The number in the stream.
    pub sequence: u64,
    /// The size of the uncompressed bundle in bytes.
    pub size: u64,
    /// The size of the compact encoding in bytes; null if the bundle is not compact, or went into a pipe.
    pub compact_size: Option<u64>,
    /// The number of blobs.
    pub blobs: usize,
    /// The number of blobs that a delta leaves out.
    pub requires: usize,
    /// The bytes of these blobs.
    pub required_bytes: u64,
    /// The number of artifacts.
    pub artifacts: usize,
    /// The bytes that are not carried twice because artifacts share blobs.
    pub deduplicated_bytes: u64,
    /// The images that are gone at their registries and do not stop the bundle.
    pub missing: Vec<MissingEntry>,
    /// The images whose configs name another platform than their index, by which nodes choose.
    pub other_platforms: Vec<OtherPlatformEntry>,
    /// The signatures of publishers that were looked for.
    pub signatures: Vec<SignatureEntry>,
    /// The layers that the other side has and that could not be read here: of a compact bundle, what is like them is
    /// sent in full.
    pub unread_bases: Vec<UnreadBaseEntry>,
    /// What is written of the bundle, if this was one of several shards; the sizes above are then those of all but
    /// for the compact encoding's; null if all of it was written.
    pub shard: Option<ShardEntry>,
    /// How long it took.
    pub seconds: f64,
}

impl Report for CreateReport {
    fn text(&self) -> String {
        let saving = Saving {
            artifacts: self.artifacts,
            blobs: self.blobs,
            size: self.size,
            deduplicated: self.deduplicated_bytes,
            requires: self.requires,
            required_bytes: self.required_bytes,
        };
        let took = Took(Duration::from_secs_f64(self.seconds.max(0.0)));
        let sequence = dated(self.sequence);
        let compact = self.compact_size.filter(|_| self.shard.is_none());
        let compact = compact.map(|compact| compact_text(compact, self.size)).unwrap_or_default();
        let shard =
            self.shard.as_ref().map(|shard| shard.text(self.compact_size.is_some())).unwrap_or_default();
        format!(
            "{}{}{compact} in {took}, stream {}, sequence {sequence}: {}\n{shard}",
            signatures_text(&self.signatures),
            saving.text(),
            self.stream,
            self.output
        )
    }
}

/// The size of a compact encoding beside that of the archive.
pub(crate) fn compact_text(compact: u64, size: u64) -> String {
    let share = compact as f64 * 100.0 / size.max(1) as f64;
    format!(", compact {} ({share:.1} %)", Bytes(compact))
}

/// `create --dry-run`: what would be carried.
#[derive(Clone, Debug, Serialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct PlanReport {
    /// Whether anything changed since the bases; true.
    pub changed: bool,
    /// The size of the uncompressed bundle in bytes.
    pub size: u64,
    /// A guess of the size of a compact encoding in bytes; null if the bundle is not to be compact.
    pub compact_estimate: Option<u64>,
    /// The number of blobs.
    pub blobs: usize,
    /// The number of blobs that a delta leaves out.
    pub requires: usize,
    /// The bytes of these blobs.
    pub required_bytes: u64,
    /// The bytes that are not carried twice because artifacts share blobs.
    pub deduplicated_bytes: u64,
    /// The artifacts to carry, in the order of the statement.
    pub artifacts: Vec<ArtifactEntry>,
    /// The size of each artifact in bytes, in the same order.
    pub artifact_bytes: Vec<u64>,
    /// The images that are gone at their registries and do not stop the bundle.
    pub missing: Vec<MissingEntry>,
    /// The signatures of publishers that were looked for.
    pub signatures: Vec<SignatureEntry>,
}

impl Report for PlanReport {
    fn text(&self) -> String {
        let mut table = Table::new([
            ("SIZE", Align::Right),
            ("TARGET", Align::Left),
            ("SOURCE", Align::Left),
            ("REQUESTED BY", Align::Left),
        ]);
        // What is attached to an image stands below it; a signature of one platform of an index in a row of its own.
        let place = |artifact: &ArtifactEntry, digest: &str| {
            (artifact.target.project.clone(), artifact.target.repository.clone(), digest.to_owned())
        };
        let mut heads = HashMap::new();
        for (at, artifact) in self.artifacts.iter().enumerate().filter(|(_, it)| it.subject.is_none()) {
            heads.entry(place(artifact, &artifact.digest)).or_insert(at);
        }
        let head_of =
            |artifact: &ArtifactEntry| heads.get(&place(artifact, artifact.subject.as_ref()?)).copied();
        let mut with: HashMap<usize, Vec<String>> = HashMap::new();
        for (artifact, size) in self.artifacts.iter().zip(&self.artifact_bytes) {
            if let Some(head) = head_of(artifact) {
                with.entry(head).or_default().push(format!("{} {}", artifact.kind, Bytes(*size)));
            }
        }
        for (at, (artifact, size)) in self.artifacts.iter().zip(&self.artifact_bytes).enumerate() {
            if head_of(artifact).is_some() {
                continue;
            }
            let below = with.get(&at).map(|all| format!("with {}", all.join(", ")));
            let cells = [
                Bytes(*size).to_string(),
                artifact.target.to_string(),
                artifact.source.clone(),
                artifact.reasons.join(", "),
            ];
            table.row(cells, below);
        }
        let mut text = table.text();
        let saving = Saving {
            artifacts: self.artifacts.len(),
            blobs: self.blobs,
            size: self.size,
            deduplicated: self.deduplicated_bytes,
            requires: self.requires,
            required_bytes: self.required_bytes,
        };
        text.push_str(&signatures_text(&self.signatures));
        let estimate = self.compact_estimate.map(|bytes| format!(", compact about {}", Bytes(bytes)));
        text.push_str(&format!("{}{}; nothing was written\n", saving.text(), estimate.unwrap_or_default()));
        text
    }
}

/// `create` with bases: nothing changed, so nothing was written.
#[derive(Clone, Debug, Serialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct UnchangedReport {
    /// Whether anything changed since the bases; false.
    pub changed: bool,
    /// The bases compared with.
    pub bases: Vec<String>,
}

impl Report for UnchangedReport {
    fn text(&self) -> String {
        format!("nothing has changed since {}; nothing was written\n", self.bases.join(" and "))
    }
}

/// `lock`: the lockfile that was written.
#[derive(Clone, Debug, Serialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct LockReport {
    /// The lockfile, or - for standard output.
    pub output: String,
    /// The number of artifacts.
    pub artifacts: usize,
    /// The bytes of all their blobs.
    pub bytes: u64,
    /// The images that are gone at their registries and do not stop the lock.
    pub missing: Vec<MissingEntry>,
}

impl Report for LockReport {
    fn text(&self) -> String {
        let artifacts = count(self.artifacts, "artifact");
        format!("locked {artifacts}, {} in all, in {}\n", Bytes(self.bytes), self.output)
    }
}
