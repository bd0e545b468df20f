//! `create`: packs images into one signed bundle, or says what it would pack.
//! Takes what is wanted, a key and an output; gives a file, volumes or a pipe, and a report.

use std::io::IsTerminal;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::{Duration, Instant};

use bundle_bundler::{
    Assembled, Assembly, Compaction, Confirm, CreateShard, Created, Expires, ForeignLayers, Inventory,
    LockBeside, MissingPlatforms, OutputError, Pins, Plan, PolicyOverride, Referrers, Shape, SignatureCheck,
    SignatureOutcome, SignedIndexes, Sink, StatementHead, Unchanged, create, stream_of_file,
};
use bundle_format::{
    Effort, Limits, ParityShare, ScratchSpace, Sequence, StreamName, Timestamp, VolumeNames, VolumeSize,
};
use bundle_importer::Shard;
use bundle_oci::Digest;
use bundle_registry::Progress;
use bundle_report::{
    ArtifactEntry, CreateReport, MissingEntry, OtherPlatformEntry, PlanReport, ShardEntry, SignatureEntry,
    UnchangedReport, UnreadBaseEntry,
};
use bundle_trust::{Signer, load_private, load_public};

use crate::base::BaseArguments;
use crate::bases::BaseDirArguments;
use crate::command::key::ask_passphrase;
use crate::command::wanted::{Wanted, missing_entries, tell_notices};
use crate::connection::Connection;
use crate::environment::{self, SOURCE_DATE_EPOCH};
use crate::exit::{Code, Failure};
use crate::interrupt::{self, Left};
use crate::output::{self, name};
use crate::progress::{self, progress};
use crate::sources::SourceArguments;

#[derive(clap::Args)]
#[command(group(clap::ArgGroup::new("signer").args(["key", "sign_command", "dry_run"]).required(true).multiple(true)))]
pub(crate) struct Create {
    #[command(flatten)]
    wanted: Wanted,

    /// Private key to sign with
    #[arg(long, value_name = "FILE", conflicts_with = "sign_command")]
    key: Option<PathBuf>,

    /// Command to sign with: it reads the statement from standard input and writes the raw 64 bytes of an
    /// Ed25519 signature
    #[arg(long, value_name = "COMMAND", requires = "public_key")]
    sign_command: Option<String>,

    /// Public key that verifies the signature of --sign-command
    #[arg(long, value_name = "FILE", requires = "sign_command")]
    public_key: Option<PathBuf>,

    /// Bundle to write; - writes to standard output; FILE.zst is compressed with Zstandard
    #[arg(short, long, value_name = "FILE|-", required_unless_present = "dry_run")]
    output: Option<PathBuf>,

    /// Split the bundle (with FILE.zst, the compressed bundle) into volumes of at most this size: 4GiB,
    /// 700MiB or fat32. They are FILE.001-of-003, …
    #[arg(long, value_name = "SIZE")]
    volume_size: Option<VolumeSize>,

    /// Write only one shard of the volumes (0/4 … 3/4), so that several runs make one bundle together, into one directory;
    /// the last to finish makes the set complete. All runs need the same arguments but for this one
    #[arg(long, alias = "share", value_name = "NUMBER/SHARDS", requires = "volume_size", conflicts_with_all = ["parity", "dry_run"])]
    shard: Option<Shard>,

    /// Send layers as the difference to what --base proves to be there, and compress them better: the far side makes
    /// the same layers of it, with the same digests. `smallest` takes several times longer
    #[arg(long, value_name = "EFFORT", num_args = 0..=1, require_equals = true, default_missing_value = "default", value_enum)]
    compact: Option<Compactness>,

    #[command(flatten)]
    base_directories: BaseDirArguments,

    /// Write parity beside the bundle, from which this share of it can be rebuilt: 10%, or 1/10 for one
    /// volume in ten
    #[arg(long, value_name = "SHARE")]
    parity: Option<ParityShare>,

    /// Fail if bundle.lock lacks an image, or if a locked digest no longer exists
    #[arg(long)]
    locked: bool,

    /// Print the plan, and write nothing
    #[arg(long)]
    dry_run: bool,

