//! The tags of a repository (distribution-spec §Listing Tags). Takes a repository, gives its tags,
//! bounded.

use bundle_oci::{Registry, RepositoryName, Tag};
use serde::Deserialize;

use crate::routes::By;
use crate::{Client, Error};

/// A repository's tags.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Tags {
    /// The tags, in the registry's order.
    pub tags: Vec<Tag>,
    /// Whether there are more than were read.
    pub truncated: bool,
    /// Whether there may be more: some registries cut a list at a round number and do not say so.
    pub may_be_cut: bool,
}

#[derive(Deserialize)]
struct Wire {
    // Some registries send null for none.
    #[serde(default)]
    tags: Option<Vec<String>>,
}

/// Whether a page may have ended because of its length: page sizes are round numbers.
fn is_round(tags: usize) -> bool {
    tags > 0 && tags.is_multiple_of(50)
}

impl Client {
    /// Lists a repository's tags (distribution-spec §Listing Tags). Names that break the grammar of tags are
    /// left out: no request could use them.
    ///
    /// # Errors
    /// Any [`Error`].
    pub async fn tags(&self, registry: &Registry, repository: &RepositoryName) -> Result<Tags, Error> {
        let limits = &self.inner.limits;
        let listed = self.at_places(registry, repository, By::Tag, |host, path| async move {
            let mut all = Tags::default();
            let mut next = Some(format!("{path}/tags/list?n=1000"));
            for _ in 0..limits.pages {
                let Some(address) = next.take() else {
                    return Ok(all);
                };
                let what = format!("the tags of {path}");
                let page =
                    self.page::<Wire>(&host, &address, self.scope_to_pull(&host, &path), &what).await?;
                let tags = page.body.tags.unwrap_or_default();
                // A page that leads to itself, or an empty one, never ends.
                let (more, here) = (page.next, tags.len());
                // Some registries cut the list at a number of their own and send no link.
                all.may_be_cut |= more.is_none() && is_round(here);
                let goes_on = more.is_some();
                next = more.filter(|next| *next != address && !tags.is_empty());
                // There would be more, and it cannot be had.
                all.may_be_cut |= goes_on && next.is_none();
                all.tags.extend(tags.iter().filter_map(|tag| tag.parse().ok()));
                if all.tags.len() > limits.tags {
                    all.tags.truncate(limits.tags);
                    all.truncated = true;
                    return Ok(all);
                }
            }
            all.truncated = next.is_some();
            Ok(all)
        });
        match listed.await {
            Err(error) if self.is_unknown(registry, &self.path_at(registry, repository)?, &error) => {
                Ok(Tags::default())
            }
            listed => listed,
        }
    }
}
