//! Makes a syntax tree of tokens (Go's text/template/parse).
//! Takes a text; gives its templates, or an error with its line.

use std::cell::Cell;
use std::sync::Arc;

use super::ast::{Branch, Command, Expression, Node, Number, Operand, Pipeline, Position, Source, Template};
use super::lexer::{Lexer, SyntaxError, Token, TokenKind};
use crate::go::{float, integer, quote};
use crate::{Limit, Limits, functions};

/// Reads a text: its main template, which has the name `name`, comes last, after the templates
/// that it defines. `room` is how many nodes may still be made.
pub(super) fn parse(
    source: &Arc<Source>,
    name: &Arc<str>,
    limits: &Limits,
    room: &Cell<usize>,
) -> Result<Vec<Arc<Template>>, SyntaxError> {
    let mut parser = Parser {
        source,
        lexer: Lexer::new(&source.text),
        ahead: None,
        frame: Frame::new(),
        templates: Vec::new(),
        ranges: 0,
        depth: 0,
        limits,
        room,
    };
    let body = parser.file()?;
    parser.define(0, Arc::clone(name), body)?;
    Ok(parser.templates)
}

struct Parser<'a> {
    source: &'a Arc<Source>,
    lexer: Lexer<'a>,
    ahead: Option<Token>,
    frame: Frame,
    templates: Vec<Arc<Template>>,
    /// How many `range`s are around, for `break` and `continue`.
    ranges: usize,
    depth: usize,
    limits: &'a Limits,
    room: &'a Cell<usize>,
}

/// The variables of a template. Each declaration has a place of its own; blocks that are over give
/// theirs back.
struct Frame {
    names: Vec<String>,
    /// Variables declared in another branch of an open block: their use is an error only when it is executed.
    hidden: Vec<String>,
    most: usize,
}

impl Frame {
    fn new() -> Self {
        Self { names: vec!["$".to_owned()], hidden: Vec::new(), most: 1 }
    }

    fn declare(&mut self, name: &str) -> usize {
        self.names.push(name.to_owned());
        self.most = self.most.max(self.names.len());
        self.names.len() - 1
    }

    fn find(&self, name: &str) -> Option<usize> {
        self.names.iter().rposition(|known| known == name)
    }

    /// Ends a branch that began with `count` variables.
    fn hide(&mut self, count: usize) {
        self.hidden.extend(self.names.drain(count..));
    }
}

/// The token that ends a list of nodes.
enum Ending {
    End,
    /// `else`, and the keyword behind it (`if` or `with`) if there is one.
    Else(Option<Token>),
}

impl<'a> Parser<'a> {
    /// The main text, in which definitions may stand.
    fn file(&mut self) -> Result<Vec<Node>, SyntaxError> {
        let mut nodes = Vec::new();
        loop {
            self.count()?;
            let token = self.next()?;
            match token.kind {
                TokenKind::End => return Ok(nodes),
                TokenKind::Text => nodes.push(Node::Text { start: token.start, end: token.end }),
                _ => {
                    let first = self.next_token()?;
                    match self.keyword(first) {
                        Some("define") => self.definition(first.start)?,
                        Some(word @ ("end" | "else")) => {
                            return Err(SyntaxError::new(first.start, format!("unexpected {{{{{word}}}}}")));
                        }
                        _ => nodes.push(self.action(first)?),
                    }
                }
            }
        }
    }

    fn definition(&mut self, at: Position) -> Result<(), SyntaxError> {
        let name = self.template_name("define clause")?;
        self.expect(TokenKind::RightDelimiter, "define clause")?;
        let outer = std::mem::replace(&mut self.frame, Frame::new());
        let body = self.body("define clause")?;
        self.define(at, name, body)?;
        self.frame = outer;
        Ok(())
    }

    fn define(&mut self, at: Position, name: Arc<str>, body: Vec<Node>) -> Result<(), SyntaxError> {
        let source = Arc::clone(self.source);
        let template = Template { name, source, body: Arc::new(body), variables: self.frame.most };
        match self.templates.iter_mut().find(|known| known.name == template.name) {
            None => self.templates.push(Arc::new(template)),
            Some(known) if known.is_empty() => *known = Arc::new(template),
            Some(_) if template.is_empty() => {}
            Some(_) => {
                let name = &template.name;
                return Err(SyntaxError::new(at, format!("multiple definition of template {name:?}")));
            }
        }
        Ok(())
    }

