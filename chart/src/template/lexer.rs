//! Cuts a template's text into tokens (Go's text/template/parse).
//! Takes a text; gives tokens with their lines.

use super::ast::Position;

/// A piece of a template's text.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Token {
    pub(crate) kind: TokenKind,
    pub(crate) start: Position,
    pub(crate) end: Position,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum TokenKind {
    Text,
    LeftDelimiter,
    RightDelimiter,
    Space,
    Pipe,
    Comma,
    Assign,
    Declare,
    LeftParenthesis,
    RightParenthesis,
    Dot,
    Field,
    Variable,
    /// A function's name or a keyword.
    Word,
    Number,
    Character,
    String,
    End,
}

/// A fault in a template's text, with its line.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct SyntaxError {
    pub(crate) at: Position,
    pub(crate) message: String,
}

impl SyntaxError {
    pub(crate) fn new(at: Position, message: impl Into<String>) -> Self {
        Self { at, message: message.into() }
    }
}

const LEFT: &str = "{{";
const RIGHT: &str = "}}";
const COMMENT_START: &str = "/*";
const COMMENT_END: &str = "*/";

/// Characters that Go takes for white space next to trim markers.
const SPACES: [char; 4] = [' ', '\t', '\r', '\n'];

/// Cuts a template's text into tokens, one at a time. Trim markers and comments are dealt with here.
#[derive(Clone, Debug)]
pub(crate) struct Lexer<'a> {
    text: &'a str,
    position: Position,
    inside_action: bool,
    parentheses: usize,
    action_start: Position,
}

impl<'a> Lexer<'a> {
    pub(crate) const fn new(text: &'a str) -> Self {
        Self { text, position: 0, inside_action: false, parentheses: 0, action_start: 0 }
    }

    /// Where the next token begins.
    pub(crate) const fn position(&self) -> Position {
        self.position
    }

    pub(crate) fn next(&mut self) -> Result<Token, SyntaxError> {
        if self.inside_action { self.inside_action() } else { self.outside_action() }
    }

    fn outside_action(&mut self) -> Result<Token, SyntaxError> {
        loop {
            let start = self.position;
            if start == self.text.len() {
                return Ok(self.token(TokenKind::End, start));
            }
            let Some(found) = self.text[start..].find(LEFT) else {
                self.position = self.text.len();
                return Ok(self.token(TokenKind::Text, start));
            };
            let delimiter = start + found;
            let after = &self.text[delimiter + LEFT.len()..];
            let trims = has_left_marker(after);
            let text = &self.text[start..delimiter];
            let kept = if trims { text.trim_end_matches(SPACES).len() } else { text.len() };
            if kept > 0 {
                // The delimiter itself comes next, so it is found again without its text.
                self.position = delimiter;
                return Ok(Token { kind: TokenKind::Text, start, end: start + kept });
            }
            self.position = delimiter + LEFT.len() + if trims { MARKER } else { 0 };
            if self.rest().starts_with(COMMENT_START) {
                self.comment(delimiter)?;
                continue;
            }
            self.inside_action = true;
            self.parentheses = 0;
            self.action_start = delimiter;
            return Ok(Token { kind: TokenKind::LeftDelimiter, start: delimiter, end: self.position });
        }
    }

    fn comment(&mut self, start: Position) -> Result<(), SyntaxError> {
        let body = self.position + COMMENT_START.len();
        let Some(length) = self.text[body..].find(COMMENT_END) else {
            return Err(SyntaxError::new(start, "unclosed comment"));
        };
        self.position = body + length + COMMENT_END.len();
        match self.right_delimiter() {
            Some(trims) => self.skip_right_delimiter(trims),
            None => {
                return Err(SyntaxError::new(self.position, "comment ends before closing delimiter"));
            }
        }
        Ok(())
    }

    /// Whether a right delimiter is next, and then whether it trims.
    fn right_delimiter(&self) -> Option<bool> {
        let rest = self.rest();
        if has_right_marker(rest) && rest[MARKER..].starts_with(RIGHT) {
            return Some(true);
        }
        rest.starts_with(RIGHT).then_some(false)
    }

    fn skip_right_delimiter(&mut self, trims: bool) {
        self.position += RIGHT.len() + if trims { MARKER } else { 0 };
        if trims {
            self.position = self.text.len() - self.rest().trim_start_matches(SPACES).len();
        }
    }

