use crate::command::print_json;
use crate::exit::Failure;

#[derive(clap::Args)]
pub(crate) struct Schema {}

impl Schema {
    pub(crate) fn run(self) -> Result<(), Failure> {
        print_json(&bundle_bundler::schema())
    }
}
