//! The headings under which help shows options, so that what many commands share comes last.
//! Takes clap's definition of the commands, gives it with headings.

use clap::Command;

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

/// Puts the options of all commands below headings.
pub(crate) fn in_groups(command: Command) -> Command {
    let command = command.mut_args(|arg| {
        let name = arg.get_long().unwrap_or_default();
        match GROUPS.iter().find(|(_, names)| names.contains(&name)) {
            Some((heading, _)) => arg.help_heading(*heading),
            None => arg,
        }
    });
    command.mut_subcommands(in_groups)
}

#[cfg(test)]
mod tests {
    use clap::CommandFactory;

    use super::*;
    use crate::Arguments;

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
