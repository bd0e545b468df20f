//! Values: what people give a chart, and how it meets the chart's own.
//! Start at [`ValueSet`].

mod coalesce;
mod merge;
mod set;
#[cfg(test)]
pub(crate) mod testing;
mod unknown;

pub(crate) use coalesce::{Nulls, coalesce, merge_tables, table_of};
pub use merge::{Purpose, ValueSet, ValuesError, ValuesFile};
pub use set::{SetCause, SetError};
pub(crate) use unknown::unknown_keys;
