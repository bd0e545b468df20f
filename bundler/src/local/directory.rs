//! Directories as `skopeo copy … dir:` writes them: `manifest.json`, and blobs by their digests
//! (containers/image, directory/directory_transport.go). Takes a tree of files; gives its one image.

use bundle_oci::{Digest, Manifest};

use super::content::Content;
use super::error::LocalCause;
use super::store::{Blobs, Found, LocalStore};
use super::tree::Tree;

/// Opens a directory.
pub(super) fn open(name: String, tree: Tree) -> Result<LocalStore, LocalCause> {
    let lacks = LocalCause::Lacks { file: "manifest.json", form: "a directory of the transport 'dir'" };
    let manifest = tree.read("manifest.json", Manifest::LARGEST as u64)?.ok_or(lacks)?;
    let root = Digest::of(&manifest);
    let media_type = Manifest::media_type(&manifest, None)
        .map_err(|source| LocalCause::Manifest { digest: root, source })?;
    let mut store = LocalStore::new(name, Blobs::Plain(tree));
    store.known.insert(root, Content::Memory(manifest.into()));
    store.images.push(Found { names: Vec::new(), tag: None, root, media_type });
    Ok(store)
}
