//! Regular expressions of tags as patterns of `*` and `?`, where they mean the same.
//! Takes an expression in Go's syntax (RE2); gives the patterns, or nothing: a pattern that matches other tags would
//! carry other images.

/// How many patterns one expression may become.
const MOST: usize = 64;

/// Patterns that together match exactly the tags that an expression matches.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Globs(pub(super) Vec<String>);

impl Globs {
    /// Of an expression that must match a whole tag: regsync adds the anchors.
    pub(super) fn whole(regex: &str) -> Option<Self> {
        let regex = regex.strip_prefix('^').unwrap_or(regex);
        let regex = regex.strip_suffix('$').filter(|rest| !rest.ends_with('\\')).unwrap_or(regex);
        one_alternative(regex).and_then(expand).map(Self)
    }

    /// Of an expression that may match anywhere in a tag, as Go's `MatchString` takes it.
    pub(super) fn searched(regex: &str) -> Option<Self> {
        let (start, regex) = match regex.strip_prefix('^') {
            Some(regex) => ("", regex),
            None => (".*", regex),
        };
        let (regex, end) = match regex.strip_suffix('$').filter(|rest| !rest.ends_with('\\')) {
            Some(regex) => (regex, ""),
            None => (regex, ".*"),
        };
        one_alternative(regex)?;
        expand(&format!("{start}{regex}{end}")).map(Self)
    }
}

/// An expression with alternatives in groups only: beside anchors, `^a|b$` means something else than `^(a|b)$`.
fn one_alternative(regex: &str) -> Option<&str> {
    (top_level_alternatives(regex)?.len() == 1).then_some(regex)
}

/// The patterns of an expression without anchors.
fn expand(regex: &str) -> Option<Vec<String>> {
    let mut patterns = Vec::new();
    for alternative in top_level_alternatives(regex)? {
        patterns.extend(sequence(alternative)?);
    }
    patterns.iter_mut().for_each(|pattern| *pattern = pattern.replace("**", "*"));
    (patterns.len() <= MOST).then_some(patterns)
}

/// The parts between `|` that stand in no group.
fn top_level_alternatives(regex: &str) -> Option<Vec<&str>> {
    let (mut parts, mut start, mut depth, mut class, mut escaped) = (Vec::new(), 0, 0_u32, false, false);
    for (at, character) in regex.char_indices() {
        if std::mem::take(&mut escaped) {
            continue;
        }
        match character {
            '\\' => escaped = true,
            '[' if !class => class = true,
            ']' if class => class = false,
            '(' if !class => depth += 1,
            ')' if !class => depth = depth.checked_sub(1)?,
            '|' if !class && depth == 0 => {
                parts.push(&regex[start..at]);
                start = at + 1;
            }
            _ => {}
        }
    }
    parts.push(&regex[start..]);
    (depth == 0 && !class && !escaped).then_some(parts)
}

/// The patterns of a sequence: every choice of its groups and classes.
fn sequence(regex: &str) -> Option<Vec<String>> {
    let mut patterns = vec![String::new()];
    let mut rest = regex;
    while let Some(character) = rest.chars().next() {
        let (choices, after): (Vec<String>, &str) = match character {
            '(' => {
                let end = closing(rest)?;
                let group = rest[1..end].strip_prefix("?:").unwrap_or(&rest[1..end]);
                if group.starts_with('?') {
                    return None;
                }
                (expand(group)?, &rest[end + 1..])
            }
            '[' => {
                let end = rest.find(']')?;
                (class(&rest[1..end])?, &rest[end + 1..])
            }
            '.' => (vec!["?".to_owned()], &rest[1..]),
            '\\' => match rest[1..].chars().next()? {
                'd' => (('0'..='9').map(String::from).collect(), &rest[2..]),
                escaped if escaped.is_ascii_punctuation() => (vec![escaped.to_string()], &rest[2..]),
                _ => return None,
            },
            '*' | '+' | '?' | '{' | '^' | '$' | ')' | ']' => return None,
            literal => (vec![literal.to_string()], &rest[literal.len_utf8()..]),
        };
        let (choices, after) = repeated(choices, after, character == '.')?;
        if choices.iter().any(|choice| choice.contains(['*', '?'])) && character == '\\' {
            return None;
        }
        if patterns.len() * choices.len() > MOST {
            return None;
        }
        patterns = patterns
            .iter()
            .flat_map(|pattern| choices.iter().map(move |choice| format!("{pattern}{choice}")))
            .collect();
        rest = after;
    }
    Some(patterns)
}

