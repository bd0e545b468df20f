//! `scripts/cluster-oracle`, which walks docs/bootstrap.md with somebody's cluster: it sees each command of the page
//! with its place, and gives the verdicts that it should. No cluster is here: small pages stand in for the runbook.

use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::path::Path;
use std::process::Command;

use tempfile::TempDir;

/// What the script printed and how it ended.
struct Walked {
    code: Option<i32>,
    printed: String,
    said: String,
}

/// Runs the script in `directory`, with these variables alone of those that it reads.
fn walk(directory: &Path, variables: &[(&str, &str)], arguments: &[&str]) -> Walked {
    let mut command = Command::new(Path::new(env!("CARGO_MANIFEST_DIR")).join("scripts/cluster-oracle"));
    command.args(arguments).current_dir(directory);
    for name in ["KUBECONFIG", "NODE", "AGENTS", "CONNECTED"] {
        command.env_remove(name);
    }
    let ran = command.envs(variables.iter().copied()).output().unwrap();
    let text = |bytes| String::from_utf8(bytes).unwrap();
    Walked { code: ran.status.code(), printed: text(ran.stdout), said: text(ran.stderr) }
}

/// The page's blocks of commands: the line of the first, the info string behind `sh`, and the lines.
fn command_blocks(page: &str) -> Vec<(usize, String, Vec<String>)> {
    let mut blocks = Vec::new();
    let mut lines = page.lines().enumerate();
    while let Some((at, line)) = lines.next() {
        let Some(info) = line.strip_prefix("```") else { continue };
        let text = lines.by_ref().map(|(_, line)| line.to_owned()).take_while(|line| line != "```").collect();
        if let Some(marks) = info.strip_prefix("sh") {
            blocks.push((at + 2, marks.trim().to_owned(), text));
        }
    }
    blocks
}

#[test]
fn every_command_of_the_runbook_is_seen_with_its_line_and_its_place() {
    let page = Path::new(env!("CARGO_MANIFEST_DIR")).join("docs/bootstrap.md");
    let blocks = command_blocks(&fs::read_to_string(page).unwrap());
    assert!(blocks.len() > 30, "{}", blocks.len());
    let here = TempDir::new().unwrap();
    let listed = walk(here.path(), &[], &["--list"]);
    assert_eq!(listed.code, Some(0), "{}", listed.said);
    let listed: Vec<&str> =
        listed.printed.lines().filter_map(|line| line.strip_prefix("    docs/bootstrap.md:")).collect();
    let expected: Vec<String> = blocks.iter().map(|(line, marks, _)| format!("{line} {marks}")).collect();
    assert_eq!(listed, expected);

    let dry = walk(here.path(), &[], &["--dry-run"]);
    assert_eq!(dry.code, Some(0), "{}", dry.said);
    // What nodes copy from this machine is in the directory of the run.
    let directory = format!("seed.example:{}/", here.path().canonicalize().unwrap().display());
    let printed = dry.printed.replace(&directory, "seed.example:");
    let mut printed = printed.lines();
    for (line, marks, commands) in &blocks {
        let place = marks.split(' ').next().unwrap();
        for (at, command) in commands.iter().enumerate().filter(|(_, command)| !command.is_empty()) {
            let expected = format!("    {:>5} {place:<9} {command}", line + at);
            let seen = printed.any(|row| row.split("   (left out: ").next() == Some(&expected));
            assert!(seen, "not printed, in its order:\n{expected}\nin\n{}", dry.printed);
        }
    }
    assert_eq!(fs::read_dir(here.path()).unwrap().count(), 0, "a dry run writes nothing");
}

#[test]
fn a_page_that_leaves_a_question_open_is_refused_with_its_line() {
    let here = TempDir::new().unwrap();
    for (page, said) in [
        ("## 1. A\n```sh\ntrue\n```\n", "page.md:3: no mark says where these commands run: ''"),
        ("## 1. A\n```sh moon\ntrue\n```\n", "page.md:3: no mark says where these commands run: 'moon'"),
        ("## 1. A\n```sh seed twice\ntrue\n```\n", "page.md:3: an unknown mark: 'twice '"),
        ("## 1. A\n```sh seed check\ntrue\n```\n", "page.md:3: the output of this check is not on the page"),
        ("## 1. A\n```sh seed\nif true\n```\n", "page.md:3: this command has no end"),
        ("## 1. A\n```sh seed\ntrue\n", "page.md:3: this block has no end"),
        ("## 1. A\n```\ntrue\n```\n", "page.md:2: a block of no known kind"),
        ("## 1. A\n- so:\n  ```sh seed\n  true\n  ```\n", "page.md:3: a block that does not begin its line"),
        ("```sh seed\ntrue\n```\n", "page.md:2: commands before the first step"),
    ] {
        fs::write(here.path().join("page.md"), page).unwrap();
        let walked = walk(here.path(), &[], &["--dry-run", "--document", "page.md"]);
        assert_eq!(walked.code, Some(1), "{page}");
        assert!(walked.said.contains(said), "{page}\n{}", walked.said);
    }
}

