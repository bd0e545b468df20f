//! The packages and the container image, as their users have them: installed into a clean Debian by dpkg and rpm, used,
//! upgraded and removed there; run by runc. Takes `scripts/release --draft`, which packs an unoptimised static
//! program by the steps of a release.

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::OnceLock;

use bundle_test_needs::{missing, program};
use bundle_test_servers::{Check, DockerRegistry};
use serde_json::{Value, json};

use crate::documents::page::{Block, push_images, section, text_of};
use crate::scene::{Ran, Scene};

fn sh(script: &str) -> Ran {
    let mut command = Command::new("bash");
    command.args(["-euo", "pipefail", "-c", script]).current_dir(env!("CARGO_MANIFEST_DIR"));
    Ran::from(command.output().unwrap())
}

/// A directory that is made anew at each run of the tests, and kept after it.
fn anew(name: &str) -> PathBuf {
    let path = Path::new(env!("CARGO_TARGET_TMPDIR")).join(name);
    let _ = std::fs::remove_dir_all(&path);
    path
}

/// Whether this machine can install packages and run containers; each test says so itself if not.
fn able(programs: &[&str]) -> bool {
    let able = programs.iter().all(|name| program(name).is_some());
    let root = sh("id -u").stdout == "0\n";
    if !root {
        missing("root's rights, to change roots and run containers,");
    }
    able && root
}

/// The packages of this checkout, made once.
fn packages() -> &'static Path {
    static MADE: OnceLock<PathBuf> = OnceLock::new();
    MADE.get_or_init(|| {
        let directory = anew("draft");
        sh(&format!("scripts/release --draft {}", directory.display())).succeeds();
        directory
    })
}

const PACKAGERS: [&str; 5] = ["cargo-deb", "cargo-generate-rpm", "jq", "musl-gcc", "readelf"];

fn package(end: &str) -> PathBuf {
    let entries = std::fs::read_dir(packages()).unwrap().map(|entry| entry.unwrap().path());
    let mut found: Vec<PathBuf> = entries.filter(|path| path.to_string_lossy().ends_with(end)).collect();
    assert_eq!(found.len(), 1, "{found:?}");
    found.remove(0)
}

/// A Debian with nothing but its base and systemd's programs: it has no certificates of authorities.
struct Clean {
    root: PathBuf,
}

impl Clean {
    fn new(name: &str) -> Self {
        static BASE: OnceLock<PathBuf> = OnceLock::new();
        let base = BASE.get_or_init(|| {
            let base = anew("debian");
            let made = sh(&format!(
                ". /etc/os-release; mirror=$(apt-get indextargets --format '$(SITE)' | sort -u | grep /debian$)
                 debootstrap --variant=minbase --include=systemd $VERSION_CODENAME {} $mirror",
                base.display()
            ));
            made.succeeds();
            // Nobody answers apt's question here, and what the package recommends is fetched from elsewhere.
            let settings = "APT::Get::Assume-Yes \"true\";\nAPT::Install-Recommends \"false\";\n";
            std::fs::write(base.join("etc/apt/apt.conf.d/90test"), settings).unwrap();
            base
        });
        let root = anew(name);
        sh(&format!("cp -a {} {}", base.display(), root.display())).succeeds();
        Self { root }
    }

    /// Runs a script in it.
    fn run(&self, script: &str) -> Ran {
        let mut command = Command::new("chroot");
        command.arg(&self.root).args(["/bin/bash", "-euo", "pipefail", "-c", script]);
        command.env_clear().env("PATH", "/usr/sbin:/usr/bin:/sbin:/bin").env("HOME", "/root");
        Ran::from(command.output().unwrap())
    }

    /// Copies a package into it.
    fn bring(&self, package: &Path) {
        std::fs::copy(package, self.root.join("tmp").join(package.file_name().unwrap())).unwrap();
    }

    /// All files, without the user's own and what dpkg and apt keep of every package.
    fn files(&self) -> BTreeSet<String> {
        let found = sh(&format!(
            "cd {}; find . -xdev \\( -path ./root -o -path ./tmp -o -path ./var/log -o -path ./var/cache/apt \
             -o -path ./var/lib/apt -o -path ./var/lib/dpkg \\) -prune -o -print",
            self.root.display()
        ));
        found.succeeds().stdout.lines().map(str::to_owned).collect()
    }

