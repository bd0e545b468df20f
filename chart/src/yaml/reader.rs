//! Reads YAML as Helm does.
//! Takes a text and [`Limits`]; gives values, or a [`YamlError`] with its line.

use std::borrow::Cow;
use std::collections::HashMap;
use std::rc::Rc;
use std::sync::Arc;

use base64::Engine as _;
use base64::prelude::BASE64_STANDARD;
use granit_parser::{Event, Marker, Parser, ScalarStyle, ScanError, Span, Tag};

use super::scalar::{Dialect, Scalar, resolve};
use crate::go::float::format_float;
use crate::{Limits, Map, Value};

/// A text that is no YAML, or more than the limits allow.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("line {line}, column {column}: {message}")]
pub struct YamlError {
    /// The line, from 1.
    pub line: u64,
    /// The column, from 1.
    pub column: u64,
    /// The fault; may hold text of the document, so print it through `Printable`.
    pub message: String,
}

impl YamlError {
    fn at(place: Marker, message: impl Into<String>) -> Self {
        Self { line: place.line() as u64, column: place.col() as u64 + 1, message: message.into() }
    }
}

impl From<ScanError> for YamlError {
    fn from(error: ScanError) -> Self {
        Self::at(*error.marker(), error.info())
    }
}

/// Reads the first document of `text`, as Helm reads values: numbers become floats, as they do on
/// Helm's way through JSON; of two equal keys the last counts. An empty text is [`Value::Nil`].
///
/// # Errors
///
/// A text that is no YAML, or more than `limits` allow.
pub fn parse_values(text: &str, limits: &Limits) -> Result<Value, YamlError> {
    decode_yaml(text, limits).value
}

/// The values read, and their number with aliases followed.
pub(crate) struct Nodes {
    pub(crate) value: Result<Value, YamlError>,
    pub(crate) count: usize,
    /// Whether there were more than the limits allow.
    pub(crate) too_many: bool,
}

/// As [`parse_values`], with the number of values.
pub(crate) fn decode_yaml(text: &str, limits: &Limits) -> Nodes {
    let decode = |text: &str| {
        let mut reader = Reader::new(text, limits);
        let value = match reader.document() {
            Ok(Some(root)) => reader.value(&root),
            Ok(None) => Ok(Value::Nil),
            Err(error) => Err(error),
        };
        Nodes { value, count: limits.yaml_nodes - reader.nodes, too_many: reader.too_many }
    };
    let text = &*in_lines(text);
    let mut nodes = decode(text);
    let mut mended = Mended::of(text);
    while let Err(error) = &nodes.value
        && let Some(text) = mended.next(error)
    {
        nodes = decode(text);
    }
    nodes
}

/// Reads every document of `text`. Empty documents are left out.
///
/// # Errors
///
/// As [`parse_values`].
pub fn parse_documents(text: &str, limits: &Limits) -> Result<Vec<Value>, YamlError> {
    let parse = |text: &str| {
        let mut reader = Reader::new(text, limits);
        let mut documents = Vec::new();
        while let Some(root) = reader.document()? {
            match reader.value(&root)? {
                Value::Nil => {}
                document => documents.push(document),
            }
        }
        Ok(documents)
    };
    let text = &*in_lines(text);
    let mut documents = parse(text);
    let mut mended = Mended::of(text);
    while let Err(error) = &documents
        && let Some(text) = mended.next(error)
    {
        documents = parse(text);
    }
    documents
}

/// A text in which spellings that go-yaml reads and YAML 1.2 does not are replaced, one after the other, where
/// the parser stops at them.
struct Mended<'t> {
    text: Cow<'t, str>,
    left: usize,
}

impl<'t> Mended<'t> {
    /// How many places of one text are mended: each costs a reading. Charts have a few.
    const MOST: usize = 100;

    fn of(text: &'t str) -> Self {
        Self { text: text.into(), left: Self::MOST }
    }

