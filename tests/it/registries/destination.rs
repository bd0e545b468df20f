//! A bundle that must not be used, and a target registry that fails or refuses.
//! A fault proxy stands between; nothing half done may be left that anyone could pull.

use bundle_test_servers::{
    Check, DockerRegistry, Fault, FaultProxy, ImageSpec, LayerSpec, Matcher, RequestHead, Response, Rule,
};

use crate::scene::{CREATED, Scene};

#[test]
fn a_bundle_that_was_touched_changes_nothing_in_the_registry() {
    let scene = Scene::with_images();
    let bytes = std::fs::read(scene.create("b.tar")).unwrap();
    let target = DockerRegistry::start().unwrap();
    let middle = bytes.len() / 2;
    let mut cases: Vec<(String, Vec<u8>)> = vec![
        ("truncated".to_owned(), bytes[..middle].to_vec()),
        ("one byte short".to_owned(), bytes[..bytes.len() - 1].to_vec()),
        ("extended".to_owned(), [&bytes[..], &[0; 512]].concat()),
        ("joined".to_owned(), [&bytes[..], &bytes[..]].concat()),
        ("empty".to_owned(), Vec::new()),
    ];
    for at in [0, 200, 600, 3000, middle, bytes.len() - 2000, bytes.len() - 1] {
        let mut flipped = bytes.clone();
        flipped[at] ^= 0x20;
        cases.push((format!("flipped at {at}"), flipped));
    }
    for (name, bytes) in cases {
        std::fs::write(scene.path("bad.tar"), bytes).unwrap();
        eprintln!("{name}");
        scene.bundle(["verify", "bad.tar", "--trust", "key.pub"]).ends_with(3);
        scene.bundle(["import", "bad.tar", "--to", target.host(), "--trust", "key.pub"]).ends_with(3);
        scene
            .shell(&format!("$BUNDLE import - --to {} --trust key.pub < bad.tar", target.host()))
            .ends_with(3);
        let tags: usize = target.client().contents().unwrap().values().map(|tags| tags.len()).sum();
        assert_eq!(tags, 0, "{name}: a tag was set");
    }
}

#[test]
fn a_strangers_bundle_is_refused_before_it_is_read() {
    let scene = Scene::with_images();
    scene.create("b.tar");
    scene.bundle(["key", "generate", "key-other"]).succeeds();
    scene.bundle(["verify", "b.tar", "--trust", "key-other.pub"]).ends_with(3).says("signature  FAILED");
    let target = DockerRegistry::start().unwrap();
    scene
        .bundle(["import", "b.tar", "--to", target.host(), "--trust", "key-other.pub"])
        .ends_with(3)
        .says("is not signed by a trusted key");
    std::fs::write(scene.path("trust.yaml"), "keys:\n- {name: ops, file: key.pub, projects: [platform]}\n")
        .unwrap();
    scene
        .bundle(["import", "b.tar", "--to", target.host(), "--trust", "trust.yaml"])
        .ends_with(3)
        .says("bundle writes to the project 'cache', which the key 'ops' is not allowed to write to");
}

#[test]
fn a_tag_with_another_digest_is_an_error_left_or_moved_as_asked() {
    let scene = Scene::with_images();
    scene.create("b.tar");
    let target = DockerRegistry::start().unwrap();
    let repository = format!("cache/{}/team/docker", scene.source.host().replace(':', "_"));
    let other = ImageSpec::oci().label("other", "yes").build();
    target.client().push(&repository, "1", &other).unwrap();
    let import = |more: &[&str]| {
        let mut arguments = vec!["import", "b.tar", "--to", target.host(), "--trust", "key.pub"];
        arguments.extend_from_slice(more);
        scene.bundle(arguments)
    };
    import(&[]).ends_with(5).says("nothing was written").says("--on-existing-tag");
    assert_eq!(target.client().contents().unwrap().len(), 1);
    import(&["--on-existing-tag", "skip"]).succeeds().says("skipped cache/");
    assert_eq!(target.client().contents().unwrap()[&repository]["1"], other.digest);
    import(&["--on-existing-tag", "overwrite", "--dry-run"]).succeeds().says("move  ");
    import(&["--on-existing-tag", "overwrite"]).succeeds();
    assert_ne!(target.client().contents().unwrap()[&repository]["1"], other.digest);
    assert_eq!(target.client().check_complete(Check::Hash).unwrap(), []);
}

