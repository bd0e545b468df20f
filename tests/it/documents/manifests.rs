//! The files that users deploy: each has the right content, and its very commands do their job. Takes
//! `manifests/`, Kubernetes' own types and a shell; runs the commands of the units and jobs.

use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};
use std::process::Command;

use k8s_openapi::api::apps::v1::Deployment;
use k8s_openapi::api::batch::v1::{CronJob, Job};
use k8s_openapi::api::core::v1::{
    ConfigMap, Namespace, PersistentVolumeClaim, Pod, PodSpec, Service, ServiceAccount,
};
use serde::{Deserialize, Serialize, de::DeserializeOwned};
use serde_json::Value;

use crate::documents::machine::Machine;
use crate::scene::Scene;
use crate::serve::served::Served;

pub(super) fn manifests() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("manifests")
}

pub(super) fn read(path: &Path) -> String {
    std::fs::read_to_string(path).unwrap_or_else(|error| panic!("{}: {error}", path.display()))
}

pub(super) fn yaml<T: DeserializeOwned>(path: &Path) -> T {
    serde_saphyr::from_str(&read(path)).unwrap_or_else(|error| panic!("{}: {error}", path.display()))
}

/// Reads a file into Kubernetes' own type. Fields that the type does not have would be lost on the way back.
fn typed<T: DeserializeOwned + Serialize>(path: &Path) -> T {
    typed_value(&yaml(path), &path.display().to_string())
}

/// The same of what was read already.
fn typed_value<T: DeserializeOwned + Serialize>(written: &Value, place: &str) -> T {
    let object: T =
        serde_json::from_value(written.clone()).unwrap_or_else(|error| panic!("{place}: {error}"));
    keeps(&serde_json::to_value(&object).unwrap(), written, place);
    object
}

/// Checks that an object is one of Kubernetes' own type; `false` if nobody looks at its kind.
pub(super) fn is_of_its_type(object: &Value, place: &str) -> bool {
    match object["kind"].as_str() {
        Some("ConfigMap") => drop(typed_value::<ConfigMap>(object, place)),
        Some("CronJob") => drop(typed_value::<CronJob>(object, place)),
        Some("Job") => drop(typed_value::<Job>(object, place)),
        Some("Deployment") => drop(typed_value::<Deployment>(object, place)),
        Some("Service") => drop(typed_value::<Service>(object, place)),
        Some("ServiceAccount") => drop(typed_value::<ServiceAccount>(object, place)),
        Some("PersistentVolumeClaim") => drop(typed_value::<PersistentVolumeClaim>(object, place)),
        Some("Namespace") => drop(typed_value::<Namespace>(object, place)),
        Some("Pod") => drop(typed_value::<Pod>(object, place)),
        _ => return false,
    }
    true
}

/// Every written field is kept; an overlay's missing fields may have become empty ones.
fn keeps(object: &Value, written: &Value, place: &str) {
    match (object, written) {
        (Value::Object(object), Value::Object(written)) => {
            for (name, value) in written {
                let kept =
                    object.get(name).unwrap_or_else(|| panic!("{place} has a field '{name}' that is none"));
                keeps(kept, value, &format!("{place}.{name}"));
            }
        }
        (Value::Array(object), Value::Array(written)) => {
            assert_eq!(object.len(), written.len(), "{place}");
            object.iter().zip(written).for_each(|(object, written)| keeps(object, written, place));
        }
        (object, written) => assert_eq!(object, written, "{place}"),
    }
}

fn files(directory: &Path) -> Vec<PathBuf> {
    let mut found = Vec::new();
    for entry in std::fs::read_dir(directory).unwrap() {
        let path = entry.unwrap().path();
        if path.is_dir() { found.extend(files(&path)) } else { found.push(path) }
    }
    found.sort();
    found
}

