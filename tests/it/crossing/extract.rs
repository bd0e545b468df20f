//! Images and charts are taken out of a bundle without a registry.
//! Into OCI layouts and archives that containerd and `docker load` take.

use std::path::Path;

use bundle_test_servers::{LayerSpec, Manifest, Platform, sha256};

use crate::hostile::rewritten;
use crate::scene::{Scene, attested_index, image};
use crate::serve::containerd::Containerd;

fn extract(scene: &Scene, arguments: &[&str]) -> crate::scene::Ran {
    scene.bundle(["extract", "b.tar", "--trust", "key.pub"].iter().chain(arguments))
}

fn digest_of(scene: &Scene, repository: &str, tag: &str) -> String {
    scene.source.client().manifest(repository, tag).unwrap().unwrap().digest
}

/// Each file of a layout's blobs has the name of its content.
fn assert_whole(layout: &Path) -> usize {
    let blobs: Vec<_> =
        layout.join("blobs/sha256").read_dir().unwrap().map(|entry| entry.unwrap().path()).collect();
    for blob in &blobs {
        let name = blob.file_name().unwrap().to_str().unwrap();
        assert_eq!(sha256(&std::fs::read(blob).unwrap()), format!("sha256:{name}"));
    }
    blobs.len()
}

#[test]
fn an_oci_layout_has_what_was_chosen_with_what_is_attached_to_it() {
    let scene = Scene::with_images();
    scene.create("b.tar");
    let host = scene.source.host();
    extract(&scene, &["--to", "all"]).succeeds().says("artifacts extracted");
    let everything = assert_whole(&scene.path("all"));
    let names = |layout: &str| {
        let index = std::fs::read(scene.path(layout).join("index.json")).unwrap();
        let index: serde_json::Value = serde_json::from_slice(&index).unwrap();
        let names = index["manifests"].as_array().unwrap().iter();
        let name = "org.opencontainers.image.ref.name";
        names.map(|entry| entry["annotations"][name].as_str().unwrap().to_owned()).collect::<Vec<_>>()
    };
    assert!(names("all").contains(&format!("{host}/charts/app:1.0.0")));
    let signed = format!("{host}/team/signed:1");
    extract(&scene, &["--to", "one", "--image", &signed]).succeeds();
    assert!(assert_whole(&scene.path("one")) < everything);
    // The image, cosign's signature, and the other referrer.
    assert_eq!(names("one").len(), 3, "{:?}", names("one"));
    assert_eq!(names("one")[0], signed);
    scene.shell(&format!("skopeo --insecure-policy copy -q --all oci:one:{signed} dir:copy")).succeeds();
    assert_eq!(
        sha256(&std::fs::read(scene.path("copy/manifest.json")).unwrap()),
        digest_of(&scene, "team/signed", "1")
    );
    // By the name of the target, and named as at a registry too.
    let target = format!("cache/{}/team/docker:1", host.replace(':', "_"));
    extract(&scene, &["--to", "two", "--image", &target, "--registry", "harbor.example"]).succeeds();
    assert_eq!(names("two"), [format!("{host}/team/docker:1"), format!("harbor.example/{target}")]);
    assert!(!scene.files().iter().any(|name| name.contains("partial")), "{:?}", scene.files());
}

#[test]
fn an_archive_for_k3s_is_imported_by_containerd_under_the_right_names() {
    let scene = Scene::empty();
    let base = LayerSpec::new(1, 10_000).build();
    let index = attested_index(&base);
    let client = scene.source.client();
    client.push("team/multi", "1", &index).unwrap();
    client.push("team/other", "1", &image(&base, 9, Platform::linux_amd64())).unwrap();
    client.push("charts/app", "1.0.0", &Manifest::helm_chart("app", "1.0.0")).unwrap();
    let host = scene.source.host();
    let name = |name: &str| format!("{host}/{name}");
    let create = ["create", &name("team/multi:1"), &name("team/other:1"), &name("charts/app:1.0.0")];
    let chosen = ["--platform", "linux/amd64", "--platform", "linux/arm64", "--sequence", "7"];
    let output = ["--stream", "first-day", "--key", "key", "-o", "b.tar"];
    scene.bundle(create.iter().chain(&chosen).chain(&output)).succeeds();
    let inspected = scene.bundle(["inspect", "b.tar", "--trust", "key.pub", "--json"]).succeeds().json();
    let digest = |name: &str| {
        let artifacts = inspected["artifacts"].as_array().unwrap();
        let artifact = artifacts.iter().find(|artifact| artifact["source"] == *name).unwrap();
        artifact["digest"].as_str().unwrap().to_owned()
    };
    extract(&scene, &["--to", "images", "--format", "k3s", "--registry", "harbor.example"])
        .succeeds()
        .says("images/first-day-7.tar");
    let containerd = Containerd::start();
    containerd.import(&scene.path("images/first-day-7.tar"));
    let mirrored = format!("harbor.example/cache/{}/team", host.replace(':', "_"));
    // containerd does not import the chart.
    let mut expected = vec![
        (name("team/multi:1"), digest(&name("team/multi:1"))),
        (name("team/other:1"), digest(&name("team/other:1"))),
        (format!("{mirrored}/multi:1"), digest(&name("team/multi:1"))),
        (format!("{mirrored}/other:1"), digest(&name("team/other:1"))),
    ];
    // None by its digest: those names K3s makes itself, of the content, and another is an error to it.
    expected.sort();
    assert_eq!(containerd.images(), expected);
    assert!(containerd.check(&name("team/multi:1")).contains(" complete ("));
    // Only what was asked for, from another directory.
    extract(&scene, &["--to", "few", "--format", "k3s", "--image", &name("team/other:1")]).succeeds();
    let containerd = Containerd::start();
    containerd.import(&scene.path("few/first-day-7.tar"));
    assert_eq!(containerd.images(), [(name("team/other:1"), digest(&name("team/other:1")))]);
}

