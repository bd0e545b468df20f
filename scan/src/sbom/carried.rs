//! The SBOMs that a bundle carries for its images, read from the archive.
//! Takes a bundle's archive and the manifests that are attached to an image; gives what they say together.

use std::collections::{BTreeMap, HashMap};

use bundle_format::{Archive, Graph, Kind, Medium};
use bundle_oci::{Digest, Manifest};

use super::document::{Sbom, read_sbom};
use crate::Limits;

/// Reads the SBOMs of a bundle, each once.
pub struct CarriedSboms<'a> {
    archive: &'a Archive<Medium>,
    graph: &'a Graph,
    limits: Limits,
    /// What was read, by the digest of the layer.
    known: HashMap<Digest, Read>,
    /// The bytes that may still be read.
    left: u64,
}

/// What one layer is.
#[derive(Clone)]
enum Read {
    Sbom(Sbom),
    /// A document, and no SBOM.
    Other,
    Failed(String),
}

/// What the SBOMs of one image say.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct ImageSboms {
    /// How many there are, those that cannot be read among them.
    pub found: usize,
    /// Licences and packages. Of SBOMs of several platforms or forms, the highest number counts.
    pub sbom: Option<Sbom>,
    /// Why some of them cannot be read.
    pub unread: Vec<String>,
}

impl<'a> CarriedSboms<'a> {
    /// Of this bundle.
    pub fn new(archive: &'a Archive<Medium>, graph: &'a Graph, limits: Limits) -> Self {
        Self { archive, graph, limits, known: HashMap::new(), left: limits.sboms }
    }

    /// What is said of an image with this digest, to which artifacts of these kinds and digests are attached.
    pub fn of(&mut self, image: Digest, attached: impl Iterator<Item = (Kind, Digest)>) -> ImageSboms {
        let mut all = ImageSboms::default();
        let kinds = [Kind::Sbom, Kind::Attestation, Kind::Signature];
        for (kind, digest) in attached.filter(|(kind, _)| kinds.contains(kind)) {
            self.add(digest, kind == Kind::Sbom, &mut all);
        }
        // BuildKit puts its attestations into the index (moby/buildkit, docs/attestations/attestation-storage.md).
        if let Some(Manifest::Index(index)) = self.graph.manifests.get(&image).map(|node| &node.manifest) {
            for child in index.children.iter().filter(|child| child.attests().is_some()) {
                self.add(child.descriptor.digest, false, &mut all);
            }
        }
        all
    }

    /// Adds what a manifest has. Signatures and attestations have layers that are no SBOM, which are passed over.
    fn add(&mut self, manifest: Digest, is_sbom: bool, all: &mut ImageSboms) {
        let Some(Manifest::Image(image)) = self.graph.manifests.get(&manifest).map(|node| &node.manifest)
        else {
            return;
        };
        for layer in image.layers.iter().take(self.limits.sbom_layers) {
            match self.read(layer.digest, layer.size) {
                Read::Sbom(sbom) => {
                    all.found += 1;
                    merge(all.sbom.get_or_insert_default(), sbom, self.limits.licences);
                }
                Read::Failed(why) if is_sbom => {
                    all.found += 1;
                    if !all.unread.contains(&why) {
                        all.unread.push(why);
                    }
                }
                Read::Other if is_sbom => {
                    all.found += 1;
                    let why = "it is neither CycloneDX nor SPDX".to_owned();
                    if !all.unread.contains(&why) {
                        all.unread.push(why);
                    }
                }
                Read::Failed(_) | Read::Other => {}
            }
        }
    }

    fn read(&mut self, digest: Digest, size: u64) -> Read {
        if let Some(known) = self.known.get(&digest) {
            return known.clone();
        }
        let read = self.read_anew(digest, size);
        self.known.insert(digest, read.clone());
        read
    }

    fn read_anew(&mut self, digest: Digest, size: u64) -> Read {
        if size > self.limits.sbom {
            return Read::Failed(format!("it has more than {} bytes", self.limits.sbom));
        }
        let Some(left) = self.left.checked_sub(size) else {
            return Read::Failed(format!("the bundle has SBOMs of more than {} bytes", self.limits.sboms));
        };
        // The statement's size is that of the archive; the manifest's may be another.
        if self.archive.blob(digest).is_none_or(|blob| blob.size != size) {
            return Read::Failed("it is not in this bundle".to_owned());
        }
        self.left = left;
        let bytes = match self.archive.read_blob(digest) {
            Some(Ok(bytes)) => bytes,
            Some(Err(error)) => return Read::Failed(bundle_oci::chain(&error)),
            None => return Read::Failed("it is not in this bundle".to_owned()),
        };
        match read_sbom(&bytes, &self.limits) {
            Ok(Some(sbom)) => Read::Sbom(sbom),
            Ok(None) => Read::Other,
            Err(error) => Read::Failed(bundle_oci::chain(&error)),
        }
    }
}

/// Both together: the same packages in two forms or for two platforms count once.
fn merge(into: &mut Sbom, other: Sbom, most: usize) {
    into.packages = into.packages.max(other.packages);
    into.without = into.without.max(other.without);
    into.cut |= other.cut;
    let all: &mut BTreeMap<String, u64> = &mut into.licences;
    for (licence, number) in other.licences {
        if all.len() >= most && !all.contains_key(&licence) {
            into.cut = true;
            continue;
        }
        let known = all.entry(licence).or_default();
        *known = number.max(*known);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn two_forms_of_one_sbom_count_once() {
        let sbom = |packages: u64, licences: &[(&str, u64)]| Sbom {
            packages,
            without: 1,
            licences: licences.iter().map(|(name, number)| ((*name).to_owned(), *number)).collect(),
            cut: false,
        };
        let mut all = sbom(3, &[("MIT", 2)]);
        merge(&mut all, sbom(4, &[("MIT", 1), ("GPL-2.0-only", 1)]), 2);
        assert_eq!(all, sbom(4, &[("MIT", 2), ("GPL-2.0-only", 1)]));
        merge(&mut all, sbom(1, &[("0BSD", 1)]), 2);
        assert_eq!((all.licences.len(), all.cut), (2, true));
    }
}
