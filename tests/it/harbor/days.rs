//! Bad days: what goes wrong in the middle of an import into Harbor. Each time there is a clear account, the
//! right exit code, nothing half done that anyone could pull, and a second run that completes.

use std::sync::Arc;
use std::time::Duration;

use crate::harbor::scene::HarborScene;
use bundle_importer::{
    Arrival, Bundle, Delivery, DeliveryOptions, OnExistingTag, OnFailure, Portion, Rollback, StateFile,
};
use bundle_oci::Registry;
use bundle_registry::{Client, CredentialStore, Silent, Stop};
use bundle_site::{HarborOptions, Limits, RegistryKind, connect};
use bundle_test_servers::{
    BlobStatus, Credentials, Fault, HarborRequest, ImageSpec, LayerSpec, Matcher, Redirect, Robot, Rule,
};
use bundle_trust::{Effective, StoreLocation};

const PROJECTS: [&str; 3] = ["cache", "platform", "tenant-a"];

/// The rights of an importer's robot.
const RIGHTS: [&str; 9] = [
    "project:read",
    "repository:pull",
    "repository:push",
    "repository:list",
    "repository:read",
    "artifact:read",
    "artifact:list",
    "quota:read",
    "scanner:read",
];

/// A Harbor with its projects as they should be, and the importer's robot.
fn prepared() -> (HarborScene, Credentials) {
    let it = HarborScene::start();
    let policy = [("auto_scan", "true"), ("prevent_vul", "true"), ("severity", "high")];
    for project in PROJECTS {
        it.harbor.add_project_with(project, &policy);
    }
    let robot = importer(&it, "importer");
    (it, robot)
}

fn importer(it: &HarborScene, name: &str) -> Credentials {
    let robot =
        PROJECTS.iter().fold(Robot::of_system(name), |robot, project| robot.in_project(project, &RIGHTS));
    it.harbor.add_robot(robot)
}

fn upload() -> Matcher {
    Matcher::new("PUT", "/blobs/uploads/")
}

/// Everything that the bundle delivers is complete under its tags.
#[track_caller]
fn complete(it: &HarborScene) {
    for (repository, tag) in [
        (it.cached("team/multi"), "1"),
        (it.cached("team/signed"), "1"),
        (it.cached("charts/app"), "1.0.0"),
        ("platform/llm-gateway".to_owned(), "v1.0.0"),
        ("tenant-a/web-app".to_owned(), "v2.1.0"),
    ] {
        assert!(it.harbor.tags(&repository).contains_key(tag), "{repository}:{tag} is missing");
    }
}

#[track_caller]
fn nothing_tagged(it: &HarborScene) {
    let tags: usize = it.harbor.contents().values().map(|tags| tags.len()).sum();
    assert_eq!(tags, 0, "{:?}", it.harbor.contents());
}

#[test]
fn tokens_that_expire_in_the_middle_are_no_matter() {
    let (it, robot) = prepared();
    it.harbor.before(upload(), 2, |harbor| harbor.expire_tokens());
    it.import_as(&robot, &[]).succeeds();
    complete(&it);
    assert_eq!(it.asked("GET", "/service/token"), 0);
    // A client with tokens survives it too, where it may look at what it pushed.
    let (it, robot) = prepared();
    for project in PROJECTS {
        it.harbor.set_metadata(project, "prevent_vul", "false");
    }
    it.harbor.before(upload(), 2, |harbor| harbor.expire_tokens());
    it.import_as(&robot, &["--registry-kind", "plain"]).succeeds();
    complete(&it);
}

#[test]
fn a_robot_that_is_disabled_half_way_is_told_and_the_second_run_completes() {
    let (it, robot) = prepared();
    let name = robot.name.clone();
    it.harbor.before(upload(), 3, move |harbor| harbor.disable_robot(&name));
    it.import_as(&robot, &[])
        .ends_with(4)
        .says("Harbor no longer knows the account")
        .says("run the same command again to resume");
    nothing_tagged(&it);
    it.import_as(&robot, &[]).ends_with(4).says("Harbor does not know this account");
    it.harbor.enable_robot(&robot.name);
    it.import_as(&robot, &[]).succeeds();
    complete(&it);
    // The same when its time is over.
    let (it, robot) = prepared();
    let name = robot.name.clone();
    it.harbor.before(Matcher::new("PUT", "/manifests/"), 1, move |harbor| harbor.expire_robot(&name));
    it.import_as(&robot, &[]).ends_with(4).says("has ended");
    nothing_tagged(&it);
}

