//! Go's quoting of texts (strconv.Quote).
//! Takes a text; gives it between quotes, or reads one back.

use std::fmt::Write as _;

/// `strconv.Quote`: the text in double quotes with Go's escapes.
pub(crate) fn quote(text: &str) -> String {
    let mut out = String::with_capacity(text.len() + 2);
    out.push('"');
    for c in text.chars() {
        match c {
            '"' => out.push_str("\\\""),
            _ => push_escaped(&mut out, c, false),
        }
    }
    out.push('"');
    out
}

/// `strconv.QuoteToASCII`.
pub(crate) fn quote_ascii(text: &str) -> String {
    let mut out = String::from('"');
    for c in text.chars() {
        match c {
            '"' => out.push_str("\\\""),
            _ => push_escaped(&mut out, c, true),
        }
    }
    out.push('"');
    out
}

/// `strconv.QuoteRune`: the character in single quotes.
pub(crate) fn quote_rune(c: char) -> String {
    let mut out = String::from('\'');
    match c {
        '\'' => out.push_str("\\'"),
        _ => push_escaped(&mut out, c, false),
    }
    out.push('\'');
    out
}

fn push_escaped(out: &mut String, c: char, ascii_only: bool) {
    match c {
        '\\' => out.push_str("\\\\"),
        '\x07' => out.push_str("\\a"),
        '\x08' => out.push_str("\\b"),
        '\x0c' => out.push_str("\\f"),
        '\n' => out.push_str("\\n"),
        '\r' => out.push_str("\\r"),
        '\t' => out.push_str("\\t"),
        '\x0b' => out.push_str("\\v"),
        c if c.is_ascii_graphic() || c == ' ' || (!ascii_only && is_print(c)) => out.push(c),
        c => {
            let code = u32::from(c);
            // Writing to a string cannot fail.
            let _ = match code {
                0..=0x1f | 0x7f => write!(out, "\\x{code:02x}"),
                0x80..=0xffff => write!(out, "\\u{code:04x}"),
                _ => write!(out, "\\U{code:08x}"),
            };
        }
    }
}

/// `unicode.IsPrint`: letters, marks, numbers, punctuation, symbols and the ASCII space.
pub(crate) fn is_print(c: char) -> bool {
    if c.is_ascii() {
        return c.is_ascii_graphic() || c == ' ';
    }
    // Rust escapes what is not printable, and combining marks where a text begins; so it is asked
    // about a text that begins with something else.
    let mut buffer = [b'a'; 5];
    let length = c.encode_utf8(&mut buffer[1..]).len();
    let text = std::str::from_utf8(&buffer[..=length]).unwrap_or_default();
    text.escape_debug().nth(1) == Some(c)
}

/// `strconv.Unquote` for the quoted and raw texts of templates. `None` if it is malformed.
pub(crate) fn unquote(literal: &str) -> Option<String> {
    if let Some(raw) = literal.strip_prefix('`') {
        // Raw texts lose their carriage returns, as in Go's source.
        return Some(raw.strip_suffix('`')?.replace('\r', ""));
    }
    let inner = literal.strip_prefix('"')?.strip_suffix('"')?;
    if !inner.contains('\\') {
        return Some(inner.to_owned());
    }
    let mut bytes = Vec::with_capacity(inner.len());
    let mut rest = inner;
    while !rest.is_empty() {
        let (unit, tail) = unquote_unit(rest, '"')?;
        match unit {
            Unit::Char(c) => bytes.extend_from_slice(c.encode_utf8(&mut [0; 4]).as_bytes()),
            Unit::Byte(byte) => bytes.push(byte),
        }
        rest = tail;
    }
    // Escaped bytes may make what is no UTF-8; our texts cannot hold it.
    Some(
        String::from_utf8(bytes)
            .unwrap_or_else(|error| String::from_utf8_lossy(error.as_bytes()).into_owned()),
    )
}

