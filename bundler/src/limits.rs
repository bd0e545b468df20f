/// Every bound on what the files of a person may ask of this crate. They are read on machines that
/// build bundles unattended, often from a repository that many can write. None is part of the
/// bundle's format.
#[derive(Clone, Copy, Debug)]
#[non_exhaustive]
pub struct Limits {
    /// Images in one bundle.yaml with its lists, or in one list; the format carries as many.
    pub images: usize,
    /// The bytes of the manifests of one run together, and of the configs that are looked into: they
    /// are kept in memory, and a registry chooses how many an image has. Enough for ten thousand
    /// images of five platforms.
    pub manifests: u64,
}

impl Limits {
    /// The limits that [`Config`](crate::Config), lists and [`Lock`](crate::Lock) keep to.
    pub const DEFAULT: Self = Self { images: 100_000, manifests: 256 << 20 };
}
