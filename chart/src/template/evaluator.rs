use std::collections::HashMap;
use std::rc::Rc;
use std::sync::Arc;

use super::ast::{Branch, Command, Expression, Node, Operand, Pipeline, Position, Template};
use super::engine::{add, read};
use super::error::place;
use super::{Error, Include};
use crate::functions::{Body, Call, Context, Failure, Function, KUBE_VERSION, method, missing};
use crate::go::format::display;
use crate::go::types::{is_true, type_name};
use crate::{IntType, Limit, Value};

/// The stack that [`DEEPEST`] levels fit into, in debug builds too.
pub(super) const STACK: usize = 256 << 20;
/// How many blocks, pipelines and templates may be inside each other at once.
const DEEPEST: usize = 16_000;

/// The name that Helm's main template has, and so each text that `tpl` is given.
const TPL_NAME: &str = "gotpl";
/// What Go writes for a value that is not there. Helm takes it out of what was written.
const NO_VALUE: &str = "<no value>";

/// A value as Go's reflection has it: `None` is no value at all, which has no fields but may be asked for
/// them; `Some(Nil)` is the `nil` in a map, whose fields are an error.
type Given = Option<Value>;

type Templates = HashMap<Arc<str>, Arc<Template>>;

/// Renders templates. What one rendering changes in the values the next one sees.
pub(super) struct Evaluator<'e> {
    templates: &'e Templates,
    /// What the texts define that `tpl` is rendering now, innermost last.
    defined: Vec<Rc<Templates>>,
    /// The texts that `tpl` was given before.
    texts: HashMap<Arc<str>, Rc<Text>>,
    context: &'e Context,
    includes: Vec<Frame>,
    depth: usize,
}

/// A text that `tpl` was given.
struct Text {
    main: Arc<Template>,
    templates: Rc<Templates>,
}

/// A call of a named template that is not over.
struct Frame {
    caller: Arc<Template>,
    at: Position,
    name: Arc<str>,
}

/// The template that runs now, and its variables.
struct Scope<'t> {
    template: &'t Arc<Template>,
    variables: Vec<Given>,
}

/// How a list of nodes ended.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Flow {
    Next,
    Break,
    Continue,
}

type Stop = Box<Error>;

impl<'e> Evaluator<'e> {
    pub(super) fn new(templates: &'e Templates, context: &'e Context) -> Self {
        Self { templates, defined: Vec::new(), texts: HashMap::new(), context, includes: Vec::new(), depth: 0 }
    }

    /// Renders a file.
    pub(super) fn render(&mut self, name: &Arc<str>, root: Value) -> Result<String, Error> {
        let Some(template) = self.find(name) else { return Ok(String::new()) };
        let text = self.execute(&template, Some(root)).map_err(|error| *error)?;
        Ok(without_no_value(text))
    }

    fn find(&self, name: &str) -> Option<Arc<Template>> {
        let defined = self.defined.iter().rev().find_map(|templates| templates.get(name));
        defined.or_else(|| self.templates.get(name)).cloned()
    }

    fn execute(&mut self, template: &Arc<Template>, dot: Given) -> Result<String, Stop> {
        let mut scope = Scope { template, variables: vec![None; template.variables] };
        // The first variable is `$`.
        scope.variables[0].clone_from(&dot);
        let mut out = String::new();
        self.walk(&mut scope, &dot, &template.body, &mut out)?;
        Ok(out)
    }

