//! `scan`: looks for vulnerabilities in the images of a bundle, and judges them by a policy.
//! Takes a bundle, a scanner and exceptions; writes the result beside the bundle and prints it.

use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use bundle_format::{BundleId, Timestamp};
use bundle_input::Span;
use bundle_report::{
    BundleEntry, BundleScanReport, ExceptionEntry, FindingCounts, FindingRow, MadeSbomsEntry,
    ScannedImageEntry,
};
use bundle_scan::{
    Cache, Counts, Exception, Exceptions, Identity, Judged, JudgedFinding, Judgement, Limits, Login,
    MakeSbomsError, Policy, SbomForm, ScanRecord, Scanned, Scanner, ScannerKind, Severity, Verdict,
    WrittenScan, images, judge, make_sboms, scan_all, write_record,
};
use bundle_serve::{Event, Observer, Server, Store, Users};
use bundle_trust::{Signer, load_private};
use tokio::net::TcpListener;

use crate::bases::BaseDirArguments;
use crate::command::key::ask_passphrase;
use crate::command::serve::source;
use crate::environment::{self, HOME, XDG_CACHE_HOME};
use crate::exit::{Code, Failure, Id};
use crate::interrupt::{self, Left};
use crate::output::{self, name, tell};
use crate::program::PROGRAM;
use crate::size::count;
use crate::trust::TrustArguments;

#[derive(clap::Args)]
pub(crate) struct Scan {
    /// Bundle whose images are scanned
    #[arg(value_name = "FILE")]
    bundle: PathBuf,

    /// Scanner: trivy, grype, or a program that is called with an image's reference and prints Trivy's JSON
    #[arg(long, value_name = "trivy|grype|COMMAND", default_value = "trivy", value_parser = scanner_kind)]
    scanner: ScannerKind,

    /// Least severity that blocks an image: low, medium, high or critical. Below it, medium ones warn
    #[arg(long, value_name = "SEVERITY", default_value = "high")]
    severity: Severity,

    /// Vulnerability database: Trivy's cache directory, or Grype's database directory [default: trivy or grype/db in
    /// XDG_CACHE_HOME or ~/.cache]
    #[arg(long, value_name = "DIR")]
    db: Option<PathBuf>,

    /// Statements on what does not affect the images (VEX), which the scanner reads
    #[arg(long, value_name = "FILE")]
    vex: Option<PathBuf>,

    /// Exceptions (YAML): vulnerability, image, owner, last day and reason of each
    #[arg(long, value_name = "FILE")]
    ignore: Option<PathBuf>,

    /// Directory of the result [default: beside the bundle]
    #[arg(short, long, value_name = "DIR")]
    output: Option<PathBuf>,

    /// Have the scanner make an SBOM of each image that carries none, in a file of this directory; `bundle create --sboms`
    /// attaches them
    #[arg(long, value_name = "DIR")]
    sbom: Option<PathBuf>,

    /// Form of these SBOMs: spdx, which Harbor shows, or cyclonedx
    #[arg(long, value_name = "FORM", default_value = "spdx", requires = "sbom")]
    sbom_form: SbomForm,

    /// Private key to sign the result with
    #[arg(long, value_name = "FILE")]
    key: Option<PathBuf>,

    /// Number of images scanned at once, at most 64; the setting `jobs` is taken, too
    #[arg(short, long, value_name = "N", default_value_t = 4, value_parser = clap::value_parser!(u8).range(1..=64))]
    jobs: u8,

    /// Longest time for the scan of one image
    #[arg(long, value_name = "TIME", default_value = "10m")]
    image_timeout: Span,

    /// Scan images again that the same scanner has scanned with the same database
    #[arg(long)]
    rescan: bool,

    /// Earlier bundle that a delta builds on; repeatable
    #[arg(long, value_name = "FILE")]
    with: Vec<PathBuf>,

    #[command(flatten)]
    bases: BaseDirArguments,

    #[command(flatten)]
    trust: TrustArguments,
}

fn scanner_kind(text: &str) -> Result<ScannerKind, &'static str> {
    match text {
        "" => Err("must be trivy, grype or a program"),
        "trivy" => Ok(ScannerKind::Trivy),
        "grype" => Ok(ScannerKind::Grype),
        program => Ok(ScannerKind::Command(program.into())),
    }
}

/// Notes what a scanner cannot know: that the bundle itself is damaged.
#[derive(Default)]
struct Watch {
    damaged: AtomicBool,
}

impl Observer for Watch {
    fn event(&self, event: &Event<'_>) {
        if matches!(event, Event::Damaged { .. }) {
            self.damaged.store(true, Ordering::Relaxed);
        }
    }
}

