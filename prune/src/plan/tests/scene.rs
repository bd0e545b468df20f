//! Nights of streams, and what is in the repositories of `cache`.
//! Takes receipts and artifacts, gives a plan.

use std::collections::BTreeMap;

use bundle_format::{BundleId, Outcome, StreamName, Timestamp};
use bundle_inventory::StreamRecord;
use bundle_oci::Tag;

use crate::ledger::tests::{bundle, digest, receipt};
use crate::{Freed, InUse, Ledger, Left, LiveArtifact, LiveTag, Question, Removal, Repository, plan};

/// An artifact `of`, as the double of a Harbor has it.
pub(super) fn live(of: &str, tags: &[&str]) -> LiveArtifact {
    let tag = |name: &&str| LiveTag { name: name.parse().unwrap(), immutable: false, pulled: None };
    let tags = tags.iter().map(tag).collect();
    LiveArtifact {
        digest: digest(of),
        tags,
        has_other_tags: false,
        pulled: None,
        children: Vec::new(),
        accessories: Vec::new(),
    }
}

pub(super) fn at(name: &str) -> Repository {
    Repository { project: "cache".parse().unwrap(), name: name.parse().unwrap() }
}

/// The nights of streams, and what is in the repositories of `cache`.
#[derive(Default)]
pub(super) struct Scene {
    pub(super) ledger: Ledger,
    pub(super) live: BTreeMap<Repository, Vec<LiveArtifact>>,
    pub(super) in_use: InUse,
    pub(super) pulled_since: Option<Timestamp>,
}

impl Scene {
    pub(super) fn night(mut self, stream: &str, number: u64, artifacts: &[(&str, &str, Outcome)]) -> Self {
        self.ledger.add(&receipt(&bundle(stream, number), number as i64, artifacts));
        self
    }

    pub(super) fn has(mut self, repository: &str, artifacts: Vec<LiveArtifact>) -> Self {
        self.live.insert(at(repository), artifacts);
        self
    }

    pub(super) fn plan(&self, keep: usize) -> (Vec<Removal>, Vec<Left>, Freed) {
        let streams: Vec<StreamName> = self.ledger.streams().cloned().collect();
        let kept: Vec<BundleId> = streams
            .iter()
            .flat_map(|stream| self.ledger.kept(stream, keep, &StreamRecord::default()).bundles)
            .collect();
        plan(&Question {
            ledger: &self.ledger,
            stream: &"s".parse().unwrap(),
            wanted: &self.ledger.wanted(&kept),
            live: &self.live,
            in_use: &self.in_use,
            pulled_since: self.pulled_since,
        })
    }

    /// What goes, as `repository:tags` with `!` if the artifact goes too, and what stays with its reason.
    pub(super) fn lines(&self, keep: usize) -> (Vec<String>, Vec<String>) {
        let (removals, left, _) = self.plan(keep);
        let gone = removals.iter().map(|it| {
            let tags: Vec<&str> = it.tags.iter().map(Tag::as_str).collect();
            format!("{}:{}{}", it.repository.name, tags.join(","), if it.whole { "!" } else { "" })
        });
        let left = left.iter().map(|it| {
            let tag = it.tag.as_ref().map_or(String::new(), |tag| format!(":{tag}"));
            format!("{}{tag} {}", it.repository.name, it.why.name())
        });
        (gone.collect(), left.collect())
    }
}
