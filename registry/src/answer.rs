//! An answer that is no success: its status and the errors in its body, reduced to what people and
//! callers act on. Takes a status and a bounded body, gives [`Answer`] and its [`Refusal`].

use std::fmt;
use std::time::{Duration, SystemTime};

use bundle_oci::{Digest, Printable};
use serde::Deserialize;

use crate::limits::MOST_MISSING;

/// An answer other than the one that was hoped for.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Answer {
    /// The host that answered.
    pub host: String,
    /// What it was asked to do, after "to".
    pub doing: String,
    /// The HTTP status.
    pub status: u16,
    /// The code of the first error in the body (distribution-spec §Error Codes).
    pub code: Option<String>,
    /// The message of the first error in the body, or the title of a proxy's web page.
    pub message: Option<String>,
    /// How long the registry asks to wait.
    pub retry_after: Option<Duration>,
    /// The name under which the registry's own log has the request.
    pub request_id: Option<String>,
    /// Whether the request carried no credentials.
    pub anonymous: bool,
    /// The content that the registry says is missing, where a manifest names it.
    pub missing: Vec<Digest>,
}

/// What an [`Answer`] comes down to.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Refusal {
    /// Credentials are needed, or those that were shown are not accepted. Harbor also says this
    /// when a right is missing or the project does not exist.
    Unauthorized,
    /// The credentials are accepted and do not suffice: the message says for what.
    Denied,
    /// A quota is used up.
    Quota,
    /// Nothing may be written at all for now.
    ReadOnly,
    /// There is no such thing.
    NotFound,
    /// A manifest names content that is not in the repository.
    MissingContent,
    /// The tag exists and must not move.
    ImmutableTag,
    /// A conflict or another rule, such as Harbor's policy against vulnerable images.
    Rule,
    /// A proxy or the registry takes no body of this size.
    TooLarge,
    /// Too many requests.
    RateLimited,
    /// The registry or a proxy before it failed.
    ServerError,
    /// The request is held to be wrong.
    Invalid,
}

#[derive(Deserialize)]
struct Errors {
    errors: Vec<One>,
}

#[derive(Deserialize)]
struct One {
    code: Option<String>,
    message: Option<String>,
    detail: Option<serde_json::Value>,
}

impl Answer {
    /// Takes what is useful out of the body: JSON of the specification, or a web page's title.
    pub(crate) fn new(host: &str, doing: &str, status: u16, anonymous: bool, body: &[u8]) -> Self {
        let errors = serde_json::from_slice::<Errors>(body).map(|errors| errors.errors).unwrap_or_default();
        let mut missing = Vec::new();
        for error in &errors {
            if error.code.as_deref().is_some_and(is_missing)
                && let Some(detail) = &error.detail
            {
                collect_digests(detail, &mut missing);
            }
        }
        let (code, message) = match errors.into_iter().next() {
            Some(first) => (first.code, first.message),
            None => (None, title(body).or_else(|| sentence(body))),
        };
        Self {
            host: host.to_owned(),
            doing: doing.to_owned(),
            status,
            code: code.filter(|text| !text.is_empty()),
            message: message.filter(|text| !text.is_empty()),
            retry_after: None,
            request_id: None,
            anonymous,
            missing,
        }
    }

    /// What the answer comes down to.
    pub fn refusal(&self) -> Refusal {
        let says = |word: &str| self.message.as_ref().is_some_and(|text| text.to_lowercase().contains(word));
        match self.status {
            400..=499 if self.code.as_deref().is_some_and(is_missing) => Refusal::MissingContent,
            // Harbor: 412 PRECONDITION "… configured as immutable."; others use 400, 403 or 409.
            400 | 403 | 409 | 412 if says("immutable") => Refusal::ImmutableTag,
            401 => Refusal::Unauthorized,
            // Harbor's quota middleware: "adding … of storage resource, which when updated to current
            // usage of … will exceed the configured upper limit of …".
            403 if says("exceed the configured upper limit") => Refusal::Quota,
            // Harbor's readonly middleware: "The system is in read only mode. …".
            403 if says("read only mode") => Refusal::ReadOnly,
            403 => Refusal::Denied,
            404 | 410 => Refusal::NotFound,
            409 | 412 => Refusal::Rule,
            413 => Refusal::TooLarge,
            429 => Refusal::RateLimited,
            500.. => Refusal::ServerError,
            _ => Refusal::Invalid,
        }
    }

