//! Lists of tags and referrers, and their pages.
//! Takes the client as `create` and `serve`'s clients do, against a server that follows a script.

use bundle_oci::Digest;
use bundle_registry::{Error, ReferrerList};

use crate::server::{Answer, Server};
use crate::{builder, client, repository};

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
    let endless = client().referrers(&server.registry(), &repository(), Digest::of(b"")).await.unwrap();
    assert!(matches!(endless, ReferrerList::Unobtainable { .. }), "{endless:?}");
    assert_eq!(server.seen().len(), 200);
}

#[tokio::test]
async fn referrers_are_described_and_their_absence_remembered() {
    let digest = Digest::of(b"signature");
    let body = format!(
        r#"{{"schemaVersion":2,"manifests":[{{"mediaType":"application/vnd.oci.image.manifest.v1+json",
            "digest":"{digest}","size":7,"artifactType":"a/b","annotations":{{"k":"v"}}}}]}}"#
    );
    let server = Server::start(move |_, _| Answer::new(200, body.as_str()));
    let listed = client().referrers(&server.registry(), &repository(), Digest::of(b"")).await.unwrap();
    let ReferrerList::Listed(found) = listed else { panic!("{listed:?}") };
    assert_eq!((found[0].digest, found[0].size), (digest, Some(7)));
    let old = Server::start(|_, _| Answer::new(404, "404 page not found\n"));
    let client = client();
    for _ in 0..2 {
        assert_eq!(
            client.referrers(&old.registry(), &repository(), digest).await.unwrap(),
            ReferrerList::Unsupported
        );
    }
    assert_eq!(old.seen().len(), 1);
}

