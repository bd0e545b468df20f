//! What people and machines read of a Harbor: plans, scans, what differs.

use std::collections::BTreeMap;

use bundle_format::{ProjectPolicy, Scan, Verdict};
use bundle_harbor::StorageLimit;
use bundle_importer::{
    Change, Decision, Finding, ImageScan, ImportPlan, Note, Outlook, ProjectOutlook, ProjectStorage,
    ScanReport, Scanning, Step, Unscanned, Way,
};
use bundle_oci::Printable;
use serde_json::{Value, json};

use crate::exit::advice;
use crate::size::{Bytes, count};

/// How many blobs go which way, and how many bytes these have.
#[derive(Default)]
struct Ways {
    send: (usize, u64),
    mount: (usize, u64),
    there: (usize, u64),
}

impl Ways {
    fn of(plan: &ImportPlan) -> Self {
        let mut ways = Self::default();
        for step in &plan.blobs {
            for (_, way) in step.ways() {
                let (number, bytes) = match way {
                    Way::Send => &mut ways.send,
                    Way::Mount => &mut ways.mount,
                    Way::There => &mut ways.there,
                };
                *number += 1;
                *bytes += step.blob.size;
            }
        }
        ways
    }
}

/// The word for what becomes of an artifact.
pub(crate) fn word(decision: &Decision) -> &'static str {
    match decision {
        Decision::Present => "present",
        Decision::Push => "push",
        Decision::Move(_) => "move",
        Decision::Skip(_) => "skip",
        Decision::Omit => "omit",
    }
}

/// The whole plan.
pub(crate) fn plan(outlook: &Outlook, import: &ImportPlan, findings: &[Finding], host: &str) -> String {
    let version = outlook.version.as_deref().unwrap_or("of unknown version");
    let mut text = format!("{} {} at {host}, as {}\n", outlook.product, Printable(version), outlook.account);
    text.push_str("\nprojects\n");
    for step in &outlook.projects {
        text.push_str(&project(step));
    }
    text.push_str("\nartifacts\n");
    for step in &import.steps {
        text.push_str(&format!("  {:<8} {} {}\n", word(&step.decision), step.target, step.digest));
    }
    text.push_str(&format!("\nblobs\n  {}\n", blobs(import)));
    if !outlook.storage.is_empty() {
        text.push_str("\nstorage\n");
        for each in &outlook.storage {
            text.push_str(&storage(each));
        }
    }
    for each in &outlook.notes {
        text.push_str(&format!("\nnote: {}", note(each)));
    }
    if !outlook.notes.is_empty() {
        text.push('\n');
    }
    if !findings.is_empty() {
        text.push_str("\nrefused\n");
        for finding in findings {
            text.push_str(&format!("  {}\n    {}\n", what_is_wrong(finding), advice(finding, host)));
        }
    }
    text
}

/// What becomes of the projects, and how much is moved.
pub(crate) fn short_plan(outlook: &Outlook, import: &ImportPlan) -> String {
    let mut text = String::new();
    for step in outlook.projects.iter().filter(|step| step.change != Change::Keep) {
        text.push_str(&project(step));
    }
    for each in &outlook.notes {
        text.push_str(&format!("  note: {}\n", note(each)));
    }
    if import.steps.iter().all(|step| step.decision == Decision::Present) {
        return text;
    }
    let mut decisions: BTreeMap<&str, usize> = BTreeMap::new();
    for step in &import.steps {
        *decisions.entry(word(&step.decision)).or_default() += 1;
    }
    let artifacts: Vec<_> = ["push", "move", "present", "skip", "omit"]
        .into_iter()
        .filter_map(|word| Some(format!("{} {word}", decisions.get(word)?)))
        .collect();
    text.push_str(&format!("  artifacts: {}; blobs: {}\n", artifacts.join(", "), blobs(import)));
    text
}

fn blobs(plan: &ImportPlan) -> String {
    let ways = Ways::of(plan);
    let part = |(number, bytes): (usize, u64), word: &str| format!("{number} {word} ({})", Bytes(bytes));
    [part(ways.send, "to send"), part(ways.mount, "to mount"), part(ways.there, "there already")].join(", ")
}

