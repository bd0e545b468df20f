//! Masks what was sent of credentials in the texts that servers send back: some echo the request
//! in their answers. Takes secrets as they are sent, and texts and bodies as they come; gives them to show.

use std::collections::VecDeque;
use std::sync::Mutex;

use bytes::Bytes;
use serde_json::Value;

use crate::limits::MOST_SENT;
use crate::lock::lock;
use crate::secret::Secret;

/// All secrets that were sent so far, in the spellings in which they may come back.
#[derive(Debug, Default)]
pub(crate) struct Sent(Mutex<VecDeque<Secret>>);

/// Shorter ones stand in ordinary words: masking `a` leaves no text, and shows the password.
const SHORTEST: usize = 4;

/// The shortest secret, in bytes, that is taken for an echo among the names of a list: with a shorter password, such
/// as `test`, a tag of that name is no rarity. Harbor has no shorter ones (src/core/api/user.go, `requirePwd`).
pub(crate) const SHORTEST_IN_LISTS: usize = 8;

/// The shortest secret that is masked elsewhere.
pub(crate) const ANY_LENGTH: usize = SHORTEST;

impl Sent {
    /// Remembers a secret, as it is and percent-encoded.
    pub(crate) fn remember(&self, secret: &str) {
        if secret.len() < SHORTEST {
            return;
        }
        let mut sent = lock(&self.0);
        if sent.iter().any(|known| known.reveal() == secret) {
            return;
        }
        let mut spellings = vec![secret.to_owned()];
        let encoded: String = url::form_urlencoded::byte_serialize(secret.as_bytes()).collect();
        if encoded != secret {
            spellings.push(encoded);
        }
        for spelling in spellings {
            if sent.len() >= MOST_SENT {
                sent.pop_front();
            }
            sent.push_back(Secret::new(spelling));
        }
    }

    /// The text without any secret that was sent.
    pub(crate) fn mask(&self, mut text: String) -> String {
        let sent = lock(&self.0);
        // Most texts are shorter than most tokens.
        let longest = text.len();
        let mut secrets = longest_first(&sent, ANY_LENGTH, longest);
        secrets.retain(|secret| text.contains(secret));
        mask_text(&mut text, &secrets);
        text
    }

    /// The body of a successful answer without any secret of at least `shortest` bytes that was sent. In JSON, each
    /// string is looked at as it is read, however it is escaped. A body without secrets stays as it is, byte for byte.
    pub(crate) fn mask_body(&self, body: Bytes, shortest: usize) -> Bytes {
        let sent = lock(&self.0);
        let secrets = longest_first(&sent, shortest, usize::MAX);
        if secrets.is_empty() {
            return body;
        }
        if let Ok(mut value) = serde_json::from_slice::<Value>(&body) {
            return match mask_value(&mut value, &secrets) {
                true => Bytes::from(value.to_string()),
                false => body,
            };
        }
        let mut text = String::from_utf8_lossy(&body).into_owned();
        if mask_text(&mut text, &secrets) { Bytes::from(text) } else { body }
    }
}

/// Secrets of at least `shortest` and at most `longest` bytes, the longest first: a password stands in `user:password`.
fn longest_first(sent: &VecDeque<Secret>, shortest: usize, longest: usize) -> Vec<&str> {
    let mut secrets: Vec<&str> =
        sent.iter().map(Secret::reveal).filter(|it| (shortest..=longest).contains(&it.len())).collect();
    secrets.sort_by_key(|secret| std::cmp::Reverse(secret.len()));
    secrets
}

/// Whether there was anything to mask.
fn mask_text(text: &mut String, secrets: &[&str]) -> bool {
    let mut masked = false;
    for secret in secrets {
        if text.contains(secret) {
            *text = text.replace(secret, "***");
            masked = true;
        }
    }
    masked
}

/// Whether there was anything to mask. A value is as deep as `serde_json` reads it, 128 levels.
fn mask_value(value: &mut Value, secrets: &[&str]) -> bool {
    match value {
        Value::Null | Value::Bool(_) | Value::Number(_) => false,
        Value::String(text) => mask_text(text, secrets),
        Value::Array(values) => {
            values.iter_mut().fold(false, |masked, value| mask_value(value, secrets) | masked)
        }
        Value::Object(fields) => {
            let mut masked =
                fields.values_mut().fold(false, |masked, value| mask_value(value, secrets) | masked);
            let named = |name: &String| secrets.iter().any(|secret| name.contains(secret));
            for mut name in fields.keys().filter(|name| named(name)).cloned().collect::<Vec<_>>() {
                if let Some(value) = fields.remove(&name) {
                    mask_text(&mut name, secrets);
                    fields.insert(name, value);
                    masked = true;
                }
            }
            masked
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_was_sent_is_masked_in_every_spelling() {
        let sent = Sent::default();
        sent.remember("pass word/1");
        sent.remember("abc");
        let text = "you sent pass word/1, pass+word%2F1 and abc".to_owned();
        assert_eq!(sent.mask(text), "you sent ***, *** and abc");
    }
    #[test]
    fn bodies_lose_what_was_sent_however_it_is_escaped_and_others_stay_as_they_are() {
        let sent = Sent::default();
        let masked = |body: &'static str, shortest| {
            String::from_utf8(sent.mask_body(Bytes::from_static(body.as_bytes()), shortest).to_vec()).unwrap()
        };
        let plain = r#"{"b": [1.50, "pass"],  "a":{}}"#;
        assert_eq!(masked(plain, ANY_LENGTH), plain);
        for secret in ["secret/1+x=", "user:secret/1+x=", "short"] {
            sent.remember(secret);
        }
        assert_eq!(masked(plain, ANY_LENGTH), plain);
        for (body, expected) in [
            (r#"{"a":"so: secret/1+x="}"#, r#"{"a":"so: ***"}"#),
            (r#"{"a":["user:secret\/1\u002bx\u003d"]}"#, r#"{"a":["***"]}"#),
            (r#"{"a":{"\u0073ecret/1+x=":1}}"#, r#"{"a":{"***":1}}"#),
            ("<title>secret/1+x=</title>", "<title>***</title>"),
            (r#"["short"]"#, r#"["***"]"#),
        ] {
            assert_eq!(masked(body, ANY_LENGTH), expected);
        }
        let list = r#"{"tags":["short"]}"#;
        assert_eq!(masked(list, SHORTEST_IN_LISTS), list);
        assert_eq!(masked(r#"["secret/1+x="]"#, SHORTEST_IN_LISTS), r#"["***"]"#);
    }
}