/// A file of kustomize, as far as ours say anything.
#[derive(Deserialize)]
#[serde(deny_unknown_fields, rename_all = "camelCase")]
struct Kustomization {
    #[serde(rename = "apiVersion")]
    api_version: String,
    kind: String,
    #[serde(default)]
    resources: Vec<PathBuf>,
    #[serde(default)]
    config_map_generator: Vec<Generator>,
    #[serde(default)]
    patches: Vec<Patch>,
    #[serde(default, rename = "labels")]
    _labels: Vec<Value>,
    #[serde(rename = "namespace")]
    _namespace: Option<String>,
    #[serde(default, rename = "images")]
    _images: Vec<Image>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Generator {
    name: String,
    behavior: Option<String>,
    files: Vec<PathBuf>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Patch {
    path: PathBuf,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields, rename_all = "camelCase")]
struct Image {
    #[serde(rename = "name")]
    _name: String,
    #[serde(rename = "newName")]
    _new_name: String,
    #[serde(rename = "newTag")]
    _new_tag: String,
}

/// The keys that users add: no key is trusted before.
const TO_BE_BROUGHT: [&str; 3] = ["site.pub", "ops.key.pub", "ca.crt"];

#[test]
fn every_manifest_reads_as_kubernetes_own_types_and_names_only_what_is_there() {
    let mut kinds = BTreeSet::new();
    for path in files(&manifests().join("kubernetes")) {
        if path.extension().is_none_or(|end| end != "yaml") {
            continue;
        }
        let document: Value = yaml(&path);
        let Some(kind) = document["kind"].as_str() else { continue };
        kinds.insert(kind.to_owned());
        match kind {
            "Kustomization" => {
                let kustomization: Kustomization = yaml(&path);
                assert_eq!(kustomization.api_version, "kustomize.config.k8s.io/v1beta1");
                assert_eq!(kustomization.kind, "Kustomization");
                let directory = path.parent().unwrap();
                let generated = kustomization.config_map_generator.iter();
                for generator in generated.clone() {
                    assert!(
                        matches!(generator.behavior.as_deref(), None | Some("merge")),
                        "{}",
                        generator.name
                    );
                }
                let named = generated.flat_map(|generator| &generator.files);
                let patches = kustomization.patches.iter().map(|patch| &patch.path);
                for file in kustomization.resources.iter().chain(named).chain(patches) {
                    let brought = TO_BE_BROUGHT.iter().any(|key| file.ends_with(key));
                    assert_eq!(
                        directory.join(file).exists(),
                        !brought,
                        "{}: {}",
                        path.display(),
                        file.display()
                    );
                }
            }
            other => {
                let place = path.display().to_string();
                assert!(is_of_its_type(&document, &place), "{place}: nobody looks at a {other}");
            }
        }
    }
    assert_eq!(kinds.len(), 9, "{kinds:?}");
}

/// The pods that the bases and the job make.
fn pods() -> BTreeMap<&'static str, PodSpec> {
    let cron = |side: &str| {
        let path = manifests().join(format!("kubernetes/{side}/base/cronjob.yaml"));
        typed::<CronJob>(&path).spec.job_template.spec.unwrap().template.spec.unwrap()
    };
    let job = |name: &str| {
        let job: Job = typed(&manifests().join(format!("kubernetes/{name}/job.yaml")));
        job.spec.unwrap().template.spec.unwrap()
    };
    let transfer: Pod = typed(&manifests().join("kubernetes/transfer/pod.yaml"));
    let transfer = transfer.spec.unwrap();
    let serve: Deployment = typed(&manifests().join("kubernetes/serve/deployment.yaml"));
    let serve = serve.spec.template.spec.unwrap();
    BTreeMap::from([
        ("export", cron("export")),
        ("import", cron("import")),
        ("job", job("import-job")),
        ("export-job", job("export-job")),
        ("transfer", transfer),
        ("serve", serve),
    ])
}

