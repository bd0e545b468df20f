//! Registries as sources: for each make the row says what the program must do, what stays secret, and how many
//! requests it may send. The servers are those of `tests/servers/src/standin`, whose comments have the references.

use bundle_test_servers::standin::{
    Agents, KUBERNETES_PATH, ReferrersAnswer, azure, captive_portal, docker_hub, gitlab, kubernetes,
    pull_through, referrers, scarf, tags_without_link, without_head,
};
use bundle_test_servers::{
    Client, Fault, FaultProxy, ImageSpec, LayerSpec, Manifest, Matcher, Response, Rule,
};

use super::case::{Expect, Login, run};
use crate::scene::{CREATED, Ran, Scene};

/// An image in a repository of the scene's registry, signed with cosign's tag.
fn signed(scene: &Scene, repository: &str) -> Manifest {
    let image = ImageSpec::oci().layer(LayerSpec::new(1, 1_000)).build();
    let client = scene.source.client();
    client.push(repository, "1", &image).unwrap();
    client.push(repository, &image.cosign_tag(), &image.cosign_signature(repository)).unwrap();
    image
}

fn create(scene: &Scene, logins: &[Login<'_>], reference: &str, more: &[&str]) -> Ran {
    let base = ["create", reference, "--key", "key", "--created", CREATED, "-o", "b.tar"];
    let _ = std::fs::remove_file(scene.path("b.tar"));
    run(scene, logins, &[&base[..], more].concat())
}

/// The bundle's artifacts, as `inspect --json` has them.
fn artifacts(scene: &Scene) -> Vec<serde_json::Value> {
    let found = scene.bundle(["inspect", "b.tar", "--trust", "key.pub", "--json"]).succeeds().json();
    found["artifacts"].as_array().unwrap().clone()
}

#[test]
fn kubernetes_own_name_is_read_and_kept_and_its_regions_learn_no_secret() {
    let scene = Scene::empty();
    let image = signed(&scene, &format!("{KUBERNETES_PATH}/pause"));
    let region = FaultProxy::start(scene.source.host()).unwrap();
    let front = kubernetes(region.host()).unwrap();
    let login = Login { host: front.host(), user: "me", password: "s3cret-of-mine" };
    let ran = create(&scene, &[login], &format!("{}/pause:1", front.host()), &[]);
    let expect = Expect { name: "registry.k8s.io", code: 0, says: &[], requests: &[("GET blobs", 4)] };
    let ran = expect.of(ran, &front);
    login.is_not_told(&ran);
    assert!(!login.is_known_to(&region), "the region was sent the login of the name");
    assert!(region.requests().iter().all(|request| request.headers.get("authorization").is_none()));
    let found = artifacts(&scene);
    assert_eq!(found.len(), 2, "{found:?}");
    let text = serde_json::to_string(&found).unwrap();
    assert!(
        text.contains(&image.digest) && text.contains(front.host()) && !text.contains(region.host()),
        "{text}"
    );
}

#[test]
fn scarfs_names_are_read_whether_they_redirect_or_pass_through() {
    for agents in [Agents::All, Agents::Known] {
        let scene = Scene::empty();
        signed(&scene, "linkerd/proxy");
        let backend = FaultProxy::start(scene.source.host()).unwrap();
        let front = scarf(backend.host(), agents).unwrap();
        let login = Login { host: front.host(), user: "me", password: "s3cret-of-mine" };
        let ran = create(&scene, &[login], &format!("{}/linkerd/proxy:1", front.host()), &[]);
        Expect { name: &format!("{agents:?}"), code: 0, says: &[], requests: &[] }.of(ran, &front);
        if agents == Agents::All {
            assert!(!login.is_known_to(&backend));
        }
        assert_eq!(artifacts(&scene).len(), 2);
    }
}

#[test]
fn tokens_from_another_port_are_had_with_that_ports_login_only() {
    let scene = Scene::empty();
    signed(&scene, "group/project/app");
    let gitlab = gitlab(scene.source.host(), "group/project", "deploy", "s3cret-of-gitlab").unwrap();
    let reference = format!("{}/group/project/app:1", gitlab.host());
    let registry = Login { host: gitlab.host(), user: "deploy", password: "s3cret-of-gitlab" };
    let web = Login { host: gitlab.web.host(), ..registry };
    let ran = create(&scene, &[registry], &reference, &[]);
    let says = ["hint: store credentials for", gitlab.web.host()];
    let ran =
        Expect { name: "the registry's login alone", code: 4, says: &says, requests: &[] }.of(ran, &gitlab);
    registry.is_not_told(&ran);
    assert!(!registry.is_known_to(&gitlab.web) && !registry.is_known_to(&gitlab.registry));
    let ran = create(&scene, &[registry, web], &reference, &[]);
    // GitLab takes the tag sha256-HEX for the digest: the image is not attached to itself.
    Expect { name: "both", code: 0, says: &[], requests: &[("GET blobs", 4)] }.of(ran, &gitlab);
    assert!(web.is_known_to(&gitlab.web) && !registry.is_known_to(&gitlab.registry));
    assert_eq!(artifacts(&scene).len(), 2);
}

#[test]
fn whatever_a_referrers_api_answers_the_image_comes_and_what_is_lost_is_said() {
    let scene = Scene::empty();
    let image = signed(&scene, "team/app");
    let sbom = image.referrer("application/spdx+json", b"{}");
    scene.source.client().push_referrers("team/app", &image, std::slice::from_ref(&sbom)).unwrap();
    let gone = image.referrer("application/vnd.gone", b"gone");
    let unknown = "its referrers are not known";
    let not_carried = format!("the referrer {} is not carried", gone.digest);
    let body = |entry: &str| {
        let sbom = format!(r#"{{"digest":"{}"}}"#, sbom.digest);
        ReferrersAnswer::Body(format!(r#"{{"schemaVersion":2,"manifests":[{entry}{sbom}]}}"#))
    };
    // With the fallback tag's list the SBOM comes; from the API of its own it does not where the API says all.
    for (name, answer, carried, says) in [
        ("an index", ReferrersAnswer::Listed(vec![sbom.clone()]), 3, None),
        ("{}", ReferrersAnswer::EmptyObject, 3, None),
        ("a web page", ReferrersAnswer::Page, 3, None),
        ("nothing", ReferrersAnswer::Nothing, 3, None),
        ("404", ReferrersAnswer::Status(404), 3, None),
        ("an index without any", ReferrersAnswer::Empty, 2, None),
        (
            "one that is gone",
            ReferrersAnswer::Listed(vec![sbom.clone(), gone.clone()]),
            3,
            Some(not_carried.as_str()),
        ),
        ("an index of digests alone", body(""), 3, None),
        ("one of another digest", body(r#"{"digest":"sha512:00"},"#), 3, Some("is no SHA-256 digest")),
        ("401", ReferrersAnswer::Status(401), 3, Some(unknown)),
        ("403", ReferrersAnswer::Status(403), 3, Some(unknown)),
        ("406", ReferrersAnswer::Status(406), 3, Some(unknown)),
        ("500", ReferrersAnswer::Status(500), 3, Some(unknown)),
    ] {
        let front = referrers(scene.source.host(), answer).unwrap();
        let ran = create(&scene, &[], &format!("{}/team/app:1", front.host()), &["--retries", "1"]);
        let ran = Expect { name, code: 0, says: says.as_slice(), requests: &[] }.of(ran, &front);
        assert_eq!(artifacts(&scene).len(), carried, "{name}");
        assert!(says.is_some() || !ran.stderr.contains("not"), "{name}: {}", ran.stderr);
    }
}

#[test]
fn azures_artifact_manifest_is_told_and_holds_up_only_those_who_require_it() {
    let scene = Scene::empty();
    let image = signed(&scene, "team/app");
    let (front, artifact) = azure(scene.source.host(), &image).unwrap();
    let reference = format!("{}/team/app:1", front.host());
    let ran = create(&scene, &[], &reference, &[]);
    let says = [
        &*format!("the referrer {artifact} is not carried: "),
        "application/vnd.oci.artifact.manifest.v1+json",
    ];
    Expect { name: "ACR", code: 0, says: &says, requests: &[] }.of(ran, &front);
    let found = artifacts(&scene);
    assert_eq!(found.len(), 2, "{found:?}");
    let reasons = found[0]["reasons"].to_string();
    assert!(reasons.contains("referrers: carried 1 signature; others not obtainable: "), "{reasons}");
    let ran = create(&scene, &[], &reference, &["--require-referrers"]);
    let says = ["its signatures or other referrers are required"];
    Expect { name: "ACR, required", code: 5, says: &says, requests: &[] }.of(ran, &front);
}

#[test]
fn a_caches_empty_list_is_no_answer_and_the_origin_is_asked() {
    let scene = Scene::empty();
    let image = ImageSpec::oci().layer(LayerSpec::new(1, 1_000)).build();
    let sbom = image.referrer("application/spdx+json", b"{}");
    scene.source.client().push("team/app", "1", &image).unwrap();
    scene.source.client().push_untagged("team/app", &sbom).unwrap();
    let origin = referrers(scene.source.host(), ReferrersAnswer::Listed(vec![sbom])).unwrap();
    let cache = pull_through(scene.source.host()).unwrap();
    let mirror = format!("{}={}", origin.host(), cache.host());
    let reference = format!("{}/team/app:1", origin.host());
    let ran = create(&scene, &[], &reference, &["--mirror", &mirror]);
    Expect { name: "the origin answers", code: 0, says: &[], requests: &[("GET blobs", 0)] }.of(ran, &origin);
    assert_eq!(artifacts(&scene).len(), 2);
    let away = origin.host().to_owned();
    drop(origin);
    let ran = create(&scene, &[], &reference, &["--mirror", &mirror, "--retries", "1"]);
    let says = [away.as_str(), "its referrers are not known"];
    Expect { name: "the origin is away", code: 0, says: &says, requests: &[] }.of(ran, &cache);
    assert_eq!(artifacts(&scene).len(), 1);
}

#[test]
fn a_list_of_tags_that_may_be_cut_is_not_believed() {
    let scene = Scene::empty();
    let image = signed(&scene, "team/app");
    // Fifty tags before `sha256-…`.
    for number in 0..50 {
        scene.source.client().put_manifest("team/app", &format!("r{number:02}"), &image).unwrap();
    }
    let front = tags_without_link(scene.source.host(), 50).unwrap();
    let ran = create(&scene, &[], &format!("{}/team/app:1", front.host()), &[]);
    Expect { name: "50 tags and no link", code: 0, says: &[], requests: &[("GET tags", 1)] }.of(ran, &front);
    assert_eq!(artifacts(&scene).len(), 2);
    // Lists of any length: the image's own tag is not in them.
    let front = tags_without_link(scene.source.host(), 0).unwrap();
    let ran = create(&scene, &[], &format!("{}/team/app:1", front.host()), &[]);
    Expect { name: "no tag at all", code: 0, says: &[], requests: &[("GET tags", 1)] }.of(ran, &front);
    assert_eq!(artifacts(&scene).len(), 2);
    // One header has a link to the page before, too.
    let front = FaultProxy::start(scene.source.host()).unwrap();
    let signature = image.cosign_tag();
    front.answer_with(move |head| {
        let answer = |tag: &str| Response::json(200, format!(r#"{{"name":"team/app","tags":["{tag}"]}}"#));
        match (head.path().ends_with("/tags/list"), head.query("last")) {
            (false, _) => None,
            (true, Some("1")) => Some(answer(&signature)),
            (true, _) => {
                let links = "</v2/team/app/tags/list?last=0>; rel=\"prev\", </v2/team/app/tags/list?last=1>; rel=\"next\"";
                Some(answer("1").with_header("Link", links))
            }
        }
    });
    let ran = create(&scene, &[], &format!("{}/team/app:1", front.host()), &[]);
    Expect { name: "two links", code: 0, says: &[], requests: &[("GET tags", 2), ("HEAD manifests", 0)] }
        .of(ran, &front);
    assert_eq!(artifacts(&scene).len(), 2);
}

#[test]
fn a_registry_that_knows_no_head_is_asked_with_get() {
    let scene = Scene::empty();
    signed(&scene, "team/app");
    let front = without_head(scene.source.host()).unwrap();
    let ran = create(&scene, &[], &format!("{}/team/app:1", front.host()), &[]);
    Expect { name: "405", code: 0, says: &[], requests: &[] }.of(ran, &front);
    assert_eq!(artifacts(&scene).len(), 2);
}

#[test]
fn the_hubs_limit_is_named_and_looking_costs_nothing() {
    let scene = Scene::empty();
    let image = ImageSpec::oci().layer(LayerSpec::new(1, 1_000)).build();
    scene.source.client().push("library/a", "1", &image).unwrap();
    let hub = docker_hub(scene.source.host(), 1, None).unwrap();
    let reference = format!("{}/library/a:1", hub.host());
    let ran = create(&scene, &[], &reference, &[]);
    // One image without anything attached is one pull: its tags were looked for, not fetched.
    Expect { name: "one pull left", code: 0, says: &[], requests: &[("GET manifests", 1)] }.of(ran, &hub);
    assert_eq!(hub.left(), 0);
    hub.clear();
    let ran = create(&scene, &[], &reference, &["--retries", "1"]);
    let says = ["rate limit", "hint:"];
    Expect { name: "none left", code: 4, says: &says, requests: &[] }.of(ran, &hub);
    assert!(!scene.path("b.tar").exists());
}

#[test]
fn a_captive_portal_is_told_from_a_registry_at_its_first_page() {
    let scene = Scene::empty();
    let front = captive_portal().unwrap();
    let ran = create(&scene, &[], &format!("{}/team/app:1", front.host()), &[]);
    let says = ["web page", "captive portal"];
    Expect { name: "captive portal", code: 4, says: &says, requests: &[] }.of(ran, &front);
    assert_eq!(front.requests().len(), 1);
}

#[test]
fn a_layer_that_drips_is_given_up_after_the_stall_timeout() {
    let scene = Scene::empty();
    let image = ImageSpec::oci().layer(LayerSpec::new(1, 100_000)).build();
    scene.source.client().push("team/app", "1", &image).unwrap();
    let front = FaultProxy::start(scene.source.host()).unwrap();
    let pause = std::time::Duration::from_millis(20);
    front.add(Rule::new(Matcher::new("GET", "/blobs/"), Fault::Drip(pause)));
    let reference = format!("{}/team/app:1", front.host());
    let ran = create(&scene, &[], &reference, &["--stall-timeout", "1", "--retries", "1"]);
    Expect { name: "a byte every 20 ms", code: 4, says: &["hint: run it again"], requests: &[] }
        .of(ran, &front);
    assert!(!scene.path("b.tar").exists());
    assert!(Client::new(front.host()).get("/v2/").is_ok());
}
