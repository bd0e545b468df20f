//! Uploads that break, are refused or mounted.
//! Takes the client as `import` uses it, against a server that follows a script.

use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use bundle_oci::{Digest, MediaType};
use bundle_registry::{BlobSource, Client, Error, Limits, Name, Refusal, Uploaded};
use bytes::Bytes;
use futures_util::StreamExt;
use futures_util::stream::BoxStream;

use crate::server::{Answer, Asked, Server};
use crate::{client, repository};

struct Source {
    bytes: &'static [u8],
    opened: AtomicUsize,
    /// How often the bytes can be had.
    times: usize,
    /// Whether the source ends with an error instead of its last byte.
    damaged: bool,
}

impl Source {
    fn new(bytes: &'static [u8]) -> Self {
        Self { bytes, opened: AtomicUsize::new(0), times: usize::MAX, damaged: false }
    }
}

impl BlobSource for Source {
    fn open(&self) -> Option<BoxStream<'static, std::io::Result<Bytes>>> {
        if self.opened.fetch_add(1, Ordering::SeqCst) >= self.times {
            return None;
        }
        let mut pieces: Vec<std::io::Result<Bytes>> =
            self.bytes.chunks(3).map(|piece| Ok(Bytes::from_static(piece))).collect();
        if self.damaged {
            pieces.pop();
            pieces.push(Err(std::io::Error::new(std::io::ErrorKind::InvalidData, "wrong digest")));
        }
        Some(futures_util::stream::iter(pieces).boxed())
    }
}

const BLOB: &[u8] = b"0123456789";
const SESSION: &str = "/v2/team/app/blobs/uploads/1?_state=a%3D-_";

/// A registry that opens uploads and takes what is put there.
fn takes(asked: &Asked) -> Answer {
    match asked.line.split(' ').next().unwrap() {
        "POST" => Answer::new(202, "").with("Location", SESSION),
        "PUT" => Answer::new(201, ""),
        _ => Answer::new(404, ""),
    }
}

async fn upload(server: &Server, source: &Source, from: Option<&str>) -> Result<Uploaded, Error> {
    let digest = Digest::of(source.bytes);
    let from = from.map(|name| name.parse().unwrap());
    let size = source.bytes.len() as u64;
    client().upload_blob(&server.registry(), &repository(), digest, size, from.as_ref(), source).await
}

#[tokio::test]
async fn a_blob_is_put_whole_with_its_length() {
    for bytes in [BLOB, b""] {
        let server = Server::start(|asked, _| takes(asked));
        assert_eq!(upload(&server, &Source::new(bytes), None).await.unwrap(), Uploaded::Sent);
        let put = &server.seen()[1];
        assert_eq!(put.line, format!("PUT {SESSION}&digest={} HTTP/1.1", Digest::of(bytes)));
        assert_eq!(put.header("content-length"), Some(bytes.len().to_string().as_str()));
        assert_eq!(put.header("transfer-encoding"), None);
        assert_eq!(put.header("content-type"), Some("application/octet-stream"));
        assert_eq!(put.body, bytes);
    }
}

#[tokio::test]
async fn a_mount_is_taken_or_goes_on_as_an_upload_in_its_session() {
    let server = Server::start(|_, _| Answer::new(201, ""));
    assert_eq!(upload(&server, &Source::new(BLOB), Some("other/app")).await.unwrap(), Uploaded::Mounted);
    let line = &server.seen()[0].line;
    assert!(line.contains(&format!("?mount={}&from=other/app ", Digest::of(BLOB))), "{line}");

    let server = Server::start(|asked, _| takes(asked));
    assert_eq!(upload(&server, &Source::new(BLOB), Some("other/app")).await.unwrap(), Uploaded::Sent);
    assert_eq!((server.count("POST"), server.count("PUT")), (1, 1));

    let server = Server::start(|asked, _| match asked.line.contains("mount=") {
        true => Answer::new(401, ""),
        false => takes(asked),
    });
    assert_eq!(upload(&server, &Source::new(BLOB), Some("other/app")).await.unwrap(), Uploaded::Sent);
    assert_eq!((server.count("POST"), server.count("PUT")), (2, 1));
}

