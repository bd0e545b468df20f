//! A page's `sh` blocks, and the images that the pages name. Takes a page's text; gives its blocks in their order, without
//! the commands of other machines.

use std::path::Path;

use bundle_test_servers::{Client, ImageSpec, Index, LayerSpec, Platform};

/// Programs of other machines, of a cluster, of an administrator, and of other projects.
const ELSEWHERE: [&str; 18] = [
    "age",
    "apt",
    "apt-get",
    "cargo",
    "ctr",
    "curl",
    "dnf",
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
const IMAGES: [&str; 14] = [
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
    "goharbor/harbor-exporter:v2.15.1",
    "org/charts-app/web:1.0.0",
    "rancher/mirrored-pause:3.6",
];

/// A fenced `sh` block.
pub(crate) struct Block {
    /// Its line in the page.
    pub(crate) line: usize,
    /// Its words behind `sh`.
    info: Vec<String>,
    /// Its commands as they stand.
    pub(crate) text: String,
}

impl Block {
    /// All of a page. Blocks in lists are unindented.
    pub(crate) fn all(page: &str) -> Vec<Self> {
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

    /// Whether it is for the machine whose page it is on, and not for another.
    pub(crate) fn is_run(&self) -> bool {
        !self.info.iter().any(|word| word == "elsewhere" || word == "setup")
    }

    /// The code that its last command ends with: `fails=N`, or 0.
    pub(crate) fn code(&self) -> i32 {
        let code = self.info.iter().find_map(|word| word.strip_prefix("fails="));
        code.map_or(0, |code| code.parse().expect("fails=N is a number"))
    }

    /// The commands that run here. A command of another machine is left out with its further lines.
    pub(crate) fn script(&self) -> String {
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

/// Pushes the images that the pages name, each for two platforms.
pub(crate) fn push_images(source: &Client) {
    for (seed, name) in IMAGES.iter().enumerate() {
        let (repository, tag) = name.rsplit_once(':').unwrap();
        let [amd64, arm64] = [Platform::linux_amd64(), Platform::linux_arm64()].map(|platform| {
            let layer = LayerSpec::new(seed as u64, 150_000);
            ImageSpec::oci().platform(platform).layer(layer).build()
        });
        let index = Index::oci().manifest(amd64).manifest(arm64).build();
        source.push(repository, tag, &index).unwrap();
    }
}

/// The text of a page.
pub(crate) fn text_of(page: &str) -> String {
    std::fs::read_to_string(Path::new(env!("CARGO_MANIFEST_DIR")).join(page)).unwrap()
}

/// What stands below a heading of the second level.
pub(crate) fn section<'p>(page: &'p str, heading: &str) -> &'p str {
    let (_, below) = page.split_once(&format!("\n## {heading}\n")).unwrap_or_else(|| panic!("no {heading}"));
    below.split("\n## ").next().unwrap_or(below)
}
