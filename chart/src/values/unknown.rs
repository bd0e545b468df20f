//! Finds keys of values files that no chart knows.
//! Takes a chart and values; gives warnings, each with its file.

use std::collections::BTreeSet;

use super::{ValueSet, ValuesError};
use crate::chart::Chart;
use crate::{Limits, Warning};

/// Takes note of the keys at the top of values files that no chart knows: likely they are
/// mistyped, or belong one level deeper.
pub(crate) fn unknown_keys(
    chart: &Chart,
    values: &ValueSet,
    limits: &Limits,
    warnings: &mut BTreeSet<Warning>,
) -> Result<(), ValuesError> {
    for file in &values.files {
        let keys = file.read(limits)?.keys();
        let unknown = keys.iter().filter(|key| !is_known(chart, key));
        let keys: Vec<String> = unknown.map(ToString::to_string).collect();
        if !keys.is_empty() {
            warnings.insert(Warning::UnknownKeys { file: file.name.clone(), keys });
        }
    }
    Ok(())
}

/// A key is known if it has a default, if it is the name of a chart inside, or if any text of the charts
/// mentions it.
fn is_known(chart: &Chart, key: &str) -> bool {
    let names = |chart: &Chart| chart.metadata.name == key;
    matches!(key, "global" | "tags")
        || chart.values.contains(key)
        || chart.dependencies.iter().any(names)
        || chart.metadata.dependencies.iter().any(|dependency| {
            dependency.own_name() == key
                || dependency.condition.split([',', '.']).any(|part| part.trim() == key)
        })
        || speaks_of(chart, key)
}

fn speaks_of(chart: &Chart, key: &str) -> bool {
    let mentions = |text: &[u8]| {
        let text = String::from_utf8_lossy(text);
        text.match_indices(key).any(|(at, _)| {
            let word = |character: char| character.is_alphanumeric() || matches!(character, '_' | '-');
            let before = text.get(..at).and_then(|before| before.chars().next_back());
            let after = text.get(at + key.len()..).and_then(|after| after.chars().next());
            matches!(before, Some('.' | '"' | '\'' | '`')) && !after.is_some_and(word)
        })
    };
    chart.templates.iter().chain(&chart.schema).any(|file| mentions(file.data()))
        || chart.dependencies.iter().any(|below| speaks_of(below, key))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::chart::File;
    use crate::values::{ValuesFile, testing};

    #[test]
    fn keys_that_no_chart_knows_are_told_with_their_file() {
        let mut below = Chart::default();
        below.metadata.name = "below".to_owned();
        below
            .templates
            .push(File::new("templates/x", b"{{ $.Values.written }} {{ get .Values \"quoted\" }}".to_vec()));
        let chart =
            Chart { values: testing::map(r#"{"default":1}"#), dependencies: vec![below], ..Chart::default() };
        let file = |name: &str, text: &str| ValuesFile { name: name.to_owned(), text: text.to_owned() };
        let values = ValueSet {
            files: vec![
                file("good.yaml", "{default: 2, below: {}, written: 1, quoted: 1, global: {}, tags: {}}"),
                file("bad.yaml", "{defualt: 2, write: 1, below: {}}"),
            ],
            ..ValueSet::defaults()
        };
        let mut warnings = BTreeSet::new();
        unknown_keys(&chart, &values, &Limits::DEFAULT, &mut warnings).unwrap();
        let texts: Vec<_> = warnings.iter().map(ToString::to_string).collect();
        assert_eq!(texts, ["bad.yaml: no chart knows 'defualt', 'write'"]);
    }
}
