//! The images that a walk over a rendered document or over values sees.
//! Takes a document or values, and rules; gives [`Sighting`]s, [`Declared`] images and [`Unreadable`]
//! containers, each with its path.

use std::collections::BTreeSet;

use bundle_oci::Reference;

use super::find::Certainty;
use super::group::Group;
use super::path::Step;
use super::rules::{Rules, shipped};
use super::shape::Hint;
use super::walk::{Place, Seen, Walk, has_tag};
use crate::{Document, Limits, Map, Origin, Value};

/// An image in a document.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Sighting {
    pub(crate) reference: Reference,
    /// The other readings of the same fields; a registry decides.
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

/// The images in a rendered document, and unreadable texts in their place.
pub(crate) fn sightings(document: &Document, limits: &Limits) -> (Vec<Sighting>, Vec<Unreadable>) {
    sightings_by(document, shipped(), limits)
}

/// As [`sightings`], with the user's rules.
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
        // Images that Kubernetes and operators read are certain; for images in data, a registry decides.
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

/// The image name that Istio replaces by its proxy's image when the pod starts.
const INJECTED: &str = "auto";

pub(super) fn is_data(label: &str) -> bool {
    label.starts_with("ConfigMap/") || label.starts_with("Secret/")
}

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
