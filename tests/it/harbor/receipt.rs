//! The receipt of an import into Harbor, and the changes since. Takes a Harbor with findings; reads receipts,
//! and the output of `harbor drift`.

use bundle_test_servers::{Fault, FaultProxy, Findings, Matcher, Rule, Severity};
use serde_json::Value;

use crate::harbor::scene::HarborScene;

fn receipt(it: &HarborScene) -> Value {
    serde_json::from_slice(&std::fs::read(it.scene.path("r.json")).unwrap()).unwrap()
}

#[test]
fn a_receipt_has_policies_and_scans_and_diff_tells_what_changed_since() {
    let it = HarborScene::start();
    it.scene.bundle(["key", "generate", "key-site"]).succeeds();
    it.finds(Findings::clean().with(Severity::Medium, 2).fixable(1));
    it.write("harbor.yaml", "projects:\n  tenant-a: {quota: 1GiB, immutableTags: ['v*']}\n");
    it.import(&["--wait-for-scan", "--receipt", "r.json", "--receipt-key", "key-site"]).succeeds();
    let receipt = receipt(&it);
    let tenant = &receipt["policies"]["tenant-a"];
    assert_eq!(tenant["public"], false);
    assert_eq!(tenant["scanOnPush"], true);
    assert_eq!(tenant["blockedFrom"], "high");
    assert_eq!(tenant["quota"], 1 << 30);
    assert_eq!(tenant["immutableTags"][0], "v*");
    let artifacts = receipt["artifacts"].as_array().unwrap();
    let app = artifacts.iter().find(|it| it["target"]["repository"] == "web-app").unwrap();
    assert_eq!(app["outcome"], "pushed");
    assert_eq!(app["scan"]["verdict"], "warned");
    assert_eq!(app["scan"]["counts"]["medium"], 2);
    assert_eq!(app["scan"]["fixable"], 1);
    assert_eq!(it.harbor.pulls(), 0);
    let to = format!("http://{}", it.harbor.host());
    let diff = ["harbor", "diff", "r.json", "--to", &to, "--trust", "key-site.pub"];
    it.bundle(&diff).succeeds().says("are as the receipt says");
    // Content that Harbor's storage lost is found where it is read back.
    let proving: Vec<&str> = diff.iter().copied().chain(["--prove"]).collect();
    // Artifacts blocked by the policy are not read back, and that is no success.
    it.bundle(&proving).ends_with(6).says("team/multi:1 is held back by a policy").says("not read back");
    let proxy = FaultProxy::start(it.harbor.host()).unwrap();
    proxy.add(Rule::new(Matcher::new("GET", "/blobs/sha256:"), Fault::WrongBytes { at: 0 }));
    let through = format!("http://{}", proxy.host());
    let elsewhere = std::fs::read_to_string(it.scene.path("r.json")).unwrap();
    it.write("r2.json", &elsewhere.replace(it.harbor.host(), proxy.host()));
    it.bundle(&["harbor", "diff", "r2.json", "--to", &through]).succeeds();
    it.bundle(&["harbor", "diff", "r2.json", "--to", &through, "--prove"])
        .ends_with(3)
        .says("is damaged in the registry: sha256:");
    // A stranger's push is found with `--extra`, and the record is no stranger's.
    let extra: Vec<&str> = diff.iter().copied().chain(["--extra"]).collect();
    it.bundle(&extra).succeeds().says("are as the receipt says");
    let stranger = bundle_test_servers::ImageSpec::oci().label("stranger", "yes").build();
    it.harbor.admin().push("cache/stranger", "1", &stranger).unwrap();
    it.bundle(&diff).succeeds();
    it.bundle(&extra).ends_with(6).says("cache/stranger:1 is sha256:").says("which no receipt names");
    // Someone does things by hand.
    it.harbor.set_metadata("cache", "public", "true");
    it.harbor.set_metadata("platform", "prevent_vul", "false");
    it.harbor.recreate_project("tenant-a");
    let other = bundle_test_servers::ImageSpec::oci().label("other", "yes").build();
    it.harbor.admin().push("platform/llm-gateway", "v1.0.0", &other).unwrap();
    it.bundle(&diff)
        .ends_with(6)
        .says("the project cache: access is public; it was private")
        .says("the project platform: prevention of pulls is never; it was high")
        .says("the project tenant-a: quota is unlimited; it was 1.0 GiB")
        .says("tenant-a/web-app:v2.1.0 is gone")
        .says("platform/llm-gateway:v1.0.0 is sha256:");
    let mut json = diff.to_vec();
    json.push("--json");
    let json = it.bundle(&json).ends_with(6).json();
    assert_eq!(json["verified"], true);
    assert!(json["drift"].as_array().unwrap().len() >= 5);
    // A receipt that was touched is no receipt.
    let text = std::fs::read_to_string(it.scene.path("r.json")).unwrap();
    it.write("r.json", &text.replace("web-app", "web-apq"));
    it.bundle(&diff).ends_with(3);
}

