//! A destination's description of itself before an import, for people and machines: its product, the changes
//! to its projects, the bytes to store, notes, and what of its labels failed.

use std::fmt;

use bundle_oci::{ByteCount, ProjectName};
use bundle_registry::Error;

/// The description of a destination and of the changes to it.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Outlook {
    /// The product, such as `Harbor`.
    pub product: &'static str,
    /// Its version, as it says itself.
    pub version: Option<String>,
    /// The account, for people.
    pub account: String,
    /// The changes to its projects, in the order in which they were asked for.
    pub projects: Vec<ProjectOutlook>,
    /// The bytes that each project gets, for those that get any.
    pub storage: Vec<ProjectStorage>,
    /// Notes that need no action before the import.
    pub notes: Vec<Note>,
}

/// The change of one project.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ProjectOutlook {
    /// Its name.
    pub name: ProjectName,
    /// The change.
    pub change: Change,
}

/// The change of a project.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Change {
    /// It is made.
    Create {
        /// How it is run, in a few words.
        policy: String,
        /// How much it may store; `None` for as much as any project.
        quota: Option<String>,
        /// The patterns of tags that must not move.
        immutable_tags: Vec<String>,
        /// What else is set in it, as differences to a project that has none of it.
        more: Vec<String>,
    },
    /// It is changed in these points.
    Reconcile(Vec<String>),
    /// It is left as it is, although it differs in these points.
    Leave(Vec<String>),
    /// It is as it should be.
    Keep,
}

/// The bytes that a project gets against those that it may hold.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ProjectStorage {
    /// The project.
    pub project: ProjectName,
    /// The most bytes that the bundle can add.
    pub adds: u64,
    /// The bytes that it stores; `None` if this account may not know.
    pub used: Option<u64>,
    /// The bytes that it may store, once its quota is as wanted; `None` for any number.
    pub limit: Option<u64>,
}

/// A note for the user before an import.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Note {
    /// Nothing scans a project's images, so that none is blocked.
    NoScanner(ProjectName),
    /// Some vulnerabilities are exempted from blocking images.
    Exemptions(ProjectName),
    /// A bundle that may not fit, and is imported on someone's word.
    MayExceed(ProjectStorage),
    /// An exception for a vulnerability counts for nothing any more.
    ExceptionExpired {
        /// The project; none for the whole system.
        project: Option<ProjectName>,
        /// The exception, with its owner and last day.
        exception: String,
    },
    /// The destination's own rules would remove what the bundle wants.
    Retention {
        /// The project.
        project: ProjectName,
        /// Why.
        why: String,
    },
    /// This account may not label what it imports.
    Unlabelled {
        /// In which projects.
        projects: Vec<ProjectName>,
        /// Which rights are missing in any of them, in the destination's words.
        rights: Vec<String>,
    },
}

impl fmt::Display for Note {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::NoScanner(project) => {
                write!(f, "project {project} has no scanner, so no image is blocked there")
            }
            Self::Exemptions(project) => {
                write!(
                    f,
                    "in the project {project} some vulnerabilities are exempted from holding images back"
                )
            }
            Self::ExceptionExpired { project, exception } => {
                let of =
                    project.as_ref().map_or("the system".to_owned(), |project| format!("project {project}"));
                write!(
                    f,
                    "the exception of {of} for {exception} has expired: remove or renew it in harbor.yaml"
                )
            }
            Self::Retention { project, why } => {
                write!(f, "the retention rules of project {project} may remove what the bundle wants: {why}")
            }
            Self::Unlabelled { projects, rights } => f.write_str(&unlabelled(projects, rights)),
            Self::MayExceed(storage) => {
                write!(
                    f,
                    "the quota of {} may end before {} are there",
                    storage.project,
                    ByteCount(storage.adds)
                )
            }
        }
    }
}

fn unlabelled(projects: &[ProjectName], rights: &[String]) -> String {
    let (noun, names) = (if projects.len() == 1 { "project" } else { "projects" }, projects.iter());
    let names: Vec<&str> = names.map(ProjectName::as_str).collect();
    format!(
        "artifacts get no label of their bundle in the {noun} {}: this account lacks {} there",
        names.join(", "),
        rights.join(", ")
    )
}

/// Why artifacts do not show at the destination which bundle brought them. The import is complete without.
#[derive(Debug, thiserror::Error)]
pub enum Unmarked {
    /// The account may not label in projects that were made just now.
    #[error("{}", unlabelled(.projects, .rights))]
    Rights {
        /// The projects.
        projects: Vec<ProjectName>,
        /// Which rights are missing.
        rights: Vec<String>,
    },
    /// The destination refused, or could not be asked.
    #[error("not all artifacts of the project {project} have the label of their bundle")]
    Failed {
        /// The project.
        project: ProjectName,
        /// Why not.
        source: Error,
    },
}
