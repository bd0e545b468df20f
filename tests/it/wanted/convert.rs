//! `bundle convert`: what other tools' files ask for is what the bundle.yaml asks for.
//! Takes files in the forms of hauler, skopeo and zarf; gives plans of the converted ones.

use bundle_test_servers::LayerSpec;

use crate::scene::{Scene, attested_index};
use crate::wanted::plan::targets;

/// Runs `convert` and writes its output to bundle.yaml.
fn converted(scene: &Scene, text: &str, code: i32) -> String {
    std::fs::write(scene.path("other.yaml"), text.replace("SOURCE", scene.source.host())).unwrap();
    let ran = scene.bundle(["convert", "other.yaml"]).ends_with(code);
    std::fs::write(scene.path("bundle.yaml"), &ran.stdout).unwrap();
    ran.stderr
}

/// The targets that bundle.yaml plans.
fn planned(scene: &Scene) -> Vec<String> {
    targets(&scene.bundle(["create", "--dry-run", "--json", "--no-referrers"]).succeeds())
}

#[test]
fn a_converted_file_plans_the_images_of_the_original() {
    let scene = Scene::with_images();
    let base = LayerSpec::new(1, 300_000).build();
    for tag in ["1.0.0", "1.1.0", "2.0.0"] {
        scene.source.client().push("team/tagged", tag, &attested_index(&base)).unwrap();
    }
    let name = scene.source.host().replace(':', "_");
    let said = converted(
        &scene,
        "apiVersion: content.hauler.cattle.io/v1\nkind: Images\nspec:\n  images:\n  - name: SOURCE/team/multi:1\n    \
         platform: linux/amd64\n  - name: SOURCE/team/docker:1\n    key: cosign.pub\n",
        0,
    );
    assert!(
        said.contains("note: Images spec.images[1].key: is not expressed: create does not verify"),
        "{said}"
    );
    let hauler = planned(&scene);
    assert_eq!(hauler, [format!("cache/{name}/team/docker:1"), format!("cache/{name}/team/multi:1")]);

    converted(
        &scene,
        "SOURCE:\n  images:\n    team/signed: [1]\n  images-by-semver:\n    team/tagged: \">=1.0.0 <2.0.0\"\n",
        0,
    );
    let skopeo = planned(&scene);
    let tagged: Vec<&String> = skopeo.iter().filter(|target| target.contains("team/tagged")).collect();
    assert_eq!(
        tagged,
        [&format!("cache/{name}/team/tagged:1.0.0"), &format!("cache/{name}/team/tagged:1.1.0")]
    );
    assert!(skopeo.contains(&format!("cache/{name}/team/signed:1")), "{skopeo:?}");
}

#[test]
fn what_is_missing_in_a_converted_file_is_code_six_and_named() {
    let scene = Scene::with_images();
    let text = "kind: ZarfPackageConfig\ncomponents:\n- images: [SOURCE/team/docker:1]\n  repos: [https://git.example/a.git]\n";
    let said = converted(&scene, text, 6);
    assert!(said.contains("missing: components[0].repos: Git repositories are not carried"), "{said}");
    assert!(said.contains("error: 1 part is not in the bundle.yaml"), "{said}");
    assert_eq!(planned(&scene).len(), 1);
    let said = converted(&scene, "kind: Deployment\nspec: {}\n", 2);
    assert!(said.contains("hint: say whose file it is with --from"), "{said}");
    scene.shell("echo image=nginx:1.27 | \"$BUNDLE\" convert -").succeeds().says("- \"nginx:1.27\"");
}
