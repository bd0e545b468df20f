//! A stream only goes forward, for any bundle and any loss. The memory of accepted bundles is in a file and
//! in the registry; each is lost in its turn.

use bundle_test_servers::{Contents, DockerRegistry, Fault, FaultProxy, ImageSpec, Matcher, Rule};

use crate::scene::{Ran, Scene};
use serde_json::json;

/// Bundles of one stream, whose image changes each time.
struct Stream {
    scene: Scene,
    target: DockerRegistry,
}

impl Stream {
    fn new() -> Self {
        Self { scene: Scene::empty(), target: DockerRegistry::start().unwrap() }
    }

    fn create(&self, output: &str, sequence: u64, content: &str, more: &[&str]) {
        let image = ImageSpec::oci().label("content", content).build();
        self.scene.source.client().push("team/app", "1", &image).unwrap();
        let reference = format!("{}/team/app:1", self.scene.source.host());
        let sequence = sequence.to_string();
        let mut arguments = vec![
            "create",
            &reference,
            "--key",
            "key",
            "--stream",
            "s",
            "--sequence",
            &sequence,
            "-o",
            output,
        ];
        arguments.extend_from_slice(more);
        self.scene.bundle(arguments).succeeds();
    }

    fn import(&self, file: &str, more: &[&str]) -> Ran {
        self.import_at(self.target.host(), file, more)
    }

    fn import_at(&self, host: &str, file: &str, more: &[&str]) -> Ran {
        let mut arguments = vec![
            "import",
            file,
            "--to",
            host,
            "--trust",
            "key.pub",
            "--on-existing-tag",
            "overwrite",
            "--receipt",
            "r.json",
        ];
        arguments.extend_from_slice(more);
        self.scene.bundle(arguments)
    }

    fn contents(&self) -> Contents {
        self.target.client().contents().unwrap()
    }

    fn forget(&self) {
        std::fs::remove_file(self.scene.path(".local/state/bundle/state.json")).unwrap();
    }

    fn receipt(&self) -> serde_json::Value {
        serde_json::from_slice(&std::fs::read(self.scene.path("r.json")).unwrap()).unwrap()
    }
}

#[test]
fn an_older_bundle_is_refused_even_after_the_state_file_is_lost() {
    let stream = Stream::new();
    stream.create("1.tar", 1, "one", &[]);
    stream.create("2.tar", 2, "two", &[]);
    stream.import("1.tar", &[]).succeeds().says("first bundle of stream 's' for ");
    assert!(stream.receipt().get("previous").is_none());
    stream.import("2.tar", &[]).succeeds();
    assert_eq!(stream.receipt()["previous"]["sequence"], 1);
    let before = stream.contents();
    let refused = || {
        stream
            .import("1.tar", &[])
            .ends_with(8)
            .says("bundle 1 of the stream 's' is older than 2, which was imported before")
            .says("--allow-rollback --reason");
        assert_eq!(stream.contents(), before);
    };
    refused();
    // The registry does not forget.
    stream.forget();
    refused();
    // The file does not go back either, if the record is removed.
    stream.import("2.tar", &[]).succeeds();
    let repository = before.keys().find(|name| name.ends_with("/bundle-state")).unwrap();
    for digest in before[repository].values() {
        stream.target.client().delete_manifest(repository, digest).unwrap();
    }
    stream.import("1.tar", &[]).ends_with(8).says("is older than 2");
    // A damaged file is set aside, and what it knew comes from the registry.
    stream.import("2.tar", &[]).succeeds();
    std::fs::write(stream.scene.path(".local/state/bundle/state.json"), "{\"stateV").unwrap();
    stream.import("1.tar", &[]).ends_with(8).says("was damaged and is now").says("is older than 2");
}

#[test]
fn a_person_can_go_back_with_a_reason_and_the_receipt_says_so() {
    let stream = Stream::new();
    stream.create("1.tar", 1, "one", &[]);
    stream.create("2.tar", 2, "two", &[]);
    stream.create("3.tar", 3, "three", &[]);
    stream.import("2.tar", &[]).succeeds();
    let back = ["--allow-rollback", "--reason", "2 breaks the line"];
    stream.import("1.tar", &back).succeeds().says("going back: the newest bundle was s 2");
    let overrides = &stream.receipt()["overrides"];
    assert_eq!(overrides[0]["rule"], "rollback");
    assert_eq!(overrides[0]["reason"], "2 breaks the line");
    stream.scene.bundle(["receipt", "show", "r.json"]).succeeds().says("'rollback' was overridden: 2 breaks");
    // The stream is where it was: another bundle that is older is refused again.
    stream.import("1.tar", &[]).ends_with(8);
    stream.import("3.tar", &[]).succeeds();
    assert!(stream.receipt().get("overrides").is_none());
}

