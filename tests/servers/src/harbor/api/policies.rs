//! Policies by which Harbor itself removes and copies artifacts: retention of tags, replication. They are described
//! and never run. Answers `/retentions/{id}` and `/replication/policies` (handler/retention.go, replication.go).

use super::{Call, parse_id};
use crate::harbor::answer::{Answer, Refusal};
use crate::harbor::lock;

/// The project's metadata has the number of its retention policy.
pub(super) fn retention(call: &Call<'_>, id: &str) -> Result<Answer, Refusal> {
    let id = parse_id(id)?;
    let state = lock(&call.core.state);
    let found = state.retentions.get(&id);
    state.require(call.identity, found.map(|(project, _)| *project), "read", "tag-retention")?;
    match found {
        Some((_, policy)) => Ok(Answer::json(200, policy)),
        None => Err(Refusal::not_found(format!("no such Retention policy with id {id}"))),
    }
}

pub(super) fn replications(call: &Call<'_>) -> Result<Answer, Refusal> {
    let state = lock(&call.core.state);
    state.require_in_system(call.identity, "list", "replication-policy")?;
    call.page(state.replications.clone())
}