#[test]
fn a_chart_is_the_file_that_helm_would_have_pulled() {
    let scene = Scene::with_images();
    scene.create("b.tar");
    extract(&scene, &["--to", ".", "--chart", "app"]).succeeds().says("app-1.0.0.tgz");
    let chart = scene.source.client().manifest("charts/app", "1.0.0").unwrap().unwrap();
    let chart: serde_json::Value = serde_json::from_slice(&chart.bytes).unwrap();
    assert_eq!(
        chart["layers"][0]["digest"],
        sha256(&std::fs::read(scene.path("app-1.0.0.tgz")).unwrap()).as_str()
    );
    extract(&scene, &["--to", "charts", "--chart", "app:1.0.0"]).succeeds();
    extract(&scene, &["--to", "charts", "--chart", "app:2.0.0"])
        .ends_with(2)
        .says("bundle has no chart 'app:2.0.0'; it has cache/");
    extract(&scene, &["--to", "charts", "--chart", "app", "--image", "x"]).ends_with(2);
}

#[test]
fn nothing_is_overwritten_and_nothing_half_has_a_name() {
    let scene = Scene::with_images();
    let bytes = std::fs::read(scene.create("b.tar")).unwrap();
    scene
        .shell(
            "mkdir full empty elsewhere && touch full/x && ln -s elsewhere link && ln -s nowhere dangling && \
             mkdir images && ln -s ../elsewhere/y images/app-1.0.0.tgz",
        )
        .succeeds();
    extract(&scene, &["--to", "empty"]).succeeds();
    for taken in ["full", "link", "dangling", "key", "empty"] {
        extract(&scene, &["--to", taken]).ends_with(2).says(&format!("{taken} exists already"));
    }
    extract(&scene, &["--to", "images", "--chart", "app"]).ends_with(2).says("exists already");
    assert_eq!(scene.path("elsewhere").read_dir().unwrap().count(), 0, "it wrote through a link");
    extract(&scene, &["--to", "full", "--format", "k3s"]).succeeds();
    extract(&scene, &["--to", "full", "--format", "k3s"]).ends_with(2).says("exists already");
    extract(&scene, &["--to", "x", "--image", "nginx:1.25"])
        .ends_with(2)
        .says("bundle has no image docker.io/library/nginx:1.25");
    extract(&scene, &["--to", "x", "--image", "a b"]).ends_with(2).says("'a b': reference has white space");
    // A blob that is damaged is found before anything has its name.
    let chart = scene.source.client().manifest("charts/app", "1.0.0").unwrap().unwrap();
    let chart: serde_json::Value = serde_json::from_slice(&chart.bytes).unwrap();
    let layer = chart["layers"][0]["digest"].as_str().unwrap();
    let layer = scene.source.client().get(&format!("/v2/charts/app/blobs/{layer}")).unwrap().body;
    let at = bytes.windows(layer.len()).position(|window| window == layer).unwrap();
    let mut damaged = bytes.clone();
    damaged[at + layer.len() / 2] ^= 1;
    std::fs::write(scene.path("b.tar"), damaged).unwrap();
    for arguments in [&["--to", "bad"][..], &["--to", "bad", "--chart", "app"]] {
        extract(&scene, arguments).ends_with(3).says("is damaged");
        let left: Vec<_> = match scene.path("bad").read_dir() {
            Ok(entries) => entries.map(|entry| entry.unwrap().file_name()).collect(),
            Err(_) => Vec::new(),
        };
        assert!(left.is_empty(), "{left:?}");
    }
    assert!(!scene.files().iter().any(|name| name.contains("partial")), "{:?}", scene.files());
}

