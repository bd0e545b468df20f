//! Robot accounts.
//! Takes name, rights and duration; says whether a secret is right and what the robot may do.

use serde::{Deserialize, Serialize};

use super::answer::{Code, Refusal};
use super::clock::Time;
use super::state::{State, project_not_found};
use crate::blob::sha256;

#[derive(Clone, Debug)]
pub(super) struct Robot {
    pub(super) id: i64,
    /// Without the configured prefix; `project+name` for a robot of a project.
    pub(super) name: String,
    pub(super) description: String,
    /// Set for a robot of a project.
    pub(super) project: Option<i64>,
    /// Days, or -1.
    pub(super) duration: i64,
    /// Seconds since 1970, or -1.
    pub(super) expires_at: i64,
    pub(super) disabled: bool,
    pub(super) secret_hash: String,
    pub(super) permissions: Vec<Permission>,
    pub(super) creator_type: &'static str,
    pub(super) creator: i64,
    pub(super) created: Time,
    pub(super) updated: Time,
}

/// Accesses in one place.
#[derive(Clone, Debug)]
pub(super) struct Permission {
    pub(super) place: Place,
    pub(super) access: Vec<Access>,
}

/// Where a permission holds. A project is kept by number: one made again under its name is another.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Place {
    System,
    EveryProject,
    Project(i64),
}

#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub(super) struct Access {
    pub(super) resource: String,
    pub(super) action: String,
    #[serde(skip_serializing_if = "String::is_empty")]
    pub(super) effect: String,
}

/// Which robots there are to make.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Level {
    /// May have permissions in the system and in any number of projects.
    System,
    /// Has permissions in its project.
    Project,
}

impl Level {
    pub(super) fn name(self) -> &'static str {
        match self {
            Level::System => "system",
            Level::Project => "project",
        }
    }
}

impl Robot {
    pub(super) fn level(&self) -> Level {
        if self.project.is_some() { Level::Project } else { Level::System }
    }

    pub(super) fn is_secret(&self, secret: &str) -> bool {
        self.secret_hash == sha256(secret.as_bytes())
    }

    pub(super) fn may_enter(&self, now: Time) -> bool {
        !self.disabled && (self.expires_at == -1 || self.expires_at > now.seconds())
    }

    pub(super) fn covers_every_project(&self) -> bool {
        self.permissions.iter().any(|permission| permission.place == Place::EveryProject)
    }

    /// Whether a robot may do that in the system (Harbor `common/security/robot/context.go`).
    pub(super) fn may_in_system(&self, action: &str, resource: &str) -> bool {
        self.level() == Level::System
            && self
                .permissions
                .iter()
                .filter(|permission| permission.place == Place::System)
                .flat_map(|permission| &permission.access)
                .any(|access| access.action == action && access.resource == resource)
    }

    /// Whether a robot may do that in the project; the empty resource is the project itself, which a
    /// permission calls `project`. Pushing implies pulling for a project's robot only.
    pub(super) fn may_in_project(&self, project: i64, action: &str, resource: &str) -> bool {
        let resource = if resource.is_empty() { "project" } else { resource };
        self.permissions
            .iter()
            .filter(|permission| match permission.place {
                Place::System => false,
                Place::EveryProject => true,
                Place::Project(id) => id == project,
            })
            .flat_map(|permission| &permission.access)
            .filter(|access| access.resource == resource)
            .any(|access| {
                access.action == action
                    || (self.level() == Level::Project && access.action == "push" && action == "pull")
            })
    }

    /// Whether there is any project permission: without one a system robot may not even what is public.
    pub(super) fn knows_projects(&self) -> bool {
        self.level() == Level::Project || self.permissions.iter().any(|p| p.place != Place::System)
    }
}

