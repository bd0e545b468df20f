//! The keywords of JSON Schema for values of each type: any, numbers, strings, arrays, objects.
//! Takes a schema's fields and a value; adds a [`Fault`] for each keyword that the value does not satisfy.

use regex::Regex;
use serde_json::{Map, Value};

use super::draft::Draft;
use super::format;
use super::validator::{Fault, Place, Seen, Stop, Validator};

impl<'a> Validator<'a> {
    /// Keywords for values of any type.
    pub(super) fn any(
        &self,
        fields: &'a Map<String, Value>,
        at: Place<'_>,
        faults: &mut Vec<Fault>,
    ) -> Result<(), Stop> {
        if let Some(types) = fields.get("type") {
            let names: Vec<&str> = match types {
                Value::String(name) => vec![name],
                Value::Array(names) => names.iter().filter_map(Value::as_str).collect(),
                _ => return Err(wrong("type", "a text or a list of texts")),
            };
            if let Some(unknown) = names.iter().find(|name| !TYPES.contains(name)) {
                return Err(Stop::Schema(format!("there is no type '{unknown}'")));
            }
            if !names.iter().any(|name| is_type(at.value, name)) {
                faults.push(fault(at, format!("want {}, but got {}", names.join(" or "), type_of(at.value))));
            }
        }
        if let Some(allowed) = fields.get("enum") {
            let allowed = allowed.as_array().ok_or_else(|| wrong("enum", "a list"))?;
            if !allowed.iter().any(|allowed| same(allowed, at.value)) {
                let shown: Vec<String> = allowed.iter().take(20).map(shown).collect();
                faults.push(fault(at, format!("value must be one of {}", shown.join(", "))));
            }
        }
        if let Some(constant) = fields.get("const").filter(|_| self.draft >= Draft::V6)
            && !same(constant, at.value)
        {
            faults.push(fault(at, format!("value must be {}", shown(constant))));
        }
        Ok(())
    }

    pub(super) fn number(
        &self,
        fields: &Map<String, Value>,
        number: f64,
        at: Place<'_>,
        faults: &mut Vec<Fault>,
    ) -> Result<(), Stop> {
        // Draft 4 has a switch where later drafts have a second bound.
        let strict =
            |keyword: &str| self.draft == Draft::V4 && fields.get(keyword) == Some(&Value::Bool(true));
        let bounds = [
            ("minimum", ">=", number_of(fields, "minimum")?, strict("exclusiveMinimum")),
            ("maximum", "<=", number_of(fields, "maximum")?, strict("exclusiveMaximum")),
        ];
        for (keyword, sign, bound, strict) in bounds {
            let Some(bound) = bound else { continue };
            let inside = if keyword == "minimum" { number >= bound } else { number <= bound };
            if !inside || strict && number == bound {
                faults.push(fault(at, format!("must be {sign}{bound}, but got {number}")));
            }
        }
        if self.draft > Draft::V4 {
            if number_of(fields, "exclusiveMinimum")?.is_some_and(|bound| number <= bound) {
                faults.push(fault(at, "is too small"));
            }
            if number_of(fields, "exclusiveMaximum")?.is_some_and(|bound| number >= bound) {
                faults.push(fault(at, "is too large"));
            }
        }
        if let Some(step) = number_of(fields, "multipleOf")? {
            let quotient = number / step;
            if (quotient - quotient.round()).abs() > 1e-9 {
                faults.push(fault(at, format!("is not a multiple of {step}")));
            }
        }
        Ok(())
    }

    pub(super) fn text(
        &mut self,
        fields: &'a Map<String, Value>,
        text: &str,
        at: Place<'_>,
        faults: &mut Vec<Fault>,
    ) -> Result<(), Stop> {
        let length = text.chars().count();
        count(fields, "Length", length, "characters", at, faults)?;
        if let Some(pattern) = fields.get("pattern") {
            let pattern = pattern.as_str().ok_or_else(|| wrong("pattern", "a text"))?;
            if !self.pattern(pattern)?.is_match(text) {
                faults.push(fault(at, format!("does not match the pattern '{pattern}'")));
            }
        }
        // From 2019-09 on, a format only describes.
        if let Some(name) = fields.get("format").and_then(Value::as_str)
            && self.draft <= Draft::V7
            && !format::holds(name, text)
        {
            faults.push(fault(at, format!("is not a valid {name}")));
        }
        Ok(())
    }

