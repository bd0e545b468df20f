//! `doctor`: whether a site is ready, as far as it can be seen from where it runs.
//! Takes a registry and the files that the site has anyway; gives each check with how it ended. Changes nothing.

use std::collections::BTreeSet;
use std::net::IpAddr;
use std::path::{Path, PathBuf};
use std::time::Duration;

use bundle_format::{Limits, Timestamp};
use bundle_handout::node::Runtime;
use bundle_importer::Bundle;
use bundle_oci::{ProjectName, Registry};
use bundle_report::{CheckOutcome, DoctorCheck, DoctorReport};
use bundle_site::{
    Check, CheckName, ClusterChecks, HarborSettings, Outcome, RegistryChecks, Skipped, Trouble,
    look_at_cluster, look_at_host, look_at_hosts_file, look_at_keys, look_at_pod_names, look_at_registry,
    look_at_request_time, look_at_secret_file, look_at_space, wanted_secrets,
};
use bundle_sync::SyncConfig;
use bundle_trust::Effective;

use crate::command::mirror_config::{self, For};
use crate::connection::{Connection, Login, To};
use crate::exit::{Code, Failure, Id, how_to_run};
use crate::output::{self, name};
use crate::progress::progress;
use crate::trust::StoreArguments;

/// Exits with 0 if no check failed, and otherwise with the code of the first check that did. Changes nothing.
#[derive(clap::Args)]
pub(crate) struct Doctor {
    /// Harbor, or another registry, that images go to [default: `to` of the import in --config]
    #[arg(long, value_name = "URL|HOST[:PORT]")]
    to: Option<To>,

    /// Another registry that nodes ask before it, such as a host with `bundle serve`; repeatable
    #[arg(long = "seed", value_name = "URL|HOST[:PORT]")]
    seeds: Vec<To>,

    /// Trust the CA certificates in this PEM file, besides the system's
    #[arg(long, value_name = "FILE")]
    ca_file: Option<PathBuf>,

    #[command(flatten)]
    login: Login,

    /// Bundle that is to be imported: its projects, its size and its largest layer count. Repeatable
    #[arg(long = "bundle", value_name = "FILE")]
    bundles: Vec<PathBuf>,

    /// Public key or trust.yaml to verify the bundle with [default: that of --config, or the keys of
    /// `bundle trust`]
    #[arg(long, value_name = "PUBKEY|FILE")]
    trust: Option<PathBuf>,

    #[command(flatten)]
    store: StoreArguments,

    /// Project policy file [default: harbor.yaml, if it exists]
    #[arg(long, value_name = "FILE")]
    harbor: Option<PathBuf>,

    /// Configuration of the scheduled jobs: its directories, keys and destination count
    #[arg(long, value_name = "FILE")]
    config: Option<PathBuf>,

    /// Node whose file system has its root here: compare its files with those that `mirror-config` writes
    #[arg(long, value_name = "ROOT")]
    root: Option<PathBuf>,

    /// Container runtime of that node [default: found by its directories below /etc]
    #[arg(long = "for", value_name = "RUNTIME", value_enum, requires = "root")]
    runtime: Option<For>,

    /// Docker config.json with the account that nodes pull with [default: harbor-secrets/cache.json, if it exists]
    #[arg(long, value_name = "FILE", requires = "root")]
    node_credentials: Option<PathBuf>,

    /// Fail if `kubectl` reaches no cluster [default: its checks are not run then]
    #[arg(long)]
    cluster: bool,

    /// Harbor's host for pods [default: that of --to]
    #[arg(long, value_name = "HOST[:PORT]")]
    pull_host: Option<Registry>,

    /// Hold an upload open for so many seconds, to see whether an ingress ends it; into cache/bundle-doctor,
    /// which is not made by it. It is taken back if the account may delete; otherwise the registry forgets it
    #[arg(long, value_name = "SECONDS", value_parser = clap::value_parser!(u64).range(1..=3600))]
    ingress_time: Option<u64>,
}

/// The known facts about a bundle to import.
struct Known {
    path: PathBuf,
    bundle: Bundle,
}

