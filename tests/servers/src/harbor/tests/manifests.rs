//! Manifests that are pushed, listed, referred to and deleted.
//! Takes made-up images; looks at answers and at the artifacts that come of them.

use super::*;
use crate::{Index, Platform};

fn put(harbor: &Harbor, repository: &str, reference: &str, manifest: &Manifest) -> Response {
    let headers = [("Content-Type", manifest.media_type.as_str())];
    let path = format!("/v2/{repository}/manifests/{reference}");
    harbor.admin().request("PUT", &path, &headers, &manifest.bytes).unwrap()
}

fn push_blobs(harbor: &Harbor, repository: &str, manifest: &Manifest) {
    for blob in &manifest.blobs {
        harbor.admin().push_blob(repository, blob).unwrap();
    }
}

#[test]
fn a_manifest_whose_blobs_are_not_in_that_repository_is_refused_with_their_digests_item_11() {
    let harbor = harbor();
    let image = image(1);
    harbor.admin().push("platform/app", "v1", &image).unwrap();
    harbor.admin().push_blob("platform/other", &image.blobs[0]).unwrap();
    let refused = put(&harbor, "platform/other", "v1", &image);
    assert_eq!(refused.refusal(), (400, "MANIFEST_BLOB_UNKNOWN".to_owned()));
    let missing: Vec<Value> =
        refused.document()["errors"].as_array().unwrap().iter().map(|e| e["detail"].clone()).collect();
    assert_eq!(missing, [json!(image.blobs[1].digest), json!(image.blobs[2].digest)]);
    assert_eq!(harbor.tags("platform/other").len(), 0);
}

#[test]
fn an_index_without_all_its_children_is_refused_item_11() {
    let harbor = harbor();
    let (amd64, arm64) = (image(1), ImageSpec::oci().platform(Platform::linux_arm64()).build());
    let index = Index::oci().manifest(amd64.clone()).manifest(arm64.clone()).build();
    harbor.admin().push_untagged("platform/app", &amd64).unwrap();
    harbor.admin().push_untagged("platform/other", &arm64).unwrap();
    let refused = put(&harbor, "platform/app", "v1", &index);
    assert_eq!(refused.refusal(), (400, "MANIFEST_BLOB_UNKNOWN".to_owned()));
    assert_eq!(refused.document()["errors"][0]["detail"], arm64.digest);
    harbor.admin().push_untagged("platform/app", &arm64).unwrap();
    assert_eq!(put(&harbor, "platform/app", "v1", &index).status, 201);
    // A child that the registry has and Harbor deleted is another error.
    let again = Index::oci().manifest(arm64.clone()).build();
    let lone = Index::oci().annotation("a", "b").manifest(arm64.clone()).build();
    harbor.admin().delete_manifest("platform/other", &arm64.digest).unwrap();
    assert_eq!(put(&harbor, "platform/other", "v1", &lone).refusal(), (404, "NOT_FOUND".to_owned()));
    assert_eq!(put(&harbor, "platform/app", "v2", &again).status, 201);
}

#[test]
fn what_is_missing_is_named_by_harbor_and_not_by_the_registry_item_12() {
    let harbor = harbor();
    let get = |path: &str| harbor.admin().get(path).unwrap();
    let refused = get("/v2/platform/app/manifests/v1");
    assert_eq!(refused.refusal(), (404, "NOT_FOUND".to_owned()));
    assert_eq!(refused.message(), "repository platform/app not found");
    assert_eq!(get("/v2/platform/app/tags/list").refusal(), (404, "NOT_FOUND".to_owned()));
    harbor.admin().push("platform/app", "v1", &image(1)).unwrap();
    let refused = get("/v2/platform/app/manifests/v2");
    assert_eq!(
        (refused.refusal().1, refused.message()),
        ("NOT_FOUND".into(), "artifact platform/app:v2 not found".into())
    );
    assert_eq!(harbor.admin().head("/v2/platform/app/manifests/v2").unwrap().status, 404);
    // An invalid reference.
    assert_eq!(get("/v2/platform/app/manifests/a:b").refusal(), (404, "NOT_FOUND".to_owned()));
}

