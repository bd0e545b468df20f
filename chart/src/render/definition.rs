//! Definitions of custom resources, which are megabytes of descriptions and seldom name an image.
//! Takes a text; gives it with as many lines, without the definitions that name no image and without
//! descriptions.

use std::borrow::Cow;

/// The kind of definitions.
const KIND: &str = "CustomResourceDefinition";

/// A text without what the search for images need not read of definitions in it. All that goes leaves its
/// line breaks, so that errors name the right lines.
pub(super) fn shortened(text: &str) -> Cow<'_, str> {
    if !text.contains(KIND) {
        return Cow::Borrowed(text);
    }
    let mut short = String::new();
    let mut part = String::new();
    let finish = |part: &mut String, short: &mut String| {
        if is_definition(part) {
            let own = without_descriptions(part);
            match may_name_images(&own) {
                true => short.push_str(&own),
                false => short.extend(part.matches('\n')),
            }
        } else {
            short.push_str(part);
        }
        part.clear();
    };
    for line in text.split_inclusive('\n') {
        if line.starts_with("---") {
            finish(&mut part, &mut short);
            short.push_str(line);
        } else {
            part.push_str(line);
        }
    }
    finish(&mut part, &mut short);
    Cow::Owned(short)
}

fn is_definition(text: &str) -> bool {
    let is_kind = |line: &str| {
        let kind = line.strip_prefix("kind:").map(|kind| kind.trim().trim_matches(['"', '\'']));
        kind == Some(KIND)
    };
    text.lines().any(is_kind)
}

/// Whether a definition may name an image: it has a default that is no number or word, or somewhere a name
/// with a path and a tag, or a field of an image.
fn may_name_images(text: &str) -> bool {
    let may = |line: &str| {
        let line = line.trim_start().trim_start_matches(['-', '{', ' ']);
        let (key, value) =
            line.split_once(": ").or_else(|| Some((line.strip_suffix(':')?, ""))).unwrap_or(("", line));
        let (key, value) = (key.trim_matches(['"', '\'']), value.trim());
        if key == "default" {
            return value.is_empty() || value.contains(['/', ':', '{', '[', '|', '>', '&', '*']);
        }
        let is_name = value.contains('/') && value.contains([':', '@']);
        is_name
            || !value.is_empty() && (value.contains("default") || key.to_ascii_lowercase().contains("image"))
    };
    text.lines().any(may)
}

/// A definition without the texts that explain its fields.
fn without_descriptions(text: &str) -> String {
    let mut short = String::with_capacity(text.len() / 2);
    let mut lines = text.split_inclusive('\n').peekable();
    while let Some(line) = lines.next() {
        let Some((column, value)) = description(line) else {
            short.push_str(line);
            continue;
        };
        short.push_str(line.get(..column).unwrap_or_default());
        short.push_str("description: ''\n");
        // The lines that a quoted text goes on in may have any indentation, all others lie deeper.
        let mut quoted = Quoted::of(value);
        while let Some(next) = lines.peek() {
            let inside = match &mut quoted {
                Some(quoted) if !quoted.is_closed => {
                    quoted.read(next);
                    true
                }
                _ => next.trim().is_empty() || indent(next) > column,
            };
            if !inside {
                break;
            }
            short.push('\n');
            lines.next();
        }
    }
    short
}

/// The column of a description, and its text in the first line.
fn description(line: &str) -> Option<(usize, &str)> {
    let rest = line.trim_start_matches([' ', '-']);
    let value = rest.strip_prefix("description: ")?.trim();
    // A field of that name has a type, in the lines below or behind it.
    let is_text = !value.is_empty() && !value.starts_with(['{', '[', '#', '&', '*', '!']);
    is_text.then_some((line.len() - rest.len(), value))
}

fn indent(line: &str) -> usize {
    line.len() - line.trim_start_matches(' ').len()
}

