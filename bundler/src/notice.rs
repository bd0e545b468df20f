//! Notices about a bundle beside its contents: omitted images, changes by a lock, missing signatures. They
//! are values, so that every command reports the same for the same request, in text or JSON.

use std::fmt;

use bundle_oci::{Digest, Platform, Printable, Reference};

use crate::{Confirmation, DiscoveredChart, UnobtainableReferrer};

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
    /// Layers that are marked non-distributable stay with their vendor, so that the image is incomplete.
    ForeignLayers {
        /// The image.
        image: Reference,
        /// How many of its layers.
        layers: usize,
    },
}

impl Notice {
    /// A name of this kind of notice that does not change, for documents.
    pub fn id(&self) -> &'static str {
        match self {
            Self::Chart { .. } => "chart-warning",
            Self::LeftOut { .. } => "image-left-out",
            Self::KeptToLock { .. } => "kept-to-lock",
            Self::LockedDigestGone { .. } => "locked-digest-gone",
            Self::PinnedWhole { .. } => "pinned-carries-all-platforms",
            Self::MissingPlatforms { .. } => "platforms-missing",
            Self::IndexSignatures { .. } => "index-signatures-dropped",
            Self::SignedWhole { .. } => "signed-index-carries-all-platforms",
            Self::Unobtainable(_) => "referrer-unobtainable",
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
            Self::ForeignLayers { image, layers: 1 } => {
                write!(f, "{image}: 1 layer is marked non-distributable and is not in the bundle")
            }
            Self::ForeignLayers { image, layers } => {
                write!(f, "{image}: {layers} layers are marked non-distributable and are not in the bundle")
            }
        }
    }
}
