//! A fresh Harbor becomes the platform's registry, and stays what it is when nothing changed.
//! Takes `harbor.yaml`; looks at the projects, rules and robots in the double afterwards.

use std::collections::BTreeMap;

use bundle_test_servers::Robot;

use crate::harbor::scene::HarborScene;

fn metadata(pairs: &[(&str, &str)]) -> BTreeMap<String, String> {
    pairs.iter().map(|(key, value)| ((*key).to_owned(), (*value).to_owned())).collect()
}

#[test]
fn a_fresh_harbor_becomes_the_platforms_registry() {
    let it = HarborScene::start();
    it.import(&[])
        .succeeds()
        .says("create   tenant-a: private, automatic scan, pulls blocked from severity high");
    assert_eq!(it.harbor.projects(), ["cache", "library", "platform", "tenant-a"]);
    for project in ["cache", "platform", "tenant-a"] {
        let expected = metadata(&[
            ("public", "false"),
            ("auto_scan", "true"),
            ("prevent_vul", "true"),
            ("severity", "high"),
        ]);
        assert_eq!(it.harbor.metadata(project).unwrap(), expected, "{project}");
    }
    // Names as the platform wants them.
    assert!(it.harbor.tags("platform/llm-gateway").contains_key("v1.0.0"));
    assert!(it.harbor.tags("tenant-a/web-app").contains_key("v2.1.0"));
    assert!(it.harbor.tags(&it.cached("team/multi")).contains_key("1"));
    // The shared base was sent once and mounted into the other projects.
    assert!(it.asked("POST", "&from=") + it.asked("POST", "?mount=") > 0);
    // Harbor believes a client's sizes, and counts quotas by them for ever.
    let statement = it.scene.shell("tar -xOf b.tar bundle.json").succeeds().json();
    for blob in statement["blobs"].as_array().unwrap() {
        let (digest, size) = (blob[0].as_str().unwrap(), blob[1].as_u64().unwrap());
        let found = it.harbor.blob(digest).unwrap_or_else(|| panic!("{digest} is missing"));
        assert_eq!(found.size, size, "{digest}");
    }
    assert!(it.harbor.open_uploads().is_empty());
}

#[test]
fn a_second_import_sends_nothing_sets_nothing_and_counts_as_no_pull() {
    let it = HarborScene::start();
    it.import(&[]).succeeds();
    let before = it.harbor.contents();
    it.harbor.forget_requests();
    it.import(&[]).succeeds().says("0 artifacts pushed, 7 already present; 0 blobs sent (0 B), 0 mounted");
    for method in ["POST", "PUT", "PATCH", "DELETE"] {
        assert_eq!(it.asked(method, ""), 0, "{method}");
    }
    assert_eq!(it.asked("GET", "/manifests/") + it.asked("HEAD", "/manifests/"), 0);
    assert_eq!(it.harbor.pulls(), 0);
    assert_eq!(it.harbor.contents(), before);
}

#[test]
fn signatures_and_the_like_are_accessories_of_their_images() {
    let it = HarborScene::start();
    it.import(&[]).succeeds();
    let signed = it.harbor.artifact(&it.cached("team/signed"), "1").unwrap();
    let mut kinds: Vec<&str> = signed.accessories.values().map(String::as_str).collect();
    kinds.sort_unstable();
    assert_eq!(kinds, ["signature.cosign", "subject.accessory"], "{signed:?}");
}

