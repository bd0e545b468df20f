//! `lock`: resolves references to digests and writes the lockfile.
//! Takes what is wanted, gives bundle.lock or the same on standard output.

use std::path::PathBuf;
use std::time::Duration;

use bundle_bundler::{
    Assembled, Assembly, Confirm, Lock as LockFile, Pins, PolicyOverride, Referrers, StatementHead,
};
use bundle_format::{Sequence, Timestamp, replace_file};

use bundle_report::LockReport;

use crate::command::print;
use crate::command::wanted::{Wanted, missing_entries, tell_notices};
use crate::connection::Connection;
use crate::exit::{Code, Failure};
use crate::output::{self, name};
use crate::progress::progress;
use crate::sources::SourceArguments;

#[derive(clap::Args)]
pub(crate) struct Lock {
    #[command(flatten)]
    wanted: Wanted,

    /// Lockfile to write; - writes to standard output [default: bundle.lock beside bundle.yaml]
    #[arg(short, long, value_name = "FILE|-")]
    output: Option<PathBuf>,

    #[command(flatten)]
    sources: SourceArguments,

    #[command(flatten)]
    connection: Connection,
}

impl Lock {
    pub(crate) async fn run(self) -> Result<(), Failure> {
        let path = self.output.clone().unwrap_or_else(|| self.wanted.lock_path());
        let to_pipe = path.as_os_str() == "-";
        if !to_pipe {
            LockFile::may_replace(&path)?;
        }
        let asked = self.wanted.read()?;
        let progress = progress("resolving");
        let client = self.connection.client(&self.sources, &asked.sources, None, &progress)?;
        let head = StatementHead {
            stream: asked.stream.clone().unwrap_or_default(),
            sequence: Sequence::try_from(1).map_err(|error| Failure::new(Code::Failed, &error))?,
            created: Timestamp::now(),
            expires: None,
            previous: None,
        };
        let assembly = Assembly {
            client: &client,
            lock: None,
            // What the last lock has of images that are gone. One that cannot be read is no help.
            earlier: LockFile::load(&path).ok(),
            pins: Pins::Prefer,
            overrule: PolicyOverride { referrers: Some(Referrers::Leave), ..PolicyOverride::default() },
            confirm: Confirm::Ask,
            jobs: self.connection.jobs(),
            referrers_max_age: Duration::ZERO,
        };
        let Assembled { plan, notices, .. } = assembly.plan(asked, &head, &**progress).await?;
        tell_notices(&notices, &**progress);
        let lock = plan.lock();
        let text = lock.to_yaml().map_err(|error| Failure::new(Code::Failed, &error))?;
        if !to_pipe {
            replace_file(&path, text.as_bytes())?;
        }
        drop(progress);
        let report = LockReport {
            output: name(&path),
            artifacts: lock.artifacts.len(),
            bytes: plan.statement().blob_bytes(),
            missing: missing_entries(&notices),
        };
        if !to_pipe {
            return output::report(&report);
        }
        print(&text)?;
        output::report_aside(&report)
    }
}
