//! Immutable tag rules, and the patterns they are written in.
//! Takes a rule's patterns (doublestar, as Harbor's selectors); says whether a tag is held by one.

use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;

use super::state::Project;

/// A rule as its owner wrote it; two rules of a project with the same content are one too many.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct ImmutableRule {
    pub(super) id: i64,
    pub(super) disabled: bool,
    pub(super) content: RuleContent,
}

#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub(super) struct RuleContent {
    pub(super) action: String,
    pub(super) template: String,
    pub(super) priority: i64,
    pub(super) tag_selectors: Vec<Selector>,
    pub(super) scope_selectors: BTreeMap<String, Vec<Selector>>,
}

#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub(super) struct Selector {
    pub(super) kind: String,
    pub(super) decoration: String,
    pub(super) pattern: String,
}

impl ImmutableRule {
    /// Only a rule's first repository selector and its first tag selector count (Harbor
    /// `pkg/immutable/match/rule/match.go`).
    fn covers(&self, repository: &str, tag: &str) -> bool {
        let repositories = self.content.scope_selectors.get("repository").and_then(|s| s.first());
        let tags = self.content.tag_selectors.first();
        !self.disabled
            && repositories.is_some_and(|s| s.selects("repoMatches", "repoExcludes", repository))
            && tags.is_some_and(|s| s.selects("matches", "excludes", tag))
    }
}

impl Selector {
    fn selects(&self, matches: &str, excludes: &str, value: &str) -> bool {
        let matched = self.pattern.is_empty() || pattern_matches(&self.pattern, value);
        (self.decoration == matches && matched) || (self.decoration == excludes && !matched)
    }
}

impl Project {
    /// Whether a rule makes that tag immutable; `repository` is the name without the project.
    pub(super) fn is_immutable(&self, repository: &str, tag: &str) -> bool {
        self.rules.iter().any(|rule| rule.covers(repository, tag))
    }
}

/// Patterns of Go's doublestar: `**` crosses slashes, `*` and `?` do not, `{a,b}` is a choice, `[a-z]` a class.
pub(super) fn pattern_matches(pattern: &str, text: &str) -> bool {
    let (pattern, text): (Vec<char>, Vec<char>) = (pattern.chars().collect(), text.chars().collect());
    matches_from(&pattern, &text)
}

fn matches_from(pattern: &[char], text: &[char]) -> bool {
    match pattern {
        [] => text.is_empty(),
        ['*', '*', rest @ ..] => {
            // `**/` also stands for no directory at all.
            let without_slash = rest.strip_prefix(&['/']).unwrap_or(rest);
            matches_from(without_slash, text) || (0..=text.len()).any(|n| matches_from(rest, &text[n..]))
        }
        ['*', rest @ ..] => {
            let reach = text.iter().position(|&c| c == '/').unwrap_or(text.len());
            (0..=reach).any(|n| matches_from(rest, &text[n..]))
        }
        ['{', inner @ ..] => match inner.iter().position(|&c| c == '}') {
            None => false,
            Some(end) => inner[..end].split(|&c| c == ',').any(|choice| {
                let whole: Vec<char> = choice.iter().chain(&inner[end + 1..]).copied().collect();
                matches_from(&whole, text)
            }),
        },
        ['[', inner @ ..] => match (inner.iter().position(|&c| c == ']'), text) {
            (Some(end), [first, rest @ ..]) if *first != '/' => {
                in_class(&inner[..end], *first) && matches_from(&inner[end + 1..], rest)
            }
            _ => false,
        },
        ['?', pattern @ ..] => matches!(text, [c, rest @ ..] if *c != '/' && matches_from(pattern, rest)),
        ['\\', literal, pattern @ ..] | [literal, pattern @ ..] => {
            matches!(text, [c, rest @ ..] if c == literal && matches_from(pattern, rest))
        }
    }
}

fn in_class(class: &[char], c: char) -> bool {
    let (negated, mut class) = match class {
        ['^' | '!', rest @ ..] => (true, rest),
        _ => (false, class),
    };
    let mut found = false;
    while let Some((&from, rest)) = class.split_first() {
        let (to, rest) = match rest {
            ['-', to, rest @ ..] => (*to, rest),
            _ => (from, rest),
        };
        found |= (from..=to).contains(&c);
        class = rest;
    }
    found != negated
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn patterns_match_as_doublestars() {
        for (pattern, text, matches) in [
            ("**", "docker.io/library/nginx", true),
            ("**", "", true),
            ("*", "nginx", true),
            ("*", "library/nginx", false),
            ("**/nginx", "nginx", true),
            ("**/nginx", "docker.io/library/nginx", true),
            ("docker.io/**", "docker.io/library/nginx", true),
            ("docker.io/*", "docker.io/library/nginx", false),
            ("v?.*", "v1.2", true),
            ("v?.*", "v12", false),
            ("{nginx,redis}", "redis", true),
            ("{nginx,redis}", "postgres", false),
            ("[0-9]*", "1.25", true),
            ("[^0-9]*", "1.25", false),
            ("1.25", "1.25", true),
            ("1.25", "1325", false),
        ] {
            assert_eq!(pattern_matches(pattern, text), matches, "{pattern} {text}");
        }
    }
}
