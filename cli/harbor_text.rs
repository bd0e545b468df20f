//! What people and machines read of a Harbor: plans, scans, what differs.

use std::collections::BTreeMap;

use bundle_format::{Artifact, ProjectPolicy, Scan, Verdict};
use bundle_harbor::{Account, Policy, Prevention, Severity, StorageLimit};
use bundle_importer::{
    Decision, HarborPlan, ImageScan, Note, Obstacle, ProjectChange, ProjectStep, ProjectStorage, ScanReport,
    ScannerState, Unscanned, Way,
};
use bundle_oci::Printable;
use bundle_oci::ProjectName;
use serde_json::{Value, json};

use crate::size::{Bytes, count};

/// How many blobs go which way, and how many bytes these have.
#[derive(Default)]
struct Ways {
    send: (usize, u64),
    mount: (usize, u64),
    there: (usize, u64),
}

impl Ways {
    fn of(plan: &HarborPlan) -> Self {
        let mut ways = Self::default();
        for step in &plan.import.blobs {
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
    }
}

/// Who the Harbor takes us for.
pub(crate) fn account(account: &Account) -> String {
    match account {
        Account::Administrator(name) => format!("{}, an administrator", Printable(name)),
        Account::User(name) => Printable(name).to_string(),
        Account::Robot => "a robot account".to_owned(),
        Account::Nobody => "nobody".to_owned(),
    }
}

/// The whole plan.
pub(crate) fn plan(plan: &HarborPlan, artifacts: &[Artifact], host: &str) -> String {
    let version = plan.survey.system.harbor_version.as_deref().unwrap_or("of unknown version");
    let mut text = format!("Harbor {} at {host}, as {}\n", Printable(version), account(&plan.survey.account));
    text.push_str("\nprojects\n");
    for step in &plan.seed.projects {
        text.push_str(&project(step));
    }
    text.push_str("\nartifacts\n");
    for step in &plan.import.steps {
        let artifact = &artifacts[step.artifact];
        text.push_str(&format!("  {:<8} {} {}\n", word(&step.decision), artifact.target, artifact.digest));
    }
    text.push_str(&format!("\nblobs\n  {}\n", blobs(plan)));
    if !plan.storage.is_empty() {
        text.push_str("\nstorage\n");
        for each in &plan.storage {
            text.push_str(&storage(each));
        }
    }
    for each in &plan.notes {
        text.push_str(&format!("\nnote: {}", note(each, plan)));
    }
    if !plan.notes.is_empty() {
        text.push('\n');
    }
    if !plan.obstacles.is_empty() {
        text.push_str("\nrefused\n");
        for obstacle in &plan.obstacles {
            text.push_str(&format!("  {}\n    {}\n", what_is_wrong(obstacle), advice(obstacle, host)));
        }
    }
    text
}

/// What becomes of the projects, and how much is moved.
pub(crate) fn short_plan(plan: &HarborPlan) -> String {
    let mut text = String::new();
    for step in plan.seed.projects.iter().filter(|step| step.change != ProjectChange::Keep) {
        text.push_str(&project(step));
    }
    for each in &plan.notes {
        text.push_str(&format!("  note: {}\n", note(each, plan)));
    }
    if plan.import.steps.iter().all(|step| step.decision == Decision::Present) {
        return text;
    }
    let mut decisions: BTreeMap<&str, usize> = BTreeMap::new();
    for step in &plan.import.steps {
        *decisions.entry(word(&step.decision)).or_default() += 1;
    }
    let artifacts: Vec<_> = ["push", "move", "present", "skip"]
        .into_iter()
        .filter_map(|word| Some(format!("{} {word}", decisions.get(word)?)))
        .collect();
    text.push_str(&format!("  artifacts: {}; blobs: {}\n", artifacts.join(", "), blobs(plan)));
    text
}

fn blobs(plan: &HarborPlan) -> String {
    let ways = Ways::of(plan);
    let part = |(number, bytes): (usize, u64), word: &str| format!("{number} {word} ({})", Bytes(bytes));
    [part(ways.send, "to send"), part(ways.mount, "to mount"), part(ways.there, "there already")].join(", ")
}

/// What becomes of a project.
pub(crate) fn project(step: &ProjectStep) -> String {
    let name = &step.name;
    match &step.change {
        ProjectChange::Create { policy: created, limit, immutable_tags } => {
            let mut words = vec![policy(created)];
            words.extend(limit.map(|limit| format!("quota {limit}")));
            words.extend(immutable_tags.iter().map(|pattern| format!("tags {} immutable", pattern.as_str())));
            format!("  create   {name}: {}\n", words.join(", "))
        }
        ProjectChange::Reconcile(differences) => {
            let lines = differences.iter().map(|difference| format!("  change   {name}: {difference}\n"));
            lines.collect()
        }
        ProjectChange::Leave(differences) => {
            let lines = differences.iter().map(|difference| format!("  leave    {name}: {difference}\n"));
            lines.collect()
        }
        ProjectChange::Keep => format!("  keep     {name}\n"),
    }
}

/// How a project is run.
pub(crate) fn policy(policy: &Policy) -> String {
    let scan = if policy.auto_scan { "automatic scan" } else { "no automatic scan" };
    format!("{}, {scan}, {}", policy.access, prevention(policy.prevention))
}

fn prevention(prevention: Prevention) -> String {
    match prevention {
        Prevention::Never => "pulls never prevented".to_owned(),
        Prevention::From(severity) => format!("pulls prevented from {severity} on"),
    }
}

fn storage(each: &ProjectStorage) -> String {
    let known = match each.storage {
        Some(storage) => match storage.limit {
            StorageLimit::Unlimited => format!("stores {}, no quota", Bytes(storage.used)),
            StorageLimit::Bytes(limit) => format!("stores {} of {}", Bytes(storage.used), Bytes(limit)),
        },
        None => "quota not known".to_owned(),
    };
    format!("  {}: {known}, gets at most {}\n", each.project, Bytes(each.adds))
}

fn note(note: &Note, plan: &HarborPlan) -> String {
    match note {
        Note::NoScanner { project } => {
            format!("nothing scans the project {project}, so no image is held back there")
        }
        Note::Exemptions { project } => {
            format!("in the project {project} some vulnerabilities are exempted from holding images back")
        }
        Note::MayExceed(storage) => {
            let known = plan.storage.iter().find(|known| known.project == storage.project);
            let bytes = known.map_or(storage.adds, |known| known.adds);
            format!("the quota of {} may end before {} are there", storage.project, Bytes(bytes))
        }
    }
}

/// An obstacle, with sizes for people.
pub(crate) fn what_is_wrong(obstacle: &Obstacle) -> String {
    match obstacle {
        Obstacle::Quota { project, limit, used, needed } => format!(
            "project {project} stores {} of {limit}, and the bundle may add {}",
            Bytes(*used),
            Bytes(*needed)
        ),
        other => other.to_string(),
    }
}

/// What to do about an obstacle.
pub(crate) fn advice(obstacle: &Obstacle, host: &str) -> String {
    match obstacle {
        Obstacle::Nobody => {
            "give an account with --credentials FILE, or in BUNDLE_USERNAME and BUNDLE_PASSWORD".to_owned()
        }
        Obstacle::NoAdministrator => {
            "give the account of an administrator, for this once, with --credentials FILE, or in BUNDLE_USERNAME and BUNDLE_PASSWORD".to_owned()
        }
        Obstacle::ReadOnly => {
            "wait for the backup or the like that it is for, or have an administrator end it (Configuration, System Settings)"
                .to_owned()
        }
        Obstacle::ProxyCache { project } => format!(
            "give the proxy cache another name; then an administrator makes a plain project: bundle harbor bootstrap --to {host} --project {project}"
        ),
        Obstacle::Hidden { project } | Obstacle::MayNotCreate { project } => bootstrap(host, project),
        Obstacle::MissingRights { project, rights } => {
            // Harbor's common/security/robot: only a robot of a single project may pull where it may push.
            let pull = rights.contains(&bundle_harbor::Right::new("repository", "pull"));
            let why = if pull { "a robot of the system that may push may not yet pull, which is needed too; " } else { "" };
            format!("{why}{}", bootstrap(host, project))
        }
        Obstacle::MayNotReconcile { project, .. } => format!(
            "have an administrator run: bundle harbor bootstrap --to {host} --project {project}; or keep it as it is with 'existingProjects: leave' in harbor.yaml"
        ),
        Obstacle::Quota { project, used, needed, .. } => format!(
            "raise the quota of {project} to {} or more, in Harbor or with 'quota' in harbor.yaml; or try it with --ignore-quota",
            Bytes(used.saturating_add(*needed))
        ),
        Obstacle::Immutable { .. } => {
            "give the image another tag on the connected side, or leave it out with --on-existing-tag skip".to_owned()
        }
        Obstacle::Conflict { .. } => {
            "move the tags with --on-existing-tag overwrite, or leave them with --on-existing-tag skip".to_owned()
        }
    }
}

fn bootstrap(host: &str, project: &ProjectName) -> String {
    format!("have an administrator run: bundle harbor bootstrap --to {host} --project {project}")
}

/// The plan for machines.
pub(crate) fn plan_json(plan: &HarborPlan, artifacts: &[Artifact], host: &str) -> Value {
    let ways = Ways::of(plan);
    let way = |(number, bytes): (usize, u64)| json!({"count": number, "bytes": bytes});
    let projects: Vec<Value> = plan.seed.projects.iter().map(project_json).collect();
    let steps: Vec<Value> = plan
        .import
        .steps
        .iter()
        .map(|step| {
            let artifact = &artifacts[step.artifact];
            json!({"decision": word(&step.decision), "target": artifact.target.to_string(), "digest": artifact.digest})
        })
        .collect();
    let storage: Vec<Value> = plan
        .storage
        .iter()
        .map(|each| {
            let limit = each.storage.and_then(|storage| match storage.limit {
                StorageLimit::Unlimited => None,
                StorageLimit::Bytes(bytes) => Some(bytes),
            });
            json!({
                "project": each.project,
                "adds": each.adds,
                "used": each.storage.map(|storage| storage.used),
                "limit": limit,
                "known": each.storage.is_some(),
            })
        })
        .collect();
    let refused: Vec<Value> = plan
        .obstacles
        .iter()
        .map(|obstacle| {
            json!({
                "what": obstacle.name(),
                "message": what_is_wrong(obstacle),
                "advice": advice(obstacle, host),
            })
        })
        .collect();
    json!({
        "to": host,
        "harbor": plan.survey.system.harbor_version,
        "projects": projects,
        "steps": steps,
        "blobs": {"send": way(ways.send), "mount": way(ways.mount), "there": way(ways.there)},
        "storage": storage,
        "notes": plan.notes.iter().map(|each| note(each, plan)).collect::<Vec<_>>(),
        "refused": refused,
    })
}

fn project_json(step: &ProjectStep) -> Value {
    let (change, differences) = match &step.change {
        ProjectChange::Create { .. } => ("create", &[] as &[_]),
        ProjectChange::Reconcile(differences) => ("change", differences.as_slice()),
        ProjectChange::Leave(differences) => ("leave", differences.as_slice()),
        ProjectChange::Keep => ("keep", &[] as &[_]),
    };
    let differences: Vec<String> = differences.iter().map(ToString::to_string).collect();
    let mut value = json!({"project": step.name, "change": change, "differences": differences});
    if let ProjectChange::Create { policy: created, limit, .. } = &step.change {
        value["policy"] = json!(policy(created));
        value["quota"] = json!(limit.map(|limit| limit.to_string()));
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
    let severities = [Severity::Critical, Severity::High, Severity::Medium, Severity::Low];
    let counts: Vec<String> = severities
        .into_iter()
        .filter_map(|severity| match summary.count(severity) {
            0 => None,
            count => Some(format!("{count} {severity}")),
        })
        .collect();
    if counts.is_empty() {
        return "nothing of weight was found".to_owned();
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
        match (&policy.scanner, policy.prevention) {
            (ScannerState::Absent, Prevention::From(severity)) => text.push_str(&format!(
                "nothing scans the project {project}: that pulls are prevented from {severity} on has no effect\n"
            )),
            (ScannerState::Absent, Prevention::Never) => {
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
            let scanned = match &policy.scanner {
                ScannerState::Scans(scanner) => json!(scanner.name),
                ScannerState::Absent | ScannerState::Unknown => Value::Null,
            };
            (
                project.as_str(),
                json!({"prevention": policy.prevention.to_string(), "scanner": scanned, "exemptions": policy.exemptions}),
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
