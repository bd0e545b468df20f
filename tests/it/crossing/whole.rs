//! The main job: the same bytes, under the right names, on the other side.
//! Takes registries with images; compares every manifest and blob of both sides.

use bundle_test_servers::{Check, CraneRegistry, DockerRegistry, sha256};

use crate::scene::{CREATED, Scene};

/// The content of a registry, without the lists of referrers that its clients keep: these are made anew on
/// the other side, and hold the carried referrers.
fn carried(client: &bundle_test_servers::Client) -> bundle_test_servers::Contents {
    let mut contents = client.contents().unwrap();
    // The importer's own record of what it accepted.
    contents.retain(|repository, _| !repository.ends_with("/bundle-state"));
    for tags in contents.values_mut() {
        tags.retain(|tag, _| !tag.starts_with("sha256-") || tag.contains('.'));
    }
    contents
}

/// Every tag of the source, under the name that it has on the other side.
fn expected(scene: &Scene) -> bundle_test_servers::Contents {
    let host = scene.source.host().replace(':', "_");
    let contents = carried(&scene.source.client());
    contents.into_iter().map(|(repository, tags)| (format!("cache/{host}/{repository}"), tags)).collect()
}

#[test]
fn everything_arrives_under_its_name_with_its_digest() {
    let scene = Scene::with_images();
    scene.create("b.tar");
    assert_eq!(scene.files(), ["b.tar"]);
    scene.bundle(["verify", "b.tar", "--trust", "key.pub"]).succeeds().says("blobs      passed");
    let target = DockerRegistry::start().unwrap();
    let import = ["import", "b.tar", "--to", target.host(), "--trust", "key.pub"];
    scene.bundle(import).succeeds();
    assert_eq!(carried(&target.client()), expected(&scene));
    assert_eq!(target.client().check_complete(Check::Hash).unwrap(), []);
    // The referrer is found there by the tag that registries without the referrers API need.
    let lists = |client: bundle_test_servers::Client| {
        let tags = client.contents().unwrap().into_values().flatten();
        tags.filter(|(tag, _)| tag.starts_with("sha256-") && !tag.contains('.')).count()
    };
    assert_eq!(lists(target.client()), 1);
}

#[test]
fn inspect_says_what_is_inside_why_and_with_what_it_is_shared() {
    let scene = Scene::with_images();
    scene.create("b.tar");
    let found = scene.bundle(["inspect", "b.tar", "--trust", "key.pub", "--json"]).succeeds().json();
    assert_eq!(found["verified"], true);
    let artifacts = found["artifacts"].as_array().unwrap();
    let of = |repository: &str| {
        let ends = |artifact: &&serde_json::Value| {
            artifact["target"]["repository"].as_str().unwrap().ends_with(repository)
        };
        artifacts.iter().find(ends).unwrap()
    };
    let docker = of("team/docker");
    assert_eq!(docker["reasons"], serde_json::json!(["command line", "referrers: none upstream"]));
    let with: Vec<_> = docker["sharedWith"].as_array().unwrap().iter().collect();
    assert_eq!(with.len(), 2, "the base layer is in two other images: {with:?}");
    let shared = docker["size"].as_u64().unwrap() - docker["ownSize"].as_u64().unwrap();
    assert!(with.iter().all(|other| other["bytes"] == shared), "{with:?}");
    assert_eq!(of("charts/app")["sharedWith"], serde_json::json!([]));
    scene.bundle(["inspect", "b.tar", "--trust", "key.pub"]).succeeds().says(" is shared with cache/");
}

#[test]
fn a_second_registry_of_another_make_takes_the_same_bundle() {
    let Some(target) = CraneRegistry::start().unwrap() else { return };
    let scene = Scene::with_images();
    scene.create("b.tar");
    scene.bundle(["import", "b.tar", "--to", target.host(), "--trust", "key.pub"]).succeeds();
    assert_eq!(carried(&target.client()), expected(&scene));
    assert_eq!(target.client().check_complete(Check::Hash).unwrap(), []);
}

