//! Nights on which foreign files were put into the directories of the jobs, or their own files were removed.
//! Each leaves an account, the right exit code, and a way on for the next night.

use std::os::unix::fs::symlink;

use bundle_test_servers::{Fault, FaultProxy, ImageSpec, Matcher, Rule};

use crate::scene::Ran;
use crate::sync::jobs::{Nights, quiet};

fn two_images() -> Nights {
    let nights = Nights::new("", "");
    nights.push("a", 10);
    nights.push("b", 20);
    nights
}

#[test]
fn a_bundle_that_vanished_from_the_outbox_is_written_again() {
    let nights = two_images();
    nights.export(&[]).succeeds();
    quiet(nights.export(&[]));
    // The disk of the outbox is lost.
    std::fs::remove_dir_all(nights.scene.path("out")).unwrap();
    nights.export(&[]).succeeds().says("wrote bundle");
    quiet(nights.export(&[]));
    nights.carry();
    nights.import().succeeds();
    nights.agrees(&["a", "b"]);
    // One missing volume is enough.
    nights.configure("  volumeSize: 128KiB\n", "");
    nights.push("a", 11);
    nights.export(&["--again"]).succeeds();
    quiet(nights.export(&[]));
    let volume = nights.list("out").into_iter().find(|name| name.contains(".002-of-")).unwrap();
    std::fs::remove_file(nights.path("out", &volume)).unwrap();
    nights.export(&[]).succeeds().says("wrote bundle");
    quiet(nights.export(&[]));
}

#[test]
fn what_only_looks_like_a_bundle_in_the_outbox_takes_no_number() {
    let nights = two_images();
    nights.export(&[]).succeeds();
    let first = nights.list("out").pop().unwrap();
    // A copy under the last number that there is, a stranger's bundle, and no bundle at all.
    nights.scene.bundle(["key", "generate", "key-other"]).succeeds();
    let reference = format!("{}/team/a:1", nights.scene.source.host());
    let stranger =
        ["create", &reference, "--stream", "s", "--sequence", "9007199254740990", "--key", "key-other"];
    let output = ["-o", "out/s-9007199254740990.tar"];
    nights.scene.bundle(stranger.into_iter().chain(output)).succeeds();
    std::fs::copy(nights.path("out", &first), nights.path("out", "s-9007199254740991.tar")).unwrap();
    std::fs::write(nights.path("out", "s-9007199254740989.tar"), "no bundle").unwrap();
    quiet(nights.export(&[]));
    nights.push("a", 11);
    let wrote = nights.export(&[]).succeeds().says("wrote bundle 1");
    assert!(!wrote.stdout.contains("90071992547"), "{}", wrote.stdout);
    quiet(nights.export(&[]));
    // A lost state makes no difference either.
    std::fs::remove_dir_all(nights.scene.path("state-a")).unwrap();
    quiet(nights.export(&[]));
}

#[test]
fn what_holds_one_stream_up_does_not_hold_up_another() {
    let nights = two_images();
    let proxy = FaultProxy::start(nights.target.host()).unwrap();
    let yaml = std::fs::read_to_string(nights.scene.path("sync.yaml")).unwrap();
    std::fs::write(nights.scene.path("sync.yaml"), yaml.replace(nights.target.host(), proxy.host())).unwrap();
    std::fs::create_dir_all(nights.scene.path("in")).unwrap();
    for (image, stream, sequence) in [("a", "early", "1"), ("b", "early", "2"), ("b", "late", "1")] {
        let reference = format!("{}/team/{image}:1", nights.scene.source.host());
        let output = format!("in/{stream}-{sequence}.tar");
        let number = ["--stream", stream, "--sequence", sequence, "--key", "key", "-o", &output];
        nights.scene.bundle(["create", &reference].into_iter().chain(number)).succeeds();
    }
    proxy.add(Rule::new(Matcher::new("PUT", "/team/a/manifests/"), Fault::status(403)));
    let ran = nights.import();
    assert_ne!(ran.code, Some(0));
    let ran = ran.says("early-1.tar: ").says("imported bundle late 1");
    assert!(!ran.stderr.contains("early-2.tar"), "{}", ran.stderr);
    // The later bundle of the stream was not imported first.
    assert_eq!(nights.list("in"), ["early-1.tar", "early-2.tar"]);
    proxy.clear_rules();
    nights.import().succeeds();
    assert_eq!(nights.list("in/done"), ["early-1.tar", "early-2.tar", "late-1.tar"]);
}