impl Scan {
    pub(crate) async fn run(self) -> Result<(), Failure> {
        let limits = Limits::DEFAULT;
        let exceptions = match &self.ignore {
            Some(path) => Exceptions::read(path, &limits)?,
            None => Exceptions::default(),
        };
        let key = self.key.as_ref().map(|path| load_private(path, ask_passphrase)).transpose()?;
        let signer = key.map(Signer::Key);
        let places = WrittenScan::places(&self.bundle, self.output.as_deref());
        places.may_replace()?;
        let mut scanner = self.scanner()?;
        if self.sbom.is_some() {
            scanner.makes_sboms()?;
        }
        let policy = self.trust.effective()?;
        let lent = self.bases.lent()?;
        let serving = bundle_serve::Limits::default();
        let first = source(&self.bundle, &policy, &lent, serving.ahead)?;
        let trusted = first.archive.trusted();
        let statement = trusted.statement();
        let bundle = BundleId {
            stream: statement.stream.clone(),
            sequence: statement.sequence,
            statement: trusted.digest(),
        };
        let (statement, images) = (statement.clone(), images(statement, &first.graph));
        let mut sources = vec![first];
        for path in &self.with {
            sources.push(source(path, &policy, &lent, serving.ahead)?);
        }
        let watch = Arc::new(Watch::default());
        let store = Arc::new(Store::new(sources, serving, watch.clone()).map_err(|error| {
            let failure = Failure::from(error);
            if failure.is(Id::BaseMissing) {
                failure.hint("name the bundles that it builds on with --with")
            } else {
                failure
            }
        })?);
        let identity = scanner.identity(&limits).await?;
        let refused = |error: std::io::Error| Failure::new(Code::Failed, &error);
        let listener = TcpListener::bind("127.0.0.1:0").await.map_err(refused)?;
        let host = listener.local_addr().map_err(refused)?.to_string();
        // Others on this machine reach the port, too.
        let login = Login::random(&host).map_err(refused)?;
        let users = Users::one(login.user(), login.password())?;
        scanner.login = Some(login);
        let server = Server::new(store, Some(users), None, watch.clone(), PROGRAM);
        let serving = tokio::spawn(server.run(listener, std::future::pending()));
        interrupt::leaves(Left::Kept("results of the images scanned so far are kept".to_owned()));
        let cache = cache_directory("bundle/scans").map(|directory| Cache::new(directory, self.rescan));
        let done = |image: &str| tell(&format!("scanned {image}"));
        let jobs = usize::from(self.jobs);
        let scan = async {
            let scanned = scan_all(&images, &host, &scanner, &identity, cache.as_ref(), jobs, done).await;
            let Some(directory) = self.sbom.as_deref() else { return Ok((scanned, None)) };
            let done = |image: &str| tell(&format!("SBOM of {image} made"));
            let wanted = (self.sbom_form, directory);
            let made = make_sboms(&statement, &images, &host, &scanner, wanted, jobs, done).await?;
            Ok::<_, MakeSbomsError>((scanned, Some(made)))
        };
        let scanned = interrupt::stop().unless(scan).await;
        serving.abort();
        let Some(scanned) = scanned else {
            return Err(Failure::text(Code::Failed, "the scan was interrupted"));
        };
        let (scanned, made) = scanned?;
        let now = Timestamp::now();
        let judgement = judge(&images, &scanned.found, Policy { block: self.severity }, &exceptions, now);
        let mut record = ScanRecord {
            scan_version: ScanRecord::VERSION,
            bundle,
            scanner: identity,
            block: self.severity,
            scanned: now,
            images: judgement.images.clone(),
            expired: judgement.expired.clone(),
            sarif: None,
        };
        write_record(&places, &mut record, signer.as_ref())?;
        let mut report = report(&self.bundle, &record, &judgement, &scanned, &places, signer.is_some());
        report.sboms = made.as_ref().zip(self.sbom.as_deref()).map(|(made, directory)| MadeSbomsEntry {
            directory: name(directory),
            form: self.sbom_form.as_str().to_owned(),
            made: made.made,
            known: made.known,
            carried: made.carried,
            failed: made.failed.iter().map(|(image, why)| format!("{image}: {why}")).collect(),
        });
        output::report(&report)?;
        verdict(&judgement, watch.damaged.load(Ordering::Relaxed), &self.bundle)?;
        match made.map(|made| made.failed.len()).filter(|failed| *failed > 0) {
            Some(failed) => {
                let text = format!("no SBOM of {} was made", count(failed, "manifest"));
                Err(Failure::text(Id::ScanFailed, text).hint("the last lines say why"))
            }
            None => Ok(()),
        }
    }

