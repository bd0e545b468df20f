//! All that artifacts name: manifests, configs and layers, in the archive's order.
//! Takes the contents of manifests by digest, gives nodes, children before parents, within depth and count.

use std::collections::{HashMap, HashSet};

use bundle_oci::{Descriptor, Digest, Manifest, ManifestError, MediaType};

use crate::{Artifact, Blob, Limits};

/// A source of manifests while their graph is walked: a registry's answers, an archive, or a pipe that gives
/// each byte once.
pub trait Contents {
    /// Why content could not be had.
    type Error;

    /// The bytes of a manifest. Called once for each, in the archive's order. The bytes must have
    /// the digest; `size` is what the parent says, and `None` for an artifact's own manifest.
    ///
    /// # Errors
    /// The content is not to be had, or is not what its digest says.
    fn manifest(
        &mut self,
        digest: Digest,
        media_type: &MediaType,
        size: Option<u64>,
    ) -> Result<Vec<u8>, Self::Error>;

    /// Told of each config that is met for the first time, in the archive's order.
    ///
    /// # Errors
    /// The content is not to be had, or is not what its digest says.
    fn config(&mut self, config: Blob) -> Result<(), Self::Error>;
}

/// All that a list of artifacts names, in the archive's order (docs/format.md §Order of blobs).
#[derive(Clone, Debug, Default)]
pub struct Graph {
    /// Manifests, indexes and configs, each parent before its children; then the layers.
    pub blobs: Vec<Blob>,
    /// How many of the blobs come before the first layer.
    pub first_layer: usize,
    /// The manifests among the blobs, by digest.
    pub manifests: HashMap<Digest, Node>,
    /// Layers that stay with their vendor and are in no bundle.
    pub foreign_layers: Vec<Digest>,
}

/// A manifest of the graph.
#[derive(Clone, Debug)]
pub struct Node {
    /// Its media type.
    pub media_type: MediaType,
    /// Its size in bytes.
    pub size: u64,
    /// The manifest.
    pub manifest: Manifest,
}

/// Why manifests do not make a graph that can be carried.
#[derive(Debug, thiserror::Error)]
pub enum GraphError<E> {
    /// The content could not be had.
    #[error(transparent)]
    Contents(E),
    /// A manifest that cannot be read.
    #[error("manifest {digest} cannot be used")]
    Manifest {
        /// The manifest's digest.
        digest: Digest,
        /// The cause.
        source: ManifestError,
    },
    /// Content with another length than its descriptor says.
    #[error("{digest} has {found} bytes, and its descriptor says {expected}")]
    Size {
        /// The content's digest.
        digest: Digest,
        /// The size in the descriptor.
        expected: u64,
        /// The size of the content.
        found: u64,
    },
    /// One digest for a manifest and for a config, or for two types of manifest.
    #[error("{0} is named both as one type of content and as another")]
    TwoRoles(Digest),
    /// Indexes nested deeper than [`Limits::index_depth`].
    #[error("index {0} is nested too deeply")]
    TooDeep(Digest),
    /// More of them, once parsed, than [`Limits::graph`].
    #[error("the manifests take more than {} MiB of memory together", .0 >> 20)]
    TooLarge(u64),
    /// More than [`Limits::parts`].
    #[error("the artifacts consist of more than {0} manifests and blobs, counted for each artifact")]
    TooManyParts(usize),
    /// More blobs than [`Limits::blobs`].
    #[error("more than {0} blobs")]
    TooMany(usize),
}

