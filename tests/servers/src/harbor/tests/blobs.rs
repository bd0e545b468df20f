//! Blobs: mounted, asked for, and counted.
//! Takes one image in several projects; looks at quotas and at who may read.

use std::time::Duration;

use super::*;

fn push(harbor: &Harbor, repository: &str, content: &[u8]) -> String {
    let blob = crate::Blob::new("application/octet-stream", content);
    harbor.admin().push_blob(repository, &blob).unwrap();
    blob.digest
}

fn head(harbor: &Harbor, repository: &str, digest: &str) -> Response {
    harbor.admin().head(&format!("/v2/{repository}/blobs/{digest}")).unwrap()
}

#[test]
fn a_blob_is_there_in_its_own_repository_only_item_7() {
    let harbor = harbor();
    harbor.add_project("cache");
    let digest = push(&harbor, "platform/app", b"content");
    let there = head(&harbor, "platform/app", &digest);
    assert_eq!((there.status, there.header("content-length")), (200, Some("7")));
    assert_eq!(there.header("docker-content-digest"), Some(digest.as_str()));
    assert_eq!(head(&harbor, "platform/other", &digest).status, 404);
    assert_eq!(head(&harbor, "cache/app", &digest).status, 404);
}

#[test]
fn a_mount_links_what_the_source_has_and_is_an_upload_otherwise_item_7() {
    let harbor = harbor();
    harbor.add_project("cache");
    let digest = push(&harbor, "platform/app", b"content");
    let mount = |to: &str, from: &str| {
        let path = format!("/v2/{to}/blobs/uploads/?mount={digest}&from={from}");
        harbor.admin().request("POST", &path, &[], b"").unwrap()
    };
    let mounted = mount("cache/app", "platform/app");
    assert_eq!((mounted.status, mounted.header("docker-content-digest")), (201, Some(digest.as_str())));
    assert_eq!(head(&harbor, "cache/app", &digest).status, 200);
    assert_eq!(harbor.quota("cache").1, 7);
    // The project has it, but not that repository.
    let elsewhere = mount("cache/new", "platform/other");
    assert_eq!((elsewhere.status, elsewhere.header("range")), (202, Some("0-0")));
    assert_eq!(mount("cache/new", "platform").refusal(), (400, "BAD_REQUEST".to_owned()));
    // Without a source there is no mount.
    let path = format!("/v2/cache/third/blobs/uploads/?mount={digest}");
    assert_eq!(harbor.admin().request("POST", &path, &[], b"").unwrap().status, 202);
    // And not without the right to pull there.
    let robot = harbor.add_robot(Robot::of_project("r", "cache", &["repository:push"]));
    let path = format!("/v2/cache/fourth/blobs/uploads/?mount={digest}&from=platform/app");
    assert_eq!(harbor.client(&robot).request("POST", &path, &[], b"").unwrap().status, 401);
}

#[test]
fn storage_that_redirects_does_so_for_head_and_get_and_wants_no_credentials_item_7() {
    let harbor = harbor();
    let digest = push(&harbor, "platform/app", b"content");
    harbor.set_redirect(Redirect::ToStorage);
    let path = format!("/v2/platform/app/blobs/{digest}");
    let redirected = harbor.admin().head(&path).unwrap();
    assert_eq!(redirected.status, 307);
    let redirected = harbor.admin().get(&path).unwrap();
    assert_eq!(redirected.status, 307);
    let location = redirected.header("location").unwrap();
    let storage = location.strip_prefix(&format!("http://{}", harbor.host())).unwrap();
    assert_eq!(harbor.anonymous().get(storage).unwrap().body, b"content");
    assert_eq!(harbor.admin().get(storage).unwrap().status, 400);
    // A missing blob is not redirected.
    assert_eq!(head(&harbor, "platform/other", &digest).status, 404);
    harbor.set_redirect(Redirect::Off);
    assert_eq!(harbor.admin().get(&path).unwrap().body, b"content");
}

#[test]
fn a_missing_blob_is_reported_by_the_core_for_head_and_by_the_registry_for_get_item_12() {
    let harbor = harbor();
    let digest = crate::sha256(b"missing");
    let path = format!("/v2/platform/app/blobs/{digest}");
    assert_eq!(harbor.admin().get(&path).unwrap().refusal(), (404, "BLOB_UNKNOWN".to_owned()));
    assert_eq!(head(&harbor, "platform/app", &digest).status, 404);
}

