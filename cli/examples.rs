//! An example at the end of each command's help, for people who cannot search for one behind a gap.
//! Takes clap's definition of the commands, gives it with the examples.

use clap::Command;

/// Command lines, of which each command shows its own.
const EXAMPLES: [&str; 55] = [
    "bundle key generate ops.key",
    "bundle key show ops.key.pub",
    "bundle lock --file bundle.yaml",
    "bundle images --chart harbor --repo https://helm.goharbor.io --version 1.19.x",
    "bundle convert hauler.yaml",
    "bundle create nginx:1.27 redis:7.2 --key ops.key --output images.tar",
    "bundle create --base receipt.json --base-trust site.key.pub --key ops.key --output delta.tar",
    "bundle create nginx:1.27 --base receipt.json --base-trust site.key.pub --compact --key ops.key --output thin.tar",
    "bundle verify nightly.tar --trust ops.key.pub",
    "bundle repair nightly.tar --trust ops.key.pub --output /media/new/nightly.tar",
    "bundle expand nightly.tar --base-dir earlier --output plain.tar",
    "bundle inspect nightly.tar --trust ops.key.pub",
    "bundle inspect nightly.tar --trust ops.key.pub --tree",
    "bundle inspect nightly.tar --trust ops.key.pub --sizes",
    "bundle diff monday.tar tuesday.tar --trust ops.key.pub",
    "bundle report tuesday.tar --since monday.tar --trust ops.key.pub --output report.html",
    "bundle scan nightly.tar --trust ops.key.pub --ignore exceptions.yaml --key ops.key",
    "bundle import nightly.tar --to https://harbor.example --trust trust.yaml --dry-run",
    "bundle harbor bootstrap --to https://harbor.example --bundle images.tar --trust ops.key.pub",
    "bundle harbor check --to https://harbor.example --credentials harbor-secrets/importer.json",
    "bundle harbor rotate importer team-a --to https://harbor.example",
    "bundle harbor diff receipt.json --to https://harbor.example --trust site.key.pub",
    "bundle harbor rescan --to https://harbor.example --credentials harbor-secrets/importer.json",
    "bundle harbor trivy-values nightly.tar --to https://harbor.example --trust ops.key.pub",
    "bundle harbor values nightly.tar --registry harbor.example --trust ops.key.pub --output images.yaml",
    "bundle receipt show receipt.json --trust site.key.pub",
    "bundle receipt short receipt.json --trust site.key.pub",
    "bundle sign nightly.tar --key transfer.key --trust ops.key.pub",
    "bundle sign nightly.tar --key transfer.key --trust ops.key.pub --report report.html",
    "bundle trust add ops.key.pub --name ops --project 'team-*'",
    "bundle trust list",
    "bundle trust revoke ops",
    "bundle trust require 2",
    "bundle trust rotate --key ops.key --new next.key.pub --name ops-2027 --output rotation.json",
    "bundle trust accept rotation.json",
    "bundle serve nightly.tar --trust ops.key.pub --listen 0.0.0.0:5000",
    "bundle extract nightly.tar --trust ops.key.pub --format k3s --to images",
    "bundle mirror-config nightly.tar --trust ops.key.pub --for k3s --registry harbor.example --output node",
    "bundle doctor --to https://harbor.example --ca-file ca.crt --bundle nightly.tar",
    "bundle sync export --config /etc/bundle/sync.yaml",
    "bundle sync import --config /etc/bundle/sync.yaml",
    "bundle stream show nightly --to https://harbor.example --state /var/lib/bundle/import/state.json",
    "bundle stream repair nightly --to https://harbor.example --back-to 1795000000 --by operator --reason ticket-4711 --yes",
    "bundle receipt log receipts --trust site.key.pub",
    "bundle where nginx:1.25 --receipts receipts --trust site.key.pub --to https://harbor.example",
    "bundle where sha256:0a1b2c3d --receipts receipts --trust site.key.pub --bundles done --bundle-trust trust.yaml",
    "bundle prune --to https://harbor.example --stream nightly --receipts receipts --trust site.key.pub --plan removals.json",
    "bundle prune --to https://harbor.example --receipts receipts --trust site.key.pub --apply removals.json --key site.key",
    "bundle login harbor.example --username admin",
    "bundle logout harbor.example",
    "bundle schema --check bundle.yaml",
    "bundle config show",
    "bundle support --output support.tar.gz --config /etc/bundle/sync.yaml",
    "bundle completion bash",
    "bundle completion zsh --name airgap-bundle",
];

/// Puts the examples behind the help of the commands.
pub(crate) fn with_examples(command: Command) -> Command {
    let name = command.get_name().to_owned();
    below(command, &name)
}

fn below(command: Command, path: &str) -> Command {
    if command.has_subcommands() {
        return command.mut_subcommands(|command| {
            let path = format!("{path} {}", command.get_name());
            below(command, &path)
        });
    }
    let own = EXAMPLES.iter().filter(|example| {
        example.strip_prefix(path).is_some_and(|rest| rest.is_empty() || rest.starts_with(' '))
    });
    let lines: Vec<String> = own.map(|example| format!("  {example}")).collect();
    match lines.len() {
        0 => command,
        1 => command.after_help(format!("Example:\n{}", lines[0])),
        _ => command.after_help(format!("Examples:\n{}", lines.join("\n"))),
    }
}

#[cfg(test)]
mod tests {
    use clap::CommandFactory;

    use super::*;
    use crate::Arguments;

    #[test]
    fn every_example_is_one_that_the_program_takes() {
        for example in EXAMPLES {
            let words = example.split(' ').map(|word| word.trim_matches('\''));
            let parsed = Arguments::command().try_get_matches_from(words);
            assert!(parsed.is_ok(), "{example}: {}", parsed.unwrap_err());
        }
    }

    #[test]
    fn every_command_has_an_example() {
        fn check(command: &Command) {
            for command in command.get_subcommands().filter(|command| !command.is_hide_set()) {
                check(command);
                let shown = command.get_after_help().is_some();
                assert!(shown || command.has_subcommands(), "{} has no example", command.get_name());
            }
        }
        check(&with_examples(Arguments::command()));
    }
}