impl Graph {
    /// Walks from each artifact to all that it names.
    ///
    /// # Errors
    /// Any [`GraphError`].
    pub fn walk<C: Contents>(
        artifacts: &[Artifact],
        contents: &mut C,
        limits: &Limits,
    ) -> Result<Self, GraphError<C::Error>> {
        let mut walk = Walk {
            contents,
            limits,
            graph: Self::default(),
            seen: HashMap::new(),
            layers: Vec::new(),
            weight: 0,
        };
        for artifact in artifacts {
            walk.manifest(artifact.digest, &artifact.media_type, None, 0)?;
        }
        let mut parts = 0;
        let mut extents: HashMap<Digest, usize> = HashMap::new();
        for artifact in artifacts {
            let graph = &walk.graph;
            parts += *extents.entry(artifact.digest).or_insert_with(|| graph.extent(artifact.digest).len());
            if parts > limits.parts {
                return Err(GraphError::TooManyParts(limits.parts));
            }
        }
        let Walk { mut graph, mut layers, seen, .. } = walk;
        // A blob that is the config of one manifest and a layer of another lies with the configs.
        // One that is a manifest as well lies with the manifests.
        layers.retain(|layer| matches!(seen.get(&layer.digest), Some((Role::Layer, _))));
        drop(seen);
        graph.first_layer = graph.blobs.len();
        graph.blobs.reserve_exact(layers.len());
        graph.blobs.append(&mut layers);
        Ok(graph)
    }

    /// All that a manifest consists of: itself, the manifests below it, their configs and layers.
    /// Each once, without foreign layers, in no particular order.
    pub fn extent(&self, root: Digest) -> Vec<Blob> {
        // A manifest may have been met as a layer before it is walked.
        let (mut walked, mut seen) = (HashSet::new(), HashSet::new());
        let mut extent = Vec::new();
        let mut open = vec![root];
        while let Some(digest) = open.pop() {
            let Some(node) = self.manifests.get(&digest) else { continue };
            if !walked.insert(digest) {
                continue;
            }
            if seen.insert(digest) {
                extent.push(Blob { digest, size: node.size });
            }
            if let Manifest::Index(index) = &node.manifest {
                open.extend(index.children.iter().map(|child| child.descriptor.digest));
            }
            for blob in Self::blobs_of(&node.manifest) {
                if seen.insert(blob.digest) {
                    extent.push(Blob { digest: blob.digest, size: blob.size });
                }
            }
        }
        extent
    }

    /// The blobs that a manifest itself names: its config and its layers, without foreign ones.
    pub fn blobs_of(manifest: &Manifest) -> impl Iterator<Item = &Descriptor> {
        let (config, layers) = match manifest {
            Manifest::Image(image) => (Some(&image.config), image.layers.as_slice()),
            Manifest::Index(_) => (None, [].as_slice()),
        };
        config.into_iter().chain(layers.iter().filter(|layer| !layer.media_type.is_non_distributable()))
    }

    /// The layers marked non-distributable of a manifest and of those below it, each digest once.
    pub fn foreign_of(&self, root: Digest) -> Vec<&Descriptor> {
        let (mut open, mut seen, mut found) = (vec![root], HashSet::new(), Vec::new());
        if self.foreign_layers.is_empty() {
            return found;
        }
        while let Some(digest) = open.pop() {
            match self.manifests.get(&digest).map(|node| &node.manifest) {
                Some(Manifest::Index(index)) => {
                    let children = index.children.iter().map(|child| child.descriptor.digest);
                    open.extend(children.filter(|child| seen.insert(*child)));
                }
                Some(Manifest::Image(image)) => {
                    let foreign = image.layers.iter().filter(|layer| layer.media_type.is_non_distributable());
                    found.extend(foreign.filter(|layer| seen.insert(layer.digest)));
                }
                None => {}
            }
        }
        found
    }

