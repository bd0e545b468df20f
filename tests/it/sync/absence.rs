//! Blobs that a receipt proved and that are gone since.
//! The far side says so in a signed notice, and the next bundle does without them.

use bundle_test_servers::{DockerRegistry, ImageSpec};

use crate::crossing::compact::Sides;
use crate::scene::Scene;
use crate::sync::jobs::Nights;

/// Removes the first layers of `team/a:1` from the far registry, whatever a receipt said of them.
fn lose_layers(nights: &Nights, most: usize) {
    let repository = format!("cache/{}/team/a", nights.scene.source.host().replace(':', "_"));
    let client = nights.target.client();
    let manifest = client.manifest(&repository, "1").unwrap().expect("the image is there");
    let manifest: serde_json::Value = serde_json::from_slice(&manifest.bytes).unwrap();
    for layer in manifest["layers"].as_array().unwrap().iter().take(most) {
        let digest = layer["digest"].as_str().unwrap();
        let answer = client.delete(&format!("/v2/{repository}/blobs/{digest}")).unwrap();
        assert_eq!(answer.status, 202, "the registry removes {digest}");
    }
}

fn notices(nights: &Nights, directory: &str) -> Vec<String> {
    nights.list(directory).into_iter().filter(|name| name.ends_with(".absent")).collect()
}

/// One image on both sides, whose first layer is gone from the far side since, and the next bundle, which builds on it.
fn bereft(import: &str) -> Nights {
    let nights = Nights::new("", import);
    nights.want(&["a"]);
    nights.push("a", 1);
    nights.export(&[]).succeeds();
    nights.carry();
    nights.import().succeeds();
    nights.bring_back();
    lose_layers(&nights, 1);
    nights.push("a", 2);
    nights.export(&[]).succeeds();
    nights.carry();
    nights
}

/// One night whose bundle cannot be imported, the next that makes it good, and one more as if nothing had been.
fn heals(nights: &Nights, change: impl Fn(u64)) {
    lose_layers(nights, 8);
    change(2);
    nights.export(&[]).succeeds();
    nights.carry();
    nights.import().ends_with(6).says("carry it back with the receipts");
    let [notice] = &notices(nights, "receipts")[..] else { panic!("{:?}", nights.list("receipts")) };
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
    assert_eq!(notices(nights, "receipts"), [] as [&str; 0], "nobody need carry it any more");

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
    // More layers before than one night's bundle takes for bases of its one layer, so that some were not looked for.
    let push = |version: u64| {
        let layers = if version == 1 { 6 } else { 1 };
        let image = (0..layers)
            .fold(ImageSpec::oci(), |image, at| image.layer(sides.layer(10 * version + at, "gzip -n -6")));
        nights.scene.source.client().push("team/a", "1", &image.build()).unwrap();
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
    let nights = bereft("");
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

#[test]
fn a_notice_that_cannot_be_written_holds_up_no_later_bundle() {
    let nights = bereft("");
    let bundle = nights.list("out").pop().unwrap();
    let in_the_way = nights.path("receipts", &bundle.replace(".tar", ".absent"));
    std::fs::create_dir(&in_the_way).unwrap();
    nights.import().ends_with(6).says("there is no notice of what is gone").says("would lack");
    nights.export(&["--again"]).succeeds();
    nights.carry();
    nights.import().ends_with(8).says("imported bundle s");
    nights.agrees(&["a"]);
    assert!(in_the_way.is_dir());
}

#[test]
fn a_notice_counts_without_any_receipt_and_whatever_the_job_forgot() {
    let nights = bereft("");
    nights.import().ends_with(6);
    nights.bring_back();
    // Somebody emptied the directory too far: the bundle under way is none that could arrive.
    let kept = notices(&nights, "back").pop().unwrap();
    for name in nights.list("back").iter().filter(|name| !name.starts_with(&kept)) {
        std::fs::remove_file(nights.path("back", name)).unwrap();
    }
    nights.export(&[]).succeeds().says("wrote bundle");
    let written = nights.list("out");
    nights.export(&[]).succeeds();
    assert_eq!(nights.list("out"), written, "once, not each night");
    // The outbox and the ledger are lost too.
    for directory in ["out", "state-a"] {
        std::fs::remove_dir_all(nights.scene.path(directory)).unwrap();
    }
    nights.export(&[]).succeeds();
    nights.export(&[]).succeeds();
    assert_eq!(nights.list("out").len(), 1, "{:?}", nights.list("out"));
    nights.carry();
    nights.import().ends_with(8).says("imported bundle s");
    nights.agrees(&["a"]);
}

#[test]
fn a_blob_is_sent_that_only_a_repository_has_whose_tag_is_anothers_now() {
    let nights = Nights::new("", "  onExistingTag: skip\n");
    for name in ["a", "b"] {
        nights.push(name, 1);
    }
    nights.export(&[]).succeeds();
    nights.carry();
    nights.import().succeeds();
    nights.bring_back();
    lose_layers(&nights, 1);
    // The tag of the other image is a stranger's since, and its repository still has the layer.
    let repository = format!("cache/{}/team/b", nights.scene.source.host().replace(':', "_"));
    nights.target.client().push(&repository, "1", &ImageSpec::oci().build()).unwrap();
    nights.push("a", 2);
    nights.export(&[]).succeeds();
    nights.carry();
    nights.import().ends_with(6);
    nights.bring_back();
    nights.export(&[]).succeeds();
    nights.carry();
    nights.import().says("imported bundle s");
    nights.agrees(&["a"]);
}

#[test]
fn a_stream_that_is_set_back_is_not_held_by_the_notice_of_a_number_that_was_taken_back() {
    let nights = bereft("");
    nights.import().ends_with(6);
    nights.bring_back();
    let notice = notices(&nights, "back").pop().unwrap();
    let back_to = nights.list("out").remove(0).trim_start_matches("s-").trim_end_matches(".tar").to_owned();
    let repair = ["stream", "repair", "s", "--back-to", &back_to, "--by", "x", "--reason", "y", "--yes"];
    nights.scene.bundle(repair).succeeds();
    assert!(notices(&nights, "back").is_empty());
    assert!(nights.path("back/taken-back", &notice).exists());
    assert!(nights.path("back/taken-back", &format!("{notice}.sig")).exists());
}
