//! Several imports of one bundle at once. Distribution answers 400 DIGEST_INVALID to one of two clients that send
//! the same blob at the same moment; each import tries again, and all end right.

use bundle_test_servers::DockerRegistry;

use crate::scene::{Ran, Scene};

/// Imports at once, and how often: 75 together.
const AT_ONCE: usize = 25;
const ROUNDS: usize = 3;

#[test]
fn seventy_five_imports_of_one_bundle_at_once_all_end_right() {
    let scene = Scene::with_images();
    scene.create("b.tar");
    let expected = {
        let alone = DockerRegistry::start().unwrap();
        scene.bundle(["import", "b.tar", "--to", alone.host(), "--trust", "key.pub"]).succeeds();
        alone.client().contents().unwrap()
    };
    for round in 0..ROUNDS {
        let target = DockerRegistry::start().unwrap();
        let running: Vec<_> = (0..AT_ONCE)
            .map(|number| {
                let state = format!("state-{round}-{number}.json");
                let arguments =
                    ["import", "b.tar", "--to", target.host(), "--trust", "key.pub", "--state", &state];
                let mut command = scene.command(arguments);
                command.stdout(std::process::Stdio::piped()).stderr(std::process::Stdio::piped());
                command.spawn().unwrap()
            })
            .collect();
        for import in running {
            Ran::from(import.wait_with_output().unwrap()).succeeds();
        }
        assert!(target.client().contents().unwrap() == expected, "round {round}");
    }
}