    /// Nodes up to `end`, where `else` has no place.
    fn body(&mut self, context: &str) -> Result<Vec<Node>, SyntaxError> {
        let ranges = std::mem::take(&mut self.ranges);
        let (nodes, ending) = self.nodes()?;
        self.ranges = ranges;
        match ending {
            Ending::End => Ok(nodes),
            Ending::Else(_) => Err(self.error(format!("unexpected {{{{else}}}} in {context}"))),
        }
    }

    fn nodes(&mut self) -> Result<(Vec<Node>, Ending), SyntaxError> {
        self.deeper()?;
        let mut nodes = Vec::new();
        let ending = loop {
            self.count()?;
            let token = self.next()?;
            match token.kind {
                TokenKind::End => {
                    return Err(SyntaxError::new(
                        token.start,
                        "unexpected end of the file; an {{end}} is missing",
                    ));
                }
                TokenKind::Text => {
                    nodes.push(Node::Text { start: token.start, end: token.end });
                    continue;
                }
                _ => {}
            }
            let first = self.next_token()?;
            match self.keyword(first) {
                Some("end") => {
                    self.expect(TokenKind::RightDelimiter, "end")?;
                    break Ending::End;
                }
                Some("else") => {
                    let token = self.next_token()?;
                    if matches!(self.keyword(token), Some("if" | "with")) {
                        break Ending::Else(Some(token));
                    }
                    if token.kind != TokenKind::RightDelimiter {
                        return Err(self.unexpected(token, "else"));
                    }
                    break Ending::Else(None);
                }
                _ => nodes.push(self.action(first)?),
            }
        };
        self.depth -= 1;
        Ok((nodes, ending))
    }

    /// The action whose first token is `first`.
    fn action(&mut self, first: Token) -> Result<Node, SyntaxError> {
        match self.keyword(first) {
            Some("if") => {
                let (branches, otherwise) = self.branches("if")?;
                Ok(Node::If { branches, otherwise })
            }
            Some("with") => {
                let (branches, otherwise) = self.branches("with")?;
                Ok(Node::With { branches, otherwise })
            }
            Some("range") => self.range(),
            Some("block") => self.block(first.start),
            Some("template") => self.template(first.start),
            Some(word @ ("break" | "continue")) => {
                let token = self.next_token()?;
                if token.kind != TokenKind::RightDelimiter {
                    return Err(self.unexpected(token, word));
                }
                if self.ranges == 0 {
                    let message = format!("{{{{{word}}}}} outside {{{{range}}}}");
                    return Err(SyntaxError::new(first.start, message));
                }
                Ok(if word == "break" { Node::Break } else { Node::Continue })
            }
            _ => {
                self.ahead = Some(first);
                Ok(Node::Action(self.pipeline("command", TokenKind::RightDelimiter)?))
            }
        }
    }

    /// `if` or `with`, whose keyword is past, up to its `end`.
    fn branches(&mut self, context: &str) -> Result<(Vec<Branch>, Option<Vec<Node>>), SyntaxError> {
        let (scope, hidden) = (self.frame.names.len(), self.frame.hidden.len());
        let mut branches = Vec::new();
        let otherwise = loop {
            // Variables that a branch declares are known in the branches after it.
            let condition = self.pipeline(context, TokenKind::RightDelimiter)?;
            let inner = self.frame.names.len();
            let (body, ending) = self.nodes()?;
            self.frame.hide(inner);
            branches.push(Branch { condition, body });
            match ending {
                Ending::End => break None,
                Ending::Else(None) => {
                    let (body, ending) = self.nodes()?;
                    match ending {
                        Ending::End => break Some(body),
                        Ending::Else(_) => return Err(self.error("expected {{end}}; found {{else}}")),
                    }
                }
                Ending::Else(Some(token)) if self.keyword(token) == Some(context) => {}
                Ending::Else(Some(token)) => return Err(self.unexpected(token, "else")),
            }
        };
        self.frame.names.truncate(scope);
        self.frame.hidden.truncate(hidden);
        Ok((branches, otherwise))
    }

