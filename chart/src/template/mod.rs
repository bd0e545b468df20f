//! Go's text/template, as far as Helm has it.
//! Start at [`Engine`].

mod ast;
mod engine;
mod error;
mod evaluator;
mod expressions;
#[cfg(test)]
mod expressions_test;
mod lexer;
mod nodes;
mod parser;

pub use engine::{Engine, Rendered, TemplateSource};
pub use error::{Error, Include};
