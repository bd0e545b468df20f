//! The owner of a tag, the name of a stream, and a person's reset of a stream after a mistake: with two
//! registries and the real program on both sides.

use bundle_test_servers::{Contents, DockerRegistry, ImageSpec};

use crate::scene::{Ran, Scene};
use crate::sync::jobs::Nights;

/// Bundles of several streams, whose images go to the same tags.
struct Tags {
    scene: Scene,
    target: DockerRegistry,
}

impl Tags {
    fn new() -> Self {
        Self { scene: Scene::empty(), target: DockerRegistry::start().unwrap() }
    }

    /// A bundle of a stream, whose images `names` have this content.
    fn create(&self, stream: &str, sequence: u64, names: &[&str], content: &str, more: &[&str]) -> String {
        let mut arguments = vec!["create".to_owned()];
        for name in names {
            let image = ImageSpec::oci().label("content", content).label("name", name).build();
            self.scene.source.client().push(&format!("team/{name}"), "latest", &image).unwrap();
            arguments.push(format!("{}/team/{name}:latest", self.scene.source.host()));
        }
        let output = format!("{stream}-{sequence}.tar");
        let sequence = sequence.to_string();
        let fixed = ["--key", "key", "--stream", stream, "--sequence", &sequence, "-o", &output];
        arguments.extend(fixed.iter().chain(more).map(|each| (*each).to_owned()));
        self.scene.bundle(arguments).succeeds();
        output
    }

    fn import(&self, file: &str, more: &[&str]) -> Ran {
        let fixed = ["import", file, "--to", self.target.host(), "--trust", "key.pub"];
        self.scene.bundle(fixed.iter().chain(more))
    }

    fn repository(&self, name: &str) -> String {
        format!("cache/{}/team/{name}", self.scene.source.host().replace(':', "_"))
    }

    fn digest(&self, name: &str) -> String {
        let found = self.target.client().manifest(&self.repository(name), "latest").unwrap();
        found.map_or_else(|| "nothing".to_owned(), |found| found.digest)
    }

    /// Sets a tag by hand; returns its digest then.
    fn set_by_hand(&self, name: &str) -> String {
        let image = ImageSpec::oci().label("by", "hand").build();
        self.target.client().push(&self.repository(name), "latest", &image).unwrap();
        image.digest
    }

    fn contents(&self) -> Contents {
        self.target.client().contents().unwrap()
    }
}

#[test]
fn a_streams_next_bundle_moves_the_tags_that_the_stream_set_and_no_others() {
    let it = Tags::new();
    let first = it.create("a", 1, &["own", "handled"], "one", &[]);
    let second = it.create("a", 2, &["own", "handled"], "two", &[]);
    it.import(&first, &[]).succeeds();
    let before = (it.digest("own"), it.digest("handled"));
    let theirs = it.set_by_hand("handled");
    assert_ne!(before.1, theirs);
    // A person's tag keeps the whole bundle out, as the default says, and is named alone.
    let contents = it.contents();
    let refused = it.import(&second, &[]).ends_with(5).says("nothing was written");
    assert!(refused.stderr.contains("team/handled:latest"), "{}", refused.stderr);
    assert!(!refused.stderr.contains("team/own:latest"), "{}", refused.stderr);
    assert_eq!(it.contents(), contents);
    // It is left out on request, and the stream's own tag moves nevertheless.
    it.import(&second, &["--on-existing-tag", "skip"]).succeeds().says("skipped cache/");
    assert_eq!(it.digest("handled"), theirs);
    let second_own = it.digest("own");
    assert_ne!(second_own, before.0);
    it.import(&it.create("a", 3, &["own"], "three", &[]), &[]).succeeds();
    // A tag that a person moves back to an earlier digest of the stream is that person's too.
    let third = it.create("a", 4, &["own"], "four", &[]);
    let old = ImageSpec::oci().label("content", "one").label("name", "own").build();
    it.target.client().push(&it.repository("own"), "latest", &old).unwrap();
    assert_eq!(it.digest("own"), before.0);
    it.import(&third, &[]).ends_with(5).says("team/own:latest");
    it.import(&third, &["--on-existing-tag", "overwrite"]).succeeds();
    // From then on it is the stream's again, on any importing machine.
    std::fs::remove_dir_all(it.scene.path(".local")).unwrap();
    let fourth = it.create("a", 5, &["own"], "five", &[]);
    it.import(&fourth, &["--dry-run"]).succeeds().says("move  ");
    it.import(&fourth, &[]).succeeds();
    // A bundle that left an image out does not make the stream forget its tag.
    let fifth = it.create("a", 6, &["more"], "six", &[]);
    it.import(&fifth, &[]).succeeds();
    let sixth = it.create("a", 7, &["own", "more"], "seven", &[]);
    it.import(&sixth, &[]).succeeds().says("2 artifacts pushed");
}

