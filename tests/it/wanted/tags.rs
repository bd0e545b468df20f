//! Choices of tags: patterns, ranges of versions, the newest. Takes a registry with the tags of a real project's
//! shape (nginx's on Docker Hub: whole versions, moving ones, variants, a pre-release) behind a proxy that counts
//! what is asked; says what is carried, and what a lock makes of it.

use bundle_test_servers::{Fault, FaultProxy, ImageSpec, LayerSpec, Matcher, Response, Rule, standin};

use crate::scene::{Ran, Scene};
use crate::wanted::plan::names;

const TAGS: [&str; 9] =
    ["1.26.2", "1.27", "1.27.0", "1.27.9", "1.27.10", "1.27.10-alpine", "1.28.0-rc1", "2.0.0", "latest"];

struct Tags {
    scene: Scene,
    proxy: FaultProxy,
}

impl Tags {
    fn new() -> Self {
        let scene = Scene::empty();
        let proxy = FaultProxy::start(scene.source.host()).unwrap();
        let tags = Self { scene, proxy };
        TAGS.iter().zip(1..).for_each(|(tag, seed)| tags.push(tag, seed));
        // A signature of an image without a tag: no pattern means it.
        let image = ImageSpec::oci().layer(LayerSpec::new(50, 1_000)).build();
        let client = tags.scene.source.client();
        client.push("team/web", &image.cosign_tag(), &image.cosign_signature("team/web")).unwrap();
        tags
    }

    fn push(&self, tag: &str, seed: u64) {
        let image = ImageSpec::oci().layer(LayerSpec::new(seed, 1_000)).build();
        self.scene.source.client().push("team/web", tag, &image).unwrap();
    }

    fn web(&self) -> String {
        format!("{}/team/web", self.proxy.host())
    }

    fn want(&self, entries: &[String]) {
        let entries: String = entries.iter().map(|entry| format!("    - {entry}\n")).collect();
        let text = format!("name: s\nprojects:\n  cache:\n    images:\n{entries}");
        std::fs::write(self.scene.path("bundle.yaml"), text).unwrap();
    }

    fn dry(&self, arguments: &[&str]) -> Ran {
        // Looking for referrers lists tags too.
        let create = ["create", "--dry-run", "--json", "--retries", "0", "--no-referrers"];
        self.scene.bundle([&create, arguments].concat())
    }

    /// The tags that a dry run would carry.
    fn carried(&self, arguments: &[&str]) -> String {
        carried(&self.dry(arguments).succeeds())
    }

    fn lists(&self) -> usize {
        self.proxy.requests().iter().filter(|request| request.path_and_query.contains("/tags/list")).count()
    }
}

/// The tags, sorted.
fn carried(ran: &Ran) -> String {
    let mut tags: Vec<String> =
        names(ran).iter().map(|name| name.rsplit(':').next().unwrap().to_owned()).collect();
    tags.sort();
    tags.join(" ")
}

#[test]
fn tags_are_chosen_by_pattern_range_and_age_in_files_lists_and_arguments() {
    let tags = Tags::new();
    let web = tags.web();
    for (entry, expected) in [
        (format!("'{web}:1.27.*'"), "1.27.0 1.27.10 1.27.10-alpine 1.27.9"),
        (format!("{{ref: '{web}', tags: ['1.26.*', '2.*']}}"), "1.26.2 2.0.0"),
        (format!("{{ref: '{web}', semver: '>=1.27 <2'}}"), "1.27.0 1.27.10 1.27.9"),
        (format!("{{ref: '{web}', newest: 2}}"), "1.27.10 2.0.0"),
        (format!("{{ref: '{web}:1.27.*', newest: 2}}"), "1.27.10 1.27.9"),
        (
            format!("{{ref: '{web}', tags: '*', exclude: ['*-*', latest, '1.2?']}}"),
            "1.26.2 1.27.0 1.27.10 1.27.9 2.0.0",
        ),
        (format!("{{ref: '{web}', tags: '*-alpine', newest: 1, as: tools/web}}"), "1.27.10-alpine"),
    ] {
        tags.want(std::slice::from_ref(&entry));
        assert_eq!(tags.carried(&[]), expected, "{entry}");
    }
    std::fs::write(tags.scene.path("images.txt"), format!("{web}:1.28.*\n{web}:2.0.0 => tools/two\n"))
        .unwrap();
    assert_eq!(tags.carried(&["--images", "images.txt"]), "1.28.0-rc1 2.0.0");
    assert_eq!(tags.carried(&[&format!("{web}:1.2*.*"), "--newest", "1"]), "1.27.10");
    assert_eq!(tags.carried(&[&web, "--semver", "~1.27", "--exclude", &format!("{web}:1.27.?")]), "1.27.10");
    // A choice and a tag that is in it are one image, and two choices of one repository ask for its tags once.
    tags.want(&[format!("'{web}:1.27.*'"), format!("'{web}:1.27.9'"), format!("'{web}:2.*'")]);
    tags.proxy.clear();
    assert_eq!(tags.carried(&[]), "1.27.0 1.27.10 1.27.10-alpine 1.27.9 2.0.0");
    assert_eq!(tags.lists(), 1);
    let ran = tags.scene.bundle(["images", "--offline", "--json"]).succeeds();
    assert_eq!(ran.json()["listed"][1]["image"], format!("{web}:1.27.*"));
    let unused = format!("{{ref: '{web}', newest: 1, exclude: ['*-windows']}}");
    tags.want(&[unused]);
    tags.dry(&[]).succeeds().says("bundle.yaml:5: exclude '*-windows' matches no image");
}

