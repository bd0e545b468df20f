//! A month of nights with random mishaps of media and machines. Takes a seed that is printed; after each
//! night both sides must agree on what has crossed.

use std::collections::BTreeMap;

use std::time::Duration;

use bundle_test_servers::{Check, Direction, FaultProxy, Findings, Harbor, Problem};

use crate::crossing::kill::killed_at;
use crate::sync::jobs::Nights;

/// Chance that is the same each time (xorshift64, Marsaglia 2003).
struct Chance(u64);

impl Chance {
    fn below(&mut self, limit: u64) -> u64 {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        self.0 % limit
    }

    fn percent(&mut self, percent: u64) -> bool {
        self.below(100) < percent
    }
}

const NIGHTS: u64 = 30;
const NIGHT_OF_THE_DELETION: u64 = 17;
const IMAGES: [&str; 4] = ["a", "b", "c", "d"];

/// The content of the other side. Programs can be shot through both.
enum Site {
    /// Any registry, behind a proxy.
    Plain(FaultProxy),
    Harbor(Box<Harbor>),
}

impl Site {
    fn faults(&self) -> &FaultProxy {
        match self {
            Self::Plain(proxy) => proxy,
            Self::Harbor(harbor) => harbor.faults(),
        }
    }
}

/// A month: both sides, and a proxy before the source, through which programs can be shot.
struct Month {
    nights: Nights,
    source: FaultProxy,
    target: Site,
    chance: Chance,
    /// The digests of each image, oldest first.
    history: BTreeMap<&'static str, Vec<String>>,
    /// How many runs were killed, and how many bundles met which fate.
    fates: BTreeMap<&'static str, u32>,
}

impl Month {
    fn new(seed: u64) -> Self {
        let nights = Nights::new("  fullEvery: 7\n", "");
        let target = FaultProxy::start(nights.target.host()).unwrap();
        Self::between(nights, Site::Plain(target), seed)
    }

