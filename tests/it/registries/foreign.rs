//! Layers that are marked non-distributable, as those of Windows' base images, when people ask for them.
//! Takes images whose base is at the registry or at its vendor; gives what a bundle has of them, and what
//! registries, layouts and `bundle serve` have after it.
//!
//! The images are as Windows' were until 2023: `urls` of a foreign layer name its vendor (image-spec,
//! descriptor.md §urls; Docker's image-manifest-v2-2.md §Field descriptions).

use bundle_test_servers::standin::dead;
use bundle_test_servers::{
    Check, DockerRegistry, Fault, FaultProxy, Format, ImageSpec, LayerSpec, Manifest, Matcher, Response,
    Rule, sha256,
};
use serde_json::{Value, json};

use crate::harbor::scene::HarborScene;
use crate::registries::case::{Login, run};
use crate::scene::{CREATED, Ran, Scene};
use crate::serve::served::Served;

const OCI_FOREIGN: &str = "application/vnd.oci.image.layer.nondistributable.v1.tar+gzip";
const DOCKER_FOREIGN: &str = "application/vnd.docker.image.rootfs.foreign.diff.tar.gzip";
const MARK: &str = "foreign layers: 1 layer is marked non-distributable and in the bundle";

/// A registry that takes such images, a bundle's key, and a server of the vendor.
struct Windows {
    scene: Scene,
    source: DockerRegistry,
    vendor: FaultProxy,
}

/// An image of a base layer that is marked and of one layer of its own.
fn windows(spec: ImageSpec, own: u64, urls: &[String]) -> Manifest {
    let marked = if spec.format == Format::DockerSchema2 { DOCKER_FOREIGN } else { OCI_FOREIGN };
    let whole = spec.layer(LayerSpec::new(1, 200_000)).layer(LayerSpec::new(own, 10_000)).build();
    let mut document: Value = serde_json::from_slice(&whole.bytes).unwrap();
    document["layers"][0]["mediaType"] = json!(marked);
    if !urls.is_empty() {
        document["layers"][0]["urls"] = json!(urls);
    }
    let bytes = serde_json::to_vec(&document).unwrap();
    Manifest { digest: sha256(&bytes), bytes, ..whole }
}

/// Where the layer is, and what is pushed of an image.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Base {
    AtTheRegistry,
    Elsewhere,
}

impl Windows {
    fn new() -> Self {
        let source = DockerRegistry::options().any_urls().start().unwrap();
        Self { scene: Scene::empty(), source, vendor: FaultProxy::scripted().unwrap() }
    }

    /// Pushes an image with these addresses of its base, and gives its base.
    fn push(&self, tag: &str, own: u64, urls: &[String], base: Base) -> Manifest {
        let image = windows(ImageSpec::oci(), own, urls);
        let mut pushed = image.clone();
        if base == Base::Elsewhere {
            pushed.blobs.remove(1);
        }
        self.source.client().push("windows/app", tag, &pushed).unwrap();
        image
    }

    /// The vendor's address of the base, which redirects to another one of its own.
    fn sells(&self, bytes: Vec<u8>) -> String {
        self.vendor.answer_with(move |head| match head.path() {
            "/fwlink" => Some(Response::new(302).with_header("Location", "../layers/base?sig=s3cret")),
            "/layers/base" => Some(Response::new(200).with_body(bytes.clone())),
            _ => None,
        });
        format!("http://{}/fwlink", self.vendor.host())
    }

    fn reference(&self, tag: &str) -> String {
        format!("{}/windows/app:{tag}", self.source.host())
    }

    fn create(&self, tag: &str, output: &str, more: &[&str]) -> Ran {
        let mut arguments = Scene::create_arguments(&[self.reference(tag)], output);
        arguments.extend(["--retries", "0"].iter().chain(more).map(|&text| text.to_owned()));
        self.scene.bundle(arguments)
    }

    fn import(&self, bundle: &str, to: &str) -> Ran {
        self.scene.bundle(["import", bundle, "--to", to, "--trust", "key.pub", "--retries", "0"])
    }
}

/// An address without a server.
fn dead_base() -> String {
    format!("http://{}/base", dead().unwrap())
}

/// The base layer's digest and bytes.
fn base() -> (String, Vec<u8>) {
    let blob = LayerSpec::new(1, 200_000).build().blob(Format::Oci);
    (blob.digest.clone(), blob.bytes().unwrap())
}

