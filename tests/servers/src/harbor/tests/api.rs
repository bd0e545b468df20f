//! Lists, pages, health and settings.
//! Takes requests to `/api/v2.0`; answers are compared with what Harbor documents.

use super::*;

#[test]
fn read_only_mode_refuses_every_write_and_no_read_item_17() {
    let harbor = harbor();
    harbor.admin().push("platform/app", "v1", &image(1)).unwrap();
    let info = |client: &Client| client.api("/systeminfo").document();
    assert_eq!(info(&harbor.admin())["read_only"], false);
    assert_eq!(harbor.admin().call("PUT", "/configurations", &json!({"read_only": true})).status, 200);
    assert_eq!(info(&harbor.admin())["read_only"], true);
    for (method, path) in [
        ("POST", "/api/v2.0/projects"),
        ("PUT", "/api/v2.0/projects/platform"),
        ("DELETE", "/api/v2.0/projects/platform"),
        ("POST", "/v2/platform/app/blobs/uploads/"),
        ("PUT", "/v2/platform/app/manifests/v2"),
        ("PATCH", "/v2/platform/app/blobs/uploads/x"),
        ("DELETE", "/v2/platform/app/manifests/v1"),
    ] {
        // Before anyone asks who it is.
        for client in [harbor.admin(), harbor.anonymous()] {
            let refused = client.request(method, path, &[], b"{}").unwrap();
            assert_eq!(refused.refusal(), (403, "DENIED".to_owned()), "{method} {path}");
            assert!(refused.message().starts_with("The system is in read only mode"));
        }
    }
    assert_eq!(harbor.admin().get("/v2/platform/app/manifests/v1").unwrap().status, 200);
    assert_eq!(harbor.admin().get("/service/token?service=harbor-registry").unwrap().status, 200);
    assert_eq!(harbor.admin().call("PUT", "/configurations", &json!({"read_only": false})).status, 200);
    harbor.admin().push("platform/app", "v2", &image(2)).unwrap();
}

#[test]
fn the_version_and_the_mode_are_for_those_who_are_known_item_17() {
    let harbor = harbor();
    let robot = harbor.client(&harbor.add_robot(Robot::of_project("r", "platform", &["repository:pull"])));
    let known = robot.api("/systeminfo").document();
    assert_eq!((&known["harbor_version"], &known["read_only"]), (&json!("v2.15.2-080b0220"), &json!(false)));
    assert_eq!(known["registry_url"], harbor.host());
    let unknown = harbor.anonymous().api("/systeminfo").document();
    assert_eq!((unknown.get("harbor_version"), unknown.get("read_only")), (None, None));
    assert_eq!(unknown["auth_mode"], "db_auth");
}

#[test]
fn a_repositorys_name_is_encoded_twice_item_19() {
    let harbor = harbor();
    let image = image(1);
    harbor.admin().push("platform/docker.io/library/nginx", "1.25", &image).unwrap();
    let artifact =
        |name: &str| harbor.admin().api(&format!("/projects/platform/repositories/{name}/artifacts/1.25"));
    assert_eq!(artifact("docker.io%252Flibrary%252Fnginx").document()["digest"], image.digest);
    for wrong in ["docker.io%2Flibrary%2Fnginx", "docker.io/library/nginx"] {
        assert_eq!(artifact(wrong).refusal().0, 404, "{wrong}");
    }
}

#[test]
fn a_project_whose_name_is_a_number_is_one_by_number_unless_said_otherwise_item_19() {
    let harbor = harbor();
    harbor.add_project("12345");
    let path = "/api/v2.0/projects/12345";
    assert_eq!(harbor.admin().get(path).unwrap().refusal().0, 404);
    let by_name = harbor.admin().request("GET", path, &[("X-Is-Resource-Name", "true")], b"").unwrap();
    assert_eq!(by_name.document()["name"], "12345");
    let id = by_name.document()["project_id"].clone();
    assert_eq!(harbor.admin().api(&format!("/projects/{id}")).document()["name"], "12345");
    let headers = [("X-Resource-Name-In-Location", "true")];
    let new = json!({"project_name": "678"}).to_string();
    let created = harbor.admin().request("POST", "/api/v2.0/projects", &headers, new.as_bytes()).unwrap();
    assert_eq!(created.header("location"), Some("/api/v2.0/projects/678"));
}