/// Whether Harbor accepts a secret: 8 to 128 characters, with upper and lower case and a digit.
pub(super) fn is_valid_secret(secret: &str) -> bool {
    (8..=128).contains(&secret.len())
        && secret.bytes().any(|b| b.is_ascii_lowercase())
        && secret.bytes().any(|b| b.is_ascii_uppercase())
        && secret.bytes().any(|b| b.is_ascii_digit())
}

impl State {
    pub(super) fn robot_name(&self, robot: &Robot) -> String {
        format!("{}{}", self.config.robot_prefix, robot.name)
    }

    pub(super) fn robot(&self, id: i64) -> Result<&Robot, Refusal> {
        self.robots.get(&id).ok_or_else(|| Refusal::not_found(format!("robot account {id} not found")))
    }

    /// `kind` and `namespace` of a permission as a place (Harbor `controller/robot toScope`).
    pub(super) fn place(&self, kind: &str, namespace: &str) -> Result<Place, Refusal> {
        match (kind, namespace) {
            ("system", "/") => Ok(Place::System),
            ("system", _) => Err(Refusal::bad_request("unknown namespace")),
            ("project", "*") => Ok(Place::EveryProject),
            ("project", name) => self
                .project_named(name)
                .map(|project| Place::Project(project.id))
                .ok_or_else(|| project_not_found(name)),
            _ => Err(Refusal::bad_request("unknown robot kind")),
        }
    }

    /// The place as `kind` and `namespace`; none for a project that is gone.
    pub(super) fn place_names(&self, place: Place) -> Option<(&'static str, String)> {
        match place {
            Place::System => Some(("system", "/".to_owned())),
            Place::EveryProject => Some(("project", "*".to_owned())),
            Place::Project(id) => self.projects.get(&id).map(|project| ("project", project.name.clone())),
        }
    }

    /// Makes a robot; the secret is known to the caller alone from here on.
    pub(super) fn insert_robot(&mut self, new: NewRobot) -> Result<(i64, String), Refusal> {
        let name = match new.project {
            None => new.name,
            Some(id) => match self.projects.get(&id) {
                Some(project) => format!("{}+{}", project.name, new.name),
                None => return Err(project_not_found(&id.to_string())),
            },
        };
        if self.robots.values().any(|robot| robot.name == name) {
            let project = new.project.unwrap_or(0);
            return Err(Refusal::new(
                Code::Conflict,
                format!("robot account {project}:{name} already exists"),
            ));
        }
        let (id, now, secret) = (self.next_id(), self.now(), self.new_secret());
        let expires_at = if new.duration == -1 { -1 } else { now.seconds() + new.duration * 86_400 };
        self.robots.insert(
            id,
            Robot {
                id,
                name,
                description: new.description,
                project: new.project,
                duration: new.duration,
                expires_at,
                disabled: false,
                secret_hash: sha256(secret.as_bytes()),
                permissions: new.permissions,
                creator_type: new.creator_type,
                creator: new.creator,
                created: now,
                updated: now,
            },
        );
        Ok((id, secret))
    }

    /// 32 letters and digits, other ones each time. Nothing is protected by them but tests.
    pub(super) fn new_secret(&mut self) -> String {
        let digest = sha256(format!("{} {}", self.next_id(), self.now()).as_bytes());
        // Harbor's own rule wants each kind of character.
        format!("Rb1{}", &digest[7..36])
    }
}

#[derive(Debug)]
pub(super) struct NewRobot {
    pub(super) name: String,
    pub(super) description: String,
    pub(super) project: Option<i64>,
    pub(super) duration: i64,
    pub(super) permissions: Vec<Permission>,
    pub(super) creator_type: &'static str,
    pub(super) creator: i64,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_secret_needs_each_kind_of_character() {
        for (secret, valid) in [
            ("Aa1bcdef", true),
            ("Aa1bcde", false),
            ("aa1bcdef", false),
            ("AA1BCDEF", false),
            ("Aabcdefg", false),
        ] {
            assert_eq!(is_valid_secret(secret), valid, "{secret}");
        }
    }
}