/// The character of a constant like `'a'`. `None` if it is malformed.
pub(crate) fn unquote_rune(literal: &str) -> Option<u32> {
    let inner = literal.strip_prefix('\'')?;
    let (unit, tail) = unquote_unit(inner, '\'')?;
    (tail == "'").then_some(match unit {
        Unit::Char(c) => u32::from(c),
        Unit::Byte(byte) => u32::from(byte),
    })
}

enum Unit {
    Char(char),
    /// From `\x` or an octal escape: a byte, not a character.
    Byte(u8),
}

/// One character or escape at the start of `text`, and what follows it.
fn unquote_unit(text: &str, quote: char) -> Option<(Unit, &str)> {
    let mut chars = text.chars();
    let first = chars.next()?;
    if first == quote {
        return None;
    }
    if first != '\\' {
        return Some((Unit::Char(first), chars.as_str()));
    }
    let kind = chars.next()?;
    let rest = chars.as_str();
    let plain = |c| Some((Unit::Char(c), rest));
    match kind {
        'a' => plain('\x07'),
        'b' => plain('\x08'),
        'f' => plain('\x0c'),
        'n' => plain('\n'),
        'r' => plain('\r'),
        't' => plain('\t'),
        'v' => plain('\x0b'),
        '\\' => plain('\\'),
        '\'' | '"' if kind == quote => plain(kind),
        'x' => {
            let byte = u8::from_str_radix(hexadecimal(rest, 2)?, 16).ok()?;
            Some((Unit::Byte(byte), &rest[2..]))
        }
        'u' | 'U' => {
            let length = if kind == 'u' { 4 } else { 8 };
            let code = u32::from_str_radix(hexadecimal(rest, length)?, 16).ok()?;
            Some((Unit::Char(char::from_u32(code)?), &rest[length..]))
        }
        '0'..='7' => {
            let digits = text.get(1..4)?;
            let all_octal = digits.bytes().all(|digit| (b'0'..=b'7').contains(&digit));
            let byte = all_octal.then(|| u8::from_str_radix(digits, 8).ok())??;
            Some((Unit::Byte(byte), &text[4..]))
        }
        _ => None,
    }
}

fn hexadecimal(text: &str, length: usize) -> Option<&str> {
    let digits = text.get(..length)?;
    digits.bytes().all(|digit| digit.is_ascii_hexdigit()).then_some(digits)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn texts_are_quoted_as_in_go() {
        let cases = [
            ("plain", r#""plain""#),
            ("a\"b\\c", r#""a\"b\\c""#),
            ("line\nfeed\ttab", r#""line\nfeed\ttab""#),
            ("\u{1}\u{7f}", r#""\x01\x7f""#),
            ("é✓", "\"é✓\""),
            ("e\u{301}", "\"e\u{301}\""),
            ("\u{a0}\u{200b}", r#""\u00a0\u200b""#),
            ("\u{e0001}", r#""\U000e0001""#),
        ];
        for (text, quoted) in cases {
            assert_eq!(quote(text), quoted);
        }
        assert_eq!(quote_ascii("é"), r#""\u00e9""#);
        assert_eq!(quote_rune('\''), r"'\''");
    }

    #[test]
    fn quoted_texts_are_read_as_in_go() {
        let cases = [
            (r#""a\tb""#, Some("a\tb")),
            (r#""\u00e9\x41\101""#, Some("éAA")),
            (r#""\"""#, Some("\"")),
            (r#""\'""#, None),
            (r#""\q""#, None),
            ("`raw\\n`", Some("raw\\n")),
            (r#""\xc3\xa9""#, Some("é")),
            (r#""\u00e""#, None),
        ];
        for (literal, text) in cases {
            assert_eq!(unquote(literal).as_deref(), text, "{literal}");
        }
        assert_eq!(unquote_rune("'a'"), Some(97));
        assert_eq!(unquote_rune(r"'\n'"), Some(10));
        assert_eq!(unquote_rune("'ab'"), None);
    }
}