#[test]
fn a_project_that_is_made_anew_in_the_middle_is_told_and_a_second_run_completes() {
    let (it, robot) = prepared();
    it.harbor.before(Matcher::new("PUT", "/manifests/"), 1, |harbor| {
        for project in PROJECTS {
            harbor.recreate_project(project);
        }
    });
    let ran = it.import_as(&robot, &[]).ends_with(4);
    ran.says("a robot's rights end when a project is removed").says("bundle harbor bootstrap");
    nothing_tagged(&it);
    // The administrator gives the rights anew.
    let robot = importer(&it, "importer-2");
    it.import_as(&robot, &[]).succeeds();
    complete(&it);
}

#[test]
fn a_project_that_loses_its_content_in_the_middle_is_filled_again() {
    let (it, _) = prepared();
    it.harbor.before(Matcher::new("PUT", "/manifests/"), 1, |harbor| {
        for project in PROJECTS {
            harbor.recreate_project(project);
        }
    });
    it.import(&[]).succeeds();
    complete(&it);
}

#[test]
fn read_only_mode_that_is_switched_on_is_told_and_the_second_run_completes() {
    let (it, robot) = prepared();
    it.harbor.before(upload(), 3, |harbor| harbor.set_read_only(true));
    it.import_as(&robot, &[]).ends_with(5).says("is in read-only mode");
    nothing_tagged(&it);
    it.import_as(&robot, &[]).ends_with(5).says("Harbor is in read-only mode").says("nothing was written");
    it.harbor.set_read_only(false);
    it.import_as(&robot, &[]).succeeds();
    complete(&it);
}

#[test]
fn a_quota_that_ends_in_the_middle_is_told_and_the_second_run_completes() {
    let (it, robot) = prepared();
    it.harbor.before(upload(), 3, |harbor| {
        for project in PROJECTS {
            harbor.exhaust_quota(project);
        }
    });
    it.import_as(&robot, &[])
        .ends_with(5)
        .says("has a quota that this exceeds")
        .says("raise the project's quota");
    nothing_tagged(&it);
    for project in PROJECTS {
        it.harbor.set_quota(project, -1);
    }
    it.import_as(&robot, &[]).succeeds();
    complete(&it);
}

#[test]
fn an_ingress_that_fails_for_a_while_is_survived_and_one_that_stays_so_is_told() {
    let (it, robot) = prepared();
    it.harbor.faults().add(Rule::new(upload(), Fault::Html(502)).after(1).times(2));
    it.harbor.faults().add(Rule::new(Matcher::new("GET", "/api/v2.0/projects"), Fault::Html(502)).times(2));
    it.harbor.faults().add(Rule::new(Matcher::new("PUT", "/manifests/"), Fault::SwallowResponse).times(2));
    it.import_as(&robot, &[]).succeeds();
    complete(&it);
    let (it, robot) = prepared();
    it.harbor.faults().add(Rule::new(upload(), Fault::Html(502)).after(2));
    it.import_as(&robot, &["--retries", "1"])
        .ends_with(4)
        .says("HTTP 502")
        .says("run the same command again");
    nothing_tagged(&it);
    it.harbor.faults().clear_rules();
    it.import_as(&robot, &[]).succeeds();
    complete(&it);
}

#[test]
fn a_lost_answer_to_a_new_project_is_no_matter() {
    let it = HarborScene::start();
    it.harbor
        .faults()
        .add(Rule::new(Matcher::new("POST", "/api/v2.0/projects"), Fault::SwallowResponse).once());
    it.import(&["--retries", "1"]).ends_with(4).says("project cache cannot be set up");
    it.import(&[]).succeeds();
    complete(&it);
}

