//! The switches behind the API: read-only, expired, lost. Takes the switches; each has the effect over HTTP
//! that it is named for.

use std::sync::Arc;

use super::*;
use crate::{Direction, Fault, Matcher, Rule};

fn put(harbor: &Harbor, manifest: &Manifest, tag: &str) -> Response {
    let headers = [("Content-Type", manifest.media_type.as_str())];
    let path = format!("/v2/platform/app/manifests/{tag}");
    harbor.admin().request("PUT", &path, &headers, &manifest.bytes).unwrap()
}

#[test]
fn a_connection_breaks_in_the_middle_of_an_upload() {
    let harbor = harbor();
    let image = image(1);
    let broken = Rule::new(Matcher::new("PUT", "/blobs/uploads/"), Fault::ResetUploadAfter(5000));
    // The first is the config, and smaller than that.
    harbor.faults().add(broken.after(1).once());
    assert!(harbor.admin().push("platform/app", "v1", &image).is_err());
    assert_eq!(harbor.open_uploads().len(), 1);
    assert_eq!(harbor.tags("platform/app").len(), 0);
    harbor.admin().push("platform/app", "v1", &image).unwrap();
    assert_eq!(harbor.admin().check("platform/app", "v1", crate::Check::Hash), []);
    // The reservation of the broken upload is given back.
    assert_eq!(harbor.quota("platform").1, i64::try_from(image.total_size()).unwrap());
}

#[test]
fn an_answer_gets_lost_after_the_work_was_done() {
    let harbor = harbor();
    let image = image(1);
    harbor.faults().add(Rule::new(Matcher::new("PUT", "/manifests/"), Fault::SwallowResponse).once());
    assert!(harbor.admin().push("platform/app", "v1", &image).is_err());
    assert_eq!(harbor.tags("platform/app")["v1"], image.digest);
}

#[test]
fn the_ingress_has_a_bad_moment() {
    let harbor = harbor();
    for status in [500, 502, 503, 504, 429] {
        let answer = Response::new(status).with_header("Retry-After", "1");
        harbor.faults().add(Rule::new(Matcher::path("/v2/"), Fault::Status(answer)).once());
        let answer = harbor.admin().get("/v2/").unwrap();
        assert_eq!((answer.status, answer.header("retry-after")), (status, Some("1")));
        assert_eq!(harbor.admin().get("/v2/").unwrap().status, 200);
    }
    // Harbor never saw the first of each.
    assert_eq!(harbor.requests().len(), 5);
    assert_eq!(harbor.faults().requests().len(), 10);
}

#[test]
fn a_request_waits_until_the_test_lets_it_go() {
    let harbor = Arc::new(harbor());
    harbor.faults().add(Rule::new(Matcher::path("/systeminfo"), Fault::Hold).once());
    let waiting = std::thread::spawn({
        let harbor = Arc::clone(&harbor);
        move || harbor.admin().api("/systeminfo").document()["read_only"].clone()
    });
    harbor.faults().wait_for_stall();
    assert_eq!(harbor.requests().len(), 0);
    harbor.set_read_only(true);
    harbor.faults().release();
    // It was dealt with after the gate, not before.
    assert_eq!(waiting.join().unwrap(), true);
}

#[test]
fn read_only_mode_comes_after_two_manifests() {
    let harbor = harbor();
    harbor.before(Matcher::new("PUT", "/manifests/"), 3, |harbor| harbor.set_read_only(true));
    harbor.admin().push("platform/app", "v1", &image(1)).unwrap();
    harbor.admin().push("platform/app", "v2", &image(2)).unwrap();
    let refused = harbor.admin().push("platform/app", "v3", &image(3)).unwrap_err().to_string();
    assert!(refused.contains("read only"), "{refused}");
    assert_eq!(harbor.tags("platform/app").len(), 2);
}

#[test]
fn the_quota_ends_at_a_byte() {
    let harbor = harbor();
    let switches = (*harbor).clone();
    harbor.faults().on_bytes(Direction::Upload, 25_000, move || switches.exhaust_quota("platform"));
    let refused = harbor.admin().push("platform/app", "v1", &image(1)).unwrap_err().to_string();
    assert!(refused.contains("DENIED"), "{refused}");
    harbor.set_quota("platform", -1);
    harbor.admin().push("platform/app", "v1", &image(1)).unwrap();
}

