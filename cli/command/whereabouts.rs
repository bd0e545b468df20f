//! `where`: which bundle brought an image, when, who signed and asked for it, and where it is now.
//! Takes receipts, bundles and a registry; gives the places, and what could not be read.

use std::path::PathBuf;

use bundle_format::Expiry;
use bundle_harbor::Harbor;
use bundle_inventory::{Answer, At, Bringing, Far, Now, Place, Problem, Sources, Subject, search};
use bundle_oci::ProjectName;
use bundle_report::{
    BringingEntry, BundleEntry, NowWord, PlaceEntry, ProblemEntry, StandingEntry, WhereReport,
};
use bundle_site::{HarborOptions, HarborSettings, HarborSite, QuotaCheck, RegistryKind, connect};
use bundle_trust::Effective;

use crate::command::import::Kind;
use crate::connection::{Connection, Login, To};
use crate::exit::{Code, Failure, Id};
use crate::output::{self, name};
use crate::progress::progress;
use crate::size::count;
use crate::trust::StoreArguments;

#[derive(clap::Args)]
#[command(group = clap::ArgGroup::new("sources").required(true).multiple(true).args(["receipts", "bundles", "to"]))]
#[command(group = clap::ArgGroup::new("asked").required(true).args(["subject", "all"]))]
pub(crate) struct Where {
    /// Image, by any end of its name (nginx:1.25, cache/docker.io/library/nginx), or a digest or its first digits, at
    /// least 8: of an image, of a platform's manifest, or of a layer
    #[arg(value_name = "IMAGE|DIGEST")]
    subject: Option<Subject>,

    /// Report every place
    #[arg(long)]
    all: bool,

    /// Receipts to read; of a directory, all *.json in it; repeatable
    #[arg(long, value_name = "FILE|DIR", requires = "trust")]
    receipts: Vec<PathBuf>,

    /// Public key of a site that signed the receipts (each signature is FILE.sig) and its registry's record; what no
    /// such key signed is not believed; repeatable
    #[arg(long, value_name = "PUBKEY")]
    trust: Vec<PathBuf>,

    /// Bundles to read, for who asked for an image; of a directory, all in it; repeatable
    #[arg(long, value_name = "FILE|DIR")]
    bundles: Vec<PathBuf>,

    /// Public key or trust.yaml to verify the bundles with [default: the keys of `bundle trust`]
    #[arg(long, value_name = "PUBKEY|FILE", requires = "bundles")]
    bundle_trust: Option<PathBuf>,

    /// Registry to look at, for what is there now
    #[arg(long, value_name = "URL|HOST[:PORT][/PATH]")]
    to: Option<To>,

    /// Project whose record is read, besides cache, platform and those that receipts name; repeatable
    #[arg(long = "project", value_name = "NAME", requires = "to")]
    projects: Vec<ProjectName>,

    /// Kind of the registry
    #[arg(long, value_enum, value_name = "KIND", default_value_t = Kind::Auto, requires = "to")]
    registry_kind: Kind,

    /// Show whole digests
    #[arg(long)]
    long: bool,

    #[command(flatten)]
    store: StoreArguments,

    #[command(flatten)]
    login: Login,

    #[command(flatten)]
    connection: Connection,
}

impl Where {
    pub(crate) async fn run(self) -> Result<(), Failure> {
        let subject = self.subject.clone().unwrap_or_else(Subject::all);
        let keys = self.store.keys(&self.trust)?;
        // What was imported in its time is asked for long after.
        let policy = match self.bundles.is_empty() {
            true => None,
            false => Some(self.policy()?.with_expiry(Expiry::Ignore)),
        };
        let progress = progress("reading");
        let far = match &self.to {
            Some(to) => Some(self.far(to, &progress).await?),
            None => None,
        };
        let sources = Sources {
            receipts: &self.receipts,
            keys: &keys,
            bundles: &self.bundles,
            policy: policy.as_ref(),
            far: far.as_ref(),
        };
        let answer = search(&subject, &sources).await?;
        if let Some(far) = &far {
            if keys.is_empty() {
                progress.note("the registry's record of accepted bundles is not read without --trust");
            }
            if far.harbor.is_none() {
                progress.note("only Harbor lists all it has: elsewhere, only repositories that receipts or bundles name are looked at");
            }
        }
        drop(progress);
        self.tell(&subject, answer)
    }

    /// The policy for bundles.
    fn policy(&self) -> Result<Effective, Failure> {
        self.store.effective(self.bundle_trust.as_deref()).map_err(|failure| match failure.is(Id::NoTrustedKey) {
            // Here the keys of --trust are those of the sites.
            true => failure
                .hint("`bundle trust add KEY.pub --name NAME`, or --bundle-trust <PUBKEY|FILE> for the bundles' signer"),
            false => failure,
        })
    }

