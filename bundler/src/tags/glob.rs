//! A pattern of tags, as people write it for shells: `1.27.*`, `*-alpine`.
//! Takes a text; says which tags it matches, and what all of them end with.

use std::fmt;
use std::str::FromStr;

/// A pattern of tags. `*` stands for any characters, none among them, `?` for one; all of a tag must match.
///
/// ```
/// use bundle_bundler::TagGlob;
///
/// let glob: TagGlob = "1.27.*".parse()?;
/// assert!(glob.matches("1.27.3-alpine") && !glob.matches("1.27"));
/// # Ok::<(), bundle_bundler::ParseGlobError>(())
/// ```
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct TagGlob(String);

/// Why a text is no pattern of tags.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum ParseGlobError {
    /// Nothing, or more than the longest tag has.
    #[error("pattern of tags has {0} characters where 1 to 128 are allowed")]
    Length(usize),
    /// A character that no tag has.
    #[error("pattern of tags may have letters, digits, '_', '.' and '-', and '*' and '?' for any of them")]
    Character,
}

/// The characters of the longest tag (distribution-spec §Pulling manifests).
const LONGEST: usize = 128;

impl TagGlob {
    /// Whether a text is meant as a pattern, and not as one tag.
    pub(crate) fn is_meant(text: &str) -> bool {
        text.contains(['*', '?'])
    }

    /// The pattern of every tag.
    pub(crate) fn any() -> Self {
        Self("*".to_owned())
    }

    /// Whether it matches a tag.
    pub fn matches(&self, tag: &str) -> bool {
        let (pattern, tag) = (self.0.as_bytes(), tag.as_bytes());
        let (mut at, mut seen) = (0, 0);
        // Where to go on if the rest does not match: the last star takes one character more.
        let mut star = None;
        while seen < tag.len() {
            match pattern.get(at) {
                Some(b'*') => {
                    star = Some((at + 1, seen));
                    at += 1;
                }
                Some(letter) if *letter == b'?' || *letter == tag[seen] => {
                    at += 1;
                    seen += 1;
                }
                _ => {
                    let Some((after, from)) = star else { return false };
                    star = Some((after, from + 1));
                    at = after;
                    seen = from + 1;
                }
            }
        }
        pattern[at..].iter().all(|letter| *letter == b'*')
    }

    /// The variant that all tags have that it matches: `-alpine` of `*-alpine`. Empty if it names none.
    pub(crate) fn variant(&self) -> &str {
        let end = self.0.rfind(['*', '?']).map_or(0, |wild| wild + 1);
        let rest = &self.0[end..];
        if end > 0 && rest.starts_with('-') { rest } else { "" }
    }

    /// The part before [`Self::variant`].
    pub(crate) fn before_variant(&self) -> &str {
        &self.0[..self.0.len() - self.variant().len()]
    }
}

impl FromStr for TagGlob {
    type Err = ParseGlobError;

    fn from_str(text: &str) -> Result<Self, ParseGlobError> {
        let length = text.chars().count();
        if !(1..=LONGEST).contains(&length) {
            return Err(ParseGlobError::Length(length));
        }
        let allowed =
            |byte: u8| byte.is_ascii_alphanumeric() || matches!(byte, b'_' | b'.' | b'-' | b'*' | b'?');
        if text.bytes().all(allowed) { Ok(Self(text.to_owned())) } else { Err(ParseGlobError::Character) }
    }
}

impl fmt::Display for TagGlob {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn glob(text: &str) -> TagGlob {
        text.parse().unwrap()
    }

    #[test]
    fn a_pattern_matches_all_of_a_tag() {
        for (pattern, tag, matches) in [
            ("1.27.*", "1.27.3", true),
            ("1.27.*", "1.27.3-alpine", true),
            ("1.27.*", "1.27", false),
            ("1.27.*", "1.27.", true),
            ("1.27*", "1.27", true),
            ("1.27.?", "1.27.12", false),
            ("1.27.??", "1.27.12", true),
            ("*-alpine", "1.27-alpine", true),
            ("*-alpine", "1.27-alpine3.20", false),
            ("*alp*ne*", "1-alpalpine-x", true),
            ("v*", "1", false),
            ("*", "latest", true),
            ("latest", "latest", true),
            ("Latest", "latest", false),
        ] {
            assert_eq!(glob(pattern).matches(tag), matches, "{pattern} {tag}");
        }
    }

    #[test]
    fn a_variant_is_what_is_written_after_the_last_star() {
        for (pattern, before, variant) in [
            ("*-alpine", "*", "-alpine"),
            ("1.27.*-alpine", "1.27.*", "-alpine"),
            ("1.27.*", "1.27.*", ""),
            ("1.28.0-rc.*", "1.28.0-rc.*", ""),
            ("*alpine", "*alpine", ""),
            ("1-alpine", "1-alpine", ""),
        ] {
            let glob = glob(pattern);
            assert_eq!((glob.before_variant(), glob.variant()), (before, variant));
        }
    }

    #[test]
    fn what_no_tag_could_match_is_refused() {
        for wrong in ["", "a b", "a/b", "a:b", "[0-9]", "{a,b}", "é*", &"a".repeat(129)] {
            assert!(wrong.parse::<TagGlob>().is_err(), "{wrong}");
        }
    }

    proptest! {
        #[test]
        fn a_pattern_is_what_a_regular_expression_would_be(pattern in "[ab*?]{1,8}", tag in "[ab]{0,8}") {
            fn plain(pattern: &[u8], tag: &[u8]) -> bool {
                match (pattern.split_first(), tag.split_first()) {
                    (None, rest) => rest.is_none(),
                    (Some((b'*', more)), rest) => {
                        plain(more, tag) || rest.is_some_and(|(_, tag)| plain(pattern, tag))
                    }
                    (Some((b'?', more)), Some((_, rest))) => plain(more, rest),
                    (Some((letter, more)), Some((first, rest))) => letter == first && plain(more, rest),
                    (Some(_), None) => false,
                }
            }
            prop_assert_eq!(glob(&pattern).matches(&tag), plain(pattern.as_bytes(), tag.as_bytes()));
        }
    }
}
