//! From choices of tags to requests for images: the tags are those that a lock has, or those that the registry
//! lists.
//! Takes [`TagPattern`]s, a client and a lock; gives requests, what the next lock keeps, and notices, or every
//! choice that came to nothing.

use std::collections::BTreeMap;

use bundle_oci::{Registry, RepositoryName, Tag};
use bundle_registry::{Client, Error, Tags};
use futures_util::StreamExt;

use super::pattern::TagPattern;
use crate::lock::LockPattern;
use crate::notice::MissingImage;
use crate::policy::MissingImages;
use crate::request::places;
use crate::{Exclude, Lock, Notice, Pins, Reason, Request};

/// All choices of tags that came to nothing.
#[derive(Debug, thiserror::Error)]
#[error("{} of the choices of tags cannot be resolved", .0.len())]
pub struct TagErrors(pub Vec<TagError>);

/// A choice of tags that came to nothing.
#[derive(Debug, thiserror::Error)]
#[error("{pattern} ({})", places(.reasons))]
pub struct TagError {
    /// The choice, as a person would write it.
    pub pattern: String,
    /// The requesters.
    pub reasons: Vec<Reason>,
    /// Why.
    #[source]
    pub cause: TagCause,
}

/// Why a choice of tags came to nothing.
#[derive(Debug, thiserror::Error)]
pub enum TagCause {
    /// The registry.
    #[error(transparent)]
    Registry(#[from] Error),
    /// There is no such repository.
    #[error("{0} has no such repository")]
    NoRepository(Registry),
    /// No tag is as it should be.
    #[error("none of {} matches{}", count(*.of), nearest(.tags))]
    NoMatch {
        /// How many tags the repository has.
        of: usize,
        /// Some of them.
        tags: Vec<Tag>,
    },
    /// More tags than one choice may bring.
    #[error("{found} tags match, and one entry brings at most {limit}")]
    TooMany {
        /// How many there are.
        found: usize,
        /// How many there may be.
        limit: usize,
    },
    /// More tags than are read.
    #[error("the repository has more than {0} tags, which are not read")]
    TooManyListed(usize),
    /// The lock does not know the choice.
    #[error("it is not in the lockfile")]
    NotLocked,
}

fn count(tags: usize) -> String {
    if tags == 1 { "the repository's 1 tag".to_owned() } else { format!("the repository's {tags} tags") }
}

fn nearest(tags: &[Tag]) -> String {
    if tags.is_empty() {
        return String::new();
    }
    let tags: Vec<String> = tags.iter().map(Tag::to_string).collect();
    format!("; there are {}", tags.join(", "))
}

/// The images of choices of tags.
#[derive(Debug, Default)]
pub(crate) struct Expanded {
    pub(crate) requests: Vec<Request>,
    /// What each choice came to, for the next lock.
    pub(crate) locked: Vec<LockPattern>,
    pub(crate) notices: Vec<Notice>,
}

/// Where tags are found.
#[derive(Clone, Copy)]
pub(crate) struct TagSources<'a> {
    pub(crate) client: &'a Client,
    /// The lock to keep to.
    pub(crate) lock: Option<&'a Lock>,
    /// What an earlier run came to, for choices that now come to nothing.
    pub(crate) earlier: Option<&'a Lock>,
    pub(crate) pins: Pins,
    pub(crate) jobs: usize,
}

impl TagSources<'_> {
    /// Lists the tags of a repository once, for all choices among them.
    async fn list(&self, patterns: &[&TagPattern]) -> Listed {
        let Some(first) = patterns.first() else { return Listed::default() };
        let (registry, repository) = (&first.registry, &first.repository);
        match self.client.tags(registry, repository).await {
            Ok(tags) => {
                let image = format!("{registry}/{repository}");
                let notice = || Notice::TagsMayBeCut { image, tags: tags.tags.len() };
                let cut = (tags.may_be_cut && !tags.truncated).then(notice);
                let found = patterns.iter().map(|pattern| Some(choose(pattern, &tags))).collect();
                Listed { found, cut }
            }
            Err(error) if self.client.says_gone(registry, &error) => {
                let gone = || Some(Err(TagCause::NoRepository(registry.clone())));
                Listed { found: patterns.iter().map(|_| gone()).collect(), cut: None }
            }
            // One error is reported once.
            Err(error) => {
                let mut error = Some(Err(TagCause::Registry(error)));
                Listed { found: patterns.iter().map(|_| error.take()).collect(), cut: None }
            }
        }
    }

    /// The tags of a choice that came to nothing, if its policy says what to do: those of an earlier run, or none.
    fn without(&self, pattern: &TagPattern, cause: &TagCause) -> Option<(Vec<Tag>, Notice)> {
        if !matches!(cause, TagCause::NoRepository(_) | TagCause::NoMatch { .. }) {
            return None;
        }
        let tags = match pattern.policy.missing_images {
            MissingImages::Fail => return None,
            MissingImages::KeepLast => pattern.left_of(&self.earlier?.pattern(pattern)?.tags),
            MissingImages::Skip => return Some((Vec::new(), skipped(pattern))),
        };
        let image = pattern.to_string();
        (!tags.is_empty()).then(|| (tags.clone(), Notice::TagsKept { image, tags: tags.len() }))
    }
}