#[test]
fn a_part_of_a_blob_can_be_had() {
    let harbor = harbor();
    let digest = push(&harbor, "platform/app", b"content");
    let path = format!("/v2/platform/app/blobs/{digest}");
    let get = |range: &str| harbor.admin().request("GET", &path, &[("Range", range)], b"").unwrap();
    let part = get("bytes=2-4");
    assert_eq!((part.status, part.body.as_slice()), (206, &b"nte"[..]));
    assert_eq!(part.header("content-range"), Some("bytes 2-4/7"));
    assert_eq!(get("bytes=7-").status, 416);
}

#[test]
fn what_no_artifact_needs_is_collected_after_two_hours_unless_someone_looked_item_26() {
    let harbor = harbor();
    let image = image(1);
    harbor.admin().push("platform/app", "v1", &image).unwrap();
    let looked_at = push(&harbor, "platform/app", b"looked at");
    let forgotten = push(&harbor, "platform/app", b"forgotten");
    harbor.advance(Duration::from_secs(3600));
    harbor.collect_garbage().unwrap();
    assert_eq!(head(&harbor, "platform/app", &looked_at).status, 200);
    assert!(harbor.blob(&forgotten).is_some());
    harbor.advance(Duration::from_secs(3601));
    harbor.collect_garbage().unwrap();
    assert_eq!(harbor.blob(&forgotten), None);
    assert_eq!(head(&harbor, "platform/app", &forgotten).status, 404);
    assert_eq!(head(&harbor, "platform/app", &looked_at).status, 200);
    // Blobs that an artifact needs stay for ever.
    assert_eq!(harbor.admin().check("platform/app", "v1", crate::Check::Hash), []);
}

#[test]
fn a_collection_through_the_api_takes_untagged_artifacts_too_item_26() {
    let harbor = harbor();
    let (tagged, untagged) = (image(1), image(2));
    harbor.admin().push("platform/app", "v1", &tagged).unwrap();
    harbor.admin().push_untagged("platform/app", &untagged).unwrap();
    harbor.advance(Duration::from_secs(7201));
    let manual = json!({"schedule": {"type": "Manual"}, "parameters": {"workers": 1}});
    let started = harbor.admin().call("POST", "/system/gc/schedule", &manual);
    assert_eq!(started.status, 201);
    assert_eq!(harbor.artifact("platform/app", &untagged.digest), None);
    assert_eq!(harbor.admin().check("platform/app", "v1", crate::Check::Hash), []);
    let last = harbor.admin().api("/system/gc?sort=-creation_time&page_size=1").document();
    assert_eq!(last[0]["job_status"], "Success");
    let one = harbor.admin().get(started.header("location").unwrap()).unwrap().document();
    assert_eq!(one["id"], last[0]["id"]);
    assert_eq!(harbor.admin().api("/system/gc/schedule").status, 200);
}

#[test]
fn what_is_being_collected_is_not_there_item_26() {
    let harbor = harbor();
    let image = image(1);
    harbor.admin().push("platform/app", "v1", &image).unwrap();
    let blob = &image.blobs[1].digest;
    for status in [BlobStatus::Deleting, BlobStatus::DeleteFailed] {
        harbor.set_blob_status(blob, status);
        assert_eq!(head(&harbor, "platform/app", blob).status, 404, "{status:?}");
    }
    // One that is only marked is saved by the look.
    harbor.set_blob_status(blob, BlobStatus::Delete);
    assert_eq!(head(&harbor, "platform/app", blob).status, 200);
    assert_eq!(harbor.blob(blob).unwrap().status, BlobStatus::None);
    // A manifest cannot be pushed meanwhile, and later it can.
    harbor.set_blob_status(&image.digest, BlobStatus::Deleting);
    let put = || {
        let headers = [("Content-Type", image.media_type.as_str())];
        harbor.admin().request("PUT", "/v2/platform/app/manifests/v1", &headers, &image.bytes).unwrap()
    };
    assert_eq!(put().refusal(), (404, "NOT_FOUND".to_owned()));
    harbor.advance(Duration::from_secs(7201));
    assert_eq!(put().status, 201);
}

#[test]
fn a_blob_that_was_collected_before_its_manifest_is_asked_for_item_26() {
    let harbor = harbor();
    let image = image(1);
    for blob in &image.blobs {
        harbor.admin().push_blob("platform/app", blob).unwrap();
    }
    harbor.sweep(&image.blobs[2].digest).unwrap();
    let headers = [("Content-Type", image.media_type.as_str())];
    let refused =
        harbor.admin().request("PUT", "/v2/platform/app/manifests/v1", &headers, &image.bytes).unwrap();
    assert_eq!(refused.refusal(), (400, "MANIFEST_BLOB_UNKNOWN".to_owned()));
    assert_eq!(refused.document()["errors"][0]["detail"], image.blobs[2].digest);
    harbor.admin().push("platform/app", "v1", &image).unwrap();
}
