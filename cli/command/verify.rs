use std::path::PathBuf;
use std::time::Instant;

use bundle_format::{Layer, Limits, Medium};
use bundle_importer::{Verdict, verify};
use bundle_oci::Digest;
use serde_json::json;

use crate::command::{print, print_json, quoted, refuse_terminal};
use crate::exit::{Code, Failure};
use crate::output::name;
use crate::progress::progress;
use crate::size::{Bytes, Took, count};
use crate::trust::TrustArguments;

#[derive(clap::Args)]
pub(crate) struct Verify {
    /// The bundle; - reads standard input
    #[arg(value_name = "FILE|-")]
    bundle: PathBuf,

    #[command(flatten)]
    trust: TrustArguments,

    /// How many blobs are hashed at once [default: one for each processor]
    #[arg(short, long, value_name = "N", value_parser = clap::value_parser!(u16).range(1..=64))]
    jobs: Option<u16>,

    /// Print the verdicts as JSON
    #[arg(long)]
    json: bool,
}

impl Verify {
    pub(crate) fn run(self) -> Result<(), Failure> {
        let started = Instant::now();
        let policy = self.trust.effective()?;
        let countersignatures = self.trust.countersignatures()?;
        let path = (self.bundle.as_os_str() != "-").then_some(self.bundle.as_path());
        if path.is_none() {
            refuse_terminal()?;
        }
        let progress = progress("verifying");
        if let Some(Ok(medium)) = path.map(|path| Medium::open(path, &Limits::V1)) {
            progress.total(medium.size().unwrap_or_default());
        }
        let processors = || std::thread::available_parallelism().map_or(1, usize::from);
        let threads = self.jobs.map_or_else(processors, usize::from);
        let blob = Digest::of(b"");
        let tell = |bytes| progress.advance(blob, bytes);
        let (checks, bundle) = verify(path, &policy, &countersignatures, &Limits::V1, threads, &tell)?;
        drop(progress);
        let trusted = checks.iter().all(|check| check.verdict == Verdict::Passed);
        if self.json {
            let checks: Vec<_> = checks
                .iter()
                .map(|check| {
                    let (verdict, reasons): (_, &[String]) = match &check.verdict {
                        Verdict::Passed => ("passed", &[]),
                        Verdict::Failed(reasons) => ("failed", reasons),
                        Verdict::NotReached => ("not reached", &[]),
                    };
                    json!({"check": check.name.as_str(), "verdict": verdict, "reasons": reasons})
                })
                .collect();
            print_json(&json!({"trusted": trusted, "checks": checks}))?;
        } else {
            let mut text = String::new();
            for check in &checks {
                let verdict = match &check.verdict {
                    Verdict::Passed => "passed".to_owned(),
                    Verdict::Failed(reasons) => format!("FAILED  {}", reasons.join("\n                   ")),
                    Verdict::NotReached => "not reached".to_owned(),
                };
                text.push_str(&format!("{:<10} {verdict}\n", check.name.as_str()));
            }
            if trusted && let Some(bundle) = &bundle {
                text.push_str(&format!(
                    "{} is whole and signed by {}: {}, {}, {}, in {}\n",
                    name(&self.bundle),
                    quoted(bundle.trusted.signers()),
                    count(bundle.trusted.statement().artifacts.len(), "artifact"),
                    count(bundle.trusted.statement().blobs.len(), "blob"),
                    Bytes(bundle.size),
                    Took(started.elapsed())
                ));
            }
            print(&text)?;
        }
        if trusted {
            return Ok(());
        }
        Err(Failure::text(Code::NotTrusted, format!("{} must not be used", name(&self.bundle))))
    }
}