    /// Stream of the bundle [default: the name in bundle.yaml, or the stream of --base, or the output's file
    /// name without its ending and dates]
    #[arg(long, value_name = "NAME")]
    stream: Option<StreamName>,

    /// Sequence of the bundle in its stream [default: the creation time in seconds since 1970]
    #[arg(long, value_name = "N")]
    sequence: Option<Sequence>,

    /// Creation time, RFC 3339 [default: SOURCE_DATE_EPOCH, or now]
    #[arg(long, value_name = "TIME")]
    created: Option<Timestamp>,

    /// Expiry: an RFC 3339 time, or a duration after the creation, e.g. 12h, 30d, 8w
    #[arg(long, value_name = "TIME|DURATION")]
    expires: Option<Expires>,

    #[command(flatten)]
    base: BaseArguments,

    /// Do not carry signatures, attestations and other referrers
    #[arg(long)]
    no_referrers: bool,

    /// Fail unless each image has at least one referrer and all of them can be fetched
    #[arg(long, conflicts_with = "no_referrers")]
    require_referrers: bool,

    /// Directory of SBOMs that `bundle scan --sbom` wrote: they are attached to the images that carry none
    #[arg(long, value_name = "DIR")]
    sboms: Option<PathBuf>,

    /// Fail if an image lacks one of the requested platforms
    #[arg(long)]
    strict_platforms: bool,

    /// Carry all platforms of an image whose index is signed, so that its signatures stay valid
    #[arg(long)]
    keep_signed_indexes: bool,

    /// Carry layers marked non-distributable too (Windows base images); check the vendor's licence first
    #[arg(long)]
    include_foreign: bool,

    #[command(flatten)]
    sources: SourceArguments,

    #[command(flatten)]
    connection: Connection,
}

/// How hard a compact bundle is worked on.
#[derive(Clone, Copy, Debug, clap::ValueEnum)]
enum Compactness {
    /// Fast enough for a nightly job
    Default,
    /// For slow lines and dear media
    Smallest,
}

impl From<Compactness> for Effort {
    fn from(compactness: Compactness) -> Self {
        match compactness {
            Compactness::Default => Self::Default,
            Compactness::Smallest => Self::Smallest,
        }
    }
}

