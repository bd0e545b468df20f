//! `bundle sign --report`, and what `bundle verify` says of it.
//! Takes a bundle with its report, a second person's key, and files that somebody changed on the way.

use std::process::Command;

use bundle_test_servers::sha256;

use super::nights::Nights;

/// The two nights with their report, which the second person has signed.
fn approved() -> (Nights, String) {
    let nights = Nights::new();
    let digest = sha256(nights.written("report.html").as_bytes());
    nights.scene.bundle(["key", "generate", "second"]).succeeds();
    let trust = "signatures: 2\nkeys:\n  - {name: ops, file: key.pub, projects: ['*']}\n  - {name: board, file: second.pub, \
                 projects: ['*']}\n";
    std::fs::write(nights.scene.path("trust.yaml"), trust).unwrap();
    nights
        .scene
        .bundle(["sign", "tuesday.tar", "--key", "second", "--trust", "key.pub", "--report", "report.html"])
        .succeeds()
        .says(&digest);
    (nights, digest)
}

const VERIFY: [&str; 4] = ["verify", "tuesday.tar", "--trust", "trust.yaml"];

#[test]
fn a_bundle_says_by_which_report_it_was_approved() {
    let (nights, digest) = approved();
    let verify = |more: &[&str]| nights.scene.bundle([&VERIFY[..], more].concat());
    verify(&[]).succeeds().says("approved by 'board' on ").says(&format!("report.html ({digest})"));
    let json = verify(&["--json"]).succeeds().json();
    let approval = &json["bundle"]["approvals"][0];
    assert_eq!((&approval["by"], &approval["report"]), (&"board".into(), &digest.into()));
    verify(&["--report", "report.html"]).succeeds().says("approval   passed");
    // One letter more is another report.
    let page = std::fs::read_to_string(nights.scene.path("report.html")).unwrap();
    std::fs::write(nights.scene.path("other.html"), format!("{page}\n")).unwrap();
    verify(&["--report", "other.html"])
        .ends_with(3)
        .says("approval   FAILED")
        .says("'board' approved sha256:");
    verify(&["monday.tar", "--report", "report.html"]).ends_with(2).says("several are named");
}

#[test]
fn an_approval_counts_only_with_its_signers_signature_of_the_bundle() {
    let (nights, _) = approved();
    let scene = &nights.scene;
    let verify = |more: &[&str]| scene.bundle([&VERIFY[..], more].concat());
    let beside = |end: &str| {
        let found = scene.files().into_iter().find(|name| name.ends_with(end));
        scene.path(&found.unwrap_or_else(|| panic!("{end}: {:?}", scene.files())))
    };
    let (approval, signature) = (beside(".approval.json"), beside(".approval.json.sig"));
    // openssl says the same of it.
    let checked = Command::new("openssl")
        .args(["pkeyutl", "-verify", "-rawin", "-pubin", "-inkey", "second.pub", "-in"])
        .arg(&approval)
        .arg("-sigfile")
        .arg(&signature)
        .current_dir(scene.path(""))
        .output()
        .unwrap();
    assert!(checked.status.success(), "{}", String::from_utf8_lossy(&checked.stderr));
    // A changed approval counts for nothing, and the bundle is as good as before.
    let bytes = std::fs::read_to_string(&approval).unwrap();
    std::fs::write(&approval, bytes.replace("report.html", "repost.html")).unwrap();
    let changed = verify(&[]).succeeds().says("this approval does not count");
    assert!(!changed.stdout.contains("approved by"), "{}", changed.stdout);
    verify(&["--report", "report.html"]).ends_with(3).says("no signer of the bundle approved it");
    std::fs::write(&approval, bytes).unwrap();
    verify(&["--report", "report.html"]).succeeds();
    // Without the co-signature, the second person has signed nothing.
    let co_signature = scene.files().into_iter().find(|name| {
        name.starts_with("tuesday.tar.") && name.ends_with(".sig") && !name.contains("approval")
    });
    std::fs::remove_file(scene.path(&co_signature.unwrap())).unwrap();
    verify(&["--report", "report.html"]).ends_with(3).says("2 signatures are required");
    scene
        .bundle(["verify", "tuesday.tar", "--trust", "key.pub", "--report", "report.html"])
        .ends_with(3)
        .says("no signer of the bundle approved it");
}

#[test]
fn a_report_on_another_bundle_is_not_signed_and_neither_is_the_bundle() {
    let nights = Nights::new();
    let scene = &nights.scene;
    for name in ["report.html", "report.md", "report.csv", "report.json"] {
        nights.written(name);
        let before = scene.files();
        scene
            .bundle(["sign", "monday.tar", "--key", "key", "--trust", "key.pub", "--report", name])
            .ends_with(2)
            .says("is not a report on this bundle");
        assert_eq!(scene.files(), before);
        scene
            .bundle(["sign", "tuesday.tar", "--key", "key", "--trust", "key.pub", "--report", name])
            .succeeds();
    }
    // A scan of the signed paper has no text to look into.
    std::fs::write(scene.path("signed.pdf"), b"%PDF-1.7\n\xff\xfe").unwrap();
    scene
        .bundle(["sign", "tuesday.tar", "--key", "key", "--trust", "key.pub", "--report", "signed.pdf"])
        .succeeds();
    scene
        .bundle(["verify", "tuesday.tar", "--trust", "key.pub", "--report", "signed.pdf"])
        .succeeds()
        .says("by the report signed.pdf");
}