#[test]
fn pods_keep_to_the_restricted_standard_and_have_limits() {
    for (name, pod) in pods() {
        let context = pod.security_context.as_ref().unwrap();
        assert_eq!(context.run_as_non_root, Some(true), "{name}");
        assert!(context.run_as_user.unwrap() > 0 && context.fs_group.is_some());
        assert_eq!(context.seccomp_profile.as_ref().unwrap().type_, "RuntimeDefault");
        assert_eq!(pod.automount_service_account_token, Some(false));
        assert!(pod.host_network.is_none() && pod.host_pid.is_none());
        let volumes = pod.volumes.unwrap();
        assert!(volumes.iter().all(|volume| volume.host_path.is_none()));
        let known: BTreeSet<&str> = volumes.iter().map(|volume| volume.name.as_str()).collect();
        for container in pod.containers.iter().chain(pod.init_containers.iter().flatten()) {
            let context = container.security_context.as_ref().unwrap();
            assert_eq!(context.allow_privilege_escalation, Some(false));
            assert_eq!(context.read_only_root_filesystem, Some(true));
            assert_eq!(context.capabilities.as_ref().unwrap().drop, Some(vec!["ALL".to_owned()]));
            let limits = container.resources.as_ref().unwrap().limits.as_ref().unwrap();
            assert!(limits.contains_key("cpu") && limits.contains_key("memory"));
            let mounts = container.volume_mounts.as_ref().unwrap();
            let used: BTreeSet<&str> = mounts.iter().map(|mount| mount.name.as_str()).collect();
            assert_eq!(used, known, "{name}: volumes and mounts differ");
        }
    }
}

/// The certificate of some authority, which signed nothing.
const CERTIFICATE: &str = "-----BEGIN CERTIFICATE-----
MIIBVzCCAQmgAwIBAgIUGhUzGcx3n+0FsvwXfQwJ9ScYXcswBQYDK2VwMCAxHjAc
BgNVBAMMFWhhcmJvci5wbGFudDcuZXhhbXBsZTAgFw0yNjExMjUxNzMyMTZaGA8y
MTI2MTEwMTE3MzIxNlowIDEeMBwGA1UEAwwVaGFyYm9yLnBsYW50Ny5leGFtcGxl
MCowBQYDK2VwAyEADlItUvzibc197dP5F9mv4zo7hy45qKC+ENlo1PbSCRSjUzBR
MB0GA1UdDgQWBBRDkcucVrY2PVeBHjkP0+ysnFYMLzAfBgNVHSMEGDAWgBRDkcuc
VrY2PVeBHjkP0+ysnFYMLzAPBgNVHRMBAf8EBTADAQH/MAUGAytlcANBAHjWp+kB
SFGf+THKJ1DgTLXXcMdtkKNzeyMx8Ok4Ko6Muo5oTyPFd8QBOUmsQ7ORGKkuGeij
J+rTE364HoCnTAk=
-----END CERTIFICATE-----
";

/// A machine on which a bundle went across by the pods' very commands, and its receipt came back: the metrics of both
/// sides are all there then.
pub(super) fn crossed() -> Machine {
    let machine = Machine::new();
    let pods = pods();
    machine.mount("kubernetes/export/base/sync.yaml", "sync.yaml");
    machine.want_an_image();
    machine.run_container(&pods["export"], &[]).succeeds().says("wrote bundle");
    machine.carry();
    machine.mount("kubernetes/import/base/sync.yaml", "sync.yaml");
    machine.mount("kubernetes/import/base/trust.yaml", "trust.yaml");
    machine.run_container(&pods["import"], &[]).succeeds().says("imported bundle nightly");
    machine
        .scene
        .shell("mkdir -p var/lib/bundle/back && cp var/lib/bundle/receipts/* var/lib/bundle/back/")
        .succeeds();
    machine.mount("kubernetes/export/base/sync.yaml", "sync.yaml");
    machine.run_container(&pods["export"], &[]).succeeds();
    machine
}

#[test]
fn the_commands_of_the_pods_carry_a_bundle_across() {
    crossed().complete();
}

