//! Images in texts that are no YAML: commands, scripts, TOML, INI, HCL, XML, Python, lists of references.
//! Takes a text; gives references, and groups whose name and tag are assigned apart.

use crate::limits::{ASSIGNMENTS, IMAGE_NAME};
use bundle_oci::Reference;

use super::group::Group;
use super::pair::pairs;
use super::shape::{Hint, Written, image, says_image};

/// The images and groups of fields that a text names.
#[derive(Debug, Default)]
pub(super) struct Inside {
    pub(super) images: Vec<Reference>,
    /// Names and tags that stand apart: `SIDE_IMAGE=a/b`, `SIDE_TAG=v1`.
    pub(super) groups: Vec<Group>,
}

/// How comments are read.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Comments {
    /// They are skipped.
    Skip,
    /// They are read like the rest.
    Read,
}

/// Images that stand somewhere in a text. `hint` is what the text's own name says of it.
pub(super) fn images_inside(text: &str, hint: Hint, comments: Comments) -> Inside {
    let mut inside = Inside::default();
    let mut assigned: Vec<(usize, String, String)> = Vec::new();
    for line in text.lines() {
        if comments == Comments::Skip && line.trim_start().starts_with(['#', ';']) {
            continue;
        }
        // Most lines name nothing.
        if hint == Hint::None && !line.contains([':', '@', '=']) && !says_image(line) {
            continue;
        }
        let mut before = Before::default();
        for word in words(line) {
            match word {
                Word::Cut(sign) => before.cut(sign),
                Word::Text(text) => {
                    if let Some((name, value)) = assignment(text)
                        && assigned.len() < ASSIGNMENTS
                    {
                        assigned.push((assigned.len(), name.to_owned(), value.to_owned()));
                    }
                    one(text, hint, &mut before, &mut inside.images);
                }
            }
        }
        if let Some((name, value)) = spaced_assignment(line)
            && assigned.len() < ASSIGNMENTS
        {
            assigned.push((assigned.len(), name.to_owned(), value.to_owned()));
        }
    }
    inside.groups.extend(pairs(assigned.into_iter()).into_values());
    inside
}

/// The hints that stand before a word.
#[derive(Default)]
struct Before {
    /// The hint of the word before for the next word.
    hint: Hint,
    /// The hint of the word before if a sign of assignment follows: `image = "…"`, `<image>…`.
    name: Hint,
    /// The hint for all items of a list: `--images=a:1,b:2`.
    list: Hint,
}

impl Before {
    fn cut(&mut self, sign: char) {
        match sign {
            // A list goes on, and so do quotes around a name or a value.
            ',' | '"' | '\'' | '`' => {}
            '>' => self.hint = self.hint.max(self.name),
            character if character.is_whitespace() => self.list = Hint::None,
            _ => *self = Self::default(),
        }
    }
}

fn one(word: &str, ambient: Hint, before: &mut Before, found: &mut Vec<Reference>) {
    // `=` and `:` alone, between a name and its value.
    if matches!(word, "=" | ":" | ":=" | "=>") {
        before.hint = before.hint.max(before.name);
        return;
    }
    let (own, value) = match word.rsplit_once('=') {
        Some((name, value)) => (Hint::of(name), value),
        None => (Hint::None, word),
    };
    let spoken = before.hint.max(before.list).max(own).max(ambient);
    // `image:` and `--image` are hints for the next word; a bare word is one if it is assigned to.
    let name = Hint::of(word.trim_end_matches([':', '=']));
    let speaks = word.starts_with('-') && !word.contains('=') || word.ends_with([':', '=']);
    before.hint = if speaks { name.min(Hint::Named) } else { Hint::None };
    before.name = name.min(Hint::Named);
    before.list = before.list.max(own);
    // In a text `image` is a word like others.
    let hint = spoken.min(Hint::Named);
    let value = value.trim_end_matches(['.', ':']).trim_start_matches('@');
    if hint == Hint::None && !Written::of(value).is_unmistakable() && !value.contains("://") {
        return;
    }
    found.extend(image(value, hint));
}

/// A piece of a line.
enum Word<'a> {
    Text(&'a str),
    /// A separator between words.
    Cut(char),
}

fn words(line: &str) -> impl Iterator<Item = Word<'_>> {
    let is_cut = |character: char| {
        character.is_whitespace()
            || matches!(
                character,
                '"' | '\'' | '`' | ',' | ';' | '(' | ')' | '{' | '}' | '[' | ']' | '<' | '>' | '|' | '\\'
            )
    };
    line.split_inclusive(is_cut).flat_map(move |piece| {
        let cut = piece.chars().next_back().filter(|character| is_cut(*character));
        let text = cut.map_or(piece, |cut| piece.get(..piece.len() - cut.len_utf8()).unwrap_or_default());
        let text = (!text.is_empty()).then_some(Word::Text(text));
        text.into_iter().chain(cut.map(Word::Cut))
    })
}

