//! Evaluates pipelines, fields, calls and literals.
//! Takes an expression and `.`; gives a value.

use std::sync::Arc;

use super::ast::{Command, Expression, Operand, Pipeline, Position};
use super::evaluator::{Evaluator, Given, Scope, Stop};
use crate::Value;
use crate::functions::{Body, Call, Failure, Function, method, missing};
use crate::go::types::{is_true, type_name};

/// The result of the previous command in a pipeline.
#[derive(Debug)]
pub(super) enum Piped {
    Nothing,
    Value(Given),
}

/// The bytes of text that a function goes through in a step.
const STEP: usize = 64;

impl Piped {
    const fn is_nothing(&self) -> bool {
        matches!(self, Self::Nothing)
    }
}

impl Evaluator<'_> {
    pub(super) fn pipeline(&mut self, scope: &mut Scope<'_>, pipeline: &Pipeline) -> Result<Given, Stop> {
        self.step(scope, pipeline.at)?;
        let mut piped = Piped::Nothing;
        for command in &pipeline.commands {
            // The result of a command is no longer the `nil` in a map.
            let value = self.command(scope, command, piped)?.filter(|value| !value.is_nil());
            piped = Piped::Value(value);
        }
        let value = match piped {
            Piped::Value(value) => value,
            Piped::Nothing => None,
        };
        for variable in &pipeline.variables {
            scope.variables[*variable].clone_from(&value);
        }
        Ok(value)
    }

    fn command(&mut self, scope: &mut Scope<'_>, command: &Command, piped: Piped) -> Result<Given, Stop> {
        let (head, arguments) = (&command.head, command.arguments.as_slice());
        match &head.kind {
            Operand::Function(function) => self.function(scope, head.at, function, arguments, piped),
            Operand::Field(names) => {
                let dot = scope.dot.clone();
                self.fields(scope, head.at, dot, names, arguments, piped)
            }
            Operand::Variable(variable, names) if !names.is_empty() => {
                let value = scope.variables[*variable].clone();
                self.fields(scope, head.at, value, names, arguments, piped)
            }
            Operand::Chain(inner, names) => {
                let value = self.operand(scope, inner)?;
                self.fields(scope, head.at, value, names, arguments, piped)
            }
            _ if !arguments.is_empty() || !piped.is_nothing() => Err(self.stop(
                scope,
                head.at,
                None,
                "can't give an argument to a value that is not a function",
            )),
            Operand::Nil => Err(self.stop(scope, head.at, None, "nil is not a command")),
            _ => self.operand(scope, head),
        }
    }

    /// The value of an operand that has no arguments of its own.
    fn operand(&mut self, scope: &mut Scope<'_>, operand: &Expression) -> Result<Given, Stop> {
        let at = operand.at;
        match &operand.kind {
            Operand::Dot => Ok(scope.dot.clone()),
            Operand::Nil => Ok(Some(Value::Nil)),
            Operand::Bool(value) => Ok(Some(Value::Bool(*value))),
            Operand::String(text) => Ok(Some(Value::String(Arc::clone(text)))),
            Operand::Number(number) => match (number.is_float, number.int, number.float) {
                (false, Some(value), _) => Ok(Some(Value::int(value))),
                (_, _, Some(value)) => Ok(Some(Value::Float(value))),
                _ => Err(self.stop(scope, at, None, "integer overflow")),
            },
            Operand::Field(names) => {
                let dot = scope.dot.clone();
                self.fields(scope, at, dot, names, &[], Piped::Nothing)
            }
            Operand::Variable(variable, names) => {
                let value = scope.variables[*variable].clone();
                self.fields(scope, at, value, names, &[], Piped::Nothing)
            }
            Operand::Undefined(name) => {
                Err(self.stop(scope, at, None, format!("undefined variable: {name}")))
            }
            Operand::Chain(inner, names) => {
                let value = self.operand(scope, inner)?;
                self.fields(scope, at, value, names, &[], Piped::Nothing)
            }
            Operand::Function(function) => self.function(scope, at, function, &[], Piped::Nothing),
            Operand::Pipeline(pipeline) => {
                self.descend(scope, at)?;
                let value = self.pipeline(scope, pipeline)?;
                self.depth -= 1;
                Ok(value)
            }
        }
    }

    /// `value.a.b.c`, of which the last may be a method with arguments.
    fn fields(
        &mut self,
        scope: &mut Scope<'_>,
        at: Position,
        value: Given,
        names: &[Arc<str>],
        arguments: &[Expression],
        piped: Piped,
    ) -> Result<Given, Stop> {
        let Some((last, path)) = names.split_last() else { return Ok(value) };
        let mut value = value;
        for name in path {
            value = self.field(scope, at, value, name, &[], Piped::Nothing)?;
        }
        self.field(scope, at, value, last, arguments, piped)
    }

    fn field(
        &mut self,
        scope: &mut Scope<'_>,
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
            return self.call(scope, at, method, Some(receiver), arguments, piped);
        }
        let found = match &receiver {
            Value::Map(map) => Some(map.get(name).unwrap_or_else(|| missing(map.map_type()))),
            Value::Struct(fields) => fields.field(name).cloned(),
            _ => None,
        };
        match found {
            Some(_) if !arguments.is_empty() || !piped.is_nothing() => {
                Err(self.stop(scope, at, None, format!("{name} is not a method but has arguments")))
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
        at: Position,
        function: &'static Function,
        arguments: &[Expression],
        piped: Piped,
    ) -> Result<Given, Stop> {
        match function.body {
            Body::And => self.decide(scope, at, false, arguments, piped),
            Body::Or => self.decide(scope, at, true, arguments, piped),
            _ => self.call(scope, at, function, None, arguments, piped),
        }
    }

    /// `and` and `or`: the first argument that decides, or the last one.
    fn decide(
        &mut self,
        scope: &mut Scope<'_>,
        at: Position,
        decisive: bool,
        arguments: &[Expression],
        piped: Piped,
    ) -> Result<Given, Stop> {
        let mut last = None;
        for argument in arguments {
            last = self.operand(scope, argument)?;
            if last.as_ref().is_some_and(is_true) == decisive {
                return Ok(last);
            }
        }
        match piped {
            Piped::Value(value) => Ok(value),
            Piped::Nothing if arguments.is_empty() => {
                Err(self.stop(scope, at, None, "wrong number of args: want at least 1 got 0"))
            }
            Piped::Nothing => Ok(last),
        }
    }

    /// Calls a function, or a method of `receiver`.
    fn call(
        &mut self,
        scope: &mut Scope<'_>,
        at: Position,
        function: &'static Function,
        receiver: Given,
        arguments: &[Expression],
        piped: Piped,
    ) -> Result<Given, Stop> {
        self.step(scope, at)?;
        let own = usize::from(receiver.is_some());
        let count = own + arguments.len() + usize::from(!piped.is_nothing());
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
            let value = self.operand(scope, argument)?;
            if matches!(value, Some(Value::Nil)) && !matches!(argument.kind, Operand::Nil) {
                nil_fields |= 1u32.checked_shl(values.len() as u32).unwrap_or(0);
            }
            values.push(value.unwrap_or_default());
        }
        if let Piped::Value(value) = piped {
            values.push(value.unwrap_or_default());
        }
        // Functions go through their texts.
        let lengths = values.iter().map(|value| value.as_str().map_or(0, str::len));
        let steps = lengths.sum::<usize>() / STEP;
        self.context.budget.steps(steps).map_err(|limit| self.stop(scope, at, None, limit.to_string()))?;
        let body = match function.body {
            Body::Plain(body) => body,
            // These take a text and what `.` is to be.
            special => {
                let dot = values.pop().filter(|value| !value.is_nil());
                let text = match values.pop().unwrap_or_default() {
                    Value::String(text) => text,
                    other => {
                        let found = type_name(&other);
                        let message = format!("wrong type for value; expected string; got {found}");
                        return Err(self.stop(scope, at, Some(function.name), message));
                    }
                };
                let text = match special {
                    Body::Tpl => self.tpl(scope, at, &text, dot)?,
                    _ => self.call_template(scope, at, &text, dot)?,
                };
                return Ok(Some(Value::from(text)));
            }
        };
        let call = Call { context: self.context, arguments: &values, nil_fields };
        match body(&call) {
            Ok(value) => Ok(Some(value)),
            Err(failure) => {
                let (at, message) = match failure {
                    Failure::Argument(index, message) => {
                        let argument = index.checked_sub(own).and_then(|index| arguments.get(index));
                        (argument.map_or(at, |argument| argument.at), message)
                    }
                    Failure::Message(message) => (at, message),
                    // Charts like to draw paragraphs; an error is a line.
                    Failure::Refused(message) => {
                        (at, message.split_whitespace().collect::<Vec<_>>().join(" "))
                    }
                    Failure::Limit(limit) => (at, limit.to_string()),
                };
                Err(self.stop(scope, at, Some(function.name), message))
            }
        }
    }
}