#[test]
fn another_bundle_with_a_number_that_is_taken_is_refused_and_the_same_again_is_not() {
    let stream = Stream::new();
    stream.create("a.tar", 1, "a", &[]);
    stream.create("b.tar", 1, "b", &[]);
    stream.import("a.tar", &[]).succeeds();
    let before = stream.contents();
    let again = stream.import("a.tar", &["--json"]).succeeds().json();
    assert_eq!((&again["pushed"], &again["blobs"]["sent"]), (&0.into(), &0.into()));
    stream.import("b.tar", &[]).ends_with(8).says("another one with this number was imported before");
    assert_eq!(stream.contents(), before);
    stream.import("b.tar", &["--allow-rollback", "--reason", "a was a mistake"]).succeeds();
    assert_eq!(stream.receipt()["overrides"][0]["rule"], "reused-sequence");
    // Both are known now, here and in the registry.
    stream.forget();
    stream.import("a.tar", &[]).succeeds();
    stream.import("b.tar", &[]).succeeds();
}

#[test]
fn the_clock_matters_only_for_an_expiry_and_for_what_is_from_the_future() {
    let stream = Stream::new();
    stream.create("old.tar", 1, "one", &["--created", "1999-01-01T00:00:00Z"]);
    stream.create("future.tar", 2, "two", &["--created", "2199-01-01T00:00:00Z"]);
    stream.create("expired.tar", 3, "three", &["--created", "1999-01-01T00:00:00Z", "--expires", "30d"]);
    stream.create("lasting.tar", 4, "four", &["--expires", "2199-01-01T00:00:00Z"]);
    stream.import("old.tar", &[]).succeeds();
    stream.import("future.tar", &["--allow-future"]).succeeds();
    stream.import("expired.tar", &[]).ends_with(8).says("bundle expired at 1999-01-31T00:00:00Z");
    stream.import("expired.tar", &["--allow-rollback", "--reason", "no newer one"]).succeeds();
    assert_eq!(stream.receipt()["overrides"][0]["rule"], "expired");
    stream.import("lasting.tar", &[]).succeeds();
}

#[test]
fn a_bundle_counts_as_accepted_before_its_first_tag_is_set() {
    let stream = Stream::new();
    stream.create("1.tar", 1, "one", &[]);
    stream.create("2.tar", 2, "two", &[]);
    let proxy = FaultProxy::start(stream.target.host()).unwrap();
    // The import of 2 ends between its record and its tag.
    proxy.add(Rule::new(Matcher::new("PUT", "/team/app/manifests/1"), Fault::status(403)));
    stream.import_at(proxy.host(), "2.tar", &[]).ends_with(4);
    proxy.clear_rules();
    stream.import_at(proxy.host(), "1.tar", &[]).ends_with(8).says("is older than 2");
    stream.import_at(proxy.host(), "2.tar", &[]).succeeds();
    // A bundle that failed before all was pushed is not accepted.
    stream.create("3.tar", 3, "three", &[]);
    proxy.add(Rule::new(Matcher::new("PUT", "/manifests/sha256"), Fault::status(403)));
    stream.import_at(proxy.host(), "3.tar", &[]).ends_with(4);
    proxy.clear_rules();
    stream.import_at(proxy.host(), "2.tar", &[]).succeeds();
}

#[test]
fn a_record_that_cannot_be_read_is_told_and_survived() {
    let stream = Stream::new();
    stream.create("1.tar", 1, "one", &[]);
    let other = ImageSpec::oci().label("no", "record").build();
    stream.target.client().push("cache/bundle-state", "s.9.0123456789ab", &other).unwrap();
    stream
        .import("1.tar", &[])
        .succeeds()
        .says("cache/bundle-state:s.9.0123456789ab is not a record of an accepted bundle");
    stream.create("2.tar", 2, "two", &[]);
    stream.import("2.tar", &[]).succeeds();
    // Readable records still count, without the file too.
    std::fs::remove_dir_all(stream.scene.path(".local")).unwrap();
    stream.import("1.tar", &[]).ends_with(8).says("is older than 2");
}

