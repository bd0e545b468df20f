//! Glob patterns of `.Files.Glob` (gobwas/glob).
//! Takes a pattern; says which paths match.

use crate::limits::GLOB_WAYS;

/// A pattern of `.Files.Glob`: `*` and `?` stay inside a directory, `**` does not, `[a-z]`, `[!a]`
/// and `{one,two}` are alternatives.
pub(super) struct Glob {
    /// Every way to choose among the alternatives.
    patterns: Vec<Vec<Part>>,
}

#[derive(Clone, Debug, PartialEq)]
enum Part {
    Char(char),
    /// One character but `/`.
    Any,
    /// Characters of one directory.
    Run,
    /// Characters of any directories.
    Everything,
    Class {
        negated: bool,
        ranges: Vec<(char, char)>,
    },
}

impl Glob {
    /// `None` if it is malformed, or has too many alternatives.
    pub(super) fn parse(pattern: &str) -> Option<Self> {
        let mut patterns = vec![Vec::new()];
        let rest = alternatives(pattern, &mut patterns, 0)?;
        rest.is_empty().then_some(Self { patterns })
    }

    pub(super) fn matches(&self, name: &str) -> bool {
        let name: Vec<char> = name.chars().collect();
        self.patterns.iter().any(|pattern| matches(pattern, &name))
    }
}

/// Reads parts up to the end, or inside braces up to `,` or `}`, and adds them to every pattern.
fn alternatives<'p>(text: &'p str, patterns: &mut Vec<Vec<Part>>, depth: usize) -> Option<&'p str> {
    let mut rest = text;
    while let Some(c) = rest.chars().next() {
        let tail = &rest[c.len_utf8()..];
        let part = match c {
            ',' | '}' if depth > 0 => return Some(rest),
            '{' => {
                rest = group(tail, patterns, depth)?;
                continue;
            }
            '*' if tail.starts_with('*') => {
                rest = tail.trim_start_matches('*');
                push(patterns, &Part::Everything);
                continue;
            }
            '*' => Part::Run,
            '?' => Part::Any,
            '[' => {
                let (class, tail) = class(tail)?;
                rest = tail;
                push(patterns, &class);
                continue;
            }
            '\\' => {
                let escaped = tail.chars().next()?;
                rest = &tail[escaped.len_utf8()..];
                push(patterns, &Part::Char(escaped));
                continue;
            }
            c => Part::Char(c),
        };
        push(patterns, &part);
        rest = tail;
    }
    (depth == 0).then_some(rest)
}

fn push(patterns: &mut [Vec<Part>], part: &Part) {
    for pattern in patterns {
        pattern.push(part.clone());
    }
}

fn group<'p>(text: &'p str, patterns: &mut Vec<Vec<Part>>, depth: usize) -> Option<&'p str> {
    if depth > 8 {
        return None;
    }
    let before = std::mem::take(patterns);
    let mut rest = text;
    loop {
        let mut ways = before.clone();
        rest = alternatives(rest, &mut ways, depth + 1)?;
        patterns.append(&mut ways);
        if patterns.len() > GLOB_WAYS {
            return None;
        }
        match rest.strip_prefix(',') {
            Some(tail) => rest = tail,
            None => return rest.strip_prefix('}'),
        }
    }
}

fn class(text: &str) -> Option<(Part, &str)> {
    let (inner, rest) = text.split_once(']')?;
    let negated = inner.starts_with(['!', '^']);
    let chars: Vec<char> = inner.chars().skip(usize::from(negated)).collect();
    let ranges = match chars.as_slice() {
        [low, '-', high] => vec![(*low, *high)],
        [] => return None,
        chars => chars.iter().map(|c| (*c, *c)).collect(),
    };
    Some((Part::Class { negated, ranges }, rest))
}

/// Matches in time that grows with the product of both lengths: every place that the pattern can be
/// in is followed at once.
fn matches(pattern: &[Part], name: &[char]) -> bool {
    let mut reached = vec![false; pattern.len() + 1];
    reached[0] = true;
    skip_runs(pattern, &mut reached);
    for c in name {
        let mut next = vec![false; pattern.len() + 1];
        for (place, part) in pattern.iter().enumerate().filter(|(place, _)| reached[*place]) {
            let (stays, goes_on) = match part {
                Part::Char(expected) => (false, expected == c),
                Part::Any => (false, *c != '/'),
                Part::Run => (*c != '/', false),
                Part::Everything => (true, false),
                Part::Class { negated, ranges } => {
                    let inside = ranges.iter().any(|(low, high)| (low..=high).contains(&c));
                    (false, inside != *negated)
                }
            };
            next[place] |= stays;
            next[place + 1] |= goes_on;
        }
        skip_runs(pattern, &mut next);
        reached = next;
    }
    reached[pattern.len()]
}

/// Runs may be empty.
fn skip_runs(pattern: &[Part], reached: &mut [bool]) {
    for (place, part) in pattern.iter().enumerate() {
        if reached[place] && matches!(part, Part::Run | Part::Everything) {
            reached[place + 1] = true;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn patterns_match_as_in_helm() {
        for (pattern, name, expected) in [
            ("*.yaml", "a.yaml", true),
            ("*.yaml", "a/b.yaml", false),
            ("**.yaml", "a/b.yaml", true),
            ("dashboards/**", "dashboards/a/b.json", true),
            ("dashboards/*", "dashboards/a/b.json", false),
            ("a?c", "abc", true),
            ("a?c", "a/c", false),
            ("[a-c]x", "bx", true),
            ("[!a-c]x", "bx", false),
            ("[abc]x", "cx", true),
            ("{a,b}/*.json", "b/x.json", true),
            ("{a,b{c,d}}", "bd", true),
            ("{a,b}", "c", false),
            ("a\\*", "a*", true),
            ("", "", true),
            ("a,b", "a,b", true),
        ] {
            assert_eq!(Glob::parse(pattern).unwrap().matches(name), expected, "{pattern} {name}");
        }
    }

    #[test]
    fn malformed_and_huge_patterns_are_refused() {
        for pattern in ["{a", "[a", "a\\", &"{a,b}".repeat(20), &"{".repeat(100)] {
            assert!(Glob::parse(pattern).is_none(), "{pattern}");
        }
        let stars = "*a".repeat(1_000);
        assert!(!Glob::parse(&stars).unwrap().matches(&"a".repeat(999)));
    }
}
