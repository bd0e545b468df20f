//! Immutable tag rules.
//! Answers `/projects/{name}/immutabletagrules`, whose order and duplicates are Harbor's.

use std::io::Read;

use serde::Deserialize;
use serde_json::{Value, json};

use super::{Call, parse_id};
use crate::harbor::answer::{Answer, Code, Refusal};
use crate::harbor::immutable::{ImmutableRule, RuleContent};
use crate::harbor::lock;
use crate::harbor::request::{read_body, read_json};
use crate::harbor::state::project_not_found;

#[derive(Default, Deserialize)]
#[serde(default)]
struct Switches {
    id: i64,
    disabled: bool,
}

pub(super) fn list(call: &Call<'_>, project: &str) -> Result<Answer, Refusal> {
    let state = lock(&call.core.state);
    let id = call.permitted_project(&state, project, "list", "immutable-tag")?;
    let found = state.projects.get(&id).ok_or_else(|| project_not_found(project))?;
    call.page(found.rules.iter().map(written).collect())
}

/// A new rule is on, for any request (`pkg/immutable/dao`).
pub(super) fn create(call: &Call<'_>, project: &str, body: &mut dyn Read) -> Result<Answer, Refusal> {
    let content: RuleContent = read_json(body)?;
    let mut state = lock(&call.core.state);
    let id = call.permitted_project(&state, project, "create", "immutable-tag")?;
    let rule_id = state.next_id();
    let found = state.projects.get_mut(&id).ok_or_else(|| project_not_found(project))?;
    if found.rules.iter().any(|rule| rule.content == content) {
        return Err(Refusal::new(Code::Conflict, "immutable rule already exists"));
    }
    found.rules.push(ImmutableRule { id: rule_id, disabled: false, content });
    Ok(Answer::created(&call.below(rule_id)))
}

/// Either switches a rule on or off, or changes its content; never both.
pub(super) fn update(
    call: &Call<'_>,
    project: &str,
    rule: &str,
    body: &mut dyn Read,
) -> Result<Answer, Refusal> {
    let rule_id = parse_id(rule)?;
    let bytes = read_body(body)?;
    let switches: Switches = read_json(&mut bytes.as_slice())?;
    let content: RuleContent = read_json(&mut bytes.as_slice())?;
    if switches.id != rule_id {
        return Err(Refusal::bad_request(
            "bad request: the immutable_rule_id doesn't match the id in the payload body of ImmutableRule",
        ));
    }
    let mut state = lock(&call.core.state);
    let id = call.permitted_project(&state, project, "update", "immutable-tag")?;
    let found = state.projects.get_mut(&id).ok_or_else(|| project_not_found(project))?;
    let rule = found
        .rules
        .iter_mut()
        .find(|rule| rule.id == rule_id)
        .ok_or_else(|| Refusal::not_found(format!("immutable rule {rule_id} not found")))?;
    if rule.disabled == switches.disabled {
        rule.content = content;
    } else {
        rule.disabled = switches.disabled;
    }
    Ok(Answer::empty(200))
}

pub(super) fn delete(call: &Call<'_>, project: &str, rule: &str) -> Result<Answer, Refusal> {
    let rule_id = parse_id(rule)?;
    let mut state = lock(&call.core.state);
    let id = call.permitted_project(&state, project, "delete", "immutable-tag")?;
    let found = state.projects.get_mut(&id).ok_or_else(|| project_not_found(project))?;
    let before = found.rules.len();
    found.rules.retain(|rule| rule.id != rule_id);
    if found.rules.len() == before {
        return Err(Refusal::not_found(format!("immutable rule {rule_id} not found")));
    }
    Ok(Answer::empty(200))
}

fn written(rule: &ImmutableRule) -> Value {
    let mut written = json!(rule.content);
    written["id"] = json!(rule.id);
    // False and zero values are omitted.
    if rule.disabled {
        written["disabled"] = json!(true);
    }
    written
}
