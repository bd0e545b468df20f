//! The caller's rights, as Harbor returns them to every account. Answers `/users/current/permissions` and its
//! like from the caller's roles.

use serde_json::{Value, json};

use super::Call;
use crate::harbor::answer::{Answer, Refusal};
use crate::harbor::lock;
use crate::harbor::roles::{ROLES, SYSTEM};

/// Harbor `handler/user.go GetCurrentUserPermissions`: of the policies that the scope's namespace knows, those that
/// the caller's security context allows. A project is named by its number. For a robot too.
pub(super) fn current(call: &Call<'_>) -> Result<Answer, Refusal> {
    let state = lock(&call.core.state);
    state.require_authenticated(call.identity)?;
    let scope = call.request.query.filled("scope").unwrap_or_default();
    let relative = call.option("relative", false);
    let mut found: Vec<Value> = Vec::new();
    let mut tell = |resource: &str, action: &str| {
        let resource = match (relative, resource) {
            (true, "") => ".".to_owned(),
            (true, resource) => resource.to_owned(),
            (false, "") => scope.to_owned(),
            (false, resource) => format!("{scope}/{resource}"),
        };
        let permission = json!({"resource": resource, "action": action});
        if !found.contains(&permission) {
            found.push(permission);
        }
    };
    if let Some(project) = scope.strip_prefix("/project/").and_then(|id| id.parse().ok()) {
        for (resource, actions) in ROLES.iter().flat_map(|role| role.policies()) {
            for action in actions.iter().filter(|action| state.may(call.identity, project, action, resource))
            {
                tell(resource, action);
            }
        }
    } else if scope.starts_with("/system") {
        for (resource, actions) in SYSTEM {
            for action in actions.iter().filter(|action| state.may_in_system(call.identity, action, resource))
            {
                tell(resource, action);
            }
        }
    }
    Ok(Answer::json(200, &json!(found)))
}
