use bundle_harbor::{Account, Right};
use bundle_importer::{Obstacle, PUSH_RIGHTS, ProjectState, ScannerState, SeedPlan, Survey, missing_rights};
use bundle_oci::Printable;
use serde_json::json;

use super::{Place, Projects};
use crate::command::{print, print_json};
use crate::exit::Failure;
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
        let survey = Survey::of(&harbor, projects, self.place.connection.jobs()).await?;
        drop(progress);
        let (_, mut obstacles) = SeedPlan::new(&survey, &settings);
        if survey.account == Account::Nobody {
            obstacles.push(Obstacle::Nobody);
        }
        if survey.system.read_only == Some(true) {
            obstacles.push(Obstacle::ReadOnly);
        }
        obstacles.extend(missing_rights(&survey));
        if self.json {
            print_json(&self.document(&survey, &obstacles))?;
        } else {
            print(&self.text(&survey, &obstacles))?;
        }
        if obstacles.is_empty() { Ok(()) } else { Err(Failure::refused(&obstacles)) }
    }

    fn text(&self, survey: &Survey, obstacles: &[Obstacle]) -> String {
        let version = survey.system.harbor_version.as_deref().unwrap_or("of unknown version");
        let mut text = format!(
            "Harbor {} at {}, as {}\n",
            Printable(version),
            self.place.to,
            harbor_text::account(&survey.account)
        );
        for obstacle in obstacles.iter().filter(|obstacle| obstacle.project().is_none()) {
            let advice = harbor_text::advice(obstacle, self.place.host());
            text.push_str(&format!("  no   {}\n       {advice}\n", harbor_text::what_is_wrong(obstacle)));
        }
        for (name, state) in &survey.projects {
            let wrong = obstacles.iter().filter(|obstacle| obstacle.project() == Some(name));
            let host = self.place.host();
            let words: Vec<String> = wrong
                .flat_map(|obstacle| {
                    [
                        harbor_text::what_is_wrong(obstacle),
                        format!("  {}", harbor_text::advice(obstacle, host)),
                    ]
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
                text.push_str(&format!(": {}, {scanner}", harbor_text::policy(&live.project.policy)));
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

    fn document(&self, survey: &Survey, obstacles: &[Obstacle]) -> serde_json::Value {
        let projects: Vec<_> = survey
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
        let refused: Vec<_> = obstacles
            .iter()
            .map(|obstacle| {
                json!({"what": obstacle.name(), "message": harbor_text::what_is_wrong(obstacle), "advice": harbor_text::advice(obstacle, host)})
            })
            .collect();
        json!({
            "harbor": survey.system.harbor_version,
            "account": harbor_text::account(&survey.account),
            "mayCreateProjects": survey.may_create,
            "projects": projects,
            "refused": refused,
        })
    }
}
