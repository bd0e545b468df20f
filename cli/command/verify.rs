//! `verify`: checks every byte of one bundle or of several.
//! Gives the verdict of each check.

use std::path::{Path, PathBuf};
use std::time::Instant;

use bundle_format::{Artifact, Lent, Limits, Medium, SignatureBytes, Statement};
use bundle_importer::{CheckOutcome, Verification, verify};
use bundle_report::{CheckEntry, OtherPlatformEntry, VerifiedBundle, VerifyReport, VerifySetReport};
use bundle_trust::{Approvals, Effective, SeenReport};

use crate::bases::BaseDirArguments;
use crate::command::refuse_terminal;
use crate::command::review::approval_entry;
use crate::exit::{Code, Failure, chain};
use crate::notes::tell_parity;
use crate::output::{self, name, tell};
use crate::progress::progress;
use crate::several::Failed;
use crate::trust::TrustArguments;

#[derive(clap::Args)]
pub(crate) struct Verify {
    /// Bundles to verify; - reads one from standard input
    #[arg(required = true, value_name = "FILE|-")]
    bundles: Vec<PathBuf>,

    #[command(flatten)]
    trust: TrustArguments,

    #[command(flatten)]
    bases: BaseDirArguments,

    /// Report that a signer must have approved the bundle by (`bundle sign --report`)
    #[arg(long, value_name = "FILE")]
    report: Option<PathBuf>,

    /// Number of blobs that are hashed in parallel [default: one for each processor]
    #[arg(short, long, value_name = "N", value_parser = clap::value_parser!(u16).range(1..=64))]
    jobs: Option<u16>,
}

impl Verify {
    pub(crate) fn run(self) -> Result<(), Failure> {
        let policy = self.trust.effective()?;
        let countersignatures = self.trust.countersignatures()?;
        let pipes = self.bundles.iter().filter(|bundle| is_pipe(bundle)).count();
        if pipes > 0 {
            refuse_terminal()?;
        }
        if pipes > 1 {
            return Err(Failure::text(Code::Usage, "standard input has one bundle, and - is given twice"));
        }
        let processors = || std::thread::available_parallelism().map_or(1, usize::from);
        let threads = self.jobs.map_or_else(processors, usize::from);
        let lent = self.bases.lent()?;
        let seen = match &self.report {
            Some(_) if self.bundles.len() > 1 => {
                return Err(Failure::text(Code::Usage, "--report is of one bundle, and several are named"));
            }
            Some(_) if pipes > 0 => {
                let text = "approvals lie beside a bundle's file, and standard input has none";
                return Err(Failure::text(Code::Usage, text));
            }
            Some(report) => Some(SeenReport::read(report)?),
            None => None,
        };
        let check =
            |bundle: &PathBuf| checked(bundle, &policy, &countersignatures, &lent, threads, seen.as_ref());
        if let [bundle] = self.bundles.as_slice() {
            let (report, refused) = check(bundle)?;
            output::report(&report)?;
            return match refused {
                None => Ok(()),
                Some(failure) => Err(failure),
            };
        }
        self.all(check)
    }

    /// One bundle that cannot be looked at does not hide what is known of the others.
    fn all(
        &self,
        check: impl Fn(&PathBuf) -> Result<(VerifyReport, Option<Failure>), Failure>,
    ) -> Result<(), Failure> {
        let (mut bundles, mut failed) = (Vec::new(), Failed::default());
        for bundle in &self.bundles {
            match check(bundle) {
                Ok((report, refused)) => {
                    if let Some(failure) = refused {
                        failed.add(bundle, failure);
                    }
                    bundles.push(report);
                }
                Err(error) => failed.add(bundle, error),
            }
        }
        let report = VerifySetReport { trusted: failed.is_empty(), bundles, failed: failed.entries() };
        output::report(&report)?;
        failed.end()
    }
}

/// The missing parts of artifacts that the statement lists (`bundle create` marks them so).
fn incomplete(statement: &Statement) -> Vec<String> {
    let marks = |artifact: &Artifact| {
        let marks = artifact.reasons.iter().filter(|reason| reason.starts_with("incomplete: "));
        marks.map(|mark| format!("{}: {mark}", artifact.target)).collect::<Vec<_>>()
    };
    statement.artifacts.iter().flat_map(marks).collect()
}

