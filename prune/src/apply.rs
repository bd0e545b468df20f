//! Carries out a reviewed plan: each row that a fresh plan has too, after a last look, tag by tag and then the
//! artifact. Takes both plans and a Harbor, gives what became of each row; nothing else is touched.

use std::collections::BTreeMap;
use std::sync::atomic::{AtomicBool, Ordering};

use bundle_format::Timestamp;
use bundle_harbor::{Harbor, Removed};
use bundle_oci::{Digest, Tag, chain};
use bundle_registry::{Error, Name};
use futures_util::StreamExt;
use tracing::info;

use crate::{Left, Limits, LiveArtifact, Outcome, Removal, RemovalResult, Repository, Why};

/// What became of a plan.
#[derive(Debug)]
pub struct Applied {
    /// The result of each row, in the order of the plan.
    pub results: Vec<RemovalResult>,
    /// The first error of Harbor, after which nothing more was begun.
    pub error: Option<Error>,
}

/// A plan that was made just now, and what it was made of.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Fresh<'a> {
    removals: &'a [Removal],
    left: &'a [Left],
    live: &'a BTreeMap<Repository, Vec<LiveArtifact>>,
}

/// What is to be done for a row.
#[derive(Clone, Debug, PartialEq, Eq)]
enum Step {
    /// Nothing: it is gone.
    Gone,
    /// Nothing: it stays.
    Leave(Why),
    /// These tags go, and the artifact with them if it is `whole`. The reason is why not all of the row is done.
    Do { tags: Vec<Tag>, whole: bool, with: Vec<Digest>, pulled: Option<Timestamp>, rest: Option<Why> },
}

/// Carries out the rows of a reviewed plan that a plan made just now has too. `fresh` is that plan, `left` what it
/// leaves, and `live` what it was made of. After an error of Harbor, nothing more is begun; each row says what became
/// of it.
pub async fn apply(
    harbor: &Harbor,
    reviewed: &[Removal],
    fresh: &[Removal],
    left: &[Left],
    live: &BTreeMap<Repository, Vec<LiveArtifact>>,
) -> Applied {
    let fresh = Fresh { removals: fresh, left, live };
    // Of one repository in order: an index goes before what it lists.
    let mut groups: BTreeMap<&Repository, Vec<(usize, &Removal)>> = BTreeMap::new();
    for (at, removal) in reviewed.iter().enumerate() {
        groups.entry(&removal.repository).or_default().push((at, removal));
    }
    let stopped = AtomicBool::new(false);
    let groups = groups.into_values().map(|rows| {
        let stopped = &stopped;
        async move {
            let mut results = Vec::with_capacity(rows.len());
            let mut failed = None;
            for (at, removal) in rows {
                let mut result = RemovalResult {
                    repository: removal.repository.clone(),
                    digest: removal.digest,
                    tags: Vec::new(),
                    artifact: false,
                    outcome: Outcome::Pending,
                };
                if !stopped.load(Ordering::Relaxed) {
                    let step = fresh.step(removal);
                    match carry_out(harbor, removal, step, &mut result).await {
                        Ok(outcome) => result.outcome = outcome,
                        Err(error) => {
                            stopped.store(true, Ordering::Relaxed);
                            result.outcome = Outcome::Failed(chain(&error));
                            failed = Some(error);
                        }
                    }
                }
                results.push((at, result));
            }
            (results, failed)
        }
    });
    // Collected, for the closure's lifetimes are not general enough to be held across an await.
    let groups: Vec<_> = groups.collect();
    let done: Vec<_> =
        futures_util::stream::iter(groups).buffer_unordered(Limits::DEFAULT.removals).collect().await;
    let mut applied = Applied { results: Vec::new(), error: None };
    let mut all = Vec::with_capacity(reviewed.len());
    for (results, failed) in done {
        all.extend(results);
        applied.error = applied.error.or(failed);
    }
    all.sort_by_key(|(at, _)| *at);
    applied.results = all.into_iter().map(|(_, result)| result).collect();
    applied
}

