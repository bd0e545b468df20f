//! An answer that is no success: its status and the errors in its body, reduced to what people and
//! callers act on. Takes a status and a bounded body, gives [`Answer`] and its [`Refusal`].

use std::fmt;
use std::time::{Duration, SystemTime};

use bundle_oci::{Digest, Printable};
use serde::Deserialize;

use crate::limits::{LONGEST_MESSAGE, MOST_ERRORS, MOST_MISSING};

/// An answer other than the one that was hoped for.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Answer {
    /// The host that answered.
    pub host: String,
    /// The request, as a verb after "to".
    pub doing: String,
    /// The HTTP status.
    pub status: u16,
    /// The code of the first error in the body (distribution-spec §Error Codes).
    pub code: Option<String>,
    /// The message of the first error in the body, or the title of a proxy's web page.
    pub message: Option<String>,
    /// The other errors in the body, each with its code and message, at most sixteen.
    pub more: Vec<String>,
    /// How long the registry asks to wait.
    pub retry_after: Option<Duration>,
    /// The rest of the registry's rate limit.
    pub rate_limit: Option<RateLimit>,
    /// The name under which the registry's own log has the request.
    pub request_id: Option<String>,
    /// Whether the request carried no credentials.
    pub anonymous: bool,
    /// Whether a token service answered, not the registry.
    pub from_token_service: bool,
    /// The content that the registry says is missing, where a manifest names it.
    pub missing: Vec<Digest>,
}

/// How many more requests a registry answers (the headers `RateLimit-Limit` and
/// `RateLimit-Remaining` as Docker Hub sends them: `76;w=21600`).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct RateLimit {
    /// How many in all, if the registry says it.
    pub limit: Option<u64>,
    /// How many are left.
    pub remaining: u64,
    /// In which time, if the registry says it.
    pub window: Option<Duration>,
}

impl RateLimit {
    /// Reads the two headers.
    pub(crate) fn read(limit: Option<&str>, remaining: Option<&str>) -> Option<Self> {
        let count = |text: &str| text.split(';').next()?.trim().parse::<u64>().ok();
        let window = |text: &str| {
            let found = text.split(';').find_map(|part| part.trim().strip_prefix("w="))?;
            found.parse().ok().map(Duration::from_secs)
        };
        let text = remaining?;
        let window = window(text).or_else(|| limit.and_then(window));
        Some(Self { limit: limit.and_then(count), remaining: count(text)?, window })
    }
}

/// The meaning of an [`Answer`].
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
    /// The registry calls the request invalid.
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
        let mut errors = errors.into_iter();
        let (code, message) = match errors.next() {
            Some(first) => {
                let text = first.text();
                (first.code, text)
            }
            None => (None, title(body).or_else(|| plain_message(body)).or_else(|| sentence(body))),
        };
        let more = errors.take(MOST_ERRORS).filter_map(|error| {
            let text = error.text();
            match (error.code.filter(|code| !code.is_empty()), text) {
                (Some(code), Some(text)) => Some(format!("{code}: {text}")),
                (code, text) => code.or(text),
            }
        });
        let first = match (&code, &message) {
            (Some(code), Some(message)) => format!("{code}: {message}"),
            _ => String::new(),
        };
        let mut all: Vec<String> = Vec::new();
        for text in more {
            if text != first && !all.contains(&text) {
                all.push(text);
            }
        }
        Self {
            host: host.to_owned(),
            doing: doing.to_owned(),
            status,
            code: code.filter(|text| !text.is_empty()),
            message: message.filter(|text| !text.is_empty()),
            more: all,
            retry_after: None,
            rate_limit: None,
            request_id: None,
            anonymous,
            from_token_service: false,
            missing,
        }
    }

    /// The meaning of the answer.
    pub fn refusal(&self) -> Refusal {
        let texts = || self.message.iter().chain(&self.more);
        let says = |word: &str| texts().any(|text| text.to_lowercase().contains(word));
        let lacks = self.code.as_deref().is_some_and(is_missing)
            || self.more.iter().any(|text| text.split(':').next().is_some_and(is_missing));
        match self.status {
            400..=499 if lacks => Refusal::MissingContent,
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
        // Harbor writes the reason of a failure to its own log only.
        if let Some(id) = self.request_id.as_ref().filter(|_| self.status >= 500) {
            write!(f, ", request {}", Printable(id))?;
        }
        f.write_str(")")?;
        if let Some(message) = &self.message {
            write!(f, ": {}", Printable(message))?;
        }
        for (position, text) in self.more.iter().enumerate() {
            let before = if position == 0 && self.message.is_none() { ": " } else { "; " };
            write!(f, "{before}{}", Printable(text))?;
        }
        if let Some(limit) = self.rate_limit.filter(|_| self.refusal() == Refusal::RateLimited) {
            write!(f, "; {} requests left", limit.remaining)?;
            if let Some(window) = limit.window {
                write!(f, " of its window of {} minutes", window.as_secs() / 60)?;
            }
        }
        if let Some(wait) = self.retry_after.filter(|_| self.refusal() == Refusal::RateLimited) {
            write!(f, "; retry after {} seconds", wait.as_secs())?;
        }
        Ok(())
    }
}

