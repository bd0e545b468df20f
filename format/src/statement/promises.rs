//! Checks a statement's `subject` and `platforms` of artifacts against their manifests and configs: users see
//! and select by them, so they must not contradict the digest's content (docs/format.md §Subjects and
//! platforms). Takes a statement's artifacts and their graph, gives the first contradiction.

use std::collections::HashSet;
use std::fmt;

use bundle_oci::{
    ConfigPlatform, Descriptor, Digest, ImageManifest, Index, Manifest, Platform, Reference, odd_platform,
};

use crate::{Artifact, Graph};

/// The platform that an image's config names.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub enum ConfigWord {
    /// It is not here: a delta leaves it out, or it cannot be read. It contradicts nothing.
    Absent,
    /// It names no platform, or is no config of an image.
    Silent,
    /// It names this one.
    Says(ConfigPlatform),
    /// It names its platform in two spellings, which programs take differently.
    TwoFaced,
    /// It names something that no platform is, given as text to show: escaped and cut. It contradicts no statement, as
    /// before there was this word, and is told.
    Odd(String),
}

impl ConfigWord {
    /// Reads the bytes of a config.
    pub fn of(config: &[u8]) -> Self {
        match ConfigPlatform::read(config) {
            Ok(Some(found)) => Self::Says(found),
            Ok(None) => odd_platform(config).map_or(Self::Silent, Self::Odd),
            Err(_) => Self::TwoFaced,
        }
    }
}

/// A statement that says something of an artifact which its content contradicts.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("statement says that {image} ({digest}) {said}, and {found}")]
pub struct BrokenPromise {
    /// The artifact's source.
    pub image: Reference,
    /// Its digest.
    pub digest: Digest,
    /// The field in the statement.
    pub said: Said,
    /// The value in the content.
    pub found: String,
}

/// A field of an artifact in a statement.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Said {
    /// It is attached to this.
    AttachedTo(Digest),
    /// It runs on this.
    RunsOn(Platform),
    /// It does not run on this.
    LeavesOut(Platform),
}

impl fmt::Display for Said {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::AttachedTo(subject) => write!(f, "is attached to {subject}"),
            Self::RunsOn(platform) => write!(f, "runs on {platform}"),
            Self::LeavesOut(platform) => write!(f, "runs on other platforms than {platform}"),
        }
    }
}

/// How many platforms a message lists.
const MOST_LISTED: usize = 8;

/// Checks the described platforms and subjects of artifacts against their content. `config` returns the
/// platform in an image's config; it is called only where that matters.
///
/// # Errors
/// The first contradiction.
pub fn check_promises(
    artifacts: &[Artifact],
    graph: &Graph,
    mut config: impl FnMut(&Descriptor) -> ConfigWord,
) -> Result<(), Box<BrokenPromise>> {
    // One image under many names is looked at once.
    let mut kept: HashSet<(Digest, &[Platform])> = HashSet::new();
    for artifact in artifacts {
        let Some(node) = graph.manifests.get(&artifact.digest) else { continue };
        let broken = |(said, found)| {
            let (image, digest) = (artifact.source.clone(), artifact.digest);
            Box::new(BrokenPromise { image, digest, said, found })
        };
        if let Some(subject) = artifact.subject {
            attached(artifact, &node.manifest, subject).map_err(broken)?;
        }
        if artifact.platforms.is_empty() || !kept.insert((artifact.digest, &artifact.platforms)) {
            continue;
        }
        match &node.manifest {
            Manifest::Image(image) => runs_on(image, &artifact.platforms, &mut config),
            Manifest::Index(index) => lists(graph, index, &artifact.platforms, &mut config),
        }
        .map_err(broken)?;
    }
    Ok(())
}

/// Checks that an attachment names its subject in its manifest or by its tag: cosign's tags contain the
/// digest (cosign, spec/SIGNATURE_SPEC.md).
fn attached(artifact: &Artifact, manifest: &Manifest, subject: Digest) -> Result<(), (Said, String)> {
    let named = manifest.subject().map(|descriptor| descriptor.digest);
    let called = format!("sha256-{}", subject.hex());
    let tags = [artifact.source.tag(), artifact.target.tag.as_ref()];
    let is_called = tags.into_iter().flatten().any(|tag| {
        tag.as_str().strip_prefix(&called).is_some_and(|rest| rest.is_empty() || rest.starts_with('.'))
    });
    if named == Some(subject) || is_called {
        return Ok(());
    }
    let found = match named {
        Some(named) => format!("its manifest says {named}"),
        None => "its manifest says of nothing".to_owned(),
    };
    Err((Said::AttachedTo(subject), found))
}

