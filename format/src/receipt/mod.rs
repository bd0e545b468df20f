//! Receipts: the signed document, and the short form for people.

pub(crate) mod document;
pub(crate) mod short;