    /// What the files of the package promise, once it is installed.
    fn has_the_program(&self) {
        let ran = self.run("bundle --version; airgap-bundle -V; readlink -f /usr/bin/bundle").succeeds();
        let commit = sh("git rev-parse HEAD").stdout;
        assert!(ran.stdout.contains(&format!("commit  {}", commit.trim())), "{}", ran.stdout);
        assert!(ran.stdout.contains("-unknown-linux-musl\n"), "{}", ran.stdout);
        assert!(ran.stdout.ends_with("/usr/bin/airgap-bundle\n"), "{}", ran.stdout);
        self.run(
            "zcat /usr/share/man/man1/bundle.1.gz | grep -q 'container images'
             zcat /usr/share/man/man1/airgap-bundle-create.1.gz | grep -q volume
             for name in bundle airgap-bundle; do
                 source /usr/share/bash-completion/completions/$name; complete -p $name
                 grep -q \"complete -c $name \" /usr/share/fish/vendor_completions.d/$name.fish
             done
             id bundle; test $(stat -c %U:%a /etc/bundle) = bundle:750; test -d /var/lib/bundle
             grep -q '^ExecStart=/usr/bin/airgap-bundle ' /usr/lib/systemd/system/bundle-serve.service
             ! grep -r /usr/local /usr/lib/systemd/system/bundle-*
             cd /usr/share/doc/airgap-bundle; test -s LICENSE; test -s docs/install.md; test -s manifests/kubernetes/serve/service.yaml",
        )
        .succeeds();
    }

    /// What must be gone with the package, and what must stay.
    fn has_no_program(&self) {
        self.run(
            "for path in /usr/bin/bundle /usr/bin/airgap-bundle /usr/share/man/man1/bundle.1.gz /etc/alternatives/bundle \
                 /usr/share/airgap-bundle /usr/share/bash-completion/completions/bundle; do
                 ! test -e $path && ! test -L $path || { echo $path is still there; exit 1; }
             done; test -e /etc/bundle/ops.key",
        )
        .succeeds();
    }
}

/// Docker Hub's images and the far side's registry, both on this machine, which is the clean root's too.
struct Crossing {
    hub: DockerRegistry,
    far: DockerRegistry,
}

impl Crossing {
    /// The root's user reads Docker Hub through a mirror, as registries.conf has it.
    fn new(clean: &Clean) -> Self {
        let crossing = Self { hub: DockerRegistry::start().unwrap(), far: DockerRegistry::start().unwrap() };
        push_images(&crossing.hub.client());
        let mirror = format!(
            "[[registry]]\nprefix = \"docker.io\"\nlocation = \"docker.io\"\n[[registry.mirror]]\n\
             location = \"{}\"\ninsecure = true\n",
            crossing.hub.host()
        );
        let directory = clean.root.join("root/.config/containers");
        std::fs::create_dir_all(&directory).unwrap();
        std::fs::write(directory.join("registries.conf"), mirror).unwrap();
        crossing
    }

    /// Runs the commands of a page as they stand, with the installed program; only the far side's registry has
    /// another port. Then the images that the page promises are there, with the bytes that the Hub has.
    fn walk(&self, clean: &Clean, name: &str, page: &str) {
        let place = format!("/root/{name}");
        let blocks = Block::all(page);
        let blocks: Vec<&Block> = blocks.iter().filter(|block| block.is_run()).collect();
        assert!(blocks.len() >= 3, "{name}");
        for block in blocks {
            let script = block.script().replace("localhost:5000", self.far.host());
            let ran = clean.run(&format!("mkdir -p {place}; cd {place}\n{script}"));
            assert_eq!(ran.code, Some(block.code()), "{name}, {}: {script}\n{ran:?}", block.line);
        }
        let named = page.split('`').filter_map(|word| word.strip_prefix("localhost:5000/cache/docker.io/"));
        let named: Vec<(&str, &str)> = named.filter_map(|image| image.rsplit_once(':')).collect();
        assert_eq!(named.len(), 2, "{name}: {named:?}");
        for (repository, tag) in named {
            let came = self.far.client().manifest(&format!("cache/docker.io/{repository}"), tag).unwrap();
            let came = came.unwrap_or_else(|| panic!("{name}: {repository}:{tag} did not arrive"));
            let hub = self.hub.client();
            let sent = hub.manifest(repository, tag).unwrap().unwrap();
            // The index, or of a single platform the image that it names.
            let of_tag =
                sent.digest == came.digest || String::from_utf8_lossy(&sent.bytes).contains(&came.digest);
            assert!(of_tag, "{name}: {repository}:{tag} is {}, and the Hub has {}", came.digest, sent.digest);
            assert_eq!(hub.manifest(repository, &came.digest).unwrap().unwrap().bytes, came.bytes);
        }
        assert_eq!(self.far.client().check_complete(Check::Hash).unwrap(), []);
    }
}

