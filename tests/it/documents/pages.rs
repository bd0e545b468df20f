//! The pages: each `sh` block is run as it stands, in the page's order, on a pair of sides that has what the pages
//! name. Hosts and directories are replaced; only commands for other machines are left out. Every option that a page
//! names exists.

use std::io::Write;
use std::path::Path;
use std::process::{Command, Stdio};

use bundle_test_servers::{DockerRegistry, Fault, Manifest, Matcher, Rule};

use crate::documents::page::{Block, push_images, text_of};
use crate::harbor::scene::HarborScene;
use crate::scene::Ran;

/// The chart that the pages take from its repository, as a directory: one image, and one behind a switch.
const CHART: [(&str, &str); 3] = [
    ("harbor/Chart.yaml", "apiVersion: v2\nname: harbor\nversion: 1.19.1\n"),
    ("harbor/values.yaml", "metrics: {enabled: false}\n"),
    (
        "harbor/templates/pods.yaml",
        "kind: Pod\nspec: {containers: [{image: 'goharbor/harbor-core:v2.15.1'}]}\n\
         {{ if .Values.metrics.enabled }}\n---\nkind: Pod\n\
         spec: {containers: [{image: 'goharbor/harbor-exporter:v2.15.1'}]}\n{{ end }}\n",
    ),
];

/// Both sides, as the pages describe them.
struct Sides {
    it: HarborScene,
    target: DockerRegistry,
    /// What people do between the blocks of a page, as the page says.
    between: String,
}

/// `bundle` as the pages call it. The examples of a page are alternatives with the same output, and no file is
/// overwritten. What serves does so on any port, until it says that it does.
const PRELUDE: &str = r#"set -e
bundle() {
    local word last
    if [ "$1" = serve ]; then serve "$@"; return; fi
    # Without a terminal, the password is on standard input.
    if [ "$1 ${!#}" = 'login admin' ]; then "$BUNDLE" "$@" --password-stdin; return; fi
    for word; do
        if [ "$1 $last" = 'create -o' ] && [ "$word" != - ]; then rm -f "$word" "$word".*; fi
        last=$word
    done
    "$BUNDLE" "$@"
}
serve() {
    local word last line pid arguments=()
    for word; do
        if [ "$last" = --listen ]; then word=127.0.0.1:0; fi
        arguments+=("$word"); last=$word
    done
    "$BUNDLE" "${arguments[@]}" 2> serve.pipe &
    pid=$!
    while read -r line; do
        echo "$line" >&2
        case "$line" in *://*) kill $pid ;; esac
    done < serve.pipe
    wait $pid
}
"#;

impl Sides {
    fn new() -> Self {
        let it = HarborScene::empty();
        push_images(&it.scene.source.client());
        let chart = "kind: Pod\nspec: {containers: [{image: 'quay.io/coreos/etcd:v3.5.9'}]}\n";
        let chart = Manifest::helm_chart_with("app", "1.0.0", &[("templates/pod.yaml", chart)]);
        it.scene.source.client().push("org/charts/app", "1.0.0", &chart).unwrap();
        let sides = Self { it, target: DockerRegistry::start().unwrap(), between: String::new() };
        let source = sides.it.scene.source.host();
        let mirrors: String = ["docker.io", "quay.io", "ghcr.io", "registry.k8s.io"]
            .iter()
            .map(|host| {
                format!(
                    "[[registry]]\nprefix = \"{host}\"\nlocation = \"{host}\"\nblocked = false\n\
                     [[registry.mirror]]\nlocation = \"{source}\"\ninsecure = true\n"
                )
            })
            .collect();
        sides.run(
            "mkdir -p .config/containers etc/bundle var/lib/bundle/inbox var/lib/bundle/outbox var/lib/bundle/back var/lib/prometheus/node-exporter \
             media/stick srv out usr/local/bin && git init -q && mkfifo serve.pipe && \
             openssl req -x509 -newkey ec -pkeyopt ec_paramgen_curve:prime256v1 -nodes -days 365 -subj /CN=harbor.example \
             -addext subjectAltName=IP:127.0.0.1 -keyout harbor.key -out harbor.crt 2>/dev/null && \
             cp harbor.crt ca.crt && cp ca.crt etc/bundle/ca.crt && rm -f key key.pub && umask 077 && touch auth.json",
        );
        sides.it.write(".config/containers/registries.conf", &mirrors);
        // As `skopeo login` writes it.
        let login = serde_json::json!({"auths": {sides.it.harbor.host(): {"username": "admin", "password": "Harbor12345"}}});
        sides.it.write("auth.json", &login.to_string());
        let now = sides.it.scene.shell("LC_ALL=C date -u '+%a, %d %b %Y %H:%M:%S GMT'").succeeds().stdout;
        let date = Fault::SetHeader("Date".to_owned(), now.trim().to_owned());
        sides.it.harbor.faults().add(Rule::new(Matcher::any(), date));
        sides
    }

