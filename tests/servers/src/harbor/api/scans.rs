//! Scans and the scanner.
//! Takes a request to scan, or for a report; gives what the scanner of the double found.

use std::io::Read;

use serde::Deserialize;
use serde_json::json;

use super::Call;
use crate::harbor::answer::{Answer, Code, Refusal};
use crate::harbor::lock;
use crate::harbor::request::{read_body, read_json};
use crate::harbor::state::State;

/// The artifact and purpose of a scan.
#[derive(Default, Deserialize)]
#[serde(default)]
struct ScanRequest {
    scan_type: ScanType,
}

#[derive(Clone, Copy, Default, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "lowercase")]
enum ScanType {
    #[default]
    Vulnerability,
    Sbom,
}

/// The scanner of the project. Without one Harbor answers 200 and nothing: it has no model to write.
pub(super) fn scanner(call: &Call<'_>, project: &str) -> Result<Answer, Refusal> {
    let state = lock(&call.core.state);
    state.require_authenticated(call.identity)?;
    let id = call.permitted_project(&state, project, "read", "scanner")?;
    if !state.scanner.present {
        return Ok(Answer::empty(200));
    }
    let created = state.projects.get(&id).map(|project| project.created.to_string());
    Ok(Answer::json(
        200,
        &json!({
            "uuid": "1f0d5c2a-0000-4000-8000-000000000001",
            "name": "Trivy",
            "description": "The Trivy scanner adapter",
            "url": "http://harbor-trivy:8080",
            "disabled": false,
            "is_default": true,
            "auth": "",
            "access_credential": "",
            "skip_certVerify": false,
            "use_internal_addr": true,
            "create_time": created,
            "update_time": created,
            "adapter": "Trivy",
            "vendor": "Aqua Security",
            "version": "v0.72.0",
            "health": "healthy",
            "capabilities": {"support_vulnerability": true, "support_sbom": false},
        }),
    ))
}

/// Starts a scan; the request may leave out what for. This double's scanner makes no SBOMs.
pub(super) fn start(
    call: &Call<'_>,
    project: &str,
    repository: &str,
    reference: &str,
    body: &mut dyn Read,
) -> Result<Answer, Refusal> {
    let body = read_body(body)?;
    let request: ScanRequest =
        if body.is_empty() { ScanRequest::default() } else { read_json(&mut body.as_slice())? };
    let mut state = lock(&call.core.state);
    let resource = match request.scan_type {
        ScanType::Vulnerability => "scan",
        ScanType::Sbom => "sbom",
    };
    call.require_in_named(&state, project, "create", resource)?;
    let artifact = state.artifact(repository, reference)?.clone();
    if request.scan_type == ScanType::Sbom {
        return Err(Refusal::bad_request("the configured scanner Trivy does not support generating SBOMs"));
    }
    state.start_scan(repository, &artifact)?;
    Ok(Answer::empty(202))
}

pub(super) fn vulnerabilities(
    call: &Call<'_>,
    project: &str,
    repository: &str,
    reference: &str,
) -> Result<Answer, Refusal> {
    let state = lock(&call.core.state);
    call.require_in_named(&state, project, "read", "artifact-addition")?;
    let artifact = state.artifact(repository, reference)?;
    Ok(Answer::json(200, &state.vulnerability_report(repository, artifact)))
}

#[derive(Default, Deserialize)]
#[serde(default)]
struct ScheduleRequest {
    schedule: Schedule,
}

#[derive(Default, Deserialize)]
#[serde(default)]
struct Schedule {
    #[serde(rename = "type")]
    kind: String,
}

/// Rights in the system, and a scanner (Harbor `handler/scan_all.go requireAccess`).
fn require_scan_all(call: &Call<'_>, state: &State, action: &str) -> Result<(), Refusal> {
    state.require_in_system(call.identity, action, "scan-all")?;
    if state.scanner.present {
        return Ok(());
    }
    Err(Refusal::new(Code::Precondition, "no scanner is configured, it's not possible to scan"))
}

/// Scans all artifacts, for `Manual`; other schedules are taken and do nothing. What cannot be scanned, or is being
/// scanned, is passed over (Harbor `controller/scan startScanAll`).
pub(super) fn scan_all(call: &Call<'_>, body: &mut dyn Read) -> Result<Answer, Refusal> {
    let request: ScheduleRequest = read_json(body)?;
    let mut state = lock(&call.core.state);
    require_scan_all(call, &state, "create")?;
    if request.schedule.kind == "Manual" {
        let all = state.repositories.values().flat_map(|repository| {
            repository.artifacts.values().map(|artifact| (repository.name.clone(), artifact.clone()))
        });
        for (repository, artifact) in all.collect::<Vec<_>>() {
            drop(state.start_scan(&repository, &artifact));
        }
    }
    Ok(Answer::empty(201))
}

/// How far the scan of all artifacts is. Each request advances the scans, as each look at an artifact does.
pub(super) fn metrics(call: &Call<'_>) -> Result<Answer, Refusal> {
    let mut state = lock(&call.core.state);
    require_scan_all(call, &state, "read")?;
    let (total, completed) = state.scanner.advance();
    let metrics = json!({"Success": completed, "Running": total - completed});
    Ok(Answer::json(
        200,
        &json!({
            "total": total, "completed": completed, "ongoing": completed < total, "trigger": "Manual",
            "metrics": metrics,
        }),
    ))
}
