//! The rights of accounts in a Harbor that the program has set up. Members, robots and their secrets, up to
//! the Kubernetes secret that a node reads.

use std::os::unix::fs::PermissionsExt;
use std::path::Path;

use bundle_test_servers::{Credentials, Fault, Findings, Matcher, Robot, Rule, Severity};

use crate::harbor::scene::HarborScene;
use crate::scene::Ran;

const TWO_TENANTS: &str = "\
projects:
  cache:
    images: [SOURCE/team/base:1]
  tenants:
    tenant-a:
      images: [SOURCE/team/app-a:1]
    tenant-b:
      images: [SOURCE/team/app-b:1]
";

fn two_tenants() -> HarborScene {
    let it = HarborScene::empty();
    for (name, seed) in [("base", 1), ("app-a", 2), ("app-b", 3)] {
        it.push_image(&format!("team/{name}"), "1", seed);
    }
    it.create(TWO_TENANTS, "b.tar");
    it
}

impl HarborScene {
    fn harbor(&self, account: &Credentials, arguments: &[&str]) -> Ran {
        let to = format!("http://{}", self.harbor.host());
        let mut all = vec!["harbor"];
        all.extend_from_slice(arguments);
        all.extend(["--to", &to]);
        self.bundle_as(account, &all)
    }

    fn bootstrap(&self, more: &[&str]) -> Ran {
        let mut arguments = vec!["bootstrap", "--bundle", "b.tar", "--trust", "key.pub"];
        arguments.extend_from_slice(more);
        self.harbor(&self.harbor.admin_credentials(), &arguments)
    }

    /// The account in a file that bootstrap wrote.
    fn account(&self, file: &str) -> Credentials {
        let text = std::fs::read_to_string(self.scene.path(file)).unwrap();
        let config = match file.ends_with(".yaml") {
            false => text,
            true => {
                let data = text.lines().find_map(|line| line.strip_prefix("  .dockerconfigjson: ")).unwrap();
                let ran = self.scene.shell(&format!("printf %s {data} | base64 -d")).succeeds();
                ran.stdout
            }
        };
        let config: serde_json::Value = serde_json::from_str(&config).unwrap();
        let entry = &config["auths"][self.harbor.host()];
        let text = |field: &str| entry[field].as_str().unwrap().to_owned();
        Credentials { name: text("username"), secret: text("password") }
    }
}

fn mode(path: &Path) -> u32 {
    std::fs::metadata(path).unwrap().permissions().mode() & 0o777
}

#[test]
fn bootstrap_makes_projects_accounts_and_pull_secrets_and_a_second_run_changes_nothing() {
    let it = two_tenants();
    let ran = it.bootstrap(&[]).succeeds();
    let ran = ran
        .says("create   bundle-importer: imports bundles into cache, platform, tenant-a, tenant-b")
        .says("create   pull-tenant-a: pulls from cache, tenant-a")
        .says("wrote    harbor-secrets/tenant-b.yaml");
    assert_eq!(it.harbor.projects(), ["cache", "library", "platform", "tenant-a", "tenant-b"]);
    assert_eq!(
        it.harbor.robots(),
        ["robot$bundle-importer", "robot$pull-cache", "robot$pull-tenant-a", "robot$pull-tenant-b"]
    );
    assert_eq!(mode(&it.scene.path("harbor-secrets")), 0o700);
    for file in ["importer.json", "tenant-a.yaml", "tenant-b.yaml"] {
        assert_eq!(mode(&it.scene.path(&format!("harbor-secrets/{file}"))), 0o600, "{file}");
    }
    let secret = std::fs::read_to_string(it.scene.path("harbor-secrets/tenant-a.yaml")).unwrap();
    for line in [
        "kind: Secret",
        "  name: harbor-registry",
        "  namespace: \"tenant-a\"",
        "type: kubernetes.io/dockerconfigjson",
    ] {
        assert!(secret.contains(line), "{secret}");
    }
    // Secrets are in the files alone.
    for file in ["importer.json", "tenant-a.yaml", "tenant-b.yaml"] {
        let account = it.account(&format!("harbor-secrets/{file}"));
        assert!(!ran.stdout.contains(&account.secret) && !ran.stderr.contains(&account.secret));
    }
    it.harbor.forget_requests();
    it.bootstrap(&[]).succeeds().says("keep     pull-tenant-a");
    for method in ["POST", "PUT", "PATCH", "DELETE"] {
        assert_eq!(it.asked(method, ""), 0, "{method}");
    }
    // The importer's account suffices, by its file.
    let to = format!("http://{}", it.harbor.host());
    let import = [
        "import",
        "b.tar",
        "--to",
        &to,
        "--trust",
        "key.pub",
        "--credentials",
        "harbor-secrets/importer.json",
    ];
    it.scene.bundle(import).succeeds().says("3 artifacts pushed");
    let check = [
        "harbor",
        "check",
        "--to",
        &to,
        "--credentials",
        "harbor-secrets/importer.json",
        "--project",
        "tenant-a",
    ];
    it.scene.bundle(check).succeeds().says("ok   tenant-a: private, automatic scan");
}

