use std::cell::RefCell;
use std::collections::{BTreeSet, HashMap};
use std::rc::Rc;

use boon::{Compiler, Draft, ErrorKind, InstanceToken, Schemas, UrlLoader, ValidationError};
use bundle_oci::Printable;
use serde_json::Value as Json;

use crate::chart::Chart;
use crate::{Map, Value, Warning};

/// Values that a chart's `values.schema.json` does not allow, or a schema that is none.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("values.schema.json of {}: {}", Printable(.chart), told(.faults))]
pub struct SchemaError {
    /// The chart: its path in the tree of charts, like `loki.minio`.
    pub chart: String,
    /// What is wrong: a value's path, empty for the whole, and why.
    pub faults: Vec<(String, String)>,
}

/// How many faults are told.
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
    warnings: &mut BTreeSet<Warning>,
) -> Result<(), SchemaError> {
    let name = &chart.metadata.name;
    let path = if path.is_empty() { name.clone() } else { format!("{path}.{name}") };
    if let Some(schema) = &chart.schema {
        check(schema.data(), values, &path, warnings)
            .map_err(|faults| SchemaError { chart: path.clone(), faults })?;
    }
    for below in &chart.dependencies {
        match values.get(&below.metadata.name) {
            Some(Value::Map(inner)) => check_schemas(below, &inner, &path, warnings)?,
            None | Some(Value::Nil) => {}
            Some(_) => {
                let faults = vec![(below.metadata.name.clone(), "it is no table".to_owned())];
                return Err(SchemaError { chart: path, faults });
            }
        }
    }
    Ok(())
}

/// Where the schema lies for its library.
const LOCATION: &str = "file:///values.schema.json";

fn check(
    schema: &[u8],
    values: &Map,
    chart: &str,
    warnings: &mut BTreeSet<Warning>,
) -> Result<(), Vec<(String, String)>> {
    let unusable = |why: String| vec![(String::new(), format!("the schema cannot be used: {why}"))];
    let mut schema: Json = serde_json::from_slice(schema).map_err(|error| unusable(error.to_string()))?;
    let mut elsewhere = BTreeSet::new();
    let own = identifiers(&schema);
    forget_references(&mut schema, &own, &mut elsewhere);
    if cost(&schema) > COST {
        warnings.insert(Warning::SchemaCost(chart.to_owned()));
        return Ok(());
    }
    let asked = Rc::new(RefCell::new(elsewhere));
    let mut compiler = Compiler::new();
    compiler.use_loader(Box::new(NoLoader(Rc::clone(&asked))));
    compiler.add_resource(LOCATION, schema).map_err(|error| unusable(error.to_string()))?;
    let mut schemas = Schemas::new();
    let compiled = compiler.compile(LOCATION, &mut schemas);
    for address in asked.borrow().iter() {
        warnings.insert(Warning::Schema { chart: chart.to_owned(), address: address.clone() });
    }
    let index = compiled.map_err(|error| unusable(one_line(&error.to_string())))?;
    let values = to_json(&Value::Map(values.clone()));
    schemas.validate(&values, index).map_err(|error| {
        let mut faults = Vec::new();
        leaves(&error, &mut faults);
        faults
    })
}

fn one_line(text: &str) -> String {
    text.split_whitespace().collect::<Vec<_>>().join(" ")
}

/// Gives every document that is not the chart's own as one that allows anything. Helm asks the
/// network for it.
struct NoLoader(Rc<RefCell<BTreeSet<String>>>);

impl UrlLoader for NoLoader {
    fn load(&self, url: &str) -> Result<Json, Box<dyn std::error::Error>> {
        self.0.borrow_mut().insert(url.to_owned());
        Ok(Json::Bool(true))
    }
}

