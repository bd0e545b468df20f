//! Turns each switch of charts with Helm, and compares all images of Helm's output with those that
//! `bundle images` reports. Run by `scripts/helm-oracle --switches`.
//!
//! `switches [--bundle PROGRAM] [--cache DIRECTORY] [--at-most SWITCHES] [--extra] CHART...`

mod asked;
mod helm;
mod program;

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::process::ExitCode;
use std::sync::Mutex;
use std::time::Duration;

use bundle_chart::{Chart, Limits};

use crate::asked::canonical;

/// How many charts are compared at once: each is a process of Helm and one of ours in turn.
const WORKERS: usize = 2;

struct Options {
    /// The program under test.
    bundle: PathBuf,
    /// Where Helm's images are kept between runs.
    cache: Option<PathBuf>,
    /// How many switches of one chart are turned at most.
    at_most: usize,
    /// Whether reported images that Helm never showed are printed.
    extra: bool,
}

/// What was found for one chart.
#[derive(Default)]
struct Outcome {
    name: String,
    renderings: usize,
    helm: usize,
    found: usize,
    /// Image, and the first switch and place that asks for it.
    missed: Vec<(String, String)>,
    /// Reported images that are in nothing of Helm's output.
    extra: Vec<(String, bool)>,
    time: Duration,
    failure: Option<String>,
}

fn main() -> ExitCode {
    let mut options = Options { bundle: PathBuf::from("bundle"), cache: None, at_most: 200, extra: false };
    let mut charts = Vec::new();
    let mut arguments = std::env::args().skip(1);
    while let Some(argument) = arguments.next() {
        let mut next = || arguments.next().expect("the option has a value");
        match argument.as_str() {
            "--switches" => {}
            "--bundle" => options.bundle = PathBuf::from(next()),
            "--cache" => options.cache = Some(PathBuf::from(next())),
            "--at-most" => options.at_most = next().parse().expect("a number"),
            "--extra" => options.extra = true,
            _ => charts.push(PathBuf::from(argument)),
        }
    }
    let queue = Mutex::new(charts.into_iter());
    let outcomes = Mutex::new(Vec::new());
    std::thread::scope(|scope| {
        for _ in 0..WORKERS {
            scope.spawn(|| {
                loop {
                    let Some(path) = queue.lock().expect("no thread panicked").next() else { break };
                    let outcome = compare(&path, &options);
                    print(&outcome, options.extra);
                    outcomes.lock().expect("no thread panicked").push(outcome);
                }
            });
        }
    });
    let outcomes = outcomes.into_inner().expect("no thread panicked");
    let sum = |number: fn(&Outcome) -> usize| outcomes.iter().map(number).sum::<usize>();
    let missed = sum(|outcome| outcome.missed.len());
    let failed = sum(|outcome| usize::from(outcome.failure.is_some()));
    println!(
        "| all {} charts | {} renderings | {} images | found {} | missed {missed} | not in Helm's output {} ({} not in the chart's text) | failed {failed} |",
        outcomes.len(),
        sum(|outcome| outcome.renderings),
        sum(|outcome| outcome.helm),
        sum(|outcome| outcome.found),
        sum(|outcome| outcome.extra.len()),
        sum(|outcome| outcome.extra.iter().filter(|(_, written)| !written).count()),
    );
    if missed == 0 && failed == 0 { ExitCode::SUCCESS } else { ExitCode::FAILURE }
}

fn print(outcome: &Outcome, extra: bool) {
    let mut text = format!(
        "| {} | {} renderings | {} images | found {} | missed {} | not in Helm's output {} | {} ms |\n",
        outcome.name,
        outcome.renderings,
        outcome.helm,
        outcome.found,
        outcome.missed.len(),
        outcome.extra.len(),
        outcome.time.as_millis(),
    );
    if let Some(failure) = &outcome.failure {
        text.push_str(&format!("  {} FAILED: {failure}\n", outcome.name));
    }
    for (image, place) in &outcome.missed {
        text.push_str(&format!("  {} MISSED {image}: {place}\n", outcome.name));
    }
    for (image, written) in outcome.extra.iter().filter(|_| extra) {
        let note = if *written { "" } else { " (not in the chart's text)" };
        text.push_str(&format!("  {} EXTRA {image}{note}\n", outcome.name));
    }
    print!("{text}");
}

