use std::collections::BTreeMap;

use bundle_bundler::{
    Asked, Assembly, ChartImage, Confirm, Confirmation, Discovered, DiscoveredChart, Pins, PolicyOverride,
    Reason, Referrers, Request, Subject,
};
use bundle_chart::{Certainty, Grade};
use bundle_oci::{Printable, Reference};
use serde_json::json;

use crate::command::chart::ChartArguments;
use crate::command::wanted::{Wanted, tell_notices};
use crate::command::{print, print_json};
use crate::connection::{Connection, Mirror};
use crate::exit::{Code, Failure};
use crate::progress::progress;
use crate::size::count;

#[derive(clap::Args)]
pub(crate) struct Images {
    #[command(flatten)]
    wanted: Wanted,

    #[command(flatten)]
    chart: ChartArguments,

    /// Show every place that asks for this image
    #[arg(long, value_name = "IMAGE")]
    why: Option<String>,

    /// Ask no registry: charts must lie here, and what only looks like an image is marked so
    #[arg(long)]
    offline: bool,

    /// Read one registry through another
    #[arg(long, value_name = "HOST=HOST/PREFIX")]
    mirror: Vec<Mirror>,

    /// Print the result as JSON
    #[arg(long)]
    json: bool,

    #[command(flatten)]
    connection: Connection,
}

impl Images {
    pub(crate) async fn run(self) -> Result<(), Failure> {
        let (project, platforms) = (&self.wanted.project, self.wanted.platforms());
        let asked = match self.chart.read(&self.wanted.files, project, platforms)? {
            Some(chart) => Asked { requests: Vec::new(), charts: vec![chart], stream: None },
            None => self.wanted.read()?,
        };
        let progress = progress("looking");
        let client = self.connection.client(&self.mirror, None, &progress)?;
        let confirm = if self.offline { Confirm::Leave } else { Confirm::Ask };
        let assembly = Assembly {
            client: &client,
            lock: None,
            pins: Pins::Prefer,
            overrule: PolicyOverride { referrers: Some(Referrers::Leave), ..PolicyOverride::default() },
            confirm,
            jobs: self.connection.jobs(),
        };
        let Discovered { requests, charts, notices } = assembly.discover(asked).await?;
        tell_notices(&notices, &**progress);
        drop(progress);
        match &self.why {
            Some(image) => self.tell_why(image, &requests, &charts),
            None => self.tell(&requests, &charts),
        }
    }

    fn tell(&self, requests: &[Request], charts: &[DiscoveredChart]) -> Result<(), Failure> {
        if self.json {
            let charts: Vec<_> = charts.iter().map(chart_json).collect();
            let listed: Vec<_> = requests
                .iter()
                .map(|request| {
                    json!({"image": request.reference, "target": request.target.to_string(), "why": request.reasons})
                })
                .collect();
            return print_json(&json!({"listed": listed, "charts": charts}));
        }
        let mut text = String::new();
        for request in requests {
            text.push_str(&format!(
                "listed    {}  ({})\n",
                request.reference,
                texts(&request.reasons).join(", ")
            ));
        }
        for chart in charts {
            text.push_str(&format!(
                "{} ({}): {}\n",
                chart.label(),
                chart.reason,
                count(chart.images.len(), "image")
            ));
            for image in &chart.images {
                text.push_str(&line(image));
            }
        }
        print(&text)
    }

    fn tell_why(&self, image: &str, requests: &[Request], charts: &[DiscoveredChart]) -> Result<(), Failure> {
        // What is asked for may be written as in the chart, or shorter.
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
        if self.json {
            return print_json(&json!(places));
        }
        let mut text = String::new();
        for (image, places) in places {
            text.push_str(&format!("{image}\n"));
            places.iter().for_each(|place| text.push_str(&format!("  {place}\n")));
        }
        print(&text)
    }
}

fn texts(reasons: &[Reason]) -> Vec<String> {
    reasons.iter().map(Reason::to_string).collect()
}

/// One line for an image: how it is asked for, its name, and what is to be said of it.
fn line(image: &ChartImage) -> String {
    let find = &image.find;
    let mut remarks = Vec::new();
    if let (Grade::Switched, Some(switch)) = (find.grade, find.switches.first()) {
        remarks.push(format!("once {}", Printable(switch)));
    }
    if !find.readings.is_empty() && image.confirmation == Confirmation::NotAsked {
        let readings: Vec<String> = find.readings.iter().map(ToString::to_string).collect();
        remarks.push(format!("or {}", readings.join(", ")));
    }
    remarks.extend(image.left_out().map(|why| format!("left out: {why}")));
    remarks.extend(find.places.first().map(ToString::to_string));
    format!("{:<9}  {}  ({})\n", find.grade.as_str(), find.reference, remarks.join("; "))
}

fn word(certainty: Certainty) -> &'static str {
    match certainty {
        Certainty::Certain => "certain",
        Certainty::Probable => "probable",
    }
}

fn chart_json(chart: &DiscoveredChart) -> serde_json::Value {
    let images: Vec<_> = chart
        .images
        .iter()
        .map(|image| {
            let places: Vec<String> = image.find.places.iter().map(ToString::to_string).collect();
            json!({
                "image": image.find.reference,
                "grade": image.find.grade.as_str(),
                "switches": image.find.switches,
                "readings": image.find.readings,
                "certainty": word(image.find.certainty),
                "rendered": image.find.is_rendered(),
                "registry": match image.confirmation {
                    Confirmation::Excluded | Confirmation::NotCarried | Confirmation::NotAsked => "not asked",
                    Confirmation::Found => "found",
                    Confirmation::NotFound | Confirmation::OtherReading(_) => "not found",
                    Confirmation::NameTaken(_) => "found",
                    Confirmation::NoPlatform(_) => "other platforms",
                    Confirmation::Refused(_) => "refused",
                    Confirmation::Unreachable(_) => "unreachable",
                },
                "leftOut": image.left_out(),
                "excluded": image.confirmation == Confirmation::Excluded,
                "carried": image.is_wanted(),
                "target": image.target.to_string(),
                "why": places,
            })
        })
        .collect();
    json!({
        "name": chart.name,
        "version": chart.version,
        "why": chart.reason,
        "source": (chart.subject == Subject::Chart).then_some(&chart.source),
        "target": (chart.subject == Subject::Chart).then(|| chart.target.to_string()),
        "warnings": chart.warnings,
        "images": images,
    })
}
