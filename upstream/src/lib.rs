//! Who signed an image upstream. Takes the bytes of signatures that lie beside an image in its registry, and the
//! keys that a person trusts; gives who signed the image's digest, or what is wrong with each signature.
//!
//! Start at [`Found`], one signature as a registry has it, and [`PublicKeys::check`], which says whose it is, or
//! [`Identity::check`] for signatures without a key. No network, no files: whoever fetches signatures calls this crate.

#![deny(clippy::print_stdout, clippy::print_stderr)]

mod dsse;
mod fault;
mod found;
mod key;
mod keyless;
mod limits;
mod older;
mod sigstore;
mod simple;

pub use fault::Fault;
pub use found::{BUNDLE_TYPE, Found, SIGNATURE_ANNOTATION, SIMPLE_TYPE};
pub use key::{KeyError, PublicKey, PublicKeys};
pub use keyless::{Identity, IdentityError};
pub use limits::Limits;
pub use older::{Annotations, CERTIFICATE_ANNOTATION, LOG_ANNOTATION};
