use bundle_oci::Printable;

use crate::{Item, ItemError};

/// A line that is no item.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct BadLine {
    /// The line's number, from 1.
    pub line: usize,
    /// What stands there.
    pub text: String,
    /// What is wrong with it.
    pub error: ItemError,
}

/// Every bad line of a list, and the list's name.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ListError {
    /// What the list is called.
    pub name: String,
    /// The bad lines.
    pub lines: Vec<BadLine>,
}

impl std::fmt::Display for ListError {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        const SHOWN: usize = 20;
        for (position, bad) in self.lines.iter().take(SHOWN).enumerate() {
            let separator = if position == 0 { "" } else { "\n" };
            write!(f, "{separator}{}:{}: '{}': {}", self.name, bad.line, Printable(&bad.text), bad.error)?;
        }
        match self.lines.len().checked_sub(SHOWN) {
            Some(more) if more > 0 => write!(f, "\n{}: and {more} more bad lines", self.name),
            _ => Ok(()),
        }
    }
}

impl std::error::Error for ListError {}

/// Reads a list of images: one item a line, `#` starts a comment. Each item comes with its line.
///
/// # Errors
/// All lines that are no items.
pub(crate) fn parse(text: &str, name: &str) -> Result<Vec<(usize, Item)>, ListError> {
    let mut items = Vec::new();
    let mut bad = Vec::new();
    let text = text.strip_prefix('\u{feff}').unwrap_or(text);
    for (position, line) in text.lines().enumerate() {
        // No reference has a `#`, so a comment may follow one without white space.
        let content = line.split('#').next().unwrap_or_default().trim();
        if content.is_empty() {
            continue;
        }
        match content.parse() {
            Ok(item) => items.push((position + 1, item)),
            Err(error) => bad.push(BadLine { line: position + 1, text: content.to_owned(), error }),
        }
    }
    if bad.is_empty() { Ok(items) } else { Err(ListError { name: name.to_owned(), lines: bad }) }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn comments_blank_lines_and_windows_endings_are_fine() {
        let text = "\u{feff}# images\r\nnginx:1.25   # the proxy\r\n\r\n  quay.io/a/b => bee\r\n";
        let items = parse(text, "images.txt").unwrap();
        let lines: Vec<_> = items.iter().map(|(line, item)| (*line, item.reference.to_string())).collect();
        assert_eq!(
            lines,
            [(2, "docker.io/library/nginx:1.25".to_owned()), (4, "quay.io/a/b:latest".to_owned())]
        );
    }

    #[test]
    fn all_bad_lines_are_told_at_once() {
        let error = parse("foo/Bar\nok\nhttps://x/y\na b\n", "images.txt").unwrap_err();
        assert_eq!(
            error.to_string(),
            "images.txt:1: 'foo/Bar': repository name must be lower case\n\
             images.txt:3: 'https://x/y': reference must not start with a scheme such as https://\n\
             images.txt:4: 'a b': reference has white space in it"
        );
    }

    proptest! {
        #[test]
        fn any_text_is_read_without_panic(text in "\\PC{0,200}") {
            let _ = parse(&text, "list");
        }
    }
}
