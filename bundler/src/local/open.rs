//! Opens local sources by their form.
//! Takes an address; gives a store of images.

use super::address::{LocalAddress, Transport};
use super::error::LocalCause;
use super::store::LocalStore;
use super::tree::Tree;
use super::{directory, docker, layout};
use crate::Limits;

/// Opens the source of an address. It may take as long as unpacking an archive, or hashing layers that are
/// compressed.
pub(super) fn open(address: &LocalAddress, limits: &Limits) -> Result<LocalStore, LocalCause> {
    let name = format!("{}:{}", address.transport.as_str(), address.path.display());
    let path = &address.path;
    match address.transport {
        Transport::DockerArchive => docker::open(name, Tree::archive(path, limits)?, limits),
        Transport::OciArchive => layout::open(name, Tree::archive(path, limits)?, limits),
        Transport::Oci => layout::open(name, Tree::directory(path)?, limits),
        Transport::Dir => directory::open(name, Tree::directory(path)?),
    }
}
