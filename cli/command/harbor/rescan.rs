//! `harbor rescan`: has images scanned again, after Harbor's scanner got newer databases, and says what is blocked now.
//! Takes a Harbor and projects, gives the images whose verdict changed.

use std::time::Duration;

use bundle_format::Verdict;
use bundle_input::Span;
use bundle_oci::ProjectName;
use bundle_report::{RescanReport, RescannedEntry};
use bundle_site::{Limits, Rescan as Rescanned, RescanWay, RescannedImage, rescan};

use super::{Place, Projects};
use crate::destination::{found_in, verdict};
use crate::exit::{Code, Failure, Id};
use crate::output;
use crate::size::count;

#[derive(clap::Args)]
pub(crate) struct Rescan {
    #[command(flatten)]
    place: Place,

    #[command(flatten)]
    projects: Projects,

    /// Wait at most this long for the scans
    #[arg(long, value_name = "TIME", default_value = "1h")]
    wait: Span,
}

impl Rescan {
    pub(crate) async fn run(self) -> Result<(), Failure> {
        let settings = self.place.settings()?;
        let projects: Vec<ProjectName> = self.projects.names(&settings)?.into_iter().collect();
        let (harbor, progress) = self.place.connect("scanning").await?;
        let (Span(wait), jobs): (_, usize) = (self.wait, self.place.connection.jobs());
        let found =
            rescan(&harbor, &projects, wait.max(Duration::from_secs(1)), jobs, &Limits::DEFAULT).await;
        drop(progress);
        let found = found?;
        let report = self.reported(&found);
        output::report(&report)?;
        outcome(&report, &found)
    }

    fn reported(&self, found: &Rescanned) -> RescanReport {
        let is_blocked = |image: &&RescannedImage| image.after == Verdict::Blocked;
        let changed = found.images.iter().filter(|image| image.before != image.after && !image.unfinished);
        let still = found.images.iter().filter(is_blocked).filter(|image| image.before == image.after);
        let names = |projects: &[ProjectName]| projects.iter().map(ToString::to_string).collect();
        RescanReport {
            to: self.place.to.registry.to_string(),
            way: match found.way {
                RescanWay::All => "scan-all".to_owned(),
                RescanWay::Each => "images".to_owned(),
            },
            images: found.images.len(),
            blocked: found.images.iter().filter(is_blocked).count(),
            unfinished: found.images.iter().filter(|image| image.unfinished).count(),
            changed: changed.map(entry).collect(),
            still_blocked: still.map(entry).collect(),
            forbidden: names(&found.forbidden),
            exempted: names(&found.exempted),
        }
    }
}

fn entry(image: &RescannedImage) -> RescannedEntry {
    RescannedEntry {
        target: image.name(),
        digest: image.digest.to_string(),
        before: verdict(image.before).to_owned(),
        after: verdict(image.after).to_owned(),
        findings: image.summary.as_ref().map_or_else(|| "no finished scan".to_owned(), found_in),
    }
}

/// What is blocked now and was not before, is a failure; so is a scan that has not ended.
fn outcome(report: &RescanReport, found: &Rescanned) -> Result<(), Failure> {
    let newly =
        found.images.iter().filter(|it| it.after == Verdict::Blocked && it.before != Verdict::Blocked);
    let newly = newly.count();
    if newly > 0 {
        let text = format!("{} blocked now that was not before", count(newly, "image"));
        return Err(Failure::text(Id::ImagesBlocked, text).hint(
            "import an image with a fix, or have somebody answer for the vulnerabilities: exceptions in harbor.yaml",
        ));
    }
    if report.unfinished > 0 {
        let text = format!("{} whose scan has not ended", count(report.unfinished, "image"));
        return Err(Failure::text(Id::ScanMissing, text)
            .hint("wait longer with --wait TIME, or look at the scanner's log in Harbor"));
    }
    if !report.forbidden.is_empty() {
        let text = format!("{} not scanned", count(report.forbidden.len(), "project"));
        return Err(Failure::text(Code::Incomplete, text)
            .hint("use an account with scan:create in them, such as the importer's, or an administrator's"));
    }
    Ok(())
}