    fn inside_action(&mut self) -> Result<Token, SyntaxError> {
        let start = self.position;
        if let Some(trims) = self.right_delimiter() {
            if self.parentheses > 0 {
                return Err(SyntaxError::new(start, "unclosed left parenthesis"));
            }
            self.skip_right_delimiter(trims);
            self.inside_action = false;
            return Ok(Token { kind: TokenKind::RightDelimiter, start, end: self.position });
        }
        let Some(first) = self.rest().chars().next() else {
            return Err(SyntaxError::new(self.action_start, "unclosed action"));
        };
        match first {
            c if SPACES.contains(&c) => {
                self.spaces();
                return Ok(self.token(TokenKind::Space, start));
            }
            '"' | '\'' => return self.quoted(first),
            '`' => {
                let Some(length) = self.text[start + 1..].find('`') else {
                    return Err(SyntaxError::new(start, "unterminated raw quoted string"));
                };
                self.position = start + length + 2;
                return Ok(self.token(TokenKind::String, start));
            }
            '.' if !self.byte(1).is_some_and(|byte| byte.is_ascii_digit()) => {
                self.position += 1;
                if self.at_end_of_word() {
                    return Ok(self.token(TokenKind::Dot, start));
                }
                self.word()?;
                return Ok(self.token(TokenKind::Field, start));
            }
            '$' => {
                self.position += 1;
                self.word()?;
                return Ok(self.token(TokenKind::Variable, start));
            }
            '+' | '-' | '.' | '0'..='9' => {
                self.number()?;
                return Ok(self.token(TokenKind::Number, start));
            }
            c if is_word(c) => {
                self.word()?;
                return Ok(self.token(TokenKind::Word, start));
            }
            _ => {}
        }
        self.position += first.len_utf8();
        let kind = match first {
            '=' => TokenKind::Assign,
            ':' if self.rest().starts_with('=') => {
                self.position += 1;
                TokenKind::Declare
            }
            ':' => return Err(SyntaxError::new(start, "expected :=")),
            '|' => TokenKind::Pipe,
            ',' => TokenKind::Comma,
            '(' => {
                self.parentheses += 1;
                TokenKind::LeftParenthesis
            }
            ')' => {
                let Some(left) = self.parentheses.checked_sub(1) else {
                    return Err(SyntaxError::new(start, "unexpected right parenthesis"));
                };
                self.parentheses = left;
                TokenKind::RightParenthesis
            }
            c => return Err(SyntaxError::new(start, format!("unexpected {c:?} in action"))),
        };
        Ok(self.token(kind, start))
    }

    /// Goes past white space, but not past the space that belongs to a trim marker.
    fn spaces(&mut self) {
        let rest = self.rest();
        let length = rest.len() - rest.trim_start_matches(SPACES).len();
        self.position += length;
        if self.rest().starts_with("-}}") {
            self.position -= 1;
        }
    }

    fn quoted(&mut self, quote: char) -> Result<Token, SyntaxError> {
        let start = self.position;
        let (kind, what) = match quote {
            '"' => (TokenKind::String, "quoted string"),
            _ => (TokenKind::Character, "character constant"),
        };
        let mut escaped = false;
        for (offset, c) in self.text[start + 1..].char_indices() {
            match c {
                '\n' => break,
                _ if escaped => escaped = false,
                '\\' => escaped = true,
                c if c == quote => {
                    self.position = start + 1 + offset + 1;
                    return Ok(self.token(kind, start));
                }
                _ => {}
            }
        }
        Err(SyntaxError::new(start, format!("unterminated {what}")))
    }

    fn word(&mut self) -> Result<(), SyntaxError> {
        let rest = self.rest();
        let length = rest.find(|c| !is_word(c)).unwrap_or(rest.len());
        self.position += length;
        if self.at_end_of_word() {
            return Ok(());
        }
        let c = self.rest().chars().next().unwrap_or_default();
        Err(SyntaxError::new(self.position, format!("bad character {c:?}")))
    }

    fn at_end_of_word(&self) -> bool {
        let Some(next) = self.rest().chars().next() else { return true };
        SPACES.contains(&next) || ".,|:()".contains(next) || self.rest().starts_with(RIGHT)
    }

