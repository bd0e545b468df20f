//! Upload sessions: pieces, offsets, and what ends one.
//! Takes requests as clients send them; the answers are those of distribution 2.8.

use super::*;

const UPLOADS: &str = "/v2/platform/app/blobs/uploads/";

fn path_of(answer: &Response, harbor: &Harbor) -> String {
    let location = answer.header("location").unwrap();
    location.strip_prefix(&format!("http://{}", harbor.host())).expect("it is absolute").to_owned()
}

fn begin(harbor: &Harbor) -> String {
    let answer = harbor.admin().request("POST", UPLOADS, &[], b"").unwrap();
    assert_eq!((answer.status, answer.header("range")), (202, Some("0-0")));
    assert!(answer.header("docker-upload-uuid").is_some());
    path_of(&answer, harbor)
}

fn patch(harbor: &Harbor, path: &str, bytes: &[u8]) -> Response {
    harbor.admin().request("PATCH", path, &[("Content-Type", "application/octet-stream")], bytes).unwrap()
}

fn finish(harbor: &Harbor, path: &str, digest: &str, bytes: &[u8]) -> Response {
    harbor.admin().request("PUT", &format!("{path}&digest={digest}"), &[], bytes).unwrap()
}

#[test]
fn each_chunk_moves_the_upload_and_the_old_place_kills_it_item_8() {
    let harbor = harbor();
    let first = begin(&harbor);
    assert!(first.contains("?_state="));
    let answer = patch(&harbor, &first, b"one");
    assert_eq!((answer.status, answer.header("range")), (202, Some("0-2")));
    let second = path_of(&answer, &harbor);
    assert_ne!(first, second);
    let answer = patch(&harbor, &second, b"two");
    assert_eq!((answer.status, answer.header("range")), (202, Some("0-5")));
    let third = path_of(&answer, &harbor);
    // The place before the last chunk.
    assert_eq!(patch(&harbor, &second, b"two").refusal(), (404, "BLOB_UPLOAD_INVALID".to_owned()));
    assert_eq!(
        finish(&harbor, &third, &crate::sha256(b"onetwo"), b"").refusal(),
        (404, "BLOB_UPLOAD_UNKNOWN".to_owned())
    );
    assert_eq!(harbor.open_uploads(), [""; 0]);
}

#[test]
fn the_place_may_be_a_path_where_the_chart_says_so_item_8() {
    let harbor = harbor();
    harbor.set_relative_locations(true);
    let answer = harbor.admin().request("POST", UPLOADS, &[], b"").unwrap();
    assert!(answer.header("location").unwrap().starts_with("/v2/platform/app/blobs/uploads/"));
    harbor.admin().push("platform/app", "v1", &image(1)).unwrap();
}

#[test]
fn asking_how_far_it_is_from_an_old_place_kills_the_upload_too_item_8() {
    let harbor = harbor();
    let first = begin(&harbor);
    let status = harbor.admin().get(&first).unwrap();
    assert_eq!((status.status, status.header("range")), (204, Some("0-0")));
    let second = path_of(&patch(&harbor, &first, b"one"), &harbor);
    let status = harbor.admin().get(&second).unwrap();
    assert_eq!((status.status, status.header("range")), (204, Some("0-2")));
    assert_eq!(harbor.admin().get(&first).unwrap().refusal(), (404, "BLOB_UPLOAD_INVALID".to_owned()));
    assert_eq!(harbor.admin().get(&second).unwrap().refusal(), (404, "BLOB_UPLOAD_UNKNOWN".to_owned()));
}

#[test]
fn a_chunk_that_broke_off_cannot_be_resumed_item_8() {
    let harbor = harbor();
    let first = begin(&harbor);
    harbor.faults().add(
        crate::Rule::new(crate::Matcher::new("PATCH", UPLOADS), crate::Fault::ResetUploadAfter(100)).once(),
    );
    let octets = [("Content-Type", "application/octet-stream")];
    assert!(harbor.admin().request("PATCH", &first, &octets, &[7; 200]).is_err());
    // The session has a hundred bytes beyond the client's offset.
    assert_eq!(harbor.admin().get(&first).unwrap().refusal(), (404, "BLOB_UPLOAD_INVALID".to_owned()));
    assert_eq!(harbor.open_uploads(), [""; 0]);
}

#[test]
fn a_place_that_is_of_another_repository_or_forged_is_refused_item_8() {
    let harbor = harbor();
    let place = begin(&harbor);
    let bare = place.split('?').next().unwrap().to_owned();
    for wrong in [
        bare.clone(),
        format!("{bare}?_state=made-up"),
        format!("{bare}?_state=made-up-0"),
        place.replace("/platform/app/", "/platform/other/"),
    ] {
        assert_eq!(
            patch(&harbor, &wrong, b"x").refusal(),
            (404, "BLOB_UPLOAD_INVALID".to_owned()),
            "{wrong}"
        );
    }
    assert_eq!(patch(&harbor, &place, b"x").status, 202);
}

