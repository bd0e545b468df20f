//! What else in a Harbor bears on a removal: its own retention rules, and replication that carries deletions on.
//! Takes a client that only reads and projects, gives remarks for people; nothing of it is changed.

use std::collections::BTreeSet;
use std::fmt;

use bundle_harbor::{Account, Harbor, ReplicationPolicy, RetentionRule};
use bundle_oci::{Printable, ProjectName};
use bundle_registry::Error;

/// Something that people should know before they remove.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Remark {
    /// The project has a retention rule of its own.
    Retention {
        /// The project.
        project: ProjectName,
        /// The rule, as Harbor calls it.
        rule: String,
        /// When Harbor follows it by itself.
        schedule: Option<String>,
    },
    /// What is removed here is removed there too.
    DeletionReplicated {
        /// The policy.
        policy: String,
        /// The registry.
        to: String,
    },
    /// A replication policy brings artifacts into this Harbor, and may bring back what is removed.
    Replicated {
        /// The policy.
        policy: String,
    },
    /// This account may not see the rules.
    Unknown(&'static str),
    /// This account may not see all projects, and so not the record of each stream.
    Projects,
}

impl fmt::Display for Remark {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Retention { project, rule, schedule } => {
                let rule = Printable(rule);
                write!(f, "the project {project} has a retention rule of its own ({rule})")?;
                match schedule {
                    Some(cron) => write!(f, ", by which Harbor removes tags too: {}", Printable(cron)),
                    None => f.write_str(", by which Harbor removes tags when somebody starts it"),
                }
            }
            Self::DeletionReplicated { policy, to } => write!(
                f,
                "the replication policy '{}' removes in {} what is removed here",
                Printable(policy),
                Printable(to)
            ),
            Self::Replicated { policy } => write!(
                f,
                "the replication policy '{}' copies into this Harbor, and may bring back what is removed",
                Printable(policy)
            ),
            Self::Unknown(what) => write!(f, "this account may not see the {what}"),
            Self::Projects => f.write_str(
                "this account is not an administrator's: a stream that is recorded only in projects that it does not \
                 see may want what goes",
            ),
        }
    }
}

/// Reads the rules that bear on these projects.
///
/// # Errors
/// Any [`Error`] but that the account may not see them.
pub async fn remarks(
    harbor: &Harbor,
    account: &Account,
    projects: &BTreeSet<ProjectName>,
) -> Result<Vec<Remark>, Error> {
    let mut remarks = Vec::new();
    // Streams that write to `cache` or `platform` are recorded there (importer's Record::of); others in one of their
    // own projects.
    let is_shared = |project: &ProjectName| project.is_cache() || *project == ProjectName::platform();
    if !matches!(account, Account::Administrator(_)) && !projects.iter().all(is_shared) {
        remarks.push(Remark::Projects);
    }
    let mut hidden = false;
    for project in projects {
        match harbor.retention_rules(project).await {
            // The rule that harbor.yaml's rules bring with them keeps the importer's own record.
            Ok((rules, schedule)) => {
                remarks.extend(rules.into_iter().filter(is_about_images).map(|rule| Remark::Retention {
                    project: project.clone(),
                    rule: rule.to_string(),
                    schedule: schedule.clone(),
                }))
            }
            Err(error) if matches!(error.status(), Some(401 | 403)) => hidden = true,
            Err(error) => return Err(error),
        }
    }
    if hidden {
        remarks.push(Remark::Unknown("retention rules of all projects"));
    }
    match harbor.replication_policies().await {
        Ok(policies) => remarks.extend(policies.into_iter().filter_map(|policy| told(policy, projects))),
        Err(error) if matches!(error.status(), Some(401 | 403)) => {
            remarks.push(Remark::Unknown("replication policies"));
        }
        Err(error) => return Err(error),
    }
    Ok(remarks)
}

fn is_about_images(rule: &RetentionRule) -> bool {
    rule.repositories.as_deref() != Some(bundle_format::RECORD_REPOSITORY)
}

/// A policy, if it may be about one of the projects: what its patterns begin with before their first sign decides.
fn told(policy: ReplicationPolicy, projects: &BTreeSet<ProjectName>) -> Option<Remark> {
    let is_about = |pattern: &String| {
        let fixed = pattern.split(['*', '?', '{', '[']).next().unwrap_or_default();
        let about = |project: &ProjectName| {
            let below = format!("{project}/");
            below.starts_with(fixed) || fixed.starts_with(&below)
        };
        projects.iter().any(about)
    };
    match policy.to {
        Some(to) if policy.replicates_deletion => {
            let matches = policy.names.is_empty() || policy.names.iter().any(is_about);
            matches.then_some(Remark::DeletionReplicated { policy: policy.name, to })
        }
        Some(_) => None,
        None => Some(Remark::Replicated { policy: policy.name }),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_policy_is_told_where_it_may_be_about_a_project() {
        let projects: BTreeSet<ProjectName> = ["cache", "platform"].map(|it| it.parse().unwrap()).into();
        let policy = |to: Option<&str>, names: &[&str], replicates_deletion| ReplicationPolicy {
            name: "p".to_owned(),
            to: to.map(str::to_owned),
            replicates_deletion,
            names: names.iter().map(|&name| name.to_owned()).collect(),
        };
        for (names, is_told) in [
            (&[][..], true),
            (&["cache/**"], true),
            (&["**"], true),
            (&["{cache,x}/**"], true),
            (&["cache/docker.io/**"], true),
            (&["tenant/**"], false),
            (&["cachex/**"], false),
            (&["tenant/**", "plat*/**"], true),
        ] {
            let remark = told(policy(Some("b"), names, true), &projects);
            assert_eq!(remark.is_some(), is_told, "{names:?}");
            assert!(told(policy(Some("b"), names, false), &projects).is_none());
        }
        let text = told(policy(None, &["x/**"], false), &projects).unwrap().to_string();
        assert!(text.contains("may bring back"), "{text}");
    }
}
