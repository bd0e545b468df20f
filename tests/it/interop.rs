//! Other tools read a bundle as it is.

use std::process::Command;

use crate::scene::Scene;

fn run(program: &str, arguments: &[&str]) -> String {
    let output =
        Command::new(program).args(arguments).output().unwrap_or_else(|error| panic!("{program}: {error}"));
    let stderr = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "{program} {arguments:?}: {stderr}");
    String::from_utf8(output.stdout).unwrap()
}

#[test]
fn an_auditor_checks_a_bundle_with_tar_openssl_and_sha256sum() {
    let scene = Scene::with_images();
    scene.create("b.tar");
    scene
        .shell(
            "tar -xOf b.tar bundle.json > s.json && tar -xOf b.tar bundle.json.sig > s.sig && \
             openssl pkeyutl -verify -rawin -pubin -inkey key.pub -in s.json -sigfile s.sig && \
             mkdir x && tar -xf b.tar -C x && cd x/blobs/sha256 && for f in *; do echo \"$f  $f\"; done | sha256sum -c --quiet",
        )
        .succeeds()
        .says("Signature Verified Successfully");
}

#[test]
fn openssl_keys_sign_and_a_signing_command_does_too() {
    let scene = Scene::with_images();
    let reference = format!("{}/team/docker:1", scene.source.host());
    scene
        .shell(&format!(
            "openssl genpkey -algorithm ed25519 -out key-o && chmod 600 key-o && openssl pkey -in key-o -pubout -out key-o.pub && \
             $BUNDLE create {reference} --key key-o -o a.tar && $BUNDLE verify a.tar --trust key-o.pub && \
             $BUNDLE create {reference} --sign-command 'cat > m; openssl pkeyutl -sign -rawin -inkey key-o -in m' --public-key key-o.pub -o b.tar && \
             $BUNDLE verify b.tar --trust key-o.pub"
        ))
        .succeeds();
    scene
        .bundle(["create", &reference, "--sign-command", "echo no", "-o", "c.tar"])
        .ends_with(1)
        .says("wrote 3 bytes where the 64 of an Ed25519 signature belong");
}

#[test]
fn skopeo_finds_images_by_name_and_copies_them_unchanged() {
    let scene = Scene::with_images();
    let bundle = scene.create("b.tar");
    let name = format!("{}/team/multi:1", scene.source.host());
    let source = format!("oci-archive:{}:{name}", bundle.display());
    let raw = run("skopeo", &["inspect", "--raw", &source]);
    let digest = scene.source.client().manifest("team/multi", "1").unwrap().unwrap().digest;
    assert_eq!(bundle_test_servers::sha256(raw.as_bytes()), digest);
    let copy = format!("dir:{}", scene.path("copy").display());
    run("skopeo", &["--insecure-policy", "copy", "--all", "--preserve-digests", &source, &copy]);
    let copied = std::fs::read(scene.path("copy").join("manifest.json")).unwrap();
    assert_eq!(bundle_test_servers::sha256(&copied), digest);
}

#[test]
fn containerd_imports_every_image_under_its_name() {
    let scene = Scene::with_images();
    let bundle = scene.create("b.tar");
    let socket = scene.path("c.sock");
    let config = format!(
        "version = 2\nroot = {:?}\nstate = {:?}\ndisabled_plugins = [\"io.containerd.grpc.v1.cri\"]\n[grpc]\naddress = {:?}\n",
        scene.path("root"),
        scene.path("state"),
        socket
    );
    std::fs::write(scene.path("c.toml"), config).unwrap();
    let mut daemon = Command::new("containerd")
        .args(["--config".as_ref(), scene.path("c.toml").as_os_str()])
        .stdout(std::process::Stdio::null())
        .stderr(std::fs::File::create(scene.path("c.log")).unwrap())
        .spawn()
        .expect("containerd is installed by scripts/test");
    let address = socket.to_str().unwrap();
    let ctr = |arguments: &[&str]| {
        let mut all = vec!["-a", address, "-n", "k8s.io"];
        all.extend_from_slice(arguments);
        Command::new("ctr").args(all).output().unwrap()
    };
    let mut up = false;
    for _ in 0..3000 {
        up = ctr(&["version"]).status.success();
        if up || daemon.try_wait().unwrap().is_some() {
            break;
        }
    }
    let imported = ctr(&["images", "import", "--no-unpack", "--all-platforms", bundle.to_str().unwrap()]);
    let listed = String::from_utf8(ctr(&["images", "list"]).stdout).unwrap();
    daemon.kill().unwrap();
    daemon.wait().unwrap();
    assert!(up, "{}", std::fs::read_to_string(scene.path("c.log")).unwrap());
    assert!(imported.status.success(), "{}", String::from_utf8_lossy(&imported.stderr));
    for name in ["team/multi:1", "team/docker:1", "team/signed:1"] {
        let (repository, tag) = name.split_once(':').unwrap();
        let digest = scene.source.client().manifest(repository, tag).unwrap().unwrap().digest;
        let line = format!("{}/{name}", scene.source.host());
        let found = listed
            .lines()
            .find(|listed| listed.starts_with(&line))
            .unwrap_or_else(|| panic!("{line} is not in\n{listed}"));
        assert!(found.contains(&digest), "{found}");
    }
}
