//! The answer of a search: the places where an image is or was, and what could not be read.
//! Plain values, in an order that people can read.

use std::collections::BTreeSet;
use std::path::PathBuf;

use bundle_format::{BundleId, Outcome, SiteName, Target, Timestamp};
use bundle_oci::{Digest, RegistryPath};

/// What was found.
#[derive(Clone, Debug, Default)]
pub struct Answer {
    /// The places, by registry and name, the newest first in each.
    pub places: Vec<Place>,
    /// What could not be read or is not believed: with any of it, the answer may lack something.
    pub problems: Vec<Problem>,
    /// Receipts that were read and believed.
    pub receipts: usize,
    /// Bundles that were read and believed.
    pub bundles: usize,
}

/// Where an artifact is or was.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Place {
    /// The registry; none for a bundle that was imported nowhere, as far as anything says.
    pub registry: Option<RegistryPath>,
    /// Its place there.
    pub target: Target,
    /// Its digest.
    pub digest: Digest,
    /// The part of it that was searched for, if it is not the artifact itself.
    pub part: Option<Digest>,
    /// The sites whose receipts name it.
    pub sites: BTreeSet<SiteName>,
    /// The imports that put it there, oldest first.
    pub brought: Vec<Bringing>,
    /// The first receipt that names it, if none of them put it there: it was there before, or was left out.
    pub first: Option<Bringing>,
    /// How many bundles name it there.
    pub bundles: usize,
    /// Who asked for it, as the newest bundle says that is here.
    pub reasons: Vec<String>,
    /// The streams whose bundles name it.
    pub streams: Vec<Standing>,
    /// What is there now.
    pub now: Now,
    /// What else is said of it by the registry's own record.
    pub recorded: Vec<BundleId>,
}

/// An import of an artifact.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Bringing {
    /// The bundle.
    pub bundle: BundleId,
    /// When the import ended.
    pub imported: Timestamp,
    /// What the import did.
    pub outcome: Outcome,
    /// The names of the keys that signed the bundle, as the site calls them.
    pub signers: Vec<String>,
    /// The site.
    pub site: SiteName,
    /// The receipt.
    pub receipt: PathBuf,
}

/// A stream and an artifact that its bundles name.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Standing {
    /// The newest bundle that names it.
    pub last: BundleId,
    /// The names of the keys that signed that one.
    pub signers: Vec<String>,
    /// The newest bundle of the stream there. If it is another one, it no longer has the artifact.
    pub newest: BundleId,
}

impl Standing {
    /// Whether the newest bundle still has it.
    pub fn is_wanted(&self) -> bool {
        self.last == self.newest
    }
}

/// What is in a place now.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Now {
    /// Nobody looked.
    Unknown,
    /// The artifact, under its tag if it has one.
    There,
    /// The tag has another digest.
    Other(Digest),
    /// The artifact is there, and its tag is not.
    Untagged,
    /// Nothing.
    Gone,
}

impl Place {
    /// Whether anything that was read says where it comes from.
    pub fn is_known(&self) -> bool {
        !self.brought.is_empty()
            || self.first.is_some()
            || !self.streams.is_empty()
            || !self.recorded.is_empty()
    }
}

/// Where a problem is.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum At {
    /// A receipt.
    Receipt(PathBuf),
    /// A bundle.
    Bundle(PathBuf),
    /// The registry's record of accepted bundles.
    Record(String),
    /// Bundles of which neither a receipt nor a file is here: the newest of them.
    Accepted(BundleId),
}

/// Something that could not be read, or is not believed.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Problem {
    /// Where.
    pub at: At,
    /// Why.
    pub why: String,
}