impl Doctor {
    pub(crate) async fn run(self) -> Result<(), Failure> {
        let config = self.config.as_deref().map(SyncConfig::load).transpose()?;
        let import = config.as_ref().and_then(|config| config.import.as_ref());
        let harbor = self.harbor.as_deref().or(import.and_then(|import| import.harbor.as_deref()));
        let settings = crate::command::import::settings(harbor)?;
        let to = match (&self.to, import) {
            (Some(to), _) => Some(to.clone()),
            (None, Some(import)) => Some(import.to.parse().map_err(|error: String| {
                Failure::text(Id::FileInvalid, format!("to: '{}': {error}", import.to))
            })?),
            (None, None) => None,
        };
        if to.is_none() && self.ingress_time.is_some() {
            return Err(Failure::text(Code::Usage, "--ingress-time needs --to"));
        }
        if to.is_none() && self.pull_host.is_none() && self.cluster {
            return Err(Failure::text(Code::Usage, "--cluster needs --to or --pull-host"));
        }
        if let Some(root) = self.root.as_deref().filter(|root| !root.is_dir()) {
            return Err(Failure::text(Code::Usage, format!("{} is not a directory", name(root))));
        }
        let mut found = Findings::default();
        let trust = self.trust.as_deref().or(import.and_then(|import| import.trust.as_deref()));
        let known = self.look_here(config.as_ref(), trust, &mut found)?;
        let projects = projects(&settings, &known);
        let addresses = match &to {
            Some(to) => self.look_there(to, &settings, &projects, &known, &mut found).await?,
            None => Vec::new(),
        };
        let pull_host = self.pull_host.clone().or_else(|| to.as_ref().map(|to| to.registry.clone()));
        if let Some(host) = &pull_host {
            let secrets = wanted_secrets(&settings, &projects);
            let wanted = ClusterChecks { secrets, host, expected: self.cluster };
            let checks = look_at_cluster(&wanted).await;
            let answers =
                checks.len() > 1 || matches!(checks[..], [Check { outcome: Outcome::Passed(_), .. }]);
            found.add(host.as_str(), checks);
            for (registry, here) in addresses.iter().filter(|_| answers) {
                let check = look_at_pod_names(registry, here, Path::new("/etc/hosts")).await;
                found.add(registry.as_str(), check.into_iter().collect());
            }
        }
        if let Some(root) = &self.root {
            let checks = self.look_at_node(root, to.as_ref(), &known)?;
            found.add(&name(root), checks);
            for (registry, here) in &addresses {
                let check = look_at_hosts_file(root, registry, here);
                found.add(registry.as_str(), check.into_iter().collect());
            }
        }
        found.end()
    }

    /// This machine: bundles, disks, keys and files with secrets.
    fn look_here(
        &self,
        config: Option<&SyncConfig>,
        trust: Option<&Path>,
        found: &mut Findings,
    ) -> Result<Vec<Known>, Failure> {
        let (import, export) = (
            config.and_then(|config| config.import.as_ref()),
            config.and_then(|config| config.export.as_ref()),
        );
        let store = self.store.location()?;
        let about = match (trust, store.path()) {
            (Some(file), _) => name(file),
            (None, Some(store)) => name(store),
            (None, None) => "the trust store".to_owned(),
        };
        let wants_trust = !self.bundles.is_empty() || import.is_some() || self.trust.is_some();
        let mut known = Vec::new();
        let effective = Effective::load(trust, &store);
        if wants_trust || effective.is_ok() {
            let policy = effective.as_ref().ok().cloned();
            found.add(&about, look_at_keys(&about, effective, Timestamp::now()));
            for path in &self.bundles {
                let check = |outcome| vec![CheckName::Bundle.of(name(path), outcome)];
                let Some(policy) = &policy else {
                    found.add("", check(Outcome::NotRun(Skipped::After("trust"))));
                    continue;
                };
                match Bundle::open(path, policy, &Limits::V1) {
                    Ok(bundle) => {
                        let artifacts = bundle.statement().artifacts.len();
                        let text = format!(
                            "signed by {}, {}",
                            bundle.trusted().signers().join(", "),
                            crate::size::count(artifacts, "artifact")
                        );
                        found.add("", check(Outcome::Passed(text)));
                        known.push(Known { path: path.clone(), bundle });
                    }
                    Err(error) => found.failed(CheckName::Bundle, &name(path), Failure::from(error)),
                }
            }
        }
        let size = known.iter().map(|known| known.bundle.size()).sum::<u64>();
        let mut secrets: Vec<&Path> = self.login.file().into_iter().collect();
        if let Some(import) = import {
            let lies_there = known.iter().all(|known| known.path.parent() == Some(import.inbox.as_path()));
            found.add("", vec![look_at_space(&import.inbox, Some(size).filter(|_| !lies_there))]);
            secrets.push(&import.receipt_key);
        }
        if let Some(export) = export {
            found.add("", vec![look_at_space(&export.outbox, None)]);
            secrets.extend(export.key.as_deref());
        }
        for path in secrets {
            found.add("", vec![look_at_secret_file(path)]);
        }
        Ok(known)
    }

