//! The ways to write an image into a group of values.
//! Takes the fields of a group and an image; gives each [`Spelling`] that may be right for the chart.

use bundle_oci::Reference;

use crate::{Map, Value};

/// One way to write an image into a group of values such as `registry`, `repository` and `tag`.
#[derive(Clone, Debug)]
pub(super) struct Spelling {
    pub(super) way: Way,
    /// Fields and what they get.
    pub(super) fields: Vec<(&'static str, Value)>,
}

/// The part of a spelling that it shares with the same spelling of another group.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Way {
    pub(super) pin: Pin,
    name: NameWay,
    version: VersionWay,
}

/// How much of a reference a way of writing can say.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Pin {
    TagAndDigest,
    Digest,
    Tag,
}

impl Pin {
    /// The best first.
    pub(super) const ALL: [Self; 3] = [Self::TagAndDigest, Self::Digest, Self::Tag];

    /// Returns the pinned part of a reference; nothing if it has no such part.
    pub(super) fn of(self, wanted: &Reference) -> Option<Reference> {
        let name = format!("{}/{}", wanted.registry(), wanted.repository());
        let text = match (self, wanted.tag(), wanted.digest()) {
            (Self::TagAndDigest, Some(tag), Some(digest)) => format!("{name}:{tag}@{digest}"),
            (Self::Digest, _, Some(digest)) => format!("{name}@{digest}"),
            (Self::Tag, Some(tag), _) => format!("{name}:{tag}"),
            _ => return None,
        };
        text.parse().ok()
    }
}

/// Where registry and repository go.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum NameWay {
    /// `registry: harbor.example`, `repository: cache/docker.io/a/b`
    Apart,
    /// `repository: harbor.example/cache/docker.io/a/b`, and the registry empty.
    Together,
    /// The same, and the registry as it was, which some charts pass over then.
    Over,
    /// `repository: harbor.example/cache/docker.io/a`, `image: b`
    Parent,
    /// `registry: harbor.example/cache/docker.io/a`, `repository: b`
    Prefix,
    /// `repository: cache/docker.io/a/b`, where one value has the registry for all.
    Path,
}

/// Where tag and digest go.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum VersionWay {
    /// `tag: v1`, `digest: sha256:…`
    Fields(Algorithm),
    /// `digest: sha256:…`, and the tag as it was: the chart makes its own of it.
    DigestField(Algorithm),
    /// No tag, and `digest: sha256:…`
    DigestAlone(Algorithm),
    /// `tag: v1@sha256:…`
    InTag,
    /// All behind the name: `repository: a/b:v1@sha256:…`
    InName,
    /// The same, and no tag.
    InNameAlone,
    /// `tag: v1`
    Tag,
    /// As it was.
    Kept,
}

/// Whether a digest's field says `sha256:`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Algorithm {
    Said,
    Left,
}

const REGISTRY: [&str; 3] = ["registry", "hub", "imageRegistry"];
const REPOSITORY: [&str; 6] = ["repository", "repo", "imageRepository", "image", "imageName", "name"];
const TAG: [&str; 3] = ["tag", "imageTag", "version"];
const DIGEST: [&str; 4] = ["digest", "imageDigest", "sha", "sha256"];

/// The field that has a group's name, and whether another one says its registry.
pub(super) fn name_field(group: &Map) -> Option<(&'static str, bool)> {
    let filled =
        |key: &str| group.get(key).is_some_and(|value| value.as_str().is_some_and(|text| !text.is_empty()));
    let field = REPOSITORY.into_iter().find(|key| filled(key))?;
    Some((field, REGISTRY.iter().any(|key| filled(key))))
}

/// The fields that say how a group's image is written.
pub(super) fn shape(group: &Map) -> Vec<&'static str> {
    let fields = REGISTRY.into_iter().chain(REPOSITORY).chain(TAG).chain(DIGEST);
    fields.filter(|key| group.contains(key)).collect()
}

