//! The bounds on what a person's file may ask of its reader, each with its unit and the attack that
//! it stops.

/// Every bound on people's files. They are read on machines that work unattended, often from a
/// repository that many can write. None is part of the bundle's format.
#[derive(Clone, Copy, Debug)]
#[non_exhaustive]
pub struct Limits {
    /// The size in bytes of a file: it is read into memory whole.
    pub file: u64,
    /// The size in bytes of a bundle.lock, enough for 100,000 entries of about 600 bytes.
    pub lock: u64,
    /// The size in bytes of a Helm repository's index. Bitnami's largest had 25 MiB.
    pub index: usize,
    /// Scalars, lists and maps in such an index.
    pub index_nodes: usize,
    /// How deep YAML may nest; ours needs 7. Parsers recurse, and stacks end.
    pub depth: usize,
    /// Scalars, lists and maps in one YAML file, aliases not followed: each takes some hundred bytes once parsed,
    /// however few it has in the file. A hundred thousand images have up to eight each.
    pub nodes: usize,
    /// The same in a bundle.lock, whose entries have about 25.
    pub lock_nodes: usize,
    /// Uses of anchors in one file that may have any.
    pub aliases: usize,
    /// Parser events that all uses of anchors may add together: this stops "a billion laughs".
    pub alias_events: usize,
}

impl Limits {
    /// The limits that every reader keeps to.
    pub const DEFAULT: Self = Self {
        file: 4 << 20,
        lock: 64 << 20,
        index: 64 << 20,
        index_nodes: 20_000_000,
        depth: 16,
        nodes: 1_000_000,
        lock_nodes: 4_000_000,
        aliases: 1_000,
        alias_events: 200_000,
    };
}
