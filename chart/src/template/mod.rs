//! Go's text/template language with Helm's functions.

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
