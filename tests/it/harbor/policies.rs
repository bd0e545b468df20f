//! Exceptions and retention rules in harbor.yaml: planned, set, told where they are over or would do harm. Takes a
//! Harbor whose scanner finds something; looks at pulls, at Harbor's lists and at what it removes itself.

use std::time::Duration;

use bundle_test_servers::{Credentials, Findings, Severity};

use crate::harbor::scene::HarborScene;
use crate::scene::Ran;

const EXCEPTIONS: &str = "\
projects:
  tenant-a:
    exceptions:
    - {vulnerability: CVE-2026-1000, owner: ops@example, expires: '2099-12-31', reason: not reachable}
    - {vulnerability: CVE-2026-1, owner: dev@example, expires: '2020-01-31', reason: was not reachable}
";

/// A Harbor and a bundle of three images in one repository of the project `tenant-a`.
fn three_images() -> HarborScene {
    let it = HarborScene::empty();
    it.scene.bundle(["key", "generate", "key-site"]).succeeds();
    let mut config = "projects:\n  tenants:\n    tenant-a:\n      images:\n".to_owned();
    for number in 1..=3 {
        it.push_image("team/app", &number.to_string(), number);
        config.push_str(&format!("      - SOURCE/team/app:{number} => app:{number}\n"));
    }
    it.create(&config, "b.tar");
    it
}

impl HarborScene {
    fn set_up(&self, more: &[&str]) -> Ran {
        let to = format!("http://{}", self.harbor.host());
        let all = ["harbor", "bootstrap", "--bundle", "b.tar", "--trust", "key.pub", "--to", &to];
        self.bundle(&[&all, more].concat())
    }

    /// The importer's account that bootstrap wrote.
    fn importer(&self) -> Credentials {
        let text = std::fs::read_to_string(self.scene.path("harbor-secrets/importer.json")).unwrap();
        let config: serde_json::Value = serde_json::from_str(&text).unwrap();
        let entry = &config["auths"][self.harbor.host()];
        let text = |field: &str| entry[field].as_str().unwrap().to_owned();
        Credentials { name: text("username"), secret: text("password") }
    }

    fn status(&self) -> u16 {
        self.pull(&self.harbor.admin_credentials(), "tenant-a/app", "1")
    }
}

#[test]
fn an_exception_is_planned_set_and_ends_with_its_last_day() {
    let it = three_images();
    it.finds(Findings::clean().with(Severity::High, 1));
    it.import(&[]).succeeds();
    assert_eq!(it.status(), 412);
    it.write("harbor.yaml", EXCEPTIONS);
    let change = "tenant-a: exceptions are the system's, should be CVE-2026-1000 until 2099-12-31";
    let over =
        "the exception of project tenant-a for CVE-2026-1 (dev@example, last day 2020-01-31) has expired";
    it.import(&["--dry-run"]).succeeds().says(change).says(over);
    assert_eq!(it.harbor.allowlist("tenant-a").0.len(), 0);
    it.import(&[]).succeeds().says(change).says(over);
    assert_eq!(it.harbor.allowlist("tenant-a").0, ["CVE-2026-1000"]);
    assert_eq!(it.status(), 200);
    it.import(&[]).succeeds();
    it.harbor.advance(Duration::from_secs(100 * 366 * 86_400));
    assert_eq!(it.status(), 412);
}

#[test]
fn an_importer_that_may_not_set_exceptions_imports_and_says_what_is_left() {
    let it = three_images();
    it.set_up(&[]).succeeds();
    it.write("harbor.yaml", &EXCEPTIONS.replace("projects:", "systemExceptions:\n- {vulnerability: CVE-2026-9, owner: ops@example, expires: '2099-01-31', reason: no}\nprojects:"));
    let left = "exceptions are the system's, should be CVE-2026-1000 until 2099-12-31";
    it.import_as(&it.importer(), &["--receipt", "r.json", "--receipt-key", "key-site"]).succeeds().says(left);
    let to = format!("http://{}", it.harbor.host());
    let diff = ["harbor", "diff", "r.json", "--to", &to, "--trust", "key-site.pub"];
    it.bundle(&diff)
        .ends_with(6)
        .says(left)
        .says("the system: exceptions are none, should be CVE-2026-9 until 2099-01-31");
    let importer = it.importer();
    let doctor = it.bundle_as(&importer, &["doctor", "--to", &to]);
    assert!(
        format!("{}{}", doctor.stdout, doctor.stderr)
            .contains("exceptions have expired: CVE-2026-1 (dev@example"),
        "{doctor:?}"
    );
    it.set_up(&["--dry-run"])
        .succeeds()
        .says("exceptions are none, should be CVE-2026-9")
        .says(left)
        .says("has expired");
    assert!(it.harbor.system_allowlist().is_empty());
    it.set_up(&[]).succeeds();
    assert_eq!(it.harbor.system_allowlist(), ["CVE-2026-9"]);
    it.bundle(&diff).succeeds();
    // Somebody changes it by hand.
    it.harbor.allow_cves("tenant-a", &["CVE-2026-7"]);
    it.bundle(&diff).ends_with(6).says("the project tenant-a: exceptions are CVE-2026-7");
}

#[test]
fn retention_rules_are_set_and_those_that_would_remove_what_a_bundle_wants_are_told() {
    let it = three_images();
    it.write(
        "harbor.yaml",
        "projects:\n  tenant-a:\n    retention: {schedule: '0 0 2 * * *', keep: [{latestPushedK: 2}]}\n",
    );
    it.import(&["--dry-run"])
        .succeeds()
        .says("retention is no rules; should be latestPushedK 2 or always of repositories bundle-state, at 0 0 2 * * *")
        .says("latestPushedK 2 keeps fewer than the 3 artifacts that the bundle wants in app");
    it.import(&[])
        .succeeds()
        .says("the retention rules of project tenant-a may remove what the bundle wants");
    assert_eq!(it.harbor.retention("tenant-a"), ["latestPushedK", "always"]);
    // And so they do.
    it.harbor.run_retention("tenant-a");
    assert_eq!(it.harbor.tags("tenant-a/app").len(), 2);
    // Rules that keep enough are told nothing about, and the next import brings back what is missing.
    it.write("harbor.yaml", "projects:\n  tenant-a:\n    retention: {keep: [{latestPushedK: 10}]}\n");
    let ran = it
        .import(&[])
        .succeeds()
        .says("should be latestPushedK 10 or always of repositories bundle-state, when");
    assert!(!ran.stdout.contains("may remove"), "{ran:?}");
    it.harbor.run_retention("tenant-a");
    assert_eq!(it.harbor.tags("tenant-a/app").len(), 3);
    // Without a word, somebody's rules are left, and told.
    it.write("harbor.yaml", "{}\n");
    it.harbor.set_retention("tenant-a", "nDaysSinceLastPush", 30);
    let ran = it.import(&[]).succeeds();
    ran.says("an image that stays the same is not pushed again");
    assert_eq!(it.harbor.retention("tenant-a"), ["nDaysSinceLastPush"]);
}
