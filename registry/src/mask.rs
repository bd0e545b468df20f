//! Masks what was sent of credentials in the texts that servers send back: some echo the request
//! in their errors. Takes secrets as they are sent and texts as they come, gives texts to show.

use std::collections::VecDeque;
use std::sync::Mutex;

use crate::limits::MOST_SENT;
use crate::lock::lock;
use crate::secret::Secret;

/// All secrets that were sent so far, in the spellings in which they may come back.
#[derive(Debug, Default)]
pub(crate) struct Sent(Mutex<VecDeque<Secret>>);

/// Shorter ones stand in ordinary words: masking `a` leaves no text, and shows the password.
const SHORTEST: usize = 4;

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
        // The longest first: a password stands in `user:password`.
        let mut secrets: Vec<&Secret> = sent.iter().collect();
        secrets.sort_by_key(|secret| std::cmp::Reverse(secret.reveal().len()));
        for secret in secrets {
            if text.contains(secret.reveal()) {
                text = text.replace(secret.reveal(), "***");
            }
        }
        text
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
}
