//! The scan results of a bundle's images at a Harbor, and whether the images can be pulled. Takes images and
//! how long to wait, gives each one's verdict.

use std::collections::BTreeMap;
use std::time::{Duration, Instant};

use bundle_format::{Kind, Severity as ReceiptSeverity, Target, Verdict};
use bundle_harbor::{Account, Harbor, Policy, Prevention, Right, ScanState, Severity};
use bundle_importer::{
    Bundle, ImageScan, ImportPlan, PlatformScan, ScanPolicy, ScanReport, ScanSummary, Scanning, Unscanned,
};
use bundle_oci::{Digest, Manifest, Platform, ProjectName};
use bundle_registry::{Error, Name};
use futures_util::{StreamExt, TryStreamExt};

use crate::{Limits, LiveProject, ScannerState};

/// How long scans are waited for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ScanWait {
    /// Not at all: what is known now counts, and no scan is started.
    Look,
    /// At most this long; missing scans are started.
    Wait(Duration),
}

/// The receipt's word for a severity; it has none for none.
pub(crate) fn receipt_severity(severity: Severity) -> Option<ReceiptSeverity> {
    match severity {
        Severity::None => None,
        Severity::Unknown => Some(ReceiptSeverity::Unknown),
        Severity::Negligible | Severity::Low => Some(ReceiptSeverity::Low),
        Severity::Medium => Some(ReceiptSeverity::Medium),
        Severity::High => Some(ReceiptSeverity::High),
        Severity::Critical => Some(ReceiptSeverity::Critical),
    }
}

/// The findings, as the importer's type.
fn summary_of(summary: &bundle_harbor::ScanSummary) -> ScanSummary {
    let mut receipt_counts: BTreeMap<ReceiptSeverity, u64> = BTreeMap::new();
    for (name, count) in &summary.counts {
        let severity = receipt_severity(name.parse().unwrap_or(Severity::Unknown));
        if let Some(severity) = severity.filter(|_| *count > 0) {
            let sum = receipt_counts.entry(severity).or_default();
            *sum = sum.saturating_add(*count);
        }
    }
    ScanSummary {
        severity: receipt_severity(summary.severity),
        counts: summary.counts.iter().map(|(name, count)| (name.clone(), *count)).collect(),
        receipt_counts,
        fixable: summary.fixable,
    }
}

/// The verdict on a scan.
pub(crate) fn verdict(policy: Policy, summary: &bundle_harbor::ScanSummary) -> Verdict {
    let severity = summary.severity.code();
    let blocked = match policy.prevention {
        Prevention::Never => false,
        // A severity that Harbor does not know blocks any vulnerability.
        Prevention::From(from) if from.code() == 0 => summary.counts.values().any(|count| *count > 0),
        Prevention::From(from) => severity >= from.code(),
    };
    match blocked {
        true => Verdict::Blocked,
        false if severity >= Severity::Medium.code() => Verdict::Warned,
        false => Verdict::Allowed,
    }
}

/// Finds out which of a bundle's images can be pulled.
///
/// # Errors
/// Any [`Error`]. A scan that does not end is no error.
pub(crate) async fn scan_report(
    targets: &ScanTargets,
    harbor: &Harbor,
    account: &Account,
    wait: ScanWait,
    jobs: usize,
    limits: &Limits,
) -> Result<ScanReport, Error> {
    let deadline = match wait {
        ScanWait::Look => None,
        ScanWait::Wait(time) => Some(Instant::now() + time),
    };
    let images = &targets.0;
    let mut live: BTreeMap<&ProjectName, LiveProject> = BTreeMap::new();
    for image in images {
        let name = &image.target.project;
        if !live.contains_key(name) {
            live.insert(name, LiveProject::look(harbor, account, name).await?);
        }
    }
    let live = &live;
    let scans = images.iter().map(|image| async move {
        let project = &live[&image.target.project];
        let platforms = image.platforms.iter().map(|(platform, digest)| async move {
            let watch = Watch { harbor, project, target: &image.target, digest: *digest };
            let (summary, unscanned) = watch.result(deadline, limits).await?;
            let verdict = match &summary {
                Some(summary) => verdict(project.project.policy, summary),
                None => Verdict::Unscanned,
            };
            let platform = platform.clone();
            let summary = summary.as_ref().map(summary_of);
            Ok::<_, Error>(PlatformScan { platform, digest: *digest, verdict, summary, unscanned })
        });
        // Collected, for such closures cannot be held across an await that is sent to a thread.
        let platforms = platforms.collect::<Vec<_>>();
        futures_util::stream::iter(platforms).buffered(1).try_collect().await
    });
    let scans: Vec<Vec<PlatformScan>> =
        futures_util::stream::iter(scans.collect::<Vec<_>>()).buffered(jobs.max(1) * 4).try_collect().await?;
    let projects = live
        .iter()
        .map(|(name, live)| {
            let blocks_from = match live.project.policy.prevention {
                Prevention::Never => None,
                Prevention::From(severity) => Some(severity.to_string()),
            };
            let scanning = match &live.scanner {
                ScannerState::Scans(scanner) => Scanning::By(scanner.name.clone()),
                ScannerState::Absent => Scanning::Absent,
                ScannerState::Unknown => Scanning::Unknown,
            };
            let policy = ScanPolicy { blocks_from, scanning, exemptions: live.project.exemptions };
            ((*name).clone(), policy)
        })
        .collect();
    let images = images
        .iter()
        .zip(scans)
        .map(|(image, platforms)| ImageScan { target: image.target.clone(), platforms })
        .collect();
    Ok(ScanReport { images, projects })
}