#[test]
fn lists_come_in_pages_of_ten_and_of_a_hundred_at_most_item_19() {
    let harbor = harbor();
    for n in 0..11 {
        harbor.add_project(&format!("tenant-{n:02}"));
    }
    let page = harbor.admin().api("/projects");
    assert_eq!(page.document().as_array().unwrap().len(), 10);
    assert_eq!(page.header("x-total-count"), Some("13"));
    let next = "</api/v2.0/projects?page=2&page_size=10>; rel=\"next\"";
    assert_eq!(page.header("link"), Some(next));
    let second = harbor.admin().api("/projects?page=2&page_size=10");
    assert_eq!(second.document().as_array().unwrap().len(), 3);
    assert_eq!(second.header("link"), Some("</api/v2.0/projects?page=1&page_size=10>; rel=\"prev\""));
    for wrong in ["page_size=101", "page_size=x", "page=x"] {
        let refused = harbor.admin().api(&format!("/projects?{wrong}"));
        assert_eq!(refused.refusal(), (422, "UNPROCESSABLE_ENTITY".to_owned()), "{wrong}");
    }
    let names = |query: &str| -> Vec<Value> {
        let list = harbor.admin().api(&format!("/projects?page_size=100{query}")).document();
        list.as_array().unwrap().iter().map(|project| project["name"].clone()).collect()
    };
    assert_eq!(names("&q=name%3D%7B%27platform%27+%27tenant-03%27%7D"), ["platform", "tenant-03"]);
    assert_eq!(names("&name=platf"), ["platform"]);
    assert_eq!(names("&public=true"), ["library"]);
    assert_eq!(harbor.admin().api("/projects?q=name").refusal().0, 400);
}

#[test]
fn people_and_robots_see_the_projects_they_may() {
    let harbor = harbor();
    harbor.add_project("other");
    let names = |client: &Client| -> Vec<Value> {
        let list = client.api("/projects").document();
        list.as_array().unwrap().iter().map(|project| project["name"].clone()).collect()
    };
    assert_eq!(names(&harbor.anonymous()), ["library"]);
    let user = harbor.client(&harbor.add_user("bob", "Secret123"));
    assert_eq!(names(&user), ["library"]);
    harbor.add_member("platform", "bob", Role::Guest);
    assert_eq!(names(&user), ["library", "platform"]);
    let robot = Robot::of_system("r").in_project("other", &["repository:pull"]);
    assert_eq!(names(&harbor.client(&harbor.add_robot(robot))), ["library", "other"]);
    let all = Robot::of_system("all").in_project("*", &["repository:pull"]);
    assert_eq!(names(&harbor.client(&harbor.add_robot(all))), ["library", "other", "platform"]);
}

#[test]
fn health_is_always_200_and_says_what_is_wrong_in_its_body() {
    let harbor = harbor();
    assert_eq!(harbor.anonymous().api("/health").document()["status"], "healthy");
    harbor.set_unhealthy("registry", "connection refused");
    let health = harbor.anonymous().api("/health");
    assert_eq!((health.status, &health.document()["status"]), (200, &json!("unhealthy")));
    let components = health.document()["components"].clone();
    let registry = components.as_array().unwrap().iter().find(|c| c["name"] == "registry").unwrap().clone();
    assert_eq!(registry["error"], "connection refused");
}

