//! Scans every manifest of a bundle's images once, several at a time.
//! Takes the images, a registry that serves them, a scanner and a cache; gives findings, or why there are none.

use std::collections::{HashMap, HashSet};

use bundle_oci::Digest;
use futures_util::stream::{self, StreamExt};

use crate::{Cache, Findings, Identity, Limits, ScanImage, Scanner};

/// What is known of each manifest.
#[derive(Clone, Debug, Default)]
pub struct Scanned {
    /// What was found, or why it was not scanned.
    pub found: HashMap<Digest, Result<Findings, String>>,
    /// How many of them the cache knew.
    pub cached: usize,
}

/// Scans all images at the registry `host`, `jobs` at a time. `done` is called after each scan.
pub async fn scan_all(
    images: &[ScanImage],
    host: &str,
    scanner: &Scanner,
    identity: &Identity,
    cache: Option<&Cache>,
    jobs: usize,
    done: impl Fn(&str),
) -> Scanned {
    let limits = Limits::DEFAULT;
    let mut scanned = Scanned::default();
    let mut seen = HashSet::new();
    let mut open = Vec::new();
    for image in images {
        for part in &image.parts {
            if !seen.insert(part.digest) {
                continue;
            }
            match cache.and_then(|cache| cache.find(identity, part.digest)) {
                Some(findings) => {
                    scanned.cached += 1;
                    scanned.found.insert(part.digest, Ok(findings));
                }
                None => open.push((image.name(), image.reference(part, host), part.digest)),
            }
        }
    }
    let running = open.into_iter().map(|(name, reference, digest)| async move {
        let found = scanner.scan(&reference, &limits).await;
        (name, digest, found.map_err(|error| bundle_oci::chain(&error)))
    });
    let mut results = stream::iter(running).buffer_unordered(jobs.max(1));
    while let Some((name, digest, found)) = results.next().await {
        if let (Some(cache), Ok(findings)) = (cache, &found) {
            cache.keep(identity, digest, findings);
        }
        scanned.found.insert(digest, found);
        done(&name);
    }
    scanned
}
