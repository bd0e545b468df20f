//! `harbor check`: whether an account may do all that an import needs.
//! Takes a Harbor and projects, gives findings; writes nothing.

use bundle_harbor::Right;
use bundle_importer::Finding;
use bundle_oci::{Printable, ProjectName};
use bundle_report::{CheckReport, ProjectCheck};
use bundle_site::{LiveState, PUSH_RIGHTS, ProjectState, ScannerState, account_text, policy_text, preflight};

use super::{Place, Projects};
use crate::destination;
use crate::exit::Failure;
use crate::output;

#[derive(clap::Args)]
pub(crate) struct Check {
    #[command(flatten)]
    place: Place,

    #[command(flatten)]
    projects: Projects,
}

/// Rights that are optional, with their use.
const USEFUL: [(Right, &str); 6] = [
    (Right::new("quota", "read"), "to compare a bundle with the quota beforehand"),
    (Right::new("scanner", "read"), "to say whether images are scanned at all"),
    (Right::new("scan", "create"), "to start a scan with --wait-for-scan"),
    (Right::new("immutable-tag", "list"), "to know which tags are immutable"),
    (Right::new("tag-retention", "read"), "to know what Harbor itself removes"),
    (Right::new("artifact-label", "create"), "to label what it imports with its bundle"),
];

impl Check {
    pub(crate) async fn run(self) -> Result<(), Failure> {
        let settings = self.place.settings()?;
        let projects = self.projects.names(&settings)?;
        let (harbor, progress) = self.place.connect("checking").await?;
        let live_state = LiveState::of(&harbor, projects, self.place.connection.jobs()).await?;
        drop(progress);
        let (_, findings) = preflight(&live_state, &settings);
        output::report(&self.reported(&live_state, &findings))?;
        if findings.is_empty() { Ok(()) } else { Err(Failure::refused(&findings)) }
    }

    fn reported(&self, live_state: &LiveState, findings: &[Finding]) -> CheckReport {
        let project = |(name, state): &(ProjectName, ProjectState)| {
            let check = |state: &str| ProjectCheck {
                project: name.to_string(),
                state: state.to_owned(),
                missing: Vec::new(),
                policy: None,
                scanner: None,
                without: Vec::new(),
            };
            match state {
                ProjectState::Missing => check("missing"),
                ProjectState::Hidden => check("hidden"),
                ProjectState::There(live) => {
                    let useful = USEFUL.iter().filter(|(right, _)| !live.rights.have(*right));
                    ProjectCheck {
                        missing: live.rights.missing(&PUSH_RIGHTS).iter().map(ToString::to_string).collect(),
                        policy: Some(policy_text(&live.project.policy)),
                        scanner: Some(match &live.scanner {
                            ScannerState::Scans(scanner) => {
                                format!("scanned by {}", Printable(&scanner.name))
                            }
                            ScannerState::Absent => "scanned by nothing".to_owned(),
                            ScannerState::Unknown => "scanner not known".to_owned(),
                        }),
                        without: useful.map(|(right, why)| format!("{right}, {why}")).collect(),
                        ..check("there")
                    }
                }
            }
        };
        let host = self.place.host();
        CheckReport {
            to: self.place.to.to_string(),
            harbor: live_state.system.harbor_version.clone(),
            account: account_text(&live_state.account).to_string(),
            may_create_projects: live_state.may_create,
            projects: live_state.projects.iter().map(project).collect(),
            refused: findings.iter().map(|finding| destination::finding(finding, host)).collect(),
        }
    }
}