    fn walk(
        &mut self,
        scope: &mut Scope<'_>,
        dot: &Given,
        nodes: &[Node],
        out: &mut String,
    ) -> Result<Flow, Stop> {
        for node in nodes {
            let flow = match node {
                Node::Text { start, end } => {
                    let text = &scope.template.source.text[*start..*end];
                    self.pay(scope, *start, text.len())?;
                    out.push_str(text);
                    Flow::Next
                }
                Node::Action(pipeline) => {
                    let value = self.pipeline(scope, dot, pipeline)?;
                    if pipeline.variables.is_empty() {
                        self.print(scope, pipeline.at, value, out)?;
                    }
                    Flow::Next
                }
                Node::If { branches, otherwise } => {
                    self.branches(scope, dot, branches, otherwise.as_deref(), Branching::If, out)?
                }
                Node::With { branches, otherwise } => {
                    self.branches(scope, dot, branches, otherwise.as_deref(), Branching::With, out)?
                }
                Node::Range { pipeline, body, otherwise } => {
                    self.range(scope, dot, pipeline, body, otherwise.as_deref(), out)?
                }
                Node::Template { at, name, argument } => {
                    let argument = match argument {
                        Some(pipeline) => self.pipeline(scope, dot, pipeline)?,
                        None => None,
                    };
                    let text = self.call_template(scope, *at, name, argument)?;
                    out.push_str(&text);
                    Flow::Next
                }
                Node::Break => Flow::Break,
                Node::Continue => Flow::Continue,
            };
            if flow != Flow::Next {
                return Ok(flow);
            }
        }
        Ok(Flow::Next)
    }

    /// Writes a value as `fmt.Print` does.
    fn print(&self, scope: &Scope<'_>, at: Position, value: Given, out: &mut String) -> Result<(), Stop> {
        let text = match value {
            None => NO_VALUE.to_owned(),
            Some(Value::String(text)) => {
                self.pay(scope, at, text.len())?;
                out.push_str(&text);
                return Ok(());
            }
            // Its `String` method is seen only where it is not copied.
            Some(Value::Struct(fields)) if fields.type_name == KUBE_VERSION => {
                fields.field("Version").and_then(Value::as_str).unwrap_or_default().to_owned()
            }
            Some(value) => match display(&value, &self.context.budget) {
                Ok(text) => text,
                Err(limit) => return Err(self.stop(scope, at, None, limit.to_string())),
            },
        };
        out.push_str(&text);
        Ok(())
    }

    fn branches(
        &mut self,
        scope: &mut Scope<'_>,
        dot: &Given,
        branches: &[Branch],
        otherwise: Option<&[Node]>,
        branching: Branching,
        out: &mut String,
    ) -> Result<Flow, Stop> {
        for branch in branches {
            let value = self.pipeline(scope, dot, &branch.condition)?;
            if value.as_ref().is_some_and(is_true) {
                let inner = if branching == Branching::With { &value } else { dot };
                return self.nested(scope, branch.condition.at, inner, &branch.body, out);
            }
        }
        match otherwise {
            Some(nodes) => {
                let at = branches.first().map_or(0, |branch| branch.condition.at);
                self.nested(scope, at, dot, nodes, out)
            }
            None => Ok(Flow::Next),
        }
    }

    fn range(
        &mut self,
        scope: &mut Scope<'_>,
        dot: &Given,
        pipeline: &Pipeline,
        body: &[Node],
        otherwise: Option<&[Node]>,
        out: &mut String,
    ) -> Result<Flow, Stop> {
        let at = pipeline.at;
        let value = self.pipeline(scope, dot, pipeline)?;
        let entries = match value.unwrap_or_default() {
            Value::Nil => Vec::new(),
            Value::List(list) => list.iter().cloned().enumerate().map(numbered).collect(),
            Value::Bytes(bytes) => {
                let bytes = bytes.iter().map(|byte| Value::Int(i64::from(*byte), IntType::Uint8));
                bytes.enumerate().map(numbered).collect()
            }
            Value::Map(map) => {
                map.entries().into_iter().map(|(key, value)| (Some(Value::String(key)), value)).collect()
            }
            Value::Int(count, int_type) if pipeline.variables.len() < 2 => {
                return self.range_over_number(scope, dot, (count, int_type), pipeline, body, otherwise, out);
            }
            other @ Value::Int(..) => {
                let message = format!("can't use {} to iterate over more than one variable", self.shown(&other));
                return Err(self.stop(scope, at, None, message));
            }
            other => {
                let message = format!("range can't iterate over {}", self.shown(&other));
                return Err(self.stop(scope, at, None, message));
            }
        };
        let empty = entries.is_empty();
        for (index, element) in entries {
            self.step(scope, at)?;
            if self.iteration(scope, pipeline, index, Some(element), body, out)? == Flow::Break {
                break;
            }
        }
        match otherwise {
            Some(nodes) if empty => self.nested(scope, at, dot, nodes, out),
            _ => Ok(Flow::Next),
        }
    }