#[test]
fn an_upload_that_fails_for_a_while_is_survived() {
    let scene = Scene::with_images();
    scene.create("b.tar");
    let upload = || Matcher::new("PUT", "/blobs/uploads/");
    for fault in [
        Fault::ResetUploadAfter(10_000),
        Fault::SwallowResponse,
        Fault::StallUploadAfter(1000),
        Fault::status(500),
        Fault::status(429),
        Fault::Html(502),
        Fault::status(404),
    ] {
        eprintln!("{fault:?}");
        let target = DockerRegistry::start().unwrap();
        let proxy = FaultProxy::start(target.host()).unwrap();
        proxy.add(Rule::new(upload(), fault).times(2));
        let import = ["import", "b.tar", "--to", proxy.host(), "--trust", "key.pub", "--stall-timeout", "2"];
        scene.bundle(import).succeeds();
        assert_eq!(target.client().check_complete(Check::Hash).unwrap(), []);
    }
}

#[test]
fn a_registry_that_refuses_sets_no_tag_and_says_why() {
    let scene = Scene::with_images();
    scene.create("b.tar");
    for (matcher, fault, code, text) in [
        (Matcher::new("POST", "/blobs/uploads/"), Fault::status(403), 4, "does not allow it"),
        (Matcher::new("PUT", "/blobs/uploads/"), Fault::status(413), 4, "finds it too large"),
        (Matcher::new("PUT", "/manifests/sha256"), Fault::status(500), 4, "HTTP 500"),
        (Matcher::path("/v2/"), Fault::status(401), 4, "asks for credentials"),
        (Matcher::path("/v2/"), Fault::Html(404), 4, "is not a registry"),
    ] {
        eprintln!("{text}");
        let target = DockerRegistry::start().unwrap();
        let proxy = FaultProxy::start(target.host()).unwrap();
        proxy.add(Rule::new(matcher, fault));
        let import = ["import", "b.tar", "--to", proxy.host(), "--trust", "key.pub", "--retries", "1"];
        scene.bundle(import).ends_with(code).says(text);
        let tags: usize = target.client().contents().unwrap().values().map(|tags| tags.len()).sum();
        assert_eq!(tags, 0);
        proxy.clear_rules();
        scene.bundle(import).succeeds();
    }
}

#[test]
fn a_referrer_whose_list_could_not_be_written_is_listed_by_the_next_import() {
    let scene = Scene::with_images();
    scene.create("b.tar");
    let target = DockerRegistry::start().unwrap();
    let proxy = FaultProxy::start(target.host()).unwrap();
    proxy.add(Rule::new(Matcher::new("PUT", "/manifests/sha256-"), Fault::status(500)));
    let import = ["import", "b.tar", "--to", proxy.host(), "--trust", "key.pub", "--retries", "0"];
    scene.bundle(import).ends_with(4);
    proxy.clear_rules();
    scene.bundle(import).succeeds();
    let tags = target.client().contents().unwrap().into_values().flatten();
    let lists = tags.filter(|(tag, _)| tag.starts_with("sha256-") && !tag.contains('.')).count();
    assert_eq!(lists, 1);
}

/// The real registry drops an upload of which a piece broke off (distribution 2.8,
/// registry/handlers/blobupload.go), so that the blob starts again.
#[test]
fn a_large_blob_arrives_in_pieces_through_an_ingress_that_cuts_them() {
    let scene = Scene::empty();
    let image = ImageSpec::oci().layer(LayerSpec::new(1, 40 << 20)).build();
    scene.source.client().push("team/app", "1", &image).unwrap();
    scene
        .bundle(Scene::create_arguments(&[format!("{}/team/app:1", scene.source.host())], "b.tar"))
        .succeeds();
    for source in ["b.tar", "-"] {
        let target = DockerRegistry::start().unwrap();
        let proxy = FaultProxy::start(target.host()).unwrap();
        let cut = Rule::new(Matcher::new("PATCH", "/blobs/uploads/"), Fault::ResetUploadAfter(3 << 20));
        let import = format!("$BUNDLE import {source} --to {} --trust key.pub --json < b.tar", proxy.host());
        if source == "b.tar" {
            proxy.add(cut.after(1).once());
        }
        scene.shell(&import).succeeds();
        assert_eq!(target.client().check_complete(Check::Hash).unwrap(), []);
        let seen = proxy.requests();
        let patches = seen.iter().filter(|request| request.method == "PATCH").count();
        assert!(patches > 1, "{patches}");
        let puts = seen
            .iter()
            .filter(|request| request.method == "PUT" && request.path_and_query.contains("/uploads/"));
        let lengths: Vec<&str> = puts.filter_map(|request| request.headers.get("Content-Length")).collect();
        assert!(lengths.contains(&"0"), "{lengths:?}");
    }
}

