//! The call of a template function: its arguments, its budget, its failures.
//! Every function takes a [`Call`] and gives a value or a [`Failure`].

use std::borrow::Cow;
use std::cell::RefCell;
use std::collections::HashMap;
use std::rc::Rc;
use std::sync::Arc;

use regex::Regex;

use super::decoded::DecodedTexts;
use crate::go::format::display;
use crate::go::types::{kind, type_name};
use crate::limits::{Budget, Limit};
use crate::{IntType, Map, MapType, Value};

/// Why a function failed.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Failure {
    /// The fault, in Go's words where people may search for them.
    Message(String),
    /// The fault of one argument, by its index.
    Argument(usize, String),
    /// The chart's own words, from `required` or `fail`.
    Refused(String),
    /// A limit was reached, or the time is over.
    Limit(Limit),
}

impl Failure {
    pub(crate) fn message(text: impl Into<String>) -> Self {
        Self::Message(text.into())
    }
}

impl From<Limit> for Failure {
    fn from(limit: Limit) -> Self {
        Self::Limit(limit)
    }
}

/// State that all calls of one rendering share.
#[derive(Debug)]
pub(crate) struct Context {
    pub(crate) budget: Budget,
    pub(super) regexes: RefCell<HashMap<Arc<str>, Rc<Regex>>>,
    /// The result of `lookup`.
    pub(super) lookup: Lookup,
    /// The texts that were read before.
    pub(super) texts: Arc<DecodedTexts>,
}

/// The result of `lookup` in the cluster.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Lookup {
    /// Nothing, as with `helm template`.
    #[default]
    Nothing,
    /// An object of the kind and name that were asked for, with nothing in it: to see what a chart does
    /// where there is one.
    Anything,
}

impl Context {
    pub(crate) fn new(budget: Budget, lookup: Lookup, texts: Arc<DecodedTexts>) -> Self {
        Self { budget, regexes: RefCell::default(), lookup, texts }
    }
}

/// A call of a function: its arguments, with the types that Go checks them for.
pub(crate) struct Call<'a> {
    pub(crate) context: &'a Context,
    pub(crate) arguments: &'a [Value],
    /// Which arguments, by their bits, are `nil` as the value of a key or a field, and not the result
    /// of a pipeline: Go tells these apart, and takes only the others for an empty map.
    pub(crate) nil_fields: u32,
}

impl<'a> Call<'a> {
    pub(super) const fn budget(&self) -> &'a Budget {
        &self.context.budget
    }

    pub(super) const fn count(&self) -> usize {
        self.arguments.len()
    }

    /// An argument of any type. The number of arguments was checked before; a missing one is `nil`.
    pub(super) fn value(&self, index: usize) -> &'a Value {
        self.arguments.get(index).unwrap_or(&Value::Nil)
    }

    /// The arguments from `index` on.
    pub(super) fn rest(&self, index: usize) -> &'a [Value] {
        self.arguments.get(index..).unwrap_or_default()
    }

    pub(super) fn string(&self, index: usize) -> Result<&'a str, Failure> {
        match self.value(index) {
            Value::String(text) => Ok(text),
            other => Err(wrong_type(index, "string", other)),
        }
    }

    pub(super) fn int(&self, index: usize) -> Result<i64, Failure> {
        match self.value(index) {
            Value::Int(value, IntType::Int) => Ok(*value),
            other => Err(wrong_type(index, "int", other)),
        }
    }

    /// A float; a number that is written in the template without a point is one too.
    pub(super) fn float(&self, index: usize) -> Result<f64, Failure> {
        match self.value(index) {
            Value::Float(value) => Ok(*value),
            Value::Int(value, IntType::Int) => Ok(*value as f64),
            other => Err(wrong_type(index, "float64", other)),
        }
    }

    pub(super) fn bool(&self, index: usize) -> Result<bool, Failure> {
        match self.value(index) {
            Value::Bool(value) => Ok(*value),
            other => Err(wrong_type(index, "bool", other)),
        }
    }

    /// A map of anything.
    pub(super) fn map(&self, index: usize) -> Result<Map, Failure> {
        match self.value(index) {
            Value::Map(map) if matches!(map.map_type(), MapType::Any | MapType::Values) => {
                Ok(map.as_type(MapType::Any))
            }
            Value::Nil if index < 32 && self.nil_fields & (1 << index) != 0 => {
                let message = "wrong type for value; expected map[string]interface {}; got interface {}";
                Err(Failure::Argument(index, message.to_owned()))
            }
            Value::Nil => Ok(Map::new()),
            other => Err(wrong_type(index, "map[string]interface {}", other)),
        }
    }

    /// The items of a list; `purpose` is what Sprig says that it could not do.
    pub(super) fn items(&self, index: usize, purpose: &str) -> Result<Cow<'a, [Value]>, Failure> {
        let items = items(self.value(index), purpose)?;
        // Most who ask make a new list of them.
        self.budget().values(items.len())?;
        Ok(items)
    }

    /// The argument as Sprig's `toString` gives it.
    pub(super) fn text(&self, index: usize) -> Result<Cow<'a, str>, Failure> {
        text(self.value(index), self.budget())
    }

    /// A new text as the result, paid for.
    pub(super) fn give(&self, text: impl Into<String>) -> Result<Value, Failure> {
        let text = text.into();
        self.budget().bytes(text.len())?;
        Ok(Value::string(text))
    }
}

/// The error for an argument of the wrong type.
pub(super) fn wrong_type(index: usize, expected: &str, value: &Value) -> Failure {
    Failure::Argument(
        index,
        match value {
            Value::Nil => format!("invalid value; expected {expected}"),
            value => format!("wrong type for value; expected {expected}; got {}", type_name(value)),
        },
    )
}

pub(super) fn items<'v>(value: &'v Value, purpose: &str) -> Result<Cow<'v, [Value]>, Failure> {
    match value {
        Value::List(list) => Ok(Cow::Borrowed(list)),
        Value::Bytes(bytes) => {
            let items = bytes.iter().map(|byte| Value::Int(i64::from(*byte), IntType::Uint8));
            Ok(Cow::Owned(items.collect()))
        }
        Value::Nil => Err(Failure::message("nil is not a list")),
        other => Err(Failure::Message(format!("Cannot {purpose} type {}", kind(other)))),
    }
}

/// Sprig's `strval`: bytes are a text here, not a list of numbers.
pub(super) fn text<'v>(value: &'v Value, budget: &Budget) -> Result<Cow<'v, str>, Failure> {
    Ok(match value {
        Value::String(text) => Cow::Borrowed(text),
        Value::Bytes(bytes) => String::from_utf8_lossy(bytes),
        other => Cow::Owned(display(other, budget)?),
    })
}
