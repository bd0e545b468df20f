//! Logins, and the content of tokens. Takes Basic and Bearer credentials, right, wrong and for something
//! else.

use std::time::Duration;

use super::*;

const TOKEN: &str = "/service/token?service=harbor-registry";

#[test]
fn who_sends_no_credentials_is_challenged_even_in_a_public_project_item_1() {
    let harbor = harbor();
    harbor.add_project_with("open", &[("public", "true")]);
    let image = image(1);
    harbor.admin().push("open/app", "v1", &image).unwrap();
    for path in
        ["/v2/open/app/manifests/v1".to_owned(), format!("/v2/open/app/blobs/{}", image.blobs[0].digest)]
    {
        for method in ["GET", "HEAD"] {
            let answer = harbor.anonymous().request(method, &path, &[], b"").unwrap();
            assert_eq!(answer.status, 401);
            assert_eq!(
                answer.header("www-authenticate").unwrap(),
                format!(
                    "Bearer realm=\"http://{}/service/token\",service=\"harbor-registry\",\
                     scope=\"repository:open/app:pull\"",
                    harbor.host()
                )
            );
        }
    }
    // With a token that names no one it can be pulled.
    let anonymous = harbor.anonymous();
    let token = token(&anonymous.get(&format!("{TOKEN}&scope=repository:open/app:pull")).unwrap());
    let bearer = anonymous.with_authorization(&format!("Bearer {token}"));
    assert_eq!(bearer.get("/v2/open/app/manifests/v1").unwrap().status, 200);
    // And that is no login.
    assert_eq!(bearer.get("/v2/").unwrap().status, 401);
}

#[test]
fn the_challenge_for_a_push_and_for_a_mount_name_what_is_needed_item_1() {
    let harbor = harbor();
    let challenge = |path: &str| {
        let answer = harbor.anonymous().request("POST", path, &[], b"").unwrap();
        assert_eq!(answer.refusal(), (401, "UNAUTHORIZED".to_owned()));
        answer.header("www-authenticate").unwrap().split("scope=").nth(1).unwrap().to_owned()
    };
    let uploads = "/v2/platform/app/blobs/uploads/";
    assert_eq!(challenge(uploads), "\"repository:platform/app:pull,push\"");
    let digest = crate::sha256(b"x");
    assert_eq!(
        challenge(&format!("{uploads}?mount={digest}&from=library/base")),
        "\"repository:platform/app:pull,push repository:library/base:pull\""
    );
    let ping = harbor.anonymous().get("/v2/").unwrap();
    assert!(!ping.header("www-authenticate").unwrap().contains("scope"));
    // Without its last slash it is not even recognised.
    assert_eq!(harbor.admin().get("/v2").unwrap().status, 401);
}

#[test]
fn insufficient_rights_are_401_and_a_basic_challenge_never_403_item_2() {
    let harbor = harbor();
    harbor.add_project("other");
    let robot = harbor.add_robot(Robot::of_project("r", "other", &["repository:push"]));
    let client = harbor.client(&robot);
    let refused = client.request("POST", "/v2/platform/app/blobs/uploads/", &[], b"").unwrap();
    assert_eq!(refused.refusal(), (401, "UNAUTHORIZED".to_owned()));
    assert_eq!(refused.header("www-authenticate"), Some("Basic realm=\"harbor\""));
    assert!(refused.message().starts_with("unauthorized to access repository: platform/app, action: push"));
    // A token that lacks the right looks the same, so that a client must not try for ever.
    let token = token(&client.get(&format!("{TOKEN}&scope=repository:platform/app:pull,push")).unwrap());
    let bearer = harbor.anonymous().with_authorization(&format!("Bearer {token}"));
    let refused = bearer.request("POST", "/v2/platform/app/blobs/uploads/", &[], b"").unwrap();
    assert_eq!((refused.status, refused.header("www-authenticate")), (401, Some("Basic realm=\"harbor\"")));
    // The catalog never asks for a token.
    let catalog = harbor.anonymous().get("/v2/_catalog").unwrap();
    assert_eq!((catalog.status, catalog.header("www-authenticate")), (401, Some("Basic realm=\"harbor\"")));
}

#[test]
fn an_unknown_project_is_401_without_a_challenge_and_is_not_made_item_3() {
    let harbor = harbor();
    let refused = harbor.admin().request("POST", "/v2/nothing/app/blobs/uploads/", &[], b"").unwrap();
    assert_eq!(refused.refusal(), (401, "UNAUTHORIZED".to_owned()));
    assert_eq!(refused.header("www-authenticate"), Some(""));
    assert!(refused.message().contains("project nothing not found"));
    assert_eq!(harbor.admin().get("/v2/nothing/app/tags/list").unwrap().status, 401);
    assert_eq!(harbor.projects(), ["library", "platform"]);
    // A repository needs no making.
    harbor.admin().push("platform/new/deep/app", "v1", &image(1)).unwrap();
    assert!(harbor.contents().contains_key("platform/new/deep/app"));
    // A name without a project is another mistake.
    assert_eq!(harbor.admin().get("/v2/app/tags/list").unwrap().refusal(), (400, "BAD_REQUEST".to_owned()));
    assert_eq!(harbor.admin().get("/v2/platform/App/tags/list").unwrap().status, 401);
}

