//! An import's requests to a registry. Takes imports of few and of more images that share a layer; says how
//! many requests of each sort one more image costs, and what a registry may refuse of them.

use std::collections::BTreeMap;
use std::time::Duration;

use bundle_test_servers::{
    Check, DockerRegistry, Fault, FaultProxy, ImageSpec, LayerSpec, Matcher, Response, Rule,
};

use crate::scene::{CREATED, Ran, Scene};

/// A bundle of so many images, each with a layer of its own on a base that all share.
fn bundle(scene: &Scene, images: u64) -> String {
    let base = LayerSpec::new(1000, 30_000).build();
    let references: Vec<String> = (0..images)
        .map(|number| {
            let image = ImageSpec::oci().layer(base.clone()).layer(LayerSpec::new(number, 9_000)).build();
            scene.source.client().push(&format!("team/{number}"), "1", &image).unwrap();
            format!("{}/team/{number}:1", scene.source.host())
        })
        .collect();
    let name = format!("{images}.tar");
    let mut arguments = vec!["create".to_owned()];
    arguments.extend(references);
    arguments.extend(["--key", "key", "--created", CREATED, "-o", &name].map(str::to_owned));
    scene.bundle(arguments).succeeds();
    name
}

/// Imports into an empty registry behind a proxy with these rules; the requests by their sort.
fn import(scene: &Scene, bundle: &str, rules: Vec<Rule>) -> BTreeMap<String, usize> {
    let target = DockerRegistry::start().unwrap();
    let proxy = FaultProxy::start(target.host()).unwrap();
    rules.into_iter().for_each(|rule| proxy.add(rule));
    let state = format!("state-{}", proxy.host());
    scene
        .bundle(["import", bundle, "--to", proxy.host(), "--trust", "key.pub", "--state", &state])
        .succeeds();
    assert_eq!(target.client().check_complete(Check::Hash).unwrap(), []);
    proxy.tally()
}

/// The tag is looked up, and read back; config and layer are each begun and sent; the base is mounted; each
/// of these three is looked up after it is stored; the manifest is put by its digest, and by its tag once all
/// others are there.
#[test]
fn one_more_image_costs_twelve_requests_and_no_blob_is_looked_for_beforehand() {
    let scene = Scene::empty();
    let [few, more] = [2, 7].map(|images| import(&scene, &bundle(&scene, images), Vec::new()));
    let costs: BTreeMap<&str, usize> = more
        .iter()
        .map(|(what, count)| (what.as_str(), count - few.get(what).copied().unwrap_or_default()))
        .filter(|(_, count)| *count > 0)
        .collect();
    let expected = BTreeMap::from([
        ("HEAD blobs", 5 * 3),
        ("HEAD manifests", 5 * 2),
        ("POST uploads", 5 * 3),
        ("PUT uploads", 5 * 2),
        ("PUT manifests", 5 * 2),
    ]);
    assert_eq!(costs, expected, "{few:?} {more:?}");
}

#[test]
fn a_registry_that_refuses_to_mount_is_asked_in_another_way_and_sent_everything() {
    let scene = Scene::empty();
    let bundle = bundle(&scene, 5);
    for status in [400, 404, 405] {
        let refuses = Rule::new(Matcher::new("POST", "mount="), Fault::status(status));
        let tally = import(&scene, &bundle, vec![refuses]);
        assert!(tally.contains_key("HEAD blobs"), "{status}: {tally:?}");
    }
}

#[test]
fn what_an_import_that_ended_early_left_behind_is_found_without_sending_it_again() {
    let scene = Scene::empty();
    let bundle = bundle(&scene, 5);
    let target = DockerRegistry::start().unwrap();
    let proxy = FaultProxy::start(target.host()).unwrap();
    proxy.add(Rule::new(Matcher::new("PUT", "/manifests/"), Fault::status(403)));
    let import = ["import", &bundle, "--to", proxy.host(), "--trust", "key.pub", "--retries", "0"];
    scene.bundle(import).ends_with(4);
    proxy.clear_rules();
    proxy.clear();
    scene.bundle(import).succeeds().says("0 blobs sent");
    // The record's empty config and the list of the stream's tags alone.
    assert_eq!(proxy.count("PUT uploads"), 2, "{:?}", proxy.tally());
    assert_eq!(target.client().check_complete(Check::Hash).unwrap(), []);
}

/// A registry that takes few requests at once answers 503 (nginx' `limit_conn`, ngx_http_limit_conn_module)
/// or 429 (the same with `limit_conn_status 429`, Docker Hub's abuse limit with a plain text, Amazon's and
/// GitHub's `TOOMANYREQUESTS`). The import makes fewer at once from then on, instead of running into it again
/// and again.
#[test]
fn a_registry_that_takes_few_requests_at_once_is_soon_asked_no_more_than_that() {
    let scene = Scene::empty();
    let images = 40;
    let bundle = bundle(&scene, images);
    for (most, refusal, piped) in
        [(2, Response::new(503), false), (5, Response::error(429, "TOOMANYREQUESTS", "Rate exceeded"), true)]
    {
        let target = DockerRegistry::start().unwrap();
        let proxy = FaultProxy::start(target.host()).unwrap();
        // A long line, so that many requests are made at once.
        proxy.add(Rule::new(Matcher::any(), Fault::Delay(Duration::from_millis(15))));
        proxy.admit_at_once(most, refusal);
        let source = if piped { "-" } else { &bundle };
        let mut command = scene.command(["import", source, "--to", proxy.host(), "--trust", "key.pub"]);
        command.stdin(std::fs::File::open(scene.path(&bundle)).unwrap());
        Ran::from(command.output().unwrap()).succeeds();
        assert_eq!(target.client().check_complete(Check::Hash).unwrap(), []);
        let (refused, all) = (proxy.refused(), proxy.requests().len());
        assert!(refused > 0, "it was never asked too much");
        assert!(refused < all / 6, "{refused} of {all} requests were refused");
    }
}
