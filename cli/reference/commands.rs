//! docs/reference/commands.md: every command with its help, as clap prints it.
//! Takes the definition of the arguments, gives Markdown.

use clap::CommandFactory;

use crate::Arguments;
use crate::examples::with_examples;
use crate::groups::in_groups;
use crate::settings;

/// The width of the help in the page, in columns.
const WIDTH: usize = 100;

/// The page.
pub(crate) fn commands() -> String {
    let root = settings::apply(with_examples(in_groups(Arguments::command())), settings::none());
    let mut root = root.term_width(WIDTH).disable_help_subcommand(true);
    root.build();
    let mut page = format!(
        "{}# Commands\n\nThe help of every command, as `bundle COMMAND --help` prints it.\n",
        super::MADE
    );
    add(&mut page, &mut root, "");
    page
}

fn add(page: &mut String, command: &mut clap::Command, above: &str) {
    let name = match above {
        "" => command.get_name().to_owned(),
        above => format!("{above} {}", command.get_name()),
    };
    let help = command.render_long_help().to_string();
    let help: Vec<&str> = help.lines().map(str::trim_end).collect();
    page.push_str(&format!("\n## {name}\n\n```text\n{}\n```\n", help.join("\n").trim_end()));
    for below in command.get_subcommands_mut().filter(|below| !below.is_hide_set()) {
        add(page, below, &name);
    }
}
