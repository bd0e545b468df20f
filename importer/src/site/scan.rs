//! What a Harbor's scanners say of a bundle's images, and whether these can be pulled.

use std::collections::BTreeMap;
use std::fmt;
use std::time::{Duration, Instant};

use bundle_format::{Kind, Scan, Severity as ReceiptSeverity, Target, Verdict};
use bundle_harbor::{Account, Harbor, Policy, Prevention, Right, ScanState, ScanSummary, Severity};
use bundle_oci::ProjectName;
use bundle_oci::{Digest, Manifest, Platform};
use bundle_registry::{Error, Name};
use futures_util::{StreamExt, TryStreamExt};

use crate::{Bundle, Decision, ImportPlan, Limits, LiveProject, ScannerState};

/// How long scans are waited for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ScanPatience {
    /// Not at all: what is known now counts, and no scan is started.
    Look,
    /// So long. Scans that nobody has started are.
    Wait(Duration),
}

/// What a Harbor's scanners say of a bundle's images.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct ScanReport {
    /// The images, in the order of the statement.
    pub images: Vec<ImageScan>,
    /// How each of their projects deals with vulnerable images.
    pub projects: BTreeMap<ProjectName, ScanPolicy>,
}

/// How a project deals with vulnerable images.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ScanPolicy {
    /// Which images may not be pulled.
    pub prevention: Prevention,
    /// Whether anything scans them; otherwise none is held back.
    pub scanner: ScannerState,
    /// Whether some vulnerabilities are exempted, so that an image may be pulled all the same.
    pub exemptions: bool,
}

/// What is known of one image.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ImageScan {
    /// The image's position in the statement.
    pub artifact: usize,
    /// Where it is.
    pub target: Target,
    /// What is known of it on each platform; Harbor judges each by itself. At least one.
    pub platforms: Vec<PlatformScan>,
}

/// What is known of an image on one platform.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PlatformScan {
    /// The platform, where an index names it.
    pub platform: Option<Platform>,
    /// The digest of the platform's manifest.
    pub digest: Digest,
    /// What its project's policy makes of it.
    pub verdict: Verdict,
    /// What was found, if a scan has ended.
    pub summary: Option<ScanSummary>,
    /// Why nothing was found out, if so.
    pub unscanned: Option<Unscanned>,
}

/// Why nothing is known of an image.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Unscanned {
    /// Its scan has not ended, or not begun.
    NotYet,
    /// Its scan failed.
    Failed,
    /// It is nothing that the scanner can scan.
    Unsuitable,
    /// Nothing scans its project.
    NoScanner,
    /// This account may not know.
    Hidden,
}

impl fmt::Display for Unscanned {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::NotYet => "its scan has not ended",
            Self::Failed => "its scan failed",
            Self::Unsuitable => "it cannot be scanned",
            Self::NoScanner => "nothing scans its project",
            Self::Hidden => "this account may not know",
        })
    }
}

impl ImageScan {
    /// The worst of what is known of it.
    pub fn worst(&self) -> Option<&PlatformScan> {
        self.platforms.iter().max_by_key(|scan| badness(scan))
    }

    /// What a receipt says of it.
    pub(crate) fn receipt(&self) -> Scan {
        let summary = self.worst().and_then(|scan| scan.summary.as_ref());
        let mut counts: BTreeMap<ReceiptSeverity, u64> = BTreeMap::new();
        for (name, count) in summary.iter().flat_map(|summary| &summary.counts) {
            let severity = receipt_severity(name.parse().unwrap_or(Severity::Unknown));
            if let Some(severity) = severity.filter(|_| *count > 0) {
                let sum = counts.entry(severity).or_default();
                *sum = sum.saturating_add(*count);
            }
        }
        let fixable = summary.map_or(0, |summary| summary.fixable);
        Scan { verdict: self.verdict(), counts, fixable }
    }

    /// What its project's policy makes of it, on its worst platform.
    pub fn verdict(&self) -> Verdict {
        self.worst().map_or(Verdict::Unscanned, |scan| scan.verdict)
    }
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

fn badness(scan: &PlatformScan) -> (u8, u8) {
    let verdict = match scan.verdict {
        Verdict::Allowed => 0,
        Verdict::Warned => 1,
        Verdict::Unscanned => 2,
        Verdict::Blocked => 3,
    };
    (verdict, scan.summary.as_ref().map_or(0, |summary| summary.severity.code()))
}

impl ScanReport {
    /// How many images have a verdict.
    pub fn count(&self, verdict: Verdict) -> usize {
        self.images.iter().filter(|image| image.verdict() == verdict).count()
    }