#[test]
fn a_second_import_sends_no_blob_and_moves_no_tag() {
    let scene = Scene::with_images();
    scene.create("b.tar");
    let target = DockerRegistry::start().unwrap();
    let import = ["import", "b.tar", "--to", target.host(), "--trust", "key.pub", "--json"];
    let first = scene.bundle(import).succeeds().json();
    assert!(first["blobs"]["sent"].as_u64().unwrap() > 0);
    let second = scene.bundle(import).succeeds().json();
    assert_eq!(second["pushed"], 0);
    assert_eq!(second["blobs"]["sent"], 0);
    assert_eq!(second["blobs"]["mounted"], 0);
}

#[test]
fn layers_that_images_share_are_sent_once_and_mounted() {
    let scene = Scene::with_images();
    scene.create("b.tar");
    let target = DockerRegistry::start().unwrap();
    let proxy = bundle_test_servers::FaultProxy::start(target.host()).unwrap();
    let report =
        scene.bundle(["import", "b.tar", "--to", proxy.host(), "--trust", "key.pub", "--json"]).succeeds();
    assert!(report.json()["blobs"]["mounted"].as_u64().unwrap() >= 2);
    let puts = proxy
        .requests()
        .into_iter()
        .filter(|request| request.method == "PUT" && request.path_and_query.contains("/blobs/uploads/"))
        .filter(|request| !request.path_and_query.contains("/bundle-state/"));
    let mut digests: Vec<String> =
        puts.map(|put| put.path_and_query.split("digest=").nth(1).unwrap().to_owned()).collect();
    let all = digests.len();
    digests.sort();
    digests.dedup();
    assert_eq!(digests.len(), all, "a blob was sent twice");
}

#[test]
fn the_same_input_gives_the_same_bytes_to_a_file_and_to_a_pipe() {
    let scene = Scene::with_images();
    let file = std::fs::read(scene.create("b.tar")).unwrap();
    let again = std::fs::read(scene.create("c.tar")).unwrap();
    let references = Scene::references(scene.source.host()).join(" ");
    scene
        .shell(&format!("$BUNDLE create {references} --key key --created {CREATED} -j 2 -o - > p.tar"))
        .succeeds();
    let pipe = std::fs::read(scene.path("p.tar")).unwrap();
    assert_eq!(sha256(&file), sha256(&again));
    assert_eq!(sha256(&file), sha256(&pipe));
}

#[test]
fn a_bundle_crosses_through_a_pipe() {
    let scene = Scene::with_images();
    let target = DockerRegistry::start().unwrap();
    let references = Scene::references(scene.source.host()).join(" ");
    scene
        .shell(&format!(
            "$BUNDLE create {references} --key key -o - | $BUNDLE import - --to {} --trust key.pub",
            target.host()
        ))
        .succeeds();
    assert_eq!(carried(&target.client()), expected(&scene));
    assert_eq!(target.client().check_complete(Check::Hash).unwrap(), []);
}

#[test]
fn a_chosen_platform_travels_alone_and_a_pinned_index_whole() {
    let scene = Scene::with_images();
    let host = scene.source.host();
    let reference = format!("{host}/team/multi:1");
    let plan = |arguments: &[&str]| {
        let mut all = vec!["create", "--dry-run", "--json"];
        all.extend_from_slice(arguments);
        scene.bundle(all).succeeds().json()["artifacts"][0].clone()
    };
    let whole = plan(&[&reference]);
    assert_eq!(whole["platforms"], serde_json::json!(["linux/amd64", "linux/arm64"]));
    let one = plan(&[&reference, "--platform", "linux/arm64"]);
    assert_eq!(one["platforms"], serde_json::json!(["linux/arm64"]));
    assert_eq!(one["derivedFrom"], whole["digest"]);
    let pinned = format!("{host}/team/multi@{}", whole["digest"].as_str().unwrap());
    assert_eq!(plan(&[&pinned, "--platform", "linux/arm64"])["digest"], whole["digest"]);
    scene
        .bundle(["create", &reference, "--platform", "linux/riscv64", "--dry-run"])
        .ends_with(2)
        .says("there is no linux/riscv64; the image is made for linux/amd64, linux/arm64");
}