/// The names that parts of the schema give themselves.
fn identifiers(schema: &Json) -> BTreeSet<String> {
    let mut found = BTreeSet::new();
    let mut open = vec![schema];
    while let Some(node) = open.pop() {
        match node {
            Json::Object(fields) => {
                if let Some(Json::String(id)) = fields.get("$id").or_else(|| fields.get("id")) {
                    found.insert(without_fragment(id).to_owned());
                }
                open.extend(fields.values());
            }
            Json::Array(items) => open.extend(items),
            _ => {}
        }
    }
    found
}

fn without_fragment(address: &str) -> &str {
    address.split('#').next().unwrap_or_default()
}

/// Takes out what refers to documents elsewhere, for a reference into one cannot be followed.
fn forget_references(node: &mut Json, own: &BTreeSet<String>, elsewhere: &mut BTreeSet<String>) {
    match node {
        Json::Object(fields) => {
            for keyword in ["$ref", "$schema"] {
                let Some(Json::String(address)) = fields.get(keyword) else { continue };
                let document = without_fragment(address);
                let known =
                    document.is_empty() || own.contains(document) || Draft::from_url(address).is_some();
                if !known && (document.contains("://") || keyword == "$schema") {
                    elsewhere.insert(document.to_owned());
                    fields.remove(keyword);
                }
            }
            fields.values_mut().for_each(|inner| forget_references(inner, own, elsewhere));
        }
        Json::Array(items) => items.iter_mut().for_each(|inner| forget_references(inner, own, elsewhere)),
        _ => {}
    }
}

/// How many parts a schema may have once its references are followed: a page of definitions that
/// each name the next one twice would be held against the values for ever.
const COST: u64 = 10_000_000;

fn cost(schema: &Json) -> u64 {
    fn of<'a>(node: &'a Json, root: &'a Json, known: &mut HashMap<*const Json, u64>) -> u64 {
        let place = std::ptr::from_ref(node);
        if let Some(cost) = known.get(&place) {
            return *cost;
        }
        // A part that leads back to itself goes one level down in the values each time.
        known.insert(place, 0);
        let mut sum: u64 = 1;
        match node {
            Json::Object(fields) => {
                let target =
                    fields.get("$ref").and_then(Json::as_str).and_then(|text| text.strip_prefix('#'));
                if let Some(target) = target.and_then(|pointer| root.pointer(pointer)) {
                    sum = sum.saturating_add(of(target, root, known));
                }
                let definitions = ["definitions", "$defs"];
                for (_, inner) in fields.iter().filter(|(key, _)| !definitions.contains(&key.as_str())) {
                    sum = sum.saturating_add(of(inner, root, known));
                }
            }
            Json::Array(items) => {
                for inner in items {
                    sum = sum.saturating_add(of(inner, root, known));
                }
            }
            _ => {}
        }
        known.insert(place, sum);
        sum
    }
    of(schema, schema, &mut HashMap::new())
}

/// The faults themselves, without the schemas around them.
fn leaves(error: &ValidationError<'_, '_>, faults: &mut Vec<(String, String)>) {
    // Of alternatives that all failed, the whole says more than the parts.
    let alternatives = matches!(error.kind, ErrorKind::AnyOf | ErrorKind::OneOf(_));
    if !error.causes.is_empty() && !alternatives {
        error.causes.iter().for_each(|cause| leaves(cause, faults));
        return;
    }
    let mut path = String::new();
    for token in &error.instance_location.tokens {
        match token {
            InstanceToken::Prop(name) => {
                let dot = if path.is_empty() { "" } else { "." };
                path.push_str(dot);
                path.push_str(name);
            }
            InstanceToken::Item(position) => path.push_str(&format!("[{position}]")),
        }
    }
    // What stands in the values may be a secret.
    let why = match &error.kind {
        ErrorKind::Pattern { want, .. } => format!("does not match the pattern '{want}'"),
        ErrorKind::Format { want, .. } => format!("is no valid {want}"),
        ErrorKind::FalseSchema => "is not allowed".to_owned(),
        kind => one_line(&kind.to_string()),
    };
    faults.push((path, why));
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
        let checked = check(schema.as_bytes(), &map(values), "top", &mut warnings);
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
