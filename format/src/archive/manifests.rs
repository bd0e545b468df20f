//! The manifests of an archive that is read at any place: each must match its digest, and together they must
//! name the statement's blobs.

use bundle_oci::{ConfigPlatform, Descriptor, Digest, MediaType};

use crate::archive::blob::{BlobPlace, by_digest, entry_of};
use crate::archive::file::damage_of;
use crate::archive::layout::{Entry, Layout};
use crate::{
    Archive, Blob, ConfigWord, Contents, Damage, Graph, GraphError, Layer, Limits, OtherPlatform, Statement,
    Unverified, check_promises, other_platforms,
};

impl Unverified {
    /// Returns the statement of a bundle whose signature is not checked, and the graph of its manifests. The
    /// manifests match their digests; nothing else is known.
    ///
    /// # Errors
    /// Any [`Damage`] to the statement or the manifests.
    pub fn contents<R: Layer>(&self, reader: &R, limits: &Limits) -> Result<(Statement, Graph), Damage> {
        let statement = Statement::parse(&self.statement, limits).map_err(Damage::Statement)?;
        let layout = Layout::of(&statement, self.statement.len() as u64);
        let graph = graph_of(reader, &statement, &layout, &by_digest(&statement), limits)?;
        Ok((statement, graph))
    }
}

/// Step 8 of docs/format.md §Verification. `by_digest` has the positions of the blobs in the order of their digests.
pub(crate) fn graph_of<R: Layer>(
    reader: &R,
    statement: &Statement,
    layout: &Layout,
    by_digest: &[u32],
    limits: &Limits,
) -> Result<Graph, Damage> {
    let mut stored = Stored { reader, size: layout.size(), statement, layout, by_digest };
    let graph = Graph::walk(&statement.artifacts, &mut stored, limits).map_err(from_graph)?;
    check_blob_list(statement, &graph)?;
    check_promises(&statement.artifacts, &graph, |config| stored.word_of(config)).map_err(Damage::Promise)?;
    Ok(graph)
}

impl<R: Layer> Archive<R> {
    /// The images of which indexes say another platform than configs do, for people to know.
    pub fn other_platforms(&self, graph: &Graph) -> Vec<OtherPlatform> {
        let (statement, layout) = (self.statement(), &self.layout);
        let (reader, by_digest) = (&self.reader, self.by_digest.as_slice());
        let stored = Stored { reader, size: layout.size(), statement, layout, by_digest };
        other_platforms(&statement.artifacts, graph, |config| stored.word_of(config))
    }
}

pub(crate) fn from_graph(error: GraphError<Damage>) -> Damage {
    match error {
        GraphError::Contents(damage) => damage,
        other => Damage::Graph(Box::new(other)),
    }
}

/// The blobs present and those that a delta requires must be the blobs that the manifests name, in their
/// order.
pub(crate) fn check_blob_list(statement: &Statement, graph: &Graph) -> Result<(), Damage> {
    let (mut present, mut required) = (statement.blobs.iter(), statement.requires.iter());
    let (mut blob, mut requirement) = (present.next(), required.next());
    for named in &graph.blobs {
        if blob == Some(named) {
            blob = present.next();
        } else if requirement == Some(named) && !graph.manifests.contains_key(&named.digest) {
            requirement = required.next();
        } else {
            return Err(Damage::BlobList(named.digest));
        }
    }
    match blob.or(requirement) {
        Some(extra) => Err(Damage::BlobList(extra.digest)),
        None => Ok(()),
    }
}

struct Stored<'a, R> {
    reader: &'a R,
    size: u64,
    statement: &'a Statement,
    layout: &'a Layout,
    by_digest: &'a [u32],
}

impl<R: Layer> Stored<'_, R> {
    fn entry(&self, digest: Digest) -> Option<&Entry> {
        entry_of(self.statement, self.layout, self.by_digest, digest)
    }

    /// Reads the platform from a config. A config that is missing or does not match its digest says nothing:
    /// the next step finds that.
    fn word_of(&self, config: &Descriptor) -> ConfigWord {
        let digest = config.digest;
        let entry = self.entry(digest).filter(|entry| entry.size <= ConfigPlatform::LARGEST);
        let Some(entry) = entry else { return ConfigWord::Absent };
        let mut bytes = vec![0; entry.size as usize];
        match BlobPlace::new(entry, digest).read_at(self.reader, &mut bytes, 0) {
            Ok(()) if Digest::of(&bytes) == digest => ConfigWord::of(&bytes),
            _ => ConfigWord::Absent,
        }
    }
}

impl<R: Layer> Contents for Stored<'_, R> {
    type Error = Damage;

    fn manifest(&mut self, digest: Digest, _: &MediaType, _: Option<u64>) -> Result<Vec<u8>, Damage> {
        let entry = self.entry(digest).ok_or(Damage::BlobList(digest))?;
        if entry.size > bundle_oci::Manifest::LARGEST as u64 {
            return Err(from_graph(GraphError::Manifest {
                digest,
                source: bundle_oci::ManifestError::TooLarge(
                    usize::try_from(entry.size).unwrap_or(usize::MAX),
                ),
            }));
        }
        let mut bytes = vec![0; entry.size as usize];
        let read = BlobPlace::new(entry, digest).read_at(self.reader, &mut bytes, 0);
        read.map_err(|error| damage_of(self.reader, error, entry.offset, self.size))?;
        if Digest::of(&bytes) == digest { Ok(bytes) } else { Err(Damage::Content(*entry)) }
    }

    fn config(&mut self, _: Blob) -> Result<(), Damage> {
        Ok(())
    }
}
