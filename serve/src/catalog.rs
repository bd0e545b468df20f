//! The names in the bundles: repositories, tags, digests, referrers. Made once when bundles are loaded; read
//! by every request.

use std::collections::{BTreeMap, HashMap, HashSet};
use std::fmt;
use std::sync::Arc;

use bundle_format::{Artifact, Blob, BlobPlace, Graph, Sequence, StreamName, Target, Trusted};
use bundle_oci::{Digest, Manifest, MediaType, Printable, Registry, RepositoryName, Tag};
use serde::Serialize;

use crate::offer::Offers;

/// The repositories of the bundles, with their tags and digests.
#[derive(Default)]
pub(crate) struct Catalog {
    contents: HashMap<Digest, Content>,
    repositories: Vec<Repository>,
    /// The names under which people push and pull: those of the targets.
    targets: BTreeMap<RepositoryName, usize>,
    /// The names with the source's host in front: `docker.io/library/nginx`.
    hosted: BTreeMap<RepositoryName, usize>,
    /// The source's own names, as a mirror is asked for them.
    sources: HashMap<(Registry, RepositoryName), usize>,
    /// The source's own names without a host, where only one host has them.
    short: HashMap<RepositoryName, usize>,
    notes: Vec<Note>,
    offers: Offers,
    /// The bundles so far: what people call each, its stream and its place there.
    bundles: Vec<(String, StreamName, Sequence)>,
}

/// Where content lies.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Content {
    /// The bundle, by its place in the catalog.
    pub(crate) bundle: u32,
    /// Where it lies there.
    pub(crate) place: BlobPlace,
    /// Which of [`MediaType::MANIFESTS`] it is, if it is one.
    pub(crate) manifest: Option<&'static str>,
}

impl Content {
    /// How many bytes there are.
    pub(crate) fn size(&self) -> u64 {
        self.place.size()
    }
}

/// One repository.
#[derive(Default)]
pub(crate) struct Repository {
    tags: BTreeMap<Tag, Tagged>,
    holds: HashSet<Digest>,
    referrers: BTreeMap<Digest, BTreeMap<Digest, Referrer>>,
}

struct Tagged {
    digest: Digest,
    bundle: u32,
}

/// Annotations, which every repository that has the manifest shares.
#[derive(Clone, Debug)]
struct Shared(Arc<BTreeMap<String, String>>);

impl Shared {
    fn is_empty(&self) -> bool {
        self.0.is_empty()
    }
}

impl Serialize for Shared {
    fn serialize<S: serde::Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        self.0.serialize(serializer)
    }
}

/// A manifest that is attached to another, as the referrers API describes it (distribution-spec
/// §Listing Referrers).
#[derive(Clone, Debug, Serialize)]
#[serde(rename_all = "camelCase")]
pub(crate) struct Referrer {
    media_type: &'static str,
    pub(crate) digest: Digest,
    size: u64,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) artifact_type: Option<MediaType>,
    #[serde(skip_serializing_if = "Shared::is_empty")]
    annotations: Shared,
}

/// Something that people should know before they rely on what is served.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Note {
    /// Two bundles mean different things by one tag.
    Superseded {
        /// The whole name.
        name: String,
        /// The bundle whose digest is served, as people call it.
        served: String,
        /// The bundle whose digest is not.
        left: String,
        /// Whether both are of one stream, whose later bundles replace what earlier ones had.
        one_stream: bool,
    },
    /// The key that signed may not say what the names of other registries mean, so its bundle is
    /// served under the names of its targets only.
    TargetsOnly {
        /// The bundle, as people call it.
        bundle: String,
        /// The names of the keys that signed it.
        signers: Vec<String>,
    },
}

impl fmt::Display for Note {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Superseded { name, served, left, .. } => {
                write!(f, "{name} is that of {}, not that of {}", Printable(served), Printable(left))
            }
            Self::TargetsOnly { bundle, signers } => {
                let signers: Vec<String> =
                    signers.iter().map(|name| format!("'{}'", Printable(name))).collect();
                write!(
                    f,
                    "{} may not write to the project 'cache', so {} is served under the names of its targets only",
                    signers.join(" and "),
                    Printable(bundle)
                )
            }
        }
    }
}

