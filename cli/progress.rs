//! Progress on standard error: bars on a terminal, lines elsewhere, JSON for programs, or nothing.
//! Takes the events of the libraries, which it only counts; a thread of its own shows them.

mod rate;
mod tally;
mod text;

use std::io::IsTerminal;
use std::ops::Deref;
use std::sync::atomic::{AtomicU8, Ordering};
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError, Weak};
use std::time::{Duration, Instant};

use bundle_oci::Digest;
use bundle_registry::{ImageExtent, Progress};
use bundle_report::{ProgressBody, ProgressReport};
use indicatif::{ProgressBar, ProgressDrawTarget, ProgressStyle};

use crate::environment::{self, TERM};
use crate::output::{is_json, is_quiet, tell, tell_json};
use crate::progress::tally::{Snapshot, Tally};

/// How progress is shown.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, clap::ValueEnum)]
pub(crate) enum Mode {
    /// Bars on a terminal; elsewhere lines, once the work takes longer
    #[default]
    Auto,
    /// Lines: one every few seconds, and one at the end of each stage
    Plain,
    /// Nothing
    None,
    /// Lines of JSON on standard error, as docs/reference/json.md says
    Json,
}

/// The mode that the command line asks for.
static MODE: AtomicU8 = AtomicU8::new(Mode::Auto as u8);

/// From now on, progress is shown so.
pub(crate) fn show_as(mode: Mode) {
    MODE.store(mode as u8, Ordering::Relaxed);
}

fn mode() -> Mode {
    if is_quiet() {
        return Mode::None;
    }
    let modes = [Mode::Auto, Mode::Plain, Mode::None, Mode::Json];
    let asked = MODE.load(Ordering::Relaxed);
    modes.into_iter().find(|mode| *mode as u8 == asked).unwrap_or_default()
}

/// The way that progress goes.
#[derive(Debug)]
enum Way {
    Screen(ProgressBar),
    Lines {
        /// Whether work that is done soon has lines, too.
        always: bool,
    },
    Json,
    Nowhere,
}

impl Way {
    fn of(mode: Mode) -> Self {
        match mode {
            // A terminal that cannot move its cursor gets lines.
            Mode::Auto if std::io::stderr().is_terminal() => match environment::text(TERM).as_deref() {
                None | Some("" | "dumb") => Self::Lines { always: true },
                Some(_) => {
                    let target = ProgressDrawTarget::stderr_with_hz(20);
                    let bar = ProgressBar::with_draw_target(None, target);
                    let style = ProgressStyle::with_template("{msg}");
                    Self::Screen(bar.with_style(style.unwrap_or_else(|_| ProgressStyle::default_bar())))
                }
            },
            Mode::Auto => Self::Lines { always: false },
            Mode::Plain => Self::Lines { always: true },
            Mode::None => Self::Nowhere,
            Mode::Json => Self::Json,
        }
    }

    /// The time between two looks.
    fn interval(&self) -> Duration {
        match self {
            Self::Screen(_) => Duration::from_millis(125),
            Self::Lines { .. } | Self::Json | Self::Nowhere => Duration::from_secs(1),
        }
    }
}

/// The interval between lines.
const BETWEEN: Duration = Duration::from_secs(5);
/// The interval between lines that nobody asked for.
const SELDOM: Duration = Duration::from_secs(10);
/// The most images that JSON names.
const MOST_NAMED: usize = 16;
/// The size of a terminal that does not know its own.
const USUAL_SIZE: (u16, u16) = (80, 24);

/// Shows progress as the command line asked for it. All of it is on standard error, for standard output has results.
pub(crate) fn progress(doing: &'static str) -> Running {
    let way = Way::of(mode());
    let now = Instant::now();
    let state = State { tally: Tally::new(doing, now), told: now, shown: None, lines: 0, finished: false };
    let shown = Arc::new(Shown { doing, way, state: Mutex::new(state), ended: Condvar::new() });
    *lock(&SHOWN) = Arc::downgrade(&shown);
    if !matches!(shown.way, Way::Nowhere) {
        let shown = shown.clone();
        // Without a thread there is no progress to be seen, and all else goes on.
        let _ = std::thread::Builder::new().name("progress".to_owned()).spawn(move || shown.keep_showing());
    }
    Running { progress: shown.clone(), shown }
}

/// Progress that is shown while this value lives, even if others hold it.
pub(crate) struct Running {
    progress: Arc<dyn Progress>,
    shown: Arc<Shown>,
}

impl Deref for Running {
    type Target = Arc<dyn Progress>;

    fn deref(&self) -> &Self::Target {
        &self.progress
    }
}

impl Drop for Running {
    fn drop(&mut self) {
        self.shown.finish();
    }
}

/// Ends what is shown, before the program says its last.
pub(crate) fn clear() {
    let shown = lock(&SHOWN).upgrade();
    if let Some(shown) = shown {
        shown.finish();
    }
}

/// Writes something to the terminal while the bars are off it. Everything that this program writes to standard
/// output or standard error while it works goes through here.
pub(crate) fn aside<T>(write: impl FnOnce() -> T) -> T {
    let shown = lock(&SHOWN).upgrade();
    match shown.as_ref().map(|shown| &shown.way) {
        Some(Way::Screen(bar)) if !bar.is_finished() => bar.suspend(write),
        _ => write(),
    }
}

/// Says what can be done next, to people who look: on one line of standard error, after a result.
pub(crate) fn next(step: &str) {
    let watched = match Way::of(mode()) {
        Way::Screen(_) => true,
        Way::Lines { always } => always,
        Way::Json | Way::Nowhere => false,
    };
    if watched && !is_json() {
        tell(&format!("next: {step}"));
    }
}

