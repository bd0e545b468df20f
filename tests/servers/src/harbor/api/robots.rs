//! Robot accounts.
//! Answers `/robots`: system and project level, secrets shown once, rights no wider than the maker's.

use std::io::Read;

use serde::{Deserialize, Serialize};
use serde_json::{Value, json};

use super::projects::is_plain_name;
use super::{Call, parse_id};
use crate::blob::sha256;
use crate::harbor::access::Identity;
use crate::harbor::answer::{Answer, Code, Refusal};
use crate::harbor::lock;
use crate::harbor::request::read_json;
use crate::harbor::robot::{Access, Level, NewRobot, Permission, Place, Robot, is_valid_secret};
use crate::harbor::roles::{ROBOT_PROJECT, ROBOT_SYSTEM, allows};
use crate::harbor::state::State;

/// A client's request to create or to replace a robot. A secret in it is ignored.
#[derive(Default, Deserialize)]
#[serde(default)]
struct RobotRequest {
    name: String,
    description: String,
    level: String,
    disable: bool,
    duration: Option<i64>,
    permissions: Vec<PermissionRequest>,
}

#[derive(Default, Deserialize, Serialize)]
#[serde(default)]
struct PermissionRequest {
    kind: String,
    namespace: String,
    access: Vec<Access>,
}

#[derive(Default, Deserialize)]
#[serde(default)]
struct SecretRequest {
    secret: String,
}

pub(super) fn create(call: &Call<'_>, body: &mut dyn Read) -> Result<Answer, Refusal> {
    let request: RobotRequest = read_json(body)?;
    if !is_plain_name(&request.name) {
        return Err(Refusal::bad_request(
            "bad request: robot name is not in lower case or contains illegal characters",
        ));
    }
    let duration = request.duration.unwrap_or(0);
    let level = request.checked(duration)?;
    let mut state = lock(&call.core.state);
    let namespace = request.permissions.first().map_or("", |permission| permission.namespace.as_str());
    require(call, &state, level, state.project_named(namespace).map(|p| p.id), "create")?;
    let (creator_type, creator) = match call.identity {
        Identity::Robot(id) => {
            let creator = state.robot(*id)?;
            if !is_within(&state, &request.permissions, creator) {
                return Err(Refusal::new(
                    Code::Denied,
                    format!(
                        "permission scope is invalid. It must be equal to or more restrictive than the \
                         creator robot's permissions: {}",
                        state.robot_name(creator)
                    ),
                ));
            }
            ("robot", *id)
        }
        Identity::User(name) => ("local", state.users.get(name).map_or(0, |user| user.id)),
        _ => return Err(Refusal::unauthorized()),
    };
    let permissions = state.placed(&request.permissions)?;
    let project = match (level, permissions.first().map(|permission| permission.place)) {
        (Level::System, _) => None,
        (Level::Project, Some(Place::Project(id))) => Some(id),
        (Level::Project, _) => return Err(Refusal::not_found(format!("project {namespace} not found"))),
    };
    let (id, secret) = state.insert_robot(NewRobot {
        name: request.name,
        description: request.description,
        project,
        duration,
        permissions,
        creator_type,
        creator,
    })?;
    let robot = state.robot(id)?;
    let created = json!({
        "id": id,
        "name": state.robot_name(robot),
        "secret": secret,
        "creation_time": robot.created.to_string(),
        "expires_at": robot.expires_at,
    });
    Ok(Answer::json(201, &created).with_header("Location", &call.below(id)))
}

impl RobotRequest {
    /// Harbor `handler/robot.go validate`.
    fn checked(&self, duration: i64) -> Result<Level, Refusal> {
        if duration != -1 && !(1..i64::from(i32::MAX)).contains(&duration) {
            return Err(Refusal::bad_request(format!(
                "bad request error duration input: {duration}, duration must be either -1(Never) or a positive \
                 integer"
            )));
        }
        let level = match self.level.as_str() {
            "system" => Level::System,
            "project" => Level::Project,
            other => {
                return Err(Refusal::bad_request(format!("bad request error level input: {other}")));
            }
        };
        if self.permissions.is_empty() {
            return Err(Refusal::bad_request("bad request empty permission"));
        }
        if self.permissions.iter().any(|permission| permission.access.is_empty()) {
            return Err(Refusal::bad_request("bad request empty access"));
        }
        if level == Level::Project && self.permissions.len() > 1 {
            return Err(Refusal::bad_request("bad request permission"));
        }
        for permission in &self.permissions {
            let grantable = match permission.kind.as_str() {
                "system" => ROBOT_SYSTEM,
                "project" => ROBOT_PROJECT,
                other => {
                    return Err(Refusal::bad_request(format!("bad request permission level: {other}")));
                }
            };
            if let Some(access) =
                permission.access.iter().find(|a| !allows(grantable, &a.action, &a.resource))
            {
                return Err(Refusal::bad_request(format!(
                    "bad request permission: {}:{}",
                    access.resource, access.action
                )));
            }
        }
        Ok(level)
    }
}

fn require(
    call: &Call<'_>,
    state: &State,
    level: Level,
    project: Option<i64>,
    action: &str,
) -> Result<(), Refusal> {
    match level {
        Level::System => state.require_in_system(call.identity, action, "robot"),
        Level::Project => state.require(call.identity, project, action, "robot"),
    }
}

/// Whether a robot grants at most its own rights, place by place and access by access.
fn is_within(state: &State, wanted: &[PermissionRequest], creator: &Robot) -> bool {
    let held = |kind: &str, namespace: &str| {
        creator.permissions.iter().find(|permission| {
            state.place_names(permission.place).is_some_and(|(k, n)| k == kind && n == namespace)
        })
    };
    wanted.iter().all(|permission| {
        held(&permission.kind, &permission.namespace)
            .or_else(|| held(&permission.kind, "*"))
            .is_some_and(|held| permission.access.iter().all(|access| held.access.contains(access)))
    })
}