    /// All that a manifest names, directly or through others, itself included, each once.
    pub fn reached(&self, root: Digest) -> Vec<Digest> {
        let mut all = Vec::new();
        let mut seen = HashSet::new();
        let mut open = vec![root];
        while let Some(digest) = open.pop() {
            if !seen.insert(digest) {
                continue;
            }
            all.push(digest);
            let Some(node) = self.manifests.get(&digest) else { continue };
            open.extend(Self::blobs_of(&node.manifest).map(|blob| blob.digest));
            if let Manifest::Index(index) = &node.manifest {
                open.extend(index.children.iter().map(|child| child.descriptor.digest));
            }
        }
        all
    }
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum Role {
    Manifest,
    Config,
    Layer,
}

/// Memory of a blob beside its place in the graph, in bytes: in the statement, in the layout and in lists of
/// positions.
const BESIDE: usize = 104;

struct Walk<'a, C> {
    contents: &'a mut C,
    limits: &'a Limits,
    graph: Graph,
    seen: HashMap<Digest, (Role, u64)>,
    layers: Vec<Blob>,
    /// Memory of the manifests beside their own places, in bytes.
    weight: u64,
}

impl<C: Contents> Walk<'_, C> {
    fn manifest(
        &mut self,
        digest: Digest,
        media_type: &MediaType,
        size: Option<u64>,
        depth: usize,
    ) -> Result<(), GraphError<C::Error>> {
        if depth > self.limits.index_depth {
            return Err(GraphError::TooDeep(digest));
        }
        // Noted as a layer before: as a manifest it gets its place now.
        let noted = self.seen.get(&digest).filter(|(role, _)| *role != Role::Layer);
        if let Some(&(role, found)) = noted {
            let same_type =
                self.graph.manifests.get(&digest).is_some_and(|node| node.media_type == *media_type);
            if role != Role::Manifest || !same_type {
                return Err(GraphError::TwoRoles(digest));
            }
            return same_size(digest, size.unwrap_or(found), found);
        }
        let bytes = self.contents.manifest(digest, media_type, size).map_err(GraphError::Contents)?;
        let found = bytes.len() as u64;
        same_size(digest, size.unwrap_or(found), found)?;
        let mut manifest =
            Manifest::parse(&bytes, media_type).map_err(|source| GraphError::Manifest { digest, source })?;
        drop(bytes);
        manifest.forget_annotations();
        self.weight += manifest.weight();
        self.check_weight()?;
        self.meet(Blob { digest, size: found }, Role::Manifest)?;
        match &manifest {
            Manifest::Index(index) => {
                for child in &index.children {
                    let descriptor = &child.descriptor;
                    self.manifest(
                        descriptor.digest,
                        &descriptor.media_type,
                        Some(descriptor.size),
                        depth + 1,
                    )?;
                }
            }
            Manifest::Image(image) => {
                let config = Blob { digest: image.config.digest, size: image.config.size };
                if self.meet(config, Role::Config)? {
                    self.contents.config(config).map_err(GraphError::Contents)?;
                }
                for layer in &image.layers {
                    if layer.media_type.is_non_distributable() {
                        self.graph.foreign_layers.push(layer.digest);
                    } else {
                        self.meet(Blob { digest: layer.digest, size: layer.size }, Role::Layer)?;
                    }
                }
            }
        }
        self.graph.manifests.insert(digest, Node { media_type: media_type.clone(), size: found, manifest });
        self.check_weight()
    }

    /// Holds what all of it takes in memory to the limit.
    fn check_weight(&self) -> Result<(), GraphError<C::Error>> {
        let Self { graph, seen, layers, .. } = self;
        // Each bucket has a byte of its own, and of eight of them seven are used at most.
        let table = |capacity: usize, entry: usize| capacity.div_ceil(7) * 8 * (entry + 1);
        let tables = table(graph.manifests.capacity(), size_of::<(Digest, Node)>())
            + table(seen.capacity(), size_of::<(Digest, (Role, u64))>());
        // The layers are added to the others in the end.
        let lists = (graph.blobs.capacity() + 2 * layers.capacity()) * size_of::<Blob>()
            + graph.foreign_layers.capacity() * size_of::<Digest>();
        let all = tables + lists + seen.len() * BESIDE;
        if self.weight.saturating_add(all as u64) > self.limits.graph {
            return Err(GraphError::TooLarge(self.limits.graph));
        }
        Ok(())
    }

    /// Takes note of a blob; true if it gets a place of its own in the order.
    fn meet(&mut self, blob: Blob, role: Role) -> Result<bool, GraphError<C::Error>> {
        if let Some(known) = self.seen.get_mut(&blob.digest) {
            same_size(blob.digest, blob.size, known.1)?;
            return match (known.0, role) {
                (Role::Layer, Role::Config | Role::Manifest) => {
                    known.0 = role;
                    self.graph.blobs.push(blob);
                    Ok(true)
                }
                // An artifact may name another one's manifest as its content.
                (Role::Manifest | Role::Config | Role::Layer, Role::Layer) => Ok(false),
                (Role::Config, Role::Config) => Ok(false),
                (Role::Manifest, _) | (_, Role::Manifest) => Err(GraphError::TwoRoles(blob.digest)),
            };
        }
        if self.seen.len() >= self.limits.blobs {
            return Err(GraphError::TooMany(self.limits.blobs));
        }
        self.seen.insert(blob.digest, (role, blob.size));
        match role {
            Role::Manifest | Role::Config => self.graph.blobs.push(blob),
            Role::Layer => self.layers.push(blob),
        }
        Ok(true)
    }
}

