//! docs/reference/configuration.md: the settings that a variable or config.yaml can have.
//! Takes the table in `settings` and the file's schema, gives Markdown.

use bundle_input::settings_schema;

use crate::settings::ALL;

/// The page.
pub(crate) fn configuration() -> String {
    let mut page = format!("{}{HEAD}", super::MADE);
    let schema = settings_schema();
    for setting in ALL {
        let meaning = match setting.key {
            // In the file, they are by host.
            "credentials" => "A map from hosts to files with credentials; each is sent to its host only.",
            key => schema["properties"][key]["description"].as_str().unwrap_or_default(),
        };
        let several = if setting.list { " A list." } else { "" };
        page.push_str(&format!(
            "| `{}` | `--{}` | `{}` | {meaning}{several} |\n",
            setting.key, setting.option, setting.variable.name
        ));
    }
    page.push_str(FOOT);
    page
}

const HEAD: &str = "# Configuration

What is the same for every command on a machine is set once. For each setting, the first of these that has it counts:

1. the option on the command line,
2. the environment variable,
3. the user's file, `bundle/config.yaml` below `XDG_CONFIG_HOME`, by default `~/.config/bundle/config.yaml`,
4. the machine's file, `/etc/bundle/config.yaml`,
5. the default.

`BUNDLE_CONFIG` names a file that replaces both files; `none` reads neither. A list of a stronger place replaces that of a \
weaker one. In a variable, the values of a list are separated by commas. Relative paths in a file start at its directory. \
`bundle config show` prints each setting and where it comes from; `bundle schema config` prints the file's JSON Schema, and \
`bundle schema config --check FILE` checks a file. The jobs of `bundle sync` take keys, directories and the registry from \
`sync.yaml`.

```yaml
# /etc/bundle/config.yaml
to: harbor.example
caFile: ca.crt
trust: trust.yaml
credentials:
  harbor.example: importer.json
jobs: 4
```

| key | option | variable | meaning |
|---|---|---|---|
";

const FOOT: &str = "
## What a file cannot say

A key that the program does not know is an error with its line. No file has a password, a token or a passphrase, and no \
file has what weakens the verification of bundles or changes what an import may overwrite: `--allow-rollback`, \
`--allow-future`, `--unverified`, `--on-existing-tag`, `--ignore-quota`, `trustStore: none`. These stay on the command line, \
where each run shows them; `BUNDLE_TRUST_STORE=none` works, with a warning in each run. A file that another user owns \
(but root), or that anybody can write or replace, is refused, because `trust` decides whose bundles are accepted.
";
