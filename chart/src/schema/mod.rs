//! Checks values against a chart's `values.schema.json`.
//! Start at [`check_schemas`]; nothing is fetched, and every step is bounded.

mod check;
mod draft;
mod format;
mod keywords;
mod validator;

pub use check::SchemaError;
pub(crate) use check::check_schemas;
