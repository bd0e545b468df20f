//! The verdict: what findings mean under a policy.
//! Takes images, findings, a policy and exceptions, gives a verdict for each image. No clock, no file, no network.

use std::collections::{HashMap, HashSet};

use bundle_format::Timestamp;
use bundle_oci::Digest;
use serde::{Deserialize, Serialize};

use crate::{Counts, Exception, Exceptions, Finding, Findings, ScanImage, Severity};

/// What severities mean.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Policy {
    /// The least severity that blocks. Medium and what is graver, and unknown severities, warn; low ones are allowed.
    pub block: Severity,
}

impl Default for Policy {
    /// Critical and high block, medium warns, low is allowed: as the platform's Harbor does.
    fn default() -> Self {
        Self { block: Severity::High }
    }
}

/// What becomes of an image, from the best to the worst.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Verdict {
    /// Nothing speaks against it.
    Allowed,
    /// It is allowed, and somebody should look.
    Warned,
    /// It was not scanned, or not to the end.
    Failed,
    /// It must not be used.
    Blocked,
}

impl Verdict {
    /// The word for it.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Allowed => "allowed",
            Self::Warned => "warned",
            Self::Failed => "failed",
            Self::Blocked => "blocked",
        }
    }
}

impl Policy {
    /// What a finding of this severity means.
    pub fn verdict(self, severity: Severity) -> Verdict {
        match severity {
            Severity::Unknown => Verdict::Warned,
            _ if severity >= self.block => Verdict::Blocked,
            Severity::Low => Verdict::Allowed,
            Severity::Medium | Severity::High | Severity::Critical => Verdict::Warned,
        }
    }
}

/// The verdict on all images.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Judgement {
    /// The images, in the order of the bundle.
    pub images: Vec<Judged>,
    /// Exceptions that no longer count.
    pub expired: Vec<Exception>,
    /// Exceptions that count, and that no finding needed.
    pub unused: Vec<Exception>,
}

/// The verdict on one image.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, rename_all = "camelCase")]
pub struct Judged {
    /// `project/repository:tag` at the destination.
    pub image: String,
    /// Where it came from.
    pub source: String,
    /// The digest of its manifest or index.
    pub digest: Digest,
    /// The worst of its platforms' verdicts.
    pub verdict: Verdict,
    /// How many different findings there are in all platforms.
    pub counts: Counts,
    /// The platforms.
    pub platforms: Vec<JudgedPart>,
}

impl Judged {
    /// The findings of all platforms, the gravest first; the same one in the same package stands once, as in the counts.
    pub fn findings(&self) -> Vec<&JudgedFinding> {
        let mut seen = HashSet::new();
        let all = self.platforms.iter().flat_map(|part| &part.findings);
        let mut all: Vec<&JudgedFinding> = all
            .filter(|it| seen.insert((&it.finding.id, &it.finding.package, &it.finding.installed)))
            .collect();
        all.sort_by_key(|it| std::cmp::Reverse(it.finding.severity));
        all
    }

    /// The exceptions that cover something in it, once for each finding.
    pub fn exceptions(&self) -> impl Iterator<Item = &Exception> {
        self.platforms.iter().flat_map(|part| &part.findings).filter_map(|it| it.exception.as_ref())
    }

    /// Whether the scanner knows nothing in it: no distribution and no package. Then no finding says nothing.
    pub fn is_unrecognised(&self) -> bool {
        let mut whole = self.platforms.iter().filter(|part| part.error.is_none()).peekable();
        whole.peek().is_some() && whole.all(|part| !part.recognised)
    }

    /// Why platforms were not scanned.
    pub fn errors(&self) -> Vec<String> {
        let failed = self.platforms.iter().filter_map(|part| Some((part, part.error.as_ref()?)));
        failed
            .map(|(part, error)| {
                part.platform.as_ref().map_or(error.clone(), |platform| format!("{platform}: {error}"))
            })
            .collect()
    }
}