    /// The text with another spelling at the place of an error. `None` for what go-yaml cannot read either.
    fn next(&mut self, error: &YamlError) -> Option<&str> {
        self.left = self.left.checked_sub(1)?;
        let at = self.place(error)?;
        let (before, rest) = self.text.split_at_checked(at)?;
        let says = |words: &str| error.message.contains(words);
        match rest.chars().next()? {
            // A comment without a space before it: `|### a note`, `"text"# a note`.
            '#' if says("comments must be separated") => self.text.to_mut().insert(at, ' '),
            // `[-]`
            '-' if says("cannot start with '-'") => self.text.to_mut().replace_range(at..=at, "'-'"),
            // `*key: value`: names of anchors have no colon.
            '*' if says("simple key") => {
                let is_name = |c: char| c.is_ascii_alphanumeric() || matches!(c, '_' | '-');
                let end = rest.get(1..)?.find(|c| !is_name(c))? + 1;
                rest.get(end..)?.strip_prefix(':')?;
                self.text.to_mut().insert(at + end, ' ');
            }
            // `"it\'s"`
            '"' if says("unknown escape") => {
                let escapes = quotes_escaped(rest);
                escapes.last()?;
                for escape in escapes.into_iter().rev() {
                    self.text.to_mut().remove(at + escape);
                }
            }
            // In a list in brackets, tabs indent too.
            _ if says("tabs disallowed") => {
                let line = before.rfind('\n')? + 1;
                let is_inside = before.get(..line)?.trim_end().ends_with(['[', '{', ',']);
                let tabs = before.get(line..)?.len();
                let blank = is_inside && tabs > 0 && before.get(line..)?.trim().is_empty();
                blank.then(|| self.text.to_mut().replace_range(line..at, &" ".repeat(tabs)))?;
            }
            _ => return None,
        }
        Some(&self.text)
    }

    /// The byte at which an error is.
    fn place(&self, error: &YamlError) -> Option<usize> {
        let (line, column) = (usize::try_from(error.line).ok()?, usize::try_from(error.column).ok()?);
        let mut start = 0;
        for _ in 1..line {
            start += self.text.get(start..)?.find('\n')? + 1;
        }
        Some(start + self.text.get(start..)?.char_indices().nth(column.checked_sub(1)?)?.0)
    }
}

/// Where in a text in double quotes the backslashes before single quotes are.
fn quotes_escaped(text: &str) -> Vec<usize> {
    let mut found = Vec::new();
    let mut signs = text.char_indices().skip(1);
    while let Some((at, sign)) = signs.next() {
        match sign {
            '"' => break,
            '\\' => match signs.next() {
                Some((_, '\'')) => found.push(at),
                Some(_) => {}
                None => break,
            },
            _ => {}
        }
    }
    found
}

/// A text as go-yaml breaks it into lines: a break of ISO 8859 is one too.
fn in_lines(text: &str) -> Cow<'_, str> {
    const NEXT_LINE: char = '\u{85}';
    if text.contains(NEXT_LINE) { text.replace(NEXT_LINE, "\n").into() } else { text.into() }
}

/// A node as it is written. An alias is the node that it names: decoding makes a copy for each.
struct Node {
    place: Marker,
    tag: Option<Box<str>>,
    content: Content,
    /// How many nodes lie inside each other here, aliases followed.
    height: usize,
}

enum Content {
    Scalar { text: Arc<str>, plain: bool },
    Sequence(Vec<Rc<Node>>),
    Mapping(Vec<(Rc<Node>, Rc<Node>)>),
}

/// A collection whose end has not come yet.
struct Open {
    node: Node,
    anchor: usize,
    /// A mapping's key that waits for its value.
    key: Option<Rc<Node>>,
}

struct Reader<'t> {
    parser: Parser<'t, granit_parser::StrInput<'t>>,
    anchors: HashMap<usize, Rc<Node>>,
    limits: Limits,
    names: Names,
    /// Nodes that may still be read.
    room: usize,
    /// Values that may still be made of them.
    nodes: usize,
    too_many: bool,
}

