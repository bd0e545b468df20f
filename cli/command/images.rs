//! `images`: the images that charts and lists ask for, and why.
//! Takes charts and lists; gives references with the chart and place that ask for each.

use std::collections::BTreeMap;
use std::time::Duration;

use bundle_bundler::{
    Asked, Assembly, ChartImage, Confirm, Confirmation, Discovered, DiscoveredChart, Pins, PolicyOverride,
    Reason, Referrers, Request, Subject, TagPattern,
};
use bundle_chart::Certainty;
use bundle_oci::{Printable, Reference};
use bundle_report::{ChartEntry, ChartImageEntry, ImagesReport, ListedEntry, WhyReport};

use crate::command::chart::ChartArguments;
use crate::command::wanted::{Wanted, tell_notices};
use crate::connection::Connection;
use crate::exit::{Code, Failure};
use crate::output;
use crate::progress::progress;
use crate::sources::SourceArguments;

#[derive(clap::Args)]
pub(crate) struct Images {
    #[command(flatten)]
    wanted: Wanted,

    #[command(flatten)]
    chart: ChartArguments,

    /// Show every place that asks for this image
    #[arg(long, value_name = "IMAGE")]
    why: Option<String>,

    /// Use no network: charts must be local, and unconfirmed images are marked
    #[arg(long)]
    offline: bool,

    #[command(flatten)]
    sources: SourceArguments,

    #[command(flatten)]
    connection: Connection,
}

impl Images {
    pub(crate) async fn run(self) -> Result<(), Failure> {
        let (project, platforms) = (&self.wanted.project, self.wanted.platforms());
        let asked = match self.chart.read(&self.wanted.files, project, platforms)? {
            Some(chart) => Asked { charts: vec![chart], ..Asked::default() },
            None => self.wanted.read()?,
        };
        let progress = progress("looking");
        let client = self.connection.client(&self.sources, &asked.sources, None, &progress)?;
        let confirm = if self.offline { Confirm::Leave } else { Confirm::Ask };
        let assembly = Assembly {
            client: &client,
            lock: None,
            earlier: None,
            pins: Pins::Prefer,
            overrule: PolicyOverride { referrers: Some(Referrers::Leave), ..PolicyOverride::default() },
            confirm,
            jobs: self.connection.jobs(),
            referrers_max_age: Duration::ZERO,
        };
        let Discovered { requests, patterns, charts, notices, .. } = assembly.discover(asked).await?;
        tell_notices(&notices, &**progress);
        drop(progress);
        match &self.why {
            Some(image) => self.tell_why(image, &requests, &charts),
            None => output::report(&found(&requests, &patterns, &charts)),
        }
    }

    fn tell_why(&self, image: &str, requests: &[Request], charts: &[DiscoveredChart]) -> Result<(), Failure> {
        // The argument may be written as in the chart, or shorter.
        let whole: Option<Reference> = image.parse().ok();
        let is_it = |reference: &Reference| {
            let text = reference.to_string();
            whole.as_ref() == Some(reference) || text.ends_with(&format!("/{image}")) || {
                let name = format!("{}/{}", reference.registry(), reference.repository());
                name == image || name.ends_with(&format!("/{image}"))
            }
        };
        let mut places: BTreeMap<String, Vec<String>> = BTreeMap::new();
        for request in requests.iter().filter(|request| is_it(&request.reference)) {
            places.entry(request.reference.to_string()).or_default().extend(texts(&request.reasons));
        }
        for chart in charts {
            for image in chart.images.iter().filter(|image| is_it(&image.find.reference)) {
                let place = |place| format!("{}: {place}", chart.label());
                let found = places.entry(image.find.reference.to_string()).or_default();
                found.extend(image.find.places.iter().map(place));
            }
        }
        if places.is_empty() {
            let text = format!("nothing here asks for {}", Printable(image));
            return Err(
                Failure::text(Code::Incomplete, text).hint("`bundle images` shows all that is asked for")
            );
        }
        output::report(&WhyReport { places })
    }
}

fn texts(reasons: &[Reason]) -> Vec<String> {
    reasons.iter().map(Reason::to_string).collect()
}

/// The images that lists and charts ask for.
fn found(requests: &[Request], patterns: &[TagPattern], charts: &[DiscoveredChart]) -> ImagesReport {
    let listed = |request: &Request| ListedEntry {
        image: request.reference.to_string(),
        target: request.target.to_string(),
        why: texts(&request.reasons),
    };
    // Without a network, a choice of tags is reported as it is.
    let unresolved = |pattern: &TagPattern| ListedEntry {
        image: pattern.to_string(),
        target: pattern.target.to_string(),
        why: texts(&pattern.reasons),
    };
    ImagesReport {
        listed: requests.iter().map(listed).chain(patterns.iter().map(unresolved)).collect(),
        charts: charts.iter().map(chart_entry).collect(),
    }
}

fn chart_entry(chart: &DiscoveredChart) -> ChartEntry {
    let itself = chart.subject == Subject::Chart;
    ChartEntry {
        name: chart.name.clone(),
        version: chart.version.clone(),
        why: chart.reason.to_string(),
        source: itself.then(|| chart.source.to_string()),
        target: itself.then(|| chart.target.to_string()),
        warnings: chart.warnings.clone(),
        images: chart.images.iter().map(image_entry).collect(),
        label: chart.label(),
    }
}

fn image_entry(image: &ChartImage) -> ChartImageEntry {
    let find = &image.find;
    ChartImageEntry {
        image: find.reference.to_string(),
        grade: find.grade.as_str().to_owned(),
        switches: find.switches.iter().cloned().collect(),
        readings: find.readings.iter().map(ToString::to_string).collect(),
        certainty: match find.certainty {
            Certainty::Certain => "certain",
            Certainty::Probable => "probable",
        }
        .to_owned(),
        rendered: find.is_rendered(),
        registry: match image.confirmation {
            Confirmation::Excluded | Confirmation::NotCarried | Confirmation::NotAsked => "not asked",
            Confirmation::Found | Confirmation::NameTaken(_) => "found",
            Confirmation::NotFound | Confirmation::OtherReading(_) => "not found",
            Confirmation::NoPlatform(_) => "other platforms",
            Confirmation::Refused(_) => "refused",
            Confirmation::Unreachable(_) => "unreachable",
        }
        .to_owned(),
        left_out: image.left_out().map(|why| why.to_string()),
        excluded: image.confirmation == Confirmation::Excluded,
        carried: image.is_wanted(),
        target: image.target.to_string(),
        why: find.places.iter().map(ToString::to_string).collect(),
    }
}
