//! What keeps the house in order: which crate may know which, where files stand and how they begin, and
//! that the documents name what exists. Nothing of the product runs here.

mod arrows;
mod documents;
mod rooms;
mod sources;
