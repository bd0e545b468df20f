//! Random kills and faults of create, import, serve and sync, volumes and parity included; `scripts/soak` runs
//! it. Takes `BUNDLE_SOAK` (rounds) and `BUNDLE_SOAK_SEED`; each round ends equal to a run without faults.

use std::collections::BTreeMap;
use std::process::{Command, Stdio};
use std::sync::mpsc;
use std::time::{Duration, Instant};

use bundle_test_servers::{
    Check, Client, DockerRegistry, Fault, FaultProxy, ImageSpec, LayerSpec, Matcher, Rule, sha256,
};

use crate::scene::Scene;
use crate::serve::served::Served;
use crate::sync::jobs::Nights;

/// xorshift64* (Vigna 2016).
struct Random(u64);

impl Random {
    fn next(&mut self) -> u64 {
        self.0 ^= self.0 >> 12;
        self.0 ^= self.0 << 25;
        self.0 ^= self.0 >> 27;
        self.0.wrapping_mul(0x2545_f491_4f6c_dd1d) >> 16
    }

    fn below(&mut self, end: u64) -> u64 {
        self.next() % end.max(1)
    }

    fn one<'a, T>(&mut self, of: &'a [T]) -> &'a T {
        &of[self.below(of.len() as u64) as usize]
    }
}

/// An event during a run.
enum Event {
    /// It is killed after so long.
    Kill(Duration),
    /// The network fails, once or a few times.
    Fault(&'static str, Fault, usize),
}

fn event(random: &mut Random, usual: Duration) -> Event {
    if random.below(3) > 0 {
        return Event::Kill(usual.mul_f64(random.below(1100) as f64 / 1000.0));
    }
    let bytes = random.below(60_000);
    let times = 1 + random.below(2) as usize;
    match random.below(6) {
        0 => Event::Fault("reset", Fault::ResetAfter(bytes), times),
        1 => Event::Fault("upload reset", Fault::ResetUploadAfter(bytes), times),
        2 => Event::Fault("wrong byte", Fault::WrongBytes { at: bytes % 300 }, 1),
        3 => Event::Fault("503", Fault::status(503), times),
        4 => Event::Fault("cut", Fault::ShorterBy(1 + bytes % 100), 1),
        _ => Event::Fault("swallowed", Fault::SwallowResponse, times),
    }
}

/// The rest of a run: how often what happened.
#[derive(Default)]
struct Counts(BTreeMap<String, u64>);

impl Counts {
    fn add(&mut self, what: &str) {
        *self.0.entry(what.to_owned()).or_default() += 1;
    }
}

/// Runs the program with an event, and says whether it came to a good end by itself.
fn disturbed(
    mut command: Command,
    event: &Event,
    proxy: &FaultProxy,
    random: &mut Random,
    counts: &mut Counts,
) -> bool {
    proxy.clear_rules();
    command.stdout(Stdio::null()).stderr(Stdio::null()).stdin(Stdio::null());
    let status = match event {
        Event::Kill(after) => {
            let mut child = command.stdout(Stdio::piped()).spawn().unwrap();
            let mut output = child.stdout.take().unwrap();
            let (sender, ended) = mpsc::channel();
            // Its end closes the pipe, and so the channel.
            std::thread::spawn(move || {
                std::io::copy(&mut output, &mut std::io::sink()).ok();
                drop(sender);
            });
            if ended.recv_timeout(*after) == Err::<(), _>(mpsc::RecvTimeoutError::Timeout) {
                child.kill().ok();
            }
            child.wait().unwrap()
        }
        Event::Fault(name, fault, times) => {
            let nth = random.below(12) as usize;
            proxy.add(Rule::new(Matcher::any(), fault.clone()).after(nth).times(*times));
            counts.add(&format!("fault: {name}"));
            command.spawn().unwrap().wait().unwrap()
        }
    };
    proxy.clear_rules();
    if matches!(event, Event::Kill(_)) && status.code().is_none() {
        counts.add("kill -9");
    }
    assert_ne!(status.code(), Some(101), "it panicked");
    counts.add(if status.success() { "ended well" } else { "ended early" });
    status.success()
}

const NAMES: [&str; 3] = ["a", "b", "c"];

/// How a bundle is made.
const SHAPES: [(&str, &[&str]); 6] = [
    ("b.tar", &[]),
    ("b.tar", &["--parity", "10%"]),
    ("b.tar", &["--volume-size", "128KiB", "--parity", "1/3"]),
    ("b.tar", &["--volume-size", "128KiB"]),
    ("b.tar.zst", &["--parity", "20%"]),
    ("b.tar.zst", &["--volume-size", "3MiB", "--parity", "100%"]),
];

struct World {
    scene: Scene,
    /// Before the source.
    proxy: FaultProxy,
    target: DockerRegistry,
    /// Before the target.
    front: FaultProxy,
    random: Random,
    counts: Counts,
    /// By shape: the digests of all files, and how long a run takes.
    expected: Vec<(BTreeMap<String, String>, Duration)>,
    nights: Nights,
    night_proxy: FaultProxy,
}

impl World {
    fn new(seed: u64) -> Self {
        let scene = Scene::empty();
        for (name, seed, bytes) in [("a", 1, 90_000), ("b", 2, 110_000), ("c", 3, 200_000)] {
            let image = ImageSpec::oci().layer(LayerSpec::new(seed, bytes).uncompressed()).build();
            scene.source.client().push(&format!("team/{name}"), "1", &image).unwrap();
        }
        let proxy = FaultProxy::start(scene.source.host()).unwrap();
        let target = DockerRegistry::start().unwrap();
        let front = FaultProxy::start(target.host()).unwrap();
        let nights = Nights::new("  parity: 1/2\n  volumeSize: 256KiB\n", "");
        let night_proxy = FaultProxy::start(nights.scene.source.host()).unwrap();
        let random = Random(seed ^ 0x9e37_79b9_7f4a_7c15);
        let mut world = Self {
            scene,
            proxy,
            target,
            front,
            random,
            counts: Counts::default(),
            expected: Vec::new(),
            nights,
            night_proxy,
        };
        for shape in 0..SHAPES.len() {
            let began = Instant::now();
            let status = world.create(shape).stdout(Stdio::null()).status().unwrap();
            assert!(status.success());
            let usual = began.elapsed();
            let files = world.digests();
            // The bundles to import and to serve.
            let directory = world.scene.path(&format!("s{shape}"));
            std::fs::create_dir(&directory).unwrap();
            for name in files.keys() {
                std::fs::rename(world.scene.path(name), directory.join(name)).unwrap();
            }
            world.expected.push((files, usual));
        }
        world
    }