#[test]
fn a_tag_that_one_stream_set_is_not_moved_by_another() {
    let it = Tags::new();
    it.import(&it.create("a", 1, &["app"], "one", &[]), &[]).succeeds();
    let of_a = it.digest("app");
    it.import(&it.create("b", 1, &["app"], "two", &[]), &[]).ends_with(5).says("team/app:latest");
    // Not even one that it found there as it wanted it.
    it.import(&it.create("b", 2, &["app"], "one", &[]), &[]).succeeds().says("1 already present");
    it.import(&it.create("b", 3, &["app"], "three", &[]), &[]).ends_with(5);
    assert_eq!(it.digest("app"), of_a);
    it.import("b-3.tar", &["--on-existing-tag", "overwrite"]).succeeds();
    // Now it is the other's.
    it.import(&it.create("a", 2, &["app"], "four", &[]), &[]).ends_with(5);
    it.import(&it.create("b", 4, &["app"], "five", &[]), &[]).succeeds();
    // Junk in the place of the list is reported, counts for nothing, and stops nothing.
    let junk = ImageSpec::oci().label("x", "y").build();
    it.target.client().push("cache/bundle-state", "b.9007199254740991.0123456789ab.tags", &junk).unwrap();
    let next = it.create("b", 5, &["app"], "six", &[]);
    it.import(&next, &[]).succeeds();
}

#[test]
fn the_job_and_the_command_have_one_default_and_know_each_others_tags() {
    let nights = Nights::new("", "");
    for name in ["a", "b"] {
        nights.push(name, 10);
    }
    nights.export(&[]).succeeds();
    nights.carry();
    nights.import().succeeds();
    nights.push("a", 11);
    nights.export(&["--again"]).succeeds();
    let name = nights.carry();
    let by_hand = nights.path("in", &name);
    let to = nights.target.host();
    nights
        .scene
        .bundle(["import", by_hand.to_str().unwrap(), "--to", to, "--trust", "key.pub"])
        .succeeds()
        .says("1 artifact pushed");
    nights.agrees(&["a", "b"]);
    nights.import().succeeds();
    // A person's tag is not the job's.
    let repository = format!("cache/{}/team/b", nights.scene.source.host().replace(':', "_"));
    let theirs = ImageSpec::oci().label("theirs", "yes").build();
    nights.target.client().push(&repository, "1", &theirs).unwrap();
    for (name, seed) in [("a", 12), ("b", 12)] {
        nights.push(name, seed);
    }
    nights.export(&["--again"]).succeeds();
    nights.carry();
    nights.import().ends_with(5).says("team/b:1");
    // It lies with the reason beside it, until a person decides.
    assert!(nights.list("in/refused").iter().any(|name| name.ends_with(".reason.txt")));
    nights.configure("", "  onExistingTag: overwrite\n");
    nights.carry();
    nights.import().succeeds();
    nights.agrees(&["a", "b"]);
}