#[test]
fn neither_names_nor_reasons_command_a_terminal_and_no_link_is_written_through() {
    const NAME: &str = "a\u{1b}[2J\nb";
    let nights = two_images();
    nights.export(&[]).succeeds();
    let bundle = nights.list("out").pop().unwrap();
    nights.put(&bundle, &format!("{NAME}.tar"));
    std::fs::write(nights.path("in", &format!("{NAME}-junk.tar")), "junk").unwrap();
    let plain = |text: &str| !text.contains('\u{1b}') && !text.contains("\nb");
    for code in [6, 3] {
        let ran = nights.import().ends_with(code).says("a\\u{1b}[2J\\u{a}b");
        assert!(plain(&ran.stdout) && plain(&ran.stderr), "{ran:?}");
    }
    // Receipts come from outside too.
    let victim = nights.scene.path("victim");
    std::fs::write(&victim, "precious").unwrap();
    std::fs::create_dir_all(nights.scene.path("back/refused")).unwrap();
    std::fs::write(nights.path("back", &format!("{NAME}.txt")), "\u{1b}[2J\n").unwrap();
    symlink(&victim, nights.path("back/refused", &format!("{NAME}.txt.reason.txt"))).unwrap();
    let ran = nights.export(&[]).ends_with(3);
    assert!(plain(&ran.stderr), "{ran:?}");
    assert_eq!(std::fs::read_to_string(&victim).unwrap(), "precious");
    // An earlier refused file is not replaced.
    std::fs::write(nights.path("back", &format!("{NAME}.txt")), "another").unwrap();
    nights.export(&[]).ends_with(3);
    let refused = nights.list("back/refused");
    assert_eq!(refused.len(), 4, "{refused:?}");
    let reasons = refused.iter().filter(|name| name.ends_with(".reason.txt"));
    for reason in reasons.map(|name| std::fs::read_to_string(nights.path("back/refused", name)).unwrap()) {
        assert!(!reason.contains('\u{1b}'), "{reason:?}");
    }
}

#[test]
fn a_receipt_without_its_signature_is_told_and_counts_when_it_has_one() {
    let nights = two_images();
    nights.export(&[]).succeeds();
    let first = nights.carry();
    nights.import().succeeds();
    nights.bring_back();
    let signature = nights.path("back", &first.replace(".tar", ".json.sig"));
    let bytes = std::fs::read(&signature).unwrap();
    std::fs::remove_file(&signature).unwrap();
    nights.export(&[]).succeeds().says("does not count");
    assert_eq!(nights.document("export.json")["status"]["arrived"], serde_json::Value::Null);
    std::fs::write(&signature, bytes).unwrap();
    quiet(nights.export(&[]));
    let status = nights.document("export.json");
    assert_eq!(status["status"]["arrived"], status["status"]["last"]["sequence"]);
    // A run that fails still knows what arrived.
    nights.want(&["a", "gone"]);
    nights.export(&["--retries", "0"]).ends_with(4);
    assert_eq!(nights.document("export.json")["status"]["arrived"], status["status"]["arrived"]);
}

#[test]
fn what_the_other_side_leaves_out_is_not_sent_again_each_night() {
    let nights = two_images();
    nights.configure("", "  onExistingTag: skip\n");
    let repository = format!("cache/{}/team/b", nights.scene.source.host().replace(':', "_"));
    let theirs = ImageSpec::oci().label("theirs", "yes").build();
    nights.target.client().push(&repository, "1", &theirs).unwrap();
    for _ in 0..2 {
        nights.export(&[]).succeeds().says("wrote bundle");
        nights.carry();
        nights.import().succeeds();
        assert_eq!(nights.target.client().manifest(&repository, "1").unwrap().unwrap().digest, theirs.digest);
        nights.bring_back();
        quiet(nights.export(&[]));
        nights.push("a", 11);
    }
}

#[test]
fn an_inbox_full_of_junk_keeps_no_bundle_out() {
    let nights = two_images();
    nights.export(&[]).succeeds();
    let bundle = nights.list("out").pop().unwrap();
    nights.put(&bundle, "zzz.tar");
    for number in 0..300 {
        std::fs::write(nights.path("in", &format!("junk-{number:04}.tar")), "junk").unwrap();
    }
    // Valid bundles are imported in the same run, wherever their names are sorted.
    nights.import().ends_with(6).says("imported bundle s ").says("the inbox has 50 more bundles");
    assert_eq!(nights.document("import.json")["status"]["left"], 50);
    nights.import().ends_with(3);
    nights.import().ends_with(6);
    nights.import().ends_with(3);
    quiet(nights.import());
    assert!(nights.list("in").is_empty());
    nights.agrees(&["a", "b"]);
}

#[test]
fn a_night_accepts_no_key_that_the_store_has_revoked_and_none_where_the_store_is_not_found() {
    let nights = two_images();
    nights.export(&[]).succeeds();
    nights.carry();
    let homeless = |side: &str| {
        let mut command = nights.scene.command(["sync", side]);
        Ran::from(command.env_remove("HOME").output().unwrap())
    };
    for side in ["import", "export"] {
        homeless(side).ends_with(2).says("the trust store cannot be found");
    }
    for (key, name) in [("key.pub", "ops"), ("key-site.pub", "site")] {
        nights.scene.bundle(["trust", "add", key, "--name", name]).succeeds();
        nights.scene.bundle(["trust", "revoke", name]).succeeds();
    }
    nights.import().ends_with(3).says("is signed by the key 'key.pub', which is revoked");
    nights.export(&[]).ends_with(3).says("the trust store has revoked this key, as 'site'");
}

