//! Policies that prevent pulls: vulnerabilities, and missing signatures. Takes an artifact and its project;
//! gives the 412 that Harbor sends, or nothing.

use std::collections::BTreeSet;

use super::access::Identity;
use super::answer::{Code, Refusal};
use super::request::Request;
use super::scan::{Severity, Vulnerable};
use super::state::{Allowlist, Artifact, Project, State};

impl State {
    /// The policies of the project on a `GET` or `HEAD` of a manifest, in Harbor's order
    /// (`server/middleware/contenttrust`, `server/middleware/vulnerable`).
    pub(super) fn check_policies(
        &self,
        request: &Request<'_>,
        identity: &Identity,
        repository: &str,
        reference: &str,
    ) -> Result<(), Refusal> {
        let project = self.project_of(repository)?;
        let switches = ["enable_content_trust_cosign", "enable_content_trust", "prevent_vul"];
        if !switches.iter().any(|switch| project.is_on(switch)) {
            return Ok(());
        }
        let artifact = self.artifact(repository, reference)?;
        if self.is_exempt(request, identity, repository, artifact) {
            return Ok(());
        }
        if project.is_on("enable_content_trust_cosign") {
            self.require_signature(artifact, "cosign")?;
        }
        if project.is_on("enable_content_trust") {
            self.require_signature(artifact, "notation")?;
        }
        if project.is_on("prevent_vul") {
            self.require_no_vulnerability(project, repository, artifact)?;
        }
        Ok(())
    }

    /// Signers, who must read what they sign, and signatures (Harbor `middleware/util SkipPolicyChecking`).
    fn is_exempt(
        &self,
        request: &Request<'_>,
        identity: &Identity,
        repository: &str,
        artifact: &Artifact,
    ) -> bool {
        let signer = ["cosign", "notation"].iter().any(|tool| request.user_agent().contains(tool));
        let with_token = matches!(identity, Identity::Bearer(_));
        if signer && with_token && self.may_in_repository(identity, repository, "push") {
            return true;
        }
        self.accessories.iter().any(|accessory| {
            accessory.artifact_id == artifact.id
                && matches!(accessory.kind, "signature.cosign" | "signature.notation")
        })
    }

    fn require_signature(&self, artifact: &Artifact, tool: &str) -> Result<(), Refusal> {
        let signed = self.accessories.iter().any(|accessory| {
            accessory.subject_id == artifact.id && accessory.kind.strip_prefix("signature.") == Some(tool)
        });
        if signed {
            return Ok(());
        }
        Err(Refusal::new(Code::PolicyViolation, format!("The image is not signed by {tool}.")))
    }

    fn require_no_vulnerability(
        &self,
        project: &Project,
        repository: &str,
        artifact: &Artifact,
    ) -> Result<(), Refusal> {
        let word = project.metadata.get("severity").map_or("", String::as_str);
        let named = threshold_name(word);
        let blocked = |what: String, way_out: &str| {
            Err(Refusal::new(
                Code::PolicyViolation,
                format!(
                    "current image {what} cannot be pulled due to configured policy in 'Prevent images with \
                     vulnerability severity of \"{named}\" or higher from running.' To continue with pull, \
                     please contact your project administrator {way_out}."
                ),
            ))
        };
        match self.vulnerable(repository, artifact, &self.allowed_cves(project)) {
            Vulnerable::NoReport if self.is_scannable(repository, artifact) => {
                blocked("without vulnerability scanning".to_owned(), "for help")
            }
            Vulnerable::NoReport => Ok(()),
            // An index passes once its children have reports; they are judged when they are pulled.
            _ if artifact.is_index() && artifact.kind == "IMAGE" => Ok(()),
            Vulnerable::Unfinished(status) => {
                blocked(format!("with \"{status}\" status of vulnerability scanning"), "for help")
            }
            Vulnerable::Scanned { count, worst: Some(worst) } if worst >= Severity::parse(word) => {
                let thing = if count > 1 { "vulnerabilities" } else { "vulnerability" };
                blocked(
                    format!("with {count} {thing}"),
                    "to exempt matched vulnerabilities through configuring the CVE allowlist",
                )
            }
            Vulnerable::Scanned { .. } => Ok(()),
        }
    }

    /// A project's own list counts only where its metadata say that it does not use the system's (Harbor
    /// `pkg/project/models ReuseSysCVEAllowlist`).
    fn allowed_cves(&self, project: &Project) -> BTreeSet<String> {
        let own = project.metadata.contains_key("reuse_sys_cve_allowlist")
            && !project.is_on("reuse_sys_cve_allowlist");
        let list: &Allowlist = if own { &project.allowlist } else { &self.config.allowlist };
        let expired = list.expires_at.is_some_and(|at| at <= self.now().seconds());
        if expired { BTreeSet::new() } else { list.items.clone() }
    }
}

/// Harbor's word for what a project's metadata says, as its API gives it and its messages use it.
pub(super) fn threshold_name(word: &str) -> &'static str {
    match word.to_ascii_lowercase().as_str() {
        "none" | "negligible" => "None",
        _ => Severity::parse(word).name(),
    }
}
