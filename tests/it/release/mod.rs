//! What a user installs: the program's words about itself, its completions and manual, and the packages.

mod packages;
mod words;
