//! Robot accounts: what may be made, by whom, and what it then may.
//! Takes requests to `/robots`; what a robot may is tried, not only read.

use std::time::Duration;

use super::*;

fn importer() -> Value {
    json!({
        "name": "importer",
        "level": "system",
        "duration": 30,
        "secret": "Ignored1",
        "permissions": [
            {"kind": "system", "namespace": "/", "access": [{"resource": "project", "action": "create"}]},
            {"kind": "project", "namespace": "platform", "access": [
                {"resource": "repository", "action": "pull"},
                {"resource": "repository", "action": "push"},
            ]},
        ],
    })
}

#[test]
fn a_robots_name_has_its_prefix_and_its_secret_is_told_once_item_6() {
    let harbor = harbor();
    let created = harbor.admin().call("POST", "/robots", &importer());
    assert_eq!(created.status, 201, "{}", created.text());
    let robot = created.document();
    assert_eq!(robot["name"], "robot$importer");
    let secret = robot["secret"].as_str().unwrap();
    assert_eq!(secret.len(), 32);
    // A secret in the request is ignored.
    let login =
        |secret: &str| harbor.anonymous().with_basic("robot$importer", secret).get("/v2/").unwrap().status;
    assert_eq!((login(secret), login("Ignored1")), (200, 401));
    let read = harbor.admin().api(&format!("/robots/{}", robot["id"]));
    assert!(!read.text().contains("secret"));
    assert_eq!(harbor.admin().call("POST", "/robots", &importer()).refusal(), (409, "CONFLICT".to_owned()));

    let mut of_project = importer();
    of_project["level"] = json!("project");
    of_project["permissions"] = json!([of_project["permissions"][1]]);
    let created = harbor.admin().call("POST", "/robots", &of_project);
    assert_eq!(created.document()["name"], "robot$platform+importer");

    harbor.set_robot_prefix("bot+");
    let renamed = harbor.admin().api(&format!("/robots/{}", robot["id"])).document();
    assert_eq!(renamed["name"], "bot+importer");
}

#[test]
fn a_system_robot_that_may_push_may_not_pull_for_that_and_a_projects_robot_may_item_6() {
    let harbor = harbor();
    harbor.add_project("cache");
    let image = image(1);
    harbor.admin().push("platform/app", "v1", &image).unwrap();
    harbor.admin().push("cache/app", "v1", &image).unwrap();
    let blob = &image.blobs[1].digest;
    let system =
        harbor.client(&harbor.add_robot(Robot::of_system("s").in_project("platform", &["repository:push"])));
    let project = harbor.client(&harbor.add_robot(Robot::of_project("p", "platform", &["repository:push"])));
    let head = format!("/v2/platform/app/blobs/{blob}");
    assert_eq!(system.head(&head).unwrap().status, 401);
    assert_eq!(project.head(&head).unwrap().status, 200);
    assert_eq!(system.get("/v2/platform/app/manifests/v1").unwrap().status, 401);
    assert_eq!(project.get("/v2/platform/app/manifests/v1").unwrap().status, 200);
    let mount = format!("/v2/platform/new/blobs/uploads/?mount={blob}&from=platform/app");
    assert_eq!(system.request("POST", &mount, &[], b"").unwrap().status, 401);
    assert_eq!(project.request("POST", &mount, &[], b"").unwrap().status, 201);
    // It may open an upload nevertheless.
    let uploads = "/v2/platform/new/blobs/uploads/";
    assert_eq!(system.request("POST", uploads, &[], b"").unwrap().status, 202);
    // A project's robot knows its own project only, and so cannot mount into it from another.
    let from_cache = format!("/v2/platform/new/blobs/uploads/?mount={blob}&from=cache/app");
    assert_eq!(project.request("POST", &from_cache, &[], b"").unwrap().status, 401);
}

#[test]
fn what_a_robot_is_asked_to_be_is_checked() {
    let harbor = harbor();
    let with = |change: &dyn Fn(&mut Value)| {
        let mut robot = importer();
        change(&mut robot);
        harbor.admin().call("POST", "/robots", &robot).refusal().0
    };
    assert_eq!(with(&|r| r["duration"] = json!(0)), 400);
    assert_eq!(with(&|r| r["duration"] = json!(-2)), 400);
    assert_eq!(with(&|r| r["name"] = json!("Importer")), 400);
    assert_eq!(with(&|r| r["level"] = json!("galaxy")), 400);
    assert_eq!(with(&|r| r["permissions"] = json!([])), 400);
    assert_eq!(with(&|r| r["permissions"][1]["access"] = json!([])), 400);
    assert_eq!(with(&|r| r["permissions"][1]["access"][0]["action"] = json!("*")), 400);
    assert_eq!(with(&|r| r["permissions"][0]["access"][0]["resource"] = json!("configuration")), 400);
    assert_eq!(with(&|r| r["permissions"][1]["namespace"] = json!("nothing")), 404);
    assert_eq!(with(&|r| r["duration"] = json!("30")), 422);
    assert_eq!(with(&|r| r["level"] = json!("project")), 400);
    assert_eq!(harbor.robots(), [""; 0]);
}

