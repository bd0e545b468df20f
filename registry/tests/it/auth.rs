//! Challenges, tokens and passwords: which host is shown what, and how often it is asked.
//! Takes the client as callers use it, against a server that follows a script.

use std::io::{Read, Write};
use std::net::TcpListener;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use bundle_oci::{Digest, Registry};
use bundle_registry::{Blame, Error, Name, Ping, Refusal};

use crate::server::{Answer, Asked, Server};
use crate::{builder, client, credentials, repository};

fn challenge(asked: &Asked, realm_host: &str) -> Answer {
    let host = if realm_host.is_empty() { asked.header("host").unwrap() } else { realm_host };
    let header = format!("Bearer realm=\"http://{host}/token\",service=\"test\",scope=\"repository:x:pull\"");
    Answer::new(401, r#"{"errors":[{"code":"UNAUTHORIZED"}]}"#).with("WWW-Authenticate", &header)
}

#[tokio::test(flavor = "multi_thread")]
async fn sixteen_tasks_share_one_token() {
    let server = Server::start(|asked, _| {
        if asked.line.starts_with("GET /token") {
            return Answer::new(200, r#"{"token":"good"}"#);
        }
        match asked.header("authorization") {
            Some("Bearer good") => Answer::new(200, ""),
            _ => challenge(asked, ""),
        }
    });
    let client = client();
    let tasks: Vec<_> = (0..16)
        .map(|number: u8| {
            let (client, registry) = (client.clone(), server.registry());
            tokio::spawn(
                async move { client.has_blob(&registry, &repository(), Digest::of(&[number])).await },
            )
        })
        .collect();
    for task in tasks {
        assert!(task.await.unwrap().unwrap());
    }
    assert_eq!(server.count("GET /token?service=test&scope=repository%3Ateam%2Fapp%3Apull "), 1);
    assert_eq!(server.count("GET /token"), 1);
    // And nothing is asked twice from then on.
    let before = server.seen().len();
    assert!(client.has_blob(&server.registry(), &repository(), Digest::of(b"")).await.unwrap());
    assert_eq!(server.seen().len(), before + 1);
}

#[tokio::test]
async fn a_token_that_expired_is_replaced_once() {
    let tokens = Arc::new(AtomicUsize::new(0));
    let given = tokens.clone();
    let server = Server::start(move |asked, _| {
        if asked.line.starts_with("GET /token") {
            return Answer::new(200, format!(r#"{{"token":"t{}"}}"#, given.fetch_add(1, Ordering::SeqCst)));
        }
        match (asked.header("authorization"), asked.line.contains("denied")) {
            (Some("Bearer t0"), false) if given.load(Ordering::SeqCst) == 1 => Answer::new(200, "{}"),
            (Some("Bearer t1"), false) => Answer::new(200, "{}"),
            // Harbor's answer to a token that lacks a right.
            (Some(_), true) => Answer::new(401, "").with("WWW-Authenticate", "Basic realm=\"harbor\""),
            _ => challenge(asked, ""),
        }
    });
    let client = client();
    let registry = server.registry();
    let digest = Digest::of(b"");
    assert!(client.has_blob(&registry, &repository(), digest).await.unwrap());
    tokens.store(1, Ordering::SeqCst);
    let denied = "denied/app".parse().unwrap();
    let error = client.has_blob(&registry, &denied, digest).await.unwrap_err();
    assert_eq!(error.blame(), Blame::Refused(Refusal::Unauthorized));
    assert_eq!(tokens.load(Ordering::SeqCst), 3);
    // The first repository's token is not taken any more; the new one is.
    tokens.store(1, Ordering::SeqCst);
    let blobs = server.count("HEAD /v2/team/app");
    assert!(client.has_blob(&registry, &repository(), digest).await.unwrap());
    assert_eq!(server.count("HEAD /v2/team/app"), blobs + 1);
}

#[tokio::test]
async fn passwords_go_to_the_token_service_of_the_registry_only() {
    let service = Server::start(|asked, _| match asked.header("authorization") {
        Some(_) => Answer::new(200, r#"{"token":"good"}"#),
        None => Answer::new(401, ""),
    });
    let elsewhere = service.other_name();
    let named = elsewhere.clone();
    let server = Server::start(move |asked, _| challenge(asked, &elsewhere));
    let store = credentials(server.registry().as_str());
    let client = builder().credentials(store).build().unwrap();
    let error = client.has_blob(&server.registry(), &repository(), Digest::of(b"")).await.unwrap_err();
    assert!(matches!(&error, Error::Withheld { realm, .. } if *realm == named), "{error}");
    assert_eq!(service.seen().len(), 1);
    assert_eq!(service.seen()[0].header("authorization"), None);
}

/// Anybody who may log in to the host can listen at another port.
#[tokio::test]
async fn a_token_service_at_another_port_of_the_host_gets_no_password() {
    let service = Server::start(|_, _| Answer::new(401, ""));
    let elsewhere = service.registry().to_string();
    let server = Server::start(move |asked, _| challenge(asked, &elsewhere));
    let store = credentials(server.registry().as_str());
    let client = builder().credentials(store).build().unwrap();
    let error = client.has_blob(&server.registry(), &repository(), Digest::of(b"")).await.unwrap_err();
    assert!(matches!(&error, Error::Withheld { .. }), "{error}");
    assert!(service.seen().iter().all(|asked| asked.header("authorization").is_none()));
}

#[tokio::test]
async fn passwords_go_to_the_token_service_and_never_to_the_registry() {
    let server = Server::start(|asked, _| match asked.header("authorization") {
        Some("Basic dXNlcjpwYXNzd29yZA==") if asked.line.starts_with("GET /token") => {
            Answer::new(200, r#"{"access_token":"good","expires_in":1800}"#)
        }
        Some("Bearer good") => Answer::new(200, "{}"),
        _ => challenge(asked, ""),
    });
    let store = credentials(server.registry().as_str());
    let client = builder().credentials(store).build().unwrap();
    assert_eq!(client.ping(&server.registry()).await.unwrap(), Ping::Authenticated);
    assert_eq!(server.count("GET /token?service=test "), 1);
}

#[tokio::test]
async fn token_services_in_the_dark_are_not_asked() {
    for realm in ["http://storage.example", "ftp://127.0.0.1", "https://u:p@127.0.0.1", "nonsense"] {
        let header = format!("Bearer realm=\"{realm}/token\"");
        let server = Server::start(move |_, _| Answer::new(401, "").with("WWW-Authenticate", &header));
        let error = client().has_blob(&server.registry(), &repository(), Digest::of(b"")).await.unwrap_err();
        assert!(matches!(error, Error::Realm { .. }), "{realm}: {error}");
    }
    let server = Server::start(|asked, _| match asked.line.starts_with("GET /token") {
        true => Answer::new(307, "").with("Location", "http://169.254.169.254/"),
        false => challenge(asked, ""),
    });
    let error = client().has_blob(&server.registry(), &repository(), Digest::of(b"")).await.unwrap_err();
    assert!(matches!(error, Error::Realm { .. }));
}

#[tokio::test]
async fn hosts_that_are_no_registries_are_told_apart() {
    let page =
        Server::start(|_, _| Answer::new(200, "<html>").with("Content-Type", "text/html; charset=utf-8"));
    assert!(matches!(client().ping(&page.registry()).await, Err(Error::NotARegistry { .. })));
    let nothing = Server::start(|_, _| Answer::new(404, "404 page not found"));
    assert!(matches!(client().ping(&nothing.registry()).await, Err(Error::NotARegistry { status: 404, .. })));
    let open = Server::start(|_, _| Answer::new(200, "{}"));
    assert_eq!(client().ping(&open.registry()).await.unwrap(), Ping::Open);
    let encrypted = builder().https(open.registry()).build().unwrap();
    let error = encrypted.ping(&open.registry()).await.unwrap_err();
    assert!(matches!(error, Error::PlainHttp { .. }), "{error:?}");
    let go = Server::start(|_, _| Answer::new(400, "Client sent an HTTP request to an HTTPS server.\n"));
    assert!(matches!(client().ping(&go.registry()).await, Err(Error::HttpsOnly { .. })));
    let locked = Server::start(|_, _| Answer::new(401, "").with("WWW-Authenticate", "Basic realm=\"x\""));
    let error = client().ping(&locked.registry()).await.unwrap_err();
    assert!(matches!(&error, Error::Answer(answer) if answer.anonymous && answer.status == 401));
}

/// A server that ends connections of the other kind without a word, as HAProxy does; those of Go and nginx say more.
fn speaks_only(tls: bool) -> Registry {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let port = listener.local_addr().unwrap().port();
    std::thread::spawn(move || {
        for stream in listener.incoming() {
            let mut stream = stream.unwrap();
            let mut first = [0; 1024];
            let Ok(length) = stream.read(&mut first) else { continue };
            // A TLS record of a handshake (RFC 8446 §5.1), and a fatal alert: handshake_failure.
            let _ = match (length > 0 && first[0] == 22, tls) {
                (true, true) => stream.write_all(&[21, 3, 3, 0, 2, 2, 40]),
                (false, false) => stream.write_all(b"HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n"),
                _ => Ok(()),
            };
        }
    });
    format!("127.0.0.1:{port}").parse().unwrap()
}

#[tokio::test]
async fn http_for_https_and_back_is_told_of_servers_that_say_nothing_too() {
    let encrypted = speaks_only(true);
    let error = client().ping(&encrypted).await.unwrap_err();
    assert!(matches!(error, Error::HttpsOnly { .. }), "{error:?}");
    let plain = speaks_only(false);
    let error = builder().https(plain.clone()).build().unwrap().ping(&plain).await.unwrap_err();
    assert!(matches!(error, Error::PlainHttp { .. }), "{error:?}");
    // SSH is neither.
    let ssh = TcpListener::bind("127.0.0.1:0").unwrap();
    let registry: Registry = format!("127.0.0.1:{}", ssh.local_addr().unwrap().port()).parse().unwrap();
    std::thread::spawn(move || {
        for stream in ssh.incoming() {
            let mut stream = stream.unwrap();
            let _ = stream.write_all(b"SSH-2.0-OpenSSH_9.6\r\n").and_then(|()| stream.read(&mut [0; 1024]));
        }
    });
    let error = client().ping(&registry).await.unwrap_err();
    assert!(error.to_string().ends_with("answers with something else than HTTP"), "{error:?}");
    // One that says nothing to anyone is neither.
    let silent = Server::start(|_, _| Answer::hang_up());
    let error = client().ping(&silent.registry()).await.unwrap_err();
    assert!(matches!(error, Error::Unreachable { .. }), "{error:?}");
}

#[tokio::test]
async fn what_a_registry_echoes_of_credentials_is_masked() {
    for echoed in ["password", "dXNlcjpwYXNzd29yZA==", "user:password", "user%3Apassword"] {
        let server = Server::start(move |asked, _| match asked.header("authorization") {
            None => Answer::new(401, "").with("WWW-Authenticate", "Basic realm=\"x\""),
            Some(_) => Answer::new(
                403,
                format!(
                    r#"{{"errors":[{{"code":"DENIED","message":"you sent {echoed}","detail":"{echoed}"}},
                        {{"code":"{echoed}","message":"{echoed}"}}]}}"#
                ),
            )
            .with("X-Request-Id", echoed),
        });
        let client = builder().credentials(credentials(server.registry().as_str())).build().unwrap();
        let name = Name::Tag("v1".parse().unwrap());
        let error = client.manifest(&server.registry(), &repository(), &name).await.unwrap_err();
        let text = format!("{error} {error:?}");
        assert!(text.contains("you sent ***") && !text.contains(echoed), "{text}");
    }
    // A redirect that carries them, and a token that comes back.
    let server = Server::start(|asked, _| match asked.header("authorization") {
        None => Answer::new(401, "").with("WWW-Authenticate", "Basic realm=\"x\""),
        Some(_) => Answer::new(307, "").with("Location", "ftp://127.0.0.1/password"),
    });
    let client = builder().credentials(credentials(server.registry().as_str())).build().unwrap();
    let name = Name::Tag("v1".parse().unwrap());
    let error = client.manifest(&server.registry(), &repository(), &name).await.unwrap_err();
    assert!(!format!("{error} {error:?}").contains("password"), "{error}");
}

#[tokio::test]
async fn terminals_are_safe_from_what_registries_say() {
    let body = r#"{"errors":[{"code":"DENIED","message":"\u001b]0;owned\u0007"}]}"#;
    let server = Server::start(move |_, _| Answer::new(403, body));
    let name = Name::Tag("v1".parse().unwrap());
    let error = client().manifest(&server.registry(), &repository(), &name).await.unwrap_err();
    assert!(!error.to_string().contains('\u{1b}'));
    assert_eq!(error.refusal(), Some(Refusal::Denied));
}
