//! The JSON Schema validator, drafts 4 to 2020-12, as far as charts use them.
//! Takes a schema and a value; gives the paths at which they disagree, within [`Limits::schema_steps`].

use crate::limits::SCHEMA_REFERENCES;
use std::collections::{BTreeSet, HashMap};

use regex::Regex;
use serde_json::{Map, Value};

use super::draft::Draft;
use super::keywords::{fault, list, wrong};

/// Something that a schema does not allow.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Fault {
    /// The value's path: `a.b[0]`.
    pub(super) path: String,
    /// Why not. It does not repeat the value, which may be a secret.
    pub(super) why: String,
}

/// Why a check of a value against a schema was stopped.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Stop {
    /// An invalid schema: the place, and the reason.
    Schema(String),
    /// It takes too long.
    Steps,
}

/// A schema, ready to hold values against it.
pub(super) struct Validator<'a> {
    root: &'a Value,
    pub(super) draft: Draft,
    /// Parts that have a name of their own.
    named: HashMap<String, &'a Value>,
    pub(super) patterns: HashMap<&'a str, Regex>,
    pub(super) steps: u64,
    /// Documents that the schema refers to and that are not asked for.
    pub(super) elsewhere: BTreeSet<String>,
}

/// The parts of a value that a schema has evaluated, for `unevaluatedProperties` and `unevaluatedItems`.
#[derive(Default)]
pub(super) struct Seen {
    pub(super) properties: BTreeSet<String>,
    pub(super) items: BTreeSet<usize>,
}

impl Seen {
    pub(super) fn add(&mut self, other: Self) {
        self.properties.extend(other.properties);
        self.items.extend(other.items);
    }
}

/// A value, and where it is.
#[derive(Clone, Copy)]
pub(super) struct Place<'p> {
    pub(super) value: &'p Value,
    pub(super) path: &'p str,
    pub(super) depth: usize,
}

impl<'a> Validator<'a> {
    /// A validator for a whole document.
    pub(super) fn new(root: &'a Value, steps: u64) -> Self {
        let mut validator = Self {
            root,
            draft: Draft::V2020,
            named: HashMap::new(),
            patterns: HashMap::new(),
            steps,
            elsewhere: BTreeSet::new(),
        };
        if let Some(address) = root.get("$schema").and_then(Value::as_str) {
            match Draft::of(address) {
                Some(draft) => validator.draft = draft,
                None => {
                    validator.elsewhere.insert(address.to_owned());
                }
            }
        }
        let mut open = vec![root];
        while let Some(node) = open.pop() {
            match node {
                Value::Object(fields) => {
                    for keyword in ["$id", "id", "$anchor", "$dynamicAnchor"] {
                        if let Some(Value::String(name)) = fields.get(keyword) {
                            let anchor = keyword.ends_with("nchor");
                            let name = if anchor {
                                format!("#{name}")
                            } else {
                                name.trim_end_matches('#').to_owned()
                            };
                            validator.named.insert(name, node);
                        }
                    }
                    open.extend(fields.values());
                }
                Value::Array(items) => open.extend(items),
                _ => {}
            }
        }
        validator
    }

    /// Holds a value against the schema.
    pub(super) fn check(&mut self, value: &Value) -> Result<Vec<Fault>, Stop> {
        let mut faults = Vec::new();
        let place = Place { value, path: "", depth: 0 };
        self.schema(self.root, place, &mut faults)?;
        Ok(faults)
    }

    pub(super) fn schema(
        &mut self,
        schema: &'a Value,
        at: Place<'_>,
        faults: &mut Vec<Fault>,
    ) -> Result<Seen, Stop> {
        self.steps = self.steps.checked_sub(1).ok_or(Stop::Steps)?;
        if at.depth > SCHEMA_REFERENCES {
            return Err(Stop::Steps);
        }
        let fields = match schema {
            Value::Bool(true) => return Ok(Seen::default()),
            Value::Bool(false) => {
                faults.push(fault(at, "is not allowed"));
                return Ok(Seen::default());
            }
            Value::Object(fields) => fields,
            _ => return Err(Stop::Schema("a schema is neither a map nor true or false".to_owned())),
        };
        let mut seen = Seen::default();
        for keyword in ["$ref", "$dynamicRef", "$recursiveRef"] {
            let Some(address) = fields.get(keyword) else { continue };
            let address = address.as_str().ok_or_else(|| wrong(keyword, "a text"))?;
            if let Some(target) = self.resolve(address)? {
                seen.add(self.schema(target, Place { depth: at.depth + 1, ..at }, faults)?);
            }
            // Up to draft 7 nothing beside a reference counts.
            if self.draft <= Draft::V7 {
                return Ok(seen);
            }
        }
        self.any(fields, at, faults)?;
        match at.value {
            Value::Number(number) => self.number(fields, number.as_f64().unwrap_or_default(), at, faults)?,
            Value::String(text) => self.text(fields, text, at, faults)?,
            Value::Array(items) => self.items(fields, items, at, &mut seen, faults)?,
            Value::Object(properties) => self.properties(fields, properties, at, &mut seen, faults)?,
            Value::Null | Value::Bool(_) => {}
        }
        self.combined(fields, at, &mut seen, faults)?;
        self.unevaluated(fields, at, &mut seen, faults)?;
        Ok(seen)
    }

