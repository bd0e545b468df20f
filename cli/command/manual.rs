//! `manual`: writes the manual pages for man(1), one for each command. Hidden; scripts/package calls it.
//! Takes a directory that exists and the program's name, gives files such as `bundle-create.1` in it.

use std::path::PathBuf;

use clap::CommandFactory;

use crate::Arguments;
use crate::command::completion::called;
use crate::examples::with_examples;
use crate::exit::{Code, Failure};
use crate::groups::in_groups;

#[derive(clap::Args)]
pub(crate) struct Manual {
    /// Directory
    directory: PathBuf,

    /// Name under which the program is called
    #[arg(long, value_name = "NAME", default_value = "bundle", value_parser = called)]
    name: String,
}

impl Manual {
    pub(crate) fn run(self) -> Result<(), Failure> {
        // clap keeps names for the life of the process, which ends here.
        let name: &'static str = self.name.leak();
        let command = with_examples(in_groups(Arguments::command())).name(name).disable_help_subcommand(true);
        clap_mangen::generate_to(command, &self.directory)
            .map_err(|error| Failure::text(Code::Failed, format!("{}: {error}", self.directory.display())))
    }
}
