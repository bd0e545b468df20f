//! Walks a document or the values, and sees images.
//! Takes a value; gives sightings with their paths, texts inside texts included, within bounds.

use crate::limits::{IMAGE_NAME, TEXT_DEPTH, TEXT_DOCUMENT};
use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use base64::Engine as _;
use base64::prelude::BASE64_STANDARD;
use bundle_oci::Reference;

use super::find::Certainty;
use super::group::{Group, Shared};
use super::pair::pairs;
use super::path::{FieldPath, Step};
use super::rules::{Rules, shipped};
use super::shape::{Hint, image, is_image_address};
use super::text::{Comments, Inside, images_inside};
use crate::metadata::scalar_text;
use crate::render::label;
use crate::yaml::parse_documents;
use crate::{Document, Limits, List, Map, Origin, Value};

/// An image in a document.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Sighting {
    pub(crate) reference: Reference,
    /// What the same fields may mean instead; registries know.
    pub(crate) others: Vec<Reference>,
    pub(crate) certainty: Certainty,
    /// Whether something asks for it there, or only mentions it.
    pub(crate) asked: Asked,
    /// The kind and name of the object that it is in.
    pub(crate) document: String,
    pub(crate) path: String,
}

/// Whether something asks for an image.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Asked {
    /// A field says that this is an image.
    ByField,
    /// It stands in a text or under a name that says nothing.
    Mentioned,
}

/// An image in values, perhaps without its tag.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Declared {
    /// The ways to read it, the likeliest first.
    pub(crate) groups: Vec<Group>,
    pub(crate) path: String,
    pub(crate) steps: Vec<Step>,
}

/// A container whose image nothing can pull.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Unreadable {
    pub(crate) text: String,
    pub(crate) document: String,
    pub(crate) path: String,
}

/// The images in a rendered document, and what stands in their place and is none.
pub(crate) fn sightings(document: &Document, limits: &Limits) -> (Vec<Sighting>, Vec<Unreadable>) {
    sightings_by(document, shipped(), limits)
}

/// As [`sightings`], with somebody's rules.
pub(super) fn sightings_by(
    document: &Document,
    rules: &Rules,
    limits: &Limits,
) -> (Vec<Sighting>, Vec<Unreadable>) {
    let (mut found, mut unreadable) = (Vec::new(), Vec::new());
    let certainty = match document.origin {
        Origin::Template | Origin::Hook => Certainty::Certain,
        // A definition says what others may write, and runs nothing.
        Origin::Definition => Certainty::Probable,
    };
    let mut see = |seen: Seen, walk: Place<'_>| {
        // What Kubernetes and operators read is certain; what is data to them, a registry knows.
        let is_field = match &seen {
            Seen::Image(_, Hint::Container) => walk.inside == 0 && walk.text != Some(INJECTED),
            Seen::Image(_, Hint::Image) => walk.inside == 0 && !is_data(walk.label) && has_tag(walk.text),
            Seen::Image(..) | Seen::Groups(_) | Seen::Unreadable => false,
        };
        let (label, path) = (walk.label.clone(), walk.path.as_str().to_owned());
        let is_asked = walk.inside == 0 && !is_data(walk.label) && walk.text != Some(INJECTED);
        let (references, is_asked) = match seen {
            Seen::Image(reference, hint) => (vec![reference], is_asked && hint != Hint::None),
            Seen::Groups(groups) => (groups.iter().filter_map(Group::reference).collect(), is_asked),
            Seen::Unreadable => {
                let text = walk.text.unwrap_or_default().to_owned();
                unreadable.push(Unreadable { text, document: label, path });
                return;
            }
        };
        let mut references = references.into_iter();
        let Some(reference) = references.next() else { return };
        found.push(Sighting {
            reference,
            others: references.collect(),
            certainty: if is_field { certainty } else { Certainty::Probable },
            asked: if is_asked { Asked::ByField } else { Asked::Mentioned },
            document: label,
            path,
        });
    };
    let mut walk = Walk::new(limits, rules, document.label(), &mut see);
    walk.value(&document.value, "", Hint::None);
    if let Some(object) = document.value.as_map() {
        for (reference, path) in rules.operands(object) {
            let (document, asked) = (document.label(), Asked::ByField);
            let certainty = Certainty::Probable;
            found.push(Sighting { reference, others: Vec::new(), certainty, asked, document, path });
        }
    }
    (found, unreadable)
}

