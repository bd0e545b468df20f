//! Checks of the repository: dependencies between crates, the places and heads of files, and the names in the
//! documents. No code of the product runs here.

mod arrows;
mod documents;
mod rooms;
mod sources;
