//! Quotas: what counts, and what is given back.
//! Takes pushes that fit and that do not; the used bytes are Harbor's.

use super::*;

fn used(harbor: &Harbor) -> i64 {
    harbor.quota("platform").1
}

fn put(harbor: &Harbor, reference: &str, manifest: &Manifest) -> Response {
    let headers = [("Content-Type", manifest.media_type.as_str())];
    let path = format!("/v2/platform/app/manifests/{reference}");
    harbor.admin().request("PUT", &path, &headers, &manifest.bytes).unwrap()
}

#[test]
fn what_is_used_is_every_blob_of_the_project_once_item_16() {
    let harbor = harbor();
    let image = image(1);
    harbor.admin().push("platform/app", "v1", &image).unwrap();
    let size = i64::try_from(image.total_size()).unwrap();
    assert_eq!(used(&harbor), size);
    harbor.admin().push("platform/other", "v1", &image).unwrap();
    harbor.admin().push("platform/app", "v2", &image).unwrap();
    assert_eq!(used(&harbor), size);
    let summary = harbor.admin().api("/projects/platform/summary").document();
    assert_eq!(summary["quota"], json!({"hard": {"storage": -1}, "used": {"storage": size}}));
    harbor.admin().delete_manifest("platform/app", &image.digest).unwrap();
    assert_eq!(used(&harbor), size);
    harbor.admin().delete_manifest("platform/other", &image.digest).unwrap();
    assert_eq!(used(&harbor), 0);
}

#[test]
fn a_full_project_takes_no_new_blob_no_mount_and_no_manifest_item_16() {
    let harbor = harbor();
    harbor.add_project("cache");
    let (first, second) = (image(1), image(2));
    harbor.admin().push("platform/app", "v1", &first).unwrap();
    harbor.admin().push("cache/app", "v1", &second).unwrap();
    // Exactly full: an upload may be begun, but cannot be completed.
    harbor.exhaust_quota("platform");
    let denied = harbor.admin().push_blob("platform/app", &second.blobs[1]).unwrap_err().to_string();
    assert!(denied.contains("403") && denied.contains("DENIED"), "{denied}");
    assert!(denied.contains("of storage resource, which when updated to current usage of"), "{denied}");
    let mount = format!("/v2/platform/app/blobs/uploads/?mount={}&from=cache/app", second.blobs[1].digest);
    assert_eq!(
        harbor.admin().request("POST", &mount, &[], b"").unwrap().refusal(),
        (403, "DENIED".to_owned())
    );
    // Over the limit, not even that.
    harbor.set_quota("platform", 1);
    let uploads = harbor.admin().request("POST", "/v2/platform/app/blobs/uploads/", &[], b"").unwrap();
    assert_eq!(uploads.refusal(), (403, "DENIED".to_owned()));
    // Blobs that the project has are free.
    assert_eq!(put(&harbor, "v2", &first).status, 201);
}

#[test]
fn blobs_of_a_manifest_that_has_no_room_stay_and_count_item_16() {
    let harbor = harbor();
    let image = image(1);
    for blob in &image.blobs {
        harbor.admin().push_blob("platform/app", blob).unwrap();
    }
    let before = used(&harbor);
    harbor.exhaust_quota("platform");
    assert_eq!(put(&harbor, "v1", &image).refusal(), (403, "DENIED".to_owned()));
    assert_eq!(used(&harbor), before);
    harbor.set_quota("platform", -1);
    assert_eq!(put(&harbor, "v1", &image).status, 201);
    assert_eq!(used(&harbor), i64::try_from(image.total_size()).unwrap());
}

#[test]
fn a_mount_that_became_an_upload_is_counted_twice_until_something_is_deleted() {
    let harbor = harbor();
    harbor.add_project("cache");
    let image = image(1);
    harbor.admin().push("cache/app", "v1", &image).unwrap();
    let blob = &image.blobs[1];
    assert!(!harbor.admin().mount_blob("platform/app", &blob.digest, "cache/other").unwrap());
    harbor.admin().push_blob("platform/app", blob).unwrap();
    let size = i64::try_from(blob.size).unwrap();
    assert_eq!(used(&harbor), 2 * size);
    let nothing = super::image(2);
    harbor.admin().push("platform/app", "v1", &nothing).unwrap();
    harbor.admin().delete_manifest("platform/app", &nothing.digest).unwrap();
    assert_eq!(used(&harbor), size);
}

#[test]
fn limits_are_read_and_set_by_who_may() {
    let harbor = harbor();
    let id = harbor.admin().api("/projects/platform").document()["project_id"].clone();
    let list = harbor.admin().api(&format!("/quotas?reference=project&reference_id={id}")).document();
    assert_eq!(list[0]["hard"]["storage"], -1);
    let path = format!("/quotas/{}", list[0]["id"]);
    for (hard, status) in [(json!(1000), 200), (json!(0), 400), (json!(-2), 400), (json!("1"), 422)] {
        let answer = harbor.admin().call("PUT", &path, &json!({"hard": {"storage": hard}}));
        assert_eq!(answer.status, status, "{}", answer.text());
    }
    assert_eq!(harbor.quota("platform").0, 1000);
    assert_eq!(harbor.admin().call("PUT", &path, &json!({})).refusal().0, 400);
    // A limit with the project, by an administrator; for others the default is taken.
    let new = |name: &str| json!({"project_name": name, "storage_limit": 5000});
    assert_eq!(harbor.admin().call("POST", "/projects", &new("a")).status, 201);
    let user = harbor.client(&harbor.add_user("bob", "Secret123"));
    assert_eq!(user.call("POST", "/projects", &new("b")).status, 201);
    assert_eq!((harbor.quota("a").0, harbor.quota("b").0), (5000, -1));
    // Below what is used is taken, and then the project is full.
    harbor.admin().push("platform/app", "v1", &ImageSpec::oci().build()).unwrap();
    assert_eq!(harbor.admin().call("PUT", &path, &json!({"hard": {"storage": 1}})).status, 200);
}
