//! Reports of a destination before and after an import. Takes the importer's values, gives the models of
//! `bundle_report`; words and sizes for people are made here.

use bundle_format::Verdict;
use bundle_harbor::StorageLimit;
use bundle_importer::{
    Change, Decision, Finding, ImageScan, ImportPlan, Note, Outlook, ProjectOutlook, ProjectStorage,
    ScanReport, Scanning, Step, Unscanned, Way,
};
use bundle_report::{
    BlobCounts, BlobWays, FindingEntry, ImportStep, OutlookReport, ProjectScans, ProjectStep, ScanEntry,
    ScansReport, StorageEntry,
};

use crate::exit::advice;
use crate::size::Bytes;

/// The plan of an import into a destination that describes itself.
pub(crate) fn outlook(
    outlook: &Outlook,
    import: &ImportPlan,
    findings: &[Finding],
    host: &str,
) -> OutlookReport {
    OutlookReport {
        to: host.to_owned(),
        product: outlook.product.to_owned(),
        harbor: outlook.version.clone(),
        account: outlook.account.clone(),
        projects: outlook.projects.iter().map(project).collect(),
        steps: import.steps.iter().map(step).collect(),
        blobs: ways(import),
        storage: outlook.storage.iter().map(storage).collect(),
        notes: outlook.notes.iter().map(note).collect(),
        refused: findings.iter().map(|found| finding(found, host)).collect(),
    }
}

/// The step for an artifact.
pub(crate) fn step(step: &Step) -> ImportStep {
    let decision = match step.decision {
        Decision::Present => "present",
        Decision::Push => "push",
        Decision::Move(_) => "move",
        Decision::Skip(_) => "skip",
        Decision::Omit => "omit",
    };
    ImportStep {
        decision: decision.to_owned(),
        target: step.target.to_string(),
        digest: step.digest.to_string(),
    }
}

fn ways(plan: &ImportPlan) -> BlobWays {
    let mut ways = BlobWays::default();
    for step in &plan.blobs {
        for (_, way) in step.ways() {
            let BlobCounts { count, bytes } = match way {
                Way::Send => &mut ways.send,
                Way::Mount => &mut ways.mount,
                Way::There => &mut ways.there,
            };
            *count += 1;
            *bytes += step.blob.size;
        }
    }
    ways
}

/// The step for a project.
pub(crate) fn project(step: &ProjectOutlook) -> ProjectStep {
    let reported = |change: &str, differences: &[String]| ProjectStep {
        project: step.name.to_string(),
        change: change.to_owned(),
        differences: differences.to_vec(),
        policy: None,
        quota: None,
        immutable_tags: Vec::new(),
    };
    match &step.change {
        Change::Create { policy, quota, immutable_tags, more } => ProjectStep {
            policy: Some(policy.clone()),
            quota: quota.clone(),
            immutable_tags: immutable_tags.clone(),
            ..reported("create", more)
        },
        Change::Reconcile(differences) => reported("change", differences),
        Change::Leave(differences) => reported("leave", differences),
        Change::Keep => reported("keep", &[]),
    }
}

fn storage(each: &ProjectStorage) -> StorageEntry {
    StorageEntry {
        project: each.project.to_string(),
        adds: each.adds,
        used: each.used,
        limit: each.limit,
        known: each.used.is_some(),
    }
}

fn note(note: &Note) -> String {
    match note {
        Note::MayExceed(storage) => {
            format!("the quota of {} may end before {} are there", storage.project, Bytes(storage.adds))
        }
        Note::NoScanner(_)
        | Note::Exemptions(_)
        | Note::ExceptionExpired { .. }
        | Note::Retention { .. }
        | Note::Unlabelled { .. } => note.to_string(),
    }
}

/// A preflight check that failed.
pub(crate) fn finding(finding: &Finding, host: &str) -> FindingEntry {
    FindingEntry {
        what: finding.name().to_owned(),
        message: what_is_wrong(finding),
        advice: advice(finding, host),
        project: finding.project().map(ToString::to_string),
    }
}

