//! What Go's standard library does, as far as templates show it: numbers, quotes, formats, times.

pub(crate) mod duration;
pub(crate) mod float;
pub(crate) mod format;
pub(crate) mod integer;
pub(crate) mod json;
pub(crate) mod quote;
pub(crate) mod time;
pub(crate) mod types;
