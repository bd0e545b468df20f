//! The CI examples of `manifests/ci`: their very commands propose a new lock. Takes both files, a registry and a git
//! repository; `gh` and GitLab's API are scripts that write down what they are asked.

use serde_json::Value;

use crate::documents::manifests::{manifests, yaml};
use crate::scene::{Ran, Scene};

/// A repository with a lock, its remote, and the program where the examples download it from.
struct Project {
    scene: Scene,
}

impl Project {
    fn new() -> Self {
        let scene = Scene::with_images();
        let host = scene.source.host();
        let text = format!(
            "name: nightly\nprojects:\n  cache:\n    images: [\"{host}/team/docker:1\", \"{host}/team/multi:1\"]\n"
        );
        std::fs::create_dir_all(scene.path("repo")).unwrap();
        std::fs::write(scene.path("repo/bundle.yaml"), text).unwrap();
        let bundle = env!("CARGO_BIN_EXE_bundle");
        scene
            .shell(&format!(
                "set -e
                 mkdir bin temp
                 ln -s {bundle} program
                 cd repo
                 {bundle} lock -f bundle.yaml
                 git init -q -b main . && git add . && git -c user.name=a -c user.email=a@b commit -qm first
                 git clone -q --bare . ../remote.git && git remote add origin ../remote.git"
            ))
            .succeeds();
        Self { scene }
    }

    fn script(&self, name: &str, text: &str) {
        std::fs::write(self.scene.path(&format!("bin/{name}")), text).unwrap();
        self.scene.shell(&format!("chmod +x bin/{name}")).succeeds();
    }

    /// Runs a script in the repository as a runner does, on a fresh checkout.
    fn runs(&self, script: &str, environment: &str) -> Ran {
        std::fs::write(self.scene.path("script"), script).unwrap();
        let sum = "$(sha256sum <program | cut -d' ' -f1)";
        self.scene.shell(&format!(
            "export PATH=$PWD/bin:$PATH TOP=$PWD BUNDLE_URL=file://$PWD/program BUNDLE_SHA256={sum} {environment}
             cd repo && git switch -q main && git reset -q --hard && bash -e ../script"
        ))
    }

    fn read(&self, name: &str) -> String {
        std::fs::read_to_string(self.scene.path(name)).unwrap_or_default()
    }

    /// Moves a tag upstream.
    fn moves_a_tag(&self) {
        let client = self.scene.source.client();
        let image = bundle_test_servers::ImageSpec::oci()
            .layer(bundle_test_servers::LayerSpec::new(99, 70_000).build())
            .build();
        client.push("team/docker", "1", &image).unwrap();
    }

    /// What the remote's branch has in place of the lock that was there.
    fn is_proposed(&self, report: &str) {
        let row =
            report.lines().find(|line| line.starts_with("| updated |")).unwrap_or_else(|| panic!("{report}"));
        assert!(row.contains("/team/docker` | `1` (`") && row.contains(" → "), "{row}");
        assert!(report.ends_with("1 updated, 1 unchanged\n"), "{report}");
        let shown = self.scene.shell("git -C remote.git diff --stat main bundle-lock").succeeds();
        shown.says("bundle.lock").says("1 file changed");
    }
}

#[test]
fn the_workflow_for_github_opens_a_pull_request_with_the_report_once_and_keeps_it_up_to_date() {
    let project = Project::new();
    project.script(
        "gh",
        "#!/bin/sh -e
echo \"$@\" >>$TOP/asked
[ \"$GH_TOKEN\" = t0ken ]
case \"$1 $2\" in
'pr list') cat $TOP/open 2>/dev/null || true ;;
'pr create' | 'pr edit') while [ \"$1\" != --body-file ]; do shift; done; cp \"$2\" $TOP/body ;;
*) exit 9 ;;
esac
",
    );
    let workflow: Value = yaml(&manifests().join("ci/github.yaml"));
    let steps = workflow["jobs"]["lock"]["steps"].as_array().unwrap();
    let step = |name: &str| {
        let step = steps.iter().find(|step| step["name"] == name).unwrap();
        step["run"].as_str().unwrap().to_owned()
    };
    let environment =
        "GH_TOKEN=t0ken RUNNER_TEMP=$PWD/temp GITHUB_PATH=$PWD/path GITHUB_STEP_SUMMARY=$PWD/summary";
    project.runs(&step("Install bundle"), environment).succeeds();
    assert_eq!(project.read("path").trim(), project.scene.path("temp/bin").to_str().unwrap());
    let other = format!("{environment} BUNDLE_SHA256={}", "0".repeat(64));
    assert_ne!(project.runs(&step("Install bundle"), &other).code, Some(0), "another program is refused");
    let environment = format!("{environment} PATH=$(cat path):$PWD/bin:$PATH");
    let propose = step("Propose a new lock");
    project.runs(&propose, &environment).succeeds();
    assert_eq!(
        (project.read("asked"), project.read("summary").trim()),
        (String::new(), "The lock is up to date.")
    );
    project.moves_a_tag();
    project.runs(&propose, &environment).succeeds();
    project.is_proposed(&project.read("body"));
    assert!(
        project.read("asked").contains("pr create --base main --head bundle-lock"),
        "{}",
        project.read("asked")
    );
    std::fs::write(project.scene.path("open"), "7\n").unwrap();
    project.runs(&propose, &environment).succeeds();
    assert!(project.read("asked").lines().last().unwrap().starts_with("pr edit bundle-lock "));
    project.is_proposed(&project.read("body"));
}