/// README's first crossing. Its key stays where the jobs look for keys.
fn cross(clean: &Clean) -> Crossing {
    let crossing = Crossing::new(clean);
    let readme = text_of("README.md");
    crossing.walk(clean, "readme", section(&readme, "First crossing"));
    clean.run("cp /root/readme/ops.key /etc/bundle/").succeeds();
    crossing
}

/// Runs the commands of a section of docs/install.md, with the package of this checkout.
fn follow(clean: &Clean, heading: &str, package: &Path) {
    let file = format!("./{}", package.file_name().unwrap().to_string_lossy());
    let page = text_of("docs/install.md");
    let blocks = Block::all(section(&page, heading));
    let [Block { text, .. }] = &blocks[..] else { panic!("{heading} has other blocks than one") };
    let named = text.split_whitespace().find(|word| word.starts_with("./airgap-bundle_")).unwrap_or(&file);
    clean.run(&format!("cd /tmp\n{}", text.replace(named, &file))).succeeds();
}

#[test]
fn the_deb_installs_into_a_clean_debian_moves_an_image_and_leaves_nothing_but_the_sites_own() {
    if !able(&[&PACKAGERS[..], &["debootstrap", "dpkg-deb"]].concat()) {
        return;
    }
    let deb = package(".deb");
    let clean = Clean::new("with-deb");
    clean.bring(&deb);
    let built_with = clean.run("for name in cargo rustc cc; do ! command -v $name; done").succeeds();
    assert_eq!(built_with.stdout, "", "the root has what builds programs");
    let before = clean.files();
    follow(&clean, "Debian and Ubuntu", &deb);
    clean.has_the_program();
    let crossing = cross(&clean);
    crossing.walk(&clean, "first-crossing", &text_of("docs/first-crossing.md"));
    // An upgrade keeps the name.
    let install = "dpkg -i /tmp/*.deb";
    clean.run(install).succeeds();
    clean.has_the_program();
    follow(&clean, "Remove", &deb);
    clean.has_no_program();
    let after = clean.files();
    let left: Vec<&String> = after.difference(&before).collect();
    assert_eq!(left, ["./etc/bundle", "./etc/bundle/ops.key", "./var/lib/bundle"]);
    assert_eq!(before.difference(&after).next(), None, "what was there is gone");
    // Another package's `bundle` stays what it is.
    let rubys = "#!/bin/sh\necho Bundler version 2\n";
    std::fs::write(clean.root.join("usr/bin/bundle"), rubys).unwrap();
    clean
        .run(&format!("chmod +x /usr/bin/bundle; {install}"))
        .succeeds()
        .says("not replacing /usr/bin/bundle");
    assert_eq!(clean.run("bundle; airgap-bundle -V").succeeds().stdout.lines().count(), 2);
    clean.run("dpkg -P airgap-bundle; rm -r /etc/bundle").succeeds();
    assert_eq!(std::fs::read_to_string(clean.root.join("usr/bin/bundle")).unwrap(), rubys);
}

#[test]
fn the_rpm_installs_by_rpm_itself_moves_an_image_and_leaves_nothing_but_the_sites_own() {
    if !able(&[&PACKAGERS[..], &["debootstrap", "rpm"]].concat()) {
        return;
    }
    let rpm = package(".rpm");
    let clean = Clean::new("with-rpm");
    // Of Debian, rpm knows no packages: what is required is there as dpkg's.
    let required =
        sh(&format!("rpm -qp --requires {} | grep -v ^rpmlib | sort -u", rpm.display())).succeeds().stdout;
    assert_eq!(required, "/bin/sh\n/usr/sbin/update-alternatives\n");
    let rpm = |arguments: &str| {
        let root = clean.root.display();
        sh(&format!("rpm --root {root} --nodeps {}", arguments.replace("RPM", rpm.to_str().unwrap())))
            .succeeds()
    };
    rpm("--install RPM");
    clean.has_the_program();
    cross(&clean);
    rpm("--upgrade --force RPM");
    clean.has_the_program();
    rpm("--erase airgap-bundle");
    clean.has_no_program();
}