#[test]
fn garbage_collection_between_blob_and_manifest_is_noticed_and_made_good() {
    let (it, robot) = prepared();
    let statement = it.scene.shell("tar -xOf b.tar bundle.json").succeeds().json();
    let largest = statement["blobs"].as_array().unwrap().iter().max_by_key(|blob| blob[1].as_u64()).unwrap();
    let digest = largest[0].as_str().unwrap().to_owned();
    let taken = digest.clone();
    it.harbor.before(Matcher::new("PUT", "/manifests/"), 1, move |harbor| harbor.sweep(&taken).unwrap());
    it.import_as(&robot, &[]).succeeds();
    complete(&it);
    assert_eq!(it.harbor.blob(&digest).unwrap().size, largest[1].as_u64().unwrap());
    // Through a pipe it cannot be sent again, and that is reported.
    let (it, robot) = prepared();
    let taken = digest.clone();
    it.harbor.before(Matcher::new("PUT", "/manifests/"), 1, move |harbor| harbor.sweep(&taken).unwrap());
    let script = format!(
        "BUNDLE_USERNAME='{}' BUNDLE_PASSWORD={} $BUNDLE import - --to {} --trust key.pub < b.tar",
        robot.name,
        robot.secret,
        it.harbor.host()
    );
    it.scene.shell(&script).ends_with(4).says("lacks content that the manifest names");
    it.scene.shell(&script).succeeds();
    complete(&it);
}

/// Imports `b.tar` in this process, with limits of its own.
fn import_with(it: &HarborScene, account: &Credentials, limits: Limits) {
    let registry: Registry = it.harbor.host().parse().unwrap();
    let login =
        CredentialStore::default().with_login(registry.clone(), account.name.clone(), account.secret.clone());
    let client = Client::builder().credentials(login).build().unwrap();
    let policy = Effective::load(Some(&it.scene.path("key.pub")), &StoreLocation::Waived).unwrap();
    let bundle = Bundle::open(&it.scene.path("b.tar"), &policy, &bundle_format::Limits::V1).unwrap();
    let state = it.scene.path("state.json");
    let options = DeliveryOptions {
        on_existing: OnExistingTag::Error,
        only: None,
        on_failure: OnFailure::Stop,
        rollback: Rollback::Refuse,
        allow_future: false,
        portion: Portion::default(),
        receipt: None,
        prove: false,
        site_key: None,
        state: state.clone(),
        jobs: 4,
        adapts_jobs: false,
        stop: Stop::default(),
        limits: bundle_importer::Limits::DEFAULT,
    };
    let arrival = tokio::runtime::Runtime::new().unwrap().block_on(async {
        let harbor = HarborOptions { limits, ..HarborOptions::default() };
        let destination =
            connect(&client, &registry, None, RegistryKind::Harbor, harbor, None).await.unwrap();
        let state = StateFile::open(&state, || ()).unwrap();
        let delivery = Delivery::plan(bundle, destination, state, &options).await.unwrap();
        delivery.carry_out(&options, Arc::new(Silent)).await.unwrap()
    });
    assert!(matches!(arrival, Arrival::Whole(_)), "{arrival:?}");
}

#[test]
fn blobs_that_were_sent_long_ago_are_looked_for_before_a_manifest_names_them() {
    let (it, robot) = prepared();
    let statement = it.scene.shell("tar -xOf b.tar bundle.json").succeeds().json();
    let artifacts = statement["artifacts"].as_array().unwrap();
    let image = artifacts.iter().find(|artifact| artifact["target"]["project"] == "platform").unwrap();
    let path = image["digest"].as_str().unwrap().replace(':', "/");
    let manifest = it.scene.shell(&format!("tar -xOf b.tar blobs/{path}")).succeeds().json();
    // A layer of this image alone: the others share the first one.
    let layer = manifest["layers"].as_array().unwrap().last().unwrap();
    let digest = layer["digest"].as_str().unwrap().to_owned();
    let taken = digest.clone();
    let head = Matcher::new("HEAD", &format!("/blobs/{digest}"));
    // The first HEAD is the plan's, the second makes sure that the upload was stored.
    it.harbor.before(head, 3, move |harbor| harbor.sweep(&taken).unwrap());
    let mut limits = Limits::DEFAULT;
    limits.recheck_after = Duration::ZERO;
    import_with(&it, &robot, limits);
    // It was missed before any manifest was refused for it.
    let requests = it.harbor.requests();
    let sent = |it: &&HarborRequest| it.method == "PUT" && it.path_and_query.ends_with(&digest);
    let refused = |it: &&HarborRequest| {
        it.method == "PUT" && it.path_and_query.contains("/manifests/") && it.status != 201
    };
    assert_eq!((requests.iter().filter(sent).count(), requests.iter().filter(refused).count()), (2, 0));
    complete(&it);
    assert_eq!(Some(it.harbor.blob(&digest).unwrap().size), layer["size"].as_u64());
}

