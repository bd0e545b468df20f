//! The registry that nodes take images from, and which source hosts and projects it stands for.
//! Takes a statement and a registry; gives what the writers for each runtime need.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt;

use bundle_format::{Artifact, Kind, Target, Trusted};
use bundle_oci::{Reference, Registry, RepositoryName};

use super::Login;

/// The registry that nodes take images from instead of their sources: Harbor, or `bundle serve`.
pub struct Mirror {
    /// Its host and port.
    pub registry: Registry,
    /// How it is spoken to.
    pub scheme: Scheme,
    /// The certificates of its authority, in PEM, if the nodes do not know it.
    pub ca: Option<String>,
    /// The account that may pull, if it asks for one.
    pub login: Option<Login>,
}

/// How a registry is spoken to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Scheme {
    /// With TLS.
    Https,
    /// Without.
    Http,
}

impl fmt::Display for Scheme {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Https => "https",
            Self::Http => "http",
        })
    }
}

impl Mirror {
    /// `https://harbor.example`
    pub(super) fn url(&self) -> String {
        format!("{}://{}", self.scheme, self.registry)
    }
}

/// The mirror configuration of nodes: the places of images, and the registries that have them.
pub struct NodeConfig {
    /// The images of the bundles.
    pub mirrored: Mirrored,
    /// The registries that have it, in the order in which they are asked; one at least. All have the
    /// same repositories, as Harbor and `bundle serve` do.
    pub mirrors: Vec<Mirror>,
    /// Whether images of all other registries are looked for there too, so that no other registry is asked.
    pub all_registries: bool,
}

impl NodeConfig {
    /// Each mirror with those that are asked before it for its own names.
    pub(super) fn selves(&self) -> impl Iterator<Item = (&Mirror, &[Mirror])> {
        self.mirrors.iter().enumerate().map(|(at, mirror)| (mirror, &self.mirrors[..=at]))
    }

    /// The certificates of the mirrors' authorities, each once.
    pub(super) fn authorities(&self) -> Option<String> {
        let mut found: Vec<&str> = self.mirrors.iter().filter_map(|mirror| mirror.ca.as_deref()).collect();
        found.dedup();
        (!found.is_empty()).then(|| found.concat())
    }

    /// Whether a file that has the mirrors' logins must be kept from others.
    pub(super) fn has_login(&self) -> bool {
        self.mirrors.iter().any(|mirror| mirror.login.is_some())
    }

    /// See [`Mirrored::head`].
    pub(super) fn head(&self, about: &[&str]) -> String {
        let registry = self.mirrors.first().map(|mirror| mirror.registry.as_str()).unwrap_or_default();
        self.mirrored.head(registry, about)
    }
}

/// The registries whose images a bundle delivers into the project `cache`, and their paths there.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Mirrored {
    /// Which bundle says so, for people.
    pub(super) bundle: String,
    /// Each registry, and the repository under which its own repositories lie.
    pub(super) hosts: BTreeMap<Registry, RepositoryName>,
    /// The images that nodes do not find by the names of their sources.
    pub renamed: Vec<Renamed>,
}

/// An image that is not mirrored under the name of its source.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Renamed {
    /// Its name at the source.
    pub source: Reference,
    /// Its name at the target.
    pub target: Target,
}

/// A bundle without an image that could be mirrored.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error(
    "bundle has no image in the project 'cache' under the name of its source, so there is nothing to mirror"
)]
pub struct NoMirror;

