//! Projects and members, made, changed and refused.
//! Takes requests to `/projects`; the words of each refusal are Harbor's.

use super::*;

#[test]
fn a_project_is_created_once_and_only_by_who_may_item_18() {
    let harbor = harbor();
    let new = json!({"project_name": "tenant-a", "metadata": {"public": "false", "auto_scan": "true"}});
    let created = harbor.admin().call("POST", "/projects", &new);
    assert_eq!((created.status, created.body.len()), (201, 0));
    assert!(created.header("location").unwrap().starts_with("/api/v2.0/projects/"));
    assert_eq!(harbor.metadata("tenant-a").unwrap()["auto_scan"], "true");
    let again = harbor.admin().call("POST", "/projects", &new);
    assert_eq!(again.refusal(), (409, "CONFLICT".to_owned()));
    assert_eq!(again.message(), "The project named tenant-a already exists");

    // An account without the right to create is not told whether the project exists.
    let robot = harbor.add_robot(Robot::of_project("r", "platform", &["repository:push"]));
    assert_eq!(
        harbor.client(&robot).call("POST", "/projects", &new).refusal(),
        (403, "FORBIDDEN".to_owned())
    );
    harbor.set_project_creation(ProjectCreation::AdminOnly);
    let user = harbor.add_user("bob", "Secret123");
    assert_eq!(harbor.client(&user).call("POST", "/projects", &new).refusal(), (403, "FORBIDDEN".to_owned()));
    assert_eq!(harbor.anonymous().call("POST", "/projects", &new).refusal().0, 401);
}

#[test]
fn metadata_are_strings_and_names_are_checked_item_18() {
    let harbor = harbor();
    let boolean = json!({"project_name": "a", "metadata": {"auto_scan": true}});
    let refused = harbor.admin().call("POST", "/projects", &boolean);
    assert_eq!(refused.refusal(), (422, "UNPROCESSABLE_ENTITY".to_owned()));
    for name in ["a--b", "a__b", "-a", "A", "", "a/b"] {
        let refused = harbor.admin().call("POST", "/projects", &json!({"project_name": name}));
        assert_eq!(refused.refusal(), (400, "BAD_REQUEST".to_owned()), "{name}");
    }
    let public = json!({"project_name": "a", "metadata": {"public": "yes"}});
    assert_eq!(harbor.admin().call("POST", "/projects", &public).refusal().0, 400);
    assert_eq!(harbor.projects(), ["library", "platform"]);
}

#[test]
fn a_project_one_may_not_see_is_as_forbidden_as_one_that_is_not_there_item_18() {
    let harbor = harbor();
    let user = harbor.client(&harbor.add_user("bob", "Secret123"));
    for name in ["platform", "nothing"] {
        assert_eq!(user.api(&format!("/projects/{name}")).refusal(), (403, "FORBIDDEN".to_owned()));
    }
    assert_eq!(harbor.admin().api("/projects/nothing").refusal().0, 404);
    // The probe that anyone may use who is known at all.
    for (name, status) in [("platform", 200), ("nothing", 404)] {
        let probe = user.head(&format!("/api/v2.0/projects?project_name={name}")).unwrap();
        assert_eq!((probe.status, probe.body.len()), (status, 0));
    }
    assert_eq!(harbor.anonymous().head("/api/v2.0/projects?project_name=platform").unwrap().status, 401);
}

#[test]
fn a_severity_that_is_misspelt_is_taken_with_the_project_and_refused_as_metadata() {
    let harbor = harbor();
    let misspelt = json!({"metadata": {"severity": "hgh"}});
    assert_eq!(harbor.admin().call("PUT", "/projects/platform", &misspelt).status, 200);
    let metadata = "/projects/platform/metadatas/severity";
    assert_eq!(harbor.admin().call("PUT", metadata, &json!({"severity": "hgh"})).refusal().0, 400);
    assert_eq!(harbor.admin().call("PUT", metadata, &json!({"severity": "High"})).status, 200);
    assert_eq!(harbor.metadata("platform").unwrap()["severity"], "high");
}

#[test]
fn updating_metadata_that_is_not_set_sets_nothing_and_adding_what_is_conflicts() {
    let harbor = harbor();
    let key = "/projects/platform/metadatas/auto_scan";
    assert_eq!(harbor.admin().call("PUT", key, &json!({"auto_scan": "true"})).status, 200);
    assert!(!harbor.metadata("platform").unwrap().contains_key("auto_scan"));
    let all = "/projects/platform/metadatas/";
    assert_eq!(harbor.admin().call("POST", all, &json!({"auto_scan": "true"})).status, 200);
    assert_eq!(harbor.admin().call("POST", all, &json!({"auto_scan": "true"})).refusal().0, 409);
    assert_eq!(harbor.admin().call("PUT", key, &json!({"auto_scan": "false"})).status, 200);
    assert_eq!(harbor.metadata("platform").unwrap()["auto_scan"], "false");
    let two = json!({"auto_scan": "true", "prevent_vul": "true"});
    assert_eq!(harbor.admin().call("POST", all, &two).refusal().0, 400);
    assert_eq!(harbor.admin().api(all).document()["auto_scan"], "false");
    assert_eq!(harbor.admin().call("POST", all, &json!({"colour": "red"})).refusal().0, 400);
}

#[test]
fn a_project_with_repositories_is_not_deleted() {
    let harbor = harbor();
    harbor.admin().push("platform/app", "v1", &image(1)).unwrap();
    let refused = harbor.admin().delete("/api/v2.0/projects/platform").unwrap();
    assert_eq!(refused.refusal(), (412, "PRECONDITION".to_owned()));
    assert_eq!(harbor.admin().api("/projects/platform/_deletable").document()["deletable"], false);
    let repository = format!("/api/v2.0{}", repository_path("platform", "app"));
    assert_eq!(harbor.admin().delete(&repository).unwrap().status, 200);
    assert_eq!(harbor.admin().delete("/api/v2.0/projects/platform").unwrap().status, 200);
    assert_eq!(harbor.projects(), ["library"]);
}

#[test]
fn everyone_is_told_their_own_rights_and_robots_too() {
    let harbor = harbor();
    let id = harbor.admin().api("/projects/platform").document()["project_id"].as_i64().unwrap();
    let robot = harbor.add_robot(
        Robot::of_system("r")
            .in_project("platform", &["repository:push", "project:read"])
            .in_system(&["project:create"]),
    );
    let path = format!("/users/current/permissions?scope=/project/{id}&relative=true");
    let has = |document: &Value, resource: &str, action: &str| {
        document.as_array().unwrap().contains(&json!({"resource": resource, "action": action}))
    };
    let rights = harbor.client(&robot).api(&path).document();
    assert!(has(&rights, "repository", "push") && has(&rights, ".", "read"));
    assert_eq!(rights.as_array().unwrap().len(), 2);
    let system =
        harbor.client(&robot).api("/users/current/permissions?scope=/system&relative=true").document();
    assert_eq!(system, json!([{"resource": "project", "action": "create"}]));
    let user = harbor.client(&harbor.add_user("bob", "Secret123"));
    assert_eq!(user.api(&path).document(), json!([]));
    assert!(has(&harbor.admin().api(&path).document(), "repository", "push"));
    assert_eq!(harbor.anonymous().api(&path).refusal().0, 401);
}
