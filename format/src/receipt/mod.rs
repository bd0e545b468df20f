//! Receipts: the signed document, and the short form for people.
//! Takes what an import proved, gives a document for machines and a line for people.

mod census;
pub(crate) mod document;
pub(crate) mod short;