/// A finding, with sizes for people.
pub(crate) fn what_is_wrong(finding: &Finding) -> String {
    match finding {
        Finding::Quota { project, limit, used, needed } => format!(
            "project {project} stores {} of {}, and the bundle may add {}",
            Bytes(*used),
            StorageLimit::Bytes(*limit),
            Bytes(*needed)
        ),
        other => other.to_string(),
    }
}

/// The scan results at the destination.
pub(crate) fn scans(report: &ScanReport) -> ScansReport {
    let policies = report.projects.iter().map(|(project, policy)| {
        let scanner = match &policy.scanning {
            Scanning::By(scanner) => Some(scanner.clone()),
            Scanning::Absent | Scanning::Unknown => None,
        };
        let policy = ProjectScans {
            prevention: policy.blocks_from.as_deref().unwrap_or("never").to_owned(),
            scanner,
            exemptions: policy.exemptions,
            unscanned: policy.scanning == Scanning::Absent,
        };
        (project.to_string(), policy)
    });
    ScansReport { projects: policies.collect(), images: report.images.iter().map(scan).collect() }
}

fn scan(image: &ImageScan) -> ScanEntry {
    let worst = image.worst();
    let summary = worst.and_then(|worst| worst.summary.as_ref());
    let same = |verdict| image.platforms.iter().all(|scan| scan.verdict == verdict);
    let differs = worst.filter(|worst| !same(worst.verdict));
    ScanEntry {
        target: image.target.to_string(),
        verdict: verdict(image.verdict()).to_owned(),
        counts: summary.map(|summary| summary.counts.clone()),
        fixable: summary.map(|summary| summary.fixable),
        why: worst.and_then(|worst| worst.unscanned).map(|why| why.to_string()),
        platform: differs.and_then(|worst| worst.platform.as_ref()).map(ToString::to_string),
        findings: found(image),
    }
}

pub(crate) fn verdict(verdict: Verdict) -> &'static str {
    match verdict {
        Verdict::Allowed => "allowed",
        Verdict::Warned => "warned",
        Verdict::Blocked => "blocked",
        Verdict::Unscanned => "unscanned",
    }
}

/// The findings of an image: `1 critical, 3 high, 2 medium (2 fixable)`.
fn found(image: &ImageScan) -> String {
    let Some(worst) = image.worst() else { return String::new() };
    let Some(summary) = &worst.summary else {
        let why = worst.unscanned.unwrap_or(Unscanned::NotYet);
        return why.to_string();
    };
    let Some(mut text) = counted(|severity| summary.count(severity), summary.fixable) else {
        return NOTHING.to_owned();
    };
    let same = image.platforms.iter().all(|scan| scan.verdict == worst.verdict);
    if let Some(platform) = worst.platform.as_ref().filter(|_| !same) {
        text.push_str(&format!(" on {platform}"));
    }
    text
}

const NOTHING: &str = "no findings of medium or above";

/// The findings of one manifest, in Harbor's own numbers.
pub(crate) fn found_in(summary: &bundle_harbor::ScanSummary) -> String {
    let count = |severity: &str| severity.parse().map_or(0, |severity| summary.count(severity));
    counted(count, summary.fixable).unwrap_or_else(|| NOTHING.to_owned())
}

/// `1 critical, 3 high (2 fixable)`; none if there is nothing of these severities.
fn counted(count: impl Fn(&str) -> u64, fixable: u64) -> Option<String> {
    let counts =
        ["critical", "high", "medium", "low"].into_iter().filter_map(|severity| match count(severity) {
            0 => None,
            count => Some(format!("{count} {severity}")),
        });
    let counts: Vec<String> = counts.collect();
    (!counts.is_empty()).then(|| format!("{} ({fixable} fixable)", counts.join(", ")))
}