    fn at_harbor(seed: u64) -> Self {
        let nights = Nights::new("  fullEvery: 7\n", "  harbor: harbor.yaml\n");
        let harbor = Harbor::start().unwrap();
        harbor.set_default_findings(Findings::clean());
        // Tests pull what no scan has ended for.
        std::fs::write(nights.scene.path("harbor.yaml"), "defaults: {preventPulls: never}\n").unwrap();
        let admin = harbor.admin_credentials();
        let account = format!(r#"{{"name":"{}","secret":"{}"}}"#, admin.name, admin.secret);
        std::fs::write(nights.scene.path("admin.json"), account).unwrap();
        nights.scene.shell("chmod 600 admin.json").succeeds();
        Self::between(nights, Site::Harbor(Box::new(harbor)), seed)
    }

    fn between(nights: Nights, target: Site, seed: u64) -> Self {
        let source = FaultProxy::start(nights.scene.source.host()).unwrap();
        let host = source.host();
        let images: String = IMAGES.iter().map(|name| format!("    - {host}/team/{name}:1\n")).collect();
        let text = format!("name: s\nprojects:\n  cache:\n    images:\n{images}");
        std::fs::write(nights.scene.path("bundle.yaml"), text).unwrap();
        let yaml = std::fs::read_to_string(nights.scene.path("sync.yaml")).unwrap();
        std::fs::write(
            nights.scene.path("sync.yaml"),
            yaml.replace(nights.target.host(), target.faults().host()),
        )
        .unwrap();
        let chance = Chance(seed);
        Self { nights, source, target, chance, history: BTreeMap::new(), fates: BTreeMap::new() }
    }

    fn meets(&mut self, fate: &'static str) {
        *self.fates.entry(fate).or_default() += 1;
    }

    fn change(&mut self, name: &'static str) {
        let seed = 1000 + self.history.values().map(|versions| versions.len() as u64).sum::<u64>();
        self.nights.push(name, seed);
        let client = self.nights.scene.source.client();
        let digest = client.manifest(&format!("team/{name}"), "1").unwrap().unwrap().digest;
        self.history.entry(name).or_default().push(digest);
    }

    /// All tags whose content is incomplete.
    fn incomplete(&self, how: Check) -> Vec<Problem> {
        match &self.target {
            Site::Plain(_) => self.nights.target.client().check_complete(how).unwrap(),
            Site::Harbor(harbor) => {
                let tags = harbor.contents().into_iter().flat_map(|(repository, tags)| {
                    tags.into_keys().map(move |tag| (repository.clone(), tag))
                });
                tags.flat_map(|(repository, tag)| harbor.admin().check(&repository, &tag, how)).collect()
            }
        }
    }

    fn arguments(&self, job: &str) -> Vec<String> {
        let mut arguments = ["sync", job, "--retries", "1"].to_vec();
        if let (Site::Harbor(_), "import") = (&self.target, job) {
            arguments.extend(["--credentials", "admin.json"]);
        }
        arguments.into_iter().map(str::to_owned).collect()
    }

    /// Runs a job, and now and then shoots it.
    fn run(&mut self, job: &'static str) {
        let arguments = self.arguments(job);
        if self.chance.percent(35) {
            let bytes = self.chance.below(600_000);
            let (proxy, direction) = match job {
                "export" => (&self.source, Direction::Download),
                _ => (self.target.faults(), Direction::Upload),
            };
            let killed = killed_at(&self.nights.scene, proxy, direction, bytes, &arguments);
            proxy.clear();
            if killed {
                self.meets("killed");
            }
        }
        if job == "export" {
            self.nights.scene.bundle(&arguments).succeeds();
        } else {
            // Waiting and refused bundles have their exit codes; no other error is allowed.
            let ran = self.nights.scene.bundle(&arguments);
            assert!(matches!(ran.code, Some(0 | 3 | 6 | 8)), "{ran:?}");
        }
    }

    /// Carries bundles over, more or less.
    fn carry(&mut self, waiting: &mut Vec<String>) {
        let Some(newest) = self.nights.list("out").pop() else { return };
        match self.chance.below(100) {
            0..20 => self.meets("lost"),
            20..35 => {
                // It comes later, after a newer one.
                waiting.push(newest);
                self.meets("late");
            }
            35..50 => {
                let whole = std::fs::read(self.nights.path("out", &newest)).unwrap();
                let mut bytes = whole.clone();
                let at = self.chance.below(bytes.len() as u64) as usize;
                bytes[at] ^= 1 << self.chance.below(8);
                self.nights.put(&newest, "damaged.tar");
                std::fs::write(self.nights.path("in", "damaged.tar"), bytes).unwrap();
                self.meets("damaged");
            }
            50..60 => {
                let whole = std::fs::read(self.nights.path("out", &newest)).unwrap();
                let half = self.chance.below(whole.len() as u64) as usize;
                self.nights.put(&newest, &newest);
                std::fs::write(self.nights.path("in", &newest), &whole[..half]).unwrap();
                self.run("import");
                self.nights.put(&newest, &newest);
                self.meets("half copied at first");
            }
            _ => self.nights.put(&newest, &newest),
        }
        let bundles = self.nights.list("out");
        if self.chance.percent(25) {
            let again = bundles[self.chance.below(bundles.len() as u64) as usize].clone();
            self.nights.put(&again, &format!("again-{again}"));
            self.meets("repeated");
        }
        if self.chance.percent(40) {
            for late in waiting.drain(..).filter(|late| bundles.contains(late)) {
                self.nights.put(&late, &late);
            }
        }
    }

    /// Which version of each image the other side has; none yet is version 0.
    fn versions(&self) -> BTreeMap<&'static str, usize> {
        let host = self.source.host().replace(':', "_");
        let digest = |repository: &str| match &self.target {
            Site::Plain(_) => {
                let found = self.nights.target.client().manifest(repository, "1").unwrap();
                found.map(|found| found.digest)
            }
            Site::Harbor(harbor) => harbor.tags(repository).remove("1"),
        };
        let version = |name: &&'static str| {
            let found = digest(&format!("cache/{host}/team/{name}"));
            let version = found.map_or(0, |found| {
                let known = self.history[name].iter().position(|digest| *digest == found);
                1 + known.expect("nothing is there that was never made")
            });
            (*name, version)
        };
        IMAGES.iter().map(version).collect()
    }
}

#[test]
fn thirty_nights_of_lost_repeated_reordered_and_damaged_bundles_and_kills_end_with_both_sides_equal() {
    thirty_nights(Month::new(0x9e37_79b9_7f4a_7c15));
}

#[test]
fn thirty_nights_at_a_harbor_whose_project_somebody_deletes_end_with_both_sides_equal() {
    thirty_nights(Month::at_harbor(0x2545_f491_4f6c_dd1d));
}