/// The images that values declare. `passed_over` are paths that are looked at elsewhere.
pub(crate) fn declared(
    values: &Map,
    passed_over: &BTreeSet<String>,
    rules: &Rules,
    limits: &Limits,
) -> Vec<Declared> {
    let mut found = Vec::new();
    let mut see = |seen: Seen, walk: Place<'_>| {
        let groups = match seen {
            Seen::Image(reference, _) if reference.digest().is_some() => {
                Group::of_text(&reference.to_string()).into_iter().collect()
            }
            Seen::Image(..) => walk.text.and_then(Group::of_text).into_iter().collect(),
            Seen::Groups(groups) => groups,
            Seen::Unreadable => Vec::new(),
        };
        let (path, steps) = (walk.path.as_str().to_owned(), walk.path.steps().to_vec());
        if !groups.is_empty() {
            found.push(Declared { groups, path, steps });
        }
    };
    let mut walk = Walk::new(limits, rules, String::new(), &mut see);
    walk.passed_over = passed_over;
    walk.shares = true;
    walk.value(&Value::Map(values.clone()), "", Hint::None);
    found
}

/// What Istio replaces by the image of its proxy when the pod starts.
const INJECTED: &str = "auto";

fn is_data(label: &str) -> bool {
    label.starts_with("ConfigMap/") || label.starts_with("Secret/")
}

fn has_tag(text: Option<&str>) -> bool {
    text.and_then(|text| text.rsplit('/').next()).is_some_and(|last| last.contains([':', '@']))
}

/// What the walk sees.
enum Seen {
    Image(Reference, Hint),
    /// The ways to read fields that name an image together.
    Groups(Vec<Group>),
    /// A container's image that is no reference.
    Unreadable,
}

/// Where the walk is.
struct Place<'a> {
    label: &'a String,
    path: &'a FieldPath,
    inside: usize,
    /// The text of an image as it is written.
    text: Option<&'a str>,
}

struct Walk<'a> {
    limits: &'a Limits,
    rules: &'a Rules,
    label: String,
    path: FieldPath,
    /// How many texts inside texts.
    inside: usize,
    /// The nearest `hub` and `tag` above, which Istio gives all its images.
    hub: Option<(String, String)>,
    /// What maps above say for all in them, in values.
    shared: Shared,
    /// Whether that counts.
    shares: bool,
    /// What a name above says of all texts below: those under `images` are images.
    ambient: Hint,
    passed_over: &'a BTreeSet<String>,
    see: &'a mut dyn FnMut(Seen, Place<'_>),
}

/// Containers in anything like the specification of a pod; the last four are Argo's and Tekton's.
const CONTAINERS: [&str; 7] =
    ["containers", "initContainers", "ephemeralContainers", "container", "script", "sidecars", "steps"];

/// Names of fields whose text `word:1.2` is the kind or the version of something, and no image.
const NO_IMAGES: [&str; 12] = [
    "kind", "type", "runtime", "language", "class", "role", "topic", "label", "key", "id", "module",
    "version",
];

static NOTHING: BTreeSet<String> = BTreeSet::new();

