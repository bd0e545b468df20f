//! docs/bootstrap.md: its commands do what they promise, in their order.
//! Takes the code blocks of the page as they stand; only host names are put into them.

use std::path::Path;

use bundle_test_servers::{ImageSpec, LayerSpec, Platform};

use crate::harbor::scene::HarborScene;
use crate::scene::Ran;
use crate::serve::served::Served;

/// Commands for a cluster or another machine, which were not tried.
const ELSEWHERE: [&str; 7] = [
    "kubectl ",
    "helm ",
    "k3s ",
    "scp ",
    "mkdir -p /var",
    "INSTALL_K3S_SKIP_DOWNLOAD=",
    "read -rs BUNDLE_PASSWORD",
];

/// The fenced blocks of a language, in order.
fn blocks(text: &str, language: &str) -> Vec<String> {
    let fence = format!("```{language}\n");
    text.split(&fence).skip(1).map(|part| part.split("```").next().unwrap().to_owned()).collect()
}

/// The commands of a block; one that goes on behind a backslash is one.
fn commands(block: &str) -> Vec<String> {
    block.replace("\\\n", " ").lines().filter(|line| !line.trim().is_empty()).map(str::to_owned).collect()
}

struct Runbook {
    it: HarborScene,
    mirrors: String,
    /// The seed; and what took Harbor's place.
    served: Vec<Served>,
    password: Option<String>,
}

impl Runbook {
    fn run(&mut self, command: &str) -> Ran {
        let harbor = format!("http://{}", self.it.harbor.host());
        let mut line = command.replace("https://harbor.example", &harbor);
        if let Some(seed) = self.served.first() {
            line = line.replace("seed.example:5000", seed.host());
        }
        if line.starts_with("bundle lock") || line.starts_with("bundle create") {
            line.push_str(&self.mirrors);
        }
        if line.contains("--credentials harbor-secrets/cache.json") {
            // The secret is for the name under which the double was reached.
            line =
                line.replace("--registry harbor.example", &format!("--registry {}", self.it.harbor.host()));
        }
        // Variables that a block exports are set for its later lines.
        let account = self
            .password
            .as_ref()
            .map(|password| format!("export BUNDLE_USERNAME=admin BUNDLE_PASSWORD='{password}'; "));
        let prelude = "bundle() { \"$BUNDLE\" \"$@\"; }; ";
        self.it.scene.shell(&format!("{prelude}{}{line}", account.unwrap_or_default()))
    }

    fn serve(&mut self, command: &str) {
        let words: Vec<&str> = command.split_whitespace().skip(2).collect();
        let listen = words.iter().position(|word| *word == "--listen").unwrap();
        let arguments: Vec<&str> = [&words[..listen], &words[listen + 2..]].concat();
        let served = Served::with(&self.it.scene, &arguments);
        self.served.push(served);
    }
}

