//! Fields of one map that name an image together: `registry`, `repository`, `tag`, `digest`.
//! Takes a map; gives a [`Group`] for each way to read it, the likeliest first, and from these references.

use std::collections::BTreeMap;

use bundle_oci::{Digest, Reference};

use super::shape::Hint;
use crate::metadata::scalar_text;
use crate::{Map, Value};

/// One way to read fields of a map as an image.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Group {
    /// Registry and repository, as one text without a tag.
    name: String,
    /// The tag; nothing if the chart fills it in.
    tag: Option<String>,
    digest: Option<Digest>,
}

/// The registry and tag that outer maps set for all images in them.
#[derive(Clone, Debug, Default)]
pub(super) struct Shared {
    /// A registry, perhaps with a part of the path.
    pub(super) registry: Option<String>,
    /// An organization, or another path below the registry, for bare names.
    pub(super) organization: Option<String>,
    /// A tag.
    pub(super) tag: Option<String>,
}

/// Fields that say the repository.
const REPOSITORY: [&str; 6] =
    ["repository", "repo", "imagerepository", "imagerepo", "newname", "dockerrepository"];
/// Fields that say a name below the repository, or all of it.
const IMAGE: [&str; 5] = ["image", "imagename", "baseimage", "dockerimage", "fullimagename"];
/// Fields that say the registry.
const REGISTRY: [&str; 7] =
    ["registry", "hub", "imageregistry", "defaultregistry", "registryhost", "dockerregistry", "baserepo"];
/// Fields that say what stands between registry and name.
const MIDDLE: [&str; 9] = [
    "organization",
    "organisation",
    "org",
    "project",
    "namespace",
    "prefix",
    "imageprefix",
    "repositoryprefix",
    "owner",
];
/// Those of them that nothing but images has beside a name and a tag.
const PREFIX: [&str; 6] =
    ["organization", "organisation", "org", "prefix", "imageprefix", "repositoryprefix"];
const TAG: [&str; 4] = ["tag", "imagetag", "newtag", "dockertag"];
const DIGEST: [&str; 4] = ["digest", "imagedigest", "sha", "sha256"];
/// Fields whose text goes behind the tag.
const VARIANT: [&str; 5] = ["variant", "tagsuffix", "flavor", "flavour", "edition"];
/// Fields whose text goes behind the name, or behind the tag.
const SUFFIX: [&str; 3] = ["suffix", "namesuffix", "imagesuffix"];

/// How many readings of one map are asked for at most; further ones are not likely.
const READINGS: usize = 8;

/// The fields of a map by their names, without regard to case and signs: `imageTag`, `image_tag`, `ImageTag`.
struct Fields(BTreeMap<String, Option<String>>);

impl Fields {
    fn of(map: &Map) -> Self {
        let name = |key: &str| -> String {
            key.chars().filter(char::is_ascii_alphanumeric).map(|c| c.to_ascii_lowercase()).collect()
        };
        Self(map.entries().into_iter().map(|(key, value)| (name(&key), filled(Some(value)))).collect())
    }

    fn text(&self, names: &[&str]) -> Option<&str> {
        names.iter().find_map(|name| self.0.get(*name)?.as_deref())
    }

    fn has(&self, names: &[&str]) -> bool {
        names.iter().any(|name| self.0.contains_key(*name))
    }
}

impl Group {
    /// The likeliest reading of a map, if it names an image. `key` is the name of the map's own field.
    pub(crate) fn of(map: &Map, key: &str) -> Option<Self> {
        Self::readings(map, key, &Shared::default()).into_iter().next()
    }