    /// What both sides have after their first day: keys, trust, files of `/etc/bundle`, a bundle, and Harbor's accounts.
    fn after_the_first_day() -> Self {
        let sides = Self::new();
        let root = Path::new(env!("CARGO_MANIFEST_DIR"));
        let config = "name: nightly\nprojects:\n  cache:\n    images: [alpine:3.20]\n  tenants:\n    team-a:\n      \
                      images: [quay.io/coreos/etcd:v3.5.9]\n";
        sides.it.write("bundle.yaml", config);
        sides.it.write("etc/bundle/bundle.yaml", config);
        sides.it.write("images.txt", "redis:7.2\n");
        let sync = std::fs::read_to_string(root.join("manifests/sync.yaml")).unwrap();
        sides.it.write("etc/bundle/sync.yaml", &sides.here(&sync));
        sides.it.write("etc/bundle/harbor.yaml", "{}\n");
        sides.it.write("etc/bundle/auth.json", "{}\n");
        sides.run(
            "chmod 600 etc/bundle/auth.json && for name in ops site transfer; do bundle key generate $name.key; done && \
             cp ops.key* site.key* etc/bundle/ && cp site.key.pub site.pub && cp site.key.pub etc/bundle/site.pub && \
             bundle trust add ops.key.pub --name platform-team-2026 --trust-store trust.yaml && \
             cp trust.yaml etc/bundle/trust.yaml && \
             bundle create --sequence 1794000000 --key ops.key -o nightly-1794000000.tar && \
             bundle create --sequence 1795000000 --key ops.key -o nightly-1795000000.tar && \
             cp nightly-1795000000.tar nightly.tar && cp nightly-1794000000.tar monday.tar && \
             cp nightly.tar tuesday.tar && \
             BUNDLE_USERNAME=admin BUNDLE_PASSWORD=Harbor12345 bundle harbor bootstrap --to https://harbor.example \
             --bundle nightly.tar --trust trust.yaml && \
             cp harbor-secrets/importer.json importer.json && cp importer.json etc/bundle/ && \
             mkdir .docker && cp importer.json .docker/config.json && cp nightly-1795000000.tar media/stick/ && \
             bundle create --stream sticks --volume-size 200KiB --parity 1/2 --key ops.key -o media/stick/nightly.tar",
        );
        sides
    }

    /// The text with the hosts and directories of this test.
    fn here(&self, text: &str) -> String {
        let mut text = text.to_owned();
        for directory in ["/etc/bundle", "/var/lib", "/media/stick", "/srv", "/usr/local/bin"] {
            let here = self.it.scene.path(directory.trim_start_matches('/'));
            text = text.replace(directory, here.to_str().unwrap());
        }
        let harbor = self.it.harbor.host();
        text.replace("localhost:5000", self.target.host())
            .replace("https://harbor.example", &format!("http://{harbor}"))
            .replace("harbor.example/dockerhub", &format!("{}/dockerhub", self.it.scene.source.host()))
            .replace("--to harbor.example", &format!("--to {harbor}"))
            .replace("login harbor.example", &format!("login {harbor}"))
            .replace("logout harbor.example", &format!("logout {harbor}"))
    }

    /// Writes the page's `bundle.yaml`, with the chart from a directory.
    fn write_the_configuration_of(&self, page: &str) {
        for (path, text) in CHART {
            std::fs::create_dir_all(self.it.scene.path(path).parent().unwrap()).unwrap();
            self.it.write(path, text);
        }
        let text = text_of(page);
        let block = text
            .split("```yaml\n")
            .find(|block| block.contains("\nprojects:") || block.starts_with("projects:"));
        let block = block.unwrap().split("```").next().unwrap();
        let repository = "repo: https://helm.goharbor.io\n        name: harbor\n        version: 1.19.x";
        assert!(block.contains(repository), "{page}: {block}");
        self.it.write("bundle.yaml", &block.replace(repository, "path: ./harbor"));
    }