#[test]
fn a_manifest_that_is_being_collected_is_waited_for() {
    let (it, robot) = prepared();
    let statement = it.scene.shell("tar -xOf b.tar bundle.json").succeeds().json();
    let artifact = &statement["artifacts"].as_array().unwrap()[0];
    let digest = artifact["digest"].as_str().unwrap().to_owned();
    it.import_as(&robot, &[]).succeeds();
    for project in PROJECTS {
        it.harbor.recreate_project(project);
    }
    let robot = importer(&it, "importer-2");
    it.harbor.set_blob_status(&digest, BlobStatus::Deleting);
    // It is gone by the time of the third attempt.
    let gone = digest.clone();
    let put = Matcher::new("PUT", &format!("/manifests/{digest}"));
    it.harbor.before(put, 3, move |harbor| harbor.set_blob_status(&gone, BlobStatus::None));
    it.harbor.forget_requests();
    it.import_as(&robot, &[]).succeeds();
    assert!(it.asked("PUT", &format!("/manifests/{digest}")) >= 3);
    complete(&it);
}

#[test]
fn blobs_that_lie_on_object_storage_are_known_by_the_redirect() {
    let (it, robot) = prepared();
    it.import_as(&robot, &[]).succeeds();
    it.harbor.set_redirect(Redirect::ToStorage);
    it.push_image("team/app", "1", 21);
    std::fs::remove_file(it.scene.path("b.tar")).unwrap();
    it.create("name: weekly\nprojects:\n  cache:\n    images: [SOURCE/team/multi:1, SOURCE/team/app:1]\n  platform:\n    images: ['SOURCE/team/docker:1 => other:v1']\n", "b.tar");
    it.import_as(&robot, &[]).succeeds();
    assert!(it.harbor.tags("platform/other").contains_key("v1"));
}

#[test]
fn a_tag_that_someone_else_moves_meanwhile_is_noticed() {
    let (it, robot) = prepared();
    let other = bundle_test_servers::ImageSpec::oci().label("other", "yes").build();
    let admin = it.harbor.admin();
    let manifest = other.clone();
    it.harbor.before(Matcher::new("GET", "/repositories/web-app/artifacts/v2.1.0"), 2, move |_| {
        admin.push("tenant-a/web-app", "v2.1.0", &manifest).unwrap();
    });
    it.import_as(&robot, &[]).ends_with(6).says("someone else moved it to");
}

#[test]
fn two_imports_at_once_are_both_right_in_the_end() {
    let it = HarborScene::start();
    let to = format!("http://{}", it.harbor.host());
    let admin = it.harbor.admin_credentials();
    let start = || {
        let mut command = it.scene.command(["import", "b.tar", "--to", &to, "--trust", "key.pub"]);
        command.env("BUNDLE_USERNAME", &admin.name).env("BUNDLE_PASSWORD", &admin.secret);
        command.stdout(std::process::Stdio::piped()).stderr(std::process::Stdio::piped()).spawn().unwrap()
    };
    let (one, two) = (start(), start());
    for child in [one, two] {
        crate::scene::Ran::from(child.wait_with_output().unwrap()).succeeds();
    }
    complete(&it);
    it.import(&[]).succeeds().says("0 artifacts pushed");
}