/// An image runs on what its config says.
fn runs_on(
    image: &ImageManifest,
    platforms: &[Platform],
    config: &mut impl FnMut(&Descriptor) -> ConfigWord,
) -> Result<(), (Said, String)> {
    let word = word_of(image, config);
    for said in platforms {
        let found = match &word {
            ConfigWord::Says(found) if found.can_be(said) => continue,
            ConfigWord::Absent | ConfigWord::Silent | ConfigWord::Odd(_) => continue,
            ConfigWord::Says(found) => format!("its config says {}", found.platform()),
            ConfigWord::TwoFaced => "its config names its platform in two spellings".to_owned(),
        };
        return Err((Said::RunsOn(said.clone()), found));
    }
    Ok(())
}

fn word_of(image: &ImageManifest, config: &mut impl FnMut(&Descriptor) -> ConfigWord) -> ConfigWord {
    let is_config = image.config.media_type.is_image_config();
    if is_config { config(&image.config) } else { ConfigWord::Silent }
}

/// An index runs on what it lists; of what it lists without a platform, the config counts. Where both are there, the
/// index's word counts, for runtimes choose by it: upstream's configs are often wrong about it.
fn lists(
    graph: &Graph,
    index: &Index,
    platforms: &[Platform],
    config: &mut impl FnMut(&Descriptor) -> ConfigWord,
) -> Result<(), (Said, String)> {
    let mut listed: HashSet<&Platform> = HashSet::new();
    let (mut unnamed, mut open, mut seen) = (Vec::new(), vec![index], HashSet::new());
    while let Some(index) = open.pop() {
        for child in &index.children {
            listed.extend(&child.platform);
            let is_new = seen.insert((child.descriptor.digest, child.platform.is_none()));
            let node = graph.manifests.get(&child.descriptor.digest).filter(|_| is_new);
            match node.map(|node| &node.manifest) {
                Some(Manifest::Index(nested)) => open.push(nested),
                Some(Manifest::Image(image)) if child.platform.is_none() => unnamed.push(image),
                _ => {}
            }
        }
    }
    let mut words: Option<Vec<ConfigWord>> = None;
    for said in platforms {
        if listed.contains(said) || listed.iter().any(|found| found.is_same(said)) {
            continue;
        }
        let words = words.get_or_insert_with(|| unnamed.iter().map(|image| word_of(image, config)).collect());
        let is_right = |word: &ConfigWord| match word {
            ConfigWord::Absent => true,
            ConfigWord::Says(found) => found.can_be(said),
            ConfigWord::Silent | ConfigWord::TwoFaced | ConfigWord::Odd(_) => false,
        };
        if !words.iter().any(is_right) {
            let by_config = words.iter().filter_map(|word| match word {
                ConfigWord::Says(found) => Some(found.platform()),
                _ => None,
            });
            let found = list(listed.iter().copied().chain(by_config));
            return Err((Said::RunsOn(said.clone()), format!("its index lists {found}")));
        }
    }
    let own = index.children.iter().filter(|child| child.attests().is_none());
    for found in own.filter_map(|child| child.platform.as_ref()).filter(|platform| !platform.is_unknown()) {
        if !platforms.contains(found) && !platforms.iter().any(|said| said.is_same(found)) {
            return Err((Said::LeavesOut(found.clone()), "its index lists it".to_owned()));
        }
    }
    Ok(())
}

fn list<'a>(platforms: impl Iterator<Item = &'a Platform>) -> String {
    let mut names: Vec<String> = platforms.map(ToString::to_string).collect();
    names.sort();
    names.dedup();
    match names.len() {
        0 => "none".to_owned(),
        1..=MOST_LISTED => names.join(", "),
        all => format!("{} and {} more", names[..MOST_LISTED].join(", "), all - MOST_LISTED),
    }
}

#[cfg(test)]
mod tests {
    use std::collections::HashMap;

    use bundle_oci::MediaType;
    use serde_json::{Value, json};

    use super::*;
    use crate::testing::statement;
    use crate::{Blob, Contents, Limits};

    /// Manifests and configs, as an archive has them.
    #[derive(Default)]
    struct Store(HashMap<Digest, Vec<u8>>);

    impl Contents for Store {
        type Error = Digest;

        fn manifest(&mut self, digest: Digest, _: &MediaType, _: Option<u64>) -> Result<Vec<u8>, Digest> {
            self.0.get(&digest).cloned().ok_or(digest)
        }

        fn config(&mut self, _: Blob) -> Result<(), Digest> {
            Ok(())
        }
    }

    impl Store {
        fn put(&mut self, value: &Value) -> Digest {
            let bytes = serde_json::to_vec(value).unwrap();
            let digest = Digest::of(&bytes);
            self.0.insert(digest, bytes);
            digest
        }

        fn image(&mut self, config: &str, kind: &str) -> Digest {
            let digest = Digest::of(config.as_bytes());
            self.0.insert(digest, config.into());
            let config = json!({"mediaType": kind, "digest": digest, "size": config.len()});
            self.put(&json!({"schemaVersion": 2, "config": config, "layers": []}))
        }

