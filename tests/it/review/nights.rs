//! The scene of these tests: two bundles of one stream, in which images came, went, moved to other tags and lost a
//! platform, and which people with bad intent named.

use bundle_test_servers::{ImageSpec, Index, LayerSpec, Manifest, Platform};

use crate::scene::{Ran, Scene, image};

/// The name of a file that asks for images: it stands in the reasons of the statement.
pub(super) const HOSTILE: &str = "=<img src=x onerror=alert(1)>|`.yaml";

/// monday.tar and tuesday.tar, whose trusted key is key.pub.
pub(super) struct Nights {
    pub(super) scene: Scene,
}

impl Nights {
    pub(super) fn new() -> Self {
        let scene = Scene::empty();
        let client = scene.source.client();
        let base = LayerSpec::new(1, 300_000).build();
        let (amd64, arm64) =
            (image(&base, 2, Platform::linux_amd64()), image(&base, 3, Platform::linux_arm64()));
        let both = Index::oci().manifest(amd64).manifest(arm64).build();
        client.push("team/web", "1.27.0", &both).unwrap();
        let one = Index::oci().manifest(image(&base, 4, Platform::linux_amd64())).build();
        client.push("team/web", "1.27.1", &one).unwrap();
        let signed = image(&base, 5, Platform::linux_amd64());
        client.push("team/signed", "1", &signed).unwrap();
        client.push("team/signed", &signed.cosign_tag(), &signed.cosign_signature("team/signed")).unwrap();
        let sbom = signed.referrer("application/spdx+json", b"{}");
        client.push_referrers("team/signed", &signed, &[sbom]).unwrap();
        client.push("team/cache", "7.2", &image(&base, 6, Platform::linux_amd64())).unwrap();
        let long = format!("team/{}", "a-name-that-goes-on-".repeat(5) + "and-ends");
        client.push(&long, "2026.11.24-build.1234", &image(&base, 7, Platform::linux_amd64())).unwrap();
        client.push("team/big", "3", &ImageSpec::oci().layer(LayerSpec::new(8, 900_000)).build()).unwrap();
        client.push("charts/app", "1.0.0", &Manifest::helm_chart("app", "1.0.0")).unwrap();
        let host = scene.source.host().to_owned();
        let nights = Self { scene };
        nights.write(
            "bundle.yaml",
            &[format!("{host}/team/web:1.27.0"), format!("{host}/team/cache:7.2")],
            &[format!("{host}/team/signed:1")],
        );
        nights.create("bundle.yaml", "2026-11-23T09:00:00Z", "monday.tar");
        nights.write(
            HOSTILE,
            &[format!("{host}/team/web:1.27.1"), format!("{host}/{long}:2026.11.24-build.1234")],
            &[
                format!("{host}/team/signed:1"),
                format!("{host}/team/big:3"),
                format!("{host}/charts/app:1.0.0"),
            ],
        );
        nights.create(HOSTILE, "2026-11-24T09:00:00Z", "tuesday.tar");
        nights
    }

    /// A file with images of two projects.
    fn write(&self, name: &str, cache: &[String], platform: &[String]) {
        let list = |all: &[String]| all.iter().map(|image| format!("\n      - {image}")).collect::<String>();
        let text = format!(
            "version: 1\nname: nightly\nprojects:\n  cache:\n    images:{}\n  platform:\n    images:{}\n",
            list(cache),
            list(platform)
        );
        std::fs::write(self.scene.path(name), text).unwrap();
    }

    fn create(&self, file: &str, created: &str, output: &str) {
        self.scene
            .bundle(["create", "-f", file, "--key", "key", "--created", created, "-o", output])
            .succeeds();
    }

    /// `report tuesday.tar --since monday.tar --trust key.pub` with more arguments.
    pub(super) fn report(&self, more: &[&str]) -> Ran {
        let base = ["report", "tuesday.tar", "--since", "monday.tar", "--trust", "key.pub"];
        self.scene.bundle([&base[..], more].concat())
    }

    /// The report in the form of this file's ending.
    pub(super) fn written(&self, name: &str) -> String {
        self.report(&["-o", name]).succeeds();
        std::fs::read_to_string(self.scene.path(name)).unwrap()
    }
}
