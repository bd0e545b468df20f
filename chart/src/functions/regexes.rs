//! Template functions for regular expressions (Sprig), in RE2's syntax.
//! Take a pattern and a text; the pattern is translated for the crate `regex`.

use crate::limits::{KEPT_REGEXES, REGEX_BYTES};
use std::rc::Rc;

use regex::{Captures, Regex, RegexBuilder};

use super::strings::string_list;
use super::{Call, Failure, Function};
use crate::Value;

pub(super) const FUNCTIONS: &[Function] = &[
    // Sprig's first takes an invalid expression for one that matches nothing.
    Function::fixed("regexMatch", 2, |call| {
        let text = call.string(1)?;
        match compiled(call) {
            Ok(regex) => Ok(Value::Bool(regex.is_match(text))),
            Err(Failure::Message(_)) => Ok(Value::Bool(false)),
            Err(other) => Err(other),
        }
    }),
    Function::fixed("mustRegexMatch", 2, |call| Ok(Value::Bool(compiled(call)?.is_match(call.string(1)?)))),
    Function::fixed("regexFind", 2, find),
    Function::fixed("mustRegexFind", 2, find),
    Function::fixed("regexFindAll", 3, find_all),
    Function::fixed("mustRegexFindAll", 3, find_all),
    Function::fixed("regexReplaceAll", 3, |call| replace_all(call, expanded)),
    Function::fixed("mustRegexReplaceAll", 3, |call| replace_all(call, expanded)),
    Function::fixed("regexReplaceAllLiteral", 3, |call| replace_all(call, literal)),
    Function::fixed("mustRegexReplaceAllLiteral", 3, |call| replace_all(call, literal)),
    Function::fixed("regexSplit", 3, split),
    Function::fixed("mustRegexSplit", 3, split),
    Function::fixed("regexQuoteMeta", 1, |call| {
        let mut out = String::new();
        for c in call.string(0)?.chars() {
            if r"\.+*?()|[]{}^$".contains(c) {
                out.push('\\');
            }
            out.push(c);
        }
        call.give(out)
    }),
];

/// The expression that is the first argument.
fn compiled(call: &Call<'_>) -> Result<Rc<Regex>, Failure> {
    let Value::String(pattern) = call.value(0) else {
        call.string(0)?;
        return Err(Failure::message("no regular expression"));
    };
    let mut known = call.context.regexes.borrow_mut();
    if let Some(regex) = known.get(pattern) {
        return Ok(Rc::clone(regex));
    }
    // Making one takes much more than a step.
    call.budget().steps(2_000)?;
    let wrong = |error: String| Failure::Message(format!("error parsing regexp: {error}: `{pattern}`"));
    let translated = translate(pattern).map_err(wrong)?;
    let built = RegexBuilder::new(&translated)
        .size_limit(REGEX_BYTES)
        .dfa_size_limit(REGEX_BYTES)
        .nest_limit(200)
        .build();
    // The library's report has several lines; its last says what is wrong.
    let first_line = |error: regex::Error| {
        let text = error.to_string();
        wrong(text.lines().last().unwrap_or_default().trim_start_matches("error: ").to_owned())
    };
    let regex = Rc::new(built.map_err(first_line)?);
    if known.len() >= KEPT_REGEXES {
        known.clear();
    }
    known.insert(pattern.clone(), Rc::clone(&regex));
    Ok(regex)
}

fn find(call: &Call<'_>) -> Result<Value, Failure> {
    let (regex, text) = (compiled(call)?, call.string(1)?);
    call.give(regex.find(text).map_or("", |found| found.as_str()))
}

/// How many parts are asked for; a negative number means all.
fn most(call: &Call<'_>, index: usize) -> Result<usize, Failure> {
    Ok(usize::try_from(call.int(index)?).unwrap_or(usize::MAX))
}

fn find_all(call: &Call<'_>) -> Result<Value, Failure> {
    let (regex, text, most) = (compiled(call)?, call.string(1)?, most(call, 2)?);
    let mut parts = Vec::new();
    for found in regex.find_iter(text).take(most) {
        call.budget().values(1)?;
        parts.push(found.as_str());
    }
    Ok(string_list(parts))
}

fn replace_all(call: &Call<'_>, replacement: fn(&Captures<'_>, &str, &mut String)) -> Result<Value, Failure> {
    let (regex, text, template) = (compiled(call)?, call.string(1)?, call.string(2)?);
    let mut out = String::new();
    let mut end = 0;
    for captures in regex.captures_iter(text) {
        // The whole match is always there.
        let Some(found) = captures.get(0) else { continue };
        let before = out.len();
        out.push_str(&text[end..found.start()]);
        replacement(&captures, template, &mut out);
        end = found.end();
        call.budget().step()?;
        call.budget().bytes(out.len() - before)?;
    }
    out.push_str(&text[end..]);
    call.give(out)
}