#[test]
fn a_tenant_pulls_its_own_project_and_cache_and_nothing_of_others() {
    let it = two_tenants();
    it.bootstrap(&[]).succeeds();
    let importer = it.account("harbor-secrets/importer.json");
    it.import_as(&importer, &["--wait-for-scan", "1m"]).succeeds();
    let (a, b) = (it.account("harbor-secrets/tenant-a.yaml"), it.account("harbor-secrets/tenant-b.yaml"));
    let cached = it.cached("team/base");
    for (account, repository, status) in [
        (&a, "tenant-a/app-a", 200),
        (&a, cached.as_str(), 200),
        (&a, "tenant-b/app-b", 401),
        (&b, "tenant-b/app-b", 200),
        (&b, cached.as_str(), 200),
        (&b, "tenant-a/app-a", 401),
    ] {
        assert_eq!(it.pull(account, repository, "1"), status, "{} {repository}", account.name);
    }
    // Only the importer can push; tenants cannot, not even into their own project.
    let image = bundle_test_servers::ImageSpec::oci().build();
    for repository in ["tenant-a/app-a", cached.as_str(), "tenant-b/app-b"] {
        assert!(it.harbor.client(&a).push(repository, "2", &image).is_err(), "{repository}");
    }
}

#[test]
fn a_blocked_image_cannot_be_pulled_and_a_warned_one_can() {
    let it = two_tenants();
    it.bootstrap(&[]).succeeds();
    let source = it.scene.source.client();
    let digest = |name: &str| source.manifest(&format!("team/{name}"), "1").unwrap().unwrap().digest;
    it.harbor.set_findings(
        &digest("app-a"),
        Findings::clean().with(Severity::Critical, 1).with(Severity::High, 3).fixable(2),
    );
    it.harbor.set_findings(&digest("base"), Findings::clean().with(Severity::Medium, 4));
    let importer = it.account("harbor-secrets/importer.json");
    it.import_as(&importer, &["--wait-for-scan"])
        .ends_with(5)
        .says("blocked   tenant-a/app-a:1: 1 critical, 3 high (2 fixable)")
        .says("4 medium (0 fixable)")
        .says("3 images: 1 blocked, 1 warned, 1 allowed, 0 unscanned")
        .says("1 image delivered that Harbor does not let anybody pull");
    let tenant = it.account("harbor-secrets/tenant-a.yaml");
    assert_eq!(it.pull(&tenant, "tenant-a/app-a", "1"), 412);
    assert_eq!(it.pull(&tenant, &it.cached("team/base"), "1"), 200);
}