/// The choices with the repetition behind them: of anything at all, `*` and `+`; of the rest, `?`.
fn repeated(choices: Vec<String>, after: &str, anything: bool) -> Option<(Vec<String>, &str)> {
    let operator = after.chars().next().filter(|next| ['*', '+', '?', '{'].contains(next));
    let (choices, after) = match operator {
        None => return Some((choices, after)),
        Some('*') if anything => (vec!["*".to_owned()], &after[1..]),
        Some('+') if anything => (vec!["?*".to_owned()], &after[1..]),
        Some('?') => ([vec![String::new()], choices].concat(), &after[1..]),
        Some(_) => return None,
    };
    // A second operator makes the first lazy, which changes nothing for whole matches, or is an error.
    Some((choices, after.strip_prefix('?').unwrap_or(after)))
}

/// Where the group that begins `text` ends.
fn closing(text: &str) -> Option<usize> {
    let (mut depth, mut escaped) = (0_u32, false);
    for (at, character) in text.char_indices() {
        if std::mem::take(&mut escaped) {
            continue;
        }
        match character {
            '\\' => escaped = true,
            '(' => depth += 1,
            ')' => {
                depth -= 1;
                if depth == 0 {
                    return Some(at);
                }
            }
            _ => {}
        }
    }
    None
}

/// The characters of a class.
fn class(text: &str) -> Option<Vec<String>> {
    let characters: Vec<char> = text.chars().collect();
    if text.is_empty() || text.starts_with('^') || text.contains(['\\', '[']) {
        return None;
    }
    let mut found = Vec::new();
    let mut at = 0;
    while at < characters.len() {
        match characters[at..] {
            [first, '-', last, ..] => {
                found.extend((first..=last).map(String::from));
                at += 3;
            }
            [one, ..] => {
                found.push(one.to_string());
                at += 1;
            }
            [] => break,
        }
    }
    (found.len() <= MOST).then_some(found)
}

#[cfg(test)]
mod tests {
    use super::Globs;

    fn searched(regex: &str) -> Option<Vec<String>> {
        Globs::searched(regex).map(|globs| globs.0)
    }

    #[test]
    fn an_expression_becomes_the_patterns_that_match_the_same_tags() {
        for (regex, globs) in [
            (r"^1\.13\.[12]-alpine-perl$", &["1.13.1-alpine-perl", "1.13.2-alpine-perl"][..]),
            (r"^v1\..*$", &["v1.*"]),
            (r"^(latest|stable)$", &["latest", "stable"]),
            ("alpine$", &["*alpine"]),
            ("^v?1$", &["1", "v1"]),
            ("^1.+$", &["1?*"]),
        ] {
            assert_eq!(
                searched(regex).as_deref(),
                Some(globs.iter().map(ToString::to_string).collect::<Vec<_>>().as_slice()),
                "{regex}"
            );
        }
        assert_eq!(Globs::whole("3").map(|globs| globs.0), Some(vec!["3".to_owned()]));
    }

    #[test]
    fn an_expression_that_no_pattern_expresses_is_left_alone() {
        for regex in [
            r"^\d+\.\d+$",
            "^[^a]$",
            "^a{2}$",
            "^a+$",
            "(?i)^a$",
            "^a|b$",
            "^(a$",
            r"^\w$",
            "^[a-zA-Z0-9]{1}$",
            "a**",
        ] {
            assert_eq!(searched(regex), None, "{regex}");
        }
    }
}
