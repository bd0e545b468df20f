//! Counters of the server as text for Prometheus.
//! Takes events, gives the text of `/metrics`.

use std::collections::BTreeMap;
use std::fmt::Write as _;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Mutex, PoisonError};

use bundle_format::Program;

use crate::Ending;
use crate::shelf::Shelf;
use crate::store::Store;

/// The server's counters, for Prometheus.
pub(crate) struct Metrics {
    program: Program,
    answers: Mutex<BTreeMap<(&'static str, u16, &'static str), u64>>,
    sent: AtomicU64,
    pub(crate) connections: AtomicU64,
    pub(crate) accepted: AtomicU64,
    pub(crate) turned_away: AtomicU64,
}

impl Metrics {
    pub(crate) fn new(program: Program) -> Self {
        Self {
            program,
            answers: Mutex::default(),
            sent: AtomicU64::default(),
            connections: AtomicU64::default(),
            accepted: AtomicU64::default(),
            turned_away: AtomicU64::default(),
        }
    }

    pub(crate) fn sent(&self, bytes: u64) {
        self.sent.fetch_add(bytes, Ordering::Relaxed);
    }

    pub(crate) fn answered(&self, kind: &'static str, status: u16, ending: Ending) {
        let ending = match ending {
            Ending::Complete => "complete",
            Ending::Left => "left",
            Ending::Broken => "broken",
        };
        let mut answers = self.answers.lock().unwrap_or_else(PoisonError::into_inner);
        *answers.entry((kind, status, ending)).or_default() += 1;
    }

    /// The text of `/metrics` (Prometheus text exposition format 0.0.4).
    pub(crate) fn render(&self, store: &Store, shelf: &Shelf) -> String {
        let mut text = self.program.metric("serve");
        let mut family = |name: &str, kind: &str, help: &str, samples: &[(String, u64)]| {
            // Writing to a string does not fail.
            let _ = writeln!(text, "# HELP {name} {help}\n# TYPE {name} {kind}");
            for (labels, value) in samples {
                let _ = writeln!(text, "{name}{labels} {value}");
            }
        };
        let plain = |value: u64| vec![(String::new(), value)];
        let answers: Vec<_> = {
            let answers = self.answers.lock().unwrap_or_else(PoisonError::into_inner);
            let labels = |(kind, status, ending): &(&str, u16, &str)| {
                format!("{{kind=\"{kind}\",status=\"{status}\",ending=\"{ending}\"}}")
            };
            answers.iter().map(|(key, count)| (labels(key), *count)).collect()
        };
        let load = |counter: &AtomicU64| counter.load(Ordering::Relaxed);
        family(
            "bundle_serve_answers_total",
            "counter",
            "Answers, by what was asked and how they ended.",
            &answers,
        );
        family(
            "bundle_serve_sent_bytes_total",
            "counter",
            "Bytes of content handed to connections.",
            &plain(load(&self.sent)),
        );
        family("bundle_serve_connections", "gauge", "Open connections.", &plain(load(&self.connections)));
        family(
            "bundle_serve_connections_total",
            "counter",
            "Connections that were accepted.",
            &plain(load(&self.accepted)),
        );
        family(
            "bundle_serve_connections_refused_total",
            "counter",
            "Connections that were closed at once because their address has its share.",
            &plain(load(&self.turned_away)),
        );
        let streams = store.streams.load(Ordering::Relaxed) as u64;
        family(
            "bundle_serve_sending",
            "gauge",
            "Answers that are sending content of a bundle.",
            &plain(streams),
        );
        let counts = &store.counts;
        family(
            "bundle_serve_proven_total",
            "counter",
            "Blobs whose digest was found right.",
            &plain(load(&counts.proven)),
        );
        family(
            "bundle_serve_damaged_total",
            "counter",
            "Reads that gave other bytes than were signed. None of these were sent.",
            &plain(load(&counts.damaged)),
        );
        family(
            "bundle_serve_unreadable_total",
            "counter",
            "Reads that failed.",
            &plain(load(&counts.unreadable)),
        );
        let bundles: Vec<_> = shelf
            .bundles()
            .iter()
            .map(|held| {
                let (summary, good) = (&held.summary, held.medium.is_good());
                let labels = format!(
                    "{{bundle=\"{}\",stream=\"{}\",sequence=\"{}\"}}",
                    escaped(&summary.name),
                    summary.stream,
                    summary.sequence
                );
                (labels, u64::from(good))
            })
            .collect();
        family(
            "bundle_serve_bundle_up",
            "gauge",
            "Whether a bundle's medium gave the right bytes when last read.",
            &bundles,
        );
        text
    }
}

/// A label's value: backslash, quote and line feed are escaped.
fn escaped(text: &str) -> String {
    text.replace('\\', "\\\\").replace('"', "\\\"").replace('\n', "\\n")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn labels_cannot_be_broken_out_of() {
        assert_eq!(escaped("a\"b\\c\nd"), "a\\\"b\\\\c\\nd");
    }
}