    /// Runs a script; what reads a password from the terminal reads the administrator's.
    fn execute(&self, script: &str) -> Ran {
        let mut child = Command::new("bash")
            .args(["-o", "pipefail", "-c", &format!("{PRELUDE}{}", self.here(script))])
            .current_dir(self.it.scene.path(""))
            .env("BUNDLE", env!("CARGO_BIN_EXE_bundle"))
            .env("HOME", self.it.scene.path(""))
            .env_remove("XDG_CONFIG_HOME")
            .env_remove("XDG_STATE_HOME")
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .spawn()
            .unwrap();
        // It may end without reading.
        child.stdin.take().unwrap().write_all(b"Harbor12345\n").ok();
        Ran::from(child.wait_with_output().unwrap())
    }

    #[track_caller]
    fn run(&self, script: &str) {
        self.execute(script).succeeds();
    }

    /// Runs a page's blocks in order, all of them even if one fails, and gives the number of its commands of `bundle`.
    fn walk(&self, page: &str) -> usize {
        let text = text_of(page);
        let mut tried = 0;
        let mut failed = String::new();
        for block in Block::all(&text).iter().filter(|block| block.is_run()) {
            let script = block.script();
            tried += script.matches("bundle ").count();
            let ran = self.execute(&format!("{}\n{script}", self.between));
            if ran.code != Some(block.code()) {
                let (line, Ran { code, stdout, stderr }) = (block.line, ran);
                failed.push_str(&format!("{page}:{line}: {code:?}\n{script}\n{stdout}\n{stderr}\n"));
            }
        }
        assert!(failed.is_empty(), "{failed}");
        tried
    }
}

#[test]
fn the_first_crossing_works_as_its_page_says() {
    let sides = Sides::new();
    assert!(sides.walk("docs/first-crossing.md") > 12);
}

/// The scanner of the tests of `scan`, as my-scanner with the database db.
fn add_scanner(sides: &Sides) {
    let scanner = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/it/scan/scanner.sh");
    sides.run(&format!(
        "cp '{}' my-scanner && chmod +x my-scanner && mkdir db && echo 'scanner 1' > db/version",
        scanner.display()
    ));
}

#[test]
fn the_pages_on_both_sides_say_commands_that_work() {
    for (page, at_least) in [
        ("docs/diode.md", 3),
        ("docs/connected-side.md", 15),
        ("docs/far-side.md", 6),
        ("docs/approver.md", 6),
    ] {
        let sides = Sides::after_the_first_day();
        if page == "docs/far-side.md" {
            // Its first step writes it.
            sides.run(
                "mkdir .config/bundle && mv etc/bundle/trust.yaml .config/bundle/ && printf '#!/bin/sh\\n' > k3s && \
                 bundle create --sequence 1795000001 --project platform --add-file k3s=k3s:v1.37.0 --with-program \
                 --key ops.key -o nightly.tar",
            );
        }
        if page == "docs/approver.md" {
            sides.run("bundle trust add transfer.key.pub --name transfer --trust-store trust.yaml");
            add_scanner(&sides);
            sides.run(
                "bundle scan nightly-1795000000.tar --trust ops.key.pub --scanner ./my-scanner --db db --key ops.key",
            );
        }
        if page == "docs/connected-side.md" {
            let nginx = format!("docker://{}/library/nginx:1.27", sides.it.scene.source.host());
            sides.run(&format!(
                "skopeo --insecure-policy copy -q --src-tls-verify=false {nginx} docker-archive:saved.tar:nginx:1.27 && \
                 skopeo --insecure-policy copy -q --src-tls-verify=false {nginx} oci:layout:quay.io/a/app:1"
            ));
        }
        let tried = sides.walk(page);
        assert!(tried >= at_least, "{page}: {tried} commands");
    }
}

#[test]
fn the_pages_that_begin_with_nothing_say_commands_that_work() {
    for (page, at_least) in [("docs/keys.md", 3), ("docs/operations.md", 2)] {
        let sides = Sides::new();
        let tried = sides.walk(page);
        assert!(tried >= at_least, "{page}: {tried} commands");
    }
}

