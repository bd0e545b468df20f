//! Where images are read: mirrors of registries, and the credentials for them.
//! Takes arguments, the environment and what a bundle.yaml says, in this order; gives mirrors and credentials.

use std::path::PathBuf;

use bundle_bundler::{SourceMirror, Sources};
use bundle_registry::CredentialStore;

use crate::environment::{self, REGISTRY_AUTH_FILE};
use crate::exit::{Code, Failure};

/// How the registries of images are read.
#[derive(clap::Args)]
pub(crate) struct SourceArguments {
    /// Read one registry through a mirror; repeatable [default: mirrors in bundle.yaml]
    #[arg(long, value_name = "HOST=HOST/PREFIX")]
    mirror: Vec<SourceMirror>,

    /// Credentials for the registries of the images, in the form of Docker's config.json [default:
    /// REGISTRY_AUTH_FILE, or credentials in bundle.yaml, or those of `docker login`]
    #[arg(long, value_name = "FILE")]
    credentials: Option<PathBuf>,
}

impl SourceArguments {
    /// The mirrors: those of the arguments, and those of the file for other registries.
    pub(crate) fn mirrors(&self, file: &Sources) -> Result<Vec<SourceMirror>, Failure> {
        let mut mirrors: Vec<SourceMirror> = Vec::new();
        for mirror in &self.mirror {
            if mirrors.iter().any(|known| known.from == mirror.from) {
                let text = format!("{} is given two mirrors, and is read through one", mirror.from);
                return Err(Failure::text(Code::Usage, text));
            }
            mirrors.push(mirror.clone());
        }
        let others =
            file.mirrors.iter().filter(|mirror| self.mirror.iter().all(|own| own.from != mirror.from));
        mirrors.extend(others.cloned());
        Ok(mirrors)
    }

    /// The credentials: the file of the arguments, of the environment, of the bundle.yaml, or the usual places.
    pub(crate) fn credentials(&self, file: &Sources) -> Result<CredentialStore, Failure> {
        let store = match (&self.credentials, environment::text(REGISTRY_AUTH_FILE), &file.credentials) {
            (Some(path), ..) | (None, None, Some(path)) => CredentialStore::from_file(path),
            (None, Some(_), _) | (None, None, None) => CredentialStore::from_environment(environment::lookup),
        };
        store.map_err(Failure::from)
    }
}
