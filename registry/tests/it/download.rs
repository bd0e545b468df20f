//! Downloads that break, resume, are redirected or lie.
//! Takes the client as `create` uses it, against a server that follows a script.

use std::sync::{Arc, Mutex};
use std::time::Duration;

use bundle_oci::{Digest, MediaType};
use bundle_registry::{Blame, Client, Download, Error, FallbackTo, Limits, Name, Refusal};

use crate::server::{Answer, Asked, Server};
use crate::{builder, client, credentials, repository};

const BLOB: &[u8] = b"0123456789abcdef";

fn start(client: &Client, server: &Server, offset: u64) -> Download {
    client.blob(&server.registry(), &repository(), Digest::of(BLOB), BLOB.len() as u64, offset)
}

async fn read(mut download: Download) -> Result<Vec<u8>, Error> {
    let mut bytes = Vec::new();
    while let Some(piece) = download.next().await? {
        bytes.extend_from_slice(&piece);
    }
    Ok(bytes)
}

fn first_byte(range: &str) -> usize {
    range.strip_prefix("bytes=").unwrap().strip_suffix("-15").unwrap().parse().unwrap()
}

fn part(asked: &Asked) -> Option<Answer> {
    let first = asked.header("range").map(first_byte)?;
    let range = format!("bytes {first}-{}/{}", BLOB.len() - 1, BLOB.len());
    Some(Answer::new(206, &BLOB[first..]).with("Content-Range", &range))
}

#[tokio::test]
async fn a_broken_download_goes_on_where_it_broke() {
    let server =
        Server::start(|asked, _| part(asked).unwrap_or_else(|| Answer::cut(200, BLOB.len(), &BLOB[..5])));
    let retries = Arc::new(Mutex::new(0));
    let counted = retries.clone();
    let client = builder().on_retry(move |_| *counted.lock().unwrap() += 1).build().unwrap();
    assert_eq!(read(start(&client, &server, 0)).await.unwrap(), BLOB);
    assert_eq!(server.seen()[1].header("range"), Some("bytes=5-15"));
    assert_eq!(*retries.lock().unwrap(), 1);
}

#[tokio::test]
async fn a_server_without_ranges_is_read_from_the_start_again() {
    let server = Server::start(|_, before| match before {
        0 => Answer::cut(200, BLOB.len(), &BLOB[..5]),
        _ => Answer::new(200, BLOB),
    });
    assert_eq!(read(start(&client(), &server, 0)).await.unwrap(), BLOB);
    assert_eq!(read(start(&client(), &server, 7)).await.unwrap(), &BLOB[7..]);
    assert_eq!(read(start(&client(), &server, 16)).await.unwrap(), b"");
    assert_eq!(server.seen().len(), 3);
}

#[tokio::test]
async fn a_server_that_refuses_ranges_is_read_from_the_start() {
    let server = Server::start(|asked, _| match asked.header("range") {
        Some(_) => Answer::new(416, ""),
        None => Answer::new(200, BLOB),
    });
    assert_eq!(read(start(&client(), &server, 7)).await.unwrap(), &BLOB[7..]);
}

#[tokio::test]
async fn a_registry_that_falls_silent_is_left() {
    let server = Server::start(|asked, before| match before {
        0 => Answer::silent(200, BLOB.len(), &BLOB[..5]),
        _ => part(asked).unwrap(),
    });
    let limits =
        Limits { stall: Duration::from_millis(10), backoff: Duration::from_millis(1), ..Limits::default() };
    let client = Client::builder().limits(limits).build().unwrap();
    assert_eq!(read(start(&client, &server, 0)).await.unwrap(), BLOB);
}

fn lie(name: &str) -> Answer {
    match name {
        "too long" => Answer::new(200, [BLOB, b"x"].concat()),
        "without end" => Answer::unannounced(200, [BLOB, b"x"].concat()),
        "too short" => Answer::unannounced(206, &BLOB[3..9]).with("Content-Range", "bytes 3-15/16"),
        "another part" => Answer::new(206, &BLOB[2..]).with("Content-Range", "bytes 2-15/16"),
        "another size" => Answer::new(206, &BLOB[3..]).with("Content-Range", "bytes 3-15/17"),
        _ => Answer::new(200, BLOB).with("Content-Encoding", "gzip"),
    }
}

#[tokio::test]
async fn whatever_is_not_the_blob_is_refused_after_some_attempts() {
    for name in ["too long", "without end", "too short", "another part", "another size", "compressed"] {
        let server = Server::start(move |_, _| lie(name));
        let error = read(start(&client(), &server, 3)).await.unwrap_err();
        assert_eq!(error.blame(), Blame::Misbehaved, "{name}: {error}");
        assert!(server.seen().len() >= 4, "{name}");
    }
}