#[test]
fn the_plan_is_printed_and_nothing_is_written() {
    let it = HarborScene::start();
    it.write("harbor.yaml", "projects:\n  cache: {quota: 1GiB, immutableTags: ['1']}\n");
    let ran = it.import(&["--dry-run"]).succeeds();
    let host = it.harbor.host();
    let text =
        ran.stdout.replace(host, "HARBOR").replace(&it.scene.source.host().replace(':', "_"), "SOURCE");
    let mut lines: Vec<&str> = text.lines().collect();
    // Digests are other ones on other machines only if the images are.
    let mut shown: Vec<String> = Vec::new();
    for line in &mut lines {
        shown.push(line.split(" sha256:").next().unwrap_or_default().trim_end().to_owned());
    }
    let head = shown.iter().position(|line| line.starts_with("  STEP ")).unwrap();
    shown[head] = format!("  {}", shown[head].split_whitespace().collect::<Vec<_>>().join("  "));
    let expected = "\
Harbor v2.15.2-080b0220 at HARBOR, as admin, an administrator

projects
  create   cache: private, automatic scan, pulls blocked from severity high, quota 1GiB, tags 1 immutable
  create   platform: private, automatic scan, pulls blocked from severity high
  create   tenant-a: private, automatic scan, pulls blocked from severity high

artifacts
  STEP  TARGET  DIGEST
  push  cache/SOURCE/team/multi:1
  push  cache/SOURCE/team/signed:1
";
    assert!(shown.join("\n").starts_with(expected.trim_end()), "{}", shown.join("\n"));
    assert!(ran.stdout.contains("to send ("), "{}", ran.stdout);
    assert!(ran.stdout.contains("cache: stores 0 B of 1.0 GiB, gets at most "), "{}", ran.stdout);
    assert!(ran.stdout.ends_with("nothing was written\n"), "{}", ran.stdout);
    assert_eq!(it.harbor.projects(), ["library"]);
    let json = it.import(&["--dry-run", "--json"]).succeeds().json();
    assert_eq!(json["projects"][0]["change"], "create");
    assert_eq!(json["steps"].as_array().unwrap().len(), 7);
    assert_eq!(json["refused"], serde_json::json!([]));
    assert!(json["blobs"]["send"]["bytes"].as_u64().unwrap() > 300_000);
    for method in ["POST", "PUT", "PATCH", "DELETE"] {
        assert_eq!(it.asked(method, ""), 0, "{method}");
    }
}

#[test]
fn how_a_project_is_run_is_decided_here_and_made_so() {
    let it = HarborScene::start();
    it.harbor.add_project_with("cache", &[("public", "true")]);
    it.harbor.add_project_with(
        "platform",
        &[("auto_scan", "true"), ("prevent_vul", "true"), ("severity", "medium")],
    );
    it.write("harbor.yaml", "projects:\n  tenant-a: {access: public, quota: 2GiB, immutableTags: ['v*']}\n");
    it.import(&[])
        .succeeds()
        .says("change   cache: access is public, should be private")
        .says("change   cache: automatic scan is off, should be on")
        .says("change   cache: prevention of pulls is never, should be high")
        .says("create   tenant-a: public, automatic scan, pulls blocked from severity high, quota 2GiB, tags v* immutable");
    assert_eq!(it.harbor.metadata("cache").unwrap()["public"], "false");
    // A person made it stricter by hand, and no file here overrides it.
    assert_eq!(it.harbor.metadata("platform").unwrap()["severity"], "medium");
    assert_eq!(it.harbor.quota("tenant-a").0, 2 << 30);
    it.import(&[]).succeeds().says("0 artifacts pushed");
}