impl<'a> Walk<'a> {
    fn new(
        limits: &'a Limits,
        rules: &'a Rules,
        label: String,
        see: &'a mut dyn FnMut(Seen, Place<'_>),
    ) -> Self {
        let (path, shared) = (FieldPath::default(), Shared::default());
        Self {
            limits,
            rules,
            label,
            path,
            inside: 0,
            hub: None,
            shared,
            shares: false,
            ambient: Hint::None,
            passed_over: &NOTHING,
            see,
        }
    }

    /// `key` is the name of the field that leads here.
    fn value(&mut self, value: &Value, key: &str, hint: Hint) {
        match value {
            Value::Map(map) => self.map(map, key),
            Value::List(list) => {
                let mut before = Hint::None;
                let mut paired = paired_items(list);
                let registry = registry_of(list);
                for (position, item) in list.iter().enumerate() {
                    self.path.push_index(position);
                    match paired.remove(&position) {
                        Some(groups) => self.seen(Seen::Groups(groups), None),
                        None => {
                            let outside = self.shared.registry.take();
                            self.shared.registry = registry.clone().or_else(|| outside.clone());
                            self.value(item, key, hint.max(before));
                            self.shared.registry = outside;
                        }
                    }
                    self.path.pop();
                    // Of `--image` and what follows, the first speaks of the second.
                    let flag = item.as_str().filter(|text| text.starts_with('-') && !text.contains('='));
                    before = flag.map_or(Hint::None, |flag| self.hint(flag)).min(Hint::Named);
                }
            }
            Value::String(text) if is_no_image(text, key) => {}
            // Below `images` all is one, but for what says a part of it.
            Value::String(text) if is_part(key) => self.text(text, hint),
            // A name without a tag, which nothing says to be an image itself, is a part too.
            Value::String(text) if hint == Hint::None && !has_tag(Some(text)) && !text.contains('\n') => {
                self.text(text, hint);
            }
            Value::String(text) => self.text(text, hint.max(self.ambient)),
            _ => {}
        }
    }

    /// What a field's name says, as everybody or as somebody's rules understand it.
    fn hint(&self, name: &str) -> Hint {
        match Hint::of(name) {
            Hint::None if self.rules.is_image_field(name) => Hint::Named,
            hint => hint,
        }
    }

    fn map(&mut self, map: &Map, key: &str) {
        // An object of its own: an item of a list, or a manifest in a text.
        let is_text = |key| map.get(key).is_some_and(|value| value.as_str().is_some());
        if is_text("kind") && is_text("apiVersion") && map.contains("metadata") {
            let label = label(map);
            let outside = std::mem::replace(&mut self.label, label);
            self.fields(map, key);
            self.label = outside;
        } else {
            self.fields(map, key);
        }
    }

    fn fields(&mut self, map: &Map, key: &str) {
        let is_container = CONTAINERS.contains(&key);
        let (hub, shared, ambient) = (self.hub.clone(), self.shared.clone(), self.ambient);
        let filled = |name| {
            map.get(name).as_ref().and_then(Value::as_str).filter(|text| !text.is_empty()).map(str::to_owned)
        };
        if let (Some(hub), Some(tag)) = (filled("hub"), filled("tag")) {
            self.hub = Some((hub, tag));
        }
        let groups = if is_container { Vec::new() } else { self.groups(map, key) };
        if matches!(key, "image" | "images") && groups.is_empty() {
            self.ambient = self.ambient.max(Hint::Named);
        }
        let is_group = !groups.is_empty();
        if self.shares && !is_group {
            let registry = filled("registry").or_else(|| filled("imageRegistry")).or_else(|| filled("hub"));
            self.shared.registry = registry.or_else(|| self.shared.registry.take());
            let tag = filled("tag").or_else(|| filled("imageTag"));
            self.shared.tag = tag.or_else(|| self.shared.tag.take());
        }
        let name = map.get("name");
        let named = name.as_ref().and_then(Value::as_str).map_or(Hint::None, |name| self.hint(name));
        if is_group {
            self.seen(Seen::Groups(groups), None);
        }
        // OpenShift's way to say that the name beside it is an image.
        let is_docker_image = filled("kind").is_some_and(|kind| kind == "DockerImage");
        let mut paired = paired_fields(map);
        for (field, value) in map.entries() {
            if is_group && is_grouped(&field) && !matches!(value, Value::Map(_) | Value::List(_)) {
                continue;
            }
            let hint = match &*field {
                "image" if is_container => Hint::Container,
                // An image that is mounted as a volume.
                "reference" if key == "image" => Hint::Container,
                "name" if is_docker_image => Hint::Image,
                // A variable: `name` says what `value` is.
                "value" => named,
                field => self.hint(field),
            };
            self.path.push_key(&field);
            if !self.passed_over.contains(self.path.as_str()) {
                match &value {
                    Value::String(_) if paired.contains_key(&*field) => {
                        let group = paired.remove(&*field);
                        group.into_iter().for_each(|group| self.seen(Seen::Groups(vec![group]), None));
                    }
                    Value::String(text) if key == "data" && self.label.starts_with("Secret/") => {
                        self.encoded(text, hint);
                    }
                    Value::String(text)
                        if matches!(key, "data" | "stringData")
                            && is_data(&self.label)
                            && is_encoded(text) =>
                    {
                        self.encoded(text, hint);
                    }
                    // Knative's ConfigMaps show there what they could say.
                    Value::String(_) if &*field == "_example" => {}
                    // A definition explains itself, with examples.
                    Value::String(_) if &*field == "description" && self.is_definition() => {}
                    _ => self.value(&value, &field, hint),
                }
            }
            self.path.pop();
        }
        (self.hub, self.shared, self.ambient) = (hub, shared, ambient);
    }

    fn is_definition(&self) -> bool {
        self.label.starts_with("CustomResourceDefinition")
    }

    /// A text that is written in base64, as the values of a Secret are.
    fn encoded(&mut self, text: &str, hint: Hint) {
        let bytes = BASE64_STANDARD.decode(text.trim().as_bytes()).unwrap_or_default();
        // What is no text holds no images.
        if let Ok(text) = std::str::from_utf8(&bytes) {
            self.text(text, hint);
        }
    }

    /// The groups in a map, unless its one text says all already.
    fn groups(&self, map: &Map, key: &str) -> Vec<Group> {
        let lower = |name: &str| -> String {
            name.chars().filter(char::is_ascii_alphanumeric).map(|c| c.to_ascii_lowercase()).collect()
        };
        let keys: Vec<String> = map.keys().iter().map(|key| lower(key)).collect();
        let has = |names: &[&str]| keys.iter().any(|key| names.contains(&key.as_str()));
        let repository =
            has(&["repository", "repo", "imagerepository", "imagerepo", "newname", "dockerrepository"]);
        let tag = has(&[
            "tag",
            "imagetag",
            "digest",
            "imagedigest",
            "sha",
            "version",
            "newtag",
            "dockertag",
            "registry",
        ]);
        let image = map.get("image");
        let whole = image.as_ref().and_then(Value::as_str).is_some_and(|text| has_tag(Some(text)));
        if repository || tag && !whole { Group::readings(map, key, &self.shared) } else { Vec::new() }
    }

    fn text(&mut self, text: &str, hint: Hint) {
        // What a flag is called, and how an address starts, speak of what follows.
        let flag = text.strip_prefix('-').and_then(|flag| flag.split_once('='));
        let hint = flag.map_or(Hint::None, |(name, _)| self.hint(name).min(Hint::Named)).max(hint);
        let hint = if is_image_address(text) { hint.max(Hint::Named) } else { hint };
        if hint == Hint::Image
            && let Some((hub, tag)) = &self.hub
            && let Some(group) = Group::below(hub, text, tag)
        {
            self.seen(Seen::Groups(vec![group]), None);
            return;
        }
        if let Some(registry) =
            self.shared.registry.clone().filter(|_| hint == Hint::Named || hint == Hint::Image)
            && image(text, hint).is_some()
            && let Some(group) = Group::of_text(text)
            && let Some(below) = group.at(&registry)
        {
            self.seen(Seen::Groups(vec![below, group]), None);
            return;
        }
        if let Some(reference) = image(text, hint) {
            self.seen(Seen::Image(reference, hint), Some(text.trim()));
            return;
        }
        if hint == Hint::Container && self.inside == 0 {
            // What another program fills in is no mistake.
            if !text.contains("{{") && !text.contains('$') {
                self.seen(Seen::Unreadable, Some(text));
            }
            return;
        }
        let is_document = text.contains('\n') || text.trim_start().starts_with(['{', '[']);
        if is_document
            && self.inside < TEXT_DEPTH
            && text.len() <= TEXT_DOCUMENT
            && self.inside_text(text, hint)
        {
            return;
        }
        let Inside { images, groups } = images_inside(text, hint.min(Hint::Named), Comments::Skip);
        for reference in images {
            let written = reference.to_string();
            // Of one line, its name says what is in it; a longer text only mentions images.
            let hint = if text.contains('\n') { Hint::None } else { hint.min(Hint::Named) };
            self.seen(Seen::Image(reference, hint), Some(&written));
        }
        for group in groups {
            self.seen(Seen::Groups(vec![group]), None);
        }
    }

    /// Reads a text as YAML or JSON; whether it is some.
    fn inside_text(&mut self, text: &str, hint: Hint) -> bool {
        // No honest text has more values than bytes; a page of aliases has.
        let nodes = self.limits.yaml_nodes.min(text.len().saturating_add(100));
        let limits = Limits { yaml_nodes: nodes, ..*self.limits };
        let Ok(documents) = parse_documents(text, &limits) else { return false };
        if !documents.iter().all(|document| matches!(document, Value::Map(_) | Value::List(_))) {
            return false;
        }
        self.inside += 1;
        self.path.push_inside();
        let ambient = std::mem::replace(&mut self.ambient, hint.min(Hint::Named));
        for document in &documents {
            self.value(document, "", Hint::None);
        }
        self.ambient = ambient;
        self.path.pop();
        self.inside -= 1;
        true
    }

    fn seen(&mut self, seen: Seen, text: Option<&str>) {
        if matches!(&seen, Seen::Image(reference, _) if self.rules.ignores(reference)) {
            return;
        }
        let place = Place { label: &self.label, path: &self.path, inside: self.inside, text };
        (self.see)(seen, place);
    }
}

