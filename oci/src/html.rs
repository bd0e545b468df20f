//! Untrusted text on its way into an HTML page.
//! Takes any text, gives text that is neither markup nor a command to a terminal.

use std::fmt::{self, Write as _};

use crate::Printable;

/// Untrusted text on its way into an element or a quoted attribute of an HTML page: the five characters that are
/// markup become references, and what [`Printable`] does not show stays escaped as there. Text longer than 512
/// characters is cut.
#[derive(Clone, Copy, Debug)]
pub struct Html<'a>(pub &'a str);

impl fmt::Display for Html<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(Escaping(f), "{}", Printable(self.0))
    }
}

struct Escaping<'a, 'b>(&'a mut fmt::Formatter<'b>);

impl fmt::Write for Escaping<'_, '_> {
    fn write_str(&mut self, text: &str) -> fmt::Result {
        text.chars().try_for_each(|character| match character {
            '&' => self.0.write_str("&amp;"),
            '<' => self.0.write_str("&lt;"),
            '>' => self.0.write_str("&gt;"),
            '"' => self.0.write_str("&quot;"),
            '\'' => self.0.write_str("&#39;"),
            other => self.0.write_char(other),
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn no_text_becomes_markup_or_reverses_a_line() {
        let hostile = "a\"><script>'&amp;\u{202e}\n";
        assert_eq!(Html(hostile).to_string(), "a&quot;&gt;&lt;script&gt;&#39;&amp;amp;\\u{202e}\\u{a}");
    }
}
