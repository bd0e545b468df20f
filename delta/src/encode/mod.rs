//! Encoding a layer: `plan` finds what each member came from, `layer` goes through them, `matcher` finds the
//! differences, `groups` and `codec` write them.

mod codec;
mod groups;
mod layer;
mod matcher;
mod plan;
mod tuning;

pub use layer::{Error, Options, Summary, SummaryBase, encode, encode_members};
pub use tuning::Level;