    fn pattern(&mut self, pattern: &'a str) -> Result<Regex, Stop> {
        if let Some(known) = self.patterns.get(pattern) {
            return Ok(known.clone());
        }
        let made = regex::RegexBuilder::new(pattern).size_limit(1 << 20).build();
        let made =
            made.map_err(|_| Stop::Schema(format!("pattern '{pattern}' is not a regular expression")))?;
        self.patterns.insert(pattern, made.clone());
        Ok(made)
    }

    pub(super) fn items(
        &mut self,
        fields: &'a Map<String, Value>,
        items: &[Value],
        at: Place<'_>,
        seen: &mut Seen,
        faults: &mut Vec<Fault>,
    ) -> Result<(), Stop> {
        count(fields, "Items", items.len(), "items", at, faults)?;
        if fields.get("uniqueItems") == Some(&Value::Bool(true)) {
            self.steps = self.steps.checked_sub((items.len() as u64).pow(2)).ok_or(Stop::Steps)?;
            let twice =
                (0..items.len()).find(|&later| items[..later].iter().any(|one| same(one, &items[later])));
            if let Some(position) = twice {
                faults.push(fault(at, format!("item {position} is there twice")));
            }
        }
        let (first, rest) = match (fields.get("prefixItems"), fields.get("items")) {
            (Some(first), rest) if self.draft >= Draft::V2020 => (Some(first), rest),
            (_, Some(first @ Value::Array(_))) if self.draft < Draft::V2020 => {
                (Some(first), fields.get("additionalItems"))
            }
            (_, rest) => (None, rest),
        };
        let first: &'a [Value] = first.and_then(Value::as_array).map_or(&[], Vec::as_slice);
        for (position, item) in items.iter().enumerate() {
            let Some(schema) = first.get(position).or(rest) else { continue };
            self.schema(
                schema,
                Place { value: item, path: &format!("{}[{position}]", at.path), depth: 0 },
                faults,
            )?;
            seen.items.insert(position);
        }
        if let Some(schema) = fields.get("contains").filter(|_| self.draft >= Draft::V6) {
            let mut found = 0;
            for (position, item) in items.iter().enumerate() {
                if self.holds(schema, Place { value: item, path: at.path, depth: 0 })?.is_some() {
                    found += 1;
                    if self.draft >= Draft::V2020 {
                        seen.items.insert(position);
                    }
                }
            }
            let least = number_of(fields, "minContains")?.unwrap_or(1.0);
            let most = number_of(fields, "maxContains")?.unwrap_or(f64::INFINITY);
            if !(least..=most).contains(&f64::from(found)) {
                faults.push(fault(at, format!("{found} items are of the form that some must have")));
            }
        }
        Ok(())
    }

    pub(super) fn properties(
        &mut self,
        fields: &'a Map<String, Value>,
        properties: &Map<String, Value>,
        at: Place<'_>,
        seen: &mut Seen,
        faults: &mut Vec<Fault>,
    ) -> Result<(), Stop> {
        count(fields, "Properties", properties.len(), "properties", at, faults)?;
        let lacking = |names: &[Value]| {
            let names = names.iter().filter_map(Value::as_str).filter(|name| !properties.contains_key(*name));
            names.map(|name| format!("'{name}'")).collect::<Vec<_>>()
        };
        // Draft 4's drafts had a boolean here, in the property itself.
        if let Some(Value::Array(names)) = fields.get("required") {
            let lacking = lacking(names);
            if !lacking.is_empty() {
                faults.push(fault(at, format!("missing properties {}", lacking.join(", "))));
            }
        }
        let known = object(fields, "properties")?;
        let patterns = object(fields, "patternProperties")?;
        let others = fields.get("additionalProperties");
        let mut refused = Vec::new();
        for (name, value) in properties {
            let path = if at.path.is_empty() { name.clone() } else { format!("{}.{name}", at.path) };
            let inner = Place { value, path: &path, depth: 0 };
            let mut matched = false;
            if let Some(schema) = known.and_then(|known| known.get(name)) {
                self.schema(schema, inner, faults)?;
                matched = true;
            }
            for (pattern, schema) in patterns.into_iter().flatten() {
                if self.pattern(pattern)?.is_match(name) {
                    self.schema(schema, inner, faults)?;
                    matched = true;
                }
            }
            match others {
                Some(Value::Bool(false)) if !matched => refused.push(format!("'{name}'")),
                Some(schema) if !matched => {
                    self.schema(schema, inner, faults)?;
                    matched = true;
                }
                _ => {}
            }
            if matched {
                seen.properties.insert(name.clone());
            }
            if let Some(schema) = fields.get("propertyNames").filter(|_| self.draft >= Draft::V6) {
                let name = Value::String(name.clone());
                if self.holds(schema, Place { value: &name, path: &path, depth: 0 })?.is_none() {
                    faults.push(fault(inner, "is not an allowed name"));
                }
            }
        }
        if !refused.is_empty() {
            faults.push(fault(at, format!("additionalProperties {} not allowed", refused.join(", "))));
        }
        for keyword in ["dependencies", "dependentRequired", "dependentSchemas"] {
            for (name, needed) in object(fields, keyword)?.into_iter().flatten() {
                if !properties.contains_key(name) {
                    continue;
                }
                match needed {
                    Value::Array(names) => {
                        let lacking = lacking(names);
                        if !lacking.is_empty() {
                            let why =
                                format!("properties {} required, if '{name}' exists", lacking.join(", "));
                            faults.push(fault(at, why));
                        }
                    }
                    schema => seen.add(self.schema(schema, Place { depth: at.depth + 1, ..at }, faults)?),
                }
            }
        }
        Ok(())
    }
}

