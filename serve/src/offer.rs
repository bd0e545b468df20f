//! What people can pull from the bundles, for the page that they read: one offer for each tag, with its platforms
//! and its size. Takes artifacts of statements; gives offers in the order of their names, and those of a search.

use std::collections::{BTreeMap, HashMap};

use bundle_format::{Artifact, Kind};
use bundle_oci::{Digest, Platform, RepositoryName, Tag};

/// All offers, in the order of their names.
#[derive(Default)]
pub(crate) struct Offers {
    /// By `repository:tag`, or `repository@digest` without a tag.
    offers: BTreeMap<String, Offer>,
    /// Of several bundles, more than one may mean something by a name: the others, until the last bundle is there.
    others: Vec<(String, Offer)>,
    /// The kinds of what is attached to an artifact.
    attached: HashMap<Digest, Vec<Kind>>,
}

/// One tag, or one digest without a tag.
pub(crate) struct Offer {
    pub(crate) repository: RepositoryName,
    pub(crate) tag: Option<Tag>,
    pub(crate) digest: Digest,
    pub(crate) kind: Kind,
    pub(crate) platforms: Vec<Platform>,
    /// Of all that belongs to it, in bytes.
    pub(crate) size: u64,
    /// Where it came from.
    pub(crate) source: String,
    /// The bundle, by its place in the catalog.
    pub(crate) bundle: u32,
    /// What a search looks at, in lower case.
    text: String,
}

/// One page of offers.
pub(crate) struct Found<'a> {
    /// The offers with their names.
    pub(crate) offers: Vec<(&'a str, &'a Offer)>,
    /// How many match in all.
    pub(crate) total: usize,
    /// How many of them come before this page.
    pub(crate) before: usize,
}

impl Offers {
    /// Adds what a statement delivers. What is attached to something else is counted there.
    pub(crate) fn add(&mut self, artifact: &Artifact, repository: RepositoryName, size: u64, bundle: u32) {
        if let Some(subject) = artifact.subject {
            let kinds = self.attached.entry(subject).or_default();
            // The same signature may come with two bundles.
            if !kinds.contains(&artifact.kind) {
                kinds.push(artifact.kind);
                kinds.sort_unstable();
            }
            return;
        }
        let (tag, digest) = (artifact.target.tag.clone(), artifact.digest);
        let name = match &tag {
            Some(tag) => format!("{repository}:{tag}"),
            None => format!("{repository}@{digest}"),
        };
        let source = artifact.source.to_string();
        let text = format!("{name} {source} {digest} {}", artifact.kind.as_str()).to_lowercase();
        let (kind, platforms) = (artifact.kind, artifact.platforms.clone());
        let offer = Offer { repository, tag, digest, kind, platforms, size, source, bundle, text };
        if let Some(before) = self.offers.insert(name.clone(), offer) {
            self.others.push((name, before));
        }
    }

    /// After the last bundle: keeps of each name the offer that is served.
    pub(crate) fn finish(&mut self, is_served: impl Fn(&Offer) -> bool) {
        for (name, other) in std::mem::take(&mut self.others) {
            if self.offers.get(&name).is_none_or(|offer| !is_served(offer)) && is_served(&other) {
                self.offers.insert(name, other);
            }
        }
    }

    /// The offers with all words of a search, after the name `last`, at most so many.
    pub(crate) fn search(&self, words: &str, last: Option<&str>, most: usize) -> Found<'_> {
        let words: Vec<String> = words.split_whitespace().map(str::to_lowercase).collect();
        let mut found = Found { offers: Vec::new(), total: 0, before: 0 };
        for (name, offer) in &self.offers {
            if !words.iter().all(|word| offer.text.contains(word)) {
                continue;
            }
            found.total += 1;
            if last.is_some_and(|last| name.as_str() <= last) {
                found.before += 1;
            } else if found.offers.len() < most {
                found.offers.push((name, offer));
            }
        }
        found
    }

    /// The kinds of what is attached to an artifact.
    pub(crate) fn attached(&self, digest: Digest) -> &[Kind] {
        self.attached.get(&digest).map_or(&[], Vec::as_slice)
    }

    /// How many offers there are of each kind that has some.
    pub(crate) fn kinds(&self) -> BTreeMap<Kind, usize> {
        let mut kinds = BTreeMap::new();
        self.offers.values().for_each(|offer| *kinds.entry(offer.kind).or_default() += 1);
        kinds
    }
}