        fn index(&mut self, children: &[(Digest, Option<&str>)]) -> Digest {
            let children: Vec<Value> = children
                .iter()
                .map(|(digest, platform)| {
                    let size = self.0[digest].len();
                    let mut child =
                        json!({"mediaType": MediaType::IMAGE_MANIFEST, "digest": digest, "size": size});
                    if let Some((os, architecture)) = platform.and_then(|platform| platform.split_once('/')) {
                        let mut parts = architecture.splitn(2, '/');
                        child["platform"] =
                            json!({"os": os, "architecture": parts.next(), "variant": parts.next()});
                    }
                    child
                })
                .collect();
            self.put(&json!({"schemaVersion": 2, "manifests": children}))
        }

        /// The error for a statement that declares `platforms` for `root`.
        fn told(&mut self, root: Digest, is_index: bool, platforms: &[&str]) -> Option<String> {
            let kind = if is_index { MediaType::IMAGE_INDEX } else { MediaType::IMAGE_MANIFEST };
            let artifact = Artifact {
                digest: root,
                media_type: kind.parse().unwrap(),
                platforms: platforms.iter().map(|platform| platform.parse().unwrap()).collect(),
                ..statement(&[b"layer"]).draft().artifacts.remove(0)
            };
            let artifacts = [artifact];
            let graph = Graph::walk(&artifacts, self, &Limits::V1).unwrap();
            let word = |config: &Descriptor| {
                self.0.get(&config.digest).map_or(ConfigWord::Absent, |it| ConfigWord::of(it))
            };
            check_promises(&artifacts, &graph, word).err().map(|broken| broken.to_string())
        }
    }

    const IMAGE: &str = "application/vnd.oci.image.config.v1+json";
    const AMD64: &str = r#"{"architecture":"amd64","os":"linux"}"#;
    const ARM: &str = r#"{"architecture":"arm","os":"linux"}"#;

    #[test]
    fn an_image_runs_on_what_its_config_says_as_far_as_it_does() {
        let mut store = Store::default();
        let amd64 = store.image(AMD64, IMAGE);
        assert_eq!(store.told(amd64, false, &["linux/amd64"]), None);
        assert_eq!(store.told(amd64, false, &[]), None);
        let wrong = store.told(amd64, false, &["linux/arm64"]).unwrap();
        let expected = format!(
            "statement says that docker.io/library/nginx:1.25 ({amd64}) runs on linux/arm64, and its config says \
             linux/amd64"
        );
        assert_eq!(wrong, expected);
        // Docker's images for arm/v6 have configs that name no variant.
        let arm = store.image(ARM, IMAGE);
        assert_eq!(store.told(arm, false, &["linux/arm/v6"]), None);
        // A config without a platform, or of another type, contradicts nothing.
        let silent = store.image("{}", IMAGE);
        assert_eq!(store.told(silent, false, &["linux/arm64"]), None);
        let other = store.image(r#"{"architecture":"x","os":"y"}"#, "application/vnd.acme.config.v1+json");
        assert_eq!(store.told(other, false, &["linux/arm64"]), None);
        let two = store.image(r#"{"architecture":"amd64","Architecture":"arm64","os":"linux"}"#, IMAGE);
        assert!(store.told(two, false, &["linux/amd64"]).unwrap().contains("two spellings"));
        // The platforms of configs that a delta omits are unknown.
        store.0.remove(&Digest::of(AMD64.as_bytes()));
        assert_eq!(store.told(amd64, false, &["linux/arm64"]), None);
    }

    #[test]
    fn an_index_runs_on_what_it_lists_and_on_all_of_it() {
        let mut store = Store::default();
        let (amd64, arm) = (store.image(AMD64, IMAGE), store.image(ARM, IMAGE));
        let attestation = store.image("{}", IMAGE);
        let named = store.index(&[
            (amd64, Some("linux/amd64")),
            (arm, Some("linux/arm/v6")),
            (attestation, Some("unknown/unknown")),
        ]);
        assert_eq!(store.told(named, true, &["linux/amd64", "linux/arm/v6"]), None);
        let more = store.told(named, true, &["linux/amd64", "linux/arm/v6", "linux/s390x"]).unwrap();
        assert!(
            more.contains(
                "runs on linux/s390x, and its index lists linux/amd64, linux/arm/v6, unknown/unknown"
            ),
            "{more}"
        );
        let fewer = store.told(named, true, &["linux/amd64"]).unwrap();
        assert!(fewer.contains("runs on other platforms than linux/arm/v6"), "{fewer}");
        // For children without a platform, the config counts; the statement need not list them.
        let unnamed = store.index(&[(amd64, None), (arm, Some("linux/arm/v6"))]);
        assert_eq!(store.told(unnamed, true, &["linux/amd64", "linux/arm/v6"]), None);
        assert_eq!(store.told(unnamed, true, &["linux/arm/v6"]), None);
        assert!(store.told(unnamed, true, &["linux/arm64", "linux/arm/v6"]).is_some());
    }
}