#[test]
fn a_new_tenant_is_added_to_what_there_is() {
    let it = two_tenants();
    it.harbor.set_robot_prefix("bot-");
    it.bootstrap(&[]).succeeds();
    it.push_image("team/app-c", "1", 4);
    it.create(
        "name: tenant-c\nprojects:\n  tenants:\n    tenant-c:\n      images: [SOURCE/team/app-c:1]\n",
        "c.tar",
    );
    let importer = it.account("harbor-secrets/importer.json");
    let to = format!("http://{}", it.harbor.host());
    let import = ["import", "c.tar", "--to", &to, "--trust", "key.pub"];
    it.bundle_as(&importer, &import)
        .ends_with(5)
        .says("project tenant-c is missing, and this account may not create it")
        .says("bundle harbor bootstrap --to");
    it.harbor(&it.harbor.admin_credentials(), &["bootstrap", "--project", "tenant-c"])
        .succeeds()
        .says("change   bundle-importer")
        .says("create   pull-tenant-c");
    it.bundle_as(&importer, &import).succeeds();
    // The importer keeps its earlier rights.
    it.import_as(&importer, &[]).succeeds();
    // The importer's, the nodes', and three tenants'.
    assert_eq!(it.harbor.robots().len(), 5);
}

#[test]
fn rotation_ends_the_old_secret_and_keeps_the_new_one() {
    let it = two_tenants();
    it.bootstrap(&[]).succeeds();
    let importer = it.account("harbor-secrets/importer.json");
    it.import_as(&importer, &["--wait-for-scan"]).succeeds();
    let old = it.account("harbor-secrets/tenant-a.yaml");
    assert_eq!(it.pull(&old, "tenant-a/app-a", "1"), 200);
    it.harbor(&it.harbor.admin_credentials(), &["rotate", "tenant-a", "importer"])
        .succeeds()
        .says("pull-tenant-a has a new secret; the old one no longer works");
    let new = it.account("harbor-secrets/tenant-a.yaml");
    assert_eq!(new.name, old.name);
    assert_eq!(it.pull(&old, "tenant-a/app-a", "1"), 401);
    assert_eq!(it.pull(&new, "tenant-a/app-a", "1"), 200);
    it.import_as(&importer, &[]).ends_with(4);
    it.import_as(&it.account("harbor-secrets/importer.json"), &[]).succeeds();
    // A robot cannot, with any rights.
    it.harbor(&it.account("harbor-secrets/importer.json"), &["rotate", "tenant-a"]).ends_with(4);
    it.harbor(&it.harbor.admin_credentials(), &["rotate", "tenant-x"])
        .ends_with(2)
        .says("there is no robot account");
}

#[test]
fn nodes_pull_with_an_account_that_reads_the_cache_and_nothing_else() {
    let it = two_tenants();
    it.bootstrap(&[]).succeeds().says("create   pull-cache: pulls for nodes from cache");
    it.import_as(&it.account("harbor-secrets/importer.json"), &["--wait-for-scan"]).succeeds();
    let nodes = it.account("harbor-secrets/cache.json");
    assert_eq!(mode(&it.scene.path("harbor-secrets/cache.json")), 0o600);
    assert_ne!(it.pull(&nodes, "tenant-a/app-a", "1"), 200);
    let host = it.harbor.host();
    let node = |credentials: &str, more: &str| {
        it.scene.shell(&format!(
            "rm -rf node; $BUNDLE mirror-config b.tar --trust key.pub --for k3s --registry {host} \
             --credentials {credentials} -o node {more}"
        ))
    };
    node("harbor-secrets/cache.json", "").succeeds();
    // A tenant's account would let any pod of the node run the tenant's images, without a secret.
    let refused = node("harbor-secrets/tenant-a.yaml", "").ends_with(5);
    refused.says("opens the private projects tenant-a, too").says("harbor-secrets/cache.json");
    assert!(!it.scene.path("node").exists());
    node("harbor-secrets/tenant-a.yaml", "--wide-account").succeeds().says("note: the account in");
    let admin = it.harbor.admin_credentials();
    let login = serde_json::json!({"auths": {host: {"username": admin.name, "password": admin.secret}}});
    it.write("admin.json", &login.to_string());
    node("admin.json", "").ends_with(5).says("is an administrator's");
    let login = serde_json::json!({"auths": {host: {"username": nodes.name, "password": "wrong"}}});
    it.write("wrong.json", &login.to_string());
    for more in ["", "--wide-account"] {
        node("wrong.json", more).ends_with(2).says("does not accept the account in wrong.json");
    }
    // A secret that changes takes the nodes' files with it.
    let rotated = it.harbor(&admin, &["rotate", "cache"]).succeeds();
    rotated.says("wrote    harbor-secrets/cache.json").says("/etc/rancher/k3s/registries.yaml");
    node("harbor-secrets/cache.json", "").succeeds();
}

