//! Progress on standard error: bars on a terminal, lines elsewhere.
//! Takes the events of the libraries.

use std::collections::HashMap;
use std::io::IsTerminal;
use std::ops::Deref;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use bundle_oci::Digest;
use bundle_registry::{Progress, Silent};
use indicatif::{
    HumanDuration, MultiProgress, ProgressBar, ProgressDrawTarget, ProgressState, ProgressStyle,
};

use crate::output::{is_quiet, safe, tell};
use crate::size::{Bytes, Took};

/// Bars on a terminal, plain lines elsewhere. Both on stderr: stdout is for results.
pub(crate) fn progress(doing: &'static str) -> Running {
    if is_quiet() {
        return Running { progress: Arc::new(Silent), bars: None };
    }
    if std::io::stderr().is_terminal() {
        let bars = Arc::new(Bars::new(doing));
        Running { progress: bars.clone(), bars: Some(bars) }
    } else {
        Running { progress: Arc::new(Lines::new(doing)), bars: None }
    }
}

/// Progress that is shown while this value lives, even if others hold it.
pub(crate) struct Running {
    progress: Arc<dyn Progress>,
    bars: Option<Arc<Bars>>,
}

impl Deref for Running {
    type Target = Arc<dyn Progress>;

    fn deref(&self) -> &Self::Target {
        &self.progress
    }
}

impl Drop for Running {
    fn drop(&mut self) {
        if let Some(bars) = &self.bars {
            bars.finish();
        }
    }
}

struct Bars {
    doing: &'static str,
    all: MultiProgress,
    total: ProgressBar,
    blobs: Mutex<HashMap<Digest, ProgressBar>>,
    finished: AtomicBool,
}

/// A blob smaller than this is gone before its line could be read.
const WORTH_A_LINE: u64 = 1 << 20;
/// The first bytes say little about the rate.
const SETTLED: Duration = Duration::from_secs(5);

const LOOKING: &str = "{msg} {wide_bar} {pos}/{len} images";
const MOVING: &str = "{msg} {wide_bar} {bytes}/{total_bytes} {bytes_per_sec}{left}";
/// A pipe has no known end.
const ENDLESS: &str = "{msg} {bytes} {bytes_per_sec}";
const BLOB: &str = "  {msg} {bar:24} {bytes}/{total_bytes}";

fn style(template: &str) -> ProgressStyle {
    let left = |state: &ProgressState, text: &mut dyn std::fmt::Write| {
        if state.elapsed() >= SETTLED {
            let _ = write!(text, " {:#} left", HumanDuration(state.eta()));
        }
    };
    let style = ProgressStyle::with_template(template);
    style.unwrap_or_else(|_| ProgressStyle::default_bar()).with_key("left", left)
}

impl Bars {
    fn new(doing: &'static str) -> Self {
        let all = MultiProgress::with_draw_target(ProgressDrawTarget::stderr_with_hz(8));
        let total = ProgressBar::no_length().with_style(style(ENDLESS)).with_message(doing);
        let total = all.add(total);
        Self { doing, all, total, blobs: Mutex::default(), finished: AtomicBool::new(false) }
    }

    fn blob(&self, digest: Digest) -> Option<ProgressBar> {
        self.blobs.lock().ok()?.get(&digest).cloned()
    }

    fn finish(&self) {
        self.finished.store(true, Ordering::Release);
        let bars = self.blobs.lock().map(|mut blobs| std::mem::take(&mut *blobs)).unwrap_or_default();
        for bar in bars.values() {
            bar.finish_and_clear();
        }
        self.total.finish_and_clear();
    }

    fn is_finished(&self) -> bool {
        self.finished.load(Ordering::Acquire)
    }
}

impl Progress for Bars {
    fn looked_at(&self, done: usize, all: usize) {
        if self.total.length().is_none() {
            self.total.set_style(style(LOOKING));
            self.total.set_message("resolving");
            self.total.set_length(all as u64);
            self.total.enable_steady_tick(Duration::from_millis(250));
        }
        self.total.set_position(done as u64);
    }

    fn total(&self, bytes: u64) {
        self.total.set_position(0);
        self.total.set_length(bytes);
        self.total.set_style(style(MOVING));
        self.total.set_message(self.doing);
        self.total.reset_elapsed();
        self.total.reset_eta();
        self.total.enable_steady_tick(Duration::from_millis(250));
    }

    fn begin(&self, blob: Digest, size: u64, done: u64) {
        self.total.inc(done);
        if done > 0 {
            // These bytes did not move now.
            self.total.reset_eta();
        }
        if size < WORTH_A_LINE || self.is_finished() {
            return;
        }
        let bar = self.all.add(ProgressBar::new(size));
        bar.set_style(style(BLOB));
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
        let line = safe(&format!("note: {message}"));
        // Without a bar on the screen, indicatif prints nothing.
        let visible = self.total.length().is_some() || self.total.position() > 0;
        if self.is_finished() || !visible || self.all.println(&line).is_err() {
            tell(&line);
        }
    }
}

struct Lines {
    doing: &'static str,
    state: Mutex<LineState>,
}

struct LineState {
    total: u64,
    done: u64,
    /// The bytes in place before, which do not count for the rate.
    before: u64,
    started: Instant,
    told: Instant,
}

/// The interval between lines without a terminal.
const BETWEEN: Duration = Duration::from_secs(10);

impl LineState {
    fn is_due(&mut self) -> bool {
        let due = self.told.elapsed() >= BETWEEN;
        if due {
            self.told = Instant::now();
        }
        due
    }
}

impl Lines {
    fn new(doing: &'static str) -> Self {
        let now = Instant::now();
        let state = LineState { total: 0, done: 0, before: 0, started: now, told: now };
        Self { doing, state: Mutex::new(state) }
    }

    fn moved(&self, change: impl FnOnce(&mut LineState)) {
        let Ok(mut state) = self.state.lock() else { return };
        change(&mut state);
        if !state.is_due() {
            return;
        }
        let done = Bytes(state.done);
        let rate = state.done.saturating_sub(state.before) as f64;
        let rate = rate / state.started.elapsed().as_secs_f64().max(0.001);
        let per_second = Bytes(rate as u64);
        if state.total == 0 {
            return tell(&format!("{} {done}, {per_second}/s", self.doing));
        }
        let left = state.total.saturating_sub(state.done) as f64 / rate.max(1.0);
        let left = Took(Duration::from_secs_f64(left.min(1e9)));
        tell(&format!("{} {done} of {}, {per_second}/s, {left} left", self.doing, Bytes(state.total)));
    }
}

impl Progress for Lines {
    fn looked_at(&self, done: usize, all: usize) {
        if self.state.lock().is_ok_and(|mut state| state.is_due()) {
            tell(&format!("resolving: {done} of {all} images"));
        }
    }

    fn total(&self, bytes: u64) {
        if let Ok(mut state) = self.state.lock() {
            state.total = bytes;
            state.started = Instant::now();
        }
    }

    fn begin(&self, _: Digest, _: u64, done: u64) {
        self.moved(|state| {
            state.done += done;
            state.before += done;
        });
    }

    fn advance(&self, _: Digest, bytes: u64) {
        self.moved(|state| state.done += bytes);
    }

    fn rewind(&self, _: Digest, bytes: u64) {
        if let Ok(mut state) = self.state.lock() {
            state.done = state.done.saturating_sub(bytes);
        }
    }

    fn note(&self, message: &str) {
        tell(&format!("note: {message}"));
    }
}
