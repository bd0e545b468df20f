//! The reports of `harbor check`, `diff`, `bootstrap`, `rescan` and `rotate`. Takes findings, steps and differences as
//! facts, gives models.

use bundle_oci::Printable;
use schemars::JsonSchema;
use serde::Serialize;

use crate::{BundleEntry, Report, count};

/// A preflight check that failed.
#[derive(Clone, Debug, Serialize, JsonSchema)]
pub struct FindingEntry {
    /// The stable name of the check.
    pub what: String,
    /// The cause.
    pub message: String,
    /// The remedy.
    pub advice: String,
    /// The project that it is about. Absent if it is about the whole registry.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub project: Option<String>,
}

/// The step for a project.
#[derive(Clone, Debug, Serialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct ProjectStep {
    /// The project.
    pub project: String,
    /// create, change, leave or keep.
    pub change: String,
    /// Its differences from the wanted settings; of a project that is made, its exceptions and retention rules.
    pub differences: Vec<String>,
    /// How a project that is made is run. Absent for one that exists.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub policy: Option<String>,
    /// The quota of a project that is made. Absent for one that exists.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub quota: Option<String>,
    /// The patterns of immutable tags of a project that is made.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub immutable_tags: Vec<String>,
}

impl ProjectStep {
    /// One line for each point.
    pub fn text(&self) -> String {
        let Self { project, change, .. } = self;
        let points = match (change.as_str(), &self.policy) {
            ("create", Some(policy)) => {
                let mut words = vec![policy.clone()];
                words.extend(self.quota.iter().map(|quota| format!("quota {quota}")));
                words.extend(self.immutable_tags.iter().map(|pattern| format!("tags {pattern} immutable")));
                [vec![words.join(", ")], self.differences.clone()].concat()
            }
            ("keep", _) => return format!("  keep     {project}\n"),
            _ => self.differences.clone(),
        };
        points.iter().map(|point| format!("  {change:<8} {project}: {point}\n")).collect()
    }
}

/// `harbor check`: whether an account may do all that an import needs.
#[derive(Clone, Debug, Serialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct CheckReport {
    /// The registry.
    pub to: String,
    /// The version of Harbor; null if it does not say.
    pub harbor: Option<String>,
    /// The account, in words.
    pub account: String,
    /// Whether the account may create projects.
    pub may_create_projects: bool,
    /// The projects.
    pub projects: Vec<ProjectCheck>,
    /// The preflight checks that failed.
    pub refused: Vec<FindingEntry>,
}

/// A project, as the account sees it.
#[derive(Clone, Debug, Serialize, JsonSchema)]
pub struct ProjectCheck {
    /// The project.
    pub project: String,
    /// there, missing or hidden.
    pub state: String,
    /// The rights that an import needs and the account lacks.
    pub missing: Vec<String>,
    /// The project's policy, in words. Absent if the project does not exist.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub policy: Option<String>,
    /// Its scanner, in words. Absent if the project does not exist.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub scanner: Option<String>,
    /// Rights that are useful and the account lacks, with what they are good for.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub without: Vec<String>,
}

impl Report for CheckReport {
    fn text(&self) -> String {
        let version = self.harbor.as_deref().unwrap_or("of unknown version");
        let mut text = format!("Harbor {} at {}, as {}\n", Printable(version), self.to, self.account);
        for FindingEntry { message, advice, .. } in
            self.refused.iter().filter(|finding| finding.project.is_none())
        {
            text.push_str(&format!("  no   {message}\n       {advice}\n"));
        }
        for each in &self.projects {
            let wrong =
                || self.refused.iter().filter(|finding| finding.project.as_ref() == Some(&each.project));
            let verdict = if wrong().next().is_none() { "ok" } else { "no" };
            text.push_str(&format!("  {verdict:<4} {}", each.project));
            if let (Some(policy), Some(scanner)) = (&each.policy, &each.scanner) {
                text.push_str(&format!(": {policy}, {scanner}"));
            }
            text.push('\n');
            for FindingEntry { message, advice, .. } in wrong() {
                text.push_str(&format!("       {message}\n         {advice}\n"));
            }
            for without in &each.without {
                text.push_str(&format!("       without {without}\n"));
            }
        }
        text
    }
}