#[tokio::test]
async fn one_byte_for_each_connection_comes_to_an_end() {
    let server = Server::start(|asked, _| {
        let first: usize = asked.header("range").map_or(0, first_byte);
        let range = format!("bytes {first}-{}/{}", BLOB.len() - 1, BLOB.len());
        let status = if first == 0 { 200 } else { 206 };
        Answer::cut(status, BLOB.len() - first, &BLOB[first..=first]).with("Content-Range", &range)
    });
    let quick = Limits { backoff: Duration::from_millis(1), ..Limits::default() };
    let without_progress = Limits { attempts: 3, ..quick };
    let with_progress = Limits { attempts_in_all: 3, progress: 1, ..quick };
    for limits in [without_progress, with_progress] {
        let before = server.seen().len();
        let client = Client::builder().limits(limits).build().unwrap();
        assert!(read(start(&client, &server, 0)).await.is_err());
        assert_eq!(server.seen().len() - before, 4);
    }
}

#[tokio::test]
async fn a_wrong_digest_starts_the_download_again_until_it_is_enough() {
    let server = Server::start(|_, _| Answer::new(200, BLOB));
    let limits = Limits { backoff: Duration::from_millis(1), restarts: 2, ..Limits::default() };
    let client = Client::builder().limits(limits).build().unwrap();
    let mut download = start(&client, &server, 0);
    for _ in 0..2 {
        while download.next().await.unwrap().is_some() {}
        download.restart(Digest::of(b"other")).await.unwrap();
        assert_eq!(download.position(), 0);
    }
    while download.next().await.unwrap().is_some() {}
    let error = download.restart(Digest::of(b"other")).await.unwrap_err();
    assert!(matches!(error, Error::WrongContent { .. }));
    assert_eq!(server.seen().len(), 3);
}

