//! The bundles that are served together, and what is found in them: made anew when a bundle comes or goes, and put
//! in the place of the one before. Takes bundles one by one; gives content by name. Requests that began with an
//! earlier shelf end with it.

use std::collections::HashMap;
use std::sync::{Arc, Mutex};

use bundle_format::{Archive, Graph, Layer, Sequence, Timestamp};
use bundle_oci::Digest;

use crate::Reopen;
use crate::catalog::{Addition, Catalog, Content};
use crate::medium::Reopening;
use crate::proof::Proof;

/// A trusted bundle whose frame and manifests are right, on its way into a [`Store`](crate::Store).
pub struct Source {
    /// The bundle. That its frame is right, opening it has proven.
    pub archive: Archive<Arc<dyn Layer>>,
    /// The graph of its manifests.
    pub graph: Graph,
    /// Where to look for its bytes when they cannot be read any more.
    pub medium: Box<dyn Reopen>,
    /// The next moment after which it may no longer be trusted: it, or a key that signed it, ends then.
    pub until: Option<Timestamp>,
}

impl Source {
    /// The opened bundle, and the place to find it again.
    pub(crate) fn split(self) -> (Opened, Box<dyn Reopen>) {
        let Self { archive, graph, medium, until: _ } = self;
        (Opened { archive, graph }, medium)
    }
}

/// The contents of a bundle, which are dropped once it is in a [`Shelf`].
pub(crate) struct Opened {
    pub(crate) archive: Archive<Arc<dyn Layer>>,
    pub(crate) graph: Graph,
}

/// One bundle of a store.
#[derive(Clone, Debug)]
pub struct Summary {
    /// Its name for people.
    pub name: String,
    /// The digest of its statement.
    pub digest: Digest,
    /// The names of the keys that signed it.
    pub signers: Vec<String>,
    /// Its stream and its place there.
    pub stream: String,
    /// Its place in the stream.
    pub sequence: Sequence,
    /// The number of artifacts that it delivers.
    pub artifacts: usize,
}

/// A bundle that is open, with what is known of its blobs.
pub(crate) struct Held {
    /// No other bundle of this process has this number.
    pub(crate) id: u32,
    pub(crate) medium: Reopening,
    pub(crate) summary: Summary,
    pub(crate) created: Timestamp,
    /// The blobs that a delta requires from its bases.
    pub(crate) requires: Vec<Digest>,
    /// The bundles that it names as its bases.
    pub(crate) bases: Vec<Digest>,
    /// How many blobs it carries.
    pub(crate) blobs: usize,
    pub(crate) proofs: Mutex<HashMap<Digest, Arc<Proof>>>,
}

impl Held {
    /// A bundle of which nothing is known yet but what it says of itself.
    pub(crate) fn new(opened: &Opened, id: u32, name: String, medium: Reopening) -> Self {
        let trusted = opened.archive.trusted();
        let statement = trusted.statement();
        let summary = Summary {
            name,
            digest: trusted.digest(),
            signers: trusted.signers().to_vec(),
            stream: statement.stream.to_string(),
            sequence: statement.sequence,
            artifacts: statement.artifacts.len(),
        };
        let requires = statement.requires.iter().map(|blob| blob.digest).collect();
        let bases = statement.base.iter().map(|base| base.digest).collect();
        let (created, blobs) = (statement.created, statement.blobs.len());
        Self { id, medium, summary, created, requires, bases, blobs, proofs: Mutex::default() }
    }
}

/// Bundles, and what is found in them.
#[derive(Default)]
pub(crate) struct Shelf {
    pub(crate) catalog: Catalog,
    bundles: Vec<Arc<Held>>,
}

impl Shelf {
    /// Adds a bundle, of which `opened` is what it says of itself.
    pub(crate) fn add(&mut self, held: Arc<Held>, opened: &Opened) {
        self.catalog.add(&Addition {
            name: &held.summary.name,
            trusted: opened.archive.trusted(),
            places: opened.archive.places_of_blobs().collect(),
            graph: &opened.graph,
        });
        self.bundles.push(held);
    }

    /// After the last bundle.
    pub(crate) fn finish(&mut self) {
        self.catalog.finish();
    }

    /// The bundles, in the order in which they were added.
    pub(crate) fn bundles(&self) -> &[Arc<Held>] {
        &self.bundles
    }

    /// The bundle that has this content.
    pub(crate) fn held(&self, content: Content) -> Option<&Arc<Held>> {
        self.bundles.get(content.bundle as usize)
    }

    /// The deltas of which something is missing that they build on: how many blobs, and the first.
    pub(crate) fn lacking(&self) -> impl Iterator<Item = (&Arc<Held>, usize, Digest)> {
        self.bundles.iter().filter_map(|held| {
            let absent = self.catalog.absent(held.requires.iter().copied());
            Some((held, absent.len(), *absent.first()?))
        })
    }
}