impl<'t> Reader<'t> {
    fn new(text: &'t str, limits: &Limits) -> Self {
        let mut options = granit_parser::options! {
            bom_inside_document_as_content: true,
            block_scalar_eof_without_line_feed: true,
            flow_nesting_limit: limits.value_depth,
            block_nesting_limit: limits.value_depth,
        };
        options.set_emit_comments(false);
        Self {
            parser: Parser::new_from_str_with_options(text, options),
            anchors: HashMap::new(),
            limits: *limits,
            names: Names::new(),
            room: limits.yaml_nodes,
            nodes: limits.yaml_nodes,
            too_many: false,
        }
    }

    /// The next document's root.
    fn document(&mut self) -> Result<Option<Rc<Node>>, YamlError> {
        let mut open: Vec<Open> = Vec::new();
        while let Some(next) = self.parser.next_event() {
            let (event, span) = next?;
            let Some(room) = self.room.checked_sub(1) else { return Err(self.too_many(span.start)) };
            self.room = room;
            let finished = match event {
                Event::DocumentStart(..) => {
                    self.anchors.clear();
                    continue;
                }
                Event::Scalar(text, style, anchor, tag) => {
                    let plain = style == ScalarStyle::Plain;
                    let content = Content::Scalar { text: self.names.share(text), plain };
                    let tag = tag_name(tag.as_deref());
                    self.finish(Node { place: span.start, tag, content, height: 0 }, anchor)
                }
                Event::SequenceStart(_, anchor, tag) => {
                    open.push(Open::new(Content::Sequence(Vec::new()), span, tag.as_deref(), anchor));
                    continue;
                }
                Event::MappingStart(_, anchor, tag) => {
                    open.push(Open::new(Content::Mapping(Vec::new()), span, tag.as_deref(), anchor));
                    continue;
                }
                Event::SequenceEnd | Event::MappingEnd => match open.pop() {
                    Some(done) => self.finish(done.node, done.anchor),
                    None => continue,
                },
                Event::Alias(anchor) => match self.anchors.get(&anchor) {
                    Some(node) => Rc::clone(node),
                    None => return Err(YamlError::at(span.start, "an anchor's value contains itself")),
                },
                _ => continue,
            };
            // Nothing may go deeper, neither decoding nor dropping.
            if finished.height > self.limits.value_depth {
                let message = format!("nested deeper than {}", self.limits.value_depth);
                return Err(YamlError::at(span.start, message));
            }
            match open.last_mut() {
                Some(parent) => parent.add(finished),
                None => return Ok(Some(finished)),
            }
        }
        Ok(None)
    }

    fn finish(&mut self, node: Node, anchor: usize) -> Rc<Node> {
        let node = Rc::new(node);
        // Zero is no anchor.
        if anchor != 0 {
            self.anchors.insert(anchor, Rc::clone(&node));
        }
        node
    }

    fn value(&mut self, node: &Node) -> Result<Value, YamlError> {
        self.count(node)?;
        match &node.content {
            Content::Scalar { text, plain } => scalar_value(node, text, *plain),
            Content::Sequence(items) => {
                let items: Result<Vec<_>, _> = items.iter().map(|item| self.value(item)).collect();
                Ok(Value::list(items?))
            }
            Content::Mapping(entries) => {
                let map = Map::new();
                self.fill(&map, entries)?;
                Ok(Value::Map(map))
            }
        }
    }

    fn fill(&mut self, map: &Map, entries: &[(Rc<Node>, Rc<Node>)]) -> Result<(), YamlError> {
        for (key, value) in entries {
            if is_merge(key) {
                self.merge(map, value)?;
            } else {
                map.insert(key_text(key)?, self.value(value)?);
            }
        }
        Ok(())
    }