    /// The registries; gives their addresses.
    async fn look_there(
        &self,
        to: &To,
        settings: &HarborSettings,
        projects: &BTreeSet<ProjectName>,
        known: &[Known],
        found: &mut Findings,
    ) -> Result<Vec<(Registry, Vec<IpAddr>)>, Failure> {
        let mut addresses = Vec::new();
        let progress = progress("checking");
        let connection = Connection::brief(self.ca_file.clone());
        for seed in &self.seeds {
            let client = connection.anonymous_client(seed, &progress)?;
            let host = look_at_host(&client, &seed.registry).await;
            found.add(seed.registry.as_str(), host.checks);
            addresses.push((seed.registry.clone(), host.addresses));
            if host.reached {
                let wanted = RegistryChecks {
                    registry: &seed.registry,
                    settings,
                    projects: Vec::new(),
                    has_account: false,
                    needed: None,
                    largest: None,
                    reads_only: true,
                    jobs: connection.jobs(),
                };
                found.add(seed.registry.as_str(), look_at_registry(&client, &wanted).await);
            }
        }
        let host = to.registry.as_str();
        let mut has_account = self.login.is_given();
        let client = match connection.client_to(to, &self.login, self.ingress_time.is_some(), &progress).await
        {
            Ok(client) => client,
            // A file with an account that cannot be used is no reason not to look at the rest.
            Err(failure) => {
                let client = connection.anonymous_client(to, &progress)?;
                found.failed(CheckName::Account, host, failure);
                has_account = false;
                client
            }
        };
        let looked = look_at_host(&client, &to.registry).await;
        found.add(host, looked.checks);
        addresses.push((to.registry.clone(), looked.addresses));
        if !looked.reached {
            let after = Outcome::NotRun(Skipped::After("an earlier check"));
            found.add(host, vec![CheckName::Registry.of(host, after)]);
            return Ok(addresses);
        }
        let largest =
            known.iter().flat_map(|known| known.bundle.graph().blobs.iter().map(|blob| blob.size)).max();
        let wanted = RegistryChecks {
            registry: &to.registry,
            settings,
            projects: projects.iter().cloned().collect(),
            has_account,
            needed: (!known.is_empty()).then(|| known.iter().map(|known| known.bundle.size()).sum()),
            largest,
            reads_only: false,
            jobs: connection.jobs(),
        };
        found.add(host, look_at_registry(&client, &wanted).await);
        let time = match self.ingress_time {
            None => CheckName::RequestTime.of(host, Outcome::NotRun(Skipped::NotAsked)),
            Some(seconds) => {
                let repository =
                    "cache/bundle-doctor".parse().map_err(|error| Failure::new(Code::Failed, &error))?;
                look_at_request_time(&client, &to.registry, &repository, Duration::from_secs(seconds)).await
            }
        };
        found.add(host, vec![time]);
        Ok(addresses)
    }

    /// A node's files, against what `mirror-config` writes for these registries. With or without an account and
    /// the rule for all registries will do.
    fn look_at_node(&self, root: &Path, to: Option<&To>, known: &[Known]) -> Result<Vec<Check>, Failure> {
        let check = |outcome| vec![CheckName::Node.of(name(root), outcome)];
        let Some(to) = to.filter(|_| !known.is_empty()) else {
            return Ok(check(Outcome::NotRun(Skipped::NotAsked)));
        };
        let Some(runtime) = self.runtime.map(For::runtime).or_else(|| runtime_of(root)) else {
            return Err(Failure::text(
                Code::Usage,
                format!("no container runtime is found below {}; name it with --for", name(root)),
            ));
        };
        let default = Path::new("harbor-secrets/cache.json");
        let login = self.node_credentials.as_deref().or(Some(default).filter(|path| path.exists()));
        let registries: Vec<&To> = self.seeds.iter().chain([to]).collect();
        let trusted: Vec<_> = known.iter().map(|known| known.bundle.trusted()).collect();
        let wanted = mirror_config::Wanted { registries, ca_file: self.ca_file.as_deref(), login, runtime };
        let compared = mirror_config::closest(&trusted, &wanted, root)?;
        Ok(match compared.deviations.is_empty() {
            true => check(Outcome::Passed(crate::size::count(compared.files, "file"))),
            false => compared
                .deviations
                .into_iter()
                .map(|(path, what)| CheckName::Node.of(path, Outcome::Failed(Trouble::NodeFile(what))))
                .collect(),
        })
    }
}

