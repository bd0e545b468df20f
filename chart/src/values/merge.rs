//! Value sets: values files and `--set` expressions under a name.
//! Takes them in their order; gives one map, the later over the earlier.

use bundle_oci::Printable;

use super::set::{Reading, SetError, set};
use crate::yaml::{YamlError, parse_values};
use crate::{Limits, Map, Value};

/// Values that someone gives a chart, under a name: `defaults`, `ha`.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct ValueSet {
    /// Its name in places and messages.
    pub name: String,
    /// The purpose of the rendering.
    pub purpose: Purpose,
    /// Values files; what a later one says wins.
    pub files: Vec<ValuesFile>,
    /// Expressions such as `a.b={"c":1}`, as of Helm's `--set-json`.
    pub set_json: Vec<String>,
    /// Expressions such as `a.b=1,c[0]=x`, as of Helm's `--set`.
    pub set: Vec<String>,
    /// Expressions whose values are all text, as of Helm's `--set-string`.
    pub set_string: Vec<String>,
}

/// The purpose of a rendering.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Purpose {
    /// It will be installed like this.
    #[default]
    Install,
    /// Only for discovery: an installation with these values is not certain.
    Discovery,
}

/// A values file.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct ValuesFile {
    /// Its name in messages.
    pub name: String,
    /// Its text.
    pub text: String,
}

/// Values that cannot be used.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum ValuesError {
    /// A file that is no YAML.
    #[error("{}:{}:{}: {}", Printable(.file), .error.line, .error.column, Printable(&.error.message))]
    Yaml {
        /// The file.
        file: String,
        /// The cause, and its place.
        error: YamlError,
    },
    /// A file that is no map.
    #[error("{}: the values are not a map", Printable(.0))]
    NoMap(String),
    /// An expression.
    #[error("value to set: {0}")]
    Set(#[from] SetError),
}

impl ValueSet {
    /// A chart's defaults.
    pub fn defaults() -> Self {
        Self { name: "defaults".to_owned(), ..Self::default() }
    }

    /// Whether it gives no value at all.
    pub fn is_empty(&self) -> bool {
        self.files.is_empty() && self.set_json.is_empty() && self.set.is_empty() && self.set_string.is_empty()
    }

    /// All values together, in Helm's order: files, then JSON, then the other expressions.
    pub(crate) fn merged(&self, limits: &Limits) -> Result<Map, ValuesError> {
        let values = Map::new();
        for file in &self.files {
            replace(&values, &file.read(limits)?);
        }
        for (expressions, reading) in
            [(&self.set_json, Reading::Json), (&self.set, Reading::Typed), (&self.set_string, Reading::Text)]
        {
            for expression in expressions {
                set(expression, reading, &values)?;
            }
        }
        Ok(values)
    }
}

impl ValuesFile {
    pub(crate) fn read(&self, limits: &Limits) -> Result<Map, ValuesError> {
        let parsed = parse_values(&self.text, limits);
        match parsed.map_err(|error| ValuesError::Yaml { file: self.name.clone(), error })? {
            Value::Map(map) => Ok(map),
            Value::Nil => Ok(Map::new()),
            _ => Err(ValuesError::NoMap(self.name.clone())),
        }
    }
}

/// Puts `over` over `values`, table by table. Nulls stay: they delete defaults later.
fn replace(values: &Map, over: &Map) {
    for (key, value) in over.entries() {
        match (values.get(&key), &value) {
            (Some(Value::Map(before)), Value::Map(inner)) => replace(&before, inner),
            _ => {
                values.insert(key, value);
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::values::testing::json;

    #[test]
    fn later_files_win_and_expressions_win_over_files() {
        let file = |text: &str| ValuesFile { name: "v.yaml".to_owned(), text: text.to_owned() };
        let values = ValueSet {
            files: vec![file("a: {b: 1, c: [1, 2]}\nd: 1\n"), file("a: {b: null, c: [3]}\n"), file("")],
            set_json: vec![r#"e={"x":1}"#.to_owned()],
            set: vec!["e.x=2,f=3".to_owned()],
            set_string: vec!["f=4".to_owned()],
            ..ValueSet::defaults()
        };
        let merged = values.merged(&Limits::DEFAULT).unwrap();
        assert_eq!(json(&Value::Map(merged)), r#"{"a":{"b":null,"c":[3]},"d":1,"e":{"x":2},"f":"4"}"#);
        let wrong = ValueSet { files: vec![file("- a\n")], ..ValueSet::defaults() };
        let message = wrong.merged(&Limits::DEFAULT).unwrap_err().to_string();
        assert_eq!(message, "v.yaml: the values are not a map");
        let wrong = ValueSet { files: vec![file("a: 1\nb: [\n")], ..ValueSet::defaults() };
        let message = wrong.merged(&Limits::DEFAULT).unwrap_err().to_string();
        assert!(message.starts_with("v.yaml:"), "{message}");
    }
}
