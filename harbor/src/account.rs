//! The account at a Harbor, and its rights in a project. Asks `/users/current` and its permissions; gives an
//! [`Account`] and [`Right`]s.

use std::collections::BTreeSet;
use std::fmt;

use bundle_registry::{Error, Method};
use serde::Deserialize;

use crate::Harbor;

/// An account at a Harbor.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Account {
    /// A person who administers it.
    Administrator(String),
    /// A person.
    User(String),
    /// A robot account, or another that is no person.
    Robot,
    /// Anonymous: there are no credentials, or they are wrong, disabled or expired. Harbor does not tell
    /// these apart.
    Nobody,
}

/// A right, in the words of Harbor's catalogue (its common/rbac/const.go).
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Right {
    /// On what.
    pub resource: &'static str,
    /// To do what.
    pub action: &'static str,
}

impl Right {
    /// The right to `action` a `resource`.
    pub const fn new(resource: &'static str, action: &'static str) -> Self {
        Self { resource, action }
    }
}

impl fmt::Display for Right {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}:{}", self.resource, self.action)
    }
}

/// The rights that an account has, in a project or in the whole system.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Rights(Held);

#[derive(Clone, Debug, PartialEq, Eq)]
enum Held {
    All,
    Some(BTreeSet<(String, String)>),
}

impl Default for Rights {
    /// None.
    fn default() -> Self {
        Self(Held::Some(BTreeSet::new()))
    }
}

impl Rights {
    /// Those of an administrator, who is refused nothing.
    pub fn all() -> Self {
        Self(Held::All)
    }

    /// Whether the right is among them.
    pub fn have(&self, right: Right) -> bool {
        match &self.0 {
            Held::All => true,
            Held::Some(rights) => rights.contains(&(right.resource.to_owned(), right.action.to_owned())),
        }
    }

    /// Which of these are not among them.
    pub fn missing(&self, needed: &[Right]) -> Vec<Right> {
        needed.iter().copied().filter(|right| !self.have(*right)).collect()
    }
}

#[derive(Deserialize)]
struct WireUser {
    username: String,
    #[serde(default)]
    sysadmin_flag: bool,
}

#[derive(Deserialize)]
struct WirePermission {
    resource: String,
    action: String,
}

impl Harbor {
    /// Asks who one is.
    ///
    /// # Errors
    /// Any [`Error`] but a refusal of the credentials, which gives [`Account::Nobody`].
    pub async fn account(&self) -> Result<Account, Error> {
        let doing = "tell whose account this is";
        match self.call(Method::Get, "/users/current", doing, None::<&()>).await {
            Ok(reply) => {
                let user: WireUser = reply.json()?;
                Ok(match user.sysadmin_flag {
                    true => Account::Administrator(user.username),
                    false => Account::User(user.username),
                })
            }
            // Harbor's handler/user.go: "get current user not available for security context: robot".
            Err(error) if error.status() == Some(412) => Ok(Account::Robot),
            Err(error) if error.status() == Some(401) => Ok(Account::Nobody),
            Err(error) => Err(error),
        }
    }

    /// The account's rights in the project with this number.
    ///
    /// # Errors
    /// Any [`Error`].
    pub async fn project_rights(&self, project: i64) -> Result<Rights, Error> {
        self.rights(&format!("/project/{project}")).await
    }

    /// The account's rights in the whole system, as far as Harbor lists them: it does not list those on
    /// quotas and robots (common/rbac/system/policies.go).
    ///
    /// # Errors
    /// Any [`Error`].
    pub async fn system_rights(&self) -> Result<Rights, Error> {
        self.rights("/system").await
    }

    async fn rights(&self, scope: &str) -> Result<Rights, Error> {
        let path = format!("/users/current/permissions?scope={scope}&relative=true");
        let found: Option<Vec<WirePermission>> = self.get(&path, "tell the account's rights").await?;
        let rights = found.unwrap_or_default().into_iter().map(|permission| {
            // The project itself is its own resource, listed as `.`.
            let resource =
                if permission.resource == "." { "project".to_owned() } else { permission.resource };
            (resource, permission.action)
        });
        Ok(Rights(Held::Some(rights.collect())))
    }
}
