//! JSON Schema, as far as charts use it.

mod check;
mod format;
mod validator;

pub use check::SchemaError;
pub(crate) use check::check_schemas;
