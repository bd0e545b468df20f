//! `bundle convert` on what other projects publish: samples of their own repositories, fetched from GitHub at each run
//! and kept nowhere. Takes each sample at one commit; what it names is read here by other code than the program's.

use std::collections::BTreeSet;
use std::path::PathBuf;
use std::process::Command;

use bundle_test_servers::{ImageSpec, LayerSpec};
use serde_json::Value;
use tempfile::TempDir;

use crate::scene::{Ran, Scene};
use crate::wanted::plan::targets;

/// A repository at a commit, whose samples are of one tool.
struct Project {
    name: &'static str,
    commit: &'static str,
    tool: &'static str,
    samples: &'static [Sample],
}

/// A file, and what is to come of it.
struct Sample {
    path: &'static str,
    /// Files that it names, as text that the program reads.
    beside: &'static [&'static str],
    /// 0, or 6 where a part has no place in a bundle.yaml.
    code: i32,
    /// What it names and no bundle.yaml can ask for: each is said to be missing.
    lost: &'static [&'static str],
    charts: usize,
}

impl Sample {
    const WHOLE: Self = Self { path: "", beside: &[], code: 0, lost: &[], charts: 0 };
}

const PROJECTS: [Project; 7] = [
    Project {
        name: "hauler-dev/hauler",
        commit: "923a92d8ce93e29cd36e0d22b51931833edc54e3",
        tool: "hauler",
        samples: &[
            // A file on a web server without a checksum.
            Sample { path: "testdata/hauler-manifest.yaml", code: 6, charts: 2, ..Sample::WHOLE },
            Sample {
                path: "testdata/hauler-manifest-pipeline.yaml",
                beside: &[
                    "testdata/chart-with-file-dependency-chart-required-values.yaml",
                    "testdata/chart-with-file-dependency-chart-required-values-2.yaml",
                ],
                code: 6,
                charts: 9,
                ..Sample::WHOLE
            },
        ],
    },
    Project {
        name: "zarf-dev/zarf",
        commit: "97a1b4d0e9ca6095450f87a9c8690d5c76f71702",
        tool: "zarf",
        samples: &[
            // A manifest on a web server, and a repository in Git.
            Sample { path: "examples/podinfo-flux/zarf.yaml", code: 6, ..Sample::WHOLE },
            Sample {
                path: "examples/longhorn/zarf.yaml",
                beside: &["examples/longhorn/values.yaml"],
                charts: 1,
                ..Sample::WHOLE
            },
            Sample {
                path: "examples/argocd/zarf.yaml",
                beside: &[
                    "examples/argocd/baseline/values.yaml",
                    "examples/argocd/apps/values.yaml",
                    "examples/argocd/applicationset/values.yaml",
                    "examples/argocd/oci-helm/values.yaml",
                    "examples/argocd/oci-manifests/values.yaml",
                ],
                code: 6,
                charts: 5,
                ..Sample::WHOLE
            },
            // One of its four charts is in Git.
            Sample {
                path: "examples/helm-charts/zarf.yaml",
                beside: &["examples/helm-charts/values.yaml"],
                code: 6,
                charts: 3,
                ..Sample::WHOLE
            },
            Sample { path: "examples/package-flavors/zarf.yaml", ..Sample::WHOLE },
        ],
    },
    Project {
        name: "openshift/oc-mirror",
        commit: "855b64a3c9c03634bcab6210b641274772050cda",
        tool: "oc-mirror",
        samples: &[
            // OpenShift's releases and operators are not converted.
            Sample {
                path: "docs/image-set-examples/image-set-config.yaml",
                code: 6,
                charts: 2,
                ..Sample::WHOLE
            },
            Sample { path: "tests/e2e/test/e2e/testdata/workloads/config-72973.yaml", ..Sample::WHOLE },
            // One of its digests has 66 characters.
            Sample {
                path: "tests/e2e/test/e2e/testdata/workloads/config-73783.yaml",
                code: 6,
                lost: &[
                    "quay.io/coreos/etcd:v3.5.4@sha256:a67fb152d4c53223e96e818420c37f11d05c2d92cf62c05ca5604066c37295e9ab",
                ],
                ..Sample::WHOLE
            },
            Sample {
                path: "tests/integration/testdata/imagesetconfigs/parallel_copy/isc-parallel-images.yaml",
                ..Sample::WHOLE
            },
        ],
    },
    Project {
        name: "containers/skopeo",
        commit: "b71619af4512a2c77dd160576492d4ebbc0b63ea",
        tool: "skopeo",
        samples: &[Sample { path: "docs/skopeo-sync.1.md", ..Sample::WHOLE }],
    },
    Project {
        name: "regclient/regclient",
        commit: "725072f65f14ab63d6b220246c3a889dcd5e2f5f",
        tool: "regsync",
        samples: &[
            Sample { path: "cmd/regsync/testdata/config1.yml", ..Sample::WHOLE },
            Sample { path: "cmd/regsync/testdata/config2.yml", ..Sample::WHOLE },
            // Their tags are expressions that no pattern expresses.
            Sample {
                path: "docs/examples/regsync.yml",
                code: 6,
                lost: &["alpine", "debian"],
                ..Sample::WHOLE
            },
        ],
    },
    Project {
        name: "carvel-dev/imgpkg",
        commit: "240e8789fa543b7c3c4561dee85866dd6c852c44",
        tool: "imgpkg",
        samples: &[
            Sample { path: "examples/basic-step-2/.imgpkg/images.yml", ..Sample::WHOLE },
            Sample { path: "test/e2e/assets/cf-for-k8s-bundle/.imgpkg/images.yml", ..Sample::WHOLE },
        ],
    },
    Project {
        name: "vmware-labs/distribution-tooling-for-helm",
        commit: "37113e584a5b114b8844c938965cae20ede834a1",
        tool: "helm-dt",
        // The lock does not say where its chart is.
        samples: &[Sample { path: "README.md", code: 6, ..Sample::WHOLE }],
    },
];