    fn create(&self, shape: usize) -> Command {
        let (output, more) = SHAPES[shape];
        let references = NAMES.map(|name| format!("{}/team/{name}:1", self.proxy.host()));
        let mut arguments = Scene::create_arguments(&references, output);
        arguments.extend(more.iter().map(|text| (*text).to_owned()));
        arguments.extend(["--jobs".to_owned(), "2".to_owned()]);
        let mut command = self.scene.command(arguments);
        command.stderr(Stdio::null());
        command
    }

    /// All files of a bundle, hidden ones too.
    fn digests(&self) -> BTreeMap<String, String> {
        let names = self.scene.files().into_iter().filter(|name| name.contains("b.tar"));
        names.map(|name| (name.clone(), sha256(&std::fs::read(self.scene.path(&name)).unwrap()))).collect()
    }

    fn round_create(&mut self) {
        let shape = self.random.below(SHAPES.len() as u64) as usize;
        let (files, usual) = self.expected[shape].clone();
        for _ in 0..1 + self.random.below(2) {
            let event = event(&mut self.random, usual);
            if disturbed(self.create(shape), &event, &self.proxy, &mut self.random, &mut self.counts) {
                break;
            }
        }
        if self.digests() != files {
            let output = self.create(shape).stderr(Stdio::piped()).output().unwrap();
            let stderr = String::from_utf8_lossy(&output.stderr);
            // A run that was killed when the bundle had its name already left only its journal, which this one
            // removes before it refuses the name.
            assert!(
                output.status.success() || stderr.contains("exists already"),
                "{:?}: {stderr}",
                SHAPES[shape]
            );
        }
        assert_eq!(self.digests(), files, "{:?}", SHAPES[shape]);
        for name in files.keys() {
            std::fs::remove_file(self.scene.path(name)).unwrap();
        }
    }

    /// A copy of a bundle, of which as much is damaged as its parity can rebuild.
    fn damaged(&mut self) -> String {
        let shape = self.random.below(SHAPES.len() as u64) as usize;
        let (from, to) = (self.scene.path(&format!("s{shape}")), self.scene.path("in"));
        std::fs::remove_dir_all(&to).ok();
        std::fs::create_dir(&to).unwrap();
        for name in self.expected[shape].0.keys() {
            std::fs::copy(from.join(name), to.join(name)).unwrap();
        }
        let (name, more) = SHAPES[shape];
        if more.contains(&"--parity") {
            let volumes: Vec<&String> = self.expected[shape]
                .0
                .keys()
                .filter(|name| name.contains(".0") && !name.contains("parity"))
                .collect();
            if volumes.is_empty() {
                let mut bytes = std::fs::read(to.join(name)).unwrap();
                let length = bytes.len() / 20;
                let at = self.random.below((bytes.len() - length) as u64) as usize;
                bytes[at..at + length].iter_mut().for_each(|byte| *byte = !*byte);
                std::fs::write(to.join(name), bytes).unwrap();
                self.counts.add("bad sectors");
            } else {
                std::fs::remove_file(to.join(*self.random.one(&volumes))).unwrap();
                self.counts.add("lost volume");
            }
        }
        format!("in/{name}")
    }

