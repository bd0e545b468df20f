//! What the program says of itself: version, completions and manual pages.
//! Takes the program, and the shells and man(1) that read what it writes.

use std::process::Command;

use crate::scene::Ran;

fn bundle(arguments: &[&str]) -> Ran {
    Ran::from(Command::new(env!("CARGO_BIN_EXE_bundle")).args(arguments).output().unwrap())
}

/// Runs a shell's script beside the files of `directory`.
fn run(shell: &str, directory: &std::path::Path, script: &str) -> Ran {
    let mut command = Command::new(shell);
    command.args(["-c", script]).current_dir(directory).env("HOME", directory);
    Ran::from(command.output().unwrap())
}

#[test]
fn the_version_tells_commit_platform_and_formats() {
    let short = format!("bundle {}\n", env!("CARGO_PKG_VERSION"));
    assert_eq!(bundle(&["-V"]).succeeds().stdout, short);
    let long = bundle(&["--version"]).succeeds().stdout;
    let lines: Vec<&str> = long.lines().collect();
    assert_eq!(format!("{}\n", lines[0]), short);
    assert!(lines[1].starts_with("commit  "), "{long}");
    assert_eq!(lines[2], format!("target  {}-unknown-linux-gnu", std::env::consts::ARCH));
    assert_eq!(lines[3], "formats bundle 1, volumes 1, parity 1, receipt 1, rotation 1, reports 1");
}

/// Each shell itself completes a command by what the program wrote for it, under both names.
#[test]
fn bash_fish_and_zsh_complete_the_commands() {
    let directory = tempfile::tempdir().unwrap();
    let directory = directory.path();
    for name in ["bundle", "airgap-bundle"] {
        for (shell, file) in
            [("bash", format!("{name}.bash")), ("fish", format!("{name}.fish")), ("zsh", format!("_{name}"))]
        {
            let script = bundle(&["completion", shell, "--name", name]).succeeds();
            let json = bundle(&["completion", shell, "--name", name, "--json"]).succeeds().json();
            assert_eq!(json["script"], script.stdout, "{shell}: the text is changed on its way out");
            std::fs::write(directory.join(file), script.stdout).unwrap();
        }
        let bash = format!(
            "source {name}.bash; f=$(complete -p {name}); f=${{f##*-F }}; f=${{f%% *}}
             COMP_WORDS=({name} harbor boo) COMP_CWORD=2; $f {name} boo harbor; echo \"${{COMPREPLY[@]}}\""
        );
        assert_eq!(run("bash", directory, &bash).succeeds().stdout, "bootstrap\n");
        if let Some(fish) = bundle_test_needs::program("fish") {
            let script = format!("source {name}.fish; complete -C '{name} harbor boo'");
            let ran = run(fish.to_str().unwrap(), directory, &script).succeeds();
            assert!(ran.stdout.starts_with("bootstrap\tCreate projects"), "{}", ran.stdout);
        }
        if let Some(zsh) = bundle_test_needs::program("zsh") {
            // Completion itself needs a terminal; zsh finds the function for the command, and reads it whole.
            let script = format!(
                "fpath=($PWD $fpath); autoload -Uz compinit && compinit -u -D; zsh -n _{name} && echo $_comps[{name}]
                 autoload +X _{name} && functions _{name} | grep -c bootstrap"
            );
            let ran = run(zsh.to_str().unwrap(), directory, &script).succeeds();
            assert!(ran.stdout.starts_with(&format!("_{name}\n")), "{} {}", ran.stdout, ran.stderr);
            assert_eq!(ran.stderr, "");
        }
    }
    bundle(&["completion", "bash", "--name", "x; rm"]).ends_with(2);
}

#[test]
fn every_command_has_a_manual_page_that_man_shows_without_a_warning() {
    let directory = tempfile::tempdir().unwrap();
    let at = directory.path().to_str().unwrap();
    bundle(&["manual", at, "--name", "airgap-bundle"]).succeeds();
    let reference = bundle(&["reference", "commands"]).succeeds().stdout;
    let mut pages = 0;
    for command in reference.lines().filter_map(|line| line.strip_prefix("## ")) {
        let page = format!("{at}/airgap-{}.1", command.replace(' ', "-"));
        assert!(std::path::Path::new(&page).exists(), "{command} has no page");
        pages += 1;
    }
    assert!(pages > 30 && std::fs::read_dir(at).unwrap().count() == pages, "{pages} pages");
    if bundle_test_needs::program("man").is_some() {
        // As Debian's lintian asks man, which prints what groff finds wrong.
        let script =
            "for page in *.1; do man --warnings -E UTF-8 -l -Tutf8 -Z \"$page\" >/dev/null || exit; done
                      man -l airgap-bundle-create.1 | grep -c -- '--volume-size <SIZE>'";
        let script = format!("export LC_ALL=C.UTF-8 MANROFFSEQ= MANWIDTH=80; {script}");
        let ran = run("bash", directory.path(), &script).succeeds();
        assert_eq!(ran.stderr, "");
    }
    bundle(&["manual", &format!("{at}/missing")]).ends_with(1).says("missing");
}