    /// All readings of a map, the likeliest first; which of them is meant, registries know.
    pub(super) fn readings(map: &Map, key: &str, shared: &Shared) -> Vec<Self> {
        let fields = Fields::of(map);
        let is_image = Hint::of(key) != Hint::None;
        let has_repository = fields.has(&REPOSITORY);
        let version = is_image || fields.has(&["image", "baseimage"]);
        let tag = fields.text(&TAG).or_else(|| fields.text(&["version"]).filter(|_| version));
        let digest = match map.get("useDigest") {
            Some(Value::Bool(false)) => None,
            _ => fields.text(&DIGEST).and_then(read_digest),
        };
        let names = names(&fields, is_image, tag.is_some());
        if names.is_empty() {
            return Vec::new();
        }
        let says_more = fields.has(&TAG)
            || fields.has(&DIGEST)
            || fields.has(&REGISTRY)
            || tag.is_some()
            || shared.tag.is_some() && has_repository;
        if !says_more {
            // A repository alone may be Git's or Helm's.
            let pulled = fields.has(&["pullpolicy", "imagepullpolicy"]);
            if !(is_image || pulled) || !(has_repository || fields.has(&["image", "url"])) {
                return Vec::new();
            }
        }
        let registry = fields.text(&REGISTRY);
        let mut tags: Vec<Option<String>> = Vec::new();
        if let (Some(tag), Some(variant)) = (tag, fields.text(&VARIANT).or_else(|| fields.text(&SUFFIX))) {
            let variant = variant.trim_start_matches('-');
            tags.push(Some(format!("{tag}-{variant}")));
        }
        tags.push(tag.map(str::to_owned));
        if tag.is_none() && digest.is_none() {
            tags.extend(shared.tag.clone().map(Some));
        }
        let mut found: Vec<Self> = Vec::new();
        for name in &names {
            for tag in &tags {
                let mut add = |registry: Option<&str>| {
                    let below = shared.organization.as_deref().filter(|_| !name.contains('/'));
                    let below = below.map(|organization| format!("{organization}/{name}"));
                    for name in below.iter().map(String::as_str).chain([name.as_str()]) {
                        if let Some(group) = Self::new(registry, name, tag.as_deref(), digest)
                            && !found.contains(&group)
                        {
                            found.push(group);
                        }
                    }
                };
                add(registry);
                if registry.is_none() && shared.registry.is_some() {
                    add(shared.registry.as_deref());
                }
            }
        }
        found.truncate(READINGS);
        found
    }

    /// A bare name below what others share.
    pub(super) fn below(hub: &str, name: &str, tag: &str) -> Option<Self> {
        if name.is_empty() || name == "auto" || name.contains(['/', ':', '@']) {
            return None;
        }
        Self::new(Some(hub), name, Some(tag), None)
    }

    /// A name with a separate tag or digest.
    pub(super) fn tagged(name: &str, tag: &str) -> Option<Self> {
        let last = name.rsplit('/').next()?;
        if last.contains([':', '@']) {
            return None;
        }
        match tag.parse::<Digest>() {
            Ok(digest) => Self::new(None, name, None, Some(digest)),
            Err(_) => Self::new(None, name, Some(tag), None),
        }
    }

    /// The group that a single text makes.
    pub(super) fn of_text(text: &str) -> Option<Self> {
        Self::new(None, text.trim(), None, None)
    }

    /// The same below a registry, if it says none itself.
    pub(super) fn at(&self, registry: &str) -> Option<Self> {
        let registry = without_scheme(registry).trim_matches('/');
        let is_host = registry.contains(['.', ':']) && !registry.contains([' ', '{']);
        (is_host && self.has_no_registry())
            .then(|| Self { name: format!("{registry}/{}", self.name), ..self.clone() })
            .filter(|group| group.name.parse::<Reference>().is_ok())
    }

    /// Registry and repository.
    pub(super) fn name(&self) -> &str {
        &self.name
    }

