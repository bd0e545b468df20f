//! docs/plain-registry.md: its commands do what they promise, in their order, against Debian's registry.
//! Takes the code blocks of the page as they stand; only hosts and the registry's directory are put into them.

use std::io::{BufRead, BufReader};
use std::net::TcpListener;
use std::path::Path;
use std::process::{Child, Command, Stdio};

use bundle_test_servers::{ImageSpec, LayerSpec, Platform};

use crate::scene::{Ran, Scene};
use crate::serve::containerd::Containerd;

/// Commands for a cluster or another machine, which are not run.
const ELSEWHERE: [&str; 3] = ["kubectl ", "scp ", "ssh "];

/// The fenced blocks of a language, in order.
fn blocks(text: &str, language: &str) -> Vec<String> {
    let fence = format!("```{language}\n");
    text.split(&fence).skip(1).map(|part| part.split("```").next().unwrap().to_owned()).collect()
}

/// The commands of a block, one a line.
fn commands(block: &str) -> Vec<String> {
    block.lines().filter(|line| !line.trim().is_empty()).map(str::to_owned).collect()
}

/// `docker-registry` with a file of the page, which ends with its handle.
struct Registry(Child);

impl Registry {
    fn serve(scene: &Scene, config: &str) -> Self {
        let mut child = Command::new("docker-registry")
            .args(["serve", config])
            .current_dir(scene.path(""))
            .env("OTEL_TRACES_EXPORTER", "none")
            .stdout(Stdio::null())
            .stderr(Stdio::piped())
            .spawn()
            .expect("docker-registry is installed by scripts/test");
        let mut log = BufReader::new(child.stderr.take().unwrap());
        let mut said = String::new();
        while !said.contains("listening on") {
            assert!(log.read_line(&mut said).unwrap() > 0, "it does not serve: {said}");
        }
        // It writes on, and must not wait for a reader.
        std::thread::spawn(move || std::io::copy(&mut log, &mut std::io::sink()));
        Self(child)
    }
}

impl Drop for Registry {
    fn drop(&mut self) {
        // It may have ended by itself.
        self.0.kill().ok();
        self.0.wait().ok();
    }
}

struct Page {
    scene: Scene,
    /// Where the importer pushes, and where nodes pull.
    write: String,
    read: String,
    registries: Vec<Registry>,
}

impl Page {
    fn here(&self, text: &str) -> String {
        text.replace("0.0.0.0:5443", &self.write)
            .replace("0.0.0.0:443", &self.read)
            .replace("/srv/registry", self.scene.path("srv").to_str().unwrap())
            .replace("registry.example:5443", &self.write)
            .replace("registry.example", &self.read)
    }

    fn run(&self, command: &str) -> Ran {
        self.scene.shell(&format!("bundle() {{ \"$BUNDLE\" \"$@\"; }}; {}", self.here(command)))
    }
}

/// Addresses on which nobody listens. Another process may take them before the registry does, which then ends
/// and fails the test.
fn free_addresses() -> [String; 2] {
    [(), ()]
        .map(|()| TcpListener::bind("127.0.0.1:0").unwrap())
        .map(|listener| listener.local_addr().unwrap().to_string())
}

