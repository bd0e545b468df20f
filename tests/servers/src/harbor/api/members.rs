//! Members of a project; users only, the double has no groups.
//! Answers `/projects/{name}/members`: who is listed, added, changed and removed, and by whom.

use std::io::Read;

use serde::Deserialize;
use serde_json::{Value, json};

use super::Call;
use crate::harbor::answer::{Answer, Code, Refusal};
use crate::harbor::lock;
use crate::harbor::request::read_json;
use crate::harbor::roles::Role;
use crate::harbor::state::{Member, project_not_found};

#[derive(Default, Deserialize)]
#[serde(default)]
struct MemberRequest {
    role_id: i64,
    member_user: UserEntity,
}

#[derive(Default, Deserialize)]
#[serde(default)]
struct UserEntity {
    user_id: i64,
    username: String,
}

pub(super) fn list(call: &Call<'_>, project: &str) -> Result<Answer, Refusal> {
    let state = lock(&call.core.state);
    let id = call.permitted_project(&state, project, "list", "member")?;
    let found = state.projects.get(&id).ok_or_else(|| project_not_found(project))?;
    let members: Vec<Value> = found
        .members
        .iter()
        .map(|member| {
            json!({
                "id": member.id,
                "project_id": id,
                "entity_name": member.user,
                "entity_id": state.users.get(&member.user).map_or(0, |user| user.id),
                "entity_type": "u",
                "role_id": member.role.id(),
                "role_name": member.role.name(),
            })
        })
        .collect();
    call.page(members)
}

pub(super) fn create(call: &Call<'_>, project: &str, body: &mut dyn Read) -> Result<Answer, Refusal> {
    let request: MemberRequest = read_json(body)?;
    let mut state = lock(&call.core.state);
    let id = call.permitted_project(&state, project, "create", "member")?;
    let wanted = &request.member_user;
    let user = state
        .users
        .iter()
        .find(|(name, user)| (wanted.user_id > 0 && user.id == wanted.user_id) || **name == wanted.username)
        .map(|(name, _)| name.clone())
        .ok_or_else(|| Refusal::not_found(format!("user {} not found", wanted.username)))?;
    let member_id = state.next_id();
    let found = state.projects.get_mut(&id).ok_or_else(|| project_not_found(project))?;
    if found.role_of(&user).is_some() {
        return Err(Refusal::new(Code::Conflict, "The project member specified already exist"));
    }
    let role = Role::from_id(request.role_id)
        .ok_or_else(|| Refusal::bad_request("Failed to update project member, role is not in 1,2,3"))?;
    found.members.push(Member { id: member_id, user, role });
    Ok(Answer::created(&format!("/api/v2.0/projects/{project}/members/{member_id}")))
}