    fn range_over_number(
        &mut self,
        scope: &mut Scope<'_>,
        dot: &Given,
        (count, int_type): (i64, IntType),
        pipeline: &Pipeline,
        body: &[Node],
        otherwise: Option<&[Node]>,
        out: &mut String,
    ) -> Result<Flow, Stop> {
        for number in 0..count {
            self.step(scope, pipeline.at)?;
            let element = Some(Value::Int(number, int_type));
            if self.iteration(scope, pipeline, None, element, body, out)? == Flow::Break {
                break;
            }
        }
        match otherwise {
            Some(nodes) if count <= 0 => self.nested(scope, pipeline.at, dot, nodes, out),
            _ => Ok(Flow::Next),
        }
    }

    fn iteration(
        &mut self,
        scope: &mut Scope<'_>,
        pipeline: &Pipeline,
        index: Given,
        element: Given,
        body: &[Node],
        out: &mut String,
    ) -> Result<Flow, Stop> {
        // One variable takes the element, two take its place and the element.
        match pipeline.variables.as_slice() {
            [single] => scope.variables[*single].clone_from(&element),
            [first, second] => {
                scope.variables[*first] = index;
                scope.variables[*second].clone_from(&element);
            }
            _ => {}
        }
        self.nested(scope, pipeline.at, &element, body, out)
    }

    fn pipeline(&mut self, scope: &mut Scope<'_>, dot: &Given, pipeline: &Pipeline) -> Result<Given, Stop> {
        self.step(scope, pipeline.at)?;
        let mut value = None;
        for (stage, command) in pipeline.commands.iter().enumerate() {
            let piped = if stage == 0 { Piped::Nothing } else { Piped::Value(value) };
            value = self.command(scope, dot, command, piped)?;
            // What a pipeline gives is no longer the `nil` in a map.
            if matches!(value, Some(Value::Nil)) {
                value = None;
            }
        }
        for variable in &pipeline.variables {
            scope.variables[*variable].clone_from(&value);
        }
        Ok(value)
    }

    fn command(
        &mut self,
        scope: &mut Scope<'_>,
        dot: &Given,
        command: &Command,
        piped: Piped,
    ) -> Result<Given, Stop> {
        let head = &command.head;
        match &head.kind {
            Operand::Function(function) => {
                return self.function(scope, dot, head.at, function, &command.arguments, piped);
            }
            Operand::Field(names) => {
                return self.fields(scope, dot, head.at, dot.clone(), names, &command.arguments, piped);
            }
            Operand::Variable(variable, names) => {
                let value = scope.variables[*variable].clone();
                if !names.is_empty() {
                    return self.fields(scope, dot, head.at, value, names, &command.arguments, piped);
                }
            }
            Operand::Chain(inner, names) => {
                let value = self.operand(scope, dot, inner)?;
                return self.fields(scope, dot, head.at, value, names, &command.arguments, piped);
            }
            _ => {}
        }
        if !command.arguments.is_empty() || !matches!(piped, Piped::Nothing) {
            return Err(self.stop(scope, head.at, None, "can't give an argument to what is no function".into()));
        }
        if matches!(head.kind, Operand::Nil) {
            return Err(self.stop(scope, head.at, None, "nil is not a command".to_owned()));
        }
        self.operand(scope, dot, head)
    }

