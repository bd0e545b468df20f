//! Policies that keep images from being pulled or replaced.
//! Takes findings, signatures and immutable rules; the status is what Harbor sends.

use super::*;
use crate::{Index, Platform};

/// A Harbor whose project blocks what has HIGH or CRITICAL vulnerabilities, and scans what is pushed.
fn strict() -> Harbor {
    let harbor = Harbor::start().unwrap();
    let policies = [("prevent_vul", "true"), ("severity", "high"), ("auto_scan", "true")];
    harbor.add_project_with("platform", &policies);
    harbor
}

fn pull(harbor: &Harbor, reference: &str) -> (u16, u16) {
    let path = format!("/v2/platform/app/manifests/{reference}");
    let get = harbor.admin().get(&path).unwrap();
    if get.status == 412 {
        assert_eq!(get.refusal().1, "PROJECTPOLICYVIOLATION");
    }
    let head = harbor.admin().head(&path).unwrap();
    assert_eq!(head.body.len(), 0);
    (get.status, head.status)
}

fn overview(harbor: &Harbor, reference: &str) -> Value {
    let path = format!("{}/artifacts/{reference}", repository_path("platform", "app"));
    let artifact = harbor.admin().api(&format!("{path}?with_scan_overview=true")).document();
    artifact["scan_overview"]["application/vnd.security.vulnerability.report; version=1.1"].clone()
}

#[test]
fn what_is_at_or_over_the_severity_is_blocked_for_get_and_head_item_14() {
    for (severity, status) in
        [(Severity::Low, 200), (Severity::Medium, 200), (Severity::High, 412), (Severity::Critical, 412)]
    {
        let harbor = strict();
        let image = image(1);
        harbor.set_findings(&image.digest, Findings::clean().with(severity, 2).fixable(1));
        harbor.admin().push("platform/app", "v1", &image).unwrap();
        assert_eq!(pull(&harbor, "v1"), (status, status), "{severity:?}");
        // The policy does not limit requests to the API.
        let path = format!("{}/artifacts/v1", repository_path("platform", "app"));
        assert_eq!(harbor.admin().api(&path).document()["digest"], image.digest);
        let found = overview(&harbor, "v1");
        assert_eq!((&found["summary"]["total"], &found["summary"]["fixable"]), (&json!(2), &json!(1)));
        assert_eq!(found["severity"], format!("{severity:?}"));
    }
}

#[test]
fn what_could_be_scanned_and_was_not_is_blocked_and_what_cannot_be_is_not_item_14() {
    let harbor = strict();
    harbor.set_metadata("platform", "auto_scan", "false");
    harbor.admin().push("platform/app", "image", &image(1)).unwrap();
    assert_eq!(pull(&harbor, "image"), (412, 412));
    let sbom = image(1).referrer("application/spdx+json", b"{}");
    let signature = image(1).cosign_signature("app");
    harbor.admin().push("platform/app", "chart", &Manifest::helm_chart("web", "1.2.3")).unwrap();
    harbor.admin().push_untagged("platform/app", &sbom).unwrap();
    harbor.admin().push("platform/app", &image(1).cosign_tag(), &signature).unwrap();
    let trivy = Manifest::artifact("application/vnd.aquasec.trivy.config.v1+json", "application/x", b"db");
    harbor.admin().push("platform/app", "trivy-db", &trivy).unwrap();
    for reference in ["chart", "trivy-db", &sbom.digest, &signature.digest] {
        assert_eq!(pull(&harbor, reference), (200, 200), "{reference}");
    }
}

#[test]
fn a_scan_under_way_blocks_and_is_seen_to_end_items_14_and_22() {
    let harbor = strict();
    let image = image(1);
    harbor.set_findings(&image.digest, Findings::clean().unseen(1).after_polls(3));
    harbor.admin().push("platform/app", "v1", &image).unwrap();
    assert_eq!(pull(&harbor, "v1"), (412, 412));
    let seen: Vec<Value> = (0..6).map(|_| overview(&harbor, "v1")["scan_status"].clone()).collect();
    let expected = json!([null, "Pending", "Running", "Running", "Success", "Success"]);
    assert_eq!(json!(seen), expected);
    assert_eq!(pull(&harbor, "v1"), (200, 200));
}

