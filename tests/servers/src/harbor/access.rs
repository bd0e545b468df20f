//! Authentication and authorization. Takes a request's credentials; gives the caller, or the 401 or 403 that
//! Harbor sends.

use std::sync::Arc;

use super::answer::{Code, Refusal};
use super::request::Request;
use super::roles::public_allows;
use super::state::{State, project_part};
use super::token::Token;
use crate::client::base64_decoded;

/// The identity of a request's credentials. Wrong ones count as anonymous: Harbor never says that credentials
/// are wrong, only that anonymous access is not allowed.
#[derive(Clone, Debug)]
pub(super) enum Identity {
    Anonymous,
    User(String),
    Robot(i64),
    /// A bearer token, good for `/v2/` only.
    Bearer(Arc<Token>),
}

impl State {
    /// Harbor `server/middleware/security`: the bearer token first, then robots, then users.
    pub(super) fn identify(&self, request: &Request<'_>) -> Identity {
        let Some(authorization) = request.header("authorization") else { return Identity::Anonymous };
        if let Some(token) = scheme(authorization, "bearer") {
            let valid = request.path.starts_with("/v2").then(|| self.valid_token(token, request)).flatten();
            return valid.map_or(Identity::Anonymous, Identity::Bearer);
        }
        let Some((name, secret)) = basic(authorization) else { return Identity::Anonymous };
        if let Some(name) = name.strip_prefix(&self.config.robot_prefix)
            && let Some(robot) = self.robots.values().find(|robot| robot.name == name)
            && robot.is_secret(&secret)
            && robot.may_enter(self.now())
        {
            return Identity::Robot(robot.id);
        }
        match self.users.get(&name) {
            Some(user) if user.password == secret => Identity::User(name),
            _ => Identity::Anonymous,
        }
    }

    pub(super) fn is_authenticated(&self, identity: &Identity) -> bool {
        match identity {
            Identity::Anonymous => false,
            Identity::User(_) | Identity::Robot(_) => true,
            // A token can be had without credentials, and then names no one.
            Identity::Bearer(token) => !token.subject.is_empty(),
        }
    }

    /// The name in logs, and in Harbor's answers.
    pub(super) fn name_of(&self, identity: &Identity) -> String {
        match identity {
            Identity::Anonymous => String::new(),
            Identity::User(name) => name.clone(),
            Identity::Robot(id) => self.robots.get(id).map(|r| self.robot_name(r)).unwrap_or_default(),
            Identity::Bearer(token) => token.subject.clone(),
        }
    }

    pub(super) fn is_admin(&self, identity: &Identity) -> bool {
        matches!(identity, Identity::User(name) if self.users.get(name).is_some_and(|user| user.is_admin))
    }

    /// Whether they may do that in the project; the empty resource is the project itself.
    pub(super) fn may(&self, identity: &Identity, project: i64, action: &str, resource: &str) -> bool {
        let Some(found) = self.projects.get(&project) else { return self.is_admin(identity) };
        let public = found.is_public() && public_allows(action, resource);
        match identity {
            Identity::Anonymous => public,
            Identity::User(name) => {
                public
                    || self.is_admin(identity)
                    || found.role_of(name).is_some_and(|role| role.allows(action, resource))
            }
            Identity::Robot(id) => self.robots.get(id).is_some_and(|robot| {
                (public && robot.knows_projects()) || robot.may_in_project(project, action, resource)
            }),
            Identity::Bearer(token) => resource == "repository" && token.allows(&found.name, action),
        }
    }

    pub(super) fn may_in_system(&self, identity: &Identity, action: &str, resource: &str) -> bool {
        match identity {
            Identity::Robot(id) => {
                self.robots.get(id).is_some_and(|robot| robot.may_in_system(action, resource))
            }
            _ => self.is_admin(identity),
        }
    }

    pub(super) fn require_authenticated(&self, identity: &Identity) -> Result<(), Refusal> {
        if self.is_authenticated(identity) { Ok(()) } else { Err(Refusal::unauthorized()) }
    }

    /// Harbor `handler/base.go RequireSystemAccess`.
    pub(super) fn require_in_system(
        &self,
        identity: &Identity,
        action: &str,
        resource: &str,
    ) -> Result<(), Refusal> {
        self.require_authenticated(identity)?;
        if self.may_in_system(identity, action, resource) {
            return Ok(());
        }
        Err(Refusal::new(Code::Forbidden, self.name_of(identity)))
    }

    /// Harbor `handler/base.go RequireProjectAccess`: a missing project counts as one that only an
    /// administrator may see.
    pub(super) fn require(
        &self,
        identity: &Identity,
        project: Option<i64>,
        action: &str,
        resource: &str,
    ) -> Result<(), Refusal> {
        if self.may(identity, project.unwrap_or(0), action, resource) {
            return Ok(());
        }
        self.require_authenticated(identity)?;
        Err(Refusal::forbidden())
    }

    /// Whether they may do that in the repository's project; for `/v2/`.
    pub(super) fn may_in_repository(&self, identity: &Identity, repository: &str, action: &str) -> bool {
        self.project_named(project_part(repository))
            .is_some_and(|project| self.may(identity, project.id, action, "repository"))
    }
}

fn scheme<'a>(authorization: &'a str, scheme: &str) -> Option<&'a str> {
    let (found, rest) = authorization.split_once(' ')?;
    found.eq_ignore_ascii_case(scheme).then_some(rest.trim())
}

fn basic(authorization: &str) -> Option<(String, String)> {
    let decoded = String::from_utf8(base64_decoded(scheme(authorization, "basic")?)?).ok()?;
    let (name, secret) = decoded.split_once(':')?;
    Some((name.to_owned(), secret.to_owned()))
}
