//! Each tool's form becomes a bundle.yaml that this program reads, with the same images.
//! Takes small files of each tool; gives the lines and remarks that they become.

use super::{Tool, Weight, convert};
use crate::Config;

/// The bundle.yaml's lines below `projects`, without indentation; and the remarks.
fn converted(text: &str) -> (Vec<String>, Vec<String>) {
    let converted = convert(text, "file.yaml", None).unwrap();
    let directory = tempfile::tempdir().unwrap();
    for name in ["values.yaml", "a.yaml", "install.sh"] {
        std::fs::write(directory.path().join(name), "a: 1\n").unwrap();
    }
    let path = directory.path().join("bundle.yaml");
    std::fs::write(&path, &converted.yaml).unwrap();
    if converted.yaml.contains("cache:") {
        Config::load(&path).unwrap_or_else(|error| panic!("{error}\n{}", converted.yaml));
    }
    let lines = converted.yaml.lines().skip_while(|line| line.starts_with('#') || *line == "version: 1");
    let remarks = converted.remarks.iter().map(|remark| format!("{}: {}", remark.place, remark.text));
    (lines.map(|line| line.trim().to_owned()).collect(), remarks.collect())
}

#[track_caller]
fn has(lines: &[String], wanted: &[&str]) {
    for line in wanted {
        assert!(lines.iter().any(|it| it.contains(line)), "{line} is not in {lines:#?}");
    }
}

#[test]
fn haulers_images_and_charts_keep_their_platforms_and_versions() {
    let (lines, remarks) = converted(
        "apiVersion: content.hauler.cattle.io/v1\nkind: Images\nmetadata:\n  annotations:\n    hauler.dev/platform: linux/arm64\n    \
         hauler.dev/registry: quay.io\nspec:\n  images:\n  - name: busybox:1.36\n  - name: ghcr.io/a/b:1\n    platform: linux/amd64\n    \
         key: cosign.pub\n---\napiVersion: content.hauler.cattle.io/v1alpha1\nkind: Charts\nspec:\n  charts:\n  - name: rancher\n    \
         repoURL: https://releases.example\n    version: 2.10\n  \
         - name: other\n    repoURL: https://releases.example\n    add-images: true\n    add-dependencies: true\n    \
         valuesFiles: [values.yaml]\n---\napiVersion: content.hauler.cattle.io/v1\nkind: Files\nspec:\n  files:\n  \
         - path: https://get.example/install.sh\n  - path: install.sh\n    name: k3s.sh\n",
    );
    has(
        &lines,
        &[
            r#"- ref: "quay.io/busybox:1.36""#,
            r#"platforms: ["linux/arm64"]"#,
            r#"- ref: "ghcr.io/a/b:1""#,
            r#"version: "2.10""#,
            r#"values: ["values.yaml"]"#,
            r#"- path: "install.sh""#,
        ],
    );
    has(
        &remarks,
        &[
            "spec.images[1].key",
            "https://get.example/install.sh has no checksum",
            "carries these charts alone",
        ],
    );
    assert_eq!(remarks.len(), 3, "{remarks:#?}");
}

#[test]
fn a_zarf_package_gives_its_images_charts_manifests_and_files() {
    let sum = "a".repeat(64);
    let (lines, remarks) = converted(&format!(
        "kind: ZarfPackageConfig\nmetadata:\n  name: podinfo\n  architecture: amd64\ncomponents:\n- name: a\n  required: true\n  images:\n  \
         - ghcr.io/stefanprodan/podinfo:6.4.0\n  - ghcr.io/a/b:###ZARF_PKG_TMPL_V###\n  charts:\n  - name: oci\n    version: 6.4.0\n    \
         url: oci://ghcr.io/stefanprodan/charts/podinfo\n    valuesFiles: [values.yaml]\n  - name: git\n    url: https://github.com/a/b.git\n  \
         - name: tagged\n    url: https://github.com/a/d.git@v1\n  - name: pages\n    url: https://a.github.io/charts\n  \
         files:\n  - source: https://get.example/k3s\n    shasum: {sum}\n    target: /usr/local/bin/k3s\n    executable: true\n  \
         manifests:\n  - name: m\n    files: [a.yaml]\n  repos: [https://github.com/a/c.git]\n  actions: {{}}\n"
    ));
    has(
        &lines,
        &[
            r#"name: "podinfo""#,
            r#"platforms: ["linux/amd64"]"#,
            r#"- "ghcr.io/stefanprodan/podinfo:6.4.0""#,
            r#"- repo: "oci://ghcr.io/stefanprodan/charts""#,
            r#"- repo: "https://a.github.io/charts""#,
            r#"values: ["values.yaml"]"#,
            r#"- url: "https://get.example/k3s""#,
            r#"mode: "0755""#,
            r#"- "a.yaml""#,
        ],
    );
    has(
        &remarks,
        &[
            "has a template",
            "b.git is in Git: clone it",
            "d.git@v1 is in Git",
            "components[0].repos",
            "components[0].actions",
        ],
    );
}