fn is_pipe(bundle: &Path) -> bool {
    bundle.as_os_str() == "-"
}

fn checked(
    bundle: &Path,
    policy: &Effective,
    countersignatures: &[SignatureBytes],
    lent: &Lent,
    threads: usize,
    seen: Option<&SeenReport>,
) -> Result<(VerifyReport, Option<Failure>), Failure> {
    let started = Instant::now();
    let path = (!is_pipe(bundle)).then_some(bundle);
    let progress = progress("verifying");
    // Additional signatures are for what comes through a pipe; those beside a file are found.
    let Verification { checks, bundle: verified, refused, parity } =
        verify(path, policy, countersignatures, lent, &Limits::V1, threads, &**progress)?;
    tell_parity(&parity, &**progress);
    drop(progress);
    let approvals = match (&verified, path) {
        (Some(bundle), Some(path)) => policy.approvals(&Medium::name(path), &bundle.trusted),
        _ => Approvals::default(),
    };
    approvals
        .ignored
        .iter()
        .for_each(|error| tell(&format!("note: this approval does not count: {}", chain(error))));
    let unapproved =
        seen.filter(|_| refused.is_none()).and_then(|seen| approvals.of_report(seen.digest()).err());
    let trusted = refused.is_none() && unapproved.is_none();
    let entry = |check: &bundle_importer::Check| {
        let (verdict, reasons) = match &check.verdict {
            CheckOutcome::Passed => ("passed", Vec::new()),
            CheckOutcome::Failed(reasons) => ("failed", reasons.clone()),
            CheckOutcome::Unknown(reasons) => ("not checked in part", reasons.clone()),
            CheckOutcome::NotReached => ("not reached", Vec::new()),
        };
        CheckEntry { check: check.name.as_str().to_owned(), verdict: verdict.to_owned(), reasons }
    };
    let mut entries: Vec<CheckEntry> = checks.iter().map(entry).collect();
    if seen.is_some() {
        let (verdict, reasons) = match (&refused, &unapproved) {
            (Some(_), _) => ("not reached", Vec::new()),
            (None, Some(reason)) => ("failed", vec![reason.to_string()]),
            (None, None) => ("passed", Vec::new()),
        };
        entries.push(CheckEntry { check: "approval".to_owned(), verdict: verdict.to_owned(), reasons });
    }
    let report = VerifyReport {
        file: name(bundle),
        trusted,
        checks: entries,
        bundle: verified.filter(|_| trusted).map(|bundle| VerifiedBundle {
            signers: bundle.trusted.signers().to_vec(),
            stream: bundle.trusted.statement().stream.to_string(),
            sequence: bundle.trusted.statement().sequence.into(),
            statement: bundle.trusted.digest().to_string(),
            artifacts: bundle.trusted.statement().artifacts.len(),
            blobs: bundle.trusted.statement().blobs.len(),
            size: bundle.size,
            approvals: approvals
                .given
                .iter()
                .map(|(by, approval)| approval_entry(approval, Some(by), None))
                .collect(),
            incomplete: incomplete(bundle.trusted.statement()),
            other_platforms: bundle.other_platforms.iter().map(OtherPlatformEntry::from).collect(),
        }),
        rebuilt: parity.rebuilt().iter().flat_map(|rebuilt| &rebuilt.files).map(|path| name(path)).collect(),
        seconds: started.elapsed().as_secs_f64(),
    };
    let refused = refused.map(|error| {
        let is_incomplete = checks.iter().any(|check| matches!(check.verdict, CheckOutcome::Unknown(_)));
        let failure = Failure::from(error);
        match is_incomplete {
            true => failure.saying(format!("{} is not verified as a whole", name(bundle))),
            false => failure.saying(format!("{} must not be used", name(bundle))),
        }
    });
    let unapproved = seen.zip(unapproved).map(|(seen, error)| Failure::from(error).of(seen.path()));
    Ok((report, refused.or(unapproved)))
}