#[test]
fn an_immutable_tag_takes_no_push_not_even_of_its_own_digest_item_13() {
    let harbor = harbor();
    let (first, second) = (image(1), image(2));
    harbor.admin().push("platform/app", "v1", &first).unwrap();
    harbor.add_immutable_rule("platform", "**", "v*");
    push_blobs(&harbor, "platform/app", &second);
    for image in [&first, &second] {
        let refused = put(&harbor, "platform/app", "v1", image);
        assert_eq!(refused.refusal(), (412, "PRECONDITION".to_owned()));
        assert_eq!(refused.message(), "Failed to process request due to 'app:v1' configured as immutable.");
    }
    // A new tag under the rule, and then it is one of those.
    assert_eq!(put(&harbor, "platform/app", "v2", &second).status, 201);
    assert_eq!(put(&harbor, "platform/app", "v2", &second).status, 412);
    assert_eq!(put(&harbor, "platform/app", "latest", &second).status, 201);
    assert_eq!(put(&harbor, "platform/app", "latest", &first).status, 201);
    let by_digest = format!("/v2/platform/app/manifests/{}", first.digest);
    assert_eq!(harbor.admin().delete(&by_digest).unwrap().refusal(), (412, "PRECONDITION".to_owned()));
    let artifact = format!("{}/artifacts/v1", repository_path("platform", "app"));
    let tag = format!("/api/v2.0{artifact}/tags/v1");
    assert_eq!(harbor.admin().delete(&tag).unwrap().refusal(), (412, "PRECONDITION".to_owned()));
    let shown = harbor.admin().api(&format!("{artifact}?with_immutable_status=true")).document();
    let tags = shown["tags"].as_array().unwrap();
    assert_eq!(tags.iter().find(|tag| tag["name"] == "v1").unwrap()["immutable"], true);
    assert_eq!(tags.iter().find(|tag| tag["name"] == "latest").unwrap()["immutable"], false);
}

#[test]
fn rules_match_the_name_without_the_project_and_only_by_their_first_selectors() {
    let harbor = harbor();
    let image = image(1);
    let selector = |decoration: &str, pattern: &str| json!({"kind": "doublestar", "decoration": decoration, "pattern": pattern});
    let rule = json!({
        "action": "immutable",
        "template": "immutable_template",
        "disabled": true,
        "tag_selectors": [selector("matches", "v1"), selector("matches", "v2")],
        "scope_selectors": {"repository": [selector("repoMatches", "team/*"), selector("repoMatches", "app")]},
    });
    let path = "/projects/platform/immutabletagrules";
    assert_eq!(harbor.admin().call("POST", path, &rule).status, 201);
    assert_eq!(harbor.admin().call("POST", path, &rule).refusal(), (409, "CONFLICT".to_owned()));
    for (repository, tag, status) in [
        ("platform/team/app", "v1", 412),
        ("platform/team/app", "v2", 201),
        ("platform/app", "v1", 201),
        ("platform/team/a/b", "v1", 201),
    ] {
        harbor.admin().push(repository, tag, &image).unwrap();
        assert_eq!(put(&harbor, repository, tag, &image).status, status, "{repository}:{tag}");
    }
    // Switching it off changes nothing else.
    let mut known = harbor.admin().api(path).document()[0].clone();
    let one = format!("{path}/{}", known["id"]);
    known["disabled"] = json!(true);
    known["tag_selectors"] = json!([]);
    assert_eq!(harbor.admin().call("PUT", &one, &known).status, 200);
    assert_eq!(put(&harbor, "platform/team/app", "v1", &image).status, 201);
    assert_eq!(harbor.admin().api(path).document()[0]["tag_selectors"].as_array().unwrap().len(), 2);
    assert_eq!(harbor.admin().delete(&format!("/api/v2.0{one}")).unwrap().status, 200);
    assert_eq!(harbor.admin().api(path).document(), json!([]));
}

