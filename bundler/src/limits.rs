//! Every bound of this crate, with its reason.
//! Takes nothing; gives the numbers that every reader and resolver of this crate keeps to.

use std::time::Duration;

/// Every bound on what the files of a person may ask of this crate. They are read on machines that
/// build bundles unattended, often from a repository that many can write. None is part of the
/// bundle's format.
#[derive(Clone, Copy, Debug)]
#[non_exhaustive]
pub struct Limits {
    /// Bytes of one file of manifests. The definitions of large operators have two million.
    pub manifest_file: u64,
    /// Files of one entry of manifests.
    pub manifest_files: usize,
    /// How deep directories of manifests are read.
    pub manifest_depth: usize,
    /// Images in one bundle.yaml with its lists, or in one list; the format carries as many.
    pub images: usize,
    /// The memory of one run, in bytes, for the manifests, the configs that are looked into, and what is
    /// noted of referrers and tags: a registry chooses how many an image has. Enough for five thousand
    /// images of five platforms.
    pub manifests: u64,
    /// Rules about signatures in one bundle.yaml; each is compared with each image.
    pub rules: usize,
    /// Tags that one choice of them brings, unless it says otherwise: `*` of a repository of ten years is a mistake
    /// more often than a wish.
    pub tags: usize,
    /// The most tags that a choice may ask for.
    pub most_tags: usize,
    /// Bytes of an SBOM that is attached to an image.
    pub sbom: u64,
    /// Bytes of a config that is looked into for its platform: it is kept in memory.
    pub config: u64,
    /// How far signatures of signatures are followed.
    pub referrer_depth: usize,
    /// Reasons of one image. The format has room for a thousand; what happened to the image's platforms and
    /// signatures is added to them.
    pub reasons: usize,
    /// Platforms of one nested index: people build for a few dozen, and a hostile registry could make the
    /// lists of nested ones as long as they multiply.
    pub platforms: usize,
    /// How long one chart may take to render with one set of values.
    pub render_time: Duration,
    /// How long the switches of one chart are turned. Most take a fraction of a second.
    pub switch_time: Duration,
    /// Bytes of a chart's provenance file; honest ones have two thousand.
    pub provenance: usize,
    /// Bytes of the journal beside a partial bundle: more than the notes on as many blobs as it may have.
    pub journal: u64,
    /// The smallest volume of a compressed bundle in bytes: a frame of 2 MiB fits, even if it is a bit
    /// larger compressed.
    pub compressed_volume: u64,
    /// Entries of an archive of images. The largest have some thousand layers and manifests.
    pub archive_entries: usize,
    /// Bytes of the name of one entry, or of its attributes, which are kept while they are read.
    pub archive_name: u64,
    /// Bytes of all names in an archive: they are kept.
    pub archive_names: usize,
    /// Bytes of a compressed archive once it is unpacked into a temporary file.
    pub unpacked_archive: u64,
    /// Bytes of one compressed layer once unpacked, which is only hashed: gzip makes a thousand of one, so a
    /// small file could keep a processor busy for days.
    pub unpacked_layer: u64,
    /// Images in one archive or layout; each manifest is read.
    pub local_images: usize,
    /// Bytes of the file `oci-layout`; honest ones have thirty.
    pub layout_version: u64,
}

impl Limits {
    /// The limits that [`Config`](crate::Config), lists and [`Lock`](crate::Lock) keep to.
    pub const DEFAULT: Self = Self {
        manifest_file: 32 << 20,
        manifest_files: 10_000,
        manifest_depth: 32,
        images: 100_000,
        manifests: 72 << 20,
        rules: 1000,
        tags: 100,
        most_tags: 10_000,
        sbom: 48 << 20,
        config: 8 << 20,
        referrer_depth: 3,
        reasons: 984,
        platforms: 256,
        render_time: Duration::from_secs(60),
        switch_time: Duration::from_secs(20),
        provenance: 1 << 20,
        journal: 64 << 20,
        compressed_volume: 3 << 20,
        archive_entries: 200_000,
        archive_name: 64 << 10,
        archive_names: 32 << 20,
        unpacked_archive: 256 << 30,
        unpacked_layer: 64 << 30,
        local_images: 10_000,
        layout_version: 4 << 10,
    };
}
