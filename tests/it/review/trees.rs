//! `bundle inspect --tree` and `--sizes`, and the plain list.
//! Takes a bundle with signatures and shared layers; gives what the terminal shows.

use super::nights::Nights;

fn lines(nights: &Nights, more: &[&str]) -> Vec<String> {
    let base = ["inspect", "tuesday.tar", "--trust", "key.pub"];
    let shown = nights.scene.bundle([&base[..], more].concat()).succeeds().stdout;
    shown.lines().map(str::to_owned).collect()
}

#[test]
fn a_tree_goes_from_project_to_what_is_attached() {
    let nights = Nights::new();
    let tree = lines(&nights, &["--tree"]);
    let at = |part: &str| {
        let found = tree.iter().position(|line| line.contains(part));
        found.unwrap_or_else(|| panic!("{part}: {tree:#?}"))
    };
    assert!(at("cache") < at("/team/web") && at("/team/web") < at("1.27.1"));
    assert_eq!(tree[at("1.27.1") + 1].trim_start_matches(['|', ' ', '`', '-']), "linux/amd64");
    let signed = at("-- signed");
    let below: Vec<&str> = tree[signed + 1..].iter().take(4).map(String::as_str).collect();
    assert!(below[0].starts_with("    `-- 1  sha256:"), "{below:#?}");
    assert_eq!(below[1], "        |-- linux/amd64");
    let mut kinds: Vec<&str> =
        below[2..].iter().map(|line| line.trim_start_matches(['|', ' ', '`', '-'])).collect();
    kinds.sort_unstable();
    assert!(kinds[0].starts_with("sbom  sha256:") && kinds[1].starts_with("signature  sha256:"), "{kinds:?}");
    // Short digests, and whole ones if they are asked for.
    assert!(tree.iter().all(|line| !line.contains("sha256:") || line.len() < 90), "{tree:#?}");
    let whole = lines(&nights, &["--tree", "--long"]);
    assert!(whole.iter().any(|line| line.split("sha256:").nth(1).is_some_and(|rest| rest.len() >= 64)));
}

#[test]
fn sizes_say_what_leaving_an_image_out_saves() {
    let nights = Nights::new();
    let sizes = lines(&nights, &["--sizes"]);
    let head = sizes.iter().position(|line| line.contains("SAVES")).unwrap();
    assert_eq!(sizes[head].split_whitespace().collect::<Vec<_>>(), ["SIZE", "SAVES", "SHARED", "IMAGE"]);
    // The largest comes first, and shares nothing.
    let first: Vec<&str> = sizes[head + 1].split_whitespace().collect();
    assert_eq!(first, ["882.3", "KiB", "882.3", "KiB", "0", "B", "platform/big:3"], "{sizes:#?}");
    let json = nights
        .scene
        .bundle(["inspect", "tuesday.tar", "--trust", "key.pub", "--sizes", "--json"])
        .succeeds()
        .json();
    let all = json["artifacts"].as_array().unwrap();
    let of = |repository: &str| {
        let found = all.iter().find(|artifact| {
            artifact["target"]["repository"] == repository
                && artifact["kind"] != "signature"
                && artifact["kind"] != "sbom"
        });
        found.unwrap().clone()
    };
    let signed = of("signed");
    assert!(
        signed["leavingOutSaves"].as_u64().unwrap() > signed["ownSize"].as_u64().unwrap(),
        "its signature and SBOM go with it: {signed}"
    );
    // Without the image, the bundle is smaller by exactly what was said.
    let bytes = json["blobBytes"].as_u64().unwrap();
    let host = nights.scene.source.host();
    let keep = ["team/big:3", "team/signed:1", "charts/app:1.0.0"].map(|name| format!("{host}/{name}"));
    let create = |references: &[String], output: &str| {
        let mut all = vec!["create".to_owned()];
        all.extend_from_slice(references);
        all.extend(["--key", "key", "--stream", "some", "-o", output].map(str::to_owned));
        nights.scene.bundle(all).succeeds();
        nights.scene.bundle(["inspect", output, "--trust", "key.pub", "--json"]).succeeds().json()
    };
    let with = create(&keep, "with.tar");
    let without = create(&[keep[0].clone(), keep[2].clone()], "without.tar");
    let saved = with["blobBytes"].as_u64().unwrap() - without["blobBytes"].as_u64().unwrap();
    let said = with["artifacts"].as_array().unwrap().iter().find(|artifact| {
        artifact["kind"] == "image" && artifact["target"]["repository"].as_str().unwrap().ends_with("signed")
    });
    assert_eq!(said.unwrap()["leavingOutSaves"], saved);
    assert!(bytes > saved);
}

#[test]
fn plans_are_tables_with_heads() {
    let nights = Nights::new();
    let plan = nights.scene.bundle(["create", "--dry-run", "-f", "bundle.yaml"]).succeeds().stdout;
    let words = |line: &str| line.split_whitespace().map(str::to_owned).collect::<Vec<_>>();
    let plan: Vec<&str> = plan.lines().collect();
    assert_eq!(words(plan[0]), ["SIZE", "TARGET", "SOURCE", "REQUESTED", "BY"]);
    let signed = plan.iter().position(|line| line.contains("platform/signed:1")).unwrap();
    assert!(
        plan[signed + 1].starts_with("    with sbom ") && plan[signed + 1].contains(", signature "),
        "{plan:#?}"
    );
    assert_eq!(plan.len(), 6, "three images, what is attached to one, and the sum: {plan:#?}");
    let to = nights.scene.source.host();
    let import = ["import", "tuesday.tar", "--to", to, "--trust", "key.pub", "--dry-run"];
    let steps = nights.scene.bundle(import).succeeds().stdout;
    let steps: Vec<&str> = steps.lines().collect();
    assert_eq!(words(steps[0]), ["STEP", "TARGET", "DIGEST"]);
    let signed = steps.iter().find(|line| line.contains("platform/signed:1 ")).unwrap();
    assert_eq!(words(signed)[0], "push");
    assert_eq!(words(signed)[2].len(), "sha256:0123456789ab".len());
}

#[test]
fn a_signature_stands_in_the_line_of_its_image() {
    let nights = Nights::new();
    let list = lines(&nights, &[]);
    assert!(
        list.iter().any(|line| line.starts_with("    with ") && line.contains("signature sha256:")),
        "{list:#?}"
    );
    assert!(!list.iter().any(|line| line.contains(".sig")), "{list:#?}");
    nights.scene.bundle(["inspect", "tuesday.tar", "--tree", "--sizes"]).ends_with(2);
}