#[test]
fn a_tenants_key_gives_no_image_the_name_of_another_registry() {
    let scene = Scene::empty();
    let base = LayerSpec::new(1, 1000).build();
    scene.source.client().push("library/nginx", "1", &image(&base, 2, Platform::linux_amd64())).unwrap();
    let reference = format!("{}/library/nginx:1", scene.source.host());
    scene.bundle(["create", &reference, "--project", "tenant-a", "--key", "key", "-o", "b.tar"]).succeeds();
    std::fs::write(
        scene.path("trust.yaml"),
        "keys:\n- {name: tenant, file: key.pub, projects: [tenant-a]}\n",
    )
    .unwrap();
    let extract = |more: &[&str]| {
        let arguments = ["extract", "b.tar", "--trust", "trust.yaml", "--to", "images", "--format", "k3s"];
        scene.bundle(arguments.iter().chain(more))
    };
    let tenant = ["--project", "tenant-a"];
    extract(&[]).ends_with(2).says("bundle has no image for the project cache; it has images for tenant-a");
    extract(&tenant).ends_with(3).says("the key 'tenant' may not write to the project 'cache'");
    extract(&[&tenant[..], &["--registry", "harbor.example"]].concat()).succeeds();
    let archive = scene.path("images").read_dir().unwrap().next().unwrap().unwrap().path();
    let containerd = Containerd::start();
    containerd.import(&archive);
    let names: Vec<_> = containerd.images().into_iter().map(|(name, _)| name).collect();
    assert_eq!(names, ["harbor.example/tenant-a/nginx:1"]);
}

#[test]
fn an_archive_for_nodes_has_no_tenants_image_unless_it_is_asked_for_and_names_with_tags_only() {
    let scene = Scene::empty();
    let base = LayerSpec::new(1, 1000).build();
    for (seed, repository) in ["team/app", "team/secret", "team/pinned"].into_iter().enumerate() {
        let image = image(&base, seed as u64 + 2, Platform::linux_amd64());
        scene.source.client().push(repository, "1", &image).unwrap();
    }
    let host = scene.source.host();
    let pinned = digest_of(&scene, "team/pinned", "1");
    std::fs::write(
        scene.path("bundle.yaml"),
        format!(
            "projects:\n  cache: {{images: [\"{host}/team/app:1\", \"{host}/team/pinned@{pinned}\"]}}\n  \
             tenants: {{tenant-a: {{images: [\"{host}/team/secret:1\"]}}}}\n"
        ),
    )
    .unwrap();
    scene.bundle(["create", "--stream", "s", "--sequence", "1", "--key", "key", "-o", "b.tar"]).succeeds();
    let imported = |directory: &str| -> Vec<String> {
        let containerd = Containerd::start();
        containerd.import(&scene.path(directory).join("s-1.tar"));
        containerd.images().into_iter().map(|(name, _)| name).collect()
    };
    extract(&scene, &["--to", "usual", "--format", "k3s"])
        .succeeds()
        .says("not extracted: 1 image of tenant-a");
    let short = &pinned["sha256:".len()..][..12];
    assert_eq!(
        imported("usual"),
        [format!("{host}/team/app:1"), format!("{host}/team/pinned:digest-{short}")]
    );
    extract(&scene, &["--to", "theirs", "--format", "k3s", "--project", "tenant-a"]).succeeds();
    assert_eq!(imported("theirs"), [format!("{host}/team/secret:1")]);
    let tenants = format!("{host}/team/secret:1");
    extract(&scene, &["--to", "one", "--format", "k3s", "--image", &tenants]).succeeds();
    assert_eq!(imported("one"), [tenants]);
    extract(&scene, &["--to", "x", "--project", "tenant-a"]).ends_with(2).says("belongs to --format k3s");
}

/// A runtime that has an image under a digest never asks what is in it (containerd, `pkg/cri/store/image`).
#[test]
fn extract_never_names_other_content_by_a_pinned_digest() {
    let scene = Scene::empty();
    let base = LayerSpec::new(1, 1000).build();
    scene.source.client().push("team/app", "1", &image(&base, 2, Platform::linux_amd64())).unwrap();
    let reference = format!("{}/team/app:1", scene.source.host());
    scene.bundle(["create", &reference, "--key", "key", "-o", "honest.tar"]).succeeds();
    let pinned = format!("sha256:{}", "1".repeat(64));
    rewritten(&scene, "honest.tar", "b.tar", |draft| {
        draft.artifacts[0].source = format!("docker.io/library/nginx:1.25@{pinned}").parse().unwrap();
        draft.artifacts[0].derived_from = Some(pinned.parse().unwrap());
    });
    scene.bundle(["verify", "b.tar", "--trust", "key.pub"]).succeeds();
    for (directory, more) in [("layout", ["--format", "oci"]), ("images", ["--format", "k3s"])] {
        let arguments = ["--to", directory, "--registry", "harbor.example"];
        extract(&scene, &[&arguments[..], &more].concat()).succeeds();
    }
    let archive = scene.path("images").read_dir().unwrap().next().unwrap().unwrap().path();
    let list = scene.shell(&format!("tar -xOf {} index.json", archive.display())).succeeds();
    let lists = [list.stdout, std::fs::read_to_string(scene.path("layout/index.json")).unwrap()];
    for list in lists {
        assert!(!list.contains(&pinned), "{list}");
        let index: serde_json::Value = serde_json::from_str(&list).unwrap();
        let named = index["manifests"].as_array().unwrap();
        assert!(!named.is_empty(), "{list}");
        for entry in named {
            for name in entry["annotations"].as_object().unwrap().values() {
                let name = name.as_str().unwrap();
                let digest = name.split_once('@').map(|(_, digest)| digest);
                assert!(digest.is_none_or(|digest| entry["digest"] == digest), "{list}");
            }
        }
    }
}
