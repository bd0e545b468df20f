//! Redirects of manifests, lists and blobs, as registry.k8s.io and vanity names send them, and web
//! pages where none belong: what is followed, with whose credentials, in how many requests.

use bundle_oci::{Digest, MediaType};
use bundle_registry::{CredentialStore, Error, Limits, Name};

use crate::server::{Answer, Asked, Server};
use crate::{builder, client, repository};

const MANIFEST: &str = r#"{"schemaVersion":2,"mediaType":"application/vnd.oci.image.manifest.v1+json",
    "config":{"mediaType":"application/vnd.oci.image.config.v1+json","digest":"sha256:44136fa355b3678a1146ad16f7e8649e94fb4fc21fe77e8310c060f61caaff8a","size":2},
    "layers":[]}"#;
const OCI: &str = "application/vnd.oci.image.manifest.v1+json";

fn manifest() -> Answer {
    Answer::new(200, MANIFEST).with("Content-Type", OCI)
}

fn tag() -> Name {
    Name::Tag("v1".parse().unwrap())
}

/// Two entries in Docker's form, `user:password` for one host and `other:secret` for another.
fn two_logins(first: &str, second: &str) -> CredentialStore {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("auth.json");
    let json = format!(
        r#"{{"auths":{{"{first}":{{"auth":"dXNlcjpwYXNzd29yZA=="}},"{second}":{{"auth":"b3RoZXI6c2VjcmV0"}}}}}}"#
    );
    std::fs::write(&path, json).unwrap();
    let variable = |name: &str| (name == "REGISTRY_AUTH_FILE").then(|| path.to_string_lossy().into_owned());
    CredentialStore::from_environment(variable).unwrap()
}

/// registry.k8s.io answers each manifest and blob with 307 to a regional registry
/// (kubernetes/registry.k8s.io, cmd/archeio/internal/app/handlers.go).
fn front(target: &str) -> Server {
    let target = target.to_owned();
    Server::start(move |asked, _| {
        let path = asked.line.split(' ').nth(1).unwrap().strip_prefix("/v2/").unwrap().to_owned();
        Answer::new(307, "").with("Location", &format!("http://{target}/v2/region/images/{path}"))
    })
}