impl std::error::Error for Answer {}

impl One {
    /// The message, and the detail where that is a text of its own, bounded.
    fn text(&self) -> Option<String> {
        let message = self.message.as_deref().unwrap_or_default();
        let detail = match &self.detail {
            Some(serde_json::Value::String(text)) if !message.contains(text.as_str()) => text.as_str(),
            _ => "",
        };
        let digest = detail.parse::<Digest>().is_ok();
        let text = match (message, detail) {
            (message, detail) if detail.is_empty() || (digest && !message.is_empty()) => message.to_owned(),
            ("", detail) => detail.to_owned(),
            (message, detail) => format!("{message} ({detail})"),
        };
        let end = text.char_indices().map(|(at, _)| at).find(|at| *at >= LONGEST_MESSAGE);
        let text = end.map_or(text.as_str(), |end| &text[..end]);
        (!text.is_empty()).then(|| text.to_owned())
    }
}

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

/// Whether a body is a web page, by its type or by how it begins.
pub(crate) fn is_web_page(content_type: Option<&str>, body: &[u8]) -> bool {
    let start = body.trim_ascii_start();
    let begins = |word: &[u8]| start.get(..word.len()).is_some_and(|head| head.eq_ignore_ascii_case(word));
    content_type.is_some_and(|text| text.trim_start().to_ascii_lowercase().starts_with("text/html"))
        || begins(b"<!doctype html")
        || begins(b"<html")
}

/// The message of JSON of another form than the specification's: a gateway's `{"message": …}`, a token service's
/// `{"error": …, "error_description": …}` (RFC 6749 §5.2), Google's `{"error": {"message": …}}`.
fn plain_message(body: &[u8]) -> Option<String> {
    let body: serde_json::Value = serde_json::from_slice(body).ok()?;
    let text = |value: &serde_json::Value| value.as_str().filter(|text| !text.is_empty()).map(str::to_owned);
    let names = ["message", "error_description", "detail", "error", "errors"];
    let found = names.into_iter().filter_map(|name| body.get(name));
    let mut found = found.filter_map(|value| text(value).or_else(|| text(value.get("message")?)));
    let message = found.next()?;
    let end = message.char_indices().map(|(at, _)| at).find(|at| *at >= LONGEST_MESSAGE);
    Some(end.map_or(message.as_str(), |end| &message[..end]).to_owned())
}

/// A web page's title: all that is worth showing of a proxy's answer.
pub(crate) fn title(body: &[u8]) -> Option<String> {
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
    fn messages_of_other_forms_are_shown_as_well() {
        for (body, message) in [
            (r#"{"message":"Not Authorized"}"#, Some("Not Authorized")),
            (r#"{"error":"invalid_grant","error_description":"expired"}"#, Some("expired")),
            (r#"{"error":"denied here"}"#, Some("denied here")),
            (r#"{"error":{"code":403,"message":"no billing"}}"#, Some("no billing")),
            (r#"{"errors":{"message":"one"}}"#, Some("one")),
            (r#"{"error":{"code":403}}"#, None),
            (r#"{"message":7}"#, None),
            (r#"[{"message":"x"}]"#, None),
        ] {
            let answer = Answer::new("r.example", "x", 403, false, body.as_bytes());
            assert_eq!(answer.message.as_deref(), message, "{body}");
        }
    }

    #[test]
    fn all_errors_of_an_answer_are_shown_once() {
        let body = r#"{"errors":[{"code":"UNAUTHORIZED","message":"login first"},
            {"code":"DENIED","message":"push is blocked","detail":"quota"},{"code":"DENIED","message":"push is blocked","detail":"quota"},
            {"message":"bare"},{"code":"ALONE","detail":{"x":1}}]}"#;
        let answer = Answer::new("r.example", "store it", 403, false, body.as_bytes());
        assert_eq!(
            answer.to_string(),
            "r.example does not allow it when asked to store it (HTTP 403 UNAUTHORIZED): login first; \
             DENIED: push is blocked (quota); bare; ALONE"
        );
        let second = r#"{"errors":[{"code":"X"},{"code":"MANIFEST_BLOB_UNKNOWN"}]}"#;
        assert_eq!(refusal(400, second), Refusal::MissingContent);
        let many = format!(r#"{{"errors":[{}{{"code":"LAST"}}]}}"#, r#"{"code":"A"},"#.repeat(1000));
        assert!(Answer::new("r.example", "store it", 400, false, many.as_bytes()).more.len() <= MOST_ERRORS);
    }

    #[test]
    fn rate_limits_are_read_as_docker_hub_writes_them() {
        let window = Some(Duration::from_secs(21600));
        let found = RateLimit::read(Some("100;w=21600"), Some("76;w=21600"));
        assert_eq!(found, Some(RateLimit { limit: Some(100), remaining: 76, window }));
        assert_eq!(
            RateLimit::read(None, Some("0")),
            Some(RateLimit { limit: None, remaining: 0, window: None })
        );
        for bad in [None, Some(""), Some("many"), Some("-1")] {
            assert_eq!(RateLimit::read(Some("100"), bad), None);
        }
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
