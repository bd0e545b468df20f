//! A bundle before its first byte moves: statement, layout, and where each blob comes from. Takes what was
//! resolved; gives a [`Plan`], which can be printed, compared, built on bases, and written.

use std::collections::{HashMap, HashSet};
use std::sync::Arc;

use bundle_format::{
    Artifact, Base, Blob, BrokenPromise, ConfigWord, Contents, Draft, Graph, GraphError, Layout, Limits,
    Sequence, Statement, StatementError, StreamName, Timestamp, check_promises,
};
use bundle_oci::{ByteCount, Digest, MediaType};
use bytes::Bytes;

use crate::foreign;
use crate::{
    Lock, LockEntry, LockMissing, LockPattern, Notice, Origin, Platforms, Resolved, UnobtainableReferrer,
};

/// The identity of a bundle.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct StatementHead {
    /// The series that it belongs to.
    pub stream: StreamName,
    /// Its place in the series.
    pub sequence: Sequence,
    /// When it is made.
    pub created: Timestamp,
    /// When it stops being importable.
    pub expires: Option<Timestamp>,
    /// The digest of the statement before it in the series.
    pub previous: Option<Digest>,
}

/// A bundle before its first byte moves: all that is not blob content is known.
#[derive(Debug)]
pub struct Plan {
    statement: Statement,
    bytes: Vec<u8>,
    layout: Arc<Layout>,
    graph: Graph,
    contents: HashMap<Digest, Bytes>,
    origins: HashMap<Digest, Origin>,
    addresses: HashMap<Digest, Vec<String>>,
    resolved: Asked,
    unobtainable: Vec<UnobtainableReferrer>,
}

#[derive(Debug)]
struct Asked {
    chosen: HashMap<bundle_format::Target, Platforms>,
    asked: HashMap<bundle_format::Target, bundle_oci::Reference>,
    /// The last reasons of artifacts, which say what happened to them and not who asked.
    marks: HashMap<(bundle_format::Target, Digest), Vec<String>>,
    patterns: Vec<LockPattern>,
    missing: Vec<LockMissing>,
}

