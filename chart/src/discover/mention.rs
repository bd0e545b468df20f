//! Images that a chart names outside of what it renders and of its values: in comments, in the text of its
//! templates, in lists of images, in defaults of its schema.
//! Takes a tree of charts; gives each with its grade and its file and line.

use crate::limits::{MENTION_LINE, MENTIONS};
use std::collections::{BTreeSet, HashMap};

use bundle_oci::Reference;

use super::find::{Grade, Place};
use super::group::{Group, Shared};
use super::shape::{Hint, image};
use super::text::{Comments, Inside, images_inside};
use crate::chart::{Chart, File};
use crate::yaml::parse_values;
use crate::{Limits, Map, Value};

/// An image that is named somewhere.
pub(super) struct Mention {
    pub(super) reference: Reference,
    pub(super) grade: Grade,
    pub(super) place: Place,
}

/// The images that a chart and the charts inside it mention.
pub(super) fn mentioned(chart: &Chart, limits: &Limits) -> Vec<Mention> {
    let mut found = Vec::new();
    let mut seen = BTreeSet::new();
    let mut known = Known::new();
    enter(chart, "", limits, &mut known, &mut |mention| {
        if found.len() < MENTIONS && seen.insert((mention.reference.clone(), mention.place.clone())) {
            found.push(mention);
        }
    });
    found
}

/// What was found in the texts of templates, by their addresses: many charts have the same library inside
/// them.
type Known = HashMap<usize, Vec<(Reference, usize)>>;

fn enter(chart: &Chart, parent: &str, limits: &Limits, known: &mut Known, see: &mut dyn FnMut(Mention)) {
    let name = &chart.metadata.name;
    let path = if parent.is_empty() { name.clone() } else { format!("{parent}/charts/{name}") };
    let place =
        |file: &File, line: usize| Place::File { file: format!("{path}/{}", file.name()), line: line as u64 };
    for file in &chart.files {
        match file.name() {
            "values.yaml" => comments(file, &mut |reference, line| {
                see(Mention { reference, grade: Grade::Mentioned, place: place(file, line) });
            }),
            name if is_list(name) => list(file, &mut |reference, line| {
                see(Mention { reference, grade: Grade::Annotated, place: place(file, line) });
            }),
            _ => {}
        }
    }
    for file in &chart.templates {
        let found = known.entry(file.address()).or_insert_with(|| {
            let mut found = Vec::new();
            literals(file, &mut |reference, line| found.push((reference, line)));
            found
        });
        for (reference, line) in found.iter().cloned() {
            see(Mention { reference, grade: Grade::Mentioned, place: place(file, line) });
        }
    }
    if let Some(file) = &chart.schema
        && let Ok(text) = file.text()
        && let Ok(Value::Map(schema)) = parse_values(text, limits)
    {
        defaults(&schema, "", 0, &mut |reference| {
            see(Mention { reference, grade: Grade::Declared, place: place(file, 0) });
        });
    }
    for below in &chart.dependencies {
        enter(below, &path, limits, known, see);
    }
}

fn lines(file: &File, see: &mut dyn FnMut(&str, usize)) {
    let Ok(text) = file.text() else { return };
    for (line, text) in text.lines().enumerate() {
        if text.len() <= MENTION_LINE {
            see(text, line + 1);
        }
    }
}

/// Comments of a values file that say a default, which the chart makes up elsewhere. Fields that are
/// commented out are examples, as a rule.
fn comments(file: &File, see: &mut dyn FnMut(Reference, usize)) {
    lines(file, &mut |line, at| {
        let comment = line.trim_start().strip_prefix('#').and_then(|comment| comment.split_once("@default"));
        let Some((_, default)) = comment else { return };
        let Inside { images, .. } = images_inside(default, Hint::Named, Comments::Read);
        images.into_iter().filter(is_named).for_each(|reference| see(reference, at));
    });
}

/// Whether a reference says where an image is or which one: `source:consul` is a tag of something else.
fn is_named(reference: &Reference) -> bool {
    let is_bare = reference.registry().as_str() == "docker.io"
        && reference.repository().as_str().strip_prefix("library/").is_some_and(|name| !name.contains('/'));
    let tag = reference.tag().map_or("", |tag| tag.as_str());
    !is_bare || tag == "latest" || tag.bytes().any(|byte| byte.is_ascii_digit())
}

/// Literal images in a template, under any condition; `NOTES.txt` is one too.
fn literals(file: &File, see: &mut dyn FnMut(Reference, usize)) {
    // Definitions explain their fields with examples; their defaults are read in what is rendered.
    if file.text().is_ok_and(|text| text.contains("kind: CustomResourceDefinition")) {
        return;
    }
    let mut in_comment = false;
    lines(file, &mut |line, at| {
        // A comment of the template starts with its action, and may have many lines.
        let starts = line.contains("{{/*") || line.contains("{{- /*");
        let was_in_comment = in_comment;
        in_comment = (in_comment || starts) && !line.contains("*/");
        if was_in_comment || starts {
            return;
        }
        // Most lines hold none, and there are many.
        if !line.contains([':', '@']) || !line.contains('/') && !line.contains("image") {
            return;
        }
        let (text, actions) = apart(line);
        for part in [text, actions] {
            let Inside { images, .. } = images_inside(&part, Hint::None, Comments::Skip);
            // A name without a tag has its tag elsewhere.
            let says_tag = |reference: &Reference| {
                reference.digest().is_some()
                    || reference.tag().is_some_and(|tag| part.contains(&format!(":{tag}")))
            };
            images.into_iter().filter(says_tag).for_each(|reference| see(reference, at));
        }
    });
}

