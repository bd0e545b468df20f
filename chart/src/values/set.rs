//! Helm's `--set`, `--set-string` and `--set-json`.
//! Takes expressions such as `a.b[0]=c`; changes values, or gives a [`SetError`] without the values in it.

use crate::limits::{SET_DEPTH, SET_INDEX};
use std::sync::Arc;

use bundle_oci::Printable;

use crate::{Map, Value};

/// An expression such as `a.b[0]=c` that cannot be read. It does not repeat the values: they may
/// be secrets.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{}", .key.as_ref().map_or_else(|| cause.to_string(), |key| format!("'{}': {cause}", Printable(key))))]
pub struct SetError {
    /// The part of a key where reading stopped.
    pub key: Option<String>,
    /// The cause.
    pub cause: SetCause,
}

/// A fault in an expression.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum SetCause {
    /// A key without `=`.
    #[error("key has no value")]
    NoValue,
    /// Something between the brackets that is no number.
    #[error("index is not a number from 0 to {SET_INDEX}")]
    Index,
    /// Something between a bracket and what must follow.
    #[error("unexpected text after an index")]
    AfterIndex,
    /// A list without its brace.
    #[error("list must end with '}}'")]
    List,
    /// Keys inside keys without end.
    #[error("keys nest deeper than {SET_DEPTH}")]
    Depth,
    /// A key below something that has no keys.
    #[error("it is already set, and is not a map")]
    NoMap,
    /// An index into something that is no list.
    #[error("it is already set, and is not a list")]
    NoList,
    /// Invalid JSON.
    #[error("value is not JSON")]
    Json,
}

/// How values are read.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Reading {
    /// `--set`: numbers, booleans and null are such.
    Typed,
    /// `--set-string`: all is text.
    Text,
    /// `--set-json`.
    Json,
}

/// Sets what an expression says in `values` (helm, pkg/strvals/parser.go).
pub(super) fn set(expression: &str, reading: Reading, values: &Map) -> Result<(), SetError> {
    let mut parser = Parser { text: expression, reading };
    while parser.key(values, 0)? == Rest::More {}
    Ok(())
}

struct Parser<'a> {
    text: &'a str,
    reading: Reading,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Rest {
    More,
    End,
}

fn wrong(key: &str, cause: SetCause) -> SetError {
    SetError { key: (!key.is_empty()).then(|| key.to_owned()), cause }
}