#[test]
fn a_bootstrap_that_broke_off_loses_no_secret() {
    let it = two_tenants();
    // The robot is made, and the answer with its secret gets lost.
    it.harbor
        .faults()
        .add(Rule::new(Matcher::new("POST", "/api/v2.0/robots"), Fault::SwallowResponse).after(2).once());
    it.bootstrap(&[]).ends_with(4).says("robot account pull-tenant-a cannot be made");
    assert!(it.scene.path("harbor-secrets/tenant-a.yaml.new").exists());
    it.bootstrap(&[]).succeeds().says("wrote    harbor-secrets/tenant-a.yaml");
    assert!(!it.scene.path("harbor-secrets/tenant-a.yaml.new").exists());
    it.import_as(&it.account("harbor-secrets/importer.json"), &["--wait-for-scan"]).succeeds();
    assert_eq!(it.pull(&it.account("harbor-secrets/tenant-a.yaml"), "tenant-a/app-a", "1"), 200);
    // A place that cannot be written to is found before a robot is made.
    let it = two_tenants();
    it.write("blocked", "");
    it.bootstrap(&["--secrets", "blocked"]).ends_with(2).says("blocked cannot be made");
    assert_eq!(it.harbor.robots().len(), 0);
}

#[test]
fn secrets_are_applied_with_kubectl_when_asked_and_kept_when_that_fails() {
    let it = two_tenants();
    it.scene.shell("mkdir bin && printf '#!/bin/sh\\ncat > applied.yaml\\necho \"$@\" > arguments\\n' > bin/kubectl && chmod +x bin/kubectl").succeeds();
    let admin = it.harbor.admin_credentials();
    let run = |extra: &str| {
        it.scene.shell(&format!(
            "PATH=$PWD/bin:$PATH BUNDLE_USERNAME={} BUNDLE_PASSWORD={} $BUNDLE harbor {extra} --to http://{}",
            admin.name,
            admin.secret,
            it.harbor.host()
        ))
    };
    // The namespace comes later than the account: nothing ended, no other secret waits, and the next run applies it.
    it.scene
        .shell("cp bin/kubectl good && printf '#!/bin/sh\\ngrep -q tenant-a && echo namespaces tenant-a not found >&2 && exit 1\\nexit 0\\n' > bin/kubectl")
        .succeeds();
    let ran = run("bootstrap --project tenant-a --project tenant-b --apply").ends_with(1);
    assert!(!ran.stderr.contains("no longer works"), "{}", ran.stderr);
    ran.says("applied  the secret harbor-registry in tenant-b")
        .says("namespaces tenant-a not found")
        .says("create it; then run the same command again");
    let kept = it.account("harbor-secrets/tenant-a.yaml");
    it.scene.shell("cp good bin/kubectl").succeeds();
    run("bootstrap --project tenant-a --apply")
        .succeeds()
        .says("applied  the secret harbor-registry in tenant-a");
    assert_eq!(it.account("applied.yaml").secret, kept.secret, "the secret of the first run is applied");
    assert_eq!(std::fs::read_to_string(it.scene.path("arguments")).unwrap(), "apply -f -\n");
    assert!(
        std::fs::read_to_string(it.scene.path("applied.yaml")).unwrap().contains("namespace: \"tenant-a\"")
    );
    assert!(!it.scene.path("harbor-secrets/tenant-a.yaml").exists());
    assert!(!it.scene.path("harbor-secrets/tenant-a.yaml.new").exists());
    // A file of an earlier run is not left there with a secret that no longer works.
    it.write("harbor-secrets/tenant-a.yaml", "old");
    run("rotate tenant-a --apply").succeeds();
    assert!(!it.scene.path("harbor-secrets/tenant-a.yaml").exists());
    // One that ended elsewhere meanwhile is not restored.
    let dead = it.account("applied.yaml");
    run("rotate tenant-a").succeeds();
    let text = std::fs::read_to_string(it.scene.path("harbor-secrets/tenant-a.yaml")).unwrap();
    it.scene.shell("cp applied.yaml harbor-secrets/tenant-a.yaml && rm applied.yaml").succeeds();
    run("bootstrap --project tenant-a --apply").ends_with(2).says("Harbor does not accept it");
    assert!(!it.scene.path("applied.yaml").exists());
    it.write("harbor-secrets/tenant-a.yaml", &text);
    run("bootstrap --project tenant-a --apply").succeeds().says("applied  the secret");
    assert_ne!(it.account("applied.yaml").secret, dead.secret);
    it.scene.shell("printf '#!/bin/sh\\necho no cluster >&2\\nexit 1\\n' > bin/kubectl").succeeds();
    run("rotate tenant-a --apply")
        .ends_with(1)
        .says("no cluster")
        .says("kubectl apply -f harbor-secrets/tenant-a.yaml");
    assert_eq!(mode(&it.scene.path("harbor-secrets/tenant-a.yaml")), 0o600);
}