#[test]
fn a_robot_is_told_that_it_is_no_user_and_what_can_be_granted_is_for_administrators() {
    let harbor = harbor();
    let robot = harbor.client(&harbor.add_robot(Robot::of_project("r", "platform", &["repository:pull"])));
    assert_eq!(robot.api("/users/current").refusal(), (412, "PRECONDITION".to_owned()));
    assert_eq!(harbor.admin().api("/users/current").document()["sysadmin_flag"], true);
    assert_eq!(robot.api("/permissions").refusal().0, 403);
    let grantable = harbor.admin().api("/permissions").document();
    assert!(
        grantable["project"]
            .as_array()
            .unwrap()
            .contains(&json!({"resource": "repository", "action": "push"}))
    );
    assert_eq!(harbor.admin().api("/systeminfo/getcert").refusal().0, 404);
    assert_eq!(harbor.admin().api("/nothing").refusal().0, 404);
}

#[test]
fn a_tag_is_added_once_and_never_moved_and_an_artifact_is_copied_with_all_that_belongs_to_it() {
    let harbor = harbor();
    harbor.add_project("cache");
    let (first, second) = (image(1), image(2));
    harbor.admin().push("platform/team/app", "v1", &first).unwrap();
    harbor.admin().push("platform/team/app", "v2", &second).unwrap();
    harbor.admin().push_untagged("platform/team/app", &first.referrer("application/x", b"{}")).unwrap();
    let artifact = format!("{}/artifacts/v1", repository_path("platform", "team/app"));
    let tag = |name: &str| harbor.admin().call("POST", &format!("{artifact}/tags"), &json!({"name": name}));
    assert_eq!(tag("stable").status, 201);
    assert_eq!(tag("v2").refusal(), (409, "CONFLICT".to_owned()));
    assert_eq!(tag("no tag").refusal().0, 400);
    assert_eq!(harbor.tags("platform/team/app")["stable"], first.digest);
    let names = harbor.admin().api(&format!("{artifact}/tags")).document();
    assert_eq!(names.as_array().unwrap().len(), 2);

    let from = format!("?from=platform/team/app@{}", first.digest);
    let copy = format!("{}/artifacts{from}", repository_path("cache", "copied/app"));
    assert_eq!(harbor.admin().call("POST", &copy, &json!({})).status, 201);
    assert_eq!(harbor.admin().check("cache/copied/app", "v1", crate::Check::Hash), []);
    assert_eq!(harbor.artifact("cache/copied/app", "stable").unwrap().accessories.len(), 1);
    assert!(harbor.quota("cache").1 > 0);
    let missing = format!("{}/artifacts?from=platform/team/app:v9", repository_path("cache", "app"));
    assert_eq!(harbor.admin().call("POST", &missing, &json!({})).refusal().0, 404);
    let nonsense = format!("{}/artifacts?from=nonsense", repository_path("cache", "app"));
    assert_eq!(harbor.admin().call("POST", &nonsense, &json!({})).refusal().0, 400);
}

#[test]
fn the_page_for_people_shows_what_is_there_and_no_secret() {
    let harbor = harbor();
    let image = image(1);
    harbor.set_metadata("platform", "auto_scan", "true");
    harbor.set_findings(&image.digest, Findings::clean().with(Severity::High, 3));
    harbor.add_immutable_rule("platform", "**", "v*");
    let robot = harbor.add_robot(Robot::of_project("r", "platform", &["repository:push"]));
    harbor.client(&robot).push("platform/app", "v1", &image).unwrap();
    let page = harbor.anonymous().get("/status").unwrap().text();
    for shown in [
        "project platform",
        "auto_scan=true",
        "platform/app",
        "v1",
        &image.digest,
        "High, 3 in all",
        "robot$platform+r",
        "immutable: tags v* of **",
    ] {
        assert!(page.contains(shown), "{shown} is not in\n{page}");
    }
    let requests = harbor.anonymous().get("/requests").unwrap().text();
    assert!(requests.contains("201 PUT /v2/platform/app/manifests/v1 robot$platform+r\n"), "{requests}");
    for text in [page, requests] {
        assert!(!text.contains(&robot.secret) && !text.contains("Harbor12345"));
    }
}
