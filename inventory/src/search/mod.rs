//! Where an image is and which bundle brought it: from receipts and bundles that are believed, from the registry's
//! record, and from what is there now. Files that are not believed, or cannot be read, are named.

mod answer;
mod known;
mod question;
mod there;

#[cfg(test)]
mod tests;

pub use answer::{Answer, At, Bringing, Now, Place, Problem, Standing};
pub use question::{Far, SearchError, Sources, search};