#[test]
fn the_first_screens_commands_work_in_their_order() {
    let mut sides = Sides::new();
    sides.write_the_configuration_of("README.md");
    // Upstream moves a tag after the first night.
    let source = format!("docker://{}/library", sides.it.scene.source.host());
    sides.between = format!(
        "if [ -e nightly.tar ]; then skopeo --insecure-policy copy -q --all --src-tls-verify=false \
         --dest-tls-verify=false {source}/busybox:1.36 {source}/alpine:3.20; fi"
    );
    let tried = sides.walk("README.md");
    assert!(tried > 20, "{tried} commands");
}

#[test]
fn the_page_on_removal_says_commands_that_work() {
    let sides = Sides::after_the_first_day();
    // Two nights, of which both are kept: the plan is empty, and so is what it removes.
    let import = "bundle import --to https://harbor.example --trust trust.yaml --credentials importer.json \
                  --receipt-key site.key";
    sides.run(&format!(
        "mkdir -p var/lib/bundle/receipts && \
         {import} --receipt var/lib/bundle/receipts/1.json nightly-1794000000.tar && \
         {import} --receipt var/lib/bundle/receipts/2.json nightly-1795000000.tar && \
         cp harbor-secrets/importer.json .docker/config.json"
    ));
    let tried = sides.walk("docs/pruning.md");
    assert!(tried >= 2, "{tried} commands");
}

#[test]
fn the_page_on_scans_says_commands_that_work() {
    let sides = Sides::after_the_first_day();
    add_scanner(&sides);
    let text = text_of("docs/scanning.md");
    let exceptions = text.split("```yaml\n").nth(1).and_then(|rest| rest.split("```").next()).unwrap();
    sides.it.write("exceptions.yaml", exceptions);
    let tried = sides.walk("docs/scanning.md");
    assert!(tried >= 1, "{tried} commands");
}

#[test]
fn the_page_on_charts_says_commands_that_work() {
    let sides = Sides::new();
    sides.write_the_configuration_of("docs/charts.md");
    sides.it.write("harbor-values.yaml", "metrics: {enabled: false}\n");
    sides.it.write("values.yaml", "{}\n");
    sides.run("bundle key generate ops.key");
    let tried = sides.walk("docs/charts.md");
    assert!(tried > 6, "{tried} commands");
}

#[test]
fn the_page_on_harbor_says_commands_that_work() {
    let mut sides = Sides::new();
    sides.it.write(
        "bundle.yaml",
        "name: nightly\nprojects:\n  cache:\n    images: [alpine:3.20]\n  tenants:\n    tenant-a:\n      \
         images: [quay.io/coreos/etcd:v3.5.9]\n",
    );
    sides.run(
        "for name in ops site; do bundle key generate $name.key; done && \
         bundle trust add ops.key.pub --name platform-team-2026 --trust-store trust.yaml && \
         bundle create --sequence 1795000000 --key ops.key -o nightly.tar && mkdir -p var/lib/bundle/receipts",
    );
    sides.between = "export BUNDLE_USERNAME=admin BUNDLE_PASSWORD=Harbor12345
        if [ -e harbor-secrets ]; then cp harbor-secrets/importer.json importer.json; fi
        if [ -e nightly.receipt.json ]; then cp nightly.receipt.json* var/lib/bundle/receipts/; fi"
        .to_owned();
    let tried = sides.walk("docs/harbor.md");
    assert!(tried > 6, "{tried} commands");
}

#[test]
fn the_procedures_for_incidents_are_commands_that_work() {
    let sides = Sides::after_the_first_day();
    // The site has had a day, and then a bundle from the future.
    let import = "bundle import --to https://harbor.example --trust trust.yaml --credentials importer.json \
                  --state /var/lib/bundle/import/state.json --receipt-key site.key";
    sides.run(&format!(
        "bundle create --sequence 1895000000 --key ops.key -o future.tar && \
         {import} --receipt day.json nightly-1795000000.tar && {import} --receipt future.json future.tar"
    ));
    let tried = sides.walk("docs/incidents.md");
    assert!(tried > 8, "{tried} commands");
}

#[test]
fn the_page_on_seeds_says_commands_that_serve() {
    let sides = Sides::after_the_first_day();
    sides.run(
        "mkdir -p var/lib/bundle/inbox/done && cp nightly-1795000000.tar var/lib/bundle/inbox/done/ && \
         cp harbor.crt etc/bundle/serve.crt && cp harbor.key etc/bundle/serve.key",
    );
    let tried = sides.walk("docs/seed.md");
    assert!(tried >= 2, "{tried} commands");
}