    /// Merges the map that `<<` names at its place: only later keys override it.
    fn merge(&mut self, map: &Map, source: &Node) -> Result<(), YamlError> {
        let wrong = || YamlError::at(source.place, "map merge requires a map or a list of maps as the value");
        self.count(source)?;
        match &source.content {
            Content::Mapping(entries) => self.fill(map, entries),
            Content::Sequence(items) => {
                // The first of them takes precedence.
                for item in items.iter().rev() {
                    let Content::Mapping(entries) = &item.content else { return Err(wrong()) };
                    self.count(item)?;
                    self.fill(map, entries)?;
                }
                Ok(())
            }
            Content::Scalar { .. } => Err(wrong()),
        }
    }

    fn count(&mut self, node: &Node) -> Result<(), YamlError> {
        match self.nodes.checked_sub(1) {
            Some(left) => {
                self.nodes = left;
                Ok(())
            }
            None => Err(self.too_many(node.place)),
        }
    }

    fn too_many(&mut self, place: Marker) -> YamlError {
        self.too_many = true;
        YamlError::at(place, format!("more than {} values", self.limits.yaml_nodes))
    }
}

/// Short texts that were read last: the keys of a document are the same again and again.
struct Names([Option<Arc<str>>; 64]);

impl Names {
    /// Longer texts in bytes are seldom the same.
    const LONGEST: usize = 24;

    const fn new() -> Self {
        Self([const { None }; 64])
    }

    /// The text, in the memory of an equal one if that was read not long ago.
    fn share(&mut self, text: Cow<'_, str>) -> Arc<str> {
        if text.len() > Self::LONGEST {
            return text.into();
        }
        let sum = text.bytes().fold(text.len(), |sum, byte| sum.wrapping_mul(31) ^ usize::from(byte));
        let slots = self.0.len();
        match self.0.get_mut((sum ^ sum >> 6) % slots) {
            Some(Some(known)) if **known == *text => Arc::clone(known),
            Some(slot) => {
                let text: Arc<str> = text.into();
                *slot = Some(Arc::clone(&text));
                text
            }
            None => text.into(),
        }
    }
}

impl Open {
    fn new(content: Content, span: Span, tag: Option<&Tag>, anchor: usize) -> Self {
        let node = Node { place: span.start, tag: tag_name(tag), content, height: 1 };
        Self { node, anchor, key: None }
    }

    fn add(&mut self, child: Rc<Node>) {
        self.node.height = self.node.height.max(child.height + 1);
        match &mut self.node.content {
            Content::Sequence(items) => items.push(child),
            Content::Mapping(entries) => match self.key.take() {
                Some(key) => entries.push((key, child)),
                None => self.key = Some(child),
            },
            // Only collections are open.
            Content::Scalar { .. } => {}
        }
    }
}

/// A tag with YAML's own prefix shortened to `!!`.
fn tag_name(tag: Option<&Tag>) -> Option<Box<str>> {
    let tag = tag?;
    let name = format!("{}{}", tag.handle(), tag.suffix());
    Some(match name.strip_prefix("tag:yaml.org,2002:") {
        Some(own) => format!("!!{own}").into(),
        None => name.into(),
    })
}

fn is_merge(key: &Node) -> bool {
    match &key.content {
        Content::Scalar { text, plain } => {
            &**text == "<<" && ((*plain && key.tag.is_none()) || key.tag.as_deref() == Some("!!merge"))
        }
        _ => false,
    }
}

/// The text of a map's key; JSON has no others.
fn key_text(node: &Node) -> Result<Arc<str>, YamlError> {
    let unsupported = |what| YamlError::at(node.place, format!("{what} cannot be a key"));
    let Content::Scalar { text, plain } = &node.content else { return Err(unsupported("a list or map")) };
    Ok(match resolve_node(node, text, *plain)? {
        Resolved::Text(text) => text,
        Resolved::Scalar(scalar) => match scalar {
            Scalar::Bool(value) => if value { "true" } else { "false" }.into(),
            Scalar::Int(value) => value.to_string().into(),
            // Helm writes the shortest text that is right for a 32-bit float.
            Scalar::Float(value) => float_key(value).into(),
            Scalar::Null => return Err(unsupported("null")),
            Scalar::Unsigned(_) => return Err(unsupported("so large a number")),
            Scalar::Timestamp | Scalar::String => Arc::clone(text),
        },
    })
}

