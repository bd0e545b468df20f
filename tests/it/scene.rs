//! The scene of most tests: a registry with images, a key, a place for files, and the program. Gives a
//! `Scene`, in whose directory commands run, and `Ran`, which says what a command must have done.

use std::path::{Path, PathBuf};
use std::process::{Command, Output};

use bundle_test_servers::{DockerRegistry, ImageSpec, Index, Layer, LayerSpec, Manifest, Platform};
use tempfile::TempDir;

/// A source registry, a directory, and a key in it.
pub(crate) struct Scene {
    pub(crate) source: DockerRegistry,
    directory: TempDir,
}

/// A fixed time, so that bundles of one plan are the same bytes.
pub(crate) const CREATED: &str = "2026-11-24T09:00:00Z";

impl Scene {
    /// A registry without images.
    pub(crate) fn empty() -> Self {
        let source = DockerRegistry::start().expect("docker-registry is installed by scripts/test");
        let directory = tempfile::tempdir().unwrap();
        let scene = Self { source, directory };
        scene.bundle(["key", "generate", "key"]).succeeds();
        scene
    }

    /// A registry with one image of each sort, which share layers: multi-platform with
    /// attestations, docker schema 2, signed with cosign's tag and with a referrer, and a chart.
    pub(crate) fn with_images() -> Self {
        let scene = Self::empty();
        let client = scene.source.client();
        let base = LayerSpec::new(1, 300_000).build();
        let amd64 = image(&base, 2, Platform::linux_amd64());
        let arm64 = image(&base, 3, Platform::linux_arm64());
        let index = Index::oci().attested(amd64).attested(arm64).build();
        client.push("team/multi", "1", &index).unwrap();
        let docker = ImageSpec::docker().layer(base.clone()).layer(LayerSpec::new(4, 50_000)).build();
        client.push("team/docker", "1", &docker).unwrap();
        let signed = image(&base, 5, Platform::linux_amd64());
        client.push("team/signed", "1", &signed).unwrap();
        client.push("team/signed", &signed.cosign_tag(), &signed.cosign_signature("team/signed")).unwrap();
        let referrer = signed.referrer("application/spdx+json", b"{}");
        client.push_referrers("team/signed", &signed, &[referrer]).unwrap();
        client.push("charts/app", "1.0.0", &Manifest::helm_chart("app", "1.0.0")).unwrap();
        scene
    }

    /// The references of all images in [`Self::with_images`], read through `host`.
    pub(crate) fn references(host: &str) -> Vec<String> {
        ["team/multi:1", "team/docker:1", "team/signed:1", "charts/app:1.0.0"]
            .map(|name| format!("{host}/{name}"))
            .to_vec()
    }

    /// The program's arguments for a bundle of `references` at a fixed time.
    pub(crate) fn create_arguments(references: &[String], output: &str) -> Vec<String> {
        let mut arguments = vec!["create".to_owned()];
        arguments.extend_from_slice(references);
        // Not named after the file, so that the same images are the same bytes under any name.
        let fixed = ["--key", "key", "--created", CREATED, "--stream", "default", "-o", output];
        arguments.extend(fixed.map(str::to_owned));
        arguments
    }

    /// Makes a bundle of all images.
    pub(crate) fn create(&self, output: &str) -> PathBuf {
        let references = Self::references(self.source.host());
        self.bundle(Self::create_arguments(&references, output)).succeeds();
        self.path(output)
    }

    /// A file in the scene's directory.
    pub(crate) fn path(&self, name: &str) -> PathBuf {
        self.directory.path().join(name)
    }

    /// The directory's files, without the key and the program's own state.
    pub(crate) fn files(&self) -> Vec<String> {
        let entries = std::fs::read_dir(self.directory.path()).unwrap();
        let mut names: Vec<String> =
            entries.map(|entry| entry.unwrap().file_name().into_string().unwrap()).collect();
        names.retain(|name| !name.starts_with("key") && name != ".local");
        names.sort();
        names
    }

    /// The program, to be run in the directory.
    pub(crate) fn command<A: AsRef<std::ffi::OsStr>>(
        &self,
        arguments: impl IntoIterator<Item = A>,
    ) -> Command {
        program(self.directory.path(), arguments)
    }

    /// Runs the program in the directory.
    pub(crate) fn bundle<A: AsRef<std::ffi::OsStr>>(&self, arguments: impl IntoIterator<Item = A>) -> Ran {
        Ran::from(self.command(arguments).output().unwrap())
    }

    /// Runs the program through a shell, for pipes; `$BUNDLE` is the program.
    pub(crate) fn shell(&self, script: &str) -> Ran {
        let mut command = Command::new("bash");
        command.args(["-o", "pipefail", "-c", script]).current_dir(self.directory.path());
        command.env("BUNDLE", env!("CARGO_BIN_EXE_bundle")).env("HOME", self.directory.path());
        Ran::from(command.output().unwrap())
    }
}

fn program<A: AsRef<std::ffi::OsStr>>(directory: &Path, arguments: impl IntoIterator<Item = A>) -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_bundle"));
    command.args(arguments).current_dir(directory);
    // Nothing of the developer's own may reach a test.
    for name in [
        "REGISTRY_AUTH_FILE",
        "DOCKER_CONFIG",
        "XDG_RUNTIME_DIR",
        "XDG_STATE_HOME",
        "XDG_CONFIG_HOME",
        "BUNDLE_TRUST_STORE",
        "BUNDLE_CONFIG",
        "BUNDLE_LOG",
        "SOURCE_DATE_EPOCH",
        "HTTPS_PROXY",
    ] {
        command.env_remove(name);
    }
    command.env("HOME", directory);
    command
}

/// An image of a shared base and a layer of its own.
pub(crate) fn image(base: &Layer, seed: u64, platform: Platform) -> Manifest {
    ImageSpec::oci().platform(platform).layer(base.clone()).layer(LayerSpec::new(seed, 100_000)).build()
}

/// An index of three platforms on a shared base, each with an attestation.
pub(crate) fn attested_index(base: &Layer) -> Manifest {
    [Platform::linux_amd64(), Platform::linux_arm64(), Platform::linux_arm_v7()]
        .into_iter()
        .zip(2..)
        .map(|(platform, seed)| image(base, seed, platform))
        .fold(Index::oci(), Index::attested)
        .build()
}

/// How the program ended and what it said.
#[derive(Debug)]
pub(crate) struct Ran {
    pub(crate) code: Option<i32>,
    pub(crate) stdout: String,
    pub(crate) stderr: String,
}

impl From<Output> for Ran {
    fn from(output: Output) -> Self {
        Self {
            code: output.status.code(),
            stdout: String::from_utf8_lossy(&output.stdout).into_owned(),
            stderr: String::from_utf8_lossy(&output.stderr).into_owned(),
        }
    }
}

impl Ran {
    #[track_caller]
    pub(crate) fn succeeds(self) -> Self {
        self.ends_with(0)
    }

    #[track_caller]
    pub(crate) fn ends_with(self, code: i32) -> Self {
        assert_eq!(self.code, Some(code), "{}\n{}", self.stdout, self.stderr);
        assert!(!self.stderr.contains("panicked"), "{}", self.stderr);
        self
    }

    #[track_caller]
    pub(crate) fn says(self, text: &str) -> Self {
        assert!(
            self.stderr.contains(text) || self.stdout.contains(text),
            "{text:?} is not in\n{}\n{}",
            self.stdout,
            self.stderr
        );
        self
    }

    pub(crate) fn json(&self) -> serde_json::Value {
        serde_json::from_str(&self.stdout).expect("--json prints JSON")
    }
}