    /// Takes what looks like a number; whether it is one is seen when it is read.
    fn number(&mut self) -> Result<(), SyntaxError> {
        let start = self.position;
        let rest = self.rest();
        let mut length = 0;
        let mut before = '\0';
        let hexadecimal = rest.trim_start_matches(['+', '-']).starts_with(['0']) && {
            let digits = rest.trim_start_matches(['+', '-']);
            digits.starts_with("0x") || digits.starts_with("0X")
        };
        for c in rest.chars() {
            let exponent = if hexadecimal { ['p', 'P'] } else { ['e', 'E'] };
            let sign = matches!(c, '+' | '-') && (length == 0 || exponent.contains(&before));
            if !(sign || c == '.' || is_word(c)) {
                break;
            }
            before = c;
            length += c.len_utf8();
        }
        self.position += length;
        if self.at_end_of_word() {
            return Ok(());
        }
        Err(SyntaxError::new(start, format!("bad number syntax: {:?}", &rest[..length])))
    }

    fn rest(&self) -> &'a str {
        &self.text[self.position..]
    }

    fn byte(&self, offset: usize) -> Option<u8> {
        self.text.as_bytes().get(self.position + offset).copied()
    }

    const fn token(&self, kind: TokenKind, start: Position) -> Token {
        Token { kind, start, end: self.position }
    }
}

/// The length of a trim marker and its space.
const MARKER: usize = 2;

fn has_left_marker(text: &str) -> bool {
    text.strip_prefix('-').is_some_and(|rest| rest.starts_with(SPACES))
}

fn has_right_marker(text: &str) -> bool {
    text.strip_prefix(SPACES).is_some_and(|rest| rest.starts_with('-'))
}

fn is_word(c: char) -> bool {
    c == '_' || c.is_alphanumeric()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn tokens(text: &str) -> Result<Vec<(TokenKind, &str)>, SyntaxError> {
        let mut lexer = Lexer::new(text);
        let mut tokens = Vec::new();
        loop {
            let token = lexer.next()?;
            if token.kind == TokenKind::End {
                return Ok(tokens);
            }
            if token.kind != TokenKind::Space {
                tokens.push((token.kind, &text[token.start..token.end]));
            }
        }
    }

    #[test]
    fn trim_markers_take_white_space_away() {
        let texts = |text| -> Vec<&str> {
            let tokens = tokens(text).unwrap();
            tokens.into_iter().filter(|(kind, _)| *kind == TokenKind::Text).map(|(_, text)| text).collect()
        };
        assert_eq!(texts("a \n{{- .x -}} \n b"), ["a", "b"]);
        assert_eq!(texts("a {{ .x }} b"), ["a ", " b"]);
        assert_eq!(texts("a {{- /* gone */ -}} b"), ["a", "b"]);
        assert_eq!(texts("a {{/* gone */}} b"), ["a ", " b"]);
        assert_eq!(texts("{{-1}}x"), ["x"]);
    }

    #[test]
    fn actions_are_cut_into_tokens() {
        use TokenKind::{
            Declare, Dot, Field, LeftDelimiter, LeftParenthesis, Number, Pipe, RightDelimiter,
            RightParenthesis, String, Variable, Word,
        };
        assert_eq!(
            tokens(r#"{{$x := (index .a.b 1.5 -2).c | printf "%d\"" . $}}"#).unwrap(),
            [
                (LeftDelimiter, "{{"),
                (Variable, "$x"),
                (Declare, ":="),
                (LeftParenthesis, "("),
                (Word, "index"),
                (Field, ".a"),
                (Field, ".b"),
                (Number, "1.5"),
                (Number, "-2"),
                (RightParenthesis, ")"),
                (Field, ".c"),
                (Pipe, "|"),
                (Word, "printf"),
                (String, r#""%d\"""#),
                (Dot, "."),
                (Variable, "$"),
                (RightDelimiter, "}}"),
            ]
        );
    }

    #[test]
    fn what_is_no_template_is_refused_where_it_is_wrong() {
        let cases = [
            ("{{", 0, "unclosed action"),
            ("a{{ .x", 1, "unclosed action"),
            ("{{/* a", 0, "unclosed comment"),
            ("{{/* a */ b}}", 9, "comment ends before closing delimiter"),
            ("{{ \"a }}", 3, "unterminated quoted string"),
            ("{{ `a }}", 3, "unterminated raw quoted string"),
            ("{{ (.a }}", 7, "unclosed left parenthesis"),
            ("{{ .a) }}", 5, "unexpected right parenthesis"),
            ("{{ $x : 1 }}", 6, "expected :="),
            ("{{ .a+1 }}", 5, "bad character '+'"),
            ("{{ 1a! }}", 3, "bad number syntax: \"1a\""),
            ("{{ % }}", 3, "unexpected '%' in action"),
        ];
        for (text, at, message) in cases {
            assert_eq!(tokens(text), Err(SyntaxError::new(at, message)), "{text}");
        }
    }
}