#[test]
fn a_dry_run_refuses_like_an_import_and_remembers_nothing() {
    let stream = Stream::new();
    stream.create("1.tar", 1, "one", &[]);
    stream.create("2.tar", 2, "two", &[]);
    stream.import("2.tar", &["--dry-run"]).succeeds();
    assert!(!stream.scene.path(".local").exists());
    stream.import("1.tar", &[]).succeeds();
    stream.import("2.tar", &[]).succeeds();
    stream.import("1.tar", &["--dry-run"]).ends_with(8);
}

#[test]
fn a_bundle_from_the_future_is_refused_unless_a_person_says_otherwise() {
    let stream = Stream::new();
    let at = |when: &str| {
        let date = stream.scene.shell(&format!("date -u -d '{when}' +%Y-%m-%dT%H:%M:%SZ")).succeeds();
        date.stdout.trim().to_owned()
    };
    stream.create("soon.tar", 1, "soon", &["--created", &at("+23 hours")]);
    stream.create("far.tar", (1 << 53) - 1, "far", &["--created", &at("+2 days")]);
    stream.create("now.tar", 2, "now", &[]);
    for more in [["--dry-run"].as_slice(), &[]] {
        stream
            .import("far.tar", more)
            .ends_with(5)
            .says("ahead of this machine's clock")
            .says("--allow-future");
    }
    assert!(stream.contents().is_empty());
    // The stream goes on, and a day is no matter.
    stream.import("soon.tar", &[]).succeeds();
    stream.import("now.tar", &[]).succeeds();
    stream.import("far.tar", &["--allow-future"]).succeeds();
}

#[test]
fn what_a_registry_only_says_that_it_stored_is_noticed() {
    let stream = Stream::new();
    stream.create("1.tar", 1, "one", &[]);
    let proxy = FaultProxy::start(stream.target.host()).unwrap();
    proxy.add(Rule::new(Matcher::new("PUT", "/blobs/uploads/"), Fault::status(201)));
    stream.import_at(proxy.host(), "1.tar", &[]).ends_with(4).says("does not have it");
    assert!(stream.contents().is_empty());
    proxy.clear_rules();
    stream.import_at(proxy.host(), "1.tar", &[]).succeeds();
}

/// Pushes an unsigned record, or one with the annotations of another one.
fn push_record(stream: &Stream, sequence: u64, more: &serde_json::Value) {
    let statement = format!("sha256:{}", "0".repeat(64));
    let empty = json!({"mediaType": "application/vnd.oci.empty.v1+json",
        "digest": "sha256:44136fa355b3678a1146ad16f7e8649e94fb4fc21fe77e8310c060f61caaff8a", "size": 2});
    let mut annotations =
        json!({"bundle.stream": "s", "bundle.sequence": sequence.to_string(), "bundle.statement": statement});
    for (name, value) in more.as_object().unwrap() {
        annotations[name] = value.clone();
    }
    let manifest = json!({"schemaVersion": 2, "mediaType": "application/vnd.oci.image.manifest.v1+json",
        "artifactType": "application/vnd.bundle.accepted.v1+json", "config": empty, "layers": [empty],
        "annotations": annotations});
    let (repository, tag) = ("cache/bundle-state", format!("s.{sequence}.{}", "0".repeat(12)));
    std::fs::write(stream.scene.path("record.json"), manifest.to_string()).unwrap();
    let host = stream.target.host();
    let put = format!(
        "curl -sS --fail -X PUT -H 'Content-Type: application/vnd.oci.image.manifest.v1+json' \\
         --data-binary @record.json http://{host}/v2/{repository}/manifests/{tag}"
    );
    stream.scene.shell(&put).succeeds();
}