    fn new(
        registry: Option<&str>,
        repository: &str,
        tag: Option<&str>,
        digest: Option<Digest>,
    ) -> Option<Self> {
        if repository.contains("://") || repository.contains("{{") {
            return None;
        }
        let (repository, own_digest) = match repository.split_once('@') {
            Some((repository, digest)) => (repository, Some(digest.parse().ok()?)),
            None => (repository, None),
        };
        let last = repository.rfind('/').map_or(0, |slash| slash + 1);
        let (repository, own_tag) = match repository.get(last..)?.split_once(':') {
            Some((component, own_tag)) => (format!("{}{component}", repository.get(..last)?), Some(own_tag)),
            None => (repository.to_owned(), None),
        };
        let repository = repository.trim_matches('/');
        let registry = registry.filter(|registry| !has_host(repository) && !registry.contains("{{"));
        let name = match registry.map(|registry| without_scheme(registry).trim_matches('/')) {
            Some(registry) if !registry.is_empty() => format!("{registry}/{repository}"),
            _ => repository.to_owned(),
        };
        // A tag that is a template is filled in by the chart.
        let tag = tag.filter(|tag| !tag.contains("{{")).or(own_tag).map(str::to_owned);
        let group = Self { name, tag, digest: digest.or(own_digest) };
        // The name must be valid with any tag.
        group.name.parse::<Reference>().is_ok().then_some(group)
    }

    /// The image, if nothing must be filled in.
    pub(crate) fn reference(&self) -> Option<Reference> {
        match (&self.tag, self.digest) {
            (Some(tag), Some(digest)) => format!("{}:{tag}@{digest}", self.name).parse().ok(),
            (Some(tag), None) => format!("{}:{tag}", self.name).parse().ok(),
            (None, Some(digest)) => format!("{}@{digest}", self.name).parse().ok(),
            (None, None) => None,
        }
    }

    /// The image with a tag that is guessed.
    pub(super) fn with_tag(&self, tag: &str) -> Option<Reference> {
        format!("{}:{tag}", self.name).parse().ok()
    }

    /// Whether this is the group behind an image that was rendered. A chart may add to the tag:
    /// `1.2` becomes `v1.2-distroless`.
    pub(super) fn is_behind(&self, rendered: &Reference) -> bool {
        let Ok(name) = self.name.parse::<Reference>() else { return false };
        name.registry() == rendered.registry()
            && name.repository() == rendered.repository()
            && self.tag_fits(rendered)
    }

    /// Whether it says no registry: the chart may fill one in.
    pub(super) fn has_no_registry(&self) -> bool {
        !has_host(&self.name)
    }

    /// The group with what a chart puts before it.
    pub(super) fn under(&self, prefix: &str) -> Self {
        Self { name: format!("{prefix}{}", self.name), ..self.clone() }
    }

    /// The prefix that a chart put before the name in an image that it rendered: `quay.io/org/`.
    pub(super) fn prefix_in(&self, rendered: &Reference) -> Option<String> {
        // Readers of a bare name add `library`.
        if self.name.parse::<Reference>().is_ok_and(|own| own.repository() == rendered.repository())
            && rendered.registry().as_str() == DOCKER
        {
            return None;
        }
        let whole = format!("{}/{}", rendered.registry(), rendered.repository());
        whole.strip_suffix(&self.name).filter(|prefix| prefix.ends_with('/')).map(str::to_owned)
    }

    /// As [`Group::is_behind`], for an image whose registry the chart fills in or replaces.
    pub(super) fn is_behind_elsewhere(&self, rendered: &Reference) -> bool {
        let Ok(name) = self.name.parse::<Reference>() else { return false };
        // A bare name is not Docker's own until nothing is put before it.
        let own = if self.has_no_registry() { &self.name } else { name.repository().as_str() };
        let other = rendered.repository().as_str();
        let same = other == own || other.strip_suffix(own).is_some_and(|prefix| prefix.ends_with('/'));
        same && self.tag_fits(rendered)
    }

