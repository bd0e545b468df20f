//! `mirror-config`: registry-mirror configuration for nodes.
//! Takes bundles or receipts and a mirror's host; gives files for the runtime that is named.

use crate::limits::CERTIFICATES;
use std::path::{Path, PathBuf};

use bundle_format::Limits;
use bundle_handout::node::{Login, Mirror, Mirrored, Runtime, Scheme, Secrecy, write_tree};
use bundle_importer::Bundle;
use bundle_oci::Registry;
use bundle_report::{ConfigFile, MirrorConfigReport};

use crate::exit::{Code, Failure};
use crate::output::{self, name, tell};
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

    /// Docker config.json with the account that nodes pull with; it should have no other rights
    #[arg(long, value_name = "FILE")]
    credentials: Option<PathBuf>,

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
    pub(crate) fn run(self) -> Result<(), Failure> {
        let bundle = Bundle::open(&self.bundle, &self.trust.effective()?, &Limits::V1)
            .map_err(|error| Failure::from(error).of(&self.bundle))?;
        let mirrored = Mirrored::of(bundle.trusted(), &self.registry)?;
        let login = self.credentials.as_deref().map(|path| Login::load(path, &self.registry)).transpose()?;
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
