//! Reading and unlinking blobs.
//! Answers GET with and without a range, HEAD and DELETE of `/v2/…/blobs/`.

use serde_json::json;

use crate::harbor::answer::{Answer, Refusal, RegistryError};
use crate::harbor::lock;
use crate::harbor::request::Request;
use crate::harbor::server::Core;
use crate::harbor::state::Redirect;

/// Where the object store behind the double is, which only redirects lead to.
pub(in crate::harbor) const STORAGE: &str = "/storage/";

pub(super) fn get(core: &Core, request: &Request<'_>, repository: &str, digest: &str) -> Answer {
    let mut state = lock(&core.state);
    if request.method() == "HEAD"
        && let Err(refusal) = state.touch_blob(digest)
    {
        return refusal.into();
    }
    // The registry's own view: a blob is where it is linked, and nowhere else.
    if !state.backend.has_link(repository, digest) || !core.store.has_blob(digest) {
        return RegistryError::BlobUnknown.about(json!(digest));
    }
    if state.config.redirect == Redirect::ToStorage {
        let location = format!("{}{STORAGE}{digest}?X-Amz-Signature=made-up", core.url(request));
        return Answer::empty(307).with_header("Location", &location);
    }
    drop(state);
    serve(core, request, digest)
}

/// The bytes, or the range of them that is asked for (RFC 9110 §14).
fn serve(core: &Core, request: &Request<'_>, digest: &str) -> Answer {
    let (file, size) = match core.store.blob(digest) {
        Ok(Some(found)) => found,
        Ok(None) => return RegistryError::BlobUnknown.about(json!(digest)),
        Err(error) => return Refusal::from(error).into(),
    };
    let range = request.header("range").and_then(|range| parse_range(range, size));
    let (status, from, length) = match range {
        None => (200, 0, size),
        Some(Some((from, to))) => (206, from, to - from + 1),
        Some(None) => {
            return Answer::empty(416).with_header("Content-Range", &format!("bytes */{size}"));
        }
    };
    let answer = match Answer::file(status, file, from, length) {
        Ok(answer) => answer,
        Err(error) => return Refusal::from(error).into(),
    };
    let answer = answer
        .with_header("Content-Type", "application/octet-stream")
        .with_header("Docker-Content-Digest", digest)
        .with_header("Etag", &format!("\"{digest}\""))
        .with_header("Cache-Control", "max-age=31536000")
        .with_header("Accept-Ranges", "bytes");
    if status == 206 {
        let range = format!("bytes {from}-{}/{size}", from + length - 1);
        return answer.with_header("Content-Range", &range);
    }
    answer
}

/// `None` for no range that is understood, which serves the whole; `Some(None)` for one that is not there.
fn parse_range(range: &str, size: u64) -> Option<Option<(u64, u64)>> {
    let (from, to) = range.strip_prefix("bytes=")?.split_once('-')?;
    let last = size.checked_sub(1);
    if from.is_empty() {
        let suffix: u64 = to.parse().ok()?;
        return Some(last.filter(|_| suffix > 0).map(|last| (size.saturating_sub(suffix), last)));
    }
    let from: u64 = from.parse().ok()?;
    let to: u64 = if to.is_empty() { u64::MAX } else { to.parse().ok()? };
    Some(last.filter(|&last| from <= last && from <= to).map(|last| (from, to.min(last))))
}

/// The object store's side of a redirect: who sends credentials there besides the signature in the URL is
/// refused, as S3 does.
pub(in crate::harbor) fn serve_storage(core: &Core, request: &Request<'_>) -> Answer {
    if request.header("authorization").is_some() {
        return Answer::empty(400).with_body("<Error><Code>InvalidArgument</Code></Error>");
    }
    match request.path.strip_prefix(STORAGE) {
        Some(digest) => serve(core, request, digest),
        None => RegistryError::BlobUnknown.into(),
    }
}

pub(super) fn unlink(core: &Core, repository: &str, digest: &str) -> Answer {
    let mut state = lock(&core.state);
    let known = state.backend.links.get_mut(repository).is_some_and(|links| links.remove(digest));
    if known { Answer::empty(202) } else { RegistryError::BlobUnknown.about(json!(digest)) }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ranges_are_read() {
        for (range, found) in [
            ("bytes=0-3", Some(Some((0, 3)))),
            ("bytes=4-", Some(Some((4, 9)))),
            ("bytes=4-99", Some(Some((4, 9)))),
            ("bytes=-3", Some(Some((7, 9)))),
            ("bytes=10-", Some(None)),
            ("lines=1-2", None),
            ("bytes=x-2", None),
        ] {
            assert_eq!(parse_range(range, 10), found, "{range}");
        }
        assert_eq!(parse_range("bytes=0-", 0), Some(None));
    }
}
