//! `exclude` in files and as an argument. Takes a registry with images; says what is carried, and what is said of
//! an entry that matches nothing.

use bundle_test_servers::{ImageSpec, LayerSpec};

use crate::scene::Scene;
use crate::wanted::plan;

/// The targets of a dry run's plan, without the registry's name.
fn targets(scene: &Scene, arguments: &[&str]) -> (Vec<String>, String) {
    let ran = scene.bundle([&["create", "--dry-run", "--json"], arguments].concat()).succeeds();
    let host = scene.source.host().replace(':', "_");
    let targets = plan::targets(&ran).iter().map(|it| it.replace(&format!("{host}/"), "")).collect();
    (targets, ran.stderr)
}

fn scene() -> Scene {
    let scene = Scene::empty();
    for (name, tag, seed) in [("a", "1", 1), ("a", "1-alpine", 2), ("b", "1", 3), ("c", "1", 4)] {
        let image = ImageSpec::oci().layer(LayerSpec::new(seed, 1_000)).build();
        scene.source.client().push(&format!("team/{name}"), tag, &image).unwrap();
    }
    let host = scene.source.host();
    let list = format!("{host}/team/a:1\n{host}/team/a:1-alpine\n{host}/team/b:1\n");
    std::fs::write(scene.path("images.txt"), list).unwrap();
    scene
}

#[test]
fn images_of_lists_and_of_the_whole_file_are_excluded_and_an_entry_that_matches_nothing_is_told_with_its_line()
 {
    let scene = scene();
    let host = scene.source.host();
    let text = format!(
        "version: 1\nexclude: ['{host}/team/b', '{host}/team/gone:1']\nprojects:\n  cache:\n    lists: [{{file: images.txt, exclude: ['{host}/team/a:*-alpine']}}]\n  platform:\n    lists: [images.txt]\n"
    );
    std::fs::write(scene.path("bundle.yaml"), text).unwrap();
    let (carried, said) = targets(&scene, &[]);
    assert_eq!(carried, ["cache/team/a:1", "platform/a:1", "platform/a:1-alpine"]);
    let notes: Vec<&str> = said.lines().filter(|line| line.contains("exclude")).collect();
    assert_eq!(notes, [format!("note: bundle.yaml:2: exclude '{host}/team/gone:1' matches no image")]);
    // The argument is for everything, and the file's exclude for images of arguments.
    let (c, b) = (format!("{host}/team/c:1"), format!("{host}/team/b:1"));
    let alpine = format!("{host}/team/a:1-alpine");
    let (carried, said) = targets(
        &scene,
        &[
            "-f",
            "bundle.yaml",
            &c,
            &b,
            "--exclude",
            &alpine,
            "--exclude",
            "quay.io/none",
            "--project",
            "tenant",
        ],
    );
    assert_eq!(carried, ["cache/team/a:1", "platform/a:1", "tenant/c:1"]);
    assert!(said.contains("note: command line: exclude 'quay.io/none' matches no image"), "{said}");
}

#[test]
fn an_exclude_of_the_file_holds_for_its_charts_and_one_of_nothing_else_leaves_nothing() {
    let scene = scene();
    let host = scene.source.host();
    std::fs::create_dir_all(scene.path("web/templates")).unwrap();
    std::fs::write(scene.path("web/Chart.yaml"), "apiVersion: v2\nname: web\nversion: 1.0.0\n").unwrap();
    let pod = |name: &str| {
        format!(
            "apiVersion: v1\nkind: Pod\nmetadata: {{name: {name}}}\nspec: {{containers: [{{name: c, image: \"{host}/team/{name}:1\"}}]}}\n"
        )
    };
    std::fs::write(scene.path("web/templates/pods.yaml"), format!("{}---\n{}", pod("a"), pod("b"))).unwrap();
    let text = format!("exclude: ['{host}/team/b']\nprojects: {{cache: {{charts: [{{path: web}}]}}}}\n");
    std::fs::write(scene.path("bundle.yaml"), text).unwrap();
    let (carried, said) = targets(&scene, &[]);
    assert!(carried.iter().any(|target| target == "cache/team/a:1"), "{carried:?}");
    assert!(!carried.iter().any(|target| target.contains("team/b")), "{carried:?}");
    assert!(said.contains("is left out: it is excluded") && !said.contains("matches no image"), "{said}");
    scene
        .bundle(["create", "--dry-run", "--images", "images.txt", "--exclude", &format!("{host}/*")])
        .ends_with(2)
        .says("nothing to carry: all images are excluded");
    scene
        .bundle(["create", "--dry-run", "--images", "images.txt", "--exclude", "A b"])
        .ends_with(2)
        .says("--exclude 'A b': reference has white space in it");
}