    /// Whether this answer to the bytes of an upload says that the upload is gone, so that a new
    /// one may succeed.
    pub(crate) fn lost_upload(&self) -> bool {
        matches!(self.status, 404 | 416)
            || matches!(self.code.as_deref(), Some("BLOB_UPLOAD_UNKNOWN" | "BLOB_UPLOAD_INVALID"))
    }
}

impl fmt::Display for Answer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let meaning = match self.refusal() {
            Refusal::Unauthorized if self.anonymous => "asks for credentials",
            Refusal::Unauthorized => "does not accept the credentials",
            Refusal::Denied => "does not allow it",
            Refusal::Quota => "has a quota that this exceeds",
            Refusal::ReadOnly => "is in read-only mode",
            Refusal::NotFound => "does not have it",
            Refusal::MissingContent => "lacks content that the manifest names",
            Refusal::ImmutableTag => "does not let the tag move",
            Refusal::Rule if self.status == 409 => "has a conflict with it",
            Refusal::Rule => "refuses it because of a rule",
            Refusal::TooLarge => "finds it too large",
            Refusal::RateLimited => "has a rate limit that is exceeded",
            Refusal::ServerError => "failed",
            Refusal::Invalid => "refused",
        };
        write!(f, "{} {meaning} when asked to {} (HTTP {}", self.host, self.doing, self.status)?;
        if let Some(code) = &self.code {
            write!(f, " {}", Printable(code))?;
        }
        // Harbor tells the reason of a failure to its own log only.
        if let Some(id) = self.request_id.as_ref().filter(|_| self.status >= 500) {
            write!(f, ", request {}", Printable(id))?;
        }
        f.write_str(")")?;
        match &self.message {
            Some(message) => write!(f, ": {}", Printable(message)),
            None => Ok(()),
        }
    }
}

impl std::error::Error for Answer {}

/// The codes with which registries refuse a manifest whose parts they lack.
fn is_missing(code: &str) -> bool {
    matches!(code, "MANIFEST_BLOB_UNKNOWN" | "BLOB_UNKNOWN")
}

/// The specification leaves `detail` open: distribution sends `{"Digest": …}`, others a text.
fn collect_digests(detail: &serde_json::Value, found: &mut Vec<Digest>) {
    match detail {
        serde_json::Value::String(text) => {
            if let Ok(digest) = text.parse()
                && !found.contains(&digest)
                && found.len() < MOST_MISSING
            {
                found.push(digest);
            }
        }
        serde_json::Value::Array(values) => values.iter().for_each(|value| collect_digests(value, found)),
        serde_json::Value::Object(fields) => fields.values().for_each(|value| collect_digests(value, found)),
        _ => {}
    }
}

/// A web page's title: all that is worth showing of a proxy's answer.
fn title(body: &[u8]) -> Option<String> {
    let text = String::from_utf8_lossy(body);
    let lower = text.to_ascii_lowercase();
    let start = lower.find("<title>")? + "<title>".len();
    let end = start + lower.get(start..)?.find("</title>")?;
    let words: Vec<&str> = text.get(start..end)?.split_whitespace().collect();
    Some(words.join(" "))
}

/// A line of plain text, as Go's `http.Error` writes it.
fn sentence(body: &[u8]) -> Option<String> {
    let text = std::str::from_utf8(body).ok()?.trim();
    let plain = text.len() <= 256 && !text.contains('<') && !text.starts_with(['{', '[']);
    plain.then(|| text.to_owned())
}

