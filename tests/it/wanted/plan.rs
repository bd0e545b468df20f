//! What a dry run would carry.
//! Takes what `create --dry-run --json` printed, gives targets.

use crate::scene::Ran;

/// The targets of all artifacts as `project/repository:tag`, sorted.
pub(super) fn targets(ran: &Ran) -> Vec<String> {
    let document = ran.json();
    let target = |artifact: &serde_json::Value| {
        let text = |field: &str| artifact["target"][field].as_str().unwrap().to_owned();
        format!("{}/{}:{}", text("project"), text("repository"), text("tag"))
    };
    let mut targets: Vec<String> = document["artifacts"].as_array().unwrap().iter().map(target).collect();
    targets.sort();
    targets
}

/// The last part of each target: `repository:tag`.
pub(super) fn names(ran: &Ran) -> Vec<String> {
    targets(ran).iter().map(|target| target.rsplit('/').next().unwrap().to_owned()).collect()
}