#[test]
fn a_scanner_may_be_slow_or_fail_item_22() {
    let harbor = strict();
    harbor.set_default_findings(Findings::clean().with(Severity::Low, 1).never());
    let (slow, failing) = (image(1), image(2));
    harbor.set_findings(&failing.digest, Findings::clean().failing());
    harbor.admin().push("platform/app", "slow", &slow).unwrap();
    harbor.admin().push("platform/app", "failing", &failing).unwrap();
    assert_eq!(overview(&harbor, "slow")["scan_status"], "Pending");
    for _ in 0..5 {
        assert_eq!(overview(&harbor, "slow")["scan_status"], "Running");
    }
    let scan = format!("{}/artifacts/slow/scan", repository_path("platform", "app"));
    assert_eq!(harbor.admin().call("POST", &scan, &json!({})).refusal(), (409, "CONFLICT".to_owned()));
    harbor.finish_scans();
    assert_eq!(overview(&harbor, "slow")["scan_status"], "Success");
    assert_eq!(pull(&harbor, "slow"), (200, 200));
    assert_eq!(overview(&harbor, "failing")["scan_status"], "Error");
    assert_eq!(pull(&harbor, "failing"), (412, 412));
}

#[test]
fn without_automatic_scans_there_is_no_overview_until_someone_asks_item_22() {
    let harbor = strict();
    harbor.set_metadata("platform", "auto_scan", "false");
    let image = image(1);
    harbor.set_findings(&image.digest, Findings::clean().with(Severity::Critical, 3).fixable(2));
    harbor.admin().push("platform/app", "v1", &image).unwrap();
    assert_eq!(overview(&harbor, "v1"), Value::Null);
    let artifact = format!("{}/artifacts/v1", repository_path("platform", "app"));
    for (wanted, status) in [(json!({"scan_type": "magic"}), 422), (json!({"scan_type": "sbom"}), 400)] {
        assert_eq!(harbor.admin().call("POST", &format!("{artifact}/scan"), &wanted).status, status);
    }
    let without_body = format!("/api/v2.0{artifact}/scan");
    assert_eq!(harbor.admin().request("POST", &without_body, &[], b"").unwrap().status, 202);
    assert_eq!(overview(&harbor, "v1")["severity"], "Critical");
    let report = harbor.admin().api(&format!("{artifact}/additions/vulnerabilities")).document();
    let list = &report["application/vnd.security.vulnerability.report; version=1.1"]["vulnerabilities"];
    assert_eq!(list.as_array().unwrap().len(), 3);
    assert_eq!(list[0]["severity"], "Critical");
    // A client that accepts the old form only gets none.
    let old = [(
        "X-Accept-Vulnerabilities",
        "application/vnd.scanner.adapter.vuln.report.harbor+json; version=1.0",
    )];
    let path = format!("/api/v2.0{artifact}?with_scan_overview=true");
    assert_eq!(
        harbor.admin().request("GET", &path, &old, b"").unwrap().document().get("scan_overview"),
        None
    );
}

#[test]
fn without_a_scanner_the_policy_does_nothing_item_14() {
    let harbor = strict();
    harbor.remove_scanner();
    let image = image(1);
    harbor.set_findings(&image.digest, Findings::clean().with(Severity::Critical, 1));
    harbor.admin().push("platform/app", "v1", &image).unwrap();
    assert_eq!(pull(&harbor, "v1"), (200, 200));
    let scanner = harbor.admin().api("/projects/platform/scanner");
    assert_eq!((scanner.status, scanner.body.len()), (200, 0));
    let scan = format!("{}/artifacts/v1/scan", repository_path("platform", "app"));
    assert_eq!(harbor.admin().call("POST", &scan, &json!({})).refusal(), (412, "PRECONDITION".to_owned()));
    let health = harbor.admin().api("/health").document();
    assert!(!health["components"].as_array().unwrap().iter().any(|c| c["name"] == "trivy"));
    assert_eq!(strict().admin().api("/projects/platform/scanner").document()["adapter"], "Trivy");
}

