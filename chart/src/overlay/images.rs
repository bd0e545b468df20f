//! Points the images that values name to another registry.
//! Takes an [`Overlay`] and the names at the other registry; gives a [`Placement`] proven by renderings.

use std::collections::BTreeMap;

use bundle_oci::Reference;

use super::edit::{at, field, put};
use super::seen::{Spot, seen};
use super::slot::{Choice, Kind, Slot, choices, full};
use super::spelling::{Pin, Way, name_field, shape};
use super::{Overlay, OverlayError};
use crate::discover::{Group, Step, declared_in};
use crate::{Map, Value, discover};

/// The result for the images that values name.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Placement {
    /// The values that name another image now.
    pub placed: Vec<Placed>,
    /// Groups of values that name an image which is nowhere else, and which no rendering used: their
    /// paths and the image.
    pub elsewhere: Vec<(String, Reference)>,
}

/// Values that name another image than before.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Placed {
    /// The path of the values.
    pub path: String,
    /// The image that they named.
    pub image: Reference,
    /// The image that they name now, with as much of tag and digest as the chart can say.
    pub now: Reference,
    /// How this is known.
    pub proof: Proof,
}

/// How it is known which image values name.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Proof {
    /// The chart renders it.
    Rendered,
    /// The chart does not use the image with these values. They are written as others are that it does
    /// use.
    Alike,
}

