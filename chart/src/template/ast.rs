//! The syntax tree of templates.
//! Made by the parser; walked by the evaluator.

use std::sync::Arc;

use crate::functions::Function;

/// One file's text, or the text that `tpl` was given.
#[derive(Debug)]
pub(crate) struct Source {
    /// The name that errors show.
    pub(crate) name: Arc<str>,
    pub(crate) text: Arc<str>,
}

/// A named template: a file's main text or a `define`.
#[derive(Debug)]
pub(crate) struct Template {
    pub(crate) name: Arc<str>,
    pub(crate) source: Arc<Source>,
    /// Equal files share it.
    pub(crate) body: Arc<Vec<Node>>,
    /// How many variables it has at most, `$` included.
    pub(crate) variables: usize,
}

impl Template {
    /// Whether it holds nothing but white space and definitions; such a template never replaces another.
    pub(crate) fn is_empty(&self) -> bool {
        self.body.iter().all(|node| match node {
            Node::Text { start, end } => self.source.text[*start..*end].trim_ascii().is_empty(),
            _ => false,
        })
    }
}

/// A byte offset in the source's text.
pub(crate) type Position = usize;

#[derive(Debug)]
pub(crate) enum Node {
    /// A part of the source's text.
    Text {
        start: Position,
        end: Position,
    },
    /// A pipeline whose value is written, unless it declares variables.
    Action(Pipeline),
    /// `if`, with an `else if` for every further branch.
    If {
        branches: Vec<Branch>,
        otherwise: Option<Vec<Node>>,
    },
    /// `with`, with an `else with` for every further branch.
    With {
        branches: Vec<Branch>,
        otherwise: Option<Vec<Node>>,
    },
    Range {
        pipeline: Pipeline,
        body: Vec<Node>,
        otherwise: Option<Vec<Node>>,
    },
    /// `template` and `block`.
    Template {
        at: Position,
        name: Arc<str>,
        argument: Option<Pipeline>,
    },
    Break,
    Continue,
}

#[derive(Debug)]
pub(crate) struct Branch {
    pub(crate) condition: Pipeline,
    pub(crate) body: Vec<Node>,
}

#[derive(Debug)]
pub(crate) struct Pipeline {
    pub(crate) at: Position,
    /// The variables that take its value, by their place in the template's frame.
    pub(crate) variables: Vec<usize>,
    /// Whether they are declared here or only assigned to. A `range` treats them differently.
    pub(crate) declares: bool,
    pub(crate) commands: Vec<Command>,
}

/// An operand and its arguments.
#[derive(Debug)]
pub(crate) struct Command {
    pub(crate) head: Expression,
    pub(crate) arguments: Vec<Expression>,
}

#[derive(Debug)]
pub(crate) struct Expression {
    pub(crate) at: Position,
    pub(crate) kind: Operand,
}

#[derive(Debug)]
pub(crate) enum Operand {
    Dot,
    Nil,
    Bool(bool),
    Number(Number),
    String(Arc<str>),
    /// `.a.b`
    Field(Vec<Arc<str>>),
    /// `$x.a.b`, by the variable's place in the template's frame.
    Variable(usize, Vec<Arc<str>>),
    /// A variable that another branch declared.
    Undefined(Arc<str>),
    /// `(pipeline).a.b` or `function.a.b`
    Chain(Box<Expression>, Vec<Arc<str>>),
    Function(&'static Function),
    Pipeline(Box<Pipeline>),
}

/// A number as it stands in a template, in each type that it can be used as.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) struct Number {
    pub(crate) int: Option<i64>,
    pub(crate) float: Option<f64>,
    /// Whether it is written as a float, and so is one where no type is asked for.
    pub(crate) is_float: bool,
}
