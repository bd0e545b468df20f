//! The program is killed in the middle, and goes on the next time.
//! `killed_at` ends it at a count of bytes; the second run completes, and nothing half done could be pulled.

use std::sync::{Arc, Mutex};

use bundle_test_servers::{Check, Direction, DockerRegistry, FaultProxy, ImageSpec, LayerSpec, sha256};

use crate::scene::Scene;

const POINTS: u64 = 50;

/// Starts the program and kills it when the proxy has passed so many bytes. Returns whether it was
/// killed before it ended by itself.
pub(crate) fn killed_at(
    scene: &Scene,
    proxy: &FaultProxy,
    direction: Direction,
    threshold: u64,
    arguments: &[String],
) -> bool {
    let child: Arc<Mutex<Option<std::process::Child>>> = Arc::default();
    let shot = child.clone();
    proxy.clear();
    proxy.on_bytes(direction, threshold, move || {
        if let Some(child) = shot.lock().unwrap().as_mut() {
            child.kill().unwrap();
        }
    });
    let mut command = scene.command(arguments);
    command.stdout(std::process::Stdio::null()).stderr(std::process::Stdio::null());
    *child.lock().unwrap() = Some(command.spawn().unwrap());
    loop {
        if let Some(status) = child.lock().unwrap().as_mut().unwrap().try_wait().unwrap() {
            return !status.success();
        }
        std::thread::yield_now();
    }
}

fn images(scene: &Scene) -> Vec<String> {
    let base = LayerSpec::new(1, 1_500_000).build();
    (0..4)
        .map(|number| {
            let own = LayerSpec::new(10 + number, 400_000);
            let image = ImageSpec::oci().layer(base.clone()).layer(own).build();
            scene.source.client().push(&format!("team/app{number}"), "1", &image).unwrap();
            format!("team/app{number}:1")
        })
        .collect()
}

#[test]
fn create_killed_at_any_point_goes_on_to_the_same_bytes() {
    let scene = Scene::empty();
    let names = images(&scene);
    let proxy = FaultProxy::start(scene.source.host()).unwrap();
    let references: Vec<String> = names.iter().map(|name| format!("{}/{name}", proxy.host())).collect();
    scene.bundle(Scene::create_arguments(&references, "whole.tar")).succeeds();
    let expected = sha256(&std::fs::read(scene.path("whole.tar")).unwrap());
    let total = proxy.bytes(Direction::Download);
    let mut killed = 0;
    for point in 0..POINTS {
        let arguments = Scene::create_arguments(&references, "b.tar");
        if killed_at(&scene, &proxy, Direction::Download, total * point / POINTS, &arguments) {
            killed += 1;
            assert!(!scene.path("b.tar").exists(), "half a bundle has the final name at point {point}");
        }
        if !scene.path("b.tar").exists() {
            scene.bundle(&arguments).succeeds();
        }
        assert_eq!(sha256(&std::fs::read(scene.path("b.tar")).unwrap()), expected, "point {point}");
        std::fs::remove_file(scene.path("b.tar")).unwrap();
        assert_eq!(scene.files(), ["whole.tar"]);
    }
    assert!(killed > POINTS / 2, "only {killed} runs were killed");
}

#[test]
fn a_killed_create_does_not_fetch_again_what_it_has() {
    let scene = Scene::empty();
    let image = ImageSpec::oci().layer(LayerSpec::new(1, 60 << 20).uncompressed()).build();
    scene.source.client().push("team/big", "1", &image).unwrap();
    let proxy = FaultProxy::start(scene.source.host()).unwrap();
    // Without a fixed time, the second run takes the first one's.
    let arguments: Vec<String> =
        ["create", &format!("{}/team/big:1", proxy.host()), "--key", "key", "-o", "b.tar"]
            .map(str::to_owned)
            .to_vec();
    assert!(killed_at(&scene, &proxy, Direction::Download, 50 << 20, &arguments));
    proxy.clear();
    scene.bundle(&arguments).succeeds().says("resuming with the data that an earlier run fetched");
    let fetched = proxy.bytes(Direction::Download);
    assert!(fetched < 40 << 20, "{fetched} bytes were fetched again");
    scene.bundle(["verify", "b.tar", "--trust", "key.pub"]).succeeds();
}

#[test]
fn a_partial_file_that_was_damaged_never_becomes_a_bundle() {
    let scene = Scene::empty();
    let image = ImageSpec::oci().layer(LayerSpec::new(1, 40 << 20).uncompressed()).build();
    scene.source.client().push("team/big", "1", &image).unwrap();
    let proxy = FaultProxy::start(scene.source.host()).unwrap();
    let arguments = Scene::create_arguments(&[format!("{}/team/big:1", proxy.host())], "b.tar");
    assert!(killed_at(&scene, &proxy, Direction::Download, 38 << 20, &arguments));
    let partial = scene.path(".b.tar.partial");
    let mut bytes = std::fs::read(&partial).unwrap();
    bytes[10 << 20] ^= 1;
    std::fs::write(&partial, bytes).unwrap();
    scene.bundle(&arguments).succeeds();
    scene.bundle(["verify", "b.tar", "--trust", "key.pub"]).succeeds();
}

#[test]
fn import_killed_at_any_point_shows_nothing_and_goes_on_to_a_complete_registry() {
    let scene = Scene::empty();
    let names = images(&scene);
    let references: Vec<String> =
        names.iter().map(|name| format!("{}/{name}", scene.source.host())).collect();
    scene.bundle(Scene::create_arguments(&references, "b.tar")).succeeds();
    let import =
        |host: &str| ["import", "b.tar", "--to", host, "--trust", "key.pub"].map(str::to_owned).to_vec();
    let whole = DockerRegistry::start().unwrap();
    let measure = FaultProxy::start(whole.host()).unwrap();
    scene.bundle(import(measure.host())).succeeds();
    let total = measure.bytes(Direction::Upload);
    let expected = whole.client().contents().unwrap();
    let mut killed = 0;
    for point in 0..POINTS {
        let target = DockerRegistry::start().unwrap();
        let proxy = FaultProxy::start(target.host()).unwrap();
        let arguments = import(proxy.host());
        if killed_at(&scene, &proxy, Direction::Upload, total * point / POINTS, &arguments) {
            killed += 1;
            // All content of the existing tags is complete.
            assert_eq!(target.client().check_complete(Check::Head).unwrap(), [], "point {point}");
        }
        scene.bundle(&arguments).succeeds();
        assert_eq!(target.client().contents().unwrap(), expected, "point {point}");
        assert_eq!(target.client().check_complete(Check::Hash).unwrap(), [], "point {point}");
    }
    assert!(killed > POINTS / 2, "only {killed} runs were killed");
}