#[test]
fn a_choice_that_comes_to_nothing_or_to_too_much_says_what_there_is_and_what_to_do() {
    let tags = Tags::new();
    let web = tags.web();
    tags.dry(&[&format!("{web}:1.29.*")])
        .ends_with(6)
        .says("team/web:1.29.* (command line): none of the repository's 10 tags matches; there are 1.28.0-rc1, 1.27.10")
        .says("missing: keep-last or skip");
    tags.dry(&[&web, "--newest", "2", "--max-tags", "1"])
        .ends_with(1)
        .says("2 tags match, and one entry brings at most 1")
        .says("maxTags: N");
    (0..92).for_each(|patch| tags.push(&format!("3.0.{patch}"), 3));
    tags.dry(&[&format!("{web}:*")]).ends_with(1).says("101 tags match, and one entry brings at most 100");
    tags.dry(&[&format!("{web}:*"), "--max-tags", "101"]).succeeds();
    tags.dry(&[&format!("{web}:1"), "--newest", "2"])
        .ends_with(2)
        .says("a reference with a tag or digest cannot have a choice of tags");
    tags.dry(&[&format!("{web}:[0-9]*")]).ends_with(2).says("pattern of tags may have letters");
    tags.dry(&["-f", "bundle.yaml", "--newest", "2"]).ends_with(2);
    // A registry that is down is no repository without tags, whatever the policy.
    let refuse = |code: u16| {
        tags.proxy.clear_rules();
        tags.proxy.add(Rule::new(Matcher::path("/tags/list"), Fault::status(code)));
    };
    for code in [401, 403, 404, 500, 503] {
        refuse(code);
        let ran = tags.dry(&[&format!("{web}:1.*"), &format!("{web}:2.*"), "--missing", "skip"]);
        assert_ne!(ran.code, Some(0), "{code}: {ran:?}");
        assert!(ran.stdout.is_empty(), "{code}: {ran:?}");
    }
}

#[test]
fn a_lock_has_what_a_choice_came_to_and_asks_for_no_list_again() {
    let tags = Tags::new();
    let web = tags.web();
    tags.want(&[format!("{{ref: '{web}:1.27.*', newest: 2}}")]);
    tags.scene.bundle(["lock"]).succeeds();
    let text = std::fs::read_to_string(tags.scene.path("bundle.lock")).unwrap();
    assert!(text.contains("patterns:\n") && text.contains("newest 2"), "{text}");
    tags.push("1.27.11", 20);
    tags.push("1.27.10", 21);
    tags.proxy.clear();
    for arguments in [&["--locked"][..], &[]] {
        assert_eq!(tags.carried(arguments), "1.27.10 1.27.9");
    }
    assert_eq!(tags.lists(), 0);
    let asked: Vec<String> =
        tags.proxy.requests().iter().map(|request| request.path_and_query.clone()).collect();
    assert!(asked.iter().all(|path| !path.contains("/manifests/1.27")), "{asked:?}");
    // The lock is written again, byte for byte, and the new tag with it.
    tags.scene.bundle(["lock"]).succeeds();
    assert_eq!(tags.carried(&["--locked"]), "1.27.10 1.27.11");
    // A choice that the lock does not know is no choice that it knows.
    tags.want(&[format!("{{ref: '{web}:1.27.*', newest: 3}}")]);
    tags.dry(&["--locked"]).ends_with(2).says("newest 3 (bundle.yaml:5): it is not in the lockfile");
    assert_eq!(tags.carried(&[]), "1.27.10 1.27.11 1.27.9");
    // Nor is one of which something else is excluded.
    tags.want(&[format!("{{ref: '{web}:1.27.*', newest: 2, exclude: ['*.11']}}")]);
    tags.dry(&["--locked"]).ends_with(2).says("it is not in the lockfile");
}

#[test]
fn a_list_that_the_registry_may_have_cut_is_told() {
    let scene = Scene::empty();
    let image = ImageSpec::oci().layer(LayerSpec::new(1, 1_000)).build();
    for patch in 0..60 {
        scene.source.client().push("team/web", &format!("1.0.{patch}"), &image).unwrap();
    }
    let front = standin::tags_without_link(scene.source.host(), 50).unwrap();
    let reference = format!("{}/team/web:1.*", front.host());
    scene
        .bundle(["create", "--dry-run", &reference, "--newest", "1"])
        .succeeds()
        .says("the registry lists 50 tags and may have more");
}

#[test]
fn a_page_that_lists_no_names_ends() {
    let tags = Tags::new();
    let body = r#"{"name":"team/web","tags":["bad tag","../x","1.27.10"]}"#;
    tags.proxy.answer_with(move |head| {
        head.path_and_query.contains("/tags/list").then(|| Response::json(200, body.to_owned()))
    });
    assert_eq!(tags.carried(&[&format!("{}:*", tags.web())]), "1.27.10");
}