/// The runtime that a node has, by its directories.
fn runtime_of(root: &Path) -> Option<Runtime> {
    let known = [
        ("etc/rancher/k3s", Runtime::K3s),
        ("etc/rancher/rke2", Runtime::Rke2),
        ("etc/containerd", Runtime::Containerd),
        ("etc/containers", Runtime::Crio),
    ];
    known.into_iter().find(|(path, _)| root.join(path).is_dir()).map(|(_, runtime)| runtime)
}

/// The projects that imports go into.
fn projects(settings: &HarborSettings, known: &[Known]) -> BTreeSet<ProjectName> {
    let mut names: BTreeSet<ProjectName> = settings.projects().cloned().collect();
    names.extend([ProjectName::cache(), ProjectName::platform()]);
    for known in known {
        names.extend(
            known.bundle.statement().artifacts.iter().map(|artifact| artifact.target.project.clone()),
        );
    }
    names
}

/// The checks so far, as they are reported, and the first that failed.
#[derive(Default)]
struct Findings {
    checks: Vec<DoctorCheck>,
    first: Option<(Id, String)>,
}

impl Findings {
    /// Adds checks of something at `host`.
    fn add(&mut self, host: &str, checks: Vec<Check>) {
        for Check { name, about, outcome } in checks {
            let (outcome, trouble) = match outcome {
                Outcome::Passed(message) => {
                    self.plain(name, about, CheckOutcome::Ok, message, None);
                    continue;
                }
                Outcome::NotRun(why) => {
                    let advice = how_to_run(name, &why).map(str::to_owned);
                    self.plain(name, about, CheckOutcome::NotRun, why.to_string(), advice);
                    continue;
                }
                Outcome::Warned(trouble) => (CheckOutcome::Warning, trouble),
                Outcome::Failed(trouble) => (CheckOutcome::Failed, trouble),
            };
            self.troubled(name, &about, outcome, Failure::trouble(trouble, host));
        }
    }

    /// Adds a check that failed as a command would.
    fn failed(&mut self, check: CheckName, about: &str, failure: Failure) {
        self.troubled(check, about, CheckOutcome::Failed, failure);
    }

    fn troubled(&mut self, check: CheckName, about: &str, outcome: CheckOutcome, failure: Failure) {
        let message = failure.said();
        if outcome == CheckOutcome::Failed && self.first.is_none() {
            self.first = Some((failure.id(), format!("{} of {about}", check.as_str())));
        }
        self.checks.push(DoctorCheck {
            check: check.as_str().to_owned(),
            about: about.to_owned(),
            outcome,
            message,
            id: Some(failure.id().as_str().to_owned()),
            advice: failure.advice().map(str::to_owned),
        });
    }

    fn plain(
        &mut self,
        check: CheckName,
        about: String,
        outcome: CheckOutcome,
        message: String,
        advice: Option<String>,
    ) {
        let check = check.as_str().to_owned();
        self.checks.push(DoctorCheck { check, about, outcome, message, id: None, advice });
    }

    fn end(self) -> Result<(), Failure> {
        let nothing = self.checks.iter().all(|check| check.outcome == CheckOutcome::NotRun);
        let report = DoctorReport::new(self.checks);
        output::report(&report)?;
        match self.first {
            // Whoever asks for nothing by mistake must not take the site for ready.
            None if nothing => Err(Failure::text(Code::Usage, "nothing was checked")
                .hint("say of what: --to URL, --bundle FILE or --config FILE")),
            None => Ok(()),
            Some((id, first)) => {
                let text = match report.failed {
                    1 => format!("a check failed: {first}"),
                    many => format!("{many} checks failed, the first of them: {first}"),
                };
                Err(Failure::text(id, text))
            }
        }
    }
}