const TYPES: [&str; 7] = ["null", "boolean", "number", "integer", "string", "array", "object"];

fn is_type(value: &Value, name: &str) -> bool {
    match name {
        "integer" => value.as_f64().is_some_and(|number| number.fract() == 0.0),
        name => type_of(value) == name,
    }
}

fn type_of(value: &Value) -> &'static str {
    match value {
        Value::Null => "null",
        Value::Bool(_) => "boolean",
        Value::Number(_) => "number",
        Value::String(_) => "string",
        Value::Array(_) => "array",
        Value::Object(_) => "object",
    }
}

/// Equality for which `1` is `1.0`.
fn same(one: &Value, other: &Value) -> bool {
    match (one, other) {
        (Value::Number(one), Value::Number(other)) => one.as_f64() == other.as_f64(),
        (Value::Array(one), Value::Array(other)) => {
            one.len() == other.len() && one.iter().zip(other).all(|(one, other)| same(one, other))
        }
        (Value::Object(one), Value::Object(other)) => {
            let pair = |(key, one): (&String, &Value)| other.get(key).is_some_and(|other| same(one, other));
            one.len() == other.len() && one.iter().all(pair)
        }
        (one, other) => one == other,
    }
}

fn shown(value: &Value) -> String {
    match value {
        Value::String(text) => format!("'{text}'"),
        Value::Array(_) | Value::Object(_) => "a value".to_owned(),
        other => other.to_string(),
    }
}

pub(super) fn fault(at: Place<'_>, why: impl Into<String>) -> Fault {
    Fault { path: at.path.to_owned(), why: why.into() }
}

pub(super) fn wrong(keyword: &str, expected: &str) -> Stop {
    Stop::Schema(format!("{keyword} is not {expected}"))
}

fn number_of(fields: &Map<String, Value>, keyword: &str) -> Result<Option<f64>, Stop> {
    match fields.get(keyword) {
        None | Some(Value::Bool(_)) => Ok(None),
        Some(value) => value.as_f64().map(Some).ok_or_else(|| wrong(keyword, "a number")),
    }
}

pub(super) fn object<'a>(
    fields: &'a Map<String, Value>,
    keyword: &str,
) -> Result<Option<&'a Map<String, Value>>, Stop> {
    fields.get(keyword).map(|value| value.as_object().ok_or_else(|| wrong(keyword, "a map"))).transpose()
}

pub(super) fn list<'a>(fields: &'a Map<String, Value>, keyword: &str) -> Result<&'a [Value], Stop> {
    match fields.get(keyword) {
        None => Ok(&[]),
        Some(value) => value.as_array().map(Vec::as_slice).ok_or_else(|| wrong(keyword, "a list")),
    }
}

/// `minLength` and the like.
fn count(
    fields: &Map<String, Value>,
    what: &str,
    found: usize,
    words: &str,
    at: Place<'_>,
    faults: &mut Vec<Fault>,
) -> Result<(), Stop> {
    let found = found as f64;
    let least = number_of(fields, &format!("min{what}"))?.filter(|least| found < *least);
    let most = number_of(fields, &format!("max{what}"))?.filter(|most| found > *most);
    if let Some(least) = least {
        faults.push(fault(at, format!("has {found} {words}, and needs {least}")));
    }
    if let Some(most) = most {
        faults.push(fault(at, format!("has {found} {words}, and may have {most}")));
    }
    Ok(())
}