#[test]
fn nobody_pushes_into_a_proxy_cache_item_15() {
    let harbor = harbor();
    harbor.add_proxy_project("mirror");
    let uploads = harbor.admin().request("POST", "/v2/mirror/app/blobs/uploads/", &[], b"").unwrap();
    assert_eq!(uploads.refusal(), (403, "DENIED".to_owned()));
    assert_eq!(put(&harbor, "mirror/app", "v1", &image(1)).refusal(), (403, "DENIED".to_owned()));
    assert_eq!(harbor.admin().api("/projects/mirror").document()["registry_id"], 1);
    assert_eq!(harbor.admin().api("/projects/platform").document().get("registry_id"), None);
    harbor.admin().push("platform/app", "v1", &image(1)).unwrap();
    let copy = format!("{}/artifacts?from=platform/app:v1", repository_path("mirror", "app"));
    assert_eq!(
        harbor.admin().call("POST", &copy, &json!({})).refusal(),
        (405, "METHOD_NOT_ALLOWED".to_owned())
    );
}

#[test]
fn untagged_children_and_accessories_are_hidden_but_there_item_23() {
    let harbor = harbor();
    let (amd64, arm64) = (image(1), ImageSpec::oci().platform(Platform::linux_arm64()).build());
    let index = Index::oci().manifest(amd64.clone()).manifest(arm64.clone()).build();
    harbor.admin().push("platform/app", "v1", &index).unwrap();
    harbor.admin().push("platform/app", &index.cosign_tag(), &index.cosign_signature("app")).unwrap();
    let tags = harbor.admin().get("/v2/platform/app/tags/list").unwrap().document();
    assert_eq!(tags["tags"], json!([index.cosign_tag(), "v1"]));
    let list = format!("{}/artifacts", repository_path("platform", "app"));
    let digests = |query: &str| -> Vec<Value> {
        let answer = harbor.admin().api(&format!("{list}{query}")).document();
        answer.as_array().unwrap().iter().map(|a| a["digest"].clone()).collect()
    };
    assert_eq!(digests(""), [json!(index.digest)]);
    assert_eq!(digests("?q=base%3D*").len(), 3);
    let child = harbor.admin().api(&format!("{list}/{}", arm64.digest)).document();
    assert_eq!(child["digest"], arm64.digest);
    assert_eq!(
        harbor.admin().get(&format!("/v2/platform/app/manifests/{}", arm64.digest)).unwrap().status,
        200
    );
    // A child with a tag of its own is shown.
    harbor.admin().put_manifest("platform/app", "amd64", &amd64).unwrap();
    assert_eq!(digests("").len(), 2);
    // A child cannot be deleted under its index.
    let refused = harbor.admin().delete(&format!("/v2/platform/app/manifests/{}", arm64.digest)).unwrap();
    assert_eq!(refused.refusal(), (412, "VIOLATE_FOREIGN_KEY_CONSTRAINT".to_owned()));
    let repository = harbor.admin().api(&repository_path("platform", "app")).document();
    assert_eq!(repository["artifact_count"], 2);
}

/// `pkg/artifact/dao/dao.go`: `setAccessoryQuery` is a part of the query that List cuts into pages and Count counts.
/// Up to 2.5 `controller/artifact List` hid accessories after the cut, and pages in the middle could be empty.
#[test]
fn a_page_is_cut_from_what_is_shown_and_the_total_counts_what_is_shown() {
    let harbor = harbor();
    for seed in 0..4 {
        let image = image(seed * 10);
        harbor.admin().push("platform/app", &format!("v{seed}"), &image).unwrap();
        harbor.admin().push("platform/app", &image.cosign_tag(), &image.cosign_signature("app")).unwrap();
    }
    let list = format!("{}/artifacts", repository_path("platform", "app"));
    for query in ["page_size=3", "page_size=3&q=base%3D*"] {
        for (page, expected) in [(1, 3), (2, 1), (3, 0)] {
            let answer = harbor.admin().api(&format!("{list}?{query}&page={page}"));
            let found = answer.document();
            assert_eq!(found.as_array().unwrap().len(), expected, "{query} {page}");
            assert!(
                found
                    .as_array()
                    .unwrap()
                    .iter()
                    .all(|it| it["tags"][0]["name"].as_str().unwrap().starts_with('v'))
            );
            assert_eq!(answer.header("x-total-count"), Some("4"));
        }
    }
}

