//! `missing`: images whose tags or repositories are gone. Takes registries that lose tags and repositories, fail, or
//! refuse; says what stops a bundle, what is carried instead, and where it is reported.

use bundle_test_servers::{Fault, FaultProxy, ImageSpec, LayerSpec, Matcher, Response, Rule};

use crate::scene::{Ran, Scene};
use crate::sync::jobs::Nights;
use crate::wanted::plan::names;

fn push(scene: &Scene, repository: &str, tag: &str, seed: u64) -> String {
    let image = ImageSpec::oci().layer(LayerSpec::new(seed, 1_000)).build();
    scene.source.client().push(repository, tag, &image).unwrap();
    image.digest
}

/// Two images, of which one is asked for through a proxy with a policy.
struct Gone {
    scene: Scene,
    proxy: FaultProxy,
    /// The digest of the image that will be gone.
    digest: String,
}

/// What Docker's registry says of a manifest and a repository that it does not have (distribution, errors.go).
fn unknown(code: &str) -> String {
    format!(r#"{{"errors":[{{"code":"{code}","message":"unknown","detail":{{}}}}]}}"#)
}

impl Gone {
    fn new(missing: &str) -> Self {
        let scene = Scene::empty();
        let proxy = FaultProxy::start(scene.source.host()).unwrap();
        push(&scene, "team/here", "1", 1);
        let digest = push(&scene, "team/gone", "1", 2);
        let gone = Self { scene, proxy, digest };
        gone.want(missing);
        gone
    }

    fn want(&self, missing: &str) {
        let host = self.proxy.host();
        let text = format!(
            "name: s\nprojects:\n  cache:\n    images:\n    - {host}/team/here:1\n    - {{ref: '{host}/team/gone:1'{missing}}}\n"
        );
        std::fs::write(self.scene.path("bundle.yaml"), text).unwrap();
    }

    /// Takes the tag away; the manifest stays.
    fn untag(&self) {
        self.refuse("/team/gone/manifests/1", 404, unknown("MANIFEST_UNKNOWN"));
    }

    fn refuse(&self, path: &'static str, status: u16, body: String) {
        self.proxy.clear_rules();
        self.proxy.answer_with(move |head| {
            head.path_and_query.ends_with(path).then(|| Response::json(status, body.clone()))
        });
    }

    fn dry(&self, arguments: &[&str]) -> Ran {
        self.scene.bundle([&["create", "--dry-run", "--json", "--retries", "0"], arguments].concat())
    }
}

#[test]
fn an_image_that_is_gone_stops_the_bundle_unless_it_may_be_left_out_and_then_it_is_reported() {
    let gone = Gone::new("");
    gone.untag();
    gone.dry(&[]).ends_with(4).says("has no such image").says("--missing");
    let ran = gone.dry(&["--missing", "skip"]).succeeds();
    assert_eq!(names(&ran), ["here:1"]);
    let note = "team/gone:1 (bundle.yaml:6) is gone at its registry and is left out";
    assert!(ran.stderr.contains(note), "{}", ran.stderr);
    let missing = &ran.json()["missing"];
    assert_eq!(missing[0]["kept"], serde_json::Value::Null);
    assert!(missing[0]["image"].as_str().unwrap().ends_with("/team/gone:1"), "{missing}");
    assert_eq!(missing[0]["why"][0], "bundle.yaml:6");
    gone.want(", missing: skip");
    assert_eq!(names(&gone.dry(&[]).succeeds()), ["here:1"]);
    gone.dry(&["--missing", "fail"]).ends_with(4);
    // A repository that is gone, in the words of Docker's registry and of Harbor.
    for code in ["NAME_UNKNOWN", "NOT_FOUND"] {
        gone.refuse("/team/gone/manifests/1", 404, unknown(code));
        assert_eq!(names(&gone.dry(&[]).succeeds()), ["here:1"], "{code}");
    }
    // A lock remembers that it was left out: --locked is exact.
    gone.scene.bundle(["lock", "--retries", "0"]).succeeds().says(note);
    gone.proxy.clear();
    gone.proxy.clear_rules();
    assert_eq!(names(&gone.dry(&["--locked"]).succeeds()), ["here:1"]);
    assert!(gone.proxy.requests().iter().all(|request| !request.path_and_query.contains("team/gone")));
    assert_eq!(gone.dry(&[]).succeeds().json()["artifacts"].as_array().unwrap().len(), 2);
    // If nothing is left, there is no bundle.
    gone.refuse("/manifests/1", 404, unknown("NAME_UNKNOWN"));
    std::fs::remove_file(gone.scene.path("bundle.lock")).unwrap();
    gone.dry(&["--missing", "skip"]).ends_with(6).says("all images (2) are gone at their registries");
}

#[test]
fn what_is_no_word_of_the_registry_that_an_image_is_gone_always_stops_the_bundle() {
    let gone = Gone::new(", missing: skip");
    let path = "/team/gone/manifests/1";
    let proxies = [
        (401, unknown("UNAUTHORIZED")),
        (403, unknown("DENIED")),
        (404, "404 page not found\n".to_owned()), // Traefik's and Go's, when no backend is there
        (404, "{}".to_owned()),
        (404, unknown("UNSUPPORTED")),
        (429, unknown("TOOMANYREQUESTS")),
        (500, unknown("UNKNOWN")),
        (503, String::new()),
    ];
    for (status, body) in proxies {
        gone.refuse(path, status, body.clone());
        for missing in ["skip", "keep-last"] {
            let ran = gone.dry(&["--missing", missing]).ends_with(4);
            assert!(ran.stdout.is_empty(), "{status} {body}: {ran:?}");
        }
    }
    gone.proxy.clear_rules();
    gone.proxy.add(Rule::new(Matcher::path(path), Fault::ResetAfter(0)));
    gone.dry(&[]).ends_with(4);
    // A mirror that lacks an image says nothing about the registry that cannot be reached.
    let mirror = FaultProxy::start(gone.scene.source.host()).unwrap();
    let host = mirror.host();
    let arguments = ["registry.invalid/team/here:1", "registry.invalid/team/none:1", "--missing", "skip"];
    let mirrored = ["--mirror", &format!("registry.invalid={host}")];
    gone.dry(&[&arguments[..], &mirrored].concat()).ends_with(4);
}

#[test]
fn the_last_digest_is_kept_from_the_last_lock_and_reported_and_if_it_is_gone_too_the_lock_fails() {
    let gone = Gone::new(", missing: keep-last");
    let lock = || gone.scene.bundle(["lock", "--json", "--retries", "0"]);
    lock().succeeds();
    gone.untag();
    let ran = lock().succeeds();
    let missing = ran.json()["missing"].clone();
    assert_eq!(missing[0]["kept"], gone.digest);
    assert!(ran.stderr.contains("is gone at its registry; its last digest sha256:"), "{}", ran.stderr);
    let text = std::fs::read_to_string(gone.scene.path("bundle.lock")).unwrap();
    assert!(text.contains(&gone.digest), "{text}");
    // The signed statement says so too.
    std::fs::rename(gone.scene.path("bundle.lock"), gone.scene.path("kept.lock")).unwrap();
    gone.dry(&[]).ends_with(4).says("has no such image");
    std::fs::rename(gone.scene.path("kept.lock"), gone.scene.path("bundle.lock")).unwrap();
    // Other platforms than those of the lock: the tag is asked for, and the digest is known nevertheless.
    let ran = gone.dry(&["--platform", "linux/amd64"]).succeeds();
    assert_eq!(ran.json()["missing"][0]["kept"], gone.digest);
    let reasons = ran.json()["artifacts"].to_string();
    assert!(reasons.contains("tag: gone upstream, its last digest is carried"), "{reasons}");
    gone.scene.source.client().delete_manifest("team/gone", &gone.digest).ok();
    gone.proxy.clear_rules();
    gone.proxy.answer_with(|head| {
        head.path_and_query.contains("/team/gone/").then(|| Response::json(404, unknown("MANIFEST_UNKNOWN")))
    });
    lock().ends_with(6).says("the tag is gone, and its last digest").says("skip in bundle.yaml");
}

#[test]
fn a_chart_may_lack_an_image_that_is_gone_if_that_is_the_policy() {
    let gone = Gone::new("");
    let host = gone.proxy.host();
    std::fs::create_dir_all(gone.scene.path("web/templates")).unwrap();
    std::fs::write(gone.scene.path("web/Chart.yaml"), "apiVersion: v2\nname: web\nversion: 1.0.0\n").unwrap();
    let pod = |name: &str| {
        format!(
            "apiVersion: v1\nkind: Pod\nmetadata: {{name: {name}}}\nspec: {{containers: [{{name: c, image: \"{host}/team/{name}:1\"}}]}}\n"
        )
    };
    let pods = format!("{}---\n{}", pod("here"), pod("gone"));
    std::fs::write(gone.scene.path("web/templates/pods.yaml"), pods).unwrap();
    gone.untag();
    let text = |missing: &str| format!("{missing}projects: {{cache: {{charts: [{{path: web}}]}}}}\n");
    std::fs::write(gone.scene.path("bundle.yaml"), text("")).unwrap();
    assert_ne!(gone.dry(&[]).code, Some(0));
    std::fs::write(gone.scene.path("bundle.yaml"), text("missing: skip\n")).unwrap();
    let ran = gone.dry(&[]).succeeds();
    assert!(names(&ran).contains(&"here:1".to_owned()) && !names(&ran).contains(&"gone:1".to_owned()));
    assert!(ran.json()["missing"][0]["image"].as_str().unwrap().ends_with("/team/gone:1"));
}

#[test]
fn a_tag_that_is_gone_stops_no_night_and_fires_an_alert_until_it_is_back() {
    let nights = Nights::new("", "");
    let proxy = FaultProxy::start(nights.scene.source.host()).unwrap();
    let host = proxy.host().to_owned();
    let want = |missing: &str| {
        let text = format!(
            "name: s\nmissing: {missing}\nprojects:\n  cache:\n    images: ['{host}/team/a:1', '{host}/team/b:1', '{host}/team/c:*']\n"
        );
        std::fs::write(nights.scene.path("bundle.yaml"), text).unwrap();
    };
    let metric = |handling: &str| {
        let text = std::fs::read_to_string(nights.scene.path("export.prom")).unwrap();
        let name = format!("bundle_export_missing_images{{stream=\"s\",handling=\"{handling}\"}} ");
        let value = text.lines().find_map(|line| line.strip_prefix(&name)).map(str::to_owned);
        value.unwrap_or_else(|| panic!("{name} is not in {text}"))
    };
    let metrics = || (metric("keep-last"), metric("skip"));
    let both = |kept: &str, skipped: &str| (kept.to_owned(), skipped.to_owned());
    ["a", "b", "c"].iter().zip(10..).for_each(|(name, seed)| nights.push(name, seed));
    want("keep-last");
    nights.export(&["--retries", "0"]).succeeds().says("wrote bundle");
    assert_eq!(metrics(), both("0", "0"));
    let lose = || {
        proxy.clear_rules();
        proxy.answer_with(|head| {
            let path = head.path();
            let is_gone = path.ends_with("/team/b/manifests/1") || path.contains("/team/c/tags/");
            is_gone.then(|| Response::json(404, unknown("MANIFEST_UNKNOWN")))
        });
    };
    lose();
    nights.push("a", 20);
    let ran = nights.export(&["--retries", "0", "--json"]).succeeds();
    assert!(
        ran.stderr.contains("team/b:1") && ran.stderr.contains("is gone at its registry"),
        "{}",
        ran.stderr
    );
    assert!(
        ran.stderr.contains("team/c:* matches no tag any more; what the last run had (1 tag) is carried"),
        "{}",
        ran.stderr
    );
    assert!(ran.json()["bundle"].is_object(), "{}", ran.stdout);
    assert_eq!(ran.json()["missing"].as_array().unwrap().len(), 1);
    assert_eq!(metrics(), both("1", "0"));
    let status = nights.document("export.json");
    let image = &status["status"]["missing"][0];
    assert!(image["image"].as_str().unwrap().ends_with("/team/b:1") && image["kept"].is_string(), "{status}");
    // A night that fails does not forget.
    proxy.add(Rule::new(Matcher::path("/team/a/manifests"), Fault::status(500)));
    nights.export(&["--retries", "0"]).ends_with(4);
    assert_eq!(metrics(), both("1", "0"));
    lose();
    // The whole image is in the bundle, by its digest.
    nights.carry();
    nights.import().succeeds();
    let target = nights.target.client();
    let repository = format!("cache/{}/team/b", host.replace(':', "_"));
    let here = nights.scene.source.client().manifest("team/b", "1").unwrap().unwrap().digest;
    assert_eq!(target.manifest(&repository, "1").unwrap().unwrap().digest, here);
    want("skip");
    let ran = nights.export(&["--retries", "0", "--json"]).succeeds();
    assert_eq!(ran.json()["missing"].as_array().unwrap().len(), 2);
    assert_eq!(metrics(), both("0", "2"));
    proxy.clear_rules();
    nights.export(&["--retries", "0"]).succeeds();
    assert_eq!(metrics(), both("0", "0"));
}