fn thirty_nights(mut month: Month) {
    let mut waiting = Vec::new();
    let mut before = BTreeMap::from(IMAGES.map(|name| (name, 0)));
    IMAGES.into_iter().for_each(|name| month.change(name));
    for night in 0..NIGHTS {
        for name in IMAGES {
            if month.chance.percent(30) {
                month.change(name);
            }
        }
        if let (Site::Harbor(harbor), NIGHT_OF_THE_DELETION) = (&month.target, night) {
            harbor.recreate_project("cache");
            harbor.advance(Duration::from_secs(86_400));
            harbor.collect_garbage().unwrap();
            before = month.versions();
            month.meets("deleted");
        }
        month.run("export");
        month.carry(&mut waiting);
        month.run("import");
        if month.chance.percent(60) {
            month.nights.bring_back();
        }
        // After any night the existing content is complete, and no tag ever goes back.
        assert_eq!(month.incomplete(Check::Head), [], "night {night}");
        let now = month.versions();
        for name in IMAGES {
            assert!(now[name] >= before[name], "night {night}: {name} went back from {before:?} to {now:?}");
        }
        before = now;
    }
    // Quiet nights on which nothing happens: a bundle that builds on what was deleted, and one that does not.
    let arguments = month.arguments("import");
    for _ in 0..2 {
        month.run("export");
        if let Some(newest) = month.nights.list("out").pop() {
            month.nights.put(&newest, &newest);
        }
        month.nights.scene.bundle(&arguments);
        month.nights.bring_back();
    }
    // Twice: what was damaged on the last night is refused when it is seen again.
    month.nights.scene.bundle(&arguments);
    month.nights.scene.bundle(&arguments);
    let ran = month.nights.scene.bundle(&arguments).succeeds();
    assert_eq!(ran.stderr, "");
    let newest: BTreeMap<_, _> =
        month.history.iter().map(|(name, versions)| (*name, versions.len())).collect();
    assert_eq!(month.versions(), newest, "{:?}", month.fates);
    assert_eq!(month.incomplete(Check::Hash), []);
    assert!(month.nights.list("in").is_empty());
    // Everything did happen.
    for fate in ["killed", "lost", "late", "damaged", "half copied at first", "repeated"] {
        assert!(month.fates.contains_key(fate), "no bundle was {fate}: {:?}", month.fates);
    }
    // Each refusal has one of the reasons that there were.
    for name in month.nights.list("in/refused").iter().filter(|name| name.ends_with(".reason.txt")) {
        let reason = std::fs::read_to_string(month.nights.path("in/refused", name)).unwrap();
        let damaged = name.contains("damaged");
        let old = ["is older than", "another one with this number", "builds on blobs that are gone"]
            .iter()
            .any(|cause| reason.contains(cause));
        // Two runs in one night saw the same half of a copy.
        let half = reason.contains("is truncated") || reason.contains("not a bundle");
        assert!(damaged || old || half, "{name}: {reason}");
    }
}

#[test]
fn a_night_costs_what_changed_and_a_night_without_change_costs_requests_only() {
    let mut month = Month::new(1);
    IMAGES.into_iter().for_each(|name| month.change(name));
    // One night: bytes that came from the source, and that went to the target.
    let night = |month: &Month| {
        month.source.clear();
        month.nights.export(&[]).succeeds();
        let down = month.source.bytes(Direction::Download);
        month.nights.carry();
        month.target.faults().clear();
        month.nights.import().succeeds();
        month.nights.bring_back();
        (down, month.target.faults().bytes(Direction::Upload))
    };
    let first = night(&month);
    assert!(first.0 > 400_000 && first.1 > 400_000, "{first:?}");
    month.change("a");
    // A layer of 20 kB, and manifests.
    let changed = night(&month);
    assert!(changed.0 < 40_000 && changed.1 < 40_000, "{changed:?}");
    let without = night(&month);
    // Manifests and configs, which say whether anything changed.
    assert!(without.0 < 10_000 && without.1 == 0, "{without:?}");
    // The same bundle lies in the inbox once more: it is looked for, and nothing is sent.
    assert!(
        month.target.faults().requests().iter().all(|request| matches!(&*request.method, "GET" | "HEAD"))
    );
    month.target.faults().clear();
    month.nights.import().succeeds();
    assert_eq!(
        month.target.faults().requests().len(),
        1,
        "an empty inbox asks whether the registry is there"
    );
}
