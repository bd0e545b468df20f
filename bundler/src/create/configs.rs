//! The platforms in the configs that pass while a bundle is written, of images whose platforms an index
//! names. Takes their bytes; gives the images of which indexes say another platform than configs do.

use std::collections::{HashMap, HashSet};
use std::sync::{Mutex, MutexGuard, PoisonError};

use bundle_format::{Blob, ConfigWord, OtherPlatform, named_configs, other_platforms};
use bundle_oci::{ConfigPlatform, Digest};

use crate::Plan;

/// The configs that are looked into, and what those say that have passed.
pub(crate) struct Configs {
    sought: HashSet<Digest>,
    words: Mutex<HashMap<Digest, ConfigWord>>,
}

impl Configs {
    pub(crate) fn of(plan: &Plan) -> Self {
        let sought = named_configs(&plan.statement().artifacts, plan.graph());
        Self { sought, words: Mutex::default() }
    }

    /// Whether a blob is one of them. It fits into memory then.
    pub(crate) fn seeks(&self, blob: Blob) -> bool {
        blob.size <= ConfigPlatform::LARGEST && self.sought.contains(&blob.digest)
    }

    /// Takes note of what a config says.
    pub(crate) fn note(&self, digest: Digest, bytes: &[u8]) {
        if self.sought.contains(&digest) {
            self.words().insert(digest, ConfigWord::of(bytes));
        }
    }

    /// The images that are two things.
    pub(crate) fn other_platforms(&self, plan: &Plan) -> Vec<OtherPlatform> {
        let words = self.words();
        other_platforms(&plan.statement().artifacts, plan.graph(), |config| {
            words.get(&config.digest).cloned().unwrap_or(ConfigWord::Absent)
        })
    }

    fn words(&self) -> MutexGuard<'_, HashMap<Digest, ConfigWord>> {
        // An entry is there or not, whoever panicked.
        self.words.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