/// All of the first request for a pipe's blob is kept until it has arrived, so that it is sent again in smaller
/// pieces, although the registry dropped the upload.
#[test]
fn a_large_blob_of_a_pipe_arrives_through_an_ingress_that_ends_long_requests() {
    const MOST: u64 = 20 << 20;
    let scene = with_large_layer();
    let target = DockerRegistry::start().unwrap();
    let proxy = FaultProxy::start(target.host()).unwrap();
    let longer = |head: &RequestHead| {
        let length = head.headers.get("Content-Length").and_then(|length| length.parse::<u64>().ok());
        length.is_none_or(|length| length > MOST) && matches!(head.method.as_str(), "PUT" | "PATCH")
    };
    let upload = Matcher::path("/blobs/uploads/").and(longer);
    proxy.add(Rule::new(upload, Fault::ResetUploadAfter(MOST)));
    scene.shell(&format!("$BUNDLE import - --to {} --trust key.pub < b.tar", proxy.host())).succeeds();
    assert_eq!(target.client().check_complete(Check::Hash).unwrap(), []);
}

/// Where a pipe's blob was lost all the same, the error says what to do, and the next run takes no risk.
#[test]
fn a_large_blob_of_a_pipe_that_was_lost_is_sent_in_pieces_that_are_kept_by_the_next_import() {
    let scene = with_large_layer();
    let target = DockerRegistry::start().unwrap();
    let proxy = FaultProxy::start(target.host()).unwrap();
    let upload = Matcher::new("PATCH", "/blobs/uploads/");
    proxy.add(Rule::new(upload, Fault::ResetUploadAfter(3 << 20)).after(1).once());
    let import = format!("$BUNDLE import - --to {} --trust key.pub < b.tar", proxy.host());
    scene.shell(&import).ends_with(4).says("dropped an upload").says("run the same command again");
    proxy.clear_rules();
    proxy.clear();
    scene.shell(&import).succeeds();
    assert_eq!(target.client().check_complete(Check::Hash).unwrap(), []);
    let requests = proxy.requests();
    let lengths = requests.iter().filter_map(|request| {
        request.headers.get("Content-Length").and_then(|length| length.parse::<u64>().ok())
    });
    assert!(lengths.max().unwrap() <= 8 << 20);
}

fn with_large_layer() -> Scene {
    let scene = Scene::empty();
    let image = ImageSpec::oci().layer(LayerSpec::new(1, 60 << 20)).build();
    scene.source.client().push("team/app", "1", &image).unwrap();
    scene
        .bundle(Scene::create_arguments(&[format!("{}/team/app:1", scene.source.host())], "b.tar"))
        .succeeds();
    scene
}

#[test]
fn a_path_below_the_host_holds_all_repositories_that_are_listed_before() {
    let scene = Scene::with_images();
    scene.create("b.tar");
    let target = DockerRegistry::start().unwrap();
    let to = format!("{}/group/project", target.host());
    let listed = scene.bundle(["import", "b.tar", "--to", &to, "--trust", "key.pub", "--list-repositories"]);
    let listed = listed.succeeds().stdout;
    assert!(target.client().contents().unwrap().is_empty());
    scene.bundle(["import", "b.tar", "--to", &to, "--trust", "key.pub"]).succeeds();
    let there = target.client().contents().unwrap();
    let names: Vec<&str> = there.keys().map(String::as_str).collect();
    assert!(names.iter().all(|name| name.starts_with("group/project/")), "{names:?}");
    assert_eq!(listed.lines().collect::<Vec<_>>(), names);
    assert_eq!(target.client().check_complete(Check::Hash).unwrap(), []);
    // And again: nothing is left to do.
    scene.bundle(["import", "b.tar", "--to", &to, "--trust", "key.pub"]).succeeds().says("0 blobs sent");
}

