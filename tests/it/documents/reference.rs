//! docs/reference is what the program says of itself. With `BUNDLE_BLESS=1` the pages are written anew.
//! Takes `bundle reference PAGE`, compares it with the page.

use std::path::Path;
use std::process::Command;

/// The pages, by the name that the program has for them.
const PAGES: [(&str, &str); 6] = [
    ("commands", "commands.md"),
    ("json", "json.md"),
    ("exit-codes", "exit-codes.md"),
    ("environment", "environment.md"),
    ("files", "files.md"),
    ("configuration", "configuration.md"),
];

/// The JSON Schemas of people's files, by the kind that `bundle schema` has for them.
const SCHEMAS: [(&str, &str); 4] = [
    ("bundle", "bundle.schema.json"),
    ("harbor", "harbor.schema.json"),
    ("sync", "sync.schema.json"),
    ("trust", "trust.schema.json"),
];

fn made(page: &str) -> String {
    printed(&["reference", page])
}

fn printed(arguments: &[&str]) -> String {
    let output = Command::new(env!("CARGO_BIN_EXE_bundle")).args(arguments).output().unwrap();
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    String::from_utf8(output.stdout).unwrap()
}

#[test]
fn the_reference_is_what_the_program_says_of_itself() {
    let directory = Path::new(env!("CARGO_MANIFEST_DIR")).join("docs/reference");
    let pages = PAGES.map(|(page, file)| (page, file, made(page)));
    let schemas = SCHEMAS.map(|(kind, file)| (kind, file, printed(&["schema", kind])));
    for (page, file, text) in pages.into_iter().chain(schemas) {
        let path = directory.join(file);
        assert!(text.len() > 1000, "{page}: {text}");
        if std::env::var_os("BUNDLE_BLESS").is_some() {
            std::fs::write(&path, &text).unwrap();
        }
        let written = std::fs::read_to_string(&path).unwrap_or_default();
        let stale = text.lines().zip(written.lines()).find(|(made, written)| made != written);
        assert!(
            text == written,
            "docs/reference/{file} is stale (BUNDLE_BLESS=1 writes it anew); first difference: {stale:?}"
        );
    }
    let known: Vec<&str> = PAGES.iter().chain(&SCHEMAS).map(|(_, file)| *file).collect();
    for entry in std::fs::read_dir(directory).unwrap() {
        let name = entry.unwrap().file_name().into_string().unwrap();
        assert!(known.contains(&name.as_str()), "docs/reference/{name} is made by nobody");
    }
}

/// Every command that is not hidden is in the page, and every one of them takes `--json`.
#[test]
fn every_command_takes_json() {
    let page = made("commands");
    let mut commands = 0;
    for part in page.split("\n## ").skip(1) {
        let (name, help) = part.split_once('\n').unwrap();
        assert!(help.contains("--json"), "{name} does not take --json:\n{help}");
        commands += 1;
    }
    assert!(commands > 30, "only {commands} commands are in the page");
}

/// Every field has a description: it is the doc comment of the model.
#[test]
fn every_field_of_every_report_says_what_it_is() {
    let page = made("json");
    let mut fields = 0;
    for line in page.lines().filter(|line| line.starts_with("| `")) {
        let cells: Vec<&str> = line.split('|').map(str::trim).collect();
        assert!(cells.len() >= 5 && !cells[3].is_empty() && !cells[2].is_empty(), "{line}");
        fields += 1;
    }
    assert!(fields > 150, "only {fields} fields are in the page");
}