/// A work tree with a project's samples and no other of its files.
struct WorkTree {
    directory: TempDir,
    project: &'static Project,
}

impl WorkTree {
    fn fetched(project: &'static Project) -> Self {
        let tree = Self { directory: tempfile::tempdir().unwrap(), project };
        let address = format!("https://github.com/{}", project.name);
        tree.git(&["init", "--quiet"]).succeeds();
        tree.git(&["remote", "add", "origin", &address]).succeeds();
        let fetch = ["fetch", "--quiet", "--depth", "1", "--filter=blob:none", "origin", project.commit];
        // A public server may fail once.
        if tree.git(&fetch).code != Some(0) {
            tree.git(&fetch).succeeds();
        }
        let paths = project.samples.iter().flat_map(|sample| [&[sample.path], sample.beside].concat());
        let checkout = ["checkout", "--quiet", "FETCH_HEAD", "--"].into_iter().chain(paths);
        tree.git(&checkout.collect::<Vec<_>>()).succeeds();
        tree
    }

    fn git(&self, arguments: &[&str]) -> Ran {
        let mut command = Command::new("git");
        // Slower than a kilobyte a second for a minute is no answer.
        command.env("GIT_HTTP_LOW_SPEED_LIMIT", "1000").env("GIT_HTTP_LOW_SPEED_TIME", "60");
        command.env("GIT_TERMINAL_PROMPT", "0").args(arguments).current_dir(self.directory.path());
        Ran::from(command.output().unwrap())
    }

    /// The sample as a file of its tool: of a page, the block that is one.
    fn file(&self, sample: &Sample) -> PathBuf {
        let path = self.directory.path().join(sample.path);
        if !sample.path.ends_with(".md") {
            return path;
        }
        let page = std::fs::read_to_string(&path).unwrap();
        let mark = if self.project.tool == "skopeo" { "images-by-tag-regex:" } else { "kind: ImagesLock" };
        let blocks = page.split("```yaml\n").skip(1).map(|block| block.split("```").next().unwrap());
        let block = blocks.into_iter().find(|block| block.contains(mark)).expect("a block of the tool's");
        let path = path.with_extension("yaml");
        std::fs::write(&path, block).unwrap();
        path
    }
}

/// The texts at a place of a document: `*` is each of a list.
fn at(document: &Value, place: &[&str]) -> Vec<String> {
    match place {
        [] => document.as_str().map(str::to_owned).into_iter().collect(),
        ["*", rest @ ..] => document.as_array().into_iter().flatten().flat_map(|it| at(it, rest)).collect(),
        [name, rest @ ..] => at(&document[*name], rest),
    }
}

/// The images that a tool's documents name, each as its tool writes it, and repositories whose tags are chosen.
fn named(tool: &str, documents: &[Value]) -> BTreeSet<String> {
    let place: &[&str] = match tool {
        "hauler" => &["spec", "images", "*", "name"],
        "zarf" => &["components", "*", "images", "*"],
        "oc-mirror" => &["mirror", "additionalImages", "*", "name"],
        "regsync" => &["sync", "*", "source"],
        "imgpkg" | "helm-dt" => &["images", "*", "image"],
        "skopeo" => return documents.iter().flat_map(named_by_skopeo).collect(),
        _ => panic!("{tool}"),
    };
    documents.iter().flat_map(|document| at(document, place)).collect()
}

/// skopeo-sync(1): a list of tags or digests, all tags of an empty list, and tags that are chosen otherwise.
fn named_by_skopeo(document: &Value) -> Vec<String> {
    let mut found = Vec::new();
    for (host, registry) in document.as_object().unwrap() {
        for kind in ["images", "images-by-tag-regex", "images-by-semver"] {
            for (repository, tags) in registry[kind].as_object().into_iter().flatten() {
                let tags = tags.as_array().filter(|tags| !tags.is_empty());
                match tags {
                    None => found.push(format!("{host}/{repository}")),
                    Some(tags) => found.extend(tags.iter().map(|tag| {
                        let tag = tag.as_str().unwrap();
                        let mark = if tag.contains(':') { '@' } else { ':' };
                        format!("{host}/{repository}{mark}{tag}")
                    })),
                }
            }
        }
    }
    found
}

