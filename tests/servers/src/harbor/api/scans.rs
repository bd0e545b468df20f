//! Scans and the scanner.
//! Takes a request to scan, or for a report; gives what the scanner of the double found.

use std::io::Read;

use serde::Deserialize;
use serde_json::json;

use super::Call;
use crate::harbor::answer::{Answer, Refusal};
use crate::harbor::lock;
use crate::harbor::request::{read_body, read_json};

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