#[test]
fn an_index_passes_once_its_children_are_scanned_and_they_are_judged_one_by_one_item_14() {
    let harbor = strict();
    harbor.set_metadata("platform", "auto_scan", "false");
    let (good, bad) = (image(1), ImageSpec::oci().platform(Platform::linux_arm64()).build());
    let index = Index::oci().manifest(good.clone()).manifest(bad.clone()).build();
    harbor.set_findings(&bad.digest, Findings::clean().with(Severity::High, 1));
    harbor.admin().push("platform/app", "v1", &index).unwrap();
    assert_eq!(pull(&harbor, "v1"), (412, 412));
    let scan = |reference: &str| {
        let path = format!("{}/artifacts/{reference}/scan", repository_path("platform", "app"));
        assert_eq!(harbor.admin().call("POST", &path, &json!({})).status, 202);
    };
    scan(&good.digest);
    assert_eq!(pull(&harbor, "v1"), (412, 412));
    scan("v1");
    assert_eq!(pull(&harbor, "v1"), (200, 200));
    assert_eq!(pull(&harbor, &good.digest), (200, 200));
    assert_eq!(pull(&harbor, &bad.digest), (412, 412));
    assert_eq!(overview(&harbor, "v1")["severity"], "High");
}

#[test]
fn an_attestation_is_never_scanned_and_so_always_blocked_item_14() {
    let harbor = strict();
    let index = Index::oci().attested(image(1)).build();
    harbor.admin().push("platform/app", "v1", &index).unwrap();
    assert_eq!(pull(&harbor, "v1"), (200, 200));
    assert_eq!(pull(&harbor, &index.children[0].digest), (200, 200));
    assert_eq!(pull(&harbor, &index.children[1].digest), (412, 412));
}

#[test]
fn a_severity_that_is_empty_or_unknown_blocks_any_vulnerability_item_14() {
    for severity in ["", "hgh", "none"] {
        let harbor = strict();
        harbor.set_metadata("platform", "severity", severity);
        let (clean, low) = (image(1), image(2));
        harbor.set_findings(&low.digest, Findings::clean().with(Severity::Low, 1));
        harbor.admin().push("platform/app", "clean", &clean).unwrap();
        harbor.admin().push("platform/app", "low", &low).unwrap();
        assert_eq!((pull(&harbor, "clean"), pull(&harbor, "low")), ((200, 200), (412, 412)), "{severity:?}");
    }
}

#[test]
fn allowed_cves_do_not_count() {
    let harbor = strict();
    let image = image(1);
    harbor.set_findings(&image.digest, Findings::clean().with(Severity::High, 2));
    harbor.admin().push("platform/app", "v1", &image).unwrap();
    let allow = |items: &[&str]| {
        let items: Vec<Value> = items.iter().map(|id| json!({"cve_id": id})).collect();
        let body = json!({"cve_allowlist": {"items": items}});
        assert_eq!(harbor.admin().call("PUT", "/projects/platform", &body).status, 200);
    };
    // A project uses the system's list until it has its own setting, whatever its own list holds.
    let both = ["CVE-2026-1000", "CVE-2026-1001"];
    allow(&both);
    assert_eq!(pull(&harbor, "v1"), (412, 412));
    harbor.set_metadata("platform", "reuse_sys_cve_allowlist", "false");
    assert_eq!(pull(&harbor, "v1"), (200, 200));
    allow(&both[..1]);
    assert_eq!(pull(&harbor, "v1"), (412, 412));
    let items: Vec<Value> = both.iter().map(|id| json!({"cve_id": id})).collect();
    let system = json!({"items": items});
    assert_eq!(harbor.admin().call("PUT", "/system/CVEAllowlist", &system).status, 200);
    assert_eq!(harbor.admin().api("/system/CVEAllowlist").document()["items"], system["items"]);
    assert_eq!(pull(&harbor, "v1"), (412, 412));
    harbor.set_metadata("platform", "reuse_sys_cve_allowlist", "true");
    assert_eq!(pull(&harbor, "v1"), (200, 200));
    let over = json!({"items": items, "expires_at": 1});
    assert_eq!(harbor.admin().call("PUT", "/system/CVEAllowlist", &over).status, 200);
    assert_eq!(pull(&harbor, "v1"), (412, 412));
}

