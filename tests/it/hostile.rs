//! Bundles that nothing of ours would write, signed by a key that is trusted nevertheless.
//! Takes a bundle and a change of what it says; writes another one of the same content.

use bundle_format::{Draft, Layout, Limits, OCI_LAYOUT, Statement, Unverified};
use bundle_trust::{Signer, load_private};

use crate::scene::Scene;

/// Writes `to`: `from` with another statement, signed with the scene's key.
pub(crate) fn rewritten(scene: &Scene, from: &str, to: &str, change: impl FnOnce(&mut Draft)) {
    rewritten_by(scene, "key", from, to, change);
}

/// The same, signed with another key.
pub(crate) fn rewritten_by(scene: &Scene, key: &str, from: &str, to: &str, change: impl FnOnce(&mut Draft)) {
    let bytes = std::fs::read(scene.path(from)).unwrap();
    let head = Unverified::read(&mut &bytes[..], &Limits::V1).unwrap();
    let (honest, _) = head.contents(&bytes, &Limits::V1).unwrap();
    let stored = Layout::of(&honest, honest.to_bytes().len() as u64);
    let mut draft = honest.draft();
    change(&mut draft);
    let statement: Statement = draft.seal(&Limits::V1).unwrap();
    assert_eq!(statement.blobs, honest.blobs, "only what is said changes");
    let text = statement.to_bytes();
    let layout = Layout::of(&statement, text.len() as u64);
    let key = load_private(&scene.path(key), |_| panic!("the key has no passphrase")).unwrap();
    let signature = Signer::Key(key).sign(&text).unwrap().as_ref().to_vec();
    let mut contents = vec![text, signature, OCI_LAYOUT.to_vec(), statement.index_json()];
    for entry in stored.blobs() {
        contents.push(bytes[entry.offset as usize..(entry.offset + entry.size) as usize].to_vec());
    }
    let mut written = Vec::new();
    for (entry, content) in layout.entries().iter().zip(contents) {
        written.extend_from_slice(&entry.header());
        written.extend_from_slice(&content);
        written.resize(written.len() + entry.padding() as usize, 0);
    }
    written.resize(layout.size() as usize, 0);
    std::fs::write(scene.path(to), written).unwrap();
}