/// Why what was resolved makes no bundle.
#[derive(Debug, thiserror::Error)]
pub enum PlanError {
    /// The manifests do not fit together.
    #[error("the images' manifests do not fit together")]
    Graph(#[from] GraphError<Missing>),
    /// The statement would contradict the content of an image.
    #[error("an image cannot be described")]
    Promise(#[from] Box<BrokenPromise>),
    /// The statement would not be valid.
    #[error("the images do not make a valid bundle")]
    Statement(#[from] StatementError),
    /// More than a reader of a pipe keeps in memory ([`Limits::piped_manifests`]).
    #[error("the {what} have {} together; a bundle that is read from a pipe may have {}", ByteCount(*.size), ByteCount(*.limit))]
    Pipe {
        /// Manifests or configs.
        what: &'static str,
        /// How many bytes they have.
        size: u64,
        /// How many they may have.
        limit: u64,
    },
}

/// A manifest that was not resolved.
#[derive(Debug, thiserror::Error)]
#[error("manifest {0} is missing")]
pub struct Missing(Digest);

impl Plan {
    /// Orders what was resolved into a bundle.
    ///
    /// # Errors
    /// Any [`PlanError`].
    pub fn new(resolved: Resolved, head: &StatementHead, limits: &Limits) -> Result<Self, PlanError> {
        let Resolved {
            mut artifacts,
            chosen,
            asked,
            contents,
            mut origins,
            addresses,
            unobtainable,
            mut marks,
            notices: _,
            patterns,
            missing,
            signatures: _,
        } = resolved;
        let graph = Graph::walk(&artifacts, &mut Fetched(&contents), limits)?;
        // A statement that a reader would refuse is not written.
        check_promises(&artifacts, &graph, |config| {
            contents.get(&config.digest).map_or(ConfigWord::Absent, |bytes| ConfigWord::of(bytes))
        })?;
        let foreign = foreign::count(&graph, &artifacts);
        for (artifact, count) in artifacts.iter_mut().zip(foreign) {
            if let Some(mark) = count.mark() {
                artifact.reasons.push(mark.clone());
                marks.entry((artifact.target.clone(), artifact.digest)).or_default().push(mark);
            }
        }
        for (digest, node) in &graph.manifests {
            let Some(origin) = origins.get(digest).cloned() else { continue };
            for blob in Graph::blobs_of(&node.manifest) {
                origins.entry(blob.digest).or_insert_with(|| origin.clone());
            }
        }
        let draft = Draft {
            stream: head.stream.clone(),
            sequence: head.sequence,
            created: head.created,
            expires: head.expires,
            previous: head.previous,
            base: Vec::new(),
            artifacts,
            blobs: graph.blobs.clone(),
            requires: Vec::new(),
        };
        let statement = draft.seal(limits)?;
        let bytes = statement.to_bytes();
        let layout = Arc::new(Layout::of(&statement, bytes.len() as u64));
        let resolved = Asked { chosen, asked, marks, patterns, missing };
        Ok(Self { layout, bytes, statement, graph, contents, origins, addresses, resolved, unobtainable })
    }

    /// Possible referrers of the images that are not in the bundle, because a registry does not provide them.
    pub fn unobtainable(&self) -> &[UnobtainableReferrer] {
        &self.unobtainable
    }

    /// Makes sure that the bundle can be read from a pipe, where manifests and configs must be kept.
    ///
    /// # Errors
    /// [`PlanError::Pipe`].
    pub fn fits_pipe(&self, limits: &Limits) -> Result<(), PlanError> {
        let (mut manifests, mut configs) = (0, 0);
        for blob in &self.graph.blobs[..self.graph.first_layer] {
            *if self.graph.manifests.contains_key(&blob.digest) { &mut manifests } else { &mut configs } +=
                blob.size;
        }
        let limit = limits.piped_manifests;
        for (what, size) in [("manifests", manifests), ("configs", configs)] {
            if size > limit {
                return Err(PlanError::Pipe { what, size, limit });
            }
        }
        Ok(())
    }

    /// Takes the sequence and time of an earlier run that planned the same, so that what it
    /// fetched can be used. Returns whether it did plan the same.
    pub fn adopt(&mut self, earlier: &Statement) -> bool {
        let lasts = |statement: &Statement| Some(statement.expires?.unix() - statement.created.unix());
        if lasts(earlier) != lasts(&self.statement) {
            return false;
        }
        let same = Draft {
            sequence: self.statement.sequence,
            created: self.statement.created,
            expires: self.statement.expires,
            ..earlier.draft()
        } == self.statement.draft();
        if same {
            self.say(earlier.clone());
        }
        same
    }

    /// Takes blobs out of the archive that are on the other side already.
    pub(crate) fn leave_out(
        &mut self,
        blobs: Vec<Blob>,
        requires: Vec<Blob>,
        base: Vec<Base>,
        limits: &Limits,
    ) -> Result<(), PlanError> {
        let draft = Draft { blobs, requires, base, ..self.statement.draft() };
        self.say(draft.seal(limits)?);
        Ok(())
    }

    /// The graph of the manifests.
    pub(crate) fn graph(&self) -> &Graph {
        &self.graph
    }

    fn say(&mut self, statement: Statement) {
        self.bytes = statement.to_bytes();
        self.layout = Arc::new(Layout::of(&statement, self.bytes.len() as u64));
        self.statement = statement;
    }

    /// The statement.
    pub fn statement(&self) -> &Statement {
        &self.statement
    }

    /// The statement's bytes, which are signed.
    pub fn statement_bytes(&self) -> &[u8] {
        &self.bytes
    }

    /// Where everything will lie.
    pub fn layout(&self) -> &Layout {
        &self.layout
    }

    /// The same, as a shared pointer.
    pub(crate) fn shared_layout(&self) -> Arc<Layout> {
        self.layout.clone()
    }

    /// The length of the archive up to its first layer: all that says what the rest is for.
    pub(crate) fn head_length(&self) -> u64 {
        let layers: HashSet<Digest> =
            self.graph.blobs[self.graph.first_layer..].iter().map(|blob| blob.digest).collect();
        let first = self.statement.blobs.iter().position(|blob| layers.contains(&blob.digest));
        self.layout.start_of_blob(first.unwrap_or(usize::MAX))
    }

    /// Content that is known already.
    pub(crate) fn content(&self, digest: Digest) -> Option<&Bytes> {
        self.contents.get(&digest)
    }

    /// Where a blob is fetched from.
    pub(crate) fn origin(&self, digest: Digest) -> Option<&Origin> {
        self.origins.get(&digest)
    }

    /// Where else than at its origin a blob may be, as the manifests say of layers that are marked non-distributable;
    /// none for other blobs.
    pub(crate) fn addresses(&self, digest: Digest) -> Option<&[String]> {
        self.addresses.get(&digest).map(Vec::as_slice)
    }

    /// The images that lack layers because these are marked non-distributable (image-spec, layer.md).
    pub fn foreign_layers(&self) -> Vec<Notice> {
        let mut notices: Vec<Notice> = Vec::new();
        let artifacts = &self.statement.artifacts;
        for (artifact, count) in artifacts.iter().zip(foreign::count(&self.graph, artifacts)) {
            let notice = Notice::ForeignLayers { image: artifact.source.clone(), layers: count.lacking };
            // The same image may have several targets.
            if count.lacking > 0 && !notices.contains(&notice) {
                notices.push(notice);
            }
        }
        notices
    }

    /// The reasons of an artifact that say who asked for it.
    fn asked_by<'a>(&self, artifact: &'a Artifact) -> &'a [String] {
        let marks = self.resolved.marks.get(&(artifact.target.clone(), artifact.digest)).map_or(0, Vec::len);
        &artifact.reasons[..artifact.reasons.len().saturating_sub(marks)]
    }

    /// The bytes that artifacts share: what they would need one by one, less what they need
    /// together.
    pub fn saved(&self) -> u64 {
        let alone: u64 = self.statement.artifacts.iter().map(|artifact| self.size_of(artifact.digest)).sum();
        let together: u64 = self.graph.blobs.iter().map(|blob| blob.size).sum();
        alone.saturating_sub(together)
    }

    /// The size in bytes of a manifest with all that it names.
    pub fn size_of(&self, digest: Digest) -> u64 {
        self.graph.extent(digest).iter().map(|blob| blob.size).sum()
    }

    /// The lock of what was asked for.
    pub fn lock(&self) -> Lock {
        let mut artifacts: Vec<LockEntry> = self
            .statement
            .artifacts
            .iter()
            .filter(|artifact| artifact.subject.is_none())
            .map(|artifact| (artifact, self.graph.extent(artifact.digest)))
            .map(|(artifact, extent)| LockEntry {
                reference: self.resolved.asked.get(&artifact.target).unwrap_or(&artifact.source).clone(),
                from: match self.origins.get(&artifact.digest) {
                    Some(Origin::Local(local)) => Some(local.name().to_owned()),
                    Some(Origin::Registry(_)) | None => None,
                },
                target: artifact.target.to_string(),
                kind: artifact.kind,
                digest: artifact.derived_from.unwrap_or(artifact.digest),
                delivered: artifact.derived_from.map(|_| artifact.digest),
                media_type: artifact.media_type.clone(),
                only: match self.resolved.chosen.get(&artifact.target) {
                    Some(Platforms::Only(platforms)) => platforms.clone(),
                    Some(Platforms::All) | None => Vec::new(),
                },
                platforms: artifact.platforms.clone(),
                size: extent.iter().map(|blob| blob.size).sum(),
                blobs: extent.len() as u64,
                why: self.asked_by(artifact).to_vec(),
            })
            .collect();
        artifacts.sort_by(|a, b| (&a.target, a.digest).cmp(&(&b.target, b.digest)));
        let Asked { patterns, missing, .. } = &self.resolved;
        let (patterns, missing) = (patterns.clone(), missing.clone());
        Lock { version: 1, name: self.statement.stream.clone(), artifacts, patterns, missing }
    }
}

struct Fetched<'a>(&'a HashMap<Digest, Bytes>);

