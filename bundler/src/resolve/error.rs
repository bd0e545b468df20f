//! Errors of resolving: every image that failed, with its cause.
//! Takes facts; gives messages with the registry, the platforms or the tags that exist.

use bundle_format::Target;
use bundle_oci::{Digest, ManifestError, Platform, Printable, Reference, Tag};
use bundle_registry::Error;

use crate::request::places;
use crate::{LocalError, Platforms, Reason, ReferrerOutcome, Unsigned};

/// All images that could not be resolved.
#[derive(Debug, thiserror::Error)]
#[error("{} of the images cannot be resolved", .0.len())]
pub struct ResolveErrors(pub Vec<ResolveError>);

/// One image that could not be resolved.
#[derive(Debug, thiserror::Error)]
#[error("{reference} ({})", places(.reasons))]
pub struct ResolveError {
    /// The image.
    pub reference: Reference,
    /// The requesters.
    pub reasons: Vec<Reason>,
    /// Why not.
    #[source]
    pub cause: ResolveCause,
}

/// Why an image could not be resolved.
#[derive(Debug, thiserror::Error)]
pub enum ResolveCause {
    /// The registry.
    #[error(transparent)]
    Registry(#[from] Error),
    /// There is no such tag.
    #[error("{host} has no such image{}", nearest(.tags))]
    NotFound {
        /// The registry.
        host: String,
        /// Tags that look like the one that was asked for.
        tags: Vec<Tag>,
    },
    /// A manifest that cannot be used.
    #[error("manifest {digest} cannot be used")]
    Manifest {
        /// The manifest.
        digest: Digest,
        /// The cause.
        source: ManifestError,
    },
    /// The image is not made for a platform that is wanted.
    #[error("there is no {wanted}; the image is made for {}", list(.available))]
    Platform {
        /// The platform.
        wanted: Platform,
        /// The platforms that there are.
        available: Vec<Platform>,
    },
    /// The lock demands what is gone.
    #[error("the locked digest {0} no longer exists in the registry")]
    Gone(Digest),
    /// The lock demands what a local source no longer has.
    #[error("the locked digest {digest} is not in {}", Printable(.place))]
    LocalGone {
        /// The digest.
        digest: Digest,
        /// The source.
        place: String,
    },
    /// The tag is gone, and so is what it meant last.
    #[error("the tag is gone, and its last digest {0} no longer exists in the registry")]
    LastGone(Digest),
    /// The lock does not know the image.
    #[error("it is not in the lockfile")]
    NotLocked,
    /// Indexes nested too deeply.
    #[error("its indexes are nested too deeply")]
    TooDeep,
    /// The artifacts that are attached to it, as the registry says, cannot be had.
    #[error("{referrer}, which the registry lists as attached to {subject}, cannot be fetched")]
    Referrer {
        /// The referrer.
        referrer: Digest,
        /// Its subject.
        subject: Digest,
        /// Why not.
        source: Error,
    },
    /// A local source.
    #[error(transparent)]
    Local(#[from] LocalError),
    /// The same reference from a registry and from a local source, or from two of these.
    #[error("because of {}, it would be read from another source too; a bundle has one source of each reference", places(.reasons))]
    TwoSources {
        /// The requesters of the other source.
        reasons: Vec<Reason>,
    },
    /// Two choices of platforms, or two locked digests, of one source.
    #[error(
        "it would be carried for {platforms} and, because of {}, for {others}; a bundle has one digest of each source",
        places(.reasons)
    )]
    TwoDigests {
        /// For which platforms it is wanted here.
        platforms: Platforms,
        /// For which ones it is wanted elsewhere.
        others: Platforms,
        /// The requesters of the other digest.
        reasons: Vec<Reason>,
    },
    /// A tag, and the same tag with a digest that it does not have.
    #[error("{target} would be both {first}, as {} have it, and {second}", .reasons.join(", "))]
    TwoMeanings {
        /// Where both go.
        target: Target,
        /// The digest that the target has already.
        first: Digest,
        /// The requesters of that digest.
        reasons: Vec<String>,
        /// The digest of this one.
        second: Digest,
    },
    /// The artifacts that are attached to it is required, and does not travel.
    #[error("its signatures or other referrers are required: {0}")]
    Required(ReferrerOutcome),
    /// A publisher's signature that a rule requires is not there, or proves nothing.
    #[error("{0}")]
    Unsigned(Box<Unsigned>),
    /// More than [`crate::Limits::manifests`].
    #[error("the manifests, configs and referrers of all images take more than {} MiB together", .0 >> 20)]
    TooMuch(u64),
    /// More platforms than the format carries for one artifact.
    #[error("it is made for {found} platforms, and a bundle carries at most {limit} for one image")]
    Platforms {
        /// How many there are.
        found: usize,
        /// How many there may be.
        limit: usize,
    },
    /// More artifacts than the format carries.
    #[error("it has so many referrers that the bundle would have more than {0} artifacts")]
    TooManyArtifacts(usize),
}

fn nearest(tags: &[Tag]) -> String {
    if tags.is_empty() { String::new() } else { format!("; there are the tags {}", list(tags)) }
}

/// Items in a sentence.
pub(super) fn list(items: &[impl ToString]) -> String {
    if items.is_empty() {
        return "no platform".to_owned();
    }
    items.iter().map(ToString::to_string).collect::<Vec<_>>().join(", ")
}