#[test]
fn a_person_sets_a_stream_back_after_a_bundle_from_the_future() {
    let it = Tags::new();
    let to = it.target.host().to_owned();
    it.import(&it.create("s", 1_795_000_000, &["app"], "good", &[]), &[]).succeeds();
    let future = it.create("s", 1_999_000_000, &["app"], "future", &["--created", "2033-05-06T00:00:00Z"]);
    it.import(&future, &["--allow-future"]).succeeds();
    let next = it.create("s", 1_796_000_000, &["app"], "next", &[]);
    // Numbers that are times have their dates beside them.
    it.import(&next, &[]).ends_with(8).says(
        "bundle 1796000000 (2026-11-30T00:53:20Z) of the stream 's' is older than 1999000000 (2033-05-06T",
    );
    let show = || it.scene.bundle(["stream", "show", "s", "--to", &to]).succeeds();
    show()
        .says("last accepted  1999000000 (2033-05-06")
        .says("signed by key")
        .says("state file     1999000000");
    let repair = ["stream", "repair", "s", "--to", &to, "--by", "A. Person", "--reason", "wrong clock"];
    let repair = |more: &[&str]| it.scene.bundle(repair.iter().chain(more));
    let before = it.contents();
    repair(&["--back-to", "1795000000"])
        .ends_with(2)
        .says("s 1999000000 (2033-05-06")
        .says("would count no more")
        .says("nothing was written");
    repair(&["--back-to", "1700000000", "--yes"])
        .ends_with(2)
        .says("no bundle of the stream 's' would be left");
    assert_eq!(it.contents(), before);
    it.import(&next, &[]).ends_with(8);
    repair(&["--back-to", "1795000000", "--yes"])
        .succeeds()
        .says("the newest bundle is 1795000000 (2026-11-18");
    show()
        .says("last accepted  1795000000")
        .says("taken back by A. Person at 20")
        .says(": wrong clock")
        .says("state file     1795000000");
    // The tags that the wrong bundle set are the stream's: the right one moves them.
    it.import(&next, &[]).succeeds();
    // A bundle that was taken back is not imported again, not even where the disk was lost.
    for _ in 0..2 {
        it.import(&future, &["--allow-future"]).ends_with(8).says("taken back with `bundle stream repair`");
        std::fs::remove_dir_all(it.scene.path(".local")).unwrap();
    }
    it.import("s-1795000000.tar", &[]).ends_with(8).says("is older than 1796000000");
    let back = ["--allow-future", "--allow-rollback", "--reason", "it was right after all"];
    it.import(&future, &back).succeeds();
    it.import(&next, &["--on-existing-tag", "overwrite"]).succeeds();
    // To the very beginning.
    repair(&["--back-to", "none", "--yes"]).succeeds().says("no bundle counts");
    let first = it.create("s", 7, &["app"], "seven", &[]);
    it.import(&first, &["--on-existing-tag", "overwrite"]).succeeds().says("first bundle of stream 's'");
}

#[test]
fn the_connected_side_shows_its_stream_and_takes_back_what_a_wrong_clock_made() {
    let nights = Nights::new("", "");
    nights.push("a", 10);
    nights.push("b", 20);
    nights.export(&[]).succeeds();
    nights.carry();
    nights.import().succeeds();
    nights.bring_back();
    nights.export(&[]).succeeds();
    let shown = nights.scene.bundle(["stream", "show", "--json"]).succeeds().json();
    let arrived = shown["arrived"]["sequence"].as_u64().unwrap();
    assert_eq!(shown["last"]["sequence"].as_u64(), Some(arrived));
    // A bundle with a number of years to come, as a wrong clock makes them.
    let future = "4000000000";
    let image = format!("{}/team/a:1", nights.scene.source.host());
    let created = ["create", &image, "--key", "key", "--stream", "s", "--sequence", future];
    let output = format!("out/s-{future}.tar");
    nights.scene.bundle(created.iter().copied().chain(["-o", &output])).succeeds();
    nights.push("a", 11);
    nights.export(&[]).succeeds().says("wrote bundle 4000000001 (2096-10-02T07:06:41Z)");
    nights
        .scene
        .bundle(["stream", "show"])
        .succeeds()
        .says("last written  s 4000000001 (2096-10-02T07:06:41Z)")
        .says("in the outbox 4000000000");
    let back_to = arrived.to_string();
    let repair =
        ["stream", "repair", "s", "--back-to", &back_to, "--by", "A. Person", "--reason", "clock was wrong"];
    nights.scene.bundle(repair).ends_with(2).says("4000000001 (2096-10-02T07:06:41Z) would leave the outbox");
    nights
        .scene
        .bundle(repair.iter().chain(&["--yes"]))
        .succeeds()
        .says("moved out of the outbox: 4000000000");
    let noted = std::fs::read_to_string(nights.path("state-a", "taken-back.json")).unwrap();
    let noted: serde_json::Value = serde_json::from_str(&noted).unwrap();
    assert_eq!(
        (noted["by"].as_str(), noted["reason"].as_str()),
        (Some("A. Person"), Some("clock was wrong"))
    );
    assert!(nights.path("out", "taken-back").join(format!("s-{future}.tar")).exists());
    // The next one has the time for its number, and arrives.
    nights.export(&[]).succeeds().says("wrote bundle 17");
    nights.carry();
    nights.import().succeeds();
    nights.agrees(&["a", "b"]);
    let other = ["stream", "repair", "t", "--back-to", "none", "--by", "x", "--reason", "y", "--yes"];
    nights.scene.bundle(other).ends_with(2).says("the job writes the stream 's'");
}

