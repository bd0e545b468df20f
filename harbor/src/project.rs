//! Projects and their metadata: found, made, changed (Harbor's `src/server/v2.0/handler/project.go`).
//! Takes names and wanted metadata, gives what Harbor has.

use std::collections::BTreeMap;
use std::fmt;
use std::str::FromStr;

use bundle_oci::ProjectName;
use bundle_registry::{Error, Method};
use serde::{Deserialize, Serialize};
use serde_json::json;

use crate::allowlist::WireAllowlist;
use crate::{Allowlist, AllowlistSource, Harbor, Severity, StorageLimit};

/// A project as it is.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Project {
    /// Harbor's number for it, which a project that is made again does not get back.
    pub id: i64,
    /// Its name.
    pub name: ProjectName,
    /// Whether it passes on another registry's images, so that nothing can be pushed to it.
    pub proxy_cache: bool,
    /// How it is run.
    pub policy: Policy,
    /// Whether vulnerabilities are exempted from the prevention of pulls, by the project's list or
    /// the system's.
    pub exemptions: bool,
    /// Its own list of exempted vulnerabilities.
    pub allowlist: Allowlist,
    /// The list that counts.
    pub allowlist_source: AllowlistSource,
    /// The number of its retention policy, if it has one.
    pub retention: Option<i64>,
}

/// How a project is run, as far as its metadata says it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Policy {
    /// Pull access without an account.
    pub access: Access,
    /// Whether images are scanned when they are pushed.
    pub auto_scan: bool,
    /// Which images may not be pulled.
    pub prevention: Prevention,
}

/// Pull access to a project.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Access {
    /// Those with an account that has the right.
    Private,
    /// Everybody who reaches Harbor.
    Public,
}

impl fmt::Display for Access {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Private => "private",
            Self::Public => "public",
        })
    }
}

/// Which images may not be pulled because of their vulnerabilities.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Prevention {
    /// None of them is withheld.
    Never,
    /// Those with one of this severity or a higher one, and those that were not scanned.
    From(Severity),
}

impl Prevention {
    /// How much is withheld: more is stricter.
    pub fn strictness(self) -> u8 {
        match self {
            Self::Never => 0,
            // Critical holds back the least.
            Self::From(severity) => 10 - severity.code(),
        }
    }
}

impl fmt::Display for Prevention {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Never => f.write_str("never"),
            Self::From(severity) => write!(f, "{severity}"),
        }
    }
}

impl FromStr for Prevention {
    type Err = ();

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        match text {
            "never" => Ok(Self::Never),
            "low" => Ok(Self::From(Severity::Low)),
            "medium" => Ok(Self::From(Severity::Medium)),
            "high" => Ok(Self::From(Severity::High)),
            "critical" => Ok(Self::From(Severity::Critical)),
            _ => Err(()),
        }
    }
}

/// A project that is to be made.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct NewProject<'a> {
    /// Its name.
    pub name: &'a ProjectName,
    /// How it is to be run.
    pub policy: Policy,
    /// How much may be stored in it; none for as much as this Harbor gives to any. Harbor takes it
    /// from those only who may make projects in its name.
    pub limit: Option<StorageLimit>,
}

#[derive(Deserialize)]
struct Wire {
    project_id: i64,
    name: ProjectName,
    #[serde(default)]
    registry_id: Option<i64>,
    #[serde(default)]
    metadata: BTreeMap<String, String>,
    #[serde(default)]
    cve_allowlist: Option<WireAllowlist>,
}

#[derive(Deserialize)]
struct WireName {
    name: String,
}

impl Policy {
    /// Harbor's metadata: all values are texts. Other than in the interface of people, a severity is not
    /// checked here, and one that is misspelt holds back every image.
    fn metadata(self) -> serde_json::Value {
        let mut metadata = json!({
            "public": (self.access == Access::Public).to_string(),
            "auto_scan": self.auto_scan.to_string(),
            "prevent_vul": (self.prevention != Prevention::Never).to_string(),
        });
        if let Prevention::From(severity) = self.prevention {
            metadata["severity"] = json!(severity.to_string());
        }
        metadata
    }

    fn read(metadata: &BTreeMap<String, String>) -> Self {
        let is = |key: &str| metadata.get(key).is_some_and(|value| value == "true");
        let severity = metadata.get("severity").map(String::as_str).unwrap_or_default();
        Self {
            access: if is("public") { Access::Public } else { Access::Private },
            auto_scan: is("auto_scan"),
            prevention: match is("prevent_vul") {
                true => Prevention::From(severity.parse().unwrap_or(Severity::None)),
                false => Prevention::Never,
            },
        }
    }
}

impl Harbor {
    /// The names of the projects that this account sees; those that are no names of ours are left out.
    ///
    /// # Errors
    /// Any [`Error`].
    pub async fn projects(&self) -> Result<Vec<ProjectName>, Error> {
        let found: Vec<WireName> = self.list("/projects", "list the projects").await?;
        Ok(found.into_iter().filter_map(|project| project.name.parse().ok()).collect())
    }