    fn range(&mut self) -> Result<Node, SyntaxError> {
        let (scope, hidden) = (self.frame.names.len(), self.frame.hidden.len());
        let pipeline = self.pipeline("range", TokenKind::RightDelimiter)?;
        let inner = self.frame.names.len();
        self.ranges += 1;
        let (body, ending) = self.nodes()?;
        self.ranges -= 1;
        self.frame.hide(inner);
        let otherwise = match ending {
            Ending::End => None,
            Ending::Else(None) => match self.nodes()? {
                (body, Ending::End) => Some(body),
                _ => return Err(self.error("expected {{end}}; found {{else}}")),
            },
            Ending::Else(Some(token)) => return Err(self.unexpected(token, "else")),
        };
        self.frame.names.truncate(scope);
        self.frame.hidden.truncate(hidden);
        Ok(Node::Range { pipeline, body, otherwise })
    }

    fn block(&mut self, at: Position) -> Result<Node, SyntaxError> {
        let name = self.template_name("block clause")?;
        let argument = self.pipeline("block clause", TokenKind::RightDelimiter)?;
        let outer = std::mem::replace(&mut self.frame, Frame::new());
        let body = self.body("block clause")?;
        self.define(at, Arc::clone(&name), body)?;
        self.frame = outer;
        Ok(Node::Template { at, name, argument: Some(argument) })
    }

    fn template(&mut self, at: Position) -> Result<Node, SyntaxError> {
        let name = self.template_name("template clause")?;
        let token = self.next_token()?;
        if token.kind == TokenKind::RightDelimiter {
            return Ok(Node::Template { at, name, argument: None });
        }
        self.ahead = Some(token);
        let argument = self.pipeline("template clause", TokenKind::RightDelimiter)?;
        Ok(Node::Template { at, name, argument: Some(argument) })
    }

    fn template_name(&mut self, context: &str) -> Result<Arc<str>, SyntaxError> {
        let token = self.next_token()?;
        match token.kind {
            TokenKind::String => self.string(token),
            _ => Err(self.unexpected(token, context)),
        }
    }

    /// Declarations if there are any, then commands with `|` between them, up to `end`.
    fn pipeline(&mut self, context: &str, end: TokenKind) -> Result<Pipeline, SyntaxError> {
        let first = self.next_token()?;
        let mut pipeline =
            Pipeline { at: first.start, variables: Vec::new(), declares: false, commands: Vec::new() };
        self.ahead = Some(first);
        let names = match first.kind {
            TokenKind::Variable => self.declarations(context, &mut pipeline)?,
            _ => Vec::new(),
        };
        loop {
            let token = self.next_token()?;
            if token.kind == end {
                if pipeline.commands.is_empty() {
                    return Err(SyntaxError::new(token.start, format!("missing value for {context}")));
                }
                // Only now: in `$x := $x` the second one is an older one.
                for name in names {
                    let text = self.text(name);
                    let variable = match pipeline.declares {
                        true => self.frame.declare(text),
                        false => self.variable(name.start, text)?,
                    };
                    pipeline.variables.push(variable);
                }
                return Ok(pipeline);
            }
            self.ahead = Some(token);
            let command = self.command()?;
            let is_value = matches!(
                command.head.kind,
                Operand::Bool(_) | Operand::Dot | Operand::Nil | Operand::Number(_) | Operand::String(_)
            );
            if is_value && !pipeline.commands.is_empty() {
                let stage = pipeline.commands.len() + 1;
                let message = format!("non executable command in pipeline stage {stage}");
                return Err(SyntaxError::new(command.head.at, message));
            }
            pipeline.commands.push(command);
        }
    }

