//! Evaluates lists of nodes: texts, actions, `if`, `range`, `with`, `template`.
//! Takes nodes and `.`; writes their text.

use super::ast::{Branch, Node, Pipeline, Position};
use super::evaluator::{Evaluator, Given, NO_VALUE, Scope, Stop};
use crate::functions::KUBE_VERSION;
use crate::go::format::display;
use crate::go::types::is_true;
use crate::{IntType, Value};

/// How a list of nodes ended.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) enum Flow {
    Next,
    Break,
    Continue,
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum Branching {
    If,
    With,
}

impl Evaluator<'_> {
    /// Writes what the nodes give to `out`.
    pub(super) fn walk(
        &mut self,
        scope: &mut Scope<'_>,
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
                    let value = self.pipeline(scope, pipeline)?;
                    if pipeline.variables.is_empty() {
                        self.print(scope, pipeline.at, value, out)?;
                    }
                    Flow::Next
                }
                Node::If { branches, otherwise } => {
                    self.branches(scope, branches, otherwise.as_deref(), Branching::If, out)?
                }
                Node::With { branches, otherwise } => {
                    self.branches(scope, branches, otherwise.as_deref(), Branching::With, out)?
                }
                Node::Range { pipeline, body, otherwise } => {
                    self.range(scope, pipeline, body, otherwise.as_deref(), out)?
                }
                Node::Template { at, name, argument } => {
                    let argument = match argument {
                        Some(pipeline) => self.pipeline(scope, pipeline)?,
                        None => None,
                    };
                    out.push_str(&self.call_template(scope, *at, name, argument)?);
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

    /// The nodes of a block, with `.` as given or, without, as it is.
    fn nested(
        &mut self,
        scope: &mut Scope<'_>,
        at: Position,
        dot: Option<Given>,
        nodes: &[Node],
        out: &mut String,
    ) -> Result<Flow, Stop> {
        self.descend(scope, at)?;
        let outer = dot.map(|dot| std::mem::replace(&mut scope.dot, dot));
        let flow = self.walk(scope, nodes, out)?;
        if let Some(outer) = outer {
            scope.dot = outer;
        }
        self.depth -= 1;
        Ok(flow)
    }

    /// Writes a value as `fmt.Print` does.
    fn print(&self, scope: &Scope<'_>, at: Position, value: Given, out: &mut String) -> Result<(), Stop> {
        match value {
            None => out.push_str(NO_VALUE),
            Some(Value::String(text)) => {
                self.pay(scope, at, text.len())?;
                out.push_str(&text);
            }
            // Its `String` method is seen only where it is not copied.
            Some(Value::Struct(fields)) if fields.type_name == KUBE_VERSION => {
                out.push_str(fields.field("Version").and_then(Value::as_str).unwrap_or_default());
            }
            Some(value) => match display(&value, &self.context.budget) {
                Ok(text) => out.push_str(&text),
                Err(limit) => return Err(self.stop(scope, at, None, limit.to_string())),
            },
        }
        Ok(())
    }

    fn branches(
        &mut self,
        scope: &mut Scope<'_>,
        branches: &[Branch],
        otherwise: Option<&[Node]>,
        branching: Branching,
        out: &mut String,
    ) -> Result<Flow, Stop> {
        for branch in branches {
            let value = self.pipeline(scope, &branch.condition)?;
            if value.as_ref().is_some_and(is_true) {
                let dot = (branching == Branching::With).then_some(value);
                return self.nested(scope, branch.condition.at, dot, &branch.body, out);
            }
        }
        let at = branches.first().map_or(0, |branch| branch.condition.at);
        otherwise.map_or(Ok(Flow::Next), |nodes| self.nested(scope, at, None, nodes, out))
    }

    fn range(
        &mut self,
        scope: &mut Scope<'_>,
        pipeline: &Pipeline,
        body: &[Node],
        otherwise: Option<&[Node]>,
        out: &mut String,
    ) -> Result<Flow, Stop> {
        let at = pipeline.at;
        let value = self.pipeline(scope, pipeline)?.unwrap_or_default();
        let with_place = pipeline.variables.len() > 1;
        let entries: Box<dyn Iterator<Item = (Given, Value)>> = match value {
            Value::Nil => Box::new(std::iter::empty()),
            Value::List(list) => {
                let places = 0..list.len();
                Box::new(places.map(move |place| (Some(position(place)), list[place].clone())))
            }
            Value::Bytes(bytes) => Box::new((0..bytes.len()).map(move |place| {
                (Some(position(place)), Value::Int(i64::from(bytes[place]), IntType::Uint8))
            })),
            // A copy, unaffected by later `set`s.
            Value::Map(map) => {
                Box::new(map.entries().into_iter().map(|(key, value)| (Some(Value::String(key)), value)))
            }
            Value::Int(count, int_type) if !with_place => {
                Box::new((0..count).map(move |number| (None, Value::Int(number, int_type))))
            }
            other => {
                let value = self.shown(&other);
                return Err(self.stop(
                    scope,
                    at,
                    None,
                    match other {
                        Value::Int(..) => format!("can't use {value} to iterate over more than one variable"),
                        _ => format!("range can't iterate over {value}"),
                    },
                ));
            }
        };
        let mut empty = true;
        for (place, element) in entries {
            empty = false;
            self.step(scope, at)?;
            let element = Some(element);
            // One variable takes the element, two take its place and the element.
            match pipeline.variables.as_slice() {
                [single] => scope.variables[*single].clone_from(&element),
                [first, second] => {
                    scope.variables[*first] = place;
                    scope.variables[*second].clone_from(&element);
                }
                _ => {}
            }
            if self.nested(scope, at, Some(element), body, out)? == Flow::Break {
                break;
            }
        }
        match otherwise {
            Some(nodes) if empty => self.nested(scope, at, None, nodes, out),
            _ => Ok(Flow::Next),
        }
    }
}

/// A place in a list. No list is longer than an `i64` counts.
const fn position(place: usize) -> Value {
    Value::int(place as i64)
}