fn compare(path: &Path, options: &Options) -> Outcome {
    let mut outcome = Outcome { name: path.display().to_string(), ..Outcome::default() };
    match attempt(path, options, &mut outcome) {
        Ok(()) => outcome,
        Err(failure) => Outcome { failure: Some(failure), ..outcome },
    }
}

fn attempt(path: &Path, options: &Options, outcome: &mut Outcome) -> Result<(), String> {
    let chart = load(path)?;
    outcome.name = format!("{} {}", chart.metadata().name, chart.metadata().version);
    let helm = helm::turned(path, &chart, options.at_most, options.cache.as_deref())?;
    outcome.renderings = helm.renderings;
    outcome.helm = helm.images.len();
    let reported = program::images(&options.bundle, path, helm.values.as_deref(), &mut outcome.time)?;
    for (image, place) in &helm.images {
        if reported.iter().any(|other| is_same(image, &other.image) || other.readings.contains(image)) {
            outcome.found += 1;
        } else {
            outcome.missed.push((image.clone(), place.clone()));
        }
    }
    let text = text_of(&chart);
    for image in &reported {
        // Of several readings of one field, the registry chooses.
        let names = || image.readings.iter().chain([&image.image]);
        if !helm.images.keys().any(|other| names().any(|name| is_same(other, name))) {
            let written = is_written(&text, &image.image);
            outcome.extra.push((format!("{} [{}] {}", image.image, image.grade, image.why), written));
        }
    }
    Ok(())
}

fn load(path: &Path) -> Result<Chart, String> {
    let limits = Limits::DEFAULT;
    let chart = if path.is_dir() {
        Chart::from_directory(path, &limits)
    } else {
        let bytes = std::fs::read(path).map_err(|error| error.to_string())?;
        Chart::from_archive(&path.display().to_string(), &bytes, &limits)
    };
    chart.map_err(|error| error.to_string())
}

/// Whether two references mean one image: equal, or of one digest in one repository.
fn is_same(one: &str, other: &str) -> bool {
    let parts = |text: &str| -> Option<(String, String)> {
        let (name, digest) = text.split_once('@')?;
        let slash = name.rfind('/').map_or(0, |at| at + 1);
        let end = name[slash..].find(':').map_or(name.len(), |at| slash + at);
        Some((name[..end].to_owned(), digest.to_owned()))
    };
    one == other || parts(one).is_some_and(|one| parts(other) == Some(one))
}

/// All texts of a chart and the charts inside it.
fn text_of(chart: &Chart) -> String {
    let own = chart.files().iter().map(|file| String::from_utf8_lossy(file.data()).into_owned());
    own.chain(chart.dependencies().iter().map(text_of)).collect::<Vec<_>>().join("\n")
}

/// Whether an image's last component and its tag, or its digest, are in a chart's text.
fn is_written(text: &str, image: &str) -> bool {
    let (name, digest) = image.split_once('@').map_or((image, None), |(name, digest)| (name, Some(digest)));
    if let Some((_, hex)) = digest.and_then(|digest| digest.split_once(':')) {
        return text.contains(hex);
    }
    let last = name.rsplit('/').next().unwrap_or(name);
    let (component, tag) = last.split_once(':').unwrap_or((last, ""));
    text.contains(component) && text.contains(tag.strip_prefix('v').unwrap_or(tag))
}

/// Images by their canonical names, with the place that asks first.
type Images = BTreeMap<String, String>;

fn keep(images: &mut Images, image: &str, place: impl FnOnce() -> String) {
    if let Some(image) = canonical(image) {
        images.entry(image).or_insert_with(place);
    }
}