impl Contents for Fetched<'_> {
    type Error = Missing;

    fn manifest(&mut self, digest: Digest, _: &MediaType, _: Option<u64>) -> Result<Vec<u8>, Missing> {
        Ok(self.0.get(&digest).ok_or(Missing(digest))?.to_vec())
    }

    fn config(&mut self, _: Blob) -> Result<(), Missing> {
        Ok(())
    }
}

/// Plans made by hand.
#[cfg(test)]
pub(crate) mod testing {
    use bundle_format::{Artifact, Kind};
    use serde_json::json;

    use super::*;

    /// The digest of made-up content.
    pub(crate) fn digest(content: &str) -> Digest {
        Digest::of(content.as_bytes())
    }

    /// A bundle of one image with one layer of this size, without content.
    pub(crate) fn plan_of_layer(size: u64) -> Plan {
        made(&[("cache/r.example/app:1", &["layer"])], |_| size)
    }

    /// A bundle of images, each with a target and layers. A layer's content is its name.
    pub(crate) fn plan(images: &[(&str, &[&str])]) -> Plan {
        made(images, |layer| layer.len() as u64)
    }

    fn made(images: &[(&str, &[&str])], size_of: impl Fn(&str) -> u64) -> Plan {
        let mut resolved = Resolved::default();
        for (target, layers) in images {
            let part = |kind: &str, content: &str| json!({"mediaType": kind, "digest": digest(content), "size": if content == "{}" { 2 } else { size_of(content) }});
            let layers: Vec<_> =
                layers.iter().map(|layer| part("application/vnd.oci.image.layer.v1.tar", layer)).collect();
            let manifest = json!({
                "schemaVersion": 2,
                "config": part("application/vnd.oci.image.config.v1+json", "{}"),
                "layers": layers,
            });
            let bytes = Bytes::from(manifest.to_string());
            let source = format!("r.example/{}", target.split_once('/').unwrap().1);
            resolved.artifacts.push(Artifact {
                kind: Kind::Image,
                source: source.parse().unwrap(),
                target: target.parse().unwrap(),
                digest: Digest::of(&bytes),
                media_type: MediaType::IMAGE_MANIFEST.parse().unwrap(),
                platforms: Vec::new(),
                derived_from: None,
                subject: None,
                reasons: vec!["test".to_owned()],
            });
            resolved.contents.insert(Digest::of(&bytes), bytes);
        }
        let head = StatementHead {
            stream: StreamName::default(),
            sequence: Sequence::try_from(9).unwrap(),
            created: Timestamp::from_unix(1_795_000_000).unwrap(),
            expires: None,
            previous: None,
        };
        Plan::new(resolved, &head, &Limits::V1).unwrap()
    }
}