impl Fresh<'_> {
    /// What is to be done for a row now.
    fn step(&self, reviewed: &Removal) -> Step {
        let same = |it: &&Removal| it.repository == reviewed.repository && it.digest == reviewed.digest;
        let there = self.live.get(&reviewed.repository).into_iter().flatten();
        let there = there.clone().find(|it| it.digest == reviewed.digest);
        // Who moved a tag may want the image that it had, too.
        if self.has_moved(reviewed) {
            return Step::Leave(Why::Moved);
        }
        let Some(now) = self.removals.iter().find(same) else {
            return match there {
                Some(there)
                    if reviewed.whole || there.tags.iter().any(|it| reviewed.tags.contains(&it.name)) =>
                {
                    Step::Leave(self.reason(reviewed).unwrap_or(Why::Wanted))
                }
                _ => Step::Gone,
            };
        };
        if let Some(pulled) = now.pulled
            && reviewed.pulled.is_none_or(|known| pulled > known)
        {
            return Step::Leave(Why::Pulled(pulled));
        }
        let tags: Vec<Tag> = now.tags.iter().filter(|tag| reviewed.tags.contains(tag)).cloned().collect();
        let more = now.tags.iter().find(|tag| !reviewed.tags.contains(tag));
        let whole = reviewed.whole && now.whole && more.is_none();
        let has = |tag: &Tag| there.is_some_and(|there| there.tags.iter().any(|it| it.name == *tag));
        let rest = match (reviewed.whole && !whole, more) {
            (true, Some(tag)) => Some(Why::NotReviewed(tag.clone())),
            (true, None) => Some(self.reason(reviewed).unwrap_or(Why::Wanted)),
            (false, _) => {
                let stays = reviewed.tags.iter().any(|tag| !tags.contains(tag) && has(tag));
                stays.then(|| self.reason(reviewed).unwrap_or(Why::Wanted))
            }
        };
        match (tags.is_empty() && !whole, rest) {
            (true, Some(why)) => Step::Leave(why),
            (true, None) => Step::Gone,
            (false, rest) => Step::Do { tags, whole, with: now.with.clone(), pulled: now.pulled, rest },
        }
    }

    /// Why the plan of now leaves it.
    fn reason(&self, reviewed: &Removal) -> Option<Why> {
        let is_it = |it: &&Left| {
            it.repository == reviewed.repository
                && it.digest == reviewed.digest
                && it.tag.as_ref().is_none_or(|tag| reviewed.tags.contains(tag))
        };
        self.left.iter().find(is_it).map(|it| it.why.clone())
    }

    /// Whether a tag of the row is another artifact's now.
    fn has_moved(&self, reviewed: &Removal) -> bool {
        let there = self.live.get(&reviewed.repository).into_iter().flatten();
        let others = there.filter(|it| it.digest != reviewed.digest);
        others.flat_map(|it| &it.tags).any(|it| reviewed.tags.contains(&it.name))
    }
}

