//! The manifests of an archive that is read at any place: each must match its digest, and together they must
//! name the statement's blobs.

use bundle_oci::{ConfigPlatform, Descriptor, Digest, MediaType};

use crate::archive::blob::BlobPlace;
use crate::archive::file::damage_of;
use crate::archive::layout::{Entry, Layout};
use crate::{
    Blob, ConfigWord, Contents, Damage, Graph, GraphError, Layer, Limits, Statement, Unverified,
    check_promises,
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
        let graph = graph_of(reader, &statement, &layout, limits)?;
        Ok((statement, graph))
    }
}

/// Step 8 of docs/format.md §Verification.
pub(crate) fn graph_of<R: Layer>(
    reader: &R,
    statement: &Statement,
    layout: &Layout,
    limits: &Limits,
) -> Result<Graph, Damage> {
    let entries = statement.blobs.iter().zip(layout.blobs());
    let entries = entries.map(|(blob, entry)| (blob.digest, *entry)).collect();
    let mut stored = Stored { reader, size: layout.size(), entries };
    let graph = Graph::walk(&statement.artifacts, &mut stored, limits).map_err(from_graph)?;
    check_blob_list(statement, &graph)?;
    check_promises(&statement.artifacts, &graph, |config| stored.word_of(config)).map_err(Damage::Promise)?;
    Ok(graph)
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
    entries: std::collections::HashMap<Digest, Entry>,
}

impl<R: Layer> Stored<'_, R> {
    /// Reads the platform from a config. A config that is missing or does not match its digest says nothing:
    /// the next step finds that.
    fn word_of(&self, config: &Descriptor) -> ConfigWord {
        let digest = config.digest;
        let entry = self.entries.get(&digest).filter(|entry| entry.size <= ConfigPlatform::LARGEST);
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
        let entry = self.entries.get(&digest).ok_or(Damage::BlobList(digest))?;
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
