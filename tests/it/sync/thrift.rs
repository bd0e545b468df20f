//! The cost of a night for the registries that it reads from. Takes an export behind a proxy that counts;
//! says how many requests of each sort a run may send, and what it must find nevertheless.

use bundle_test_servers::standin::docker_hub;
use bundle_test_servers::{FaultProxy, ImageSpec, Index, LayerSpec, Manifest, Platform};
use serde_json::Value;

use crate::scene::{CREATED, Scene};
use crate::sync::jobs::Nights;

/// An export of single, multi-platform and signed images and a chart, all read through a proxy.
fn counted() -> (Nights, FaultProxy) {
    let nights = Nights::new("", "");
    let client = nights.scene.source.client();
    let image =
        |seed, platform| ImageSpec::oci().platform(platform).layer(LayerSpec::new(seed, 9_000)).build();
    client.push("team/single", "1", &image(1, Platform::linux_amd64())).unwrap();
    let both = Index::oci()
        .manifest(image(2, Platform::linux_amd64()))
        .manifest(image(3, Platform::linux_arm64()))
        .build();
    client.push("team/both", "1", &both).unwrap();
    let signed = image(4, Platform::linux_amd64());
    client.push("team/signed", "1", &signed).unwrap();
    client.push("team/signed", &signed.cosign_tag(), &signed.cosign_signature("team/signed")).unwrap();
    let sbom = signed.referrer("application/spdx+json", b"{}");
    client.push_referrers("team/signed", &signed, &[sbom]).unwrap();
    client.push("charts/app", "1.0.0", &Manifest::helm_chart("app", "1.0.0")).unwrap();
    let proxy = FaultProxy::start(nights.scene.source.host()).unwrap();
    let host = proxy.host();
    let text = format!(
        "name: s\nprojects:\n  cache:\n    images:\n    - {host}/team/single:1\n    - {host}/team/both:1\n    \
         - {host}/team/signed:1\n    - {host}/charts/app:1.0.0\n"
    );
    std::fs::write(nights.scene.path("bundle.yaml"), text).unwrap();
    (nights, proxy)
}

/// Makes what is known of referrers this much older.
fn age(nights: &Nights, seconds: u64) {
    let mut aged = 0;
    for entry in std::fs::read_dir(nights.scene.path("state-a/cache")).unwrap() {
        let path = entry.unwrap().path();
        if !path.file_name().unwrap().to_str().unwrap().starts_with("note-") {
            continue;
        }
        let mut note: Value = serde_json::from_slice(&std::fs::read(&path).unwrap()).unwrap();
        for time in ["first", "asked"] {
            note[time] = (note[time].as_u64().unwrap() - seconds).into();
        }
        std::fs::write(&path, note.to_string()).unwrap();
        aged += 1;
    }
    assert!(aged >= 6, "{aged} manifests have notes");
}

#[test]
fn an_unchanged_night_costs_one_head_for_each_tag_and_no_get() {
    let (nights, proxy) = counted();
    nights.export(&[]).succeeds().says("wrote bundle");
    proxy.clear();
    nights.export(&[]).succeeds();
    let tally = proxy.tally();
    assert_eq!(tally.iter().collect::<Vec<_>>(), [(&"HEAD manifests".to_owned(), &4)], "{tally:?}");
    assert_eq!(nights.list("out").len(), 1);
}

#[test]
fn a_signature_that_was_made_after_its_image_is_found_the_next_night() {
    let (nights, proxy) = counted();
    nights.export(&[]).succeeds();
    let client = nights.scene.source.client();
    let image = ImageSpec::oci().platform(Platform::linux_amd64()).layer(LayerSpec::new(1, 9_000)).build();
    assert_eq!(client.manifest("team/single", "1").unwrap().unwrap().digest, image.digest);
    client.push("team/single", &image.cosign_tag(), &image.cosign_signature("team/single")).unwrap();
    age(&nights, 13 * 3600);
    nights.export(&[]).succeeds().says("wrote bundle");
    assert_eq!(nights.list("out").len(), 2);
    // With an age of zero, each night asks.
    nights.configure("  referrersMaxAgeDays: 0\n", "");
    proxy.clear();
    nights.export(&[]).succeeds();
    assert!(proxy.tally().contains_key("GET tags"), "{:?}", proxy.tally());
}

/// How many images there are, of which the Hub lets fewer through at once.
const IMAGES: u64 = 12;

#[test]
fn a_run_that_meets_the_hubs_limit_keeps_what_it_has_and_the_next_one_goes_on() {
    let nights = Nights::new("", "");
    let hub = docker_hub(nights.scene.source.host(), IMAGES / 2, None).unwrap();
    let mut text = "name: s\nprojects:\n  cache:\n    images:\n".to_owned();
    for number in 0..IMAGES {
        let image = ImageSpec::oci().layer(LayerSpec::new(number, 1_000)).build();
        nights.scene.source.client().push(&format!("library/{number}"), "1", &image).unwrap();
        text.push_str(&format!("    - {}/library/{number}:1\n", hub.host()));
    }
    std::fs::write(nights.scene.path("bundle.yaml"), text).unwrap();
    nights.export(&[]).ends_with(4).says("rate limit").says("hint:");
    assert_eq!((hub.left(), nights.list("out").len()), (0, 0));
    hub.allow(IMAGES);
    nights.export(&[]).succeeds().says("wrote bundle");
    // No manifest was pulled twice.
    assert_eq!(hub.left(), IMAGES / 2);
}

#[test]
fn a_limit_that_lasts_longer_than_one_is_ready_to_wait_ends_the_run_at_once() {
    let scene = Scene::empty();
    let image = ImageSpec::oci().layer(LayerSpec::new(1, 1_000)).build();
    scene.source.client().push("library/a", "1", &image).unwrap();
    let hub = docker_hub(scene.source.host(), 0, Some(3600)).unwrap();
    let reference = format!("{}/library/a:1", hub.host());
    for more in [&[][..], &["--wait-for-limit=30m"]] {
        hub.clear();
        let base = ["create", &reference, "--key", "key", "--created", CREATED, "-o", "b.tar"];
        scene.bundle([&base[..], more].concat()).ends_with(4).says("rate limit").says("--wait-for-limit");
        assert_eq!(hub.count("GET manifests"), 1, "{more:?}: {:?}", hub.tally());
        assert!(!scene.path("b.tar").exists());
    }
}