/// All ways to write an image into a group, those that pin it best first, and the likeliest of them
/// first.
pub(super) fn spellings(group: &Map, wanted: &Reference) -> Vec<Spelling> {
    let mut found: Vec<Spelling> = Vec::new();
    for pin in Pin::ALL {
        if pin.of(wanted).is_none() {
            continue;
        }
        for (version, behind, versions) in versions(group, wanted, pin) {
            for (name, names) in names(group, wanted, &behind) {
                let fields: Vec<_> = names.into_iter().chain(versions.iter().cloned()).collect();
                let way = Way { pin, name, version };
                if !found.iter().any(|known| known.way.pin == pin && same(&known.fields, &fields)) {
                    found.push(Spelling { way, fields });
                }
            }
        }
    }
    found
}

type Fields = Vec<(&'static str, Value)>;

fn same(one: &Fields, other: &Fields) -> bool {
    let texts = |fields: &Fields| -> Vec<(&str, Option<String>)> {
        fields.iter().map(|(key, value)| (*key, value.as_str().map(str::to_owned))).collect()
    };
    texts(one) == texts(other)
}

/// The ways for registry and repository, with what is to stand behind the name.
fn names(group: &Map, wanted: &Reference, behind: &str) -> Vec<(NameWay, Fields)> {
    let Some((field, _)) = name_field(group) else { return Vec::new() };
    let (host, path) = (wanted.registry().as_str(), wanted.repository().as_str());
    let whole = format!("{host}/{path}");
    let (parent, last) = whole.rsplit_once('/').unwrap_or(("", &whole));
    let text = |text: &str| Value::from(format!("{text}{behind}"));
    let registry = REGISTRY.into_iter().find(|key| group.contains(key));
    let mut ways = Vec::new();
    let is_apart = field == "repository" && group.get("image").is_some_and(|image| image.as_str().is_some());
    if is_apart {
        ways.push((NameWay::Parent, vec![("repository", Value::from(parent)), ("image", text(last))]));
    }
    if let Some(registry) = registry {
        ways.push((NameWay::Apart, vec![(registry, Value::from(host)), (field, text(path))]));
    }
    ways.push((NameWay::Over, vec![(field, text(&whole))]));
    if let Some(registry) = registry {
        ways.push((NameWay::Together, vec![(registry, Value::from("")), (field, text(&whole))]));
        ways.push((NameWay::Prefix, vec![(registry, Value::from(parent)), (field, text(last))]));
    }
    ways.push((NameWay::Path, vec![(field, text(path))]));
    ways
}

/// The ways for tag and digest: what stands behind the name, and the other fields.
fn versions(group: &Map, wanted: &Reference, pin: Pin) -> Vec<(VersionWay, String, Fields)> {
    let first = |keys: &[&'static str]| keys.iter().copied().find(|key| group.contains(key));
    let tag_field = first(&TAG).unwrap_or("tag");
    let digest_field = first(&DIGEST);
    let tag = wanted.tag().map(ToString::to_string).unwrap_or_default();
    let digest = wanted.digest().map(|digest| digest.to_string()).unwrap_or_default();
    let tag_is = |text: &str| (tag_field, Value::from(text));
    // The digest would appear twice if its field kept it.
    let no_digest: Fields = digest_field
        .filter(|key| group.get(key).is_some_and(|value| value.as_str().is_some_and(|text| !text.is_empty())))
        .map(|key| (key, Value::from("")))
        .into_iter()
        .collect();
    let with =
        |field: (&'static str, Value)| [field].into_iter().chain(no_digest.clone()).collect::<Fields>();
    let digest_is = |algorithm: Algorithm| -> Option<Fields> {
        let text = match algorithm {
            Algorithm::Said => digest.as_str(),
            Algorithm::Left => digest.split_once(':')?.1,
        };
        let switch = group.contains("useDigest").then_some(("useDigest", Value::Bool(true)));
        Some([(digest_field?, Value::from(text))].into_iter().chain(switch).collect())
    };
    let mut ways = Vec::new();
    let none = String::new;
    let algorithms = [Algorithm::Said, Algorithm::Left];
    match pin {
        Pin::TagAndDigest => {
            for algorithm in algorithms {
                let Some(fields) = digest_is(algorithm) else { continue };
                let both = [tag_is(&tag)].into_iter().chain(fields.clone()).collect();
                ways.push((VersionWay::Fields(algorithm), none(), both));
                ways.push((VersionWay::DigestField(algorithm), none(), fields));
            }
            let behind = format!(":{tag}@{digest}");
            ways.push((VersionWay::InTag, none(), with(tag_is(&format!("{tag}@{digest}")))));
            ways.push((VersionWay::InName, behind.clone(), no_digest.clone()));
            ways.push((VersionWay::InNameAlone, behind, with(tag_is(""))));
        }
        Pin::Digest => {
            for algorithm in algorithms {
                let Some(fields) = digest_is(algorithm) else { continue };
                let alone = [tag_is("")].into_iter().chain(fields.clone()).collect();
                ways.push((VersionWay::DigestField(algorithm), none(), fields));
                ways.push((VersionWay::DigestAlone(algorithm), none(), alone));
            }
            ways.push((VersionWay::InTag, none(), with(tag_is(&digest))));
            ways.push((VersionWay::InName, format!("@{digest}"), no_digest.clone()));
            ways.push((VersionWay::InNameAlone, format!("@{digest}"), with(tag_is(""))));
        }
        Pin::Tag => {
            ways.push((VersionWay::Tag, none(), with(tag_is(&tag))));
            ways.push((VersionWay::Kept, none(), no_digest.clone()));
            ways.push((VersionWay::InName, format!(":{tag}"), no_digest.clone()));
            ways.push((VersionWay::InNameAlone, format!(":{tag}"), with(tag_is(""))));
        }
    }
    ways
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::values::testing::{json, map};

    const DIGEST: &str = "sha256:e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855";

    fn written(group: &str) -> Vec<String> {
        let wanted = format!("h.example/cache/q.io/a/b:v1@{DIGEST}").parse().unwrap();
        let line = |spelling: Spelling| {
            let fields = Map::from_iter(spelling.fields);
            json(&Value::Map(fields)).replace(DIGEST, "D").replace(&DIGEST[7..], "HEX")
        };
        spellings(&map(group), &wanted).into_iter().map(line).collect()
    }

    #[test]
    fn the_likeliest_spelling_that_pins_comes_first() {
        for (group, first) in [
            (
                r#"{"repository":"a/b","tag":"1"}"#,
                r#"{"repository":"h.example/cache/q.io/a/b","tag":"v1@D"}"#,
            ),
            (
                r#"{"registry":"q.io","repository":"a/b","tag":"","digest":""}"#,
                r#"{"digest":"D","registry":"h.example","repository":"cache/q.io/a/b","tag":"v1"}"#,
            ),
            (
                r#"{"repository":"nvcr.io/a","image":"b","version":"1"}"#,
                r#"{"image":"b","repository":"h.example/cache/q.io/a","version":"v1@D"}"#,
            ),
        ] {
            assert_eq!(written(group)[0], first, "{group}");
        }
        let all = written(r#"{"registry":"q.io","repository":"a/b","tag":"","sha":""}"#);
        for other in [
            r#"{"registry":"h.example","repository":"cache/q.io/a/b","sha":"HEX","tag":"v1"}"#,
            r#"{"registry":"","repository":"h.example/cache/q.io/a/b","tag":"v1"}"#,
            r#"{"registry":"h.example/cache/q.io/a","repository":"b","sha":"D"}"#,
            r#"{"registry":"h.example","repository":"cache/q.io/a/b"}"#,
        ] {
            assert!(all.iter().any(|line| line == other), "{other} is not in {all:#?}");
        }
    }

    #[test]
    fn no_spelling_is_tried_twice_and_none_has_what_the_image_lacks() {
        let all = written(r#"{"repository":"a/b","tag":"1"}"#);
        let once: std::collections::BTreeSet<&String> = all.iter().collect();
        assert!(once.len() == all.len() && all.len() < 40, "{all:#?}");
        let untagged: Reference = format!("h.example/a/b@{DIGEST}").parse().unwrap();
        let all = spellings(&map(r#"{"repository":"a/b","tag":"1"}"#), &untagged);
        assert!(all.iter().all(|spelling| spelling.way.pin == Pin::Digest));
    }
}