/// A line of a template without its actions, and the actions alone. A removed action is replaced by a sign
/// that no name has, so that half a name is not taken for one.
fn apart(line: &str) -> (String, String) {
    let (mut text, mut actions) = (String::new(), String::new());
    let mut rest = line;
    while let Some((before, inside)) = rest.split_once("{{") {
        text.push_str(before);
        text.push('\u{1}');
        let (action, after) = inside.split_once("}}").unwrap_or((inside, ""));
        actions.push_str(action);
        actions.push(' ');
        rest = after;
    }
    text.push_str(rest);
    (text, actions)
}

/// `images.txt`, `imagelist.lst`: a list of images in the chart's directory.
fn is_list(name: &str) -> bool {
    let base = name.rsplit('/').next().unwrap_or_default().to_ascii_lowercase();
    base.contains("image") && ["txt", "lst", "list"].iter().any(|end| base.ends_with(&format!(".{end}")))
}

fn list(file: &File, see: &mut dyn FnMut(Reference, usize)) {
    lines(file, &mut |line, at| {
        let line = line.trim().trim_start_matches("- ").trim_matches(['"', '\'']);
        if !line.starts_with('#')
            && let Some(reference) = image(line, Hint::Image)
        {
            see(reference, at);
        }
    });
}

/// Defaults of a schema, by the names of their properties.
fn defaults(schema: &Map, name: &str, depth: usize, see: &mut dyn FnMut(Reference)) {
    const DEEPEST: usize = 64;
    if depth > DEEPEST {
        return;
    }
    match schema.get("default") {
        Some(Value::String(text)) => {
            if let Some(reference) = image(&text, Hint::of(name)) {
                see(reference);
            }
        }
        Some(Value::Map(group)) => {
            let readings = Group::readings(&group, name, &Shared::default());
            if let Some(reference) = readings.iter().find_map(Group::reference) {
                see(reference);
            }
        }
        _ => {}
    }
    for (key, value) in schema.entries() {
        let Value::Map(inner) = &value else { continue };
        match &*key {
            "properties" | "$defs" | "definitions" => {
                for (property, value) in inner.entries() {
                    if let Value::Map(value) = value {
                        defaults(&value, &property, depth + 1, see);
                    }
                }
            }
            "default" => {}
            _ => defaults(inner, name, depth + 1, see),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn seen(name: &str, text: &str) -> Vec<String> {
        let mut chart = Chart::default();
        "top".clone_into(&mut chart.metadata.name);
        let file = File::new(name, text.as_bytes().to_vec());
        match name {
            _ if name.starts_with("templates/") => chart.templates.push(file),
            "values.schema.json" => chart.schema = Some(file),
            _ => chart.files.push(file),
        }
        let found = mentioned(&chart, &Limits::DEFAULT);
        found
            .iter()
            .map(|mention| format!("{:?} {} {}", mention.grade, mention.place, mention.reference))
            .collect()
    }

    #[test]
    fn what_a_chart_only_speaks_of_is_found_with_its_line() {
        for (name, text, found) in [
            (
                "values.yaml",
                "# -- image of the agent\n# @default -- `ghcr.io/a/agent:v1`\nagent:\n# image: a/old:1.2\n# see the docs at b.example/x\n",
                &["Mentioned values.yaml:2 ghcr.io/a/agent:v1"][..],
            ),
            (
                "values.yaml",
                "# @default: [\"source:web\",\"web_service:web-server\"]\n# @default -- redis:7\n",
                &["Mentioned values.yaml:2 docker.io/library/redis:7"],
            ),
            (
                "templates/x.yaml",
                "{{/* as quay.io/x/y:v1\nor quay.io/x/z:v1 */}}\nimage: {{ .Values.r }}/a:v1\nx: {{ .Values.image | default \"quay.io/a/b:v1\" }}\nimage: quay.io/c/d:v1\nname: quay.io/{{ x }}/e:v1\n",
                &[
                    "Mentioned templates/x.yaml:4 quay.io/a/b:v1",
                    "Mentioned templates/x.yaml:5 quay.io/c/d:v1",
                ],
            ),
            (
                "templates/crds.yaml",
                "kind: CustomResourceDefinition\nspec:\n  description: Such as quay.io/a/x:v1\n",
                &[],
            ),
            (
                "templates/NOTES.txt",
                "kubectl run --image=a/client:v1\n",
                &["Mentioned templates/NOTES.txt:1 docker.io/a/client:v1"],
            ),
            (
                "image-list.txt",
                "# all\nghcr.io/a/b:v1\nword\n",
                &["Annotated image-list.txt:2 ghcr.io/a/b:v1"],
            ),
            (
                "values.schema.json",
                r#"{"properties": {"opImage": {"default": "ghcr.io/a/op:v1"}, "image": {"default": {"repository": "a/b", "tag": "1"}}, "x": {"default": "a:1"}}}"#,
                &[
                    "Declared values.schema.json docker.io/a/b:1",
                    "Declared values.schema.json ghcr.io/a/op:v1",
                ],
            ),
            ("README.md", "ghcr.io/a/b:v1\n", &[]),
        ] {
            assert_eq!(seen(name, text), found, "{name}");
        }
    }
}
