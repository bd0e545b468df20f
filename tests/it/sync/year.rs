//! A year of nights, each followed by a removal, at the Harbor double. In this process: the library's create and the
//! scheduled import job, as the program calls them. Without optimisation a year takes minutes; two months run always.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use bundle_bundler::{
    Asked, Assembly, Config, Confirm, Pins, PolicyOverride, Shape, Sink, StatementHead, create,
};
use bundle_harbor::Harbor;
use bundle_importer::{DeliveryOptions, Destination, OnExistingTag, OnFailure, Portion, Rollback};
use bundle_oci::Registry;
use bundle_registry::{Client, CredentialStore, Silent, Stop};
use bundle_site::{HarborOptions, RegistryKind, connect};
use bundle_sync::{BundleOutcome, ImportConfig, ImportJob, PruneRun, Pruning, SyncConfig};
use bundle_test_servers::{ImageSpec, LayerSpec};
use bundle_trust::{Effective, Signer, StoreLocation, load_private};
use tokio::runtime::Runtime;

use crate::scene::CREATED;
use crate::sync::pruning::{Dice, KEEP, Nights, theirs};

/// Both sides' jobs in this process.
struct Jobs {
    runtime: Runtime,
    source: Client,
    target: Client,
    destination: Arc<dyn Destination>,
    harbor: Harbor,
    config: ImportConfig,
    policy: Effective,
    ops: Signer,
    site: Arc<Signer>,
    options: DeliveryOptions,
}

impl Jobs {
    fn of(it: &Nights) -> Self {
        let runtime = Runtime::new().unwrap();
        let registry: Registry = it.it.harbor.host().parse().unwrap();
        let account = it.it.harbor.admin_credentials();
        let login = CredentialStore::default().with_login(registry.clone(), account.name, account.secret);
        let target = Client::builder().credentials(login).build().unwrap();
        let source = Client::builder().credentials(CredentialStore::default()).build().unwrap();
        let path = it.it.scene.path("sync.yaml");
        let config = SyncConfig::load(&path).unwrap().import(&path).unwrap();
        let key = |name: &str| {
            Signer::Key(
                load_private(&it.it.scene.path(name), |_| panic!("the key has no passphrase")).unwrap(),
            )
        };
        let site = Arc::new(key("key-site"));
        let options = DeliveryOptions {
            on_existing: OnExistingTag::Error,
            only: None,
            on_failure: OnFailure::Stop,
            rollback: Rollback::Refuse,
            allow_future: false,
            portion: Portion::default(),
            receipt: Some(config.site.clone()),
            prove: false,
            site_key: Some(site.clone()),
            state: config.state.join("state.json"),
            jobs: 4,
            adapts_jobs: false,
            stop: Stop::default(),
            limits: bundle_importer::Limits::DEFAULT,
        };
        let destination =
            connect(&target, &registry, None, RegistryKind::Harbor, HarborOptions::default(), None);
        let destination = runtime.block_on(destination).unwrap();
        let harbor = Harbor::at(&target, &registry);
        let policy = Effective::load(Some(&it.it.scene.path("key.pub")), &StoreLocation::Waived).unwrap();
        Self { runtime, source, target, destination, harbor, policy, ops: key("key"), site, options, config }
    }

    /// Writes the bundle of a night, of what `bundle.yaml` says.
    fn create(&self, it: &Nights, night: u64) {
        let asked = Asked::from(Config::load(&it.it.scene.path("bundle.yaml")).unwrap());
        let head = StatementHead {
            stream: "nightly".parse().unwrap(),
            sequence: night.try_into().unwrap(),
            created: CREATED.parse().unwrap(),
            expires: None,
            previous: None,
        };
        let assembly = Assembly {
            client: &self.source,
            lock: None,
            earlier: None,
            pins: Pins::Prefer,
            overrule: PolicyOverride::default(),
            confirm: Confirm::Ask,
            jobs: 4,
            referrers_max_age: std::time::Duration::ZERO,
        };
        let path = it.it.scene.path(&format!("in/nightly-{night}.tar"));
        self.runtime.block_on(async {
            let plan = assembly.plan(asked, &head, &Silent).await.unwrap().plan;
            let signature = self.ops.sign(plan.statement_bytes()).unwrap();
            let sink = Sink::file(&path, Shape::default()).unwrap();
            create(&self.source, Arc::new(plan), &signature, sink, 4, Arc::new(Silent)).await.unwrap();
        });
    }