fn literal(_: &Captures<'_>, template: &str, out: &mut String) {
    out.push_str(template);
}

/// Go's templates: `$1`, `${1}`, `$name` with the longest name that fits, `$$`.
fn expanded(captures: &Captures<'_>, template: &str, out: &mut String) {
    let mut rest = template;
    while let Some(dollar) = rest.find('$') {
        out.push_str(&rest[..dollar]);
        rest = &rest[dollar + 1..];
        if let Some(tail) = rest.strip_prefix('$') {
            out.push('$');
            rest = tail;
            continue;
        }
        let is_name = |c: char| c == '_' || c.is_alphanumeric();
        let (name, tail) = match rest.strip_prefix('{') {
            Some(inner) => match inner.split_once('}') {
                Some((name, tail)) if !name.is_empty() && name.chars().all(is_name) => (name, tail),
                _ => {
                    out.push('$');
                    continue;
                }
            },
            None => rest.split_at(rest.find(|c| !is_name(c)).unwrap_or(rest.len())),
        };
        if name.is_empty() {
            out.push('$');
            continue;
        }
        let group = match name.parse::<usize>() {
            Ok(number) => captures.get(number),
            Err(_) => captures.name(name),
        };
        out.push_str(group.map_or("", |group| group.as_str()));
        rest = tail;
    }
    out.push_str(rest);
}

fn split(call: &Call<'_>) -> Result<Value, Failure> {
    let (regex, text, most) = (compiled(call)?, call.string(1)?, most(call, 2)?);
    if most == 0 {
        return Ok(string_list(Vec::new()));
    }
    if text.is_empty() && !call.string(0)?.is_empty() {
        return Ok(string_list(vec![""]));
    }
    let mut parts = Vec::new();
    let (mut start, mut end) = (0, 0);
    for found in regex.find_iter(text) {
        call.budget().values(1)?;
        if parts.len() + 1 == most {
            break;
        }
        end = found.start();
        if found.end() != 0 {
            parts.push(&text[start..end]);
        }
        start = found.end();
    }
    if end != text.len() {
        parts.push(&text[start..]);
    }
    Ok(string_list(parts))
}

/// Go's syntax of expressions in that of the crate `regex`, which takes `\d`, `\w`, `\s` and `\b` for
/// all of Unicode, knows operators in classes, and refuses braces that count nothing.
fn translate(pattern: &str) -> Result<String, String> {
    let mut out = String::with_capacity(pattern.len() + 16);
    let mut rest = pattern;
    while let Some(c) = rest.chars().next() {
        let tail = &rest[c.len_utf8()..];
        rest = match c {
            '\\' => escape(tail, false, &mut out)?,
            '[' => class(tail, &mut out)?,
            '{' => {
                let count = tail.split_once('}').map_or("", |(count, _)| count);
                let counts = count.starts_with(|c: char| c.is_ascii_digit())
                    && count.matches(',').count() < 2
                    && count.chars().all(|c| c.is_ascii_digit() || c == ',');
                out.push_str(if counts { "{" } else { "\\{" });
                tail
            }
            c => {
                out.push(c);
                tail
            }
        };
    }
    Ok(out)
}

/// Translates the characters after a backslash.
fn escape<'p>(text: &'p str, in_class: bool, out: &mut String) -> Result<&'p str, String> {
    let mut chars = text.chars();
    let Some(c) = chars.next() else { return Err("trailing backslash at end of expression".to_owned()) };
    let rest = chars.as_str();
    let translated = match (c, in_class) {
        ('d', false) => "[0-9]",
        ('D', false) => "[^0-9]",
        ('w', false) => "[0-9A-Za-z_]",
        ('W', false) => "[^0-9A-Za-z_]",
        ('s', false) => "[\\t\\n\\x0C\\r ]",
        ('S', false) => "[^\\t\\n\\x0C\\r ]",
        // Nested classes are the crate's own.
        ('d', true) => "0-9",
        ('D', true) => "[^0-9]",
        ('w', true) => "0-9A-Za-z_",
        ('W', true) => "[^0-9A-Za-z_]",
        ('s', true) => "\\t\\n\\x0C\\r ",
        ('S', true) => "[^\\t\\n\\x0C\\r ]",
        ('b', false) => "(?-u:\\b)",
        ('B', false) => "(?-u:\\B)",
        ('a', _) => "\\x07",
        ('Q', false) => {
            let (quoted, rest) = rest.split_once("\\E").unwrap_or((rest, ""));
            out.push_str(&regex::escape(quoted));
            return Ok(rest);
        }
        ('0'..='7', _) => {
            let length = text.bytes().take(3).take_while(|byte| (b'0'..=b'7').contains(byte)).count();
            if c != '0' && length == 1 {
                return Err(format!("invalid escape sequence: `\\{c}`"));
            }
            let code = u32::from_str_radix(&text[..length], 8).unwrap_or(0);
            out.push_str(&format!("\\x{{{code:x}}}"));
            return Ok(&text[length..]);
        }
        ('x' | 'p' | 'P', _) => {
            // A name or number in braces belongs to it.
            let end = if rest.starts_with('{') { rest.find('}').map_or(0, |brace| brace + 1) } else { 0 };
            out.push('\\');
            out.push(c);
            out.push_str(&rest[..end]);
            return Ok(&rest[end..]);
        }
        ('A' | 'z' | 'f' | 't' | 'n' | 'r' | 'v', _) => {
            out.push('\\');
            out.push(c);
            return Ok(rest);
        }
        (c, _) if c.is_ascii() && !c.is_ascii_alphanumeric() => {
            // Some escaped marks mean something else in the crate, like `\<`.
            out.push_str(&format!("\\x{{{:x}}}", u32::from(c)));
            return Ok(rest);
        }
        _ => return Err(format!("invalid escape sequence: `\\{c}`")),
    };
    out.push_str(translated);
    Ok(rest)
}

