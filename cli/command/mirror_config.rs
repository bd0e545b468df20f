//! `mirror-config`: registry-mirror configuration for nodes.
//! Takes bundles or receipts and a mirror's host; gives files for the runtime that is named.

use crate::limits::CERTIFICATES;
use std::path::{Path, PathBuf};

use bundle_format::{Limits, Trusted};
use bundle_handout::node::{
    Deviation, Login, LoginError, Mirror, Mirrored, NodeConfig, NodeFile, Runtime, Scheme, Secrecy,
    compare_tree, write_tree,
};
use bundle_harbor::Harbor;
use bundle_importer::Bundle;
use bundle_oci::Registry;
use bundle_registry::CredentialStore;
use bundle_report::{ConfigFile, MirrorConfigReport, NodeDeviation, NodeReport};
use bundle_site::Reach;

use crate::connection::{Connection, To};
use crate::exit::{Code, Failure, Id};
use crate::output::{self, name, tell};
use crate::progress::progress;
use crate::trust::TrustArguments;

#[derive(clap::Args)]
pub(crate) struct MirrorConfig {
    /// Bundles whose images the mirrors have
    #[arg(value_name = "FILE", required = true)]
    bundles: Vec<PathBuf>,

    #[command(flatten)]
    trust: TrustArguments,

    /// Container runtime of the nodes
    #[arg(long = "for", value_name = "RUNTIME", value_enum)]
    runtime: For,

    /// Mirror registry: Harbor, or a host with `bundle serve`. Repeatable: nodes ask them in this order, for
    /// their own names too, such as a host with `bundle serve` before Harbor
    #[arg(long = "registry", value_name = "HOST[:PORT]", required = true)]
    registries: Vec<Registry>,

    /// The mirrors use plain HTTP; with a host, only that one; repeatable
    #[arg(long, value_name = "HOST[:PORT]", num_args = 0..=1, require_equals = true)]
    plain_http: Option<Vec<Registry>>,

    /// Ask the mirrors for images of all other registries too, so that nodes contact no other registry
    #[arg(long)]
    all_registries: bool,

    /// CA certificates of the mirrors (PEM), if the nodes do not trust them yet
    #[arg(long, value_name = "FILE")]
    ca_file: Option<PathBuf>,

    /// Docker config.json with the accounts that nodes pull with. Harbor is asked what else they can pull: any
    /// pod of a node can, too
    #[arg(long, value_name = "FILE")]
    credentials: Option<PathBuf>,

    /// Accept an account that can pull from other private projects than cache, or that cannot be looked at
    #[arg(long, requires = "credentials")]
    wide_account: bool,

    /// Directory to write, which must not exist; copy its contents to / of each node
    #[arg(short, long, value_name = "DIR", required_unless_present = "check")]
    output: Option<PathBuf>,

    /// Write nothing, and compare with the files of the node whose file system has its root here
    #[arg(long, value_name = "ROOT", conflicts_with = "output")]
    check: Option<PathBuf>,
}

#[derive(Clone, Copy, clap::ValueEnum)]
pub(crate) enum For {
    K3s,
    Rke2,
    Containerd,
    /// CRI-O, Podman and Skopeo
    Crio,
}

impl For {
    pub(crate) fn runtime(self) -> Runtime {
        match self {
            Self::K3s => Runtime::K3s,
            Self::Rke2 => Runtime::Rke2,
            Self::Containerd => Runtime::Containerd,
            Self::Crio => Runtime::Crio,
        }
    }
}

impl MirrorConfig {
    pub(crate) async fn run(self) -> Result<(), Failure> {
        let policy = self.trust.effective()?;
        let open = |path: &PathBuf| {
            Bundle::open(path, &policy, &Limits::V1).map_err(|error| {
                let failure = Failure::from(error).of(path);
                // `--plain-http HOST` has the host for a bundle.
                let bare = self.plain_http.as_ref().is_some_and(Vec::is_empty);
                let host = path.to_str().filter(|text| text.parse::<Registry>().is_ok() && !path.exists());
                match host.filter(|_| bare) {
                    Some(host) => failure.also_hint(&format!("a host follows at once: --plain-http={host}")),
                    None => failure,
                }
            })
        };
        let bundles: Vec<Bundle> = self.bundles.iter().map(open).collect::<Result<_, _>>()?;
        let trusted: Vec<_> = bundles.iter().map(Bundle::trusted).collect();
        let registries: Vec<&Registry> = self.registries.iter().collect();
        let node = NodeConfig {
            mirrored: Mirrored::of(&trusted, &registries)?,
            mirrors: self.mirrors().await?,
            all_registries: self.all_registries,
        };
        let runtime = self.runtime.runtime();
        if runtime == Runtime::Crio && self.all_registries {
            return Err(Failure::text(Code::Usage, "CRI-O's registries.conf has no rule for all registries")
                .hint("leave --all-registries out, and close the way out of the nodes in their network"));
        }
        let files = runtime.files(&node);
        let renamed = node.mirrored.renamed.len();
        if renamed > 0 {
            let images = match renamed {
                1 => "1 image is".to_owned(),
                many => format!("{many} images are"),
            };
            tell(&format!("note: {images} not found by the name of the source; the files say which"));
        }
        if let Some(root) = &self.check {
            return compared(&files, root);
        }
        let output = self.output.as_deref().unwrap_or(Path::new("."));
        write_tree(&files, output)?;
        output::report(&MirrorConfigReport {
            hosts: node.mirrored.hosts().map(ToString::to_string).collect(),
            mirror: self.registries.iter().map(ToString::to_string).collect::<Vec<_>>().join(", "),
            files: files
                .iter()
                .map(|file| ConfigFile {
                    path: name(&output.join(&file.path)),
                    secret: match file.secrecy {
                        Secrecy::Owner => true,
                        Secrecy::Everyone => false,
                    },
                })
                .collect(),
            renamed,
        })
    }