impl Create {
    pub(crate) async fn run(self) -> Result<(), Failure> {
        let started = Instant::now();
        let to_pipe = self.output.as_deref().is_some_and(|output| output.as_os_str() == "-");
        if to_pipe && std::io::stdout().is_terminal() {
            return Err(Failure::text(Code::Usage, "a bundle is not written to a terminal")
                .hint("choose a file with -o FILE, or pipe the output"));
        }
        let compress =
            self.output.as_deref().is_some_and(|path| path.extension().is_some_and(|end| end == "zst"));
        if to_pipe && self.volume_size.is_some() {
            return Err(Failure::text(Code::Usage, "a pipe cannot have volumes")
                .hint("choose a file with -o FILE, or let the other end split the pipe"));
        }
        if to_pipe && self.parity.is_some() {
            return Err(
                Failure::text(Code::Usage, "a pipe cannot have parity").hint("choose a file with -o FILE")
            );
        }
        // Errors that need no network are found before any request.
        let signer = self.signer()?;
        if compress && self.compact.is_some() {
            return Err(Failure::text(Code::Usage, "a compact bundle is compressed already")
                .hint("name the file without .zst"));
        }
        let shape = Shape { compress, volumes: self.volume_size, parity: self.parity };
        let compaction = self.compact.map(|compact| self.compaction(compact)).transpose()?;
        let path = self.output.as_deref().filter(|_| !to_pipe && !self.dry_run);
        if compress && self.shard.is_some() {
            return Err(Failure::text(
                Code::Usage,
                "a bundle that is compressed as a whole cannot have shards",
            )
            .hint("name the file without .zst; for small bundles, --compact works with --shard"));
        }
        let output = match (path, &compaction) {
            (Some(path), compaction) if let (Some(shard), Some(size)) = (self.shard(), self.volume_size) => {
                Some(Sink::shard(path, size, shard, compaction.clone())?)
            }
            (Some(path), Some(compaction)) => Some(Sink::compact(path, shape, compaction.clone())?),
            (Some(path), None) => Some(Sink::file(path, shape)?),
            (None, _) => None,
        };
        let mut asked = self.wanted.read()?;
        asked.sboms = self.sboms.clone().or(asked.sboms);
        let progress = progress("fetching");
        let mut bases = self.base.load(&**progress)?;
        interrupt::leaves(self.left());
        let client = self.connection.client(&self.sources, &asked.sources, None, &progress)?;
        let pins = if self.locked { Pins::Demand } else { Pins::Prefer };
        let assembly = Assembly {
            client: &client,
            lock: LockBeside::read(&self.wanted.lock_path(), pins)?,
            earlier: None,
            pins,
            overrule: self.overrule(),
            confirm: Confirm::Ask,
            jobs: self.connection.jobs(),
            referrers_max_age: Duration::ZERO,
        };
        let created = self.created()?;
        let sequence = match self.sequence {
            Some(sequence) => sequence,
            None => Sequence::try_from(created.unix().max(1).unsigned_abs())
                .map_err(|error| Failure::new(Code::Usage, &error))?,
        };
        let stream = match self.stream.clone().or(asked.stream.clone()) {
            Some(stream) => stream,
            None => self.unnamed_stream(&bases, &**progress),
        };
        let head = StatementHead {
            stream,
            sequence,
            created,
            expires: self.expires.map(|expires| expires.after(created)).transpose()?,
            previous: None,
        };
        let Assembled { mut plan, notices, signatures } = assembly.plan(asked, &head, &**progress).await?;
        tell_notices(&notices, &**progress);
        let missing = missing_entries(&notices);
        let signatures = signature_entries(&signatures);
        if !bases.is_empty() {
            BaseArguments::complete(&mut bases, &client, self.connection.jobs(), &**progress).await;
            if plan.build_on(&bases, &Limits::V1)? == Unchanged::Yes {
                drop(progress);
                let bases = bases.iter().map(ToString::to_string).collect();
                return output::report(&UnchangedReport { changed: false, bases });
            }
        }
        if to_pipe {
            plan.fits_pipe(&Limits::V1)?;
        }
        if self.dry_run {
            drop(progress);
            let estimate = compaction.as_ref().map(|_| plan.compact_estimate(&bases));
            return output::report(&planned(&plan, missing, signatures, estimate));
        }
        let Some(signer) = signer else {
            return Err(Failure::text(Code::Usage, "a bundle needs a key: --key or --sign-command"));
        };
        let unpinned = self.sequence.is_none()
            && self.created.is_none()
            && environment::text(SOURCE_DATE_EPOCH).is_none();
        if let Some(output) = &output
            && let Some(earlier) = output.earlier(&Limits::V1)
        {
            let is_same = unpinned && plan.adopt(&earlier) || earlier == *plan.statement();
            if self.shard.is_some() {
                // Whether they are of one bundle is found below.
            } else if is_same {
                progress.note("resuming with the data that an earlier run fetched");
            } else {
                progress.note("an earlier run fetched something else here; starting over");
            }
        }
        if let Some(output) = &output
            && let Some(other) = output.agree(plan.statement_bytes(), &Limits::V1)?
            && !(unpinned && plan.adopt(&other))
        {
            let place = VolumeNames::of(path.unwrap_or(Path::new("-"))).statement();
            return Err(OutputError::OtherStatement(place).into());
        }
        let signature = signer.sign(plan.statement_bytes())?;
        let plan = Arc::new(plan);
        let jobs = self.connection.jobs();
        let sink = match (output, compaction) {
            (Some(output), _) => output,
            (None, Some(compaction)) => Sink::compact_pipe(std::io::stdout(), compaction),
            (None, None) => Sink::pipe(std::io::stdout()),
        };
        let sink = sink.with_bases(bases);
        let created = create(&client, plan.clone(), &signature, sink, jobs, progress.clone()).await?;
        created.other_platforms.iter().for_each(|other| progress.note(&other.to_string()));
        created.unread_bases.iter().for_each(|unread| progress.note(&unread.to_string()));
        drop(progress);
        self.tell_done(&plan, (&created, missing, signatures), started, to_pipe)
    }