#[test]
fn signatures_and_referrers_belong_to_their_subject_whichever_comes_first_item_24() {
    for subject_first in [true, false] {
        let harbor = harbor();
        let image = image(1);
        let signature = image.cosign_signature("app");
        let sbom = image.referrer("application/spdx+json", b"{}");
        if subject_first {
            harbor.admin().push("platform/app", "v1", &image).unwrap();
        }
        harbor.admin().push("platform/app", &image.cosign_tag(), &signature).unwrap();
        let pushed = harbor.admin().push_untagged("platform/app", &sbom).unwrap();
        assert_eq!(pushed.header("oci-subject"), Some(image.digest.as_str()));
        if !subject_first {
            harbor.admin().push("platform/app", "v1", &image).unwrap();
        }
        let path = format!("{}/artifacts", repository_path("platform", "app"));
        let list = harbor.admin().api(&path).document();
        assert_eq!(list.as_array().unwrap().len(), 1);
        let accessories = harbor.admin().api(&format!("{path}/v1/accessories")).document();
        let mut found: Vec<(String, String)> = accessories
            .as_array()
            .unwrap()
            .iter()
            .map(|a| (a["type"].as_str().unwrap().to_owned(), a["digest"].as_str().unwrap().to_owned()))
            .collect();
        found.sort();
        assert_eq!(
            found,
            [
                ("signature.cosign".to_owned(), signature.digest.clone()),
                ("subject.accessory".to_owned(), sbom.digest.clone())
            ]
        );
        let with = harbor.admin().api(&format!("{path}/v1?with_accessory=true")).document();
        assert_eq!(with["accessories"].as_array().unwrap().len(), 2);
        let referrers = harbor.admin().get(&format!("/v2/platform/app/referrers/{}", image.digest)).unwrap();
        assert_eq!(referrers.header("content-type"), Some("application/vnd.oci.image.index.v1+json"));
        assert_eq!(referrers.document()["manifests"].as_array().unwrap().len(), 2);
        let filtered = harbor
            .admin()
            .get(&format!("/v2/platform/app/referrers/{}?artifactType=application/spdx%2Bjson", image.digest))
            .unwrap();
        assert_eq!(filtered.header("oci-filters-applied"), Some("artifactType"));
        assert_eq!(filtered.document()["manifests"][0]["digest"], sbom.digest);
        assert_eq!(filtered.document()["manifests"].as_array().unwrap().len(), 1);
        // They go with their subject.
        harbor.admin().delete_manifest("platform/app", &image.digest).unwrap();
        assert_eq!(harbor.admin().api(&path).document(), json!([]));
        assert_eq!(harbor.artifact("platform/app", &sbom.digest), None);
    }
    let bad = harbor().admin().get("/v2/platform/app/referrers/latest").unwrap();
    assert_eq!(bad.refusal(), (400, "BAD_REQUEST".to_owned()));
}

#[test]
fn ocis_manifests_are_given_to_who_accepts_them_and_dockers_to_anyone_item_25() {
    let harbor = harbor();
    let (oci, docker) = (image(1), ImageSpec::docker().layer(LayerSpec::new(9, 100)).build());
    let index = Index::oci().manifest(oci.clone()).build();
    let list = Index::docker().manifest(docker.clone()).build();
    for (tag, manifest) in [("oci", &oci), ("docker", &docker), ("index", &index), ("list", &list)] {
        harbor.admin().push("platform/app", tag, manifest).unwrap();
    }
    let get = |tag: &str, accept: &str| {
        let path = format!("/v2/platform/app/manifests/{tag}");
        harbor.admin().request("GET", &path, &[("Accept", accept)], b"").unwrap()
    };
    for tag in ["oci", "index"] {
        for accept in ["*/*", "application/vnd.docker.distribution.manifest.v2+json"] {
            assert_eq!(get(tag, accept).refusal(), (404, "MANIFEST_UNKNOWN".to_owned()), "{tag} {accept}");
        }
    }
    for (tag, manifest) in [("docker", &docker), ("list", &list)] {
        let answer = get(tag, "*/*");
        assert_eq!((answer.status, &answer.body), (200, &manifest.bytes));
        assert_eq!(answer.header("content-type"), Some(manifest.media_type.as_str()));
    }
    let answer = get("index", "application/vnd.oci.image.index.v1+json;q=0.5, text/plain");
    assert_eq!(answer.header("docker-content-digest"), Some(index.digest.as_str()));
    let path = "/v2/platform/app/manifests/oci";
    let unchanged = harbor.admin().request("GET", path, &[("If-None-Match", &oci.digest)], b"").unwrap();
    assert_eq!((unchanged.status, unchanged.body.len()), (304, 0));
}

