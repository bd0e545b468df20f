//! `reference`: prints a page of docs/reference. Hidden; the test `reference` writes and compares the pages.
//! Takes the page's name, gives Markdown on standard output.

use crate::exit::Failure;
use crate::output::print;
use crate::reference;

#[derive(clap::Args)]
pub(crate) struct Reference {
    /// The page
    #[arg(value_enum)]
    page: Page,
}

#[derive(Clone, Copy, clap::ValueEnum)]
enum Page {
    Commands,
    Json,
    ExitCodes,
    Environment,
    Files,
    Configuration,
}

impl Reference {
    pub(crate) fn run(self) -> Result<(), Failure> {
        print(&match self.page {
            Page::Commands => reference::commands(),
            Page::Json => reference::json(),
            Page::ExitCodes => reference::exit_codes(),
            Page::Environment => reference::environment(),
            Page::Files => reference::files(),
            Page::Configuration => reference::configuration(),
        })
    }
}