    /// The registries with what is known of each.
    async fn mirrors(&self) -> Result<Vec<Mirror>, Failure> {
        let ca = self.ca_file.as_deref().map(certificates).transpose()?;
        let plain = |registry: &Registry| match self.plain_http.as_deref() {
            None => false,
            Some(hosts) => hosts.is_empty() || hosts.contains(registry),
        };
        if let Some(other) = self.plain_http.iter().flatten().find(|host| !self.registries.contains(host)) {
            return Err(Failure::text(
                Code::Usage,
                format!("--plain-http names {other}, which is no --registry"),
            ));
        }
        if self.registries.iter().all(plain) && (ca.is_some() || self.credentials.is_some()) {
            let text = "--plain-http cannot be used with --ca-file or --credentials, which need HTTPS";
            return Err(Failure::text(Code::Usage, text));
        }
        let mut mirrors: Vec<Mirror> = Vec::new();
        let mut missing = None;
        for registry in &self.registries {
            if mirrors.iter().any(|mirror| mirror.registry == *registry) {
                return Err(Failure::text(Code::Usage, format!("--registry {registry} is given twice")));
            }
            let scheme = if plain(registry) { Scheme::Http } else { Scheme::Https };
            let login = match &self.credentials {
                Some(path) if scheme == Scheme::Https => match Login::load(path, registry) {
                    Ok(login) => Some(login),
                    Err(error @ LoginError::Missing { .. }) => {
                        missing.get_or_insert(error);
                        None
                    }
                    Err(error) => return Err(error.into()),
                },
                _ => None,
            };
            if let Some(login) = &login
                && let Err(failure) = self.look_at(registry, login).await
            {
                if !self.wide_account || failure.is(Id::Credentials) {
                    return Err(failure);
                }
                tell(&format!("note: {}", failure.said()));
            }
            let ca = ca.clone().filter(|_| scheme == Scheme::Https);
            mirrors.push(Mirror { registry: registry.clone(), scheme, ca, login });
        }
        match missing {
            Some(error) if mirrors.iter().all(|mirror| mirror.login.is_none()) => Err(error.into()),
            _ => Ok(mirrors),
        }
    }
}

/// Says where a node deviates.
fn compared(files: &[NodeFile], root: &Path) -> Result<(), Failure> {
    let deviations: Vec<NodeDeviation> = compare_tree(files, root)
        .into_iter()
        .map(|(path, deviation)| NodeDeviation { path: name(&root.join(path)), what: said(deviation) })
        .collect();
    let count = deviations.len();
    output::report(&NodeReport { root: name(root), files: files.len(), deviations })?;
    match count {
        0 => Ok(()),
        _ => Err(Failure::text(
            Id::NodeDeviates,
            format!("{} below {} not as they should be", plural(count), name(root)),
        )
        .hint("write the files anew with -o DIR, copy them to the node, and restart its container runtime")),
    }
}

fn said(deviation: Deviation) -> String {
    match deviation {
        Deviation::Missing => "missing".to_owned(),
        Deviation::Differs { line } => format!("differs, from line {line} on"),
        Deviation::Open => "has a password, and others than its owner can read it".to_owned(),
        Deviation::Unreadable(kind) => format!("cannot be read: {kind}"),
    }
}

/// The files that a node should have, without two facts that only their creator has: whether there is an
/// account in them, and a rule for all registries.
pub(crate) struct Wanted<'a> {
    /// The mirrors, in the order in which they are asked.
    pub(crate) registries: Vec<&'a To>,
    pub(crate) ca_file: Option<&'a Path>,
    /// The file with the account that nodes may pull with.
    pub(crate) login: Option<&'a Path>,
    pub(crate) runtime: Runtime,
}