#[test]
fn a_manifest_is_stored_as_it_came_and_only_up_to_four_mebibytes_item_25() {
    let harbor = harbor();
    let image = image(1);
    push_blobs(&harbor, "platform/app", &image);
    // The same document with another layout is another manifest.
    let mut spaced = image.clone();
    spaced.bytes =
        serde_json::to_vec_pretty(&serde_json::from_slice::<Value>(&image.bytes).unwrap()).unwrap();
    spaced.digest = crate::sha256(&spaced.bytes);
    let answer = put(&harbor, "platform/app", "v1", &spaced);
    assert_eq!(answer.status, 201);
    assert!(answer.header("location").unwrap().ends_with(&spaced.digest));
    assert_eq!(harbor.admin().manifest("platform/app", "v1").unwrap().unwrap().bytes, spaced.bytes);
    let mut large = image.clone();
    large.bytes.extend(std::iter::repeat_n(b' ', 4 << 20));
    assert_eq!(put(&harbor, "platform/app", "v2", &large).refusal(), (400, "MANIFEST_INVALID".to_owned()));
    let mut untyped = image.clone();
    untyped.media_type = "application/octet-stream".to_owned();
    assert_eq!(put(&harbor, "platform/app", "v2", &untyped).refusal(), (400, "MANIFEST_INVALID".to_owned()));
    let other = crate::sha256(b"other");
    assert_eq!(put(&harbor, "platform/app", &other, &image).refusal(), (400, "DIGEST_INVALID".to_owned()));
}

#[test]
fn a_manifest_is_deleted_by_digest_only_item_27() {
    let harbor = harbor();
    let image = image(1);
    harbor.admin().push("platform/app", "v1", &image).unwrap();
    let by_tag = harbor.admin().delete("/v2/platform/app/manifests/v1").unwrap();
    assert_eq!(by_tag.refusal(), (400, "UNSUPPORTED".to_owned()));
    harbor.admin().delete_manifest("platform/app", &image.digest).unwrap();
    assert_eq!(harbor.tags("platform/app").len(), 0);
    // The registry's storage stays until it is collected.
    assert!(harbor.has_blob_in("platform/app", &image.blobs[0].digest));
}

#[test]
fn charts_and_artifacts_have_a_type_of_their_own_and_a_config_must_be_what_it_says() {
    let harbor = harbor();
    let chart = Manifest::helm_chart("web", "1.2.3");
    harbor.admin().push("platform/charts/web", "1.2.3", &chart).unwrap();
    assert_eq!(harbor.artifact("platform/charts/web", "1.2.3").unwrap().kind, "CHART");
    let trivy = Manifest::artifact("application/vnd.aquasec.trivy.config.v1+json", "application/x", b"db");
    harbor.admin().push("platform/trivy-db", "2", &trivy).unwrap();
    assert_eq!(harbor.artifact("platform/trivy-db", "2").unwrap().kind, "UNKNOWN");
    // An image whose config is no JSON fails on Harbor's side.
    let config = crate::Blob::new("application/vnd.oci.image.config.v1+json", *b"not json");
    harbor.admin().push_blob("platform/app", &config).unwrap();
    let document = json!({"schemaVersion": 2, "mediaType": "application/vnd.oci.image.manifest.v1+json",
        "config": {"mediaType": config.media_type, "digest": config.digest, "size": config.size}, "layers": []});
    let headers = [("Content-Type", "application/vnd.oci.image.manifest.v1+json")];
    let body = document.to_string();
    let failed =
        harbor.admin().request("PUT", "/v2/platform/app/manifests/v1", &headers, body.as_bytes()).unwrap();
    assert_eq!(failed.refusal(), (500, "UNKNOWN".to_owned()));
    assert_eq!(harbor.tags("platform/app").len(), 0);
}