#[tokio::test]
async fn a_lost_answer_is_looked_up_and_a_lost_upload_sent_again() {
    let server = Server::start(|asked, _| match asked.line.split(' ').next().unwrap() {
        "PUT" => Answer::hang_up(),
        "HEAD" => Answer::new(200, ""),
        _ => takes(asked),
    });
    assert_eq!(upload(&server, &Source::new(BLOB), None).await.unwrap(), Uploaded::Found);
    assert_eq!(server.count("PUT"), 1);

    let server = Server::start(|asked, before| match before {
        1 => Answer::new(404, r#"{"errors":[{"code":"BLOB_UPLOAD_UNKNOWN"}]}"#),
        _ => takes(asked),
    });
    assert_eq!(upload(&server, &Source::new(BLOB), None).await.unwrap(), Uploaded::Sent);
    assert_eq!((server.count("POST"), server.count("HEAD"), server.count("PUT")), (2, 1, 2));
}

#[tokio::test]
async fn bytes_that_can_be_had_once_are_sent_once() {
    let server = Server::start(|asked, _| match asked.line.starts_with("PUT") {
        true => Answer::new(500, ""),
        false => takes(asked),
    });
    let source = Source { times: 1, ..Source::new(BLOB) };
    let error = upload(&server, &source, None).await.unwrap_err();
    assert_eq!(error.refusal(), Some(Refusal::ServerError));
    assert_eq!(server.count("PUT"), 1);

    // A failure before the bytes are read does not use them up.
    let server = Server::start(|asked, before| match before {
        0 => Answer::new(503, ""),
        _ => takes(asked),
    });
    let source = Source { times: 1, ..Source::new(BLOB) };
    assert_eq!(upload(&server, &source, None).await.unwrap(), Uploaded::Sent);
}

#[tokio::test]
async fn a_damaged_source_never_becomes_a_blob() {
    let server = Server::start(|asked, _| takes(asked));
    let source = Source { damaged: true, ..Source::new(BLOB) };
    let error = upload(&server, &source, None).await.unwrap_err();
    assert!(matches!(&error, Error::Source(source) if source.to_string() == "wrong digest"), "{error:?}");
    assert_eq!(source.opened.load(Ordering::SeqCst), 1);
    assert!(server.seen().iter().all(|asked| asked.body.len() < BLOB.len()));
}

#[tokio::test]
async fn an_answer_that_does_not_come_is_not_waited_for_endlessly() {
    let server = Server::start(|asked, _| match asked.line.starts_with("PUT") {
        true => Answer::never(),
        false => takes(asked),
    });
    let wait = Duration::from_millis(10);
    let limits = Limits { stall: wait, attempts: 0, ..Limits::default() };
    let client = Client::builder().limits(limits).build().unwrap();
    for bytes in [BLOB, b""] {
        let (digest, size) = (Digest::of(bytes), bytes.len() as u64);
        let source = Source::new(bytes);
        let sent = client.upload_blob(&server.registry(), &repository(), digest, size, None, &source).await;
        assert!(matches!(sent, Err(Error::Stalled { .. })));
    }
}

#[tokio::test]
async fn sources_of_another_length_are_not_sent_as_they_are() {
    let server = Server::start(|asked, _| takes(asked));
    let (client, registry, source) = (client(), server.registry(), Source::new(BLOB));
    for size in [8, 11] {
        let sent = client.upload_blob(&registry, &repository(), Digest::of(BLOB), size, None, &source).await;
        let error = sent.unwrap_err();
        assert!(matches!(error, Error::Source(_)), "{error:?}");
    }
}

#[tokio::test]
async fn a_token_that_expires_on_the_way_is_replaced() {
    let server = Server::start(|asked, before| {
        if asked.line.starts_with("GET /token") {
            return Answer::new(200, format!(r#"{{"token":"t{before}"}}"#));
        }
        let header = format!("Bearer realm=\"http://{}/token\"", asked.header("host").unwrap());
        match asked.header("authorization") {
            // The token of the POST, asked for after its challenge.
            Some("Bearer t1") if asked.line.starts_with("PUT") => Answer::new(401, ""),
            Some(_) => takes(asked),
            None => Answer::new(401, "").with("WWW-Authenticate", &header),
        }
    });
    assert_eq!(upload(&server, &Source::new(BLOB), None).await.unwrap(), Uploaded::Sent);
    assert_eq!(server.count("PUT"), 2);
}

#[tokio::test]
async fn uploads_do_not_leave_the_registry() {
    let server =
        Server::start(|_, _| Answer::new(202, "").with("Location", "http://evil.example/v2/x?_state=1"));
    let error = upload(&server, &Source::new(BLOB), None).await.unwrap_err();
    assert!(matches!(error, Error::Misbehaved { .. }));
    assert_eq!(server.count("PUT"), 0);
}

#[tokio::test]
async fn a_manifest_is_refused_by_name_of_what_it_lacks() {
    let missing = Digest::of(b"layer");
    let body =
        format!(r#"{{"errors":[{{"code":"MANIFEST_BLOB_UNKNOWN","detail":{{"Digest":"{missing}"}}}}]}}"#);
    let server = Server::start(move |asked, _| match asked.line.contains("/whole ") {
        true => Answer::new(201, "").with("OCI-Subject", "sha256:x"),
        false => Answer::new(400, body.as_str()),
    });
    let media_type: MediaType = MediaType::IMAGE_MANIFEST.parse().unwrap();
    let (client, registry, bytes) = (client(), server.registry(), Bytes::from_static(b"{}"));
    let push = |tag: &str| {
        let (client, registry) = (client.clone(), registry.clone());
        let (name, bytes, media_type) = (Name::Tag(tag.parse().unwrap()), bytes.clone(), media_type.clone());
        async move { client.push_manifest(&registry, &repository(), &name, &media_type, bytes).await }
    };
    assert!(push("whole").await.unwrap().subject_recognised);
    let error = push("sparse").await.unwrap_err();
    assert_eq!(error.refusal(), Some(Refusal::MissingContent));
    assert!(matches!(error, Error::Answer(answer) if answer.missing == [missing]));
    assert_eq!(server.seen().len(), 2);
}