const PAGE: &str = "\
## 1. Here

```yaml
# values.yaml
host: harbor.example
```

```sh seed
export WORD=kept
```

```sh seed check
echo \"$WORD\"
cat values.yaml
```

```text
kept
host: …example…
```

## 2. A node

```sh node
echo changed > on-the-node
false && true
echo after >> on-the-node
```

## 3. The cluster

```sh cluster check
kubectl get nodes
```

```text
… Ready
```
";

#[test]
fn each_verdict_is_given_for_its_reason_and_only_a_whole_walk_ends_with_zero() {
    let here = TempDir::new().unwrap();
    let path = |name: &str| here.path().join(name);
    fs::write(path("page.md"), PAGE).unwrap();
    fs::write(path("kubeconfig"), "    server: https://cluster.example:6443\n").unwrap();
    fs::create_dir(path("bin")).unwrap();
    fs::write(path("bin/kubectl"), "#!/bin/sh\ncat nodes\n").unwrap();
    fs::set_permissions(path("bin/kubectl"), fs::Permissions::from_mode(0o755)).unwrap();
    let programs = format!("{}:{}", path("bin").display(), std::env::var("PATH").unwrap());
    let cluster = [("PATH", programs.as_str()), ("KUBECONFIG", "kubeconfig")];
    let node = [&cluster[..], &[("NODE", "")]].concat();
    let ends = |variables: &[(&str, &str)], arguments: &[&str], code: i32, verdicts: &[&str]| {
        let walked = walk(here.path(), variables, &[&["--document", "page.md"], arguments].concat());
        let (_, last) = walked.printed.split_once("\nVerdicts\n").unwrap();
        let last: Vec<&str> = last.lines().take_while(|line| !line.is_empty()).collect();
        assert_eq!(last.len(), verdicts.len(), "{}{}", walked.printed, walked.said);
        for (verdict, expected) in last.iter().zip(verdicts) {
            assert!(verdict.starts_with(expected), "{verdict} is not {expected}");
        }
        assert_eq!(walked.code, Some(code), "{}{}", walked.printed, walked.said);
        walked.printed
    };

    // Nothing but the page: one step can run.
    let printed = ends(
        &[],
        &["--harbor", "site.example.org"],
        1,
        &[
            "ok       1. Here",
            "not run  2. A node: NODE is not set",
            "not run  3. The cluster: KUBECONFIG is not set",
        ],
    );
    assert!(printed.contains("(wrote values.yaml)"), "{printed}");
    assert_eq!(fs::read_to_string(path("values.yaml")).unwrap(), "# values.yaml\nhost: site.example.org\n");

    // The cluster's output decides; it is said before which cluster that is.
    fs::write(path("nodes"), "node1 NotReady\n").unwrap();
    let failed = "failed   3. The cluster: ";
    let printed = ends(&cluster, &["--only", "3"], 1, &[failed]);
    assert!(printed.contains("https://cluster.example:6443"), "{printed}");
    assert!(printed.contains("    | node1 NotReady"), "{printed}");
    fs::write(path("nodes"), "node1 Ready\n").unwrap();
    ends(&cluster, &["--only", "3"], 0, &["ok       3. The cluster"]);
    let printed =
        ends(&cluster, &["--only", "1", "--only", "3"], 0, &["ok       1. Here", "ok       3. The cluster"]);
    assert!(printed.contains("(kept values.yaml)"), "{printed}");

    // A node is changed only if that is asked for, and a failure in the middle of a line is one.
    let changes = "not run  2. A node: ";
    ends(&node, &["--from", "2"], 1, &[changes, "ok       3. The cluster"]);
    let node = [&cluster[..], &[("NODE", "env"), ("AGENTS", "\n")]].concat();
    let stopped = ["failed   2. A node: ", "not run  3. The cluster: step 2 failed"];
    let printed = ends(&node, &["--from", "2", "--whole"], 1, &stopped);
    assert!(printed.contains("page.md:26 ended with 1"), "{printed}");
    assert!(!path("on-the-node").exists(), "the directory of the run is not the node's");
}