#[test]
fn a_layer_that_the_registry_has_is_carried_from_there_and_arrives_beside_the_image() {
    let it = Windows::new();
    let urls = [it.sells(b"never asked".to_vec())];
    let image = it.push("1", 2, &urls, Base::AtTheRegistry);
    let plan = it.create("1", "b.tar", &["--include-foreign", "--dry-run", "--json"]).succeeds().json();
    let artifacts = plan["artifacts"].as_array().unwrap();
    assert_eq!(artifacts.len(), 2, "{plan}");
    assert!(artifacts[0]["reasons"].as_array().unwrap().contains(&json!(MARK)), "{plan}");
    assert_eq!((&artifacts[1]["kind"], &artifacts[1]["subject"]), (&json!("artifact"), &json!(image.digest)));
    assert!(
        artifacts[1]["reasons"][0].as_str().unwrap().starts_with("non-distributable layers of "),
        "{plan}"
    );
    assert!(!it.scene.path("b.tar").exists());
    it.create("1", "b.tar", &["--include-foreign"]).succeeds();
    assert!(it.vendor.requests().is_empty(), "{:?}", it.vendor.requests());
    it.scene.bundle(["inspect", "b.tar", "--trust", "key.pub"]).succeeds().says(MARK);
    let verified = it.scene.bundle(["verify", "b.tar", "--trust", "key.pub", "--json"]).succeeds().json();
    assert_eq!(verified["bundle"]["incomplete"], json!([]));
    let target = DockerRegistry::options().any_urls().start().unwrap();
    it.import("b.tar", target.host()).succeeds();
    let repository = format!("cache/{}/windows/app", it.source.host().replace(':', "_"));
    assert!(target.client().has_blob(&repository, &base().0).unwrap());
    assert_eq!(target.client().manifest(&repository, "1").unwrap().unwrap().digest, image.digest);
    assert_eq!(target.client().check_complete(Check::Hash).unwrap(), []);
    it.import("b.tar", target.host()).succeeds().says("already present");
}

#[test]
fn without_the_flag_the_layer_stays_and_one_image_of_a_file_can_have_it() {
    let it = Windows::new();
    it.push("1", 2, &[], Base::AtTheRegistry);
    it.push("2", 3, &[], Base::AtTheRegistry);
    let lacking = "incomplete: 1 layer is marked non-distributable and not in the bundle";
    let left = it.create("1", "b.tar", &["--dry-run", "--json"]).succeeds();
    assert_eq!(left.json()["artifacts"].as_array().unwrap().len(), 1);
    left.says(lacking).says("1 layer is marked non-distributable and is not in the bundle");
    let file = |top: &str, image: &str| {
        let text = format!(
            "{top}projects:\n  platform:\n    images:\n      - {{ref: '{}', as: 'one:1'{image}}}\n  cache:\n    images: ['{}']\n",
            it.reference("1"),
            it.reference("2")
        );
        std::fs::write(it.scene.path("bundle.yaml"), text).unwrap();
        let plan = it.scene.bundle(["create", "--dry-run", "--json"]).succeeds().json();
        let marked = |artifact: &Value| artifact["reasons"].as_array().unwrap().contains(&json!(MARK));
        let images =
            plan["artifacts"].as_array().unwrap().iter().filter(|artifact| artifact["kind"] == "image");
        images.map(marked).collect::<Vec<_>>()
    };
    assert_eq!(file("", ", foreignLayers: include"), [true, false]);
    assert_eq!(file("foreignLayers: include\n", ", foreignLayers: leave"), [false, true]);
}