/// A class in brackets, whose first bracket is past.
fn class<'p>(text: &'p str, out: &mut String) -> Result<&'p str, String> {
    out.push('[');
    let mut rest = text;
    if let Some(tail) = rest.strip_prefix('^') {
        out.push('^');
        rest = tail;
    }
    let mut first = true;
    // After `\w` and the like a hyphen is a hyphen.
    let mut after_class = false;
    while let Some(c) = rest.chars().next() {
        let tail = &rest[c.len_utf8()..];
        let is_class = c == '\\' && tail.starts_with(['d', 'D', 'w', 'W', 's', 'S']);
        rest = match c {
            ']' if !first => {
                out.push(']');
                return Ok(tail);
            }
            '[' if tail.starts_with(':') && tail.contains(":]") => {
                let (name, tail) = tail.split_once(":]").unwrap_or((tail, ""));
                out.push_str(&format!("[{name}:]"));
                tail
            }
            '\\' => escape(tail, true, out)?,
            // The crate's operators on classes.
            '[' | ']' | '&' | '~' => {
                out.push('\\');
                out.push(c);
                tail
            }
            '-' if first || after_class || tail.starts_with(']') => {
                out.push_str("\\-");
                tail
            }
            c => {
                out.push(c);
                tail
            }
        };
        first = false;
        after_class = is_class;
    }
    Err("missing closing ]".to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn expressions_mean_what_they_mean_in_go() {
        let cases = [
            (r"^\d+$", "12", true),
            (r"^\d+$", "١٢", false),
            (r"^[\w-]+$", "a-b_c", true),
            (r"^[\w.-]+$", "a.b-c", true),
            (r"^[\w-\.]+$", "a.b-c", true),
            (r"[[]", "[", true),
            (r"[]a]", "]", true),
            (r"^[a-z&&b]+$", "a&", true),
            (r"{{.*}}", "{{ a }}", true),
            (r"^a{2}$", "aa", true),
            (r"^a{,2}$", "a{,2}", true),
            (r"^\<b\>$", "<b>", true),
            (r"^\Qa.b\E$", "a.b", true),
            (r"^\Qa.b\E$", "axb", false),
            (r"(?i)^abc$", "ABC", true),
            (r"^[[:alpha:]]+$", "ab", true),
            (r"^[^\s/]+$", "a/b", false),
            (r"^\x41\101\a?$", "AA", true),
            (r"^(?P<x>a)$", "a", true),
            (r"\bfoo\b", "a foo b", true),
            (r"^[--a]$", "-", true),
            (r"^\/a\_b$", "/a_b", true),
            (r"^\p{Greek}+\x{3b2}$", "αβ", true),
        ];
        for (pattern, text, expected) in cases {
            let regex = Regex::new(&translate(pattern).unwrap()).unwrap();
            assert_eq!(regex.is_match(text), expected, "{pattern}");
        }
        for pattern in [r"\y", r"[a", "a\\", r"\8"] {
            assert!(translate(pattern).is_err(), "{pattern}");
        }
    }

    proptest::proptest! {
        #[test]
        fn every_expression_is_translated_or_refused(pattern in "[a-z0-9\\\\\\[\\]{}()^$.*+?|&~: é-]{0,30}") {
            if let Ok(translated) = translate(&pattern) {
                let _ = Regex::new(&translated);
            }
        }
    }

    #[test]
    fn templates_expand_as_in_go() {
        let captures = Regex::new("(a)(?<name>b)").unwrap();
        let captures = captures.captures("ab").unwrap();
        for (template, expected) in [
            ("$1-$name", "a-b"),
            ("${1}x", "ax"),
            ("$1x", ""),
            ("$$1", "$1"),
            ("$", "$"),
            ("${1", "${1"),
            ("$9", ""),
            ("a$ b", "a$ b"),
        ] {
            let mut out = String::new();
            expanded(&captures, template, &mut out);
            assert_eq!(out, expected, "{template}");
        }
    }
}
