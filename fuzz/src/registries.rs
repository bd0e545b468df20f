//! Answers of a registry: a server that sends these bytes for any request, and the real client. Takes any
//! bytes, as they go over the connection; gives nothing, and ends.

use std::time::Duration;

use bundle_oci::{Digest, Reference, Registry};
use bundle_registry::{Client, Limits};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpListener;

/// Longer than any of these may take.
const LONGEST: Duration = Duration::from_secs(20);

pub(crate) fn answers(bytes: &[u8]) {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
    let bytes: std::sync::Arc<[u8]> = bytes.into();
    runtime.block_on(async move {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let host = listener.local_addr().unwrap().to_string();
        tokio::spawn(async move {
            while let Ok((mut connection, _)) = listener.accept().await {
                let bytes = bytes.clone();
                tokio::spawn(async move {
                    let _ = connection.read(&mut [0; 16 << 10]).await;
                    let _ = connection.write_all(&bytes).await;
                    let _ = connection.shutdown().await;
                });
            }
        });
        let all = tokio::time::timeout(LONGEST, ask(&host));
        all.await.expect("the client does not end");
    });
}

async fn ask(host: &str) {
    let registry: Registry = host.parse().unwrap();
    let quick = Duration::from_millis(1);
    let limits = Limits {
        attempts: 1,
        first_attempts: 1,
        backoff: quick,
        longest_wait: quick,
        limit_wait: quick,
        answer: Duration::from_secs(1),
        stall: Duration::from_secs(1),
        ..Limits::default()
    };
    let client = Client::builder().plain_http(registry.clone()).limits(limits).build().unwrap();
    let reference: Reference = format!("{host}/team/app:1").parse().unwrap();
    let repository = reference.repository().clone();
    let _ = client.resolve(&reference).await;
    let _ = client.manifest(&registry, &repository, &bundle_registry::Name::of(&reference)).await;
    let _ = client.tags(&registry, &repository).await;
    let _ = client.ping(&registry).await;
    let _ = client.referrers(&registry, &repository, Digest::of(b"x")).await;
}

fn answer(head: &str, body: &str) -> Vec<u8> {
    format!("HTTP/1.1 {head}\r\nContent-Length: {}\r\n\r\n{body}", body.len()).into_bytes()
}

pub(crate) fn seeds() -> Vec<Vec<u8>> {
    let manifest = String::from_utf8(crate::seeds::manifests().remove(0)).unwrap();
    let index = String::from_utf8(crate::seeds::manifests().remove(1)).unwrap();
    let digest = Digest::of(manifest.as_bytes());
    vec![
        answer(
            &format!(
                "200 OK\r\nContent-Type: application/vnd.oci.image.manifest.v1+json\r\nDocker-Content-Digest: {digest}"
            ),
            &manifest,
        ),
        answer(
            "200 OK\r\nContent-Type: application/vnd.oci.image.index.v1+json\r\nOCI-Filters-Applied: artifactType",
            &index,
        ),
        answer(
            "200 OK\r\nContent-Type: application/json\r\nLink: </v2/team/app/tags/list?n=1&last=a>; rel=\"next\"",
            r#"{"name":"team/app","tags":["1","latest"]}"#,
        ),
        answer(
            "401 Unauthorized\r\nWWW-Authenticate: Bearer realm=\"http://127.0.0.1:1/token\",service=\"s\",scope=\"repository:team/app:pull\", Basic realm=\"x\"",
            r#"{"errors":[{"code":"UNAUTHORIZED","message":"m","detail":[{"Type":"repository"}]}]}"#,
        ),
        answer(
            "429 Too Many Requests\r\nRetry-After: 1\r\nRateLimit-Remaining: 0;w=21600",
            r#"{"errors":[{"code":"TOOMANYREQUESTS"}]}"#,
        ),
        answer("307 Temporary Redirect\r\nLocation: /v2/team/app/manifests/2", ""),
        b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n5\r\n{\"a\":\r\n2\r\n1}\r\n0\r\n\r\n".to_vec(),
    ]
}