#[test]
fn harbor_is_compared_with_the_newest_word_of_all_receipts_on_each_tag() {
    let it = HarborScene::start();
    it.scene.bundle(["key", "generate", "key-site"]).succeeds();
    it.scene.shell("mkdir receipts").succeeds();
    let receipt = |name: &str| {
        [
            "--receipt".to_owned(),
            format!("receipts/{name}.json"),
            "--receipt-key".to_owned(),
            "key-site".to_owned(),
        ]
    };
    let import = |name: &str| {
        let receipt = receipt(name);
        it.import(&receipt.iter().map(String::as_str).collect::<Vec<_>>()).succeeds()
    };
    import("b");
    // The next night moves one tag, adds an image, and no longer has the others.
    std::fs::remove_file(it.scene.path("b.tar")).unwrap();
    it.push_image("team/docker", "1", 77);
    it.push_image("team/new", "1", 78);
    let next = "name: nightly\nprojects:\n  cache:\n    images: [SOURCE/team/new:1]\n  platform:\n    images: ['SOURCE/team/docker:1 => llm-gateway:v1.0.0']\n";
    it.write("bundle.yaml", &next.replace("SOURCE", it.scene.source.host()));
    it.scene.bundle(["create", "--key", "key", "-o", "b.tar"]).succeeds();
    import("a");
    let to = format!("http://{}", it.harbor.host());
    let diff = |receipts: &[&str], more: &[&str]| {
        let all = [&["harbor", "diff"], receipts, &["--to", &to, "--trust", "key-site.pub"], more].concat();
        it.bundle(&all)
    };
    // The first receipt alone is out of date, and the last one alone does not know all.
    diff(&["receipts/b.json"], &[]).ends_with(6).says("platform/llm-gateway:v1.0.0 is sha256:");
    diff(&["receipts/a.json"], &["--extra"]).ends_with(6).says("which no receipt names");
    let both = ["receipts/b.json", "receipts/a.json"];
    for receipts in [&both[..], &[both[1], both[0]], &["receipts"]] {
        diff(receipts, &["--extra"])
            .succeeds()
            .says("2 receipts; the newest is of bundle nightly")
            .says("are as the receipts say");
    }
    let json = diff(&["receipts"], &["--json"]).succeeds().json();
    let first: Value =
        serde_json::from_slice(&std::fs::read(it.scene.path("receipts/b.json")).unwrap()).unwrap();
    let tags = first["artifacts"].as_array().unwrap().len() + 1;
    assert_eq!((&json["receipts"], &json["artifacts"]), (&2.into(), &tags.into()), "{json}");
    // An artifact that only the first night delivered is missed, too.
    it.harbor.recreate_project("tenant-a");
    diff(&["receipts"], &[]).ends_with(6).says("tenant-a/web-app:v2.1.0 is gone");
    // Another registry's receipt is an error by its name, and left alone in a directory.
    let text = std::fs::read_to_string(it.scene.path("receipts/a.json")).unwrap();
    it.write("receipts/other.json", &text.replace(it.harbor.host(), "harbor.other.example"));
    it.bundle(&["harbor", "diff", "receipts/other.json", "--to", &to])
        .ends_with(2)
        .says("is of harbor.other.example");
    it.bundle(&["harbor", "diff", "receipts", "--to", &to])
        .ends_with(6)
        .says("1 receipt of other registries left alone");
    // An unsigned receipt does not count, in any place.
    diff(&["receipts"], &[]).ends_with(2).says("receipts/other.json.sig cannot be read");
}

#[test]
fn there_is_no_receipt_of_what_is_not_there() {
    let it = HarborScene::start();
    let admin = it.harbor.admin();
    let other = bundle_test_servers::ImageSpec::oci().label("other", "yes").build();
    // Another client moves the tag after it was set and read back.
    let lookup = bundle_test_servers::Matcher::new("GET", "/repositories/web-app/artifacts/v2.1.0");
    it.harbor.before(lookup, 2, move |_| {
        admin.push("tenant-a/web-app", "v2.1.0", &other).unwrap();
    });
    it.import(&["--receipt", "r.json"]).ends_with(6).says("tenant-a/web-app:v2.1.0");
    assert!(!it.scene.path("r.json").exists());
}

#[test]
fn a_setting_that_harbor_takes_and_does_not_keep_stops_the_import() {
    let it = HarborScene::start();
    let proxy = FaultProxy::start(it.harbor.host()).unwrap();
    // Harbor answers 200 to a change of a project, and whoever stands before it never passed it on.
    let taken = bundle_test_servers::Response::new(200);
    proxy.add(Rule::new(Matcher::new("PUT", "/api/v2.0/projects/"), Fault::Status(taken)));
    it.harbor.add_project("platform");
    it.harbor.set_metadata("platform", "public", "true");
    let to = format!("http://{}", proxy.host());
    it.bundle(&["import", "b.tar", "--to", &to, "--trust", "key.pub"])
        .ends_with(4)
        .says("project platform was changed, but");
    assert!(it.harbor.tags("platform/llm-gateway").is_empty());
}
