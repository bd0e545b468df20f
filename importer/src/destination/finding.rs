//! Obstacles to an import: checks that failed before anything was written, causes that were found in the
//! middle, and preparations that failed. Facts only; advice is the command's.

use bundle_format::Target;
use bundle_oci::{ByteCount, Digest, ProjectName};
use bundle_registry::Error;

/// A preflight check that failed. With one of these, nothing is written.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Finding {
    /// The credentials are missing, wrong, or those of an account that is disabled or has ended.
    #[error(
        "Harbor does not know this account: there are no credentials, or they are wrong, disabled or expired"
    )]
    Nobody,
    /// Only an administrator may do what is wanted.
    #[error("this account is not an administrator")]
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
    /// A project that exists, or may exist, and cannot be looked at.
    #[error("project {project} does not exist, or this account cannot read it")]
    Hidden {
        /// The project.
        project: ProjectName,
    },
    /// A project that is missing, and may not be made.
    #[error("project {project} is missing, and this account may not create it")]
    MayNotCreate {
        /// The project.
        project: ProjectName,
    },
    /// Rights without which nothing can be pushed into a project.
    #[error("this account lacks {} in the project {project}", .rights.join(", "))]
    MissingRights {
        /// The project.
        project: ProjectName,
        /// Which rights, in the destination's words.
        rights: Vec<String>,
        /// Whether the account may push but not pull, which is needed too.
        lacks_pull: bool,
    },
    /// A project whose policy differs from the wanted one, and may not be changed.
    #[error("project {project} differs from its policy ({}), and this account lacks {} to change it",
        .differences.join("; "), .rights.join(", "))]
    MayNotReconcile {
        /// The project.
        project: ProjectName,
        /// Which rights are missing.
        rights: Vec<String>,
        /// The differences.
        differences: Vec<String>,
    },
    /// More bytes than the quota leaves.
    #[error(
        "project {project} stores {} of {}, and the bundle may add {}",
        ByteCount(*.used), ByteCount(*.limit), ByteCount(*.needed)
    )]
    Quota {
        /// The project.
        project: ProjectName,
        /// How many bytes it may store.
        limit: u64,
        /// How many bytes it stores.
        used: u64,
        /// The most bytes that the bundle can add. Blobs shared with the project's other repositories are
        /// unknown.
        needed: u64,
    },
    /// A tag that exists with another digest and must not move.
    #[error("{target} is immutable and already exists as {found}; the bundle has {bundle}")]
    Immutable {
        /// The target.
        target: Target,
        /// The digest in the bundle.
        bundle: Digest,
        /// The digest at the destination.
        found: Digest,
    },
    /// A tag that exists with another digest.
    #[error("{target} already exists as {found}; the bundle has {bundle}")]
    Conflict {
        /// The target.
        target: Target,
        /// The digest in the bundle.
        bundle: Digest,
        /// The digest at the destination.
        found: Digest,
    },
}

impl Finding {
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

    /// Whether it is about a tag, and nothing else keeps the bundle out.
    pub fn is_about_a_tag(&self) -> bool {
        matches!(self, Self::Immutable { .. } | Self::Conflict { .. })
    }

    /// The finding's name for machines. Stable.
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

/// The cause of a refusal in the middle of an import, where the destination could be asked.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Cause {
    /// The account was disabled, removed, has ended, or has another secret by now.
    #[error(
        "Harbor no longer knows the account: it was disabled or removed, has ended, or its secret was changed"
    )]
    AccountGone,
    /// The project is gone, or hidden.
    #[error("the project {0} is gone, or can no longer be seen by this account")]
    ProjectGone(ProjectName),
    /// The account has lost these rights. Those of a robot end with the project, even if it is made
    /// anew (Harbor keeps them by its number).
    #[error(
        "the account has lost {} in the project {project}; a robot's rights end when a project is removed",
        .rights.join(", ")
    )]
    RightsGone {
        /// In which project.
        project: ProjectName,
        /// Which, in the destination's words.
        rights: Vec<String>,
    },
}

/// Why a destination could not be prepared. Nothing was pushed.
#[derive(Debug, thiserror::Error)]
pub enum PrepareError {
    /// The destination refused, or could not be asked.
    #[error("project {project} cannot be set up")]
    Refused {
        /// The project.
        project: ProjectName,
        /// Why not.
        source: Error,
    },
    /// The destination took a change and did not keep it.
    #[error("project {project} was changed, but {}", .differences.join("; "))]
    NotKept {
        /// The project.
        project: ProjectName,
        /// The remaining differences.
        differences: Vec<String>,
    },
    /// A project that was made, and that this account may not push into.
    #[error("project {project} was created, and this account lacks {} in it", .rights.join(", "))]
    Rights {
        /// The project.
        project: ProjectName,
        /// Which rights are missing, in the destination's words.
        rights: Vec<String>,
    },
    /// Someone made a proxy cache of the name meanwhile.
    #[error("project {0} is a proxy cache")]
    ProxyCache(ProjectName),
}
