//! The report of `inspect`.
//! Takes a statement and its signers, gives a model.

use schemars::JsonSchema;
use serde::Serialize;

use crate::artifact::dated;
use crate::create::compact_text;
use crate::keys::quoted;
use crate::{ArtifactEntry, BaseEntry, Bytes, FileError, OtherPlatformEntry, Report, count};

/// `inspect`: the statement of a bundle.
#[derive(Clone, Debug, Serialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct InspectReport {
    /// The file.
    pub file: String,
    /// Whether a trusted key signed. If false, anybody may have written the rest.
    pub verified: bool,
    /// The names of the keys that signed.
    pub signers: Vec<String>,
    /// The stream.
    pub stream: String,
    /// The number in the stream.
    pub sequence: u64,
    /// When the bundle was made.
    pub created: String,
    /// When the bundle stops being importable; null for never.
    pub expires: Option<String>,
    /// The digest of the previous statement in the series; null if it is not known.
    pub previous: Option<String>,
    /// The bases of a delta. Empty for a full bundle.
    pub base: Vec<BaseEntry>,
    /// The number of blobs that a delta leaves out.
    pub requires: usize,
    /// The bytes of these blobs.
    pub required_bytes: u64,
    /// The number of blobs.
    pub blobs: usize,
    /// The bytes of all blobs.
    pub blob_bytes: u64,
    /// How the bundle is encoded, if it is compact; null if not.
    pub compact: Option<CompactExtent>,
    /// The artifacts that the bundle delivers, in the order of the statement.
    pub artifacts: Vec<InspectedArtifact>,
    /// The images whose configs name another platform than their index, by which nodes choose. Empty if the bundle
    /// is not verified.
    pub other_platforms: Vec<OtherPlatformEntry>,
    /// How people see the artifacts.
    #[serde(skip)]
    #[schemars(skip)]
    pub view: InspectView,
    /// Whether people see whole digests.
    #[serde(skip)]
    #[schemars(skip)]
    pub long: bool,
}

/// How people see the artifacts of a bundle.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum InspectView {
    /// One after the other, with sources and reasons.
    #[default]
    List,
    /// As a tree.
    Tree,
    /// As a table, the largest first.
    Sizes,
}

/// An artifact, and how much of the bundle it takes.
#[derive(Clone, Debug, Serialize, JsonSchema)]
pub struct InspectedArtifact {
    /// The artifact.
    #[serde(flatten)]
    pub artifact: ArtifactEntry,
    /// Its share of the bundle. Absent if the bundle is not verified.
    #[serde(flatten)]
    pub extent: Option<Extent>,
    /// Its share of the bundle together with what is attached to it. Absent for what is attached, and if the manifests
    /// were not read.
    #[serde(flatten)]
    pub total: Option<TotalExtent>,
    /// The position of the artifact that it is attached to.
    #[serde(skip)]
    #[schemars(skip)]
    pub attached_to: Option<usize>,
}

/// How much of a bundle an artifact takes together with what is attached to it.
#[derive(Clone, Debug, Serialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct TotalExtent {
    /// The bytes of all their blobs.
    pub total_size: u64,
    /// The bytes that a bundle without them, under any name, saves.
    pub leaving_out_saves: u64,
}

/// A compact encoding.
#[derive(Clone, Debug, Serialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct CompactExtent {
    /// The size of the compact encoding in bytes.
    pub size: u64,
    /// The layers of the other side that it may need.
    pub bases: usize,
    /// Their bytes.
    pub base_bytes: u64,
}

/// How much of a bundle an artifact takes.
#[derive(Clone, Debug, Serialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct Extent {
    /// The bytes of all its blobs.
    pub size: u64,
    /// The bytes of the blobs that no other artifact has.
    pub own_size: u64,
    /// The bytes of all its blobs in a compact encoding; null if the bundle is not compact.
    pub compact_size: Option<u64>,
    /// The artifacts that it shares most with, the largest share first.
    pub shared_with: Vec<SharedWith>,
    /// Whether it shares with more artifacts than are listed.
    pub shared_with_more: bool,
}

/// Another artifact with the same blobs.
#[derive(Clone, Debug, Serialize, JsonSchema)]
pub struct SharedWith {
    /// The target of the other artifact.
    pub target: String,
    /// The bytes that both have.
    pub bytes: u64,
}

const WARNING: &str = "NOT VERIFIED: no key was checked, so anyone may have written the contents.";

impl Report for InspectReport {
    fn text(&self) -> String {
        let mut text = match self.verified {
            true => format!("signed by {}\n", quoted(&self.signers)),
            false => format!("{WARNING}\n"),
        };
        text.push_str(&format!(
            "stream {}, sequence {}, created {}\n",
            self.stream,
            dated(self.sequence),
            self.created
        ));
        if let Some(expires) = &self.expires {
            text.push_str(&format!("cannot be imported after {expires}\n"));
        }
        if self.requires > 0 {
            let base: Vec<&str> = self.base.iter().map(|base| base.name.as_str()).collect();
            text.push_str(&format!(
                "delta: the registry must have {} ({}) from {}\n",
                count(self.requires, "blob"),
                Bytes(self.required_bytes),
                base.join(", ")
            ));
        }
        text.push_str(&self.view_text());
        if let Some(compact) = &self.compact {
            let needs = match compact.bases {
                0 => "needs nothing else".to_owned(),
                bases => format!(
                    "made of up to {} ({}) that must be there",
                    count(bases, "layer"),
                    Bytes(compact.base_bytes)
                ),
            };
            text.push_str(&format!("\ncompact: {} in the file; {needs}\n", Bytes(compact.size)));
        }
        if !self.other_platforms.is_empty() {
            text.push('\n');
        }
        self.other_platforms.iter().for_each(|each| text.push_str(&format!("{}\n", each.text)));
        text.push_str(&format!(
            "\n{}, {}, {}\n",
            count(self.artifacts.len(), "artifact"),
            count(self.blobs, "blob"),
            Bytes(self.blob_bytes)
        ));
        if !self.verified {
            text.push_str(&format!("{WARNING}\n"));
        }
        text
    }
}

/// `inspect FILE FILE...`: the statements of several bundles.
#[derive(Clone, Debug, Serialize, JsonSchema)]
pub struct InspectSetReport {
    /// The bundles that could be read, in the order of the command line.
    pub bundles: Vec<InspectReport>,
    /// The files that failed, with the cause, in the order of the command line.
    pub failed: Vec<FileError>,
}

impl Report for InspectSetReport {
    fn text(&self) -> String {
        let texts: Vec<String> =
            self.bundles.iter().map(|each| format!("{}:\n{}", each.file, each.text())).collect();
        texts.join("\n")
    }
}

impl Extent {
    pub(crate) fn text(&self) -> String {
        let size = match self.compact_size {
            Some(compact) => format!("{}{}", Bytes(self.size), compact_text(compact, self.size)),
            None => Bytes(self.size).to_string(),
        };
        let Some(first) = self.shared_with.first() else {
            return format!("{size}, shared with no other");
        };
        let others = match self.shared_with.len() - 1 {
            _ if self.shared_with_more => " and many others".to_owned(),
            0 => String::new(),
            1 => " and one other".to_owned(),
            more => format!(" and {more} others"),
        };
        let shared = Bytes(self.size.saturating_sub(self.own_size));
        format!("{size}, of which {shared} is shared with {}{others}", first.target)
    }
}