    /// The part that a reference means; nothing for one into another document.
    fn resolve(&mut self, address: &str) -> Result<Option<&'a Value>, Stop> {
        let (document, fragment) = address.split_once('#').unwrap_or((address, ""));
        let base = match document {
            "" => self.root,
            document => match self.named.get(document) {
                Some(base) => base,
                None => {
                    self.elsewhere.insert(document.to_owned());
                    return Ok(None);
                }
            },
        };
        let found = match fragment {
            "" => Some(base),
            pointer if pointer.starts_with('/') => {
                base.pointer(&unescaped(pointer)).or_else(|| self.root.pointer(&unescaped(pointer)))
            }
            anchor => self.named.get(&format!("#{anchor}")).copied(),
        };
        found.map(Some).ok_or_else(|| Stop::Schema(format!("there is no {address}")))
    }

    /// Keywords that combine schemas.
    fn combined(
        &mut self,
        fields: &'a Map<String, Value>,
        at: Place<'_>,
        seen: &mut Seen,
        faults: &mut Vec<Fault>,
    ) -> Result<(), Stop> {
        let deeper = Place { depth: at.depth + 1, ..at };
        for schema in list(fields, "allOf")? {
            seen.add(self.schema(schema, deeper, faults)?);
        }
        for (keyword, most) in [("anyOf", usize::MAX), ("oneOf", 1)] {
            if !fields.contains_key(keyword) {
                continue;
            }
            let mut matches = 0;
            for schema in list(fields, keyword)? {
                if let Some(found) = self.holds(schema, deeper)? {
                    matches += 1;
                    seen.add(found);
                }
            }
            if matches == 0 {
                faults.push(fault(at, format!("{keyword} failed, none matched")));
            } else if matches > most {
                faults.push(fault(at, format!("{keyword} failed, {matches} matched")));
            }
        }
        if let Some(schema) = fields.get("not")
            && self.holds(schema, deeper)?.is_some()
        {
            faults.push(fault(at, "is of a form that is not allowed"));
        }
        if let Some(condition) = fields.get("if").filter(|_| self.draft >= Draft::V7) {
            let held = self.holds(condition, deeper)?;
            let branch = if held.is_some() { "then" } else { "else" };
            if let Some(held) = held {
                seen.add(held);
            }
            if let Some(schema) = fields.get(branch) {
                seen.add(self.schema(schema, deeper, faults)?);
            }
        }
        Ok(())
    }

    fn unevaluated(
        &mut self,
        fields: &'a Map<String, Value>,
        at: Place<'_>,
        seen: &mut Seen,
        faults: &mut Vec<Fault>,
    ) -> Result<(), Stop> {
        if self.draft < Draft::V2019 {
            return Ok(());
        }
        if let (Some(schema), Value::Object(properties)) = (fields.get("unevaluatedProperties"), at.value) {
            for (name, value) in properties.iter().filter(|(name, _)| !seen.properties.contains(*name)) {
                let path = if at.path.is_empty() { name.clone() } else { format!("{}.{name}", at.path) };
                self.schema(schema, Place { value, path: &path, depth: 0 }, faults)?;
            }
            seen.properties.extend(properties.keys().cloned());
        }
        if let (Some(schema), Value::Array(items)) = (fields.get("unevaluatedItems"), at.value) {
            for (position, value) in
                items.iter().enumerate().filter(|(position, _)| !seen.items.contains(position))
            {
                let path = format!("{}[{position}]", at.path);
                self.schema(schema, Place { value, path: &path, depth: 0 }, faults)?;
            }
            seen.items.extend(0..items.len());
        }
        Ok(())
    }

    /// Returns the parts that a schema has evaluated, if it allows the value.
    pub(super) fn holds(&mut self, schema: &'a Value, at: Place<'_>) -> Result<Option<Seen>, Stop> {
        let mut faults = Vec::new();
        let seen = self.schema(schema, at, &mut faults)?;
        Ok(faults.is_empty().then_some(seen))
    }
}