#[derive(Default)]
struct Listed {
    /// What each choice comes to; nothing for those whose error another one has.
    found: Vec<Option<Result<Vec<Tag>, TagCause>>>,
    cut: Option<Notice>,
}

fn skipped(pattern: &TagPattern) -> Notice {
    Notice::Missing(MissingImage {
        image: pattern.to_string(),
        target: pattern.target.to_string(),
        kept: None,
        why: pattern.reasons.clone(),
    })
}

/// What a choice comes to among the tags that a registry lists.
fn choose(pattern: &TagPattern, listed: &Tags) -> Result<Vec<Tag>, TagCause> {
    if listed.truncated {
        return Err(TagCause::TooManyListed(listed.tags.len()));
    }
    let (found, limit) = (pattern.select(&listed.tags), pattern.tags.limit());
    match found.len() {
        0 => Err(TagCause::NoMatch { of: listed.tags.len(), tags: pattern.tags.nearest(&listed.tags) }),
        found if found > limit => Err(TagCause::TooMany { found, limit }),
        _ => Ok(found),
    }
}

/// Makes requests of choices of tags.
///
/// # Errors
/// All choices that came to nothing, not only the first.
pub(crate) async fn expand(patterns: &[TagPattern], sources: TagSources<'_>) -> Result<Expanded, TagErrors> {
    let mut expanded = Expanded::default();
    let mut found: Vec<Option<Result<Vec<Tag>, TagCause>>> = Vec::new();
    let mut open: BTreeMap<(&Registry, &RepositoryName), Vec<usize>> = BTreeMap::new();
    for (position, pattern) in patterns.iter().enumerate() {
        found.push(match (sources.lock.and_then(|lock| lock.pattern(pattern)), sources.pins) {
            (Some(locked), _) => {
                // Which tags were excluded when it was locked is not known.
                pattern.exclude.iter().for_each(Exclude::count);
                if locked.tags.is_empty() {
                    expanded.notices.push(skipped(pattern));
                }
                Some(Ok(pattern.left_of(&locked.tags)))
            }
            (None, Pins::Demand) => Some(Err(TagCause::NotLocked)),
            (None, Pins::Prefer) => {
                open.entry((&pattern.registry, &pattern.repository)).or_default().push(position);
                None
            }
        });
    }
    let asking: Vec<Vec<usize>> = open.into_values().collect();
    let mut lists = futures_util::stream::iter(asking)
        .map(|asking| async move {
            let of_one: Vec<&TagPattern> = asking.iter().filter_map(|at| patterns.get(*at)).collect();
            (sources.list(&of_one).await, asking)
        })
        .buffered(sources.jobs.max(1));
    while let Some((listed, asking)) = lists.next().await {
        expanded.notices.extend(listed.cut);
        for (position, result) in asking.into_iter().zip(listed.found) {
            found[position] = result;
        }
    }
    drop(lists);
    let mut errors = Vec::new();
    for (pattern, found) in patterns.iter().zip(found) {
        let tags = match found {
            None => continue,
            Some(Ok(tags)) => tags,
            Some(Err(cause)) => match sources.without(pattern, &cause) {
                Some((tags, notice)) => {
                    expanded.notices.push(notice);
                    tags
                }
                None => {
                    let (pattern, reasons) = (pattern.to_string(), pattern.reasons.clone());
                    errors.push(TagError { pattern, reasons, cause });
                    continue;
                }
            },
        };
        expanded.requests.extend(tags.iter().map(|tag| pattern.request(tag)));
        expanded.locked.push(LockPattern {
            pattern: pattern.key(),
            target: pattern.target.to_string(),
            tags,
        });
    }
    if errors.is_empty() { Ok(expanded) } else { Err(TagErrors(errors)) }
}
