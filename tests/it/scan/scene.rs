//! The scene of these tests: a bundle of images, and a scanner with a database that says what is in them.
//! Gives `Scans`, which runs the scan.

use std::os::unix::fs::PermissionsExt;

use crate::scene::{Ran, Scene};

/// A scene with images, images.tar, and a scanner.
pub(super) struct Scans {
    pub(super) scene: Scene,
}

impl Scans {
    pub(super) fn new() -> Self {
        let scene = Scene::with_images();
        scene.create("images.tar");
        std::fs::create_dir(scene.path("db")).unwrap();
        std::fs::write(scene.path("scanner"), include_str!("scanner.sh")).unwrap();
        let executable = std::fs::Permissions::from_mode(0o755);
        std::fs::set_permissions(scene.path("scanner"), executable).unwrap();
        let scans = Self { scene };
        scans.database("version", "scanner 1, database of 2026-11-28\n");
        scans
    }

    /// Writes a file of the scanner's database.
    pub(super) fn database(&self, name: &str, text: &str) {
        std::fs::write(self.scene.path("db").join(name), text).unwrap();
    }

    /// Says which vulnerabilities the images of a repository have: identifier and severity.
    pub(super) fn vulnerable(&self, repository: &str, all: &[(&str, &str)]) {
        let all: Vec<serde_json::Value> = all
            .iter()
            .map(|(id, severity)| {
                serde_json::json!({"VulnerabilityID": id, "PkgName": "ssl", "InstalledVersion": "3.0",
                    "FixedVersion": "3.1", "Severity": severity, "Title": "a title"})
            })
            .collect();
        let report =
            serde_json::json!({"SchemaVersion": 2, "Results": [{"Target": "a", "Vulnerabilities": all}]});
        self.database(&format!("{repository}.json"), &report.to_string());
    }

    /// Scans the bundle, with more arguments.
    pub(super) fn scan(&self, more: &[&str]) -> Ran {
        let base = ["scan", "images.tar", "--trust", "key.pub", "--scanner", "./scanner", "--db", "db"];
        let mut command = self.scene.command([&base[..], more].concat());
        command.env("XDG_CACHE_HOME", self.scene.path("cache")).env("BUNDLE_PASSWORD", "a secret");
        Ran::from(command.output().unwrap())
    }

    /// The calls of the scanner since the last look, by repository.
    pub(super) fn calls(&self) -> Vec<String> {
        let path = self.scene.path("db").join("calls");
        let text = std::fs::read_to_string(&path).unwrap_or_default();
        let _ = std::fs::remove_file(path);
        let mut calls: Vec<String> =
            text.lines().map(|line| line.split(' ').next().unwrap().to_owned()).collect();
        calls.sort();
        calls
    }
}