    /// Whether there is a project of this name; none if this account is not told.
    ///
    /// # Errors
    /// Any [`Error`]; HTTP 401 for an account that is not accepted.
    pub async fn project_exists(&self, name: &ProjectName) -> Result<Option<bool>, Error> {
        let doing = format!("say whether there is a project {name}");
        let path = format!("/projects?project_name={name}");
        match self.call(Method::Head, &path, &doing, None::<&()>).await {
            Ok(_) => Ok(Some(true)),
            Err(error) if error.status() == Some(404) => Ok(Some(false)),
            // Harbor after 2.15 answers only accounts that may read the project.
            Err(error) if error.status() == Some(403) => Ok(None),
            Err(error) => Err(error),
        }
    }

    /// The private projects that this account has something to do with; an administrator has with all
    /// (Harbor's handler/project.go, ListProjects).
    ///
    /// # Errors
    /// Any [`Error`].
    pub async fn private_projects(&self) -> Result<Vec<ProjectName>, Error> {
        let found: Vec<Wire> = self.list("/projects?public=false", "list the account's projects").await?;
        Ok(found.into_iter().map(|project| project.name).collect())
    }

    /// Reads a project.
    ///
    /// # Errors
    /// Any [`Error`]; HTTP 403 if the account may not read it or there is no such project.
    pub async fn project(&self, name: &ProjectName) -> Result<Project, Error> {
        let wire: Wire = self.get(&format!("/projects/{name}"), &format!("show the project {name}")).await?;
        if wire.name != *name {
            return Err(self.misbehaved(format!("it shows the project {} for {name}", wire.name)));
        }
        let allowlist = Allowlist::from(wire.cve_allowlist.unwrap_or_default());
        let reuses = wire.metadata.get("reuse_sys_cve_allowlist");
        let retention = wire.metadata.get("retention_id").and_then(|id| id.parse().ok());
        Ok(Project {
            id: wire.project_id,
            name: wire.name,
            proxy_cache: wire.registry_id.is_some_and(|id| id > 0),
            policy: Policy::read(&wire.metadata),
            exemptions: !allowlist.items.is_empty() || reuses.is_some_and(|value| value == "true"),
            allowlist,
            allowlist_source: match reuses.is_none_or(|value| value == "true") {
                true => AllowlistSource::System,
                false => AllowlistSource::Project,
            },
            retention,
        })
    }

    /// Makes a project. An existing project is no error: another client was faster, or an earlier answer was
    /// lost.
    ///
    /// # Errors
    /// Any [`Error`].
    pub async fn create_project(&self, project: NewProject<'_>) -> Result<(), Error> {
        let body = json!({
            "project_name": project.name,
            "metadata": project.policy.metadata(),
            "storage_limit": project.limit.map(StorageLimit::wire),
        });
        let doing = format!("make the project {}", project.name);
        match self.call(Method::Post, "/projects", &doing, Some(&body)).await {
            Ok(_) => Ok(()),
            Err(error) if error.status() == Some(409) => Ok(()),
            Err(error) => Err(error),
        }
    }

    /// Sets a project's policy. Its other metadata stays.
    ///
    /// # Errors
    /// Any [`Error`].
    pub async fn set_policy(&self, name: &ProjectName, policy: Policy) -> Result<(), Error> {
        let body = json!({"metadata": policy.metadata()});
        let doing = format!("set the policy of the project {name}");
        self.call(Method::Put, &format!("/projects/{name}"), &doing, Some(&body)).await.map(drop)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_policy_reads_back_as_it_was_written_and_all_of_it_is_text() {
        for access in [Access::Private, Access::Public] {
            for prevention in
                ["never", "low", "medium", "high", "critical"].map(|text| text.parse::<Prevention>().unwrap())
            {
                let policy = Policy { access, auto_scan: true, prevention };
                let metadata = policy.metadata();
                let texts: BTreeMap<String, String> = serde_json::from_value(metadata).unwrap();
                assert_eq!(Policy::read(&texts), policy);
            }
        }
    }

    #[test]
    fn a_severity_that_harbor_does_not_know_holds_everything_back() {
        let metadata = |severity: &str| {
            BTreeMap::from([
                ("prevent_vul".to_owned(), "true".to_owned()),
                ("severity".to_owned(), severity.to_owned()),
            ])
        };
        let high = Policy::read(&metadata("high")).prevention;
        for misspelt in ["hgh", "", "none"] {
            let found = Policy::read(&metadata(misspelt)).prevention;
            assert!(found.strictness() > high.strictness(), "{misspelt}");
        }
        assert!(high.strictness() > Prevention::From(Severity::Critical).strictness());
        assert!(Prevention::From(Severity::Critical).strictness() > Prevention::Never.strictness());
    }
}
