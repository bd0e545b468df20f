//! Blobs that a receipt proved and that are gone since.
//! The far side says so in a signed notice, and the next bundle does without them.

use bundle_test_servers::{DockerRegistry, ImageSpec};

use crate::crossing::compact::Sides;
use crate::scene::Scene;
use crate::sync::jobs::Nights;

/// Removes the first layer of `team/a:1` from the far registry, whatever a receipt said of it.
fn lose_first_layer(nights: &Nights) {
    let repository = format!("cache/{}/team/a", nights.scene.source.host().replace(':', "_"));
    let client = nights.target.client();
    let manifest = client.manifest(&repository, "1").unwrap().expect("the image is there");
    let manifest: serde_json::Value = serde_json::from_slice(&manifest.bytes).unwrap();
    let digest = manifest["layers"][0]["digest"].as_str().unwrap().to_owned();
    let answer = client.delete(&format!("/v2/{repository}/blobs/{digest}")).unwrap();
    assert_eq!(answer.status, 202, "the registry removes {digest}");
}

/// One night whose bundle cannot be imported, the next that makes it good, and one more as if nothing had been.
fn heals(nights: &Nights, change: impl Fn(u64)) {
    lose_first_layer(nights);
    change(2);
    nights.export(&[]).succeeds();
    nights.carry();
    nights.import().ends_with(6);
    let notices = || -> Vec<String> {
        nights.list("receipts").into_iter().filter(|name| name.ends_with(".absent")).collect()
    };
    let [notice] = &notices()[..] else { panic!("{:?}", nights.list("receipts")) };
    let written = std::fs::read(nights.path("receipts", notice)).unwrap();
    nights.import().ends_with(6);
    assert_eq!(std::fs::read(nights.path("receipts", notice)).unwrap(), written, "nothing new is said");

    // Before the notice is back, the bundle is under way; afterwards it is of no use.
    assert_eq!(nights.list("out").len(), 2);
    nights.export(&[]).succeeds();
    assert_eq!(nights.list("out").len(), 2);
    nights.bring_back();
    nights.export(&[]).succeeds().says("gone that a receipt proved");
    assert_eq!(nights.list("out").len(), 3);
    nights.carry();
    // The one that failed is out of date now, and is not looked at again.
    nights.import().ends_with(8).says("imported bundle s").says("no action is needed");
    assert!(nights.list("in").is_empty());
    nights.agrees(&["a"]);

    nights.bring_back();
    change(3);
    let ran = nights.export(&[]).succeeds();
    assert!(!ran.stderr.contains("gone"), "{}", ran.stderr);
    nights.carry();
    nights.import().succeeds();
    nights.agrees(&["a"]);
}

#[test]
fn a_delta_on_a_layer_that_is_gone_is_followed_by_one_that_carries_it() {
    let nights = Nights::new("", "");
    nights.want(&["a"]);
    nights.push("a", 1);
    nights.export(&[]).succeeds();
    nights.carry();
    nights.import().succeeds();
    nights.bring_back();
    heals(&nights, |seed| nights.push("a", seed));
}

#[test]
fn a_compact_bundle_on_a_base_that_is_gone_is_followed_by_one_without_it() {
    let nights = Nights::new("  compact: true\n", "");
    let sides = Sides { scene: Scene::empty(), target: DockerRegistry::start().unwrap() };
    let push = |version: u64| {
        let image = ImageSpec::oci().layer(sides.layer(version, "gzip -n -6")).build();
        nights.scene.source.client().push("team/a", "1", &image).unwrap();
    };
    nights.want(&["a"]);
    push(1);
    nights.export(&[]).succeeds();
    nights.carry();
    nights.import().succeeds();
    nights.bring_back();
    heals(&nights, push);
}

#[test]
fn a_notice_that_another_signed_is_refused_and_changes_nothing() {
    let nights = Nights::new("", "");
    nights.want(&["a"]);
    nights.push("a", 1);
    nights.export(&[]).succeeds();
    nights.carry();
    nights.import().succeeds();
    nights.bring_back();
    lose_first_layer(&nights);
    nights.push("a", 2);
    nights.export(&[]).succeeds();
    nights.carry();
    nights.import().ends_with(6);
    nights.bring_back();
    let notice = nights.list("back").into_iter().find(|name| name.ends_with(".absent")).unwrap();
    let mut forged = std::fs::read(nights.path("back", &notice)).unwrap();
    let at = forged.windows(6).position(|bytes| bytes == b"plant ").unwrap() + 6;
    forged[at] = b'8';
    std::fs::write(nights.path("back", &notice), forged).unwrap();
    let before = nights.list("out");
    nights.export(&[]).ends_with(3).says("not signed by the site's key");
    assert_eq!(nights.list("out"), before);
    assert!(nights.path("back/refused", &notice).exists());
}