    fn scanner(&self) -> Result<Scanner, Failure> {
        let usual = match &self.scanner {
            ScannerKind::Trivy => cache_directory("trivy"),
            ScannerKind::Grype => cache_directory("grype/db"),
            ScannerKind::Command(_) => None,
        };
        // Without one there, the scanner says that it has none.
        let database = self.db.clone().or(usual.filter(|path| path.is_dir()));
        let scanner = Scanner {
            kind: self.scanner.clone(),
            database,
            vex: self.vex.clone(),
            timeout: self.image_timeout.0,
            login: None,
        };
        Ok(scanner.absolute()?)
    }
}

/// A directory below the user's cache.
fn cache_directory(name: &str) -> Option<PathBuf> {
    let cache = environment::path(XDG_CACHE_HOME);
    let cache = cache.or_else(|| environment::path(HOME).map(|home| home.join(".cache")));
    cache.map(|cache| cache.join(name))
}

/// How the command ends.
fn verdict(judgement: &Judgement, damaged: bool, bundle: &Path) -> Result<(), Failure> {
    if damaged {
        let text = "the bundle has other bytes than were signed, so that its images could not be scanned";
        return Err(Failure::text(Id::Damaged, text).of(bundle));
    }
    let number = |verdict| judgement.images.iter().filter(|image| image.verdict == verdict).count();
    let (blocked, failed) = (number(Verdict::Blocked), number(Verdict::Failed));
    let also =
        if failed > 0 { format!(", and {} not scanned", count(failed, "image")) } else { String::new() };
    match (blocked, failed) {
        (0, 0) => Ok(()),
        (0, _) => Err(Failure::text(Id::ScanFailed, format!("{} not scanned", count(failed, "image")))
            .hint("the lines below each image say why; scanned images are not scanned again")),
        (_, _) => Err(Failure::text(
            Id::ScanBlocked,
            format!("{} blocked by findings{also}", count(blocked, "image")),
        )
        .hint("take a newer image, or enter an exception with owner and last day in the file of --ignore")),
    }
}

fn report(
    file: &Path,
    record: &ScanRecord,
    judgement: &Judgement,
    scanned: &Scanned,
    places: &WrittenScan,
    signed: bool,
) -> BundleScanReport {
    let Identity { name: scanner, version, database, .. } = record.scanner.clone();
    let mut images: Vec<&Judged> = judgement.images.iter().collect();
    images.sort_by_key(|image| std::cmp::Reverse(image.verdict));
    BundleScanReport {
        file: name(file),
        bundle: BundleEntry::from(&record.bundle),
        scanner,
        scanner_version: version,
        database,
        block: record.block.to_string(),
        images: images.into_iter().map(image_entry).collect(),
        expired: judgement.expired.iter().map(exception_entry).collect(),
        unused: judgement.unused.iter().map(exception_entry).collect(),
        scanned: scanned.found.len() - scanned.cached,
        cached: scanned.cached,
        record: name(&places.record),
        sarif: name(&places.sarif),
        signed,
        sboms: None,
    }
}

fn image_entry(image: &Judged) -> ScannedImageEntry {
    let whole = image.platforms.iter().filter(|part| part.error.is_none());
    ScannedImageEntry {
        image: image.image.clone(),
        source: image.source.clone(),
        digest: image.digest.to_string(),
        verdict: image.verdict.as_str().to_owned(),
        counts: counts(image.counts),
        platforms: whole
            .map(|part| part.platform.clone().unwrap_or_else(|| part.digest.to_string()))
            .collect(),
        errors: image.errors(),
        unrecognised: image.is_unrecognised(),
        findings: image.findings().into_iter().map(finding_row).collect(),
    }
}

/// A finding as reports have it.
pub(crate) fn finding_row(it: &JudgedFinding) -> FindingRow {
    FindingRow {
        id: it.finding.id.clone(),
        severity: it.finding.severity.to_string(),
        package: it.finding.package.clone(),
        installed: it.finding.installed.clone(),
        fixed: it.finding.fixed.clone(),
        verdict: it.verdict.as_str().to_owned(),
        exception: it.exception.as_ref().map(exception_entry),
    }
}

/// The numbers of findings as reports have them.
pub(crate) fn counts(counts: Counts) -> FindingCounts {
    let Counts { critical, high, medium, low, unknown, excepted } = counts;
    FindingCounts { critical, high, medium, low, unknown, excepted }
}

/// An exception as reports have it.
pub(crate) fn exception_entry(exception: &Exception) -> ExceptionEntry {
    ExceptionEntry {
        vulnerability: exception.vulnerability.clone(),
        image: exception.image.clone(),
        owner: exception.owner.clone(),
        expires: exception.expires.clone(),
        reason: exception.reason.clone(),
    }
}
