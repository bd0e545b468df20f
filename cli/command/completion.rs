//! `bundle completion`: what a shell reads to complete commands, options and their values.
//! Takes the shell and the program's name, gives the script on standard output.

use bundle_report::CompletionReport;
use clap::CommandFactory;

use crate::Arguments;
use crate::exit::{Code, Failure};
use crate::output;

#[derive(clap::Args)]
pub(crate) struct Completion {
    /// Shell
    #[arg(value_enum)]
    shell: Shell,

    /// Name under which the program is called
    #[arg(long, value_name = "NAME", default_value = "bundle", value_parser = called)]
    name: String,
}

/// A shell.
#[derive(Clone, Copy, clap::ValueEnum)]
enum Shell {
    Bash,
    Fish,
    Zsh,
}

impl From<Shell> for clap_complete::Shell {
    fn from(shell: Shell) -> Self {
        match shell {
            Shell::Bash => Self::Bash,
            Shell::Fish => Self::Fish,
            Shell::Zsh => Self::Zsh,
        }
    }
}

impl Completion {
    pub(crate) fn run(self) -> Result<(), Failure> {
        let shell = clap_complete::Shell::from(self.shell);
        // clap_complete 4.6 writes a script for bash that knows no subcommands of a name with a hyphen. The script for
        // another name works: it compares with the name that bash gives it. Only its last lines say which.
        let within = if matches!(self.shell, Shell::Bash) { "bundle" } else { &self.name };
        let mut script = Vec::new();
        clap_complete::generate(shell, &mut Arguments::command(), within, &mut script);
        let mut script = String::from_utf8(script).map_err(|error| Failure::new(Code::Failed, &error))?;
        if within != self.name {
            script = script.replace(" -o default bundle\n", &format!(" -o default {}\n", self.name));
        }
        output::report(&CompletionReport { shell: shell.to_string(), name: self.name, script })
    }
}

/// A name that is no shell code in the script.
pub(crate) fn called(name: &str) -> Result<String, &'static str> {
    let plain = |c: char| c.is_ascii_alphanumeric() || c == '-' || c == '_';
    let whole = name.starts_with(|c: char| c.is_ascii_alphabetic()) && name.chars().all(plain);
    if whole { Ok(name.to_owned()) } else { Err("letters, digits, `-` and `_`, and a letter first") }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_name_with_shell_code_in_it_reaches_no_script() {
        for name in ["", "-x", "a b", "a;b", "$(a)", "a/b", "1"] {
            assert!(called(name).is_err(), "{name:?}");
        }
        assert_eq!(called("airgap-bundle").as_deref(), Ok("airgap-bundle"));
    }
}
