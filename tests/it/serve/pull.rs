//! Other people's clients pull from `bundle serve`.
//! crane, oras, helm, containerd and the conformance suite, each where it is installed.

use bundle_test_needs::program;
use bundle_test_servers::sha256;

use crate::serve::containerd::Containerd;
use crate::serve::served::Served;

#[test]
fn the_conformance_suite_finds_no_fault_in_what_a_read_only_registry_does() {
    let Some(conformance) = program("conformance") else { return };
    let (scene, served) = Served::all_images();
    let client = served.client();
    let digest = client.manifest("team/signed", "1").unwrap().unwrap().digest;
    let manifest: serde_json::Value =
        serde_json::from_slice(&client.manifest("team/signed", "1").unwrap().unwrap().bytes).unwrap();
    let blobs = [&manifest["config"], &manifest["layers"][0], &manifest["layers"][1]]
        .map(|descriptor| descriptor["digest"].as_str().unwrap());
    let ran = scene.shell(&format!(
        "OCI_REGISTRY={} OCI_TLS=disabled OCI_REPO1=team/signed OCI_REPO2=team/multi OCI_API_PUSH=false \
         OCI_API_BLOBS_DELETE=false OCI_API_MANIFESTS_DELETE=false OCI_API_TAGS_DELETE=false \
         OCI_RO_DATA_TAGS=1 OCI_RO_DATA_MANIFESTS={digest} OCI_RO_DATA_BLOBS='{}' OCI_RO_DATA_REFERRERS={digest} {}",
        served.host(),
        blobs.join(" "),
        conformance.display()
    ));
    // Not the exit code: with data that it did not push itself, the suite of August 2026 trips over
    // its own report in YAML after it has told its verdicts.
    assert!(!ran.stdout.lines().any(|line| line.ends_with("FAIL")), "{}", ran.stdout);
    for api in [
        "Ping",
        "Blob get",
        "Blob head",
        "Manifest get by digest",
        "Manifest get by tag",
        "Manifest head by digest",
        "Manifest head by tag",
        "Referrers",
        "Tag listing",
        "Read Only Inputs",
    ] {
        let line = ran.stdout.lines().find(|line| line.trim_start().starts_with(&format!("{api}..")));
        assert!(line.is_some_and(|line| line.trim_end().ends_with("Pass")), "{api}: {}", ran.stdout);
    }
}

#[test]
fn skopeo_copies_all_of_an_index_unchanged() {
    let (scene, served) = Served::all_images();
    scene
        .shell(&format!(
            "skopeo --insecure-policy copy -q --src-tls-verify=false --all --preserve-digests \
             docker://{}/team/multi:1 dir:copy && skopeo list-tags --tls-verify=false docker://{0}/team/multi",
            served.host()
        ))
        .succeeds()
        .says("\"1\"");
    let copied = std::fs::read(scene.path("copy/manifest.json")).unwrap();
    assert_eq!(sha256(&copied), served.client().manifest("team/multi", "1").unwrap().unwrap().digest);
}

#[test]
fn containerd_pulls_through_a_mirror_by_the_names_of_the_source() {
    let (scene, served) = Served::all_images();
    let hosts = scene.path("hosts").join(scene.source.host().replace(':', "_") + "_");
    std::fs::create_dir_all(&hosts).unwrap();
    let mirror = format!(
        "server = \"http://{0}\"\n[host.\"http://{0}\"]\ncapabilities = [\"pull\", \"resolve\"]\n",
        served.host()
    );
    // containerd's directory for a host with a port is `host_port_`.
    std::fs::write(hosts.join("hosts.toml"), mirror).unwrap();
    let containerd = Containerd::start();
    let hosts = scene.path("hosts").display().to_string();
    for name in ["team/multi:1", "team/docker:1"] {
        let reference = format!("{}/{name}", scene.source.host());
        containerd.run(&["content", "fetch", "--all-platforms", "--hosts-dir", &hosts, &reference]);
        let (repository, tag) = name.split_once(':').unwrap();
        let digest = scene.source.client().manifest(repository, tag).unwrap().unwrap().digest;
        assert!(containerd.images().contains(&(reference, digest)));
    }
    let log = std::fs::read_to_string(scene.path("access")).unwrap();
    assert!(log.contains(&format!("?ns={}", scene.source.host().replace(':', "%3A"))), "{log}");
}

#[test]
fn crane_pulls_and_validates() {
    let Some(crane) = program("crane") else { return };
    let (scene, served) = Served::all_images();
    let (crane, host) = (crane.display(), served.host());
    scene.shell(&format!("{crane} validate --insecure --remote {host}/team/signed:1")).succeeds();
    scene.shell(&format!("{crane} catalog --insecure {host}")).succeeds().says("cache/");
    scene.shell(&format!("{crane} pull --insecure --format oci {host}/team/docker:1 layout")).succeeds();
    scene.shell(&format!("{crane} manifest --insecure {host}/team/none:1")).ends_with(1).says("NAME_UNKNOWN");
}

#[test]
fn oras_finds_referrers_and_copies_them_along() {
    let Some(oras) = program("oras") else { return };
    let (scene, served) = Served::all_images();
    let (oras, host) = (oras.display(), served.host());
    scene
        .shell(&format!("{oras} discover --plain-http --format json {host}/team/signed:1"))
        .succeeds()
        .says("application/spdx+json");
    scene
        .shell(&format!("{oras} cp -r --from-plain-http --to-oci-layout {host}/team/signed:1 copy:1"))
        .succeeds();
    scene
        .shell(&format!("{oras} discover --oci-layout --format json copy:1"))
        .succeeds()
        .says("application/spdx+json");
}

#[test]
fn helm_pulls_a_chart() {
    let Some(helm) = program("helm") else { return };
    let (scene, served) = Served::all_images();
    let source = scene.source.host().replace(':', "_");
    for repository in ["charts/app".to_owned(), format!("cache/{source}/charts/app")] {
        scene
            .shell(&format!(
                "rm -f app-1.0.0.tgz; {} pull --plain-http oci://{}/{repository} --version 1.0.0",
                helm.display(),
                served.host()
            ))
            .succeeds();
        assert!(scene.path("app-1.0.0.tgz").exists());
    }
}