#[test]
fn an_image_that_the_registry_refuses_holds_up_no_other_when_asked() {
    let scene = Scene::with_images();
    scene.create("b.tar");
    for (matcher, fault) in [
        (Matcher::new("PUT", "/team/docker/manifests/"), Fault::status(403)),
        (Matcher::new("POST", "/team/docker/blobs/uploads/"), Fault::status(403)),
    ] {
        let target = DockerRegistry::start().unwrap();
        let proxy = FaultProxy::start(target.host()).unwrap();
        proxy.add(Rule::new(matcher, fault));
        let state = format!("state-{}", target.host());
        let import = [
            "import",
            "b.tar",
            "--to",
            proxy.host(),
            "--trust",
            "key.pub",
            "--state",
            &state,
            "--site",
            "plant",
            "--receipt",
            "r.json",
        ];
        scene.bundle(import).ends_with(4);
        let contents = target.client().contents().unwrap();
        assert_eq!(contents.values().map(|tags| tags.len()).sum::<usize>(), 0, "{contents:?}");
        let keep = import.into_iter().chain(["--keep-going"]);
        scene.bundle(keep).ends_with(6).says("team/docker:1").says("everything else is in place");
        let contents = target.client().contents().unwrap();
        assert!(contents.keys().any(|name| name.ends_with("team/multi")), "{contents:?}");
        assert!(!contents.keys().any(|name| name.ends_with("team/docker")), "{contents:?}");
        let receipt: serde_json::Value =
            serde_json::from_slice(&std::fs::read(scene.path("r.json")).unwrap()).unwrap();
        let outcomes = receipt["artifacts"].as_array().unwrap().iter();
        let missing: Vec<&str> = outcomes
            .filter(|artifact| artifact["outcome"] == "missing")
            .map(|artifact| artifact["target"]["repository"].as_str().unwrap())
            .collect();
        assert!(missing.len() == 1 && missing[0].ends_with("team/docker"), "{missing:?}");
        proxy.clear_rules();
        scene.bundle(import).succeeds();
        assert_eq!(target.client().check_complete(Check::Hash).unwrap(), []);
    }
}

#[test]
fn a_part_of_a_bundle_is_imported_and_its_receipt_says_so() {
    let scene = Scene::with_images();
    scene.create("b.tar");
    let target = DockerRegistry::start().unwrap();
    let import = ["import", "b.tar", "--to", target.host(), "--trust", "key.pub"];
    let signed = format!("{}/team/signed:1", scene.source.host());
    let part = ["--image", &signed, "--site", "plant", "--receipt", "r.json"];
    scene.bundle(import.into_iter().chain(part)).succeeds();
    let contents = target.client().contents().unwrap();
    let images: Vec<&String> = contents.keys().filter(|name| !name.ends_with("bundle-state")).collect();
    assert!(images.len() == 1 && images[0].ends_with("team/signed"), "{contents:?}");
    // Its signatures came along.
    assert!(contents[images[0]].len() > 1, "{contents:?}");
    assert_eq!(target.client().check_complete(Check::Hash).unwrap(), []);
    let receipt = std::fs::read_to_string(scene.path("r.json")).unwrap();
    let receipt: serde_json::Value = serde_json::from_str(&receipt).unwrap();
    let outcome = |artifact: &serde_json::Value| artifact["outcome"].as_str().unwrap().to_owned();
    let outcomes: Vec<String> = receipt["artifacts"].as_array().unwrap().iter().map(outcome).collect();
    assert!(outcomes.iter().any(|outcome| outcome == "missing"), "{outcomes:?}");
    assert!(outcomes.iter().any(|outcome| outcome == "pushed"), "{outcomes:?}");
    scene
        .bundle(import.into_iter().chain(["--project", "platform"]))
        .ends_with(2)
        .says("nothing for the project");
    scene.bundle(import.into_iter().chain(["--project", "cache"])).succeeds();
    assert!(target.client().contents().unwrap().keys().any(|name| name.ends_with("team/multi")));
}

#[test]
fn two_paths_of_one_host_are_two_places_with_a_history_each() {
    let scene = Scene::with_images();
    let numbered = |output: &str, created: &str| {
        let mut arguments =
            Scene::create_arguments(&[format!("{}/team/multi:1", scene.source.host())], output);
        let at = arguments.iter().position(|argument| argument == CREATED).unwrap();
        arguments[at] = created.to_owned();
        scene.bundle(arguments).succeeds();
    };
    numbered("old.tar", "2026-11-25T00:00:00Z");
    numbered("new.tar", "2026-11-26T00:00:00Z");
    let target = DockerRegistry::start().unwrap();
    let import = |bundle: &str, path: &str| {
        let to = format!("{}/{path}", target.host());
        scene.bundle([
            "import",
            bundle,
            "--to",
            &to,
            "--trust",
            "key.pub",
            "--site",
            "plant",
            "--receipt",
            "r.json",
        ])
    };
    import("new.tar", "group/one").succeeds().says("/group/one; rollback");
    // One place has a newer bundle; that is no reason to refuse an older one to another.
    import("old.tar", "group/two").succeeds().says("/group/two; rollback");
    let receipt: serde_json::Value =
        serde_json::from_slice(&std::fs::read(scene.path("r.json")).unwrap()).unwrap();
    assert_eq!(receipt["registry"], format!("{}/group/two", target.host()));
    scene.bundle(["receipt", "show", "r.json"]).succeeds();
    std::fs::remove_file(scene.path("r.json")).unwrap();
    import("old.tar", "group/one").ends_with(8).says("is older than");
    assert!(!scene.path("r.json").exists());
}

