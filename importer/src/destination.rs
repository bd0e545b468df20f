//! Where a bundle goes, a plain registry or a Harbor, and how one looks there without harm.

use bundle_format::Target;
use bundle_harbor::Harbor;
use bundle_oci::{Digest, Registry, RepositoryName};
use bundle_registry::{Client, Error, Name};

/// What kind of registry a destination is taken for.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Default)]
pub enum RegistryKind {
    /// It is asked.
    #[default]
    Auto,
    /// Harbor, whatever it says.
    Harbor,
    /// Any registry, whatever it says.
    Plain,
}

/// Where a bundle goes, and how one looks there without harm.
#[derive(Clone, Debug)]
pub enum Destination {
    /// A registry of the distribution specification.
    Plain {
        /// What speaks to it.
        client: Client,
        /// Its host.
        registry: Registry,
    },
    /// A Harbor, where a look at a manifest may be refused or count as a pull.
    Harbor(Harbor),
}

impl Destination {
    /// Finds out what is there.
    ///
    /// # Errors
    /// The host cannot be reached, or its connection is not trusted.
    pub async fn detect(client: &Client, registry: &Registry, kind: RegistryKind) -> Result<Self, Error> {
        let harbor = match kind {
            RegistryKind::Auto => Harbor::detect(client, registry).await?,
            RegistryKind::Harbor => Some(Harbor::at(client, registry)),
            RegistryKind::Plain => None,
        };
        Ok(match harbor {
            Some(harbor) => Self::Harbor(harbor),
            None => Self::Plain { client: client.clone(), registry: registry.clone() },
        })
    }

    /// What speaks to `/v2/` there.
    pub fn client(&self) -> &Client {
        match self {
            Self::Plain { client, .. } => client,
            Self::Harbor(harbor) => harbor.client(),
        }
    }

    /// The host.
    pub fn registry(&self) -> &Registry {
        match self {
            Self::Plain { registry, .. } => registry,
            Self::Harbor(harbor) => harbor.registry(),
        }
    }

    /// What is at a target now: what its tag names, or for one without a tag whether `digest` is
    /// there. Asks a Harbor through its own API: a look at the manifest itself would be refused for
    /// an image that may not be pulled.
    ///
    /// # Errors
    /// Any [`Error`] but that there is nothing.
    pub async fn digest_at(&self, target: &Target, digest: Digest) -> Result<Option<Digest>, Error> {
        let name = match &target.tag {
            Some(tag) => Name::Tag(tag.clone()),
            None => Name::Digest(digest),
        };
        match self {
            Self::Plain { client, registry } => {
                let repository = repository_of(registry, target)?;
                Ok(client.manifest_exists(registry, &repository, &name).await?.map(|info| info.digest))
            }
            Self::Harbor(harbor) => {
                let found = harbor.artifact(&target.project, &target.repository, &name).await?;
                Ok(found.map(|artifact| artifact.digest))
            }
        }
    }
}

/// The whole name of a target's repository. A statement that was checked has none that is too long.
pub(crate) fn repository_of(registry: &Registry, target: &Target) -> Result<RepositoryName, Error> {
    target.path().map_err(|_| Error::Misbehaved {
        host: registry.to_string(),
        what: "a target's name is too long".to_owned(),
    })
}

/// The project of a whole repository name.
pub(crate) fn project_of(repository: &RepositoryName) -> &str {
    let whole = repository.as_str();
    whole.split_once('/').map_or(whole, |(project, _)| project)
}