/// A node's files against those that it is to have.
pub(crate) struct Compared {
    pub(crate) files: usize,
    /// Each file that deviates, and how.
    pub(crate) deviations: Vec<(String, String)>,
}

/// Compares a node with each form that its files may have, and gives the form that is nearest.
pub(crate) fn closest(bundles: &[&Trusted], wanted: &Wanted<'_>, root: &Path) -> Result<Compared, Failure> {
    let ca = wanted.ca_file.map(certificates).transpose()?;
    let registries: Vec<&Registry> = wanted.registries.iter().map(|to| &to.registry).collect();
    let mut nearest: Option<Compared> = None;
    let all_or_not: &[bool] = if wanted.runtime == Runtime::Crio { &[false] } else { &[true, false] };
    for all_registries in all_or_not {
        for login in [wanted.login, None] {
            let mirror = |to: &&To| {
                let scheme = if to.is_plain() { Scheme::Http } else { Scheme::Https };
                let encrypted = scheme == Scheme::Https;
                let login = match login.filter(|_| encrypted).map(|path| Login::load(path, &to.registry)) {
                    Some(Err(LoginError::Missing { .. })) | None => None,
                    Some(login) => Some(login?),
                };
                let ca = ca.clone().filter(|_| encrypted);
                Ok::<_, Failure>(Mirror { registry: to.registry.clone(), scheme, ca, login })
            };
            let node = NodeConfig {
                mirrored: Mirrored::of(bundles, &registries)?,
                mirrors: wanted.registries.iter().map(mirror).collect::<Result<_, _>>()?,
                all_registries: *all_registries,
            };
            let files = wanted.runtime.files(&node);
            let deviations: Vec<(String, String)> = compare_tree(&files, root)
                .into_iter()
                .map(|(path, deviation)| (name(&root.join(path)), said(deviation)))
                .collect();
            if nearest.as_ref().is_none_or(|nearest| deviations.len() < nearest.deviations.len()) {
                nearest = Some(Compared { files: files.len(), deviations });
            }
        }
    }
    Ok(nearest.unwrap_or(Compared { files: 0, deviations: Vec::new() }))
}

fn plural(count: usize) -> String {
    match count {
        1 => "1 file is".to_owned(),
        many => format!("{many} files are"),
    }
}

impl MirrorConfig {
    /// Asks Harbor whether the account opens more than nodes need: a node pulls for each of its pods, of any
    /// tenant.
    async fn look_at(&self, registry: &Registry, login: &Login) -> Result<(), Failure> {
        let account = self.credentials.as_deref().map(name).unwrap_or_default();
        let unknown = |failure: Failure| {
            failure.also_hint(
                "the account was not looked at; where Harbor cannot be asked, --wide-account takes it as it is",
            )
        };
        let progress = progress("checking");
        let (user, password) = login.account();
        let credentials =
            CredentialStore::default().with_login(registry.clone(), user.to_owned(), password.to_owned());
        let client = Connection::brief(self.ca_file.clone()).client_as(credentials, &progress)?;
        let harbor = Harbor::detect(&client, registry).await.map_err(|error| unknown(error.into()))?;
        let Some(harbor) = harbor else {
            progress.note(&format!(
                "{} is no Harbor, and cannot be asked what {account} opens: any pod of a node can pull what the account can",
                registry
            ));
            return Ok(());
        };
        let opens = match Reach::of(&harbor).await.map_err(|error| unknown(error.into()))? {
            Reach::CacheOnly => return Ok(()),
            Reach::Nothing => {
                let text = format!("{} does not accept the account in {account}", registry);
                return Err(Failure::text(Id::Credentials, text));
            }
            Reach::Everything => "is an administrator's".to_owned(),
            Reach::Projects(projects) => {
                let projects: Vec<String> = projects.iter().map(ToString::to_string).collect();
                format!("opens the private projects {}, too", projects.join(", "))
            }
        };
        Err(Failure::text(
            Id::Policy,
            format!("the account in {account} {opens}: any pod of a node could pull what it opens, without a secret"),
        )
        .hint("use the account for nodes that `bundle harbor bootstrap` makes, harbor-secrets/cache.json; or accept this one with --wide-account"))
    }
}

fn certificates(path: &Path) -> Result<String, Failure> {
    let wrong = |text: &str| Failure::text(Code::Usage, format!("{}: {text}", name(path)));
    let text = bundle_os::read_text(path, CERTIFICATES).map_err(|error| wrong(&error.to_string()))?;
    if text.contains("PRIVATE KEY") {
        return Err(wrong("there is a private key in it, which must not go to the nodes"));
    }
    if !text.contains("-----BEGIN CERTIFICATE-----") {
        return Err(wrong("there is no certificate in it (PEM)"));
    }
    Ok(text)
}