#[test]
fn check_names_each_right_that_is_missing() {
    let it = two_tenants();
    it.harbor.add_project("cache");
    let robot = it
        .harbor
        .add_robot(Robot::of_system("half").in_project("cache", &["project:read", "repository:push"]));
    it.harbor(&robot, &["check", "--project", "tenant-a"])
        .ends_with(5)
        .says("Harbor v2.15.2-080b0220 at")
        .says("this account lacks repository:pull, artifact:read, artifact:list in the project cache")
        .says("project tenant-a is missing, and this account may not create it")
        .says("without quota:read");
    let json = it.harbor(&robot, &["check", "--json"]).ends_with(5).json();
    assert_eq!(json["projects"][0]["missing"][0], "repository:pull");
    it.harbor(&robot, &["bootstrap"]).ends_with(5).says("this account is not an administrator");
    it.harbor(&it.harbor.admin_credentials(), &["check"]).ends_with(0);
}

#[test]
fn more_projects_and_robots_than_fit_on_a_page_are_all_seen() {
    let it = HarborScene::empty();
    for number in 0..120 {
        it.harbor.add_robot(Robot::of_system(&format!("other-{number}")));
    }
    let names: Vec<String> = (0..12).map(|number| format!("tenant-{number:02}")).collect();
    let mut arguments = vec!["bootstrap"];
    for name in &names {
        arguments.extend(["--project", name.as_str()]);
    }
    let admin = it.harbor.admin_credentials();
    it.harbor(&admin, &arguments).succeeds();
    it.harbor.forget_requests();
    it.harbor(&admin, &arguments).succeeds().says("keep     pull-tenant-11");
    assert_eq!(it.asked("POST", "") + it.asked("PUT", "") + it.asked("PATCH", ""), 0);
    // The importer's, the nodes', and one for each tenant.
    assert_eq!(it.harbor.robots().len(), 120 + 2 + 12);
}

#[test]
fn credentials_come_from_files_and_the_environment_and_never_from_an_argument() {
    let it = two_tenants();
    it.bootstrap(&[]).succeeds();
    let to = format!("http://{}", it.harbor.host());
    let check = |more: &str| format!("$BUNDLE harbor check --to {to} {more}");
    it.scene.shell(&check("--credentials harbor-secrets/importer.json")).succeeds();
    it.scene.shell(&format!("REGISTRY_AUTH_FILE=harbor-secrets/importer.json {}", check(""))).succeeds();
    // As Harbor's portal exports a robot.
    let importer = it.account("harbor-secrets/importer.json");
    let exported = serde_json::json!({"name": importer.name, "secret": importer.secret, "id": 1});
    it.write("robot.json", &exported.to_string());
    it.scene.shell("chmod 644 robot.json").succeeds();
    it.scene.shell(&check("--credentials robot.json")).ends_with(2).says("chmod 600 robot.json");
    it.scene.shell("chmod 600 robot.json").succeeds();
    it.scene.shell(&check("--credentials robot.json")).succeeds();
    it.scene.shell(&format!("BUNDLE_USERNAME=x {}", check(""))).ends_with(2).says("must be set together");
    it.scene.shell(&check("--password x")).ends_with(2).says("unexpected argument");
    it.scene.shell(&check("")).ends_with(4).says("Harbor does not know this account");
}
