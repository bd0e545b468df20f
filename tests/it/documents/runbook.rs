//! docs/bootstrap.md: its commands do what they promise, in their order. Takes the code blocks of the page as
//! they stand; only host names are put into them. The output of a check matches the page.

use std::path::Path;

use bundle_test_servers::{Fault, ImageSpec, LayerSpec, Matcher, Platform, Rule};

use crate::harbor::scene::HarborScene;
use crate::scene::Ran;
use crate::serve::served::Served;

/// A fenced block of the page: its info string, such as `sh cluster check`, and its text.
struct Block {
    info: Vec<String>,
    text: String,
}

impl Block {
    /// All of a page, in order.
    fn all(page: &str) -> Vec<Self> {
        let parts: Vec<&str> = page.split("\n```").collect();
        let block = |part: &&str| {
            let (info, text) = part.split_once('\n').unwrap();
            Self { info: info.split_whitespace().map(str::to_owned).collect(), text: format!("{text}\n") }
        };
        parts[1..].iter().step_by(2).map(block).collect()
    }

    fn is(&self, language: &str) -> bool {
        self.info.first().is_some_and(|first| first == language)
    }

    /// Where its commands run; the page's head explains the words.
    fn place(&self) -> &str {
        let place = self.info.get(1).map_or("", String::as_str);
        assert!(
            ["connected", "seed", "cluster", "server", "agent", "node"].contains(&place),
            "the page explains no place '{place}'"
        );
        place
    }

    fn is_check(&self) -> bool {
        match self.info.get(2..).unwrap_or_default() {
            [] => false,
            [check] if check == "check" => true,
            other => panic!("the page explains no {other:?}"),
        }
    }

    /// The commands; one that goes on behind a backslash is one.
    fn commands(&self) -> Vec<String> {
        let whole = self.text.replace("\\\n", " ");
        whole.lines().filter(|line| !line.trim().is_empty()).map(str::to_owned).collect()
    }
}

/// Whether a command can run here: on a machine of the far side, without a cluster and without nodes.
fn runs_here(place: &str, command: &str) -> bool {
    let program = command.split_whitespace().next().unwrap_or_default();
    match place {
        "connected" | "seed" => true,
        "cluster" => {
            ["bundle", "openssl", "export", "unset"].contains(&program) && !command.contains("KUBECONFIG")
        }
        _ => false,
    }
}

/// Whether a line is as the page says, where `…` stands for anything.
fn fits(line: &str, expected: &str) -> bool {
    let mut parts = expected.split('…');
    let first = parts.next().unwrap();
    let Some(mut rest) = line.strip_prefix(first) else { return false };
    let parts: Vec<&str> = parts.collect();
    let Some((last, between)) = parts.split_last() else { return rest.is_empty() };
    for part in between {
        let Some(at) = rest.find(part) else { return false };
        rest = &rest[at + part.len()..];
    }
    rest.ends_with(last)
}

/// The check that the double of Harbor cannot pass: it speaks plain HTTP.
const NOT_THE_DOUBLES: &str = "ok       certificate  harbor.example:";

/// Compares what a check printed with what the page says. Of a check with commands that did not run, only what
/// `bundle` prints is compared.
fn compare(printed: &str, expected: &str, all_ran: bool) -> usize {
    let mut lines = printed.lines();
    let of_bundle = |line: &&str| all_ran || line.starts_with("ok ") || line.contains("0 failed");
    let mut compared = 0;
    for expected in expected.lines().filter(of_bundle).filter(|line| !line.starts_with(NOT_THE_DOUBLES)) {
        assert!(
            lines.any(|line| fits(line, expected)),
            "the page expects, after the lines before it:\n{expected}\nand this was printed:\n{printed}"
        );
        compared += 1;
    }
    compared
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
        if line.starts_with("bundle create") {
            line.push_str(" --no-referrers");
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
        let prelude = "PATH=$PWD/bin:$PATH; bundle() { \"$BUNDLE\" \"$@\"; }; ";
        self.it.scene.shell(&format!("{prelude}{}{line}", account.unwrap_or_default()))
    }

    /// The output, with the names of the page.
    fn printed(&self, ran: &Ran) -> String {
        let text = ran.stdout.replace(self.it.harbor.host(), "harbor.example");
        match self.served.first() {
            Some(seed) => text.replace(seed.host(), "seed.example:5000"),
            None => text,
        }
    }

    /// A `kubectl` that knows the tenant's namespace and the secret that `bootstrap` wrote for it.
    fn cluster(&self) {
        let secret = self.it.scene.path("harbor-secrets/team-a.yaml");
        let Ok(text) = std::fs::read_to_string(secret) else { return };
        let secret: serde_json::Value = serde_saphyr::from_str(&text).unwrap();
        self.it.scene.shell("mkdir -p bin").succeeds();
        self.it.write("bin/secret", &secret.to_string());
        let script = "#!/bin/sh\ncase \"$2\" in namespaces) echo namespace/team-a ;; \
                      secret) cat \"$(dirname \"$0\")/secret\" ;; *) exit 1 ;; esac\n";
        self.it.write("bin/kubectl", script);
        self.it.scene.shell("chmod +x bin/kubectl").succeeds();
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
    let blocks = Block::all(&text);
    // The files that the runbook shows, with the chart from where it lies here.
    for block in blocks.iter().filter(|block| block.is("yaml")) {
        let block = &block.text;
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
            "for name in seed harbor; do openssl req -x509 -newkey ec -pkeyopt ec_paramgen_curve:prime256v1 -nodes -days 365 \
               -subj /CN=$name.example -addext subjectAltName=IP:127.0.0.1 -keyout $name.key -out $name.crt; done && \
             cat seed.crt harbor.crt > ca.crt",
        )
        .succeeds();
    let source = it.scene.source.host();
    let mirrors = format!(" --mirror docker.io={source} --mirror ghcr.io={source}");
    let now = it.scene.shell("LC_ALL=C date -u '+%a, %d %b %Y %H:%M:%S GMT'").succeeds().stdout;
    let date = Fault::SetHeader("Date".to_owned(), now.trim().to_owned());
    it.harbor.faults().add(Rule::new(Matcher::any(), date));
    let mut book = Runbook { it, mirrors, served: Vec::new(), password: None };
    let (mut tried, mut compared) = (0, 0);
    for (at, block) in blocks.iter().enumerate().filter(|(_, block)| block.is("sh")) {
        let (mut printed, mut all_ran) = (String::new(), true);
        for command in block.commands() {
            if !runs_here(block.place(), &command) {
                all_ran = false;
                continue;
            }
            match command.split_whitespace().collect::<Vec<_>>()[..] {
                ["bundle", "serve", ..] => book.serve(&command),
                ["export", ..] => book.password = Some(book.it.harbor.admin_credentials().secret),
                ["unset", ..] => book.password = None,
                ["bundle" | "sed" | "openssl", ..] => {
                    let ran = book.run(&command).succeeds();
                    printed.push_str(&book.printed(&ran));
                }
                _ => panic!("nobody tries '{command}'"),
            }
            tried += 1;
        }
        book.cluster();
        if block.is_check() {
            let next = blocks.get(at + 1).filter(|next| next.is("text"));
            let next = next.unwrap_or_else(|| panic!("what does this check print?\n{}", block.text));
            compared += compare(&printed, &next.text, all_ran);
        }
    }
    assert!(tried > 20 && compared > 20, "{tried} commands, {compared} lines of checks");
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