    fn tag_fits(&self, rendered: &Reference) -> bool {
        match (&self.tag, self.digest, rendered.digest()) {
            (_, Some(digest), Some(rendered)) => digest == rendered,
            (None, ..) => true,
            (Some(tag), ..) => rendered.tag().is_none_or(|rendered| holds(rendered.as_str(), tag)),
        }
    }
}

/// The names that fields make, the likeliest first: the repository, what stands between it and the
/// registry, and a name below it.
fn names(fields: &Fields, is_image: bool, has_tag: bool) -> Vec<String> {
    let mut names = Vec::new();
    let has_repository = fields.has(&REPOSITORY);
    let repository = fields.text(&REPOSITORY).or_else(|| {
        let path = fields.text(&["path"]).filter(|_| fields.text(&REGISTRY).is_some());
        let address = || fields.text(&["url", "uri"]).map(without_scheme);
        if is_image { path.or_else(address) } else { path.filter(|_| has_tag) }
    });
    let image = fields.text(&IMAGE);
    // `prefix: openwhisk`, `name: dockerskeleton`, `tag: 1.14.0` say the same under any key.
    let is_split = fields.text(&PREFIX).is_some_and(|prefix| !prefix.starts_with('/'))
        && fields.text(&TAG).is_some_and(|tag| tag.bytes().any(|byte| byte.is_ascii_digit()));
    let name = fields.text(&["name"]).filter(|_| is_image || is_split || (repository.is_some() && has_tag));
    match (repository, image, name) {
        // Some say where a name is and the name apart: `repository: nvcr.io/nvidia`, `image: driver`.
        (Some(repository), Some(image), _) if image != repository => {
            if image.contains([':', '@']) || has_host(image) {
                names.push(image.to_owned());
            } else {
                names.push(format!("{}/{image}", repository.trim_end_matches('/')));
            }
        }
        (Some(repository), _, Some(name)) if below(repository, name) => {
            let whole = format!("{}/{name}", repository.trim_end_matches('/'));
            // `ghcr.io/org` is no image; `ghcr.io/org/app` more likely is.
            let parts = repository.split('/').count() - usize::from(has_host(repository));
            let likely = is_image && parts <= 1;
            names.extend(if likely {
                [whole, repository.to_owned()]
            } else {
                [repository.to_owned(), whole]
            });
        }
        (Some(repository), ..) => names.push(repository.to_owned()),
        // If another field has the repository, the rest alone is no name.
        (None, Some(image), _) if image.contains('/') || !has_repository => names.push(image.to_owned()),
        // Elsewhere a name is the name of something else.
        (None, _, Some(name)) if name.contains('/') || !has_repository || has_tag => {
            names.push(name.to_owned());
        }
        _ => {}
    }
    if let Some(middle) = fields.text(&MIDDLE).filter(|_| is_image || is_split || fields.has(&REGISTRY)) {
        let middle = middle.trim_start_matches('/');
        let alone = std::mem::take(&mut names);
        for name in alone {
            if !has_host(&name) {
                // `my-` is put before a name as it is.
                names.push(match middle.ends_with(['/', '-', '_']) {
                    true => format!("{middle}{name}"),
                    false => format!("{middle}/{name}"),
                });
            }
            names.push(name);
        }
    }
    if let Some(suffix) = fields.text(&SUFFIX) {
        let plain = std::mem::take(&mut names);
        names.extend(plain.iter().map(|name| format!("{name}{suffix}")).chain(plain.iter().cloned()));
    }
    names
}

/// Whether a name may stand below a repository, and is not what the repository says already.
fn below(repository: &str, name: &str) -> bool {
    let last = repository.rsplit('/').next().unwrap_or_default();
    let is_component =
        |byte: u8| byte.is_ascii_lowercase() || byte.is_ascii_digit() || b"-_./".contains(&byte);
    last != name && !name.is_empty() && name.bytes().all(is_component) && !last.contains([':', '@'])
}

fn has_host(name: &str) -> bool {
    name.split_once('/').is_some_and(|(first, _)| first.contains(['.', ':']) || first == "localhost")
}

