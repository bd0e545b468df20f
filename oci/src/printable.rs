use std::fmt;

/// Untrusted text on its way to a terminal or a log: control characters, line separators and
/// bidirectional overrides are shown as escapes, so that no input can move the cursor, recolour
/// the screen or reverse a line. What is longer than 512 characters is cut.
#[derive(Clone, Copy)]
pub struct Printable<'a>(pub &'a str);

const LONGEST: usize = 512;

impl fmt::Display for Printable<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        use fmt::Write as _;
        for (position, character) in self.0.chars().enumerate() {
            if position == LONGEST {
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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn escapes_never_reach_the_terminal() {
        let hostile = "a\u{1b}[31mred\u{202e}txt\r\n";
        assert_eq!(Printable(hostile).to_string(), "a\\u{1b}[31mred\\u{202e}txt\\u{d}\\u{a}");
        assert_eq!(Printable("ü – 漢字").to_string(), "ü – 漢字");
        assert!(Printable(&"x".repeat(10_000)).to_string().len() < 600);
        assert!(Printable::shows('ü') && !Printable::shows('\n') && !Printable::shows('\u{9b}'));
    }
}
