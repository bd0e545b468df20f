/// Every bound on what the files of a person may ask of this crate. They are read on machines that
/// build bundles unattended, often from a repository that many can write. None is part of the
/// bundle's format.
#[derive(Clone, Copy, Debug)]
#[non_exhaustive]
pub struct Limits {
    /// The size in bytes of a bundle.yaml or an image list: they are read into memory whole.
    pub file: u64,
    /// The size in bytes of a bundle.lock, enough for `images` entries of about 600 bytes.
    pub lock: u64,
    /// The size in bytes of a Helm repository's index. Bitnami's largest had 25 MiB.
    pub index: usize,
    /// Scalars, lists and maps in such an index.
    pub index_nodes: usize,
    /// Images in one bundle.yaml with its lists, or in one list; the format carries as many.
    pub images: usize,
    /// The bytes of the manifests of one run together, and of the configs that are looked into: they
    /// are kept in memory, and a registry chooses how many an image has. Enough for ten thousand
    /// images of five platforms.
    pub manifests: u64,
    /// How deep YAML may nest; ours needs 7. Parsers recurse, and stacks end.
    pub depth: usize,
    /// Scalars, lists and maps in one YAML file, aliases not followed.
    pub nodes: usize,
    /// Uses of anchors in one bundle.yaml. A lock has none.
    pub aliases: usize,
    /// What all uses of anchors may add together, in parser events: this stops "a billion laughs".
    pub alias_events: usize,
}

impl Limits {
    /// The limits that [`Config`](crate::Config), lists and [`Lock`](crate::Lock) keep to.
    pub const DEFAULT: Self = Self {
        file: 4 << 20,
        lock: 64 << 20,
        index: 64 << 20,
        index_nodes: 20_000_000,
        images: 100_000,
        manifests: 256 << 20,
        depth: 16,
        nodes: 4_000_000,
        aliases: 1_000,
        alias_events: 200_000,
    };
}
