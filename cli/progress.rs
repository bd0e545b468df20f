use std::collections::HashMap;
use std::io::IsTerminal;
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use bundle_oci::Digest;
use bundle_registry::Progress;
use indicatif::{MultiProgress, ProgressBar, ProgressDrawTarget, ProgressStyle};

use crate::size::{Bytes, Took};

/// Bars on a terminal, plain lines elsewhere. Both on stderr: stdout is for results.
pub(crate) fn progress(doing: &'static str) -> Arc<dyn Progress> {
    if std::io::stderr().is_terminal() { Arc::new(Bars::new(doing)) } else { Arc::new(Lines::new(doing)) }
}

struct Bars {
    all: MultiProgress,
    total: ProgressBar,
    blobs: Mutex<HashMap<Digest, ProgressBar>>,
}

/// A blob smaller than this is gone before its line could be read.
const WORTH_A_LINE: u64 = 1 << 20;

impl Bars {
    fn new(doing: &'static str) -> Self {
        let all = MultiProgress::with_draw_target(ProgressDrawTarget::stderr_with_hz(8));
        let total = all.add(ProgressBar::new(0));
        let style = "{msg} {wide_bar} {bytes}/{total_bytes} {bytes_per_sec} {eta} left";
        total.set_style(ProgressStyle::with_template(style).unwrap_or_else(|_| ProgressStyle::default_bar()));
        total.set_message(doing);
        Self { all, total, blobs: Mutex::default() }
    }

    fn blob(&self, digest: Digest) -> Option<ProgressBar> {
        self.blobs.lock().ok()?.get(&digest).cloned()
    }
}

impl Progress for Bars {
    fn total(&self, bytes: u64) {
        self.total.set_length(bytes);
        self.total.enable_steady_tick(Duration::from_millis(250));
    }

    fn begin(&self, blob: Digest, size: u64, done: u64) {
        self.total.inc(done);
        if size < WORTH_A_LINE {
            return;
        }
        let bar = self.all.add(ProgressBar::new(size));
        let style = "  {msg} {bar:24} {bytes}/{total_bytes}";
        bar.set_style(ProgressStyle::with_template(style).unwrap_or_else(|_| ProgressStyle::default_bar()));
        bar.set_message(blob.short());
        bar.set_position(done);
        if let Ok(mut blobs) = self.blobs.lock() {
            blobs.insert(blob, bar);
        }
    }

    fn advance(&self, blob: Digest, bytes: u64) {
        self.total.inc(bytes);
        if let Some(bar) = self.blob(blob) {
            bar.inc(bytes);
        }
    }

    fn rewind(&self, blob: Digest, bytes: u64) {
        self.total.dec(bytes);
        if let Some(bar) = self.blob(blob) {
            bar.set_position(0);
        }
    }

    fn end(&self, blob: Digest) {
        if let Ok(mut blobs) = self.blobs.lock()
            && let Some(bar) = blobs.remove(&blob)
        {
            bar.finish_and_clear();
            self.all.remove(&bar);
        }
    }

    fn note(&self, message: &str) {
        let line = format!("note: {message}");
        // Without a bar on the screen, indicatif prints nothing.
        if self.all.println(&line).is_err() || self.total.length().unwrap_or_default() == 0 {
            eprintln!("{line}");
        }
    }
}

impl Drop for Bars {
    fn drop(&mut self) {
        self.total.finish_and_clear();
    }
}

struct Lines {
    doing: &'static str,
    state: Mutex<LineState>,
}

struct LineState {
    total: u64,
    done: u64,
    started: Instant,
    told: Instant,
}

/// How often a line is written where nobody watches.
const BETWEEN: Duration = Duration::from_secs(10);

impl Lines {
    fn new(doing: &'static str) -> Self {
        let now = Instant::now();
        Self { doing, state: Mutex::new(LineState { total: 0, done: 0, started: now, told: now }) }
    }

    fn moved(&self, bytes: u64) {
        let Ok(mut state) = self.state.lock() else { return };
        state.done += bytes;
        if state.told.elapsed() < BETWEEN {
            return;
        }
        state.told = Instant::now();
        let took = state.started.elapsed();
        let rate = state.done as f64 / took.as_secs_f64().max(0.001);
        let left = state.total.saturating_sub(state.done) as f64 / rate.max(1.0);
        eprintln!(
            "{} {} of {}, {}/s, {} left",
            self.doing,
            Bytes(state.done),
            Bytes(state.total),
            Bytes(rate as u64),
            Took(Duration::from_secs_f64(left.min(1e9)))
        );
    }
}

impl Progress for Lines {
    fn total(&self, bytes: u64) {
        if let Ok(mut state) = self.state.lock() {
            state.total = bytes;
            state.started = Instant::now();
        }
    }

    fn begin(&self, _: Digest, _: u64, done: u64) {
        self.moved(done);
    }

    fn advance(&self, _: Digest, bytes: u64) {
        self.moved(bytes);
    }

    fn rewind(&self, _: Digest, bytes: u64) {
        if let Ok(mut state) = self.state.lock() {
            state.done = state.done.saturating_sub(bytes);
        }
    }

    fn note(&self, message: &str) {
        eprintln!("note: {message}");
    }
}
