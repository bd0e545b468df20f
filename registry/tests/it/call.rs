//! Requests to an API beside `/v2/`.
//! Takes the client as `harbor` uses it, against a server that follows a script.

use std::time::Duration;

use bundle_registry::{Blame, Call, Error, Limits, Method, Refusal};

use crate::server::{Answer, Server};
use crate::{builder, client, credentials};

#[tokio::test]
async fn a_call_shows_the_password_at_once_and_keeps_no_cookie() {
    let server = Server::start(|asked, _| match asked.header("authorization") {
        Some("Basic dXNlcjpwYXNzd29yZA==") => {
            Answer::new(200, r#"[{"name":"cache"}]"#).with("Set-Cookie", "sid=1").with("X-Total-Count", "11")
        }
        _ => Answer::new(401, "").with("WWW-Authenticate", "Bearer realm=\"http://127.0.0.1/none\""),
    });
    let registry = server.registry();
    let client = builder().credentials(credentials(registry.as_str())).build().unwrap();
    client.password_at_once(&registry);
    let path = "/api/v2.0/projects/cache/repositories/docker.io%252Flibrary%252Fnginx?page=1";
    let call = Call::new(Method::Get, path, "list").header("X-Is-Resource-Name", "true");
    for _ in 0..2 {
        let reply = client.call(&registry, &call).await.unwrap();
        assert_eq!((reply.status, reply.total), (200, Some(11)));
        assert_eq!(reply.json::<serde_json::Value>().unwrap()[0]["name"], "cache");
        let wrong = reply.json::<u64>().unwrap_err();
        assert!(matches!(wrong, Error::Misbehaved { .. }), "{wrong}");
    }
    let seen = server.seen();
    assert_eq!(seen.len(), 2);
    for asked in seen {
        assert_eq!(asked.line, format!("GET {path} HTTP/1.1"));
        assert_eq!(asked.header("cookie"), None);
        assert_eq!(asked.header("x-is-resource-name"), Some("true"));
    }
}

#[tokio::test]
async fn what_makes_something_new_is_not_repeated_and_what_reads_is() {
    let body = r#"{"errors":[{"code":"UNKNOWN","message":"internal server error"}]}"#;
    let server = Server::start(move |_, _| Answer::new(500, body).with("X-Request-Id", "r-1"));
    let (client, registry) = (client(), server.registry());
    for (method, times) in
        [(Method::Post, 1), (Method::Patch, 1), (Method::Get, 4), (Method::Put, 4), (Method::Head, 4)]
    {
        let before = server.seen().len();
        let call = Call::new(method, "/api/v2.0/projects", "make it").json(&"x").unwrap();
        let error = client.call(&registry, &call).await.unwrap_err();
        assert_eq!(error.refusal(), Some(Refusal::ServerError));
        assert!(error.to_string().contains("request r-1"), "{error}");
        assert_eq!(server.seen().len() - before, times, "{method:?}");
    }
    assert_eq!(server.seen()[0].body, b"\"x\"");
}

#[tokio::test]
async fn a_call_follows_no_redirect() {
    let elsewhere = Server::start(|_, _| Answer::new(200, "[]"));
    let location = format!("http://{}/api/v2.0/projects", elsewhere.registry());
    for status in [301, 302, 307, 308] {
        let to = location.clone();
        let server = Server::start(move |_, _| Answer::new(status, "").with("Location", &to));
        let registry = server.registry();
        let client = builder().credentials(credentials(registry.as_str())).build().unwrap();
        client.password_at_once(&registry);
        let error = client.call(&registry, &Call::new(Method::Get, "/api/v2.0/projects", "list")).await;
        let error = error.unwrap_err();
        assert!(matches!(error, Error::Redirect { .. }), "{status}: {error}");
    }
    assert_eq!(elsewhere.seen().len(), 0);
}

#[tokio::test]
async fn a_host_that_has_never_answered_is_given_up_soon() {
    let call = Call::new(Method::Get, "/api/v2.0/projects", "list");
    for (answers, times) in [(0, 2), (1, 4)] {
        let server = Server::start(move |_, before| match before {
            before if before < answers => Answer::new(200, "[]"),
            _ => Answer::hang_up(),
        });
        let limits =
            Limits { backoff: Duration::from_millis(1), attempts: 3, first_attempts: 1, ..Limits::default() };
        let (client, registry) = (builder().limits(limits).build().unwrap(), server.registry());
        for _ in 0..answers {
            client.call(&registry, &call).await.unwrap();
        }
        let error = client.call(&registry, &call).await.unwrap_err();
        assert_eq!(error.blame(), Blame::Unreachable);
        assert_eq!(server.seen().len() - answers, times, "after {answers} answers");
    }
}

#[tokio::test]
async fn what_a_successful_answer_echoes_of_credentials_is_masked() {
    let server = Server::start(|asked, _| match asked.header("authorization") {
        Some(sent) => Answer::new(
            200,
            format!(r#"{{"status":"ok","sent":"{sent}","user:password":["pass\u0077ord"]}}"#),
        ),
        None => Answer::new(401, "").with("WWW-Authenticate", "Basic realm=\"x\""),
    });
    let registry = server.registry();
    let client = builder().credentials(credentials(registry.as_str())).build().unwrap();
    let call = Call::new(Method::Get, "/api/v2.0/health", "report its health");
    let reply = client.call(&registry, &call).await.unwrap();
    let value: serde_json::Value = reply.json().unwrap();
    assert_eq!(value, serde_json::json!({"status": "ok", "sent": "Basic ***", "***": ["***"]}));
}
