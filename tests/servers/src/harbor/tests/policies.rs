//! Lists that a project has of its own: CVE allowlists, and retention rules, which Harbor follows itself. Takes policies
//! as clients write them; looks at what is refused and at what is removed.

use std::time::Duration;

use super::*;
use crate::Robot;

fn project_id(harbor: &Harbor, name: &str) -> i64 {
    harbor.admin().api(&format!("/projects/{name}")).document()["project_id"].as_i64().unwrap()
}

fn policy(project: i64, rules: &[Value], cron: &str) -> Value {
    json!({
        "algorithm": "or", "rules": rules, "scope": {"level": "project", "ref": project},
        "trigger": {"kind": "Schedule", "settings": {"cron": cron}, "references": {}},
    })
}

fn rule(template: &str, number: i64, repositories: &str, tags: &str) -> Value {
    let selector = |decoration: &str, pattern: &str| json!([{"kind": "doublestar", "decoration": decoration, "pattern": pattern}]);
    json!({
        "action": "retain", "template": template, "params": {template: number},
        "tag_selectors": selector("matches", tags),
        "scope_selectors": {"repository": selector("repoMatches", repositories)},
    })
}

/// `handler/retention.go`.
#[test]
fn a_project_has_one_retention_policy_of_fifteen_rules_that_differ() {
    let harbor = harbor();
    let (admin, id) = (harbor.admin(), project_id(&harbor, "platform"));
    let rules: Vec<Value> = (1..=16).map(|number| rule("latestPushedK", number, "**", "**")).collect();
    let bad = (400, "BAD_REQUEST".to_owned());
    assert_eq!(admin.call("POST", "/retentions", &policy(id, &rules, "")).refusal(), bad);
    let twice = [rules[0].clone(), rules[0].clone()];
    assert_eq!(
        admin.call("POST", "/retentions", &policy(id, &twice, "")).refusal(),
        (409, "CONFLICT".to_owned())
    );
    assert_eq!(admin.call("POST", "/retentions", &policy(id, &rules[..1], "5 0 0 * * *")).refusal(), bad);
    let made = admin.call("POST", "/retentions", &policy(id, &rules[..1], "0 0 0 * * *"));
    assert_eq!(made.status, 201);
    let path = made.header("location").unwrap().strip_prefix("/api/v2.0").unwrap().to_owned();
    let number = path.rsplit('/').next().unwrap();
    assert_eq!(admin.api("/projects/platform").document()["metadata"]["retention_id"], number);
    assert_eq!(admin.call("POST", "/retentions", &policy(id, &rules[..1], "")).refusal(), bad);
    assert_eq!(admin.call("PUT", &path, &policy(id, &rules[1..3], "")).status, 200);
    assert_eq!(admin.api(&path).document()["rules"].as_array().unwrap().len(), 2);
    // A robot needs the right, in this project.
    let robot = harbor.add_robot(Robot::of_system("r").in_project("platform", &["tag-retention:read"]));
    let robot = harbor.client(&robot);
    assert_eq!(robot.api(&path).status, 200);
    assert_eq!(robot.call("PUT", &path, &policy(id, &[], "")).refusal(), (403, "FORBIDDEN".to_owned()));
}

/// `pkg/retention/launcher.go` and `policy/alg/or`: rules are added up in a repository of which any speaks.
#[test]
fn what_no_rule_of_its_repository_retains_is_removed_and_what_is_immutable_stays() {
    let harbor = harbor();
    let admin = harbor.admin();
    for (number, tag) in ["v1", "v2", "v3", "dev"].iter().enumerate() {
        admin.push("platform/app", tag, &image(number as u64 * 10)).unwrap();
        harbor.advance(Duration::from_secs(60));
    }
    admin.push("platform/other", "old", &image(99)).unwrap();
    harbor.add_immutable_rule("platform", "app", "v1");
    let id = project_id(&harbor, "platform");
    let made = admin.call("POST", "/retentions", &policy(id, &[rule("latestPushedK", 1, "app", "v*")], ""));
    let path = format!("{}/executions", made.header("location").unwrap().strip_prefix("/api/v2.0").unwrap());
    assert_eq!(admin.call("POST", &path, &json!({"dry_run": true})).status, 201);
    assert_eq!(harbor.tags("platform/app").len(), 4);
    assert_eq!(admin.call("POST", &path, &json!({"dry_run": false})).status, 201);
    // The tag that the rule does not select is removed too, and the repository of which no rule speaks is not looked at.
    assert_eq!(harbor.tags("platform/app").into_keys().collect::<Vec<_>>(), ["v1", "v3"]);
    assert_eq!(harbor.tags("platform/other").len(), 1);
}

/// `pkg/allowlist`: one end for a whole list, and an error without a code for one that names something twice.
#[test]
fn an_allowlist_ends_as_a_whole_and_names_each_cve_once() {
    let harbor = harbor();
    let admin = harbor.admin();
    let set = |items: &[&str], expires_at: Option<i64>| {
        let items: Vec<Value> = items.iter().map(|id| json!({"cve_id": id})).collect();
        let list = json!({"items": items, "expires_at": expires_at});
        admin.call(
            "PUT",
            "/projects/platform",
            &json!({"metadata": {"reuse_sys_cve_allowlist": "false"}, "cve_allowlist": list}),
        )
    };
    assert_eq!(set(&["CVE-1", "CVE-1"], None).status, 500);
    assert_eq!(set(&[" "], None).status, 500);
    assert_eq!(set(&["CVE-1", "CVE-2"], Some(2_000_000_000)).status, 200);
    assert_eq!(
        harbor.allowlist("platform"),
        (vec!["CVE-1".to_owned(), "CVE-2".to_owned()], Some(2_000_000_000))
    );
    let found = admin.api("/projects/platform").document();
    assert_eq!(found["cve_allowlist"]["expires_at"], 2_000_000_000);
    assert_eq!(found["metadata"]["reuse_sys_cve_allowlist"], "false");
}