    /// The value of an operand that has no arguments of its own.
    fn operand(&mut self, scope: &mut Scope<'_>, dot: &Given, operand: &Expression) -> Result<Given, Stop> {
        let at = operand.at;
        Ok(match &operand.kind {
            Operand::Dot => dot.clone(),
            Operand::Nil => Some(Value::Nil),
            Operand::Bool(value) => Some(Value::Bool(*value)),
            Operand::String(text) => Some(Value::String(Arc::clone(text))),
            Operand::Number(number) => match (number.is_float, number.int, number.float) {
                (false, Some(value), _) => Some(Value::int(value)),
                (_, _, Some(value)) => Some(Value::Float(value)),
                _ => return Err(self.stop(scope, at, None, "integer overflow".to_owned())),
            },
            Operand::Field(names) => self.fields(scope, dot, at, dot.clone(), names, &[], Piped::Nothing)?,
            Operand::Variable(variable, names) => {
                let value = scope.variables[*variable].clone();
                if names.is_empty() {
                    value
                } else {
                    self.fields(scope, dot, at, value, names, &[], Piped::Nothing)?
                }
            }
            Operand::Chain(inner, names) => {
                let value = self.operand(scope, dot, inner)?;
                self.fields(scope, dot, at, value, names, &[], Piped::Nothing)?
            }
            Operand::Function(function) => self.function(scope, dot, at, function, &[], Piped::Nothing)?,
            Operand::Pipeline(pipeline) => {
                self.descend(scope, at)?;
                let value = self.pipeline(scope, dot, pipeline)?;
                self.depth -= 1;
                value
            }
        })
    }

    /// `value.a.b.c`, of which the last may be a method with arguments.
    fn fields(
        &mut self,
        scope: &mut Scope<'_>,
        dot: &Given,
        at: Position,
        value: Given,
        names: &[Arc<str>],
        arguments: &[Expression],
        piped: Piped,
    ) -> Result<Given, Stop> {
        let Some((last, path)) = names.split_last() else { return Ok(value) };
        let mut value = value;
        for name in path {
            value = self.field(scope, dot, at, value, name, &[], Piped::Nothing)?;
        }
        self.field(scope, dot, at, value, last, arguments, piped)
    }

    fn field(
        &mut self,
        scope: &mut Scope<'_>,
        dot: &Given,
        at: Position,
        receiver: Given,
        name: &Arc<str>,
        arguments: &[Expression],
        piped: Piped,
    ) -> Result<Given, Stop> {
        let Some(receiver) = receiver else { return Ok(None) };
        if receiver.is_nil() {
            let message = format!("nil pointer evaluating interface {{}}.{name}");
            return Err(self.stop(scope, at, None, message));
        }
        if let Some(method) = method(&receiver, name) {
            return self.call(scope, dot, at, method, Some(receiver), arguments, piped);
        }
        let has_arguments = !arguments.is_empty() || !matches!(piped, Piped::Nothing);
        let found = match &receiver {
            Value::Map(map) => Some(map.get(name).unwrap_or_else(|| missing(map.map_type()))),
            Value::Struct(fields) => fields.field(name).cloned(),
            _ => None,
        };
        match found {
            Some(_) if has_arguments => {
                let message = format!("{name} is not a method but has arguments");
                Err(self.stop(scope, at, None, message))
            }
            Some(value) => Ok(Some(value)),
            None => {
                let message = format!("can't evaluate field {name} in type {}", type_name(&receiver));
                Err(self.stop(scope, at, None, message))
            }
        }
    }

    fn function(
        &mut self,
        scope: &mut Scope<'_>,
        dot: &Given,
        at: Position,
        function: &'static Function,
        arguments: &[Expression],
        piped: Piped,
    ) -> Result<Given, Stop> {
        match function.body {
            Body::And => self.short_circuit(scope, dot, at, function, arguments, piped, false),
            Body::Or => self.short_circuit(scope, dot, at, function, arguments, piped, true),
            _ => self.call(scope, dot, at, function, None, arguments, piped),
        }
    }

    /// `and` and `or`: the first argument that decides, or the last one.
    fn short_circuit(
        &mut self,
        scope: &mut Scope<'_>,
        dot: &Given,
        at: Position,
        function: &'static Function,
        arguments: &[Expression],
        piped: Piped,
        decisive: bool,
    ) -> Result<Given, Stop> {
        if arguments.is_empty() && matches!(piped, Piped::Nothing) {
            let message = format!("wrong number of args for {}: want at least 1 got 0", function.name);
            return Err(self.stop(scope, at, None, message));
        }
        let mut value = None;
        for argument in arguments {
            value = self.operand(scope, dot, argument)?;
            if value.as_ref().is_some_and(is_true) == decisive {
                return Ok(value);
            }
        }
        match piped {
            Piped::Value(last) => Ok(last),
            Piped::Nothing => Ok(value),
        }
    }

