//! `.helmignore`.
//! Takes its text; says of paths whether Helm leaves them out.

use super::error::LoadCause;

/// The patterns of a `.helmignore`, with Helm's meaning rather than Git's: the first pattern that
/// speaks decides, and a pattern with `!` ignores all that it does not match.
#[derive(Debug)]
pub(super) struct Rules(Vec<Rule>);

#[derive(Debug)]
struct Rule {
    pattern: String,
    negated: bool,
    directories: bool,
    part: Part,
}

/// The part of a path that a pattern is matched against.
#[derive(Debug)]
enum Part {
    Whole,
    LastComponent,
}

/// The kind of entry at a path.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Entry {
    Directory,
    File,
}

impl Rules {
    pub(super) fn parse(text: &str) -> Result<Self, LoadCause> {
        let text = text.strip_prefix('\u{feff}').unwrap_or(text);
        // Helm adds the last one, for editors leave such files behind.
        let lines = text.lines().enumerate().chain([(0, "templates/.?*")]);
        let mut rules = Vec::new();
        for (position, line) in lines {
            let line = line.trim();
            if line.is_empty() || line.starts_with('#') {
                continue;
            }
            let rule = Rule::parse(line);
            if line.contains("**") || !well_formed(&rule.pattern) {
                return Err(LoadCause::Ignore(position + 1));
            }
            rules.push(rule);
        }
        Ok(Self(rules))
    }

    pub(super) fn ignore(&self, path: &str, entry: Entry) -> bool {
        for rule in &self.0 {
            if rule.negated {
                if rule.directories && entry == Entry::File || !rule.matches(path) {
                    return true;
                }
            } else if !(rule.directories && entry == Entry::File) && rule.matches(path) {
                return true;
            }
        }
        false
    }
}

impl Rule {
    fn parse(line: &str) -> Self {
        let (negated, pattern) = match line.strip_prefix('!') {
            Some(pattern) => (true, pattern),
            None => (false, line),
        };
        let (directories, pattern) = match pattern.strip_suffix('/') {
            Some(pattern) => (true, pattern),
            None => (false, pattern),
        };
        let part = if pattern.contains('/') { Part::Whole } else { Part::LastComponent };
        let pattern = pattern.strip_prefix('/').unwrap_or(pattern).to_owned();
        Self { pattern, negated, directories, part }
    }

    fn matches(&self, path: &str) -> bool {
        let path = match self.part {
            Part::Whole => path,
            Part::LastComponent => path.rsplit('/').next().unwrap_or(path),
        };
        let pattern: Vec<char> = self.pattern.chars().collect();
        let path: Vec<char> = path.chars().collect();
        matches(&pattern, &path)
    }
}

/// Go's `filepath.Match`: `*` and `?` do not match a slash.
fn matches(pattern: &[char], text: &[char]) -> bool {
    // Where to go on if what follows the last `*` does not match here.
    let mut retry: Option<(usize, usize)> = None;
    let (mut at, mut seen) = (0, 0);
    loop {
        let step = match pattern.get(at) {
            Some('*') => {
                retry = Some((at, seen));
                at += 1;
                continue;
            }
            None if seen == text.len() => return true,
            None => None,
            Some(_) => text.get(seen).and_then(|&character| one(&pattern[at..], character)),
        };
        if let Some(length) = step {
            at += length;
            seen += 1;
            continue;
        }
        let Some((star, from)) = retry else { return false };
        if text.get(from).is_none_or(|&character| character == '/') {
            return false;
        }
        retry = Some((star, from + 1));
        (at, seen) = (star + 1, from + 1);
    }
}

/// How many characters of the pattern stand for this character, if they match it.
fn one(pattern: &[char], character: char) -> Option<usize> {
    match pattern {
        ['?', ..] => (character != '/').then_some(1),
        ['\\', escaped, ..] => (*escaped == character).then_some(2),
        ['[', ..] => {
            let (length, holds) = class(pattern, character)?;
            (holds && character != '/').then_some(length)
        }
        [literal, ..] => (*literal == character).then_some(1),
        [] => None,
    }
}

/// The length of a class such as `[^a-z]`, and whether the character is in it; `None` if it is
/// not well formed.
fn class(pattern: &[char], character: char) -> Option<(usize, bool)> {
    let negated = pattern.get(1) == Some(&'^');
    let mut at = if negated { 2 } else { 1 };
    let mut holds = false;
    let mut count = 0;
    let take = |at: &mut usize| {
        let next = *pattern.get(*at)?;
        *at += 1;
        match next {
            '-' | ']' => None,
            '\\' => {
                let escaped = *pattern.get(*at)?;
                *at += 1;
                Some(escaped)
            }
            other => Some(other),
        }
    };
    while count == 0 || pattern.get(at) != Some(&']') {
        let low = take(&mut at)?;
        let mut high = low;
        if pattern.get(at) == Some(&'-') {
            at += 1;
            high = take(&mut at)?;
        }
        holds |= (low..=high).contains(&character);
        count += 1;
    }
    Some((at + 1, holds != negated))
}

fn well_formed(pattern: &str) -> bool {
    let pattern: Vec<char> = pattern.chars().collect();
    let mut at = 0;
    while let Some(character) = pattern.get(at) {
        at += match character {
            '[' => match class(&pattern[at..], 'a') {
                Some((length, _)) => length,
                None => return false,
            },
            '\\' if at + 1 == pattern.len() => return false,
            '\\' => 2,
            _ => 1,
        };
    }
    true
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn patterns_mean_what_they_mean_to_helm() {
        for (rule, path, entry, ignored) in [
            ("*.txt", "notes.txt", Entry::File, true),
            ("*.txt", "docs/notes.txt", Entry::File, true),
            ("docs/*.txt", "docs/notes.txt", Entry::File, true),
            ("docs/*.txt", "x/docs/notes.txt", Entry::File, false),
            ("/a.txt", "a.txt", Entry::File, true),
            ("/a.txt", "b/a.txt", Entry::File, false),
            ("cargo/", "cargo", Entry::Directory, true),
            ("cargo/", "cargo", Entry::File, false),
            ("# *.txt", "a.txt", Entry::File, false),
            ("!templates/*", "values.yaml", Entry::File, true),
            ("[a-c]?.y\\*", "bx.y*", Entry::File, true),
            ("[^a-c]x", "bx", Entry::File, false),
            ("a*b*c", "aXbYbZc", Entry::File, true),
            ("a*b*c", "aXbYbZ", Entry::File, false),
            ("nothing", "templates/.swp", Entry::File, true),
            ("nothing", ".swp", Entry::File, false),
        ] {
            let rules = Rules::parse(rule).unwrap();
            assert_eq!(rules.ignore(path, entry), ignored, "{rule} and {path}");
        }
    }

    #[test]
    fn patterns_that_helm_refuses_are_refused_with_their_line() {
        for text in ["a\n\n**/x\n", "a\n\n[a\n", "a\n\na\\\n", "a\n\n[]\n"] {
            assert!(matches!(Rules::parse(text), Err(LoadCause::Ignore(3))), "{text:?}");
        }
    }

    #[test]
    fn a_pattern_of_many_stars_takes_no_exponential_time() {
        let rules = Rules::parse(&"*a".repeat(500)).unwrap();
        assert!(!rules.ignore(&"a".repeat(1_000).replace("aa", "ab"), Entry::File));
    }
}