#[test]
fn robots_are_listed_ten_at_a_time_and_those_of_a_project_by_its_number() {
    let harbor = harbor();
    for n in 0..11 {
        harbor.add_robot(Robot::of_system(&format!("r{n:02}")).in_system(&["project:create"]));
    }
    harbor.add_robot(Robot::of_project("p", "platform", &["repository:pull"]));
    let first = harbor.admin().api("/robots");
    assert_eq!(first.document().as_array().unwrap().len(), 10);
    assert_eq!(first.header("x-total-count"), Some("11"));
    assert_eq!(first.header("link"), Some("</api/v2.0/robots?page=2&page_size=10>; rel=\"next\""));
    let second = harbor.admin().api("/robots?page=2&page_size=10");
    assert_eq!(second.document()[0]["name"], "robot$r10");
    let project = harbor.admin().api("/projects/platform").document()["project_id"].clone();
    let of_project = harbor.admin().api(&format!("/robots?q=Level%3Dproject%2CProjectID%3D{project}"));
    assert_eq!(of_project.document()[0]["name"], "robot$platform+p");
    assert_eq!(harbor.admin().api("/robots?q=Level%3Dproject").refusal().0, 400);
}

#[test]
fn only_people_rotate_secrets_and_only_good_ones_are_taken() {
    let harbor = harbor();
    let robot = harbor.admin().call("POST", "/robots", &importer()).document();
    let path = format!("/robots/{}", robot["id"]);
    let itself = harbor.anonymous().with_basic("robot$importer", robot["secret"].as_str().unwrap());
    assert_eq!(itself.call("PATCH", &path, &json!({"secret": ""})).refusal().0, 403);
    assert_eq!(harbor.admin().call("PATCH", &path, &json!({"secret": "weak"})).refusal().0, 400);
    let own = harbor.admin().call("PATCH", &path, &json!({"secret": "Own1secret"}));
    assert_eq!((own.status, own.document()), (200, json!({})));
    let with =
        |secret: &str| harbor.anonymous().with_basic("robot$importer", secret).get("/v2/").unwrap().status;
    assert_eq!(with("Own1secret"), 200);
    let random = harbor.admin().call("PATCH", &path, &json!({"secret": ""})).document();
    assert_eq!((with(random["secret"].as_str().unwrap()), with("Own1secret")), (200, 401));
}

#[test]
fn a_robot_that_is_switched_off_or_over_is_nobody() {
    let harbor = harbor();
    let robot = harbor.add_robot(Robot::of_project("r", "platform", &["repository:push"]));
    let client = harbor.client(&robot);
    assert_eq!(client.get("/v2/").unwrap().status, 200);
    harbor.disable_robot(&robot.name);
    assert_eq!(client.get("/v2/").unwrap().refusal(), (401, "UNAUTHORIZED".to_owned()));
    assert_eq!(client.api("/projects/platform").refusal().0, 401);
    harbor.enable_robot(&robot.name);
    assert_eq!(client.get("/v2/").unwrap().status, 200);
    harbor.advance(Duration::from_secs(31 * 86_400));
    assert_eq!(client.get("/v2/").unwrap().status, 401);
}

#[test]
fn a_robot_is_replaced_as_a_whole_but_for_its_name_and_level() {
    let harbor = harbor();
    let robot = harbor.admin().call("POST", "/robots", &importer()).document();
    let path = format!("/robots/{}", robot["id"]);
    let mut changed = harbor.admin().api(&path).document();
    changed["disable"] = json!(true);
    changed["permissions"] = json!([changed["permissions"][0]]);
    assert_eq!(harbor.admin().call("PUT", &path, &changed).status, 200);
    let read = harbor.admin().api(&path).document();
    assert_eq!((&read["disable"], read["permissions"].as_array().unwrap().len()), (&json!(true), 1));
    changed["name"] = json!("importer");
    assert_eq!(harbor.admin().call("PUT", &path, &changed).refusal().0, 400);
    assert_eq!(harbor.admin().delete(&format!("/api/v2.0{path}")).unwrap().status, 200);
    assert_eq!(harbor.admin().api(&path).refusal().0, 404);
}