/// What is shown now.
static SHOWN: Mutex<Weak<Shown>> = Mutex::new(Weak::new());

#[derive(Debug)]
struct Shown {
    doing: &'static str,
    way: Way,
    state: Mutex<State>,
    ended: Condvar,
}

#[derive(Debug)]
struct State {
    tally: Tally,
    /// When a line was written last.
    told: Instant,
    /// What was shown last.
    shown: Option<Snapshot>,
    /// The lines of this stage.
    lines: usize,
    finished: bool,
}

impl Shown {
    /// Shows what there is again and again, until the end.
    fn keep_showing(&self) {
        let mut state = lock(&self.state);
        while !state.finished {
            self.show(&mut state);
            let waited = self.ended.wait_timeout(state, self.way.interval());
            state = waited.unwrap_or_else(PoisonError::into_inner).0;
        }
    }

    fn show(&self, state: &mut State) {
        if !state.tally.has_begun() {
            return;
        }
        let now = Instant::now();
        let snapshot = state.tally.snapshot(now);
        match &self.way {
            Way::Screen(bar) => {
                let (columns, rows) = bundle_os::terminal_size().unwrap_or(USUAL_SIZE);
                bar.set_message(text::screen(&snapshot, columns.into(), rows.into()).join("\n"));
            }
            Way::Lines { always } => {
                let between = if *always { BETWEEN } else { SELDOM };
                if now.duration_since(state.told) >= between {
                    tell(&text::line(&snapshot));
                    (state.told, state.lines) = (now, state.lines + 1);
                }
            }
            Way::Json => {
                let same =
                    |before: &Snapshot| Snapshot { elapsed: snapshot.elapsed, ..before.clone() } == snapshot;
                if state.shown.as_ref().is_none_or(|before| !same(before)) {
                    tell_json(&report(&snapshot, false));
                    state.shown = Some(snapshot);
                }
            }
            Way::Nowhere => {}
        }
    }

    /// Says how a stage ended.
    fn end_stage(&self, state: &mut State) {
        if !state.tally.has_begun() {
            return;
        }
        let snapshot = state.tally.snapshot(Instant::now());
        match &self.way {
            Way::Lines { always } if *always || state.lines > 0 => tell(&text::ended(&snapshot)),
            Way::Json => tell_json(&report(&snapshot, true)),
            Way::Screen(_) | Way::Lines { .. } | Way::Nowhere => {}
        }
    }

    /// Begins another stage.
    fn stage(&self, name: &'static str, bytes: Option<u64>) {
        let mut state = lock(&self.state);
        if state.finished {
            return;
        }
        self.end_stage(&mut state);
        let now = Instant::now();
        state.tally = Tally::new(name, now);
        match bytes {
            Some(bytes) => state.tally.total(bytes),
            None => state.tally.begins(),
        }
        (state.told, state.shown, state.lines) = (now, None, 0);
    }

    fn finish(&self) {
        let mut state = lock(&self.state);
        if state.finished {
            return;
        }
        state.finished = true;
        self.end_stage(&mut state);
        if let Way::Screen(bar) = &self.way {
            bar.finish_and_clear();
        }
        self.ended.notify_all();
    }

    fn count(&self, event: impl FnOnce(&mut Tally)) {
        if !matches!(self.way, Way::Nowhere) {
            event(&mut lock(&self.state).tally);
        }
    }
}

impl Progress for Shown {
    fn looked_at(&self, done: usize, all: usize) {
        let is_first = lock(&self.state).tally.stage() != RESOLVING;
        if is_first {
            self.stage(RESOLVING, None);
        }
        self.count(|tally| tally.looked_up(done, all));
    }

    fn total(&self, bytes: u64) {
        self.stage(self.doing, Some(bytes));
    }

    fn images(&self, images: &[ImageExtent]) {
        self.count(|tally| tally.images(images));
    }

    fn stage(&self, name: &'static str, bytes: u64) {
        Shown::stage(self, name, (bytes > 0).then_some(bytes));
    }

    fn begin(&self, blob: Digest, size: u64, done: u64) {
        self.count(|tally| tally.begin(blob, size, done));
    }

    fn advance(&self, blob: Digest, bytes: u64) {
        self.count(|tally| tally.advance(blob, bytes, Instant::now()));
    }

    fn present(&self, blob: Digest, bytes: u64) {
        self.count(|tally| tally.present(blob, bytes));
    }

    fn rewind(&self, blob: Digest, bytes: u64) {
        self.count(|tally| tally.rewind(blob, bytes));
    }

    fn end(&self, blob: Digest) {
        self.count(|tally| tally.end(blob));
    }

    fn note(&self, message: &str) {
        tell(&format!("note: {message}"));
    }
}

/// The stage before any byte of a blob moves.
const RESOLVING: &str = "resolving";

fn report(snapshot: &Snapshot, ended: bool) -> ProgressReport {
    ProgressReport::new(ProgressBody {
        stage: snapshot.stage.to_owned(),
        ended,
        bytes_done: snapshot.bytes,
        bytes_total: snapshot.all_bytes,
        bytes_present: snapshot.present,
        images_done: snapshot.images,
        images_total: snapshot.all_images,
        current: snapshot.current.iter().take(MOST_NAMED).map(|image| image.name.clone()).collect(),
        bytes_per_second: snapshot.rate,
        seconds_left: snapshot.left.map(|left| left.as_secs()),
        seconds: snapshot.elapsed.as_secs_f64(),
    })
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    // The counts are whole between statements.
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}
