//! Checks the values of a chart and of the charts inside it against their schemas.
//! Takes charts and coalesced values; gives a [`SchemaError`] that names paths and never values.

use std::collections::BTreeSet;

use bundle_oci::Printable;
use serde_json::Value as Json;

use super::validator::{Stop, Validator};
use crate::chart::Chart;
use crate::{Limits, Map, Value, Warning};

/// Values that a chart's `values.schema.json` does not allow, or an invalid schema.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("values.schema.json of {}: {}", Printable(.chart), told(.faults))]
pub struct SchemaError {
    /// The chart: its path in the tree of charts, like `loki.minio`.
    pub chart: String,
    /// The faults: a value's path, empty for the whole, and the reason.
    pub faults: Vec<(String, String)>,
}

/// The number of faults in a message.
const TOLD: usize = 10;

fn told(faults: &[(String, String)]) -> String {
    let one = |(path, why): &(String, String)| {
        let separator = if path.is_empty() { "" } else { ": " };
        format!("{}{separator}{}", Printable(path), Printable(why))
    };
    let mut texts: Vec<String> = faults.iter().take(TOLD).map(one).collect();
    if faults.len() > TOLD {
        texts.push(format!("and {} more", faults.len() - TOLD));
    }
    texts.join("; ")
}

/// Holds the values against the schemas of a chart and of the charts inside it.
///
/// # Errors
/// The first chart whose schema does not allow them.
pub(crate) fn check_schemas(
    chart: &Chart,
    values: &Map,
    path: &str,
    limits: &Limits,
    warnings: &mut BTreeSet<Warning>,
) -> Result<(), SchemaError> {
    let name = &chart.metadata.name;
    let path = if path.is_empty() { name.clone() } else { format!("{path}.{name}") };
    if let Some(schema) = &chart.schema {
        check(schema.data(), values, &path, limits, warnings)
            .map_err(|faults| SchemaError { chart: path.clone(), faults })?;
    }
    for below in &chart.dependencies {
        match values.get(&below.metadata.name) {
            Some(Value::Map(inner)) => check_schemas(below, &inner, &path, limits, warnings)?,
            None | Some(Value::Nil) => {}
            Some(_) => {
                let faults = vec![(below.metadata.name.clone(), "it is not a table".to_owned())];
                return Err(SchemaError { chart: path, faults });
            }
        }
    }
    Ok(())
}

fn check(
    schema: &[u8],
    values: &Map,
    chart: &str,
    limits: &Limits,
    warnings: &mut BTreeSet<Warning>,
) -> Result<(), Vec<(String, String)>> {
    let unusable = |why: String| vec![(String::new(), format!("the schema cannot be used: {why}"))];
    let schema: Json = serde_json::from_slice(schema).map_err(|error| unusable(error.to_string()))?;
    let values = to_json(&Value::Map(values.clone()));
    let mut validator = Validator::new(&schema, limits.schema_steps);
    let checked = validator.check(&values);
    for address in validator.elsewhere {
        warnings.insert(Warning::Schema { chart: chart.to_owned(), address });
    }
    match checked {
        Ok(faults) if faults.is_empty() => Ok(()),
        Ok(faults) => Err(faults.into_iter().map(|fault| (fault.path, fault.why)).collect()),
        Err(Stop::Schema(why)) => Err(unusable(why)),
        Err(Stop::Steps) => {
            warnings.insert(Warning::SchemaCost(chart.to_owned()));
            Ok(())
        }
    }
}

fn to_json(value: &Value) -> Json {
    match value {
        Value::Bool(flag) => Json::Bool(*flag),
        Value::Int(number, _) => (*number).into(),
        // A schema's `integer` is a number without a fraction.
        Value::Float(number) if number.fract() == 0.0 && number.abs() < 9e15 => (*number as i64).into(),
        Value::Float(number) => serde_json::Number::from_f64(*number).map_or(Json::Null, Json::Number),
        Value::String(text) => Json::String(text.to_string()),
        Value::List(list) => list.iter().map(to_json).collect(),
        Value::Map(map) => {
            map.entries().iter().map(|(key, value)| (key.to_string(), to_json(value))).collect()
        }
        _ => Json::Null,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::values::testing::map;

    fn faults_of(schema: &str, values: &str) -> Result<Vec<String>, String> {
        let mut warnings = BTreeSet::new();
        let limits = Limits { schema_steps: 10_000, ..Limits::DEFAULT };
        let checked = check(schema.as_bytes(), &map(values), "top", &limits, &mut warnings);
        checked.map_err(|found| told(&found))?;
        Ok(warnings.iter().map(ToString::to_string).collect())
    }

    const SCHEMA: &str = r##"{
        "$schema": "http://json-schema.org/draft-07/schema#",
        "type": "object",
        "required": ["expose"],
        "properties": {
            "expose": {"$ref": "#/definitions/expose"},
            "replicas": {"type": "integer", "minimum": 1},
            "password": {"type": "string", "pattern": "^[a-z]+$"}
        },
        "definitions": {"expose": {"type": "object", "properties": {"type": {"enum": ["ingress", "clusterIP"]}}, "additionalProperties": false}}
    }"##;

    #[test]
    fn faults_are_told_with_the_values_path_and_without_the_value() {
        for (values, told) in [
            (r#"{"expose":{"type":"ingress"},"replicas":1.0}"#, Ok(Vec::new())),
            (
                r#"{"expose":{"type":"x"}}"#,
                Err("expose.type: value must be one of 'ingress', 'clusterIP'".to_owned()),
            ),
            (r#"{"expose":{"tipe":1}}"#, Err("expose: additionalProperties 'tipe' not allowed".to_owned())),
            ("{}", Err("missing properties 'expose'".to_owned())),
            (r#"{"expose":{},"replicas":1.5}"#, Err("replicas: want integer, but got number".to_owned())),
            (
                r#"{"expose":{},"password":"S3cret!"}"#,
                Err("password: does not match the pattern '^[a-z]+$'".to_owned()),
            ),
        ] {
            assert_eq!(faults_of(SCHEMA, values), told, "{values}");
        }
        assert!(faults_of("{", "{}").unwrap_err().starts_with("the schema cannot be used: "));
        assert!(faults_of(r#"{"type": "strung"}"#, "{}").is_err());
    }

    #[test]
    fn no_other_document_is_asked_for() {
        let schema = r##"{"properties": {
            "a": {"$ref": "https://schemas.example/all.json#/definitions/a"},
            "b": {"$ref": "file:///etc/passwd"},
            "c": {"type": "string"}
        }}"##;
        let warnings = faults_of(schema, r#"{"a":1,"b":1,"c":"x"}"#).unwrap();
        assert_eq!(warnings.len(), 2, "{warnings:?}");
        assert!(warnings[1].contains("https://schemas.example/all.json"), "{warnings:?}");
        assert!(faults_of(schema, r#"{"c":1}"#).is_err());
    }

    #[test]
    fn a_schema_that_multiplies_itself_is_not_followed() {
        let mut definitions = serde_json::Map::new();
        for level in 0..64 {
            let next = serde_json::json!({"$ref": format!("#/definitions/d{}", level + 1)});
            definitions.insert(format!("d{level}"), serde_json::json!({"allOf": [next, next]}));
        }
        definitions.insert("d64".to_owned(), serde_json::json!({}));
        let schema = serde_json::json!({"$ref": "#/definitions/d0", "definitions": definitions});
        let warnings = faults_of(&schema.to_string(), "{}").unwrap();
        assert_eq!(warnings.len(), 1);
    }
}