/// `NAME=value`, in one word.
fn assignment(word: &str) -> Option<(&str, &str)> {
    let (name, value) = word.split_once('=')?;
    (word.len() <= IMAGE_NAME && is_name(name) && !value.is_empty()).then_some((name, value))
}

/// `name = "value"` or `name: value`, on a line of its own.
fn spaced_assignment(line: &str) -> Option<(&str, &str)> {
    let line = line.trim().trim_end_matches([',', ';']);
    let line = line.strip_prefix("export ").unwrap_or(line);
    if line.len() > IMAGE_NAME {
        return None;
    }
    let (name, value) = line.split_once('=').or_else(|| line.split_once(": "))?;
    let name = name.trim().trim_matches(['"', '\'']);
    let value = value.trim();
    let quoted = value.len() >= 2 && (value.starts_with('"') || value.starts_with('\''));
    // `NAME=value` in one word was seen already.
    if !quoted && line.contains('=') && !line.contains(" =") && !line.contains("= ") {
        return None;
    }
    let value = value.trim_matches(['"', '\'']);
    (is_name(name) && !value.is_empty() && !value.contains(' ')).then_some((name, value))
}

fn is_name(name: &str) -> bool {
    !name.is_empty() && name.bytes().all(|byte| byte.is_ascii_alphanumeric() || b"_.-".contains(&byte))
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn seen(text: &str, hint: Hint) -> Vec<String> {
        let inside = images_inside(text, hint, Comments::Skip);
        let groups = inside.groups.iter().filter_map(Group::reference);
        inside.images.iter().cloned().chain(groups).map(|reference| reference.to_string()).collect()
    }

    #[test]
    fn images_inside_commands_and_scripts_are_seen() {
        for (text, images) in [
            ("--prometheus-config-reloader=quay.io/p/reloader:v1", &["quay.io/p/reloader:v1"][..]),
            ("--default-sidecar-image=app:1", &["docker.io/library/app:1"]),
            ("set -e\nkubectl run x --image busybox:1 -- sh", &["docker.io/library/busybox:1"]),
            ("kubectl run x --image=\"busybox:1\";", &["docker.io/library/busybox:1"]),
            ("docker run ghcr.io/a/b:v1 --port 8080:80", &["ghcr.io/a/b:v1"]),
            ("# docker run ghcr.io/a/b:v1", &[]),
            ("curl http://x.example.com/a:1 -o /tmp/a:b", &[]),
            ("version=1.2 name:1.2.3 a/b:1.2", &[]),
            ("sum(rate(x{job=\"a/b:1.2\"}[5m])) by (image)", &[]),
            ("echo image: nginx is good", &[]),
        ] {
            assert_eq!(seen(text, Hint::None), images, "{text}");
        }
    }

    #[test]
    fn images_in_the_languages_of_configuration_are_seen() {
        for (text, images) in [
            ("[[pods]]\n  image = \"busybox:1.36\"\n", &["docker.io/library/busybox:1.36"][..]),
            ("helper_image = 'a/helper:v1'", &["docker.io/a/helper:v1"]),
            ("task \"x\" {\n config { image = \"a/echo:1.0\" }\n}", &["docker.io/a/echo:1.0"]),
            ("spawner.image=a.example/b/spark:3.5.1", &["a.example/b/spark:3.5.1"]),
            ("c.Spawner.image = \"a/notebook:2343e33dec46\"", &["docker.io/a/notebook:2343e33dec46"]),
            ("x = [{\"name\": \"i\", \"image\": \"busybox:1.36\"}]", &["docker.io/library/busybox:1.36"]),
            ("<a><image>a/agent:3107.v66-1</image></a>", &["docker.io/a/agent:3107.v66-1"]),
            ("SIDE_IMAGE=a/side\nSIDE_TAG=v1", &["docker.io/a/side:v1"]),
            ("side.image = \"a/side\"\nside.tag = \"v1\"", &["docker.io/a/side:v1"]),
            ("--images=a=x/a:v1,b=x/b:v2", &["docker.io/x/a:v1", "docker.io/x/b:v2"]),
            ("1.2=quay.io/a/b:1.2\n1.1=quay.io/a/b:1.1", &["quay.io/a/b:1.2", "quay.io/a/b:1.1"]),
            ("source docker://quay.io/a/disk:v1.2", &["quay.io/a/disk:v1.2"]),
            ("if (a < b && image > 3) { x(1.2) }", &[]),
            ("mode = \"fast:1.2\"", &[]),
        ] {
            assert_eq!(seen(text, Hint::None), images, "{text}");
        }
        assert_eq!(seen("a=x/a:v1,b=x/b:v2", Hint::Named), ["docker.io/x/a:v1", "docker.io/x/b:v2"]);
    }

    proptest! {
        #[test]
        fn any_text_is_searched_without_panic(text in "[a-z.:/@ é=\"<>,#\n-]{0,80}") {
            let _ = images_inside(&text, Hint::Named, Comments::Read);
        }
    }
}