    /// The names in `$x :=`, `$x =` or, in a range, `$i, $x :=`. A variable that none of these follows
    /// stays the next token.
    fn declarations(&mut self, context: &str, pipeline: &mut Pipeline) -> Result<Vec<Token>, SyntaxError> {
        // Where the lexer goes back to if this is no declaration.
        let first = self.next_token()?;
        let restart = self.lexer.clone();
        let mut names = vec![first];
        let mut token = self.next_token()?;
        if token.kind == TokenKind::Comma {
            let second = self.next_token()?;
            if context != "range" {
                return Err(SyntaxError::new(token.start, format!("too many declarations in {context}")));
            }
            if second.kind != TokenKind::Variable {
                return Err(SyntaxError::new(second.start, "range can only initialize variables"));
            }
            names.push(second);
            token = self.next_token()?;
            if !matches!(token.kind, TokenKind::Assign | TokenKind::Declare) {
                return Err(self.unexpected(token, context));
            }
        }
        pipeline.declares = match token.kind {
            TokenKind::Declare => true,
            TokenKind::Assign => false,
            _ => {
                self.lexer = restart;
                self.ahead = Some(first);
                return Ok(Vec::new());
            }
        };
        Ok(names)
    }

    fn command(&mut self) -> Result<Command, SyntaxError> {
        let mut operands = Vec::new();
        loop {
            let token = self.next_token()?;
            self.ahead = Some(token);
            if let Some(operand) = self.operand()? {
                operands.push(operand);
            }
            // A space must part operands.
            let token = self.next()?;
            match token.kind {
                TokenKind::Space => {}
                TokenKind::RightDelimiter | TokenKind::RightParenthesis => {
                    self.ahead = Some(token);
                    break;
                }
                TokenKind::Pipe => break,
                _ => return Err(self.unexpected(token, "operand")),
            }
        }
        let mut operands = operands.into_iter();
        match operands.next() {
            Some(head) => Ok(Command { head, arguments: operands.collect() }),
            None => Err(self.error("empty command")),
        }
    }

    /// A term and the fields behind it, if the next token begins one.
    fn operand(&mut self) -> Result<Option<Expression>, SyntaxError> {
        let Some(term) = self.term()? else { return Ok(None) };
        let mut fields: Vec<Arc<str>> = Vec::new();
        loop {
            let token = self.next()?;
            if token.kind != TokenKind::Field {
                self.ahead = Some(token);
                break;
            }
            self.count()?;
            fields.push(self.text(token)[1..].into());
        }
        if fields.is_empty() {
            return Ok(Some(term));
        }
        let kind = match term.kind {
            Operand::Field(mut names) => {
                names.append(&mut fields);
                Operand::Field(names)
            }
            Operand::Variable(variable, mut names) => {
                names.append(&mut fields);
                Operand::Variable(variable, names)
            }
            Operand::Bool(_) | Operand::String(_) | Operand::Number(_) | Operand::Nil | Operand::Dot => {
                return Err(SyntaxError::new(term.at, "unexpected . after a value"));
            }
            kind => Operand::Chain(Box::new(Expression { at: term.at, kind }), fields),
        };
        Ok(Some(Expression { at: term.at, kind }))
    }

    fn term(&mut self) -> Result<Option<Expression>, SyntaxError> {
        self.count()?;
        let token = self.next_token()?;
        let text = self.text(token);
        let kind = match token.kind {
            TokenKind::Dot => Operand::Dot,
            TokenKind::Field => Operand::Field(vec![text[1..].into()]),
            TokenKind::Variable => match self.frame.find(text) {
                None if self.frame.hidden.iter().any(|name| name == text) => Operand::Undefined(text.into()),
                _ => Operand::Variable(self.variable(token.start, text)?, Vec::new()),
            },
            TokenKind::Number => Operand::Number(number(token.start, text)?),
            TokenKind::Character => {
                let Some(code) = quote::unquote_rune(text) else {
                    return Err(SyntaxError::new(token.start, "malformed character constant"));
                };
                Operand::Number(Number { int: Some(code.into()), float: Some(code.into()), is_float: false })
            }
            TokenKind::String => Operand::String(self.string(token)?),
            TokenKind::LeftParenthesis => {
                self.deeper()?;
                let pipeline = self.pipeline("parenthesized pipeline", TokenKind::RightParenthesis)?;
                self.depth -= 1;
                Operand::Pipeline(Box::new(pipeline))
            }
            TokenKind::Word => match text {
                "true" => Operand::Bool(true),
                "false" => Operand::Bool(false),
                "nil" => Operand::Nil,
                _ if self.keyword(token).is_some() => {
                    self.ahead = Some(token);
                    return Ok(None);
                }
                name => match functions::find(name) {
                    Some(function) => Operand::Function(function),
                    None => {
                        return Err(SyntaxError::new(token.start, format!("function {name:?} not defined")));
                    }
                },
            },
            _ => {
                self.ahead = Some(token);
                return Ok(None);
            }
        };
        Ok(Some(Expression { at: token.start, kind }))
    }

