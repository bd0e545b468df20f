//! What goes and what stays, rule by rule.
//! Each test is a small scene with the one thing that matters.

use std::collections::BTreeSet;

use bundle_format::Outcome::{Moved, Present, Pushed, Skipped};
use bundle_format::Timestamp;
use bundle_oci::Digest;

use crate::ledger::tests::{bundle, digest};
use crate::plan::tests::scene::{Scene, live};
use crate::{Freed, LiveAccessory, Why};

#[test]
fn what_no_kept_bundle_wants_goes_and_its_own_bytes_are_counted_once() {
    let scene = Scene::default()
        .night("s", 1, &[("a:1", "a1", Pushed), ("b:1", "b1", Pushed), ("c:latest", "c1", Pushed)])
        .night("s", 2, &[("a:2", "a2", Pushed), ("b:1", "b1", Present), ("c:latest", "c2", Moved)])
        .has("a", vec![live("a1", &["1"]), live("a2", &["2"])])
        .has("b", vec![live("b1", &["1"])])
        .has("c", vec![live("c1", &[]), live("c2", &["latest"])]);
    assert_eq!(scene.lines(1), (vec!["a:1!".to_owned(), "c:!".to_owned()], vec![]));
    let (removals, _, freed) = scene.plan(1);
    // Manifest and layer of each, and not the base that all share.
    assert_eq!(freed, Freed { blobs: 4, bytes: 2200 });
    assert_eq!(removals[0].bytes, 6100);
    assert_eq!(removals[0].brought_by, bundle("s", 1));
    assert_eq!(scene.lines(2), (vec![], vec![]));
}

#[test]
fn nothing_goes_that_people_pushed_moved_tagged_or_signed() {
    let mut signed = live("d1", &["1"]);
    signed.accessories.push(LiveAccessory { digest: digest("their signature"), of_harbor: false });
    let mut theirs = live("their index", &["x"]);
    theirs.children.push(digest("e1"));
    let scene = Scene::default()
        .night(
            "s",
            1,
            &[
                ("a:1", "a1", Present),
                ("b:1", "b1", Pushed),
                ("c:1", "c1", Pushed),
                ("d:1", "d1", Pushed),
                ("e:1", "e1", Pushed),
                ("f:1", "f1", Skipped),
            ],
        )
        .night("s", 2, &[("z:1", "z", Pushed)])
        .has("a", vec![live("a1", &["1"]), live("own", &["dev"])])
        .has("b", vec![live("other", &["1"])])
        .has("c", vec![live("c1", &["1", "stable"])])
        .has("d", vec![signed])
        .has("e", vec![live("e1", &["1"]), theirs])
        .has("f", vec![live("theirs", &["1"])]);
    let (gone, left) = scene.lines(1);
    // Tags of the stream's own go; the artifacts stay with what people made of them.
    assert_eq!(gone, ["c:1", "e:1"]);
    assert_eq!(left, ["b:1 moved", "c tagged", "d attached", "e listed"]);
}

#[test]
fn a_tag_that_somebody_set_back_to_what_the_stream_gave_it_before_stays() {
    let scene = Scene::default()
        .night("s", 1, &[("c:latest", "c1", Pushed)])
        .night("s", 2, &[("c:latest", "c2", Moved)])
        .night("s", 3, &[("z:1", "z", Pushed)])
        .has("c", vec![live("c1", &["latest"]), live("c2", &[])]);
    let (gone, left) = scene.lines(1);
    assert_eq!((gone, left), (vec!["c:!".to_owned()], vec!["c:latest moved".to_owned()]));
    assert_eq!(scene.plan(1).0[0].digest, digest("c2"));
}

#[test]
fn the_registrys_own_record_and_what_has_tags_that_cannot_be_named_stay() {
    let mut odd = live("a1", &["1"]);
    odd.has_other_tags = true;
    let scene = Scene::default()
        .night("s", 1, &[("bundle-state:s.1.0", "record", Pushed), ("a:1", "a1", Pushed)])
        .night("s", 2, &[("z:1", "z", Pushed)])
        .has("bundle-state", vec![live("record", &["s.1.0"])])
        .has("a", vec![odd]);
    // The stream's own tag goes, and the image stays with the other.
    assert_eq!(scene.lines(1).0, ["a:1"]);
}