#[test]
fn a_layer_that_the_registry_lacks_is_fetched_from_its_addresses_in_turn_without_credentials() {
    let it = Windows::new();
    let (digest, bytes) = base();
    let image = it.push("1", 2, &[dead_base(), it.sells(bytes)], Base::Elsewhere);
    let front = FaultProxy::start(it.source.host()).unwrap();
    let login = Login { host: front.host(), user: "u", password: "registry-secret" };
    front.add(Rule::new(
        Matcher::any().and(|head| head.headers.get("authorization").is_none()),
        Fault::Status(Response::new(401).with_header("WWW-Authenticate", "Basic realm=\"r\"")),
    ));
    let reference = format!("{}/windows/app:1", front.host());
    let arguments = [
        "create",
        &reference,
        "--include-foreign",
        "--stream",
        "windows",
        "--retries",
        "0",
        "--key",
        "key",
        "--created",
        CREATED,
        "-o",
        "b.tar",
    ];
    let ran = run(&it.scene, &[login], &arguments).succeeds();
    login.is_not_told(&ran);
    assert!(login.is_known_to(&front) && !login.is_known_to(&it.vendor));
    let asked = it.vendor.requests();
    let paths: Vec<&str> = asked.iter().map(|request| request.path_and_query.as_str()).collect();
    assert_eq!(paths, ["/fwlink", "/layers/base?sig=s3cret"]);
    assert!(asked.iter().all(|request| request.headers.get("authorization").is_none()));
    let layout = ["extract", "b.tar", "--trust", "key.pub", "--to", "layout"];
    it.scene.bundle(layout).succeeds();
    let blob =
        |hex: &str| it.scene.path(&format!("layout/blobs/sha256/{}", hex.trim_start_matches("sha256:")));
    assert_eq!(sha256(&std::fs::read(blob(&digest)).unwrap()), digest);
    assert!(blob(&image.digest).exists());
    // Through a pipe, where bytes are checked before the next are written, it is the same bundle.
    let piped = [&arguments[..arguments.len() - 1], &["-"]].concat();
    let piped =
        it.scene.command(piped).env("REGISTRY_AUTH_FILE", it.scene.path("auth.json")).output().unwrap();
    assert!(piped.status.success(), "{}", String::from_utf8_lossy(&piped.stderr));
    assert_eq!(sha256(&piped.stdout), sha256(&std::fs::read(it.scene.path("b.tar")).unwrap()));
}

#[test]
fn addresses_that_lead_astray_give_no_bundle_and_say_what_to_do() {
    let it = Windows::new();
    it.push("1", 2, &[dead_base()], Base::Elsewhere);
    let loopback = it.sells(b"other bytes than the layer has".to_vec());
    let sends_away = FaultProxy::scripted().unwrap();
    let metadata = Response::new(302).with_header("Location", "http://169.254.169.254/latest/meta-data");
    sends_away.add(Rule::new(Matcher::any(), Fault::Status(metadata)));
    let absent = FaultProxy::scripted().unwrap();
    absent.add(Rule::new(Matcher::any(), Fault::status(404)));
    let hint = "without --include-foreign, or with foreignLayers: leave";
    for (tag, urls, says) in [
        (
            "link-local",
            vec!["http://169.254.169.254/base".to_owned()],
            "is not used: it points to a link-local",
        ),
        (
            "sent",
            vec![format!("http://{}/", sends_away.host())],
            "is not followed: it points to a link-local",
        ),
        (
            "plain",
            vec!["http://vendor.example/base".to_owned()],
            "is not used: it points to another host without encryption",
        ),
        (
            "login",
            vec![loopback.replace("http://", "http://u:pa55@")],
            "is not used: it contains a user name",
        ),
        (
            "file",
            vec!["file:///etc/passwd".to_owned()],
            "is not used: it does not point to an http or https address",
        ),
        ("bytes", vec![loopback.clone()], "bytes of sha256:"),
        ("dead", vec![dead_base()], "cannot be reached"),
        ("absent", vec![format!("http://{}/base", absent.host())], "does not have it"),
        ("none", vec![], "the image names no address for the layer"),
    ] {
        // The registry itself takes only some of them.
        let image = windows(ImageSpec::oci(), 2, &urls);
        let front = FaultProxy::start(it.source.host()).unwrap();
        let manifest =
            Response::new(200).with_header("Content-Type", &image.media_type).with_body(image.bytes);
        front.add(Rule::new(Matcher::path(&format!("/manifests/{tag}")), Fault::Status(manifest)));
        let create = |more: &[&str]| {
            let reference = format!("{}/windows/app:{tag}", front.host());
            let base = ["create", reference.as_str(), "--retries", "0", "--key", "key", "-o", "b.tar"];
            it.scene.bundle([&base[..], more].concat())
        };
        let ran = create(&["--include-foreign"]).ends_with(4).says(says).says(hint);
        // The registry's error is reported as well.
        let ran = ran.says("BLOB_UNKNOWN");
        assert!(!ran.stderr.contains("pa55"), "{}", ran.stderr);
        assert!(!it.scene.path("b.tar").exists(), "{tag}");
        for leftover in [".b.tar.partial", ".b.tar.journal"] {
            let _ = std::fs::remove_file(it.scene.path(leftover));
        }
        create(&[]).succeeds();
        std::fs::remove_file(it.scene.path("b.tar")).unwrap();
    }
}

