//! Why a signature does not count.
//! Takes facts of the signature; gives a fragment of a sentence about it.

use bundle_oci::Printable;

/// Why a signature does not prove who signed an image.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Fault {
    /// The bytes are not what they have to be.
    #[error("cannot be read: {0}")]
    Malformed(&'static str),
    /// More than a limit.
    #[error("{what} has more than {limit} bytes")]
    TooLarge {
        /// What has.
        what: &'static str,
        /// How many it may have.
        limit: u64,
    },
    /// No given key verifies it.
    #[error("is by another key, or was altered")]
    OtherKey,
    /// It is made with a certificate, where a key is asked for.
    #[error("is made with a certificate, and not with a key")]
    Certificate,
    /// It is made with a key, where a certificate is asked for.
    #[error("is made with a key, and not with a certificate of an identity")]
    Key,
    /// The certificate, the log or the signature prove nothing by the trusted root.
    #[error("proves no identity by the trusted root: {}", Printable(.0))]
    NotProved(String),
    /// It is right, and by somebody else.
    #[error("is by another identity, {}", Printable(.0))]
    OtherIdentity(String),
    /// It is right, and signs something else.
    #[error("signs another image, {}", Printable(.0))]
    OtherImage(String),
    /// It is right, and says something of the image that is no signature of it.
    #[error("is an attestation of the type {}, and no signature of the image", Printable(.0))]
    Attestation(String),
}