async fn carry_out(
    harbor: &Harbor,
    removal: &Removal,
    step: Step,
    result: &mut RemovalResult,
) -> Result<Outcome, Error> {
    let Step::Do { tags, whole, with, pulled, rest } = step else {
        return Ok(match step {
            Step::Leave(why) => Outcome::Left(why),
            _ => Outcome::Gone,
        });
    };
    let Repository { project, name } = &removal.repository;
    let is_newer = |at: Option<Timestamp>| at.filter(|at| pulled.is_none_or(|known| *at > known));
    let mut stays = rest;
    for tag in &tags {
        let found = harbor.artifact(project, name, &Name::Tag(tag.clone())).await?;
        let Some(found) = found.map(LiveArtifact::from) else { continue };
        if found.digest != removal.digest {
            stays = Some(Why::Moved);
            continue;
        }
        let by_tag = found.tags.iter().find(|it| it.name == *tag);
        let last = if whole {
            found.pulled.max(by_tag.and_then(|it| it.pulled))
        } else {
            by_tag.and_then(|it| it.pulled)
        };
        if let Some(at) = is_newer(last) {
            return Ok(Outcome::Left(Why::Pulled(at)));
        }
        if by_tag.is_some_and(|it| it.immutable) {
            stays = Some(Why::Immutable);
            continue;
        }
        match harbor.remove_tag(project, name, removal.digest, tag).await? {
            Removed::Done => {
                info!(repository = %removal.repository, %tag, digest = %removal.digest, "tag removed");
                result.tags.push(tag.clone());
            }
            Removed::Gone => {}
            Removed::Kept(text) => stays = Some(Why::Refused(text)),
        }
    }
    if let Some(why) = stays {
        return Ok(Outcome::Left(why));
    }
    if !whole {
        return Ok(Outcome::Removed);
    }
    let found = harbor.artifact(project, name, &Name::Digest(removal.digest)).await?;
    let Some(found) = found.map(LiveArtifact::from) else {
        return Ok(if result.tags.is_empty() { Outcome::Gone } else { Outcome::Removed });
    };
    if let Some(tag) = found.tags.first() {
        return Ok(Outcome::Left(Why::Tagged(tag.name.clone())));
    }
    if found.has_other_tags {
        return Ok(Outcome::Left(Why::Moved));
    }
    if let Some(at) = is_newer(found.pulled) {
        return Ok(Outcome::Left(Why::Pulled(at)));
    }
    let is_new = |it: &&crate::LiveAccessory| !it.of_harbor && !with.contains(&it.digest);
    if let Some(accessory) = found.accessories.iter().find(is_new) {
        return Ok(Outcome::Left(Why::Attached(accessory.digest)));
    }
    Ok(match harbor.remove_artifact(project, name, removal.digest).await? {
        Removed::Done => {
            info!(repository = %removal.repository, digest = %removal.digest, "artifact removed");
            result.artifact = true;
            Outcome::Removed
        }
        Removed::Gone => Outcome::Removed,
        Removed::Kept(text) => Outcome::Left(Why::Refused(text)),
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::LiveTag;
    use crate::document::tests::removal;
    use crate::ledger::tests::digest;

    fn live(of: &str, tags: &[&str]) -> LiveArtifact {
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

    /// The step for a reviewed row, by what a fresh plan has and what is there.
    fn step(reviewed: &Removal, now: &[Removal], left: &[Left], there: Vec<LiveArtifact>) -> Step {
        let live = BTreeMap::from([(reviewed.repository.clone(), there)]);
        Fresh { removals: now, left, live: &live }.step(reviewed)
    }

    #[test]
    fn a_row_is_done_as_far_as_it_still_holds_and_never_further() {
        let time = |at| Some(Timestamp::from_unix(at).unwrap());
        let reviewed = removal("a", "a", &["1", "2"], true);
        let does = |tags: &[&str], whole: bool, rest: Option<Why>| Step::Do {
            tags: tags.iter().map(|tag| tag.parse().unwrap()).collect(),
            whole,
            with: Vec::new(),
            pulled: None,
            rest,
        };
        let as_it_was = || vec![live("a", &["1", "2"])];
        let same = std::slice::from_ref(&reviewed);
        assert_eq!(step(&reviewed, same, &[], as_it_was()), does(&["1", "2"], true, None));
        // A tag that somebody removed meanwhile is no matter.
        let now = removal("a", "a", &["1"], true);
        assert_eq!(step(&reviewed, &[now], &[], vec![live("a", &["1"])]), does(&["1"], true, None));
        // It is wanted again, or one of its tags is.
        assert_eq!(step(&reviewed, &[], &[], as_it_was()), Step::Leave(Why::Wanted));
        let now = removal("a", "a", &["1"], false);
        assert_eq!(step(&reviewed, &[now], &[], as_it_was()), does(&["1"], false, Some(Why::Wanted)));
        // It has a tag that nobody reviewed, which could go by now.
        let now = removal("a", "a", &["1", "2", "3"], true);
        let more = Why::NotReviewed("3".parse().unwrap());
        assert_eq!(
            step(&reviewed, &[now], &[], vec![live("a", &["1", "2", "3"])]),
            does(&["1", "2"], false, Some(more))
        );
        // Only the tags were reviewed.
        let tags_only = removal("a", "a", &["1"], false);
        assert_eq!(step(&tags_only, same, &[], as_it_was()), does(&["1"], false, None));
        // It was pulled since.
        let pulled = Removal { pulled: time(9), ..reviewed.clone() };
        let now = std::slice::from_ref(&pulled);
        assert_eq!(step(&reviewed, now, &[], as_it_was()), Step::Leave(Why::Pulled(time(9).unwrap())));
        assert!(matches!(step(&pulled, now, &[], as_it_was()), Step::Do { whole: true, .. }));
        // The fresh plan says why it stays.
        let left = |tag: Option<&str>, why| Left {
            repository: reviewed.repository.clone(),
            digest: digest("a"),
            tag: tag.map(|tag| tag.parse().unwrap()),
            why,
        };
        let immutable = [left(Some("2"), Why::Immutable)];
        assert_eq!(step(&reviewed, &[], &immutable, as_it_was()), Step::Leave(Why::Immutable));
        let now = removal("a", "a", &["1"], false);
        assert_eq!(
            step(&reviewed, &[now], &immutable, as_it_was()),
            does(&["1"], false, Some(Why::Immutable))
        );
        // It is gone, or its tag is another artifact's.
        assert_eq!(step(&reviewed, &[], &[], Vec::new()), Step::Gone);
        assert_eq!(step(&reviewed, &[], &[], vec![live("other", &["2"])]), Step::Leave(Why::Moved));
        assert_eq!(step(&tags_only, &[], &[], vec![live("a", &[])]), Step::Gone);
        let now = removal("a", "a", &[], true);
        let there = vec![live("a", &[]), live("other", &["1"])];
        assert_eq!(step(&reviewed, &[now], &[], there), Step::Leave(Why::Moved));
    }
}
