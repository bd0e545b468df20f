//! Notices about a bundle beside its contents: omitted images, changes by a lock, missing signatures. They
//! are values, so that every command reports the same for the same request, in text or JSON.

use std::fmt;

use bundle_oci::{Digest, Platform, Printable, Reference};

use crate::request::places;
use crate::{Confirmation, DiscoveredChart, Reason, UnobtainableReferrer, Unsigned};

/// A notice about a bundle that is made nevertheless.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Notice {
    /// A chart likely has something wrong, or renders otherwise elsewhere.
    Chart {
        /// Its name for people: `chart web 1.0.0`, or manifests.
        chart: String,
        /// The warning.
        warning: String,
    },
    /// An image that a chart asks for is not carried.
    LeftOut {
        /// The name of the chart for people.
        chart: String,
        /// The image.
        image: Reference,
        /// The place in the chart that asks for it; empty if unknown.
        place: String,
        /// Why it is not carried.
        why: String,
    },
    /// An image that is gone at its registry, with what its policy did.
    Missing(MissingImage),
    /// A choice of tags came to nothing at the registry, and the tags of an earlier run are taken.
    TagsKept {
        /// The choice.
        image: String,
        /// How many tags.
        tags: usize,
    },
    /// A registry's list of tags may not be whole.
    TagsMayBeCut {
        /// The repository.
        image: String,
        /// How many tags it has.
        tags: usize,
    },
    /// An entry of an `exclude` matches no image: likely a typing error, or an image that is gone.
    ExcludeUnused {
        /// The entry, as it was written.
        exclude: String,
        /// The place that has it.
        place: Reason,
    },
    /// Images keep the lock's digests, even if their tags moved.
    KeptToLock {
        /// How many.
        kept: usize,
        /// The number of requested ones.
        of: usize,
        /// The lock's file.
        lock: String,
    },
    /// The locked digest is gone, and the tag was resolved again.
    LockedDigestGone {
        /// The image.
        image: Reference,
        /// The digest in the lock.
        digest: Digest,
    },
    /// A reference with a digest keeps all platforms of its index, for any choice.
    PinnedWhole {
        /// The image.
        image: Reference,
    },
    /// Some of the platforms that are wanted are not there; the others are carried.
    MissingPlatforms {
        /// The image.
        image: Reference,
        /// The platforms that are wanted and not there.
        missing: Vec<Platform>,
    },
    /// Signatures of an index stay behind because platforms of it were chosen: they sign all of it.
    IndexSignatures {
        /// The image.
        image: Reference,
    },
    /// All platforms of an index are carried, because it is signed and signed indexes stay whole.
    SignedWhole {
        /// The image.
        image: Reference,
    },
    /// Referrers of an image that may exist and are not carried.
    Unobtainable(UnobtainableReferrer),
    /// A publisher's signature is not verified, and the rule only warns.
    NotSigned {
        /// The image.
        image: Reference,
        /// Why not.
        why: Unsigned,
    },
    /// Layers that are marked non-distributable stay with their vendor, so that the image is incomplete.
    ForeignLayers {
        /// The image.
        image: Reference,
        /// How many of its layers.
        layers: usize,
    },
}

/// An image that is gone at its registry.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct MissingImage {
    /// The image, or the choice of tags that came to nothing.
    pub image: String,
    /// Where it would go.
    pub target: String,
    /// The digest that is carried instead; nothing if the image is left out.
    pub kept: Option<Digest>,
    /// The places that ask for it.
    pub why: Vec<Reason>,
}

impl Notice {
    /// The image that is gone, if it is about one.
    pub fn missing(&self) -> Option<&MissingImage> {
        match self {
            Self::Missing(image) => Some(image),
            _ => None,
        }
    }

