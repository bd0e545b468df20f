//! What keeps a bundle out of a Harbor, found before anything is written.

use bundle_format::Target;
use bundle_harbor::{Right, StorageLimit};
use bundle_oci::{Digest, ProjectName};

use crate::Difference;
use crate::site::reconcile::listed;

/// What keeps a bundle out of a Harbor, found before anything is written.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Obstacle {
    /// The credentials are missing, wrong, or those of an account that is disabled or has ended.
    #[error(
        "Harbor does not know this account: there are no credentials, or they are wrong, disabled or expired"
    )]
    Nobody,
    /// What is wanted, only an administrator may.
    #[error("this account is no administrator's")]
    NoAdministrator,
    /// Nothing may be written at all for now.
    #[error("Harbor is in read-only mode")]
    ReadOnly,
    /// A project of the name passes on another registry's images.
    #[error("project {project} is a proxy cache, into which nothing can be pushed")]
    ProxyCache {
        /// The project.
        project: ProjectName,
    },
    /// A project that is there, or may be, and cannot be looked at.
    #[error("project {project} cannot be read by this account, if it is there at all")]
    Hidden {
        /// The project.
        project: ProjectName,
    },
    /// A project that is missing, and may not be made.
    #[error("project {project} is missing, and this account may not make it")]
    MayNotCreate {
        /// The project.
        project: ProjectName,
    },
    /// Rights without which nothing can be brought into a project.
    #[error("this account lacks {} in the project {project}", listed(.rights))]
    MissingRights {
        /// The project.
        project: ProjectName,
        /// Which rights.
        rights: Vec<Right>,
    },
    /// A project that is run otherwise than it should be, and may not be changed.
    #[error("project {project} is not run as it should be ({}), and this account lacks {} to change it",
        .differences.iter().map(Difference::to_string).collect::<Vec<_>>().join("; "), listed(.rights))]
    MayNotReconcile {
        /// The project.
        project: ProjectName,
        /// Which rights are missing.
        rights: Vec<Right>,
        /// In which points it differs.
        differences: Vec<Difference>,
    },
    /// More bytes than the quota leaves.
    #[error("project {project} stores {used} bytes of {limit}, and the bundle may add {needed} bytes")]
    Quota {
        /// The project.
        project: ProjectName,
        /// How much may be stored.
        limit: StorageLimit,
        /// How much is stored.
        used: u64,
        /// The most that the bundle can add. What other repositories of the project share with it
        /// is not known.
        needed: u64,
    },
    /// A tag that is there with another digest and must not move.
    #[error("{target} is {registry} there and immutable, and {bundle} in the bundle")]
    Immutable {
        /// The target.
        target: Target,
        /// The digest in the bundle.
        bundle: Digest,
        /// The digest at the registry.
        registry: Digest,
    },
    /// A tag that is there with another digest.
    #[error("{target} is {registry} there, and {bundle} in the bundle")]
    Conflict {
        /// The target.
        target: Target,
        /// The digest in the bundle.
        bundle: Digest,
        /// The digest at the registry.
        registry: Digest,
    },
}

impl Obstacle {
    /// The project that it is about, if it is about one.
    pub fn project(&self) -> Option<&ProjectName> {
        match self {
            Self::Nobody | Self::NoAdministrator | Self::ReadOnly => None,
            Self::ProxyCache { project }
            | Self::Hidden { project }
            | Self::MayNotCreate { project }
            | Self::MissingRights { project, .. }
            | Self::MayNotReconcile { project, .. }
            | Self::Quota { project, .. } => Some(project),
            Self::Immutable { target, .. } | Self::Conflict { target, .. } => Some(&target.project),
        }
    }

    /// The obstacle's name for machines.
    pub fn name(&self) -> &'static str {
        match self {
            Self::Nobody => "nobody",
            Self::NoAdministrator => "no-administrator",
            Self::ReadOnly => "read-only",
            Self::ProxyCache { .. } => "proxy-cache",
            Self::Hidden { .. } => "hidden",
            Self::MayNotCreate { .. } => "may-not-create",
            Self::MissingRights { .. } => "missing-rights",
            Self::MayNotReconcile { .. } => "may-not-reconcile",
            Self::Quota { .. } => "quota",
            Self::Immutable { .. } => "immutable-tag",
            Self::Conflict { .. } => "conflict",
        }
    }
}
