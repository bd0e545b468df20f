//! Receipts: the signed document, the short form for people, and the notice of what is absent.
//! Takes what an import proved, gives a document for machines and a line for people.

pub(crate) mod absence;
mod census;
pub(crate) mod document;
pub(crate) mod short;
