//! The memory of a run that looks images up: manifests, configs, and what is noted of them. Takes each once,
//! and gives it to all tasks; all of it together has a limit, since registries choose how much there is.

use std::collections::HashMap;
use std::sync::{Mutex, PoisonError};

use bundle_oci::Digest;
use bundle_registry::FetchedManifest;
use bytes::Bytes;

use crate::{Limits, ResolveCause};

/// The size of an entry beside its content, in bytes: its place in tables, and the note of its subject.
const ENTRY: u64 = 512;

/// The manifests of a run, and the configs that were looked into. Each is fetched and kept once,
/// however many images have it, and all of them together stay within [`Limits::manifests`].
pub(crate) struct Store {
    limit: u64,
    kept: Mutex<Kept>,
}

#[derive(Default)]
struct Kept {
    manifests: HashMap<Digest, FetchedManifest>,
    configs: HashMap<Digest, Bytes>,
    /// The bytes of what is kept, and of what is on its way.
    bytes: u64,
}

impl Store {
    pub(crate) fn new(limits: &Limits) -> Self {
        Self { limit: limits.manifests, kept: Mutex::default() }
    }

    /// Sets room aside for what is going to be fetched.
    ///
    /// # Errors
    /// There is no room. From then on every reservation fails.
    pub(crate) fn reserve(&self, size: u64) -> Result<(), ResolveCause> {
        let mut kept = self.lock();
        kept.bytes = kept.bytes.saturating_add(size);
        if kept.bytes > self.limit { Err(ResolveCause::TooMuch(self.limit)) } else { Ok(()) }
    }

    pub(crate) fn manifest(&self, digest: Digest) -> Option<FetchedManifest> {
        self.lock().manifests.get(&digest).cloned()
    }

    /// Keeps a manifest, for which `reserved` bytes were set aside.
    ///
    /// # Errors
    /// It has more bytes, and there is no room for them.
    pub(crate) fn keep_manifest(&self, manifest: FetchedManifest, reserved: u64) -> Result<(), ResolveCause> {
        let size = manifest.bytes.len() as u64 + ENTRY;
        let mut kept = self.lock();
        let new = kept.manifests.insert(manifest.digest, manifest).is_none();
        kept.settle(if new { size } else { 0 }, reserved);
        if kept.bytes > self.limit { Err(ResolveCause::TooMuch(self.limit)) } else { Ok(()) }
    }

    pub(crate) fn config(&self, digest: Digest) -> Option<Bytes> {
        self.lock().configs.get(&digest).cloned()
    }

    /// Keeps a config of as many bytes as were set aside for it.
    pub(crate) fn keep_config(&self, digest: Digest, bytes: Bytes) {
        let size = bytes.len() as u64;
        let mut kept = self.lock();
        let new = kept.configs.insert(digest, bytes).is_none();
        kept.settle(if new { size } else { 0 }, size);
    }

    pub(crate) fn into_contents(self) -> HashMap<Digest, Bytes> {
        let kept = self.kept.into_inner().unwrap_or_else(PoisonError::into_inner);
        let manifests = kept.manifests.into_iter().map(|(digest, manifest)| (digest, manifest.bytes));
        kept.configs.into_iter().chain(manifests).collect()
    }

    fn lock(&self) -> std::sync::MutexGuard<'_, Kept> {
        self.kept.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Kept {
    fn settle(&mut self, taken: u64, reserved: u64) {
        self.bytes = self.bytes.saturating_sub(reserved).saturating_add(taken);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn manifest(text: &'static str) -> FetchedManifest {
        FetchedManifest {
            bytes: Bytes::from_static(text.as_bytes()),
            digest: Digest::of(text.as_bytes()),
            media_type: bundle_oci::MediaType::IMAGE_MANIFEST.parse().unwrap(),
        }
    }

    #[test]
    fn what_is_kept_twice_counts_once_and_all_of_it_has_an_end() {
        let limits = Limits { manifests: 10 + ENTRY, ..Limits::DEFAULT };
        let store = Store::new(&limits);
        for _ in 0..3 {
            store.reserve(4).unwrap();
            store.keep_manifest(manifest("four"), 4).unwrap();
        }
        store.reserve(6).unwrap();
        store.keep_config(Digest::of(b"config"), Bytes::from_static(b"config"));
        assert!(matches!(store.reserve(1), Err(ResolveCause::TooMuch(_))));
        assert_eq!(store.into_contents().len(), 2);
        let store = Store::new(&limits);
        assert!(matches!(store.keep_manifest(manifest("more than ten"), 0), Err(ResolveCause::TooMuch(_))));
    }
}