/// `harbor diff`: how a Harbor differs from a receipt.
#[derive(Clone, Debug, Serialize, JsonSchema)]
pub struct DriftReport {
    /// The bundle of the newest receipt.
    pub bundle: BundleEntry,
    /// When that receipt says that it was imported.
    pub imported: String,
    /// Whether the receipts' signatures were checked.
    pub verified: bool,
    /// The number of receipts that were read.
    pub receipts: usize,
    /// The number of artifacts that the receipts name, each tag once.
    pub artifacts: usize,
    /// The number of projects that the receipts name.
    pub projects: usize,
    /// The differences.
    pub drift: Vec<DriftEntry>,
}

/// One difference.
#[derive(Clone, Debug, Serialize, JsonSchema)]
pub struct DriftEntry {
    /// The stable name of the kind of difference.
    pub what: String,
    /// The difference, in words.
    pub message: String,
}

impl Report for DriftReport {
    fn text(&self) -> String {
        let mut text = match self.receipts {
            0 | 1 => String::new(),
            several => format!("{several} receipts; the newest is of "),
        };
        text.push_str(&format!("bundle {}, imported {}\n", self.bundle, self.imported));
        self.drift.iter().for_each(|each| text.push_str(&format!("{}\n", each.message)));
        if self.drift.is_empty() {
            text.push_str(&format!(
                "{} and {} are as the receipt{}\n",
                count(self.artifacts, "artifact"),
                count(self.projects, "project"),
                if self.receipts > 1 { "s say" } else { " says" }
            ));
        }
        text
    }
}

/// `harbor bootstrap`: the projects, accounts and secrets that were made.
#[derive(Clone, Debug, Serialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct BootstrapReport {
    /// The steps for the projects.
    pub projects: Vec<ProjectStep>,
    /// The change of the system's exceptions. Absent where nothing differs, or nobody chose them.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub system_exceptions: Option<String>,
    /// The steps for the robot accounts.
    pub robots: Vec<RobotStep>,
    /// Where secrets went. Empty with --dry-run.
    pub secrets: Vec<SecretStep>,
    /// Whether anything was written; false with --dry-run.
    pub written: bool,
}

/// The step for a robot account.
#[derive(Clone, Debug, Serialize, JsonSchema)]
pub struct RobotStep {
    /// The account's name.
    pub name: String,
    /// create, change or keep.
    pub change: String,
    /// Its purpose, and remarks.
    pub purpose: String,
}

/// Where a secret went.
#[derive(Clone, Debug, Serialize, JsonSchema)]
pub struct SecretStep {
    /// The file. Absent if it was applied to a cluster.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub file: Option<String>,
    /// The namespaces that it was applied in.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub namespaces: Vec<String>,
    /// The secrets' names there, in the same order.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub names: Vec<String>,
}

impl SecretStep {
    /// One line.
    pub fn text(&self) -> String {
        match &self.file {
            Some(file) => format!("  wrote    {file}\n"),
            None => {
                let places = self.names.iter().zip(&self.namespaces);
                let places: Vec<_> =
                    places.map(|(name, namespace)| format!("{name} in {namespace}")).collect();
                format!("  applied  the secret {}\n", places.join(", "))
            }
        }
    }
}

impl BootstrapReport {
    /// The steps for projects and accounts, printed before they are executed.
    pub fn plan_text(&self) -> String {
        let mut text = "projects\n".to_owned();
        self.projects.iter().for_each(|step| text.push_str(&step.text()));
        if let Some(change) = &self.system_exceptions {
            text.push_str(&format!("system\n  change   {change}\n"));
        }
        text.push_str("robot accounts\n");
        for RobotStep { name, change, purpose } in &self.robots {
            text.push_str(&format!("  {change:<8} {}: {purpose}\n", Printable(name)));
        }
        text
    }
}