/// A bundle that is added to the catalog.
pub(crate) struct Addition<'a> {
    /// Its name for people.
    pub(crate) name: &'a str,
    pub(crate) trusted: &'a Trusted,
    pub(crate) places: Vec<BlobPlace>,
    pub(crate) graph: &'a Graph,
}

impl Catalog {
    /// Where content of a repository lies.
    pub(crate) fn content(&self, repository: &Repository, digest: Digest) -> Option<Content> {
        repository.holds.contains(&digest).then(|| self.contents.get(&digest).copied()).flatten()
    }

    /// The repository of this name. `ns` is the registry that a mirror is asked to speak for; then
    /// only names that say the same registry are looked at.
    pub(crate) fn repository(&self, name: &RepositoryName, ns: Option<&Registry>) -> Option<&Repository> {
        let exact = || self.targets.get(name).or_else(|| self.hosted.get(name));
        let found = match ns {
            Some(registry) => self.sources.get(&(registry.clone(), name.clone())).or_else(exact),
            None => exact().or_else(|| self.short.get(name)),
        };
        found.and_then(|&position| self.repositories.get(position))
    }

    /// The names of the targets' repositories after `last`, in order.
    pub(crate) fn names(&self, last: Option<&str>) -> impl Iterator<Item = &RepositoryName> {
        self.targets.keys().skip_while(move |name| last.is_some_and(|last| name.as_str() <= last))
    }

    /// How many blobs there are, and their bytes.
    pub(crate) fn size(&self) -> (usize, u64) {
        (self.contents.len(), self.contents.values().map(|content| content.size()).sum())
    }

    pub(crate) fn notes(&self) -> &[Note] {
        &self.notes
    }

    /// What people can pull, by the names of the targets.
    pub(crate) fn offers(&self) -> &Offers {
        &self.offers
    }

    /// The given digests that no bundle has.
    pub(crate) fn absent(&self, digests: impl Iterator<Item = Digest>) -> Vec<Digest> {
        digests.filter(|digest| !self.contents.contains_key(digest)).collect()
    }

    /// Adds a bundle. Where two of them mean different things by a tag, that of the later sequence holds if they
    /// are of one stream, and otherwise the one that was added last. [`Catalog::finish`] comes after the last.
    pub(crate) fn add(&mut self, bundle: &Addition<'_>) {
        let statement = bundle.trusted.statement();
        let number = self.bundles.len();
        self.bundles.push((bundle.name.to_owned(), statement.stream.clone(), statement.sequence));
        for (blob, &place) in statement.blobs.iter().zip(&bundle.places) {
            let manifest =
                bundle.graph.manifests.get(&blob.digest).and_then(|node| name_of(&node.media_type));
            let content = Content { bundle: number as u32, place, manifest };
            self.contents.entry(blob.digest).or_insert(content);
        }
        let speaks = bundle.trusted.speaks_for_sources();
        if !speaks {
            let signers = bundle.trusted.signers().to_vec();
            self.notes.push(Note::TargetsOnly { bundle: bundle.name.to_owned(), signers });
        }
        for artifact in &statement.artifacts {
            let Ok(target) = artifact.target.path() else { continue };
            let position = self.target(target.clone());
            let mut places = vec![(position, artifact.target.tag.as_ref(), target.clone())];
            if speaks && let Some((position, name)) = self.source(artifact) {
                places.push((position, artifact.source.tag(), name));
            }
            let reached = bundle.graph.extent(artifact.digest);
            let size = reached.iter().map(|blob| blob.size).sum();
            self.offers.add(artifact, target.clone(), size, number as u32);
            for (position, tag, name) in places {
                let repository = &mut self.repositories[position];
                repository.hold(&reached, bundle.graph, &self.contents);
                if let Some(tag) = tag
                    && let Some(note) = repository.set(tag, artifact.digest, number, &self.bundles, &name)
                {
                    self.notes.push(note);
                }
            }
        }
    }

    fn target(&mut self, name: RepositoryName) -> usize {
        *self.targets.entry(name).or_insert_with(|| {
            self.repositories.push(Repository::default());
            self.repositories.len() - 1
        })
    }