/// Seconds or a date (RFC 9110 §10.2.3).
pub(crate) fn parse_retry_after(text: &str, now: SystemTime) -> Option<Duration> {
    let text = text.trim();
    if !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_digit()) {
        // More digits than fit are a wish for a long wait, and waits are bounded anyway.
        return Some(Duration::from_secs(text.parse().unwrap_or(u64::MAX)));
    }
    Some(httpdate::parse_http_date(text).ok()?.duration_since(now).unwrap_or_default())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn refusal(status: u16, body: &str) -> Refusal {
        Answer::new("r.example", "store it", status, false, body.as_bytes()).refusal()
    }

    #[test]
    fn answers_are_told_apart_by_status_and_body() {
        let immutable = r#"{"errors":[{"code":"PRECONDITION","message":"Failed to process request due to 'x:1.0' configured as immutable."}]}"#;
        assert_eq!(refusal(412, immutable), Refusal::ImmutableTag);
        let policy = r#"{"errors":[{"code":"PROJECTPOLICYVIOLATION","message":"vulnerable"}]}"#;
        assert_eq!(refusal(412, policy), Refusal::Rule);
        assert_eq!(refusal(400, r#"{"errors":[{"code":"MANIFEST_BLOB_UNKNOWN"}]}"#), Refusal::MissingContent);
        let quota = r#"{"errors":[{"code":"DENIED","message":"adding 1.0 GiB of storage resource, which when updated to current usage of 1.0 GiB will exceed the configured upper limit of 1.5 GiB."}]}"#;
        assert_eq!(refusal(403, quota), Refusal::Quota);
        let read_only = r#"{"errors":[{"code":"DENIED","message":"The system is in read only mode. Any modification is prohibited."}]}"#;
        assert_eq!(refusal(403, read_only), Refusal::ReadOnly);
        assert_eq!(refusal(403, r#"{"errors":[{"code":"DENIED","message":"no"}]}"#), Refusal::Denied);
        assert_eq!(refusal(413, "<html>"), Refusal::TooLarge);
        assert_eq!(refusal(502, ""), Refusal::ServerError);
        assert_eq!(refusal(400, "{}"), Refusal::Invalid);
    }

    #[test]
    fn missing_content_is_named() {
        let digest = Digest::of(b"layer");
        let body = format!(
            r#"{{"errors":[{{"code":"MANIFEST_BLOB_UNKNOWN","message":"blob unknown","detail":{{"Digest":"{digest}"}}}},
                {{"code":"MANIFEST_BLOB_UNKNOWN","detail":"{digest}"}}]}}"#
        );
        let answer = Answer::new("r.example", "store it", 400, false, body.as_bytes());
        assert_eq!(answer.missing, [digest]);
    }

    #[test]
    fn web_pages_are_reduced_to_their_titles() {
        let page = b"<html><head><TITLE>502 Bad\n Gateway</title></head><body>\x1b[2J</body>";
        let answer = Answer::new("r.example", "store it", 502, false, page);
        assert_eq!(answer.message.as_deref(), Some("502 Bad Gateway"));
        assert!(!answer.to_string().contains('\x1b'));
        let escape = br#"{"errors":[{"code":"A\u001b[2J","message":"\u001b[31mred"}]}"#;
        assert!(!Answer::new("r.example", "store it", 500, false, escape).to_string().contains('\x1b'));
    }

    #[test]
    fn retry_after_is_seconds_or_a_date() {
        let now = SystemTime::UNIX_EPOCH + Duration::from_secs(784_111_777);
        assert_eq!(parse_retry_after("120", now), Some(Duration::from_secs(120)));
        assert_eq!(parse_retry_after("Sun, 06 Nov 1994 08:49:47 GMT", now), Some(Duration::from_secs(10)));
        assert_eq!(parse_retry_after("Sun, 06 Nov 1994 08:49:00 GMT", now), Some(Duration::ZERO));
        assert_eq!(parse_retry_after("99999999999999999999999", now), Some(Duration::from_secs(u64::MAX)));
        for bad in ["soon", "-1", "+1", ""] {
            assert_eq!(parse_retry_after(bad, now), None, "{bad}");
        }
    }
}