#[test]
fn what_another_stream_wants_is_wanted() {
    let scene = Scene::default()
        .night("s", 1, &[("a:1", "a1", Pushed), ("b:1", "b1", Pushed)])
        .night("s", 2, &[("z:1", "z", Pushed)])
        .night("t", 1, &[("a:1", "a1", Present)])
        .has("a", vec![live("a1", &["1"])])
        .has("b", vec![live("b1", &["1"])]);
    assert_eq!(scene.lines(1), (vec!["b:1!".to_owned()], vec![]));
}

#[test]
fn what_runs_was_pulled_lately_or_is_immutable_stays_and_is_said() {
    let time = |at| Timestamp::from_unix(at).unwrap();
    let mut pulled = live("a1", &["1"]);
    pulled.pulled = Some(time(500));
    let mut long_ago = live("b1", &["1"]);
    long_ago.pulled = Some(time(499));
    let mut fixed = live("c1", &["1", "2"]);
    fixed.tags[0].immutable = true;
    let mut by_tag = live("e2", &["1", "2"]);
    by_tag.tags[0].pulled = Some(time(600));
    let mut scene = Scene::default()
        .night(
            "s",
            1,
            &[
                ("a:1", "a1", Pushed),
                ("b:1", "b1", Pushed),
                ("c:1", "c1", Pushed),
                ("c:2", "c1", Pushed),
                ("d:1", "d1", Pushed),
                ("e:1", "e2", Pushed),
                ("f:1", "f1", Pushed),
            ],
        )
        .night("s", 2, &[("e:2", "e2", Pushed)])
        .has("a", vec![pulled])
        .has("b", vec![long_ago])
        .has("c", vec![fixed])
        .has("d", vec![live("d1", &["1"])])
        .has("e", vec![by_tag])
        .has("f", vec![live("f1", &["1"])]);
    scene.pulled_since = Some(time(500));
    scene.in_use.add("harbor.example/cache/d:1").unwrap();
    scene.in_use.add(&format!("docker.io/x/y@{}", digest("layer of f1"))).unwrap();
    let (gone, mut left) = scene.lines(1);
    left.sort();
    assert_eq!(gone, ["b:1!", "c:2"]);
    assert_eq!(left, ["a pulled", "c:1 immutable", "d in-use", "e:1 pulled", "f in-use"]);
    scene.pulled_since = None;
    assert_eq!(scene.lines(1).0, ["a:1!", "b:1!", "c:2", "e:1"]);
}

#[test]
fn an_index_takes_along_only_what_nothing_else_needs() {
    let index = |of: &str, tags: &[&str], children: &[&str]| {
        let mut index = live(of, tags);
        index.children = children.iter().map(|child| digest(child)).collect();
        index
    };
    let mut attached = index("i4", &["4"], &["p6"]);
    attached.accessories.push(LiveAccessory { digest: digest("sig"), of_harbor: false });
    attached.accessories.push(LiveAccessory { digest: digest("sbom"), of_harbor: true });
    let scene = Scene::default()
        .night(
            "s",
            1,
            &[
                ("a:1", "i1", Pushed),
                ("a:2", "i2", Pushed),
                ("a:4", "i4", Pushed),
                ("a:p1", "p1", Pushed),
                ("a", "sig", Pushed),
            ],
        )
        .night("s", 2, &[("a:3", "i3", Pushed), ("a", "p4", Pushed)])
        .has(
            "a",
            vec![
                index("i1", &["1"], &["p1", "p2"]),
                index("i2", &["2"], &["p3", "p4"]),
                index("i3", &["3"], &["p2", "p5"]),
                attached,
                live("p1", &["p1"]),
                live("p2", &[]),
                live("p3", &[]),
                live("p4", &[]),
                live("p5", &[]),
                live("p6", &[]),
            ],
        );
    let (removals, left, _) = scene.plan(1);
    let with = |of: &str| -> BTreeSet<Digest> {
        let removal = removals.iter().find(|it| it.digest == digest(of)).unwrap();
        removal.with.iter().copied().collect()
    };
    // p2 is i3's too, and p1 has a tag of its own, which goes after its index.
    assert!(with("i1").is_empty());
    assert_eq!(with("i4"), [digest("p6"), digest("sig"), digest("sbom")].into());
    let position = |of: &str| removals.iter().position(|it| it.digest == digest(of));
    assert!(position("i1") < position("p1"));
    // i2 would take p4 along, which the kept bundle has by its digest.
    assert_eq!(position("i2"), None);
    let of_i2 = left.iter().find(|it| it.digest == digest("i2")).unwrap();
    assert_eq!(of_i2.why, Why::Shared(digest("p4")));
}
