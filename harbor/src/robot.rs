//! Robot accounts: listed, made, given rights and new secrets (Harbor's `handler/robot.go`).
//! Takes names and rights, gives accounts; a secret is given once.

use std::collections::{BTreeMap, BTreeSet};

use bundle_oci::ProjectName;
use bundle_registry::{Error, Method};
use serde::{Deserialize, Serialize};
use serde_json::json;

use crate::{Harbor, Right, RobotSecret};

/// A robot account as it is.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Robot {
    /// Harbor's number for it.
    pub id: i64,
    /// Its whole name, with the prefix that this Harbor gives to robots: `robot$importer`.
    pub name: String,
    /// The description that users wrote.
    pub description: String,
    /// Whether it is switched off.
    pub disabled: bool,
    /// How long it lives, in days from its making on; -1 for ever.
    pub days: i64,
    /// When it ends, in seconds since 1970; -1 for never.
    pub expires_at: i64,
    /// When it was made, as Harbor writes it.
    pub created: String,
    /// The permissions.
    pub permissions: BTreeSet<Permission>,
}

/// One right of a robot account, and where it holds.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Permission {
    /// The project, or none for the whole system.
    pub project: Option<ProjectName>,
    /// On what.
    pub resource: String,
    /// To do what.
    pub action: String,
}

impl Permission {
    /// A right in a project.
    pub fn project(project: &ProjectName, right: Right) -> Self {
        let (resource, action) = (right.resource.to_owned(), right.action.to_owned());
        Self { project: Some(project.clone()), resource, action }
    }
}

/// How long a robot account lives.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum RobotLifetime {
    /// Until someone removes it.
    Forever,
    /// So many days from its making on.
    Days(u32),
}

impl RobotLifetime {
    /// Harbor's spelling. Zero days are refused.
    fn wire(self) -> i64 {
        match self {
            Self::Forever => -1,
            Self::Days(days) => i64::from(days.max(1)),
        }
    }
}

/// A robot account to create.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RobotSpec {
    /// Its name without prefix.
    pub name: String,
    /// The description for users.
    pub description: String,
    /// How long it lives.
    pub lifetime: RobotLifetime,
    /// The permissions. Those for several projects need a robot of the system.
    pub permissions: BTreeSet<Permission>,
}

/// A robot account that was just made. Its secret is never told again.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
pub struct CreatedRobot {
    /// Harbor's number for it.
    pub id: i64,
    /// Its whole name, with prefix.
    pub name: String,
    /// Its secret.
    pub secret: RobotSecret,
}

#[derive(Serialize, Deserialize)]
struct WirePermission {
    kind: String,
    namespace: String,
    #[serde(default)]
    access: Vec<WireAccess>,
}

#[derive(Serialize, Deserialize)]
struct WireAccess {
    resource: String,
    action: String,
}

#[derive(Deserialize)]
struct Wire {
    id: i64,
    name: String,
    #[serde(default)]
    description: String,
    #[serde(default)]
    disable: bool,
    #[serde(default = "forever")]
    duration: i64,
    #[serde(default = "forever")]
    expires_at: i64,
    #[serde(default)]
    creation_time: String,
    #[serde(default)]
    permissions: Option<Vec<WirePermission>>,
}

#[derive(Deserialize)]
struct WireConfiguration {
    robot_name_prefix: WireValue,
}

#[derive(Deserialize)]
struct WireValue {
    value: String,
}

/// Harbor's lib/config/metadata/metadatalist.go, robot_name_prefix.
const DEFAULT_PREFIX: &str = "robot$";

fn forever() -> i64 {
    -1
}

impl From<Wire> for Robot {
    fn from(wire: Wire) -> Self {
        let mut permissions = BTreeSet::new();
        for entry in wire.permissions.unwrap_or_default() {
            // A namespace that is no project, such as `*`, becomes a permission that is never requested.
            let project = match entry.kind.as_str() {
                "project" => match entry.namespace.parse() {
                    Ok(project) => Some(project),
                    Err(_) => {
                        let resource = format!("{}/{}", entry.namespace, "*");
                        permissions.insert(Permission { project: None, resource, action: "*".to_owned() });
                        continue;
                    }
                },
                _ => None,
            };
            permissions.extend(entry.access.into_iter().map(|access| Permission {
                project: project.clone(),
                resource: access.resource,
                action: access.action,
            }));
        }
        Self {
            id: wire.id,
            name: wire.name,
            description: wire.description,
            disabled: wire.disable,
            days: wire.duration,
            expires_at: wire.expires_at,
            created: wire.creation_time,
            permissions,
        }
    }
}

/// One entry for each project, as Harbor wants them.
fn entries(permissions: &BTreeSet<Permission>) -> Vec<WirePermission> {
    let mut entries: BTreeMap<Option<&ProjectName>, Vec<WireAccess>> = BTreeMap::new();
    for permission in permissions {
        let (resource, action) = (permission.resource.clone(), permission.action.clone());
        entries.entry(permission.project.as_ref()).or_default().push(WireAccess { resource, action });
    }
    let entry = |(project, access): (Option<&ProjectName>, Vec<WireAccess>)| {
        let (kind, namespace) = project.map_or(("system", "/"), |project| ("project", project.as_str()));
        WirePermission { kind: kind.to_owned(), namespace: namespace.to_owned(), access }
    };
    entries.into_iter().map(entry).collect()
}

