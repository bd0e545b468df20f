//! The state of one evaluation: variables, the stack of blocks, the budget.
//! Takes a template and `.`; runs on a thread whose stack fits its depth.

use crate::limits::EVALUATION_DEPTH;
use std::cell::Cell;
use std::collections::HashMap;
use std::rc::Rc;
use std::sync::Arc;

use super::ast::{Position, Template};
use super::engine::{add, read};
use super::error::place;
use super::{Error, Include};
use crate::functions::Context;
use crate::go::format::display;
use crate::go::types::type_name;
use crate::{Limit, Value};

/// The name that Helm's main template has, and so each text that `tpl` is given.
const TPL_NAME: &str = "gotpl";
/// Go's text for a missing value. Helm removes it from the output.
pub(super) const NO_VALUE: &str = "<no value>";

/// A value as Go's reflection has it: `None` is no value at all, which has no fields but may be asked for
/// them; `Some(Nil)` is the `nil` in a map, whose fields are an error.
pub(super) type Given = Option<Value>;

pub(super) type Stop = Box<Error>;

type Templates = HashMap<Arc<str>, Arc<Template>>;

/// Renders templates. A rendering sees the changes that earlier ones made to the values. `nodes.rs` walks
/// nodes, `expressions.rs` evaluates the expressions in them.
pub(super) struct Evaluator<'e> {
    templates: &'e Templates,
    /// The definitions of the texts that `tpl` is rendering now, innermost last.
    defined: Vec<Rc<Templates>>,
    /// The texts that `tpl` was given before.
    texts: HashMap<Arc<str>, Rc<Text>>,
    /// How many nodes these may still have.
    room: Cell<usize>,
    pub(super) context: &'e Context,
    includes: Vec<Frame>,
    pub(super) depth: usize,
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

/// The template that runs now, its variables, and what `.` is.
pub(super) struct Scope<'t> {
    pub(super) template: &'t Arc<Template>,
    pub(super) variables: Vec<Given>,
    pub(super) dot: Given,
}

impl<'e> Evaluator<'e> {
    pub(super) fn new(templates: &'e Templates, context: &'e Context) -> Self {
        Self {
            templates,
            defined: Vec::new(),
            texts: HashMap::new(),
            room: Cell::new(context.budget.limits().syntax_nodes),
            context,
            includes: Vec::new(),
            depth: 0,
        }
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
        // The first variable is `$`.
        let mut variables = vec![None; template.variables];
        variables[0].clone_from(&dot);
        let mut out = String::new();
        self.walk(&mut Scope { template, variables, dot }, &template.body, &mut out)?;
        Ok(out)
    }

    /// Renders a named template, for `include` and for `template`.
    pub(super) fn call_template(
        &mut self,
        scope: &Scope<'_>,
        at: Position,
        name: &Arc<str>,
        dot: Given,
    ) -> Result<String, Stop> {
        let Some(template) = self.find(name) else {
            return Err(self.stop(scope, at, None, format!("template {name:?} is not defined")));
        };
        self.enter(scope, at, name, |this| this.execute(&template, dot))
    }

    /// Renders a text. Its definitions are known inside it only.
    pub(super) fn tpl(
        &mut self,
        scope: &Scope<'_>,
        at: Position,
        text: &Arc<str>,
        dot: Given,
    ) -> Result<String, Stop> {
        if !text.contains("{{") {
            self.pay(scope, at, text.len())?;
            return Ok(without_no_value(text.to_string()));
        }
        let known = self.texts.get(text).map(Rc::clone);
        let parsed = match known {
            Some(parsed) => parsed,
            None => self.parse(scope, at, text)?,
        };
        let text = self.enter(scope, at, &Arc::from("tpl"), |this| {
            // Most texts define nothing, and every lookup goes through all that do.
            if parsed.templates.len() < 2 {
                return this.execute(&parsed.main, dot);
            }
            this.defined.push(Rc::clone(&parsed.templates));
            let text = this.execute(&parsed.main, dot)?;
            this.defined.pop();
            Ok(text)
        })?;
        Ok(without_no_value(text))
    }

    fn parse(&mut self, scope: &Scope<'_>, at: Position, text: &Arc<str>) -> Result<Rc<Text>, Stop> {
        self.pay(scope, at, text.len())?;
        let name = Arc::from(TPL_NAME);
        let parsed = read(&name, Arc::clone(text), self.context.budget.limits(), &self.room);
        let templates = parsed.map_err(|error| {
            let mut includes = self.trail();
            includes.push(include(scope.template, at, "tpl"));
            Box::new(Error { includes, function: Some("tpl".to_owned()), ..error })
        })?;
        let mut known = Templates::new();
        let mut main = Arc::clone(scope.template);
        for template in templates {
            main = Arc::clone(&template);
            add(&mut known, template);
        }
        let parsed = Rc::new(Text { main, templates: Rc::new(known) });
        self.texts.insert(Arc::clone(text), Rc::clone(&parsed));
        Ok(parsed)
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

    /// One level further in, as far as the stack allows. Nothing goes on after an error, so only what
    /// succeeds comes up again.
    pub(super) fn descend(&mut self, scope: &Scope<'_>, at: Position) -> Result<(), Stop> {
        if self.depth >= EVALUATION_DEPTH {
            return Err(self.stop(scope, at, None, Limit::SyntaxDepth(EVALUATION_DEPTH).to_string()));
        }
        self.depth += 1;
        Ok(())
    }

    pub(super) fn step(&self, scope: &Scope<'_>, at: Position) -> Result<(), Stop> {
        self.context.budget.step().map_err(|limit| self.stop(scope, at, None, limit.to_string()))
    }

    pub(super) fn pay(&self, scope: &Scope<'_>, at: Position, count: usize) -> Result<(), Stop> {
        self.context.budget.bytes(count).map_err(|limit| self.stop(scope, at, None, limit.to_string()))
    }

    /// A value in a message.
    pub(super) fn shown(&self, value: &Value) -> String {
        display(value, &self.context.budget).unwrap_or_else(|_| type_name(value).into_owned())
    }

    #[cold]
    pub(super) fn stop(
        &self,
        scope: &Scope<'_>,
        at: Position,
        function: Option<&str>,
        message: impl Into<String>,
    ) -> Stop {
        let source = &scope.template.source;
        let (line, column) = place(&source.text, at);
        Box::new(Error {
            template: source.name.to_string(),
            line,
            column,
            function: function.map(str::to_owned),
            message: message.into(),
            includes: self.trail(),
        })
    }

    /// The calls that led here.
    fn trail(&self) -> Vec<Include> {
        self.includes.iter().map(|frame| include(&frame.caller, frame.at, &frame.name)).collect()
    }
}

fn include(caller: &Template, at: Position, name: &str) -> Include {
    let line = place(&caller.source.text, at).0;
    Include { template: caller.source.name.to_string(), line, name: name.to_owned() }
}

fn without_no_value(text: String) -> String {
    if text.contains(NO_VALUE) { text.replace(NO_VALUE, "") } else { text }
}