#[test]
fn content_range_is_not_looked_at_and_content_type_is_item_9() {
    let harbor = harbor();
    let place = begin(&harbor);
    let out_of_order = [("Content-Range", "500-502"), ("Content-Type", "application/octet-stream")];
    let answer = harbor.admin().request("PATCH", &place, &out_of_order, b"one").unwrap();
    assert_eq!((answer.status, answer.header("range")), (202, Some("0-2")));
    let place = path_of(&answer, &harbor);
    let failed =
        harbor.admin().request("PATCH", &place, &[("Content-Type", "application/json")], b"two").unwrap();
    assert_eq!(failed.refusal(), (500, "UNKNOWN".to_owned()));
    assert_eq!(finish(&harbor, &place, &crate::sha256(b"one"), b"").status, 201);
}

#[test]
fn a_blob_in_one_post_is_an_upload_that_has_not_begun_item_9() {
    let harbor = harbor();
    let digest = crate::sha256(b"whole");
    let answer =
        harbor.admin().request("POST", &format!("{UPLOADS}?digest={digest}"), &[], b"whole").unwrap();
    assert_eq!((answer.status, answer.header("range")), (202, Some("0-0")));
    assert!(!harbor.admin().has_blob("platform/app", &digest).unwrap());
    assert_eq!(finish(&harbor, &path_of(&answer, &harbor), &digest, b"whole").status, 201);
}

#[test]
fn a_wrong_digest_ends_the_session_and_a_missing_one_does_not_item_10() {
    let harbor = harbor();
    let place = begin(&harbor);
    let missing = harbor.admin().request("PUT", &place, &[], b"").unwrap();
    assert_eq!(missing.refusal(), (400, "DIGEST_INVALID".to_owned()));
    assert_eq!(harbor.open_uploads().len(), 1);
    let wrong = finish(&harbor, &place, &crate::sha256(b"other"), b"one");
    assert_eq!(wrong.refusal(), (400, "DIGEST_INVALID".to_owned()));
    assert_eq!(harbor.open_uploads(), [""; 0]);
    assert_eq!(
        finish(&harbor, &place, &crate::sha256(b"one"), b"one").refusal(),
        (404, "BLOB_UPLOAD_UNKNOWN".to_owned())
    );
    assert_eq!(harbor.quota("platform").1, 0);
}

#[test]
fn the_size_that_counts_is_that_of_the_last_request_item_10() {
    let harbor = harbor();
    let size_of = |digest: &str| {
        let blob = harbor.blob(digest).unwrap();
        (blob.size, blob.stored.unwrap())
    };
    // In one PUT, and in chunks with an empty PUT: right.
    assert_eq!(finish(&harbor, &begin(&harbor), &crate::sha256(b"whole"), b"whole").status, 201);
    assert_eq!(size_of(&crate::sha256(b"whole")), (5, 5));
    let place = path_of(&patch(&harbor, &begin(&harbor), b"in chunks"), &harbor);
    assert_eq!(finish(&harbor, &place, &crate::sha256(b"in chunks"), b"").status, 201);
    assert_eq!(size_of(&crate::sha256(b"in chunks")), (9, 9));
    // The last chunk in the PUT: only that counts, and for ever.
    let place = path_of(&patch(&harbor, &begin(&harbor), b"first and "), &harbor);
    assert_eq!(finish(&harbor, &place, &crate::sha256(b"first and last"), b"last").status, 201);
    assert_eq!(size_of(&crate::sha256(b"first and last")), (4, 14));
    // Chunked transfer says no length: nothing counts.
    let chunked = [("Transfer-Encoding", "chunked")];
    let target = format!("{}&digest={}", begin(&harbor), crate::sha256(b"of unsaid size"));
    let mut headers = chunked.to_vec();
    headers.push(("Content-Length", ""));
    let answer =
        harbor.admin().request("PUT", &target, &headers, b"e\r\nof unsaid size\r\n0\r\n\r\n").unwrap();
    assert_eq!(answer.status, 201, "{}", answer.text());
    assert_eq!(size_of(&crate::sha256(b"of unsaid size")), (0, 14));
}

#[test]
fn ending_a_session_needs_the_right_to_delete_item_27() {
    let harbor = harbor();
    let push = harbor.client(&harbor.add_robot(Robot::of_project("p", "platform", &["repository:push"])));
    let place = begin(&harbor);
    assert_eq!(push.delete(&place).unwrap().status, 401);
    assert_eq!(harbor.admin().delete(&place).unwrap().status, 204);
    assert_eq!(harbor.open_uploads(), [""; 0]);
}
