//! Proxies between the program and a registry: some work, some want a login, some are dead. For each the row
//! says what the program must do and what the proxy must not learn.

use bundle_test_servers::standin::{ForwardProxy, SocksProxy, Through, dead};
use bundle_test_servers::{FaultProxy, ImageSpec, LayerSpec, base64};

use crate::scene::{CREATED, Ran, Scene};

/// A host that only a proxy can find.
const REGISTRY: &str = "registry.internal:5000";
const PASSWORD: &str = "s3cret-of-the-registry";

fn scene() -> Scene {
    let scene = Scene::empty();
    let image = ImageSpec::oci().layer(LayerSpec::new(1, 1_000)).build();
    scene.source.client().push("team/app", "1", &image).unwrap();
    let auth = base64(format!("me:{PASSWORD}").as_bytes());
    let file = format!("{{\"auths\": {{\"{REGISTRY}\": {{\"auth\": \"{auth}\"}}}}}}");
    std::fs::write(scene.path("auth.json"), file).unwrap();
    scene
}

/// Runs `create` of an image at [`REGISTRY`] with these variables.
fn create(scene: &Scene, plain: bool, variables: &[(&str, &str)]) -> Ran {
    let reference = format!("{REGISTRY}/team/app:1");
    let mut arguments =
        vec!["create", &reference, "--key", "key", "--created", CREATED, "-o", "b.tar", "--retries", "1"];
    if plain {
        arguments.extend(["--plain-http", REGISTRY]);
    }
    let mut command = scene.command(arguments);
    for name in ["HTTP_PROXY", "http_proxy", "https_proxy", "ALL_PROXY", "all_proxy", "NO_PROXY", "no_proxy"]
    {
        command.env_remove(name);
    }
    command.env("REGISTRY_AUTH_FILE", scene.path("auth.json")).envs(variables.iter().copied());
    Ran::from(command.output().unwrap())
}

fn learnt(proxy: &ForwardProxy) -> bool {
    let auth = base64(format!("me:{PASSWORD}").as_bytes());
    proxy.seen().iter().any(|through| through.headers().iter().any(|(_, value)| value.contains(&auth)))
}

#[test]
fn a_plain_proxy_finds_the_host_and_a_login_for_it_is_sent_when_asked() {
    let scene = scene();
    let proxy = ForwardProxy::start(scene.source.host()).unwrap();
    create(&scene, true, &[("HTTP_PROXY", &format!("http://{}", proxy.host()))]).succeeds();
    assert!(
        proxy.seen().iter().all(|one| matches!(one, Through::Plain { to, .. } if to == REGISTRY)),
        "{:?}",
        proxy.seen()
    );
    assert!(!learnt(&proxy), "nobody asked for the registry's password");
    std::fs::remove_file(scene.path("b.tar")).unwrap();
    let wants = ForwardProxy::with_login(scene.source.host(), "DOM\\me", "s3cret-of-the-proxy").unwrap();
    let ran = create(&scene, true, &[("HTTP_PROXY", &format!("http://{}", wants.host()))]).ends_with(4);
    ran.says(&wants.host()).says("hint:");
    let address = format!("http://DOM%5Cme:s3cret-of-the-proxy@{}", wants.host());
    let ran = create(&scene, true, &[("HTTP_PROXY", &address)]).succeeds();
    assert!(!ran.stderr.contains("s3cret"), "{}", ran.stderr);
}

#[test]
fn a_tunnel_is_asked_for_by_name_and_sees_no_login() {
    let scene = scene();
    let proxy = ForwardProxy::start(scene.source.host()).unwrap();
    // There is no TLS behind the tunnel, so the request must fail.
    let ran = create(&scene, false, &[("HTTPS_PROXY", &format!("http://{}", proxy.host()))]).ends_with(4);
    assert!(!ran.stderr.contains(PASSWORD));
    let seen = proxy.seen();
    assert!(
        !seen.is_empty()
            && seen.iter().all(|one| matches!(one, Through::Tunnel { to, .. } if to == REGISTRY)),
        "{seen:?}"
    );
    assert!(!learnt(&proxy));
    let wants = ForwardProxy::with_login(scene.source.host(), "me", "right").unwrap();
    let address = format!("http://me:s3cret-of-the-proxy@{}", wants.host());
    let ran = create(&scene, false, &[("HTTPS_PROXY", &address)]).ends_with(4).says(&wants.host());
    assert!(!ran.stderr.contains("s3cret"), "{}", ran.stderr);
}