#[test]
fn a_token_carries_all_its_owner_may_and_wrong_credentials_get_one_for_nothing_item_4() {
    let harbor = harbor();
    let robot = harbor.add_robot(Robot::of_project("r", "platform", &["repository:push"]));
    let client = harbor.client(&robot);
    // Asked for pull, it pushes.
    let answer = client.get(&format!("{TOKEN}&scope=repository:platform/app:pull")).unwrap();
    assert_eq!(answer.document()["expires_in"], 1800);
    let bearer = harbor.anonymous().with_authorization(&format!("Bearer {}", token(&answer)));
    bearer.push("platform/app", "v1", &image(1)).unwrap();

    let wrong = harbor.anonymous().with_basic(&robot.name, "wrong");
    let answer = wrong.get(&format!("{TOKEN}&scope=repository:platform/app:pull")).unwrap();
    let bearer = harbor.anonymous().with_authorization(&format!("Bearer {}", token(&answer)));
    assert_eq!(bearer.get("/v2/platform/app/tags/list").unwrap().status, 401);
    // Without a scope the service distinguishes right credentials from wrong ones.
    assert_eq!(client.get(TOKEN).unwrap().status, 200);
    assert_eq!(wrong.get(TOKEN).unwrap().status, 401);
    // An unknown project is no error either.
    let answer = client.get(&format!("{TOKEN}&scope=repository:nothing/app:pull")).unwrap();
    assert_eq!(answer.status, 200);
    assert_eq!(client.get("/service/token?service=other").unwrap().status, 400);
    assert_eq!(client.request("POST", TOKEN, &[], b"").unwrap().status, 405);
}

#[test]
fn a_token_of_before_the_project_is_refused_item_5() {
    let harbor = harbor();
    harbor.admin().push("platform/app", "v1", &image(1)).unwrap();
    let scope = format!("{TOKEN}&scope=repository:platform/app:pull,push");
    let bearer = |harbor: &Harbor| {
        let token = token(&harbor.admin().get(&scope).unwrap());
        harbor.anonymous().with_authorization(&format!("Bearer {token}"))
    };
    let old = bearer(&harbor);
    assert_eq!(old.get("/v2/platform/app/tags/list").unwrap().status, 200);
    // Within a minute the difference cannot be seen.
    harbor.recreate_project("platform");
    assert_eq!(old.get("/v2/platform/app/tags/list").unwrap().refusal(), (404, "NOT_FOUND".to_owned()));
    harbor.advance(Duration::from_secs(61));
    harbor.recreate_project("platform");
    assert_eq!(old.get("/v2/platform/app/tags/list").unwrap().status, 401);
    assert_eq!(bearer(&harbor).get("/v2/platform/app/tags/list").unwrap().status, 404);
    // As the source of a mount it is refused too.
    harbor.add_project("other");
    let fresh = bearer(&harbor);
    harbor.advance(Duration::from_secs(61));
    harbor.recreate_project("other");
    let digest = crate::sha256(b"x");
    let mount = format!("/v2/platform/app/blobs/uploads/?mount={digest}&from=other/app");
    assert_eq!(fresh.request("POST", &mount, &[], b"").unwrap().status, 401);
}

#[test]
fn a_token_lives_as_long_as_configured_and_a_minute_more() {
    let harbor = harbor();
    harbor.admin().push("platform/app", "v1", &image(1)).unwrap();
    harbor.set_token_expiration(1);
    let token = token(&harbor.admin().get(&format!("{TOKEN}&scope=repository:platform/app:pull")).unwrap());
    let bearer = harbor.anonymous().with_authorization(&format!("Bearer {token}"));
    harbor.advance(Duration::from_secs(110));
    assert_eq!(bearer.get("/v2/platform/app/tags/list").unwrap().status, 200);
    harbor.advance(Duration::from_secs(20));
    assert_eq!(bearer.get("/v2/platform/app/tags/list").unwrap().status, 401);
    // Below /api a token does not count.
    assert_eq!(bearer.api("/projects/platform").refusal().0, 401);
}

#[test]
fn a_client_with_a_cookie_jar_is_refused_at_its_second_write_item_20() {
    let harbor = harbor();
    let first = harbor.admin().call("POST", "/projects", &json!({"project_name": "a"}));
    let cookie = first.header("set-cookie").unwrap().split(';').next().unwrap().to_owned();
    assert!(cookie.starts_with("sid="));
    let again = |method: &str, path: &str| {
        harbor.admin().request(method, path, &[("Cookie", &cookie)], b"{}").unwrap()
    };
    let refused = again("POST", "/api/v2.0/projects");
    assert_eq!(refused.refusal(), (403, "FORBIDDEN".to_owned()));
    assert_eq!(refused.message(), "CSRF token invalid");
    assert_eq!(again("POST", "/v2/platform/app/blobs/uploads/").status, 403);
    assert_eq!(again("GET", "/api/v2.0/projects").status, 200);
}

#[test]
fn errors_have_one_form_and_what_is_the_servers_fault_has_no_detail_item_21() {
    let harbor = harbor();
    let refused = harbor.admin().get("/v2/platform/app/manifests/v1").unwrap();
    assert_eq!(refused.document()["errors"].as_array().unwrap().len(), 1);
    assert_eq!(refused.header("content-type"), Some("application/json; charset=utf-8"));
    assert!(refused.text().ends_with("}\n"));
    // A HEAD has no body to say why.
    assert_eq!(harbor.admin().head("/v2/platform/app/manifests/v1").unwrap().body, b"");
    // A registry other than the double's.
    let failed = harbor.admin().call("POST", "/projects", &json!({"project_name": "a", "registry_id": 7}));
    assert_eq!(
        (failed.refusal(), failed.message()),
        ((500, "UNKNOWN".into()), "internal server error".into())
    );
    for answer in [refused, failed] {
        assert!(answer.header("x-request-id").is_some());
    }
    let named = harbor.admin().request("GET", "/api/v2.0/ping", &[("X-Request-ID", "mine")], b"").unwrap();
    assert_eq!((named.header("x-request-id"), named.text().as_str()), (Some("mine"), "Pong"));
}