/// A text in quotes, as far as it was read.
struct Quoted {
    sign: char,
    is_closed: bool,
}

impl Quoted {
    fn of(value: &str) -> Option<Self> {
        let sign = value.chars().next().filter(|sign| matches!(sign, '"' | '\''))?;
        let mut quoted = Self { sign, is_closed: false };
        quoted.read(value.get(1..)?);
        Some(quoted)
    }

    fn read(&mut self, text: &str) {
        let mut signs = text.chars().peekable();
        while let Some(sign) = signs.next() {
            if sign == '\\' && self.sign == '"' {
                signs.next();
            } else if sign == self.sign {
                // Two of them stand for one.
                if self.sign == '\'' && signs.next_if_eq(&'\'').is_some() {
                    continue;
                }
                self.is_closed = true;
                return;
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::Limits;
    use crate::yaml::parse_documents;

    const HEAD: &str = "apiVersion: apiextensions.k8s.io/v1\nkind: CustomResourceDefinition\n";

    #[test]
    fn only_definitions_that_may_name_images_stay() {
        for (body, stays) in [
            ("a: {type: string}\n", false),
            ("a:\n  default: word\n  description: as quay.io/a/b:1\n", false),
            ("a:\n  default: 'a/b'\n", true),
            ("a:\n  default:\n    x: y\n", true),
            ("a: {default: {image: nginx}}\n", true),
            ("example: quay.io/a/b:1\n", true),
            ("image: nginx\n", true),
            ("image:\n  type: string\n", false),
            ("description: {type: string, default: a/b}\n", true),
        ] {
            let text = format!("{HEAD}{body}");
            let short = shortened(&text);
            assert_eq!(!short.trim().is_empty(), stays, "{body}");
            assert_eq!(short.matches('\n').count(), text.matches('\n').count(), "{body}");
        }
    }

    #[test]
    fn other_documents_stay_as_they_are() {
        let other = "kind: ConfigMap\ndata:\n  description: |\n    kind: CustomResourceDefinition\n";
        assert_eq!(shortened(other), other);
        let both = format!("---\n{HEAD}---\n{other}");
        assert_eq!(shortened(&both), format!("---\n\n\n---\n{other}"));
    }

    #[test]
    fn descriptions_go_and_all_else_stays() {
        let fields = [
            "- description: one\n  name: a/b:1\n",
            "- description: >-\n    deep:\n      deeper\n\n    more\n  default: a/b\n",
            "- description: 'it''s\nstill: \"going\" on'\n  x: 1\n",
            "- description: \"with \\\" and\n   more\"\n  x: 1\n",
            "- description: plain\n    goes on\n  description2: stays\n",
            "- description:\n    type: string\n    default: a/b\n",
        ];
        let text = format!("{HEAD}fields:\n{}", fields.concat());
        let short = shortened(&text);
        assert_eq!(short.matches('\n').count(), text.matches('\n').count());
        let read = |text: &str| parse_documents(text, &Limits::DEFAULT).unwrap().remove(0);
        let (whole, short) = (read(&text), read(&short));
        let fields = |value: &crate::Value| match value.as_map().unwrap().get("fields") {
            Some(crate::Value::List(fields)) => fields,
            _ => panic!(),
        };
        let mut seen = Vec::new();
        for (whole, short) in fields(&whole).iter().zip(fields(&short).iter()) {
            let (whole, short) = (whole.as_map().unwrap(), short.as_map().unwrap());
            assert_eq!(whole.keys(), short.keys());
            for key in whole.keys().iter().filter(|key| &***key != "description") {
                assert_eq!(format!("{:?}", whole.get(key)), format!("{:?}", short.get(key)));
            }
            seen.push(match short.get("description") {
                Some(crate::Value::String(text)) => text.to_string(),
                _ => "a map".to_owned(),
            });
        }
        assert_eq!(seen, ["", "", "", "", "", "a map"]);
    }
}
