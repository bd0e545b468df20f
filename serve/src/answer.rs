//! Answers requests: status, headers and content, for each route. Takes a route and the store; gives a
//! [`Reply`] that the server sends.

use crate::limits::REFERRERS_PAGE;
use std::sync::Arc;

use bundle_oci::{Digest, MediaType, RepositoryName};
use bytes::Bytes;
use hyper::header::{
    ACCEPT_RANGES, ALLOW, CACHE_CONTROL, CONNECTION, CONTENT_LENGTH, CONTENT_RANGE, CONTENT_SECURITY_POLICY,
    CONTENT_TYPE, ETAG, HOST, HeaderMap, HeaderName, HeaderValue, IF_MATCH, IF_NONE_MATCH, IF_RANGE, LINK,
    RANGE, REFERRER_POLICY, WWW_AUTHENTICATE, X_CONTENT_TYPE_OPTIONS,
};
use hyper::{Method, StatusCode};
use serde::Serialize;

use crate::body::Part;
use crate::catalog::{Content, Referrer, Repository};
use crate::metrics::Metrics;
use crate::page::{Door, Page};
use crate::problem::Problem;
use crate::range::Wanted;
use crate::route::{Query, Route};
use crate::sending::Sending;
use crate::shelf::Shelf;
use crate::store::Store;

const CONTENT_DIGEST: HeaderName = HeaderName::from_static("docker-content-digest");
const FILTERS_APPLIED: HeaderName = HeaderName::from_static("oci-filters-applied");
const API_VERSION: HeaderName = HeaderName::from_static("docker-distribution-api-version");

const JSON: HeaderValue = HeaderValue::from_static("application/json");

/// An answer before it is sent.
pub(crate) struct Reply {
    pub(crate) status: StatusCode,
    pub(crate) headers: HeaderMap,
    pub(crate) part: Part,
}

impl Reply {
    fn new(status: StatusCode, content_type: HeaderValue, bytes: Vec<u8>) -> Self {
        let mut headers = HeaderMap::new();
        headers.insert(CONTENT_TYPE, content_type);
        headers.insert(CONTENT_LENGTH, HeaderValue::from(bytes.len()));
        Self { status, headers, part: Part::Whole(Bytes::from(bytes)) }
    }

    /// A page for people, who are to see what is true now, and nothing that comes from elsewhere.
    fn page(html: String) -> Self {
        let kind = HeaderValue::from_static("text/html; charset=utf-8");
        let mut reply = Self::new(StatusCode::OK, kind, html.into_bytes());
        for (name, value) in [
            (CONTENT_SECURITY_POLICY, Page::POLICY),
            (X_CONTENT_TYPE_OPTIONS, "nosniff"),
            (REFERRER_POLICY, "no-referrer"),
            (CACHE_CONTROL, "no-store"),
        ] {
            reply.headers.insert(name, HeaderValue::from_static(value));
        }
        reply
    }

    fn json(value: &impl Serialize) -> Self {
        let bytes = serde_json::to_vec(value).expect("names and descriptors are valid JSON");
        Self::new(StatusCode::OK, JSON, bytes)
    }

    pub(crate) fn problem(problem: &Problem) -> Self {
        let mut reply = Self::new(problem.status(), JSON, problem.body());
        match problem.status() {
            StatusCode::UNAUTHORIZED => {
                let challenge = HeaderValue::from_static("Basic realm=\"bundle\", charset=\"UTF-8\"");
                reply.headers.insert(WWW_AUTHENTICATE, challenge);
            }
            StatusCode::METHOD_NOT_ALLOWED => {
                reply.headers.insert(ALLOW, HeaderValue::from_static("GET, HEAD"));
                // The body of such a request is not read.
                reply.headers.insert(CONNECTION, HeaderValue::from_static("close"));
            }
            _ => {}
        }
        reply
    }

    /// Adds the header of every answer, and removes the body of answers to HEAD.
    pub(crate) fn finish(mut self, method: &Method) -> Self {
        self.headers.insert(API_VERSION, HeaderValue::from_static("registry/2.0"));
        if *method == Method::HEAD {
            self.part = Part::EMPTY;
        }
        self
    }
}