#[test]
fn the_page_on_installation_verifies_a_release_and_says_commands_that_work() {
    let mut sides = Sides::new();
    sides.run(
        "cp \"$BUNDLE\" bundle-0.2.0-x86_64-linux && echo package > airgap-bundle_0.2.0-1_amd64.deb && sha256sum bundle-0.2.0-x86_64-linux > SHA256SUMS && \
         openssl genpkey -algorithm ed25519 -out release.key && openssl pkey -in release.key -pubout -out release.pub && \
         openssl pkeyutl -sign -inkey release.key -rawin -in SHA256SUMS -out SHA256SUMS.sig && \
         bundle key generate ops.key && bundle trust add ops.key.pub --name ops",
    );
    sides.it.write("bundle.yaml", "name: nightly\nprojects:\n  cache:\n    images: [alpine:3.20]\n");
    // The far side has nothing but the bundle.
    sides.between = "if [ -e nightly.tar ]; then rm -f *.deb; fi".to_owned();
    let tried = sides.walk("docs/install.md");
    assert!(tried > 4, "{tried} commands");
}

#[test]
fn the_page_on_migration_says_commands_that_work() {
    let sides = Sides::new();
    let images = "apiVersion: content.hauler.cattle.io/v1\nkind: Images\nmetadata: {name: a}\n\
                  spec: {images: [{name: 'docker.io/library/alpine:3.20'}]}\n";
    sides.it.write("hauler.yaml", images);
    assert_eq!(sides.walk("docs/migration.md"), 2);
}

/// The pages that people read.
fn pages() -> Vec<String> {
    let root = Path::new(env!("CARGO_MANIFEST_DIR"));
    let listed = std::fs::read_dir(root.join("docs")).unwrap();
    let names = listed.map(|entry| entry.unwrap().file_name().into_string().unwrap());
    let pages = names.filter(|name| name.ends_with(".md")).map(|name| format!("docs/{name}"));
    pages.chain(["README.md", "manifests/README.md"].map(str::to_owned)).collect()
}

/// The commands of `bundle` in a page: the lines of its blocks, and what stands between backticks.
fn commands_in(text: &str) -> Vec<String> {
    let (mut found, mut fenced) = (Vec::new(), false);
    for line in text.replace("\\\n", " ").lines() {
        if line.trim_start().starts_with("```") {
            fenced = !fenced;
        } else if fenced {
            found.push(line.to_owned());
        } else {
            found.extend(line.split('`').skip(1).step_by(2).map(str::to_owned));
        }
    }
    // Of kubectl, `bundle` is the namespace.
    let starts = |code: &String| {
        let starts = code.match_indices("bundle ").filter(|(at, _)| !code[..*at].contains("kubectl"));
        starts.map(|(at, _)| code[at..].to_owned()).collect::<Vec<_>>()
    };
    found.iter().flat_map(starts).collect()
}

#[test]
fn every_option_that_a_page_gives_a_command_is_one_that_the_command_has() {
    let reference = text_of("docs/reference/commands.md");
    let sections: Vec<(&str, &str)> =
        reference.split("\n## ").filter_map(|section| section.split_once('\n')).collect();
    let help = |command: &str| sections.iter().find(|(name, _)| *name == command).map(|(_, help)| *help);
    let (mut checked, mut wrong) = (0, String::new());
    for page in pages() {
        for code in commands_in(&text_of(&page)) {
            let words: Vec<&str> = code
                .split_whitespace()
                .take_while(|word| !["|", "&&", "#", ">", ">>", "||"].contains(word))
                .collect();
            let Some((help, name)) = [3, 2].into_iter().find_map(|length| {
                let name = words.get(..length)?.join(" ");
                Some((help(&name)?, name))
            }) else {
                continue;
            };
            for word in words.iter().filter_map(|word| word.strip_prefix("--")) {
                let option: String = word
                    .chars()
                    .take_while(|letter| letter.is_ascii_alphanumeric() || *letter == '-')
                    .collect();
                if option.is_empty() {
                    continue;
                }
                checked += 1;
                let known = help.match_indices(&format!("--{option}")).any(|(at, it)| {
                    !help[at + it.len()..]
                        .starts_with(|next: char| next.is_ascii_alphanumeric() || next == '-')
                });
                if !known {
                    wrong.push_str(&format!("{page}: '{name}' has no --{option}: {code}\n"));
                }
            }
        }
    }
    assert!(wrong.is_empty(), "{wrong}");
    assert!(checked > 200, "{checked} options");
}