#[test]
fn a_robot_makes_robots_that_may_less_than_itself() {
    let harbor = harbor();
    harbor.add_project("tenant-a");
    let access = ["repository:pull", "robot:create"];
    let maker = harbor.client(
        &harbor.add_robot(Robot::of_system("maker").in_project("*", &access).in_system(&["robot:create"])),
    );
    let pull = |level: &str, action: &str| {
        json!({"name": format!("pull-{action}"), "level": level, "duration": -1, "permissions": [
            {"kind": "project", "namespace": "tenant-a",
             "access": [{"resource": "repository", "action": action}]}]})
    };
    assert_eq!(maker.call("POST", "/robots", &pull("project", "pull")).status, 201);
    assert_eq!(maker.call("POST", "/robots", &pull("system", "pull")).status, 201);
    let refused = maker.call("POST", "/robots", &pull("project", "push"));
    assert_eq!(refused.refusal(), (403, "DENIED".to_owned()));
    assert!(refused.message().starts_with("permission scope is invalid"));
}

#[test]
fn a_robots_right_ends_with_the_project_it_was_for() {
    let harbor = harbor();
    harbor.add_project("other");
    let robot = harbor.add_robot(
        Robot::of_system("r")
            .in_project("platform", &["repository:pull", "repository:push"])
            .in_project("other", &["repository:pull"]),
    );
    let client = harbor.client(&robot);
    client.push("platform/app", "v1", &image(1)).unwrap();
    harbor.recreate_project("platform");
    assert!(client.push("platform/app", "v1", &image(1)).is_err());
    let list = harbor.admin().api("/robots").document();
    assert_eq!(list[0]["permissions"].as_array().unwrap().len(), 1);
}