impl Report for BootstrapReport {
    fn text(&self) -> String {
        let mut text = self.plan_text();
        if !self.written {
            text.push_str("nothing was written\n");
        }
        if !self.secrets.is_empty() {
            text.push_str("secrets, which Harbor never shows again\n");
        }
        self.secrets.iter().for_each(|step| text.push_str(&step.text()));
        text
    }
}

/// `harbor rotate`: the accounts with new secrets.
#[derive(Clone, Debug, Serialize, JsonSchema)]
pub struct RotateReport {
    /// The accounts, each with the place of its secret.
    pub accounts: Vec<RotatedAccount>,
}

/// An account with a new secret; the old one no longer works.
#[derive(Clone, Debug, Serialize, JsonSchema)]
pub struct RotatedAccount {
    /// The account's name.
    pub name: String,
    /// Where the secret went.
    pub secret: SecretStep,
}

impl Report for RotateReport {
    fn text(&self) -> String {
        let line = |RotatedAccount { name, secret }: &RotatedAccount| {
            format!("{name} has a new secret; the old one no longer works\n{}", secret.text())
        };
        self.accounts.iter().map(line).collect()
    }
}

/// `harbor rescan`: the images whose verdict changed because they were scanned again.
#[derive(Clone, Debug, Serialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct RescanReport {
    /// The registry.
    pub to: String,
    /// scan-all, where Harbor scanned everything that it has, or images.
    pub way: String,
    /// How many images were looked at, each platform by itself.
    pub images: usize,
    /// How many of them Harbor's policies block now.
    pub blocked: usize,
    /// How many scans have not ended.
    pub unfinished: usize,
    /// The images with another verdict than before.
    pub changed: Vec<RescannedEntry>,
    /// The images that are blocked, as before.
    pub still_blocked: Vec<RescannedEntry>,
    /// The projects whose images this account may not have scanned.
    pub forbidden: Vec<String>,
    /// The projects in which exceptions may let pass what this says is blocked.
    pub exempted: Vec<String>,
}

/// An image before and after it was scanned again.
#[derive(Clone, Debug, Serialize, JsonSchema)]
pub struct RescannedEntry {
    /// The image, by a tag of it or of an index that lists it.
    pub target: String,
    /// The digest of its manifest.
    pub digest: String,
    /// The verdict before: allowed, warned, blocked or unscanned.
    pub before: String,
    /// The verdict now.
    pub after: String,
    /// The findings in words.
    pub findings: String,
}

impl RescannedEntry {
    fn line(&self) -> String {
        let Self { target, before, after, findings, .. } = self;
        match before == after {
            true => format!("{after:<9} {target}, as before: {findings}\n"),
            false => format!("{after:<9} {target}, which was {before}: {findings}\n"),
        }
    }
}

impl Report for RescanReport {
    fn text(&self) -> String {
        let mut text = String::new();
        self.changed.iter().chain(&self.still_blocked).for_each(|each| text.push_str(&each.line()));
        for project in &self.forbidden {
            text.push_str(&format!(
                "project {project} was not scanned: this account lacks scan:create there\n"
            ));
        }
        for project in &self.exempted {
            text.push_str(&format!(
                "project {project} has exceptions, so Harbor may let pass what is blocked here\n"
            ));
        }
        let way = if self.way == "scan-all" { "by a scan of all artifacts" } else { "one by one" };
        text.push_str(&format!(
            "{} scanned again, {way}: {} blocked, {} changed, {} not ended\n",
            count(self.images, "image"),
            self.blocked,
            self.changed.len(),
            self.unfinished
        ));
        text
    }
}