#[test]
fn the_files_of_the_example_of_the_other_side_are_read() {
    let machine = Machine::new();
    for name in ["sync.yaml", "harbor.yaml"] {
        machine.mount(&format!("kubernetes/import/overlays/example/{name}"), name);
    }
    machine.mount("kubernetes/import/base/trust.yaml", "trust.yaml");
    std::fs::write(machine.scene.path("run/bundle/ca/ca.crt"), CERTIFICATE).unwrap();
    let patch: CronJob = typed(&manifests().join("kubernetes/import/overlays/example/cronjob.yaml"));
    let pod = patch.spec.job_template.spec.unwrap().template.spec.unwrap();
    machine.run_container(&pod, &[]).succeeds();
    assert!(machine.scene.path("var/lib/bundle/state/status.json").exists());
    // A mistake in them would be told.
    std::fs::write(machine.scene.path("etc/bundle/harbor.yaml"), "project: {}\n").unwrap();
    machine.run_container(&pod, &[]).ends_with(2).says("harbor.yaml:1:1");
}

#[test]
fn the_pods_of_the_indexed_job_deliver_one_bundle_together() {
    let machine = Machine::new();
    let job = &pods()["job"];
    std::fs::write(machine.scene.path("run/bundle/ca/ca.crt"), CERTIFICATE).unwrap();
    machine.mount("kubernetes/import/base/trust.yaml", "trust.yaml");
    machine.want_an_image();
    let create =
        ["create", "-f", "etc/bundle/bundle.yaml", "--key", "key", "-o", "var/lib/bundle/large/large.tar"];
    machine.scene.shell("mkdir -p var/lib/bundle/large").succeeds();
    machine.scene.bundle(create).succeeds();
    for share in ["3", "1", "0", "2"] {
        machine.run_container(job, &[("SHARE", share)]).succeeds();
    }
    machine.complete();
    assert!(machine.scene.path("var/lib/bundle/large/large.json").exists());
}

#[test]
fn the_pods_of_the_indexed_job_create_one_bundle_together() {
    let machine = Machine::new();
    let mut job = pods()["export-job"].clone();
    std::fs::write(machine.scene.path("run/bundle/ca/ca.crt"), CERTIFICATE).unwrap();
    machine.want_an_image();
    // The image of this test is small: a volume for each pod.
    let size = job.containers[0].args.as_mut().unwrap().iter_mut().find(|argument| *argument == "4GiB");
    *size.unwrap() = "64KiB".to_owned();
    machine.scene.shell("mkdir -p var/lib/bundle/large").succeeds();
    for shard in ["3", "1", "0"] {
        machine.run_container(&job, &[("SHARE", shard)]).succeeds().says("still to come");
    }
    machine.run_container(&job, &[("SHARE", "2")]).succeeds().says("the bundle is complete");
    let bundle = "var/lib/bundle/large.tar";
    machine
        .scene
        .bundle(["import", bundle, "--to", machine.target.host(), "--trust", "etc/bundle/ops.key.pub"])
        .succeeds();
    machine.complete();
}

#[test]
fn the_systemd_units_do_their_job() {
    let machine = Machine::new();
    machine.mount("sync.yaml", "sync.yaml");
    machine.mount("kubernetes/import/base/trust.yaml", "trust.yaml");
    machine.want_an_image();
    // The example names a Harbor; this registry is a plain one.
    let text = read(&machine.scene.path("etc/bundle/sync.yaml"));
    let plain = text
        .replace("  harbor: harbor.yaml", "  # harbor: harbor.yaml")
        .replace("  waitForScan", "  # waitForScan");
    std::fs::write(machine.scene.path("etc/bundle/sync.yaml"), plain).unwrap();
    for (name, text) in [("auth.json", "{}"), ("harbor.yaml", "{}"), ("ca.crt", CERTIFICATE)] {
        std::fs::write(machine.scene.path("etc/bundle").join(name), text).unwrap();
    }
    machine.keep_what_is_documented(0);
    machine.run_unit("export").succeeds().says("wrote bundle");
    machine.carry();
    machine.keep_what_is_documented(1);
    machine.run_unit("import").succeeds().says("imported bundle nightly");
    machine.complete();
    assert!(machine.scene.path("var/lib/prometheus/node-exporter/bundle-import.prom").exists());
}