    fn check(&self, client: &Client, below: &str) {
        let host = self.proxy.host().replace(':', "_");
        for name in NAMES {
            assert_eq!(
                client.check(&format!("{below}cache/{host}/team/{name}"), "1", Check::Hash),
                [],
                "{name}"
            );
        }
    }

    fn round_import(&mut self, round: u64) {
        let bundle = self.damaged();
        let to = format!("{}/r{round}", self.front.host());
        let import = |world: &Self| {
            let mut command = world.scene.command(["import", &bundle, "--to", &to, "--trust", "key.pub"]);
            command.stdout(Stdio::null());
            command
        };
        for _ in 0..1 + self.random.below(2) {
            let event = event(&mut self.random, Duration::from_millis(600));
            if disturbed(import(self), &event, &self.front, &mut self.random, &mut self.counts) {
                break;
            }
        }
        let output = import(self).stderr(Stdio::piped()).output().unwrap();
        assert!(output.status.success(), "{bundle}: {}", String::from_utf8_lossy(&output.stderr));
        self.check(&self.target.client(), &format!("r{round}/"));
    }

    fn round_serve(&mut self) {
        let bundle = self.damaged();
        let served = Served::start(&self.scene, &bundle);
        let client = served.client();
        let host = self.proxy.host().replace(':', "_");
        let after = Duration::from_micros(self.random.below(30_000));
        std::thread::scope(|scope| {
            let (sender, ended) = mpsc::channel::<()>();
            let pull = scope.spawn(move || {
                // Any result is fine: the server goes away meanwhile.
                let found = NAMES
                    .map(|name| client.check(&format!("cache/{host}/team/{name}"), "1", Check::Hash).len());
                drop(sender);
                found
            });
            ended.recv_timeout(after).ok();
            drop(served);
            drop(pull.join());
        });
        self.counts.add("kill -9");
        self.check(&Served::start(&self.scene, &bundle).client(), "");
    }

    fn round_sync(&mut self, round: u64) {
        let name = *self.random.one(&["a", "b"]);
        self.nights.push("a", 100);
        self.nights.push("b", 101);
        self.nights.push(name, 1000 + round);
        let usual = Duration::from_millis(900);
        let export = event(&mut self.random, usual);
        let command = self.nights.scene.command(["sync", "export"]);
        disturbed(command, &export, &self.night_proxy, &mut self.random, &mut self.counts);
        self.nights.export(&[]).succeeds();
        let lost = self.random.below(2) == 0;
        let newest = self.nights.list("out").into_iter().filter(|name| name.ends_with(".volumes.json")).max();
        let set = newest.map(|name| name.trim_end_matches("volumes.json").to_owned());
        for file in self.nights.list("out") {
            let Some(set) = &set else { break };
            if !file.starts_with(set) {
                continue;
            }
            if lost && file.contains(".tar.001-of-") {
                self.counts.add("lost volume");
                continue;
            }
            self.nights.put(&file, &file);
        }
        let import = event(&mut self.random, usual);
        let command = self.nights.scene.command(["sync", "import"]);
        disturbed(command, &import, &self.night_proxy, &mut self.random, &mut self.counts);
        for _ in 0..3 {
            self.nights.import();
        }
        assert!(self.nights.list("in").is_empty(), "{:?}", self.nights.list("in"));
        assert!(self.nights.list("in/refused").is_empty(), "{:?}", self.nights.list("in/refused"));
        self.nights.agrees(&["a", "b"]);
        self.nights.bring_back();
    }
}

#[test]
#[ignore = "takes long; scripts/soak runs it"]
fn random_kills_and_faults_end_as_if_there_had_been_none() {
    let number = |name: &str| std::env::var(name).ok().and_then(|text| text.parse::<u64>().ok());
    let rounds = number("BUNDLE_SOAK").unwrap_or(20);
    let seed = number("BUNDLE_SOAK_SEED").unwrap_or(1);
    let seconds = number("BUNDLE_SOAK_SECONDS").unwrap_or(u64::MAX);
    let mut world = World::new(seed);
    let (began, mut done) = (Instant::now(), 0);
    for round in 0..rounds {
        if began.elapsed().as_secs() >= seconds {
            break;
        }
        let what = *world.random.one(&["create", "create", "create", "import", "import", "serve", "sync"]);
        eprintln!("seed {seed} round {round}: {what}");
        world.counts.add(what);
        match what {
            "create" => world.round_create(),
            "import" => world.round_import(round),
            "serve" => world.round_serve(),
            _ => world.round_sync(round),
        }
        done += 1;
    }
    println!("seed {seed}: {done} of {rounds} rounds ended equal in {} s", began.elapsed().as_secs());
    for (what, count) in &world.counts.0 {
        println!("  {count:>6} {what}");
    }
}
