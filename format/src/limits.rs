//! The bounds on what a bundle may ask of its reader, with their reasons.
//! Takes nothing; [`Limits::V1`] belongs to version 1 of the format.

/// Every bound on what a bundle may ask of its reader. Changing one of the first seven changes
/// which bundles are valid, and so the format.
#[derive(Clone, Copy, Debug)]
#[non_exhaustive]
pub struct Limits {
    /// The statement's size in bytes. It is read into memory before its signature can be checked,
    /// so an unsigned file could ask for any amount.
    pub statement: u64,
    /// Artifacts in one statement.
    pub artifacts: usize,
    /// Blobs in one statement, present and required ones together.
    pub blobs: usize,
    /// Bases of one delta: what was sent since the last one that is known to have arrived.
    pub bases: usize,
    /// Volumes of one bundle.
    pub volumes: usize,
    /// How deep indexes may nest. Content addressing rules out real cycles, not long chains.
    pub index_depth: usize,
    /// Reasons for one artifact, and the characters of each.
    pub reasons: usize,
    /// Reasons of all artifacts together: a reason of one letter takes four bytes in the statement, and
    /// fifty once parsed.
    pub all_reasons: usize,
    /// Platforms of one artifact.
    pub platforms: usize,
    /// Platforms of all artifacts together, for the same reason.
    pub all_platforms: usize,
    /// Memory of all parsed manifests, in bytes ([`bundle_oci::Manifest::weight`]), with the tables and lists
    /// of the blobs that they name.
    pub graph: u64,
    /// Countersignatures beside a bundle: each costs a check against each trusted key.
    pub countersignatures: usize,
    /// Parts of artifacts, with manifests and blobs counted once for each artifact: a thousand artifacts of
    /// one index of a thousand images are a million objects to push and to name in a receipt.
    pub parts: usize,
    /// The bytes of all manifests together that a reader of a pipe keeps in memory, for it cannot
    /// go back to them.
    pub piped_manifests: u64,
    /// Frames of a compressed archive: their table is kept in memory, 16 bytes for each.
    pub frames: usize,
    /// The content of one frame in bytes, which is unpacked as a whole.
    pub frame: u64,
    /// The content of the frames of a compressed archive that are kept, in bytes together.
    pub cached_frames: u64,
    /// The size in bytes of a recipe of a compact encoding, which is read into memory.
    pub recipe: u64,
    /// The bytes of made blobs, and as many of their uncompressed bases, that are kept in scratch files of a compact
    /// encoding; more only while they are in use.
    pub scratch: u64,
    /// A receipt's size in bytes, which is read into memory: enough for as many artifacts and blobs
    /// as a statement may have.
    pub receipt: u64,
    /// The size in bytes of an absence notice: enough for all layers that a large registry can lose.
    pub absence: u64,
    /// The size in bytes of the index beside a set's volumes: enough for as many as there may be.
    pub volume_index: u64,
    /// The window that a frame in a pipe may need, as a power of 2, in bytes: what the decompression
    /// keeps in memory.
    pub piped_window: u32,
}

impl Limits {
    /// The limits of format version 1.
    pub const V1: Self = Self {
        statement: 32 << 20,
        artifacts: 100_000,
        blobs: 400_000,
        bases: 64,
        volumes: 10_000,
        index_depth: 4,
        reasons: 1_000,
        all_reasons: 400_000,
        platforms: 256,
        all_platforms: 200_000,
        graph: 96 << 20,
        countersignatures: 32,
        parts: 1_000_000,
        piped_manifests: 48 << 20,
        frames: 2_000_000,
        frame: 8 << 20,
        cached_frames: 16 << 20,
        recipe: 4 << 20,
        scratch: 4 << 30,
        receipt: 64 << 20,
        absence: 16 << 20,
        volume_index: 16 << 20,
        piped_window: 23,
    };
}

impl Default for Limits {
    fn default() -> Self {
        Self::V1
    }
}
