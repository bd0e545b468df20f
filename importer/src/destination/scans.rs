//! The scan results of a bundle's images at a destination, and which of the images can be pulled. Takes
//! nothing; a destination that scans gives these values, reports print them.

use std::collections::BTreeMap;
use std::fmt;

use bundle_format::{Scan, Severity, Target, Verdict};
use bundle_oci::{Digest, Platform, ProjectName};

/// The scan results of a bundle's images at a destination.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct ScanReport {
    /// The images, in the order of the statement.
    pub images: Vec<ImageScan>,
    /// How each of their projects deals with vulnerable images.
    pub projects: BTreeMap<ProjectName, ScanPolicy>,
}

/// How a project deals with vulnerable images.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ScanPolicy {
    /// The severity from which on images are blocked, in the destination's word; `None` for never.
    pub blocks_from: Option<String>,
    /// Whether anything scans them; otherwise none is blocked.
    pub scanning: Scanning,
    /// Whether some vulnerabilities are exempted, so that an image may be pulled nevertheless.
    pub exemptions: bool,
}

/// Whether a project's images are scanned.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Scanning {
    /// They are, by the scanner of this name.
    By(String),
    /// Nothing scans them.
    Absent,
    /// This account may not know.
    Unknown,
}

/// The scan results of one image.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ImageScan {
    /// Where it is.
    pub target: Target,
    /// The results for each platform; each is judged by itself. At least one.
    pub platforms: Vec<PlatformScan>,
}

/// The scan result of an image on one platform.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PlatformScan {
    /// The platform, where an index names it.
    pub platform: Option<Platform>,
    /// The digest of the platform's manifest.
    pub digest: Digest,
    /// The verdict of its project's policy.
    pub verdict: Verdict,
    /// The findings, if a scan has ended.
    pub summary: Option<ScanSummary>,
    /// Why nothing was found out, if so.
    pub unscanned: Option<Unscanned>,
}

/// The findings of a scan.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ScanSummary {
    /// The worst of it; `None` if nothing was found.
    pub severity: Option<Severity>,
    /// How many vulnerabilities of each severity there are, in the destination's words.
    pub counts: BTreeMap<String, u64>,
    /// The same in a receipt's words.
    pub receipt_counts: BTreeMap<Severity, u64>,
    /// How many of them a newer package mends.
    pub fixable: u64,
}

/// Why nothing is known of an image.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Unscanned {
    /// Its scan has not ended, or not begun.
    NotYet,
    /// Its scan failed.
    Failed,
    /// It is nothing that the scanner can scan.
    Unsuitable,
    /// Nothing scans its project.
    NoScanner,
    /// This account may not know.
    Hidden,
}

impl fmt::Display for Unscanned {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::NotYet => "its scan has not ended",
            Self::Failed => "its scan failed",
            Self::Unsuitable => "it cannot be scanned",
            Self::NoScanner => "nothing scans its project",
            Self::Hidden => "this account may not know",
        })
    }
}

impl ScanSummary {
    /// How many vulnerabilities there are of a severity, in the destination's word and any case.
    pub fn count(&self, severity: &str) -> u64 {
        let of = |(name, count): (&String, &u64)| name.eq_ignore_ascii_case(severity).then_some(*count);
        self.counts.iter().filter_map(of).fold(0, u64::saturating_add)
    }
}

impl ImageScan {
    /// The worst of what is known of it.
    pub fn worst(&self) -> Option<&PlatformScan> {
        self.platforms.iter().max_by_key(|scan| badness(scan))
    }

    /// The scan for a receipt.
    pub(crate) fn receipt(&self) -> Scan {
        let summary = self.worst().and_then(|scan| scan.summary.as_ref());
        Scan {
            verdict: self.verdict(),
            counts: summary.map(|summary| summary.receipt_counts.clone()).unwrap_or_default(),
            fixable: summary.map_or(0, |summary| summary.fixable),
        }
    }

    /// The verdict of its project's policy, on its worst platform.
    pub fn verdict(&self) -> Verdict {
        self.worst().map_or(Verdict::Unscanned, |scan| scan.verdict)
    }
}

fn badness(scan: &PlatformScan) -> (u8, Option<Severity>) {
    let verdict = match scan.verdict {
        Verdict::Allowed => 0,
        Verdict::Warned => 1,
        Verdict::Unscanned => 2,
        Verdict::Blocked => 3,
    };
    (verdict, scan.summary.as_ref().and_then(|summary| summary.severity))
}

impl ScanReport {
    /// How many images have a verdict.
    pub fn count(&self, verdict: Verdict) -> usize {
        self.images.iter().filter(|image| image.verdict() == verdict).count()
    }

    /// The images whose scans were not waited for long enough, or failed.
    pub fn unfinished(&self) -> impl Iterator<Item = &ImageScan> {
        let open =
            |scan: &PlatformScan| matches!(scan.unscanned, Some(Unscanned::NotYet | Unscanned::Failed));
        self.images.iter().filter(move |image| image.platforms.iter().any(open))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_image_is_as_bad_as_its_worst_platform() {
        let scan = |verdict| PlatformScan {
            platform: None,
            digest: Digest::of(b""),
            verdict,
            summary: None,
            unscanned: None,
        };
        let image = |verdicts: &[Verdict]| ImageScan {
            target: Target { project: "a".parse().unwrap(), repository: "b".parse().unwrap(), tag: None },
            platforms: verdicts.iter().map(|verdict| scan(*verdict)).collect(),
        };
        use Verdict::{Allowed, Blocked, Unscanned, Warned};
        assert_eq!(image(&[Allowed, Blocked, Warned]).verdict(), Blocked);
        assert_eq!(image(&[Warned, Unscanned]).verdict(), Unscanned);
        assert_eq!(image(&[Allowed, Warned]).verdict(), Warned);
    }
}