    /// The part of the bundle that this run writes.
    fn shard(&self) -> Option<CreateShard> {
        match self.shard? {
            Shard::Part { number, of } => Some(CreateShard { number, of }),
            Shard::All => None,
        }
    }

    /// How the bundle is made compact.
    fn compaction(&self, compact: Compactness) -> Result<Compaction, Failure> {
        let at_hand = self.base_directories.at_hand()?;
        let named = self.base.at_hand();
        if !named.is_empty() {
            at_hand.add(Arc::new(named));
        }
        Ok(Compaction {
            effort: compact.into(),
            bases: Vec::new(),
            at_hand,
            scratch: ScratchSpace::default(),
        })
    }

    /// The state that an interrupted run leaves.
    fn left(&self) -> Left {
        let Some(output) = self.output.as_deref().filter(|_| !self.dry_run) else { return Left::Unchanged };
        if output.as_os_str() == "-" {
            return Left::Lost("what went into the pipe is no bundle".to_owned());
        }
        if output.extension().is_some_and(|end| end == "zst") {
            return Left::Lost("a compressed bundle is written from its first byte on".to_owned());
        }
        Left::Kept(format!("what was fetched is kept beside {}", name(output)))
    }

    /// The stream of a bundle without a given one: that of its bases, or one named like its file.
    fn unnamed_stream(&self, bases: &[Inventory], progress: &dyn Progress) -> StreamName {
        let newest = bases.iter().max_by_key(|base| base.base.sequence);
        if let Some(base) = newest {
            return base.base.stream.clone();
        }
        let number = self.sequence.map(|sequence| sequence.to_string());
        let file = self.output.as_deref().filter(|path| path.as_os_str() != "-");
        if let Some(stream) = file.and_then(|path| stream_of_file(path, number.as_deref())) {
            return stream;
        }
        let stream = StreamName::default();
        if self.output.is_some() {
            progress.note(&format!(
                "the bundle is of the stream '{stream}', as nothing names another: unrelated bundles of one stream \
                 keep each other out; give each its own with --stream"
            ));
        }
        stream
    }

    fn signer(&self) -> Result<Option<Signer>, Failure> {
        if let Some(path) = &self.key {
            return Ok(Some(Signer::Key(load_private(path, ask_passphrase)?)));
        }
        let (Some(command), Some(public)) = (&self.sign_command, &self.public_key) else {
            return Ok(None);
        };
        let public = load_public(public)?;
        Ok(Some(Signer::Command { command: command.clone(), public }))
    }

    /// The image policy in the arguments, which overrides bundle.yaml.
    fn overrule(&self) -> PolicyOverride {
        PolicyOverride {
            referrers: match (self.no_referrers, self.require_referrers) {
                (true, _) => Some(Referrers::Leave),
                (false, true) => Some(Referrers::Require),
                (false, false) => None,
            },
            signed_indexes: self.keep_signed_indexes.then_some(SignedIndexes::Whole),
            missing_platforms: self.strict_platforms.then_some(MissingPlatforms::Fail),
            foreign_layers: self.include_foreign.then_some(ForeignLayers::Include),
            missing_images: None,
        }
    }

    fn created(&self) -> Result<Timestamp, Failure> {
        if let Some(created) = self.created {
            return Ok(created);
        }
        match environment::text(SOURCE_DATE_EPOCH) {
            Some(seconds) => {
                let wrong = |_| Failure::text(Code::Usage, "SOURCE_DATE_EPOCH is not a number of seconds");
                seconds.trim().parse().map_err(wrong)
            }
            None => Ok(Timestamp::now()),
        }
    }

