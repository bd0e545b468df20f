//! Files from web servers.
//! Takes the client as charts use it, against a server that follows a script.

use bundle_registry::Error;

use crate::server::{Answer, Server};
use crate::{builder, client, credentials};

const INDEX: &[u8] = b"entries: {}\n";

fn address(server: &Server, path: &str) -> String {
    format!("http://{}/{path}", server.registry())
}

#[tokio::test]
async fn a_file_is_fetched_again_after_a_break_and_bounded() {
    let server = Server::start(|_, before| match before {
        0 => Answer::new(503, ""),
        1 => Answer::cut(200, INDEX.len(), &INDEX[..3]),
        _ => Answer::new(200, INDEX),
    });
    let address = address(&server, "charts/index.yaml");
    assert_eq!(client().file(&address, INDEX.len()).await.unwrap(), INDEX);
    assert_eq!(server.seen()[0].line, "GET /charts/index.yaml HTTP/1.1");
    let error = client().file(&address, INDEX.len() - 1).await.unwrap_err();
    assert!(matches!(error, Error::FileSize { .. }), "{error}");
    assert_eq!(server.seen().len(), 4);
    let endless = Server::start(|_, _| Answer::unannounced(200, vec![b'#'; 5_000]));
    let error = client().file(&format!("http://{}/x", endless.registry()), 4_000).await.unwrap_err();
    assert!(matches!(error, Error::FileSize { .. }), "{error}");
}

#[tokio::test]
async fn credentials_go_to_their_host_and_not_where_it_redirects() {
    let storage = Server::start(|_, _| Answer::new(200, INDEX));
    let other = format!("http://{}/a.tgz", storage.other_name());
    let server = Server::start(move |_, _| Answer::new(302, "").with("Location", &other));
    let client = builder().credentials(credentials(server.registry().as_str())).build().unwrap();
    assert_eq!(client.file(&address(&server, "a.tgz"), 100).await.unwrap(), INDEX);
    assert_eq!(server.seen()[0].header("authorization"), Some("Basic dXNlcjpwYXNzd29yZA=="));
    assert_eq!(storage.seen()[0].header("authorization"), None);
}

#[tokio::test]
async fn addresses_that_are_no_files_of_a_web_server_are_not_asked() {
    for (address, message) in [
        ("http://charts.example/index.yaml", "http://charts.example/index.yaml is not used: it is not https"),
        ("file:///etc/passwd", "file:///etc/passwd is not used: it is neither https nor http"),
        (
            "https://u:p@charts.example/",
            "https://…@charts.example/ is not used: it contains a user name or password",
        ),
        ("charts", "charts is not used: it is not an address"),
    ] {
        assert_eq!(client().file(address, 100).await.unwrap_err().to_string(), message);
    }
    let server = Server::start(|_, _| Answer::new(302, "").with("Location", "file:///etc/passwd"));
    let error = client().file(&address(&server, "x"), 100).await.unwrap_err();
    assert!(matches!(error, Error::Redirect { .. }), "{error}");
    let server = Server::start(|_, _| Answer::new(404, "no such page"));
    assert_eq!(client().file(&address(&server, "x"), 100).await.unwrap_err().status(), Some(404));
}