    fn call(
        &mut self,
        scope: &mut Scope<'_>,
        dot: &Given,
        at: Position,
        function: &'static Function,
        receiver: Given,
        arguments: &[Expression],
        piped: Piped,
    ) -> Result<Given, Stop> {
        self.step(scope, at)?;
        let own = usize::from(receiver.is_some());
        let count = own + arguments.len() + usize::from(matches!(piped, Piped::Value(_)));
        if count < function.least || function.most.is_some_and(|most| count > most) {
            let wanted = match function.most {
                Some(most) => format!("want {}", most - own),
                None => format!("want at least {}", function.least - own),
            };
            let message = format!("wrong number of args for {}: {wanted} got {}", function.name, count - own);
            return Err(self.stop(scope, at, None, message));
        }
        let mut values = Vec::with_capacity(count);
        let mut nil_fields = 0u32;
        values.extend(receiver);
        for argument in arguments {
            let value = self.operand(scope, dot, argument)?;
            if matches!(value, Some(Value::Nil)) && !matches!(argument.kind, Operand::Nil) {
                nil_fields |= 1u32.checked_shl(values.len() as u32).unwrap_or(0);
            }
            values.push(value.unwrap_or_default());
        }
        if let Piped::Value(value) = piped {
            values.push(value.unwrap_or_default());
        }
        let result = match function.body {
            Body::Plain(body) => body(&Call { context: self.context, arguments: &values, nil_fields }),
            Body::Include | Body::Tpl => {
                let data = values.pop().filter(|value| !value.is_nil());
                let Some(Value::String(text)) = values.pop() else {
                    let message = "wrong type for value; expected string".to_owned();
                    return Err(self.stop(scope, at, Some(function.name), message));
                };
                return match function.body {
                    Body::Include => self.call_template(scope, at, &text, data).map(Value::string),
                    _ => self.tpl(scope, at, &text, data).map(Value::string),
                }
                .map(Some);
            }
            // `function` takes these.
            Body::And | Body::Or => Ok(Value::Nil),
        };
        match result {
            Ok(value) => Ok(Some(value)),
            Err(failure) => {
                let message = match failure {
                    Failure::Message(message) | Failure::Refused(message) => message,
                    Failure::Limit(limit) => limit.to_string(),
                };
                Err(self.stop(scope, at, Some(function.name), message))
            }
        }
    }

    /// Renders a named template, for `include` and for `template`.
    fn call_template(
        &mut self,
        scope: &Scope<'_>,
        at: Position,
        name: &Arc<str>,
        dot: Given,
    ) -> Result<String, Stop> {
        let Some(template) = self.find(name) else {
            let message = format!("no template {name:?}");
            return Err(self.stop(scope, at, Some("include"), message));
        };
        self.enter(scope, at, name, |this| this.execute(&template, dot))
    }

    /// Renders a text. What it defines is known inside it only.
    fn tpl(&mut self, scope: &Scope<'_>, at: Position, text: &Arc<str>, dot: Given) -> Result<String, Stop> {
        if !text.contains("{{") {
            self.pay(scope, at, text.len())?;
            return Ok(without_no_value(text.to_string()));
        }
        let known = self.texts.get(text).map(Rc::clone);
        let parsed = match known {
            Some(parsed) => parsed,
            None => {
                // Nodes take more room than their text.
                self.pay(scope, at, 8 * text.len())?;
                let name = Arc::from(TPL_NAME);
                let parsed = read(&name, Arc::clone(text), &self.context.budget.limits());
                let mut parsed = parsed.map_err(|error| {
                    let includes = self.trail(scope, Some((at, "tpl")));
                    Box::new(Error { includes, function: Some("tpl".to_owned()), ..error })
                })?;
                let Some(main) = parsed.pop() else { return Ok(String::new()) };
                let mut templates = Templates::new();
                for template in parsed {
                    add(&mut templates, template);
                }
                let parsed = Rc::new(Text { main, templates: Rc::new(templates) });
                self.texts.insert(Arc::clone(text), Rc::clone(&parsed));
                parsed
            }
        };
        let name = Arc::from("tpl");
        let text = self.enter(scope, at, &name, |this| {
            this.defined.push(Rc::clone(&parsed.templates));
            let result = this.execute(&parsed.main, dot);
            this.defined.pop();
            result
        })?;
        Ok(without_no_value(text))
    }