#[test]
fn what_stands_in_the_way_is_told_with_what_to_do_before_the_first_write() {
    let it = HarborScene::start();
    it.harbor.add_proxy_project("cache");
    it.import(&["--dry-run"])
        .ends_with(5)
        .says("project cache is a proxy cache")
        .says("bundle harbor bootstrap");
    it.import(&[]).ends_with(5).says("nothing was written").says("give the proxy cache another name");
    assert_eq!(it.harbor.projects(), ["cache", "library"]);

    let it = HarborScene::start();
    it.harbor.set_read_only(true);
    it.import(&[]).ends_with(5).says("Harbor is in read-only mode").says("nothing was written");
    it.harbor.set_read_only(false);

    // The account may push into two projects, and make none.
    it.harbor.add_project("cache");
    it.harbor.add_project("platform");
    let rights = ["project:read", "repository:pull", "artifact:read", "artifact:list"];
    let robot = it
        .harbor
        .add_robot(Robot::of_system("weak").in_project("cache", &rights).in_project("platform", &rights));
    let ran = it.import_as(&robot, &[]).ends_with(5);
    ran.says("project tenant-a is missing, and this account may not create it")
        .says("this account lacks repository:push in the project cache")
        .says("to change it");
    let wrong = bundle_test_servers::Credentials { name: robot.name.clone(), secret: "Wrong1234".to_owned() };
    it.import_as(&wrong, &[]).ends_with(4).says("Harbor does not know this account").says("--credentials");
    for method in ["POST", "PUT", "PATCH", "DELETE"] {
        assert_eq!(it.asked(method, ""), 0, "{method}");
    }
}

#[test]
fn a_system_robot_that_may_push_and_not_pull_is_told_so() {
    let it = HarborScene::start();
    for project in ["cache", "platform", "tenant-a"] {
        it.harbor.add_project_with(
            project,
            &[("auto_scan", "true"), ("prevent_vul", "true"), ("severity", "high")],
        );
    }
    let rights = ["project:read", "repository:push", "artifact:read", "artifact:list"];
    let mut robot = Robot::of_system("pusher");
    for project in ["cache", "platform", "tenant-a"] {
        robot = robot.in_project(project, &rights);
    }
    let robot = it.harbor.add_robot(robot);
    it.import_as(&robot, &[]).ends_with(5).says("this account lacks repository:pull in the project cache");
}

#[test]
fn a_quota_that_is_too_small_is_found_before_the_first_write() {
    let it = HarborScene::start();
    it.harbor
        .add_project_with("cache", &[("auto_scan", "true"), ("prevent_vul", "true"), ("severity", "high")]);
    it.harbor.set_quota("cache", 200_000);
    it.import(&[]).ends_with(5).says("project cache stores 0 B of ").says("raise the quota of cache to");
    assert_eq!(it.asked("POST", ""), 0);
    // On someone's word it is tried, and Harbor itself stops it.
    it.import(&["--ignore-quota"]).ends_with(5).says("has a quota that this exceeds");
    assert_eq!(it.harbor.tags("platform/llm-gateway").len(), 0);
    it.write("harbor.yaml", "projects:\n  cache: {quota: 1GiB}\n");
    it.import(&[]).succeeds().says("change   cache: quota is 200000B, should be 1GiB");
    assert_eq!(it.harbor.quota("cache").0, 1 << 30);
}

#[test]
fn a_tenants_bundle_that_names_platform_is_refused_whole() {
    let it = HarborScene::start();
    it.write("trust.yaml", "keys:\n- {name: tenant-a, file: key.pub, projects: [tenant-a]}\n");
    let to = format!("http://{}", it.harbor.host());
    it.bundle(&["import", "b.tar", "--to", &to, "--trust", "trust.yaml"])
        .ends_with(3)
        .says("bundle writes to the project 'cache', which the key 'tenant-a' is not allowed to write to");
    assert_eq!(it.harbor.projects(), ["library"]);
    assert!(it.harbor.requests().is_empty());
}