#[test]
fn what_waits_in_the_inbox_is_no_failure_of_a_unit_or_a_pod_and_one_of_the_command() {
    let machine = Machine::new();
    machine.mount("kubernetes/import/base/trust.yaml", "trust.yaml");
    machine.scene.shell("mkdir -p var/lib/bundle/inbox && echo half > var/lib/bundle/inbox/a.tar").succeeds();
    machine.mount("kubernetes/import/base/sync.yaml", "sync.yaml");
    machine.run_container(&pods()["import"], &[]).succeeds().says("note: a.tar: this is not a bundle");
    let status: Value = yaml(&machine.scene.path("var/lib/bundle/state/status.json"));
    assert_eq!(
        (&status["exitCode"], &status["status"]["waiting"][0][0]),
        (&0.into(), &"a.tar".into()),
        "{status}"
    );
    machine.run_unit("import").succeeds().says("note: a.tar");
    machine.scene.bundle(["sync", "import", "--config", "etc/bundle/sync.yaml"]).ends_with(6);
    // A refusal stays a failure.
    let text = read(&machine.scene.path("etc/bundle/sync.yaml"));
    std::fs::write(machine.scene.path("etc/bundle/sync.yaml"), format!("{text}  settleSeconds: 0\n"))
        .unwrap();
    machine.run_unit("import").ends_with(3).says("error: a.tar: this is not a bundle");
}

#[test]
fn the_transfer_pods_first_copy_finds_its_directory() {
    let machine = Machine::new();
    let pod = &pods()["transfer"];
    machine.scene.shell("touch nightly-1795000000.tar && mkdir bin").succeeds();
    // `kubectl cp` is `tar` in the pod, which makes no directory above the file (kubectl-cp: cp.go, copyToPod); the
    // pod's file system is the machine's.
    let kubectl = "#!/bin/sh -e
[ \"$1\" = -n ] && shift 2
case $1 in
apply) command_of_the_pod ;;
cp) cp -r \"$(echo \"$2\" | sed s,bundle-transfer:,,)\" \"$(echo \"$3\" | sed s,bundle-transfer:,,)\" ;;
exec) shift 3; exec \"$@\" ;;
wait|delete) ;;
*) exit 9 ;;
esac
";
    let init = &pod.init_containers.as_ref().unwrap()[0];
    let [shell, flag, script] = init.command.as_ref().unwrap().as_slice() else { panic!("{init:?}") };
    let made = format!("{shell} {flag} '{}'", machine.here(script));
    std::fs::write(machine.scene.path("bin/kubectl"), kubectl.replace("command_of_the_pod", &made)).unwrap();
    let page = read(&manifests().join("README.md"));
    let steps = page.split("```sh\n").find(|block| block.contains("transfer/pod.yaml")).unwrap();
    let steps = machine.here(steps.split("```").next().unwrap());
    machine.scene.shell(&format!("chmod +x bin/kubectl; PATH=$PWD/bin:$PATH; set -e; {steps}")).succeeds();
    assert!(machine.scene.path("var/lib/bundle/inbox/nightly-1795000000.tar").exists());
    assert!(machine.scene.path("receipts").is_dir());
}

#[test]
fn systemd_itself_finds_nothing_wrong_with_the_units() {
    let scene = Scene::empty();
    let units: Vec<PathBuf> = files(&manifests().join("systemd"));
    for unit in &units {
        let text = read(unit).replace("/usr/local/bin/bundle", env!("CARGO_BIN_EXE_bundle"));
        std::fs::write(scene.path(unit.file_name().unwrap().to_str().unwrap()), text).unwrap();
    }
    if bundle_test_needs::program("systemd-analyze").is_none() {
        return;
    }
    let ran = scene.shell("systemd-analyze verify --man=no ./bundle-*.service ./bundle-*.timer");
    let ran = ran.succeeds();
    let ours = ran.stderr.lines().filter(|line| line.contains("bundle-"));
    assert_eq!(ours.collect::<Vec<_>>(), [""; 0]);
}

/// Kubernetes' objects by kind and name.
pub(super) type Objects = BTreeMap<(String, String), Value>;

