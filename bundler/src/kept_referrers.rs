//! Referrers that registries listed in earlier runs, so that a night without changes sends no requests. Takes
//! and gives the digests of what is attached to a manifest, and says when they have to be asked for again.

use std::time::{Duration, SystemTime, UNIX_EPOCH};

use bundle_format::Kind;
use bundle_oci::{Digest, Reference, Tag};
use bundle_registry::Client;
use serde::{Deserialize, Serialize};

use crate::referrer::FoundReferrer;

/// How long an answer counts at least: signatures come minutes or hours after an image, and not while a job that
/// failed is started again.
const SHORTEST: Duration = Duration::from_secs(12 * 3600);
/// The bytes of one note. A manifest with more referrers than fit is asked for each time.
const LARGEST: u64 = 64 << 10;

/// The artifacts that are attached to one manifest.
#[derive(Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct Note {
    /// When it was asked for the first time, in seconds since 1970.
    first: u64,
    /// When it was asked for last.
    asked: u64,
    found: Vec<KeptReferrer>,
}

/// One manifest that is attached to another.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct KeptReferrer {
    pub(crate) digest: Digest,
    pub(crate) kind: Kind,
    /// The tag that it was found by, if it was found by one.
    pub(crate) tag: Option<Tag>,
}

impl Note {
    fn read(client: &Client, name: &str) -> Option<Self> {
        serde_json::from_slice(&client.noted(name, LARGEST)?).ok()
    }

    /// Whether it still counts: at first for hours, for what is signed is signed soon; later as long as the
    /// manifest had been known when it was asked for.
    fn counts(&self, now: u64, longest: Duration) -> bool {
        let Some(age) = now.checked_sub(self.asked) else { return false };
        let known = Duration::from_secs(self.asked.saturating_sub(self.first));
        Duration::from_secs(age) < known.max(SHORTEST).min(longest)
    }
}

/// The referrers of a manifest from an earlier run, if that was less than `longest` ago and is still valid.
pub(crate) fn recall(
    client: &Client,
    reference: &Reference,
    subject: Digest,
    longest: Duration,
) -> Option<Vec<KeptReferrer>> {
    let note = Note::read(client, &name_of(reference, subject))?;
    note.counts(now(), longest).then_some(note.found)
}

/// Takes note of what is attached to a manifest, all of which was had.
pub(crate) fn keep(client: &Client, reference: &Reference, subject: Digest, found: &[FoundReferrer]) {
    let (name, now) = (name_of(reference, subject), now());
    let first = Note::read(client, &name).map_or(now, |note| note.first.min(now));
    let found = found.iter().map(|attached| KeptReferrer {
        digest: attached.manifest.digest,
        kind: attached.kind,
        tag: attached.tag.clone(),
    });
    let note = Note { first, asked: now, found: found.collect() };
    if let Ok(bytes) = serde_json::to_vec(&note) {
        client.note(&name, &bytes);
    }
}

fn name_of(reference: &Reference, subject: Digest) -> String {
    format!("referrers of {}/{}@{subject}", reference.registry(), reference.repository())
}

fn now() -> u64 {
    SystemTime::now().duration_since(UNIX_EPOCH).map_or(0, |since| since.as_secs())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_answer_counts_for_half_a_day_then_as_long_as_the_manifest_was_known_and_never_longer_than_asked() {
        const HOUR: u64 = 3600;
        let week = Duration::from_secs(7 * 24 * HOUR);
        let note = |known: u64| Note { first: 1000 * HOUR, asked: (1000 + known) * HOUR, found: Vec::new() };
        for (known, age, counts) in [
            (0, 0, true),
            (0, 11, true),
            (0, 12, false),
            (24, 23, true),
            (24, 24, false),
            (96, 95, true),
            (1000, 7 * 24 - 1, true),
            (1000, 7 * 24, false),
        ] {
            let note = note(known);
            assert_eq!(note.counts(note.asked + age * HOUR, week), counts, "known {known}, age {age}");
        }
        assert!(!note(0).counts((1000 - 1) * HOUR, week), "a clock that was set back proves nothing");
        assert!(!note(0).counts(1000 * HOUR, Duration::ZERO));
    }
}