    /// One run of the import job. Gives what it removed.
    fn import(&self) -> PruneRun {
        let settings = self.config.prune.as_ref().unwrap();
        let job = ImportJob {
            config: &self.config,
            policy: &self.policy,
            destination: &self.destination,
            options: &self.options,
            signer: &self.site,
            client: &self.target,
            pruning: Some(Pruning { settings, harbor: &self.harbor, keys: &[], jobs: 4 }),
        };
        let done = self.runtime.block_on(job.run(Arc::new(Silent))).unwrap();
        let is_imported = |outcome: &BundleOutcome| matches!(outcome, BundleOutcome::Imported(_));
        assert!(done.items.len() == 1 && is_imported(&done.items[0].outcome), "{done:?}");
        done.pruned.unwrap()
    }
}

type Tags = BTreeMap<(String, String), String>;

#[test]
#[ignore = "takes minutes; scripts/soak runs it"]
fn a_year_of_nights_with_pruning_ends_with_exactly_what_the_last_three_bundles_want_and_what_people_pushed() {
    play(365);
}

#[test]
fn two_months_of_nights_with_pruning_end_the_same() {
    play(60);
}

/// Each night a bundle, an import and a removal, and now and then people who push.
fn play(nights: u64) {
    let it = Nights::start(KEEP);
    let jobs = Jobs::of(&it);
    let admin = it.it.harbor.admin();
    let image = |seed: u64| ImageSpec::oci().layer(LayerSpec::new(seed, 100)).build();
    let client = it.it.scene.source.client();
    let mut dice = Dice(365);
    let (mut people, mut wanted): (Tags, Vec<Tags>) = (Tags::new(), Vec::new());
    let (mut moving, mut removed, mut most) = (5000, 0, 0);
    for night in 1..=nights {
        // A tag of its own each night, one that moves now and then, some that come and go, one that stays.
        moving += u64::from(dice.roll(4) == 0);
        let some = dice.roll(5).to_string();
        let tonight = [
            ("app", night.to_string(), image(10_000 + night)),
            ("moving", "latest".to_owned(), image(moving)),
            ("some", some, image(20_000 + dice.roll(9))),
            ("stable", "1".to_owned(), image(1)),
        ];
        let mut lines = String::new();
        let mut tags = Tags::new();
        for (name, tag, image) in &tonight {
            client.push(&format!("team/{name}"), tag, image).unwrap();
            lines.push_str(&format!(
                "    - {}/team/{name}:{tag} => {name}:{tag}\n",
                it.it.scene.source.host()
            ));
            tags.insert(((*name).to_owned(), tag.clone()), image.digest.clone());
        }
        it.it.write("bundle.yaml", &format!("name: nightly\nprojects:\n  platform:\n    images:\n{lines}"));
        jobs.create(&it, night);
        let run = jobs.import();
        assert!(run.error.is_none(), "night {night}: {run:?}");
        removed += run.streams.iter().map(|stream| stream.removed).sum::<usize>();
        wanted.push(tags);
        if dice.roll(10) == 0 && night < nights {
            let image = theirs(night);
            // Beside the stream's tags, in a repository of their own, or over one of the stream's own.
            let (name, tag) = match dice.roll(3) {
                0 => ("app", format!("dev-{night}")),
                1 => ("own", night.to_string()),
                _ => ("app", (night - dice.roll(night.min(9))).to_string()),
            };
            admin.push(&format!("platform/{name}"), &tag, &image).unwrap();
            people.insert((name.to_owned(), tag), image.digest);
        }
        if night % 30 == 0 {
            most = most.max(it.it.harbor.tags("platform/app").len());
        }
    }
    let last = || wanted.iter().rev().take(3);
    let mut expected: Tags =
        last().rev().flatten().map(|(place, digest)| (place.clone(), digest.clone())).collect();
    expected.extend(people.clone());
    let mut found = Tags::new();
    let mut digests: BTreeSet<String> = BTreeSet::new();
    for name in ["app", "moving", "some", "stable", "own"] {
        let tags = it.it.harbor.tags(&format!("platform/{name}"));
        found.extend(tags.into_iter().map(|(tag, digest)| ((name.to_owned(), tag), digest)));
        digests.extend(it.digests(name));
    }
    assert_eq!(found, expected);
    // Without a tag there is only what the last three bundles want besides.
    let all: BTreeSet<String> = last().flat_map(BTreeMap::values).chain(people.values()).cloned().collect();
    assert_eq!(digests, all);
    assert!(removed as u64 > nights - 3 && most < 50, "{removed} were removed, and app had {most} tags");
    assert!(people.len() as u64 > nights / 20, "{people:?}");
}
