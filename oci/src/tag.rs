//! Tags of the distribution specification.
//! Takes text, gives a tag of at most 128 characters.

use std::str::FromStr;
use std::sync::Arc;

/// A tag: up to 128 word characters, dots and dashes, the first a word character
/// (distribution-spec §Pulling manifests: `[a-zA-Z0-9_][a-zA-Z0-9._-]{0,127}`). Copies share the text.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Tag(Arc<str>);

impl Tag {
    /// The tag that a reference without tag and digest means.
    pub fn latest() -> Self {
        Self("latest".into())
    }
}

/// Why a text is no tag.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum ParseTagError {
    /// Nothing, or more than 128 characters.
    #[error("tag has {0} characters where 1 to 128 are allowed")]
    Length(usize),
    /// A character outside the grammar, or a dot or dash at the start.
    #[error("tag may have letters, digits, '_', '.' and '-', and starts with none of the last two")]
    Character,
}

impl FromStr for Tag {
    type Err = ParseTagError;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let length = text.chars().count();
        if length == 0 || length > 128 {
            return Err(ParseTagError::Length(length));
        }
        let word = |byte: u8| byte.is_ascii_alphanumeric() || byte == b'_';
        let valid = text.bytes().all(|byte| word(byte) || byte == b'.' || byte == b'-');
        if !valid || !word(text.as_bytes()[0]) {
            return Err(ParseTagError::Character);
        }
        Ok(Self(text.into()))
    }
}

crate::string_type!(Tag);

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn tags_follow_the_distribution_grammar() {
        for good in ["latest", "1.25", "_", "v1.2.3-rc.1_b", "A"] {
            assert_eq!(good.parse::<Tag>().unwrap().as_str(), good);
        }
        assert_eq!("".parse::<Tag>(), Err(ParseTagError::Length(0)));
        assert_eq!("x".repeat(129).parse::<Tag>(), Err(ParseTagError::Length(129)));
        for bad in [".a", "-a", "a/b", "a:b", "a b", "ä", "a\n"] {
            assert_eq!(bad.parse::<Tag>(), Err(ParseTagError::Character), "{bad:?}");
        }
    }
}