#[test]
fn a_proxy_for_windows_accounts_only_is_told_from_a_wrong_login_and_the_way_out_is_named() {
    let scene = scene();
    for login in ["", "CORP\\me:s3cret-of-the-proxy@", "CORP%5Cme:s3cret-of-the-proxy@"] {
        for (plain, variable) in [(true, "HTTP_PROXY"), (false, "HTTPS_PROXY")] {
            let windows = ForwardProxy::for_windows_accounts(scene.source.host()).unwrap();
            let address = format!("http://{login}{}", windows.host());
            let ran = create(&scene, plain, &[(variable, &address)]).ends_with(4);
            let ran = ran
                .says(&format!(
                    "the proxy http://{} accepts only Negotiate and NTLM logins (HTTP 407)",
                    windows.host()
                ))
                .says("such as CNTLM or px");
            assert!(!ran.stderr.contains("s3cret"), "{}", ran.stderr);
            // No attempt is worth repeating; the second one asks what the proxy wants, and shows no login.
            let seen = windows.seen();
            let shown = seen.iter().filter(|one| one.headers().get("proxy-authorization").is_some()).count();
            assert_eq!(seen.len(), if plain { 1 } else { 2 }, "{seen:?}");
            assert_eq!(shown, usize::from(!login.is_empty()), "{seen:?}");
            let wants = ForwardProxy::with_login(scene.source.host(), "CORP\\me", "right").unwrap();
            let ran =
                create(&scene, plain, &[(variable, &format!("http://{login}{}", wants.host()))]).ends_with(4);
            ran.says(match login {
                "" => "asks for credentials (HTTP 407)",
                _ => "does not accept the user and password of its address (HTTP 407)",
            });
        }
    }
}

#[test]
fn a_dead_proxy_is_named_and_not_the_registry() {
    let scene = scene();
    let proxy = dead().unwrap();
    for (plain, variable) in [(true, "HTTP_PROXY"), (false, "HTTPS_PROXY"), (false, "ALL_PROXY")] {
        let address = format!("http://me:s3cret-of-the-proxy@{proxy}");
        let ran = create(&scene, plain, &[(variable, &address)]).ends_with(4).says(&proxy).says("NO_PROXY");
        assert!(!ran.stderr.contains("s3cret"), "{}", ran.stderr);
    }
}

#[test]
fn exceptions_are_read_as_go_reads_them_and_others_are_refused() {
    let scene = scene();
    for (exception, direct) in [
        (REGISTRY, true),
        ("*.internal", true),
        (".internal", true),
        ("internal", true),
        ("registry.internal:5001", false),
    ] {
        let proxy = ForwardProxy::start(scene.source.host()).unwrap();
        let ran = create(
            &scene,
            true,
            &[("HTTP_PROXY", &format!("http://{}", proxy.host())), ("NO_PROXY", exception)],
        );
        // Without the proxy the name cannot be resolved.
        let ran = ran.ends_with(if direct { 4 } else { 0 });
        let _ = std::fs::remove_file(scene.path("b.tar"));
        assert_eq!(proxy.seen().is_empty(), direct, "{exception}: {}", ran.stderr);
    }
    let proxy = ForwardProxy::start(scene.source.host()).unwrap();
    let variables = [("HTTP_PROXY", &*format!("http://{}", proxy.host())), ("NO_PROXY", "registry.*")];
    let ran = create(&scene, true, &variables).says("NO_PROXY").says("registry.*");
    assert!(ran.code != Some(0) && proxy.seen().is_empty());
}

#[test]
fn a_socks_proxy_resolves_the_name() {
    let scene = scene();
    let registry = FaultProxy::start(scene.source.host()).unwrap();
    let proxy = SocksProxy::start(registry.host(), Some(("me", "s3cret-of-the-proxy"))).unwrap();
    let address = format!("socks5h://me:s3cret-of-the-proxy@{}", proxy.host());
    create(&scene, true, &[("ALL_PROXY", &address)]).succeeds();
    let seen = proxy.seen();
    assert!(
        !seen.is_empty() && seen.iter().all(|one| one.host == "registry.internal" && one.port == 5000),
        "{seen:?}"
    );
    let registry_knows =
        registry.requests().iter().any(|one| one.headers.iter().any(|(_, value)| value.contains("s3cret")));
    assert!(!registry_knows);
}
