//! The scanner: a program of the user's, which is run for each image.
//! Takes its name and its database; gives bytes of its output within bounds, or why there are none.

mod command;
mod login;
mod process;

pub use command::{Identity, Scanner, ScannerError, ScannerKind};
pub use login::Login;
pub use process::ScanError;
