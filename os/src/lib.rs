//! Small files of people and of ours: read within bounds, and replaced whole.
//!
//! A path in an argument or a configuration can lead to a FIFO whose writer never comes, to a
//! device that never ends, or to more than fits into memory. [`open`] and [`read`] refuse these.
//! [`replace_file`] and [`create_file`] are how files of ours are written: nobody keeps half of one.

mod read;
mod replace;

pub use read::{open, read, read_from, read_text};
pub use replace::{FileError, create_file, replace_file, replace_secret, sync_directory};
