//! The pages for operators: each `sh` block is run as it stands, in the page's order, on a pair of sides that has what
//! the pages name. Hosts and directories are replaced; only commands for other machines are left out.

use std::io::Write;
use std::path::Path;
use std::process::{Command, Stdio};

use bundle_test_servers::{DockerRegistry, Fault, ImageSpec, LayerSpec, Matcher, Platform, Rule};

use crate::harbor::scene::HarborScene;
use crate::scene::Ran;

/// Programs of other machines, of a cluster, of an administrator, and of other projects.
const ELSEWHERE: [&str; 16] = [
    "age",
    "apt-get",
    "cargo",
    "ctr",
    "curl",
    "docker-registry",
    "helm",
    "htpasswd",
    "install",
    "journalctl",
    "kubectl",
    "pkcs11-tool",
    "podman",
    "skopeo",
    "systemctl",
    "useradd",
];

/// The images that the pages name, as the source registry has them.
const IMAGES: [&str; 13] = [
    "library/alpine:3.20",
    "dockerhub/library/alpine:3.20",
    "library/busybox:1.36",
    "library/nginx:1.27",
    "library/nginx:1.27.4",
    "library/redis:7.2",
    "coreos/etcd:v3.5.9",
    "pause:3.9",
    "stefanprodan/podinfo:6.7.0",
    "prometheus/node-exporter:v1.8.2",
    "goharbor/harbor-core:v2.15.1",
    "org/charts-app/web:1.0.0",
    "rancher/mirrored-pause:3.6",
];

/// A fenced `sh` block.
struct Block {
    line: usize,
    /// Its words behind `sh`.
    info: Vec<String>,
    text: String,
}

impl Block {
    /// All of a page. Blocks in lists are unindented.
    fn all(page: &str) -> Vec<Self> {
        let mut found = Vec::new();
        let mut lines = page.lines().enumerate();
        while let Some((at, line)) = lines.next() {
            let indent = line.len() - line.trim_start().len();
            let Some(info) = line.trim_start().strip_prefix("```") else { continue };
            let body: Vec<&str> = lines
                .by_ref()
                .map(|(_, line)| line)
                .take_while(|line| line.trim() != "```")
                .map(|line| line.get(indent..).unwrap_or_default())
                .collect();
            let mut info = info.split_whitespace().map(str::to_owned);
            if info.next().as_deref() == Some("sh") {
                found.push(Self { line: at + 1, info: info.collect(), text: body.join("\n") + "\n" });
            }
        }
        found
    }

    /// The code that its last command ends with: `fails=N`, or 0.
    fn code(&self) -> i32 {
        let code = self.info.iter().find_map(|word| word.strip_prefix("fails="));
        code.map_or(0, |code| code.parse().expect("fails=N is a number"))
    }

    /// The commands that run here. A command of another machine is left out with its further lines.
    fn script(&self) -> String {
        let mut kept = String::new();
        let mut goes_on = false;
        let mut left_out = false;
        for line in self.text.lines() {
            if !goes_on {
                let program = line.split_whitespace().find(|word| !word.contains('='));
                left_out = program.is_some_and(|program| ELSEWHERE.contains(&program))
                    || line.contains(" /etc/systemd/");
            }
            goes_on = line.ends_with('\\');
            if !left_out {
                kept.push_str(line);
                kept.push('\n');
            }
        }
        kept
    }
}

/// Both sides, as the pages describe them.
struct Sides {
    it: HarborScene,
    target: DockerRegistry,
}

impl Sides {
    fn new() -> Self {
        let it = HarborScene::empty();
        for (seed, name) in IMAGES.iter().enumerate() {
            let (repository, tag) = name.rsplit_once(':').unwrap();
            let [amd64, arm64] = [Platform::linux_amd64(), Platform::linux_arm64()].map(|platform| {
                let layer = LayerSpec::new(seed as u64, 150_000);
                ImageSpec::oci().platform(platform).layer(layer).build()
            });
            let index = bundle_test_servers::Index::oci().manifest(amd64).manifest(arm64).build();
            it.scene.source.client().push(repository, tag, &index).unwrap();
        }
        let sides = Self { it, target: DockerRegistry::start().unwrap() };
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
             media/stick srv out && git init -q && \
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
             cp nightly-1795000000.tar nightly.tar && \
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
        for directory in ["/etc/bundle", "/var/lib", "/media/stick", "/srv"] {
            let here = self.it.scene.path(directory.trim_start_matches('/'));
            text = text.replace(directory, here.to_str().unwrap());
        }
        let harbor = self.it.harbor.host();
        text.replace("localhost:5000", self.target.host())
            .replace("https://harbor.example", &format!("http://{harbor}"))
            .replace("harbor.example/dockerhub", &format!("{}/dockerhub", self.it.scene.source.host()))
            .replace("--to harbor.example", &format!("--to {harbor}"))
    }

    /// Runs a script; what reads a password from the terminal reads the administrator's.
    fn execute(&self, script: &str) -> Ran {
        // The examples of a page are alternatives with the same output, and no file is overwritten.
        let prelude = "set -e; bundle() { local word last; for word; do
            if [ \"$1 $last\" = 'create -o' ] && [ \"$word\" != - ]; then rm -f \"$word\" \"$word\".*; fi
            last=$word; done; \"$BUNDLE\" \"$@\"; }\n";
        let mut child = Command::new("bash")
            .args(["-o", "pipefail", "-c", &format!("{prelude}{}", self.here(script))])
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
        let root = Path::new(env!("CARGO_MANIFEST_DIR"));
        let text = std::fs::read_to_string(root.join(page)).unwrap();
        let mut tried = 0;
        let mut failed = String::new();
        for block in Block::all(&text) {
            if block.info.iter().any(|word| word == "elsewhere" || word == "setup") {
                continue;
            }
            let script = block.script();
            tried += script.matches("bundle ").count();
            let ran = self.execute(&script);
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

#[test]
fn the_pages_on_both_sides_say_commands_that_work() {
    for (page, at_least) in [
        ("docs/diode.md", 3),
        ("docs/connected-side.md", 15),
        ("docs/far-side.md", 6),
        ("docs/approver.md", 3),
    ] {
        let sides = Sides::after_the_first_day();
        if page == "docs/far-side.md" {
            // Its first step writes it.
            sides.run("rm etc/bundle/trust.yaml");
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
