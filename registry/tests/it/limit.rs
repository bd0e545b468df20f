//! Rate limits, and what is kept across runs: how many requests are made, and which of them count.
//! Takes the client as `create` uses it, against a server that follows a script.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use bundle_oci::Digest;
use bundle_registry::{Client, Limits, Name, Refusal};

use crate::repository;
use crate::server::{Answer, Server};

const MANIFEST: &str = r#"{"schemaVersion":2,"mediaType":"application/vnd.oci.image.manifest.v1+json","config":{"mediaType":"application/vnd.oci.image.config.v1+json","digest":"sha256:44136fa355b3678a1146ad16f7e8649e94fb4fc21fe77e8310c060f61caaff8a","size":2},"layers":[]}"#;

fn limits() -> Limits {
    Limits { backoff: Duration::from_millis(1), ..Limits::default() }
}

/// Docker Hub counts GET of manifests, answers HEAD for free, and says what is left
/// (docs.docker.com, Docker Hub usage and limits).
fn hub(body: &'static str) -> Server {
    Server::start(move |_, _| {
        Answer::new(200, body)
            .with("Content-Type", "application/vnd.oci.image.manifest.v1+json")
            .with("Docker-Content-Digest", &Digest::of(body.as_bytes()).to_string())
            .with("RateLimit-Limit", "100;w=21600")
            .with("RateLimit-Remaining", "76;w=21600")
    })
}

#[tokio::test]
async fn an_unchanged_tag_costs_one_head_and_no_get() {
    let directory = tempfile::tempdir().unwrap();
    let server = hub(MANIFEST);
    let registry = server.registry();
    let digest = Digest::of(MANIFEST.as_bytes());
    for run in 1..=3 {
        let client = Client::builder().limits(limits()).cache(directory.path()).build().unwrap();
        for name in [Name::Tag("v1".parse().unwrap()), Name::Digest(digest)] {
            let fetched = client.manifest(&registry, &repository(), &name).await.unwrap();
            assert_eq!((fetched.digest, fetched.bytes.as_ref()), (digest, MANIFEST.as_bytes()));
        }
        assert_eq!((server.count("HEAD"), server.count("GET")), (run, 1));
        assert_eq!(client.rate_limit(&registry).unwrap().remaining, 76);
    }
    // A tag that moved is fetched; a file that is damaged is fetched again.
    let moved =
        hub(r#"{"schemaVersion":2,"mediaType":"application/vnd.oci.image.index.v1+json","manifests":[]}"#);
    let client = Client::builder().limits(limits()).cache(directory.path()).build().unwrap();
    client.manifest(&moved.registry(), &repository(), &Name::Tag("v1".parse().unwrap())).await.unwrap();
    assert_eq!((moved.count("HEAD"), moved.count("GET")), (1, 1));
    std::fs::write(directory.path().join(format!("sha256-{}", digest.hex())), "x").unwrap();
    client.manifest(&registry, &repository(), &Name::Digest(digest)).await.unwrap();
    assert_eq!(server.count("GET"), 2);
}

#[tokio::test]
async fn a_limit_that_is_used_up_is_not_asked_against() {
    for (name, value) in [("Retry-After", "3600"), ("RateLimit-Remaining", "0;w=21600")] {
        let server = Server::start(move |_, _| {
            let body = r#"{"errors":[{"code":"TOOMANYREQUESTS","message":"You have reached your pull rate limit."}]}"#;
            Answer::new(429, body).with(name, value)
        });
        let client = Client::builder().limits(limits()).build().unwrap();
        let error = client
            .manifest(&server.registry(), &repository(), &Name::Tag("v1".parse().unwrap()))
            .await
            .unwrap_err();
        assert_eq!(error.refusal(), Some(Refusal::RateLimited), "{error}");
        assert_eq!(server.seen().len(), 1, "{error}");
    }
}

#[tokio::test]
async fn a_limit_is_waited_for_as_long_as_asked() {
    let asked = Arc::new(AtomicUsize::new(0));
    let count = asked.clone();
    let server = Server::start(move |_, _| match count.fetch_add(1, Ordering::SeqCst) {
        0 | 1 => Answer::new(429, "").with("Retry-After", "1"),
        _ => Answer::new(200, MANIFEST),
    });
    let limits = Limits { longest_wait: Duration::ZERO, limit_wait: Duration::from_secs(10), ..limits() };
    let waits = Arc::new(AtomicUsize::new(0));
    let told = waits.clone();
    let client = Client::builder()
        .limits(Limits { attempts: 0, ..limits })
        .on_retry(move |retry| {
            assert_eq!(retry.wait, Duration::from_secs(1));
            told.fetch_add(1, Ordering::SeqCst);
        })
        .build()
        .unwrap();
    client.manifest(&server.registry(), &repository(), &Name::Tag("v1".parse().unwrap())).await.unwrap();
    assert_eq!(waits.load(Ordering::SeqCst), 2);
}