fn float_key(value: f64) -> String {
    match value {
        value if value.is_nan() => ".nan".to_owned(),
        f64::INFINITY => ".inf".to_owned(),
        f64::NEG_INFINITY => "-.inf".to_owned(),
        // The shortest digits of the narrow float, in the form that Go gives them.
        value => {
            let narrow = (value as f32).to_string().parse().unwrap_or(value);
            format_float(narrow, 'g', None)
        }
    }
}

fn scalar_value(node: &Node, text: &Arc<str>, plain: bool) -> Result<Value, YamlError> {
    Ok(match resolve_node(node, text, plain)? {
        Resolved::Text(text) => Value::String(text),
        Resolved::Scalar(scalar) => match scalar {
            Scalar::Null => Value::Nil,
            Scalar::Bool(value) => Value::Bool(value),
            Scalar::Int(value) => Value::Float(value as f64),
            Scalar::Unsigned(value) => Value::Float(value as f64),
            Scalar::Float(value) if value.is_finite() => Value::Float(value),
            Scalar::Float(_) => return Err(YamlError::at(node.place, "json: unsupported value")),
            Scalar::Timestamp | Scalar::String => Value::String(Arc::clone(text)),
        },
    })
}

enum Resolved {
    Text(Arc<str>),
    Scalar(Scalar),
}

