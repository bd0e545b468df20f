//! Texts that templates read as YAML or JSON: the renderings of a chart read the same ones again and again.
//! Takes a text; gives the value that was made of it before, as a copy of its own.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, PoisonError};

use crate::Value;

/// The values of texts, and how many values there are in each.
#[derive(Debug, Default)]
pub(crate) struct DecodedTexts(Mutex<Kept>);

#[derive(Debug, Default)]
struct Kept {
    texts: HashMap<(Format, Arc<str>), (Value, usize)>,
    /// How many values there are in all of them.
    values: usize,
}

/// What a text is read as.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(crate) enum Format {
    Yaml,
    Json,
}

/// How many values are kept: some tens of megabytes.
const MOST: usize = 300_000;

/// Shorter texts in bytes are read as fast as they are found.
const SHORT: usize = 48;

impl DecodedTexts {
    pub(super) fn get(&self, format: Format, text: &Arc<str>) -> Option<(Value, usize)> {
        if text.len() < SHORT {
            return None;
        }
        let kept = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let (value, count) = kept.texts.get(&(format, Arc::clone(text)))?;
        Some((value.lazy_copy(), *count))
    }

    /// Keeps a value, if there is room, and gives a copy of it.
    pub(super) fn keep(&self, format: Format, text: &Arc<str>, value: Value, count: usize) -> Value {
        if text.len() < SHORT {
            return value;
        }
        let mut kept = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        if kept.values.saturating_add(count) > MOST {
            return value;
        }
        kept.values += count + 1;
        let copy = value.lazy_copy();
        kept.texts.insert((format, Arc::clone(text)), (value, count));
        copy
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::Map;

    #[test]
    fn what_is_kept_is_not_changed_by_those_who_got_it() {
        let texts = DecodedTexts::default();
        let text: Arc<str> = "x".repeat(100).into();
        assert!(texts.get(Format::Yaml, &text).is_none());
        let value = Value::Map(Map::from_iter([("a", Value::Nil)]));
        let first = texts.keep(Format::Yaml, &text, value, 1);
        first.as_map().unwrap().remove("a");
        let (again, count) = texts.get(Format::Yaml, &text).unwrap();
        assert!(again.as_map().unwrap().contains("a") && count == 1);
        assert!(texts.get(Format::Json, &text).is_none());
    }

    #[test]
    fn no_more_is_kept_than_there_is_room_for() {
        let texts = DecodedTexts::default();
        for length in SHORT..SHORT + 20 {
            texts.keep(Format::Json, &"x".repeat(length).into(), Value::Nil, MOST / 10);
        }
        assert!(texts.0.lock().unwrap().texts.len() < 11);
    }
}