/// A name without what says how it is fetched.
pub(super) fn without_scheme(text: &str) -> &str {
    const SCHEMES: [&str; 6] =
        ["docker://", "oci://", "docker-image://", "registry://", "https://", "http://"];
    SCHEMES.iter().find_map(|scheme| text.strip_prefix(scheme)).unwrap_or(text)
}

/// Where names without a registry are.
const DOCKER: &str = "docker.io";

/// Whether a tag is another one with something before or behind it.
fn holds(whole: &str, part: &str) -> bool {
    whole.match_indices(part).any(|(at, _)| {
        let before = whole.get(..at).unwrap_or_default();
        let after = whole.get(at + part.len()..).unwrap_or_default();
        (matches!(before, "" | "v") || before.ends_with(['-', '_']))
            && (after.is_empty() || after.starts_with(['-', '_']))
    })
}

/// A scalar that says something.
fn filled(value: Option<Value>) -> Option<String> {
    let value = value.filter(|value| !matches!(value, Value::Bool(_)))?;
    let text = scalar_text(&value)?.trim().to_owned();
    (!text.is_empty()).then_some(text)
}

fn read_digest(text: &str) -> Option<Digest> {
    text.parse().ok().or_else(|| format!("sha256:{text}").parse().ok())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::values::testing::map;

    fn reference(json: &str, key: &str) -> Option<String> {
        Group::of(&map(json), key)?.reference().map(|reference| reference.to_string())
    }

    const DIGEST: &str = "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855";

    #[test]
    fn groups_of_all_manners_are_read() {
        for (json, key, image) in [
            (
                r#"{"repository":"goharbor/nginx-photon","tag":"v2.1"}"#,
                "image",
                "docker.io/goharbor/nginx-photon:v2.1",
            ),
            (r#"{"registry":"quay.io","repository":"a/b","tag":"1"}"#, "x", "quay.io/a/b:1"),
            (r#"{"registry":"quay.io/","repository":"ghcr.io/a/b","tag":"1"}"#, "x", "ghcr.io/a/b:1"),
            (
                r#"{"registry":"registry.k8s.io","image":"ingress-nginx/controller","tag":"v1.9"}"#,
                "image",
                "registry.k8s.io/ingress-nginx/controller:v1.9",
            ),
            (r#"{"image":"grafana/grafana","tag":10.4}"#, "grafana", "docker.io/grafana/grafana:10.4"),
            (r#"{"image":"a/b:1.2"}"#, "image", "docker.io/a/b:1.2"),
            (r#"{"image":"a/b","imageTag":"3"}"#, "x", "docker.io/a/b:3"),
            (r#"{"name":"a/b","tag":"3"}"#, "image", "docker.io/a/b:3"),
            (r#"{"repository":null,"name":"agent","tag":"3"}"#, "image", "docker.io/library/agent:3"),
            (r#"{"image":"a/b","version":"v3"}"#, "x", "docker.io/a/b:v3"),
            (r#"{"imageRepository":"a/b","imageTag":"v3"}"#, "x", "docker.io/a/b:v3"),
            (
                r#"{"repository":"nvcr.io/nvidia","image":"driver","version":"v5"}"#,
                "driver",
                "nvcr.io/nvidia/driver:v5",
            ),
            (r#"{"repository":"a/b:7","pullPolicy":"Always"}"#, "image", "docker.io/a/b:7"),
            (
                r#"{"prefix":"a","name":"skeleton","tag":"1.14.0"}"#,
                "blackboxes",
                "docker.io/a/skeleton:1.14.0",
            ),
        ] {
            assert_eq!(reference(json, key).as_deref(), Some(image), "{json}");
        }
        for digest in [DIGEST.to_owned(), format!("sha256:{DIGEST}")] {
            let json = format!(r#"{{"repository":"a/b","tag":"1","digest":"{digest}"}}"#);
            assert_eq!(reference(&json, "image").unwrap(), format!("docker.io/a/b:1@sha256:{DIGEST}"));
        }
        let unused =
            format!(r#"{{"repository":"a/b","tag":"1","digest":"sha256:{DIGEST}","useDigest":false}}"#);
        assert_eq!(reference(&unused, "image").unwrap(), "docker.io/a/b:1");
    }

    #[test]
    fn an_outer_organization_is_put_before_bare_names() {
        let shared = Shared { organization: Some("org".to_owned()), ..Shared::default() };
        let read = |json: &str| -> Vec<String> {
            let groups = Group::readings(&map(json), "hub", &shared);
            groups.iter().filter_map(Group::reference).map(|reference| reference.to_string()).collect()
        };
        assert_eq!(
            read(r#"{"image":"hub","tag":"v1"}"#),
            ["docker.io/org/hub:v1", "docker.io/library/hub:v1"]
        );
        assert_eq!(read(r#"{"image":"a/hub","tag":"v1"}"#), ["docker.io/a/hub:v1"]);
    }

    #[test]
    fn a_tag_that_the_chart_fills_in_is_no_tag() {
        for json in [
            r#"{"repository":"a/b","tag":""}"#,
            r#"{"repository":"a/b","tag":null}"#,
            r#"{"repository":"a/b","tag":"{{ .Chart.AppVersion }}"}"#,
            r#"{"repository":"a/b","pullPolicy":"Always"}"#,
            r#"{"repository":"a/b"}"#,
        ] {
            let group = Group::of(&map(json), "image").unwrap();
            assert_eq!(group.reference(), None, "{json}");
            assert_eq!(group.with_tag("v1").unwrap().to_string(), "docker.io/a/b:v1");
        }
    }

    #[test]
    fn other_maps_are_no_groups() {
        for (json, key) in [
            (r#"{"repository":"https://github.com/a/b","tag":"v1"}"#, "chart"),
            (r#"{"repository":"git@github.com:a/b.git"}"#, "source"),
            (r#"{"repository":"a/b"}"#, "git"),
            (r#"{"repository":"","tag":"v1"}"#, "image"),
            (r#"{"repository":"","image":"driver","version":"v1"}"#, "driver"),
            (r#"{"tag":"v1"}"#, "image"),
            (r#"{"name":"web","version":"v1"}"#, "service"),
            (r#"{"registry":"quay.io"}"#, "image"),
            (r#"{"repository":"","name":"agent","tag":""}"#, "image"),
            (r#"{"repository":"{{ .Values.x }}","tag":"1"}"#, "image"),
            (r#"{"prefix":"/api","name":"web","tag":"v1"}"#, "routes"),
            (r#"{"prefix":"kube","name":"tail","tag":"kube.all"}"#, "inputs"),
            (r#"{"namespace":"a","name":"web","tag":"v1"}"#, "targets"),
            (r#"{"repository":{"a":1},"tag":"1"}"#, "image"),
        ] {
            assert_eq!(Group::of(&map(json), key), None, "{json}");
        }
    }

    #[test]
    fn groups_are_found_again_behind_what_was_rendered() {
        let group = Group::of(&map(r#"{"repository":"a/b","tag":"1.2"}"#), "image").unwrap();
        for (rendered, behind) in [
            ("a/b:1.2", true),
            ("a/b:v1.2-distroless", true),
            ("a/b:1.3", false),
            ("a/b:1.25", false),
            ("a/b:11.2", false),
            ("quay.io/a/b:1.2", false),
        ] {
            assert_eq!(group.is_behind(&rendered.parse().unwrap()), behind, "{rendered}");
        }
        assert!(group.is_behind_elsewhere(&"mirror.example/hub/a/b:1.2".parse().unwrap()));
        assert!(!group.is_behind_elsewhere(&"mirror.example/xa/b:1.2".parse().unwrap()));
    }
}