/// The images that variables or flags in a list name in pairs, by their positions.
fn paired_items(list: &List) -> BTreeMap<usize, Vec<Group>> {
    let text = |map: &Map, key| map.get(key).as_ref().and_then(short_text);
    let named = |(position, item): (usize, &Value)| match item {
        Value::Map(map) => Some((position, text(map, "name")?, text(map, "value")?)),
        Value::String(_) => {
            let flag = short_text(item)?;
            let flag = flag.strip_prefix('-')?;
            if let Some((name, value)) = flag.split_once('=') {
                return Some((position, name.to_owned(), value.to_owned()));
            }
            // A flag, and its value behind it.
            let value = list.get(position + 1).and_then(short_text).filter(|next| !next.starts_with('-'))?;
            Some((position + 1, flag.to_owned(), value))
        }
        _ => None,
    };
    let groups = pairs(list.iter().enumerate().filter_map(named));
    let registry = registry_of(list);
    groups
        .into_iter()
        .map(|(position, group)| {
            let below = registry.as_deref().and_then(|registry| group.at(registry));
            (position, below.into_iter().chain([group]).collect())
        })
        .collect()
}

/// The registry that a variable or a flag of a list says for the others.
fn registry_of(list: &List) -> Option<String> {
    let named = |item: &Value| match item {
        Value::Map(map) => {
            let text = |key| map.get(key).as_ref().and_then(short_text);
            Some((text("name")?, text("value")?))
        }
        Value::String(text) if text.len() <= IMAGE_NAME => {
            let (name, value) = text.trim_start_matches('-').split_once('=')?;
            Some((name.to_owned(), value.to_owned()))
        }
        _ => None,
    };
    list.iter().filter_map(named).find_map(|(name, value)| {
        let name = name.to_ascii_lowercase().replace('-', "_");
        let is_host = value.contains(['.', ':']) && !value.contains([' ', '{', '$']);
        (is_host && matches!(name.as_str(), "registry" | "image_registry" | "docker_registry"))
            .then(|| value.trim_end_matches('/').to_owned())
    })
}

