//! The documents of a rendered text.
//! Takes a text; gives [`Document`]s, cut where Helm cuts them.

use bundle_oci::Printable;

use crate::yaml::{YamlError, parse_values};
use crate::{Map, RenderOptions, Value};

/// A document that a chart gives to Kubernetes.
#[derive(Clone, Debug)]
pub struct Document {
    /// The file that it comes from, with the chart's full path: `harbor/templates/core/core-dpl.yaml`.
    pub file: String,
    /// The kind of file.
    pub origin: Origin,
    /// Its text.
    pub text: String,
    /// Its content.
    pub value: Value,
}

/// Where a document comes from.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Origin {
    /// A template.
    Template,
    /// A template, and Helm applies it at some point of a release only (`helm.sh/hook`).
    Hook,
    /// A file in `crds/`, which is no template.
    Definition,
}

impl Document {
    /// Its kind and name, `Deployment/harbor-core`, as far as it has them.
    pub fn label(&self) -> String {
        self.value.as_map().map_or_else(|| "document".to_owned(), label)
    }

    /// The documents in a text, cut as Helm cuts them, without those that are `known`.
    ///
    /// # Errors
    /// The line of the text where a document is no YAML, counted from 1, and why.
    pub(super) fn all(
        file: &str,
        origin: Origin,
        text: &str,
        options: &RenderOptions,
        known: &dyn Fn(&str) -> bool,
        documents: &mut Vec<Self>,
    ) -> Result<(), YamlError> {
        for (line, part) in cut(text) {
            // Helm ends every document with a line break, which counts in `|` at its end.
            let text = format!("{part}\n");
            if known(&text) {
                continue;
            }
            let value = parse_values(&text, &options.limits)
                .map_err(|error| YamlError { line: error.line.saturating_add(line), ..error })?;
            if value.is_nil() {
                continue;
            }
            let is_hook = origin == Origin::Template && annotation(&value, "helm.sh/hook").is_some();
            documents.push(Self {
                file: file.to_owned(),
                origin: if is_hook { Origin::Hook } else { origin },
                text,
                value,
            });
        }
        Ok(())
    }
}

fn annotation(value: &Value, key: &str) -> Option<Value> {
    value.as_map()?.get("metadata")?.as_map()?.get("annotations")?.as_map()?.get(key)
}

/// Where a line starts with `---`, a new document starts (helm, pkg/releaseutil/manifest.go). Each
/// part comes with the number of lines before it.
pub(super) fn cut(text: &str) -> Vec<(u64, &str)> {
    let mut parts = Vec::new();
    let mut start = 0;
    let mut end = 0;
    let mut first = true;
    for line in text.split_inclusive('\n') {
        // White space at the very start does not count.
        let seen = if first { line.trim_start() } else { line };
        first &= seen.trim().is_empty();
        if let Some(rest) = seen.strip_prefix("---") {
            parts.push((start, end));
            start = end + line.len() - rest.len();
        }
        end += line.len();
    }
    parts.push((start, end));
    // Lines are counted on from part to part: a text may be all separators.
    let (mut counted, mut lines) = (0, 0);
    let part = |(start, end): (usize, usize)| {
        let part = text.get(start..end)?;
        let inside = part.trim_start();
        let place = end - inside.len();
        lines += text.get(counted..place)?.bytes().filter(|&byte| byte == b'\n').count() as u64;
        counted = place;
        let inside = inside.trim_end();
        (!inside.is_empty()).then_some((lines, inside))
    };
    parts.into_iter().filter_map(part).collect()
}

/// The kind and name of an object: `Deployment/harbor-core`.
pub(crate) fn label(object: &Map) -> String {
    let kind = object.get("kind");
    let kind = kind.as_ref().and_then(Value::as_str).unwrap_or("document");
    let metadata = object.get("metadata");
    let name = metadata.as_ref().and_then(Value::as_map).and_then(|metadata| metadata.get("name"));
    match name.as_ref().and_then(Value::as_str) {
        Some(name) => format!("{}/{}", Printable(kind), Printable(name)),
        None => Printable(kind).to_string(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn all(text: &str, known: &dyn Fn(&str) -> bool, documents: &mut Vec<Document>) -> Result<(), YamlError> {
        Document::all("c/x.yaml", Origin::Template, text, &RenderOptions::default(), known, documents)
    }

    #[test]
    fn documents_that_are_known_are_passed_over() {
        let mut documents = Vec::new();
        all("a: 1\n---\n[\n---\nb: 2\n", &|text| text == "[\n", &mut documents).unwrap();
        let texts: Vec<_> = documents.iter().map(|document| document.text.as_str()).collect();
        assert_eq!(texts, ["a: 1\n", "b: 2\n"]);
    }

    #[test]
    fn texts_are_cut_where_helm_cuts_them() {
        for (text, parts) in [
            ("a: 1\n---\nb: 2\n", vec![(0, "a: 1"), (2, "b: 2")]),
            ("---\na: 1\n---\n\n---\n# only\n", vec![(1, "a: 1"), (5, "# only")]),
            ("\n  ---\na: 1\n", vec![(2, "a: 1")]),
            ("--- # comment\na: 1\n", vec![(0, "# comment\na: 1")]),
            ("a: |\n  ---\n  b\n", vec![(0, "a: |\n  ---\n  b")]),
            ("", vec![]),
            (" \n\n", vec![]),
        ] {
            assert_eq!(cut(text), parts, "{text:?}");
        }
    }

    #[test]
    fn a_text_that_is_all_separators_is_cut_in_one_pass() {
        let parts = cut(&"---\na: 1\n".repeat(200_000)).len();
        assert_eq!(parts, 200_000);
    }

    #[test]
    fn a_document_that_is_no_yaml_is_told_with_its_line() {
        let mut documents = Vec::new();
        let text = "a: 1\n---\nkind: X\nb: [\n";
        let error = all(text, &|_| false, &mut documents);
        assert!(error.unwrap_err().line >= 4);
    }

    #[test]
    fn a_document_ends_with_one_line_break() {
        let mut documents = Vec::new();
        let text = "a: |\n  x\n---\na: |\n  x\n\n---\na: |\n  x";
        all(text, &|_| false, &mut documents).unwrap();
        let text = |found: &Document| Some(found.value.as_map()?.get("a")?.as_str()?.to_owned());
        assert!(documents.len() == 3 && documents.iter().all(|found| text(found).as_deref() == Some("x\n")));
    }

    #[test]
    fn hooks_are_documents_too() {
        let text =
            "kind: Job\nmetadata: {name: a, annotations: {helm.sh/hook: pre-install}}\n---\nkind: List\n";
        let mut documents = Vec::new();
        all(text, &|_| false, &mut documents).unwrap();
        let seen: Vec<_> = documents.iter().map(|found| (found.origin, found.label())).collect();
        assert_eq!(seen, [(Origin::Hook, "Job/a".to_owned()), (Origin::Template, "List".to_owned())]);
    }
}