    /// Prints the result, on standard error if standard output has the bundle.
    fn tell_done(
        &self,
        plan: &Plan,
        (created, missing, signatures): (&Created, Vec<MissingEntry>, Vec<SignatureEntry>),
        started: Instant,
        to_pipe: bool,
    ) -> Result<(), Failure> {
        let statement = plan.statement();
        let report = CreateReport {
            changed: true,
            output: name(self.output.as_deref().unwrap_or(Path::new("-"))),
            statement: Digest::of(plan.statement_bytes()).to_string(),
            stream: statement.stream.to_string(),
            sequence: statement.sequence.into(),
            size: plan.layout().size(),
            compact_size: created.compact_size,
            blobs: statement.blobs.len(),
            requires: statement.requires.len(),
            required_bytes: required_bytes(plan),
            artifacts: statement.artifacts.len(),
            deduplicated_bytes: plan.saved(),
            missing,
            other_platforms: created.other_platforms.iter().map(OtherPlatformEntry::from).collect(),
            signatures,
            unread_bases: created.unread_bases.iter().map(UnreadBaseEntry::from).collect(),
            shard: self.shard().zip(created.shard).map(|(shard, state)| ShardEntry {
                shard: shard.to_string(),
                volumes: state.volumes,
                missing: state.missing,
            }),
            seconds: started.elapsed().as_secs_f64(),
        };
        if to_pipe {
            return output::report_aside(&report);
        }
        output::report(&report)?;
        if created.shard.is_none_or(|shard| shard.missing == 0) {
            self.tell_next();
        }
        Ok(())
    }

    /// Says how the bundle goes on its way.
    fn tell_next(&self) {
        let Some(output) = &self.output else { return };
        let public = match (&self.public_key, &self.key) {
            (Some(public), _) => name(public),
            (None, Some(key)) => {
                let beside = PathBuf::from(format!("{}.pub", key.display()));
                if beside.exists() { name(&beside) } else { "KEY.pub".to_owned() }
            }
            (None, None) => return,
        };
        let (bundle, all) = match self.volume_size {
            Some(_) => (format!("{}.*", name(output)), format!("all of {}.*", name(output))),
            None if self.parity.is_some() => (name(output), format!("{0} and {0}.parity*", name(output))),
            None => (name(output), name(output)),
        };
        let file = output.file_name().map(|file| name(Path::new(file))).unwrap_or_default();
        let opened = if self.volume_size.is_some() { name(output) } else { bundle };
        progress::next(&format!(
            "check it: bundle verify {opened} --trust {public}; carry {all} across; there: \
             bundle import {file} --to REGISTRY --trust {public}"
        ));
    }
}

/// The report of a dry run.
fn planned(
    plan: &Plan,
    missing: Vec<MissingEntry>,
    signatures: Vec<SignatureEntry>,
    compact_estimate: Option<u64>,
) -> PlanReport {
    let statement = plan.statement();
    PlanReport {
        changed: true,
        size: plan.layout().size(),
        compact_estimate,
        blobs: statement.blobs.len(),
        requires: statement.requires.len(),
        required_bytes: required_bytes(plan),
        deduplicated_bytes: plan.saved(),
        artifacts: statement.artifacts.iter().map(ArtifactEntry::from).collect(),
        missing,
        signatures,
        artifact_bytes: statement.artifacts.iter().map(|artifact| plan.size_of(artifact.digest)).collect(),
    }
}

fn required_bytes(plan: &Plan) -> u64 {
    plan.statement().requires.iter().map(|blob| blob.size).sum()
}

/// What came of looking for publishers' signatures.
fn signature_entries(checks: &[SignatureCheck]) -> Vec<SignatureEntry> {
    let entry = |check: &SignatureCheck| {
        let (outcome, by, signed, why) = match &check.outcome {
            SignatureOutcome::Verified { by, signed } => {
                ("verified", Some(by.clone()), Some(signed.to_string()), None)
            }
            SignatureOutcome::NotVerified(unsigned) => ("notVerified", None, None, Some(unsigned.what())),
            SignatureOutcome::Ignored => ("ignored", None, None, None),
        };
        SignatureEntry {
            image: check.image.to_string(),
            digest: check.digest.to_string(),
            rule: check.rule.to_string(),
            signer: check.signer.clone(),
            outcome: outcome.to_owned(),
            by,
            signed,
            why,
        }
    };
    checks.iter().map(entry).collect()
}