#[test]
fn pushing_again_scans_again_and_blocks_meanwhile_and_adding_a_tag_does_not() {
    let harbor = strict();
    let image = image(1);
    harbor.set_findings(&image.digest, Findings::clean().after_polls(1));
    harbor.admin().push("platform/app", "v1", &image).unwrap();
    let done = || {
        overview(&harbor, "v1");
        overview(&harbor, "v1")["scan_status"].clone()
    };
    assert_eq!((done(), pull(&harbor, "v1")), (json!("Success"), (200, 200)));
    let tags = format!("{}/artifacts/v1/tags", repository_path("platform", "app"));
    assert_eq!(harbor.admin().call("POST", &tags, &json!({"name": "v2"})).status, 201);
    assert_eq!(pull(&harbor, "v2"), (200, 200));
    harbor.admin().push("platform/app", "v3", &image).unwrap();
    assert_eq!(pull(&harbor, "v1"), (412, 412));
    // Reports are by digest, so a push elsewhere does the same.
    assert_eq!((done(), pull(&harbor, "v1")), (json!("Success"), (200, 200)));
    harbor.add_project_with("other", &[("auto_scan", "true")]);
    harbor.admin().push("other/app", "v1", &image).unwrap();
    assert_eq!(pull(&harbor, "v1"), (412, 412));
}

#[test]
fn where_signatures_are_wanted_what_has_none_is_blocked() {
    let harbor = harbor();
    harbor.set_metadata("platform", "enable_content_trust_cosign", "true");
    let image = image(1);
    harbor.admin().push("platform/app", "v1", &image).unwrap();
    assert_eq!(pull(&harbor, "v1"), (412, 412));
    let refused = harbor.admin().get("/v2/platform/app/manifests/v1").unwrap();
    assert_eq!(refused.message(), "The image is not signed by cosign.");
    let signature = image.cosign_signature("app");
    harbor.admin().push("platform/app", &image.cosign_tag(), &signature).unwrap();
    assert_eq!(pull(&harbor, "v1"), (200, 200));
    assert_eq!(pull(&harbor, &signature.digest), (200, 200));
    harbor.set_metadata("platform", "enable_content_trust", "true");
    assert_eq!(pull(&harbor, "v1"), (412, 412));
}

#[test]
fn pushing_is_never_blocked_and_a_look_at_the_api_is_no_pull() {
    let harbor = strict();
    let image = image(1);
    harbor.set_findings(&image.digest, Findings::clean().with(Severity::Critical, 1));
    harbor.admin().push("platform/app", "v1", &image).unwrap();
    harbor.admin().push("platform/app", "v2", &image).unwrap();
    let path = format!("{}/artifacts", repository_path("platform", "app"));
    harbor.admin().api(&path);
    harbor.admin().api(&format!("{path}/v1?with_scan_overview=true"));
    pull(&harbor, "v1");
    assert_eq!(harbor.pulls(), 0);
    harbor.set_metadata("platform", "prevent_vul", "false");
    assert_eq!(pull(&harbor, "v1"), (200, 200));
    // A HEAD does not count either.
    assert_eq!((harbor.pulls(), harbor.artifact("platform/app", "v2").unwrap().pulls), (1, 1));
}

#[test]
fn a_signer_with_a_token_may_read_what_it_signs() {
    let harbor = strict();
    harbor.set_metadata("platform", "auto_scan", "false");
    harbor.admin().push("platform/app", "v1", &image(1)).unwrap();
    let service = "/service/token?service=harbor-registry&scope=repository:platform/app:pull,push";
    let token = token(&harbor.admin().get(service).unwrap());
    let bearer = harbor.anonymous().with_authorization(&format!("Bearer {token}"));
    let get = |client: &Client, agent: &str| {
        client.request("GET", "/v2/platform/app/manifests/v1", &[("User-Agent", agent)], b"").unwrap().status
    };
    assert_eq!(get(&bearer, "cosign/v3"), 200);
    assert_eq!(get(&bearer, "crane"), 412);
    assert_eq!(get(&harbor.admin(), "cosign/v3"), 412);
}