/// A registry that wants a token, which only `other:secret` is given.
fn regional() -> Server {
    Server::start(|asked: &Asked, _| {
        let login = asked.header("authorization");
        if asked.line.starts_with("GET /token") {
            return match login {
                Some("Basic b3RoZXI6c2VjcmV0") => Answer::new(200, r#"{"token":"regional"}"#),
                _ => Answer::new(401, ""),
            };
        }
        if login != Some("Bearer regional") {
            let host = asked.header("host").unwrap();
            let challenge = format!("Bearer realm=\"http://{host}/token\",service=\"regional\"");
            return Answer::new(401, "").with("WWW-Authenticate", &challenge);
        }
        match asked.line.split(' ').nth(1).unwrap() {
            path if path.contains("/tags/list") && path.contains("last=b") => {
                Answer::new(200, r#"{"tags":["c"]}"#)
            }
            path if path.contains("/tags/list") => Answer::new(200, r#"{"tags":["a","b"]}"#)
                .with("Link", "</v2/region/images/team/app/tags/list?last=b&n=1000>; rel=\"next\""),
            path if path.contains("/referrers/") => {
                Answer::new(200, r#"{"schemaVersion":2,"manifests":[]}"#).with("Content-Type", OCI)
            }
            _ => manifest(),
        }
    })
}

#[tokio::test]
async fn a_redirected_registry_is_read_and_each_host_sees_its_own_credentials_only() {
    let region = regional();
    let front = front(&region.other_name());
    let registry = front.registry();
    let client = builder().credentials(two_logins(registry.as_str(), &region.other_name())).build().unwrap();
    let digest = Digest::of(MANIFEST.as_bytes());

    let fetched = client.manifest(&registry, &repository(), &tag()).await.unwrap();
    assert_eq!((fetched.digest, fetched.bytes.as_ref()), (digest, MANIFEST.as_bytes()));
    // Asked, redirected, challenged, given a token, answered.
    assert_eq!((front.seen().len(), region.seen().len()), (1, 3));
    assert_eq!(
        region.count("GET /token?service=regional&scope=repository%3Aregion%2Fimages%2Fteam%2Fapp%3Apull "),
        1
    );

    let found = client.manifest_info(&registry, &repository(), &Name::Digest(digest)).await.unwrap().unwrap();
    assert_eq!((found.digest, found.media_type), (digest, Some(OCI.parse::<MediaType>().unwrap())));
    let tags = client.tags(&registry, &repository()).await.unwrap();
    assert_eq!(tags.tags.iter().map(|tag| tag.as_str()).collect::<Vec<_>>(), ["a", "b", "c"]);
    // From then on, each request is one here and one there.
    assert_eq!((front.seen().len(), region.seen().len()), (4, 6));
    assert_eq!(front.count("GET /v2/team/app/tags/list?last=b&n=1000 "), 1);

    assert!(front.seen().iter().all(|asked| asked.header("authorization").is_none()));
    let password = Some("Basic dXNlcjpwYXNzd29yZA==");
    assert!(region.seen().iter().all(|asked| asked.header("authorization") != password));
    assert!(
        region.seen().iter().all(|asked| asked.line.contains("token") || asked.header("accept").is_some())
    );
}

#[tokio::test]
async fn redirects_to_metadata_services_or_without_end_are_not_followed() {
    for (target, why) in [
        ("https://169.254.169.254/v2/x/manifests/v1", "link-local"),
        ("https://[::ffff:169.254.1.1]/v2/x/manifests/v1", "link-local"),
        ("http://registry.example/v2/x/manifests/v1", "without encryption"),
        ("https://user:password@127.0.0.1/v2/x/manifests/v1", "user name"),
        ("ftp://127.0.0.1/v2/x/manifests/v1", "http"),
        ("/v2/team/app/manifests/v1", "too many"),
    ] {
        let server = Server::start(move |_, _| Answer::new(307, "").with("Location", target));
        let error = client().manifest(&server.registry(), &repository(), &tag()).await.unwrap_err();
        assert!(matches!(error, Error::Redirect { .. }), "{target}: {error}");
        assert!(error.to_string().contains(why), "{target}: {error}");
        assert!(!error.to_string().contains("password"), "{error}");
        assert!(server.seen().len() <= Limits::default().redirects + 1);
    }
    let nowhere = Server::start(|_, _| Answer::new(307, ""));
    let error = client().manifest(&nowhere.registry(), &repository(), &tag()).await.unwrap_err();
    assert!(error.to_string().ends_with("redirects and does not say where"), "{error}");
    assert_eq!(nowhere.seen().len(), 1);
}

#[tokio::test]
async fn pushes_are_not_redirected() {
    let other = Server::start(|_, _| manifest());
    let to = format!("http://{}/v2/x", other.other_name());
    let server = Server::start(move |_, _| Answer::new(307, "").with("Location", &to));
    let kind = OCI.parse().unwrap();
    let (client, registry) = (client(), server.registry());
    let pushed = client.push_manifest(&registry, &repository(), &tag(), &kind, MANIFEST.into()).await;
    assert!(matches!(pushed, Err(Error::Redirect { .. })));
    assert_eq!(other.seen().len(), 0);
}

#[tokio::test]
async fn a_redirected_manifest_is_still_held_to_its_digest() {
    let region = Server::start(|_, _| manifest());
    let front = front(&region.other_name());
    let name = Name::Digest(Digest::of(b"something else"));
    let error = client().manifest(&front.registry(), &repository(), &name).await.unwrap_err();
    assert!(matches!(&error, Error::WrongContent { host, .. } if host.starts_with("localhost")), "{error}");
}

#[tokio::test]
async fn web_pages_and_unusable_answers_are_asked_for_once() {
    let page = "<!DOCTYPE html><html><head><title>Guest Wi-Fi</title></head></html>";
    let huge = "x".repeat(4 << 20);
    for (body, content_type) in [(page, "text/html"), (page, "application/json"), (huge.as_str(), OCI)] {
        let (body, kind) = (body.to_owned(), content_type.to_owned());
        let server = Server::start(move |_, _| Answer::new(200, body.as_str()).with("Content-Type", &kind));
        let registry = server.registry();
        let name = tag();
        let error = client().manifest_within(&registry, &repository(), &name, 1 << 20).await.unwrap_err();
        assert!(matches!(error, Error::WebPage { .. } | Error::Unusable { .. }), "{error}");
        assert_eq!(server.seen().len(), 1, "{error}");
        let error = client().tags(&registry, &repository()).await.unwrap_err();
        assert!(matches!(error, Error::WebPage { .. } | Error::Unusable { .. }), "{error}");
        assert_eq!(server.seen().len(), 2, "{error}");
        if let Error::WebPage { title, .. } = error {
            assert_eq!(title.as_deref(), Some("Guest Wi-Fi"));
        }
    }
    for token in [r#"{"token":"a b"}"#, "{}", page] {
        let server = Server::start(move |asked, _| match asked.line.starts_with("GET /token") {
            true => Answer::new(200, token),
            false => {
                let realm = format!("Bearer realm=\"http://{}/token\"", asked.header("host").unwrap());
                Answer::new(401, "").with("WWW-Authenticate", &realm)
            }
        });
        let error = client().manifest(&server.registry(), &repository(), &tag()).await.unwrap_err();
        assert!(matches!(error, Error::WebPage { .. } | Error::Unusable { .. }), "{error}");
        assert_eq!(server.count("GET /token"), 1, "{error}");
    }
}

#[tokio::test]
async fn a_body_that_drips_is_given_up_however_small_it_is() {
    let limits = Limits {
        stall: std::time::Duration::from_millis(200),
        least_rate: 1 << 20,
        attempts: 0,
        ..Limits::default()
    };
    let server = Server::start(|_, _| Answer::dripping(200, MANIFEST).with("Content-Type", OCI));
    let client = bundle_registry::Client::builder().limits(limits).build().unwrap();
    let error = client.manifest(&server.registry(), &repository(), &tag()).await.unwrap_err();
    assert!(matches!(error, Error::Slow { .. } | Error::Stalled { .. }), "{error}");
}
