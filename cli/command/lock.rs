use std::collections::HashMap;
use std::path::PathBuf;

use bundle_bundler::{
    ChartOptions, Confirm, Head, Pins, Plan, Referrers, ResolveOptions, Resolved, SurveyedChart, resolve,
};
use bundle_format::{Limits, Sequence, Timestamp};

use crate::command::print;
use crate::command::wanted::Wanted;
use crate::connection::{Connection, Mirror};
use crate::exit::{Code, Failure, chain};
use crate::output::name;
use crate::progress::progress;
use crate::size::{Bytes, count};

#[derive(clap::Args)]
pub(crate) struct Lock {
    #[command(flatten)]
    wanted: Wanted,

    /// Where to write the lock [default: bundle.lock beside bundle.yaml]
    #[arg(short, long, value_name = "FILE")]
    output: Option<PathBuf>,

    /// Read one registry through another
    #[arg(long, value_name = "HOST=HOST/PREFIX")]
    mirror: Vec<Mirror>,

    #[command(flatten)]
    connection: Connection,
}

/// The lock that belongs to a bundle.yaml.
pub(crate) fn path_of(wanted: &Wanted) -> PathBuf {
    wanted.file.as_deref().map_or_else(|| PathBuf::from("bundle.lock"), |file| file.with_extension("lock"))
}

/// Adds the charts themselves to what was resolved.
pub(crate) fn deliver(charts: &[SurveyedChart], resolved: &mut Resolved) -> Result<(), Failure> {
    charts
        .iter()
        .try_for_each(|chart| chart.deliver(resolved))
        .map_err(|error| Failure::new(Code::Failed, &error))
}

impl Lock {
    pub(crate) async fn run(self) -> Result<(), Failure> {
        let asked = self.wanted.read()?;
        let stream = asked.name.clone();
        let progress = progress("resolving");
        let client = self.connection.client(&self.mirror, &progress)?;
        let looking =
            ChartOptions { pins: Pins::Prefer, confirm: Confirm::Ask, jobs: self.connection.jobs() };
        let charts = asked.survey(&client, None, looking, &**progress).await?;
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
        let text = plan.lock().to_yaml().map_err(|error| Failure::text(Code::Failed, error.to_string()))?;
        let path = self.output.unwrap_or_else(|| path_of(&self.wanted));
        let partial = path.with_extension("lock.new");
        std::fs::write(&partial, text).and_then(|()| std::fs::rename(&partial, &path)).map_err(|error| {
            Failure::text(Code::Failed, format!("{} cannot be written: {}", path.display(), chain(&error)))
        })?;
        drop(progress);
        print(&format!(
            "locked {}, {} in all, in {}\n",
            count(plan.lock().artifacts.len(), "artifact"),
            Bytes(plan.statement().blob_bytes()),
            name(&path)
        ))
    }
}