#[test]
fn the_job_for_gitlab_opens_a_merge_request_with_the_report_and_shows_its_token_to_nobody() {
    let project = Project::new();
    project.script(
        "curl",
        "#!/bin/sh -e
case \"$*\" in
*--config*)
    cat >$TOP/config
    echo \"$@\" >>$TOP/asked
    for word; do case $word in description@*) cp \"${word#description@}\" $TOP/body ;; esac; done
    case \"$*\" in *state=opened*) cat $TOP/open 2>/dev/null || echo '[]' ;; esac
    ;;
*) exec /usr/bin/curl \"$@\" ;;
esac
",
    );
    let file: Value = yaml(&manifests().join("ci/gitlab.yaml"));
    let job = &file["bundle-lock"];
    let lines = |field: &str| -> Vec<String> {
        job[field].as_array().unwrap().iter().map(|line| line.as_str().unwrap().to_owned()).collect()
    };
    let install: Vec<String> =
        lines("before_script").into_iter().filter(|line| !line.starts_with("apt-get ")).collect();
    assert_eq!(install.len(), 3);
    let installed = project.scene.path("temp/bundle").display().to_string();
    let install = install.join("\n").replace("/usr/local/bin/bundle", &installed);
    let environment = "BUNDLE_BOT_TOKEN=t0ken CI_SERVER_URL=file://$PWD CI_PROJECT_PATH=remote CI_PROJECT_ID=7 \
                       CI_API_V4_URL=https://gitlab.example/api/v4 CI_DEFAULT_BRANCH=main PATH=$PWD/temp:$PWD/bin:$PATH";
    project.runs(&install, environment).succeeds();
    let script = lines("script").join("\n");
    project.runs(&script, environment).succeeds().says("The lock is up to date.");
    assert_eq!(project.read("asked"), "");
    project.moves_a_tag();
    project.runs(&script, environment).succeeds().says("| updated |");
    project.is_proposed(&project.read("body"));
    let asked = project.read("asked");
    let requests = "https://gitlab.example/api/v4/projects/7/merge_requests";
    assert!(asked.lines().last().unwrap().ends_with(requests), "{asked}");
    assert!(asked.contains("--data source_branch=bundle-lock --data target_branch=main"), "{asked}");
    std::fs::write(project.scene.path("open"), "[{\"iid\": 12}]").unwrap();
    project.runs(&script, environment).succeeds();
    let asked = project.read("asked");
    assert!(asked.lines().last().unwrap().ends_with(&format!("{requests}/12")), "{asked}");
    assert!(
        !asked.contains("t0ken") && project.read("config").contains("\"PRIVATE-TOKEN: t0ken\""),
        "{asked}"
    );
}

#[test]
fn actionlint_finds_nothing_wrong_with_the_workflow_for_github() {
    let Some(actionlint) = bundle_test_needs::program("actionlint") else { return };
    let scene = Scene::empty();
    let file = manifests().join("ci/github.yaml");
    // It takes a file for a workflow by its place, and looks for a repository around it.
    scene
        .shell(&format!("mkdir -p .git .github/workflows && cp {} .github/workflows/", file.display()))
        .succeeds();
    scene.shell(&format!("{} .github/workflows/github.yaml", actionlint.display())).succeeds();
    scene
        .shell(&format!(
            "sed -i 's/runs-on: ubuntu-latest/runs-on: nothing-such/' .github/workflows/github.yaml && ! {} .github/workflows/github.yaml",
            actionlint.display()
        ))
        .succeeds()
        .says("nothing-such");
}