#[test]
fn an_immutable_tag_is_compared_before_it_is_touched() {
    let it = HarborScene::start();
    it.import(&[]).succeeds();
    it.harbor.add_immutable_rule("tenant-a", "**", "**");
    it.harbor.add_immutable_rule("cache", "**", "**");
    // The same digest is left alone.
    it.import(&[]).succeeds().says("0 artifacts pushed");
    // Another one is refused, with any option for tags, unless it is left out.
    it.push_image("team/app", "1", 77);
    it.create("name: weekly\nprojects:\n  tenants:\n    tenant-a:\n      images: ['SOURCE/team/app:1 => web-app:v2.1.0']\n", "c.tar");
    let to = format!("http://{}", it.harbor.host());
    let import = |more: &[&str]| {
        let mut arguments = vec!["import", "c.tar", "--to", &to, "--trust", "key.pub"];
        arguments.extend_from_slice(more);
        it.bundle(&arguments)
    };
    it.harbor.forget_requests();
    import(&["--on-existing-tag", "overwrite"])
        .ends_with(5)
        .says("is immutable and already exists as")
        .says("give the image another tag on the connected side");
    assert_eq!(it.asked("PUT", "") + it.asked("POST", ""), 0);
    import(&["--on-existing-tag", "skip"]).succeeds().says("skipped tenant-a/web-app:v2.1.0");
}

#[test]
fn a_project_with_a_number_for_a_name_is_a_name() {
    let it = HarborScene::empty();
    it.push_image("team/app", "1", 5);
    it.create("projects:\n  tenants:\n    '2026':\n      images: ['SOURCE/team/app:1']\n", "b.tar");
    it.import(&[]).succeeds();
    it.import(&[]).succeeds().says("0 artifacts pushed, 1 already present");
    assert!(it.harbor.tags("2026/app").contains_key("1"));
    assert_eq!(it.harbor.metadata("2026").unwrap()["prevent_vul"], "true");
}

#[test]
fn a_plain_registry_stays_one_and_a_harbor_can_be_taken_for_one() {
    let it = HarborScene::start();
    let plain = bundle_test_servers::DockerRegistry::start().unwrap();
    let import = ["import", "b.tar", "--to", plain.host(), "--trust", "key.pub"];
    it.scene.bundle(import).succeeds();
    let more = ["import", "b.tar", "--to", plain.host(), "--trust", "key.pub", "--wait-for-scan"];
    it.scene.bundle(more).ends_with(2).says("--wait-for-scan needs a Harbor");
    for project in ["cache", "platform", "tenant-a"] {
        it.harbor.add_project(project);
    }
    it.import(&["--registry-kind", "plain"]).succeeds();
    assert!(it.asked("GET", "/service/token") > 0);
    assert_eq!(it.asked("GET", "/api/v2.0/projects"), 0);
}

#[test]
fn another_layout_of_cache_is_followed() {
    let it = HarborScene::empty();
    it.push_image("team/app", "1", 5);
    let config = "cacheLayout: 'mirror/{path}'\nprojects:\n  cache:\n    images: [SOURCE/team/app:1]\n";
    it.create(config, "b.tar");
    it.import(&[]).succeeds();
    assert!(it.harbor.tags("cache/mirror/team/app").contains_key("1"));
}

#[test]
fn trivys_databases_travel_like_images_and_harbors_values_are_told() {
    let it = HarborScene::empty();
    for (name, tag, seed) in [("trivy-db", "2", 5), ("trivy-java-db", "1", 6)] {
        it.push_image(&format!("aquasecurity/{name}"), tag, seed);
    }
    it.create(
        "projects:\n  tenants:\n    trivy:\n      images: [SOURCE/aquasecurity/trivy-db:2, SOURCE/aquasecurity/trivy-java-db:1]\n",
        "b.tar",
    );
    it.write("harbor.yaml", "projects:\n  trivy: {access: public, preventPulls: never, namespaces: []}\n");
    it.import(&[]).succeeds().says("bundle harbor trivy-values b.tar --to");
    let values = ["harbor", "trivy-values", "b.tar", "--trust", "key.pub", "--to", "https://harbor.example"];
    it.scene
        .bundle(values)
        .succeeds()
        .says("  dbRepository:\n    - \"harbor.example/trivy/trivy-db\"\n")
        .says("  javaDBRepository:\n    - \"harbor.example/trivy/trivy-java-db\"\n");
    // The scanner fetches them without an account.
    assert_eq!(it.harbor.metadata("trivy").unwrap()["public"], "true");
}
