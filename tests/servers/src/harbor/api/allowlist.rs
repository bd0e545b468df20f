//! CVEs that the vulnerability policy overlooks: in a project, and in all that have no list of their own.
//! Answers `/system/CVEAllowlist`, and reads the list that a project's own body has.

use std::collections::BTreeSet;
use std::io::Read;

use serde::Deserialize;
use serde_json::{Value, json};

use super::Call;
use crate::harbor::answer::{Answer, Code, Refusal};
use crate::harbor::lock;
use crate::harbor::request::read_json;
use crate::harbor::state::Allowlist;

#[derive(Default, Deserialize)]
#[serde(default)]
pub(super) struct AllowlistRequest {
    pub(super) project_id: i64,
    expires_at: Option<i64>,
    items: Vec<Item>,
}

#[derive(Default, Deserialize)]
#[serde(default)]
struct Item {
    cve_id: String,
}

impl AllowlistRequest {
    /// Harbor `pkg/allowlist/validator.go`, whose error has no code and so is Harbor's own fault.
    pub(super) fn read(self) -> Result<Allowlist, Refusal> {
        let mut items = BTreeSet::new();
        for Item { cve_id } in self.items {
            if cve_id.trim().is_empty() {
                return Err(Refusal::new(Code::Unknown, "empty or whitespace-only CVE ID in allowlist"));
            }
            if !items.insert(cve_id.clone()) {
                return Err(Refusal::new(Code::Unknown, format!("duplicate CVE ID in allowlist: {cve_id}")));
            }
        }
        Ok(Allowlist { items, expires_at: self.expires_at })
    }
}

pub(super) fn get_system(call: &Call<'_>) -> Result<Answer, Refusal> {
    let state = lock(&call.core.state);
    state.require_authenticated(call.identity)?;
    Ok(Answer::json(200, &written(&state.config.allowlist)))
}

pub(super) fn set_system(call: &Call<'_>, body: &mut dyn Read) -> Result<Answer, Refusal> {
    let request: AllowlistRequest = read_json(body)?;
    let mut state = lock(&call.core.state);
    state.require_in_system(call.identity, "update", "configuration")?;
    state.config.allowlist = request.read()?;
    Ok(Answer::empty(200))
}

pub(super) fn written(allowlist: &Allowlist) -> Value {
    let items: Vec<Value> = allowlist.items.iter().map(|id| json!({"cve_id": id})).collect();
    let mut written = json!({"items": items});
    if let Some(at) = allowlist.expires_at {
        written["expires_at"] = json!(at);
    }
    written
}
