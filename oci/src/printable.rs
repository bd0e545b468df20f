//! Untrusted text made safe for terminals and logs, and errors told with their causes.
//! Takes any text, gives text without control characters.

use std::fmt;

/// Untrusted text on its way to a terminal or a log: control characters, line separators and bidirectional
/// overrides are shown as escapes, so that no input can move the cursor, recolour the screen or reverse a
/// line. Text longer than 512 characters is cut.
#[derive(Clone, Copy)]
pub struct Printable<'a>(pub &'a str);

const SHOWN: usize = 512;

impl fmt::Display for Printable<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        use fmt::Write as _;
        for (position, character) in self.0.chars().enumerate() {
            if position == SHOWN {
                return f.write_str("…");
            }
            if Self::shows(character) {
                f.write_char(character)?;
            } else {
                write!(f, "\\u{{{:x}}}", u32::from(character))?;
            }
        }
        Ok(())
    }
}

impl Printable<'_> {
    /// Whether a character is shown as it is: it neither commands a terminal nor hides.
    pub fn shows(character: char) -> bool {
        !character.is_control() && !is_invisible(character)
    }
}

impl fmt::Debug for Printable<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

/// Line and paragraph separators, zero-width characters, and the marks that reorder text
/// (Unicode UAX #9).
fn is_invisible(character: char) -> bool {
    matches!(
        character,
        '\u{ad}' | '\u{61c}' | '\u{200b}'..='\u{200f}' | '\u{2028}'..='\u{202e}' | '\u{2060}'..='\u{206f}' | '\u{feff}'
    )
}

/// An error and its causes in one text, each once. It is not escaped: that is [`Printable`]'s part.
pub fn chain(error: &dyn std::error::Error) -> String {
    let mut text = error.to_string();
    let mut cause = error.source();
    while let Some(current) = cause {
        let next = current.to_string();
        // Some libraries repeat the cause in their own message.
        if !text.ends_with(&next) {
            text.push_str(": ");
            text.push_str(&next);
        }
        cause = current.source();
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    #[derive(Debug, thiserror::Error)]
    enum Told {
        #[error("no disk")]
        Alone,
        #[error("x.tar cannot be read")]
        Once(#[source] Box<Told>),
        #[error("x.tar: {0}")]
        Twice(#[source] Box<Told>),
    }

    #[test]
    fn every_cause_is_told_once() {
        let error = Told::Twice(Box::new(Told::Once(Box::new(Told::Alone))));
        assert_eq!(chain(&error), "x.tar: x.tar cannot be read: no disk");
    }

    #[test]
    fn escapes_never_reach_the_terminal() {
        let hostile = "a\u{1b}[31mred\u{202e}txt\r\n";
        assert_eq!(Printable(hostile).to_string(), "a\\u{1b}[31mred\\u{202e}txt\\u{d}\\u{a}");
        assert_eq!(Printable("ü – 漢字").to_string(), "ü – 漢字");
        assert!(Printable(&"x".repeat(10_000)).to_string().len() < 600);
        assert!(Printable::shows('ü') && !Printable::shows('\n') && !Printable::shows('\u{9b}'));
    }
}