impl Harbor {
    /// The robot accounts of the system. Those of single projects are not among them.
    ///
    /// # Errors
    /// Any [`Error`]; HTTP 403 without the right to list them.
    pub async fn robots(&self) -> Result<Vec<Robot>, Error> {
        let robots: Vec<Wire> = self.list("/robots", "list robot accounts").await?;
        Ok(robots.into_iter().map(Robot::from).collect())
    }

    /// The prefix of robots' names in this Harbor.
    ///
    /// # Errors
    /// Any [`Error`] but that the account may not know; then it is Harbor's default.
    pub async fn robot_prefix(&self) -> Result<String, Error> {
        let doing = "tell the prefix of robot accounts";
        match self.get::<WireConfiguration>("/configurations", doing).await {
            Ok(configuration) => Ok(configuration.robot_name_prefix.value),
            Err(Error::Answer(answer)) if matches!(answer.status, 403 | 404) => Ok(DEFAULT_PREFIX.to_owned()),
            Err(error) => Err(error),
        }
    }

    /// Makes a robot account. Never repeated by itself: an answer that got lost took the secret with
    /// it.
    ///
    /// # Errors
    /// Any [`Error`]; HTTP 409 if there is one of this name.
    pub async fn create_robot(&self, spec: &RobotSpec) -> Result<CreatedRobot, Error> {
        let body = json!({
            "name": spec.name,
            "level": "system",
            "description": spec.description,
            "disable": false,
            "duration": spec.lifetime.wire(),
            "permissions": entries(&spec.permissions),
        });
        let doing = format!("make the robot account {}", spec.name);
        self.call(Method::Post, "/robots", &doing, Some(&body)).await?.json()
    }

    /// Changes what a robot account may do and when it ends. Its secret stays.
    ///
    /// # Errors
    /// Any [`Error`].
    pub async fn update_robot(&self, robot: &Robot) -> Result<(), Error> {
        let body = json!({
            "id": robot.id,
            "name": robot.name,
            "level": "system",
            "description": robot.description,
            "disable": robot.disabled,
            "duration": robot.days,
            "permissions": entries(&robot.permissions),
        });
        let doing = format!("change the robot account {}", robot.name);
        self.call(Method::Put, &format!("/robots/{}", robot.id), &doing, Some(&body)).await.map(drop)
    }

    /// Gives a robot account the secret that the caller chose and has kept: 8 to 128 characters, among
    /// them an upper-case letter, a lower-case letter and a digit. So no secret is lost with an
    /// answer.
    ///
    /// # Errors
    /// Any [`Error`]; HTTP 403 for everyone but people with the right, for robots cannot have it.
    pub async fn set_robot_secret(&self, robot: i64, secret: &RobotSecret) -> Result<(), Error> {
        let body = json!({"secret": secret.reveal()});
        let doing = "change a robot account's secret";
        self.call(Method::Patch, &format!("/robots/{robot}"), doing, Some(&body)).await.map(drop)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn permissions_are_grouped_by_project_and_read_back() {
        let project = |name: &str| name.parse::<ProjectName>().unwrap();
        let right = |resource, action| Right::new(resource, action);
        let permissions = BTreeSet::from([
            Permission::project(&project("cache"), right("repository", "push")),
            Permission::project(&project("platform"), right("repository", "pull")),
            Permission::project(&project("cache"), right("repository", "pull")),
            Permission { project: None, resource: "project".to_owned(), action: "create".to_owned() },
        ]);
        let entries = entries(&permissions);
        let places: Vec<_> = entries.iter().map(|entry| (entry.kind.as_str(), entry.access.len())).collect();
        assert_eq!(places, [("system", 1), ("project", 2), ("project", 1)]);
        let wire = json!({"id": 1, "name": "robot$x", "permissions": entries});
        let robot = Robot::from(serde_json::from_value::<Wire>(wire).unwrap());
        assert_eq!(robot.permissions, permissions);
        let all = json!({"id": 1, "name": "x", "permissions": [
            {"kind": "project", "namespace": "*", "access": [{"resource": "repository", "action": "pull"}]},
        ]});
        let robot = Robot::from(serde_json::from_value::<Wire>(all).unwrap());
        assert!(robot.permissions.iter().all(|permission| permission.action == "*"));
    }

    #[test]
    fn a_secret_shows_in_no_debug_output() {
        let created: CreatedRobot =
            serde_json::from_value(json!({"id": 1, "name": "robot$a", "secret": "Hidden123"})).unwrap();
        assert!(!format!("{created:?}").contains("Hidden123"));
        assert_eq!(created.secret.reveal(), "Hidden123");
    }
}