    /// The images whose scans were not waited for long enough, or failed.
    pub fn unfinished(&self) -> impl Iterator<Item = &ImageScan> {
        let open =
            |scan: &PlatformScan| matches!(scan.unscanned, Some(Unscanned::NotYet | Unscanned::Failed));
        self.images.iter().filter(move |image| image.platforms.iter().any(open))
    }
}

/// What to make of a scan.
fn verdict(policy: Policy, summary: &ScanSummary) -> Verdict {
    let severity = summary.severity.code();
    let blocked = match policy.prevention {
        Prevention::Never => false,
        // A severity that Harbor does not know holds back whatever has any vulnerability.
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
/// Any [`Error`]. That a scan does not end is none.
pub async fn scan_report(
    targets: ScanTargets,
    harbor: &Harbor,
    account: &Account,
    patience: ScanPatience,
    jobs: usize,
    limits: &Limits,
) -> Result<ScanReport, Error> {
    let deadline = match patience {
        ScanPatience::Look => None,
        ScanPatience::Wait(time) => Some(Instant::now() + time),
    };
    let images = targets.0;
    let mut live: BTreeMap<&ProjectName, LiveProject> = BTreeMap::new();
    for image in &images {
        let name = &image.target.project;
        if !live.contains_key(name) {
            live.insert(name, LiveProject::look(harbor, account, name).await?);
        }
    }
    let live = &live;
    let scans: Vec<Vec<PlatformScan>> = futures_util::stream::iter(&images)
        .map(|image| async move {
            let project = &live[&image.target.project];
            let platforms =
                futures_util::stream::iter(&image.platforms).map(|(platform, digest)| async move {
                    let watch = Watch { harbor, project, target: &image.target, digest: *digest };
                    let (summary, unscanned) = watch.result(deadline, limits).await?;
                    let verdict = match &summary {
                        Some(summary) => verdict(project.project.policy, summary),
                        None => Verdict::Unscanned,
                    };
                    let platform = platform.clone();
                    Ok::<_, Error>(PlatformScan { platform, digest: *digest, verdict, summary, unscanned })
                });
            platforms.buffered(1).try_collect().await
        })
        .buffered(jobs.max(1) * 4)
        .try_collect::<Vec<Vec<PlatformScan>>>()
        .await?;
    let projects = live
        .iter()
        .map(|(name, live)| {
            let (prevention, exemptions) = (live.project.policy.prevention, live.project.exemptions);
            ((*name).clone(), ScanPolicy { prevention, scanner: live.scanner.clone(), exemptions })
        })
        .collect();
    let images = images
        .into_iter()
        .zip(scans)
        .map(|(image, platforms)| ImageScan { artifact: image.artifact, target: image.target, platforms })
        .collect();
    Ok(ScanReport { images, projects })
}

/// The images of a bundle that will be in place.
#[derive(Clone, Debug)]
pub struct ScanTargets(Vec<Image>);

#[derive(Clone, Debug)]
struct Image {
    artifact: usize,
    target: Target,
    /// The manifests that Harbor judges.
    platforms: Vec<(Option<Platform>, Digest)>,
}

impl ScanTargets {
    /// The images that `plan` puts in place, or finds there.
    pub fn of(bundle: &Bundle, plan: &ImportPlan) -> Self {
        let mut images = Vec::new();
        for step in plan.steps.iter().filter(|step| !matches!(step.decision, Decision::Skip(_))) {
            let artifact = &bundle.statement().artifacts[step.artifact];
            if artifact.kind != Kind::Image {
                continue;
            }
            let manifest = bundle.graph().manifests.get(&artifact.digest).map(|node| &node.manifest);
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
                platforms.push((None, artifact.digest));
            }
            images.push(Image { artifact: step.artifact, target: artifact.target.clone(), platforms });
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
    ) -> Result<(Option<ScanSummary>, Option<Unscanned>), Error> {
        let Target { project, repository, .. } = self.target;
        let mut wait = limits.scan_wait;
        let mut started = false;
        loop {
            let found = match self.harbor.artifact(project, repository, &Name::Digest(self.digest)).await {
                Ok(found) => found,
                Err(error) if error.status() == Some(403) => return Ok((None, Some(Unscanned::Hidden))),
                Err(error) => return Err(error),
            };
            // It was there a moment ago; whoever removed it, it is not scanned.
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
            // What cannot be started now is told by the next look.
            Ok(()) | Err(Error::Answer(_)) => Ok(()),
            Err(error) => Err(error),
        }
    }
}

#[cfg(test)]
mod tests {
    use bundle_harbor::Access;

    use super::*;

    fn summary(severity: Severity, counts: &[(&str, u64)]) -> ScanSummary {
        let counts = counts.iter().map(|(name, count)| ((*name).to_owned(), *count)).collect();
        ScanSummary { state: ScanState::Done, severity, counts, fixable: 0 }
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

    #[test]
    fn an_image_is_as_bad_as_its_worst_platform() {
        let scan = |verdict| PlatformScan {
            platform: None,
            digest: Digest::of(b""),
            verdict,
            summary: None,
            unscanned: None,
        };
        let image = |verdicts: &[Verdict]| ImageScan {
            artifact: 0,
            target: Target { project: "a".parse().unwrap(), repository: "b".parse().unwrap(), tag: None },
            platforms: verdicts.iter().map(|verdict| scan(*verdict)).collect(),
        };
        use Verdict::{Allowed, Blocked, Unscanned, Warned};
        assert_eq!(image(&[Allowed, Blocked, Warned]).verdict(), Blocked);
        assert_eq!(image(&[Warned, Unscanned]).verdict(), Unscanned);
        assert_eq!(image(&[Allowed, Warned]).verdict(), Warned);
    }
}
