//! Walks a document or the values, and sees images.
//! Takes a value; calls back with what it sees and where, texts inside texts included, within bounds.

use crate::limits::{TEXT_DEPTH, TEXT_DOCUMENT};
use std::collections::BTreeSet;
use std::sync::Arc;

use base64::Engine as _;
use base64::prelude::BASE64_STANDARD;
use bundle_oci::Reference;

use super::group::{Group, Shared};
use super::pair::{paired_fields, paired_items, registry_of};
use super::path::FieldPath;
use super::rules::Rules;
use super::shape::{Hint, image, is_image_address};
use super::sighting::is_data;
use super::text::{Comments, Inside, images_inside};
use crate::render::label;
use crate::yaml::{parse_documents, parse_json};
use crate::{Limits, Map, Value};

pub(super) fn has_tag(text: Option<&str>) -> bool {
    text.and_then(|text| text.rsplit('/').next()).is_some_and(|last| last.contains([':', '@']))
}

/// A sighting of the walk.
pub(super) enum Seen {
    Image(Reference, Hint),
    /// The ways to read fields that name an image together.
    Groups(Vec<Group>),
    /// A container's image that is no reference.
    Unreadable,
}

/// Where the walk is.
pub(super) struct Place<'a> {
    pub(super) label: &'a String,
    pub(super) path: &'a FieldPath,
    pub(super) inside: usize,
    /// The text of an image as it is written.
    pub(super) text: Option<&'a str>,
}

pub(super) struct Walk<'a> {
    limits: &'a Limits,
    rules: &'a Rules,
    label: String,
    path: FieldPath,
    /// How many texts inside texts.
    inside: usize,
    /// The nearest `hub` and `tag` above, which Istio gives all its images.
    hub: Option<(String, String)>,
    /// The registry and tag that outer maps set, in values.
    shared: Shared,
    /// Whether that counts.
    pub(super) shares: bool,
    /// The hint of an outer name for all texts below: those under `images` are images.
    ambient: Hint,
    pub(super) passed_over: &'a BTreeSet<String>,
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

/// Fields of an outer map that say what stands before the names of all images in it.
const ORGANIZATION: [&str; 4] = ["organization", "organisation", "org", "repo"];

static NOTHING: BTreeSet<String> = BTreeSet::new();

impl<'a> Walk<'a> {
    pub(super) fn new(
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
    pub(super) fn value(&mut self, value: &Value, key: &str, hint: Hint) {
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
                    // Of `--image` and the next item, the first is a hint for the second.
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

    /// The hint of a field's name, from the built-in rules and the user's.
    fn hint(&self, name: &str) -> Hint {
        match Hint::of(name) {
            Hint::None if self.rules.is_image_field(name) => Hint::Named,
            hint => hint,
        }
    }

    fn map(&mut self, map: &Map, key: &str) {
        // Values are shared by many maps, and need no copy to be looked at.
        let map = &map.original();
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
        let entries = map.entries();
        let is_container = CONTAINERS.contains(&key);
        let (hub, shared, ambient) = (self.hub.clone(), self.shared.clone(), self.ambient);
        let filled = |name| {
            map.get(name).as_ref().and_then(Value::as_str).filter(|text| !text.is_empty()).map(str::to_owned)
        };
        if let (Some(hub), Some(tag)) = (filled("hub"), filled("tag")) {
            self.hub = Some((hub, tag));
        }
        let groups = if is_container { Vec::new() } else { self.groups(map, &entries, key) };
        if matches!(key, "image" | "images") && groups.is_empty() {
            self.ambient = self.ambient.max(Hint::Named);
        }
        let is_group = !groups.is_empty();
        if self.shares && !is_group {
            let registry = filled("registry").or_else(|| filled("imageRegistry")).or_else(|| filled("hub"));
            self.shared.registry = registry.or_else(|| self.shared.registry.take());
            let organization = ORGANIZATION.iter().find_map(|name| filled(name)).filter(|text| is_path(text));
            self.shared.organization = organization.or_else(|| self.shared.organization.take());
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
        let mut paired = paired_fields(&entries);
        for (field, value) in entries {
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
        // Bytes that are not UTF-8 hold no images.
        if let Ok(text) = std::str::from_utf8(&bytes) {
            self.text(text, hint);
        }
    }

    /// The groups in a map, unless its one text says all already.
    fn groups(&self, map: &Map, entries: &[(Arc<str>, Value)], key: &str) -> Vec<Group> {
        let is = |key: &str, name: &str| {
            let signs = key.bytes().filter(u8::is_ascii_alphanumeric).map(|sign| sign.to_ascii_lowercase());
            signs.eq(name.bytes())
        };
        let has = |names: &[&str]| entries.iter().any(|(key, _)| names.iter().any(|name| is(key, name)));
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
        // The name of a flag and the scheme of an address are hints for the rest.
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
            // A placeholder that another program fills in is no mistake.
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
            // The name of a one-line text is a hint for it; a longer text only mentions images.
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
        let documents = match parse_json(text, &limits) {
            Some(document) => vec![document],
            None => match parse_documents(text, &limits) {
                Ok(documents) => documents,
                Err(_) => return false,
            },
        };
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

/// `git:5.1` in a list of plugins, `swift:5.1` as the kind of a runtime.
fn is_no_image(text: &str, key: &str) -> bool {
    let key = key.to_ascii_lowercase();
    !text.contains(['/', '\n']) && (key.contains("plugins") || NO_IMAGES.contains(&key.as_str()))
}

/// Whether a text is one component of a repository's name.
fn is_path(text: &str) -> bool {
    text.bytes().all(|byte| byte.is_ascii_lowercase() || byte.is_ascii_digit() || b"-_".contains(&byte))
}

/// Whether a field says a part of an image.
fn is_part(key: &str) -> bool {
    let key = key.to_ascii_lowercase();
    ["tag", "digest", "sha", "version", "policy", "registry", "repository"]
        .iter()
        .any(|end| key.ends_with(end))
}

/// Whether a text may be base64 of another one. A wrong guess gives no image.
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