#[test]
fn bytes_of_the_right_length_and_another_digest_are_refused() {
    let it = Windows::new();
    let mut bytes = base().1;
    bytes[1000] ^= 1;
    let url = it.sells(bytes);
    it.push("1", 2, &[url], Base::Elsewhere);
    it.create("1", "b.tar", &["--include-foreign"]).ends_with(4).says("whose digest is sha256:");
    assert!(!it.scene.path("b.tar").exists());
}

#[test]
fn a_delta_leaves_out_a_carried_layer_and_an_extract_of_it_says_so() {
    let it = Windows::new();
    it.push("1", 2, &[], Base::AtTheRegistry);
    it.push("2", 3, &[], Base::AtTheRegistry);
    it.create("1", "1.tar", &["--include-foreign"]).succeeds();
    let delta =
        ["--include-foreign", "--base", "1.tar", "--base-trust", "key.pub", "--sequence", "1796000000"];
    it.create("2", "2.tar", &delta).succeeds();
    let size = |name: &str| std::fs::metadata(it.scene.path(name)).unwrap().len();
    assert!(size("1.tar") > 200_000 && size("2.tar") < 100_000, "{} {}", size("1.tar"), size("2.tar"));
    let target = DockerRegistry::options().any_urls().start().unwrap();
    it.import("2.tar", target.host()).ends_with(6).says("import its base bundle first");
    it.import("1.tar", target.host()).succeeds();
    it.import("2.tar", target.host()).succeeds();
    assert_eq!(target.client().check_complete(Check::Hash).unwrap(), []);
    let extract = |bundle| ["extract", bundle, "--trust", "key.pub", "--format", "k3s", "--to", "archives"];
    it.scene.bundle(extract("2.tar")).ends_with(6).says("this delta leaves out");
    it.scene.bundle(extract("1.tar")).succeeds();
    let listed = it.scene.shell("for file in archives/*.tar; do tar -tf $file; done").succeeds().stdout;
    assert!(listed.contains(base().0.trim_start_matches("sha256:")), "{listed}");
}

#[test]
fn a_registry_that_takes_no_such_layers_is_told_from_one_that_lacks_them_with_all_that_it_says() {
    let it = Windows::new();
    it.push("1", 2, &["http://127.0.0.1:1/base".to_owned()], Base::AtTheRegistry);
    it.create("1", "b.tar", &["--include-foreign"]).succeeds();
    // Without validation.manifests.urls, distribution takes no address (configuration.md §urls).
    let strict = DockerRegistry::start().unwrap();
    it.import("b.tar", strict.host())
        .ends_with(4)
        .says("1 of its layers is marked non-distributable, and the registry does not take such layers")
        .says("validation.manifests.urls.allow")
        .says("(HTTP 500 UNKNOWN): unknown error; MANIFEST_BLOB_UNKNOWN: blob unknown to registry");
}

#[test]
fn bundle_serve_gives_a_carried_layer_in_the_images_repository() {
    let it = Windows::new();
    it.push("1", 2, &[], Base::AtTheRegistry);
    it.create("1", "b.tar", &["--include-foreign"]).succeeds();
    let served = Served::start(&it.scene, "b.tar");
    let answer = served.client().get(&format!("/v2/windows/app/blobs/{}", base().0)).unwrap();
    assert_eq!((answer.status, sha256(&answer.body)), (200, base().0));
}

#[test]
fn harbor_has_the_layers_of_both_kinds() {
    let it = HarborScene::empty();
    let source = DockerRegistry::options().any_urls().start().unwrap();
    let urls = ["https://mcr.microsoft.com/v2/windows/nanoserver/blobs/sha256:0".to_owned()];
    for (tag, spec) in [("docker", ImageSpec::docker()), ("oci", ImageSpec::oci())] {
        source.client().push("windows/app", tag, &windows(spec, 2, &urls)).unwrap();
    }
    let references = ["docker", "oci"].map(|tag| format!("{}/windows/app:{tag}", source.host()));
    let mut arguments = Scene::create_arguments(&references, "b.tar");
    arguments.push("--include-foreign".to_owned());
    it.scene.bundle(arguments).succeeds();
    it.import(&[]).succeeds();
    let repository = format!("cache/{}/windows/app", source.host().replace(':', "_"));
    let client = it.harbor.client(&it.harbor.admin_credentials());
    assert!(client.has_blob(&repository, &base().0).unwrap());
    for tag in ["docker", "oci"] {
        let manifest = client.manifest(&repository, tag).unwrap().unwrap();
        let document: Value = serde_json::from_slice(&manifest.bytes).unwrap();
        assert_eq!(document["layers"][0]["digest"], json!(base().0), "{tag}");
    }
}