/// The images of a bundle that will be in place.
#[derive(Clone, Debug, Default)]
pub(crate) struct ScanTargets(Vec<Image>);

#[derive(Clone, Debug)]
struct Image {
    target: Target,
    /// The manifests that Harbor judges.
    platforms: Vec<(Option<Platform>, Digest)>,
}

impl ScanTargets {
    /// The images that `plan` puts in place, or finds there.
    pub(crate) fn of(bundle: &Bundle, plan: &ImportPlan) -> Self {
        let mut images = Vec::new();
        for step in plan.steps.iter().filter(|step| step.decision.is_in_place()) {
            if step.kind != Kind::Image {
                continue;
            }
            let manifest = bundle.graph().manifests.get(&step.digest).map(|node| &node.manifest);
            let mut platforms: Vec<(Option<Platform>, Digest)> = match manifest {
                Some(Manifest::Index(index)) => index
                    .children
                    .iter()
                    .filter(|child| child.attests().is_none())
                    .map(|child| (child.platform.clone(), child.descriptor.digest))
                    .collect(),
                _ => Vec::new(),
            };
            if platforms.is_empty() {
                platforms.push((None, step.digest));
            }
            images.push(Image { target: step.target.clone(), platforms });
        }
        Self(images)
    }
}

/// One manifest whose scan is looked at until it has ended.
struct Watch<'a> {
    harbor: &'a Harbor,
    project: &'a LiveProject,
    target: &'a Target,
    digest: Digest,
}

impl Watch<'_> {
    async fn result(
        &self,
        deadline: Option<Instant>,
        limits: &Limits,
    ) -> Result<(Option<bundle_harbor::ScanSummary>, Option<Unscanned>), Error> {
        let Target { project, repository, .. } = self.target;
        let mut wait = limits.scan_wait;
        let mut started = false;
        loop {
            let found = match self.harbor.artifact(project, repository, &Name::Digest(self.digest)).await {
                Ok(found) => found,
                Err(error) if error.status() == Some(403) => return Ok((None, Some(Unscanned::Hidden))),
                Err(error) => return Err(error),
            };
            // It existed a moment ago; a removed artifact is not scanned.
            let Some(artifact) = found else { return Ok((None, Some(Unscanned::NotYet))) };
            let state = artifact.scan.as_ref().map(|scan| scan.state);
            match state {
                Some(ScanState::Done) => return Ok((artifact.scan, None)),
                None if self.project.scanner == ScannerState::Absent => {
                    return Ok((None, Some(Unscanned::NoScanner)));
                }
                None if !artifact.scannable => return Ok((None, Some(Unscanned::Unsuitable))),
                Some(ScanState::Failed) if started || deadline.is_none() => {
                    return Ok((None, Some(Unscanned::Failed)));
                }
                Some(ScanState::Failed | ScanState::Running) | None => {}
            }
            let Some(deadline) = deadline else { return Ok((None, Some(Unscanned::NotYet))) };
            let left = deadline.saturating_duration_since(Instant::now());
            if left.is_zero() {
                return Ok((None, Some(Unscanned::NotYet)));
            }
            if !started && state != Some(ScanState::Running) {
                self.start().await?;
                started = true;
            }
            tokio::time::sleep(wait.min(left)).await;
            wait = (wait * 2).min(limits.longest_scan_wait);
        }
    }

    /// Starts a scan, if this account may. Otherwise the project's own automatic scan is waited for.
    async fn start(&self) -> Result<(), Error> {
        if !self.project.rights.have(Right::new("scan", "create")) {
            return Ok(());
        }
        match self.harbor.start_scan(&self.target.project, &self.target.repository, self.digest).await {
            // A scan that cannot be started now is seen at the next poll.
            Ok(()) | Err(Error::Answer(_)) => Ok(()),
            Err(error) => Err(error),
        }
    }
}

#[cfg(test)]
mod tests {
    use bundle_harbor::{Access, ScanSummary};

    use super::{Policy, Prevention, ScanState, Severity, Verdict, verdict};

    fn summary(severity: Severity, counts: &[(&str, u64)]) -> ScanSummary {
        let counts = counts.iter().map(|(name, count)| ((*name).to_owned(), *count)).collect();
        ScanSummary { report: None, state: ScanState::Done, severity, counts, fixable: 0 }
    }

    #[test]
    fn a_policy_blocks_from_its_severity_on_and_medium_is_a_warning() {
        let judge = |prevention: &str, severity| {
            let prevention = prevention.parse().unwrap();
            let policy = Policy { access: Access::Private, auto_scan: true, prevention };
            verdict(policy, &summary(severity, &[("Low", 1)]))
        };
        for (prevention, severity, expected) in [
            ("high", Severity::Critical, Verdict::Blocked),
            ("high", Severity::High, Verdict::Blocked),
            ("high", Severity::Medium, Verdict::Warned),
            ("high", Severity::Low, Verdict::Allowed),
            ("high", Severity::None, Verdict::Allowed),
            ("critical", Severity::High, Verdict::Warned),
            ("low", Severity::Low, Verdict::Blocked),
            ("low", Severity::Negligible, Verdict::Allowed),
            ("never", Severity::Critical, Verdict::Warned),
        ] {
            assert_eq!(judge(prevention, severity), expected, "{prevention} {severity}");
        }
        let misspelt =
            Policy { access: Access::Private, auto_scan: true, prevention: Prevention::From(Severity::None) };
        assert_eq!(verdict(misspelt, &summary(Severity::Low, &[("Low", 1)])), Verdict::Blocked);
        assert_eq!(verdict(misspelt, &summary(Severity::None, &[])), Verdict::Allowed);
    }
}