/// The images that fields of a map name in pairs.
fn paired_fields(map: &Map) -> BTreeMap<Arc<str>, Group> {
    let named =
        |(field, value): (Arc<str>, Value)| Some((field.clone(), field.to_string(), short_text(&value)?));
    pairs(map.entries().into_iter().filter_map(named))
}

/// A scalar that is short enough for a name or a tag.
fn short_text(value: &Value) -> Option<String> {
    let is_long = value.as_str().is_some_and(|text| text.len() > IMAGE_NAME);
    if is_long { None } else { scalar_text(value) }
}

/// `git:5.1` in a list of plugins, `swift:5.1` as the kind of a runtime.
fn is_no_image(text: &str, key: &str) -> bool {
    let key = key.to_ascii_lowercase();
    !text.contains(['/', '\n']) && (key.contains("plugins") || NO_IMAGES.contains(&key.as_str()))
}

/// Whether a field says a part of an image.
fn is_part(key: &str) -> bool {
    let key = key.to_ascii_lowercase();
    ["tag", "digest", "sha", "version", "policy", "registry", "repository"]
        .iter()
        .any(|end| key.ends_with(end))
}

/// Whether a text may be base64 of another one. What is read as such and is none gives no image.
fn is_encoded(text: &str) -> bool {
    let text = text.trim();
    text.len() >= 16
        && text.len() <= TEXT_DOCUMENT
        && text.len().is_multiple_of(4)
        && text.bytes().all(|byte| byte.is_ascii_alphanumeric() || b"+/=".contains(&byte))
}

