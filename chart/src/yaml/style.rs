//! How a text is quoted in written YAML.
//! Takes a text and where it stands; gives plain, quoted or block style as go-yaml chooses it.

use super::scalar::{Dialect, Scalar, is_base_60, is_old_bool, resolve};

/// Where a text stands.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Context {
    SimpleKey,
    Value,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Style {
    Plain,
    Single,
    Double,
    Literal,
}

impl Style {
    /// The style that Helm writes a text in, outside of flow collections.
    pub(super) fn of(text: &str, context: Context, dialect: Dialect) -> Self {
        let analysis = Analysis::of(text, dialect);
        let plain_means_text = resolve(text, dialect) == Scalar::String
            && !is_base_60(text)
            && !(dialect == Dialect::V3 && is_old_bool(text));
        if context == Context::SimpleKey && analysis.multiline {
            return Self::Double;
        }
        if text.contains('\n') {
            return match analysis.block && context == Context::Value {
                true => Self::Literal,
                false => Self::Double,
            };
        }
        match (plain_means_text, analysis.plain, analysis.single) {
            (false, ..) => Self::Double,
            (true, true, _) => Self::Plain,
            (true, false, true) => Self::Single,
            (true, false, false) => Self::Double,
        }
    }
}

/// Which styles can hold a text, outside of flow collections.
struct Analysis {
    multiline: bool,
    plain: bool,
    single: bool,
    block: bool,
}

impl Analysis {
    fn of(text: &str, dialect: Dialect) -> Self {
        let mut chars = text.chars().peekable();
        let Some(first) = text.chars().next() else {
            return Self { multiline: false, plain: true, single: true, block: false };
        };
        let mut indicators = text.starts_with("---") || text.starts_with("...");
        let (mut breaks, mut special, mut tabs) = (false, false, false);
        let (mut break_space, mut space_break) = (false, false);
        let mut before = ' ';
        let mut at_start = true;
        while let Some(c) = chars.next() {
            let blank_follows = chars.peek().is_none_or(|next| matches!(next, ' ' | '\t'));
            indicators |= match c {
                '#' if at_start => true,
                '#' => is_blank_or_break(before),
                ',' | '[' | ']' | '{' | '}' | '&' | '*' | '!' | '|' | '>' | '\'' | '"' | '%' | '@' | '`' => {
                    at_start
                }
                '?' | '-' => at_start && blank_follows,
                ':' => blank_follows,
                _ => false,
            };
            match c {
                '\t' if dialect == Dialect::V3 => tabs = true,
                c => special |= !is_printable(c),
            }
            if is_break(c) {
                breaks = true;
                space_break |= !at_start && before == ' ';
            } else if c == ' ' {
                break_space |= !at_start && is_break(before);
            }
            before = c;
            at_start = false;
        }
        let last = before;
        let blank_ends = first == ' ' || is_break(first) || last == ' ' || is_break(last);
        let quotable = !space_break && !special;
        Self {
            multiline: breaks,
            plain: !indicators && !blank_ends && !breaks && !break_space && quotable && !tabs,
            single: !break_space && quotable && !tabs,
            block: last != ' ' && quotable,
        }
    }
}

/// Whether go-yaml writes a character as it is: nothing beyond the first 65,536 characters, and no tab.
pub(super) fn is_printable(c: char) -> bool {
    matches!(c, '\n' | ' '..='~' | '\u{a0}'..='\u{d7ff}' | '\u{e000}'..='\u{fffd}') && c != '\u{feff}'
}

pub(super) const fn is_break(c: char) -> bool {
    matches!(c, '\r' | '\n' | '\u{85}' | '\u{2028}' | '\u{2029}')
}

const fn is_blank_or_break(c: char) -> bool {
    matches!(c, ' ' | '\t' | '\0') || is_break(c)
}
