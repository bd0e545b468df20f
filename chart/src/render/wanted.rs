//! The value that a chart asks for when it fails.
//! Takes a template error and its source; gives the path of a value, if that can be told.

use crate::values::table_of;
use crate::{Map, template};

/// The path of the value that a template asks for where it stopped, as far as that can be told:
/// from the chart's own words (`The "expose.tls.auto.commonName" is required!`), or from the
/// expression on the line.
pub(super) fn wanted_value(error: &template::Error, source: Option<&str>, values: &Map) -> Option<String> {
    let files = error.includes.iter().rev().map(|include| include.template.as_str());
    let file = [error.template.as_str()].into_iter().chain(files).find(|name| name.contains('/'));
    let prefix = chart_path(file.unwrap_or_default());
    let line = source.and_then(|text| text.lines().nth(error.line.checked_sub(1)?)).unwrap_or_default();
    let asked = matches!(error.function.as_deref(), Some("required" | "fail"));
    let from_message = if asked { paths(&error.message, Mark::Optional) } else { Vec::new() };
    let from_line = paths(line, Mark::Needed);
    // A value that is set is not the missing one.
    let missing = |path: &&String| {
        let whole = format!("{prefix}{path}");
        match whole.rsplit_once('.') {
            Some((table, key)) => table_of(values, table).is_none_or(|table| {
                table.get(key).is_none_or(|value| value.is_nil() || value.as_str() == Some(""))
            }),
            None => values.get(&whole).is_none_or(|value| value.is_nil() || value.as_str() == Some("")),
        }
    };
    // A word with a full stop in it is a path only where the values have such a table.
    let known = |path: &&String| {
        let first = path.split('.').next().unwrap_or_default();
        let whole = format!("{prefix}{first}");
        match whole.rsplit_once('.') {
            Some((table, key)) => table_of(values, table).is_some_and(|table| table.contains(key)),
            None => values.contains(&whole),
        }
    };
    let told = from_message.iter().find(|path| known(path) && missing(path));
    let read = from_line.iter().find(missing);
    told.or(read).map(|path| format!("{prefix}{path}"))
}

/// Whether a path must start with `.Values.`.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Mark {
    Needed,
    Optional,
}

/// The paths of values in a text.
fn paths(text: &str, mark: Mark) -> Vec<String> {
    let part_of_path =
        |character: char| character.is_ascii_alphanumeric() || matches!(character, '.' | '_' | '-' | '$');
    let words = text.split(|character: char| !part_of_path(character));
    let path = |word: &str| {
        let word = word.trim_matches(['.', '-', '$']);
        let path = match word.strip_prefix("Values.") {
            Some(path) => path,
            None if mark == Mark::Optional && word.contains('.') => word,
            None => return None,
        };
        let sound = path.split('.').all(|part| !part.is_empty() && !part.contains('$'));
        sound.then(|| path.to_owned())
    };
    words.filter_map(path).collect()
}

/// The path in the values of the chart that a template belongs to, with a full stop at its end:
/// `minio.` for `loki/charts/minio/templates/x.yaml`.
fn chart_path(template: &str) -> String {
    let chart = template.split("/templates/").next().unwrap_or_default();
    chart.split("/charts/").skip(1).map(|name| format!("{name}.")).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::values::testing::map;

    #[test]
    fn the_value_to_set_is_found_in_words_and_expressions() {
        let values =
            map(r#"{"expose":{"tls":{"auto":{"commonName":""}}},"a":{"b":1,"c":""},"sub":{"x":{}}}"#);
        for (template, message, function, source, wanted) in [
            (
                "h/templates/s.yaml",
                "The \"expose.tls.auto.commonName\" is required!",
                Some("required"),
                "x",
                Some("expose.tls.auto.commonName"),
            ),
            ("h/templates/s.yaml", "Set .Values.a.c, please.", Some("fail"), "x", Some("a.c")),
            ("h/templates/s.yaml", "a.b must not be set with a.c", Some("fail"), "x", Some("a.c")),
            ("h/templates/s.yaml", "See docs.example.com for more.", Some("fail"), "x", None),
            (
                "h/templates/s.yaml",
                "give a name",
                Some("required"),
                "n: {{ required \"give a name\" .Values.a.c }}",
                Some("a.c"),
            ),
            (
                "h/templates/s.yaml",
                "nil pointer evaluating interface {}.z",
                None,
                "{{ $.Values.none.y.z }}",
                Some("none.y.z"),
            ),
            ("h/charts/sub/templates/s.yaml", "x.y is needed", Some("fail"), "", Some("sub.x.y")),
            ("h/templates/s.yaml", "no", Some("fail"), "{{ fail \"no\" }}", None),
        ] {
            let error = template::Error {
                template: template.to_owned(),
                line: 1,
                column: 1,
                function: function.map(str::to_owned),
                message: message.to_owned(),
                includes: Vec::new(),
            };
            assert_eq!(wanted_value(&error, Some(source), &values).as_deref(), wanted, "{message}");
        }
    }
}