#[test]
fn a_robot_is_switched_off_or_over_in_the_middle() {
    type Action = fn(&Switches, &str);
    let disable: Action = |harbor, name| harbor.disable_robot(name);
    let expire: Action = |harbor, name| harbor.expire_robot(name);
    for action in [disable, expire] {
        let harbor = harbor();
        let robot = harbor.add_robot(Robot::of_project("r", "platform", &["repository:push"]));
        let name = robot.name.clone();
        harbor.before(Matcher::any(), 5, move |harbor| action(harbor, &name));
        let refused = harbor.client(&robot).push("platform/app", "v1", &image(1)).unwrap_err().to_string();
        assert!(refused.contains("401"), "{refused}");
        let known: Vec<u16> = harbor.requests().iter().map(|request| request.status).collect();
        assert_eq!((known.len(), known[4]), (5, 401));
        assert_eq!(harbor.requests()[0].identity, robot.name);
        assert_eq!(harbor.requests()[4].identity, "");
    }
}

#[test]
fn tokens_end_in_the_middle_and_the_project_is_made_again() {
    let harbor = harbor();
    let service = "/service/token?service=harbor-registry&scope=repository:platform/app:pull,push";
    let token = token(&harbor.admin().get(service).unwrap());
    let bearer = harbor.anonymous().with_authorization(&format!("Bearer {token}"));
    harbor.before(Matcher::new("PUT", "/manifests/"), 1, Switches::expire_tokens);
    let refused = bearer.push("platform/app", "v1", &image(1)).unwrap_err().to_string();
    assert!(refused.contains("401"), "{refused}");
    // Harbor forgets the project's blobs, but the registry has them still.
    harbor.before(Matcher::new("PUT", "/manifests/"), 1, |harbor| harbor.recreate_project("platform"));
    harbor.admin().push("platform/app", "v1", &image(1)).unwrap();
    assert_eq!(harbor.tags("platform/app").len(), 1);
}

#[test]
fn collection_comes_between_the_blobs_and_their_manifest() {
    let harbor = harbor();
    let image = image(1);
    let digest = image.digest.clone();
    harbor.admin().push("platform/other", "v1", &image).unwrap();
    harbor.before(Matcher::new("PUT", "/platform/app/manifests/"), 1, move |harbor| {
        harbor.set_blob_status(&digest, BlobStatus::Deleting);
    });
    let refused = harbor.admin().push("platform/app", "v1", &image).unwrap_err().to_string();
    assert!(refused.contains("NOT_FOUND"), "{refused}");
    assert_eq!(put(&harbor, &image, "v1").status, 404);
    harbor.set_blob_status(&image.digest, BlobStatus::None);
    assert_eq!(put(&harbor, &image, "v1").status, 201);
}

#[test]
fn everything_is_401_after_so_many_requests() {
    let harbor = harbor();
    let refused = Response::error(401, "UNAUTHORIZED", "unauthorized");
    harbor.faults().add(Rule::new(Matcher::any(), Fault::Status(refused)).after(2));
    let statuses: Vec<u16> = (0..4).map(|_| harbor.admin().get("/v2/").unwrap().status).collect();
    assert_eq!(statuses, [200, 200, 401, 401]);
}

#[test]
fn what_was_asked_and_by_whom_is_remembered() {
    let harbor = harbor();
    let agent = [("User-Agent", "bundle/0.1")];
    harbor.admin().request("GET", "/api/v2.0/ping", &agent, b"").unwrap();
    harbor.anonymous().with_basic("admin", "wrong").get("/v2/").unwrap();
    let expected = |path: &str, user_agent: &str, identity: &str, status| HarborRequest {
        method: "GET".to_owned(),
        path_and_query: path.to_owned(),
        user_agent: user_agent.to_owned(),
        identity: identity.to_owned(),
        status,
    };
    assert_eq!(
        harbor.requests(),
        [expected("/api/v2.0/ping", "bundle/0.1", "admin", 200), expected("/v2/", "", "", 401)]
    );
    harbor.forget_requests();
    assert_eq!((harbor.requests(), harbor.faults().requests().len()), (vec![], 0));
}