/// Registries' answers to `GET /v2/NAME/referrers/DIGEST`, and the client's reading of them.
#[tokio::test]
async fn an_api_that_does_not_tell_is_told_apart_from_one_that_is_absent() {
    let index = "application/vnd.oci.image.index.v1+json";
    let page = "<html><head><title>Sign in</title></head></html>";
    for (status, body, content_type, unsupported, most) in [
        // A server that answers 200 to everything has no API: the tag schema is used.
        (200, "{}", "application/json", true, 1),
        (200, "", "text/plain", true, 1),
        (200, page, "text/html", true, 1),
        (200, "[]", "application/json", true, 1),
        // distribution 2.8 has no such route; Harbor 2.8 and later answer with an index.
        (404, "404 page not found", "text/plain", true, 1),
        (405, "", "text/plain", true, 1),
        // Harbor up to 2.7 answers 401, others 403 or 406.
        (401, "", "text/plain", false, 1),
        (403, r#"{"errors":[{"code":"DENIED"}]}"#, "application/json", false, 1),
        (406, "", "text/plain", false, 1),
        // Failures are tried again, but not as long as what cannot be done without.
        (500, "", "text/plain", false, 3),
    ] {
        let server = Server::start(move |_, _| Answer::new(status, body).with("Content-Type", content_type));
        let found = client().referrers(&server.registry(), &repository(), Digest::of(b"")).await.unwrap();
        assert_eq!(found == ReferrerList::Unsupported, unsupported, "{status} {body}: {found:?}");
        assert!(!matches!(found, ReferrerList::Listed(_)), "{status} {body}: {found:?}");
        assert_eq!(server.seen().len(), most, "{status} {body}");
    }
    for empty in [r#"{"schemaVersion":2,"manifests":[]}"#, r#"{"schemaVersion":2,"manifests":null}"#] {
        let server = Server::start(move |_, _| Answer::new(200, empty).with("Content-Type", index));
        let found = client().referrers(&server.registry(), &repository(), Digest::of(b"")).await.unwrap();
        assert_eq!(found, ReferrerList::Listed(Vec::new()), "{empty}");
    }
}

/// One unusable entry hides none of the others, and is reported.
#[tokio::test]
async fn an_entry_of_a_list_that_cannot_be_used_is_told_and_hides_no_other() {
    let digest = Digest::of(b"signature");
    for (entry, why) in [
        (format!(r#"{{"digest":"{digest}"}}"#), None),
        (format!(r#"{{"digest":"{digest}","size":-1,"mediaType":7}}"#), Some("without a digest")),
        (format!(r#"{{"digest":"{digest}","annotations":null,"artifactType":null}}"#), None),
        (r#"{"digest":"sha512:00","size":1}"#.to_owned(), Some("'sha512:00', which is no SHA-256 digest")),
        (r#"{"digest":7}"#.to_owned(), Some("without a digest")),
        ("null".to_owned(), Some("without a digest")),
        (r#"{"digest":"\u001b[31m"}"#.to_owned(), Some("which is no SHA-256 digest")),
    ] {
        let body = format!(
            r#"{{"schemaVersion":2,"manifests":[{entry},{{"mediaType":"a/b","digest":"{digest}","size":7}}]}}"#
        );
        let server = Server::start(move |_, _| Answer::new(200, body.as_str()));
        let found = client().referrers(&server.registry(), &repository(), Digest::of(b"")).await.unwrap();
        match (&found, why) {
            (ReferrerList::Listed(all), None) => assert_eq!(all.len(), 2, "{entry}"),
            (ReferrerList::Partly { found, why: told }, Some(why)) => {
                assert!(told.contains(why) && !told.contains('\u{1b}'), "{entry}: {told}");
                assert_eq!(found.len(), 1, "{entry}");
            }
            (found, why) => panic!("{entry}: {found:?} {why:?}"),
        }
    }
}

#[tokio::test]
async fn pages_of_referrers_that_are_empty_fail_or_lead_to_themselves_lose_nothing_without_a_word() {
    let digest = Digest::of(b"signature");
    let list = |entries: &str| format!(r#"{{"schemaVersion":2,"manifests":[{entries}]}}"#);
    let (empty, one) = (list(""), list(&format!(r#"{{"digest":"{digest}"}}"#)));
    let referrers = |first: &str, second: (u16, String)| {
        let first = first.to_owned();
        Server::start(move |asked, _| match asked.line.contains("p=1") {
            true => Answer::new(second.0, second.1.as_str()),
            false => Answer::new(200, first.as_str()).with("Link", "<?p=1>; rel=next"),
        })
    };
    let ask = async |server: &Server| {
        client().referrers(&server.registry(), &repository(), Digest::of(b"")).await.unwrap()
    };
    let found = ask(&referrers(&empty, (200, one.clone()))).await;
    assert!(matches!(&found, ReferrerList::Listed(all) if all.len() == 1), "{found:?}");
    for (status, body) in [(404, r#"{"errors":[{"code":"X"}]}"#), (403, "")] {
        let found = ask(&referrers(&one, (status, body.to_owned()))).await;
        let told = |why: &str| why.contains("next page") && why.contains(&status.to_string());
        assert!(
            matches!(&found, ReferrerList::Partly { found, why } if found.len() == 1 && told(why)),
            "{found:?}"
        );
    }
    let circle = Server::start(move |asked, _| {
        let path = asked.line.split(' ').nth(1).unwrap().to_owned();
        Answer::new(200, one.as_str()).with("Link", &format!("<{path}>; rel=next"))
    });
    let found = ask(&circle).await;
    assert!(matches!(&found, ReferrerList::Partly { found, .. } if found.len() == 1), "{found:?}");
    assert_eq!(circle.seen().len(), 1);
}

/// A proxy cache of Harbor lists only its own referrers until August 2026 (goharbor/harbor #23237).
#[tokio::test]
async fn a_mirror_that_lists_nothing_has_no_say() {
    let subject = Digest::of(b"subject");
    let signature = Digest::of(b"signature");
    let listed = format!(
        r#"{{"schemaVersion":2,"manifests":[{{"mediaType":"application/vnd.oci.image.manifest.v1+json",
            "digest":"{signature}","size":7}}]}}"#
    );
    let origin = Server::start(move |_, _| Answer::new(200, listed.as_str()));
    let mirror = Server::start(|_, _| Answer::new(200, r#"{"schemaVersion":2,"manifests":[]}"#));
    let client = builder().mirror(origin.registry(), mirror.registry(), None).build().unwrap();
    let found = client.referrers(&origin.registry(), &repository(), subject).await.unwrap();
    assert!(matches!(&found, ReferrerList::Listed(all) if all[0].digest == signature), "{found:?}");
    assert_eq!((mirror.seen().len(), origin.seen().len()), (1, 1));

    let silent = "127.0.0.1:1".parse::<bundle_oci::Registry>().unwrap();
    let client = builder().mirror(silent.clone(), mirror.registry(), None).build().unwrap();
    for _ in 0..2 {
        let found = client.referrers(&silent, &repository(), subject).await.unwrap();
        assert!(
            matches!(&found, ReferrerList::Unobtainable { why } if why.contains("127.0.0.1:1")),
            "{found:?}"
        );
    }
    let error = builder().build().unwrap().referrers(&silent, &repository(), subject).await.unwrap_err();
    assert!(matches!(error, Error::Unreachable { .. }));
}

#[tokio::test]
async fn a_page_of_a_round_number_of_tags_without_a_link_may_not_be_all() {
    for (count, truncated) in [(0, false), (49, false), (50, true), (100, true), (101, false), (1000, true)] {
        let tags: Vec<String> = (0..count).map(|number| format!("\"v{number}\"")).collect();
        let body = format!(r#"{{"tags":[{}]}}"#, tags.join(","));
        let server = Server::start(move |_, _| Answer::new(200, body.as_str()));
        let found = client().tags(&server.registry(), &repository()).await.unwrap();
        assert_eq!((found.may_be_cut, found.truncated), (truncated, false), "{count}");
    }
    // A page that names itself as the next one.
    let server = Server::start(move |asked, _| {
        let path = asked.line.split(' ').nth(1).unwrap().to_owned();
        Answer::new(200, r#"{"tags":["a"]}"#).with("Link", &format!("<{path}>; rel=\"next\""))
    });
    assert!(client().tags(&server.registry(), &repository()).await.unwrap().may_be_cut);
}