/// Objects by kind and name.
pub(super) fn by_name(documents: impl IntoIterator<Item = Value>) -> Objects {
    let text = |value: &Value| value.as_str().unwrap().to_owned();
    let named = documents
        .into_iter()
        .map(|document| ((text(&document["kind"]), text(&document["metadata"]["name"])), document));
    named.collect()
}

/// The objects that kustomize builds from a directory of the manifests.
pub(super) fn built(kustomize: &Path, directory: &Path) -> Option<Objects> {
    let ran = Command::new(kustomize).arg("build").arg(directory).output().unwrap();
    let text = String::from_utf8(ran.stdout).unwrap();
    let documents = serde_saphyr::from_multiple::<Value>(&text).unwrap();
    ran.status.success().then(|| by_name(documents))
}

#[test]
fn kustomize_builds_the_overlays_once_the_keys_are_there_and_leaves_no_name_open() {
    let Some(kustomize) = bundle_test_needs::program("kustomize") else { return };
    let scene = Scene::empty();
    let copied = scene.shell(&format!("cp -r {} manifests", manifests().display()));
    copied.succeeds();
    let at = |name: &str| scene.path("manifests/kubernetes").join(name);
    let read_me = read(&manifests().join("README.md"));
    for (overlay, keys) in [
        ("export/overlays/example", &["site.pub", "ca.crt"][..]),
        ("import/overlays/example", &["ops.key.pub", "ca.crt"]),
    ] {
        assert!(built(&kustomize, &at(overlay)).is_none(), "{overlay} trusts somebody without being told");
        for key in keys {
            std::fs::write(at(overlay).join(key), "brought").unwrap();
        }
    }
    for directory in
        ["export/overlays/example", "import/overlays/example", "import-job", "export-job", "serve"]
    {
        let objects = built(&kustomize, &at(directory)).unwrap();
        let mut pods = 0;
        for ((kind, name), object) in &objects {
            assert!(kind == "Namespace" || object["metadata"]["namespace"] == "bundle", "{kind} {name}");
            let spec = match kind.as_str() {
                "CronJob" => &object["spec"]["jobTemplate"]["spec"]["template"]["spec"],
                "Job" | "Deployment" => &object["spec"]["template"]["spec"],
                _ => continue,
            };
            pods += 1;
            let pod: PodSpec = serde_json::from_value(spec.clone()).unwrap();
            let there = |kind: &str, name: &str| objects.contains_key(&(kind.to_owned(), name.to_owned()));
            assert!(there("ServiceAccount", pod.service_account_name.as_ref().unwrap()));
            let image = pod.containers[0].image.as_ref().unwrap();
            let (_, tag) = image.split_once("/platform/bundle:").unwrap();
            assert!(image.starts_with("harbor.") && tag == env!("CARGO_PKG_VERSION"), "{image}");
            for volume in pod.volumes.unwrap() {
                if let Some(map) = volume.config_map {
                    // The name has the content's hash: a change makes a new pod.
                    assert!(there("ConfigMap", &map.name), "{directory}: {}", map.name);
                    assert!(map.name.rsplit('-').next().unwrap().len() == 10, "{}", map.name);
                }
                if let Some(claim) = volume.persistent_volume_claim {
                    assert!(there("PersistentVolumeClaim", &claim.claim_name));
                }
                // Secrets are never committed: the page has the steps to create them.
                if let Some(secret) = volume.secret.and_then(|secret| secret.secret_name) {
                    let made = format!("secret generic {secret} ");
                    let made_for_pulls = format!("secret docker-registry {secret} ");
                    let made_of_a_pair = format!("secret tls {secret} ");
                    let all = [made, made_for_pulls, made_of_a_pair];
                    assert!(all.iter().any(|made| read_me.contains(made)), "{secret}");
                }
            }
        }
        assert!(pods > 0, "{directory}");
    }
    // The jobs and the server are put on top of their side's overlay, and change nothing of it.
    for (side, directory, more) in
        [("import", "import-job", 1), ("export", "export-job", 1), ("import", "serve", 2)]
    {
        let overlay = built(&kustomize, &at(&format!("{side}/overlays/example"))).unwrap();
        let above = built(&kustomize, &at(directory)).unwrap();
        assert!(overlay.iter().all(|(name, object)| above.get(name) == Some(object)), "{directory}");
        assert_eq!(above.len(), overlay.len() + more, "{directory}");
    }
}