/// Whether a group has read a field.
fn is_grouped(field: &str) -> bool {
    let name: String =
        field.chars().filter(char::is_ascii_alphanumeric).map(|c| c.to_ascii_lowercase()).collect();
    GROUPED.contains(&name.as_str())
}

/// Fields that a group has read.
const GROUPED: [&str; 27] = [
    "image",
    "imagename",
    "baseimage",
    "dockerimage",
    "repository",
    "repo",
    "imagerepository",
    "imagerepo",
    "dockerrepository",
    "newname",
    "name",
    "url",
    "registry",
    "imageregistry",
    "defaultregistry",
    "registryhost",
    "dockerregistry",
    "hub",
    "tag",
    "imagetag",
    "newtag",
    "dockertag",
    "digest",
    "imagedigest",
    "sha",
    "sha256",
    "version",
];

#[cfg(test)]
mod tests {
    use super::*;
    use crate::yaml::parse_values;

    fn see(origin: Origin, yaml: &str) -> Vec<String> {
        let value = parse_values(yaml, &Limits::DEFAULT).unwrap();
        let document = Document { file: "c/templates/x.yaml".to_owned(), origin, text: String::new(), value };
        sightings(&document, &Limits::DEFAULT)
            .0
            .into_iter()
            .map(|seen| format!("{:?} {} {} {}", seen.certainty, seen.document, seen.path, seen.reference))
            .collect()
    }

    #[test]
    fn images_of_workloads_of_any_kind_are_certain() {
        for (yaml, images) in [
            (
                "{kind: CronJob, metadata: {name: a}, spec: {jobTemplate: {spec: {template: {spec: {initContainers: [{image: a}], containers: [{name: x, image: 'b:1', imagePullPolicy: Always}], ephemeralContainers: [{image: c}]}}}}}}",
                &[
                    "Certain CronJob/a spec.jobTemplate.spec.template.spec.containers[0].image docker.io/library/b:1",
                    "Certain CronJob/a spec.jobTemplate.spec.template.spec.ephemeralContainers[0].image docker.io/library/c:latest",
                    "Certain CronJob/a spec.jobTemplate.spec.template.spec.initContainers[0].image docker.io/library/a:latest",
                ][..],
            ),
            (
                "{apiVersion: v1, kind: List, metadata: {}, items: [{apiVersion: v1, kind: Pod, metadata: {name: p}, spec: {containers: [{image: 'a:1'}]}}]}",
                &["Certain Pod/p items[0].spec.containers[0].image docker.io/library/a:1"],
            ),
            (
                "{kind: Prometheus, metadata: {name: p}, spec: {image: 'quay.io/a/b:v1', version: v1}}",
                &["Certain Prometheus/p spec.image quay.io/a/b:v1"],
            ),
            (
                "{kind: Thing, spec: {image: {repository: a/b, tag: '1'}, sidecar: {image: c/d}}}",
                &[
                    "Probable Thing spec.image docker.io/a/b:1",
                    "Probable Thing spec.sidecar.image docker.io/c/d:latest",
                ],
            ),
            (
                "{kind: Workflow, spec: {templates: [{container: {image: alpine}}, {script: {image: '{{inputs.x}}'}}]}}",
                &["Certain Workflow spec.templates[0].container.image docker.io/library/alpine:latest"],
            ),
            (
                "{kind: Deployment, spec: {containers: [{image: auto}]}}",
                &["Probable Deployment spec.containers[0].image docker.io/library/auto:latest"],
            ),
            (
                "{kind: Pod, spec: {volumes: [{name: v, image: {reference: 'quay.io/a/data:1', pullPolicy: Always}}]}}",
                &["Certain Pod spec.volumes[0].image.reference quay.io/a/data:1"],
            ),
        ] {
            assert_eq!(see(Origin::Template, yaml), images);
        }
    }