#[test]
fn every_command_of_the_page_on_plain_registries_works_in_its_order() {
    let root = Path::new(env!("CARGO_MANIFEST_DIR"));
    let text = std::fs::read_to_string(root.join("docs/plain-registry.md")).unwrap();
    let scene = Scene::empty();
    let mut names = ["library/nginx:1.27", "stefanprodan/podinfo:6.7.0", "rancher/mirrored-pause:3.6"]
        .into_iter()
        .zip(1..);
    names
        .try_for_each(|(name, seed)| {
            let (repository, tag) = name.split_once(':').unwrap();
            let image =
                ImageSpec::oci().platform(Platform::linux_amd64()).layer(LayerSpec::new(seed, 5_000)).build();
            scene.source.client().push(repository, tag, &image)
        })
        .unwrap();
    let [write, read] = free_addresses();
    let mut page = Page { scene, write, read, registries: Vec::new() };
    let written = blocks(&text, "yaml");
    assert_eq!(written.len(), 4, "bundle.yaml, two registries and sync.yaml");
    for block in written {
        let name = block.lines().next().unwrap().trim_start_matches("# ");
        std::fs::write(page.scene.path(name), page.here(&block)).unwrap();
    }
    std::fs::write(page.scene.path("k3s-images.txt"), "docker.io/rancher/mirrored-pause:3.6\n").unwrap();
    page.scene
        .shell(
            "openssl req -x509 -newkey ec -pkeyopt ec_paramgen_curve:prime256v1 -nodes -days 1 -subj /CN=registry \
             -addext subjectAltName=IP:127.0.0.1 -keyout registry.key -out registry.crt 2>/dev/null && cp registry.crt ca.crt",
        )
        .succeeds();
    let source = page.scene.source.host();
    let mirrors = format!(" --mirror docker.io={source} --mirror ghcr.io={source}");
    let mut tried = 0;
    let mut imports = 0;
    for command in blocks(&text, "sh").iter().flat_map(|block| commands(block)) {
        let words: Vec<&str> = command.split_whitespace().collect();
        match words[..] {
            ["docker-registry", "serve", config] => {
                let registry = Registry::serve(&page.scene, config);
                page.registries.push(registry);
            }
            ["bundle", "lock"] => drop(page.run(&format!("{command}{mirrors}")).succeeds()),
            ["bundle", "create", ..] => {
                page.run(&format!("{command}{mirrors} --no-referrers")).succeeds();
            }
            ["bundle", "import", ..] => {
                imports += 1;
                if words.contains(&"--allow-rollback") {
                    // The registry's disk is lost.
                    page.scene.shell("rm -rf srv/*").succeeds();
                }
                let said = page.run(&command).succeeds();
                let pushed = said.stdout.contains("3 artifacts pushed");
                assert_eq!(pushed, [2, 4].contains(&imports), "import {imports}: {}", said.stdout);
            }
            ["bundle" | "htpasswd" | "umask" | "mkdir" | "docker-registry", ..] => {
                page.run(&command).succeeds();
            }
            [variable, "bundle", "login", ..] if variable.starts_with("REGISTRY_AUTH_FILE=") => {
                page.run(&command).succeeds().says("logged in at");
            }
            _ if ELSEWHERE.iter().any(|start| command.starts_with(start)) => continue,
            _ => panic!("nobody tries '{command}'"),
        }
        tried += 1;
    }
    assert!(tried > 20 && imports == 4, "{tried} commands");
    assert!(page.scene.path("receipts").read_dir().unwrap().count() >= 2, "the job wrote a signed receipt");
    nodes_pull_and_cannot_push(&page);
}

fn nodes_pull_and_cannot_push(page: &Page) {
    page.run(
        "bundle mirror-config day-one.tar --for containerd --registry registry.example --ca-file ca.crt \
         --credentials node.json --all-registries -o containerd",
    )
    .succeeds()
    .says("is no Harbor");
    let hosts = page.scene.path("containerd/etc/containerd/certs.d").display().to_string();
    let containerd = Containerd::start();
    let own = format!("{}/team-a/podinfo:6.7.0", page.read);
    for name in ["docker.io/library/nginx:1.27", &own] {
        containerd.run(&["content", "fetch", "--hosts-dir", &hosts, name]);
    }
    let status = |user: &str, host: &str, method: &str| {
        let url = format!("https://{host}/v2/team-a/podinfo/blobs/uploads/");
        let curl = format!(
            "curl -s -o /dev/null -w '%{{http_code}}' --cacert ca.crt -X {method} -u {user}:$(cat {user}.password) {url}"
        );
        page.scene.shell(&curl).stdout
    };
    assert_eq!(status("importer", &page.write, "POST"), "202");
    assert_eq!(status("node", &page.write, "POST"), "401");
    assert_eq!(status("node", &page.read, "POST"), "405");
    assert_eq!(status("importer", &page.read, "POST"), "401");
}