impl State {
    fn placed(&self, permissions: &[PermissionRequest]) -> Result<Vec<Permission>, Refusal> {
        permissions
            .iter()
            .map(|permission| {
                Ok(Permission {
                    place: self.place(&permission.kind, &permission.namespace)?,
                    access: permission.access.clone(),
                })
            })
            .collect()
    }
}

/// Robots of the system, or of one project that is named by number.
pub(super) fn list(call: &Call<'_>) -> Result<Answer, Refusal> {
    let state = lock(&call.core.state);
    state.require_authenticated(call.identity)?;
    let keywords = call.keywords()?;
    let project = match keywords.exact("Level") {
        None | Some("system") => None,
        Some("project") => match keywords.exact("ProjectID").map(str::parse::<i64>) {
            None => return Err(Refusal::bad_request("must with project ID when to query project robots")),
            Some(Ok(id)) if id > 0 => Some(id),
            Some(_) => return Err(Refusal::bad_request("ProjectID must be a positive integer")),
        },
        Some(_) => return Err(Refusal::bad_request("bad request error level input")),
    };
    let level = if project.is_some() { Level::Project } else { Level::System };
    require(call, &state, level, project, "list")?;
    let mut found: Vec<&Robot> = state
        .robots
        .values()
        .filter(|robot| robot.project == project && keywords.admits("name", &robot.name))
        .collect();
    found.sort_by(|a, b| a.name.cmp(&b.name));
    call.page(found.into_iter().map(|robot| written(&state, robot)).collect())
}

pub(super) fn get(call: &Call<'_>, id: &str) -> Result<Answer, Refusal> {
    let state = lock(&call.core.state);
    let robot = permitted(call, &state, id, "read")?;
    Ok(Answer::json(200, &written(&state, robot)))
}

/// Replaces a robot by what the request says; its name and its level must be what they are.
pub(super) fn update(call: &Call<'_>, id: &str, body: &mut dyn Read) -> Result<Answer, Refusal> {
    let request: RobotRequest = read_json(body)?;
    let mut state = lock(&call.core.state);
    state.require_authenticated(call.identity)?;
    let (robot, now) = (state.robot(parse_id(id)?)?, state.now());
    let duration = request.duration.unwrap_or(robot.duration);
    request.checked(duration)?;
    let permissions = state.placed(&request.permissions)?;
    if let Some(project) = robot.project
        && permissions.first().map(|permission| permission.place) != Some(Place::Project(project))
    {
        return Err(Refusal::bad_request("cannot update the project id of robot"));
    }
    require(call, &state, robot.level(), robot.project, "update")?;
    if request.level != robot.level().name() || request.name != state.robot_name(robot) {
        return Err(Refusal::bad_request("cannot update the level or name of robot"));
    }
    let id = robot.id;
    if let Some(robot) = state.robots.get_mut(&id) {
        if robot.duration != duration {
            robot.duration = duration;
            let expires = robot.created.seconds() + duration * 86_400;
            robot.expires_at = if duration == -1 { -1 } else { expires };
        }
        robot.description = request.description;
        robot.disabled = request.disable;
        robot.permissions = permissions;
        robot.updated = now;
    }
    Ok(Answer::empty(200))
}

/// A new secret: the one that is given, or one that is made up and told this once.
pub(super) fn refresh_secret(call: &Call<'_>, id: &str, body: &mut dyn Read) -> Result<Answer, Refusal> {
    let request: SecretRequest = read_json(body)?;
    let mut state = lock(&call.core.state);
    let id = permitted(call, &state, id, "update")?.id;
    let (secret, told) = if request.secret.is_empty() {
        let secret = state.new_secret();
        (secret.clone(), json!({"secret": secret}))
    } else if is_valid_secret(&request.secret) {
        (request.secret, json!({}))
    } else {
        return Err(Refusal::bad_request(
            "the secret must be 8-128, inclusively, characters long with at least 1 uppercase letter, 1 \
             lowercase letter and 1 number",
        ));
    };
    if let Some(robot) = state.robots.get_mut(&id) {
        robot.secret_hash = sha256(secret.as_bytes());
    }
    Ok(Answer::json(200, &told))
}

pub(super) fn delete(call: &Call<'_>, id: &str) -> Result<Answer, Refusal> {
    let mut state = lock(&call.core.state);
    let id = permitted(call, &state, id, "delete")?.id;
    state.robots.remove(&id);
    Ok(Answer::empty(200))
}

fn permitted<'a>(call: &Call<'_>, state: &'a State, id: &str, action: &str) -> Result<&'a Robot, Refusal> {
    state.require_authenticated(call.identity)?;
    let robot = state.robot(parse_id(id)?)?;
    require(call, state, robot.level(), robot.project, action)?;
    Ok(robot)
}

fn written(state: &State, robot: &Robot) -> Value {
    // Permissions in a project that is gone are not shown.
    let permissions: Vec<Value> = robot
        .permissions
        .iter()
        .filter_map(|permission| {
            let (kind, namespace) = state.place_names(permission.place)?;
            Some(json!({"kind": kind, "namespace": namespace, "access": permission.access}))
        })
        .collect();
    json!({
        "id": robot.id,
        "name": state.robot_name(robot),
        "description": robot.description,
        "level": robot.level().name(),
        "duration": robot.duration,
        "editable": true,
        "disable": robot.disabled,
        "expires_at": robot.expires_at,
        "permissions": permissions,
        "creator_type": robot.creator_type,
        "creator_ref": robot.creator,
        "creation_time": robot.created.to_string(),
        "update_time": robot.updated.to_string(),
    })
}