#[test]
fn a_delta_that_is_too_old_is_refused_as_such_and_waits_for_no_base() {
    let it = HarborScene::empty();
    it.push_image("team/one", "1", 1);
    it.push_image("team/two", "1", 2);
    it.scene.bundle(["key", "generate", "key-site"]).succeeds();
    let to = format!("http://{}", it.harbor.host());
    let create = |images: &[&str], more: &[&str]| {
        let images: Vec<String> =
            images.iter().map(|image| format!("{}/team/{image}:1", it.scene.source.host())).collect();
        let fixed = ["--stream", "s", "--key", "key"];
        let arguments = ["create"].into_iter().chain(images.iter().map(String::as_str)).chain(fixed);
        it.scene.bundle(arguments.chain(more.iter().copied())).succeeds();
    };
    let import = |name: &str, more: &[&str]| {
        let fixed = ["import", name, "--to", &to, "--trust", "key.pub"];
        it.bundle(&[&fixed, more].concat())
    };
    create(&["one"], &["--sequence", "1", "-o", "1.tar"]);
    import("1.tar", &["--receipt", "r.json", "--receipt-key", "key-site"]).succeeds();
    let base = ["--base", "r.json", "--base-trust", "key-site.pub"];
    create(&["one", "two"], &[&base[..], &["--sequence", "2", "-o", "2.tar"]].concat());
    create(&["two"], &["--sequence", "3", "-o", "3.tar"]);
    it.harbor.recreate_project("cache");
    it.harbor.advance(std::time::Duration::from_secs(86_400));
    it.harbor.collect_garbage().unwrap();
    import("2.tar", &[]).ends_with(6).says("import its base bundle first: s 1");
    import("3.tar", &[]).succeeds();
    import("2.tar", &[]).ends_with(8).says("is older than 3");
}

/// Harbor takes a blob's size from the last PUT, or from its last PATCH where that PUT is empty
/// (middleware/blob/put_blob_upload.go): in pieces or whole, the quota counts the same.
#[test]
fn a_blob_in_pieces_counts_whole_in_the_quota() {
    let it = HarborScene::empty();
    let image = ImageSpec::oci().layer(LayerSpec::new(1, 40 << 20)).build();
    it.scene.source.client().push("team/app", "1", &image).unwrap();
    it.create("name: n\nprojects: {cache: {images: [SOURCE/team/app:1]}}\n", "b.tar");
    it.harbor.faults().add(
        Rule::new(Matcher::new("PATCH", "/blobs/uploads/"), Fault::ResetUploadAfter(3 << 20)).after(1).once(),
    );
    it.import(&[]).succeeds();
    assert!(it.asked("PATCH", "/blobs/uploads/") > 2);
    let (_, used) = it.harbor.quota("cache");
    assert!((40 << 20..41 << 20).contains(&used), "{used}");
}

/// As Traefik 3, and with it K3s, ends requests after 60 seconds: here after so many bytes, so that no test waits
/// (tests/servers/src/standin/network.rs).
#[test]
fn a_layer_arrives_at_a_harbor_behind_an_ingress_that_cuts_long_requests_and_counts_whole() {
    const MOST: u64 = 20 << 20;
    let it = HarborScene::empty();
    let image = ImageSpec::oci().layer(LayerSpec::new(1, 48 << 20)).build();
    it.scene.source.client().push("team/app", "1", &image).unwrap();
    it.create("name: n\nprojects:\n  cache:\n    images: [SOURCE/team/app:1]\n", "b.tar");
    let longer = |head: &bundle_test_servers::RequestHead| {
        let length = head.headers.get("Content-Length").and_then(|length| length.parse::<u64>().ok());
        length.is_none_or(|length| length > MOST) && matches!(head.method.as_str(), "PUT" | "PATCH")
    };
    let upload = Matcher::path("/blobs/uploads/").and(longer);
    it.harbor.faults().add(Rule::new(upload, Fault::ResetUploadAfter(MOST)));
    it.import(&[]).succeeds();
    assert!(it.asked("PATCH", "/blobs/uploads/") > 1);
    let (_, used) = it.harbor.quota("cache");
    assert!((48 << 20..49 << 20).contains(&used), "{used}");
    let account = it.harbor.admin_credentials();
    assert_eq!(it.pull(&account, &it.cached("team/app"), "1"), 200);
}