/// The verdict on one platform of an image.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, rename_all = "camelCase")]
pub struct JudgedPart {
    /// The platform, if it is known.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub platform: Option<String>,
    /// The digest of its manifest.
    pub digest: Digest,
    /// Why it was not scanned.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub error: Option<String>,
    /// Whether the scanner found a distribution or packages in it.
    pub recognised: bool,
    /// What was found.
    pub findings: Vec<JudgedFinding>,
}

/// A finding, and what it means.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, rename_all = "camelCase")]
pub struct JudgedFinding {
    /// What was found.
    pub finding: Finding,
    /// What it means for the image.
    pub verdict: Verdict,
    /// The exception that covers it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub exception: Option<Exception>,
}

/// Judges what a scanner found in each manifest, by its digest; a text is why it was not scanned. What is missing in
/// `found` was not scanned either.
pub fn judge(
    images: &[ScanImage],
    found: &HashMap<Digest, Result<Findings, String>>,
    policy: Policy,
    exceptions: &Exceptions,
    now: Timestamp,
) -> Judgement {
    let mut used: Vec<Exception> = Vec::new();
    let images: Vec<Judged> = images
        .iter()
        .map(|image| {
            let names = image.names();
            let mut verdict = Verdict::Allowed;
            let mut counts = Counts::default();
            let platforms = image.parts.iter().map(|part| {
                let mut judged = JudgedPart {
                    platform: part.platform.as_ref().map(ToString::to_string),
                    digest: part.digest,
                    error: None,
                    recognised: false,
                    findings: Vec::new(),
                };
                let findings = match found.get(&part.digest) {
                    Some(Ok(findings)) => findings,
                    failed => {
                        verdict = verdict.max(Verdict::Failed);
                        let why = failed.and_then(|failed| failed.as_ref().err().cloned());
                        judged.error = Some(why.unwrap_or_else(|| "it was not scanned".to_owned()));
                        return judged;
                    }
                };
                judged.recognised = findings.recognised;
                for finding in &findings.all {
                    let exception = exceptions.covers(finding, &names, now);
                    let means = match exception {
                        Some(_) => Verdict::Allowed,
                        None => policy.verdict(finding.severity),
                    };
                    verdict = verdict.max(means);
                    let exception = exception.cloned();
                    if let Some(exception) = exception.as_ref().filter(|it| !used.contains(it)) {
                        used.push(exception.clone());
                    }
                    judged.findings.push(JudgedFinding {
                        finding: finding.clone(),
                        verdict: means,
                        exception,
                    });
                }
                judged
            });
            let platforms: Vec<JudgedPart> = platforms.collect();
            let mut seen = HashSet::new();
            for JudgedFinding { finding, exception, .. } in platforms.iter().flat_map(|part| &part.findings) {
                if seen.insert((&finding.id, &finding.package, &finding.installed)) {
                    counts.add(finding.severity, exception.is_some());
                }
            }
            Judged {
                image: image.name(),
                source: image.source.clone(),
                digest: image.digest,
                verdict: if image.parts.is_empty() { Verdict::Failed } else { verdict },
                counts,
                platforms,
            }
        })
        .collect();
    let unused = exceptions.current(now).filter(|it| !used.contains(it)).cloned().collect();
    Judgement { images, expired: exceptions.expired(now).cloned().collect(), unused }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{Limits, Part};

    fn digest(text: &str) -> Digest {
        Digest::of(text.as_bytes())
    }

    fn image(target: &str, parts: &[&str]) -> ScanImage {
        ScanImage {
            target: target.parse().unwrap(),
            source: format!("docker.io/{target}"),
            digest: digest(target),
            parts: parts.iter().map(|it| Part { digest: digest(it), platform: None }).collect(),
        }
    }

    fn findings(all: &[(&str, Severity)]) -> Findings {
        let finding = |&(id, severity): &(&str, Severity)| Finding {
            id: id.to_owned(),
            aliases: Vec::new(),
            severity,
            package: "p".to_owned(),
            installed: "1".to_owned(),
            fixed: None,
            title: None,
        };
        Findings::of(true, all.iter().map(finding).collect())
    }

    fn verdicts(found: &[(&str, Result<Findings, String>)], block: Severity, exceptions: &str) -> Judgement {
        let images = [image("cache/a:1", &["a"]), image("cache/b:1", &["a", "b"])];
        let found = found.iter().map(|(part, found)| (digest(part), found.clone())).collect();
        let exceptions = match exceptions {
            "" => Exceptions::default(),
            text => Exceptions::parse(text, "e.yaml", &Limits::DEFAULT).unwrap(),
        };
        judge(&images, &found, Policy { block }, &exceptions, "2026-11-29T08:00:00Z".parse().unwrap())
    }

    fn words(judgement: &Judgement) -> Vec<&'static str> {
        judgement.images.iter().map(|image| image.verdict.as_str()).collect()
    }

    #[test]
    fn the_worst_finding_of_any_platform_decides() {
        let low = findings(&[("CVE-1", Severity::Low)]);
        for (other, block, word) in [
            (Severity::Critical, Severity::High, "blocked"),
            (Severity::High, Severity::High, "blocked"),
            (Severity::Medium, Severity::High, "warned"),
            (Severity::Unknown, Severity::High, "warned"),
            (Severity::Low, Severity::High, "allowed"),
            (Severity::High, Severity::Critical, "warned"),
            (Severity::Medium, Severity::Medium, "blocked"),
        ] {
            let other = findings(&[("CVE-2", other), ("CVE-1", Severity::Low)]);
            let judged = verdicts(&[("a", Ok(low.clone())), ("b", Ok(other))], block, "");
            assert_eq!(words(&judged), ["allowed", word]);
        }
    }

    #[test]
    fn the_same_finding_in_two_platforms_counts_once() {
        let low = || Ok(findings(&[("CVE-1", Severity::Low)]));
        let judged = verdicts(&[("a", low()), ("b", low())], Severity::High, "");
        assert_eq!(judged.images[1].counts, Counts { low: 1, ..Counts::default() });
        assert_eq!(judged.images[1].platforms.len(), 2);
    }

    #[test]
    fn what_was_not_scanned_is_never_allowed_and_a_blocked_platform_is_worse() {
        let (none, bad) = (findings(&[]), findings(&[("CVE-1", Severity::Critical)]));
        assert_eq!(words(&verdicts(&[], Severity::High, "")), ["failed", "failed"]);
        let failed = || Err("timeout".to_owned());
        assert_eq!(
            words(&verdicts(&[("a", Ok(none)), ("b", failed())], Severity::High, "")),
            ["allowed", "failed"]
        );
        let judged = verdicts(&[("a", Ok(bad)), ("b", failed())], Severity::High, "");
        assert_eq!(words(&judged), ["blocked", "blocked"]);
        assert_eq!(judged.images[1].platforms[1].error.as_deref(), Some("timeout"));
    }

    #[test]
    fn an_exception_takes_a_finding_away_until_its_day_and_is_said() {
        let bad = || Ok(findings(&[("CVE-1", Severity::Critical), ("CVE-2", Severity::Medium)]));
        let exception = |image: &str, day: &str| {
            format!(
                "exceptions:\n  - {{vulnerability: CVE-1, image: '{image}', owner: o, expires: {day}, reason: r}}\n"
            )
        };
        let of = |text: &str| verdicts(&[("a", bad()), ("b", bad())], Severity::High, text);
        let judged = of(&exception("cache/a:*", "2026-11-29"));
        assert_eq!(words(&judged), ["warned", "blocked"]);
        assert_eq!(judged.images[0].counts, Counts { medium: 1, excepted: 1, ..Counts::default() });
        assert!(judged.expired.is_empty() && judged.unused.is_empty());
        let judged = of(&exception("cache/a:*", "2026-11-28"));
        assert_eq!((words(&judged), judged.expired.len()), (vec!["blocked", "blocked"], 1));
        let judged = of(&exception("cache/c:*", "2026-11-30"));
        assert_eq!((words(&judged), judged.unused.len()), (vec!["blocked", "blocked"], 1));
    }
}
