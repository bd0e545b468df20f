//! Template functions for words: cases, wrapping, plurals (Sprig).
//! Take and give texts.

use super::strings::{lower, map_chars, upper};
use super::{Call, Failure, Function};
use crate::Value;

pub(super) const FUNCTIONS: &[Function] = &[
    Function::fixed("title", 1, |call| call.give(title(call.string(0)?))),
    Function::fixed("untitle", 1, |call| call.give(untitle(call.string(0)?))),
    Function::fixed("swapcase", 1, |call| call.give(swap_case(call.string(0)?))),
    Function::fixed("camelcase", 1, |call| call.give(pascal_case(call.string(0)?))),
    Function::fixed("snakecase", 1, |call| call.give(joined_words(call.string(0)?, '_'))),
    Function::fixed("kebabcase", 1, |call| call.give(joined_words(call.string(0)?, '-'))),
    Function::fixed("nospace", 1, |call| call.give(call.string(0)?.replace(char::is_whitespace, ""))),
    Function::fixed("initials", 1, |call| {
        let words = call.string(0)?.split_whitespace();
        call.give(words.filter_map(|word| word.chars().next()).collect::<String>())
    }),
    Function::fixed("plural", 3, |call| {
        let chosen = if call.int(2)? == 1 { 0 } else { 1 };
        call.give(call.string(chosen)?)
    }),
    Function::fixed("abbrev", 2, |call| {
        let (width, text) = (call.int(0)?, call.string(1)?);
        call.give(if width < 4 { text.to_owned() } else { abbreviated(text, 0, width) })
    }),
    Function::fixed("abbrevboth", 3, |call| {
        let (offset, width, text) = (call.int(0)?, call.int(1)?, call.string(2)?);
        let too_narrow = width < 4 || (offset > 0 && width < 7);
        call.give(if too_narrow { text.to_owned() } else { abbreviated(text, offset, width) })
    }),
    Function::fixed("wrap", 2, |call| wrapped(call, "\n", call.string(1)?, LongWords::Keep)),
    Function::fixed("wrapWith", 3, |call| {
        let line_end = match call.string(1)? {
            "" => "\n",
            line_end => line_end,
        };
        wrapped(call, line_end, call.string(2)?, LongWords::Cut)
    }),
    // Random in Sprig. The same order as before is one of those that it could be.
    Function::fixed("shuffle", 1, |call| call.give(call.string(0)?)),
];

/// Every letter that starts a word becomes a capital one; letters, digits, `_` and `'` make words.
fn title(text: &str) -> String {
    let mut before = ' ';
    let change = |c: char| {
        let starts_word = is_separator(before);
        before = c;
        if starts_word { upper(c) } else { c }
    };
    text.chars().map(change).collect()
}

/// Whether `strings.Title` takes a character for the space between two words.
fn is_separator(c: char) -> bool {
    if c.is_ascii() {
        return !(c.is_ascii_alphanumeric() || c == '_');
    }
    !c.is_alphanumeric() && c.is_whitespace()
}

fn untitle(text: &str) -> String {
    let mut starts_word = true;
    let change = |c: char| {
        if c.is_whitespace() {
            starts_word = true;
            return c;
        }
        if std::mem::take(&mut starts_word) { lower(c) } else { c }
    };
    text.chars().map(change).collect()
}

fn swap_case(text: &str) -> String {
    let mut after_space = true;
    let change = |c: char| {
        if c.is_uppercase() {
            after_space = false;
            return lower(c);
        }
        if c.is_lowercase() {
            after_space = false;
            return upper(c);
        }
        after_space = c.is_whitespace();
        c
    };
    text.chars().map(change).collect()
}

fn is_connector(c: char) -> bool {
    c == '-' || c == '_' || c.is_whitespace()
}

