//! `sign`: checks a bundle and writes a countersignature beside it.
//! Takes a bundle, trust, a key and the report that was approved; gives FILE.NAME.sig and FILE.NAME.approval.json.

use std::path::{Path, PathBuf};

use bundle_format::{Approval, Cursor, Lent, Limits, Medium, PublicKey, Timestamp, Unverified};
use bundle_importer::{CheckOutcome, Verification, verify};
use bundle_oci::Digest;
use bundle_report::{ApprovalEntry, ReviewForm, SignReport, SignSetReport};
use bundle_trust::{
    Effective, SeenReport, Signer, load_private, load_public, write_approval, write_countersignature,
};

use crate::bases::BaseDirArguments;
use crate::command::key::ask_passphrase;
use crate::exit::{Code, Failure, Id};
use crate::output::{self, name};
use crate::progress::progress;
use crate::several::Failed;
use crate::trust::TrustArguments;

/// Checks every byte of a bundle, and adds a signature beside it: `NAME.<fingerprint>.sig`
#[derive(clap::Args)]
#[command(group(clap::ArgGroup::new("signer").args(["key", "sign_command"]).required(true)))]
pub(crate) struct Sign {
    /// Bundles to check and sign
    #[arg(required = true, value_name = "BUNDLE")]
    bundles: Vec<PathBuf>,

    /// Private key to sign with
    #[arg(long, value_name = "FILE")]
    key: Option<PathBuf>,

    /// Command to sign with: it reads the statement from standard input and writes the raw 64 bytes of an
    /// Ed25519 signature
    #[arg(long, value_name = "COMMAND", requires = "public_key")]
    sign_command: Option<String>,

    /// Public key that verifies the signature of --sign-command
    #[arg(long, value_name = "FILE", requires = "sign_command")]
    public_key: Option<PathBuf>,

    #[command(flatten)]
    trust: TrustArguments,

    /// Report on the bundle that you approve it by (of `bundle report`, or what you made of it): its digest is signed, too
    #[arg(long, value_name = "FILE")]
    report: Option<PathBuf>,

    #[command(flatten)]
    bases: BaseDirArguments,
}

impl Sign {
    pub(crate) fn run(self) -> Result<(), Failure> {
        let (signer, public) = match (&self.key, &self.sign_command, &self.public_key) {
            (Some(key), _, _) => {
                let key = load_private(key, ask_passphrase)?;
                let public = key.public();
                (Signer::Key(key), public)
            }
            (None, Some(command), Some(public)) => {
                let public = load_public(public)?;
                (Signer::Command { command: command.clone(), public: public.clone() }, public)
            }
            _ => return Err(Failure::text(Code::Usage, "a signature needs a key: --key or --sign-command")),
        };
        let policy = self.trust.effective()?.for_signing();
        let lent = self.bases.lent()?;
        let seen = match &self.report {
            Some(_) if self.bundles.len() > 1 => {
                return Err(Failure::text(Code::Usage, "--report is of one bundle, and several are named"));
            }
            Some(report) => Some(SeenReport::read(report)?),
            None => None,
        };
        let sign = |bundle: &Path| signed(bundle, &policy, &signer, &public, &lent, seen.as_ref());
        if let [bundle] = self.bundles.as_slice() {
            return output::report(&sign(bundle)?);
        }
        let (bundles, failed) = Failed::each(&self.bundles, sign);
        output::report(&SignSetReport { bundles, failed: failed.entries() })?;
        failed.end()
    }
}

fn signed(
    path: &Path,
    policy: &Effective,
    signer: &Signer,
    public: &PublicKey,
    lent: &Lent,
    seen: Option<&SeenReport>,
) -> Result<SignReport, Failure> {
    let progress = progress("verifying");
    let medium = Medium::open(path, &Limits::V1)?;
    let threads = std::thread::available_parallelism().map_or(1, usize::from);
    let limits = Limits::V1;
    let Verification { checks, bundle, refused, .. } =
        verify(Some(path), policy, &[], lent, &limits, threads, &**progress)?;
    drop(progress);
    let reasons: Vec<&str> = checks
        .iter()
        .filter_map(|check| match &check.verdict {
            CheckOutcome::Failed(reasons) | CheckOutcome::Unknown(reasons) => {
                Some(reasons.iter().map(String::as_str))
            }
            CheckOutcome::Passed | CheckOutcome::NotReached => None,
        })
        .flatten()
        .collect();
    let Some(bundle) = bundle.filter(|_| reasons.is_empty()) else {
        let text = format!("{} is not signed, for it is not right: {}", name(path), reasons.join("; "));
        let id = refused.map_or(Id::NotTrusted, |error| Failure::from(error).id());
        return Err(Failure::text(id, text));
    };
    let failed = |error: std::io::Error| {
        Failure::text(Code::Failed, format!("{} cannot be read: {error}", name(path)))
    };
    let head = Unverified::read(&mut Cursor::new(&medium).map_err(failed)?, &limits)
        .map_err(|error| Failure::new(Code::NotTrusted, &error))?;
    // The file may have changed since it was checked.
    if Digest::of(&head.statement) != bundle.trusted.digest() {
        let text = format!("{} changed while it was checked", name(path));
        return Err(Failure::text(Code::NotTrusted, text));
    }
    let beside = Medium::name(path);
    let approval = match seen {
        Some(seen) => Some(approved(&beside, seen, bundle.trusted.digest(), signer, public)?),
        None => None,
    };
    let signature = signer.sign(&head.statement)?;
    // Last: without it, the approval counts for nothing.
    let signature = write_countersignature(&beside, public, &signature)?;
    Ok(SignReport {
        approval,
        signature: name(&signature),
        stream: bundle.trusted.statement().stream.to_string(),
        sequence: bundle.trusted.statement().sequence.into(),
        signers: bundle.trusted.signers().to_vec(),
    })
}

/// Signs what was approved, and writes it beside the bundle.
fn approved(
    beside: &Path,
    seen: &SeenReport,
    statement: Digest,
    signer: &Signer,
    public: &PublicKey,
) -> Result<ApprovalEntry, Failure> {
    let mark = ReviewForm::of_name(seen.path()).map(|form| form.mark(&statement.to_string()));
    let approval = seen.approve(statement, mark.as_deref(), Timestamp::now())?;
    let bytes = approval.to_bytes();
    let file = write_approval(beside, public, &bytes, &signer.sign(&bytes)?)?;
    Ok(approval_entry(&approval, None, Some(&file)))
}

/// An approval as reports have it.
pub(crate) fn approval_entry(approval: &Approval, by: Option<&str>, file: Option<&Path>) -> ApprovalEntry {
    ApprovalEntry {
        by: by.map(str::to_owned),
        name: approval.name.clone(),
        report: approval.report.to_string(),
        approved: approval.approved.to_string(),
        file: file.map(name),
    }
}
