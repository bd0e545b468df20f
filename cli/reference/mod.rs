//! The pages of docs/reference, made from the program itself: from clap, from the report models, and from
//! the tables of exit codes, environment variables and files. Takes nothing, gives Markdown.

mod codes;
mod commands;
mod configuration;
mod files;
mod json;
mod variables;

pub(crate) use codes::exit_codes;
pub(crate) use commands::commands;
pub(crate) use configuration::configuration;
pub(crate) use files::files;
pub(crate) use json::json;
pub(crate) use variables::environment;

/// The head of each page.
const MADE: &str = "<!-- Made by `BUNDLE_BLESS=1 cargo test --test it reference`. Do not edit. -->\n\n";