#[tokio::test]
async fn a_busy_registry_is_waited_for_and_an_absent_blob_is_not() {
    let server = Server::start(|_, before| match before {
        0 => Answer::new(429, "").with("Retry-After", "0"),
        1 => Answer::new(503, "<html><title>Service Unavailable</title></html>"),
        _ => Answer::new(200, BLOB),
    });
    assert_eq!(read(start(&client(), &server, 0)).await.unwrap(), BLOB);
    let server = Server::start(|_, _| Answer::new(404, r#"{"errors":[{"code":"BLOB_UNKNOWN"}]}"#));
    assert_eq!(read(start(&client(), &server, 0)).await.unwrap_err().status(), Some(404));
    assert_eq!(server.seen().len(), 1);
}

#[tokio::test]
async fn credentials_stay_behind_at_a_redirect() {
    let storage = Server::start(|asked, _| part(asked).unwrap_or_else(|| Answer::new(200, BLOB)));
    let location = format!("http://{}/bucket?signature=secret", storage.other_name());
    let server = Server::start(move |asked, _| match asked.header("authorization") {
        None => Answer::new(401, "").with("WWW-Authenticate", "Basic realm=\"x\""),
        Some(_) => Answer::new(307, "").with("Location", &location),
    });
    let store = credentials(server.registry().as_str());
    let client = builder().credentials(store).build().unwrap();
    assert_eq!(read(start(&client, &server, 4)).await.unwrap(), &BLOB[4..]);
    assert_eq!(storage.seen().len(), 1);
    assert_eq!(storage.seen()[0].header("authorization"), None);
    assert!(storage.seen()[0].line.starts_with("GET /bucket?signature=secret "));
}

#[tokio::test]
async fn redirects_into_the_dark_are_not_followed() {
    for to in ["http://169.254.169.254/latest?secret", "file:///etc/passwd", "http://storage.example/x"] {
        let server = Server::start(move |_, _| Answer::new(307, "").with("Location", to));
        let error = read(start(&client(), &server, 0)).await.unwrap_err();
        assert!(matches!(error, Error::Redirect { .. }), "{to}: {error}");
        assert!(!error.to_string().contains("secret"));
    }
    // A loop.
    let server = Server::start(|_, _| Answer::new(307, "").with("Location", "/v2/again"));
    assert!(matches!(read(start(&client(), &server, 0)).await, Err(Error::Redirect { .. })));
    assert_eq!(server.seen().len(), 6);
    // A manifest is never fetched from another location.
    let name = Name::Tag("v1".parse().unwrap());
    let error = client().manifest(&server.registry(), &repository(), &name).await.unwrap_err();
    assert_eq!(error.blame(), Blame::NotFollowed);
}

#[tokio::test]
async fn a_blob_on_object_storage_exists_without_being_asked_for() {
    let server = Server::start(|_, _| Answer::new(307, "").with("Location", "http://unreachable.invalid/x"));
    let found = client().blob_exists(&server.registry(), &repository(), Digest::of(BLOB)).await.unwrap();
    assert_eq!(found.unwrap().size, None);
    let server = Server::start(|_, _| Answer::new(200, BLOB));
    let found = client().blob_exists(&server.registry(), &repository(), Digest::of(BLOB)).await.unwrap();
    assert_eq!(found.unwrap().size, Some(16));
    let server = Server::start(|_, _| Answer::new(404, ""));
    let found = client().blob_exists(&server.registry(), &repository(), Digest::of(BLOB)).await.unwrap();
    assert_eq!(found, None);
}

#[tokio::test]
async fn a_mirror_is_read_first_and_left_when_it_fails() {
    let origin = Server::start(|_, _| Answer::new(200, BLOB));
    let mirror = Server::start(|_, before| match before {
        0 => Answer::cut(200, BLOB.len(), &BLOB[..5]),
        _ => Answer::new(500, ""),
    });
    let fallbacks = Arc::new(Mutex::new(Vec::new()));
    let told = fallbacks.clone();
    let client = builder()
        .mirror(origin.registry(), mirror.registry(), Some("cache".parse().unwrap()))
        .on_fallback(move |fallback| told.lock().unwrap().push(fallback.mirror.clone()))
        .build()
        .unwrap();
    assert_eq!(read(start(&client, &origin, 0)).await.unwrap(), BLOB);
    assert!(mirror.seen()[0].line.starts_with("GET /v2/cache/team/app/blobs/"));
    assert_eq!(origin.seen()[0].header("range"), Some("bytes=5-15"));
    assert_eq!(*fallbacks.lock().unwrap(), [mirror.registry()]);
}

#[tokio::test]
async fn a_mirror_has_the_last_word_when_only_it_can_be_reached() {
    let mirror = Server::start(|_, _| Answer::new(404, r#"{"errors":[{"code":"MANIFEST_UNKNOWN"}]}"#));
    let told = Arc::new(Mutex::new(Vec::new()));
    let tell = told.clone();
    let client = builder()
        .mirror("127.0.0.1:1".parse().unwrap(), mirror.registry(), None)
        .on_fallback(move |fallback| tell.lock().unwrap().push(fallback.to))
        .build()
        .unwrap();
    for tag in ["sha256-1.sig", "sha256-2.sig"] {
        let name = Name::Tag(tag.parse().unwrap());
        let found = client.manifest(&"127.0.0.1:1".parse().unwrap(), &repository(), &name).await;
        assert_eq!(found.unwrap_err().status(), Some(404));
    }
    let (to_registry, to_mirror) = (FallbackTo::Registry, FallbackTo::Mirror);
    assert_eq!(*told.lock().unwrap(), [to_registry, to_mirror, to_registry]);
}

#[tokio::test]
async fn manifests_are_believed_by_their_bytes_only() {
    let manifest = br#"{"schemaVersion":2,"manifests":[]}"#;
    let good = Digest::of(manifest);
    let server = Server::start(move |asked, _| {
        let announced = if asked.line.contains("lie") { Digest::of(b"other") } else { good };
        Answer::new(200, manifest)
            .with("Content-Type", MediaType::IMAGE_INDEX)
            .with("Docker-Content-Digest", &announced.to_string())
    });
    let (client, registry) = (client(), server.registry());
    let tag = |name: &str| Name::Tag(name.parse().unwrap());
    let fetched = client.manifest(&registry, &repository(), &tag("v1")).await.unwrap();
    assert_eq!((fetched.digest, fetched.media_type.is_index()), (good, true));
    let error = client.manifest(&registry, &repository(), &tag("lie")).await.unwrap_err();
    assert!(matches!(error, Error::WrongContent { .. }));
    let other = Name::Digest(Digest::of(b"asked"));
    assert!(matches!(
        client.manifest(&registry, &repository(), &other).await,
        Err(Error::WrongContent { .. })
    ));
    let reference = format!("{registry}/team/app:v1").parse().unwrap();
    let info = client.resolve(&reference).await.unwrap();
    assert_eq!((info.digest, info.size), (good, Some(manifest.len() as u64)));
}

#[tokio::test]
async fn a_registry_that_knows_head_badly_is_asked_with_get() {
    let manifest = br#"{"schemaVersion":2,"manifests":[]}"#;
    let server = Server::start(move |asked, _| match asked.line.starts_with("HEAD") {
        true if asked.line.contains("odd") => Answer::new(405, ""),
        true if asked.line.contains("gone") => Answer::new(404, ""),
        true => Answer::new(200, ""),
        false => Answer::new(200, manifest),
    });
    for tag in ["v1", "odd"] {
        let reference = format!("{}/team/app:{tag}", server.registry()).parse().unwrap();
        assert_eq!(client().resolve(&reference).await.unwrap().digest, Digest::of(manifest), "{tag}");
    }
    let gone = Name::Tag("gone".parse().unwrap());
    assert_eq!(client().manifest_exists(&server.registry(), &repository(), &gone).await.unwrap(), None);
    let reference = format!("{}/team/app:gone", server.registry()).parse().unwrap();
    assert_eq!(client().resolve(&reference).await.unwrap_err().refusal(), Some(Refusal::NotFound));
}

#[tokio::test]
async fn a_manifest_without_end_is_not_read_to_it() {
    let server = Server::start(|_, _| Answer::unannounced(200, vec![b' '; 5 << 20]));
    let name = Name::Tag("v1".parse().unwrap());
    let error = client().manifest(&server.registry(), &repository(), &name).await.unwrap_err();
    assert_eq!(error.blame(), Blame::Misbehaved);
}
