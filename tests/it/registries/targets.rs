//! Registries as targets: for each make the row says what an import must do, what stays secret, and how many
//! requests it may send. The servers are those of `tests/servers/src/standin`, whose comments have the references.

use bundle_test_servers::standin::{artifactory, ecr, gitlab, ingress, nexus, quay, without_head};
use bundle_test_servers::{Check, DockerRegistry, ImageSpec, LayerSpec};

use super::case::{Expect, Login, run};
use crate::scene::{CREATED, Ran, Scene};

/// A bundle of one image under a short name, `platform/app:1`.
fn bundle() -> Scene {
    let scene = Scene::empty();
    let image = ImageSpec::oci().layer(LayerSpec::new(1, 1_000)).build();
    scene.source.client().push("team/app", "1", &image).unwrap();
    let yaml = format!(
        "name: n\nprojects: {{platform: {{images: ['{}/team/app:1 => app:1']}}}}\n",
        scene.source.host()
    );
    std::fs::write(scene.path("bundle.yaml"), yaml).unwrap();
    scene.bundle(["create", "--key", "key", "--created", CREATED, "-o", "b.tar"]).succeeds();
    scene
}

fn import(scene: &Scene, logins: &[Login<'_>], to: &str, more: &[&str]) -> Ran {
    let base = ["import", "b.tar", "--to", to, "--trust", "key.pub"];
    run(scene, logins, &[&base[..], more].concat())
}

/// The manifests that an import of one image puts: the image by digest, its tag once all is there, the record
/// of what was accepted, and the list of the stream's tags.
const PUTS: (&str, usize) = ("PUT manifests", 4);

/// The registry behind a stand-in has the image there, whole.
#[track_caller]
fn arrived(target: &DockerRegistry, repository: &str) {
    assert!(target.client().contents().unwrap()[repository].contains_key("1"));
    assert_eq!(target.client().check_complete(Check::Hash).unwrap(), []);
}

#[test]
fn quay_makes_the_repository_when_asked_to_push_and_its_401_is_no_end() {
    let scene = bundle();
    let target = DockerRegistry::start().unwrap();
    let quay = quay(target.host(), "org+robot", "s3cret-of-quay").unwrap();
    let login = Login { host: quay.host(), user: "org+robot", password: "s3cret-of-quay" };
    let ran = import(&scene, &[login], quay.host(), &[]);
    let expect = Expect { name: "Quay", code: 0, says: &[], requests: &[PUTS] };
    login.is_not_told(&expect.of(ran, &quay));
    assert!(quay.repositories().contains("platform/app"));
    arrived(&target, "platform/app");
    // A look alone makes nothing.
    let scene = bundle();
    let quiet = bundle_test_servers::standin::quay(target.host(), "org+robot", "s3cret-of-quay").unwrap();
    let login = Login { host: quiet.host(), ..login };
    let ran = import(&scene, &[login], quiet.host(), &["--dry-run"]);
    Expect { name: "Quay, dry run", code: 0, says: &[], requests: &[("POST uploads", 0)] }.of(ran, &quiet);
    assert!(quiet.repositories().is_empty(), "{:?}", quiet.repositories());
}

#[test]
fn artifactory_forbids_what_is_absent_and_takes_what_is_below_its_key() {
    let scene = bundle();
    let target = DockerRegistry::start().unwrap();
    let front = artifactory(target.host(), "docker-local", "ci", "s3cret-of-jfrog").unwrap();
    let login = Login { host: front.host(), user: "ci", password: "s3cret-of-jfrog" };
    let ran = import(&scene, &[login], &format!("{}/docker-local", front.host()), &[]);
    let expect = Expect { name: "Artifactory", code: 0, says: &[], requests: &[PUTS] };
    login.is_not_told(&expect.of(ran, &front));
    arrived(&target, "docker-local/platform/app");
    front.clear();
    let ran = import(&scene, &[login], front.host(), &[]);
    Expect { name: "without the key", code: 4, says: &["Not Found"], requests: &[("PUT manifests", 0)] }
        .of(ran, &front);
    front.clear();
    let wrong = Login { password: "s3cret-of-nobody", ..login };
    let ran = import(&scene, &[wrong], &format!("{}/docker-local", front.host()), &[]);
    let expect =
        Expect { name: "a wrong password", code: 4, says: &["hint:"], requests: &[("PUT manifests", 0)] };
    wrong.is_not_told(&expect.of(ran, &front));
}

#[test]
fn nexus_by_path_takes_what_is_below_its_repository() {
    let scene = bundle();
    let target = DockerRegistry::start().unwrap();
    let front = nexus(target.host(), "docker-hosted", "ci", "s3cret-of-nexus").unwrap();
    let login = Login { host: front.host(), user: "ci", password: "s3cret-of-nexus" };
    let ran = import(&scene, &[login], &format!("{}/docker-hosted", front.host()), &[]);
    Expect { name: "Nexus", code: 0, says: &[], requests: &[PUTS] }.of(ran, &front);
    arrived(&target, "docker-hosted/platform/app");
}

#[test]
fn gitlab_takes_what_is_below_a_project_with_gitlabs_own_tokens() {
    let scene = bundle();
    let target = DockerRegistry::start().unwrap();
    let gitlab = gitlab(target.host(), "group/project", "deploy", "s3cret-of-gitlab").unwrap();
    let login = Login { host: gitlab.web.host(), user: "deploy", password: "s3cret-of-gitlab" };
    let logins = [login, Login { host: gitlab.host(), ..login }];
    let ran = import(&scene, &logins, &format!("{}/group/project", gitlab.host()), &[]);
    let expect = Expect { name: "GitLab", code: 0, says: &[], requests: &[PUTS] };
    login.is_not_told(&expect.of(ran, &gitlab));
    assert!(!login.is_known_to(&gitlab.registry));
    // One token for each repository, for looking and pushing, and one for what is of no repository.
    assert_eq!(gitlab.web.count("GET other"), 3, "{:?}", gitlab.web.tally());
    arrived(&target, "group/project/platform/app");
    let ran = import(&scene, &logins, &format!("{}/group/elsewhere", gitlab.host()), &[]);
    Expect { name: "another project", code: 4, says: &["access forbidden"], requests: &[] }.of(ran, &gitlab);
}

#[test]
fn ecr_takes_what_was_made_and_the_list_of_it_can_be_had() {
    let scene = bundle();
    let target = DockerRegistry::start().unwrap();
    let front = ecr(target.host(), &[], "s3cret-of-aws").unwrap();
    let login = Login { host: front.host(), user: "AWS", password: "s3cret-of-aws" };
    let ran = import(&scene, &[login], front.host(), &[]);
    let says = ["The repository with name 'platform/app' does not exist"];
    Expect { name: "nothing was made", code: 4, says: &says, requests: &[("PUT manifests", 0)] }
        .of(ran, &front);
    let listed = import(&scene, &[login], front.host(), &["--list-repositories"]).succeeds().stdout;
    let names: Vec<&str> = listed.lines().collect();
    assert!(names.contains(&"platform/app"), "{listed}");
    let front = ecr(target.host(), &names, "s3cret-of-aws").unwrap();
    let login = Login { host: front.host(), ..login };
    let ran = import(&scene, &[login], front.host(), &[]);
    Expect { name: "all were made", code: 0, says: &[], requests: &[PUTS] }.of(ran, &front);
    arrived(&target, "platform/app");
}

#[test]
fn a_target_that_knows_no_head_is_pushed_to() {
    let scene = bundle();
    let target = DockerRegistry::start().unwrap();
    let front = without_head(target.host()).unwrap();
    let ran = import(&scene, &[], front.host(), &[]);
    Expect { name: "405", code: 0, says: &[], requests: &[PUTS] }.of(ran, &front);
    arrived(&target, "platform/app");
}

#[test]
fn a_layer_that_is_longer_than_the_ingress_waits_arrives_in_pieces() {
    let scene = Scene::empty();
    let image = ImageSpec::oci().layer(LayerSpec::new(1, 24 << 20)).build();
    scene.source.client().push("team/app", "1", &image).unwrap();
    let reference = format!("{}/team/app:1 => app:1", scene.source.host());
    scene.bundle(["create", &reference, "--key", "key", "--created", CREATED, "-o", "b.tar"]).succeeds();
    let target = DockerRegistry::start().unwrap();
    let front = ingress(target.host(), 20 << 20).unwrap();
    let ran = import(&scene, &[], front.host(), &[]);
    Expect { name: "cut after 20 MiB", code: 0, says: &[], requests: &[] }.of(ran, &front);
    assert!(front.count("PATCH uploads") > 1, "{:?}", front.tally());
    arrived(&target, "cache/app");
}