fn resolve_node(node: &Node, text: &Arc<str>, plain: bool) -> Result<Resolved, YamlError> {
    let Some(tag) = node.tag.as_deref() else {
        return Ok(match plain {
            true => Resolved::Scalar(resolve(text, Dialect::V2)),
            false => Resolved::Text(Arc::clone(text)),
        });
    };
    let scalar = resolve(text, Dialect::V2);
    let fits = match (tag, scalar) {
        ("!!null", Scalar::Null)
        | ("!!bool", Scalar::Bool(_))
        | ("!!int", Scalar::Int(_) | Scalar::Unsigned(_))
        | ("!!float", Scalar::Float(_)) => return Ok(Resolved::Scalar(scalar)),
        ("!!float", Scalar::Int(value)) => return Ok(Resolved::Scalar(Scalar::Float(value as f64))),
        ("!!binary", _) => {
            let Ok(bytes) = BASE64_STANDARD.decode(text.replace(char::is_whitespace, "")) else {
                return Err(YamlError::at(node.place, "!!binary value contains invalid base64 data"));
            };
            return Ok(Resolved::Text(String::from_utf8_lossy(&bytes).into()));
        }
        ("!!null" | "!!bool" | "!!int" | "!!float", _) => false,
        ("!!timestamp", scalar) => scalar == Scalar::Timestamp,
        _ => true,
    };
    match fits {
        true => Ok(Resolved::Text(Arc::clone(text))),
        false => Err(YamlError::at(node.place, format!("cannot read {text:?} as {tag}"))),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::go::json::{Style, encode};
    use crate::limits::Budget;

    fn json(value: &Value) -> String {
        encode(value, Style::RAW, &Budget::new(Limits::DEFAULT, None)).unwrap()
    }

    fn read(text: &str) -> Result<String, String> {
        parse_values(text, &Limits::DEFAULT).map(|value| json(&value)).map_err(|error| error.to_string())
    }

    #[test]
    fn values_are_read_as_helm_reads_them() {
        let cases = [
            ("", "null"),
            ("# nothing\n", "null"),
            ("a: 1\nb: 1.50\nc: '1'\n", r#"{"a":1,"b":1.5,"c":"1"}"#),
            ("a: yes\nb: Off\nc: \"yes\"\nd: y\n", r#"{"a":true,"b":false,"c":"yes","d":true}"#),
            ("a: 0644\nb: 0x1f\nc: 1_000\n", r#"{"a":420,"b":31,"c":1000}"#),
            ("a: 2001-12-14\nb: 12:30:45\n", r#"{"a":"2001-12-14","b":"12:30:45"}"#),
            ("a: ~\nb:\nc: null\nd: ''\n", r#"{"a":null,"b":null,"c":null,"d":""}"#),
            ("a: 1\na: 2\n", r#"{"a":2}"#),
            ("1: a\n1.5: b\ntrue: c\n0.1: d\n", r#"{"0.1":"d","1":"a","1.5":"b","true":"c"}"#),
            (
                "x: &x {a: 1, b: 2}\nm:\n  b: 0\n  <<: *x\n  a: 3\n",
                r#"{"m":{"a":3,"b":2},"x":{"a":1,"b":2}}"#,
            ),
            (
                "x: &x {a: 1}\nz: &z {a: 2, b: 3}\nm:\n  <<: [*x, *z]\n",
                r#"{"m":{"a":1,"b":3},"x":{"a":1},"z":{"a":2,"b":3}}"#,
            ),
            (
                "a: !!str 1\nb: !!float 1\nc: !!binary aGk=\nd: !custom x\n",
                r#"{"a":"1","b":1,"c":"hi","d":"x"}"#,
            ),
            ("a: |\n  one\n  two\n\nb: >-\n  one\n  two\n", "{\"a\":\"one\\ntwo\\n\",\"b\":\"one two\"}"),
            ("a: |\n  text", r#"{"a":"text"}"#),
            ("- a\n-  - b\n   - c\n", r#"["a",["b","c"]]"#),
            ("a:\n- b\n- c\n", r#"{"a":["b","c"]}"#),
            ("{\"a\": [1, \"\\u00e9\"]}", "{\"a\":[1,\"é\"]}"),
            ("a: 1\n---\nb: 2\n", r#"{"a":1}"#),
            ("a: 123456789012345678901234567890\n", r#"{"a":1.2345678901234568e+29}"#),
            ("\u{feff}a: 1\n", r#"{"a":1}"#),
            ("a: b\r\nc: d\r\n", r#"{"a":"b","c":"d"}"#),
        ];
        for (text, expected) in cases {
            assert_eq!(read(text).as_deref(), Ok(expected), "{text}");
        }
    }

    #[test]
    fn what_is_no_values_is_refused_with_its_place() {
        let cases = [
            ("a: [1\n", "line 1, column 4: unclosed bracket"),
            ("a: b: c\n", "line 1"),
            ("a: *x\n", "line 1, column 4"),
            ("a: &x [*x]\n", "line 1, column 8: an anchor's value contains itself"),
            ("? [a]\n: b\n", "line 1, column 3: a list or map cannot be a key"),
            ("~: b\n", "line 1, column 1: null cannot be a key"),
            ("a: !!int x\n", "line 1"),
            ("a: .inf\n", "line 1, column 4: json: unsupported value"),
            ("<<: 1\n", "line 1, column 5: map merge requires"),
        ];
        for (text, message) in cases {
            let error = read(text).unwrap_err();
            assert!(error.starts_with(message), "{text}: {error}");
        }
    }

    #[test]
    fn aliases_are_copies() {
        let value = parse_values("a: &a {x: 1}\nb: *a\n", &Limits::DEFAULT).unwrap();
        let map = value.as_map().unwrap();
        map.get("b").unwrap().as_map().unwrap().insert("x", Value::int(2));
        assert_eq!(json(&value), r#"{"a":{"x":1},"b":{"x":2}}"#);
    }

    #[test]
    fn a_page_of_aliases_is_refused_within_the_limits() {
        let mut text = String::from("a0: &a0 [x, x, x, x, x, x, x, x, x, x]\n");
        for level in 1..12 {
            let alias = format!("*a{}, ", level - 1).repeat(10);
            text += &format!("a{level}: &a{level} [{}]\n", alias.trim_end_matches(", "));
        }
        let limits = Limits { yaml_nodes: 10_000, ..Limits::DEFAULT };
        let error = parse_values(&text, &limits).unwrap_err();
        assert_eq!(error.message, "more than 10000 values");
    }

    #[test]
    fn deep_nesting_is_refused_within_the_limits() {
        for text in ["[".repeat(100_000), "- ".repeat(100_000), "{a: ".repeat(100_000)] {
            assert!(parse_values(&text, &Limits::DEFAULT).is_err());
        }
        let mut text = String::from("a0: &a0 [[[[[[[[[[x]]]]]]]]]]\n");
        for level in 1..100 {
            text += &format!("a{level}: &a{level} [[[[[[[[[[*a{}]]]]]]]]]]\n", level - 1);
        }
        let error = parse_values(&text, &Limits::DEFAULT).unwrap_err();
        assert_eq!(error.message, "nested deeper than 200");
    }

    #[test]
    fn every_document_is_read() {
        let documents =
            parse_documents("---\na: 1\n---\n# none\n---\nb: 2\n...\n", &Limits::DEFAULT).unwrap();
        let documents: Vec<_> = documents.iter().map(json).collect();
        assert_eq!(documents, [r#"{"a":1}"#, r#"{"b":2}"#]);
    }

    #[test]
    fn comments_are_taken_apart_from_what_stands_before_them_as_go_yaml_does() {
        for (text, value) in [
            ("a: |### note\n  text\n  b: c\n", "text\nb: c\n"),
            ("a: >-# note\n  text\n", "text"),
            ("a: |2#x\n    text\n", "  text\n"),
            ("a: \"é\"#y\n", "é"),
            ("a: 'y'# no space\n", "y"),
            ("b: 1\n\na: |+#x\n  é\nc: [1]#z\n", "é\n"),
            ("a: x#no\n", "x#no"),
        ] {
            let read = parse_values(text, &Limits::DEFAULT).unwrap();
            assert_eq!(read.as_map().unwrap().get("a").unwrap().as_str(), Some(value), "{text}");
        }
        assert_eq!(parse_documents("a: |#x\n  t\n---\nb: ''#y\n", &Limits::DEFAULT).unwrap().len(), 2);
        // More of them than any chart has is an error, and soon.
        let many = "- \"x\"#y\n".repeat(1_000);
        assert!(parse_values(&many, &Limits::DEFAULT).is_err());
    }

    /// Each is what go.yaml.in/yaml/v2 2.4.4 reads, through sigs.k8s.io/yaml 1.6.0 as in Helm 3.22.
    #[test]
    fn spellings_of_older_yaml_are_read_as_go_yaml_reads_them() {
        for (text, expected) in [
            ("a: [-]\n", r#"{"a":["-"]}"#),
            ("a: {b: -, c: [x, -]}\n", r#"{"a":{"b":"-","c":["x","-"]}}"#),
            (r#"a: "it\'s \'so\' \\""#, r#"{"a":"it's 'so' \\"}"#),
            ("\"\\'\": \"\\'\"\n", r#"{"'":"'"}"#),
            ("x: &x key\n*x: z\n", r#"{"key":"z","x":"key"}"#),
            ("a: [\n\tb,\n\t\tc]\nd: {\n\te: f}\n", r#"{"a":["b","c"],"d":{"e":"f"}}"#),
            ("a: |\n  x\u{85}\n  y\nb: 1\n", "{\"a\":\"x\\n\\ny\\n\",\"b\":1}"),
            ("a: 'x\u{85} y'\nb: x\u{85} y\nc: \u{85}", r#"{"a":"x y","b":"x y","c":null}"#),
            ("a: \"x\\Ny\"\n", "{\"a\":\"x\u{85}y\"}"),
        ] {
            assert_eq!(read(text).as_deref(), Ok(expected), "{text}");
        }
        for text in ["a: \"\\q\"\n", "a:\n\tb: 1\n", "*x: 1\n", "a: [- b]\n", "a: b,\n\tc: 1\n"] {
            assert!(read(text).is_err(), "{text}");
        }
    }
}