    async fn far(&self, to: &To, progress: &crate::progress::Running) -> Result<Far, Failure> {
        let client = self.connection.client_to(to, &self.login, false, progress).await?;
        let options = HarborOptions {
            settings: HarborSettings::default(),
            quota: QuotaCheck::Ignore,
            scans: None,
            limits: bundle_site::Limits::DEFAULT,
        };
        let harbor = match self.registry_kind.into() {
            RegistryKind::Auto => Harbor::detect(&client, &to.registry).await?,
            RegistryKind::Harbor => Some(Harbor::at(&client, &to.registry)),
            RegistryKind::Plain => None,
        };
        let (projects, jobs) = (self.projects.clone(), self.connection.jobs());
        let destination: std::sync::Arc<dyn bundle_importer::Destination> = match &harbor {
            Some(harbor) => {
                to.refuse_path()?;
                std::sync::Arc::new(HarborSite::new(harbor.clone(), options))
            }
            None => {
                connect(&client, &to.registry, to.below.as_ref(), RegistryKind::Plain, options, None).await?
            }
        };
        Ok(Far { destination, harbor, projects, jobs })
    }

    fn tell(&self, subject: &Subject, answer: Answer) -> Result<(), Failure> {
        let Answer { places, problems, receipts, bundles } = answer;
        let (found, unread) = (places.len(), problems.len());
        output::report(&WhereReport {
            subject: subject.to_string(),
            to: self.to.as_ref().map(ToString::to_string),
            receipts,
            bundles,
            places: places.iter().map(place).collect(),
            problems: problems.iter().map(problem).collect(),
            long: self.long,
        })?;
        if unread > 0 {
            return Err(incomplete(unread));
        }
        if found == 0 && !subject.is_all() {
            return Err(Failure::text(Id::FoundNowhere, format!("nothing that was read knows {subject}"))
                .hint("a name must be complete from a '/' to its end, and a tag is compared as a whole"));
        }
        Ok(())
    }
}

/// The failure of an answer that may lack something.
pub(crate) fn incomplete(unread: usize) -> Failure {
    Failure::text(
        Code::Incomplete,
        format!("{} could not be used, so that the answer may lack something", count(unread, "source")),
    )
    .hint("the report names each with the cause")
}

fn place(place: &Place) -> PlaceEntry {
    let (now, now_digest) = match place.now {
        Now::Unknown => (NowWord::Unknown, None),
        Now::There => (NowWord::There, None),
        Now::Other(digest) => (NowWord::Other, Some(digest.to_string())),
        Now::Untagged => (NowWord::Untagged, None),
        Now::Gone => (NowWord::Gone, None),
    };
    PlaceEntry {
        registry: place.registry.as_ref().map(ToString::to_string),
        target: (&place.target).into(),
        digest: place.digest.to_string(),
        part: place.part.map(|digest| digest.to_string()),
        sites: place.sites.iter().map(ToString::to_string).collect(),
        brought: place.brought.iter().map(bringing).collect(),
        first: place.first.as_ref().map(bringing),
        bundles: place.bundles,
        reasons: place.reasons.clone(),
        streams: place
            .streams
            .iter()
            .map(|standing| StandingEntry {
                last: BundleEntry::from(&standing.last),
                signers: standing.signers.clone(),
                newest: BundleEntry::from(&standing.newest),
                wanted: standing.is_wanted(),
            })
            .collect(),
        recorded: place.recorded.iter().map(BundleEntry::from).collect(),
        now,
        now_digest,
        known: place.is_known(),
    }
}

fn bringing(it: &Bringing) -> BringingEntry {
    BringingEntry {
        bundle: BundleEntry::from(&it.bundle),
        imported: it.imported.to_string(),
        outcome: it.outcome.as_str().to_owned(),
        signers: it.signers.clone(),
        site: it.site.to_string(),
        receipt: name(&it.receipt),
    }
}

/// A problem as reports have it.
pub(crate) fn problem(problem: &Problem) -> ProblemEntry {
    let (kind, name) = match &problem.at {
        At::Receipt(path) => ("receipt", name(path)),
        At::Bundle(path) => ("bundle", name(path)),
        At::Record(entry) => ("record", entry.clone()),
        At::Accepted(bundle) => ("accepted", bundle.to_string()),
    };
    ProblemEntry { kind: kind.to_owned(), name, message: problem.why.clone() }
}