    fn enter(
        &mut self,
        scope: &Scope<'_>,
        at: Position,
        name: &Arc<str>,
        render: impl FnOnce(&mut Self) -> Result<String, Stop>,
    ) -> Result<String, Stop> {
        let most = self.context.budget.limits().include_depth;
        if self.includes.len() >= most {
            return Err(self.stop(scope, at, Some("include"), Limit::IncludeDepth(most).to_string()));
        }
        self.descend(scope, at)?;
        self.includes.push(Frame { caller: Arc::clone(scope.template), at, name: Arc::clone(name) });
        let text = render(self)?;
        self.includes.pop();
        self.depth -= 1;
        Ok(text)
    }

    /// The nodes of a block.
    fn nested(
        &mut self,
        scope: &mut Scope<'_>,
        at: Position,
        dot: &Given,
        nodes: &[Node],
        out: &mut String,
    ) -> Result<Flow, Stop> {
        self.descend(scope, at)?;
        let flow = self.walk(scope, dot, nodes, out)?;
        self.depth -= 1;
        Ok(flow)
    }

    /// One level further in, as far as the stack allows. Nothing goes on after an error, so only what
    /// succeeds comes up again.
    fn descend(&mut self, scope: &Scope<'_>, at: Position) -> Result<(), Stop> {
        if self.depth >= DEEPEST {
            return Err(self.stop(scope, at, None, Limit::SyntaxDepth(DEEPEST).to_string()));
        }
        self.depth += 1;
        Ok(())
    }

    fn step(&self, scope: &Scope<'_>, at: Position) -> Result<(), Stop> {
        self.context.budget.step().map_err(|limit| self.stop(scope, at, None, limit.to_string()))
    }

    fn pay(&self, scope: &Scope<'_>, at: Position, count: usize) -> Result<(), Stop> {
        self.context.budget.bytes(count).map_err(|limit| self.stop(scope, at, None, limit.to_string()))
    }

    /// A value in a message.
    fn shown(&self, value: &Value) -> String {
        display(value, &self.context.budget).unwrap_or_else(|_| type_name(value).into_owned())
    }

    #[cold]
    fn stop(&self, scope: &Scope<'_>, at: Position, function: Option<&str>, message: String) -> Stop {
        let source = &scope.template.source;
        let (line, column) = place(&source.text, at);
        Box::new(Error {
            template: source.name.to_string(),
            line,
            column,
            function: function.map(str::to_owned),
            message,
            includes: self.trail(scope, None),
        })
    }

    /// The calls that led here, and perhaps one more.
    fn trail(&self, scope: &Scope<'_>, last: Option<(Position, &str)>) -> Vec<Include> {
        let include = |template: &Template, at: Position, name: &str| Include {
            template: template.source.name.to_string(),
            line: place(&template.source.text, at).0,
            name: name.to_owned(),
        };
        let mut trail: Vec<_> =
            self.includes.iter().map(|frame| include(&frame.caller, frame.at, &frame.name)).collect();
        trail.extend(last.map(|(at, name)| include(scope.template, at, name)));
        trail
    }
}

/// What the command before in a pipeline gave.
enum Piped {
    Nothing,
    Value(Given),
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum Branching {
    If,
    With,
}

/// An element of a list with its place. No list is longer than an `i64` counts.
fn numbered((index, element): (usize, Value)) -> (Given, Value) {
    (Some(Value::int(index as i64)), element)
}

fn without_no_value(text: String) -> String {
    if text.contains(NO_VALUE) { text.replace(NO_VALUE, "") } else { text }
}