    /// The repository of an artifact's source, and its name with the host.
    fn source(&mut self, artifact: &Artifact) -> Option<(usize, RepositoryName)> {
        let (registry, path) = (artifact.source.registry(), artifact.source.repository());
        let hosted = Target::mirror_place(registry).and_then(|place| path.under(place.as_str()).ok());
        let position = *self.sources.entry((registry.clone(), path.clone())).or_insert_with(|| {
            self.repositories.push(Repository::default());
            self.repositories.len() - 1
        });
        if let Some(hosted) = &hosted {
            self.hosted.entry(hosted.clone()).or_insert(position);
        }
        Some((position, hosted.unwrap_or_else(|| path.clone())))
    }

    /// Finds the names that one host alone has.
    pub(crate) fn finish(&mut self) {
        let mut hosts: HashMap<&RepositoryName, Vec<usize>> = HashMap::new();
        for ((_, path), &position) in &self.sources {
            hosts.entry(path).or_default().push(position);
        }
        let single = hosts.into_iter().filter_map(|(path, positions)| match positions[..] {
            [position] => Some((path.clone(), position)),
            _ => None,
        });
        self.short = single.collect();
        let (targets, repositories) = (&self.targets, &self.repositories);
        self.offers.finish(|offer| match &offer.tag {
            Some(tag) => targets
                .get(&offer.repository)
                .is_some_and(|&at| repositories[at].tag(tag) == Some(offer.digest)),
            None => true,
        });
    }
}

impl Repository {
    /// Resolves a tag to its digest.
    pub(crate) fn tag(&self, tag: &Tag) -> Option<Digest> {
        self.tags.get(tag).map(|tagged| tagged.digest)
    }

    /// The tags after `last`, in order.
    pub(crate) fn tags(&self, last: Option<&str>) -> impl Iterator<Item = &Tag> {
        self.tags.keys().skip_while(move |tag| last.is_some_and(|last| tag.as_str() <= last))
    }

    /// The artifacts that are attached to a manifest, in the order of digests.
    pub(crate) fn referrers(&self, subject: Digest) -> impl Iterator<Item = &Referrer> {
        self.referrers.get(&subject).into_iter().flat_map(BTreeMap::values)
    }

    fn hold(&mut self, reached: &[Blob], graph: &Graph, contents: &HashMap<Digest, Content>) {
        for &Blob { digest, .. } in reached {
            if !self.holds.insert(digest) {
                continue;
            }
            let Some(node) = graph.manifests.get(&digest) else { continue };
            let (Some(subject), Some(content)) = (node.manifest.subject(), contents.get(&digest)) else {
                continue;
            };
            let (artifact_type, annotations) = match &node.manifest {
                Manifest::Image(image) => (Some(image.kind().clone()), image.annotations.clone()),
                Manifest::Index(index) => (index.artifact_type.clone(), index.annotations.clone()),
            };
            let (media_type, annotations) = (content.manifest.unwrap_or_default(), Shared(annotations));
            let referrer = Referrer { media_type, digest, size: content.size(), artifact_type, annotations };
            self.referrers.entry(subject.digest).or_default().insert(digest, referrer);
        }
    }

    fn set(
        &mut self,
        tag: &Tag,
        digest: Digest,
        bundle: usize,
        bundles: &[(String, StreamName, Sequence)],
        name: &RepositoryName,
    ) -> Option<Note> {
        let tagged = Tagged { digest, bundle: bundle as u32 };
        let Some(known) = self.tags.get_mut(tag) else {
            self.tags.insert(tag.clone(), tagged);
            return None;
        };
        if known.digest == digest {
            return None;
        }
        let before = known.bundle as usize;
        if before == bundle {
            // `nginx:1.25` and `nginx:1.25@sha256:…` of one bundle; the first one counts.
            return None;
        }
        let ((old_name, old_stream, old), (new_name, new_stream, new)) = (&bundles[before], &bundles[bundle]);
        let (name, one_stream) = (format!("{name}:{tag}"), old_stream == new_stream);
        let (served, left) = match one_stream && new < old {
            true => (old_name, new_name),
            false => {
                *known = tagged;
                (new_name, old_name)
            }
        };
        Some(Note::Superseded { name, served: served.clone(), left: left.clone(), one_stream })
    }
}

fn name_of(media_type: &MediaType) -> Option<&'static str> {
    MediaType::MANIFESTS.into_iter().find(|known| *known == media_type.as_str())
}
