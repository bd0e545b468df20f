//! Strict JSON: bytes that every reader understands alike, or that are refused.
//!
//! Takes the bytes of a document that is signed or served, before its content is used; checks that no two
//! readers can disagree about its names, and that it is of bounded size once parsed. Go's `encoding/json`,
//! which registries, Harbor and containerd read with, takes a field by any spelling that folds to its name
//! and lets the last of several count; others take the first, or only the exact one (CVE-2021-41190 was one
//! such disagreement).

use std::collections::{HashMap, HashSet};
use std::fmt;

use serde::de::{DeserializeSeed, Deserializer, Error as _, MapAccess, SeqAccess, Visitor};

/// The bounds on a document.
#[derive(Clone, Copy, Debug)]
pub struct Bounds {
    /// Levels of objects and arrays; the document itself is the first. Registries refuse what nests
    /// deeper than their parsers (Go's allows 10,000), and parsers recurse.
    pub depth: usize,
    /// Objects, arrays, scalars and names together: each takes some hundred bytes once parsed, however
    /// few it has in the file.
    pub nodes: usize,
    /// Names of an object and of those around it, which are kept to be compared.
    pub names: usize,
}

impl Bounds {
    /// For documents of at most 4 MiB, as manifests are.
    pub const MANIFEST: Self = Self { depth: 127, nodes: 400_000, names: 100_000 };
    /// For documents of at most 32 MiB, as statements and receipts are.
    pub const STATEMENT: Self = Self { depth: 127, nodes: 8_000_000, names: 100_000 };
}

/// How `encoding/json` compares names: every character by the smallest of those that fold to it
/// (`foldName` in Go's encoding/json/fold.go). U+017F folds to `s` and U+212A to `k`.
pub fn fold(name: &str) -> String {
    if name.is_ascii() {
        return name.to_ascii_lowercase();
    }
    let single = |mut all: Box<dyn Iterator<Item = char>>, original: char| match (all.next(), all.next()) {
        (Some(only), None) => only,
        // Go folds one character to one.
        _ => original,
    };
    name.chars()
        .map(|c| {
            let lower = single(Box::new(c.to_lowercase()), c);
            let upper = single(Box::new(lower.to_uppercase()), lower);
            single(Box::new(upper.to_lowercase()), upper)
        })
        .collect()
}

/// Checks that `bytes` are one JSON document within `bounds`, in which no object has two names that are
/// the same or fold to the same, and in which no name folds to one of `known` without being it. Objects
/// below one of the `free` names have keys that people chose (annotations): these are not compared with
/// `known`.
///
/// # Errors
/// The fault and its place, as `serde_json` reports them.
pub fn check(bytes: &[u8], bounds: Bounds, known: &[&str], free: &[&str]) -> Result<(), serde_json::Error> {
    let known = known.iter().map(|name| (fold(name), *name)).collect();
    let mut state = State { bounds, nodes: 0, names: 0, known, free };
    let mut deserializer = serde_json::Deserializer::from_slice(bytes);
    Value { state: &mut state, depth: 1, free: false }.deserialize(&mut deserializer)?;
    deserializer.end()
}

struct State<'a> {
    bounds: Bounds,
    nodes: usize,
    /// Names of the objects that have begun and not ended.
    names: usize,
    /// Names by their folded form.
    known: HashMap<String, &'a str>,
    free: &'a [&'a str],
}

impl State<'_> {
    fn count<E: serde::de::Error>(&mut self) -> Result<(), E> {
        self.nodes += 1;
        if self.nodes > self.bounds.nodes {
            return Err(E::custom(format_args!("more than {} values", self.bounds.nodes)));
        }
        Ok(())
    }
}

/// A value at some depth, read and dropped.
struct Value<'s, 'a> {
    state: &'s mut State<'a>,
    depth: usize,
    free: bool,
}

impl Value<'_, '_> {
    fn deep<E: serde::de::Error>(&self) -> Result<(), E> {
        if self.depth > self.state.bounds.depth {
            return Err(E::custom(format_args!("nested deeper than {} levels", self.state.bounds.depth)));
        }
        Ok(())
    }
}

impl<'de> DeserializeSeed<'de> for Value<'_, '_> {
    type Value = ();

    fn deserialize<D: Deserializer<'de>>(self, deserializer: D) -> Result<(), D::Error> {
        self.state.count()?;
        deserializer.deserialize_any(self)
    }
}

