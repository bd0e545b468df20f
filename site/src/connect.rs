//! The one place that decides what kind of destination a host is.
//! Takes a host and what the operator said of it, gives a [`Destination`](bundle_importer::Destination).

use std::sync::Arc;

use bundle_harbor::Harbor;
use bundle_importer::{Destination, PlainRegistry};
use bundle_oci::{Registry, RepositoryName};
use bundle_registry::{Client, Error};

use crate::{HarborOptions, HarborSite};

/// The kind of registry that a destination is treated as.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Default)]
pub enum RegistryKind {
    /// It is asked.
    #[default]
    Auto,
    /// Harbor, without detection.
    Harbor,
    /// Any registry, without detection.
    Plain,
}

/// Why there is no destination.
#[derive(Debug, thiserror::Error)]
pub enum ConnectError {
    /// The host cannot be reached, or its connection is not trusted.
    #[error(transparent)]
    Registry(#[from] Error),
    /// Something was asked for that only Harbor can do.
    #[error("{option} needs a Harbor, and {registry} is not one")]
    NoHarbor {
        /// The option that needs a Harbor, in the caller's words.
        option: &'static str,
        /// The host.
        registry: Registry,
    },
    /// Harbor's projects lie at the top of its host.
    #[error("{registry} is a Harbor, and takes no path such as '{path}'")]
    Path {
        /// The path that was asked for.
        path: RepositoryName,
        /// The host.
        registry: Registry,
    },
}

/// Finds out what is at `registry`, and gives the destination for it. `path` is the one
/// below which the client pushes.
/// `only_harbor` names what was asked for that only Harbor can do.
///
/// # Errors
/// Any [`ConnectError`].
pub async fn connect(
    client: &Client,
    registry: &Registry,
    path: Option<&RepositoryName>,
    kind: RegistryKind,
    options: HarborOptions,
    only_harbor: Option<&'static str>,
) -> Result<Arc<dyn Destination>, ConnectError> {
    let harbor = match kind {
        RegistryKind::Auto => Harbor::detect(client, registry).await?,
        RegistryKind::Harbor => Some(Harbor::at(client, registry)),
        RegistryKind::Plain => None,
    };
    match (harbor, path, only_harbor) {
        (Some(_), Some(path), _) => {
            Err(ConnectError::Path { path: path.clone(), registry: registry.clone() })
        }
        (Some(harbor), None, _) => Ok(Arc::new(HarborSite::new(harbor, options))),
        (None, _, Some(option)) => Err(ConnectError::NoHarbor { option, registry: registry.clone() }),
        (None, _, None) => Ok(Arc::new(PlainRegistry::new(client.clone(), registry.clone()))),
    }
}