#[test]
fn each_step_of_an_import_needs_the_permission_that_section_4_names() {
    let harbor = harbor();
    harbor.admin().push("platform/app", "v1", &image(1)).unwrap();
    let id = harbor.admin().api("/projects/platform").document()["project_id"].clone();
    let quota =
        harbor.admin().api(&format!("/quotas?reference=project&reference_id={id}")).document()[0]["id"]
            .clone();
    let artifact = format!("{}/artifacts/v1", repository_path("platform", "app"));
    let rule = json!({"action": "immutable", "template": "immutable_template",
        "tag_selectors": [], "scope_selectors": {}});
    let steps: Vec<(&str, &str, String, Value)> = vec![
        ("project:read", "GET", "/projects/platform".into(), json!({})),
        ("project:read", "GET", "/projects/platform/summary".into(), json!({})),
        ("project:update", "PUT", "/projects/platform".into(), json!({"metadata": {}})),
        ("metadata:list", "GET", "/projects/platform/metadatas/".into(), json!({})),
        ("metadata:read", "GET", "/projects/platform/metadatas/public".into(), json!({})),
        ("metadata:update", "PUT", "/projects/platform/metadatas/public".into(), json!({"public": "false"})),
        ("metadata:create", "POST", "/projects/platform/metadatas/".into(), json!({"severity": "high"})),
        ("artifact:read", "GET", artifact.clone(), json!({})),
        ("artifact:list", "GET", format!("{}/artifacts", repository_path("platform", "app")), json!({})),
        ("repository:list", "GET", "/projects/platform/repositories".into(), json!({})),
        ("repository:read", "GET", repository_path("platform", "app"), json!({})),
        ("tag:list", "GET", format!("{artifact}/tags"), json!({})),
        ("tag:create", "POST", format!("{artifact}/tags"), json!({"name": "v2"})),
        ("accessory:list", "GET", format!("{artifact}/accessories"), json!({})),
        ("scan:create", "POST", format!("{artifact}/scan"), json!({})),
        ("artifact-addition:read", "GET", format!("{artifact}/additions/vulnerabilities"), json!({})),
        ("scanner:read", "GET", "/projects/platform/scanner".into(), json!({})),
        ("immutable-tag:list", "GET", "/projects/platform/immutabletagrules".into(), json!({})),
        ("immutable-tag:create", "POST", "/projects/platform/immutabletagrules".into(), rule),
        ("member:list", "GET", "/projects/platform/members".into(), json!({})),
    ];
    let system: Vec<(&str, &str, String, Value)> = vec![
        ("project:create", "POST", "/projects".into(), json!({"project_name": "new"})),
        ("quota:read", "GET", format!("/quotas/{quota}"), json!({})),
        ("quota:list", "GET", "/quotas".into(), json!({})),
        ("quota:update", "PUT", format!("/quotas/{quota}"), json!({"hard": {"storage": -1}})),
        ("garbage-collection:list", "GET", "/system/gc?sort=-creation_time&page_size=1".into(), json!({})),
        ("robot:list", "GET", "/robots".into(), json!({})),
    ];
    harbor.set_project_creation(ProjectCreation::AdminOnly);
    // Everything but the one permission, and then that one alone.
    let all: Vec<&str> = steps.iter().map(|(access, ..)| *access).collect();
    let all_system: Vec<&str> = system.iter().map(|(access, ..)| *access).collect();
    let without = |all: &[&str], one: &str| -> Vec<String> {
        all.iter().filter(|a| **a != one).map(|&a| a.to_owned()).collect()
    };
    fn refs(list: &[String]) -> Vec<&str> {
        list.iter().map(String::as_str).collect()
    }
    let mut n = 0;
    let mut robot = |in_project: &[&str], in_system: &[&str]| {
        n += 1;
        let robot = Robot::of_system(&format!("r{n}")).in_project("platform", in_project);
        harbor.client(&harbor.add_robot(robot.in_system(in_system)))
    };
    for (access, method, path, body) in &steps {
        let lacking = robot(&refs(&without(&all, access)), &all_system);
        assert_eq!(
            lacking.call(method, path, body).refusal(),
            (403, "FORBIDDEN".to_owned()),
            "{access} {path}"
        );
        let having = robot(&[access], &[]);
        let answer = having.call(method, path, body);
        assert!(answer.status < 300, "{access} {method} {path}: {}", answer.text());
    }
    for (access, method, path, body) in &system {
        let lacking = robot(&all, &refs(&without(&all_system, access)));
        assert_eq!(
            lacking.call(method, path, body).refusal(),
            (403, "FORBIDDEN".to_owned()),
            "{access} {path}"
        );
        let having = robot(&[], &[access]);
        let answer = having.call(method, path, body);
        assert!(answer.status < 300, "{access} {method} {path}: {}", answer.text());
    }
    // The catalog is the registry's, and answers in its own way.
    let catalog = |client: &Client| client.get("/v2/_catalog").unwrap().status;
    assert_eq!(catalog(&robot(&all, &all_system)), 401);
    assert_eq!(catalog(&robot(&[], &["catalog:read"])), 200);
    // Settings are for people.
    let settings = json!({"read_only": true});
    assert_eq!(robot(&all, &all_system).call("PUT", "/configurations", &settings).refusal().0, 403);
}

#[test]
fn members_of_a_project_may_what_their_role_says() {
    let harbor = harbor();
    let image = image(1);
    harbor.admin().push("platform/app", "v1", &image).unwrap();
    for (role, pulls, pushes, deletes) in [
        (Role::ProjectAdmin, true, true, true),
        (Role::Maintainer, true, true, true),
        (Role::Developer, true, true, false),
        (Role::Guest, true, false, false),
        (Role::LimitedGuest, true, false, false),
    ] {
        let user = harbor.client(&harbor.add_user(role.name(), "Secret123"));
        assert_eq!(user.get("/v2/platform/app/manifests/v1").unwrap().status, 401);
        let member = json!({"role_id": role.id(), "member_user": {"username": role.name()}});
        assert_eq!(harbor.admin().call("POST", "/projects/platform/members", &member).status, 201);
        assert_eq!(harbor.admin().call("POST", "/projects/platform/members", &member).refusal().0, 409);
        assert_eq!(user.get("/v2/platform/app/manifests/v1").unwrap().status == 200, pulls, "{role:?}");
        let upload = user.request("POST", "/v2/platform/app/blobs/uploads/", &[], b"").unwrap();
        assert_eq!(upload.status == 202, pushes, "{role:?}");
        let nothing = format!("/v2/platform/app/manifests/{}", crate::sha256(b"nothing"));
        assert_eq!(user.delete(&nothing).unwrap().status == 404, deletes, "{role:?}");
    }
    let members = harbor.admin().api("/projects/platform/members").document();
    assert_eq!(members.as_array().unwrap().len(), 6);
    assert_eq!(members[1]["role_name"], "projectAdmin");
}
