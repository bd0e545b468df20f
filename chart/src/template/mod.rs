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
pub(crate) mod trace;

pub use engine::TemplateCache;
pub use engine::{Engine, Rendered, TemplateSource};
pub(crate) use engine::{Program, ProgramFile, Tracing, join, with_stack};
pub use error::{Error, Include};
