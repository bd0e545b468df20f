//! Registries that are pushed to: refused lookups, the right that is asked for, a path below the
//! host.

use bundle_oci::Digest;
use bundle_registry::{BlobSource, Client, Error, Name, Refusal, Target};
use bytes::Bytes;
use futures_util::StreamExt;
use futures_util::stream::BoxStream;

use crate::server::{Answer, Asked, Server};
use crate::{builder, credentials, repository};

struct Blob;

impl BlobSource for Blob {
    fn open(&self) -> Option<BoxStream<'static, std::io::Result<Bytes>>> {
        Some(futures_util::stream::once(async { Ok(Bytes::from_static(b"{}")) }).boxed())
    }
}

fn client(server: &Server, below: Option<&str>, pushes: bool) -> Client {
    let target = Target { below: below.map(|path| path.parse().unwrap()), pushes };
    let store = credentials(server.registry().as_str());
    builder().credentials(store).target(server.registry(), target).build().unwrap()
}

fn tag() -> Name {
    Name::Tag("v1".parse().unwrap())
}

async fn push(client: &Client, server: &Server) -> Result<(), Error> {
    let registry = server.registry();
    let from = "other/app".parse().unwrap();
    client.upload_blob(&registry, &repository(), Digest::of(b"{}"), 2, Some(&from), &Blob).await?;
    let kind = bundle_oci::MediaType::IMAGE_MANIFEST.parse().unwrap();
    client.push_manifest(&registry, &repository(), &tag(), &kind, Bytes::from_static(b"{}")).await?;
    Ok(())
}

fn takes(asked: &Asked) -> Answer {
    match asked.line.split(' ').next().unwrap() {
        "POST" => Answer::new(202, "").with("Location", "/v2/upload?_state=1"),
        "PUT" => Answer::new(201, ""),
        _ => Answer::new(404, ""),
    }
}

/// Quay answers 401 for a repository that a push would make, Artifactory 403 for a tag that is
/// absent, others 405 for HEAD.
#[tokio::test]
async fn a_refused_lookup_lets_the_push_decide() {
    for status in [401, 403, 405] {
        let server = Server::start(move |asked, _| match asked.line.split(' ').next().unwrap() {
            "HEAD" | "GET" => Answer::new(status, ""),
            _ => takes(asked),
        });
        let client = client(&server, None, true);
        let (registry, digest) = (server.registry(), Digest::of(b"{}"));
        assert!(!client.has_blob(&registry, &repository(), digest).await.unwrap(), "{status}");
        assert_eq!(client.manifest_exists(&registry, &repository(), &tag()).await.unwrap(), None);
        assert_eq!(client.manifest_info(&registry, &repository(), &tag()).await.unwrap(), None);
        assert!(client.tags(&registry, &repository()).await.unwrap().tags.is_empty());
        push(&client, &server).await.unwrap();
        // After the push the blob exists: a refused look-up is an error from then on.
        let error = client.has_blob(&registry, &repository(), digest).await.unwrap_err();
        assert_eq!(error.status(), Some(status));
        // For a client that only reads, a refusal is an error.
        let reader = builder().build().unwrap();
        assert!(reader.has_blob(&registry, &repository(), digest).await.is_err());
    }
    // A push that is refused too is the end.
    let server = Server::start(|_, _| Answer::new(403, ""));
    let error = push(&client(&server, None, true), &server).await.unwrap_err();
    assert_eq!(error.refusal(), Some(Refusal::Denied));
}

#[tokio::test]
async fn a_token_service_that_refuses_is_asked_once_and_named() {
    let server = Server::start(|asked, _| {
        let realm = format!("Bearer realm=\"http://{}/token\"", asked.header("host").unwrap());
        match asked.line.starts_with("GET /token") {
            true => Answer::new(401, ""),
            false => Answer::new(401, "").with("WWW-Authenticate", &realm),
        }
    });
    let client = client(&server, None, true);
    let error = client.has_blob(&server.registry(), &repository(), Digest::of(b"{}")).await.unwrap_err();
    assert!(matches!(error, Error::Answer(answer) if answer.from_token_service));
    assert_eq!(server.count("GET /token"), 1);
}

#[tokio::test]
async fn one_token_serves_for_looking_and_pushing() {
    for pushes in [true, false] {
        let server = Server::start(|asked, _| {
            if asked.line.starts_with("GET /token") {
                return Answer::new(200, r#"{"token":"t"}"#);
            }
            let realm = format!("Bearer realm=\"http://{}/token\"", asked.header("host").unwrap());
            match asked.header("authorization") {
                None => Answer::new(401, "").with("WWW-Authenticate", &realm),
                Some(_) => takes(asked),
            }
        });
        let client = client(&server, None, pushes);
        client.has_blob(&server.registry(), &repository(), Digest::of(b"{}")).await.unwrap();
        let kind = bundle_oci::MediaType::IMAGE_MANIFEST.parse().unwrap();
        let bytes = Bytes::from_static(b"{}");
        client.push_manifest(&server.registry(), &repository(), &tag(), &kind, bytes).await.unwrap();
        assert_eq!(server.count("GET /token"), if pushes { 1 } else { 2 });
        let push = server.count("GET /token?scope=repository%3Ateam%2Fapp%3Apull%2Cpush ");
        assert_eq!(push, 1);
    }
}

#[tokio::test]
async fn a_path_below_the_host_stands_before_every_name() {
    let server = Server::start(|asked, _| takes(asked));
    let client = client(&server, Some("group/project"), true);
    let registry = server.registry();
    assert!(!client.has_blob(&registry, &repository(), Digest::of(b"{}")).await.unwrap());
    assert_eq!(client.manifest_exists(&registry, &repository(), &tag()).await.unwrap(), None);
    push(&client, &server).await.unwrap();
    let seen = server.seen();
    let lines: Vec<&str> = seen.iter().map(|asked| asked.line.as_str()).collect();
    for line in &lines {
        assert!(line.contains(" /v2/group/project/team/app/") || line.contains("/v2/upload?"), "{line}");
    }
    assert!(lines.iter().any(|line| line.contains("&from=group/project/other/app ")), "{lines:?}");
    let long = "a/".repeat(126) + "a";
    let error = client.has_blob(&registry, &long.parse().unwrap(), Digest::of(b"{}")).await.unwrap_err();
    assert!(matches!(error, Error::Path { .. }), "{error}");
}