#[test]
fn every_command_of_the_runbook_works_in_its_order() {
    let root = Path::new(env!("CARGO_MANIFEST_DIR"));
    let Some(chart) = bundle_test_needs::shared("data/charts/harbor-1.19.1.tgz") else { return };
    let text = std::fs::read_to_string(root.join("docs/bootstrap.md")).unwrap();
    let it = HarborScene::empty();
    // The files that the runbook shows, with the chart from where it lies here.
    for block in blocks(&text, "yaml") {
        let name = block.lines().next().unwrap().trim_start_matches("# ");
        let repository = "repo: https://helm.goharbor.io\n        name: harbor\n        version: 1.19.x";
        let here = format!("path: {}", chart.canonicalize().unwrap().display());
        it.write(name, &block.replace(repository, &here));
    }
    it.write("k3s-images.txt", "docker.io/rancher/mirrored-pause:3.6\n");
    // All registries are played by the source.
    let ran = it.scene.bundle(["images", "--offline", "--json"]).succeeds().json();
    let listed = ran["listed"].as_array().unwrap().iter();
    let found = ran["charts"][0]["images"].as_array().unwrap().iter();
    for (seed, image) in listed.chain(found).enumerate() {
        let (_, path) = image["image"].as_str().unwrap().split_once('/').unwrap();
        let (repository, tag) = path.rsplit_once(':').unwrap();
        let layer = LayerSpec::new(seed as u64, 1_000);
        let built = ImageSpec::oci().platform(Platform::linux_amd64()).layer(layer).build();
        it.scene.source.client().push(repository, tag, &built).unwrap();
    }
    // Certificates of the site's authority.
    it.scene
        .shell(
            "for name in seed harbor; do openssl req -x509 -newkey ec -pkeyopt ec_paramgen_curve:prime256v1 -nodes -days 1 \
               -subj /CN=$name.example -addext subjectAltName=IP:127.0.0.1 -keyout $name.key -out $name.crt; done && \
             cat seed.crt harbor.crt > ca.crt",
        )
        .succeeds();
    let source = it.scene.source.host();
    let mirrors = format!(" --mirror docker.io={source} --mirror ghcr.io={source}");
    let create_only = " --no-referrers";
    let mut book = Runbook { it, mirrors, served: Vec::new(), password: None };
    let mut tried = 0;
    for command in blocks(&text, "sh").iter().flat_map(|block| commands(block)) {
        match command.split_whitespace().collect::<Vec<_>>()[..] {
            ["bundle", "serve", ..] => book.serve(&command),
            ["export", ..] => book.password = Some(book.it.harbor.admin_credentials().secret),
            ["unset", ..] => book.password = None,
            ["bundle", "create", ..] => {
                book.run(&format!("{command}{create_only}")).succeeds();
            }
            ["bundle" | "sed", ..] => {
                book.run(&command).succeeds();
            }
            _ if ELSEWHERE.iter().any(|start| command.starts_with(start)) => continue,
            _ => panic!("nobody tries '{command}'"),
        }
        tried += 1;
    }
    assert!(tried > 15, "{tried} commands");
    // Both ways have led to the same image: in the archive for nodes, and at both machines that serve.
    let path = |name: &str| book.it.scene.path(name);
    let archive = path("images").read_dir().unwrap().next().unwrap().unwrap().path();
    let index = book.it.scene.shell(&format!("tar -xOf {} index.json", archive.display())).succeeds().stdout;
    let values = |name: &str| -> serde_json::Value {
        serde_saphyr::from_str(&std::fs::read_to_string(path(name)).unwrap()).unwrap()
    };
    for (file, registry) in
        [("harbor-images.yaml", "harbor.example"), ("harbor-seed.yaml", book.served[0].host())]
    {
        let values = values(file);
        assert_eq!(
            values["core"]["image"]["repository"],
            format!("{registry}/cache/docker.io/goharbor/harbor-core")
        );
        assert_eq!(values["expose"]["ingress"]["hosts"]["core"], "harbor.example");
        assert_eq!(values["externalURL"], "https://harbor.example");
    }
    let values = values("harbor-images.yaml");
    let (tag, digest) = values["core"]["image"]["tag"].as_str().unwrap().split_once('@').unwrap();
    // K3s makes the names with digests of those with tags.
    let name = format!("harbor.example/cache/docker.io/goharbor/harbor-core:{tag}");
    let index: serde_json::Value = serde_json::from_str(&index).unwrap();
    let named = |entry: &serde_json::Value| {
        entry["annotations"]["org.opencontainers.image.ref.name"] == *name && entry["digest"] == *digest
    };
    assert!(index["manifests"].as_array().unwrap().iter().any(named), "{name} is not in\n{index}");
    for served in &book.served {
        let address =
            format!("https://{}/v2/cache/docker.io/goharbor/harbor-core/manifests/{digest}", served.host());
        let curl = format!("curl -sf --cacert ca.crt -o /dev/null -H 'Accept: */*' {address}");
        book.it.scene.shell(&curl).succeeds();
    }
}