    #[test]
    fn images_in_flags_variables_and_texts_are_probable() {
        for (yaml, images) in [
            (
                "{kind: Deployment, spec: {containers: [{args: ['--reloader=quay.io/a/b:v1', --image, 'c:2'], env: [{name: RELATED_IMAGE_X, value: 'd:3'}, {name: OTHER, value: 'e:f'}]}]}}",
                &[
                    "Probable Deployment spec.containers[0].args[0] quay.io/a/b:v1",
                    "Probable Deployment spec.containers[0].args[2] docker.io/library/c:2",
                    "Probable Deployment spec.containers[0].env[0].value docker.io/library/d:3",
                ][..],
            ),
            (
                "{kind: Deployment, spec: {containers: [{args: ['--proxy-base-image=a.example/b/proxy', '--proxy-tag=v2'], env: [{name: INIT_VERSION, value: 1}, {name: INIT_IMAGE_REPOSITORY, value: quay.io/a/init}]}]}}",
                &[
                    "Probable Deployment spec.containers[0].args[0] a.example/b/proxy:v2",
                    "Probable Deployment spec.containers[0].env[1] quay.io/a/init:1",
                ],
            ),
            ("{kind: Thing, spec: {installPlugins: ['git:5.1.0']}}", &[]),
            (
                "{kind: ConfigMap, data: {trivy.repository: ghcr.io/a/trivy, trivy.tag: 0.5}}",
                &["Probable ConfigMap data[trivy.repository] ghcr.io/a/trivy:0.5"],
            ),
            (
                "{kind: ConfigMap, metadata: {name: c}, data: {config: \"executor:\\n  image: quay.io/a/exec:v1\\npod: |\\n  containers: [{image: busybox}]\\n\", json: '{\"sidecarImage\": \"a/b:1\"}', image: 'x:1'}}",
                &[
                    "Probable ConfigMap/c data.config > executor.image quay.io/a/exec:v1",
                    "Probable ConfigMap/c data.config > pod > containers[0].image docker.io/library/busybox:latest",
                    "Probable ConfigMap/c data.image docker.io/library/x:1",
                    "Probable ConfigMap/c data.json > sidecarImage docker.io/a/b:1",
                ],
            ),
            (
                "{apiVersion: v1, kind: Secret, metadata: {name: s}, data: {c: aW1hZ2U6IHF1YXkuaW8vYS9iOjEKeDogMQo=, d: /w==}}",
                &["Probable Secret/s data.c > image quay.io/a/b:1"],
            ),
            (
                "{kind: ConfigMap, data: {values: '{\"global\": {\"hub\": \"h.io/x\", \"tag\": \"1\", \"proxy\": {\"image\": \"proxyv2\"}}}'}}",
                &["Probable ConfigMap data.values > global.proxy.image h.io/x/proxyv2:1"],
            ),
            (
                "{kind: ConfigMap, data: {run.sh: \"#!/bin/sh\\n# ghcr.io/no/no:1\\ndocker run ghcr.io/a/b:1\\n\"}}",
                &["Probable ConfigMap data[run.sh] ghcr.io/a/b:1"],
            ),
        ] {
            assert_eq!(see(Origin::Template, yaml), images);
        }
        let definition = "{apiVersion: a/v1, metadata: {}, kind: CustomResourceDefinition, spec: {properties: {image: {type: string, default: 'quay.io/a/b:1', description: 'Such as quay.io/a/x:1.'}}, more: {properties: {apiVersion: {}, kind: {}, metadata: {}}}}}";
        assert_eq!(
            see(Origin::Definition, definition),
            ["Probable CustomResourceDefinition spec.properties.image.default quay.io/a/b:1"]
        );
    }

    #[test]
    fn a_bomb_of_aliases_in_a_text_is_not_followed() {
        let mut text = "a0: &a0 [x,x,x,x,x,x,x,x,x]\n".to_owned();
        for level in 1..12 {
            let before = format!("*a{},", level - 1).repeat(9);
            text.push_str(&format!("a{level}: &a{level} [{before}]\n"));
        }
        let value = Value::Map(Map::from_iter([("text", Value::from(text))]));
        let document = Document { file: String::new(), origin: Origin::Template, text: String::new(), value };
        assert_eq!(sightings(&document, &Limits::DEFAULT), (Vec::new(), Vec::new()));
    }
}
