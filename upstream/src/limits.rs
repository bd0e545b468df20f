//! Every bound on signatures of others, with its reason.
//! Takes nothing; gives the numbers that this crate and those who fetch for it keep to.

/// Every bound on what a registry has beside an image. Whoever may push there chooses all of it.
#[derive(Clone, Copy, Debug)]
#[non_exhaustive]
pub struct Limits {
    /// Signatures of one image that are looked at. Release processes write one to five; each costs a request and
    /// a check of a signature with each key.
    pub signatures: usize,
    /// Bytes of the payload that cosign signs. Honest ones have three hundred, and annotations of people.
    pub payload: u64,
    /// Bytes of a Sigstore bundle. Honest ones have up to twenty thousand; statements of attestations may have
    /// some hundred thousand.
    pub bundle: u64,
    /// Characters of a signature in base64. One by RSA with 8,192 bits has 1,368.
    pub signature_text: usize,
    /// Characters of what a signature says of itself that a message has.
    pub reason: usize,
    /// Bytes of a file with public keys.
    pub key_file: usize,
    /// Keys of one file: each is tried with each signature.
    pub keys: usize,
}

impl Limits {
    /// The limits that every reader keeps to.
    pub const DEFAULT: Self = Self {
        signatures: 64,
        payload: 64 << 10,
        bundle: 1 << 20,
        signature_text: 4 << 10,
        reason: 200,
        key_file: 64 << 10,
        keys: 16,
    };
}
