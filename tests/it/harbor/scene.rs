//! A scene whose other side is a Harbor, fresh from its installation.
//! Gives the commands that make a bundle of its images, and the administrator's credentials.

use std::path::PathBuf;

use bundle_test_servers::{Credentials, Findings, Harbor, ImageSpec, LayerSpec, Platform};

use crate::scene::{Ran, Scene, image};

/// A source registry with images, a bundle of them, and a Harbor.
pub(crate) struct HarborScene {
    pub(crate) scene: Scene,
    pub(crate) harbor: Harbor,
}

/// The configuration of [`HarborScene::start`]: `cache`, `platform` and a tenant's, with shared layers.
const CONFIG: &str = "\
name: nightly
projects:
  cache:
    images: [SOURCE/team/multi:1, SOURCE/team/signed:1, SOURCE/charts/app:1.0.0]
  platform:
    images: ['SOURCE/team/docker:1 => llm-gateway:v1.0.0']
  tenants:
    tenant-a:
      images: ['SOURCE/team/app:1 => web-app:v2.1.0']
";

impl HarborScene {
    /// A Harbor, and the bundle `b.tar` for the projects `cache`, `platform` and `tenant-a`.
    pub(crate) fn start() -> Self {
        let scene = Scene::with_images();
        let base = LayerSpec::new(1, 300_000).build();
        let app = image(&base, 9, Platform::linux_amd64());
        scene.source.client().push("team/app", "1", &app).unwrap();
        let this = Self { scene, harbor: Harbor::start().unwrap() };
        this.create(CONFIG, "b.tar");
        this
    }

    /// A Harbor and no bundle yet.
    pub(crate) fn empty() -> Self {
        Self { scene: Scene::empty(), harbor: Harbor::start().unwrap() }
    }

    /// Makes a bundle of what a bundle.yaml asks for, in which `SOURCE` is the source registry.
    pub(crate) fn create(&self, config: &str, output: &str) {
        let config = config.replace("SOURCE", self.scene.source.host());
        std::fs::write(self.scene.path("bundle.yaml"), config).unwrap();
        let arguments = ["create", "--key", "key", "--created", crate::scene::CREATED, "-o", output];
        self.scene.bundle(arguments).succeeds();
    }

    /// The repository of an image of the source in `cache`.
    pub(crate) fn cached(&self, path: &str) -> String {
        format!("cache/{}/{path}", self.scene.source.host().replace(':', "_"))
    }

    /// Runs the program with the administrator's account.
    pub(crate) fn bundle(&self, arguments: &[&str]) -> Ran {
        self.bundle_as(&self.harbor.admin_credentials(), arguments)
    }

    /// Runs the program with an account.
    pub(crate) fn bundle_as(&self, account: &Credentials, arguments: &[&str]) -> Ran {
        let mut command = self.scene.command(arguments);
        command.env("BUNDLE_USERNAME", &account.name).env("BUNDLE_PASSWORD", &account.secret);
        Ran::from(command.output().unwrap())
    }

    /// Imports `b.tar` with the administrator's account.
    pub(crate) fn import(&self, more: &[&str]) -> Ran {
        self.import_as(&self.harbor.admin_credentials(), more)
    }

    /// Imports `b.tar` with an account.
    pub(crate) fn import_as(&self, account: &Credentials, more: &[&str]) -> Ran {
        let to = format!("http://{}", self.harbor.host());
        let mut arguments = vec!["import", "b.tar", "--to", &to, "--trust", "key.pub"];
        arguments.extend_from_slice(more);
        self.bundle_as(account, &arguments)
    }

    /// Writes a file into the scene's directory.
    pub(crate) fn write(&self, name: &str, text: &str) -> PathBuf {
        let path = self.scene.path(name);
        std::fs::write(&path, text).unwrap();
        path
    }

    /// How many requests of a method the Harbor answered whose path contains `part`.
    pub(crate) fn asked(&self, method: &str, part: &str) -> usize {
        let requests = self.harbor.requests();
        requests.iter().filter(|it| it.method == method && it.path_and_query.contains(part)).count()
    }

    /// Whether an account can fetch a manifest; the status.
    pub(crate) fn pull(&self, account: &Credentials, repository: &str, reference: &str) -> u16 {
        let path = format!("/v2/{repository}/manifests/{reference}");
        let accept = bundle_test_servers::MANIFEST_TYPES.join(", ");
        let client = self.harbor.client(account);
        client.request("GET", &path, &[("Accept", &accept)], b"").unwrap().status
    }

    /// An image of one layer of its own, at the source.
    pub(crate) fn push_image(&self, repository: &str, tag: &str, seed: u64) -> String {
        let image = ImageSpec::oci().layer(LayerSpec::new(seed, 20_000)).build();
        self.scene.source.client().push(repository, tag, &image).unwrap();
        image.digest
    }

    /// Says what scans of all images will find.
    pub(crate) fn finds(&self, findings: Findings) {
        self.harbor.set_default_findings(findings);
    }
}