    fn variable(&self, at: Position, name: &str) -> Result<usize, SyntaxError> {
        self.frame.find(name).ok_or_else(|| SyntaxError::new(at, format!("undefined variable {name:?}")))
    }

    fn string(&self, token: Token) -> Result<Arc<str>, SyntaxError> {
        match quote::unquote(self.text(token)) {
            Some(text) => Ok(text.into()),
            None => Err(SyntaxError::new(token.start, "invalid escape in a string")),
        }
    }

    /// The text of a keyword token.
    fn keyword(&self, token: Token) -> Option<&'a str> {
        const KEYWORDS: [&str; 11] =
            ["block", "break", "continue", "define", "else", "end", "if", "nil", "range", "template", "with"];
        let text = self.text(token);
        (token.kind == TokenKind::Word && KEYWORDS.contains(&text)).then_some(text)
    }

    fn deeper(&mut self) -> Result<(), SyntaxError> {
        self.depth += 1;
        match self.depth > self.limits.syntax_depth {
            true => Err(self.error(Limit::SyntaxDepth(self.limits.syntax_depth).to_string())),
            false => Ok(()),
        }
    }

    /// One more node.
    fn count(&self) -> Result<(), SyntaxError> {
        match self.room.get().checked_sub(1) {
            Some(left) => {
                self.room.set(left);
                Ok(())
            }
            None => Err(self.error(Limit::SyntaxNodes(self.limits.syntax_nodes).to_string())),
        }
    }

    fn expect(&mut self, kind: TokenKind, context: &str) -> Result<Token, SyntaxError> {
        let token = self.next_token()?;
        match token.kind == kind {
            true => Ok(token),
            false => Err(self.unexpected(token, context)),
        }
    }

    /// The next token, a space too.
    fn next(&mut self) -> Result<Token, SyntaxError> {
        match self.ahead.take() {
            Some(token) => Ok(token),
            None => self.lexer.next(),
        }
    }

    /// The next token that is no space.
    fn next_token(&mut self) -> Result<Token, SyntaxError> {
        loop {
            let token = self.next()?;
            if token.kind != TokenKind::Space {
                return Ok(token);
            }
        }
    }

    fn text(&self, token: Token) -> &'a str {
        &self.source.text[token.start..token.end]
    }

    fn unexpected(&self, token: Token, context: &str) -> SyntaxError {
        let what = match token.kind {
            TokenKind::End => "end of the file".to_owned(),
            _ => format!("{:?}", self.text(token)),
        };
        SyntaxError::new(token.start, format!("unexpected {what} in {context}"))
    }

    /// An error at the place that was read last.
    fn error(&self, message: impl Into<String>) -> SyntaxError {
        SyntaxError::new(self.ahead.map_or(self.lexer.position(), |token| token.start), message)
    }
}

/// Reads a number as Go's parser of templates does: `1.0` can be used as an integer too.
fn number(at: Position, text: &str) -> Result<Number, SyntaxError> {
    if let Some(int) = integer::parse_any_base(text) {
        return Ok(Number { int: Some(int), float: Some(int as f64), is_float: false });
    }
    let is_float = text.contains(['.', 'e', 'E', 'p', 'P']);
    match float::parse_float(text) {
        Some(float) if is_float => {
            let int = (float as i64 as f64 == float).then_some(float as i64);
            Ok(Number { int, float: Some(float), is_float: true })
        }
        Some(_) => Err(SyntaxError::new(at, format!("integer overflow: {text}"))),
        None => Err(SyntaxError::new(at, format!("illegal number syntax: {text}"))),
    }
}