/// What becomes of a project.
pub(crate) fn project(step: &ProjectOutlook) -> String {
    let name = &step.name;
    let lines = |word: &str, points: &[String]| -> String {
        points.iter().map(|point| format!("  {word:<8} {name}: {point}\n")).collect()
    };
    match &step.change {
        Change::Create { policy, quota, immutable_tags } => {
            let mut words = vec![policy.clone()];
            words.extend(quota.iter().map(|quota| format!("quota {quota}")));
            words.extend(immutable_tags.iter().map(|pattern| format!("tags {pattern} immutable")));
            lines("create", &[words.join(", ")])
        }
        Change::Reconcile(differences) => lines("change", differences),
        Change::Leave(differences) => lines("leave", differences),
        Change::Keep => format!("  keep     {name}\n"),
    }
}

fn storage(each: &ProjectStorage) -> String {
    let known = match (each.used, each.limit) {
        (Some(used), None) => format!("stores {}, no quota", Bytes(used)),
        (Some(used), Some(limit)) => format!("stores {} of {}", Bytes(used), Bytes(limit)),
        (None, _) => "quota not known".to_owned(),
    };
    format!("  {}: {known}, gets at most {}\n", each.project, Bytes(each.adds))
}

fn note(note: &Note) -> String {
    match note {
        Note::MayExceed(storage) => {
            format!("the quota of {} may end before {} are there", storage.project, Bytes(storage.adds))
        }
        Note::NoScanner(_) | Note::Exemptions(_) => note.to_string(),
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

/// One artifact and what becomes of it, for machines.
pub(crate) fn step_json(step: &Step) -> Value {
    json!({"decision": word(&step.decision), "target": step.target.to_string(), "digest": step.digest})
}

/// The plan for machines.
pub(crate) fn plan_json(outlook: &Outlook, import: &ImportPlan, findings: &[Finding], host: &str) -> Value {
    let ways = Ways::of(import);
    let way = |(number, bytes): (usize, u64)| json!({"count": number, "bytes": bytes});
    let storage: Vec<Value> = outlook
        .storage
        .iter()
        .map(|each| {
            json!({
                "project": each.project,
                "adds": each.adds,
                "used": each.used,
                "limit": each.limit,
                "known": each.used.is_some(),
            })
        })
        .collect();
    json!({
        "to": host,
        "harbor": outlook.version,
        "projects": outlook.projects.iter().map(project_json).collect::<Vec<_>>(),
        "steps": import.steps.iter().map(step_json).collect::<Vec<_>>(),
        "blobs": {"send": way(ways.send), "mount": way(ways.mount), "there": way(ways.there)},
        "storage": storage,
        "notes": outlook.notes.iter().map(note).collect::<Vec<_>>(),
        "refused": findings.iter().map(|finding| finding_json(finding, host)).collect::<Vec<_>>(),
    })
}

/// A failed preflight check for machines.
pub(crate) fn finding_json(finding: &Finding, host: &str) -> Value {
    json!({"what": finding.name(), "message": what_is_wrong(finding), "advice": advice(finding, host)})
}

fn project_json(step: &ProjectOutlook) -> Value {
    let (change, differences) = match &step.change {
        Change::Create { .. } => ("create", &[] as &[_]),
        Change::Reconcile(differences) => ("change", differences.as_slice()),
        Change::Leave(differences) => ("leave", differences.as_slice()),
        Change::Keep => ("keep", &[] as &[_]),
    };
    let mut value = json!({"project": step.name, "change": change, "differences": differences});
    if let Change::Create { policy, quota, .. } = &step.change {
        value["policy"] = json!(policy);
        value["quota"] = json!(quota);
    }
    value
}

/// The word for a verdict.
fn verdict(verdict: Verdict) -> &'static str {
    match verdict {
        Verdict::Allowed => "allowed",
        Verdict::Warned => "warned",
        Verdict::Blocked => "blocked",
        Verdict::Unscanned => "unscanned",
    }
}

/// What was found in an image: `1 critical, 3 high, 2 medium (2 fixable)`.
fn findings(image: &ImageScan) -> String {
    let Some(worst) = image.worst() else { return String::new() };
    let Some(summary) = &worst.summary else {
        let why = worst.unscanned.unwrap_or(Unscanned::NotYet);
        return why.to_string();
    };
    let severities = ["critical", "high", "medium", "low"];
    let counts: Vec<String> = severities
        .into_iter()
        .filter_map(|severity| match summary.count(severity) {
            0 => None,
            count => Some(format!("{count} {severity}")),
        })
        .collect();
    if counts.is_empty() {
        return "no findings of medium severity or above".to_owned();
    }
    let mut text = format!("{} ({} fixable)", counts.join(", "), summary.fixable);
    let same = image.platforms.iter().all(|scan| scan.verdict == worst.verdict);
    if let Some(platform) = worst.platform.as_ref().filter(|_| !same) {
        text.push_str(&format!(" on {platform}"));
    }
    text
}

/// What the scanners say, image by image, the worst first.
pub(crate) fn scans(report: &ScanReport) -> String {
    let mut text = String::new();
    for wanted in [Verdict::Blocked, Verdict::Unscanned, Verdict::Warned, Verdict::Allowed] {
        for image in report.images.iter().filter(|image| image.verdict() == wanted) {
            text.push_str(&format!("{:<9} {}: {}\n", verdict(wanted), image.target, findings(image)));
        }
    }
    for (project, policy) in &report.projects {
        match (&policy.scanning, &policy.blocks_from) {
            (Scanning::Absent, Some(severity)) => text.push_str(&format!(
                "nothing scans the project {project}: that pulls are prevented from {severity} on has no effect\n"
            )),
            (Scanning::Absent, None) => {
                text.push_str(&format!("nothing scans the project {project}\n"));
            }
            _ if policy.exemptions => text.push_str(&format!(
                "in the project {project} some vulnerabilities are exempted, so that what is blocked here may be pulled all the same\n"
            )),
            _ => {}
        }
    }
    let number = |wanted| report.count(wanted);
    text.push_str(&format!(
        "{}: {} blocked, {} warned, {} allowed, {} unscanned\n",
        count(report.images.len(), "image"),
        number(Verdict::Blocked),
        number(Verdict::Warned),
        number(Verdict::Allowed),
        number(Verdict::Unscanned)
    ));
    text
}

/// What the scanners say, for machines.
pub(crate) fn scans_json(report: &ScanReport) -> Value {
    let images: Vec<Value> = report
        .images
        .iter()
        .map(|image| {
            let summary = image.worst().and_then(|worst| worst.summary.as_ref());
            json!({
                "target": image.target.to_string(),
                "verdict": verdict(image.verdict()),
                "counts": summary.map(|summary| &summary.counts),
                "fixable": summary.map(|summary| summary.fixable),
                "why": image.worst().and_then(|worst| worst.unscanned).map(|why| why.to_string()),
            })
        })
        .collect();
    let projects: BTreeMap<&str, Value> = report
        .projects
        .iter()
        .map(|(project, policy)| {
            let scanner = match &policy.scanning {
                Scanning::By(scanner) => json!(scanner),
                Scanning::Absent | Scanning::Unknown => Value::Null,
            };
            let prevention = policy.blocks_from.as_deref().unwrap_or("never");
            (
                project.as_str(),
                json!({"prevention": prevention, "scanner": scanner, "exemptions": policy.exemptions}),
            )
        })
        .collect();
    json!({"images": images, "projects": projects})
}

/// What a receipt says of a scan.
pub(crate) fn scan(scan: &Scan) -> String {
    let counts: Vec<String> =
        scan.counts.iter().rev().map(|(severity, count)| format!("{count} {}", severity.as_str())).collect();
    match counts.is_empty() {
        true => verdict(scan.verdict).to_owned(),
        false => format!("{}: {} ({} fixable)", verdict(scan.verdict), counts.join(", "), scan.fixable),
    }
}

/// What a receipt says of how a project was left.
pub(crate) fn receipt_policy(policy: &ProjectPolicy) -> String {
    let mut words = vec![
        if policy.public { "public" } else { "private" }.to_owned(),
        if policy.scan_on_push { "automatic scan" } else { "no automatic scan" }.to_owned(),
        match policy.blocked_from {
            Some(severity) => format!("pulls prevented from {} on", severity.as_str()),
            None => "pulls never prevented".to_owned(),
        },
    ];
    words.extend(policy.quota.map(|bytes| format!("quota {}", Bytes(bytes))));
    words
        .extend(policy.immutable_tags.iter().map(|pattern| format!("tags {} immutable", Printable(pattern))));
    words.join(", ")
}