#[test]
fn two_bundles_that_nobody_named_do_not_share_a_stream() {
    let it = Tags::new();
    let image = ImageSpec::oci().build();
    it.scene.source.client().push("team/app", "1", &image).unwrap();
    let reference = format!("{}/team/app:1", it.scene.source.host());
    let create = |output: &str, more: &[&str]| {
        let fixed = ["create", &reference, "--key", "key", "--json", "-o", output];
        it.scene.bundle(fixed.iter().chain(more)).succeeds()
    };
    let stream = |ran: Ran| ran.json()["stream"].as_str().unwrap().to_owned();
    assert_eq!(stream(create("tools-2026-11-24.tar", &[])), "tools");
    assert_eq!(stream(create("Database.tar.zst", &[])), "database");
    assert_eq!(stream(create("x.tar", &["--stream", "mine"])), "mine");
    // Without a usable name a note says so, and the old default is used.
    let unnamed = create("20261124.tar", &[]);
    assert!(unnamed.stderr.contains("--stream"), "{}", unnamed.stderr);
    assert_eq!(stream(unnamed), "default");
    let piped = format!("$BUNDLE create {reference} --key key -o - > p.tar");
    it.scene.shell(&piped).succeeds().says("the bundle is of the stream 'default'").says("--stream");
    // A delta stays in the stream of what it builds on.
    let other = ImageSpec::oci().label("new", "yes").build();
    it.scene.source.client().push("team/app", "1", &other).unwrap();
    let base = ["--base", "tools-2026-11-24.tar", "--base-trust", "key.pub"];
    assert_eq!(stream(create("delta.tar", &base)), "tools");
    // A note says so too.
    it.scene
        .bundle(["create", &reference, "--key", "key", "--created", "2026-11-24T09:00:00Z", "-o", "said.tar"])
        .succeeds()
        .says("stream said, sequence 1795510800 (2026-11-24T09:00:00Z)");
    it.scene
        .bundle(["inspect", "said.tar", "--trust", "key.pub"])
        .succeeds()
        .says("sequence 1795510800 (2026-11-24T09:00:00Z)");
    it.scene
        .bundle(["verify", "said.tar", "--trust", "key.pub"])
        .succeeds()
        .says("stream said, sequence 1795510800 (2026-11-24T09:00:00Z)");
}

#[test]
fn a_tag_that_a_person_sets_back_to_what_it_was_is_not_the_streams() {
    let it = Tags::new();
    it.import(&it.create("a", 1, &["own", "other"], "one", &[]), &[]).succeeds();
    let first = it.digest("own");
    it.import(&it.create("a", 2, &["own", "other"], "two", &[]), &[]).succeeds();
    assert_ne!(it.digest("own"), first);
    // The very digest that the stream gave it before the last import.
    let old = ImageSpec::oci().label("content", "one").label("name", "own").build();
    assert_eq!(old.digest, first);
    it.target.client().push(&it.repository("own"), "latest", &old).unwrap();
    let third = it.create("a", 3, &["own", "other"], "three", &[]);
    let refused = it.import(&third, &[]).ends_with(5).says("team/own:latest");
    assert!(!refused.stderr.contains("team/other:latest"), "{}", refused.stderr);
    assert_eq!(it.digest("own"), first);
}

#[test]
fn marks_and_lists_that_the_sites_key_did_not_sign_are_told_and_count_for_nothing() {
    let it = Tags::new();
    it.scene.bundle(["key", "generate", "key-site"]).succeeds();
    let signed = ["--receipt", "r.json", "--receipt-key", "key-site"];
    let import = |file: &str| it.import(file, &signed);
    import(&it.create("a", 1, &["app"], "one", &[])).succeeds();
    import(&it.create("a", 2, &["app"], "two", &[])).succeeds();
    let to = it.target.host().to_owned();
    // Somebody who can push there, but has no key, says that the newest bundle was taken back, and that the stream
    // set a tag of a person's.
    let repair =
        ["stream", "repair", "a", "--to", &to, "--by", "M. Allory", "--reason", "x", "--back-to", "1"];
    it.scene.bundle(repair.iter().chain(&["--state", "theirs.json", "--yes"])).succeeds();
    // The importer's disk is lost, and only the record knows that the first bundle is old.
    std::fs::remove_dir_all(it.scene.path(".local")).unwrap();
    import("a-1.tar").ends_with(8).says("is older than 2");
    // Nor is the newest kept out by it.
    import("a-2.tar").succeeds().says("1 already present").says("is not signed with this site's key");
    let theirs = it.set_by_hand("app");
    let name = it.repository("app");
    let list = format!(
        r#"{{"tagsVersion":1,"of":{{"bundle":{{"stream":"a","sequence":2,"statement":"sha256:{0}"}},"created":"2026-11-18T11:06:40Z","signers":["ops"]}},"tags":[["{name}:latest","{theirs}"]]}}"#,
        "0".repeat(64)
    );
    push_lists(&it, "a", [900], &list);
    let third = it.create("a", 3, &["app"], "three", &[]);
    import(&third).ends_with(5).says("team/app:latest").says("bundle-state:a.900.");
    assert_eq!(it.digest("app"), theirs);
    // A site without a key believes it, as before: only the signature of the list is wrong.
    it.import(&third, &["--dry-run"]).succeeds().says("move  ");
    // With the key, a person's word counts.
    it.scene.bundle(repair.iter().chain(&["--receipt-key", "key-site", "--yes"])).succeeds();
    it.scene
        .bundle(["stream", "show", "a", "--to", &to, "--receipt-key", "key-site"])
        .succeeds()
        .says("taken back by M. Allory");
    import("a-2.tar").ends_with(8).says("taken back with `bundle stream repair`");
}