fn same_size<E>(digest: Digest, expected: u64, found: u64) -> Result<(), GraphError<E>> {
    if expected == found { Ok(()) } else { Err(GraphError::Size { digest, expected, found }) }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;
    use crate::Target;
    use crate::testing::statement;

    /// Manifests by their digests, as a registry has them.
    #[derive(Default)]
    struct Store(HashMap<Digest, Vec<u8>>);

    impl Store {
        fn put(&mut self, manifest: &serde_json::Value) -> Digest {
            let bytes = serde_json::to_vec(manifest).unwrap();
            let digest = Digest::of(&bytes);
            self.0.insert(digest, bytes);
            digest
        }

        fn image(&mut self, config: &str) -> Digest {
            let config = json!({"mediaType": "application/vnd.oci.image.config.v1+json", "digest": Digest::of(config.as_bytes()), "size": config.len()});
            self.put(&json!({"schemaVersion": 2, "config": config, "layers": []}))
        }

        fn index(&mut self, children: &[(Digest, &str)]) -> Digest {
            let child = |(digest, media_type): &(Digest, &str)| {
                let size = self.0.get(digest).map_or(7, Vec::len);
                json!({"mediaType": media_type, "digest": digest, "size": size})
            };
            let children: Vec<_> = children.iter().map(child).collect();
            self.put(&json!({"schemaVersion": 2, "manifests": children}))
        }
    }

    impl Contents for Store {
        type Error = Digest;

        fn manifest(&mut self, digest: Digest, _: &MediaType, _: Option<u64>) -> Result<Vec<u8>, Digest> {
            self.0.get(&digest).cloned().ok_or(digest)
        }

        fn config(&mut self, _: Blob) -> Result<(), Digest> {
            Ok(())
        }
    }

    fn walk(store: &mut Store, root: Digest, media_type: &str) -> Result<Graph, GraphError<Digest>> {
        let artifact = statement(&[b"layer"]).draft().artifacts.remove(0);
        let artifact = Artifact { digest: root, media_type: media_type.parse().unwrap(), ..artifact };
        Graph::walk(&[artifact], store, &Limits::V1)
    }

    #[test]
    fn indexes_nest_as_deep_as_the_limit_and_no_deeper() {
        let mut store = Store::default();
        let mut root = store.image("{}");
        let mut kind = MediaType::IMAGE_MANIFEST;
        for depth in 0..=Limits::V1.index_depth {
            root = store.index(&[(root, kind)]);
            kind = MediaType::IMAGE_INDEX;
            let found = walk(&mut store, root, kind);
            match depth < Limits::V1.index_depth {
                true => assert_eq!(found.unwrap().manifests.len(), depth + 2),
                false => assert!(matches!(found, Err(GraphError::TooDeep(_)))),
            }
        }
    }

    #[test]
    fn what_takes_much_memory_is_refused_however_few_its_bytes() {
        let mut store = Store::default();
        let images: Vec<_> =
            (0..9).map(|at| (store.image(&at.to_string()), MediaType::IMAGE_MANIFEST)).collect();
        let root = store.index(&images);
        let artifact = |tag: &str| {
            let artifact = statement(&[b"layer"]).draft().artifacts.remove(0);
            let target = Target { tag: Some(tag.parse().unwrap()), ..artifact.target };
            Artifact { digest: root, media_type: MediaType::IMAGE_INDEX.parse().unwrap(), target, ..artifact }
        };
        // An index, nine manifests, nine configs, for each of two artifacts.
        let both = [artifact("1"), artifact("2")];
        let told = |store: &mut Store, limits: Limits| Graph::walk(&both, store, &limits);
        assert!(told(&mut store, Limits { parts: 38, ..Limits::V1 }).is_ok());
        let parts = told(&mut store, Limits { parts: 37, ..Limits::V1 });
        assert!(matches!(parts, Err(GraphError::TooManyParts(37))));
        let weight = told(&mut store, Limits { graph: 2_000, ..Limits::V1 });
        assert!(matches!(weight, Err(GraphError::TooLarge(2_000))));
    }

    #[test]
    fn absent_children_and_contradictory_ones_are_refused() {
        let mut store = Store::default();
        let absent = Digest::of(b"absent");
        let root = store.index(&[(absent, MediaType::IMAGE_MANIFEST)]);
        assert!(
            matches!(walk(&mut store, root, MediaType::IMAGE_INDEX), Err(GraphError::Contents(digest)) if digest == absent)
        );
        let image = store.image("{}");
        let root = store.index(&[(image, MediaType::IMAGE_MANIFEST), (image, MediaType::DOCKER_MANIFEST)]);
        assert!(
            matches!(walk(&mut store, root, MediaType::IMAGE_INDEX), Err(GraphError::TwoRoles(digest)) if digest == image)
        );
        let root = store.index(&[(image, MediaType::IMAGE_INDEX)]);
        assert!(walk(&mut store, root, MediaType::IMAGE_INDEX).is_err(), "an image passes for an index");
    }

    #[test]
    fn a_manifest_that_is_another_ones_layer_has_one_place_among_the_manifests() {
        let mut store = Store::default();
        let image = store.image("{}");
        let size = store.0[&image].len();
        let layer = json!({"mediaType": "application/vnd.acme.v1", "digest": image, "size": size});
        let config =
            json!({"mediaType": "application/vnd.acme.v1+json", "digest": Digest::of(b"{}"), "size": 2});
        let naming = store.put(&json!({"schemaVersion": 2, "config": config, "layers": [layer]}));
        for children in [[naming, image], [image, naming]] {
            let root = store.index(&children.map(|child| (child, MediaType::IMAGE_MANIFEST)));
            let graph = walk(&mut store, root, MediaType::IMAGE_INDEX).unwrap();
            assert_eq!(graph.manifests.len(), 3);
            let places: Vec<Digest> = graph.blobs.iter().map(|blob| blob.digest).collect();
            assert_eq!(places.iter().filter(|digest| **digest == image).count(), 1, "{places:?}");
            assert_eq!(graph.first_layer, graph.blobs.len(), "{places:?}");
            assert_eq!(graph.extent(root).len(), graph.blobs.len());
        }
        // A manifest is never read as a config.
        let config = json!({"mediaType": "application/vnd.acme.v1+json", "digest": image, "size": size});
        let naming = store.put(&json!({"schemaVersion": 2, "config": config, "layers": []}));
        let root = store.index(&[(image, MediaType::IMAGE_MANIFEST), (naming, MediaType::IMAGE_MANIFEST)]);
        assert!(matches!(walk(&mut store, root, MediaType::IMAGE_INDEX), Err(GraphError::TwoRoles(_))));
    }
}