impl Parser<'_> {
    fn key(&mut self, map: &Map, depth: usize) -> Result<Rest, SetError> {
        let (key, stop) = self.until(&['=', '[', ',', '.']);
        match stop {
            None if key.is_empty() => Ok(Rest::End),
            None | Some(',') => Err(wrong(&key, SetCause::NoValue)),
            Some('[') => {
                let index = self.index(&key)?;
                let list = match map.get(&key) {
                    None => Vec::new(),
                    Some(Value::List(list)) => list.to_vec(),
                    Some(_) => return Err(wrong(&key, SetCause::NoList)),
                };
                let (list, rest) = self.item(&key, list, index, depth)?;
                insert(map, &key, Value::list(list));
                Ok(rest)
            }
            Some('.') => {
                if depth == SET_DEPTH {
                    return Err(wrong(&key, SetCause::Depth));
                }
                let inner = match map.get(&key) {
                    None => Map::new(),
                    Some(Value::Map(inner)) => inner,
                    Some(_) => return Err(wrong(&key, SetCause::NoMap)),
                };
                let rest = self.key(&inner, depth + 1)?;
                if !inner.is_empty() {
                    insert(map, &key, Value::Map(inner));
                } else if rest == Rest::More {
                    return Err(wrong(&key, SetCause::NoValue));
                }
                Ok(rest)
            }
            Some(_) => {
                let (value, rest) = self.value(&key)?;
                insert(map, &key, value);
                Ok(rest)
            }
        }
    }

    /// Parses the rest after `]`. Helm keeps the list as it was where the text ends too early.
    fn item(
        &mut self,
        key: &str,
        mut list: Vec<Value>,
        index: usize,
        depth: usize,
    ) -> Result<(Vec<Value>, Rest), SetError> {
        let (between, stop) = self.until(&['[', '.', '=']);
        if !between.is_empty() {
            return Err(wrong(key, SetCause::AfterIndex));
        }
        let (value, rest) = match stop {
            None => return Ok((list, Rest::End)),
            Some('=') => self.value(key)?,
            // Helm bounds only the names; brackets could go on.
            Some(_) if depth == SET_DEPTH => return Err(wrong(key, SetCause::Depth)),
            Some('[') => {
                let next = self.index(key)?;
                let inner = match list.get(index) {
                    None | Some(Value::Nil) => Vec::new(),
                    Some(Value::List(inner)) => inner.to_vec(),
                    Some(_) => return Err(wrong(key, SetCause::NoList)),
                };
                let (inner, rest) = self.item(key, inner, next, depth + 1)?;
                (Value::list(inner), rest)
            }
            Some(_) => {
                let inner = match list.get(index) {
                    Some(Value::Map(inner)) => inner.clone(),
                    _ => Map::new(),
                };
                let rest = self.key(&inner, depth + 1)?;
                (Value::Map(inner), rest)
            }
        };
        if list.len() <= index {
            list.resize(index + 1, Value::Nil);
        }
        if let Some(place) = list.get_mut(index) {
            *place = value;
        }
        Ok((list, rest))
    }

    fn index(&mut self, key: &str) -> Result<usize, SetError> {
        let (text, stop) = self.until(&[']']);
        let index = text.parse().ok().filter(|&index: &usize| stop.is_some() && index <= SET_INDEX);
        index.ok_or_else(|| wrong(key, SetCause::Index))
    }

    fn value(&mut self, key: &str) -> Result<(Value, Rest), SetError> {
        if self.reading == Reading::Json {
            return self.json(key);
        }
        if self.text.is_empty() {
            return Ok((Value::string(""), Rest::End));
        }
        let Some(rest) = self.text.strip_prefix('{') else {
            let (text, _) = self.until(&[',']);
            return Ok((self.typed(text), Rest::More));
        };
        self.text = rest;
        let mut items = Vec::new();
        loop {
            let (text, stop) = self.until(&[',', '}']);
            if stop.is_none() {
                return Err(wrong(key, SetCause::List));
            }
            items.push(self.typed(text));
            if stop == Some('}') {
                self.text = self.text.strip_prefix(',').unwrap_or(self.text);
                return Ok((Value::list(items), Rest::More));
            }
        }
    }

    fn json(&mut self, key: &str) -> Result<(Value, Rest), SetError> {
        if self.skip_comma() {
            return Ok((Value::Nil, Rest::More));
        }
        let mut stream = serde_json::Deserializer::from_str(self.text).into_iter::<serde_json::Value>();
        let value = match stream.next() {
            Some(Ok(value)) => value,
            _ => return Err(wrong(key, SetCause::Json)),
        };
        self.text = self.text.get(stream.byte_offset()..).unwrap_or_default();
        self.skip_comma();
        Ok((from_json(value), Rest::More))
    }

    /// Skips blanks and a comma; whether a value has ended here.
    fn skip_comma(&mut self) -> bool {
        self.text = self.text.trim_start();
        match self.text.strip_prefix(',') {
            Some(rest) => {
                self.text = rest;
                true
            }
            None => self.text.is_empty(),
        }
    }

    /// The text up to one of the stops, without its backslashes, and the stop.
    fn until(&mut self, stops: &[char]) -> (String, Option<char>) {
        let mut taken = String::new();
        let mut characters = self.text.chars();
        let stop = loop {
            match characters.next() {
                None => break None,
                Some(character) if stops.contains(&character) => break Some(character),
                Some('\\') => match characters.next() {
                    Some(escaped) => taken.push(escaped),
                    None => break None,
                },
                Some(character) => taken.push(character),
            }
        };
        self.text = characters.as_str();
        (taken, stop)
    }

    fn typed(&self, text: String) -> Value {
        if self.reading == Reading::Text {
            return Value::from(text);
        }
        for (word, value) in
            [("true", Value::Bool(true)), ("false", Value::Bool(false)), ("null", Value::Nil)]
        {
            if text.eq_ignore_ascii_case(word) {
                return value;
            }
        }
        // A number with a leading zero stays text and keeps its form.
        match text.parse() {
            Ok(number) if text == "0" || !text.starts_with('0') => Value::int64(number),
            _ => Value::from(text),
        }
    }
}

/// Without a key, Helm sets nothing.
fn insert(map: &Map, key: &str, value: Value) {
    if !key.is_empty() {
        map.insert(key, value);
    }
}

