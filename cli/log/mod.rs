//! The log: events of the libraries, notes and errors, on standard error and in a file. Takes what the command line
//! and BUNDLE_LOG ask for; gives lines. The newest lines are kept in memory, and in a file if the run fails.

mod filter;
mod line;
mod recent;

use std::fs::File;
use std::io::{Seek, SeekFrom, Write};
use std::path::{Path, PathBuf};
use std::sync::{Mutex, OnceLock, PoisonError};

use bundle_os::Access;
use tracing::field::Visit;
use tracing::span::{Attributes, Id as SpanId, Record};
use tracing::subscriber::Interest;
use tracing::{Event, Level, Metadata, Subscriber};

use crate::environment::{self, BUNDLE_LOG};
use crate::exit::{Failure, Id};
use crate::output;
use crate::place;

pub(crate) use filter::Filter;
pub(crate) use line::{Format, Line};
pub(crate) use recent::LAST_LOG;

/// What the command line says of the log.
#[derive(clap::Args)]
pub(crate) struct LogArguments {
    /// Log what is done on standard error: -v images, tags, files and retries, -vv every request too
    #[arg(short, long, global = true, action = clap::ArgAction::Count, conflicts_with = "quiet")]
    verbose: u8,

    /// Print only errors on standard error: no progress, notes or warnings
    #[arg(short, long, global = true)]
    quiet: bool,

    /// Form of what is printed on standard error
    #[arg(
        long,
        global = true,
        value_enum,
        default_value_t,
        value_name = "text|json",
        hide_possible_values = true
    )]
    log_format: Format,

    /// Append the log to this file, with every request unless BUNDLE_LOG says otherwise
    #[arg(long, global = true, value_name = "FILE")]
    log_file: Option<PathBuf>,
}

/// Where lines go.
struct Log {
    /// The events that standard error shows.
    shown: Filter,
    /// The events that the file gets.
    filed: Filter,
    format: Format,
    file: Option<Mutex<File>>,
    recent: Mutex<recent::Recent>,
}

static LOG: OnceLock<Log> = OnceLock::new();

impl LogArguments {
    /// Whether nothing but errors is printed on standard error.
    pub(crate) fn is_quiet(&self) -> bool {
        self.quiet
    }

    /// Begins to log.
    ///
    /// # Errors
    /// BUNDLE_LOG is wrong, or the file cannot be written.
    pub(crate) fn begin(&self) -> Result<(), Failure> {
        let variable = environment::text(BUNDLE_LOG).filter(|text| !text.is_empty());
        let asked: Option<Filter> = variable.map(|text| text.parse()).transpose().map_err(|error| {
            Failure::text(Id::Usage, format!("BUNDLE_LOG: {error}"))
                .hint("such as info, debug, or registry=debug,importer=info")
        })?;
        let shown = match (self.quiet, self.verbose, &asked) {
            (true, _, _) => Filter::all(None),
            (false, 0, Some(asked)) => asked.clone(),
            (false, 0, None) => Filter::all(None),
            (false, 1, _) => Filter::all(Some(Level::INFO)),
            (false, _, _) => Filter::all(Some(Level::DEBUG)),
        };
        let filed = asked.unwrap_or_else(|| Filter::all(Some(Level::DEBUG)));
        let file = self.log_file.as_deref().map(opened).transpose()?.map(Mutex::new);
        let recent = Mutex::default();
        let _ = LOG.set(Log { shown, filed, format: self.log_format, file, recent });
        // Events of other crates, which might show headers and queries, are not looked at.
        let _ = tracing::subscriber::set_global_default(Events);
        Ok(())
    }
}

fn opened(path: &Path) -> Result<File, Failure> {
    let opened = bundle_os::open_or_create(path, Access::Owner)
        .and_then(|mut file| file.seek(SeekFrom::End(0)).map(|_| file));
    opened.map_err(|error| {
        let text = format!("log file {} cannot be written: {error}", output::name(path));
        Failure::text(Id::Usage, text)
    })
}

/// The form of what is printed on standard error.
pub(crate) fn format() -> Format {
    LOG.get().map(|log| log.format).unwrap_or_default()
}

/// Notes what is printed on standard error in the file and in memory, too.
pub(crate) fn note(line: &Line) {
    if let Some(log) = LOG.get() {
        log.keep(line, true);
    }
}

/// Keeps the newest lines for `bundle support`, if the run failed. What cannot be written is no second failure.
pub(crate) fn ended(command: &str, code: u8) {
    let (Some(log), Ok(path)) = (LOG.get(), place::state(LAST_LOG)) else { return };
    let recent = log.recent.lock().unwrap_or_else(PoisonError::into_inner);
    recent.write(&path, command, code);
}

impl Log {
    fn keep(&self, line: &Line, filed: bool) {
        let text = line.text();
        if filed && let Some(file) = &self.file {
            let row = match self.format {
                Format::Text => text.clone(),
                Format::Json => line.json(),
            };
            let mut file = file.lock().unwrap_or_else(PoisonError::into_inner);
            // A log that cannot be written stops no work.
            let _ = writeln!(file, "{row}");
        }
        self.recent.lock().unwrap_or_else(PoisonError::into_inner).push(text);
    }

    fn event(&self, event: &Event<'_>) {
        let metadata = event.metadata();
        let Some(part) = filter::part_of(metadata.target()) else { return };
        let mut fields = Fields(Line::new(*metadata.level(), part));
        event.record(&mut fields);
        let line = fields.0;
        self.keep(&line, self.filed.shows(part, metadata.level()));
        if self.shown.shows(part, metadata.level()) {
            output::log(&match self.format {
                Format::Text => line.text(),
                Format::Json => line.json(),
            });
        }
    }
}

/// The fields of an event.
struct Fields(Line);

impl Visit for Fields {
    fn record_debug(&mut self, field: &tracing::field::Field, value: &dyn std::fmt::Debug) {
        self.0.add(field.name(), format!("{value:?}").into());
    }

    fn record_str(&mut self, field: &tracing::field::Field, value: &str) {
        self.0.add(field.name(), value.into());
    }

    fn record_u64(&mut self, field: &tracing::field::Field, value: u64) {
        self.0.add(field.name(), value.into());
    }

    fn record_i64(&mut self, field: &tracing::field::Field, value: i64) {
        self.0.add(field.name(), value.into());
    }

    fn record_bool(&mut self, field: &tracing::field::Field, value: bool) {
        self.0.add(field.name(), value.into());
    }
}

/// The subscriber: our libraries' events, and no spans, of which they have none.
struct Events;

impl Subscriber for Events {
    fn register_callsite(&self, metadata: &'static Metadata<'static>) -> Interest {
        if self.enabled(metadata) { Interest::always() } else { Interest::never() }
    }

    fn enabled(&self, metadata: &Metadata<'_>) -> bool {
        // What only asks whether an event would be seen is no event itself.
        !metadata.is_span() && filter::part_of(metadata.target()).is_some()
    }

    fn max_level_hint(&self) -> Option<tracing::level_filters::LevelFilter> {
        Some(tracing::level_filters::LevelFilter::DEBUG)
    }

    fn new_span(&self, _: &Attributes<'_>) -> SpanId {
        SpanId::from_u64(1)
    }

    fn record(&self, _: &SpanId, _: &Record<'_>) {}

    fn record_follows_from(&self, _: &SpanId, _: &SpanId) {}

    fn event(&self, event: &Event<'_>) {
        if let Some(log) = LOG.get() {
            log.event(event);
        }
    }

    fn enter(&self, _: &SpanId) {}

    fn exit(&self, _: &SpanId) {}
}