/// One container of the image, with the host's network and one writable directory.
fn run_container(bundle: &Path, arguments: &[&str]) -> Ran {
    let config: Value = serde_json::from_slice(&std::fs::read(bundle.join("image.json")).unwrap()).unwrap();
    let settings = &config["config"];
    let (user, group) = settings["User"].as_str().unwrap().split_once(':').unwrap();
    let mut words = settings["Entrypoint"].as_array().unwrap().clone();
    words.extend(arguments.iter().map(|&word| word.into()));
    let mut environment = settings["Env"].as_array().unwrap().clone();
    environment.push("HOME=/data".into());
    // As the manifests have it: no root, no capabilities, nothing writable but the volume.
    let spec = json!({
        "ociVersion": "1.0.2",
        "process": {
            "terminal": false, "args": words, "env": environment, "cwd": "/data", "noNewPrivileges": true,
            "user": {"uid": user.parse::<u32>().unwrap(), "gid": group.parse::<u32>().unwrap()},
            "capabilities": {},
        },
        "root": {"path": "rootfs", "readonly": true},
        "mounts": [
            {"destination": "/proc", "type": "proc", "source": "proc"},
            {"destination": "/etc/hosts", "type": "bind", "source": bundle.join("hosts"), "options": ["bind", "ro"]},
            {"destination": "/data", "type": "bind", "source": bundle.join("data"), "options": ["rbind", "rw"]},
        ],
        "linux": {"namespaces": [{"type": "pid"}, {"type": "ipc"}, {"type": "uts"}, {"type": "mount"}]},
    });
    std::fs::write(bundle.join("hosts"), "127.0.0.1 registry.test\n").unwrap();
    std::fs::write(bundle.join("config.json"), spec.to_string()).unwrap();
    let name = format!("bundle-test-{}", std::process::id());
    let mut command = Command::new("runc");
    command.arg("--root").arg(bundle.join("state")).args(["run", "--bundle"]).arg(bundle).arg(name);
    Ran::from(command.output().unwrap())
}

#[test]
fn the_image_is_a_whole_oci_layout_and_carries_a_bundle_across_in_a_real_container() {
    if !able(&[&PACKAGERS[..], &["runc", "skopeo"]].concat()) {
        return;
    }
    let archive = package("-image.tar");
    let directory = anew("container");
    std::fs::create_dir_all(directory.join("data")).unwrap();
    let at = directory.display();
    let version = env!("CARGO_PKG_VERSION");
    // skopeo checks every digest on its way, and containers' own tools unpack the layer.
    sh(&format!(
        "skopeo --insecure-policy copy -q --all oci-archive:{}:{version} oci:{at}/layout:{version}
         cd {at}; blob() {{ echo layout/blobs/sha256/${{1#sha256:}}; }}
         index=$(blob $(jq -r .manifests[0].digest layout/index.json))
         manifest=$(blob $(jq -r .manifests[0].digest $index))
         cp $(blob $(jq -r .config.digest $manifest)) image.json
         mkdir rootfs; tar -xf $(blob $(jq -r .layers[0].digest $manifest)) -C rootfs; chown 65532 data",
        archive.display()
    ))
    .succeeds();
    // Static, with the authorities that the public registries' certificates need, and nothing else.
    let files = sh(&format!("cd {at}/rootfs; find . -type f | sort")).stdout;
    assert_eq!(files, "./etc/ssl/certs/ca-certificates.crt\n./licenses/LICENSE\n./usr/local/bin/bundle\n");
    run_container(&directory, &["-V"]).succeeds().says(version);
    let scene = Scene::with_images();
    let target = DockerRegistry::start().unwrap();
    let image = format!("{}/team/multi:1", scene.source.host());
    run_container(&directory, &["key", "generate", "ops.key"]).succeeds();
    run_container(&directory, &["create", &image, "--key", "ops.key", "-o", "images.tar"]).succeeds();
    // By a name that only the container's /etc/hosts has, as Kubernetes writes it: musl's resolver needs no NSS.
    let port = target.host().rsplit_once(':').unwrap().1;
    let named = format!("http://registry.test:{port}");
    run_container(&directory, &["import", "images.tar", "--to", &named, "--trust", "ops.key.pub"]).succeeds();
    assert_eq!(target.client().check_complete(Check::Hash).unwrap(), []);
    assert_eq!(target.client().contents().unwrap().len(), 2, "the image and the record");
}

#[test]
fn the_same_program_gives_the_same_packages_and_the_same_image() {
    if !able(&PACKAGERS) {
        return;
    }
    let (first, again) = (packages(), anew("draft-again"));
    sh(&format!("scripts/release --draft {}", again.display())).succeeds();
    sh(&format!("diff -r {} {}", first.display(), again.display())).succeeds();
    assert_eq!(std::fs::read_dir(first).unwrap().count(), 4, "deb, rpm, archive and image");
}