/// Answers one request.
pub(crate) async fn answer(
    store: &Arc<Store>,
    metrics: &Metrics,
    route: &Route,
    query: &Query,
    method: &Method,
    headers: &HeaderMap,
    door: Door,
) -> Result<Reply, Problem> {
    // An answer ends with the bundles that it began with, whichever come and go meanwhile.
    let shelf = store.shelf();
    let catalog = &shelf.catalog;
    let repository =
        |name: &RepositoryName| catalog.repository(name, query.ns.as_ref()).ok_or_else(Problem::name_unknown);
    match route {
        Route::Ping => Ok(Reply::new(StatusCode::OK, JSON, b"{}".to_vec())),
        Route::Page => {
            let host =
                headers.get(HOST).and_then(|host| host.to_str().ok()).and_then(|host| host.parse().ok());
            Ok(Reply::page(Page { shelf: &shelf, query, host, door }.html()))
        }
        Route::Health => Ok(Reply::json(&serde_json::json!({"status": "serving"}))),
        Route::Metrics => {
            let kind = HeaderValue::from_static("text/plain; version=0.0.4; charset=utf-8");
            Ok(Reply::new(StatusCode::OK, kind, metrics.render(store, &shelf).into_bytes()))
        }
        Route::Catalog => {
            #[derive(Serialize)]
            struct Repositories<'a> {
                repositories: Vec<&'a RepositoryName>,
            }
            let (repositories, next) = page(catalog.names(query.last.as_deref()), query, store);
            let mut reply = Reply::json(&Repositories { repositories });
            link(&mut reply, "/v2/_catalog", query, next.map(RepositoryName::as_str));
            Ok(reply)
        }
        Route::Tags(name) => {
            #[derive(Serialize)]
            struct Tags<'a> {
                name: &'a RepositoryName,
                tags: Vec<&'a bundle_oci::Tag>,
            }
            let (tags, next) = page(repository(name)?.tags(query.last.as_deref()), query, store);
            let mut reply = Reply::json(&Tags { name, tags });
            link(&mut reply, &format!("/v2/{name}/tags/list"), query, next.map(bundle_oci::Tag::as_str));
            Ok(reply)
        }
        Route::Referrers(name, subject) => Ok(referrers(repository(name)?, name, *subject, query, store)),
        Route::TaggedManifest(name, tag) => {
            let repository = repository(name)?;
            let digest = repository.tag(tag).ok_or_else(Problem::manifest_unknown)?;
            let found = catalog.content(repository, digest).ok_or_else(Problem::manifest_unknown)?;
            let mut reply = content(store, &shelf, digest, found, method, headers).await?;
            reply.headers.insert(CACHE_CONTROL, HeaderValue::from_static("no-cache"));
            Ok(reply)
        }
        Route::Manifest(name, digest) => {
            let found = catalog.content(repository(name)?, *digest);
            let found = found.filter(|content| content.manifest.is_some());
            let found = found.ok_or_else(Problem::manifest_unknown)?;
            content(store, &shelf, *digest, found, method, headers).await
        }
        Route::Blob(name, digest) => {
            let found = catalog.content(repository(name)?, *digest).ok_or_else(Problem::blob_unknown)?;
            content(store, &shelf, *digest, Content { manifest: None, ..found }, method, headers).await
        }
    }
}

async fn content(
    store: &Arc<Store>,
    shelf: &Shelf,
    digest: Digest,
    content: Content,
    method: &Method,
    request: &HeaderMap,
) -> Result<Reply, Problem> {
    let etag = format!("\"{digest}\"");
    let mut headers = HeaderMap::new();
    let value = |text: &str| HeaderValue::from_str(text).expect("digests and numbers are visible ASCII");
    headers.insert(ETAG, value(&etag));
    headers.insert(CONTENT_DIGEST, value(&digest.to_string()));
    headers.insert(CACHE_CONTROL, HeaderValue::from_static("max-age=31536000, immutable"));
    if request.contains_key(IF_MATCH) && !matches(request, IF_MATCH, &etag) {
        return Err(Problem::precondition());
    }
    if matches(request, IF_NONE_MATCH, &etag) {
        return Ok(Reply { status: StatusCode::NOT_MODIFIED, headers, part: Part::EMPTY });
    }
    headers.insert(ACCEPT_RANGES, HeaderValue::from_static("bytes"));
    let media_type = content.manifest.unwrap_or("application/octet-stream");
    headers.insert(CONTENT_TYPE, HeaderValue::from_static(media_type));
    let same = request.get(IF_RANGE).is_none_or(|condition| condition.as_bytes() == etag.as_bytes());
    let wanted = match request.get(RANGE).and_then(|range| range.to_str().ok()) {
        Some(range) if *method == Method::GET && same => Wanted::parse(range, content.size()),
        _ => Wanted::Whole,
    };
    let (status, range) = match wanted {
        Wanted::Whole => (StatusCode::OK, 0..content.size()),
        Wanted::Part(range) => {
            let text = format!("bytes {}-{}/{}", range.start, range.end - 1, content.size());
            headers.insert(CONTENT_RANGE, value(&text));
            (StatusCode::PARTIAL_CONTENT, range)
        }
        Wanted::Nothing => {
            let mut reply = Reply::problem(&Problem::no_such_range());
            reply.headers.insert(CONTENT_RANGE, value(&format!("bytes */{}", content.size())));
            return Ok(reply);
        }
    };
    let length = range.end - range.start;
    headers.insert(CONTENT_LENGTH, HeaderValue::from(length));
    if *method == Method::HEAD {
        return Ok(Reply { status, headers, part: Part::EMPTY });
    }
    let held = shelf.held(content).ok_or_else(Problem::unreadable)?;
    let mut sending = Sending::new(store, held, digest, content, range);
    // An error now can still be answered with a status.
    let first = sending.next().await.map_err(|_| Problem::unreadable())?;
    Ok(Reply { status, headers, part: Part::steps(first, sending, length) })
}

