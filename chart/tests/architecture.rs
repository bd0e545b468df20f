//! Forbids this crate to depend on networks and async runtimes.
//! Reads the dependencies from `cargo tree`.

use std::process::Command;

#[test]
fn the_crate_has_no_network_and_no_async_runtime() {
    let output = Command::new(env!("CARGO"))
        .args([
            "tree",
            "--package",
            "bundle-chart",
            "--edges",
            "normal",
            "--prefix",
            "none",
            "--locked",
            "--offline",
        ])
        .current_dir(env!("CARGO_MANIFEST_DIR"))
        .output()
        .unwrap();
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    let tree = String::from_utf8(output.stdout).unwrap();
    assert!(tree.contains("bundle-oci "), "{tree}");
    for name in ["tokio", "reqwest", "hyper", "mio", "socket2", "rustls"] {
        assert!(!tree.lines().any(|line| line.starts_with(&format!("{name} "))), "{name} is in\n{tree}");
    }
}
