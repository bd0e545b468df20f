//! A machine on which the units and pods of `manifests/` run: takes their commands and environment, and runs the
//! program with the paths and hosts of a scratch root and a test registry in place of theirs.

use std::collections::BTreeSet;
use std::path::Path;

use bundle_test_servers::{Check, DockerRegistry, ImageSpec, LayerSpec};
use k8s_openapi::api::core::v1::PodSpec;

use crate::documents::manifests::{manifests, read};
use crate::scene::{Ran, Scene};

/// A machine's root, with what the pods and units mount.
pub(super) struct Machine {
    pub(super) scene: Scene,
    pub(super) target: DockerRegistry,
}

impl Machine {
    pub(super) fn new() -> Self {
        let scene = Scene::empty();
        let image = ImageSpec::oci().layer(LayerSpec::new(1, 200_000).uncompressed()).build();
        scene.source.client().push("team/a", "1", &image).unwrap();
        scene.bundle(["key", "generate", "key-site"]).succeeds();
        scene
            .shell(
                "mkdir -p etc/bundle run/bundle/key run/bundle/pull run/bundle/robot run/bundle/ca var/lib/bundle var/lib/prometheus && \
                 cp key run/bundle/key/ops.key && cp key-site run/bundle/key/site.key && \
                 cp key etc/bundle/ops.key && cp key-site etc/bundle/site.key && \
                 cp key-site.pub etc/bundle/site.pub && cp key.pub etc/bundle/ops.key.pub && \
                 cp key-site.pub run/bundle/ca/unused && echo '{}' > run/bundle/pull/.dockerconfigjson",
            )
            .succeeds();
        let target = DockerRegistry::start().unwrap();
        let robot = r#"{"id":7,"name":"robot$importer","secret":"s3cret","expires_at":-1}"#;
        std::fs::write(scene.path("run/bundle/robot/robot.json"), robot).unwrap();
        // As `bundle harbor bootstrap` writes an account, which is Docker's config.json.
        let login = serde_json::json!({"auths": {target.host(): {"username": "robot$importer", "password": "s3cret"}}});
        std::fs::write(scene.path("etc/bundle/importer.json"), login.to_string()).unwrap();
        scene.shell("chmod 600 run/bundle/robot/robot.json etc/bundle/importer.json").succeeds();
        Self { scene, target }
    }

    /// Leaves in /etc/bundle what docs/operations.md says that a side has there, and nothing else.
    pub(super) fn keep_what_is_documented(&self, side: usize) {
        let page = read(&Path::new(env!("CARGO_MANIFEST_DIR")).join("docs/operations.md"));
        let row = page.lines().find(|line| line.starts_with("| `/etc/bundle` |")).unwrap();
        let cell = row.split('|').nth(2 + side).unwrap();
        let names: BTreeSet<&str> = cell.split('`').skip(1).step_by(2).collect();
        assert!(names.len() > 4 && names.contains("sync.yaml"), "{names:?}");
        let (here, all) = (self.scene.path("etc/bundle"), self.scene.path("etc/all"));
        if !all.exists() {
            std::fs::rename(&here, &all).unwrap();
        }
        let _ = std::fs::remove_dir_all(&here);
        std::fs::create_dir(&here).unwrap();
        for name in names {
            std::fs::copy(all.join(name), here.join(name)).unwrap_or_else(|error| panic!("{name}: {error}"));
        }
    }

    /// Runs a unit's very command.
    pub(super) fn run_unit(&self, side: &str) -> Ran {
        let text = read(&manifests().join(format!("systemd/bundle-{side}.service")));
        let values = |key: &str| -> Vec<String> {
            text.lines()
                .filter_map(|line| line.strip_prefix(key)?.strip_prefix('='))
                .map(str::to_owned)
                .collect()
        };
        assert_eq!(values("SuccessExitStatus"), [""; 0], "a unit and a Job call the same a failure");
        let start = values("ExecStart").pop().unwrap();
        let mut words: Vec<String> = start.split(' ').map(str::to_owned).collect();
        assert_eq!(words.remove(0), "/usr/local/bin/bundle");
        // The file that would set it need not be there, and is not (systemd.exec(5), EnvironmentFile=).
        assert_eq!(values("EnvironmentFile"), [format!("-/etc/bundle/{side}.env")]);
        assert_eq!(words.pop().as_deref(), Some("$OPTIONS"));
        let environment = values("Environment");
        let environment = environment
            .iter()
            .flat_map(|line| line.split(' '))
            .filter_map(|pair| pair.split_once('=').map(|(name, value)| (name.to_owned(), value.to_owned())));
        // The units' XDG_CONFIG_HOME is the machine's own /etc, which a test leaves alone.
        let environment: Vec<_> = environment.filter(|(name, _)| name != "XDG_CONFIG_HOME").collect();
        self.run(&words, &environment)
    }

    /// The same text with this machine's directories and registries.
    pub(super) fn here(&self, text: &str) -> String {
        let mut text = text.to_owned();
        for directory in ["/etc/bundle", "/run/bundle", "/var/lib"] {
            let here = self.scene.path(directory.trim_start_matches('/'));
            text = text.replace(directory, here.to_str().unwrap());
        }
        let here = format!("http://{}", self.target.host());
        text.replace("https://harbor.example", &here).replace("https://harbor.plant7.example", &here)
    }

    /// Puts a file where the manifests mount it.
    pub(super) fn mount(&self, from: &str, as_name: &str) {
        let text = self.here(&read(&manifests().join(from)));
        std::fs::write(self.scene.path("etc/bundle").join(as_name), text).unwrap();
    }

    pub(super) fn want_an_image(&self) {
        let host = self.scene.source.host();
        let text = format!("name: nightly\nprojects:\n  cache:\n    images: [\"{host}/team/a:1\"]\n");
        std::fs::write(self.scene.path("etc/bundle/bundle.yaml"), text).unwrap();
    }

    /// Runs a command with its environment.
    pub(super) fn run(&self, arguments: &[String], environment: &[(String, String)]) -> Ran {
        let arguments: Vec<String> = arguments.iter().map(|argument| self.here(argument)).collect();
        let mut command = self.scene.command(arguments);
        for (name, value) in environment {
            command.env(name, self.here(value));
        }
        Ran::from(command.output().unwrap())
    }

    /// Runs a container's very command, with more of its environment.
    pub(super) fn run_container(&self, pod: &PodSpec, more: &[(&str, &str)]) -> Ran {
        let container = &pod.containers[0];
        let mut environment: Vec<(String, String)> = Vec::new();
        for variable in container.env.iter().flatten() {
            let given =
                more.iter().find(|(name, _)| *name == variable.name).map(|(_, value)| (*value).to_owned());
            let value = given.or_else(|| variable.value.clone()).expect("every variable has a value");
            environment.push((variable.name.clone(), value));
        }
        // Kubernetes expands $(NAME) in arguments.
        let expand = |argument: &String| {
            environment
                .iter()
                .fold(argument.clone(), |text, (name, value)| text.replace(&format!("$({name})"), value))
        };
        let arguments: Vec<String> = container.args.iter().flatten().map(expand).collect();
        self.run(&arguments, &environment)
    }

    pub(super) fn carry(&self) {
        self.scene
            .shell("mkdir -p var/lib/bundle/inbox && cp var/lib/bundle/outbox/*.tar var/lib/bundle/inbox")
            .succeeds();
    }

    pub(super) fn complete(&self) {
        assert_eq!(self.target.client().contents().unwrap().len(), 2, "one image and the record");
        assert_eq!(self.target.client().check_complete(Check::Hash).unwrap(), []);
    }
}