/// `some_words` becomes `SomeWords`. Connectors at the start, and all but one between words, stay.
fn pascal_case(text: &str) -> String {
    let mut out = String::new();
    let mut chars = text.chars();
    let mut current = None;
    let mut first_was_upper = false;
    for c in chars.by_ref() {
        if !is_connector(c) {
            first_was_upper = c.is_uppercase();
            current = Some(upper(c));
            break;
        }
        out.push(c);
    }
    let Some(mut current) = current else { return out };
    for c in chars {
        let before = current;
        current = c;
        if is_connector(current) && is_connector(before) {
            out.push(before);
        } else if is_connector(before) {
            first_was_upper = current.is_uppercase();
            current = upper(current);
        } else {
            // The rest of a word in capitals loses them: `HTTP` is `Http`.
            if first_was_upper {
                if current.is_uppercase() {
                    current = lower(current);
                } else {
                    first_was_upper = false;
                }
            }
            out.push(before);
        }
    }
    out.push(current);
    out
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum Kind {
    Number,
    /// A word that starts with a capital letter.
    Upper,
    /// A word of small letters.
    Letters,
    Connector,
    Punctuation,
    Other,
}

/// The first word of a text that goes on in capitals, camel case or with connectors.
fn next_word(text: &str) -> Option<(Kind, &str, &str)> {
    let first = text.chars().next()?;
    let run = |belongs: fn(char) -> bool| text.find(|c| !belongs(c)).unwrap_or(text.len());
    let (kind, length) = if is_connector(first) {
        (Kind::Connector, run(is_connector))
    } else if is_punctuation(first) {
        (Kind::Punctuation, run(is_punctuation))
    } else if first.is_uppercase() {
        let capitals = run(char::is_uppercase);
        let after = &text[capitals..];
        let letter_follows = after.chars().next().is_some_and(is_lower_letter);
        if text[..capitals].chars().nth(1).is_none() {
            // One capital letter and the small ones behind it.
            if letter_follows {
                let small = after.find(|c| !is_lower_letter(c)).unwrap_or(after.len());
                (Kind::Upper, capitals + small)
            } else {
                (Kind::Upper, capitals)
            }
        } else if letter_follows {
            // HTTPStatus: the last capital belongs to the next word.
            let last = text[..capitals].char_indices().next_back().map_or(0, |(at, _)| at);
            (Kind::Upper, last)
        } else {
            (Kind::Upper, capitals)
        }
    } else if is_lower_letter(first) {
        (Kind::Letters, run(is_lower_letter))
    } else if first.is_numeric() {
        (Kind::Number, run(char::is_numeric))
    } else {
        let other = |c: char| !(is_connector(c) || is_punctuation(c) || c.is_alphanumeric());
        (Kind::Other, run(other))
    };
    let (word, rest) = text.split_at(length);
    Some((kind, word, rest))
}

fn is_lower_letter(c: char) -> bool {
    c.is_alphabetic() && !c.is_uppercase()
}

/// `unicode.IsPunct` for what templates hold: ASCII's own punctuation, without its symbols.
fn is_punctuation(c: char) -> bool {
    matches!(c, '!' | '"' | '#' | '%' | '&' | '\'' | '(' | ')' | '*' | ',' | '-' | '.' | '/' | ':' | ';')
        || matches!(
            c,
            '?' | '@' | '[' | '\\' | ']' | '_' | '{' | '}' | '¡' | '§' | '«' | '¶' | '·' | '»' | '¿'
        )
        || matches!(c, '\u{2010}'..='\u{2027}' | '\u{2030}'..='\u{205e}' | '\u{3001}'..='\u{3003}')
}

/// `snakecase` and `kebabcase`: small words with `connector` between them. A number belongs to the
/// word before it, unless small letters follow it.
fn joined_words(text: &str, connector: char) -> String {
    let mut out = String::new();
    let push = |out: &mut String, kind: Kind, word: &str| match kind {
        Kind::Connector => out.extend(word.chars().map(|_| connector)),
        Kind::Upper | Kind::Letters => out.push_str(&map_chars(word, lower)),
        _ => out.push_str(word),
    };
    let parts_words = |next: Option<(Kind, &str, &str)>| {
        next.is_some_and(|(kind, ..)| !matches!(kind, Kind::Connector | Kind::Punctuation))
    };
    let Some(mut current) = next_word(text) else { return out };
    while !current.2.is_empty() {
        let (kind, word, rest) = current;
        if kind != Kind::Connector {
            push(&mut out, kind, word);
        }
        let mut next = next_word(rest);
        match kind {
            Kind::Number => {
                while let Some((kind @ (Kind::Letters | Kind::Number), word, rest)) = next {
                    push(&mut out, kind, word);
                    next = next_word(rest);
                }
                if parts_words(next) {
                    out.push(connector);
                }
            }
            Kind::Connector => push(&mut out, kind, word),
            Kind::Punctuation => {}
            _ => match next {
                Some((Kind::Number, number, rest)) if !rest.is_empty() => {
                    next = next_word(rest);
                    if matches!(next, Some((Kind::Letters, ..))) {
                        out.push(connector);
                        push(&mut out, Kind::Number, number);
                        while let Some((kind @ (Kind::Letters | Kind::Number), word, rest)) = next {
                            push(&mut out, kind, word);
                            next = next_word(rest);
                        }
                    } else {
                        push(&mut out, Kind::Number, number);
                    }
                    if parts_words(next) {
                        out.push(connector);
                    }
                }
                Some((Kind::Number, ..)) => {}
                next if parts_words(next) => out.push(connector),
                _ => {}
            },
        }
        match next {
            Some(next) => current = next,
            None => return out,
        }
    }
    push(&mut out, current.0, current.1);
    out
}

/// A text cut to `width` bytes with `...` for what is gone; `offset` is what must stay in sight.
fn abbreviated(text: &str, offset: i64, width: i64) -> String {
    let (length, mut offset) = (text.len() as i64, offset);
    if length <= width {
        return text.to_owned();
    }
    let cut = |start: i64, end: i64| {
        let range = usize::try_from(start).unwrap_or(0)..usize::try_from(end).unwrap_or(0);
        String::from_utf8_lossy(text.as_bytes().get(range).unwrap_or_default()).into_owned()
    };
    offset = offset.clamp(0, length);
    if length - offset < width - 3 {
        offset = length - (width - 3);
    }
    if offset <= 4 {
        return cut(0, width - 3) + "...";
    }
    if offset + width - 3 < length {
        return format!("...{}", abbreviated(&cut(offset, length), 0, width - 3));
    }
    format!("...{}", cut(length - (width - 3), length))
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum LongWords {
    Keep,
    Cut,
}

/// Breaks a text at spaces into lines of the width that is the first argument.
fn wrapped(call: &Call<'_>, line_end: &str, text: &str, long_words: LongWords) -> Result<Value, Failure> {
    let width = usize::try_from(call.int(0)?).unwrap_or(0).max(1);
    // Each line has at least one byte of the text.
    call.budget().bytes(text.len() / width * line_end.len())?;
    let bytes = text.as_bytes();
    let mut out = Vec::new();
    let mut offset = 0;
    while bytes.len() - offset > width {
        if bytes[offset] == b' ' {
            offset += 1;
            continue;
        }
        let line = &bytes[offset..=offset + width];
        let end = match line.iter().rposition(|byte| *byte == b' ') {
            Some(space) => offset + space,
            None if long_words == LongWords::Cut => {
                out.extend_from_slice(&bytes[offset..offset + width]);
                out.extend_from_slice(line_end.as_bytes());
                offset += width;
                continue;
            }
            None => match bytes[offset + width..].iter().position(|byte| *byte == b' ') {
                Some(space) => offset + width + space,
                None => break,
            },
        };
        out.extend_from_slice(&bytes[offset..end]);
        out.extend_from_slice(line_end.as_bytes());
        offset = end + 1;
    }
    out.extend_from_slice(&bytes[offset..]);
    call.give(String::from_utf8_lossy(&out))
}