#[test]
fn an_image_set_gives_its_images_charts_and_exclusions() {
    let (lines, remarks) = converted(
        "kind: ImageSetConfiguration\napiVersion: mirror.openshift.io/v2alpha1\narchiveSize: 4\nmirror:\n  platform:\n    channels: []\n  \
         operators:\n  - catalog: registry.redhat.io/redhat/redhat-operator-index:v4.18\n  additionalImages:\n  \
         - name: registry.redhat.io/ubi9/ubi:latest\n  helm:\n    repositories:\n    - name: podinfo\n      url: https://charts.example\n      \
         charts:\n      - name: podinfo\n        version: 5.0.0\n  blockedImages:\n  - name: registry.redhat.io/a/b:1\n",
    );
    has(
        &lines,
        &[
            r#"- "registry.redhat.io/ubi9/ubi:latest""#,
            r#"repo: "https://charts.example""#,
            r#"exclude: ["registry.redhat.io/a/b:1"]"#,
        ],
    );
    has(
        &remarks,
        &[
            "archiveSize: is not expressed: `bundle create --volume-size 4GiB`",
            "mirror.platform",
            "mirror.operators",
        ],
    );
}

#[test]
fn skopeos_tags_patterns_and_ranges_choose_the_same_tags() {
    let (lines, remarks) = converted(
        "registry.example.com:\n  images:\n    busybox: []\n    redis: [1.0, \"2.0\"]\n  images-by-tag-regex:\n    \
         nginx: ^1\\.13\\.[12]-alpine-perl$\n    other: ^\\d+$x\n  images-by-semver:\n    alpine: [\"3.12 - 3.13\", \">= 3.17\"]\n  \
         credentials: {username: john, password: hunter2}\nquay.io:\n  tls-verify: false\n  images:\n    coreos/etcd: [latest]\n",
    );
    has(
        &lines,
        &[
            r#"- ref: "registry.example.com/busybox""#,
            r#"tags: ["*"]"#,
            r#"- "registry.example.com/redis:1.0""#,
            r#"tags: ["1.13.1-alpine-perl", "1.13.2-alpine-perl"]"#,
            r#"semver: ">= 3.17""#,
            r#"- "quay.io/coreos/etcd:latest""#,
        ],
    );
    has(&remarks, &["bundle login registry.example.com", "is no pattern", "quay.io tls-verify"]);
    assert!(!remarks.concat().contains("hunter2") && !lines.concat().contains("hunter2"));
}

#[test]
fn regsyncs_filters_hold_for_its_ranges_too() {
    let (lines, remarks) = converted(
        "version: 1\ncreds:\n- registry: registry:5000\n  tls: disabled\ndefaults:\n  platforms: [linux/amd64]\nsync:\n- source: busybox:latest\n  \
         target: registry:5000/busybox:latest\n  type: image\n- source: alpine\n  target: registry:5000/alpine\n  type: repository\n  tags:\n    \
         allow: [\"3\", \"edge.*\"]\n    deny: [\"edge-bad\"]\n    semverRange: [\">=3.18\"]\n- source: registry.example\n  type: registry\n",
    );
    has(
        &lines,
        &[
            r#"plainHttp: ["registry:5000"]"#,
            r#"- ref: "busybox:latest""#,
            r#"tags: ["3", "edge*"]"#,
            r#"semver: ">=3.18""#,
            r#"exclude: ["edge-bad"]"#,
        ],
    );
    has(&remarks, &["sync[2]: registry.example is a whole registry"]);
}

