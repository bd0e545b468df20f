use bundle_harbor::Right;
use bundle_importer::Finding;
use bundle_oci::Printable;
use bundle_site::{LiveState, PUSH_RIGHTS, ProjectState, ScannerState, account_text, policy_text, preflight};
use serde_json::json;

use super::{Place, Projects};
use crate::command::{print, print_json};
use crate::exit::{Failure, advice};
use crate::harbor_text;

#[derive(clap::Args)]
pub(crate) struct Check {
    #[command(flatten)]
    place: Place,

    #[command(flatten)]
    projects: Projects,

    /// Print as JSON
    #[arg(long)]
    json: bool,
}

/// What is not needed, and what it is good for.
const USEFUL: [(Right, &str); 4] = [
    (Right::new("quota", "read"), "to compare a bundle with the quota beforehand"),
    (Right::new("scanner", "read"), "to say whether images are scanned at all"),
    (Right::new("scan", "create"), "to start a scan with --wait-for-scan"),
    (Right::new("immutable-tag", "list"), "to know which tags are immutable"),
];

impl Check {
    pub(crate) async fn run(self) -> Result<(), Failure> {
        let settings = self.place.settings()?;
        let projects = self.projects.names(&settings)?;
        let (harbor, progress) = self.place.connect("checking").await?;
        let live_state = LiveState::of(&harbor, projects, self.place.connection.jobs()).await?;
        drop(progress);
        let (_, findings) = preflight(&live_state, &settings);
        if self.json {
            print_json(&self.document(&live_state, &findings))?;
        } else {
            print(&self.text(&live_state, &findings))?;
        }
        if findings.is_empty() { Ok(()) } else { Err(Failure::refused(&findings)) }
    }

    fn text(&self, live_state: &LiveState, findings: &[Finding]) -> String {
        let version = live_state.system.harbor_version.as_deref().unwrap_or("of unknown version");
        let mut text = format!(
            "Harbor {} at {}, as {}\n",
            Printable(version),
            self.place.to,
            account_text(&live_state.account)
        );
        for finding in findings.iter().filter(|finding| finding.project().is_none()) {
            let advice = advice(finding, self.place.host());
            text.push_str(&format!("  no   {}\n       {advice}\n", harbor_text::what_is_wrong(finding)));
        }
        for (name, state) in &live_state.projects {
            let wrong = findings.iter().filter(|finding| finding.project() == Some(name));
            let host = self.place.host();
            let words: Vec<String> = wrong
                .flat_map(|finding| {
                    [harbor_text::what_is_wrong(finding), format!("  {}", advice(finding, host))]
                })
                .collect();
            let verdict = if words.is_empty() { "ok" } else { "no" };
            text.push_str(&format!("  {verdict:<4} {name}"));
            if let ProjectState::There(live) = state {
                let scanner = match &live.scanner {
                    ScannerState::Scans(scanner) => format!("scanned by {}", Printable(&scanner.name)),
                    ScannerState::Absent => "scanned by nothing".to_owned(),
                    ScannerState::Unknown => "scanner not known".to_owned(),
                };
                text.push_str(&format!(": {}, {scanner}", policy_text(&live.project.policy)));
            }
            text.push('\n');
            for word in words {
                text.push_str(&format!("       {word}\n"));
            }
            if let ProjectState::There(live) = state {
                for (right, why) in USEFUL {
                    if !live.rights.have(right) {
                        text.push_str(&format!("       without {right}, {why}\n"));
                    }
                }
            }
        }
        text
    }

    fn document(&self, live_state: &LiveState, findings: &[Finding]) -> serde_json::Value {
        let projects: Vec<_> = live_state
            .projects
            .iter()
            .map(|(name, state)| {
                let missing = match state {
                    ProjectState::There(live) => live.rights.missing(&PUSH_RIGHTS),
                    ProjectState::Missing | ProjectState::Hidden => Vec::new(),
                };
                json!({
                    "project": name,
                    "state": match state {
                        ProjectState::There(_) => "there",
                        ProjectState::Missing => "missing",
                        ProjectState::Hidden => "hidden",
                    },
                    "missing": missing.iter().map(ToString::to_string).collect::<Vec<_>>(),
                })
            })
            .collect();
        let host = self.place.host();
        let refused: Vec<_> =
            findings.iter().map(|finding| harbor_text::finding_json(finding, host)).collect();
        json!({
            "harbor": live_state.system.harbor_version,
            "account": account_text(&live_state.account),
            "mayCreateProjects": live_state.may_create,
            "projects": projects,
            "refused": refused,
        })
    }
}