/// Whether a condition's list of entity tags has this one (RFC 9110 §8.8.3, §13.1).
fn matches(request: &HeaderMap, name: HeaderName, etag: &str) -> bool {
    request.get_all(name).iter().filter_map(|list| list.to_str().ok()).any(|list| {
        list.split(',').map(str::trim).any(|tag| tag == "*" || tag.strip_prefix("W/").unwrap_or(tag) == etag)
    })
}

/// As many names as are asked for and fit on a page, and the last of them if more follow.
fn page<'a, T>(
    mut names: impl Iterator<Item = &'a T>,
    query: &Query,
    store: &Store,
) -> (Vec<&'a T>, Option<&'a T>) {
    let most = query.n.unwrap_or(usize::MAX).min(store.limits.page);
    let found: Vec<_> = names.by_ref().take(most).collect();
    let next = if names.next().is_some() { found.last().copied() } else { None };
    (found, next)
}

/// Says where the list goes on (RFC 8288; distribution-spec §Listing Tags).
fn link(reply: &mut Reply, path: &str, query: &Query, last: Option<&str>) {
    let Some(last) = last else { return };
    let mut next = url::form_urlencoded::Serializer::new(String::new());
    if let Some(n) = query.n {
        next.append_pair("n", &n.to_string());
    }
    next.append_pair("last", last);
    if let Some(ns) = &query.ns {
        next.append_pair("ns", ns.as_str());
    }
    if let Some(artifact_type) = &query.artifact_type {
        next.append_pair("artifactType", artifact_type);
    }
    let value = HeaderValue::from_str(&format!("<{path}?{}>; rel=\"next\"", next.finish()));
    reply.headers.insert(LINK, value.expect("what was form-encoded is visible ASCII"));
}

/// distribution-spec §Listing Referrers.
fn referrers(
    repository: &Repository,
    name: &RepositoryName,
    subject: Digest,
    query: &Query,
    store: &Store,
) -> Reply {
    #[derive(Serialize)]
    #[serde(rename_all = "camelCase")]
    struct Index<'a> {
        schema_version: u32,
        media_type: &'static str,
        manifests: Vec<&'a Referrer>,
    }
    let after = query.last.as_deref().and_then(|last| last.parse::<Digest>().ok());
    let wanted = repository.referrers(subject).filter(|referrer| {
        let kind = referrer.artifact_type.as_ref().map(MediaType::as_str);
        after.is_none_or(|after| referrer.digest > after)
            && query.artifact_type.as_deref().is_none_or(|wanted| kind == Some(wanted))
    });
    let mut manifests: Vec<&Referrer> = Vec::new();
    let (mut bytes, mut more) = (0, false);
    for referrer in wanted {
        let size = serde_json::to_vec(referrer).map_or(0, |json| json.len());
        if manifests.len() == store.limits.page || (bytes + size > REFERRERS_PAGE && bytes > 0) {
            more = true;
            break;
        }
        bytes += size;
        manifests.push(referrer);
    }
    let last = if more { manifests.last().map(|referrer| referrer.digest.to_string()) } else { None };
    let mut reply = Reply::json(&Index { schema_version: 2, media_type: MediaType::IMAGE_INDEX, manifests });
    reply.headers.insert(CONTENT_TYPE, HeaderValue::from_static(MediaType::IMAGE_INDEX));
    if query.artifact_type.is_some() {
        reply.headers.insert(FILTERS_APPLIED, HeaderValue::from_static("artifactType"));
    }
    link(&mut reply, &format!("/v2/{name}/referrers/{subject}"), query, last.as_deref());
    reply
}
