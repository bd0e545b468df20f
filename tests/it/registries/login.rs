//! Logging in and out: what is checked, where it is kept, and that no password is shown.
//! Takes the program with a home of its own, against the double.

use bundle_test_servers::DockerRegistry;

use crate::scene::Scene;

#[test]
fn a_login_is_checked_kept_for_its_owner_and_used_until_the_logout() {
    let scene = Scene::with_images();
    scene.create("b.tar");
    let target = DockerRegistry::options().basic_auth("user", "pass-word").start().unwrap();
    let host = target.host();
    let login = |password: &str, more: &str| {
        scene.shell(&format!("printf '{password}\\n' | $BUNDLE login {host} -u user --password-stdin {more}"))
    };
    let import = || scene.bundle(["import", "b.tar", "--to", host, "--trust", "key.pub"]);
    import().ends_with(4).says("asks for credentials").says("bundle login");
    let refused = login("wrong-word", "").ends_with(4);
    assert!(!refused.stderr.contains("wrong-word"), "{}", refused.stderr);
    assert!(!scene.path(".docker/config.json").exists());
    login("pass-word", "").succeeds().says("logged in at ");
    let kept = scene.path(".docker/config.json");
    scene.shell("stat -c %a .docker/config.json").succeeds().says("600");
    import().succeeds();
    scene.bundle(["logout", host]).succeeds().says("logged out from ");
    assert!(!std::fs::read_to_string(&kept).unwrap().contains("auth\""));
    import().ends_with(4);
    scene.bundle(["logout", host]).succeeds().says("not logged in");
    // With `--no-check` the login is not checked.
    login("wrong-word", "--no-check").succeeds();
    import().ends_with(4).says("does not accept the credentials");
    // A password is no argument.
    let shown = scene.bundle(["import", "b.tar", "--to", "https://user:pass-word@r.example"]).ends_with(2);
    assert!(!shown.stderr.contains("pass-word"), "{}", shown.stderr);
}

#[test]
fn a_helper_keeps_the_login_where_one_is_configured() {
    let scene = Scene::empty();
    std::fs::create_dir_all(scene.path("bin")).unwrap();
    std::fs::create_dir_all(scene.path(".docker")).unwrap();
    let helper = "#!/bin/sh\necho \"$1\" >> called; cat >> called\n";
    std::fs::write(scene.path("bin/docker-credential-test"), helper).unwrap();
    std::fs::write(scene.path(".docker/config.json"), r#"{"credsStore":"test"}"#).unwrap();
    let login =
        "printf secret | PATH=$PWD/bin:$PATH $BUNDLE login r.example -u user --password-stdin --no-check";
    scene.shell(&format!("chmod +x bin/* && {login}")).succeeds().says("docker-credential-test");
    let called = std::fs::read_to_string(scene.path("called")).unwrap();
    assert!(called.starts_with("store\n") && called.contains(r#""Secret":"secret""#), "{called}");
    assert!(!std::fs::read_to_string(scene.path(".docker/config.json")).unwrap().contains("secret"));
    scene.shell("PATH=$PWD/bin:$PATH $BUNDLE logout r.example").succeeds();
    assert!(std::fs::read_to_string(scene.path("called")).unwrap().contains("erase\nr.example"));
}