#[test]
fn locks_of_imgpkg_and_helm_dt_give_their_images() {
    let digest = format!("sha256:{}", "b".repeat(64));
    let (lines, _) = converted(&format!(
        "apiVersion: imgpkg.carvel.dev/v1alpha1\nkind: ImagesLock\nimages:\n- image: index.docker.io/library/nginx@{digest}\n  annotations:\n    \
         kbld.carvel.dev/id: nginx:1\n"
    ));
    has(&lines, &[&format!(r#"- "index.docker.io/library/nginx@{digest}""#)]);
    let (lines, remarks) = converted(&format!(
        "apiVersion: v0\nkind: ImagesLock\nchart:\n  name: web\n  version: 1.0.0\nimages:\n- name: nginx\n  image: docker.io/bitnami/nginx:1.25\n  \
         chart: web\n  digests:\n  - digest: {digest}\n    arch: linux/amd64\n"
    ));
    has(&lines, &[r#"- ref: "docker.io/bitnami/nginx:1.25""#, r#"platforms: ["linux/amd64"]"#]);
    has(&remarks, &["chart: the chart web 1.0.0 itself is not carried", "images[].digests"]);
}

#[test]
fn lists_of_references_and_of_sources_with_targets_are_read() {
    let (lines, remarks) = converted(
        "# list\nimage=nginx:1.27\nquay.io/a/b:1=registry.example/mirror/b:1\ndocker://redis:7 # cache\n",
    );
    has(&lines, &[r#"- "nginx:1.27""#, r#"- "quay.io/a/b:1""#, r#"- "redis:7""#]);
    has(&remarks, &["targets are not expressed"]);
    let error = convert("nginx:1.27\nNot/A:reference:1\n", "list.txt", None).unwrap_err();
    assert_eq!(error.to_string(), "list.txt:2: 'Not/A:reference:1' is not a reference of an image");
}

#[test]
fn missing_content_is_in_the_file_as_a_comment_and_settings_are_not() {
    let converted =
        convert("kind: ZarfPackageConfig\ncomponents:\n- repos: [a]\n  images: [a/b:1]\n", "zarf.yaml", None)
            .unwrap();
    assert_eq!(converted.tool, Tool::Zarf);
    assert!(!converted.is_complete());
    assert!(
        converted.yaml.contains("# Missing: components[0].repos: Git repositories are not carried"),
        "{}",
        converted.yaml
    );
    assert_eq!(converted.remarks.iter().filter(|remark| remark.weight == Weight::Content).count(), 1);
}

#[test]
fn other_files_and_empty_ones_are_refused_with_their_place() {
    for (text, expected) in [
        ("kind: Deployment\nspec: {}\n", "x is of no form that is known: hauler, zarf"),
        ("kind: ZarfPackageConfig\ncomponents: []\n", "x asks for nothing, read as a file of zarf"),
        ("kind: ZarfPackageConfig\n---\nkind: [\n", "x:3:"),
        ("sync: []\nsync: []\n", "x:2:1: field 'sync' appears twice"),
        (
            "apiVersion: imgpkg.carvel.dev/v1alpha1\nkind: Bundle\nauthors: []\n",
            "x asks for nothing, read as a file of imgpkg",
        ),
        ("", "x is of no form that is known"),
    ] {
        let error = convert(text, "x", None).unwrap_err().to_string();
        assert!(error.starts_with(expected), "{error}");
    }
}

#[test]
fn documents_of_other_tools_and_kinds_are_missed_with_their_place() {
    let text = "apiVersion: content.hauler.cattle.io/v1\nkind: Images\nspec: {images: [{name: 'quay.io/a/b:1'}]}\n---\n\
                kind: Secret\nstringData: {}\n---\nkind: ZarfPackageConfig\ncomponents: [{images: ['quay.io/z/z:1']}]\n---\n\
                apiVersion: content.hauler.cattle.io/v1\nkind: Imagez\nspec: {images: [{name: 'quay.io/a/c:1'}]}\n---\n\
                apiVersion: collection.hauler.cattle.io/v1\nkind: K3s\nspec: {version: v1}\n";
    let (lines, remarks) = converted(text);
    has(&lines, &[r#"- "quay.io/a/b:1""#]);
    assert!(!lines.concat().contains("quay.io/a/c:1"), "{lines:?}");
    has(
        &remarks,
        &[
            "document at line 4: is not converted: hauler has no 'Secret'",
            "document at line 7: is a file of zarf",
            "document at line 10: 'Imagez' is not converted",
            "document at line 14: 'K3s' is not converted",
        ],
    );
    let converted = convert(text, "x", None).unwrap();
    assert_eq!(converted.remarks.iter().filter(|remark| remark.weight == Weight::Content).count(), 4);
}

#[test]
fn keys_of_an_image_set_are_read_in_small_letters_and_missed_in_others() {
    // As in oc-mirror's own tests (tests/unit/testdata/config/valid.yaml).
    let (lines, remarks) = converted(
        "kind: ImageSetConfiguration\nmirror:\n  additionalimages:\n  - name: quay.io/a/b:1\n  blockedimages:\n  - name: quay.io/a/c:1\n  \
         AdditionalImages: []\n  helm:\n    repositories:\n    - name: podinfo\n      url: https://charts.example\nMirror: {}\n",
    );
    has(&lines, &[r#"- "quay.io/a/b:1""#, r#"exclude: ["quay.io/a/c:1"]"#]);
    has(
        &remarks,
        &[
            "mirror.AdditionalImages: is not known",
            "mirror.helm.repositories[0]: asks for all charts",
            "Mirror: is not read",
        ],
    );
    let both = "kind: ImageSetConfiguration\nmirror: {additionalImages: [], additionalimages: []}\n";
    assert!(convert(both, "x", None).is_err(), "one of them would be lost");
}

#[test]
fn no_login_gets_into_the_file_or_the_remarks() {
    let sum = "a".repeat(64);
    for text in [
        "sync:\n- source: https://u:hunter2@quay.io/a/b:1\n  type: image\n- source: u:hunter2@quay.io/a/c:1\n  type: image\n".to_owned(),
        "creds: [{registry: 'u:hunter2@r:5000', tls: disabled, user: x}]\nsync:\n- source: quay.io/a/b:1\n  type: image\n".to_owned(),
        "u:hunter2@quay.io:\n  images: {a/b: ['1']}\n".to_owned(),
        "kind: ImageSetConfiguration\nmirror:\n  blockedImages: [{name: 'u:hunter2@quay.io/a:1'}]\n  additionalImages: [{name: 'a/b:1'}]\n".to_owned(),
        format!(
            "kind: ZarfPackageConfig\nmetadata: {{name: 'https://u:hunter2@h'}}\ncomponents:\n- charts:\n  - {{name: a, version: 1.0.0, \
             url: 'https://u:hunter2@charts.example/x'}}\n  files:\n  - {{source: 'https://u:hunter2@h/f', shasum: {sum}}}\n  \
             - {{source: 'https://u:hunter2@h/g'}}\n  manifests: [{{name: m, kustomizations: ['https://u:hunter2@h/k']}}]\n"
        ),
    ] {
        let (lines, remarks) = converted(&text);
        let whole = convert(&text, "x", None).unwrap().yaml;
        assert!(!whole.contains("hunter2") && !lines.concat().contains("hunter2"), "{whole}");
        assert!(!remarks.concat().contains("hunter2"), "{remarks:?}");
        // Nothing is left out in silence.
        assert!(remarks.concat().contains("***@"), "{remarks:?}");
    }
}

#[test]
fn a_package_whose_name_is_no_streams_has_none() {
    let (lines, remarks) =
        converted("kind: ZarfPackageConfig\nmetadata: {name: My_Pkg}\ncomponents: [{images: ['a/b:1']}]\n");
    assert!(!lines.concat().contains("My_Pkg"), "{lines:?}");
    has(&remarks, &["name: 'My_Pkg' cannot be the name of a stream"]);
}
