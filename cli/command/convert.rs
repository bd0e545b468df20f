//! `bundle convert`: another tool's file as a bundle.yaml on standard output.
//! Takes a file of hauler, zarf, oc-mirror, skopeo, regsync, imgpkg or `helm dt`, or a list; remarks go to standard error.

use std::path::PathBuf;

use bundle_bundler::{Converted, Tool, Weight, convert};
use bundle_input::read_list;
use bundle_report::{ConvertRemark, ConvertReport};

use crate::exit::{Code, Failure};
use crate::output;

#[derive(clap::Args)]
pub(crate) struct Convert {
    /// File of another tool; - reads standard input
    #[arg(value_name = "FILE|-")]
    file: PathBuf,

    /// Tool whose file it is [default: recognised by its fields]
    #[arg(long, value_name = "TOOL", value_parser = tool)]
    from: Option<Tool>,
}

impl Convert {
    pub(crate) fn run(self) -> Result<(), Failure> {
        let (name, text) = read_list(&self.file)?;
        let Converted { tool, yaml, remarks } = convert(&text, &name, self.from)?;
        let remarks: Vec<ConvertRemark> = remarks
            .into_iter()
            .map(|remark| ConvertRemark {
                place: remark.place,
                text: remark.text,
                missing: remark.weight == Weight::Content,
            })
            .collect();
        let missing = remarks.iter().filter(|remark| remark.missing).count();
        if !output::is_json() {
            remarks.iter().for_each(|remark| output::tell(&remark.line()));
        }
        let report = ConvertReport { tool: tool.name().to_owned(), complete: missing == 0, yaml, remarks };
        output::report(&report)?;
        match missing {
            0 => Ok(()),
            _ => {
                let parts = if missing == 1 { "part is" } else { "parts are" };
                let text = format!("{missing} {parts} not in the bundle.yaml");
                Err(Failure::text(Code::Incomplete, text)
                    .hint("add these by hand; comments at the head of the file name them"))
            }
        }
    }
}

fn tool(name: &str) -> Result<Tool, String> {
    let known = Tool::ALL.into_iter().find(|tool| tool.name() == name);
    known.ok_or_else(|| format!("known are {}", Tool::ALL.map(Tool::name).join(", ")))
}
