//! Trivy itself behind `bundle scan`, where it is at hand, with a small database of made-up vulnerabilities.
//! Takes a bundle of images with Debian's packages; looks at verdicts, SBOMs, and databases that came in a bundle.

use std::path::PathBuf;
use std::process::Command;

use bundle_test_servers::{Blob, ImageSpec, Manifest, sha256};
use serde_json::{Value, json};

use crate::scene::{Ran, Scene};
use crate::serve::served::Served;

/// A database of Trivy's version 2, compressed with gzip: in Debian 12, CVE-2099-0001 is critical in openssl and
/// CVE-2099-0002 is medium in bash; both are mended in 99.0.
const DATABASE: &str = "\
H4sIAAAAAAACA+3bTUsbQRjA8XUTLaWWeit4WobSUnCTNVAwuZVEMRAL1eh9kgx16eaFfRFF8gX6UXrrR+jXKL169DO0s8y4tqvB9mbt/wfD5N\
mdZ18me3mGXccxqra//LZ66eY/1ky87PxuxfaPbO/a3v/xqb61+nXLAQAAAAAA987SHfV/pTTeLY2/yn+2e/Z+/U3vJTMKAAAAAMD9c1XPrzEV\
AAAAAAA8WJXSOgAAAAAAAHh4qkX9b1YA8vf5Pbtd2jhzzPf+fd0GMjledCy3+BrAvE/wVLcXurWPtv1G0Gz6QRA0zsVOeKpGRypOwulEtESzWQ\
vEhjhQJyoO0zPRasynMzVJkuhvzvO8dJ7N288z5x8HAAAAAPyPlouaulLU/4FuT3T7YuPvuj22tXYeX9ia+7NuI5lKP5lm8VD9abmeH+o0T1WD\
UE68zca56HZ0gW5isSHeybHSccfsP1DDLF8Y8PqxHH5UsR5wuN/T+4/TdJa06vVERomsmezaNP5QT2yGn5oMP1VyfGOrmBcXUC1d8UkWTVQsB2\
Gkxy++ret3Jjw7I69tvGPjVzdXJa7XOUR7v9vvtt/29B31wzTK73ksR8rLZmJeWjP5JWtvu9M93Lsth6cZAAAAALDISlGYu7aqNSpMDQAAAAAA\
AAAAAAAA/4yffT+LdQCAAAA=";

const METADATA: &str = r#"{"Version":2,"NextUpdate":"2099-01-01T00:00:00Z","UpdatedAt":"2026-11-28T06:00:00Z","DownloadedAt":"2026-11-28T07:00:00Z"}"#;

/// Trivy, which is not demanded: it takes ten minutes to build.
fn trivy() -> Option<PathBuf> {
    bundle_test_needs::extra("trivy")
}

/// A Debian with these packages.
fn debian(packages: &[(&str, &str, &str)]) -> Vec<(String, String)> {
    let status: String = packages
        .iter()
        .map(|(name, version, _)| {
            format!(
                "Package: {name}\nStatus: install ok installed\nVersion: {version}\nArchitecture: amd64\n\n"
            )
        })
        .collect();
    let mut files = vec![
        ("etc/os-release".to_owned(), "ID=debian\nVERSION_ID=\"12\"\nNAME=\"Debian GNU/Linux\"\n".to_owned()),
        ("etc/debian_version".to_owned(), "12.5\n".to_owned()),
        ("var/lib/dpkg/status".to_owned(), status),
    ];
    files.extend(packages.iter().map(|(name, _, licence)| {
        let text = format!(
            "Format: https://www.debian.org/doc/packaging-manuals/copyright-format/1.0/\n\nFiles: *\nLicense: {licence}\n"
        );
        (format!("usr/share/doc/{name}/copyright"), text)
    }));
    files
}