impl<'de> Visitor<'de> for Value<'_, '_> {
    type Value = ();

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("JSON")
    }

    fn visit_bool<E>(self, _: bool) -> Result<(), E> {
        Ok(())
    }

    fn visit_i64<E>(self, _: i64) -> Result<(), E> {
        Ok(())
    }

    fn visit_u64<E>(self, _: u64) -> Result<(), E> {
        Ok(())
    }

    fn visit_f64<E>(self, _: f64) -> Result<(), E> {
        Ok(())
    }

    fn visit_str<E>(self, _: &str) -> Result<(), E> {
        Ok(())
    }

    fn visit_unit<E>(self) -> Result<(), E> {
        Ok(())
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut list: A) -> Result<(), A::Error> {
        self.deep()?;
        let Self { state, depth, free } = self;
        while list.next_element_seed(Value { state: &mut *state, depth: depth + 1, free })?.is_some() {}
        Ok(())
    }

    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<(), A::Error> {
        self.deep()?;
        let Self { state, depth, free } = self;
        let mut seen = HashSet::new();
        while let Some(name) = map.next_key::<String>()? {
            state.count()?;
            state.names += 1;
            if state.names > state.bounds.names {
                let most = state.bounds.names;
                return Err(A::Error::custom(format_args!("more than {most} names in one object")));
            }
            let folded = fold(&name);
            let shown = crate::Printable(&name);
            if !free && state.known.get(&folded).is_some_and(|known| *known != name) {
                return Err(A::Error::custom(format_args!(
                    "field '{shown}' is another spelling of one that readers know"
                )));
            }
            if !seen.insert(folded) {
                return Err(A::Error::custom(format_args!(
                    "field '{shown}' appears twice, or in two spellings that some readers take for one"
                )));
            }
            let free = free || state.free.contains(&name.as_str());
            map.next_value_seed(Value { state: &mut *state, depth: depth + 1, free })?;
        }
        state.names -= seen.len();
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn told(text: &str) -> Result<(), String> {
        check(
            text.as_bytes(),
            Bounds { depth: 4, nodes: 50, names: 10 },
            &["digest", "layers", "key"],
            &["annotations"],
        )
        .map_err(|error| error.to_string())
    }

    #[test]
    fn names_that_two_readers_take_differently_are_refused_at_any_depth() {
        for text in [
            r#"{"digest":1,"digest":2}"#,
            r#"{"digest":1,"Digest":2}"#,
            r#"{"Digest":2}"#,
            r#"{"a":[{"layers":1,"layerſ":2}]}"#,
            r#"{"a":{"layerſ":2}}"#,
            r#"{"Key":2}"#,
            r#"{"dig\u0065st":1,"digest":2}"#,
            r#"{"other":1,"OTHER":2}"#,
            r#"{"annotations":{"a":"1","A":"2"}}"#,
        ] {
            let error = told(text).unwrap_err();
            assert!(error.contains("appears twice") || error.contains("another spelling"), "{text}: {error}");
        }
        for text in [
            r#"{"digest":1,"layers":[{"digest":2},{"digest":3}]}"#,
            r#"{"annotations":{"Digest":"1","org.example.key":"2"}}"#,
            r#"{"ss":1,"ß":2}"#,
            "[]",
            " null ",
        ] {
            assert_eq!(told(text), Ok(()), "{text}");
        }
    }

    #[test]
    fn depth_and_values_are_bounded_and_nothing_follows() {
        assert_eq!(told("[[[[]]]]"), Ok(()));
        assert!(told("[[[[[]]]]]").unwrap_err().contains("deeper than 4"));
        assert!(told(&format!("{}1{}", "[".repeat(20_000), "]".repeat(20_000))).is_err());
        assert!(told(&format!("[{}0]", "0,".repeat(50))).unwrap_err().contains("more than 50 values"));
        let names =
            |from: usize| (from..from + 6).map(|at| format!("\"n{at}\":0")).collect::<Vec<_>>().join(",");
        assert_eq!(told(&format!("[{{{}}},{{{}}}]", names(0), names(0))), Ok(()));
        assert!(
            told(&format!("{{{},\"in\":{{{}}}}}", names(0), names(0)))
                .unwrap_err()
                .contains("more than 10 names")
        );
        assert!(told("{} {}").is_err());
        assert!(told("").is_err());
    }

    proptest! {
        #[test]
        fn any_bytes_are_read_without_panic(bytes in prop::collection::vec(any::<u8>(), 0..200), text in "[\\[\\]{}:,\"a0 ]{0,60}") {
            let _ = check(&bytes, Bounds::MANIFEST, &["a"], &[]);
            let _ = told(&text);
        }

        #[test]
        fn folding_is_the_same_for_both_cases(name in any::<String>()) {
            prop_assert_eq!(fold(&fold(&name)), fold(&name));
        }
    }
}