/// Puts an imported bundle where the server looks, and gives it certificate and users.
fn imported() -> Machine {
    let machine = Machine::new();
    machine.mount("kubernetes/export/base/sync.yaml", "sync.yaml");
    machine.want_an_image();
    machine.run_container(&pods()["export"], &[]).succeeds();
    machine.carry();
    machine.mount("kubernetes/import/base/sync.yaml", "sync.yaml");
    machine.mount("kubernetes/import/base/trust.yaml", "trust.yaml");
    machine
        .scene
        .shell(
            "mkdir -p run/bundle/tls run/bundle/users && openssl req -x509 -newkey ec -pkeyopt ec_paramgen_curve:prime256v1 \
             -nodes -days 1 -subj /CN=seed -addext subjectAltName=IP:127.0.0.1 -keyout run/bundle/tls/tls.key \
             -out run/bundle/tls/tls.crt 2>/dev/null && cp run/bundle/tls/tls.key etc/bundle/serve.key && \
             cp run/bundle/tls/tls.crt etc/bundle/serve.crt && \
             htpasswd -cbB -C 4 run/bundle/users/htpasswd node s3cret 2>/dev/null",
        )
        .succeeds();
    machine
}

#[test]
fn the_servers_of_the_unit_and_the_deployment_have_what_the_job_imports() {
    let machine = imported();
    let container = pods()["serve"].containers.first().unwrap().clone();
    let unit = read(&manifests().join("systemd/bundle-serve.service"));
    let line =
        unit.lines().find_map(|line| line.strip_prefix("ExecStart=/usr/local/bin/bundle serve ")).unwrap();
    assert!(unit.contains("EnvironmentFile=-/etc/bundle/serve.env") && unit.contains("LISTEN=0.0.0.0:5000"));
    assert!(unit.contains("ExecReload=/bin/kill -HUP $MAINPID"));
    let line = line.strip_suffix(" $OPTIONS").unwrap();
    let of_unit: Vec<String> = line.split(' ').map(str::to_owned).collect();
    let of_pod: Vec<String> = container.args.as_ref().unwrap()[1..].to_vec();
    let mut servers = Vec::new();
    for (arguments, login) in [(of_unit, ""), (of_pod, "-u node:s3cret")] {
        let listen = arguments.iter().position(|word| word == "--listen").unwrap();
        assert!(["${LISTEN}", "0.0.0.0:5000"].contains(&arguments[listen + 1].as_str()));
        let kept = [&arguments[..listen], &arguments[listen + 2..]].concat();
        let here: Vec<String> = kept.iter().map(|argument| machine.here(argument)).collect();
        // Before the first import there is no `done` yet.
        let served = Served::with(&machine.scene, &here.iter().map(String::as_str).collect::<Vec<_>>());
        assert!(served.greeting.contains("does not exist yet"), "{}", served.greeting);
        servers.push((served, login));
    }
    machine.run_container(&pods()["import"], &[]).succeeds().says("imported bundle nightly");
    let probe = container.readiness_probe.unwrap().http_get.unwrap();
    assert_eq!(probe.scheme.as_deref(), Some("HTTPS"));
    let path = format!("/v2/cache/{}/team/a/manifests/1", machine.scene.source.host().replace(':', "_"));
    for (served, login) in &mut servers {
        assert!(served.look().contains("now serving 1 bundle"));
        let curl = |login: &str, path: &str| {
            let url = format!("https://{}{path}", served.host());
            machine
                .scene
                .shell(&format!(
                    "curl -s -o /dev/null -w '%{{http_code}}' --cacert etc/bundle/serve.crt {login} {url}"
                ))
                .stdout
        };
        assert_eq!(curl("", probe.path.as_deref().unwrap()), "200");
        assert_eq!(curl(login, &path), "200");
        assert_eq!(curl("", &path), if login.is_empty() { "200" } else { "401" });
    }
}