#[test]
fn old_incomplete_sets_are_refused_and_junk_beside_a_bundle_keeps_nothing_out() {
    let nights = Nights::new("  volumeSize: 128KiB\n", "");
    nights.push("a", 10);
    nights.push("b", 20);
    nights.export(&[]).succeeds();
    let old = nights.list("out");
    for name in &old {
        nights.put(name, name);
    }
    nights.import().succeeds();
    // Anybody finds this on last month's stick.
    let first = old.iter().find(|name| name.contains(".001-of-")).unwrap();
    let end = &first[first.rfind('.').unwrap()..];
    let index = old.iter().find(|name| name.ends_with(".volumes.json")).unwrap();
    for number in 0..300 {
        nights.put(first, &format!("a{number:03}.tar{end}"));
        nights.put(index, &format!("a{number:03}.tar.volumes.json"));
    }
    nights.push("a", 11);
    nights.export(&[]).succeeds();
    let new: Vec<String> = nights.list("out").into_iter().filter(|name| !old.contains(name)).collect();
    for name in &new {
        nights.put(name, name);
    }
    let bundle = new[0].split(".tar").next().unwrap();
    let junk = |name: &str| std::fs::write(nights.path("in", name), "junk").unwrap();
    junk(&format!("{bundle}.tar.0123456789abcdef.sig"));
    junk(&format!("{bundle}.tar.SHA256SUMS"));
    nights.import().ends_with(8).says("imported bundle s ").says("is incomplete, and bundle");
    nights.agrees(&["a", "b"]);
    nights.import().ends_with(8);
    quiet(nights.import());
    assert!(nights.list("in").is_empty(), "{:?}", nights.list("in"));
}

#[test]
fn a_file_that_cannot_be_put_aside_is_not_the_jobs_trouble() {
    let nights = two_images();
    nights.export(&[]).succeeds();
    let bundle = nights.carry();
    // Odd things where files belong, and a name that leaves no room for more.
    for directory in [
        "in/refused/junk.tar.reason.txt".to_owned(),
        format!("in/done/{bundle}"),
        "receipts/s-1.json".to_owned(),
        "receipts/s-1.short".to_owned(),
    ] {
        std::fs::create_dir_all(nights.scene.path(&directory)).unwrap();
    }
    let longest = format!("{}.tar", "x".repeat(251));
    for junk in ["junk.tar", &longest] {
        std::fs::write(nights.path("in", junk), "junk").unwrap();
    }
    nights.import().ends_with(6).says("imported bundle s ");
    nights.import().ends_with(3);
    quiet(nights.import());
    assert!(nights.list("in").is_empty(), "{:?}", nights.list("in"));
    assert_eq!(nights.list("in/refused").len(), 4);
    assert_eq!(nights.list("in/done"), [format!("2.{bundle}")]);
    nights.agrees(&["a", "b"]);
}

#[test]
fn what_the_registry_refuses_for_good_is_put_aside_and_the_next_bundle_overtakes_it() {
    for (status, method, path) in [
        (400, "PUT", "/team/a/manifests/"),
        (413, "PUT", "/team/a/blobs/uploads/"),
        (415, "PUT", "/team/a/manifests/"),
    ] {
        let nights = two_images();
        let proxy = FaultProxy::start(nights.target.host()).unwrap();
        let yaml = std::fs::read_to_string(nights.scene.path("sync.yaml")).unwrap();
        std::fs::write(nights.scene.path("sync.yaml"), yaml.replace(nights.target.host(), proxy.host()))
            .unwrap();
        std::fs::create_dir_all(nights.scene.path("in")).unwrap();
        for (image, sequence) in [("a", "1"), ("b", "2")] {
            let reference = format!("{}/team/{image}:1", nights.scene.source.host());
            let output = format!("in/s-{sequence}.tar");
            let number = ["--stream", "s", "--sequence", sequence, "--key", "key", "-o", &output];
            nights.scene.bundle(["create", &reference].into_iter().chain(number)).succeeds();
        }
        proxy.add(Rule::new(Matcher::new(method, path), Fault::status(status)));
        let ran = nights.import();
        assert_ne!(ran.code, Some(0));
        ran.says("s-1.tar: ").says("imported bundle s 2");
        assert_eq!(nights.list("in/refused"), ["s-1.tar", "s-1.tar.reason.txt"], "{status}");
        assert_eq!(nights.list("in/done"), ["s-2.tar"], "{status}");
        quiet(nights.import());
    }
}