#[test]
fn a_lock_is_kept_to_after_the_tag_moved() {
    let scene = Scene::with_images();
    let host = scene.source.host();
    std::fs::write(
        scene.path("bundle.yaml"),
        format!("name: nightly\nprojects:\n  platform:\n    images: [\"{host}/team/docker:1\"]\n"),
    )
    .unwrap();
    scene.bundle(["lock"]).succeeds();
    let locked = std::fs::read_to_string(scene.path("bundle.lock")).unwrap();
    scene.bundle(["lock"]).succeeds();
    assert_eq!(locked, std::fs::read_to_string(scene.path("bundle.lock")).unwrap());
    let before = scene.source.client().manifest("team/docker", "1").unwrap().unwrap().digest;
    let other = scene.source.client().manifest("team/signed", "1").unwrap().unwrap();
    let moved = bundle_test_servers::ImageSpec::oci().label("new", "yes").build();
    scene.source.client().push("team/docker", "1", &moved).unwrap();
    let kept = scene.bundle(["create", "--locked", "--dry-run", "--json"]).succeeds().json();
    assert_eq!(kept["artifacts"][0]["digest"], before.as_str());
    assert_ne!(kept["artifacts"][0]["digest"], other.digest.as_str());
    scene.source.client().delete_manifest("team/docker", &before).unwrap();
    scene.bundle(["create", "--locked", "--dry-run"]).ends_with(6).says("no longer exists in the registry");
    scene.bundle(["create", "--dry-run"]).succeeds().says("is gone; taking what the tag means now");
}

#[test]
fn a_stream_that_breaks_leaves_nothing_visible_and_can_be_sent_again() {
    let scene = Scene::empty();
    // Pieces of the second layer are on their way to the registry when the stream ends.
    for (name, seed) in [("a", 1), ("b", 2)] {
        let layer = bundle_test_servers::LayerSpec::new(seed, 5_000_000).uncompressed();
        let image = bundle_test_servers::ImageSpec::oci().layer(layer).build();
        scene.source.client().push(&format!("team/{name}"), "1", &image).unwrap();
    }
    let references: Vec<String> =
        ["a", "b"].map(|name| format!("{}/team/{name}:1", scene.source.host())).to_vec();
    scene.bundle(Scene::create_arguments(&references, "b.tar")).succeeds();
    let whole = std::fs::read(scene.path("b.tar")).unwrap();
    let target = DockerRegistry::start().unwrap();
    let import = format!("$BUNDLE import - --to {} --trust key.pub", target.host());
    for bytes in [0, 100, 5_000, whole.len() / 3, whole.len() * 2 / 3, whole.len() - 1000, whole.len() - 1] {
        scene.shell(&format!("head -c {bytes} b.tar | {import}")).ends_with(3);
        let tags: usize = target.client().contents().unwrap().values().map(|tags| tags.len()).sum();
        assert_eq!(tags, 0, "after {bytes} bytes");
    }
    // Bytes that were lost, doubled or made up on the way.
    for broken in [
        "head -c 6000000 b.tar; tail -c +6000002 b.tar",
        "head -c 6000000 b.tar; tail -c +5999990 b.tar",
        "head -c 6000000 b.tar; echo noise; tail -c +6000001 b.tar",
        "cat b.tar; echo",
    ] {
        scene.shell(&format!("({broken}) | {import}")).ends_with(3);
        let tags: usize = target.client().contents().unwrap().values().map(|tags| tags.len()).sum();
        assert_eq!(tags, 0, "{broken}");
    }
    // The receiver goes away: the sender says so.
    let references = references.join(" ");
    let create = format!("$BUNDLE create {references} --key key -o -");
    scene
        .shell(&format!("{create} | head -c 3000000 > /dev/null"))
        .ends_with(1)
        .says("cannot be written to the pipe");
    scene.shell(&format!("{create} | {import}")).succeeds();
    assert_eq!(target.client().check_complete(Check::Hash).unwrap(), []);
}