    /// A name of this kind of notice that does not change, for documents.
    pub fn id(&self) -> &'static str {
        match self {
            Self::Chart { .. } => "chart-warning",
            Self::LeftOut { .. } => "image-left-out",
            Self::Missing(MissingImage { kept: Some(_), .. }) => "missing-kept-last",
            Self::Missing(MissingImage { kept: None, .. }) => "missing-skipped",
            Self::TagsKept { .. } => "tags-kept-last",
            Self::TagsMayBeCut { .. } => "tags-may-be-cut",
            Self::ExcludeUnused { .. } => "exclude-unused",
            Self::KeptToLock { .. } => "kept-to-lock",
            Self::LockedDigestGone { .. } => "locked-digest-gone",
            Self::PinnedWhole { .. } => "pinned-carries-all-platforms",
            Self::MissingPlatforms { .. } => "platforms-missing",
            Self::IndexSignatures { .. } => "index-signatures-dropped",
            Self::SignedWhole { .. } => "signed-index-carries-all-platforms",
            Self::Unobtainable(_) => "referrer-unobtainable",
            Self::NotSigned { .. } => "signature-not-verified",
            Self::ForeignLayers { .. } => "foreign-layers",
        }
    }

    /// The notices about a chart: its warnings, and the images that it asks for and that are left out.
    pub fn of_chart(chart: &DiscoveredChart) -> Vec<Self> {
        let name = chart.label();
        let warnings = chart.warnings.iter();
        let warnings =
            warnings.map(|warning| Self::Chart { chart: name.clone(), warning: warning.to_string() });
        // The other reading is named only where both are missing.
        let images =
            chart.images.iter().filter(|image| !matches!(image.confirmation, Confirmation::OtherReading(_)));
        let left_out = images.filter_map(|image| {
            Some(Self::LeftOut {
                chart: name.clone(),
                image: image.find.reference.clone(),
                place: image.find.places.first().map(ToString::to_string).unwrap_or_default(),
                why: image.left_out()?,
            })
        });
        warnings.chain(left_out).collect()
    }
}

impl fmt::Display for Notice {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Chart { chart, warning } => write!(f, "{chart}: {warning}"),
            Self::LeftOut { chart, image, place, why } => {
                write!(f, "{chart}: {image} ({place}) is left out: {why}")
            }
            Self::Missing(MissingImage { image, kept: Some(digest), why, .. }) => write!(
                f,
                "{image} ({}) is gone at its registry; its last digest {digest} is carried",
                places(why)
            ),
            Self::Missing(MissingImage { image, kept: None, why, .. }) => {
                write!(f, "{image} ({}) is gone at its registry and is left out", places(why))
            }
            Self::TagsKept { image, tags } => {
                let tags = if *tags == 1 { "1 tag".to_owned() } else { format!("{tags} tags") };
                write!(f, "{image} matches no tag any more; what the last run had ({tags}) is carried")
            }
            Self::TagsMayBeCut { image, tags } => {
                write!(
                    f,
                    "{image}: the registry lists {tags} tags and may have more; a choice of them may lack some"
                )
            }
            Self::ExcludeUnused { exclude, place } => {
                write!(f, "{place}: exclude '{}' matches no image", Printable(exclude))
            }
            Self::KeptToLock { kept, of, lock } => {
                let images = if *of == 1 { "image" } else { "images" };
                write!(f, "{kept} of {of} {images} kept to {}", Printable(lock))
            }
            Self::LockedDigestGone { image, digest } => {
                write!(f, "{image}: the locked digest {digest} is gone; taking what the tag means now")
            }
            Self::PinnedWhole { image } => {
                write!(f, "{image}: pinned by digest, so all its platforms are carried")
            }
            Self::MissingPlatforms { image, missing } => {
                let missing: Vec<_> = missing.iter().map(Platform::to_string).collect();
                write!(f, "{image}: there is no {}; the other platforms are carried", missing.join(", "))
            }
            Self::IndexSignatures { image } => {
                write!(f, "{image}: signatures of the index are left out, for they sign all of its platforms")
            }
            Self::SignedWhole { image } => {
                write!(f, "{image}: its index is signed, so all its platforms are carried")
            }
            Self::Unobtainable(referrer) => referrer.fmt(f),
            Self::NotSigned { image, why } => write!(f, "{image}: {why}; it is carried nevertheless"),
            Self::ForeignLayers { image, layers: 1 } => {
                write!(f, "{image}: 1 layer is marked non-distributable and is not in the bundle")
            }
            Self::ForeignLayers { image, layers } => {
                write!(f, "{image}: {layers} layers are marked non-distributable and are not in the bundle")
            }
        }
    }
}