#[test]
fn lists_that_the_sites_key_did_not_sign_do_not_crowd_out_those_that_it_did() {
    let it = Tags::new();
    it.scene.bundle(["key", "generate", "key-site"]).succeeds();
    let signed = ["--receipt", "r.json", "--receipt-key", "key-site"];
    let import = |file: &str| it.import(file, &signed);
    import(&it.create("a", 1, &["app"], "one", &[])).succeeds();
    let list = format!(
        r#"{{"tagsVersion":1,"of":{{"bundle":{{"stream":"a","sequence":2,"statement":"sha256:{0}"}},"created":"2026-11-18T11:06:40Z","signers":["ops"]}},"tags":[]}}"#,
        "0".repeat(64)
    );
    // The highest number there is leaves room for the site's own next list, more than once.
    push_lists(&it, "a", (900..930).chain([(1 << 53) - 1]), &list);
    for number in [2, 3] {
        let next = it.create("a", number, &["app"], &number.to_string(), &[]);
        import(&next).succeeds().says("31 entries of the registry's record are ignored");
    }
    // With too many, it is said, and nothing is taken for somebody else's, nor moved.
    push_lists(&it, "a", 1000..1971, &list);
    let before = it.contents();
    import(&it.create("a", 4, &["app"], "four", &[]))
        .ends_with(3)
        .says("cache/bundle-state has more than 1000 lists of tags of the stream 'a' that count for nothing")
        .says("remove these tags");
    assert_eq!(it.contents(), before);
}

/// Puts a list of tags into the record under these numbers.
fn push_lists(it: &Tags, stream: &str, numbers: impl IntoIterator<Item = u64>, list: &str) {
    let kind = "application/vnd.bundle.tags.v1+json";
    let (layer, config) = (bundle_test_servers::sha256(list.as_bytes()), bundle_test_servers::sha256(b"{}"));
    let manifest = serde_json::json!({
        "schemaVersion": 2, "mediaType": "application/vnd.oci.image.manifest.v1+json", "artifactType": kind,
        "config": {"mediaType": "application/vnd.oci.empty.v1+json", "digest": config, "size": 2},
        "layers": [{"mediaType": kind, "digest": layer, "size": list.len()}],
        "annotations": {"bundle.stream": stream, "bundle.sequence": "2", "bundle.statement": layer},
    });
    let client = it.target.client();
    for blob in ["{}", list] {
        let start = client.request("POST", "/v2/cache/bundle-state/blobs/uploads/", &[], b"").unwrap();
        let at = start.header("Location").unwrap();
        let path = at.split_once("/v2/").unwrap().1;
        let path = format!("/v2/{path}&digest={}", bundle_test_servers::sha256(blob.as_bytes()));
        let put =
            client.request("PUT", &path, &[("Content-Type", "application/octet-stream")], blob.as_bytes());
        assert_eq!(put.unwrap().status, 201);
    }
    for number in numbers {
        let tag = format!("{stream}.{number}.{}.tags", &layer.trim_start_matches("sha256:")[..12]);
        let path = format!("/v2/cache/bundle-state/manifests/{tag}");
        let content = [("Content-Type", "application/vnd.oci.image.manifest.v1+json")];
        let put = client.request("PUT", &path, &content, manifest.to_string().as_bytes()).unwrap();
        assert_eq!(put.status, 201, "{}", put.text());
    }
}