impl Mirrored {
    /// Reads the mirrored images of bundles. Images of the mirrors themselves are left out: to have these
    /// looked for under `cache` would hide what they have under their own names.
    ///
    /// # Errors
    /// There is no registry left.
    pub fn of(bundles: &[&Trusted], mirrors: &[&Registry]) -> Result<Self, NoMirror> {
        let artifacts = || bundles.iter().flat_map(|trusted| &trusted.statement().artifacts);
        let images = || artifacts().filter(|artifact| artifact.kind == Kind::Image);
        let mut places: BTreeMap<&Registry, BTreeMap<RepositoryName, usize>> = BTreeMap::new();
        for artifact in images().filter(|artifact| !mirrors.contains(&artifact.source.registry())) {
            if let Some(place) = place(artifact) {
                *places.entry(artifact.source.registry()).or_default().entry(place).or_default() += 1;
            }
        }
        // A runtime knows one place for each registry. An image that was renamed to a name that ends
        // like its own looks like one with a place of its own; so the place of most is the one.
        let hosts: BTreeMap<Registry, RepositoryName> = places
            .into_iter()
            .filter_map(|(host, places)| {
                let usual = Target::mirror_place(host).and_then(|place| place.under(CACHE).ok());
                let rank = |(place, count): &(RepositoryName, usize)| (*count, usual.as_ref() == Some(place));
                Some((host.clone(), places.into_iter().max_by_key(rank)?.0))
            })
            .collect();
        if hosts.is_empty() {
            return Err(NoMirror);
        }
        let renamed = images()
            .filter(|artifact| {
                let known = hosts.get(artifact.source.registry());
                place(artifact).is_none_or(|place| known != Some(&place))
            })
            .map(|artifact| Renamed { source: artifact.source.clone(), target: artifact.target.clone() })
            .collect::<BTreeSet<_>>();
        let named = bundles.iter().map(|trusted| {
            let statement = trusted.statement();
            format!("{}-{} ({})", statement.stream, statement.sequence, trusted.digest())
        });
        let bundle = named.collect::<Vec<_>>().join(", ");
        Ok(Self { bundle, hosts, renamed: renamed.into_iter().collect() })
    }

    /// The registries in every spelling that a node may meet, each with its place at the mirrors. Docker
    /// Hub answers to several names.
    pub(super) fn names(&self) -> impl Iterator<Item = (&str, &RepositoryName)> {
        self.hosts.iter().flat_map(|(host, place)| {
            let other: &[&str] = if host.as_str() == "docker.io" { &DOCKER_HUB } else { &[] };
            std::iter::once(host.as_str()).chain(other.iter().copied()).map(move |name| (name, place))
        })
    }

    /// The registries.
    pub fn hosts(&self) -> impl Iterator<Item = &Registry> {
        self.hosts.keys()
    }

    /// The head of each file, as lines of comments: its source, `about`, and the images that it does not
    /// cover.
    fn head(&self, registry: &str, about: &[&str]) -> String {
        let mut lines = vec![format!("Made by `bundle mirror-config` from the bundle {}.", self.bundle)];
        lines.extend(about.iter().map(|&line| line.to_owned()));
        if !self.renamed.is_empty() {
            lines.push(format!(
                "These images have another name at {registry} and are not found by the one of their source:"
            ));
            let shown = self.renamed.iter().take(NAMED);
            lines.extend(shown.map(|one| format!("  {} is {registry}/{}", one.source, one.target)));
            if self.renamed.len() > NAMED {
                lines.push(format!("  and {} more", self.renamed.len() - NAMED));
            }
        }
        lines.iter().map(|line| format!("# {line}\n")).collect()
    }
}

/// The other names of Docker Hub: that of its old index, and that of the machine that answers.
const DOCKER_HUB: [&str; 2] = ["index.docker.io", "registry-1.docker.io"];

/// The project of mirrored images.
const CACHE: &str = "cache";

/// Under which name an image's whole source path lies in the project `cache`: `cache/docker.io` of
/// `cache/docker.io/library/nginx`. None if it has another name there, or another tag, or lies
/// elsewhere.
fn place(artifact: &Artifact) -> Option<RepositoryName> {
    let (source, target) = (&artifact.source, &artifact.target);
    let same_tag = target.tag.as_ref() == source.tag() || source.digest().is_some();
    if !target.project.is_cache() || !same_tag {
        return None;
    }
    let whole = target.path().ok()?;
    whole.as_str().strip_suffix(source.repository().as_str())?.strip_suffix('/')?.parse().ok()
}

/// The number of images that a comment names.
const NAMED: usize = 50;

#[cfg(test)]
pub(super) mod tests {
    use bundle_format::{
        Artifact, Blob, Draft, Limits, PrivateKey, Sequence, StreamName, Timestamp, TrustPolicy, Unverified,
    };
    use bundle_oci::{Digest, MediaType};

    use super::*;