fn from_json(value: serde_json::Value) -> Value {
    match value {
        serde_json::Value::Null => Value::Nil,
        serde_json::Value::Bool(flag) => Value::Bool(flag),
        serde_json::Value::Number(number) => Value::Float(number.as_f64().unwrap_or_default()),
        serde_json::Value::String(text) => Value::from(text),
        serde_json::Value::Array(items) => Value::list(items.into_iter().map(from_json).collect::<Vec<_>>()),
        serde_json::Value::Object(entries) => {
            let entries = entries.into_iter().map(|(key, value)| (Arc::<str>::from(key), from_json(value)));
            Value::Map(entries.collect())
        }
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::values::testing::{json, parse_json};

    fn result(before: &str, expression: &str, reading: Reading) -> Result<String, String> {
        let values = parse_json(before);
        let values = values.as_map().unwrap();
        set(expression, reading, values).map_err(|error| error.to_string())?;
        Ok(json(&Value::Map(values.clone())))
    }

    #[test]
    fn expressions_mean_what_they_mean_to_helm() {
        for (before, expression, after) in [
            ("{}", "a=1,b=x,c=", r#"{"a":1,"b":"x","c":""}"#),
            (
                "{}",
                "a=true,b=FALSE,c=null,d=0,e=007,f=-5,g=1.5",
                r#"{"a":true,"b":false,"c":null,"d":0,"e":"007","f":-5,"g":"1.5"}"#,
            ),
            ("{}", "a.b.c=1,a.d=2", r#"{"a":{"b":{"c":1},"d":2}}"#),
            ("{}", "a={x,1,true}", r#"{"a":["x",1,true]}"#),
            ("{}", "a={},b=1", r#"{"a":[""],"b":1}"#),
            ("{}", r"a\.b=c\,d,e=f\\g", r#"{"a.b":"c,d","e":"f\\g"}"#),
            ("{}", "a[1]=x", r#"{"a":[null,"x"]}"#),
            ("{}", "a[0].b=1,a[0].c=2,a[1].b=3", r#"{"a":[{"b":1,"c":2},{"b":3}]}"#),
            ("{}", "a[0][1]=x", r#"{"a":[[null,"x"]]}"#),
            (r#"{"a":{"b":1,"c":2}}"#, "a.b=9", r#"{"a":{"b":9,"c":2}}"#),
            (r#"{"a":[1,2]}"#, "a[1]=9", r#"{"a":[1,9]}"#),
            (r#"{"a":1}"#, "", r#"{"a":1}"#),
            ("{}", "a.", "{}"),
            ("{}", "=x", "{}"),
            ("{}", "a=b=c", r#"{"a":"b=c"}"#),
        ] {
            assert_eq!(result(before, expression, Reading::Typed).as_deref(), Ok(after), "{expression}");
        }
        assert_eq!(result("{}", "a=1,b=true", Reading::Text).as_deref(), Ok(r#"{"a":"1","b":"true"}"#));
        assert_eq!(
            result("{}", r#"a={"b":[1,null]} ,c=[2],d[0]="x",e="#, Reading::Json).as_deref(),
            Ok(r#"{"a":{"b":[1,null]},"c":[2],"d":["x"],"e":null}"#)
        );
    }

    #[test]
    fn what_helm_refuses_is_refused_without_the_value() {
        for (before, expression, message) in [
            ("{}", "a", "'a': key has no value"),
            ("{}", "a,b=secret", "'a': key has no value"),
            ("{}", "a[x]=secret", "'a': index is not a number from 0 to 65536"),
            ("{}", "a[-1]=secret", "'a': index is not a number from 0 to 65536"),
            ("{}", "a[65537]=secret", "'a': index is not a number from 0 to 65536"),
            ("{}", "a[0", "'a': index is not a number from 0 to 65536"),
            ("{}", "a[0]b=secret", "'a': unexpected text after an index"),
            ("{}", "a={secret", "'a': list must end with '}'"),
            (r#"{"a":1}"#, "a.b=secret", "'a': it is already set, and is not a map"),
            (r#"{"a":null}"#, "a.b=secret", "'a': it is already set, and is not a map"),
            (r#"{"a":{}}"#, "a[0]=secret", "'a': it is already set, and is not a list"),
        ] {
            assert_eq!(result(before, expression, Reading::Typed).unwrap_err(), message, "{expression}");
        }
        assert_eq!(result("{}", "a={secret", Reading::Json).unwrap_err(), "'a': value is not JSON");
        assert!(result("{}", &format!("{}=1", "a.".repeat(100)), Reading::Typed).is_err());
        assert!(result("{}", &format!("a{}=1", "[0]".repeat(100_000)), Reading::Typed).is_err());
    }

    proptest! {
        #[test]
        fn any_text_is_read_without_panic(text in r"[a-c.,=\[\]{}0-9\\é]{0,40}") {
            for reading in [Reading::Typed, Reading::Text, Reading::Json] {
                let _ = set(&text, reading, &Map::new());
            }
        }
    }
}