/// A pointer in an address has its special characters as `%25`.
fn unescaped(pointer: &str) -> String {
    let mut bytes = Vec::new();
    let mut rest = pointer.as_bytes();
    while let Some((&first, after)) = rest.split_first() {
        let hex = after.get(..2).and_then(|digits| std::str::from_utf8(digits).ok());
        match hex.filter(|_| first == b'%').and_then(|digits| u8::from_str_radix(digits, 16).ok()) {
            Some(byte) => {
                bytes.push(byte);
                rest = after.get(2..).unwrap_or_default();
            }
            None => {
                bytes.push(first);
                rest = after;
            }
        }
    }
    String::from_utf8_lossy(&bytes).into_owned()
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;
    use serde_json::json;

    use super::*;

    pub(super) fn holds(schema: &Value, value: &Value) -> bool {
        Validator::new(schema, 10_000).check(value).unwrap().is_empty()
    }

    // The keywords' meanings are those of the specifications; each row is a schema, a value that it
    // allows and one that it does not.
    #[test]
    fn keywords_mean_what_the_specifications_say() {
        let seven = "http://json-schema.org/draft-07/schema#";
        for (schema, good, bad) in [
            (json!({"type": "integer"}), json!(2.0), json!(2.5)),
            (json!({"type": ["string", "null"]}), json!(null), json!(1)),
            (json!({"enum": [1, "a", {"x": 1}]}), json!({"x": 1.0}), json!({"x": 2})),
            (json!({"const": [1]}), json!([1]), json!([2])),
            (json!({"minimum": 1, "exclusiveMaximum": 3}), json!(1), json!(3)),
            (
                json!({"$schema": "http://json-schema.org/draft-04/schema#", "minimum": 1, "exclusiveMinimum": true}),
                json!(2),
                json!(1),
            ),
            (json!({"multipleOf": 0.1}), json!(0.3), json!(0.35)),
            (json!({"minLength": 2, "maxLength": 3}), json!("äöü"), json!("a")),
            (json!({"pattern": "^a"}), json!("ab"), json!("ba")),
            (json!({"pattern": "^a"}), json!(5), json!("")),
            (json!({"$schema": seven, "format": "ipv4"}), json!("1.2.3.4"), json!("x")),
            (json!({"items": {"type": "string"}}), json!(["a"]), json!([1])),
            (json!({"prefixItems": [{"type": "string"}], "items": false}), json!(["a"]), json!(["a", 1])),
            (
                json!({"$schema": seven, "items": [{"type": "string"}], "additionalItems": false}),
                json!(["a"]),
                json!(["a", 1]),
            ),
            (json!({"minItems": 1, "uniqueItems": true}), json!([1, 2]), json!([1, 1.0])),
            (json!({"contains": {"type": "string"}}), json!([1, "a"]), json!([1])),
            (json!({"contains": true, "minContains": 2, "maxContains": 3}), json!([1, 2]), json!([1])),
            (json!({"required": ["a"]}), json!({"a": null}), json!({"b": 1})),
            (
                json!({"properties": {"a": {"type": "string"}}, "additionalProperties": false}),
                json!({"a": "x"}),
                json!({"b": 1}),
            ),
            (
                json!({"patternProperties": {"^x-": {"type": "integer"}}, "additionalProperties": {"type": "string"}}),
                json!({"x-a": 1, "b": "c"}),
                json!({"x-a": "b"}),
            ),
            (json!({"propertyNames": {"pattern": "^[a-z]+$"}}), json!({"a": 1}), json!({"A": 1})),
            (json!({"maxProperties": 1}), json!({"a": 1}), json!({"a": 1, "b": 1})),
            (json!({"dependentRequired": {"a": ["b"]}}), json!({"a": 1, "b": 1}), json!({"a": 1})),
            (
                json!({"$schema": seven, "dependencies": {"a": {"required": ["b"]}}}),
                json!({"c": 1}),
                json!({"a": 1}),
            ),
            (json!({"allOf": [{"minimum": 1}, {"maximum": 2}]}), json!(2), json!(3)),
            (json!({"anyOf": [{"type": "string"}, {"minimum": 5}]}), json!("a"), json!(1)),
            (json!({"oneOf": [{"type": "integer"}, {"minimum": 5}]}), json!(1), json!(6)),
            (json!({"not": {"type": "string"}}), json!(1), json!("a")),
            (
                json!({"if": {"required": ["a"]}, "then": {"required": ["b"]}, "else": {"required": ["c"]}}),
                json!({"c": 1}),
                json!({"a": 1}),
            ),
            (json!({"$ref": "#/$defs/a~1b", "$defs": {"a/b": {"type": "string"}}}), json!("x"), json!(1)),
            (
                json!({"$ref": "#word", "$defs": {"x": {"$anchor": "word", "type": "string"}}}),
                json!("x"),
                json!(1),
            ),
            (
                json!({"$schema": seven, "$ref": "#/definitions/a", "type": "integer", "definitions": {"a": {"type": "string"}}}),
                json!("x"),
                json!(1),
            ),
            (
                json!({"$id": "https://a.example/s", "$ref": "https://a.example/s#/$defs/a", "$defs": {"a": {"type": "string"}}}),
                json!("x"),
                json!(1),
            ),
            (
                json!({"properties": {"next": {"$ref": "#"}}, "additionalProperties": false}),
                json!({"next": {"next": {}}}),
                json!({"next": {"x": 1}}),
            ),
            (
                json!({"allOf": [{"properties": {"a": true}}], "unevaluatedProperties": false}),
                json!({"a": 1}),
                json!({"b": 1}),
            ),
            (
                json!({"prefixItems": [true], "unevaluatedItems": {"type": "string"}}),
                json!([1, "a"]),
                json!([1, 2]),
            ),
            (json!({"properties": {"a": false}}), json!({"b": 1}), json!({"a": 1})),
        ] {
            assert!(holds(&schema, &good), "{schema} allows {good}");
            assert!(!holds(&schema, &bad), "{schema} does not allow {bad}");
        }
        assert!(holds(&json!({"format": "ipv4"}), &json!("x")));
    }

    #[test]
    fn schemas_that_are_none_or_without_end_are_left() {
        for schema in [
            json!({"type": "strung"}),
            json!({"type": 5}),
            json!({"pattern": "("}),
            json!({"$ref": "#/none"}),
            json!({"allOf": {}}),
            json!([1]),
            json!({"minimum": "a"}),
        ] {
            let checked = Validator::new(&schema, 10_000).check(&json!("a")).err();
            let number = Validator::new(&schema, 10_000).check(&json!(1)).err();
            assert!(matches!(checked.or(number), Some(Stop::Schema(_))), "{schema}");
        }
        let circle = json!({"$ref": "#/$defs/a", "$defs": {"a": {"$ref": "#"}}});
        assert_eq!(Validator::new(&circle, 10_000).check(&json!(1)), Err(Stop::Steps));
    }

    proptest! {
        #[test]
        fn any_json_is_held_against_any_json_without_panic(schema in any_json(), value in any_json()) {
            let _ = Validator::new(&schema, 10_000).check(&value);
        }
    }

    fn any_json() -> impl Strategy<Value = Value> {
        let key = prop::sample::select(vec![
            "type",
            "items",
            "properties",
            "$ref",
            "allOf",
            "minimum",
            "required",
            "if",
            "pattern",
            "a",
        ]);
        let leaf = prop_oneof![
            Just(Value::Null),
            any::<bool>().prop_map(Value::Bool),
            (-3..3i64).prop_map(Value::from),
            prop::sample::select(vec!["string", "object", "#", "#/a", "(", "a"]).prop_map(Value::from),
        ];
        leaf.prop_recursive(4, 40, 5, move |inner| {
            prop_oneof![
                prop::collection::vec(inner.clone(), 0..4).prop_map(Value::from),
                prop::collection::vec((key.clone(), inner), 0..5).prop_map(|fields| fields
                    .into_iter()
                    .map(|(key, value)| (key.to_owned(), value))
                    .collect()),
            ]
        })
    }

    #[test]
    fn faults_name_the_path() {
        let schema = json!({"properties": {"a": {"items": {"properties": {"b": {"type": "string"}}}}}});
        let faults = Validator::new(&schema, 10_000).check(&json!({"a": [{}, {"b": 1}]})).unwrap();
        let expected = Fault { path: "a[1].b".to_owned(), why: "want string, but got number".to_owned() };
        assert_eq!(faults, [expected]);
    }
}