    /// A trusted bundle of images: pairs of a source and a target.
    pub(crate) fn bundle(images: &[(&str, &str)]) -> Trusted {
        let artifacts: Vec<Artifact> = images
            .iter()
            .map(|(source, target)| {
                let target: Reference = format!("x.example/{target}").parse().unwrap();
                let (project, repository) = target.repository().as_str().split_once('/').unwrap();
                Artifact {
                    kind: Kind::Image,
                    source: source.parse().unwrap(),
                    target: Target {
                        project: project.parse().unwrap(),
                        repository: repository.parse().unwrap(),
                        tag: target.tag().cloned(),
                    },
                    digest: Digest::of(source.as_bytes()),
                    media_type: MediaType::IMAGE_MANIFEST.parse().unwrap(),
                    platforms: Vec::new(),
                    derived_from: None,
                    subject: None,
                    reasons: vec!["test".to_owned()],
                }
            })
            .collect();
        let blobs = artifacts.iter().map(|artifact| Blob { digest: artifact.digest, size: 1 }).collect();
        let draft = Draft {
            stream: "nightly".parse::<StreamName>().unwrap(),
            sequence: Sequence::try_from(42).unwrap(),
            created: Timestamp::from_unix(1_795_000_000).unwrap(),
            expires: None,
            previous: None,
            base: Vec::new(),
            artifacts,
            blobs,
            requires: Vec::new(),
        };
        let statement = draft.seal(&Limits::V1).unwrap();
        let key = PrivateKey::from_seed(&[7; 32]);
        let bytes = statement.to_bytes();
        let head = Unverified { signature: key.sign(&bytes), statement: bytes };
        let now = Timestamp::from_unix(1_800_000_000).unwrap();
        TrustPolicy::single("test", key.public()).check(head, &[], now, &Limits::V1).unwrap()
    }

    #[test]
    fn only_what_keeps_its_name_in_the_cache_is_mirrored() {
        let trusted = bundle(&[
            ("nginx:1.25", "cache/docker.io/library/nginx:1.25"),
            ("registry.example:5000/a/b:1", "cache/registry.example_5000/a/b:1"),
            ("registry.k8s.io/pause:3.9", "platform/pause:3.9"),
            ("quay.io/a/app:1", "cache/other/app:1"),
            ("ghcr.io/a/app:1", "cache/ghcr.io/a/app:2"),
            ("harbor.example/team/app:1", "cache/harbor.example/team/app:1"),
        ]);
        let mirrored = Mirrored::of(&[&trusted], &[&"harbor.example".parse().unwrap()]).unwrap();
        let hosts: Vec<_> =
            mirrored.hosts.iter().map(|(host, place)| (host.as_str(), place.as_str())).collect();
        assert_eq!(
            hosts,
            [("docker.io", "cache/docker.io"), ("registry.example:5000", "cache/registry.example_5000")]
        );
        let renamed: Vec<_> = mirrored.renamed.iter().map(|one| one.source.to_string()).collect();
        assert_eq!(
            renamed,
            ["ghcr.io/a/app:1", "harbor.example/team/app:1", "quay.io/a/app:1", "registry.k8s.io/pause:3.9"]
        );
        // Other layouts than the usual one; and one image that was renamed looks like another place.
        for (images, expected) in [
            (
                &[("nginx:1", "cache/library/nginx:1"), ("quay.io/a/b:1", "cache/a/b:1")][..],
                ["cache", "cache"],
            ),
            (
                &[
                    ("nginx:1", "cache/mirror/docker.io/library/nginx:1"),
                    ("redis:1", "cache/mirror/docker.io/library/redis:1"),
                    ("haproxy:1", "cache/edge/library/haproxy:1"),
                    ("quay.io/a/b:1", "cache/mirror/quay.io/a/b:1"),
                ],
                ["cache/mirror/docker.io", "cache/mirror/quay.io"],
            ),
            (
                &[
                    ("haproxy:1", "cache/edge/library/haproxy:1"),
                    ("nginx:1", "cache/docker.io/library/nginx:1"),
                    ("quay.io/a/b:1", "cache/quay.io/a/b:1"),
                ],
                ["cache/docker.io", "cache/quay.io"],
            ),
        ] {
            let mirrored = Mirrored::of(&[&bundle(images)], &[&"harbor.example".parse().unwrap()]).unwrap();
            let places: Vec<_> = mirrored.hosts.values().map(RepositoryName::as_str).collect();
            assert_eq!(places, expected);
            assert_eq!(mirrored.renamed.len(), images.len() / 3, "{:?}", mirrored.renamed);
        }
        let none = bundle(&[("registry.k8s.io/pause:3.9", "platform/pause:3.9")]);
        assert_eq!(Mirrored::of(&[&none], &[&"harbor.example".parse().unwrap()]), Err(NoMirror));
    }
}