#[test]
fn a_record_that_is_crowded_out_stops_the_import_instead_of_starting_anew() {
    let stream = Stream::new();
    stream.scene.bundle(["key", "generate", "key-site"]).succeeds();
    let site = ["--receipt-key", "key-site"];
    for number in [3, 4] {
        let file = format!("{number}.tar");
        stream.create(&file, number, &number.to_string(), &[]);
        stream.import(&file, &site).succeeds();
    }
    let empty = json!({"mediaType": "application/vnd.oci.empty.v1+json",
        "digest": "sha256:44136fa355b3678a1146ad16f7e8649e94fb4fc21fe77e8310c060f61caaff8a", "size": 2});
    let kind = "application/vnd.oci.image.manifest.v1+json";
    let manifest = json!({"schemaVersion": 2, "mediaType": kind, "config": empty, "layers": [empty],
        "artifactType": "application/vnd.bundle.accepted.v1+json", "annotations": {}});
    let client = stream.target.client();
    let push = |numbers: std::ops::Range<u64>| {
        for number in numbers {
            let path = format!("/v2/cache/bundle-state/manifests/s.{number}.000000000000");
            let put =
                client.request("PUT", &path, &[("Content-Type", kind)], manifest.to_string().as_bytes());
            assert_eq!(put.unwrap().status, 201);
        }
    };
    // Some are told with one note, and what is signed below them counts.
    push(900_000..900_020);
    stream.forget();
    let some =
        stream.import("4.tar", &site).succeeds().says("20 entries of the registry's record are ignored");
    assert_eq!(some.stderr.matches("bundle-state:s.9").count(), 1, "{}", some.stderr);
    stream.forget();
    stream.import("3.tar", &site).ends_with(8).says("is older than 4");
    // With too many, nothing is known to be first.
    push(900_020..901_001);
    let before = stream.contents();
    for more in [["--dry-run"].as_slice(), &[]] {
        let refused = stream.import("3.tar", &[&site[..], more].concat()).ends_with(3);
        let refused = refused
            .says("cache/bundle-state has more than 1000 records of the stream 's' that count for nothing")
            .says("remove these tags from the registry")
            .says("bundle stream show");
        assert!(!refused.stderr.contains("rollback protection starts now"), "{}", refused.stderr);
        assert!(refused.stderr.lines().count() < 10, "{}", refused.stderr);
    }
    assert_eq!(stream.contents(), before);
    // What the hint says helps: the tags are named, and without them the record counts again.
    let to = stream.target.host();
    let show = ["stream", "show", "s", "--to", to, "--receipt-key", "key-site"];
    stream.scene.bundle(show).succeeds().says("bundle-state:s.900500.000000000000");
    let junk = bundle_test_servers::sha256(manifest.to_string().as_bytes());
    client.delete_manifest("cache/bundle-state", &junk).unwrap();
    stream.import("3.tar", &site).ends_with(8).says("is older than 4");
    stream.import("4.tar", &site).succeeds();
}

#[test]
fn records_are_signed_with_the_sites_key_and_others_are_told_and_count_for_nothing() {
    let stream = Stream::new();
    stream.scene.bundle(["key", "generate", "key-site"]).succeeds();
    stream.scene.bundle(["key", "generate", "key-next"]).succeeds();
    for number in 1..=4 {
        stream.create(&format!("{number}.tar"), number, &number.to_string(), &[]);
    }
    let site = ["--receipt-key", "key-site"];
    // Records from before the key are reported, and the file still has them.
    stream.import("2.tar", &[]).succeeds();
    stream.import("1.tar", &site).ends_with(8).says("is older than 2");
    stream.import("3.tar", &site).succeeds().says("which is not signed with this site's key");
    // The record that is signed protects where the file is lost.
    stream.forget();
    stream.import("2.tar", &site).ends_with(8).says("is older than 3");
    // The highest number there is, unsigned or with the signature of another record.
    let record = stream.target.client().tags("cache/bundle-state").unwrap();
    let tag = record.iter().find(|tag| tag.starts_with("s.3.")).unwrap();
    let signed = stream.target.client().manifest("cache/bundle-state", tag).unwrap().unwrap();
    let signed: serde_json::Value = serde_json::from_slice(&signed.bytes).unwrap();
    let signature = &signed["annotations"]["bundle.signature"];
    assert!(signature.is_string(), "{signed}");
    push_record(&stream, (1 << 53) - 1, &json!({}));
    push_record(&stream, (1 << 53) - 2, &json!({"bundle.signature": signature}));
    for more in [["--dry-run"].as_slice(), &[]] {
        stream
            .import("4.tar", &[&site[..], more].concat())
            .succeeds()
            .says("s.9007199254740991.000000000000, which is not signed with this site's key")
            .says("s.9007199254740990.000000000000, which is not signed with this site's key");
    }
    stream.forget();
    stream.import("3.tar", &site).ends_with(8).says("is older than 4");
    // An import without the key is stopped, with the number of the record.
    stream.import("4.tar", &[]).ends_with(8).says("is older than 9007199254740991");
    // Another key believes nothing that was there, and signs what comes.
    stream
        .import("4.tar", &["--receipt-key", "key-next"])
        .succeeds()
        .says("which is not signed with this site's key");
    stream.forget();
    stream.import("3.tar", &["--receipt-key", "key-next"]).ends_with(8).says("is older than 4");
}
