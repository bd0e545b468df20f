//! The licences of images in `bundle report`, as the SBOMs that are attached to them say.
//! Takes SBOMs of publishers, one of them hostile; reads the report.

use bundle_test_servers::{LayerSpec, Platform};
use serde_json::{Value, json};

use crate::scene::{Scene, image};

#[test]
fn a_report_has_the_licences_of_each_image_whose_sbom_says_them() {
    let scene = Scene::empty();
    let client = scene.source.client();
    let host = scene.source.host().to_owned();
    let spdx = json!({"spdxVersion": "SPDX-2.3", "packages": [
        {"name": "a", "licenseConcluded": "MIT", "licenseDeclared": "NOASSERTION"},
        {"name": "b", "licenseConcluded": "NOASSERTION", "licenseDeclared": "GPL-2.0-only AND MIT"},
        {"name": "c", "licenseConcluded": "NOASSERTION"}]});
    let cyclonedx = json!({"bomFormat": "CycloneDX", "components": [
        {"type": "library", "licenses": [{"license": {"name": "=<script>|`"}}]}]});
    let documents = [
        ("spdx", "application/spdx+json", spdx.to_string()),
        ("hostile", "application/vnd.cyclonedx+json", cyclonedx.to_string()),
        ("broken", "application/vnd.cyclonedx+json", "<bom/>".to_owned()),
    ];
    let base = LayerSpec::new(1, 10_000).build();
    let mut references = Vec::new();
    for (seed, (name, media_type, document)) in (2..).zip(&documents) {
        let image = image(&base, seed, Platform::linux_amd64());
        let repository = format!("team/{name}");
        client.push(&repository, "1", &image).unwrap();
        let sbom = image.referrer(media_type, document.as_bytes());
        client.push_referrers(&repository, &image, &[sbom]).unwrap();
        references.push(format!("{host}/{repository}:1"));
    }
    client.push("team/none", "1", &image(&base, 9, Platform::linux_amd64())).unwrap();
    references.push(format!("{host}/team/none:1"));
    scene.bundle(Scene::create_arguments(&references, "images.tar")).succeeds();
    let written = |trust: &[&str], name: &str| {
        scene.bundle([&["report", "images.tar", "-o", name][..], trust].concat()).succeeds();
        std::fs::read_to_string(scene.path(name)).unwrap()
    };
    let report: Value = serde_json::from_str(&written(&["--trust", "key.pub"], "report.json")).unwrap();
    let row = |name: &str| {
        let rows = report["rows"].as_array().unwrap();
        rows.iter().find(|row| row["repository"].as_str().unwrap().ends_with(name)).unwrap()
    };
    let licences = &row("/spdx")["licences"];
    assert_eq!((&licences["packages"], &licences["without"]), (&json!(3), &json!(1)));
    assert_eq!(
        licences["licences"],
        json!([{"name": "MIT", "packages": 2}, {"name": "GPL-2.0-only", "packages": 1}])
    );
    let unread = row("/broken")["licences"]["unread"][0].as_str().unwrap();
    assert!(unread.starts_with("it is not JSON"), "{unread}");
    assert_eq!((&row("/none")["licences"], &row("/none")["sboms"]), (&Value::Null, &json!(0)));
    let html = written(&["--trust", "key.pub"], "report.html");
    assert!(
        html.contains("yes<span class=\"why\">MIT, GPL-2.0-only, none for 1 of 3 packages</span>"),
        "{html}"
    );
    assert!(html.contains("=&lt;script&gt;|`") && !html.contains("<script"));
    let csv = written(&["--trust", "key.pub"], "report.csv");
    assert!(csv.contains("\"MIT; GPL-2.0-only; none for 1 of 3 packages\""), "{csv}");
    assert!(csv.contains("\"'=<script>|`\""), "{csv}");
    assert!(written(&["--trust", "key.pub"], "report.md").contains("licences `MIT`, `GPL-2.0-only`"));
    // Of a bundle that nobody signed, no document is opened.
    let report: Value = serde_json::from_str(&written(&["--unverified"], "report.json")).unwrap();
    assert!(report["rows"].as_array().unwrap().iter().all(|row| row["licences"] == Value::Null));
}
