//! JSON, which is YAML too and is read faster.
//! Takes a text and [`Limits`]; gives its value, or nothing where a reader of YAML may see another one.

use crate::go::json::decode;
use crate::{Limits, Value};

/// The value of a text that is one JSON object or list, as [`parse_documents`](super::parse_documents) would
/// give it. `None` if it is none, or may mean something else in YAML or be more than the limits allow.
pub(crate) fn parse_json(text: &str, limits: &Limits) -> Option<Value> {
    // Characters that YAML breaks lines at or refuses, and halves of characters.
    let is_plain = text.trim_start().starts_with(['{', '['])
        && text.is_ascii()
        && !text.contains(['\t', '\r', '\x7f'])
        && !text.contains("\\ud")
        && !text.contains("\\uD");
    if !is_plain {
        return None;
    }
    // Each value but the first stands behind one of these.
    let values = text.bytes().filter(|byte| matches!(byte, b',' | b'[' | b'{' | b':')).count();
    // The reader of JSON goes 128 levels deep.
    if values >= limits.yaml_nodes || limits.value_depth < 128 {
        return None;
    }
    decode(text).ok()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::yaml::parse_documents;

    #[test]
    fn json_is_read_as_yaml_reads_it() {
        for text in [
            "{}",
            " [1, -2.5, 1e3, true, null, \"a\\n\\\"b\\u003c\\/\"]\n",
            "{\"a\": {\"b\": [], \"a\": 1, \"a\": {\"<<\": {\"x\": 1}}}, \"\": \"y\", \"no\": \"no\"}",
            "{\n  \"a\":[\n{\"b\":\"# no comment\"}\n]\n}\n",
        ] {
            let read = parse_json(text, &Limits::DEFAULT).unwrap();
            let whole = parse_documents(text, &Limits::DEFAULT).unwrap();
            assert_eq!(shown(&read), shown(&whole[0]), "{text}");
        }
    }

    fn shown(value: &Value) -> String {
        let budget = crate::limits::Budget::new(Limits::DEFAULT, None);
        crate::go::json::encode(value, crate::go::json::Style::RAW, &budget).unwrap_or_default()
    }

    #[test]
    fn what_yaml_may_read_otherwise_is_left_to_it() {
        for text in [
            "a: 1",
            "{a: 1}",
            "{\"a\":\t1}",
            "[\"\\ud83d\\ude00\"]",
            "[\"é\"]",
            "[1]\n---\n[2]",
            "[1] # x",
            "",
        ] {
            assert!(parse_json(text, &Limits::DEFAULT).is_none(), "{text}");
        }
        assert!(parse_json("[1, 2, 3]", &Limits { yaml_nodes: 3, ..Limits::DEFAULT }).is_none());
        assert!(parse_json(&"[".repeat(10_000), &Limits::DEFAULT).is_none());
    }
}
