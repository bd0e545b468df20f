//! Labels of projects and artifacts, as Harbor's `handler/label.go`, `pkg/label` and `handler/artifact.go` have them.
//! Takes robots with and without rights; looks at answers and at who carries a label.

use super::*;
use crate::Robot;

fn label(project: &Value, name: &str) -> Value {
    json!({"name": name, "description": "d", "color": "#0065AB", "scope": "p", "project_id": project})
}

fn project_id(harbor: &Harbor, name: &str) -> Value {
    harbor.admin().api(&format!("/projects/{name}")).document()["project_id"].clone()
}

#[test]
fn a_label_is_unique_in_its_project_and_goes_with_its_last_word() {
    let harbor = harbor();
    harbor.add_project("other");
    let (admin, id) = (harbor.admin(), project_id(&harbor, "platform"));
    let made = admin.call("POST", "/labels", &label(&id, "bundle: nightly/1"));
    assert_eq!(made.status, 201);
    let path = made.header("location").unwrap().strip_prefix("/api/v2.0").unwrap().to_owned();
    let again = admin.call("POST", "/labels", &label(&id, "bundle: nightly/1"));
    assert_eq!(again.refusal(), (409, "CONFLICT".to_owned()));
    let other = label(&project_id(&harbor, "other"), "bundle: nightly/1");
    assert_eq!(admin.call("POST", "/labels", &other).status, 201);
    // `pkg/label/model`: only a change is checked; `0001_initial_schema.up.sql`: varchar(128).
    let long = "a".repeat(129);
    assert_eq!(admin.call("POST", "/labels", &label(&id, &long)).status, 500);
    assert_eq!(admin.call("PUT", &path, &label(&id, &long)).refusal(), (400, "BAD_REQUEST".to_owned()));
    assert_eq!(admin.call("PUT", &path, &label(&id, "bundle: nightly/2")).status, 200);
    // The name in a query is a part of the name.
    let list = |query: &str| admin.api(&format!("/labels?scope=p&project_id={id}{query}")).document();
    assert_eq!(list("&name=nightly%2F2")[0]["name"], "bundle: nightly/2");
    assert_eq!(list("&name=nightly%2F1"), json!([]));
    assert_eq!(admin.api("/labels?scope=p").refusal(), (400, "BAD_REQUEST".to_owned()));
    assert_eq!(admin.api("/labels").refusal(), (400, "BAD_REQUEST".to_owned()));
    assert_eq!(admin.delete(&format!("/api/v2.0{path}")).unwrap().status, 200);
    assert_eq!(list(""), json!([]));
}

#[test]
fn an_artifact_carries_a_label_once_and_is_found_by_it() {
    let harbor = harbor();
    harbor.add_project("other");
    let (admin, id) = (harbor.admin(), project_id(&harbor, "platform"));
    for (repository, seed) in [("platform/a/app", 1), ("platform/b", 2)] {
        admin.push(repository, "v1", &image(seed)).unwrap();
    }
    let number = |name: &str, project: &Value| {
        let made = admin.call("POST", "/labels", &label(project, name));
        made.header("location").unwrap().rsplit('/').next().unwrap().parse::<i64>().unwrap()
    };
    let (one, foreign) = (number("one", &id), number("one", &project_id(&harbor, "other")));
    let labels = format!("{}/artifacts/v1/labels", repository_path("platform", "a/app"));
    assert_eq!(admin.call("POST", &labels, &json!({"id": one})).status, 200);
    assert_eq!(admin.call("POST", &labels, &json!({"id": one})).refusal(), (409, "CONFLICT".to_owned()));
    // `handler/artifact.go RequireLabelInProject`
    assert_eq!(admin.call("POST", &labels, &json!({"id": foreign})).refusal(), (404, "NOT_FOUND".to_owned()));
    let found = admin.api(&format!("/projects/platform/artifacts?q=labels%3D({one})&with_label=true"));
    assert_eq!(found.header("x-total-count"), Some("1"));
    assert_eq!(found.document()[0]["repository_name"], "platform/a/app");
    assert_eq!(found.document()[0]["labels"][0]["name"], "one");
    let wrong = admin.api(&format!("/projects/platform/artifacts?q=labels%3D{one}"));
    assert_eq!(wrong.refusal(), (400, "BAD_REQUEST".to_owned()));
    assert_eq!(admin.delete(&format!("/api/v2.0{labels}/{one}")).unwrap().status, 200);
    assert_eq!(
        admin.delete(&format!("/api/v2.0{labels}/{one}")).unwrap().refusal(),
        (404, "NOT_FOUND".to_owned())
    );
    // An artifact that goes takes its labels along (`controller/artifact deleteDeeply`).
    assert_eq!(admin.call("POST", &labels, &json!({"id": one})).status, 200);
    admin.delete_manifest("platform/a/app", &image(1).digest).unwrap();
    let found = admin.api(&format!("/projects/platform/artifacts?q=labels%3D({one})"));
    assert_eq!(found.document(), json!([]));
}

/// `common/rbac/const.go`: a robot gets `label` and `artifact-label` apart from each other, and both apart from pushes.
#[test]
fn a_robot_labels_only_with_the_rights_to_both() {
    let harbor = harbor();
    harbor.admin().push("platform/app", "v1", &image(1)).unwrap();
    let id = project_id(&harbor, "platform");
    let robot = |name: &str, access: &[&str]| {
        let robot = Robot::of_system(name).in_project("platform", access);
        harbor.client(&harbor.add_robot(robot))
    };
    let forbidden = (403, "FORBIDDEN".to_owned());
    let pusher = robot("pusher", &["repository:push", "repository:pull", "artifact:list"]);
    assert_eq!(pusher.call("POST", "/labels", &label(&id, "a")).refusal(), forbidden);
    let maker = robot("maker", &["label:create", "label:list"]);
    let made = maker.call("POST", "/labels", &label(&id, "a"));
    assert_eq!(made.status, 201);
    let number: i64 = made.header("location").unwrap().rsplit('/').next().unwrap().parse().unwrap();
    let labels = format!("{}/artifacts/v1/labels", repository_path("platform", "app"));
    assert_eq!(maker.call("POST", &labels, &json!({"id": number})).refusal(), forbidden);
    let giver = robot("giver", &["artifact-label:create"]);
    assert_eq!(giver.call("POST", &labels, &json!({"id": number})).status, 200);
    assert_eq!(harbor.labels("platform/app", "v1"), ["a"]);
}