/// A scene with the bundle images.tar, and Trivy's database in db.
fn scene() -> Scene {
    let scene = Scene::empty();
    archive(&scene, "web", &debian(&[("openssl", "3.0.11-1", "Apache-2.0"), ("bash", "5.2-1", "GPL-3+")]));
    archive(&scene, "tool", &debian(&[("bash", "5.2-1", "GPL-3+")]));
    archive(&scene, "clean", &debian(&[("coreutils", "9.1-1", "GPL-3+")]));
    archive(&scene, "empty", &[("hello".to_owned(), "hello".to_owned())]);
    let images = ["web", "tool", "clean", "empty"].map(|name| format!("docker-archive:{name}.tar"));
    scene.bundle(Scene::create_arguments(&images, "images.tar")).succeeds();
    std::fs::create_dir_all(scene.path("db/db")).unwrap();
    std::fs::write(scene.path("database"), DATABASE).unwrap();
    std::fs::write(scene.path("db/db/metadata.json"), METADATA).unwrap();
    scene.shell("base64 -d database | gunzip > db/db/trivy.db").succeeds();
    scene
}

/// What `docker save` writes of an image of one layer.
fn archive(scene: &Scene, name: &str, files: &[(String, String)]) {
    for (path, text) in files {
        let path = scene.path(name).join("root").join(path);
        std::fs::create_dir_all(path.parent().unwrap()).unwrap();
        std::fs::write(path, text).unwrap();
    }
    scene
        .shell(&format!(
            "tar --sort=name --mtime=@0 --owner=0 --group=0 -C {name}/root -cf {name}/layer.tar ."
        ))
        .succeeds();
    let layer = sha256(&std::fs::read(scene.path(name).join("layer.tar")).unwrap());
    let config = json!({"architecture": "amd64", "os": "linux", "config": {}, "rootfs": {"type": "layers", "diff_ids": [layer]}});
    std::fs::write(scene.path(name).join("config.json"), config.to_string()).unwrap();
    let manifest = json!([{"Config": "config.json", "RepoTags": [format!("docker.io/acme/{name}:1")], "Layers": ["layer.tar"]}]);
    std::fs::write(scene.path(name).join("manifest.json"), manifest.to_string()).unwrap();
    scene.shell(&format!("tar -C {name} -cf {name}.tar manifest.json config.json layer.tar")).succeeds();
}

fn scan(scene: &Scene, trivy: &std::path::Path, more: &[&str]) -> Ran {
    let base = ["scan", "images.tar", "--trust", "key.pub", "--db", "db"];
    let mut command: Command = scene.command([&base[..], more].concat());
    let path = std::env::var("PATH").unwrap_or_default();
    command.env("PATH", format!("{}:{path}", trivy.parent().unwrap().display()));
    command.env("XDG_CACHE_HOME", scene.path("cache"));
    Ran::from(command.output().unwrap())
}

#[test]
fn trivy_reads_the_images_from_the_file_with_a_login_and_its_own_database() {
    let Some(trivy) = trivy() else { return };
    let scene = scene();
    let json = scan(&scene, &trivy, &["--json"]).ends_with(5).json();
    assert_eq!((&json["scanner"], &json["database"]), (&json!("trivy"), &json!("2026-11-28T06:00:00Z")));
    let image = |name: &str| {
        let all = json["images"].as_array().unwrap();
        all.iter().find(|image| image["image"].as_str().unwrap().contains(name)).unwrap()
    };
    let counts = |name: &str, severity: &str| image(name)["counts"][severity].as_u64().unwrap();
    assert_eq!(
        (&image("/web")["verdict"], counts("/web", "critical"), counts("/web", "medium")),
        (&json!("blocked"), 1, 1)
    );
    assert_eq!((&image("/tool")["verdict"], counts("/tool", "medium")), (&json!("warned"), 1));
    assert_eq!(
        (&image("/clean")["verdict"], &image("/clean")["unrecognised"]),
        (&json!("allowed"), &json!(false))
    );
    assert_eq!(image("/empty")["unrecognised"], true);
    let finding = &image("/web")["findings"][0];
    assert_eq!(
        (&finding["id"], &finding["package"], &finding["fixed"]),
        (&json!("CVE-2099-0001"), &json!("openssl"), &json!("99.0"))
    );
    // A database that is not there is a mistake, and no scan without findings.
    std::fs::remove_dir_all(scene.path("db/db")).unwrap();
    scan(&scene, &trivy, &[]).ends_with(2).says("has no vulnerability database");
}

