//! The headings under which help shows commands, and options, so that what many commands share comes last.
//! Takes clap's definition of the commands, gives it with headings. clap has none for commands: they are made here
//! from its definition, so that none is left out.

use clap::Command;

/// Headings of the program's help, and the commands below them.
const COMMANDS: [(&str, &[&str]); 6] = [
    ("Connected side", &["create", "lock", "images", "convert"]),
    (
        "Disconnected side",
        &["import", "receipt", "where", "stream", "prune", "extract", "serve", "mirror-config"],
    ),
    ("Both sides", &["verify", "inspect", "diff", "report", "scan", "repair", "expand", "sync"]),
    ("Keys and trust", &["key", "sign", "trust"]),
    ("Registries", &["harbor", "doctor", "login", "logout"]),
    ("Settings and support", &["config", "schema", "completion", "support"]),
];

/// Headings, and the options below them. All others stay below "Options".
const GROUPS: [(&str, &[&str]); 6] = [
    ("Choice of images", &["exclude", "semver", "newest", "max-tags", "missing", "add-file", "with-program"]),
    (
        "Platforms and referrers",
        &[
            "platform",
            "all-platforms",
            "strict-platforms",
            "no-referrers",
            "require-referrers",
            "keep-signed-indexes",
            "include-foreign",
        ],
    ),
    (
        "Keys and trust",
        &[
            "key",
            "sign-command",
            "public-key",
            "trust",
            "trust-store",
            "signature",
            "base-trust",
            "receipt-key",
        ],
    ),
    (
        "Stream",
        &["stream", "sequence", "created", "expires", "state", "allow-rollback", "allow-future", "reason"],
    ),
    (
        "Network",
        &[
            "mirror",
            "credentials",
            "plain-http",
            "ca-file",
            "jobs",
            "stall-timeout",
            "retries",
            "wait-for-limit",
            "cache",
        ],
    ),
    ("Output and logs", &["json", "verbose", "quiet", "log-format", "log-file", "progress"]),
];

/// Puts the commands of the program, and the options of all commands, below headings.
pub(crate) fn in_groups(command: Command) -> Command {
    let commands = commands(&command);
    with_headings(command).help_template(format!(
        "{{about-with-newline}}\n{{usage-heading}} {{usage}}\n\n{commands}{{options}}{{after-help}}"
    ))
}

fn with_headings(command: Command) -> Command {
    let command = command.mut_args(|arg| {
        let name = arg.get_long().unwrap_or_default();
        match GROUPS.iter().find(|(_, names)| names.contains(&name)) {
            Some((heading, _)) => arg.help_heading(*heading),
            None => arg,
        }
    });
    command.mut_subcommands(with_headings)
}

/// The commands with what each does, as help shows them, up to the heading of the options.
fn commands(command: &Command) -> String {
    let shown: Vec<&Command> = command.get_subcommands().filter(|command| !command.is_hide_set()).collect();
    let width = shown.iter().map(|command| command.get_name().len()).max().unwrap_or_default();
    let (header, literal) = (command.get_styles().get_header(), command.get_styles().get_literal());
    let title = |heading: &str| format!("{header}{heading}:{header:#}\n");
    let line = |command: &&Command| {
        let name = command.get_name();
        let about = command.get_about().map(ToString::to_string).unwrap_or_default();
        format!("  {literal}{name}{literal:#}{:1$}{about}\n", "", width + 2 - name.len())
    };
    let mut text = String::new();
    for (heading, names) in COMMANDS {
        let below = names.iter().filter_map(|name| shown.iter().find(|command| command.get_name() == *name));
        text.push_str(&format!("{}{}\n", title(heading), below.map(line).collect::<String>()));
    }
    text.push_str("`bundle COMMAND --help` prints the options of a command, with examples.\n\n");
    text + &title("Options")
}

#[cfg(test)]
mod tests {
    use clap::CommandFactory;

    use super::*;
    use crate::Arguments;

    #[test]
    fn every_command_stands_below_exactly_one_heading_and_fits_its_line() {
        let help = in_groups(Arguments::command()).render_help().to_string();
        for command in Arguments::command().get_subcommands() {
            let name = command.get_name();
            let lines: Vec<&str> = help
                .lines()
                .filter(|line| line.strip_prefix("  ").is_some_and(|it| it.split(' ').next() == Some(name)))
                .collect();
            let wanted = usize::from(!command.is_hide_set());
            assert_eq!(lines.len(), wanted, "{name} is below no heading of COMMANDS, or below two: {help}");
            assert!(
                lines.iter().all(|line| line.chars().count() <= 80),
                "{lines:?} is too long for a terminal"
            );
        }
        for name in COMMANDS.iter().flat_map(|(_, names)| *names) {
            assert!(Arguments::command().find_subcommand(name).is_some(), "no command is '{name}'");
        }
        assert!(!help.contains(['{', '}']), "{help}");
    }

    #[test]
    fn help_of_the_program_has_its_options_and_exit_codes() {
        let help = in_groups(Arguments::command()).render_long_help().to_string();
        for text in [
            "Usage: bundle [OPTIONS] <COMMAND>",
            "\nOptions:\n",
            "--log-file <FILE>",
            "--help",
            "Exit codes:",
        ] {
            assert!(help.contains(text), "{text}: {help}");
        }
    }

    #[test]
    fn no_value_has_only_the_name_of_its_option() {
        fn check(command: &Command) {
            for arg in command.get_arguments().filter(|arg| arg.get_action().takes_values()) {
                let own = arg.get_id().as_str().to_uppercase();
                let names: Vec<String> = match arg.get_value_names() {
                    Some(names) => names.iter().map(ToString::to_string).collect(),
                    None => vec![own.clone()],
                };
                let said = !own.contains('_') || names.iter().all(|name| *name != own);
                assert!(said, "{} of '{}' needs a value name", arg.get_id(), command.get_name());
            }
            command.get_subcommands().for_each(check);
        }
        let mut program = Arguments::command();
        program.build();
        check(&program);
    }

    #[test]
    fn every_option_of_a_group_exists() {
        fn names(command: &Command, found: &mut Vec<String>) {
            found.extend(command.get_arguments().filter_map(|arg| arg.get_long()).map(str::to_owned));
            command.get_subcommands().for_each(|command| names(command, found));
        }
        let mut found = Vec::new();
        names(&Arguments::command(), &mut found);
        for name in GROUPS.iter().flat_map(|(_, names)| *names) {
            assert!(found.iter().any(|it| it == name), "no command has the option '{name}'");
        }
    }
}