fn documents(text: &str) -> Vec<Value> {
    serde_saphyr::from_multiple(text).unwrap()
}

/// The images that a bundle.yaml asks for: what stands behind `ref` or alone.
fn asked(bundle: &Value) -> BTreeSet<String> {
    let images = bundle["projects"]["cache"]["images"].as_array();
    let text = |image: &Value| image.as_str().or(image["ref"].as_str()).unwrap().to_owned();
    images.into_iter().flatten().map(text).collect()
}

/// Converts a sample with the program, and compares both. Gives the bundle.yaml.
fn converted(scene: &Scene, tree: &WorkTree, sample: &Sample) -> PathBuf {
    let (tool, file) = (tree.project.tool, tree.file(sample));
    let place = format!("{} {}", tree.project.name, sample.path);
    let ran = scene.bundle(["convert".as_ref(), file.as_os_str()]);
    assert_eq!(ran.code, Some(sample.code), "{place}: {ran:?}");
    assert!(ran.stdout.lines().next().unwrap().ends_with(&format!("({tool}).")), "{place}: {ran:?}");
    let missing = ran.stderr.lines().filter(|line| line.starts_with("missing: ")).count();
    assert!(missing >= sample.lost.len().max(usize::from(sample.code == 6)), "{place}: {}", ran.stderr);
    let bundle: Value = serde_saphyr::from_str(&ran.stdout).unwrap();
    let mut named = named(tool, &documents(&std::fs::read_to_string(&file).unwrap()));
    assert!(!named.is_empty(), "{place} names nothing");
    for lost in sample.lost {
        assert!(named.remove(*lost), "{place} does not name {lost}");
    }
    assert_eq!(asked(&bundle), named, "{place}: {}", ran.stderr);
    let charts = bundle["projects"]["cache"]["charts"].as_array().map_or(0, Vec::len);
    assert_eq!(charts, sample.charts, "{place}: {}\n{}", ran.stdout, ran.stderr);
    let path = file.with_file_name("bundle.yaml");
    std::fs::write(&path, &ran.stdout).unwrap();
    scene.bundle(["schema".as_ref(), "bundle".as_ref(), "--check".as_ref(), path.as_os_str()]).succeeds();
    path
}

/// The name that a reference has in the project `cache`.
fn cached(reference: &str) -> String {
    let (first, rest) = reference.split_once('/').unwrap_or(("", reference));
    match first {
        "" => format!("cache/docker.io/library/{rest}"),
        host if host.contains('.') => format!("cache/{reference}"),
        _ => format!("cache/docker.io/{reference}"),
    }
}

/// Plans a bundle.yaml of images by tag and nothing else, from a registry that has them.
fn plan(scene: &Scene, path: &PathBuf) -> bool {
    let bundle: Value = serde_saphyr::from_str(&std::fs::read_to_string(path).unwrap()).unwrap();
    let images = asked(&bundle);
    let whole = bundle["projects"]["cache"].as_object().is_some_and(|project| project.len() == 1);
    let by_tag = bundle["projects"]["cache"]["images"].as_array().into_iter().flatten().all(Value::is_string)
        && images.iter().all(|image| image.contains(':') && !image.contains('@'));
    if !whole || !by_tag {
        return false;
    }
    let (mut expected, mut hosts) = (Vec::new(), BTreeSet::new());
    let mut command = scene.command(["create", "--dry-run", "--json", "--no-referrers", "-f"]);
    command.arg(path);
    for (image, seed) in images.iter().zip(1..) {
        let target = cached(image);
        let (host, name) = target.trim_start_matches("cache/").split_once('/').unwrap();
        let (repository, tag) = name.rsplit_once(':').unwrap();
        let pushed = ImageSpec::oci().layer(LayerSpec::new(seed, 2_000)).build();
        scene.source.client().push(repository, tag, &pushed).unwrap();
        hosts.insert(host.to_owned());
        expected.push(target);
    }
    for host in hosts {
        command.args(["--mirror", &format!("{host}={}", scene.source.host())]);
    }
    expected.sort();
    assert_eq!(targets(&Ran::from(command.output().unwrap()).succeeds()), expected, "{}", path.display());
    true
}

#[test]
fn what_other_projects_publish_is_converted_to_the_same_images() {
    let host = "github.com";
    let reached = Command::new("git")
        .args([
            "ls-remote",
            "--quiet",
            "--exit-code",
            &format!("https://{host}/{}", PROJECTS[0].name),
            "HEAD",
        ])
        .env("GIT_TERMINAL_PROMPT", "0")
        .env("GIT_HTTP_LOW_SPEED_LIMIT", "1000")
        .env("GIT_HTTP_LOW_SPEED_TIME", "30")
        .output()
        .unwrap();
    if !reached.status.success() {
        return bundle_test_needs::not_fetched("samples of other projects' files", host);
    }
    let scene = Scene::empty();
    let mut planned = 0;
    for project in &PROJECTS {
        let tree = WorkTree::fetched(project);
        for sample in project.samples {
            let bundle = converted(&scene, &tree, sample);
            planned += usize::from(plan(&scene, &bundle));
        }
    }
    assert!(planned >= 3, "{planned}");
}