#[test]
fn trivys_sboms_are_attached_and_their_licences_are_in_the_report() {
    let Some(trivy) = trivy() else { return };
    let scene = scene();
    scan(&scene, &trivy, &["--sbom", "sboms"]).ends_with(5).says("4 made now");
    scan(&scene, &trivy, &["--sbom", "sboms", "--sbom-form", "cyclonedx"]).ends_with(5).says("4 made now");
    let images = ["web", "tool", "clean", "empty"].map(|name| format!("docker-archive:{name}.tar"));
    let arguments = [Scene::create_arguments(&images, "second.tar"), vec!["--sboms".into(), "sboms".into()]];
    scene.bundle(arguments.concat()).succeeds();
    let report = scene.bundle(["report", "second.tar", "--trust", "key.pub", "--json"]).succeeds().json();
    let rows = report["rows"].as_array().unwrap();
    let web = rows.iter().find(|row| row["repository"].as_str().unwrap().contains("/web")).unwrap();
    assert_eq!(web["sboms"], 2);
    let licences: Vec<&str> = web["licences"]["licences"]
        .as_array()
        .unwrap()
        .iter()
        .map(|it| it["name"].as_str().unwrap())
        .collect();
    assert!(licences.contains(&"Apache-2.0"), "{licences:?}");
    assert_eq!(web["licences"]["unread"], json!([]) as Value);
}

#[test]
fn trivy_finds_the_databases_of_a_bundle_by_the_values_that_are_printed_for_harbor() {
    let Some(trivy) = trivy() else { return };
    let scene = scene();
    scene.shell("tar -C db/db -czf db.tar.gz trivy.db metadata.json").succeeds();
    let (config, layer) = (b"{}".to_vec(), std::fs::read(scene.path("db.tar.gz")).unwrap());
    let document = json!({"schemaVersion": 2, "mediaType": "application/vnd.oci.image.manifest.v1+json",
        "config": {"mediaType": "application/vnd.aquasec.trivy.config.v1+json", "digest": sha256(&config), "size": 2},
        "layers": [{"mediaType": "application/vnd.aquasec.trivy.db.layer.v1.tar+gzip", "digest": sha256(&layer), "size": layer.len(),
            "annotations": {"org.opencontainers.image.title": "db.tar.gz"}}]});
    let bytes = serde_json::to_vec(&document).unwrap();
    let blobs = vec![Blob::new("config", config.as_slice()), Blob::new("database", layer.as_slice())];
    let database = Manifest { digest: sha256(&bytes), bytes, blobs, ..ImageSpec::oci().build() };
    scene.source.client().push("aquasecurity/trivy-db", "2", &database).unwrap();
    let text = format!(
        "name: dbs\nprojects: {{tenants: {{trivy: {{images: [{}/aquasecurity/trivy-db:2]}}}}}}\n",
        scene.source.host()
    );
    std::fs::write(scene.path("bundle.yaml"), text).unwrap();
    scene.bundle(["create", "--key", "key", "-o", "dbs.tar"]).succeeds();
    let served = Served::with(&scene, &["dbs.tar", "images.tar", "--trust", "key.pub"]);
    let to = format!("http://{}", served.host());
    let values =
        scene.bundle(["harbor", "trivy-values", "dbs.tar", "--trust", "key.pub", "--to", &to]).succeeds();
    let repository =
        values.stdout.lines().find_map(|line| line.trim().strip_prefix("- \"")?.strip_suffix('"'));
    // As Harbor's adapter sets them (goharbor/harbor-scanner-trivy, pkg/trivy/wrapper.go).
    let found = Command::new(trivy)
        .args(["image", "--format", "json", "--quiet", "--scanners", "vuln", "--insecure"])
        .arg(format!("{}/cache/docker.io/acme/web:1", served.host()))
        .env("TRIVY_DB_REPOSITORY", repository.unwrap())
        .env("TRIVY_CACHE_DIR", scene.path("new"))
        .envs(
            ["TRIVY_OFFLINE_SCAN", "TRIVY_SKIP_JAVA_DB_UPDATE", "TRIVY_SKIP_VERSION_CHECK"]
                .map(|name| (name, "true")),
        )
        .env("HOME", scene.path(""))
        .output()
        .unwrap();
    let said = String::from_utf8_lossy(&found.stdout);
    assert!(
        found.status.success() && said.contains("CVE-2099-0001"),
        "{said} {}",
        String::from_utf8_lossy(&found.stderr)
    );
}