#[test]
fn a_request_that_is_too_large_for_a_proxy_says_which_settings_allow_it() {
    let scene = Scene::with_images();
    scene.create("b.tar");
    let target = DockerRegistry::start().unwrap();
    let proxy = FaultProxy::start(target.host()).unwrap();
    // nginx's answer to requests over client_max_body_size, by default 1 MiB (ngx_http_core_module).
    proxy.add(Rule::new(Matcher::new("PUT", "/blobs/uploads/"), Fault::Html(413)));
    scene
        .bundle(["import", "b.tar", "--to", proxy.host(), "--trust", "key.pub"])
        .ends_with(4)
        .says(&format!("hint: have the size of a request allowed by {}", proxy.host()))
        .says("nginx: client_max_body_size 0")
        .says("nginx.ingress.kubernetes.io/proxy-body-size");
}

#[test]
fn a_tag_that_somebody_moves_meanwhile_is_noticed_and_no_success() {
    let scene = Scene::with_images();
    scene.create("b.tar");
    let target = DockerRegistry::start().unwrap();
    let proxy = FaultProxy::start(target.host()).unwrap();
    let repository = format!("cache/{}/team/docker", scene.source.host().replace(':', "_"));
    let other = ImageSpec::oci().label("other", "yes").build();
    target.client().push("elsewhere", "1", &other).unwrap();
    // Between the tag and the look at it: the registry itself answers for what it is then.
    let (client, theirs) = (target.client(), repository.clone());
    let move_it = move |_: &RequestHead| {
        let there = client.manifest(&theirs, "1").unwrap();
        if there.is_some_and(|there| there.digest != other.digest) {
            client.push(&theirs, "1", &other).unwrap();
        }
        None
    };
    let look = Matcher::new("HEAD", &format!("/v2/{repository}/manifests/1"));
    proxy.add(Rule::new(look, Fault::Answer(std::sync::Arc::new(move_it))).after(1));
    let import = ["import", "b.tar", "--to", proxy.host(), "--trust", "key.pub", "--receipt", "r.json"];
    scene.bundle(import).ends_with(6).says("/team/docker:1");
    assert!(!scene.path("r.json").exists());
}

#[test]
fn a_blob_that_is_lost_before_its_manifest_is_sent_again() {
    use std::sync::Arc;
    use std::sync::atomic::{AtomicUsize, Ordering};

    let scene = Scene::with_images();
    scene.create("b.tar");
    let target = DockerRegistry::start().unwrap();
    let proxy = FaultProxy::start(target.host()).unwrap();
    let repository = format!("cache/{}/team/docker", scene.source.host().replace(':', "_"));
    // As after a garbage collection between upload and manifest: the manifest is refused (distribution 2.8,
    // registry/handlers/manifests.go), and HEAD does not find the repository's blobs until they are sent again.
    let lost = Arc::new(AtomicUsize::new(0));
    let (at_manifest, at_blob, sent) = (lost.clone(), lost.clone(), lost.clone());
    let refuse = move |_: &RequestHead| {
        let first = at_manifest.compare_exchange(0, 1, Ordering::SeqCst, Ordering::SeqCst).is_ok();
        first.then(|| Response::error(404, "MANIFEST_BLOB_UNKNOWN", "blob unknown to registry"))
    };
    let forget = move |_: &RequestHead| {
        (at_blob.load(Ordering::SeqCst) == 1).then(|| Response::error(404, "BLOB_UNKNOWN", "blob unknown"))
    };
    let note = move |_: &RequestHead| {
        let _ = sent.compare_exchange(1, 2, Ordering::SeqCst, Ordering::SeqCst);
        None
    };
    let of = |method, part: &str| Matcher::new(method, &format!("/v2/{repository}{part}"));
    proxy.add(Rule::new(of("PUT", "/manifests/sha256:"), Fault::Answer(Arc::new(refuse))));
    proxy.add(Rule::new(of("HEAD", "/blobs/sha256:"), Fault::Answer(Arc::new(forget))));
    proxy.add(Rule::new(of("POST", "/blobs/uploads/"), Fault::Answer(Arc::new(note))));
    scene.bundle(["import", "b.tar", "--to", proxy.host(), "--trust", "key.pub"]).succeeds();
    assert_eq!(lost.load(Ordering::SeqCst), 2, "a blob was sent after the manifest was refused");
    assert_eq!(target.client().check_complete(Check::Hash).unwrap(), []);
}
