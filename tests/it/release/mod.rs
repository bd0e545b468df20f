//! What a user installs: the packages, and the program's words about itself.
//! Takes the program; gives packages that are installed and removed, completions and manual pages.

mod packages;
mod words;
