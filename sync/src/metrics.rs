//! Text for Prometheus' textfile collector.
//! Takes samples, gives the exposition format.

use std::fmt::Write as _;

use bundle_format::{Program, Timestamp};

use crate::StreamStatus;

/// Text for Prometheus (exposition format 0.0.4). Its textfile collector takes whole seconds for
/// times, and adds no time of its own.
pub(crate) struct Metrics {
    prefix: &'static str,
    text: String,
}

/// A sample's labels and value.
type Sample<'a> = (&'a [(&'a str, String)], u64);

impl Metrics {
    /// Metrics of a job, `export` or `import`.
    pub(crate) fn new(program: Program, prefix: &'static str, job: &str) -> Self {
        Self { prefix, text: program.metric(job) }
    }

    /// When the job ended, when it last ended well, and how.
    pub(crate) fn run(&mut self, now: Timestamp, succeeded: Option<Timestamp>, exit_code: u8) {
        let none: [(&str, String); 0] = [];
        let seconds = |moment: Timestamp| moment.unix().unsigned_abs();
        self.gauge("last_run_timestamp_seconds", "When the job last ended.", &[(&none, seconds(now))]);
        if let Some(succeeded) = succeeded {
            let help = "When the job last ended well.";
            self.gauge("last_success_timestamp_seconds", help, &[(&none, seconds(succeeded))]);
        }
        let help = "How the job last ended: the exit code of bundle sync.";
        self.gauge("last_exit_code", help, &[(&none, u64::from(exit_code))]);
    }

    /// The last bundle of each stream.
    pub(crate) fn last(&mut self, streams: &[StreamStatus]) {
        let labels: Vec<_> = streams.iter().map(|last| [("stream", last.stream.to_string())]).collect();
        let seconds = |moment: Timestamp| moment.unix().unsigned_abs();
        let mut family = |name: &str, help: &str, value: &dyn Fn(&StreamStatus) -> Option<u64>| {
            let samples: Vec<Sample<'_>> = streams
                .iter()
                .zip(&labels)
                .filter_map(|(last, labels)| Some((labels.as_slice(), value(last)?)))
                .collect();
            if !samples.is_empty() {
                self.gauge(name, help, &samples);
            }
        };
        family("bundle_sequence", "The number of the last bundle.", &|last| Some(last.sequence.into()));
        family("bundle_bytes", "The size of the last bundle.", &|last| Some(last.bytes));
        family("bundle_created_timestamp_seconds", "When the last bundle was made.", &|last| {
            Some(seconds(last.created))
        });
        family("bundle_imported_timestamp_seconds", "When the last bundle was imported.", &|last| {
            last.imported.map(seconds)
        });
        family("blocked_images", "Images of the last bundle that are blocked.", &|last| last.blocked);
    }

    pub(crate) fn gauge(&mut self, name: &str, help: &str, samples: &[Sample<'_>]) {
        self.family(name, "gauge", help, samples);
    }

    pub(crate) fn counter(&mut self, name: &str, help: &str, value: u64) {
        self.family(name, "counter", help, &[(&[], value)]);
    }

    fn family(&mut self, name: &str, kind: &str, help: &str, samples: &[Sample<'_>]) {
        let name = format!("{}_{name}", self.prefix);
        // Writing to a string does not fail.
        let _ = writeln!(self.text, "# HELP {name} {help}\n# TYPE {name} {kind}");
        for (labels, value) in samples {
            // The names of streams need no escapes.
            let labels: Vec<String> =
                labels.iter().map(|(key, value)| format!("{key}=\"{value}\"")).collect();
            let labels = if labels.is_empty() { String::new() } else { format!("{{{}}}", labels.join(",")) };
            let _ = writeln!(self.text, "{name}{labels} {value}");
        }
    }

    pub(crate) fn text(self) -> String {
        self.text
    }
}
