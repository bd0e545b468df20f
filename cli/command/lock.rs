use std::collections::HashMap;
use std::path::PathBuf;

use bundle_bundler::{
    ChartOptions, Confirm, DiscoveredChart, Head, Lock as LockFile, Pins, Plan, Referrers, ResolveOptions,
    Resolved, resolve,
};
use bundle_format::{Limits, Sequence, Timestamp, replace_file};

use crate::command::print;
use crate::command::wanted::Wanted;
use crate::connection::{Connection, Mirror};
use crate::exit::{Code, Failure};
use crate::output::{name, tell};
use crate::progress::progress;
use crate::size::{Bytes, count};

#[derive(clap::Args)]
pub(crate) struct Lock {
    #[command(flatten)]
    wanted: Wanted,

    /// Where to write the lock; - writes to standard output [default: bundle.lock beside bundle.yaml]
    #[arg(short, long, value_name = "FILE|-")]
    output: Option<PathBuf>,

    /// Read one registry through another
    #[arg(long, value_name = "HOST=HOST/PREFIX")]
    mirror: Vec<Mirror>,

    #[command(flatten)]
    connection: Connection,
}

/// The lock that belongs to a bundle.yaml.
pub(crate) fn path_of(wanted: &Wanted) -> PathBuf {
    wanted.files.first().map_or_else(|| PathBuf::from("bundle.lock"), |file| file.with_extension("lock"))
}

/// Adds the charts themselves to what was resolved.
pub(crate) fn deliver(charts: &[DiscoveredChart], resolved: &mut Resolved) -> Result<(), Failure> {
    charts
        .iter()
        .try_for_each(|chart| chart.deliver(resolved))
        .map_err(|error| Failure::new(Code::Failed, &error))
}

impl Lock {
    pub(crate) async fn run(self) -> Result<(), Failure> {
        let path = self.output.clone().unwrap_or_else(|| path_of(&self.wanted));
        let to_pipe = path.as_os_str() == "-";
        if !to_pipe {
            LockFile::may_replace(&path)?;
        }
        let asked = self.wanted.read()?;
        let stream = asked.name.clone();
        let progress = progress("resolving");
        let client = self.connection.client(&self.mirror, &progress)?;
        let looking =
            ChartOptions { pins: Pins::Prefer, confirm: Confirm::Ask, jobs: self.connection.jobs() };
        let charts = asked.discover(&client, None, looking, &**progress).await?;
        let requests = asked.merged(&charts)?;
        let options =
            ResolveOptions { referrers: Referrers::Leave, pins: Pins::Prefer, jobs: self.connection.jobs() };
        let mut resolved = resolve(&client, &requests, &HashMap::new(), options, &**progress).await?;
        deliver(&charts, &mut resolved)?;
        let head = Head {
            stream: stream.unwrap_or_default(),
            sequence: Sequence::try_from(1).map_err(|error| Failure::new(Code::Failed, &error))?,
            created: Timestamp::now(),
            expires: None,
            previous: None,
        };
        let plan = Plan::new(resolved, &head, &Limits::V1)?;
        let lock = plan.lock();
        let text = lock.to_yaml().map_err(|error| Failure::new(Code::Failed, &error))?;
        if !to_pipe {
            replace_file(&path, text.as_bytes())?;
        }
        drop(progress);
        let artifacts = count(lock.artifacts.len(), "artifact");
        let size = Bytes(plan.statement().blob_bytes());
        let line = format!("locked {artifacts}, {size} in all, in {}", name(&path));
        if !to_pipe {
            return print(&format!("{line}\n"));
        }
        print(&text)?;
        tell(&line);
        Ok(())
    }
}
