//! Retries and mirrors, as people read of them.
//! Takes the client's events, gives notes.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

use bundle_format::ParityNotes;
use bundle_oci::Printable;
use bundle_registry::{ClientBuilder, Fallback, FallbackTo, Progress};

use crate::exit::chain;
use crate::output::name;
use crate::size::Took;

/// How long the same note is not worth repeating.
const STALE: Duration = Duration::from_secs(10);

/// Prints a client's notes about the network. When a host fails, every transfer says the same at once; they
/// hear it once.
pub(crate) fn attach(builder: ClientBuilder, progress: &Arc<dyn Progress>) -> ClientBuilder {
    let notes = Arc::new(Notes { progress: progress.clone(), told: Mutex::default() });
    let retries = notes.clone();
    let builder = builder.on_retry(move |retry| {
        let text = chain(retry.cause);
        retries.tell(&text, &format!("{text}; retrying in {}", Took(retry.wait)));
    });
    builder.on_fallback(move |fallback| {
        let Fallback { mirror, registry, to, cause } = fallback;
        let cause_text = chain(*cause);
        let text = match to {
            FallbackTo::Mirror => {
                format!("{cause_text}; using only its mirror {mirror}: signatures that the mirror does not have are not carried")
            }
            // A mirror need not have everything.
            FallbackTo::Registry if cause.status() == Some(404) => return,
            FallbackTo::Registry => format!("{cause_text}; reading from {registry} itself"),
        };
        notes.tell(&text, &text);
    })
}

struct Notes {
    progress: Arc<dyn Progress>,
    told: Mutex<HashMap<String, Instant>>,
}

impl Notes {
    fn tell(&self, about: &str, text: &str) {
        let mut told = self.told.lock().unwrap_or_else(PoisonError::into_inner);
        told.retain(|_, at| at.elapsed() < STALE);
        if told.contains_key(about) {
            return;
        }
        told.insert(about.to_owned(), Instant::now());
        self.progress.note(text);
    }
}

/// Prints the files that were rebuilt from a bundle's parity, and faults of the parity itself.
pub(crate) fn tell_parity(parity: &ParityNotes, progress: &dyn Progress) {
    parity_lines(parity).iter().for_each(|line| progress.note(line));
}

/// [`tell_parity`], line by line.
pub(crate) fn parity_lines(parity: &ParityNotes) -> Vec<String> {
    let mut lines = Vec::new();
    if let Some(rebuilt) = parity.rebuilt() {
        let files: Vec<String> = rebuilt.files.iter().take(MOST_FILES).map(|path| name(path)).collect();
        let more = rebuilt.files.len().saturating_sub(MOST_FILES);
        let more = if more > 0 { format!(" and {more} more") } else { String::new() };
        lines.push(format!(
            "{}{more}: damaged or missing, and rebuilt from {}; `bundle repair` writes all of it anew",
            files.join(", "),
            name(&rebuilt.parity)
        ));
    }
    let absent = parity.absent();
    if let Some(first) = absent.first() {
        let all = absent.len();
        lines.push(format!("{} is missing ({all} of the volumes of parity are)", name(first)));
    }
    if let Some((path, why)) = parity.useless() {
        lines.push(format!("{} cannot be used: {}", name(path), Printable(why)));
    }
    lines
}

/// More names would hide the rest.
const MOST_FILES: usize = 5;
