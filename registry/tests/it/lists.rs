//! Lists of tags and referrers, and their pages.

use bundle_oci::Digest;
use bundle_registry::Blame;

use crate::server::{Answer, Server};
use crate::{client, repository};

#[tokio::test]
async fn lists_are_read_page_by_page_and_end() {
    let server = Server::start(|asked, _| match asked.line.contains("last=b") {
        false => Answer::new(200, r#"{"name":"x","tags":["a","b","-no tag"]}"#)
            .with("Link", "</v2/team/app/tags/list?last=b&n=3>; rel=\"next\""),
        true => Answer::new(200, r#"{"tags":["c"]}"#),
    });
    let tags = client().tags(&server.registry(), &repository()).await.unwrap();
    let names: Vec<&str> = tags.tags.iter().map(|tag| tag.as_str()).collect();
    assert_eq!((names, tags.truncated), (vec!["a", "b", "c"], false));
    let null = Server::start(|_, _| Answer::new(200, r#"{"tags":null}"#));
    assert!(client().tags(&null.registry(), &repository()).await.unwrap().tags.is_empty());
}

#[tokio::test]
async fn lists_without_end_are_left() {
    let server = Server::start(|_, before| {
        Answer::new(200, r#"{"tags":["a"],"manifests":[{"mediaType":"a/b","digest":"sha512:00","size":1}]}"#)
            .with("Link", &format!("</v2/team/app/tags/list?last={before}>; rel=\"next\""))
    });
    let tags = client().tags(&server.registry(), &repository()).await.unwrap();
    assert!(tags.truncated);
    assert_eq!(server.seen().len(), 100);
    let error = client().referrers(&server.registry(), &repository(), Digest::of(b"")).await.unwrap_err();
    assert_eq!(error.blame(), Blame::Misbehaved);
}

#[tokio::test]
async fn referrers_are_described_and_their_absence_remembered() {
    let digest = Digest::of(b"signature");
    let body = format!(
        r#"{{"schemaVersion":2,"manifests":[{{"mediaType":"application/vnd.oci.image.manifest.v1+json",
            "digest":"{digest}","size":7,"artifactType":"a/b","annotations":{{"k":"v"}}}}]}}"#
    );
    let server = Server::start(move |_, _| Answer::new(200, body.as_str()));
    let found =
        client().referrers(&server.registry(), &repository(), Digest::of(b"")).await.unwrap().unwrap();
    assert_eq!((found[0].digest, found[0].size), (digest, 7));
    assert_eq!(found[0].artifact_type.as_ref().unwrap().as_str(), "a/b");
    let old = Server::start(|_, _| Answer::new(404, "404 page not found\n"));
    let client = client();
    for _ in 0..2 {
        assert_eq!(client.referrers(&old.registry(), &repository(), digest).await.unwrap(), None);
    }
    assert_eq!(old.seen().len(), 1);
}