impl Overlay<'_> {
    /// Points all values that name an image to where `to` says that it is. `to` knows an image by the
    /// name that the chart gives it, and answers with a name that has a digest, a tag, or both.
    ///
    /// Whether all images were reached is seen in [`Overlay::rendering`].
    ///
    /// # Errors
    /// Only [`OverlayError::Trials`].
    pub fn point_images(
        &mut self,
        to: &dyn Fn(&Reference) -> Option<Reference>,
    ) -> Result<Placement, OverlayError> {
        self.allow_other_images()?;
        let mut placement = Placement::default();
        let finds = discover(self.chart, std::slice::from_ref(&self.rendering), &self.options.limits).finds;
        let declared = declared_in(self.chart, &self.rendering, &self.options.limits);
        let mut slots = Vec::new();
        for declared in &declared {
            match self.slots(declared, &finds, to) {
                Ok(found) => slots.extend(found),
                Err(image) => placement.elsewhere.extend(image.map(|image| (declared.path.clone(), image))),
            }
        }
        let before = seen(&self.rendering, &self.options.limits);
        let mut ways: Vec<(Vec<&'static str>, Way)> = Vec::new();
        let mut unused = Vec::new();
        for slot in slots {
            let spots = self.spots_of(&slot, &before)?;
            if spots.is_empty() {
                unused.push(slot);
                continue;
            }
            let wanted = |pin: Pin| -> BTreeMap<Spot, Vec<Reference>> {
                let mut after = seen(&self.rendering, &self.options.limits);
                for spot in &spots {
                    let images = after.get_mut(spot).map(Vec::as_mut_slice).unwrap_or_default();
                    let is_one = images.len() == 1;
                    // If a text has several images, only this slot's own is changed.
                    for image in images.iter_mut().filter(|image| is_one || **image == slot.image) {
                        if let Some(moved) = to(image).and_then(|to| pin.of(&to)) {
                            *image = moved;
                        }
                    }
                }
                after
            };
            let expected = Pin::ALL.map(|pin| (pin, wanted(pin)));
            let expected = |pin| expected.iter().find(|(of, _)| *of == pin).map(|(_, images)| images);
            let mut choices = choices(&slot);
            if let Kind::Group(group) = &slot.kind {
                let shape = shape(group);
                // The spelling that worked for a group of the same fields is tried first.
                let known = ways.iter().find(|(of, _)| *of == shape).map(|(_, way)| *way);
                choices.sort_by_key(|choice| choice.way.is_none() || choice.way != known);
            }
            for choice in choices {
                let Some(values) = self.chosen(&slot, &choice) else { continue };
                let Some(rendering) = self.attempt(&values)? else { continue };
                if Some(&seen(&rendering, &self.options.limits)) != expected(choice.pin) {
                    continue;
                }
                self.take(values, rendering);
                if let (Kind::Group(group), Some(way)) = (&slot.kind, choice.way) {
                    ways.push((shape(group), way));
                }
                placement.placed.extend(slot.placed(choice.pin, Proof::Rendered));
                break;
            }
        }
        for slot in unused {
            placement.placed.extend(self.place_alike(&slot, &ways)?);
        }
        placement.placed.extend(self.point_leaves(&before, to)?);
        self.point_prefixes(&before, to)?;
        placement.placed.sort_by(|a, b| a.path.cmp(&b.path));
        Ok(placement)
    }

    /// Sets the value without which Bitnami's charts refuse other images (bitnami/common,
    /// templates/_images.tpl).
    fn allow_other_images(&mut self) -> Result<(), OverlayError> {
        const ALLOW: &str = "global.security.allowInsecureImages";
        if !self.is_given(ALLOW) {
            self.set(ALLOW, Value::Bool(true))?;
        }
        Ok(())
    }

    /// Where the chart uses a place: a name that nothing else has is put there.
    fn spots_of(
        &mut self,
        slot: &Slot,
        before: &BTreeMap<Spot, Vec<Reference>>,
    ) -> Result<Vec<Spot>, OverlayError> {
        const MARK: &str = "bundle-overlay-mark";
        let tag = slot.image.tag().map_or("1.0.0", |tag| tag.as_str());
        let whole = format!("mark.example/a/{MARK}");
        let marked = match &slot.kind {
            Kind::Group(group) => {
                let Some((name, has_registry)) = name_field(group) else { return Ok(Vec::new()) };
                let text = group.get(name).and_then(|value| value.as_str().map(str::to_owned));
                let last = text.as_deref().and_then(|text| text.rsplit('/').next()).unwrap_or_default();
                let own = last.split_once(':').map(|(_, tag)| format!(":{tag}")).unwrap_or_default();
                let name_text = if has_registry { format!("a/{MARK}{own}") } else { format!("{whole}{own}") };
                self.put(&field(&slot.path, name), Value::from(name_text))
            }
            Kind::Whole => self.put(&slot.path, Value::from(format!("{whole}:{tag}"))),
            Kind::Name => self.put(&slot.path, Value::from(whole)),
            Kind::Part(text) => self.replaced(slot, text, &format!("{whole}:{tag}")),
        };
        let Some(marked) = marked else { return Ok(Vec::new()) };
        let Some(rendering) = self.attempt(&marked)? else { return Ok(Vec::new()) };
        let after = seen(&rendering, &self.options.limits);
        let is_marked =
            |images: &Vec<Reference>| images.iter().any(|image| image.repository().as_str().contains(MARK));
        let spots = after.iter().filter(|(spot, images)| is_marked(images) && before.contains_key(spot));
        Ok(spots.map(|(spot, _)| spot.clone()).collect())
    }

    /// Writes an image that no rendering uses in the way that was right for others.
    fn place_alike(
        &mut self,
        slot: &Slot,
        ways: &[(Vec<&'static str>, Way)],
    ) -> Result<Option<Placed>, OverlayError> {
        let mut choices = choices(slot);
        if let Kind::Group(group) = &slot.kind {
            let shape = shape(group);
            let known = ways.iter().find(|(of, _)| *of == shape).map(|(_, way)| *way);
            // Without an example, what we ourselves read as that image.
            let key = match slot.path.last() {
                Some(Step::Key(key)) => key,
                _ => "",
            };
            let reads = |choice: &Choice| {
                let Some(copy) = group.deep_copy(self.options.limits.value_depth) else { return false };
                for (field, value) in choice.fields.iter().cloned() {
                    copy.insert(field, value);
                }
                Group::of(&copy, key).and_then(|group| group.reference()) == choice.pin.of(&slot.wanted)
            };
            choices.retain(|choice| if known.is_some() { choice.way == known } else { reads(choice) });
        }
        if matches!(slot.kind, Kind::Name) {
            // The chart may append a tag, so only a name without one is tried.
            choices.retain(|choice| choice.name_alone);
        }
        let now = seen(&self.rendering, &self.options.limits);
        for choice in choices {
            let Some(values) = self.chosen(slot, &choice) else { continue };
            let Some(rendering) = self.attempt(&values)? else { continue };
            if seen(&rendering, &self.options.limits) == now {
                self.take(values, rendering);
                return Ok(slot.placed(choice.pin, Proof::Alike));
            }
        }
        Ok(None)
    }

    pub(super) fn put(&self, path: &[Step], value: Value) -> Option<Map> {
        put(&self.values, &self.rendering.declared, path, value)
    }

    fn chosen(&self, slot: &Slot, choice: &Choice) -> Option<Map> {
        let image = || choice.pin.of(&slot.wanted).map(|image| image.to_string());
        match &slot.kind {
            Kind::Group(_) => {
                let base = &self.rendering.declared;
                choice.fields.iter().try_fold(self.values.clone(), |values, (name, value)| {
                    put(&values, base, &field(&slot.path, name), value.clone())
                })
            }
            Kind::Name if choice.name_alone => self.put(&slot.path, Value::from(full(&slot.wanted))),
            Kind::Whole | Kind::Name => self.put(&slot.path, Value::from(image()?)),
            Kind::Part(text) => self.replaced(slot, text, &image()?),
        }
    }

    /// The text of a place with another image in it.
    fn replaced(&self, slot: &Slot, text: &str, image: &str) -> Option<Map> {
        let whole = at(&self.values, &slot.path).or_else(|| at(&self.rendering.declared, &slot.path))?;
        self.put(&slot.path, Value::from(whole.as_str()?.replace(text, image)))
    }
}

#[cfg(test)]
mod tests {

    use super::*;
    use crate::{Chart, Limits, RenderOptions, Resources, ValueSet};

    const DIGEST: &str = "sha256:e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855";

    fn chart(values: &str, templates: &[&str]) -> Chart {
        let directory = tempfile::tempdir().unwrap();
        let write = |name: &str, text: &str| {
            let path = directory.path().join(name);
            std::fs::create_dir_all(path.parent().unwrap()).unwrap();
            std::fs::write(path, text).unwrap();
        };
        write("Chart.yaml", "apiVersion: v2\nname: top\nversion: 1.0.0\nappVersion: '3.1'\n");
        write("values.yaml", values);
        for (position, template) in templates.iter().enumerate() {
            write(&format!("templates/t{position}.yaml"), template);
        }
        Chart::from_directory(directory.path(), &Limits::DEFAULT).unwrap()
    }

    /// A pod whose image is this template.
    fn pod(image: &str) -> String {
        format!("{{kind: Pod, metadata: {{name: a}}, spec: {{containers: [{{image: \"{image}\"}}]}}}}\n")
    }

    fn to(image: &Reference) -> Option<Reference> {
        let tag = image.tag().map(|tag| format!(":{tag}")).unwrap_or_default();
        let is_moved = image.registry().as_str() == "h.example";
        let text = format!("h.example/cache/{}/{}{tag}@{DIGEST}", image.registry(), image.repository());
        (!is_moved).then(|| text.parse().unwrap())
    }

    /// The overlay and the images that are rendered with it.
    fn pointed(chart: &Chart) -> (String, Vec<String>) {
        let mut overlay = Overlay::new(chart, &ValueSet::defaults(), RenderOptions::default()).unwrap();
        overlay.point_images(&to).unwrap();
        let images = seen(overlay.rendering(), &Limits::DEFAULT).into_values().flatten();
        let images: Vec<String> = images.map(|image| image.to_string().replace(DIGEST, "D")).collect();
        (overlay.to_yaml().unwrap().replace(DIGEST, "D").replace(&DIGEST[7..], "HEX"), images)
    }

    #[test]
    fn each_chart_is_told_in_its_own_way() {
        let q = "h.example/cache/q.io/a/b";
        for (values, template, overlay, image) in [
            // One text for the name.
            (
                "image: {repository: q.io/a/b, tag: v1}",
                "{{ .Values.image.repository }}:{{ .Values.image.tag }}",
                format!("image:\n  repository: {q}\n  tag: v1@D\n"),
                format!("{q}:v1@D"),
            ),
            // A digest beside the tag, with and without its algorithm.
            (
                "image: {registry: q.io, repository: a/b, tag: v1, digest: ''}",
                "{{ .Values.image.registry }}/{{ .Values.image.repository }}:{{ .Values.image.tag }}{{ with .Values.image.digest }}@{{ . }}{{ end }}",
                "image:\n  digest: D\n  registry: h.example\n  repository: cache/q.io/a/b\n  tag: v1\n"
                    .to_owned(),
                format!("{q}:v1@D"),
            ),
            (
                "image: {registry: q.io, repository: a/b, tag: v1, sha: ''}",
                "{{ .Values.image.registry }}/{{ .Values.image.repository }}:{{ .Values.image.tag }}{{ with .Values.image.sha }}@sha256:{{ . }}{{ end }}",
                "image:\n  registry: h.example\n  repository: cache/q.io/a/b\n  sha: HEX\n  tag: v1\n"
                    .to_owned(),
                format!("{q}:v1@D"),
            ),
            // The digest takes the tag's place, and the tag must stay a version.
            (
                "image: {repository: q.io/a/b, tag: v1, digest: ''}",
                "{{ .Values.image.repository }}{{ with semver .Values.image.tag }}{{ end }}{{ if .Values.image.digest }}@{{ .Values.image.digest }}{{ else }}:{{ .Values.image.tag }}{{ end }}",
                format!("image:\n  digest: D\n  repository: {q}\n"),
                format!("{q}@D"),
            ),
            // The chart makes a tag of its own.
            (
                "image: {repository: q.io/a/b, tag: ''}",
                "{{ .Values.image.repository }}:v{{ .Values.image.tag | default .Chart.AppVersion }}-slim",
                format!("image:\n  repository: {q}\n"),
                format!("{q}:v3.1-slim"),
            ),
            // All in one text.
            (
                "helper: q.io/a/b:v1",
                "{{ .Values.helper }}",
                format!("helper: {q}:v1@D\n"),
                format!("{q}:v1@D"),
            ),
            // Another value has the tag.
            (
                "sidecarImage: q.io/a/b\nsidecarTag: v1",
                "{{ .Values.sidecarImage }}:{{ .Values.sidecarTag }}",
                format!("sidecarImage: {q}\n"),
                format!("{q}:v1"),
            ),
            // In a list, whose other items stay.
            (
                "images: [{x: 1}, {image: q.io/a/b:v1, z: 2}]",
                "{{ (index .Values.images 1).image }}",
                format!("images:\n- x: 1\n- image: {q}:v1@D\n  z: 2\n"),
                format!("{q}:v1@D"),
            ),
            // The part that all images share stands alone.
            (
                "hub: q.io/a\nname: b",
                "{{ .Values.hub }}/{{ .Values.name }}:v1",
                "hub: h.example/cache/q.io/a\n".to_owned(),
                format!("{q}:v1"),
            ),
            (
                "global: {imageRegistry: ''}\nname: a/b",
                "{{ .Values.global.imageRegistry | default \"q.io\" }}/{{ .Values.name }}:v1",
                "global:\n  imageRegistry: h.example/cache/q.io\n".to_owned(),
                format!("{q}:v1"),
            ),
        ] {
            let found = pointed(&chart(&format!("{values}\n"), &[&pod(template)]));
            assert_eq!(found, (overlay, vec![image]), "{template}");
        }
    }

    /// Charts whose spelling no table knows: leaves are traced.
    #[test]
    fn every_leaf_that_makes_an_image_is_found_by_its_mark() {
        let q = "h.example/cache/q.io/a/b";
        for (values, template, images) in [
            // Three parts, with names of their own.
            (
                "x: {where: q.io, who: a, what: b, which: v1}",
                "{{ .Values.x.where }}/{{ .Values.x.who }}/{{ .Values.x.what }}:{{ .Values.x.which }}",
                vec![format!("{q}:v1@D")],
            ),
            // All images in one map of whole references, with words for tags.
            (
                "images: {tags: {check: 'q.io/a/b:latest-noble'}}",
                "{{ .Values.images.tags.check }}",
                vec![format!("{q}:latest-noble@D")],
            ),
            // A start with a slash for all, and names below it.
            (
                "base: q.io/a/\nnames: [b]",
                "{{ .Values.base }}{{ index .Values.names 0 }}:v1",
                vec![format!("{q}:v1")],
            ),
        ] {
            let found = pointed(&chart(&format!("{values}\n"), &[&pod(template)])).1;
            assert_eq!(found, images, "{template}");
        }
    }

    #[test]
    fn a_chart_that_refuses_other_images_is_told_to_allow_them() {
        let guard = "{{- if and (ne .Values.image.registry \"q.io\") (not .Values.global.security.allowInsecureImages) }}{{ fail \"not ours\" }}{{ end }}";
        let template =
            pod("{{ .Values.image.registry }}/{{ .Values.image.repository }}:{{ .Values.image.tag }}");
        let values = "global: {security: {allowInsecureImages: false}}\nimage: {registry: q.io, repository: a/b, tag: v1}\n";
        let (overlay, images) = pointed(&chart(values, &[guard, &template]));
        assert_eq!(images, ["h.example/cache/q.io/a/b:v1@D"]);
        assert!(overlay.contains("allowInsecureImages: true"), "{overlay}");
    }

    #[test]
    fn what_a_chart_inside_has_as_its_own_global_is_pointed_at_the_top() {
        let directory = tempfile::tempdir().unwrap();
        for (name, text) in [
            ("Chart.yaml", "apiVersion: v2\nname: top\nversion: 1.0.0\n".to_owned()),
            ("values.yaml", "x: 1\n".to_owned()),
            ("charts/s/Chart.yaml", "apiVersion: v2\nname: s\nversion: 1.0.0\n".to_owned()),
            (
                "charts/s/values.yaml",
                "global: {toolImage: 'q.io/a/b:v1', side: {image: {repository: q.io/a/c, tag: v2}}}\n"
                    .to_owned(),
            ),
            (
                "charts/s/templates/p.yaml",
                format!(
                    "{}---\n{}",
                    pod("{{ .Values.global.toolImage }}"),
                    pod("{{ .Values.global.side.image.repository }}:{{ .Values.global.side.image.tag }}")
                        .replace("name: a", "name: c")
                ),
            ),
        ] {
            let path = directory.path().join(name);
            std::fs::create_dir_all(path.parent().unwrap()).unwrap();
            std::fs::write(path, text).unwrap();
        }
        let chart = Chart::from_directory(directory.path(), &Limits::DEFAULT).unwrap();
        let (overlay, images) = pointed(&chart);
        assert_eq!(images, ["h.example/cache/q.io/a/b:v1@D", "h.example/cache/q.io/a/c:v2@D"], "{overlay}");
        assert!(overlay.starts_with("global:\n"), "{overlay}");
    }

    #[test]
    fn a_digest_stays_out_of_labels() {
        let template = "{kind: Pod, metadata: {name: a, labels: {version: '{{ .Values.image.tag }}'}}, spec: {containers: [{image: '{{ .Values.image.repository }}:{{ .Values.image.tag }}'}]}}";
        let chart = chart("image: {repository: q.io/a/b, tag: v1}\n", &[template]);
        let (overlay, images) = pointed(&chart);
        assert_eq!(images, ["h.example/cache/q.io/a/b:v1"]);
        assert_eq!(overlay, "image:\n  repository: h.example/cache/q.io/a/b\n  tag: v1\n");
    }

    #[test]
    fn what_no_rendering_uses_is_written_like_what_one_does() {
        let used = pod("{{ .Values.image.repository }}{{ with .Values.image.digest }}@{{ . }}{{ end }}");
        let other = format!(
            "{{{{ if .Values.other.on }}}}{}{{{{ end }}}}",
            used.replace("Values.image", "Values.other.image")
        );
        let values = "image: {repository: q.io/a/b, tag: v1, digest: ''}\nother: {on: false, image: {repository: q.io/a/c, tag: v1, digest: ''}}\n";
        let chart = chart(values, &[&used, &other]);
        let (overlay, _) = pointed(&chart);
        assert!(
            overlay.contains("other:\n  image:\n    digest: D\n    repository: h.example/cache/q.io/a/c\n"),
            "{overlay}"
        );
    }

    #[test]
    fn an_image_that_no_value_names_stays_and_is_seen() {
        let (overlay, images) = pointed(&chart("x: 1\n", &[&pod("q.io/a/b:v1")]));
        assert_eq!((overlay.as_str(), images), ("{}\n", vec!["q.io/a/b:v1".to_owned()]));
    }

    #[test]
    fn secrets_and_resources_are_taken_where_the_chart_takes_them() {
        let pod = |more: &str| {
            format!(
                "{{{{- $v := .Values }}}}\nkind: Pod\nmetadata: {{name: a}}\nspec:\n{more}  containers: [{{image: 'a/b:1', resources: {{{{ toJson $v.web.resources }}}}}}]\n"
            )
        };
        for (values, more, secrets) in [
            (
                "imagePullSecrets: []",
                "  imagePullSecrets: {{ toJson $v.imagePullSecrets }}\n",
                "imagePullSecrets:\n- name: s\n",
            ),
            (
                "image: {pullSecrets: [old]}",
                "  imagePullSecrets: [{{ range $v.image.pullSecrets }}{name: {{ . }}},{{ end }}]\n",
                "image:\n  pullSecrets:\n  - old\n  - s\n",
            ),
            ("pullSecret: ''", "  imagePullSecrets: [{name: {{ $v.pullSecret }}}]\n", "pullSecret: s\n"),
        ] {
            let chart = chart(&format!("{values}\nweb: {{x: 1}}\n"), &[&pod(more)]);
            let mut overlay = Overlay::new(&chart, &ValueSet::defaults(), RenderOptions::default()).unwrap();
            assert_eq!(overlay.pull_secret("s").unwrap(), Vec::<String>::new(), "{values}");
            assert_eq!(overlay.to_yaml().unwrap(), secrets, "{values}");
            let wanted = Resources { memory: "64Mi", cpu: "50m" };
            assert_eq!(overlay.ask_for("web", wanted).unwrap().as_deref(), Some("web.resources"));
            assert_eq!(overlay.ask_for("none", wanted).unwrap(), None);
        }
        let chart = chart("web: {}\n", &[&pod("")]);
        let mut overlay = Overlay::new(&chart, &ValueSet::defaults(), RenderOptions::default()).unwrap();
        assert_eq!(overlay.pull_secret("s").unwrap(), ["top/templates/t0.yaml Pod/a"]);
        assert_eq!(overlay.to_yaml().unwrap(), "{}\n");
    }

    #[test]
    fn every_image_of_charts_that_people_use_is_reached() {
        let Some(charts) = bundle_test_needs::shared("data/charts") else { return };
        for entry in std::fs::read_dir(charts).unwrap() {
            let archive = entry.unwrap().path();
            let bytes = std::fs::read(&archive).unwrap();
            let chart = Chart::from_archive("chart", &bytes, &Limits::DEFAULT).unwrap();
            let mut overlay = Overlay::new(&chart, &ValueSet::defaults(), RenderOptions::default()).unwrap();
            overlay.point_images(&to).unwrap();
            let images = seen(overlay.rendering(), &Limits::DEFAULT).into_values().flatten();
            let left: Vec<String> = images
                .filter(|image| image.registry().as_str() != "h.example" || image.digest().is_none())
                .map(|image| image.to_string())
                .collect();
            assert_eq!(left, Vec::<String>::new(), "{}\n{}", archive.display(), overlay.to_yaml().unwrap());
        }
    }
}
