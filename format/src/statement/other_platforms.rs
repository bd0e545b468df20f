//! Platforms that an index names otherwise than the configs of its images. Runtimes choose by the index (containerd,
//! core/images/image.go: the config is read only where a descriptor has no platform), and some configs of upstream
//! images are wrong, so that nothing is refused: people are told. Takes artifacts, their graph and what configs say;
//! gives each image that is two things.

use std::collections::HashSet;
use std::fmt;

use bundle_oci::{ConfigPlatform, Descriptor, Digest, Index, Manifest, Platform, Reference};

use crate::{Artifact, ConfigWord, Graph};

/// How many are told at most: what more there are is no news.
const MOST: usize = 1_000;

/// An image that its index takes for one platform and its config for another.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct OtherPlatform {
    /// The source of the artifact.
    pub image: Reference,
    /// The digest of the image manifest.
    pub manifest: Digest,
    /// The platform in the index.
    pub index: Platform,
    /// The platform in the config, as text to show: what is no platform is escaped and cut. None if it names its
    /// platform in two spellings.
    pub config: Option<String>,
}

impl fmt::Display for OtherPlatform {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { image, manifest, index, config } = self;
        write!(f, "{image}: the index says {index} for {manifest}, and its config says ")?;
        match config {
            Some(config) => write!(f, "{config}")?,
            None => f.write_str("two platforms")?,
        }
        f.write_str("; nodes choose by the index")
    }
}

/// The images of which indexes say another platform than configs do, each once, and no more than a thousand. `config`
/// tells what an image's config says.
pub fn other_platforms(
    artifacts: &[Artifact],
    graph: &Graph,
    mut config: impl FnMut(&Descriptor) -> ConfigWord,
) -> Vec<OtherPlatform> {
    let mut found = Vec::new();
    each_named(artifacts, graph, |image, manifest, index, descriptor| {
        let said = match config(descriptor) {
            ConfigWord::Says(said) if !said.can_be(index) => Some(said.platform().to_string()),
            ConfigWord::TwoFaced => None,
            ConfigWord::Odd(said) => Some(said),
            ConfigWord::Says(_) | ConfigWord::Silent | ConfigWord::Absent => return true,
        };
        found.push(OtherPlatform { image: image.clone(), manifest, index: index.clone(), config: said });
        found.len() < MOST
    });
    found
}

/// The configs that [`other_platforms`] asks for.
pub fn named_configs(artifacts: &[Artifact], graph: &Graph) -> HashSet<Digest> {
    let mut configs = HashSet::new();
    each_named(artifacts, graph, |_, _, _, descriptor| {
        configs.insert(descriptor.digest);
        true
    });
    configs
}

/// Each image of which an index names the platform, with its config, until `visit` says no.
fn each_named<'a>(
    artifacts: &'a [Artifact],
    graph: &'a Graph,
    mut visit: impl FnMut(&'a Reference, Digest, &'a Platform, &'a Descriptor) -> bool,
) {
    let mut seen = HashSet::new();
    for artifact in artifacts {
        let index = |digest: Digest| match graph.manifests.get(&digest).map(|node| &node.manifest) {
            Some(Manifest::Index(index)) => Some(index),
            _ => None,
        };
        let mut open: Vec<&Index> = Vec::new();
        open.extend(index(artifact.digest).filter(|_| seen.insert((artifact.digest, None))));
        while let Some(index) = open.pop() {
            for child in &index.children {
                let digest = child.descriptor.digest;
                let named = child.platform.as_ref().filter(|platform| !platform.is_unknown());
                match (graph.manifests.get(&digest).map(|node| &node.manifest), named) {
                    (Some(Manifest::Index(nested)), _) if seen.insert((digest, None)) => open.push(nested),
                    (Some(Manifest::Image(image)), Some(platform)) if child.attests().is_none() => {
                        let config = &image.config;
                        let looks =
                            config.media_type.is_image_config() && config.size <= ConfigPlatform::LARGEST;
                        let more = !looks
                            || !seen.insert((digest, Some(platform)))
                            || visit(&artifact.source, digest, platform, config);
                        if !more {
                            return;
                        }
                    }
                    _ => {}
                }
            }
        }
    }
}
