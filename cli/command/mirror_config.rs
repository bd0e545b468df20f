//! `mirror-config`: registry-mirror configuration for nodes.
//! Takes bundles or receipts and a mirror's host; gives files for the runtime that is named.

use crate::limits::CERTIFICATES;
use std::path::{Path, PathBuf};

use bundle_format::Limits;
use bundle_handout::node::{Login, Mirror, Mirrored, Runtime, Scheme, Secrecy, write_tree};
use bundle_harbor::Harbor;
use bundle_importer::Bundle;
use bundle_oci::Registry;
use bundle_registry::CredentialStore;
use bundle_report::{ConfigFile, MirrorConfigReport};
use bundle_site::Reach;

use crate::connection::Connection;
use crate::exit::{Code, Failure, Id};
use crate::output::{self, name, tell};
use crate::progress::progress;
use crate::trust::TrustArguments;

#[derive(clap::Args)]
pub(crate) struct MirrorConfig {
    /// Bundle whose images the mirror has
    #[arg(value_name = "FILE")]
    bundle: PathBuf,

    #[command(flatten)]
    trust: TrustArguments,

    /// Container runtime of the nodes
    #[arg(long = "for", value_name = "RUNTIME", value_enum)]
    runtime: For,

    /// Mirror registry: Harbor, or a host with `bundle serve`
    #[arg(long, value_name = "HOST[:PORT]")]
    registry: Registry,

    /// The mirror uses plain HTTP
    #[arg(long, conflicts_with_all = ["ca_file", "credentials"])]
    plain_http: bool,

    /// CA certificate of the mirror (PEM), if the nodes do not trust it yet
    #[arg(long, value_name = "FILE")]
    ca_file: Option<PathBuf>,

    /// Docker config.json with the account that nodes pull with. Harbor is asked what else it can pull: any
    /// pod of a node can, too
    #[arg(long, value_name = "FILE")]
    credentials: Option<PathBuf>,

    /// Accept an account that can pull from other private projects than cache, or that cannot be looked at
    #[arg(long, requires = "credentials")]
    wide_account: bool,

    /// Directory to write, which must not exist; copy its contents to / of each node
    #[arg(short, long, value_name = "DIR")]
    output: PathBuf,
}

#[derive(Clone, Copy, clap::ValueEnum)]
enum For {
    K3s,
    Rke2,
    Containerd,
    /// CRI-O, Podman and Skopeo
    Crio,
}

impl MirrorConfig {
    pub(crate) async fn run(self) -> Result<(), Failure> {
        let bundle = Bundle::open(&self.bundle, &self.trust.effective()?, &Limits::V1)
            .map_err(|error| Failure::from(error).of(&self.bundle))?;
        let mirrored = Mirrored::of(bundle.trusted(), &self.registry)?;
        let login = self.credentials.as_deref().map(|path| Login::load(path, &self.registry)).transpose()?;
        if let Some(login) = &login
            && let Err(failure) = self.look_at(login).await
        {
            if !self.wide_account || failure.is(Id::Credentials) {
                return Err(failure);
            }
            tell(&format!("note: {}", failure.said()));
        }
        let mirror = Mirror {
            registry: self.registry.clone(),
            scheme: if self.plain_http { Scheme::Http } else { Scheme::Https },
            ca: self.ca_file.as_deref().map(certificates).transpose()?,
            login,
        };
        let runtime = match self.runtime {
            For::K3s => Runtime::K3s,
            For::Rke2 => Runtime::Rke2,
            For::Containerd => Runtime::Containerd,
            For::Crio => Runtime::Crio,
        };
        let files = runtime.files(&mirrored, &mirror);
        write_tree(&files, &self.output)?;
        if !mirrored.renamed.is_empty() {
            let images = match mirrored.renamed.len() {
                1 => "1 image is".to_owned(),
                many => format!("{many} images are"),
            };
            tell(&format!("note: {images} not found by the name of the source; the files say which"));
        }
        output::report(&MirrorConfigReport {
            hosts: mirrored.hosts().map(ToString::to_string).collect(),
            mirror: self.registry.to_string(),
            files: files
                .iter()
                .map(|file| ConfigFile {
                    path: name(&self.output.join(&file.path)),
                    secret: match file.secrecy {
                        Secrecy::Owner => true,
                        Secrecy::Everyone => false,
                    },
                })
                .collect(),
            renamed: mirrored.renamed.len(),
        })
    }
}

impl MirrorConfig {
    /// Asks Harbor whether the account opens more than nodes need: a node pulls for each of its pods, whoever's
    /// they are.
    async fn look_at(&self, login: &Login) -> Result<(), Failure> {
        let account = self.credentials.as_deref().map(name).unwrap_or_default();
        let unknown = |failure: Failure| {
            failure.also_hint(
                "the account was not looked at; where Harbor cannot be asked, --wide-account takes it as it is",
            )
        };
        let progress = progress("checking");
        let (user, password) = login.account();
        let credentials = CredentialStore::default().with_login(
            self.registry.clone(),
            user.to_owned(),
            password.to_owned(),
        );
        let client = Connection::brief(self.ca_file.clone()).client_as(credentials, &progress)?;
        let harbor = Harbor::detect(&client, &self.registry).await.map_err(|error| unknown(error.into()))?;
        let Some(harbor) = harbor else {
            progress.note(&format!(
                "{} is no Harbor, and cannot be asked what {account} opens: any pod of a node can pull what the account can",
                self.registry
            ));
            return Ok(());
        };
        let opens = match Reach::of(&harbor).await.map_err(|error| unknown(error.into()))? {
            Reach::CacheOnly => return Ok(()),
            Reach::Nothing => {
                let text = format!("{} does not accept the account in {account}", self.registry);
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
